"""Blobs that nothing referred to when they were taken out of the packs, in a place where a writer that relied on them finds them.

`spec/format.md`, "Taking blobs out", is the contract: they are here, durably, before the last look at what refers to what, and a
writer looks here after it has written and before it acknowledges.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from . import disk, pack
from .errors import Damaged


class Condemned:
    """The packs in an archive's folder `condemned/`. One instance serves one store."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._names: tuple[str, ...] = ()  # of what `_heads` was read from
        self._heads = array("Q")  # the first 8 bytes of all digests, in order: a digest that has them may be there

    def look(self) -> bool:
        """Whether there are any now. One call of the system, where there are none."""
        try:
            names = tuple(sorted(name for name in os.listdir(self.folder) if pack.pack_id(Path(name))))
        except (FileNotFoundError, NotADirectoryError):  # none, or the archive is a bundle
            names = ()
        if names != self._names:
            heads = [_head(entry.digest) for name in names for entry in self._entries(name)]
            self._names, self._heads = names, array("Q", sorted(heads))
        return bool(names)

    def may_hold(self, digest: bytes) -> bool:
        """Whether a blob may be there, as far as `look` saw; never wrongly False."""
        head = _head(digest)
        at = bisect_left(self._heads, head)
        return at < len(self._heads) and self._heads[at] == head

    def find(self, digest: bytes) -> pack.Blob | None:
        """A blob, checked, that is there now. Raises Damaged."""
        if not self.look() or not self.may_hold(digest):
            return None
        for name in self._names:
            for entry in self._entries(name):
                if entry.digest == digest:
                    with open(self.folder / name, "rb") as file:
                        return pack.Blob(entry.kind, digest, pack.read(file, self.folder / name, entry), entry.key)
        return None

    def packs(self) -> list[Path]:
        """The packs that are there now."""
        return [self.folder / name for name in self._names] if self.look() else []

    def remove(self) -> None:
        """Take all of them away for good: nobody can have relied on them."""
        if self.folder.exists():
            disk.remove(list(self.folder.iterdir()))  # also what a crash left of one that was being written
            self.folder.rmdir()

    def _entries(self, name: str) -> Iterator[pack.Entry]:
        path = self.folder / name
        try:
            commits = pack.sealed_commits(path)
        except FileNotFoundError:
            return  # it was taken away meanwhile
        if commits is None:
            raise Damaged(str(path), "a pack without its trailer")
        for commit in commits:
            yield from commit.entries


def _head(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")
