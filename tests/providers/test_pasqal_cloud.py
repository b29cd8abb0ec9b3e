"""What Pasqal's cloud still knows: jobs that ended unseen, jobs that nobody captured; and no secret is kept."""

import os
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pasqal_cloud import RemoteEmuFreeBackend
from pasqal_cloud.errors import JobFetchingError
from pasqal_cloud.ovh import OVHConnection
from pasqal_runs import EMULATOR, events, lenient, omegas, plain, strict, turned
from pasqal_server import OTHER_PROJECT, OTHER_USER, PASSWORD, USER
from pulser import Sequence
from pulser.backend.remote import RemoteResults
from pulser.devices import AnalogDevice

import qarchive
from qarchive.errors import BadInput, JobFailed, NotAnswered, NotFound
from qarchive.providers import registry
from qarchive.providers.pasqal import wire

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
HERE = Path(__file__).parent
DENIED = (
    "Pasqal Cloud: it refuses access with these credentials; log in again: give a new PasqalCloudClient, with user name and "
    "password or a token provider"
)


@pytest.fixture
def archive(tmp_path):
    with lenient(tmp_path / "lab") as archive:
        yield archive


# Jobs that ended when nobody looked


def test_jobs_of_another_process_are_collected_with_a_new_token(pasqal, tmp_path):
    code = f"""
        import sys, warnings
        sys.path[:0] = [{str(HERE.parent / "servers")!r}, {str(HERE)!r}]
        warnings.simplefilter("ignore")
        from pasqal_cloud.endpoints import Endpoints
        from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
        from pasqal_server import PASSWORD, PROJECT, USER, auth_config
        from pasqal_runs import EMULATOR, omegas, turned
        import qarchive
        address = {pasqal.address!r}
        client = PasqalCloudClient(username=USER, password=PASSWORD, auth_config=auth_config(address), project_id=PROJECT,
                                   endpoints=Endpoints(core=address + "/core-fast", account=address + "/account"))
        qarchive.open(sys.argv[1]).wrap(client).create_batch(turned(), omegas(6.0, 3.0), **EMULATOR)
    """
    pasqal.hold()
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "lab")], env=os.environ, check=True)
    with strict(tmp_path / "lab") as archive:
        sdk = pasqal.client()
        ids = sorted(job.id for job in archive.jobs())
        assert sorted(archive.sync(sdk).waiting) == ids
        pasqal.release()
        for job in pasqal.jobs_seen:
            pasqal.wait(job.id)
        pasqal.expire_tokens()
        report = archive.sync(sdk)
        assert report.problems == dict.fromkeys(ids, DENIED)
        assert {job.status for job in archive.jobs()} == {"QUEUED"}
        pasqal.issue_token()
        assert sorted(archive.sync(sdk).collected) == ids
        live = sdk.get_batch(pasqal.batches_seen[0].id)
        assert [job.result() for job in archive.jobs(order="oldest")] == [job.full_result for job in live.ordered_jobs]
        assert {job.environment is not None and not job.gaps for job in archive.jobs()} == {True}
        assert not any(vars(archive.sync(sdk)).values())


def test_a_job_that_still_waits_is_left_and_its_status_noted(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    pasqal.hold()
    sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    job = archive.job("latest")
    assert (archive.sync(sdk).waiting, job.status) == ([job.id], "QUEUED")
    pasqal.hold("RUNNING")
    pasqal.wait(pasqal.jobs_seen[0].id, "RUNNING")
    assert (archive.sync(sdk).waiting, job.status) == ([job.id], "RUNNING")
    pasqal.release()
    pasqal.wait(pasqal.jobs_seen[0].id)
    assert (archive.sync(sdk).collected, job.status) == ([job.id], "DONE")


@pytest.mark.parametrize("how, status", [("break", "ERROR"), ("cancel", "CANCELLED")])
def test_a_job_that_failed_unseen_is_collected_with_its_reason(pasqal, archive, how, status):
    sdk = archive.wrap(pasqal.client())
    pasqal.hold()
    batch = sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    if how == "break":
        pasqal.break_next("laser off")
    else:
        pasqal.client().cancel_batch(batch.id)
    pasqal.release()
    pasqal.wait(pasqal.jobs_seen[0].id)
    archive.sync(sdk)
    job = archive.job("latest")
    assert (job.status, job.error) == (status, {"type": "ERROR", "message": "laser off"} if how == "break" else None)
    with pytest.raises(JobFailed):
        job.result()


def test_a_job_that_the_cloud_has_deleted_is_lost_and_says_so(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    batch = sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    pasqal.lose(batch.id)
    assert archive.sync(sdk).lost == [archive.job("latest").id]
    assert archive.job("latest").status == "UNKNOWN"
    with pytest.raises(JobFetchingError):
        sdk.get_job(pasqal.jobs_seen[0].id)


def test_a_job_is_followed_in_another_process_that_looks_at_it(pasqal, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        archive.wrap(pasqal.client()).create_batch(turned(), omegas(6.0, 3.0), **EMULATOR)
    for job in pasqal.jobs_seen:
        pasqal.wait(job.id)
    from qarchive.providers.pasqal import batches, jobs

    batches._known.clear()
    jobs._held.clear()
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        found = [job.full_result for job in sdk.get_batch(pasqal.batches_seen[0].id).ordered_jobs]
        assert [job.result() for job in archive.jobs(order="oldest")] == found
        assert events(archive.jobs(order="oldest")[0]) == ["created", "ended"]


def test_a_job_that_has_ended_is_not_recorded_again_by_a_process_that_looks_at_it(pasqal, tmp_path):
    from qarchive.providers.pasqal import jobs

    pasqal.break_next("laser off")
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        batch = sdk.create_batch(turned(), omegas(6.0, 3.0), wait=True, **EMULATOR)
        assert [job.full_result is None for job in batch.ordered_jobs] == [True, False]
        before = [len(job.history) for job in archive.jobs()]
    jobs._over.clear()
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client())
        assert [job.full_result is None for job in sdk.get_batch(batch.id).ordered_jobs] == [True, False]
        assert [job.status for job in sdk.get_jobs().results] == ["DONE", "ERROR"]
        assert [len(job.history) for job in archive.jobs()] == before


def test_results_that_are_archived_are_read_without_a_token_or_a_link(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    batch = sdk.create_batch(plain(), [{"runs": 5}], wait=True, **EMULATOR)
    found = batch.ordered_jobs[0].full_result
    pasqal.expire_tokens()
    pasqal.expire_links()
    job = archive.job("latest")
    assert job.result() == found and job.native().full_result == found
    assert not any(vars(archive.sync(sdk)).values())


def test_a_link_that_has_expired_meanwhile_is_asked_for_again(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    pasqal.wait(pasqal.jobs_seen[0].id)
    pasqal.link_lifetime_s = 0
    job = archive.job("latest")
    report = archive.sync(sdk)
    reason = f"the link to the results of job {job.provider_job} does not open: it answers 403"
    assert report.problems == {job.id: f"1 job could not be asked about: {reason}"}
    pasqal.link_lifetime_s = 3600
    assert archive.sync(sdk).collected == [job.id]


def test_a_client_of_another_project_is_not_asked_about_a_job_of_this_one(pasqal, archive):
    archive.wrap(pasqal.client()).create_batch(plain(), [{"runs": 5}], **EMULATOR)
    stranger = pasqal.client(user=OTHER_USER, project_id=OTHER_PROJECT)
    job = archive.job("latest")
    said = f"job {job.provider_job}: it was sent to another project or another cloud; give a client of that one"
    assert archive.sync(stranger).problems == {job.id: said}
    assert job.status == "QUEUED"


# Jobs that nobody captured


def test_all_jobs_are_fetched_with_results_and_gaps(pasqal, archive):
    sdk = pasqal.client()
    begin = datetime.now(UTC)
    old = sdk.create_batch(turned(), omegas(6.0, 3.0), wait=True, tags=["t"], **EMULATOR)
    sdk.create_batch(plain(6.0, AnalogDevice), [{"runs": 5}], device_type="FRESNEL", wait=True)
    found = archive.fetch(sdk, since=begin)
    assert [job.provider_job for job in found] == [job.id for job in pasqal.jobs_seen]
    assert [job.status for job in found] == ["DONE"] * 3
    assert [job.result() for job in found[:2]] == [job.full_result for job in old.ordered_jobs]
    assert [job.input["jobs"][0] for job in found[:2]] == omegas(6.0, 3.0)
    assert [job.text() for job in found] == [[turned()]] * 2 + [[plain(6.0, AnalogDevice)]]
    assert [job.labels for job in found] == [{"tags": ["t"]}] * 2 + [{}]
    assert [{gap["what"] for gap in job.gaps} for job in found] == [
        {"environment"}, {"environment"}, {"environment", "calibration", "backend.device"}
    ]  # fmt: skip
    assert archive.fetch(sdk, since=begin) == found and len(archive.jobs()) == 3
    assert archive.fetch(sdk, since=datetime.now(UTC)) == []


def test_one_job_is_fetched_and_one_that_is_not_there_is_not_found(pasqal, archive):
    sdk = pasqal.client()
    batch = sdk.create_batch(plain(), [{"runs": 5}], wait=True, **EMULATOR)
    job = archive.fetch(sdk, batch.ordered_jobs[0].id)
    assert job.counts() == batch.ordered_jobs[0].full_result["counter"]
    with pytest.raises(NotFound) as caught:
        archive.fetch(sdk, "no-such-job")
    said = "job no-such-job is not in Pasqal Cloud; it was deleted, or belongs to another project or account"
    assert str(caught.value) == said
    pasqal.expire_tokens()
    with pytest.raises(BadInput) as caught:
        archive.fetch(sdk, "no-such-job")
    assert str(caught.value) == DENIED


def test_a_job_of_the_sdk_is_recorded_once_and_followed(pasqal, archive):
    sdk = pasqal.client()
    done, waits = sdk.create_batch(plain(), [{"runs": 5}], wait=True, **EMULATOR).ordered_jobs[0], None
    job = archive.record(done)
    assert archive.record(sdk.get_job(done.id)) == job and len(archive.jobs()) == 1
    pasqal.hold()
    waits = sdk.create_batch(plain(), [{"runs": 6}], **EMULATOR).ordered_jobs[0]
    other = archive.record(waits)
    assert (other.shots, other.status in ("QUEUED", "RUNNING")) == (6, True)
    pasqal.release()
    pasqal.wait(waits.id)
    archive.sync(sdk)
    assert [archive.job(found.id).counts() for found in (done, waits)] == [done.result, waits.result]


def test_more_jobs_than_a_page_are_all_listed(pasqal, monkeypatch):
    monkeypatch.setattr(wire, "_PAGE", 3)
    pasqal.hold()
    sdk = pasqal.client()
    for count in (4, 3, 1):
        sdk.create_batch(plain(), [{"runs": 5}] * count, **EMULATOR)
    found = registry.named("pasqal").listed(sdk._client, None)
    assert list(found) == [job.id for job in pasqal.jobs_seen]


def test_a_service_that_is_away_is_said_to_be(pasqal, archive):
    sdk = archive.wrap(pasqal.client())
    sdk.create_batch(plain(), [{"runs": 5}], **EMULATOR)
    pasqal.fail_next(503, times=2)
    job = archive.job("latest")
    report = archive.sync(sdk)
    assert report.problems == {job.id: "1 job could not be asked about: it answers 503"}
    with pytest.raises(NotAnswered):
        archive.fetch(sdk, "any")


def test_without_a_client_the_sdk_has_nowhere_to_look(monkeypatch):
    monkeypatch.delenv("PASQAL_PULSER_ACCESS_TOKEN", raising=False)
    with pytest.raises(BadInput) as caught:
        registry.named("pasqal").connect()
    said = (
        "Pasqal Cloud: its SDK keeps no credentials, and $PASQAL_PULSER_ACCESS_TOKEN is not set; give a client: "
        "PasqalCloudClient(username=..., password=..., project_id=...)"
    )
    assert str(caught.value) == said
    monkeypatch.setenv("PASQAL_PULSER_ACCESS_TOKEN", "some-token")
    assert registry.named("pasqal").connect().user_token() == "some-token"


# Secrets


def test_no_secret_is_stored_anywhere(pasqal, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        webhook = "https://hooks.lab.test/services/T00/B11/s3cretpath"
        sdk = archive.wrap(pasqal.client(username=USER, webhook=webhook))
        token = sdk.user_token()
        batch = sdk.create_batch(turned(), omegas(6.0), wait=True, tags=[f"by {USER}", PASSWORD], **EMULATOR)
        assert batch.ordered_jobs[0].full_result["counter"]
        assert pasqal.batches_seen[0].webhook == webhook
        pasqal.link_lifetime_s = 0
        with pytest.raises(BaseException, match="X-Amz-Signature"):
            sdk.get_job(batch.ordered_jobs[0].id).full_result  # noqa: B018
        sdk.create_batch(turned(), omegas(6.0), **EMULATOR)
        pasqal.wait(pasqal.jobs_seen[-1].id)
        assert archive.sync(sdk).problems
        pasqal.link_lifetime_s = 3600
        archive.sync(sdk)
        archive.fetch(pasqal.client(username=USER), since="2026-01-01")
        archive.flush()
        kept = [archive._store.get(digest) for digest in archive._store.index.blobs_with_prefix("", 1_000_000)]
        assert len(kept) > 10
    packs = b"".join(path.read_bytes() for path in (tmp_path / "lab").rglob("*") if path.is_file())
    for secret in (token, USER, PASSWORD, webhook, "s3cretpath", "X-Amz", "results-bucket", *signatures(pasqal)):
        for data in (packs, *kept):
            assert secret.encode() not in data, secret


def signatures(server):
    return {found for request in server.requests for found in re.findall(r"X-Amz-Signature=([0-9a-f]{16})", request.query)}


# Everything that a process does


def test_autolog_sees_every_client(pasqal, tmp_path):
    code = f"""
        import sys, warnings
        sys.path[:0] = [{str(HERE.parent / "servers")!r}, {str(HERE)!r}]
        warnings.simplefilter("ignore")
        others = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "perceval")
        sys.modules.update(dict.fromkeys(others))  # autolog would import them all, for seconds
        import qarchive
        archive = qarchive.autolog(sys.argv[1])
        from pasqal_cloud.endpoints import Endpoints
        from pasqal_cloud.http_client import HTTPClient
        from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
        from pasqal_server import PASSWORD, PROJECT, USER, auth_config
        from pasqal_runs import EMULATOR, omegas, turned
        import pasqal_cloud.utils.polling as polling
        polling.POLL_WAIT_INITIAL_SECONDS = 0.01
        address = {pasqal.address!r}
        class Own(HTTPClient):
            def send_batch(self, batch_data):
                return super().send_batch(batch_data)
            def get_job_results(self, job_id):
                return super().get_job_results(job_id)
        for kind in (HTTPClient, Own):
            client = PasqalCloudClient(username=USER, password=PASSWORD, auth_config=auth_config(address), project_id=PROJECT,
                endpoints=Endpoints(core=address + "/core-fast", account=address + "/account"), client_class=kind)
            batch = client.create_batch(turned(), omegas(6.0), wait=True, **EMULATOR)
            assert archive.job("latest").status == "QUEUED"
            assert batch.ordered_jobs[0].full_result == archive.job("latest").result()
        qarchive.autolog(False)
        before = HTTPClient.send_batch
        assert not hasattr(before, "__wrapped__"), before
        client.create_batch(turned(), omegas(6.0), **EMULATOR)
        assert len(archive.jobs()) == 2
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "all")], env=os.environ, check=True)
    with qarchive.open(tmp_path / "all") as archive:
        assert [(job.provider, job.status) for job in archive.jobs()] == [("pasqal", "DONE")] * 2


# OVH's way to the same cloud


def test_jobs_that_are_sent_through_ovh_are_recorded_collected_and_served(pasqal, archive, monkeypatch):
    monkeypatch.setenv("PASQAL_PULSER_ACCESS_TOKEN", pasqal.token)
    connection = OVHConnection(endpoints=pasqal.endpoints())
    archive.wrap(connection)
    sequence = Sequence.from_abstract_repr(turned())
    params = [{"runs": 20, "variables": {"omega": value}} for value in (6.0, 2.0)]
    read = RemoteEmuFreeBackend(sequence, connection).run(params, wait=True)
    live = [result.to_abstract_repr() for result in read.results]
    unread = RemoteEmuFreeBackend(sequence, connection).run(params, wait=True)
    assert [job.status for job in archive.jobs(order="oldest")][:2] == ["DONE", "DONE"]
    assert archive.sync(connection).problems == {}
    assert {job.status for job in archive.jobs()} == {"DONE"}
    offline = archive.replay(connection)
    monkeypatch.delenv("PASQAL_PULSER_ACCESS_TOKEN")
    assert type(offline) is OVHConnection
    assert [result.to_abstract_repr() for result in RemoteResults(read.batch_id, offline).results] == live
    assert len(RemoteResults(unread.batch_id, offline).results) == 2
