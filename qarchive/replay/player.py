"""The player: it stands where a recorder stands, and answers with what was recorded before."""

import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .. import scope
from ..bundles import choosing
from ..comparing.calls import what_differs
from ..comparing.settings import changes
from ..errors import BadInput, MissingExtra, NoRecording, NotFound, QArchiveError, SameName
from ..index import GroupRow
from ..job import Job
from ..library import Jobs, Library
from ..providers import hooks
from ..providers.base import Execution, Get, Provider
from ..providers.wrapped import unwrapped
from ..values import Link
from .recordings import Key, Recordings, as_sent, key_of
from .scratch import Scratch

MODES = ("only", "missing")
MATCHES = ("exact", "order")
_SETTINGS = 3  # of a backend that are named where they are not those of a recording


class Player:
    """Answers executions with recordings of one query. It has the interface of `providers.base.Recorder`; for all threads.

    In the mode "only" what has no recording raises NoRecording; in "missing" it is run, and recorded. Nothing else is ever
    written: what was replayed is no new evidence.
    """

    def __init__(self, library: Library, mode: str, match: str, failures: bool, query: dict[str, Any]):
        for what, value, known in (("mode", mode, MODES), ("match", match, MATCHES)):
            if value not in known:
                raise BadInput(f"{what}={value!r}", "does not exist", f"it is {' or '.join(known)}")
        self.mode, self.match = mode, match
        self._began = datetime.now(UTC)
        self._library, self._query = library, {name: value for name, value in query.items() if value is not None}
        library.jobs(**self._query)  # a wrong filter is refused at once
        row = _row(library, self._query.get("group"))
        if row is not None:
            self._query["group"] = row.name
        self._recordings = Recordings(lambda: _jobs(library, self._query, row), failures)
        self.watch: Callable[[list[str]], None] | None = None  # told what answers a call; of nothing if it runs
        self._mutex = threading.RLock()
        _players.add(self)

    @property
    def where(self) -> str:
        """What it answers from, for messages."""
        said = ", ".join(f"{name} {value}" for name, value in self._query.items())
        return f"{said} of {self._library.path}" if said else str(self._library.path)

    # As a recorder

    @hooks.passed_over
    def run(self, provider: Provider, target: Any, args: tuple, kwargs: dict, send: Callable[[dict], Any]) -> Any:
        """The recordings of this execution, as `send(kwargs)` would return them."""
        here = scope.here()
        if here.prepare is not None:
            raise BadInput("a replay", "prepares no jobs", "add them to the group outside of it")
        if not kwargs.pop("archive", True) or here.paused:
            with scope.within(paused=True):  # it was not recorded then, either
                return send(kwargs)
        if here.nested:
            return send(kwargs)
        jobs, miss = self._find(provider, target, args, kwargs)
        if jobs is not None:
            self._tell([job.id for job in jobs])
            return provider.answer(target, args, kwargs, jobs)
        if self.mode == "only":
            raise miss
        self._tell([])
        with self._live():
            return self._library._recorder.run(provider, target, args, kwargs, send)

    def wanted(self) -> bool:
        """Whether what runs here is to be answered: not in a pause, and not as part of an execution that is recorded."""
        here = scope.here()
        return not (here.paused or here.nested)

    def retry(self, provider: Provider, provider_job: str, target: Any, send: Callable[[], Any]) -> Any:
        """Recorded in the mode "missing". Raises NoRecording in the mode "only": a further attempt was not recorded by itself."""
        if self.mode == "only":
            raise NoRecording(f"a further attempt of job {provider_job}", self.where)
        with self._live():
            return self._library._recorder.retry(provider, provider_job, target, send)

    def event(self, provider: Provider, provider_job: str, name: str, value: object = None) -> None:
        """Recorded of what was run in this replay; what happens to the others happened before."""
        if self.mode == "missing" and self.wanted():
            found = self._library._recorder.find(provider, provider_job)
            if found is not None and self._library._job(found.digest).created >= self._began:
                with self._live():
                    self._library._recorder.event(provider, provider_job, name, value)

    def record(self, provider: Provider, job: Any) -> Link:
        """The archived job that an SDK's job stands for. Raises BadInput where it stands for none: nothing new is recorded."""
        known = provider.job_id(job)
        try:
            return Link(bytes.fromhex(self._library.job(known).id))
        except (NotFound, TypeError):
            raise BadInput(f"job {known}", "a replay records nothing new", "record it outside of it") from None

    def resume(self, provider: Provider, job: Any) -> None:
        """Nothing: recorded jobs have ended."""

    # As an archive

    def jobs(self, **filters: Any) -> Jobs:
        """The jobs that it answers from, as `Archive.jobs` lists them."""
        return self._library.jobs(**{**self._query, **filters})

    def job(self, reference: str) -> Job:
        """One of these jobs, or of those that were run in their place. Raises NotFound, Ambiguous."""
        found = self._library.job(reference)
        with self._mutex:
            ran = self.mode == "missing" and found.created >= self._began
            if not ran and not self._recordings.holds(found.id):
                raise NotFound(f"job {reference!r}", self.where)
        return found

    def recordings(self) -> list[str]:
        """The ids of all jobs that can answer, in the order in which they were made."""
        with self._mutex:
            return self._recordings.ids()

    def _tell(self, jobs: list[str]) -> None:
        if self.watch is not None:
            self.watch(jobs)

    def _find(self, provider: Provider, target: Any, args: tuple, kwargs: dict) -> tuple[list[Job] | None, QArchiveError | None]:
        """(recordings of a call, or None; then what to raise)."""
        scratch = Scratch(self._library._store)
        try:
            executions = provider.asked(scratch, target, args, kwargs)
            keys = [(execution.size, self._key(provider, scratch, execution)) for execution in executions]
        except MissingExtra:
            raise
        except (ValueError, TypeError, AttributeError, QArchiveError) as error:
            name = getattr(target, "name", None) or type(target).__name__
            return None, NoRecording(f"an execution on {name} that cannot be described ({error})", self.where)
        with self._mutex:
            if self.match == "order":
                found = self._recordings.in_order(provider, len(executions))
                if found is None:
                    return None, NoRecording(f"a further execution of {provider.name}", self.where)
                return found, None
            lost = next(filter(_tells_apart, scratch.gaps), None)
            if lost is not None:
                what = f"an execution on {executions[0].backend_name} whose {lost['what']} cannot be compared ({lost['reason']})"
                return None, NoRecording(what, self.where)
            found = self._recordings.exact(provider, keys)
            return found, None if found is not None or self.mode != "only" else self._miss(provider, scratch, executions, keys)

    def _miss(
        self, provider: Provider, scratch: Scratch, executions: list[Execution], keys: list[tuple[int, Key]]
    ) -> NoRecording:
        execution, (size, key) = next(
            (pair for pair in zip(executions, keys, strict=True) if not self._recordings.has(provider, *pair[1])),
            (executions[0], keys[0]),
        )
        what = f"an execution on {execution.backend_name}"
        nearest = self._recordings.nearest(provider, key)
        if nearest is None:
            return NoRecording(what, self.where)
        used = self._recordings.used(provider, size, key)
        if used:
            number = "its only recording" if used == 1 else f"all of its {used} recordings"
            return NoRecording(what, self.where, nearest.id, [f"{number} answered before"])
        wanted, recorded = (_compared(provider, *call) for call in (
            (scratch.get, _record(execution), execution.backend), (nearest.get, *as_sent(nearest))))  # fmt: skip
        lines = what_differs(*wanted, *recorded) or self._settings(provider, scratch, execution, nearest)
        return NoRecording(what, self.where, nearest.id, lines)

    def _settings(self, provider: Provider, scratch: Scratch, execution: Execution, nearest: Job) -> list[str]:
        """Which settings of the backend are other ones, at most three of them."""
        sides = (provider.alike_backend(scratch.get, _record(execution), execution.backend),
                 provider.alike_backend(nearest.get, *as_sent(nearest)))  # fmt: skip
        if not all(isinstance(side, dict) for side in sides):
            return ["the backend's settings differ"]
        names = [change.path for change in changes(scratch.get, sides[0], nearest.get, sides[1])]
        said = ", ".join(names[:_SETTINGS]) + (", ..." if len(names) > _SETTINGS else "")
        return [f"the backend's settings differ: {said}" if said else "the backend's settings differ"]

    def _key(self, provider: Provider, scratch: Scratch, execution: Execution) -> Key:
        return key_of(provider, scratch.get, _record(execution), execution.backend)

    def _live(self):
        labels = {}
        if "group" in self._query:
            labels["group"] = self._query["group"]
        if "tag" in self._query:
            labels["tags"] = (self._query["tag"],)
        return scope.within(live=True, **labels)


def _row(library: Library, group: str | None) -> GroupRow | None:
    """The group that is meant where several have one name (the archive's own), or where an id is given. Raises Ambiguous."""
    if group is None:
        return None
    rows = choosing.named(library, group)
    if len(rows) > 1 and rows[0].archive != library.id:
        origins = [None if row.archive == library.id else row.archive for row in rows[:10]]
        raise SameName(group, len(rows), [row.id.hex() for row in rows[:10]], origins, "give the id of one")
    return rows[0] if len(rows) > 1 or (rows and rows[0].name != group) else None


def _jobs(library: Library, query: Mapping[str, Any], row: GroupRow | None) -> Iterable[Job]:
    """The jobs of a query, the oldest first; of one group alone where several have its name."""
    members = None if row is None else {job.hex() for job in choosing.jobs_of(library, row)}
    return (job for job in library.jobs(**query, order="oldest") if members is None or job.id in members)


def refuse_replayed(native: Any) -> None:
    """Raises BadInput for an object that answers from recordings: to archive its executions would be to make evidence up."""
    try:
        behind = object.__getattribute__(native, "_qarchive_recorder")  # some SDKs' `__getattr__` raise whatever they like
    except AttributeError:
        behind = hooks.marked(native)
    if isinstance(behind, Player):
        reason = "it answers from recordings, and nothing new comes of it"
        raise BadInput(f"a replayed {type(unwrapped(native)).__name__}", reason, "wrap the original")


_players: "weakref.WeakSet[Player]" = weakref.WeakSet()


def _start_anew() -> None:
    for player in _players:
        player._mutex = threading.RLock()  # a thread that is not in the forked child may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def _tells_apart(gap: Mapping[str, str]) -> bool:
    """Whether what a gap is about could tell two executions apart."""
    what = gap["what"]
    beside = what.startswith("input.metadata") or what.endswith((".structure", ".classes"))
    return what.split(".")[0] in ("input", "config") and not beside


def _compared(provider: Provider, get: Get, record: dict[str, Any], snapshot: Link) -> tuple[Get, dict[str, Any]]:
    """(get, record) of a call whose configuration is what of it is compared, where its provider says that in words."""
    config = provider.alike(get, record, snapshot)["config"]
    if type(config) is not dict:
        return get, record
    own = Link(hashlib.sha256(repr(config).encode()).digest())
    return (lambda link: config if link == own else get(link)), {**record, "config": own}


def _record(execution: Execution) -> dict[str, Any]:
    """The fields of a job record of an execution that is none."""
    return {"provider": execution.provider, "kind": execution.kind, "backend": execution.backend_name, "input": execution.input,
            "config": execution.config, "shots": execution.shots, "size": execution.size,
            "names": list(execution.names)}  # fmt: skip
