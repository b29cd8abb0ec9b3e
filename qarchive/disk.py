"""The only calls that write to the disk: append, sync, create, replace. Each is one step that a crash may fall between."""

import errno
import os
import secrets
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from .errors import CannotWrite

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space and run it again; what was acknowledged before is safe"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run it again; what was acknowledged before is safe"),
    errno.EROFS: ("the file system is read-only", "copy the archive to a place that can be written"),
    errno.EACCES: ("permission denied", "ask its owner for write access, or copy the archive"),
    errno.EPERM: ("permission denied", "ask its owner for write access, or copy the archive"),
    errno.EFBIG: ("the file would be larger than the system allows", "raise the limit (`ulimit -f`) and run it again"),
}


def cannot_write(path: Path | str, error: OSError) -> CannotWrite:
    """The error for a user of a failed call, with what can be done about it."""
    reason, hint = _REASONS.get(error.errno, (error.strerror or str(error), "what was acknowledged before is safe"))
    return CannotWrite(str(path), reason, hint)


@cache
def boot() -> str:
    """What tells the time since the system was started from the time before, when power may have been cut; empty where the
    system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def append(fd: int, data: bytes) -> None:
    """Write all of `data` at the end, in one call wherever the system takes it in one."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync(fd: int) -> None:
    """Return when what was written through `fd` would survive a power cut."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync on macOS stops at the drive's own cache
    else:
        os.fsync(fd)


def sync_folder(path: Path) -> None:
    """Make new names in a folder survive a power cut; where folders cannot be opened (Windows) the system does it."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        sync(fd)
    finally:
        os.close(fd)


def create(path: Path, shared: bool = False) -> int:
    """A new file, open for appending; FileExistsError where the name is taken. It is its owner's only; a `shared` one is for
    whom the umask lets read."""
    mode = 0o666 if shared else 0o600
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), mode)


def truncate(fd: int, size: int) -> None:
    """Cut off what stands beyond byte `size`."""
    os.ftruncate(fd, size)


def rename(path: Path, target: Path) -> None:
    """Give a whole, synced file its name, for good."""
    os.rename(path, target)
    sync_folder(target.parent)


def remove(paths: Iterable[Path]) -> None:
    """Take files of one folder away, for good; those that are gone already are passed over."""
    folders = set()
    for path in paths:
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)


def replace(path: Path, data: bytes) -> None:
    """Write a whole file so that at every moment the old or the new content is there, never a part."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = create(temporary)
    try:
        try:
            append(fd, data)
            sync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folders(path: Path, shared: bool = False) -> None:
    """Make a folder and those above it, each of them for its owner only (or, `shared`, for whom the umask lets) and with a name
    that survives a power cut."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o777 if shared else 0o700, exist_ok=True)
        sync_folder(folder.parent)
