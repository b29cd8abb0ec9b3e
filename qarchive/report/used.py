"""Which qubits of its device a job used, as far as its archived circuits tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..columns import items
from ..job import Job
from ..values import Link

_CIRCUITS, _INSTRUCTIONS = 1_000, 300_000  # of a job that are read; of a larger one nothing is said
_ASIDE = frozenset({"barrier", "delay"})  # what is on qubits that have nothing to do, too
_FAKES = "qiskit_ibm_runtime.fake_provider."  # whose circuits are run as they are, with the noise of their own qubits
_NEVER = frozenset({"qiskit.v1", "missing"})  # primitives of version 1 compile what they are given

Pair = tuple[int, int]


def qubits(job: Job, count: int) -> set[int | Pair] | None:
    """The qubits and the pairs of qubits, the lower one first, on which all circuits of a job acted; None where that is not
    known. `count` is how many qubits the device has: a circuit of fewer is only known to have run on the first ones where a
    simulator runs it as it is. Raises Damaged."""
    try:
        held = job.get(job.record["input"])
        if held["type"] in _NEVER or held["type"] not in ("qiskit.circuits", "qiskit.pubs"):
            return None
        links = {entry.get("circuit") for entry in held["circuits"]}
        if None in links or not 0 < len(links) <= _CIRCUITS:
            return None
        found: set[int | Pair] = set()
        left = _INSTRUCTIONS
        for link in links:
            circuit = job.get(link)
            left -= sum(len(items(body["index"])) for body in (circuit, *circuit.get("bodies", ())))
            if left < 0 or circuit["qubits"] > count or (circuit["qubits"] < count and not _as_it_is(job)):
                return None
            found |= _of_circuit(circuit)
        return found
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None  # a stranger's input, made otherwise


def _as_it_is(job: Job) -> bool:
    """Whether circuits run on the qubits of their own numbers, however few these are."""
    snapshot = job.backend_snapshot or {}
    kind = snapshot.get("class")
    return job.provider == "aer" or (type(snapshot.get("device")) is Link and type(kind) is str and kind.startswith(_FAKES))


def _of_circuit(circuit: Mapping[str, Any]) -> set[int | Pair]:
    inside: list[set[int | Pair]] = []
    for body in circuit.get("bodies", ()):  # inner ones first
        inside.append(set(_of_body(body, inside)))
    return set(_of_body(circuit, inside))


def _of_body(body: Mapping[str, Any], inside: list[set[int | Pair]]) -> Iterator[int | Pair]:
    ops, qargs, at = body["ops"], items(body["qargs"]), 0
    seen = set()
    for place in items(body["index"]):
        op = ops[place]
        width = op[1] if type(op) is list else op["qubits"]
        where = tuple(qargs[at : at + width])
        at += width
        if (place, where) not in seen and not _aside(op):
            seen.add((place, where))
            yield from _of_operation(op, where, inside)


def _aside(op: Any) -> bool:
    """Whether an operation leaves its qubits alone."""
    if type(op) is list:
        return op[0] in _ASIDE
    return str(op.get("aer", {}).get("name", "")).startswith("save_")


def _of_operation(op: Any, where: tuple[int, ...], inside: list[set[int | Pair]]) -> Iterator[int | Pair]:
    bodies = [] if type(op) is list else _bodies(op)
    if bodies:
        for each in (each for body in bodies for each in inside[body]):
            yield where[each] if type(each) is int else _up(where[each[0]], where[each[1]])
        return
    yield from where
    if len(where) == 2:
        yield _up(*where)


def _bodies(op: Mapping[str, Any]) -> list[int]:
    """The circuits that make up an operation: its definition, or its blocks."""
    if "definition" in op:
        return [op["definition"]]
    return [body for body in op.get("blocks", ()) if body is not None] + [case[-1] for case in op.get("cases", ())]


def _up(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)
