"""Counts and memory as columns: exact, one form for equal contents, and checked when they are read."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.codec import decode, encode
from qarchive.columns import pack_counts, pack_memory, unpack_counts, unpack_memory, unsigned
from qarchive.errors import NotCanonical
from qarchive.values import CHUNK, Array, Chunked, Link, Typed

hexadecimal = st.integers(0, 1 << 100).map(hex)
other = st.text(max_size=4)
states = st.lists(hexadecimal, unique=True) | st.lists(other, unique=True) | st.lists(hexadecimal | other, unique=True)
frequencies = st.integers(0, (1 << 64) - 1)


@settings(deadline=None)
@given(states.flatmap(lambda found: st.fixed_dictionaries(dict.fromkeys(found, frequencies))))
def test_counts_survive(counts):
    packed = pack_counts(counts)
    assert unpack_counts(decode(encode(packed))) == counts


@settings(deadline=None)
@given(st.dictionaries(hexadecimal, frequencies), st.randoms())
def test_equal_counts_are_equal_blobs_whatever_their_order(counts, random):
    items = list(counts.items())
    random.shuffle(items)
    assert encode(pack_counts(dict(items))) == encode(pack_counts(counts))


@settings(deadline=None)
@given(st.lists(hexadecimal | st.sampled_from(["0x0", "0x3"]), max_size=50) | st.lists(st.text(max_size=3)))
def test_memory_survives_in_the_order_of_shots(memory):
    assert unpack_memory(decode(encode(pack_memory(memory)))) == memory


@pytest.mark.parametrize(("top", "dtype"), [(0, "|u1"), (255, "|u1"), (256, "<u2"), (65535, "<u2"), (65536, "<u4"),
                                            ((1 << 32) - 1, "<u4"), (1 << 32, "<u8"), ((1 << 64) - 1, "<u8")])  # fmt: skip
def test_a_column_is_as_narrow_as_its_largest_number(top, dtype):
    assert (unsigned([0, top]).dtype, unsigned([0, top]).flat()) == (dtype, [0, top])


def test_states_are_in_order_and_65_qubits_are_rows_of_bytes():
    assert pack_counts({"0x10": 1, "0x2": 2, "0x1": 300}) == Typed("counts", [
        Array("|u1", (3,), b"\x01\x02\x10"), Array("<u2", (3,), struct.pack("<3H", 300, 2, 1))])  # fmt: skip
    assert pack_counts({hex(1 << 64): 7}).value[0] == Array("|u1", (1, 9), b"\x01" + bytes(8))
    assert pack_memory(["0x3", "0x0", "0x3"]) == Typed("memory", [Array("|u1", (2,), b"\0\3"), Array("|u1", (3,), b"\1\0\1")])


@pytest.mark.parametrize("states", [["0X1"], ["0x01"], ["-0x1"], ["0x1_0"], ["1"], ["0xG"], ["0x1", "01"], [" 0x1"], ["0xAB"]])
def test_states_that_hex_would_write_otherwise_stay_text(states):
    counts = dict.fromkeys(states, 1)
    assert pack_counts(counts).value[0] == sorted(states, key=lambda state: (len(state), state))
    assert unpack_counts(pack_counts(counts)) == counts


@pytest.mark.parametrize("counts", [{"0x0": 0.5}, {"0x0": -1}, {"0x0": 1 << 64}, {"0x0": True}, {0: 1}, {"0x0": None}])
def test_what_is_no_counts_is_left_alone(counts):
    assert pack_counts(counts) is None


def test_what_is_no_memory_is_left_alone():
    assert pack_memory([["0x0"]]) is None
    assert pack_memory([0]) is None


def column(*numbers, dtype="|u1"):
    return Array(dtype, (len(numbers),), bytes(numbers))


LATER = Array("|u1", (4 * CHUNK + 1,), Chunked(4 * CHUNK + 1, (Link(bytes(32)),) * 5))


@pytest.mark.parametrize(("value", "message"), [
    (None, "counts that are not two columns"),
    ([], "counts that are not two columns"),
    ([column(1)], "counts that are not two columns"),
    ((column(1), column(1)), "counts that are not two columns"),
    ([column(1), [1]], "counts that are not two columns"),
    ([column(1), Array("|i1", (1,), b"\xff")], "counts that are not two columns"),
    ([column(1), Array("|u1", (1, 1), b"\1")], "counts that are not two columns"),
    ([column(1), LATER], "counts that are not two columns"),
    ([LATER, column(1)], "counts whose states are neither text nor numbers"),
    ([None, column()], "counts whose states are neither text nor numbers"),
    ([["a", 1], column(1, 2)], "counts whose states are neither text nor numbers"),
    ([Array("<f4", (1,), bytes(4)), column(1)], "counts whose states are neither text nor numbers"),
    ([Array("|u1", (1, 0), b""), column(1)], "counts whose states are neither text nor numbers"),
    ([Array("|u1", (1, 8), bytes(8)), column(1)], "counts whose states are neither text nor numbers"),
    ([Array("|u1", (1, 9, 1), bytes(9)), column(1)], "counts whose states are neither text nor numbers"),
    ([column(1, 1), column(1, 2)], "counts that list a state twice"),
    ([["a", "a"], column(1, 2)], "counts that list a state twice"),
    ([Array("|u1", (2, 9), bytes(18)), column(1, 2)], "counts that list a state twice"),
    ([column(1, 2), column(1)], "counts of 2 states with 1 numbers"),
    ([column(1), column(1, 2)], "counts of 1 states with 2 numbers"),
])  # fmt: skip
def test_columns_of_another_shape_are_refused(value, message):
    with pytest.raises(NotCanonical) as caught:
        unpack_counts(Typed("counts", value))
    assert str(caught.value) == f"not canonical msgpack: {message}"


def test_an_index_beyond_the_states_is_refused():
    with pytest.raises(NotCanonical) as caught:
        unpack_memory(Typed("memory", [column(0, 3), column(0, 1, 2)]))
    assert str(caught.value) == "not canonical msgpack: memory with the index 2 into 2 states"
    assert unpack_memory(Typed("memory", [column(), column()])) == []
