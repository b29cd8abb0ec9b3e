"""What IBM's cloud is asked and told for jobs in groups: for a device by its name, to cancel, to close; and what jobs cost."""

import time

import pytest
from ibm_jobs import CANCELLED, COMPLETED, QUEUED, RUNNING
from ibm_runs import OURS, bell, strict, theirs
from ibm_server import CRN, OTHER_CRN, IBMServer
from qiskit_ibm_runtime import Batch, IBMBackend, SamplerV2, Session

from qarchive.errors import BadInput, NotAnswered, NotFound
from qarchive.providers import registry
from qarchive.providers.base import Origin
from qarchive.providers.ibm import wire
from qarchive.providers.ibm.fetching import instance_digest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
DENIED = "IBM Quantum: it refuses access with these credentials; log in again: `QiskitRuntimeService.save_account(...)`"


@pytest.fixture(scope="module")
def running():
    """A server and a service that serve all tests here: to start one takes longer than most of them."""
    with IBMServer(seed=7) as server:
        service = server.service()
        backend = service.backend("ibm_alpha")
        yield server, service, backend, bell(backend)


@pytest.fixture
def server(running):
    server = running[0]
    yield server
    server.renew()
    assert server._failures == []


@pytest.fixture
def service(running):
    return running[1]


@pytest.fixture
def send(running):
    _, _, backend, circuit = running
    return lambda mode=None: SamplerV2(mode or backend).run([circuit], shots=1)


@pytest.fixture
def provider():
    return registry.named("ibm")


@pytest.fixture
def unhurried(monkeypatch):
    """The SDK's waits between two tries, in no time; how long they would have been."""
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


# Devices


def unlike_ours(server):
    return [(method, path) for method, path, *_ in theirs(server)]


def test_a_device_comes_through_the_service_that_was_given(server, provider, service, running):
    before = {name: id(value) for name, value in vars(service).items()}
    configurations = dict(service._backend_configs)
    found = provider.device(service, "ibm_alpha")
    assert (type(found), found.name, found.service is service, found._instance) == (IBMBackend, "ibm_alpha", True, CRN)
    assert {name: id(value) for name, value in vars(service).items()} == before
    assert service._backend_configs == configurations
    job = SamplerV2(found).run([running[3]], shots=1)
    assert (job._service is service, server.jobs_seen[0].id) == (True, job.job_id())


def test_a_device_of_a_recorded_service_records(server, provider, service, tmp_path, running):
    with strict(tmp_path / "lab") as archive:
        recorded = archive.wrap(service)
        found = provider.device(recorded, "ibm_alpha")
        job = SamplerV2(found).run([running[3]], shots=1)
        assert (found.service is recorded, archive.job("latest").provider_job) == (True, job.job_id())
        assert [kept.provider_job for kept in found.jobs()] == [job.job_id()]


def test_a_device_of_another_instance_leaves_the_active_one(server, provider):
    service = server.service(instance=None)
    service.backend("ibm_alpha")
    assert service.active_instance() == CRN
    server.add_device("ibm_gamma", "manila", (OTHER_CRN,))
    service._backend_instance_groups = []
    found = provider.device(service, "ibm_gamma")
    assert (found._instance, service.active_instance()) == (OTHER_CRN, CRN)
    job = SamplerV2(found).run([bell(found)], shots=1)
    assert job.instance == OTHER_CRN
    server.wait(job.job_id())
    del server.devices["ibm_gamma"], server.devices["mock_gamma"]


def test_a_device_has_all_gates_that_a_circuit_may_have_been_made_with(server, provider, service, monkeypatch):
    configuration = server.devices["ibm_alpha"].configuration
    fractional = [*configuration["basis_gates"], "rzz"]
    gate = {"name": "rzz", "parameters": ["t"], "qasm_def": "gate rzz(t) a, b { }", "coupling_map": configuration["coupling_map"]}
    monkeypatch.setitem(configuration, "basis_gates", fractional)
    monkeypatch.setitem(configuration, "gates", [*configuration["gates"], gate])
    fresh = server.service()
    assert "rzz" not in fresh.backend("ibm_alpha").basis_gates
    assert "rzz" in provider.device(fresh, "ibm_alpha").basis_gates
    assert "rzz" not in fresh.backend("ibm_alpha").basis_gates


def test_the_mock_of_a_device_is_a_device(provider, service):
    found = provider.device(service, "mock_alpha")
    assert (found.name, found.is_mock) == ("mock_alpha", True)


@pytest.mark.parametrize("name", ["ibm_gone", "", "ibm_alph", "ibm_alpha/../x"])
def test_a_device_that_is_not_there_is_not_found(provider, service, name):
    with pytest.raises(NotFound) as caught:
        provider.device(service, name)
    said = f"the device {name} is not in IBM Quantum; it was retired, or belongs to another account or instance"
    assert str(caught.value) == said


def test_a_retired_device_is_not_found(server, provider, service):
    server.retire("ibm_beta")
    try:
        with pytest.raises(NotFound) as caught:
            provider.device(service, "ibm_beta")
    finally:
        server.devices["ibm_beta"].retired = False
    assert str(caught.value) == (
        "the device ibm_beta is not in IBM Quantum; it was retired, or belongs to another account or instance"
    )


def test_a_device_behind_a_closed_door_is_refused(server, provider):
    service = server.service()
    server.fail_next(403, 2, path_contains="/backends")
    with pytest.raises(BadInput) as caught:
        provider.device(service, "ibm_alpha")
    assert str(caught.value) == DENIED


def test_a_device_of_a_service_that_does_not_answer_may_be_there(server, provider, unhurried):
    service = server.service()
    server.fail_next(None, 7, path_contains="/backends")
    with pytest.raises(NotAnswered) as caught:
        provider.device(service, "ibm_alpha")
    assert str(caught.value).startswith("1 job could not be asked about: ConnectionError: ('Connection aborted.'")


def test_a_device_that_the_sdk_cannot_make_is_bad_input(server, provider):
    service = server.service()
    server.fail_next(400, path_contains="/configuration")
    with pytest.raises(BadInput) as caught:
        provider.device(service, "ibm_alpha")
    assert str(caught.value) == (
        "the device ibm_alpha: the account has it, and the SDK makes no backend of it; "
        "try again, or install a newer qiskit-ibm-runtime"
    )


# Room


def test_nothing_says_how_many_more_jobs_there_is_room_for(server, provider, service, running):
    server.limit(1)
    server.requests.clear()
    assert provider.room(service, running[2]) is None
    assert server.requests == []


# Cancelling


@pytest.mark.parametrize("status", [QUEUED, RUNNING])
def test_a_job_is_cancelled(server, provider, service, send, status):
    server.hold(status)
    job = send()
    server.wait(job.job_id(), status)
    active, before = service._active_api_client, unlike_ours(server)
    provider.cancel(service, job.job_id())
    assert (server.jobs_seen[0].status, job.status()) == (CANCELLED, "CANCELLED")
    assert service._active_api_client is active
    assert [request for request in unlike_ours(server) if request not in before] == [("GET", f"/jobs/{job.job_id()}")]
    (asked,) = [request for request in server.requests if request.path.endswith("/cancel")]
    assert asked.headers["User-Agent"] == OURS


def test_a_job_that_has_ended_is_not_cancelled(server, provider, service, send):
    job = send()
    server.wait(job.job_id(), COMPLETED)
    with pytest.raises(BadInput) as caught:
        provider.cancel(service, job.job_id())
    assert str(caught.value) == (
        f"job {job.job_id()}: it cannot be cancelled any more; "
        f"IBM says: Job {job.job_id()} is in a final state (Completed) and cannot be cancelled."
    )


@pytest.mark.parametrize("job_id", ["d0000000000000000000", "../sessions"])
def test_a_job_that_nobody_knows_is_not_cancelled(provider, service, job_id):
    with pytest.raises(NotFound) as caught:
        provider.cancel(service, job_id)
    assert str(caught.value) == (f"job {job_id} is not in IBM Quantum; it was deleted, or belongs to another account or instance")


def test_a_lost_job_is_not_cancelled(server, provider, service, send):
    server.hold()
    job = send()
    server.lose(job.job_id())
    with pytest.raises(NotFound, match="it was deleted, or belongs to another account or instance"):
        provider.cancel(service, job.job_id())


def test_a_job_of_another_instance_is_cancelled_where_it_is_with_few_questions(server, provider, running):
    service = server.service(instance=None)
    server.hold()
    jobs = [SamplerV2(service.backend("ibm_beta", instance=OTHER_CRN)).run([running[3]], shots=1) for _ in range(2)]
    active = service.backend("ibm_alpha") and service.active_instance()
    server.requests.clear()
    provider.cancel(service, jobs[0].job_id())
    assert [request.path.rpartition("/")[2] for request in server.requests] == ["cancel", "cancel"]
    server.requests.clear()
    provider.cancel(service, jobs[1].job_id(), Origin("ibm_beta", instance_digest(OTHER_CRN)))
    assert [request.path.rpartition("/")[2] for request in server.requests] == ["cancel"]
    assert {job.status for job in server.jobs_seen} == {CANCELLED}
    assert service.active_instance() == active


@pytest.mark.parametrize(
    "status, error, said",
    [
        (401, BadInput, DENIED),
        (403, BadInput, DENIED),
        (400, BadInput, "job {}: it cannot be cancelled any more; IBM says: not now"),
        (429, NotAnswered, "1 job could not be asked about: not now"),
        (500, NotAnswered, "1 job could not be asked about: not now"),
    ],
)
def test_a_refusal_to_cancel_says_why(server, provider, service, send, status, error, said):
    server.hold()
    job = send()
    server.fail_next(status, path_contains="/cancel", message="not now")
    with pytest.raises(error) as caught:
        provider.cancel(service, job.job_id())
    assert str(caught.value) == said.format(job.job_id())
    assert server.jobs_seen[0].status == QUEUED


def test_a_cancellation_that_gets_no_answer_may_have_been_one(server, provider, service, send, monkeypatch):
    monkeypatch.setattr(wire, "PATIENT_S", 0.2)
    server.hold()
    job = send()
    server.fail_next(path_contains="/cancel", hang_s=0.5)
    with pytest.raises(NotAnswered) as caught:
        provider.cancel(service, job.job_id())
    assert str(caught.value) == (
        "1 job could not be asked about: ReadTimeout: HTTPConnectionPool(host='127.0.0.1', "
        f"port={server.address.rpartition(':')[2]}): Read timed out. (read timeout=0.2)"
    )


# Sessions and batches


@pytest.mark.parametrize("kind", [Batch, Session])
def test_what_was_opened_is_closed_and_its_jobs_run_on(server, provider, service, running, send, kind):
    server.hold()
    opened = kind(running[2])
    job = send(opened)
    active = service._active_api_client
    provider.close(service, opened.session_id)
    assert (opened.details()["accepting_jobs"], service._active_api_client is active) == (False, True)
    assert server.jobs_seen[0].status == QUEUED
    server.release()
    server.wait(job.job_id(), COMPLETED)
    assert server.sessions[opened.session_id].state == "closed"
    provider.close(service, opened.session_id)  # twice is once


def test_a_batch_of_another_instance_is_closed_where_it_is(server, provider):
    service = server.service(instance=None)
    batch = Batch(service.backend("ibm_beta", instance=OTHER_CRN))
    service.backend("ibm_alpha")
    provider.close(service, batch.session_id)
    assert (server.sessions[batch.session_id].accepting, service.active_instance()) == (False, CRN)


def test_a_session_that_nobody_knows_is_not_closed(provider, service):
    with pytest.raises(NotFound) as caught:
        provider.close(service, "s-0")
    assert str(caught.value) == (
        "the session or batch s-0 is not in IBM Quantum; it was deleted, or belongs to another account or instance"
    )


def test_a_refusal_to_close_says_why(server, provider, service):
    for status, error, said in (
        (400, BadInput, "the session or batch s-0: it cannot be closed; IBM says: not now"),
        (403, BadInput, DENIED),
        (502, NotAnswered, "1 job could not be asked about: not now"),
    ):
        server.fail_next(status, path_contains="/sessions", message="not now")
        with pytest.raises(error) as caught:
            provider.close(service, "s-0")
        assert str(caught.value) == said


# Cost


@pytest.mark.parametrize(
    "usage, expected",
    [
        ({"quantum_seconds": 3, "seconds": 9}, 3.0),
        ({"quantum_seconds": 2.5, "bss_seconds": 9}, 2.5),
        ({"quantum_seconds": 0}, 0.0),
        ({"seconds": 9, "bss_seconds": 9}, None),
        ({"quantum_seconds": None}, None),
        ({"quantum_seconds": "3"}, None),
        ({}, None),
    ],
)
def test_what_a_job_cost_are_its_seconds_on_the_device(provider, usage, expected):
    assert provider.cost(usage) == expected


def test_what_an_archived_job_cost_is_in_its_usage(server, provider, service, tmp_path, running):
    with strict(tmp_path / "lab") as archive:
        job = SamplerV2(archive.wrap(service).backend("ibm_alpha")).run([running[3]], shots=1)
        job.result()
        assert provider.cost(archive.job("latest").outcome["usage"]) == float(server.jobs_seen[0].quantum_s) > 0
