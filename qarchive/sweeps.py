"""Results over what was varied, as numbers to be drawn and as rows of a table: parameters, observables, times."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import prod, sqrt
from typing import Any

from .drawing import scales
from .outcomes import Points, Table, amplitudes_of, numbers_of, table_of, tables_of
from .printable import clean
from .values import Array, Chunked

STATES = 6  # of a sweep that have a line each, the most frequent ones
_CELLS = 6_000  # of a table
_PARAMETERS = 6  # columns of a table
_DIGITS = 6

Point = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Over:
    """What results stand over: its name, a number for each result, and columns of a table that say it whole. Numbers that are
    `joined` are of one quantity, in which lines between them mean something."""

    name: str
    at: Sequence[float]
    joined: bool
    columns: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Sweep:
    """Numbers over a number, by name: (place, value, error), None where there is none; and the same as a table of `total` rows,
    of which `rows` are the first. `within` are numbers that belong to the scale."""

    over: Over
    y: str
    series: Mapping[str, Sequence[Point]]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int
    within: Sequence[float] = ()

    @property
    def note(self) -> str | None:
        """What is left out of the table."""
        return f"The table has the first {len(self.rows):,} of {self.total:,} rows." if len(self.rows) < self.total else None


@dataclass(frozen=True)
class Column:
    """Numbers by name, with their errors, and the same as a table."""

    values: Sequence[tuple[str, float, float | None]]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: Any, digits: int = _DIGITS) -> str:
    """A number of any sort as a table has it."""
    if type(value) is complex:
        if value.imag == 0:
            return number(value.real, digits)
        return f"{value.real:.{digits}g}{value.imag:+.{digits}g}i"
    return scales.si(value, digits=digits) if type(value) is float else clean(str(value))


def over_sets(points: Points) -> Over:
    """The one parameter that varies, if there is one; else the sets of values, counted from 0."""
    sets = [points.set_at(place) for place in range(prod(points.shape))]
    varying = points.varying
    columns = [(clean(name), [number(points.parameters[name][which]) for which in sets]) for name in varying[:_PARAMETERS]]
    if len(varying) == 1 and all(type(value) in (int, float) for value in points.parameters[varying[0]]):
        return Over(clean(varying[0]), [points.parameters[varying[0]][which] for which in sets], True, columns)
    more = f" (the table has {len(columns)} of {len(varying)} parameters)" if len(varying) > len(columns) else ""
    return Over(f"set of parameter values, in the order given{more}", sets, False, [("set", list(map(str, sets))), *columns])


def over_circuits(names: Sequence[str]) -> Over:
    """The circuits of a job, by their places."""
    return Over("circuit, in the order given", range(len(names)), False,
                [("circuit", [f"{place} {name}".rstrip() for place, name in enumerate(names)])])  # fmt: skip


def over_places(size: int) -> Over:
    """Results of which nobody knows what they are of, by their places."""
    return Over("place", range(size), False, [("place", list(map(str, range(size))))])


def shares(tables: Sequence[Table], over: Over) -> Sweep:
    """The share of each state over what was varied, with the standard deviation of shot noise where they are counts; the most
    frequent states, and all others together."""
    totals = [sum(table.values()) if _is_counted(table) else None for table in tables]
    weights: dict[str, float] = {}
    for table, total in zip(tables, totals):
        for state, count in table.items():
            weights[state] = weights.get(state, 0.0) + abs(count) / (total or 1)
    states = sorted(weights) if len(weights) <= STATES + 1 else sorted(nlargest(STATES, weights, key=weights.__getitem__))
    rest = len(weights) - len(states)
    names = [clean(state) for state in states] + ([f"other ({rest:,} states)"] if rest else [])
    counts = [[table.get(state, 0) for state in states] for table in tables]
    if rest:
        for row, table in zip(counts, tables):
            row.append(sum(table.values()) - sum(row))
    series: dict[str, list[Point]] = {name: [] for name in names}
    for at, row, total in zip(over.at, counts, totals):
        for name, count in zip(names, row):
            share = count / (total or 1)
            series[name].append((at, share, sqrt(max(0.0, share * (1 - share)) / total) if total else None))
    counted = all(total is not None for total in totals)
    header = [*(name for name, _ in over.columns), *names, *(["shots"] if counted else [])]
    most = _rows(len(header))
    cells = [[*(column[place] for _, column in over.columns), *map(number, row), *([str(total)] if counted else [])]
             for place, (row, total) in enumerate(zip(counts[:most], totals))]  # fmt: skip
    high = max(value for points in series.values() for _, value, _ in points if value is not None)
    within = (0.0, 1.0) if 0.5 <= high <= 1 else (0.0,)  # so that shares of one job are not on two scales
    return Sweep(over, "share of shots" if counted else "weight", series, header, cells, len(tables), within)


def estimates(entry: Mapping[str, Any], points: Points | None) -> Sweep | Column | None:
    """Expectation values with their standard errors: over the sets of parameter values, a line for each observable, or by
    observable where there is one set; None where there are none."""
    means, errors = (numbers_of(entry.get(name)) for name in ("evs", "stds"))
    if means is None:
        return None
    known = errors if errors is not None and len(errors) == len(means) else [None] * len(means)
    if points is None or prod(points.shape) != len(means) or not points.observables:
        points = Points(0, (len(means),), {}, (), [str(place) for place in range(len(means))], (len(means),))
        what = "place"
    else:
        what = "observable"
    texts = [points.observables[points.observed_at(place)] for place in range(len(means))]
    errors_told = ["" if error is None else number(float(error), 3) for error in known]
    if prod(points.sets) == 1:
        rows = [(text, number(mean), told) for text, mean, told in zip(texts, means, errors_told)]
        return Column(list(zip(texts, means, known)), (what, "value", "standard error"), rows[: _rows(3)])
    over = over_sets(points)
    series: dict[int, list[Point]] = {}
    for place, (at, mean, error) in enumerate(zip(over.at, means, known)):
        series.setdefault(points.observed_at(place), []).append((at, mean, error))
    several = len(series) > 1
    alike = Counter(points.observables)
    named = {_unlike(points.observables, which, alike) if several else "": found for which, found in series.items()}
    header = [what, *(name for name, _ in over.columns), "value", "standard error"]
    most = _rows(len(header))
    rows = [(texts[place], *(column[place] for _, column in over.columns), number(means[place]), errors_told[place])
            for place in range(min(most, len(means)))]  # fmt: skip
    return Sweep(over, "expectation value", named, header, rows, len(means), (0.0,))


def along(name: str, values: Any, over: Over | None) -> Sweep | None:
    """A number, or a number for each qubit, at every place of what results stand over; None for anything else, and for less
    than two places."""
    if type(values) is Array and values.shape and type(values.data) is not Chunked:
        values = values.tolist()
    if over is None or type(values) is not list or len(values) != len(over.at) or len(values) < 2:
        return None
    rows = [row_of(value) for value in values]
    if any(row is None for row in rows) or len({len(row) for row in rows if row is not None}) != 1:
        return None
    single = all(_is_real(value) for value in values)
    names = [clean(name)] if single else [f"{clean(name)}[{place}]" for place in range(len(rows[0]))]
    series = {"" if single else title: [(at, row[place], None) for at, row in zip(over.at, rows)]
              for place, title in enumerate(names)}  # fmt: skip
    header = [*(each for each, _ in over.columns), *names]
    cells = [[*(column[i] for _, column in over.columns), *map(number, row)] for i, row in enumerate(rows[: _rows(len(header))])]
    return Sweep(over, clean(name), series, header, cells, len(rows))


def over_of(name: str, entry: Mapping[str, Any], points: Points | None, size: int) -> Over | None:
    """What a list of so many results of a circuit stands over: times of evaluation that the circuit's data say of `name`, or
    sets of parameter values; None where neither is known."""
    times = entry["times"].get(name) if type(entry.get("times")) is dict else None
    if type(times) is list and len(times) == size and all(map(_is_real, times)):
        return Over("time, as a share of the sequence's duration", times, True, [("time", list(map(number, times)))])
    return over_sets(points) if points is not None and points.shape and prod(points.shape) == size else None


def drawn(entry: Mapping[str, Any], points: Points | None) -> tuple[str, Table | Sweep | Column] | None:
    """What of a circuit's data is drawn where there is room for one figure, and its name, empty for the usual ones: counts,
    expectation values, the probabilities of a quantum state, numbers over time. None where nothing can be drawn."""
    if (table := table_of(entry)) is not None:
        return "", table
    if (tables := tables_of(entry.get("counts"))) is not None:
        return "", shares(tables, over_of("counts", entry, points, len(tables)) or over_places(len(tables)))
    if (found := estimates(entry, points)) is not None:
        return "", found
    for name, value in entry.items():
        if (amplitudes := amplitudes_of(value)) is not None:
            return name, {state: abs(amplitude) ** 2 for state, amplitude in amplitudes.items()}
        size = len(value) if type(value) is list else 0
        if (sweep := along(name, value, over_of(name, entry, points, size))) is not None:
            return name, sweep
    return None


def row_of(value: Any) -> list[float] | None:
    """A number, or numbers in a row, as a list; None for anything else."""
    if _is_real(value):
        return [value]
    if type(value) is Array and len(value.shape) == 1:
        return numbers_of(value)
    return value if type(value) in (list, tuple) and value and all(map(_is_real, value)) else None


def _is_counted(table: Table) -> bool:
    return all(type(count) is int and count >= 0 for count in table.values())


def _is_real(value: Any) -> bool:
    return type(value) in (int, float)


def _unlike(observables: Sequence[str], which: int, alike: Mapping[str, int]) -> str:
    """The text of an observable, told from others of the same text by its place."""
    return f"{observables[which]} [{which}]" if alike[observables[which]] > 1 else observables[which]


def _rows(columns: int) -> int:
    """How many rows a table of so many columns has at most."""
    return max(10, min(1000, _CELLS // columns))
