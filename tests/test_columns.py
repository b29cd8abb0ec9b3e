"""Counts and memory as columns: exact, one form for equal contents with numpy and without, and checked when they are read."""

import struct
import subprocess
import sys
from random import Random

import numpy  # noqa: F401  loaded, it takes part
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import columns
from qarchive.codec import decode, encode
from qarchive.columns import SHORT, pack_counts, pack_memory, tally, unpack_counts, unpack_memory, unsigned
from qarchive.errors import NotCanonical
from qarchive.values import CHUNK, Array, Chunked, Link, Typed

hexadecimal = st.integers(0, 1 << 100).map(hex)
other = st.text(max_size=4)
states = st.lists(hexadecimal, unique=True) | st.lists(other, unique=True) | st.lists(hexadecimal | other, unique=True)
frequencies = st.integers(0, (1 << 64) - 1)
# Long enough for numpy, of any width, now and then with one that is written otherwise.
widths = st.sampled_from([1, 3, 8, 9, 16, 17, 31, 33, 63, 64])
many = st.tuples(widths, st.integers(SHORT + 1, 300), st.integers().map(Random))
odd = st.sampled_from(["0X1", "0x01", "0x00", "-0x1", "x", "0x", "0xg", "0x1x2", "00x1", "é", "", "0x10000000000000000", "1"])


def drawn(bits, size, random):
    return [hex(random.getrandbits(random.randint(1, bits))) for _ in range(size)]


@pytest.fixture(params=["numpy", "Python"])
def way(request, monkeypatch):
    if request.param == "Python":
        monkeypatch.setattr(columns, "_numpy", lambda: None)
    return request.param


def without_numpy(act, *args):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_numpy", lambda: None)
        return act(*args)


@settings(deadline=None)
@given(states.flatmap(lambda found: st.fixed_dictionaries(dict.fromkeys(found, frequencies))))
def test_counts_survive(counts):
    packed = pack_counts(counts)
    assert unpack_counts(decode(encode(packed))) == counts


@settings(deadline=None)
@given(many, st.lists(odd, max_size=1), st.lists(frequencies, min_size=1))
def test_many_counts_are_the_same_with_numpy_and_without(many, odd, numbers):
    found = {*drawn(*many), *odd}
    counts = {state: numbers[i % len(numbers)] for i, state in enumerate(found)}
    packed = pack_counts(counts)
    assert packed == without_numpy(pack_counts, counts)
    assert unpack_counts(packed) == without_numpy(unpack_counts, packed) == counts
    assert set(map(type, unpack_counts(packed).values())) == {int}


@settings(deadline=None)
@given(many, st.lists(odd, max_size=1))
def test_many_shots_are_the_same_with_numpy_and_without(many, odd):
    memory = drawn(*many) + odd
    many[2].shuffle(memory)
    packed = pack_memory(memory)
    assert packed == without_numpy(pack_memory, memory)
    assert unpack_memory(packed) == without_numpy(unpack_memory, packed) == memory
    counts = {state: memory.count(state) for state in memory}
    assert tally(packed) == without_numpy(tally, packed) == pack_counts(counts)


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


@settings(deadline=None)
@given(st.lists(st.sampled_from(["0x0", "0x3", "0x10"]), max_size=50) | st.lists(st.text(max_size=2), max_size=50))
def test_a_memory_tells_its_counts(memory):
    assert unpack_counts(tally(pack_memory(memory))) == {state: memory.count(state) for state in memory}


@pytest.mark.parametrize(("top", "dtype"), [(0, "|u1"), (255, "|u1"), (256, "<u2"), (65535, "<u2"), (65536, "<u4"),
                                            ((1 << 32) - 1, "<u4"), (1 << 32, "<u8"), ((1 << 64) - 1, "<u8")])  # fmt: skip
def test_a_column_is_as_narrow_as_its_largest_number(top, dtype, way):
    assert (unsigned([0, top]).dtype, unsigned([0, top]).flat()) == (dtype, [0, top])
    counts = {hex(state): 0 for state in range(SHORT)} | {hex(1 << 40): top}
    assert pack_counts(counts).value[2] == unsigned([0] * SHORT + [top])


def test_states_are_steps_and_65_qubits_are_rows_of_bytes():
    assert pack_counts({"0x10": 1, "0x2": 2, "0x1": 300}) == Typed("counts", [1, [1, 14], [300, 2, 1]])
    assert pack_counts({}) == Typed("counts", [[], []])
    assert pack_counts({hex(1 << 64): 7}).value[0] == Array("|u1", (1, 9), b"\x01" + bytes(8))
    assert pack_memory(["0x3", "0x0", "0x3"]) == Typed("memory", [0, [3], [1, 0, 1]])


def test_a_column_of_more_than_32_numbers_is_an_array(way):
    one = {hex(3 * state): state for state in range(SHORT + 1)}
    assert pack_counts(one).value == [0, [3] * SHORT, Array("|u1", (SHORT + 1,), bytes(range(SHORT + 1)))]
    one["0x1000"] = 1
    assert pack_counts(one).value[1] == Array("<u2", (33,), struct.pack("<33H", *[3] * SHORT, 4096 - 96))
    assert pack_memory(["0x1"] * 32).value == [1, [], [0] * 32]
    assert pack_memory(["0x1"] * 33).value == [1, [], Array("|u1", (33,), bytes(33))]


@pytest.mark.parametrize("states", [["0X1"], ["0x01"], ["-0x1"], ["0x1_0"], ["1"], ["0xG"], ["0x1", "01"], [" 0x1"], ["0xAB"]])
def test_states_that_hex_would_write_otherwise_stay_text(states, way):
    in_order = sorted(states, key=lambda state: (len(state), state))
    counts = dict.fromkeys(states, 1)
    assert pack_counts(counts).value[0] == in_order
    assert unpack_counts(pack_counts(counts)) == counts
    assert pack_memory(states * 40).value[0] == in_order
    assert unpack_memory(pack_memory(states * 40)) == states * 40


class Text(str):
    """As numpy's own text is one."""


class Number(int):
    pass


@pytest.mark.parametrize("filling", [0, 40])
@pytest.mark.parametrize("counts", [{"0x0": 0.5}, {"0x0": -1}, {"0x0": 1 << 64}, {"0x0": True}, {0: 1}, {"0x0": None},
                                    {Text("0x0"): 1}, {"0x0": Number(1)}, {b"0x0": 1}])  # fmt: skip
def test_what_is_no_counts_is_left_alone(counts, filling, way):
    assert pack_counts(counts | {hex(state + 1): state for state in range(filling)}) is None


@pytest.mark.parametrize("filling", [0, 40])
@pytest.mark.parametrize("shot", [["0x0"], 0, 48, 163, None, Text("0x0"), b"0x0"])
def test_what_is_no_memory_is_left_alone(shot, filling, way):
    assert pack_memory(["0x1"] * filling + [shot]) is None


def test_columns_are_read_without_loading_numpy():
    code = """if True:
        import sys
        from qarchive.columns import pack_counts, pack_memory, tally, unpack_counts, unpack_memory
        counts = {hex(state): 1 for state in range(1000)}
        assert unpack_counts(pack_counts(counts)) == unpack_counts(tally(pack_memory(list(counts)))) == counts
        assert unpack_memory(pack_memory(list(counts))) == list(counts)
        assert "numpy" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def column(*numbers, dtype="|u1"):
    return Array(dtype, (len(numbers),), bytes(numbers))


LATER = Array("|u1", (4 * CHUNK + 1,), Chunked(4 * CHUNK + 1, (Link(bytes(32)),) * 5))
HALF = Array("<u8", (40,), struct.pack("<40Q", *[1 << 63] * 40))


def test_columns_of_before_the_release_are_read(way):
    assert unpack_counts(Typed("counts", [column(0, 3, 17), column(5, 6, 7)])) == {"0x0": 5, "0x3": 6, "0x11": 7}
    assert unpack_memory(Typed("memory", [column(0, 3), column(*[1, 0] * 20)])) == ["0x3", "0x0"] * 20


@pytest.mark.parametrize(("value", "message"), [
    (None, "counts that are not two columns"),
    ([], "counts that are not two columns"),
    ([column(1)], "counts that are not two columns"),
    ([1, [], [1], [1]], "counts that are not two columns"),
    ((column(1), column(1)), "counts that are not two columns"),
    ([column(1), [-1]], "counts that are not two columns"),
    ([column(1), [True]], "counts that are not two columns"),
    ([column(1), [1 << 64]], "counts that are not two columns"),
    ([column(*range(33)), list(range(33))], "counts that are not two columns"),
    ([column(1), Array("|i1", (1,), b"\xff")], "counts that are not two columns"),
    ([column(1), Array("|u1", (1, 1), b"\1")], "counts that are not two columns"),
    ([column(1), LATER], "counts that are not two columns"),
    ([LATER, column(1)], "counts whose states are neither text nor numbers"),
    ([None, column()], "counts whose states are neither text nor numbers"),
    ([["a", 1], column(1, 2)], "counts whose states are neither text nor numbers"),
    ([[1, 2], column(1, 2)], "counts whose states are neither text nor numbers"),
    ([Array("<f4", (1,), bytes(4)), column(1)], "counts whose states are neither text nor numbers"),
    ([Array("|u1", (1, 0), b""), column(1)], "counts whose states are neither text nor numbers"),
    ([Array("|u1", (1, 8), bytes(8)), column(1)], "counts whose states are neither text nor numbers"),
    ([Array("|u1", (1, 9, 1), bytes(9)), column(1)], "counts whose states are neither text nor numbers"),
    ([-1, [], [1]], "counts whose states are neither text nor numbers"),
    ([1 << 64, [], [1]], "counts whose states are neither text nor numbers"),
    ([True, [], [1]], "counts whose states are neither text nor numbers"),
    ([None, [], [1]], "counts whose states are neither text nor numbers"),
    ([0, None, [1]], "counts whose states are neither text nor numbers"),
    ([0, LATER, [1]], "counts whose states are neither text nor numbers"),
    ([0, [-1], [1, 1]], "counts whose states are neither text nor numbers"),
    ([0, [0], [1, 1]], "counts whose states are not in order"),
    ([0, column(*[1] * 39, 0), column(*range(41))], "counts whose states are not in order"),
    ([1, [(1 << 64) - 1], [1, 1]], "counts whose states are not in order"),
    ([0, HALF, column(*range(41))], "counts whose states are not in order"),
    ([column(1, 1), column(1, 2)], "counts that list a state twice"),
    ([["a", "a"], column(1, 2)], "counts that list a state twice"),
    ([Array("|u1", (2, 9), bytes(18)), column(1, 2)], "counts that list a state twice"),
    ([column(1, 2), column(1)], "counts of 2 states with 1 numbers"),
    ([column(1), column(1, 2)], "counts of 1 states with 2 numbers"),
    ([1, [], [1, 2]], "counts of 1 states with 2 numbers"),
    ([1, column(*[1] * 40), column(*[1] * 40)], "counts of 41 states with 40 numbers"),
])  # fmt: skip
def test_columns_of_another_shape_are_refused(value, message, way):
    with pytest.raises(NotCanonical) as caught:
        unpack_counts(Typed("counts", value))
    assert str(caught.value) == f"not canonical msgpack: {message}"


@pytest.mark.parametrize(("value", "index", "size"), [
    ([column(0, 3), column(0, 1, 2)], 2, 2),
    ([0, [3], [0, 1, 2]], 2, 2),
    ([["a"], column(*range(40))], 39, 1),
    ([0, [], Array("<u8", (40,), struct.pack("<40Q", *[(1 << 64) - 1] * 40))], (1 << 64) - 1, 1),
])  # fmt: skip
def test_an_index_beyond_the_states_is_refused(value, index, size, way):
    for read in (unpack_memory, tally):
        with pytest.raises(NotCanonical) as caught:
            read(Typed("memory", value))
        assert str(caught.value) == f"not canonical msgpack: memory with the index {index} into {size} states"
    assert unpack_memory(Typed("memory", [column(), column()])) == []


def test_a_memory_whose_columns_are_wider_than_they_need_is_read(way):
    wide = Array("<u8", (40,), struct.pack("<40Q", *[1, 0] * 20))
    assert unpack_memory(Typed("memory", [0, [3], wide])) == ["0x3", "0x0"] * 20
    assert unpack_counts(tally(Typed("memory", [0, [3], wide]))) == {"0x0": 20, "0x3": 20}
