"""Where the places of a device are drawn: on their lattice if they have one, else so that distances tell those by couplings."""

from collections.abc import Iterable, Mapping
from math import cos, hypot, pi, sin, sqrt

from .lattices import Graph, Places, circle, hops, regular, rows

NEAREST = 0.5  # no two places of a layout are closer, where coupled ones are about 1 apart

_DENSE = 0.75  # of all pairs; beyond it a circle shows more
_PIVOTS = 24
_MOST = 2000  # places of a graph that is no lattice; of more no drawing tells anything, and they are in rows
_WORK = 120_000  # steps in all, of which one moves a place by one distance


def layout(places: Iterable[int], couplings: Iterable[tuple[int, int]]) -> Places:
    """A point for each place: x to the right, y downwards, coupled places about 1 apart and no two closer than `NEAREST`.

    The same graph has the same layout. Couplings of places that are not there, and of a place with itself, are passed over.
    """
    graph = _graph(places, couplings)
    parts, seen, alone = [], set(), []
    for place in graph:
        if place not in seen:
            part = sorted(hops(graph, place))
            seen.update(part)
            if len(part) == 1:
                alone.append(place)
            else:
                parts.append({place: graph[place] for place in part})
    drawn = [_part(part) for part in parts]
    if alone:
        drawn.append(rows(alone, max(min(len(alone), 8), round(sqrt(1.5 * len(alone))))))
    return _packed(drawn)


def nearest(points: Mapping[object, tuple[float, float]]) -> float:
    """The distance of the two points that are closest to each other; infinite where there are fewer than two."""
    best = float("inf")
    ordered = sorted(points.values())
    if ordered and ordered[-1][0] - ordered[0][0] < max(y for _, y in ordered) - min(y for _, y in ordered):
        ordered = sorted((y, x) for x, y in ordered)  # along the longer side fewer are near in order
    for i, (x, y) in enumerate(ordered):
        for other_x, other_y in ordered[i + 1 :]:
            if other_x - x >= best:
                break
            best = min(best, hypot(other_x - x, other_y - y))
    return best


def _graph(places: Iterable[int], couplings: Iterable[tuple[int, int]]) -> Graph:
    graph: dict[int, set[int]] = {place: set() for place in sorted(set(places))}
    for one, other in couplings:
        if one != other and one in graph and other in graph:
            graph[one].add(other)
            graph[other].add(one)
    return {place: tuple(sorted(others)) for place, others in graph.items()}


def _part(graph: Graph) -> Places:
    count, joined = len(graph), sum(map(len, graph.values()))
    if count > 3 and joined >= _DENSE * count * (count - 1):
        return circle(list(graph))
    found = regular(graph)
    if found is None:
        found = _spread(graph) if count <= _MOST else rows(list(graph), round(sqrt(1.3 * count)))
    return found


def _packed(parts: list[Places]) -> Places:
    """Layouts side by side, the first on the left, in lines about as wide as all are high."""
    boxes = []
    for part in parts:
        xs, ys = [x for x, _ in part.values()], [y for _, y in part.values()]
        boxes.append((part, min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))
    widest = max([sqrt(1.6 * sum((wide + 1) * (high + 1) for *_, wide, high in boxes)), *(box[3] for box in boxes)], default=0)
    packed: Places = {}
    x = y = tall = 0.0
    for part, left, top, wide, high in boxes:
        if x and x + wide > widest:
            x, y, tall = 0.0, y + tall + 1, 0.0
        packed.update({place: (x + px - left, y + py - top) for place, (px, py) in part.items()})
        x, tall = x + wide + 1, max(tall, high)
    return packed


def _spread(graph: Graph) -> Places:
    """A layout in which distances come near to those by couplings, weighed by how small they are (stress), judged from a few
    places that are far apart; it is found by moving each place in turn to where its distances ask for it."""
    order = list(graph)
    wanted = _distances(graph)
    at = _begun(order, wanted)
    terms = {place: _terms(graph, wanted, place) for place in order}
    steps = sum(map(len, terms.values()))
    for _ in range(max(4, min(60, _WORK // steps))):
        for place in order:
            x, y = at[place]
            weights = new_x = new_y = 0.0
            for other, distance, weight in terms[place]:
                ox, oy = at[other]
                dx, dy = x - ox, y - oy
                apart = sqrt(dx * dx + dy * dy) or 1e-9
                new_x += weight * (ox + distance * dx / apart)
                new_y += weight * (oy + distance * dy / apart)
                weights += weight
            at[place] = (new_x / weights, new_y / weights)
    return _apart(_landscape(at))


def _distances(graph: Graph) -> dict[int, dict[int, int]]:
    """How far all places are from each pivot: the first is the lowest place, each next the one furthest from those before."""
    pivot = min(graph)
    closest = dict.fromkeys(graph, len(graph))
    found: dict[int, dict[int, int]] = {}
    while len(found) < min(_PIVOTS, len(graph)):
        found[pivot] = hops(graph, pivot)
        closest = {place: min(closest[place], found[pivot][place]) for place in graph}
        pivot = max(graph, key=lambda place: (closest[place], -place))
    return found


def _begun(order: list[int], wanted: Mapping[int, dict[int, int]]) -> Places:
    """Where places begin: the two directions in which their squared distances from the pivots differ most (pivot MDS), and a
    little to the side, each to another one, so that twins part."""
    table = [[float(wanted[pivot][place] ** 2) for pivot in wanted] for place in order]
    means = [sum(column) / len(order) for column in zip(*table)]
    centred = []
    for row in table:
        mean = sum(row) / len(row) - sum(means) / len(means)
        centred.append([-0.5 * (value - column - mean) for value, column in zip(row, means)])
    square = [[sum(row[i] * row[j] for row in centred) for j in range(len(means))] for i in range(len(means))]
    first = _leading(square, [])
    second = _leading(square, [first])
    reach = max((abs(value) for value in first), default=0.0) and sqrt(len(order))
    columns = []
    for vector in (first, second):
        column = [sum(a * b for a, b in zip(row, vector)) for row in centred]
        size = max(map(abs, column)) or 1.0
        columns.append([value / size * reach for value in column])
    golden = pi * (3 - sqrt(5))
    return {
        place: (columns[0][i] + 0.3 * cos(golden * i), columns[1][i] + 0.3 * sin(golden * i)) for i, place in enumerate(order)
    }


def _leading(matrix: list[list[float]], without: list[list[float]]) -> list[float]:
    """The leading eigenvector of a symmetric matrix across from those known, by repeated multiplication."""
    vector = [1.0 + 0.1 * ((7 * i) % 11) for i in range(len(matrix))]
    for _ in range(40):
        for known in without:
            along = sum(a * b for a, b in zip(vector, known))
            vector = [a - along * b for a, b in zip(vector, known)]
        vector = [sum(a * b for a, b in zip(row, vector)) for row in matrix]
        size = sqrt(sum(value * value for value in vector))
        if size < 1e-9:
            return [0.0] * len(matrix)
        vector = [value / size for value in vector]
    return vector


def _terms(graph: Graph, wanted: Mapping[int, dict[int, int]], place: int) -> list[tuple[int, float, float]]:
    """(other place, distance, weight) of what pulls and pushes a place: those coupled with it, those beside them, the pivots."""
    near = dict.fromkeys(graph[place], 1.0)
    for other in graph[place]:
        for further in graph[other][:12]:
            if further != place:
                near.setdefault(further, 2.0 if len(graph[place]) < 9 else 1.5)
    for pivot, away in wanted.items():
        if pivot != place:
            near.setdefault(pivot, float(away[place]))
    return [(other, distance, 1 / distance**2) for other, distance in near.items()]


def _landscape(at: Places) -> Places:
    """A layout turned so that it is longest from left to right, its lowest place on the left and above."""
    middle_x, middle_y = (sum(values) / len(at) for values in zip(*at.values()))
    xx = sum((x - middle_x) ** 2 for x, _ in at.values())
    yy = sum((y - middle_y) ** 2 for _, y in at.values())
    xy = sum((x - middle_x) * (y - middle_y) for x, y in at.values())
    # The direction of the longest axis as cosine and sine of half the angle of (xx - yy, 2 xy).
    length = hypot(xx - yy, 2 * xy)
    cosine = sqrt(max(0.0, (1 + (xx - yy) / length) / 2)) if length > 1e-9 else 1.0
    sine = sqrt(max(0.0, 1 - cosine**2)) * (1 if xy >= 0 else -1)
    turned = {
        place: ((x - middle_x) * cosine + (y - middle_y) * sine, (y - middle_y) * cosine - (x - middle_x) * sine)
        for place, (x, y) in at.items()
    }
    flip_x, flip_y = (-1 if value > 0 else 1 for value in turned[min(turned)])
    return {place: (round(x * flip_x, 6), round(y * flip_y, 6)) for place, (x, y) in turned.items()}


def _apart(at: Places) -> Places:
    """Places that are too close pushed apart; in columns where that does not help."""
    for _ in range(30):
        moved = False
        cells: dict[tuple[int, int], list[int]] = {}
        for place, (x, y) in at.items():
            cells.setdefault((int(x // 1), int(y // 1)), []).append(place)
        for place in at:
            x, y = at[place]
            column, row = int(x // 1), int(y // 1)
            for other in (other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in cells.get((column + i, row + j), ())):
                if other <= place:
                    continue
                dx, dy = at[other][0] - at[place][0], at[other][1] - at[place][1]
                gap = hypot(dx, dy)
                if gap < NEAREST * 1.3:
                    if gap < 1e-6:
                        dx, dy, gap = cos(other), sin(other), 1.0
                        push = NEAREST * 0.7
                    else:
                        push = (NEAREST * 1.35 - gap) / 2
                    at[place] = (at[place][0] - push * dx / gap, at[place][1] - push * dy / gap)
                    at[other] = (at[other][0] + push * dx / gap, at[other][1] + push * dy / gap)
                    moved = True
        if not moved:
            break
    return at if nearest(at) >= NEAREST else _columns(at)


def _columns(at: Places) -> Places:
    """Places on the points of a grid, in columns from left to right as they are, and in each from the top down."""
    ordered = sorted(at, key=lambda place: (at[place], place))
    high = max(1, round(sqrt(len(ordered) / 1.3)))
    columns = [sorted(ordered[i : i + high], key=lambda place: (at[place][1], place)) for i in range(0, len(ordered), high)]
    return {place: (float(x), float(y)) for x, column in enumerate(columns) for y, place in enumerate(column)}
