"""A device: its places as circles and their couplings as lines, coloured by how good they are."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import hypot, inf
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .layouts import layout, nearest
from .palette import INK, MUTED, PAPER, ink_on, shade
from .scales import FAR, Axis, axis, coordinate, finite, labels, si

_PITCH = 52  # between places that are closest to each other
_RADIUS = 14
_MARGIN = 24
_WIDEST = 2400  # of a drawing; a larger device has its places closer
_NARROWEST = 640  # so that a legend has room
_HALF = 20  # of the number at the end of a legend, which stands beyond it
_LEGEND, _MARKS = 62, 30  # the height of the legend, and of its last line
_PARTS = 20  # of the bar of colours
_FEWEST_FOR_LOG = 10.0
_NAMED = 6  # places that have one mark and are named in the note
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
    dead: float = inf,
    used: Collection[int | Pair] | None = None,
) -> Figure:
    """A map of a device. Values are errors or others, in `node_unit` and `edge_unit` ("" for plain numbers).

    What has a value of `dead` or more is crossed out, and no part of the scale. `used` are the places and couplings that a job
    used, the couplings in either direction, which get an outline; None where that is not known.

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
    scales = (_Scale(nodes.values(), node_name, node_unit, dead), _Scale(edges.values(), edge_name, edge_unit, dead))
    marks = None if used is None else {_up(each) if isinstance(each, tuple) else each for each in used}
    drawing = _drawing(at, width, height, nodes, edges, scales, letter, title, key, marks or frozenset())
    rows: list[tuple[str, ...]] = [(f"{letter}{place}", node_name, _number(nodes[place], node_unit), *_used(marks, place))
                                   for place in places]  # fmt: skip
    rows += [
        (_name((one, other), letter), edge_name, _number(finite(edge_values.get((one, other))), edge_unit),
         *_used(marks, _up((one, other))))
        for one, other in couplings
    ]  # fmt: skip
    note = sentences(
        "The layout is ours: the positions given do not have each place at a point of its own."
        if positions and not given
        else None,
        None if marks is None else _worst(marks, (nodes, edges), scales, letter),
        *(scale.note(what) for scale, what in zip(scales, ("a square", "a cross"))),
        *(_crossed(values, scale, letter) for values, scale in zip((nodes, edges), scales)),
        beyond(len(rows), "values"),
    )
    header = ("place", "figure", "value") if marks is None else ("place", "figure", "value", "used")
    return Figure(title, drawing, table(header, rows[:MOST_ROWS], title, right=(2,)), note)


def _up(pair: Pair) -> Pair:
    return pair if pair[0] < pair[1] else (pair[1], pair[0])


def _name(of: int | Pair, letter: str) -> str:
    return f"{letter}{of}" if isinstance(of, int) else f"{letter}{of[0]}, {letter}{of[1]}"


def _used(marks: Collection[int | Pair] | None, of: int | Pair) -> tuple[str, ...]:
    """The cell of a table that says whether it was used; none where that is not known."""
    return () if marks is None else ("used",) if of in marks else ("",)


def _worst(marks: Collection[int | Pair], values, scales, letter: str) -> str:
    """How much of a device was used, and how bad that was."""
    nodes, edges = ({of: value for of, value in known.items() if of in marks} for known in values)
    what = "qubit" if letter == "q" else "place"
    count = f"{len(nodes)} {what}{'' if len(nodes) == 1 else 's'} and {len(edges)} coupling{'' if len(edges) == 1 else 's'}"
    tops = []
    for found, scale in zip((nodes, edges), scales):
        known = [(value, of) for of, value in found.items() if value is not None]
        if known:
            value, of = max(known, key=lambda each: each[0])
            tops.append(f"{scale.name} {si(value, scale.unit)} ({_name(of, letter)})")
    apart = sum(isinstance(of, tuple) and of not in edges for of in marks)
    return " ".join(filter(None, (
        f"Outlined: {count} that were used" + (f", at worst {' and '.join(tops)}." if tops else "."),
        f"Pairs that were used and are not coupled: {apart}." if apart else "",
    )))  # fmt: skip


def _crossed(values: Mapping, scale: "_Scale", letter: str) -> str | None:
    found = [_name(of, letter) for of, value in values.items() if scale.dies(value)]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{scale.name} of {si(scale.dead, scale.unit)}: {'; '.join(found[:_NAMED])}{more}, crossed out." if found else None


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

    def __init__(self, values: Iterable[float | None], name: str, unit: str, dead: float):
        values = list(values)
        self.name, self.unit, self.dead = name, unit, dead
        self.missing = values.count(None)
        found = sorted(value for value in values if value is not None and value < dead)
        self.known = len(found)
        self.limit = limit(found)
        inside = [value for value in found if value <= self.limit]
        log = bool(inside) and inside[0] > 0 and inside[-1] / inside[0] >= _FEWEST_FOR_LOG
        self.axis = _tight(axis(inside, unit, log=log, most=4), inside[0], inside[-1], unit) if inside else None
        self.outliers = len(found) - len(inside)

    def dies(self, value: float | None) -> bool:
        return value is not None and value >= self.dead

    def out(self, value: float) -> bool:
        return self.limit < value < self.dead

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


def _drawing(at, width: float, height: float, nodes, edges, scales, letter: str, title: str, key: str, marks) -> Element:
    if not at:
        nothing = words(width / 2, 34, "No places are known.", text_anchor="middle", fill=MUTED)
        return svg("device", title, width, 60, nothing, key=key)
    radius = min(_RADIUS, nearest(at) * _RADIUS / _PITCH) if len(at) > 1 else _RADIUS
    group = [*_lines(at, edges, scales[1], letter, radius, marks), *_circles(at, nodes, scales[0], letter, radius, marks)]
    legend = min(300.0, width / 2 - 3 * _MARGIN - _HALF)
    group += [
        _legend(scale, x, height, legend, i)
        for i, (scale, x) in enumerate(zip(scales, (_MARGIN + _HALF, width / 2 + _MARGIN)))
        if i == 0 or edges
    ]
    dead = [scale.name for scale, each in zip(scales, (nodes, edges)) if any(map(scale.dies, each.values()))]
    told = f"{' or '.join(dead)} of {si(scales[0].dead)}: does not work" if dead else ""
    last = _marks(_MARGIN + _HALF, height + _LEGEND + 12, bool(marks), told)
    size = f"{len(at)} places and {len(edges)} couplings"
    worst = "; ".join(
        f"highest {scale.name}: {si(max(values), scale.unit)}"
        for scale, values in zip(scales, ([v for v in each.values() if v is not None] for each in (nodes, edges)))
        if values
    )
    describe = f"{size}{f'; {worst}' if worst else ''}. The table beside it has the numbers."
    below = _LEGEND + (_MARKS if last else 0)
    return svg("device", title, width, height + below, *group, *last, describe=describe, key=key)


def _marks(x: float, y: float, used: bool, dead: str) -> list[Element]:
    """The last line of the legend: how what was used, and what does not work, is drawn."""
    group: list[Element] = []
    if used:
        one, other = (x + 10, y + 6), (x + 50, y + 6)
        group += _outlines([stroke(one, other)], 5)
        group += [element("path", d=stroke(one, other), stroke=MUTED, stroke_width=5), _ring(*one, 8, False)]
        group += [
            element("circle", cx=short(one[0]), cy=short(one[1]), r=8, fill=MUTED),
            words(x + 60, y + 10, "used by the job"),
        ]
        x += 190
    if dead:
        one, other = (x + 4, y + 6), (x + 50, y + 6)
        group += [_broken([stroke(one, other)], _cross(one, other, 5)), words(x + 60, y + 10, dead)]
    return group


def _lines(at, edges, scale: _Scale, letter: str, radius: float, marks) -> list[Element]:
    """Couplings: a casing of ink under the colour, so that they are seen on any paper; a broken line has no value."""
    thick = min(6.0, radius * 0.43) if len(edges) < 3 * len(at) else 2.0
    unknown = [pair for pair, value in edges.items() if value is None]
    dead = [pair for pair, value in edges.items() if scale.dies(value)]
    known = [(pair, value) for pair, value in edges.items() if value is not None and not scale.dies(value)]
    casing = "".join(stroke(at[one], at[other]) for (one, other), _ in known)
    coloured = [
        (scale.colour(value), element("path", element("title", f"{name}: {si(value, scale.unit)}"), d=stroke(at[one], at[other])))
        for (one, other), value in known
        for name in [_name((one, other), letter)]
    ]
    crosses = "".join(_cross(at[one], at[other], radius * 0.45) for (one, other), value in known if scale.out(value))
    broken = "".join(stroke(at[one], at[other]) for one, other in unknown)
    outlined = [stroke(at[one], at[other]) for one, other in edges if (one, other) in marks]
    return [
        *_outlines(outlined, thick),
        element("path", d=broken, stroke=MUTED, stroke_width=short(thick / 4), stroke_dasharray="3 4") if broken else None,
        element("path", d=casing, stroke=INK, stroke_width=short(thick + 2)) if casing else None,
        element("g", *_by_colour("stroke", coloured), stroke_width=short(thick)) if coloured else None,
        element("path", d=crosses, stroke="#000", stroke_width=2, pointer_events="none") if crosses else None,
        _broken([stroke(at[one], at[other]) for one, other in dead],
                "".join(_cross(at[one], at[other], radius * 0.4) for one, other in dead)) if dead else None,
    ]  # fmt: skip


def _outlines(lines: list[str], thick: float) -> list[Element]:
    """An outline of ink around lines of a thickness, with paper between."""
    d = "".join(lines)
    return [element("path", d=d, stroke=colour, stroke_width=short(thick + more))
            for colour, more in ((INK, 9), (PAPER, 5))] if d else []  # fmt: skip


def _broken(lines: list[str], crosses: str) -> Element:
    """Couplings that do not work: long dashes of ink, crossed out."""
    dashes = element("path", d="".join(lines), stroke_width=2, stroke_dasharray="8 4")
    return element("g", dashes, element("path", d=crosses, stroke_width=2.6), stroke=INK, fill="none", pointer_events="none")


def _cross(one: tuple[float, float], other: tuple[float, float], size: float) -> str:
    """A stroke on either side of the middle of a line, crossing in it."""
    x, y = (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
    length = hypot(other[0] - one[0], other[1] - one[1]) or 1.0
    along, across = (other[0] - one[0]) / length * size, (other[1] - one[1]) / length * size
    dx, dy, ex, ey = along - across, across + along, along + across, across - along
    return stroke((x - dx, y - dy), (x + dx, y + dy)) + stroke((x - ex, y - ey), (x + ex, y + ey))


def _circles(at, nodes, scale: _Scale, letter: str, radius: float, marks) -> list[Element]:
    """Places: a circle, a square beyond the scale, hollow and broken without a value; numbers in black, white, or ink."""
    size = short(radius)
    shapes, hollow, dead, strikes, rings = [], [], [], "", []
    texts: dict[str, list[Element]] = {}
    for place, (x, y) in at.items():
        value = nodes[place]
        hint = element("title", f"{letter}{place}: {'no value' if value is None else si(value, scale.unit)}")
        coloured = value is not None and not scale.dies(value)
        colour = scale.colour(value) if coloured else PAPER
        if coloured and scale.out(value):
            box = {"x": short(x - radius), "y": short(y - radius), "width": short(2 * radius), "height": short(2 * radius)}
            shapes.append((colour, element("rect", hint, **box)))
        else:
            circle = element("circle", hint, cx=short(x), cy=short(y), r=size)
            if coloured:
                shapes.append((colour, circle))
            else:
                (hollow if value is None else dead).append(circle)
        if scale.dies(value):
            strikes += "".join(stroke((x + dx * radius * 0.55, y + dy * radius * 0.55), (x + dx * radius, y + dy * radius))
                               for dx in (-1, 1) for dy in (-1, 1))  # fmt: skip
        if place in marks:
            rings.append(_ring(x, y, radius, coloured and scale.out(value)))
        texts.setdefault(ink_on(colour) if coloured else INK, []).append(words(x, y, str(place)))
    longest = max(len(str(place)) for place in at)
    letters = {"text_anchor": "middle", "font_size": short(radius * min(0.88, 2.5 / longest)), "pointer_events": "none"}
    letters["transform"] = f"translate(0 {short(radius * 0.3)})"
    return [
        element("g", *rings) if rings else None,
        element("g", *_by_colour("fill", shapes), stroke=INK) if shapes else None,
        element("g", *hollow, fill=PAPER, stroke=MUTED, stroke_dasharray="3 2", stroke_width=1.5) if hollow else None,
        element("g", *dead, fill=PAPER, stroke=INK, stroke_width=2) if dead else None,
        element("path", d=strikes, stroke=INK, stroke_width=2.6, pointer_events="none") if strikes else None,
        *(element("g", *found, fill=ink, **letters) for ink, found in sorted(texts.items())),
    ]


def _ring(x: float, y: float, radius: float, square: bool) -> Element:
    """An outline of ink around a place, with paper between."""
    away = radius * 1.25
    corners = [(x - away, y - away), (x + away, y - away), (x + away, y + away), (x - away, y + away)]
    width = short(max(1.2, radius * 0.17))
    d = stroke(*corners, close=True) if square else (
        f"M{short(x - away)} {short(y)}a{short(away)} {short(away)} 0 1 0 {short(2 * away)} 0"
        f"a{short(away)} {short(away)} 0 1 0 {short(-2 * away)} 0Z"
    )  # fmt: skip
    return element("path", d=d, fill=PAPER, stroke=INK, stroke_width=width)


def _legend(scale: _Scale, left: float, top: float, wide: float, which: int) -> Element:
    """A bar of the colours with numbers, and how what has none, or lies beyond, is drawn."""
    what, none, beyond_it = (("circles", "hollow", "square"), ("lines", "broken", "crossed in colour"))[which]
    log = ", log scale" if scale.axis is not None and scale.axis.log else ""
    group = [words(left, top + 10, f"{scale.name} ({what}{log})")]
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
