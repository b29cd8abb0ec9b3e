"""Sequences, states, observables, noise models and results of Pulser come back exactly, and equal ones are equal bytes."""

import copy
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from uuid import UUID

import numpy as np
import pulser
import pytest
import qutip
from exactness import back, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulser import NoiseModel, Pulse, Register, Sequence
from pulser.backend import EmulationConfig, OperatorRepr, Results, StateRepr
from pulser.backend import default_observables as observables
from pulser.backend.observable import AggregationMethod
from pulser.devices import MockDevice
from pulser.math import AbstractArray
from pulser.waveforms import BlackmanWaveform, CustomWaveform, InterpolatedWaveform, RampWaveform
from pulser_programs import RUNNABLE, UNBUILT, blockade, built, detuning_map, exchange, numbered
from pulser_simulation import QutipConfig, QutipEmulator, QutipOperator, QutipState
from pulser_simulation.simulation import Solver
from staging import MemoryStage

from qarchive.codec import decode, encode
from qarchive.errors import BadInput, NewerFormat, NotEncodable
from qarchive.providers.pulser import configs, results, samples, sequences
from qarchive.providers.qiskit.values import from_plain, to_plain
from qarchive.values import Array, Typed

HERE = Path(__file__).parent
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def kept(sequence):
    """(stage, blob) of a sequence."""
    stage = MemoryStage()
    plain = sequences.put_sequence(stage, sequence)
    return stage, decode(encode(plain))


def representation(sequence):
    return json.loads(sequence.to_abstract_repr(skip_validation=True))


# Sequences


@pytest.mark.parametrize("name", [*RUNNABLE, *UNBUILT])
def test_a_sequence_comes_back_with_an_equal_representation(name):
    original = (RUNNABLE | UNBUILT)[name]()
    before = [(call.name, str(call.args), str(call.kwargs)) for call in original._calls]
    stage, plain = kept(original)
    loaded = sequences.load_sequence(stage.get, plain)
    stage_again, again = kept(loaded)
    own = {name: item for name, item in again.items() if name != "text"}
    assert own == {name: item for name, item in plain.items() if name != "text"}
    assert stage_again.blobs == stage.blobs
    assert [(call.name, str(call.args), str(call.kwargs)) for call in original._calls] == before
    assert plain["text"] == str(original)
    if name == "numbered":
        with warnings.catch_warnings(record=True):
            assert representation(loaded) == representation(original)
    elif name not in ("local", "exchange", "built"):  # sets have no order; Pulser cannot write the other
        assert representation(loaded) == representation(original)


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_sequence_comes_back_with_equal_samples(name):
    original = RUNNABLE[name]()
    loaded = sequences.load_sequence(*(lambda stage, plain: (stage.get, plain))(*kept(original)))
    one, other = pulser.sampler.sample(original), pulser.sampler.sample(loaded)
    assert samples.same_samples(one, other)
    assert one.channels == other.channels
    assert loaded.register.qubit_ids == original.register.qubit_ids
    assert list(map(type, loaded.register.qubit_ids)) == list(map(type, original.register.qubit_ids))
    assert loaded.device == original.device
    assert str(loaded) == str(original)
    assert loaded.register == original.register


@pytest.mark.parametrize("name", UNBUILT)
def test_a_sequence_with_variables_is_built_from_the_archive(name):
    original = UNBUILT[name]()
    stage, plain = kept(original)
    loaded = sequences.load_sequence(stage.get, plain)
    values = {"parametrized": {"omega": 1.25, "times": [52, 100], "target": 1},
              "mappable": {"area": 0.25, "qubits": {"q0": 3, "q1": 8}}}[name]  # fmt: skip
    one, other = original.build(**copy.deepcopy(values)), loaded.build(**values)
    assert samples.same_samples(pulser.sampler.sample(one), pulser.sampler.sample(other))
    known = [[(one.name, one.dtype, one.size) for one in each.declared_variables.values()] for each in (loaded, original)]
    assert sorted(known[0]) == sorted(known[1])


def test_a_sweep_shares_its_device_and_its_register():
    stage = MemoryStage()
    plain = [sequences.put_sequence(stage, blockade(omega)) for omega in (1.0, 2.0, 3.0)]
    assert len({(found["device"], found["register"]) for found in plain}) == 1
    assert len({encode(found) for found in plain}) == 3


def test_what_has_no_representation_is_refused():
    sequence = blockade(measured=False)
    wave = InterpolatedWaveform(40, [0.0, 1.0], interpolator="interp1d")
    sequence.add(Pulse.ConstantDetuning(wave, 0.0, 0.0), "rydberg")
    with pytest.raises(sequences.NotRepresentable, match="PchipInterpolator"):
        kept(sequence)


def test_integers_as_ids_come_back_behind_a_mask():
    with warnings.catch_warnings(record=True):
        sequence = Sequence(Register({7: (0.0, 0.0), 10: (0.0, 6.0)}), MockDevice)
    sequence.config_slm_mask([10])
    sequence.declare_channel("rydberg", "rydberg_local", initial_target=10)
    sequence.add(Pulse.ConstantPulse(40, 1.0, 0.0, 0.0), "rydberg")
    stage, plain = kept(sequence)
    loaded = sequences.load_sequence(stage.get, plain)
    assert loaded.register.qubit_ids == (7, 10)
    assert loaded._slm_mask_targets == {10}
    assert samples.same_samples(pulser.sampler.sample(sequence), pulser.sampler.sample(loaded))


def test_nothing_is_said_while_integers_as_ids_are_written(recwarn):
    sequence = numbered()
    recwarn.clear()
    kept(sequence)
    assert list(recwarn) == []


@st.composite
def programs(draw):
    """Registers, pulses and waveforms of any numbers that a device without limits takes."""
    number = st.floats(-20, 20, allow_subnormal=False)
    positive = st.floats(0, 20)
    size = draw(st.integers(1, 3))
    places = [(5.0 * place + draw(st.floats(0, 1)), draw(number)) for place in range(size)]
    names = draw(st.lists(st.text("abcé_1", min_size=1, max_size=4), min_size=size, max_size=size, unique=True))
    sequence = Sequence(Register(dict(zip(names, places, strict=True))), MockDevice)
    channels = draw(st.permutations(["zeta", "eta"]))
    sequence.declare_channel(channels[0], "rydberg_global")
    sequence.declare_channel(channels[1], "raman_local", initial_target=names[0])
    for _ in range(draw(st.integers(1, 4))):
        duration = draw(st.integers(4, 40))
        channel = draw(st.sampled_from(channels))
        amplitude = draw(st.sampled_from(["constant", "blackman", "custom"]))
        detuning = RampWaveform(duration, draw(number), draw(number))
        phase = draw(number)
        if amplitude == "constant":
            pulse = Pulse.ConstantAmplitude(draw(positive), detuning, phase, draw(number))
        elif amplitude == "blackman":
            pulse = Pulse(BlackmanWaveform(duration, draw(positive) / 10), detuning, phase)
        else:
            pulse = Pulse(CustomWaveform(draw(st.lists(positive, min_size=duration, max_size=duration))), detuning, phase)
        sequence.add(pulse, channel, protocol=draw(st.sampled_from(["min-delay", "no-delay", "wait-for-all"])))
        if draw(st.booleans()):
            sequence.target(draw(st.sampled_from(names)), channels[1])
        if draw(st.booleans()):
            sequence.phase_shift(draw(number), names[-1], basis="digital")
        if draw(st.booleans()):
            sequence.delay(draw(st.integers(1, 30)), channel)
    if draw(st.booleans()):
        sequence.measure("digital")
    return sequence


@QUICK
@given(programs())
def test_any_sequence_comes_back_and_is_the_same_bytes_again(sequence):
    stage, plain = kept(sequence)
    loaded = sequences.load_sequence(stage.get, plain)
    assert representation(loaded) == representation(sequence)
    assert kept(loaded)[1] == plain
    one, other = pulser.sampler.sample(sequence), pulser.sampler.sample(loaded)
    for left, right in zip(one.samples_list, other.samples_list, strict=True):
        same(left.amp.as_array(), right.amp.as_array())
        same(left.det.as_array(), right.det.as_array())
        same(left.phase.as_array(), right.phase.as_array())


def test_bytes_of_inputs_and_of_runs_do_not_depend_on_the_order_of_sets():
    code = f"""
import sys, hashlib, warnings
warnings.simplefilter("ignore")
import numpy
sys.path[:0] = [{str(HERE)!r}]
from pulser_programs import RUNNABLE, UNBUILT
from staging import MemoryStage
from qarchive.codec import encode
from qarchive.providers.pulser.sequences import put_sequence
from qarchive.providers.pulser.samples import put_samples
import pulser
found = hashlib.sha256()
for name, make in (RUNNABLE | UNBUILT).items():
    stage, sequence = MemoryStage(), make()
    found.update(encode(put_sequence(stage, sequence)) + b"".join(stage.blobs))
    if name in RUNNABLE:
        found.update(encode(put_samples(stage, pulser.sampler.sample(sequence), sequence.register, sequence.device)))
print(found.hexdigest())

from pulser import NoiseModel
from pulser.backend import default_observables as observables
from pulser_programs import blockade
from pulser_simulation import QutipBackendV2, QutipConfig
from qarchive.providers.registry import named
numpy.random.seed(5)
kinds = (observables.BitStrings, observables.Occupation, observables.Energy, observables.CorrelationMatrix)
config = QutipConfig(observables=[kind() for kind in kinds], noise_model=NoiseModel(temperature=50.0), n_trajectories=2)
stage, native = MemoryStage(), QutipBackendV2(blockade(), config=config)
execution = named("pulser").describe(stage, native, (), {{}})
outcome = named("pulser").outcome(stage, native.run())  # averaged, in the order of a set
print(execution.input, execution.config, execution.backend, outcome.result)
"""
    found = set()
    for seed in ("0", "1"):
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                             env=os.environ | {"PYTHONHASHSEED": seed})  # fmt: skip
        found.add(ran.stdout)
    assert len(found) == 1


# Samples


@pytest.mark.parametrize("name", RUNNABLE)
def test_samples_come_back_exactly(name):
    sequence = RUNNABLE[name]()
    modulated = name == "modulated"
    original = pulser.sampler.sample(sequence, modulation=modulated)
    stage = MemoryStage()
    plain = decode(encode(samples.put_samples(stage, original, sequence.register, sequence.device)))
    loaded, register, device = samples.load_samples(stage.get, plain)
    assert (register, device) == (sequence.register, sequence.device)
    assert samples.put_samples(MemoryStage(), loaded, register, device) == plain
    one, other = original.to_nested_dict(all_local=True), loaded.to_nested_dict(all_local=True)
    same(one, other)
    assert (original._ch_objs, original.used_bases, original._measurement) == (
        loaded._ch_objs, loaded.used_bases, loaded._measurement)  # fmt: skip


def test_samples_of_another_channel_than_the_devices_are_refused():
    original = pulser.sampler.sample(blockade())
    with pytest.raises(NotEncodable, match="the channel 'rydberg', which is none of its device's"):
        samples.put_samples(MemoryStage(), original, blockade().register, built().device)


# Values


def states():
    ket = QutipState.from_state_amplitudes(eigenstates=("r", "g"), amplitudes={"rg": 0.6, "gr": 0.8j})
    bare = QutipState(qutip.rand_ket([2, 2], seed=1), eigenstates=["r", "g"])
    mixed = QutipState(qutip.rand_dm([3, 3], seed=2), eigenstates=("u", "d", "x"))
    return [ket, bare, mixed, QutipState(bare._state.to("CSR"), eigenstates=("r", "g"))]


def operator(kind=QutipOperator):
    full = [(0.5, [({"gr": 1.0, "rg": 1.0j}, [0])]), (2.0, [({"rr": 1.0}, {1})])]
    return kind.from_operator_repr(eigenstates=("r", "g"), n_qudits=2, operations=full)


def matrices():
    return [
        qutip.sigmax(),
        qutip.qeye([2, 3]),
        qutip.Qobj(np.array([[0.1, 2j], [np.nan, -0.0]])),
        qutip.Qobj(np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        qutip.basis(3, 1).dag(),
        qutip.to_super(qutip.sigmay()),
        qutip.to_chi(qutip.to_super(qutip.sigmay())),
        qutip.qzero(3),
        qutip.tensor(qutip.destroy(3), qutip.qeye(2)).to("Dia"),
    ]


@pytest.mark.parametrize("place", range(len(matrices())))
def test_a_quantum_object_comes_back_exactly(place):
    original = matrices()[place]
    loaded = back(original)
    assert (loaded.dims, loaded._dims, loaded.superrep, loaded.type) == (
        original.dims, original._dims, original.superrep, original.type)  # fmt: skip
    assert type(loaded.data) is type(original.data)
    if isinstance(original.data, qutip.core.data.Dense):
        assert loaded.data.fortran == original.data.fortran
        same(loaded.data.to_array(), original.data.to_array())
    else:
        one, other = loaded.data.as_scipy(), original.data.as_scipy()
        for name in ("data", "indices", "indptr", "offsets"):
            same(getattr(one, name, None), getattr(other, name, None))


def test_what_qutip_has_worked_out_is_not_kept():
    one, other = qutip.Qobj(np.eye(2)), qutip.Qobj(np.eye(2))
    assert other.isherm and other.isunitary
    assert encode(to_plain(one)) == encode(to_plain(other))
    assert back(other)._isherm is None


def test_states_and_operators_come_back_exactly():
    for state in states():
        loaded = back(state)
        assert loaded == state
        same(loaded._eigenstates, state._eigenstates)
        same(loaded._amplitudes, state._amplitudes)
        assert loaded.probabilities() == state.probabilities()
        assert loaded.overlap(loaded) == state.overlap(state)
    loaded = back(operator())
    assert loaded == operator()
    assert loaded.expect(states()[0]) == operator().expect(states()[0])
    assert loaded.to_abstract_repr() if hasattr(loaded, "to_abstract_repr") else True
    assert back(operator(OperatorRepr))._to_abstract_repr() == operator(OperatorRepr)._to_abstract_repr()


def test_a_state_without_an_emulator_knows_its_qudits():
    state = StateRepr.from_state_amplitudes(eigenstates=("r", "g"), amplitudes={"rrg": 1.0})
    StateRepr.from_state_amplitudes(eigenstates=("r", "g"), amplitudes={"r": 1.0})  # which changes the number of the class
    loaded = back(state)
    assert loaded.n_qudits == 3
    assert loaded._to_abstract_repr() == state._to_abstract_repr()


def every_observable(state=None, matrix=None):
    """Each of Pulser's, with all that it can be told."""
    shared = [
        {},
        {"evaluation_times": [0.0, 0.1, 1.0], "tag_suffix": "x", "default_aggregation_method": AggregationMethod.SKIP},
    ]
    own = {
        "StateResult": [{}],
        "BitStrings": [{}, {"num_shots": 17, "one_state": "g"}],
        "Fidelity": [{"state": state or states()[0]}],
        "Expectation": [{"operator": matrix or operator()}],
        "CorrelationMatrix": [{}, {"one_state": "r"}],
        "Occupation": [{}, {"one_state": "r"}],
        "Energy": [{}],
        "EnergyVariance": [{}],
        "EnergySecondMoment": [{}],
    }
    return [getattr(observables, name)(**some, **more) for name, each in own.items() for some in shared for more in each]


def test_an_observable_comes_back_as_another_object_of_equal_content():
    for original in every_observable():
        loaded = back(original)
        assert (type(loaded), loaded.tag) == (type(original), original.tag)
        assert loaded.uuid != original.uuid
        mine, other = dict(vars(original)), dict(vars(loaded))
        for attributes in (mine, other):
            del attributes["_uuid"]
            for name in ("state", "operator"):
                attributes.pop(name, None)
        same(mine, other)


def test_equal_observables_are_equal_bytes_though_their_uuids_differ():
    for one, other in zip(every_observable(), every_observable(), strict=True):
        assert encode(to_plain(one)) == encode(to_plain(other))


@pytest.mark.parametrize(
    "value",
    [Solver.MCSOLVER, AggregationMethod.MEANSTD, Counter({"01": 3, "11": 1}), Counter()],
)
def test_small_values_come_back(value):
    same(back(value), value)


def test_an_array_of_pulsers_comes_back():
    same(back(AbstractArray([[1.0, 2.0]])).as_array(), np.array([[1.0, 2.0]]))


@st.composite
def noise_models(draw):
    rate = st.floats(1e-6, 10)
    probability = st.floats(0, 1)
    some = {
        "spam": lambda: {
            "p_false_pos": draw(probability),
            "p_false_neg": draw(probability),
            "state_prep_error": draw(probability),
        },
        "dephasing": lambda: {"dephasing_rate": draw(rate), "hyperfine_dephasing_rate": draw(rate)},
        "relaxation": lambda: {"relaxation_rate": draw(rate)},
        "depolarizing": lambda: {"depolarizing_rate": draw(rate)},
        "amplitude": lambda: {"amp_sigma": draw(st.floats(0.01, 0.5)), "laser_waist": draw(st.floats(1, 500))},
        "temperature": lambda: {"temperature": draw(st.floats(1, 100))},
        "detuning": lambda: {"detuning_sigma": draw(rate)},
        "effective": lambda: {
            "eff_noise_rates": (draw(rate),),
            "eff_noise_opers": (np.array([[draw(st.floats(-1, 1)), 1j], [0.0, 1.0]]),),
        },
        "leakage": lambda: {"with_leakage": True, "eff_noise_rates": [draw(rate)], "eff_noise_opers": [np.eye(3)]},
    }
    names = draw(st.sets(st.sampled_from(sorted(some)), max_size=4))
    if {"leakage", "effective"} <= names:
        names.discard("effective")
    given_values = {}
    for name in sorted(names):
        given_values |= some[name]()
    return given_values


@QUICK
@given(noise_models())
def test_any_noise_model_comes_back_and_equal_ones_are_equal_bytes(values):
    original = NoiseModel(**copy.deepcopy(values))
    loaded = back(original)
    same(vars(loaded), vars(original))
    assert hash(repr(loaded)) == hash(repr(original))
    assert loaded.to_abstract_repr() == original.to_abstract_repr()
    assert encode(to_plain(NoiseModel(**values))) == encode(to_plain(original))


# Configurations


def through(config):
    stage = MemoryStage()
    link = configs.put_config(stage, config, {}, False)
    return stage, link, configs.load_config(stage.get, link)


def test_a_configuration_comes_back_with_every_option():
    original = QutipConfig(
        observables=[*{item.tag: item for item in every_observable()}.values()],
        default_evaluation_times=[0.25, 0.5, 1.0],
        initial_state=states()[0],
        with_modulation=True,
        prefer_device_noise_model=True,
        noise_model=NoiseModel(dephasing_rate=0.5),
        n_trajectories=7,
        sampling_rate=0.5,
        solver="MonteCarlo",
        default_num_shots=13,
        print_progress=True,
        progress_bar=True,
    )
    stage, link, loaded = through(original)
    assert stage.gaps == []
    assert type(loaded) is QutipConfig
    mine, other = dict(original._backend_options), dict(loaded._backend_options)
    assert mine.pop("initial_state") == other.pop("initial_state")
    assert [o.tag for o in mine.pop("observables")] == [o.tag for o in other.pop("observables")]
    same(vars(mine.pop("noise_model")), vars(other.pop("noise_model")))
    same(mine, other)
    assert loaded.with_changes(n_trajectories=3).n_trajectories == 3
    again = MemoryStage()
    assert configs.put_config(again, loaded, {}, False) == link


def test_a_configuration_of_any_emulator_comes_back():
    matrix = np.array([[0.0, 2.5], [2.5, 0.0]])
    original = EmulationConfig(observables=[observables.Energy()], interaction_matrix=matrix, default_evaluation_times="Full",
                               of_somebody_elses=[1, "two"])  # fmt: skip
    _, _, loaded = through(original)
    same(loaded.interaction_matrix.as_array(), original.interaction_matrix.as_array())
    assert (loaded.default_evaluation_times, loaded.of_somebody_elses) == ("Full", [1, "two"])


def test_a_loaded_configuration_has_the_same_uuids_each_time():
    original = QutipConfig(observables=[*{item.tag: item for item in every_observable()}.values()])
    stage, link, loaded = through(original)
    assert [o.uuid for o in loaded.observables] == [o.uuid for o in configs.load_config(stage.get, link).observables]
    assert len({o.uuid for o in loaded.observables}) == 18


class Mine(observables.Energy):
    """An observable of the user's own."""


def test_an_observable_of_the_users_own_is_a_gap_and_the_others_stay():
    original = QutipConfig(observables=[Mine(tag_suffix="own"), observables.Energy()])
    stage, link, loaded = through(original)
    assert stage.gaps == [("config.options.observables.0", f"a {Mine.__module__}.Mine")]
    assert [o.tag for o in loaded.observables] == ["energy"]
    assert stage.get(link)["options"]["observables"][0] == {"class": f"{Mine.__module__}.Mine", "tag": "energy_own"}
    with pytest.raises(BadInput, match="its observables are not all in the archive"):
        configs.check_complete(stage.get, link)


# Results


def stored(*entries, atoms=("q0", "q1")):
    """Results with (observable, time, value) stored."""
    found = Results(atom_order=atoms, total_duration=100)
    for observable, time, value in entries:
        found._store(observable=observable, time=time, value=value)
    return found


def around(result):
    """A result through its bytes, having checked that it has the same bytes again."""
    gaps = []
    plain, volatile = results.pack(result, lambda *found: gaps.append(found))
    loaded = results.unpack(decode(encode(plain)), decode(encode(volatile)))
    again = results.pack(loaded, lambda *found: None)
    assert (encode(again[0]), encode(again[1])) == (encode(plain), encode(volatile))
    return loaded, gaps, plain, volatile


def test_results_come_back_with_their_uuids_tags_and_order():
    energy, drawn, state = observables.Energy(), observables.BitStrings(), observables.StateResult()
    original = stored(
        (state, 0.5, states()[1]), (state, 1.0, states()[1]), (energy, 0.25, np.float64(0.1)), (energy, 1.0, 3 + 4j),
        (drawn, 1.0, Counter({"01": 7, "10": 2})))  # fmt: skip
    loaded, gaps, plain, volatile = around(original)
    assert gaps == []
    assert loaded == original
    assert loaded.get_result_tags() == original.get_result_tags() == ["state", "energy", "bitstrings"]
    assert loaded.get_result(energy, 0.25) == 0.1 and type(loaded.energy[0]) is np.float64
    assert loaded.get_result_times(drawn) == [1.0]
    assert loaded.final_bitstrings == {"01": 7, "10": 2}
    assert loaded.final_state == states()[1]
    assert str(loaded) == str(original)
    assert results.counts(plain, 0) == {"01": 7, "10": 2}
    assert energy.uuid.bytes in volatile["observables"][0]["uuids"] and energy.uuid.bytes not in encode(plain)


def test_equal_results_are_equal_bytes_whatever_their_uuids_and_the_order_of_their_tags():
    def make(order):
        entries = {"energy": (observables.Energy(), 1.0, 0.5), "state": (observables.StateResult(), 1.0, states()[0]),
                   "occupation": (observables.Occupation(), 1.0, [0.5, 0.25])}  # fmt: skip
        return results.pack(stored(*(entries[name] for name in order)), lambda *_: None)[0]

    assert encode(make(["energy", "state", "occupation"])) == encode(make(["occupation", "energy", "state"]))


def test_a_value_that_cannot_be_kept_is_a_gap_and_the_others_stay():
    original = stored((Mine(), 1.0, object()), (observables.Occupation(), 1.0, [1.0, 0.0]))
    loaded, gaps, plain, _ = around_lossy(original)
    assert gaps == [("energy.0", "a builtins.object")]
    assert loaded.get_result_tags() == ["occupation"]
    assert results.data(plain) == [{"occupation": [[1.0, 0.0]], "times": {"occupation": [1.0]}}]


def around_lossy(result):
    gaps = []
    plain, volatile = results.pack(result, lambda *found: gaps.append(found))
    return results.unpack(plain, volatile), gaps, plain, volatile


def test_results_of_another_class_are_refused():
    class Others(Results):
        pass

    with pytest.raises(NotEncodable, match="Others"):
        results.pack(Others(("a",), 1), lambda *_: None)


def test_several_results_come_back_as_a_list():
    parts = [Results.from_final_bitstrings(("a", "b"), 10, {"01": number}) for number in (1, 2)]
    for original in (parts, tuple(parts)):
        loaded, _, plain, _ = around(original)
        assert type(loaded) is type(original) and loaded == original
        assert [results.counts(plain, place) for place in (0, 1)] == [{"01": 1}, {"01": 2}]
    assert loaded[0]._tagmap == {"bitstrings": UUID(int=0)}
    with pytest.raises(BadInput, match="circuit 2: the job has 2"):
        results.counts(plain, 2)


def test_counts_are_those_of_the_end_and_no_others():
    early = stored((observables.BitStrings(), 0.5, Counter({"00": 1})))
    suffixed = stored((observables.BitStrings(tag_suffix="g"), 1.0, Counter({"00": 1})))
    both = stored(*((observables.BitStrings(tag_suffix=name), 1.0, Counter({"00": 1})) for name in "ab"))
    packed = [results.pack(found, lambda *_: None)[0] for found in (early, suffixed, both)]
    assert results.counts(packed[1], 0) == {"00": 1}
    for plain in (packed[0], packed[2]):
        with pytest.raises(BadInput, match="no bit strings were drawn at the end of its sequence"):
            results.counts(plain, 0)


def test_states_of_one_shape_are_one_array():
    many = [QutipState(qutip.rand_ket([2, 2], seed=seed).to("Dense"), eigenstates=("r", "g")) for seed in range(50)]
    observable = observables.StateResult()
    original = stored(*((observable, place / 100, state) for place, state in enumerate(many)))
    loaded, _, plain, _ = around(original)
    assert [type(state._state.data) for state in loaded.state] == [qutip.core.data.Dense] * 50
    for one, other in zip(loaded.state, many, strict=True):
        assert one._state._dims == other._state._dims and one._state.data.fortran == other._state.data.fortran
        same(one._state.full(), other._state.full())
    assert len(encode(plain)) < 50 * 64 + 800
    shown = results.data(plain)[0]["state"]
    assert len(shown) == 50 and shown[49]["eigenstates"] == ["r", "g"]
    same(shown[49]["data"].numpy(), many[49]._state.full())


# What strangers may have written


def test_data_never_names_code():
    stage, plain = kept(blockade())
    hostile = MemoryStage()
    for device in (
        {"type": "pulser.device", "specs": "Chadoq2"},
        {"type": "pulser.device", "specs": "__loader__"},
        {"type": "x"},
    ):
        link = hostile.put("device", device)
        with pytest.raises(BadInput, match="its blob holds no specifications"):
            sequences.load_sequence(
                {link: device, plain["register"]: stage.get(plain["register"])}.get, {**plain, "device": link}
            )
    config = {"type": "pulser.emulation", "class": "os.system", "mimic_qpu": False, "options": {}, "run": {}}
    assert type(configs.load_config(hostile.get, hostile.put("config", config))) is EmulationConfig
    with pytest.raises(ValueError, match="a result of the class 'os.system'"):
        results.unpack({"type": "pulser.result", "value": {"class": "os.system", "attributes": {}}}, {})
    with pytest.raises(NewerFormat):
        from_plain(Typed("pulser.Sequence", {"__module__": "os", "__name__": "system"}))
    source = "".join(path.read_text() for path in Path(sequences.__file__).parent.glob("*.py"))
    assert "PulserDecoder" not in source and "_deserialize(" not in source and "legacy_device" not in source


@pytest.mark.parametrize(
    "value",
    [
        Typed("pulser.NoiseModel", {"__class__": 1}),
        Typed("pulser.NoiseModel", {"a b": 1}),
        Typed("pulser.Energy", [None, None, Typed("pulser.AggregationMethod", 2), {"__class__": 1}]),
        Typed("qutip.Qobj", [[[2], [2]], None, "csr", Array("<c16", (1,), bytes(16)), Array("<i4", (1,), b"\x09\0\0\0"),
                             Array("<i4", (3,), bytes(4) + b"\1\0\0\0" * 2)]),
        Typed("qutip.Qobj", [[[2], [2]], None, "csr", Array("<c16", (1,), bytes(16)), Array("<i4", (1,), bytes(4)),
                             Array("<i4", (3,), bytes(4) + b"\x7f\0\0\0" * 2)]),
        Typed("qutip.Qobj", [[[2], [2]], None, "dia", Array("<c16", (1, 2), bytes(32)), Array("<i4", (1,), b"\x05\0\0\0")]),
        Typed("qutip.Qobj", [[[2], [2]], None, "dense", Array("<c16", (2, 1), bytes(32)), True]),
        Typed("qutip.Qobj", [[[2], [2]], None, "jax", Array("<c16", (2, 2), bytes(64)), True]),
        Typed("qutip.Qobj", [[[2], [1]], None, "dense", Array("<f8", (2, 1), bytes(16)), True]),
    ],
)  # fmt: skip
def test_what_no_writer_writes_is_refused(value):
    with pytest.raises(ValueError):
        from_plain(value)


def test_a_sequence_that_pulsers_schema_does_not_allow_is_refused():
    stage, plain = kept(exchange())
    plain["sequence"]["operations"][0]["op"] = "import"
    with pytest.raises(Exception, match="import"):
        sequences.load_sequence(stage.get, plain)


def test_changed_samples_are_told_from_equal_ones():
    sequence = detuning_map()
    emulator = QutipEmulator.from_sequence(sequence)
    assert samples.same_samples(pulser.sampler.sample(sequence), emulator.samples_obj)
    sequence.add(Pulse.ConstantPulse(20, 1.0, 0.0, 0.0), "rydberg")
    assert not samples.same_samples(pulser.sampler.sample(sequence), emulator.samples_obj)
