"""What results are of is read without an SDK: parameter values and observables, each with the results that are its own."""

import subprocess
import sys

import numpy
import perceval as pcvl
import pytest
from perceval.algorithm import Sampler
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

import qarchive
from qarchive.outcomes import Points

THETA, PHI = Parameter("θ"), Parameter("φ")


def turned(name="turned"):
    circuit = QuantumCircuit(2, name=name)
    circuit.ry(THETA, 0)
    circuit.rx(PHI, 1)
    return circuit


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as opened:
        yield opened


def test_values_and_observables_of_pubs_are_those_of_qiskit(archive):
    values = numpy.arange(10).reshape(5, 2) / 7
    observables = [["ZZ"], [SparsePauliOp(["XI", "IY"], [0.5, -1])], ["II"]]
    archive.wrap(StatevectorEstimator(seed=1)).run([(turned(), observables, values), (turned(), "ZI", [1, 2])]).result()
    job = archive.job("latest")
    several, one = job.points()
    evs = job.result()[0].data.evs
    assert several.shape == evs.shape == (3, 5) and several.sets == (5,) and several.observed == (3, 1)
    names = [parameter.name for parameter in turned().parameters]
    assert [several.at(place) for place in range(15)] == [dict(zip(names, values[place % 5])) for place in range(15)]
    assert [several.observables[several.observed_at(place)] for place in (0, 5, 14)] == ["ZZ", "-IY + 0.5 XI", "II"]
    assert several.varying == names
    assert one == Points(1, (), {names[0]: [1.0], names[1]: [2.0]}, (), ["ZI"], ())


def test_an_observable_of_many_qubits_names_them_and_one_of_many_terms_is_cut():
    from qarchive.providers.qiskit.containers import pub_to_plain
    from qarchive.providers.qiskit.points import _observables

    def text(observable, qubits):
        from qiskit.primitives.containers.estimator_pub import EstimatorPub

        return _observables(pub_to_plain(EstimatorPub.coerce((QuantumCircuit(qubits), observable)))["observables"])

    assert text(SparsePauliOp.from_sparse_list([("ZX", [3, 40], 1)], 50), 50) == ["Z3 X40"]
    assert text(SparsePauliOp("I" * 20), 20) == ["I"]
    many = SparsePauliOp([format(i, "04b").replace("0", "I").replace("1", "Z") for i in range(10)])
    assert text(many, 4)[0].endswith(" + 4 more terms") and text(many, 4)[0].count(" + ") == 6


def test_what_a_backend_bound_stands_with_each_of_its_results(archive):
    circuits = [turned("one"), turned("two")]
    for circuit in circuits:
        circuit.measure_all()
    binds = [{THETA: [0.0, 1.0, 2.0], PHI: [0.5, 0.5, 0.5]}, {THETA: list(numpy.linspace(0, 1, 2)), PHI: [0.1, 0.2]}]
    circuits = transpile(circuits, basis_gates=["ry", "rx"])
    archive.wrap(AerSimulator()).run(circuits, parameter_binds=binds, shots=10).result()
    job = archive.job("latest")
    assert len(job.points()) == len(job.data()) == 5
    assert [points.circuit for points in job.points()] == [0, 0, 0, 1, 1]
    assert [points.at(0) for points in job.points()][2:4] == [{"θ": 2.0, "φ": 0.5}, {"θ": 0.0, "φ": 0.1}]
    together = Points.together(job.points()[:3])
    assert together.shape == (3,) and together.varying == ["θ"]


def test_plain_circuits_have_none(archive):
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    archive.wrap(AerSimulator()).run(circuit, shots=10).result()
    assert archive.job("latest").points() == []
    archive.wrap(StatevectorSampler()).run([circuit], shots=10).result()
    assert archive.job("latest").points() == []


def test_iterations_of_perceval_have_what_each_of_them_changes(archive):
    experiment = pcvl.Circuit(2) // pcvl.BS() // (0, pcvl.PS(pcvl.P("phi"))) // pcvl.BS()
    processor = pcvl.Processor("SLOS", experiment)
    processor.min_detected_photons_filter(1)
    sampler = Sampler(archive.wrap(processor), max_shots_per_call=100)
    for phi in (0.0, 0.5):
        sampler.add_iteration(circuit_params={"phi": phi}, input_state=pcvl.BasicState([1, 0]))
    sampler.sample_count(50)
    job = archive.job("latest")
    assert [points.at(0) for points in job.points()] == [{"phi": phi, "input_state": "|1,0>"} for phi in (0.0, 0.5)]
    assert len(job.data()) == 2


def test_states_and_memory_are_numbers_and_texts_and_the_order_of_bits_is_said(archive):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.save_statevector()
    circuit.measure([0, 1], [0, 1])
    result = archive.wrap(AerSimulator()).run(circuit, shots=20, memory=True).result()
    job = archive.job("latest")
    (data,) = job.data()
    assert data["memory"] == result.get_memory() and data["counts"] == result.get_counts()
    assert numpy.asarray(data["statevector"]).tolist() == result.get_statevector().data.tolist()
    assert job.order == "bit 0 is the rightmost"


def test_points_need_no_sdk(archive):
    archive.wrap(StatevectorEstimator(seed=1)).run([(turned(), "ZZ", [[1, 2], [3, 4]])]).result()
    archive.flush()
    code = (
        "import sys, qarchive\n"
        f"job = qarchive.open({str(archive.path)!r}, create=False).job('latest')\n"
        "print(job.points()[0].observables, len(job.data()[0]['evs'].flat()))\n"
        "assert not {'qiskit', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['ZZ'] 2\n"
