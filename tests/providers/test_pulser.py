"""Pulser's emulators that run here: the conformance suite, the runs of its tutorials, and what is theirs alone."""

import copy
import functools
import inspect
import json
import re
import warnings
from pathlib import Path

import conformance
import numpy as np
import pulser
import pytest
import qutip
from exactness import same
from pulser import NoiseModel, Pulse
from pulser.backend import EmulatorConfig, Results
from pulser.backend import default_observables as observables
from pulser.backend.abc import EmulatorBackend
from pulser.devices import AnalogDevice, MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout
from pulser.waveforms import ConstantWaveform, InterpolatedWaveform
from pulser_programs import (
    RUNNABLE,
    adiabatic,
    blockade,
    built,
    detuning_map,
    exchange,
    local,
    modulated,
    numbered,
    parametrized,
)
from pulser_simulation import QutipBackend, QutipBackendV2, QutipConfig, QutipEmulator, QutipOperator, QutipState
from pulser_simulation.simresults import CoherentResults, NoisyResults

import qarchive
from qarchive.errors import BadInput, JobFailed
from qarchive.providers.pulser import emulators, sequences
from qarchive.providers.wrapped import Wrapped
from qarchive.values import Typed


@pytest.fixture(autouse=True, scope="module")
def quicker():
    """QuTiP writes its documentation anew whenever an option is set, which is most of the time that an emulator takes to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "cleandoc", functools.cache(inspect.cleandoc))
        yield


@pytest.fixture(autouse=True)
def options_of_qutip():
    """Pulser sets options of QuTiP's for the whole process while it makes emulators; threads leave them so."""
    before = qutip.settings.core["default_dtype"]
    yield
    if qutip.settings.core["default_dtype"] != before:
        qutip.settings.core["default_dtype"] = before


def plus(atoms=2):
    return QutipState.from_state_amplitudes(eigenstates=("r", "g"), amplitudes={"r" * atoms: 0.6, "g" * atoms: 0.8j})


def occupied(atoms=2):
    return QutipOperator.from_operator_repr(eigenstates=("r", "g"), n_qudits=atoms, operations=[(1.0, [({"rr": 1.0}, [0])])])


def every_observable(atoms=2, times=(0.0, 0.5, 1.0)):
    return [
        observables.BitStrings(num_shots=50, evaluation_times=times),
        observables.StateResult(evaluation_times=times),
        observables.Occupation(),
        observables.CorrelationMatrix(evaluation_times=[0.5, 1.0]),
        observables.Energy(evaluation_times=times),
        observables.EnergyVariance(),
        observables.EnergySecondMoment(),
        observables.Fidelity(plus(atoms)),
        observables.Expectation(occupied(atoms), tag_suffix="first"),
        observables.Occupation(one_state="g", tag_suffix="ground"),
    ]


def drawn(number=30, one_state=None, **more):
    return QutipConfig(observables=[observables.BitStrings(num_shots=number, one_state=one_state)], **more)


def emulator(kind, sequence, *args, **settings):
    with warnings.catch_warnings(record=True):
        return (kind.from_sequence if kind is QutipEmulator else kind)(sequence, *args, **settings)


class Local(conformance.Conformance):
    """What the three of them have in common."""

    provider = "pulser"
    extra = "pulser"
    blocked = ("pulser", "pulser_simulation", "qutip", "numpy", "scipy")
    kind_of_emulator: type
    make: str
    records_jobs = False
    unknowing = "belongs to no provider that qarchive knows"
    gives_ids = False
    offers = conformance.Conformance.offers - {"circuits"}

    @property
    def setup(self):
        return f"""
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own imports, and that some of its classes are deprecated
    from pulser import Pulse, Register, Sequence
    from pulser.devices import MockDevice
    from pulser_simulation import QutipBackend, QutipBackendV2, QutipEmulator
    sequence = Sequence(Register({{"a": (0.0, 0.0)}}), MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(40, 1.0, 0.0, 0.0), "rydberg")
    target = {self.make}
def call(target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.run()
"""

    def target(self):
        """A class, and what is done to each of its emulators before it runs its one sequence."""
        return self.kind_of_emulator, lambda native: native

    def through(self, how, target):
        return target[0], how

    def run(self, target, sequence, settings=None, seed=None, **kwargs):
        kind, how = target
        if seed is not None:
            np.random.seed(seed)
        return how(emulator(kind, sequence, **(settings or {}))).run(**kwargs)

    def result_of(self, returned):
        return returned

    def prepare(self, group, target, sequence, settings=None, seed=None, **kwargs):
        return group.add(emulator(target[0], sequence, **(settings or {})), **kwargs)

    def seed(self, kwargs):
        np.random.seed(kwargs["seed"])

    def rerun_on(self):
        return self.kind_of_emulator

    def senders(self):
        return [(self.kind_of_emulator, "run")]

    def backend_name(self):
        return self.kind_of_emulator.__name__

    def other_input(self):
        _, _, kwargs = self.calls()[0]
        return (blockade(spacing=6.0),), kwargs

    def other_targets(self):
        return {}

    def shots_of(self, args, kwargs):
        return None

    def words_of(self, asked):
        return [[str(asked)]]

    def same_input(self, one, other):
        if isinstance(one, tuple):
            one = one[0]
        assert isinstance(one, pulser.Sequence)
        stages = [conformance_stage(sequence) for sequence in (one, other)]
        assert stages[0] == stages[1]

    def same_result(self, one, other):
        same(unfolded(one), unfolded(other))

    def without_volatile(self, result):
        return unfolded(result, False)

    def failing(self):
        return ((RUNNABLE["blockade"](),), self.failing_kwargs()), None

    def with_secret(self, args, secret):
        register = pulser.Register({f"Bearer {secret}": (0.0, 0.0), "b": (0.0, 6.0)})
        return (blockade(register=register),)

    def test_a_wrapped_object_is_used_like_the_original(self, archive):
        target = emulator(self.kind_of_emulator, blockade())
        wrapped = archive.wrap(target)
        assert isinstance(wrapped, type(target)) and type(wrapped) is not type(target)
        assert set(dir(target)) <= set(dir(wrapped))
        assert wrapped.unwrapped is target
        with pytest.raises(AttributeError):
            wrapped.no_such_attribute
        assert list(wrapped.jobs()) == []
        wrapped.run()
        assert list(wrapped.jobs()) == [archive.job("latest")]


def conformance_stage(sequence):
    from staging import MemoryStage

    stage = MemoryStage()
    plain = sequences.put_sequence(stage, sequence)
    return {name: item for name, item in plain.items() if name != "text"}, str(sequence), stage.blobs


def unfolded(value, identities=True):
    """A result as dicts and lists for comparing; without `identities` those of observables count as they come."""
    if isinstance(value, CoherentResults | NoisyResults):
        parts = [unfolded(part, identities) for part in value]
        return {
            "kind": type(value),
            **{name: item for name, item in vars(value).items() if name != "_results_seq"},
            "parts": parts,
        }
    if isinstance(value, list | tuple):
        return [unfolded(part, identities) for part in value]
    if isinstance(value, Results):
        plain = {name: unfolded(item) for name, item in vars(value).items()}
        if not identities:
            known = {name: plain.pop(name) for name in ("_results", "_times", "_aggregation_methods", "_tagmap")}
            plain |= {f"{part}.{tag}": known[part][found] for tag, found in sorted(known["_tagmap"].items())
                      for part in ("_results", "_times", "_aggregation_methods") if found in known[part]}  # fmt: skip
        return {"kind": type(value), "tags": sorted(value._tagmap), **plain}
    if isinstance(value, dict):
        return {key: unfolded(item) for key, item in value.items()}
    if isinstance(value, QutipState):
        return {"kind": type(value), "eigenstates": value._eigenstates, "amplitudes": value._amplitudes, **unfolded(value._state)}
    if isinstance(value, qutip.Qobj):
        return {
            "dims": value.dims,
            "data": type(value.data),
            "order": getattr(value.data, "fortran", None),
            "items": value.full(),
        }
    return value


class TestQutipBackendV2(conformance.AcrossProcesses, Local):
    kind_of_emulator = QutipBackendV2
    make = "QutipBackendV2(sequence)"

    def calls(self):
        noisy = NoiseModel(p_false_pos=0.1, p_false_neg=0.05, dephasing_rate=0.5)
        return [
            ("bit strings", (blockade(),), {"settings": {"config": drawn()}, "seed": 1}),
            ("every observable", (blockade(),), {"settings": {"config": QutipConfig(observables=every_observable())}, "seed": 2}),
            ("the default", (detuning_map(),), {"seed": 3}),
            ("measurement errors", (blockade(),), {"settings": {"config": drawn(noise_model=noisy)}, "seed": 4}),
            ("trajectories", (blockade(measured=False),), {"seed": 5, "settings": {"config": QutipConfig(
                observables=every_observable()[:5], noise_model=NoiseModel(temperature=50.0), n_trajectories=2)}}),
        ]  # fmt: skip

    def other_options(self):
        settings = {"number of shots": {"config": drawn(31)}, "rate": {"config": drawn(sampling_rate=0.5)}}
        return {name: ((blockade(),), {"settings": each, "seed": 1}) for name, each in settings.items()}

    def counts_of(self, result):
        return [dict(result.final_bitstrings) if "bitstrings" in result.get_result_tags() else None]

    def shots_of(self, args, kwargs):
        config = kwargs.get("settings", {}).get("config", QutipBackendV2.default_config)
        drawing = [each for each in config.observables if isinstance(each, observables.BitStrings)]
        return (drawing[0].num_shots or config.default_num_shots) if drawing else None

    def failing_kwargs(self):
        return {"settings": {"config": QutipConfig(observables=[observables.Occupation(one_state="x")])}}

    def test_what_a_config_says_comes_back(self, archive):
        config = QutipConfig(observables=every_observable(), initial_state=plus(), sampling_rate=0.5, n_trajectories=3)
        archive.wrap(emulator(QutipBackendV2, blockade(), config=config, mimic_qpu=False)).run()
        _, loaded = archive.job("latest").input
        assert type(loaded) is QutipConfig
        assert [item.tag for item in loaded.observables] == [item.tag for item in config.observables]
        assert loaded.initial_state == config.initial_state
        assert (loaded.sampling_rate, loaded.n_trajectories) == (0.5, 3)

    def test_a_result_is_looked_up_by_observable_as_before(self, archive):
        config = QutipConfig(observables=every_observable())
        result = archive.wrap(emulator(QutipBackendV2, blockade(), config=config)).run()
        loaded = archive.job("latest").result()
        assert loaded.get_result_tags() == result.get_result_tags()
        for observable in config.observables:
            assert loaded.get_result_times(observable) == result.get_result_times(observable)
        assert loaded.bitstrings == result.bitstrings
        assert loaded.final_bitstrings == archive.job("latest").counts()
        assert loaded == result
        assert archive.job("latest").shots == 50

    def test_what_came_out_is_read_by_tag_without_the_sdk(self, archive):
        result = archive.wrap(emulator(QutipBackendV2, blockade(), config=QutipConfig(observables=every_observable()))).run()
        (found,) = archive.job("latest").data()
        assert set(found) == {"counts", "times", *result.get_result_tags()}
        assert found["times"] == {tag: result.get_result_times(tag) for tag in result.get_result_tags()}
        for tag in ("occupation", "correlation_matrix", "energy", "energy_second_moment", "fidelity", "expectation_first"):
            assert found[tag] == getattr(result, tag)
        assert found["bitstrings"] == [dict(counts) for counts in result.bitstrings]
        assert found["counts"] == found["bitstrings"][-1]
        for shown, state in zip(found["state"], result.state, strict=True):
            assert (shown["eigenstates"], shown["dims"]) == (["r", "g"], state._state.dims)
            same(shown["data"].numpy(), state._state.full())


def final_counts(result):
    """The bit strings of the last of several results in time."""
    return dict(result[-1].bitstring_counts) if isinstance(result, NoisyResults) else None


class TestQutipBackend(Local):
    """The deprecated first one."""

    kind_of_emulator = QutipBackend
    make = "QutipBackend(sequence)"
    reading = "data"

    def calls(self):
        noisy = NoiseModel(p_false_pos=0.1, samples_per_run=2, runs=2, temperature=50.0)
        times = [0.0, 0.05]
        return [
            ("states", (blockade(),), {"settings": {"config": EmulatorConfig(evaluation_times=times)}, "seed": 1,
                                       "nsteps": 2000, "progress_bar": False}),
            ("samples", (blockade(),), {"seed": 2, "settings": {
                "config": EmulatorConfig(noise_model=noisy, evaluation_times=times)}}),
        ]  # fmt: skip

    def other_options(self):
        _, args, kwargs = self.calls()[0]
        settings = {"config": EmulatorConfig(evaluation_times=[0.0])}
        return {"times": (args, {**kwargs, "settings": settings}), "steps": (args, {**kwargs, "nsteps": 2001})}

    def counts_of(self, result):
        return [final_counts(result)]

    def failing_kwargs(self):
        return {"progress_bar": "yes"}


class TestQutipEmulator(Local):
    """The deprecated emulator underneath, which forgets its sequence."""

    kind_of_emulator = QutipEmulator
    make = "QutipEmulator.from_sequence(sequence)"
    reading = "data"

    def calls(self):
        spam = NoiseModel(p_false_pos=0.1, state_prep_error=0.1, samples_per_run=3)
        return [
            ("states", (blockade(),), {"seed": 1}),
            (
                "samples",
                (blockade(),),
                {"settings": {"noise_model": spam, "n_trajectories": 2, "evaluation_times": 0.1}, "seed": 2},
            ),
            ("masks", (exchange(),), {"settings": {"evaluation_times": "Minimal", "sampling_rate": 0.5}, "seed": 3}),
        ]

    def other_options(self):
        settings = {"times": {"evaluation_times": 0.1}, "rate": {"sampling_rate": 0.5}}
        return {name: ((blockade(),), {"settings": each, "seed": 1}) for name, each in settings.items()}

    def counts_of(self, result):
        return [final_counts(result)]

    def words_of(self, asked):
        return [[*(f"Channel: {name}" for name in asked.declared_channels), f"->{asked.get_duration()} |"]]

    def failing_kwargs(self):
        return {"progress_bar": "yes"}

    def same_input(self, one, other):
        if isinstance(other, pulser.Sequence):
            other = QutipEmulator.from_sequence(other)
            other = (other.samples_obj, other._register, other.device)
        if isinstance(one, pulser.Sequence):
            one = QutipEmulator.from_sequence(one)
            one = (one.samples_obj, one._register, one.device)
        found = one[0] if isinstance(one[0], tuple) else one
        assert sequences_equal(found, other)

    def test_what_it_is_set_to_when_it_runs_is_what_is_kept(self, archive):
        native = emulator(QutipEmulator, blockade())
        native.set_evaluation_times([0.01, 0.02])
        native.set_initial_state(plus()._state)
        with warnings.catch_warnings(record=True):
            native.set_config(pulser_simconfig(noise="SPAM", eta=0.0, epsilon=0.25))
        archive.wrap(native).run()
        (samples, register, device), config = archive.job("latest").input
        assert config["evaluation_times"] == [0.01, 0.02]
        assert config["noise_model"].p_false_pos == 0.25
        assert config["initial_state"] == native.initial_state
        rebuilt = archive.job("latest").rebuild()
        same(rebuilt.evaluation_times, native.evaluation_times)
        assert rebuilt.initial_state == native.initial_state
        same(rebuilt.samples_obj.to_nested_dict(), native.samples_obj.to_nested_dict())
        assert (register, device) == (native._register, MockDevice)
        assert "amp 6.28319 to 6.28319" in archive.job("latest").text()[0]


def pulser_simconfig(**fields):
    from pulser_simulation import SimConfig

    return SimConfig(**fields)


def sequences_equal(one, other):
    from qarchive.providers.pulser.samples import same_samples

    return same_samples(one[0], other[0]) and one[1] == other[1] and one[2] == other[2]


# Runs of the tutorials


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "archive") as archive:
        yield archive


def round_trip(archive, sequence, config=None, kind=QutipBackendV2):
    """The job of one run, having checked that all of it comes back."""
    np.random.seed(11)
    result = archive.wrap(emulator(kind, sequence, config=config)).run()
    job = archive.job("latest")
    assert (job.status, job.gaps) == ("DONE", [])
    same(unfolded(job.result()), unfolded(result))
    assert job.result() == result
    assert conformance_stage(job.input[0])[0] == conformance_stage(sequence)[0]
    assert job.text() == [str(sequence)]
    return job, result


@pytest.mark.parametrize("name", [name for name in RUNNABLE if name not in ("exchange", "local", "numbered")])
def test_each_sequence_runs_and_comes_back(archive, name):
    drawing = observables.BitStrings(num_shots=20, one_state="r" if name == "built" else None)
    config = QutipConfig(observables=[drawing, observables.StateResult()], with_modulation=name == "modulated")
    round_trip(archive, RUNNABLE[name](), config)


@pytest.mark.parametrize("make", [exchange, local])
def test_sequences_of_other_bases_run_and_come_back(archive, make):
    round_trip(archive, make(), QutipConfig(observables=[observables.StateResult(evaluation_times=[0.0, 1.0])]))


def test_integers_name_the_atoms_of_a_result_too(archive):
    job, result = round_trip(archive, numbered(), drawn())
    assert job.result().atom_order == result.atom_order == (7, 10)


def test_the_maximum_independent_set_is_read_without_the_sdk(archive):
    job, _ = round_trip(archive, adiabatic(), QutipConfig(observables=[observables.BitStrings(num_shots=200)], sampling_rate=0.5))
    assert sum(job.counts().values()) == 200
    assert (job.shots, job.kind, job.backend) == (200, "simulator", "QutipBackendV2")


NOISE = {
    "measurement": {"p_false_pos": 0.1, "p_false_neg": 0.2},
    "preparation": {"state_prep_error": 0.3},
    "dephasing": {"dephasing_rate": 1.0},
    "relaxation": {"relaxation_rate": 1.0},
    "depolarizing": {"depolarizing_rate": 1.0},
    "amplitude": {"amp_sigma": 0.1, "laser_waist": 100.0},
    "doppler": {"temperature": 50.0},
    "detuning": {"detuning_sigma": 1.0},
    "register": {"temperature": 50.0, "trap_waist": 1.0, "trap_depth": 150.0},
    "effective": {"eff_noise_rates": (0.5,), "eff_noise_opers": (((0.0, 1.0), (0.0, 0.0)),)},
    "leakage": {"with_leakage": True, "eff_noise_rates": (0.5,), "eff_noise_opers": (np.eye(3)[[2, 1, 0]],)},
}


@pytest.mark.parametrize("name", NOISE)
def test_every_noise_comes_back(archive, name):
    model = NoiseModel(**NOISE[name])
    config = QutipConfig(observables=[observables.BitStrings(num_shots=10), observables.StateResult(), observables.Energy()],
                         noise_model=model, n_trajectories=2, sampling_rate=0.5)  # fmt: skip
    job, _ = round_trip(archive, blockade(duration=40, measured=False), config)
    same(vars(job.input[1].noise_model), vars(model))


def test_a_sweep_of_a_built_sequence_shares_device_register_and_backend(archive):
    template = parametrized()
    for omega in (0.5, 1.0, 1.5):
        archive.wrap(emulator(QutipBackendV2, template.build(omega=omega, times=[52, 60], target=1), config=drawn(5, "r"))).run()
    kinds = archive.statistics()["kinds"]
    assert {name: kinds[name]["blobs"] for name in ("input", "config", "device", "register", "backend")} == {
        "input": 3, "config": 1, "device": 1, "register": 1, "backend": 1}  # fmt: skip


def test_many_times_of_a_state_are_read_back_bit_for_bit(archive):
    config = QutipConfig(observables=[observables.StateResult()], default_evaluation_times="Full")
    job, result = round_trip(archive, blockade(duration=40), config)
    assert len(result.state) > 30
    assert job.counts.__self__ is job
    with pytest.raises(BadInput, match="no bit strings were drawn"):
        job.counts()


# What is recorded


def test_what_an_emulator_runs_inside_is_one_record(archive):
    qarchive.autolog(archive)
    try:
        emulator(QutipBackendV2, blockade(), config=drawn()).run()
        with warnings.catch_warnings(record=True):
            emulator(QutipBackend, blockade()).run()
            emulator(QutipEmulator, blockade()).run()
        archive.wrap(emulator(QutipBackendV2, blockade(), config=drawn())).run()
    finally:
        qarchive.autolog(False)
    emulator(QutipBackendV2, blockade(), config=drawn()).run()
    assert [job.backend for job in archive.jobs(order="oldest")] == [
        "QutipBackendV2", "QutipBackend", "QutipEmulator", "QutipBackendV2"]  # fmt: skip


class Constant(EmulatorBackend):
    """Somebody else's emulator, which inherits all but its answer."""

    default_config = QutipConfig(observables=[observables.BitStrings()])

    def run(self):
        return [Results.from_final_bitstrings(self._sequence.register.qubit_ids, 100, {"00": 3})] * 2


class Quicker(QutipBackendV2):
    """It inherits `run`."""


def test_emulators_of_other_packages_are_recorded(archive):
    qarchive.autolog(archive)
    try:
        result = emulator(Constant, blockade()).run()
        emulator(Quicker, blockade(), config=drawn()).run()
    finally:
        qarchive.autolog(False)
    assert result == archive.job("@2").result()
    assert (archive.job("@2").kind, archive.job("@2").counts(1)) == ("local", {"00": 3})
    assert [job.backend for job in archive.jobs(order="oldest")] == ["Constant", "Quicker"]
    assert type(archive.job("latest").rebuild()) is Quicker
    assert archive.job("@2").rerun().result() == result


@pytest.mark.parametrize("everywhere", [True, False])
def test_samples_without_a_sequence_are_one_record(archive, everywhere):
    sequence = blockade()
    arguments = (pulser.sampler.sample(sequence), sequence.register, sequence.device)
    if everywhere:
        qarchive.autolog(archive)
    native = QutipBackendV2 if everywhere else archive.wrap(emulator(QutipBackendV2, sequence, config=drawn()))
    try:
        np.random.seed(1)
        names = ("sequence_samples", "register", "device")
        result = native.run_from_sequence_samples(**dict(zip(names, arguments)), config=drawn())
        with pytest.raises(TypeError, match="run_from_sequence_samples"):
            native.run_from_sequence_samples(*arguments, "too many")
    finally:
        qarchive.autolog(False)
    assert isinstance(vars(QutipBackendV2)["run_from_sequence_samples"], staticmethod)
    (job,) = archive.jobs()
    assert (job.backend, job.shots, job.gaps, job.result() == result) == ("QutipBackendV2", 30, [], True)
    assert sequences_equal(job.input[0], arguments)
    np.random.seed(1)
    assert job.rerun().counts() == job.counts()


def test_a_run_again_on_another_emulator_is_the_same_input(archive):
    archive.wrap(emulator(QutipBackendV2, blockade(), config=drawn())).run()
    job = archive.job("latest")
    for other in (Constant, emulator(Constant, detuning_map())):
        child = job.rerun(other)
        assert (child.backend, child.record["input"]) == ("Constant", job.record["input"])
    with pytest.raises(BadInput, match="a QutipEmulator: it runs samples, and this job has a sequence"):
        job.rerun(QutipEmulator)
    with pytest.raises(BadInput, match="a Sequence: is no emulator of Pulser's that runs here"):
        job.rerun(blockade())


def test_a_sequence_that_is_changed_after_its_emulator_was_made_is_kept_as_it_ran(archive):
    archive_warns = "input.sequence is not archived: it was changed after its emulator was made"
    sequence = blockade(measured=False)
    native = emulator(QutipBackendV2, sequence, config=drawn())
    before = pulser.sampler.sample(sequence)
    sequence.add(Pulse.ConstantPulse(60, 3.0, 0.0, 0.0), "rydberg")
    with pytest.warns(qarchive.errors.ArchiveWarning, match=archive_warns):
        native = archive.wrap(native)
        result = native.run()
    job = archive.job("latest")
    assert [gap["what"] for gap in job.gaps] == ["input.sequence"]
    assert sequences_equal(job.input[0], (before, sequence.register, sequence.device))
    assert job.result() == result
    assert job.rerun().result().total_duration == 100


def test_a_sequence_without_a_representation_is_kept_as_samples(archive):
    sequence = blockade(measured=False)
    with warnings.catch_warnings(record=True):
        wave = InterpolatedWaveform(40, [0.0, 3.0, 1.0], interpolator="interp1d", kind="linear")
    sequence.add(Pulse(wave, ConstantWaveform(40, 0.0), 0.0), "rydberg")
    with pytest.warns(qarchive.errors.ArchiveWarning, match="Its samples are kept"):
        result = archive.wrap(emulator(QutipBackendV2, sequence, config=drawn())).run()
    job = archive.job("latest")
    assert job.text() == [str(sequence)]
    assert sequences_equal(job.input[0], (pulser.sampler.sample(sequence), sequence.register, sequence.device))
    assert job.result() == result
    assert job.rerun().status == "DONE"


class Mine(observables.Energy):
    def apply(self, **known):
        return {"energy": super().apply(**known), "whole": object()}


def test_an_observable_of_the_users_own_is_a_gap_that_is_not_run_again(archive):
    config = QutipConfig(observables=[Mine(tag_suffix="own"), observables.BitStrings(num_shots=5)])
    with pytest.warns(qarchive.errors.ArchiveWarning):
        result = archive.wrap(emulator(QutipBackendV2, blockade(), config=config)).run()
    job = archive.job("latest")
    assert [gap["what"] for gap in job.gaps] == ["config.options.observables.0", "result.energy_own.0.whole"]
    assert job.counts() == result.final_bitstrings
    assert [item.tag for item in job.input[1].observables] == ["bitstrings"]
    with pytest.raises(BadInput, match="its observables are not all in the archive"):
        job.rerun()


def test_a_run_that_raises_is_an_error_with_its_input(archive):
    native = emulator(QutipBackendV2, blockade(), config=QutipConfig(observables=[observables.Occupation(one_state="x")]))
    with pytest.raises(ValueError) as caught:
        archive.wrap(native).run()
    job = archive.job("latest")
    assert (job.status, job.error["message"]) == ("ERROR", str(caught.value))
    assert job.input[1].observables[0].one_state == "x"
    with pytest.raises(JobFailed):
        job.native()


def test_progress_is_shown_as_ever(archive, capsys):
    config = QutipConfig(observables=[observables.BitStrings(num_shots=5)], print_progress=True, progress_bar=True,
                         noise_model=NoiseModel(temperature=50.0), n_trajectories=2)  # fmt: skip
    shown = []
    for wrap in (lambda native: native, archive.wrap):
        np.random.seed(3)
        wrap(emulator(QutipBackendV2, blockade(), config=config)).run()
        shown.append([line for line in capsys.readouterr().out.splitlines() if "Trajector" in line])
    assert shown[0] == shown[1] != []


def test_a_wrapped_emulator_is_copied_as_a_wrapped_one_and_not_pickled(archive):
    wrapped = archive.wrap(emulator(QutipBackendV2, blockade(), config=drawn()))
    for other in (copy.copy(wrapped), archive.wrap(wrapped)):
        assert isinstance(other, Wrapped)
        other.run()
    assert len(archive.jobs()) == 2
    with pytest.raises(BadInput, match="another process would not record its runs"):
        wrapped.__reduce_ex__(4)


def test_what_belongs_to_a_cloud_is_not_taken_for_an_emulator():
    from pulser.backend.remote import RemoteBackend

    class Remote(RemoteBackend, EmulatorBackend):
        default_config = drawn()

        def __init__(self):
            pass

        def run(self):
            return None

    assert not emulators.is_emulator(Remote())


def test_a_sequence_is_attached_to_a_job(archive):
    archive.wrap(emulator(QutipBackendV2, built(), config=drawn(5, "r"))).run()
    job = archive.job("latest")
    job.attach("template", parametrized())
    loaded = archive.job("latest").attachment("template")
    assert loaded.to_abstract_repr() == parametrized().to_abstract_repr()
    assert conformance_stage(loaded.build(omega=5.5, times=[52, 100], target=1))[0] == conformance_stage(built())[0]


def test_what_is_kept_is_smaller_than_what_pulser_writes(archive):
    sequence = adiabatic()
    config = QutipConfig(observables=[observables.BitStrings(num_shots=100), observables.Occupation()], sampling_rate=0.5)
    for _ in range(10):
        result = archive.wrap(emulator(QutipBackendV2, sequence, config=config)).run()
    written = 10 * sum(len(item.to_abstract_repr()) for item in (sequence, config, result))
    archive.flush()
    assert archive.statistics()["bytes"] < written
    assert json.loads(sequence.to_abstract_repr())["device"]["name"] == archive.job("latest").get(
        archive.job("latest").backend_snapshot["device"])["specs"]["name"]  # fmt: skip


def test_states_beyond_a_mebibyte_come_back(archive):
    register = pulser.Register({f"q{place}": (9.0 * place, 0.0) for place in range(8)})
    config = QutipConfig(observables=[observables.StateResult()], default_evaluation_times="Full")
    job, result = round_trip(archive, blockade(duration=270, register=register), config)
    assert "chunk" in [kind for kind, _, _ in job.blobs]
    same(job.data()[0]["state"][-1]["data"].numpy(), result.state[-1]._state.full())


def test_a_run_that_mimics_a_qpu_is_run_again_as_one(archive):
    layout = TriangularLatticeLayout(61, spacing=5)
    sequence = blockade(duration=100, register=layout.define_register(20, 30, qubit_ids=["a", "b"]), device=AnalogDevice)
    archive.wrap(emulator(QutipBackendV2, sequence, config=drawn(), mimic_qpu=True)).run()
    rebuilt = archive.job("latest").rebuild()
    assert rebuilt._mimic_qpu is True
    assert rebuilt._sequence.register == sequence.register
    assert rebuilt._sequence.register.layout == layout


def test_every_field_is_named_on_the_page_of_the_format(archive):
    page = (Path(__file__).parent.parent.parent / "spec" / "pulser.md").read_text("utf-8")
    named = set(re.findall(r"`([A-Za-z_0-9.]+)`", page))
    own = {
        "sequence",
        "specs",
        "register",
        "layout",
        "options",
        "run",
        "packages",
        "attributes",
        "shared",
        "references",
    }  # Pulser's
    held = [RUNNABLE[name] for name in ("modulated", "numbered", "of_layout", "detuning_map")]
    for make in held:
        for kind in (QutipBackendV2, QutipEmulator):
            given = {"with_modulation": True} if kind is QutipEmulator else {"config": drawn(5, "r")}
            with warnings.catch_warnings(record=True):
                archive.wrap(emulator(kind, make(), **given)).run()
    noisy = NoiseModel(temperature=50.0)
    config = QutipConfig(observables=[observables.StateResult()], default_evaluation_times="Full")
    with warnings.catch_warnings(record=True):
        archive.wrap(emulator(QutipEmulator, blockade(), noise_model=noisy, n_trajectories=2, evaluation_times=0.1)).run()
        archive.wrap(emulator(QutipBackendV2, blockade(), config=config)).run()
    fields = set()

    def gather(value):
        if isinstance(value, Typed):
            return
        for name, item in value.items() if isinstance(value, dict) else ():
            fields.add(name)
            if name not in own:
                gather(item)
        for item in value if isinstance(value, list | tuple) else ():
            gather(item)

    for job in archive.jobs():
        links = [job.record["input"], job.record["config"], job.outcome["result"], job.folded.current.record["backend"]]
        plain = [job.get(link) for link in links]
        for value in (
            *plain,
            *(job.get(plain[0][name]) for name in ("device", "register")),
            dict(job.outcome.get("volatile", {})),
        ):
            gather(value)
        if "samples" in plain[0]:
            gather(plain[0]["samples"])
    assert fields - named == set()


def test_modulation_is_part_of_what_ran(archive):
    job, _ = round_trip(archive, modulated(), QutipConfig(observables=[observables.StateResult()], with_modulation=True))
    again = job.rerun()
    same(unfolded(again.result(), False), unfolded(job.result(), False))
