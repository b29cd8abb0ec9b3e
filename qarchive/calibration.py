"""A calibration as its reader sees it: how good a device's qubits and gates were, when that was measured, how two of them differ.

Figures are in SI units without a prefix, whatever unit the provider uses: times in seconds, frequencies in hertz, errors as
probabilities. `spec/qiskit.md`, "backend, calibration", says what the blobs hold. Needs no SDK.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from statistics import median
from typing import Any

from . import trees
from .errors import BadInput, NotCanonical
from .values import Array, Chunked, Link, Timestamp

PROPERTIES, TARGET, DETAILS = "ibm.properties", "qiskit.target", "perceval.details"

Qubits = tuple[int, ...]

_UNLIKE = "a calibration that is not made like one"

_MORE_IS_BETTER = frozenset({"T1", "T2", "HOM", "Transmittance", "t_in", "t_out"})
_FIRST = ("T1", "T2", "frequency", "readout_error")
_OF_TARGET = {"t1": ("T1", "s"), "t2": ("T2", "s"), "frequency": ("frequency", "Hz")}
_OF_GATE = {"error": ("error", ""), "duration": ("length", "s")}
_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}


@dataclass(frozen=True)
class Figure:
    """One figure of all qubits or gates that have it: `T1`, or `cx gate_error`."""

    name: str
    unit: str  # "s", "Hz", or "" for probabilities and plain numbers
    values: Mapping[Qubits, float]

    @property
    def median(self) -> float:
        return median(self.values.values())

    @property
    def best(self) -> tuple[Qubits, float] | None:
        """Where it is best, and how good; None for a figure of which more is neither better nor worse."""
        return self._extreme(self._better)

    @property
    def worst(self) -> tuple[Qubits, float] | None:
        """As `best`."""
        return self._extreme(-self._better)

    @property
    def _better(self) -> int:
        """1 where more is better, -1 where less is, else 0."""
        name = self.name.rpartition(" ")[2]
        return 1 if name in _MORE_IS_BETTER else -1 if name.endswith(("error", "length")) or name.startswith("prob_meas") else 0

    def _extreme(self, sign):
        return max(self.values.items(), key=lambda item: (sign * item[1], [-qubit for qubit in item[0]])) if sign else None


@dataclass(frozen=True)
class Change:
    """A figure of one qubit or gate that is not what it was."""

    qubits: Qubits
    before: float
    after: float

    @property
    def relative(self) -> float:
        """The change in units of what it was: 0.1 is 10 % more; infinite where it was 0."""
        if self.before == 0:
            return math.copysign(math.inf, self.after)
        return (self.after - self.before) / abs(self.before)


@dataclass(frozen=True)
class Drift:
    """What became of one figure from one calibration to another."""

    name: str
    unit: str
    before: float | None  # the median; None where the first calibration does not have the figure at all
    after: float | None
    changes: tuple[Change, ...]  # the largest relative change first; what stayed the same is left out
    appeared: tuple[Qubits, ...] = ()
    vanished: tuple[Qubits, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """A calibration that was captured with a job. Its blob is read when it is first asked for.

    `phase` is "submit", "run" or "retrieval", `digest` names the blob (64 hexadecimal digits), and `captured_at` is when the
    provider was asked: None where the figures came with the backend object. `get` answers the plain value of a blob.
    """

    phase: str
    digest: str
    captured_at: datetime | None
    get: Callable[[Link], Any] = field(repr=False, compare=False)

    @cached_property
    def value(self) -> dict[str, Any]:
        """The blob as a plain value. Raises NotFound, Damaged, and NotCanonical for what is no calibration."""
        value = self.get(Link(bytes.fromhex(self.digest)))
        if type(value) is not dict:
            raise NotCanonical("a calibration that is no map")
        return value

    @property
    def device(self) -> str | None:
        """The device's name, where the provider's figures say it."""
        name = self.value.get("name")
        return name if type(name) is str else None

    @property
    def letter(self) -> str:
        """What stands before the number of a place: "q" for a qubit, "m" for a mode."""
        return "m" if self.value.get("type") == DETAILS else "q"

    @property
    def measured_at(self) -> datetime | None:
        """When the provider last changed a figure, in UTC; None where it does not say."""
        moment = self.value.get("measured_at")
        return moment.datetime if type(moment) is Timestamp else None

    def raw(self) -> dict[str, Any]:
        """The provider's own dict, exactly as its server sent it: units, names and times are the provider's.

        Raises BadInput where the figures came from a Target, which has no such dict.
        """
        if self.value.get("type") == DETAILS:
            try:
                specs = self.get(self.value["platform"]).get("specs")
                return self.value["details"] | ({} if specs is None else {"specs": specs})
            except (AttributeError, KeyError, TypeError):
                raise NotCanonical(_UNLIKE) from None
        if self.value.get("type") != PROPERTIES:
            raise BadInput(
                f"the calibration {self.digest[:12]}",
                "it was taken from a Target, and no provider's dict is behind it",
                "read its `value`, `qubits` and `gates`",
            )
        try:
            return self._tree
        except (AttributeError, KeyError, TypeError):
            raise NotCanonical(_UNLIKE) from None

    @property
    def qubits(self) -> dict[str, list[float | None]]:
        """By name one number a qubit, None where there is none: "T1" and "T2" (s), "frequency" (Hz), "readout_error".

        And whatever else the provider measures; `units` says the unit of each.
        """
        return self._read[0]

    @property
    def gates(self) -> dict[str, dict[Qubits, dict[str, float]]]:
        """{gate: {qubits: {"gate_error": a probability, "gate_length": seconds, ...}}}."""
        return self._read[1]

    @property
    def units(self) -> dict[str, str]:
        """The unit of each figure by its name: "s", "Hz", "" for a plain number."""
        return self._read[2]

    @property
    def device_figures(self) -> dict[str, float]:
        """Figures of the device as a whole, by name: a photonic platform's "HOM" and "Transmittance"; see `units`."""
        return self._read[3]

    @property
    def figures(self) -> list[Figure]:
        """All of `device_figures`, `qubits` and `gates`, one entry a figure, in this order; the device's have `()` as place."""
        found = {name: Figure(name, self.units[name], {(): number}) for name, number in self.device_figures.items()}
        for name, column in self.qubits.items():
            values = {(i,): number for i, number in enumerate(column) if number is not None}
            if values:
                found[name] = Figure(name, self.units[name], values)
        for gate, numbers_by_qubits in self.gates.items():
            for qubits, numbers in numbers_by_qubits.items():
                for name, number in numbers.items():
                    figure = found.setdefault(f"{gate} {name}", Figure(f"{gate} {name}", self.units[name], {}))
                    figure.values[qubits] = number
        return list(found.values())

    def plot(self, figure: str = "T1", ax: Any = None) -> Any:
        """Draw a figure by its name (see `figures`: "T1", "cx gate_error") with matplotlib, on a map of the device where its
        couplings are known from its gates; the Axes. Raises BadInput, MissingExtra, NotCanonical."""
        from . import plotting  # calibrations are read without drawings

        known = {found.name: found for found in self.figures}
        if figure not in known:
            raise BadInput(f"the figure {figure!r}", f"is not in the calibration {self.digest[:12]}",
                           f"it has {', '.join(known) or 'none'}")  # fmt: skip
        pairs = {qubits for numbers in self.gates.values() for qubits in numbers if len(qubits) == 2}
        title = f"{self.device or 'calibration'}, {self.digest[:12]}"
        return plotting.places(known[figure].values, pairs, figure, known[figure].unit, title, self.letter, ax)

    def _repr_html_(self) -> str:
        from . import notebook

        return notebook.calibration(self)

    @property
    def _tree(self):
        return trees.join(self.get(self.value["template"]), self.value["columns"])

    @cached_property
    def _read(self):
        kind = self.value.get("type")
        try:
            if kind == PROPERTIES:
                return _right(*_of_properties(self._tree), {})
            if kind == TARGET:
                return _right(*_of_target(self.value), {})
            if kind == DETAILS:
                return _right(*_of_details(self.value["details"].get("perfs", {})))
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            raise NotCanonical(_UNLIKE) from None
        raise BadInput(
            f"the calibration {self.digest[:12]}", f"its type {kind!r} has no figures that are known here", "read its `value`"
        )


def _right(qubits: dict, gates: dict, units: dict, device: dict) -> tuple[dict, dict, dict, dict]:
    """The figures, of which names are text and places numbers. Raises ValueError for others: they cannot be put in order."""
    places = {place for numbers in gates.values() for where in numbers for place in where}
    if any(type(name) is not str for name in (*units, *gates)) or any(type(place) is not int for place in places):
        raise ValueError
    return qubits, gates, units, device


def compare(one: Calibration, other: Calibration) -> list[Drift]:
    """What became of each figure between two calibrations, in the order of the first one's figures, then new ones."""
    before, after = ({figure.name: figure for figure in each.figures} for each in (one, other))
    return [_drift(before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))]


def _drift(one: Figure | None, other: Figure | None) -> Drift:
    known = one or other
    old, new = one.values if one else {}, other.values if other else {}
    changes = [Change(qubits, old[qubits], new[qubits]) for qubits in old if qubits in new and old[qubits] != new[qubits]]
    changes.sort(key=lambda change: (-abs(change.relative), change.qubits))
    return Drift(
        known.name,
        known.unit,
        one.median if one else None,
        other.median if other else None,
        tuple(changes),
        appeared=tuple(sorted(new.keys() - old.keys())),
        vanished=tuple(sorted(old.keys() - new.keys())),
    )


def _of_properties(raw) -> tuple[dict, dict, dict]:
    """(qubits, gates, units) of IBM's properties."""
    units: dict[str, str] = {}
    columns: dict[str, list] = {}
    count = len(raw["qubits"])
    for i, figures in enumerate(raw["qubits"]):
        for name, number in _measured(figures, units):
            columns.setdefault(name, [None] * count)[i] = number
    gates: dict[str, dict] = {}
    for gate in raw["gates"]:
        gates.setdefault(gate["gate"], {})[tuple(gate["qubits"])] = dict(_measured(gate["parameters"], units))
    return _ordered(columns), gates, units


def _measured(figures: Iterable, units: dict[str, str]) -> Iterable[tuple[str, float]]:
    """(name, number without a prefix) of IBM's lists of name, value, unit and date."""
    for figure in figures:
        name, number, unit = figure["name"], figure["value"], figure.get("unit", "")
        if type(number) is int or (type(number) is float and math.isfinite(number)):
            power = _PREFIXES.get(unit[0], 0) if len(unit) > 1 else 0
            units[name] = unit[1:] if power else unit
            yield name, float(number / 10**-power if power < 0 else number * 10**power)  # as IBM's own reader, to the last digit


_OF_PERFS = {"%": ("", 0.01), "MHz": ("Hz", 1e6), "GHz": ("Hz", 1e9), "kHz": ("Hz", 1e3), "ns": ("s", 1e-9), "ps": ("s", 1e-12)}


def _of_details(perfs) -> tuple[dict, dict, dict, dict]:
    """(modes, gates, units, device) of the performances of a photonic platform: units stand in their names, `HOM (%)`."""
    units: dict[str, str] = {}
    modes: dict[str, list] = {}
    device: dict[str, float] = {}
    for key, value in perfs.items():
        name, _, rest = key.partition(" (")
        unit, factor = _OF_PERFS.get(rest.removesuffix(")"), (rest.removesuffix(")"), 1))
        if _is_number(value):
            device[name], units[name] = value * factor, unit
        elif type(value) is dict:
            for part, column in value.items():
                if type(column) is list and all(item is None or _is_number(item) for item in column):
                    modes[part], units[part] = [None if item is None else item * factor for item in column], unit
    return modes, {}, units, device


def _is_number(value) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _of_target(value) -> tuple[dict, dict, dict]:
    """(qubits, gates, units) of the figures of a Target; what it calls errors and durations of `measure` are those of reading."""
    columns, gates = {}, {}
    units = {"gate_error": "", "gate_length": "s", "readout_error": "", "readout_length": "s"}
    for key, array in value["qubits"].items():
        name, unit = _OF_TARGET.get(key, (key, ""))
        columns[name], units[name] = [_or_none(number) for number in _floats(array)], unit
    for gate, figures in value["gates"].items():
        where = places(figures.get("places"))
        for key, array in figures.items():
            if key not in _OF_GATE or where is None:
                continue  # an archive of before the release says which qubits they are only in the backend's snapshot
            name = f"{'readout' if gate == 'measure' else 'gate'}_{_OF_GATE[key][0]}"
            for qubits, number in zip(where, _floats(array), strict=True):
                if number == number and gate == "measure":
                    _at(columns.setdefault(name, []), qubits[0], number)
                elif number == number:
                    gates.setdefault(gate, {}).setdefault(qubits, {})[name] = number
    count = max(map(len, columns.values()), default=0)
    return _ordered({name: column + [None] * (count - len(column)) for name, column in columns.items()}), gates, units


def _at(column: list, place: int, number: float) -> None:
    if not 0 <= place < 1 << 24:
        raise ValueError
    column.extend([None] * (place + 1 - len(column)))
    column[place] = number


def _ordered(columns: dict[str, list]) -> dict[str, list]:
    return {name: columns[name] for name in (*_FIRST, *columns) if name in columns}


def _or_none(number: float) -> float | None:
    return number if number == number else None


def _floats(array) -> list[float]:
    if type(array) is not Array or type(array.data) is Chunked:
        raise TypeError
    return array.flat()


def places(column: list | None) -> list[Qubits] | None:
    """The qubits of each place of an operation, as snapshots list them; None where it acts on all qubits.

    A column is a width and all qubits one after another, or a list of lists. Raises ValueError, TypeError or AttributeError for
    anything else.
    """
    if column is None:
        return None
    if len(column) == 2 and type(column[0]) is int:
        width, flat = column[0], column[1].flat()
        return [tuple(flat[i : i + width]) for i in range(0, len(flat), width)]
    return [tuple(qubits) for qubits in column]
