"""The figures of a calibration as rows of a table."""

from collections.abc import Iterable
from typing import Any

from ..printable import clean
from . import scales

HEADER = ("Figure", "Median", "Best", "at", "Worst", "at", "Places")
RIGHT = (1, 2, 4, 6)  # columns of numbers


def rows(figures: Iterable[Any], letter: str = "q") -> list[tuple[str, ...]]:
    """Each `calibration.Figure`: its median, where it is best and where it is worst, and of how many places it is known. Raises
    what reading them raises."""
    found = []
    for figure in figures:
        ends = (None, None) if figure.best is None or figure.worst is None or figure.best[1] == figure.worst[1] \
            else (figure.best, figure.worst)  # fmt: skip
        unit = clean(figure.unit)
        sides = [("", "") if end is None else (scales.si(end[1], unit), place(end[0], letter)) for end in ends]
        found.append((clean(figure.name), scales.si(figure.median, unit), *sides[0], *sides[1], f"{len(figure.values):,}"))
    return found


def place(qubits: tuple[int, ...], letter: str = "q") -> str:
    """`q5`, `3-4`; nothing for the whole device."""
    return "-".join(map(str, qubits)) if len(qubits) > 1 else f"{letter}{qubits[0]}" if qubits else ""
