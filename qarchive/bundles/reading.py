"""A bundle that is read where it lies, without an archive of one's own: checked first, and never written to."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from .. import pack
from ..errors import BadInput
from ..index import Index
from ..store import Store
from ..values import Timestamp
from .checking import check, open_file


class Reading(Store):
    """The blobs of one bundle. Its index is in memory; a temporary folder leads to it, and goes when this is closed."""

    def __init__(self, path: Path):
        """Raises BadInput, Damaged, NewerFormat."""
        with open(open_file(path, str(path)), "rb") as file:
            if file.read(len(pack.HEADER)) != pack.HEADER:
                raise BadInput(str(path), "is a file", "an archive is a folder")
        bundle = check(path)
        created = bundle.said.get("created", Timestamp(0))
        self._folder = Path(tempfile.mkdtemp(prefix="qarchive-bundle-"))
        self._leave_folder = weakref.finalize(self, _remove, self._folder, os.getpid())
        super().__init__(path, bundle.origin, str(created))
        for name in ("packs", "locks", "quarantine"):
            (self._folder / name).mkdir()
            setattr(self, name, self._folder / name)
        _link(path.absolute(), self.packs / f"{bundle.id.hex()}.pack")
        self.index = Index(None, self.packs, bundle.origin)

    @staticmethod
    def index_folder(path: Path, archive: str) -> None:
        """In memory."""
        return

    def must_be_writable(self) -> None:
        raise BadInput(str(self.path), "is a bundle, which is only read", "`qarchive import` takes it into an archive")

    def commit(self, blobs: list[pack.Blob], durable: bool) -> None:
        self.must_be_writable()

    def prepare(self) -> None:
        self.must_be_writable()

    def close(self) -> None:
        self.index.close()
        self._leave_folder()


def begins_as_bundle(path: Path) -> bool:
    """Whether this is a file whose first bytes are those of a bundle."""
    try:
        with open(path, "rb") as file:
            return file.read(len(pack.HEADER)) == pack.HEADER
    except (OSError, ValueError):
        return False


def _link(path: Path, target: Path) -> None:
    """Let a bundle be read under the name of a pack; copied where links may not be made."""
    try:
        target.symlink_to(path)
    except OSError:
        shutil.copyfile(path, target)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child reads the same
        shutil.rmtree(folder, ignore_errors=True)
