"""Replay of IBM Runtime: a script's own service, devices, sessions, primitives and jobs, from an archive, without network."""

import copy
import logging
import os
import pickle
import socket
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from conformance import same, unfolded
from ibm_runs import bell, lenient, observed, sample, turned
from ibm_server import CRN, OTHER_CRN, TOKEN, IBMServer, hurry
from ibm_wire import API_PREFIX
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import (
    Batch,
    EstimatorV2,
    Executor,
    IBMBackend,
    NoiseLearner,
    QiskitRuntimeService,
    QuantumProgram,
    RuntimeJobV2,
    SamplerV2,
    Session,
)
from qiskit_ibm_runtime.exceptions import (
    IBMRuntimeError,
    RuntimeJobFailureError,
    RuntimeJobNotFound,
    RuntimeProgramNotFound,
)
from qiskit_ibm_runtime.executor_sampler import Sampler as ClientSampler
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.fake_provider.local_service import QiskitRuntimeLocalService

import qarchive
from qarchive import codec
from qarchive.errors import ArchiveWarning, BadInput, JobFailed, NoRecording, NotFound
from qarchive.providers import registry
from qarchive.values import Array, Link

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]


def script(url):
    """A user's own script, as IBM's documentation writes it, from its service to its figures."""
    service = QiskitRuntimeService(channel="ibm_quantum_platform", token=TOKEN, url=url, instance=CRN)
    backend = service.least_busy(operational=True, simulator=False, min_num_qubits=5)
    logical = QuantumCircuit(2, 2)
    logical.h(0)
    logical.cx(0, 1)
    measured = logical.copy()
    measured.measure([0, 1], [0, 1])
    compiler = generate_preset_pass_manager(backend=backend, optimization_level=3, seed_transpiler=11)
    circuit, measured = compiler.run([logical, measured])
    observable = SparsePauliOp("ZZ").apply_layout(circuit.layout)
    with Session(backend=backend) as session:
        sampler = SamplerV2(mode=session)
        sampler.options.dynamical_decoupling.enable = True
        sampled = sampler.run([measured], shots=64)
        estimated = EstimatorV2(mode=session, options={"resilience_level": 1}).run([(circuit, observable)], precision=0.1)
        counts, value = sampled.result()[0].data.c.get_counts(), float(estimated.result()[0].data.evs)
    with Batch(backend=backend):
        batched = SamplerV2().run([(measured, None, 16)])
    again = service.job(sampled.job_id())
    return {
        "figures": (backend.name, counts, value, batched.result()[0].data.c.get_counts()),
        "circuits": (circuit, measured),
        "device": (backend.num_qubits, backend.properties().t1(0), backend.properties().last_update_date,
                   backend.status().operational, backend.configuration().basis_gates, backend.target.operation_names),
        "ids": ([sampled.job_id(), estimated.job_id(), batched.job_id()], sampled.session_id, session.session_id),
        "job": (sampled.status(), sampled.usage(), sampled.metrics(), sampled.creation_date, sampled.primitive_id,
                sampled.private, sampled.backend() is backend, sampled.inputs["pubs"], session.status(),
                sampled.properties().last_update_date),
        "again": (again.result()[0].data.c.get_counts(), again.backend().name, again.properties().t1(0)),
        "listed": ([job.job_id() for job in service.jobs()],
                   [job.job_id() for job in service.jobs(limit=1, program_id="sampler")],
                   {job.job_id() for job in service.jobs(session_id=session.session_id)}),
    }  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """An archive of several groups, recorded with a server that has been stopped since, and objects that were made then."""
    there = SimpleNamespace(folder=tmp_path_factory.mktemp("replay") / "lab")
    with pytest.MonkeyPatch.context() as patch, lenient(there.folder) as archive:
        hurry(patch)
        patch.setattr(logging.root.manager, "disable", logging.WARNING)
        with IBMServer(seed=7) as server:
            there.url = server.address + API_PREFIX
            there.live = server.service()
            qarchive.autolog(archive)
            with archive.context(group="script"):
                there.printed = script(there.url)
            qarchive.autolog(False)
            service = archive.wrap(there.live)
            alpha, beta = service.backend("ibm_alpha"), service.backend("ibm_beta")
            there.backend = there.live.backend("ibm_alpha")
            there.results = []
            with archive.context(group="equal"):
                for server.seed in (1, 2, 3):
                    there.results.append(sample(alpha, alpha).result())
            with archive.context(group="all"):
                options = {"environment": {"job_tags": ["paper"], "log_level": "DEBUG"}, "max_execution_time": 300}
                there.first = sample(alpha, alpha, options=options)
                there.first.result()
                server.calibrate("ibm_alpha", change=lambda properties: properties["qubits"][0][0].update(value=1.5))
                patch.setattr("qarchive.providers.ibm.wire.CALIBRATION_AGE_S", 0.0)
                there.turned = SamplerV2(beta).run([turned(beta)], shots=20).result()
                there.estimated = EstimatorV2(alpha).run([observed(alpha)], precision=0.2).result()
                there.learned = NoiseLearner(alpha, {"max_layers_to_learn": 2}).run([bell(alpha)]).result()
            with archive.context(group="failed"):
                server.break_next("no luck")
                with pytest.raises(RuntimeJobFailureError):
                    sample(alpha, alpha, shots=9).result()
                server.fail_next(400, path_contains="/jobs", method="POST", code=1, message="not today")
                with pytest.raises(IBMRuntimeError):
                    sample(alpha, alpha, shots=8)
                for run in (lambda: Executor(alpha).run(program()), lambda: ClientSampler(alpha).run([bell(alpha)], shots=7)):
                    with pytest.raises(RuntimeProgramNotFound):
                        run()
    yield there


@pytest.fixture
def archive(recorded, monkeypatch):
    """That archive, where nothing may touch the network, there is no account, and nothing may be recorded."""

    def refuse(*_):
        raise AssertionError("a socket was to be connected")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr("qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE", os.devnull + "/none")
    monkeypatch.setattr(logging.root.manager, "disable", logging.WARNING)
    with qarchive.open(recorded.folder) as archive:
        before = len(archive.jobs())
        yield archive
        assert len(archive.jobs()) == before


def where(archive, group):
    return f"group {group} of {archive.path}"


# Scripts


def test_an_unmodified_script_prints_the_same_without_network_and_account(archive, recorded):
    with archive.replay(group="script"):
        printed = script(recorded.url)
    for part, expected in recorded.printed.items():
        if part == "job":
            same([unfolded(pub) for pub in printed[part][7]], [unfolded(pub) for pub in expected[7]])
            printed[part], expected = printed[part][:7] + printed[part][8:], expected[:7] + expected[8:]
        assert printed[part] == expected, part
    assert QiskitRuntimeService.__new__.__module__ == "qiskit_ibm_runtime.qiskit_runtime_service"


@pytest.mark.parametrize(
    "args, kwargs",
    [((), {}), ((), {"token": "none"}), (("ibm_cloud", "none"), {"instance": CRN}), ((), {"name": "mine", "filename": "/none"}),
     ((), {"instance": "auto", "region": "eu-de", "plans_preference": ["open"], "tags": ["a"], "verify": False})],
)  # fmt: skip
def test_a_service_is_made_with_any_arguments(archive, args, kwargs):
    with archive.replay(group="all"):
        service = QiskitRuntimeService(*args, **kwargs)
        assert isinstance(service, QiskitRuntimeService) and type(service).__name__ == "QiskitRuntimeService"
        assert {backend.name for backend in service.backends()} == {"ibm_alpha", "ibm_beta"}
        assert service.channel == (args[0] if args else "ibm_quantum_platform")
        assert type(QiskitRuntimeService(channel="local")) is QiskitRuntimeLocalService


def test_what_was_made_before_a_replay_is_answered_too(archive, recorded):
    with archive.replay(group="all"):
        job = sample(recorded.backend, recorded.backend)
        assert job.job_id() == recorded.first.job_id() and job.backend() is recorded.backend
        assert recorded.live.backend("ibm_beta").properties().t1(0) > 0
        assert len(recorded.live.jobs()) == 4 and recorded.live.job(job.job_id()).status() == "DONE"
        assert len(archive.wrap(recorded.live).backend("ibm_alpha").jobs()) > 4  # as the script asks: of the whole archive
        with pytest.raises(BadInput) as caught:
            recorded.live.usage()
        assert (
            str(caught.value)
            == "the usage of an instance: the archive does not know it; `job.usage()` tells that of a recorded job"
        )


# Devices


def test_devices_are_found_by_the_filters_of_the_service(archive):
    service = archive.replay("ibm", group="all")
    assert isinstance(service, QiskitRuntimeService)
    names = lambda **filters: [backend.name for backend in service.backends(**filters)]  # noqa: E731
    assert names() == ["ibm_alpha", "ibm_beta"]  # the one that ran last is the first
    assert names(min_num_qubits=6) == names(filters=lambda backend: backend.num_qubits > 5) == ["ibm_beta"]
    assert names(operational=True, simulator=False, n_qubits=5) == names(name="ibm_alpha", instance=CRN) == ["ibm_alpha"]
    assert names(simulator=True) == names(name="ibm_none") == []
    assert service.least_busy().name == "ibm_alpha" and service.least_busy(min_num_qubits=6, operational=True).name == "ibm_beta"
    backend = service.backend("ibm_alpha")
    assert isinstance(backend, IBMBackend) and backend.service is service and len(backend.jobs()) == 3
    status = backend.status()
    assert (status.operational, status.pending_jobs, status.status_msg) == (True, 0, "active")
    for asked, what in ((lambda: service.backend("ibm_none"), "the device ibm_none"),
                        (lambda: service.least_busy(min_num_qubits=99), "such a device")):  # fmt: skip
        with pytest.raises(QiskitBackendNotFoundError) as caught:
            asked()
        assert caught.value.message == (
            f"No backend matches the criteria: {what} is not recorded in {where(archive, 'all')}, which has ibm_alpha, ibm_beta"
        )
    with pytest.raises(QiskitBackendNotFoundError) as caught:
        archive.replay("ibm", group="nothing").least_busy()
    assert caught.value.message.endswith(f"is not recorded in {where(archive, 'nothing')}, which has none of IBM's")


def test_a_calibration_is_that_of_the_last_recording_and_others_are_found_by_their_time(archive, recorded):
    backend = archive.replay("ibm", group="all").backend("ibm_alpha")
    assert backend.properties().qubits[0][0].value == 1.5
    first = archive.job(recorded.first.job_id()).calibrations[0]
    assert backend.properties(datetime=first.measured_at).qubits[0][0].value != 1.5
    assert backend.properties(datetime=datetime.now()).qubits[0][0].value == 1.5
    with pytest.raises(NotFound) as caught:
        backend.properties(datetime=datetime(2020, 1, 1, tzinfo=UTC))
    assert str(caught.value).partition("2020-01-01T00:00:00+00:00 is not in ")[2] == (
        f"{where(archive, 'all')}; the first one recorded is of {first.measured_at.isoformat()}"
    )
    backend.refresh()
    assert backend.target["measure"][(0,)].error == backend.target_history().__getitem__("measure")[(0,)].error


def test_objects_made_in_the_cloud_are_answered_for(archive, recorded):
    live = recorded.backend
    service = archive.replay(recorded.live, group="all")
    assert service is not recorded.live and service.active_instance() == CRN
    backend = archive.replay(live, group="all")
    assert isinstance(backend, IBMBackend) and backend.service is not live.service
    for given in (SamplerV2(live), archive.wrap(SamplerV2(live))):
        primitive = archive.replay(given, group="all")
        assert isinstance(primitive, SamplerV2) and len(primitive.jobs()) == 3
        job = primitive.run([bell(primitive.backend())], shots=50)
        assert isinstance(job, RuntimeJobV2) and job.job_id() == recorded.first.job_id()
    learned = NoiseLearner(backend, {"max_layers_to_learn": 2}).run([bell(backend)]).result()
    same([layer.error.rates for layer in learned.data], [layer.error.rates for layer in recorded.learned.data])
    with pytest.raises(BadInput) as caught:
        archive.replay(recorded.first, group="all")
    assert str(caught.value) == "a RuntimeJobV2: it was sent before; give it to `archive.record`"


# Jobs


def test_jobs_are_listed_by_the_filters_of_the_service(archive, recorded):
    service = archive.replay("ibm", group="all")
    ids = lambda **filters: [job.job_id() for job in service.jobs(**filters)]  # noqa: E731
    every = ids()
    assert len(every) == 4 and every[-1] == recorded.first.job_id() and ids(descending=False) == every[::-1]
    assert ids(limit=2) == every[:2] and ids(limit=None, skip=1) == every[1:] and ids(skip=9) == []
    assert ids(backend_name="ibm_beta") == [every[2]] and ids(program_id="noise-learner") == [every[0]]
    assert ids(job_tags=["paper"]) == [every[3]] and ids(job_tags=["paper", "other"]) == []
    assert ids(pending=True) == [] and ids(pending=False) == every
    made = service.job(every[2]).creation_date
    assert ids(created_after=made) == every[:3] and ids(created_before=made) == every[2:]
    assert ids(session_id="none") == []
    assert [len(archive.replay("ibm", group="all").jobs(instance=crn)) for crn in (CRN, OTHER_CRN)] == [4, 0]
    job = service.job(every[2])
    same(unfolded(job.result()), unfolded(recorded.turned))
    assert job.backend().service is service and job.backend().name == "ibm_beta"
    with pytest.raises(RuntimeJobNotFound) as caught:
        service.job("none")
    assert caught.value.message == f"Job not found: none is not recorded in {where(archive, 'all')}"
    with pytest.raises(IBMRuntimeError) as caught:
        service.delete_job(every[0])
    assert caught.value.message == f"Failed to delete job: 'job {every[0]} is archived and cannot be deleted'"


def test_what_no_job_tells_raises(archive):
    service = archive.replay("ibm", group="all")
    for asked, message in (
        (service.usage, "the usage of an instance: the archive does not know it; `job.usage()` tells that of a recorded job"),
        (service.instances, "the instances of an account: the archive does not know it"),
        (service.active_instance, "the active instance: the archive does not know it; give one to the service"),
        (lambda: service.jobs(instance="mine"),
         "the instance mine: the archive knows instances by their CRN alone; give its CRN"),
    ):  # fmt: skip
        with pytest.raises(BadInput) as caught:
            asked()
        assert str(caught.value) == message


def test_a_service_can_be_copied_and_not_sent_elsewhere(archive):
    service = archive.replay("ibm", group="all")
    for other in (copy.copy(service), copy.deepcopy(service)):
        assert other == service and other.backend("ibm_beta").num_qubits == 7
    with archive.replay(group="all"), pytest.raises(BadInput) as caught:
        pickle.dumps(QiskitRuntimeService())
    assert str(caught.value) == "a replayed QiskitRuntimeService: another process has no recordings; make one there"


# Which recording answers


def test_equal_calls_get_the_recordings_in_turn_and_no_more(archive, recorded):
    backend = archive.replay("ibm", group="equal").backend("ibm_alpha")
    found = [sample(backend, backend).result() for _ in range(3)]
    same([unfolded(result) for result in found], [unfolded(result) for result in recorded.results])
    last = archive.jobs(group="equal")[0].id[:12]
    with pytest.raises(NoRecording) as caught:
        sample(backend, backend)
    assert str(caught.value) == (
        f"an execution on ibm_alpha is not recorded in {where(archive, 'equal')}; the nearest is job {last}: all of its 3 "
        'recordings answered before; `mode="missing"` runs and records what is not there'
    )


def test_a_miss_says_what_differs_from_the_nearest_recording(archive):
    backend = archive.replay("ibm", group="equal").backend("ibm_alpha")
    with pytest.raises(NoRecording) as caught:
        sample(backend, backend, shots=60, options={"dynamical_decoupling": {"enable": True}})
    last = archive.jobs(group="equal")[0].id
    assert caught.value.nearest == last
    assert str(caught.value) == (
        f"an execution on ibm_alpha is not recorded in {where(archive, 'equal')}; the nearest is job {last[:12]}: "
        "inputs.options.dynamical_decoupling: {enable: True}, not in the recording; shots: 60, recorded 50; "
        '`mode="missing"` runs and records what is not there'
    )


def test_what_decides_nothing_may_differ(archive, recorded):
    options = {"environment": {"job_tags": ["other"], "log_level": "INFO", "private": True}, "max_execution_time": 9}
    backend = archive.replay("ibm", group="all").backend("ibm_alpha")
    with Session(backend) as session:
        assert sample(session, backend, options=options).job_id() == recorded.first.job_id()
    for options in (
        {"experimental": {"image": "other:1"}},
        {"execution": {"init_qubits": False}},
        {"twirling": {"enable_gates": True}},
    ):
        backend = archive.replay("ibm", group="all").backend("ibm_alpha")
        with pytest.raises(NoRecording):
            sample(backend, backend, options=options)


def test_in_order_the_nth_call_gets_the_nth_recording(archive, recorded):
    service = archive.replay("ibm", group="all", match="order")
    backend = service.backend("ibm_alpha")
    jobs = [sample(backend, backend, shots=shots) for shots in (1, 2)]
    assert jobs[0].job_id() == recorded.first.job_id() and jobs[0].backend() is backend
    assert jobs[1].backend().name == "ibm_beta"


def test_failures_answer_where_they_are_wanted(archive):
    for failures in (False, True):
        backend = archive.replay("ibm", group="failed", failures=failures).backend("ibm_alpha")
        if not failures:
            with pytest.raises(NoRecording):
                sample(backend, backend, shots=9)
    with pytest.raises(RuntimeJobFailureError, match="no luck"):
        sample(backend, backend, shots=9).result()
    with pytest.raises(JobFailed, match="not today"):
        sample(backend, backend, shots=8)
    for shots in (16, 17):  # its circuit has another name in each process
        with pytest.raises(JobFailed if shots == 16 else NoRecording, match="Program|is not recorded"):
            Executor(backend).run(program(shots))
    for shots in (7, 6):
        with pytest.raises(JobFailed if shots == 7 else NoRecording, match="Program|is not recorded"):
            ClientSampler(backend).run([bell(backend)], shots=shots)


def test_nothing_is_sent_in_a_pause(archive):
    with archive.replay(group="all"), archive.paused():
        backend = QiskitRuntimeService().backend("ibm_alpha")
        with pytest.raises(BadInput) as caught:
            sample(backend, backend)
    assert str(caught.value) == "a replayed service: it sends nothing; run this outside of the replay"


# Missing


def test_what_is_missing_is_sent_once_and_the_rest_is_not_sent(server, tmp_path, monkeypatch):
    sent = lambda: [request for request in server.requests if (request.method, request.path) == ("POST", "/jobs")]  # noqa: E731
    account = tmp_path / "home"
    server.save_account(account)
    with lenient(tmp_path / "lab") as archive:
        live = server.service()
        with archive.context(group="g"):
            recorded = archive.wrap(live).backend("ibm_alpha")
            first = sample(recorded, recorded)
            first.result()
        server.requests.clear()
        for shots, expected in ((50, 0), (51, 1), (51, 0)):
            service = archive.replay(live, group="g", mode="missing")
            backend = service.backend("ibm_alpha")
            job = sample(backend, backend, shots=shots)
            assert (job.result()[0].data.meas.num_shots, len(sent())) == (shots, expected)
            server.requests.clear()
        assert [job.shots for job in archive.jobs(group="g")] == [51, 50]
        for given in (
            SamplerV2(live.backend("ibm_alpha")),
            SamplerV2(archive.replay(live.backend("ibm_alpha"), group="g", mode="missing")),
        ):
            primitive = archive.replay(given, group="g", mode="missing")
            assert primitive.run([bell(given.backend())], shots=50).job_id() == first.job_id()
        with archive.replay(group="g", mode="missing"):
            service = QiskitRuntimeService(filename=str(account / ".qiskit" / "qiskit-ibm.json"))
            backend = service.backend("ibm_alpha")
            with Session(backend) as session:
                job = sample(session, backend)
            assert job.job_id() == first.job_id() and service.job(job.job_id()).result()[0].data.meas.num_shots == 50
            with pytest.warns(ArchiveWarning) as warned:
                alone = QiskitRuntimeService(filename=str(tmp_path / "none.json"))
            assert str(warned[0].message) == "there is no account of IBM's: only what is recorded is answered"
            backend = alone.backend("ibm_alpha")
            assert sample(backend, backend, shots=51).result()[0].data.meas.num_shots == 51
            with pytest.raises(BadInput) as caught:
                sample(backend, backend, shots=52)
            assert str(caught.value) == (
                "IBM Quantum: there is no account to run an execution on ibm_alpha, which is not recorded in "
                f"{where(archive, 'g')}; save one: `QiskitRuntimeService.save_account(...)`"
            )
        monkeypatch.setattr("qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(tmp_path / "none"))
        with pytest.warns(ArchiveWarning, match="^there is no account of IBM's: only what is recorded is answered$"):
            backend = archive.replay("ibm", group="g", mode="missing").backend("ibm_alpha")
        assert sample(backend, backend).job_id() == first.job_id()
        assert sent() == [] and len(archive.jobs(group="g")) == 2


# Local mode, and what local executions of Qiskit have in common with it


def test_local_mode_is_answered_with_its_seed(tmp_path):
    sampled = lambda seed, backend: SamplerV2(backend, options={"simulator": {"seed_simulator": seed}})  # noqa: E731
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.measure_all()
    backend = AerSimulator()
    with lenient(tmp_path / "lab") as archive:
        results = []
        for seed in (1, 2):
            with archive.context(group="local"):
                results.append(archive.wrap(sampled(seed, backend)).run([circuit], shots=100).result())
        before = len(archive.jobs())
        job = archive.replay(sampled(2, backend), group="local").run([circuit], shots=100)
        same(unfolded(job.result()), unfolded(results[1]))
        with archive.replay(group="local"):
            same(unfolded(sampled(1, AerSimulator()).run([circuit.copy()], shots=100).result()), unfolded(results[0]))
            with pytest.raises(NoRecording) as caught:
                sampled(3, backend).run([circuit], shots=100)
            assert "seed_simulator: 3, recorded 2" in str(caught.value)
        assert len(archive.jobs()) == before


def program(shots=16):
    """A quantum program whose circuit has a name that no other has."""
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    circuit.measure_all()
    made = QuantumProgram(shots=shots)
    made.append_circuit_item(circuit)
    return made


def test_names_that_a_process_gives_decide_nothing(tmp_path):
    angle = Parameter("angle")

    def bound(value, target):
        circuit = QuantumCircuit(1)
        circuit.rx(angle, 0)
        circuit.measure_all()
        return target.run([circuit], parameter_binds=[{angle: [value]}], seed_simulator=5)

    with lenient(tmp_path / "lab") as archive:
        with archive.context(group="names"):
            executed = archive.wrap(Executor(FakeManilaV2())).run(program())
            executed.result()
            expected = bound(1.0, archive.wrap(AerSimulator())).result().get_counts()
        with archive.replay(group="names"):
            assert Executor(FakeManilaV2()).run(program()).job_id() == executed.job_id()
            with pytest.raises(NoRecording):
                Executor(FakeManilaV2()).run(program(17))
            with pytest.raises(NoRecording):
                bound(2.0, AerSimulator())
            assert bound(1.0, AerSimulator()).result().get_counts() == expected


def test_values_beyond_what_one_blob_holds_are_told_apart():
    def alike(last):
        data = bytes(2 << 20) + bytes([last])
        binds = [{"angle": Array("|u1", (len(data),), data)}]
        value = {"type": "qiskit.circuits", "circuits": [], "parameter_binds": binds}
        return codec.encode(registry.named("aer").alike_input(lambda link: value, {"input": Link(bytes(32))}))

    assert alike(1) == alike(1) != alike(2)


def test_what_was_not_captured_answers_nothing():
    for provider in map(registry.named, ("ibm", "ibm_local", "aer", "qiskit")):
        one, other = (provider.alike_input(lambda link: {"type": "missing"}, {"input": Link(bytes(32)), "nonce": nonce})
                      for nonce in (b"1", b"2"))  # fmt: skip
        assert one != other
