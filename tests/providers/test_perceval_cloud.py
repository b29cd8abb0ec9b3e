"""Quandela's cloud, as the unmodified client sees it: what is recorded of its jobs, and what can be read when it is gone."""

import json
import os
import socket
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import perceval as pcvl
import pytest
import requests
from perceval.algorithm import Analyzer, Sampler
from perceval.runtime import CompilationAveraging, ExecutionFactory, ExecutionGroup, PhotonRecycling, SimulatedComputer
from perceval_runs import TWO, done, executed, experiment, lenient, prepared, same, same_input, sent, set_up, strict

import qarchive
from qarchive.errors import BadInput, JobFailed, NoRecording, NotFinished, NotFound
from qarchive.providers.perceval.payloads import load_payload

DETAILS = "/api/platform"
KINDS = {"probs": pcvl.BSDistribution, "sample_count": pcvl.BSCount, "samples": pcvl.BSSamples}
NAMES = ("sim:slos", "sim:altair", "qpu:altair", "sim:belenos", "qpu:belenos")
HERE = Path(__file__).parent


@pytest.fixture
def archive(tmp_path):
    with strict(tmp_path / "lab") as archive:
        yield archive


def hom(job):
    """The indistinguishability that the platform told, by the phase in which it was asked."""
    return {calibration.phase: calibration.value["details"]["perfs"]["HOM (%)"] for calibration in job.calibrations}


def payload_of(job):
    return load_payload(job.get, job.record)["payload"]


def no_network(monkeypatch):
    def connect(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", connect)


def wire(server):
    """Every request, without what differs from one server and one job to the next."""
    found = []
    for method, path, query, headers, body in server.requests:
        for place, job_id in enumerate(server.jobs):
            path = path.replace(job_id, f"job {place}")
        kept = {name: value.replace(server.token, "token") for name, value in headers.items() if name != "Host"}
        found.append((method, path, query, kept, body))
    return found


# Every command, on every platform


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", KINDS)
def test_a_job_of_a_remote_processor_is_archived_whole(quandela, archive, name, command):
    processor = set_up(archive.wrap(quandela.remote_processor(name)))
    native = sent(processor, command)
    waiting = archive.job("latest")
    assert (waiting.provider_job, waiting.backend, waiting.status) == (native.id, name, "QUEUED")
    results = done(quandela, native).get_results()
    (job,) = archive.jobs()
    assert (job.status, job.kind, job.gaps) == ("DONE", "qpu" if name.startswith("qpu") else "simulator", [])
    shots = 20 if command != "probs" else 10_000 if name.startswith("qpu") else 100_000
    assert (job.names, job.shots, job.usage) == ((command,), shots, {"duration_s": quandela.jobs[native.id].duration_s})
    assert isinstance(results["results"], KINDS[command])
    same(job.result(), results)
    same_input(job.input, processor.experiment)
    assert payload_of(job) == quandela.jobs[native.id].payload
    assert [calibration.phase for calibration in job.calibrations] == ["submit", "retrieval"]
    assert job.backend_snapshot["specs"] == quandela.remote_processor(name)._rpc_handler.fetch_platform_details()["specs"]
    assert job.environment["packages"]["perceval-quandela"] == "1.3.1"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", KINDS)
def test_a_job_of_a_remote_computer_is_archived_whole(quandela, archive, name, command):
    results = executed(quandela, archive.wrap(quandela.computer(name)), command).get_results()
    (job,) = archive.jobs()
    assert (job.status, job.backend, job.gaps, job.names) == ("DONE", name, [], (command,))
    assert isinstance(results["results"], KINDS[command])
    same(job.result(), results)
    same_input(job.input, experiment())
    assert payload_of(job) == quandela.jobs[job.provider_job].payload
    assert ("computation" in payload_of(job)) == quandela.platforms[name].updated


def test_a_conversion_of_the_client_is_kept_with_what_was_sent(quandela, archive):
    quandela.platforms["sim:slos"].commands = ("probs",)
    processor = set_up(archive.wrap(quandela.remote_processor("sim:slos")))
    native = done(quandela, sent(processor, "sample_count", 40))
    results = native.get_results()
    job = archive.job("latest")
    same(job.result(), results)
    kept = job.get(job.outcome["result"])
    assert (kept["results"]["results"].tag, kept["received"]["results"].tag) == ("perceval.BSCount", "perceval.BSDistribution")
    assert sum(job.counts().values()) == 40
    same(job.native().get_results(), results)


def test_a_conversion_that_nobody_asked_for_is_left_to_its_user(quandela, archive):
    native = done(quandela, sent(set_up(archive.wrap(quandela.remote_processor("qpu:altair"))), "probs"))
    assert archive.sync(quandela.rpc_handler("qpu:altair")).collected == [archive.job("latest").id]
    job = archive.job("latest")
    assert isinstance(job.result()["results"], pcvl.BSCount)
    assert job.get(job.outcome["result"])["unconverted"] == "sample_count_to_probs"
    same(job.native().get_results()["results"], native.get_results()["results"])
    assert len(archive.jobs()) == 1


@pytest.mark.parametrize("name", ["sim:altair", "sim:belenos"])
def test_iterations_are_one_job(quandela, archive, name):
    angle = pcvl.P("theta")
    processor = set_up(archive.wrap(quandela.remote_processor(name, noise=pcvl.NoiseModel())), pcvl.BS(theta=angle))
    sampler = Sampler(processor, max_shots_per_call=1000)
    iterations = [
        {"circuit_params": {"theta": 0.0}, "max_samples": 10},
        {"circuit_params": {"theta": 1.5}, "input_state": pcvl.BasicState([1, 0]), "max_shots": 20},
        {"circuit_params": {"theta": 0.5}, "noise": pcvl.NoiseModel(0.5), "min_detected_photons": 1},
    ]
    sampler.add_iteration_list(iterations)
    native = done(quandela, sampler.sample_count.execute_async(30))
    results = native.get_results()
    (job,) = archive.jobs()
    assert (job.status, job.row.size, job.gaps) == ("DONE", 3, [])
    same(job.result(), results)
    same(job.input["iterations"], iterations)
    assert payload_of(job) == quandela.jobs[native.id].payload
    assert [sum(job.counts(place).values()) for place in range(3)] == [
        entry["results"].total() for entry in results["results_list"]
    ]


@pytest.mark.parametrize("name", ["sim:altair", "sim:belenos"])
def test_an_execution_iterates_in_one_job(quandela, archive, name):
    factory = ExecutionFactory(archive.wrap(quandela.computer(name)), experiment(), max_shots_per_call=1000)
    iterations = [{"max_samples": 5}, {"input_state": pcvl.BasicState([1, 0]), "max_samples": 6}]
    factory.add_iteration_list(iterations)
    execution = factory.sample_count.execute_async(max_samples=7)
    quandela.wait()
    results = execution.get_results()
    (job,) = archive.jobs()
    assert (job.row.size, payload_of(job)) == (2, quandela.jobs[job.provider_job].payload)
    same(job.result(), results)
    same(job.input["iterations"], iterations)


def test_mitigations_run_where_they_are_known(quandela, archive):
    remote = archive.wrap(quandela.computer("sim:belenos"))
    remote.mitigations = [PhotonRecycling()]
    executed(quandela, remote).get_results()
    assert "mitigations" in payload_of(archive.job("latest"))
    assert payload_of(archive.job("latest")) == quandela.jobs[archive.job("latest").provider_job].payload


def test_what_perceval_makes_several_jobs_of_is_as_many_records(quandela, archive):
    remote = archive.wrap(quandela.computer("sim:belenos"))
    remote.mitigations, remote.use_mitigations_remotely = [CompilationAveraging(3)], False
    factory = ExecutionFactory(remote, experiment(), max_shots_per_call=1000)
    factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    execution = factory.sample_count.execute_async(max_samples=7)
    quandela.wait()
    totals = [entry["results"].total() for entry in execution.get_results()["results_list"]]
    jobs = list(archive.jobs(order="oldest"))
    assert totals == [job.result()["results"].total() for job in jobs] == [5, 6]
    assert [job.provider_job for job in jobs] == list(quandela.jobs)
    assert [job.status for job in jobs] == ["DONE"] * 2


def test_what_a_handler_is_asked_directly_is_recorded(quandela, archive):
    body = prepared(set_up(quandela.remote_processor("qpu:altair")), "probs")._create_payload_data()
    handler = archive.wrap(quandela.rpc_handler("qpu:altair"))
    job_id = handler.create_job(body)
    quandela.wait()
    assert handler.get_job_status(job_id)["status"] == "completed"
    answer = handler.get_job_results(job_id)
    job = archive.job(job_id)
    assert (job.status, job.get(job.outcome["result"])["unconverted"]) == ("DONE", "sample_count_to_probs")
    assert archive.replay(handler).get_job_results(job_id)["results_type"] == answer["results_type"] == "sample_count"


class Composed:
    """A handler of somebody's own, as Perceval takes it: by its methods."""

    def __init__(self, inside):
        self._inside = inside
        self.name, self.url, self.token, self.headers, self.proxies = "qpu:altair", inside.url, inside.token, inside.headers, None

    def __getattr__(self, name):
        return getattr(self._inside, name)

    def fetch_platform_details(self):
        return self._inside.fetch_platform_details()

    def create_job(self, payload):
        return self._inside.create_job(payload)

    def get_job_status(self, job_id):
        return self._inside.get_job_status(job_id)

    def get_job_results(self, job_id):
        return self._inside.get_job_results(job_id)

    def cancel_job(self, job_id):
        return self._inside.cancel_job(job_id)


def test_a_handler_of_ones_own_is_recorded(quandela, archive):
    handler = archive.wrap(Composed(quandela.rpc_handler("qpu:altair")))
    native = done(quandela, sent(set_up(pcvl.RemoteProcessor(rpc_handler=handler))))
    results = native.get_results()
    (job,) = archive.jobs()
    assert (job.status, job.backend, [calibration.phase for calibration in job.calibrations]) == (
        "DONE",
        "qpu:altair",
        ["submit", "retrieval"],
    )
    same(job.result(), results)


def test_an_execution_that_is_waited_for_is_one_job(quandela, archive, monkeypatch):
    monkeypatch.setattr("perceval.runtime.remote_computer.time.sleep", lambda seconds: None)
    results = ExecutionFactory(archive.wrap(quandela.computer()), experiment(), max_shots_per_call=10_000).sample_count(
        max_samples=50
    )
    (job,) = archive.jobs()
    assert job.status == "DONE"
    same(job.result(), results)


def test_a_job_that_is_waited_for_is_one_job(quandela, archive):
    native = prepared(set_up(archive.wrap(quandela.remote_processor())))
    native._refresh_progress_delay = 0.01
    results = native(30)
    same(archive.job("latest").result(), results)
    assert [job.status for job in archive.jobs()] == ["DONE"]


@pytest.mark.parametrize("whole", [True, False])
def test_an_analyzer_is_a_job_for_each_of_its_inputs(quandela, archive, monkeypatch, whole):
    monkeypatch.setattr("perceval.runtime.remote_computer.time.sleep", lambda seconds: None)
    states = {pcvl.BasicState([1, 0, 1, 0]): "00", pcvl.BasicState([0, 1, 1, 0]): "10"}

    def built(wrap):
        processor = wrap(quandela.remote_processor("sim:slos"))
        processor.add(0, pcvl.catalog["postprocessed cnot"].build_experiment())
        processor.min_detected_photons_filter(2)
        return Analyzer(processor, states, max_shots_per_call=1000)

    analyzer = archive.wrap(built(lambda it: it)) if whole else built(archive.wrap)
    found = analyzer.compute()
    bare = built(lambda it: it).compute()
    assert np.allclose(found["results"], bare["results"])
    assert [(job.status, job.names) for job in archive.jobs(order="oldest")] == [
        ("DONE", ("analyzer 1/2",)),
        ("DONE", ("analyzer 2/2",)),
    ]


def test_processors_of_a_session_are_recorded(quandela, archive):
    with archive.wrap(quandela.session("sim:belenos")) as session:
        done(quandela, sent(set_up(session.build_remote_processor()))).get_results()
    assert [(job.status, job.backend) for job in archive.jobs()] == [("DONE", "sim:belenos")]


def test_whatever_of_perceval_s_is_wrapped_its_handler_is_recorded(quandela, archive):
    handler = archive.wrap(quandela.rpc_handler("sim:altair"))
    done(quandela, sent(set_up(pcvl.RemoteProcessor(rpc_handler=handler)))).get_results()
    done(quandela, archive.wrap(Sampler(set_up(quandela.remote_processor()), max_shots_per_call=99)).samples.execute_async(9))
    factory = ExecutionFactory(quandela.computer(), experiment(), max_shots_per_call=99)
    archive.wrap(factory).samples.execute_async(max_samples=9)
    archive.wrap(factory.samples).execute_async(max_samples=9)
    local = pcvl.Processor("SLOS", experiment())
    remote = pcvl.RemoteProcessor.from_local_processor(local, rpc_handler=handler)
    done(quandela, sent(remote)).get_results()
    assert [job.backend for job in archive.jobs()] == ["sim:altair", "sim:belenos", "sim:belenos", "sim:altair", "sim:altair"]


def test_autolog_sees_every_job_and_a_paused_archive_none(quandela, archive):
    def seen():
        return [job.status for job in archive.jobs() if job.provider_job]  # and not what the server simulates in this process

    qarchive.autolog(archive)
    try:
        done(quandela, sent(set_up(quandela.remote_processor()))).get_results()
        executed(quandela, quandela.computer()).get_results()
        assert seen() == ["DONE", "DONE"]
        with archive.paused():
            done(quandela, sent(set_up(quandela.remote_processor()))).get_results()
            executed(quandela, quandela.computer()).get_results()
        done(quandela, prepared(set_up(quandela.remote_processor())).execute_async(20, archive=False)).get_results()
        factory = ExecutionFactory(quandela.computer(), experiment(), max_shots_per_call=99)
        factory.samples.execute_async(max_samples=9, archive=False)
    finally:
        qarchive.autolog(False)
    sent(set_up(quandela.remote_processor()))
    assert (len(seen()), len(quandela.jobs)) == (2, 7)


def test_labels_are_those_of_where_it_was_sent_and_a_group_is_perceval_s_where_there_is_none(quandela, archive):
    processor = set_up(archive.wrap(quandela.remote_processor()))
    job = prepared(processor)
    job.set_job_group_name("its own")
    job.execute_async(5)
    with archive.context(group="ours", tags=["night"], params={"delay_ns": 3}):
        job = prepared(processor)
        job.set_job_group_name("its own")
        job.execute_async(5)
    assert [job.labels for job in archive.jobs()] == [
        {"group": "ours", "tags": ["night"], "params": {"delay_ns": 3}},
        {"group": "its own"},
    ]


def test_threads_share_a_handler(quandela, archive):
    handler, errors = archive.wrap(quandela.rpc_handler("sim:slos")), []

    def work():
        try:
            processor = set_up(pcvl.RemoteProcessor(rpc_handler=handler))
            for samples in (3, 4):
                job = sent(processor, samples=samples)
                quandela.wait(job.id)
                assert job.status.success and job.get_results()["results"].total() == samples
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [job.status for job in archive.jobs()] == ["DONE"] * 12
    assert {job.provider_job for job in archive.jobs()} == set(quandela.jobs)
    assert all(job.result()["results"].total() == job.shots for job in archive.jobs())


def test_a_job_that_many_look_at_ends_once(quandela, archive):
    processor = set_up(archive.wrap(quandela.remote_processor("sim:slos")))
    native = sent(processor)
    quandela.wait()
    looks = [processor.resume_job(native.id) for _ in range(4)]
    threads = [threading.Thread(target=look.get_results) for look in (native, *looks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (job,) = archive.jobs()
    said = [record["type"] for record in job.history if record["type"] != "status"]
    assert said == ["job", "attempt", "sent", "calibration", "outcome"]


# What passes the wire


def scripted(server, wrap):
    """A bit of everything that a user does."""
    server.seed = 7
    processor = set_up(wrap(server.remote_processor("qpu:altair")))
    job = done(server, sent(processor, "probs"))
    results = [job.get_results()]
    computer = wrap(server.computer("sim:belenos"))
    results.append(executed(server, computer).get_results())
    server.break_next("the laser is off")
    broken = done(server, sent(processor))
    with pytest.raises(RuntimeError):
        broken.get_results()
    results.append(done(server, broken.rerun()).get_results())
    server.hold()
    waiting = sent(processor)
    waiting.cancel()
    server.release()
    server.wait()
    results.append(wrap(server.remote_processor("qpu:altair")).resume_job(job.id).get_results())
    return results


def test_the_users_requests_are_the_same_but_for_more_questions_about_the_platform(quandela, tmp_path):
    bare = scripted(quandela, lambda native: native)
    expected = wire(quandela)
    quandela.requests.clear()
    quandela.jobs.clear()
    with strict(tmp_path / "lab") as archive:
        found = scripted(quandela, archive.wrap)
        same(found, bare)
        assert [job.status for job in archive.jobs()] == ["QUEUED", "DONE", "DONE", "DONE"]  # nobody has asked about the last
    recorded = wire(quandela)
    extra = []
    for request in recorded:
        if expected and request == expected[0]:
            expected.pop(0)
        else:
            extra.append(request)
    assert expected == []
    assert {(request[0], request[1].partition("/sim")[0].partition("/qpu")[0]) for request in extra} <= {
        ("GET", "/api/platforms"),
        ("GET", "/api/platform"),
    }


def test_the_bytes_of_a_body_are_the_same_with_and_without_the_archive(quandela, archive):
    for wrap in (lambda native: native, archive.wrap):
        sent(set_up(wrap(quandela.remote_processor("qpu:altair"))), "probs")
        executed(quandela, wrap(quandela.computer("qpu:belenos")), "samples")
    bodies = [request.body for request in quandela.requests if request.method == "POST"]
    assert bodies[:2] == bodies[2:] and len(bodies) == 4


# Calibrations


def test_the_calibration_of_the_submission_stays_beside_that_of_the_retrieval(quandela, archive):
    processor = set_up(archive.wrap(quandela.remote_processor("qpu:altair")))
    quandela.hold()
    before = datetime.now(UTC)
    native = sent(processor)
    quandela.calibrate("qpu:altair", {"HOM (%)": 85.0})
    quandela.release()
    done(quandela, native).get_results()
    quandela.calibrate("qpu:altair", {"HOM (%)": 50.0})
    job = archive.job("latest")
    assert hom(job) == {"submit": 92.0, "retrieval": 85.0}
    submit, retrieval = (calibration.captured_at for calibration in job.calibrations)
    assert before <= submit < retrieval < before + timedelta(seconds=20)
    noises = [job.rebuild(phase).noise.indistinguishability for phase in ("submit", "retrieval")]
    assert noises == pytest.approx([0.92, 0.85])


def test_equal_calibrations_are_one_blob_and_a_new_one_costs_only_what_changed(quandela, archive):
    processor = set_up(archive.wrap(quandela.remote_processor("qpu:belenos")))
    for _ in range(2):
        done(quandela, sent(processor)).get_results()
    quandela.calibrate("qpu:belenos", {"HOM (%)": 85.0})
    done(quandela, sent(processor)).get_results()
    archive.flush()
    digests = {calibration.digest for job in archive.jobs() for calibration in job.calibrations}
    kinds = archive.statistics()["kinds"]
    assert (len(digests), kinds["calibration"]["blobs"], kinds["backend"]["blobs"]) == (2, 2, 1)


def test_two_equal_jobs_share_every_blob_but_their_records(quandela, archive):
    processor = set_up(archive.wrap(quandela.remote_processor("qpu:altair")))
    seen = []
    for _ in range(2):
        done(quandela, sent(processor, "probs")).get_results()
        archive.flush()
        seen.append(set(archive._store.index.blobs_with_prefix("", 1_000_000)))
    kinds = {entry.kind for digest in seen[1] - seen[0] for _, entry in archive._store.index.places(digest)}
    assert kinds == {"record"}
    whole = b"".join(archive._store.get(digest) for digest in seen[1] if _kind(archive, digest) != "record")
    process = quandela.jobs[archive.job("latest").provider_job].request["process_id"]
    assert process.encode() not in whole
    assert not any(job_id.encode() in whole for job_id in quandela.jobs)


def _kind(archive, digest):
    return next(entry.kind for _, entry in archive._store.index.places(digest))


def test_the_input_is_the_same_blob_here_and_there(quandela, archive):
    made = experiment()
    Sampler(archive.wrap(pcvl.Processor("SLOS", made))).probs()
    executed(quandela, archive.wrap(quandela.computer("sim:belenos"))).get_results()
    executed(quandela, archive.wrap(quandela.computer("sim:altair"))).get_results()
    links = {job.get(job.record["input"])["experiment"] for job in archive.jobs()}
    assert len(links) == 1


# Jobs that are looked at again


def test_a_job_is_resumed_through_another_platform_and_stays_where_it_ran(quandela, tmp_path):
    with strict(tmp_path / "lab") as archive:
        native = sent(set_up(archive.wrap(quandela.remote_processor("sim:altair"))))
    quandela.wait()
    with qarchive.open(tmp_path / "lab") as archive:
        other = archive.wrap(quandela.remote_processor("qpu:belenos"))
        with pytest.warns(qarchive.ArchiveWarning) as caught:
            resumed = other.resume_job(native.id)
            results = resumed.get_results()
        said = [str(warning.message) for warning in caught]
        assert said == [f"job {native.id} was sent to sim:altair, and is looked at through qpu:belenos"]
        (job,) = archive.jobs()
        assert (job.status, job.backend) == ("DONE", "sim:altair")
        assert {calibration.value["name"] for calibration in job.calibrations} == {"sim:altair"}
        same(job.result(), results)


SENDING = """
import sys, warnings
sys.path[:0] = sys.argv[2:]
import perceval as pcvl
import qarchive
warnings.simplefilter("error", qarchive.ArchiveWarning)
from perceval_runs import prepared, sent, set_up
archive = qarchive.open(sys.argv[1])
processor = set_up(archive.wrap(pcvl.RemoteProcessor("qpu:altair")))
"""


def elsewhere(server, tmp_path, lines="print(sent(processor, 'probs').id)"):
    """What another process prints that sends a job with the saved token, and ends."""
    command = [sys.executable, "-c", SENDING + lines, tmp_path / "lab", HERE]
    environment = os.environ | server.save_config(tmp_path / "home")
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_a_job_of_another_process_is_resumed_by_its_id_and_its_input_is_known(quandela, tmp_path):
    job_id = elsewhere(quandela, tmp_path)
    quandela.wait(job_id)
    quandela.calibrate("qpu:altair", {"HOM (%)": 70.0})
    with strict(tmp_path / "lab") as archive:
        resumed = archive.wrap(quandela.remote_processor("qpu:altair")).resume_job(job_id)
        results = resumed.get_results()
        (job,) = archive.jobs()
        assert (job.status, job.provider_job, job.gaps) == ("DONE", job_id, [])
        assert hom(job) == {"submit": 92.0, "retrieval": 70.0}
        same(job.result(), results)
        assert job.input.input_state == TWO
        assert archive.job(job_id) == job == archive.record(resumed)


def test_jobs_of_another_process_are_collected_with_a_new_token(quandela, tmp_path):
    job_id = elsewhere(quandela, tmp_path)
    quandela.wait(job_id)
    old = quandela.token
    quandela.expire_tokens()
    with strict(tmp_path / "lab") as archive:
        job = archive.job(job_id)
        report = archive.sync(quandela.rpc_handler("qpu:altair", token=old))
        hint = "save a new one with perceval.RemoteConfig, or give a processor that has one; the archive needs no change"
        assert report.problems == {job.id: f"{quandela.url}: it refuses the token (401); {hint}"}
        assert (job.status, job.input.input_state, hom(job)) == ("QUEUED", TWO, {"submit": 92.0})
        with pytest.raises(NotFinished):
            job.result()
        quandela.issue_token()
        report = archive.sync(quandela.rpc_handler("sim:slos"))  # any platform will do
        assert (report.collected, report.problems) == ([job.id], {})
        job = archive.job(job_id)
        assert (job.status, job.backend) == ("DONE", "qpu:altair")
        assert {calibration.value["name"] for calibration in job.calibrations} == {"qpu:altair"}
        assert not any(vars(archive.sync(quandela.rpc_handler())).values())


def test_sync_finds_the_token_that_perceval_keeps(quandela, archive):
    native = sent(set_up(archive.wrap(quandela.remote_processor())))
    quandela.wait(native.id)
    quandela.configure()
    assert archive.sync().collected == [archive.job(native.id).id]


def test_without_a_token_sync_says_what_to_do(quandela, archive, monkeypatch):
    sent(set_up(archive.wrap(quandela.remote_processor())))
    monkeypatch.setattr(pcvl.RemoteConfig, "get_token", lambda self: "")
    said = "Quandela Cloud: there is no token to use; save one with perceval.RemoteConfig, or give a RemoteProcessor"
    assert list(archive.sync().problems.values()) == [said]


def test_a_job_that_waits_is_left_and_its_status_noted(quandela, archive):
    quandela.hold()
    native = sent(set_up(archive.wrap(quandela.remote_processor())))
    job = archive.job("latest")
    assert (archive.sync(quandela.rpc_handler()).waiting, job.status) == ([job.id], "QUEUED")
    quandela.hold("running")
    quandela.wait(native.id, "running")
    assert native.is_running and job.status == "RUNNING"
    assert archive.sync(quandela.rpc_handler()).waiting == [job.id]
    quandela.release()
    done(quandela, native)
    assert job.status == "RUNNING"  # its user knows, and has not asked for its results
    native.get_results()
    assert job.status == "DONE"


def test_a_cloud_of_another_address_is_asked_nothing(quandela, archive):
    from quandela_server import QuandelaServer

    done(quandela, sent(set_up(archive.wrap(quandela.remote_processor()))))
    with QuandelaServer() as other:
        job = archive.job("latest")
        said = f"job {job.provider_job}: it was sent to another cloud; give a processor of the cloud that it was sent to: "
        assert archive.sync(other.rpc_handler()).problems == {job.id: f"{said}{other.url} is another one"}
        assert other.requests == []


def test_a_lost_job_is_unknown(quandela, archive):
    native = sent(set_up(archive.wrap(quandela.remote_processor())))
    quandela.wait()
    quandela.lose(native.id)
    job = archive.job("latest")
    assert archive.sync(quandela.rpc_handler()).lost == [job.id]
    assert (job.status, job.error["type"]) == ("UNKNOWN", "gone")
    with pytest.raises(NotFound, match=native.id):
        archive.fetch(quandela.rpc_handler(), native.id + "0")


def test_a_cloud_that_is_down_is_a_problem_and_nothing_is_lost(quandela, archive):
    sent(set_up(archive.wrap(quandela.remote_processor())))
    quandela.wait()
    quandela.fail_next(503, path_contains="/status/")
    handler = quandela.rpc_handler()
    job = archive.job("latest")
    said = f"job {job.provider_job}: {quandela.url} answered 503; try again later"
    assert archive.sync(handler).problems == {job.id: said}
    quandela.drop_next(path_contains="/result/")
    said = f"job {job.provider_job}: {quandela.url} did not answer (ConnectionError); try again later"
    assert archive.sync(handler).problems == {job.id: said}
    assert archive.sync(handler).collected == [job.id]


# Jobs that end badly


def test_a_job_that_fails_has_its_reason(quandela, archive):
    quandela.break_next("The laser is off")
    native = done(quandela, sent(set_up(archive.wrap(quandela.remote_processor()))))
    job = archive.job("latest")
    assert (job.status, job.error) == ("ERROR", {"type": "perceval.job", "message": "The laser is off"})
    with pytest.raises(RuntimeError) as caught:
        native.get_results()
    with pytest.raises(JobFailed, match="The laser is off"):
        job.result()
    offline = job.native()
    assert (offline.status.status.name, offline.status.stop_message) == ("ERROR", "The laser is off")
    with pytest.raises(RuntimeError) as again:
        offline.get_results()
    assert str(again.value) == str(caught.value)


def test_results_that_fail_can_be_read_again(quandela, archive):
    native = done(quandela, sent(set_up(archive.wrap(quandela.remote_processor()))))
    quandela.fail_next(502, path_contains="/result/")
    with pytest.raises(requests.HTTPError, match="502"):
        native.get_results()
    job = archive.job("latest")
    assert job.status not in ("DONE", "ERROR")
    same(native.get_results(), job.result(wait=True))
    assert job.status == "DONE"


def test_a_job_that_failed_unseen_is_collected(quandela, archive):
    quandela.break_next("The laser is off")
    sent(set_up(archive.wrap(quandela.remote_processor())))
    quandela.wait()
    assert archive.sync(quandela.rpc_handler()).collected == [archive.job("latest").id]
    assert archive.job("latest").error["message"] == "The laser is off"


def test_a_cancelled_job_says_so_and_when_it_was_asked_for(quandela, archive):
    quandela.hold()
    native = sent(set_up(archive.wrap(quandela.remote_processor())))
    native.cancel()
    assert native.status.status.name == "CANCELED"
    job = archive.job("latest")
    assert job.status == "CANCELLED"
    assert [record["name"] for record in job.history if record["type"] == "event"] == ["cancellation asked for"]
    assert job.native().status.status.name == "CANCELED"


def cancelled_halfway(quandela, archive, monkeypatch):
    import quandela_server

    sampler = Sampler(set_up(archive.wrap(quandela.remote_processor())), max_shots_per_call=1000)
    sampler.add_iteration_list([{"max_samples": number} for number in (1, 2, 3)])
    original = quandela_server.run

    def run(payload, platform, seed, progress):
        def canceling(share, phase):
            if share > 0.5:
                quandela.rpc_handler().cancel_job(job.id)
            return progress(share, phase)

        return original(payload, platform, seed, canceling)

    monkeypatch.setattr(quandela_server, "run", run)
    quandela.hold()
    job = sampler.sample_count.execute_async(5)
    quandela.release()
    quandela.wait(job.id, "canceled")
    return job


def test_a_cancelled_job_keeps_what_it_had(quandela, archive, monkeypatch):
    native = cancelled_halfway(quandela, archive, monkeypatch)
    assert native.status.canceled
    assert archive.job("latest").status in ("CANCELLED", "PARTIAL")
    results = native.get_results()
    job = archive.job("latest")
    assert (job.status, len(archive.jobs())) == ("PARTIAL", 1)
    same(job.result(), results)
    assert [entry["results"].total() for entry in job.result()["results_list"]] == [1, 2]
    same(job.native().get_results(), results)


def test_a_cancelled_job_that_nobody_looked_at_keeps_what_it_had(quandela, archive, monkeypatch):
    native = cancelled_halfway(quandela, archive, monkeypatch)
    assert archive.sync(quandela.rpc_handler()).collected == [archive.job("latest").id]
    job = archive.job("latest")
    assert (job.status, len(job.result()["results_list"])) == ("PARTIAL", 2)
    same(job.result(), native.get_results())


@pytest.mark.parametrize("way", ["job", "execution"])
def test_a_rerun_of_perceval_s(quandela, archive, way):
    quandela.break_next("The laser is off")
    if way == "job":
        first = done(quandela, sent(set_up(archive.wrap(quandela.remote_processor()))))
        quandela.calibrate("sim:altair", {"HOM (%)": 80.0})
        again = done(quandela, first.rerun())
        results = again.get_results()
        (job,) = archive.jobs()  # the cloud's own: a second attempt of the same job
        assert (job.status, job.provider_job, job.row.attempts) == ("DONE", again.id, 2)
        attempts = job.folded.attempts
        assert [attempt.provider_job for attempt in attempts] == [first.id, again.id]
        assert [attempt.status for attempt in attempts] == ["ERROR", "DONE"]
        assert archive.job(first.id) == archive.job(again.id) == job
        assert archive.fetch(quandela.rpc_handler("sim:slos"), first.id) == job and len(archive.jobs()) == 1
        assert hom(job) == {"submit": 80.0, "retrieval": 80.0}
        assert archive.job(again.id) == job
    else:
        execution = executed(quandela, archive.wrap(quandela.computer()))
        assert execution.is_failed
        again = execution.rerun()
        quandela.wait()
        results = again.get_results()
        assert [job.status for job in archive.jobs()] == ["DONE", "ERROR"]  # a new job
        job = archive.job("latest")
    same(job.result(), results)


def test_a_rerun_of_a_job_that_is_not_archived_is_taken_in(quandela, tmp_path):
    quandela.break_next("The laser is off")
    processor = set_up(quandela.remote_processor())
    first = done(quandela, sent(processor))
    with lenient(tmp_path / "lab") as archive:
        archive.wrap(processor)
        again = done(quandela, first.rerun())
        results = again.get_results()
        (job,) = archive.jobs()
        assert (job.provider_job, job.status) == (again.id, "DONE")
        same(job.result(), results)
        assert {gap["what"] for gap in job.gaps} >= {"environment", "calibration"}


# Jobs that were sent without the archive


def test_a_job_recorded_later_has_the_input_that_it_holds(quandela, tmp_path):
    native = done(quandela, sent(set_up(quandela.remote_processor("qpu:altair"))))
    with lenient(tmp_path / "lab") as archive:
        job = archive.record(native)
        assert archive.record(native) == job == archive.fetch(quandela.rpc_handler(), native.id)
        assert {gap["what"] for gap in job.gaps} == {"calibration", "environment"}
        assert (job.status, job.backend, job.names) == ("DONE", "qpu:altair", ("sample_count",))
        assert payload_of(job) == quandela.jobs[native.id].payload
        assert abs(job.created.timestamp() - quandela.jobs[native.id].created) < 0.001
        same(job.result(), native.get_results())
        assert list(hom(job)) == ["retrieval"]


def test_a_job_that_is_recorded_after_its_results_were_read(quandela, tmp_path):
    native = done(quandela, sent(set_up(quandela.remote_processor("qpu:altair")), "probs"))
    results = native.get_results()
    with lenient(tmp_path / "lab") as archive:
        job = archive.record(native)
        assert job.status == "DONE"
        same(job.result(), results)


def test_a_resumed_job_has_no_input_and_says_so(quandela, tmp_path):
    sending = done(quandela, sent(set_up(quandela.remote_processor("qpu:altair"))))
    native = quandela.remote_processor("sim:slos").resume_job(sending.id)
    with lenient(tmp_path / "lab") as archive:
        job = archive.record(native)
        reasons = {gap["what"]: gap["reason"] for gap in job.gaps}
        assert reasons == {
            "input": "the service does not give the input of a job back",
            "backend": "the service does not say which platform ran it; it was asked for through sim:slos",
            "calibration": "the job was sent without the archive, and the service does not tell earlier calibrations",
            "environment": "the job was sent without the archive",
        }
        with pytest.raises(BadInput, match="the input of this job: was not captured; `job.gaps` says why"):
            job.input
        results = native.get_results()
        assert job.status == "DONE"
        same(job.result(), results)
        same(job.native().get_results(), results)


def test_a_job_fetched_by_its_id_alone(quandela, tmp_path):
    native = done(quandela, sent(set_up(quandela.remote_processor("sim:altair"))))
    quandela.configure()
    with lenient(tmp_path / "lab") as archive:
        for client in (quandela.rpc_handler("sim:altair"), quandela.remote_processor(), quandela.computer(), "perceval"):
            job = archive.fetch(client, native.id)
        assert len(archive.jobs()) == 1
        assert job.status == "DONE"
        same(job.result(), native.get_results())
        with pytest.raises(BadInput) as caught:
            archive.fetch(quandela.rpc_handler())
        assert str(caught.value) == "the cloud that Perceval talks to: lists no jobs; give the id of one"


def test_a_job_that_was_not_sent_is_not_recorded(quandela, archive):
    with pytest.raises(BadInput) as caught:
        archive.record(prepared(set_up(quandela.remote_processor())))
    said = "a RemoteJob: it was not sent yet; wrap its processor before it is, or record it afterwards"
    assert (str(caught.value), len(archive.jobs())) == (said, 0)


def test_an_execution_that_ran_without_the_archive_is_recorded(quandela, archive):
    execution = executed(quandela, quandela.computer())
    results = execution.get_results()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        job = archive.record(execution)
        assert archive.record(execution) == job
    assert (job.status, job.provider_job) == ("DONE", execution._getters[0][0]._remote_id)
    same(job.result(), results)
    assert str(job.input.input_state) == str(execution.computation.experiment.input_state)


def test_an_execution_that_is_no_job_or_several_is_not_recorded(quandela, archive):
    local = ExecutionFactory(SimulatedComputer("SLOS"), experiment()).probs
    computer = quandela.computer("sim:belenos")
    computer.use_mitigations_remotely, computer.mitigations = False, [CompilationAveraging(2)]
    factory = ExecutionFactory(computer, experiment(), max_shots_per_call=10)
    factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    several = factory.sample_count.execute_async(max_samples=7)
    unsent = ExecutionFactory(quandela.computer(), experiment(), max_shots_per_call=10).probs
    for execution, said in (
        (local, "a Execution: it is no job; wrap the processor or the computer before it runs"),
        (several, "an Execution: it is 2 jobs of the cloud; wrap its computer before it runs"),
        (unsent, "a Execution: it was not sent yet; wrap its processor before it is, or record it afterwards"),
    ):
        with pytest.raises(BadInput) as caught:
            archive.record(execution)
        assert str(caught.value) == said
    assert len(archive.jobs()) == 0


# Offline


def test_everything_is_read_without_a_network(quandela, archive, monkeypatch):
    natives = [done(quandela, sent(set_up(archive.wrap(quandela.remote_processor("qpu:altair"))), command)) for command in KINDS]
    expected = [native.get_results() for native in natives]
    execution = executed(quandela, archive.wrap(quandela.computer()))
    executed_results = execution.get_results()
    handlers = [archive.replay(quandela.rpc_handler("qpu:altair")), archive.replay(quandela.rpc_handler("sim:slos"))]
    processor, computer = archive.replay(quandela.remote_processor("qpu:altair")), archive.replay(quandela.computer())
    details = quandela.rpc_handler("qpu:altair").fetch_platform_details()
    quandela.stop()
    no_network(monkeypatch)
    for native, results in zip(natives, expected, strict=True):
        job = archive.job(native.id)
        same(job.result(), results)
        offline = job.native()
        assert (offline.id, offline.name, offline.is_success) == (native.id, native.name, True)
        same(offline.get_results(), results)
        assert offline.status.duration == native.status.duration
        same(pcvl.RemoteProcessor(rpc_handler=handlers[0]).resume_job(native.id).get_results(), results)
        same(processor.resume_job(native.id).get_results(), results)
        with pytest.raises(NotFound):
            handlers[0].get_job_status("no-such-job")
    assert computer.name == "sim:belenos"
    same(archive.job("latest").native().get_results(), executed_results)
    restored = pcvl.RemoteProcessor(rpc_handler=handlers[0])
    assert restored.performance == details["perfs"]
    assert restored._rpc_handler.fetch_platform_details() == details
    assert sent(set_up(restored)).id == natives[1].id  # the recording of the same
    with pytest.raises(NoRecording):
        sent(restored)
    with pytest.raises(NotFound):
        pcvl.RemoteProcessor(rpc_handler=handlers[1])


def test_reading_needs_no_sdk(quandela, tmp_path):
    with strict(tmp_path / "lab") as archive:
        native = done(quandela, sent(set_up(archive.wrap(quandela.remote_processor("qpu:altair")))))
        native.get_results()
        expected = archive.job("latest").counts()
    code = """
import json, sys
for name in ("perceval", "exqalibur", "numpy", "requests"):
    sys.modules[name] = None
import qarchive
job = qarchive.open(sys.argv[1]).job("latest")
job.config, job.backend_snapshot, [item.value for item in job.calibrations], job.text(), job.seal, job.data()
print(json.dumps(job.counts()))
"""
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "lab"], check=True, capture_output=True, text=True)
    assert json.loads(ran.stdout) == expected and sum(expected.values()) == 20


def test_an_archived_job_runs_again_here_with_the_noise_of_its_platform(quandela, archive, monkeypatch):
    done(quandela, sent(set_up(archive.wrap(quandela.remote_processor("qpu:altair"))), samples=30)).get_results()
    first = archive.job("latest")
    quandela.stop()
    no_network(monkeypatch)
    again = first.rerun()
    assert (again.backend, again.kind, again.status, again.record["parent"].digest.hex()) == (
        "SLOS",
        "simulator",
        "DONE",
        first.id,
    )
    assert again.result()["results"].total() == 30
    assert again.rebuild().noise.indistinguishability == pytest.approx(0.92)
    assert again.get(again.record["input"])["experiment"] == first.get(first.record["input"])["experiment"]


def test_running_again_leaves_what_its_user_had_wrapped(quandela, archive):
    other = archive.wrap(quandela.remote_processor("qpu:altair"))
    waiting = sent(set_up(other))
    mine, bare = archive.wrap(quandela.remote_processor()), quandela.remote_processor()
    done(quandela, sent(set_up(mine))).get_results()
    first = archive.job("latest")
    for target in (mine, bare):
        children = [first.rerun(target) for _ in range(2)]
        quandela.wait()
        assert [child.record["parent"].digest.hex() for child in children] == [first.id] * 2
    assert len(archive.jobs()) == 6
    done(quandela, sent(mine)).get_results()
    assert len(archive.jobs()) == 7
    with pytest.warns(qarchive.ArchiveWarning, match="was sent to qpu:altair, and is looked at through sim:altair"):
        warnings.simplefilter("always")
        mine.resume_job(waiting.id).get_results()
    assert archive.job(waiting.id).status == "DONE"
    sent(set_up(pcvl.RemoteProcessor(rpc_handler=bare._rpc_handler)))
    assert len(archive.jobs()) == 7


def test_an_archived_job_runs_again_there(quandela, archive):
    done(quandela, sent(set_up(archive.wrap(quandela.remote_processor("qpu:altair"))), samples=30)).get_results()
    first = archive.job("latest")
    for target in (quandela.remote_processor("sim:altair"), quandela.computer("sim:belenos")):
        again = first.rerun(target)
        quandela.wait()
        archive.sync(quandela.rpc_handler())
        again = archive.job(again.id)
        assert (again.status, again.record["parent"].digest.hex()) == ("DONE", first.id)
        assert again.result()["results"].total() == 30


# Groups


def compare(group_name, wrap=lambda native: native):
    """The first script of Perceval's documentation of JobGroup."""
    p_ralph = wrap(pcvl.RemoteProcessor("sim:altair"))
    p_ralph.add(0, pcvl.catalog["postprocessed cnot"].build_processor())
    p_ralph.min_detected_photons_filter(2)
    p_ralph.with_input(pcvl.BasicState([0, 1, 0, 1]))
    p_ralph.set_parameters({"compute_physical_logical_perf": True})
    sampler_ralph = Sampler(p_ralph, max_shots_per_call=1_000_000)

    p_knill = wrap(pcvl.RemoteProcessor("sim:altair"))
    p_knill.add(0, pcvl.catalog["heralded cnot"].build_processor())
    p_knill.min_detected_photons_filter(2)
    p_knill.with_input(pcvl.BasicState([0, 1, 0, 1]))
    p_knill.set_parameters({"compute_physical_logical_perf": True})
    sampler_knill = Sampler(p_knill, max_shots_per_call=1_000_000)

    jg = pcvl.JobGroup(group_name)
    jg.add(sampler_ralph.sample_count, max_samples=10_000)
    jg.add(sampler_knill.sample_count, max_samples=10_000)


def ratio(results):
    ralph_res, knill_res = results
    return (ralph_res["physical_perf"] * ralph_res["logical_perf"]) / (knill_res["physical_perf"] * knill_res["logical_perf"])


@pytest.mark.parametrize("how", ["run_sequential", "run_parallel", "launch_async_jobs"])
def test_the_documented_group_is_archived_and_outlives_its_token(quandela, archive, monkeypatch, how):
    quandela.configure()
    compare("compare_knill_and_ralph_cnot")

    jg = archive.wrap(pcvl.JobGroup("compare_knill_and_ralph_cnot"))  # Loads prepared experiment data
    getattr(jg, how)(*((0,) if how == "run_sequential" else ()))
    quandela.wait()

    jg = archive.wrap(pcvl.JobGroup("compare_knill_and_ralph_cnot"))
    results = jg.get_results()
    assert ratio(results) == pytest.approx(490, rel=0.05)

    compare("without")
    bare = pcvl.JobGroup("without")
    bare.run_parallel()
    same(bare.get_results(), results)
    assert jg.progress() == bare.progress()

    quandela.expire_tokens()
    quandela.stop()
    no_network(monkeypatch)
    jobs = archive.jobs(group="compare_knill_and_ralph_cnot", order="oldest")
    assert [(job.status, job.gaps) for job in jobs] == [("DONE", []), ("DONE", [])]
    same([job.result() for job in jobs], results)
    assert ratio([job.result() for job in jobs]) == pytest.approx(490, rel=0.05)
    assert len(archive.jobs()) == 2


def test_jobs_that_are_added_to_a_wrapped_group_are_recorded(quandela, archive):
    group = archive.wrap(pcvl.JobGroup("grows"))
    group.add(prepared(set_up(quandela.remote_processor())), max_samples=10)
    group.run_parallel()
    group.get_results()
    assert [(job.status, job.labels) for job in archive.jobs()] == [("DONE", {"group": "grows"})]


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("how", ["rerun_failed_parallel", "rerun_failed_sequential"])
def test_failed_jobs_of_a_group_that_run_again_are_further_attempts(quandela, archive, how, replace):
    group = pcvl.JobGroup("again")
    for samples in (10, 20, 30):
        group.add(prepared(set_up(quandela.remote_processor())), max_samples=samples)
    archive.wrap(group)
    quandela.break_next("The laser is off")
    group.run_parallel()
    assert sorted(job.status for job in archive.jobs()) == ["DONE", "DONE", "ERROR"] or [job.status for job in group.remote_jobs]
    getattr(group, how)(*(() if how.endswith("parallel") else (0,)), replace_failed_jobs=replace)
    results = group.get_results()
    assert sorted(each["results"].total() for each in results if each) == [10, 20, 30]
    jobs = list(archive.jobs(order="oldest"))
    assert [(job.status, job.row.attempts, job.shots) for job in jobs] == [("DONE", 2, 10), ("DONE", 1, 20), ("DONE", 1, 30)]
    assert [job.result()["results"].total() for job in jobs] == [10, 20, 30]


def test_a_group_over_the_limit_of_the_plan(quandela, archive):
    quandela.limit(1)
    group = pcvl.JobGroup("limited")
    for samples in (10, 20, 30):
        group.add(prepared(set_up(quandela.remote_processor())), max_samples=samples)
    archive.wrap(group).run_parallel()
    assert [each["results"].total() for each in group.get_results()] == [10, 20, 30]
    assert [(job.status, job.shots) for job in archive.jobs(order="oldest")] == [("DONE", 10), ("DONE", 20), ("DONE", 30)]


@pytest.mark.parametrize("late", [False, True])
def test_a_group_of_executions_is_archived(quandela, archive, tmp_path, late):
    quandela.configure()
    group = ExecutionGroup("pair", str(tmp_path / "groups"))
    if late:
        archive.wrap(group)
    for samples in (10, 20):
        execution = ExecutionFactory(quandela.computer(), experiment(), max_shots_per_call=1000).sample_count
        execution._transmit_args(max_samples=samples)
        group.add(execution)
    if not late:
        archive.wrap(group)
    group.run_parallel()
    again = archive.wrap(ExecutionGroup("pair", str(tmp_path / "groups")))
    results = again.get_results()
    assert [each["results"].total() for each in results] == [10, 20]
    jobs = list(archive.jobs(order="oldest"))
    assert [(job.status, job.labels) for job in jobs] == [("DONE", {"group": "pair"})] * 2
    same([job.result() for job in jobs], results)
