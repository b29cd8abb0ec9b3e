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
_LABELS = 400  # atoms; of more the names are in the table only


def register(positions: Mapping[str | int, Sequence[float]], title: str, *, unit: str = "µm", key: str = "") -> Figure:
    """Atoms at their (x, y), y upwards, or at (x, y, z) seen along z; all lengths to one scale, in `unit`.

    An atom without two finite coordinates is in the table only, and the note says so.
    """
    known, deep = {}, False
    for name, point in positions.items():
        x, y, *more = [coordinate(value) for value in point] if len(point) >= 2 else (None, None)
        deep = deep or bool(more)
        if x is not None and y is not None:
            known[name] = (x, y)
    unknown = len(positions) - len(known)
    closest = nearest(known)
    note = sentences(
        f"The closest two are {_length(closest, unit)} apart{' as drawn' if deep else ''}."
        if 0 < closest < float("inf")
        else None,
        "Seen along z, which is in the table." if deep else None,
        f"Without a position: {unknown:,}." if unknown else None,
        f"Names of more than {_LABELS} atoms are in the table only." if len(known) > _LABELS else None,
        beyond(len(positions), "atoms"),
    )
    axes = ("x", "y", "z") if deep else ("x", "y")
    rows = [(str(name), *_coordinates(point, len(axes))) for name, point in list(positions.items())[:MOST_ROWS]]
    header = ("atom", *(f"{name} ({unit})" for name in axes))
    return Figure(
        title, _drawing(known, closest, unit, title, key), table(header, rows, title, right=range(1, len(header))), note
    )


def _length(value: float, unit: str) -> str:
    """A length in its own unit: one with a prefix gets no second one."""
    return f"{si(value, digits=4)} {unit}".strip()


def _coordinates(point: Sequence[float], count: int) -> list[str]:
    found = [si(value, digits=6) for value in list(point)[:count]]
    return found + ["-"] * (count - len(found))


def _drawing(known: Mapping[str | int, tuple[float, float]], closest: float, unit: str, title: str, key: str) -> Element:
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
            element("title", f"{name}: {si(x, digits=6)}, {si(y, digits=6)} {unit}"),
            cx=short(at[name][0]),
            cy=short(at[name][1]),
            r=short(radius),
        )
        for name, (x, y) in known.items()
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
