"""Where the index says that the blobs of a pack lie, and what records are about, held against the pack while it is read."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from ..database import BROKEN
from ..tables import numbers_of

_ROWS = 4096  # compared at once
_SQL = ("SELECT digest, frame, start, stored, raw, length, kind, key, job FROM blobs "
        "WHERE id >= ? AND id < ? AND frame >= ? ORDER BY id")  # fmt: skip


class Places:
    """The rows of one pack's blobs, in the order of the pack. What the index has not read yet is passed over."""

    def __init__(self, index: Path, path: Path):
        self.placed: int | None = None  # blobs that lie where the index says; None where any of them does not
        self.upto = 0  # the byte up to which commits were compared
        self._many = 0
        self._waiting: list[tuple] = []
        self._found: sqlite3.Cursor | None = None
        self._right = False
        self._db: sqlite3.Connection | None = None
        try:
            self._db = sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)
            self._db.execute("BEGIN")
            row = self._db.execute("SELECT id, size FROM packs WHERE name = ?", (path.name,)).fetchone()
            if row is not None:
                (self._pack, self._size), self._right = row, True
        except BROKEN:
            pass

    def compare(self, offset: int, length: int, rows: Iterable[tuple]) -> None:
        """Take the rows that the index should have of the next commit, which stands at byte `offset`."""
        if not self._right or offset + length > self._size:
            return
        self._waiting += rows
        self.upto = offset + length
        if self._found is None:
            self._first = offset
        if len(self._waiting) >= _ROWS or self._found is None:
            self._hold()

    def _hold(self) -> None:
        try:
            if self._found is None:
                self._found = self._db.execute(_SQL, (*numbers_of(self._pack), self._first))
            self._right = self._found.fetchmany(len(self._waiting)) == self._waiting
        except BROKEN:
            self._right = False
        self._many += len(self._waiting)
        self._waiting = []

    def end(self) -> None:
        """All that is to be compared has been."""
        if self._right and self._waiting:
            self._hold()
        self.placed = self._many if self._right else None

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
