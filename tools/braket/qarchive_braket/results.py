"""Results of gate-model tasks <-> plain values: what differs between two equal runs apart from what does not."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from qarchive.errors import BadInput
from qarchive.providers.qiskit.values import from_plain, to_plain  # Python's and numpy's values, too
from qarchive.providers.wrapped import is_a

from . import braket

_RESULT = frozenset({("braket.tasks.gate_model_quantum_task_result", "GateModelQuantumTaskResult")})
_APART = ("task_metadata", "additional_metadata", "result_types", "values", "measurements", "measurement_counts")
_VOLATILE = ("id", "createdAt", "endedAt")


def is_result(native: Any) -> bool:
    return is_a(native, _RESULT)


def pack(result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is equal for equal runs, what is not) of a GateModelQuantumTaskResult. Raises NotEncodable."""
    task = _model(result.task_metadata)
    plain = {
        **{field.name: to_plain(getattr(result, field.name), path=field.name) for field in _fields(result)},
        "task_metadata": {name: item for name, item in task.items() if name not in _VOLATILE},
        "additional_metadata": _model(result.additional_metadata),
        "result_types": [[_model(each.type), to_plain(each.value, path="values")] for each in result.result_types],
    }
    if result.measurements is not None:  # zeros and ones: a byte of each int64
        plain["measurements"] = to_plain(result.measurements.astype("|u1"))
        plain["measurement_counts"] = dict(result.measurement_counts)
    return plain, {name: task[name] for name in _VOLATILE if name in task}


def unpack(plain: Mapping[str, Any], volatile: Mapping[str, Any]) -> Any:
    """The result again. Raises MissingExtra."""
    results = braket("task_result", "a result")
    kind = braket("tasks", "a result").GateModelQuantumTaskResult
    types = [_result_type(results, *each) for each in plain["result_types"]]
    values = {name: from_plain(item) for name, item in plain.items() if name not in _APART}
    if "measurements" in plain:
        values["measurements"] = from_plain(plain["measurements"]).astype(int)
        values["measurement_counts"] = Counter(plain["measurement_counts"])
    return kind(
        task_metadata=results.TaskMetadata.parse_obj({**plain["task_metadata"], **volatile}),
        additional_metadata=results.AdditionalMetadata.parse_obj(plain["additional_metadata"]),
        result_types=types,
        values=[each.value for each in types],
        **values,
    )


def counts(plain: Mapping[str, Any]) -> dict[str, int]:
    """{bit string: count}, the first measured qubit leftmost, without the SDK. Raises BadInput where there are none."""
    if "measurement_counts" not in plain:
        raise BadInput("the result of this job", "it was worked out exactly, without shots", "look at `job.data()`")
    return dict(plain["measurement_counts"])


def data(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Counts, probabilities and measurements; the values of the circuit's result types as `values`, in order."""
    found = {name: plain[name] for name in ("measurements", "measured_qubits", "measurement_probabilities")
             if plain.get(name) is not None}  # fmt: skip
    if "measurement_counts" in plain:
        found["counts"] = counts(plain)
    return {**found, "values": [value for _, value in plain["result_types"]]}


def _fields(result):
    """The fields of the class, those of later versions too, that need no care of their own."""
    return [field for field in fields(result) if field.name not in _APART and not field.name.startswith("_")]


def _model(model) -> dict[str, Any]:
    """One of Braket's pydantic models as JSON, without what is not set."""
    return json.loads(model.json(exclude_none=True))


def _result_type(results, wanted, value):
    # Validated for its class alone: the values are numpy's, as the simulator made them, and JSON has no such.
    return results.ResultTypeValue.construct(
        type=results.ResultTypeValue.parse_obj({"type": wanted, "value": 0.0}).type, value=from_plain(value)
    )
