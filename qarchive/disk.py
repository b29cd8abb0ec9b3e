"""The only calls that write to the disk: append, sync, create, replace. Each is one step that a crash may fall between."""

import errno
import os
import secrets
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from .errors import BadInput, CannotWrite

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space and run it again; what was acknowledged before is safe"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run it again; what was acknowledged before is safe"),
    errno.EROFS: ("the file system is read-only", "choose a place that can be written"),
    errno.EACCES: ("permission denied", "ask its owner for write access, or choose another place"),
    errno.EPERM: ("permission denied", "ask its owner for write access, or choose another place"),
    errno.EFBIG: ("the file would be larger than the system allows", "raise the limit (`ulimit -f`) and run it again"),
}


def cannot_write(path: Path | str, error: OSError) -> CannotWrite:
    """The error for a user of a failed call, with what can be done about it."""
    reason, hint = _REASONS.get(error.errno, (error.strerror or str(error), "what was acknowledged before is safe"))
    return CannotWrite(str(path), reason, hint)


def may_write(path: Path, replace: bool, example: str) -> None:
    """Whether a file for the user may be written. Raises BadInput for what is a folder or no file, and without `replace` for a
    file that is there."""
    if path.is_dir() or not path.name:
        raise BadInput(str(path), "is a folder", f"name a file in it, such as {example}")
    if path.exists() and not path.is_file():
        raise BadInput(str(path), "is no file", f"name a file, such as {example}")
    if not path.parent.is_dir():
        raise BadInput(str(path), "is in a folder that is not there", f"make it: mkdir -p {shlex.quote(str(path.parent))}")
    if path.exists() and not replace:
        raise BadInput(str(path), "is there already", "name another file, or say --force")


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


def replace(path: Path, data: bytes, shared: bool = False) -> None:
    """Write a whole file so that at every moment the old or the new content is there, never a part; `shared` as in `create`."""
    with replacing(path, shared) as fd:
        append(fd, data)


@contextmanager
def replacing(path: Path, shared: bool = False) -> Iterator[int]:
    """The same for content that is written bit by bit, to this file descriptor. After an exception the old content stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = create(temporary, shared)
    try:
        try:
            yield fd
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
