"""Lines of the table: what was measured, and whether it met its goal."""

import statistics
import time
from collections.abc import Callable, Iterable


def row(name: str, value: float, unit: str, goal: float | None = None, note: str = "") -> str:
    """One line; `goal` is the most that `value` may be."""
    verdict = "" if goal is None else f"goal {goal:g} {unit}  {'met' if value <= goal else 'MISSED'}"
    return f"{name:<64} {value:>10.3f} {unit:<3} {verdict:<26} {note}".rstrip()


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
