"""Plain values as text for people. Needs neither an SDK nor numpy; as JSON they are in `json_forms`."""

import math
from typing import Any

from .codec import ITEM_SIZES, Array, Chunked, Link, Timestamp, Typed
from .json_forms import opened
from .printable import clean

LINE = 100  # characters that a list or map may take on one line
FEW = 10  # items shown of a long list
MANY = 20  # items that are all shown
TEXT = 200  # characters shown of a long text

_ITEMS = {"b": "truth values", "i": "integers", "u": "integers", "f": "numbers", "c": "complex numbers"}


def to_text(value: Any, full: bool = False, indent: str = "") -> str:
    """A plain value in a form like JSON, safe to print. Long lists, arrays and texts are shortened unless `full`."""
    kind = type(value)
    if kind is dict:
        items = [f"{to_text(key, True)}: {to_text(item, full, indent + '  ')}" for key, item in value.items()]
        return _block("{", items, "}", full, indent)
    if kind in (list, tuple, set):
        shown = list(value) if kind is not set else sorted(value, key=repr)
        left = 0 if full or len(shown) <= MANY else len(shown) - FEW
        items = [to_text(item, full, indent + "  ") for item in (shown[:-left] if left else shown)]
        items += [f"... {left:,} more"] if left else []
        return ("" if kind is list else kind.__name__ + " ") + _block("[", items, "]", True, indent)
    if kind is str:
        shown = value if full or len(value) <= TEXT else value[:TEXT]
        quoted = '"' + clean(shown.replace("\\", "\\\\").replace('"', '\\"')) + '"'
        return quoted if shown is value else f"{quoted}... {len(value):,} characters"
    if kind is bytes:
        shown = value if full or len(value) <= FEW + MANY else value[:FEW]
        return f"bytes({len(value)}) {shown.hex()}" + ("" if shown is value else "...")
    if kind is Link:
        return f"link {value}"
    if kind is Timestamp:
        return f"time {value}"
    if kind is Typed:
        return f"{clean(value.tag)} {to_text(opened(value), full, indent)}"
    if kind is Chunked:
        return f"bytes({value.length}) in {len(value.links)} chunks " + to_text(list(value.links), full, indent)
    if kind is Array:
        return f"array({value.dtype} {shape(value)}) {_array(value, full, indent)}"
    return "null" if value is None else str(value).lower() if kind is bool else repr(value)


def shape(array: Array) -> str:
    return "x".join(map(str, array.shape)) or "scalar"


def describe(value: Any) -> str:
    """What kind of value it is, and how large, on one line."""
    kind = type(value)
    if kind is Typed:
        if value.tag in ("counts", "memory"):
            return describe(opened(value))
        parts = value.value if type(value.value) is list else []
        array = next((part for part in parts if type(part) is Array), value.value)
        return f"{clean(value.tag)}, {describe(array)}"
    if kind is Array:
        if not value.shape and type(value.data) is not Chunked:
            return to_text(value.tolist())
        sizes = " x ".join(f"{size:,}" for size in value.shape)
        return f"array of {sizes or 'one of'} {'bytes' if value.dtype == '|u1' else _ITEMS[value.dtype[1]]}"
    if kind in (dict, list, tuple, set):
        return f"{'map' if kind is dict else kind.__name__} of {len(value):,}"
    return f"{len(value):,} bytes" if kind is bytes else to_text(value)


def _array(array: Array, full: bool, indent: str) -> str:
    if type(array.data) is Chunked:
        return to_text(array.data, full, indent)
    total = math.prod(array.shape)
    if full or total <= MANY:
        return to_text(array.tolist(), True, indent)
    some = Array(array.dtype, (FEW,), bytes(array.data[: FEW * ITEM_SIZES[array.dtype]])).flat()
    return f"[{', '.join(map(repr, some))}, ... {total - FEW:,} more]"


def _block(opening: str, items: list[str], closing: str, full: bool, indent: str) -> str:
    """Items on one line where they fit, else one a line."""
    line = opening + ", ".join(items) + closing
    if len(line) + len(indent) <= LINE and "\n" not in line:
        return line
    left = 0 if full or len(items) <= 5 * MANY else len(items) - MANY
    items = [*items[:-left], f"... {left:,} more"] if left else items
    return f"{opening}\n" + ",\n".join(f"{indent}  {item}" for item in items) + f"\n{indent}{closing}"
