"""Taking a bundle in: a copy is checked to its last byte, and becomes one of the archive's packs in one step."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import disk, pack, records
from ..catalog import Progress
from ..errors import BadInput, DamagedBundle
from ..locks import Lock
from ..stage import Stage
from ..store import Store
from ..values import Link
from .checking import Bundle, check, not_so, open_file, untrue


@dataclass(frozen=True)
class Taken:
    """What an import brought. `jobs` are new here, `known` were here and got records, `restored` had been removed here; `groups`
    are new or had been removed. All are ids."""

    origin: str
    said: dict[str, Any] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    size: int = 0  # bytes that were added to the archive; 0 where all of it was here before


def adopt(store: Store, path: Path, progress: Progress | None = None, name: str | None = None) -> Taken:
    """Take a bundle into an archive; once is enough, and again changes nothing. Jobs in it that were removed here come back.

    Until everything was found right, nothing is changed. Raises BadInput, Damaged, NewerFormat, CannotWrite.
    """
    with Incoming(store) as incoming:
        incoming.copy(path)
        return incoming.adopt(name or str(path), progress)


class Incoming:
    """A file beside the packs that may become one. One process at a time has it; what a crash leaves, the next one removes."""

    def __init__(self, store: Store):
        store.must_be_writable()
        self._store = store
        self._lock = Lock(store.path, "import")
        self.path = store.packs / f"next{pack.COMING}"

    def __enter__(self) -> "Incoming":
        try:
            self._lock.acquire()
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self._lock.release()
            raise disk.cannot_write(self._store.packs, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)
        self._lock.release()

    def copy(self, path: Path) -> None:
        """What is checked must be what is taken, so it is a copy that nobody else writes to. Raises BadInput, CannotWrite."""
        with open(open_file(path, str(path)), "rb") as source:
            left = os.fstat(source.fileno()).st_size  # what somebody adds meanwhile is not waited for
            try:
                with open(disk.create(self.path), "wb") as file:
                    while left and (piece := source.read(min(left, 1 << 20))):
                        disk.append(file.fileno(), piece)
                        left -= len(piece)
            except OSError as error:
                raise disk.cannot_write(self.path, error) from error

    def adopt(self, name: str, progress: Progress | None = None) -> Taken:
        """Check the file and make it a pack. `name` is what it is called in messages."""
        bundle = check(self.path, name, progress)
        return take(self._store, bundle, name, self.path)


def take(store: Store, bundle: Bundle, name: str, path: Path) -> Taken:
    """Make a checked bundle, in a file beside the packs that nobody else writes to, one of the packs."""
    index = store.index
    index.refresh()
    fresh = bundle.records.keys() - (index.held(bundle.records, pack.RECORD) & index.subjects(bundle.records).keys())
    new = bool(fresh) or len(index.held(bundle.blobs)) < len(bundle.blobs)
    _check_thin(store, bundle, name)
    known = index.listed(bundle.jobs)
    restored = _removed(store, bundle, known)
    size = _place(store, bundle, name, path) if new else 0
    if restored:
        stage = Stage(store)
        store.prepare()
        for subject, removals in restored.items():
            about = "group" if subject in bundle.groups else "job"
            stage.record(records.restored_record(map(Link, removals), **{about: Link(subject)}))
        stage.commit(durable=True)
    index.refresh()
    brought = {bundle.records[digest].subject for digest in fresh}
    groups = set(bundle.groups)
    come = {job for job in bundle.jobs if job in brought and job not in known and job not in restored}
    back = {group for group in groups if group in fresh or group in restored}
    return Taken(bundle.origin, dict(bundle.said), _hex(come), _hex(brought & known), _hex(restored.keys() - groups), _hex(back),
                 size)  # fmt: skip


def _check_thin(store: Store, bundle: Bundle, name: str) -> None:
    """What a bundle refers to and does not hold must be here, and be what the bundle says that it is. Raises BadInput."""
    if not bundle.wanted:
        return
    missing = bundle.wanted - store.index.held(bundle.wanted)
    if missing:
        some = min(missing).hex()[:12]
        reason = f"refers to {_blobs(len(missing))} neither in it nor in {store.path}, such as {some}"
        raise BadInput(name, reason, "it was made for somebody who has them; ask for one that is whole")
    if (claim := untrue(bundle.claims, store.value)) is not None:
        raise DamagedBundle(name, not_so(claim))
    store.flush()  # what it relies on survives what it survives


def _blobs(number: int) -> str:
    return "1 blob" if number == 1 else f"{number:,} blobs"


def _place(store: Store, bundle: Bundle, name: str, path: Path) -> int:
    target = store.packs / f"{bundle.id.hex()}.pack"
    there = pack.read_seal(target) if target.exists() else None
    if target.exists() and (there is None or there.content.hex() != bundle.content):
        raise BadInput(name, f"has the id of a pack that is there with other content ({target.name})", "export it again")
    try:
        with open(path, "rb+") as file:
            disk.sync(file.fileno())
        disk.rename(path, target)
    except OSError as error:
        raise disk.cannot_write(target, error) from error
    if there is not None:  # it was damaged, and now it is whole
        store.index.rebuild()
    return bundle.size


def _removed(store: Store, bundle: Bundle, known: set[bytes]) -> dict[bytes, set[bytes]]:
    """The jobs and groups in a bundle that were removed here, with the removals that are not undone."""
    found = {}
    groups = set(bundle.groups)
    gone = {row.id for row in store.index.groups() if row.removed and row.id in groups} if groups else set()
    unlisted = [job for job in bundle.jobs if job not in known]
    here = set(store.index.subjects(store.index.records_of(unlisted)).values())
    for subject in sorted(gone | here):
        about = {digest: store.value(digest) for digest in store.index.records(subject)}
        if removals := records.open_removals(about):
            found[subject] = removals
    return found


def _hex(ids: Iterable[bytes]) -> list[str]:
    return sorted(digest.hex() for digest in ids)
