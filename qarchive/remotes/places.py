"""Where in a remote's pack a job's records and a blob lie, in a file beside it: a hint, found with a few small reads.

`spec/remotes.md`, "Places", is the contract. What is found by it is checked against its digest, so that a wrong one costs time.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import codec, pack, records
from ..errors import Damaged, DamagedBundle, NotCanonical
from ..intake import read_all

MAGIC = b"qarplace"
VERSION = 1
MAX_ROWS = 1 << 20
JOB, GROUP = 0, 1
_HEADER = struct.Struct("<8sIIIBBxx16s16sQ")
_SUBJECT = struct.Struct("<32sIIB")
_BLOB = struct.Struct("<8sII")
_START = struct.Struct("<I")
_MAX_BITS = 24
_BUCKET = 2  # rows, on average
_MAX_READ = 4 << 20  # bytes of rows that one question may read


@dataclass(frozen=True, slots=True)
class Subject:
    """A commit that holds records about a job, or about a group."""

    id: bytes
    offset: int
    length: int
    kind: int


@dataclass(frozen=True, slots=True)
class _Header:
    subjects: int
    blobs: int
    subject_bits: int
    blob_bits: int
    pack: bytes
    origin: str
    size: int

    def sections(self) -> tuple[int, int, int, int, int]:
        """Where the two tables begin, each its starts and then its rows, and where the file ends."""
        first = _HEADER.size
        rows = first + _START.size * ((1 << self.subject_bits) + 1)
        second = rows + _SUBJECT.size * self.subjects
        more = second + _START.size * ((1 << self.blob_bits) + 1)
        return first, rows, second, more, more + _BLOB.size * self.blobs


class Places:
    """The look-up file of one pack. `read` gives bytes (start, length) of it; `size` is its own, `pack_size` the pack's.

    Its methods raise Damaged where it is none, or not of this pack.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int, pack_size: int, name: str):
        self._read, self._size, self._pack_size, self._name = read, size, pack_size, name
        self._header: _Header | None = None
        self._asked: dict[tuple[int, int], bytes] = {}  # one question is often asked twice

    @property
    def origin(self) -> str:
        """The id of the archive that the pack says to come from."""
        return self._known().origin

    def subjects(self, prefix: str) -> list[Subject]:
        """The commits that hold records about jobs and groups whose ids begin with these hexadecimal digits."""
        low, high = bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
        header = self._known()
        starts, rows, *_ = header.sections()
        found = []
        for row in self._rows(starts, rows, header.subject_bits, header.subjects, _SUBJECT, low, high):
            subject = Subject(*row)
            if low <= subject.id <= high and self._fits(subject.offset, subject.length):
                found.append(subject)
        return found

    def commits(self, digest: bytes) -> list[tuple[int, int]]:
        """(offset, length) of the commits that hold a blob; another one may be among them, whose digest begins alike."""
        header = self._known()
        _, _, starts, rows, _ = header.sections()
        found = self._rows(starts, rows, header.blob_bits, header.blobs, _BLOB, digest, digest)
        return [(offset, length) for name, offset, length in found if name == digest[:8] and self._fits(offset, length)]

    def _rows(self, starts: int, rows: int, bits: int, count: int, form: struct.Struct, low: bytes, high: bytes) -> list[tuple]:
        first, last = _bucket(low, bits), _bucket(high, bits)
        size = _START.size
        if (last - first + 2) * size > _MAX_READ:
            raise DamagedBundle(self._name, "has too many rows that begin alike")
        found = self._exactly(starts + first * size, (last - first + 2) * size)
        begin, end = _START.unpack(found[:size])[0], _START.unpack(found[-size:])[0]
        if not begin <= end <= count or (end - begin) * form.size > _MAX_READ:
            raise DamagedBundle(self._name, "does not say where its rows are")
        return list(form.iter_unpack(self._exactly(rows + begin * form.size, (end - begin) * form.size))) if end > begin else []

    def _known(self) -> _Header:
        if self._header is None:
            magic, version, *numbers, name, origin, size = _HEADER.unpack(self._exactly(0, _HEADER.size))
            header = _Header(*numbers, name, origin.hex(), size)
            right = magic == MAGIC and version == VERSION and size == self._pack_size
            small = max(header.subjects, header.blobs) <= MAX_ROWS and max(header.subject_bits, header.blob_bits) <= _MAX_BITS
            if not right or not small or header.sections()[-1] != self._size:
                raise DamagedBundle(self._name, "is not the look-up file of the pack beside it")
            self._header = header
        return self._header

    def _exactly(self, start: int, length: int) -> bytes:
        found = self._asked.get((start, length))
        if found is None:
            found = self._asked[start, length] = self._read(start, length)
        if len(found) != length:
            raise DamagedBundle(self._name, "is shorter than it says")
        return found

    def _fits(self, offset: int, length: int) -> bool:
        return offset + length <= self._pack_size and length > 0


def encode(path: Path, name: bytes, origin: str, known: Mapping[bytes, tuple[bytes, int]] | None = None) -> bytes:
    """The look-up file of a sealed pack that was found whole. `known` says what its records are about, if it was told before."""
    subjects: dict[tuple[bytes, int], tuple] = {}
    blobs = []
    with open(path, "rb") as file:
        for commit in pack.sealed_commits(path, name) or ():
            blobs += [(entry.digest[:8], commit.offset, commit.length) for entry in commit.entries]
            of_records = [entry for entry in commit.entries if entry.kind == pack.RECORD]
            about = _subjects(file, path, of_records) if known is None else (known[entry.digest] for entry in of_records)
            for subject, kind in about:
                subjects[subject, commit.offset] = subject, commit.offset, commit.length, kind
    header = _Header(len(subjects), len(blobs), _bits(len(subjects)), _bits(len(blobs)), name, origin, path.stat().st_size)
    numbers = header.subjects, header.blobs, header.subject_bits, header.blob_bits
    first = _HEADER.pack(MAGIC, VERSION, *numbers, name, bytes.fromhex(origin), header.size)
    return b"".join((first, *_table(subjects.values(), header.subject_bits, _SUBJECT), *_table(blobs, header.blob_bits, _BLOB)))


def _subjects(file, path: Path, entries: Iterable[pack.Entry]) -> Iterable[tuple[bytes, int]]:
    for entry, data in read_all(file, path, entries):
        try:
            record = None if isinstance(data, Damaged) else codec.decode(data)
        except NotCanonical:
            continue
        if record is not None and records.wrong(record) is None:
            yield records.subject_of(entry.digest, record), GROUP if records.is_of_group(record) else JOB


def _table(rows: Iterable[tuple], bits: int, form: struct.Struct) -> Iterable[bytes]:
    """The starts of all buckets and then the rows, sorted."""
    rows = sorted(rows)
    counts = [0] * ((1 << bits) + 1)
    for row in rows:
        counts[_bucket(row[0], bits) + 1] += 1
    total = 0
    for count in counts:
        total += count
        yield _START.pack(total)
    for row in rows:
        yield form.pack(*row)


def _bits(rows: int) -> int:
    """So many first bits of a name tell its bucket."""
    return max(0, (rows // _BUCKET).bit_length())


def _bucket(name: bytes, bits: int) -> int:
    return int.from_bytes(name[:4], "big") >> (32 - bits)
