"""Filling: the empty tables of an index, from all packs at once; those of a large archive are read by workers.

What is read here is the usual: packs without damage whose records are as they should be. Any other pack is left to `intake`.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgpack

from . import codec, disk, pack, records, workers
from .errors import Damaged, NewerFormat, NotCanonical
from .folding import group_rows, listed
from .intake import BATCH, BATCH_SIZE, Intake, Known, origin_of, read_all
from .rows import JOB, job_row
from .shapes import Shapes
from .tables import INDEXES, INSERTS, numbers_of
from .values import Link, Timestamp

_LEAST = 64 << 20  # bytes of packs, below which starting workers takes longer than they save
_PREFIX = 8  # bytes of a job's id that are remembered of it
_KEPT_BLOBS = 4 * BATCH  # rows of blobs that are written together
# Fields of records that any row depends on.
_FIELDS = frozenset(
    """
    type job group attempt created provider backend kind shots size labels input names member number on calibration gaps
    status provider_job result error name archive author sequence circuits removals tags untagged
    """.split()
)


class Filling(Intake):
    """The tables are empty and have no indexes yet: `finish` makes them. Until then nothing is looked up."""

    def __init__(self, db: sqlite3.Connection, packs: Path):
        super().__init__(db, packs)
        self.db.execute("CREATE TEMP TABLE seen(prefix BLOB)")  # of jobs and groups, once a batch that has records of them
        self.reader = Reader()

    def read_packs(self, sizes: dict[str, int], step: Callable[[str], None]) -> None:
        """Take in packs, of these sizes in bytes; those that are gone are left out. `step` is told of each."""
        [beyond] = self.db.execute("SELECT ifnull(max(id), 0) + 1 FROM packs").fetchone()
        numbers = {name: number for number, name in enumerate(sorted(sizes), beyond)}
        self.db.executemany("INSERT INTO packs(id, name) VALUES (?, ?)", [(row, name) for name, row in numbers.items()])
        many = min(workers.cores(), len(sizes))
        if many < 2 or sum(sizes.values()) < _LEAST or not workers.can_start():
            for name, row in numbers.items():
                self.read(self.packs / name, _unread(row))
                step(name)
            return
        jobs = [(str(self.packs / name), row) for name, row in numbers.items()]
        for (path, row), part in workers.shared("qarchive.filling", jobs, many):
            if part is not None and part is not False:
                self.put(Path(path), part)
                continue
            if part is False:
                self.read_thoroughly(Path(path), _unread(row))
            step(Path(path).name)

    def read(self, path: Path, known: Known) -> None:
        """Take in one pack."""
        try:
            for part in self.reader.parts(path, known.id):
                self.put(path, part)
        except Unusual:
            self.read_thoroughly(path, known)

    def put(self, path: Path, part: tuple) -> None:
        """Write a part of a pack, as `Reader.parts` yields it."""
        what, *rows = part
        if what == "end":
            self.ended(path, Known(*rows))
            return
        subjects, tables = rows
        self.remember(subjects)
        for table, rows in tables.items():
            self.db.executemany(INSERTS[table], rows)

    def remember(self, subjects: Iterable[bytes]) -> None:
        self.db.executemany("INSERT INTO temp.seen VALUES (?)", [(subject[:_PREFIX],) for subject in subjects])

    def read_thoroughly(self, path: Path, known: Known) -> None:
        """Take in a pack that is not as usual, or of which a worker has read a part. What was put of it is folded again."""
        span = numbers_of(known.id)
        sql = f"SELECT substr(job, 1, {_PREFIX}) FROM blobs WHERE id >= ? AND id < ? AND job IS NOT NULL"
        self.db.execute(f"INSERT INTO temp.seen {sql}", span)
        self.db.execute("DELETE FROM blobs WHERE id >= ? AND id < ?", span)
        try:
            super().read(path, known)
            self.fold()
        except FileNotFoundError:
            self.db.execute("DELETE FROM packs WHERE id = ?", (known.id,))

    def known_records(self, digests: list[bytes]) -> dict[bytes, bytes]:
        return {}

    def fold(self) -> None:
        """Write the places of blobs, and leave all jobs taken so far to the end."""
        self.db.executemany(INSERTS["blobs"], self.blobs)
        self.remember([*self.jobs, *self.jobs])
        self.blobs, self.jobs, self.count, self.size = [], {}, 0, 0

    def finish(self) -> None:
        """Make the indexes of the tables, and fold the jobs and groups of which the records stand in several batches."""
        db, of_again = self.db, f"substr({{}}, 1, {_PREFIX}) IN (SELECT prefix FROM temp.again)"
        db.execute("CREATE TEMP TABLE again AS SELECT prefix FROM temp.seen GROUP BY prefix HAVING count(*) > 1")
        db.execute("DROP TABLE temp.seen")
        again = db.execute("SELECT 1 FROM temp.again").fetchone() is not None
        if again:
            db.execute("CREATE INDEX temp.again_prefix ON again(prefix)")
            for row in map(job_row, db.execute(f"SELECT {JOB} FROM jobs WHERE {of_again.format('id')}")):
                tags = [(tag, *row.place) for tag in row.tags]
                db.executemany("DELETE FROM tags WHERE tag = ? AND created = ? AND job = ?", tags)
            db.execute(f"DELETE FROM jobs WHERE {of_again.format('id')}")
        for sql in filter(None, map(str.strip, INDEXES.split(";"))):
            db.execute(sql)
        if again:
            sql = f"SELECT DISTINCT job FROM blobs WHERE job IS NOT NULL AND {of_again.format('job')}"
            db.execute(f"CREATE TEMP TABLE several AS {sql}")
            Intake(db, self.packs).refold(job for (job,) in db.execute("SELECT job FROM temp.several"))
            db.execute("DROP TABLE temp.several")
        db.execute("DROP TABLE temp.again")


def _unread(row: int) -> Known:
    """What is known of a pack before it is read."""
    return Known(row, 0, b"", 0, "", 0, 0)


class Unusual(Exception):
    """A pack is not as usual; nobody outside sees this."""


class Reader:
    """Reads packs, and asks no index. What it has learned of the shapes of records serves for all of them."""

    def __init__(self):
        self._shapes = Shapes(_FIELDS)

    def parts(self, path: Path, row: int) -> Iterator[tuple]:
        """What a pack holds that has the number `row`: ("rows", ids of jobs and groups, {table: rows}) several times, and at the
        last ("end", and `Known` of it). Raises Unusual, also where the pack is gone."""
        try:
            commits, sealed = pack.sealed_commits(path), True
            if commits is None:
                commits, sealed = pack.scan(path), False
            with open(path, "rb") as file:
                yield from self._read(file, path, row, commits, sealed)
        except (FileNotFoundError, Damaged, NotCanonical, NewerFormat):
            raise Unusual from None

    def _read(self, file, path: Path, row: int, commits: Iterable, sealed: bool) -> Iterator[tuple]:
        number, _ = numbers_of(row)
        origin, at, synced = None, 0, 0
        blobs: list[tuple] = []
        jobs: dict[bytes, dict[bytes, dict]] = {}
        count = size = 0
        for commit in commits:
            if type(commit) is pack.Tail:
                break
            if type(commit) is pack.Seal:
                sealed = True
                break
            if type(commit) is not pack.Commit or not commit.whole:
                raise Unusual
            entries = commit.entries
            if at == 0 and entries[0].kind == pack.BUNDLE:
                origin = origin_of(file, path, entries[0])
            about: dict[bytes, bytes] = {}
            for entry, data in read_all(file, path, [entry for entry in entries if entry.kind == pack.RECORD]):
                if type(data) is not bytes:
                    raise Unusual
                digest = entry.digest
                record = self._record(data)
                if origin is not None and record["type"] in records.LOCAL:
                    raise Unusual
                job = about[digest] = records.subject_of(digest, record)
                jobs.setdefault(job, {})[digest] = record
                count += 1
                size += entry.length
            for kind, digest, length, key, frame, stored, raw, start in entries:
                # A stranger's key could make our next job refer to another circuit than it ran.
                key = None if origin is not None else key
                blobs.append((number, digest, frame, start, stored, raw, length, kind, key, about.get(digest)))
                number += 1
            synced = max(synced, commit.synced)
            at = commit.offset + commit.length
            if count >= BATCH or size >= BATCH_SIZE or len(blobs) >= _KEPT_BLOBS:
                yield _part(jobs, blobs, origin is not None)
                blobs, jobs, count, size = [], {}, 0, 0
        yield _part(jobs, blobs, origin is not None)
        if sealed:
            at = os.fstat(file.fileno()).st_size
        file.seek(max(at - 32, 0))
        hashed = file.read(32) if at else b""
        yield "end", row, at, hashed, synced, disk.boot(), int(sealed), 0, origin

    def _record(self, data: bytes) -> dict[str, Any]:
        """A record, or those fields of it that matter. Raises Unusual where it is wrong."""
        shape = self._shapes.find(data)
        if shape is not None:
            return msgpack.unpackb(shape.cut(data), ext_hook=_ext)
        record = codec.decode(data)
        if records.wrong(record) is not None:
            raise Unusual
        self._shapes.learn(data)
        return record


def _ext(code: int, data: bytes) -> Any:
    """An ext value of a record that was found to be canonical."""
    if code == codec.LINK:
        return Link(data)
    if code == codec.TIMESTAMP:
        return Timestamp(int.from_bytes(data, signed=True))
    return codec.decode(msgpack.packb(msgpack.ExtType(code, data)))


def _part(jobs: dict[bytes, dict[bytes, dict]], blobs: list[tuple], foreign: bool) -> tuple:
    """Records folded as if there were no others of their jobs; those of which there are, are folded again at the end."""
    tables: dict[str, list] = {"blobs": blobs, "jobs": [], "tags": [], "earlier": [], "groups": [], "mapped": [], "members": []}
    for job, about in jobs.items():
        of_group = {digest: record for digest, record in about.items() if records.is_of_group(record)}
        if of_group:
            group, mapped = group_rows(job, of_group)
            tables["groups"] += [group] if group else []
            tables["mapped"] += mapped
            if len(of_group) == len(about):
                continue
        found = listed(job, about, frozenset(about) if foreign else frozenset())
        if found is not None:
            tables["jobs"].append(found.job)
            tables["tags"] += found.tags
            tables["earlier"] += found.earlier
            tables["members"] += [found.member] if found.member else []
    tables["tags"].sort()
    return "rows", list(jobs), tables


def work() -> None:
    """What a worker does."""
    reader = Reader()

    def parts(path: str, row: int) -> Iterator[tuple | bool]:
        try:
            yield from reader.parts(Path(path), row)
        except Unusual:
            yield False

    workers.answer(parts)
