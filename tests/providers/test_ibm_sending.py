"""Jobs that IBM refuses, and jobs of which nobody knows whether it has accepted them: never sent again, and found again."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conformance import same, unfolded
from ibm_runs import bell, estimate, lenient, observed, sample, strict, turned
from ibm_server import save_account
from qiskit_ibm_runtime import (
    Batch,
    EstimatorV2,
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    NoiseLearner,
    RuntimeProgramNotFound,
    SamplerV2,
    Session,
)
from qiskit_ibm_runtime.api.session import RetrySession
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

import qarchive
from qarchive.providers import registry
from qarchive.providers.ibm import refusals as ibm_refusals

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SERVERS = Path(__file__).parent.parent / "servers"


@pytest.fixture
def archive(tmp_path):
    with lenient(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def backend(server, archive, monkeypatch):
    made = archive.wrap(server.service()).backend("ibm_alpha")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between two tries of the SDK
    return made


def accepted(server):
    return len(server.jobs_seen)


# Refused: provably not accepted


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429])
def test_a_no_of_the_service_is_a_refusal(server, archive, backend, status):
    server.fail_next(status, path_contains="/jobs", method="POST", message="no credit left")
    with pytest.raises((IBMRuntimeError, IBMNotAuthorizedError, RuntimeProgramNotFound)) as caught:
        sample(backend, backend)
    job = archive.job("latest")
    assert (job.status, accepted(server)) == ("REFUSED", 0)
    kind = type(caught.value)
    assert job.error["type"] == f"{kind.__module__}.{kind.__qualname__}"
    if status not in (404,):
        assert "no credit left" in job.error["message"]


def test_what_the_sdk_does_not_send_is_a_refusal(server, archive, backend):
    with pytest.raises(IBMInputValueError):
        SamplerV2(backend, options={"experimental": {"image": "no-tag"}}).run([bell(backend)])
    circuit = bell(backend)
    circuit.metadata = {"thing": object()}
    with pytest.raises(TypeError):
        SamplerV2(backend).run([circuit])
    server.fail_next(400, path_contains="/instances/usage")
    with pytest.raises(Exception, match="400"):
        sample(backend, backend)
    server.fail_next(None, 10, path_contains="/status")
    with pytest.raises(Exception, match="Max retries exceeded"):
        sample(backend, backend)
    assert [job.status for job in archive.jobs()] == ["REFUSED"] * 4
    assert accepted(server) == 0


def test_a_service_that_takes_no_connection_refuses(server, archive, backend):
    circuit = bell(backend)
    status = backend.status()
    backend.status = lambda: status
    backend.service._check_instance_usage = lambda: None
    server.stop()
    with pytest.raises(IBMRuntimeError, match="Max retries exceeded"):
        SamplerV2(backend).run([circuit])
    assert archive.job("latest").status == "REFUSED"


def test_a_host_that_does_not_exist_refuses(server, archive, backend):
    circuit = bell(backend)
    client = backend._api_client
    real = client._api.program_run

    def elsewhere(**arguments):
        client._session.base_url = "http://no-such-host.invalid/api/v1"
        return real(**arguments)

    client._api.program_run = elsewhere
    with pytest.raises(IBMRuntimeError, match="no-such-host"):
        SamplerV2(backend).run([circuit])
    assert archive.job("latest").status == "REFUSED"


def test_an_expired_token_refuses(server, archive, backend):
    circuit = bell(backend)
    status = backend.status()
    backend.status = lambda: status
    backend.service._check_instance_usage = lambda: None
    server.expire_tokens()
    with pytest.raises(IBMNotAuthorizedError):
        SamplerV2(backend).run([circuit])
    job = archive.job("latest")
    assert job.status == "REFUSED"
    assert {gap["what"] for gap in job.gaps} == {"backend.configuration", "calibration"}
    assert "401" in job.gaps[0]["reason"]


def test_a_revoked_key_refuses_and_costs_nothing_that_is_archived(server, archive, backend):
    sample(backend, backend).result()
    circuit = bell(backend)
    server.revoke()
    with pytest.raises(Exception, match="401|Unauthorized|credentials"):
        SamplerV2(backend).run([circuit])
    assert [job.status for job in archive.jobs()] == ["REFUSED", "DONE"]
    assert archive.job("@2").counts()


def test_a_closed_session_refuses(server, archive, backend):
    with Session(backend) as session:
        pass
    session._active = True
    with pytest.raises(IBMRuntimeError, match="Session has been closed"):
        sample(session, backend)
    assert archive.job("latest").status == "REFUSED"


def test_an_older_error_that_the_user_deals_with_changes_nothing(server, archive, backend):
    server.fail_next(500, 10, path_contains="/jobs", method="POST")
    try:
        sample(backend, backend)
    except IBMRuntimeError:
        server._failures.clear()
        server.fail_next(400, path_contains="/jobs", method="POST")
        with pytest.raises(IBMRuntimeError):
            sample(backend, backend)
        with pytest.raises(IBMInputValueError):
            SamplerV2(backend, options={"experimental": {"image": "no-tag"}}).run([bell(backend)])
    assert [job.status for job in archive.jobs()] == ["REFUSED", "REFUSED", "SENDING"]


def test_with_on_error_raise_nothing_is_sent_that_could_not_be_recorded(server, tmp_path, monkeypatch):
    def describe(*_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(registry.named("ibm"), "describe", describe)
    with qarchive.open(tmp_path / "strict", on_error="raise") as archive:
        backend = archive.wrap(server.service()).backend("ibm_alpha")
        with pytest.raises(RuntimeError, match="no such luck"):
            sample(backend, backend)
        assert (accepted(server), len(archive.jobs())) == (0, 0)


def test_a_disk_that_takes_nothing_does_not_keep_a_job_from_being_sent(server, archive, backend, monkeypatch):
    def full(fd, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("qarchive.disk.append", full)
        native = sample(backend, backend)
    result = native.result()
    job = archive.job("latest")
    assert (job.status, job.provider_job, len(archive.jobs())) == ("DONE", native.job_id(), 1)
    same(unfolded(job.result()), unfolded(result))


# Unanswered: nobody knows


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, None])
@pytest.mark.parametrize("processed", [False, True])
def test_what_proves_nothing_leaves_the_job_sending(server, archive, backend, status, processed):
    times = 1 if status in (None, 408, 409, 425) else 10
    server.fail_next(status, times, path_contains="/jobs", method="POST", after_processing=processed)
    with pytest.raises(IBMRuntimeError):
        sample(backend, backend)
    job = archive.job("latest")
    assert (job.status, bool(accepted(server))) == ("SENDING", processed)
    assert next(record for record in job.history if record["type"] == "status")["error"]["message"]


def test_a_no_after_tries_that_got_no_answer_proves_nothing(server, archive, backend):
    server.fail_next(504, path_contains="/jobs", method="POST", after_processing=True)
    server.fail_next(400, path_contains="/jobs", method="POST")
    with pytest.raises(IBMRuntimeError):
        sample(backend, backend)
    assert (archive.job("latest").status, accepted(server)) == ("SENDING", 1)


def test_no_connection_after_tries_that_got_no_answer_proves_nothing(server, archive, backend, monkeypatch):
    circuit = bell(backend)
    real = HTTPConnectionPool._get_conn

    def connect(self, timeout=None):
        return HTTPConnection("127.0.0.1", 1) if accepted(server) else real(self, timeout)

    server.fail_next(504, path_contains="/jobs", method="POST", after_processing=True)
    monkeypatch.setattr(HTTPConnectionPool, "_get_conn", connect)
    with pytest.raises(IBMRuntimeError, match="Connection refused"):
        SamplerV2(backend).run([circuit])
    assert (archive.job("latest").status, accepted(server)) == ("SENDING", 1)


def test_an_answer_that_takes_too_long_proves_nothing(server, archive, backend, monkeypatch):
    circuit = bell(backend)
    real = RetrySession.post

    def post(self, url, **arguments):
        server.latency_s = 5.0
        return real(self, url, **{**arguments, "timeout": 0.3})

    monkeypatch.setattr(RetrySession, "post", post)
    with pytest.raises(IBMRuntimeError, match="timed out"):
        SamplerV2(backend).run([circuit])
    assert archive.job("latest").status == "SENDING"


def test_an_error_after_the_answer_proves_that_it_was_accepted(server, archive, backend, monkeypatch):
    server.hold()

    def broken(*_, **__):
        raise RuntimeError("no such luck")

    circuit = bell(backend)
    monkeypatch.setattr("qiskit_ibm_runtime.qiskit_runtime_service.RuntimeJobV2", broken)
    with pytest.raises(RuntimeError, match="no such luck"):
        SamplerV2(backend).run([circuit])
    assert (archive.job("latest").status, accepted(server)) == ("SENDING", 1)


def test_an_interrupt_proves_nothing(server, archive, backend, monkeypatch):
    circuit = bell(backend)

    def interrupted(self, url, **arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(RetrySession, "post", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SamplerV2(backend).run([circuit])
    assert archive.job("latest").status == "SENDING"


def test_nothing_is_proven_where_the_sdk_looks_other_than_known(server, archive, backend, monkeypatch):
    monkeypatch.setattr(ibm_refusals, "_ACCEPTED", "no_such_variable")
    server.fail_next(400, path_contains="/jobs", method="POST")
    with pytest.raises(IBMRuntimeError):
        sample(backend, backend)
    assert archive.job("latest").status == "SENDING"


# Found again


def unanswered(server, send, times=1):
    """Sendings that the service accepts without telling."""
    for _ in range(times):
        server.fail_next(None, path_contains="/jobs", method="POST", after_processing=True)
        with pytest.raises(IBMRuntimeError):
            send()


WAYS = {
    "sampler": lambda backend: sample(backend, backend, options={"environment": {"job_tags": ["a"]}}),
    "parameters": lambda backend: SamplerV2(backend).run([turned(backend), bell(backend, metadata={"k": (1, 2)})]),
    "estimator": lambda backend: estimate(backend, backend),
    "dry run": lambda backend: SamplerV2(backend).run([bell(backend)], shots=20, dry_run=True),
    "noise learner": lambda backend: NoiseLearner(backend, {"max_layers_to_learn": 1}).run([bell(backend)]),
    "batch": lambda backend: sample(Batch(backend), backend),
    "options": lambda backend: SamplerV2(backend, options={"default_shots": 5, "execution": {"rep_delay": 0.0003}}).run(
        [bell(backend)]
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_job_that_was_accepted_after_all_is_found(server, archive, backend, way):
    unanswered(server, lambda: way(backend))
    (job,) = [*archive.jobs(), *archive.jobs(kind="mock")]
    server.wait(server.jobs_seen[0].id)
    assert job.status == "SENDING" and accepted(server) == 1
    report = archive.recover(backend.service)
    assert (report.collected, report.unanswered, report.problems) == ([job.id], [], {})
    found = archive.job(job.id)
    assert (found.status, found.provider_job) == ("DONE", server.jobs_seen[0].id)
    assert found.result() is not None
    again = archive.recover(backend.service)
    assert not any(vars(again).values())
    assert accepted(server) == 1


def test_a_job_that_was_not_accepted_is_not_found(server, archive, backend):
    server.fail_next(None, path_contains="/jobs", method="POST")
    with pytest.raises(IBMRuntimeError):
        sample(backend, backend)
    job = archive.job("latest")
    assert archive.recover(backend.service).unanswered == [job.id]
    assert (job.status, accepted(server)) == ("SENDING", 0)


def test_jobs_that_differ_in_anything_are_not_taken_for_it(server, archive, backend):
    bare = server.service().backend("ibm_alpha")
    beta = server.service().backend("ibm_beta")
    circuit = bell(bare)
    others = [
        sample(bare, bare, shots=51),
        sample(bare, bare, options={"environment": {"job_tags": ["b"]}}),
        sample(bare, bare, options={"default_shots": 50}),
        SamplerV2(bare).run([circuit, circuit], shots=50),
        SamplerV2(beta).run([bell(beta)], shots=50),
        estimate(bare, bare),
    ]
    server.fail_next(None, path_contains="/jobs", method="POST")
    with pytest.raises(IBMRuntimeError):
        sample(backend, backend)
    assert len(archive.recover(backend.service).unanswered) == 1
    equal = sample(bare, bare)
    assert len(archive.recover(backend.service).unanswered) == 0
    assert archive.job("latest").provider_job == equal.job_id()
    assert accepted(server) == len(others) + 1


def test_equal_sendings_are_told_apart_by_their_order_and_known_jobs_are_nobodys(server, archive, backend):
    server.hold()
    first = sample(backend, backend)
    unanswered(server, lambda: sample(backend, backend), times=2)
    last = sample(backend, backend)
    archive.recover(backend.service)
    ids = [job.provider_job for job in archive.jobs(order="oldest")]
    assert ids == [job.id for job in server.jobs_seen]
    assert (ids[0], ids[-1]) == (first.job_id(), last.job_id())


def test_observables_and_precision_count(server, archive, backend):
    bare = server.service().backend("ibm_alpha")
    circuit, observables = observed(bare)
    EstimatorV2(bare).run([(circuit, observables[::-1])], precision=0.1)
    EstimatorV2(bare).run([(circuit, observables)], precision=0.2)
    unanswered(server, lambda: estimate(backend, backend))
    archive.recover(backend.service)
    assert archive.job("latest").provider_job == server.jobs_seen[-1].id


def test_a_service_that_does_not_answer_leaves_everything_as_it_is(server, archive, backend):
    unanswered(server, lambda: sample(backend, backend))
    service = backend.service
    server.stop()
    report = archive.recover(service)
    assert list(report.problems) == [archive.job("latest").id]
    assert archive.job("latest").status == "SENDING"


SUBMIT = textwrap.dedent("""
    import os, sys, signal
    sys.path[:0] = [{servers!r}, {here!r}]
    import warnings
    warnings.simplefilter("ignore")
    import qarchive
    from ibm_runs import sample
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.api.rest.runtime import Runtime

    real = Runtime.program_run
    def killed(*args, **kwargs):
        real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    Runtime.program_run = killed

    archive = qarchive.open({folder!r})
    backend = archive.wrap(QiskitRuntimeService()).backend("ibm_alpha")
    sample(backend, backend)
""")


def test_a_job_of_a_process_killed_before_it_knew_the_id_is_recovered_by_another(server, tmp_path):
    folder = str(tmp_path / "lab")
    home = server.save_account(tmp_path / "home")
    code = SUBMIT.format(servers=str(SERVERS), here=str(Path(__file__).parent), folder=folder)
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | home, stderr=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert accepted(server) == 1
    server.wait(server.jobs_seen[0].id)
    recover = f"import qarchive, json; print(json.dumps(vars(qarchive.open({folder!r}).recover())))"
    done = subprocess.run([sys.executable, "-c", recover], env=os.environ | home, check=True, capture_output=True, text=True)
    with strict(folder) as archive:
        job = archive.job("latest")
        assert json.loads(done.stdout.splitlines()[-1])["collected"] == [job.id]
        assert (job.status, job.provider_job) == ("DONE", server.jobs_seen[0].id)
        expected = server.service().job(job.provider_job).result()
        same(unfolded(job.result()), unfolded(expected))


def test_an_account_file_is_all_that_asking_needs(server, tmp_path, monkeypatch):
    for name, value in save_account(server.address, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE",
        str(tmp_path / "home" / ".qiskit" / "qiskit-ibm.json"),
    )
    with qarchive.open(tmp_path / "lab") as archive:
        backend = archive.wrap(server.service()).backend("ibm_alpha")
        native = sample(backend, backend)
        server.wait(native.job_id())
        report = archive.sync()
        assert (report.collected, report.problems) == ([archive.job("latest").id], {})
