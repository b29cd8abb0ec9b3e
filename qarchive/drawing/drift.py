"""How figures changed from moment to moment: one line for each."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .lines import MOST_LINES, MOST_POINTS, labels, line, thinned
from .palette import GRID, MUTED
from .scales import Axis, axis, finite, si, stamp, time_ticks, utc

_WIDTH, _HEIGHT, _TOP, _NAMES = 720, 260, 14, 130
_FLOOR = _TOP + _HEIGHT
_MARKED = 80  # points of a line that have marks and hints

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
    drawn = dict(list(lines.items())[:MOST_LINES])
    gaps = sum(value is None for points in lines.values() for _, value in points)
    dense = any(len(points) > MOST_POINTS for points in drawn.values())
    y = axis([value for points in drawn.values() for _, value in points if value is not None], unit, most=5)
    note = sentences(
        "Times are in UTC.",
        "The scale is logarithmic." if y.log else None,
        f"Without a number: {gaps:,}." if gaps else None,
        f"The first {MOST_LINES} of {len(lines)} lines are drawn." if len(lines) > MOST_LINES else None,
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

    texts, title_of_y = _titled(y, what)
    left = 34 + 6.4 * max(map(len, texts))

    def at(moment: datetime, value: float) -> tuple[float, float]:
        return left + 10 + (_WIDTH - _NAMES - left - 20) * ((moment - start) / span), _height(y, value)

    group = [_frame(y, texts, title_of_y, left, start, end, at)]
    names = []
    for i, (name, points) in enumerate(lines.items()):
        found = [None if value is None else at(moment, value) for moment, value in thinned(points)]
        hints = (
            [f"{name}, {stamp(moment)}: {_number(value, unit)}" for moment, value in points] if len(points) <= _MARKED else None
        )
        group += line(found, hints, i)
        if last := next(filter(None, reversed(found)), None):
            names.append((i, name, last))
    group += labels(names, _WIDTH - _NAMES, _TOP, _FLOOR)
    describe = f"{len(lines)} lines; the table beside it has their numbers."
    return svg("drift", title, _WIDTH, _FLOOR + 26, *group, describe=describe, key=key)


def _height(y: Axis, value: float) -> float:
    return _TOP + _HEIGHT * (1 - y.at(value))


def _titled(y: Axis, what: str) -> tuple[list[str], str]:
    """The labels of the axis and its title: where all labels have one unit, it stands in the title alone."""
    units = {text.partition(" ")[2] for tick, text in zip(y.ticks, y.labels) if tick}
    unit = units.pop() if len(units) == 1 else ""
    name = f"{what} ({unit})" if unit else what
    texts = [text.partition(" ")[0] for text in y.labels] if unit else list(y.labels)
    return texts, f"{name}, log scale" if y.log else name


def _frame(y: Axis, texts: list[str], name: str, left: float, start: datetime, end: datetime, at) -> Element:
    right = _WIDTH - _NAMES
    lines = "".join(stroke((left, _height(y, tick)), (right, _height(y, tick))) for tick in y.ticks)
    numbers = [words(left - 8, _height(y, tick) + 4, text) for tick, text in zip(y.ticks, texts)]
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
