"""Values of Perceval through the canonical encoding and back: states, distributions, circuits, experiments, settings."""

import base64
import math
import os
import subprocess
import sys
import zlib
from pathlib import Path

import exqalibur
import numpy as np
import perceval as pcvl
import pytest
import sympy
from exqalibur.serialization import circuit_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from perceval.components import BSLayeredPPNR, FFCircuitProvider, FFConfigurator, Herald, Port, catalog
from perceval.runtime import (
    Command,
    CommandFactory,
    CompilationAveraging,
    Computation,
    ComputationIterator,
    DetectorBalancing,
    DistinguishablePhotonMitigation,
    Imperfections,
    MitigationFactory,
    MitigationLevel,
    PhotonRecycling,
    PlatformSpecs,
    RunningStatus,
)
from perceval.serialization import deserialize, serialize

from qarchive.codec import decode, encode
from qarchive.errors import BadInput, MissingExtra, NewerFormat, NotCanonical, NotEncodable
from qarchive.providers.perceval.describe import describe
from qarchive.providers.perceval.expressions import check_formula
from qarchive.providers.perceval.serialized import check_texts
from qarchive.providers.perceval.values import counts_of, from_plain, probabilities_of, readable, samples_of, to_plain
from qarchive.values import Array, Typed

ROOT = Path(__file__).parent.parent.parent
FS, SV, P, BS = pcvl.FockState, pcvl.StateVector, pcvl.P, pcvl.BS
state = pcvl.BasicState


def back(value, gap=None):
    """`value` after a trip through its canonical bytes, having checked that it has the same bytes again."""
    data = encode(to_plain(value, "", gap))
    found = from_plain(decode(data))
    assert encode(to_plain(found, "", gap)) == data
    assert type(found) is type(value)
    return found


def amplitudes(vector):
    return dict(vector.unnormalized_iterator())


def mixed(value):
    """The vectors of a mixture: Perceval's own equality of mixtures depends on the order in which each was added up."""
    return sorted(
        (sorted((str(key), number.real, number.imag) for key, number in amplitudes(one).items()), p) for one, p in value.items()
    )


def vector(**parts):
    """A state vector of amplitudes by the photons of their states, as Perceval adds them up."""
    found = SV()
    for photons, amplitude in parts.items():
        found += SV(FS(list(map(int, photons.strip("_"))))) * amplitude
    return found


def normalized(value):
    value.normalize()
    return value


def reduced(value):
    """Of Perceval's values without equality, what they are made of."""
    if isinstance(value, pcvl.P):
        parts = sorted(map(repr, value._params)) if value._is_expression else []
        return value.name, value._value, value.bounds, value.is_periodic, value.fixed, parts
    if isinstance(value, pcvl.DensityMatrix):
        return value.mat.toarray().tolist(), value.m, value.n_max, value.precision, value.inverse_index
    if isinstance(value, pcvl.Source):
        return value, value.simplify_distribution
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if type(value).__name__ in ("MitigationFactory", "Computation", "ComputationIterator", "Imperfections") or hasattr(
        value, "_TAG"
    ):
        return {name: reduced(item) for name, item in vars(value).items()}
    if isinstance(value, list):
        return list(map(reduced, value))
    if type(value).__module__.startswith("perceval.components"):
        # Perceval serializes no detector without a name, and what feed-forward chooses from in any order
        return sorted(vars(value).items()) if isinstance(value, pcvl.Detector) else encode(to_plain(value))
    return value


VALUES = {
    "FockState": FS([1, 0, 2]),
    "no modes": FS(),
    "256 photons": FS([256, 0]),
    "NoisyFockState": state("|{0}{3},0,{1}>"),
    "NoisyFockState of no photons": exqalibur.NoisyFockState("|0,0>"),
    "polarization": state("|{P:H},{P:(0.3,0.25)}{P:V},1>"),
    "annotations": state("|{a:1,P:D}2,{b:(1,2)}>"),
    "AnnotatedFockState without annotations": exqalibur.AnnotatedFockState([2, 0]),
    "LogicalState": pcvl.LogicalState("0110"),
    "empty LogicalState": pcvl.LogicalState(),
    "StateVector": vector(_10=0.3 + 0.1j, _01=-0.7, _11=2.5),
    "normalised StateVector": normalized(vector(_10=0.3 + 0.1j, _01=-0.7, _11=2.5)),
    "StateVector of kinds": SV(state("|{P:H},0>")) + SV(state("|{1},0>")) * 2j + SV(FS([1, 0])) * 0.1,
    "small amplitude": SV(FS([1, 0])) * (1e-9 + 1e-300j),
    "amplitude of zero": SV(FS([1, 0])) * 0,
    "empty StateVector": SV(),
    "SVDistribution": pcvl.SVDistribution({vector(_10=3, _01=4): 0.25, vector(_10=3, _01=-4): -0.0, SV(FS([2, 0])): 1e-300}),
    "mixture of a source": pcvl.Source(0.9, 0.02, 0.9, 0.1).generate_distribution(FS([1, 0, 1])),
    "empty SVDistribution": pcvl.SVDistribution(),
    "BSDistribution": pcvl.BSDistribution({FS([1, 0]): 0.3, FS([0, 1]): -0.1, FS([2, 11]): 1.5}),
    "normalised BSDistribution": normalized(pcvl.BSDistribution({FS([1, 0]): 0.3, FS([0, 1]): 0.1, FS([2, 0]): 0.7})),
    "one state": pcvl.BSDistribution(FS([1, 0])),
    "empty BSDistribution": pcvl.BSDistribution(),
    "times nothing": pcvl.BSDistribution({FS([1, 0]): 0.5}) * 0,
    "BSCount": pcvl.BSCount({FS([1, 0]): 3, FS([0, 1]): 0, FS([0, 256]): 2**64 - 1}),
    "BSCount of two sizes": pcvl.BSCount({FS([1, 0]): 3, FS([1]): 1, FS(): 4}),
    "empty BSCount": pcvl.BSCount(),
    "BSSamples": pcvl.BSSamples([FS([0, 1]), FS([1, 0]), FS([0, 1])] * 40),
    "BSSamples of two sizes": pcvl.BSSamples([FS([0, 1]), FS([1])]),
    "empty BSSamples": pcvl.BSSamples(),
    "DensityMatrix": pcvl.DensityMatrix.from_svd(normalized(vector(_10=3, _01=4j))),
    "MatrixN": pcvl.Matrix([[0.1, -0.0], [1 / 3, 5e-324]]),
    "complex MatrixN": pcvl.Matrix.random_unitary(3),
    "MatrixS": BS(theta=P("t"), phi_tl=P("p"), phi_br=0.123456789012345678).compute_unitary(use_symbolic=True),
    "MatrixS of constants": pcvl.Matrix([["pi/3", "sqrt(2)*I"], ["x**2", "exp(-I*y) + 0.1"]], use_symbolic=True),
    "NoiseModel": pcvl.NoiseModel(0.1, 0.2, 0.3, False, 0.4, 0.5, 0.6),
    "no noise": pcvl.NoiseModel(),
    "PostSelect": pcvl.PostSelect("[0]==1 & ([1,2]>0 | [3]<2)"),
    "empty PostSelect": pcvl.PostSelect(),
    "Parameter": P("phi", min_v=0, max_v=3, periodic=False),
    "fixed Parameter": P("phi", 0.3),
    "Expression": P("a") ** 2 + P("b") / 3 - 0.25,
    "Source": pcvl.Source(0.9, 0.02, 0.8, 0.1, "indistinguishable"),
    "Command": CommandFactory.samples,
    "Command of any type": Command("c", [("x", None, True), ("y", dict, False)], False),
    "CompilationAveraging": CompilationAveraging(3, 5),
    "DetectorBalancing": DetectorBalancing(),
    "DistinguishablePhotonMitigation": DistinguishablePhotonMitigation({2: 1, 3: 2}),
    "PhotonRecycling": PhotonRecycling(),
    "MitigationFactory": MitigationFactory(MitigationLevel.high),
    "Imperfections": Imperfections(pcvl.NoiseModel(0.5), [pcvl.Detector.threshold(), None]),
    "Encoding": pcvl.Encoding.QUDIT3,
    "RunningStatus": RunningStatus.CANCEL_REQUESTED,
    "MitigationLevel": MitigationLevel.medium,
    "results": {"results": pcvl.BSCount({FS([1]): 2}), "global_perf": np.float64(0.1),
                "x": [1, (2.5, None), {"y": np.arange(3)}]},
    "keys": {FS([1, 0]): 1, pcvl.Encoding.RAW: 2, 3: 4},
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_every_value_comes_back(name):
    value = VALUES[name]
    found = back(value)
    if isinstance(value, dict):
        assert sorted(map(str, found.items())) == sorted(map(str, value.items()))
    elif isinstance(value, pcvl.SVDistribution):
        assert mixed(found) == mixed(value)
    elif isinstance(value, pcvl.Source):
        assert found.generate_distribution(FS([1, 1])) == value.generate_distribution(FS([1, 1]))
    else:
        assert reduced(found) == reduced(value)


def test_the_scalar_of_a_performance_keeps_its_type():
    found = back(VALUES["results"])
    assert (type(found["global_perf"]), found["global_perf"], found["results"]) == (np.float64, 0.1, VALUES["results"]["results"])


# Distributions


def rows(modes, photons=3):
    return st.lists(st.integers(0, photons), min_size=modes, max_size=modes).map(tuple)


STATES = st.integers(1, 4).flatmap(lambda modes: st.lists(rows(modes), unique=True, max_size=6))
NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=True)


@settings(deadline=None)
@given(STATES, st.data())
def test_distributions_come_back_bit_for_bit_in_any_order(states, data):
    numbers = data.draw(st.lists(NUMBERS, min_size=len(states), max_size=len(states)))
    pairs = list(zip(states, numbers))
    one, other = pcvl.BSDistribution(), pcvl.BSDistribution()
    for row, number in pairs:
        one[FS(row)] = number
    for row, number in data.draw(st.permutations(pairs)):
        other[FS(row)] = number
    assert encode(to_plain(one)) == encode(to_plain(other))
    found = back(one)
    assert found == one
    assert {key: number.hex() for key, number in found.items()} == {key: (number + 0.0).hex() for key, number in one.items()}


@settings(deadline=None)
@given(STATES.filter(bool), st.data())
def test_normalised_distributions_come_back_bit_for_bit(states, data):
    numbers = data.draw(st.lists(st.floats(1e-12, 1), min_size=len(states), max_size=len(states)))
    value = normalized(pcvl.BSDistribution({FS(row): number for row, number in zip(states, numbers)}))
    found = from_plain(decode(encode(to_plain(value))))
    assert dict(found.items()) == dict(value.items())
    assert found == value or not found._normalized  # the last resort: the numbers are kept


def test_probabilities_of_a_simulation_come_back_equal():
    processor = pcvl.Processor("SLOS", pcvl.Unitary(pcvl.Matrix.random_unitary(6)))
    processor.with_input(FS([1, 1, 1, 0, 0, 0]))
    processor.min_detected_photons_filter(0)
    results = processor.probs()
    found = back(results)
    assert dict(found["results"].items()) == dict(results["results"].items())
    assert probabilities_of(to_plain(results)["results"]) == {str(key): number for key, number in results["results"].items()}


@settings(deadline=None)
@given(STATES, st.data())
def test_counts_and_samples_come_back_and_counts_in_any_order(states, data):
    numbers = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(states), max_size=len(states)))
    pairs = [(FS(row), number) for row, number in zip(states, numbers)]
    value = pcvl.BSCount(dict(pairs))
    assert encode(to_plain(value)) == encode(to_plain(pcvl.BSCount(dict(data.draw(st.permutations(pairs))))))
    assert back(value) == value
    assert counts_of(to_plain(value)) == {str(key): number for key, number in pairs}
    drawn = data.draw(st.lists(st.sampled_from(pairs), max_size=50)) if pairs else []
    samples = pcvl.BSSamples([key for key, _ in drawn])
    assert back(samples) == samples
    texts = [str(key) for key, _ in drawn]
    assert samples_of(to_plain(samples)) == texts
    assert counts_of(to_plain(samples)) == {text: texts.count(text) for text in texts}


def test_many_samples_are_a_table_and_an_index():
    chosen = [FS([place % 3, place % 5, place % 7]) for place in range(1000)]
    samples = pcvl.BSSamples(chosen * 100)
    plain = to_plain(samples).value
    assert [(column.dtype, column.shape) for column in plain] == [("|u1", (105, 3)), ("|u1", (100_000,))]
    assert from_plain(Typed("perceval.BSSamples", plain)) == samples


COMPLEX = st.complex_numbers(max_magnitude=1e3, allow_nan=False, allow_subnormal=False).filter(
    lambda number: all(part == 0 or abs(part) > 1e-60 for part in (number.real, number.imag))
)


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(lambda modes: st.dictionaries(rows(modes), COMPLEX, min_size=1, max_size=5)), st.data())
def test_state_vectors_come_back_bit_for_bit_in_any_order(wanted, data):
    def build(pairs):
        found = SV()
        for row, amplitude in pairs:
            found += SV(FS(row)) * amplitude
        return found

    pairs = [(row, amplitude) for row, amplitude in wanted.items() if abs(amplitude) > 1e-3]
    one, other = build(pairs), build(data.draw(st.permutations(pairs)))
    assert encode(to_plain(one)) == encode(to_plain(other))
    before = amplitudes(one)
    found = back(one)
    assert amplitudes(found) == before == amplitudes(one)
    mixture = pcvl.SVDistribution({one: 0.3}) if pairs else pcvl.SVDistribution()
    assert mixed(back(mixture)) == mixed(mixture)


def test_small_amplitudes_beside_large_ones_come_back():
    """Perceval's own sum drops amplitudes below 1e-6, but multiplication can bring them below."""
    value = vector(_10=1e-3 + 1e-5j, _01=1.0) * 1e-7
    assert amplitudes(back(value)) == amplitudes(value)
    assert min(map(abs, amplitudes(value).values())) < 1e-9


def test_a_normalised_vector_does_not_change_when_it_is_looked_at():
    changed = 0
    for place in range(1, 60):
        value = normalized(vector(_10=place / 7, _01=1j / place, _11=0.3))
        found = back(value)
        list(found)  # which normalises
        changed += amplitudes(found) != amplitudes(value)
    assert changed <= 3


def test_to_store_a_vector_changes_nothing_of_it():
    value = vector(_10=3, _01=4)
    mixture = pcvl.SVDistribution({value: 1.0})
    experiment = pcvl.Experiment(2)
    experiment.with_input(mixture)
    to_plain([value, mixture, experiment])
    assert amplitudes(value) == {FS([1, 0]): 3, FS([0, 1]): 4}
    assert amplitudes(next(iter(mixture.keys()))) == amplitudes(value)
    assert mixed(back(experiment).input_state) == mixed(mixture)


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={
    **dict.fromkeys(["brightness", "indistinguishability", "g2", "transmittance", "phase_error"],
                    st.floats(0, 1) | st.integers(0, 1)),
    "phase_imprecision": st.floats(0, 1e9), "g2_distinguishable": st.booleans(),
}))  # fmt: skip
def test_noise_comes_back(fields):
    value = pcvl.NoiseModel(**fields)
    assert back(value) == value
    assert encode(to_plain(value)) == encode(to_plain(pcvl.NoiseModel(**{name: getattr(value, name) for name in fields})))
    assert readable(to_plain(value)) == {
        name: number for name, number in fields.items() if number != getattr(pcvl.NoiseModel(), name)
    }


# Circuits and experiments


def feed_forward():
    experiment = pcvl.Experiment(4)
    experiment.add(0, BS()).add(0, pcvl.Detector.pnr()).add(1, pcvl.Detector.threshold())
    provider = FFCircuitProvider(2, 0, pcvl.Circuit(2))
    provider.add_configuration([1, 0], pcvl.Circuit(2) // pcvl.PERM([1, 0])).add_configuration(
        [0, 1], pcvl.Circuit(2) // BS.H(P("t"))
    )
    experiment.add(0, provider)
    experiment.min_detected_photons_filter(1)
    experiment.with_input(FS([1, 0, 1, 0]))
    return experiment


def configured():
    experiment = pcvl.Experiment(3)
    experiment.add(0, pcvl.Detector.threshold())
    switch = FFConfigurator(1, 0, pcvl.Circuit(2) // pcvl.PS(P("phi")) // BS(), {"phi": 0.1})
    for count in (3, 1, 2):
        switch.add_configuration([count], {"phi": count / 7})
    experiment.add(0, switch)
    return experiment


def whole():
    experiment = catalog["heralded cnot"].build_experiment()
    experiment.with_input(pcvl.LogicalState("01"))
    experiment.min_detected_photons_filter(0)
    experiment.noise = pcvl.NoiseModel(g2=0.1)
    experiment.set_postselection("[0,1]==1 & [2,3]==1")
    experiment.add(0, pcvl.Detector.ppnr(4, 2, 0.75))
    return experiment


def polarized():
    experiment = pcvl.Experiment(
        pcvl.Circuit(2) // pcvl.PBS() // (0, pcvl.HWP(0.3)) // (1, pcvl.QWP(P("x"))) // pcvl.PR(0.1) // pcvl.WP(0.1, 0.2)
    )
    experiment.with_input(state("|{P:H},{P:V}>"))
    return experiment


def delayed():
    experiment = pcvl.Experiment(2)
    return experiment.add(0, BS()).add(0, pcvl.TD(2)).add(1, pcvl.LC(0.1)).add(0, BS())


def expressed():
    one, other = P("a", min_v=0.5, max_v=2), P("b")
    return pcvl.Circuit(2, name="f") // BS(theta=one + 2 * other, phi_tr=one) // pcvl.PS(P("c"), max_error=0.1) // pcvl.Barrier(2)


def named():
    circuit = pcvl.Circuit(3) // pcvl.Unitary(pcvl.Matrix.random_unitary(3), name="mine")
    circuit.add(0, pcvl.Circuit(2, name="inner") // pcvl.PS(0.1), merge=False)
    circuit._components[-1][1]._components[0][1].name = "first"
    return circuit


INTERFEROMETERS = {
    "rectangle": pcvl.GenericInterferometer(4, catalog["mzi phase last"].generate),
    "triangle": pcvl.GenericInterferometer(
        4, lambda i: BS(P(f"t{i}")) // pcvl.PS(P(f"p{i}")), shape=pcvl.InterferometerShape.TRIANGLE
    ),
}
BUILT = {
    **{f"catalog {name}": catalog[name].build_experiment(**({"n": 2, "alpha": 1.0} if "controlled" in name else {}))
       for name in catalog.list() if name != "qloq ansatz"},
    "catalog qloq ansatz": catalog["qloq ansatz"].build_experiment(
        group_sizes=[pcvl.Encoding.DUAL_RAIL, pcvl.Encoding.QUDIT2], layers=["X"]),
    "feed-forward": feed_forward(),
    "configurator": configured(),
    "whole": whole(),
    "polarized": polarized(),
    "delayed": delayed(),
    "empty Experiment": pcvl.Experiment(),
    "empty Circuit": pcvl.Circuit(2),
    "expressed": expressed(),
    "named": named(),
    **{f"component {component.describe()[:20]}": component for component in (
        BS(), BS.H(P("t"), phi_tl=0.1), BS.Ry(0.25), pcvl.PS(0.3), pcvl.PS(P("x"), 0.1), pcvl.PERM([2, 0, 1]), pcvl.TD(1),
        pcvl.LC(0.25), pcvl.WP(0.1, 0.2), pcvl.HWP(P("x")), pcvl.QWP(0.1), pcvl.PR(0.2), pcvl.PBS(), pcvl.Barrier(2, False),
        pcvl.Unitary(pcvl.Matrix.random_unitary(3)))},
    "FFConfigurator": FFConfigurator(1, -1, pcvl.Circuit(1) // pcvl.PS(P("x")), {"x": 1.0}),
    "Detector": pcvl.Detector(3, 2, 0.5),
    "threshold": pcvl.Detector.threshold(),
    "BSLayeredPPNR": BSLayeredPPNR(3, 0.25),
    "Herald": Herald(1, "h"),
    "numbered Herald": Herald(0, 3),
    "Port": Port(pcvl.Encoding.DUAL_RAIL, "q"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_comes_back(name):
    value = BUILT[name]
    found = back(value)
    assert describe(found) == describe(value)
    assert reduced(found) == reduced(value)
    assert encode(to_plain(value)) == encode(to_plain(value.copy() if hasattr(value, "copy") else value))


def test_every_item_of_the_catalog_is_tried():
    assert {f"catalog {name}" for name in catalog.list()} <= BUILT.keys()


@pytest.mark.parametrize("name", INTERFEROMETERS)
def test_an_interferometer_comes_back_as_the_circuit_that_it_is(name):
    value = INTERFEROMETERS[name]
    found = from_plain(decode(encode(to_plain(value))))
    assert type(found) is pcvl.Circuit
    assert serialize(found, compress=False) == serialize(value, compress=False)
    assert [repr(parameter) for parameter in found.get_parameters()] == [repr(parameter) for parameter in value.get_parameters()]


def test_a_stored_circuit_is_what_perceval_serializes():
    plain = readable(to_plain(BUILT["expressed"]))
    assert plain["class"] == "Circuit"
    assert serialize(deserialize(plain["serialized"]), compress=False) == serialize(BUILT["expressed"], compress=False)
    assert plain["parameters"]["a"] == {"value": None, "min": 0.5, "max": 2.0, "periodic": True}


def test_what_perceval_loses_comes_back():
    circuit = expressed()
    circuit.get_parameters()[0].set_value(0.75)
    circuit.get_parameters()[1].set_value(2)
    again = deserialize(serialize(circuit))
    assert [type(parameter).__name__ for parameter in again.get_parameters(expressions=True)][0] == "Parameter"  # a number now
    found = back(circuit)
    assert [repr(item) for item in found.get_parameters(expressions=True)][:1] != []
    assert [repr(item) for item in found.get_parameters()] == [repr(item) for item in circuit.get_parameters()]
    assert repr(circuit.get_parameters()[0]) == "Parameter(name='a', value=0.75, min_v=0.5, max_v=2.0)"
    for made in (found, circuit):
        made.get_parameters()[0].set_value(1.0)
        made.get_parameters()[2].set_value(0.5)
    assert np.array_equal(found.compute_unitary(), circuit.compute_unitary())
    assert back(named())._components[0][1].name == "mine"
    assert back(named())._components[1][1]._components[0][1].name == "first"
    assert (back(whole()).min_photons_filter, back(pcvl.Experiment(2)).min_photons_filter) == (0, None)


def test_numbers_that_perceval_writes_with_32_bits_come_back():
    switch = configured()._components[-1][1]
    found = back(configured())._components[-1][1]
    assert deserialize(serialize(configured()))._components[-1][1]._default_config == {"phi": 0.10000000149011612}
    assert (found._default_config, found._configs) == (switch._default_config, switch._configs)
    for count in (0, 1, 2, 3):
        assert np.array_equal(found.configure(FS([count])).compute_unitary(), switch.configure(FS([count])).compute_unitary())
    assert back(feed_forward()).detectors_injected == [0, 1]


def test_a_component_that_is_chosen_comes_back_in_a_circuit():
    provider = FFCircuitProvider(1, 0, pcvl.Circuit(2))
    provider.add_configuration([1], pcvl.Unitary(pcvl.Matrix.eye(2), name="same"))
    found = back(provider)
    chosen = found.configure(FS([1]))
    assert (type(chosen), chosen._components[0][1].name) == (pcvl.Circuit, "same")


def test_computations_come_back():
    computation = Computation(CommandFactory.sample_count, whole())
    computation.add_params(max_samples=100)
    computation.job_group_name = "g"
    found = back(computation)
    assert (found.command, found.parameters, found.job_name, found.job_group_name) == (
        computation.command, {"max_samples": 100}, "sample_count", "g")  # fmt: skip
    assert describe(found.experiment) == describe(computation.experiment)
    experiment = pcvl.Experiment(pcvl.Circuit(2) // BS(P("t")))
    iterator = ComputationIterator(Computation(CommandFactory.probs, experiment))
    iterator.add_iteration(circuit_params={"t": 0.5}, input_state=FS([1, 0]), postselect=pcvl.PostSelect("[0]==1"))
    iterator.add_iteration(max_shots=10)
    found = back(iterator)
    assert found.iterations == iterator.iterations
    assert [describe(item.experiment) for item in found] == [describe(item.experiment) for item in iterator]


def test_platform_specs_come_back():
    specs = PlatformSpecs(
        {"constraints": {"max_mode_count": 20}, "available_commands": [CommandFactory.probs], "description": "d"}
    )
    specs["architecture"] = whole()
    found = back(specs)
    assert found.constraints == {"max_mode_count": 20}
    assert dict(found.items())["available_commands"] == [CommandFactory.probs]
    assert describe(dict(found.items())["architecture"]) == describe(whole())


# Gaps


class Mine(pcvl.Circuit):
    pass


class Counted(pcvl.NoiseModel):
    pass


def told(value):
    gaps = []
    plain = to_plain(value, "p", lambda *gap: gaps.append(gap))
    encode(plain)
    return plain, gaps


def test_an_entry_that_cannot_be_stored_is_a_gap():
    plain, gaps = told({"a": {"b": object(), "c": 1}, "d": [1, object()], "e": Counted(), "f": Mine(2)})
    assert plain == {"a": {"c": 1}}
    assert gaps == [
        ("p.a.b", "a builtins.object"),
        ("p.d.1", "a builtins.object"),
        ("p.e", f"a {__name__}.Counted"),
        ("p.f", f"a {__name__}.Mine"),
    ]
    with pytest.raises(NotEncodable) as error:
        to_plain({"a": [object()]})
    assert str(error.value) == "cannot be stored at a.0: a builtins.object"
    loop = []
    loop.append(loop)
    with pytest.raises(NotEncodable) as error:
        to_plain({"a": loop}, "p")
    assert str(error.value) == "cannot be stored at p: nested too deep, or inside itself"


def test_what_perceval_drops_of_an_object_that_is_kept_is_a_gap():
    experiment = pcvl.Experiment(2)
    experiment.note = "mine"
    experiment.add(0, pcvl.PS(P("alpha", 0.5)))
    plain, gaps = told({"e": experiment})
    assert from_plain(plain["e"]).m == 2
    assert gaps == [
        ("p.e.attributes.note", "an attribute that Perceval does not serialize"),
        ("p.e.parameters.alpha", "the name of a parameter that is fixed"),
    ]
    inside = pcvl.Circuit(2).add(0, Mine(2) // BS(), merge=False)
    fixed = pcvl.Circuit(1) // pcvl.PS(P("a", 0.5) * 2)
    unitary = pcvl.Circuit(1) // pcvl.Unitary(pcvl.Matrix.random_unitary(2), use_polarization=True)
    plain, gaps = told({"i": inside, "f": fixed, "u": unitary})
    assert plain.keys() == {"i", "f", "u"}
    assert gaps == [
        ("p.i.components.0", f"a {__name__}.Mine, which Perceval takes for one of its own"),
        ("p.f.parameters.(2*a)", "a formula of parameters that are fixed, which Perceval writes as a number"),
        ("p.u.components.0", "a Unitary with polarization, which Perceval does not read back"),
    ]
    with pytest.raises(BadInput) as error:
        from_plain(plain["u"])
    assert str(error.value) == (
        "a stored Circuit: Perceval does not read it: Port range exceeds circuit size "
        "(received (0, 1) but maximum expected value is 0)"
    )


def test_what_is_no_result_is_refused_by_name():
    for function, message in (
        (counts_of, "this result: a perceval.NoiseModel and no counts or samples"),
        (probabilities_of, "this result: a perceval.NoiseModel and no distribution"),
        (samples_of, "this result: a perceval.NoiseModel and no samples"),
    ):
        with pytest.raises(BadInput) as error:
            function(Typed("perceval.NoiseModel", {}))
        assert str(error.value) == message


# What strangers send

EVIL = "__import__('os').system('touch hacked')"


def circuit_with(text):
    message = circuit_pb2.Circuit(n_mode=1)
    part = message.components.add(starting_mode=0, n_mode=1)
    part.phase_shifter.phi.expression = part.phase_shifter.phi.name = text
    part.phase_shifter.phi.expr_parameters.add().symbol = "a"
    return message


def serialized(kind, message):
    return Typed("perceval.serialized", {"class": kind, "bytes": message.SerializeToString(deterministic=True)})


def nested(message):
    experiment = circuit_pb2.Experiment(n_mode=3)
    part = experiment.components.add(starting_mode=0, n_mode=1)
    part.ff_circuit_provider.circuit.n_mode = 1
    part.ff_circuit_provider.config_circ["|1>"].circuit.CopyFrom(message)
    return experiment


def refusal(plain):
    with pytest.raises((BadInput, NotCanonical)) as error:
        from_plain(plain)
    return str(error.value)


def test_no_stored_text_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    symbols = circuit_pb2.MatrixSymbolic(data=[circuit_pb2.Parameter(expression=EVIL)])
    matrix = circuit_pb2.Matrix(rows=1, cols=1, symbolic=symbols)
    deserialize(":PCVL:Matrix:" + base64.b64encode(matrix.SerializeToString()).decode())
    assert os.path.exists("hacked")  # Perceval does: if it has stopped to, our guard can be looked at again
    os.remove("hacked")
    reason = "not arithmetic, and Perceval would evaluate it as Python"
    refused = f"the stored formula {EVIL!r}: {reason}"
    assert refusal(serialized("Circuit", circuit_with(EVIL))) == refused
    assert refusal(serialized("Experiment", nested(circuit_with(EVIL)))) == refused
    assert refusal(Typed("perceval.Expression", [EVIL, []])) == refused
    for field in ("input_state", "noise_model", "post_select"):
        experiment = circuit_pb2.Experiment(n_mode=1)
        text = serialize(pcvl.Circuit(1))
        setattr(experiment, field, text)
        assert refusal(serialized("Experiment", experiment)).startswith(f"a stored Experiment: {text[:40]!r} where :PCVL:")
    assert refusal(serialized("Processor", circuit_with("a"))) == (
        "a stored object of class 'Processor': it is not one of Perceval's that are serialized"
    )
    assert refusal(
        Typed("perceval.Parameter", dict.fromkeys(("value", "min", "max", "periodic", "fixed")) | {"name": "x:9999999"})
    ) == ("the stored formula 'x:9999999': not the name of one parameter, and Perceval would evaluate it as Python")
    assert refusal(Typed("perceval.PostSelect", "(" * 100_000)) == "a stored post-selection: nested more than 64 deep"
    assert refusal(Typed("perceval.PostSelect", EVIL)).startswith(
        "a stored post-selection: Couldn't parse post selection expression"
    )
    assert refusal(Typed("perceval.enum", ("Popen", "x"))) == "a stored 'Popen': it is not one of Perceval's enums"
    assert (
        refusal(Typed("perceval.mitigation", {"class": "Popen"}))
        == "a stored mitigation of class 'Popen': it is not one of Perceval's"
    )
    assert (
        refusal(Typed("perceval.SymbolicMatrix", [[["system", "touch hacked"]]]))
        == "not canonical msgpack: a formula with 'system'"
    )
    assert refusal(Typed("perceval.FockState", "nothing")).startswith("not canonical msgpack: a state 'nothing': ")
    assert os.listdir() == []
    with pytest.raises(NewerFormat):
        from_plain(Typed("perceval.Later", 1))


def test_texts_of_perceval_are_looked_at_before_it_reads_them():
    check_texts(
        [serialize(value) for value in (*BUILT.values(), pcvl.BSCount(), pcvl.PostSelect()) if value is not BUILT["Detector"]]
    )
    raw = base64.b64encode(circuit_with(EVIL).SerializeToString()).decode()
    zipped = base64.b64encode(zlib.compress(f":PCVL:ACircuit:{raw}".encode())).decode()
    for value in (f":PCVL:ACircuit:{raw}", {"a": [f":PCVL:zip:{zipped}"]}, {f":PCVL:ACircuit:{raw}": 1}):
        with pytest.raises(BadInput) as error:
            check_texts(value)
        assert str(error.value) == f"the stored formula {EVIL!r}: not arithmetic, and Perceval would evaluate it as Python"
    for value, reason in (
        ("pcvlar 0 1 0 ", "an archive, whose formulas cannot be looked at"),
        ({"header": "pcvlar"}, "an archive, whose formulas cannot be looked at"),
        (":PCVL:zip:AAAA", "it is damaged: error"),
        (":PCVL:Matrix:/w==", "it is damaged: DecodeError"),
    ):
        with pytest.raises(BadInput) as error:
            check_texts(value)
        assert str(error.value) == f"a text of Perceval's: {reason}"


FORMULAS = [
    "a",
    "2*a + b/3",
    "-(a + 1.5e-3)**2",
    "a^2",
    "sin(a)*exp(-I*pi*b)",
    "sqrt(a)",
    "Max(a, b, 1)",
    "a**(b/2)",
    "(a + b)**1000",
]
HOSTILE = ["a.b", "a[0]", "f(a)", "open('x')", "lambda: 1", "a if b else c", "'text'", "a == b", "[a]", "a and b", "sin(x=1)",
           "sin(*a)", "", "a;b", "a\nb", "`a`", "9**9**9", "(9**99)**99", "2**(10**9)", "2**(a - a + 99999)", "a" * 20_001,
           "(" * 5000, "-" * 5000 + "a", "a := 1", "f'{a}'", "1j", "b''", "None", "a@b", "a//b", "~a", "a<<b",
           "a # b", "(a #\n)", "a\\\n", "__import__(a)", "a.__class__", "(open)(a)"]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_let_through(text):
    check_formula(text)
    assert isinstance(sympy.sympify(text), sympy.Expr)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_other_texts_are_not(text):
    with pytest.raises(BadInput) as error:
        check_formula(text)
    assert str(error.value).endswith(", and Perceval would evaluate it as Python")


@settings(deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda text: circuit_with(text).SerializeToString()))
def test_any_bytes_are_refused_or_read(raw):
    try:
        from_plain(Typed("perceval.serialized", {"class": "Circuit", "bytes": raw}))
    except BadInput:
        pass


def test_columns_that_do_not_fit_are_refused():
    states = ["|0,1>", "|1,0>"]
    for plain, message in (
        (Typed("perceval.BSCount", [states, [1]]), "states without a number for each"),
        (Typed("perceval.BSSamples", [states, [0, 2]]), "samples with the index 2 into 2 states"),
        (Typed("perceval.BSCount", [Array("<f8", (1, 1), bytes(8)), [1]]),
         "states that are neither rows of photon numbers nor a list of states"),
        (Typed("perceval.SVDistribution", [states, [1], [2], [1j], [0.5]]), "a mixture with the index 2 into 2 states"),
        (Typed("perceval.SVDistribution", [states, [2], [1], [1j], [0.5]]), "a mixture of states whose columns do not fit"),
    ):  # fmt: skip
        for function in (from_plain, readable):
            with pytest.raises(NotCanonical) as error:
                function(plain)
            assert str(error.value) == f"not canonical msgpack: {message}"


def test_a_density_matrix_of_another_size_is_refused():
    _, _, precision, *rows = to_plain(VALUES["DensityMatrix"]).value
    with pytest.raises(NotCanonical) as error:
        from_plain(Typed("perceval.DensityMatrix", [200, 200, precision, *rows]))
    assert str(error.value) == "not canonical msgpack: a density matrix of another size than 200 photons in 200 modes have"


# In words


def test_an_experiment_in_words():
    assert describe(whole()) == WORDS
    assert describe(feed_forward()).splitlines()[0] == "Experiment, 4 modes"
    assert "    |1,0>" in describe(feed_forward()).splitlines()
    assert describe(BS.H(P("t"))) == "BS.H(theta=t)"
    assert describe(object()) == "a object"


WORDS = """\
Experiment, 6 modes
  input |1,0,0,1,1,1>
  input modes 0, 1: port 'ctrl' DUAL_RAIL
  input modes 2, 3: port 'data' DUAL_RAIL
  input mode 4: herald 1
  input mode 5: herald 1
  output modes 0, 1: port 'ctrl' DUAL_RAIL
  output modes 2, 3: port 'data' DUAL_RAIL
  output mode 4: herald 1
  output mode 5: herald 1
  modes 0-5: Circuit 'Heralded CNOT'
    modes 2, 3: BS.H(theta=1.5707963267948966)
    modes 1, 2: PERM([1, 0])
    modes 3, 4: PERM([1, 0])
    modes 2-5: Barrier()
    mode 2: PS(phi=3.141592653589793)
    mode 5: PS(phi=3.141592653589793)
    modes 2-5: Barrier()
    modes 2, 3: BS.H(theta=1.9106332362490186)
    modes 4, 5: BS.H(theta=1.9106332362490186)
    modes 2-5: Barrier()
    modes 3, 4: PERM([1, 0])
    modes 2, 3: BS.H(theta=10.655737378110153)
    modes 4, 5: BS.H(theta=0.615479708670387)
    modes 1, 2: PERM([1, 0])
    modes 2, 3: BS.H(theta=1.5707963267948966)
  detector on mode 0: Detector(wires 4, at most 2, efficiency 0.75) 'PPNR'
  at least 0 detected photons
  post-selected: ([0, 1] == 1 & [2, 3] == 1)
  noise {'g2': 0.1}"""


def test_words_about_a_giant_are_few():
    giant = pcvl.GenericInterferometer(30, catalog["mzi phase last"].generate)
    text = describe(giant)
    assert len(text.splitlines()) == 201
    assert text.endswith("\n... and more")
    deep = pcvl.Circuit(1)
    for _ in range(500):
        deep = pcvl.Circuit(1).add(0, deep, merge=False)
    assert len(describe(deep).splitlines()) < 30
    broken = pcvl.Experiment(1)
    broken._components = [((0,), 7)]
    assert describe(broken) == "Experiment, 1 modes\n  mode 0: int()"


@pytest.mark.parametrize("name", BUILT)
def test_everything_that_is_built_has_words(name):
    text = describe(BUILT[name])
    assert text
    assert "not described further" not in text


# In other processes and without Perceval

SCRIPT = """
import hashlib, sys
sys.path[:0] = [{tests!r}, {root!r}]
import test_perceval_values as t
from qarchive.codec import encode
from qarchive.providers.perceval.values import to_plain
for name, value in sorted({{**t.VALUES, **t.BUILT}}.items()):
    if "Unitary" not in name and name not in ("complex MatrixN", "named"):
        print(name, hashlib.sha256(encode(to_plain(value)) + t.describe(value).encode()).hexdigest())
"""


def test_the_bytes_are_the_same_in_every_process():
    found = set()
    for seed in ("1", "77"):
        script = SCRIPT.format(tests=str(Path(__file__).parent), root=str(ROOT))
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        assert run.returncode == 0, run.stderr
        found.add(run.stdout)
    assert len(found) == 1
    assert len(found.pop().splitlines()) > 80


WITHOUT = """
import sys
for name in ("perceval", "exqalibur", "numpy", "sympy"):
    sys.modules[name] = None
from qarchive.codec import decode
from qarchive.errors import MissingExtra
from qarchive.providers.perceval.values import from_plain, readable
for line in sys.stdin:
    plain = decode(bytes.fromhex(line))
    print(repr(readable(plain)))
try:
    from_plain(plain)
except MissingExtra as error:
    print(error)
"""


def test_stored_values_are_read_without_perceval():
    names = ("BSCount", "BSSamples", "BSDistribution", "StateVector", "SVDistribution", "NoiseModel",
             "MatrixS of constants", "Command",
             "DensityMatrix", "Encoding", "results", "keys", "FockState")  # fmt: skip
    values = [VALUES[name] for name in names]
    lines = "\n".join(encode(to_plain(value)).hex() for value in values)
    run = subprocess.run([sys.executable, "-c", WITHOUT], input=lines, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "{'|0,1>': 0, '|0,256>': 18446744073709551615, '|1,0>': 3}",
        repr(["|0,1>", "|1,0>", "|0,1>"] * 40),
        "{'|0,1>': -0.1, '|1,0>': 0.3, '|2,11>': 1.5}",
        "{'|0,1>': (-0.7+0j), '|1,0>': (0.3+0.1j), '|1,1>': (2.5+0j)}",
        (
            "[{'state': {'|0,1>': (-4+0j), '|1,0>': (3+0j)}, 'probability': 0.0}, "
            "{'state': {'|0,1>': (4+0j), '|1,0>': (3+0j)}, 'probability': 0.25}, "
            "{'state': {'|2,0>': (1+0j)}, 'probability': 1e-300}]"
        ),
        (
            "{'brightness': 0.1, 'g2': 0.3, 'g2_distinguishable': False, 'indistinguishability': 0.2, 'phase_error': 0.6, "
            "'phase_imprecision': 0.5, 'transmittance': 0.4}"
        ),
        "[['((1/3)*pi)', '(I*(2**(1/2)))'], ['(x**2)', '(0.1 + exp((-1*I*y)))']]",
        "['samples', [['max_samples', 'int', True], ['max_shots', 'int', False]], True]",
        (
            "{'m': 2, 'n_max': 1, 'precision': 1e-06, 'rows': [1, 1, 2, 2], 'columns': [1, 2, 1, 2], "
            "'values': [(0.36+0j), -0.48j, 0.48j, (0.6400000000000001+0j)]}"
        ),
        "'QUDIT3'",
        "{'global_perf': 0.1, 'results': {'|1>': 2}, 'x': [1, (2.5, None), {'y': [0, 1, 2]}]}",
        "{3: 4, '|1,0>': 1, 'RAW': 2}",
        "'|1,0,2>'",
        "a state of photons needs more than is installed; run `pip install 'qarchive[perceval]'`",
    ]


def test_the_error_names_the_extra():
    assert str(MissingExtra("a circuit", "perceval")) == (
        "a circuit needs more than is installed; run `pip install 'qarchive[perceval]'`"
    )
    assert math.isnan(back({"x": math.nan})["x"])
