"""Replay of Pasqal's cloud: batches and jobs under their archived ids, with no network, no credentials, and nothing sent."""

import socket
import time

import pytest
from pasqal_cloud import RemoteEmuFreeBackend
from pasqal_cloud.errors import BatchFetchingError
from pasqal_cloud.http_client import HTTPClient
from pasqal_cloud.ovh import OVHConnection
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from pasqal_cloud.pasqal_cloud_connection import PasqalCloudConnection
from pasqal_cloud.utils.filters import RebatchFilters
from pasqal_runs import EMULATOR, lenient, omegas, plain, turned
from pasqal_server import PasqalServer
from pulser import QPUBackend, Sequence
from pulser.devices import AnalogDevice

from qarchive.errors import BadInput, NoRecording, NotFinished

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def quick():
    """The client waits for moments only."""
    from types import SimpleNamespace

    shortened = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
    with pytest.MonkeyPatch.context() as patch:
        for waiting in ("pasqal_cloud.utils.retry.time", "tenacity.nap.time"):
            patch.setattr(waiting, shortened)
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, quick):
    """(archive, ids of batches and jobs, counts of jobs): an open batch with three jobs, an equal one, one on a QPU of Pulser's.

    The server that ran them is stopped.
    """
    with lenient(tmp_path_factory.mktemp("pasqal") / "lab") as archive:
        with PasqalServer() as server:
            sdk = archive.wrap(server.client())
            with archive.context(group="vqe"):
                batch = sdk.create_batch(turned(), omegas(6.0), open=True, wait=True, **EMULATOR)
                batch.add_jobs(omegas(2.0, 3.0), wait=True)
                batch.close()
                again = sdk.create_batch(turned(), omegas(6.0), wait=True, **EMULATOR)
            repeated = sdk.rebatch(again.id)
            connection = archive.wrap(server.connection())
            specs = connection.fetch_available_devices()["FRESNEL"]
            analog = Sequence.from_abstract_repr(plain(6.0, AnalogDevice)).with_new_device(specs, strict=True)
            measured = QPUBackend(analog, connection).run([{"runs": 10}], wait=True)
            emulated = RemoteEmuFreeBackend(Sequence.from_abstract_repr(turned()), connection).run(omegas(4.0, 5.0), wait=True)
            archive.sync(server.client())
            found = {
                "batch": (batch.id, [(job.id, job.result) for job in batch.ordered_jobs]),
                "again": (again.id, [(job.id, job.result) for job in again.ordered_jobs]),
                "repeated": (repeated.id, [(job.id, job.result) for job in sdk.get_batch(repeated.id).ordered_jobs]),
                "measured": (measured.batch_id, [result.final_bitstrings for result in measured.results]),
                "emulated": (emulated.batch_id, [result.final_bitstrings for result in emulated.results]),
            }
            archive.sync(server.client())
        yield archive, found


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was to be connected")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def shown(batch):
    return batch.id, [(job.id, job.result) for job in batch.ordered_jobs]


def vqe(sdk):
    """What an analysis does, step by step: (the batch, what it saw after each step)."""
    batch = sdk.create_batch(turned(), omegas(6.0), open=True, wait=True, **EMULATOR)
    seen = [shown(batch)]
    batch.add_jobs(omegas(2.0, 3.0), wait=True)
    seen.append(shown(batch))
    assert batch.open
    batch.close(wait=True)
    assert not batch.open and batch.status == "DONE"
    return batch, seen


def test_an_open_batch_grows_as_it_did(recorded, offline):
    archive, found = recorded
    batch_id, jobs = found["batch"]
    sdk = archive.replay("pasqal", group="vqe")
    batch, seen = vqe(sdk)
    assert seen == [(batch_id, jobs[:1]), (batch_id, jobs)]
    assert shown(sdk.get_batch(batch_id)) == (batch_id, jobs)
    assert sdk.get_batch_status(batch_id).value == "DONE"
    for job, (job_id, result) in zip(batch.ordered_jobs, jobs, strict=True):
        assert (sdk.get_job(job.id, wait=True).result, sdk.get_job_status(job_id).value) == (result, "DONE")
        assert job.batch_id == batch_id
    batch.cancel()  # it has ended, and stays as it is
    batch.set_tags(["today"])
    assert (batch.status, batch.tags) == ("DONE", ["today"])
    assert batch.ordered_jobs[0].cancel()["status"] == "DONE"


def test_the_kth_equal_job_gets_the_kth_recording_in_whatever_batch(recorded, offline):
    archive, found = recorded
    sdk = archive.replay("pasqal")
    assert shown(sdk.create_batch(turned(), omegas(6.0), **EMULATOR))[1] == found["batch"][1][:1]
    batch = sdk.create_batch(turned(), omegas(6.0, 2.0), tags=["other"], **EMULATOR)  # which was never sent as one
    assert shown(batch) == (found["again"][0], [found["again"][1][0], found["batch"][1][1]])
    assert {job.batch_id for job in batch.ordered_jobs} == {batch.id}


def test_what_is_repeated_was_repeated(recorded, offline):
    archive, found = recorded
    sdk = archive.replay("pasqal")
    sdk.create_batch(turned(), omegas(6.0), **EMULATOR)
    again = sdk.create_batch(turned(), omegas(6.0), **EMULATOR)
    assert shown(sdk.rebatch(again.id, RebatchFilters(min_runs=1))) == found["repeated"]
    with pytest.raises(NoRecording) as caught:
        again.retry(again.ordered_jobs[0])
    nearest = archive.job(found["repeated"][1][0][0]).id[:12]
    assert str(caught.value) == (
        f"an execution on EMU_FREE is not recorded in {archive.path}; the nearest is job {nearest}: all of its 3 recordings "
        'answered before; `mode="missing"` runs and records what is not there'
    )


@pytest.mark.parametrize(
    "send",
    [
        lambda sdk: sdk.create_batch(turned(), omegas(6.5), **EMULATOR),
        lambda sdk: sdk.create_batch(turned(), omegas(6.0, runs=21), **EMULATOR),
        lambda sdk: sdk.create_batch(turned(), omegas(6.0), device_type="EMU_MPS"),
        lambda sdk: sdk.create_batch(turned(), omegas(6.0), backend_configuration="{}", **EMULATOR),
        lambda sdk: sdk.create_batch(plain(), [{"runs": 20}], **EMULATOR),
    ],
)
def test_another_job_has_no_recording(recorded, offline, send):
    archive, _ = recorded
    with pytest.raises(NoRecording, match="is not recorded in .*; the nearest is job"):
        send(archive.replay("pasqal"))


@pytest.mark.parametrize("batch", ["open", "closed"])
def test_pulsers_backends_run_over_it(recorded, offline, batch):
    archive, found = recorded
    connection = archive.replay(PasqalCloudConnection(username=None), provider="pasqal")
    specs = connection.fetch_available_devices()["FRESNEL"]
    analog = Sequence.from_abstract_repr(plain(6.0, AnalogDevice)).with_new_device(specs, strict=True)
    backend = QPUBackend(analog, connection)
    if batch == "open":
        with backend.open_batch():
            results = backend.run([{"runs": 10}], wait=True)
    else:
        results = backend.run([{"runs": 10}], wait=True)
    assert [result.final_bitstrings for result in results.results] == found["measured"][1]
    emulated = RemoteEmuFreeBackend(Sequence.from_abstract_repr(turned()), connection).run(omegas(4.0, 5.0), wait=True)
    assert (emulated.batch_id, [result.final_bitstrings for result in emulated.results]) == found["emulated"]
    begin = time.monotonic()
    with pytest.raises(NoRecording):
        backend.run([{"runs": 11}])
    assert time.monotonic() - begin < 1


# A whole process


def test_clients_that_a_script_makes_need_no_credentials(recorded, offline, monkeypatch):
    archive, found = recorded
    before = len(archive.jobs())
    classes = [dict(vars(kind)) for kind in (HTTPClient, PasqalCloudClient, PasqalCloudConnection, OVHConnection)]
    monkeypatch.delenv("PASQAL_PULSER_ACCESS_TOKEN", raising=False)
    monkeypatch.setattr("pasqal_cloud.http_client.getpass", lambda _: pytest.fail("a password was asked for"))
    with archive.replay(group="vqe"):
        batch, seen = vqe(PasqalCloudClient(username="nobody", password="wrong", project_id="none"))
        assert (batch.id, seen[-1][1]) == found["batch"]
        sdk = PasqalCloudClient(username="nobody")  # which would ask for a password
        assert shown(archive.wrap(sdk).create_batch(turned(), omegas(6.0), **EMULATOR)) == found["again"]
        assert sdk.user_token() is None and sdk.get_batches().total == 2
        with pytest.raises(NoRecording):
            sdk.create_batch(turned(), omegas(6.0), **EMULATOR)
        with pytest.raises(BatchFetchingError, match="with id nothing is not in the archive"):
            sdk.get_batch("nothing")
        with pytest.raises(BadInput, match="it answers from the archive and sends nothing"):
            sdk.get_all_projects()
    with archive.replay(provider="pasqal"):
        sequence = Sequence.from_abstract_repr(turned())
        results = RemoteEmuFreeBackend(sequence, OVHConnection()).run(omegas(4.0, 5.0), wait=True).results
        assert [result.final_bitstrings for result in results] == found["emulated"][1]
        begin = time.monotonic()
        with pytest.raises(NoRecording):
            RemoteEmuFreeBackend(sequence, PasqalCloudConnection("nobody", "wrong")).run(omegas(4.0, 5.0))
        assert time.monotonic() - begin < 1
    assert len(archive.jobs()) == before
    assert classes == [dict(vars(kind)) for kind in (HTTPClient, PasqalCloudClient, PasqalCloudConnection, OVHConnection)]


def test_a_job_that_has_not_ended_is_not_waited_for(pasqal, tmp_path, offline_after):
    with lenient(tmp_path / "lab") as archive:
        pasqal.hold()
        waiting = archive.wrap(pasqal.client()).create_batch(plain(), [{"runs": 5}], **EMULATOR)
        job_id = waiting.ordered_jobs[0].id
        offline_after()
        with archive.replay(), pytest.raises(NotFinished, match="is PENDING and has no result yet"):
            PasqalCloudClient().get_job(job_id, wait=True)


@pytest.fixture
def offline_after(monkeypatch):
    def begin():
        monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was to be connected"))

    return begin


# A cache


@pytest.mark.parametrize("whole", [False, True])
def test_missing_sends_one_batch_for_what_is_not_recorded(pasqal, tmp_path, whole):
    with lenient(tmp_path / "cache") as archive:

        def run(*values):
            """(what a script sees, ids of jobs) in a replay of its own."""
            live = pasqal.client()
            if whole:
                with archive.replay(mode="missing", group="vqe"):
                    return steps(live, values)
            return steps(archive.replay(live, mode="missing", group="vqe"), values)

        def steps(sdk, values):
            batch = sdk.create_batch(turned(), omegas(values[0]), open=True, wait=True, **EMULATOR)
            for value in values[1:]:
                batch.add_jobs(omegas(value), wait=True)
            batch.close(wait=True)
            assert not batch.open and batch.status == "DONE"
            return shown(batch)

        first = run(6.0, 2.0)
        sent = pasqal.sent("POST", "batches")
        assert len(sent) == 2 and len(pasqal.batches_seen) == 1
        found = archive.jobs(provider="pasqal")  # what the server emulates in this process is replayed, too, if all is
        assert [(job.status, job.labels["group"]) for job in found] == [("DONE", "vqe")] * 2
        assert run(6.0, 2.0) == first
        assert len(pasqal.sent("POST", "batches")) == len(sent)
        batch_id, jobs = run(6.0, 3.0, 2.0)  # one of three is new, and goes to a batch of its own
        assert (batch_id, [jobs[0], jobs[2]]) == first
        assert len(pasqal.batches_seen) == 2 and not pasqal.batches_seen[1].open
        assert [job.id for job in pasqal.batches_seen[1].jobs] == [jobs[1][0]]
        assert len(archive.jobs(provider="pasqal", status="DONE")) == 3
        assert run(6.0, 3.0, 2.0)[1] == jobs
        assert len(pasqal.batches_seen) == 2
