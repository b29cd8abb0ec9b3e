"""What IBM's cloud still knows: jobs that ended unseen, jobs that nobody captured, retired devices; and no secret is kept."""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from conformance import same, unfolded
from ibm_runs import OURS, bell, estimate, lenient, observed, ours, sample, strict, turned
from ibm_server import CRN, OTHER_CRN, TOKEN
from qiskit_ibm_runtime import Batch, EstimatorV2, NoiseLearner, RuntimeJobNotFound, SamplerV2, Session

from qarchive.errors import BadInput, JobFailed, NotAnswered, NotFound
from qarchive.providers import registry
from qarchive.providers.ibm import fetching as ibm_fetching
from qarchive.providers.ibm import wire as ibm_wire
from qarchive.providers.qiskit.ibm_snapshots import load_properties
from qarchive.values import Timestamp

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FETCHED = {"config.inputs", "config.runtime", "calibration", "environment"}


@pytest.fixture
def archive(tmp_path):
    with lenient(tmp_path / "lab") as archive:
        yield archive


def ended(server, native):
    server.wait(native.job_id())
    return native


# Jobs that ended when nobody looked


def send_elsewhere(server, tmp_path, lines="sample(backend, backend)"):
    """Another process sends a job and ends; its archive."""
    folder, home = tmp_path / "elsewhere", server.save_account(tmp_path / "home")
    here = Path(__file__).parent
    code = f"""
import sys, warnings
sys.path[:0] = [{str(here.parent / "servers")!r}, {str(here)!r}]
warnings.simplefilter("ignore")
import qarchive
from ibm_runs import *
from qiskit_ibm_runtime import QiskitRuntimeService
backend = qarchive.open({str(folder)!r}).wrap(QiskitRuntimeService()).backend("ibm_alpha")
{lines}
"""
    subprocess.run([sys.executable, "-c", code], env=os.environ | home, check=True, stderr=subprocess.DEVNULL)
    return folder


def test_a_job_of_another_process_is_collected_with_its_result_and_calibration(server, tmp_path):
    folder = send_elsewhere(server, tmp_path)
    server.wait(server.jobs_seen[0].id)
    with strict(folder) as archive:
        job = archive.job("latest")
        assert job.status == "QUEUED"
        service = server.service()
        report = archive.sync(service)
        assert (report.collected, report.waiting, report.problems) == ([job.id], [], {})
        same(unfolded(job.result()), unfolded(service.job(job.provider_job).result()))
        assert [phase for phase, _, _ in archive.job(job.id).folded.current.calibrations] == ["submit", "run"]
        assert not any(vars(archive.sync(service)).values())


def test_a_job_that_still_waits_is_left_and_its_status_noted(server, archive):
    service = server.service()
    server.hold()
    backend = archive.wrap(service).backend("ibm_alpha")
    sample(backend, backend)
    job = archive.job("latest")
    assert (archive.sync(service).waiting, job.status) == ([job.id], "QUEUED")
    server.hold("Running")
    server.wait(server.jobs_seen[0].id, "Running")
    assert (archive.sync(service).waiting, job.status) == ([job.id], "RUNNING")
    server.release()
    ended(server, backend.service.job(job.provider_job))
    assert archive.sync(service).collected == [job.id]
    with pytest.raises(RuntimeJobNotFound):
        service.job("no-such-job")


@pytest.mark.parametrize(
    "how, status",
    [
        (lambda server, job: server.break_next("Error: out of order"), "ERROR"),
        (lambda server, job: server.break_next("too long", code=1305), "TIMED_OUT"),
        (lambda server, job: job.cancel(), "CANCELLED"),
    ],
    ids=["failed", "too long", "cancelled"],
)
def test_a_job_that_failed_unseen_is_collected_with_its_reason(server, archive, how, status):
    server.hold()
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    native = sample(backend, backend)
    how(server, server.service().job(native.job_id()))
    server.release()
    ended(server, native)
    archive.sync(backend.service)
    job = archive.job("latest")
    assert job.status == status
    with pytest.raises(JobFailed):
        job.result()


def test_a_job_that_the_cloud_has_deleted_is_lost_and_says_so(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    native = ended(server, sample(backend, backend))
    backend.service.delete_job(native.job_id())
    assert archive.sync(backend.service).lost == [archive.job("latest").id]
    assert archive.job("latest").status == "UNKNOWN"


def test_a_job_that_is_looked_at_again_in_another_process_is_followed_there(server, tmp_path):
    folder = send_elsewhere(server, tmp_path)
    server.wait(server.jobs_seen[0].id)
    with strict(folder) as archive:
        wrapped = archive.wrap(server.service())
        natives = [wrapped.job(archive.job("latest").provider_job), *wrapped.jobs()]
        for native in natives:
            native.result()
        job = archive.job("latest")
        assert job.status == "DONE" and len(archive.jobs()) == 1
        same(unfolded(job.result()), unfolded(natives[0].result()))


def test_a_service_that_is_gone_is_a_problem_and_nothing_is_lost(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    ended(server, sample(backend, backend))
    server.stop()
    report = archive.sync(backend.service)
    assert list(report.problems) == [archive.job("latest").id]
    assert archive.job("latest").status == "QUEUED"


def test_asking_leaves_the_users_service_as_it_was(server, archive):
    service = server.service()
    other = server.service(instance=OTHER_CRN)
    service._api_clients[OTHER_CRN] = other._api_clients[OTHER_CRN]
    backend = archive.wrap(other).backend("ibm_beta")
    native = ended(server, sample(backend, backend))
    assert service.active_instance() == CRN
    assert archive.sync(service).collected == [archive.job("latest").id]
    assert service.active_instance() == CRN
    assert archive.job("latest").provider_job == native.job_id()


# Jobs that nobody captured


def test_a_fetched_job_is_what_the_cloud_knows_of_it(server, archive):
    service = server.service()
    backend = service.backend("ibm_alpha")
    circuit = bell(backend, metadata={"k": 1})
    options = {"environment": {"job_tags": ["a", "b"]}, "default_shots": 33, "execution": {"rep_delay": 0.0003}}
    with Batch(backend) as batch:
        native = SamplerV2(batch, options=options).run([circuit, turned(backend)])
    result = native.result()
    job = archive.fetch(service, native.job_id())
    assert (job.status, job.backend, job.kind, job.shots, job.names) == ("DONE", "ibm_alpha", "qpu", 33, ("bell", "turned"))
    assert {gap["what"] for gap in job.gaps} == FETCHED
    assert job.labels == {"tags": ["a", "b"]} and job.environment is None
    assert job.config == {
        "program": "sampler",
        "inputs": {"options": {"default_shots": 33, "execution": {"rep_delay": 0.0003}}, "version": 2, "support_qiskit": True},
        "runtime": {"job_tags": ["a", "b"]},
        "session": batch.session_id,
        "mode": "batch",
    }
    sent = next(record for record in job.history if record["type"] == "sent")
    assert (sent["batch"], sent.get("session")) == (batch.session_id, None)
    assert job.input[0].circuit == circuit and job.input[0].circuit.metadata == {"k": 1}
    assert job.input[1].shape == (3, 2)
    same(unfolded(job.result()), unfolded(result))
    made = server.jobs[native.job_id()].created
    assert abs(job.created - made) < timedelta(milliseconds=1)
    assert [phase for phase, _, _ in job.folded.current.calibrations] == ["run"]
    server.stop()
    assert (job.native().tags, job.native().session_id) == (["a", "b"], batch.session_id)


def test_a_fetched_estimate_and_learnt_noise_have_their_inputs(server, archive):
    service = server.service()
    backend = service.backend("ibm_alpha")
    for native in (estimate(backend, backend), NoiseLearner(backend, {"max_layers_to_learn": 1}).run([bell(backend)])):
        native.result()
        archive.record(native)
    second, first = archive.jobs()
    pub, expected = first.input[0], EstimatorV2(backend)._program_id()
    assert (first.config["program"], pub.precision, pub.shape) == (expected, 0.1, (2,))
    assert len(pub.observables.tolist()) == len(observed(backend)[1])
    assert second.input == [bell(backend)] and second.config["inputs"]["options"]["max_layers_to_learn"] == 1


def test_recording_a_job_twice_or_one_that_was_captured_is_once(server, archive):
    service = server.service()
    backend = service.backend("ibm_alpha")
    native = ended(server, sample(backend, backend))
    job = archive.record(native)
    assert job.status == "DONE"
    assert (
        archive.record(native) == archive.record(service.job(native.job_id())) == archive.fetch(service, native.job_id()) == job
    )
    wrapped = archive.wrap(service).backend("ibm_alpha")
    captured = sample(wrapped, wrapped)
    assert archive.record(captured) == archive.job("latest")
    captured.result()
    assert [job.status for job in archive.jobs()] == ["DONE", "DONE"]
    assert len([record for record in job.history if record["type"] == "outcome"]) == 1


def test_recording_a_job_that_waits_follows_it(server, archive):
    backend = server.service().backend("ibm_alpha")
    server.hold()
    native = sample(backend, backend)
    job = archive.record(native)
    assert job.status == "QUEUED"
    server.release()
    result = native.result()
    assert job.status == "DONE"
    same(unfolded(job.result()), unfolded(result))


def test_recording_a_private_job_does_not_read_it(server, archive):
    backend = server.service().backend("ibm_alpha")
    native = ended(server, sample(backend, backend, options={"environment": {"private": True}}))
    job = archive.record(native)
    assert job.status == "QUEUED" and ("GET", f"/jobs/{native.job_id()}/results") not in ours(server)
    assert job.gaps[0] == {"what": "input", "reason": "the service does not tell: the job is private"}
    with pytest.raises(BadInput, match="it is not in the archive"):
        job.input
    result = native.result()
    same(unfolded(job.result()), unfolded(result))


def test_all_jobs_are_fetched_in_pages_the_oldest_first_and_those_that_fail_do_not_stop_the_others(server, archive, monkeypatch):
    monkeypatch.setattr(ibm_wire, "_PAGE", 2)
    service = server.service()
    backend = service.backend("ibm_alpha")
    natives = [sample(backend, backend, shots=shots) for shots in (1, 2, 3)]
    mock = SamplerV2(backend).run([bell(backend)], shots=4, dry_run=True)
    for native in (*natives, mock):
        ended(server, native)
    listed = list(registry.named("ibm").listed(service, None))
    assert listed == [job.id for job in server.jobs_seen]
    since = server.jobs_seen[1].created
    assert list(registry.named("ibm").listed(service, since)) == listed[1:]
    server.fail_next(400, path_contains=f"/jobs/{listed[1]}")
    found = archive.fetch(service)
    assert [job.provider_job for job in found] == [listed[0], *listed[2:]]
    assert [job.shots for job in archive.jobs(order="oldest")] == [1, 3]
    assert [job.kind for job in archive.jobs(kind="mock")] == ["mock"]
    assert [job.provider_job for job in archive.fetch(service, since=since)] == listed[1:]
    assert len(archive.jobs()) == 3


def test_jobs_of_several_instances_are_listed_together(server, archive):
    service = server.service(instance=None)
    natives = []
    for instance in (CRN, OTHER_CRN, CRN):
        backend = service.backend("ibm_beta", instance=instance)
        natives.append(ended(server, SamplerV2(backend).run([bell(backend)], shots=5)).job_id())
    assert list(registry.named("ibm").listed(service, None)) == natives
    assert [job.status for job in archive.fetch(service)] == ["DONE"] * 3
    assert len({next(r for r in job.history if r["type"] == "sent")["instance"] for job in archive.jobs()}) == 2


def test_a_job_of_a_retired_device_keeps_all_but_the_device(server, archive):
    service = server.service()
    backend = service.backend("ibm_alpha")
    native = ended(server, sample(backend, backend))
    result = native.result()
    server.retire("ibm_alpha")
    job = archive.fetch(server.service(), native.job_id())
    assert (job.status, job.backend) == ("DONE", "ibm_alpha")
    assert {gap["what"] for gap in job.gaps} == FETCHED | {"backend.configuration", "calibration.run", "calibration.retrieval"}
    assert job.backend_snapshot == {"type": "ibm.device", "name": "ibm_alpha"}
    same(unfolded(job.result()), unfolded(result))
    offline = job.native()
    assert (offline.status(), offline.backend().name, offline.properties()) == ("DONE", "ibm_alpha", None)
    assert offline.backend().status().operational is False
    with pytest.raises(BadInput):
        job.rebuild()


def test_a_device_retired_after_the_job_was_sent_is_archived_whole(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    server.hold()
    native = sample(backend, backend)
    server.release()
    ended(server, native)
    server.retire("ibm_alpha")
    archive.sync(server.service())
    job = archive.job("latest")
    assert (job.status, [gap["what"] for gap in job.gaps]) == ("DONE", ["calibration.run"])
    assert job.native().backend().num_qubits == 5
    assert job.native().properties().t1(0) > 0
    assert job.rebuild().num_qubits == 5


def test_the_calibration_of_a_fetched_job_is_of_the_time_of_its_run_and_of_its_making_where_that_differs(server, archive):
    service = server.service()
    backend = service.backend("ibm_alpha")
    server.hold()
    native = sample(backend, backend)
    server.calibrate("ibm_alpha", change=lambda properties: properties["qubits"][0][0].update(value=1.5))
    server.release()
    ended(server, native)
    asked = Timestamp.now()
    job = archive.fetch(service, native.job_id())
    found = {phase: (link, at) for phase, link, at in job.folded.current.calibrations}
    assert found.keys() == {"run", "retrieval"} and all(at > asked for _, at in found.values())
    assert load_properties(job.get, found["run"][0])["qubits"][0][0]["value"] == 1.5
    assert load_properties(job.get, found["retrieval"][0])["qubits"][0][0]["value"] > 2


def test_what_cannot_be_fetched_says_why(server, archive):
    service = server.service()
    with pytest.raises(NotFound) as caught:
        archive.fetch(service, "no-such-job")
    where = "it was deleted, or belongs to another account or instance"
    assert str(caught.value) == f"job no-such-job is not in {ibm_fetching.PLACE}; {where}"
    server.fail_next(400)
    with pytest.raises(NotAnswered):
        archive.fetch(service, "no-such-job")
    server._failures.clear()
    server.revoke()
    with pytest.raises(BadInput, match="IBM Quantum: it refuses access with these credentials; log in again"):
        archive.fetch(service, "no-such-job")


def test_without_an_account_connecting_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(tmp_path / "no-such-file.json")
    )
    with pytest.raises(BadInput, match="IBM Quantum: there is no account to use .*; save one, or give a QiskitRuntimeService"):
        registry.named("ibm").connect()


# Secrets


PASSWORD = "s3cr3t-of-the-proxy"


def test_no_secret_reaches_a_pack(server, archive, monkeypatch, tmp_path):
    proxy = f"http://someone-there:{PASSWORD}@127.0.0.1:{server.address.rpartition(':')[2]}"
    monkeypatch.setenv("QISKIT_IBM_RUNTIME_CUSTOM_CLIENT_APP_HEADER", f"app-{TOKEN}")
    service = server.service(instance=None, proxies={"urls": {"http": proxy}})
    wrapped = archive.wrap(service)
    backend = wrapped.backend("ibm_alpha")
    circuit = bell(backend, metadata={"note": f"with {TOKEN}", "where": CRN, "token": "hunter22"})
    options = {
        "environment": {"job_tags": [f"tag {TOKEN}", quote(CRN, safe="")]},
        "experimental": {
            "image": "image:latest",
            "api_key": "hunter22",
            "proxy": proxy,
            "where": [service._account.url, {"x": CRN}],
        },
    }
    with archive.context(tags=[TOKEN], params={"instance": CRN, "password": "hunter22"}):
        native = SamplerV2(backend, options=options).run([circuit], shots=20)
        native.result()
        server.break_next(f"Error: {TOKEN} at {CRN} via {proxy}")
        with pytest.raises(Exception, match=TOKEN):
            sample(backend, backend).result()
        server.fail_next(400, path_contains="/jobs", method="POST", message=f"{TOKEN} may not use {CRN}; {proxy}")
        with pytest.raises(Exception, match=TOKEN):
            sample(backend, backend)
        server.fail_next(408, path_contains="/jobs", method="POST", after_processing=True)
        with pytest.raises(Exception, match="Failed to run"):
            sample(backend, backend)
    server.hold()
    bare = sample(service.backend("ibm_alpha"), service.backend("ibm_alpha"), options=options)
    server.release()
    ended(server, bare)
    archive.fetch(service, bare.job_id())
    server.fail_next(404, 10, path_contains="/properties", message=f"{TOKEN} {CRN} {proxy}")
    ibm_wire.wire(backend._api_client)._asked.clear()
    sample(backend, backend).result()
    server._failures.clear()
    archive.recover(service)
    archive.sync(service)
    archive.flush()
    secrets = [
        TOKEN,
        CRN,
        quote(CRN, safe=""),
        PASSWORD,
        proxy,
        "hunter22",
        service._account.url,
        server.address.partition("://")[2],
    ]
    secrets += [part for part in CRN.split(":") if len(part) > 20] + [backend._api_client._session.auth.tm.access_token]
    found = 0
    for digest in archive._store.index.blobs_with_prefix("", 1_000_000):
        data = archive._store.get(digest)
        found += 1
        assert [secret for secret in secrets if secret.encode() in data] == [], data[:200]
    packs = b"".join(path.read_bytes() for path in (archive.path / "packs").iterdir())
    assert found > 20 and not any(secret.encode() in packs for secret in secrets)
    assert len(archive.jobs()) == 6
    mine = [request for request in server.requests if request.headers.get("User-Agent") == OURS]
    assert mine and not any(TOKEN in str(request) for request in mine)


def test_a_secret_in_a_result_is_taken_out_of_the_text_and_told(server, archive):
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    native = SamplerV2(backend).run([bell(backend, metadata={"note": "none"})], shots=50)
    job = server.wait(native.job_id())
    job.result = job.result.replace('"note": "none"', f'"note": "{TOKEN}"')
    native.result()
    archived = archive.job("latest")
    assert {gap["what"] for gap in archived.gaps} == {"volatile.raw", "result"}
    assert archived.result()[0].data.meas.num_shots == 50
    assert archived.native().result()[0].metadata["circuit_metadata"]["note"] == "[redacted secret]"


def test_the_public_address_of_the_service_is_no_secret(server, archive):
    from qarchive.providers.ibm.secrets import secrets

    service = server.service()
    service._account.url = "https://cloud.ibm.com"
    service._api_clients[CRN]._session.base_url = "https://quantum.cloud.ibm.com/api/v1"
    assert not any("cloud.ibm.com" in secret for secret in secrets(service) if secret)
    assert TOKEN in set(secrets(service))


def test_nothing_is_logged_that_the_sdk_does_not_log(server, archive, caplog):
    caplog.set_level(logging.DEBUG)
    backend = archive.wrap(server.service()).backend("ibm_alpha")
    with Session(backend) as session:
        sample(session, backend).result()
    archive.flush()
    assert not [record for record in caplog.records if record.name.startswith("qarchive")]
    assert datetime.now(UTC) - archive.job("latest").created < timedelta(minutes=5)


def test_the_calibration_of_now_is_kept_with_an_old_job(server, archive):
    service = archive.wrap(server.service())
    backend = service.backend("ibm_alpha")
    job = sample(backend, backend)
    job.result()
    archived = archive.job(job.job_id())
    seal = archived.seal

    def worse(properties):
        properties["qubits"][0][0]["value"] /= 2

    server.calibrate("ibm_alpha", change=worse)
    found = archive.calibrate(archived.id, service)
    before = archived.calibrations[0]
    assert (found.phase, found.qubits["T1"][0]) == ("retrieval", before.qubits["T1"][0] / 2)
    again = archive.job(archived.id)
    assert again.calibrations[-1].digest == found.digest and again.seal == seal
    server.retire("ibm_alpha")
    with pytest.raises(BadInput, match="^the device ibm_alpha: "):
        archive.calibrate(archived.id, service)
