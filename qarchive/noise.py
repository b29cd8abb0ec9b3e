"""Archived noise models in a few words: how many errors, of which gates, on which qubits. Needs no SDK.

`spec/qiskit.md`, "noise", says what the blob of Aer's model holds; those of Perceval and Pulser are tagged values.
"""

from collections.abc import Mapping
from typing import Any

from .columns import items
from .values import Array, Typed

_GATES, _QUBITS = 6, 12  # that are named
_AER = frozenset({"errors", "local", "default", "readout"})
_WRITTEN = frozenset({"perceval.NoiseModel", "pulser.NoiseModel"})
# What Pulser's model holds beside the sizes of its errors: they say nothing where there are none.
_ABOUT = frozenset({"noise_types", "runs", "samples_per_run", "with_leakage"})


def is_model(value: Any) -> bool:
    """Whether a plain value is a noise model of a kind that is known here."""
    return (type(value) is dict and value.keys() >= _AER) or (type(value) is Typed and value.tag in _WRITTEN)


def told(model: Any) -> str:
    """What is in a noise model for which `is_model` holds, on one line."""
    if type(model) is Typed:
        figures = _figures(model)
        return ", ".join(f"{name} = {_number(value)}" for name, value in figures.items()) or "no noise"
    gates = _gates(model)
    total = sum(gates.values())
    named = ", ".join(f"{gate} {number:,}" for gate, number in list(gates.items())[:_GATES])
    more = f", {len(gates) - _GATES} more" if len(gates) > _GATES else ""
    everywhere = [str(label) for label, _ in model["default"]]
    read = len(model["readout"])
    parts = [
        f"{total:,} gate error{'' if total == 1 else 's'} ({named}{more}){_where(model)}" if total else "",
        f"errors of {', '.join(everywhere[:_GATES])} on all qubits" if everywhere else "",
        f"readout errors of {read:,} qubit{'' if read == 1 else 's'}" if read else "",
        "readout errors of all qubits" if "default_readout" in model else "",
        "relaxation while qubits wait" if model.get("passes") else "",
    ]
    return "; ".join(filter(None, parts)) or "no noise"


def _where(model: Mapping[str, Any]) -> str:
    """The qubits that have errors of gates of their own."""
    qubits = sorted({qubit for _, places, *_ in model["local"] for place in places for qubit in place})
    if len(qubits) > 2 and qubits[-1] - qubits[0] == len(qubits) - 1:
        return f" on qubits {qubits[0]} to {qubits[-1]}"
    shown = ", ".join(map(str, qubits[:_QUBITS]))
    return f" on qubits {shown}" + (f" and {len(qubits) - _QUBITS:,} more" if len(qubits) > _QUBITS else "")


def apart(one: Any, other: Any) -> str:
    """What two Aer noise models that are not the same do not have alike, on one line; empty where that is not known."""
    if not all(type(side) is dict and side.keys() >= _AER for side in (one, other)):
        return ""
    gates, others = _gates(one), _gates(other)
    found = [
        f"{gate} {gates.get(gate, 0):,} and {others.get(gate, 0):,}"
        for gate in dict.fromkeys((*gates, *others))
        if gates.get(gate) != others.get(gate)
    ]
    shown = ", ".join(found[:_GATES])
    parts = [f"errors of other gates: {shown}" if found else ""]
    if not found:
        here, there = (_probabilities(side) for side in (one, other))
        if len(here) == len(there):
            moved = sum(a != b for a, b in zip(here, there))
            parts.append(f"{moved:,} of {len(here):,} probabilities of gate errors" if moved else "")
        else:
            parts.append("the forms of gate errors")
    here, there = ({place: _flat(table) for place, table in _readout(side)} for side in (one, other))
    read = sum(here.get(place) != there.get(place) for place in {*here, *there})
    parts.append(f"readout errors of {read:,} of {len({*here, *there}):,} qubits" if read else "")
    parts.append("relaxation" if one.get("passes") != other.get("passes") else "")
    return "; ".join(filter(None, parts))


def _gates(model: Mapping[str, Any]) -> dict[str, int]:
    """How many places of each gate have an error."""
    return {str(label): len(places) for label, places, *_ in model["local"]}


def _probabilities(model: Mapping[str, Any]) -> list[float]:
    column = model.get("probabilities", [])
    return items(column) if type(column) in (list, Array) else []


def _readout(model: Mapping[str, Any]) -> list[tuple[tuple[int, ...], Any]]:
    return [(tuple(qubits), table) for qubits, table in model["readout"]]


def _flat(table: Any) -> Any:
    return table.flat() if type(table) is Array else table


def _figures(model: Typed) -> dict[str, Any]:
    """What such a model says of its errors; empty for no noise. Perceval's holds only what differs from none."""
    held = model.value if type(model.value) is dict else {}
    if model.tag == "perceval.NoiseModel":
        return held
    if not held.get("noise_types"):
        return {}
    return {name: value for name, value in held.items() if name not in _ABOUT and _says(value)}


def _says(value: Any) -> bool:
    return bool(value.value if type(value) is Typed else value)


def _number(value: Any) -> str:
    if type(value) is float:
        return f"{value:.6g}"
    value = value.value if type(value) is Typed else value
    return f"{len(value):,} values" if type(value) in (list, tuple) else str(value)
