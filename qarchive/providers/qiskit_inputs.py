"""The circuits of a run as an input blob, and back: links to structures and payloads, metadata, parameter binds."""

import struct
from collections.abc import Mapping
from typing import Any

from ..errors import NotEncodable
from ..values import Array, Link
from .base import Get, Stage
from .qiskit_operations import operations
from .qiskit_qpy import load_circuit, put_circuit
from .qiskit_values import from_plain, to_plain


def put_input(stage: Stage, circuits: Any, binds: Any) -> tuple[Link, int, tuple[str, ...]]:
    """(link, number of circuits, their names) for what `run` was given. Raises NotEncodable for what is no circuit."""
    single = isinstance(circuits, operations().QuantumCircuit)
    items = [circuits] if single else list(circuits)
    value: dict[str, Any] = {"type": "qiskit.circuits"}
    seen: dict[int, dict] = {}  # a circuit that stands in the list many times is looked at once
    entries = []
    for place, circuit in enumerate(items):
        entry = seen.get(id(circuit))
        if entry is None:
            entry = seen[id(circuit)] = put_circuit(stage, circuit, f"input.circuits[{place}]")
        entries.append(entry)
    value["circuits"] = entries
    metadata = [_metadata(stage, circuit, place) if circuit.metadata else None for place, circuit in enumerate(items)]
    if any(item is not None for item in metadata):
        value["metadata"] = metadata
    if binds is not None:
        try:
            value["parameter_binds"] = [_binds(bind) for bind in binds]
        except (NotEncodable, TypeError, AttributeError) as error:
            stage.gap("input.parameter_binds", str(error))
    if single:
        value["single"] = True
    return stage.put("input", value), len(items), tuple(circuit.name for circuit in items)


def load_circuits(get: Get, job: Mapping[str, Any]) -> Any:
    """The circuits of a job record: a list, or the one circuit where one was given."""
    value = get(job["input"])
    entries = value["circuits"]
    names = job.get("names") or [None] * len(entries)
    metadata = value.get("metadata") or [None] * len(entries)
    circuits = [
        load_circuit(entry, get, name, None if extra is None else from_plain(extra))
        for entry, name, extra in zip(entries, names, metadata, strict=True)
    ]
    return circuits[0] if value.get("single") else circuits


def load_binds(value: Mapping[str, Any], circuits: Any) -> list[dict] | None:
    """Parameter binds of an input blob, with the parameters of the loaded circuits as keys again."""
    if "parameter_binds" not in value:
        return None
    circuits = [circuits] if isinstance(circuits, operations().QuantumCircuit) else circuits
    return [
        {
            circuit.get_parameter(name): from_plain(item) if type(item) is not Array else item.tolist()
            for name, item in bind.items()
        }
        for circuit, bind in zip(circuits, value["parameter_binds"], strict=True)
    ]


def _metadata(stage, circuit, place):
    what = f"input.metadata[{place}]"
    try:
        return to_plain(circuit.metadata, lambda path, reason: stage.gap(f"{what}.{path}", reason))
    except NotEncodable as error:
        stage.gap(what, str(error))
        return None


def _binds(bind) -> dict:
    return {parameter.name: _floats(values) for parameter, values in bind.items()}


def _floats(values):
    if type(values) is list and values and set(map(type, values)) == {float}:
        return Array("<f8", (len(values),), struct.pack(f"<{len(values)}d", *values))
    return to_plain(values)
