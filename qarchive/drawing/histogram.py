"""What came out: the most frequent states as bars, with the spread that so many shots leave."""

import re
from collections.abc import Iterable, Mapping
from heapq import nlargest
from math import sqrt
from typing import NamedTuple
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .palette import ACCENT, GRID, MUTED, PAPER
from .scales import Axis, axis, finite, si

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT = 720, 230, 56, 18, 8
_LONGEST = 18  # characters of a label; a longer one loses its middle
_ACROSS = 6.9  # of a character of a label, at the drawing's size of type
TOWERING = 2.5  # how many times the highest bar "other" is before it is cut


def histogram(counts: Mapping[str, int | float], title: str, most: int = 32, key: str = "", order: str = "") -> Figure:
    """The `most` most frequent states as bars, the rest as one; in order of value where all fit, else the most frequent first.

    `counts` are counts, or weights that may be fractions or negative; `order` says how their states are read. Of counts each bar
    has its standard deviation as a binomial share, sqrt(p (1 - p) / N). NaN and infinite weights are not drawn. The table has the
    first 1,000 states.
    """
    known, shown, bars, other, rest, total = selected(counts, most)
    counted = total is not None
    if counted and total <= 0:
        return _empty(counts, title, key)
    unknown = [(state, value) for state, value in counts.items() if state not in known]
    unit = unit_of(counted, [known.values()])
    note = sentences(
        f"N = {round(total):,} shots; bars of error are one standard deviation of shot noise, sqrt(p(1-p)/N)."
        if counted
        else "Weights as they were given; they are no counts, so no shot noise is drawn."
        if unit == "weight"
        else "Probabilities as they were given: no shots, so no shot noise.",
        f"{len(bars)} of {len(known):,} states are bars, the other {rest:,} are one bar." if rest else None,
        f"{order[:1].upper()}{order[1:]}." if order else None,
        f"States without a number: {len(unknown):,}." if unknown else None,
        beyond(len(counts), "states"),
    )
    drawing = _drawing(bars, other, rest, total, unit, title, key)
    rows = [(state, str(counts[state]), *_share(number, total or 0.0, counted)) for state, number in shown[:MOST_ROWS]]
    rows += [(state, "-", *(("-", "-") if counted else ())) for state, _ in unknown[: MOST_ROWS - len(rows)]]
    header = ("state", "count", "share", "shot noise") if counted else ("state", unit)
    return Figure(title, drawing, table(header, rows, title, right=range(1, len(header))), note)


class Selected(NamedTuple):
    """Which states are bars. `known` are the states that have a number, `shown` those of a table, in order; `bars` and `other`
    are shares of counts, or weights as they are, `other` None where all states are bars; `total` is None for weights."""

    known: dict[str, float]
    shown: list[tuple[str, float]]
    bars: list[tuple[str, float]]
    other: float | None
    rest: int  # states in `other`
    total: float | None

    def noise(self, share: float) -> float:
        """The standard deviation of a share of counts; 0 for weights."""
        return noise(share, self.total)


def selected(counts: Mapping[str, int | float], most: int) -> Selected:
    """The `most` most frequent states; in order of value where all fit, else the most frequent first."""
    known = {state: number for state, value in counts.items() if (number := finite(value)) is not None}
    counted = all(type(counts[state]) is int and number >= 0 for state, number in known.items())
    total = sum(known.values()) if counted else None
    scale = total or 1.0
    top = nlargest(max(most, MOST_ROWS), known.items(), key=lambda item: (abs(item[1]), item[0]))
    shown = top if len(known) > most else sorted(top, key=lambda item: of_value(item[0]))
    bars = [(state, number / scale) for state, number in shown[:most]]
    rest = len(known) - len(bars)
    # An exact rest: the sum of all less that of the bars would leave the dust of a difference of floats.
    drawn = {state for state, _ in bars}
    other = sum(number for state, number in known.items() if state not in drawn) / scale if rest else None
    return Selected(known, shown, bars, other, rest, total)


def _empty(counts: Mapping[str, int | float], title: str, key: str) -> Figure:
    what = "No counts: nothing was measured." if not counts else "All counts are zero."
    drawing = svg("histogram", title, _WIDTH, 60, words(_WIDTH / 2, 34, what, text_anchor="middle", fill=MUTED), key=key)
    rows = [(state, str(value)) for state, value in list(counts.items())[:MOST_ROWS]]
    return Figure(
        title, drawing, table(("state", "count"), rows, title, right=(1,)), sentences(what, beyond(len(counts), "states"))
    )


def unit_of(counted: bool, tables: Iterable[Iterable[float]]) -> str:
    """What numbers by state are: shares of shots, probabilities where they add up to 1, or else weights."""
    if counted:
        return "share of shots"
    found = [list(values) for values in tables]
    whole = all(values and min(values) >= 0 and abs(sum(values) - 1) < 1e-6 for values in found)
    return "probability" if found and whole else "weight"


def order_said(frequent: bool) -> str:
    """In which order states stand."""
    return "the most frequent first" if frequent else "in order of value"


def _share(number: float, total: float, counted: bool) -> tuple[str, ...]:
    share = number / total if counted else 0.0
    return (si(share, digits=4), si(noise(share, total), digits=2)) if counted else ()


def noise(share: float, total: float | None) -> float:
    """The standard deviation of a share of so many shots; 0 where there are none."""
    return 0.0 if not total else sqrt(max(0.0, share * (1 - share)) / total)


def of_value(state: str) -> tuple:
    """By what states are sorted that stand in order of value: runs of digits as numbers, whatever is between them as text."""
    if state[:2] in ("0x", "0X"):
        digits = state[2:].lower().lstrip("0")
        return ((0, len(digits), digits),), state
    parts = re.findall(r"[0-9]+|[^0-9]+", state)
    return tuple(
        (0, len(part.lstrip("0")), part.lstrip("0")) if part[0] in "0123456789" else (1, 0, part) for part in parts
    ), state


def _drawing(bars, other: float | None, rest: int, total: float | None, unit: str, title: str, key: str) -> Element:
    tallest = max((value + noise(value, total) for _, value in bars), default=0.0)
    lowest = min((value for _, value in bars), default=0.0)
    cut = other is not None and tallest > 0 and other > TOWERING * tallest
    y = axis([lowest, tallest * 1.15 if cut else max(tallest, other or 0.0), min(0.0, other or 0.0)], zero=True, most=5)
    slots = len(bars) + (other is not None)
    slot = min(80.0, (_WIDTH - _LEFT - _RIGHT) / max(1, slots))
    names = [shortened(state, _LONGEST) for state, _ in bars]
    longest = max(map(len, names), default=0)
    flat = longest * _ACROSS <= slot - 3
    below = 22 if flat else longest * _ACROSS + 14
    if other is not None:
        below = max(below, len(_others(rest)) * 6.2 + 14)
    start = _LEFT + (_WIDTH - _LEFT - _RIGHT - slot * slots) / 2 if slots < 6 else _LEFT
    middles = [start + slot * (i + 0.5) for i in range(slots)]
    group = [_frame(y, unit)]
    wide = max(1.5, slot * 0.72)
    columns = element("g", fill=ACCENT)
    for x, (state, value) in zip(middles, bars):
        spread = f" ± {si(noise(value, total), digits=2)}" if total else ""
        columns.append(_bar(x, wide, y, value, f"{state}: {si(value, digits=4)}{spread}"))
    group.append(columns)
    if total:
        whiskers = [_whisker(x, min(5.0, wide / 2), y, value, noise(value, total)) for x, (_, value) in zip(middles, bars)]
        group.append(element("path", d="".join(whiskers), stroke="currentColor", fill="none"))
    if other is not None:
        group += _rest(middles[-1], wide, y, other, rest, cut)
    floor = _TOP + _HEIGHT + 8
    texts = [
        words(x, floor + 8, name, text_anchor="middle") if flat else turned(x, floor, name) for x, name in zip(middles, names)
    ]
    group.append(element("g", *texts, font_family="monospace", font_size=11))
    if other is not None:
        group.append(turned(middles[-1], floor, _others(rest), font_size=11))
    said = f"state, {order_said(rest > 0)}"
    group.append(words((_WIDTH + _LEFT) / 2, _TOP + _HEIGHT + below + 12, said, text_anchor="middle", font_size=11))
    describe = (
        f"{len(bars)} states" + (f" and {rest:,} others in one bar" if rest else "") + "; the table beside it has the numbers."
    )
    return svg("histogram", title, _WIDTH, _TOP + _HEIGHT + below + 18, *group, describe=describe, key=key)


def _others(rest: int) -> str:
    return f"other ({rest:,} state{'s' if rest > 1 else ''})"


def turned(x: float, y: float, text: str, **attributes: object) -> Element:
    """A label that reads upwards and ends under its bar."""
    return words(0, 4, text, text_anchor="end", transform=f"translate({short(x)} {short(y)})rotate(-90)", **attributes)


def _height(y: Axis, value: float) -> float:
    return _TOP + _HEIGHT * (1 - y.at(value))


def _bar(x: float, wide: float, y: Axis, value: float, hint: str, **attributes: object) -> Element:
    ends = sorted((_height(y, value), _height(y, 0.0)))
    place = {"x": short(x - wide / 2), "y": short(ends[0]), "width": short(wide), "height": short(ends[1] - ends[0])}
    return element("rect", element("title", hint), **place, **attributes)


def _whisker(x: float, half: float, y: Axis, value: float, noise: float) -> str:
    low, high = _height(y, value - noise), _height(y, value + noise)
    ends = stroke((x - half, low), (x + half, low)) + stroke((x - half, high), (x + half, high))
    return stroke((x, low), (x, high)) + ends


def _rest(x: float, wide: float, y: Axis, value: float, rest: int, cut: bool) -> list[Element]:
    """The bar of all other states: hollow, and where it towers above the rest cut, with its number at its head."""
    bar = _bar(x, wide, y, value, f"{_others(rest)}: {si(value, digits=4)}", fill=GRID, stroke=MUTED, stroke_dasharray="4 2")
    if not cut:
        return [bar]
    gap = [(x - wide / 2 - 3, _TOP + 18), (x + wide / 2 + 3, _TOP + 12)]
    tear = element("path", d=stroke(*gap), stroke=PAPER, stroke_width=5)
    return [bar, tear, words(x + wide / 2, _TOP - 5, si(value), text_anchor="end", font_size=11)]


def _frame(y: Axis, name: str) -> Element:
    """Lines at the ticks with their numbers, and what is counted."""
    lines = "".join(stroke((_LEFT, _height(y, tick)), (_WIDTH - _RIGHT, _height(y, tick))) for tick in y.ticks)
    numbers = [words(_LEFT - 6, _height(y, tick) + 4, text) for tick, text in zip(y.ticks, y.labels)]
    zero = _height(y, 0.0)
    return element(
        "g",
        element("path", d=lines, stroke=GRID),
        element("path", d=stroke((_LEFT, zero), (_WIDTH - _RIGHT, zero)), stroke=MUTED),
        element("g", *numbers, text_anchor="end", font_size=11),
        words(0, 0, name, text_anchor="middle", font_size=11, transform=f"translate(12 {short(_TOP + _HEIGHT / 2)})rotate(-90)"),
    )
