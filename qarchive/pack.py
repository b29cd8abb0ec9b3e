"""Packs: append-only files of commits, each of them valid zstd. `spec/format.md`, "Packs", is the contract.

Everything here is about bytes; who may append to a pack is decided in `lease`, what is where in `index`.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from . import codec
from .errors import Damaged, NewerFormat, NotCanonical

VERSION = 1
SEAL_SIZE = 64 << 20  # a pack that has grown to this is sealed
FRAME_SIZE = 1 << 20  # blobs share a frame up to this many raw bytes
LEVEL = 3
RECORD = "record"

HEADER, FOOTER, TRAILER = (struct.pack("<I", 0x184D2A50 + n) for n in (1, 2, 3))
MARK = b"qarchive"
END = b"qarchEND"
_PREFIX = struct.Struct("<4sI8s")
_END = struct.Struct("<32sQ8s")
_HASH = 32
FOOTER_SIZE = 8 + _HASH


@dataclass(frozen=True, slots=True)
class Blob:
    """One value on its way into a pack: `data` are its canonical bytes, `key` another name for its content or None."""

    kind: str
    digest: bytes
    data: bytes
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Entry:
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
    """The trailer of a sealed pack: where it starts and the hash of everything before it."""

    offset: int
    content: bytes


def build(pack: bytes, offset: int, synced: int, blobs: list[Blob], compressor: zstandard.ZstdCompressor) -> bytes:
    """The bytes of one commit. Records stand last among `blobs`, so that they get a frame of their own."""
    frames, sizes = [], []
    pending, pending_size = [], 0
    for i, blob in enumerate(blobs):
        pending.append(blob.data)
        pending_size += len(blob.data)
        last = i + 1 == len(blobs)
        if last or pending_size + len(blobs[i + 1].data) > FRAME_SIZE or (blobs[i + 1].kind == RECORD) != (blob.kind == RECORD):
            frame = compressor.compress(b"".join(pending))
            frames.append(frame)
            sizes.append([len(frame), pending_size])
            pending, pending_size = [], 0
    listed = [[blob.kind, len(blob.data), blob.digest, *([blob.key] if blob.key else [])] for blob in blobs]
    body = codec.encode([VERSION, pack, offset, synced, sizes, listed])
    header = _PREFIX.pack(HEADER, len(MARK) + len(body) + _HASH, MARK) + body
    commit = b"".join((header, hashlib.sha256(header).digest(), *frames))
    return commit + FOOTER + struct.pack("<I", _HASH) + hashlib.sha256(commit).digest()


def build_trailer(pack: bytes, offset: int, content: bytes, commits: list[Commit]) -> bytes:
    """The trailer that seals a pack: its directories together and the hash of what stands before it."""
    listed = [[c.offset, c.length, [[e.kind, e.length, e.digest, e.key, e.frame, e.stored, e.raw, e.start] for e in c.entries]]
              for c in commits]  # fmt: skip
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


def scan(path: Path, start: int = 0) -> Iterator[Commit | Damage | Tail | Seal]:
    """Everything in a pack from byte `start` on, in order; `start` is where a commit ended.

    Each commit's hash is checked; blobs are not decompressed. Raises NewerFormat.
    """
    pack = pack_id(path)
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


def read_seal(path: Path) -> Seal | None:
    """The trailer's facts where a pack is sealed, else None."""
    with open(path, "rb") as file:
        return _seal(file, path, pack_id(path), os.fstat(file.fileno()).st_size)


def sealed_commits(path: Path) -> list[Commit] | None:
    """The directories in a sealed pack's trailer: one read instead of one a commit. None where it is not sealed.

    The commits' hashes are not checked and left empty.
    """
    with open(path, "rb") as file:
        found = _trailer(file, path, pack_id(path), os.fstat(file.fileno()).st_size)
    if found is None:
        return None
    return [Commit(offset, length, offset, tuple(Entry(k, d, n, key, f, s, r, at) for k, n, d, key, f, s, r, at in entries), b"")
            for offset, length, entries in found[1]]  # fmt: skip


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
    file.seek(offset)
    frame = file.read(stored)
    try:
        if len(frame) == stored and zstandard.frame_content_size(frame) == raw <= codec.MAX_BYTES:
            return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
        reason = "a frame with other sizes than its directory says"
    except zstandard.ZstdError as error:
        reason = f"a frame that does not decompress ({error})"
    raise Damaged(str(path), reason, offset)


def _commit(file, path, pack, at, end) -> Commit | None:
    """The commit at byte `at`, or None where there is no valid header or it goes beyond `end`."""
    found = _header(file, path, pack, at, end)
    if found is None:
        return None
    header, (synced, sizes, listed) = found
    length = len(header) + sum(stored for stored, _ in sizes) + FOOTER_SIZE
    entries = _entries(at + len(header), sizes, listed)
    if entries is None:
        return None
    if at + length > end:
        return Commit(at, end - at, synced, entries, b"", whole=False)
    running = hashlib.sha256(header)
    left = length - len(header) - FOOTER_SIZE
    while left:
        piece = file.read(min(left, 1 << 20))
        running.update(piece)
        left -= len(piece)
    footer = file.read(FOOTER_SIZE)
    whole = footer == FOOTER + struct.pack("<I", _HASH) + running.digest()
    return Commit(at, length, synced, entries, footer[-_HASH:], whole)


def _header(file, path, pack, at, end):
    """(bytes, (synced, frame sizes, blobs)) of the header at byte `at`, the file left behind it; None if it is none."""
    file.seek(at)
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        return None
    magic, size, mark = _PREFIX.unpack(prefix)
    if magic != HEADER or mark != MARK or size < len(MARK) + _HASH or at + 8 + size > end:
        return None
    rest = file.read(size - len(MARK))
    body, checksum = rest[:-_HASH], rest[-_HASH:]
    if hashlib.sha256(prefix + body).digest() != checksum:
        return None
    try:
        found = codec.decode(body)
    except NotCanonical:
        return None
    if type(found) is not list or not found or type(found[0]) is not int:
        return None
    if found[0] > VERSION:
        raise NewerFormat(str(path), found[0], VERSION)
    if len(found) != 6 or found[1] != pack or found[2] != at:
        return None
    return prefix + rest, found[3:]


def _entries(at, sizes, listed) -> tuple[Entry, ...] | None:
    """Places of all blobs: frames follow each other, and blobs fill each of them. None where the sums do not fit."""
    entries = []
    pending = iter(listed)
    for stored, raw in sizes:
        start = 0
        while start < raw:
            kind, length, name, *key = next(pending, (None, 0, None))
            if kind is None or length <= 0:
                return None
            entries.append(Entry(kind, name, length, key[0] if key else None, at, stored, raw, start))
            start += length
        if start != raw:
            return None
        at += stored
    return tuple(entries) if next(pending, None) is None else None


def _find_header(file, path, pack, start, end) -> int | None:
    """The next valid commit header at or after byte `start`."""
    overlap = _PREFIX.size - 1
    at = start
    while at < end:
        file.seek(at)
        window = file.read(min(4 << 20, end - at))
        found = window.find(HEADER)
        while found >= 0:
            if window[found + 8 : found + 16] == MARK or found + 16 > len(window):
                if _header(file, path, pack, at + found, end) is not None:
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


def _trailer(file, path, pack, size):
    """(Seal, listed directories) of a sealed pack; None where the file does not end with a valid trailer."""
    if size < _END.size:
        return None
    file.seek(size - _END.size)
    checksum, length, end = _END.unpack(file.read(_END.size))
    if end != END or not _END.size + 8 <= length <= size:
        return None
    file.seek(size - length)
    head = file.read(length - _END.size)
    if head[:4] != TRAILER or hashlib.sha256(head).digest() != checksum:
        return None
    try:
        found = codec.decode(head[8 + len(MARK) :])
    except NotCanonical:
        return None
    if found[0] > VERSION:
        raise NewerFormat(str(path), found[0], VERSION)
    if found[1] != pack or found[2] != size - length:
        return None
    return Seal(found[2], found[3]), found[4]
