"""Locks of a whole archive, each for one purpose: flock where it keeps everybody apart, else files that are there meanwhile."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from . import disk, filesystem
from .errors import ArchiveWarning, BadInput

NO_FLOCK = "no-flock"  # in `locks/`: from some machine that works here flock keeps nobody out, so nobody relies on it
SOFT = ".soft"
PATIENCE_S = 5.0
_POLL_S = 0.01


def shared(archive: Path) -> bool:
    """Whether flock keeps apart all who work in an archive, as far as can be told from here."""
    return not announced(archive / "locks") and filesystem.has_flock(archive)


def announced(locks: Path) -> bool:
    """Whether somebody who works here cannot rely on flock."""
    return (locks / NO_FLOCK).exists()


def announce(locks: Path) -> None:
    """Let nobody rely on flock from now on. Raises OSError."""
    if not announced(locks):
        try:
            os.close(disk.create(locks / NO_FLOCK))
        except FileExistsError:
            return  # another process has just done it
        disk.sync_folder(locks)


class Lock:
    """A lock of an archive's; whoever comes second waits. One may hold it in one thread and release it in another, and more than
    once."""

    def __init__(self, archive: Path, name: str):
        self._archive, self._locks, self._name = archive, archive / "locks", name
        self._held: BaseFileLock | None = None

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, wait: bool = True) -> bool:
        """Wait for it; or, where somebody has it and `wait` is False, return False. Raises OSError."""
        while self._held is None:
            try:
                if shared(self._archive):
                    found = FileLock(self._locks / f"{self._name}.lock", thread_local=False, fallback_to_soft=False)
                    found.acquire(blocking=wait, poll_interval=_POLL_S)
                    if announced(self._locks):  # others have come meanwhile, and do not see this lock
                        found.release()
                        continue
                else:
                    announce(self._locks)
                    found = SoftFileLock(self._locks / f"{self._name}{SOFT}", thread_local=False)
                    _acquire(found, wait)
            except Timeout:
                return False
            self._held = found
        return True

    def release(self) -> None:
        """Let others go on."""
        held, self._held = self._held, None
        if held is not None:
            held.release(force=True)


@contextmanager
def replacing(archive: Path) -> Iterator[None]:
    """While packs are replaced nobody else repacks or repairs, and nobody takes in bundles, which rely on blobs that are here.

    Raises BadInput where another process is at it, OSError.
    """
    held = Lock(archive, "repack")
    if not held.acquire(wait=False):
        raise BadInput(str(archive), "is being repacked or repaired by another process", "wait for it to end")
    try:
        with Lock(archive, "import"):
            yield
    finally:
        held.release()


def _acquire(lock: BaseFileLock, wait: bool) -> None:
    """Acquire a lock that a process may have left behind. filelock takes it from one that has ended on this machine, where the
    file system can exchange two names; any other is the user's to judge, who is told of it once. Raises Timeout, OSError."""
    try:
        lock.acquire(timeout=PATIENCE_S if wait else _POLL_S, poll_interval=_POLL_S / 4)
        return
    except Timeout:
        if not wait:
            raise
        path = Path(lock.lock_file)
    try:
        process, host = path.read_text(encoding="ascii").split()[:2]
        holder = f"process {process} on {host}"
    except (OSError, ValueError):
        holder = "another process"
    said = f"waiting for {path}, which {holder} holds; if that process has ended, delete the file"
    warnings.warn(said, ArchiveWarning, stacklevel=2)
    lock.acquire(poll_interval=_POLL_S)
