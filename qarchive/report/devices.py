"""The device of a job: a map of it coloured by its calibration, and how good its qubits, gates and modes were."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element

from .. import trees
from ..calibration import DETAILS, Calibration, places
from ..drawing import atoms, calibrated, device, modes, scales
from ..drawing.calibrated import place
from ..drawing.elements import Child, element
from ..drawing.figure import Figure as Drawn
from ..drawing.figure import scrolled, table
from ..job import Job
from ..printable import clean
from ..values import Array, Link
from . import used
from .page import Links, anchor
from .words import Reader, code, facts, link, linked, moment, remark, wide_table

_MOST = 2_000  # qubits that a map shows
_SLIM, _TALL = 3, 30  # columns and rows of a table
_NAMED = 20  # qubits that a sentence names
_DEAD = 1.0  # an error with which nothing works
_PHASES = {"submit": "sending", "run": "the run", "retrieval": "a later time"}

Position = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """The qubits of a device: which there are, which are coupled, and where they lie, None where nobody says."""

    qubits: range
    couplings: tuple[tuple[int, int], ...]
    positions: Mapping[int, Position] | None


def ran_with(job: Job) -> Calibration | None:
    """The calibration of the job's run, else of its sending, else the first that there is."""
    known = job.calibrations
    return next((found for phase in ("run", "submit") for found in known if found.phase == phase), known[0] if known else None)


def section(job: Job, read: Reader, links: Links, key: str = "") -> list[Child]:
    """What is known of the device. Raises Damaged."""
    found = ran_with(job)
    if found is not None and (before := read.shown.setdefault((job.provider, job.backend, found.digest), job.id)) != job.id:
        where = linked(code(before[:12]), f"#{anchor(before)}")
        return [element("p", "The device and its calibration are those of job ", where, ".", _used(job)), about(job, found)]
    body: list[Child] = [read.said(lambda: map_of(job, found, key))]
    body += _atoms(job, read, key)
    if found is None:
        lost = [
            f"{clean(gap['what'])}: {clean(gap['reason'])}" for gap in job.gaps if gap["what"].partition(".")[0] == "calibration"
        ]
        if lost:
            body.append(remark(f"There is no calibration: {'; '.join(lost)}."))
        elif job.kind == "qpu":
            body.append(remark("There is no calibration of this device."))
        return body
    body += [read.heading("Calibration"), about(job, found), read.said(lambda: summary(found))]
    if address := links.calibration(job.id, found.phase):
        body.append(element("p", link("All qubits and gates", address)))
    return body


def _used(job: Job) -> str:
    """Which qubits a job used, in a sentence; empty where that is not known. Raises Damaged."""
    layout = _layout(job)
    marks = None if layout is None else used.qubits(job, len(layout.qubits))
    ours = sorted(each for each in marks or () if type(each) is int)
    if not ours:
        return ""
    more = f" and {len(ours) - _NAMED:,} more" if len(ours) > _NAMED else ""
    named = ", ".join(f"q{each}" for each in ours[:_NAMED])
    return f" This job used {len(ours):,} qubit{'' if len(ours) == 1 else 's'}: {named}{more}."


def about(job: Job, found: Calibration) -> Child:
    """Which calibration it is, of what device, and of when."""
    attempt = job.folded.current
    sent = attempt.record["created"].datetime if attempt and attempt.record else job.created
    measured = found.measured_at
    age = (
        None if measured is None else f"{scales.duration(abs((sent - measured).total_seconds()))} {_side(sent, measured)} the job"
    )
    return facts([
        ("device", clean(found.device or job.backend)),
        ("captured at", clean(_PHASES.get(found.phase, found.phase))),
        ("measured", [moment(measured), f", {age}"] if measured else "its provider does not say when"),
        ("asked for", moment(found.captured_at)),
        ("digest", code(found.digest)),
    ])  # fmt: skip


def _side(sent: datetime, measured: datetime) -> str:
    return "before" if measured <= sent else "after"


def summary(found: Calibration) -> Child:
    """Each figure: its median, where it is best, and where it is worst. Raises NotCanonical, BadInput, Damaged."""
    rows = [(_title(name), *rest) for name, *rest in calibrated.rows(found.figures, found.letter)]
    return wide_table(calibrated.HEADER, rows, "Figures of the calibration", right=calibrated.RIGHT) if rows else None


def tables(found: Calibration) -> Iterable[tuple[str, Element]]:
    """(title, table) of all figures of all qubits or modes, and of each gate. Raises NotCanonical, BadInput, Damaged."""
    names = list(found.qubits)
    count = max(map(len, found.qubits.values()), default=0)
    if count:
        rows = [(place((i,), found.letter), *(_cell(column, i, found.units[name]) for name, column in found.qubits.items()))
                for i in range(count)]  # fmt: skip
        what = "Modes" if found.letter == "m" else "Qubits"
        yield what, _whole(what, (what[:-1], *map(_title, names)), rows)
    for gate, numbers in found.gates.items():
        names = list(dict.fromkeys(name for of_place in numbers.values() for name in of_place))
        rows = [(place(qubits, found.letter), *(scales.si(of_place[name], clean(found.units[name])) if name in of_place else ""
                                                for name in names)) for qubits, of_place in sorted(numbers.items())]  # fmt: skip
        what = f"Gate {clean(gate)}"
        yield what, _whole(what, ("Where", *map(_title, names)), rows)


def _whole(what: str, header: Sequence[str], rows: list[tuple[str, ...]]) -> Element:
    """A table of numbers; one of few columns and many rows stands in several columns where there is room."""
    made = table(header, rows, right=range(1, len(header)))
    if len(header) <= _SLIM and len(rows) > _TALL:
        made.set("class", "slim")
    return scrolled(made, what)


def _cell(column: list, at: int, unit: str) -> str:
    number = column[at] if at < len(column) else None
    return "" if number is None else scales.si(number, clean(unit))


def _title(name: str) -> str:
    return clean(name).replace("_", " ")


# Maps


def map_of(job: Job, found: Calibration | None, key: str) -> Child:
    """A job's device, coloured by a calibration; None where nobody says how it is made. Raises Damaged."""
    if found is not None and found.value.get("type") == DETAILS:
        columns = {clean(name): [scales.finite(number) for number in column] for name, column in found.qubits.items()}
        return (
            _drawn(modes.modes(columns, "Modes of the chip", {clean(n): u for n, u in found.units.items()}, key))
            if columns
            else None
        )
    layout = _layout(job)
    if layout is None or not 1 < len(layout.qubits) <= _MOST:
        return None
    errors, edges, gate = _errors(found)
    title = f"{clean(job.backend)}: {len(layout.qubits):,} qubits"
    named = {} if gate is None else {"edge_name": f"{clean(gate)} error"}
    marks = used.qubits(job, len(layout.qubits))
    figure = device.device(layout.qubits, layout.couplings, errors, edges, title, positions=layout.positions, key=key,
                           dead=_DEAD, used=marks, **named)  # fmt: skip
    return element("div", _drawn(figure), remark("Which qubits the job used is not known.") if marks is None else None)


def _drawn(figure: Drawn) -> Child:
    return figure.element()


def _errors(found: Calibration | None) -> tuple[dict[int, float], dict[tuple[int, int], float], str | None]:
    """(error of reading each qubit, error of the gate on each pair, the name of that gate): of several gates the one that has
    the most pairs."""
    if found is None:
        return {}, {}, None
    reading = {i: error for i, error in enumerate(found.qubits.get("readout_error", ())) if scales.finite(error) is not None}
    pairs: dict[str, dict[tuple[int, int], float]] = {}
    for gate, numbers in found.gates.items():
        of_gate = {qubits: error for qubits, figures in numbers.items() if len(qubits) == 2
                   and (error := scales.finite(figures.get("gate_error"))) is not None}  # fmt: skip
        if of_gate:
            pairs[gate] = of_gate
    gate = max(pairs, key=lambda name: len(pairs[name]), default=None)
    return reading, {} if gate is None else pairs[gate], gate


def _layout(job: Job) -> Layout | None:
    """The qubits as the archived device says, None for a backend that has none. Raises Damaged."""
    snapshot = job.backend_snapshot or {}
    try:
        if snapshot.get("type") == "ibm.configuration":
            return _of_configuration(job, snapshot)
        if type(snapshot.get("device")) is Link:
            held = job.get(snapshot["device"])
            return _of_configuration(job, held) if held.get("type") == "ibm.configuration" else None
        if type(snapshot.get("target")) is dict:
            target = snapshot["target"]
            pairs = [tuple(where) for column in target.get("operations", {}).values() for where in places(column) or ()
                     if len(where) == 2]  # fmt: skip
            return _checked(target.get("qubits"), pairs, None)
        if type(snapshot.get("coupling_map")) is Array:
            flat = snapshot["coupling_map"].flat()
            pairs = list(zip(flat[::2], flat[1::2]))
            return _checked(snapshot.get("qubits") or 1 + max(flat, default=-1), pairs, None)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None  # a stranger's snapshot, made otherwise: there is nothing to draw
    return None


def _of_configuration(job: Job, held: Mapping[str, Any]) -> Layout | None:
    tree = trees.join(job.get(held["template"]), held["columns"])
    coords = tree.get("coords")
    count = tree["n_qubits"]
    known = type(coords) is list and len(coords) == count and len({tuple(at) for at in coords}) == count
    positions = {i: (float(at[0]), float(at[1])) for i, at in enumerate(coords)} if known else None
    return _checked(count, [tuple(pair) for pair in tree.get("coupling_map") or ()], positions)


def _checked(count: Any, pairs: Iterable[tuple], positions: Mapping[int, Position] | None) -> Layout | None:
    if type(count) is not int or not 0 < count <= _MOST:
        return None
    kept = tuple((a, b) for a, b in dict.fromkeys(pairs) if a in range(count) and b in range(count) and a != b)
    return Layout(range(count), kept, positions)


# Atoms


def _atoms(job: Job, read: Reader, key: str) -> list[Child]:
    def drawn() -> Child:
        positions = _positions(job)
        return _drawn(atoms.register(positions, f"Register of {len(positions):,} atoms", key=key)) if positions else None

    return [read.said(drawn)]


def _positions(job: Job) -> dict[str, tuple[float, ...]]:
    """Where the atoms of a register are, in µm; empty for other jobs, and while they are still to be mapped."""
    held = job.get(job.record["input"])
    if type(held) is not dict:
        return {}
    if type(held.get("sequence")) is Link:  # as Pasqal's cloud was sent it
        held = job.get(held["sequence"])
    if type(held) is not dict or type(held.get("register")) is not Link:
        return {}
    found: dict[str, tuple[float, ...]] = {}
    for atom in job.get(held["register"]).get("register", ()):
        at = tuple(scales.finite(atom[axis]) for axis in ("x", "y", "z") if axis in atom)
        if "name" not in atom or None in at or len(at) < 2:
            return {}
        found[clean(atom["name"])] = at
    return found
