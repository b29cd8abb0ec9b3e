"""Records and their fold: a job is the sum of what was written about it, in whatever order it arrived.

Records are plain maps (`spec/format.md`, "Records"); fields that this version does not know are kept and passed on. The
fold uses no clock and no order of arrival, so merging two archives is the union of their records.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

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
RANK = {status: rank for rank, status in enumerate(STATUSES)}
TERMINAL = frozenset(STATUSES[RANK["REFUSED"] :])


def plain_text(value: Any) -> str:
    """What a record holds for a text of somebody's: no subclass of `str`, and no lone surrogates, which are escaped."""
    try:
        text = str.__str__(value if isinstance(value, str) else str(value))
    except Exception:  # an object of the user's, whose `__str__` may do anything
        text = f"a {type(value).__module__}.{type(value).__qualname__}"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _texts(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _map_of(**fields: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: _texts_keys(value) and all(name not in value or fits(value[name]) for name, fits in fields.items())


def _texts_keys(value: Any) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)


_text, _link, _time, _bytes = _is(str), _is(Link), _is(Timestamp), _is(bytes)
_error = _map_of(type=_text, message=_text)
_labels = _map_of(group=_text, tags=_texts, params=_texts_keys)


def _gaps(value: Any) -> bool:
    return type(value) is list and all(
        _texts_keys(gap) and all(type(gap.get(name)) is str for name in ("what", "reason")) for gap in value
    )


def _shots(value: Any) -> bool:
    return value is None or _number(value)


# What each field must be: those that a record must have, then those that it may have.
_FIELDS: dict[str, tuple[dict[str, Callable], dict[str, Callable]]] = {
    "job": (
        {
            "provider": _text,
            "kind": _text,
            "backend": _text,
            "input": _link,
            "config": _link,
            "shots": _shots,
            "size": _number,
            "created": _time,
            "nonce": _bytes,
        },
        {"names": _texts, "labels": _labels, "parent": _link},
    ),
    "attempt": (
        {
            "job": _link,
            "number": _number,
            "status": _text,
            "backend": _link,
            "created": _time,
            "nonce": _bytes,
        },
        {"environment": _link, "calibration": _link, "captured": _time, "gaps": _gaps},
    ),
    "sent": (
        {"job": _link, "attempt": _link, "status": _text, "provider_job": _text, "created": _time},
        {"batch": _text, "session": _text, "instance": _text},
    ),
    "outcome": (
        {"job": _link, "attempt": _link, "status": _text, "provider_status": _text, "created": _time},
        {"provider_job": _text, "result": _link, "volatile": _texts_keys, "error": _error, "usage": _texts_keys, "gaps": _gaps},
    ),
    "status": (
        {"job": _link, "attempt": _link, "status": _text, "provider_status": _text, "created": _time},
        {"error": _error},
    ),
    "calibration": (
        {"job": _link, "attempt": _link, "calibration": _link, "phase": _text, "captured": _time, "created": _time},
        {},
    ),
    "attachment": ({"job": _link, "name": _text, "value": _link, "created": _time}, {}),
    "event": ({"job": _link, "name": _text, "created": _time}, {"value": _link}),
    "annotation": ({"job": _link, "created": _time}, {}),
}
RECORD_TYPES = tuple(_FIELDS)


def wrong(record: Any) -> str | None:
    """What keeps a decoded record from taking part in its job, or None. Records of unknown types need a job and nothing more.

    Strangers write records, too: a wrong one is reported, and must not keep the others from being read.
    """
    if not _texts_keys(record) or type(record.get("type")) is not str:
        return "it is no map with a type"
    required, optional = _FIELDS.get(record["type"], ({"job": _link}, {}))
    for name, fits in (*required.items(), *optional.items()):
        if name not in record:
            if name in required:
                return f"a record of type {record['type'][:64]!r} without {name}"
        elif not fits(record[name]):
            return f"a record of type {record['type'][:64]!r} whose {name} is of another type"
    return None


def job_record(
    *,
    provider: str,
    kind: str,
    backend: str,
    input: Link,
    config: Link,
    shots: int | None,
    size: int,
    names: Iterable[str] = (),
    labels: Mapping[str, Any] | None = None,
    parent: Link | None = None,
    created: Timestamp | None = None,
) -> dict:
    """What is to be executed. Its digest is the job's id; the nonce keeps equal executions apart."""
    record = {
        "type": "job",
        "provider": provider,
        "kind": kind,
        "backend": plain_text(backend),
        "input": input,
        "config": config,
        "shots": shots if _shots(shots) else None,  # a number that no SDK takes stands in the configuration
        "size": size,
        "created": created or Timestamp.now(),
        "nonce": secrets.token_bytes(16),
    }
    optional = {"names": list(map(plain_text, names)), "labels": dict(labels or {}), "parent": parent}
    return record | {key: value for key, value in optional.items() if value}


def attempt_record(
    *,
    job: Link,
    number: int,
    backend: Link,
    environment: Link | None,
    calibration: Link | None,
    captured: Timestamp | None = None,
    gaps: list[dict],
    local: bool,
) -> dict:
    """One sending of a job, written before it. A local one runs at once, so it stands for RUNNING; else for SENDING."""
    record = {
        "type": "attempt",
        "job": job,
        "number": number,
        "status": "RUNNING" if local else "SENDING",
        "backend": backend,
        "created": Timestamp.now(),
        "nonce": secrets.token_bytes(8),
    }
    optional = {"environment": environment, "calibration": calibration, "captured": captured, "gaps": gaps}
    return record | {key: value for key, value in optional.items() if value}


def outcome_record(
    *,
    job: Link,
    attempt: Link,
    status: str,
    provider_status: str,
    provider_job: str | None,
    result: Link | None,
    volatile: Mapping,
    error: Mapping | None,
    usage: Mapping,
    gaps: list[dict],
) -> dict:
    """How an attempt ended. What differs between equal runs is in `volatile`, so that equal results share a blob."""
    record = {
        "type": "outcome",
        "job": job,
        "attempt": attempt,
        "status": status,
        "provider_status": provider_status,
        "created": Timestamp.now(),
    }
    optional = {
        "provider_job": provider_job,
        "result": result,
        "volatile": dict(volatile),
        "error": error,
        "usage": dict(usage),
        "gaps": gaps,
    }
    return record | {key: value for key, value in optional.items() if value}


def sent_record(*, job: Link, attempt: Link, provider_job: str, **ids: str | None) -> dict:
    """The provider accepted an attempt and gave it an id (and perhaps a batch's, a session's and an instance's)."""
    record = {
        "type": "sent",
        "job": job,
        "attempt": attempt,
        "status": "QUEUED",
        "provider_job": provider_job,
        "created": Timestamp.now(),
    }
    return record | {key: value for key, value in ids.items() if value}


def status_record(*, job: Link, attempt: Link, status: str, provider_status: str, error: Mapping | None = None) -> dict:
    """How an attempt stands on its way, or why nobody knows how it stands."""
    record = {
        "type": "status",
        "job": job,
        "attempt": attempt,
        "status": status,
        "provider_status": provider_status,
        "created": Timestamp.now(),
    }
    return record | ({"error": dict(error)} if error else {})


def calibration_record(*, job: Link, attempt: Link, calibration: Link, phase: str, captured: Timestamp) -> dict:
    """A calibration of the device of an attempt, asked for after it was sent."""
    return {
        "type": "calibration",
        "job": job,
        "attempt": attempt,
        "calibration": calibration,
        "phase": phase,
        "captured": captured,
        "created": Timestamp.now(),
    }


def attachment_record(*, job: Link, name: str, value: Link) -> dict:
    """Something that people add to a job under a name; a later one of the same name does not undo an earlier one."""
    return {"type": "attachment", "job": job, "name": name, "value": value, "created": Timestamp.now()}


def event_record(*, job: Link, name: str, value: Link | None) -> dict:
    """Something that happened to a job, or to the batch whose first job it is; `value` is what the provider said of it."""
    record = {"type": "event", "job": job, "name": name, "created": Timestamp.now()}
    return record | ({"value": value} if value else {})


def job_of(digest: bytes, record: Mapping[str, Any]) -> bytes:
    """The id of the job that a record, which is not wrong, is about."""
    return digest if record["type"] == "job" else record["job"].digest


@dataclass(frozen=True)
class Attempt:
    """One attempt's records, folded. `record` is None where only later records of it have arrived."""

    digest: bytes
    record: Mapping[str, Any] | None
    later: tuple[tuple[bytes, Mapping[str, Any]], ...] = ()

    @property
    def link(self) -> Link:
        return Link(self.digest)

    @property
    def number(self) -> int:
        return self.record["number"] if self.record else 0

    @property
    def calibrations(self) -> list[tuple[str, Link, Timestamp | None]]:
        """(phase, calibration, when it was asked for), that of sending first, then by time; equal ones once."""
        at_sending = self.record.get("calibration") if self.record else None
        found = [("submit", at_sending, self.record.get("captured"))] if at_sending else []
        later = [(r["captured"], r["phase"], r["calibration"]) for _, r in self.later if r["type"] == "calibration"]
        return found + [(phase, link, captured) for captured, phase, link in sorted(set(later))]

    @cached_property
    def status(self) -> str:
        words = [record["status"] for _, record in self.later if record.get("status") in RANK]
        if self.record and self.record.get("status") in RANK:
            words.append(self.record["status"])
        return max(words, key=RANK.__getitem__, default="UNKNOWN")

    @cached_property
    def outcome(self) -> Mapping[str, Any] | None:
        """The outcome that holds: with a result before without, then by status, ties by digest."""
        found = [
            (r.get("result") is not None, RANK.get(r.get("status"), -1), digest, r)
            for digest, r in self.later
            if r["type"] == "outcome"
        ]
        return max(found, key=lambda item: item[:3])[3] if found else None

    @cached_property
    def provider_job(self) -> str | None:
        return max((r["provider_job"] for _, r in self.later if type(r.get("provider_job")) is str), default=None)

    @property
    def instance(self) -> str | None:
        """Whose job it is at its provider, as a digest; None where that is not known."""
        return max((r["instance"] for _, r in self.later if type(r.get("instance")) is str), default=None)

    @property
    def order(self) -> tuple:
        """DONE before all, then the later attempt, then the higher status, ties by digest."""
        return self.status == "DONE", self.number, RANK[self.status], self.digest


@dataclass(frozen=True)
class Folded:
    """A job as the sum of its records. `record` is None while the job record itself has not arrived."""

    id: bytes
    record: Mapping[str, Any] | None
    attempts: tuple[Attempt, ...] = ()
    others: tuple[tuple[bytes, Mapping[str, Any]], ...] = field(default=())  # about no attempt: annotations, unknown types

    @property
    def current(self) -> Attempt | None:
        """The attempt that speaks for the job."""
        return max(self.attempts, key=lambda attempt: attempt.order, default=None)

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
    def gaps(self) -> list[Mapping[str, str]]:
        current = self.current
        sources = [current.record, current.outcome] if current else []
        return [gap for source in sources if source for gap in source.get("gaps", ())]


def fold(job: bytes, records: Mapping[bytes, Mapping[str, Any]]) -> Folded:
    """The job whose id is `job` as the sum of `records` by digest, all of them about it."""
    attempts: dict[bytes, Mapping] = {}
    later: dict[bytes, list] = {}
    others = []
    for digest in sorted(records):
        record = records[digest]
        about = record.get("attempt")
        if record["type"] == "attempt":
            attempts[digest] = record
        elif type(about) is Link:
            later.setdefault(about.digest, []).append((digest, record))
        elif record["type"] != "job":
            others.append((digest, record))
    folded = [
        Attempt(digest, attempts.get(digest), tuple(later.get(digest, ()))) for digest in sorted(attempts.keys() | later.keys())
    ]
    folded.sort(key=lambda attempt: (attempt.number, attempt.digest))
    return Folded(job, records.get(job), tuple(folded), tuple(others))


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
        "backend": job.get("backend", ""),
        "kind": job.get("kind", ""),
        "status": folded.status,
        "shots": job.get("shots"),
        "size": job.get("size", 0),
        "group": labels.get("group"),
        "tags": sorted(labels.get("tags", ())),
        "input": job.get("input"),
        "calibration": calibration,
        "provider_job": folded.provider_job,
        "attempts": len(folded.attempts),
        "gaps": len(folded.gaps),
        "names": list(job.get("names", ()))[:3],
    }
