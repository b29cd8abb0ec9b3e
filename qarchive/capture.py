"""The one way in: every execution passes here, whatever its provider, and is recorded around its run.

Recording never breaks, slows or alters the run: what cannot be captured is a gap and a warning. With `on_error="raise"`
nothing is sent that could not be recorded.
"""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from . import entries, model, records, scope
from .errors import BadInput, CannotWrite, NotEncodable, NotFound, QArchiveError
from .providers import hooks
from .providers.base import Cloud, Execution, Outcome, Provider
from .stage import Stage
from .store import Store
from .values import Link, Timestamp

SETTLE_S = 60.0  # how long a reader waits for the outcome of a job that has ended to be written

_BESIDE = (".structure", ".classes")  # gaps of a circuit whose payload is kept

# SDKs raise what is no Exception (panics of Rust code, pasqal-cloud's errors), and even that must not break a run: whatever
# they raise while they are being read becomes a gap. These alone are the user's.
_INTERRUPTS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class _Running:
    """One execution between its start and its outcome, told by its provider how it goes on."""

    def __init__(self, recorder: "Recorder", stage: Stage | None, provider: Provider):
        self.recorder, self.provider = recorder, provider
        self.stage = stage  # of the start, and kept where it could not be written yet
        self.job: Link | None = None
        self.attempt: Link | None = None
        self.native: Any = None
        self.process = os.getpid()  # a forked child has a copy, and must leave the job to its parent
        self.half = False  # an outcome is written, and a better one may follow
        self.remote = False
        self.written = False
        self.done = threading.Event()  # its outcome was recorded, or given up with a warning

    def start(self, execution: Execution, created: Timestamp | None = None, ours: bool = True) -> None:
        """Stage its job and its attempt."""
        self.remote = execution.remote
        self.job, self.attempt = entries.put_start(self.stage, execution, created, ours)

    def start_again(self, execution: Execution, folded: model.Folded) -> None:
        """Stage a further attempt of an archived job."""
        self.remote, self.job = execution.remote, Link(folded.id)
        self.attempt = entries.put_further(self.stage, folded, execution)

    def status(self, status: str, provider_status: str) -> None:
        if self.written and not self.done.is_set() and self.process == os.getpid():
            self.recorder._note(self, status, provider_status)

    def ended(self, native: Any = None) -> None:
        self._end(self.native if native is None else native, half=False)

    def partly(self) -> None:
        self._end(self.native, half=True)

    def _end(self, native: Any, half: bool) -> None:
        if (self.done.is_set() and not self.half) or (half and self.half) or self.process != os.getpid():
            return
        provider, self.half = self.provider, half
        self.recorder._end(self, lambda stage: provider.outcome(stage, native), lambda: provider.job_id(native))


_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Recorder:
    """Records executions into one store. One instance serves all threads of a process."""

    def __init__(self, store: Store, on_error: str):
        self.store, self.on_error = store, on_error
        self.way: Any = self  # what wrapped objects get: the archive's, which can also look
        self._forget()
        _recorders.add(self)

    def _forget(self) -> None:
        self._mutex = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._known: weakref.WeakKeyDictionary[Any, Link] = weakref.WeakKeyDictionary()
        self._unwritten: list[Stage] = []

    # Executions

    @hooks.passed_over
    def run(self, provider: Provider, target: Any, args: tuple, kwargs: dict, send: Callable[[dict], Any]) -> Any:
        """Record one execution of `target` around `send(kwargs)`; the SDK's job is returned as it came.

        What runs inside of it is part of it, and not recorded again.
        """
        if (player := scope.player()) is not None:
            return player.run(provider, target, args, kwargs, send)
        here = scope.here()
        if here.prepare is not None:
            kwargs.pop("archive", True)
            here.prepare(provider, target, args, kwargs)
        if not kwargs.pop("archive", True):
            with scope.within(paused=True):
                return send(kwargs)
        if not self.wanted():
            return send(kwargs)
        executions = self._start(provider, target, args, kwargs)
        return self._send(provider, executions, lambda: send(kwargs))

    @staticmethod
    def wanted() -> bool:
        """Whether what runs here is to be recorded: not in a pause, and not as part of an execution that is recorded already."""
        here = scope.here()
        return not (here.paused or here.nested)

    @hooks.passed_over
    def retry(self, provider: Provider, provider_job: str, target: Any, send: Callable[[], Any]) -> Any:
        """Record that a cloud is asked to run one of its jobs again: a new attempt of the same job. What `send()` returned.

        A job that is not archived is, with what its provider tells, once it is accepted.
        """
        if (player := scope.player()) is not None:
            return player.retry(provider, provider_job, target, send)
        if not self.wanted():
            return send()
        found = self.find(provider, provider_job)
        executions = [] if found is None else self._start_retry(provider, found, target)
        return self._send(provider, executions, send)

    def event(self, provider: Provider, provider_job: str, name: str, value: object = None) -> None:
        """Record, for good, that something happened to a job that is archived (its batch was closed). Warns, and never raises."""
        if (player := scope.player()) is not None:
            player.event(provider, provider_job, name, value)
            return
        if not self.wanted():
            return
        try:
            found = self.find(provider, provider_job)
            if found is None:
                return
            stage = Stage(self.store)
            link = None if value is None else stage.put("event", value)
            stage.record(records.event_record(job=found, name=name, value=link))
            stage.commit(durable=True)
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                raise
            entries.complain(f"that job {provider_job} was {name} is not recorded: {error}")

    @hooks.passed_over
    def _send(self, provider: Provider, executions: list[_Running], send: Callable[[], Any]) -> Any:
        """Send what is recorded, record that it was accepted or not, and follow each of the SDK's jobs that come of it."""
        token = scope.nest()
        try:
            native = send()
        except BaseException as error:
            self._unsent(executions, error)
            raise
        finally:
            scope.leave(token)
        try:
            jobs = self._parts(provider, executions, native)
            if executions and executions[0].remote:
                self._accepted(executions, jobs)
            for running, job in zip(executions, jobs, strict=False):
                self._follow(running, job)
            for job in jobs[len(executions) :]:
                self._take_in(provider, job)
        except BaseException:  # an interrupt: nobody waits for what it cut off
            for running in executions:
                if not running.done.is_set() and running.native is None:
                    running.done.set()
            raise
        return native

    def _let_go(self, running: _Running) -> None:
        """Follow an execution no more, though its outcome is not recorded."""
        with self._mutex:
            self._running.pop(id(running), None)
        running.stage = running.native = None
        running.done.set()

    def _parts(self, provider: Provider, executions: list[_Running], native: Any) -> list:
        try:
            jobs = provider.parts(native)
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                raise
            entries.complain(f"the ids of jobs that were sent cannot be read: {entries.described(error)['message']}")
            return []
        if len(jobs) < len(executions):
            entries.complain(
                f"{len(executions)} jobs were sent, and only {len(jobs)} accepted; `qarchive recover` looks for the others"
            )
        return jobs

    def _take_in(self, provider: Provider, job: Any) -> None:
        """Record a job that came of a request which could not say beforehand what it would make."""
        try:
            self.record(provider, job)
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                raise
            entries.complain(f"job {provider.job_id(job)} is not recorded: {entries.described(error)['message']}")

    def record(self, provider: Provider, job: Any) -> Link:
        """Record an SDK job that runs or has ended; the same job again is the same record."""
        if (player := scope.player()) is not None:
            return player.record(provider, job)
        found = self._recorded(job)
        if found is None:
            found = self.find(provider, provider.job_id(job))
        if found is not None:
            return found
        if isinstance(provider, Cloud) and provider.elsewhere(job):
            running = self._adopt(provider, job)
        else:
            running = self._start(provider, *provider.call_of(job), raising=True)[0]
        self._follow(running, job)
        return running.job

    def rerun(self, provider: Provider, parent: Link, target: Any, args: tuple, kwargs: dict) -> Link:
        """Run an archived job again, as a child of the first; the new job."""
        children: list[Link] = []
        with scope.within(parent=parent, children=children):
            provider.wrap(target, self.way).run(*args, **kwargs)
        if not children:
            raise NotFound(f"a record of job {parent} run again", str(self.store.path), "the warning that came with it says why")
        return children[-1]

    def resume(self, provider: Provider, job: Any) -> None:
        """Follow an SDK job that was archived in another process and is looked at again, if it has not ended there."""
        if scope.here().paused or scope.player() is not None:
            return
        found = self.find(provider, provider.job_id(job))
        if found is None:
            return
        attempts = self.folded(found.digest).attempts
        attempt = next((each for each in attempts if each.provider_job == provider.job_id(job)), None)
        if attempt is None or (attempt.status in model.TERMINAL and not _may_still_bring(provider, attempt)):
            return
        if self._recorded(job) is not None:
            return
        running = _Running(self, None, provider)
        running.job, running.attempt, running.remote, running.written = found, attempt.link, True, True
        self._follow(running, job)

    def _recorded(self, job: Any) -> Link | None:
        """The record of an SDK job that this process has met, where that can be told from the object alone."""
        try:
            with self._mutex:
                return self._known.get(job)
        except TypeError:
            return None  # it cannot be referred to weakly, or has no hash

    def folded(self, job: bytes) -> model.Folded:
        """All records of a job and what they add up to."""
        digests, foreign = self.store.index.records_by_origin(job)
        return model.fold(job, {digest: self.store.value(digest) for digest in digests}, foreign)

    def follows(self, attempt: Link) -> bool:
        """Whether the outcome of an attempt is still awaited in this process."""
        with self._mutex:
            return any(running.attempt == attempt for running in self._running.values())

    def wait(self, job: Link, timeout: float) -> bool:
        """Wait for the outcome of a job that runs in this process; whether nothing of it is awaited here any more."""
        with self._mutex:
            running = next((each for each in self._running.values() if each.job == job), None)
        return running is None or running.done.wait(timeout)

    def forget(self, attempt: Link) -> None:
        """Follow an attempt no more: its outcome was recorded in another way."""
        with self._mutex:
            for number, running in list(self._running.items()):
                if running.attempt == attempt:
                    running.done.set()
                    del self._running[number]

    def find(self, provider: Provider, provider_job: str | None) -> Link | None:
        """The job that was archived with this id of the provider's, in this process or another."""
        rows = map(self.store.index.row, self.store.index.jobs_of_provider(provider_job) if provider_job else ())
        return next((Link(bytes.fromhex(row.id)) for row in rows if row and row.provider == provider.name), None)

    def settle(self) -> None:
        """Wait until jobs that have ended have their outcomes recorded, and write what a full disk had held up."""
        with self._mutex:
            under_way = [(running, running.native) for running in self._running.values()]
        deadline = time.monotonic() + SETTLE_S
        for running, native in under_way:
            if native is not None and running.provider.ended(native) and not running.done.wait(deadline - time.monotonic()):
                self._let_go(running)
                entries.complain(f"the outcome of job {running.job} was waited for in vain; `qarchive sync` looks for it")
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

    def _start(self, provider: Provider, target: Any, args: tuple, kwargs: dict, raising: bool = False) -> list[_Running]:
        """Write the jobs and their attempts, before they are sent; to a disk that would survive a power cut, where they cost
        money. One job, but where an SDK sends several at once."""
        here = scope.here()
        stage = Stage(self.store)
        raising = raising or self.on_error == "raise" or bool(here.again)
        executions: list[_Running] = []
        try:
            try:
                self.store.prepare()
            except CannotWrite:
                if raising:
                    raise  # else it is kept in memory until the disk takes it
            try:
                found = provider.describe_all(stage, target, args, kwargs)
            except BaseException as error:
                if raising or isinstance(error, _INTERRUPTS):
                    raise
                found = [entries.put_undescribed(stage, provider, target, error)]
            lost = next((gap["reason"] for gap in stage.gaps if gap["what"] == "input"), None)
            if raising and lost is not None:
                raise NotEncodable(lost, "input")
            executions = [_Running(self, stage, provider) for _ in found]
            if here.again and len(here.again) != len(found):
                raise BadInput(f"{len(here.again)} prepared jobs", f"they became {len(found)} when they were to be sent")
            for place, (running, execution) in enumerate(zip(executions, found, strict=True)):
                if here.again:
                    running.start_again(execution, self.folded(here.again[place].digest))
                else:
                    running.start(execution)
            entries.complain_of(stage.gaps)
            self._commit_start(stage, executions)
            if here.started is not None:
                here.started()
            if here.children is not None:
                here.children.extend(running.job for running in executions)
        except BaseException as error:
            if raising or isinstance(error, _INTERRUPTS):
                raise
            entries.complain(f"a job is not yet recorded: {error}")
        return executions or [_Running(self, stage, provider)]

    def _start_retry(self, provider: Provider, job: Link, target: Any) -> list[_Running]:
        """Write a further attempt of an archived job that its cloud is asked to run again, before it is."""
        stage = Stage(self.store)
        running = _Running(self, stage, provider)
        running.job, running.remote = job, True
        try:
            folded = self.folded(job.digest)
            running.start_again(provider.again(stage, target, folded.record), folded)
            entries.complain_of(stage.gaps)
            self._commit_start(stage, [running])
        except BaseException as error:
            if self.on_error == "raise" or isinstance(error, _INTERRUPTS):
                raise
            entries.complain(f"a further attempt of job {job} is not yet recorded: {error}")
        return [running]

    def prepare(self, stage: Stage, provider: Provider, target: Any, args: tuple, kwargs: dict) -> list[Link]:
        """Stage the jobs that a call would send; nothing is sent. Raises whatever keeps one of them from being recorded."""
        if scope.player() is not None:
            raise BadInput("a replay", "prepares no jobs", "add them to the group outside of it")
        self.store.prepare()
        before = len(stage.gaps)
        executions = provider.describe_all(stage, target, args, kwargs)
        gaps, stage.gaps[before:] = stage.gaps[before:], []
        lost = next(filter(_is_needed, gaps), None)
        if lost is not None:
            raise NotEncodable(lost["reason"], lost["what"])
        # What is known of the device today is not what it will be like when the job is sent.
        entries.complain_of([gap for gap in gaps if gap["what"].split(".")[0] in ("input", "config")])
        for execution in executions:
            if execution.remote and execution.calibration is not None:
                stage.blobs.pop(execution.calibration.digest, None)
        return [entries.put_start(stage, execution, unsent=True)[0] for execution in executions]

    def _commit_start(self, stage: Stage, executions: list[_Running]) -> None:
        stage.commit(durable=any(running.remote for running in executions))
        for running in executions:
            running.written = True

    def _adopt(self, provider: Cloud, job: Any) -> _Running:
        """Write a job that was sent without us, as far as its provider can tell."""
        stage = Stage(self.store)
        running = _Running(self, stage, provider)
        self.store.prepare()
        fetched = provider.fetch(stage, job)
        if not fetched.ours:
            stage.gap("environment", "the job was sent without the archive")
        running.start(fetched.execution, fetched.created, fetched.ours)
        entries.complain_of(stage.gaps)
        stage.record(records.sent_record(job=running.job, attempt=running.attempt, **vars(fetched.sent)))
        stage.commit(durable=True)
        running.written = True
        return running

    def _unsent(self, executions: list[_Running], error: BaseException) -> None:
        """Record that sending raised: a local run failed, a cloud refused it, or nobody knows, and then it stays SENDING."""
        said = entries.described(error)
        for running in executions:
            if not running.remote:
                failed = Outcome("ERROR", type(error).__name__, error=said)
                self._end(running, lambda stage, failed=failed: failed, lambda: None)
            elif running.provider.refused(error):
                words = running.provider.words(error)
                refused = Outcome("REFUSED", type(error).__name__, error={**said, "message": words} if words else said)
                self._end(running, lambda stage, refused=refused: refused, lambda: None)
            else:
                unsure = "sending it got no answer, so it may or may not run; `qarchive recover` looks for it"
                entries.complain(f"job {running.job}: {unsure}")
                self._note(running, "SENDING", type(error).__name__, said)

    def _accepted(self, executions: list[_Running], jobs: list) -> None:
        """Write the ids that a cloud gave jobs, for good, before the user hears of them."""
        accepted = [(running, job) for running, job in zip(executions, jobs, strict=False) if running.job is not None]

        def stage_ids(stage: Stage) -> None:
            for running, job in accepted:
                stage.record(records.sent_record(job=running.job, attempt=running.attempt, **vars(running.provider.sent(job))))

        self._write([running for running, _ in accepted], stage_ids, durable=True, what="the provider's id")

    def _note(self, running: _Running, status: str, word: str, error: Mapping | None = None) -> None:
        """Write how an execution stands that has not ended."""

        def stage_status(stage: Stage) -> None:
            stage.record(records.status_record(
                job=running.job, attempt=running.attempt, status=status, provider_status=word, error=error))  # fmt: skip

        self._write([running], stage_status, durable=False, what="the status")

    def _follow(self, running: _Running, job: Any) -> None:
        """Record the outcome when the job has ended: of a local one whether or not anybody asks for it."""
        running.native = job
        with self._mutex:
            self._running[id(running)] = running
            if running.job is not None:
                try:
                    self._known[job] = running.job
                except TypeError:
                    pass  # an SDK job that cannot be referred to weakly is recorded, only not recognised again
        try:
            running.provider.follow(job, running)
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                self._let_go(running)
                raise
            entries.complain(
                f"the outcome of job {running.job} cannot be waited for: {type(error).__name__}: {records.plain_text(error)}"
            )
            if running.remote:
                return  # it goes on elsewhere, and `sync` will ask
            unseen = Outcome("UNKNOWN", "")
            self._end(running, lambda stage: unseen, lambda: None)

    def _end(self, running: _Running, outcome: Callable[[Stage], Outcome], provider_job: Callable[[], str | None]) -> None:
        """Write how an execution ended. Called once, in whatever thread the job ended in."""

        def stage_outcome(stage: Stage) -> None:
            try:
                found = outcome(stage)
            except BaseException as error:
                if isinstance(error, _INTERRUPTS):
                    raise
                stage.gap("result", f"{type(error).__name__}: {records.plain_text(error)}")
                found = Outcome("UNKNOWN", "")
            entries.complain_of(stage.gaps)
            entries.put_outcome(stage, running.job, running.attempt, found, provider_job())

        try:
            self._write([running], stage_outcome, durable=running.remote, what="the outcome")
        finally:
            with self._mutex:
                self._running.pop(id(running), None)
            if running.attempt is not None:
                self.forget(running.attempt)  # another of the SDK's objects may stand for the same job
            running.stage = running.native = None
            running.done.set()

    def _write(self, executions: list[_Running], fill: Callable[[Stage], None], durable: bool, what: str) -> None:
        """Commit what `fill` stages about executions, and their start if that is not written yet. Warns, and never raises."""
        stage = Stage(self.store)
        try:
            if not executions or executions[0].job is None:
                return
            for running in executions:
                if not running.written and running.stage is not None:  # else it is among what waits to be written
                    stage.blobs.update(running.stage.blobs)
            fill(stage)
            stage.commit(durable)
            for running in executions:
                running.written = True
        except BaseException as error:
            if isinstance(error, _INTERRUPTS):
                raise
            with self._mutex:
                self._unwritten.append(stage)
            entries.complain(f"{what} of job {executions[0].job} is not yet recorded: {error}")

    def after_fork(self) -> None:
        """In a forked child: the parent records what it started."""
        self._forget()


def _is_needed(gap: Mapping[str, str]) -> bool:
    """Whether what a gap is about is needed to run the job again: all of the input, but for what only people look at."""
    what = gap["what"]
    return what.split(".")[0] == "input" and not what.startswith("input.metadata") and not what.endswith(_BESIDE)


def _may_still_bring(provider: Provider, attempt: model.Attempt) -> bool:
    """Whether what has ended may still have results to read that are not archived."""
    return provider.late_results and attempt.outcome is not None and attempt.outcome.get("result") is None


def _settle_all() -> None:
    for recorder in list(_recorders):
        try:
            recorder.settle()
        except QArchiveError as error:
            entries.complain(f"outcomes of the last jobs are not recorded: {error}")


atexit.register(_settle_all)  # after this `store` flushes, since handlers run last in, first out
