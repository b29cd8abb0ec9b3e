"""What Perceval computes here: the conformance suite for processors and computers, and every way in, each recorded once."""

import logging
import os
import random
import subprocess
import sys
import textwrap
import threading
from collections import Counter

import conformance
import numpy as np
import perceval as pcvl
import pytest
from perceval.algorithm import Analyzer, Sampler
from perceval.runtime import ExecutionFactory, LocalComputer, PhotonRecycling, SimulatedComputer
from perceval.runtime.legacy import LocalJob
from perceval.simulators import SimulatorFactory
from perceval_runs import NOISY, TWO, asked_of, experiment, ran, same, same_input, strict

import qarchive
from qarchive.errors import BadInput, JobFailed
from qarchive.providers import hooks

THETA = pcvl.P("theta")
SETUP = """
import perceval as pcvl
from perceval.algorithm import Sampler
from perceval.runtime import ExecutionFactory
made = pcvl.Experiment(pcvl.BS())
made.with_input(pcvl.BasicState([1, 1]))
made.min_detected_photons_filter(2)
"""


def turned():
    """An experiment with a parameter, and what to do with it."""
    iterations = [
        {"circuit_params": {"theta": 0.5}},
        {"circuit_params": {"theta": 1.0}, "input_state": pcvl.BasicState([1, 0]), "min_detected_photons": 1},
        {"circuit_params": {"theta": 1.5}, "noise": pcvl.NoiseModel(transmittance=0.5)},
        {"circuit_params": {"theta": 2.0}, "postselect": pcvl.PostSelect("[0] == 1")},
    ]
    return {"experiment": experiment(pcvl.BS(theta=THETA)), "iterations": iterations}


class Suite(conformance.Conformance):
    """Perceval has no backends with `run`: what is wrapped is asked through a Sampler or a factory."""

    provider = "perceval"
    package = "perceval-quandela"
    extra = "perceval"
    blocked = ("perceval", "exqalibur", "numpy", "scipy", "sympy", "requests")
    gives_ids = False
    serves_threads = False
    offers = conformance.Conformance.offers - {"circuits"}

    def run(self, target, *args, **kwargs):
        return ran(target, *args, **kwargs)

    def result_of(self, returned):
        return returned if isinstance(returned, dict) else returned.get_results()

    def prepare(self, group, target, what, command, *limits, **options):
        return group.add(asked_of(target, what, command), *limits, **options)

    def seed(self, kwargs):
        pcvl.random_seed(11)

    def senders(self):
        return [(SimulatorFactory, "build")]

    def backend_name(self):
        return "SLOS"

    def counts_of(self, result):
        return [counted(entry["results"]) for entry in result.get("results_list", [result])]

    def data_of(self, result):
        return [named(entry["results"]) for entry in result.get("results_list", [result])]

    def shots_of(self, args, kwargs):
        given = [each for each in args[2:] if type(each) is int]
        return given[0] if given else kwargs.get("max_samples")

    def words_of(self, asked):
        made = asked["experiment"] if isinstance(asked, dict) else asked
        words = [type(component).__name__ for _, component in made.components]
        return [[*words, str(made.input_state)] if isinstance(made.input_state, pcvl.BasicState) else words]

    def same_result(self, one, other):
        same(one, other)

    def same_input(self, one, other):
        same_input(one, other)

    def without_volatile(self, result):
        return result

    def with_secret(self, args, secret):
        return ({"experiment": args[0], "iterations": [], "name": f"uses {secret}"}, *args[1:])

    def same_native(self, native, returned):
        assert (type(native), native.status.status.name, native.is_complete) == (LocalJob, "SUCCESS", True)
        super().same_native(native, returned)
        with pytest.raises(AssertionError, match="job has already been executed"):
            native.execute_sync()

    def test_a_wrapped_object_is_used_like_the_original(self, archive):
        target = self.target()
        assert archive.wrap(target) is target
        assert hooks.marked(target) is not None

    def test_random_state_is_left_alone(self, archive):
        """Perceval's own generator, too; a run may draw from Python's and numpy's."""
        states = []
        for target in (self.target(), archive.wrap(self.target())):
            for _, args, kwargs in self.calls()[:3]:
                pcvl.random_seed(5)
                ran(target, *args, **kwargs, seed=3)
                archive.flush()
            command = ".samples" if isinstance(target, pcvl.Processor) else ".sample_count"
            drawn = ran(target, experiment(), command, 50, seed=None)
            states.append((random.getstate(), str(np.random.get_state()), str(drawn)))
        assert states[0] == states[1]


def counted(found):
    """Counts by the text of each state, of counts or samples."""
    if isinstance(found, pcvl.BSCount):
        return {str(state): number for state, number in found.items()}
    return dict(Counter(map(str, found))) if isinstance(found, pcvl.BSSamples) else None


def named(found):
    """Results under the name of what they are, states by their texts."""
    if isinstance(found, pcvl.BSSamples):
        return {"samples": list(map(str, found))}
    return {"counts" if isinstance(found, pcvl.BSCount) else "probabilities": {str(state): each for state, each in found.items()}}


class TestProcessor(conformance.AcrossProcesses, Suite):
    at_exit = ("PARTIAL",)  # its samples are drawn when they are asked for
    setup = SETUP + textwrap.dedent("""
        target = pcvl.Processor("SLOS", made)
        def call(target):
            Sampler(target).sample_count.execute_async(20)
    """)

    def target(self):
        return pcvl.Processor("SLOS", 2)

    def other_input(self):
        return (experiment(state=pcvl.BasicState([2, 0])), "sample_count", 50), {}

    def other_options(self):
        return {"number of samples": ((experiment(), "sample_count", 51), {}), "command": ((experiment(), "samples", 50), {})}

    def other_targets(self):
        return {"backend": pcvl.Processor("Naive", 2)}

    def failing(self):
        return ((experiment(pcvl.BS(theta=THETA)), ".probs"), {}), None

    def calls(self):
        entangled = pcvl.StateVector([1, 0]) + pcvl.StateVector([0, 1])
        mixture = pcvl.SVDistribution({pcvl.StateVector([1, 1]): 0.25, pcvl.StateVector([2, 0]): 0.75})
        return [
            ("counts", (experiment(), "sample_count", 50), {}),
            ("probabilities with noise", (experiment(noise=NOISY), "probs"), {}),
            ("samples", (experiment(noise=NOISY), "samples", 20), {}),
            ("iterations of probabilities", (turned(), "probs"), {}),
            ("iterations of counts", (turned(), "sample_count", 30), {}),
            ("a selection, heralds and detectors", (selected(), "probs"), {}),
            ("polarization", (polarized(), "probs"), {}),
            ("a state vector", (experiment(state=entangled), "probs"), {}),
            ("a mixture", (experiment(state=mixture), "probs"), {}),
            ("asked directly", (experiment(), ".probs"), {}),
            ("asked directly, with a precision", (experiment(noise=NOISY), ".probs", 1e-3), {}),
        ]

    def test_a_run_without_success_is_an_error_though_the_job_says_done(self, archive):
        """A LocalJob does not raise, it says so in its status."""
        seen = []
        for wrap in (lambda processor: processor, archive.wrap):
            processor = wrap(pcvl.Processor("CliffordClifford2017", experiment(pcvl.BS(theta=THETA))))
            job = Sampler(processor).sample_count
            seen.append((job(20), job.status.status.name, job.status.stop_message))
        assert seen[0] == seen[1] and seen[0][:2] == (None, "ERROR")
        job = archive.job("latest")
        assert (job.status, job.error["message"]) == ("ERROR", seen[0][2])
        assert job.native().status.stop_message == seen[0][2]
        with pytest.raises(JobFailed):
            job.result()


class TestComputer(conformance.AcrossProcesses, Suite):
    records_jobs = False
    unknowing = "a Execution: it is no job; wrap the processor or the computer before it runs"
    reading = "data"

    def test_a_job_whose_result_nobody_asks_for_is_archived_when_the_interpreter_ends(self, tmp_path):
        """With the others of `UNFINISHED`, below."""

    def target(self):
        return SimulatedComputer("SLOS")

    def other_input(self):
        return (experiment(noise=NOISY, state=pcvl.BasicState([2, 0])), "probs"), {}

    def other_options(self):
        asked = experiment(noise=NOISY)
        return {"precision": ((asked, "probs"), {"precision": 1e-3}), "command": ((asked, "sample_count"), {"max_samples": 20})}

    def other_targets(self):
        noisy = SimulatedComputer("SLOS")
        noisy.noise = pcvl.NoiseModel(transmittance=0.5)
        return {"backend": SimulatedComputer("Naive"), "noise": noisy}

    def failing(self):
        return ((experiment(noise=NOISY, photons=None), "probs"), {}), None

    def calls(self):
        return [
            ("probabilities", (experiment(noise=NOISY), "probs"), {}),
            ("iterations", (turned() | {"iterations": turned()["iterations"][:2]}, "probs"), {}),
            ("a precision", (experiment(noise=NOISY), "probs"), {"precision": 1e-3}),
            ("asked directly", (experiment(noise=NOISY), ".probs"), {}),
            ("counts, asked directly", (experiment(), ".sample_count"), {"max_samples": 20}),
        ]


# What the suite runs


def selected():
    """Two photons in four modes, of which one is a herald's."""
    made = pcvl.Experiment(4, name="selected")
    made.add(0, pcvl.Unitary(pcvl.Matrix(np.eye(4)[::-1])))
    made.add(0, pcvl.BS()).add(2, pcvl.BS())
    made.add_herald(3, 0)
    made.add(0, pcvl.Detector.threshold())
    made.add(1, pcvl.Detector.pnr())
    made.add(2, pcvl.Detector.ppnr(4))
    made.min_detected_photons_filter(1)
    made.set_postselection(pcvl.PostSelect("[0, 1] >= 1"))
    made.with_input(pcvl.BasicState([1, 0, 1]))
    return made


def polarized():
    made = pcvl.Experiment(pcvl.Circuit(2).add(0, pcvl.HWP(0.3)).add(0, pcvl.PBS()), name="polarized")
    made.with_input(pcvl.BasicState("|{P:H},{P:V}>"))
    made.min_detected_photons_filter(1)
    return made


# Every way in


def processor(backend="SLOS", **options):
    return pcvl.Processor(backend, experiment(**options))


def factory(wrap, **options):
    computer = wrap(SimulatedComputer("SLOS"))
    return ExecutionFactory(computer, experiment(**options))


def waited(job, *limits):
    """An asynchronous job or execution, as its user waits for it."""
    job.execute_async(*limits)
    while not job.is_complete:
        pass
    return job.get_results()


def mitigated(wrap):
    computer = wrap(SimulatedComputer("SLOS"))
    computer.noise = pcvl.NoiseModel(transmittance=0.6)
    computer.mitigations = [PhotonRecycling()]
    made = pcvl.Experiment(pcvl.Unitary(pcvl.Matrix(np.array([[1, 1, 1], [1, W, W**2], [1, W**2, W]]) / np.sqrt(3))))
    made.with_input(pcvl.BasicState([1, 1, 1]))
    made.min_detected_photons_filter(1)
    return ExecutionFactory(computer, made)


W = np.exp(2j * np.pi / 3)
WAYS = {
    "a sampler's probabilities": ("SLOS", "probs", lambda wrap: Sampler(wrap(processor())).probs()),
    "counts": ("SLOS", "sample_count", lambda wrap: Sampler(wrap(processor())).sample_count(20)),
    "samples": ("SLOS", "samples", lambda wrap: Sampler(wrap(processor())).samples(20)),
    "a wrapped sampler": ("SLOS", "samples", lambda wrap: wrap(Sampler(processor())).samples.execute_sync(max_samples=20)),
    "asynchronous": ("SLOS", "probs", lambda wrap: waited(Sampler(wrap(processor())).probs)),
    "converted later": ("SLOS", "sample_count", lambda wrap: waited(Sampler(wrap(processor())).sample_count, 20)),
    "Naive": ("Naive", "probs", lambda wrap: Sampler(wrap(processor("Naive"))).probs()),
    "MPS": ("MPS", "sample_count", lambda wrap: Sampler(wrap(processor("MPS"))).sample_count(20)),
    "SLAP": ("SLAP", "probs", lambda wrap: Sampler(wrap(processor("SLAP"))).probs()),
    "sampled probabilities": (
        "CliffordClifford2017",
        "probs",
        lambda wrap: waited(Sampler(wrap(processor("CliffordClifford2017"))).probs),
    ),
    "a processor asked directly": ("SLOS", "probs", lambda wrap: wrap(processor(noise=NOISY)).probs(1e-4)),
    "directly sampled": ("CliffordClifford2017", "samples", lambda wrap: wrap(processor("CliffordClifford2017")).samples(20)),
    "a computer asked directly": (
        "SLOS",
        "sample_count",
        lambda wrap: wrap(SimulatedComputer("SLOS")).sample_count(experiment(), max_samples=20),
    ),
    "an execution": ("SLOS", "sample_count", lambda wrap: factory(wrap).sample_count(max_samples=20)),
    "a wrapped execution": ("SLOS", "samples", lambda wrap: wrap(factory(lambda it: it).samples).execute_sync(max_samples=20)),
    "a wrapped factory": ("SLOS", "probs", lambda wrap: wrap(factory(lambda it: it)).probs()),
    "an asynchronous execution": ("SLOS", "probs", lambda wrap: waited(factory(wrap, noise=NOISY).probs)),
    "mitigated": ("SLOS", "probs", lambda wrap: mitigated(wrap).probs()),
    "asynchronous and mitigated": ("SLOS", "probs", lambda wrap: waited(mitigated(wrap).probs)),
}


@pytest.fixture
def archive(tmp_path):
    with strict(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def everywhere(archive):
    """The archive of all that runs."""
    qarchive.autolog(archive)
    yield archive
    qarchive.autolog(False)


def unwrapped(native):
    return native


@pytest.mark.parametrize("backend, command, way", WAYS.values(), ids=WAYS)
def test_every_way_in_is_one_record_wrapped_or_not(archive, backend, command, way):
    results = way(archive.wrap)
    (job,) = archive.jobs()
    assert (job.status, job.backend, job.kind, job.config["command"], job.gaps) == ("DONE", backend, "simulator", command, [])
    same(job.result(), results)
    qarchive.autolog(archive)
    try:
        results = way(unwrapped)
        assert len(archive.jobs()) == 2
        same(archive.job("latest").result(), results)
        with archive.paused():
            way(archive.wrap)
    finally:
        qarchive.autolog(False)
    way(unwrapped)
    assert len(archive.jobs()) == 2


@pytest.mark.parametrize("backend, command, way", WAYS.values(), ids=WAYS)
def test_every_way_in_runs_again_to_the_same(archive, backend, command, way):
    pcvl.random_seed(5)
    results = way(archive.wrap)
    first = archive.job("latest")
    pcvl.random_seed(5)
    again = first.rerun()
    assert (again.status, again.backend, again.record["parent"].digest.hex()) == ("DONE", backend, first.id)
    assert again.record["input"] == first.record["input"]
    if backend == "CliffordClifford2017":  # Perceval's seed does not reach it
        assert type(again.result()["results"]) is type(results["results"])
    else:
        same(again.result(), results)


@pytest.mark.parametrize("start", ["execute_sync", "execute_async"])
def test_a_single_run_can_be_left_out(archive, start):
    for made in (Sampler(archive.wrap(processor())).sample_count, factory(archive.wrap).sample_count):
        getattr(made, start)(max_samples=5, archive=False)
        while not made.is_complete:
            pass
        assert made.get_results()["results"].total() == 5
    assert len(archive.jobs()) == 0
    with pytest.raises(TypeError, match="archive"):  # Perceval's own word, where nobody records
        getattr(factory(unwrapped).sample_count, start)(max_samples=5, archive=False)
    getattr(Sampler(archive.wrap(processor())).sample_count, start)(max_samples=5, archive=True)
    getattr(factory(archive.wrap).sample_count, start)(max_samples=5, archive=True)
    assert len(archive.jobs()) == 2


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_analyzer_is_a_record_for_each_of_its_inputs(archive, wrapped):
    states = [pcvl.BasicState([1, 0]), pcvl.BasicState([0, 1])]
    bare = Analyzer(pcvl.Processor("SLOS", pcvl.BS()), states).compute()
    if wrapped:
        analyzer = archive.wrap(Analyzer(pcvl.Processor("SLOS", pcvl.BS()), states))
    else:
        analyzer = Analyzer(archive.wrap(pcvl.Processor("SLOS", pcvl.BS())), states)
    found = analyzer.compute()
    assert found.keys() == bare.keys() and np.array_equal(found["results"], bare["results"])
    jobs = list(archive.jobs(order="oldest"))
    assert [(job.status, job.names) for job in jobs] == [("DONE", ("analyzer 1/2",)), ("DONE", ("analyzer 2/2",))]
    assert [job.input.input_state for job in jobs] == states


def test_tomography_is_a_record_for_each_of_its_runs(archive):
    from perceval.algorithm.tomography import StateTomography
    from perceval.components import PauliEigenStateType

    made = pcvl.Experiment(pcvl.BS(), name="qubit")
    made.add_port(0, pcvl.Port(pcvl.Encoding.DUAL_RAIL, "q"))
    made.with_input(pcvl.BasicState([1, 0]))
    made.min_detected_photons_filter(1)
    bare = StateTomography(SimulatedComputer("SLOS"), made).perform_state_tomography([PauliEigenStateType.Zp])
    found = StateTomography(archive.wrap(SimulatedComputer("SLOS")), made).perform_state_tomography([PauliEigenStateType.Zp])
    assert np.array_equal(found, bare)
    assert [job.status for job in archive.jobs()] == ["DONE"] * len(archive.jobs()) and len(archive.jobs()) == 3


class Die(LocalComputer):
    """A computer of somebody's own, with a command of its own."""

    def __init__(self):
        super().__init__()
        self._register_method(Die.throw)

    def throw(self, experiment, progress_callback=None, times: int = 1) -> dict:
        return {"results": pcvl.BSCount({experiment.input_state: times}), "times": times}

    name = "die"
    type = pcvl.ProcessorType.SIMULATOR
    noise = performance = None


@pytest.mark.parametrize("start", ["execute_sync", "execute_async"])
def test_a_computer_and_a_command_of_ones_own_are_recorded(archive, start):
    execution = ExecutionFactory(archive.wrap(Die()), experiment()).throw
    getattr(execution, start)(times=6)
    while not execution.is_complete:
        pass
    results = execution.get_results()
    (job,) = archive.jobs()
    assert (job.status, job.backend, job.config["command"], job.config["parameters"]) == ("DONE", "die", "throw", {"times": 6})
    same(job.result(), results)
    assert job.counts() == {"|1,1>": 6}
    with pytest.raises(BadInput, match="the simulation backend 'die'"):
        job.rerun()
    same(job.rerun(Die()).result(), results)


def test_a_job_of_ones_own_function_is_not_lost(archive):
    inside = archive.wrap(processor())

    def twice(progress_callback=None):
        return {"results": [inside.probs()["results"], inside.probs()["results"]]}

    found = waited(LocalJob(twice))
    assert found["results"][0] == found["results"][1]
    assert [(job.status, job.config["command"]) for job in archive.jobs()] == [("DONE", "probs")] * 2
    job = LocalJob(twice)
    job.execute_sync()
    with pytest.raises(BadInput) as caught:
        archive.record(job)
    assert str(caught.value) == "a LocalJob: it does not say what it computed; wrap the processor before it runs"


def test_users_threads_are_recorded_with_the_labels_of_none(everywhere):
    found = []
    with everywhere.context(group="outside"):
        threads = [threading.Thread(target=lambda: found.append(processor().probs())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [(job.status, job.labels) for job in everywhere.jobs()] == [("DONE", {})] * 4
    same(everywhere.job("latest").result(), found[0])


def test_what_runs_in_perceval_s_threads_has_the_labels_of_where_it_was_started(archive):
    with archive.context(group="series", tags=["a"]):
        job = Sampler(archive.wrap(processor())).probs.execute_async()
        execution = factory(archive.wrap).probs.execute_async()
    while not (job.is_complete and execution.is_complete):
        pass
    execution.get_results()
    assert [job.labels for job in archive.jobs()] == [{"group": "series", "tags": ["a"]}] * 2


# Jobs that go on


def test_a_conversion_is_the_users_and_its_job_ends_with_it(archive):
    job = Sampler(archive.wrap(processor())).samples.execute_async(10)
    while not job.is_complete:
        pass
    archived = archive.job("latest")
    assert archived.status == "PARTIAL"
    message = (
        "nobody has asked for its results yet, to which probs_to_samples will be applied; they are kept as they were computed"
    )
    assert archived.error == {"type": "perceval.unconverted", "message": message}
    assert archived.data()[0]["probabilities"] == {str(state): p for state, p in processor().probs()["results"].items()}
    results = job.get_results()
    assert archive.job("latest").status == "DONE"
    job.get_results()
    assert [record["type"] for record in archive.job("latest").history] == ["job", "attempt", "outcome", "outcome"]
    same(archive.job("latest").result(), results)


def test_a_job_recorded_later_says_what_it_was(archive):
    for command, limits in (("probs", ()), ("sample_count", (20,)), ("samples", (20,))):
        pcvl.random_seed(3)
        job = getattr(Sampler(processor()), command)
        with pytest.raises(BadInput, match="it was not executed yet"):
            archive.record(job)
        results = job(*limits)
        late = archive.record(job)
        pcvl.random_seed(3)
        getattr(Sampler(archive.wrap(processor())), command)(*limits)
        assert late.config == archive.job("latest").config
        assert late.record["input"] == archive.job("latest").record["input"]
        same(late.result(), results)
        assert late.outcome["result"] == archive.job("latest").outcome["result"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_cancelled_job_is_cancelled_with_what_it_had(archive, asynchronous):
    seen = []
    for wrap in (unwrapped, archive.wrap):
        sampler = Sampler(wrap(pcvl.Processor("SLOS", turned()["experiment"])))
        sampler.add_iteration_list(turned()["iterations"])
        job = sampler.probs

        def stop(progress, phase, job=job):
            job.cancel()

        job.set_progress_callback(stop)
        if asynchronous:
            job.execute_async()
            job._worker.join()  # who asks while it ends may be told SUCCESS by Perceval
            job.get_results()
        else:
            job.execute_sync()
        seen.append((job.status.status.name, job.get_results()))
    assert seen[0][0] == seen[1][0] == "CANCELED"
    same(seen[0][1], seen[1][1])
    (archived,) = archive.jobs()
    assert (archived.status, archived.error["message"]) == ("CANCELLED", "User has canceled the job")
    same(archived.result(), seen[1][1])
    assert archived.native().status.status.name == "CANCELED"


def test_an_asynchronous_execution_that_fails_is_an_error(archive, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)  # Perceval raises again in its thread
    made = pcvl.Experiment(pcvl.BS(theta=THETA))
    made.with_input(TWO)
    made.min_detected_photons_filter(1)
    computer = archive.wrap(SimulatedComputer("SLOS"))
    execution = ExecutionFactory(computer, made).probs.execute_async()
    while not execution.is_complete:
        pass
    with pytest.raises(RuntimeError) as caught:
        execution.get_results()
    job = archive.job("latest")
    assert job.status == "ERROR" and job.error["message"] in str(caught.value)


UNFINISHED = (
    SETUP
    + """
import sys, time, qarchive
archive = qarchive.open(sys.argv[1])
slow = pcvl.Processor("SLOS", pcvl.Circuit(6).add(0, pcvl.Unitary(pcvl.Matrix.random_unitary(6))))
slow.with_input(pcvl.BasicState([1] * 6))
slow.min_detected_photons_filter(1)
slow.noise = pcvl.NoiseModel(0.5, indistinguishability=0.9)
archive.wrap(slow)
Sampler(slow).probs.execute_async()
Sampler(archive.wrap(pcvl.Processor("SLOS", made))).samples.execute_async(7)
computer = archive.wrap(pcvl.SimulatedComputer("SLOS"))
computer.noise = pcvl.NoiseModel(transmittance=0.6)
made.min_detected_photons_filter(1)
ExecutionFactory(computer, made).probs.execute_async()
computer.mitigations = [pcvl.runtime.CompilationAveraging(2)]
ExecutionFactory(computer, made).probs.execute_async()
print("left")
"""
)


def test_jobs_that_nobody_waits_for_are_archived_when_the_interpreter_ends(tmp_path):
    done = subprocess.run([sys.executable, "-c", UNFINISHED, tmp_path / "lab"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
    with strict(tmp_path / "lab") as archive:
        jobs = list(archive.jobs(order="oldest"))
        assert [job.status for job in jobs] == ["DONE", "PARTIAL", "DONE", "PARTIAL"]
        probs, samples, averaged = jobs[0].result(), jobs[1].result(), jobs[3].result()
        assert sum(probs["results"].values()) == pytest.approx(1)
        assert isinstance(samples["results"], pcvl.BSDistribution)  # the user never asked for samples: none were drawn for him
        assert jobs[1].get(jobs[1].outcome["result"])["unconverted"] == "probs_to_samples"
        assert len(jobs[1].native().get_results()["results"]) == 7
        assert [sum(part["results"].values()) for part in averaged["results_list"]] == pytest.approx([1, 1])


# Nothing else changes


TALKATIVE = (
    SETUP
    + """
import random, sys
import numpy as np
import qarchive
from perceval.utils.logging import get_logger, channel, level
get_logger().set_level(level.info, channel.general)

def work(wrap):
    pcvl.random_seed(4)
    processor = wrap(pcvl.Processor("SLOS", made, noise=pcvl.NoiseModel(0.8)))
    print(Sampler(processor).sample_count(20))
    print(Sampler(processor, max_shots_per_call=10).samples(20))
    job = Sampler(processor).probs.execute_async()
    while not job.is_complete:
        pass
    print(job.get_results(), job.status.status, job.name)
    broken = wrap(pcvl.Processor("SLOS", pcvl.BS(theta=pcvl.P("t"))))
    broken.with_input(pcvl.BasicState([1, 1]))
    print(Sampler(broken).probs())
    print(ExecutionFactory(wrap(pcvl.SimulatedComputer("SLOS")), made).samples(max_samples=5))
    print(wrap(pcvl.SimulatedComputer("SLOS")).samples(made, max_samples=5))
    print(random.random(), np.random.random(), pcvl.Matrix.random_unitary(2).tolist())
    print(Sampler(processor).samples(5), flush=True)
    for stream in (sys.stdout, sys.stderr):
        print("=====", file=stream, flush=True)

work(lambda native: native)
archive = qarchive.open(sys.argv[1])
work(archive.wrap)
assert len(archive.jobs()) == 7, list(archive.jobs())
"""
)


def test_a_script_prints_the_same_with_and_without_the_archive(tmp_path):
    environment = os.environ | {"PCVL_PERSISTENT_PATH": str(tmp_path / "perceval")}
    command = [sys.executable, "-W", "always::UserWarning", "-c", TALKATIVE, tmp_path / "lab"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    for printed in (ran.stdout, ran.stderr):
        without, recorded, rest = printed.split("=====\n")
        assert (recorded, rest) == (without, "")
    assert "An exception was raised during job execution" in ran.stdout + ran.stderr and "[info]" in ran.stdout + ran.stderr


def test_nothing_is_logged_that_perceval_does_not_log(archive, caplog):
    caplog.set_level(logging.DEBUG)
    Sampler(archive.wrap(processor())).sample_count(10)
    archive.flush()
    assert not [record for record in caplog.records if record.name.startswith("qarchive")]


# What is kept


def test_the_split_performance_is_kept_where_it_is_asked_for(archive):
    wrapped = archive.wrap(pcvl.Processor("SLOS", selected(), noise=NOISY))
    wrapped.compute_physical_logical_perf(True)
    results = Sampler(wrapped).probs()
    job = archive.job("latest")
    assert {"physical_perf", "logical_perf", "global_perf"} <= job.result().keys()
    same(job.result(), results)
    assert job.config["settings"]["parameters"] == {"compute_physical_logical_perf": True}
    same(job.rerun().result(), results)


def test_the_record_of_a_run_with_everything(archive):
    what = turned()
    wrapped = archive.wrap(pcvl.Processor("SLOS", what["experiment"], noise=NOISY))
    sampler = Sampler(wrapped, max_shots_per_call=500)
    sampler.add_iteration_list(what["iterations"])
    job = sampler.sample_count
    job.name = "a sweep"
    job(30)
    archived = archive.job("latest")
    assert (archived.names, archived.shots, archived.row.size) == (("a sweep",), 30, 4)
    assert {**archived.config["parameters"]} == {"max_shots": 500, "max_samples": 30}
    assert archived.config["settings"]["conversion"] == "probs_to_sample_count"
    assert archived.rebuild().noise == NOISY
    same(archived.input["iterations"], what["iterations"])
    found = archived.data()
    assert [len(found), found[0]["iteration"]] == [4, {"circuit_params": {"theta": 0.5}}]
    assert archived.counts(2) == found[2]["counts"] and sum(archived.counts(2).values()) == 30
    assert "theta" in archived.text()[0]


def test_equal_distributions_are_one_blob_in_whatever_order_they_were_built(archive):
    from qarchive.providers.perceval.outcomes import put_results

    shares = {"|1,1>": 0.5, "|2,0>": 0.25, "|0,2>": 0.25}
    digests = set()
    for turn in (list(shares), list(shares)[::-1]):
        stage = qarchive.stage.Stage(archive._store)
        made = pcvl.BSDistribution()
        for text in turn:
            made.add(pcvl.BasicState(text), shares[text])
        counts = pcvl.BSCount({pcvl.BasicState(text): round(4 * shares[text]) for text in turn})
        digests.add((put_results(stage, {"results": made}), put_results(stage, {"results": counts})))
    assert len(digests) == 1


def test_a_run_again_is_the_same_and_knows_its_parent(archive):
    pcvl.random_seed(9)
    Sampler(archive.wrap(processor(noise=NOISY))).sample_count(40)
    first = archive.job("latest")
    pcvl.random_seed(9)
    again = first.rerun()
    same(again.result(), first.result())
    assert (again.record["parent"].digest.hex(), again.status) == (first.id, "DONE")
    assert again.record["input"] == first.record["input"]
    elsewhere = first.rerun(pcvl.Processor("Naive", 2, noise=pcvl.NoiseModel(0.1)))
    assert (elsewhere.backend, elsewhere.result()["results"].total()) == ("Naive", 40)
    on_computer = first.rerun(SimulatedComputer("SLOS"))
    assert on_computer.result()["results"].total() == 40
    with pytest.raises(BadInput, match="a dict: belongs to no provider|is no processor"):
        first.rerun({})


def test_a_job_of_iterations_runs_again(archive):
    sampler = Sampler(archive.wrap(pcvl.Processor("SLOS", turned()["experiment"])))
    sampler.add_iteration_list(turned()["iterations"])
    results = sampler.probs()
    same(archive.job("latest").rerun().result(), results)


def test_nothing_to_wrap_is_refused_with_what_to_do(archive):
    with pytest.raises(BadInput) as caught:
        archive.wrap(Sampler(processor()).probs)
    assert str(caught.value) == "a LocalJob: it was made before; give it to `archive.record`, or wrap its processor"
