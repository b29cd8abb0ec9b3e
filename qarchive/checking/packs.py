"""Checking one pack: quickly where all is as it was written, and thoroughly where anything is not.

The quick way finds no fault, it only finds that there is none; whatever it does not expect, it leaves to the thorough one.
It reads a large pack in pieces, each by itself, and what the pieces say is held together in the end.
"""

import hashlib
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard

from .. import codec, pack, records
from ..errors import Damaged, NewerFormat, NotCanonical
from ..index import Read
from ..intake import read_all
from ..shapes import Shapes
from .commits import OtherwiseError, first_commit, listed_in, listing_of, read_commit, trailer_of
from .places import Places

_FOOTER = pack.FOOTER + struct.pack("<I", 32)


@dataclass
class Part:
    """What was found in a pack. Digests are joined, each once, in order: of the blobs whose bytes are good, of the records among
    them that are not wrong, and of what they link to and the pack does not hold.

    `findings` are (kind, byte, what is wrong); what follows is as in `index.Read`, `placed` None where the index was not asked.
    """

    commits: int = 0
    blobs: bytes = b""
    records: bytes = b""
    links: bytes = b""
    findings: list[tuple[str, int, str]] = field(default_factory=list)
    last: int = 0
    synced: int = 0
    sealed: bool = False
    foreign: bool = False
    placed: int | None = None
    upto: int = 0

    @property
    def read(self) -> Read:
        return Read(self.last, self.synced, self.sealed, self.foreign, self.placed, self.upto)


@dataclass
class Piece:
    """What the quick way found in a piece of a pack: of the commits that begin in it, the first at byte `first` (None where none
    does). `listed` are the bytes (from, to) of the trailer that list them; `listing` those of all that it lists, and how many
    commits these are, where the piece is the one that begins the pack."""

    part: Part
    first: int | None = None
    listed: tuple[int, int] | None = None
    listing: tuple[int, int, int] | None = None


class _Seen:
    """Digests on their way into a part."""

    def __init__(self):
        self.blobs: set[bytes] = set()
        self.records: set[bytes] = set()
        self.links: set[bytes] = set()

    def part(self, commits: int, findings: list[tuple[str, int, str]], said: Read) -> Part:
        joined = (b"".join(sorted(found)) for found in (self.blobs, self.records, self.links - self.blobs))
        return Part(commits, *joined, findings, *said)


class Checker:
    """Checks packs, one after another. What it learns of one makes it faster with the next.

    With the file of an `index` it also holds against the packs where that says that blobs lie, and what records are about.
    """

    def __init__(self, index: Path | None = None):
        self._shapes: defaultdict[str, Shapes] = defaultdict(Shapes)  # by kind: of some kinds hardly two are of one shape
        self._decompressor = zstandard.ZstdDecompressor()
        self._index = index

    def check(self, path: Path, deep: bool) -> Part:
        """Raises FileNotFoundError, NewerFormat."""
        piece = self.piece(path, deep, 0, None)
        part = piece and joined([piece])
        return part or self.thoroughly(path, deep)

    def piece(self, path: Path, deep: bool, start: int, stop: int | None) -> Piece | None:
        """The commits that begin from byte `start` on and before `stop`, or up to the end; None where they are otherwise than
        expected. Raises FileNotFoundError."""
        try:
            return self._quickly(path, deep, start, stop)
        except OtherwiseError:
            return None

    def _quickly(self, path: Path, deep: bool, start: int, stop: int | None) -> Piece:
        seen, commits, listing, synced = _Seen(), 0, [], 0
        name = pack.pack_id(path)
        with open(path, "rb", buffering=0) as file, self._places(path, deep) as places:
            size = os.fstat(file.fileno()).st_size
            trailer = trailer_of(file, size)
            end = size - len(trailer)
            foreign = _is_foreign(file, end, name)
            at = first = first_commit(file, start, min(stop or end, end), end, name)
            window, began = b"", 0
            while at is not None and at < end and (stop is None or at < stop):
                window, began, commit = read_commit(file, window, began, at, end, name)
                commits += 1
                body, length, frames, blobs, inner, vouched = commit
                inside = memoryview(window)[at - began : at - began + length]
                if inside[-pack.FOOTER_SIZE :] != _FOOTER + hashlib.sha256(inside[: -pack.FOOTER_SIZE]).digest():
                    raise OtherwiseError
                if trailer:
                    listing.append((at, length, body))
                subjects = self._blobs(inside, frames, blobs, inner, deep, seen, foreign)
                synced = max(synced, vouched)
                if places is not None:
                    places.compare(at, length, _rows(at + inner, frames, blobs, subjects, foreign))
                at += length
            said = Read(at or 0, synced, bool(trailer), foreign, *_ended(places))
            piece = Piece(seen.part(commits, [], said), first)
            if trailer:
                piece.listed = listed_in(trailer, listing)
                piece.listing = listing_of(file, trailer, name, end) if start == 0 else None
        return piece

    def _blobs(self, commit: memoryview, frames: list, blobs: list, at: int, deep: bool, seen: _Seen, foreign: bool
               ) -> dict[bytes, bytes]:  # fmt: skip
        """Hold the blobs of a commit against their digests and against the rules of values. What each record is about."""
        subjects: dict[bytes, bytes] = {}
        pending = iter(blobs)
        for stored, raw in frames:
            inside, left = [], raw
            while left > 0:
                blob = next(pending, None)
                if blob is None:
                    raise OtherwiseError
                inside.append(blob)
                left -= blob[1]
            if left:
                raise OtherwiseError
            if deep or any(blob[0] == pack.RECORD for blob in inside):
                self._frame(commit[at : at + stored], raw, inside, deep, seen, subjects, foreign)
            else:
                seen.blobs.update(blob[2] for blob in inside)
            at += stored
        if next(pending, None) is not None:
            raise OtherwiseError
        return subjects

    def _frame(self, frame: memoryview, raw: int, blobs: list, deep: bool, seen: _Seen, subjects: dict[bytes, bytes],
               foreign: bool) -> None:  # fmt: skip
        try:
            if zstandard.frame_content_size(frame) != raw:
                raise OtherwiseError
            data = self._decompressor.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError:
            raise OtherwiseError from None
        sha256, at = hashlib.sha256, 0
        shapes, of_records = self._shapes, self._shapes[pack.RECORD]
        known, add_links = seen.blobs, seen.links.update
        for kind, length, digest, *_ in blobs:
            if length == raw:
                encoded = data
            else:
                encoded = data[at : at + length]
                at += length
            if kind == pack.RECORD:
                if sha256(encoded).digest() != digest:
                    raise OtherwiseError
                shape = of_records.find(encoded)
                if shape is None:
                    links, about, local = self._record(encoded, digest)
                else:
                    links, local = shape.links(encoded), shape.local
                    about = links[shape.about] if shape.about >= 0 else digest
                seen.records.add(digest)
                if not (local and foreign):
                    subjects[digest] = about
                add_links(links)
            elif deep:
                if sha256(encoded).digest() != digest:
                    raise OtherwiseError
                shape = shapes[kind].find(encoded)
                add_links(self._decode(kind, encoded) if shape is None else shape.links(encoded))
            known.add(digest)

    def _record(self, encoded: bytes, digest: bytes) -> tuple[list[bytes], bytes, bool]:
        """(the links of a record that is not wrong, what it is about, whether it is an archive's own affair)."""
        try:
            value, links = codec.decode_linked(encoded)
        except (NotCanonical, NewerFormat):
            raise OtherwiseError from None
        if records.wrong(value) is not None:
            raise OtherwiseError
        about, local = records.subject_of(digest, value), value["type"] in records.LOCAL
        name = None if about == digest else b"group" if records.is_of_group(value) else b"job"
        self._shapes[pack.RECORD].learn(encoded, name, local)
        return links, about, local

    def _decode(self, kind: str, encoded: bytes) -> list[bytes]:
        try:
            _, links = codec.decode_linked(encoded)
        except (NotCanonical, NewerFormat):
            raise OtherwiseError from None
        self._shapes[kind].learn(encoded)
        return links

    def thoroughly(self, path: Path, deep: bool) -> Part:
        """All that is there, and all that is wrong with it, in the order of the file."""
        seen, commits, findings, synced, last = _Seen(), 0, [], 0, 0
        sealed = pack.sealed_commits(path)
        listed, closed, foreign = [], False, False
        with open(path, "rb") as file, self._places(path, deep) as places:
            for found in pack.scan(path):
                if type(found) is pack.Tail:
                    reason = f"{found.length} bytes of a write that was cut off; the next writer moves them to quarantine/"
                    findings.append(("tail", found.offset, reason))
                elif type(found) is pack.Damage:
                    findings.append(("damage", found.offset, f"{found.length} bytes that are no commit"))
                elif type(found) is pack.Seal:
                    closed = True
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
                    foreign |= found.offset == 0 and found.entries[0].kind == pack.BUNDLE
                    subjects: dict[bytes, bytes] = {}
                    findings += _look_at(path, file, found, deep, seen, subjects, foreign)
                    synced, last = max(synced, found.synced), found.offset + found.length
                    if places is not None:
                        rows = [
                            (e.digest, e.frame, e.start, e.stored, e.raw, e.length, e.kind, None if foreign else e.key,
                             subjects.get(e.digest))
                            for e in found.entries
                        ]  # fmt: skip
                        places.compare(found.offset, found.length, rows)
            return seen.part(commits, findings, Read(last, synced, closed, foreign, *_ended(places)))

    def _places(self, path: Path, deep: bool) -> AbstractContextManager[Places | None]:
        """What the index says of a pack, where that is asked for."""
        return closing(Places(self._index, path)) if self._index is not None and deep else nullcontext()


def joined(pieces: list[Piece]) -> Part | None:
    """What was found in a pack of which these are all pieces, in order; None where they do not fit to each other."""
    whole, digests, at, listed = Part(placed=0), ([], [], []), 0, []
    first = pieces[0].part
    for piece in pieces:
        part = piece.part
        if (part.sealed, part.foreign) != (first.sealed, first.foreign):
            return None
        whole.upto = max(whole.upto, part.upto)
        whole.placed = None if None in (whole.placed, part.placed) else whole.placed + part.placed
        if piece.first is None:
            continue
        if piece.first != at:
            return None
        at = part.last
        whole.commits += part.commits
        whole.synced = max(whole.synced, part.synced)
        for all_of, some in zip(digests, (part.blobs, part.records, part.links), strict=True):
            all_of.append(some)
        listed.append(piece.listed)
    if first.sealed:
        place, stop, many = pieces[0].listing
        for start, end in listed:
            if start != place:
                return None
            place = end
        if place != stop or many != whole.commits:
            return None
    whole.blobs, whole.records, whole.links = map(b"".join, digests)
    whole.last, whole.sealed, whole.foreign = at, first.sealed, first.foreign
    return whole


def _ended(places: Places | None) -> tuple[int | None, int]:
    if places is None:
        return None, 0
    places.end()
    return places.placed, places.upto


def _is_foreign(file: BinaryIO, end: int, name: bytes) -> bool:
    """Whether a pack begins as a bundle."""
    if not end:
        return False
    *_, (_, _, _, blobs, _, _) = read_commit(file, b"", 0, 0, end, name)
    return bool(blobs) and blobs[0][0] == pack.BUNDLE


def _rows(at: int, frames: list, blobs: list, subjects: dict[bytes, bytes], foreign: bool) -> Iterator[tuple]:
    """The rows that the index has of a commit's blobs, the first frame of which stands at byte `at`."""
    pending, about = iter(blobs), subjects.get
    for stored, raw in frames:
        start = 0
        while start < raw:
            kind, length, digest, *key = next(pending)
            yield digest, at, start, stored, raw, length, kind, key[0] if key and not foreign else None, about(digest)
            start += length
        at += stored


def _look_at(path: Path, file: BinaryIO, commit: pack.Commit, deep: bool, seen: _Seen, subjects: dict[bytes, bytes],
             foreign: bool) -> Iterator[tuple[str, int, str]]:  # fmt: skip
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
        if entry.kind == pack.RECORD:
            if (reason := records.wrong(value)) is not None:
                yield "wrong", entry.frame, f"record {entry.digest.hex()}: {reason}"
                continue
            seen.records.add(entry.digest)
            if not (foreign and value["type"] in records.LOCAL):
                subjects[entry.digest] = records.subject_of(entry.digest, value)
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
