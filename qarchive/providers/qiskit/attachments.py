"""Circuits that people attach to a job: the one before transpilation, most of all."""

from collections.abc import Mapping
from typing import Any

from ..base import Get, Stage
from ..sdk import sdk
from .inputs import load_circuits, put_input


def put_circuits(stage: Stage, value: Any) -> dict | None:
    """A circuit, or a list of circuits, as an attachment's value; None for anything else."""
    kind = sdk("qiskit").QuantumCircuit
    if not isinstance(value, kind) and not (type(value) in (list, tuple) and value and all(isinstance(c, kind) for c in value)):
        return None
    link, _, names = put_input(stage, value, None)
    return {"type": "qiskit.circuits", "input": link, "names": list(names)}


def load_attached(get: Get, value: Mapping[str, Any]) -> Any:
    """The circuit, or the list of them. Raises MissingExtra."""
    return load_circuits(get, value)
