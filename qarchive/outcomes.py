"""What came out of a circuit, as plain numbers: which of its data are tables of states, and which are values."""

from collections.abc import Mapping
from typing import Any

from .values import Array, Chunked

TABLES = ("counts", "probabilities")  # the usual ones


def is_table(value: Any) -> bool:
    """Whether it maps states to numbers."""
    return type(value) is dict and bool(value) and all(
        type(state) is str and type(number) in (int, float) for state, number in value.items()
    )  # fmt: skip


def table_of(entry: Mapping[str, Any]) -> dict[str, int | float] | None:
    """Of what came out of a circuit that which maps states to numbers, counts before others; None where nothing does."""
    found = [name for name, value in entry.items() if is_table(value)]
    return entry[min(found, key=lambda name: (name not in TABLES, name))] if found else None


def numbers_of(value: Any) -> list[float] | None:
    """The real numbers of an array, or a number alone; None for anything else."""
    if type(value) in (int, float):
        return [value]
    if type(value) is not Array or type(value.data) is Chunked or value.dtype[1] not in "fiu":
        return None
    return list(value.flat())
