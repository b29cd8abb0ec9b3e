"""Intake: what packs hold, brought into the index's tables. Called with the index's lock held, inside a transaction."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import codec, disk, model, pack, records
from .errors import Damaged, NewerFormat, NotCanonical
from .values import Link

BATCH = 5_000  # records folded together
BATCH_SIZE = 8 << 20  # and their bytes: decoded they take a multiple


class Corrupt(Exception):
    """The index contradicts itself; it is built again, and nobody outside sees this."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the index has read of a pack: up to byte `size`, whose last 32 bytes are `hash` (of a commit, or in a trailer).

    Up to `synced` a later commit vouches that it had reached the disk. `boot` is when it was read (`disk.boot`). `origin` is the
    archive that it came from, where it is another's; empty where that does not say.
    """

    id: int
    size: int
    hash: bytes
    synced: int
    boot: str
    sealed: int
    damaged: int
    origin: str | None = None


class Intake:
    """Records read in one transaction, folded into jobs a batch at a time."""

    def __init__(self, db: sqlite3.Connection, packs: Path):
        self.db, self.packs = db, packs
        self.jobs: dict[bytes, dict[bytes, dict]] = {}
        self.count = self.size = 0
        self.blobs: list[tuple] = []
        self.keys: list[tuple] = []
        self.suspects: list[tuple[bytes, bytes, dict]] = []

    def read(self, path: Path, known: Known | None) -> None:
        """Take in what a pack holds beyond what is known of it, or all of it where nothing is."""
        db = self.db
        if known is None:
            row = db.execute("INSERT INTO packs(name) VALUES (?)", (path.name,)).lastrowid
            known = Known(row, 0, b"", 0, "", 0, 0)
        row, size, synced, damaged, origin = known.id, known.size, known.synced, known.damaged, known.origin
        commits = pack.sealed_commits(path) if size == 0 else None
        sealed = commits is not None
        suspect_from = None
        with open(path, "rb") as file:
            for found in commits if sealed else pack.scan(path, size):
                if type(found) is pack.Tail:
                    break
                if type(found) is pack.Seal:
                    sealed = True
                    break
                if type(found) is pack.Damage or not found.whole:
                    damaged = True
                    suspect_from = found.offset if suspect_from is None else suspect_from
                    reason = "bytes that are no commit" if type(found) is pack.Damage else "a commit whose hash does not fit"
                    self.damage(row, found.offset, found.length, reason)
                if type(found) is pack.Commit:
                    if found.offset == 0 and found.entries[0].kind == pack.BUNDLE:
                        origin = _origin(file, path, found.entries[0])
                        db.execute("UPDATE packs SET origin = ? WHERE id = ?", (origin, row))
                    if found.whole:
                        synced = max(synced, found.synced)
                    if suspect_from is not None and found.whole and found.synced > suspect_from:
                        suspect_from = None  # what is damaged had reached the disk: no crash did this
                        self.trust(row)
                    self.add(path, file, row, found, suspect=suspect_from is not None, foreign=origin is not None)
                size = found.offset + found.length
        if sealed:
            size = os.path.getsize(path)
        hashed = pack.read_hash(path, size) if size else b""
        columns = size, hashed, synced, disk.boot(), int(sealed), int(damaged), origin
        fields = "size = ?, hash = ?, synced = ?, boot = ?, sealed = ?, damaged = ?, origin = ?, seal = ?"
        sql = f"UPDATE packs SET {fields} WHERE id = ?"
        db.execute(sql, (*columns, seal(path.name, row, *columns), row))

    def add(self, path: Path, file, row: int, commit: pack.Commit, suspect: bool, foreign: bool) -> None:
        """Take in one commit: the places of its blobs and the content of its records."""
        self.blobs += [(e.digest, row, e.frame, e.start, e.stored, e.raw, e.length, e.kind) for e in commit.entries]
        if not foreign:  # a stranger's key could make our next job refer to another circuit than it ran
            self.keys += [(e.key, e.digest, row) for e in commit.entries if e.key]
        for entry, record in self.records(path, file, row, commit.entries):
            if (reason := records.wrong(record)) is not None:
                self.damage(row, entry.frame, entry.stored, f"record {entry.digest.hex()}: {reason}")
                continue
            if foreign and record["type"] in records.LOCAL:
                reason = f"a {record['type']} of another archive's"
                self.damage(row, entry.frame, entry.stored, f"record {entry.digest.hex()}: {reason}")
                continue
            job = records.subject_of(entry.digest, record)
            if suspect:
                self.suspects.append((entry.digest, job, record))
                self.db.execute("INSERT OR IGNORE INTO withheld VALUES (?, ?, ?)", (entry.digest, row, job))
            else:
                self.take(entry.digest, job, record)
                self.size += entry.length
            if self.size >= BATCH_SIZE:
                self.fold()
        if self.count >= BATCH:
            self.fold()

    def records(self, path: Path, file, row: int, entries: Iterable[pack.Entry]) -> Iterator[tuple[pack.Entry, Any]]:
        """The readable records of a commit, decoded."""
        for entry, data in read_all(file, path, [entry for entry in entries if entry.kind == pack.RECORD]):
            try:
                if isinstance(data, Damaged):
                    raise data
                record = codec.decode(data)
            except (Damaged, NotCanonical, NewerFormat) as error:
                self.damage(row, entry.frame, entry.stored, f"a record: {error}")
                continue
            yield entry, record

    def damage(self, row: int, at: int, length: int, reason: str) -> None:
        self.db.execute("INSERT INTO damage VALUES (?, ?, ?, ?)", (row, at, length, reason))

    def take(self, digest: bytes, job: bytes, record: dict) -> None:
        self.jobs.setdefault(job, {})[digest] = record
        self.count += 1

    def trust(self, row: int) -> None:
        """The suspect records of the pack were on the disk before the damage: they stand."""
        self.db.execute("DELETE FROM withheld WHERE pack = ?", (row,))
        for suspect in self.suspects:
            self.take(*suspect)
        self.suspects = []

    def fold(self) -> None:
        """Fold all records taken so far with those that the index had, and write the rows of jobs and groups."""
        db = self.db
        db.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", sorted(self.blobs))
        db.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", self.keys)
        shared = db.execute("SELECT 1 FROM packs WHERE origin IS NOT NULL").fetchone() is not None
        new, rows, tags, earlier, members = [], [], [], [], []
        for job, about in self.jobs.items():
            known = {digest for (digest,) in db.execute("SELECT digest FROM records WHERE job = ?", (job,))}
            new += [(digest, job) for digest in about.keys() - known]
            for digest in known - about.keys():
                try:
                    about[digest] = self.record(digest)
                except (Damaged, NotCanonical):
                    pass  # damaged since it was read: `verify` says so, and the job is what its other records say
            if of_group := {digest: record for digest, record in about.items() if records.is_of_group(record)}:
                self.group(job, of_group)
            if len(of_group) == len(about):
                continue
            if known:
                self.unlist(job)
            folded = model.fold(job, about, foreign_of(db, about) if shared else frozenset())
            if folded.removed:
                db.execute("DELETE FROM jobs WHERE id = ?", (job,))
                continue
            fields = model.summary(folded)
            rows.append(_row_of(fields))
            if len(folded.attempts) > 1:
                ids = {attempt.provider_job for attempt in folded.attempts} - {None, fields["provider_job"]}
                earlier += [(job, provider_job) for provider_job in ids]
            tags += [(tag, job, fields["created"].ns) for tag in fields["tags"]]
            if folded.record is not None and "member" in folded.record:
                members.append(_member_of(folded.record["member"], fields))
        db.executemany("INSERT OR IGNORE INTO records VALUES (?, ?)", sorted(new))
        db.executemany("REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", sorted(rows, key=lambda row: row[0]))
        db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", tags)
        db.executemany("INSERT OR IGNORE INTO earlier VALUES (?, ?)", earlier)
        db.executemany("REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", members)
        self.blobs, self.keys, self.jobs, self.count, self.size = [], [], {}, 0, 0

    def group(self, group: bytes, about: dict[bytes, dict]) -> None:
        """Write a group's rows."""
        db = self.db
        root = about.get(group)
        if root is not None:
            removed = records.is_removed(about)
            columns = group, root["name"], root["archive"], root["number"], int(removed)
            db.execute("REPLACE INTO groups VALUES (?, ?, ?, ?, ?, ?)", (*columns, seal(*columns)))
        ends: dict[tuple, int] = {}
        for record in about.values():
            if record["type"] == "mapped":
                of = group, record["author"], record["sequence"]
                ends[of] = max(ends.get(of, 0), record["circuits"])
        rows = [(*of, circuits, seal(*of, circuits)) for of, circuits in ends.items()]
        db.executemany("REPLACE INTO mapped VALUES (?, ?, ?, ?, ?)", rows)

    def unlist(self, job: bytes) -> None:
        """Take out what listings find a job by, but for its row."""
        for table in ("tags", "earlier", "members"):
            self.db.execute(f"DELETE FROM {table} WHERE job = ?", (job,))

    def record(self, digest: bytes) -> Any:
        """The value of a blob that the index knows. Raises Corrupt where it can be read nowhere, Damaged, NotCanonical."""
        damage = None
        for path, entry in places(self.db, self.packs, digest):
            try:
                with open(path, "rb") as file:
                    return codec.decode(pack.read(file, path, entry))
            except FileNotFoundError:
                continue
            except Damaged as error:
                damage = error
        raise damage or Corrupt

    def forget(self, row: int) -> None:
        """Take a pack out; its records go where no other pack has them."""
        db = self.db
        elsewhere = "SELECT 1 FROM blobs WHERE digest = b.digest AND pack != b.pack"
        sql = f"SELECT digest FROM blobs AS b WHERE pack = ? AND kind = ? AND NOT EXISTS ({elsewhere})"
        gone = db.execute(sql, (row, pack.RECORD)).fetchall()
        jobs = {job for digest in gone for (job,) in db.execute("SELECT job FROM records WHERE digest = ?", digest)}
        if db.execute("SELECT 1 FROM packs WHERE origin IS NOT NULL").fetchone():  # what stays may be foreign from now on
            of_pack = "SELECT DISTINCT job FROM records JOIN blobs USING (digest) WHERE pack = ?"
            jobs.update(job for (job,) in db.execute(of_pack, (row,)).fetchall())
        db.executemany("DELETE FROM records WHERE digest = ?", gone)
        for table in ("blobs", "keys", "damage", "withheld"):
            db.execute(f"DELETE FROM {table} WHERE pack = ?", (row,))
        db.execute("DELETE FROM packs WHERE id = ?", (row,))
        for job in jobs:
            db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            db.execute("DELETE FROM groups WHERE id = ?", (job,))
            db.execute("DELETE FROM mapped WHERE grp = ?", (job,))
            self.unlist(job)
            if db.execute("SELECT 1 FROM records WHERE job = ?", (job,)).fetchone():
                self.jobs.setdefault(job, {})

    def settle(self) -> None:
        """Withheld records whose blobs have turned up, here or in another pack, take their place."""
        for digest, job in self.db.execute("SELECT DISTINCT digest, job FROM withheld ORDER BY digest").fetchall():
            try:
                record = self.record(digest)
            except (Damaged, NotCanonical):
                continue  # it stays withheld
            if self.complete(record):
                self.db.execute("DELETE FROM withheld WHERE digest = ?", (digest,))
                self.take(digest, job, record)
        self.fold()

    def complete(self, value: Any) -> bool:
        """Whether all that `value` refers to can be read, down to the last link."""
        seen, pending = set(), [value]
        while pending:
            for link in codec.links(pending.pop()):
                if link.digest in seen:
                    continue
                seen.add(link.digest)
                try:
                    pending.append(self.record(link.digest))
                except (Corrupt, Damaged, NotCanonical):
                    return False
        return True


def _origin(file, path: Path, entry: pack.Entry) -> str:
    """The id of the archive that a bundle says to come from; empty where it does not say."""
    try:
        found = codec.decode(pack.read(file, path, entry))["archive"]
    except (Damaged, NotCanonical, NewerFormat, KeyError, TypeError):
        return ""
    return found if type(found) is str else ""


def foreign_of(db: sqlite3.Connection, digests: Iterable[bytes]) -> frozenset[bytes]:
    """Those records that stand in bundles alone, and in no pack of the archive's own."""
    own = "SELECT 1 FROM blobs JOIN packs ON packs.id = pack WHERE digest = ? AND origin IS NULL LIMIT 1"
    return frozenset(digest for digest in digests if db.execute(own, (digest,)).fetchone() is None)


def as_read(path: Path, known: Known, compared: bool = False) -> bool:
    """Whether a pack begins with what the index has read of it.

    An index may have outlived a power cut that its packs did not: what no later commit vouches for is hashed again, unless
    that was done before (`compared`) or the system has been running ever since.
    """
    if known.size and pack.read_hash(path, known.size) != known.hash:
        return False
    if known.sealed:
        return os.path.getsize(path) == known.size
    unbroken = known.boot != "" and known.boot == disk.boot()
    at = known.size if compared or known.damaged or unbroken else known.synced
    if at < known.size:
        for found in pack.scan(path, at):
            if type(found) is not pack.Commit or not found.whole:
                return False
            at = found.offset + found.length
            if at >= known.size:
                break
    return at == known.size


def read_all(file, path: Path, entries: Iterable[pack.Entry]) -> Iterator[tuple[pack.Entry, bytes | Damaged]]:
    """The canonical bytes of blobs of one pack, or what is wrong with them. A frame holds many of them and is read once."""
    at, raw = None, b""
    for entry in entries:
        try:
            if entry.frame != at:
                raw, at = pack.read_frame(file, path, entry.frame, entry.stored, entry.raw), entry.frame
            data = raw[entry.start : entry.start + entry.length]
            if codec.digest(data) != entry.digest:
                raise Damaged(str(path), f"blob {entry.digest.hex()} has other bytes than its digest says", entry.frame)
        except Damaged as error:
            at = None
            yield entry, error
        else:
            yield entry, data


def places(db: sqlite3.Connection, packs: Path, digest: bytes) -> list[tuple[Path, pack.Entry]]:
    """Everywhere a blob lies, sealed packs first."""
    found = db.execute("SELECT name, kind, length, frame, stored, raw, start FROM blobs JOIN packs ON packs.id = pack "
                       "WHERE digest = ? ORDER BY sealed DESC, name", (digest,)).fetchall()  # fmt: skip
    if not all(type(number) is int and number >= 0 for row in found for number in row[2:]):
        raise Corrupt
    return [(packs / name, pack.Entry(kind, digest, length, None, frame, stored, raw, start))
            for name, kind, length, frame, stored, raw, start in found]  # fmt: skip


def seal(*columns: Any) -> bytes:
    """The check of a row, over all its columns."""
    return hashlib.sha256(repr(columns).encode("utf-8", "surrogatepass")).digest()[:8]


def _row_of(fields: dict[str, Any]) -> tuple:
    body = json.dumps(
        {key: _jsonable(value) for key, value in fields.items() if key not in ("created", "open")},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    links = [fields[name] and fields[name].digest for name in ("input", "calibration")]
    columns = (fields["id"], fields["created"].ns, fields["provider"], fields["backend"], fields["status"], fields["kind"],
               fields["group"], *links, fields["provider_job"], int(fields["open"]), body)  # fmt: skip
    return *columns, seal(*columns)


def _member_of(place: Any, fields: dict[str, Any]) -> tuple:
    replaces = place.get("replaces")
    columns = (place["group"].digest, place["author"], place["sequence"], place["first"], fields["id"], fields["size"],
               int(place.get("mapped", False)), fields["created"].ns, fields["status"], fields["backend"], fields["error"],
               replaces and replaces.digest)  # fmt: skip
    return *columns, seal(*columns)


def _jsonable(value: Any) -> Any:
    return value.hex() if type(value) is bytes else str(value) if type(value) is Link else value
