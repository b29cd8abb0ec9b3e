"""Why IBM has accepted nothing: what passes with time, what asks for smaller jobs, what would meet every other job, too."""

import time

import ibm_server
import pytest
from ibm_runs import bell
from ibm_server import IBMServer
from qiskit import QuantumCircuit, transpile
from qiskit_ibm_runtime import SamplerV2

from qarchive.providers import registry
from qarchive.providers.ibm import obstacles

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PENDING = "You have reached the limit of 3 pending jobs. Please wait for a job to complete or cancel one before submitting anything new."  # fmt: skip  # noqa: E501


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


def met(provider, send):
    """(whether the error of sending proves that nothing was accepted, what stood in the way)."""
    with pytest.raises(Exception) as caught:
        send()
    return provider.refused(caught.value), provider.obstacle(caught.value)


@pytest.mark.parametrize(
    "status, code, message, expected",
    [
        (429, 1202, "Too many POST /jobs requests received: the limit is 5 per minute.", "busy"),
        (429, 1000, "", "busy"),
        (400, 1208, PENDING, "busy"),
        (403, 3458, "User reached the maximum limits of concurrent jobs.", "busy"),
        (400, 1012, "The user reached the maximum number of jobs running concurrently.", "busy"),
        (403, 9999, "You have reached the maximum number of pending jobs.", "busy"),
        (403, 9999, "Too many queued workloads.", "busy"),
        (413, 1000, "", "size"),
        (400, 1001, "", "size"),
        (403, 3248, "Your job is too long.", "size"),
        (400, 9999, "Too many experiments given (400 > 300).", "size"),
        (400, 9999, "Failed to publish job: nats: maximum payload exceeded", "size"),
        (400, 9999, "The number of executions exceeds 10000000: circuits 3000, shots 4096.", "size"),
        (401, 1201, "Invalid credentials.", "denied"),
        (403, 1200, "You are not authorized to perform this action.", "denied"),
        (403, 9999, "The account is suspended.", "denied"),
        (400, 1200, "You are not authorized to perform this action.", "denied"),
        (400, 1003, "Error in transpilation process.", ""),
        (400, 1007, "Backend not found.", ""),
        (400, 1208, "Request validation of body failed, because: ...", ""),
        (400, 1217, "Session has been closed.", ""),
        (400, 9999, "The number of qubits is higher than the device has.", ""),
        (402, 9999, "no credit left", ""),
        (403, 4317, "You have exceeded your monthly quota.", ""),
        (404, 1290, "Program sampler not found.", ""),
        (409, 9999, "Usage exceeds instance limit", ""),
    ],
)
def test_an_answer_says_why_nothing_was_accepted(server, provider, send, status, code, message, expected):
    server.fail_submission(status, code=code, message=message)
    assert met(provider, send) == (True, expected)
    assert server.jobs_seen == []


def test_the_limit_of_pending_jobs_is_busy_until_one_ends(server, provider, send):
    server.limit(2)
    server.hold()
    jobs = [send(), send()]
    assert met(provider, send) == (True, "busy")
    jobs[0].cancel()
    send()
    assert len(server.jobs_seen) == 3


@pytest.mark.parametrize(
    "status, body, expected",
    [
        (413, "<html><h1>413 Request Entity Too Large</h1></html>", "size"),
        (403, "<html>Forbidden</html>", "denied"),
        (400, "<html>limit of pending jobs</html>", ""),  # the words of somebody on the way say nothing
        (400, {"errors": []}, ""),
        (400, {"errors": ["too many jobs"]}, ""),
        (400, {"error": {"code": 3458, "message": ""}}, "busy"),
        (400, {"errors": [{"code": "1202"}]}, "busy"),
        (429, "", "busy"),
    ],
)
def test_answers_of_other_forms_are_told_by_their_status(server, provider, send, status, body, expected):
    server.fail_submission(status, body=body)
    assert met(provider, send) == (True, expected)


def test_a_conflict_that_says_nothing_of_time_proves_nothing(server, provider, send):
    server.fail_submission(409, message="A job like this is there already.")
    assert met(provider, send)[0] is False


def test_nonsense_and_silence_prove_nothing(server, provider):
    service = server.service()
    ibm_server.impatient(service, 0.2)
    backend = service.backend("ibm_alpha")
    circuit = bell(backend)
    for how in ({"status": 200, "body": "<html>Welcome</html>"}, {"hang_s": 0.6}, {}):
        server.fail_submission(**how)
        assert met(provider, lambda: SamplerV2(backend).run([circuit], shots=1))[0] is False


@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_questions_before_the_job_that_get_no_answer_are_busy(server, provider, send, unhurried, status):
    server.fail_next(status, 6, path_contains="/usage")
    assert met(provider, send) == (True, "busy")


@pytest.mark.parametrize("status, expected", [(400, ""), (401, "denied"), (403, "denied")])
def test_questions_before_the_job_are_refused_like_the_job(server, provider, send, status, expected):
    server.fail_next(status, path_contains="/usage")
    assert met(provider, send) == (True, expected)


def test_the_sdk_waits_as_long_as_it_is_told_before_it_asks_again_and_never_sends_again(server, provider, send, unhurried):
    server.fail_next(429, 2, path_contains="/usage", retry_after_s=17)
    server.fail_submission(429, retry_after_s=99)
    assert met(provider, send) == (True, "busy")
    assert unhurried == [17, 17]


def test_a_service_that_takes_no_connection_is_busy(provider, unhurried):
    with IBMServer() as gone:
        service = gone.service()
        backend = service.backend("ibm_alpha")
        circuit = bell(backend)
    backend.properties = lambda *_, **__: None
    assert met(provider, lambda: SamplerV2(backend).run([circuit], shots=1)) == (True, "busy")


@pytest.mark.parametrize("address, expected", [("http://no-such-host.invalid", "busy"), ("nonsense://x", ""), ("http://", "")])
def test_an_address_where_nobody_is_may_be_there_later_and_no_address_never_is(server, provider, unhurried, address, expected):
    service = server.service()
    backend = service.backend("ibm_alpha")
    circuit = bell(backend)
    service._active_api_client._session.base_url = address
    assert met(provider, lambda: SamplerV2(backend).run([circuit], shots=1)) == (True, expected)


def test_what_the_sdk_refuses_to_send_is_no_obstacle_for_others(running, provider):
    _, service, backend, _ = running
    wide = transpile(QuantumCircuit(2, 2), basis_gates=["rxx", "h"], optimization_level=0)
    wide.rxx(0.1, 0, 1)
    assert met(provider, lambda: SamplerV2(backend).run([wide])) == (True, "")
    assert met(provider, lambda: service._run("sampler", {}, options={"backend": "ibm_gone"})) == (True, "")


def test_an_older_error_that_the_user_deals_with_is_not_the_reason(server, provider, send, running):
    backend = running[2]
    server.fail_submission(429)

    def sent_again():
        try:
            send()
        except Exception:
            SamplerV2(backend).run([QuantumCircuit(9)])

    assert met(provider, sent_again) == (True, "")


@pytest.mark.parametrize("status, expected", [(500, "busy"), (400, ""), (405, ""), (499, "")])
def test_a_status_alone(status, expected):
    assert obstacles.of_answer(status, []) == expected
