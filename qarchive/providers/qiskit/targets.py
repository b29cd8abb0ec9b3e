"""Targets of Qiskit <-> plain values: what a device offers, and apart from it the figures of the day.

Operations and places are kept in sorted order: a Target's own order follows the hashes of names where an SDK made it from a set,
so it differs from process to process, and nothing depends on it (a seeded transpilation does not).
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

from ...calibration import places
from ...columns import unsigned
from ...values import Array
from ..limits import number_of
from ..sdk import sdk
from .values import Gap

GATE_FIGURES, QUBIT_FIGURES = ("error", "duration"), ("t1", "t2", "frequency")

_UNITS = ("granularity", "min_length", "pulse_alignment", "acquire_alignment")  # in dt, 1 where nothing is said
_CONTROL_FLOW = {
    "if_else": "IfElseOp",
    "while_loop": "WhileLoopOp",
    "for_loop": "ForLoopOp",
    "switch_case": "SwitchCaseOp",
    "box": "BoxOp",
    "break": "BreakLoopOp",
    "continue": "ContinueLoopOp",
}
# Operations of no fixed width, which a Target has as classes.
_CLASSES = frozenset("Barrier MCPhaseGate MCXGate PauliEvolutionGate Store UnitaryGate".split())
_PROBES = [n * math.pi / 16 for n in range(-64, 65)] + [10.0**-n for n in range(1, 17)] + [-(10.0**-n) for n in range(1, 17)]


def target_token(target: Any) -> tuple:
    """Every error rate and duration of a Target, since InstructionProperties may be altered in place."""
    gates = []
    for name in target.operation_names:
        properties = target[name] or {}
        gates.append((name, [(qubits, item and (item.error, item.duration)) for qubits, item in properties.items()]))
    qubits = [(q and (q.t1, q.t2, q.frequency)) for q in target.qubit_properties or ()]
    units = [getattr(target, name) for name in _UNITS]
    return (id(target), target.num_qubits, target.dt, target.description, units, target.concurrent_measurements, gates, qubits)


def target_value(target: Any, gap: Gap) -> dict:
    """What a Target offers, without its figures: operations and the qubits that they act on, None where it is all of them."""
    value: dict[str, Any] = {"qubits": target.num_qubits, "dt": target.dt, "operations": {}}
    if target.description is not None:
        value["description"] = target.description
    value.update({name: number for name in _UNITS if (number := getattr(target, name)) != 1})
    if target.concurrent_measurements:
        value["concurrent_measurements"] = [list(qubits) for qubits in target.concurrent_measurements]
    gates, bounds, blank = {}, {}, {}
    standard = _standard()
    for name in sorted(target.operation_names):
        where = _places(target, name)
        value["operations"][name] = None if where is None else _columns_of_qubits(where)
        gate = _gate(target.operation_from_name(name), name, standard, gap)
        if gate is not None:
            gates[name] = gate
        if target.gate_has_angle_bounds(name):
            bounds[name] = _angle_bounds(target, name, gap)
        empty = [i for i, place in enumerate(where or ()) if _is_blank(target[name][place], GATE_FIGURES)]
        if empty:
            blank[name] = unsigned(empty)
    value.update({name: item for name, item in (("gates", gates), ("angle_bounds", bounds), ("blank", blank)) if item})
    if target.qubit_properties and all(_is_blank(item, QUBIT_FIGURES) for item in target.qubit_properties):
        value["blank_qubits"] = True
    return value


def calibration_value(target: Any) -> dict | None:
    """Error rates, durations (s) and qubits (s, s, Hz) of a Target; None where it has none.

    NaN stands where one place has no figure while its neighbours do.
    """
    gates = {}
    for name in sorted(target.operation_names):
        where = _places(target, name) or []
        figures = {field: column for field in GATE_FIGURES if (column := _figures([target[name][p] for p in where], field))}
        if figures:
            gates[name] = {"places": _columns_of_qubits(where), **figures}
    qubits = {field: column for field in QUBIT_FIGURES if (column := _figures(target.qubit_properties or (), field))}
    return {"type": "qiskit.target", "gates": gates, "qubits": qubits} if gates or qubits else None


def new_target(value: Mapping[str, Any], calibration: Mapping[str, Any] | None = None) -> Any:
    """A Target with the same instructions, figures, qubits and units. Raises MissingExtra."""
    transpiler = sdk("qiskit.transpiler", "a Target of Qiskit")
    figures = calibration or {"gates": {}, "qubits": {}}
    target = transpiler.Target(
        description=value.get("description"),
        num_qubits=value["qubits"],
        dt=value["dt"],
        qubit_properties=_new_qubits(value, figures["qubits"]),
        concurrent_measurements=value.get("concurrent_measurements"),
        **{name: value.get(name, 1) for name in _UNITS},
    )
    standard = _standard()
    for name, column in value["operations"].items():
        gate, where = _new_gate(value.get("gates", {}).get(name), name, standard), places(column)
        if isinstance(gate, type):
            target.add_instruction(gate, name=name)
            continue
        properties = None
        if where is not None:
            blank = value["blank"][name].flat() if name in value.get("blank", {}) else []
            known = figures["gates"].get(name, {})
            rows = _rows(known, GATE_FIGURES, len(where), blank)
            properties = {
                qubits: row and transpiler.InstructionProperties(**row) for qubits, row in zip(where, rows, strict=True)
            }
        bounds = value.get("angle_bounds", {}).get(name)
        more = {"angle_bounds": [pair and tuple(pair) for pair in bounds]} if bounds else {}
        target.add_instruction(gate, properties, name=name, **more)
    return target


def _places(target, name):
    """The places of an operation in order; None where it acts on all qubits."""
    properties = target[name]
    return None if properties is None or None in properties else sorted(properties)


def _columns_of_qubits(where) -> list:
    width = len(where[0]) if where else 0
    if not width or any(len(qubits) != width for qubits in where):
        return [list(qubits) for qubits in where]
    return [width, unsigned([qubit for qubits in where for qubit in qubits])]


def _figures(items, field) -> Array | None:
    figures = [getattr(item, field, None) for item in items]
    if all(figure is None for figure in figures):
        return None
    numbers = [math.nan if figure is None else float(figure) for figure in figures]
    return Array("<f8", (len(numbers),), struct.pack(f"<{len(numbers)}d", *numbers))


def _is_blank(item, fields) -> bool:
    """Whether a place has an object for its figures and none in it."""
    return item is not None and all(getattr(item, field, None) is None for field in fields)


def _rows(columns, fields, count, blank) -> list[dict | None]:
    """For each place its figures by name, None for those it lacks; None for a place that has nothing."""
    blank = frozenset(blank)
    flat = {field: columns[field].flat() if field in columns else [math.nan] * count for field in fields}
    rows: list[dict | None] = []
    for i, numbers in enumerate(zip(*flat.values(), strict=True)):
        row = {field: None if number != number else number for field, number in zip(fields, numbers, strict=True)}
        rows.append(row if i in blank or any(number is not None for number in row.values()) else None)
    return rows


def _new_qubits(value, columns) -> list | None:
    if not columns and not value.get("blank_qubits"):
        return None
    new, qubits = sdk("qiskit.providers").QubitProperties, number_of(value["qubits"], "qubits")
    return [new(**row) for row in _rows(columns, QUBIT_FIGURES, qubits, range(qubits))]


# Operations. One that the standard library has under its name, with free parameters, needs no description.


def _gate(operation, name, standard, gap) -> Any:
    """What is to be said of an operation beside its name; None where the name says it all."""
    if isinstance(operation, type):
        kind = operation.__name__
        if _CONTROL_FLOW.get(name) == kind:
            return None
        if kind not in _CLASSES and kind not in _CONTROL_FLOW.values():
            gap(f"target.operations.{name}", f"an operation of no fixed width, of the class {operation.__module__}.{kind}")
        return {"class": kind}
    usual = standard.get(name)
    if usual is not None and operation.base_class is usual.base_class and _said(operation) == _said(usual):
        return None
    circuit, kind = sdk("qiskit.circuit"), operation.base_class
    known = standard.get(operation.name)
    if kind not in (circuit.Gate, circuit.Instruction) and (known is None or known.base_class is not kind):
        gap(f"target.operations.{name}", f"the class {kind.__module__}.{kind.__qualname__}; its name and parameters are kept")
    value = {"name": operation.name, "qubits": operation.num_qubits, "clbits": operation.num_clbits}
    if isinstance(operation, circuit.Gate):
        value["unitary"] = True
    if operation.label is not None:
        value["label"] = operation.label
    if kind is circuit.Delay:
        value["unit"] = operation.unit
    params = [_param(param) for param in operation.params]
    return {**value, "params": params} if params else value


def _said(operation) -> tuple:
    return operation.name, operation.label, getattr(operation, "unit", None), [_param(param) for param in operation.params]


def _param(param) -> Any:
    return float(param) if isinstance(param, int | float) else {"parameter": getattr(param, "name", str(param))}


def _new_gate(value, name, standard) -> Any:
    circuit, library = sdk("qiskit.circuit"), sdk("qiskit.circuit.library")
    if value is None and name in _CONTROL_FLOW:
        return getattr(circuit, _CONTROL_FLOW[name])
    if value is None:
        return standard[name]
    if "class" in value:
        kind = value["class"]
        known = kind in _CLASSES or kind in _CONTROL_FLOW.values()
        found = getattr(circuit, kind, None) or getattr(library, kind, None) if known else None
        return found or circuit.Gate
    params = [circuit.Parameter(param["parameter"]) if type(param) is dict else param for param in value.get("params", ())]
    usual = standard.get(value["name"])
    if usual is not None and (usual.num_qubits, len(usual.params)) == (value["qubits"], len(params)):
        return usual.base_class(*params, **{name: value[name] for name in ("label", "unit") if name in value})
    if value.get("unitary"):
        return circuit.Gate(value["name"], value["qubits"], params, label=value.get("label"))
    return circuit.Instruction(value["name"], value["qubits"], value["clbits"], params, label=value.get("label"))


def _standard() -> dict[str, Any]:
    """Gates and other operations by name, made anew: a Target keeps those that it is given."""
    return sdk("qiskit.circuit.library").get_standard_gate_name_mapping()


# Bounds of angles, which a Target answers for single angles but does not tell. NaN lies within all bounds, so the others do not
# disturb; between an angle within and one beyond, the last float within is found in as many steps as a float has bits.


def _angle_bounds(target, name, gap) -> list:
    count = len(target.operation_from_name(name).params)
    found: list = []
    for i in range(count):

        def within(angle, i=i):
            return target.supported_angle_bound(name, [angle if j == i else math.nan for j in range(count)])

        if within(math.inf) and within(-math.inf):
            found.append(None)
            continue
        inside = next((angle for angle in _PROBES if within(angle)), None)
        if inside is None:
            gap(f"target.operations.{name}", f"the bounds of parameter {i}, which Qiskit does not tell")
            found.append(None)
        else:
            found.append([_last(within, inside, -math.inf), _last(within, inside, math.inf)])
    return found


def _last(within, inside: float, beyond: float) -> float:
    """The float nearest to `beyond` that is within, by bisection over the order of all floats."""
    if within(beyond):
        return beyond
    low, high = _ordinal(inside), _ordinal(beyond)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if within(_float(middle)) else (low, middle)
    return _float(low)


def _ordinal(number: float) -> int:
    """Integers in the order of floats, neighbours next to each other."""
    bits = struct.unpack("<q", struct.pack("<d", number))[0]
    return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)


def _float(ordinal: int) -> float:
    number = struct.unpack("<d", struct.pack("<q", abs(ordinal)))[0]
    return number if ordinal >= 0 else -number
