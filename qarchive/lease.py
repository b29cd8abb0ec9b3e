"""The lease of a pack: who may append to it. One writer a pack, so that writers share no lock.

Where flock keeps nobody out, each lease is of a new pack, and nobody resumes it.

`spec/format.md`, "Writing", is the contract; the order of calls in `Lease.append`, `Lease.sync` and `Lease.seal` is the
promise that nothing acknowledged is lost.
"""

import hashlib
import os
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

import zstandard
from filelock import FileLock, Timeout

from . import disk, owner, pack
from .locks import announce

ABANDONED = ".abandoned"  # beside a pack: a sync of it failed, so nobody resumes it

_kept: list[FileLock] = []  # locks of packs that could not be marked so: held as long as this process lives


class Lease:
    """One open pack and the right to append to it, until it is sealed, given up or the process ends.

    `end` is where its last commit ended, and up to `synced` it would survive a power cut. One thread at a time may append;
    any may sync meanwhile. Of a lease without a lock the folder `noted` says whose it is.
    """

    def __init__(self, path: Path, lock: FileLock | None, fd: int, end: int, noted: Path | None = None):
        self._process, self._fd, self._lock, self._id = os.getpid(), fd, lock, pack.pack_id(path)
        self._noted = noted
        self.path, self.end, self.synced = path, end, 0
        self._blobs = 0  # appended through this lease
        self._syncing = threading.Lock()
        self._failure: OSError | None = None
        self._compressor = zstandard.ZstdCompressor(level=pack.LEVEL, write_checksum=True, write_content_size=True)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def full(self) -> bool:
        return self.end >= pack.SEAL_SIZE or self._blobs >= pack.SEAL_BLOBS

    def append(self, blobs: list[pack.Blob]) -> None:
        """Write one commit. It is not yet on the disk: `sync` is. After any exception the pack must be given up."""
        if self._noted:
            self.sync()  # a file server may get later bytes first: of two commits on their way the first would look damaged
        data = pack.build(self._id, self.end, self.synced, blobs, self._compressor)
        disk.append(self._fd, data)
        self.end += len(data)
        self._blobs += len(blobs)

    def sync(self, end: int | None = None) -> None:
        """Return when the commits up to byte `end` (None: all so far) would survive a power cut, and the pack's name too.

        Threads that wait here share one sync. Raises OSError; then nobody knows what reached the disk, a second sync would
        not tell, and every later call raises the same.
        """
        with self._syncing:
            if self.synced >= (self.end if end is None else end):
                return
            reached = self.end
            self._sync_file()
            self.synced = reached

    def _sync_file(self) -> None:
        if self._failure is not None:
            raise OSError(*self._failure.args)
        try:
            disk.sync(self._fd)
            if not self.synced:
                disk.sync_folder(self.path.parent)
        except OSError as error:
            self._failure = error
            raise

    def seal(self) -> None:
        """End the pack with its trailer, and the lease. Raises OSError; then the pack must be given up."""
        self._end()
        self._leave()

    def _end(self) -> None:
        """Others rely on a seal they can see, so what stands before it is on the disk first, and so is the trailer before its
        last eight bytes, which make it one."""
        self.sync()
        commits, content = [], hashlib.sha256()
        for found in pack.scan(self.path):
            if type(found) is not pack.Commit or not found.whole:
                _abandon(self.path)
                raise OSError(f"damaged at byte {found.offset}")
            commits.append(found)
        with open(self.path, "rb") as file:
            while piece := file.read(1 << 20):
                content.update(piece)
        trailer = pack.build_trailer(self._id, self.end, content.digest(), commits)
        disk.append(self._fd, trailer[: -len(pack.END)])
        self._sync_file()
        disk.append(self._fd, pack.END)
        try:
            disk.sync(self._fd)
        except OSError:
            pass  # others may have seen the seal, so it stays; should a power cut take it, the pack is an open one again

    def release(self) -> None:
        """Leave the pack as it is, for the next writer. One that nobody may resume is sealed, so that others can rely on it."""
        if self._noted and self.end and self._fd >= 0:
            try:
                self._end()
            except OSError:
                pass  # it stays open; `verify` tells of what is wrong in it
        self._leave()

    def _leave(self) -> None:
        """Close the file and let go of the lock. An empty pack leaves no file behind."""
        with self._syncing:
            fd, self._fd = self._fd, -1
        if fd < 0:
            return
        os.close(fd)
        if self.end == 0:
            self.path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()
            if self.end == 0:
                Path(self._lock.lock_file).unlink(missing_ok=True)
        if self._noted and self.end == 0:
            owner.remove(self._noted, self.name)

    def give_up(self) -> bool:
        """Leave the pack after a failure. Whether all its commits are on the disk.

        What remains of a write that failed is cut off, for the next writer. After a sync that failed none comes back to it.
        """
        try:
            self.sync()
        except OSError:
            pass  # `_failure` says so
        if self._failure is None:
            try:
                disk.truncate(self._fd, self.end)
            except OSError:
                pass  # a tail stays, which `verify` reports and the next writer moves aside
        elif not _abandon(self.path) and self._lock is not None:
            _kept.append(self._lock)
            self._lock = None
        self._leave()
        return self.synced >= self.end

    def forget(self) -> None:
        """Close the file and leave the lock to the parent process, as a forked child must."""
        os.close(self._fd)
        self._fd = -1

    def __del__(self):
        if self._process == os.getpid():
            self._leave()


def acquire(packs: Path, locks: Path, quarantine: Path, candidates: Iterable[tuple[str, int, bytes]], shared: bool) -> Lease:
    """The lease of the first free open pack, or of a new one.

    `candidates` are (name, end of a whole commit, its hash) of packs believed open. Where flock cannot be trusted (`shared` is
    False; asked after the candidates were listed) a new pack is taken and nobody's is resumed. Raises OSError.
    """
    for candidate in candidates if shared else ():
        if (lease := resume(packs, locks, quarantine, candidate)) is not None:
            return lease
    path = packs / f"{secrets.token_hex(16)}.pack"
    if shared:
        lock = _lock(locks, path.name)
        lock.acquire(blocking=False)
        return Lease(path, lock, disk.create(path), 0)
    announce(locks)  # before others can see the pack, and find its lock free
    owner.write(locks, path.name)
    return Lease(path, None, disk.create(path), 0, locks)


def resume(packs: Path, locks: Path, quarantine: Path, candidate: tuple[str, int, bytes], shared: bool = True) -> Lease | None:
    """The lease of one open pack; None where somebody has it, or it cannot be resumed. Raises OSError.

    Where flock cannot be trusted (`shared` is False) none is taken: whoever asks has the user's word that nobody writes.
    """
    name, end, hashed = candidate
    lock = _lock(locks, name) if shared else None
    try:
        if lock is not None:
            lock.acquire(blocking=False)
    except Timeout:
        return None
    lease = None
    try:
        lease = _resume(packs / name, lock, end, hashed, quarantine)
    finally:
        if lease is None and lock is not None:
            lock.release()
    if lease is not None:
        owner.remove(locks, name)  # of a time in which flock could not be trusted here, and which the user has ended
    return lease


def is_free(locks: Path, name: str) -> bool:
    """Whether nobody holds the lease of a pack."""
    lock = _lock(locks, name)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    lock.release()
    return True


def _lock(locks: Path, name: str) -> FileLock:
    return FileLock(locks / f"{name}.lock", thread_local=False, fallback_to_soft=False)


def _resume(path: Path, lock: FileLock | None, end: int, hashed: bytes, quarantine: Path) -> Lease | None:
    """The lease of a pack whose lock is held, its torn tail moved aside; None where it cannot be resumed."""
    if path.with_suffix(ABANDONED).exists() or not path.exists():
        return None
    if end and pack.read_hash(path, end) != hashed:
        return None  # not the pack that the caller knows
    tail = None
    for found in pack.scan(path, end):
        if type(found) is pack.Tail:
            tail = found
        elif type(found) is not pack.Commit or not found.whole:
            return None  # sealed by its last writer, or damaged
        else:
            end = found.offset + found.length
    fd = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
    try:
        if tail is not None:
            _move_aside(path, fd, tail, quarantine)
    except BaseException:
        os.close(fd)
        raise
    lease = Lease(path, lock, fd, end)
    try:
        lease.sync()  # its last writer may have died before its own, and commits here may rely on what it wrote
    except OSError:
        lease.give_up()
        return None
    return lease


def _move_aside(path: Path, fd: int, tail: pack.Tail, quarantine: Path) -> None:
    """Copy a torn tail to `quarantine/`, durably, before it is cut off."""
    with open(path, "rb") as file:
        file.seek(tail.offset)
        content = file.read(tail.length)
    disk.make_folders(quarantine)
    disk.replace(quarantine / f"{path.stem}-{tail.offset}-{hashlib.sha256(content).hexdigest()[:8]}.tail", content)
    disk.truncate(fd, tail.offset)


def _abandon(path: Path) -> bool:
    """Keep every later writer away from a pack. Whether that could be written."""
    try:
        os.close(disk.create(path.with_suffix(ABANDONED)))
    except FileExistsError:
        return True
    except OSError:
        return False
    return True
