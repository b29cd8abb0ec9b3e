"""Jobs that Quandela's cloud refuses, and jobs of which nobody knows whether it accepted them; and no secret is kept."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import perceval as pcvl
import pytest
import requests
from perceval.providers.quandela.rpc_handler import RPCHandler
from perceval.runtime import ExecutionFactory
from perceval_runs import done, everything, executed, experiment, lenient, prepared, same, sent, set_up, strict

import qarchive
from qarchive.providers import registry
from qarchive.providers.perceval import platforms

HERE = Path(__file__).parent
UNSURE = "sending it got no answer, so it may or may not run; `qarchive recover` looks for it"


@pytest.fixture
def archive(tmp_path):
    with lenient(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def processor(quandela, archive):
    return set_up(archive.wrap(quandela.remote_processor()))


def execution(quandela, archive):
    """A way to send through the newer classes."""
    factory = ExecutionFactory(archive.wrap(quandela.computer()), experiment(), max_shots_per_call=1000)
    return lambda: factory.sample_count.execute_async(max_samples=20)


# Refused: provably not accepted


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429])
def test_a_no_of_the_service_is_a_refusal(quandela, archive, processor, status):
    quandela.fail_next(status, path_contains="/api/job", method="POST", message="no credit left")
    with pytest.raises(requests.HTTPError) as caught:
        sent(processor)
    (job,) = archive.jobs()
    assert (job.status, len(quandela.jobs)) == ("REFUSED", 0)
    assert job.error == {"type": "requests.exceptions.HTTPError", "message": str(caught.value)}
    assert "no credit left" in job.error["message"]
    assert job.input.input_state == pcvl.BasicState([1, 1])
    assert archive.recover(quandela.rpc_handler()).unanswered == []


def test_a_plan_that_allows_no_more_is_a_refusal(quandela, archive, processor):
    quandela.limit(1)
    quandela.hold()
    sent(processor)
    with pytest.raises(requests.HTTPError, match="429"):
        sent(processor)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "QUEUED"]


def test_a_refused_execution_is_a_refusal(quandela, archive):
    send = execution(quandela, archive)
    quandela.fail_next(400, path_contains="/api/job", method="POST", message="no")
    with pytest.raises(requests.HTTPError):
        send()
    assert [job.status for job in archive.jobs()] == ["REFUSED"]


def test_a_revoked_token_refuses_and_costs_nothing_that_is_archived(quandela, archive, processor):
    native = done(quandela, sent(processor))
    results = native.get_results()
    job, unsent = prepared(processor), archive.job("latest")
    quandela.expire_tokens()
    with pytest.raises(requests.HTTPError, match="401"):
        job.execute_async(20)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "DONE"]
    assert {gap["what"] for gap in archive.job("latest").gaps} == {"calibration"}
    same(unsent.result(), results)
    assert unsent.input.input_state == pcvl.BasicState([1, 1])
    assert unsent.calibrations[0].value["details"]["perfs"]["HOM (%)"] == 92.0


def test_a_service_that_takes_no_connection_refuses(quandela, archive, processor):
    job = prepared(processor)
    quandela.stop()
    with pytest.raises(requests.ConnectionError):
        job.execute_async(20)
    assert archive.job("latest").status == "REFUSED"


def test_a_host_that_does_not_exist_refuses(quandela, archive, processor):
    job = prepared(processor)
    job._rpc_handler.url = "http://no-such-host.invalid"
    with pytest.raises(requests.ConnectionError):
        job.execute_async(20)
    assert archive.job("latest").status == "REFUSED"


def test_what_perceval_does_not_send_is_no_job(quandela, archive, processor):
    with pytest.raises(RuntimeError, match="Unused parameters"):
        prepared(processor).execute_async(20, nonsense=1)
    assert len(archive.jobs()) == 0
    job = prepared(processor)
    job._request_data["payload"]["extra"] = object()
    with pytest.raises(TypeError, match="JSON serializable"):
        job.execute_async(20)
    job = prepared(processor)
    job._rpc_handler.url = "nowhere"
    with pytest.raises(requests.exceptions.MissingSchema):
        job.execute_async(20)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "REFUSED"]
    assert quandela.jobs == {}


def test_with_on_error_raise_nothing_is_sent_that_could_not_be_recorded(quandela, tmp_path, monkeypatch):
    def describe(*_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(registry.named("perceval"), "describe", describe)
    with qarchive.open(tmp_path / "strict", on_error="raise") as archive:
        processor = set_up(archive.wrap(quandela.remote_processor()))
        with pytest.raises(RuntimeError, match="no such luck"):
            sent(processor)
        assert (len(quandela.jobs), len(archive.jobs())) == (0, 0)


def test_an_input_that_cannot_be_captured_is_a_gap_and_never_a_broken_run(quandela, archive, processor, monkeypatch):
    def describe(*_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(registry.named("perceval"), "describe", describe)
    results = done(quandela, sent(processor)).get_results()
    job = archive.job("latest")
    assert (job.status, job.gaps) == ("DONE", [{"what": "input", "reason": "RuntimeError: no such luck"}])
    same(job.result(), results)


def test_a_disk_that_takes_nothing_does_not_keep_a_job_from_being_sent(quandela, archive, processor, monkeypatch):
    def full(fd, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("qarchive.disk.append", full)
        native = sent(processor)
    results = done(quandela, native).get_results()
    (job,) = archive.jobs()
    assert (job.status, job.provider_job) == ("DONE", native.id)
    same(job.result(), results)


# Unanswered: nobody knows


@pytest.mark.parametrize("processed", [False, True])
@pytest.mark.parametrize("status", [408, 409, 425, 499, 500, 502, 503, 504, None])
def test_what_proves_nothing_leaves_the_job_sending(quandela, archive, processor, status, processed):
    quandela.fail_next(status, path_contains="/api/job", method="POST", after_processing=processed)
    with pytest.raises(requests.RequestException) as caught:
        sent(processor)
    (job,) = archive.jobs()
    assert (job.status, len(quandela.jobs), job.provider_job) == ("SENDING", int(processed), None)
    assert next(record for record in job.history if record["type"] == "status")["error"]["message"] == str(caught.value)
    assert sum(request.method == "POST" for request in quandela.requests) == 1  # and never sent again


def test_an_unanswered_job_is_told_of_once(quandela, tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        processor = set_up(archive.wrap(quandela.remote_processor()))
        quandela.drop_next(path_contains="/api/job", method="POST", after_processing=True)
        with pytest.warns(qarchive.ArchiveWarning) as caught, pytest.raises(requests.ConnectionError):
            sent(processor)
        assert [str(warning.message) for warning in caught] == [f"job {archive.job('latest').id}: {UNSURE}"]


def test_an_answer_that_takes_too_long_proves_nothing(quandela, archive, processor):
    job = prepared(processor)
    quandela.fail_next(400, 10, path_contains="/api/platform")
    job._rpc_handler.request_timeout = 0.2
    quandela.latency_s = 0.6
    with pytest.raises(requests.Timeout):
        job.execute_async(20)
    quandela.latency_s = 0.0
    assert archive.job("latest").status == "SENDING"


def test_an_answer_that_is_none_proves_nothing(quandela, archive, processor, monkeypatch):
    job = prepared(processor)
    monkeypatch.setattr(RPCHandler, "post_request", lambda self, endpoint, payload: {"error": "not what was asked for"})
    with pytest.raises(AssertionError, match="Missing job_id field"):
        job.execute_async(20)
    assert archive.job("latest").status == "SENDING"


def test_an_interrupt_proves_nothing(quandela, archive, processor, monkeypatch):
    job = prepared(processor)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(RPCHandler, "post_request", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job.execute_async(20)
    assert archive.job("latest").status == "SENDING"


def test_an_unanswered_execution_stays_sending(quandela, archive):
    send = execution(quandela, archive)
    quandela.drop_next(path_contains="/api/job", method="POST", after_processing=True)
    with pytest.raises(requests.ConnectionError):
        send()
    assert (archive.job("latest").status, len(quandela.jobs)) == ("SENDING", 1)


def test_recover_finds_nothing_where_the_service_lists_nothing_and_sends_nothing(quandela, archive, processor):
    quandela.drop_next(path_contains="/api/job", method="POST", after_processing=True)
    with pytest.raises(requests.ConnectionError):
        sent(processor)
    job = archive.job("latest")
    quandela.requests.clear()
    assert archive.recover(quandela.rpc_handler()).unanswered == archive.sync(quandela.rpc_handler()).unanswered == [job.id]
    assert quandela.requests == []
    (job_id,) = quandela.jobs
    quandela.wait()
    assert archive.fetch(quandela.rpc_handler(), job_id).status == "DONE"


def test_a_rerun_that_gets_no_answer_is_an_attempt_that_is_being_sent(quandela, archive, processor):
    quandela.break_next("The laser is off")
    native = done(quandela, sent(processor))
    quandela.drop_next(path_contains="/rerun/", after_processing=True)
    with pytest.raises(requests.ConnectionError):
        native.rerun()
    (job,) = archive.jobs()
    assert [attempt.status for attempt in job.folded.attempts] == ["ERROR", "SENDING"]
    quandela.fail_next(400, path_contains="/rerun/", message="no")
    with pytest.raises(requests.HTTPError):
        native.rerun()
    assert [attempt.status for attempt in job.folded.attempts][:2] == ["ERROR", "SENDING"]


KILLED = """
import sys, time
sys.path[:0] = sys.argv[2:]
import perceval as pcvl
import requests
import qarchive
from perceval_runs import sent, set_up
archive = qarchive.open(sys.argv[1])
processor = set_up(archive.wrap(pcvl.RemoteProcessor("qpu:altair")))
real = requests.post

def post(*args, **kwargs):
    if WHEN == "after":
        real(*args, **kwargs)
    print("sent", flush=True)
    time.sleep(100)

requests.post = post
sent(processor)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_between_sending_and_the_answer_leaves_the_job_sending(quandela, tmp_path, when):
    environment = os.environ | quandela.save_config(tmp_path / "home")
    command = [sys.executable, "-c", KILLED.replace("WHEN", repr(when)), tmp_path / "lab", HERE]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "sent\n"
        os.kill(process.pid, signal.SIGKILL)
    assert len(quandela.jobs) == (when == "after")
    with strict(tmp_path / "lab") as archive:
        (job,) = archive.jobs()
        assert (job.status, job.backend, job.input.input_state) == ("SENDING", "qpu:altair", pcvl.BasicState([1, 1]))
        assert [calibration.phase for calibration in job.calibrations] == ["submit"]
        assert archive.sync(quandela.rpc_handler()).unanswered == [job.id]
        assert not archive.verify(deep=True).damaged


# Questions about the platform


def test_details_that_do_not_come_are_a_gap_and_the_job_is_sent(quandela, tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        job = prepared(set_up(archive.wrap(quandela.remote_processor())))
        quandela.fail_next(500, 10, path_contains="/api/platform")
        with pytest.warns(qarchive.ArchiveWarning) as caught:
            job.execute_async(20)
        said = "sim:altair was asked for its details and did not answer: HTTPError: "
        (warning,) = caught
        assert str(warning.message).startswith(f"calibration is not archived: {said}")
        quandela._failures.clear()
        results = done(quandela, job).get_results()
        archived = archive.job("latest")
        assert archived.gaps[0]["what"] == "calibration" and archived.gaps[0]["reason"].startswith(said)
        assert [calibration.phase for calibration in archived.calibrations] == ["retrieval"]
        same(archived.result(), results)


def test_a_platform_that_retired_has_no_calibration_of_the_retrieval(quandela, tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        native = sent(set_up(archive.wrap(quandela.remote_processor())))
        quandela.retire("sim:altair")
        quandela.wait()
        with pytest.warns(qarchive.ArchiveWarning, match="calibration.retrieval is not archived: sim:altair was asked"):
            results = done(quandela, native).get_results()
        job = archive.job("latest")
        assert [calibration.phase for calibration in job.calibrations] == ["submit"]
        same(job.result(), results)


def test_details_that_take_too_long_hold_nobody_up_and_are_not_waited_for_again(quandela, archive, processor, monkeypatch):
    monkeypatch.setattr(platforms, "TIMEOUT_S", 0.2)
    jobs = [prepared(processor) for _ in range(3)]
    real = RPCHandler.get_request
    asked = []

    def slow(self, endpoint):
        asked.append(endpoint)
        quandela.latency_s = 1.0
        try:
            return real(self, endpoint)
        finally:
            quandela.latency_s = 0.0

    monkeypatch.setattr(RPCHandler, "get_request", slow)
    took = []
    for job in jobs:
        before = time.monotonic()
        job.execute_async(20)
        took.append(time.monotonic() - before)
    assert len(asked) == platforms.FAILURES == 2
    assert max(took) < 3
    reasons = [archived.gaps[0]["reason"] for archived in archive.jobs(order="oldest")]
    assert "ReadTimeout" in reasons[0] and "ReadTimeout" in reasons[1]
    assert reasons[2].endswith("TimeoutError: it did not answer the last times, and is not asked again for a minute")
    assert all(job._rpc_handler.request_timeout == 10 for job in jobs)
    monkeypatch.setattr(platforms.time, "monotonic", lambda: took[0] + 1e9)
    monkeypatch.setattr(RPCHandler, "get_request", real)
    sent(processor)
    assert archive.job("latest").gaps == []


def test_nothing_is_asked_of_the_cloud_behind_its_users_back(quandela, archive, processor):
    native = sent(processor)
    quandela.wait()
    quandela.requests.clear()
    archive.job("latest").status, archive.jobs()[0].history
    archive.flush()
    assert quandela.requests == []
    native.status, native.status
    assert [request.path for request in quandela.requests] == [f"/api/job/status/{native.id}"]
    native.get_results()
    assert [request.path for request in quandela.requests[1:]] == [
        f"/api/job/result/{native.id}",
        "/api/platforms/sim%3Aaltair/processor",
        "/api/platform/sim%3Aaltair",
    ]
    quandela.requests.clear()
    native.get_results()
    archive.job("latest").result()
    assert quandela.requests == []


# Secrets

PASSWORD = "s3cr3t-of-the-proxy"


def test_no_secret_reaches_a_pack(quandela, archive):
    token = quandela.token
    proxies = {"http": f"http://someone-there:{PASSWORD}@127.0.0.1:{quandela.url.rpartition(':')[2]}"}
    wrapped = set_up(archive.wrap(quandela.remote_processor(proxies=proxies)))
    job = prepared(wrapped)
    job.name = f"named {token}"
    with archive.context(tags=[token], params={"token": "hunter22", "note": f"Bearer {token}"}):
        job.execute_async(20)
    done(quandela, job).get_results()
    quandela.break_next(f"Error: {token} via {proxies['http']}")
    done(quandela, sent(wrapped))
    quandela.fail_next(400, path_contains="/api/job", method="POST", message=f"{token} may not; {proxies['http']}")
    with pytest.raises(requests.HTTPError, match=token):
        sent(wrapped)
    quandela.fail_next(500, path_contains="/api/job", method="POST", message=f"{token} {proxies['http']}")
    with pytest.raises(requests.HTTPError, match=token):
        sent(wrapped)
    job = prepared(wrapped)
    quandela.fail_next(500, 2, path_contains="/api/platform", message=f"{token} {proxies['http']}")
    done(quandela, job.execute_async(20)).get_results()
    quandela.platforms["sim:altair"].perfs["note"] = f"for {token}"
    done(quandela, sent(wrapped)).get_results()
    executed(quandela, archive.wrap(quandela.computer())).get_results()
    unarchived = done(quandela, sent(set_up(quandela.remote_processor(token=quandela.issue_token(), proxies=proxies))))
    archive.record(unarchived)
    archive.fetch(quandela.rpc_handler(), done(quandela, sent(set_up(quandela.remote_processor()))).id)
    archive.sync(quandela.rpc_handler())
    secrets = [token, quandela.token, PASSWORD, "someone-there", "hunter22", f"Bearer {token}"]
    blobs = everything(archive)
    assert len(blobs) > 30 and len(archive.jobs()) == 9
    for data in blobs:
        assert [secret for secret in secrets if secret.encode() in data] == [], data[:300]


def test_a_group_of_perceval_s_keeps_its_own_files_and_the_archive_none_of_their_secrets(quandela, archive):
    quandela.configure()
    group = pcvl.JobGroup("secretive")
    group.add(prepared(set_up(pcvl.RemoteProcessor("sim:altair"))), max_samples=10)
    archive.wrap(group).run_parallel()
    group.get_results()
    assert quandela.token in Path(group._file_path).read_text("utf-8")  # Perceval's own doing
    assert not any(quandela.token.encode() in data for data in everything(archive))


# Nothing else changes


def test_random_state_and_logs_are_left_alone(quandela, archive, caplog):
    caplog.set_level(logging.DEBUG)
    states = []
    for wrap in (lambda native: native, archive.wrap):
        pcvl.random_seed(5)
        processor = set_up(wrap(quandela.remote_processor("qpu:altair")))
        done(quandela, sent(processor, "probs")).get_results()
        states.append((random.getstate(), str(np.random.get_state()), pcvl.Processor("SLOS", experiment()).samples(30)))
    assert states[0][:2] == states[1][:2] and str(states[0][2]) == str(states[1][2])
    assert not [record for record in caplog.records if record.name.startswith("qarchive")]


def test_exceptions_are_the_same_with_and_without_the_archive(quandela, archive):
    seen = []
    for wrap in (lambda native: native, archive.wrap):
        processor = set_up(wrap(quandela.remote_processor()))
        quandela.fail_next(400, path_contains="/api/job", method="POST", message="no")
        with pytest.raises(requests.HTTPError) as refused:
            sent(processor)
        quandela.break_next("The laser is off")
        native = done(quandela, sent(processor))
        with pytest.raises(RuntimeError) as failed:
            native.get_results()
        with pytest.raises(AssertionError) as again:
            native.execute_async(20)
        with pytest.raises(requests.HTTPError) as unknown:
            processor.resume_job("no-such-job")
        seen.append([str(caught.value) for caught in (refused, failed, again, unknown)])
    assert seen[0] == seen[1]
