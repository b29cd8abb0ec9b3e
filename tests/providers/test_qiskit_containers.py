"""Containers of Qiskit's primitives through the canonical encoding and back: results, data bins, bit arrays, PUBs."""

import datetime as dt
from types import MappingProxyType

import numpy as np
import pytest
from exactness import attributes, back, same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.primitives import (
    BackendSamplerV2,
    BitArray,
    DataBin,
    EstimatorResult,
    PrimitiveResult,
    PubResult,
    SamplerPubResult,
    SamplerResult,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import JobStatus
from qiskit.quantum_info import PauliList, SparseObservable, SparsePauliOp
from qiskit.result import QuasiDistribution, Result
from qiskit.transpiler import CouplingMap
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, PauliLindbladError, ReadoutError, depolarizing_error

from qarchive.codec import decode, encode
from qarchive.errors import NotEncodable
from qarchive.providers.qiskit.containers import pub_from_plain, pub_to_plain
from qarchive.providers.qiskit.values import from_plain, to_plain
from qarchive.values import Array, Typed


def circuit(parameters=2):
    theta = ParameterVector("theta", parameters)
    made = QuantumCircuit(2)
    for place in range(parameters):
        made.rx(theta[place], place % 2)
    made.cx(0, 1)
    return made


def measured(parameters=2):
    made = circuit(parameters)
    made.measure_all()
    return made


def noisy():
    model = NoiseModel(["cx", "rz"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), "cx")
    model.add_readout_error([[0.9, 0.1], [0.2, 0.8]], [1])
    return model


def kerneled():
    """Results of level 1, whose fields are arrays of complex numbers."""
    return PrimitiveResult([SamplerPubResult(DataBin(c=np.array([[1 + 2j, -0.0j]]), shape=(1,)), {"shots": 1})])


def unmasked():
    """Bits beyond the number of bits, which equality does not see."""
    return ~BitArray(np.zeros((3, 2), "u1"), 12)


MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
VALUES = {
    "sampled": StatevectorSampler(seed=1).run([(measured(), np.ones((3, 2)) / 3), measured(0)], shots=20).result(),
    "sampled by a backend": BackendSamplerV2(backend=AerSimulator(seed_simulator=1)).run([measured(0)], shots=9).result(),
    "estimated": StatevectorEstimator(seed=1).run([(circuit(), [["XX"], ["ZI"]], np.ones((4, 2))), (circuit(0), "ZZ")]).result(),
    "kerneled": kerneled(),
    "no results": PrimitiveResult([]),
    "metadata of all kinds": PrimitiveResult(
        [PubResult(DataBin(), {"a": (1, {2: 3}), "when": MOMENT})], {"set": {1}, "deep": {"x": [np.float32(1)]}, 3: None}
    ),
    "results inside results": PrimitiveResult([PrimitiveResult([PubResult(DataBin())])]),
    "PubResult": PubResult(DataBin(evs=np.array(0.5), stds=np.float64(0.1)), {"shots": None}),
    "empty DataBin": DataBin(),
    "DataBin of a shape without fields": DataBin(shape=(2, 0, 3)),
    "DataBin of shape 0": DataBin(z=np.zeros((0, 2)), a=BitArray(np.zeros((0, 4, 1), "u1"), 3), shape=(0,)),
    "order of fields": DataBin(zz=np.zeros(2), aa=np.ones(2, "f4"), mm=np.array([1, 2], ">i2"), shape=(2,)),
    "fields that are no arrays": DataBin(text="a", nothing=None, map={1: (2,)}, number=3, inner=DataBin(x=1), list=[np.int8(1)]),
    "fields of any name": DataBin(**{"a b": 1, "": 2, "π": 3, "class": 4, "_x": 5, "shots": 6}),
    "BitArray": BitArray.from_samples(["0010", "1111"]),
    "BitArray of rank 2": BitArray(np.arange(24, dtype="u1").reshape(2, 3, 2, 2), 15),
    "BitArray of no bits": BitArray(np.zeros((5, 0), "u1"), 0),
    "BitArray of no shots": BitArray(np.zeros((2, 0, 1), "u1"), 4),
    "BitArray of many bits": BitArray.from_counts({1 << 129: 2, 3: 1}, num_bits=130),
    "BitArray turned": BitArray(np.arange(8, dtype="u1").reshape(2, 4).T, 16),
    "BitArray with bits beyond": unmasked(),
    "BitArray of numpy bits": BitArray(np.zeros((1, 1), "u1"), np.int64(3)),
    "SamplerResult": SamplerResult([QuasiDistribution({0: 0.5, 3: 0.5}, shots=4), QuasiDistribution({1: 1.0})], [{}, {"s": 1}]),
    "EstimatorResult": EstimatorResult(np.array([0.5, -0.0]), [{"variance": 0.1}, {}]),
    "EstimatorResult of lists": EstimatorResult([0.5], [{}]),
    "BindingsArray": BindingsArray({("b", "a"): np.ones((3, 2)), "c": np.zeros(3)}),
    "BindingsArray of nothing": BindingsArray(shape=(4, 0)),
    "ObservablesArray": ObservablesArray([["XX", {"ZZ": 0.5, "IX": -0.0}], ["0r", SparsePauliOp(["XX", "YI"], [1, 2])]]),
    "no observables": ObservablesArray(np.empty((0, 2), dtype=object), num_qubits=3),
    "ObservablesArray of dicts": ObservablesArray(np.array([{"ZZ": 1.0}, {"XX": 0.5}]), num_qubits=2, validate=False),
    "SamplerPub": SamplerPub.coerce((measured(), np.ones((2, 2)), 10)),
    "EstimatorPub": EstimatorPub.coerce((circuit(), ["XX", "ZZ"], np.ones((1, 2)), 0.1)),
    "CouplingMap": CouplingMap([[0, 1], [1, 0], [2, 1], [5, 3]], description="line"),
    "empty CouplingMap": CouplingMap(),
    "JobStatus": JobStatus.CANCELLED,
    "NoiseModel": {"noise_model": noisy(), "coupling_map": [[0, 1]]},
    "ReadoutError": ReadoutError([[0.9, 0.1], [0.2, 0.8]]),
}


def test_every_value_comes_back_exactly():
    for name, value in VALUES.items():
        if name not in ("NoiseModel", "ReadoutError", "CouplingMap", "empty CouplingMap"):
            same(back(value), value, name)


def test_a_coupling_map_comes_back_with_its_qubits_and_the_order_of_its_edges():
    for name in ("CouplingMap", "empty CouplingMap"):
        value, found = VALUES[name], back(VALUES[name])
        assert (found, list(found), found.description) == (value, list(value), value.description)
        assert found.physical_qubits == value.physical_qubits


def test_noise_comes_back_equal():
    assert back(VALUES["NoiseModel"]) == VALUES["NoiseModel"]
    assert back(VALUES["ReadoutError"]) == VALUES["ReadoutError"]
    assert back(depolarizing_error(0.1, 2)) == depolarizing_error(0.1, 2)
    error = PauliLindbladError(PauliList(["XX", "ZI"]), [0.1, 0.2])
    found = back(error)
    assert type(found) is PauliLindbladError
    same((found.generators, found.rates), (error.generators, error.rates))


def test_a_result_inside_a_value_comes_back_equal():
    result = AerSimulator().run(measured(0), shots=5, seed_simulator=2, memory=True).result()
    assert result.get_memory()
    found = back({"result": result})["result"]
    assert type(found) is Result
    assert found.to_dict() == result.to_dict()


def test_attributes_that_were_added_come_back():
    result = PrimitiveResult([SamplerPubResult(DataBin(a=1), {"b": 2})])
    result.note, result[0].seen = "mine", {1: (2,)}
    found = back(result)
    assert (found.note, found[0].seen) == ("mine", {1: (2,)})
    same(found, result)


def test_an_attribute_of_pythons_own_is_refused():
    with pytest.raises(ValueError) as error:
        from_plain(Typed("qiskit.PrimitiveResult", [[], {}, {"__class__": 1}]))
    assert str(error.value) == "an attribute '__class__'"


def test_metadata_that_is_empty_is_not_confused_with_none():
    result = PubResult(DataBin())
    result._metadata = None
    assert back(result)._metadata is None


def test_arrays_inside_come_back_writable():
    found = back(VALUES["sampled"])
    found[0].data.meas.array[...] = 0
    assert not found[0].data.meas.array.any()


class Unknown:
    pass


class Mine(PubResult):
    pass


def test_what_cannot_be_stored_is_refused_with_its_place():
    for value, message in (
        (PrimitiveResult([PubResult(DataBin(a=1)), PubResult(DataBin(b=Unknown()))]),
         f"cannot be stored at pub_results.1.data.data.b: a {__name__}.Unknown"),
        (PrimitiveResult([], {"x": [Unknown()]}), f"cannot be stored at metadata.x.0: a {__name__}.Unknown"),
        (PrimitiveResult([Mine(DataBin())]), f"cannot be stored at pub_results.0: a {__name__}.Mine"),
    ):  # fmt: skip
        with pytest.raises(NotEncodable) as error:
            to_plain(value)
        assert str(error.value) == message


def test_a_gap_leaves_out_only_what_cannot_be_kept():
    gaps = []
    value = PrimitiveResult(
        [PubResult(DataBin(a=1, b=Unknown(), c=2), {"x": 1, "y": Unknown()}), PubResult(DataBin(), MappingProxyType({"z": 1}))],
        {"k": Unknown()},
    )
    value.note = Unknown()
    plain = to_plain({"result": value}, lambda path, reason: gaps.append((path, reason)), "m")
    found = from_plain(decode(encode(plain)))["result"]
    assert (list(found[0].data), found[0].data["a"], found[0].metadata) == (["a", "c"], 1, {"x": 1})
    assert (found[1].metadata, found.metadata, attributes(found).keys()) == ({}, {}, {"_pub_results", "_metadata"})
    unknown = f"a {__name__}.Unknown"
    assert gaps == [
        ("m.result.pub_results.0.data.data.b", unknown),
        ("m.result.pub_results.0.metadata.y", unknown),
        ("m.result.pub_results.1.metadata", "a builtins.mappingproxy"),
        ("m.result.metadata.k", unknown),
        ("m.result.attributes.note", unknown),
    ]


SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@st.composite
def bit_arrays(draw, shape):
    bits = draw(st.integers(0, 20))
    size = (*shape, draw(st.integers(0, 3)), -(-bits // 8))
    return BitArray(draw(npst.arrays("u1", size)), bits)


@st.composite
def data_bins(draw):
    shape = draw(SHAPES)
    inner = draw(SHAPES)
    number = st.sampled_from(["f8", "c16", "?", "i4", ">u2"]).flatmap(lambda dtype: npst.arrays(dtype, shape + inner))
    other = st.none() | st.text(max_size=3) | st.integers() | st.dictionaries(st.integers(), st.floats(), max_size=2)
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(
        lambda name: name not in DataBin._RESTRICTED_NAMES | {"self"} and not name.startswith("__")
    )
    return DataBin(shape=shape, **draw(st.dictionaries(names, number | other | bit_arrays(shape), max_size=4)))


@settings(deadline=None)
@given(st.lists(st.tuples(data_bins(), st.dictionaries(st.text("ab"), st.integers() | st.floats(), max_size=2)), max_size=3))
def test_results_come_back(pubs):
    value = PrimitiveResult([SamplerPubResult(*pub) for pub in pubs], {"version": 2})
    same(back(value), value)


# PUBs without their circuits


def pub_back(pub):
    plain = pub_to_plain(pub)
    data = encode(plain)
    found = pub_from_plain(decode(data), pub.circuit)
    assert encode(pub_to_plain(found)) == data
    return plain, found


def test_a_sampler_pub_without_its_circuit():
    theta = Parameter("t")
    parametric = circuit()
    parametric.rz(theta, 0)
    values = {theta: [[0.1], [-0.0]], ParameterVector("theta", 2): np.ones((2, 1, 2))}
    pub = SamplerPub(parametric, BindingsArray(values, shape=(2, 1)), np.int64(7))
    plain, found = pub_back(pub)
    assert plain["parameters"]["shape"] == [2, 1]
    assert [row[:-1] for row in plain["parameters"]["values"]] == [["t"], ["theta[0]", "theta[1]"]]
    assert set(plain) == {"parameters", "shots"}
    assert found.circuit is parametric
    same(found, pub)
    found.validate()


def test_a_pub_without_anything_says_nothing():
    assert pub_to_plain(SamplerPub.coerce(measured(0))) == {"parameters": {"shape": [], "values": []}}
    bindings = BindingsArray(shape=(0, 3))
    pub = SamplerPub(measured(0), bindings)
    plain, found = pub_back(pub)
    assert plain == {"parameters": {"shape": [0, 3], "values": []}}
    same(found, pub)


def test_an_estimator_pub_without_its_circuit():
    observables = [["XX"], [SparsePauliOp(["ZZ", "IX", "II"], [1 / 3, -0.0, 5e-324])], ["XX"]]
    pub = EstimatorPub.coerce((circuit(), observables, np.ones((3, 1, 2)), 0.25))
    plain, found = pub_back(pub)
    assert set(plain) == {"parameters", "observables", "precision"}
    assert plain["observables"]["shape"] == [3, 1]
    assert plain["observables"]["index"] == [0, 1, 0]
    same(found, pub)
    found.validate()
    assert len({id(entry) for entry in found.observables._array.reshape(-1)}) == 3  # they can be altered in place


def test_observables_are_columns():
    pub = EstimatorPub.coerce((QuantumCircuit(3), [{"XIZ": 2.0, "III": 0.5}, "Y0r"]))
    columns = pub_to_plain(pub)["observables"]
    assert [columns[name] for name in ("shape", "qubits", "terms", "weights")] == [[2], 3, [2, 1], [2, 0, 3]] or [
        columns[name] for name in ("shape", "qubits", "terms", "weights")
    ] == [[2], 3, [2, 1], [0, 2, 3]]
    assert type(columns["coeffs"]) is Array
    assert (columns["coeffs"].dtype, columns["bit_terms"].dtype, columns["indices"].dtype) == ("<c16", "|u1", "<u4")
    assert "index" not in columns


def test_an_array_without_observables_keeps_its_shape_and_its_qubits():
    pub = EstimatorPub(QuantumCircuit(4), VALUES["no observables"].reshape(2, 0), validate=False)
    pub._observables._num_qubits = 4
    plain, found = pub_back(pub)
    assert plain["observables"]["shape"] == [2, 0]
    assert found.observables.num_qubits == 4
    same(found, pub)


COEFFICIENTS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)


@st.composite
def observables(draw, qubits):
    terms = draw(st.lists(st.tuples(st.text("IXYZ+-rl01", min_size=qubits, max_size=qubits), COEFFICIENTS), max_size=4))
    return SparseObservable.from_list(terms, num_qubits=qubits)


@settings(deadline=None)
@given(st.data(), SHAPES, st.integers(0, 3))
def test_pubs_come_back(data, shape, qubits):
    count = int(np.prod(shape, dtype=int))
    entries = np.empty(count, dtype=object)
    drawn = data.draw(st.lists(observables(qubits), min_size=1, max_size=3))
    for place in range(count):
        entries[place] = data.draw(st.sampled_from(drawn)).copy()
    names = data.draw(st.lists(st.text("ab[]", min_size=1, max_size=3), unique=True, max_size=4))
    cut = data.draw(st.integers(0, len(names)))
    bindings = {
        tuple(part): data.draw(npst.arrays("f8", (*shape, len(part)), elements=st.floats()))
        for part in (names[:cut], names[cut:])
    }
    pub = EstimatorPub(
        QuantumCircuit(qubits),
        ObservablesArray(entries.reshape(shape), num_qubits=qubits, validate=False),
        BindingsArray(bindings, shape=shape),
        data.draw(st.none() | st.floats(0, 1)),
        validate=False,
    )
    _, found = pub_back(pub)
    same(found, pub)
    sampled = SamplerPub(pub.circuit, pub.parameter_values, data.draw(st.none() | st.integers(1, 2**70)), validate=False)
    same(pub_back(sampled)[1], sampled)


class MyPub(SamplerPub):
    pass


class MyBindings(BindingsArray):
    pass


def test_pubs_of_other_classes_are_refused():
    for pub, message in (
        (MyPub(measured(0)), f"cannot be stored: a {__name__}.MyPub instead of a PUB"),
        (circuit(0), "cannot be stored: a qiskit.circuit.quantumcircuit.QuantumCircuit instead of a PUB"),
        (SamplerPub(measured(0), MyBindings()), f"cannot be stored: parameters of class {__name__}.MyBindings"),
        (SamplerPub(measured(0), shots=Unknown(), validate=False), f"cannot be stored at shots: a {__name__}.Unknown"),
        (EstimatorPub(circuit(0), ObservablesArray(np.array([Unknown()]), num_qubits=2, validate=False), validate=False),
         f"cannot be stored at observables.entries.0: a {__name__}.Unknown"),
    ):  # fmt: skip
        with pytest.raises(NotEncodable) as error:
            pub_to_plain(pub)
        assert str(error.value) == message
