"""Packs that are written in one go, by one writer, into a file that nobody reads until it is sealed: bundles, repacked packs."""

import hashlib
from pathlib import Path
from typing import BinaryIO

import zstandard

from . import disk, pack

LEVEL = 9  # of zstd: such a pack is written once and read often
COMMIT_SIZE = 16 << 20  # raw bytes of a commit, which is put together in memory
COMMIT_BLOBS = 1 << 15


class Writer:
    """A pack on its way into a file of its own, which is open for binary writing. `add` writes commits, `seal` ends it; nothing
    else writes to the file.

    A `brief` one is smaller, and to list what it holds takes one read a commit.
    """

    def __init__(self, file: BinaryIO, path: Path, name: bytes, brief: bool = True):
        self._file, self._path, self._id, self._brief = file, path, name, brief
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._content = hashlib.sha256()
        self._commits: list[pack.Commit] = []
        self.end = 0

    def add(self, blobs: list[pack.Blob]) -> None:
        """One commit. Records stand last."""
        self._append(pack.build(self._id, self.end, 0, blobs, self._compressor))

    def add_frames(self, frames: list[pack.Frame]) -> None:
        """One commit of frames that are compressed already, those of records last."""
        self._append(pack.assemble(self._id, self.end, 0, frames))

    def _append(self, data: bytes) -> None:
        if self._brief:
            self._commits.append(pack.Commit(self.end, len(data), 0, (), b""))
        disk.append(self._file.fileno(), data)
        self._content.update(data)
        self.end += len(data)

    def seal(self) -> str:
        """End it with its trailer, on the disk; the content's hash, by which remotes call it."""
        commits = self._commits
        if not self._brief:
            commits = [found for found in pack.scan(self._path, pack=self._id) if type(found) is pack.Commit]
        disk.append(self._file.fileno(), pack.build_trailer(self._id, self.end, self._content.digest(), commits, self._brief))
        disk.sync(self._file.fileno())
        return self._content.hexdigest()
