"""Values of Perceval <-> plain values: the walk over them, and what they hold for those who have no Perceval.

Classes are looked up in closed tables by their package and their name, so importing this module imports no SDK and data never
names code; a subclass that somebody made is none of them. The tables stand in the modules beside this one. An encoder is called
with the value and a `Part`; a decoder with the content of a tag and `from_plain`; a reader with it and `readable`.
"""

from collections.abc import Callable
from typing import Any

from ...errors import BadInput, NewerFormat, NotEncodable
from ...values import Array, Chunked, Link, Timestamp, Typed
from .. import python_values
from ..sdk import sdk
from . import distributions, serialized, settings, states
from .distributions import tally

Gap = Callable[[str, str], None]

_PLAIN = frozenset({str, int, float, bool, type(None)})
_LEAVES = _PLAIN | {bytes, complex, Link, Timestamp, Array, Chunked, Typed}
_PACKAGES = frozenset({"perceval", "exqalibur"})
_DROPPED = object()

_ENCODERS = {**states.ENCODERS, **distributions.ENCODERS, **serialized.ENCODERS, **settings.ENCODERS}
_DECODERS = {**python_values.DECODERS, **states.DECODERS, **distributions.DECODERS, **serialized.DECODERS, **settings.DECODERS}
_READERS = {**states.READERS, **distributions.READERS, **serialized.READERS, **settings.READERS}


class Part:
    """What an encoder turns the values inside a value with: it knows where they stand, and what a gap is."""

    __slots__ = ("gap", "path")

    def __init__(self, gap: Gap | None, path: str):
        self.gap, self.path = gap, path

    def __call__(self, value: Any, name: str) -> Any:
        """`to_plain` of what stands under `name`."""
        return value if type(value) in _LEAVES else _plain(value, self.gap, _below(self.path, name))

    def note(self, name: str, reason: str) -> None:
        """A gap about something that Perceval itself leaves out; without gaps it raises NotEncodable."""
        path = _below(self.path, name)
        if self.gap is None:
            raise NotEncodable(reason, path)
        self.gap(path, reason)


def to_plain(value: Any, path: str = "", gap: Gap | None = None) -> Any:
    """What `codec.encode` takes for `value`, with classes as `Typed` values; it may share containers with it.

    An entry of a map that cannot be stored is left out and `gap(path, reason)` is called; so it is where Perceval itself drops
    something of an object that is kept. Without `gap`, and where `value` itself cannot be stored, it raises NotEncodable with
    the path. A list goes as a whole, since an item left out would move its neighbours.
    """
    try:
        return _plain(value, gap, path)
    except RecursionError:
        raise NotEncodable("nested too deep, or inside itself", path) from None


def _plain(value, gap, path):
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        return _dict(value, gap, path)
    if kind in (list, tuple):
        items = [item if type(item) in _LEAVES else _plain(item, gap, _below(path, place)) for place, item in enumerate(value)]
        return items if kind is list else tuple(items)
    if kind is set:
        return {_key(item, _below(path, "{}")) for item in value}
    encode = _encoder(kind)
    if encode is None:
        raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__}", path)
    try:
        return encode(value, Part(gap, path))
    except NotEncodable as error:
        raise error if error.path else NotEncodable(error.reason, path) from None


def _encoder(kind: type) -> Callable | None:
    if kind.__module__.split(".")[0] in _PACKAGES:
        return _ENCODERS.get(kind.__qualname__)
    if kind.__module__ == "numpy" and issubclass(kind, sdk("numpy").generic):
        return python_values.scalar_to_plain
    return python_values.ENCODERS.get((kind.__module__, kind.__qualname__))


def _dict(value, gap, path):
    plain = {}
    for key, item in value.items():
        inside = _below(path, key)
        try:
            known = key if type(key) in _PLAIN else _key(key, inside)
            plain[known] = item if type(item) in _LEAVES else _plain(item, gap, inside)
        except NotEncodable as error:
            if gap is None:
                raise
            gap(error.path or inside, error.reason)
    return plain


def _key(key, path):
    plain = _plain(key, None, path)
    try:
        hash(plain)
    except TypeError:
        kind = type(key)
        raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__} as a key or an item of a set", path) from None
    return plain


def _below(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given, from what `codec.decode` returns, with which it may share containers.

    Arrays come back as numpy's. Raises MissingExtra, NewerFormat for a type tag of a later qarchive, and BadInput for a stored
    text that Perceval would evaluate as code.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {from_plain(key): from_plain(item) for key, item in value.items()}
    if kind is list:
        return [from_plain(item) for item in value]
    if kind is tuple:
        return tuple(map(from_plain, value))
    if kind is set:
        return set(map(from_plain, value))
    if kind is Array:
        return value.numpy()
    if kind is Typed:
        decode = _DECODERS.get(value.tag)
        if decode is None:
            raise NewerFormat("a value", f"type tag {value.tag}", "the tags of this version")
        return decode(value.value, from_plain)
    return value


# Without Perceval


def readable(value: Any) -> Any:
    """The same in Python's own types, without Perceval and numpy: states are text, arrays lists, objects maps of their fields.

    Counts and distributions are maps from the text of a state; samples a list of texts; a state vector a map to its amplitudes.
    """
    kind = type(value)
    if kind is dict:
        return {_readable_key(key): readable(item) for key, item in value.items()}
    if kind in (list, tuple):
        return kind(map(readable, value))
    if kind is Array:
        return value.tolist()
    if kind is Typed:
        read = _READERS.get(value.tag)
        return readable(value.value) if read is None else read(value.value, readable)
    return value


def _readable_key(key):
    return readable(key) if type(key) is Typed else key


def counts_of(plain: Any) -> dict[str, int]:
    """How often each state was there, by its text ("|0,1>"), of stored counts or samples. Raises BadInput for anything else."""
    if type(plain) is Typed and plain.tag == "perceval.BSCount":
        return readable(plain)
    if type(plain) is Typed and plain.tag == "perceval.BSSamples":
        return tally(plain.value)
    raise _no("counts or samples", plain)


def probabilities_of(plain: Any) -> dict[str, float]:
    """The probability of each state by its text, of a stored distribution. Raises BadInput for anything else."""
    if type(plain) is Typed and plain.tag == "perceval.BSDistribution":
        return readable(plain)
    raise _no("distribution", plain)


def samples_of(plain: Any) -> list[str]:
    """The states by their texts, in the order in which they were measured. Raises BadInput for anything but samples."""
    if type(plain) is Typed and plain.tag == "perceval.BSSamples":
        return readable(plain)
    raise _no("samples", plain)


def _no(wanted: str, plain: Any) -> BadInput:
    found = f"a {plain.tag}" if type(plain) is Typed else f"a {type(plain).__name__}"
    return BadInput("this result", f"{found} and no {wanted}")
