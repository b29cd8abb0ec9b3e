"""Every request about batches and jobs, as the SDK documents them: one record a job, and the batch as its events."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pasqal_cloud.errors import BatchClosingError, BatchCreationError, JobFetchingError
from pasqal_cloud.http_client import HTTPClient
from pasqal_cloud.utils.constants import JobStatus
from pasqal_cloud.utils.filters import CancelJobFilters, RebatchFilters
from pasqal_runs import EMULATOR, events, lenient, mappable, omegas, ours, plain, strict, theirs, turned
from pasqal_server import PROJECT
from pulser import QPUBackend, Sequence
from pulser.backend import BitStrings, EmulationConfig
from pulser.devices import AnalogDevice

import qarchive
from qarchive.errors import BadInput
from qarchive.providers.pasqal import wire

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The batch sequence will not be used"),
]


@pytest.fixture
def archive(tmp_path):
    with strict(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def sdk(pasqal, archive):
    return archive.wrap(pasqal.client())


def results(batch):
    return [job.full_result for job in batch.ordered_jobs]


# Batches that are closed from the start


def test_each_job_of_a_batch_is_one_record_in_the_order_in_which_they_were_sent(archive, sdk):
    asked = [*omegas(6.0, 3.0, 6.0), *omegas(1, runs=7)]
    batch = sdk.create_batch(turned(), asked, wait=True, tags=["paper", "sweep"], **EMULATOR)
    found = results(batch)
    kept = list(archive.jobs(order="oldest"))
    assert [job.provider_job for job in kept] == [job.id for job in batch.ordered_jobs]
    assert [job.result() for job in kept] == found
    assert [job.input["jobs"] for job in kept] == [[job] for job in asked]
    assert [(job.status, job.shots, job.gaps, job.labels) for job in kept] == [
        ("DONE", job["runs"], [], {"tags": ["paper", "sweep"]}) for job in asked
    ]
    sent = [record for record in kept[0].history if record["type"] == "sent"]
    assert [(record["provider_job"], record["batch"]) for record in sent] == [(kept[0].provider_job, batch.id)]
    assert len({job.record["config"] for job in kept}) == len({record["instance"] for record in sent}) == 1
    assert events(kept[0]) == ["created", "ended"] and [events(job) for job in kept[1:]] == [[], [], []]


def test_jobs_are_durable_before_they_are_sent(archive, sdk, monkeypatch):
    seen = []

    def request(self, method, url, *args, **kwargs):
        if method == "POST":
            seen.append([(job.status, job.provider_job) for job in archive.jobs()])
        return original(self, method, url, *args, **kwargs)

    original = HTTPClient._authenticated_request
    monkeypatch.setattr(HTTPClient, "_authenticated_request", request)
    sdk.create_batch(turned(), omegas(6.0, 3.0), **EMULATOR)
    assert seen == [[("SENDING", None)] * 2]


def test_jobs_may_have_sequences_of_their_own_or_choose_their_register(archive, sdk):
    other = plain(3.0)
    batch = sdk.create_batch(plain(), [{"runs": 10}, {"runs": 10, "serialized_sequence": other}], wait=True, **EMULATOR)
    results(batch)
    first, second = archive.jobs(order="oldest")
    assert (first.text(), second.text()) == ([plain()], [other])
    assert second.input == {"serialized_sequence": plain(), "jobs": [{"runs": 10, "serialized_sequence": other}]}
    chosen = [{"q0": 1, "q1": 5}, {"q0": 2, "q1": 4, "q2": 8}]
    batch = sdk.create_batch(mappable(), [{"runs": 9, "variables": {"qubits": each}} for each in chosen], wait=True, **EMULATOR)
    found = results(batch)
    kept = list(archive.jobs(order="oldest"))[2:]
    assert [job.input["jobs"][0]["variables"]["qubits"] for job in kept] == chosen
    assert [job.counts() for job in kept] == [result["counter"] for result in found]
    sdk.create_batch(None, [{"runs": 5, "serialized_sequence": plain()}], **EMULATOR)
    assert archive.job("latest").input == {"serialized_sequence": None, "jobs": [{"runs": 5, "serialized_sequence": plain()}]}


def test_equal_sequences_devices_and_registers_are_stored_once(archive, sdk):
    for amplitude in (1.0, 2.0, 3.0):
        sdk.create_batch(plain(amplitude), [{"runs": 5}, {"runs": 6}], **EMULATOR)
    kinds = archive.statistics()["kinds"]
    assert [kinds[kind]["blobs"] for kind in ("device", "register", "sequence", "keys", "input")] == [1, 1, 3, 2, 6]


def test_a_qpu_is_archived_with_its_specifications_and_tells_no_calibration(pasqal, tmp_path):
    said = "Pasqal's API tells none; the specifications of the device when the job was sent are in its snapshot"
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        batch = sdk.create_batch(plain(6.0, AnalogDevice), [{"runs": 5}, {"runs": 6}], device_type="FRESNEL", wait=True)
        assert [job.full_result["serialised_results"] for job in batch.ordered_jobs] == [None, None]
        for job in archive.jobs():
            assert (job.kind, job.backend, job.gaps) == ("qpu", "FRESNEL", [{"what": "calibration", "reason": said}])
        before = archive.job("latest").backend_snapshot
        assert ours(pasqal) == [("GET", "/core-fast/api/v1/devices/specs")]
        pasqal.calibrate("FRESNEL", {"default_noise_model": {"p_false_pos": 0.2}})
        wire.wire(sdk._client)._specs = None  # as if the time that they stand for were over
        sdk.create_batch(plain(6.0, AnalogDevice), [{"runs": 5}], device_type="FRESNEL")
        after = archive.job("latest").backend_snapshot
        assert before["device"] != after["device"] and before["keys"] == after["keys"]
        held = archive._store.value(after["device"].digest)
        assert held["specs"]["default_noise_model"]["p_false_pos"] == 0.2


def test_without_a_device_type_that_of_the_sequence_is_recorded(pasqal, tmp_path):
    sequence = json.loads(plain(6.0, AnalogDevice))
    sequence["device"]["name"] = "FRESNEL"
    with lenient(tmp_path / "lab") as archive:
        archive.wrap(pasqal.client()).create_batch(json.dumps(sequence), [{"runs": 5}])
        assert archive.job("latest").backend == pasqal.batches_seen[0].device_type == "FRESNEL"


# Open batches


def test_jobs_that_are_added_to_an_open_batch_know_it(archive, sdk):
    batch = sdk.create_batch(turned(), omegas(6.0), open=True, **EMULATOR)
    batch.add_jobs(omegas(3.0, 2.0), wait=True)
    sdk.add_jobs(batch.id, omegas(1.0), wait=True)
    batch.close(wait=True)
    batch.refresh()
    batch.ordered_jobs = None
    found = results(batch)
    kept = list(archive.jobs(order="oldest"))
    assert [job.provider_job for job in kept] == [job.id for job in batch.ordered_jobs]
    assert [job.result() for job in kept] == found
    assert [job.text() for job in kept] == [[turned()]] * 4
    assert [job.config.get("batch") for job in kept] == [None, batch.id, batch.id, batch.id]
    assert [job.config["device_type"] for job in kept] == ["EMU_FREE"] * 4
    told = [name for name in events(kept[0]) if name != "started"]  # which the answer to an addition may have said
    assert told == ["created", "jobs added", "jobs added", "closed"]


def test_a_batch_that_is_opened_without_jobs_is_told_with_its_first(archive, sdk):
    batch = sdk.create_batch(turned(), [], open=True, **EMULATOR)
    assert len(archive.jobs()) == 0
    batch.add_jobs(omegas(6.0))
    job = archive.job("latest")
    assert (job.text(), events(job)) == ([turned()], ["created", "jobs added"])


def test_a_batch_of_another_process_is_known_once_it_was_looked_at_or_from_the_archive(pasqal, archive, sdk, tmp_path):
    from qarchive.providers.pasqal import batches

    here = sdk.create_batch(turned(), omegas(6.0), open=True, **EMULATOR)
    batches._known.clear()
    sdk.add_jobs(here.id, omegas(5.0))
    assert archive.job("latest").text() == [turned()] and archive.job("latest").backend == "EMU_FREE"
    theirs = pasqal.client().create_batch(turned(), omegas(6.0), open=True, **EMULATOR)
    batches._known.clear()
    sdk.get_batch(theirs.id)
    sdk.add_jobs(theirs.id, omegas(4.0))
    assert archive.job("latest").text() == [turned()]
    with lenient(tmp_path / "other") as other:
        batches._known.clear()
        other.wrap(pasqal.client()).add_jobs(theirs.id, omegas(2.0))
        job = other.job("latest")
        reason = "the batch was made elsewhere, and not looked at here"
        assert {"what": "input.builder", "reason": reason} in job.gaps
        assert (job.input["jobs"], job.provider_job) == (omegas(2.0), pasqal.jobs_seen[-1].id)


def test_jobs_that_somebody_else_adds_at_the_same_moment_are_told_apart(pasqal, archive):
    bare = pasqal.client()

    class Crowded(HTTPClient):
        def add_jobs(self, batch_id, jobs_data):
            super().add_jobs(batch_id, jobs_data)
            return bare._client.add_jobs(batch_id, omegas(1.0))

    sdk = archive.wrap(pasqal.client(client_class=Crowded))
    batch = sdk.create_batch(turned(), omegas(6.0), open=True, **EMULATOR)
    batch.add_jobs(omegas(3.0))
    assert [job.provider_job for job in archive.jobs(order="oldest")] == [job.id for job in pasqal.jobs_seen[:2]]


def test_a_job_that_is_tried_again_is_a_child_of_the_first(archive, sdk):
    batch = sdk.create_batch(turned(), omegas(6.0, 6.0), open=True, **EMULATOR)
    batch.retry(batch.ordered_jobs[1], wait=True)
    first, second, again = archive.jobs(order="oldest")
    assert str(again.record["parent"]) == second.id
    assert again.input["jobs"] == second.input["jobs"]
    batch.add_jobs(omegas(6.0))  # which is no other try of any
    assert "parent" not in archive.job("latest").record


def test_a_batch_that_is_interrupted_says_so(pasqal, archive, sdk):
    pasqal.hold()
    batch = sdk.create_batch(turned(), omegas(6.0), open=True, **EMULATOR)
    pasqal.time_out(batch.id)
    batch.refresh()
    batch.ordered_jobs = None
    assert [job.status for job in batch.ordered_jobs] == ["CANCELED"]
    job = archive.job("latest")
    assert (job.status, events(job)) == ("CANCELLED", ["created", "timed out"])
    with pytest.raises(qarchive.errors.JobFailed):
        job.result()


# Cancelled, failed, repeated


def test_what_is_cancelled_ends_so(pasqal, archive, sdk):
    pasqal.hold()
    one, two, three, four = (sdk.create_batch(turned(), [*omegas(6.0), *omegas(1.0, runs=50)], **EMULATOR) for _ in range(4))
    one.ordered_jobs[0].cancel()
    sdk.cancel_jobs(two.id, CancelJobFilters(min_runs=40))
    three.cancel()
    sdk.cancel_batches([four.id])
    statuses = [job.status for job in archive.jobs(order="oldest")]
    assert statuses == ["CANCELLED", "QUEUED", "QUEUED", "CANCELLED", "CANCELLED", "CANCELLED", "QUEUED", "QUEUED"]
    four.ordered_jobs = None
    assert len(four.ordered_jobs) == 2
    assert [job.status for job in archive.jobs()][:2] == ["CANCELLED"] * 2
    firsts = list(archive.jobs(order="oldest"))[::2]
    assert [events(job) for job in firsts] == [["created"], ["created"], ["created", "cancelled"], ["created", "cancelled"]]


def test_a_job_that_failed_says_why(pasqal, archive, sdk):
    pasqal.break_next("laser off")
    batch = sdk.create_batch(turned(), omegas(6.0, 3.0), wait=True, **EMULATOR)
    assert [job.full_result is None for job in batch.ordered_jobs] == [True, False]
    failed, other = archive.jobs(order="oldest")
    assert (failed.status, failed.error, other.status) == ("ERROR", {"type": "ERROR", "message": "laser off"}, "DONE")


def test_a_job_that_is_asked_for_while_it_runs_is_seen_to(pasqal, archive, sdk):
    pasqal.hold("RUNNING")
    batch = sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    pasqal.wait(pasqal.jobs_seen[0].id, "RUNNING")
    assert sdk.get_job(batch.ordered_jobs[0].id).status == "RUNNING"
    job = archive.job("latest")
    assert job.status == "RUNNING"
    pasqal.release()
    pasqal.wait(pasqal.jobs_seen[0].id)
    live = sdk.get_job(batch.ordered_jobs[0].id)
    assert (live.status, job.status) == ("DONE", "RUNNING")  # nobody has read its results yet
    assert live.full_result == job.result()


def test_a_result_that_is_read_at_once_needs_no_other_request(pasqal, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        batch = sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
        pasqal.wait(batch.ordered_jobs[0].id)
        found = batch.ordered_jobs[0].full_result
        job = archive.job("latest")
        reason = "the service was not asked about the job after it had ended, only for its results"
        assert (job.result(), job.gaps) == (found, [{"what": "volatile.job", "reason": reason}])


FILTERS = {
    "all": lambda batch: None,
    "id": lambda batch: RebatchFilters(id=batch.ordered_jobs[1].id),
    "ids": lambda batch: RebatchFilters(id=[job.id for job in batch.ordered_jobs[1:]]),
    "status": lambda batch: RebatchFilters(status=JobStatus.ERROR),
    "runs": lambda batch: RebatchFilters(min_runs=25, max_runs=35),
    "dates": lambda batch: RebatchFilters(
        start_date=datetime.now(UTC) - timedelta(hours=1), end_date=datetime.now(UTC), status=JobStatus.DONE
    ),
}


@pytest.mark.parametrize("name, wanted", [("all", 3), ("id", 1), ("ids", 2), ("status", 1), ("runs", 1), ("dates", 2)])
def test_repeated_jobs_are_children_of_those_that_they_repeat(pasqal, tmp_path, name, wanted):
    pasqal.break_next()
    with strict(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        asked = [*omegas(6.0, runs=20), *omegas(3.0, runs=30), *omegas(2.0, runs=40)]
        old = sdk.create_batch(turned(), asked, wait=True, tags=["sweep"], **EMULATOR)
        originals = {job.provider_job: job for job in archive.jobs()}
        new = sdk.rebatch(old.id, FILTERS[name](old))
        made = [archive.job(job.id) for job in new.ordered_jobs]
        assert len(made) == wanted
        for job, live in zip(made, new.ordered_jobs, strict=True):
            parent = originals[live.parent_id]
            assert str(job.record["parent"]) == parent.id
            assert (job.input, job.record["input"]) == (parent.input, parent.record["input"])
            assert (job.labels, job.gaps, job.environment) == ({"tags": ["sweep"]}, [], parent.environment)
        assert events(archive.job(old.ordered_jobs[0].id))[-2:] == ["rebatch asked for", "rebatched"]
        asked_for = [
            record for record in archive.job(old.ordered_jobs[0].id).history if record.get("name") == "rebatch asked for"
        ]
        filters = FILTERS[name](old)
        assert archive._store.value(asked_for[0]["value"].digest)["filters"].keys() == (
            filters.model_fields_set if filters is not None else set()
        )
        assert events(made[0]) == ["created"]
        pasqal.wait(new.id)
        new.refresh()
        new.ordered_jobs = None
        found = results(new)
        assert [job.result() for job in made] == found


def test_a_job_is_run_again_by_its_cloud_as_a_batch_of_its_own(pasqal, archive, sdk):
    batch = sdk.create_batch(turned(), omegas(6.0, 3.0), tags=["a"], wait=True, **EMULATOR)
    first = archive.job(batch.ordered_jobs[1].id)
    for client in (pasqal.client(), sdk):
        child = first.rerun(client)
        assert (str(child.record["parent"]), child.record["input"]) == (first.id, first.record["input"])
        assert (child.provider_job, child.config, child.labels) == (pasqal.jobs_seen[-1].id, first.config, first.labels)
        assert pasqal.jobs_seen[-1].variables == {"omega": 3.0}


def test_a_job_is_run_again_here_with_the_noise_of_its_device(pasqal, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        sdk.create_batch(plain(6.0, AnalogDevice), [{"runs": 40}], device_type="FRESNEL")
        job = archive.job("latest")
        emulator = job.rebuild()
        assert emulator._config.noise_model == pasqal.devices["FRESNEL"].noise
        child = job.rerun()
        assert (child.provider, str(child.record["parent"]), sum(child.counts().values())) == ("pulser", job.id, 40)
        with pytest.raises(BadInput) as caught:
            job.rerun(object())
        assert str(caught.value) == "a object: it does not run jobs of Pasqal's; give a PasqalCloudClient, or nothing"


def test_a_sequence_may_be_attached_to_a_job(archive, sdk):
    sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    job = archive.job("latest")
    job.attach("logical", Sequence.from_abstract_repr(turned()))
    assert job.attachment("logical").to_abstract_repr() == Sequence.from_abstract_repr(turned()).to_abstract_repr()


def test_tags_that_are_set_later_are_an_event(archive, sdk):
    batch = sdk.create_batch(plain(), [{"runs": 5}], tags=["first"], **EMULATOR)
    batch.set_tags(["second"])
    job = archive.job("latest")
    assert events(job) == ["created", "tags set"]
    event = next(record for record in job.history if record.get("name") == "tags set")
    assert archive._store.value(event["value"].digest)["batch"]["tags"] == ["second"]
    assert job.labels == {"tags": ["first"]}


# Upstream


def script(sdk):
    """Something of everything; what it returned and raised, ids left out."""
    said = []
    batch = sdk.create_batch(turned(), omegas(6.0), open=True, tags=["a"], **EMULATOR)
    batch.add_jobs(omegas(3.0), wait=True)
    said += [job.full_result["counter"] for job in batch.ordered_jobs]
    batch.close(wait=True)
    batch.set_tags(["b"])
    sdk.get_device_specs_dict()
    for wrong in (
        lambda: batch.close(),
        lambda: sdk.get_job("no-such-job"),
        lambda: sdk.create_batch(turned(), omegas(1.0), device_type="EMU_NONE"),
        lambda: sdk.create_batch(turned(), [{"runs": object()}], **EMULATOR),
        lambda: sdk._client.get_job_results(),
    ):
        with pytest.raises(BaseException) as caught:
            wrong()
        said.append((type(caught.value), str(caught.value).replace(batch.id, "")[:120].partition(" at 0x")[0]))
    return said


def test_requests_results_and_exceptions_are_the_same_with_and_without_the_archive(pasqal, tmp_path):
    bare = script(pasqal.client())
    bare_requests = theirs(pasqal)
    pasqal.requests.clear()
    with lenient(tmp_path / "lab") as archive:
        archived = script(archive.wrap(pasqal.client()))
    kinds = [kind for kind, _ in archived[2:]]
    assert kinds == [BatchClosingError, JobFetchingError, BatchCreationError, TypeError, TypeError]
    assert archived == bare

    def without_ids(found):
        ids = {key for job in pasqal.jobs_seen for key in (job.id, job.batch_id)}
        seen = []
        for method, path, query, headers, body in found:
            for key in ids:
                path, query = path.replace(key, "ID"), query.replace(key, "ID")
            if not path.endswith("/status") and "bucket" not in path:  # how often is a matter of chance
                seen.append((method, path, query, headers, body))
        return seen

    assert [entry[:4] for entry in without_ids(theirs(pasqal))] == [entry[:4] for entry in without_ids(bare_requests)]


def test_a_service_that_does_not_tell_specifications_delays_nobody(pasqal, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("pasqal_cloud.utils.retry.time.sleep", waits.append)
    pasqal.fail_next(503, times=10, path_contains="/devices/specs")
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        for _ in range(3):
            sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
        reasons = [job.gaps[0]["reason"] for job in archive.jobs(order="oldest")]
        assert reasons == ["it answers 503"] * 2 + ["not asked: the service did not answer 2 times in a row"]
    assert waits == [] and len(ours(pasqal)) == 2


def test_an_archive_that_fails_breaks_nothing(pasqal, tmp_path, monkeypatch):
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        monkeypatch.setattr("qarchive.providers.pasqal.calls.put_sequence", lambda *_: 1 / 0)
        monkeypatch.setattr("qarchive.providers.pasqal.batches.kept", lambda *_: 1 / 0)
        batch = sdk.create_batch(plain(), [{"runs": 5}], wait=True, **EMULATOR)
        assert batch.ordered_jobs[0].full_result["counter"] == archive.job("latest").counts()
        assert [gap["what"] for gap in archive.job("latest").gaps] == ["input"]


# Other ways in


def test_pulsers_connection_and_backends_are_recorded(pasqal, tmp_path):
    from pasqal_cloud import RemoteEmuFreeBackend

    with lenient(tmp_path / "lab") as archive:
        connection = pasqal.connection()
        assert archive.wrap(connection) is connection
        emulator = RemoteEmuFreeBackend(Sequence.from_abstract_repr(turned()), connection)
        found = emulator.run([{"runs": 20, "variables": {"omega": 6.0}}, {"runs": 20, "variables": {"omega": 2.0}}], wait=True)
        assert [dict(result.final_bitstrings) for result in found.results] == [
            job.counts() for job in archive.jobs(order="oldest")
        ]
        assert [job.provider_job for job in archive.jobs(order="oldest")] == found.job_ids
        assert "backend_configuration" in archive.job("latest").config
        specs = connection.fetch_available_devices()["FRESNEL"]
        sequence = Sequence.from_abstract_repr(plain(6.0, AnalogDevice)).with_new_device(specs, strict=True)
        qpu = archive.wrap(QPUBackend(sequence, connection))
        with qpu.open_batch() as batch:
            results = [batch.backend.run([{"runs": runs}], wait=True) for runs in (10, 12)]
        kept = list(archive.jobs(order="oldest"))[2:]
        assert [(job.kind, job.shots, job.status) for job in kept] == [("qpu", 10, "RUNNING"), ("qpu", 12, "RUNNING")]
        assert [result.results[0].bitstring_counts for result in results] == [job.counts() for job in kept]
        assert events(kept[0])[:2] == ["created", "jobs added"] and "closed" in events(kept[0])


def test_equal_configurations_of_emulators_are_one(pasqal, tmp_path):
    from pasqal_cloud import RemoteEmuFreeBackend

    with lenient(tmp_path / "lab") as archive:
        for _ in range(2):
            connection = archive.wrap(pasqal.connection())
            config = EmulationConfig(observables=[BitStrings()])
            RemoteEmuFreeBackend(Sequence.from_abstract_repr(plain()), connection, config=config).run([{"runs": 5}])
        first, second = archive.jobs()
        assert first.record["config"] == second.record["config"]
        sent = [batch.backend_configuration for batch in pasqal.batches_seen]
        assert sent[0] != sent[1]


def test_a_client_of_a_class_of_the_users_own_is_seen(pasqal, archive):
    class Local(HTTPClient):
        def send_batch(self, batch_data):
            asked = {"id": "b-1", "project_id": PROJECT, "user_id": "me", "status": "DONE", "open": False, "complete": True,
                     "created_at": "2026-11-21T10:00:00+00:00", "updated_at": "2026-11-21T10:00:00+00:00",
                     "device_type": batch_data["device_type"]}  # fmt: skip
            self.job = {name: asked[name] for name in ("project_id", "user_id", "status", "created_at", "updated_at")}
            self.job |= {"id": "j-1", "batch_id": "b-1", "runs": batch_data["jobs"][0]["runs"]}
            return asked | {"jobs": [self.job], "sequence_builder": batch_data["sequence_builder"]}

        def get_device_specs_dict(self):
            return {}

        def get_job_results(self, job_id):
            return {"counter": {"00": 5}, "raw": None, "serialised_results": None}

        def get_job(self, job_id):
            return self.job | {"sequence": None}

    sdk = archive.wrap(pasqal.client(client_class=Local))
    batch = sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    assert sdk.get_job("j-1").full_result == {"counter": {"00": 5}, "raw": None, "serialised_results": None}
    job = archive.job("j-1")
    assert (job.counts(), job.result(), batch.id) == ({"00": 5}, sdk.get_job("j-1").full_result, "b-1")
    assert pasqal.requests == []


def test_jobs_of_an_answer_that_does_not_list_them_are_asked_for(pasqal, archive):
    class Brief(HTTPClient):
        def send_batch(self, batch_data):
            return {name: item for name, item in super().send_batch(batch_data).items() if name != "jobs"}

        def add_jobs(self, batch_id, jobs_data):
            return {name: item for name, item in super().add_jobs(batch_id, jobs_data).items() if name != "jobs"}

    sdk = archive.wrap(pasqal.client(client_class=Brief))
    batch = sdk.create_batch(turned(), omegas(6.0, 3.0), open=True, **EMULATOR)
    batch.add_jobs(omegas(6.0, 2.0))
    assert [job.provider_job for job in archive.jobs(order="oldest")] == [job.id for job in pasqal.jobs_seen]
    assert ours(pasqal).count(("GET", "/core-fast/api/v2/jobs")) == 2


def test_a_class_that_calls_the_sdks_own_methods_is_recorded_once(pasqal, archive):
    class Verbose(HTTPClient):
        def send_batch(self, batch_data):
            return super().send_batch(batch_data)

        def close_batch(self, batch_id):
            return super().close_batch(batch_id)

    sdk = archive.wrap(pasqal.client(client_class=Verbose))
    sdk.create_batch(plain(), [{"runs": 5}], open=True, **EMULATOR).close()
    (job,) = archive.jobs()
    assert events(job) == ["created", "closed"]


def test_jobs_and_batches_are_not_wrapped(pasqal, archive):
    batch = pasqal.client().create_batch(plain(), [{"runs": 5}], **EMULATOR)
    hints = {"a Batch": "fetch its jobs with `archive.fetch(client, id)`", "a Job": "give it to `archive.record`"}
    for native, what in ((batch, "a Batch"), (batch.ordered_jobs[0], "a Job")):
        with pytest.raises(BadInput) as caught:
            archive.wrap(native)
        assert str(caught.value) == f"{what}: it was sent before; wrap the client that sends; {hints[what]}"
