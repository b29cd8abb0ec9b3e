"""The catalog: the tables of the index, filled from the packs of one folder and kept up with them."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import SpooledTemporaryFile

from . import pack
from .database import BROKEN, Database, Progress
from .errors import Damaged
from .filling import Filling
from .intake import Intake, Known, as_read
from .tables import TABLES, VERSION, Corrupt, checked, numbers_of, places, seal

__all__ = ["Catalog", "Progress"]

_STEP_NS = 2_000_000_000  # the coarsest clock of a file system that is met
_LOOK_S = 1.0
_DIGEST = 32  # bytes
_SPOOLED = 16 << 20  # bytes of digests that are kept in memory, and not in a temporary file
_MANY_GONE = 20_000  # blobs
_LOOKS = 5  # at a folder in which packs come and go


class Catalog(Database):
    """The tables that `intake` fills from the packs of one folder."""

    def _reset(self) -> None:
        super()._reset()
        self._compared: set[str] = set()  # packs that were found to be as they were read
        self._tails: dict[str, tuple] = {}  # what packs were when they were last read: a tail is not read at every query
        self._look: _Look | None = None  # at the packs when they were last found to be as they were read

    def lost_packs(self) -> dict[str, Iterator[bytes]]:
        """Packs that the file knows and that are gone, with the digests of the blobs they held, to be read once.

        They are those of the file as it is now, whatever is asked of the index before they are read.
        """
        if self.file is None or not self.file.exists():
            return {}
        kept, held = SpooledTemporaryFile(_SPOOLED), {}
        try:
            with closing(self._connect("ro")) as db:
                files = self._files()
                gone = {name: row for name, row in db.execute("SELECT name, id FROM packs") if name not in files}
                for name, row in gone.items():
                    start = kept.tell()
                    for (digest,) in db.execute("SELECT digest FROM blobs WHERE id >= ? AND id < ?", numbers_of(row)):
                        kept.write(digest)
                    held[name] = _digests_in(kept, start, kept.tell())
        except BROKEN:
            return {}  # `faults` says what is wrong with it
        return held

    def confirm(self, digest: bytes) -> None:
        """Make sure that a blob lies where the index says; if its packs say otherwise, build the index again."""

        def compare(db: sqlite3.Connection) -> None:
            for path, entry in places(db, self.packs, digest):
                if not _lists(path, entry):
                    raise Corrupt

        self.ask(compare)

    def refresh(self, progress: Progress | None = None) -> None:
        """Read what is new in the packs."""
        self.ask(lambda db: None, progress)

    def distrust(self, names: Iterable[str]) -> None:
        """Let no writer resume these packs, nor leave out what lies in them: they were found to be damaged."""

        def mark(db: sqlite3.Connection) -> None:
            with self._writing() as allowed:
                if not allowed and self._identity is not None:
                    return  # the file is another process's just now; the next verify will find it again
                with db:
                    for name, known in self._known().items():
                        if name in names and not known.damaged:
                            columns = known.id, known.size, known.hash, known.synced, known.boot, known.sealed, 1, known.origin
                            check = seal((name, *columns))
                            db.execute("UPDATE packs SET damaged = 1, seal = ? WHERE id = ?", (check, known.id))

        self.ask(mark)

    def rebuild(self, progress: Progress | None = None) -> None:
        """Read all packs again, into an index that then takes the place of the one there is."""
        with self._mutex:
            self.close()
            with self._writing(patience=-1) as allowed:
                self._begin(allowed)
                self.refresh(progress)

    # Catching up

    def _known(self) -> dict[str, Known]:
        sql = "SELECT name, id, size, hash, synced, boot, sealed, damaged, origin, seal FROM packs"
        return {name: Known(*columns) for name, *columns in map(checked, self._connection.execute(sql))}

    def _stamp(self, path: str) -> tuple[int, int]:
        """(size, time of the last write in ns) of a pack or of their folder.

        An index that is kept elsewhere belongs to packs on a network, as a rule. There a file is opened to be looked at: of one
        that is not the system tells what it remembers, seconds old.
        """
        return _stamp(path) if self._beside or os.name == "nt" else _stamp_opened(path)

    @cached_property
    def _beside(self) -> bool:
        """Whether the index lies beside the packs."""
        return self.file is not None and self.file.parent.parent == self.packs.parent

    def _changed(self) -> bool:
        """Whether packs have come, gone or grown, or (asked once of each) are otherwise than they were read."""
        if self._look is not None and self._look.holds(self.packs, self._tails):
            return False
        self._look = None
        began, folder = time.time_ns(), self._stamp(str(self.packs))
        known, files = self._known(), self._files()
        if files.keys() != known.keys():
            return True
        for name, found in known.items():
            if name not in self._compared:
                if not as_read(Path(files[name]), found):
                    return True
                self._compared.add(name)
            if not found.sealed:
                now = self._stamp(files[name])
                if now[0] != found.size and now != self._tails.get(name):
                    return True
        if began - folder[1] > _STEP_NS and os.name != "nt" and self._beside:  # by one clock
            tails = [(name, files[name], found.size) for name, found in known.items() if not found.sealed]
            self._look = _Look(time.monotonic(), folder, tails)
        return False

    def _files(self) -> dict[str, str]:
        try:
            with os.scandir(self.packs) as entries:
                return {entry.name: entry.path for entry in entries if pack.pack_id(Path(entry.name))}
        except FileNotFoundError:
            raise Damaged(str(self.packs), "the folder of the packs is missing") from None

    def _catch_up(self, progress: Progress | None) -> None:
        """Read all that packs hold beyond what the index knows. What others see of it is whole at every moment.

        New packs come first and those that are gone last: what was moved from these to those is never in neither.
        """
        if not self._empty and self._mostly_gone():
            self._begin(self._identity is not None)
        if self._empty:
            read = self._fill(progress)
            if self._files().keys() == read:
                return
        db, files = self._connection, self._files()
        for _ in range(_LOOKS):
            # Before reading: what comes meanwhile is for the next.
            stamps = {name: self._stamp(path) for name, path in files.items()}
            known, read = self._known(), _Progress(progress, stamps)
            for name in sorted(files, key=lambda name: (name in known, name)):
                self._take_in(Path(files[name]), known.get(name), stamps[name])
                read.step(name)
            seen, files = files.keys(), self._files()
            if files.keys() == seen:
                for name in known.keys() - seen:
                    with db:
                        Intake(db, self.packs).forget(known[name])
                break
        with db:
            Intake(db, self.packs).settle()

    def _mostly_gone(self) -> bool:
        """Whether most of what was read is gone, as after a repack: to read all packs anew is faster than to forget those.

        What a verify has found to be damaged is remembered in no other place: then they are forgotten one by one.
        """
        files, db, gone, held = self._files(), self._connection, 0, 0
        known = self._known()
        if not known.keys() - files.keys() or any(found.damaged for found in known.values()):
            return False
        for name, found in known.items():
            first, beyond = numbers_of(found.id)
            last = db.execute("SELECT max(id) FROM blobs WHERE id >= ? AND id < ?", (first, beyond)).fetchone()[0]
            number = 0 if last is None else last - first + 1
            gone, held = (gone, held + number) if name in files else (gone + number, held)
        return gone > _MANY_GONE and gone > held

    def _fill(self, progress: Progress | None) -> Set[str]:
        """Fill empty tables from all packs, in one transaction. The names of those that there were."""
        db, files = self._connection, self._files()
        stamps = {name: self._stamp(path) for name, path in files.items()}
        read = _Progress(progress, stamps)
        try:
            with db:
                db.execute("BEGIN")
                for sql in TABLES.split(";"):
                    db.execute(sql)
                db.executemany("INSERT INTO meta VALUES (?, ?)", [("version", VERSION), ("archive", self.archive)])
                filling, there = Filling(db, self.packs), files
                for _ in range(_LOOKS):
                    filling.read_packs({name: stamps[name][0] for name in there}, read.step)
                    there = {name: path for name, path in self._files().items() if name not in stamps}
                    if not there:
                        break
                    # What was moved from a pack that was gone before it was read is in one that has come.
                    files |= there
                    stamps |= {name: self._stamp(path) for name, path in there.items()}
                filling.finish()
                Intake(db, self.packs).settle()
        except BaseException:
            self._drop()  # what is half filled is of no use
            raise
        self._empty = False
        if self._coming is not None:
            self._replace()
            if self._empty:
                return self._fill(progress)
        self._compared, self._tails = set(stamps), stamps
        return files.keys()

    def _take_in(self, path: Path, known: Known | None, stamp: tuple[int, int]) -> None:
        """Bring in, in one transaction, what a pack holds beyond what is known of it."""
        compared, size = path.name in self._compared, stamp[0]
        if not (known and compared and known.size == size):
            try:
                with self._connection as db:
                    intake = Intake(db, self.packs)
                    if known and (not as_read(path, known, compared) or (known.damaged and known.size != size)):
                        intake.forget(known)
                        known = None
                    if known is None or (not known.sealed and known.size != size):
                        intake.read(path, known)
                    intake.fold()
            except FileNotFoundError:
                return  # removed since the folder was listed, which is looked at again
        self._compared.add(path.name)
        self._tails[path.name] = stamp


@dataclass(frozen=True, slots=True)
class _Look:
    """The packs as they were when the index had read all of them.

    A folder in which a name comes or goes has another time of change, unless that happened within one step of the file
    system's clock: then there is no such look. All packs are looked at again every second, whatever the folder says.
    """

    at: float
    folder: tuple[int, int]
    tails: list[tuple[str, str, int]]  # name, path and size of each pack that can grow

    def holds(self, packs: Path, read: dict[str, tuple]) -> bool:
        """Whether that is still so."""
        if time.monotonic() - self.at > _LOOK_S or _stamp(packs) != self.folder:
            return False
        for name, path, size in self.tails:
            now = _stamp(path)
            if now[0] != size and now != read.get(name):
                return False
        return True


def _digests_in(file: SpooledTemporaryFile, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _DIGEST):
        file.seek(at)
        yield file.read(_DIGEST)


class _Progress:
    """Tells how many bytes of the packs have been read."""

    def __init__(self, tell: Progress | None, stamps: dict[str, tuple[int, int]]):
        self._tell, self._stamps = tell, stamps
        self._done = 0

    def step(self, name: str) -> None:
        self._done += self._stamps[name][0]
        if self._tell:
            self._tell(self._done, sum(size for size, _ in self._stamps.values()))


def _lists(path: Path, entry: pack.Entry) -> bool:
    """Whether a pack's own directories list a blob at this place. A pack that is gone is no contradiction."""
    try:
        commits = pack.sealed_commits(path) or pack.scan(path)
        return any(
            found._replace(key=None) == entry for commit in commits if type(commit) is pack.Commit for found in commit.entries
        )
    except FileNotFoundError:
        return True


def _stamp(path: str) -> tuple[int, int]:
    """(size, time of the last write in ns) of a pack."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _stamp_opened(path: str) -> tuple[int, int]:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0, 0
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return found.st_size, found.st_mtime_ns
