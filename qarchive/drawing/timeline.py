"""When what happened: spans of time as bars, moments as marks, each on a line of its own."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .palette import ACCENT, GRID, INK, MUTED, PAPER
from .scales import duration, stamp, time_ticks, utc

_WIDTH, _LEFT, _RIGHT, _TOP, _LANE = 720, 176, 24, 8, 26
_EDGE = 44  # the width beyond a break of the axis
_MOST = 40  # lines of a drawing
_FAR = 0.5  # a mark further from the spans than this share of their length stands beyond a break
_HALO = {"stroke": PAPER, "stroke_width": 4, "paint_order": "stroke"}  # lines of the grid stop before a text

Span = tuple[str, datetime | None, datetime | None]
Tick = tuple[str, datetime]


def timeline(spans: Iterable[Span], ticks: Iterable[Tick], title: str, key: str = "") -> Figure:
    """Spans (name, start, end) and ticks (name, moment), in UTC; an end of None is still to come, a start of None unknown.

    A tick far from all spans, as a calibration of days ago, stands beyond a break of the axis with its distance written out, so
    that the spans keep their room. Spans of which nothing is known are only in the table.
    """
    spans = [(name, start and utc(start), end and utc(end)) for name, start, end in spans]
    ticks = sorted(((name, utc(moment)) for name, moment in ticks), key=lambda tick: tick[1])
    rows = [(name, _moment(start), _moment(end), _length(start, end)) for name, start, end in spans]
    rows += [(name, _moment(moment), "", "") for name, moment in ticks]
    drawn_spans = [span for span in spans if span[1] or span[2]][:_MOST]
    drawn_ticks = ticks[: max(0, _MOST - len(drawn_spans))]
    left_out = len(spans) + len(ticks) - len(drawn_spans) - len(drawn_ticks)
    note = sentences(
        "Times are in UTC.",
        f"{left_out:,} more are in the table." if left_out else None,
        beyond(len(rows), "entries"),
    )
    drawing = _drawing(drawn_spans, drawn_ticks, title, key)
    return Figure(
        title, drawing, table(("what", "from (UTC)", "to (UTC)", "duration"), rows[:MOST_ROWS], title, right=(3,)), note
    )


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else stamp(moment)


def _length(start: datetime | None, end: datetime | None) -> str:
    if start is None:
        return "-"
    return "still going on" if end is None else duration((end - start).total_seconds())


class _Room:
    """The part of time that has the room, and how moments stand in it."""

    def __init__(self, spans: list[Span], ticks: list[Tick]):
        inner = [moment for _, start, end in spans for moment in (start, end) if moment] or [moment for _, moment in ticks]
        self.start, self.end = min(inner), max(inner)
        reach = (self.end - self.start) * _FAR or timedelta(days=1)
        near = [moment for _, moment in ticks if self.start - moment <= reach and moment - self.end <= reach]
        self.start, self.end = min([self.start, *near]), max([self.end, *near])
        if any(end is None for _, _, end in spans):
            self.end = _later(self.end, (self.end - self.start) * 0.15)
        if self.start == self.end:
            self.start, self.end = _later(self.start, timedelta(milliseconds=-500)), _later(self.end, timedelta(milliseconds=500))
        self.before = any(moment < self.start for _, moment in ticks)
        self.after = any(moment > self.end for _, moment in ticks)
        self.left = _LEFT + (_EDGE if self.before else 8)
        self.right = _WIDTH - _RIGHT - (_EDGE if self.after else 8)

    def at(self, moment: datetime) -> float:
        if moment < self.start:
            return _LEFT + 10
        if moment > self.end:
            return _WIDTH - _RIGHT - 10
        return self.left + (self.right - self.left) * ((moment - self.start) / (self.end - self.start))


def _later(moment: datetime, by: timedelta) -> datetime:
    """A moment so much later; as it was where the calendar ends."""
    try:
        return moment + by
    except OverflowError:
        return moment


def _drawing(spans: list[Span], ticks: list[Tick], title: str, key: str) -> Element:
    if not spans and not ticks:
        text = words(_WIDTH / 2, 34, "No times are known.", text_anchor="middle", fill=MUTED)
        return svg("timeline", title, _WIDTH, 60, text, key=key)
    room = _Room(spans, ticks)
    lanes = len(spans) + len(ticks)
    floor = _TOP + lanes * _LANE + 4
    names = [words(_LEFT - 12, _TOP + _LANE * i + 18, shortened(name, 27), name) for i, (name, *_) in enumerate((*spans, *ticks))]
    group = [_frame(room, floor), element("g", *names, text_anchor="end")]
    for i, span in enumerate(spans):
        group += _span(room, _TOP + _LANE * i, span)
    for i, tick in enumerate(ticks, len(spans)):
        group += _tick(room, _TOP + _LANE * i, tick)
    return svg("timeline", title, _WIDTH, floor + 24, *group, describe="Times in UTC; the table beside it has them all.", key=key)


def _frame(room: _Room, floor: float) -> Element:
    marks = time_ticks(room.start, room.end, most=5)
    lines = "".join(stroke((room.at(moment), _TOP), (room.at(moment), floor)) for moment, _ in marks)
    shown, last = [], float("-inf")
    for moment, text in marks:
        x, half = room.at(moment), len(text) * 2.9
        if x - half >= last + 4:
            shown.append(words(min(x, _WIDTH - half - 2), floor + 16, text))
            last = x + half
    breaks = [x for x, there in ((room.left - 10, room.before), (room.right + 10, room.after)) if there]
    tears = "".join(
        stroke((x - 5, floor + 5), (x + 1, floor - 5)) + stroke((x - 1, floor + 5), (x + 5, floor - 5)) for x in breaks
    )
    gaps = [element("path", d=stroke((x - 3, floor), (x + 3, floor)), stroke=PAPER, stroke_width=4) for x in breaks]
    veils = [element("path", d=stroke((x, _TOP), (x, floor - 6)), stroke=MUTED, stroke_dasharray="2 4") for x in breaks]
    return element(
        "g",
        element("path", d=lines, stroke=GRID) if lines else None,
        element("path", d=stroke((_LEFT, floor), (_WIDTH - _RIGHT, floor)), stroke=MUTED),
        *veils,
        *gaps,
        element("path", d=tears, stroke=MUTED, fill="none") if tears else None,
        element("g", *shown, text_anchor="middle", font_size=11),
    )


def _span(room: _Room, top: float, span: Span) -> list[Element]:
    """A bar; hollow and open to one side where that end is not known."""
    name, start, end = span
    x0 = room.at(start) if start else room.left
    x1 = room.at(end) if end else room.right
    if x1 - x0 < 2.5:  # a run of seconds after a queue of days is still seen
        middle = min((x0 + x1) / 2, room.right - 1.3)
        x0, x1 = middle - 1.3, middle + 1.3
    text = "started at an unknown time" if start is None else _length(start, end)
    hint = element("title", f"{name}: {_moment(start)} to {_moment(end)}, {text}")
    if start and end:
        bar = element("rect", hint, x=short(x0), y=short(top + 5), width=short(x1 - x0), height=16, fill=ACCENT, rx=2)
    else:
        torn, whole, notch = (x1, x0, x1 - 6) if start else (x0, x1, x0 + 6)
        shape = stroke((torn, top + 5), (whole, top + 5), (whole, top + 21), (torn, top + 21), (notch, top + 13), close=True)
        bar = element("path", hint, d=shape, stroke=ACCENT, fill=GRID, stroke_dasharray="5 3", stroke_width=1.5)
    return [bar, _beside(x0, x1, top, text, on=PAPER if start and end else INK)]


def _tick(room: _Room, top: float, tick: Tick) -> list[Element]:
    """A diamond; beyond a break with how far away it is."""
    name, moment = tick
    x, y = room.at(moment), top + 13
    if moment < room.start:
        text = f"{stamp(moment)[:16]}, {duration((room.start - moment).total_seconds())} earlier"
    elif moment > room.end:
        text = f"{stamp(moment)[:16]}, {duration((moment - room.end).total_seconds())} later"
    else:
        text = stamp(moment)[11:23]
    mark = stroke((x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y), close=True)
    return [element("path", element("title", f"{name}: {stamp(moment)}"), d=mark), _beside(x - 6, x + 6, top, text)]


def _beside(x0: float, x1: float, top: float, text: str, on: str = INK) -> Element:
    """A text after what it is of, or before it, or on it in the colour `on`, where there is room."""
    long = len(text) * 6.3
    if x1 + 6 + long <= _WIDTH:
        return words(x1 + 6, top + 17, text, **_HALO)
    if x0 - 6 - long >= _LEFT:
        return words(x0 - 6, top + 17, text, text_anchor="end", **_HALO)
    return words(x0 + 12, top + 17, text, fill=on)
