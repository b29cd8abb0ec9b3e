"""Archived noise models in a few words: how many errors, of which gates, on which qubits. Needs no SDK.

`spec/qiskit.md`, "noise", says what the blob of Aer's model holds; those of Perceval and Pulser are tagged values.
"""

from collections.abc import Mapping
from typing import Any

from .columns import items
from .printable import clean
from .values import Typed

_GATES, _QUBITS = 6, 12  # that are named
_OTHERWISE = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # a stranger's model, made otherwise
_AER = frozenset({"errors", "local", "default", "readout"})
_WRITTEN = frozenset({"perceval.NoiseModel", "pulser.NoiseModel"})
# What Pulser's model holds beside the sizes of its errors: they say nothing where there are none.
_ABOUT = frozenset({"noise_types", "runs", "samples_per_run", "with_leakage"})


def is_model(value: Any) -> bool:
    """Whether a plain value is a noise model of a kind that is known here."""
    return (type(value) is dict and value.keys() >= _AER) or (type(value) is Typed and value.tag in _WRITTEN)


def told(model: Any) -> str:
    """What is in a noise model for which `is_model` holds, on one line, safe to print."""
    try:
        return clean(_told(model))
    except _OTHERWISE:
        return "noise of another form"


def _told(model: Any) -> str:
    if type(model) is Typed:
        figures = _figures(model)
        return ", ".join(f"{name} = {_number(value)}" for name, value in figures.items()) or "no noise"
    gates = {str(label): len(places) for label, places, *_ in model["local"]}
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
    """What two of Aer's noise models do not have alike, on one line, safe to print; empty where that cannot be said."""
    if not all(type(side) is dict and side.keys() >= _AER for side in (one, other)):
        return ""
    try:
        gates = _apart(_gates(one), _gates(other))
        read = _apart(_readout(one), _readout(other))
    except _OTHERWISE:
        return ""
    by_gate = {gate: (sum(each[0] == gate for each in gates[0]), sum(each[0] == gate for each in gates[1]))
               for gate in dict.fromkeys(gate for gate, _ in gates[0])}  # fmt: skip
    shown = ", ".join(f"{gate} {moved:,} of {total:,}" for gate, (moved, total) in list(by_gate.items())[:_GATES])
    parts = [
        f"gate errors ({shown})" if shown else "",
        f"readout errors ({len(read[0]):,} of {len(read[1]):,})" if read[0] else "",
        "relaxation" if one.get("passes") != other.get("passes") else "",
    ]
    return clean("; ".join(filter(None, parts)))


def _apart(one: Mapping, other: Mapping) -> tuple[list, list]:
    """The keys whose values are not alike, and all keys."""
    both = list(dict.fromkeys((*one, *other)))
    return [key for key in both if key not in one or key not in other or one[key] != other[key]], both


def _gates(model: Mapping[str, Any]) -> dict[tuple[str, tuple], Any]:
    """What is known of each gate's error by gate and qubits: the probabilities of its terms, else the error as it stands."""
    column, at, errors = items(model.get("probabilities", [])), 0, []
    for error in model["errors"]:
        if type(error) is int:
            count = len(model["shapes"][error]) - 1
            errors.append(column[at : at + count])
            at += count
        else:
            errors.append(error)
    found = {(str(label), ()): errors[which] for label, which in model["default"]}  # on all qubits
    for label, places, of in model["local"]:
        found |= {(str(label), tuple(place)): errors[which] for place, which in zip(places, items(of))}
    return found


def _readout(model: Mapping[str, Any]) -> dict[tuple, Any]:
    found = {tuple(qubits): table for qubits, table in model["readout"]}
    return found | ({(): model["default_readout"]} if "default_readout" in model else {})


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
