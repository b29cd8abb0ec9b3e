"""The loopback Quandela Cloud, used by the unmodified client."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import perceval as pcvl
import pytest
import quandela_server
import requests
from perceval.algorithm import Analyzer, Sampler
from perceval.providers.rpc_based_communication_layer import RPCBasedCommunicationLayer
from perceval.runtime import ExecutionFactory, ExecutionGroup
from perceval.runtime.error_mitigation import PhotonRecycling
from perceval.runtime.legacy import job_group
from quandela_jobs import CANCEL_REQUESTED, CANCELED, COMPLETED, ERROR, RUNNING, WAITING
from quandela_server import QuandelaServer

NAMES = ("sim:slos", "sim:altair", "qpu:altair", "sim:belenos", "qpu:belenos")
KINDS = {"probs": pcvl.BSDistribution, "sample_count": pcvl.BSCount, "samples": pcvl.BSSamples}
PERFECT = pcvl.NoiseModel()
TWO = pcvl.BasicState([1, 1])


@pytest.fixture
def whole():
    """A server whose chips have all their modes, for tests of what it tells of them."""
    with QuandelaServer(seed=7) as running:
        yield running


@pytest.fixture
def server(whole):
    """A server whose chips have ten modes: newer clients read the whole chip at every question, which takes its time."""
    for platform in whole.platforms.values():
        platform.modes = platform.modes and 10
    return whole


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Clients that do not wait between requests, and groups of jobs in a folder of the test."""
    monkeypatch.setattr(pcvl.RemoteJob, "STATUS_REFRESH_DELAY", 0)
    monkeypatch.setattr(job_group, "STATUS_REFRESH_DELAY", 0.05)
    monkeypatch.setattr(pcvl.JobGroup, "_DIR_PATH", str(tmp_path))
    monkeypatch.setattr(ExecutionGroup, "STATUS_REFRESH_DELAY", 0.05)


@pytest.fixture
def curious(monkeypatch):
    """Newer clients that fetch the details of a platform whenever they are asked, not every 5 s."""
    monkeypatch.setattr(RPCBasedCommunicationLayer, "MINIMUM_FETCH_INTERVAL", 0)


def set_up(processor, circuit=None, *, photons: int = 1):
    """A processor with a beam splitter and a photon in each of its modes."""
    processor.add(0, circuit or pcvl.BS())
    processor.min_detected_photons_filter(photons)
    processor.with_input(TWO)
    return processor


def splitter(server: QuandelaServer, platform: str = "sim:altair", *, photons: int = 1, **options):
    return set_up(server.remote_processor(platform, **options), photons=photons)


def prepared(processor, command: str = "sample_count", shots: int = 1_000_000):
    return getattr(Sampler(processor, max_shots_per_call=shots), command)


def sent(processor, command: str = "sample_count", samples: int = 100, shots: int = 1_000_000):
    return prepared(processor, command, shots).execute_async(*(() if command == "probs" else (samples,)))


def done(server: QuandelaServer, job):
    server.wait(job.id)
    return job


def experiment(*, photons: int = 1) -> pcvl.Experiment:
    made = pcvl.Experiment(2)
    made.add(0, pcvl.BS())
    made.min_detected_photons_filter(photons)
    made.with_input(TWO)
    return made


def executed(server: QuandelaServer, computer, command: str = "sample_count", shots: int = 1_000_000, **limits):
    execution = getattr(ExecutionFactory(computer, experiment(), max_shots_per_call=shots), command)
    execution.execute_async(**({} if command == "probs" else {"max_samples": 100} | limits))
    server.wait()
    return execution


def paths(server: QuandelaServer) -> list[str]:
    """Method and path of each request since the last call, with "*" for ids."""
    seen = [f"{each.method} {each.path}" for each in server.requests]
    server.requests.clear()
    for job_id in server.jobs:
        seen = [each.replace(job_id, "*") for each in seen]
    return seen


# Platforms


@pytest.mark.parametrize("name", NAMES)
def test_a_platform_tells_both_kinds_of_client_what_it_can_do(whole, name):
    processor, computer = whole.remote_processor(name), whole.computer(name)
    assert processor.status == computer.status == "available"
    assert processor.type == computer.type
    assert (processor.type == pcvl.ProcessorType.PHYSICAL) == name.startswith("qpu:")
    assert processor.available_commands == list(whole.platforms[name].commands)
    assert set(computer.available_commands) == set(KINDS)
    assert processor.performance == computer.performance == whole.platforms[name].perfs
    architecture = computer.specs.architecture
    assert (architecture is None) == (name == "sim:slos")
    if architecture is not None:
        assert architecture.m == processor.constraints["max_mode_count"]
        assert architecture.input_state.n == processor.constraints["max_photon_count"]
        assert processor.specs.architecture.m == architecture.m
    assert "compute_physical_logical_perf" in computer.available_parameters


def test_the_client_falls_back_to_the_old_endpoint_for_a_platform_that_tells_no_architecture(whole):
    whole.remote_processor("sim:altair")
    assert paths(whole) == ["GET /api/platforms/sim%3Aaltair/processor", "GET /api/platform/sim%3Aaltair"]
    whole.remote_processor("sim:belenos")
    assert paths(whole) == ["GET /api/platforms/sim%3Abelenos/processor"]


def test_the_noise_of_a_platform_is_its_performance(whole):
    noise = whole.computer("qpu:belenos").noise
    assert (noise.transmittance, noise.indistinguishability, noise.g2) == pytest.approx((0.061, 0.943, 0.009))
    assert whole.remote_processor("qpu:altair").get_current_noise().transmittance == pytest.approx(0.055)


def test_the_client_refuses_what_the_constraints_forbid(whole):
    processor = whole.remote_processor("qpu:altair")
    with pytest.raises(RuntimeError, match=r"Circuit too big \(21 modes > 20\)"):
        processor.set_circuit(pcvl.Circuit(21))
    processor = set_up(whole.remote_processor("qpu:altair"))
    processor.with_input(pcvl.BasicState([2, 0]))
    with pytest.raises(RuntimeError, match="is not permitted"):
        _ = Sampler(processor, max_shots_per_call=10).sample_count


def test_a_calibration_changes_what_is_told_and_done_from_now_on(server, curious):
    processor, computer = splitter(server, "qpu:altair"), server.computer("qpu:altair")
    server.hold()
    job = sent(processor)
    server.calibrate("qpu:altair", {"HOM (%)": 85.0})
    assert processor.performance["HOM (%)"] == 92.0  # as it was fetched
    assert computer.performance["HOM (%)"] == server.remote_processor("qpu:altair").performance["HOM (%)"] == 85.0
    server.release()
    done(server, job)
    server.calibrate("qpu:altair", {"HOM (%)": 80.0, "Clock (MHz)": None})
    assert "Clock (MHz)" not in server.platforms["qpu:altair"].perfs
    assert server.jobs[job.id].perfs["HOM (%)"] == 85.0
    assert server.platforms["sim:altair"].perfs["HOM (%)"] == 92.0


def test_a_retired_platform_is_gone_and_its_jobs_stay(server):
    processor = splitter(server)
    job, unsent = done(server, sent(processor)), prepared(processor)
    server.retire("sim:altair")
    with pytest.raises(requests.HTTPError, match="404 Client Error"):
        server.remote_processor("sim:altair")
    with pytest.raises(requests.HTTPError, match="Platform 'sim:altair' not found"):
        unsent.execute_async(100)
    assert job.get_results()["results"].total() == 100


def test_jobs_of_a_platform_in_maintenance_wait(server, curious):
    processor, computer = splitter(server), server.computer("sim:altair")
    server.maintain("sim:altair")
    assert (computer.status, server.remote_processor("sim:altair").status) == ("maintenance", "maintenance")
    job, other = sent(processor), sent(splitter(server, "sim:belenos"))
    done(server, other)
    assert server.jobs[job.id].status == WAITING
    server.maintain("sim:altair", "available")
    assert done(server, job).is_success


# Commands


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", KINDS)
def test_a_remote_processor_gets_every_command(server, name, command):
    results = done(server, sent(splitter(server, name), command)).get_results()
    assert isinstance(results["results"], KINDS[command])
    assert 0 < results["global_perf"] < 1 + 1e-9
    assert "physical_perf" not in results
    if command == "probs":
        assert sum(results["results"].values()) == pytest.approx(1)
    else:
        assert (results["results"].total() if command == "sample_count" else len(results["results"])) == 100


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", KINDS)
def test_a_remote_computer_gets_every_command(server, name, command):
    execution = executed(server, server.computer(name), command)
    results = execution.get_results()
    assert isinstance(results["results"], KINDS[command])
    (job,) = server.jobs.values()
    assert ("computation" in job.payload) == server.platforms[name].updated
    assert (job.payload["max_shots"], job.name) == (1_000_000, command)


def test_an_execution_can_be_waited_for(server):
    results = ExecutionFactory(server.computer(), experiment(), max_shots_per_call=10_000).sample_count(max_samples=50)
    assert results["results"].total() == 50


def test_an_old_qpu_leaves_the_conversion_to_the_client_and_a_new_one_does_it(server):
    old, new = (done(server, sent(splitter(server, name), "probs")) for name in ("qpu:altair", "qpu:belenos"))
    raw = json.loads(old._rpc_handler.get_job_results(old.id)["results"])
    assert raw["results"].startswith(":PCVL:")
    assert raw["job_context"] == {"result_mapping": ["perceval.utils", "sample_count_to_probs"]}
    assert "job_context" not in new.get_results()
    assert isinstance(old.get_results()["results"], pcvl.BSDistribution)
    assert server.jobs[old.id].payload["command"] == server.jobs[new.id].payload["command"] == "sample_count"


def test_counts_of_a_platform_that_knows_probabilities_only_are_drawn_by_the_client(server):
    server.platforms["sim:slos"].commands = ("probs",)
    processor = splitter(server, "sim:slos")
    job = done(server, sent(processor, "sample_count", 40))
    assert server.jobs[job.id].payload["job_context"]["mapping_delta_parameters"] == {"max_samples": 40, "max_shots": 1_000_000}
    assert job.get_results()["results"].total() == 40


def test_equal_jobs_of_one_seed_give_equal_results_and_leave_the_random_state_of_the_client(server):
    processor = splitter(server, "qpu:belenos")
    states = random.getstate(), np.random.get_state()[1].tolist()
    first, second = (done(server, sent(processor, "samples")).get_results()["results"] for _ in range(2))
    assert states == (random.getstate(), np.random.get_state()[1].tolist())
    server.seed = 8
    third = done(server, sent(processor, "samples")).get_results()["results"]
    assert list(first) == list(second) != list(third)


def test_the_performance_is_split_only_when_asked_for(server):
    processor, computer = splitter(server), server.computer()
    processor.compute_physical_logical_perf(True)
    computer.parameters = {"compute_physical_logical_perf": True}
    for results in (done(server, sent(processor)).get_results(), executed(server, computer).get_results()):
        assert results["physical_perf"] * results["logical_perf"] == pytest.approx(results["global_perf"])


def test_a_simulator_takes_the_noise_of_the_payload_and_else_its_own(server):
    for name in ("sim:altair", "sim:belenos"):
        noisy = done(server, sent(splitter(server, name, photons=2), "probs")).get_results()["results"]
        exact = done(server, sent(splitter(server, name, photons=2, noise=PERFECT), "probs")).get_results()["results"]
        assert 0.01 < noisy[TWO] < 0.1
        assert exact[TWO] == pytest.approx(0)
    computer = server.computer()
    computer.noise = PERFECT
    assert executed(server, computer, "probs").get_results()["results"][TWO] == pytest.approx(0)


def test_the_visibility_follows_the_calibration(server):
    seen = []
    for hom in (100.0, 50.0):
        server.calibrate("qpu:belenos", {"HOM (%)": hom, "g2 (%)": 0.0})
        counts = done(server, sent(splitter(server, "qpu:belenos", photons=2), samples=2000)).get_results()["results"]
        seen.append(counts[TWO] / counts.total())
    assert seen[0] == 0 < 0.2 < seen[1] < 0.3


def test_a_qpu_ignores_noise_and_detects_with_its_own_detectors(server):
    altair = splitter(server, "qpu:altair", noise=PERFECT)
    results = done(server, sent(altair, samples=5000)).get_results()
    assert results["global_perf"] < 0.2
    assert max(max(state) for state in results["results"]) == 1  # a click is a click
    assert results["nb_shots_used"] == 5000  # each shot is a sample: at least one photon
    results = done(server, sent(splitter(server, "qpu:belenos"), samples=5000)).get_results()
    assert max(max(state) for state in results["results"]) == 2


def test_the_acquisition_stops_at_the_shots_too(server):
    results = done(server, sent(splitter(server, "qpu:belenos", photons=2), samples=5000, shots=10_000)).get_results()
    assert 200 < results["results"].total() < 500  # about 3 % of the shots have both photons
    assert results["nb_shots_used"] == pytest.approx(10_000, rel=0.2)


def test_the_documented_cnots_compare_as_documented(server):
    with_perf = {"compute_physical_logical_perf": True}
    group = pcvl.JobGroup("compare_knill_and_ralph_cnot")
    for name in ("postprocessed cnot", "heralded cnot"):
        processor = server.remote_processor("sim:altair")
        processor.add(0, pcvl.catalog[name].build_experiment())
        processor.min_detected_photons_filter(2)
        processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
        processor.set_parameters(with_perf)
        group.add(Sampler(processor, max_shots_per_call=1_000_000).sample_count, max_samples=10_000)
    pcvl.JobGroup("compare_knill_and_ralph_cnot").run_sequential(0)
    ralph, knill = pcvl.JobGroup("compare_knill_and_ralph_cnot").get_results()
    ratio = (ralph["physical_perf"] * ralph["logical_perf"]) / (knill["physical_perf"] * knill["logical_perf"])
    assert ratio == pytest.approx(490, rel=0.05)
    assert {job.group for job in server.jobs.values()} == {"compare_knill_and_ralph_cnot"}
    assert ralph["results"].total() > knill["results"].total()


def test_iterations_run_one_by_one(server):
    angle, processor = pcvl.P("theta"), server.remote_processor("sim:altair", noise=PERFECT)
    set_up(processor, pcvl.BS(theta=angle))
    sampler = Sampler(processor, max_shots_per_call=1000)
    sampler.add_iteration(circuit_params={"theta": 0.0}, max_samples=10)
    sampler.add_iteration(circuit_params={"theta": np.pi / 2}, input_state=pcvl.BasicState([1, 0]), max_shots=20)
    sampler.add_iteration(circuit_params={"theta": 0.0}, noise=pcvl.NoiseModel(0.5), min_detected_photons=1)
    job = done(server, sampler.sample_count.execute_async(30))
    first, second, third = job.get_results()["results_list"]
    assert (first["results"][TWO], first["iteration"]) == (10, {"circuit_params": {"theta": 0.0}, "max_samples": 10})
    assert second["results"].total() == 20
    assert third["iteration"]["noise"] == pcvl.NoiseModel(0.5)
    assert third["results"].total() == 30 > third["results"][TWO]


@pytest.mark.parametrize("name", ["sim:altair", "sim:belenos"])
def test_an_execution_iterates_in_one_job(server, name):
    factory = ExecutionFactory(server.computer(name), experiment(), max_shots_per_call=1000)
    factory.add_iteration_list([{"max_samples": 5}, {"input_state": pcvl.BasicState([1, 0]), "max_samples": 6}])
    execution = factory.sample_count
    with pytest.raises(ValueError, match="max_samples"):
        execution.execute_async()
    execution.execute_async(max_samples=7)
    server.wait()
    assert [each["results"].total() for each in execution.get_results()["results_list"]] == [5, 6]
    assert len(server.jobs) == 1


def test_an_updated_platform_mitigates_errors(server):
    computer = server.computer("sim:belenos")
    computer.mitigations = [PhotonRecycling()]
    execution = executed(server, computer, "sample_count")
    assert "mitigations" in next(iter(server.jobs.values())).payload
    assert (execution.status.status.name, len(server.jobs)) == ("SUCCESS", 1)


def test_an_analyzer_works(server):
    processor = server.remote_processor("sim:slos")
    processor.add(0, pcvl.catalog["postprocessed cnot"].build_experiment())
    processor.min_detected_photons_filter(2)
    analyzer = Analyzer(processor, {pcvl.BasicState([1, 0, 1, 0]): "00"}, max_shots_per_call=1000)
    assert analyzer.compute(expected={"00": "00"})["fidelity"] == pytest.approx(1)
    assert [job.name for job in server.jobs.values()] == ["analyzer 1/1"]


# Jobs


def test_a_job_waits_then_runs_then_is_done_with_its_times(server):
    server.hold()
    job = sent(splitter(server))
    assert (job.status.status.name, job.status.start_timestamp) == ("WAITING", 0)
    with pytest.raises(RuntimeError, match="The job is still running"):
        job.get_results()
    server.hold(RUNNING)
    server.wait(job.id, RUNNING)
    assert (job.status.status.name, job.status.message) == ("RUNNING", "Starting")
    server.release()
    assert done(server, job).is_success
    kept = server.jobs[job.id]
    assert (job.status.creation_timestamp, job.status.start_timestamp) == (kept.created, kept.started)
    assert job.status.duration == kept.duration_s >= 1


def test_a_slow_job_takes_its_time(server):
    server.slow(30)
    job = sent(splitter(server))
    server.wait(job.id, RUNNING)
    assert job.is_running
    server.slow(0)
    assert done(server, job).is_success


def test_requests_of_a_job_in_order(server):
    details = ["GET /api/platforms/sim%3Abelenos/processor"]
    ends = ["GET /api/job/status/*", "GET /api/job/result/*"]
    job = done(server, sent(splitter(server, "sim:belenos")))
    job.get_results()
    job.get_results()
    assert paths(server) == [*details, *details, "POST /api/job", *ends]  # a sampler asks for the details again
    execution = executed(server, server.computer())
    execution.get_results()
    execution.get_results()
    assert paths(server) == [*details, "GET /api/jobs/availability", "POST /api/job", *ends]


def test_a_payload_is_kept_as_it_came(server):
    job = sent(splitter(server), samples=12)
    (created,) = [each for each in server.requests if each.method == "POST"]
    kept = server.jobs[job.id]
    assert json.loads(created.body) == kept.request
    assert created.headers["Authorization"] == f"Bearer {server.token}"
    assert (kept.platform, kept.name, kept.group, kept.payload["max_samples"]) == ("sim:altair", "sample_count", None, 12)
    assert kept.payload["experiment"].startswith(":PCVL:")
    assert server.token not in json.dumps(kept.request)


def test_a_waiting_job_is_canceled_at_once_and_run_again(server):
    server.hold()
    job = sent(splitter(server))
    with pytest.raises(RuntimeError, match="Cannot rerun current job"):
        job.rerun()
    job.cancel()
    assert (job.status.status.name, server.jobs[job.id].status) == ("CANCELED", CANCELED)
    assert job.status.stop_message == "Cancel requested by user"
    again = job.rerun()
    server.release()
    assert done(server, again).get_results()["results"].total() == 100
    assert server.jobs[again.id].rerun_of == job.id
    with pytest.raises(requests.HTTPError, match=r"answered with status code 400 .*it cannot be run again"):
        server.rpc_handler().rerun_job(again.id)
    with pytest.raises(requests.HTTPError, match="it cannot be canceled"):
        server.rpc_handler().cancel_job(again.id)


def test_a_running_job_is_canceled_in_two_steps(server):
    server.hold(RUNNING)
    job = sent(splitter(server))
    server.wait(job.id, RUNNING)
    job.cancel()
    server.wait(job.id, CANCEL_REQUESTED, CANCELED)
    server.wait(job.id)
    assert job.status.status.name == "CANCELED"
    with pytest.raises(RuntimeError, match="The job failed: Cancel requested by user"):
        job.get_results()


def test_a_canceled_job_keeps_the_iterations_that_it_finished(server, monkeypatch):
    sampler = Sampler(splitter(server), max_shots_per_call=1000)
    sampler.add_iteration_list([{"max_samples": number} for number in (1, 2, 3)])
    original = quandela_server.run

    def run(payload, platform, seed, progress):
        def canceling(share, phase):
            if share > 0.5:
                job.cancel()
            return progress(share, phase)

        return original(payload, platform, seed, canceling)

    monkeypatch.setattr(quandela_server, "run", run)
    server.hold()
    job = sampler.sample_count.execute_async(5)
    server.release()
    server.wait(job.id, CANCELED)
    assert [each["results"].total() for each in job.get_results()["results_list"]] == [1, 2]


def test_a_broken_job_ends_in_error_with_its_message(server):
    server.break_next("The laser is off")
    job = done(server, sent(splitter(server)))
    assert (job.status.status.name, job.status.stop_message) == ("ERROR", "The laser is off")
    with pytest.raises(RuntimeError, match="The job failed: The laser is off"):
        job.get_results()
    assert done(server, job.rerun()).is_success
    server.break_next("The laser is off again")
    execution = executed(server, server.computer())
    with pytest.raises(RuntimeError, match="Execution failed: The laser is off again"):
        execution.get_results()
    assert execution.rerun().was_sent


def test_what_a_platform_cannot_do_is_an_error_of_the_job(server):
    server.platforms["sim:altair"].commands = ("probs",)
    processor = splitter(server)
    server.platforms["sim:altair"].commands = ("samples",)
    job = done(server, sent(processor, "probs"))
    assert job.status.stop_message == "ValueError: Command 'probs' is not available on sim:altair"


def test_a_job_can_be_resumed_by_its_id(server):
    job = done(server, sent(splitter(server)))
    resumed = server.remote_processor("qpu:belenos").resume_job(job.id)
    assert (resumed.name, resumed.is_success) == ("resumed", True)
    assert resumed.get_results()["results"] == job.get_results()["results"]


def test_a_lost_job_is_unknown(server):
    job, kept = done(server, sent(splitter(server))), done(server, sent(splitter(server)))
    server.lose(job.id)
    for ask in (lambda: server.rpc_handler().get_job_status(job.id), lambda: server.remote_processor().resume_job(job.id)):
        with pytest.raises(requests.HTTPError, match="404 Client Error"):
            ask()
    assert list(server.jobs) == [kept.id]


def test_unfinished_jobs_are_limited(server):
    server.limit(2)
    server.hold()
    processor, computer = splitter(server), server.computer()
    jobs = [sent(processor), sent(processor)]
    assert server.rpc_handler().get_job_availability() == {"max_jobs_in_queue": 2, "num_jobs_in_queue": 2}
    assert computer.available_jobs == 0
    with pytest.raises(requests.HTTPError, match=r"429 \[\{'error': 'Your plan allows 2 unfinished jobs at a time'\}\]"):
        sent(processor)
    jobs[0].cancel()
    assert computer.available_jobs == 1
    assert sent(processor).was_sent


def test_a_group_keeps_to_the_limit(server):
    server.limit(1)
    group = pcvl.JobGroup("limited")
    for samples in (10, 20, 30):
        group.add(Sampler(splitter(server), max_shots_per_call=1000).sample_count, max_samples=samples)
    server.break_next()
    group.run_parallel()
    assert group.progress()["Finished"] == [3, {"successful": 2, "unsuccessful": 1}]
    group.rerun_failed_parallel()
    assert [each["results"].total() for each in group.get_results()] == [10, 20, 30]


def test_a_group_of_executions_runs_and_is_loaded_again(server, tmp_path):
    server.configure()
    group = ExecutionGroup("pair", str(tmp_path / "groups"))
    for samples in (10, 20):
        execution = ExecutionFactory(server.computer(), experiment(), max_shots_per_call=1000).sample_count
        execution._transmit_args(max_samples=samples)
        group.add(execution)
    group.run_parallel()
    again = ExecutionGroup("pair", str(tmp_path / "groups"))
    assert [each["results"].total() for each in again.get_results()] == [10, 20]
    assert server.token not in (tmp_path / "groups" / "pair.egrp").read_text("utf-8")


# Failures


def test_a_refused_job_is_not_accepted_and_an_unanswered_one_is(server):
    processor = splitter(server)
    jobs = [prepared(processor) for _ in range(4)]
    server.fail_next(503, path_contains="/api/job", method="POST")
    with pytest.raises(requests.HTTPError, match=r"status code 503 \[\{'error': 'Internal server error'\}\]"):
        jobs[0].execute_async(100)
    server.drop_next(path_contains="/api/job")
    with pytest.raises(requests.ConnectionError):
        jobs[1].execute_async(100)
    assert server.jobs == {}
    server.fail_next(500, after_processing=True)
    with pytest.raises(requests.HTTPError, match="status code 500"):
        jobs[2].execute_async(100)
    server.drop_next(after_processing=True)
    with pytest.raises(requests.ConnectionError):
        jobs[3].execute_async(100)
    server.wait()
    assert [job.status for job in server.jobs.values()] == [COMPLETED, COMPLETED]
    assert not any(job.was_sent for job in jobs)


def test_the_third_job_may_be_refused_and_a_platform_says_why(server):
    processor = splitter(server)
    for status, message in ((402, "No credit left"), (400, "Invalid payload"), (413, "Payload too large")):
        server.fail_submission(status, nth=3, message=message)
        accepted = [prepared(processor).execute_async(10) for _ in range(2)]
        with pytest.raises(requests.HTTPError) as caught:
            prepared(processor).execute_async(10)
        assert str(caught.value) == f"Url: {server.url}/api/job answered with status code {status} [{{'error': '{message}'}}]"
        accepted.append(prepared(processor).execute_async(10))
        assert [job.was_sent for job in accepted] == [True] * 3
    assert len(server.jobs) == 9


def test_busy_for_some_submissions_and_only_for_those(server):
    processor = splitter(server)
    server.fail_submission(429, times=2, message="Too many requests")
    answers = []
    for _ in range(3):
        try:
            answers.append(prepared(processor).execute_async(10).was_sent)
        except requests.HTTPError as error:
            answers.append("429" in str(error))
    assert answers == [True] * 3
    assert len(server.jobs) == 1
    server.hold()
    job = sent(processor)
    server.fail_submission(429)
    job.cancel()  # no submission
    assert server.jobs[job.id].status == CANCELED


def test_nonsense_and_silence_come_where_they_are_ordered(server):
    processor = splitter(server)
    quandela_server.impatient(processor, 0.1)
    server.fail_submission(200, body="<html>hello</html>", after_processing=True)
    with pytest.raises(AssertionError, match="Missing job_id field in create_job response"):
        prepared(processor).execute_async(10)
    for after, count in ((False, 1), (True, 2)):
        server.fail_submission(503, hang_s=0.5, after_processing=after)
        with pytest.raises(requests.Timeout):
            prepared(processor).execute_async(10)
        assert len(server.jobs) == count
    prepared(processor).execute_async(10)
    assert len(server.jobs) == 3


def test_a_job_survives_some_failures_of_its_status(server):
    job = done(server, sent(splitter(server)))
    server.drop_next(4, "/status/")
    assert [job.status.status.name for _ in range(5)] == ["WAITING"] * 4 + ["SUCCESS"]
    other = done(server, sent(splitter(server)))
    server.fail_next(429, path_contains="/status/")
    assert [other.status.status.name for _ in range(2)] == ["WAITING", "SUCCESS"]
    third = done(server, sent(splitter(server)))
    server.fail_next(503, path_contains="/status/")
    with pytest.raises(requests.HTTPError, match="503 Server Error"):
        _ = third.status


def test_an_execution_survives_no_dropped_connection(server):
    execution = executed(server, server.computer())
    server.drop_next(path_contains="/status/")
    with pytest.raises(requests.ConnectionError):  # the client catches Python's ConnectionError, not that of requests
        _ = execution.status
    assert execution.status.success


def test_a_group_that_is_loaded_again_sends_a_job_twice_whose_answer_was_lost(server):
    group = pcvl.JobGroup("lost")
    group.add(prepared(splitter(server)), max_samples=10)
    server.drop_next(path_contains="/api/job", method="POST", after_processing=True)
    with pytest.raises(requests.ConnectionError):
        group.run_sequential(0)
    with pytest.raises(requests.HTTPError, match="Job 'None' not found"):  # in memory it is a failed job without an id
        group.run_sequential(0)
    pcvl.JobGroup("lost").run_sequential(0)
    assert [job.status for job in server.jobs.values()] == [COMPLETED, COMPLETED]


def test_an_execution_takes_a_refused_token_for_a_full_queue(server):
    computer = server.computer()
    assert computer.available_jobs == server.max_jobs
    server.expire_tokens()
    assert computer.available_jobs == 0  # and waits for it to change, if it is executed


def test_results_that_fail_can_be_fetched_again(server):
    job = done(server, sent(splitter(server)))
    server.fail_next(502, path_contains="/result/")
    with pytest.raises(requests.HTTPError, match="Error while retrieving job results: 502 Server Error"):
        job.get_results()
    assert job.get_results()["results"].total() == 100


def test_requests_without_a_valid_token_are_refused(server):
    processor = splitter(server)
    job, unsent = done(server, sent(processor)), prepared(processor)
    old = server.token
    server.expire_tokens()
    with pytest.raises(requests.HTTPError, match="status code 401"):
        unsent.execute_async(100)
    with pytest.raises(requests.HTTPError, match="401 Client Error"):
        job.get_results()
    new = server.issue_token()
    assert server.token == new != old
    resumed = server.remote_processor("sim:altair").resume_job(job.id)
    assert resumed.get_results()["results"].total() == 100
    server.revoke(new)
    with pytest.raises(requests.HTTPError, match="401 Client Error"):
        server.remote_processor("sim:altair", token=new)
    kept = server.issue_token()
    server.issue_token()
    server.revoke()
    assert server.remote_processor("sim:altair", token=kept).status == "available"


def test_a_body_that_is_no_job_is_refused(server):
    headers = {"Authorization": f"Bearer {server.token}"}
    answer = requests.post(f"{server.url}/api/job", data="{}", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()) == (400, {"error": "The body is not a job: it has no payload with a command"})
    assert requests.get(f"{server.url}/api/other", headers=headers, timeout=5).status_code == 404


def test_errors_of_the_simulation_are_errors_of_the_job(server):
    job = sent(splitter(server), samples=10)
    server.wait(job.id)
    request = json.loads(json.dumps(server.jobs[job.id].request))
    request["payload"]["experiment"] = "no experiment"
    broken = server.wait(server.rpc_handler().create_job(request))
    assert (broken.status, broken.message) == (ERROR, "AttributeError: 'str' object has no attribute 'copy'")


# Other ways in

SCRIPT = """
import perceval as pcvl
from perceval.algorithm import Sampler
processor = pcvl.RemoteProcessor("sim:altair")
processor.add(0, pcvl.BS())
processor.min_detected_photons_filter(1)
processor.with_input(pcvl.BasicState([1, 1]))
job = Sampler(processor, max_shots_per_call=1000).sample_count
job._refresh_progress_delay = 0.1
pcvl.RemoteJob.STATUS_REFRESH_DELAY = 0
print(job(25)["results"].total(), job.id)
"""


def test_a_plain_remote_processor_reaches_a_configured_server(server):
    before = pcvl.RemoteConfig._url, pcvl.RemoteConfig._token
    server.configure()
    assert done(server, sent(set_up(pcvl.RemoteProcessor("qpu:altair")))).is_success
    server.stop()
    assert (pcvl.RemoteConfig._url, pcvl.RemoteConfig._token) == before


def test_a_session_builds_processors(server):
    with server.session("sim:belenos") as session:
        assert done(server, sent(set_up(session.build_remote_processor()))).is_success


def test_a_script_in_another_process_reaches_the_server(server, tmp_path):
    environment = os.environ | server.save_config(tmp_path / "data")
    ran = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    total, job_id = ran.stdout.split()
    assert (total, server.jobs[job_id].status) == ("25", COMPLETED)


def test_the_server_runs_as_a_process_and_takes_commands():
    command = [sys.executable, str(Path(quandela_server.__file__))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        url, token = process.stdout.readline().split()
        processor = set_up(pcvl.RemoteProcessor("sim:altair", token, url))
        process.stdin.write('["break_next", "broken from afar"]\n')
        process.stdin.flush()
        assert process.stdout.readline() == "null\n"
        job = sent(processor)
        process.stdin.write(f'["wait", "{job.id}"]\n')
        process.stdin.flush()
        assert "broken from afar" in process.stdout.readline()
        assert job.status.stop_message == "broken from afar"
        process.stdin.close()
        assert process.wait(10) == 0
