"""What came out of several circuits: a small histogram of each, all with the same states and on one scale."""

from collections.abc import Mapping, Sequence
from heapq import nlargest
from math import ceil
from typing import NamedTuple
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .frames import name_down
from .histogram import TOWERING, noise, of_value, order_said, turned, unit_of
from .palette import ACCENT, GRID, MUTED
from .scales import Axis, axis, finite, si

PANELS = 60  # circuits that are drawn
_WIDTH, _RIGHT, _APART, _HEAD, _BETWEEN = 720, 8, 16, 18, 10
_LONGEST, _ACROSS = 14, 6.2
_SLOT = 11  # the least width of a bar with what is beside it

Counts = Mapping[str, int | float]


class _Panel(NamedTuple):
    name: str
    shares: dict[str, float]
    total: float | None  # None for weights


def multiples(circuits: Sequence[tuple[str, Counts]], title: str, most: int = 16, order: str = "", key: str = "") -> Figure:
    """A histogram of each (name, counts): the `most` states that are the most frequent in all of them, all others as one bar.

    Of counts the bars are shares with their standard deviation, as in `histogram`. `order` says how states are read. The first 60
    circuits are drawn; the table has the most frequent states of each.
    """
    panels = [_panel(name, counts) for name, counts in circuits[:PANELS]]
    states, ordered = _states(panels, most)
    rest = len({state for panel in panels for state in panel.shares}) - len(states)
    counted = all(panel.total is not None for panel in panels)
    totals = {round(panel.total) for panel in panels if panel.total is not None}
    known = f"N = {totals.pop():,} shots each" if len(totals) == 1 else "Shares of the shots of each"
    each = max(2, MOST_ROWS // max(1, len(circuits)))
    note = sentences(
        "One scale for all.",
        f"{known}; bars of error are one standard deviation of shot noise." if counted else None,
        f"The first {len(panels)} of {len(circuits):,} circuits are drawn." if len(circuits) > len(panels) else None,
        f"States {ordered}" + (f"; all {rest:,} others are one hollow bar, which may go beyond the top." if rest else "."),
        f"{order[:1].upper()}{order[1:]}." if order else None,
        f"The table has the {each} most frequent states of each." if any(len(counts) > each for _, counts in circuits) else None,
        f"The table has the first {MOST_ROWS // 2:,} circuits." if len(circuits) > MOST_ROWS // 2 else None,
    )
    rows = [row for name, counts in circuits[: MOST_ROWS // 2] for row in _rows(name, counts, each)]
    header = ("circuit", "state", "count", "share", "shot noise") if counted else ("circuit", "state", "weight")
    shown = [row[: len(header)] for row in rows]
    return Figure(title, _drawing(panels, states, rest > 0, title, key), table(header, shown, title, range(2, len(header))), note)


def _panel(name: str, counts: Counts) -> _Panel:
    known = {state: number for state, value in counts.items() if (number := finite(value)) is not None}
    counted = all(type(counts[state]) is int and number >= 0 for state, number in known.items())
    total = sum(known.values()) if counted else None
    return _Panel(name, {state: number / (total or 1.0) for state, number in known.items()}, total)


def _states(panels: Sequence[_Panel], most: int) -> tuple[list[str], str]:
    """The states that have bars, and how they are ordered."""
    weights: dict[str, float] = {}
    for panel in panels:
        for state, share in panel.shares.items():
            weights[state] = weights.get(state, 0.0) + abs(share)
    if len(weights) <= most:
        return sorted(weights, key=of_value), order_said(False)
    return nlargest(most, weights, key=lambda state: (weights[state], state)), order_said(True)


def _rows(name: str, counts: Counts, each: int) -> list[tuple[str, ...]]:
    panel = _panel(name, counts)
    top = nlargest(each, panel.shares.items(), key=lambda item: (abs(item[1]), item[0]))
    top.sort(key=lambda item: of_value(item[0]))
    return [(name, state, str(counts[state]), si(share, digits=4),
             si(noise(share, panel.total), digits=2) if panel.total else "-") for state, share in top]  # fmt: skip


def _drawing(panels: Sequence[_Panel], states: list[str], others: bool, title: str, key: str) -> Element:
    if not states:
        nothing = words(_WIDTH / 2, 34, "No counts: nothing was measured.", text_anchor="middle", fill=MUTED)
        return svg("multiples", title, _WIDTH, 60, nothing, key=key)
    values = [[panel.shares.get(state, 0.0) for state in states] for panel in panels]
    rests = [sum(panel.shares.values()) - sum(row) if others else 0.0 for panel, row in zip(panels, values)]
    tops = [value + noise(value, panel.total or 0) for panel, row in zip(panels, values) for value in row]
    tallest, lowest = max(tops), min(0.0, min(min(row) for row in values))
    highest = max(tallest, max(rests)) if max(rests) <= TOWERING * tallest else tallest
    y = axis([lowest, highest], zero=True, most=3)
    slots = len(states) + others
    left = 30 + 6.4 * max(map(len, y.labels))
    room = _WIDTH - left - _RIGHT + _APART
    columns = max(1, min(6, len(panels), int(room // max(96, slots * _SLOT + _APART))))
    rows = ceil(len(panels) / columns)
    wide = room / columns - _APART
    height = 150 if rows == 1 else 84
    step = _HEAD + height + _BETWEEN
    slot = min(44.0, wide / slots)
    names = [shortened(state, _LONGEST) for state in states] + (["other"] if others else [])
    flat = max(map(len, names)) * 6.9 <= slot - 3
    unit = unit_of(all(panel.total is not None for panel in panels), [panel.shares.values() for panel in panels])
    group = [name_down(unit, _HEAD, rows * step - _BETWEEN - _HEAD)]
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        x, top = left + column * (wide + _APART), _HEAD + row * step
        group += _frame(y, x, top, wide, height, column == 0)
        group.append(words(x, top - 5, shortened(panel.name, int(wide / 6.6)), panel.name, font_size=11, font_weight=600))
        group += _bars(panel, values[i], rests[i] if others else None, y, x, top, height, slot)
        if i + columns >= len(panels):
            floor = top + height
            texts = [words(x + slot * (at + 0.5), floor + 15, name, text_anchor="middle") if flat
                     else turned(x + slot * (at + 0.5), floor + 5, name) for at, name in enumerate(names)]  # fmt: skip
            group.append(element("g", *texts, font_family="monospace", font_size=10 if slot < 14 else 11))
    below = 20 if flat else max(map(len, names)) * _ACROSS + 10
    describe = f"{len(panels)} small histograms of {len(states)} states; the table beside it has the numbers."
    return svg("multiples", title, _WIDTH, rows * step - _BETWEEN + below, *group, describe=describe, key=key)


def _frame(y: Axis, x: float, top: float, wide: float, height: float, numbered: bool) -> list[Element]:
    def down(value: float) -> float:
        return top + height * (1 - y.at(value))

    lines = "".join(stroke((x, down(tick)), (x + wide, down(tick))) for tick in y.ticks)
    parts = [element("path", d=lines, stroke=GRID),
             element("path", d=stroke((x, down(0.0)), (x + wide, down(0.0))), stroke=MUTED)]  # fmt: skip
    if numbered:
        texts = [words(x - 6, down(tick) + 4, text) for tick, text in zip(y.ticks, y.labels)]
        parts.append(element("g", *texts, text_anchor="end", font_size=10))
    return parts


def _bars(panel: _Panel, values: list[float], rest: float | None, y: Axis, x: float, top: float, height: float,
          slot: float) -> list[Element | None]:  # fmt: skip
    """One path for all bars of a circuit, and one for their errors: a page may have thousands of them."""
    half = max(1.0, slot * 0.36)
    down = [top + height * (1 - y.at(value)) for value in values]
    zero = top + height * (1 - y.at(0.0))
    bars, errors = "", ""
    for i, (value, at) in enumerate(zip(values, down)):
        middle = x + slot * (i + 0.5)
        if value:
            bars += f"M{short(middle - half)} {short(zero)}V{short(at)}h{short(2 * half)}V{short(zero)}Z"
        if panel.total and value and (spread := noise(value, panel.total)):
            low, high = (top + height * (1 - y.at(end)) for end in (value - spread, value + spread))
            errors += f"M{short(middle)} {short(low)}V{short(high)}"
    parts = [element("path", element("title", panel.name), d=bars, fill=ACCENT) if bars else None,
             element("path", d=errors, stroke="currentColor", fill="none") if errors else None]  # fmt: skip
    if rest:
        middle, at = x + slot * (len(values) + 0.5), top + height * (1 - y.at(rest))
        path = f"M{short(middle - half)} {short(zero)}V{short(at)}h{short(2 * half)}V{short(zero)}Z"
        parts.append(element("path", d=path, fill=GRID, stroke=MUTED, stroke_dasharray="3 2"))
    return parts
