"""Plain values as JSON for programs. It needs neither an SDK nor numpy."""

import json
import math
from base64 import b64encode
from typing import Any

from . import columns
from .codec import Array, Chunked, Link, Timestamp, Typed
from .errors import NotCanonical

JSON_FORMS = """\
What JSON has no form for: {"$link": digest}, {"$time": ISO}, {"$bytes": base64}, {"$tuple": [...]}, {"$set": [...]},
{"$map": [[key, value], ...]}, {"$complex": [re, im]}, {"$float": "nan"}, {"$array": dtype, "shape": [...], "data": [...]},
{"$type": tag, "value": ...}, {"$chunked": bytes, "links": [...]}."""


def to_json(value: Any) -> Any:
    """A plain value as JSON can hold it; what it has no form for is a map whose first key begins with `$`."""
    kind = type(value)
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: to_json(item) for key, item in value.items()}
        return {"$map": [[to_json(key), to_json(item)] for key, item in value.items()]}
    if kind is list:
        return [to_json(item) for item in value]
    if kind is float and not math.isfinite(value):
        return {"$float": str(value)}
    if kind is complex:
        return {"$complex": [to_json(value.real), to_json(value.imag)]}
    if kind is bytes:
        return {"$bytes": b64encode(value).decode()}
    if kind is tuple:
        return {"$tuple": [to_json(item) for item in value]}
    if kind is set:
        return {"$set": sorted((to_json(item) for item in value), key=json.dumps)}
    if kind is Link:
        return {"$link": str(value)}
    if kind is Timestamp:
        return {"$time": str(value)}
    if kind is Typed:
        return {"$type": value.tag, "value": to_json(opened(value))}
    if kind is Chunked:
        return {"$chunked": value.length, "links": [str(link) for link in value.links]}
    if kind is Array:
        data = to_json(value.data) if type(value.data) is Chunked else to_json(value.tolist())
        return {"$array": value.dtype, "shape": list(value.shape), "data": data}
    return value


def opened(value: Typed) -> Any:
    """Columns as the dict or list that they stand for; as they are where they stand for none."""
    try:
        if value.tag == "counts":
            return columns.unpack_counts(value)
        if value.tag == "memory":
            return columns.unpack_memory(value)
    except NotCanonical:
        pass  # of a stranger's making: shown as it is
    return value.value
