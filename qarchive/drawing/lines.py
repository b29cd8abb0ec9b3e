"""Lines of drawings: what tells them apart, their marks, and their names at their ends."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from .canvas import short, shortened, stroke, words
from .elements import element
from .palette import MUTED, PAPER, line_style

MOST_LINES = 7  # as many as differ in colour, dashes and mark
MOST_POINTS = 300  # of a line; of more each step of the drawing has the least and the largest
_LINE = 16  # between two names
_MARK = 3.6

At = tuple[float, float]


def thinned(points: list) -> list:
    """Of many points, whose second item is a number or None, the least and the largest of as many parts as are seen, in order; a
    part without numbers is a gap."""
    if len(points) <= MOST_POINTS:
        return points
    parts, found = MOST_POINTS // 2, []
    for i in range(parts):
        part = points[i * len(points) // parts : (i + 1) * len(points) // parts]
        known = [point for point in part if point[1] is not None]
        ends = {min(known, key=lambda point: point[1]), max(known, key=lambda point: point[1])} if known else {part[0]}
        found += sorted(ends, key=lambda point: point[0])
    return found


def line(found: Sequence[At | None], hints: list[str] | None, which: int, joined: bool = True) -> list[Element | None]:
    """A line in as many parts as gaps leave, and its marks: all of them, each with its hint, or those that stand alone."""
    colour, dashes, mark = line_style(which)
    parts: list[list[At]] = [[]]
    for point in found:
        if point is not None and (joined or not parts[-1]):
            parts[-1].append(point)
        elif point is not None:
            parts.append([point])
        elif parts[-1]:
            parts.append([])
    path = "".join(stroke(*part) for part in parts if len(part) > 1)
    drawn = element(
        "path", d=path, fill="none", stroke=colour, stroke_width=1.8, stroke_dasharray=dashes, stroke_linejoin="round"
    )
    if hints is None:
        marks = [element("path", d="".join(_mark(mark, *part[0]) for part in parts if len(part) == 1))]
    else:
        marks = [element("path", element("title", hint), d=_mark(mark, *point)) for point, hint in zip(found, hints) if point]
    group = element("g", *marks, fill=_inside(mark, colour), stroke=colour, stroke_width=1.5)
    return [drawn if path else None, group]


def labels(names: list[tuple[int, str, At]], x: float, top: float, floor: float, joined: bool = True) -> list[Element]:
    """Names of lines at their ends, from `x` on, as (which line, name, its end), moved so that none covers another, each with a
    piece of its line; of marks that are not joined with the mark alone."""
    names = sorted(names, key=lambda entry: (entry[2][1], entry))
    heights: list[float] = []
    for _, _, (_, wanted) in names:
        heights.append(max(wanted, heights[-1] + _LINE) if heights else max(wanted, top + 4.0))
    shift = max(0.0, (heights[-1] if heights else 0.0) - floor)
    below = float("inf")
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], below - _LINE, floor if shift else heights[i])
        below = heights[i]
    found = []
    for (which, name, last), height in zip(names, heights):
        colour, dashes, mark = line_style(which)
        if joined:
            lead, piece = stroke((last[0] + 5, last[1]), (x + 4, height)), stroke((x + 6, height), (x + 30, height))
            found += [element("path", d=lead, stroke=MUTED, stroke_width=0.7, stroke_dasharray="1 3"),
                      element("path", d=piece, stroke=colour, stroke_width=1.8, stroke_dasharray=dashes)]  # fmt: skip
        found += [
            element("path", d=_mark(mark, x + 18, height), fill=_inside(mark, colour), stroke=colour, stroke_width=1.5),
            words(x + 35, height + 4, shortened(name, 14), name),
        ]
    return found


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
