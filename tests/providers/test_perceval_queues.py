"""What Quandela's cloud is asked for jobs that wait to be sent: why it said no, which platforms there are, how much room."""

import pytest
from perceval_runs import lenient, sent, set_up
from quandela_server import impatient

from qarchive.errors import BadInput, NotAnswered, NotFound
from qarchive.providers import registry
from qarchive.providers.base import Origin

PERCEVAL = registry.named("perceval")
ANOTHER = "save a new one with perceval.RemoteConfig, or give a processor that has one; the archive needs no change"


def test_why_a_job_was_refused(quandela):
    def obstacle():
        try:
            sent(processor)
        except Exception as error:
            return [PERCEVAL.refused(error), PERCEVAL.obstacle(error)]
        return None

    processor = set_up(quandela.remote_processor())
    quandela.limit(0)
    found = {"limit": obstacle()}
    quandela.limit(100)
    for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 503):
        quandela.fail_submission(status, message="no")
        found[status] = obstacle()
    for said in (
        "Too many jobs in queue",
        "Max number of jobs in the queue reached",
        "5 concurrent jobs are allowed",
        "no more credit",
    ):
        quandela.fail_submission(403, message=said)
        found[said] = obstacle()
    quandela.fail_submission(None)
    found["broken"] = obstacle()
    quandela.fail_submission(200, body="<html>")
    found["nonsense"] = obstacle()
    impatient(processor, 0.05)
    quandela.fail_submission(503, hang_s=0.3)
    found["silence"] = obstacle()
    quandela.stop()
    found["gone"] = obstacle()
    processor._rpc_handler.url = "nowhere"
    found["no address"] = obstacle()
    busy, nothing, unsure = [True, "busy"], [True, ""], [False, ""]
    assert found == {
        "limit": busy, 400: nothing, 401: [True, "denied"], 402: nothing, 403: [True, "denied"], 404: nothing, 408: unsure,
        409: unsure, 413: [True, "size"], 422: nothing, 429: busy, 500: unsure, 503: unsure, "Too many jobs in queue": busy,
        "Max number of jobs in the queue reached": busy, "5 concurrent jobs are allowed": busy,
        "no more credit": [True, "denied"],
        "broken": unsure, "nonsense": unsure, "silence": unsure, "gone": busy, "no address": nothing,
    }  # fmt: skip
    assert PERCEVAL.obstacle(KeyboardInterrupt()) == ""


def test_a_device_is_found_by_its_name(quandela):
    for client in (quandela.rpc_handler("sim:slos"), quandela.rpc_handler("")):
        found = PERCEVAL.device(client, "qpu:belenos")
        assert (found.name, found.token, found.url, found.headers) == ("qpu:belenos", client.token, client.url, client.headers)
        assert client.name != "qpu:belenos"
    client = quandela.rpc_handler("sim:slos")
    messages = []

    def refuse(kind):
        with pytest.raises(kind) as caught:
            PERCEVAL.device(client, "qpu:altair")
        messages.append(str(caught.value))

    quandela.retire("qpu:altair")
    refuse(NotFound)
    quandela.fail_next(503, times=2)
    refuse(NotAnswered)
    quandela.expire_tokens()
    refuse(BadInput)
    quandela.stop()
    refuse(NotAnswered)
    assert messages == [
        f"the platform qpu:altair is not in {quandela.url}; it may have been retired: give another one",
        f"1 job could not be asked about: {quandela.url} answered 503",
        f"{quandela.url}: it refuses the token (401); {ANOTHER}",
        f"1 job could not be asked about: {quandela.url} did not answer (ConnectionError)",
    ]


def test_the_room_in_the_queue(quandela):
    processor = set_up(quandela.remote_processor())
    handler, found = processor._rpc_handler, []
    quandela.limit(2)
    quandela.hold()
    for limit in (2, 2, 1):
        quandela.limit(limit)
        found.append(PERCEVAL.room(handler, handler))
        if limit == 2:
            sent(processor)
            quandela.limit(2)
    assert found == [2, 1, 0]
    quandela.fail_next(500, path_contains="availability")
    assert PERCEVAL.room(handler, handler) is None
    quandela.fail_next(200, path_contains="availability", body="<html>")
    assert PERCEVAL.room(handler, handler) is None
    assert PERCEVAL.room(object(), handler) is None
    assert handler.request_timeout == 10


def test_a_job_is_cancelled(quandela, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        quandela.hold()
        processor = set_up(archive.wrap(quandela.remote_processor()))
        job, origin = sent(processor), None
        archived = archive.job(job.id)
        origin = Origin(archived.backend, PERCEVAL.sent(job).instance)
        with PERCEVAL.recorded(processor, archive._recorder):
            PERCEVAL.cancel(quandela.rpc_handler("qpu:belenos"), job.id, origin)
        assert quandela.jobs[job.id].status == "canceled"
        assert [record["name"] for record in archive.job(job.id).history if record["type"] == "event"] == [
            "cancellation asked for"
        ]
        messages = []

        def refuse(kind, job_id, origin=origin):
            with pytest.raises(kind) as caught:
                PERCEVAL.cancel(processor._rpc_handler, job_id, origin)
            messages.append(str(caught.value))

        refuse(BadInput, job.id)
        refuse(NotFound, "no-such-job")
        refuse(BadInput, job.id, Origin("sim:altair", "0" * 16))
        quandela.expire_tokens()
        refuse(BadInput, job.id)
        quandela.stop()
        refuse(NotAnswered, job.id)
    url, no = quandela.url, "[{'error': 'Job is canceled, it cannot be canceled'}]"
    assert messages == [
        f"job {job.id}: {url} does not cancel it: Url: {url}/api/job/cancel/{job.id} answered with status code 400 {no}",
        f"job no-such-job is not in {url}",
        f"job {job.id}: it was sent to another cloud; give a processor of the cloud that it was sent to: {url} is another one",
        f"{url}: it refuses the token (401); {ANOTHER}",
        f"1 job could not be asked about: {url} did not answer (ConnectionError)",
    ]
