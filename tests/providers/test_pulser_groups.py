"""Runs of Pulser's emulators that are prepared in one place and made in another one: what comes out is the same."""

import numpy as np
import pytest
from preparing import Sending, prepare, threads
from pulser import NoiseModel
from pulser.backend import BitStrings, Occupation
from pulser_programs import adiabatic, blockade, built, masked
from pulser_simulation import QutipBackend, QutipBackendV2, QutipConfig, QutipEmulator

from qarchive.providers import registry

PULSER = registry.named("pulser")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
NOISY = NoiseModel(p_false_pos=0.1, p_false_neg=0.05, state_prep_error=0.1, amp_sigma=0.05, runs=3, samples_per_run=2)


def emulated(make=blockade, **options):
    return QutipBackendV2(make(), config=QutipConfig(**{"observables": [BitStrings(num_shots=30), Occupation()], **options}))


RUNS = {
    "an emulator": (emulated, {}),
    "an emulator without a configuration": (lambda: QutipBackendV2(blockade()), {}),
    "noise": (lambda: emulated(noise_model=NOISY, n_trajectories=3), {}),
    "another sequence": (lambda: emulated(adiabatic, default_evaluation_times=(0.5, 1.0)), {}),
    "a built sequence": (lambda: QutipEmulator.from_sequence(built()), {}),
    "a masked one": (lambda: emulated(masked), {}),
    "arguments of the run": (lambda: QutipEmulator.from_sequence(blockade()), {"progress_bar": False, "nsteps": 2000}),
    "the emulator of before": (lambda: QutipEmulator.from_sequence(blockade()), {}),
    "the emulator of before, with noise": (lambda: QutipEmulator.from_sequence(blockade(), noise_model=NOISY), {}),
    "the backend of before": (lambda: QutipBackend(blockade()), {}),
}


def drawn(result):
    """What came out of a run, to compare."""
    if hasattr(result, "get_result_tags"):
        return [(tag, repr(getattr(result, tag))) for tag in result.get_result_tags()]
    return repr([each.state if hasattr(each, "state") else each for each in result]) + repr(result.sample_final_state(20))


@pytest.mark.parametrize("make, given", RUNS.values(), ids=RUNS)
def test_a_prepared_run_is_what_it_would_have_been(make, given):
    np.random.seed(5)
    direct = drawn(make().run(**given))
    np.random.seed(5)
    emulator, running = make(), threads()
    recorder = prepare("pulser", lambda: emulator.run(**given))
    (job,) = recorder.jobs
    assert (drawn(emulator.run(**given)), threads(), recorder.stage.gaps) == (direct, running, [])
    snapshot = recorder.stage.get(recorder.executions[0].backend)
    np.random.seed(5)
    device = PULSER.load_backend(recorder.stage.get, job, snapshot, None)
    target, args, kwargs = PULSER.load_call(recorder.stage.get, job, device)
    sending = Sending()
    finished = PULSER.wrap(target, sending).run(*args, **kwargs)
    assert drawn(finished.result) == direct
    assert [(each["input"], each["config"], each["backend"]) for each in sending.jobs] == [
        (job["input"], job["config"], job["backend"])]  # fmt: skip
