"""The table: what was measured, beside what, and whether it met its goal."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement. `theirs` is the peer's in the same unit; the ratio is `value` / `theirs`.

    Goals: the ratio is at least `least`, at most `most`; the value itself is at most `limit`. Without one there is no verdict.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    theirs: float | None = None
    least: float | None = None
    most: float | None = None
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.theirs if self.theirs else None

    @property
    def goal(self) -> str:
        bounds = (("at least", self.least, "x"), ("at most", self.most, "x"), ("at most", self.limit, f" {self.unit}"))
        return ", ".join(f"{word} {bound:g}{unit}" for word, bound, unit in bounds if bound is not None)

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        if self.least is None and self.most is None and self.limit is None:
            return None
        return ((self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most)
                and (self.limit is None or self.value <= self.limit))  # fmt: skip

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        theirs = "" if self.theirs is None else f"{_short(self.theirs)} {self.unit}"
        ratio = "" if self.ratio is None else f"{_short(self.ratio)}x"
        return self.name, f"{_short(self.value)} {self.unit}", self.against, theirs, ratio, self.goal, verdict, self.note


HEADS = ("", "qarchive", "beside it", "", "ratio", "goal", "", "")
_WIDTHS = (58, 14, 40, 14, 9, 16, 6, 0)


def row(name: str, value: float, unit: str, goal: float | None = None, note: str = "") -> Row:
    """A measurement by itself; `goal` is the most that it may be."""
    return Row(name, value, unit, limit=goal, note=note)


def as_text(found: Row | str) -> str:
    """A line of the table; a heading as it is."""
    if isinstance(found, str):
        return f"\n{found}"
    right = (1, 3, 4)
    cells = [cell.rjust(width) if place in right else cell.ljust(width)
             for place, (cell, width) in enumerate(zip(found.cells, _WIDTHS, strict=True))]  # fmt: skip
    return "  ".join(cells).rstrip()


def as_markdown(found: Iterable[Row | str]) -> str:
    """The whole table; headings in bold."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    for each in found:
        cells = (f"**{each}**",) + ("",) * (len(HEADS) - 1) if isinstance(each, str) else each.cells
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _short(value: float) -> str:
    """Three digits that matter, and no more."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def timed(action: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def paired(first: Iterable[Callable], second: Iterable[Callable]) -> tuple[list[float], list[float]]:
    """Seconds of each action of two lists that are run in turns, so that the machine's moods hit both."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn, (a, b) in enumerate(zip(first, second, strict=True)):
        order = ((0, a), (1, b)) if turn % 2 == 0 else ((1, b), (0, a))
        for which, action in order:
            times[which].append(timed(action))
    return times


def median(values: Iterable[float]) -> float:
    return statistics.median(values)
