"""Values of Qiskit, numpy and Python <-> plain values: the walk over them, and the tables of what each class becomes.

Classes are looked up by their exact module and name in closed tables, so importing this module imports no SDK, data never
names code, and a subclass that nobody registered is refused rather than stored as its parent. The tables stand in modules of
their own. An encoder is called with the value and a `Part`; a decoder with the content of a tag and `from_plain`.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from ...codec import encode
from ...errors import NewerFormat, NotEncodable
from ...values import Array, Chunked, Link, Timestamp, Typed
from .. import python_values
from ..sdk import sdk as sdk
from . import information

Gap = Callable[[str, str], None]

_PLAIN = frozenset({str, int, float, bool, type(None)})
_TEXT = frozenset({str})
_LEAVES = _PLAIN | {bytes, complex, Link, Timestamp, Array, Chunked, Typed}
_DROPPED = object()

_ENCODERS: dict[tuple[str, str], Callable] = {**python_values.ENCODERS, **information.ENCODERS}
_DECODERS: dict[str, Callable] = {**python_values.DECODERS, **information.DECODERS}
# They build on this module and are imported when needed.
_PROVIDERS = __package__.rpartition(".")[0]
_LATER = ("qiskit.containers", "qiskit.inline", "ibm.containers", "pulser.values")


class Part:
    """What an encoder turns the values inside a value with: it knows where they stand, and what a gap is."""

    __slots__ = ("gap", "path")

    def __init__(self, gap: Gap | None, path: str | tuple):
        self.gap, self.path = gap, path

    def __call__(self, value: Any, name: str) -> Any:
        """`to_plain` of what stands under `name`."""
        return value if type(value) in _LEAVES else _plain(value, self.gap, (self.path, name))

    def spare(self, value: Any, name: str, instead: Any) -> Any:
        """The same for a part without which the others are still worth keeping: `instead` where there are gaps and it is one."""
        plain = _kept(value, self.gap, (self.path, name))
        return instead if plain is _DROPPED else plain

    def gaps(self) -> Gap | None:
        """A function that tells gaps whose paths begin at this value, or None where there are to be none."""
        gap = self.gap
        return gap and (lambda path, reason: gap(_dotted((self.path, path)), reason))


def to_plain(value: Any, gap: Gap | None = None, path: str | tuple = "") -> Any:
    """What `codec.encode` takes for `value`, with classes as `Typed` values; containers are copied only where they must be.

    A part that cannot be stored raises NotEncodable with its path; with `gap` it is left out instead and `gap(path, reason)`
    is called. Raises NotEncodable in any case where `value` itself cannot be stored. `path` is where `value` stands.
    """
    try:
        return _plain(value, gap, path)
    except RecursionError:
        raise NotEncodable("nested too deep, or inside itself", _dotted(path)) from None


def to_parts(value: dict, gap: Gap | None = None, path: str = "", levels: int = 3) -> dict:
    """`to_plain` of a map whose other entries stay where `codec.encode` would refuse one: text, depth, or what holds itself.

    Entries that are maps are looked into, `levels` deep; without `gap` it raises NotEncodable.
    """
    gaps: list[tuple[str, str]] = []
    try:
        plain = _checked(value, gap and (lambda *found: gaps.append(found)), path)
    except NotEncodable:
        if gap is None:
            raise
    else:
        for found in gaps:
            gap(*found)
        return plain
    plain = {}
    for key, item in value.items():
        inside = _dotted((path, key))
        if type(item) is dict and levels:
            item = to_parts(item, gap, inside, levels - 1)
        gaps.clear()
        try:
            plain |= _checked({key: item}, lambda *found: gaps.append(found), path)
        except NotEncodable as error:
            gaps[:] = [(inside, error.reason)]
        for found in gaps:
            gap(*found)
    return plain


def _checked(value, gap, path) -> Any:
    plain = to_plain(value, gap, path)
    encode([[[[[[plain]]]]]], lambda piece: Link(bytes(32)))  # it stands that deep in a blob, or less
    return plain


def _plain(value, gap, path):
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        return _dict(value, gap, path)
    if kind is list:
        return value if _LEAVES.issuperset(map(type, value)) else _items(value, gap, path)
    if kind is tuple:
        return tuple(_items(value, gap, path))
    if kind is set:
        return {_key(item, None, (path, "{}")) for item in value}
    encode = _encoder(kind)
    if encode is None:
        raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__}", _dotted(path))
    try:
        return encode(value, Part(gap, path))
    except NotEncodable as error:
        if error.path:
            raise
        raise NotEncodable(error.reason, _dotted(path)) from None


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given, from what `codec.decode` returns, with which it may share containers.

    Arrays come back as numpy's. Raises MissingExtra, and NewerFormat for a type tag of a later qarchive.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        if _PLAIN.issuperset(map(type, value.values())) and _PLAIN.issuperset(map(type, value)):
            return value
        return {from_plain(key): from_plain(item) for key, item in value.items()}
    if kind is list:
        return value if _PLAIN.issuperset(map(type, value)) else [from_plain(item) for item in value]
    if kind is tuple:
        return tuple(map(from_plain, value))
    if kind is set:
        return set(map(from_plain, value))
    if kind is Array:
        return value.numpy()
    if kind is Typed:
        decode = _DECODERS.get(value.tag) or _later()[1].get(value.tag)
        if decode is None:
            raise NewerFormat("a value", f"type tag {value.tag}", "the tags of this version")
        return decode(value.value, from_plain)
    return value


def _encoder(kind: type) -> Callable | None:
    name = kind.__module__, kind.__qualname__
    encode = _ENCODERS.get(name)
    if encode is not None:
        return encode
    if kind.__module__ == "numpy" and issubclass(kind, sdk("numpy").generic):
        return python_values.scalar_to_plain
    return _later()[0].get(name) or import_module(f"{__package__}.inline").operation_encoder(kind)


@cache
def _later() -> tuple[dict[tuple[str, str], Callable], dict[str, Callable]]:
    """The tables of the modules that build on this one."""
    encoders: dict = {}
    decoders: dict = {}
    for name in _LATER:
        module = import_module(f"{_PROVIDERS}.{name}")
        encoders |= module.ENCODERS
        decoders |= module.DECODERS
    return encoders, decoders


def _dict(value, gap, path):
    if _LEAVES.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value)):
        return value
    plain = {}
    for key, item in value.items():
        if type(item) not in _LEAVES:
            item = _kept(item, gap, (path, key))
            if item is _DROPPED:
                continue
        if type(key) not in _PLAIN:
            key = _kept(key, gap, (path, key), _key)
            if key is _DROPPED:
                continue
        plain[key] = item
    return plain


def _key(key, gap, path):
    plain = _plain(key, None, path)
    try:
        hash(plain)
    except TypeError:
        kind = type(key)
        reason = f"a {kind.__module__}.{kind.__qualname__} as a key or an item of a set"
        raise NotEncodable(reason, _dotted(path)) from None
    return plain


def _items(values, gap, path):
    # An item that is left out of a sequence would move its neighbours: the sequence goes as a whole.
    return [
        item if type(item) in _LEAVES else _plain(item, gap if _holds(type(item)) else None, (path, i))
        for i, item in enumerate(values)
    ]


def _holds(kind) -> bool:
    """Whether a part of a value of this class can be left out of it."""
    return kind is dict or (kind.__module__, kind.__qualname__) in _later()[0]


def _kept(item, gap, path, plain=_plain):
    if gap is None:
        return plain(item, None, path)
    try:
        return plain(item, gap, path)
    except NotEncodable as error:
        gap(error.path or _dotted(path), error.reason)
        return _DROPPED


def _dotted(path) -> str:
    """A path as text; while the walk goes on it is pairs of the path outside and a key, since nearly none is ever shown."""
    if type(path) is str:
        return path
    outside, key = path
    return f"{_dotted(outside)}.{key}" if outside else str(key)
