"""Shapes: what fits one is canonical and right, and its links and fields are those that decoding it would give."""

import os

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import codec, records
from qarchive.errors import NewerFormat, NotCanonical
from qarchive.shapes import LONGEST, Shapes
from qarchive.values import Array, Link, Timestamp, Typed

TORTURE = "QARCHIVE_TORTURE" in os.environ
LINK = Link(bytes(range(32)))
RECORDS = [
    records.job_record(provider="aer", kind="simulator", backend="aer_simulator", input=LINK, config=LINK, shots=1024, size=1,
                       names=["bell"], labels={"tags": ["paper"], "group": "vqe", "params": {"x": 0.25, "t": (1, 2)}}),
    records.outcome_record(job=LINK, attempt=LINK, status="DONE", provider_status="DONE", provider_job="p", result=LINK,
                           volatile={"time_s": 0.25, "steps": 70_000, "small": 200, "none": None, "seed": 1 << 60}, error=None,
                           usage={"qpu_s": -3, "large": 1 << 40, "none": float("nan"), "most": float("inf")}, gaps=[]),
    records.restored_record([LINK, Link(bytes(32))], job=LINK),
]  # fmt: skip
VALUES = [
    {"a": 1, "b": [0.5, "text", "Grüße", True, None, b"bytes"], "c": {"type": "inner", "n": 300}, "type": "config",
     "at": Timestamp(5)},
    {"array": Typed("numpy.scalar", Array("<f8", (), b"\0" * 8)), "c": 1 + 2j, "s": {1, 2}, "type": "x", "link": LINK},
]  # fmt: skip
WANTED = frozenset({"type", "job", "labels", "status", "created", "volatile", "usage", "a", "c", "at", "removals"})


def learned(encoded, *about, wanted=()):
    """Shapes that know one value: a length is learned when it comes again."""
    shapes = Shapes(wanted)
    shapes.learn(encoded, *about)
    assert shapes.find(encoded) is None
    shapes.learn(encoded, *about)
    return shapes


def about(record):
    """The key under which a record says what it is about."""
    return None if record["type"] in ("job", "group") else b"group" if records.is_of_group(record) else b"job"


@pytest.mark.parametrize("value", [*RECORDS, *VALUES])
def test_whatever_fits_a_shape_is_canonical_and_right_with_the_links_and_fields_that_are_said(value):
    encoded = codec.encode(value)
    shapes = learned(encoded, *((about(value),) if value in RECORDS else ()), wanted=WANTED)
    assert shapes.find(encoded).links(encoded) == codec.decode_linked(encoded)[1]
    right, fitting = records.wrong(value) is None, 0
    assert right == (value in RECORDS)
    for at in range(len(encoded)):
        flipped = {encoded[at] ^ (1 << bit) for bit in (0, 3, 5, 7)}
        for byte in {0, 1, 9, 0x7F, 0x80, 0xC0, 0xC7, 0xF8, 0xFF, *flipped}:
            other = encoded[:at] + bytes([byte]) + encoded[at + 1 :]
            if (shape := shapes.find(other)) is None:
                continue
            fitting += 1
            found, exactly = codec.decode_linked(other)
            assert (records.wrong(found) is None) == right
            assert shape.links(other) == exactly
            assert shape.cut(other) == codec.encode({key: found[key] for key in found if key in WANTED})
            if right:
                subject = records.subject_of(b"itself", found)
                assert subject == (exactly[shape.about] if shape.about >= 0 else b"itself")
    assert fitting > 50


NUMBERS = st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
LINKS = st.builds(Link, st.binary(min_size=32, max_size=32))
ANY = st.recursive(
    st.none() | NUMBERS | st.text(max_size=6) | st.binary(max_size=6) | LINKS | st.tuples(LINKS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a", "bb"]), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=2000 if TORTURE else 80, deadline=None)
@given(value=ANY, changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=3))
def test_shapes_of_any_values_take_in_canonical_ones_only(value, changes):
    encoded = codec.encode({"a": value})
    shapes, other = learned(encoded, wanted={"a"}), bytearray(encoded)
    for at, byte in changes:
        other[at % len(other)] = byte
    other = bytes(other)
    try:
        found, links = codec.decode_linked(other)
    except (NotCanonical, NewerFormat):
        assert shapes.find(other) is None
    else:
        if (shape := shapes.find(other)) is not None:
            assert shape.links(other) == links and shape.cut(other) == codec.encode({"a": found["a"]} if "a" in found else {})


@settings(max_examples=40, deadline=None)
@given(numbers=st.tuples(NUMBERS, NUMBERS))
def test_of_two_numbers_of_one_form_the_shape_of_one_takes_in_the_other_only_if_it_is_written_so(numbers):
    one, other = (msgpack.packb({"a": number}) for number in numbers)
    if learned(codec.encode({"a": numbers[0]})).find(other) is not None:
        assert codec.encode(codec.decode(other)) == other and one[:3] == other[:3] or one[2] < 0x80 > other[2]


def test_what_has_links_that_must_not_differ_has_no_shape():
    encoded = codec.encode({"t": {Link(bytes(32))}})
    assert learned(encoded).find(encoded) is None


def test_the_bytes_of_large_arrays_are_not_looked_at():
    encoded = codec.encode({"a": Array("<f8", (4000,), bytes(32_000)), "b": [Link(bytes(32))]})
    shape = learned(encoded).find(encoded)
    assert shape.mask.bit_length() < 8 * 200
    other = codec.encode({"a": Array("<f8", (4000,), os.urandom(32_000)), "b": [Link(b"l" * 32)]})
    assert shape.fits(other) and shape.links(other) == [b"l" * 32]
    booleans = codec.encode(Array("|b1", (100,), bytes(100)))
    assert not learned(booleans).find(booleans).fits(booleans[:-1] + b"\2")


def test_only_as_many_shapes_are_learned_as_are_of_use_and_none_of_long_values():
    shapes = Shapes()
    for number in range(1000):
        for _ in range(2):
            shapes.learn(codec.encode("é" * (number + 1)))
    assert sum(shapes.find(codec.encode("é" * (number + 1))) is not None for number in range(1000)) == 32
    long = codec.encode({"a": "é" * LONGEST})
    assert learned(long).find(long) is None


def test_numbers_of_a_form_need_few_shapes():
    shapes, many = Shapes(), 0
    for seed in range(1 << 16, 1 << 32, (1 << 32) // 1000):
        encoded = codec.encode({"seed": seed})
        if shapes.find(encoded) is None:
            shapes.learn(encoded)
            many += 1
    assert many <= 16
