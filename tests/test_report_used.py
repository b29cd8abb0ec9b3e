"""Which qubits a job used is said where its circuits tell, and nothing is claimed where they do not."""

import pytest
import qiskit
from qiskit.primitives import BackendSamplerV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerError, AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive.report.used import qubits

LINE = [[0, 1], [1, 2], [2, 3], [3, 4]]


def pair(width, one, other, name="pair"):
    circuit = qiskit.QuantumCircuit(width, 1, name=name)
    circuit.x(one)
    circuit.cx(one, other)
    circuit.barrier()
    circuit.delay(10, range(width))
    circuit.measure(other, 0)
    return circuit


def inside():
    """Qubits that are used in a definition, in both blocks of a condition, and in a gate of three qubits."""
    inner = qiskit.QuantumCircuit(3, name="inner")
    inner.cx(2, 0)
    circuit = qiskit.QuantumCircuit(5, 1)
    circuit.append(inner.to_instruction(), [1, 2, 3])
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(3)
    with otherwise:
        circuit.cz(4, 3)
    return circuit


def generic():
    return GenericBackendV2(5, coupling_map=LINE, seed=1, noise_info=True, control_flow=True)


CASES = {
    "a simulator of a device": (lambda: AerSimulator.from_backend(FakeManilaV2()), pair(3, 2, 1), {1, 2, (1, 2)}),
    "a fake device": (FakeManilaV2, pair(3, 0, 1), {0, 1, (0, 1)}),
    "a circuit as wide as the device": (generic, pair(5, 4, 3), {3, 4, (3, 4)}),
    "a circuit that is not": (generic, pair(3, 0, 1), None),
    "the union of several": (generic, [pair(5, 4, 3), pair(5, 0, 1)], {0, 1, 3, 4, (0, 1), (3, 4)}),
    "several of which one is not": (generic, [pair(5, 4, 3), pair(2, 0, 1)], None),
}


@pytest.mark.parametrize("case", CASES)
def test_used_qubits_are_those_of_the_circuits(tmp_path, case):
    backend, circuit, used = CASES[case]
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(backend()).run(circuit, shots=10).result()
        assert qubits(archive.job("latest"), 5) == used


def test_what_stands_in_definitions_and_blocks_counts(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        with pytest.raises(AerError, match="unknown instruction: inner"):
            archive.wrap(AerSimulator.from_backend(generic())).run(inside()).result()
        assert qubits(archive.job("latest"), 5) == {0, 1, 3, 4, (1, 3), (3, 4)}


def test_saved_states_use_no_qubit(tmp_path):
    circuit = qiskit.QuantumCircuit(5)
    circuit.x(2)
    circuit.save_statevector()
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator.from_backend(FakeManilaV2(), noise_model=None)).run(circuit).result()
        assert qubits(archive.job("latest"), 5) == {2}


def test_primitives_run_circuits_of_the_whole_device_where_they_stand(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        sampler = archive.wrap(BackendSamplerV2(backend=generic()))
        for circuit in (pair(5, 3, 4), pair(2, 0, 1)):
            sampler.run([circuit], shots=10).result()
        small, whole = archive.jobs()
        assert qubits(whole, 5) == {3, 4, (3, 4)} and qubits(small, 5) is None


class Made:
    """A job with an input of a stranger's."""

    provider, record, backend_snapshot = "aer", {"input": "input"}, None

    def __init__(self, held):
        self.get = {"input": held, "c": {"qubits": 2, "ops": [["x", 1, 0, ""]], "index": [0, 7], "qargs": [0]}}.__getitem__


@pytest.mark.parametrize(
    "held",
    [
        None, [], {}, {"type": "missing"}, {"type": "qiskit.v1", "circuits": []}, {"type": "qiskit.circuits"},
        {"type": "qiskit.circuits", "circuits": [{}]}, {"type": "qiskit.circuits", "circuits": [{"circuit": "c"}]},
    ],
)  # fmt: skip
def test_of_an_input_of_another_shape_nothing_is_known(held):
    assert qubits(Made(held), 5) is None
