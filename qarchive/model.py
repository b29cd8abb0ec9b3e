"""The fold: a job is the sum of what was written about it, in whatever order it arrived.

It uses no clock and no order of arrival, so merging two archives is the union of their records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .records import LOCAL, is_of_group, is_removed
from .values import Link, Timestamp

# From the first to the last: of two statuses of one attempt the later one holds. UNKNOWN: it ended and nobody saw how.
STATUSES = (
    "PREPARED",
    "SENDING",
    "QUEUED",
    "RUNNING",
    "PAUSED",
    "UNKNOWN",
    "REFUSED",
    "CANCELLED",
    "TIMED_OUT",
    "ERROR",
    "PARTIAL",
    "DONE",
)
_ERROR_SHOWN = 200  # characters of an error that listings have
RANK = {status: rank for rank, status in enumerate(STATUSES)}
TERMINAL = frozenset(STATUSES[RANK["REFUSED"] :])
OPEN = frozenset({"SENDING", "QUEUED", "RUNNING", "PAUSED"})  # it was sent, and may still come to something


@dataclass(frozen=True)
class Attempt:
    """One attempt's records, folded. `record` is None where only later records of it have arrived.

    `foreign` are the digests of those that came from another archive. Once there is a result of this archive's own, they count
    no more: nobody else can change what a job of ours came to.
    """

    digest: bytes
    record: Mapping[str, Any] | None
    later: tuple[tuple[bytes, Mapping[str, Any]], ...] = ()
    foreign: frozenset[bytes] = frozenset()

    @property
    def link(self) -> Link:
        return Link(self.digest)

    @property
    def number(self) -> int:
        return self.record["number"] if self.record else 0

    @property
    def is_foreign(self) -> bool:
        """Whether its own record came from another archive, or from nowhere yet."""
        return self.record is None or self.digest in self.foreign

    @property
    def mine(self) -> "Attempt":
        """The same by this archive's own records alone."""
        own = tuple(entry for entry in self.later if entry[0] not in self.foreign)
        return replace(self, later=own, foreign=frozenset()) if self.foreign else self

    @cached_property
    def counting(self) -> tuple[tuple[bytes, Mapping[str, Any]], ...]:
        """Those of its later records that count."""
        if not self.foreign:
            return self.later
        own = tuple(entry for entry in self.later if entry[0] not in self.foreign)
        return own if any(r["type"] == "outcome" and r.get("result") is not None for _, r in own) else self.later

    @property
    def calibrations(self) -> list[tuple[str, Link, Timestamp | None]]:
        """(phase, calibration, when it was asked for), that of sending first, then by time; equal ones once."""
        at_sending = self.record.get("calibration") if self.record else None
        found = [("submit", at_sending, self.record.get("captured"))] if at_sending else []
        later = [(r["captured"], r["phase"], r["calibration"]) for _, r in self.counting if r["type"] == "calibration"]
        return found + [(phase, link, captured) for captured, phase, link in sorted(set(later))]

    @cached_property
    def status(self) -> str:
        told = [record.get("status") for _, record in self.counting] + [self.record.get("status") if self.record else None]
        words = [word for word in told if type(word) is str and word in RANK]  # records of other types may have any there
        return max(words, key=RANK.__getitem__, default="UNKNOWN")

    @cached_property
    def outcome(self) -> Mapping[str, Any] | None:
        """The outcome that holds: with a result before without, this archive's own before another's, then by status, ties by
        digest."""
        found = [
            (r.get("result") is not None, digest not in self.foreign, RANK.get(r.get("status"), -1), digest, r)
            for digest, r in self.counting
            if r["type"] == "outcome"
        ]
        return max(found, key=lambda item: item[:4])[4] if found else None

    @cached_property
    def provider_job(self) -> str | None:
        return self._told("provider_job")

    @property
    def instance(self) -> str | None:
        """Whose job it is at its provider, as a digest; None where that is not known."""
        return self._told("instance")

    def _told(self, name: str) -> str | None:
        """The largest text of a field of its records, of this archive's own before another's."""
        found = [(digest not in self.foreign, r[name]) for digest, r in self.counting if type(r.get(name)) is str]
        return max(found)[1] if found else None

    @property
    def order(self) -> tuple:
        """DONE first, this archive's own before another's, then the later attempt, then the higher status, ties by digest."""
        return self.status == "DONE", not self.is_foreign, self.number, RANK[self.status], self.digest


@dataclass(frozen=True)
class Folded:
    """A job as the sum of its records. `record` is None while the job record itself has not arrived."""

    id: bytes
    record: Mapping[str, Any] | None
    attempts: tuple[Attempt, ...] = ()
    others: tuple[tuple[bytes, Mapping[str, Any]], ...] = field(default=())  # about no attempt: annotations, unknown types
    removed: bool = False  # from this archive
    foreign: bool = False  # it was made in another archive
    tags: tuple[str, ...] = ()  # that it has now, in order

    @cached_property
    def current(self) -> Attempt | None:
        """The attempt that speaks for the job."""
        return _speaker(self.attempts)

    @property
    def pending(self) -> Attempt | None:
        """The attempt to ask its provider about, None where there is none: of this archive's own the one that speaks, whatever
        others say of it, until its end was seen here."""
        own = [attempt.mine for attempt in self.attempts if not attempt.is_foreign]
        found = _speaker(own) if own else self.current
        return found if found is not None and found.status not in TERMINAL else None

    @property
    def status(self) -> str:
        return self.current.status if self.current else "PREPARED"

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        return self.current.outcome if self.current else None

    @property
    def provider_job(self) -> str | None:
        return self.current.provider_job if self.current else None

    @property
    def backend(self) -> str:
        """The name of the backend that the attempt was sent to; of a job that was not sent, of the one that it is for."""
        sent = self.current.record if self.current else None
        return (sent or {}).get("on") or (self.record or {}).get("backend", "")

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Why the job ended as it did, or why nobody knows more: {"type": ..., "message": ...}."""
        current = self.current
        if current is None:
            return None
        if current.outcome:
            return current.outcome.get("error")
        told = [(r["created"], digest, r) for digest, r in current.later
                if r["type"] == "status" and r["status"] == current.status]  # fmt: skip
        return max(told, key=lambda each: each[:2])[2].get("error") if told else None

    @property
    def gaps(self) -> list[Mapping[str, str]]:
        current = self.current
        sources = [current.record, current.outcome] if current else []
        return [gap for source in sources if source for gap in source.get("gaps", ())]


def _speaker(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt of several that speaks for their job; None where there is none."""
    return attempts[0] if len(attempts) == 1 else max(attempts, key=lambda attempt: attempt.order, default=None)


def fold(job: bytes, records: Mapping[bytes, Mapping[str, Any]], foreign: frozenset[bytes] = frozenset()) -> Folded:
    """The job whose id is `job` as the sum of `records` by digest, all of them about it; `foreign` are those of other archives.

    Those about a group are passed over: somebody may call a job's id one of a group.
    """
    attempts: dict[bytes, Mapping] = {}
    later: dict[bytes, list] = {}
    others = []
    for digest in sorted(records):
        record = records[digest]
        about = record.get("attempt")
        if record["type"] == "job" or is_of_group(record):
            continue
        if record["type"] == "attempt":
            attempts[digest] = record
        elif type(about) is Link and record["type"] not in LOCAL:
            later.setdefault(about.digest, []).append((digest, record))
        else:
            others.append((digest, record))
    folded = [
        Attempt(digest, attempts.get(digest), tuple(later.get(digest, ())), foreign)
        for digest in sorted(attempts.keys() | later.keys())
    ]
    folded.sort(key=lambda attempt: (attempt.number, attempt.digest))
    removed = is_removed(dict(others))
    return Folded(job, records.get(job), tuple(folded), tuple(others), removed, job in foreign, _tags(job, records, foreign))


def _tags(job: bytes, records: Mapping[bytes, Mapping[str, Any]], foreign: frozenset[bytes]) -> tuple[str, ...]:
    for record in records.values():
        if record["type"] == "annotation":
            return tuple(sorted({tag for tag, _ in givers(job, records, foreign)}))
    labels = records[job].get("labels") if job in records else None  # nobody has changed what it was recorded with
    tags = labels.get("tags") if labels else None
    return tuple(sorted(set(tags))) if tags else ()


def givers(job: bytes, records: Mapping[bytes, Mapping[str, Any]], foreign: frozenset[bytes]) -> set[tuple[str, bytes]]:
    """(tag, the record that gave it) of the tags that a job has.

    What a record of this archive's own gave only such a record takes away.
    """
    about = [(digest, record) for digest, record in records.items() if record["type"] == "annotation"]
    given = {(tag, digest) for digest, record in about for tag in record.get("tags", ())}
    if job in records:
        given |= {(tag, job) for tag in records[job].get("labels", {}).get("tags", ())}
    for digest, record in about:
        for tag, links in record.get("untagged", {}).items():
            given -= {(tag, link.digest) for link in links if digest not in foreign or link.digest in foreign}
    return given


def summary(folded: Folded) -> dict[str, Any]:
    """The fields of a job that listings show and filter by, as plain values."""
    job = folded.record or {}
    labels = job.get("labels", {})
    current = folded.current
    calibration = current.record.get("calibration") if current and current.record else None
    return {
        "id": folded.id,
        "created": job.get("created", Timestamp(0)),
        "provider": job.get("provider", ""),
        "backend": folded.backend,
        "kind": job.get("kind", ""),
        "status": folded.status,
        "shots": job.get("shots"),
        "size": job.get("size", 0),
        "group": labels.get("group"),
        "tags": list(folded.tags),
        "input": job.get("input"),
        "calibration": calibration,
        "provider_job": folded.provider_job,
        "attempts": len(folded.attempts),
        "gaps": len(folded.gaps),
        "names": list(dict.fromkeys(job.get("names", ())))[:3],
        "open": folded.pending is not None and folded.pending.status in OPEN,
        "error": str((folded.error or {}).get("message", ""))[:_ERROR_SHOWN],
    }
