"""Plain values side by side: which settings two of them do not have alike, by their paths."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import codec, noise
from ..values import Array, Chunked, Link, Timestamp, Typed

Get = Callable[[Link], Any]

LONG = 60  # characters of a value that are shown
_FEW = 8  # items of a list of plain values that are shown


class _Absent:
    """A setting that one side does not have at all; None is a value like others."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True)
class Change:
    """A setting that is not alike. `path` is dotted; a side that does not have it is `ABSENT`.

    What stands in a blob of its own (a noise model) is text: what it is, and the first digits of its digest; `note` says what
    two of these do not have alike, where that can be said.
    """

    path: str
    one: Any
    other: Any
    note: str = ""

    @property
    def name(self) -> str:
        """The end of the path: what people call the setting."""
        return self.path.rpartition(".")[2]


def changes(get_one: Get, one: Any, get_other: Get, other: Any) -> list[Change]:
    """What two plain values do not have alike, by path, in the order of the first, then what only the second has.

    Maps are compared by key, lists of maps by place, all else as a whole (1 and 1.0 are two values); links by their digests and,
    where these are unequal, by what is behind them if that is of one type. `get_one(link)` and `get_other(link)` answer the
    plain value of a blob; `one` and `other` may be links themselves.
    """
    if one == other and type(one) is Link:
        return []
    one, other = (get(side) if type(side) is Link else side for get, side in ((get_one, one), (get_other, other)))
    return list(_changes(get_one, one, get_other, other, ""))


def shown(value: Any) -> str:
    """A value on one line, shortened; only for people."""
    kind = type(value)
    if kind is str:
        text = f'"{value}"' if value == "" or value != value.strip() else value
    elif kind is Typed:
        text = f"{value.tag} {shown(value.value)}"
    elif kind is Array:
        text = f"array of {value.dtype}, {'x'.join(map(str, value.shape)) or 'scalar'}"
        if type(value.data) is not Chunked and len(value.data) <= 64:
            text = shown(value.tolist())
    elif kind is dict:
        text = "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    elif kind in (list, tuple):
        text = "[" + ", ".join(map(shown, value[:_FEW])) + (", ..." if len(value) > _FEW else "") + "]"
    elif kind is bytes:
        text = f"{len(value)} bytes"
    elif kind is Link:
        text = str(value)[:12]
    elif kind is Timestamp:
        text = str(value)
    else:
        text = repr(value)
    return text if len(text) <= LONG else text[: LONG - 3].rstrip() + "..."


def _changes(get_one, one, get_other, other, path) -> Iterator[Change]:
    if type(one) is type(other) is Link:
        if one == other:
            return
        inside_one, inside_other = get_one(one), get_other(other)
        if _same_type(inside_one, inside_other):
            yield from _changes(get_one, inside_one, get_other, inside_other, path)
        else:
            yield Change(path, _blob(inside_one, one), _blob(inside_other, other), noise.apart(inside_one, inside_other))
    elif isinstance(one, Mapping) and isinstance(other, Mapping) and all(type(key) is str for key in (*one, *other)):
        for key in dict.fromkeys((*one, *other)):
            inside = f"{path}.{key}" if path else key
            yield from _changes(get_one, one.get(key, ABSENT), get_other, other.get(key, ABSENT), inside)
    elif type(one) is type(other) is list and len(one) == len(other) and any(type(item) in (dict, Link) for item in one):
        for place, (left, right) in enumerate(zip(one, other)):
            yield from _changes(get_one, left, get_other, right, f"{path}[{place}]")
    elif type(one) is type(other) is Typed and one.tag == other.tag and type(one.value) is type(other.value) is dict:
        yield from _changes(get_one, one.value, get_other, other.value, path)
    elif not _alike(one, other):
        yield Change(path, _side(get_one, one), _side(get_other, other))


def _same_type(one, other) -> bool:
    """Whether two blobs are maps that say their type, and say the same; what does not (a noise model) is all columns."""
    return type(one) is type(other) is dict and "type" in one and one["type"] == other.get("type")


def _alike(one, other) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return codec.encode(one, _piece) == codec.encode(other, _piece)


def _piece(piece: bytes) -> Link:
    """The link to a piece of a long byte string; nothing is stored."""
    return Link(codec.digest(piece))


def _side(get, value):
    """A side that stands alone: of a noise model with what is in it."""
    if type(value) is not Link:
        return value
    held = get(value)
    return _blob(held, value) + (f", {noise.told(held)}" if noise.is_model(held) else "")


def _blob(value, link) -> str:
    if noise.is_model(value):
        return f"noise model {str(link)[:12]}"
    what = value.tag if type(value) is Typed else value.get("type", "blob") if type(value) is dict else "blob"
    return f"{what} {str(link)[:12]}"
