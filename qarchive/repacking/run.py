"""One run: look, condemn, look again, write anew, and only then take the old packs away."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from .. import disk, lease, owner, pack
from ..catalog import Progress
from ..errors import BadInput
from ..locks import replacing
from ..store import Store
from .marks import REACHED
from .parts import Part, find, origin
from .reach import Reach
from .solids import Solids, remove_leftovers, write

OWN, ELSEWHERE, HERE, SEEN = 4, 8, 16, 32  # marks: stays in a pack of the archive's own; in a foreign one; in this one; was met
SMALL = pack.SEAL_SIZE // 4  # solid packs below this are put together where there are several
DOUBLED = 0.1  # of a pack's blobs: where more lie elsewhere as well it is written anew
BATCH_SIZE = 1 << 30  # bytes of packs that are on the disk twice at most


@dataclass(frozen=True)
class Repacked:
    """What a repack did, or would do. Sizes are bytes of files; `dropped_raw` is uncompressed.

    `dropped` blobs were referred to by nothing, `removed` are the jobs and groups whose records are among them. `waits` says that
    the dropped blobs are still on the disk, in `condemned/`, because other processes write to the archive.
    """

    packs: int
    before: int
    after: int
    dropped: int
    dropped_raw: int
    doubled: int
    removed: int
    waits: bool


def repack(store: Store, gc: bool = False, dry_run: bool = False, alone: bool = False,
           progress: Progress | None = None) -> Repacked:  # fmt: skip
    """Take out what nothing refers to, and put together what stays; with `gc` only where there is something to take out.

    Safe beside readers and writers, and at any interruption: what was there before is there, and another run goes on. `alone` is
    the user's word that nobody else uses an archive in a place where that cannot be seen. Raises BadInput, Damaged, CannotWrite.
    """
    store.must_be_writable()
    if not (store.shared or alone or dry_run):
        raise BadInput(str(store.path), "is in a place where other writers cannot be seen", "end them all, and say --alone")
    store.close()
    try:
        with ExitStack() as leaving:
            if not dry_run:
                leaving.enter_context(replacing(store.path))
                remove_leftovers(store.packs)
            parts = find(store, not dry_run)
            for part in parts:
                if part.lease is not None:
                    leaving.callback(part.lease.release)
            return _Run(store, parts, gc, progress).go(dry_run, alone)
    except OSError as error:
        raise disk.cannot_write(store.packs, error) from error


class _Run:
    def __init__(self, store: Store, parts: list[Part], gc: bool, progress: Progress | None):
        self.store, self.parts, self.gc, self.progress = store, parts, gc, progress
        self.reach = Reach(store, parts)
        self.marks = self.reach.marks
        self._survey()
        self.old = self._chosen()

    def go(self, dry_run: bool, alone: bool) -> Repacked:
        packs = [part for part in self.old if not part.condemned]
        before = sum(part.size for part in packs)
        done = Repacked(len(packs), before, before, sum(part.dropped for part in packs), sum(part.dropped_raw for part in packs),
                        sum(part.doubled for part in packs), len(self.reach.removed), False)  # fmt: skip
        if dry_run or not self.old:
            return done
        condemned = write(self.store.condemned.folder, self._garbage()) if any(part.dropped for part in self.old) else []
        self.reach.look_again()
        removals = write(self.store.packs, ((blob, 0) for blob in self.reach.gone_removals()))
        self._keep_what_stays()
        written = self._write_all()
        disk.remove(removals)
        if not self._relied_on(alone):
            self.store.condemned.remove()
            condemned = []
        self.store.index.refresh()
        return replace(done, after=sum(path.stat().st_size for path in written), waits=bool(condemned))

    def _survey(self) -> None:
        """Count in each pack what nothing refers to, and what lies in another one, too."""
        for part in sorted((part for part in self.parts if not part.stays), key=_origin):  # the archive's own come first
            for entry in part.entries():
                place = self.marks.place(entry.digest)
                part.blobs += 1
                if not self.marks.bits[place] & REACHED:
                    part.dropped += 1
                    part.dropped_raw += entry.length
                elif self.marks.bits[place] & SEEN:
                    part.doubled += 1
                elif part.first is None or entry.kind != pack.RECORD:  # a foreign record stays, whoever else says the same
                    self.marks.bits[place] |= SEEN
        self.marks.clear(SEEN)

    def _chosen(self) -> list[Part]:
        """The packs to be replaced."""
        free = [part for part in self.parts if not part.stays]
        chosen = [part for part in free if part.condemned or part.dropped or (not self.gc and _loose(part))]
        for _, of_one in groupby(sorted(free, key=_origin), _origin):
            together = list(of_one)
            small = [part for part in together if part not in chosen and part.size < SMALL]
            if not self.gc and len(small) + sum(part in chosen and not part.condemned for part in together) > 1:
                chosen += small
        return [part for part in self.parts if part in chosen]

    def _garbage(self) -> Iterator[tuple[pack.Blob, int]]:
        """What nothing refers to in the packs that are replaced, each once."""
        for part in self.old:
            for entry, data in part.read(self._unreached(part)):
                yield pack.Blob(entry.kind, entry.digest, data), 0
        self.marks.clear(SEEN)

    def _unreached(self, part: Part) -> Iterator[pack.Entry]:
        for entry in part.entries():
            place = self.marks.place(entry.digest)
            if not self.marks.bits[place] & (REACHED | SEEN):
                self.marks.bits[place] |= SEEN
                yield entry

    def _keep_what_stays(self) -> None:
        """Mark what need not be written anew: it stands in a sealed pack that stays, and was read there."""
        for part in self.parts:
            stays = part.sealed and part not in self.old
            mark = SEEN | (0 if not stays else OWN if part.first is None else ELSEWHERE)
            for entry in part.entries():
                place = self.marks.place(entry.digest)
                if not self.marks.bits[place] & SEEN:
                    self.marks.bits[place] |= mark

    def _write_all(self) -> list[Path]:
        """Write anew what stays of the old packs, and take these away, a batch at a time."""
        written = []
        self._done, self._total = 0, sum(part.size for part in self.old)
        for _, of_one in groupby(sorted(self.old, key=_origin), _origin):
            parts = list(of_one)
            self.marks.clear(HERE)
            first = parts[0].first and origin(parts[0].first)[1]
            for batch in _batches(parts):
                written += self._write(batch, first)
                _remove(self.store, batch)
        return written

    def _write(self, batch: list[Part], first: pack.Blob | None) -> list[Path]:
        with Solids(self.store.packs, first) as solids:
            for part in batch:
                for entry, data in part.read(self._wanted(part)):
                    key = entry.key if first is None else None  # a stranger's key is not used
                    solids.add(pack.Blob(entry.kind, entry.digest, data, key), self.reach.device(entry.digest))
                self._done += part.size
                if self.progress:
                    self.progress(self._done, self._total)
            solids.finish()
        return solids.written

    def _wanted(self, part: Part) -> Iterator[pack.Entry]:
        """The blobs of a pack that are to be written anew, each once."""
        for entry in part.entries():
            place = self.marks.place(entry.digest)
            mark = OWN if part.first is None else HERE if entry.kind == pack.RECORD else ELSEWHERE
            if self.marks.bits[place] & REACHED and not self.marks.bits[place] & (OWN | mark):
                self.marks.bits[place] |= mark
                yield entry

    def _relied_on(self, alone: bool) -> bool:
        """Whether another writer may be about to refer to what was taken out."""
        if alone:
            return False
        self.store.index.refresh()
        ours = {part.path.name for part in self.parts if part.lease is not None}
        others = {name for name, _, _ in self.store.index.open_packs()} - ours
        return any(not lease.is_free(self.store.locks, name) for name in others)


def _origin(part: Part) -> tuple[bool, bytes]:
    """What packs have in common that can become one: all the archive's own, first of all; and those of one origin."""
    return (False, b"") if part.first is None else (True, origin(part.first)[0])


def _loose(part: Part) -> bool:
    return not (part.sealed and part.brief) or part.doubled > DOUBLED * part.blobs


def _batches(parts: list[Part]) -> Iterator[list[Part]]:
    batch, size = [], 0
    for part in parts:
        if batch and size + part.size > BATCH_SIZE:
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += part.size
    yield batch


def _remove(store: Store, parts: list[Part]) -> None:
    """Take old packs away. What they held is on the disk, elsewhere."""
    disk.remove(part.path for part in parts)
    disk.remove(part.path.with_suffix(lease.ABANDONED) for part in parts if not part.sealed)
    for part in parts:
        (store.locks / f"{part.path.name}.lock").unlink(missing_ok=True)
        owner.remove(store.locks, part.path.name)
