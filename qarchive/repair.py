"""Repair: damaged packs are written anew with all that is good in them and all that can be had elsewhere, byte for byte.

What is written anew is durable and in its place before the damaged file is moved to `quarantine/`; so a run may end anywhere, and
the next one goes on. Nothing is taken in that this archive did not list or refer to.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from . import check, codec, disk, lease, pack
from .catalog import Progress
from .checking import workers
from .checking.digests import Digests, beginning
from .copies import Copies, opened
from .errors import Damaged, NewerFormat, NotCanonical
from .intake import read_all
from .locks import replacing
from .pack import Blob, Entry
from .solid import COMMIT_BLOBS, COMMIT_SIZE, Writer
from .store import Store
from .tables import numbers_of

COMING = f"repair-*{pack.COMING}"  # what files are called that are not packs yet


@dataclass
class Repaired:
    """What a repair did, or would do.

    `packs` are the damaged ones that were written anew, and `left` those that were not, with the reason. Of their blobs `kept`
    were good; `restored` are blobs that were damaged or missing, `lost` the digests of those that could be had nowhere and `jobs`
    the ids of the jobs and groups that lack them.
    """

    packs: list[str] = field(default_factory=list)
    kept: int = 0
    restored: int = 0
    lost: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def damaged(self) -> bool:
        """Whether something stays damaged or missing."""
        return bool(self.lost or self.left)


def repair(store: Store, sources: Sequence[Path] = (), dry_run: bool = False, progress: Progress | None = None) -> Repaired:
    """Write damaged packs anew, with what the `sources` (archives, bundles) have of what is damaged or missing.

    Safe beside readers and writers. Raises BadInput, NoArchive, Damaged for a bundle that is damaged, NewerFormat, CannotWrite.
    """
    store.must_be_writable()
    with ExitStack() as held:
        copies = held.enter_context(opened(store, sources))
        store.close()
        try:
            if not dry_run:
                held.enter_context(replacing(store.path))
                disk.remove(store.packs.glob(COMING))
            return _Repair(store, copies, dry_run).run(progress)
        except OSError as error:
            raise disk.cannot_write(store.packs, error) from error


class _Repair:
    def __init__(self, store: Store, copies: Copies, dry_run: bool):
        self.store, self.copies, self.dry_run = store, copies, dry_run
        self.done = Repaired()
        self.held, self.links = Digests(), Digests()
        self.damaged: set[Path] = set()
        self.lost: set[bytes] = set()
        self.new: set[bytes] = set()  # what restored blobs link to

    def run(self, progress: Progress | None) -> Repaired:
        sizes = {path: path.stat().st_size for path in sorted(self.store.packs.iterdir()) if pack.pack_id(path)}
        read = 0
        for path, part in workers.check(sizes, True):
            if part is None:
                continue
            self.held.add(part.blobs)
            self.links.add(part.links)
            if any(kind == "damage" for kind, _, _ in part.findings):
                self.damaged.add(path)
            read += sizes[path]
            if progress:
                progress(read, sum(sizes.values()))
        remembered = self._remembered({path.name for path in self.damaged}, {path.name for path in sizes})
        for path in sorted(self.damaged):
            self._renew(path, remembered.pop(path.name, []))
        self._bring(digest for digests in remembered.values() for digest in digests)
        self.done.lost = sorted(digest.hex() for digest in self.lost)
        if self.lost:
            self.done.jobs = sorted(job.hex() for job in self._lacking())
        if not self.dry_run:
            self.store.index.refresh()
        return self.done

    def _remembered(self, damaged: set[str], there: set[str]) -> dict[str, list[bytes]]:
        """By the names of packs that are damaged or gone: what the index has read there and no pack holds. Asked of its file as
        it is: an index that catches up forgets."""
        file = self.store.index.file
        if file is None or not file.exists():
            return {}
        found = {}
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
                for name, row in db.execute("SELECT name, id FROM packs").fetchall():
                    if name in damaged or name not in there:
                        digests = db.execute("SELECT digest FROM blobs WHERE id >= ? AND id < ?", numbers_of(row))
                        found[name] = [digest for (digest,) in digests if digest not in self.held]
        except (sqlite3.Error, UnicodeDecodeError):
            return {}
        return found

    # Damaged packs

    def _renew(self, path: Path, remembered: list[bytes]) -> None:
        """Write one pack anew, unless somebody writes to it. `remembered` is what the index knows to have been in it."""
        with ExitStack() as held:
            if pack.read_seal(path) is None:
                if not self.store.shared:
                    self.done.left[path.name] = "whether somebody writes to it cannot be seen from here"
                    return
                lock = FileLock(self.store.locks / f"{path.name}.lock", thread_local=False, fallback_to_soft=False)
                try:
                    held.enter_context(lock.acquire(blocking=False))
                except Timeout:
                    self.done.left[path.name] = "a process writes to it; repair it when that has ended"
                    return
            self._renew_held(path, remembered)

    def _renew_held(self, path: Path, remembered: list[bytes]) -> None:
        listed, first = _listed(path)
        for digest in remembered:
            places = (entry for where, entry in self.store.index.places(digest) if where == path)
            listed.update((digest, entry) for entry in places if digest not in listed)
        foreign = self._foreign(path, listed, first)
        good, bad = set(), {}
        with open(path, "rb") as file:
            for entry, data in read_all(file, path, listed.values()):
                if isinstance(data, Damaged):
                    bad[entry.digest] = self.copies.find(entry.digest) is not None
                else:
                    good.add(entry.digest)
        withheld = {digest for digest, _ in self.store.index.withheld()}
        if not all(self.copies.whole(digest) for digest in good & withheld):
            reason = "it holds records that a power cut left without what they refer to, which nobody has"
            self.done.left[path.name] = reason
            return
        if first is not None and first.digest in bad:
            del bad[first.digest]  # another one stands in its place
            listed.pop(first.digest)
        restored = {digest for digest, there in bad.items() if there}
        if not self.dry_run:
            self._write_anew(path, listed, good | restored, foreign)
        self.done.packs.append(path.name)
        self.done.kept += len(good)
        self.done.restored += len(restored)
        self.lost |= bad.keys() - restored
        self.held.add(b"".join(good | restored))
        for digest in restored:
            self._follow(self.copies.find(digest).data)

    def _write_anew(self, path: Path, listed: dict[bytes, Entry], wanted: set[bytes], first: Blob | None) -> None:
        """A new pack with these blobs, in their order, and the old one in quarantine. Of the same blobs it is the same pack: one
        that an interrupted run has written is not written again."""
        wanted = wanted - ({first.digest} if first else set())
        name = codec.digest(b"repair" + pack.pack_id(path) + b"".join(sorted(wanted)))[:16]
        there = self.store.packs / f"{name.hex()}.pack"
        if there in self.damaged:
            name = secrets.token_bytes(16)
        if wanted and (there in self.damaged or not there.exists()):
            with _Written(self.store.packs, first, name) as written, open(path, "rb") as file:
                for entry, data in read_all(file, path, [entry for entry in listed.values() if entry.digest in wanted]):
                    found = self.copies.find(entry.digest).data if isinstance(data, Damaged) else data
                    written.add(Blob(entry.kind, entry.digest, found, entry.key))
                written.finish()
        disk.make_folders(self.store.quarantine)
        target = self.store.quarantine / path.name
        os.rename(path, target if not target.exists() else target.with_stem(f"{path.stem}-{secrets.token_hex(4)}"))
        disk.sync_folder(self.store.quarantine)
        disk.remove([path.with_suffix(lease.ABANDONED)])

    def _foreign(self, path: Path, listed: dict[bytes, Entry], first: Entry | None) -> Blob | None:
        """The first blob of the new pack where the old one came from elsewhere. One that cannot be read is replaced by one that
        says nothing: what strangers wrote does not become our own."""
        if first is None:
            origins = self.store.index.column("SELECT origin FROM packs WHERE name = ?", path.name, stale=True)
            if origins == [None] or (not origins and not _is_brief(path)):
                return None
        elif first.kind != pack.BUNDLE:
            return None
        if first is not None:
            with open(path, "rb") as file:
                [(_, data)] = read_all(file, path, [first])
            if not isinstance(data, Damaged):
                return Blob(pack.BUNDLE, first.digest, data)
        return _manifest("")

    # What is missing

    def _bring(self, gone: Iterable[bytes]) -> None:
        """Restore what a pack held that is gone, and what is referred to, down to the last link, into packs of their own."""
        withheld = {digest for digest, _ in self.store.index.withheld()} if self.lost or self.done.packs else set()
        packs = sorted(path for path in self.store.packs.iterdir() if pack.pack_id(path))
        missing = check.referrers(self.store, packs, self.links.without(self.held), True, withheld)
        pending = {digest for digest in (*gone, *missing, *self.new) if digest not in self.held} - self.lost
        with ExitStack() as opened:
            written: dict[str | None, _Written] = {}
            while pending:
                digest = min(pending)
                pending.discard(digest)
                blob, origin = self.copies.find_unlisted(digest)
                if blob is None:
                    self.lost.add(digest)
                    continue
                self.done.restored += 1
                self.held.add(digest)
                self._follow(blob.data)
                pending |= {each for each in self.new if each not in self.held} - self.lost
                if not self.dry_run:
                    if origin not in written:
                        first = None if origin is None else _manifest(origin)
                        written[origin] = opened.enter_context(_Written(self.store.packs, first))
                    written[origin].add(blob)
            for each in written.values():
                each.finish()

    def _follow(self, data: bytes) -> None:
        try:
            self.new.update(codec.decode_linked(data)[1])
        except (NotCanonical, NewerFormat):
            pass  # verify says so

    def _lacking(self) -> set[bytes]:
        """The jobs and groups that lack what is lost: those whose records link to it, over any number of links."""
        jobs = set(self.store.index.subjects(self.lost).values())
        packs = sorted(path for path in self.store.packs.iterdir() if pack.pack_id(path))
        seen, pending = set(self.lost), {beginning(digest) for digest in self.lost}
        while pending:
            above = set()
            for path in packs:
                for entry, data in _readable(path):
                    if entry.digest not in seen and any(beginning(each) in pending for each in codec.mentioned(data)):
                        seen.add(entry.digest)
                        above.add(entry)
            jobs |= set(self.store.index.subjects(entry.digest for entry in above if entry.kind == pack.RECORD).values())
            pending = {beginning(entry.digest) for entry in above if entry.kind != pack.RECORD}
        return jobs


class _Written:
    """Packs on their way; those of somebody else's begin with what says so. A context: what was not finished is taken away."""

    def __init__(self, folder: Path, first: Blob | None, name: bytes | None = None):
        self._folder, self._first, self._name = folder, first, name
        self._writer: Writer | None = None
        self._waiting: list[Blob] = []
        self._size = 0

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)

    def add(self, blob: Blob) -> None:
        if self._waiting and (self._size + len(blob.data) > COMMIT_SIZE or len(self._waiting) >= COMMIT_BLOBS):
            self._commit()
        self._waiting.append(blob)
        self._size += len(blob.data)

    def finish(self) -> None:
        """Return when it is in its place and would survive a power cut. Raises OSError."""
        self._commit()
        if self._writer is not None:
            self._writer.seal()
            self._file.close()
            self._writer = None
            os.rename(self._temporary, self._target)
            disk.sync_folder(self._folder)

    def _commit(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            name = self._name or secrets.token_bytes(16)
            self._target = self._folder / f"{name.hex()}.pack"
            self._temporary = self._folder / COMING.replace("*", name.hex())
            self._file = open(disk.create(self._temporary), "wb")
            self._writer = Writer(self._file, self._temporary, name, brief=False)
            if self._first is not None:
                self._writer.add([self._first])
        self._writer.add(sorted(self._waiting, key=lambda blob: blob.kind == pack.RECORD))
        self._waiting, self._size = [], 0


def _listed(path: Path) -> tuple[dict[bytes, Entry], Entry | None]:
    """(all blobs that a pack's directories list, the first of all where its header can be read)."""
    sealed = pack.sealed(path)
    commits = [found for found in pack.scan(path) if type(found) is pack.Commit]
    commits += sealed[1] if sealed else []
    commits.sort(key=lambda commit: commit.offset)
    listed: dict[bytes, Entry] = {}
    for commit in commits:
        for entry in commit.entries:
            listed.setdefault(entry.digest, entry)
    first = commits[0].entries[0] if commits and commits[0].offset == 0 and commits[0].entries else None
    return listed, first


def _is_brief(path: Path) -> bool:
    seal = pack.read_seal(path)
    return seal is not None and seal.brief


def _manifest(origin: str) -> Blob:
    """The first blob of a pack that came from another archive; with an empty id nobody knows which."""
    data = codec.encode({"type": "bundle", "archive": origin})
    return Blob(pack.BUNDLE, codec.digest(data), data)


def _readable(path: Path) -> Iterator[tuple[Entry, bytes]]:
    with open(path, "rb") as file:
        for found in pack.scan(path):
            if type(found) is pack.Commit:
                yield from ((entry, data) for entry, data in read_all(file, path, found.entries) if not isinstance(data, Damaged))
