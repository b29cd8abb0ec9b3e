"""Replay of Pulser's emulators: equal results, of the observables of today, and nothing is emulated again."""

import warnings

import numpy as np
import pytest
from pulser import NoiseModel
from pulser.backend import EmulatorConfig
from pulser.backend import default_observables as observables
from pulser.backend.abc import EmulatorBackend
from pulser_programs import adiabatic, blockade, exchange
from pulser_simulation import QutipBackend, QutipBackendV2, QutipConfig, QutipEmulator

import qarchive
from qarchive.errors import BadInput, NoRecording

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TIMES = [0.5, 1.0]
NOISE = NoiseModel(p_false_pos=0.1, p_false_neg=0.2)


def config(**options):
    """A configuration as a script makes it: its observables have other UUIDs every time."""
    given = {"observables": [observables.BitStrings(evaluation_times=TIMES, num_shots=50), observables.StateResult()]}
    return QutipConfig(**{**given, **options})


def elder(sequence, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return QutipBackend(sequence, EmulatorConfig(**options))


def oldest(sequence):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return QutipEmulator.from_sequence(sequence)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(archive, what each run returned, by its name)."""
    with qarchive.open(tmp_path_factory.mktemp("pulser") / "lab") as archive:
        np.random.seed(1)
        runs = {
            "first": QutipBackendV2(blockade(), config=config()),
            "second": QutipBackendV2(blockade(), config=config()),
            "noisy": QutipBackendV2(blockade(), config=config(noise_model=NOISE)),
            "xy": QutipBackendV2(exchange(), config=config()),
            "elder": elder(blockade()),
            "oldest": oldest(blockade()),
        }
        results = {name: archive.wrap(emulator).run() for name, emulator in runs.items()}
        samples = runs["first"]._sim_obj.samples_obj
        given = (samples, blockade().register, blockade().device)
        with archive.context(tags=["sampled"]):
            results["sampled"] = archive.wrap(runs["first"]).run_from_sequence_samples(*given, config=config())
        yield archive, results


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    def emulate(*_, **__):
        raise AssertionError("a sequence was emulated")

    monkeypatch.setattr(QutipEmulator, "_run_solver", emulate)


def drawn(results, observable="bitstrings"):
    return [results.get_result(observable, time) for time in TIMES]


def test_each_emulator_gives_what_it_gave(recorded):
    archive, results = recorded
    assert drawn(results["first"]) != drawn(results["second"])
    own = config()
    again = archive.replay(QutipBackendV2(blockade(), config=own)).run()
    assert drawn(again) == drawn(results["first"])
    assert type(again) is type(results["first"]) and again.final_state.to_qobj() == results["first"].final_state.to_qobj()
    assert drawn(again, own.observables[0]) == drawn(again)  # an observable is known as the script's own
    replayed = archive.replay(elder(blockade()))
    assert replayed.run().get_final_state() == results["elder"].get_final_state()
    assert archive.replay(oldest(blockade())).run(progress_bar=True).get_final_state() == results["oldest"].get_final_state()
    assert drawn(archive.replay(QutipBackendV2(exchange(), config=config())).run()) == drawn(results["xy"])


def test_the_kth_run_gets_the_kth_recording(recorded):
    archive, results = recorded
    replayed = archive.replay(QutipBackendV2(blockade(), config=config(progress_bar=True)))
    assert [drawn(replayed.run()) for _ in range(2)] == [drawn(results["first"]), drawn(results["second"])]
    nearest = archive.jobs(provider="pulser", order="oldest")[1].id
    with pytest.raises(NoRecording) as caught:
        replayed.run()
    assert str(caught.value) == (
        f"an execution on QutipBackendV2 is not recorded in {archive.path}; the nearest is job {nearest[:12]}: all of its 2 "
        'recordings answered before; `mode="missing"` runs and records what is not there'
    )


@pytest.mark.parametrize(
    ("emulator", "differs"),
    [
        (lambda: QutipBackendV2(blockade(), config=config(sampling_rate=0.5)), "sampling_rate: 0.5, recorded 1.0"),
        (lambda: QutipBackendV2(blockade(omega=1.0), config=config()), "the input differs"),
        (lambda: QutipBackendV2(adiabatic(), config=config()), "the input differs"),
        (lambda: QutipBackendV2(blockade(), config=config(noise_model=NoiseModel(p_false_pos=0.5))), "noise_model"),
        (lambda: elder(blockade(), sampling_rate=0.5), "sampling_rate: 0.5, recorded 1.0"),
    ],
)
def test_another_input_or_configuration_is_another_run(recorded, emulator, differs):
    archive, _ = recorded
    native = emulator()
    with pytest.raises(NoRecording) as caught:
        archive.replay(native).run()
    said = str(caught.value)
    assert said.startswith(f"an execution on {type(native).__name__} is not recorded in {archive.path}; the nearest is job ")
    assert differs in said and said.endswith('; `mode="missing"` runs and records what is not there')


def test_a_whole_process_is_replayed_wrapped_or_not(recorded):
    archive, results = recorded
    before = len(archive.jobs())
    with archive.replay(provider="pulser"):
        assert drawn(QutipBackendV2(blockade(), config=config()).run()) == drawn(results["first"])
        assert drawn(archive.wrap(QutipBackendV2(blockade(), config=config())).run()) == drawn(results["second"])
        with pytest.raises(NoRecording):
            QutipBackendV2(blockade(), config=config()).run()
    with archive.replay(tag="sampled"):
        source = QutipBackendV2(blockade(), config=config())
        samples = source._sim_obj.samples_obj
        found = QutipBackendV2.run_from_sequence_samples(samples, blockade().register, blockade().device, config=config())
        assert drawn(found) == drawn(results["sampled"])
    assert len(archive.jobs()) == before


def test_emulators_that_are_known_only_later_are_replayed(recorded):
    archive, results = recorded
    with archive.replay(match="order", provider="pulser"):

        class Foreign(EmulatorBackend):
            """What another package brings, imported by the script."""

            default_config = config()

            def run(self):
                raise AssertionError("it ran")

        assert drawn(Foreign(blockade()).run()) == drawn(results["first"])


def test_missing_runs_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.undo()
    with qarchive.open(tmp_path / "cache") as archive:
        results = [drawn(archive.replay(QutipBackendV2(blockade(), config=config()), mode="missing", group="g").run())
                   for _ in range(3)]  # fmt: skip
        assert results[0] == results[1] == results[2]
        assert [job.labels for job in archive.jobs()] == [{"group": "g"}]


def test_what_is_replayed_is_not_wrapped(recorded):
    archive, _ = recorded
    with pytest.raises(BadInput) as caught:
        archive.wrap(archive.replay(QutipBackendV2(blockade(), config=config())))
    assert (
        str(caught.value)
        == "a replayed QutipBackendV2: it answers from recordings, and nothing new comes of it; wrap the original"
    )
