"""Typed forms of values that JSON-like trees store badly: counts, memory. See `spec/format.md`, "Columns".

Long columns go through numpy where it is loaded already, as it is whenever an SDK is, and through Python where it is not, to
the same bytes.
"""

import struct
import sys
from collections.abc import Iterable
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import msgpack

from .errors import NotCanonical
from .values import Array, Chunked, Typed

SHORT = 32  # a column of up to so many numbers is a list: no longer in msgpack, and written several times as fast

_WIDTHS = frozenset({"|u1", "<u2", "<u4", "<u8"})
_TEXT, _INTEGERS = frozenset({str}), frozenset({int})
_MOST = 1 << 64  # states from here on are rows of bytes

# What a byte of a state in msgpack is: a digit (itself), the x, the one before its text (of 3 to 18 characters), none of these.
_X, _OTHER, _BEGIN = 0x20, 0x40, 0x80


def _classes() -> bytes:
    table = bytearray([_OTHER]) * 256
    table[0xA3:0xB3] = bytes([_BEGIN]) * 16
    table[ord("x")] = _X
    for digit, character in enumerate(b"0123456789abcdef"):
        table[character] = digit
    return bytes(table)


_CLASSES = _classes()


def unsigned(numbers: list[int]) -> Array:
    """A one-dimensional array of non-negative integers below 2**64, in the smallest dtype that holds them."""
    top = max(numbers, default=0)
    if top < 256:
        return Array("|u1", (len(numbers),), bytes(numbers))
    dtype, code = ("<u2", "H") if top < 1 << 16 else ("<u4", "I") if top < 1 << 32 else ("<u8", "Q")
    return Array(dtype, (len(numbers),), struct.pack(f"<{len(numbers)}{code}", *numbers))


def integers(numbers: list[int]) -> Array | list[int]:
    """A column of non-negative integers below 2**64: the list itself where it is short."""
    return numbers if len(numbers) <= SHORT else unsigned(numbers)


def floats(numbers: list[float]) -> Array | list[float]:
    """A column of floats: the list itself where it is short."""
    return numbers if len(numbers) <= SHORT else Array("<f8", (len(numbers),), struct.pack(f"<{len(numbers)}d", *numbers))


def items(column: Array | list) -> list:
    """The numbers of a column, however it is kept."""
    return column if type(column) is list else column.flat()


# Writing


def pack_counts(counts: dict[str, int]) -> Typed | None:
    """Counts as two columns, states and how often; None for a dict that is no counts of plain integers."""
    if len(counts) > SHORT and (numpy := _numpy()) is not None:
        columns = _counted(numpy, counts)
        if columns is not None:
            return Typed("counts", columns)
    numbers = counts.values()
    if not (_TEXT.issuperset(map(type, counts)) and _INTEGERS.issuperset(map(type, numbers))):
        return None
    if counts and (min(numbers) < 0 or max(numbers) >= _MOST):
        return None
    states = _in_order(counts)
    return Typed("counts", [*_states(states), integers([counts[state] for state in states])])


def pack_memory(memory: list[str]) -> Typed | None:
    """One state a shot as a table of states and an index into it for every shot; None for other lists."""
    if len(memory) > SHORT and (numpy := _numpy()) is not None:
        shots = _parsed(numpy, memory)
        if shots is not None:
            table, indices = _table(numpy, shots)
            return Typed("memory", [*_steps(table), _column(indices)])
    if not _TEXT.issuperset(map(type, memory)):
        return None
    table = _in_order(set(memory))
    place = {state: i for i, state in enumerate(table)}
    return Typed("memory", [*_states(table), integers([place[state] for state in memory])])


def tally(memory: Typed) -> Typed:
    """The counts that a memory makes, packed. Raises NotCanonical for indices beyond its states, and leaves those unread."""
    *states, indices = _split(memory)
    column = states[-1]
    if type(column) is not list and not (type(column) is Array and column.shape):
        raise NotCanonical(f"{memory.tag} whose states are neither text nor numbers")
    size = (len(column) if type(column) is list else column.shape[0]) + len(states) - 1  # one step fewer than states
    return Typed("counts", [*states, _how_often(size, _checked(indices, size))])


def _how_often(size: int, indices) -> Array | list[int]:
    """How often each index below `size` is there, as a column."""
    if type(indices) is not list:
        return _column(_numpy().bincount(indices, minlength=size))
    numbers = [0] * size
    for index in indices:
        numbers[index] += 1
    return integers(numbers)


def _in_order(states: Iterable[str]) -> list[str]:
    """By length, then by text: for hexadecimal states the order of their numbers."""
    return sorted(sorted(states), key=len)


def _states(states: list[str]) -> list:
    """Hexadecimal states ("0x1f") as the first and the steps to the next ones, where each is written as `hex` writes it; others
    as they are. Integers beyond 64 bits are rows of bytes, the most significant first, all of one width.
    """
    try:
        numbers = [int(state, 16) for state in states]
    except ValueError:
        return [states]
    if not numbers or list(map(hex, numbers)) != states or min(numbers) < 0:
        return [states]
    if numbers[-1] < _MOST:
        return [numbers[0], integers([after - before for before, after in pairwise(numbers)])]
    width = -(-numbers[-1].bit_length() // 8)
    return [Array("|u1", (len(numbers), width), b"".join(number.to_bytes(width, "big") for number in numbers))]


# Reading


def unpack_counts(typed: Typed) -> dict[str, int]:
    """The dict again, in the order of its columns. Raises NotCanonical for anything but columns of one length."""
    *states, numbers = _split(typed)
    names = _names(typed, states)
    if len(names) != len(numbers):
        raise NotCanonical(f"counts of {len(names)} states with {len(numbers)} numbers")
    return dict(zip(names, numbers if type(numbers) is list else numbers.tolist(), strict=True))


def unpack_memory(typed: Typed) -> list[str]:
    """The list again. Raises NotCanonical for anything but a table and indices into it."""
    *states, indices = _split(typed)
    names = _names(typed, states)
    indices = _checked(indices, len(names))
    if type(indices) is list:
        return [names[index] for index in indices]
    return _numpy().array(names, dtype=object).take(indices).tolist()


def _checked(indices, size):
    """Indices that are all below `size`, as a list or as numpy takes them. Raises NotCanonical."""
    top = max(indices, default=-1) if type(indices) is list else int(indices.max())
    if top >= size:
        raise NotCanonical(f"memory with the index {top} into {size} states")
    return indices if type(indices) is list else indices.astype(_numpy().intp)


def _split(typed: Typed) -> list:
    """The parts of a value, the last of them read: a list, or a numpy array where it is long. Raises NotCanonical."""
    parts = typed.value
    if type(parts) is not list or len(parts) not in (2, 3) or not _is_column(parts[-1]):
        raise NotCanonical(f"{typed.tag} that are not two columns")
    return [*parts[:-1], _read(parts[-1])]


def _names(typed, states) -> list[str]:
    """The states, whatever bytes they came from. Raises NotCanonical."""
    if len(states) == 2:
        return _stepped(typed, *states)
    states = states[0]
    if type(states) is list and _TEXT.issuperset(map(type, states)):
        names = states
    elif type(states) is Array and _is_column(states):  # in archives of before the release
        names = list(map(hex, states.flat()))
    elif type(states) is Array and states.dtype == "|u1" and len(states.shape) == 2 and states.shape[1] > 8 and _is_here(states):
        width = states.shape[1]
        names = [hex(int.from_bytes(states.data[i : i + width], "big")) for i in range(0, len(states.data), width)]
    else:
        raise NotCanonical(f"{typed.tag} whose states are neither text nor numbers")
    if len(set(names)) != len(names):
        raise NotCanonical(f"{typed.tag} that list a state twice")
    return names


def _stepped(typed, first, steps) -> list[str]:
    """States by the first and the steps to the next ones."""
    if type(first) is not int or not 0 <= first < _MOST or not _is_column(steps):
        raise NotCanonical(f"{typed.tag} whose states are neither text nor numbers")
    steps = _read(steps)
    if type(steps) is list or first + int(steps.max()) * len(steps) >= _MOST:
        steps = steps if type(steps) is list else steps.tolist()
        numbers = list(accumulate(steps, initial=first))
        if not all(steps) or numbers[-1] >= _MOST:
            raise NotCanonical(f"{typed.tag} whose states are not in order")
        return list(map(hex, numbers))
    if not steps.all():
        raise NotCanonical(f"{typed.tag} whose states are not in order")
    numpy = _numpy()
    numbers = numpy.empty(len(steps) + 1, "u8")
    numbers[0] = first
    steps.cumsum(dtype="u8", out=numbers[1:])
    numbers[1:] += numbers[0]
    top = int(numbers[-1])
    size = 1 << 8 if top < 1 << 8 else 1 << 12 if top < 1 << 12 else 1 << 16
    if top < size <= 16 * len(numbers):
        return _hex_names(size).take(numbers.astype(numpy.intp)).tolist()
    return list(map(hex, numbers.tolist()))


@cache
def _hex_names(size: int) -> Any:
    """The states below `size` as a numpy array of objects: made once, and shared by all results."""
    return _numpy().array(list(map(hex, range(size))), dtype=object)


def _is_column(value) -> bool:
    if type(value) is list:
        return (
            len(value) <= SHORT
            and _INTEGERS.issuperset(map(type, value))
            and 0 <= min(value, default=0) <= max(value, default=0) < _MOST
        )
    return type(value) is Array and value.dtype in _WIDTHS and len(value.shape) == 1 and _is_here(value)


def _is_here(array: Array) -> bool:
    return type(array.data) is not Chunked


def _read(column: Array | list):
    """A column as a list or, a long one where numpy is loaded, as a numpy array."""
    if type(column) is list:
        return column
    numpy = _numpy() if len(column.data) > SHORT else None
    return column.flat() if numpy is None else numpy.frombuffer(column.data, column.dtype)


# With numpy


def _numpy() -> Any:
    """numpy where something else has loaded it, else None."""
    numpy = sys.modules.get("numpy")
    return None if numpy is None or getattr(numpy.__spec__, "_initializing", False) else numpy


def _column(numbers) -> Array | list[int]:
    """`integers` of a numpy array."""
    if len(numbers) <= SHORT:
        return numbers.tolist()
    top = int(numbers.max())
    dtype = "|u1" if top < 256 else "<u2" if top < 1 << 16 else "<u4" if top < 1 << 32 else "<u8"
    return Array(dtype, (len(numbers),), numbers.astype(dtype).tobytes())


def _steps(numbers) -> list:
    """`_states` of ascending numbers."""
    return [int(numbers[0]), _column(numbers[1:] - numbers[:-1])]


def _counted(numpy, counts) -> list | None:
    """The columns of counts whose states are all hexadecimal and below 2**64, else None."""
    states = _parsed(numpy, list(counts))
    numbers = None if states is None else _whole(numpy, list(counts.values()))
    if numbers is None:
        return None
    order = states.argsort(kind="stable" if states.itemsize <= 2 else None)
    return [*_steps(states[order]), _column(numbers[order])]


def _whole(numpy, numbers: list) -> Any:
    """Integers from 0 to 2**64-1 as an array, else None."""
    if list(map(type, numbers)) != [int] * len(numbers):
        return None
    try:
        return numpy.frombuffer(struct.pack(f"<{len(numbers)}Q", *numbers), "<u8")
    except struct.error:
        return None


def _head(length: int) -> int:
    """Bytes of msgpack before the items of a list."""
    return 1 if length < 16 else 3 if length < 1 << 16 else 5


def _table(numpy, shots) -> tuple:
    """(the distinct numbers in order, the place of each of `shots` among them)."""
    top = int(shots.max())
    if top >= 16 * len(shots):
        return numpy.unique(shots, return_inverse=True)
    shots = shots.astype(numpy.intp)
    table = numpy.bincount(shots).nonzero()[0]
    places = numpy.zeros(top + 1, "<u4" if top >> 16 else "<u2")
    places[table] = numpy.arange(len(table))
    return table, places.take(shots)


def _parsed(numpy, states: list) -> Any:
    """The numbers of states, not empty, that are all written as `hex` writes a number below 2**64, else None.

    msgpack joins them several times as fast as a look at each would take, with a byte before each that tells its length,
    and refuses subclasses of text.
    """
    try:
        packed = msgpack.packb(states, strict_types=True)
    except (TypeError, ValueError, OverflowError):
        return None
    classes = packed[_head(len(states)) :].translate(_CLASSES)
    if _OTHER in classes:
        return None
    classes = b"".join((bytes(16), classes, bytes([_BEGIN])))  # for a look at 16 digits of the first, and where the last ends
    found = numpy.frombuffer(classes, "|u1")
    zeros, crosses, begins = found == 0, found == _X, found >= _BEGIN
    bounds = begins.nonzero()[0]
    if len(bounds) != len(states) + 1 or not (crosses[2:] == begins[:-2]).all() or (begins[:-1] > zeros[1:]).any():
        return None  # "0x" stands behind what begins a state, and x nowhere else
    if (crosses[:-2] & zeros[1:-1] > begins[2:]).any():
        return None  # a zero that is not the only digit
    values = found & 0x0F
    pairs = values[:-1] << 4
    pairs |= values[1:]
    fours = pairs[:-2].astype("<u2")
    fours <<= 8
    fours |= pairs[2:]  # at byte i the number that the four digits from there on are
    last = bounds[1:] - 4
    numbers = fours.take(last)
    lengths = bounds[1:] - bounds[:-1]
    top = int(lengths.max()) - 3
    if top > 4:
        numbers = numbers.astype("<u8" if top > 8 else "<u4")
        for start in range(4, top, 4):
            part = fours.take(last - start).astype(numbers.dtype)
            part[lengths <= start + 3] = 0
            numbers |= part << start * 4
    return numbers
