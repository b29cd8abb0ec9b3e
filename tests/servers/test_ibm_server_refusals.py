"""How the loopback IBM server refuses, falls silent, talks nonsense and forgets, as the unmodified SDK meets it."""

import time

import ibm_server
import pytest
from ibm_jobs import QUEUED, RUNNING
from ibm_server import IBMServer
from qiskit import QuantumCircuit, transpile
from qiskit_ibm_runtime import IBMRuntimeError, RuntimeJobNotFound, SamplerV2
from requests.exceptions import JSONDecodeError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def running():
    with IBMServer(seed=7) as server:
        service = server.service()
        backend = service.backend("ibm_alpha")
        circuit = QuantumCircuit(1)
        circuit.measure_all()
        yield server, service, backend, transpile(circuit, backend, optimization_level=0)


@pytest.fixture
def server(running):
    server = running[0]
    yield server
    server.renew()
    assert server._failures == []


@pytest.fixture
def send(running):
    _, _, backend, circuit = running
    return lambda: SamplerV2(backend).run([circuit], shots=1)


def test_a_user_has_so_many_jobs_queued_and_running_and_no_more(server, send):
    server.limit(2)
    server.hold(RUNNING)
    first, _ = send(), send()
    server.wait(first.job_id(), RUNNING)
    with pytest.raises(IBMRuntimeError) as caught:
        send()
    words = "You have reached the limit of 2 pending jobs. "
    words += "Please wait for a job to complete or cancel one before submitting anything new."
    assert f"400 Client Error: Bad Request for url: {server.address}/experimental/api/v1/jobs." in str(caught.value)
    assert f'"code": 3458, "message": "{words}"' in str(caught.value)
    assert len(server.jobs_seen) == 2
    first.cancel()
    send()
    server.limit(None)
    send()
    assert len(server.jobs_seen) == 4


def test_another_user_and_another_instance_have_limits_of_their_own(server, send, running):
    server.limit(1)
    server.hold()
    send()
    circuit = running[3]
    for service in (server.service(token="another"), server.service(instance=ibm_server.OTHER_CRN)):
        SamplerV2(service.backend("ibm_beta")).run([circuit], shots=1)
    assert [job.status for job in server.jobs_seen] == [QUEUED] * 3


def test_the_nth_submission_is_refused_with_the_words_that_were_ordered(server, send):
    server.fail_submission(413, 2, code=1001, message="qObject is larger than the maximum size.")
    send()
    with pytest.raises(
        IBMRuntimeError, match='413 Client Error.*"code": 1001, "message": "qObject is larger than the maximum size'
    ):
        send()
    send()
    assert len(server.jobs_seen) == 2


def test_only_submissions_are_counted(server, send, running):
    server.hold()
    job = send()
    server.fail_submission(402, 2, message="no credit left")
    job.cancel()
    send()
    running[1].usage()
    with pytest.raises(IBMRuntimeError, match="402 .*no credit left"):
        send()


def test_requests_of_any_kind_are_let_pass_first(server, running):
    server.fail_next(400, path_contains="/usage", skip=1)
    running[1].usage()
    with pytest.raises(Exception, match="400 Client Error"):
        running[1].usage()


def test_too_many_requests_are_told_when_to_come_again(server, send, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.fail_submission(429, times=2, retry_after_s=17, code=1202, message="Too many requests.")
    server.fail_next(429, 2, path_contains="/usage", retry_after_s=17)
    for _ in range(2):
        with pytest.raises(IBMRuntimeError, match="429 Client Error.*Too many requests"):
            send()
    assert waits == [17, 17]  # the SDK waits before it asks for usage again; it does not send again
    send()
    assert len(server.jobs_seen) == 1


@pytest.mark.parametrize("accepted", [False, True])
def test_nonsense_comes_with_or_without_a_job(server, send, accepted):
    server.fail_submission(200, body="<html>Welcome to the hotel</html>", after_processing=accepted)
    with pytest.raises(JSONDecodeError):
        send()
    assert len(server.jobs_seen) == accepted


def test_a_body_that_is_not_of_ibms_form_comes_with_any_status(server, send):
    server.fail_submission(403, body={"error": {"code": 3248, "message": "Your job is too long."}})
    with pytest.raises(IBMRuntimeError, match=r"403 Client Error.*Your job is too long\., Error code: 3248"):
        send()


@pytest.mark.parametrize("accepted", [False, True])
def test_a_silence_is_longer_than_the_clients_patience_and_others_are_answered_in_it(server, accepted):
    service = server.service()
    backend = service.backend("ibm_alpha")
    circuit = transpile(QuantumCircuit(1, 1), backend, optimization_level=0)
    ibm_server.impatient(service, 0.3)
    server.fail_submission(hang_s=1.5, after_processing=accepted)
    began = time.monotonic()
    with pytest.raises(IBMRuntimeError, match=r"Read timed out\. \(read timeout=0\.3\)"):
        SamplerV2(backend).run([circuit], shots=1)
    assert service.usage()
    assert time.monotonic() - began < 1.4
    assert len(server.jobs_seen) == accepted


def test_a_lost_job_is_unknown_and_does_not_run(server, send, running):
    server.hold()
    lost, kept = send(), send()
    server.lose(lost.job_id())
    with pytest.raises(RuntimeJobNotFound):
        running[1].job(lost.job_id())
    with pytest.raises(IBMRuntimeError, match='404 Client Error.*"code": 1291'):
        lost.cancel()
    server.release()
    server.wait(kept.job_id())
    assert [job.status for job in server.jobs_seen] == [QUEUED, "Completed"]
