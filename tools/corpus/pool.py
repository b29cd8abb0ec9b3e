"""The pool: circuits as QPY and what Aer measured of them. Made once with Qiskit, it is plain data that any process can use."""

import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy

from qarchive import codec
from qarchive.columns import items
from qarchive.pack import Blob
from qarchive.values import Array, Link

from .devices import LARGE, SMALL, Device, blob_of, link_to

_SHOTS = 10_000  # of the distributions in the pool


@dataclass
class Circuit:
    """A circuit as the provider stores it, and how its angles are changed in the structure and in the bytes of its QPY."""

    name: str
    structure: dict
    payload: dict
    key: bytes  # what the provider adds to the fingerprint to find the payload
    blobs: tuple[Blob, Blob]
    text: str  # OpenQASM 2
    places: numpy.ndarray  # of each angle that may change its place among the structure's floats
    spots: list[tuple[str, numpy.ndarray, numpy.ndarray]]  # and in the QPY: (how floats are written, bytes, which angle)
    states: numpy.ndarray  # what Aer measured
    chances: numpy.ndarray
    answer: dict  # Aer's result as a dict, without data
    parameters: list[str] = field(default_factory=list)  # of a circuit with free ones

    @property
    def clbits(self) -> int:
        return self.answer["header"]["memory_slots"]

    def turned(self, draw: numpy.random.Generator) -> tuple[Blob, Blob]:
        """The same structure with other angles."""
        angles = draw.uniform(-numpy.pi, numpy.pi, len(self.places))
        column = self.structure["floats"]
        floats = numpy.array(items(column))
        floats[self.places] = angles
        payload = numpy.array(bytearray(self.payload["qpy"]))
        for form, at, which in self.spots:
            payload[at[:, None] + numpy.arange(8)] = angles.astype(form).take(which).view("u1").reshape(-1, 8)
        kept = floats.tolist() if type(column) is list else Array("<f8", column.shape, floats.tobytes())
        structure = blob_of("circuit", {**self.structure, "floats": kept})
        key = hashlib.sha256(b"qpy" + structure.digest + self.key).digest()
        return structure, blob_of("qpy", {**self.payload, "qpy": payload.tobytes()}, key)


@dataclass
class Pool:
    """What jobs are made of."""

    circuits: list[Circuit]
    native: list[Circuit]  # for a device, with free parameters where they have `parameters`
    state: dict  # of a circuit with a saved state: Aer's result as a dict, the state apart
    state_circuit: Circuit
    simulators: list[Blob]
    devices: list[Device]


def make_pool(small: bool = False) -> Pool:
    """Make the pool with Qiskit and Aer. `small` circuits have a few gates on up to five qubits."""
    from qiskit_aer import AerSimulator

    from qarchive.providers.qiskit.aer import AerProvider

    simulator = AerSimulator()
    circuits = [_made(each, simulator) for each in _library(small)]
    native = [_made(each, simulator) for each in _parametric(small)]
    state, answer = _state(2 if small else 14)
    provider = AerProvider()
    kept = []
    for method in ("automatic", "statevector", "matrix_product_state"):
        stage = Keeper()
        provider.seen(stage, AerSimulator(method=method))
        kept.append(stage.blobs[-1])
    names = SMALL if small else LARGE
    return Pool(circuits, native, answer, _made(state, None), kept, [Device(name) for name in names])


class Keeper:
    """A stage for blobs that are kept in memory, where nothing is known."""

    def __init__(self):
        self.blobs: list[Blob] = []

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        self.blobs.append(blob_of(kind, value, key))
        return link_to(self.blobs[-1])

    def find(self, key: bytes) -> None:
        return None

    def again(self, link: Link) -> bool:
        return False

    def gap(self, what: str, reason: str) -> None:
        raise AssertionError(f"{what}: {reason}")  # nothing in the pool has one


def _library(small: bool) -> list:
    """Circuits of all kinds, without free parameters, in the gates of a device."""
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit.library import QFTGate, efficient_su2, real_amplitudes
    from qiskit.quantum_info import random_clifford

    draw = numpy.random.default_rng(7)
    found = []

    def add(circuit, name):
        bound = circuit.assign_parameters(draw.uniform(-3, 3, circuit.num_parameters))
        bound.measure_all()
        bound = transpile(bound, basis_gates=["rz", "sx", "x", "cx"], optimization_level=0)
        bound.name = name
        found.append(bound)

    for size in (2, 3, 4) if small else (6, 8, 10, 12):
        ghz = QuantumCircuit(size)
        ghz.h(0)
        for qubit in range(1, size):
            ghz.cx(0, qubit)
        add(ghz, f"ghz_{size}")
        if not small or size < 4:
            fourier = QuantumCircuit(size)
            fourier.ry(0.4, 0)
            fourier.append(QFTGate(size), range(size))
            add(fourier.decompose(), f"qft_{size}")
            add(random_clifford(size, seed=size).to_circuit(), f"clifford_{size}")
        add(efficient_su2(size, reps=1 if small else 3, entanglement="linear"), f"su2_{size}")
        add(real_amplitudes(size, reps=1 if small else 4, entanglement="linear"), f"amplitudes_{size}")
        add(_ansatz(size, 1 if small else 3), f"qaoa_{size}")
    return found


def _parametric(small: bool) -> list:
    """Circuits for a device: of free parameters, and some of none."""
    from qiskit.circuit import Parameter
    from qiskit.circuit.library import efficient_su2, real_amplitudes

    found = []
    for size in (2, 3) if small else (5, 8, 12):
        for name, made in (("su2", efficient_su2), ("amplitudes", real_amplitudes)):
            circuit = made(size, reps=1 if small else 3, entanglement="linear")
            free = [Parameter(f"theta_{place:03d}", uuid=UUID(int=place)) for place in range(circuit.num_parameters)]
            circuit = circuit.assign_parameters(free)
            circuit.measure_all()
            circuit.name = f"{name}_{size}_free"
            found.append(circuit)
        found.append(next(each for each in _library(small) if each.name.startswith("ghz")))
    return found


def _ansatz(size: int, layers: int) -> Any:
    """A circuit as QAOA has it: a cost of each pair of neighbours, and a mixer."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    circuit = QuantumCircuit(size)
    circuit.h(range(size))
    for layer in range(layers):
        for qubit in range(size):
            circuit.rzz(Parameter(f"gamma_{layer}_{qubit}"), qubit, (qubit + 1) % size)
        for qubit in range(size):
            circuit.rx(Parameter(f"beta_{layer}_{qubit}"), qubit)
    return circuit


def _state(size: int) -> tuple[Any, dict]:
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

    circuit = QuantumCircuit(size, name="state")
    circuit.h(range(size))
    circuit.save_statevector()
    return circuit, _plain_dict(AerSimulator().run(circuit, seed_simulator=1).result())


def _made(circuit: Any, simulator: Any) -> Circuit:
    """A circuit as its provider stores it, with what `simulator` measures of it."""
    from qiskit import qasm2
    from qiskit.qasm2 import QASM2ExportError

    from qarchive.providers.qiskit.circuits import structure
    from qarchive.providers.qiskit.qpy import put_circuit

    stage = Keeper()
    put_circuit(stage, circuit, circuit.name)
    kept, payload = stage.blobs
    found, shape, value = structure(circuit), codec.decode(kept.data), codec.decode(payload.data)
    data = bytes(value["qpy"])
    floats = items(shape.get("floats", []))
    places: list[int] = []
    spots: dict[str, list[tuple[int, int]]] = {"<f8": [], ">f8": []}
    for angle in sorted(set(floats)) if not circuit.parameters else ():
        where = {form: _found(data, numpy.array(angle, form).tobytes()) for form in spots}
        if floats.count(angle) == 1 and any(where.values()):
            for form, found_at in where.items():
                spots[form] += [(at, len(places)) for at in found_at]
            places.append(floats.index(angle))
    written = [(form, *numpy.array(held).T) for form, held in spots.items() if held]
    states, chances, answer = numpy.array([0]), numpy.array([1.0]), {"header": {"memory_slots": 0}}
    if simulator is not None:
        bound = circuit.assign_parameters([0.7] * circuit.num_parameters)
        answer = _plain_dict(simulator.run(bound, shots=_SHOTS, seed_simulator=1).result())
        counts = answer["results"][0].pop("data")["counts"]
        states = numpy.array(sorted(int(state, 16) for state in counts))
        chances = numpy.array([counts[hex(state)] for state in states.tolist()]) / _SHOTS
        answer = {**answer["results"][0], "whole": {name: item for name, item in answer.items() if name != "results"}}
    try:
        text = "" if circuit.parameters else qasm2.dumps(circuit)
    except QASM2ExportError:
        text = ""
    names = [parameter.name for parameter in circuit.parameters]
    key = codec.encode(list(found.auto_names)) + found.identities
    return Circuit(circuit.name, shape, value, key, (kept, payload), text, numpy.array(places), written, states, chances,
                   answer, names)  # fmt: skip


def _plain_dict(result: Any) -> dict:
    """`Result.to_dict()` without objects of Qiskit's, which the processes that write need not load."""
    from qarchive.providers.qiskit.values import to_plain

    return to_plain(result.to_dict())


def _found(data: bytes, pattern: bytes) -> list[int]:
    spots, at = [], data.find(pattern)
    while at >= 0:
        spots.append(at)
        at = data.find(pattern, at + 1)
    return spots
