"""Canonical msgpack: each value has one encoding, and nothing else decodes.

`spec/format.md`, "Values", is the contract. Plain msgpack allows many encodings of one value, so equal values would
have unequal digests; this module writes one of them and refuses the others.
"""

import hashlib
import math
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, pairwise

import msgpack

from .errors import BadInput, NewerFormat, NotCanonical, NotEncodable
from .values import CHUNK, ITEM_SIZES, TAGS, Array, Chunked, Link, Timestamp, Typed

MAX_DEPTH = 64
MAX_BYTES = 1 << 30  # of one blob, uncompressed
MAX_EMPTY = 1 << 24  # the other sizes of an array without items, multiplied: lists of lists would take memory for them

TUPLE, SET, MAP, COMPLEX, BIGINT, TIMESTAMP, ARRAY, CHUNKED, LINK, TYPED = range(1, 11)

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}\Z")
_FLOATS = {float}
_LONG = 32  # items of a list, keys of a map
_KEPT = 1 << 10  # keys of maps that are remembered to be in order, and letters in all keys of one
_key_lists: set[tuple[str, ...]] = set()
_LINK = b"\xc7\x20\x09"  # what stands before the digest in a link
_SCALARS = frozenset({str, bool, type(None)})
_QUICK = frozenset({str, bool, type(None), int})
_KEYS, _LOOKED_AT = {str}, frozenset({dict, list, float, tuple, Typed, Array, msgpack.Timestamp})
_REPEATED = frozenset({TUPLE, COMPLEX, ARRAY, TYPED})  # ext types at which `_repeats` looks, beside links and times
_packers = threading.local()
_LOWEST, _HIGHEST = -(1 << 63), (1 << 64) - 1  # of the integers that msgpack holds
_PARTS = {ARRAY: 3, CHUNKED: 2, TYPED: 2}  # items of the lists that these ext types hold


def digest(encoded: bytes) -> bytes:
    """SHA-256 of a blob's canonical bytes: its name everywhere."""
    return hashlib.sha256(encoded).digest()


def encode(value: object, spill: Callable[[bytes], Link] | None = None) -> bytes:
    """The canonical bytes of `value`.

    `spill` stores one piece of a byte string beyond 1 MiB (its argument is the piece's canonical bytes) and returns
    the link to it; without it such a value is refused. Raises NotEncodable, with the path inside the value.
    """
    encoded = _encode(value, spill, TAGS)
    if len(encoded) > MAX_BYTES:
        raise NotEncodable(f"{len(encoded)} bytes, more than a blob may have ({MAX_BYTES})")
    return encoded


def decode(encoded: bytes, fetch: Callable[[Link], bytes] | None = None) -> object:
    """The value of canonical bytes; raises NotCanonical for anything that `encode` would not have written.

    Maps become dict, arrays `Array`, links `Link`. `fetch` answers the canonical bytes of a chunk; without it long byte
    strings stay `Chunked`. Type tags that this version does not know stay as `Typed` values; an ext type that it does not
    know raises NewerFormat. Long byte strings that together do not fit into memory raise BadInput before any of them is read.
    """
    value, decoder = _decode(encoded)
    if fetch is None or not decoder.chunked:
        return value
    try:
        return _Decoder(fetch).unpack(encoded)
    except NotEncodable as error:
        raise NotCanonical(error.reason) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise NotCanonical(str(error)) from None


def decode_linked(encoded: bytes) -> tuple[object, list[bytes]]:
    """(the value of canonical bytes, the digests of all links in it, those to chunks too); raises as `decode`."""
    value, decoder = _decode(encoded)
    return value, decoder.links


def _decode(encoded: bytes) -> "tuple[object, _Decoder]":
    if len(encoded) > MAX_BYTES:
        raise NotCanonical(f"{len(encoded)} bytes, more than a blob may have ({MAX_BYTES})")
    try:
        decoder = _Decoder()
        value = decoder.unpack(encoded)
        if decoder.simple and len(encoded) <= CHUNK and _repeats(value, encoded):
            return value, decoder
        again = _encode(value, None, None)
    except NotEncodable as error:
        raise NotCanonical(error.reason) from None
    except (RecursionError, MemoryError):
        raise NotCanonical("nested too deep, or too large for this computer's memory") from None
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise NotCanonical(str(error) or type(error).__name__) from None
    if again != encoded:
        raise NotCanonical("another encoding of the value exists")
    return value, decoder


def _repeats(value: object, encoded: bytes) -> bool:
    """Whether a value without sets, other keys, large integers and chunks has these canonical bytes; False may also mean that
    this is not told here. What msgpack's own packer cannot be asked is looked at first: order of keys, NaN, tags and arrays."""
    level, depth = [value] if type(value) in _LOOKED_AT else [], 0
    while level:
        of: dict[type, list] = {kind: [] for kind in _LOOKED_AT}
        for item in level:
            of[type(item)].append(item)
        if of[msgpack.Timestamp]:  # its own ext type, which it decodes by itself and would write again
            return False
        maps, typed, lists = of[dict], of[Typed], of[list] + of[tuple]
        if not _key_lists.issuperset(map(tuple, maps)) and not all(map(_are_keys, maps)):
            return False
        if any(map(math.isnan, of[float])) or not TAGS.issuperset([item.tag for item in typed]):
            return False
        for item in of[Array]:
            _check_array(item)
        short = []
        for item in lists:
            if len(item) <= _LONG:
                short.append(item)
                continue
            types = set(map(type, item))  # of most of these all items are of one type, that needs no look
            if types == _FLOATS:
                if any(map(math.isnan, item)):
                    return False
            elif not types.isdisjoint(_LOOKED_AT):
                short.append(item)
        inner = chain([item.value for item in typed], chain.from_iterable(map(dict.values, maps)), chain.from_iterable(short))
        level = [item for item in inner if type(item) in _LOOKED_AT]
        depth += 1
        if depth == MAX_DEPTH // 2 - 1:  # a tag may be two levels, and what is nested deeper may hold a link or a time
            return False
    try:
        return _repacked(value) == encoded
    except (TypeError, ValueError, OverflowError):
        return False


def _are_keys(item: dict) -> bool:
    """Whether the keys of a map are strings in order. Those of most maps have been seen before."""
    keys = tuple(item)
    if keys in _key_lists:
        return True
    if keys and (set(map(type, keys)) != _KEYS or list(keys) != sorted(keys)):
        return False
    if len(keys) <= _LONG and sum(map(len, keys)) <= _KEPT and len(_key_lists) < _KEPT:
        _key_lists.add(keys)
    return True


def _repacked(value: object) -> bytes:
    free = _packers.__dict__.setdefault("free", [])
    pack = free.pop() if free else msgpack.Packer(default=_ext_of, strict_types=True).pack
    packed = pack(value)
    free.append(pack)
    return packed


def _ext_of(value: object) -> msgpack.ExtType:
    kind = type(value)
    if kind is Link and len(value.digest) == 32:
        code, data = LINK, value.digest
    elif kind is Timestamp:
        code, data = TIMESTAMP, value.ns.to_bytes(8, "big", signed=True)
    elif kind is Typed:
        code, data = TYPED, _repacked([value.tag, value.value])
    elif kind is Array and type(value.data) is bytes:
        code, data = ARRAY, _repacked([value.dtype, list(value.shape), value.data])
    elif kind is tuple:
        code, data = TUPLE, _repacked(list(value))
    elif kind is complex:
        code, data = COMPLEX, _double(value.real) + _double(value.imag)
    else:
        raise TypeError
    return tuple.__new__(msgpack.ExtType, (code, data))


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


def mentioned(encoded: bytes) -> list[bytes]:
    """The digests of all links in a blob's canonical bytes, found without decoding them: a thousand times faster.

    Bytes that only look like a link are among them, so nothing may be missed or reported for these alone.
    """
    found, at = [], encoded.find(_LINK)
    while at >= 0:
        if at + len(_LINK) + 32 <= len(encoded):
            found.append(encoded[at + len(_LINK) : at + len(_LINK) + 32])
        at = encoded.find(_LINK, at + 1)
    return found


def _encode(value, spill, tags) -> bytes:
    try:
        try:
            return _packed(_Encoder(spill, tags, _QUICK).plain(value, 1))
        except OverflowError:  # an integer beyond 64 bits somewhere, which is rare: again, with a look at each of them
            return _packed(_Encoder(spill, tags, _SCALARS).plain(value, 1))
    except UnicodeEncodeError:
        raise NotEncodable("text with a lone surrogate") from None
    except (RecursionError, MemoryError, ValueError) as error:  # ValueError: an ext value beyond msgpack's 4 GiB
        raise NotEncodable(str(error) or type(error).__name__) from None


class _Encoder:
    """Values as msgpack's packer writes them canonically: maps in order, one NaN, ext types packed.

    Values of the types in `passed` are left to the packer. They are passed over where they stand in lists and maps, and the
    others go from there to the packer of their type: a call for each of them would be most of the time.
    """

    __slots__ = ("passed", "spill", "tags")

    def __init__(self, spill, tags, passed):
        self.spill, self.tags, self.passed = spill, tags, passed

    def plain(self, value, depth):
        kind = type(value)
        return value if kind in self.passed else _PACKERS.get(kind, _Encoder._other)(self, value, depth)

    def _list(self, value, depth):
        if depth > MAX_DEPTH:
            raise _too_deep()
        passed = self.passed
        for item in value:
            if type(item) not in passed:
                break
        else:
            return value
        inner, find, other, plain = depth + 1, _PACKERS.get, _Encoder._other, []
        try:
            for item in value:
                kind = type(item)
                plain.append(item if kind in passed else find(kind, other)(self, item, inner))
        except NotEncodable as error:
            raise _inside(error, len(plain)) from None
        return plain

    def _map(self, value, depth):
        if depth > MAX_DEPTH:
            raise _too_deep()
        keys = list(value)
        for key in keys:
            if type(key) is not str:
                return self._pairs(value, depth)
        keys.sort()  # code point order is the order of UTF-8 bytes
        inner, passed, find, other, plain = depth + 1, self.passed, _PACKERS.get, _Encoder._other, {}
        key = None
        try:
            for key in keys:
                item = value[key]
                kind = type(item)
                plain[key] = item if kind in passed else find(kind, other)(self, item, inner)
        except NotEncodable as error:
            raise _inside(error, key) from None
        return plain

    def _float(self, value, depth):
        return value if value == value else math.nan

    def _bytes(self, value, depth):
        return value if len(value) <= CHUNK else self._chunked(_chunk(value, self.spill), depth)

    def _int(self, value, depth):
        return value if _LOWEST <= value <= _HIGHEST else _ext(BIGINT, _bigint(value), depth)

    def _other(self, value, depth):
        kind = type(value)
        if kind.__module__ == "numpy":
            return self.plain(_from_numpy(value, kind), depth)
        raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__}")

    def _at(self, value, depth, key):
        try:
            return self.plain(value, depth)
        except NotEncodable as error:
            raise _inside(error, key) from None

    def _item(self, value, depth) -> bytes:
        """A key or an item of a set, which must not be in chunks."""
        return _packed(_Encoder(None, self.tags, self.passed).plain(value, depth))

    def _pairs(self, value, depth):
        """A map with other keys: [key, value, key, value, ...] in the order of the keys' canonical bytes."""
        if depth > MAX_DEPTH:
            raise _too_deep()
        keys = sorted(((self._item(key, depth + 1), key) for key in value), key=lambda pair: pair[0])
        _distinct([packed for packed, _ in keys])
        content = []
        for packed, key in keys:
            content += [packed, _packed(self._at(value[key], depth + 1, key))]
        return _ext(MAP, _packed_list(content), depth)

    def _tuple(self, value, depth):
        return _ext(TUPLE, _packed(self._list(list(value), depth)), depth)

    def _set(self, value, depth):
        if depth > MAX_DEPTH:
            raise _too_deep()
        return _ext(SET, _packed_list(_distinct(sorted(self._item(item, depth + 1) for item in value))), depth)

    def _link(self, value, depth):
        if type(value.digest) is not bytes or len(value.digest) != 32:
            raise NotEncodable("a link that is not 32 bytes")
        return _ext(LINK, value.digest, depth)

    def _timestamp(self, value, depth):
        if type(value.ns) is not int or not _LOWEST <= value.ns < 1 << 63:
            raise NotEncodable("a time beyond the years 1677 to 2262")
        return _ext(TIMESTAMP, value.ns.to_bytes(8, "big", signed=True), depth)

    def _typed(self, value, depth):
        tag = value.tag
        if type(tag) is not str or not (tag in TAGS or _TAG.match(tag)):
            raise NotEncodable("a type tag that is no name")
        if self.tags is not None and tag not in self.tags:
            raise NotEncodable(f"the type tag {tag!r} is not registered")
        if depth > MAX_DEPTH:
            raise _too_deep()
        return _ext(TYPED, _packed([tag, self._at(value.value, depth + 1, f"<{tag}>")]), depth)

    def _complex(self, value, depth):
        return _ext(COMPLEX, _double(value.real) + _double(value.imag), depth)

    def _array(self, value, depth):
        _check_array(value)
        if type(value.data) is Chunked:
            raw = self._chunked(value.data, depth + 1)
        elif len(value.data) > CHUNK:
            raw = self._chunked(_chunk(value.data, self.spill), depth + 1)
        else:
            raw = bytes(value.data)
        return _ext(ARRAY, _packed([value.dtype, self._list(list(value.shape), depth + 1), raw]), depth)

    def _chunked(self, value, depth):
        if value.length <= CHUNK or len(value.links) != -(-value.length // CHUNK):
            raise NotEncodable("a chunked byte string with the wrong number of chunks")
        return _ext(CHUNKED, _packed([value.length, self._list(list(value.links), depth + 1)]), depth)


_PACKERS = {dict: _Encoder._map, list: _Encoder._list, float: _Encoder._float, bytes: _Encoder._bytes, int: _Encoder._int,
            tuple: _Encoder._tuple, set: _Encoder._set, Link: _Encoder._link, Timestamp: _Encoder._timestamp,
            Typed: _Encoder._typed, complex: _Encoder._complex, Array: _Encoder._array, Chunked: _Encoder._chunked}  # fmt: skip


def _packed(plain) -> bytes:
    return msgpack.Packer(strict_types=True).pack(plain)


def _too_deep() -> NotEncodable:
    return NotEncodable(f"nested more than {MAX_DEPTH} deep")


def _ext(code: int, payload: bytes, depth: int) -> msgpack.ExtType:
    """An ext value; msgpack's own constructor looks at its arguments in Python, which takes longer than to pack them."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    return tuple.__new__(msgpack.ExtType, (code, payload))


def _packed_list(items: list[bytes]) -> bytes:
    """The list of values that are packed already."""
    return msgpack.Packer().pack_array_header(len(items)) + b"".join(items)


def _inside(error: NotEncodable, key) -> NotEncodable:
    """The error with the place of the value that holds what it is about."""
    return NotEncodable(error.reason, f"{key}.{error.path}" if error.path else str(key))


def _distinct(items: list[bytes]) -> list[bytes]:
    """`items`, sorted, of which no two are the same: Python keeps several NaN apart where the format cannot."""
    if any(one == other for one, other in pairwise(items)):
        raise NotEncodable("a set or map that holds one item or key twice")
    return items


def _from_numpy(value, kind) -> Array | Typed:
    if kind.__name__ == "ndarray":
        return Array.of(value)
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return Typed("numpy.scalar", Array.of(value))
    raise NotEncodable(f"a numpy.{kind.__name__}")


def _double(x: float) -> bytes:
    return msgpack.packb(x if x == x else math.nan)[1:]


def _bigint(value: int) -> bytes:
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


def _chunk(value: bytes, spill) -> Chunked:
    if spill is None:
        raise NotEncodable(f"a byte string of {len(value)} bytes, beyond {CHUNK}, where chunks cannot be stored")
    view = memoryview(value)
    pieces = (view[i : i + CHUNK] for i in range(0, len(value), CHUNK))
    return Chunked(len(value), tuple(spill(b"".join((_head(len(piece)), piece))) for piece in pieces))


def _head(size: int) -> bytes:
    """What stands before a byte string of `size` bytes."""
    if size < 1 << 8:
        return struct.pack(">BB", 0xC4, size)
    return struct.pack(">BH", 0xC5, size) if size < 1 << 16 else struct.pack(">BI", 0xC6, size)


def _check_array(array: Array) -> None:
    size = ITEM_SIZES.get(array.dtype)
    if size is None:
        raise NotEncodable(f"an array of dtype {array.dtype!r}")
    sizes = array.shape if type(array.shape) is tuple else (None,)
    if len(sizes) > 64 or not all(type(n) is int and 0 <= n < 1 << 63 for n in sizes):
        raise NotEncodable("an array whose shape is not a list of sizes")
    length = array.data.length if type(array.data) is Chunked else len(array.data)
    if math.prod(array.shape) * size != length:
        raise NotEncodable(f"an array of shape {array.shape} and dtype {array.dtype} with {length} bytes")
    if length == 0 and math.prod(n for n in array.shape if n) > MAX_EMPTY:
        raise NotEncodable("an array without items whose other sizes are too large")
    if array.dtype == "|b1" and type(array.data) in (bytes, bytearray) and array.data.translate(None, b"\0\1"):
        raise NotEncodable("a boolean array with other bytes than 0 and 1")


class _Decoder:
    """One pass of msgpack's own unpacker; ext types call back here, so their nesting is counted."""

    def __init__(self, fetch=None):
        self.depth = 0
        self.chunked = False
        self.simple = True  # no other ext types than links, times and those of `_REPEATED`
        self.links: list[bytes] = []
        self.fetch = fetch
        self.in_array = False
        self.joined = 0  # bytes

    def unpack(self, encoded):
        return msgpack.unpackb(encoded, ext_hook=self._ext)

    def _ext(self, code, data):
        if code == LINK:
            self.links.append(data)
            return Link(data)
        if code == TIMESTAMP:
            return Timestamp(int.from_bytes(_sized(data, 8), "big", signed=True))
        self.simple = self.simple and code in _REPEATED
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        in_array, self.in_array = self.in_array, code == ARRAY
        try:
            return self._value(code, data, in_array)
        finally:
            self.depth -= 1
            self.in_array = in_array

    def _value(self, code, data, in_array):
        if code == COMPLEX:
            _sized(data, 16)
            return complex(msgpack.unpackb(b"\xcb" + data[:8]), msgpack.unpackb(b"\xcb" + data[8:]))
        if code == BIGINT:
            return int.from_bytes(data, "big", signed=True)
        if code < 0:
            raise ValueError(f"ext type {code}, which msgpack keeps for itself")
        if code not in (TUPLE, SET, MAP, ARRAY, CHUNKED, TYPED):
            raise NewerFormat("a value", f"ext type {code}", f"ext type {TYPED}")
        content = self.unpack(data)
        if type(content) is not list or len(content) != _PARTS.get(code, len(content)):
            raise ValueError(f"ext type {code} without its list of parts")
        if code == TUPLE:
            return tuple(content)
        if code in (SET, MAP):
            if code == MAP and len(content) % 2:
                raise ValueError("a key without a value")
            try:
                return set(content) if code == SET else dict(zip(content[::2], content[1::2], strict=True))
            except TypeError:
                raise ValueError("an item or key that is a list, map or set, or in chunks") from None
        if code == TYPED:
            tag, value = content
            return Typed(tag, value)
        if code == ARRAY:
            dtype, shape, raw = content
            if type(shape) is not list or type(raw) not in (bytes, bytearray, Chunked):
                raise ValueError("an array without its parts")
            array = Array(dtype, tuple(shape), raw)
            if type(raw) is bytearray:
                _check_array(array)  # what the first pass could not see: bytes that stood in chunks
            return array
        length, chunks = content
        if type(length) is not int or not all(type(link) is Link for link in chunks):
            raise ValueError("a chunked byte string without its parts")
        self.chunked = True
        chunked = Chunked(length, tuple(chunks))
        if self.fetch is None:
            return chunked
        self.joined += length
        if self.joined > most_joined():
            reason = f"does not fit into memory; {most_joined():,} are read at most"
            raise BadInput(f"a value of {self.joined:,} bytes or more", reason, "read it on a computer with more memory")
        joined = _join(chunked, self.fetch)
        return joined if in_array else bytes(joined)


@cache
def most_joined() -> int:
    """Bytes of long byte strings that are read into memory together: half of what this computer has, or this process may have.

    Their lengths are somebody's word: equal chunks are one blob, so a few kilobytes can claim any number of terabytes.
    """
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 << 30
    try:
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit

        allowed, _ = getrlimit(RLIMIT_AS)
        found = found if allowed == RLIM_INFINITY else min(found, allowed)
    except ImportError:  # not on Windows
        pass
    return found // 2


def _join(chunked, fetch) -> bytearray:
    joined = bytearray(chunked.length)
    for i, link in enumerate(chunked.links):
        start = i * CHUNK
        size = min(CHUNK, chunked.length - start)
        encoded, head = fetch(link), _head(size)
        if len(encoded) != len(head) + size or not encoded.startswith(head):
            raise NotCanonical(f"a chunk that is not the {size} bytes of its byte string from {start} on")
        joined[start : start + size] = memoryview(encoded)[len(head) :]
    return joined


def _sized(data, size):
    if len(data) != size:
        raise ValueError(f"an ext value of {len(data)} bytes instead of {size}")
    return data
