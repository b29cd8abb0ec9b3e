"""What tells circuits and PUBs apart, in any process: 32 bytes of what runs, without names, UUIDs and metadata.

A circuit's identity is its fingerprint, the digest of its structure, under which the archive keeps it. A PUB of nothing but a
circuit has the circuit's. That of any other is a digest of the circuit's identity, the parameter values by name, and the
observables, both in one order whichever way they were given.
"""

import hashlib
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

from ...codec import digest, encode
from ...columns import items as numbers_of
from ...errors import BadInput, NotEncodable
from ...values import Array, Typed
from ..base import Get
from ..sdk import sdk
from .circuits import structure
from .containers import pub_to_plain
from .inputs import CIRCUITS, PUBS, V1
from .operations import operations
from .qpy import load_circuit, spilled

_HINT = "give an index or a name"
_NOT_RUN = frozenset({"type", "circuits", "metadata", "single"})
_FLOAT, _COMPLEX = 8, 16  # bytes


def identity(item: Any, asked: bool = True) -> bytes:
    """The identity of a circuit, of a PUB, or of what a primitive takes for one. Raises BadInput for all else.

    `asked` says whether the shots or the precision that the PUB itself asks for count. A tuple is an estimator's PUB where
    observables follow the circuit, else a sampler's.
    """
    try:
        if isinstance(item, operations().QuantumCircuit):
            return _fingerprint(item)
        pub = _pub(item)
        return _of_pub(_fingerprint(pub.circuit), pub_to_plain(pub), asked)
    except NotEncodable as error:
        raise BadInput(f"this {type(item).__name__}", f"it cannot be told from others ({error.reason})", _HINT) from None


def identities(get: Get, job: Mapping[str, Any], asked: bool = True) -> list[bytes]:
    """The identity of each circuit or PUB of an archived job, in order; without the SDK where their structures are known.

    What cannot be told from others, or was not captured whole, has one that no object has. Raises BadInput where circuits alone
    do not say what ran: with `parameter_binds`, and for primitives of version 1 with values or observables.
    """
    value = get(job["input"])
    kind = value["type"]
    if kind not in (CIRCUITS, PUBS, V1):
        reason = "it is not in the archive" if kind == "missing" else "it is neither circuits nor PUBs"
        raise BadInput("the input of this job", reason, "take the job itself")
    if "parameter_binds" in value or "observables" in value or _given(value.get("parameter_values")):
        raise BadInput("the input of this job", "its circuits alone do not say what ran", "give an index")
    return _each(get, job, value, asked)


def _each(get, job, value, asked) -> list[bytes]:
    """The identity of each circuit or PUB of an input blob."""
    found = []
    for place, entry in enumerate(value["circuits"]):
        circuit = entry["circuit"].digest if "circuit" in entry else _fingerprint_again(get, entry)
        pub = value["pubs"][place] if value["type"] == PUBS else {}
        if circuit is None or pub is None:
            found.append(_digest(b"unknown", job["input"].digest, place))
        else:
            found.append(_of_pub(circuit, pub, asked) if pub else circuit)
    return found


def what_runs(get: Get, job: Mapping[str, Any]) -> Any:
    """What must be equal where one job's results stand for another's, as a plain value: the identities of its circuits or PUBs,
    and what binds values to circuits alone. Names and metadata are no part of it. Of an input that was not captured it is what
    no other job has."""
    value = get(job["input"])
    if value["type"] not in (CIRCUITS, PUBS, V1) or None in value.get("pubs", ()):
        return unknown(job)
    try:
        return identities(get, job)
    except BadInput:
        beside = {name: item for name, item in value.items() if name not in _NOT_RUN}
        return [_each(get, job, value, True), told(beside)]


def told(value: Any) -> bytes:
    """32 bytes that tell a plain value, however long, from others."""
    return _digest(b"value", value)


def unknown(job: Mapping[str, Any]) -> list:
    """What no other job has."""
    return ["unknown", job.get("nonce")]


def _fingerprint(circuit) -> bytes:
    """The digest of the blob that `qpy.put_circuit` puts. Gates without a definition of classes that only their authors know are
    told by name and parameters, which is all that comes back of them."""
    return digest(encode(structure(circuit, guess=True).value, spilled))


def _fingerprint_again(get, entry) -> bytes | None:
    """Of a circuit of which the archive has no structure."""
    try:
        return _fingerprint(load_circuit(entry, get))
    except NotEncodable:
        return None


def _digest(word: bytes, *parts: Any) -> bytes:
    return hashlib.sha256(word + encode(list(parts), spilled)).digest()


def _of_pub(circuit: bytes, plain: Mapping[str, Any], asked: bool) -> bytes:
    """The identity of a PUB, which is `plain` as `containers.pub_to_plain` writes it, beside its circuit's."""
    rest: dict[str, Any] = {}
    parameters = plain["parameters"]
    names, values = _by_name(parameters["values"])
    if names or parameters["shape"]:
        rest["parameters"] = [parameters["shape"], names, values]
    if "observables" in plain:
        rest["observables"] = _observables(plain["observables"])
    for name, number in (("shots", int), ("precision", float)) if asked else ():
        if plain.get(name) is not None:
            rest[name] = number(_number(plain[name]))
    return _digest(b"pub", circuit, rest) if rest else circuit


def _by_name(values) -> tuple[list[str], Array]:
    """(names, their values) in the order of the names, whatever arrays they came in."""
    if len(values) == 1:
        *names, array = values[0]
        if names == sorted(names):
            return names, Array("<f8", (len(array.data) // _FLOAT,), bytes(array.data))
    columns: dict[str, list[bytes]] = {}
    for *names, array in values:
        cells = _cells(array, _FLOAT)
        columns.update((name, cells[place :: len(names)]) for place, name in enumerate(names))
    names = sorted(columns)
    data = b"".join(b"".join(row) for row in zip(*map(columns.__getitem__, names), strict=True))
    return names, Array("<f8", (len(data) // _FLOAT,), data)


def _observables(plain: Mapping[str, Any]) -> list:
    """[shape, digests]: one of each observable, over its terms in the order of their bytes."""
    if "entries" in plain:  # of no class that we know better
        return [plain["shape"], plain["entries"]]
    distinct = [_digest(b"observable", *sorted(terms)) for terms in _terms(plain)]
    index = numbers_of(plain["index"]) if "index" in plain else range(len(distinct))
    return [plain["shape"], b"".join(distinct[place] for place in index)]


def _terms(plain) -> Iterator[list[bytes]]:
    """The terms of each distinct observable: letters, the qubits that they act on, and the coefficient, in bytes."""
    coefficients, letters, qubits = _cells(plain["coeffs"], _COMPLEX), _cells(plain["bit_terms"], 1), _cells(plain["indices"], 4)
    weights = numbers_of(plain["weights"])
    term = start = 0
    for count in numbers_of(plain["terms"]):
        found = []
        for place in range(term, term + count):
            end = start + weights[place]
            found.append(b"".join((*letters[start:end], *qubits[start:end], coefficients[place])))
            start = end
        term += count
        yield found


def _cells(array: Array, width: int) -> list[bytes]:
    data = bytes(array.data)
    return [data[start : start + width] for start in range(0, len(data), width)]


def _number(value) -> Any:
    """A number, also one that was numpy's."""
    return value.value.tolist() if type(value) is Typed else value


def _given(values) -> bool:
    """Whether parameter values of a primitive of version 1 hold any."""
    if isinstance(values, list | tuple):
        return any(map(_given, values))
    return bool(values.shape[-1:] != (0,)) if type(values) is Array else values is not None


def _pub(item) -> Any:
    containers = sdk("qiskit.primitives.containers", "a PUB")
    sampler, estimator = containers.sampler_pub.SamplerPub, containers.estimator_pub.EstimatorPub
    if isinstance(item, sampler | estimator):
        return item
    if not isinstance(item, tuple | list):
        raise BadInput(f"a {type(item).__name__}", "it is neither a circuit nor a PUB", _HINT)
    try:
        return (estimator if _estimates(item) else sampler).coerce(item)
    except Exception as error:  # of many classes, whatever does not fit
        raise BadInput(f"this {type(item).__name__}", f"it is no PUB ({error})", _HINT) from None


def _estimates(item) -> bool:
    """Whether observables stand second: by themselves, or by what stands third, values of parameters instead of shots."""
    if len(item) == 4 or (len(item) == 3 and not isinstance(item[2], Integral | None)):
        return True
    return len(item) > 1 and _observes(item[1], item[0])


def _observes(value, circuit) -> bool:
    if isinstance(value, str):
        return True
    if isinstance(value, Mapping):  # of Pauli strings to coefficients, or of parameters to values
        names = {parameter.name for parameter in getattr(circuit, "parameters", ())}
        pauli = sdk("qiskit.quantum_info").Pauli
        return bool(value) and all(isinstance(key, str | pauli) and key not in names for key in value)
    if isinstance(value, list | tuple):
        return bool(value) and _observes(value[0], circuit)
    if isinstance(value, sdk("numpy").ndarray):
        return value.size > 0 and _observes(value.item(0), circuit)
    return type(value).__name__ == "ObservablesArray" or type(value).__module__.startswith("qiskit.quantum_info")
