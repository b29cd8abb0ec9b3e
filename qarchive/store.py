"""An archive's folder as a store of blobs: commit, flush, get. Which call is on the disk when is decided here."""

import atexit
import os
import queue
import socket
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from . import codec, disk, filesystem, identity, lease, owner, pack
from .condemned import Condemned
from .errors import ArchiveWarning, Damaged, NotFound, QArchiveError
from .index import Index
from .locks import announced, shared

SHARED_SYNC_S = 0.5  # local runs share one sync within this time
UNSYNCED_MAX = 32 << 20  # bytes kept in memory for writing again, should a sync fail

_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()


class Store:
    """The blobs of one archive. One instance serves all threads of a process, and survives a fork."""

    def __init__(self, path: Path, archive: str, created: str):
        self.path, self.id, self.created = path, archive, created
        self.packs, self.locks, self.quarantine = path / "packs", path / "locks", path / "quarantine"
        self.index = Index(self.index_folder(path, archive), self.packs, archive)
        self.condemned = Condemned(path / "condemned")
        self._on_fork: list[Callable[[], None]] = []
        self._reset()
        _stores.add(self)

    @classmethod
    def create(cls, path: Path) -> "Store":
        """A new archive in `path`, which is missing or an empty folder. Raises BadInput, CannotWrite."""
        identity.make(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "Store":
        """The archive in `path`. Raises NoArchive, BadInput, Damaged, NewerFormat."""
        return cls(path, *identity.read(path))

    def _reset(self) -> None:
        self._mutex = threading.RLock()
        self._lease: lease.Lease | None = None
        self._own: set[bytes] = set()  # digests in the leased pack, since it was leased
        self._sealed: set[bytes] = set()  # those that were found where a commit can rely on them, since then
        self._own_keys: dict[bytes, bytes] = {}
        self._look_up = False  # whether the index may know of more that a commit can omit
        self._unsynced: list[tuple[int, list[pack.Blob]]] = []  # (end in the leased pack, blobs), oldest first
        self._unsynced_size = 0
        self._homeless: list[list[pack.Blob]] = []  # commits of a pack that was given up, to be written again first
        self._dirty = False  # a sync of what was committed is on its way

    @staticmethod
    def index_folder(path: Path, archive: str) -> Path | None:
        """Where the index is kept; None: in memory."""
        return _index_folder(path, archive)

    @cached_property
    def _flock(self) -> bool:
        """Whether this machine's locks keep apart all who can work in the folder, as far as its file system tells."""
        return filesystem.has_flock(self.path)

    @property
    def shared(self) -> bool:
        """Whether flock keeps all writers of this archive apart. False where the file system is not known to be this machine's
        alone, and once somebody has written to it from another: then each writer has packs of its own."""
        return self._flock and not announced(self.locks)

    # Writing

    def must_be_writable(self) -> None:
        """Raises BadInput for a store that is only read, such as that of a bundle."""

    def commit(self, blobs: list[pack.Blob], durable: bool) -> None:
        """Append blobs and records, leaving out what a sealed pack or this writer's own already holds.

        Returns when it would survive a kill and, if `durable`, a power cut; otherwise a power cut within the next second
        may take it. Raises CannotWrite: then it is not acknowledged, though it may turn up later; the same commit again
        is harmless.
        """
        with self._mutex:
            found, end = self._append(blobs)
            crowded = self._unsynced_size > UNSYNCED_MAX
        if durable or crowded:
            self._sync(found, end)
        else:
            self._sync_soon()

    def flush(self) -> None:
        """Return when everything committed so far would survive a power cut. Raises CannotWrite."""
        with self._mutex:
            if self._homeless:
                self._append([])
            found = self._lease
            end = found.end if found else 0
        if found:
            self._sync(found, end)

    def close(self) -> None:
        """Flush and give the pack back. The store can be used again afterwards, and then takes a lease anew."""
        while True:
            self.flush()
            with self._mutex:
                if self._homeless or (self._lease and self._lease.synced < self._lease.end):
                    continue  # another thread has written meanwhile
                if self._lease:
                    self._lease.release()
                self._leave()
                self.index.close()
                return

    def may_omit(self, digest: bytes) -> bool:
        """Whether a commit can refer to this blob without bringing it along."""
        with self._mutex:
            if digest in self._own or digest in self._sealed:
                return True
            if self._lease is None:
                return False
            if self._look_up and self.index.holds(digest, self._lease.name):
                self._sealed.add(digest)
                return True
            return False

    def find_key(self, key: bytes) -> bytes | None:
        """The digest of a blob with this key that a commit can refer to, or None."""
        with self._mutex:
            if found := self._own_keys.get(key):
                return found
            if not self._look_up:
                return None
            return next((digest for digest in self.index.digests_of_key(key) if self.may_omit(digest)), None)

    def prepare(self) -> None:
        """Take a lease now, so that `may_omit` and `find_key` know what there is. Raises CannotWrite."""
        with self._mutex:
            if self._lease is None:
                self._take_lease()

    def _append(self, blobs: list[pack.Blob]) -> tuple[lease.Lease, int]:
        """Write commits that lost their pack, then this one. (lease, its end) to be synced. The mutex is held."""
        if self._lease is not None and self._lease.full:
            self._seal()
        for attempt in (1, 2):
            if self._lease is None:
                self._take_lease(new=attempt == 2)
            try:
                while self._homeless:
                    self._write(self._homeless[0])
                    del self._homeless[0]
                self._write([blob for blob in blobs if blob.kind == pack.RECORD or not self.may_omit(blob.digest)])
                self._heed(blobs)
                return self._lease, self._lease.end
            except OSError as error:
                self._give_up(self._lease)
                if attempt == 2:
                    raise disk.cannot_write(self.packs, error) from error
            except BaseException:  # a key pressed, say: how much of the commit was written is not known
                self._give_up(self._lease)
                raise
        raise AssertionError("unreachable")

    def _write(self, blobs: list[pack.Blob]) -> None:
        if not blobs:
            return
        distinct = list({blob.digest: blob for blob in blobs}.values())
        distinct.sort(key=lambda blob: blob.kind == pack.RECORD)
        self._lease.append(distinct)
        self._own.update(blob.digest for blob in distinct)
        self._own_keys.update((blob.key, blob.digest) for blob in distinct if blob.key)
        self._unsynced.append((self._lease.end, distinct))
        self._unsynced_size += sum(len(blob.data) for blob in distinct)

    def _heed(self, blobs: list[pack.Blob]) -> None:
        """Write again what these blobs, which are written already, refer to and somebody has just taken out of the packs. Whoever
        takes out more from now on sees that they refer to it."""
        if not self.condemned.look():
            return
        lost: dict[bytes, pack.Blob] = {}
        pending = [blob.data for blob in blobs]
        while pending:
            for digest in codec.mentioned(pending.pop()):
                if digest not in self._own and digest not in lost and (found := self.condemned.find(digest)) is not None:
                    lost[digest] = found
                    pending.append(found.data)
        self._write(list(lost.values()))

    def _take_lease(self, new: bool = False) -> None:
        """Lease an open pack, or a `new` one: after a failed write the next attempt goes to another file."""
        try:
            self.index.refresh()
            candidates = [] if new else self.index.open_packs()
            others = len(self.index.pack_names()) > len(candidates)
            self._lease = lease.acquire(self.packs, self.locks, self.quarantine, candidates, self.shared)
        except OSError as error:
            raise disk.cannot_write(self.packs, error) from error
        self._look_up = others or self._lease.end > 0

    def _seal(self) -> None:
        found = self._lease
        try:
            found.seal()
        except OSError:
            self._give_up(found)
        else:
            self._leave()

    def _give_up(self, found: lease.Lease) -> None:
        """Leave a pack that failed, unless that was done. What is not on the disk is written again, to another pack."""
        with self._mutex:
            if self._lease is not found:
                return
            unsynced = [blobs for _, blobs in self._unsynced]
            self._leave()
            if not found.give_up():
                self._homeless = unsynced + self._homeless  # in the order of writing: later ones refer to earlier ones

    def _leave(self) -> None:
        """Forget the lease and what lies in its pack."""
        self._lease, self._own, self._sealed, self._own_keys = None, set(), set(), {}
        self._unsynced, self._unsynced_size = [], 0

    def _sync(self, found: lease.Lease, end: int) -> None:
        """Return when what was committed to a lease up to byte `end` is on the disk, there or elsewhere. Raises CannotWrite."""
        for attempt in (1, 2):
            try:
                found.sync(end)
            except OSError as error:
                with self._mutex:
                    self._give_up(found)
                    if attempt == 2:
                        raise disk.cannot_write(found.path, error) from error
                    if self._lease is None and not self._homeless:
                        return  # another thread has written it again, synced and closed
                    found, end = self._append([])
            else:
                with self._mutex:
                    if self._lease is found:
                        self._synced(found.synced)
                return

    def _synced(self, end: int) -> None:
        self._unsynced = [(at, blobs) for at, blobs in self._unsynced if at > end]
        self._unsynced_size = sum(len(blob.data) for _, blobs in self._unsynced for blob in blobs)

    def _sync_soon(self) -> None:
        if not self._dirty:
            self._dirty = True
            _syncer.request(self)

    # Reading

    def get(self, digest: bytes) -> bytes:
        """The canonical bytes of a blob, checked. Raises NotFound, or Damaged where no undamaged copy exists."""
        damage = None
        for retry in (False, True):
            for path, entry in self.index.places(digest):
                try:
                    with open(path, "rb") as file:
                        return pack.read(file, path, entry)
                except FileNotFoundError:
                    continue  # the pack was replaced by another since; the index is asked once more
                except Damaged as error:
                    damage = damage or error
            if not retry:
                self.index.confirm(digest)
        if (found := self.condemned.find(digest)) is not None:
            return found.data  # whoever refers to it was killed before it could write it again
        raise damage or NotFound(f"blob {digest.hex()}", str(self.path))

    def value(self, digest: bytes) -> object:
        """The decoded value of a blob, with long byte strings read into memory."""
        return codec.decode(self.get(digest), fetch=lambda link: self.get(link.digest))

    def writer_is_gone(self, digest: bytes) -> bool:
        """Whether the process that wrote a blob has certainly left: nobody leases its pack, or the pack's owner has ended.

        False where that cannot be told. Of a pack that this process leases, what was there before is somebody else's.
        """
        with self._mutex:
            own, here = self._lease.name if self._lease else None, digest in self._own
        for path, _ in self.index.places(digest):
            if path.name == own:
                if not here:
                    return True
            elif self._is_leased(path.name) is False:
                return True
        return False

    def writer_lives(self, digest: bytes) -> bool:
        """Whether the process that wrote a blob is certainly there, and another one than this: it leases its pack.

        False where that cannot be told, as in a pack that is sealed.
        """
        with self._mutex:
            own = self._lease.name if self._lease else None
        found = {path.name for path, _ in self.index.places(digest)} - {own}
        return any(self._is_leased(name) is True for name in found)

    def _is_leased(self, name: str) -> bool | None:
        """Whether somebody may still add to a pack; None where that cannot be told. Whoever noted that a pack is his counts for
        as long as he lives, though he has sealed it: he may still be sending what he wrote there."""
        if found := owner.read(self.locks, name):
            return found.runs() if found != owner.current() else None
        if self._flock and name in {name for name, _, _ in self.index.open_packs()}:
            return not lease.is_free(self.locks, name)
        return None

    # Forks

    def on_fork(self, callback: Callable[[], None]) -> None:
        """Call this in every forked child, after the store itself is ready there."""
        self._on_fork.append(callback)

    def _after_fork(self) -> None:
        """In a forked child: leave the parent its pack, its lock and what it has not synced, and start anew."""
        if self._lease is not None:
            self._lease.forget()
        self._reset()
        for callback in self._on_fork:
            callback()


class _Syncer:
    """One thread a process, which syncs every store half a second after something was committed there.

    A store that waits for its sync is kept alive by it.
    """

    def __init__(self):
        self._queue: queue.SimpleQueue[tuple[float, Store]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._mutex = threading.Lock()

    def request(self, store: "Store") -> None:
        self._queue.put((time.monotonic() + SHARED_SYNC_S, store))
        with self._mutex:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True, name="qarchive sync")
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is shutting down
                    self._thread = None
                    store.flush()

    def _run(self) -> None:
        while True:
            due, store = self._queue.get()
            time.sleep(min(SHARED_SYNC_S, max(0.0, due - time.monotonic())))  # never longer, whatever a clock says
            store._dirty = False
            try:
                store.flush()
            except QArchiveError as error:
                warnings.warn(f"jobs of the last second are not yet on the disk: {error}", ArchiveWarning, stacklevel=1)
            del store


def _index_folder(path: Path, archive: str) -> Path | None:
    """Where the index is kept: in the archive; in the user's cache where that cannot be written, or other machines might, since
    SQLite needs memory that all who write share; or only in memory."""
    folder = path / "index"
    if shared(path) and _can_write(folder):
        return folder
    from platformdirs import user_cache_path

    cache = user_cache_path("qarchive")
    of = f"{path.resolve()}\0{archive}"
    if _can_write(cache) and not filesystem.has_flock(cache):
        of += f"\0{socket.gethostname()}"  # a home folder that several machines have
    folder = cache / codec.digest(of.encode()).hex()[:32]
    return folder if _can_write(folder) else None


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _flush_all() -> None:
    for store in list(_stores):
        try:
            if store._lease is None or store.shared:
                store.flush()
            else:
                store.close()  # nobody comes back to its pack
        except QArchiveError as error:
            warnings.warn(f"the last jobs are not on the disk: {error}", ArchiveWarning, stacklevel=1)


# A fork waits until no thread is inside a store, so that the child never inherits half a step.


def _pause() -> None:
    _paused.stores = sorted(_stores, key=id)
    for store in _paused.stores:
        store._mutex.acquire()


def _resume() -> None:
    for store in _paused.stores:
        store._mutex.release()
    _paused.stores = []


def _start_anew() -> None:
    global _syncer
    _syncer = _Syncer()
    for store in _paused.stores:
        store._after_fork()
    _paused.stores = []


_syncer = _Syncer()
_paused = threading.local()
atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_start_anew)
