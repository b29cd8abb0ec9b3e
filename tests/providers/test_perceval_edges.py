"""Perceval at the edges: kills, forks, interrupts, copies, classes of the user's own, autolog that ends too early."""

import copy
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import time

import perceval as pcvl
import pytest
from perceval.algorithm import Sampler
from perceval.runtime import ExecutionFactory, LocalComputer, SimulatedComputer

import qarchive
from qarchive import capture
from qarchive.providers.perceval.local import Local

SCRIPT = textwrap.dedent("""
    import os, signal, sys, time
    others = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "pulser", "pulser_simulation", "pasqal_cloud")
    sys.modules.update(dict.fromkeys(others))  # autolog would import them all, for seconds
    import perceval as pcvl
    from perceval.algorithm import Sampler
    import qarchive
    archive = qarchive.autolog(sys.argv[1])
    processor = pcvl.Processor("SLOS", pcvl.BS())
    processor.with_input(pcvl.BasicState([1, 1]))
    job = Sampler(processor).sample_count.execute_async(100)
    while not job.is_complete:
        time.sleep(0.01)
    archive.job("latest")
""")


def splitter():
    made = pcvl.Experiment(pcvl.BS())
    made.with_input(pcvl.BasicState([1, 1]))
    made.min_detected_photons_filter(1)
    return made


def processor():
    return pcvl.Processor("SLOS", splitter())


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def autolog(archive):
    qarchive.autolog(archive)
    yield archive
    qarchive.autolog(False)


def complete(job):
    while not job.is_complete:
        time.sleep(0.005)
    return job


def test_a_kill_after_the_computation_loses_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "lab"])
    assert done.returncode == -signal.SIGKILL
    with qarchive.open(tmp_path / "lab") as archive:
        (job,) = archive.jobs()
        assert job.status == "PARTIAL"
        assert job.data()[0]["probabilities"] == pytest.approx({"|2,0>": 0.5, "|0,2>": 0.5})


def test_a_forked_child_leaves_its_parents_jobs_alone(tmp_path):
    code = textwrap.dedent("""
        child = os.fork()
        if child == 0:
            sys.exit(0)
        os.waitpid(child, 0)
        counts = {str(state): count for state, count in job.get_results()["results"].items()}
        assert archive.job("latest").counts() == counts
        assert [r["type"] for r in archive.job("latest").history] == ["job", "attempt", "outcome", "outcome"]
    """)
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT + code, tmp_path / "lab"], check=True)


def _in_a_worker(number):
    complete(Sampler(processor()).sample_count.execute_async(10 + number))


def test_workers_that_end_without_ceremony_lose_nothing(autolog):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(_in_a_worker, range(4))
    assert sorted((job.shots, job.status) for job in autolog.jobs()) == [(10 + number, "PARTIAL") for number in range(4)]


def test_jobs_that_nobody_keeps_are_let_go(archive):
    recorded = archive.wrap(processor())
    for _ in range(5):
        complete(Sampler(recorded).sample_count.execute_async(10))
    assert [job.status for job in archive.jobs()] == ["PARTIAL"] * 5
    assert archive._recorder._running == {}


def test_an_interrupt_between_run_and_record_makes_nobody_wait(archive, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    recorded = archive.wrap(processor())
    with monkeypatch.context() as patched:
        patched.setattr(Local, "follow", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recorded.probs()
    begin = time.monotonic()
    assert len(archive.jobs()) == 1
    assert time.monotonic() - begin < capture.SETTLE_S / 2
    recorded.probs()
    assert archive.job("latest").status == "DONE"


def test_a_job_that_outlives_autolog_is_kept_as_far_as_it_came(archive):
    qarchive.autolog(archive)
    job = Sampler(processor()).sample_count.execute_async(100)
    qarchive.autolog(False)
    complete(job)
    for thread in [job._worker]:
        thread.join()
    assert archive.job("latest").status == "PARTIAL"


def test_leaving_a_run_out_of_a_paused_archive_changes_nothing(archive):
    recorded, sampler = archive.wrap(processor()), None
    sampler = Sampler(recorded)
    with archive.paused():
        assert sampler.probs.execute_sync(archive=False) == sampler.probs.execute_sync()
        assert recorded.probs(archive=False) == recorded.probs()
    assert len(archive.jobs()) == 0


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy])
def test_copies_of_what_is_wrapped_are_recorded(archive, way):
    again = way(archive.wrap(processor()))
    Sampler(again).probs()
    computer = way(archive.wrap(SimulatedComputer("SLOS")))
    ExecutionFactory(computer, splitter()).probs()
    assert len(archive.jobs()) == 2


class Own(LocalComputer):
    """A computer of the user's own."""

    def __init__(self):
        super().__init__()
        self._register_method(type(self).probs)

    name, noise, performance, type = "own", None, {}, None

    def probs(self, experiment: pcvl.Experiment, max_shots: int = None) -> dict:
        return {"results": pcvl.BSDistribution({pcvl.BasicState([1, 1]): 1.0}), "global_perf": 1.0}


class More(SimulatedComputer):
    """One that adds to what Perceval computes."""

    def probs(self, *args, **kwargs):
        return super().probs(*args, **kwargs) | {"mine": 1}


class Constant(pcvl.Processor):
    """One that never asks Perceval."""

    def probs(self, precision=None, progress_callback=None):
        return {"results": pcvl.BSDistribution({pcvl.BasicState([1, 1]): 1.0}), "global_perf": 1.0}


def test_methods_of_the_users_own_classes_are_recorded_where_the_object_is_wrapped(archive):
    ask = (lambda: archive.wrap(Own()).probs(splitter()), lambda: archive.wrap(More("SLOS")).probs(splitter()),
           archive.wrap(Constant("SLOS", splitter())).probs)  # fmt: skip
    for number, call in enumerate(ask, 1):
        found = call()
        assert len(archive.jobs()) == number
        assert archive.job("latest").result() == found
        assert archive.job("latest").gaps == []
    Own().probs(splitter())
    Constant("SLOS", splitter()).probs()
    assert len(archive.jobs()) == 3


def test_a_cancelled_execution_is_cancelled(archive):
    computer = archive.wrap(SimulatedComputer("CliffordClifford2017"))
    execution = ExecutionFactory(computer, splitter()).sample_count.execute_async(max_samples=10_000_000)
    execution.cancel()
    for row in execution._getters:
        for getter in row:
            getter._thread.join()
    job = archive.job("latest")
    assert (job.status, job.outcome["provider_status"]) == ("CANCELLED", "CANCELED")


def test_a_remote_job_that_is_complete_is_no_longer_queued(archive, quandela):
    remote = archive.wrap(quandela.remote_processor("sim:slos"))
    remote.set_circuit(pcvl.BS())
    remote.with_input(pcvl.BasicState([1, 1]))
    remote.min_detected_photons_filter(1)
    job = Sampler(remote, max_shots_per_call=100).probs.execute_async()
    quandela.wait(job.id)
    assert job.is_complete
    said = [(r["status"], r["provider_status"]) for r in archive.job("latest").history if r["type"] == "status"]
    assert (archive.job("latest").status, said[-1]) == ("RUNNING", ("RUNNING", "completed"))
    job.get_results()
    assert archive.job("latest").status == "DONE"
