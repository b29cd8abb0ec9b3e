"""Sending that fails: what is refused for certain, what is not, and what is found again. The table of spec/pasqal.md, tested."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import requests
from pasqal_cloud.authentication import TokenProvider, TokenProviderError
from pasqal_cloud.endpoints import Endpoints
from pasqal_cloud.errors import BatchCreationError, JobCreationError
from pasqal_cloud.http_client import HTTPClient
from pasqal_runs import EMULATOR, lenient, omegas, turned

import qarchive
from qarchive.errors import JobFailed
from qarchive.providers.pasqal import refusals

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
HERE = Path(__file__).parent


@pytest.fixture
def archive(tmp_path):
    with lenient(tmp_path / "lab") as archive:
        yield archive


def send(sdk, *values, **options):
    return sdk.create_batch(turned(), omegas(*(values or (6.0, 3.0))), **{**EMULATOR, **options})


# What is certain


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_an_answer_that_says_no_is_a_refusal_of_all_its_jobs(pasqal, archive, status):
    sdk = archive.wrap(pasqal.client())
    pasqal.fail_next(status, method="POST", description="no credit left")
    with pytest.raises(BatchCreationError):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "REFUSED"]
    with pytest.raises(JobFailed):
        archive.job("latest").result()
    assert pasqal.batches_seen == []
    assert not any(vars(archive.recover(sdk)).values())


def test_a_limit_of_requests_is_a_refusal_however_often_it_was_tried(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    pasqal.fail_next(429, times=6, method="POST", retry_after_s=1)
    with pytest.raises(BatchCreationError):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "REFUSED"]


@pytest.mark.parametrize("status", sorted(refusals._UNCERTAIN - {408, 425}))
def test_an_answer_that_may_be_somebody_elses_is_no_refusal(pasqal, archive, status):
    sdk = archive.wrap(pasqal.client())
    pasqal.fail_next(status, method="POST")
    with pytest.raises(BatchCreationError):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["SENDING", "SENDING"]


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_a_refusal_after_a_try_that_may_have_been_accepted_is_none(pasqal, archive, status):
    sdk = archive.wrap(pasqal.client())
    pasqal.fail_next(status, method="POST")
    pasqal.fail_next(400, method="POST")
    with pytest.raises(BatchCreationError):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["SENDING", "SENDING"]


def test_where_there_was_no_connection_nothing_was_accepted(pasqal, archive):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    sdk = archive.wrap(pasqal.client(endpoints=Endpoints(core=nobody, account=nobody)))
    with pytest.raises(requests.ConnectionError):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "REFUSED"]


@pytest.mark.parametrize("error", [TokenProviderError("expired"), requests.ConnectionError("log-in unreachable")])
def test_a_log_in_that_fails_has_sent_nothing(pasqal, archive, error):
    class Broken(TokenProvider):
        def get_token(self):
            raise error

    sdk = archive.wrap(pasqal.client(token_provider=Broken()))
    with pytest.raises(type(error)):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["REFUSED", "REFUSED"]
    assert [gap["what"] for gap in archive.job("latest").gaps] == ["backend.device"]


def test_what_the_client_itself_refuses_was_not_sent(pasqal, archive):
    for sdk, options, kind in (
        (pasqal.client(project_id=None), {}, ValueError),
        (pasqal.client(token_provider=None), {}, ValueError),
        (pasqal.client(), {"tags": [object()]}, TypeError),
    ):
        with pytest.raises(kind):
            send(archive.wrap(sdk), **options)
        assert archive.job("latest").status == "REFUSED"


def test_an_answer_that_cannot_be_read_is_no_refusal(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    pasqal.fail_next(200, method="POST", text="<html>", after_processing=True)
    with pytest.raises(requests.JSONDecodeError):
        send(sdk)
    assert [job.status for job in archive.jobs()] == ["SENDING", "SENDING"]


def test_a_client_that_sends_in_its_own_way_proves_nothing(pasqal, archive):
    class Own(HTTPClient):
        def send_batch(self, batch_data):
            raise ValueError("who knows")

    with pytest.raises(ValueError, match="who knows"):
        send(archive.wrap(pasqal.client(client_class=Own)))
    assert archive.job("latest").status == "SENDING"


# What is not, and how it is found


@pytest.mark.parametrize("status", [None, 500], ids=["dropped", "500"])
def test_jobs_that_were_accepted_without_an_answer_are_found(pasqal, archive, status):
    sdk = archive.wrap(pasqal.client())
    send(sdk, 6.0, 1.0)  # equal, and answered
    pasqal.fail_next(status, method="POST", after_processing=True)
    if status is not None:
        pasqal.fail_next(400, method="POST")
    with pytest.raises((requests.ConnectionError, BatchCreationError)):
        send(sdk, 6.0, 3.0, 6.0, tags=["lost"])
    unanswered = list(archive.jobs(order="oldest"))[2:]
    assert [job.status for job in unanswered] == ["SENDING"] * 3
    for job in pasqal.jobs_seen:
        pasqal.wait(job.id)
    report = archive.recover(sdk)
    assert (report.collected, report.unanswered, report.problems) == ([job.id for job in unanswered], [], {})
    lost = pasqal.batches_seen[1]
    assert [archive.job(job.id).provider_job for job in unanswered] == [job.id for job in lost.jobs]
    assert [archive.job(job.id).counts() for job in unanswered] == [
        job.full_result["counter"] for job in sdk.get_batch(lost.id).ordered_jobs
    ]
    assert not any(vars(archive.recover(sdk)).values())


def test_jobs_that_were_never_accepted_are_not_found(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    pasqal.client().create_batch(turned(), omegas(6.0), device_type="EMU_MPS")
    pasqal.client().create_batch(turned(), omegas(6.0, runs=21), **EMULATOR)
    pasqal.client().create_batch(turned(), omegas(6.1), **EMULATOR)
    pasqal.client().create_batch(turned(), omegas(6.0), tags=["other"], **EMULATOR)
    pasqal.fail_next(None, method="POST")
    with pytest.raises(requests.ConnectionError):
        send(sdk, 6.0)
    job = archive.job("latest")
    assert archive.recover(sdk).unanswered == [job.id]
    assert archive.job(job.id).status == "SENDING"


def test_jobs_added_without_an_answer_are_found_in_their_batch(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    one, two = send(sdk, 6.0, open=True), send(sdk, 6.0, open=True)
    pasqal.fail_next(500, path_contains="/jobs", method="POST", after_processing=True)
    pasqal.fail_next(400, path_contains="/jobs", method="POST")
    with pytest.raises(JobCreationError):
        two.add_jobs(omegas(2.0))
    one.add_jobs(omegas(2.0))  # the same in another batch, and answered
    lost = next(job for job in archive.jobs() if job.status == "SENDING")
    report = archive.recover(sdk)
    assert report.unanswered == []
    assert archive.job(lost.id).provider_job == pasqal.batches[two.id].jobs[-1].id


def test_a_process_that_is_killed_between_sending_and_the_answer_leaves_a_job_that_is_found(pasqal, tmp_path):
    code = f"""
        import os, signal, sys, warnings
        sys.path[:0] = [{str(HERE.parent / "servers")!r}, {str(HERE)!r}]
        warnings.simplefilter("ignore")
        from pasqal_cloud.endpoints import Endpoints
        from pasqal_cloud.http_client import HTTPClient
        from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
        from pasqal_server import PASSWORD, PROJECT, USER, auth_config
        from pasqal_runs import EMULATOR, omegas, turned
        import qarchive
        address = {pasqal.address!r}
        client = PasqalCloudClient(username=USER, password=PASSWORD, auth_config=auth_config(address), project_id=PROJECT,
                                   endpoints=Endpoints(core=address + "/core-fast", account=address + "/account"))
        real = HTTPClient._authenticated_request
        def request(*args, **kwargs):
            real(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        HTTPClient._authenticated_request = request
        qarchive.open(sys.argv[1]).wrap(client).create_batch(turned(), omegas(6.0, 3.0), **EMULATOR)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "lab")], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    for job in pasqal.jobs_seen:
        pasqal.wait(job.id)
    with lenient(tmp_path / "lab") as archive:
        assert [job.status for job in archive.jobs()] == ["SENDING", "SENDING"]
        sdk = pasqal.client()
        report = archive.recover(sdk)
        assert len(report.collected) == 2
        assert [job.provider_job for job in archive.jobs(order="oldest")] == [job.id for job in pasqal.jobs_seen]
        assert {job.status for job in archive.jobs()} == {"DONE"}
        assert isinstance(archive, qarchive.Archive)


def test_a_repetition_without_an_answer_is_at_least_an_event(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    batch = send(sdk, wait=True)
    pasqal.fail_next(None, path_contains="/rebatch", after_processing=True)
    with pytest.raises(requests.ConnectionError):
        sdk.rebatch(batch.id)
    history = archive.job(batch.ordered_jobs[0].id).history
    assert [record["name"] for record in history if record["type"] == "event"][-1] == "rebatch asked for"
    found = archive.fetch(sdk, since=archive.job("latest").created)
    assert {job.provider_job for job in found} >= {job.id for job in pasqal.batches_seen[1].jobs}
