"""Results of real runs, packed and unpacked: equal in content and types, equal blobs for equal runs."""

import copy
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import SparsePauliOp
from qiskit.result import Result
from qiskit_aer import AerSimulator
from qiskit_aer import library as aer_library  # noqa: F401  gives circuits their save_* methods
from qiskit_aer.noise import NoiseModel, depolarizing_error

from qarchive.codec import decode, encode
from qarchive.errors import BadInput, NotCanonical
from qarchive.providers.qiskit.results import counts, pack_result, unpack_dict, unpack_result
from qarchive.values import Typed


def same(one, other, path=""):
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for left, right in zip(one, other, strict=True):
            same(left, right, f"{path}[]")
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), path
    elif hasattr(one, "_op_shape"):
        assert one._op_shape == other._op_shape, path
        same(
            {k: v for k, v in vars(one).items() if k != "_op_shape"},
            {k: v for k, v in vars(other).items() if k != "_op_shape"},
            path,
        )
    elif hasattr(one, "to_dict"):
        same(one.to_dict(), other.to_dict(), path)
    else:
        assert one == other or (one != one and other != other), path


def through(result):
    value, volatile = pack_result(result)
    return decode(encode(value)), decode(encode(volatile))


def bell(extra=0):
    circuit = QuantumCircuit(QuantumRegister(2 + extra), ClassicalRegister(2, "a"), ClassicalRegister(3, "b"))
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 3])
    return circuit


def noise():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["h"])
    return model


def saving(method, name, *args, **options):
    def run():
        circuit = QuantumCircuit(2, 1)
        circuit.h(0)
        circuit.cx(0, 1)
        getattr(circuit, name)(*args, **options)
        if method not in ("unitary", "superop"):
            circuit.measure(0, 0)
        return AerSimulator(method=method).run(circuit, shots=5, seed_simulator=3)

    return run


def several(**options):
    tagged = bell(1)
    tagged.metadata = {"a": (1, 2j), "b": np.arange(2)}
    return AerSimulator(**options).run([bell(), tagged, bell()], shots=40, memory=True, seed_simulator=5)


OPERATOR = [SparsePauliOp(["XX", "ZI"]), [0, 1]]
RUNS = {
    "several": several,
    "noise": lambda: several(noise_model=noise()),
    "failed": lambda: AerSimulator(method="unitary").run([bell(), bell()], seed_simulator=1),
    "partly failed": lambda: AerSimulator(method="stabilizer").run([bell(), _with_t()], shots=5, seed_simulator=1),
    "no counts": lambda: AerSimulator().run(QuantumCircuit(1), seed_simulator=1),
}
for _method, _names in {
    "statevector": (
        "save_statevector",
        "save_statevector_dict",
        "save_probabilities",
        "save_probabilities_dict",
        "save_density_matrix",
        "save_state",
    ),
    "unitary": ("save_unitary",),
    "superop": ("save_superop",),
    "stabilizer": ("save_stabilizer", "save_clifford"),
    "matrix_product_state": ("save_matrix_product_state",),
    "density_matrix": ("save_density_matrix",),
}.items():
    for _name in _names:
        RUNS[f"{_method} {_name}"] = saving(_method, _name)
        if _name not in ("save_unitary", "save_superop"):
            RUNS[f"{_method} {_name} pershot"] = saving(_method, _name, pershot=True)
        if _name not in ("save_unitary", "save_superop", "save_clifford"):
            RUNS[f"{_method} {_name} conditional"] = saving(_method, _name, conditional=True)
for _name, _args in {
    "save_amplitudes": [[0, 3]],
    "save_amplitudes_squared": [[0, 3]],
    "save_expectation_value": OPERATOR,
    "save_expectation_value_variance": OPERATOR,
    "save_probabilities": [],
    "save_probabilities_dict": [],
}.items():
    for _options in ({}, {"pershot": True}, {"conditional": True}, {"unnormalized": True}):
        if not (_name == "save_amplitudes" and "unnormalized" in _options):
            RUNS[f"{_name} {_options}"] = saving("statevector", _name, *_args, **_options)


def _with_t():
    circuit = bell()
    circuit.t(0)
    return circuit


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL, "qiskit_aer")


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_result_comes_back_equal_and_equal_runs_are_one_blob(run):
    one, other = run().result(), run().result()
    value, volatile = through(one)
    same(unpack_result(value, volatile).to_dict(), one.to_dict())
    assert [sorted(vars(e)) for e in unpack_result(value, volatile).results] == [sorted(vars(e)) for e in one.results]
    assert encode(pack_result(other)[0]) == encode(value)
    assert type(unpack_result(value, volatile)) is Result


def test_another_result_is_another_blob():
    one, other = (AerSimulator().run(bell(), shots=100, seed_simulator=seed).result() for seed in (1, 2))
    assert encode(pack_result(one)[0]) != encode(pack_result(other)[0])


@pytest.mark.parametrize("name", ["several", "noise"])
def test_counts_without_the_sdk_are_those_of_qiskit(name):
    result = RUNS[name]().result()
    value, volatile = through(result)
    for index in range(3):
        assert counts(value, index, volatile) == result.get_counts(index)
        assert all(len(state) == 6 and state[3] == " " for state in counts(value, index, volatile))


def test_what_experiments_have_alike_is_stored_once():
    result = several().result()
    value, _ = through(result)
    common = value["common"]
    assert (common["shots"], common["status"], common["header"]["creg_sizes"]) == (40, "DONE", [["a", 2], ["b", 3]])
    assert [sorted(experiment) for experiment in value["results"]] == [["data", "header", "seed_simulator"]] * 3
    assert [sorted(experiment["header"]) for experiment in value["results"]] == [["metadata", "n_qubits"]] * 3
    again = unpack_result(*through(result))
    again.results[0].header["creg_sizes"].append(["c", 1])
    again.results[0].metadata["fusion"]["enabled"] = None
    for untouched, original in zip(again.results[1:], result.results[1:], strict=True):
        same(untouched.to_dict(), original.to_dict())


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0.0, -0.0), ([1], [1.0]), ([0.0], [-0.0]),
                                            ({"a": 1}, {"a": True}), ((1,), [1]), (1 + 0j, 1.0)])  # fmt: skip
def test_what_is_merely_equal_is_not_alike(one, other):
    experiments = [{"shots": 1, "success": True, "data": {}, "extra": extra, "header": {"x": extra}} for extra in (one, other)]
    result = Result.from_dict({"backend_name": "x", "results": experiments})
    value, volatile = through(result)
    assert "extra" not in value["common"] and value["common"]["header"] == {}
    same(unpack_dict(value, volatile), result.to_dict())


@pytest.mark.parametrize("value", [float("nan"), {"b": 1, "a": [2]}, (1, 2), 1j, np.arange(3), {1: 2}, 1 << 70, None])
def test_what_has_one_encoding_is_alike_wherever_it_came_from(value):
    other = {"a": [2], "b": 1} if type(value) is dict and "a" in value else copy.deepcopy(value)
    experiments = [{"shots": 1, "success": True, "data": {}, "header": {"x": extra}} for extra in (value, other)]
    result = Result.from_dict({"backend_name": "x", "results": experiments})
    packed, volatile = through(result)
    assert "x" in packed["common"]["header"] and "header" not in packed["results"][0]
    same(unpack_dict(packed, volatile), result.to_dict())


def test_counts_that_the_memory_tells_are_not_stored_twice():
    content = several().result().to_dict()
    value, _ = through(Result.from_dict(content))
    assert [experiment["data"]["counts"] for experiment in value["results"]] == [Typed("counts", None)] * 3
    content["results"][1]["data"]["counts"]["0x1f"] = 1
    del content["results"][2]["data"]["memory"]
    value, volatile = through(Result.from_dict(content))
    assert [experiment["data"]["counts"].value is None for experiment in value["results"]] == [True, False, False]
    same(unpack_dict(value, volatile), content)
    del value["results"][0]["data"]["memory"]
    for read in (unpack_dict, lambda *parts: counts(parts[0], 0, parts[1])):
        with pytest.raises(NotCanonical) as error:
            read(value, volatile)
        assert str(error.value) == "not canonical msgpack: counts of a memory that is not there"


def test_counts_say_what_is_missing():
    value, volatile = through(RUNS["no counts"]().result())
    with pytest.raises(BadInput) as error:
        counts(value, 0, volatile)
    assert str(error.value) == "circuit 0: its result has no counts; look at the data that it has"
    with pytest.raises(BadInput) as error:
        counts(value, 7, volatile)
    assert str(error.value) == "circuit 7: the result holds 1; count from 0"


def test_memory_of_complex_numbers_stays_as_it_is():
    content = several().result().to_dict()
    content["results"][0]["data"]["memory"] = [[[1.0, 2.0], [0.5, 0.25]], [[0.0, -0.0], [1.0, 1.0]]]
    content["results"][1]["meas_return"] = "single"
    content["results"][1]["shots"] = (1, 40)
    result = Result.from_dict(content)
    same(unpack_result(*through(result)).to_dict(), result.to_dict())


def test_what_cannot_be_kept_is_a_gap_and_the_rest_is_there():
    result = several().result()
    result.results[1].header["metadata"]["odd"] = object
    result.results[2].data.odd = object()
    result.results[2].data._data_attributes.append("odd")
    gaps = []
    value, volatile = pack_result(result, lambda path, reason: gaps.append(path))
    assert gaps == ["results.1.header.metadata.odd", "results.2.data.odd"]
    again = unpack_result(decode(encode(value)), decode(encode(volatile)))
    assert again.get_counts(2) == result.get_counts(2)
    assert again.results[1].header["metadata"]["a"] == (1, 2j)


def test_packing_leaves_the_result_alone():
    result = several().result()
    before = repr(result)
    pack_result(result)
    assert repr(result) == before


TIMES = st.floats(allow_nan=True) | st.integers(-5, 5) | st.none() | st.text(max_size=3)
EXPERIMENT = st.fixed_dictionaries(
    {
        "shots": st.integers(1, 9),
        "success": st.booleans(),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "counts": st.dictionaries(st.integers(0, 2**70).map(hex), st.integers(0, 2**40), max_size=3),
                "memory": st.lists(st.integers(0, 3).map(hex) | st.text("01 ", max_size=3), max_size=4),
            },
        ),
    },
    optional={
        "time_taken": TIMES,
        "status": st.text(max_size=4),
        "header": st.fixed_dictionaries({}, optional={"name": TIMES, "x": st.integers()}),
        "metadata": st.dictionaries(st.sampled_from(["time_taken", "sample_measure_time", "max_memory_mb", "method"]), TIMES),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(EXPERIMENT, max_size=4),
    st.dictionaries(st.sampled_from(["date", "job_id", "qobj_id", "time_taken", "status", "extra", "common", "common'"]), TIMES),
)
def test_any_result_comes_back(experiments, fields):
    result = Result.from_dict({"backend_name": "x", "backend_version": "1", "results": experiments, "success": True, **fields})
    same(unpack_dict(*through(result)), result.to_dict())


@pytest.mark.parametrize("odd", ["\ud800", "cyclic", "deep"])
def test_metadata_that_cannot_be_written_do_not_take_the_result_with_them(odd):
    item = inner = {}
    if odd == "cyclic":
        item["me"] = item
    for _ in range(400 if odd == "deep" else 0):
        inner["x"] = inner = {}
    result = several().result()
    result.results[1].header["metadata"]["odd"] = odd if odd == "\ud800" else item
    gaps = []
    value, _ = pack_result(result, lambda path, reason: gaps.append(path), parts=True)
    assert gaps[0].startswith("results.1.header.metadata.odd")
    assert counts(decode(encode(value)), 1, {}).keys() == result.get_counts(1).keys()
