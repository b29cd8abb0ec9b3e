"""A device: its places as circles and their couplings as lines, coloured by how good they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import hypot
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .layouts import layout, nearest
from .palette import INK, MUTED, PAPER, ink_on, shade
from .scales import FAR, Axis, axis, coordinate, finite, labels, si

_PITCH = 44  # between places that are closest to each other
_RADIUS = 14
_MARGIN = 24
_WIDEST = 2400  # of a drawing; a larger device has its places closer
_NARROWEST = 640  # so that a legend has room
_HALF = 20  # of the number at the end of a legend, which stands beyond it
_LEGEND = 62
_PARTS = 20  # of the bar of colours
_FEWEST_FOR_LOG = 10.0
_OUTLIER = 3.0  # how many times the ninetieth percentile; what is more has a mark of its own, and does not squash the scale

Pair = tuple[int, int]


def device(
    places: Iterable[int],
    couplings: Iterable[Pair],
    node_values: Mapping[int, float | None],
    edge_values: Mapping[Pair, float | None],
    title: str,
    *,
    positions: Mapping[int, tuple[float, float]] | None = None,
    node_name: str = "readout error",
    edge_name: str = "two-qubit gate error",
    node_unit: str = "",
    edge_unit: str = "",
    letter: str = "q",
    key: str = "",
) -> Figure:
    """A map of a device. Values are errors or others, in `node_unit` and `edge_unit` ("" for plain numbers).

    Couplings may be given in both directions: the drawing has the larger of their values, the table each. What has no value
    (None, NaN) is hollow or a broken line. `positions` are kept up to scale, x to the right, y downwards; without them, or where
    they leave out a place or put two at one point, the layout is ours, and the note says so if they were given.
    """
    places = sorted(set(places))
    known = set(places)
    couplings = sorted(
        {tuple(pair) for pair in (*couplings, *edge_values) if len(pair) == 2 and pair[0] != pair[1] and known >= {*pair}}
    )
    nodes = {place: finite(node_values.get(place)) for place in places}
    edges: dict[Pair, float | None] = {}
    for pair in couplings:
        found = [value for value in (finite(edge_values.get(pair)), edges.get(_up(pair))) if value is not None]
        edges[_up(pair)] = max(found, default=None)
    given = None if positions is None else _given(places, positions)
    at, width, height = _scaled(given or layout(places, edges))
    scales = (_Scale(nodes.values(), node_name, node_unit), _Scale(edges.values(), edge_name, edge_unit))
    drawing = _drawing(at, width, height, nodes, edges, scales, letter, title, key)
    rows: list[tuple[str, str, str]] = [(f"{letter}{place}", node_name, _number(nodes[place], node_unit)) for place in places]
    rows += [
        (f"{letter}{one}, {letter}{other}", edge_name, _number(finite(edge_values.get((one, other))), edge_unit))
        for one, other in couplings
    ]
    note = sentences(
        "The layout is ours: the positions given do not have each place at a point of its own."
        if positions and not given
        else None,
        *(scale.note(what) for scale, what in zip(scales, ("a square", "a cross"))),
        beyond(len(rows), "values"),
    )
    return Figure(title, drawing, table(("place", "figure", "value"), rows[:MOST_ROWS], title, right=(2,)), note)


def _up(pair: Pair) -> Pair:
    return pair if pair[0] < pair[1] else (pair[1], pair[0])


def _number(value: float | None, unit: str) -> str:
    return "no value" if value is None else si(value, unit, 4)


def _given(places: list[int], positions: Mapping[int, tuple[float, float]]) -> dict[int, tuple[float, float]] | None:
    """The positions if they are of use."""
    found = {place: tuple(map(coordinate, positions.get(place, ()))) for place in places}
    if any(len(point) != 2 or None in point for point in found.values()):
        return None
    return found if nearest(found) > 1 / FAR else None


def _scaled(at: Mapping[int, tuple[float, float]]) -> tuple[dict[int, tuple[float, float]], float, float]:
    """The points in the drawing's units, its width and its height: the closest two `_PITCH` apart unless it were too large."""
    if not at:
        return {}, _NARROWEST, 60
    left, top = (min(values) for values in zip(*at.values()))
    wide, high = (max(values) - low for values, low in zip(zip(*at.values()), (left, top)))
    closest = nearest(at)
    scale = 1.0 if closest == float("inf") else _PITCH / closest
    scale = min(scale, _WIDEST / max(wide, high)) if max(wide, high) else scale
    width, height = wide * scale + 2 * _MARGIN, high * scale + 2 * _MARGIN
    shift = max(0.0, (_NARROWEST - width) / 2)
    points = {place: ((x - left) * scale + _MARGIN + shift, (y - top) * scale + _MARGIN) for place, (x, y) in at.items()}
    return points, max(width, _NARROWEST), height


def limit(values: Sequence[float]) -> float:
    """Beyond which of these values, in order, the others are outliers, that would squash a scale; infinite where none is."""
    if values and values[0] >= 0 and values[-1] > _OUTLIER * values[len(values) * 9 // 10] > 0:
        return values[len(values) * 9 // 10] * _OUTLIER
    return float("inf")


class _Scale:
    """The colours of some values: an axis of which the last part stands for all outliers."""

    def __init__(self, values: Iterable[float | None], name: str, unit: str):
        values = list(values)
        self.name, self.unit = name, unit
        self.missing = values.count(None)
        found = sorted(value for value in values if value is not None)
        self.known = len(found)
        self.limit = limit(found)
        inside = [value for value in found if value <= self.limit]
        log = bool(inside) and inside[0] > 0 and inside[-1] / inside[0] >= _FEWEST_FOR_LOG
        self.axis = _tight(axis(inside, unit, log=log, most=4), inside[0], inside[-1], unit) if inside else None
        self.outliers = len(found) - len(inside)

    def out(self, value: float) -> bool:
        return value > self.limit

    def colour(self, value: float) -> str:
        return shade(self.axis.at(value))

    def note(self, mark: str) -> str | None:
        if not self.outliers:
            return None
        return f"{self.name}: {self.outliers} above {si(self.axis.high, self.unit)}, each marked by {mark}."


def _tight(wide: Axis, low: float, high: float, unit: str) -> Axis:
    """An axis that ends at the values themselves, so that no colour goes unused, with both ends among its ticks."""
    if low == high:
        return wide
    ticks = sorted({low, *(tick for tick in wide.ticks if low <= tick <= high), high})
    return replace(wide, low=low, high=high, ticks=tuple(ticks), labels=tuple(labels(ticks, unit)))


def _drawing(at, width: float, height: float, nodes, edges, scales, letter: str, title: str, key: str) -> Element:
    if not at:
        nothing = words(width / 2, 34, "No places are known.", text_anchor="middle", fill=MUTED)
        return svg("device", title, width, 60, nothing, key=key)
    radius = min(_RADIUS, nearest(at) * _RADIUS / _PITCH) if len(at) > 1 else _RADIUS
    group = [*_lines(at, edges, scales[1], letter, radius), *_circles(at, nodes, scales[0], letter, radius)]
    legend = min(300.0, width / 2 - 3 * _MARGIN - _HALF)
    group += [
        _legend(scale, x, height, legend, i)
        for i, (scale, x) in enumerate(zip(scales, (_MARGIN + _HALF, width / 2 + _MARGIN)))
        if i == 0 or edges
    ]
    size = f"{len(at)} places and {len(edges)} couplings"
    worst = "; ".join(
        f"highest {scale.name}: {si(max(values), scale.unit)}"
        for scale, values in zip(scales, ([v for v in each.values() if v is not None] for each in (nodes, edges)))
        if values
    )
    describe = f"{size}{f'; {worst}' if worst else ''}. The table beside it has the numbers."
    return svg("device", title, width, height + _LEGEND, *group, describe=describe, key=key)


def _lines(at, edges, scale: _Scale, letter: str, radius: float) -> list[Element]:
    """Couplings: a casing of ink under the colour, so that they are seen on any paper; a broken line has no value."""
    thick = min(6.0, radius * 0.43) if len(edges) < 3 * len(at) else 2.0
    known = [(pair, value) for pair, value in edges.items() if value is not None]
    unknown = [pair for pair, value in edges.items() if value is None]
    casing = "".join(stroke(at[one], at[other]) for (one, other), _ in known)
    coloured = [
        (scale.colour(value), element("path", element("title", f"{name}: {si(value, scale.unit)}"), d=stroke(at[one], at[other])))
        for (one, other), value in known
        for name in [f"{letter}{one}, {letter}{other}"]
    ]
    crosses = "".join(_cross(at[one], at[other], radius * 0.45) for (one, other), value in known if scale.out(value))
    broken = "".join(stroke(at[one], at[other]) for one, other in unknown)
    return [
        element("path", d=broken, stroke=MUTED, stroke_width=short(thick / 4), stroke_dasharray="3 4") if broken else None,
        element("path", d=casing, stroke=INK, stroke_width=short(thick + 2)) if casing else None,
        element("g", *_by_colour("stroke", coloured), stroke_width=short(thick)) if coloured else None,
        element("path", d=crosses, stroke="#000", stroke_width=2, pointer_events="none") if crosses else None,
    ]


def _cross(one: tuple[float, float], other: tuple[float, float], size: float) -> str:
    """A stroke on either side of the middle of a line, crossing in it."""
    x, y = (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
    length = hypot(other[0] - one[0], other[1] - one[1]) or 1.0
    along, across = (other[0] - one[0]) / length * size, (other[1] - one[1]) / length * size
    dx, dy, ex, ey = along - across, across + along, along + across, across - along
    return stroke((x - dx, y - dy), (x + dx, y + dy)) + stroke((x - ex, y - ey), (x + ex, y + ey))


def _circles(at, nodes, scale: _Scale, letter: str, radius: float) -> list[Element]:
    """Places: a circle, a square beyond the scale, hollow and broken without a value; numbers in black, white, or ink."""
    size = short(radius)
    shapes, hollow = [], []
    texts: dict[str, list[Element]] = {}
    for place, (x, y) in at.items():
        value = nodes[place]
        hint = element("title", f"{letter}{place}: {'no value' if value is None else si(value, scale.unit)}")
        colour = PAPER if value is None else scale.colour(value)
        if value is None:
            hollow.append(element("circle", hint, cx=short(x), cy=short(y), r=size))
        elif scale.out(value):
            box = {"x": short(x - radius), "y": short(y - radius), "width": short(2 * radius), "height": short(2 * radius)}
            shapes.append((colour, element("rect", hint, **box)))
        else:
            shapes.append((colour, element("circle", hint, cx=short(x), cy=short(y), r=size)))
        ink = INK if value is None else ink_on(colour)
        texts.setdefault(ink, []).append(words(x, y, str(place)))
    longest = max(len(str(place)) for place in at)
    letters = {"text_anchor": "middle", "font_size": short(radius * min(0.88, 2.5 / longest)), "pointer_events": "none"}
    letters["transform"] = f"translate(0 {short(radius * 0.3)})"
    return [
        element("g", *_by_colour("fill", shapes), stroke=INK) if shapes else None,
        element("g", *hollow, fill=PAPER, stroke=MUTED, stroke_dasharray="3 2", stroke_width=1.5) if hollow else None,
        *(element("g", *found, fill=ink, **letters) for ink, found in sorted(texts.items())),
    ]


def _legend(scale: _Scale, left: float, top: float, wide: float, which: int) -> Element:
    """A bar of the colours with numbers, and how what has none, or lies beyond, is drawn."""
    what, none, beyond_it = (("circles", "hollow", "square"), ("lines", "broken", "crossed"))[which]
    group = [words(left, top + 10, f"{scale.name} ({what})")]
    if scale.axis is None:
        group.append(words(left, top + 30, "no values", fill=MUTED, font_size=11))
        return element("g", *group)
    each = wide / _PARTS
    colours = [
        element("path", d=f"M{short(left + i * each)} {short(top + 23)}h{short(each + 0.4)}", stroke=shade(i / (_PARTS - 1)))
        for i in range(_PARTS)
    ]
    group.append(element("g", *colours, stroke_width=10))
    group.append(element("rect", x=short(left), y=short(top + 18), width=short(wide), height=10, fill="none", stroke=INK))
    taken: list[tuple[float, float]] = []
    ends = {scale.axis.ticks[0], scale.axis.ticks[-1]}
    for tick, text in sorted(
        zip(scale.axis.ticks, scale.axis.labels), key=lambda one: one[0] not in ends
    ):  # ends have precedence
        x, half = left + wide * scale.axis.at(tick), len(text) * 3 + 3
        if all(x + half <= start or x - half >= end for start, end in taken):
            group.append(words(x, top + 41, text, text_anchor="middle", font_size=11))
            taken.append((x - half, x + half))
    more = [f"{none}: {scale.missing} without a value"] if scale.missing else []
    more += [f"{beyond_it}: {scale.outliers} beyond"] if scale.outliers else []
    if more:
        group.append(words(left, top + 56, "; ".join(more), fill=MUTED, font_size=11))
    return element("g", *group)


def _by_colour(attribute: str, shapes: Iterable[tuple[str, Element]]) -> list[Element]:
    """Shapes in groups that bear their colour: that is shorter than a colour a shape."""
    groups: dict[str, Element] = {}
    for colour, shape in shapes:
        groups.setdefault(colour, element("g", **{attribute: colour})).append(shape)
    return list(groups.values())
