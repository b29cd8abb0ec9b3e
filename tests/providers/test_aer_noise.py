"""Noise models without loss, and the snapshots of backends that hold them."""

import copy
import gc
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit import QuantumCircuit, generate_preset_pass_manager, transpile
from qiskit.circuit import Delay, Parameter
from qiskit.primitives import BackendSamplerV2
from qiskit.providers import JobError, JobStatus
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator, PauliList
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    PauliLindbladError,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    mixed_unitary_error,
    pauli_error,
    reset_error,
    thermal_relaxation_error,
)
from qiskit_aer.noise.passes import LocalNoisePass, RelaxationNoisePass
from qiskit_ibm_runtime.fake_provider import FakeManilaV2, FakeMontrealV2
from staging import MemoryStage

from qarchive.codec import decode, encode
from qarchive.errors import BadInput, NotEncodable
from qarchive.providers.qiskit import snapshots as qiskit_snapshots
from qarchive.providers.qiskit.aer import AerProvider
from qarchive.providers.qiskit.aer_noise import model_from_plain, model_to_plain
from qarchive.providers.qiskit.backends import QiskitProvider


class Recorder:
    """Describes each run into a stage, as the archive does."""

    def __init__(self, stage):
        self.stage, self.seen, self.asked = stage, [], []

    def run(self, provider, target, args, kwargs, send):
        self.seen.append(provider.describe(self.stage, target, args, kwargs))
        return send(kwargs)

    def jobs(self, **filters):
        self.asked.append(filters)

    def job(self, reference):
        self.asked.append(reference)


@pytest.fixture
def stage():
    return MemoryStage()


def bell():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.delay(2, 0, unit="us")
    circuit.measure([0, 1], [0, 1])
    return circuit


def mixed():
    model = NoiseModel(["x", "h", "cx"])
    shared = depolarizing_error(0.1, 2)
    model.add_all_qubit_quantum_error(shared, ["cx", "cz"])
    model.add_quantum_error(shared, "ecr", [0, 1])
    model.add_quantum_error(amplitude_damping_error(0.2), ["x", "h"], [0])
    model.add_quantum_error(PauliLindbladError(PauliList(["X", "Z"]), [0.1, 0.2]), "h", [1])
    model.add_quantum_error(coherent_unitary_error(Operator(np.diag([1, 1j]))), "id", [2])
    model.add_quantum_error(reset_error(0.1, 0.2), "t", [0])
    model.add_quantum_error(thermal_relaxation_error(50, 80, 3), "s", [0])
    model.add_quantum_error(pauli_error([("XY", 1 / 3), ("II", 2 / 3)]), "swap", [1, 0])
    model.add_quantum_error(mixed_unitary_error([(np.eye(2), 0.5), (np.diag([1, -1]), 0.5)]), "u", [0])
    model.add_all_qubit_readout_error([[0.9, 0.1], [0.2, 0.8]])
    model.add_readout_error(np.eye(4) * 0.7 + 0.075, [1, 2])
    model._custom_noise_passes.append(RelaxationNoisePass([1e-5, np.inf], [1e-5, np.inf], dt=1e-9, op_types=[Delay]))
    return model


def device():
    return NoiseModel.from_backend(FakeManilaV2())


def through(model):
    return model_from_plain(decode(encode(model_to_plain(model))))


@pytest.mark.parametrize("make", [NoiseModel, mixed, device], ids=["empty", "mixed", "device"])
def test_a_model_comes_back_equal_and_gives_the_same_counts(make):
    model = make()
    again = through(model)
    assert again == model
    assert encode(model_to_plain(again)) == encode(model_to_plain(model)) == encode(model_to_plain(make()))
    options = {"shots": 500, "seed_simulator": 5}
    one, other = (AerSimulator(noise_model=item).run(bell(), **options).result() for item in (model, again))
    assert one.success
    assert one.get_counts() == other.get_counts()


def test_probabilities_come_back_to_the_last_digit_and_shared_errors_shared():
    model, again = mixed(), through(mixed())
    for label, local in model._local_quantum_errors.items():
        for qubits, error in local.items():
            if hasattr(error, "probabilities"):
                assert list(map(float, error.probabilities)) == again._local_quantum_errors[label][qubits].probabilities
    assert again._default_quantum_errors["cx"] is again._default_quantum_errors["cz"] is again._local_quantum_errors["ecr"][0, 1]
    assert list(again._local_quantum_errors) == sorted(model._local_quantum_errors)


def test_models_that_are_equal_are_one_blob_whatever_order_aer_has_put_them_in():
    """Aer goes over sets of names, whose order is another one in each process: a replay would never find the recording."""
    model, other = mixed(), mixed()
    for name in ("_default_quantum_errors", "_local_quantum_errors", "_local_readout_errors"):
        setattr(other, name, dict(reversed(getattr(other, name).items())))
    for label, local in other._local_quantum_errors.items():
        other._local_quantum_errors[label] = dict(reversed(local.items()))
    assert other == model
    assert encode(model_to_plain(other)) == encode(model_to_plain(model))


def test_relaxation_on_delays_comes_back():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(20, 0, unit="us")
    circuit.measure(0, 0)
    counts = [
        AerSimulator(noise_model=model).run(circuit, shots=400, seed_simulator=1).result().get_counts()
        for model in (mixed(), through(mixed()))
    ]
    assert counts[0] == counts[1]
    assert counts[0]["0"] > 200


def test_a_model_of_27_qubits_is_small():
    import zstandard

    model = NoiseModel.from_backend(FakeMontrealV2())
    encoded = encode(model_to_plain(model))
    assert len(zstandard.compress(encoded)) < 20_000
    assert through(model)._local_readout_errors.keys() == model._local_readout_errors.keys()


def test_models_that_differ_in_one_digit_differ():
    one, other = NoiseModel(), NoiseModel()
    one.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), "x")
    other.add_all_qubit_quantum_error(depolarizing_error(np.nextafter(0.1, 1), 1), "x")
    assert encode(model_to_plain(one)) != encode(model_to_plain(other))


def test_a_users_own_pass_is_a_gap_and_the_rest_is_kept():
    model = mixed()
    model._custom_noise_passes.append(LocalNoisePass(lambda op, qubits: None))
    with pytest.raises(NotEncodable):
        model_to_plain(model)
    gaps = []
    plain = model_to_plain(model, lambda path, reason: gaps.append((path, reason)))
    assert gaps == [("passes.1", "a noise pass of class qiskit_aer.noise.passes.local_noise_pass.LocalNoisePass")]
    assert encode(plain) == encode(model_to_plain(mixed()))


def test_a_snapshot_is_made_once_and_put_where_it_is_missing(stage, monkeypatch):
    made = []
    monkeypatch.setattr(qiskit_snapshots, "model_to_plain", lambda model, gap: made.append(1) or model_to_plain(model, gap))
    model, provider = mixed(), AerProvider()
    backend = AerSimulator(noise_model=model)
    first = provider.describe(stage, backend, (bell(),), {})
    assert provider.describe(stage, backend, (bell(),), {"noise_model": model}).backend == first.backend
    other = MemoryStage()
    assert provider.describe(other, backend, (bell(),), {}).backend == first.backend
    assert made == [1]
    assert [stage.puts.count(kind) for kind in ("noise", "backend", "config", "qpy")] == [1, 1, 2, 1]
    assert other.puts.count("noise") == 1
    assert model_from_plain(other.get(other.get(first.backend)["options"]["noise_model"])) == model


def test_what_changes_between_runs_is_noticed(stage):
    provider, model = AerProvider(), mixed()
    backend = AerSimulator()

    def snapshot():
        return provider.describe(stage, backend, (bell(),), {}).backend

    seen = [snapshot()]

    def changed():
        seen.append(snapshot())
        assert seen.count(seen[-1]) == 1

    backend.set_options(shots=7)
    changed()
    backend.set_options(fusion_enable=1)  # was True, and equal to it
    changed()
    backend.set_options(coupling_map=[[0, 1]])
    changed()
    backend._options_configuration["coupling_map"].append([1, 0])
    changed()
    backend.set_options(noise_model=model)
    changed()
    model.add_quantum_error(depolarizing_error(0.1, 1), "sx", [0])
    changed()
    model.add_quantum_error(depolarizing_error(0.1, 1), "sx", [0], warnings=False)  # composed: as many errors as before
    changed()
    model.add_basis_gates(["ccx"])
    changed()
    model.add_readout_error([[0.5, 0.5], [0.5, 0.5]], [0])
    changed()
    assert snapshot() == seen[-1]


def test_a_calibration_altered_in_place_is_noticed(stage):
    provider, backend = QiskitProvider(), GenericBackendV2(3, seed=1)
    first = provider.describe(stage, backend, (bell(),), {}).calibration
    backend.target["cx"][0, 1].error = 0.5
    assert provider.describe(stage, backend, (bell(),), {}).calibration != first


def test_snapshots_do_not_keep_objects_alive(stage):
    import weakref

    provider, model = AerProvider(), mixed()
    backend = AerSimulator(noise_model=model)
    provider.describe(stage, backend, (bell(),), {})
    refs = weakref.ref(backend), weakref.ref(model)
    count = len(qiskit_snapshots._models._made)
    del backend, model
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert len(provider._backends._made) == 0
    assert len(qiskit_snapshots._models._made) == count - 1


def test_threads_see_one_snapshot(stage):
    provider, backend, found = AerProvider(), AerSimulator(noise_model=mixed()), []
    threads = [
        threading.Thread(target=lambda: found.append(provider.describe(MemoryStage(), backend, (bell(),), {}).backend))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_figures_of_the_host_are_in_no_blob(stage, monkeypatch):
    provider = AerProvider()
    first = provider.describe(stage, AerSimulator(method="statevector"), (bell(),), {}).backend
    small = AerSimulator(method="statevector")
    small.set_max_qubits(3)  # as on a host with less memory
    assert small.configuration().n_qubits == 3
    assert provider.describe(stage, small, (bell(),), {}).backend == first


def test_a_device_has_a_target_and_a_calibration(stage):
    execution = AerProvider().describe(stage, AerSimulator.from_backend(FakeManilaV2()), (bell(),), {"shots": 3})
    assert (execution.kind, execution.shots, execution.size) == ("simulator", 3, 1)
    described, figures = stage.get(execution.backend), stage.get(execution.calibration)
    width, flat = described["target"]["operations"]["cx"]
    pairs = list(zip(flat.flat()[::2], flat.flat()[1::2], strict=True))
    assert width == 2
    target = FakeManilaV2().target
    assert dict(zip(pairs, figures["gates"]["cx"]["error"].flat(), strict=True)) == {q: p.error for q, p in target["cx"].items()}
    assert figures["gates"]["cx"]["places"] == [width, flat]
    assert figures["qubits"]["t1"].flat() == [q.t1 for q in target.qubit_properties]


def test_plain_simulators_have_no_calibration(stage):
    assert AerProvider().describe(stage, AerSimulator(), (bell(),), {}).calibration is None
    assert QiskitProvider().describe(stage, BasicSimulator(), (bell(),), {}).calibration is None


@pytest.mark.parametrize("make", [AerSimulator, FakeManilaV2, BasicSimulator, lambda: GenericBackendV2(3, seed=2)])
def test_a_wrapped_backend_is_the_backend_in_all_else(stage, make):
    backend, recorder = make(), Recorder(stage)
    provider = AerProvider() if AerProvider().owns(backend) else QiskitProvider()
    wrapped = provider.wrap(backend, recorder)
    assert isinstance(wrapped, type(backend))
    assert wrapped.unwrapped is backend
    assert wrapped.name == backend.name
    assert provider.owns(wrapped)
    plain = QuantumCircuit(2, 2)
    plain.h(0)
    plain.cx(0, 1)
    plain.measure([0, 1], [0, 1])
    for circuit in (transpile(plain, wrapped), generate_preset_pass_manager(1, wrapped).run(plain)):
        assert sum(wrapped.run(circuit, shots=9).result().get_counts().values()) == 9
    assert len(recorder.seen) == 2
    wrapped.set_options(shots=4)
    assert backend.options.shots == 4
    wrapped.marker = 1
    assert (backend.marker, "marker" in dir(wrapped), "retrieve_job" in dir(wrapped)) == (1, True, True)
    assert copy.copy(wrapped).unwrapped is not backend
    copy.copy(wrapped).run(bell()) if make is AerSimulator else None
    assert repr(wrapped) == f"<archived {backend!r}>"
    wrapped.jobs(status="DONE")
    wrapped.local_jobs()
    wrapped.retrieve_job("id")
    assert recorder.asked == [
        {"provider": provider.name, "backend": backend.name, "status": "DONE"},
        {"provider": provider.name, "backend": backend.name},
        "id",
    ]


def test_a_primitive_over_a_wrapped_backend_is_recorded(stage):
    recorder = Recorder(stage)
    wrapped = AerProvider().wrap(AerSimulator(), recorder)
    assert BackendSamplerV2(backend=wrapped).run([bell()], shots=6).result()[0].data.c.num_shots == 6
    assert [execution.shots for execution in recorder.seen] == [6]


def test_an_ibm_backend_says_what_to_wrap_instead(stage):
    kind = type("IBMBackend", (BasicSimulator,), {"__module__": "qiskit_ibm_runtime.ibm_backend"})
    with pytest.raises(BadInput) as error:
        QiskitProvider().wrap(kind.__new__(kind), Recorder(stage))
    assert str(error.value) == (
        "an IBMBackend: it is run by primitives, never by itself; wrap the QiskitRuntimeService, a SamplerV2 or an EstimatorV2"
    )


def test_a_job_says_how_it_was_started_and_how_it_ended(stage):
    provider, theta = AerProvider(), Parameter("theta")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(theta, 0)
    circuit.measure(0, 0)
    ended = threading.Event()
    backend = AerSimulator()
    job = backend.run([circuit], parameter_binds=[{theta: [0.1, 0.2]}], shots=8, seed_simulator=2)
    provider.follow(job, SimpleNamespace(ended=ended.set))
    assert ended.wait(10)
    assert provider.call_of(job) == (
        backend,
        ([circuit],),
        {"shots": 8, "seed_simulator": 2, "parameter_binds": [{theta: [0.1, 0.2]}]},
    )
    outcome = provider.outcome(stage, job)
    assert (outcome.status, outcome.provider_status, outcome.error) == ("DONE", "DONE", None)
    execution = provider.describe(stage, *provider.call_of(job))
    record = {"input": execution.input, "config": execution.config, "names": execution.names}
    _, args, kwargs = provider.load_call(stage.get, record, backend)
    again = backend.run(*args, **kwargs).result()
    assert [again.get_counts(i) for i in (0, 1)] == [job.result().get_counts(i) for i in (0, 1)]
    assert provider.counts(stage.get, record, {"result": outcome.result, "volatile": outcome.volatile}, 1) == again.get_counts(1)
    assert stage.gaps == []


def test_failures_are_told_from_the_result(stage, caplog):
    caplog.set_level("CRITICAL", "qiskit_aer")
    provider, unitary = AerProvider(), AerSimulator(method="unitary")
    fails, works = QuantumCircuit(1, 1), QuantumCircuit(1)
    fails.measure(0, 0)
    works.h(0)
    works.save_unitary()
    for circuits, status in (([fails], "ERROR"), ([works], "DONE"), ([works, fails], "PARTIAL")):
        outcome = provider.outcome(stage, unitary.run(circuits))
        assert (outcome.status, outcome.provider_status) == (status, "DONE")
        assert outcome.result is not None
    raised = provider.outcome(stage, AerSimulator().run([]))
    assert (raised.status, raised.result, raised.error["type"]) == ("ERROR", None, "ValueError")


def test_an_archived_job_is_a_job_of_qiskit(stage):
    provider = AerProvider()
    backend = AerSimulator()
    execution = provider.describe(stage, backend, (bell(),), {"shots": 5})
    job = backend.run(bell(), shots=5)
    outcome = provider.outcome(stage, job)

    class Archived:
        id, status = "abc", "DONE"
        record = {"input": execution.input, "names": execution.names, "backend": execution.backend_name}
        outcome = {"result": execution.input, "volatile": {}}
        get = stage.get

        def result(self):
            return provider.load_result(stage.get, self.record, self.outcome)

    Archived.outcome = {"result": outcome.result, "volatile": outcome.volatile}
    native = provider.load_job(Archived())
    assert native.job_id() == job.job_id()
    assert (native.status(), native.done(), native.in_final_state()) == (JobStatus.DONE, True, True)
    assert native.result().to_dict() == job.result().to_dict()
    assert native.circuits() == [bell()]
    with pytest.raises(JobError, match="is archived and cannot be cancelled"):
        native.cancel()
    with pytest.raises(JobError, match="was sent when it was recorded"):
        native.submit()


def test_jobs_without_a_future_are_watched():
    class Slow:
        calls = 0

        def job_id(self):
            return "slow"

        def in_final_state(self):
            self.calls += 1
            return self.calls > 3

    ended = threading.Event()
    QiskitProvider().follow(Slow(), SimpleNamespace(ended=ended.set))
    assert ended.wait(5)


def test_options_that_cannot_be_kept_are_gaps(stage):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        execution = AerProvider().describe(stage, AerSimulator(), (bell(),), {"shots": 3, "executor": executor})
    assert stage.gaps == [("config.options.executor", "a concurrent.futures.thread.ThreadPoolExecutor")]
    assert stage.get(execution.config) == {"options": {"shots": 3}}
