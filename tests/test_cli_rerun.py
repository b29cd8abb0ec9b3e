"""`qarchive rerun`, and `job.rerun(backend)` on other devices: what is run as it is, what is compiled anew, what is refused."""

import json

import click.testing
import pytest
from ibm_server import CRN, TOKEN, IBMServer, environment
from ibm_wire import API_PREFIX
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorSampler
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeLimaV2, FakeManilaV2

import qarchive
from qarchive import model
from qarchive.cli import main
from qarchive.errors import BadInput

NOT_FOR_LIMA = (
    "the circuit of this job: compiled for fake_manila, and fake_lima is another device; "
    '`job.attach("logical", circuit)` keeps the circuit to compile for another'
)


def ghz(measured=True):
    circuit = QuantumCircuit(3, name="ghz")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(0, 2)
    if measured:
        circuit.measure_all()
    return circuit


def compiled(circuit, device):
    return transpile(circuit, device, seed_transpiler=1)


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture(scope="module")
def lima():
    return FakeLimaV2()


@pytest.fixture(scope="module")
def manila():
    return FakeManilaV2()


def ran(archive, native):
    job = archive.record(native)
    job.wait()
    return job


def child_of(job, backend):
    """What came of running a job again."""
    child = job.rerun(backend)
    child.wait()
    assert (child.status, str(child.record["parent"])) == ("DONE", job.id)
    return child


def edges(job):
    """The pairs of qubits on which the one circuit of a job acts."""
    [circuit] = job.input if isinstance(job.input, list) else [job.input]
    pairs = (each.qubits for each in circuit.data if len(each.qubits) == 2 and each.name != "barrier")
    return {tuple(sorted(circuit.find_bit(qubit).index for qubit in pair)) for pair in pairs}


def run(archive, *arguments, code=0):
    archive.close()
    found = click.testing.CliRunner().invoke(main, ["--archive", str(archive.path), *arguments])
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout, found.stderr


# The command


def test_a_job_is_run_again_on_the_rebuilt_simulator_and_compared(archive):
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    job = ran(archive, archive.wrap(AerSimulator()).run(circuit, shots=100))
    out, err = run(archive, "rerun", job.id)
    child = archive.job("latest")
    assert (str(child.record["parent"]), err) == (job.id, "")
    assert out == (
        f"{child.id[:12]}\n"
        "result: equal\n"
        "  CIRCUIT  WHAT    VERDICT  P  DISTANCE  POOLED\n"
        "  0        counts  equal    1         0\n"
    )
    assert f"\nparent        job {job.id}\n" in run(archive, "show", child.id)[0]
    assert json.loads(run(archive, "show", child.id, "--json")[0])["parent"] == job.id
    found = json.loads(run(archive, "rerun", job.id, "--json", "--level", "0.1")[0])
    assert found["schema"] == "qarchive/rerun/1" and found["job"] == job.id and found["error"] is None
    assert found["child"] == {"id": archive.job("latest").id, "status": "DONE", "provider": "aer", "backend": "aer_simulator"}
    assert (found["result"]["verdict"], found["result"]["level"]) == ("equal", 0.1)


def test_noise_of_the_archived_day_brings_the_same_distribution(archive, manila):
    noisy = AerSimulator.from_backend(manila)
    job = ran(archive, archive.wrap(noisy).run(compiled(ghz(), noisy), shots=2000, seed_simulator=5))
    found = json.loads(run(archive, "rerun", job.id, "--json")[0])
    assert found["result"]["verdict"] == "equal"
    assert found["child"]["backend"] == "aer_simulator_from(fake_manila)"


def test_results_that_differ_end_with_exit_code_4(archive):
    """At a level of nearly 1 chance alone is a difference."""
    circuit = QuantumCircuit(6)
    circuit.h(range(6))
    circuit.measure_all()
    job = ran(archive, archive.wrap(AerSimulator()).run(circuit, shots=10_000))
    out, _ = run(archive, "rerun", job.id, "--level", "0.9999999", code=4)
    assert "result: differs at level 1 (p = " in out


def test_a_child_that_fails_ends_with_exit_code_9(archive):
    huge = QuantumCircuit(60)
    huge.h(range(60))
    huge.save_statevector()
    job = ran(archive, archive.wrap(AerSimulator()).run(huge, method="statevector"))
    out, err = run(archive, "rerun", job.id, code=9)
    child = archive.job("latest")
    assert out.splitlines()[:2] == [child.id[:12], "result: cannot be compared"]
    assert err == f"qarchive: job {child.id[:12]} ended as ERROR without a result: {child.error['message']}\n"
    assert child.status in model.TERMINAL


def test_a_device_by_name_needs_a_cloud(archive):
    job = ran(archive, archive.wrap(AerSimulator()).run(ghz(), shots=10))
    _, err = run(archive, "rerun", job.id, "--backend", "ibm_x", code=2)
    assert err == (
        f"qarchive: --backend ibm_x: job {job.id[:12]} ran on aer, which has no devices by name; "
        "leave it out, or give the backend in Python: `job.rerun(backend)`\n"
    )


# Other devices


def test_what_was_compiled_runs_on_its_device_and_on_simulators(archive, manila):
    job = ran(archive, archive.wrap(AerSimulator.from_backend(manila)).run(compiled(ghz(), manila), shots=50))
    for backend in (manila, AerSimulator(), BasicSimulator(), AerSimulator.from_backend(manila)):
        child = child_of(job, backend)
        assert child.record["input"] == job.record["input"]


def test_another_device_needs_the_logical_circuit(archive, manila, lima):
    job = ran(archive, archive.wrap(manila).run(compiled(ghz(), manila), shots=2000))
    with pytest.raises(BadInput) as caught:
        job.rerun(lima)
    assert str(caught.value) == NOT_FOR_LIMA
    assert len(archive.jobs()) == 1
    job.attach("logical", ghz())
    child = child_of(job, lima)
    assert child.backend == "fake_lima" and edges(child) <= {(0, 1), (1, 2), (1, 3), (3, 4)}
    assert sum(child.counts()[state] for state in ("000", "111")) > 1200
    assert archive.diff(job, child).backend.differs


def test_every_circuit_needs_a_logical_one(archive, manila, lima):
    job = ran(archive, archive.wrap(manila).run([compiled(ghz(), manila)] * 2, shots=10))
    with pytest.raises(BadInput) as caught:
        job.rerun(lima)
    assert str(caught.value) == NOT_FOR_LIMA.replace("the circuit of", "the circuits of")
    job.attach("logical", ghz())
    with pytest.raises(BadInput) as caught:
        job.rerun(lima)
    assert str(caught.value) == (
        'the attachment "logical": it holds 1, and the job ran 2; attach a circuit for each, in order, as a list'
    )
    job.attach("logical", [ghz(), ghz()])
    assert len(child_of(job, lima).data()) == 2


def test_circuits_of_a_plain_simulator_are_compiled_for_a_device(archive, lima):
    job = ran(archive, archive.wrap(AerSimulator()).run(ghz(), shots=100))
    child = child_of(job, lima)
    assert edges(child) <= {(0, 1), (1, 2), (1, 3), (3, 4)}
    simple = QuantumCircuit(1, 1)
    simple.x(0)
    simple.measure(0, 0)
    job = ran(archive, archive.wrap(AerSimulator()).run(simple, shots=100))
    assert child_of(job, lima).record["input"] == job.record["input"]  # it runs there as it is


def test_pubs_keep_their_parameter_values(archive, manila, lima):
    theta = Parameter("theta")
    turned = QuantumCircuit(1)
    turned.ry(theta, 0)
    turned.measure_all()
    sampler = archive.wrap(BackendSamplerV2(backend=manila))
    job = ran(archive, sampler.run([(compiled(turned, manila), [3.14159265])], shots=500))
    with pytest.raises(BadInput) as caught:
        job.rerun(lima)
    assert str(caught.value) == NOT_FOR_LIMA
    job.attach("logical", turned)
    assert child_of(job, lima).counts()["1"] > 400
    job.attach("logical", turned.assign_parameters({theta: Parameter("phi")}))
    with pytest.raises(BadInput) as caught:
        job.rerun(lima)
    assert str(caught.value) == (
        'the attachment "logical": has the parameters phi, and the job was run with values of the parameters theta; '
        "attach a circuit with the same parameters"
    )


def test_observables_follow_the_layout_and_are_not_laid_out_twice(archive, manila, lima):
    free = archive.wrap(BackendEstimatorV2(backend=AerSimulator()))
    job = ran(archive, free.run([(ghz(False), ["ZZI", "XXX"])], precision=0.05))
    child = child_of(job, lima)
    assert all(value > 0.5 for value in child.data()[0]["evs"].tolist())
    placed = compiled(ghz(False), manila)
    on_device = archive.wrap(BackendEstimatorV2(backend=manila))
    job = ran(archive, on_device.run([(placed, SparsePauliOp("ZZI").apply_layout(placed.layout))], precision=0.1))
    job.attach("logical", ghz(False))
    with pytest.raises(BadInput) as caught:
        job.rerun(lima)
    assert str(caught.value) == (
        "the observables of this job: they are laid out as its circuit is on fake_manila; run an estimator of your own with them"
    )


def test_a_primitive_without_a_backend_runs_anything(archive, manila):
    job = ran(archive, archive.wrap(BackendSamplerV2(backend=manila)).run([compiled(ghz(), manila)], shots=100))
    assert set(child_of(job, StatevectorSampler(seed=1)).counts()) == {"000", "111"}


# A live device


@pytest.mark.filterwarnings("ignore:The SamplerV2 class is deprecated")
def test_a_job_is_sent_to_a_device_of_its_cloud(tmp_path, monkeypatch):
    with IBMServer(seed=1) as server, qarchive.open(tmp_path / "lab") as archive:
        account = {"QISKIT_IBM_TOKEN": TOKEN, "QISKIT_IBM_URL": server.address + API_PREFIX, "QISKIT_IBM_INSTANCE": CRN}
        for name, value in (environment(server.address) | account).items():
            monkeypatch.setenv(name, value)

        def command(*words):
            archive.flush()
            found = click.testing.CliRunner().invoke(main, ["--archive", str(archive.path), "rerun", *words])
            return found.exit_code, found.stdout, [line for line in found.stderr.splitlines() if "warning" not in line]

        service = archive.wrap(server.service())
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        native = SamplerV2(mode=service.backend("ibm_alpha")).run([compiled(circuit, service.backend("ibm_alpha"))], shots=8)
        server.wait(native.job_id())
        native.result()
        job = archive.job(native.job_id())

        code, out, errors = command(job.id, "--backend", "ibm_alpha", "--wait")
        child = archive.job("latest")
        assert (code, errors, str(child.record["parent"]), child.backend, child.kind) == (0, [], job.id, "ibm_alpha", "qpu")
        assert out == (
            f"{child.id[:12]}\n"
            "result: equal\n"
            "  CIRCUIT  WHAT    VERDICT  P  DISTANCE  POOLED\n"
            "  0        counts  equal    1         0\n"
        )
        with pytest.raises(BadInput) as caught:
            job.rerun(service.backend("ibm_beta"))
        assert str(caught.value) == NOT_FOR_LIMA.replace("fake_manila", "ibm_alpha").replace("fake_lima", "ibm_beta")
        assert len(server.jobs) == 2
        job.attach("logical", circuit)
        server.hold()
        code, out, errors = command(job.id, "--backend", "ibm_beta")
        child = archive.job("latest")
        assert (code, out, child.backend, child.status) == (0, f"{child.id[:12]}\n", "ibm_beta", "QUEUED")
        [line] = errors
        assert line == (
            f"qarchive: job {child.id[:12]} was sent; `qarchive sync` brings its result, and "
            f"`qarchive diff {job.id[:12]} {child.id[:12]}` compares them"
        )


def test_what_a_fake_device_ran_whatever_its_gates_it_runs_again(archive):
    job = ran(archive, archive.wrap(FakeManilaV2()).run(ghz(), shots=100, seed_simulator=3))  # h is none of its gates
    again = job.rerun(FakeManilaV2())
    again.wait()
    assert (again.status, again.record["input"]) == ("DONE", job.record["input"])
    with pytest.raises(BadInput) as caught:
        job.rerun(FakeLimaV2())
    assert str(caught.value) == NOT_FOR_LIMA
