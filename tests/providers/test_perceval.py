"""What Perceval computes here: the conformance suite for processors and computers, and every way in, each recorded once."""

import logging
import os
import random
import subprocess
import sys
import textwrap
import threading

import conformance
import numpy as np
import perceval as pcvl
import pytest
from perceval.algorithm import Analyzer, Sampler
from perceval.components import Port, Processor
from perceval.runtime import ExecutionFactory, PhotonRecycling, SimulatedComputer
from perceval.runtime.legacy import LocalJob
from perceval_runs import NOISY, TWO, Bench, Ran, experiment, same, same_input, strict

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
    """Perceval has no backends with `run`: a bench of ours asks what is wrapped."""

    provider = "perceval"
    package = "perceval-quandela"
    extra = "perceval"
    blocked = ("perceval", "exqalibur", "numpy", "scipy", "sympy", "requests")

    @pytest.fixture
    def archive(self, tmp_path):
        with qarchive.open(tmp_path / "archive") as archive:
            self.adapt(archive)
            yield archive

    @staticmethod
    def adapt(archive):
        """Let an archive take benches and what they ran for what is inside."""
        wrap, record = archive.wrap, archive.record
        archive.wrap = lambda native: Bench(wrap(native.inside)) if isinstance(native, Bench) else wrap(native)
        archive.record = lambda native: record(native.job if isinstance(native, Ran) else native)

    def same_result(self, one, other):
        same(one, other)

    def same_input(self, one, other):
        same_input(one, other)

    def without_volatile(self, result):
        return result

    def with_secret(self, args, secret):
        return (experiment(name=f"uses {secret}"), *args[1:])

    def failing(self):
        return None, None

    def test_native_is_the_sdks_own_job_offline(self, archive):
        _, args, kwargs = self.calls()[0]
        result = archive.wrap(self.target()).run(*args, **kwargs).result()
        native = archive.job("latest").native()
        assert (type(native), native.status.status.name, native.is_complete) == (LocalJob, "SUCCESS", True)
        same(native.get_results(), result)
        with pytest.raises(AssertionError, match="job has already been executed"):
            native.execute_sync()

    def test_the_providers_own_id_is_a_reference(self, archive):
        _, args, kwargs = self.calls()[0]
        archive.wrap(self.target()).run(*args, **kwargs).result()
        assert archive.job("latest").provider_job is None

    def test_a_wrapped_object_is_used_like_the_original(self, archive):
        target = self.target()
        assert archive.wrap(target).inside is target.inside
        assert hooks.marked(target.inside) is not None

    def test_with_on_error_raise_nothing_is_sent_that_could_not_be_recorded(self, tmp_path, monkeypatch):
        _, args, kwargs = self.calls()[0]
        sent = []

        def describe(*_):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(qarchive.providers.registry.named("perceval"), "describe", describe)
        with qarchive.open(tmp_path / "strict", on_error="raise") as archive:
            target = archive.wrap(self.target().inside)
            monkeypatch.setattr("perceval.simulators.SimulatorFactory.build", lambda *a, **k: sent.append(a))
            with pytest.raises(RuntimeError, match="no such luck"):
                Bench(target).run(*args, **kwargs)
            assert (sent, len(archive.jobs())) == ([], 0)

    def test_threads_share_one_archive(self, archive):
        """Each with a target of its own: one of Perceval's serves one thread."""
        errors, calls = [], self.calls()[:3]

        def work():
            try:
                wrapped = archive.wrap(self.target())
                for _, args, kwargs in self.calls()[:3]:
                    wrapped.run(*args, **kwargs).result()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert [job.status for job in archive.jobs()] == ["DONE"] * 6 * len(calls)


class TestProcessor(Suite):
    setup = SETUP + textwrap.dedent("""
        target = pcvl.Processor("SLOS", made)
        def call(target):
            Sampler(target).sample_count.execute_async(20)
    """)

    def target(self):
        return Bench(pcvl.Processor("SLOS", 2))

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

    def test_exceptions_are_the_same_with_and_without_the_archive(self, archive):
        caught = []
        for target in (self.target(), archive.wrap(self.target())):
            with pytest.raises(Exception) as info:
                target.run(experiment(), ".samples", 10)
            caught.append((type(info.value), str(info.value)))
        assert caught[0] == caught[1]
        job = archive.job("latest")
        assert (job.status, job.error["message"]) == ("ERROR", caught[0][1])
        with pytest.raises(JobFailed):
            job.result()

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


class TestComputer(Suite):
    records_jobs = False
    unknowing = "it does not say what it computed; wrap the processor before it runs"
    reading = "data"
    setup = SETUP + textwrap.dedent("""
        target = pcvl.SimulatedComputer("SLOS")
        def call(target):
            ExecutionFactory(target, made).probs.execute_async()
    """)

    def target(self):
        return Bench(SimulatedComputer("SLOS"))

    def calls(self):
        return [
            ("probabilities", (experiment(noise=NOISY), "probs"), {}),
            ("iterations", (turned() | {"iterations": turned()["iterations"][:2]}, "probs"), {}),
            ("a precision", (experiment(noise=NOISY), "probs"), {"precision": 1e-3}),
            ("asked directly", (experiment(noise=NOISY), ".probs"), {}),
            ("counts, asked directly", (experiment(), ".sample_count"), {"max_samples": 20}),
        ]

    def test_exceptions_are_the_same_with_and_without_the_archive(self, archive):
        caught = []
        for target in (self.target(), archive.wrap(self.target())):
            with pytest.raises(ValueError) as info:
                target.run(experiment(noise=NOISY, photons=None, state=TWO), "probs")
            caught.append(str(info.value))
        assert caught[0] == caught[1] == archive.job("latest").error["message"]
        assert archive.job("latest").status == "ERROR"


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
