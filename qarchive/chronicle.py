"""The chronicle: what happened to jobs and groups, an event for each record, the newest first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from . import codec, records
from .bundles.selection import read_in_order
from .library import Jobs, Library
from .values import Timestamp


@dataclass(frozen=True, slots=True)
class Event:
    """One record: when it was written, by the clock of whoever wrote it; of which job or group; what it says in short.

    `what` is a word or two ("created", "DONE", "tagged"), `detail` the rest.
    """

    created: Timestamp
    subject: str
    is_group: bool
    what: str
    detail: str
    record: str


def latest(library: Library, number: int) -> list[Event]:
    """The newest events of an archive, at most so many.

    Those of groups and of removed jobs are looked for where packs end: one that an import or a repack has put elsewhere is passed
    over.
    """
    library._recorder.settle()
    index = library._store.index
    digests = set(index.written_last(number)).union(index.records_of(index.touched_last(number)))
    return _newest(library, digests, number)


def among(library: Library, jobs: Jobs, number: int) -> list[Event]:
    """The newest events of the jobs that fit a query, at most so many."""
    library._recorder.settle()
    index = library._store.index
    return _newest(library, index.records_of(index.touched_last(number, jobs._query)), number)


def of(library: Library, subjects: Iterable[bytes], number: int) -> list[Event]:
    """The newest events of these jobs and groups, at most so many."""
    library._recorder.settle()
    return _newest(library, library._store.index.records_of(subjects), number)


def _newest(library: Library, digests: Iterable[bytes], number: int) -> list[Event]:
    found = ((entry.digest, codec.decode(data)) for entry, data in read_in_order(library._store, digests))
    dated = ((record["created"], digest, record) for digest, record in found if type(record.get("created")) is Timestamp)
    return [_event(digest, record) for _, digest, record in nlargest(number, dated, key=lambda each: each[:2])]


def _event(digest: bytes, record: Mapping[str, Any]) -> Event:
    what, detail = told(record)
    return Event(record["created"], records.subject_of(digest, record).hex(), records.is_of_group(record), what, detail,
                 digest.hex())  # fmt: skip


def told(record: Mapping[str, Any]) -> tuple[str, str]:
    """(what happened, in a word; the rest) of a record, which is not wrong."""
    kind = record["type"]
    if kind == "job":
        labels = record.get("labels", {})
        group = f"[{labels['group']}]" if "group" in labels else ""
        tags = (f"#{tag}" for tag in labels.get("tags", ()))
        return "created", " ".join(filter(None, (f"{record['provider']}:{record['backend']}", group, *tags)))
    if kind == "attempt":
        return record["status"], "" if record["number"] == 1 else f"attempt {record['number']}"
    if kind == "sent":
        return record["status"], record["provider_job"]
    if kind in ("outcome", "status"):
        return record["status"], record.get("error", {}).get("message", "")
    if kind == "annotation":
        changed = [*(f"+{tag}" for tag in record.get("tags", ())), *(f"-{tag}" for tag in record.get("untagged", {}))]
        note = ": ".join(filter(None, (record.get("author"), record.get("text"))))
        return "tagged" if changed else "noted", " ".join(filter(None, (*changed, note)))
    if kind in ("attachment", "event"):
        return ("attached" if kind == "attachment" else "event"), record["name"]
    if kind == "calibration":
        return "calibrated", record["phase"]
    if kind == "mapped":
        return "map ended", f"{record['circuits']} circuits"
    return {"removal": "removed", "restored": "listed again", "signature": "signed"}.get(kind, kind), ""
