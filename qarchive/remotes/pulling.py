"""Pulling: the packs of a remote that are not here, each checked to its last byte before it is taken."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .. import disk, pack
from ..bundles.adopting import Incoming, Taken, take
from ..bundles.checking import Bundle, check
from ..catalog import Progress
from ..errors import BadInput, Damaged, DamagedBundle, NewerFormat, NotFound, QArchiveError
from ..store import Store
from .directory import Directory

_ITS_FAULT = (BadInput, Damaged, NewerFormat, NotFound)  # of one pack, not of the remote


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: `jobs` are new here, `known` were here and got records, `restored` had been removed here. All are ids;
    `size` is the bytes of the packs."""

    jobs: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    packs: int = 0
    size: int = 0


def pull(store: Store, directory: Directory, progress: Progress | None = None) -> Pulled:
    """Take in every pack of a remote that is not here. Each counts by itself: a pull that was broken off is gone on with.

    A pack that is not right is left out, the others are taken, and then its error is raised: BadInput, Damaged, NewerFormat.
    Raises Unreachable, CannotWrite.
    """
    directory.refresh()
    store.index.refresh()
    lacking = [content for content in directory.in_order if not _is_here(store, directory, content)]
    found = _Pull(store, directory, sum(directory.packs[content].size for content in lacking), progress)
    while lacking:  # a pack that refers to others waits for them
        waiting = [content for content in lacking if not found.try_(content)]
        if len(waiting) == len(lacking):
            break
        lacking = waiting
    for where, reason in directory.faults.items():
        raise DamagedBundle(where, reason)
    for content in lacking:
        missing = found.missing[content]
        (store.packs / f"{content}{pack.COMING}").unlink(missing_ok=True)
        reason = f"refers to {len(missing)} blobs that are neither on the remote nor here, such as {missing[0].hex()[:12]}"
        found.errors.append(BadInput(directory.where(content), reason, "push again from an archive that has them"))
    if found.errors:
        raise found.errors[0]
    return found.report()


class _Pull:
    def __init__(self, store: Store, directory: Directory, total: int, progress: Progress | None):
        self.store, self.directory, self.total, self.progress = store, directory, total, progress
        self.missing: dict[str, list[bytes]] = {}
        self.errors: list[QArchiveError] = []
        self.taken: list[Taken] = []
        self.size = self._done = 0

    def try_(self, content: str) -> bool:
        """Take a pack in, or find that it cannot be; False where it refers to blobs that are not here yet."""
        if self._lacking(self.missing.get(content, ())):
            return False
        where = self.directory.where(content)
        kept = self.store.packs / f"{content}{pack.COMING}"
        try:
            with Incoming(self.store) as incoming:
                bundle = self._obtain(content, where, kept, incoming.path)
                self.missing[content] = self._lacking(bundle.wanted)
                if self.missing[content]:
                    os.replace(incoming.path, kept)  # so that it need not be asked for again
                    return False
                self.taken.append(take(self.store, bundle, where, incoming.path))
                self.size += bundle.size
        except _ITS_FAULT as error:
            self.errors.append(error)
        except OSError as error:
            raise disk.cannot_write(self.store.packs, error) from error
        return True

    def _lacking(self, digests: Iterable[bytes]) -> list[bytes]:
        return sorted(set(digests) - self.store.index.held(digests))

    def report(self) -> Pulled:
        new, restored, groups = ({each for taken in self.taken for each in getattr(taken, name)}
                                 for name in ("jobs", "restored", "groups"))  # fmt: skip
        known = {each for taken in self.taken for each in taken.known} - new - restored
        return Pulled(sorted(new), sorted(known), sorted(restored), sorted(groups), len(self.taken), self.size)

    def _obtain(self, content: str, where: str, kept: Path, path: Path) -> Bundle:
        """The pack in a file of ours, checked; what was kept from an earlier try is checked as well."""
        if kept.exists():
            os.replace(kept, path)
            try:
                return self._checked(path, content, where)
            except _ITS_FAULT:
                path.unlink()
        self.directory.download(content, path, self._tell)
        return self._checked(path, content, where)

    def _tell(self, size: int) -> None:
        self._done += size
        if self.progress:
            self.progress(min(self._done, self.total), self.total)

    @staticmethod
    def _checked(path: Path, content: str, where: str) -> Bundle:
        bundle = check(path, where)
        if bundle.content != content:
            raise DamagedBundle(where, "has other content than its name says")
        return bundle


def _is_here(store: Store, directory: Directory, content: str) -> bool:
    """Whether all that a pack holds is in the archive, or the pack cannot be used."""
    found = directory.commits(content)
    if found is None:
        return True
    name, commits = found
    same = store.packs / f"{name.hex()}.pack"
    if same.exists() and (seal := pack.read_seal(same)) is not None and seal.content.hex() == content:
        return True
    digests = {entry.digest for commit in commits for entry in commit.entries if entry.kind != pack.BUNDLE}
    return digests == store.index.held(digests)
