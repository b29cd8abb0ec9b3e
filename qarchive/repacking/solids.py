"""Solid packs: blobs of one kind and one device share frames, which compress better than each blob by itself."""

import secrets
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import zstandard

from .. import disk, pack
from ..solid import COMMIT_BLOBS, COMMIT_SIZE, Writer
from ..workers import cores

COMING = f"repack-*{pack.COMING}"  # what files are called that are not packs yet
FRAME_SIZE = 1 << 19  # raw bytes; twice as much is 1 % smaller, and takes twice as long to read one blob
LEVEL = 12  # of zstd
_REPETITIVE = 4  # how often what repeats itself becomes smaller: more than such a search finds in it is not found by the other
_BUFFERED_MAX = 96 << 20  # raw bytes that wait for more of their kind and device


class Compressor:
    """zstd twice, where that pays: what hardly repeats itself, as shots do, becomes 3 % smaller by the strategy that weighs
    each choice; what does is done sooner, and becomes smaller, by the one that looks further."""

    def __init__(self):
        weighing = zstandard.ZstdCompressionParameters.from_level(
            LEVEL, source_size=FRAME_SIZE, strategy=zstandard.STRATEGY_BTOPT, min_match=5, search_log=3, target_length=48,
            write_checksum=True,
        )  # fmt: skip
        self._looking = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._weighing = zstandard.ZstdCompressor(compression_params=weighing)

    def compress(self, data: bytes) -> bytes:
        """The shorter of two frames, or the first where it is short."""
        found = self._looking.compress(data)
        return found if len(found) * _REPETITIVE < len(data) else min(found, self._weighing.compress(data), key=len)


class Solids:
    """Packs that are being written; each is in its place, durable, when it is full or at `finish`.

    With `first` each begins with that blob: it came from elsewhere. A context: what was not finished is taken away.
    """

    def __init__(self, folder: Path, first: pack.Blob | None = None):
        self.written: list[Path] = []
        self._folder, self._first = folder, first
        self._buffers: dict[tuple[bool, str, int], list[pack.Blob]] = {}
        self._sizes: dict[tuple[bool, str, int], int] = {}
        self._buffered = 0
        self._frames: list[tuple[bool, Future]] = []  # of the next commit: (of records, what is being compressed)
        self._pending_size = self._pending_blobs = 0
        self._writer: Writer | None = None
        self._blobs = 0  # in the pack
        self._pool = ThreadPoolExecutor(cores())
        self._local = threading.local()

    def __enter__(self) -> "Solids":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        if self._writer is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)

    def add(self, blob: pack.Blob, device: int) -> None:
        """Raises OSError."""
        key = blob.kind == pack.RECORD, blob.kind, device
        size = self._sizes.get(key, 0)
        if size and size + len(blob.data) > FRAME_SIZE:
            self._compress(self._take(key))
            size = 0
        self._buffers.setdefault(key, []).append(blob)
        self._sizes[key] = size + len(blob.data)
        self._buffered += len(blob.data)
        if self._buffered > _BUFFERED_MAX:
            self._compress(self._take(max(self._sizes, key=self._sizes.get)))

    def finish(self) -> None:
        """Write what waits, seal the pack and put it in its place. Raises OSError."""
        waiting: list[pack.Blob] = []
        size = 0
        for key in sorted(self._buffers):
            for blob in self._take(key):  # those of several devices share the last frames of a kind
                if waiting and (waiting[0].kind != blob.kind or size + len(blob.data) > FRAME_SIZE):
                    self._compress(waiting)
                    waiting, size = [], 0
                waiting.append(blob)
                size += len(blob.data)
        if waiting:
            self._compress(waiting)
        self._commit()
        self._seal()

    def _take(self, key: tuple[bool, str, int]) -> list[pack.Blob]:
        self._buffered -= self._sizes.pop(key, 0)
        return self._buffers.pop(key, [])

    def _compress(self, blobs: list[pack.Blob]) -> None:
        size = sum(len(blob.data) for blob in blobs)
        if self._pending_blobs and (self._pending_size + size > COMMIT_SIZE or self._pending_blobs + len(blobs) > COMMIT_BLOBS):
            self._commit()
        self._frames.append((blobs[0].kind == pack.RECORD, self._pool.submit(self._frame, blobs)))
        self._pending_size += size
        self._pending_blobs += len(blobs)

    def _frame(self, blobs: list[pack.Blob]) -> pack.Frame:
        if not hasattr(self._local, "compressor"):
            self._local.compressor = Compressor()
        return pack.frame(blobs, self._local.compressor)

    def _commit(self) -> None:
        if not self._frames:
            return
        if self._writer is None:
            self._begin()
        frames = [future.result() for of_records, future in sorted(self._frames, key=lambda each: each[0])]
        self._writer.add_frames(frames)
        self._blobs += self._pending_blobs
        self._frames, self._pending_size, self._pending_blobs = [], 0, 0
        if self._writer.end >= pack.SEAL_SIZE or self._blobs >= pack.SEAL_BLOBS:
            self._seal()

    def _begin(self) -> None:
        name = secrets.token_bytes(16)
        self._target = self._folder / f"{name.hex()}.pack"
        self._temporary = self._folder / COMING.replace("*", name.hex())
        self._file = open(disk.create(self._temporary), "wb")
        self._writer, self._blobs = Writer(self._file, self._temporary, name), 0
        if self._first is not None:
            self._writer.add([self._first])

    def _seal(self) -> None:
        if self._writer is None:
            return
        self._writer.seal()
        self._file.close()
        self._writer = None
        disk.rename(self._temporary, self._target)
        self.written.append(self._target)


def remove_leftovers(folder: Path) -> None:
    """Take away what a crash left of packs that were being written."""
    for path in folder.glob(COMING):
        path.unlink(missing_ok=True)


def write(folder: Path, blobs: Iterable[tuple[pack.Blob, int]]) -> list[Path]:
    """Solid packs with these blobs, each with the number of its device, durable and in place. Raises OSError."""
    disk.make_folders(folder)
    with Solids(folder) as solids:
        for blob, device in blobs:
            solids.add(blob, device)
        solids.finish()
    return solids.written
