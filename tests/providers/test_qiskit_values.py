"""Values of Qiskit and Python through the canonical encoding and back, in content and in type."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import (
    DensityMatrix,
    Kraus,
    Operator,
    Pauli,
    PauliList,
    SparseObservable,
    SparsePauliOp,
    StabilizerState,
    Statevector,
    SuperOp,
    random_clifford,
)
from qiskit.result import Counts, ProbDistribution, QuasiDistribution
from qiskit.result.models import MeasLevel, MeasReturnType
from qiskit_aer.backends import compatibility
from qiskit_aer.quantum_info import AerDensityMatrix, AerStatevector

from qarchive import codec
from qarchive.codec import decode, encode
from qarchive.errors import NewerFormat, NotEncodable
from qarchive.providers.qiskit_values import from_plain, to_plain
from qarchive.values import TAGS, Typed


def back(value):
    return from_plain(decode(encode(to_plain(value))))


def same(one, other, path=""):
    """Assert equal content and equal types, through containers, hidden fields and arrays."""
    assert type(one) is type(other), path
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), path
        assert one.tobytes() == other.tobytes(), path
    elif isinstance(one, dict):
        assert list(map(type, sorted(one, key=repr))) == list(map(type, sorted(other, key=repr))), path
        assert one.keys() == other.keys(), path
        for key in one:
            same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{path}[{place}]")
    elif not hasattr(one, "__dict__") or isinstance(one, MeasLevel | MeasReturnType):
        assert repr(one) == repr(other), path
    for name, field in getattr(one, "__dict__", {}).items():
        if name not in ("_aer_state", "_op_shape") and not isinstance(one, MeasLevel | MeasReturnType):
            same(field, vars(other)[name], f"{path}.{name}")
    if hasattr(one, "_op_shape"):
        assert one._op_shape == other._op_shape, path


VALUES = {
    "tuple": (1, (2.5, "x"), [None, True]),
    "set": {1, "a", (2, 3)},
    "big": 2**80,
    "negative big": -(2**90),
    "complex": complex(-0.0, float("inf")),
    "bytes": b"\0\xff",
    "aware": dt.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "naive": dt.datetime(2020, 1, 1),
    "slice": slice(1, None, 2),
    "range": range(3, 9, 2),
    "int keys": {0: 1.5, 3: 2, -1: {"a": 1}},
    "tuple keys": {(0, 1): np.arange(2)},
    "numpy keys": {np.int64(3): 1},
    "float32": np.float32(1.5),
    "bool scalar": np.bool_(True),
    "array": np.arange(6, dtype="i2").reshape(2, 3),
    "0-d": np.array(3.5),
    "empty": np.zeros((0, 2)),
    "bools": np.array([True, False]),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "complex64": np.array([1j], dtype="c8"),
    "nested": {"a": [{"b": (np.int8(1),)}]},
    "Statevector": Statevector(np.ones(6) / np.sqrt(6), dims=(2, 3)),
    "DensityMatrix": DensityMatrix(np.eye(6) / 6, dims=(3, 2)),
    "Operator": Operator(np.ones((2, 3)), input_dims=(3,), output_dims=(2,)),
    "SuperOp": SuperOp(np.eye(4)),
    "Kraus": Kraus([np.eye(2)]),
    "Kraus of two sides": Kraus(([np.eye(2)], [np.eye(2) * 1j])),
    "StabilizerState": StabilizerState(random_clifford(3, seed=1)),
    "Clifford": random_clifford(2, seed=4),
    "Pauli": Pauli("-iXYZ"),
    "PauliList": PauliList(["XX", "iYZ"]),
    "SparsePauliOp": SparsePauliOp(["XX", "YI"], [1 + 2j, 0.3]),
    "SparseObservable": SparseObservable.from_list([("0r+", 0.5), ("XYZ", 2j)]),
    "aer Statevector": compatibility.Statevector([1, 0, 0], dims=(3,)),
    "aer DensityMatrix": compatibility.DensityMatrix(np.eye(2) / 2),
    "aer Operator": compatibility.Operator(np.eye(2)),
    "aer SuperOp": compatibility.SuperOp(np.eye(4)),
    "aer StabilizerState": compatibility.StabilizerState(random_clifford(2, seed=3)),
    "AerStatevector": AerStatevector(np.array([0.6, 0.8j])),
    "AerDensityMatrix": AerDensityMatrix(np.eye(2) / 2),
    "ProbDistribution": ProbDistribution({"0001": 0.5, "0000": 0.5}, shots=10),
    "QuasiDistribution": QuasiDistribution({0: 1.1, 1: -0.1}, shots=4, stddev_upper_bound=0.2),
    "Counts": Counts({"0x1": 3, "0x0": 1}, time_taken=0.5, creg_sizes=[["a", 1], ["b", 1]], memory_slots=2),
    "Counts of text": Counts({"01": 3}),
    "Counts of integers": Counts({0: 2, 5: 1}),
    "Counts of nothing": Counts({}),
    "MeasLevel": MeasLevel.KERNELED,
    "MeasReturnType": MeasReturnType.SINGLE,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_equal_and_of_its_type(value):
    same(back(value), value)
    same(back([{"in": value}]), [{"in": value}])


def test_arrays_come_back_writable():
    array = back(np.zeros(3))
    array[0] = 1
    assert array.tolist() == [1, 0, 0]


def test_equal_values_are_equal_bytes_and_others_are_not():
    one, other = SparsePauliOp(["X", "Z"], [1, 2]), SparsePauliOp(["X", "Z"], [1, np.nextafter(2, 3)])
    assert encode(to_plain(one)) == encode(to_plain(one.copy())) != encode(to_plain(other))
    assert encode(to_plain(Statevector([1, 0, 0, 0]))) != encode(to_plain(Statevector([1, 0, 0, 0], dims=(4,))))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON)
def test_trees_come_back(value):
    same(back(value), value)


class Unknown:
    pass


class MyState(Statevector):
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, (2, Unknown())]}, f"cannot be stored at a.1.1: a {__name__}.Unknown"),
        ({"s": MyState([1, 0])}, f"cannot be stored at s: a {__name__}.MyState"),
        ([np.array([None])], "cannot be stored at 0: an array of dtype object"),
        ({"t": int}, "cannot be stored at t: a builtins.type"),
    ],
)
def test_what_nobody_registered_is_refused_with_its_place(value, message):
    with pytest.raises(NotEncodable) as error:
        to_plain(value)
    assert str(error.value) == message


def test_a_gap_leaves_out_only_what_cannot_be_kept():
    gaps = []
    value = {
        "keep": 1,
        "drop": Unknown(),
        "in": {"keep": (1, 2), "drop": int},
        "list": [1, Unknown()],
        "maps": [{"keep": 1, "drop": int}],
    }
    plain = to_plain(value, lambda path, reason: gaps.append(path), "m")
    assert plain == {"keep": 1, "in": {"keep": (1, 2)}, "maps": [{"keep": 1}]}
    assert gaps == ["m.drop", "m.in.drop", "m.list.1", "m.maps.0.drop"]
    assert set(value) == {"keep", "drop", "in", "list", "maps"}


def test_an_unknown_tag_is_a_newer_format():
    with pytest.raises(NewerFormat):
        from_plain(Typed("qiskit.Tomorrow", 1))


def test_every_tag_that_is_written_is_registered_and_read():
    from qarchive.providers import qiskit_values

    assert set(qiskit_values._DECODERS) <= TAGS


def test_importing_the_providers_loads_no_sdk():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import qarchive.providers.aer, qarchive.providers.qiskit_backends; "
        "print([name for name in ('qiskit', 'qiskit_aer', 'numpy') if name in sys.modules])"
    )
    root = codec.__file__.rpartition("/qarchive/")[0]
    assert subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True).stdout == "[]\n"
