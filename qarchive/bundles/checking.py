"""Checking a bundle: every byte of a stranger's file, before one of them is taken."""

import hashlib
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .. import codec, pack, records
from ..catalog import Progress
from ..errors import BadInput, Damaged, DamagedBundle, NewerFormat, NotCanonical
from ..intake import read_all
from ..values import Link, Timestamp
from . import limits
from .selection import LINK

SAID = ("author", "orcid", "licence")
_END = struct.Struct("<Q8s")  # what a trailer ends with: its length, its mark


class About(NamedTuple):
    """A record in brief: its type, and the id of the job or the group that it is about."""

    type: str
    subject: bytes
    of_group: bool


class Claim(NamedTuple):
    """A record says that a digest is a job's, a group's or (with its job) an attempt's."""

    digest: bytes
    type: str
    job: bytes | None = None


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read from its first byte to its last, and found to be whole.

    `origin` is the id of the archive that it says to come from, `said` what else its first blob says. `records` are in brief, by
    digest; `blobs` all other digests with their kinds; `wanted` those that it refers to and does not hold (a thin bundle), and
    `claims` what it says that some of these are.
    """

    path: Path
    id: bytes
    content: str  # the hash of all that stands before the trailer
    origin: str
    said: Mapping[str, Any]
    size: int  # of the file
    raw: int  # bytes, unpacked
    records: Mapping[bytes, About] = field(repr=False, default_factory=dict)
    blobs: Mapping[bytes, str] = field(repr=False, default_factory=dict)
    wanted: frozenset[bytes] = frozenset()
    claims: frozenset[Claim] = frozenset()

    @property
    def jobs(self) -> list[bytes]:
        """The ids of the jobs about which it says something."""
        return sorted({about.subject for about in self.records.values() if not about.of_group})

    @property
    def groups(self) -> list[bytes]:
        return sorted(digest for digest, about in self.records.items() if about.type == "group")


def check(path: Path, name: str | None = None, progress: Progress | None = None) -> Bundle:
    """Read a bundle and hold it against every rule of the format. `name` is what it is called in messages.

    Raises BadInput for what is no bundle or must not be taken in, Damaged for what is not as it was written, NewerFormat.
    """
    where = name or str(path)
    try:
        os.close(open_file(path, where))
        return _Checker(path, where, progress).check()
    except Damaged as error:
        raise DamagedBundle(where, error.reason, error.offset) from None
    except NewerFormat as error:
        raise NewerFormat(where, error.found, error.known) from None
    except OSError as error:
        raise BadInput(where, f"cannot be read ({(error.strerror or str(error)).lower()})") from error


def open_file(path: Path, where: str) -> int:
    """A file, open for reading: neither a pipe, which would keep us waiting, nor a device, which has no end. Raises BadInput."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        hint = "give the path of a bundle" if isinstance(error, FileNotFoundError) else ""
        raise BadInput(where, f"cannot be read ({(error.strerror or str(error)).lower()})", hint) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        os.close(fd)
        hint = "`qarchive merge` takes the folder of an archive" if is_folder else "give the path of a bundle"
        raise BadInput(where, "is a folder" if is_folder else "is no file", hint)
    return fd


class _Checker:
    def __init__(self, path: Path, where: str, progress: Progress | None):
        self.path, self.where, self.progress = path, where, progress
        self.records: dict[bytes, About] = {}
        self.blobs: dict[bytes, str] = {}
        self.links: set[bytes] = set()
        self.claims: set[Claim] = set()
        self.about: dict[bytes, int] = {}  # bytes of the records about each job or group
        self.raw = 0
        self.manifest: dict[str, Any] | None = None

    def check(self) -> Bundle:
        size = self.path.stat().st_size
        self._limit_directories(size)
        name = pack.id_inside(self.path)
        if name is None:
            raise BadInput(self.where, "is no bundle", "`qarchive export` makes one")
        found = pack.sealed(self.path, name)
        if found is None:
            raise Damaged(self.where, "a bundle without its end: it was cut off, or is no bundle", size)
        seal, listed = found
        self._limit(listed, size)
        content = hashlib.sha256()
        with open(self.path, "rb") as file:
            for commit in listed:
                there = pack.commit_at(self.path, commit.offset, seal.offset, name)
                if there is None or not there.whole:
                    raise Damaged(self.where, "bytes that are not what was written", commit.offset)
                if (there.length, there.synced, there.entries) != (commit.length, commit.synced, commit.entries):
                    raise Damaged(self.where, "the trailer lists other commits than there are", seal.offset)
                file.seek(commit.offset)
                self._hash(file, commit.length, content)
                self._commit(file, commit)
                if self.progress:
                    self.progress(commit.offset + commit.length, size)
        if self.manifest is None or content.digest() != seal.content:
            raise Damaged(self.where, "the trailer's hash of the content does not fit", seal.offset)
        said = {field: self.manifest[field] for field in ("created", *SAID) if field in self.manifest}
        held = self.records.keys() | self.blobs.keys()
        return Bundle(self.path, name, content.hexdigest(), self.manifest["archive"], said, size, self.raw, self.records,
                      self.blobs, frozenset(self.links - held), self._open_claims())  # fmt: skip

    def _limit_directories(self, size: int) -> None:
        """What lists the blobs is decoded as a whole, before it says anything: its length, and its parts, are looked at first."""
        with open(self.path, "rb") as file:
            start = file.read(8)
            file.seek(max(size - _END.size, 0))
            length, end = _END.unpack(file.read(_END.size).ljust(_END.size, b"\0"))
            header = int.from_bytes(start[4:], "little")
            if start[:4] == pack.HEADER and header <= limits.MAX_HEADER:
                file.seek(0)
                if _is_list_of_blobs(file.read(header)):
                    if end != pack.END or length > size:
                        return
                    if length <= limits.MAX_TRAILER:
                        file.seek(size - length)
                        if _is_list_of_blobs(file.read(length)):
                            return
        if start[:4] != pack.HEADER:
            return
        raise BadInput(self.where, "lists more than any bundle does", "export it in parts")

    def _limit(self, listed: list[pack.Commit], size: int) -> None:
        """What the directories say is looked at before anything is unpacked."""
        for commit in listed:
            if not commit.entries:
                raise Damaged(self.where, "bytes that are not what was written", commit.offset)
            first = commit.entries[0].frame
            if first - commit.offset > limits.MAX_HEADER:
                raise BadInput(self.where, "lists more than any bundle does", "export it in parts")
            with open(self.path, "rb") as file:
                file.seek(commit.offset)
                if not _is_list_of_blobs(file.read(first - commit.offset)):
                    raise BadInput(self.where, "lists more than any bundle does", "export it in parts")
            for entry in commit.entries:
                if reason := limits.excess(entry.kind, entry.length):
                    raise BadInput(f"{self.where}: the {entry.kind} {entry.digest.hex()[:12]}", reason)
                if entry.start == 0:
                    self.raw += entry.raw
                    if entry.raw > limits.MAX_FRAME:
                        reason = f"has a frame of {entry.raw:,} bytes, and more than {limits.MAX_FRAME:,} are not taken in"
                        raise BadInput(self.where, reason)
        if self.raw > limits.FREE + limits.RATIO * size:
            raise BadInput(
                self.where, f"has {size:,} bytes and would unpack to {self.raw:,}", "nobody honest writes such a bundle"
            )

    @staticmethod
    def _hash(file, left: int, content) -> None:
        while left:
            piece = file.read(min(left, 1 << 20))
            if not piece:
                return
            content.update(piece)
            left -= len(piece)

    def _commit(self, file, commit: pack.Commit) -> None:
        for entry, data in read_all(file, self.path, commit.entries):
            if isinstance(data, Damaged):
                raise data
            first = self.manifest is None
            if (entry.kind == pack.BUNDLE) != first:
                reason = "is a pack, and does not say where it comes from" if first else "says twice where it comes from"
                raise BadInput(self.where, reason, "`qarchive export` makes bundles")
            if entry.digest in self.blobs or entry.digest in self.records:
                raise Damaged(self.where, f"blob {entry.digest.hex()} stands in it twice", entry.frame)
            if reason := limits.excess(entry.kind, entry.length, data):
                raise BadInput(f"{self.where}: the {entry.kind} {entry.digest.hex()[:12]}", reason)
            try:
                value = codec.decode(data)
            except NotCanonical as error:
                raise Damaged(self.where, f"blob {entry.digest.hex()}: {error}", entry.frame) from None
            if first:
                self._say(value, entry)
                continue
            if LINK in data:
                self.links.update(link.digest for link in codec.links(value))
            if entry.kind == pack.RECORD:
                self._record(entry, value)
            elif is_record(value):
                # It would be held for a blob that is here, and the record of this content would never come in.
                raise Damaged(self.where, f"record {entry.digest.hex()} is called a blob of the kind {entry.kind}", entry.frame)
            else:
                self.blobs[entry.digest] = entry.kind

    def _say(self, value: Any, entry: pack.Entry) -> None:
        archive = value.get("archive") if type(value) is dict else None
        if type(archive) is not str or not re.fullmatch(r"[0-9a-f]{32}", archive) or value.get("type") != "bundle":
            raise Damaged(self.where, "its first blob does not say which archive it comes from", entry.frame)
        right = {"created": Timestamp, **dict.fromkeys(SAID, str)}
        for name, kind in right.items():
            if name in value and (type(value[name]) is not kind or (kind is str and len(value[name]) > limits.MAX_SAID)):
                raise Damaged(
                    self.where,
                    f"its first blob has no text that can be its {name}"
                    if kind is str
                    else f"its first blob has no time in {name}",
                    entry.frame,
                )
        for name in SAID:
            if found := records.obeyed(value.get(name, "")):
                raise BadInput(self.where, f"has the {name} {found}", _OBEYED)
        self.manifest = value

    def _record(self, entry: pack.Entry, record: Any) -> None:
        reason = records.wrong(record)
        if reason is not None:
            raise Damaged(self.where, f"record {entry.digest.hex()}: {reason}", entry.frame)
        if record["type"] in records.LOCAL:
            reason = f"holds a record of type {record['type']!r}, which is the affair of the archive where it was made"
            raise BadInput(self.where, reason, "export it again")
        about = About(record["type"], records.subject_of(entry.digest, record), records.is_of_group(record))
        if found := records.obeyed_name(record):
            what = f"the {'group' if about.of_group else 'job'} {about.subject.hex()[:12]}"
            raise BadInput(f"{self.where}: {what}", f"has the {found}", _OBEYED)
        self.about[about.subject] = self.about.get(about.subject, 0) + entry.length
        if self.about[about.subject] > limits.MAX_ABOUT:
            reason = f"has records of more than {limits.MAX_ABOUT:,} bytes, which are not taken in"
            raise BadInput(f"{self.where}: the {'group' if about.of_group else 'job'} {about.subject.hex()[:12]}", reason)
        self.claims.update(claims_of(about, record))
        self.records[entry.digest] = about

    def _open_claims(self) -> frozenset[Claim]:
        """Claims about what is not in the bundle. Raises Damaged for one that is not true of what is."""
        still = set()
        for claim in self.claims:
            about = self.records.get(claim.digest)
            if about is None and claim.digest not in self.blobs:
                still.add(claim)
            elif about is None or about.type != claim.type or claim.job not in (None, about.subject):
                raise Damaged(self.where, not_so(claim))
        return frozenset(still)


_OBEYED = "names that a terminal would obey are not taken in"


def not_so(claim: Claim) -> str:
    """What is said where a claim is not true."""
    of = f" of job {claim.job.hex()[:12]}" if claim.job else ""
    return f"{claim.digest.hex()} is said to be {'an' if claim.type == 'attempt' else 'a'} {claim.type}{of}, and is none"


def claims_of(about: About, record: Mapping[str, Any]) -> Iterable[Claim]:
    """What a record, which is not wrong, says that other digests are."""
    if about.type != "job" and not about.of_group:
        yield Claim(about.subject, "job")
    if type(record.get("group")) is Link:
        yield Claim(record["group"].digest, "group")
    if type(record.get("attempt")) is Link and not about.of_group:
        yield Claim(record["attempt"].digest, "attempt", about.subject)
    if about.type == "job":
        member = record.get("member", {})
        for link, kind in ((record.get("parent"), "job"), (member.get("replaces"), "job"), (member.get("group"), "group")):
            if link is not None:
                yield Claim(link.digest, kind)


def untrue(claims: Iterable[Claim], value: Callable[[bytes], Any]) -> Claim | None:
    """The first claim that is not true of what an archive holds."""
    for claim in claims:
        record = value(claim.digest)
        if records.wrong(record) is not None or record["type"] != claim.type:
            return claim
        if claim.job is not None and records.subject_of(claim.digest, record) != claim.job:
            return claim
    return None


def is_record(value: Any) -> bool:
    """Whether a blob's value is a record of a type that is known here."""
    return type(value) is dict and value.get("type") in records.RECORD_TYPES and records.wrong(value) is None


def _is_list_of_blobs(data: bytes) -> bool:
    """Whether as few lists can stand in it as where blobs are listed, each with its digest."""
    return limits.parts(data) <= len(data) // 4 + 4096
