"""Pasqal's batches that are prepared here and sent from elsewhere: the same requests, and nothing is left behind."""

import json
import re
import threading

import pytest
import requests
from pasqal_cloud import RemoteEmuFreeBackend
from pasqal_cloud.device import EmuFreeConfig, EmuTNConfig
from pasqal_cloud.errors import BatchCreationError
from pasqal_runs import EMULATOR, events, lenient, mappable, omegas, plain, turned
from pasqal_server import PASSWORD, USER
from preparing import Preparing, Sending, prepare, threads, unmarked
from pulser import QPUBackend, Sequence
from pulser.backend import BitStrings, EmulationConfig, Occupation
from pulser.devices import AnalogDevice

import qarchive
from qarchive.errors import BadInput, NotAnswered, NotFound
from qarchive.providers import hooks, registry
from qarchive.providers.base import Origin
from qarchive.providers.pasqal.texts import without_uuids

PASQAL = registry.named("pasqal")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def made(server):
    """The bodies of the requests that made batches, with the UUIDs in them numbered."""
    found = server.sent("POST", "/api/v1/batches")
    for body in found:
        if body.get("backend_configuration"):
            body["backend_configuration"] = without_uuids(body["backend_configuration"])[0]
    return found


def config():
    return EmulationConfig(observables=[BitStrings(num_shots=7), Occupation()])


def remote(server, kind, **options):
    sequence = Sequence.from_abstract_repr(plain(6.0, AnalogDevice) if kind is QPUBackend else turned())
    if kind is QPUBackend:
        sequence = sequence.switch_device(server.connection().fetch_available_devices()["FRESNEL"])
    return kind(sequence, server.connection(), **options)


OWN = {"runs": 5, "serialized_sequence": plain(3.0)}
BATCHES = {
    "one job": lambda server: server.client().create_batch(plain(), [{"runs": 5}], **EMULATOR),
    "variables": lambda server: server.client().create_batch(turned(), omegas(6.0, 3.0, [2]), **EMULATOR),
    "no variables and no runs": lambda server: server.client().create_batch(
        plain(), [{"runs": None, "variables": None}], **EMULATOR),
    "registers": lambda server: server.client().create_batch(
        mappable(), [{"runs": 5, "variables": {"qubits": {"q0": 3, "q1": 1}}}, {"runs": 6, "variables": {"qubits": {"q0": 2}}}],
        **EMULATOR),
    "sequences of their own": lambda server: server.client().create_batch(None, [OWN, OWN], **EMULATOR),
    "one sequence of its own in an open batch": lambda server: server.client().create_batch(
        turned(), [OWN, *omegas(4.0)], open=True, **EMULATOR),
    "a sequence that is written otherwise": lambda server: server.client().create_batch(
        json.dumps(json.loads(plain()), indent=1), [{"runs": 5}], **EMULATOR),
    "tags": lambda server: server.client().create_batch(plain(), [{"runs": 5}] * 2, tags=["z", "a", "z"], **EMULATOR),
    "a configuration": lambda server: server.client().create_batch(
        plain(), [{"runs": 5}], device_type="EMU_TN", configuration=EmuTNConfig(dt=5.0, extra_config={"a": {"b": [1, 2]}})),
    "an empty configuration": lambda server: server.client().create_batch(
        plain(), [{"runs": 5}], configuration=EmuFreeConfig(with_noise=False), **EMULATOR),
    "a configuration of Pulser's": lambda server: server.client().create_batch(
        plain(), [{"runs": 5}], backend_configuration=config().to_abstract_repr(), **EMULATOR),
    "a QPU": lambda server: server.client().create_batch(plain(6.0, AnalogDevice), [{"runs": 5}], device_type="FRESNEL"),
    "the arguments of before": lambda server: server.client().create_batch(
        plain(), [{"runs": 5}], complete=True, emulator="EMU_FREE"),
    "a backend of Pulser's": lambda server: remote(server, RemoteEmuFreeBackend, config=config()).run(
        [{"runs": 3, "variables": {"omega": 5.0}}, {"variables": {"omega": 2.0}}]),
    "a QPU of Pulser's": lambda server: remote(server, QPUBackend).run([{"runs": 3}, {"runs": 4}]),
}  # fmt: skip


@pytest.mark.parametrize("send", BATCHES.values(), ids=BATCHES)
def test_a_prepared_batch_is_sent_as_it_would_have_been(pasqal, send):
    send(pasqal)
    (direct,) = made(pasqal)
    running, there = threads(), len(pasqal.batches_seen)
    recorder = prepare("pasqal", lambda: send(pasqal))
    assert (made(pasqal), threads(), len(pasqal.batches_seen)) == ([direct], running, there)
    assert len(recorder.jobs) == len(direct["jobs"])
    assert {what for what, _ in recorder.stage.gaps} <= {"calibration"}
    client = PASQAL.client_of(pasqal.client())
    for device in (pasqal.client(), PASQAL.device(client, recorder.jobs[0]["backend"]), pasqal.connection()):
        target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, device)
        sending = Sending()
        with unmarked(PASQAL.client_of(device)):
            batch = PASQAL.wrap(target, sending).run(*args, **kwargs)
        assert made(pasqal)[-1] == direct
        assert (batch.id, batch.open) == (pasqal.batches_seen[-1].id, direct["open"])
        assert [(job["input"], job["config"]) for job in sending.jobs] == [(job["input"], job["config"]) for job in recorder.jobs]
    assert len(made(pasqal)) == 4


def test_uuids_are_fresh_every_time(pasqal):
    recorder = prepare("pasqal", lambda: BATCHES["a configuration of Pulser's"](pasqal))
    for _ in range(2):
        target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, pasqal.client())
        pasqal.wait(target.run(*args, **kwargs).id)
    texts = [body["backend_configuration"] for body in pasqal.sent("POST", "/api/v1/batches")]
    uuids = [set(re.findall(r"[0-9a-f-]{36}", text)) for text in texts]
    assert [len(each) for each in uuids] == [2, 2]
    assert not uuids[0] & uuids[1]
    assert {job.status for job in pasqal.jobs_seen} == {"DONE"}


def test_the_client_is_as_before_and_sends(pasqal):
    sdk = pasqal.client()
    before = {name: repr(item) for name, item in vars(sdk).items()}
    prepare("pasqal", lambda: sdk.create_batch(turned(), omegas(6.0, 3.0), wait=True, **EMULATOR))
    assert {name: repr(item) for name, item in vars(sdk).items()} == before
    assert made(pasqal) == []
    batch = sdk.create_batch(turned(), omegas(6.0, 3.0), wait=True, **EMULATOR)
    assert [sum(job.result.values()) for job in batch.ordered_jobs] == [20, 20]
    assert list(sdk.batches) == [batch.id]


def test_what_the_sdk_refuses_is_not_prepared(pasqal):
    sdk, recorder = pasqal.client(), Preparing()
    hooks.instrument(PASQAL, lasting=True)
    with hooks.recording(recorder), pytest.raises(BaseException, match="equence"):
        sdk.create_batch(None, [{"runs": 5}], **EMULATOR)
    assert recorder.jobs == []


def test_what_cannot_wait_is_not_prepared(pasqal):
    sdk, recorder, messages = pasqal.client(), Preparing(), []
    batch = sdk.create_batch(turned(), omegas(6.0), open=True, **EMULATOR)
    closed = sdk.create_batch(turned(), omegas(6.0), wait=True, **EMULATOR)
    hooks.instrument(PASQAL, lasting=True)
    count = len(pasqal.requests)
    for send in (
        lambda: sdk.create_batch(turned(), [], open=True, **EMULATOR),
        lambda: batch.add_jobs(omegas(3.0)),
        lambda: sdk.rebatch(closed.id),
        lambda: remote(pasqal, RemoteEmuFreeBackend).open_batch().__enter__(),
    ):
        with hooks.recording(recorder), pytest.raises(BadInput) as caught:
            send()
        messages.append(str(caught.value))
    nothing = "a batch without jobs: there is nothing in it to prepare; make it when its first job is to run"
    assert messages == [
        nothing,
        *(f"jobs of the batch {each.id}: an open batch waits for jobs only for some minutes; "
          "add them when they are to run, or prepare a batch of them" for each in (batch, closed)),
        nothing,
    ]  # fmt: skip
    assert {request.method for request in pasqal.requests[count:]} <= {"GET"}
    batch.add_jobs(omegas(3.0))
    assert len(pasqal.batches_seen) == 2


def test_a_webhook_is_the_clients(pasqal):
    secret = "https://hooks.lab.test/secret"
    recorder = prepare("pasqal", lambda: pasqal.client(webhook=secret).create_batch(plain(), [{"runs": 5}], **EMULATOR))
    assert not any(b"hooks.lab.test" in data for data in recorder.stage.blobs.values())
    for client, expected in ((pasqal.client(webhook=secret), secret), (pasqal.client(), None)):
        if expected is None:
            with pytest.warns(qarchive.ArchiveWarning) as caught:
                target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, client)
            assert [str(warning.message) for warning in caught] == [
                "a batch is sent without its webhook, whose address is not archived; give a PasqalCloudClient that has one"
            ]
        else:
            target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, client)
        target.run(*args, **kwargs)
        assert made(pasqal)[-1]["webhook"] == expected


def test_what_keeps_a_prepared_batch_from_being_sent_is_an_exception(pasqal):
    recorder = prepare("pasqal", lambda: pasqal.client().create_batch(plain(), [{"runs": 5}], **EMULATOR))
    target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, pasqal.client())
    pasqal.fail_submission(402, description="No credit left.")
    with pytest.raises(BadInput) as caught:
        target.run(*args, **kwargs)
    assert str(caught.value) == "a batch of Pasqal's: Pasqal Cloud says no (402): No credit left."
    for status, obstacle in ((413, "size"), (403, "denied"), (400, "")):
        pasqal.fail_submission(status)
        with pytest.raises(BadInput) as caught:
            target.run(*args, **kwargs)
        assert PASQAL.obstacle(caught.value) == obstacle
    for status, obstacle in ((429, "busy"), (503, "")):
        pasqal.fail_submission(status, times=6 if status == 429 else 1)
        with pytest.raises(requests.HTTPError) as caught:
            target.run(*args, **kwargs)
        assert PASQAL.obstacle(caught.value) == obstacle
    assert target.run(*args, **kwargs).id == pasqal.batches_seen[-1].id


def test_jobs_of_two_calls_are_not_one_batch(pasqal):
    recorder = prepare("pasqal", lambda: pasqal.client().create_batch(turned(), omegas(6.0), **EMULATOR))
    others = prepare("pasqal", lambda: pasqal.client().create_batch(turned(), omegas(6.0), open=True, **EMULATOR))
    recorder.stage.blobs.update(others.stage.blobs)
    with pytest.raises(BadInput) as caught:
        PASQAL.load_calls(recorder.stage.get, recorder.jobs + others.jobs, pasqal.client())
    assert str(caught.value) == "2 jobs: they are not of one batch; send them one by one"
    with pytest.raises(BadInput) as caught:
        PASQAL.load_calls(recorder.stage.get, recorder.jobs, object())
    assert str(caught.value) == "a object: it does not run jobs of Pasqal's; give a PasqalCloudClient, or nothing"
    target, args, kwargs = PASQAL.load_call(recorder.stage.get, others.jobs[0], pasqal.client())
    assert target.run(*args, **kwargs).open is False  # nobody would close it


def test_a_batch_is_recorded_by_who_sends_it_in_each_of_many_threads(pasqal):
    recorder = prepare("pasqal", lambda: pasqal.client().create_batch(turned(), omegas(6.0, 3.0), **EMULATOR))
    client, senders = pasqal.client(), [Sending() for _ in range(8)]

    def send(sender):
        target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, client)
        with PASQAL.recorded(target, sender) as batch:
            batch.run(*args, **kwargs)

    running = [threading.Thread(target=send, args=(sender,)) for sender in senders]
    with unmarked(PASQAL.client_of(client)):
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    assert [len(sender.jobs) for sender in senders] == [2] * 8
    assert len(pasqal.batches_seen) == 8


def test_a_prepared_batch_that_was_sent_is_collected(pasqal, tmp_path):
    recorder = prepare("pasqal", lambda: pasqal.client().create_batch(turned(), omegas(6.0, 3.0), open=True, **EMULATOR))
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        target, args, kwargs = PASQAL.load_calls(recorder.stage.get, recorder.jobs, sdk)
        batch = PASQAL.wrap(target, archive._recorder.way).run(*args, **kwargs)
        PASQAL.close(PASQAL.client_of(sdk), batch.id)
        pasqal.wait(batch.id)
        archive.sync(sdk)
        jobs = [archive.job(job.id) for job in batch.ordered_jobs]
        assert [(job.status, sum(job.counts().values())) for job in jobs] == [("DONE", 20)] * 2
        assert events(jobs[0])[:2] == ["created", "closed"]


# What the cloud is asked


def test_why_a_batch_was_refused(pasqal):
    def obstacle(sdk=None):
        try:
            sdk = sdk or pasqal.client(username=USER, password=PASSWORD, token_provider=None)
            sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
        except BaseException as error:
            return PASQAL.obstacle(error)
        return None

    sdk, found = pasqal.client(), {}
    for status in (400, 401, 402, 403, 404, 413, 422, 429, 503):
        pasqal.fail_submission(status, times=6 if status == 429 else 1)
        found[status] = obstacle(sdk)
    pasqal.limit(0)
    found["limit"] = obstacle(sdk)
    pasqal.limit(None)
    pasqal.fail_submission(200, text="<html>")
    found["nonsense"] = obstacle(sdk)
    pasqal.fail_next(403, path_contains="/oauth/token")
    found["log-in"] = obstacle()
    pasqal.stop()
    found["gone"] = obstacle(sdk)
    assert found == {400: "", 401: "denied", 402: "", 403: "denied", 404: "", 413: "size", 422: "", 429: "busy", 503: "",
                     "limit": "busy", "nonsense": "", "log-in": "denied", "gone": "busy"}  # fmt: skip
    answer = requests.Response()
    answer.status_code, answer._content = 413, b"{}"
    try:
        raise BatchCreationError(requests.HTTPError(response=answer)) from requests.HTTPError(response=answer)
    except BatchCreationError as error:
        assert PASQAL.obstacle(error) == "size"
    assert PASQAL.obstacle(KeyboardInterrupt()) == ""


def test_the_cloud_tells_neither_room_nor_cost(pasqal):
    client = PASQAL.client_of(pasqal.client())
    assert PASQAL.together
    assert PASQAL.device(client, "EMU_FREE") is client
    assert PASQAL.room(client, client) is None
    assert PASQAL.cost({}) is None


def test_a_job_is_cancelled_and_a_batch_closed(pasqal, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        client, messages = PASQAL.client_of(sdk), []
        pasqal.hold()
        batch = sdk.create_batch(turned(), omegas(6.0, 3.0), open=True, **EMULATOR)
        first, second = batch.ordered_jobs
        PASQAL.cancel(client, second.id, Origin("EMU_FREE", PASQAL.sent(second).instance))
        assert archive.job(second.id).status == "CANCELLED"
        PASQAL.close(client, batch.id)
        assert not pasqal.batches[batch.id].open
        assert events(archive.job(first.id)) == ["created", "closed"]

        def refuse(kind, ask, *args):
            with pytest.raises(kind) as caught:
                ask(client, *args)
            messages.append(str(caught.value))

        refuse(BadInput, PASQAL.cancel, second.id)
        refuse(BadInput, PASQAL.close, batch.id)
        refuse(NotFound, PASQAL.cancel, "no-such-job")
        refuse(NotFound, PASQAL.close, "no-such-batch")
        refuse(BadInput, PASQAL.cancel, "no-such-job", Origin("EMU_FREE", "0" * 16))
        pasqal.fail_next(503)
        refuse(NotAnswered, PASQAL.cancel, first.id)
        pasqal.expire_tokens()
        refuse(BadInput, PASQAL.close, batch.id)
        pasqal.stop()
        refuse(NotAnswered, PASQAL.close, batch.id)
    again = "log in again: give a new PasqalCloudClient, with user name and password or a token provider"
    deleted = "is not in Pasqal Cloud; it was deleted, or belongs to another project or account"
    assert messages == [
        f"job {second.id}: Pasqal Cloud says no (400): Job {second.id} cannot be canceled: its status is CANCELED.",
        f"batch {batch.id}: Pasqal Cloud says no (400): Batch {batch.id} is closed (PENDING).",
        f"job no-such-job {deleted}",
        f"batch no-such-batch {deleted}",
        "job no-such-job: it was sent to another project or another cloud; give a client of that one",
        "1 job could not be asked about: it answers 503",
        f"Pasqal Cloud: it refuses access with these credentials; {again}",
        "1 job could not be asked about: ConnectionError",
    ]
