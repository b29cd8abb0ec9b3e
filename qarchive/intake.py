"""Intake: what packs hold, brought into the index's tables. Called with the index's lock held, inside a transaction."""

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

from . import codec, model, pack
from .codec import Link
from .errors import Damaged, NotCanonical

BATCH = 5_000  # records folded together


class Corrupt(Exception):
    """The index contradicts itself; it is built again, and nobody outside sees this."""


class Intake:
    """Records read in one catching up, folded into jobs a batch at a time."""

    def __init__(self, db: sqlite3.Connection, packs: Path):
        self.db, self.packs = db, packs
        self.jobs: dict[bytes, dict[bytes, dict]] = {}
        self.count = 0
        self.suspects: dict[int, list[tuple[bytes, dict]]] = {}
        self.withheld = {digest for (digest,) in db.execute("SELECT digest FROM withheld")}

    def read(self, path: Path, row: int | None, size: int, hashed: bytes) -> None:
        """Take in what a pack holds beyond byte `size`, where the index says its last commit ended with this hash."""
        db = self.db
        if row is not None and size and pack.read_hash(path, size) != hashed:
            self.forget(row)  # not the pack that was read: a crash took its end, or somebody put another file there
            row, size, hashed = None, 0, b""
        if row is None:
            row = db.execute("INSERT INTO packs(name, size, hash, sealed, damaged) VALUES (?, 0, x'', 0, 0)", (path.name,)).lastrowid
        commits = pack.sealed_commits(path) if size == 0 else None
        sealed = damaged = False
        suspect_from = None
        with open(path, "rb") as file:
            for found in commits if commits is not None else pack.scan(path, size):
                if type(found) is pack.Tail:
                    break
                if type(found) is pack.Seal:
                    sealed, size = True, os.path.getsize(path)
                    break
                if type(found) is pack.Damage or not found.whole:
                    damaged = True
                    suspect_from = found.offset if suspect_from is None else suspect_from
                    reason = "bytes that are no commit" if type(found) is pack.Damage else "a commit whose hash does not fit"
                    db.execute("INSERT INTO damage VALUES (?, ?, ?, ?)", (row, found.offset, found.length, reason))
                if type(found) is pack.Commit:
                    if suspect_from is not None and found.whole and found.synced > suspect_from:
                        suspect_from = None  # what is damaged had reached the disk: no crash did this
                        self.trust(row)
                    self.add(path, file, row, found, suspect=suspect_from is not None)
                    hashed = found.hash
                size = found.offset + found.length
        if commits is not None:
            sealed, size = True, os.path.getsize(path)
        db.execute("UPDATE packs SET size = ?, hash = ?, sealed = ?, damaged = damaged OR ? WHERE id = ?",
                   (size, b"" if sealed else hashed, sealed, damaged, row))  # fmt: skip

    def add(self, path: Path, file, row: int, commit: pack.Commit, suspect: bool) -> None:
        """Take in one commit: the places of its blobs and the content of its records."""
        self.db.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                            [(e.digest, row, e.frame, e.start, e.stored, e.raw, e.length, e.kind) for e in commit.entries])  # fmt: skip
        self.db.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", [(e.key, e.digest) for e in commit.entries if e.key])
        for entry in commit.entries:
            if entry.kind != pack.RECORD:
                continue
            try:
                record = codec.decode(pack.read(file, path, entry))
            except (Damaged, NotCanonical) as error:
                self.db.execute("INSERT INTO damage VALUES (?, ?, ?, ?)", (row, entry.frame, entry.stored, f"a record: {error}"))
                continue
            job = model.job_of(entry.digest, record) if type(record) is dict else None
            if job is None:
                continue
            if suspect:
                self.suspects.setdefault(row, []).append((entry.digest, record))
                self.db.execute("INSERT OR IGNORE INTO withheld VALUES (?, ?, ?)", (entry.digest, job, row))
                continue
            self.take(entry.digest, job, record)
        if self.count >= BATCH:
            self.fold()

    def take(self, digest: bytes, job: bytes, record: dict) -> None:
        self.jobs.setdefault(job, {})[digest] = record
        self.count += 1

    def trust(self, row: int) -> None:
        """The suspect records of a pack were on the disk before the damage: they stand."""
        self.db.execute("DELETE FROM withheld WHERE pack = ?", (row,))
        for digest, record in self.suspects.pop(row, ()):
            self.take(digest, model.job_of(digest, record), record)

    def fold(self) -> None:
        """Fold all records taken so far with those that the index had, and write the jobs' rows."""
        for job, records in self.jobs.items():
            for (digest,) in self.db.execute("SELECT digest FROM records WHERE job = ?", (job,)).fetchall():
                if digest not in records:
                    records[digest] = self.record(digest)
            self.db.executemany("INSERT OR IGNORE INTO records VALUES (?, ?)", [(digest, job) for digest in records])
            self.write(model.fold(job, records))
        self.jobs, self.count = {}, 0

    def record(self, digest: bytes) -> dict:
        for path, entry in places(self.db, self.packs, digest):
            with open(path, "rb") as file:
                return codec.decode(pack.read(file, path, entry))
        raise Corrupt

    def write(self, folded: model.Folded) -> None:
        fields = model.summary(folded)
        job, created = fields["id"], fields["created"].ns
        body = json.dumps(_jsonable(fields), ensure_ascii=False, separators=(",", ":"))
        columns = (job, created, fields["provider"], fields["backend"], fields["status"], fields["kind"], fields["group"],
                   fields["input"] and fields["input"].digest, fields["calibration"] and fields["calibration"].digest,
                   fields["provider_job"], body, seal(job, created, fields["status"], fields["backend"], body))  # fmt: skip
        self.db.execute("REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", columns)
        if fields["tags"]:
            self.db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", [(tag, job, created) for tag in fields["tags"]])

    def forget(self, row: int) -> None:
        """Take a pack out; its records go where no other pack has them."""
        db = self.db
        gone = db.execute("SELECT digest FROM blobs AS b WHERE pack = ? AND kind = ? AND NOT EXISTS "
                          "(SELECT 1 FROM blobs WHERE digest = b.digest AND pack != ?)", (row, pack.RECORD, row)).fetchall()  # fmt: skip
        jobs = {job for digest in gone for (job,) in db.execute("SELECT job FROM records WHERE digest = ?", digest)}
        db.executemany("DELETE FROM records WHERE digest = ?", gone)
        db.execute("DELETE FROM keys WHERE digest IN (SELECT digest FROM blobs WHERE pack = ?)", (row,))
        for table in ("blobs", "damage", "withheld"):
            db.execute(f"DELETE FROM {table} WHERE pack = ?", (row,))
        db.execute("DELETE FROM packs WHERE id = ?", (row,))
        for job in jobs:
            db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            db.execute("DELETE FROM tags WHERE job = ?", (job,))
            if db.execute("SELECT 1 FROM records WHERE job = ?", (job,)).fetchone():
                self.jobs.setdefault(job, {})

    def settle(self) -> None:
        """Withheld records whose blobs have turned up, here or in another pack, take their place."""
        for digest, job in self.db.execute("SELECT digest, job FROM withheld").fetchall():
            record = self.record(digest)
            if self.complete(record, set()):
                self.db.execute("DELETE FROM withheld WHERE digest = ?", (digest,))
                self.take(digest, job, record)
        self.fold()

    def complete(self, value: Any, seen: set[bytes]) -> bool:
        """Whether all that `value` refers to can be read, down to the last link."""
        for link in codec.links(value):
            if link.digest in seen:
                continue
            seen.add(link.digest)
            try:
                if not self.complete(self.record(link.digest), seen):
                    return False
            except (Corrupt, Damaged, NotCanonical, FileNotFoundError):
                return False
        return True


def places(db: sqlite3.Connection, packs: Path, digest: bytes) -> list[tuple[Path, pack.Entry]]:
    """Everywhere a blob lies, sealed packs first."""
    found = db.execute("SELECT name, kind, length, frame, stored, raw, start FROM blobs JOIN packs ON packs.id = pack "
                       "WHERE digest = ? ORDER BY sealed DESC, name", (digest,))  # fmt: skip
    return [(packs / name, pack.Entry(kind, digest, length, None, frame, stored, raw, start))
            for name, kind, length, frame, stored, raw, start in found]  # fmt: skip


def seal(job: bytes, created: int, status: str, backend: str, body: str) -> bytes:
    """The check of a job's row, over all that a listing shows or orders by."""
    return hashlib.sha256(b"\0".join((job, str(created).encode(), status.encode(), backend.encode(), body.encode()))).digest()[:8]


def _jsonable(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value.hex() if type(value) is bytes else str(value) if type(value) is Link else value
            for key, value in fields.items() if key != "created"}  # fmt: skip
