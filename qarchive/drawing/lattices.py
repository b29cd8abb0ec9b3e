"""Places of a device whose couplings are a piece of a regular lattice: lines, rings, grids, and IBM's heavy hexagons."""

from collections.abc import Callable, Mapping
from math import cos, pi, sin

Graph = Mapping[int, tuple[int, ...]]  # connected; its places, and those coupled with each, in ascending order
Places = dict[int, tuple[float, float]]  # x to the right, y downwards; coupled places are about 1 apart
_Point = tuple[int, int]

_LONGEST_LINE = 24
_TRIES = 3  # steps of a search a place; pieces of lattices take little more than one
_MOST = 600  # places; distances between all of them are kept
_FULL = 0.9  # of the points in a box, or of the couplings between them: what has more is as good as whole


def regular(graph: Graph) -> Places | None:
    """A lattice layout of a connected graph; None where it is not found to be a piece of a lattice."""
    if max(map(len, graph.values())) <= 2:
        return _chain(graph)
    found = _numbered_grid(graph)
    if found is None and len(graph) <= _MOST and max(map(len, graph.values())) <= 4 and _two_coloured(graph):
        distances = {place: hops(graph, place) for place in graph}
        if not _flat(distances):
            return None
        found = _lattice(graph, distances, _heavy_hexagons, turns=3) or _lattice(graph, distances, _squares, turns=1)
    return found


def hops(graph: Graph, start: int) -> dict[int, int]:
    """How many couplings away each place is."""
    away, layer = {start: 0}, [start]
    while layer:
        layer = [other for place in layer for other in graph[place] if _first(away, other, away[place] + 1)]
    return away


def _first(away: dict[int, int], place: int, distance: int) -> bool:
    if place in away:
        return False
    away[place] = distance
    return True


def circle(places: list[int]) -> Places:
    """Places on a circle in their order, neighbours 1 apart, the first one at the top."""
    count = len(places)
    if count < 3:
        return {place: (float(i), 0.0) for i, place in enumerate(places)}
    radius = 0.5 / sin(pi / count)
    return {place: (radius * sin(2 * pi * i / count), -radius * cos(2 * pi * i / count)) for i, place in enumerate(places)}


def rows(places: list[int], width: int) -> Places:
    """Places in rows of so many."""
    return {place: (float(i % width), float(i // width)) for i, place in enumerate(places)}


def _chain(graph: Graph) -> Places:
    """A line from its lower end, in turns where it is long; a ring from its lowest place."""
    ends = [place for place in graph if len(graph[place]) < 2]
    order = [min(ends or graph)]
    seen = set(order)
    while onwards := [place for place in graph[order[-1]] if place not in seen]:
        order.append(onwards[0])
        seen.add(onwards[0])
    if not ends:
        return circle(order)
    if len(order) <= _LONGEST_LINE:
        return rows(order, len(order))
    width = max(12, round((2 * len(order)) ** 0.5))
    return {place: (float(x if y % 2 == 0 else width - 1 - x), float(y)) for place, (x, y) in rows(order, width).items()}


def _numbered_grid(graph: Graph) -> Places | None:
    """Rows of a grid that is numbered row by row, even where couplings are missing."""
    count, first = len(graph), min(graph)
    if max(graph) - first != count - 1:
        return None
    widths = {abs(one - other) for one in graph for other in graph[one]} - {1}
    if len(widths) != 1 or count % (width := widths.pop()):
        return None
    broken = any(other == one + 1 and (other - first) % width == 0 for one in graph for other in graph[one])
    return None if broken else rows(list(graph), width)


def _two_coloured(graph: Graph) -> bool:
    away = hops(graph, min(graph))
    return all((away[one] - away[other]) % 2 for one in graph for other in graph[one])


def _flat(distances: Mapping[int, dict[int, int]]) -> bool:
    """Whether no place has more others near it than a plane has room for."""
    for away in distances.values():
        within = [sum(distance <= reach for distance in away.values()) for reach in (3, 5, 8)]
        if within[0] > 25 or within[1] > 61 or within[2] > 145:
            return False
    return True


def _squares(x: int, y: int) -> bool:
    return True


def _heavy_hexagons(x: int, y: int) -> bool:
    """Whether a point of the square lattice belongs to rows that are joined at every fourth place, two on from row to row."""
    return y % 2 == 0 or (x - y + 1) % 4 == 0


def _lattice(
    graph: Graph, distances: Mapping[int, dict[int, int]], allowed: Callable[[int, int], bool], turns: int
) -> Places | None:
    """The graph laid on a lattice so that coupled places are neighbours; of several ways the most compact, turned so that numbers
    rise as one reads. `turns` is in how many ways to begin, first with neighbours that are coupled only (strict)."""
    start = max(graph, key=lambda place: (len(graph[place]), sum(len(graph[other]) for other in graph[place]), -place))
    if len(graph[start]) > len(_around((0, 0), allowed)):
        return None
    found: list[dict[int, _Point]] = []
    for strict in (True, False):  # a device on which couplings are broken has neighbours that are not coupled
        ways = (_search(graph, distances, allowed, start, turn, strict) for turn in range(turns))
        found += [at for at in ways if at and (strict or _coupled(graph, at) >= _FULL)]
        best = min(found, key=_area, default=None)
        if best and _filled(best, allowed) > _FULL:
            break
    return best and _as_read(best)


def _around(point: _Point, allowed: Callable[[int, int], bool]) -> list[_Point]:
    x, y = point
    return [to for to in ((x + 1, y), (x, y + 1), (x - 1, y), (x, y - 1)) if allowed(*to)]


def _search(graph: Graph, distances, allowed, start: int, turn: int, strict: bool) -> dict[int, _Point] | None:
    """Places one after another, the one with the fewest free points first; back to the last choice where there is none."""
    at: dict[int, _Point] = {start: (0, 0)}
    held = {(0, 0): start}
    choices: list[tuple[int, list[_Point]]] = []
    for _ in range(_TRIES * len(graph) + 50):
        if len(at) == len(graph):
            return at
        place, points = _next(graph, allowed, at, held, strict)
        points = [point for point in points if _within(point, at, distances[place])]
        if len(points) > 1:
            points = _preferred(points, place, graph, at)
        if len(at) == 1:
            points = points[turn:] + points[:turn]
        while not points:
            if not choices:
                return None
            place, points = choices.pop()
            del held[at.pop(place)]
        at[place] = points[0]
        held[points[0]] = place
        choices.append((place, points[1:]))
    return None


def _next(graph: Graph, allowed, at: dict[int, _Point], held: dict[_Point, int], strict: bool) -> tuple[int, list[_Point]]:
    """The place beside those on the lattice that has the fewest points to go to, and these."""
    best = None
    for place in dict.fromkeys(other for known in at for other in graph[known] if other not in at):
        known = [at[other] for other in graph[place] if other in at]
        points = []
        for point in _around(known[0], allowed):
            if point in held or any(abs(point[0] - x) + abs(point[1] - y) != 1 for x, y in known[1:]):
                continue
            if not strict or sum(near in held for near in _around(point, allowed)) == len(known):
                points.append(point)
        if len(points) < 2:
            return place, points
        rank = (len(graph[place]) == 1, len(points))  # ends may wait: nothing depends on them
        if best is None or rank < best[0]:
            best = rank, place, points
    return best[1:]


def _within(point: _Point, at: dict[int, _Point], away: dict[int, int]) -> bool:
    """Whether no place is further away on the lattice than by couplings: from there the two could never be joined."""
    x, y = point
    return all(abs(x - i) + abs(y - j) <= away[place] for place, (i, j) in at.items())


def _preferred(points: list[_Point], place: int, graph: Graph, at: dict[int, _Point]) -> list[_Point]:
    """Points in the order to try them: where the numbers go on as they do so far, then where the layout stays small."""
    rises = [(at[one + 1][0] - at[one][0], at[one + 1][1] - at[one][1]) for one in at if one + 1 in at and one + 1 in graph[one]]
    dx, dy = (sum(rise[axis] for rise in rises) for axis in (0, 1))
    expected = [(other, place - other) for other in (place - 1, place + 1) if other in at and other in graph[place]]

    def order(point: _Point) -> tuple[int, int]:
        along = sum(sign * ((point[0] - at[other][0]) * dx + (point[1] - at[other][1]) * dy) for other, sign in expected)
        return -along, _growth(point, at)

    return sorted(points, key=order)


def _growth(point: _Point, at: dict[int, _Point]) -> int:
    """How far a point is outside the box around those on the lattice."""
    xs, ys = zip(*at.values())
    return max(0, point[0] - max(xs), min(xs) - point[0]) + max(0, point[1] - max(ys), min(ys) - point[1])


def _area(at: Mapping[int, _Point]) -> int:
    wide, high = _extent(at)
    return (wide + 1) * (high + 1)


def _coupled(graph: Graph, at: Mapping[int, _Point]) -> float:
    """How many of the neighbours on the lattice are coupled."""
    held = set(at.values())
    beside = sum((x + 1, y) in held for x, y in held) + sum((x, y + 1) in held for x, y in held)
    return sum(map(len, graph.values())) / 2 / max(1, beside)


def _filled(at: Mapping[int, _Point], allowed: Callable[[int, int], bool]) -> float:
    """How much of the lattice in its box a layout uses."""
    xs, ys = zip(*at.values())
    return len(at) / sum(allowed(x, y) for x in range(min(xs), max(xs) + 1) for y in range(min(ys), max(ys) + 1))


def _extent(at: Mapping[int, _Point]) -> tuple[int, int]:
    xs, ys = zip(*at.values())
    return max(xs) - min(xs), max(ys) - min(ys)


def _as_read(at: dict[int, _Point]) -> Places:
    """Of the eight ways to turn and mirror a layout that which is wider than high, and in which numbers rise line by line."""
    ways = [{place: (sx * x, sy * y) for place, (x, y) in at.items()} for sx in (1, -1) for sy in (1, -1)]
    ways += [{place: (y, x) for place, (x, y) in way.items()} for way in ways]
    return max(ways, key=_reading)


def _reading(at: Mapping[int, _Point]) -> tuple[bool, int]:
    wide, high = _extent(at)
    return wide >= high, sum(rank * ((wide + 1) * y + x) for rank, (x, y) in enumerate(at[place] for place in sorted(at)))
