"""The one way in: every execution passes here, whatever its provider, and is recorded around its run.

Recording never breaks, slows or alters the run: what cannot be captured is a gap and a warning. With `on_error="raise"`
nothing is sent that could not be recorded.
"""

import atexit
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from . import codec, model
from .environment import environment
from .errors import ArchiveWarning, QArchiveError
from .pack import Blob
from .providers.base import Execution, Outcome, Provider
from .stage import Stage
from .store import Store
from .values import Link

SETTLE_S = 60.0  # how long a reader waits for the outcome of a job that has ended to be written

# SDKs raise what is no Exception (panics of Rust code, pasqal-cloud's errors), and even that must not break a run: whatever
# they raise while they are being read becomes a gap. These alone are the user's.
_INTERRUPTS = (KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True)
class Scope:
    """What holds for the executions inside a `with` block: labels, and whether anything is recorded."""

    group: str | None = None
    tags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False

    def labels(self) -> dict[str, Any]:
        fields = {"group": self.group, "tags": sorted(set(self.tags)), "params": dict(self.params)}
        return {name: value for name, value in fields.items() if value}


_OUTSIDE = Scope()
_scope: ContextVar[Scope] = ContextVar("qarchive_scope", default=_OUTSIDE)


class _Running:
    """One execution between its start and its outcome."""

    def __init__(self, stage: Stage):
        self.stage = stage  # of the start, and kept where it could not be written yet
        self.job: Link | None = None
        self.attempt: Link | None = None
        self.written = False
        self.ended = threading.Event()  # its outcome was recorded, or given up with a warning


_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Recorder:
    """Records executions into one store. One instance serves all threads of a process."""

    def __init__(self, store: Store, on_error: str):
        self.store, self.on_error = store, on_error
        self._forget()
        _recorders.add(self)

    def _forget(self) -> None:
        self._mutex = threading.Lock()
        self._running: dict[int, tuple[_Running, Provider, Any]] = {}
        self._known: weakref.WeakKeyDictionary[Any, Link] = weakref.WeakKeyDictionary()
        self._unwritten: list[Stage] = []

    # Executions

    def run(self, provider: Provider, target: Any, args: tuple, kwargs: dict, send: Callable[[dict], Any]) -> Any:
        """Record one execution of `target` around `send(kwargs)`; the SDK's job is returned as it came."""
        if not kwargs.pop("archive", True) or _scope.get().paused:
            return send(kwargs)
        running = self._start(provider, target, args, kwargs)
        try:
            job = send(kwargs)
        except BaseException as error:
            refused = Outcome("ERROR", type(error).__name__, error=described(error))
            self._end(running, lambda stage: refused, lambda: None)
            raise
        self._follow(running, provider, job)
        return job

    def record(self, provider: Provider, job: Any) -> Link:
        """Record an SDK job that runs or has ended; the same job again is the same record."""
        with self._mutex:
            found = self._known.get(job)
        if found is None:
            found = self._recorded(provider, provider.job_id(job))
        if found is not None:
            return found
        running = self._start(provider, *provider.call_of(job), raising=True)
        self._follow(running, provider, job)
        return running.job

    def _recorded(self, provider: Provider, provider_job: str | None) -> Link | None:
        """The job that was archived with this id of the provider's, in this process or another."""
        rows = map(self.store.index.row, self.store.index.jobs_of_provider(provider_job) if provider_job else ())
        return next((Link(bytes.fromhex(row.id)) for row in rows if row and row.provider == provider.name), None)

    def settle(self) -> None:
        """Wait until jobs that have ended have their outcomes recorded, and write what a full disk had held up."""
        with self._mutex:
            under_way = list(self._running.values())
        for running, provider, job in under_way:
            if provider.ended(job):
                running.ended.wait(SETTLE_S)
        with self._mutex:
            unwritten, self._unwritten = self._unwritten, []
        while unwritten:
            try:
                unwritten[0].commit(durable=False)
            except QArchiveError:
                with self._mutex:
                    self._unwritten = unwritten + self._unwritten
                raise
            del unwritten[0]

    def _start(self, provider: Provider, target: Any, args: tuple, kwargs: dict, raising: bool = False) -> _Running:
        """Write the job and its attempt, before it is sent."""
        stage = Stage(self.store)
        running = _Running(stage)
        raising = raising or self.on_error == "raise"
        try:
            self.store.prepare()
            try:
                execution = provider.describe(stage, target, args, kwargs)
            except BaseException as error:
                if raising or isinstance(error, _INTERRUPTS):
                    raise
                execution = _undescribed(stage, provider, target, error)
            self._stage_start(running, execution)
            stage.commit(durable=False)
            running.written = True
        except BaseException as error:
            if raising or isinstance(error, _INTERRUPTS):
                raise
            complain(f"a job is not yet recorded: {error}")
        return running

    def _stage_start(self, running: _Running, execution: Execution) -> None:
        stage = running.stage
        running.job = stage.record(model.job_record(
            provider=execution.provider, kind=execution.kind, backend=execution.backend_name, input=execution.input,
            config=execution.config, shots=execution.shots, size=execution.size, names=execution.names,
            labels=_scope.get().labels()))  # fmt: skip
        surroundings = stage.put_again(_environment())
        running.attempt = stage.record(model.attempt_record(
            job=running.job, number=1, backend=execution.backend, environment=surroundings, calibration=execution.calibration,
            gaps=stage.gaps, local=True))  # fmt: skip
        for gap in stage.gaps:
            complain(f"{gap['what']} is not archived: {gap['reason']}")

    def _follow(self, running: _Running, provider: Provider, job: Any) -> None:
        """Record the outcome when the job has ended, whether or not anybody asks for it."""
        with self._mutex:
            self._running[id(running)] = (running, provider, job)
            if running.job is not None:
                try:
                    self._known[job] = running.job
                except TypeError:
                    pass  # an SDK job that cannot be referred to weakly is recorded, only not recognised again

        def end() -> None:
            self._end(running, lambda stage: provider.outcome(stage, job), lambda: provider.job_id(job))

        try:
            provider.when_done(job, end)
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                raise
            complain(f"the outcome of job {running.job} cannot be waited for: {type(error).__name__}: {error}")
            unseen = Outcome("UNKNOWN", "")
            self._end(running, lambda stage: unseen, lambda: None)

    def _end(self, running: _Running, outcome: Callable[[Stage], Outcome], provider_job: Callable[[], str | None]) -> None:
        """Write how an execution ended. Called once, in whatever thread the job ended in."""
        stage = Stage(self.store)
        try:
            if running.job is None:
                return
            if not running.written:
                stage.blobs.update(running.stage.blobs)
            try:
                found = outcome(stage)
            except BaseException as error:
                if isinstance(error, _INTERRUPTS):
                    raise
                stage.gap("result", f"{type(error).__name__}: {error}")
                found = Outcome("UNKNOWN", "")
            for gap in stage.gaps:
                complain(f"{gap['what']} is not archived: {gap['reason']}")
            stage.record(model.outcome_record(
                job=running.job, attempt=running.attempt, status=found.status, provider_status=found.provider_status,
                provider_job=provider_job(), result=found.result, volatile=found.volatile, error=found.error, usage=found.usage,
                gaps=stage.gaps))  # fmt: skip
            stage.commit(durable=False)
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                raise
            with self._mutex:
                self._unwritten.append(stage)
            complain(f"the outcome of job {running.job} is not yet recorded: {error}")
        finally:
            with self._mutex:
                self._running.pop(id(running), None)
            running.stage = None
            running.ended.set()

    def after_fork(self) -> None:
        """In a forked child: the parent records what it started."""
        self._forget()


@cache
def _environment() -> Blob:
    data = codec.encode(environment())
    return Blob("environment", codec.digest(data), data)


@contextmanager
def scope(**changes: Any) -> Iterator[None]:
    """Labels, or a pause, for the executions inside; scopes inside one another add up."""
    outer = _scope.get()
    changes["tags"] = (*outer.tags, *changes.get("tags", ()))
    changes["params"] = {**outer.params, **changes.get("params", {})}
    token = _scope.set(replace(outer, **changes))
    try:
        yield
    finally:
        _scope.reset(token)


def described(error: BaseException) -> dict[str, str]:
    """An exception as plain values."""
    return {"type": f"{type(error).__module__}.{type(error).__qualname__}", "message": str(error)}


def complain(message: str) -> None:
    """Warn, and never raise: where warnings are errors, the user's run still goes on."""
    try:
        warnings.warn(message, ArchiveWarning, stacklevel=2)
    except ArchiveWarning:
        import logging

        logging.getLogger("qarchive").warning(message)


def _undescribed(stage: Stage, provider: Provider, target: Any, error: BaseException) -> Execution:
    """An execution of which nothing but its backend's name could be captured."""
    stage.gap("input", f"{type(error).__name__}: {error}")
    name = getattr(target, "name", None)
    name = name if type(name) is str else type(target).__name__
    return Execution(provider=provider.name, kind="local", backend_name=name, input=stage.put("input", {"type": "missing"}),
                     config=stage.put("config", {}), backend=stage.put("backend", {"name": name}))  # fmt: skip


def _settle_all() -> None:
    for recorder in list(_recorders):
        try:
            recorder.settle()
        except QArchiveError as error:
            complain(f"outcomes of the last jobs are not recorded: {error}")


atexit.register(_settle_all)  # after this `store` flushes, since handlers run last in, first out
