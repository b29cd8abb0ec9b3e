"""When a job was made, sent, started and ended, in UTC; never guessed: what nobody told has a reason instead."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..job import Job
from ..values import Timestamp

# Where clouds tell when a job started and ended: the way to it in the outcome's `volatile`.
_TOLD = {"started": (("metrics", "timestamps", "running"), ("job", "start_timestamp"), ("status", "start_time")),
         "ended": (("metrics", "timestamps", "finished"), ("job", "end_timestamp"), ("status", "end_time"))}  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Each is None where it is not known; then `missing` says why, by name."""

    created: datetime | None
    submitted: datetime | None
    started: datetime | None
    ended: datetime | None
    missing: Mapping[str, str]

    def __iter__(self) -> Iterator[tuple[str, datetime | None]]:
        return ((name, getattr(self, name)) for name in ("created", "submitted", "started", "ended"))


def of(job: Job) -> Moments:
    """The moments of the attempt that speaks for a job."""
    folded, missing = job.folded, {}
    current, outcome = folded.current, folded.outcome
    sent = current.record if current else None
    found: dict[str, datetime | None] = dict.fromkeys(("submitted", "started", "ended"))
    if sent is None:
        missing = dict.fromkeys(found, "it was not sent")
    elif sent["status"] == "RUNNING":  # it ran here, and our clock saw it
        found["submitted"] = found["started"] = sent["created"].datetime
        found["ended"] = outcome and outcome["created"].datetime
        missing = {} if outcome else {"ended": "it has not ended, or nobody saw it"}
    else:
        if "environment" in sent:
            found["submitted"] = sent["created"].datetime
        else:
            missing["submitted"] = "it was fetched after it was sent, by somebody else's process"
        told = dict((outcome or {}).get("volatile", {}))
        for name, ways in _TOLD.items():
            found[name] = next(filter(None, (_moment(_at(told, way)) for way in ways)), None)
            if found[name] is None:
                missing[name] = "its provider did not tell it" if outcome else "it has not ended"
        if folded.status == "REFUSED":
            missing |= dict.fromkeys(("started", "ended"), "it was refused")
    return Moments(folded.record["created"].datetime if folded.record else None, **found, missing=missing)


def _at(tree: Any, way: tuple[str, ...]) -> Any:
    for name in way:
        tree = tree.get(name) if type(tree) is dict else None
    return tree


def _moment(value: Any) -> datetime | None:
    """A time that a cloud told: ISO text with an offset, seconds since 1970, or a timestamp; None for anything else."""
    try:
        if type(value) is Timestamp:
            return value.datetime
        if type(value) in (int, float):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)
