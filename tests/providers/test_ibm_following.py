"""How jobs of IBM's end: seen from the user's own requests, never ahead of him, and read back with the service gone."""

import os
import threading
import time
import warnings

import pytest
from conformance import same, unfolded
from ibm_runs import OURS, bell, estimate, lenient, ours, sample, strict
from ibm_server import CANCELLED, RUNNING
from qiskit_ibm_runtime import (
    Batch,
    IBMBackend,
    IBMRuntimeError,
    NoiseLearner,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobV2,
    SamplerV2,
)

import qarchive
from qarchive.errors import BadInput, JobFailed, NotFinished
from qarchive.providers.ibm import outcomes as ibm_outcomes
from qarchive.providers.ibm import watch as ibm_watch
from qarchive.providers.ibm import wire as ibm_wire
from qarchive.values import Link

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def archive(tmp_path):
    with strict(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def loose(tmp_path):
    with lenient(tmp_path / "loose") as archive:
        yield archive


@pytest.fixture
def backend(server, archive):
    return archive.wrap(server.service()).backend("ibm_alpha")


def asked_for(server, job, what=""):
    """How often we ourselves have asked for a job."""
    return ours(server).count(("GET", f"/jobs/{job.job_id()}{what}"))


def statuses(job):
    return [(record["status"], record["provider_status"]) for record in job.history if record["type"] == "status"]


# What is seen, and what is asked for


def test_nothing_is_asked_of_a_job_before_its_user_asks(server, archive, backend):
    native = sample(backend, backend)
    server.wait(native.job_id())
    before = ours(server)
    time.sleep(0.2)
    assert ours(server) == before
    assert archive.job("latest").status == "QUEUED"
    assert ours(server) == before


def test_what_the_user_reads_is_not_asked_for_again(server, archive, backend):
    native = sample(backend, backend)
    server.wait(native.job_id())
    native.result()
    assert archive.job("latest").status == "DONE"
    assert [asked_for(server, native, what) for what in ("", "/results", "/metrics")] == [0, 0, 1]


def test_metrics_that_the_user_has_read_are_not_asked_for(server, archive, backend):
    native = sample(backend, backend)
    server.wait(native.job_id())
    native.usage()
    native.result()
    assert archive.job("latest").usage["quantum_seconds"] == 2
    assert asked_for(server, native, "/metrics") == 0


def test_a_user_who_only_asks_how_his_job_stands_has_its_result_archived(server, archive, backend, monkeypatch):
    monkeypatch.setattr(ibm_watch, "GRACE_S", 0.1)
    native = sample(backend, backend)
    server.wait(native.job_id())
    assert native.status() == "DONE"
    job = archive.job("latest")
    assert job.status == "DONE"
    assert asked_for(server, native, "/results") == 1
    same(unfolded(job.result()), unfolded(native.result()))
    assert len([record for record in job.history if record["type"] == "outcome"]) == 1


def test_a_user_who_polls_and_then_reads_does_not_have_it_read_twice(server, archive, backend):
    native = sample(backend, backend)
    while not native.done():
        time.sleep(0.02)
    native.result()
    assert archive.job("latest").status == "DONE"
    assert asked_for(server, native, "/results") == 0


def test_statuses_on_the_way_are_kept_with_the_services_word(server, archive, backend):
    server.hold()
    native = sample(backend, backend)
    assert native.status() == "QUEUED"
    server.hold(RUNNING)
    server.wait(native.job_id(), RUNNING)
    assert native.status() == native.status() == "RUNNING"
    job = archive.job("latest")
    assert (job.status, statuses(job)) == ("RUNNING", [("RUNNING", "Running")])
    with pytest.raises(NotFinished):
        job.result()
    server.release()
    native.result()
    assert archive.job("latest").status == "DONE"


def test_the_outcome_says_how_when_and_where_it_ran(server, archive, backend):
    native = sample(backend, backend)
    native.result()
    job = archive.job("latest")
    outcome = job.outcome
    assert (outcome["status"], outcome["provider_status"]) == ("DONE", "Completed")
    assert job.usage == {"qpu_charge_time_seconds": 2, "quantum_seconds": 2, "seconds": 2, "bss_seconds": 2}
    volatile = outcome["volatile"]
    assert volatile["backend"] == "ibm_alpha"
    assert volatile["metrics"]["timestamps"].keys() == {"created", "running", "finished"}
    assert volatile["job"]["calibration_id"] == server.devices["ibm_alpha"].calibrations[-1].id
    assert "user_id" not in volatile["job"] and "params" not in volatile["job"]
    wire = server.jobs[native.job_id()].result
    assert bytes(job.get(volatile["raw"])["text"]).decode() == wire


def test_the_calibration_of_the_run_is_that_of_when_it_ran(server, archive, backend):
    server.hold()
    native = sample(backend, backend)
    server.calibrate("ibm_alpha", change=lambda properties: properties["qubits"][0][0].update(value=1.5))
    server.release()
    server.wait(native.job_id())
    server.calibrate("ibm_alpha", change=lambda properties: properties["qubits"][0][0].update(value=2.5))
    native.result()
    job = archive.job("latest")
    (_, submit, asked_first), (phase, run, asked_last) = job.folded.current.calibrations
    from qarchive.providers.qiskit.ibm_snapshots import load_properties

    assert phase == "run" and asked_first < asked_last
    assert load_properties(job.get, run)["qubits"][0][0]["value"] == 1.5
    assert load_properties(job.get, submit)["qubits"][0][0]["value"] > 2.5
    assert job.native().properties().qubits[0][0].value == 1.5


def test_a_long_result_is_kept_in_pieces_and_equal(server, archive, backend, monkeypatch):
    native = sample(backend, backend, shots=2)
    job = server.wait(native.job_id())
    job.result = job.result[:-1] + " " * (3 << 20) + "}"
    native.result()
    text = bytes(archive.job("latest").get(archive.job("latest").outcome["volatile"]["raw"])["text"])
    assert text.decode() == job.result
    assert "chunk" in {kind for kind, _, _ in archive.job("latest").blobs}


def test_two_jobs_of_which_one_is_read_in_a_thread(server, archive, backend):
    natives = [sample(backend, backend) for _ in range(3)]
    threads = [threading.Thread(target=native.result) for native in natives for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.status for job in archive.jobs()] == ["DONE"] * 3
    assert all(len([r for r in job.history if r["type"] == "outcome"]) == 1 for job in archive.jobs())


# Jobs that fail


def test_a_failed_job_is_an_error_with_its_reason_and_text(server, archive, backend):
    server.break_next("Error: out of order")
    native = sample(backend, backend)
    with pytest.raises(RuntimeJobFailureError) as caught:
        native.result()
    job = archive.job("latest")
    assert (job.status, job.outcome["provider_status"]) == ("ERROR", "Failed")
    assert job.error == {"type": "RuntimeJobFailureError", "message": "Error: out of order"}
    with pytest.raises(JobFailed, match="Error: out of order"):
        job.result()
    server.stop()
    offline = job.native()
    with pytest.raises(RuntimeJobFailureError) as again:
        offline.result()
    assert str(again.value) == str(caught.value)
    assert (offline.status(), offline.error_message()) == ("ERROR", native.error_message())
    assert "Traceback" in ibm_outcomes.raw_text(job.get, job.outcome)


def test_a_job_that_ran_too_long_is_timed_out(server, archive, backend):
    server.break_next("Job cancelled: ran too long", code=1305)
    native = sample(backend, backend)
    with pytest.raises(RuntimeJobMaxTimeoutError) as caught:
        native.result()
    job = archive.job("latest")
    assert (job.status, job.outcome["provider_status"]) == ("TIMED_OUT", "Cancelled - Ran too long")
    assert job.error == {
        "type": "RuntimeJobMaxTimeoutError", "message": "Error code 1305; Job cancelled: ran too long"
    }  # fmt: skip
    with pytest.raises(RuntimeJobMaxTimeoutError) as again:
        job.native().result()
    assert str(again.value) == str(caught.value)


def test_a_job_that_its_user_cancels_is_cancelled_though_the_sdk_asks_no_more(server, archive, backend):
    server.hold()
    native = sample(backend, backend)
    native.cancel()
    job = archive.job("latest")
    assert (job.status, job.error) == ("CANCELLED", None)
    with pytest.raises(RuntimeInvalidStateError):
        native.result()
    with pytest.raises(RuntimeInvalidStateError):
        job.native().result()


def test_a_job_that_somebody_else_cancels_is_cancelled(server, archive, backend):
    server.hold()
    native = sample(backend, backend)
    other = server.service().job(native.job_id())
    other.cancel()
    assert server.jobs[native.job_id()].status == CANCELLED
    assert native.status() == "CANCELLED"
    assert archive.job("latest").status == "CANCELLED"


# Private jobs


def private(backend, **options):
    return sample(backend, backend, options={"environment": {"private": True}, **options})


def test_a_private_job_is_never_read_ahead_of_its_user(server, archive, backend):
    native = private(backend)
    server.wait(native.job_id())
    assert native.status() == "DONE"
    job = archive.job("latest")
    assert job.status == "QUEUED" and asked_for(server, native, "/results") == 0
    report = archive.sync(backend.service)
    assert report.waiting == [job.id] and asked_for(server, native, "/results") == 0
    result = native.result()
    assert job.status == "DONE"
    same(unfolded(job.result()), unfolded(result))
    same(unfolded(job.native().result()), unfolded(result))
    assert job.native().private is True
    assert [pub.shots for pub in job.input] == [50]


def test_what_a_user_has_read_of_a_private_job_is_kept_before_he_goes_on(server, archive, backend, monkeypatch):
    native = private(backend)
    server.wait(native.job_id())
    real = ibm_watch.Witness.job_results
    seen = []

    def read(self, *args, **kwargs):
        text = real(self, *args, **kwargs)
        job = archive.job("latest")
        seen.append((job.status, ibm_outcomes.raw_text(job.get, job.outcome) == text))
        return text

    monkeypatch.setattr(ibm_watch.Witness, "job_results", read)
    native.result()
    assert seen == [("DONE", True)]


def test_two_archives_follow_one_job_and_both_have_what_can_be_read_once(server, archive, backend, tmp_path):
    with strict(tmp_path / "second") as second:
        native = private(backend)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", qarchive.ArchiveWarning)
            second.record(native)  # of which the cloud tells little
        server.wait(native.job_id())
        result = native.result()
        for each in (archive, second):
            assert [job.status for job in each.jobs()] == ["DONE"]
            same(unfolded(each.job("latest").result()), unfolded(result))
    assert ibm_watch.watched(native).seen.text is None


def test_an_archive_that_comes_late_is_told_at_once(server, archive, backend, tmp_path):
    native = sample(backend, backend)
    result = native.result()
    assert archive.job("latest").status == "DONE"
    with strict(tmp_path / "late") as late, warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        same(unfolded(late.record(native).result()), unfolded(result))


# Nothing of ours reaches the user


def test_metrics_that_cannot_be_had_are_a_gap(server, loose):
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    native = sample(backend, backend)
    server.wait(native.job_id())
    server.fail_next(500, path_contains="/metrics")
    result = native.result()
    job = loose.job("latest")
    assert (job.status, [gap["what"] for gap in job.gaps]) == ("DONE", ["volatile.metrics"])
    same(unfolded(job.result()), unfolded(result))
    with pytest.raises(IBMRuntimeError, match="is archived and has no metrics; see its gaps"):
        job.native().metrics()


def test_a_result_that_cannot_be_had_now_is_left_for_later(server, loose, monkeypatch):
    monkeypatch.setattr(ibm_watch, "GRACE_S", 0.05)
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    native = sample(backend, backend)
    server.wait(native.job_id())
    server.fail_next(None, path_contains="/results")
    assert native.status() == "DONE"
    while asked_for(server, native, "/results") == 0:
        time.sleep(0.01)
    assert loose.job("latest").status == "QUEUED"
    native.result()
    assert loose.job("latest").status == "DONE"


def test_a_result_that_the_user_could_not_read_is_tried_again(server, loose, monkeypatch):
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    native = sample(backend, backend)
    server.wait(native.job_id())
    server.fail_next(400, path_contains="/results")
    with pytest.raises(Exception, match="400"):
        native.result()
    assert loose.job("latest").status == "DONE"  # we were luckier
    same(unfolded(loose.job("latest").result()), unfolded(native.result()))


def test_an_error_of_ours_is_a_warning_and_never_the_users(server, loose, monkeypatch):
    backend = loose.wrap(server.service()).backend("ibm_alpha")

    def broken(*_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(ibm_watch, "state", broken)
    with pytest.warns(qarchive.ArchiveWarning, match="is not followed: RuntimeError: no such luck"):
        assert sample(backend, backend).result()[0].data.meas.num_shots == 50


def test_a_result_that_the_sdk_cannot_decode_is_kept_as_text(server, loose, monkeypatch):
    backend = loose.wrap(server.service()).backend("ibm_alpha")
    native = sample(backend, backend)
    server.wait(native.job_id())

    def broken(*_):
        raise ValueError("what is this?")

    with monkeypatch.context() as patch:
        patch.setattr(ibm_outcomes, "decode", broken)
        result = native.result()
        job = loose.job("latest")
        assert job.status == "DONE"
    assert [gap["what"] for gap in job.gaps] == ["result.value"]
    same(unfolded(job.result()), unfolded(result))
    with pytest.raises(BadInput, match="its result is not that of a primitive"):
        job.counts()


def test_what_was_decoded_is_read_even_if_the_sdk_decodes_it_no_longer(server, archive, backend, monkeypatch):
    result = sample(backend, backend).result()
    job = archive.job("latest")

    def broken(*_):
        raise ValueError("an old form")

    monkeypatch.setattr(ibm_outcomes, "decode", broken)
    monkeypatch.setattr("qiskit_ibm_runtime.decoders.result_decoder.ResultDecoder.decode", broken)
    same(unfolded(job.result()), unfolded(result))
    same(unfolded(job.native().result()), unfolded(result))


def test_a_forked_child_leaves_the_job_to_its_parent(server, archive, backend):
    native = sample(backend, backend)
    server.wait(native.job_id())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ibm_watch.watched(native).answered({"state": {"status": "Completed"}})
            code = int(ibm_watch.watched(native).ending())
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    native.result()
    assert archive.job("latest").status == "DONE"


# Read back with the service gone


def facts(job):
    """All that IBM's job interface tells of a job, but for its logs."""
    backend = job.backend()
    properties = job.properties()
    return {
        "id": job.job_id(),
        "status": job.status(),
        "state": (job.done(), job.errored(), job.cancelled(), job.running(), job.in_final_state()),
        "program": job.primitive_id,
        "shots": job.inputs["pubs"][0][-1],
        "options": {name: item for name, item in job.inputs.items() if name != "pubs"},
        "metrics": job.metrics(),
        "usage": (job.usage(), job.usage(partial=True), job.usage_estimation),
        "tags": job.tags,
        "created": job.creation_date,
        "session": job.session_id,
        "image": job.image or None,
        "private": job.private,
        "error": job.error_message(),
        "backend": (backend.name, backend.num_qubits, backend.is_mock, backend.basis_gates, backend.calibration_id),
        "configuration": backend.configuration().to_dict(),
        "target": backend.target,
        "properties": properties.to_dict(),
    }


def test_a_job_is_the_same_with_the_service_gone(server, archive, backend):
    with Batch(backend) as batch:
        options = {"environment": {"job_tags": ["a", "b"]}, "default_shots": 7, "experimental": {"image": "image:latest"}}
        native = SamplerV2(batch, options=options).run([bell(backend)], shots=33)
        result = native.result()
        known = facts(native)
    archive.flush()
    server.stop()
    with qarchive.open(archive.path) as elsewhere:
        job = elsewhere.job(native.job_id())
        offline = job.native()
        assert isinstance(offline, RuntimeJobV2) and isinstance(offline.backend(), IBMBackend) and offline.archived is job
        again = facts(offline)
        assert again.pop("target").operation_names == known.pop("target").operation_names
        again["created"] = again["created"].replace(microsecond=0)
        known["created"] = known["created"].replace(microsecond=0)
        assert again == known
        same(unfolded(job.result()), unfolded(result))
        same(unfolded(offline.result()), unfolded(result))
        for change, message in ((offline.cancel, "cannot be cancelled"), (lambda: offline.update_tags(["c"]), "keeps its tags"),
                                (offline.logs, "its logs are not")):  # fmt: skip
            with pytest.raises(Exception, match=f"job {native.job_id()} is archived and {message}"):
                change()
        with pytest.raises(BadInput, match="it is archived and runs nothing; use `job.rebuild\\(\\)` or `job.rerun\\(\\)`"):
            SamplerV2(offline.backend()).run([bell(offline.backend())])


def test_estimates_and_learnt_noise_are_the_same_with_the_service_gone(server, archive, backend):
    results = [estimate(backend, backend).result(), NoiseLearner(backend).run([bell(backend)]).result()]
    server.stop()
    jobs = list(archive.jobs(order="oldest"))
    same(unfolded(jobs[0].native().result()), unfolded(results[0]))
    assert jobs[1].native().result().metadata == results[1].metadata
    assert jobs[1].native().inputs["circuits"] == [bell(jobs[1].native().backend())]


def test_a_job_that_has_not_ended_is_no_endless_wait(server, archive, backend):
    server.hold()
    native = sample(backend, backend)
    offline = archive.job("latest").native()
    assert (offline.status(), offline.job_id(), offline.done()) == ("QUEUED", native.job_id(), False)
    with pytest.raises(NotFinished):
        offline.result()
    assert offline.backend().name == "ibm_alpha"


def test_a_job_that_was_refused_has_an_interface_too(server, archive, backend):
    server.fail_next(400, path_contains="/jobs", method="POST", code=1208, message="too large")
    with pytest.raises(IBMRuntimeError):
        sample(backend, backend)
    job = archive.job("latest")
    assert (job.status, job.native().status()) == ("REFUSED", "ERROR")
    assert "too large" in job.native().error_message()


def test_an_archived_device_runs_here_with_its_noise(server, archive, backend):
    native = sample(backend, backend, shots=1000)
    native.result()
    server.stop()
    job = archive.job("latest")
    again = job.rerun()
    assert again.result(wait=True)[0].data.meas.num_shots == 1000
    assert again.record["parent"] == Link(bytes.fromhex(job.id))
    assert (again.backend, again.provider) == ("ibm_alpha", "ibm_local")


def test_reading_needs_neither_the_service_nor_the_sdk(server, archive, backend):
    import subprocess
    import sys
    import textwrap

    sample(backend, backend).result()
    expected = archive.job("latest").counts()
    archive.flush()
    server.stop()
    code = textwrap.dedent(f"""
        import sys
        for name in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "numpy", "scipy", "rustworkx", "requests"):
            sys.modules[name] = None
        import qarchive
        archive = qarchive.open({str(archive.path)!r})
        job = archive.job("latest")
        assert job.counts() == {expected!r}
        job.config, job.usage, job.calibrations, job.seal, job.text(), job.backend_snapshot
        for ask in (lambda: job.input, job.result, job.native, job.rebuild):
            try:
                ask()
            except qarchive.errors.MissingExtra as error:
                print(error)
    """)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.count("needs more than is installed") == 4


def test_requests_of_ours_say_so_and_know_the_api_version(server, archive, backend):
    sample(backend, backend).result()
    mine = [request.headers for request in server.requests if request.headers.get("User-Agent") == OURS]
    users = [request.headers for request in server.requests if "IBM-API-Version" in request.headers]
    assert {headers["IBM-API-Version"] for headers in mine} == {headers["IBM-API-Version"] for headers in users}
    assert all("X-Qx-Client-Application" not in headers for headers in mine)


def test_a_token_of_ours_is_fetched_only_where_the_users_has_expired(server, archive, backend):
    sample(backend, backend).result()
    archive.flush()
    logins = [request for request in server.requests if request.path == "/identity/token"]
    assert len(logins) == 1
    auth = backend._api_client._session.auth
    held = auth.tm.access_token
    auth.tm.expire_time = 0
    ibm_wire.wire(backend._api_client)._asked.clear()
    before = len(server.requests)
    ibm_wire.wire(backend._api_client).job(archive.job("latest").provider_job)
    assert [request.path for request in server.requests[before:]][0] == "/identity/token"
    assert auth.tm.access_token == held and auth.tm.expire_time == 0  # the user's login is his own
