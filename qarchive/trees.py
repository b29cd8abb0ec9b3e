"""JSON-like trees with their shape and their values apart, so that two trees of one shape share a blob for it.

`spec/format.md`, "Columns", is the contract. A device's calibration of today is the template of yesterday's with other numbers
in it: the template is stored once, and a day costs its columns.
"""

import re
import struct
from array import array
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import compress, repeat
from typing import Any

from .columns import unsigned
from .errors import NotCanonical, NotEncodable
from .values import Array, Chunked, Link, Timestamp, Typed

NUMBER, INTEGER, TIME, TEXT = b"n", b"i", b"t", b"s"  # what stands in a template where a value of a column belongs

FLOAT, WHOLE, NOTHING = range(3)  # kinds of an item among numbers: a float, an integer, nil

_EXACT = 1 << 53  # integers up to here are floats without loss
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1
_SIGNED = (("|i1", "b", 1 << 7), ("<i2", "h", 1 << 15), ("<i4", "i", 1 << 31), ("<i8", "q", 1 << 63))
_UNSIGNED = frozenset({"|u1", "<u2", "<u4", "<u8"})
_INTEGERS = _UNSIGNED | {dtype for dtype, _, _ in _SIGNED}
_CONSTANTS = frozenset({str, int, bool, type(None), Link, Typed})
_SECOND = 1_000_000_000  # ns
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ])([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2}|)", re.ASCII
)
_FORM = re.compile(r"([T ])([0-9]?)(Z|[+-][0-9]{2}:?[0-9]{2}|)", re.ASCII)
_LONGEST = 35  # characters of such a text
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def split(tree: Any, fixed: bool = False) -> tuple[Any, dict[str, Any]]:
    """(template, columns) of a tree of dicts with text as keys, lists, text, numbers, booleans, None and Timestamps.

    The template has the tree's shape, its booleans and its None. Floats and times go into columns, and with them integers and
    None that stand where another item has a float: at the same keys, whatever the places in lists. Integers and texts go into
    columns too, or stay in the template where they are `fixed`: for trees of which only measured figures change. A text is a
    time where it is ISO 8601 and can be written again from the nanoseconds. Integers beyond 64 bits, links and typed values stay
    in the template.

    Equal trees give equal parts. Credentials must be removed before: a column does not know under which key a text stood. Raises
    NotEncodable for anything else in the tree, with its path.
    """
    return _Split(fixed).parts(tree)


def join(template: Any, columns: Mapping[str, Any]) -> Any:
    """The tree again, equal to what was split: integers are integers, -0.0 and NaN are kept, keys are in canonical order.

    Raises NotCanonical where template and columns do not fit, before more memory is taken than they have themselves.
    """
    needed = dict.fromkeys((NUMBER, INTEGER, TIME, TEXT), 0)
    for item in _leaves(template):
        if type(item) is bytes:
            if item not in needed:
                raise NotCanonical("a template with a byte string that names no column")
            needed[item] += 1
    if type(columns) is not dict or not columns.keys() <= {"numbers", "kinds", "integers", "times", "texts"}:
        raise NotCanonical("columns of a tree that are none")
    sources = {
        NUMBER: iter(_numbers(columns, needed[NUMBER])),
        INTEGER: iter(_integers(columns, needed[INTEGER])),
        TIME: iter(_times(columns, needed[TIME])),
        TEXT: iter(_texts(columns, needed[TEXT])),
    }
    return _filled(template, sources)


class _Class:
    """All places of a tree that are reached by the same keys, whatever the places in lists."""

    __slots__ = ("floats", "inside")

    def __init__(self):
        self.floats = False
        self.inside: dict[str, _Class] = {}


class _Split:
    def __init__(self, fixed):
        self.fixed = fixed
        self.numbers, self.kinds = array("d"), bytearray()
        self.integers: list[int] = []
        self.times: list[int] = []
        self.forms: list[str | None] = []
        self.texts: list[str] = []

    def parts(self, tree):
        root = _Class()
        try:
            _classify(tree, root)
            template = self.template(tree, root, "")
        except RecursionError:
            raise NotEncodable("nested too deep") from None
        return template, self.columns()

    def template(self, value, place, path):
        kind = type(value)
        if kind is dict:
            shape = {}
            for key in sorted(value):  # the order in which a decoder finds them
                shape[key] = self.template(value[key], place.inside[key], (path, key))
            return shape
        if kind is list:
            return [self.template(item, place, (path, i)) for i, item in enumerate(value)]
        if kind is float:
            return self.number(value, FLOAT)
        if kind is str:
            moment = _moment(value) if 19 <= len(value) <= _LONGEST else None
            if moment is not None:
                return self.time(*moment)
            if not self.fixed:
                self.texts.append(value)
                return TEXT
        elif kind is Timestamp:
            return self.time(value.ns, None)
        elif place.floats and value is None:
            return self.number(0.0, NOTHING)
        elif kind is int and place.floats and -_EXACT <= value <= _EXACT:
            return self.number(float(value), WHOLE)
        elif kind is int and not self.fixed and _LOWEST <= value <= _HIGHEST:
            self.integers.append(value)
            return INTEGER
        elif kind not in _CONSTANTS:
            raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__} in a tree", _dotted(path))
        return value

    def number(self, value, kind):
        self.numbers.append(value)
        self.kinds.append(kind)
        return NUMBER

    def time(self, ns, form):
        self.times.append(ns)
        self.forms.append(form)
        return TIME

    def columns(self):
        columns: dict[str, Any] = {}
        if self.numbers:
            columns["numbers"] = _floats(self.numbers)
            if any(self.kinds):
                columns["kinds"] = Array("|u1", (len(self.kinds),), bytes(self.kinds))
        if self.integers:
            columns["integers"] = _whole(self.integers)
        if self.times:
            columns["times"] = _moments(self.times, self.forms)
        if self.texts:
            table, places = _table(self.texts)
            columns["texts"] = {"table": table, "places": unsigned(places)}
        return columns


def _classify(value, place):
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotEncodable(f"a key {key!r} that is no text in a tree")
            inside = place.inside.get(key)
            if inside is None:
                inside = place.inside[key] = _Class()
            _classify(item, inside)
    elif kind is list:
        for item in value:
            _classify(item, place)
    elif kind is float:
        place.floats = True


def _dotted(path) -> str:
    if path == "":
        return ""
    outside, key = path
    return f"{_dotted(outside)}.{key}" if outside else str(key)


def _table(items: list) -> tuple[list, list[int]]:
    """(the distinct items in order of first appearance, the place of each)."""
    places: dict = {}
    indices = [places.setdefault(item, len(places)) for item in items]
    return list(places), indices


def _floats(numbers: array) -> Array:
    return Array("<f8", (len(numbers),), struct.pack(f"<{len(numbers)}d", *numbers))


def _whole(numbers: list[int]) -> Array:
    low, high = min(numbers), max(numbers)
    if low >= 0:
        return unsigned(numbers)
    dtype, code, _ = next(row for row in _SIGNED if -row[2] <= low and high < row[2])
    return Array(dtype, (len(numbers),), struct.pack(f"<{len(numbers)}{code}", *numbers))


def _moments(times: list[int], forms: list[str | None]) -> dict[str, Any]:
    """Whole seconds and what is beyond them apart: nearly all times have only the former, and those fit into 32 bits."""
    seconds = [time // _SECOND for time in times]
    first = min(seconds)
    table, places = _table(forms)
    column = {"first": first, "seconds": unsigned([second - first for second in seconds]), "forms": table}
    rests = [time % _SECOND for time in times]
    if any(rests):
        column["ns"] = unsigned(rests)
    if len(table) > 1:
        column["form"] = unsigned(places)
    return column


# Times as text. The form of one is its separator, the number of digits behind the point, and its offset from UTC as written.


@lru_cache(maxsize=4096)
def _moment(text: str) -> tuple[int, str] | None:
    """(ns since 1970 UTC, form) of a text that `_written` writes again; without an offset it counts as UTC. Else None."""
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    day, separator, clock, digits, offset = found.groups()
    form = f"{separator}{len(digits) if digits else ''}{offset}"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}+00:00") - _EPOCH
        ns = (moment.days * 86_400 + moment.seconds - _offset_s(offset)) * _SECOND + int((digits or "").ljust(9, "0"))
        return (ns, form) if _LOWEST <= ns <= _HIGHEST and _written(ns, form) == text else None
    except (ValueError, OverflowError):
        return None


def _written(ns: int, form: str) -> str:
    """The text of a time. Raises ValueError for what is no form, OverflowError beyond the years 1 to 9999."""
    separator, digits, offset = _parsed(form)
    seconds, rest = divmod(ns, _SECOND)
    local = _EPOCH + timedelta(seconds=seconds + _offset_s(offset))
    fraction = f".{rest:09d}"[: digits + 1] if digits else ""
    return f"{local.year:04d}-{local.month:02d}-{local.day:02d}{separator}{local:%H:%M:%S}{fraction}{offset}"


@lru_cache(maxsize=256)
def _parsed(form: str) -> tuple[str, int, str]:
    found = _FORM.fullmatch(form)
    if found is None:
        raise ValueError
    return found[1], int(found[2] or 0), found[3]


def _offset_s(offset: str) -> int:
    if len(offset) < 5:
        return 0
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError
    return (-1 if offset[0] == "-" else 1) * (3600 * hours + 60 * minutes)


@lru_cache(maxsize=4096)
def _time(ns: int, form: str | None) -> str | Timestamp:
    if not _LOWEST <= ns <= _HIGHEST:
        raise OverflowError
    return Timestamp(ns) if form is None else _written(ns, form)


# Reading. Lengths are compared before anything is taken out of a column.


def _leaves(template) -> Iterator[Any]:
    pending = [template]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)
        else:
            yield item


def _column(value, dtypes, needed, what) -> Array:
    if type(value) is not Array or value.dtype not in dtypes or len(value.shape) != 1 or type(value.data) is Chunked:
        raise NotCanonical(f"{what} of a tree that are no column")
    if value.shape[0] != needed:
        raise NotCanonical(f"a template for {needed} {what} with a column of {value.shape[0]}")
    return value


def _missing(columns, name, needed) -> bool:
    """Whether nothing of a column is needed and it is left out, as it then must be."""
    if (name in columns) != (needed > 0):
        raise NotCanonical(f"a template for {needed} {name} {'with' if name in columns else 'without'} such a column")
    return needed == 0


def _numbers(columns, needed) -> list:
    if _missing(columns, "numbers", needed):
        if "kinds" in columns:
            raise NotCanonical("kinds of a tree without numbers")
        return []
    column = _column(columns["numbers"], ("<f8",), needed, "numbers")
    kinds = bytes(_column(columns["kinds"], ("|u1",), needed, "kinds").data) if "kinds" in columns else b""
    numbers = column.flat()
    for i in compress(range(len(kinds)), kinds):
        number, kind = numbers[i], kinds[i]
        if kind == WHOLE and -_EXACT <= number <= _EXACT and number.is_integer() and repr(number) != "-0.0":
            numbers[i] = int(number)
        elif kind == NOTHING and repr(number) == "0.0":
            numbers[i] = None
        else:
            raise NotCanonical(f"a number {number} of kind {kind} in a tree")
    return numbers


def _integers(columns, needed) -> list[int]:
    if _missing(columns, "integers", needed):
        return []
    return _column(columns["integers"], _INTEGERS, needed, "integers").flat()


def _indices(value, needed, what, size) -> list[int]:
    indices = _column(value, _UNSIGNED, needed, what).flat()
    if max(indices, default=-1) >= size:
        raise NotCanonical(f"{what} of a tree beyond a table of {size}")
    return indices


def _texts(columns, needed) -> list[str]:
    if _missing(columns, "texts", needed):
        return []
    column = columns["texts"]
    table = column.get("table") if type(column) is dict and column.keys() == {"table", "places"} else None
    if type(table) is not list or not all(type(text) is str for text in table):
        raise NotCanonical("texts of a tree without a table of text")
    return [table[i] for i in _indices(column["places"], needed, "texts", len(table))]


def _times(columns, needed) -> list:
    if _missing(columns, "times", needed):
        return []
    column = columns["times"]
    if type(column) is not dict or not column.keys() <= {"first", "seconds", "ns", "forms", "form"}:
        raise NotCanonical("times of a tree that are no column")
    first, forms = column.get("first"), column.get("forms")
    if type(first) is not int or type(forms) is not list or not all(form is None or type(form) is str for form in forms):
        raise NotCanonical("times of a tree without a first second and forms")
    seconds = _column(column.get("seconds"), _UNSIGNED, needed, "times").flat()
    rests = _indices(column["ns"], needed, "times", _SECOND) if "ns" in column else repeat(0)
    places = _indices(column["form"], needed, "times", len(forms)) if "form" in column else repeat(0)
    try:
        return [_time((first + second) * _SECOND + rest, forms[place]) for second, rest, place in zip(seconds, rests, places)]
    except (IndexError, ValueError, OverflowError):
        raise NotCanonical("times of a tree that cannot be written") from None


def _filled(template, sources):
    kind = type(template)
    if kind is bytes:
        return next(sources[template])
    if kind is dict:
        return {key: _filled(item, sources) for key, item in template.items()}
    if kind is list:
        return [_filled(item, sources) for item in template]
    return template
