"""Typed forms of values that JSON-like trees store badly: counts, memory. See `spec/format.md`, "Columns"."""

import struct

from .codec import Array, Typed

_UNSIGNED = (("|u1", "B", 8), ("<u2", "H", 16), ("<u4", "I", 32), ("<u8", "Q", 64))


def unsigned(numbers: list[int]) -> Array:
    """A one-dimensional array of non-negative integers below 2**64, in the smallest dtype that holds them."""
    top = max(numbers, default=0).bit_length()
    dtype, code, _ = next(entry for entry in _UNSIGNED if top <= entry[2])
    return Array(dtype, (len(numbers),), struct.pack(f"<{len(numbers)}{code}", *numbers))


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
    width = -(-max(numbers, default=0).bit_length() // 8)
    if width <= 8:
        return unsigned(numbers)
    return Array("|u1", (len(numbers), width), b"".join(number.to_bytes(width, "big") for number in numbers))


def _state_names(states: Array | list) -> list[str]:
    if type(states) is list:
        return states
    if len(states.shape) == 1:
        return list(map(hex, states.flat()))
    width = states.shape[1]
    return [hex(int.from_bytes(states.data[i : i + width], "big")) for i in range(0, len(states.data), width)]


def pack_counts(counts: dict[str, int]) -> Typed | None:
    """Counts as two columns, states and how often; None for a dict that is no counts of plain integers."""
    if not all(type(state) is str and type(n) is int and 0 <= n < 1 << 64 for state, n in counts.items()):
        return None
    states = sorted(counts, key=lambda state: (len(state), state))
    return Typed("counts", [_states(states), unsigned([counts[state] for state in states])])


def unpack_counts(typed: Typed) -> dict[str, int]:
    states, numbers = typed.value
    return dict(zip(_state_names(states), numbers.flat(), strict=True))


def pack_memory(memory: list[str]) -> Typed | None:
    """One state a shot as a table of states and an index into it for every shot; None for other lists."""
    if not all(type(state) is str for state in memory):
        return None
    table = sorted(set(memory), key=lambda state: (len(state), state))
    place = {state: i for i, state in enumerate(table)}
    return Typed("memory", [_states(table), unsigned([place[state] for state in memory])])


def unpack_memory(typed: Typed) -> list[str]:
    table, indices = typed.value
    names = _state_names(table)
    return [names[i] for i in indices.flat()]
