"""Qiskit Aer: the conformance suite on the real simulator, and what is Aer's own."""

import threading

import conformance
import pytest
from conformance import bell
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.providers import JobStatus
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.jobs import utils
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import qarchive


def noise():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.02, 1), ["h", "x"])
    model.add_quantum_error(depolarizing_error(0.05, 2), "cx", [0, 1])
    model.add_all_qubit_readout_error(ReadoutError([[0.97, 0.03], [0.08, 0.92]]))
    return model


def saving():
    """A circuit that saves everything Aer can save from a statevector."""
    circuit = QuantumCircuit(2, 2, name="saving")
    circuit.h(0)
    circuit.save_statevector("sv", pershot=False)
    circuit.save_density_matrix(label="rho")
    circuit.save_probabilities(label="p")
    circuit.save_probabilities_dict(label="pd")
    circuit.save_amplitudes([0, 3], label="amp")
    circuit.save_amplitudes_squared([0, 3], label="amp2")
    circuit.save_expectation_value(SparsePauliOp(["ZZ", "XX"]), [0, 1], label="ev")
    circuit.save_expectation_value_variance(SparsePauliOp(["ZZ"]), [0, 1], label="evv")
    circuit.measure(0, 0)
    circuit.save_statevector("each", pershot=True)
    circuit.save_statevector("cond", conditional=True)
    circuit.save_density_matrix(label="cond_rho", conditional=True)
    circuit.measure([0, 1], [0, 1])
    return circuit


def single(method, *saves):
    circuit = QuantumCircuit(2, name=method)
    circuit.h(0)
    circuit.cx(0, 1)
    for save in saves:
        getattr(circuit, save)()
    return [circuit], {"seed_simulator": 3, "method": method}


class TestAer(conformance.AcrossProcesses, conformance.QiskitConformance):
    provider = "aer"
    setup = """
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
target = AerSimulator()
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
def call(target):
    target.run(circuit, shots=100, seed_simulator=1)
"""

    def target(self):
        return AerSimulator()

    def calls(self):
        theta = Parameter("θ")
        turned = QuantumCircuit(1, name="turned")
        turned.rx(theta, 0)
        turned.measure_all()
        dynamic = QuantumCircuit(2, 2, name="dynamic")
        dynamic.h(0)
        dynamic.measure(0, 0)
        with dynamic.if_test((dynamic.clbits[0], 1)):
            dynamic.x(1)
        dynamic.measure(1, 1)
        return [
            ("counts", (bell(),), {"shots": 200, "seed_simulator": 1}),
            ("memory", (bell(),), {"shots": 50, "seed_simulator": 1, "memory": True}),
            ("a list", ([bell("a", who="me", when=(1, 2)), bell("b")],), {"shots": 20, "seed_simulator": 2}),
            ("parameter binds", (turned, [{theta: [0.1, 0.2, 0.3]}]), {"shots": 30, "seed_simulator": 4}),
            ("noise", (bell(),), {"shots": 100, "seed_simulator": 5, "noise_model": noise()}),
            ("saves", (saving(),), {"shots": 4, "seed_simulator": 6}),
            ("unitary", *map_call(single("unitary", "save_unitary"))),
            ("superop", *map_call(single("superop", "save_superop"))),
            ("stabilizer", *map_call(single("stabilizer", "save_stabilizer", "save_clifford"))),
            ("mps", *map_call(single("matrix_product_state", "save_matrix_product_state"))),
            ("density matrix", *map_call(single("density_matrix", "save_state"))),
            ("control flow", (dynamic,), {"shots": 40, "seed_simulator": 7}),
        ]

    def other_targets(self):
        return {"noise": AerSimulator(noise_model=noise()), "method": AerSimulator(method="density_matrix")}

    def failing(self):
        too_large = QuantumCircuit(60)
        too_large.h(range(60))
        too_large.measure_all()
        unbound = QuantumCircuit(1, 1)
        unbound.rx(Parameter("x"), 0)
        unbound.measure(0, 0)
        return ((unbound,), {"shots": 1}), ((too_large,), {"shots": 1, "method": "statevector"})

    def test_aers_own_job_after_a_failure(self, archive):
        _, (args, kwargs) = self.failing()
        job = archive.wrap(self.target()).run(*args, **kwargs)
        job.result()
        assert job.status() == JobStatus.DONE  # what Aer says, and why the archive looks at the result
        assert archive.job("latest").status == "ERROR"
        assert archive.job("latest").native().status() == JobStatus.ERROR


def map_call(call):
    args, kwargs = call
    return tuple(args), kwargs | {"shots": 1}


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "archive") as archive:
        yield archive


def test_options_of_the_backend_and_of_the_run_are_all_kept(archive):
    backend = archive.wrap(AerSimulator(method="density_matrix", max_parallel_threads=1, noise_model=noise()))
    backend.run(bell(), shots=11, seed_simulator=8, memory=True).result()
    job = archive.job("latest")
    assert job.config["options"] == {"shots": 11, "seed_simulator": 8, "memory": True}
    assert job.shots == 11
    options = job.backend_snapshot["options"]
    assert (options["method"], options["max_parallel_threads"]) == ("density_matrix", 1)


def test_an_option_set_in_between_is_noticed(archive):
    backend = archive.wrap(AerSimulator())
    snapshots = []
    for method in ("statevector", "density_matrix", "density_matrix"):
        backend.set_options(method=method)
        backend.run(bell(), shots=1).result()
        snapshots.append(archive.job("latest").backend_snapshot)
    assert snapshots[0] != snapshots[1] == snapshots[2]


def test_a_noise_model_that_grew_is_noticed_and_comes_back_equal(archive):
    model = noise()
    backend = archive.wrap(AerSimulator(noise_model=model))
    backend.run(bell(), shots=1).result()
    first = archive.job("latest").backend_snapshot
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["sx"])
    backend.run(bell(), shots=1).result()
    assert archive.job("latest").backend_snapshot != first


def test_a_circuit_changed_after_its_run_is_archived_as_it_ran(archive):
    circuit = bell()
    job = archive.wrap(AerSimulator()).run(circuit, shots=1)
    circuit.x(0)
    job.result()
    assert archive.job("latest").input == bell()


def test_transpiled_circuits_come_back_with_their_layout(archive):
    from qiskit.providers.fake_provider import GenericBackendV2

    fake = GenericBackendV2(5, seed=1)
    backend = archive.wrap(AerSimulator.from_backend(fake))
    circuit = transpile(bell(), backend, seed_transpiler=1, initial_layout=[3, 4])
    backend.run(circuit, shots=100, seed_simulator=1).result()
    back = archive.job("latest").input
    assert back == circuit
    assert back.layout.final_index_layout() == circuit.layout.final_index_layout()


def test_what_cannot_be_stored_of_the_metadata_is_a_gap_and_the_run_goes_on(archive):
    circuit = bell()
    circuit.metadata = {"class": AerSimulator, "kept": 1}
    with pytest.warns(qarchive.ArchiveWarning, match="metadata"):
        archive.wrap(AerSimulator()).run(circuit, shots=1).result()
    job = archive.job("latest")
    assert job.status == "DONE"
    assert job.input.metadata == {"kept": 1}
    assert any("metadata" in gap["what"] and "class" in gap["what"] for gap in job.gaps)


def test_a_job_cancelled_in_the_queue_is_cancelled(archive):
    ahead = threading.Event()  # Aer runs one job at a time, and this one waits for us
    utils.DEFAULT_EXECUTOR.submit(ahead.wait)
    job = archive.wrap(AerSimulator()).run(bell(), shots=1)
    assert job.cancel()
    ahead.set()
    assert archive.job("latest").status == "CANCELLED"


def test_primitives_over_a_wrapped_backend_are_archived(archive):
    from qiskit.primitives import BackendSamplerV2

    sampler = BackendSamplerV2(backend=archive.wrap(AerSimulator()), options={"seed_simulator": 1})
    counts = sampler.run([bell()], shots=100).result()[0].data.c.get_counts()
    assert archive.job("latest").counts() == counts


def test_seeded_counts_of_the_input_that_comes_back_are_the_same(archive):
    result = archive.wrap(AerSimulator()).run(saving(), shots=4, seed_simulator=6).result()
    again = AerSimulator().run(archive.job("latest").input, shots=4, seed_simulator=6).result()
    conformance.same(conformance.strip(again.to_dict()), conformance.strip(result.to_dict()))


def test_counts_are_written_as_qiskit_writes_them(archive):
    from qiskit import ClassicalRegister, QuantumRegister

    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.x([0, 2])
    circuit.measure([0, 1, 2], [0, 1, 2])
    counts = archive.wrap(AerSimulator()).run([circuit, bell()], shots=10, seed_simulator=1).result().get_counts()
    job = archive.job("latest")
    assert [job.counts(0), job.counts(1)] == [dict(c) for c in counts]
    with pytest.raises(qarchive.errors.BadInput):
        job.counts(2)


def test_aers_own_instructions_stand_in_comments_of_the_text(archive):
    circuit = QuantumCircuit(2, 1, name="text")
    circuit.h(0)
    circuit.save_statevector(label="a\nb")
    circuit.measure(0, 0)
    archive.wrap(AerSimulator()).run([circuit, conditional()], shots=1).result()
    plain, dynamic = archive.job("latest").text()
    assert plain.splitlines()[4:] == ["h q[0];", '// save_statevector "a\\nb" q[0], q[1]', "c[0] = measure q[0];"]
    assert dynamic.startswith('// left out: save_statevector "sv"\nOPENQASM 3') and "if (c[0])" in dynamic


def conditional():
    circuit = QuantumCircuit(1, 1, name="conditional")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.save_statevector(label="sv")
    return circuit


@pytest.mark.parametrize("odd", ["surrogate", "cyclic", "deep"])
def test_metadata_that_cannot_be_written_are_a_gap_and_take_nothing_with_them(archive, odd):
    item = inner = {}
    if odd == "cyclic":
        item["me"] = item
    for _ in range(400 if odd == "deep" else 0):
        inner["x"] = inner = {}
    circuit = bell()
    circuit.metadata = {"good": 1, "odd": "\ud800" if odd == "surrogate" else item}
    with pytest.warns(qarchive.ArchiveWarning, match="odd.* is not archived"):
        result = archive.wrap(AerSimulator()).run(circuit, shots=10, seed_simulator=1).result()
        archive.flush()
    job = archive.job("latest")
    assert job.status == "DONE"
    assert job.input.metadata["good"] == 1
    assert job.result().get_counts() == result.get_counts()
    assert job.result().results[0].header["metadata"]["good"] == 1
    assert {gap["what"].partition(".metadata")[0] for gap in job.gaps} == {"input", "result.results.0.header"}
