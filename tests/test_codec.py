"""Canonical values: one encoding each, nothing else decodes, and hostile bytes are refused before they take memory."""

import math
import struct
import tracemalloc
from datetime import UTC, datetime

import msgpack
import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qarchive import codec
from qarchive.codec import MAX_DEPTH, decode, encode, links
from qarchive.errors import NewerFormat, NotCanonical, NotEncodable
from qarchive.values import CHUNK, ITEM_SIZES, Array, Chunked, Link, Timestamp, Typed

ONE, TWO = Link(b"\1" * 32), Link(b"\2" * 32)


@st.composite
def arrays(draw):
    dtype = draw(st.sampled_from(sorted(ITEM_SIZES)))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = math.prod(shape) * ITEM_SIZES[dtype]
    data = draw(st.binary(min_size=size, max_size=size))
    return Array(dtype, shape, bytes(byte & 1 for byte in data) if dtype == "|b1" else data)


numbers = st.integers() | st.integers(-(1 << 80), 1 << 80) | st.floats()
text = st.text(st.characters(exclude_categories=["Cs"]))
times = st.builds(Timestamp, st.integers(-(1 << 63), (1 << 63) - 1))
digests = st.builds(Link, st.binary(min_size=32, max_size=32))
scalars = st.none() | st.booleans() | numbers | text | st.binary() | st.complex_numbers() | arrays() | times | digests
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


def containers(inner):
    maps = st.dictionaries(text, inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
    typed = st.builds(Typed, st.sampled_from(["counts", "slice"]), inner)
    return st.lists(inner, max_size=5) | st.lists(inner, max_size=3).map(tuple) | maps | st.sets(keys, max_size=4) | typed


values = st.recursive(scalars, containers, max_leaves=20)


def same(one, other) -> bool:
    """Equal in value and type, where NaN equals NaN and -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    if type(one) is float:
        return one == other and math.copysign(1, one) == math.copysign(1, other) or one != one and other != other
    if type(one) is complex:
        return same(one.real, other.real) and same(one.imag, other.imag)
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) in (set, dict):
        ordered = [sorted(items, key=encode) for items in (one, other)]
        return same(*ordered) and (type(one) is set or same([one[key] for key in ordered[0]], [other[key] for key in ordered[1]]))
    if type(one) is Typed:
        return one.tag == other.tag and same(one.value, other.value)
    return one == other


def encodable(value) -> bytes | None:
    """Its bytes, or None where hypothesis put two NaN into one set."""
    try:
        return encode(value)
    except NotEncodable as error:
        assert error.reason == "a set or map that holds one item or key twice"
        return None


@settings(deadline=None)
@given(values)
def test_a_value_survives_encoding_and_decoding(value):
    encoded = encodable(value)
    assert encoded is None or same(decode(encoded), value)


@settings(deadline=None)
@given(st.dictionaries(text | keys, values, max_size=6), st.randoms())
def test_equal_maps_have_equal_bytes_whatever_the_order_of_their_keys(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert encodable(dict(items)) == encodable(value)


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"\xc7\x02\x02\x91\x90")
def test_bytes_that_decode_are_the_encoding_of_what_they_decode_to(data):
    try:
        value = decode(data)
        again = encode(value)
    except (NotCanonical, NewerFormat, NotEncodable) as error:
        assert type(error) is not NotEncodable or error.reason.endswith("is not registered")  # a later version's tag, kept
        return
    assert again == data


@settings(deadline=None)
@given(values, st.data())
def test_a_changed_encoding_is_refused_or_means_another_value(value, data):
    encoded = encodable(value)
    if encoded is None:
        return
    changed = bytearray(encoded)
    at = data.draw(st.integers(0, len(changed) - 1))
    byte = data.draw(st.integers(0, 255))
    how = data.draw(st.sampled_from(["replace", "remove", "insert"]))
    if how == "replace":
        changed[at] = byte
    elif how == "remove":
        del changed[at]
    else:
        changed.insert(at, byte)
    if changed == encoded:
        return
    try:
        assert not same(decode(bytes(changed)), value)
    except (NotCanonical, NewerFormat):
        pass


@pytest.mark.parametrize(("value", "message"), [
    (object(), "cannot be stored: a builtins.object"),
    ([0, {"a": object()}], "cannot be stored at 1.a: a builtins.object"),
    ({(1, 2): [{1.5: object()}]}, "cannot be stored at (1, 2).0.1.5: a builtins.object"),
    (Typed("counts", (object(),)), "cannot be stored at <counts>.0: a builtins.object"),
    (frozenset(), "cannot be stored: a builtins.frozenset"),
    (bytearray(), "cannot be stored: a builtins.bytearray"),
    (datetime(2024, 1, 1, tzinfo=UTC), "cannot be stored: a datetime.datetime"),
    ("\ud800", "cannot be stored: text with a lone surrogate"),
    ({"\udfff": 1}, "cannot be stored: text with a lone surrogate"),
    ({math.nan, float("nan")}, "cannot be stored: a set or map that holds one item or key twice"),
    ({math.nan: 1, float("nan"): 2}, "cannot be stored: a set or map that holds one item or key twice"),
    (Typed("os.system", "ls"), "cannot be stored: the type tag 'os.system' is not registered"),
    (Typed(["counts"], 1), "cannot be stored: a type tag that is no name"),
    (Link(b"short"), "cannot be stored: a link that is not 32 bytes"),
    (Link("x" * 32), "cannot be stored: a link that is not 32 bytes"),
    (Timestamp(1 << 63), "cannot be stored: a time beyond the years 1677 to 2262"),
    (Timestamp(0.5), "cannot be stored: a time beyond the years 1677 to 2262"),
    (Array("|O", (1,), b"x"), "cannot be stored: an array of dtype '|O'"),
    (Array("<f8", (2,), b"x"), "cannot be stored: an array of shape (2,) and dtype <f8 with 1 bytes"),
    (Array("|u1", (-1, -1), b"x"), "cannot be stored: an array whose shape is not a list of sizes"),
    (Array("|u1", [1], b"x"), "cannot be stored: an array whose shape is not a list of sizes"),
    (Array("|u1", (True,), b"x"), "cannot be stored: an array whose shape is not a list of sizes"),
    (Array("|u1", (1,) * 65, b"x"), "cannot be stored: an array whose shape is not a list of sizes"),
    (Array("|u1", ((1 << 24) + 1, 0), b""), "cannot be stored: an array without items whose other sizes are too large"),
    (Array("|b1", (1,), b"\2"), "cannot be stored: a boolean array with other bytes than 0 and 1"),
    (Chunked(5, (ONE,)), "cannot be stored: a chunked byte string with the wrong number of chunks"),
    (numpy.array(["a"]), "cannot be stored: an array of dtype <U1"),
    (bytes(CHUNK + 1), f"cannot be stored: a byte string of {CHUNK + 1} bytes, beyond {CHUNK}, where chunks cannot be stored"),
])  # fmt: skip
def test_what_cannot_be_read_back_is_refused_with_its_place(value, message):
    with pytest.raises(NotEncodable) as caught:
        encode(value)
    assert str(caught.value) == message


WRAPPERS = {
    "list": lambda value: [value],
    "map": lambda value: {"": value},
    "tuple": lambda value: (value,),
    "typed": lambda value: Typed("counts", value),
    "map with other keys": lambda value: {0: value},
}
INNERMOST = [[], {}, (), set(), 1j, 1 << 64, -(1 << 64), Timestamp(0), ONE, Typed("counts", 0)]


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
@pytest.mark.parametrize("innermost", INNERMOST, ids=repr)
def test_a_list_map_or_ext_value_stands_at_depth_64_and_no_deeper(wrap, innermost):
    value = innermost
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)
    assert same(decode(encode(value)), value)
    with pytest.raises(NotEncodable, match="nested more than 64 deep"):
        encode(wrap(value))


@pytest.mark.parametrize(
    ("value", "levels"),
    [
        (Array("|u1", (1,), b"x"), 2),
        (Chunked(4 * CHUNK + 1, (ONE,) * 5), 3),
        (Array("|u1", (4 * CHUNK + 1,), Chunked(4 * CHUNK + 1, (ONE,) * 5)), 4),
    ],
)
def test_parts_of_arrays_and_of_chunked_byte_strings_count_as_levels(value, levels):
    for _ in range(MAX_DEPTH - levels):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(NotEncodable, match="nested more than 64 deep"):
        encode([value])


def test_text_and_numbers_may_stand_below_the_deepest_list():
    value = [[1, "a", 0.5, None, True, b"b"]]
    for _ in range(MAX_DEPTH - 2):
        value = [value]
    assert decode(encode(value)) == value


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(NotEncodable) as caught:
        encode(value)
    assert str(caught.value) == f"cannot be stored at {'.'.join('0' * 64)}: nested more than 64 deep"


def test_a_blob_beyond_the_limit_is_refused_in_both_directions(monkeypatch):
    fits = encode("x" * 98)
    monkeypatch.setattr(codec, "MAX_BYTES", 100)
    assert decode(fits) == "x" * 98
    with pytest.raises(NotEncodable) as caught:
        encode("x" * 99)
    assert str(caught.value) == "cannot be stored: 101 bytes, more than a blob may have (100)"
    with pytest.raises(NotCanonical) as caught:
        decode(b"\xd9\x63" + b"x" * 99)
    assert str(caught.value) == "not canonical msgpack: 101 bytes, more than a blob may have (100)"


@pytest.mark.parametrize(("data", "message"), [
    ("c1", "FormatError"),
    ("0101", "unpack(b) received extra data."),
    ("cc01", "another encoding of the value exists"),
    ("d5029190", "an item or key that is a list, map or set, or in chunks"),
    ("d5039101", "a key without a value"),
    ("d40501", "another encoding of the value exists"),
    ("d4fe00", "ext type -2, which msgpack keeps for itself"),
    ("d60600000000", "an ext value of 4 bytes instead of 8"),
    ("d40700", "ext type 7 without its list of parts"),
    ("ddffffffff", "4294967295 exceeds max_array_len(5)"),
])  # fmt: skip
def test_refusals_say_what_is_wrong(data, message):
    with pytest.raises(NotCanonical) as caught:
        decode(bytes.fromhex(data))
    assert str(caught.value) == f"not canonical msgpack: {message}"


def test_an_ext_type_of_a_later_version_is_told_from_damage():
    with pytest.raises(NewerFormat) as caught:
        decode(bytes.fromhex("91d40b00"))
    reads = "this qarchive reads up to ext type 10; install a newer qarchive"
    assert str(caught.value) == f"a value has format ext type 11 and {reads}"


def test_a_tag_of_a_later_version_is_kept():
    assert decode(bytes.fromhex("d70a92a56c6174657201")) == Typed("later", 1)


@pytest.mark.parametrize("head", ["dd", "df", "c6", "db", "c9"])
def test_lengths_beyond_the_bytes_take_no_memory(head):
    data = (bytes.fromhex(head) + b"\xff" * 4) * 60
    tracemalloc.start()
    try:
        with pytest.raises(NotCanonical):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# Long byte strings


class Chunks(dict):
    """Where `spill` puts chunks and `fetch` finds them."""

    def spill(self, encoded):
        link = Link(codec.digest(encoded))
        self[link] = encoded
        return link

    def fetch(self, link):
        return self[link]


LONG_BYTES = b"qarchive" * (4 * CHUNK // 8) + b"!"


def test_a_long_byte_string_is_kept_in_chunks_of_8_mib_and_equal_ones_once():
    chunks = Chunks()
    encoded = encode([LONG_BYTES, b"short"], chunks.spill)
    first = decode(encoded)[0]
    assert first == Chunked(4 * CHUNK + 1, (first.links[0],) * 4 + (first.links[4],))
    assert sorted(map(len, chunks.values())) == [3, CHUNK + 5]
    assert list(links(decode(encoded))) == list(first.links)
    assert decode(encoded, chunks.fetch) == [LONG_BYTES, b"short"]


def test_a_long_array_is_read_into_writable_memory_and_its_neighbours_stay_bytes():
    chunks = Chunks()
    array = numpy.frombuffer(LONG_BYTES[: 4 * CHUNK] + b"\0" * 8, "<f8")
    encoded = encode([Array("|u1", (1,), b"x"), LONG_BYTES, array, LONG_BYTES], chunks.spill)
    small, before, long, after = decode(encoded, chunks.fetch)
    assert (small.data, type(before), type(after)) == (b"x", bytes, bytes)
    assert long.numpy().tobytes() == array.tobytes()
    assert long.numpy().flags.writeable


@pytest.mark.parametrize("chunk", [b"", b"\xc1", b"\x01", encode(b"x"), encode(bytes(CHUNK - 1)), encode("x" * CHUNK),
                                   b"\xc6" + struct.pack(">I", CHUNK) + bytes(CHUNK + 1)])  # fmt: skip
def test_chunks_of_other_bytes_are_refused(chunk):
    encoded = encode(Chunked(4 * CHUNK + 1, (ONE,) * 4 + (TWO,)))
    with pytest.raises(NotCanonical) as caught:
        decode(encoded, lambda link: chunk)
    assert str(caught.value) == f"not canonical msgpack: a chunk that is not the {CHUNK} bytes of its byte string from 0 on"


def test_booleans_in_chunks_are_checked_when_they_are_read():
    chunks = Chunks()
    chunked = decode(encode(b"\2" * (CHUNK + 1), chunks.spill))
    encoded = encode(Array("|b1", (CHUNK + 1,), chunked))
    with pytest.raises(NotCanonical) as caught:
        decode(encoded, chunks.fetch)
    assert str(caught.value) == "not canonical msgpack: a boolean array with other bytes than 0 and 1"


@pytest.mark.parametrize("value", [{LONG_BYTES}, {LONG_BYTES: 1}, {(1, LONG_BYTES): 1}], ids=["set", "map", "tuple"])
def test_what_would_be_in_chunks_is_no_key_and_no_item_of_a_set(value):
    with pytest.raises(NotEncodable) as caught:
        encode(value, Chunks().spill)
    assert str(caught.value).endswith(f"a byte string of {len(LONG_BYTES)} bytes, beyond {CHUNK}, where chunks cannot be stored")
    with pytest.raises(TypeError):
        hash(Array("|u1", (4 * CHUNK + 1,), Chunked(4 * CHUNK + 1, (ONE,) * 5)))


# Arrays, times, links


@settings(deadline=None)
@given(arrays())
def test_lists_of_an_array_are_those_of_numpy(array):
    assert repr(array.tolist()) == repr(array.numpy().tolist())
    assert array.numpy().dtype.str == array.dtype


@pytest.mark.parametrize("array", [
    numpy.arange(6).reshape(2, 3).T, numpy.arange(4, dtype=">i4"), numpy.float32(1.5), numpy.array(3), numpy.zeros((2, 0, 3)),
    numpy.array([True, False]), numpy.array([1 + 2j, -0.0]),
])  # fmt: skip
def test_numpy_arrays_keep_values_and_shape_whatever_their_layout(array):
    found = decode(encode(Array.of(array)))
    assert found.shape == array.shape
    assert found.numpy().tolist() == array.tolist()


def test_a_numpy_scalar_stays_one():
    assert decode(encode(numpy.float64(0.5))) == Typed("numpy.scalar", Array("<f8", (), struct.pack("<d", 0.5)))


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        ((1 << 63) - 1, "2262-04-11T23:47:16.854775807Z"),
        (-(1 << 63), "1677-09-21T00:12:43.145224192Z"),
    ],
)
def test_times_are_written_as_iso_text_in_utc(ns, text):
    assert str(Timestamp(ns)) == text


def test_a_time_is_exact_to_the_microsecond_and_has_a_zone():
    assert Timestamp.of(datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC)) == Timestamp(1709168523456789000)
    with pytest.raises(ValueError, match="^a time without a zone$"):
        Timestamp.of(datetime(2024, 2, 29))


def test_links_are_found_wherever_they_stand():
    value = {"a": [ONE, (TWO,)], "b": Typed("counts", {ONE: {TWO}}), "c": Chunked(4 * CHUNK + 1, (ONE,) * 5), "d": "e"}
    assert list(links(value)) == [ONE, TWO, ONE, TWO, *[ONE] * 5]


@pytest.mark.parametrize("around", [b"", b"\x91", b"\x81\xa1a", b"\x92\x01\x91", b"\xc7\x07\x01\x91"])
def test_msgpacks_own_time_is_refused_wherever_it_stands(around):
    """msgpack decodes its ext type -1 by itself, and would write it again."""
    with pytest.raises(NotCanonical):
        codec.decode(around + msgpack.packb(msgpack.Timestamp(5, 0)))
