"""Typed forms of values that JSON-like trees store badly: counts, memory. See `spec/format.md`, "Columns"."""

import struct
from collections.abc import Iterable

from .errors import NotCanonical
from .values import Array, Chunked, Typed

SHORT = 32  # a column of up to so many numbers is a list: no longer in msgpack, and written several times as fast

_WIDTHS = frozenset({"|u1", "<u2", "<u4", "<u8"})
_TEXT, _INTEGERS = frozenset({str}), frozenset({int})


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


def _in_order(states: Iterable[str]) -> list[str]:
    """By length, then by text: for hexadecimal states the order of their numbers."""
    return sorted(sorted(states), key=len)


def _states(states: list[str]) -> Array | list[str]:
    """Hexadecimal states ("0x1f") as integers where each is written as `hex` writes it; else as they are.

    Integers beyond 64 bits are rows of bytes, the most significant first, all of one width.
    """
    try:
        numbers = [int(state, 16) for state in states]
    except ValueError:
        return states
    if list(map(hex, numbers)) != states or min(numbers, default=0) < 0:
        return states
    top = max(numbers, default=0).bit_length()
    if top <= 64:
        return unsigned(numbers)
    width = -(-top // 8)
    return Array("|u1", (len(numbers), width), b"".join(number.to_bytes(width, "big") for number in numbers))


def _columns(typed: Typed) -> tuple[list[str], list[int]]:
    """(states, numbers) of a pair of columns, whatever bytes they came from. Raises NotCanonical."""
    pair = typed.value
    if type(pair) is not list or len(pair) != 2 or not _is_column(pair[1]):
        raise NotCanonical(f"{typed.tag} that are not two columns")
    states, numbers = pair
    if type(states) is list and all(type(state) is str for state in states):
        names = states
    elif _is_column(states):
        names = list(map(hex, states.flat()))
    elif type(states) is Array and states.dtype == "|u1" and len(states.shape) == 2 and states.shape[1] > 8 and _is_here(states):
        width = states.shape[1]
        names = [hex(int.from_bytes(states.data[i : i + width], "big")) for i in range(0, len(states.data), width)]
    else:
        raise NotCanonical(f"{typed.tag} whose states are neither text nor numbers")
    if len(set(names)) != len(names):
        raise NotCanonical(f"{typed.tag} that list a state twice")
    return names, numbers.flat()


def _is_column(value) -> bool:
    return type(value) is Array and value.dtype in _WIDTHS and len(value.shape) == 1 and _is_here(value)


def _is_here(array: Array) -> bool:
    return type(array.data) is not Chunked


def pack_counts(counts: dict[str, int]) -> Typed | None:
    """Counts as two columns, states and how often; None for a dict that is no counts of plain integers."""
    numbers = counts.values()
    if not (_TEXT.issuperset(map(type, counts)) and _INTEGERS.issuperset(map(type, numbers))):
        return None
    if counts and (min(numbers) < 0 or max(numbers) >> 64):
        return None
    states = _in_order(counts)
    return Typed("counts", [_states(states), unsigned([counts[state] for state in states])])


def unpack_counts(typed: Typed) -> dict[str, int]:
    """The dict again, in the order of its columns. Raises NotCanonical for anything but two columns of one length."""
    states, numbers = _columns(typed)
    if len(states) != len(numbers):
        raise NotCanonical(f"counts of {len(states)} states with {len(numbers)} numbers")
    return dict(zip(states, numbers, strict=True))


def pack_memory(memory: list[str]) -> Typed | None:
    """One state a shot as a table of states and an index into it for every shot; None for other lists."""
    if not _TEXT.issuperset(map(type, memory)):
        return None
    table = _in_order(set(memory))
    place = {state: i for i, state in enumerate(table)}
    return Typed("memory", [_states(table), unsigned([place[state] for state in memory])])


def unpack_memory(typed: Typed) -> list[str]:
    """The list again. Raises NotCanonical for anything but a table and indices into it."""
    table, indices = _columns(typed)
    if max(indices, default=-1) >= len(table):
        raise NotCanonical(f"memory with the index {max(indices)} into {len(table)} states")
    return [table[i] for i in indices]
