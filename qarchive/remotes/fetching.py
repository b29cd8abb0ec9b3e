"""Fetching one job: of a remote only what it needs is read, and it is made a small pack of the archive's."""

import re
import secrets
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .. import codec, disk, pack, records
from ..bundles.adopting import Incoming, Taken
from ..bundles.limits import MAX_FRAME
from ..bundles.selection import LINK
from ..bundles.writing import manifest
from ..errors import Ambiguous, BadInput, Damaged, DamagedBundle, NotCanonical, NotFound
from ..intake import read_all
from ..library import PREFIX_MIN
from ..solid import COMMIT_BLOBS, COMMIT_SIZE, Writer
from ..store import Store
from .directory import MAX_PACK, Directory
from .places import JOB, Places, Subject
from .pushing import places_of

MAX_SIZE = 1 << 30  # raw bytes of a job that is fetched: they are gathered in memory
_AT_ONCE = 8  # packs that are looked into at the same time

_T = TypeVar("_T")


def fetch(store: Store, directory: Directory, reference: str) -> tuple[bytes, Taken]:
    """(id, what it brought) of the job with this id, or with the only one that begins so, and all that it refers to.

    Raises NotFound, Ambiguous, BadInput, Damaged, Unreachable, CannotWrite.
    """
    if not re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", reference):
        reason = "is no id of a job, nor the beginning of one"
        raise BadInput(repr(reference), reason, f"give {PREFIX_MIN} or more of its digits; a remote knows jobs by nothing else")
    directory.refresh()
    store.index.refresh()
    found = _Fetch(store, directory)
    jobs = found.jobs(reference.lower())
    if not jobs:
        raise NotFound(f"job {reference}", directory.backend.url, "`qarchive pull` takes all that it holds")
    if len(jobs) > 1:
        raise Ambiguous(reference, [job.hex()[:16] for job in jobs[:10]])
    found.take(jobs[0])
    if not found.chosen:
        return jobs[0], Taken(found.origin)
    with Incoming(store) as incoming:
        found.write(incoming.path)
        return jobs[0], incoming.adopt(f"job {jobs[0].hex()[:12]} of {directory.backend.url}")


class _Fetch:
    """What was read so far. `chosen` are the digests that are taken, with kind and bytes."""

    def __init__(self, store: Store, directory: Directory):
        self.store, self.directory = store, directory
        self.chosen: dict[bytes, tuple[str, bytes]] = {}
        self.origin = ""
        self._read: dict[bytes, tuple[str, bytes]] = {}
        self._about: dict[bytes, dict[bytes, None]] = {}
        self._commits: set[tuple[str, int]] = set()
        self._places: dict[str, Places] = {}
        self._made_here: set[str] = set()
        usable = [content for content in directory.in_order if directory.packs[content].size <= MAX_PACK]
        self._order = usable[::-1]  # the newest first; then those that had something
        self._size = 0

    def jobs(self, prefix: str) -> list[bytes]:
        """The ids of jobs that begin so."""
        found = self._everywhere(lambda places, _: places.subjects(prefix))
        return sorted({subject.id for _, subjects in found for subject in subjects if subject.kind == JOB})

    def take(self, job: bytes) -> None:
        """Gather a job's records and all that they refer to and is not here, down to the last link."""
        asked = {job}
        pending = self._records(job)
        back = set(pending) if self.store.index.row(job) is None else set()  # one that was removed here comes back
        self.origin = self._trusting(self._order[0], lambda places, _: places.origin)
        while pending:
            digest = pending.pop()
            if digest in self.chosen or (digest not in back and self.store.index.places(digest)):
                continue
            kind, data = self._blob(digest)
            self.chosen[digest] = kind, data
            try:
                pending += [link.digest for link in codec.links(codec.decode(data))] if LINK in data else []
                record = codec.decode(data) if kind == pack.RECORD else None
            except NotCanonical as error:
                raise DamagedBundle(self.directory.backend.url, f"blob {digest.hex()}: {error}") from None
            if type(record) is dict and record.get("type") == "job" and digest not in asked:
                asked.add(digest)
                pending += self._records(digest)  # of a job that this one repeats or replaces all comes along

    def write(self, path: Path) -> None:
        """Make it a pack, which says to come from where the remote's pack did."""
        first = manifest(self.origin)
        try:
            with open(disk.create(path), "wb") as file:
                writer = Writer(file, path, secrets.token_bytes(16))
                some, size = [first], 0
                for digest, (kind, data) in sorted(self.chosen.items(), key=lambda item: (item[1][0] == pack.RECORD, *item[1])):
                    if size + len(data) > COMMIT_SIZE or len(some) >= COMMIT_BLOBS:
                        writer.add(some)
                        some, size = [], 0
                    some.append(pack.Blob(kind, digest, data))
                    size += len(data)
                writer.add(some)
                writer.seal()
        except OSError as error:
            raise disk.cannot_write(path, error) from error

    def _records(self, subject: bytes) -> list[bytes]:
        """The digests of all records about a job, in all packs."""

        def look(places: Places, content: str) -> list[Subject]:
            subjects = places.subjects(subject.hex())
            for each in subjects:
                self._read_commit(content, each.offset, each.length)
            return subjects

        found = self._everywhere(look)
        with_it = [content for content, subjects in found if subjects]
        self._order = with_it + [content for content in self._order if content not in with_it]
        return list(self._about.get(subject, ()))

    def _blob(self, digest: bytes) -> tuple[str, bytes]:
        for content in self._order:
            if digest in self._read:
                break
            self._trusting(content, lambda places, content: self._look(places, content, digest))
        if digest not in self._read:
            raise NotFound(f"blob {digest.hex()}", self.directory.backend.url, "push again from an archive that has it")
        return self._read[digest]

    def _look(self, places: Places, content: str, digest: bytes) -> None:
        for offset, length in places.commits(digest):
            self._read_commit(content, offset, length)

    def _read_commit(self, content: str, offset: int, length: int) -> None:
        """Read one commit whole. What it holds is checked, blob by blob."""
        if (content, offset) in self._commits:
            return
        where = Path(self.directory.where(content))
        data = self.directory.read(content, offset, length)
        commit = pack.commit_in(data, offset, where)
        if commit is None:
            raise DamagedBundle(str(where), "bytes that are not the commit that should be there", offset)
        if any(entry.raw > MAX_FRAME for entry in commit.entries):
            raise BadInput(str(where), f"holds a frame that unpacks to more than {MAX_FRAME:,} bytes", "nobody honest writes one")
        self._size += sum(entry.length for entry in commit.entries)
        if self._size > MAX_SIZE:
            raise BadInput(str(where), f"unpacks to more than {MAX_SIZE:,} bytes", "`qarchive pull` takes in large jobs, too")
        for entry, blob in read_all(pack.Window(data, offset), where, commit.entries):
            if isinstance(blob, Damaged):
                raise DamagedBundle(self.directory.where(content), blob.reason, blob.offset)
            if entry.kind == pack.BUNDLE:
                continue
            self._read[entry.digest] = entry.kind, blob
            if entry.kind == pack.RECORD:
                self._note(entry.digest, blob)
        self._commits.add((content, offset))

    def _note(self, digest: bytes, data: bytes) -> None:
        try:
            record = codec.decode(data)
        except NotCanonical:
            return  # the check of what is taken says so
        if records.wrong(record) is None:
            self._about.setdefault(records.subject_of(digest, record), {})[digest] = None

    def _everywhere(self, ask: Callable[[Places, str], list[Subject]]) -> list[tuple[str, list[Subject]]]:
        """What each pack answers, the packs side by side."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(zip(self._order, threads.map(lambda content: self._trusting(content, ask), self._order)))

    def _trusting(self, content: str, ask: Callable[[Places, str], _T]) -> _T:
        """Ask by a pack's look-up file; where that is wrong, by one that is made from the whole pack."""
        if content not in self._places and (found := self.directory.places(content)) is not None:
            self._places[content] = found
        if content in self._places:
            try:
                return ask(self._places[content], content)
            except (Damaged, NotFound):
                if content in self._made_here:
                    raise
        return ask(self._made(content), content)

    def _made(self, content: str) -> Places:
        """A pack without a look-up file, or with a wrong one, is read whole."""
        with tempfile.TemporaryDirectory(prefix="qarchive-fetch-") as folder:
            data = places_of(self.directory, content, Path(folder) / "pack")
        self.directory.keep(f"{content}.places", data)
        self._made_here.add(content)
        size = self.directory.packs[content].size
        self._places[content] = Places(lambda start, length: data[start : start + length], len(data), size, f"{content}.places")
        return self._places[content]
