"""What runs in the threads, processes and hosts of an executor: a job of a group, by its id.

A task holds the archive's path and ids, and a function of the user's that makes a client where it runs: never a client, and no
token. A worker that finds the archive at the path writes into it. One that does not gets the job itself, and hands back what it
recorded: what ran here, since what is sent to a cloud is recorded before it is sent.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import codec, records
from ..clouds import Clients
from ..errors import BadInput, Damaged, QArchiveError
from ..index import GroupRow, Member
from ..library import Library
from ..pack import RECORD, Blob
from ..providers import registry
from ..providers.base import Cloud
from ..stage import Stage
from ..store import Store
from ..values import Link
from . import interrupts
from .selecting import Unit
from .sending import Sender, Sent, hand_back
from .targets import Targets

_WAIT_S = 0.2
_OF_A_RUN = frozenset({"attempt", "sent", "status", "calibration", "outcome"})  # what a worker has to say
_opened: dict[tuple[int, str], Library] = {}  # by process and path


@dataclass(frozen=True)
class Order:
    """A task: which jobs, where they are archived, and what makes a client."""

    path: str
    archive: str
    group: GroupRow
    jobs: tuple[str, ...]
    allowed: tuple[str, ...]
    make: Callable[[], Any] | None


@dataclass(frozen=True)
class HandedBack:
    """What a worker without the archive has recorded: (kind, canonical bytes) of each blob."""

    sent: Sent
    blobs: tuple[tuple[str, bytes], ...]


def order(library: Library, group: GroupRow, unit: Unit, make: Callable[[], Any] | None) -> Order:
    """The task for a unit. Workers in this process use this very library."""
    path = str(library.path.absolute())
    _opened[os.getpid(), path] = library
    jobs = tuple(member.id.hex() for member in unit.members)
    return Order(path, library.id, group, jobs, tuple(sorted(unit.allowed)), make)


def carry_out(task: Order) -> Sent:
    """Send the jobs of a task, and wait for what runs here."""
    library = _library(task)
    if library is None:
        return Sent("elsewhere", f"there is no archive {task.archive} at {task.path}")
    found = [library._store.index.member(bytes.fromhex(job)) for job in task.jobs]
    members = tuple(member for member in found if member is not None)
    if len(members) < len(task.jobs):
        return Sent("taken")
    clients, device = made(task.make)
    sender = Sender(library, task.group, Targets(library, clients))
    sent = send_here(library, sender, members, frozenset(task.allowed), device)
    library._store.flush()
    return sent


def send_here(library: Library, sender: Sender, members: Sequence[Member], allowed: frozenset[str], device: Any) -> Sent:
    """Send jobs from this process, and wait until those that run in it have ended."""
    sent = sender.send(members, allowed, device)
    if sent.word == "sent":
        for member in members:
            if library._store.index.row(member.id).status == "RUNNING":
                while not library._recorder.wait(Link(member.id), _WAIT_S):
                    interrupts.listen()
    return sent


def closure(library: Library, job: bytes) -> tuple[tuple[str, bytes], ...]:
    """(kind, canonical bytes) of all blobs that a worker needs to run a job: its records and all that they reach."""
    store = library._store
    found: dict[bytes, tuple[str, bytes]] = {}
    pending = [digest for digest in (job, *store.index.records(job)) if store.value(digest)["type"] != "event"]
    while pending:
        digest = pending.pop()
        if digest not in found:
            data = store.get(digest)
            found[digest] = (store.index.places(digest)[0][1].kind, data)
            pending += [link.digest for link in codec.links(codec.decode(data))]
    return tuple(found.values())


def run_handed_out(blobs: tuple[tuple[str, bytes], ...], allowed: tuple[str, ...], make: Callable[[], Any] | None) -> HandedBack:
    """Run one job in a folder of the worker's own, and hand back what was recorded. Raises BadInput for one for a cloud."""
    with tempfile.TemporaryDirectory(prefix="qarchive-") as folder:
        library = Library(Store.create(Path(folder) / "worker"), "raise")
        given = {codec.digest(data): Blob(kind, codec.digest(data), data) for kind, data in blobs}
        library._store.commit(list(given.values()), durable=False)
        library._store.index.refresh()
        record = next(value for value in map(_record, given.values()) if value is not None and value["type"] == "job")
        if record.get("prepared", {}).get("remote"):
            raise BadInput("a job for a cloud", "is not sent by a worker that has no way to the archive")
        job = codec.digest(codec.encode(record))
        group = library._store.index.groups()[0]
        clients, device = made(make)
        sent = send_here(library, Sender(library, group, Targets(library, clients)), [library._store.index.member(job)],
                         frozenset(allowed), device)  # fmt: skip
        library._recorder.settle()
        library._store.flush()
        index = library._store.index
        new = [digest for digest in index.blobs_with_prefix("", -1) if digest not in given]
        back = tuple((index.places(digest)[0][1].kind, library._store.get(digest)) for digest in new)
        library._store.close()
        return HandedBack(sent, back)


def take_back(library: Library, member: Member, given: Link, blobs: Sequence[tuple[str, bytes]] | None) -> None:
    """Archive what a worker has handed back; None where it was lost. Raises Damaged for what is no run of this job, and then
    nothing of it is archived."""
    stage = Stage(library._store)
    try:
        for blob in _checked(member, blobs or ()):
            stage.blobs[blob.digest] = blob
    except Damaged:
        stage.blobs.clear()
        raise
    finally:
        hand_back(stage, member, given)
        stage.commit(durable=True)


def _checked(member: Member, blobs: Sequence[tuple[str, bytes]]) -> Iterator[Blob]:
    """What a worker has handed back, which may be anybody's making. Raises Damaged."""
    what = "what a worker handed back"
    for blob in blobs:
        try:
            kind, data = blob
            digest, record = codec.digest(data), codec.decode(data)
        except (QArchiveError, TypeError, ValueError):
            raise Damaged(what, "it is no record") from None
        if type(kind) is not str:
            raise Damaged(what, "it is no record")
        if kind == RECORD:
            if (wrong := records.wrong(record)) is not None:
                raise Damaged(what, wrong)
            if records.subject_of(digest, record) != member.id:
                raise Damaged(what, f"it is about another job than {member.id.hex()[:12]}")
            if record["type"] not in _OF_A_RUN:
                raise Damaged(what, f"a record of type {record['type']!r} is not of a run")
        yield Blob(kind, digest, data)


def _record(blob: Blob) -> Any:
    return codec.decode(blob.data) if blob.kind == RECORD else None


def _library(task: Order) -> Library | None:
    """The archive of a task, opened once a process; None where it is not at its path here."""
    key = os.getpid(), task.path
    if key not in _opened:
        try:
            store = Store.open(Path(task.path))
        except QArchiveError:
            return None
        _opened[key] = Library(store, "raise")
    found = _opened[key]
    return found if found.id == task.archive else None


def made(make: Callable[[], Any] | None) -> tuple[Clients, Any]:
    """(clients, backend) of what a user's function makes: one of the two."""
    if make is None:
        return Clients(None), None
    native = make()
    provider = registry.owner(native)
    client = provider.client_of(native) if isinstance(provider, Cloud) else None
    if client is not None:
        return Clients((provider, client)), None
    return Clients(None), native
