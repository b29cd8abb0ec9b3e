"""What records refer to, down to the last link: it stays, and the rest goes."""

from collections.abc import Iterator

import msgpack

from .. import codec, pack, records
from ..errors import NewerFormat, NotCanonical, NotFound
from ..intake import read_all
from ..store import Store
from .marks import REACHED, READ, Marks
from .parts import Part

_JOB, _REMOVAL, _RESTORED = (msgpack.packb("type") + msgpack.packb(name) for name in ("job", "removal", "restored"))
_LEAF = "chunk"  # the one kind that refers to nothing by its definition


class Reach:
    """The blobs of an archive that are reached from its records. Those about jobs and groups that were removed reach nothing,
    unless they stay because their pack does or something else refers to them."""

    def __init__(self, store: Store, parts: list[Part]):
        self.marks, self.removed = Marks(), set[bytes]()
        self._store, self._parts = store, parts
        self._new = False  # whether something was reached that was not read
        self._devices: dict[str, int] = {}
        self._late: set[bytes] = set()
        for part in parts:
            for entry in part.entries():
                self.marks.add(entry.digest)
        self.marks.freeze()
        self._find_removed()
        self._start()
        self._follow()
        self._settle()

    def _settle(self) -> None:
        while self.removed and self._keep_removals():
            self._follow()

    def has(self, digest: bytes) -> bool:
        place = self.marks.place(digest)
        return place is not None and bool(self.marks.bits[place] & REACHED)

    def device(self, digest: bytes) -> int:
        """The number of the device that a blob has to do with; 0 where that is not known."""
        place = self.marks.place(digest)
        return 0 if place is None else self.marks.devices[place]

    def _records(self) -> Iterator[tuple[Part, pack.Entry, bytes]]:
        for part in self._parts:
            if not part.condemned:
                for entry, data in part.read(entry for entry in part.entries() if entry.kind == pack.RECORD):
                    yield part, entry, data

    def _find_removed(self) -> None:
        """What was removed and not restored, as the archive's own records say."""
        undone = set()
        found: dict[bytes, set[bytes]] = {}
        for entry, data in self._local():
            record = codec.decode(data)
            if record["type"] == "removal":
                found.setdefault(records.subject_of(entry.digest, record), set()).add(entry.digest)
            else:
                undone |= {link.digest for link in record["removals"]}
        self.removed = {subject for subject, removals in found.items() if removals - undone}

    def _of_removed(self, entry: pack.Entry, data: bytes) -> bytes | None:
        """The removed job or group that a record is about."""
        if entry.digest in self.removed:
            return entry.digest
        if not any(digest in self.removed for digest in codec.mentioned(data)):
            return None
        record = _record(data)
        subject = None if record is None else records.subject_of(entry.digest, record)
        return subject if subject in self.removed else None

    def _start(self) -> None:
        """From the records that stay."""
        for part, entry, data in self._records():
            if self.removed and not part.stays and self._of_removed(entry, data) is not None:
                continue
            self._root(entry.digest, data)

    def _root(self, digest: bytes, data: bytes) -> None:
        place = self.marks.place(digest)
        mentioned = codec.mentioned(data)
        device = self._device(data) or max(map(self.device, mentioned), default=0)
        self.marks.bits[place] |= REACHED | READ
        self.marks.devices[place] = self.marks.devices[place] or device
        for link in mentioned:
            self._reach(link, device)

    def _device(self, data: bytes) -> int:
        """The number of the device of a job record."""
        if _JOB not in data:
            return 0
        try:
            name = msgpack.unpackb(data).get("backend")
        except (ValueError, AttributeError, msgpack.UnpackException):
            return 0
        return self._devices.setdefault(name, min(len(self._devices) + 1, 0xFFFF)) if type(name) is str else 0

    def _reach(self, digest: bytes, device: int) -> None:
        place = self.marks.place(digest)
        if place is None:
            return
        if device and not self.marks.devices[place]:
            self.marks.devices[place] = device
        if not self.marks.bits[place] & REACHED:
            self.marks.bits[place] |= REACHED
            self._new = True

    def _follow(self) -> None:
        """Read what was reached and not read, until nothing more is reached. A blob is read where it stands first."""
        bits = self.marks.bits
        while self._new:
            self._new = False
            for part in self._parts:
                for entry, data in part.read(self._unread(part)):
                    place = self.marks.place(entry.digest)
                    bits[place] |= READ
                    if entry.kind != _LEAF:
                        device = self.marks.devices[place]
                        for link in codec.mentioned(data):
                            self._reach(link, device)

    def _unread(self, part: Part) -> Iterator[pack.Entry]:
        bits, find = self.marks.bits, self.marks.place
        for entry in part.entries():
            if bits[find(entry.digest)] & (REACHED | READ) == REACHED:
                yield entry

    def _keep_removals(self) -> bool:
        """What says that a job was removed stays where anything else about it does. Whether that is more than stayed so far."""
        needed, more = set(), False
        for _, entry, data in self._records():
            if self.has(entry.digest) and (subject := self._of_removed(entry, data)) is not None:
                needed.add(subject)
        for entry, data in self._local():
            if not self.has(entry.digest) and self._of_removed(entry, data) in needed:
                self._root(entry.digest, data)
                more = True
        return more

    def _local(self) -> Iterator[tuple[pack.Entry, bytes]]:
        """The archive's own records that say what was removed and restored."""
        for part, entry, data in self._records():
            looks_like_one = part.first is None and (_REMOVAL in data or _RESTORED in data)
            if looks_like_one and (record := _record(data)) is not None and record["type"] in records.LOCAL:
                yield entry, data

    def gone_removals(self) -> Iterator[pack.Blob]:
        """The records that say what was removed, of which nothing stays."""
        if self.removed:
            for entry, data in self._local():
                if not self.has(entry.digest):
                    yield pack.Blob(entry.kind, entry.digest, data)

    # What was written since

    def look_again(self) -> None:
        """Go from the records that were written since, so that what they refer to is reached as well."""
        known = {part.path.name: part for part in self._parts if not part.condemned}
        self._store.index.refresh()
        reached = 0
        for name in self._store.index.pack_names():
            part = known.get(name)
            if part is None or part.stays:
                reached += self._from_new(part, name)
        if reached:
            self._settle()

    def _from_new(self, part: Part | None, name: str) -> int:
        """How many blobs more are reached from what was added to a pack."""
        path = self._store.packs / name
        reached, pending = 0, []
        with open(path, "rb") as file:
            for commit in pack.scan(path, part.end if part else 0):
                if type(commit) is not pack.Commit:
                    break
                found = [entry for entry in commit.entries if entry.kind == pack.RECORD]
                pending += [data for _, data in read_all(file, path, found) if type(data) is bytes]
        while pending:
            for digest in codec.mentioned(pending.pop()):
                place = self.marks.place(digest)
                if (digest in self._late) if place is None else self.marks.bits[place] & REACHED:
                    continue
                if place is None:
                    self._late.add(digest)
                else:
                    self.marks.bits[place] |= REACHED
                    reached += 1
                try:
                    pending.append(self._store.get(digest))
                except NotFound:
                    pass  # it only looked like a link, or was missing before
        return reached


def _record(data: bytes) -> dict | None:
    """A record that is right; None for another."""
    try:
        found = codec.decode(data)
    except (NotCanonical, NewerFormat):
        return None
    return found if records.wrong(found) is None else None
