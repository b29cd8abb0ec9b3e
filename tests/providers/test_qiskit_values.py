"""Values of Qiskit and Python through the canonical encoding and back, in content and in type."""

import datetime as dt
import math
import subprocess
import sys
import zoneinfo

import dateutil.tz as tz
import numpy as np
import pytest
import scipy.sparse as sparse
from exactness import back, same
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic_core import TzInfo
from qiskit.circuit import Parameter
from qiskit.quantum_info import (
    PTM,
    Chi,
    Choi,
    DensityMatrix,
    Kraus,
    Operator,
    Pauli,
    PauliLindbladMap,
    PauliList,
    PhasedQubitSparsePauli,
    PhasedQubitSparsePauliList,
    QubitSparsePauli,
    QubitSparsePauliList,
    ScalarOp,
    SparseObservable,
    SparsePauliOp,
    StabilizerState,
    Statevector,
    Stinespring,
    SuperOp,
    random_clifford,
)
from qiskit.result import Counts, ProbDistribution, QuasiDistribution
from qiskit.result.models import MeasLevel, MeasReturnType
from qiskit_aer.backends import compatibility
from qiskit_aer.quantum_info import AerDensityMatrix, AerStatevector

from qarchive import codec, redact
from qarchive.codec import decode, encode
from qarchive.errors import NewerFormat, NotEncodable
from qarchive.providers.qiskit.values import from_plain, to_plain
from qarchive.values import TAGS, Array, Link, Typed

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def hidden(value, **attributes):
    """`value` with attributes that no constructor gave it."""
    vars(value).update(attributes)
    return value


def changed_counts():
    counts = Counts({"0x1": 3})
    counts["11"] = 2
    return counts


VALUES = {
    "tuple": (1, (2.5, "x"), [None, True]),
    "set": {1, "a", (2, 3)},
    "big": 2**80,
    "negative big": -(2**90),
    "complex": complex(-0.0, float("inf")),
    "bytes": b"\0\xff",
    "aware": dt.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "naive": dt.datetime(2020, 1, 1),
    "UTC": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "named zone": dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3), "BRT")),
    "zone of seconds": dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=-61, microseconds=7))),
    "tzutc": dt.datetime(2020, 1, 1, tzinfo=tz.tzutc()),
    "tzoffset": dt.datetime(2020, 1, 1, tzinfo=tz.tzoffset(None, 19800)),
    "named tzoffset": dt.datetime(2020, 1, 1, tzinfo=tz.tzoffset("IST", 19800)),
    "tzlocal": dt.datetime(2020, 1, 1, tzinfo=tz.tzlocal()),
    "pydantic": dt.datetime(2020, 1, 1, tzinfo=TzInfo(-5400)),
    "zoneinfo": dt.datetime(2020, 7, 1, 12, tzinfo=BERLIN),
    "first of two hours": dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN),
    "second of two hours": dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    "hour that there is not": dt.datetime(2020, 3, 29, 2, 30, tzinfo=BERLIN),
    "fold": dt.datetime(2020, 1, 1, fold=1),
    "date": dt.date(2020, 2, 29),
    "timedelta": dt.timedelta(days=-1, microseconds=3),
    "slice": slice(1, None, 2),
    "slice of numpy": slice(np.int64(1), None),
    "frozenset": frozenset({3, "a", frozenset({1})}),
    "range": range(3, 9, 2),
    "int keys": {0: 1.5, 3: 2, -1: {"a": 1}},
    "tuple keys": {(0, 1): np.arange(2)},
    "numpy keys": {np.int64(3): 1, np.str_("a"): 2},
    "other keys": {frozenset({1, 2}): 1, dt.datetime(2020, 1, 1, tzinfo=tz.tzutc()): 2, None: 3, dt.timedelta(1): 4, b"a": 5},
    "parameter keys": {Parameter("a"): 0.5},
    "set of numpy": {np.float64(1.5), np.int8(2)},
    "huge": [2**64 - 1, 2**64, -(2**63) - 1, 10**400],
    "floats": [0.0, -0.0, 5e-324, -5e-324, float("inf"), float("-inf"), math.pi],
    "complex of all kinds": [complex(0, -0.0), complex(float("-inf"), 5e-324), complex(1, float("inf"))],
    "float32": np.float32(1.5),
    "bool scalar": np.bool_(True),
    "array": np.arange(6, dtype="i2").reshape(2, 3),
    "0-d": np.array(3.5),
    "empty": np.zeros((0, 2)),
    "bools": np.array([True, False]),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "complex64": np.array([1j], dtype="c8"),
    "half": np.float16(6e-8),
    "int scalar": np.uint64(2**64 - 1),
    "complex scalar": np.complex64(1 - 2j),
    "text scalar": np.str_("ψ"),
    "bytes scalar": np.bytes_(b"a\0b"),
    "time scalar": np.datetime64("2020-01-01T00:00:00.000000001"),
    "no time scalar": np.timedelta64("NaT", "s"),
    "big-endian": np.arange(3, dtype=">i2"),
    "big-endian NaN": np.frombuffer(bytes.fromhex("7ff8000000000001fff0dead00000000"), ">f8"),
    "big-endian complex": np.array([1 - 0.0j], dtype=">c8"),
    "texts": np.array([["a", "ψ𝄞"], ["", "long"]]),
    "texts big-endian": np.array(["ab", "c"], dtype=">U3"),
    "text of rank 0": np.array("abc"),
    "empty texts": np.array(["", ""]),
    "no texts": np.zeros((2, 0), "<U5"),
    "byte strings": np.array([b"ab\xff", b""], dtype="S4"),
    "times": np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
    "big-endian times": np.array([1, 2], dtype=">m8[25us]"),
    "objects": np.array([[None, {"a": 1}], [2**80, "x"]], dtype=object),
    "objects that are lists": np.array([[1, 2], [3]], dtype=object),
    "object of rank 0": np.array(None, dtype=object),
    "NaN with a payload": np.array([0x7FF8000000000001, 0xFFF0000000000002], dtype="u8").view("f8"),
    "NaN scalar with a payload": np.array(0x7FF8000000000001, dtype="u8").view("f8")[()],
    "signed zeros": np.array([-0.0, 0.0, 5e-324]),
    "infinite imaginary parts": np.array([complex(0, float("inf")), complex(-0.0, float("-inf"))]),
    "strided": np.arange(20)[::-3],
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "broadcast": np.broadcast_to(np.int8(3), (2, 2)),
    "rank 0 of bool": np.array(True),
    "empty of rank 3": np.zeros((3, 0, 2), "c16"),
    "csr": sparse.csr_matrix(np.diag([1.0, 0, 2])),
    "csr with wide indices": sparse.csr_array((np.ones(1), np.array([1], "i8"), np.array([0, 1, 1], "i8")), shape=(2, 3)),
    "csc": sparse.csc_array(np.eye(2, 3) * 1j),
    "coo": sparse.coo_matrix(([1, 2], ([0, 1], [1, 0])), shape=(3, 3)),
    "coo of rank 1": sparse.coo_array(np.array([0, 5, 0])),
    "bsr": sparse.bsr_matrix(np.kron(np.eye(2), np.ones((2, 2)))),
    "dia": sparse.dia_array(np.eye(3)),
    "nested": {"a": [{"b": (np.int8(1),)}]},
    "Statevector": Statevector(np.ones(6) / np.sqrt(6), dims=(2, 3)),
    "DensityMatrix": DensityMatrix(np.eye(6) / 6, dims=(3, 2)),
    "Operator": Operator(np.ones((2, 3)), input_dims=(3,), output_dims=(2,)),
    "SuperOp": SuperOp(np.eye(4)),
    "Statevector of nothing": Statevector(np.array([1j])),
    "DensityMatrix of nothing": DensityMatrix(np.eye(1)),
    "Operator of nothing": Operator(np.eye(1)),
    "Operator from nothing": Operator(np.ones((4, 1))),
    "SuperOp of nothing": SuperOp(np.eye(1)),
    "Choi of nothing": Choi(np.eye(1)),
    "Stinespring of nothing": Stinespring(np.eye(1)),
    "Kraus of nothing": Kraus([np.eye(1)]),
    "ScalarOp of nothing": ScalarOp((), 2),
    "SparseObservable of nothing": SparseObservable.identity(0),
    "Kraus": Kraus([np.eye(2)]),
    "Kraus of two sides": Kraus(([np.eye(2)], [np.eye(2) * 1j])),
    "Stinespring": Stinespring(np.eye(2)),
    "Stinespring of two sides": Stinespring((np.eye(2), np.eye(2) * 1j)),
    "Choi": Choi(np.eye(4)),
    "Chi": Chi(np.eye(4)),
    "PTM": PTM(np.eye(4)),
    "ScalarOp": ScalarOp((2, 3), 0.5j),
    "StabilizerState": StabilizerState(random_clifford(3, seed=1)),
    "Clifford": random_clifford(2, seed=4),
    "Pauli": Pauli("-iXYZ"),
    "PauliList": PauliList(["XX", "iYZ"]),
    "SparsePauliOp": SparsePauliOp(["XX", "YI"], [1 + 2j, 0.3]),
    "SparsePauliOp with parameters": SparsePauliOp(["X", "Z"], np.array([Parameter("a"), 2.0])),
    "SparsePauliOp with phases": SparsePauliOp(PauliList(["X", "Y"]), [1, 2], ignore_pauli_phase=True),
    "no terms": SparseObservable.zero(3),
    "PauliLindbladMap": PauliLindbladMap.from_sparse_list([("XZ", (0, 2), 0.1), ("", (), -0.0), ("Y", (1,), -2)], num_qubits=3),
    "identity map": PauliLindbladMap.identity(2),
    "QubitSparsePauliList": QubitSparsePauliList.from_sparse_list([("X", (1,)), ("", ()), ("ZY", (0, 1))], num_qubits=2),
    "QubitSparsePauli": QubitSparsePauli("XIZ"),
    "PhasedQubitSparsePauliList": PhasedQubitSparsePauliList.from_sparse_list([(1, "X", [1]), (3, "", [])], num_qubits=2),
    "PhasedQubitSparsePauli": PhasedQubitSparsePauli.from_raw_parts(3, [2, 3], [0, 2], 3),
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
    "QuasiDistribution of few of its bits": hidden(QuasiDistribution({0: 1.0}), _num_bits=5),
    "QuasiDistribution of numpy": QuasiDistribution({1: np.float64(0.5), 2: 0.5}, shots=np.int64(3)),
    "Counts that were changed": changed_counts(),
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


@pytest.mark.parametrize("name", ["array", "big-endian", "texts", "times", "objects", "strided", "broadcast"])
def test_arrays_come_back_writable_and_in_memory_of_their_own(name):
    array = VALUES[name]
    data = encode(to_plain(array))
    one, other = from_plain(decode(data)), from_plain(decode(data))
    assert one.flags.writeable
    one[...] = one.reshape(-1)[0]
    same(other, array)


def test_what_is_encoded_shares_no_memory_with_the_array():
    array = np.zeros(1 << 18)
    chunks = {}

    def spill(encoded):
        digest = codec.digest(encoded)
        chunks[digest] = encoded
        return Link(digest)

    data = encode(to_plain(array), spill)
    array[:] = 1
    found = from_plain(decode(data, lambda link: chunks[link.digest]))
    assert not found.any()
    found[0] = 1


def test_a_zone_that_is_not_here_becomes_its_offset():
    data = Typed("datetime", ("2020-07-01T12:00:00+02:00", 0, "zoneinfo", "Atlantis/Poseidonis"))
    same(from_plain(data), dt.datetime(2020, 7, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))))


def test_a_zone_that_has_another_offset_here_becomes_the_offset_that_was_stored():
    for zone in (("zoneinfo", "Europe/Berlin"), ("tzlocal",), ("tzutc",), ("of tomorrow", "x")):
        data = Typed("datetime", ("2020-07-01T12:00:00+07:13", 0, *zone))
        same(from_plain(data), dt.datetime(2020, 7, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=7, minutes=13))))


class Zone(dt.tzinfo):
    def utcoffset(self, moment):
        return dt.timedelta(hours=1)

    def dst(self, moment):
        return None


def test_a_zone_of_another_class_becomes_its_offset():
    moment = dt.datetime(2020, 1, 1, tzinfo=Zone())
    found = back(moment)
    assert found == moment
    assert found.tzinfo == dt.timezone(dt.timedelta(hours=1))


def test_the_order_of_memory_is_not_kept():
    found = back(np.asfortranarray(np.eye(3)))
    assert found.flags.c_contiguous


def test_numpys_second_name_of_a_number_becomes_its_first():
    assert type(back(np.longlong(3))) is np.int64
    assert back(np.zeros(2, np.longlong)).dtype == np.int64


DTYPES = st.one_of(
    npst.boolean_dtypes(),
    *(make(endianness=order) for order in "<>" for make in (npst.integer_dtypes, npst.unsigned_integer_dtypes,
                                                            npst.datetime64_dtypes, npst.timedelta64_dtypes)),
    *(npst.floating_dtypes(sizes=(16, 32, 64), endianness=order) for order in "<>"),
    *(npst.complex_number_dtypes(sizes=(64, 128), endianness=order) for order in "<>"),
    npst.unicode_string_dtypes(max_len=4), npst.byte_string_dtypes(max_len=4),
)  # fmt: skip


@given(npst.arrays(DTYPES, npst.array_shapes(min_dims=0, min_side=0, max_side=4)), st.booleans())
def test_arrays_come_back(array, turned):
    array = array.T if turned else array
    same(back(array), array)
    for item in array.reshape(-1)[:2]:
        same(back(item), item)


ZONES = st.sampled_from([None, dt.UTC, BERLIN, tz.tzutc(), tz.tzlocal(), tz.tzoffset("X", -3600), zoneinfo.ZoneInfo("UTC"),
                         dt.timezone(dt.timedelta(minutes=345)), zoneinfo.ZoneInfo("Australia/Lord_Howe")])  # fmt: skip


@given(st.datetimes(timezones=ZONES, min_value=dt.datetime(1900, 1, 1), max_value=dt.datetime(2100, 1, 1)), st.integers(0, 1))
def test_times_come_back(moment, fold):
    same(back(moment.replace(fold=fold)), moment.replace(fold=fold))


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
        ([np.zeros(2, [("a", "i4"), ("b", "f8")])], "cannot be stored at 0: an array whose items have fields (a, b)"),
        ({"s": np.zeros(1, [("a", "i4")])[0]}, "cannot be stored at s: a record of numpy's, which has fields"),
        (np.zeros(2, "V3"), "cannot be stored: an array of dtype |V3"),
        (np.zeros(2, np.longdouble), "cannot be stored: an array of dtype float128"),
        (np.longdouble(1), "cannot be stored: an array of dtype float128"),
        (np.str_("a\0"), "cannot be stored: a text of numpy's that ends with a null character"),
        (np.matrix([[1]]), "cannot be stored: a numpy.matrix"),
        (np.ma.array([1]), "cannot be stored: a numpy.ma.MaskedArray"),
        (np.array([1, Unknown()], dtype=object), f"cannot be stored at items.1: a {__name__}.Unknown"),
        (sparse.lil_matrix((2, 2)), "cannot be stored: a scipy.sparse._lil.lil_matrix"),
        ({"k": {range(3): 1}}, "cannot be stored at k.range(0, 3): a builtins.range as a key or an item of a set"),
        ({"k": {(1, Unknown): 1}}, f"cannot be stored at k.(1, <class '{__name__}.Unknown'>).1: a builtins.type"),
        ({"k": {range(3)}}, "cannot be stored at k.{}: a builtins.range as a key or an item of a set"),
        (slice(Unknown), "cannot be stored at stop: a builtins.type"),
        ({"t": int}, "cannot be stored at t: a builtins.type"),
    ],
)
def test_what_nobody_registered_is_refused_with_its_place(value, message):
    with pytest.raises(NotEncodable) as error:
        to_plain(value)
    assert str(error.value) == message


def test_what_was_removed_before_storing_is_a_text_that_says_so():
    assert back_from(redact.tree(to_plain({"token": "abc", "user": "me"}))) == {"token": "[redacted key]", "user": "me"}


def back_from(plain):
    return from_plain(decode(encode(plain)))


def test_what_holds_itself_is_refused():
    value = {"a": []}
    value["a"].append(value)
    with pytest.raises(NotEncodable) as error:
        to_plain(value)
    assert str(error.value) == "cannot be stored: nested too deep, or inside itself"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (Typed("numpy.array", ("|O", Array("<i8", (1,), bytes(8)))),
         "an array of dtype '|O', which is not one of those that are stored so"),
        (Typed("numpy.array", ("<U2\n", Array("<i8", (1,), bytes(8)))),
         "an array of dtype '<U2\\n', which is not one of those that are stored so"),
        (Typed("scipy.sparse", ["spmatrix", [1, 1]]), "a sparse matrix of class 'spmatrix'"),
    ],
)  # fmt: skip
def test_data_names_no_class(typed, message):
    with pytest.raises(ValueError) as error:
        from_plain(typed)
    assert str(error.value) == message


def test_a_key_that_cannot_be_kept_is_a_gap():
    gaps = []
    plain = to_plain({"a": {range(2): 1, 3: 4}}, lambda path, reason: gaps.append((path, reason)))
    assert plain == {"a": {3: 4}}
    assert gaps == [("a.range(0, 2)", "a builtins.range as a key or an item of a set")]


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
    from qarchive.providers.perceval import values as perceval_values
    from qarchive.providers.qiskit import values as qiskit_values

    read = {*qiskit_values._DECODERS, *qiskit_values._later()[1]}
    read_elsewhere = {"counts", "memory", "qiskit.instruction", "aer.instruction"}
    read_elsewhere |= {tag for tag in perceval_values._DECODERS if tag.startswith("perceval.")}
    assert read | read_elsewhere == TAGS
    assert read & read_elsewhere == set()


def test_importing_the_providers_loads_no_sdk():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import qarchive.providers.qiskit.aer, qarchive.providers.qiskit.backends; "
        "print([name for name in ('qiskit', 'qiskit_aer', 'numpy') if name in sys.modules])"
    )
    root = codec.__file__.rpartition("/qarchive/")[0]
    assert subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_long_array_that_is_read_backwards_comes_back():
    values = np.arange(300_000, dtype=float)[::-1]
    assert np.array_equal(Array.of(values).numpy(), values)
