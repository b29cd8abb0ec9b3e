"""How figures changed from moment to moment: one line for each."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .palette import GRID, MUTED, PAPER, line_style
from .scales import Axis, axis, finite, si, stamp, time_ticks, utc

_WIDTH, _HEIGHT, _TOP, _NAMES = 720, 260, 14, 130
_FLOOR = _TOP + _HEIGHT
_MOST_LINES = 7  # as many as differ in colour, dashes and mark
_MOST_POINTS = 300  # of a line; of more each step of the drawing has the least and the largest
_MARKED = 80  # points of a line that have marks and hints
_LINE = 16  # between two names
_MARK = 3.6

Points = list[tuple[datetime, float | None]]


def drift(
    series: Mapping[str, Iterable[tuple[datetime, float | None]]], title: str, unit: str = "", key: str = "", what: str = "value"
) -> Figure:
    """Lines of (moment, number) by name, moments in UTC; None and NaN are gaps, over which no line goes.

    All numbers are in `unit` ("" for plain ones), and `what` says on the axis what they are. The axis is logarithmic where the
    largest number is more than 30 times the least, and all are above 0. The first seven lines are drawn; the table has all.
    """
    lines: dict[str, Points] = {
        name: sorted(((utc(moment), finite(value)) for moment, value in points), key=lambda point: point[0])
        for name, points in series.items()
    }
    moments: dict[datetime, dict[str, float | None]] = {}
    for name, points in lines.items():
        for moment, value in points:
            moments.setdefault(moment, {})[name] = value
    rows = [
        (stamp(moment), *(_number(moments[moment].get(name), unit) for name in lines)) for moment in sorted(moments)[-MOST_ROWS:]
    ]
    drawn = dict(list(lines.items())[:_MOST_LINES])
    gaps = sum(value is None for points in lines.values() for _, value in points)
    dense = any(len(points) > _MOST_POINTS for points in drawn.values())
    y = axis([value for points in drawn.values() for _, value in points if value is not None], unit, most=5)
    note = sentences(
        "Times are in UTC.",
        "The scale is logarithmic." if y.log else None,
        f"Without a number: {gaps:,}." if gaps else None,
        f"The first {_MOST_LINES} of {len(lines)} lines are drawn." if len(lines) > _MOST_LINES else None,
        "Lines of many points are drawn by the least and the largest of each step." if dense else None,
        (beyond(len(moments), "moments") or "").replace("first", "last") or None,
    )
    return Figure(
        title,
        _drawing(drawn, y, unit, title, key, what),
        table(("moment (UTC)", *lines), rows, title, right=range(1, len(lines) + 1)),
        note,
    )


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else si(value, unit, 4)


def _drawing(lines: Mapping[str, Points], y: Axis, unit: str, title: str, key: str, what: str) -> Element:
    moments = [moment for points in lines.values() for moment, value in points if value is not None]
    if not moments:
        nothing = words(_WIDTH / 2, 34, "No numbers are known.", text_anchor="middle", fill=MUTED)
        return svg("drift", title, _WIDTH, 60, nothing, key=key)
    start, end = min(moments), max(moments)
    if start == end:
        try:
            start, end = start - timedelta(hours=1), end + timedelta(hours=1)
        except OverflowError:
            end += timedelta(microseconds=1) if end.year < 9999 else timedelta(0)
            start -= timedelta(microseconds=1) if start.year > 1 else timedelta(0)
    span = end - start

    labels, name = _titled(y, what)
    left = 34 + 6.4 * max(map(len, labels))

    def at(moment: datetime, value: float) -> tuple[float, float]:
        return left + 10 + (_WIDTH - _NAMES - left - 20) * ((moment - start) / span), _height(y, value)

    group = [_frame(y, labels, name, left, start, end, at)]
    names = []
    for i, (name, points) in enumerate(lines.items()):
        found = [None if value is None else at(moment, value) for moment, value in _thinned(points)]
        hints = (
            [f"{name}, {stamp(moment)}: {_number(value, unit)}" for moment, value in points] if len(points) <= _MARKED else None
        )
        group += _line(found, hints, i)
        if last := next(filter(None, reversed(found)), None):
            names.append((last[1], i, name, last))
    group += _labels(names)
    describe = f"{len(lines)} lines; the table beside it has their numbers."
    return svg("drift", title, _WIDTH, _FLOOR + 26, *group, describe=describe, key=key)


def _height(y: Axis, value: float) -> float:
    return _TOP + _HEIGHT * (1 - y.at(value))


def _thinned(points: Points) -> Points:
    """Of many points the least and the largest of as many parts as are seen, in order; a part without numbers is a gap."""
    if len(points) <= _MOST_POINTS:
        return points
    parts, found = _MOST_POINTS // 2, []
    for i in range(parts):
        part = points[i * len(points) // parts : (i + 1) * len(points) // parts]
        known = [point for point in part if point[1] is not None]
        ends = {min(known, key=lambda point: point[1]), max(known, key=lambda point: point[1])} if known else {part[0]}
        found += sorted(ends, key=lambda point: point[0])
    return found


def _titled(y: Axis, what: str) -> tuple[list[str], str]:
    """The labels of the axis and its title: where all labels have one unit, it stands in the title alone."""
    units = {text.partition(" ")[2] for tick, text in zip(y.ticks, y.labels) if tick}
    unit = units.pop() if len(units) == 1 else ""
    name = f"{what} ({unit})" if unit else what
    labels = [text.partition(" ")[0] for text in y.labels] if unit else list(y.labels)
    return labels, f"{name}, log scale" if y.log else name


def _frame(y: Axis, labels: list[str], name: str, left: float, start: datetime, end: datetime, at) -> Element:
    right = _WIDTH - _NAMES
    lines = "".join(stroke((left, _height(y, tick)), (right, _height(y, tick))) for tick in y.ticks)
    numbers = [words(left - 8, _height(y, tick) + 4, text) for tick, text in zip(y.ticks, labels)]
    marks, dates, last = "", [], float("-inf")
    for moment, text in time_ticks(start, end, most=5):
        x, half = at(moment, y.low)[0], len(text) * 3
        marks += stroke((x, _FLOOR), (x, _FLOOR + 5))
        if x - half >= last + 6:
            dates.append(words(x, _FLOOR + 19, text))
            last = x + half
    return element(
        "g",
        element("path", d=lines, stroke=GRID),
        element("path", d=stroke((left, _FLOOR), (right, _FLOOR)) + marks, stroke=MUTED),
        element("g", *numbers, text_anchor="end", font_size=11),
        element("g", *dates, text_anchor="middle", font_size=11),
        words(right + 6, _FLOOR + 19, "UTC", font_size=11, fill=MUTED),
        words(0, 0, name, text_anchor="middle", font_size=11, transform=f"translate(12 {short(_TOP + _HEIGHT / 2)})rotate(-90)"),
    )


def _line(found: list[tuple[float, float] | None], hints: list[str] | None, which: int) -> list[Element]:
    """A line in as many parts as gaps leave, and its marks: all of them, or those that stand alone."""
    colour, dashes, mark = line_style(which)
    parts: list[list[tuple[float, float]]] = [[]]
    for point in found:
        if point is not None:
            parts[-1].append(point)
        elif parts[-1]:
            parts.append([])
    path = "".join(stroke(*part) for part in parts if len(part) > 1)
    line = element("path", d=path, fill="none", stroke=colour, stroke_width=1.8, stroke_dasharray=dashes, stroke_linejoin="round")
    marks = []
    if hints is None:
        marks = [element("path", d="".join(_mark(mark, *part[0]) for part in parts if len(part) == 1))]
    else:
        marks = [element("path", element("title", hint), d=_mark(mark, *point)) for point, hint in zip(found, hints) if point]
    group = element("g", *marks, fill=_inside(mark, colour), stroke=colour, stroke_width=1.5)
    return [line if path else None, group]


def _inside(mark: str, colour: str) -> str:
    return PAPER if mark in ("circle", "square") else colour


def _mark(kind: str, x: float, y: float) -> str:
    r = _MARK
    if kind == "circle":
        return f"M{short(x - r)} {short(y)}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    if kind == "cross":
        return stroke((x - r, y - r), (x + r, y + r)) + stroke((x - r, y + r), (x + r, y - r))
    if kind == "plus":
        return stroke((x - r, y), (x + r, y)) + stroke((x, y - r), (x, y + r))
    corners = {
        "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
        "triangle": ((0, -r), (r, r), (-r, r)),
        "diamond": ((0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)),
        "bar": ((-1, -r - 1), (1, -r - 1), (1, r + 1), (-1, r + 1)),
    }[kind]
    return stroke(*((x + dx, y + dy) for dx, dy in corners), close=True)


def _labels(names: list[tuple[float, int, str, tuple[float, float]]]) -> list[Element]:
    """Names at the ends of their lines, moved so that none covers another, each with a piece of its line."""
    names = sorted(names)
    heights: list[float] = []
    for wanted, *_ in names:
        heights.append(max(wanted, heights[-1] + _LINE) if heights else max(wanted, _TOP + 4.0))
    shift = max(0.0, (heights[-1] if heights else 0.0) - _FLOOR)
    below = float("inf")
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], below - _LINE, _FLOOR if shift else heights[i])
        below = heights[i]
    x = _WIDTH - _NAMES
    found = []
    for (_, which, name, last), height in zip(names, heights):
        colour, dashes, mark = line_style(which)
        lead = stroke((last[0] + 5, last[1]), (x + 4, height))
        found += [
            element("path", d=lead, stroke=MUTED, stroke_width=0.7, stroke_dasharray="1 3"),
            element(
                "path", d=stroke((x + 6, height), (x + 30, height)), stroke=colour, stroke_width=1.8, stroke_dasharray=dashes
            ),
            element("path", d=_mark(mark, x + 18, height), fill=_inside(mark, colour), stroke=colour, stroke_width=1.5),
            words(x + 35, height + 4, shortened(name, 14), name),
        ]
    return found
