"""Records: what may stand in one, and how each is made.

They are plain maps (`spec/format.md`, "Records"); fields that this version does not know are kept and passed on.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .values import Link, Timestamp

LAST = (1 << 63) - 1  # the largest integer of a field
# What a terminal would obey, or shows in another order than it stands.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain_text(value: Any) -> str:
    """What a record holds for a text of somebody's: no subclass of `str`, and no lone surrogates, which are escaped."""
    try:
        text = str.__str__(value if isinstance(value, str) else str(value))
    except Exception:  # an object of the user's, whose `__str__` may do anything
        text = f"a {type(value).__module__}.{type(value).__qualname__}"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain_name(value: Any) -> str:
    """As `plain_text`, on one line and with all escaped that a terminal would obey: names are shown, and given to others."""
    text = plain_text(value)
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def obeyed(text: str) -> str | None:
    """What is said of a name in which a terminal would obey something: the name, and the character; None for others."""
    if text.isascii() and text.isprintable():
        return None
    found = _CONTROL.search(text)
    shown = _CONTROL.sub(_escaped, text[:40])
    return f"'{shown}' with the control character U+{ord(found[0]):04X}" if found else None


def obeyed_name(record: Mapping[str, Any]) -> str | None:
    """What is said of the first name in a record, which is not wrong, in which a terminal would obey something."""
    for what, text in _shown_names(record):
        if found := obeyed(text):
            return f"{what} {found}"
    return None


def _shown_names(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(what it is, text) of what listings show of a record, which is not wrong."""
    for name in ("name", "kind", "backend", "provider", "provider_job", "batch", "session", "on", "author", "archive"):
        if type(record.get(name)) is str:
            yield name.replace("_", " "), record[name]
    if type(record.get("names")) is list:
        yield from (("circuit name", name) for name in record["names"] if type(name) is str)
    labels, member = record.get("labels", {}), record.get("member", {})
    if record["type"] == "job":
        yield "group", labels.get("group", "")
        yield from (("tag", tag) for tag in labels.get("tags", ()))
        yield "author", member.get("author", "")
    if record["type"] == "annotation":
        yield from (("tag", tag) for tag in record.get("tags", ()))


def _fits(value: Any, form: type | Callable[[Any], bool]) -> bool:
    return type(value) is form if type(form) is type else form(value)


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LAST


def _texts(value: Any) -> bool:
    return type(value) is list and _STR.issuperset(map(type, value))


def _map_of(needed: tuple[str, ...] = (), /, **fields: type | Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A map with text keys that has the needed fields; those that it has of `fields` must be as they say."""
    return lambda value: (
        _texts_keys(value)
        and all(name in value for name in needed)
        and all(name not in fields or _fits(item, fields[name]) for name, item in value.items())
    )


def _texts_keys(value: Any) -> bool:
    return type(value) is dict and _STR.issuperset(map(type, value))


_STR = frozenset({str})
_text, _link, _time, _bytes = str, Link, Timestamp, bytes
_error = _map_of(("type", "message"), type=_text, message=_text)
_gap = _map_of(("what", "reason"), what=_text, reason=_text)
_labels = _map_of(group=_text, tags=_texts, params=_texts_keys)
_member = _map_of(("group", "author", "sequence", "first"), group=_link, author=_text, sequence=_number, first=_number,
                  mapped=bool, replaces=_link)  # fmt: skip
_prepared = _map_of(("backend",), backend=_link, calibration=_link, remote=bool)


def _links(value: Any) -> bool:
    return type(value) is list and all(type(item) is _link for item in value)


def _links_by_text(value: Any) -> bool:
    return _texts_keys(value) and all(map(_links, value.values()))


def _gaps(value: Any) -> bool:
    return type(value) is list and all(map(_gap, value))


def _shots(value: Any) -> bool:
    return value is None or _number(value)


# What each field must be: those that a record must have, then those that it may have.
_FIELDS: dict[str, tuple[dict[str, type | Callable], dict[str, type | Callable]]] = {
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
        {"names": _texts, "labels": _labels, "parent": _link, "member": _member, "prepared": _prepared},
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
        {
            "environment": _link,
            "calibration": _link,
            "captured": _time,
            "gaps": _gaps,
            "input": _link,
            "config": _link,
            "on": _text,
            "code": _link,
        },
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
    "signature": ({"job": _link, "seal": _bytes, "signature": _text, "created": _time}, {}),
    "annotation": (
        {"job": _link, "created": _time},
        {"tags": _texts, "untagged": _links_by_text, "text": _text, "author": _text, "nonce": _bytes},
    ),
    "group": ({"name": _text, "archive": _text, "number": _number}, {}),
    "mapped": ({"group": _link, "author": _text, "sequence": _number, "circuits": _number, "created": _time}, {}),
    "removal": ({"created": _time, "nonce": _bytes}, {"job": _link, "group": _link}),
    "restored": ({"removals": _links, "created": _time, "nonce": _bytes}, {"job": _link, "group": _link}),
}
LOCAL = frozenset({"removal", "restored"})  # an archive's own affair: never exported, and refused where they come from elsewhere
_OF_GROUPS = frozenset({"group", "mapped"})
_OF_EITHER: tuple[dict, dict] = ({}, {"job": _link, "group": _link})  # a record of a type that is not known here
RECORD_TYPES = tuple(_FIELDS)


def wrong(record: Any) -> str | None:
    """What keeps a decoded record from taking part in its job or group, or None.

    Strangers write records, too: a wrong one is reported, and must not keep the others from being read.
    """
    if not _texts_keys(record) or type(record.get("type")) is not str:
        return "it is no map with a type"
    required, optional = _FIELDS.get(record["type"], _OF_EITHER)
    if "job" in optional and "job" not in record and "group" not in record:
        return f"a record of type {record['type'][:64]!r} without job"
    if not record.keys() >= required.keys():
        name = next(name for name in required if name not in record)
        return f"a record of type {record['type'][:64]!r} without {name}"
    for name, value in record.items():
        form = required.get(name) or optional.get(name)
        if form is not None and type(value) is not form and not _fits(value, form):
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
    member: Mapping[str, Any] | None = None,
    prepared: Mapping[str, Link] | None = None,
    created: Timestamp | None = None,
) -> dict:
    """What is to be executed. Its digest is the job's id; the nonce keeps equal executions apart.

    `member` is its place in a group; `prepared` the snapshot of the backend that it is for, of a job that is not sent yet.
    """
    record = {
        "type": "job",
        "provider": provider,
        "kind": kind,
        "backend": plain_name(backend),
        "input": input,
        "config": config,
        "shots": shots if _shots(shots) else None,  # a number that no SDK takes stands in the configuration
        "size": size,
        "created": created or Timestamp.now(),
        "nonce": secrets.token_bytes(16),
    }
    optional = {
        "names": list(map(plain_name, names)),
        "labels": _plain_labels(labels or {}),
        "parent": parent,
        "member": member and dict(member),
        "prepared": prepared and dict(prepared),
    }
    return record | {key: value for key, value in optional.items() if value}


def _plain_labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(labels)
    if "group" in plain:
        plain["group"] = plain_name(plain["group"])
    if "tags" in plain:
        plain["tags"] = sorted(set(map(plain_name, plain["tags"])))
    return plain


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
    input: Link | None = None,
    config: Link | None = None,
    on: str | None = None,
    code: Link | None = None,
) -> dict:
    """One sending of a job, written before it. A local one runs at once, so it stands for RUNNING; else for SENDING.

    `input` and `config` are what was sent, where a prepared job was sent otherwise; `on` the backend's name, where it is another.
    """
    record = {
        "type": "attempt",
        "job": job,
        "number": number,
        "status": "RUNNING" if local else "SENDING",
        "backend": backend,
        "created": Timestamp.now(),
        "nonce": secrets.token_bytes(8),
    }
    optional = {"environment": environment, "calibration": calibration, "captured": captured, "gaps": gaps,
                "input": input, "config": config, "on": on and plain_name(on), "code": code}  # fmt: skip
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
        "provider_job": provider_job and plain_name(provider_job),
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
        "provider_job": plain_name(provider_job),
        "created": Timestamp.now(),
    }
    return record | {key: plain_name(value) for key, value in ids.items() if value}


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
    return {"type": "attachment", "job": job, "name": plain_name(name), "value": value, "created": Timestamp.now()}


def event_record(*, job: Link, name: str, value: Link | None) -> dict:
    """Something that happened to a job, or to the batch whose first job it is; `value` is what the provider said of it."""
    record = {"type": "event", "job": job, "name": plain_name(name), "created": Timestamp.now()}
    return record | ({"value": value} if value else {})


def annotation_record(*, job: Link, tags: Iterable[str] = (), untagged: Mapping[str, Iterable[Link]] | None = None,
                      text: str | None = None, author: str | None = None) -> dict:  # fmt: skip
    """What somebody says of a job when it is recorded already: tags, and a note.

    `untagged` has for each tag that is taken away the records that gave it; it comes back by a record that is not among them.
    """
    record = {"type": "annotation", "job": job, "created": Timestamp.now(), "nonce": secrets.token_bytes(8)}
    gone = {tag: sorted(links, key=lambda link: link.digest) for tag, links in (untagged or {}).items()}
    optional = {"tags": sorted(set(map(plain_name, tags))), "untagged": gone, "text": text and plain_text(text),
                "author": author and plain_name(author)}  # fmt: skip
    return record | {key: value for key, value in optional.items() if value}


def signature_record(*, job: Link, seal: bytes, signature: str) -> dict:
    """Somebody's signature of a seal of a job, as `ssh-keygen` armors it."""
    return {"type": "signature", "job": job, "seal": seal, "signature": signature, "created": Timestamp.now()}


def group_record(*, name: str, archive: str, number: int) -> dict:
    """A group. Its digest is the group's id: the same whoever makes it first, in one archive; another in another archive.

    `number` tells it from groups of this name that were deleted before.
    """
    return {"type": "group", "name": plain_name(name), "archive": archive, "number": number}


def mapped_record(*, group: Link, author: str, sequence: int, circuits: int) -> dict:
    """All circuits that a map was given are in the group's jobs."""
    return {"type": "mapped", "group": group, "author": author, "sequence": sequence, "circuits": circuits,
            "created": Timestamp.now()}  # fmt: skip


def removal_record(*, job: Link | None = None, group: Link | None = None) -> dict:
    """A job or a group was removed from this archive. It is this archive's affair alone, and never exported."""
    about = {"job": job} if group is None else {"group": group}
    return {"type": "removal", **about, "created": Timestamp.now(), "nonce": secrets.token_bytes(8)}


def restored_record(removals: Iterable[Link], *, job: Link | None = None, group: Link | None = None) -> dict:
    """A job or a group is listed again that was removed from this archive by these records."""
    about = {"job": job} if group is None else {"group": group}
    return {"type": "restored", **about, "removals": sorted(removals, key=lambda link: link.digest), "created": Timestamp.now(),
            "nonce": secrets.token_bytes(8)}  # fmt: skip


def is_removed(found: Mapping[bytes, Mapping[str, Any]]) -> bool:
    """Whether one of these records, by digest, is a removal that none of them undoes."""
    return bool(open_removals(found))


def open_removals(found: Mapping[bytes, Mapping[str, Any]]) -> set[bytes]:
    """The removals among these records, by digest, that none of them undoes."""
    undone = {link.digest for record in found.values() if record["type"] == "restored" for link in record["removals"]}
    return {digest for digest, record in found.items() if record["type"] == "removal"} - undone


def is_of_group(record: Mapping[str, Any]) -> bool:
    """Whether a record, which is not wrong, is about a group and not about a job."""
    return record["type"] in _OF_GROUPS or (record["type"] != "job" and "job" not in record)


def subject_of(digest: bytes, record: Mapping[str, Any]) -> bytes:
    """The id of the job or the group that a record, which is not wrong, is about: of the job where it has both."""
    if record["type"] in ("job", "group"):
        return digest
    return record["group" if is_of_group(record) else "job"].digest
