"""A remote in a folder: a mounted share, a USB disk."""

import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from .. import disk
from ..errors import BadInput, NotFound, Unreachable
from ..identity import MARKER
from .backend import Object

_COMING = ".coming-"  # begins the name of a file that is being written
_LEFT_S = 86_400  # a file that has been coming for so long was left by somebody who was killed
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
_GONE = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ENOTCONN}


class Folder:
    """Packs in `packs/` of a folder."""

    def __init__(self, path: Path):
        self.path, self.url = path, str(path)
        self.packs = path / "packs"
        self._swept = False

    def prepare(self) -> None:
        if self.path.is_file():
            raise BadInput(self.url, "is a file", "a remote is a folder")
        if (self.path / MARKER).exists():
            raise BadInput(self.url, "is an archive", "`qarchive merge` takes in what it holds; a remote is a folder of its own")
        if not self.packs.is_dir():
            try:
                disk.make_folders(self.packs, shared=True)
            except OSError as error:
                raise disk.cannot_write(self.path, error) from error

    def objects(self) -> Iterator[Object]:
        try:
            with os.scandir(self.packs) as found:
                for entry in found:
                    if not entry.name.startswith(".") and entry.is_file():
                        facts = entry.stat()
                        yield Object(entry.name, facts.st_size, facts.st_mtime_ns)
        except OSError as error:
            raise self._explained(error) from error

    def read(self, name: str, start: int, length: int) -> bytes:
        try:
            with open(self.packs / name, "rb") as file:
                file.seek(start)
                return file.read(length)
        except FileNotFoundError:
            if not self.packs.is_dir():
                raise self._missing() from None
            raise NotFound(name, self.url) from None
        except OSError as error:
            raise self._explained(error) from error

    def put(self, name: str, data: bytes) -> bool:
        target = self.packs / name
        if not self.packs.is_dir():
            raise self._missing()  # what is written into the mount point of a share that is not mounted never gets there
        try:
            if target.exists():
                return False
            self._sweep()
            coming = self.packs / f"{_COMING}{secrets.token_hex(8)}"
            try:
                fd = disk.create(coming, shared=True)
                try:
                    disk.append(fd, data)
                    disk.sync(fd)
                finally:
                    os.close(fd)
                new = self._place(coming, target)
            finally:
                coming.unlink(missing_ok=True)
            disk.sync_folder(self.packs)
        except OSError as error:
            if error.errno in _GONE or not self.packs.is_dir():
                raise self._explained(error) from error
            raise disk.cannot_write(target, error) from error
        return new

    @staticmethod
    def _place(coming: Path, target: Path) -> bool:
        """Give a file its name, unless that is taken."""
        try:
            os.link(coming, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A FAT disk has no links. Who comes at the same moment under this name has the same content: replacing is harmless.
            os.replace(coming, target)
        return True

    def _sweep(self) -> None:
        """Remove what pushers that were killed have left, once."""
        if self._swept:
            return
        self._swept = True
        for left in self.packs.glob(f"{_COMING}*"):
            try:
                if left.stat().st_mtime < time.time() - _LEFT_S:
                    left.unlink()
            except OSError:
                pass  # somebody else's, or gone by now: it harms nobody

    def _missing(self) -> BadInput:
        return BadInput(self.url, "is not there, or holds no remote", "is it mounted? `qarchive remote add` makes a new one")

    def _explained(self, error: OSError) -> Exception:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return self._missing()
        if isinstance(error, PermissionError):
            return BadInput(self.url, "cannot be read (permission denied)", "ask its owner for read access")
        return Unreachable(self.url, (error.strerror or str(error)).lower())
