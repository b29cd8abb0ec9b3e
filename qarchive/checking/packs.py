"""Checking one pack: quickly where all is as it was written, and thoroughly where anything is not.

The quick way finds no fault, it only finds that there is none; whatever it does not expect, it leaves to the thorough one.
"""

import hashlib
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgpack
import zstandard

from .. import codec, pack, records
from ..errors import Damaged, NewerFormat, NotCanonical
from ..intake import read_all
from .shapes import Shapes

_WINDOW = 8 << 20  # bytes read at once
_PREFIX = struct.Struct("<4sI8s")
_END = struct.Struct("<32sQ8s")
_FOOTER = pack.FOOTER + struct.pack("<I", 32)
_SIZES = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}  # bytes of a number, by its first
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


@dataclass
class Part:
    """What was found in a pack. Digests are joined, each once, in order: of the blobs whose bytes are good, of the records among
    them that are not wrong, and of what they link to and the pack does not hold.

    `findings` are (kind, byte, what is wrong).
    """

    commits: int = 0
    blobs: bytes = b""
    records: bytes = b""
    links: bytes = b""
    findings: list[tuple[str, int, str]] = field(default_factory=list)


class _Seen:
    """Digests on their way into a part."""

    def __init__(self):
        self.blobs: set[bytes] = set()
        self.records: set[bytes] = set()
        self.links: set[bytes] = set()

    def part(self, commits: int, findings: list[tuple[str, int, str]]) -> Part:
        joined = (b"".join(sorted(found)) for found in (self.blobs, self.records, self.links - self.blobs))
        return Part(commits, *joined, findings)


class Checker:
    """Checks packs, one after another. What it learns of one makes it faster with the next."""

    def __init__(self):
        self._shapes = {True: Shapes(), False: Shapes()}  # of records and of other blobs
        self._decompressor = zstandard.ZstdDecompressor()

    def check(self, path: Path, deep: bool) -> Part:
        """Raises FileNotFoundError, NewerFormat."""
        try:
            return self._quickly(path, deep)
        except _OtherwiseError:
            return _thoroughly(path, deep)

    def _quickly(self, path: Path, deep: bool) -> Part:
        seen, commits, listing = _Seen(), 0, []
        name = pack.pack_id(path)
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            trailer = _trailer(file, size)
            end = size - len(trailer)
            content = hashlib.sha256() if trailer else None
            window, at = b"", 0
            start = 0  # of the window
            while at < end:
                window, start, commit = _commit(file, window, start, at, end, name)
                commits += 1
                body, length, frames, blobs, first = commit
                inside = memoryview(window)[at - start : at - start + length]
                if inside[-pack.FOOTER_SIZE :] != _FOOTER + hashlib.sha256(inside[: -pack.FOOTER_SIZE]).digest():
                    raise _OtherwiseError
                if content is not None:
                    content.update(inside)
                    listing.append((at, length, body))
                self._blobs(inside, frames, blobs, first, deep, seen)
                at += length
        if trailer and not _fits(trailer, name, end, content.digest(), listing):
            raise _OtherwiseError
        return seen.part(commits, [])

    def _blobs(self, commit: memoryview, frames: list, blobs: list, at: int, deep: bool, seen: _Seen) -> None:
        """Hold the blobs of a commit against their digests and against the rules of values."""
        pending = iter(blobs)
        for stored, raw in frames:
            inside, left = [], raw
            while left > 0:
                blob = next(pending, None)
                if blob is None:
                    raise _OtherwiseError
                inside.append(blob)
                left -= blob[1]
            if left:
                raise _OtherwiseError
            if deep or any(blob[0] == pack.RECORD for blob in inside):
                self._frame(commit[at : at + stored], raw, inside, deep, seen)
            else:
                seen.blobs.update(blob[2] for blob in inside)
            at += stored
        if next(pending, None) is not None:
            raise _OtherwiseError

    def _frame(self, frame: memoryview, raw: int, blobs: list, deep: bool, seen: _Seen) -> None:
        try:
            if zstandard.frame_content_size(frame) != raw:
                raise _OtherwiseError
            data = self._decompressor.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError:
            raise _OtherwiseError from None
        sha256, at = hashlib.sha256, 0
        for kind, length, digest, *_ in blobs:
            if length == raw:
                encoded = data
            else:
                encoded = data[at : at + length]
                at += length
            is_record = kind == pack.RECORD
            if is_record or deep:
                if sha256(encoded).digest() != digest:
                    raise _OtherwiseError
                shapes = self._shapes[is_record]
                links = shapes.links(encoded)
                if links is None:
                    links = self._decode(encoded, is_record, shapes)
                seen.links.update(links)
            seen.blobs.add(digest)
            if is_record:
                seen.records.add(digest)

    def _decode(self, encoded: bytes, is_record: bool, shapes: Shapes) -> list[bytes]:
        try:
            value, links = codec.decode_linked(encoded)
        except (NotCanonical, NewerFormat):
            raise _OtherwiseError from None
        if is_record and records.wrong(value) is not None:
            raise _OtherwiseError
        shapes.learn(encoded)
        return links


class _OtherwiseError(Exception):
    """Something is not as it is expected; nobody outside sees this."""


def _trailer(file: BinaryIO, size: int) -> bytes:
    """The bytes that say to be a trailer; none where there are none."""
    file.seek(max(size - 64, 0))
    length = pack.trailer_length(file.read(64))
    if length is None or length > size:
        return b""
    file.seek(size - length)
    return file.read(length)


def _fits(trailer: bytes, name: bytes, end: int, content: bytes, listing: list[tuple[int, int, bytes]]) -> bool:
    """Whether a trailer lists what there is. What it says of a commit is what the header says, byte for byte."""
    pack_int = msgpack.packb
    before = len(msgpack.packb([pack.VERSION, name, 0])) - 1  # bytes of a header's body before what the trailer repeats
    whole, brief = [], []
    for at, length, body in listing:
        place = pack_int(at) + pack_int(length)
        said = body[before + len(pack_int(at)) :]
        whole += [b"\x95", place, said]
        brief += [b"\x93", place, said[: _SIZES.get(said[0], 1)]]
    head = b"\x95" + msgpack.packb([pack.VERSION, name, end, content])[1:] + msgpack.Packer().pack_array_header(len(listing))
    start = pack.TRAILER + struct.pack("<I", len(trailer) - 8) + pack.MARK
    stop = _END.pack(hashlib.sha256(trailer[: -_END.size]).digest(), len(trailer), pack.END)
    return any(b"".join((start, head, *listed, stop)) == trailer for listed in (whole, brief))


def _commit(file: BinaryIO, window: bytes, start: int, at: int, end: int, name: bytes) -> tuple[bytes, int, tuple]:
    """(a window of the file with all of the commit at byte `at`, where it starts, the commit as `_header` gives it)."""
    needed = min(64 << 10, end - at)
    while True:
        if at + needed > start + len(window):
            file.seek(at)
            size = min(max(needed, _WINDOW), end - at)
            window, start = _read(file, size), at
        inside = at - start
        magic, size, mark = _PREFIX.unpack_from(window, inside) if end - at > _PREFIX.size else (b"", 0, b"")
        if magic != pack.HEADER or mark != pack.MARK or size > pack.MAX_HEADER or at + 8 + size > end:
            raise _OtherwiseError
        if needed < 8 + size:
            needed = 8 + size
            continue
        header = window[inside : inside + 8 + size]
        body, length, frames, blobs = _header(header, at, name)
        if length > end - at:
            raise _OtherwiseError
        if needed < length:
            needed = length
            continue
        return window, start, (body, length, frames, blobs, len(header))


def _read(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (piece := file.read(size)):
        parts.append(piece)
        size -= len(piece)
    if size:
        raise _OtherwiseError  # somebody cut it off meanwhile
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _header(header: bytes, at: int, name: bytes) -> tuple[bytes, int, list, list]:
    """(body, length of the commit, frames, blobs) of a header for which each rule of the format holds."""
    body = header[_PREFIX.size : -32]
    if hashlib.sha256(header[:-32]).digest() != header[-32:]:
        raise _OtherwiseError
    try:
        found = msgpack.unpackb(body)
        if msgpack.packb(found) != body:  # in lists of numbers, bytes and letters every other encoding is a longer one
            raise _OtherwiseError
        version, named, offset, synced, frames, blobs = found
        ours = (type(version), version, named, type(offset), offset) == (int, pack.VERSION, name, int, at)
        if not ours or not (type(synced) is int and 0 <= synced <= at) or not frames:
            raise _OtherwiseError
        length = len(header) + pack.FOOTER_SIZE
        for stored, raw in frames:
            if not (
                type(stored) is int and type(raw) is int and 0 < raw <= codec.MAX_BYTES and 0 < stored <= raw + (raw >> 8) + 128
            ):
                raise _OtherwiseError
            length += stored
        for blob in blobs:
            kind, size, *names = blob
            if kind not in _kinds:
                _know(kind)
            if type(size) is not int or size <= 0 or not 1 <= len(names) <= 2:
                raise _OtherwiseError
            for digest in names:
                if type(digest) is not bytes or len(digest) != 32:
                    raise _OtherwiseError
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        raise _OtherwiseError from None
    return body, length, frames, blobs


_kinds: set[str] = set()


def _know(kind: object) -> None:
    if type(kind) is not str or not _KIND.match(kind):
        raise _OtherwiseError
    if len(_kinds) < 1000:
        _kinds.add(kind)


def _thoroughly(path: Path, deep: bool) -> Part:
    """All that is there, and all that is wrong with it, in the order of the file."""
    seen, commits, findings = _Seen(), 0, []
    sealed = pack.sealed_commits(path)
    listed = []
    with open(path, "rb") as file:
        for found in pack.scan(path):
            if type(found) is pack.Tail:
                reason = f"{found.length} bytes of a write that was cut off; the next writer moves them to quarantine/"
                findings.append(("tail", found.offset, reason))
            elif type(found) is pack.Damage:
                findings.append(("damage", found.offset, f"{found.length} bytes that are no commit"))
            elif type(found) is pack.Seal:
                if found.content != _content_hash(path, found.offset):
                    findings.append(("damage", found.offset, "the trailer's hash of the content does not fit"))
                if sealed is None or [_directory(commit) for commit in sealed] != listed:
                    findings.append(("damage", found.offset, "the trailer lists other commits than there are"))
            else:
                if sealed is not None:
                    listed.append(_directory(found))
                commits += 1
                if not found.whole:
                    findings.append(("damage", found.offset, f"a commit of {found.length} bytes whose hash does not fit"))
                findings += _look_at(path, file, found, deep, seen)
    return seen.part(commits, findings)


def _look_at(path: Path, file: BinaryIO, commit: pack.Commit, deep: bool, seen: _Seen) -> Iterator[tuple[str, int, str]]:
    """(kind, offset, detail) of what is wrong with a commit's records or, with `deep`, with all its blobs."""
    if not deep:
        seen.blobs.update(entry.digest for entry in commit.entries if entry.kind != pack.RECORD)
    for entry, data in read_all(file, path, [entry for entry in commit.entries if deep or entry.kind == pack.RECORD]):
        try:
            if isinstance(data, Damaged):
                raise data
            value, links = codec.decode_linked(data)
        except (Damaged, NotCanonical, NewerFormat) as error:
            yield "damage", entry.frame, f"{entry.kind} {entry.digest.hex()}: {error}"
            continue
        seen.blobs.add(entry.digest)
        if entry.kind == pack.RECORD and (reason := records.wrong(value)) is not None:
            yield "wrong", entry.frame, f"record {entry.digest.hex()}: {reason}"
            continue
        if entry.kind == pack.RECORD:
            seen.records.add(entry.digest)
        seen.links.update(links)


def _content_hash(path: Path, end: int) -> bytes:
    running = hashlib.sha256()
    with open(path, "rb") as file:
        while end and (piece := file.read(min(end, 1 << 20))):
            running.update(piece)
            end -= len(piece)
    return running.digest()


def _directory(commit: pack.Commit):
    return commit.offset, commit.length, commit.entries
