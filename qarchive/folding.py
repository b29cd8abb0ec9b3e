"""What the index's tables say of a job or a group, from the records about it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import model, records
from .query import NAMED, searched
from .rows import job_columns, member_columns
from .tables import seal
from .values import Timestamp


class Listed(NamedTuple):
    """The rows of one job."""

    job: tuple
    tags: list[tuple]
    earlier: list[tuple]
    member: tuple | None


def listed(job: bytes, about: Mapping[bytes, Mapping[str, Any]], foreign: frozenset[bytes]) -> Listed | None:
    """The rows of a job that has these records, by digest; None where it is removed. `foreign` are those of other archives."""
    folded = model.fold(job, about, foreign)
    if folded.removed:
        return None
    fields = model.summary(folded)
    created, earlier, member = fields["created"].ns, [], None
    if len(folded.attempts) > 1:
        ids = {attempt.provider_job for attempt in folded.attempts} - {None, fields["provider_job"]}
        earlier = [(job, provider_job) for provider_job in ids]
    if folded.record is not None and "member" in folded.record:
        member = member_columns(folded.record["member"], fields)
    row = *job_columns(fields), _touched(about), _names(folded)
    return Listed(row, [(tag, created, job) for tag in fields["tags"]], earlier, member)


def _touched(about: Mapping[bytes, Mapping[str, Any]]) -> int:
    """When the last record was written, in ns."""
    return max((at.ns for record in about.values() if type(at := record.get("created")) is Timestamp), default=0)


def _names(folded: model.Folded) -> str | None:
    """What the circuits of a job are called, different names a line each, as `searched` makes them; None where they have none."""
    names = folded.record.get("names", ()) if folded.record else ()
    return "\n".join(dict.fromkeys(map(searched, names[:NAMED]))) or None


def group_rows(group: bytes, about: Mapping[bytes, Mapping[str, Any]]) -> tuple[tuple | None, list[tuple]]:
    """(the row of a group, the rows of its maps that were taken to their end) from the records about it, by digest."""
    row, root = None, about.get(group)
    if root is not None:
        columns = group, root["name"], root["archive"], root["number"], int(records.is_removed(about))
        row = *columns, seal(columns)
    ends: dict[tuple, int] = {}
    for record in about.values():
        if record["type"] == "mapped":
            of = group, record["author"], record["sequence"]
            ends[of] = max(ends.get(of, 0), record["circuits"])
    return row, [(*of, circuits, seal((*of, circuits))) for of, circuits in ends.items()]
