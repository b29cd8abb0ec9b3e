"""Reading the commits and the trailer of a pack in which nothing is wrong: whatever is otherwise ends it with one error.

A whole window is read at once, and what is listed is looked at once and never copied: `pack.scan` is for all others.
"""

import hashlib
import re
import struct
from typing import BinaryIO

import msgpack

from .. import codec, pack

_WINDOW = 8 << 20  # bytes read at once
_LOOK = 1 << 20  # bytes in which the next commit is looked for
_PREFIX = struct.Struct("<4sI8s")
_END = struct.Struct("<32sQ8s")
_SIZES = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}  # bytes of a number, by its first
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class OtherwiseError(Exception):
    """Something is not as it is expected, and is left to the thorough way."""


def trailer_of(file: BinaryIO, size: int) -> bytes:
    """The bytes that say to be a trailer; none where there are none."""
    file.seek(max(size - 64, 0))
    length = pack.trailer_length(file.read(64))
    if length is None or length > size:
        return b""
    file.seek(size - length)
    return file.read(length)


def listing_of(file: BinaryIO, trailer: bytes, name: bytes, end: int) -> tuple[int, int, int]:
    """Where the list of commits stands in a trailer that says nothing wrong beside it (from, to), and how many these are."""
    content = hashlib.sha256()
    file.seek(0)
    left = end
    while left and (piece := file.read(min(left, 1 << 20))):
        content.update(piece)
        left -= len(piece)
    head = b"".join((pack.TRAILER, struct.pack("<I", len(trailer) - 8), pack.MARK, b"\x95",
                     msgpack.packb([pack.VERSION, name, end, content.digest()])[1:]))  # fmt: skip
    stop = _END.pack(hashlib.sha256(trailer[: -_END.size]).digest(), len(trailer), pack.END)
    if not (trailer.startswith(head) and trailer.endswith(stop)):
        raise OtherwiseError
    counted = msgpack.Unpacker(max_buffer_size=0)
    counted.feed(trailer[len(head) : len(head) + 8])
    try:
        many = counted.read_array_header()
    except (ValueError, msgpack.UnpackException):
        raise OtherwiseError from None
    start = len(head) + counted.tell()
    if trailer[len(head) : start] != msgpack.Packer().pack_array_header(many):
        raise OtherwiseError
    return start, len(trailer) - _END.size, many


def listed_in(trailer: bytes, listing: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Where a trailer lists these commits, as their headers do, byte for byte."""
    if not listing:
        return 0, 0
    pack_int = msgpack.packb
    before = len(pack_int([pack.VERSION, bytes(16), 0])) - 1  # bytes of a header's body before what the trailer repeats
    whole, brief = [], []
    for at, length, body in listing:
        place = pack_int(at) + pack_int(length)
        said = body[before + len(pack_int(at)) :]
        whole += [b"\x95", place, said]
        brief += [b"\x93", place, said[: _SIZES.get(said[0], 1)]]
    for listed in map(b"".join, (whole, brief)):
        if (start := trailer.find(listed)) >= 0:
            return start, start + len(listed)
    raise OtherwiseError


def first_commit(file: BinaryIO, start: int, stop: int, end: int, name: bytes) -> int | None:
    """The first byte from `start` on and before `stop` at which a commit seems to begin; None where none does."""
    if start == 0:
        return 0 if end else None
    at, wanted = start, pack.HEADER
    while at < stop:
        file.seek(at)
        window = _read(file, min(_LOOK, end - at))
        place = window.find(wanted)
        while place >= 0 and at + place < stop:
            if window[place + 8 : place + 16] == pack.MARK:
                try:
                    read_commit(file, b"", 0, at + place, end, name)
                except OtherwiseError:
                    pass
                else:
                    return at + place
            place = window.find(wanted, place + 1)
        at += max(len(window) - _PREFIX.size + 1, 1)
    return None


def read_commit(file: BinaryIO, window: bytes, start: int, at: int, end: int, name: bytes) -> tuple[bytes, int, tuple]:
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
            raise OtherwiseError
        if needed < 8 + size:
            needed = 8 + size
            continue
        header = window[inside : inside + 8 + size]
        body, length, frames, blobs, synced = _header(header, at, name)
        if length > end - at:
            raise OtherwiseError
        if needed < length:
            needed = length
            continue
        return window, start, (body, length, frames, blobs, len(header), synced)


def _read(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (piece := file.read(size)):
        parts.append(piece)
        size -= len(piece)
    if size:
        raise OtherwiseError  # somebody cut it off meanwhile
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _header(header: bytes, at: int, name: bytes) -> tuple[bytes, int, list, list, int]:
    """(body, length of the commit, frames, blobs, how much was synced) of a header for which each rule of the format holds."""
    body = header[_PREFIX.size : -32]
    if hashlib.sha256(header[:-32]).digest() != header[-32:]:
        raise OtherwiseError
    try:
        found = msgpack.unpackb(body)
        if msgpack.packb(found) != body:  # in lists of numbers, bytes and letters every other encoding is a longer one
            raise OtherwiseError
        version, named, offset, synced, frames, blobs = found
        ours = (type(version), version, named, type(offset), offset) == (int, pack.VERSION, name, int, at)
        if not ours or not (type(synced) is int and 0 <= synced <= at) or not frames:
            raise OtherwiseError
        length = len(header) + pack.FOOTER_SIZE
        for stored, raw in frames:
            if not (
                type(stored) is int and type(raw) is int and 0 < raw <= codec.MAX_BYTES and 0 < stored <= raw + (raw >> 8) + 128
            ):
                raise OtherwiseError
            length += stored
        for blob in blobs:
            kind, size, *names = blob
            if kind not in _kinds:
                _know(kind)
            if type(size) is not int or size <= 0 or not 1 <= len(names) <= 2:
                raise OtherwiseError
            for digest in names:
                if type(digest) is not bytes or len(digest) != 32:
                    raise OtherwiseError
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        raise OtherwiseError from None
    return body, length, frames, blobs, synced


_kinds: set[str] = set()


def _know(kind: object) -> None:
    if type(kind) is not str or not _KIND.match(kind):
        raise OtherwiseError
    if len(_kinds) < 1000:
        _kinds.add(kind)
