"""The loopback Pasqal Cloud, used by the unmodified client and by Pulser. Only the client's waits are shortened."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pasqal_server
import pytest
import requests
from pasqal_batches import CANCELED, DONE, ERROR, PAUSED, PENDING, RUNNING, TIMED_OUT
from pasqal_cloud import RemoteEmuFreeBackend, RemoteMPSBackend
from pasqal_cloud.authentication import TokenProviderError
from pasqal_cloud.endpoints import Endpoints
from pasqal_cloud.errors import (
    BatchCancellingError,
    BatchClosingError,
    BatchCreationError,
    BatchFetchingError,
    JobCancellingError,
    JobCreationError,
    JobFetchingError,
    JobRetryError,
    ProjectNotFoundError,
    RebatchError,
    WorkloadCancellingError,
)
from pasqal_cloud.http_client import HTTPClient
from pasqal_cloud.ovh import OVHConnection
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from pasqal_cloud.utils.constants import BatchStatus, JobStatus
from pasqal_cloud.utils.filters import BatchFilters, CancelJobFilters, JobFilters, PaginationParams, RebatchFilters
from pasqal_server import OTHER_PROJECT, OTHER_USER, PASSWORD, PROJECT, USER, PasqalServer
from pulser import NoiseModel, Pulse, QPUBackend, Register, Sequence
from pulser.backend import BitStrings, EmulationConfig, Occupation
from pulser.backend.remote import RemoteResultsError
from pulser.devices import AnalogDevice, MockDevice
from pulser.json.abstract_repr.deserializer import deserialize_device
from pulser.register.special_layouts import TriangularLatticeLayout

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def server():
    with PasqalServer(seed=7) as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The waits that the client asked for, in order; each takes a hundredth of a second at most."""
    asked = []

    def sleep(seconds: float) -> None:
        asked.append(seconds)
        time.sleep(min(seconds, 0.01))

    shortened = SimpleNamespace(sleep=sleep)
    monkeypatch.setattr("pasqal_cloud.utils.retry.time", shortened)
    monkeypatch.setattr("tenacity.nap.time", shortened)
    monkeypatch.setattr("pasqal_cloud.pasqal_cloud_client.time", shortened)
    return asked


def sequence(device=MockDevice, *, amplitude=6.0, parametrized: bool = False, measured: bool = True) -> Sequence:
    register = Register.from_coordinates([(0, 0), (6, 0)], prefix="q")
    made = Sequence(register if device is MockDevice else register.with_automatic_layout(device), device)
    made.declare_channel("rydberg", "rydberg_global")
    made.add(Pulse.ConstantPulse(200, made.declare_variable("omega_max") if parametrized else amplitude, 0, 0), "rydberg")
    if measured:
        made.measure("ground-rydberg")
    return made


def serialized(**options) -> str:
    return sequence(**options).to_abstract_repr()


def fresnel(client_or_connection) -> object:
    return deserialize_device(client_or_connection.get_device_specs_dict()["FRESNEL"])


def emulate(client, jobs=({"runs": 20},), **options):
    options = {"device_type": "EMU_FREE", "wait": True} | options
    return client.create_batch(serialized(), [dict(job) for job in jobs], **options)


def statuses(batch) -> list[str]:
    return [job.status for job in batch.ordered_jobs]


def ids(entries) -> list[str]:
    return [entry.id for entry in entries]


# The documented scripts


def test_an_open_batch_takes_jobs_until_it_is_closed(server):
    sdk = server.client()
    device = fresnel(sdk)
    batch = sdk.create_batch(
        serialized(device=device, parametrized=True), [{"runs": 50, "variables": {"omega_max": 9.5}}], open=True
    )
    assert (batch.device_type, batch.open, batch.device_status) == ("FRESNEL", True, "UP")
    batch.add_jobs(
        [{"runs": 50, "variables": {"omega_max": 10}}, {"runs": 50, "variables": {"omega_max": 10.5}}],
        wait=True,
    )
    assert (batch.status, statuses(batch)) == (RUNNING, [DONE] * 3)
    assert [sum(job.result.values()) for job in batch.ordered_jobs] == [50] * 3
    assert [job.variables["omega_max"] for job in batch.ordered_jobs] == [9.5, 10, 10.5]
    batch.close()
    assert (batch.status, batch.open, batch.jobs_count_per_status[DONE]) == (DONE, False, 3)
    with pytest.raises(JobCreationError, match="is closed"):
        batch.add_jobs([{"runs": 1, "variables": {"omega_max": 1}}])
    with pytest.raises(BatchClosingError):
        batch.close()


def test_jobs_of_a_mappable_register_place_their_own_atoms(server):
    layout = TriangularLatticeLayout(n_traps=100, spacing=5)
    mapped = Sequence(layout.make_mappable_register(n_qubits=30), MockDevice)
    mapped.declare_channel("rydberg", "rydberg_global")
    mapped.add(Pulse.ConstantPulse(duration=100, amplitude=1, detuning=0, phase=0), "rydberg")
    jobs = [
        {"runs": 100, "variables": {"qubits": {"q0": 1, "q1": 5, "q2": 7}}},
        {"runs": 100, "variables": {"qubits": {"q0": 2, "q1": 4, "q2": 8, "q3": 26}}},
    ]
    batch = server.client().create_batch(mapped.to_abstract_repr(), jobs, emulator="EMU_FREE", wait=True)
    assert [len(next(iter(job.result))) for job in batch.ordered_jobs] == [3, 4]
    assert [sum(job.result.values()) for job in batch.ordered_jobs] == [100, 100]


def test_jobs_are_listed_by_filter_and_page(server):
    sdk, other = server.client(), server.client(user=OTHER_USER, project_id=OTHER_PROJECT)
    first = emulate(sdk, [{"runs": runs} for runs in (5, 10, 20)])
    middle = datetime.now(UTC)
    server.break_next("The laser went out.")
    second = emulate(other, [{"runs": 7}])
    everything = ids(second.ordered_jobs) + ids(reversed(first.ordered_jobs))

    def found(page=None, **filters):
        return ids(sdk.get_jobs(filters=JobFilters(**filters), pagination_params=page).results)

    assert ids(sdk.get_jobs().results) == everything
    assert sdk.get_jobs(pagination_params=PaginationParams(offset=0)).total == 4
    assert found(PaginationParams(limit=2)) == everything[:2]
    assert found(PaginationParams(offset=2, limit=1)) == everything[2:3]
    assert found(PaginationParams(offset=9)) == []
    assert found(batch_id=first.id) == everything[1:]
    assert found(id=everything[1:3]) == everything[1:3]
    assert found(status=JobStatus.ERROR, project_id=OTHER_PROJECT) == everything[:1]
    assert found(status=[JobStatus.ERROR, JobStatus.DONE]) == everything
    assert found(status=JobStatus.CANCELED, start_date=middle, end_date=datetime.now(UTC)) == []
    assert (found(start_date=middle), found(end_date=middle)) == (everything[:1], everything[1:])
    assert found(user_id=[second.user_id, "nobody"]) == everything[:1]
    assert found(min_runs=6, max_runs=10) == [everything[0], everything[2]]
    assert (found(errors=True), found(errors=False)) == (everything[:1], everything[1:])
    assert ids(other.get_jobs().results) == everything[:1]


def test_more_jobs_than_a_page_are_fetched_in_pages_in_the_order_of_submission(server):
    sdk = server.client()
    server.hold()
    sent = sdk.create_batch(serialized(), [{"runs": runs} for runs in range(1, 251)], device_type="EMU_FREE")
    got = sdk.get_batch(sent.id).ordered_jobs
    assert [job.runs for job in got] == list(range(1, 251))
    pages = [request.query for request in server.requests if request.path.endswith("/jobs")]
    assert [page.partition("offset=")[2] for page in pages] == ["", "100", "200"]
    offsets = [sdk.get_jobs(pagination_params=PaginationParams(offset=offset)) for offset in (0, 100, 200)]
    assert [len(page.results) for page in offsets] == [100, 100, 50]
    assert {page.total for page in offsets} == {250}


def test_batches_are_listed_by_filter_and_page(server):
    sdk = server.client()
    server.hold()
    first = emulate(sdk, wait=False, tags=["a", "b"])
    middle = datetime.now(UTC)
    second = emulate(sdk, [], wait=False, open=True, device_type="EMU_MPS")
    third = emulate(server.client(user=OTHER_USER, project_id=OTHER_PROJECT), wait=False)
    sdk.cancel_batch(first.id)

    def found(**filters):
        return ids(sdk.get_batches(filters=BatchFilters(**filters)).results)

    one, two, three = ids((first, second, third))
    page = sdk.get_batches(pagination_params=PaginationParams(limit=2))
    assert (page.total, ids(page.results)) == (3, [three, two])
    assert found(tag="b") == [one]
    assert found(status=BatchStatus.CANCELED) == [one]
    assert found(status=[BatchStatus.PENDING]) == [three, two]
    assert (found(open=True), found(open=False)) == ([two], [three, one])
    assert found(device_type=["EMU_MPS"]) == [two]
    assert found(project_id=OTHER_PROJECT) == found(user_id=third.user_id) == [three]
    assert found(id=[one, two]) == [two, one]
    assert (found(start_date=middle), found(end_date=middle)) == ([three, two], [one])
    assert found(queue_priority="HIGH") == []
    assert page.results[0].sequence_builder == serialized()


def test_a_closed_batch_is_retried_by_any_filter(server):
    sdk = server.client()
    server.break_next()
    batch = emulate(sdk, [{"runs": runs} for runs in (3, 5, 10)])
    assert (batch.status, statuses(batch)) == (DONE, [ERROR, DONE, DONE])
    server.hold()

    def retried(**filters) -> list[int]:
        made = sdk.rebatch(batch.id, RebatchFilters(**filters))
        assert (made.parent_id, made.id != batch.id, made.device_type) == (batch.id, True, "EMU_FREE")
        return [job.runs for job in made.ordered_jobs]

    assert [job.runs for job in sdk.rebatch(batch.id).ordered_jobs] == [3, 5, 10]
    assert retried(id=batch.ordered_jobs[1].id) == [5]
    assert retried(status=JobStatus.ERROR) == [3]
    assert retried(min_runs=5, max_runs=10) == [5, 10]
    hour = timedelta(hours=1)
    assert retried(status=JobStatus.DONE, start_date=datetime.now(UTC) - hour, end_date=datetime.now(UTC) + hour) == [5, 10]
    last = sdk.rebatch(batch.id, RebatchFilters(status=[JobStatus.ERROR]))
    assert last.ordered_jobs[0].parent_id == batch.ordered_jobs[0].id
    with pytest.raises(RebatchError, match="passes the filters"):
        sdk.rebatch(batch.id, RebatchFilters(status=JobStatus.CANCELED))
    server.release()
    server.wait(last.id)
    assert sum(sdk.get_batch(last.id).ordered_jobs[0].result.values()) == 3


def test_a_job_is_retried_in_an_open_batch(server):
    sdk = server.client()
    batch = sdk.create_batch(serialized(), [{"runs": 30}], device_type="EMU_FREE", complete=False)
    with pytest.raises(RebatchError, match="is open"):
        sdk.rebatch(batch.id)
    batch.retry(batch.ordered_jobs[0])
    batch.retry(batch.ordered_jobs[0], wait=True)
    assert [(job.runs, job.status) for job in batch.ordered_jobs] == [(30, DONE)] * 3
    batch.close()
    with pytest.raises(JobRetryError):
        batch.retry(batch.ordered_jobs[0])


def test_the_client_forgets_a_jobs_own_sequence_when_it_retries_it(server):
    sdk = server.client()
    jobs = [{"runs": 30, "serialized_sequence": serialized()}]
    batch = sdk.create_batch(None, jobs, device_type="EMU_FREE", open=True, wait=True)
    with pytest.raises(JobRetryError):
        batch.retry(batch.ordered_jobs[0])
    assert server.sent("POST", "/jobs") == [[{"runs": 30, "variables": None, "sequence": None}]]
    assert batch.ordered_jobs[0].sequence == serialized()  # asks for it, and can retry now
    batch.retry(batch.ordered_jobs[0], wait=True)
    assert statuses(batch) == [DONE, DONE]


def test_device_specs_are_serialised_devices_and_change_over_time(server):
    sdk = server.client()
    before = sdk.get_device_specs_dict()
    assert set(before) == {"FRESNEL", "FRESNEL_CAN1"}
    assert deserialize_device(before["FRESNEL"]).noise_model.p_false_pos == 0.01
    assert server.client(token_provider=None).get_device_specs_dict() == before
    server.calibrate("FRESNEL", {"default_noise_model": {"p_false_pos": 0.5}})
    server.set_specs("FRESNEL_CAN1", before["FRESNEL_CAN1"].replace('"max_runs": 2000', '"max_runs": 10'))
    after = sdk.get_device_specs_dict()
    assert deserialize_device(after["FRESNEL"]).noise_model.p_false_pos == 0.5
    assert deserialize_device(after["FRESNEL_CAN1"]).max_runs == 10
    assert [specs for _, specs in server.devices["FRESNEL"].history] == [before["FRESNEL"], after["FRESNEL"]]
    text = serialized(device=deserialize_device(before["FRESNEL"]), amplitude=0.01)
    noisy = sdk.create_batch(text, [{"runs": 200}], wait=True)
    assert noisy.ordered_jobs[0].result.get("00", 0) < 100  # half of the ground states read as excited
    server.retire("FRESNEL")
    assert set(sdk.get_device_specs_dict()) == {"FRESNEL_CAN1"}
    with pytest.raises(BatchCreationError, match="FRESNEL is not available"):
        sdk.create_batch(text, [{"runs": 1}])


# Results


def test_results_are_seeded_counted_and_serialised(server):
    sdk = server.client()
    first, second = (emulate(sdk, [{"runs": 200}]).ordered_jobs[0] for _ in range(2))
    assert first.result == second.result
    full = first.full_result
    assert {bits: full["raw"].count(bits) for bits in set(full["raw"])} == full["counter"] == first.result
    assert json.loads(full["serialised_results"])["atom_order"] == ["q0", "q1"]
    on_qpu = sdk.create_batch(serialized(device=fresnel(sdk)), [{"runs": 200}], wait=True).ordered_jobs[0]
    assert (on_qpu.full_result["serialised_results"], sum(on_qpu.result.values())) == (None, 200)
    assert on_qpu.result != first.result
    twin = sdk.create_batch(serialized(device=fresnel(sdk)), [{"runs": 200}], device_type="EMU_FRESNEL", wait=True)
    assert twin.ordered_jobs[0].result == on_qpu.result


def test_a_job_brings_its_own_sequence(server):
    sdk = server.client()
    jobs = [{"runs": 50, "serialized_sequence": serialized(amplitude=value)} for value in (0.001, 6.0)]
    batch = sdk.create_batch(None, jobs, device_type="EMU_SV", wait=True)
    still, excited = batch.ordered_jobs
    assert still.result == {"00": 50} != excited.result
    assert (batch.sequence_builder, still.sequence) == (None, jobs[0]["serialized_sequence"])
    with pytest.raises(BatchCreationError, match="device type cannot be read"):
        sdk.create_batch("no sequence", [{"runs": 1}])
    with pytest.raises(BatchCreationError, match="AnalogDevice is not available"):
        sdk.create_batch(serialized(device=AnalogDevice), [{"runs": 1}])


def test_what_cannot_be_built_ends_in_error_and_says_why(server):
    sdk = server.client()
    text = serialized(device=fresnel(sdk), parametrized=True)
    variables = ({}, {"omega_max": 999}, {"omega_max": "x"}, {"omega_max": 1})
    batch = sdk.create_batch(text, [{"runs": 5, "variables": each} for each in variables], wait=True)
    assert statuses(batch) == [ERROR, ERROR, ERROR, DONE]
    assert batch.ordered_jobs[0].errors == ["TypeError: Did not receive values for variables: omega_max"]
    assert "over the maximum" in batch.ordered_jobs[1].errors[0]
    assert batch.ordered_jobs[0].full_result is batch.ordered_jobs[0].result is None
    broken = sdk.create_batch("{}", [{"runs": 5}], device_type="EMU_FREE", wait=True)
    assert statuses(broken) == [ERROR]


def test_a_broken_job_has_its_message_and_the_next_one_runs(server):
    server.break_next("The laser went out.")
    batch = emulate(server.client(), [{"runs": 5}, {"runs": 5}])
    assert [(job.status, job.errors) for job in batch.ordered_jobs] == [(ERROR, ["The laser went out."]), (DONE, None)]


def test_an_emulator_obeys_its_configuration_and_the_runs_of_the_job(server):
    config = EmulationConfig(observables=[BitStrings(), Occupation()], noise_model=NoiseModel(p_false_pos=0.99))
    sdk = server.client()
    options = {"device_type": "EMU_FREE", "backend_configuration": config.to_abstract_repr(), "wait": True}
    batch = sdk.create_batch(serialized(amplitude=0.001), [{"runs": 40}, {}], **options)
    few, default = batch.ordered_jobs
    assert (sum(few.result.values()), sum(default.result.values())) == (40, 1000)
    assert few.result["11"] > 30
    assert batch.backend_configuration == config.to_abstract_repr()


def test_a_link_expires_and_belongs_to_its_file_alone(server, waits):
    sdk = server.client()
    one, two = emulate(sdk, [{"runs": 5}, {"runs": 6}]).ordered_jobs
    link = sdk._client._authenticated_request("GET", sdk._client._get_url("get_job_results_link", job_id=one.id))["data"]
    url = link["results_link"]
    assert requests.get(url).json()["counter"] == one.result
    assert requests.get(url, headers={"Authorization": f"Bearer {server.token}"}).status_code == 400
    for wrong in (url.replace(one.id, two.id), url.replace("Expires=3600", "Expires=9999"), url[:-1]):
        answer = requests.get(wrong)
        assert (answer.status_code, "<Code>SignatureDoesNotMatch</Code>" in answer.text) == (403, True)
    server.expire_links()
    assert "Request has expired" in requests.get(url).text
    assert sum(sdk.get_job(one.id).result.values()) == 5  # a new link
    server.link_lifetime_s = 0
    with pytest.raises(requests.HTTPError, match="403"):
        sdk.get_job(one.id).full_result  # noqa: B018
    assert waits[-5:] == [1, 2, 4, 8, 16]
    assert not any("Authorization" in each.headers for each in server.requests[-6:])


def test_pending_jobs_have_no_link(server):
    server.hold()
    batch = emulate(server.client(), wait=False)
    assert batch.ordered_jobs[0].full_result is None


# Statuses


def test_jobs_run_in_the_order_of_submission_and_an_open_batch_reserves_a_qpu(server):
    sdk = server.client()
    text = serialized(device=fresnel(sdk))
    opened = sdk.create_batch(text, [{"runs": 1}], open=True)
    server.wait(opened.ordered_jobs[0].id)
    waiting = sdk.create_batch(text, [{"runs": 2}])
    emulate(sdk)
    assert (sdk.get_batch_status(waiting.id), sdk.get_job_status(waiting.ordered_jobs[0].id)) == (
        BatchStatus.PENDING,
        JobStatus.PENDING,
    )
    opened.add_jobs([{"runs": 3}], wait=True)
    opened.close()
    server.wait(waiting.id)
    jobs = sorted((job for job in server.jobs_seen if job.runs < 4), key=lambda job: job.started)
    assert [job.runs for job in jobs] == [1, 3, 2]
    batch = sdk.get_batch(waiting.id)
    assert batch.created_at < batch.start_datetime < batch.end_datetime
    assert jobs[2].ended_at.isoformat() == batch.ordered_jobs[0].end_timestamp


def test_no_batch_starts_on_a_qpu_that_is_down(server):
    sdk = server.client()
    server.set_status("FRESNEL", "DOWN")
    batch = sdk.create_batch(serialized(device=fresnel(sdk)), [{"runs": 1}])
    emulate(sdk)
    assert (batch.device_status, sdk.get_batch(batch.id).status) == ("DOWN", PENDING)
    server.set_status("FRESNEL", "UP")
    assert server.wait(batch.id).status == DONE


def test_jobs_are_held_while_pending_or_running(server):
    sdk = server.client()
    server.hold(RUNNING)
    batch = emulate(sdk, [{"runs": 1}, {"runs": 1}], wait=False)
    server.wait(batch.ordered_jobs[0].id, RUNNING)
    batch = sdk.get_batch(batch.id)
    assert (batch.status, statuses(batch)) == (RUNNING, [RUNNING, PENDING])
    assert batch.jobs_count_per_status == {PENDING: 1, RUNNING: 1, DONE: 0, ERROR: 0, CANCELED: 0}
    with pytest.raises(JobCancellingError, match="status is RUNNING"):
        sdk.cancel_job(batch.ordered_jobs[0].id)
    server.release()
    assert server.wait(batch.id).status == DONE
    with pytest.raises(TimeoutError, match="is DONE after"):
        server.wait(batch.id, RUNNING, timeout_s=0.01)


def test_an_open_batch_without_new_jobs_times_out(server):
    sdk = server.client()
    batch = sdk.create_batch(serialized(), [{"runs": 1}], device_type="EMU_FREE", open=True, wait=True)
    server.hold()
    batch.add_jobs([{"runs": 2}])
    server.time_out(batch.id)
    assert sdk.get_batch_status(batch.id) is BatchStatus.TIMED_OUT
    batch = sdk.get_batch(batch.id)
    assert (batch.status, batch.open, statuses(batch)) == (TIMED_OUT, False, [DONE, CANCELED])
    with pytest.raises(JobCreationError, match="TIMED_OUT"):
        batch.add_jobs([{"runs": 1}])
    with pytest.raises(ValueError, match="only open batches time out"):
        server.time_out(batch.id)


def test_batches_and_jobs_are_canceled_before_they_run(server):
    sdk = server.client()
    server.hold()
    batch = emulate(sdk, [{"runs": runs} for runs in (1, 5, 9)], wait=False)
    one = batch.ordered_jobs[0]
    assert (sdk.cancel_job(one.id).status, batch.ordered_jobs[1].cancel()["status"]) == (CANCELED, CANCELED)
    with pytest.raises(JobCancellingError, match="status is CANCELED"):
        one.cancel()
    server.release()
    assert server.wait(batch.id).status == DONE
    assert statuses(sdk.get_batch(batch.id)) == [CANCELED, CANCELED, DONE]
    server.hold()
    others = [emulate(sdk, [{"runs": 1}, {"runs": 8}], wait=False) for _ in range(3)]
    answer = sdk.cancel_jobs(others[0].id, CancelJobFilters(min_runs=5))
    assert ([job.runs for job in answer.jobs], answer.errors) == ([8], {})
    answer = sdk.cancel_jobs(others[0].id)
    assert (len(answer.jobs), "status is CANCELED" in next(iter(answer.errors.values()))) == (1, True)
    assert sdk.get_batch(others[0].id).status == CANCELED
    others[1].cancel()
    assert (others[1].status, statuses(others[1])) == (CANCELED, [CANCELED] * 2)
    answer = sdk.cancel_batches(ids(others))
    assert ids(answer.batches) == [others[2].id]
    assert {str(key) for key in answer.errors} == {others[0].id, others[1].id}
    with pytest.raises(BatchCancellingError, match="status is CANCELED"):
        sdk.cancel_batch(others[2].id)


def test_any_status_can_be_forced_even_one_that_the_client_does_not_know(server):
    sdk = server.client()
    server.hold()
    batch = emulate(sdk, wait=False)
    server.force(batch.id, PAUSED)
    server.release()
    assert sdk.get_batch(batch.id).status == PAUSED
    with pytest.raises(KeyError, match="PAUSED"):
        sdk.get_batch_status(batch.id)
    server.force(batch.id, ERROR)
    failed = sdk.get_batch(batch.id)
    assert (failed.status, failed.ordered_jobs[0].errors) == (ERROR, ["The batch failed."])


def test_a_lost_job_or_batch_is_not_found(server):
    sdk = server.client()
    batch = emulate(sdk, [{"runs": 1}, {"runs": 2}])
    one, two = batch.ordered_jobs
    server.lose(one.id)
    with pytest.raises(JobFetchingError, match="404: Job with id .* does not exist"):
        sdk.get_job(one.id)
    assert ids(sdk.get_batch(batch.id).ordered_jobs) == [two.id]
    server.lose(batch.id)
    with pytest.raises(BatchFetchingError, match="does not exist"):
        batch.refresh()
    assert sdk.get_jobs().results == sdk.get_batches().results == []
    assert ([job.id for job in server.jobs_seen], len(server.batches_seen)) == (ids((one, two)), 1)


def test_tags_are_replaced(server):
    sdk = server.client()
    batch = emulate(sdk, tags=["old"])
    batch.set_tags(["new", "new", "other"])
    assert batch.tags == sdk.get_batch(batch.id).tags == ["new", "other"]
    assert sdk.set_batch_tags(batch.id, []).tags == []


def test_workloads_are_echoed_canceled_and_broken(server):
    sdk = server.client()
    done = sdk.create_workload("kind", "backend", {"a": 1}, wait=True)
    assert (done.status, done.result) == (DONE, {"workload_type": "kind", "config": {"a": 1}})
    with pytest.raises(WorkloadCancellingError, match="status is DONE"):
        done.cancel()
    server.break_next("no")
    failed = sdk.create_workload("kind", "backend", {}, wait=True)
    assert (failed.status, failed.errors, failed.result) == (ERROR, ["no"], None)
    server.hold()
    waiting = sdk.create_workload("kind", "backend", {})
    assert (sdk.cancel_workload(waiting.id).status, sdk.get_workload(waiting.id).status) == (CANCELED, CANCELED)


# Users


def test_a_user_logs_in_with_a_password_and_renews_the_token(server):
    sdk = server.client(username=USER, password=PASSWORD)
    assert sdk.user_token() == server.token
    emulate(sdk)
    server.token_lifetime_s = 30  # less than the minute within which the client renews
    short = server.client(username=USER, password=PASSWORD)
    assert short.user_token() != short.user_token()
    with pytest.raises(TokenProviderError, match="Wrong email or password"):
        server.client(username=USER, password="wrong")
    assert server.connection(username=OTHER_USER, password=PASSWORD).cloud_client.get_jobs().results == []


def test_expired_tokens_are_refused_until_there_is_a_new_one(server, waits):
    sdk = server.client()
    emulate(sdk)
    server.expire_tokens()
    before = len(waits)
    with pytest.raises(JobFetchingError, match="401: The access token is missing, invalid or expired"):
        sdk.get_jobs()
    assert len(waits) == before  # not retried
    assert server.issue_token() == server.token
    assert len(sdk.get_jobs().results) == 1


def test_projects_keep_their_work_apart(server):
    sdk, other = server.client(), server.client(user=OTHER_USER)
    assert [project.name for project in sdk.get_all_projects()] == ["First", "Other"]
    batch = emulate(sdk)
    with pytest.raises(BatchFetchingError, match="404"):
        other.get_batch(batch.id)
    with pytest.raises(BatchCreationError, match="not a member"):
        emulate(other)
    with pytest.raises(ProjectNotFoundError):
        other.switch_to_project(PROJECT)
    other.switch_to_project(OTHER_PROJECT)
    mine = emulate(other)
    assert (mine.project_id, sdk.get_batch(mine.id).user_id) == (OTHER_PROJECT, mine.user_id)


# Failures


def test_failures_are_retried_by_status_and_method_and_then_told(server, waits):
    sdk = server.client()
    server.fail_next(502, times=2, path_contains="/batches", method="POST")
    emulate(sdk, wait=False)
    assert waits[:2] == [1, 2]
    server.fail_next(429, retry_after_s=7)
    sdk.get_jobs()
    assert waits[-1] == 7
    count = len(waits)
    server.fail_next(503, description="Maintenance.")
    with pytest.raises(JobFetchingError, match="503: Maintenance"):
        sdk.get_jobs()
    assert len(waits) == count
    server.fail_next(500, times=6)
    with pytest.raises(BatchFetchingError, match="500: Failed on purpose"):
        sdk.get_batches()
    assert waits[count:] == [1, 2, 4, 8, 16]
    server.fail_next(403, text="<html>Forbidden</html>")
    with pytest.raises(requests.exceptions.JSONDecodeError):  # the client expects JSON in every error
        sdk.get_jobs()


def test_the_second_batch_may_be_refused(server):
    sdk = server.client()
    for status, description in ((402, "No credit left."), (400, "Invalid sequence."), (413, "Payload too large.")):
        server.fail_submission(status, nth=2, description=description)
        emulate(sdk, wait=False)
        with pytest.raises(BatchCreationError, match=f"Batch creation failed: {status}: {description}"):
            emulate(sdk, wait=False)
        emulate(sdk, wait=False)
    assert len(server.batches_seen) == 6


def test_nonsense_and_silence_come_where_they_are_ordered(server, monkeypatch):
    monkeypatch.setattr("pasqal_cloud.http_client.TIMEOUT", 0.1)
    sdk = server.client()
    server.fail_submission(200, text="<html>hello</html>", after_processing=True)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        emulate(sdk, wait=False)
    for after, count in ((False, 1), (True, 2)):
        server.fail_submission(503, hang_s=0.5, after_processing=after)
        with pytest.raises(requests.Timeout):
            emulate(sdk, wait=False)
        assert len(server.batches_seen) == count


def test_unfinished_jobs_may_be_limited(server, waits):
    sdk = server.client()
    server.hold()
    server.limit(2)
    batch = emulate(sdk, wait=False, open=True)
    emulate(sdk, wait=False)
    with pytest.raises(BatchCreationError, match="429: At most 2 unfinished jobs are allowed at a time."):
        emulate(sdk, wait=False)
    with pytest.raises(JobCreationError, match="429: At most 2 unfinished jobs are allowed at a time."):
        batch.add_jobs([{"runs": 5}])
    assert waits == [1, 2, 4, 8, 16] * 2
    assert len(server.batches_seen) == len(server.jobs_seen) == 2
    batch.cancel()
    emulate(sdk, wait=False)
    server.limit(None)
    emulate(sdk, wait=False)
    assert len(server.batches_seen) == 4


def test_a_dropped_connection_is_retried_for_reading_only(server):
    sdk = server.client()
    server.fail_next(times=2)
    assert sdk.get_jobs().total == 0
    server.fail_next(method="POST", after_processing=True)
    with pytest.raises(requests.ConnectionError):
        emulate(sdk, wait=False)
    assert len(server.batches_seen) == 1  # accepted, and the client does not know
    server.fail_next(500, method="POST", after_processing=True)
    emulate(sdk, wait=False)
    assert len(server.batches_seen) == 3  # the client sent it twice


def test_answers_are_slow_on_request(server):
    sdk = server.client()
    server.slow(0.2)
    start = time.monotonic()
    sdk.get_jobs()
    assert time.monotonic() - start >= 0.2


def test_bad_requests_are_refused(server):
    sdk = server.client()
    with pytest.raises(BatchCreationError, match="at least one job"):
        emulate(sdk, [])
    with pytest.raises(BatchCreationError, match="422: body.jobs.runs: 0"):
        emulate(sdk, [{"runs": 0}])
    with pytest.raises(BatchCreationError, match="None is not a positive integer"):
        sdk.create_batch(serialized(device=fresnel(sdk)), [{}])
    headers = {"Authorization": f"Bearer {server.token}"}
    core = server.endpoints().core
    for path, status in (("jobs?limit=101", 422), ("jobs?offset=x", 422), ("jobs?order_by=x", 422), ("nothing", 404)):
        assert requests.get(f"{core}/api/v2/{path}", headers=headers).status_code == status
    assert requests.get(f"{server.endpoints().account}/api/v2/jobs", headers=headers).status_code == 404
    assert requests.get(f"{core}/api/v2/jobs?start_date=x", headers=headers).status_code == 422
    assert requests.post(f"{core}/api/v1/batches", data=b"{", headers=headers).status_code == 422
    assert server.jobs_seen == []


# The wire


def test_requests_are_recorded_and_gzip_is_optional(server, monkeypatch):
    sdk = server.client(webhook="http://127.0.0.1:9/hook")
    emulate(sdk, [{"runs": 1, "variables": None}], tags=["t"])
    request = server.requests[0]
    assert (request.method, request.path, request.headers["Content-Encoding"]) == ("POST", "/core-fast/api/v1/batches", "gzip")
    body = json.loads(gzip.decompress(request.body))
    assert server.sent("POST") == [body]
    assert body == {
        "sequence_builder": serialized(),
        "webhook": "http://127.0.0.1:9/hook",
        "jobs": [{"runs": 1, "variables": None}],
        "open": False,
        "device_type": "EMU_FREE",
        "tags": ["t"],
        "project_id": PROJECT,
    }
    assert request.headers["Authorization"] == f"Bearer {server.token}"
    monkeypatch.setenv("PASQAL_SKIP_GZIP_REQUEST_BODY", "1")
    emulate(server.client(), [{"runs": 2}])
    assert server.sent("POST")[1]["jobs"] == [{"runs": 2}]


def test_a_client_class_of_the_users_own_is_used(server):
    class Counting(HTTPClient):
        calls = 0

        def get_job(self, job_id):
            Counting.calls += 1
            return super().get_job(job_id)

    sdk = server.client(client_class=Counting)
    batch = emulate(sdk)
    sdk.get_job(batch.ordered_jobs[0].id)
    assert Counting.calls == 1


def test_many_clients_at_once_lose_nothing(server):
    made = []

    def submit():
        made.append(emulate(server.client(), [{"runs": 1}] * 3))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [statuses(batch) for batch in made] == [[DONE] * 3] * 8
    assert server.client().get_jobs().total == len(server.jobs) == 24


# Pulser


def test_a_qpu_backend_runs_remotely(server):
    connection = server.connection()
    device = connection.fetch_available_devices()["FRESNEL"]
    backend = QPUBackend(sequence(device, parametrized=True, measured=False), connection)
    jobs = [{"runs": 5, "variables": {"omega_max": 12}}, {"runs": 10, "variables": {"omega_max": 6}}]
    results = backend.run(jobs, wait=True)
    assert [sum(each.bitstring_counts.values()) for each in results.results] == [5, 10]
    assert results.results[0].atom_order == ("q0", "q1")
    assert results.get_batch_status().name == DONE
    again = connection.get_results(results.batch_id, job_ids=results.job_ids[1:])
    assert again.results[0].bitstring_counts == results.results[1].bitstring_counts
    with pytest.raises(ValueError, match="below the maximum"):
        backend.run([{"runs": 5000, "variables": {"omega_max": 1}}])


def test_jobs_run_in_pulsers_open_batch(server):
    connection = server.connection()
    device = connection.fetch_available_devices()["FRESNEL"]
    backend = QPUBackend(sequence(device, parametrized=True), connection)
    with backend.open_batch() as opened:
        batch_id = opened.backend._batch_id
        assert server.batches[batch_id].status == PENDING
        first = backend.run([{"runs": 1, "variables": {"omega_max": 12}}, {"runs": 2, "variables": {"omega_max": 6}}], wait=True)
        second = backend.run([{"runs": 3, "variables": {"omega_max": 5}}], wait=True)
        assert server.batches[batch_id].status == RUNNING
    assert server.batches[batch_id].status == DONE
    assert first.batch_id == second.batch_id == batch_id
    counts = [sum(each.bitstring_counts.values()) for results in (first, second) for each in results.results]
    assert counts == [1, 2, 3]


@pytest.mark.parametrize("kind", [RemoteEmuFreeBackend, RemoteMPSBackend])
def test_an_emulator_backend_returns_its_observables(server, kind):
    occupation = Occupation(evaluation_times=[0.5, 1.0])
    config = EmulationConfig(observables=[BitStrings(), occupation])
    results = kind(sequence(), server.connection(), config=config).run([{"runs": 30}], wait=True).results
    assert sum(results[0].final_bitstrings.values()) == 30
    assert len(results[0].get_result(occupation, 0.5)) == 2
    assert sum(kind(sequence(), server.connection()).run(wait=True).results[0].final_bitstrings.values()) == 1000


def test_pulser_tells_results_that_are_late_from_results_that_never_come(server):
    connection = server.connection()
    server.break_next()
    server.hold(RUNNING)
    results = RemoteEmuFreeBackend(sequence(), connection).run([{"runs": 3}, {"runs": 4}])
    with pytest.raises(RemoteResultsError):
        results.results  # noqa: B018
    server.release()
    server.wait(results.batch_id)
    with pytest.raises(RemoteResultsError):
        results.results  # noqa: B018
    (available,) = results.get_available_results().values()
    assert sum(available.final_bitstrings.values()) == 4


def test_pulser_submits_again_when_the_answer_is_lost(server):
    server.fail_next(method="POST", after_processing=True)
    results = RemoteEmuFreeBackend(sequence(), server.connection()).run([{"runs": 3}], wait=True)
    assert [batch.id == results.batch_id for batch in server.batches_seen] == [False, True]


def test_ovh_has_addresses_of_its_own(server, monkeypatch):
    monkeypatch.setenv("PASQAL_PULSER_ACCESS_TOKEN", server.token)
    connection = OVHConnection(endpoints=server.endpoints())
    device = connection.fetch_available_devices()["FRESNEL_CAN1"]
    results = QPUBackend(sequence(device), connection).run([{"runs": 9}], wait=True)
    assert sum(results.results[0].bitstring_counts.values()) == 9
    assert server.sent("POST", "/third-party-access/ovh/batches")[0]["project_id"] == ""


# Other processes


SCRIPT = f"""
from pasqal_cloud import SDK
sdk = SDK(username="{USER}", password="{PASSWORD}", project_id="{PROJECT}")
batch = sdk.create_batch(open("sequence.json").read(), [{{"runs": 25}}], device_type="EMU_FREE")
while sdk.get_job_status(batch.ordered_jobs[0].id).value != "DONE":
    pass
print(sum(sdk.get_batch(batch.id).ordered_jobs[0].result.values()))
"""


def run_script(folder: Path, environment: dict[str, str]) -> str:
    (folder / "sequence.json").write_text(serialized())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | environment, cwd=folder, text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script_that_knows_nothing_of_the_server_uses_it(server, tmp_path):
    assert run_script(tmp_path, server.environment(tmp_path)) == "25"
    assert [request.path for request in server.requests[:2]] == ["/oauth/token", "/core-fast/api/v1/batches"]


def test_the_server_serves_from_another_process_and_takes_commands():
    process = subprocess.Popen(
        [sys.executable, pasqal_server.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    with process:
        address = process.stdout.readline().strip()

        def command(*words):
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        class Provider(pasqal_server.TokenProvider):
            def get_token(self):
                return token

        token = command("token")
        endpoints = Endpoints(core=address + "/core-fast", account=address + "/account")
        sdk = PasqalCloudClient(token_provider=Provider(), endpoints=endpoints, project_id=PROJECT)
        assert command("hold") is None
        batch = emulate(sdk, wait=False)
        assert sdk.get_batch_status(batch.id) is BatchStatus.PENDING
        command("release")
        command("wait", batch.id)
        assert sum(sdk.get_batch(batch.id).ordered_jobs[0].result.values()) == 20
        command("expire_tokens")
        with pytest.raises(JobFetchingError, match="401"):
            sdk.get_jobs()
        process.stdin.close()
        assert process.wait(10) == 0
