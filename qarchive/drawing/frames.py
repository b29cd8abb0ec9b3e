"""Frames in which numbers stand over numbers: a scale at each side, with lines at the ticks of the one that is read off."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from .canvas import short, stroke, words
from .elements import element
from .palette import GRID, MUTED
from .scales import Axis, axis

INSET = 10  # between the sides and the first and last numbers


@dataclass(frozen=True)
class Frame:
    """A rectangle of a drawing with what its sides stand for."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def across(self, value: float) -> float:
        return self.left + INSET + (self.width - 2 * INSET) * self.x.at(value)

    def down(self, value: float) -> float:
        return self.top + self.height * (1 - self.y.at(value))

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.across(x), self.down(y)

    def drawn(self, numbers_across: bool = True, numbers_down: bool = True) -> Element:
        """The lines at the ticks of `y`, the floor with marks at those of `x`, and the numbers that are wanted."""
        right, floor = self.left + self.width, self.top + self.height
        lines = "".join(stroke((self.left, self.down(tick)), (right, self.down(tick))) for tick in self.y.ticks)
        marks = "".join(stroke((self.across(tick), floor), (self.across(tick), floor + 4)) for tick in self.x.ticks)
        parts = [
            element("path", d=lines, stroke=GRID),
            element("path", d=stroke((self.left, floor), (right, floor)) + marks, stroke=MUTED),
        ]
        if self.y.low < 0 < self.y.high and not self.y.log:
            parts.append(element("path", d=stroke((self.left, self.down(0.0)), (right, self.down(0.0))), stroke=MUTED))
        if numbers_down:
            texts = [words(self.left - 7, self.down(tick) + 4, text) for tick, text in zip(self.y.ticks, self.y.labels)]
            parts.append(element("g", *texts, text_anchor="end", font_size=11))
        if numbers_across:
            parts.append(element("g", *self._below(floor + 17), text_anchor="middle", font_size=11))
        return element("g", *parts)

    def _below(self, height: float) -> list[Element]:
        """Numbers under the floor, of which none covers another."""
        texts, last = [], float("-inf")
        for tick, text in zip(self.x.ticks, self.x.labels):
            x, half = self.across(tick), len(text) * 3.2
            if x - half >= last + 6:
                texts.append(words(x, height, text))
                last = x + half
        return texts


def whole(values: Iterable[float], most: int = 6) -> Axis:
    """An axis that ends where its numbers end, with the round ones between; of integers those that are some."""
    found = list(values)
    wide = axis(found, log=False, most=most)
    low, high = (min(found), max(found)) if found else (wide.low, wide.high)
    if not low < high:
        return wide
    integers = all(value == int(value) for value in found)
    kept = [(tick, label) for tick, label in zip(wide.ticks, wide.labels)
            if low <= tick <= high and (not integers or tick == int(tick))]  # fmt: skip
    return replace(wide, low=low, high=high, ticks=tuple(tick for tick, _ in kept), labels=tuple(label for _, label in kept))


def name_down(text: str, frame_top: float, frame_height: float) -> Element:
    """What the numbers at the left are, written upwards at the edge of the drawing."""
    middle = short(frame_top + frame_height / 2)
    return words(0, 0, text, text_anchor="middle", font_size=11, transform=f"translate(12 {middle})rotate(-90)")


def whiskers(frame: Frame, points: Iterable[tuple[float, float, float]], half: float = 2.5) -> str:
    """The path of bars of error at (x, y, error)."""
    parts = []
    for x, y, error in points:
        (at, low), (_, high) = frame.at(x, y - error), frame.at(x, y + error)
        parts.append(stroke((at, low), (at, high)) + stroke((at - half, low), (at + half, low))
                     + stroke((at - half, high), (at + half, high)))  # fmt: skip
    return "".join(parts)
