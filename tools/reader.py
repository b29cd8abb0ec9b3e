"""An independent reader of qarchive archives, written from spec/format.md. It imports nothing from qarchive.

    python tools/reader.py ARCHIVE list              jobs: id, created, provider, backend, status, shots
    python tools/reader.py ARCHIVE groups            groups, each with its jobs in order: id, name, archive, number; then as above
    python tools/reader.py ARCHIVE verify            every byte, blob, link and record; exit code 5 where something is damaged
    python tools/reader.py ARCHIVE cat DIGEST        the value of one blob, as text
    python tools/reader.py ARCHIVE seal [ID]         seals, made again from blobs: of all jobs that have ended, one, or a group
    python tools/reader.py ARCHIVE vectors FOLDER    the vectors in FOLDER (spec/vectors), with ARCHIVE as the tiny archive

ARCHIVE is an archive's folder, or a bundle (x.qar), which is read as an archive of that one pack.
It reads packs one at a time and whole, keeps nothing between runs and is made to be read, not to be fast.
"""

import hashlib
import json
import mmap
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import prod
from pathlib import Path

import zstandard

MAX_BLOB = 1 << 30
CHUNK = 1 << 20
MAX_DEPTH = 64
MAX_EMPTY = 1 << 24
MAX_HEADER = 64 << 20

TUPLE, SET, MAP, COMPLEX, BIGINT, TIMESTAMP, ARRAY, CHUNKED, LINK, TYPED = range(1, 11)
DTYPES = {"|b1": 1, "|i1": 1, "|u1": 1, "<i2": 2, "<u2": 2, "<i4": 4, "<u4": 4, "<i8": 8, "<u8": 8,
          "<f2": 2, "<f4": 4, "<f8": 8, "<c8": 8, "<c16": 16}  # fmt: skip
NAN = bytes.fromhex("7ff8000000000000")
STATUSES = ["PREPARED", "SENDING", "QUEUED", "RUNNING", "PAUSED", "UNKNOWN",
            "REFUSED", "CANCELLED", "TIMED_OUT", "ERROR", "PARTIAL", "DONE"]  # fmt: skip


class NotCanonical(Exception):
    """Bytes that are not the one encoding of a value."""


class NewerFormat(Exception):
    """Bytes of a later version."""


class Damaged(Exception):
    """Bytes that are not what was written."""


# Values


@dataclass(frozen=True)
class Link:
    digest: bytes


@dataclass(frozen=True)
class Time:
    ns: int


@dataclass(frozen=True)
class Typed:
    tag: str
    value: object


@dataclass(frozen=True)
class Chunked:
    length: int
    links: tuple


@dataclass(frozen=True)
class Array:
    dtype: str
    shape: tuple
    items: object  # bytes, or Chunked


@dataclass(frozen=True)
class Set:
    items: tuple


@dataclass(frozen=True)
class Map:
    pairs: tuple  # of (key, value); a map whose keys are all text is a dict


def decode(data: bytes) -> object:
    """The value of a blob's bytes. Raises NotCanonical, NewerFormat."""
    if len(data) > MAX_BLOB:
        raise NotCanonical("longer than a blob may be")
    value, end = read_value(data, 0, len(data), 1)
    if end != len(data):
        raise NotCanonical("something follows the value")
    return value


def read_value(data: bytes, at: int, end: int, depth: int) -> tuple:
    """(value, where it ends) of the value at byte `at`; nothing at or behind `end` belongs to it."""
    first = number(data, at, at + 1, end)
    at += 1
    if first <= 0x7F:
        return first, at
    if first >= 0xE0:
        return first - 0x100, at
    if first == 0xC0:
        return None, at
    if first in (0xC2, 0xC3):
        return first == 0xC3, at
    if first == 0xCB:
        return read_float(piece(data, at, 8, end)), at + 8
    if 0xCC <= first <= 0xCF:
        size = 1 << (first - 0xCC)
        value = number(data, at, at + size, end)
        if value <= (0x7F, 0xFF, 0xFFFF, 0xFFFFFFFF)[first - 0xCC]:
            raise NotCanonical("an integer that has a shorter form")
        return value, at + size
    if 0xD0 <= first <= 0xD3:
        size = 1 << (first - 0xD0)
        value = int.from_bytes(piece(data, at, size, end), "big", signed=True)
        if value >= (-0x20, -0x80, -0x8000, -0x80000000)[first - 0xD0]:
            raise NotCanonical("an integer that has a shorter or an unsigned form")
        return value, at + size
    if 0xA0 <= first <= 0xBF:
        return read_text(data, at, first & 0x1F, end)
    if 0xD9 <= first <= 0xDB:
        length, at = read_length(data, at, first - 0xD9, end, (0x20, 0x100, 0x10000))
        return read_text(data, at, length, end)
    if 0xC4 <= first <= 0xC6:
        length, at = read_length(data, at, first - 0xC4, end, (0, 0x100, 0x10000))
        if length > CHUNK:
            raise NotCanonical("a long byte string that is not in chunks")
        return piece(data, at, length, end), at + length
    if depth > MAX_DEPTH and first not in (0xC1, 0xCA):
        raise NotCanonical("nested too deep")
    if 0x90 <= first <= 0x9F:
        return read_list(data, at, first & 0x0F, end, depth)
    if first in (0xDC, 0xDD):
        length, at = read_length(data, at, first - 0xDB, end, (0, 0x10, 0x10000))
        return read_list(data, at, length, end, depth)
    if 0x80 <= first <= 0x8F:
        return read_map(data, at, first & 0x0F, end, depth)
    if first in (0xDE, 0xDF):
        length, at = read_length(data, at, first - 0xDD, end, (0, 0x10, 0x10000))
        return read_map(data, at, length, end, depth)
    if 0xD4 <= first <= 0xD8:
        return read_ext(data, at, 1 << (first - 0xD4), end, depth)
    if 0xC7 <= first <= 0xC9:
        length, at = read_length(data, at, first - 0xC7, end, (0, 0x100, 0x10000))
        if length in (1, 2, 4, 8, 16):
            raise NotCanonical("an ext value that has a shorter form")
        return read_ext(data, at, length, end, depth)
    raise NotCanonical("a float of 32 bits" if first == 0xCA else "the byte c1")


def piece(data: bytes, at: int, length: int, end: int) -> bytes:
    if length > end - at:
        raise NotCanonical("the bytes end inside a value")
    return data[at : at + length]


def number(data: bytes, at: int, behind: int, end: int) -> int:
    return int.from_bytes(piece(data, at, behind - at, end), "big")


def read_length(data: bytes, at: int, form: int, end: int, least: tuple) -> tuple:
    """(length, where it ends): 1, 2 or 4 bytes for form 0, 1, 2, each only from its least length on."""
    size = 1 << form
    length = number(data, at, at + size, end)
    if length < least[form]:
        raise NotCanonical("a length that has a shorter form")
    return length, at + size


def read_float(raw: bytes) -> float:
    value = struct.unpack(">d", raw)[0]
    if value != value and raw != NAN:
        raise NotCanonical("another NaN")
    return value


def read_text(data: bytes, at: int, length: int, end: int) -> tuple:
    try:
        return str(piece(data, at, length, end), "utf-8"), at + length
    except UnicodeDecodeError:
        raise NotCanonical("text that is not UTF-8") from None


def read_list(data: bytes, at: int, length: int, end: int, depth: int) -> tuple:
    if length > end - at:
        raise NotCanonical("the bytes end inside a list")
    items = []
    for _ in range(length):
        item, at = read_value(data, at, end, depth + 1)
        items.append(item)
    return items, at


def read_map(data: bytes, at: int, length: int, end: int, depth: int) -> tuple:
    if 2 * length > end - at:
        raise NotCanonical("the bytes end inside a map")
    found, last = {}, None
    for _ in range(length):
        key, at = read_value(data, at, end, depth + 1)
        if type(key) is not str:
            raise NotCanonical("a map with a key that is not text")
        if last is not None and key.encode() <= last:
            raise NotCanonical("a map whose keys are not in order")
        last = key.encode()
        found[key], at = read_value(data, at, end, depth + 1)
    return found, at


def read_ext(data: bytes, at: int, length: int, end: int, depth: int) -> tuple:
    code = number(data, at, at + 1, end)
    at += 1
    behind = at + length
    if behind > end:
        raise NotCanonical("the bytes end inside an ext value")
    if code >= 0x80:
        raise NotCanonical("a negative ext type")
    if not TUPLE <= code <= TYPED:
        raise NewerFormat(f"ext type {code}")
    if code == LINK:
        return Link(sized(data[at:behind], 32)), behind
    if code == TIMESTAMP:
        return Time(int.from_bytes(sized(data[at:behind], 8), "big", signed=True)), behind
    if code == COMPLEX:
        payload = sized(data[at:behind], 16)
        return complex(read_float(payload[:8]), read_float(payload[8:])), behind
    if code == BIGINT:
        return read_bigint(data[at:behind]), behind
    items, encoded = read_payload(data, at, behind, depth)
    if code == TUPLE:
        return tuple(items), behind
    if code == SET:
        in_order_and_distinct(items, encoded)
        return Set(tuple(items)), behind
    if code == MAP:
        if len(items) % 2:
            raise NotCanonical("a key without a value")
        in_order_and_distinct(items[::2], encoded[::2])
        if all(type(key) is str for key in items[::2]):
            raise NotCanonical("an ext map that could be a map")
        return Map(tuple(zip(items[::2], items[1::2], strict=True))), behind
    if code == TYPED:
        tag, value = parts(items, 2)
        if type(tag) is not str or not re.fullmatch("[A-Za-z][A-Za-z0-9_.]{0,63}", tag):
            raise NotCanonical("a tag that is no name")
        return Typed(tag, value), behind
    if code == CHUNKED:
        length, links = parts(items, 2)
        if type(length) is not int or length <= CHUNK or type(links) is not list or len(links) != -(-length // CHUNK):
            raise NotCanonical("a chunked byte string with the wrong number of chunks")
        if not all(type(link) is Link for link in links):
            raise NotCanonical("a chunk that is no link")
        return Chunked(length, tuple(links)), behind
    return read_array(*parts(items, 3)), behind


def sized(payload: bytes, size: int) -> bytes:
    if len(payload) != size:
        raise NotCanonical("an ext value of the wrong length")
    return payload


def parts(items: list, count: int) -> list:
    if len(items) != count:
        raise NotCanonical("an ext value with the wrong number of parts")
    return items


def read_bigint(payload: bytes) -> int:
    value = int.from_bytes(payload, "big", signed=True)
    if -(1 << 63) <= value < 1 << 64:
        raise NotCanonical("a big integer that is not big")
    if value == int.from_bytes(payload[1:], "big", signed=True):
        raise NotCanonical("a big integer with more bytes than it needs")
    return value


def read_payload(data: bytes, at: int, end: int, depth: int) -> tuple:
    """(items, their bytes) of the list that an ext value at `depth` holds, from byte `at` to `end`."""
    first = number(data, at, at + 1, end)
    if 0x90 <= first <= 0x9F:
        count, at = first & 0x0F, at + 1
    elif first in (0xDC, 0xDD):
        count, at = read_length(data, at + 1, first - 0xDB, end, (0, 0x10, 0x10000))
    else:
        raise NotCanonical("an ext value without its list")
    items, encoded = [], []
    for _ in range(count):
        item, behind = read_value(data, at, end, depth + 1)
        items.append(item)
        encoded.append(memoryview(data)[at:behind])
        at = behind
    if at != end:
        raise NotCanonical("something follows the list of an ext value")
    return items, encoded


def in_order_and_distinct(items: list, encoded: list) -> None:
    """Items of a set or keys of a map: in the order of their bytes, and no two of them equal, not even as numbers."""
    if any(bytes(one) >= bytes(other) for one, other in pairwise(encoded)):
        raise NotCanonical("items or keys that are not in order")
    if any(map(unfit, items)):
        raise NotCanonical("an item or key that is a list, map, set or in chunks")
    if len(set(items)) != len(items):
        raise NotCanonical("items or keys that are equal")


def unfit(value: object) -> bool:
    """Whether a value cannot be an item of a set or a key."""
    if type(value) is tuple:
        return any(map(unfit, value))
    if type(value) is Typed:
        return unfit(value.value)
    if type(value) is Array:
        return type(value.items) is Chunked
    return type(value) in (list, dict, Set, Map, Chunked)


def read_array(dtype: object, shape: object, items: object) -> Array:
    if type(dtype) is not str or dtype not in DTYPES:
        raise NotCanonical("an array of another dtype")
    if type(shape) is not list or len(shape) > 64 or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        raise NotCanonical("an array whose shape is no list of sizes")
    if type(items) not in (bytes, Chunked):
        raise NotCanonical("an array without its items")
    length = len(items) if type(items) is bytes else items.length
    if prod(shape) * DTYPES[dtype] != length:
        raise NotCanonical("an array whose bytes do not fit its shape")
    if length == 0 and prod(n for n in shape if n) > MAX_EMPTY:
        raise NotCanonical("an array without items whose other sizes are too large")
    if dtype == "|b1" and type(items) is bytes and items.translate(None, b"\0\1"):
        raise NotCanonical("a boolean that is neither 0 nor 1")
    return Array(dtype, tuple(shape), items)


def links(value: object) -> Iterator[bytes]:
    """The digest of every link in a value."""
    if type(value) is Link:
        yield value.digest
    elif type(value) is dict:
        for item in value.values():
            yield from links(item)
    elif type(value) in (list, tuple):
        for item in value:
            yield from links(item)
    elif type(value) is Set:
        yield from links(value.items)
    elif type(value) is Map:
        yield from links(value.pairs)
    elif type(value) is Typed:
        yield from links(value.value)
    elif type(value) is Chunked:
        yield from links(value.links)
    elif type(value) is Array:
        yield from links(value.items)


def show(value: object) -> str:
    """A value as text, in printable ASCII; the vectors describe values in the same notation."""
    kind = type(value)
    if value is None:
        return "nil"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value) if value.bit_length() < 10_000 else hex(value)
    if kind is float:
        return repr(value)
    if kind is str:
        return json.dumps(value)
    if kind is bytes:
        return f'h"{value.hex()}"'
    if kind is list:
        return f"[{', '.join(map(show, value))}]"
    if kind is tuple:
        return f"({', '.join(map(show, value))})"
    if kind is dict:
        return f"{{{', '.join(f'{show(key)}: {show(item)}' for key, item in value.items())}}}"
    if kind is Set:
        return f"set({', '.join(map(show, value.items))})"
    if kind is Map:
        return f"map({', '.join(f'{show(key)}: {show(item)}' for key, item in value.pairs)})"
    if kind is complex:
        return f"complex({value.real!r}, {value.imag!r})"
    if kind is Time:
        return f"time({moment(value.ns)})"
    if kind is Link:
        return f"link({value.digest.hex()})"
    if kind is Typed:
        return f"tag({value.tag}, {show(value.value)})"
    if kind is Chunked:
        return f"chunked({value.length}, {show(list(value.links))})"
    return f"array({value.dtype}, {list(value.shape)}, {show(value.items)})"


def moment(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


# Packs


@dataclass(frozen=True)
class Blob:
    """Where a blob lies: in which frame of its pack, and where in the frame."""

    kind: str
    digest: bytes
    length: int
    key: bytes | None
    frame: int
    stored: int
    raw: int
    start: int


@dataclass(frozen=True)
class Commit:
    offset: int
    length: int
    synced: int
    blobs: tuple
    whole: bool


@dataclass(frozen=True)
class Trailer:
    offset: int
    content: bytes
    commits: tuple


class Pack:
    """One pack's bytes."""

    def __init__(self, path: Path, bundle: bool = False):
        self.path = path
        with open(path, "rb") as file:
            empty = not file.read(1)
            self.data = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.id = self.id_inside() if bundle else bytes.fromhex(path.stem)
        self.trailer = self.read_trailer()
        self.end = self.trailer.offset if self.trailer else len(self.data)

    def id_inside(self) -> bytes:
        """The id that the first header says, of a pack whose name does not: a bundle. Raises Damaged."""
        try:
            size = struct.unpack("<I", self.data[4:8])[0]
            body = decode(self.data[16 : 8 + size - 32])
            if self.data[8:16] == b"qarchive" and type(body[1]) is bytes and len(body[1]) == 16:
                return body[1]
        except (NotCanonical, NewerFormat, struct.error, TypeError, IndexError):
            pass
        raise Damaged(f"{self.path} is no bundle")

    def parts(self) -> Iterator[Commit | tuple]:
        """Commits, ("damage", offset, length) and ("tail", offset, length), in order."""
        at = 0
        while at < self.end:
            commit = self.read_commit(at)
            if commit and (commit.whole or self.trailer or self.next_header(at + commit.length) is not None):
                yield commit
                at += commit.length
                continue
            following = None if commit else self.next_header(at + 1)
            if following is None:
                damage = self.trailer or (commit is None and self.was_trailer(at))
                yield ("damage" if damage else "tail", at, self.end - at)
                return
            yield "damage", at, following - at
            at = following

    def read_commit(self, at: int) -> Commit | None:
        header = self.read_header(at)
        if header is None:
            return None
        body, synced, frames, blobs = header
        hashed = body + sum(stored for stored, _ in frames)
        if hashed + 40 > self.end:
            return None
        footer = b"\x52\x2a\x4d\x18" + struct.pack("<I", 32) + self.sha256(at, hashed)
        return Commit(at, hashed + 40 - at, synced, blobs, self.data[hashed : hashed + 40] == footer)

    def read_header(self, at: int) -> tuple | None:
        """(where the header ends, synced, frames, blobs) of a valid header, or None."""
        if self.data[at : at + 4] != b"\x51\x2a\x4d\x18" or self.data[at + 8 : at + 16] != b"qarchive":
            return None
        size = struct.unpack("<I", self.data[at + 4 : at + 8])[0]
        behind = at + 8 + size
        if not 40 <= size <= MAX_HEADER or behind > self.end or self.data[behind - 32 : behind] != self.sha256(at, behind - 32):
            return None
        body = self.read_body(at + 16, behind - 32, at, 6)
        if body is None:
            return None
        synced, frames, listed = body
        blobs = places(behind, frames, listed)
        return (behind, synced, frames, blobs) if blobs and is_size(synced, at) else None

    def next_header(self, at: int) -> int | None:
        while (at := self.data.find(b"\x51\x2a\x4d\x18", at, self.end)) >= 0:
            if self.read_header(at):
                return at
            at += 1
        return None

    def read_trailer(self) -> Trailer | None:
        data, size = self.data, len(self.data)
        if size < 64 or data[size - 8 :] != b"qarchEND":
            return None
        length = struct.unpack("<Q", data[size - 16 : size - 8])[0]
        if not 64 <= length <= min(size, MAX_BLOB):
            return None
        at = size - length
        if data[at : at + 16] != b"\x53\x2a\x4d\x18" + struct.pack("<I", length - 8) + b"qarchive":
            return None
        if data[size - 48 : size - 16] != self.sha256(at, size - 48):
            return None
        body = self.read_body(at + 16, size - 48, at, 5)
        if body is None:
            return None
        content, listed = body
        if type(content) is not bytes or len(content) != 32 or type(listed) is not list:
            return None
        commits, expected = [], 0
        for commit in listed:
            if type(commit) is not list or len(commit) not in (3, 5):
                return None
            offset, length, synced = commit[:3]
            if not is_size(offset, at) or offset != expected or not is_size(length, at - offset) or not is_size(synced, offset):
                return None
            if len(commit) == 3:
                commits.append(Commit(offset, length, synced, None, True))
                expected += length
                if length == 0:
                    return None
                continue
            frames, blobs = commit[3:]
            if not fits(frames):
                return None
            first = offset + length - 40 - sum(stored for stored, _ in frames)
            found = places(first, frames, blobs)
            if not found or first <= offset:
                return None
            commits.append(Commit(offset, length, synced, found, True))
            expected += length
        return Trailer(at, content, tuple(commits)) if expected == at else None

    def read_body(self, start: int, end: int, at: int, count: int) -> list | None:
        """What follows version, pack and offset in a header's or trailer's list, or None where it is not this pack's at `at`."""
        try:
            body = decode(self.data[start:end])
        except (NotCanonical, NewerFormat):
            return None
        if type(body) is not list or len(body) < 3 or type(body[0]) is not int or type(body[2]) is not int:
            return None
        if body[1:3] != [self.id, at]:
            return None
        if body[0] > 1:
            raise NewerFormat(f"{self.path} has version {body[0]}")
        return body[3:] if body[0] == 1 and len(body) == count else None

    def was_trailer(self, at: int) -> bool:
        begins = self.data[at : at + 4] == b"\x53\x2a\x4d\x18" and self.data[at + 8 : at + 16] == b"qarchive"
        length = struct.unpack("<I", self.data[at + 4 : at + 8])[0] if begins else -1
        return self.data[-8:] == b"qarchEND" or (begins and at + 8 + length == len(self.data))

    def sha256(self, start: int, end: int) -> bytes:
        hashed = hashlib.sha256()
        for at in range(start, end, 1 << 20):
            hashed.update(self.data[at : min(at + (1 << 20), end)])
        return hashed.digest()

    def read(self, blob: Blob) -> bytes:
        """A blob's bytes, checked against its digest."""
        frame = self.data[blob.frame : blob.frame + blob.stored]
        try:
            if zstandard.frame_content_size(frame) != blob.raw:
                raise Damaged("a frame that declares another size")
            raw = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Damaged(f"a frame that does not decompress: {error}") from None
        data = raw[blob.start : blob.start + blob.length]
        if hashlib.sha256(data).digest() != blob.digest:
            raise Damaged("other bytes than the digest says")
        return data


def is_size(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def fits(frames: object) -> bool:
    """Whether `frames` is a list, not empty, of plausible [stored, raw]."""
    return type(frames) is list and frames != [] and all(
        type(frame) is list and len(frame) == 2 and is_size(frame[1], MAX_BLOB) and frame[1] > 0
        and is_size(frame[0], frame[1] + frame[1] // 256 + 128) and frame[0] > 0 for frame in frames)  # fmt: skip


def places(at: int, frames: object, listed: object) -> tuple | None:
    """Every listed blob with its place, or None where the blobs do not fill the frames that begin at byte `at`."""
    if not fits(frames) or type(listed) is not list:
        return None
    found, left = [], list(reversed(listed))
    for stored, raw in frames:
        start = 0
        while start < raw:
            blob = left.pop() if left else None
            if type(blob) is not list or len(blob) not in (3, 4):
                return None
            kind, length, digest = blob[:3]
            key = blob[3] if len(blob) == 4 else None
            if type(kind) is not str or not re.fullmatch("[A-Za-z0-9_.-]{1,64}", kind):
                return None
            if not is_size(length, raw - start) or length == 0:
                return None
            if type(digest) is not bytes or len(digest) != 32 or (len(blob) == 4 and (type(key) is not bytes or len(key) != 32)):
                return None
            found.append(Blob(kind, digest, length, key, at, stored, raw, start))
            start += length
        at += stored
    return None if left else tuple(found)


# Archives


@dataclass
class Finding:
    kind: str  # tail, withheld, wrong, damage, missing, foreign
    where: str
    detail: str


@dataclass
class Archive:
    """All blobs of an archive by digest, its records, and what was found wrong."""

    folder: Path
    places: dict = field(default_factory=dict)  # digest: [(pack, blob), ...]
    records: dict = field(default_factory=dict)  # digest: value, of those that count
    findings: list = field(default_factory=list)
    packs: list = field(default_factory=list)
    commits: list = field(default_factory=list)  # (pack, commit)
    wrong: dict = field(default_factory=dict)  # digest: what is wrong with this record
    own: set = field(default_factory=set)  # digests of records that stand in a pack which is no bundle

    def __post_init__(self):
        suspects = {}
        if self.folder.is_file():
            self.packs.append(Pack(self.folder, bundle=True))
            if self.packs[0].trailer is None:
                self.find("damage", self.folder, "a bundle without its end")
            suspects.update(self.take(self.packs[0]))
        else:
            read_identity(self.folder)
        for path in [] if self.folder.is_file() else sorted((self.folder / "packs").iterdir()):
            if path.suffix in (".abandoned", ".import"):
                continue
            if not re.fullmatch(r"[0-9a-f]{32}\.pack", path.name):
                self.find("foreign", path, "is no pack")
                continue
            pack = Pack(path)
            self.packs.append(pack)
            suspects.update(self.take(pack))
        for digest, record in suspects.items():
            if self.reaches_all(record, set()):
                self.records[digest] = record
            elif digest not in self.records:
                self.find("withheld", digest.hex(), "a record that a power cut left without what it refers to")
        for digest, reason in self.wrong.items():
            self.find("wrong", digest.hex(), f"a record {reason}")

    def find(self, kind: str, where: object, detail: str) -> None:
        self.findings.append(Finding(kind, str(where), detail))

    def take(self, pack: Pack) -> dict:
        """Take in one pack; its records that are suspect, by digest."""
        suspects, damaged_from, foreign = {}, None, False
        for part in pack.parts():
            if type(part) is tuple:
                kind, at, length = part
                self.find(kind, f"{pack.path} at byte {at}", f"{length} bytes that are no commit")
                if kind == "damage" and damaged_from is None:
                    damaged_from = at
                continue
            if not part.whole:
                self.find("damage", f"{pack.path} at byte {part.offset}", "a commit whose hash does not fit")
                damaged_from = part.offset if damaged_from is None else damaged_from
            elif damaged_from is not None and part.synced > damaged_from:
                self.records.update(suspects)
                suspects, damaged_from = {}, None
            self.commits.append((pack, part))
            foreign = foreign or (part.offset == 0 and part.blobs[0].kind == "bundle")
            for blob in part.blobs:
                self.places.setdefault(blob.digest, []).append((pack, blob))
                if blob.kind != "record":
                    continue
                try:
                    record = decode(pack.read(blob))
                except (Damaged, NotCanonical, NewerFormat) as error:
                    self.find("damage", f"{pack.path} at byte {blob.frame}", f"a record: {error}")
                    continue
                if reason := wrong(record):
                    self.wrong[blob.digest] = reason
                elif foreign and record["type"] in LOCAL:
                    self.find("damage", f"{pack.path} at byte {blob.frame}", f"a {record['type']} of another archive's")
                else:
                    self.own |= set() if foreign else {blob.digest}
                    (self.records if damaged_from is None else suspects)[blob.digest] = record
        return suspects

    def about_removed(self) -> set:
        """Records of which what they refer to may be gone: those that remove and restore, and those of what was removed."""
        about: dict[bytes, dict] = {}
        for digest, record in self.records.items():
            one = digest if record["type"] in ("job", "group") else record["group" if is_of_group(record) else "job"].digest
            about.setdefault(one, {})[digest] = record
        removed = {digest for records in about.values() if is_removed(records) for digest in records}
        return removed | {digest for digest, record in self.records.items() if record["type"] in LOCAL}

    def blob(self, digest: bytes) -> bytes:
        """A blob's bytes, from any place where they are good. Raises Damaged, KeyError."""
        error = None
        for pack, blob in self.places[digest]:
            try:
                return pack.read(blob)
            except Damaged as found:
                error = found
        raise error

    def reaches_all(self, value: object, seen: set) -> bool:
        for digest in links(value):
            if digest in seen:
                continue
            seen.add(digest)
            try:
                if not self.reaches_all(decode(self.blob(digest)), seen):
                    return False
            except (KeyError, Damaged, NotCanonical, NewerFormat):
                return False
        return True

    def jobs(self) -> dict:
        """The fold of every job that was not removed, by id."""
        about = {}
        for digest, record in self.records.items():
            if not is_of_group(record):
                job = digest if record["type"] == "job" else record["job"].digest
                about.setdefault(job, {})[digest] = record
        return {job: fold(job, records, self.own) for job, records in sorted(about.items()) if not is_removed(records)}

    def groups(self) -> dict:
        """{id: (record, ids of its jobs in order)} of every group that was not removed."""
        about = {}
        for digest, record in self.records.items():
            if record["type"] in LOCAL and is_of_group(record):
                about.setdefault(record["group"].digest, {})[digest] = record
        removed = {group for group, records in about.items() if is_removed(records)}
        members, replaced = {}, set()
        for job in self.jobs():
            place = self.records.get(job, {}).get("member")
            if place:
                group = place["group"].digest
                members.setdefault(group, []).append((place["author"], place["sequence"], place["first"], job))
                if "replaces" in place:
                    replaced.add((group, place["replaces"].digest))
        found = {}
        for digest, record in sorted(self.records.items()):
            if record["type"] == "group" and digest not in removed:
                places = sorted(members.get(digest, ()))
                found[digest] = record, [job for *_, job in places if (digest, job) not in replaced]
        return found

    def verify(self) -> list:
        """All that is wrong, every blob decoded and every link followed."""
        for pack in self.packs:
            if pack.trailer:
                if pack.sha256(0, pack.end) != pack.trailer.content:
                    self.find("damage", pack.path, "the trailer's hash of the content does not fit")
                brief = any(c.blobs is None for c in pack.trailer.commits)
                listed = [(c.offset, c.length, c.synced, brief or c.blobs) for c in pack.trailer.commits]
                if listed != [(c.offset, c.length, c.synced, brief or c.blobs) for owner, c in self.commits if owner is pack]:
                    self.find("damage", pack.path, "the trailer lists other commits than there are")
        wanted, silent = {}, self.about_removed()
        for digest, found in self.places.items():
            for pack, blob in found:
                try:
                    value = decode(pack.read(blob))
                except (Damaged, NotCanonical, NewerFormat) as error:
                    self.find("damage", f"{pack.path} at byte {blob.frame}", f"{blob.kind} {digest.hex()}: {error}")
                    continue
                if digest not in silent and (blob.kind != "record" or digest in self.records):
                    wanted.update(dict.fromkeys(links(value), digest))
        for digest, by in wanted.items():
            if digest not in self.places:
                self.find("missing", digest.hex(), f"referred to by {by.hex()}")
        return self.findings


def read_identity(folder: Path) -> dict:
    """The content of `archive.json`. Raises Damaged, NewerFormat."""
    text = (folder / "archive.json").read_bytes()
    try:
        identity = json.loads(text) if len(text) <= 4096 else None
    except (ValueError, RecursionError):
        identity = None
    if type(identity) is not dict or type(identity.get("format")) is not int:
        raise Damaged("archive.json is no identity of an archive")
    if identity["format"] > 1:
        raise NewerFormat(f"the archive has version {identity['format']}")
    named = identity.get("id"), identity.get("created")
    if identity["format"] != 1 or not all(type(text) is str for text in named) or not re.fullmatch("[0-9a-f]{32}", named[0]):
        raise Damaged("archive.json is no identity of an archive")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", named[1]):
        raise Damaged("archive.json is no identity of an archive")
    # [1, id, created]: a list of 3, the integer 1, text of 32 and of 30 bytes
    encoded = b"\x93\x01\xd9\x20" + named[0].encode() + b"\xbe" + named[1].encode()
    if identity.get("check") != hashlib.sha256(encoded).hexdigest()[:16]:
        raise Damaged("the check of archive.json does not fit")
    return identity


# Records


def text(value: object) -> bool:
    return type(value) is str


def integer(value: object) -> bool:
    return is_size(value, (1 << 63) - 1)


def integer_or_nil(value: object) -> bool:
    return value is None or integer(value)


def link(value: object) -> bool:
    return type(value) is Link


def link_list(value: object) -> bool:
    return type(value) is list and all(map(link, value))


def time(value: object) -> bool:
    return type(value) is Time


def byte_string(value: object) -> bool:
    return type(value) is bytes


def text_map(value: object) -> bool:
    return type(value) is dict


def texts(value: object) -> bool:
    return type(value) is list and all(map(text, value))


def boolean(value: object) -> bool:
    return type(value) is bool


def labels(value: object) -> bool:
    return type(value) is dict and not misses(value, {}, {"group": text, "tags": texts, "params": text_map})


def links_by_text(value: object) -> bool:
    return type(value) is dict and all(map(text, value)) and all(map(link_list, value.values()))


def error_told(value: object) -> bool:
    return type(value) is dict and not misses(value, {"type": text, "message": text}, {})


def member(value: object) -> bool:
    required = {"group": link, "author": text, "sequence": integer, "first": integer}
    return type(value) is dict and not misses(value, required, {"mapped": boolean, "replaces": link})


def prepared(value: object) -> bool:
    return type(value) is dict and not misses(value, {"backend": link}, {"calibration": link, "remote": boolean})


def gaps(value: object) -> bool:
    return type(value) is list and all(type(gap) is dict and not misses(gap, {"what": text, "reason": text}, {}) for gap in value)


REQUIRED = {
    "job": {"provider": text, "kind": text, "backend": text, "input": link, "config": link, "shots": integer_or_nil,
            "size": integer, "created": time, "nonce": byte_string},
    "attempt": {"job": link, "number": integer, "status": text, "backend": link, "created": time, "nonce": byte_string},
    "sent": {"job": link, "attempt": link, "status": text, "provider_job": text, "created": time},
    "outcome": {"job": link, "attempt": link, "status": text, "provider_status": text, "created": time},
    "status": {"job": link, "attempt": link, "status": text, "provider_status": text, "created": time},
    "calibration": {"job": link, "attempt": link, "calibration": link, "phase": text, "captured": time, "created": time},
    "attachment": {"job": link, "name": text, "value": link, "created": time},
    "event": {"job": link, "name": text, "created": time},
    "signature": {"job": link, "seal": byte_string, "signature": text, "created": time},
    "annotation": {"job": link, "created": time},
    "group": {"name": text, "archive": text, "number": integer},
    "mapped": {"group": link, "author": text, "sequence": integer, "circuits": integer, "created": time},
    "removal": {"created": time, "nonce": byte_string},
    "restored": {"removals": link_list, "created": time, "nonce": byte_string},
}  # fmt: skip
LOCAL = ("removal", "restored")  # an archive's own affair
OPTIONAL = {
    "job": {"names": texts, "labels": labels, "parent": link, "member": member, "prepared": prepared},
    "attempt": {"environment": link, "calibration": link, "captured": time, "gaps": gaps, "input": link, "config": link,
                "on": text, "code": link},
    "event": {"value": link},
    "annotation": {"tags": texts, "untagged": links_by_text, "text": text, "author": text, "nonce": byte_string},
    "removal": {"job": link, "group": link},
    "restored": {"job": link, "group": link},
    "sent": {"batch": text, "session": text, "instance": text},
    "status": {"error": error_told},
    "outcome": {"provider_job": text, "result": link, "volatile": text_map, "error": error_told, "usage": text_map, "gaps": gaps},
}  # fmt: skip


def wrong(record: object) -> str:
    """What is wrong with a record, or an empty text. Records of unknown types need a job or a group and nothing more."""
    if type(record) is not dict or type(record.get("type")) is not str:
        return "that is no map with a type"
    kind = record["type"]
    if kind in REQUIRED:
        missed = misses(record, REQUIRED[kind], OPTIONAL.get(kind, {}))
    else:
        missed = misses(record, {}, {"job": link, "group": link})
    if not missed and "job" not in record and "group" not in record and (kind in LOCAL or kind not in REQUIRED):
        missed = "job is missing"
    return missed and f"of type {printable(kind)}: its field {missed}"


def is_of_group(record: dict) -> bool:
    """Whether a record is about a group and not about a job."""
    return record["type"] in ("group", "mapped") or (record["type"] != "job" and "job" not in record)


def is_removed(records: dict) -> bool:
    """Whether one of the records, by digest, is a removal that none of them undoes."""
    undone = {each.digest for record in records.values() if record["type"] == "restored" for each in record["removals"]}
    return any(record["type"] == "removal" and digest not in undone for digest, record in records.items())


def misses(found: dict, required: dict, optional: dict) -> str:
    """The first field that is missing or has another type of value, or an empty text."""
    for name, fits_in in (required | optional).items():
        if name in found and not fits_in(found[name]):
            return f"{name} has another type"
        if name in required and name not in found:
            return f"{name} is missing"
    return ""


def rank(status: object) -> int:
    return STATUSES.index(status) if type(status) is str and status in STATUSES else -1


def fold(job: bytes, records: dict, own: set) -> dict:
    """A job as the sum of its records: the rules of "Fold". `own` are the digests of those that no bundle brought."""
    sent = {digest: record for digest, record in records.items() if record["type"] == "attempt"}
    later = {digest: {} for digest in sent}
    for digest, record in sorted(records.items()):
        if record["type"] not in ("job", "attempt", *LOCAL) and type(record.get("attempt")) is Link:
            later.setdefault(record["attempt"].digest, {})[digest] = record
    for attempt, about in later.items():
        mine = {digest: record for digest, record in about.items() if digest in own}
        if any(record["type"] == "outcome" and "result" in record for record in mine.values()):
            later[attempt] = mine  # a result of the archive's own: others cannot change it
    statuses = {digest: last_status([*about.values(), sent.get(digest, {})]) for digest, about in later.items()}
    numbers = {digest: sent[digest]["number"] if digest in sent else 0 for digest in later}
    order = {digest: (statuses[digest] == "DONE", digest in sent and digest in own, numbers[digest],
                      rank(statuses[digest]), digest) for digest in later}  # fmt: skip
    current = max(later, key=order.get, default=None)
    about = later.get(current, {})
    outcomes = [("result" in record, digest in own, rank(record["status"]), digest)
                for digest, record in about.items() if record["type"] == "outcome"]  # fmt: skip
    named = [(digest in own, record["provider_job"])
             for digest, record in about.items() if type(record.get("provider_job")) is str]  # fmt: skip
    record = records.get(job, {})
    return {
        "created": record["created"].ns if record else 0,
        "provider": record.get("provider", ""),
        "backend": sent.get(current, {}).get("on") or record.get("backend", ""),
        "shots": record.get("shots"),
        "status": statuses[current] if current else "PREPARED",
        "attempts": len(later),
        "outcome": max(outcomes)[3] if outcomes else None,
        "provider_job": max(named)[1] if named else None,
        "tags": tags_of(job, records, own),
    }


def tags_of(job: bytes, records: dict, own: set) -> list:
    """The tags that somebody gave a job and nobody took away; what a record of our own gave only such a record takes away."""
    given, taken = set(), set()
    if job in records:
        given = {(tag, job) for tag in records[job].get("labels", {}).get("tags", [])}
    for digest, record in records.items():
        if record["type"] == "annotation":
            given |= {(tag, digest) for tag in record.get("tags", [])}
            named = {(tag, each.digest) for tag, links in record.get("untagged", {}).items() for each in links}
            taken |= {(tag, giver) for tag, giver in named if digest in own or giver not in own}
    return sorted({tag for tag, _ in given - taken})


def last_status(records: list) -> str:
    return max((record.get("status") for record in records if rank(record.get("status")) >= 0), key=rank, default="UNKNOWN")


# Seals


def seal(archive: Archive, job: bytes, outcome: bytes) -> bytes:
    """The seal of a job whose outcome holds: every blob that it covers is read and checked."""
    attempt = archive.records[outcome]["attempt"].digest
    sealed = {job, attempt, outcome}
    for digest, record in counting(archive, job, attempt).items():
        if record["type"] in ("sent", "calibration"):
            sealed |= {digest} if record["type"] == "sent" or record["phase"] in ("submit", "run") else set()
    pending, reached = list(sealed), set()
    while pending:
        digest = pending.pop()
        if digest not in reached:
            if digest not in archive.places:
                raise Damaged(f"blob {digest.hex()}, which job {job.hex()} refers to, is missing")
            reached.add(digest)
            pending += links(decode(archive.blob(digest)))
    items = b"".join(b"\xc7\x20\x09" + digest for digest in sorted(reached))
    return hashlib.sha256(b"\x93\xa4seal\x01" + list_head(len(reached)) + items).digest()


def counting(archive: Archive, job: bytes, attempt: bytes) -> dict:
    """The records that refer to an attempt and count: only the archive's own where one of them has a result."""
    about = {
        digest: record
        for digest, record in archive.records.items()
        if type(record.get("attempt")) is Link and (record["job"].digest, record["attempt"].digest) == (job, attempt)
    }
    mine = {digest: record for digest, record in about.items() if digest in archive.own}
    return mine if any(record["type"] == "outcome" and "result" in record for record in mine.values()) else about


def seal_of_all(seals: set) -> bytes:
    """The seal of several jobs."""
    items = b"".join(b"\xc4\x20" + each for each in sorted(seals))
    return hashlib.sha256(b"\x93\xa5seals\x01" + list_head(len(seals)) + items).digest()


def list_head(length: int) -> bytes:
    """How a list of so many items begins."""
    if length < 16:
        return bytes([0x90 + length])
    return b"\xdc" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xdd" + length.to_bytes(4, "big")


# Command line


def show_seals(archive: Archive, prefix: str) -> int:
    """Print the seals of all jobs, of one, or of one group's, by the beginning of its id, and their seal together."""
    groups = [members for group, (_, members) in archive.groups().items() if prefix and group.hex().startswith(prefix.lower())]
    jobs = archive.jobs()
    found = groups[0] if len(groups) == 1 else [job for job in jobs if job.hex().startswith(prefix.lower())]
    ended = {job: jobs[job]["outcome"] for job in found if jobs[job]["outcome"]}
    if prefix and (not ended or len(groups) > 1 or (not groups and len(found) != 1)):
        print(f"no group and no single job that has ended begins with {printable(prefix)}", file=sys.stderr)
        return 3
    seals = {job: seal(archive, job, outcome) for job, outcome in ended.items()}
    for job, digest in seals.items():
        print(job.hex(), digest.hex(), sep="  ")
    if len(seals) > 1 or groups:
        print("together", seal_of_all(set(seals.values())).hex(), sep="  ")
    return 0


def check_vectors(archive: Path, folder: Path) -> list:
    """What disagrees with the vectors in a folder; empty where nothing does."""
    wrong = []
    for vector in json.loads((folder / "values.json").read_text("utf-8")):
        data = bytes.fromhex(vector["bytes"])
        if show(decode(data)) != vector["value"] or hashlib.sha256(data).hexdigest() != vector["digest"]:
            wrong.append(f"values.json: {vector['name']}")
    for vector in json.loads((folder / "refused.json").read_text("utf-8")):
        try:
            decode(bytes.fromhex(vector["bytes"]))
            wrong.append(f"refused.json: {vector['name']} is not refused")
        except (NotCanonical, NewerFormat) as error:
            if type(error).__name__ != vector["error"]:
                wrong.append(f"refused.json: {vector['name']} is refused as {type(error).__name__}")
    if describe(Archive(archive)) != json.loads((folder / "tiny.json").read_text("utf-8")):
        wrong.append("tiny.json: the archive reads otherwise")
    return wrong


def describe(archive: Archive) -> dict:
    """An archive as `tiny.json` describes it."""
    packs = []
    for pack in archive.packs:
        commits = []
        for owner, commit in archive.commits:
            if owner is pack:
                blobs = [describe_blob(pack, blob) for blob in commit.blobs]
                commits.append({"offset": commit.offset, "length": commit.length, "synced": commit.synced, "blobs": blobs})
        packs.append({"file": pack.path.name, "sealed": pack.trailer.content.hex() if pack.trailer else None, "commits": commits})
    jobs = {job.hex(): found | {"outcome": found["outcome"] and found["outcome"].hex()} for job, found in archive.jobs().items()}
    groups = {}
    for group, (record, members) in archive.groups().items():
        named = {name: record[name] for name in ("name", "archive", "number")}
        groups[group.hex()] = named | {"jobs": [job.hex() for job in members]}
    return {"packs": packs, "jobs": jobs, "groups": groups, "findings": [finding.kind for finding in archive.verify()]}


def describe_blob(pack: Pack, blob: Blob) -> dict:
    found = {"kind": blob.kind, "digest": blob.digest.hex(), "length": blob.length, "value": show(decode(pack.read(blob)))}
    return found | ({"key": blob.key.hex()} if blob.key else {})


def line(job: bytes, found: dict) -> str:
    """A job as listings print it."""
    shots = "-" if found["shots"] is None else str(found["shots"])
    told = printable(found["provider"]), printable(found["backend"]), found["status"], shots
    return "  ".join((job.hex(), moment(found["created"]), *told))


def printable(text: str) -> str:
    return json.dumps(text)[1:-1]


def main(arguments: list) -> int:
    if len(arguments) not in (2, 3) or arguments[1] not in ("list", "groups", "verify", "cat", "seal", "vectors"):
        print(__doc__, file=sys.stderr)
        return 2
    folder, command, *rest = arguments
    if len(rest) != (command in ("cat", "vectors")) and command != "seal":
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if command == "vectors":
            found = check_vectors(Path(folder), Path(rest[0]))
            print("\n".join(found) or "all vectors agree")
            return 5 if found else 0
        archive = Archive(Path(folder))
        if command == "list":
            for job, found in archive.jobs().items():
                print(line(job, found))
            return 0
        if command == "groups":
            jobs = archive.jobs()
            for group, (record, members) in archive.groups().items():
                print(group.hex(), printable(record["name"]), printable(record["archive"]), record["number"], sep="  ")
                for job in members:
                    print(f"  {line(job, jobs[job])}")
            return 0
        if command == "cat":
            matches = sorted(digest for digest in archive.places if digest.hex().startswith(rest[0].lower()))
            if len(matches) != 1:
                print(f"{len(matches)} blobs begin with {printable(rest[0])}", file=sys.stderr)
                return 3
            print(show(decode(archive.blob(matches[0]))))
            return 0
        if command == "seal":
            return show_seals(archive, rest[0] if rest else "")
        findings = archive.verify()
        for finding in findings:
            print(f"{finding.kind}: {finding.where}: {finding.detail}")
        sums = len(archive.packs), len(archive.commits), len(archive.places), len(archive.records)
        print("{} packs, {} commits, {} blobs, {} records".format(*sums))
        return 5 if any(finding.kind not in ("tail", "withheld") for finding in findings) else 0
    except (Damaged, NotCanonical) as error:
        print(f"damaged: {error}", file=sys.stderr)
        return 5
    except NewerFormat as error:
        print(f"written by a later version: {error}", file=sys.stderr)
        return 8
    except OSError as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
