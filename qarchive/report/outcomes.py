"""Figures and tables of what came out of one circuit: counts, expectation values, amplitudes, numbers over time, small arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import nlargest
from math import isclose, prod
from typing import Any

from ..drawing.curves import curves
from ..drawing.dots import dots
from ..drawing.elements import Child
from ..drawing.figure import Figure, table
from ..drawing.histogram import histogram
from ..outcomes import TABLES, Points, Table, amplitudes_of, is_shots, is_table, table_of, tables_of
from ..printable import clean
from ..sweeps import Column, Over, Sweep, along, estimates, number, over_of, over_places, row_of, shares
from ..text_forms import FEW, describe
from ..values import Array, Chunked
from .words import facts, remark, wide_table

_STATES = 64  # of a quantum state that are in its table
_ROWS, _COLUMNS = 64, 16  # of a small array
_PARAMETERS = 40  # values that are written out
_DUST = 1e-12  # the relative difference of numbers that are one
_ABOUT = frozenset({"evs", "stds", "times", "metadata"})  # shown with others, or no outcome


def parameters(points: Points | None) -> Child:
    """The values of parameters that do not vary."""
    if points is None:
        return None
    varying = set(points.varying)
    fixed = [(name, values[0]) for name, values in points.parameters.items() if values and name not in varying]
    if not fixed:
        return None
    said = ", ".join(f"{clean(name)} = {number(value)}" for name, value in fixed[:_PARAMETERS])
    more = f", and {len(fixed) - _PARAMETERS:,} more" if len(fixed) > _PARAMETERS else ""
    return remark(f"{'In all: ' if varying else 'Bound to '}{said}{more}.")


def circuit(entry: Mapping[str, Any], points: Points | None, title: str, order: str, key: str) -> Iterable[Child]:
    """What came out of one circuit: figures of what can be drawn, then all else by name."""
    if not entry:
        yield remark("There are no data of this circuit.")
    yield parameters(points)
    rest: list[tuple[str, Child]] = []
    shown: list[Table] = []
    left = dict(entry)
    if (counted := table_of(entry)) is not None and not any(map(is_table, entry.values())):  # shots one by one, and no counts
        left = {"counts": counted, **left}
    for name in (*TABLES, *entry):  # each once: it is taken out of those that are left
        value = left.pop(name, None)
        place, what = f"{key}{len(left)}", ", ".join(filter(None, (title, "" if title and name in TABLES else clean(name))))
        what = what if title else what.capitalize()
        if value is None or name in _ABOUT:
            continue
        tables = [value] if is_table(value) else tables_of(value)
        if tables is not None:
            if len(tables) == 1 and any(tables[0] == other for other in shown):
                continue
            shown += tables[:1] if len(tables) == 1 else []
            yield _tables(tables, over_of(name, entry, points, len(tables)), what, order, place)
        elif type(entry.get("counts")) is list and _is_bits(value):
            continue  # counted already
        else:
            size = len(value) if type(value) is list else 0
            found = list(_values(name, value, over_of(name, entry, points, size), what, order, place))
            yield from (child for child in found if not isinstance(child, tuple))
            rest += [child for child in found if isinstance(child, tuple)]
    if "evs" in entry:
        yield expectations(entry, points, title, key)
    yield facts(rest) if rest else None


def expectations(entry: Mapping[str, Any], points: Points | None, title: str, key: str) -> Child:
    """Expectation values with their standard errors, over the parameter or by observable."""
    found = estimates(entry, points)
    if found is None:
        return facts([("evs", describe(entry["evs"])), ("stds", describe(entry["stds"]) if "stds" in entry else None)])
    title = f"{title}: expectation values" if title else "Expectation values"
    exact = "Bars are standard errors." if any(error for *_, error in _points(found)) else "Without standard errors."
    if isinstance(found, Sweep):
        exact += f" Of {found.rows[0][0]}." if "" in found.series else ""
        return swept(found, title, key, exact)
    more = f"The table has the first {len(found.rows):,}." if len(found.rows) < len(found.values) else ""
    if len(found.values) == 1:
        return wide_table(found.header, found.rows, title, right=(1, 2))
    beside = table(found.header, found.rows, title, right=(1, 2))
    figure = dots(found.values, title, "expectation value", beside, note=f"{exact} {more}".strip(), key=key)
    return _open(figure) if len(found.rows) <= FEW else figure.element()


def _points(found: Sweep | Column) -> Iterable[tuple]:
    return found.values if isinstance(found, Column) else (point for points in found.series.values() for point in points)


def swept(found: Sweep, title: str, key: str, note: str | None = None) -> Child:
    """A figure of numbers over a parameter or a time."""
    right = range(1 if found.header[0] in ("observable", "place", "circuit") else 0, len(found.header))
    said = " ".join(filter(None, (note, found.note))) or None
    return curves(found.series, title, found.over.name, found.y, table(found.header, found.rows, title, right=right), note=said,
                  joined=found.over.joined, within=found.within, key=key).element()  # fmt: skip


def _tables(tables: Sequence[Table], over: Over | None, title: str, order: str, key: str) -> Child:
    """One histogram; of several tables the share of each state over what was varied."""
    if len(tables) == 1:
        return histogram(tables[0], title, key=key, order=order).element()
    counted = all(type(number) is int for number in tables[0].values())
    note = f"{'Bars are one standard deviation of shot noise. ' if counted else ''}{_sentence(order)}".strip()
    return swept(shares(tables, over or over_places(len(tables))), title, key, note or None)


def _values(name: str, value: Any, over: Over | None, title: str, order: str, key: str) -> Iterable[Child | tuple[str, Child]]:
    """Other data: as figures and tables, and as pairs of a name and what is told of it."""
    if (found := along(name, value, over)) is not None:
        one = next(iter(found.series.values()))[0][1]
        if all(isclose(each, one, rel_tol=_DUST) for points in found.series.values() for _, each, _ in points):
            yield clean(name), f"{number(one)} at all {len(value):,} places"
        else:
            yield swept(found, title, key)
        return
    if over is not None and len(over.at) == 1 and type(value) is list:
        name, value, title = f"{name} at {number(over.at[0])}", value[0], f"{title} at {number(over.at[0])}"
    if (amplitudes := amplitudes_of(value)) is not None:
        yield _state(amplitudes, title, order, key)
    elif type(value) in (int, float, complex):
        yield clean(name), number(value, 10)
    elif (cells := _grid(value)) is not None:
        header = list(map(str, range(len(cells[0]))))
        if len(cells) > 1:
            header, cells = ["row", *header], [[str(i), *row] for i, row in enumerate(cells)]
        yield wide_table(header, cells, title, right=range(len(header)))
    elif is_shots(value):
        first = ", ".join(map(clean, value[:FEW]))
        yield clean(name), f"{len(value):,} in order: {first}" + (", …" if len(value) > FEW else "")
    elif type(value) is list and value and all(type(item) is dict and type(item.get("data")) is Array for item in value):
        each = describe(value[0]["data"])
        yield clean(name), each if len(value) == 1 else f"{len(value):,} states, the first an {each}"
    else:
        yield clean(name), describe(value)


def _grid(value: Any) -> list[list[str]] | None:
    """A small array, or lists like one, as cells."""
    if type(value) is Array:
        if type(value.data) is Chunked or not 1 <= len(value.shape) <= 2 or prod(value.shape) > _ROWS * _COLUMNS:
            return None
        value = value.tolist()
    if type(value) not in (list, tuple) or not value:
        return None
    if all(type(item) in (int, float, complex, bool) for item in value):
        return [[number(item) for item in value]] if len(value) <= _COLUMNS else None
    rows = [row_of(item) if type(item) is not list or not all(type(each) is complex for each in item) else item for item in value]
    wide = {len(row) if row else 0 for row in rows}
    if len(rows) > _ROWS or len(wide) != 1 or not 1 <= max(wide) <= _COLUMNS:
        return None
    return [[number(item) for item in row] for row in rows if row]


def _state(amplitudes: Mapping[str, complex], title: str, order: str, key: str) -> Child:
    """The probabilities of a state of qubits, with its amplitudes in the table."""
    chances = {state: abs(amplitude) ** 2 for state, amplitude in amplitudes.items()}
    shown = list(amplitudes)
    if len(shown) > _STATES:
        shown = sorted(nlargest(_STATES, chances, key=chances.__getitem__))
    rows = [(state, number(amplitudes[state].real), number(amplitudes[state].imag), number(chances[state])) for state in shown]
    beside = table(("state", "real part", "imaginary part", "probability"), rows, title, right=(1, 2, 3))
    said = f"Probabilities of the amplitudes in the table, |a|². {_sentence(order)}".rstrip()
    more = f" The table has the {_STATES} most probable of {len(amplitudes):,} states." if len(amplitudes) > _STATES else ""
    drawn = {state: chance for state, chance in chances.items() if chance > 0 or len(chances) <= 32}
    found = replace(histogram(drawn, title, key=key), table=beside, note=said + more)
    return _open(found) if len(rows) <= 2 * FEW else found.element()


def _is_bits(value: Any) -> bool:
    return type(value) is Array and value.dtype == "|u1" and len(value.shape) > 2


def _open(figure: Figure) -> Child:
    """A figure whose table is so short that it is unfolded."""
    found = figure.element()
    for details in found.iter("details"):
        details.set("open", "")
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
