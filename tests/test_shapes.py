"""Shapes: what fits one is canonical and right, and its fields are those that decoding it would give."""

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import codec, records
from qarchive.errors import NewerFormat, NotCanonical
from qarchive.shapes import LONGEST, Shapes
from qarchive.values import Array, Link, Timestamp, Typed

LINK = Link(bytes(range(32)))
EXAMPLES = [
    records.job_record(provider="aer", kind="simulator", backend="aer_simulator", input=LINK, config=LINK, shots=1024, size=1,
                       names=["bell"], labels={"tags": ["paper"], "group": "vqe", "params": {"x": 0.25, "t": (1, 2)}}),
    records.outcome_record(job=LINK, attempt=LINK, status="DONE", provider_status="DONE", provider_job="p", result=LINK,
                           volatile={"time_s": 0.25, "steps": 70_000, "small": 200, "none": None, "seed": 1 << 60}, error=None,
                           usage={"qpu_s": -3, "large": 1 << 40, "none": float("nan"), "most": float("inf")}, gaps=[]),
    records.restored_record([LINK, Link(bytes(32))], job=LINK),
    {"a": 1, "b": [0.5, "text", "Grüße", True, None, b"bytes"], "c": {"type": "inner", "n": 300}, "type": "config"},
    {"array": Typed("numpy.scalar", Array("<f8", (), b"\0" * 8)), "c": 1 + 2j, "at": Timestamp(5), "s": {1, 2}, "type": "x"},
]  # fmt: skip
WANTED = frozenset({"type", "job", "labels", "status", "created", "volatile", "usage", "a", "c", "at", "removals"})


@pytest.mark.parametrize("value", EXAMPLES)
def test_whatever_fits_a_shape_is_canonical_and_right_and_has_the_fields_that_are_cut_out(value):
    encoded, shapes = codec.encode(value), Shapes(WANTED)
    assert shapes.find(encoded) is None
    shapes.learn(encoded)
    right, fitting = records.wrong(value) is None, 0
    for at in range(len(encoded)):
        for byte in {0, 0x7F, 0xC0, 0xFF, *(encoded[at] ^ (1 << bit) for bit in (0, 3, 5, 7))}:
            other = encoded[:at] + bytes([byte]) + encoded[at + 1 :]
            if (shape := shapes.find(other)) is None:
                continue
            fitting += 1
            found = codec.decode(other)
            assert (records.wrong(found) is None) == right
            assert shape.cut(other) == codec.encode({key: found[key] for key in found if key in WANTED})
    assert fitting > 50


NUMBERS = st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
LINKS = st.builds(Link, st.binary(min_size=32, max_size=32))
VALUES = st.recursive(
    st.none() | NUMBERS | st.text(max_size=6) | st.binary(max_size=6) | LINKS | st.tuples(LINKS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a", "bb"]), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(value=VALUES, changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=3))
def test_shapes_of_any_values_take_in_canonical_ones_only(value, changes):
    shapes, encoded = Shapes(), codec.encode({"a": value})
    shapes.learn(encoded)
    other = bytearray(encoded)
    for at, byte in changes:
        other[at % len(other)] = byte
    try:
        codec.decode(bytes(other))
    except (NotCanonical, NewerFormat):
        assert shapes.find(bytes(other)) is None


@settings(max_examples=40, deadline=None)
@given(numbers=st.tuples(NUMBERS, NUMBERS))
def test_of_two_numbers_of_one_form_the_shape_of_one_takes_in_the_other_only_if_it_is_written_so(numbers):
    shapes = Shapes()
    one, other = (msgpack.packb({"a": number}) for number in numbers)
    shapes.learn(codec.encode({"a": numbers[0]}))
    if shapes.find(other) is not None:
        assert codec.encode(codec.decode(other)) == other and one[:3] == other[:3] or one[2] < 0x80 > other[2]


def test_numbers_of_a_form_need_few_shapes():
    shapes, learned = Shapes(), 0
    for seed in range(1 << 16, 1 << 32, (1 << 32) // 1000):
        encoded = codec.encode({"seed": seed})
        if shapes.find(encoded) is None:
            shapes.learn(encoded)
            learned += 1
    assert learned <= 16


def test_of_one_length_those_learned_last_are_kept_and_long_values_are_not():
    shapes = Shapes()
    encoded = [codec.encode({"type": f"{number:04}"}) for number in range(100)]
    for each in encoded:
        shapes.learn(each)
    assert [shapes.find(each) is not None for each in encoded] == [False] * 36 + [True] * 64
    long = codec.encode({"a": "x" * LONGEST})
    shapes.learn(long)
    assert shapes.find(long) is None
