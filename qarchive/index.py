"""The index: where each blob lies and what each job is, in SQLite. Derived from the packs, and safe to delete at any time.

Every query first looks at the packs' sizes and reads what is new. Rows carry a check of their own, since SQLite has none:
a row that fails it makes the whole index be built again, and is never shown.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from . import pack
from .codec import Timestamp
from .intake import Corrupt, Intake, places, seal

VERSION = 1
LOCK_PATIENCE_S = 5.0

_SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value);
CREATE TABLE packs(id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER, hash BLOB, sealed INTEGER, damaged INTEGER);
CREATE TABLE damage(pack INTEGER, at INTEGER, length INTEGER, reason TEXT);
CREATE TABLE blobs(digest BLOB, pack INTEGER, frame INTEGER, start INTEGER, stored INTEGER, raw INTEGER, length INTEGER, kind TEXT,
    PRIMARY KEY(digest, pack, frame, start)) WITHOUT ROWID;
CREATE TABLE keys(key BLOB, digest BLOB, PRIMARY KEY(key, digest)) WITHOUT ROWID;
CREATE TABLE records(digest BLOB PRIMARY KEY, job BLOB) WITHOUT ROWID;
CREATE TABLE withheld(digest BLOB PRIMARY KEY, job BLOB, pack INTEGER) WITHOUT ROWID;
CREATE INDEX records_job ON records(job);
CREATE TABLE jobs(id BLOB PRIMARY KEY, created INTEGER, provider TEXT, backend TEXT, status TEXT, kind TEXT, grp TEXT,
    input BLOB, calibration BLOB, provider_job TEXT, body TEXT, seal BLOB) WITHOUT ROWID;
CREATE TABLE tags(tag TEXT, job BLOB, created INTEGER, PRIMARY KEY(tag, created, job)) WITHOUT ROWID;
CREATE INDEX jobs_created ON jobs(created, id);
CREATE INDEX jobs_backend ON jobs(backend, created, id);
CREATE INDEX jobs_status ON jobs(status, created, id);
CREATE INDEX jobs_group ON jobs(grp, created, id) WHERE grp IS NOT NULL;
CREATE INDEX jobs_input ON jobs(input);
CREATE INDEX jobs_provider_job ON jobs(provider_job) WHERE provider_job IS NOT NULL;
"""

_T = TypeVar("_T")
Progress = Callable[[int, int], None]  # bytes read, bytes to read


@dataclass(frozen=True, slots=True)
class Row:
    """One job as listings show it. Times are UTC; `shots` and `group` may be None."""

    id: str
    created: Timestamp
    provider: str
    backend: str
    kind: str
    status: str
    shots: int | None
    size: int
    group: str | None
    tags: tuple[str, ...]
    input: str | None
    calibration: str | None
    provider_job: str | None
    attempts: int
    gaps: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for. `since` and `until` bound `created`; mock jobs stay out unless `kind` asks for them."""

    provider: str | None = None
    backend: str | None = None
    status: str | None = None
    kind: str | None = None
    tag: str | None = None
    group: str | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    input: bytes | None = None
    calibration: bytes | None = None
    newest_first: bool = True

    def where(self) -> tuple[str, list]:
        # The unary plus keeps SQLite from choosing an index that would then have to be sorted.
        tests, values = [], []
        for column in ("provider", "backend", "status", "kind"):
            if (value := getattr(self, column)) is not None:
                tests.append(f"{column} = ?")
                values.append(value)
        if self.kind is None:
            tests.append("+kind != 'mock'")
        for test, value in (("grp = ?", self.group), ("input = ?", self.input), ("calibration = ?", self.calibration),
                            ("created >= ?", self.since and self.since.ns), ("created < ?", self.until and self.until.ns),
                            ("id IN (SELECT job FROM tags WHERE tag = ?)", self.tag)):  # fmt: skip
            if value is not None:
                tests.append(test)
                values.append(value)
        return " AND ".join(tests) or "1", values


class Index:
    """The index of the packs in one folder. One instance serves all threads of a process."""

    def __init__(self, file: Path, packs: Path, lock: Path, archive: str):
        self.file, self.packs, self.archive = file, packs, archive
        self._lock = FileLock(lock, thread_local=False, poll_interval=0.001)
        self._mutex = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._compared = False
        self._tails: dict[str, int] = {}  # sizes of packs that end with a tail, so that it is not read at every query
        self._private = False  # the connection is a copy in memory, because another process holds the lock

    def forget(self) -> None:
        """Leave the connection behind without closing it, as a forked child must."""
        self._connection, self._mutex, self._private = None, threading.RLock(), False

    def close(self) -> None:
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    # Queries

    def rows(self, query: Query, limit: int, after: tuple[int, bytes] | None = None) -> list[Row]:
        """At most `limit` jobs, in order of creation; `after` is (created in ns, id) of the last one already seen."""
        where, values = query.where()
        order, compare = ("DESC", "<") if query.newest_first else ("ASC", ">")
        if after is not None:
            where += f" AND (created, id) {compare} (?, ?)"
            values += after
        sql = f"SELECT {_ROW} FROM jobs WHERE {where} ORDER BY created {order}, id {order} LIMIT ?"
        return self._ask(lambda db: [_row(*found) for found in db.execute(sql, (*values, limit))])

    def count(self, query: Query) -> int:
        where, values = query.where()
        return self._ask(lambda db: db.execute(f"SELECT count(*) FROM jobs WHERE {where}", values).fetchone()[0])

    def row(self, job: bytes) -> Row | None:
        sql = f"SELECT {_ROW} FROM jobs WHERE id = ?"
        return self._ask(lambda db: next((_row(*found) for found in db.execute(sql, (job,))), None))

    def jobs_with_prefix(self, prefix: str, limit: int) -> list[bytes]:
        """Ids that begin with `prefix`, hexadecimal digits, in order."""
        return self._column("SELECT id FROM jobs WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?", *_range(prefix), limit)

    def jobs_of_provider(self, provider_job: str) -> list[bytes]:
        """Ids of the jobs that a provider knows under this id of its own."""
        return self._column("SELECT id FROM jobs WHERE provider_job = ? ORDER BY id", provider_job)

    def blobs_with_prefix(self, prefix: str, limit: int) -> list[bytes]:
        sql = "SELECT DISTINCT digest FROM blobs WHERE digest >= ? AND digest <= ? ORDER BY digest LIMIT ?"
        return self._column(sql, *_range(prefix), limit)

    def records(self, job: bytes) -> list[bytes]:
        """Digests of the records about a job."""
        return self._column("SELECT digest FROM records WHERE job = ? ORDER BY digest", job)

    def all_records(self) -> list[bytes]:
        return self._column("SELECT digest FROM records ORDER BY digest")

    def places(self, digest: bytes) -> list[tuple[Path, pack.Entry]]:
        """Everywhere a blob lies, one of them enough; empty where it is nowhere."""
        return self._ask(lambda db: places(db, self.packs, digest))

    def holds(self, digest: bytes, own: str | None) -> bool:
        """Whether a blob lies in a sealed pack or in the pack named `own`: then a commit there may omit it.

        Answers from what was read so far: a writer may miss a blob, but must not wait.
        """
        sql = "SELECT 1 FROM blobs JOIN packs ON packs.id = pack WHERE digest = ? AND (sealed OR name = ?) AND NOT damaged LIMIT 1"
        return self._ask(lambda db: db.execute(sql, (digest, own)).fetchone() is not None, stale=True)

    def digests_of_key(self, key: bytes) -> list[bytes]:
        """Blobs whose content has this other name, as far as read."""
        return self._column("SELECT digest FROM keys WHERE key = ?", key, stale=True)

    def open_packs(self) -> list[tuple[str, int, bytes]]:
        """(name, end of its last commit, that commit's hash) of every pack that is neither sealed nor damaged."""
        sql = "SELECT name, size, hash FROM packs WHERE NOT sealed AND NOT damaged ORDER BY name"
        return self._ask(lambda db: db.execute(sql).fetchall())

    def pack_names(self) -> list[str]:
        return self._column("SELECT name FROM packs ORDER BY name")

    def withheld(self) -> list[tuple[bytes, bytes]]:
        """(record, job) that a crash left without something they refer to; such records take no part in any job."""
        return self._ask(lambda db: db.execute("SELECT digest, job FROM withheld ORDER BY digest").fetchall())

    def statistics(self) -> list[tuple[str, int, int]]:
        """(kind, distinct blobs, their raw bytes) over the archive."""
        sql = "SELECT kind, count(*), sum(length) FROM (SELECT DISTINCT digest, kind, length FROM blobs) GROUP BY kind ORDER BY kind"
        return self._ask(lambda db: db.execute(sql).fetchall())

    def content(self) -> dict[str, list]:
        """All that the index says, without row numbers, so that two indexes of the same packs are equal."""
        name = "(SELECT name FROM packs WHERE packs.id = pack)"
        queries = {"packs": "name, size, hash, sealed, damaged FROM packs", "records": "digest, job FROM records",
                   "blobs": f"digest, {name}, frame, start, stored, raw, length, kind FROM blobs", "keys": "key, digest FROM keys",
                   "jobs": "* FROM jobs", "tags": "tag, job, created FROM tags", "withheld": "digest, job FROM withheld"}  # fmt: skip
        return self._ask(lambda db: {table: sorted(db.execute(f"SELECT {sql}").fetchall(), key=repr) for table, sql in queries.items()})

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with the file; asked of the file as it is."""
        try:
            with closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)) as db:
                return [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
        except sqlite3.DatabaseError as error:
            return [str(error)]

    def refresh(self, progress: Progress | None = None) -> None:
        """Read what is new in the packs."""
        self._ask(lambda db: None, progress)

    def rebuild(self, progress: Progress | None = None) -> None:
        """Delete the index and read all packs again."""
        with self._mutex, self._lock:
            self.close()
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{self.file}{suffix}").unlink(missing_ok=True)
            self._connection = self._create()
            self._catch_up(self._connection, progress)

    # Connections

    def _ask(self, question: Callable[[sqlite3.Connection], _T], progress: Progress | None = None, stale: bool = False) -> _T:
        """The answer of an index that has caught up. One that turns out corrupt is built again first."""
        with self._mutex:
            try:
                self._ready(progress, stale)
                return question(self._connection)
            except (Corrupt, sqlite3.DatabaseError) as error:
                if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error) and "no such" not in str(error):
                    raise  # the disk is full, or a lock: building it again would not help
                self.rebuild(progress)
                return question(self._connection)

    def _column(self, sql: str, *values, stale: bool = False) -> list:
        return self._ask(lambda db: [value for (value,) in db.execute(sql, values)], stale=stale)

    def _ready(self, progress: Progress | None, stale: bool) -> None:
        if self._private and not stale:
            self.close()
            self._private = False
        if self._connection is None:
            self._connection = self._open()
        elif stale:
            return
        if not self._changed(self._connection):
            return
        try:
            with self._lock.acquire(timeout=LOCK_PATIENCE_S):
                self._catch_up(self._connection, progress)
        except Timeout:
            self._connection = self._copy(self._connection)
            self._private = True
            self._catch_up(self._connection, progress)

    def _open(self) -> sqlite3.Connection:
        db = self._existing()
        if db is None:
            with self._lock:
                db = self._existing() or self._create()
        self._compared = False
        return db

    def _existing(self) -> sqlite3.Connection | None:
        """The index in its file, or None where there is none, or another archive's or version's, or no database."""
        if not self.file.exists():
            return None
        db = self._connect()
        try:
            found = dict(db.execute("SELECT name, value FROM meta"))
            if (found.get("version"), found.get("archive")) == (VERSION, self.archive):
                return db
        except sqlite3.DatabaseError:
            pass  # whatever it is, `_create` replaces it
        db.close()
        return None

    def _create(self) -> sqlite3.Connection:
        """A new, empty index in place of whatever stands there. The lock is held."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        db = self._connect()
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        with db:
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("version", VERSION), ("archive", self.archive)])
        return db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.file, timeout=30, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.DatabaseError:
            pass  # not a database; the first query will say so
        return db

    def _copy(self, db: sqlite3.Connection) -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        db.backup(copy)
        db.close()
        return copy

    # Catching up

    def _changed(self, db: sqlite3.Connection) -> bool:
        """Whether packs have come, gone or grown, or (asked once a connection) end otherwise than they were read."""
        known = {name: row for name, *row in db.execute("SELECT name, size, hash, sealed FROM packs")}
        found = self._files()
        if found.keys() != known.keys():
            return True
        for name, (size, hashed, sealed) in known.items():
            if sealed:
                continue
            now = _size(found[name])
            if now != size and self._tails.get(name) != now:
                return True
            if not self._compared and size and pack.read_hash(Path(found[name]), size) != hashed:
                return True
        self._compared = True
        return False

    def _files(self) -> dict[str, str]:
        with os.scandir(self.packs) as entries:
            return {entry.name: entry.path for entry in entries if pack.pack_id(Path(entry.name))}

    def _catch_up(self, db: sqlite3.Connection, progress: Progress | None) -> None:
        """Read all that packs hold beyond what the index knows, in one transaction a pack."""
        files = self._files()
        known = {name: row for name, *row in db.execute("SELECT name, id, size, hash, sealed FROM packs")}
        intake = Intake(db, self.packs)
        for name in known.keys() - files.keys():
            with db:
                intake.forget(known[name][0])
        total = sum(map(_size, files.values()))
        done = 0
        for name, path in sorted(files.items()):
            row, size, hashed, sealed = known.get(name) or (None, 0, b"", 0)
            if not sealed:
                try:
                    with db:
                        intake.read(Path(path), row, size, hashed)
                        intake.fold()
                    self._tails[name] = _size(path)
                except FileNotFoundError:
                    continue  # removed since the folder was listed; the next query will notice
            done += _size(path)
            if progress:
                progress(done, total)
        with db:
            intake.settle()


_ROW = "id, created, status, backend, body, seal"


def _row(job: bytes, created: int, status: str, backend: str, body: str, check: bytes) -> Row:
    if check != seal(job, created, status, backend, body):
        raise Corrupt
    fields = json.loads(body)
    fields["created"] = Timestamp(created)
    return Row(**fields | {"tags": tuple(fields["tags"]), "names": tuple(fields["names"])})


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def _range(prefix: str) -> tuple[bytes, bytes]:
    """The lowest and the highest digest that begin with these hexadecimal digits."""
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
