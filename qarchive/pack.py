"""Packs: append-only files of commits, each of them valid zstd. `spec/format.md`, "Packs", is the contract.

Everything here is about bytes; who may append to a pack is decided in `lease`, what is where in `index`.
"""

import hashlib
import os
import re
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import msgpack
import zstandard

from . import codec
from .errors import Damaged, NewerFormat, NotEncodable

VERSION = 1
SEAL_SIZE = 64 << 20  # a pack that has grown to this is sealed
SEAL_BLOBS = 1 << 17  # and one that has so many: its directory must fit into memory with room to spare
FRAME_SIZE = 1 << 20  # blobs share a frame up to this many raw bytes
MAX_HEADER = 64 << 20  # of a commit's header: what it lists is read into memory before anything else is known
LEVEL = 3
RECORD = "record"
COMING = ".import"  # ends the name of a file beside the packs that is not checked yet
BUNDLE = "bundle"  # the kind of the first blob of a pack that was made for somebody else

HEADER, FOOTER, TRAILER = (struct.pack("<I", 0x184D2A50 + n) for n in (1, 2, 3))
MARK = b"qarchive"
END = b"qarchEND"
_PREFIX = struct.Struct("<4sI8s")
_END = struct.Struct("<32sQ8s")
_HASH = 32
FOOTER_SIZE = 8 + _HASH
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_of_thread = threading.local()
_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class Blob:
    """One value on its way into a pack: `data` are its canonical bytes, `key` another name for its content or None."""

    kind: str
    digest: bytes
    data: bytes
    key: bytes | None = None


class Entry(NamedTuple):
    """Where a blob lies: its frame's place and sizes in the pack, and its own place and length inside the frame."""

    kind: str
    digest: bytes
    length: int
    key: bytes | None
    frame: int
    stored: int
    raw: int
    start: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One append. `whole` is False where its hash does not fit though its header does."""

    offset: int
    length: int
    synced: int  # the pack was known to be on the disk up to here when this commit was written
    entries: tuple[Entry, ...]
    hash: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no commit although a commit follows them, or in a sealed pack."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Tail:
    """Bytes at the end of an open pack that are no whole commit: a write that was cut off, or is still going on."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Seal:
    """The trailer of a sealed pack: where it starts and the hash of everything before it. A `brief` one leaves its directories
    to the headers, as one does that was written in one go."""

    offset: int
    content: bytes
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Blobs that were compressed together: `stored` is their zstd frame, `raw` how many bytes it holds, `blobs` what it holds as
    directories list it."""

    stored: bytes
    raw: int
    blobs: list[list]


class Compresses(Protocol):
    """What makes a frame: a `zstandard.ZstdCompressor`, or something that asks several of them."""

    def compress(self, data: bytes) -> bytes: ...


def frame(blobs: list[Blob], compressor: Compresses) -> Frame:
    """Blobs in one frame. Raises NotEncodable."""
    for blob in blobs:
        if not _KIND.match(blob.kind):
            raise NotEncodable(f"a blob of the kind {blob.kind!r}")
    data = b"".join([blob.data for blob in blobs])
    listed = [_listed(blob.kind, len(blob.data), blob.digest, blob.key) for blob in blobs]
    return Frame(compressor.compress(data), len(data), listed)


def build(pack: bytes, offset: int, synced: int, blobs: list[Blob], compressor: Compresses) -> bytes:
    """The bytes of one commit. Records stand last among `blobs`, so that they get a frame of their own. Raises NotEncodable."""
    frames, pending, size = [], [], 0
    for i, blob in enumerate(blobs):
        pending.append(blob)
        size += len(blob.data)
        last = i + 1 == len(blobs)
        if last or size + len(blobs[i + 1].data) > FRAME_SIZE or (blobs[i + 1].kind == RECORD) != (blob.kind == RECORD):
            frames.append(frame(pending, compressor))
            pending, size = [], 0
    return assemble(pack, offset, synced, frames)


def assemble(pack: bytes, offset: int, synced: int, frames: list[Frame]) -> bytes:
    """The bytes of one commit of these frames, those of records last. Raises NotEncodable."""
    sizes = [[len(frame.stored), frame.raw] for frame in frames]
    listed = [blob for frame in frames for blob in frame.blobs]
    body = msgpack.packb([VERSION, pack, offset, synced, sizes, listed])  # nothing in it has a second encoding
    size = len(MARK) + len(body) + _HASH
    if size > MAX_HEADER:
        raise NotEncodable(f"{len(listed)} blobs in one commit")
    header = _PREFIX.pack(HEADER, size, MARK) + body
    running = hashlib.sha256(header)
    checksum = running.digest()
    stored = [frame.stored for frame in frames]
    for part in (checksum, *stored):
        running.update(part)
    return b"".join((header, checksum, *stored, FOOTER, struct.pack("<I", _HASH), running.digest()))  # frames are copied once


def build_trailer(pack: bytes, offset: int, content: bytes, commits: list[Commit], brief: bool = False) -> bytes:
    """The trailer that seals a pack: its directories together and the hash of what stands before it; a `brief` one leaves the
    directories to the headers."""
    listed = [[commit.offset, commit.length, commit.synced] for commit in commits] if brief else []
    for commit in () if brief else commits:
        sizes = [[entry.stored, entry.raw] for entry in commit.entries if entry.start == 0]
        blobs = [_listed(entry.kind, entry.length, entry.digest, entry.key) for entry in commit.entries]
        listed.append([commit.offset, commit.length, commit.synced, sizes, blobs])
    body = codec.encode([VERSION, pack, offset, content, listed])
    payload = MARK + body
    size = len(payload) + _END.size
    head = TRAILER + struct.pack("<I", size) + payload
    return head + _END.pack(hashlib.sha256(head).digest(), size + 8, END)


def pack_id(path: Path) -> bytes | None:
    """The id in a pack's file name, or None where the name is not that of a pack."""
    try:
        found = bytes.fromhex(path.stem)
    except ValueError:
        return None
    return found if len(found) == 16 and path.suffix == ".pack" and path.stem == found.hex() else None


def id_inside(path: Path) -> bytes | None:
    """The id that a file says to have in its first bytes, whatever it is called; None where it does not begin like a pack."""
    with open(path, "rb") as file:
        prefix = file.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size:
            return None
        magic, size, mark = _PREFIX.unpack(prefix)
        if magic != HEADER or mark != MARK or not len(MARK) + _HASH < size <= MAX_HEADER:
            return None
        body = file.read(size - len(MARK))[:-_HASH]
    found = _body(body)
    named = type(found) is list and len(found) > 1 and type(found[1]) is bytes and len(found[1]) == 16
    return found[1] if named else None


def scan(path: Path, start: int = 0, pack: bytes | None = None) -> Iterator[Commit | Damage | Tail | Seal]:
    """Everything in a pack from byte `start` on, in order; `start` is where a commit ended, `pack` the id, else as in its name.

    Each commit's hash is checked; blobs are not decompressed. Raises NewerFormat.
    """
    pack = pack or pack_id(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        seal = _seal(file, path, pack, size)
        end = seal.offset if seal else size
        at = start
        while at < end:
            commit = _commit(file, path, pack, at, end)
            if commit is None:
                following = _find_header(file, path, pack, at + 1, end)
                if following is None and seal is None and not _was_trailer(file, at, size):
                    yield Tail(at, end - at)
                    return
                following = end if following is None else following
                yield Damage(at, following - at)
                at = following
            elif not commit.whole and seal is None and _find_header(file, path, pack, at + commit.length, end) is None:
                yield Tail(at, end - at)
                return
            else:
                yield commit
                at += commit.length
        if seal:
            yield seal


def read_seal(path: Path, pack: bytes | None = None) -> Seal | None:
    """The trailer's facts where a pack is sealed, else None."""
    with open(path, "rb") as file:
        return _seal(file, path, pack or pack_id(path), os.fstat(file.fileno()).st_size)


def sealed_commits(path: Path, pack: bytes | None = None) -> list[Commit] | None:
    """The directories in a sealed pack's trailer: one read instead of one a commit. None where it is not sealed.

    The commits' hashes are not checked and left empty.
    """
    found = sealed(path, pack)
    return found[1] if found and all(commit.entries for commit in found[1]) else None


def trailer_length(end: bytes) -> int | None:
    """How long the trailer of a pack is whose last bytes these are; None where they do not end one."""
    if len(end) < _END.size:
        return None
    _, length, mark = _END.unpack(end[-_END.size :])
    return length if mark == END and _PREFIX.size + _END.size <= length <= codec.MAX_BYTES else None


def trailer_in(data: bytes, size: int, path: Path) -> tuple[bytes, Seal, list[Commit]] | None:
    """(id, seal, commits) from a trailer's bytes, the end of a pack of `size` bytes; None where they are none."""
    name = _id_at(data, b"\x95")
    found = _trailer(Window(data, size - len(data)), path, name, size)
    return found and (name, *found)


def commit_in(data: bytes, offset: int, path: Path) -> Commit | None:
    """The commit whose bytes, from byte `offset` of some pack, these are; None where they are none, or not whole."""
    found = _commit(Window(data, offset), path, _id_at(data, b"\x96"), offset, offset + len(data))
    return found if found is not None and found.whole and found.length == len(data) else None


class Window:
    """Some bytes of a file, read as if the file was there."""

    def __init__(self, data: bytes, offset: int):
        self._data, self._offset, self._at = data, offset, offset

    def seek(self, at: int) -> None:
        self._at = at

    def read(self, length: int) -> bytes:
        start = self._at - self._offset
        found = self._data[start : start + length] if start >= 0 else b""
        self._at += len(found)
        return found


def _id_at(data: bytes, form: bytes) -> bytes:
    """The pack's id in a header or a trailer, whose body begins with the version and the id."""
    start = _PREFIX.size + 4
    return data[start : start + 16] if data[_PREFIX.size : start] == form + b"\x01\xc4\x10" else b""


def sealed(path: Path, pack: bytes | None = None) -> tuple[Seal, list[Commit]] | None:
    """(the trailer's facts, the commits that it lists) of a sealed pack, else None. The commits' hashes are left empty.

    The entries of a commit that only its own header lists are read there, and empty where that is none.
    """
    pack = pack or pack_id(path)
    with open(path, "rb") as file:
        found = _trailer(file, path, pack, os.fstat(file.fileno()).st_size)
        if found is None:
            return None
        seal, commits = found
        return seal, [commit if commit.entries else _listed_in_header(file, path, pack, commit) for commit in commits]


def _listed_in_header(file, path: Path, pack: bytes, commit: Commit) -> Commit:
    there = _header(file, path, pack, commit.offset, commit.offset + commit.length)
    if there is None:
        return commit
    header, synced, sizes, entries = there
    length = len(header) + sum(stored for stored, _ in sizes) + FOOTER_SIZE
    return replace(commit, entries=entries) if (length, synced) == (commit.length, commit.synced) else commit


def commit_at(path: Path, offset: int, end: int, pack: bytes | None = None) -> Commit | None:
    """The commit that stands at a byte and ends at or before `end`, its hash checked (`whole`); None where there is none.

    No other one is looked for. Raises NewerFormat.
    """
    with open(path, "rb") as file:
        return _commit(file, path, pack or pack_id(path), offset, end)


def looks_brief(path: Path) -> bool:
    """Whether a pack seems to end with a trailer that leaves its directories to the headers. One look; nothing is checked."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - _END.size, 0))
        length = trailer_length(file.read(_END.size))
        if length is None or length > size:
            return False
        file.seek(size - length + _PREFIX.size)
        body = msgpack.Unpacker(max_buffer_size=0)
        body.feed(file.read(min(length, 1 << 10)))
    try:
        for _ in range(body.read_array_header() - 1):
            body.skip()
        return body.read_array_header() > 0 and body.read_array_header() == 3
    except (ValueError, msgpack.UnpackException):
        return False


def read_hash(path: Path, end: int) -> bytes:
    """The hash that ends the commit which ends at byte `end`."""
    with open(path, "rb") as file:
        file.seek(max(end - _HASH, 0))
        return file.read(_HASH)


def read(file, path: Path, entry: Entry) -> bytes:
    """A blob's canonical bytes, checked against its digest. Raises Damaged."""
    raw = read_frame(file, path, entry.frame, entry.stored, entry.raw)
    data = raw[entry.start : entry.start + entry.length]
    if codec.digest(data) != entry.digest:
        raise Damaged(str(path), f"blob {entry.digest.hex()} has other bytes than its digest says", entry.frame)
    return data


def read_frame(file, path: Path, offset: int, stored: int, raw: int) -> bytes:
    """The raw bytes of one zstd frame whose sizes were declared beforehand; never more memory than that."""
    if not _plausible(stored, raw):
        raise Damaged(str(path), f"a frame said to be {stored} bytes for {raw}", offset)
    file.seek(offset)
    frame = file.read(stored)
    try:
        if len(frame) == stored and zstandard.frame_content_size(frame) == raw:
            return _decompressor().decompress(frame, allow_extra_data=False)
        reason = "a frame with other sizes than its directory says"
    except zstandard.ZstdError as error:
        reason = f"a frame that does not decompress ({error})"
    raise Damaged(str(path), reason, offset)


def _decompressor() -> zstandard.ZstdDecompressor:
    """This thread's: to make one takes longer than to decompress a small frame."""
    if not hasattr(_of_thread, "decompressor"):
        _of_thread.decompressor = zstandard.ZstdDecompressor()
    return _of_thread.decompressor


def _listed(kind: str, length: int, name: bytes, key: bytes | None) -> list:
    """A blob as headers and trailers list it."""
    return [kind, length, name] if key is None else [kind, length, name, key]


def _commit(file, path, pack, at, end) -> Commit | None:
    """The commit at byte `at`, or None where there is no valid header or it goes beyond `end`."""
    found = _header(file, path, pack, at, end)
    if found is None:
        return None
    header, synced, sizes, entries = found
    length = len(header) + sum(stored for stored, _ in sizes) + FOOTER_SIZE
    if at + length > end:
        return None
    running = hashlib.sha256(header)
    left = length - len(header) - FOOTER_SIZE
    while left:
        piece = file.read(min(left, 1 << 20))
        if not piece:
            return None  # a writer cut it off while it was being read
        running.update(piece)
        left -= len(piece)
    footer = file.read(FOOTER_SIZE)
    whole = footer == FOOTER + struct.pack("<I", _HASH) + running.digest()
    return Commit(at, length, synced, entries, footer[-_HASH:], whole)


def _header(file, path, pack, at, end) -> tuple[bytes, int, list, tuple[Entry, ...]] | None:
    """(bytes, synced, frame sizes, entries) of the header at byte `at`, the file left behind it; None if it is none."""
    file.seek(at)
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        return None
    magic, size, mark = _PREFIX.unpack(prefix)
    if magic != HEADER or mark != MARK or not len(MARK) + _HASH < size <= MAX_HEADER or at + 8 + size > end:
        return None
    rest = file.read(size - len(MARK))
    body, checksum = rest[:-_HASH], rest[-_HASH:]
    if hashlib.sha256(prefix + body).digest() != checksum:
        return None
    found = _directory(path, pack, at, body, 6)
    if found is None:
        return None
    synced, sizes, listed = found
    entries = _entries(at + len(prefix) + len(rest), sizes, listed)
    if entries is None or not _is_size(synced, at):
        return None
    return prefix + rest, synced, sizes, entries


def _body(data: bytes):
    """The value of a header's or trailer's body; None for bytes that are no canonical encoding. There are integers, text, bytes
    and lists in it, of which msgpack itself writes one encoding."""
    try:
        found = msgpack.unpackb(data)
        return found if msgpack.packb(found) == data else None
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        return None


def _directory(path, pack, at, body, size) -> list | None:
    """What follows version, pack and offset in the list of a header or trailer; None where it is not this pack's at `at`."""
    found = _body(body)
    if type(found) is not list or [type(item) for item in found[:3]] != [int, bytes, int] or found[1:3] != [pack, at]:
        return None
    if found[0] > VERSION:
        raise NewerFormat(str(path), found[0], VERSION)
    return found[3:] if found[0] == VERSION and len(found) == size else None


def _entries(at, sizes, listed) -> tuple[Entry, ...] | None:
    """Places of all blobs: frames follow each other, and blobs fill each of them. None where anything does not fit."""
    if type(sizes) is not list or type(listed) is not list or not sizes:
        return None
    entries: list[Entry] = []
    kinds: set[str] = set()
    pending = iter(listed)
    for frame in sizes:
        if type(frame) is not list or len(frame) != 2 or not _plausible(*frame):
            return None
        stored, raw = frame
        start = 0
        while start < raw:
            # One look at each thing, and no call: there are millions of blobs.
            blob = next(pending, None)
            if type(blob) is not list:
                return None
            if len(blob) == 3:
                kind, length, name = blob
                key = None
            elif len(blob) == 4 and type(blob[3]) is bytes and len(blob[3]) == _HASH:
                kind, length, name, key = blob
            else:
                return None
            if type(name) is not bytes or len(name) != _HASH or type(length) is not int or not 0 < length <= raw - start:
                return None
            if type(kind) is not str or (kind not in kinds and not _KIND.match(kind)):
                return None
            kinds.add(kind)
            entries.append(_new(Entry, (kind, name, length, key, at, stored, raw, start)))
            start += length
        at += stored
    return tuple(entries) if len(entries) == len(listed) else None


def _plausible(stored, raw) -> bool:
    """Whether a frame can have these sizes: not empty, within the limit, and not larger than zstd makes any input."""
    return _is_size(raw, codec.MAX_BYTES) and raw > 0 and _is_size(stored, raw + (raw >> 8) + 128) and stored > 0


def _is_size(value, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _find_header(file, path, pack, start, end) -> int | None:
    """The next valid commit header at or after byte `start`."""
    overlap = _PREFIX.size - 1
    at = start
    while at < end:
        file.seek(at)
        window = file.read(min(4 << 20, end - at))
        found = window.find(HEADER)
        while found >= 0:
            looks_like_one = window[found + 8 : found + 16] == MARK or found + 16 > len(window)
            if looks_like_one and _header(file, path, pack, at + found, end) is not None:
                return at + found
            found = window.find(HEADER, found + 1)
        if len(window) <= overlap:
            return None
        at += len(window) - overlap
    return None


def _seal(file, path, pack, size) -> Seal | None:
    found = _trailer(file, path, pack, size)
    return found[0] if found else None


def _was_trailer(file, at, size) -> bool:
    """Whether the bytes from `at` to the end were once a whole trailer: then a flipped bit unsealed the pack, no crash."""
    file.seek(at)
    magic, length, mark = _PREFIX.unpack(file.read(_PREFIX.size).ljust(_PREFIX.size, b"\0"))
    file.seek(max(size - len(END), 0))
    return file.read(len(END)) == END or (magic == TRAILER and mark == MARK and at + 8 + length == size)


def _trailer(file, path, pack, size) -> tuple[Seal, list[Commit]] | None:
    """(Seal, commits) of a sealed pack; None where the file does not end with a valid trailer."""
    if size < _END.size:
        return None
    file.seek(size - _END.size)
    checksum, length, end = _END.unpack(file.read(_END.size).ljust(_END.size, b"\0"))
    if end != END or not _PREFIX.size + _END.size <= length <= min(size, codec.MAX_BYTES):
        return None
    at = size - length
    file.seek(at)
    head = file.read(length - _END.size)
    if head[: _PREFIX.size] != _PREFIX.pack(TRAILER, length - 8, MARK) or hashlib.sha256(head).digest() != checksum:
        return None
    found = _directory(path, pack, at, head[_PREFIX.size :], 5)
    if found is None:
        return None
    content, listed = found
    commits = _commits(listed, at)
    if commits is None or type(content) is not bytes or len(content) != _HASH:
        return None
    return Seal(at, content, not all(commit.entries for commit in commits)), commits


def _commits(listed, end) -> list[Commit] | None:
    """The commits that a trailer at byte `end` lists, one after another from byte 0; None where anything does not fit."""
    if type(listed) is not list:
        return None
    commits = []
    at = 0
    for commit in listed:
        if type(commit) is not list or len(commit) not in (3, 5):
            return None
        offset, length, synced, *directory = commit
        if type(offset) is not int or offset != at or not _is_size(length, end - at) or not length:
            return None
        if not _is_size(synced, at):
            return None
        if not directory:
            commits.append(Commit(at, length, synced, (), b""))
            at += length
            continue
        sizes, blobs = directory
        if type(sizes) is not list:
            return None
        frames = sum(frame[0] for frame in sizes if type(frame) is list and frame and type(frame[0]) is int)
        first = at + length - FOOTER_SIZE - frames
        entries = _entries(first, sizes, blobs)
        if entries is None or first <= at:
            return None
        commits.append(Commit(at, length, synced, entries, b""))
        at += length
    return commits if at == end else None
