"""Numbers over a number, with their errors: lines in one frame, or as many small frames with the same scales."""

from collections.abc import Mapping, Sequence
from math import ceil
from xml.etree.ElementTree import Element

from .canvas import sentences, shortened, svg, words
from .elements import element
from .figure import Figure
from .frames import Frame, name_down, whiskers, whole
from .lines import MOST_LINES, MOST_POINTS, labels, line, thinned
from .palette import MUTED, line_style
from .scales import Axis, axis, coordinate, finite, si

PANELS = 36  # frames of one drawing
_WIDTH, _HEIGHT, _TOP, _NAMES, _RIGHT = 720, 240, 12, 130, 8
_SMALL, _HEAD, _APART = 96, 18, 14  # height of a small frame, of its name, and between two
_MARKED = 40  # points of a line that have marks
_HINTED = 240  # marks of a drawing that have hints

Point = tuple[float, float | None, float | None]


def curves(series: Mapping[str, Sequence[Point]], title: str, x: str, y: str, table: Element, *, note: str | None = None,
           joined: bool = True, within: Sequence[float] = (), key: str = "") -> Figure:  # fmt: skip
    """Lines of (x, value, error) by name; None and NaN are gaps, and no error is no bar.

    `x` and `y` say what the numbers are. Up to seven lines are in one frame, more in a frame each, with one scale for all. Points
    that are not `joined` stand for themselves. `within` are numbers on the scale of values. `table` has what is drawn, and more.
    """
    lines = {name: _sound(points) for name, points in series.items()}
    drawn = dict(list(lines.items())[:PANELS])
    known = [point for points in drawn.values() for point in points if point[1] is not None]
    if not known:
        nothing = words(_WIDTH / 2, 34, "No numbers are known.", text_anchor="middle", fill=MUTED)
        return Figure(title, svg("curves", title, _WIDTH, 60, nothing, key=key), table, note)
    ends = [*within, *(end for _, value, error in known for end in (value - (error or 0.0), value + (error or 0.0)))]
    across = whole([point[0] for point in known])
    draw = _together if len(drawn) <= MOST_LINES else _apart
    dense = any(len(points) > MOST_POINTS for points in drawn.values())
    said = sentences(
        note,
        f"The first {PANELS} of {len(lines):,} are drawn." if len(lines) > PANELS else None,
        "Of many points the least and the largest of each step are drawn." if dense else None,
    )
    return Figure(title, draw(drawn, across, ends, x, y, joined, title, key), table, said)


def _sound(points: Sequence[Point]) -> list[Point]:
    """Points whose place is known, in order."""
    found = [(at, coordinate(value), finite(error)) for x, value, error in points if (at := coordinate(x)) is not None]
    return sorted(found, key=lambda point: point[0])


def _together(lines, across: Axis, ends, x, y, joined, title, key) -> Element:
    down = axis(ends, log=False, most=5)
    left = 30 + 6.4 * max(map(len, down.labels))
    right = _NAMES if any(lines) else _RIGHT
    frame = Frame(left, _TOP, _WIDTH - right - left, _HEIGHT, across, down)
    hinted = sum(map(len, lines.values())) <= _HINTED
    group, named = [frame.drawn(), name_down(y, _TOP, _HEIGHT)], []
    for i, (name, points) in enumerate(lines.items()):
        group += _line(frame, name, points, i, joined, hinted)
        if last := next((frame.at(at, value) for at, value, _ in reversed(points) if value is not None), None):
            named.append((i, name, last))
    if right == _NAMES:
        group += labels(named, _WIDTH - _NAMES, _TOP, _TOP + _HEIGHT, joined)
    group.append(words(left + frame.width / 2, _TOP + _HEIGHT + 36, shortened(x, 80), text_anchor="middle", font_size=11))
    describe = f"{len(lines)} lines; the table beside it has their numbers."
    return svg("curves", title, _WIDTH, _TOP + _HEIGHT + 42, *group, describe=describe, key=key)


def _apart(lines, across: Axis, ends, x, y, joined, title, key) -> Element:
    down = whole(ends, most=4)
    columns = 3 if len(lines) <= 12 else 4
    rows = ceil(len(lines) / columns)
    left = 30 + 6.4 * max(map(len, down.labels))
    wide = (_WIDTH - left - _RIGHT - _APART * (columns - 1)) / columns
    step = _SMALL + _HEAD + 8
    group = [name_down(y, _HEAD, rows * step - 8 - _HEAD)]
    for i, (name, points) in enumerate(lines.items()):
        row, column = divmod(i, columns)
        place = left + column * (wide + _APART)
        frame = Frame(place, _HEAD + row * step, wide, _SMALL, across, down)
        lowest = i + columns >= len(lines)
        group.append(frame.drawn(numbers_across=lowest, numbers_down=column == 0))
        group.append(words(place, _HEAD + row * step - 5, shortened(name, int(wide / 6.4)), name, font_size=11, font_weight=600))
        group += _line(frame, name, points, 0, joined, False)
    floor = _HEAD + rows * step - 8
    group.append(words(left + (_WIDTH - left) / 2, floor + 22, shortened(x, 80), text_anchor="middle", font_size=11))
    describe = f"{len(lines)} small frames with one scale; the table beside it has their numbers."
    return svg("curves", title, _WIDTH, floor + 28, *group, describe=describe, key=key)


def _line(frame: Frame, name: str, points: list[Point], which: int, joined: bool, hinted: bool) -> list[Element | None]:
    shown = thinned(points)
    found = [None if value is None else frame.at(at, value) for at, value, _ in shown]
    errors = [(at, value, error) for at, value, error in shown if value is not None and error]
    colour = line_style(which)[0]
    group: list[Element | None] = []
    if errors and len(shown) <= MOST_POINTS:
        group.append(element("path", d=whiskers(frame, errors), stroke=colour, fill="none", opacity="0.7"))
    hints = None
    if hinted and len(shown) <= _MARKED:
        before = f"{name}, " if name else ""
        hints = [f"{before}{si(at, digits=6)}: {_told(value, error)}" for at, value, error in shown]
    if hints is None and joined and len(shown) <= _MARKED:  # marks without hints
        return group + line(found, None, which, True) + line(found, None, which, False)
    return group + line(found, hints, which, joined)


def _told(value: float | None, error: float | None) -> str:
    return si(value, digits=5) + (f" ± {si(error, digits=2)}" if error else "")  # type: ignore[arg-type]
