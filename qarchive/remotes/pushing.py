"""Pushing: what a remote does not hold, in sealed packs of a size that a broken connection may cost.

Blobs go in such an order that each comes after all that it refers to. So a remote that holds a blob holds what the blob refers
to, whichever pusher is killed at whichever pack, and the next one can leave out all that it finds there.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .. import codec, disk, pack, records
from ..bundles.checking import check
from ..bundles.selection import LINK, Selection, read_in_order, select
from ..bundles.writing import manifest, pack_name
from ..catalog import Progress
from ..errors import BadInput, Damaged, DamagedBundle, NewerFormat, NotFound
from ..solid import Writer
from ..store import Store
from . import places
from .directory import Directory

PACK_SIZE = 16 << 20  # raw bytes: what a broken connection may cost
PACK_BLOBS = 1 << 15
SHARED_SIZE = 16 << 10  # raw bytes of a commit of blobs that several jobs share: whoever wants one reads them all


@dataclass(frozen=True)
class Pushed:
    """What a push sent. `jobs` and `groups` are those that were looked at, `sent` those of which records were lacking.

    `size` is the bytes of the packs. `problems` says, by the names of files there, what of the remote cannot be used.
    """

    jobs: int
    groups: int
    sent: int = 0
    blobs: int = 0
    packs: int = 0
    size: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def push(store: Store, directory: Directory, jobs: Iterable[bytes], groups: Iterable[bytes],
         progress: Progress | None = None) -> Pushed:  # fmt: skip
    """Send what the remote lacks of these jobs and groups, and of all that they refer to. Removals stay here.

    A push that was broken off is gone on with by the next one, and several at once leave out what others have sent. Raises
    BadInput where a credential is found: then nothing is sent; CannotWrite, Unreachable, NotFound, Damaged.
    """
    store.index.refresh()
    directory.refresh()
    directory.load()
    selection = select(store, jobs, groups, directory.holds)
    plan = _Plan(store, selection)
    left, total = plan.sequence, sum(plan.sizes.values())
    blobs = packs = size = 0
    sent: set[bytes] = set()
    with tempfile.TemporaryDirectory(prefix="qarchive-push-") as folder:
        while left := [digest for digest in left if not directory.holds(digest)]:
            if progress:
                progress(total - sum(plan.sizes[digest] for digest in left), total)
            part = plan.first_of(left)
            try:
                made = _Made(store, plan, part, Path(folder))
            except OSError as error:
                raise disk.cannot_write(folder, error) from error
            directory.put_places(made.content, made.places)  # before the pack: what is listed can be looked into
            if directory.put(made.content, made.data, part):
                packs, size, blobs = packs + 1, size + len(made.data), blobs + len(part)
                sent.update(plan.owner[digest] for digest in part if plan.kinds[digest] == pack.RECORD)
            directory.refresh()  # what others have sent meanwhile is left out
            directory.load()
        if progress:
            progress(total, total)
        _mend(directory, Path(folder))
    return Pushed(len(selection.jobs), len(selection.groups), len(sent), blobs, packs, size, dict(directory.faults))


class _Plan:
    """In which order blobs are sent, and which belong together: `owner` is the only job or group that needs a blob, or None."""

    def __init__(self, store: Store, selection: Selection):
        self.kinds = {digest: kind for kind, digests in selection.kinds.items() for digest in digests}
        self.sizes: dict[bytes, int] = {}
        self.owner: dict[bytes, bytes | None] = {}
        self.about: dict[bytes, tuple[bytes, int]] = {}  # what records are about, as the look-up file says it
        self._links: dict[bytes, list[bytes]] = {}
        about: dict[bytes, list[bytes]] = {subject: [] for subject in (*selection.groups, *selection.jobs)}
        for digests in selection.kinds.values():
            for entry, data in read_in_order(store, digests):
                self.sizes[entry.digest] = len(data)
                self._links[entry.digest] = [link for link in _links(data) if link in self.kinds]
                if entry.kind == pack.RECORD:
                    record = codec.decode(data)
                    subject = self.owner[entry.digest] = records.subject_of(entry.digest, record)
                    kind = places.GROUP if records.is_of_group(record) else places.JOB
                    self.about[entry.digest] = subject, kind
                    about.setdefault(subject, []).append(entry.digest)
        for subject, of_subject in about.items():
            self._claim(subject, of_subject)
        self.sequence = list(self._in_order([digest for of_subject in about.values() for digest in of_subject]))

    def first_of(self, left: list[bytes]) -> list[bytes]:
        """The first of these blobs, as many as make a pack."""
        size = 0
        for number, digest in enumerate(left[:PACK_BLOBS]):
            size += self.sizes[digest]
            if size > PACK_SIZE and number:
                return left[:number]
        return left[:PACK_BLOBS]

    def commits(self, part: list[bytes]) -> Iterator[list[bytes]]:
        """The blobs of a pack by commits: what several share, a few of a kind together; then each job's own."""
        shared = [digest for digest in part if self.owner.get(digest) is None]
        some, size = [], 0
        for digest in sorted(shared, key=self.kinds.__getitem__):
            if some and size + self.sizes[digest] > SHARED_SIZE:
                yield some
                some, size = [], 0
            some.append(digest)
            size += self.sizes[digest]
        if some:
            yield some
        own: dict[bytes, list[bytes]] = {}
        for digest in part:
            if (owner := self.owner.get(digest)) is not None:
                own.setdefault(owner, []).append(digest)
        yield from (sorted(digests, key=lambda digest: self.kinds[digest] == pack.RECORD) for digests in own.values())

    def _claim(self, subject: bytes, of_subject: list[bytes]) -> None:
        """Say what the records about a job or group refer to, without the records of others and what those do."""
        seen: set[bytes] = set()
        pending = list(of_subject)
        while pending:
            for link in self._links[pending.pop()]:
                if link not in seen and self.kinds[link] != pack.RECORD:
                    seen.add(link)
                    pending.append(link)
        for digest in seen:
            self.owner[digest] = None if digest in self.owner else subject

    def _in_order(self, roots: list[bytes]) -> Iterator[bytes]:
        """Every blob after all that it refers to."""
        done: set[bytes] = set()
        for root in roots:
            path = [(root, iter(self._links[root]))]
            while path:
                digest, links = path[-1]
                following = next((link for link in links if link not in done), None)
                if following is not None:
                    path.append((following, iter(self._links[following])))
                else:
                    path.pop()
                    if digest not in done:
                        done.add(digest)
                        yield digest


class _Made:
    """One pack, with its look-up file. Equal blobs of one archive make an equal pack, so that two pushers put one."""

    def __init__(self, store: Store, plan: _Plan, part: list[bytes], folder: Path):
        data = {entry.digest: data for entry, data in read_in_order(store, part)}
        kinds: dict[str, list[bytes]] = {}
        for digest in part:
            kinds.setdefault(plan.kinds[digest], []).append(digest)
        first = manifest(store.id)
        name = pack_name(Selection(kinds), first)
        path = folder / "next.pack"
        path.unlink(missing_ok=True)
        with open(path, "xb") as file:
            writer = Writer(file, path, name, brief=False)
            begin = [first]
            for digests in plan.commits(part):
                writer.add(begin + [pack.Blob(plan.kinds[digest], digest, data[digest]) for digest in digests])
                begin = []
            self.content = writer.seal()
        self.places = places.encode(path, name, store.id, plan.about)
        self.data = path.read_bytes()


def _mend(directory: Directory, folder: Path) -> None:
    """Make the look-up files that are lacking."""
    for content in directory.without_places():
        path = folder / f"{content}.pack"
        try:
            directory.put_places(content, places_of(directory, content, path))
        except (BadInput, Damaged, NewerFormat, NotFound) as error:
            directory.faults[directory.where(content)] = str(error)
        finally:
            path.unlink(missing_ok=True)


def places_of(directory: Directory, content: str, path: Path) -> bytes:
    """The look-up file of a pack, made from all of it; `path` is where it is copied to. Raises BadInput, Damaged, NewerFormat."""
    directory.download(content, path)
    bundle = check(path, directory.where(content))
    if bundle.content != content:
        raise DamagedBundle(directory.where(content), "has other content than its name says")
    return places.encode(path, bundle.id, bundle.origin)


def _links(data: bytes) -> Iterator[bytes]:
    """The digests that follow wherever a link may begin: all links are among them, and nothing has to be decoded."""
    at = data.find(LINK)
    while at >= 0:
        start = at + len(LINK)
        yield data[start : start + 32]
        at = data.find(LINK, at + 1)
