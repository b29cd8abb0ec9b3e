"""The database behind the index: an SQLite file that is opened, mended or made anew when it must be.

Where the file cannot be written (its lock is busy, the disk full, the folder read-only) a copy in memory takes its place.
"""

import os
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from .errors import CannotWrite, Damaged
from .tables import VERSION, Corrupt

LOCK_PATIENCE_S = 5.0
COMING = "coming-"  # begins the name of a file that is being filled, beside the index
FILLING_CACHE = 64 << 10  # KiB
BROKEN = (sqlite3.Error, UnicodeDecodeError)  # sqlite3 may fail to decode the message of its own error
_REFUSED = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
                      sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})  # fmt: skip


_T = TypeVar("_T")
Progress = Callable[[int, int], None]  # bytes read, bytes to read


class Database:
    """Tables that a subclass fills and brings up to date. One instance serves all threads of a process."""

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
        self._lock = self.file and FileLock(self.file.with_suffix(".lock"), thread_local=False, poll_interval=0.001,
                                               fallback_to_soft=False)  # fmt: skip
        self._reset()

    def _reset(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple | None = None  # of the file behind the connection; None where that is a copy in memory
        self._refused = self.file is None  # the file could not be written, and is not tried again with this connection
        self._coming: Path | None = None  # the file that will be the index when it is filled
        self._empty = False  # the tables behind the connection have nothing in them yet, and no indexes

    def close(self) -> None:
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
            if self._coming is not None:
                self._coming.unlink(missing_ok=True)
            self._reset()

    def _changed(self) -> bool:
        """Whether the tables are behind what they are made from."""
        raise NotImplementedError

    def _catch_up(self, progress: Progress | None) -> None:
        """Bring the tables up to date, or fill them where they are empty."""
        raise NotImplementedError

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with the file; asked of the file as it is. Raises CannotWrite where the disk takes not
        even what is needed to look."""
        if self.file is None or not self.file.exists():
            return []
        try:
            with closing(self._connect("ro")) as db:
                return [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
        except BROKEN as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _REFUSED:
                raise CannotWrite(str(self.file), str(error), "free some room and look again") from None
            return [str(error)]

    # Connections

    def ask(self, question: Callable[[sqlite3.Connection], _T], progress: Progress | None = None, stale: bool = False) -> _T:
        """The answer of an index that has caught up. One that turns out corrupt is built again first."""
        with self._mutex:
            for _ in range(3):  # as it is; built again; in memory
                try:
                    self._ready(progress, stale)
                    return question(self._connection)
                except (Corrupt, *BROKEN) as found:
                    error = found
                self._mend(error)
            raise Damaged(str(self.file or self.packs), f"the index cannot be made ({error!r})")

    def column(self, sql: str, *values, stale: bool = False) -> list:
        return self.ask(lambda db: [value for (value,) in db.execute(sql, values)], stale=stale)

    def _ready(self, progress: Progress | None, stale: bool) -> None:
        """A connection; unless `stale` answers will do, one that has read all that the packs hold."""
        if stale and self._connection is not None and not self._empty:
            return
        if self._identity is not None and self._identity != self._identify():
            self.close()  # deleted, or built again by another process
        if self._connection is None:
            self._connection = self._existing()
        if self._connection is not None and not self._empty and not self._changed():
            return
        with self._writing() as allowed:
            if allowed and self._identity is None and self._coming is None:
                self.close()  # a copy in memory, if anything
                self._connection = self._existing()
            elif not allowed and (self._identity is not None or self._coming is not None):
                self._copy()
            if self._connection is None:
                self._begin(allowed)
            self._catch_up(progress)

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
        except BROKEN:
            return None
        try:
            found = dict(db.execute("SELECT name, value FROM meta"))
            if (found.get("version"), found.get("archive")) == (VERSION, self.archive):
                self._identity = identity
                return db
        except BROKEN:
            pass  # whatever it is, a new one replaces it
        db.close()
        return None

    def _begin(self, allowed: bool) -> None:
        """New tables, to be filled: in a file that will take the place of the index, or in memory where that is not allowed."""
        self._drop()
        if allowed and self._make_folder():
            self._coming = self.file.with_name(f"{COMING}{secrets.token_hex(4)}.sqlite")
            self._connection = self._connect("rwc", self._coming)
        else:
            self._connection = _private()
        self._empty = True

    def _drop(self) -> None:
        """Leave a connection, and remember whether the file can be written."""
        refused = self._refused
        self.close()
        self._refused = refused

    def _replace(self) -> None:
        """Let the file that was filled be the index from now on; go on in memory where that fails."""
        self._connection.close()
        try:
            if self._remove():
                os.replace(self._coming, self.file)
        except OSError:
            pass
        self._coming.unlink(missing_ok=True)
        self._coming = None
        self._connection = self._existing()
        if self._connection is None:
            self._refused = True
            self._begin(False)

    def _connect(self, mode: str, file: Path | None = None) -> sqlite3.Connection:
        uri = f"{(file or self.file).absolute().as_uri()}?mode={mode}"
        db = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
        try:
            if file is not None:  # nobody else reads it, and what is half done is of no use
                db.execute("PRAGMA journal_mode = MEMORY")
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
                db.execute(f"PRAGMA cache_size = {-FILLING_CACHE}")
            elif mode != "ro":
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
        except BROKEN:
            pass  # not a database; the first query will say so
        return db

    def _copy(self) -> None:
        """Go on with a copy in memory."""
        if self._empty:
            self._begin(False)
        elif self._connection is not None:
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
            except BROKEN:
                self.close()
            self._refused = True
        else:
            self.close()
            self.mended += 1
            with self._writing() as allowed:
                self._refused = not (allowed and self._remove())

    def _remove(self) -> bool:
        """Delete the file, the lock held. Whether that could be done."""
        if not self._make_folder():
            return False
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _make_folder(self) -> bool:
        """The index's folder, without what was left behind by processes that were killed while they filled a file."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self.file.parent.glob(f"{COMING}*"):
                if left != self._coming:
                    left.unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _identify(self) -> tuple | None:
        try:
            found = os.stat(self.file)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _private() -> sqlite3.Connection:
    """A database of this connection's own, in memory until it is large, then in a temporary file."""
    db = sqlite3.connect("", check_same_thread=False)
    db.execute("PRAGMA cache_size = -200000")  # KiB
    db.execute("PRAGMA journal_mode = MEMORY")  # a transaction needs no disk, which may be the one that is full
    return db


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


_indexes: "weakref.WeakSet[Database]" = weakref.WeakSet()
_left_behind: list[sqlite3.Connection | None] = []
_paused = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_start_anew)
