"""Sending jobs to IBM: what is recorded of each, whichever way it goes, and that the user's own requests stay as they are."""

import copy
import os
import pickle
import warnings

import numpy
import pytest
from conformance import same, unfolded
from ibm_runs import OURS, X, bell, estimate, lenient, observed, ours, sample, strict, theirs, turned
from ibm_server import CRN, IBMServer
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import (
    Batch,
    EstimatorV2,
    Executor,
    IBMBackend,
    IBMInputValueError,
    NoiseLearner,
    QiskitRuntimeService,
    QuantumProgram,
    SamplerV2,
    Session,
)
from qiskit_ibm_runtime.executor_sampler import Sampler as ClientSampler

import qarchive
from qarchive.errors import BadInput
from qarchive.providers import registry
from qarchive.providers.ibm import wire as ibm_wire

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def archive(tmp_path):
    with strict(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def loose(tmp_path):
    """An archive whose warnings are nobody's business."""
    with lenient(tmp_path / "loose") as archive:
        yield archive


# What is recorded


def test_a_sampler_job_is_one_record_and_comes_back_equal(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    circuit = bell(backend, metadata={"who": "me", "when": (1, 2)})
    native = SamplerV2(backend).run([circuit, turned(backend)], shots=50)
    result = native.result()
    assert len(archive.jobs()) == 1
    job = archive.job("latest")
    assert (job.provider, job.backend, job.kind, job.status, job.shots, job.gaps) == ("ibm", "ibm_alpha", "qpu", "DONE", 50, [])
    assert job.names == ("bell", "turned") and job.provider_job == native.job_id()
    assert archive.job(native.job_id()) == job
    same(unfolded(job.result()), unfolded(result))
    assert [pub.shots for pub in job.input] == [50, 50]
    assert job.input[0].circuit == circuit and job.input[0].circuit.metadata == {"who": "me", "when": (1, 2)}
    assert job.input[1].shape == (3, 2)
    assert job.counts() == result[0].join_data().get_counts()
    assert len(job.text()) == 2 and "OPENQASM 3" in job.text()[0]


def test_an_estimator_job_is_one_record_and_comes_back_equal(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_beta")
    result = estimate(backend, backend).result()
    job = archive.job("latest")
    assert (job.status, job.gaps, job.config["program"]) == ("DONE", [], "estimator")
    same(unfolded(job.result()), unfolded(result))
    assert job.input[0].observables.tolist() == EstimatorPub.coerce(observed(backend)).observables.tolist()
    assert job.input[0].precision == 0.1
    with pytest.raises(BadInput, match="its result has no counts"):
        job.counts()


def test_a_noise_learner_job_is_recorded_with_its_circuits(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    result = NoiseLearner(backend, {"max_layers_to_learn": 2}).run([bell(backend)]).result()
    job = archive.job("latest")
    assert (job.status, job.gaps, job.config["program"], job.names) == ("DONE", [], "noise-learner", ("bell",))
    assert job.config["inputs"]["options"]["max_layers_to_learn"] == 2
    assert job.input == [bell(backend)]
    again = job.result()
    assert type(again) is type(result) and [layer.qubits for layer in again.data] == [layer.qubits for layer in result.data]
    assert (again.data[0].error.rates == result.data[0].error.rates).all()


def test_programs_that_the_service_does_not_know_are_recorded_before_they_are_refused(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    program = QuantumProgram(shots=64)
    program.append_circuit_item(bell(backend))
    for primitive, arguments in ((Executor(backend), (program,)), (ClientSampler(backend), ([bell(backend)],))):
        with pytest.raises(Exception, match="Program not found|not simulated"):
            primitive.run(*arguments)
        job = archive.job("latest")
        assert (job.status, job.config["program"], job.gaps) == ("REFUSED", "executor", [])
        assert type(job.input) is QuantumProgram
    first = archive.job("@2")
    assert (first.shots, first.input.shots, len(first.input.items)) == (64, 64, 1)


def test_options_stand_in_the_config_and_tags_are_labels(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    options = {
        "default_shots": 40,
        "max_execution_time": 300,
        "dynamical_decoupling": {"enable": True, "sequence_type": "XpXm"},
        "execution": {"rep_delay": 0.00025},
        "environment": {"job_tags": ["vqe", "paper"], "log_level": "INFO", "private": False},
        "experimental": {"image": "image:latest", "thing": [1, 2.5, None]},
    }
    with archive.context(tags=["mine"], group="g"):
        SamplerV2(backend, options=options).run([bell(backend)]).result()
    job = archive.job("latest")
    assert job.config == {
        "program": "sampler",
        "inputs": {
            "options": {
                "default_shots": 40,
                "dynamical_decoupling": {"enable": True, "sequence_type": "XpXm"},
                "execution": {"rep_delay": 0.00025},
                "experimental": {"thing": [1, 2.5, None]},
            },
            "version": 2,
            "support_qiskit": True,
        },
        "runtime": {"image": "image:latest", "log_level": "INFO", "max_execution_time": 300, "job_tags": ["vqe", "paper"]},
    }
    assert job.shots == 40
    assert job.labels == {"group": "g", "tags": ["mine", "paper", "vqe"]}
    assert len(archive.jobs(tag="paper")) == 1


def test_the_device_and_its_calibration_are_those_of_the_service_at_that_moment(server, archive):
    service = server.service()
    backend = archive.wrap(service).backend("ibm_alpha")
    assert backend.properties().t1(0) > 0  # the user's are of now, and stay so

    def change(properties):
        properties["qubits"][0][0]["value"] = 1.5

    server.calibrate("ibm_alpha", change=change)
    native = sample(backend, backend)
    native.result()
    job = archive.job("latest")
    attempt = job.folded.current.record
    from qarchive.providers.qiskit.ibm_snapshots import raw_value

    configuration = raw_value(job.get, job.backend_snapshot)
    assert configuration == server.devices["ibm_alpha"].calibrations[-1].configuration
    assert (job.backend_snapshot["name"], job.backend_snapshot["fractional_gates"]) == ("ibm_alpha", False)
    properties = raw_value(job.get, job.get(attempt["calibration"]))
    assert properties["qubits"][0][0]["value"] == 1.5
    assert attempt["captured"] <= attempt["created"]
    assert backend.properties().qubits[0][0].value != 1.5
    assert [phase for phase, _, _ in job.folded.current.calibrations] == ["submit", "run"]


def test_a_session_and_a_batch_are_told_apart(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    with Session(backend) as session:
        sample(session, backend).result()
    first = archive.job("latest")
    with Batch(backend) as batch:
        SamplerV2().run([bell(backend)], shots=5).result()
    second = archive.job("latest")
    sent = [next(record for record in job.history if record["type"] == "sent") for job in (first, second)]
    assert (sent[0]["session"], sent[0].get("batch")) == (session.session_id, None)
    assert (sent[1].get("session"), sent[1]["batch"]) == (None, batch.session_id)
    assert (first.config["session"], first.config["mode"]) == (session.session_id, "session")
    assert (second.config["session"], second.config["mode"]) == (batch.session_id, "batch")
    assert sent[0]["instance"] == sent[1]["instance"] and len(sent[0]["instance"]) == 16 and sent[0]["instance"] not in CRN
    for job, mode in ((first, session), (second, batch)):
        assert job.native().session_id == mode.session_id


def test_a_dry_run_is_of_the_mock_device_and_stays_out_of_lists(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    result = SamplerV2(backend).run([bell(backend)], shots=50, dry_run=True).result()
    assert len(archive.jobs()) == 0
    (job,) = archive.jobs(kind="mock")
    assert (job.kind, job.backend, job.status, job.gaps) == ("mock", "mock_alpha", "DONE", [])
    assert job.config["dry_run"] is True
    assert job.backend_snapshot["name"] == "mock_alpha"
    assert job.outcome["volatile"]["backend"] == "mock_alpha"
    same(unfolded(job.result()), unfolded(result))
    assert (job.native().backend().name, job.native().backend().is_mock) == ("mock_alpha", True)


def test_a_calibration_id_is_asked_for_and_kept(server, archive):
    number = server.calibrate("ibm_alpha").id
    backend = archive.wrap(server.service()).backend("ibm_alpha", calibration_id=number)
    sample(backend, backend).result()
    job = archive.job("latest")
    assert (job.config["calibration_id"], job.outcome["volatile"]["job"]["calibration_id"]) == (number, number)
    asked = [request.query for request in server.requests if request.headers.get("User-Agent") == OURS]
    assert asked[:2] == [f"calibration_id={number}"] * 2


# Ways to record


def recorded(archive):
    return [job.status for job in archive.jobs()]


def test_a_wrapped_primitive_records_with_a_backend_a_session_and_a_batch(server, archive):
    backend = server.service().backend("ibm_alpha")
    for number, mode in enumerate((backend, Session(backend), Batch(backend)), 1):
        sampler = archive.wrap(SamplerV2(mode))
        assert isinstance(sampler, SamplerV2)
        sampler.run([bell(backend)], shots=10).result()
        assert recorded(archive) == ["DONE"] * number
    SamplerV2(backend).run([bell(backend)], shots=10).result()
    assert recorded(archive) == ["DONE"] * 3


def test_wrapping_twice_records_once(server, archive):
    service = server.service()
    wrapped = archive.wrap(archive.wrap(service))
    assert wrapped.unwrapped is service
    backend = wrapped.backend("ibm_alpha")
    archive.wrap(archive.wrap(SamplerV2(backend))).run([bell(backend)], shots=10).result()
    assert recorded(archive) == ["DONE"]


def test_a_paused_archive_records_nothing(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    sampler = archive.wrap(SamplerV2(backend))
    with archive.paused():
        sampler.run([bell(backend)], shots=10).result()
        sample(backend, backend).result()
    sampler.run([bell(backend)], shots=10, archive=False).result()
    assert recorded(archive) == []
    assert ours(server) == []
    sampler.run([bell(backend)], shots=10).result()
    assert recorded(archive) == ["DONE"]


def test_autolog_records_services_that_nobody_wrapped(server, archive):
    backend = server.service().backend("ibm_alpha")
    qarchive.autolog(archive)
    try:
        sample(backend, backend).result()
        with Session(backend) as session:
            estimate(session, backend).result()
        archive.wrap(SamplerV2(backend)).run([bell(backend)], shots=5, archive=False).result()
    finally:
        qarchive.autolog(False)
    sample(backend, backend).result()
    assert [job.status for job in archive.jobs(provider="ibm")] == ["DONE", "DONE"]  # the server's own runs on Aer are others


def test_a_forked_child_asks_in_a_session_of_its_own(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    sample(backend, backend).result()
    parents = ibm_wire.wire(backend._api_client)
    child = os.fork()
    if child == 0:
        os._exit(int(ibm_wire.wire(backend._api_client) is parents))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ibm_wire.wire(backend._api_client) is parents


@pytest.mark.parametrize("what", ["backend", "session", "job"])
def test_what_is_not_the_way_in_says_what_is(server, archive, what):
    backend = server.service().backend("ibm_alpha")
    native, message = {
        "backend": (lambda: backend, "an IBMBackend: it is run by primitives, never by itself; "),
        "session": (lambda: Session(backend), "a session or batch: its jobs are sent by primitives; "),
        "job": (lambda: sample(backend, backend), "a RuntimeJobV2: it was sent before; give it to `archive.record`"),
    }[what]
    with pytest.raises(BadInput) as caught:
        archive.wrap(native())
    hint = "" if what == "job" else "wrap the QiskitRuntimeService that it comes from, or a primitive"
    assert str(caught.value) == message + hint


def test_a_wrapped_service_is_the_users_own_in_all_that_the_sdk_asks(server, archive):
    service = server.service()
    wrapped = archive.wrap(service)
    assert isinstance(wrapped, QiskitRuntimeService) and type(wrapped) is not QiskitRuntimeService
    assert wrapped == service and repr(wrapped) == repr(service) and wrapped.unwrapped is service
    assert vars(wrapped) is vars(service) and wrapped.channel == service.channel
    backend = wrapped.backend("ibm_alpha")
    assert isinstance(backend, IBMBackend) and isinstance(backend, BackendV2) and backend.service is wrapped
    assert repr(backend) == "<IBMBackend('ibm_alpha')>"
    assert [each.name for each in wrapped.backends()] == ["ibm_alpha", "ibm_beta"]
    assert wrapped.least_busy().name in ("ibm_alpha", "ibm_beta")
    assert copy.copy(wrapped).unwrapped is not service and isinstance(copy.copy(wrapped), QiskitRuntimeService)
    assert type(service.backend("ibm_alpha")) is IBMBackend
    for native in (wrapped, backend):
        with pytest.raises(BadInput, match="another process would not record its jobs; make one there, and wrap it"):
            pickle.dumps(native)
    sample(copy.deepcopy(backend), backend).result()
    assert recorded(archive) == ["DONE"]


def test_a_service_of_a_class_of_the_users_keeps_what_that_does(server, archive):
    class Mine(QiskitRuntimeService):
        def least_busy(self, **_):
            return self.backend("ibm_beta")

    service = server.service()
    service.__class__ = Mine
    wrapped = archive.wrap(service)
    assert isinstance(wrapped, Mine) and wrapped.least_busy().name == "ibm_beta"
    sample(wrapped.least_busy(), wrapped.least_busy()).result()
    assert [job.backend for job in archive.jobs()] == ["ibm_beta"]


def test_a_version_of_the_sdk_that_sends_otherwise_is_refused_and_never_runs_unseen(server, archive, monkeypatch):
    service = server.service()
    monkeypatch.setattr(registry.named("ibm"), "entry_points", lambda: iter([(QiskitRuntimeService, "_send")]))
    with pytest.raises(BadInput) as caught:
        archive.wrap(service)
    message = "qiskit-ibm-runtime: this version has no QiskitRuntimeService._send; install another one"
    assert str(caught.value) == message


def test_a_backend_lists_and_retrieves_archived_and_remote_jobs(server, archive):
    service = server.service()
    wrapped = archive.wrap(service)
    alpha, beta = wrapped.backend("ibm_alpha"), wrapped.backend("ibm_beta")
    first, second = sample(alpha, alpha), sample(beta, beta)
    bare = service.backend("ibm_alpha")
    third = sample(bare, bare)
    for job in (first, second, third):
        job.result()
    assert list(alpha.jobs()) == list(alpha.local_jobs()) == [archive.job(first.job_id())]
    assert [job.job_id() for job in alpha.remote_jobs()] == [third.job_id(), first.job_id()]
    assert [job.job_id() for job in alpha.remote_jobs(limit=1, descending=False)] == [first.job_id()]
    assert alpha.retrieve_job(first.job_id()) == archive.job(first.job_id())
    remote = alpha.retrieve_job(third.job_id())
    assert (type(remote).__name__, remote.job_id()) == ("RuntimeJobV2", third.job_id())
    for job_id in (second.job_id(), archive.job(second.job_id()).id):
        with pytest.warns(qarchive.ArchiveWarning, match=f"job {job_id} ran on ibm_beta, not on ibm_alpha") as caught:
            assert alpha.retrieve_job(job_id).backend == "ibm_beta"
        assert caught[0].filename == __file__
    sampler = archive.wrap(SamplerV2(alpha))
    assert list(sampler.jobs()) == list(alpha.jobs())
    assert [job.job_id() for job in sampler.remote_jobs()] == [third.job_id(), first.job_id()]


# The user's run stays as it is


def plain(name, measured=True):
    """A circuit in the gates of every device here whose QPY is the same each time, which it is not with a layout."""
    circuit = QuantumCircuit(QuantumRegister(5, "q"), ClassicalRegister(2, "c"), name=name)
    circuit.sx(0)
    circuit.cx(0, 1)
    if measured:
        circuit.rz(X, 0)
        circuit.measure([0, 1], [0, 1])
    return circuit


def script(service, server):
    """A user's session, from nothing to results, and what he sees of it."""
    seen = []
    made = {
        "bell": (plain("bell"), [0.1]),
        "turned": (plain("turned"), [[0.1], [0.2]]),
        "observed": (plain("bare", measured=False), SparsePauliOp("IIIZZ")),
    }
    backend = service.backend("ibm_alpha")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sampler = SamplerV2(backend, options={"environment": {"job_tags": ["a"]}})
        job = sampler.run([made["bell"], made["turned"]], shots=30)
        result = job.result()
        seen.append(unfolded(result)["results"])
        seen += [job.status(), job.usage(), job.metrics()["usage"], job.tags, job.session_id, job.image]
        with Session(backend) as session:
            job = EstimatorV2(session).run([made["observed"]], precision=0.1)
            seen.append(numpy.asarray(job.result()[0].data.evs).tolist())
        seen += [session.status(), [each.primitive_id for each in service.jobs(limit=2)]]
        again = service.job(job.job_id())
        seen += [again.done(), numpy.asarray(again.result()[0].data.evs).tolist()]
        with pytest.raises(IBMInputValueError) as refused:
            SamplerV2(backend, options={"experimental": {"image": "no-tag"}}).run([made["bell"]])
        seen.append(str(refused.value))
        for message in ("", "Aborted"):
            server.fail_next(400, path_contains="/jobs", method="POST", message=message)
            with pytest.raises(Exception) as refused:
                sampler.run([made["bell"]])
            text = str(refused.value).replace(server.address, "")
            seen.append((type(refused.value), text.split('"trace"')[0]))
        server.break_next("Error: out of order", None)
        job = sampler.run([made["bell"]])
        with pytest.raises(Exception) as failed:
            job.result()
        seen += [type(failed.value), str(failed.value).replace(job.job_id(), ""), job.status(), job.error_message() is not None]
    seen.append([(w.category, str(w.message)) for w in caught if w.category is not qarchive.ArchiveWarning])
    return seen


def without_ids(requests, server):
    """Requests with what differs between two servers taken out: ids, by order of first appearance."""
    ids = [*server.jobs, *server.sessions, server.address]
    found = []
    for method, path, query, headers, body in requests:
        texts = [path, query, body.decode()]
        for place, name in enumerate(ids):
            texts = [text.replace(name, f"#{place}") for text in texts]
        found.append((method, *texts, headers))
    return found


def test_results_warnings_exceptions_and_request_bytes_are_the_same_with_and_without_the_archive(tmp_path):
    seen, sent = [], []
    for archived in (False, True):
        with IBMServer(seed=7) as server, qarchive.open(tmp_path / f"lab{archived}") as archive:
            service = server.service()
            seen.append(script(archive.wrap(service) if archived else service, server))
            archive.flush()
            sent.append(without_ids(theirs(server), server))
            assert bool(ours(server)) == archived
            assert len(archive.jobs()) == (6 if archived else 0)
    same(seen[0], seen[1])
    polls = [[request for request in requests if not is_poll(request)] for requests in sent]
    assert [request[:4] for request in polls[0]] == [request[:4] for request in polls[1]]
    assert polls[0] == polls[1]


def is_poll(request):
    """How often a job is asked about depends on how long it takes."""
    method, path, *_ = request
    return method == "GET" and path.startswith("/jobs/#") and path.count("/") == 2


def test_warnings_of_the_sdk_stand_on_the_users_line(server, archive):
    service = server.service()
    bare, wrapped = service.backend("ibm_alpha"), archive.wrap(service).backend("ibm_alpha")
    circuit, places = bell(bare), []
    for sampler in (SamplerV2(bare), SamplerV2(wrapped), archive.wrap(SamplerV2(bare))):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sampler.run([(circuit, None, 5), (circuit, None, 6)]).result()
        places.append([(w.filename, w.lineno) for w in caught if "different 'shots'" in str(w.message)])
    assert places == [places[0]] * 3 and places[0][0][0] == __file__


def test_what_the_users_objects_hold_is_left_alone(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    circuit, options = bell(backend), {"environment": {"job_tags": ["a"]}, "default_shots": 5}
    untouched = copy.deepcopy(options)
    client = backend._api_client
    before = dict(client._configuration_registry), dict(client._session.headers), client._session.auth
    native = SamplerV2(backend, options=options).run([circuit])
    assert options == untouched
    assert (client._configuration_registry, client._session.auth) == (before[0], before[2])
    assert native.backend() is backend and native._service is backend.service
    native.result()
    assert isinstance(native._api_client, type(client)) and native._api_client._session is client._session
    assert copy.deepcopy(native).job_id() == native.job_id()


def test_calibrations_are_asked_for_once_a_minute(server, archive, monkeypatch):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    server.hold()
    for _ in range(3):
        sample(backend, backend)
    asked = ["/backends/ibm_alpha/configuration", "/backends/ibm_alpha/properties"]
    assert [path for _, path in ours(server)] == asked
    jobs = list(archive.jobs())
    assert len({job.folded.current.record["calibration"] for job in jobs}) == 1
    monkeypatch.setattr(ibm_wire, "CALIBRATION_AGE_S", 0.0)
    sample(backend, backend)
    assert [path for _, path in ours(server)] == [*asked, asked[1]]
    assert [job.gaps for job in archive.jobs()] == [[]] * 4


@pytest.mark.parametrize("failure", [500, 404, None])
def test_a_calibration_that_cannot_be_had_is_a_gap_and_never_a_broken_run(server, loose, failure):
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    backend.properties()
    server.fail_next(failure, path_contains="/properties")
    native = sample(backend, backend)
    assert [gap["what"] for gap in loose.job("latest").gaps] == ["calibration"]
    assert "calibration" not in loose.job("latest").folded.current.record
    native.result()
    assert loose.job("latest").status == "DONE"


def test_a_service_that_does_not_answer_is_soon_left_alone(server, loose, monkeypatch):
    monkeypatch.setattr(ibm_wire, "READ_S", 0.3)
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    circuit = bell(backend)
    wire = ibm_wire.wire(backend._api_client)
    real = ibm_wire.Wire._answer
    asked = []

    def slow(self, path, parameters, deadline):
        asked.append(path)
        raise TimeoutError("timed out")

    monkeypatch.setattr(ibm_wire.Wire, "_answer", slow)
    server.hold()
    for _ in range(3):
        SamplerV2(backend).run([circuit], shots=5)
    assert len(asked) == ibm_wire.FAILURES
    reasons = [gap["reason"] for job in loose.jobs(order="oldest") for gap in job.gaps]
    assert reasons == ["TimeoutError: timed out"] * 2 + ["not asked: the service did not answer 2 times in a row"] * 4
    monkeypatch.setattr(ibm_wire.Wire, "_answer", real)
    wire._closed_until = 0.0
    SamplerV2(backend).run([circuit], shots=5)
    assert loose.job("latest").gaps == []


def test_an_answer_that_trickles_in_is_given_up(server, loose, monkeypatch):
    monkeypatch.setattr(ibm_wire, "SOON_S", -1.0)
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    server.hold()
    sample(backend, backend)
    assert {gap["reason"] for gap in loose.job("latest").gaps} == {"TimeoutError: the answer took too long"}


def test_an_input_that_cannot_be_kept_is_a_gap_and_the_rest_is_kept(server, loose):
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    circuit = bell(backend)
    circuit.metadata = {"thing": object(), "kept": 1}
    with pytest.raises(TypeError):
        SamplerV2(backend).run([circuit], shots=5)
    job = loose.job("latest")
    assert job.status == "REFUSED"  # the SDK could not write it either
    assert job.gaps[0]["what"] == "input.metadata[0].thing"
    plain = QuantumCircuit(1, 1)
    plain.measure(0, 0)
    SamplerV2(backend).run([plain], shots=5).result()
    assert loose.job("latest").status == "DONE"
