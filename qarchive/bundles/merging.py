"""Merging: all that another archive holds, taken in as bundles of what is lacking here."""

from dataclasses import replace
from pathlib import Path

from ..catalog import Progress
from ..errors import BadInput
from ..solid import Writer
from ..store import Store
from .adopting import Incoming, Taken
from .selection import select
from .writing import fill, manifest, pack_name

_AT_ONCE = 20_000  # jobs in one bundle, which is put together from lists in memory


def merge(store: Store, path: Path, progress: Progress | None = None) -> Taken:
    """Take in what the archive in a folder holds and this one does not. That one is only read.

    Raises NoArchive, BadInput where it is this one, Damaged, CannotWrite.
    """
    if path.exists() and path.samefile(store.path):
        raise BadInput(str(path), "is this archive itself", "name the other one")
    other = Store.open(path)
    try:
        jobs, groups = other.index.all_jobs(), [row.id for row in other.index.groups() if not row.removed]
        taken = Taken(other.id)
        with Incoming(store) as incoming:
            for start in range(0, max(len(jobs), 1), _AT_ONCE):
                some = jobs[start : start + _AT_ONCE]
                found = _merge(store, other, str(path), incoming, some, [] if start else groups, progress)
                taken = _together(taken, found)
        return taken
    finally:
        other.close()


def _merge(store: Store, other: Store, name: str, incoming: Incoming, jobs: list[bytes], groups: list[bytes],
           progress: Progress | None) -> Taken:  # fmt: skip
    index = store.index
    index.refresh()
    # What a removed job of ours still has here is asked for again, so that it comes back.
    listed = index.listed(jobs)
    gone = index.subjects(index.records_of([job for job in jobs if job not in listed]))
    removed = {row.id for row in index.groups() if row.removed}
    lacking = set(other.index.records_of([*gone.values(), *(group for group in groups if group in removed)]))
    selection = select(other, jobs, groups, lambda digest: digest not in lacking and index.has(digest), given_away=False)
    if not selection.blobs:
        return Taken(other.id)
    first = manifest(other.id)
    with open(incoming.path, "xb") as file:
        writer = Writer(file, incoming.path, pack_name(selection, first))
        fill(writer, other, selection, first, progress)
        writer.seal()
    try:
        return incoming.adopt(name)
    finally:
        incoming.path.unlink(missing_ok=True)


def _together(one: Taken, other: Taken) -> Taken:
    lists = {name: sorted({*getattr(one, name), *getattr(other, name)}) for name in ("jobs", "known", "restored", "groups")}
    return replace(one, size=one.size + other.size, **lists)
