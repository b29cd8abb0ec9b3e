"""Two results side by side: of each state or value both, with their standard errors, on one scale."""

from collections.abc import Sequence
from math import hypot
from typing import NamedTuple
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .palette import GRID, INK, MUTED, PAPER, line_style
from .scales import Axis, axis, finite, si

_WIDTH, _RIGHT, _TOP, _ROW, _APART = 720, 24, 30, 24, 4.5
_BETWEEN, _FIRST = 40, 0.6  # the panel of both takes so much of the width, that of the differences the rest
_LONGEST = 28  # characters of a label; a longer one loses its middle
_ACROSS = 6.9  # of a character of a label, at the drawing's size of type
_MARK = 3.8


class Pair(NamedTuple):
    """One state or value: its name, and of each side the number and its standard error, None where there is none."""

    name: str
    one: float | None
    error: float | None
    other: float | None
    other_error: float | None

    @property
    def difference(self) -> float | None:
        """The other less the one; None where a side has no number."""
        return None if self.one is None or self.other is None else self.other - self.one

    @property
    def sigmas(self) -> float | None:
        """The difference in units of its standard error; None where that is 0 or not known."""
        return self.difference / self.spread if self.difference is not None and self.spread else None

    @property
    def spread(self) -> float | None:
        """The standard error of the difference; None where that of a side is not known."""
        return None if self.error is None or self.other_error is None else hypot(self.error, self.other_error)


def pairs(
    found: Sequence[Pair], title: str, names: tuple[str, str], unit: str, zero: bool = True, most: int = 24, key: str = ""
) -> Figure:
    """Two marks a row with bars of one standard error: the `most` pairs that differ most, largest difference first; in the order
    given where all fit. `names` are those of the sides, `unit` says what the numbers are, `zero` whether 0 is on the axis."""
    clean = [Pair(each.name, *map(finite, each[1:])) for each in found]
    ranked = sorted(clean, key=lambda each: -abs(each.difference or 0.0))
    drawn = clean if len(clean) <= most else ranked[:most]
    errors = any(None not in (each.error, each.other_error) for each in drawn)
    note = sentences(
        f"{names[0]} filled, {names[1]} hollow{'; bars of error are one standard error' if errors else ''}.",
        f"The {most} of {len(clean):,} that differ most." if len(clean) > most else None,
        beyond(len(clean), "rows"),
    )
    header = ("", names[0], "error", names[1], "error", "difference", "in standard errors")
    rows = [(each.name, *(_shown(number, digits) for number, digits in (
        (each.one, 4), (each.error, 2), (each.other, 4), (each.other_error, 2), (each.difference, 3), (each.sigmas, 2))))
        for each in (clean if len(clean) <= most else ranked)[:MOST_ROWS]]  # fmt: skip
    return Figure(title, _drawing(drawn, names, unit, zero, title, key), table(header, rows, title, right=range(1, 7)), note)


def _shown(number: float | None, digits: int) -> str:
    return "-" if number is None else si(number, digits=digits)


def _drawing(drawn: Sequence[Pair], names: tuple[str, str], unit: str, zero: bool, title: str, key: str) -> Element:
    spans = [_span(number, error) for each in drawn for number, error in (each[1:3], each[3:5]) if number is not None]
    if not spans:
        nothing = words(_WIDTH / 2, 34, "No numbers are known.", text_anchor="middle", fill=MUTED)
        return svg("pairs", title, _WIDTH, 60, nothing, key=key)
    left = 16 + _ACROSS * max(len(shortened(each.name, _LONGEST)) for each in drawn)
    room = _WIDTH - _RIGHT - left - _BETWEEN
    floor = _TOP + _ROW * len(drawn)
    both = _Panel(axis([end for span in spans for end in span], zero=zero, most=5), left, room * _FIRST)
    labels = [words(left - 8, _middle(i) + 4, shortened(each.name, _LONGEST), each.name) for i, each in enumerate(drawn)]
    group = [both.frame(floor, unit), _key(names, left)]
    group.append(element("g", *labels, text_anchor="end", font_family="monospace", font_size=11))
    group += [_side(drawn, side, both, names[side]) for side in (0, 1)]
    apart = [end for each in drawn if each.difference is not None for end in _span(each.difference, each.spread)]
    if apart:
        second = _Panel(axis([*apart, 0.0], most=4), left + room * _FIRST + _BETWEEN, room * (1 - _FIRST))
        group += [second.frame(floor, f"{names[1]} less {names[0]}"), _differences(drawn, second, floor)]
    describe = f"{len(drawn)} rows of two marks and their difference; the table beside it has the numbers."
    return svg("pairs", title, _WIDTH, floor + 42, *group, describe=describe, key=key)


def _span(number: float, error: float | None) -> tuple[float, float]:
    return number - (error or 0.0), number + (error or 0.0)


def _middle(row: int) -> float:
    return _TOP + _ROW * (row + 0.5)


class _Panel(NamedTuple):
    """A part of the drawing with an axis of its own."""

    axis: Axis
    left: float
    wide: float

    def at(self, value: float) -> float:
        return self.left + self.wide * self.axis.at(value)

    def frame(self, floor: float, name: str) -> Element:
        """Lines at the ticks with their numbers, and what is measured."""
        lines = "".join(stroke((self.at(tick), _TOP), (self.at(tick), floor)) for tick in self.axis.ticks)
        numbers = [words(self.at(tick), floor + 16, text) for tick, text in zip(self.axis.ticks, self.axis.labels)]
        return element(
            "g",
            element("path", d=lines, stroke=GRID),
            element("path", d=stroke((self.left, floor), (self.left + self.wide, floor)), stroke=MUTED),
            element("g", *numbers, text_anchor="middle", font_size=11),
            words(self.left + self.wide / 2, floor + 34, name, text_anchor="middle", font_size=11),
        )

    def bar(self, number: float, error: float, height: float) -> str:
        """A bar of error, for `d`."""
        low, high = (self.at(end) for end in _span(number, error))
        return stroke((low, height), (high, height)) + "".join(
            stroke((end, height - 2.5), (end, height + 2.5)) for end in (low, high)
        )


def _key(names: tuple[str, str], left: float) -> Element:
    """Which mark is whose."""
    found, x = [], left + 6
    for side, name in enumerate(names):
        found += [_mark(side, x, 12), words(x + 10, 16, name)]
        x += 30 + 7 * len(name)
    return element("g", *found)


def _side(drawn: Sequence[Pair], side: int, panel: _Panel, whose: str) -> Element:
    """All marks of a side with their bars."""
    marks, bars = [], ""
    for i, each in enumerate(drawn):
        number, error = (each[1:3], each[3:5])[side]
        if number is None:
            continue
        height = _middle(i) + (-_APART, _APART)[side]
        bars += panel.bar(number, error, height) if error else ""
        spread = f" ± {si(error, digits=2)}" if error else ""
        marks.append(_mark(side, panel.at(number), height, f"{whose}, {each.name}: {si(number, digits=4)}{spread}"))
    return element("g", element("path", d=bars, stroke=line_style(side)[0], fill="none") if bars else None, *marks)


def _differences(drawn: Sequence[Pair], panel: _Panel, floor: float) -> Element:
    """The differences around a line at 0, with their bars."""
    marks, bars = [], ""
    for i, each in enumerate(drawn):
        if each.difference is not None:
            bars += panel.bar(each.difference, each.spread, _middle(i)) if each.spread else ""
            sigmas = "" if each.sigmas is None else f", {si(each.sigmas, digits=2)} standard errors"
            hint = element("title", f"{each.name}: {si(each.difference, digits=3)}{sigmas}")
            x, y = panel.at(each.difference), _middle(i)
            d = stroke((x, y - _MARK - 1), (x + _MARK + 1, y), (x, y + _MARK + 1), (x - _MARK - 1, y), close=True)
            marks.append(element("path", hint, d=d))
    nought = stroke((panel.at(0.0), _TOP), (panel.at(0.0), floor))
    return element("g", element("path", d=nought + bars, stroke=INK, fill="none"), element("g", *marks, fill=INK))


def _mark(side: int, x: float, y: float, hint: str | None = None) -> Element:
    """A filled circle, or a hollow square."""
    colour, title = line_style(side)[0], element("title", hint) if hint else None
    if side == 0:
        return element("circle", title, cx=short(x), cy=short(y), r=_MARK, fill=colour, stroke=colour, stroke_width=1.4)
    box = {"x": short(x - _MARK), "y": short(y - _MARK), "width": 2 * _MARK, "height": 2 * _MARK}
    return element("rect", title, **box, fill=PAPER, stroke=colour, stroke_width=1.6)
