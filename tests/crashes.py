"""A model of power cuts: the calls that a store makes to the disk are recorded, and disks rebuilt as a crash may leave them.

What was synced stays. Anything else may be gone, cut off at any byte, or zeros or garbage a page at a time; a file whose
folder was not synced may have no name; and the index may be older than the packs, or newer than what is left of them.
"""

import errno
import itertools
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import building

from qarchive import check, disk, lease, pack, records
from qarchive.archive import Archive
from qarchive.errors import Damaged, QArchiveError
from qarchive.index import Query
from qarchive.repacking import repack
from qarchive.store import Store
from qarchive.values import Link


@dataclass
class File:
    """A file on a disk: what was synced, what was written, and whether its name was synced.

    `doomed` are places where a sync failed: the system forgets what it could not write, and a later sync does not bring it.
    `removed` says that it was taken away, which the folder's sync has not made certain.
    """

    durable: bytes = b""
    current: bytes = b""
    named: bool = False
    doomed: list[tuple[int, int]] = field(default_factory=list)
    removed: bool = False

    def sync(self) -> None:
        content = bytearray(self.current)
        for begin, end in self.doomed:
            content[begin:end] = bytes(len(content[begin:end]))
        self.durable = bytes(content)

    def cut_doom(self, offset: int) -> None:
        """What stands from `offset` on is gone, or written again."""
        self.doomed = [(begin, min(end, offset)) for begin, end in self.doomed if begin < offset]

    @property
    def safe(self) -> int:
        """Bytes at its start that no crash can change."""
        end = min(len(self.durable), len(self.current))
        return (
            next((at for at in range(end) if self.durable[at] != self.current[at]), end)
            if self.durable[:end] != self.current[:end]
            else end
        )

    def crashed(self, chance: random.Random) -> bytes | None:
        """Its content after a power cut; None where it is gone."""
        if (not self.named or self.removed) and chance.random() < 0.5:
            return None
        how = chance.choice(("dropped", "kept", "torn", "pages", "pages"))
        if how == "dropped":
            return self.durable
        if how == "kept":
            return self.current
        content = bytearray(self.current)
        safe = self.safe
        if how == "torn" or chance.random() < 0.3:
            del content[chance.randint(safe, len(content)) :]
        if how == "pages":
            page, often = chance.choice((64, 512, 4096)), chance.choice((0.03, 0.2, 0.6))
            for start in range(safe - safe % page, len(content), page):
                begin, end = max(start, safe), min(start + page, len(content))
                fate = chance.choice(("zeros", "garbage", "old")) if chance.random() < often else "kept"
                if fate == "zeros":
                    content[begin:end] = bytes(end - begin)
                elif fate == "garbage":
                    content[begin:end] = chance.randbytes(end - begin)
                elif fate == "old":
                    content[begin:end] = self.durable[begin:end].ljust(end - begin, b"\0")
        return bytes(content)


@dataclass
class Log:
    """Everything that reached the disk, in order, with the promises made in between, and copies of the index."""

    root: Path
    start: dict[str, bytes]  # files as they were, all of them durable
    events: list[tuple] = field(default_factory=list)
    indexes: list[tuple[int, bytes]] = field(default_factory=list)
    promised: list[building.Built] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    @property
    def kept(self) -> list[building.Built]:
        """The jobs that survive a power cut now."""
        return self.replay(len(self.events))[1]

    def promise(self, jobs: list[building.Built]) -> None:
        """From here on these jobs survive a power cut."""
        self.events.append(("promise", list(jobs)))

    def keep_index(self) -> None:
        file = self.root / "index" / "index.sqlite"
        if file.exists():
            with closing(sqlite3.connect(file)) as db:
                self.indexes.append((len(self.events), db.serialize()))

    def replay(self, end: int) -> tuple[dict[str, File], list[building.Built], list[bytes]]:
        """(files, promised jobs, removed ones) after the first `end` events; a job that is just being removed is neither."""
        files = {name: File(content, content, True) for name, content in self.start.items()}
        promised, removed, going = list(self.promised), list(self.removed), set(self.removed)
        for what, *about in self.events[:end]:
            if what == "promise":
                promised += [job for job in about[0] if job.id not in going]
                continue
            if what in ("removing", "removal"):
                going |= set(about[0])
                promised = [job for job in promised if job.id not in going]
                removed += about[0] if what == "removal" else []
                continue
            name = about[0]
            if what == "folder":
                for other, file in files.items():
                    if str(Path(other).parent) == name:
                        file.named = True
                files = {other: file for other, file in files.items() if not file.removed or str(Path(other).parent) != name}
            elif what == "create":
                files[name] = File()
            elif what == "rename":
                files[about[1]] = files.pop(name)
                files[about[1]].named = True
            elif what == "remove":
                files[name].removed = True
            elif what == "replace":
                files[name] = File(about[1], about[1], True)
            else:
                file = files[name]
                if what == "write":
                    offset, data = about[1:]
                    file.cut_doom(offset)
                    file.current = file.current[:offset].ljust(offset, b"\0") + data + file.current[offset + len(data) :]
                elif what == "truncate":
                    file.current = file.current[: about[1]]
                    file.cut_doom(about[1])
                elif what == "sync":
                    file.sync()
                elif what == "failed":
                    file.doomed.append((file.safe, len(file.current)))
        return files, promised, removed

    def crash(self, end: int, target: Path, chance: random.Random) -> tuple[list[building.Built], list[bytes], dict[str, int]]:
        """Build the archive that a power cut after `end` events leaves. (promised, removed jobs, safe bytes of each pack)."""
        files, promised, removed = self.replay(end)
        for folder in ("packs", "locks"):
            (target / folder).mkdir(parents=True)
        for name, file in files.items():
            content = file.crashed(chance)
            if content is not None:
                (target / name).parent.mkdir(exist_ok=True)
                (target / name).write_bytes(content)
        older = [content for at, content in self.indexes if at <= end]
        if older and chance.random() < 0.7:
            (target / "index").mkdir()
            (target / "index" / "index.sqlite").write_bytes(older[-1] if chance.random() < 0.7 else chance.choice(older))
        return promised, removed, {Path(name).name: file.safe if file.named else 0 for name, file in files.items()}


class Recorder:
    """Wraps the calls of `disk` so that they are written into `log`."""

    def __init__(self, log: Log, monkeypatch):
        self.log = log
        self._names: dict[tuple[int, int], str] = {}
        self._inside = 0
        self.failing = False  # whether the next sync fails
        for path in (log.root / "packs").iterdir():
            found = path.stat()
            self._names[found.st_dev, found.st_ino] = log.name(path)
        for name in ("append", "sync", "sync_folder", "create", "truncate", "replace", "rename"):
            monkeypatch.setattr(disk, name, self._wrapped(getattr(self, name), getattr(disk, name)))
        monkeypatch.setattr(disk, "remove", self.remove)

    def _wrapped(self, record, call):
        def wrapper(*args):
            outermost, self._inside = not self._inside, self._inside + 1
            try:
                before = os.fstat(args[0]).st_size if outermost and type(args[0]) is int else None
                if outermost and self.failing and call.__name__ == "sync":
                    self.failing = False
                    self.log.events.append(("failed", self._name(args[0])))
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                result = call(*args)
            finally:
                self._inside -= 1
            if outermost:
                self.log.events.append(record(args, result, before))
            return result

        return wrapper

    def _name(self, fd: int) -> str:
        found = os.fstat(fd)
        return self._names[found.st_dev, found.st_ino]

    def append(self, args, result, before):
        return "write", self._name(args[0]), before, bytes(args[1])

    def sync(self, args, result, before):
        return "sync", self._name(args[0])

    def sync_folder(self, args, result, before):
        return "folder", self.log.name(args[0])

    def create(self, args, result, before):
        found = os.fstat(result)
        self._names[found.st_dev, found.st_ino] = self.log.name(args[0])
        return "create", self.log.name(args[0])

    def truncate(self, args, result, before):
        return "truncate", self._name(args[0]), args[1]

    def replace(self, args, result, before):
        return "replace", self.log.name(args[0]), args[1]

    def rename(self, args, result, before):
        found = os.stat(args[1])
        self._names[found.st_dev, found.st_ino] = self.log.name(args[1])
        return "rename", self.log.name(args[0]), self.log.name(args[1])

    def remove(self, paths):
        folders = set()
        for path in paths:
            if path.exists():
                path.unlink()
                self.log.events.append(("remove", self.log.name(path)))
                folders.add(path.parent)
        self.log.events += [("folder", self.log.name(folder)) for folder in folders]


def start(root: Path) -> Log:
    """A log that begins with what stands in an archive."""
    return Log(root, {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
                      if path.is_file() and path.relative_to(root).parts[0] not in ("index", "locks")})  # fmt: skip


# How often each thing happens: a durable commit, one that shares a sync, a flush, a pack handed back, a process killed, one
# killed in the middle of a write, a sync that fails, a look that brings the index up to date, a job removed, a repack, a bundle
# taken in.
_DEEDS = ("durable", "soft", "flush", "close", "killed", "cut off", "failing", "look", "remove", "repack", "gc", "import")
HABITS = ((8, 8, 3, 2, 1, 1, 1, 3, 1, 1, 0, 1), (2, 12, 1, 1, 2, 1, 1, 6, 0, 0, 0, 0), (3, 6, 0, 0, 4, 0, 4, 1, 0, 0, 0, 0),
          (6, 4, 1, 1, 1, 1, 0, 2, 4, 2, 2, 2))  # fmt: skip


def work(log: Log, chance: random.Random, monkeypatch, steps: int, writers: int, habits: tuple[int, ...]) -> None:
    """Several writers take turns, as separate processes would."""
    jobs = [building.build(number) for number in range(3)] if habits[_DEEDS.index("import")] else []
    theirs = [(job, building.bundled(log.root.with_name(f"{log.root.name}-theirs"), job)) for job in jobs]
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_sync_soon", lambda self: None)  # flushes come where this function says so
        recorder = Recorder(log, patch)
        stores = [Store.open(log.root) for _ in range(writers)]
        waiting: list[list[building.Built]] = [[] for _ in stores]
        for _ in range(steps):
            number = chance.randrange(writers)
            store, pending = stores[number], waiting[number]
            deed = chance.choices(_DEEDS, habits)[0]
            if deed in ("durable", "soft", "failing"):
                job = building.build(chance.randrange(8), size=chance.choice((60, 60, 600, 6000)))
                recorder.failing = deed == "failing"
                store.commit(job.blobs, durable=deed != "soft")
                recorder.failing = False
                pending.append(job)
                if deed != "soft":
                    log.promise([job])
            elif deed == "flush":
                store.flush()
                log.promise(pending)
            elif deed == "close":
                store.close()
                log.promise(pending)
            elif deed == "look":
                store.index.refresh()
                log.keep_index()
            elif deed == "remove" and (kept := log.kept):
                job = chance.choice(kept)
                log.events.append(("removing", [job.id]))
                removal = building.blob(pack.RECORD, records.removal_record(job=Link(job.id)))
                store.commit([removal], durable=True)
                log.events.append(("removal", [job.id]))
            elif deed in ("repack", "gc"):
                store.close()
                log.promise(pending)
                pending.clear()
                try:
                    repack(store, gc=deed == "gc")
                except Damaged:
                    pass  # it says so, and leaves everything as it is
            elif deed == "import" and theirs:
                job, bundle = theirs.pop()
                Archive(store).import_(bundle)
                log.promise([job])
            elif deed in ("killed", "cut off"):
                if store._lease is not None:
                    store._lease.release()
                store._reset()
                store.index.close()
                pending.clear()
                if deed == "cut off":
                    _cut_off(store, chance)
        log.keep_index()
        for store in stores:
            store.close()


def _cut_off(store: Store, chance: random.Random) -> None:
    """Another process wrote a part of a commit and was killed."""
    store.index.refresh()
    found = lease.acquire(store.packs, store.locks, store.quarantine, store.index.open_packs(), shared=True)
    data = pack.build(pack.pack_id(found.path), found.end, found.synced, building.build(0).blobs, found._compressor)
    disk.append(found._fd, data[: chance.randrange(1, len(data))])
    found.end += not found.end  # a new pack stays, too
    found.release()


def faults(root: Path, promised: list[building.Built], removed: list[bytes], safe: dict[str, int]) -> Iterator[str]:
    """What is wrong with an archive after a crash, in words that begin with its kind."""
    store = Store.open(root)
    try:
        yield from (f"lost: {line}" for line in building.lacking(store, promised))
        yield from (f"dangling: {line}" for line in building.dangling(store))
        for finding in check.verify(store, deep=True).findings:
            where, _, offset = finding.where.partition(" at byte ")
            beyond = offset and int(offset) >= safe.get(Path(where).name, 0)
            no_commit = offset and Path(where).read_bytes()[int(offset) :].startswith(pack.TRAILER)  # a seal that a crash cut off
            if not (finding.kind == "withheld" or (finding.kind in ("tail", "damage") and (beyond or no_commit))):
                yield f"verify: {finding.kind} {finding.where}: {finding.detail}"
        before = building.listed(store)
        if set(before) & set(removed):
            yield "back: a job is listed that was removed"
        job = building.build(1)
        store.commit(job.blobs, durable=True)
        store.close()
        again = Store.open(root)
        yield from (f"lost after the next commit: {line}" for line in building.lacking(again, [*promised, job]))
        if set(before) - set(building.listed(again)):
            yield "lost after the next commit: a job that was listed"
        if len(set(before)) < len(before) or again.index.count(Query()) != len(before) + 1:
            yield "doubled: a job is listed twice"
        try:
            repack(again)
        except Damaged:
            pass  # what it refers to cannot be told: `repair` comes first
        else:
            yield from (f"lost after a repack: {line}" for line in building.lacking(again, [*promised, job]))
            yield from (f"dangling after a repack: {line}" for line in building.dangling(again))
            if set(building.listed(again)) != {*before, job.id}:
                yield "after a repack other jobs are listed"
        again.close()
    except QArchiveError as error:
        yield f"raised: {error!r}"
    finally:
        store.close()


def torture(folder: Path, monkeypatch, seed: int, points: int, steps: int = 40, generations: int = 2,
            habits: tuple[int, ...] | None = None) -> list[str]:  # fmt: skip
    """Faults found at `points` crashes of one session of work; some archives go on from there, and crash again."""
    chance, boots = random.Random(seed), itertools.count()
    monkeypatch.setattr(disk, "boot", lambda: f"boot {boots}")
    habits = habits or chance.choice(HABITS)
    root = folder / f"session-{seed}"
    Store.create(root).close()
    log = start(root)
    work(log, chance, monkeypatch, steps, chance.choice((1, 2, 3)), habits)
    found = []
    for point in range(points):
        end = chance.randrange(len(log.events) + 1)
        target = folder / f"crash-{seed}"
        promised, removed, safe = log.crash(end, target, chance)
        next(boots)
        if generations > 1 and chance.random() < 0.2:
            second = start(target)
            second.promised, second.removed = promised, removed
            work(second, chance, monkeypatch, 8, 2, habits)
            end = chance.randrange(len(second.events) + 1)
            again = folder / f"crash-{seed}-again"
            promised, removed, later = second.crash(end, again, chance)
            next(boots)
            # What the first crash left torn or garbled is durable now, and still no commit.
            safe = {name: min(size, safe.get(name, size)) for name, size in later.items()}
            shutil.rmtree(target)
            target = again
        found += [f"seed {seed}, crash {point} after event {end}: {fault}" for fault in faults(target, promised, removed, safe)]
        shutil.rmtree(target)
    shutil.rmtree(root)
    return found
