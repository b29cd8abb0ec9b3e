"""What was to run as an input blob, and back: circuits of a backend, PUBs of a primitive, arguments of one of version 1.

All three hold circuits the same way, as links to structures and payloads with their metadata beside them. `spec/qiskit.md`,
"input".
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import BadInput, NotEncodable
from ...values import Array, Link
from ..base import Get, Stage
from .containers import pub_from_plain, pub_to_plain
from .operations import operations
from .qpy import load_circuit, put_circuit
from .values import from_plain, to_parts, to_plain

CIRCUITS, PUBS, V1 = "qiskit.circuits", "qiskit.pubs", "qiskit.v1"  # the types of input blobs

_BESIDE = ("observables", "parameter_values")
V1_ARGUMENTS = ("circuits", *_BESIDE)  # of a primitive of version 1: all that its `run` takes but options


def put_input(stage: Stage, circuits: Any, binds: Any) -> tuple[Link, int, tuple[str, ...]]:
    """(link, number of circuits, their names) for what `run` was given. Raises NotEncodable for what is no circuit."""
    items, value = _put_circuits(stage, circuits)
    if binds is not None:
        try:
            value["parameter_binds"] = [_binds(bind) for bind in binds]
        except (NotEncodable, TypeError, AttributeError) as error:
            stage.gap("input.parameter_binds", str(error))
    return _put(stage, {"type": CIRCUITS, **value}, items)


def load_circuits(get: Get, job: Mapping[str, Any]) -> Any:
    """The circuits of a job record: a list, or the one circuit where one was given."""
    return _load_circuits(get, job, get(job["input"]))


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


def put_pubs(stage: Stage, pubs: Iterable[Any]) -> tuple[Link, int, tuple[str, ...]]:
    """(link, number of PUBs, names of their circuits) for SamplerPubs or EstimatorPubs, as `coerce` returns them.

    A PUB of which the SDK's own parts cannot be stored is a gap. Raises NotEncodable for a circuit that cannot be.
    """
    pubs = list(pubs)
    items, value = _put_circuits(stage, [pub.circuit for pub in pubs])
    value["pubs"] = plain = [_pub(stage, pub, place) for place, pub in enumerate(pubs)]
    value["primitive"] = "estimator" if any(pub and "observables" in pub for pub in plain) else "sampler"
    return _put(stage, {"type": PUBS, **value}, items)


def load_pubs(get: Get, job: Mapping[str, Any]) -> list:
    """The PUBs of a job record, as `coerce` returns them. Raises MissingExtra, and BadInput where one is not archived."""
    value = get(job["input"])
    if None in value["pubs"]:
        raise BadInput(f"PUB {value['pubs'].index(None)} of this job", "it is not in the archive", "see the gaps of its job")
    return [pub_from_plain(pub, circuit) for pub, circuit in zip(value["pubs"], _load_circuits(get, job, value), strict=True)]


def put_v1(stage: Stage, arguments: Mapping[str, Any]) -> tuple[Link, int, tuple[str, ...]]:
    """(link, number of circuits, their names) for the `V1_ARGUMENTS` of a primitive of version 1, each as it was given."""
    items, value = _put_circuits(stage, arguments["circuits"])
    for name in _BESIDE:
        if arguments.get(name) is not None:
            try:
                value[name] = to_plain(arguments[name])
            except NotEncodable as error:
                stage.gap(f"input.{name}", str(error))
    value["primitive"] = "estimator" if "observables" in arguments else "sampler"
    return _put(stage, {"type": V1, **value}, items)


def load_v1(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """What `put_v1` was given, by name."""
    value = get(job["input"])
    return {
        "circuits": _load_circuits(get, job, value),
        **{name: from_plain(value[name]) for name in _BESIDE if name in value},
    }


def _put(stage, value, circuits):
    return stage.put("input", value), len(circuits), tuple(circuit.name for circuit in circuits)


def _put_circuits(stage, circuits) -> tuple[list, dict[str, Any]]:
    """(the circuits as a list, the fields of an input blob that hold them)."""
    single = isinstance(circuits, operations().QuantumCircuit)
    items = [circuits] if single else list(circuits)
    seen: dict[int, dict] = {}  # a circuit that stands in the list many times is looked at once
    entries = []
    for place, circuit in enumerate(items):
        entry = seen.get(id(circuit))
        if entry is None:
            entry = seen[id(circuit)] = put_circuit(stage, circuit, f"input.circuits[{place}]")
        entries.append(entry)
    value: dict[str, Any] = {"circuits": entries}
    metadata = [_metadata(stage, circuit, place) if circuit.metadata else None for place, circuit in enumerate(items)]
    if any(item is not None for item in metadata):
        value["metadata"] = metadata
    if single:
        value["single"] = True
    return items, value


def _load_circuits(get, job, value) -> Any:
    entries = value["circuits"]
    names = job.get("names") or [None] * len(entries)
    metadata = value.get("metadata") or [None] * len(entries)
    circuits = [
        load_circuit(entry, get, name, None if extra is None else from_plain(extra))
        for entry, name, extra in zip(entries, names, metadata, strict=True)
    ]
    return circuits[0] if value.get("single") else circuits


def _metadata(stage, circuit, place):
    what = f"input.metadata[{place}]"
    try:
        to = to_parts if type(circuit.metadata) is dict else to_plain
        return to(circuit.metadata, lambda path, reason: stage.gap(f"{what}.{path}", reason))
    except NotEncodable as error:
        stage.gap(what, str(error))
        return None


def _pub(stage, pub, place) -> dict | None:
    try:
        return pub_to_plain(pub)
    except NotEncodable as error:
        stage.gap(f"input.pubs[{place}]", str(error))
        return None


def _binds(bind) -> dict:
    return {parameter.name: _floats(values) for parameter, values in bind.items()}


def _floats(values):
    if type(values) is list and values and set(map(type, values)) == {float}:
        return Array("<f8", (len(values),), struct.pack(f"<{len(values)}d", *values))
    return to_plain(values)
