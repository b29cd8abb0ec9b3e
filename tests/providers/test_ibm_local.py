"""IBM's primitives in local mode, on backends that run here: the conformance suite, and what is theirs alone."""

import warnings

import conformance
import pytest
from conformance import bell, same, settled, unfolded
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_ibm_runtime import Batch, EstimatorV2, Executor, QiskitRuntimeService, QuantumProgram, SamplerV2, Session
from qiskit_ibm_runtime.executor_sampler import Sampler as ClientSampler
from qiskit_ibm_runtime.fake_provider import FakeManilaV2, local_service
from qiskit_ibm_runtime.fake_provider.local_runtime_job import LocalRuntimeJob

import qarchive
from qarchive.errors import BadInput

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]
THETA = Parameter("θ")


def made(name="bell", measured=True, flipped=False, **metadata):
    """In the gates of the device."""
    circuit = QuantumCircuit(5, 2, name=name, metadata=metadata)
    if flipped:
        circuit.x(0)
    circuit.sx(0)
    circuit.cx(0, 1)
    if measured:
        circuit.measure([0, 1], [0, 1])
    return circuit


def turned(measured=True):
    circuit = made("turned", measured=False)
    circuit.rz(THETA, 0)
    if measured:
        circuit.measure([0, 1], [0, 1])
    return circuit


class Local(conformance.PrimitiveConformance):
    provider = "ibm_local"
    at_exit = ("DONE", "ERROR")  # Aer hands its work to a thread, which the interpreter no longer allows once it ends
    what: str

    @property
    def setup(self):
        pub = "circuit" if self.what == "SamplerV2" else "circuit.remove_final_measurements(inplace=False), 'IIIZZ'"
        return f"""
import warnings
warnings.simplefilter("ignore")
from qiskit import QuantumCircuit
from qiskit_ibm_runtime import {self.what}
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
target = {self.what}(FakeManilaV2())
circuit = QuantumCircuit(5)
circuit.sx(0)
circuit.cx(0, 1)
circuit.measure_all()
def call(target):
    target.run([({pub},)])
"""

    def device(self):
        return settled(FakeManilaV2())

    def backend_name(self):
        return "fake_manila"

    def failing(self):
        return None, None

    def senders(self):
        return [(local_service.BackendSamplerV2, "run"), (local_service.BackendEstimatorV2, "run")]

    def target(self):
        return self.seeded(1)

    def other_targets(self):
        return {"seed": self.seeded(3)}

    def test_a_forked_child_records_for_itself(self, archive):
        """Aer hangs in the child of a process whose threads have run it, with and without an archive."""

    def test_recording_a_job_twice_is_recording_it_once(self, archive):
        _, args, kwargs = self.calls()[0]
        self.expected_warnings = ["config.inputs.options is not archived: the job does not keep them"]
        bare = self.target().run(*args, **kwargs)
        first = archive.record(bare)
        assert archive.record(bare) == first
        wrapped = archive.wrap(self.target()).run(*args, **kwargs)
        assert archive.record(wrapped) == archive.job("latest")
        assert len(archive.jobs()) == 2
        self.same_result(first.result(wait=True), bare.result())
        self.same_input(first.input, archive.record(wrapped).input)
        assert [gap["what"] for gap in first.gaps] == ["config.inputs.options"]


class TestSampler(conformance.AcrossProcesses, Local):
    what = "SamplerV2"

    def seeded(self, seed):
        return SamplerV2(self.device(), options={"simulator": {"seed_simulator": seed}, "default_shots": 11})

    def other_input(self):
        return ([(made(flipped=True),)],), {"shots": 20}

    def coerced(self, pubs):
        return [SamplerPub.coerce(pub, pub.shots if isinstance(pub, SamplerPub) else 20) for pub in pubs]

    def calls(self):
        return [
            ("a circuit", ([(made(),)],), {"shots": 20}),
            ("two", ([made("a", who="me", when=(1, 2)), (made("b"), None, 20)],), {"shots": 20}),
            ("a sweep", ([(turned(), [[0.1], [0.2]]), (turned(), [0.3])],), {"shots": 20}),
        ]


class TestEstimator(Local):
    what, reading = "EstimatorV2", "data"

    def seeded(self, seed):
        return EstimatorV2(self.device(), options={"simulator": {"seed_simulator": seed}})

    def other_input(self):
        return ([(made(measured=False), "IIIZX")],), {"precision": 0.1}

    def coerced(self, pubs):
        return [EstimatorPub.coerce(pub, pub.precision if isinstance(pub, EstimatorPub) else 0.1) for pub in pubs]

    def calls(self):
        weighted = SparsePauliOp(["IIIZZ", "IIIXX"], [0.5, -1.5])
        return [
            ("an observable", ([(made(measured=False), weighted)],), {"precision": 0.1}),
            ("a sweep", ([(turned(False), [[weighted], [SparsePauliOp("IIIII")]], [[0.1], [0.2]])],), {"precision": 0.1}),
        ]


@pytest.fixture
def archive(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        with qarchive.open(tmp_path / "lab") as archive:
            yield archive


def seeded(mode, **options):
    return SamplerV2(mode, options={"simulator": {"seed_simulator": 1}, **options})


def test_sessions_and_batches_of_local_mode_record_too(archive):
    device = FakeManilaV2()
    for number, mode in enumerate((device, Session(device), Batch(device)), 1):
        archive.wrap(seeded(mode)).run([made()], shots=10).result()
        assert [job.status for job in archive.jobs()] == ["DONE"] * number
    with pytest.raises(BadInput, match="a Session in local mode: it runs nothing by itself; wrap a primitive"):
        archive.wrap(Session(device))


def test_options_and_noise_models_stand_in_the_config(archive):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), "sx")
    sampler = SamplerV2(AerSimulator(), options={"default_shots": 12, "simulator": {"noise_model": model, "seed_simulator": 3}})
    result = archive.wrap(sampler).run([bell()]).result()
    job = archive.job("latest")
    assert (job.shots, job.backend, job.gaps) == (12, "aer_simulator", [])
    assert job.config["program"] == "sampler"
    assert job.config["inputs"]["options"]["simulator"]["seed_simulator"] == 3
    again = job.rerun(AerSimulator())
    same(unfolded(again.result(wait=True)), unfolded(result))


def test_a_quantum_program_is_recorded_and_comes_back(archive):
    device = FakeManilaV2()
    program = QuantumProgram(shots=32)
    program.append_circuit_item(transpile(bell(), device))
    native = archive.wrap(Executor(device)).run(program)
    result = native.result()
    job = archive.job("latest")
    assert (job.status, job.shots, job.config["program"], job.gaps) == ("DONE", 32, "executor", [])
    assert (job.input.shots, len(job.input.items)) == (32, 1)
    again = job.result()
    assert type(again) is type(result) and len(again) == len(result)
    assert {name: array.tolist() for name, array in again[0].items()} == {
        name: array.tolist() for name, array in result[0].items()
    }
    assert job.rerun().result(wait=True)[0].keys() == result[0].keys()


def test_the_client_side_sampler_is_one_record(archive):
    device = FakeManilaV2()
    result = archive.wrap(ClientSampler(device)).run([transpile(bell(), device)], shots=16).result()
    (job,) = archive.jobs()
    assert (job.status, job.config["program"]) == ("DONE", "executor")
    same(job.result()[0].data.c.get_counts(), result[0].data.c.get_counts())
    assert job.counts() == result[0].data.c.get_counts()


def test_a_job_offline_has_the_interface_of_a_local_one(archive):
    native = archive.wrap(seeded(FakeManilaV2())).run([made()], shots=10)
    result = native.result()
    offline = archive.job("latest").native()
    assert isinstance(native, LocalRuntimeJob)
    assert (offline.job_id(), offline.status()) == (native.job_id(), native.status())
    same(unfolded(offline.result()), unfolded(result))
    assert isinstance(offline, LocalRuntimeJob)
    assert (offline.primitive_id, offline.backend().name, offline.usage()) == ("sampler", "fake_manila", 0)
    assert [pub.shots for pub in offline.inputs["pubs"]] == [10]
    assert offline.properties().to_dict() == native.properties().to_dict()
    assert abs(offline.creation_date - native.creation_date).total_seconds() < 5
    with pytest.raises(Exception, match="cannot be cancelled"):
        offline.cancel()


def test_a_device_is_rebuilt_and_the_job_run_again(archive):
    native = archive.wrap(seeded(FakeManilaV2())).run([made()], shots=200)
    result = native.result()
    job = archive.job("latest")
    again = job.rerun()
    same(unfolded(again.result(wait=True))["results"], unfolded(result)["results"])


def test_autolog_records_each_local_run_once(archive):
    device = FakeManilaV2()
    qarchive.autolog(archive)
    try:
        seeded(device).run([made()], shots=10).result()
        assert [(job.provider, job.status) for job in archive.jobs()] == [("ibm_local", "DONE")]
        service = QiskitRuntimeService(channel="local")
        EstimatorV2(service.backend("fake_manila")).run([(made(measured=False), SparsePauliOp("IIIZZ"))]).result()
        assert [(job.provider, job.status) for job in archive.jobs()] == [("ibm_local", "DONE")] * 2
        device.run(made(), shots=5).result()
        assert [job.provider for job in archive.jobs()] == ["qiskit", "ibm_local", "ibm_local"]
    finally:
        qarchive.autolog(False)
    seeded(device).run([made()], shots=10).result()
    assert len(archive.jobs()) == 3


def test_a_failed_local_run_is_an_error(archive):
    circuit = QuantumCircuit(60, name="large")
    circuit.h(range(60))
    circuit.append(QuantumCircuit(1, name="unheard").to_gate(), [0])
    circuit.measure_all()
    native = archive.wrap(seeded(AerSimulator())).run([circuit], shots=1)
    with pytest.raises(Exception) as caught:
        native.result()
    job = archive.job("latest")
    assert (job.status, job.error) == ("ERROR", {"type": type(caught.value).__name__, "message": str(caught.value)})
