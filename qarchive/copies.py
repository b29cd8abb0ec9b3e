"""Copies: where else the blobs of an archive lie, in it and in other archives and bundles. All are checked by their digest."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import codec, pack, records
from .bundles.checking import is_record
from .bundles.reading import Reading
from .errors import BadInput, Damaged, NewerFormat, NotCanonical
from .pack import Blob
from .store import Store


class Copies:
    """The blobs of an archive and of others beside it."""

    def __init__(self, store: Store, others: Sequence[Store]):
        self._all = store, *others

    def find_unlisted(self, digest: bytes) -> tuple[Blob | None, str | None]:
        """A blob that this archive does not list, and where it came from; None for what is not anybody's or is our own.

        A record is our own where another copy of this archive holds it as its own; else it is its archive's, as by an import.
        """
        for other in self._all:
            blob = _blob(other, digest)
            if blob is None:
                continue
            try:
                value = codec.decode(blob.data)
            except (NotCanonical, NewerFormat):
                continue
            if blob.kind != pack.RECORD:
                if not is_record(value):  # under another kind it would be held for known, and never read
                    return blob, None
                continue
            if records.wrong(value) is not None:
                continue
            copy = other is self._all[0] or (other.id == self._all[0].id and not isinstance(other, Reading))
            origins = other.index.origins(digest)
            if copy and None in origins:
                return blob, None
            if value["type"] not in records.LOCAL:
                return blob, next((each for each in origins if each), other.id)
        return None, None

    def find(self, digest: bytes) -> Blob | None:
        """A good copy of a blob that this archive lists, here or elsewhere."""
        return next((found for other in self._all if (found := _blob(other, digest)) is not None), None)

    def whole(self, digest: bytes) -> bool:
        """Whether a blob and all that it refers to can be had."""
        seen, pending = {digest}, [digest]
        while pending:
            found = self.find(pending.pop())
            if found is None:
                return False
            new = set(codec.decode_linked(found.data)[1]) - seen
            seen |= new
            pending += new
        return True


@contextmanager
def opened(store: Store, paths: Sequence[Path]) -> Iterator[Copies]:
    """An archive with others, in folders and bundles, which are only read. Raises BadInput, NoArchive, Damaged, NewerFormat."""
    with ExitStack() as closing:
        others = []
        for path in paths:
            if path.is_dir() and path.samefile(store.path):
                hint = "name another one, or a bundle; what is here is looked at anyway"
                raise BadInput(str(path), "is this archive itself", hint)
            others.append(Reading(path) if path.is_file() else Store.open(path))
            closing.callback(others[-1].close)
        yield Copies(store, others)


def _blob(store: Store, digest: bytes) -> Blob | None:
    """A blob of an archive, its bytes checked; None where no good copy is there."""
    for path, entry in store.index.places(digest):
        try:
            with open(path, "rb") as file:
                return Blob(entry.kind, digest, pack.read(file, path, entry), entry.key)
        except (FileNotFoundError, Damaged):
            continue
    return None if isinstance(store, Reading) else store.condemned.find(digest)
