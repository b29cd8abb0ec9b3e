"""What must be equal where one execution of Perceval's stands for another: what runs and how, not who asked for it and when."""

from collections.abc import Mapping
from typing import Any

from ...codec import digest, encode
from ...errors import BadInput, NotEncodable
from ...values import Link, Typed
from ..base import Get
from ..sdk import sdk
from .payloads import PAYLOAD, inflated
from .serialized import unnamed

_ARCHIVE = "pcvlar "  # how a text in Perceval's own archive form begins
_MOST_NESTED = 64
# Who asked, and what is compared as the input; commands also say how they are called.
_LEFT_OUT = {"Computation": ("experiment", "job_name", "job_group_name"), "ComputationIterator": ("job_name", "job_group_name"),
             "Command": ("signature", "apply_emt")}  # fmt: skip
_FOLLOWS = ("conversion",)  # a setting that the command and the simulation backend decide


def identities(get: Get, job: Mapping[str, Any]) -> list[bytes]:
    """32 bytes for each iteration, else for the experiment: circuit, input state, selection, noise; not the names of circuits.

    Raises BadInput where the input was not captured.
    """
    value = get(job["input"])
    if "experiment" not in value:
        raise BadInput("the input of this job", "was not captured", "`job.gaps` says why")
    experiment = _unnamed(get(value["experiment"])["experiment"])
    return [_digest([experiment, iteration]) for iteration in value.get("iterations") or [None]]


def config(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """Command, parameters and settings; of what was sent to a cloud all of the payload but the input, and what a computation of
    Perceval's says beside it."""
    value = get(job["config"])
    if value.get("type") != PAYLOAD:
        settings = {name: item for name, item in value.get("settings", {}).items() if name not in _FOLLOWS}
        return {**value, "settings": settings}
    found = {name: _read(item) for name, item in value["payload"].items() if item is not None}
    computation = get(job["input"]).get("sent", {}).get("computation")
    return found if computation is None else {**found, "computation": _read(computation)}


def backend(value: Mapping[str, Any]) -> Any:
    """Of what runs here which simulation backend it is; nothing of a platform, which has a name."""
    return [value["name"], value["class"]] if "class" in value else None


def _digest(value: Any) -> bytes:
    try:
        return digest(encode(value))
    except NotEncodable:  # too long for one blob: links stand in its place
        return digest(encode(value, lambda data: Link(digest(data))))


def _unnamed(plain: Any) -> Any:
    if type(plain) is not Typed or type(plain.value) is not dict or "bytes" not in plain.value:
        return plain
    return Typed(plain.tag, unnamed({name: item for name, item in plain.value.items() if name != "names"}))


def _read(item: Any) -> Any:
    """A text in Perceval's archive form as plain values, without making anything of it; other texts uncompressed."""
    if not isinstance(item, str):
        return item
    if not item.startswith(_ARCHIVE):
        return inflated(item)
    try:
        archive = sdk("perceval.serialization", "a payload", "perceval").InputArchive.from_text(item)
        return [_tree(archive.memo, place, _MOST_NESTED) for place in archive.roots]
    except (ValueError, TypeError, LookupError, RuntimeError):
        return item  # of a version of Perceval that writes it in another way


def _tree(memo: list, place: int, depth: int) -> Any:
    if not depth:
        raise ValueError("nested too deep")
    tag, found = memo[place][0], memo[place][1].value

    def inside(at: int) -> Any:
        return _tree(memo, at, depth - 1)

    if isinstance(found, dict):
        pairs = [[inside(key), inside(item)] for key, item in found.items()]
        return [tag, sorted(pairs, key=lambda pair: encode(pair[0]))]
    if isinstance(found, list):
        return [tag, [inside(at) for at in found]]
    if isinstance(found, tuple):  # (version of its form, its members)
        left_out = _LEFT_OUT.get(tag, ())
        return [tag, {name: inside(at) for name, at in found[1] if name not in left_out}]
    return [tag, found]
