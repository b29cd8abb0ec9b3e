"""The catalog: the SQLite file behind the index. Opened, caught up with the packs, mended or made anew when it must be.

Where the file cannot be written (its lock is busy, the disk full, the folder read-only) a copy in memory takes its place.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from . import pack
from .errors import Damaged
from .intake import Corrupt, Intake, Known, as_read, places, seal

VERSION = 4
LOCK_PATIENCE_S = 5.0
_BROKEN = (sqlite3.Error, UnicodeDecodeError)  # sqlite3 may fail to decode the message of its own error
_REFUSED = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
                      sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})  # fmt: skip

_SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value);
CREATE TABLE packs(id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER, hash BLOB, synced INTEGER, boot TEXT, sealed INTEGER,
    damaged INTEGER, origin TEXT, seal BLOB);
CREATE TABLE damage(pack INTEGER, at INTEGER, length INTEGER, reason TEXT);
CREATE TABLE blobs(digest BLOB, pack INTEGER, frame INTEGER, start INTEGER, stored INTEGER, raw INTEGER, length INTEGER,
    kind TEXT, PRIMARY KEY(digest, pack, frame, start)) WITHOUT ROWID;
CREATE TABLE keys(key BLOB, digest BLOB, pack INTEGER, PRIMARY KEY(key, digest, pack)) WITHOUT ROWID;
CREATE TABLE records(digest BLOB PRIMARY KEY, job BLOB) WITHOUT ROWID;
CREATE TABLE withheld(digest BLOB, pack INTEGER, job BLOB, PRIMARY KEY(digest, pack)) WITHOUT ROWID;
CREATE INDEX records_job ON records(job);
CREATE TABLE jobs(id BLOB PRIMARY KEY, created INTEGER, provider TEXT, backend TEXT, status TEXT, kind TEXT, grp TEXT,
    input BLOB, calibration BLOB, provider_job TEXT, open INTEGER, body TEXT, seal BLOB) WITHOUT ROWID;
CREATE TABLE tags(tag TEXT, job BLOB, created INTEGER, PRIMARY KEY(tag, created, job)) WITHOUT ROWID;
CREATE TABLE earlier(job BLOB, provider_job TEXT, PRIMARY KEY(job, provider_job)) WITHOUT ROWID;
CREATE TABLE groups(id BLOB PRIMARY KEY, name TEXT, archive TEXT, number INTEGER, removed INTEGER, seal BLOB) WITHOUT ROWID;
CREATE TABLE mapped(grp BLOB, author TEXT, sequence INTEGER, circuits INTEGER, seal BLOB, PRIMARY KEY(grp, author, sequence))
    WITHOUT ROWID;
CREATE TABLE members(grp BLOB, author TEXT, sequence INTEGER, first INTEGER, job BLOB, size INTEGER, mapped INTEGER,
    created INTEGER, status TEXT, backend TEXT, error TEXT, replaces BLOB, seal BLOB,
    PRIMARY KEY(grp, author, sequence, first, job)) WITHOUT ROWID;
CREATE INDEX groups_name ON groups(name);
CREATE INDEX members_job ON members(job);
CREATE INDEX members_replaces ON members(replaces) WHERE replaces IS NOT NULL;
CREATE INDEX jobs_created ON jobs(created, id);
CREATE INDEX jobs_backend ON jobs(backend, created, id);
CREATE INDEX jobs_status ON jobs(status, created, id);
CREATE INDEX jobs_open ON jobs(created, id) WHERE open;
CREATE INDEX jobs_group ON jobs(grp, created, id) WHERE grp IS NOT NULL;
CREATE INDEX jobs_kind ON jobs(kind, created, id);
CREATE INDEX jobs_input ON jobs(input);
CREATE INDEX jobs_provider_job ON jobs(provider_job) WHERE provider_job IS NOT NULL;
CREATE INDEX earlier_provider_job ON earlier(provider_job);
"""

_T = TypeVar("_T")
Progress = Callable[[int, int], None]  # bytes read, bytes to read


class Catalog:
    """The tables that `intake` fills from the packs of one folder. One instance serves all threads of a process."""

    def __init__(self, folder: Path | None, packs: Path, archive: str):
        """`folder` holds the index's file and its lock; without one the index is in memory only."""
        self.packs, self.archive = packs, archive
        self.file = folder and folder / "index.sqlite"
        self.mended = 0  # how often the file turned out corrupt and was deleted
        self._connection: sqlite3.Connection | None = None
        self.forget()
        _indexes.add(self)

    def forget(self) -> None:
        """Leave the connection and the lock behind without closing them, as a forked child must."""
        _left_behind.append(self._connection)
        self._mutex = threading.RLock()
        self._lock = self.file and FileLock(self.file.with_suffix(".lock"), thread_local=False, poll_interval=0.001)
        self._reset()

    def _reset(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple | None = None  # of the file behind the connection; None where that is a copy in memory
        self._refused = self.file is None  # the file could not be written, and is not tried again with this connection
        self._compared: set[str] = set()  # packs that were found to be as they were read
        self._tails: dict[str, tuple] = {}  # what packs were when they were last read: a tail is not read at every query

    def close(self) -> None:
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
            self._reset()

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with the file; asked of the file as it is."""
        if self.file is None or not self.file.exists():
            return []
        try:
            with closing(self._connect("ro")) as db:
                return [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
        except _BROKEN as error:
            return [str(error)]

    def lost_packs(self) -> dict[str, list[bytes]]:
        """Packs that the file knows and that are gone, with the blobs they held; asked of the file as it is."""
        if self.file is None or not self.file.exists():
            return {}
        try:
            with closing(self._connect("ro")) as db:
                files = self._files()
                gone = {name: row for name, row in db.execute("SELECT name, id FROM packs") if name not in files}
                return {name: [digest for (digest,) in db.execute("SELECT digest FROM blobs WHERE pack = ?", (row,))]
                        for name, row in gone.items()}  # fmt: skip
        except _BROKEN:
            return {}  # `faults` says what is wrong with it

    def confirm(self, digest: bytes) -> None:
        """Make sure that a blob lies where the index says; if its packs say otherwise, build the index again."""

        def compare(db: sqlite3.Connection) -> None:
            for path, entry in places(db, self.packs, digest):
                if not _lists(path, entry):
                    raise Corrupt

        self.ask(compare)

    def refresh(self, progress: Progress | None = None) -> None:
        """Read what is new in the packs."""
        self.ask(lambda db: None, progress)

    def distrust(self, names: Iterable[str]) -> None:
        """Let no writer resume these packs, nor leave out what lies in them: they were found to be damaged."""

        def mark(db: sqlite3.Connection) -> None:
            with self._writing() as allowed:
                if not allowed and self._identity is not None:
                    return  # the file is another process's just now; the next verify will find it again
                with db:
                    for name, known in self._known().items():
                        if name in names and not known.damaged:
                            columns = known.id, known.size, known.hash, known.synced, known.boot, known.sealed, 1, known.origin
                            check = seal(name, *columns)
                            db.execute("UPDATE packs SET damaged = 1, seal = ? WHERE id = ?", (check, known.id))

        self.ask(mark)

    def rebuild(self, progress: Progress | None = None) -> None:
        """Delete the index and read all packs again."""
        with self._mutex:
            self.close()
            with self._writing(patience=-1) as allowed:
                if allowed:
                    self._remove()
                self.refresh(progress)

    # Connections

    def ask(self, question: Callable[[sqlite3.Connection], _T], progress: Progress | None = None, stale: bool = False) -> _T:
        """The answer of an index that has caught up. One that turns out corrupt is built again first."""
        with self._mutex:
            for _ in range(3):  # as it is; built again; in memory
                try:
                    self._ready(progress, stale)
                    return question(self._connection)
                except (Corrupt, *_BROKEN) as found:
                    error = found
                self._mend(error)
            raise Damaged(str(self.file or self.packs), f"the index cannot be made ({error!r})")

    def column(self, sql: str, *values, stale: bool = False) -> list:
        return self.ask(lambda db: [value for (value,) in db.execute(sql, values)], stale=stale)

    def _ready(self, progress: Progress | None, stale: bool) -> None:
        """A connection; unless `stale` answers will do, one that has read all that the packs hold."""
        if self._identity is not None and self._identity != self._identify():
            self.close()  # deleted, or built again by another process
        if self._connection is None:
            self._open()
        elif stale:
            return
        if not self._changed():
            return
        with self._writing() as allowed:
            if allowed and self._identity is None:
                self.close()
                self._connection = self._existing()
                if self._connection is None:
                    self._begin(allowed)
            elif not allowed and self._identity is not None:
                self._copy()
            self._catch_up(progress)

    def _open(self) -> None:
        self._connection = self._existing()
        if self._connection is None:
            with self._writing() as allowed:
                self._connection = self._existing()
                if self._connection is None:
                    self._begin(allowed)

    @contextmanager
    def _writing(self, patience: float | None = None) -> Iterator[bool]:
        """Whether the file may be written inside: its lock is held. A copy in memory does not wait for it, others do a while."""
        if self._refused:
            yield False
            return
        if patience is None:
            patience = 0 if self._connection is not None and self._identity is None else LOCK_PATIENCE_S
        try:
            self._lock.acquire(timeout=patience)
        except (Timeout, OSError, NotImplementedError):
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()

    def _existing(self) -> sqlite3.Connection | None:
        """The index in its file, or None where there is none, or another archive's or version's, or no database."""
        if self._refused or not self.file.exists():
            return None
        identity, self._identity = self._identify(), None
        try:
            db = self._connect("rw")
        except _BROKEN:
            return None
        try:
            found = dict(db.execute("SELECT name, value FROM meta"))
            if (found.get("version"), found.get("archive")) == (VERSION, self.archive):
                self._identity = identity
                return db
        except _BROKEN:
            pass  # whatever it is, a new one replaces it
        db.close()
        return None

    def _begin(self, allowed: bool) -> None:
        """A new, empty index: in place of whatever stands in the file, or in memory where that is not allowed."""
        allowed = allowed and self._remove()
        db = self._connect("rwc") if allowed else _private()
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        with db:
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("version", VERSION), ("archive", self.archive)])
        self._connection, self._identity = db, self._identify() if allowed else None

    def _connect(self, mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(f"{self.file.absolute().as_uri()}?mode={mode}", uri=True, timeout=30, check_same_thread=False)
        try:
            if mode != "ro":
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
        except _BROKEN:
            pass  # not a database; the first query will say so
        return db

    def _copy(self) -> None:
        """Go on with a copy in memory."""
        if self._connection is not None:
            copy = _private()
            self._connection.backup(copy)
            self._connection.close()
            self._connection, self._identity = copy, None

    def _mend(self, error: Exception) -> None:
        """After an error: go on with a copy in memory where the file cannot be written, else make a new index next."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _REFUSED or (code == sqlite3.SQLITE_READONLY and not os.access(self.file, os.W_OK)):
            try:
                self._copy()
            except _BROKEN:
                self.close()
            self._refused = True
        else:
            self.close()
            self.mended += 1
            with self._writing() as allowed:
                self._refused = not (allowed and self._remove())

    def _remove(self) -> bool:
        """Delete the file, the lock held. Whether that could be done."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _identify(self) -> tuple | None:
        try:
            found = os.stat(self.file)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    # Catching up

    def _known(self) -> dict[str, Known]:
        known = {}
        for name, *columns, check in self._connection.execute(
            "SELECT name, id, size, hash, synced, boot, sealed, damaged, origin, seal FROM packs"
        ):
            if check != seal(name, *columns):
                raise Corrupt
            known[name] = Known(*columns)
        return known

    def _changed(self) -> bool:
        """Whether packs have come, gone or grown, or (asked once of each) are otherwise than they were read."""
        known, files = self._known(), self._files()
        if files.keys() != known.keys():
            return True
        for name, found in known.items():
            if name not in self._compared:
                if not as_read(Path(files[name]), found):
                    return True
                self._compared.add(name)
            if not found.sealed:
                now = _stamp(files[name])
                if now[0] != found.size and now != self._tails.get(name):
                    return True
        return False

    def _files(self) -> dict[str, str]:
        try:
            with os.scandir(self.packs) as entries:
                return {entry.name: entry.path for entry in entries if pack.pack_id(Path(entry.name))}
        except FileNotFoundError:
            raise Damaged(str(self.packs), "the folder of the packs is missing") from None

    def _catch_up(self, progress: Progress | None) -> None:
        """Read all that packs hold beyond what the index knows, in one transaction a pack."""
        db, known, files = self._connection, self._known(), self._files()
        if gone := known.keys() - files.keys():
            with db:
                intake = Intake(db, self.packs)
                for name in gone:
                    intake.forget(known[name].id)
                intake.fold()
        stamps = {name: _stamp(path) for name, path in files.items()}  # before reading: what is written meanwhile comes next time
        total = sum(size for size, _ in stamps.values())
        done = 0
        for name, path in sorted(files.items()):
            size = stamps[name][0]
            try:
                self._take_in(Path(path), known.get(name), size)
            except FileNotFoundError:
                continue  # removed since the folder was listed; the next query will notice
            self._compared.add(name)
            self._tails[name] = stamps[name]
            done += size
            if progress:
                progress(done, total)
        with db:
            Intake(db, self.packs).settle()

    def _take_in(self, path: Path, known: Known | None, size: int) -> None:
        compared = path.name in self._compared
        if known and compared and known.size == size:
            return
        with self._connection as db:
            intake = Intake(db, self.packs)
            if known and (not as_read(path, known, compared) or (known.damaged and known.size != size)):
                intake.forget(known.id)
                known = None
            if known is None or (not known.sealed and known.size != size):
                intake.read(path, known)
            intake.fold()


def _lists(path: Path, entry: pack.Entry) -> bool:
    """Whether a pack's own directories list a blob at this place. A pack that is gone is no contradiction."""
    try:
        commits = pack.sealed_commits(path) or pack.scan(path)
        return any(
            replace(found, key=None) == entry for commit in commits if type(commit) is pack.Commit for found in commit.entries
        )
    except FileNotFoundError:
        return True


def _private() -> sqlite3.Connection:
    """A database of this connection's own, in memory until it is large, then in a temporary file."""
    db = sqlite3.connect("", check_same_thread=False)
    db.execute("PRAGMA cache_size = -200000")  # KiB
    db.execute("PRAGMA journal_mode = MEMORY")  # a transaction needs no disk, which may be the one that is full
    return db


def _stamp(path: str) -> tuple[int, int]:
    """(size, time of the last write in ns) of a pack."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


# A fork waits until no thread is inside SQLite, whose own locks the child would inherit closed.


def _pause() -> None:
    _paused.indexes = sorted(_indexes, key=id)
    for index in _paused.indexes:
        index._mutex.acquire()


def _resume() -> None:
    for index in _paused.indexes:
        index._mutex.release()
    _paused.indexes = []


def _start_anew() -> None:
    for index in _paused.indexes:
        index.forget()
    _paused.indexes = []


_indexes: "weakref.WeakSet[Catalog]" = weakref.WeakSet()
_left_behind: list[sqlite3.Connection | None] = []
_paused = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_start_anew)
