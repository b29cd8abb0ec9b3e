"""A register of atoms, each where it is held, with a bar for the scale."""

from collections.abc import Mapping, Sequence
from math import floor, log10
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .layouts import nearest
from .palette import ACCENT, INK, MUTED, PAPER
from .scales import coordinate, si

_WIDTH, _HEIGHT, _MARGIN, _FOOT = 640, 480, 30, 44
_LARGEST, _SMALLEST = 16.0, 3.5
_HIDDEN = 1e-6  # of the largest coordinate: atoms that are so close are drawn at one point
_SLANT = "at a slant"
_LABELS = 400  # atoms; of more the names are in the table only


def register(positions: Mapping[str | int, Sequence[float]], title: str, *, unit: str = "µm", key: str = "") -> Figure:
    """Atoms at their (x, y), y upwards, or at (x, y, z) seen along z; all lengths to one scale, in `unit`.

    Where atoms would hide each other they are seen along y or x, or at a slant, which is not to scale, and the note says so. An
    atom without two finite coordinates is in the table only, and the note says so.
    """
    points = {name: tuple(map(coordinate, point)) for name, point in positions.items()}
    points = {name: point for name, point in points.items() if len(point) >= 2 and None not in point[:2]}
    deep = any(len(point) > 2 for point in positions.values())
    known, seen = _seen(points) if deep else ({name: point[:2] for name, point in points.items()}, None)
    unknown = len(positions) - len(known)
    closest = nearest(known)
    note = sentences(
        f"The closest two are {_length(closest, unit)} apart{' as drawn' if deep else ''}."
        if 0 < closest < float("inf") and seen != _SLANT
        else None,
        f"Seen {seen}, which is in the table." if seen and seen != _SLANT else None,
        f"Seen {_SLANT}: lengths along z are not to scale; the table has them." if seen == _SLANT else None,
        f"Without a position: {unknown:,}." if unknown else None,
        f"Names of more than {_LABELS} atoms are in the table only." if len(known) > _LABELS else None,
        beyond(len(positions), "atoms"),
    )
    axes = ("x", "y", "z") if deep else ("x", "y")
    rows = [(str(name), *_coordinates(point, len(axes))) for name, point in list(positions.items())[:MOST_ROWS]]
    header = ("atom", *(f"{name} ({unit})" for name in axes))
    return Figure(
        title,
        _drawing(known, points, closest, unit, title, key),
        table(header, rows, title, right=range(1, len(header))),
        note,
    )


def _seen(points: Mapping[str | int, tuple[float | None, ...]]) -> tuple[dict[str | int, tuple[float, float]], str]:
    """Where atoms in space are drawn, and from where that is seen: along z, unless atoms hide each other so."""
    whole = {name: (*point[:2], point[2] if len(point) > 2 and point[2] is not None else 0.0) for name, point in points.items()}
    extent = max((abs(value) for point in whole.values() for value in point), default=0.0)
    for seen, one, other in (("along z", 0, 1), ("along y", 0, 2), ("along x", 1, 2)):
        found = {name: (point[one], point[other]) for name, point in whole.items()}
        if nearest(found) > _HIDDEN * extent:
            return found, seen
    if extent == 0 or len(set(whole.values())) < len(whole):  # atoms at one point are so from everywhere
        return {name: point[:2] for name, point in whole.items()}, "along z"
    return {name: (x + 0.42 * z, y + 0.23 * z) for name, (x, y, z) in whole.items()}, _SLANT


def _length(value: float, unit: str) -> str:
    """A length in its own unit: one with a prefix gets no second one."""
    return f"{si(value, digits=4)} {unit}".strip()


def _coordinates(point: Sequence[float], count: int) -> list[str]:
    found = [si(value, digits=6) for value in list(point)[:count]]
    return found + ["-"] * (count - len(found))


def _drawing(
    known: Mapping[str | int, tuple[float, float]], points: Mapping, closest: float, unit: str, title: str, key: str
) -> Element:
    if not known:
        nothing = words(_WIDTH / 2, 34, "No positions are known.", text_anchor="middle", fill=MUTED)
        return svg("register", title, _WIDTH, 60, nothing, key=key)
    xs, ys = zip(*known.values())
    # Halves, so that the widest register is no infinity.
    wide, high = max(xs) / 2 - min(xs) / 2, max(ys) / 2 - min(ys) / 2
    room = ((wide, _WIDTH - 2 * _MARGIN), (high, _HEIGHT - 2 * _MARGIN))
    scale = min((most / 2 / half for half, most in room if half), default=float("inf"))
    if 0 < closest < float("inf"):
        scale = min(scale, 90 / closest)  # two atoms need no whole page
    if scale == float("inf") or scale <= 0:
        scale = 1.0
    height = 2 * high * scale + 2 * _MARGIN
    left = (_WIDTH - 2 * wide * scale) / 2
    at = {name: (left + (x - min(xs)) * scale, _MARGIN + (max(ys) - y) * scale) for name, (x, y) in known.items()}
    radius = min(_LARGEST, max(_SMALLEST, closest * scale * 0.36)) if closest < float("inf") else _LARGEST
    circles = [
        element(
            "circle",
            element("title", f"{name}: {', '.join(_coordinates(points[name], len(points[name])))} {unit}"),
            cx=short(at[name][0]),
            cy=short(at[name][1]),
            r=short(radius),
        )
        for name in known
    ]
    group = [element("g", *circles, fill=ACCENT, stroke=INK)]
    if len(known) <= _LABELS:
        group.append(_names(at, radius))
    group += _bar(scale, unit, height)
    describe = f"{len(known)} atoms; the table beside it has their coordinates."
    return svg("register", title, _WIDTH, height + _FOOT, *group, describe=describe, key=key)


def _names(at: Mapping[str | int, tuple[float, float]], radius: float) -> Element:
    """Short names in the circles if these have room, else beside them."""
    longest = max(1, *(len(str(name)) for name in at))
    if longest > 4 or radius < 8:
        texts = [words(x + radius + 3, y + 3, shortened(str(name), 12), str(name)) for name, (x, y) in at.items()]
        return element("g", *texts, font_size=9)
    size = min(12.0, radius * 2.6 / longest)
    texts = [words(x, y, str(name)) for name, (x, y) in at.items()]
    shift = f"translate(0 {short(size * 0.35)})"
    return element("g", *texts, fill=PAPER, text_anchor="middle", font_size=short(size), transform=shift, pointer_events="none")


def _bar(scale: float, unit: str, top: float) -> list[Element]:
    """A bar of a round length, between a tenth and a third of the drawing."""
    most = _WIDTH / 4 / scale
    power = 10.0 ** floor(log10(most)) if 1e-300 < most < 1e300 else 1.0
    round_one = next((power * nice for nice in (5, 2, 1) if power * nice <= most), most)
    x, y = _MARGIN, top + 14
    path = stroke((x, y - 4), (x, y + 4)) + stroke((x, y), (x + round_one * scale, y))
    path += stroke((x + round_one * scale, y - 4), (x + round_one * scale, y + 4))
    return [element("path", d=path, stroke=INK, stroke_width=1.5), words(x, y + 19, _length(round_one, unit))]
