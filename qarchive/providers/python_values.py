"""Values of Python itself, numpy and scipy <-> plain values: arrays, scalars, times, slices, ranges, sparse matrices.

`ENCODERS` are by class, exactly, and `DECODERS` by tag; `qiskit_values` says what they are given. What can be the key of a
dict becomes tuples, so that it can be a key here too.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

from ..codec import encode
from ..errors import MissingExtra, NotEncodable
from ..values import ITEM_SIZES, Array, Typed
from .sdk import sdk

_DTYPE = re.compile(r"[<>|](?:[iufc]\d+|[US]\d+|[mM]8(?:\[\d*\w+\])?)\Z")
_ZONES = {"dateutil.tz.tz.tzutc": ("tzutc",), "dateutil.tz.tz.tzlocal": ("tzlocal",),
          "pydantic_core._pydantic_core.TzInfo": ("pydantic",)}  # fmt: skip
_SPARSE = re.compile(r"(csr|csc|coo|bsr|dia)_(matrix|array)\Z")
_COMPRESSED = ("csr", "csc", "bsr")
_SPARSE_PARTS = {
    **dict.fromkeys(_COMPRESSED, ("data", "indices", "indptr")),
    "coo": ("data", "coords", "has_canonical_format"),
    "dia": ("data", "offsets"),
}


def array_to_plain(value: Any, part: Callable) -> Array | Typed:
    """A numpy array, exactly of that class: its dtype, shape and items. The order of its memory is not kept."""
    dtype = value.dtype
    if dtype.str in ITEM_SIZES:
        return Array.of(value)
    if dtype.kind == "O":
        return Typed("numpy.objects", [list(value.shape), part(value.reshape(-1).tolist(), "items")])
    if dtype.names is not None:
        raise NotEncodable(f"an array whose items have fields ({', '.join(dtype.names)})")
    if not _DTYPE.match(dtype.str):
        raise NotEncodable(f"an array of dtype {dtype}")
    return Typed("numpy.array", (dtype.str, Array.of(_items(value, dtype))))


def _items(value, dtype):
    """The items of an array of a dtype that the codec lacks, in one that it has; text and bytes get an axis of their own."""
    numpy = sdk("numpy")
    if dtype.kind in "mM":
        return value.astype(dtype.newbyteorder("<"), copy=False).view("<i8")
    if dtype.kind not in "US":
        return value.astype(dtype.newbyteorder("<"), copy=False)  # Array.of refuses those that are too wide
    code = numpy.dtype("<u4" if dtype.kind == "U" else "|u1")
    width = dtype.itemsize // code.itemsize
    if not (width and value.size):
        return numpy.zeros((*value.shape, width), "|u1")
    points = numpy.ascontiguousarray(value, dtype.newbyteorder("<")).reshape(-1).view(code).reshape(*value.shape, width)
    return points.astype(numpy.min_scalar_type(points.max()))


def _new_array(parts, whole):
    dtype, items = parts
    if not _DTYPE.match(dtype):
        raise ValueError(f"an array of dtype {dtype!r}, which is not one of those that are stored so")
    numpy = sdk("numpy")
    dtype, items = numpy.dtype(dtype), items.numpy()
    if dtype.kind in "mM":
        return items.view(dtype.newbyteorder("<")).astype(dtype)
    if dtype.kind not in "US":
        return items.astype(dtype)
    code = numpy.dtype("<u4" if dtype.kind == "U" else "|u1")
    if items.ndim == 0 or items.shape[-1] * code.itemsize != dtype.itemsize:
        raise ValueError(f"an array of dtype {dtype} with items of the shape {items.shape}")
    found = numpy.zeros(items.shape[:-1], dtype)
    if items.size:
        points = items.astype(code)
        found[...] = points.view(dtype.newbyteorder("<")).reshape(found.shape)
    return found


def _new_objects(parts, whole):
    shape, items = parts
    array = sdk("numpy").empty(len(items), dtype=object)
    for place, item in enumerate(items):  # one by one: numpy would look into those that are sequences
        array[place] = whole(item)
    return array.reshape(shape)


def scalar_to_plain(value: Any, part: Callable) -> Typed:
    """One of numpy's numbers, times or texts; its class is that of the dtype."""
    array = sdk("numpy").asarray(value)
    if array.dtype.kind == "V":
        raise NotEncodable("a record of numpy's, which has fields")
    if array.dtype.kind in "US" and array[()] != value:
        raise NotEncodable("a text of numpy's that ends with a null character")
    return Typed("numpy.scalar", array_to_plain(array, part))


def _new_scalar(value, whole):
    return (value.numpy() if type(value) is Array else _new_array(value.value, whole))[()]


def _sparse(value, part):
    """A sparse matrix or array of scipy's: its class, its shape and the arrays that it is made of."""
    parts = [part(getattr(value, name), name) for name in _SPARSE_PARTS[value.format]]
    return Typed("scipy.sparse", [type(value).__name__, list(map(int, value.shape)), *parts])


def _new_sparse(parts, whole):
    name, shape, *arrays = parts
    form = _SPARSE.match(name)
    if form is None:
        raise ValueError(f"a sparse matrix of class {name!r}")
    values = list(map(whole, arrays))
    if form[1] in _COMPRESSED:  # the constructor makes the last of the arrays as long as the shape says
        axis = shape[1 if form[1] == "csc" else 0]
        if axis // (values[0].shape[1] if form[1] == "bsr" else 1) + 1 != len(values[2]):
            raise ValueError(f"a sparse matrix of the shape {shape} with {len(values[2])} bounds")
    matrix = getattr(sdk("scipy.sparse"), name)(tuple(shape), dtype=values[0].dtype)
    for attribute, value in zip(_SPARSE_PARTS[form[1]], values, strict=True):
        setattr(matrix, attribute, value)  # a constructor given arrays would narrow the indices
    return matrix


def _datetime(value: datetime, part) -> Typed:
    """ISO text; beside it what the text leaves out: which kind of zone it was, and which of two equal times of a fold."""
    zone = _zone(value.tzinfo) if value.tzinfo is not None else ()
    text = value.isoformat()
    return Typed("datetime", (text, value.fold, *zone) if zone or value.fold else text)


def _zone(zone) -> tuple:
    kind = f"{type(zone).__module__}.{type(zone).__qualname__}"
    if kind == "datetime.timezone":
        name = zone.tzname(None)
        return () if name == timezone(zone.utcoffset(None)).tzname(None) else ("timezone", name)
    if kind == "zoneinfo.ZoneInfo":
        return ("zoneinfo", zone.key) if zone.key else ()
    if kind == "dateutil.tz.tz.tzoffset":
        return ("tzoffset", zone.tzname(None))
    return _ZONES.get(kind, ())


def _new_datetime(value, whole) -> datetime:
    """The time; its zone where this computer has it and agrees about the offset, else a zone with that offset."""
    if type(value) is str:
        return datetime.fromisoformat(value)
    text, fold, *zone = value
    time = datetime.fromisoformat(text).replace(fold=fold)
    found = _new_zone(time.utcoffset(), *zone) if zone else None
    other = time if found is None else time.replace(tzinfo=found)
    return other if other.utcoffset() == time.utcoffset() else time


def _new_zone(offset: timedelta, kind: str, name: str | None = None):
    if kind == "timezone":
        return timezone(offset, name)
    try:
        if kind == "zoneinfo":
            return sdk("zoneinfo").ZoneInfo(name)
        if kind == "pydantic":
            return sdk("pydantic_core").TzInfo(offset.total_seconds())
        zones = sdk("dateutil.tz")
        return zones.tzoffset(name, offset) if kind == "tzoffset" else {"tzutc": zones.tzutc, "tzlocal": zones.tzlocal}[kind]()
    except (MissingExtra, KeyError, ValueError, OSError):  # a package, a zone or a kind of zones that is not here
        return None


def _frozenset(value, part) -> Typed:
    return Typed("frozenset", tuple(sorted((part(item, "{}") for item in value), key=encode)))


def _delta(value: timedelta, part) -> Typed:
    return Typed("timedelta", (value.days, value.seconds, value.microseconds))


def _bounds(tag: str) -> Callable:
    return lambda value, part: Typed(tag, [part(value.start, "start"), part(value.stop, "stop"), part(value.step, "step")])


ENCODERS: dict[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): array_to_plain,
    ("datetime", "datetime"): _datetime,
    ("datetime", "date"): lambda value, part: Typed("date", value.isoformat()),
    ("datetime", "timedelta"): _delta,
    ("builtins", "slice"): _bounds("slice"),
    ("builtins", "range"): _bounds("range"),
    ("builtins", "frozenset"): _frozenset,
    **{(f"scipy.sparse._{form}", f"{form}_{kind}"): _sparse for form in _SPARSE_PARTS for kind in ("matrix", "array")},
}

DECODERS: dict[str, Callable] = {
    "redacted": lambda reason, whole: f"[redacted {reason}]",  # as it stands in texts of which a part was removed
    "numpy.scalar": _new_scalar,
    "numpy.array": _new_array,
    "numpy.objects": _new_objects,
    "datetime": _new_datetime,
    "date": lambda text, whole: date.fromisoformat(text),
    "timedelta": lambda parts, whole: timedelta(*parts),
    "slice": lambda parts, whole: slice(*map(whole, parts)),
    "range": lambda parts, whole: range(*map(whole, parts)),
    "frozenset": lambda parts, whole: frozenset(map(whole, parts)),
    "scipy.sparse": _new_sparse,
}
