"""What a remote holds: its listing, and the directories of its packs, which are kept beside the index."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .. import disk, pack
from ..bundles.limits import MAX_TRAILER
from ..errors import BadInput, DamagedBundle, NotFound
from ..store import Store
from .backend import MAX_OBJECTS, Backend, Object
from .places import Places

MAX_PACK = 256 << 20  # bytes of a pack on a remote
_GUESS = 4 << 10, 256 << 10  # at least and at most so many bytes of a pack's end are read at first, else a sixteenth of it
_SMALL = 64 << 20  # bytes of packs that this was all of, which are kept in memory
_PART = 8 << 20  # bytes asked for at once
_NAME = re.compile(r"([0-9a-f]{64})\.(pack|places)\Z")


class Directory:
    """One remote, as it was when `refresh` was last called; what has come since is found by the next call."""

    def __init__(self, backend: Backend, store: Store):
        self.backend = backend
        self.packs: dict[str, Object] = {}  # by the hash of their content
        self.faults: dict[str, str] = {}  # what is wrong with packs that cannot be used, by their names
        self._places: dict[str, Object] = {}
        self._held: set[bytes] = set()
        self._loaded: set[str] = set()
        self._whole: dict[str, bytes] = {}  # small packs, which were read whole with their trailers
        self._small = 0
        file = store.index.file
        self._cache = file and file.parent / "remotes"

    def refresh(self) -> None:
        """List the remote. Raises BadInput, Unreachable."""
        packs, places = {}, {}
        for number, each in enumerate(self.backend.objects()):
            if number >= MAX_OBJECTS:
                raise BadInput(self.backend.url, f"lists more than {MAX_OBJECTS:,} files in packs/", "is it a remote of ours?")
            if match := _NAME.match(each.name):
                (packs if match[2] == "pack" else places)[match[1]] = each
        self.packs, self._places = packs, places

    @property
    def in_order(self) -> list[str]:
        """The packs' content hashes, those that came first before others: a thin pack refers to earlier ones."""
        return sorted(self.packs, key=lambda content: (self.packs[content].modified, content))

    def load(self) -> None:
        """Read the directories of all packs that are listed and not yet known."""
        for content in self.in_order:
            if content not in self._loaded:
                self._loaded.add(content)
                found = self.commits(content)
                if found is not None:
                    self._held.update(entry.digest for commit in found[1] for entry in commit.entries)

    def holds(self, digest: bytes) -> bool:
        """Whether a blob lies in one of the packs that were loaded."""
        return digest in self._held

    def where(self, content: str) -> str:
        """How a pack is called in messages."""
        return f"{self.backend.url}/packs/{content}.pack"

    def commits(self, content: str) -> tuple[bytes, list[pack.Commit]] | None:
        """(id, commits) of a pack, from its trailer; None where that is none: `faults` says why. Raises Unreachable, BadInput."""
        path, size = Path(f"{content}.pack"), self.packs[content].size
        kept = self._cache and self._cache / f"{content}.trailer"
        if kept is not None:
            try:
                found = pack.trailer_in(kept.read_bytes(), size, path)
            except OSError:
                found = None
            if found:
                return found[0], found[2]
        data = self._trailer(content, size)
        found = data and pack.trailer_in(data, size, path)
        if not found:
            self.faults.setdefault(self.where(content), "is no whole pack")
            return None
        self.keep(f"{content}.trailer", data)
        return found[0], found[2]

    def places(self, content: str) -> Places | None:
        """The look-up file of a pack; None where there is none."""
        size = self.packs[content].size
        found = self._places.get(content)
        kept = self._cache and self._cache / f"{content}.places"
        if kept is not None and kept.exists():
            data = kept.read_bytes()
            return Places(lambda start, length: data[start : start + length], len(data), size, str(kept))
        if found is None:
            return None
        name = f"{content}.places"
        where = f"{self.backend.url}/packs/{name}"
        return Places(lambda start, length: self.backend.read(name, start, length), found.size, size, where)

    def read(self, content: str, start: int, length: int) -> bytes:
        """Bytes of a pack, fewer where it ends before."""
        return self.backend.read(f"{content}.pack", start, length)

    def download(self, content: str, path: Path, progress: Callable[[int], None] | None = None) -> None:
        """Copy a pack into a new file. Raises BadInput, Damaged where its length is not as listed, NotFound, CannotWrite."""
        size = self.packs[content].size
        if size > MAX_PACK:
            raise BadInput(self.where(content), f"has {size:,} bytes, and packs of more than {MAX_PACK:,} are not taken in")
        try:
            with open(disk.create(path), "wb") as file:
                for data in self._parts(content, size):
                    file.write(data)
                    if progress:
                        progress(len(data))
        except OSError as error:
            raise disk.cannot_write(path, error) from error

    def keep(self, name: str, data: bytes) -> None:
        """Keep what was learned of a pack beside the index, where that can be written."""
        if self._cache is None:
            return
        try:
            self._cache.mkdir(mode=0o700, exist_ok=True)
            disk.replace(self._cache / name, data)
        except OSError:
            pass  # it is asked for again

    def put(self, content: str, data: bytes, digests: Iterable[bytes]) -> bool:
        """Put a pack, and know what it holds; False where it is there. Raises Damaged where another is in its place."""
        new = self.backend.put(f"{content}.pack", data)
        if not new:
            self.refresh()
            found = self.packs.get(content)
            if found is not None and found.size != len(data):
                raise DamagedBundle(self.where(content), f"has {found.size:,} bytes instead of {len(data):,}")
        self.keep(f"{content}.trailer", data[-(pack.trailer_length(data[-64:]) or 0) :])
        self._loaded.add(content)
        self._held.update(digests)
        return new

    def put_places(self, content: str, data: bytes) -> None:
        """Put a pack's look-up file."""
        self.backend.put(f"{content}.places", data)

    def without_places(self) -> list[str]:
        """The packs that have no look-up file, of those that can be used."""
        return [content for content in self.in_order if content not in self._places and self.where(content) not in self.faults]

    def _parts(self, content: str, size: int) -> Iterator[bytes]:
        if (whole := self._whole.pop(content, None)) is not None:
            self._small -= size
            yield whole
            return
        at = 0
        while at < size:
            data = self.read(content, at, min(_PART, size - at))
            if not data or len(data) > size - at:
                raise DamagedBundle(self.where(content), f"has other than the {size:,} bytes that are listed", at)
            yield data
            at += len(data)

    def _trailer(self, content: str, size: int) -> bytes | None:
        if size > MAX_PACK:
            return None
        try:
            guess = min(size, max(_GUESS[0], min(size // 16, _GUESS[1])))
            data = self.read(content, size - guess, guess)
            length = pack.trailer_length(data)
            if length is None or length > min(size, MAX_TRAILER) or len(data) != guess:
                return None
            if guess == size and self._small + size <= _SMALL:
                self._whole[content] = data
                self._small += size
            if length > len(data):
                data = self.read(content, size - length, length - len(data)) + data
        except NotFound:
            return None  # somebody took it away since it was listed
        return data[-length:]
