"""Texts of Pasqal's cloud <-> plain values, exactly: serialised sequences and devices, and texts with fresh UUIDs in them.

A sequence is kept as the provider `pulser` keeps one: its device and its register are blobs of their own, shared by all that use
them. What a map forgets, the order of its keys, is kept beside it, so that the text comes back to the last byte.
"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from ...errors import NotEncodable
from ..base import Get, Stage
from ..pulser.sequences import REGISTER, SEQUENCE, put_device

_OF_REGISTER = ("register", "layout")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_NUMBERED = "00000000-0000-0000-0000-{:012x}"


# Sequences


def put_sequence(stage: Stage, text: str) -> dict[str, Any]:
    """What stands for a serialised sequence in a blob; `sequence_text` gives the same text again.

    `sequence` is a link to it as Pulser's values and `keys` one to the order of its keys; `text` is the text itself, where these
    do not give it back or where it is no sequence.
    """
    plain = _object(text)
    if plain is None or type(plain.get("device")) is not dict:
        return {"text": text}
    device, rest = plain["device"], dict(plain)
    register = {name: rest.pop(name) for name in _OF_REGISTER if name in rest}
    del rest["device"]
    try:
        value = {"type": SEQUENCE, "device": put_device(stage, device), "sequence": rest,
                 "register": stage.put("register", {"type": REGISTER, **register})}  # fmt: skip
        found: dict[str, Any] = {"sequence": stage.put("sequence", value)}
    except NotEncodable:  # it is nested too deep
        return {"text": text}
    return found | _put_keys(stage, plain, text, device)


def sequence_text(get: Get, held: Mapping[str, Any] | None) -> str | None:
    """The text that `put_sequence` was given; None for None."""
    if held is None or "text" in held:
        return held and held["text"]
    value, keys = get(held["sequence"]), get(held["keys"])
    register = get(value["register"])
    whole = {**value["sequence"], **{name: register[name] for name in _OF_REGISTER if name in register}, "device": None}
    whole = _ordered(whole, keys["order"])
    whole["device"] = _ordered(get(value["device"])["specs"], get(keys["device"])["order"])
    return json.dumps(whole)


def put_specs(stage: Stage, text: str) -> dict[str, Any]:
    """The same for a serialised device, whose blob is that of the sequences on it: `device` and `keys`, or `text`."""
    plain = _object(text)
    if plain is None:
        return {"text": text}
    try:
        device = put_device(stage, plain)
    except NotEncodable:
        return {"text": text}
    return {"device": device, **_put_keys(stage, plain, text)}


def _put_keys(stage: Stage, plain: dict, text: str, device: dict | None = None) -> dict[str, Any]:
    """The order of the keys, with which `plain` is the text again; where that is not enough the text itself."""
    if json.dumps(plain) != text:
        return {"text": text}
    try:
        if device is None:
            return {"keys": stage.put("keys", {"order": _order(plain)})}
        order = {"order": _order(plain | {"device": None}), "device": stage.put("keys", {"order": _order(device)})}
        return {"keys": stage.put("keys", order)}
    except NotEncodable:  # orders are nested twice as deep
        return {"text": text}


def specs_text(get: Get, held: Mapping[str, Any]) -> str | None:
    """The text that `put_specs` was given; None where there is none."""
    if "text" in held or "device" not in held:
        return held.get("text")
    return json.dumps(_ordered(get(held["device"])["specs"], get(held["keys"])["order"]))


def device_name(text: str | None) -> str | None:
    """The name of the device in a serialised sequence."""
    device = (_object(text) or {}).get("device") if text is not None else None
    name = device.get("name") if type(device) is dict else device
    return name if type(name) is str else None


def _object(text: Any) -> dict | None:
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return found if type(found) is dict else None


def _order(value: Any) -> Any:
    """The keys of all maps in a tree: of a map [keys, orders of its values], of a list those of its items, or the one of all."""
    if type(value) is dict:
        inner = [_order(item) for item in value.values()]
        return [list(value), inner] if any(item is not None for item in inner) else [list(value)]
    if type(value) is list:
        inner = [_order(item) for item in value]
        if all(item is None for item in inner):
            return None
        return inner[:1] if all(item == inner[0] for item in inner) else inner
    return None


def _ordered(value: Any, order: Any) -> Any:
    if type(value) is dict:
        names = order[0]
        inner = order[1] if len(order) > 1 else [None] * len(names)
        return {name: _ordered(value[name], item) for name, item in zip(names, inner, strict=True)}
    if type(value) is list and order is not None:
        inner = order * len(value) if len(order) == 1 else order
        return [_ordered(item, each) for item, each in zip(value, inner, strict=True)]
    return value


# Texts with UUIDs that are fresh in every run


def without_uuids(text: str) -> tuple[str, list[str]]:
    """(the text with its UUIDs numbered in the order in which they come, the UUIDs): equal for equal runs."""
    numbers: dict[str, int] = {}
    plain = _UUID.sub(lambda found: _NUMBERED.format(numbers.setdefault(found[0], len(numbers))), text)
    return plain, list(numbers)


def with_uuids(text: str, uuids: list[str]) -> str:
    """The text again. Numbers beyond the UUIDs stay."""
    known = {_NUMBERED.format(number): found for number, found in enumerate(uuids)}
    return _UUID.sub(lambda found: known.get(found[0], found[0]), text)


def with_fresh_uuids(text: str) -> str:
    """A text of which the UUIDs were numbered, with others."""
    return with_uuids(text, [str(uuid.uuid4()) for _ in without_uuids(text)[1]])
