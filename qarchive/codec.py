"""Canonical msgpack: each value has one encoding, and nothing else decodes.

`spec/format.md`, "Values", is the contract. Plain msgpack allows many encodings of one value, so equal values would
have unequal digests; this module writes one of them and refuses the others.
"""

import hashlib
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time_ns

import msgpack

from .errors import NewerFormat, NotCanonical, NotEncodable

MAX_DEPTH = 64
MAX_BYTES = 1 << 30  # of one blob, uncompressed
LONG = 32 << 20  # a byte string beyond this is kept in chunks
CHUNK = 8 << 20

TUPLE, SET, MAP, COMPLEX, BIGINT, TIMESTAMP, ARRAY, CHUNKED, LINK, TYPED = range(1, 11)

ITEM_SIZES = {"|b1": 1, "|i1": 1, "|u1": 1, "<i2": 2, "<u2": 2, "<i4": 4, "<u4": 4, "<i8": 8, "<u8": 8,
              "<f2": 2, "<f4": 4, "<f8": 8, "<c8": 8, "<c16": 16}  # fmt: skip
STRUCT_CODES = {"|b1": "?", "|i1": "b", "|u1": "B", "<i2": "h", "<u2": "H", "<i4": "i", "<u4": "I", "<i8": "q", "<u8": "Q",
                "<f2": "e", "<f4": "f", "<f8": "d", "<c8": "f", "<c16": "d"}  # fmt: skip

# The closed registry of type tags: what may be written. `spec/format.md` says what each one holds.
TAGS = frozenset(
    """
    counts memory columns redacted
    numpy.scalar datetime slice range
    aer.Statevector aer.DensityMatrix aer.Operator aer.SuperOp aer.StabilizerState aer.NoiseModel aer.QuantumError
    aer.ReadoutError aer.PauliLindbladError aer.instruction aer.AerStatevector aer.AerDensityMatrix
    qiskit.Clifford qiskit.Pauli qiskit.PauliList qiskit.SparsePauliOp qiskit.SparseObservable
    qiskit.Statevector qiskit.DensityMatrix qiskit.Operator qiskit.SuperOp qiskit.Kraus qiskit.StabilizerState
    qiskit.Counts qiskit.ProbDistribution qiskit.QuasiDistribution qiskit.MeasLevel qiskit.MeasReturnType
    qiskit.Result qiskit.ParameterKey qiskit.instruction
    """.split()
)
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}\Z")
_SCALARS = frozenset({str, bool, type(None)})


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment: `ns` nanoseconds since 1970-01-01 UTC, a signed 64-bit integer."""

    ns: int

    @classmethod
    def now(cls) -> "Timestamp":
        return cls(time_ns())

    @classmethod
    def of(cls, moment: datetime) -> "Timestamp":
        """From an aware datetime; a naive one raises ValueError, since its zone would be a guess."""
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return cls((delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000)

    def __str__(self) -> str:
        seconds, ns = divmod(self.ns, 1_000_000_000)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """A reference to another blob by its digest, 32 bytes."""

    digest: bytes

    def __str__(self) -> str:
        return self.digest.hex()


@dataclass(frozen=True, slots=True)
class Typed:
    """A value with a tag from the closed registry, which says how a provider module reads it."""

    tag: str
    value: object


@dataclass(frozen=True, slots=True)
class Chunked:
    """A long byte string kept in other blobs: its length in bytes and links to pieces of 8 MiB, in order."""

    length: int
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """An n-dimensional array: numpy's dtype string, its shape, and its bytes in C order, little-endian.

    `data` is a view of the original where a copy would double the memory, and `Chunked` when it was not fetched.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes | bytearray | memoryview | Chunked

    @classmethod
    def of(cls, array) -> "Array":
        """From a numpy array or scalar. Raises NotEncodable for dtypes outside the list (objects, text, dates)."""
        dtype = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
        if dtype.str not in ITEM_SIZES:
            raise NotEncodable(f"an array of dtype {array.dtype}")
        array = array.astype(dtype, copy=False)
        data = array.tobytes() if array.nbytes <= LONG else memoryview(array.reshape(-1).view("|u1"))
        return cls(dtype.str, tuple(array.shape), data)

    def numpy(self):
        """A writable numpy array; what was read from chunks is not copied again."""
        import numpy

        data = self.data if type(self.data) is bytearray else bytearray(self.data)
        return numpy.frombuffer(data, dtype=self.dtype).reshape(self.shape)

    def flat(self) -> list:
        """All items in C order as Python numbers, without numpy."""
        items = memoryview(self.data).cast("B")
        code = STRUCT_CODES[self.dtype]
        numbers = list(struct.unpack(f"<{len(items) // struct.calcsize('<' + code)}{code}", items))
        return [complex(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)] if "c" in self.dtype else numbers

    def tolist(self):
        """Nested lists of Python numbers, or one number for a shape of ()."""
        items = self.flat()
        if not self.shape:
            return items[0]
        for width in reversed(self.shape[1:]):
            items = [items[i : i + width] for i in range(0, len(items), width)] if width else [[] for _ in range(math.prod(self.shape[:-1]))]
        return items


def digest(encoded: bytes) -> bytes:
    """SHA-256 of a blob's canonical bytes: its name everywhere."""
    return hashlib.sha256(encoded).digest()


def encode(value: object, spill: Callable[[bytes], Link] | None = None) -> bytes:
    """The canonical bytes of `value`.

    `spill` stores one piece of a byte string beyond 32 MiB (its argument is the piece's canonical bytes) and returns
    the link to it; without it such a value is refused. Raises NotEncodable, with the path inside the value.
    """
    return _encode(value, spill, TAGS)


def decode(encoded: bytes, fetch: Callable[[Link], bytes] | None = None) -> object:
    """The value of canonical bytes; raises NotCanonical for anything that `encode` would not have written.

    Maps become dict, arrays `Array`, links `Link`. `fetch` answers the canonical bytes of a chunk; without it long byte
    strings stay `Chunked`. Type tags that this version does not know stay as `Typed` values.
    """
    if len(encoded) > MAX_BYTES:
        raise NotCanonical(f"{len(encoded)} bytes, more than a blob may have")
    try:
        decoder = _Decoder()
        value = decoder.unpack(encoded)
        again = _encode(value, None, None)
    except NotEncodable as error:
        raise NotCanonical(error.reason) from None
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise NotCanonical(str(error) or type(error).__name__) from None
    if again != encoded:
        raise NotCanonical("another encoding of the value exists")
    return value if fetch is None or not decoder.chunked else _Decoder(fetch).unpack(encoded)


def links(value: object) -> Iterator[Link]:
    """Every link inside a decoded value, chunks of long byte strings included, in order, with repetitions."""
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is Link:
            yield item
        elif kind is dict:
            pending.extend(reversed(item.values()))
            pending.extend(key for key in item if type(key) is not str)
        elif kind in (list, tuple):
            pending.extend(reversed(item))
        elif kind is set:
            pending.extend(item)
        elif kind is Typed:
            pending.append(item.value)
        elif kind is Chunked:
            yield from item.links
        elif kind is Array and type(item.data) is Chunked:
            yield from item.data.links


def _encode(value, spill, tags) -> bytes:
    try:
        return msgpack.packb(_plain(value, 1, spill, tags), strict_types=True)
    except UnicodeEncodeError:
        raise NotEncodable("text with a lone surrogate") from None
    except (RecursionError, MemoryError) as error:
        raise NotEncodable(str(error) or type(error).__name__) from None


def _plain(value, depth, spill, tags):
    """`value` as msgpack's packer writes it canonically: sorted maps, one NaN, ext types packed."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is float:
        return value if value == value else math.nan
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 64 else msgpack.ExtType(BIGINT, _bigint(value))
    if kind is bytes:
        return value if len(value) <= LONG else _plain(_chunk(value, spill), depth, spill, tags)
    if depth > MAX_DEPTH:
        raise NotEncodable(f"nested more than {MAX_DEPTH} deep")
    inner = depth + 1
    if kind is dict:
        try:
            keys = sorted(value)  # code point order is the order of UTF-8 bytes
            if all(type(key) is str for key in keys):
                return {key: _at(value[key], inner, spill, tags, key) for key in keys}
        except TypeError:
            pass  # keys of several types: an ext map below
        return _ext_of_packed(MAP, _pairs(value, inner, spill, tags))
    if kind is list:
        return [_at(item, inner, spill, tags, index) for index, item in enumerate(value)]
    if kind is tuple:
        return _ext(TUPLE, [_at(item, inner, spill, tags, index) for index, item in enumerate(value)])
    if kind is Link:
        if len(value.digest) != 32:
            raise NotEncodable("a link that is not 32 bytes")
        return msgpack.ExtType(LINK, value.digest)
    if kind is Timestamp:
        if not -(1 << 63) <= value.ns < 1 << 63:
            raise NotEncodable("a time beyond the years 1677 to 2262")
        return msgpack.ExtType(TIMESTAMP, value.ns.to_bytes(8, "big", signed=True))
    if kind is Typed:
        if tags is not None and value.tag not in tags:
            raise NotEncodable(f"the type tag {value.tag!r} is not registered")
        if type(value.tag) is not str or not _TAG.match(value.tag):
            raise NotEncodable("a type tag that is no name")
        return _ext(TYPED, [value.tag, _at(value.value, inner, spill, tags, f"<{value.tag}>")])
    if kind is complex:
        return msgpack.ExtType(COMPLEX, _double(value.real) + _double(value.imag))
    if kind is Array:
        _check_array(value)
        long = type(value.data) is not Chunked and len(value.data) > LONG
        raw = _chunk(value.data, spill) if long else value.data if type(value.data) is Chunked else bytes(value.data)
        return _ext(ARRAY, [value.dtype, list(value.shape), _plain(raw, inner, spill, tags)])
    if kind is set:
        return _ext_of_packed(SET, sorted(_packed(item, inner, tags) for item in value))
    if kind is Chunked:
        if value.length <= LONG or len(value.links) != -(-value.length // CHUNK):
            raise NotEncodable("a chunked byte string with the wrong number of chunks")
        return _ext(CHUNKED, [value.length, [_plain(link, inner + 1, spill, tags) for link in value.links]])
    if kind.__module__ == "numpy":
        return _numpy(value, kind, depth, spill, tags)
    raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__}")


def _at(value, depth, spill, tags, key):
    """`_plain`, with the key added to the path of an error."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    try:
        return _plain(value, depth, spill, tags)
    except NotEncodable as error:
        raise NotEncodable(error.reason, f"{key}.{error.path}" if error.path else str(key)) from None


def _ext(code, content):
    return msgpack.ExtType(code, msgpack.packb(content, strict_types=True))


def _ext_of_packed(code, items):
    return msgpack.ExtType(code, msgpack.Packer().pack_array_header(len(items)) + b"".join(items))


def _packed(value, depth, tags):
    return msgpack.packb(_plain(value, depth, None, tags), strict_types=True)


def _pairs(value, depth, spill, tags):
    """A map with other keys: [key, value, key, value, ...] in the order of the keys' canonical bytes."""
    content = []
    for packed, key in sorted(((_packed(key, depth, tags), key) for key in value), key=lambda pair: pair[0]):
        content += [packed, msgpack.packb(_at(value[key], depth, spill, tags, key), strict_types=True)]
    return content


def _numpy(value, kind, depth, spill, tags):
    if kind.__name__ == "ndarray":
        return _plain(Array.of(value), depth, spill, tags)
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return _plain(Typed("numpy.scalar", Array.of(value)), depth, spill, tags)
    raise NotEncodable(f"a numpy.{kind.__name__}")


def _double(x: float) -> bytes:
    return msgpack.packb(x if x == x else math.nan)[1:]


def _bigint(value: int) -> bytes:
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


def _chunk(value: bytes, spill) -> Chunked:
    if spill is None:
        raise NotEncodable(f"a byte string of {len(value)} bytes, beyond {LONG}, where chunks cannot be stored")
    view = memoryview(value)
    pieces = (view[i : i + CHUNK] for i in range(0, len(value), CHUNK))
    return Chunked(len(value), tuple(spill(msgpack.packb(bytes(piece))) for piece in pieces))


def _check_array(array: Array) -> None:
    size = ITEM_SIZES.get(array.dtype)
    if size is None:
        raise NotEncodable(f"an array of dtype {array.dtype!r}")
    if type(array.shape) is not tuple or len(array.shape) > 64 or not all(type(n) is int and 0 <= n < 1 << 63 for n in array.shape):
        raise NotEncodable("an array whose shape is not a list of sizes")
    length = array.data.length if type(array.data) is Chunked else len(array.data)
    if math.prod(array.shape) * size != length:
        raise NotEncodable(f"an array of shape {array.shape} and dtype {array.dtype} with {length} bytes")
    if array.dtype == "|b1" and type(array.data) is bytes and array.data.translate(None, b"\0\1"):
        raise NotEncodable("a boolean array with other bytes than 0 and 1")


class _Decoder:
    """One pass of msgpack's own unpacker; ext types call back here, so their nesting is counted."""

    def __init__(self, fetch=None):
        self.depth = 0
        self.chunked = False
        self.fetch = fetch
        self.in_array = False

    def unpack(self, encoded):
        return msgpack.unpackb(encoded, ext_hook=self._ext, strict_map_key=True, raw=False)

    def _ext(self, code, data):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        try:
            return self._value(code, data)
        finally:
            self.depth -= 1

    def _value(self, code, data):
        if code == LINK:
            return Link(bytes(data))
        if code == TIMESTAMP:
            return Timestamp(int.from_bytes(_sized(data, 8), "big", signed=True))
        if code == COMPLEX:
            _sized(data, 16)
            return complex(msgpack.unpackb(b"\xcb" + data[:8]), msgpack.unpackb(b"\xcb" + data[8:]))
        if code == BIGINT:
            return int.from_bytes(data, "big", signed=True)
        if code not in (TUPLE, SET, MAP, ARRAY, CHUNKED, TYPED):
            raise NewerFormat("a value", f"ext type {code}", f"ext type {TYPED}")
        in_array, self.in_array = self.in_array, code == ARRAY
        content = self.unpack(data)
        if type(content) is not list:
            raise ValueError(f"ext type {code} without its list")
        if code == TUPLE:
            return tuple(content)
        if code == SET:
            return set(content)
        if code == MAP:
            return dict(zip(content[::2], content[1::2], strict=True))
        if code == TYPED:
            tag, value = content
            return Typed(tag, value)
        if code == ARRAY:
            dtype, shape, raw = content
            if type(shape) is not list or type(raw) not in (bytes, bytearray, Chunked):
                raise ValueError("an array without its parts")
            return Array(dtype, tuple(shape), raw)
        length, chunks = content
        if type(length) is not int or not all(type(link) is Link for link in chunks):
            raise ValueError("a chunked byte string without its parts")
        self.chunked = True
        chunked = Chunked(length, tuple(chunks))
        if self.fetch is None:
            return chunked
        joined = _join(chunked, self.fetch)
        return joined if in_array else bytes(joined)


def _join(chunked, fetch) -> bytearray:
    joined = bytearray(chunked.length)
    end = 0
    for link in chunked.links:
        piece = msgpack.unpackb(fetch(link), max_bin_len=CHUNK)
        if type(piece) is not bytes or end + len(piece) > chunked.length:
            raise NotCanonical("a chunk that is no piece of its byte string")
        joined[end : end + len(piece)] = piece
        end += len(piece)
    if end != chunked.length:
        raise NotCanonical(f"chunks of {end} bytes for a byte string of {chunked.length}")
    return joined


def _sized(data, size):
    if len(data) != size:
        raise ValueError(f"an ext value of {len(data)} bytes instead of {size}")
    return data
