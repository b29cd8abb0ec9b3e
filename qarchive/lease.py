"""The lease of a pack: who may append to it. One writer a pack, so that writers share no lock.

`spec/format.md`, "Writing", is the contract; the order of calls in `Lease.append` and `Lease.seal` is the promise that
nothing acknowledged is lost.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import zstandard
from filelock import FileLock, Timeout

from . import disk, pack

ABANDONED = ".abandoned"  # beside a pack: a sync of it failed, so nobody resumes it


class Lease:
    """One open pack and the right to append to it, until it is sealed, given up or the process ends."""

    def __init__(self, path: Path, lock: FileLock | None, fd: int, end: int, fresh: bool):
        self.path, self.end, self.synced = path, end, 0 if fresh else end
        self.fresh = fresh  # its name may not be on the disk yet
        self._lock, self._fd = lock, fd
        self._compressor = zstandard.ZstdCompressor(level=pack.LEVEL, write_checksum=True, write_content_size=True)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def full(self) -> bool:
        return self.end >= pack.SEAL_SIZE

    def append(self, blobs: list[pack.Blob]) -> None:
        """Write one commit. It is not yet on the disk: `sync` is. Raises OSError, and the pack must then be abandoned."""
        data = pack.build(pack.pack_id(self.path), self.end, self.synced, blobs, self._compressor)
        disk.append(self._fd, data)
        self.end += len(data)

    def sync(self) -> None:
        """Return when all commits so far would survive a power cut, and the pack's own name too."""
        end = self.end
        disk.sync(self._fd)
        if self.fresh:
            disk.sync_folder(self.path.parent)
            self.fresh = False
        self.synced = end

    def seal(self) -> None:
        """End the pack with its trailer. What stands before is on the disk first: others rely on a seal they can see."""
        self.sync()
        commits, content = [], hashlib.sha256()
        for found in pack.scan(self.path):
            if type(found) is not pack.Commit or not found.whole:
                raise OSError(f"{self.path} is damaged at byte {found.offset}")
            commits.append(found)
        with open(self.path, "rb") as file:
            while piece := file.read(1 << 20):
                content.update(piece)
        disk.append(self._fd, pack.build_trailer(pack.pack_id(self.path), self.end, content.digest(), commits))
        disk.sync(self._fd)
        self.release()

    def release(self) -> None:
        """Leave the pack as it is, for the next writer. An empty one leaves no file behind."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            if self.end == 0:
                self.path.unlink(missing_ok=True)
            if self._lock is not None:
                self._lock.release()

    def give_up(self, *, synced: bool) -> None:
        """Leave the pack after a failure: cut off the part of a commit that failed to be written or, after a failed
        sync (`synced` is False), keep every later writer away, since nobody knows what reached the disk."""
        try:
            if synced:
                disk.truncate(self._fd, self.end)
            else:
                os.close(disk.create(self.path.with_suffix(ABANDONED)))
        except OSError:
            pass  # the disk takes nothing any more: a tail stays, which `verify` reports and the next writer moves aside
        self.release()

    def descriptor(self) -> int:
        """A descriptor of its own, to sync without keeping writers waiting; the caller closes it."""
        return os.dup(self._fd)

    def mark_synced(self, end: int) -> None:
        """What ends at byte `end` is on the disk, and so is the pack's name."""
        self.fresh = False
        self.synced = max(self.synced, end)

    def __del__(self):
        self.release()

    def forget(self) -> None:
        """Close the file and leave the lock to the parent process, as a forked child must."""
        os.close(self._fd)
        self._fd = -1


def acquire(packs: Path, locks: Path, quarantine: Path, candidates: Iterable[tuple[str, int]], shared: bool) -> Lease:
    """The lease of the first free open pack, or of a new one.

    `candidates` are (name, end of a whole commit) of packs believed open. On a file system where flock cannot be trusted
    (`shared` is False) a new pack is taken and nobody's is resumed. Raises OSError.
    """
    for name, end in candidates if shared else ():
        lock = _lock(locks, name)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        lease = _resume(packs / name, lock, end, quarantine)
        if lease is not None:
            return lease
        lock.release()
    path = packs / f"{secrets.token_hex(16)}.pack"
    lock = None
    if shared:
        lock = _lock(locks, path.name)
        lock.acquire(blocking=False)
    return Lease(path, lock, disk.create(path), 0, fresh=True)


def _lock(locks: Path, name: str) -> FileLock:
    return FileLock(locks / f"{name}.lock", thread_local=False, fallback_to_soft=False)


def _resume(path: Path, lock: FileLock, end: int, quarantine: Path) -> Lease | None:
    """The lease of a pack whose lock is held, its torn tail moved aside; None where it cannot be resumed."""
    if path.with_suffix(ABANDONED).exists() or not path.exists():
        return None
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
    # Its last writer may have died before a sync: what it wrote counts as on the disk only after ours.
    return Lease(path, lock, fd, end, fresh=True)


def _move_aside(path: Path, fd: int, tail: pack.Tail, quarantine: Path) -> None:
    """Copy a torn tail to `quarantine/`, durably, before it is cut off."""
    with open(path, "rb") as file:
        file.seek(tail.offset)
        content = file.read(tail.length)
    quarantine.mkdir(exist_ok=True)
    disk.replace(quarantine / f"{path.stem}-{tail.offset}.tail", content)
    disk.truncate(fd, tail.offset)
    disk.sync(fd)
