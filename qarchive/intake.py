"""Intake: what packs hold, brought into the index's tables. Called with the index's lock held, inside a transaction."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from . import codec, disk, pack, records
from .errors import Damaged, NewerFormat, NotCanonical
from .folding import group_rows, listed
from .rows import JOB, job_row
from .tables import AT_DIGEST, AT_DIGESTS, INSERTS, OF_PACK, Corrupt, entry_of, foreign_of, numbers_of, of_many, places, seal

BATCH = 5_000  # records folded together
BATCH_SIZE = 8 << 20  # and their bytes: decoded they take a multiple
_REFOLDED = 1_000  # jobs folded together whose records are read again


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
        self.suspects: list[tuple[int, bytes, bytes, dict]] = []

    def read(self, path: Path, known: Known | None) -> None:
        """Take in what a pack holds beyond what is known of it, or all of it where nothing is."""
        db = self.db
        commits = pack.sealed_commits(path) if known is None or known.size == 0 else None
        with open(path, "rb") as file:
            if known is None:
                row = db.execute("INSERT INTO packs(name) VALUES (?)", (path.name,)).lastrowid
                known = Known(row, 0, b"", 0, "", 0, 0)
            row, size, synced, damaged, origin = known.id, known.size, known.synced, known.damaged, known.origin
            first, beyond = numbers_of(row)
            last = db.execute("SELECT max(id) FROM blobs WHERE id >= ? AND id < ?", (first, beyond)).fetchone()[0]
            self.next = first if last is None else last + 1
            sealed = commits is not None
            suspect_from = None
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
                        origin = origin_of(file, path, found.entries[0])
                        db.execute("UPDATE packs SET origin = ? WHERE id = ?", (origin, row))
                    if found.whole:
                        synced = max(synced, found.synced)
                    if suspect_from is not None and found.whole and found.synced > suspect_from:
                        suspect_from = None  # what is damaged had reached the disk: no crash did this
                        self.trust(row)
                    self.add(path, file, row, found, suspect=suspect_from is not None, foreign=origin is not None)
                size = found.offset + found.length
            if sealed:
                size = os.fstat(file.fileno()).st_size
            file.seek(max(size - 32, 0))
            hashed = file.read(32) if size else b""
        self.ended(path, Known(row, size, hashed, synced, disk.boot(), int(sealed), int(damaged), origin))

    def ended(self, path: Path, known: Known) -> None:
        """Write down how far a pack was read."""
        _, *columns = astuple(known)
        fields = "size = ?, hash = ?, synced = ?, boot = ?, sealed = ?, damaged = ?, origin = ?, seal = ?"
        sql = f"UPDATE packs SET {fields} WHERE id = ?"
        self.db.execute(sql, (*columns, seal((path.name, known.id, *columns)), known.id))

    def add(self, path: Path, file, row: int, commit: pack.Commit, suspect: bool, foreign: bool) -> None:
        """Take in one commit: the places of its blobs and the content of its records."""
        jobs: dict[bytes, bytes] = {}
        entries = [entry for entry in commit.entries if entry.kind == pack.RECORD]
        known = {} if foreign or suspect else self.known_records([entry.digest for entry in entries])
        for entry, data in read_all(file, path, entries):
            if entry.digest in known and not isinstance(data, Damaged):
                jobs[entry.digest] = known[entry.digest]  # it takes part already, as one of this archive's own
                continue
            try:
                if isinstance(data, Damaged):
                    raise data
                record = codec.decode(data)
            except (Damaged, NotCanonical, NewerFormat) as error:
                self.damage(row, entry.frame, entry.stored, f"a record: {error}")
                continue
            if (reason := records.wrong(record)) is not None:
                self.damage(row, entry.frame, entry.stored, f"record {entry.digest.hex()}: {reason}")
                continue
            if foreign and record["type"] in records.LOCAL:
                reason = f"a {record['type']} of another archive's"
                self.damage(row, entry.frame, entry.stored, f"record {entry.digest.hex()}: {reason}")
                continue
            job = records.subject_of(entry.digest, record)
            if suspect:
                self.suspects.append((row, entry.digest, job, record))
                self.db.execute("INSERT OR IGNORE INTO withheld VALUES (?, ?, ?)", (entry.digest, row, job))
            else:
                jobs[entry.digest] = job
                self.take(entry.digest, job, record)
                self.size += entry.length
        # A stranger's key could make our next job refer to another circuit than it ran.
        self.blobs += [(number, e.digest, e.frame, e.start, e.stored, e.raw, e.length, e.kind, None if foreign else e.key,
                        jobs.get(e.digest)) for number, e in enumerate(commit.entries, self.next)]  # fmt: skip
        self.next += len(commit.entries)
        if self.size >= BATCH_SIZE or self.count >= BATCH or len(self.blobs) >= 10 * BATCH:
            self.fold()

    def known_records(self, digests: list[bytes]) -> dict[bytes, bytes]:
        """{record: what it is about} of those that take part already, and stand in a pack of the archive's own."""
        sql = f"SELECT digest, job FROM {OF_PACK} WHERE {AT_DIGESTS} AND job IS NOT NULL AND origin IS NULL AND NOT damaged"
        return {digest: job for digest, (job,) in of_many(self.db, sql, digests, 8)}

    def damage(self, row: int, at: int, length: int, reason: str) -> None:
        self.db.execute("INSERT INTO damage VALUES (?, ?, ?, ?)", (row, at, length, reason))

    def take(self, digest: bytes, job: bytes, record: dict) -> None:
        self.jobs.setdefault(job, {})[digest] = record
        self.count += 1

    def trust(self, row: int) -> None:
        """The suspect records of the pack were on the disk before the damage: they stand."""
        self.fold()
        self.db.execute("DELETE FROM withheld WHERE pack = ?", (row,))
        for row, digest, job, record in self.suspects:
            sql = "UPDATE blobs SET job = ? WHERE id >= ? AND id < ? AND digest = ?"
            self.db.execute(sql, (job, *numbers_of(row), digest))
            self.take(digest, job, record)
        self.suspects = []

    def fold(self) -> None:
        """Fold all records taken so far with those that the index had, and write the rows of blobs, jobs and groups."""
        db = self.db
        known = self.known_of(self.jobs)
        db.executemany(INSERTS["blobs"], self.blobs)
        shared = db.execute("SELECT 1 FROM packs WHERE origin IS NOT NULL").fetchone() is not None
        missing = [digest for job, digests in known.items() for digest in digests - self.jobs[job].keys()]
        values = self.values(missing)
        lost = [(digest,) for digest in missing if digest not in values]  # damaged since it was read: `verify` says so
        db.executemany(f"UPDATE blobs SET job = NULL WHERE {AT_DIGEST}", lost)
        rows, tags, earlier, members = [], [], [], []
        for job, about in self.jobs.items():
            for digest in known.get(job, ()):
                if digest in values:
                    about.setdefault(digest, values[digest])
            if of_group := {digest: record for digest, record in about.items() if records.is_of_group(record)}:
                self.group(job, of_group)
            if len(of_group) == len(about):
                continue
            if job in known:
                self.unlist(job)
            if (found := listed(job, about, foreign_of(db, about) if shared else frozenset())) is None:
                continue
            rows.append(found.job)
            tags += found.tags
            earlier += found.earlier
            members += [found.member] if found.member else []
        for table, of in (("jobs", rows), ("tags", sorted(tags)), ("earlier", earlier), ("members", members)):
            db.executemany(INSERTS[table], of)
        self.blobs, self.jobs, self.count, self.size = [], {}, 0, 0

    def known_of(self, jobs: Iterable[bytes]) -> dict[bytes, set[bytes]]:
        """{job or group: its records that take part}, of those of many of which there are any."""
        known: dict[bytes, set[bytes]] = {}
        # `job IS NOT NULL` is what the index over records says: without it SQLite reads all blobs.
        sql = "SELECT job, digest FROM blobs WHERE job IS NOT NULL AND substr(job, 1, 8) IN ({})"
        for job, (digest,) in of_many(self.db, sql, jobs, 8):
            known.setdefault(job, set()).add(digest)
        return known

    def refold(self, jobs: Iterable[bytes]) -> None:
        """Fold jobs and groups by the records that the index has of them, and forget those of which it has none."""
        self.fold()
        jobs = iter(jobs)
        while part := list(islice(jobs, _REFOLDED)):
            for job in part:
                self.unlist(job)
                self.db.execute("DELETE FROM groups WHERE id = ?", (job,))
                self.db.execute("DELETE FROM mapped WHERE grp = ?", (job,))
            self.jobs = {job: {} for job in part}
            self.fold()

    def group(self, group: bytes, about: dict[bytes, dict]) -> None:
        """Write a group's rows."""
        row, ends = group_rows(group, about)
        self.db.executemany(INSERTS["groups"], [row] if row else [])
        self.db.executemany(INSERTS["mapped"], ends)

    def unlist(self, job: bytes) -> None:
        """Take a job out of all that lists it."""
        found = self.db.execute(f"SELECT {JOB} FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is not None:
            row = job_row(found)
            tags = [(tag, *row.place) for tag in row.tags]
            self.db.executemany("DELETE FROM tags WHERE tag = ? AND created = ? AND job = ?", tags)
            self.db.execute("DELETE FROM jobs WHERE id = ?", (job,))
        self.db.execute("DELETE FROM earlier WHERE job = ?", (job,))
        self.db.execute("DELETE FROM members WHERE job = ?", (job,))

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

    def values(self, digests: list[bytes]) -> dict[bytes, Any]:
        """The values of many blobs; those that are damaged are left out. Raises Corrupt where one can be read nowhere."""
        found: dict[bytes, Any] = {}
        by_pack: dict[str, list[pack.Entry]] = {}
        sql = f"SELECT digest, name, kind, length, frame, stored, raw, start FROM {OF_PACK} WHERE {AT_DIGESTS}"
        for digest, (name, *place) in of_many(self.db, sql, digests, 8):
            if digest not in found:
                found[digest] = None
                by_pack.setdefault(name, []).append(entry_of(digest, *place))
        for name, entries in by_pack.items():
            try:
                with open(self.packs / name, "rb") as file:
                    for entry, data in read_all(file, self.packs / name, sorted(entries, key=lambda e: (e.frame, e.start))):
                        found[entry.digest] = data
            except FileNotFoundError:
                continue  # another pack may have them
        values = {}
        for digest in digests:
            data = found.get(digest)
            try:
                values[digest] = codec.decode(data) if type(data) is bytes else self.record(digest)
            except (Damaged, NotCanonical):
                continue
        return values

    def forget(self, known: Known) -> None:
        """Take a pack out; its records go where no other pack has them."""
        db = self.db
        first, beyond = numbers_of(known.id)
        shared = db.execute("SELECT 1 FROM packs WHERE origin IS NOT NULL").fetchone() is not None
        table, own = "blobs", ""
        if shared and known.origin is None:  # what other archives have, too, is theirs from now on
            table, own = OF_PACK, "AND origin IS NULL"
        sql = (f"SELECT 1 FROM {table} WHERE substr(digest, 1, 8) = substr(gone.digest, 1, 8) AND digest = gone.digest "
               f"AND job IS NOT NULL AND NOT (blobs.id >= ?1 AND blobs.id < ?2) {own}")  # fmt: skip
        sql = f"SELECT DISTINCT job FROM blobs AS gone WHERE id >= ?1 AND id < ?2 AND job IS NOT NULL AND NOT EXISTS ({sql})"
        jobs = [job for (job,) in db.execute(sql, (first, beyond)).fetchall()]
        db.execute("DELETE FROM blobs WHERE id >= ? AND id < ?", (first, beyond))
        for table in ("damage", "withheld"):
            db.execute(f"DELETE FROM {table} WHERE pack = ?", (known.id,))
        db.execute("DELETE FROM packs WHERE id = ?", (known.id,))
        self.refold(jobs)

    def settle(self) -> None:
        """Withheld records whose blobs have turned up, here or in another pack, take their place."""
        for digest, job in self.db.execute("SELECT DISTINCT digest, job FROM withheld ORDER BY digest").fetchall():
            try:
                record = self.record(digest)
            except (Damaged, NotCanonical):
                continue  # it stays withheld
            if self.complete(record):
                self.db.execute("DELETE FROM withheld WHERE digest = ?", (digest,))
                self.db.execute(f"UPDATE blobs SET job = ?2 WHERE {AT_DIGEST}", (digest, job))
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


def origin_of(file, path: Path, entry: pack.Entry) -> str:
    """The id of the archive that a bundle says to come from; empty where it does not say."""
    try:
        found = codec.decode(pack.read(file, path, entry))["archive"]
    except (Damaged, NotCanonical, NewerFormat, KeyError, TypeError):
        return ""
    return found if type(found) is str else ""


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
