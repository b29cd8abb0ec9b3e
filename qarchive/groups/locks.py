"""What keeps two processes from doing the same thing to a group at the same time."""

from .. import disk, locks
from ..index import GroupRow
from ..library import Library


class Lock:
    """A lock of a group's, for one purpose. It may be released more than once."""

    def __init__(self, library: Library, group: GroupRow, purpose: str):
        self._folder = library._store.locks
        self._lock = locks.Lock(library._store.path, f"group-{group.id.hex()[:16]}-{purpose}")

    def __enter__(self) -> "Lock":
        """Wait for it. Raises CannotWrite."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise disk.cannot_write(self._folder, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others go on."""
        self._lock.release()
