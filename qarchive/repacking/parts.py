"""The packs of an archive as a repack sees them: which it may replace, and what stands in each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from .. import codec, pack
from .. import lease as leases
from ..errors import Damaged, NewerFormat, NotCanonical
from ..intake import read_all
from ..store import Store


@dataclass
class Part:
    """One pack. `first` is the blob that says where a foreign one came from, None of the archive's own.

    `stays` says that it cannot be replaced: somebody writes to it. `lease` is ours on an open one. It is read up to `end`. A
    `condemned` one holds what an earlier run took out, and somebody may have come to rely on.
    """

    path: Path
    sealed: bool
    brief: bool
    stays: bool
    end: int
    first: pack.Blob | None = None
    lease: leases.Lease | None = None
    condemned: bool = False
    blobs: int = 0
    dropped: int = 0  # of these nothing refers to
    dropped_raw: int = 0  # their bytes
    doubled: int = 0  # these lie in another pack as well
    _scanned: list[pack.Commit] | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    def commits(self) -> Iterator[pack.Commit]:
        """Its commits up to `end`. Raises Damaged."""
        if self.sealed:
            found = pack.sealed(self.path)
            if found is None or not all(commit.entries for commit in found[1]):
                raise Damaged(str(self.path), "the trailer does not fit")
            yield from found[1]
            return
        if self._scanned is None:  # a scan reads every byte, and an open pack is not large
            whole = takewhile(lambda found: type(found) is pack.Commit and found.whole, pack.scan(self.path))
            self._scanned = list(takewhile(lambda commit: commit.offset < self.end, whole))
        yield from self._scanned

    def entries(self) -> Iterator[pack.Entry]:
        """Where its blobs lie, without the one that says where it came from."""
        for commit in self.commits():
            for entry in commit.entries:
                if entry.kind != pack.BUNDLE:
                    yield entry

    def read(self, wanted: Iterable[pack.Entry]) -> Iterator[tuple[pack.Entry, bytes]]:
        """The canonical bytes of some of its blobs, in order. Raises Damaged."""
        with open(self.path, "rb") as file:
            for entry, data in read_all(file, self.path, wanted):
                if isinstance(data, Damaged):
                    raise data
                yield entry, data


def find(store: Store, take: bool) -> list[Part]:
    """The packs of an archive, those first that are the least likely to be replaced. With `take` the open ones that nobody writes
    to are leased.

    Raises Damaged where a pack is damaged: what its blobs refer to cannot be told.
    """
    store.index.refresh()
    open_packs = {name: (name, end, hashed) for name, end, hashed in store.index.open_packs()}
    parts = []
    for name in store.index.pack_names():
        path = store.packs / name
        seal = pack.read_seal(path)
        if seal is None and name not in open_packs:
            raise Damaged(str(path), "a damaged pack")
        if seal is not None:
            part = Part(path, True, seal.brief, False, seal.offset)
        else:
            part = _open_part(store, path, open_packs[name], take)
        _read_first(part)
        parts.append(part)
    parts.sort(key=lambda part: (not part.brief, part.path.stat().st_mtime_ns, part.path.name))
    return parts + [Part(path, True, True, False, path.stat().st_size, condemned=True) for path in store.condemned.packs()]


def _open_part(store: Store, path: Path, candidate: tuple[str, int, bytes], take: bool) -> Part:
    name, end, _ = candidate
    if path.with_suffix(leases.ABANDONED).exists():
        torn = any(type(found) is pack.Tail for found in pack.scan(path, end))
        return Part(path, False, False, torn, end)
    if not take:
        return Part(path, False, False, store.shared and not leases.is_free(store.locks, name), end)
    found = leases.resume(store.packs, store.locks, store.quarantine, candidate, store.shared)
    return Part(path, False, False, found is None, end if found is None else found.end, lease=found)


def _read_first(part: Part) -> None:
    head = next(part.commits(), None)
    if head is not None and head.entries[0].kind == pack.BUNDLE:
        with open(part.path, "rb") as file:
            data = pack.read(file, part.path, head.entries[0])
        part.first = pack.Blob(pack.BUNDLE, head.entries[0].digest, data)


def origin(first: pack.Blob) -> tuple[bytes, pack.Blob]:
    """(what foreign packs must have in common to become one, the first blob of that one). When each was made is left out."""
    try:
        value = codec.decode(first.data)
    except (NotCanonical, NewerFormat):
        return first.digest, first
    if type(value) is not dict:
        return first.digest, first
    data = codec.encode({name: item for name, item in value.items() if name != "created"})
    return codec.digest(data), pack.Blob(pack.BUNDLE, codec.digest(data), data)
