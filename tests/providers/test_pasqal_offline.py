"""The SDK's own clients over an archive: equal answers with no network and no credentials, and nothing that sends."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from pasqal_cloud import RemoteEmuFreeBackend
from pasqal_cloud.errors import BatchFetchingError, JobFetchingError
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from pasqal_cloud.pasqal_cloud_connection import PasqalCloudConnection
from pasqal_cloud.utils.constants import BatchStatus, JobStatus, QueuePriority
from pasqal_cloud.utils.filters import BatchFilters, JobFilters, PaginationParams
from pasqal_runs import EMULATOR, fields, lenient, mappable, no_network, omegas, plain, turned
from pasqal_server import OTHER_PROJECT, PROJECT
from pulser import QPUBackend, Sequence
from pulser.backend.remote import RemoteResults, RemoteResultsError
from pulser.devices import AnalogDevice

from qarchive.archive import Way
from qarchive.errors import BadInput, NoRecording, NotFinished
from qarchive.providers import hooks, registry

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
NOT_RECORDED = 'an execution on EMU_FREE is not recorded in {}; `mode="missing"` runs and records what is not there'
REFUSED = "this client of Pasqal's: it answers from the archive and sends nothing; use a client of your own to send"


@pytest.fixture
def archive(tmp_path):
    with lenient(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def history(pasqal, archive):
    """(live client, archive) with batches of several kinds, states and projects, all of them archived."""
    sdk = archive.wrap(pasqal.client())
    sdk.create_batch(turned(), [*omegas(6.0, runs=10), *omegas(3.0, runs=20)], wait=True, tags=["a", "b"], **EMULATOR)
    time.sleep(0.01)
    pasqal.break_next("laser off")
    sdk.create_batch(plain(6.0, AnalogDevice), [{"runs": 30}, {"runs": 40}], device_type="FRESNEL", wait=True, tags=["a"])
    own = [{"runs": 5, "serialized_sequence": plain()}]
    sdk.create_batch(mappable(), [{"runs": 9, "variables": {"qubits": {"q0": 1, "q1": 5}}}, *own], wait=True, **EMULATOR)
    opened = sdk.create_batch(turned(), omegas(1.0), open=True, device_type="EMU_MPS")
    opened.add_jobs(omegas(2.0, 3.0), wait=True)
    other = archive.wrap(pasqal.client(project_id=OTHER_PROJECT))
    other.create_batch(plain(), [{"runs": 50}], wait=True, **EMULATOR)
    pasqal.hold()
    sdk.create_batch(plain(), [{"runs": 60}, {"runs": 70}], **EMULATOR).cancel()
    sdk.rebatch(pasqal.batches_seen[0].id)
    live = pasqal.client()
    archive.sync(live)
    for batch in sdk.get_batches().results:  # a user looks at them as they are now
        assert sdk.get_batch(batch.id).status == batch.status
    return live, archive


def equal(one, other):
    assert fields(one) == fields(other)


# Reading


def test_batches_and_jobs_are_those_of_the_service(pasqal, history, monkeypatch):
    live, archive = history
    expected = []
    for each in pasqal.batches_seen:
        batch = live.get_batch(each.id)
        expected.append((batch, live.get_batch_status(each.id), batch.sequence_builder, batch.ordered_jobs,
                         [live.get_job(job.id) for job in batch.ordered_jobs],
                         [live.get_job_status(job.id) for job in batch.ordered_jobs],
                         [job.full_result for job in batch.ordered_jobs]))  # fmt: skip
    with no_network(monkeypatch):
        sdk = archive.replay(live)
        assert type(sdk) is PasqalCloudClient and sdk.project_id == PROJECT and sdk.user_token() is None
        for batch, status, builder, jobs, asked, statuses, results in expected:
            found = sdk.get_batch(batch.id)
            equal(found, batch)
            assert (sdk.get_batch_status(batch.id), found.sequence_builder) == (status, builder)
            assert [fields(job) for job in found.ordered_jobs] == [fields(job) for job in jobs]
            for job, wanted in zip(jobs, asked, strict=True):
                single = sdk.get_job(job.id)
                equal(single, wanted)
                assert single.sequence == wanted.sequence
            assert [sdk.get_job_status(job.id) for job in jobs] == statuses
            assert [job.full_result for job in found.ordered_jobs] == results
            assert [job.result for job in found.ordered_jobs] == [result and result["counter"] for result in results]


JOB_FILTERS = {
    "none": lambda server: None,
    "id": lambda server: JobFilters(id=server.jobs_seen[3].id),
    "ids": lambda server: JobFilters(id=[job.id for job in server.jobs_seen[:3]]),
    "project": lambda server: JobFilters(project_id=OTHER_PROJECT),
    "projects": lambda server: JobFilters(project_id=[OTHER_PROJECT, PROJECT]),
    "user": lambda server: JobFilters(user_id=server.jobs_seen[0].user_id),
    "nobody": lambda server: JobFilters(user_id=["nobody", "no-one"]),
    "batch": lambda server: JobFilters(batch_id=server.batches_seen[0].id),
    "batches": lambda server: JobFilters(batch_id=[batch.id for batch in server.batches_seen[:2]]),
    "status": lambda server: JobFilters(status=JobStatus.DONE),
    "statuses": lambda server: JobFilters(status=[JobStatus.ERROR, JobStatus.CANCELED]),
    "least runs": lambda server: JobFilters(min_runs=30),
    "runs": lambda server: JobFilters(min_runs=10, max_runs=30),
    "errors": lambda server: JobFilters(errors=True),
    "no errors": lambda server: JobFilters(errors=False),
    "start": lambda server: JobFilters(start_date=server.batches_seen[1].created),
    "end": lambda server: JobFilters(end_date=server.batches_seen[1].created - timedelta(milliseconds=1)),
    "naive": lambda server: JobFilters(start_date=datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)),
    "future": lambda server: JobFilters(start_date=datetime.now(UTC) + timedelta(hours=1)),
    "several": lambda server: JobFilters(status=JobStatus.DONE, min_runs=20, project_id=PROJECT),
}
BATCH_FILTERS = {
    "none": lambda server: None,
    "id": lambda server: BatchFilters(id=server.batches_seen[1].id),
    "ids": lambda server: BatchFilters(id=[batch.id for batch in server.batches_seen[:3]]),
    "project": lambda server: BatchFilters(project_id=OTHER_PROJECT),
    "user": lambda server: BatchFilters(user_id=[server.batches_seen[0].user_id]),
    "device": lambda server: BatchFilters(device_type="FRESNEL"),
    "devices": lambda server: BatchFilters(device_type=["EMU_FREE", "EMU_MPS"]),
    "status": lambda server: BatchFilters(status=BatchStatus.DONE),
    "statuses": lambda server: BatchFilters(status=[BatchStatus.CANCELED, BatchStatus.RUNNING]),
    "open": lambda server: BatchFilters(open=True),
    "closed": lambda server: BatchFilters(open=False),
    "priority": lambda server: BatchFilters(queue_priority=[QueuePriority.HIGH, QueuePriority.MEDIUM]),
    "high": lambda server: BatchFilters(queue_priority=QueuePriority.HIGH),
    "tag": lambda server: BatchFilters(tag="a"),
    "no tag": lambda server: BatchFilters(tag="z"),
    "start": lambda server: BatchFilters(start_date=server.batches_seen[1].created),
    "end": lambda server: BatchFilters(end_date=server.batches_seen[1].created),
    "several": lambda server: BatchFilters(tag="a", device_type="FRESNEL", status=BatchStatus.DONE),
}
PAGES = [None, PaginationParams(limit=3), PaginationParams(offset=2, limit=4), PaginationParams(offset=100)]


def test_lists_are_those_of_the_service_with_every_filter_and_page(pasqal, history, monkeypatch):
    live, archive = history
    wanted = {}
    for what, filters in (("get_jobs", JOB_FILTERS), ("get_batches", BATCH_FILTERS)):
        for name, make in filters.items():
            for page, pages in enumerate(PAGES):
                wanted[what, name, page] = make(pasqal), getattr(live, what)(filters=make(pasqal), pagination_params=pages)
    assert {len(found.results) for _, found in wanted.values()} > {0, 1, 2, 3}
    with no_network(monkeypatch):
        sdk = archive.replay(live)
        for (what, name, page), (filters, listed) in wanted.items():
            found = getattr(sdk, what)(filters=filters, pagination_params=PAGES[page])
            assert (found.total, found.offset) == (listed.total, listed.offset), (what, name, page)
            assert [fields(each) for each in found.results] == [fields(each) for each in listed.results], (what, name, page)


def test_devices_are_those_that_jobs_were_sent_to(pasqal, history, monkeypatch):
    live, archive = history
    specs = live.get_device_specs_dict()["FRESNEL"]
    with no_network(monkeypatch):
        assert archive.replay("pasqal").get_device_specs_dict() == {"FRESNEL": specs}
        devices = archive.replay(PasqalCloudConnection(endpoints=pasqal.endpoints(), username=None)).fetch_available_devices()
        assert list(devices) == ["FRESNEL"] and devices["FRESNEL"].name == "FRESNEL"


def test_what_is_not_archived_is_answered_as_the_service_would(archive):
    sdk = archive.replay("pasqal")
    unknown = "00000000-0000-4000-8000-000000000000"
    for ask, kind in (
        (sdk.get_batch, BatchFetchingError),
        (sdk.get_job, JobFetchingError),
        (sdk.get_job_status, JobFetchingError),
    ):
        with pytest.raises(kind, match=f"with id {unknown} is not in the archive"):
            ask(unknown)
    assert (sdk.get_jobs().total, sdk.get_batches().results) == (0, [])


def test_nothing_is_sent_and_nothing_waits_for_ever(pasqal, archive, monkeypatch):
    pasqal.hold()
    live = archive.wrap(pasqal.client())
    waiting = live.create_batch(plain(), [{"runs": 5}], open=True, **EMULATOR)
    with no_network(monkeypatch):
        sdk = archive.replay(live)
        batch = sdk.get_batch(waiting.id)
        for send in (
            lambda: sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR),
            lambda: sdk.add_jobs(batch.id, [{"runs": 5}]),
            lambda: sdk.rebatch(batch.id),
            lambda: batch.retry(batch.ordered_jobs[0]),
        ):
            with pytest.raises(NoRecording) as unrecorded:
                send()
            assert str(unrecorded.value) == NOT_RECORDED.format(archive.path)
        for send in (
            lambda: sdk.cancel_batch(batch.id),
            lambda: sdk.cancel_batches([batch.id]),
            lambda: sdk.cancel_job(batch.ordered_jobs[0].id),
            lambda: sdk.cancel_jobs(batch.id),
            lambda: sdk.set_batch_tags(batch.id, ["x"]),
            lambda: sdk.create_workload("kind", "backend", {}),
            lambda: sdk.get_all_projects(),
            batch.close,
            batch.cancel,
            lambda: batch.set_tags(["x"]),
            batch.ordered_jobs[0].cancel,
        ):
            with pytest.raises(BadInput) as caught:
                send()
            assert str(caught.value) == REFUSED
        with pytest.raises(NotFinished, match="is PENDING and has no result yet"):
            sdk.get_job(batch.ordered_jobs[0].id, wait=True)
        assert batch.ordered_jobs[0].full_result is None
    assert len(archive.jobs()) == 1


def test_results_that_nobody_read_are_said_to_be_missing(pasqal, archive):
    live = archive.wrap(pasqal.client())
    live.create_batch(plain(), [{"runs": 5}], wait=True, **EMULATOR)
    job = live.get_job(pasqal.jobs_seen[0].id)
    assert job.status == "DONE"
    with pytest.raises(BadInput) as caught:
        archive.replay(live).get_job(job.id).full_result  # noqa: B018
    assert str(caught.value) == f"the results of job {job.id}: they are not in the archive; `qarchive sync` gets them"
    archive.sync(live)
    assert archive.replay(live).get_job(job.id).full_result == live.get_job(job.id).full_result


def test_what_is_replayed_is_not_recorded_as_new(pasqal, archive, tmp_path):
    live = archive.wrap(pasqal.client())
    batch = live.create_batch(plain(), [{"runs": 5}], wait=True, **EMULATOR)
    assert batch.ordered_jobs[0].full_result
    with lenient(tmp_path / "other") as other:
        hooks.instrument(registry.named("pasqal"))
        hooks.everywhere(Way(other))
        try:
            sdk = other.wrap(archive.replay(live))
            assert sdk.get_batch(batch.id).ordered_jobs[0].full_result == batch.ordered_jobs[0].full_result
        finally:
            hooks.everywhere(None)
            hooks.restore()
        assert len(other.jobs()) == 0


def test_an_object_that_is_no_client_has_no_replay(pasqal, archive):
    batch = pasqal.client().create_batch(plain(), [{"runs": 5}], **EMULATOR)
    with pytest.raises(BadInput) as caught:
        archive.replay(batch)
    said = "a Batch: there is none that answers from an archive; give a PasqalCloudClient, a PasqalCloudConnection, or 'pasqal'"
    assert str(caught.value) == said


# Pulser over it


def test_pulsers_results_by_batch_are_equal(pasqal, archive, monkeypatch):
    connection = archive.wrap(pasqal.connection())
    sequence = Sequence.from_abstract_repr(turned())
    params = [{"runs": 20, "variables": {"omega": 6.0}}, {"runs": 20, "variables": {"omega": 2.0}}]
    emulated = RemoteEmuFreeBackend(sequence, connection).run(params, wait=True)
    live = emulated.results
    specs = connection.fetch_available_devices()["FRESNEL"]
    analog = Sequence.from_abstract_repr(plain(6.0, AnalogDevice)).with_new_device(specs, strict=True)
    measured = QPUBackend(analog, connection).run([{"runs": 10}], wait=True)
    drawn = measured.results
    status, ids = emulated.get_batch_status(), emulated.job_ids
    with no_network(monkeypatch):
        offline = archive.replay(connection)
        assert type(offline) is PasqalCloudConnection
        found = RemoteResults(emulated.batch_id, offline)
        assert [result.to_abstract_repr() for result in found.results] == [result.to_abstract_repr() for result in live]
        assert (found.get_batch_status(), found.job_ids) == (status, ids)
        one = offline.get_results(emulated.batch_id, job_ids=ids[1:])
        assert [result.final_bitstrings for result in one.results] == [live[1].final_bitstrings]
        again = RemoteResults(measured.batch_id, offline).results
        assert [result.bitstring_counts for result in again] == [result.bitstring_counts for result in drawn]
        begin = time.monotonic()
        other = [{"runs": 21, "variables": {"omega": 6.0}}]
        with pytest.raises(NoRecording, match="an execution on EMU_FREE is not recorded"):
            RemoteEmuFreeBackend(sequence, offline).run(other)
        assert time.monotonic() - begin < 1  # Pulser would try again for half a minute
        assert list(offline.fetch_available_devices()) == ["FRESNEL"]


def test_pulsers_results_that_are_not_there_yet_are_not_there(pasqal, archive, monkeypatch):
    connection = archive.wrap(pasqal.connection())
    pasqal.hold()
    waiting = RemoteEmuFreeBackend(Sequence.from_abstract_repr(plain()), connection).run([{"runs": 5}])
    with no_network(monkeypatch):
        found = RemoteResults(waiting.batch_id, archive.replay(connection))
        with pytest.raises(RemoteResultsError):
            found.results  # noqa: B018
        assert found.get_available_results() == {}
