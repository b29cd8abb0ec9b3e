"""Files in which Perceval keeps groups of jobs: what is in them is taken over, but for the tokens.

A JobGroup (`.jgrp`) is JSON, an ExecutionGroup (`.egrp`) a text of Perceval's own. Neither holds results. Perceval itself would
ask the cloud for each platform while it reads the second kind; here only its values are made, and no handler, layer or computer.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...errors import BadInput
from ...values import Timestamp
from ..base import Execution, Imported, Sent, Stage
from ..sdk import sdk
from .fetching import instance_of
from .payloads import body_of, put_payload
from .platforms import kind_of, put_platform
from .serialized import check_texts, text_of

SUFFIXES = (".jgrp", ".egrp")
_DATES = "%Y%m%d_%H%M%S"
_VALUES = frozenset(
    {"Computation", "ComputationIterator", "Command"}
)  # of what consists of members: the rest is only looked into
_NOT_IN_FILE = "the file of the group does not hold one"


@dataclass(frozen=True)
class _Entry:
    """One job of a group as its file tells it."""

    id: str | None
    platform: str
    url: str
    body: dict | None  # of the request that makes it; None for a JobGroup's jobs that succeeded: it drops their input
    unread: tuple[str, ...] = ()  # settings of its computer that are not taken over


def read(stage: Stage, path: Path) -> list[Imported]:
    """The jobs of a group's file, in order. Raises BadInput, MissingExtra."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(str(path), f"cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})") from None
    try:
        created, entries = _job_group(text, path.stem) if path.suffix == ".jgrp" else _execution_group(text)
        return [_imported(stage, path.stem, created, entry) for entry in entries]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, zlib.error) as error:
        kind = "JobGroup" if path.suffix == ".jgrp" else "ExecutionGroup"
        raise BadInput(
            str(path), f"is no {kind} that this version of Perceval can read ({type(error).__name__}: {error})"
        ) from None


def _imported(stage: Stage, group: str, created: Timestamp, entry: _Entry) -> Imported:
    before = len(stage.gaps)
    if entry.body is None:
        stage.gap("input", "Perceval drops the input of a job that succeeded from the file of its group")
        input_link, config, known = stage.put("input", {"type": "missing"}), stage.put("config", {}), {}
    else:
        input_link, config, known = put_payload(stage, entry.body)
    for what in entry.unread:
        stage.gap(f"config.{what}", "a setting of the computer, which is not taken over from a file")
    if entry.id is not None:
        for what in ("environment", "calibration"):
            stage.gap(what, _NOT_IN_FILE)
    gaps, stage.gaps[before:] = stage.gaps[before:], []
    execution = Execution("perceval", kind_of(entry.platform, None), entry.platform, input_link, config,
                          put_platform(stage, entry.platform, None), remote=True, **{**known, "group": group})  # fmt: skip
    sent = None if entry.id is None else Sent(entry.id, instance=instance_of(entry))
    return Imported(execution, sent, created, tuple(gaps))


def _job_group(text: str, name: str) -> tuple[Timestamp, Iterator[_Entry]]:
    found = json.loads(text)
    return _local_time(datetime.strptime(found["created_date"], _DATES)), (_of_job(job, name) for job in found["job_group_data"])


def _of_job(job: Mapping[str, Any], group: str) -> _Entry:
    metadata = job["metadata"]
    body = job.get("request_data") or job.get("body")
    if body is not None:
        body = {**body, "payload": _payload(body["payload"], job), "job_name": job.get("name"), "job_group_name": group}
    return _Entry(job["id"], metadata["platform"], metadata["url"], body)


def _payload(prepared: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """What a RemoteJob makes of its payload when it is sent."""
    delta, context = job.get("delta_parameters") or {}, job.get("job_context")
    if delta.get("mapping"):
        context = {**(context or {}), "mapping_delta_parameters": delta["mapping"]}
    payload = {**prepared, **delta.get("command", {}), "job_context": context}
    samples, shots = payload.get("max_samples"), payload.get("max_shots")
    if samples is not None and shots is not None:
        payload["max_samples"] = min(samples, shots)
    return payload


@dataclass(frozen=True)
class _Node:
    """Something in the file that is looked into, and not made."""

    tag: str
    members: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.members[name]


def _execution_group(text: str) -> tuple[Timestamp, Iterator[_Entry]]:
    base = sdk("perceval.serialization", "an ExecutionGroup", "perceval").InputArchive
    members = sdk("perceval.serialization.library.descriptors").DescriptorClass
    sdk("perceval.runtime")  # registers what may stand in the file
    sdk("perceval.providers.quandela")

    class Values(base):
        """Makes values only."""

        def create(self, index: int) -> Any:
            tag, found = self.memo[index]
            if tag in _VALUES:
                return super().create(index)
            if not isinstance(found, members):
                _check(tag, found.value)
                return super().create(index)
            return _Node(tag, {name: self.create(place) for name, place in found.value[1]})

    archive = Values.from_text(text)
    created, _, executions = (archive.create(root) for root in archive.roots)
    return _local_time(datetime.fromtimestamp(created)), (entry for item in executions for entry in _of_execution(item))


def _check(tag: str, value: Any) -> None:
    """Refuse what Perceval would evaluate. Raises BadInput."""
    if tag == "PostSelect":
        check_texts(f":PCVL:PostSelect:{value}")
    elif isinstance(value, str):
        check_texts(value)
    elif isinstance(value, bytes) and tag != "bytes":
        check_texts(text_of({"class": tag, "bytes": value}))


def _of_execution(execution: _Node) -> Iterator[_Entry]:
    """One entry for each job that an execution has in the cloud; one, if it was not sent. Those of local computers are none."""
    computer = execution["_computer"]
    if computer.tag != "RemoteComputer":
        return
    handler = computer["_communication_layer"]["_rpc_handler"]
    body = body_of(execution["_computation"], handler["name"], execution["_name"], execution["_job_group_name"])
    settings = ("_custom_noise", "_error_mitigations", "_parameters")
    unread = tuple(name.lstrip("_") for name in settings if computer.members.get(name) not in (None, [], {}))
    getters = [getter for row in execution.members.get("_getters", []) for getter in row]
    for getter in getters or [None]:
        yield _Entry(None if getter is None else getter["_remote_id"], handler["name"], handler["url"], body, unread)


def _local_time(moment: datetime) -> Timestamp:
    """Perceval writes times of its computer's clock, without a zone: they are taken to be of this computer's zone."""
    return Timestamp.of(moment.astimezone(UTC))


def is_group(path: str | os.PathLike) -> bool:
    """Whether a path names a group's file, by its suffix."""
    return os.fspath(path).endswith(SUFFIXES)
