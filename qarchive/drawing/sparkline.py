"""A row of numbers so small that it stands in a line of text."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from .canvas import short, svg
from .elements import element
from .palette import ACCENT
from .scales import finite

_BLOCKS, _GAP = "▁▂▃▄▅▆▇█", "·"
_LETTERS, _HOLE = "_.-=+*#@", " "  # where blocks cannot be written: the more ink the more
_WIDTH, _HEIGHT = 100, 20
_MOST = 60  # points of a drawing; of more each is the mean of some


def sparkline(values: Iterable[float | None], width: int | None = None, encoding: str | None = "utf-8") -> str:
    """One character a number, from the least to the largest; `·` where there is none (None, NaN).

    `width`: at most so many characters, each the mean of its part. `encoding` is of the stream that it is written to; where that
    has no blocks, the characters are ASCII, and a gap is a space.
    """
    numbers = _thinned([finite(value) for value in values], width)
    blocks, gap = (_BLOCKS, _GAP) if _encodes(encoding) else (_LETTERS, _HOLE)
    return "".join(gap if share is None else blocks[min(7, int(share * 8))] for share in _shares(numbers))


def sparkline_svg(values: Iterable[float | None], title: str, key: str = "") -> Element:
    """As `sparkline`, as a line with a dot at the last number; gaps are gaps."""
    shares = _shares(_thinned([finite(value) for value in values], _MOST))
    step = (_WIDTH - 8) / max(1, len(shares) - 1)
    parts, joined, last = [], False, None
    for i, share in enumerate(shares):
        if share is None:
            joined = False
            continue
        x, y = round(4 + i * step), round(_HEIGHT - 3 - share * (_HEIGHT - 6))
        # Nothing is drawn of a line to where it begins, but for its round end: a number between gaps is a dot.
        parts.append(f"L{x} {y}" if joined else f"M{x} {y}h0")
        joined, last = True, (x, y)
    line = (
        element("path", d="".join(parts), fill="none", stroke=ACCENT, stroke_width=1.5, stroke_linecap="round") if parts else None
    )
    dot = element("circle", cx=short(last[0]), cy=short(last[1]), r=2.5, fill=ACCENT) if last else None
    drawn = svg("sparkline", title, _WIDTH, _HEIGHT, line, dot, key=key)
    drawn.set("class", "sparkline")
    return drawn


def _encodes(encoding: str | None) -> bool:
    try:
        (_BLOCKS + _GAP).encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _thinned(numbers: list[float | None], width: int | None) -> list[float | None]:
    if width is None or len(numbers) <= width:
        return numbers
    found = []
    for i in range(width):
        part = [number for number in numbers[i * len(numbers) // width : (i + 1) * len(numbers) // width] if number is not None]
        found.append(sum(number / len(part) for number in part) if part else None)
    return found


def _shares(numbers: list[float | None]) -> list[float | None]:
    """Numbers as shares of the way from the least to the largest; one half where all are alike."""
    known = [number for number in numbers if number is not None]
    if not known:
        return numbers
    low, high = min(known) / 2, max(known) / 2
    return [None if number is None else (number / 2 - low) / (high - low) if high > low else 0.5 for number in numbers]
