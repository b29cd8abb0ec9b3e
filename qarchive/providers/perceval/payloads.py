"""What is sent to a cloud: the payload of a job as Perceval made it <-> blobs of input and configuration.

A payload is JSON in which Perceval's objects stand as its own serialized texts. The experiment and the iterations are the input,
all else is the configuration. A compressed text is stored as what was compressed, since two versions of zlib need not compress
alike; what would not come out the same again is stored as it is.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from ...errors import BadInput
from ...outcomes import Points
from ...values import Link, Typed
from ..base import Get, Stage
from ..sdk import sdk
from .calls import experiment_link
from .serialized import check_texts
from .values import from_plain, readable, to_plain

PAYLOAD = "perceval.payload"
_ZIP = ":PCVL:zip:"
_OF_INPUT = ("experiment", "iterator", "computation")
_VERSION = "pcvl_version"  # Perceval writes its own into every body
_FRESH = "process_id"  # drawn at each start of Python, and nobody reads it


def inflated(text: str) -> str:
    """What Perceval compressed to a text; the same text where it did not, or where it would not come out the same again."""
    if not text.startswith(_ZIP):
        return text
    try:
        plain = zlib.decompress(base64.b64decode(text[len(_ZIP) :])).decode()
    except (ValueError, zlib.error):
        return text
    return plain if deflated(plain) == text else text


def deflated(text: str) -> str:
    """A text compressed as Perceval does it."""
    return _ZIP + base64.b64encode(zlib.compress(text.encode())).decode()


def put_payload(stage: Stage, sent: Mapping[str, Any]) -> tuple[Link, Link, dict[str, Any]]:
    """(input, configuration, what is known of it for listings) of the body of a request that makes a job.

    The input is the experiment, the same blob as that of a local run, with its iterations as plain values; and the texts as they
    were sent, where the experiment does not give them again.
    """
    payload = sent.get("payload")
    payload = dict(payload) if isinstance(payload, Mapping) else {}
    value: dict[str, Any] = {"type": PAYLOAD}
    texts = {name: _plain(payload.pop(name)) for name in _OF_INPUT if payload.get(name) is not None}
    try:
        experiment, iterations = _objects(texts)
        value["experiment"] = experiment_link(stage, experiment)
        if iterations:
            value["iterations"] = to_plain(iterations, "input.iterations", stage.gap)
    except Exception as error:
        stage.gap("input.experiment", f"only as it was sent, since it cannot be read: {type(error).__name__}: {error}")
    else:
        if texts.get("experiment") == sdk("perceval.serialization").serialize(experiment):
            del texts["experiment"]
    if "experiment" in texts:
        texts["experiment"] = [inflated(texts["experiment"]), inflated(texts["experiment"]) != texts["experiment"]]
    value["sent"] = texts
    rest = {name: _plain(item) for name, item in sent.items() if name not in ("payload", _FRESH)}
    config = {"type": PAYLOAD, "payload": _plain(payload), "request": rest}
    known = _known(sent)
    if "experiment" in value and known["size"] == 1:
        known["size"] = max(1, len(iterations))
    return stage.put("input", value), stage.put("config", config), known


def _objects(texts: Mapping[str, Any]) -> tuple[Any, list]:
    """(experiment, iterations) of what was sent. A computation's text is this process's own: nobody else's gets here."""
    check_texts({name: item for name, item in texts.items() if name != "computation"})
    serialization = sdk("perceval.serialization")
    if "computation" in texts:
        archive = serialization.InputArchive.from_text(texts["computation"])
        computation = serialization.Serialization.deserialize(archive)
        return computation.experiment, list(getattr(computation, "iterations", []))
    iterations = texts.get("iterator") or []
    return serialization.deserialize(texts["experiment"]), serialization.deserialize(iterations, strict=False)


def body_of(computation: Any, platform: str, name: str | None, group: str | None) -> dict[str, Any]:
    """The body of a request that makes a job of a computation, as far as the computation says it."""
    serialize = sdk("perceval.serialization").serialize
    payload = {"command": computation.command.name, **computation.parameters, "experiment": serialize(computation.experiment)}
    iterations = getattr(computation, "iterations", [])
    if iterations:
        payload["iterator"] = [serialize(dict(item)) for item in iterations]
    return {"payload": payload, "platform_name": platform, "job_name": name, "job_group_name": group}


def _known(sent: Mapping[str, Any]) -> dict[str, Any]:
    payload = sent.get("payload")
    payload = payload if isinstance(payload, Mapping) else {}
    shots = payload.get("max_samples") or payload.get("max_shots")
    iterations = payload.get("iterator")
    name, group = sent.get("job_name"), sent.get("job_group_name")
    return {
        "shots": shots if type(shots) is int else None,
        "size": len(iterations) if isinstance(iterations, list) and iterations else 1,
        "names": (name,) if isinstance(name, str) and name else (),
        "group": group if isinstance(group, str) and group else None,
    }


def load_payload(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the request again, but for the number that each Python process draws for itself. Raises MissingExtra."""
    value, config = get(job["input"]), get(job["config"])
    payload = {**config["payload"], **value["sent"]}
    if "experiment" in payload:
        text, compressed = payload["experiment"]
        payload["experiment"] = deflated(text) if compressed else text
    elif "computation" not in payload and "experiment" in value:
        experiment = from_plain(get(value["experiment"])["experiment"])
        payload["experiment"] = sdk("perceval.serialization", "a payload", "perceval").serialize(experiment)
    return {**config["request"], "payload": payload}


def is_whole(value: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether an input and a configuration are those of a body that Perceval itself made, so that it can be sent again as it was:
    not of one that was made up here of a computation. Raises BadInput where a credential in it was removed."""
    if value.get("type") != PAYLOAD or config.get("type") != PAYLOAD or _VERSION not in config["request"]:
        return False
    if _is_redacted(value) or _is_redacted(config):
        raise BadInput("this job", "a credential in what it is to send was removed", "run it from where it was made")
    return True


def process() -> dict[str, str]:
    """What tells the bodies of this process from those of others."""
    made = sdk("perceval.runtime.payload_generator", "a job", "perceval").PayloadGenerator.generate_global_data({})
    return {_FRESH: made[_FRESH]}


def load_input(get: Get, job: Mapping[str, Any]) -> Any:
    """The Experiment of a job, or a map of `experiment` and `iterations`. Raises MissingExtra, BadInput."""
    value = get(job["input"])
    if "experiment" not in value:
        raise BadInput("the input of this job", "was not captured", "`job.gaps` says why")
    experiment = from_plain(get(value["experiment"])["experiment"])
    return {"experiment": experiment, "iterations": from_plain(value["iterations"])} if "iterations" in value else experiment


def points(get: Get, job: Mapping[str, Any]) -> list[Points]:
    """What each iteration changes: parameters of the circuit by name, and whatever else as text."""
    found = []
    for iteration in get(job["input"]).get("iterations") or ():
        plain = readable(iteration)
        parameters = dict(plain.pop("circuit_params", {}))
        parameters |= {name: item if type(item) in (int, float) else str(item) for name, item in plain.items()}
        found.append(Points(0, parameters={name: [item] for name, item in parameters.items()}))
    return found


def text(get: Get, job: Mapping[str, Any]) -> list[str]:
    """The experiment for people."""
    value = get(job["input"])
    if "experiment" not in value:
        return []
    found = get(value["experiment"])["text"]
    if type(found) is not str:
        raise BadInput("the input of this job", "its experiment has no text", "read the experiment itself")
    return [found]


def _is_redacted(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_redacted, (*value, *value.values())))
    if isinstance(value, list | tuple):
        return any(map(_is_redacted, value))
    return value.tag == "redacted" if type(value) is Typed else type(value) is str and "[redacted " in value


def _plain(value: Any) -> Any:
    """JSON of Perceval's own dicts and lists."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
