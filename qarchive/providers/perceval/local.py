"""Executions on this computer: jobs of a Sampler, processors and simulated computers, each recorded once where it is started."""

import copy
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from .. import choosing, hooks
from ..base import Follower, Provider
from ..sdk import sdk
from ..wrapped import is_a
from . import played
from .calls import Asked, call_of_asked, call_of_computation, call_to_prepare, conversion_of, direct_call
from .objects import COMPUTERS, PROCESSORS, REMOTE_COMPUTERS, SAMPLERS, marks

_COMMANDS = ("probs", "samples", "sample_count")


@dataclass(eq=False)
class Run:
    """An execution of a processor or a computer, which Perceval has no job for: what it answered."""

    results: dict | None = None
    computer: Any = None
    waiting: tuple | None = None  # (computation, mitigations, imperfections, getters) of one that goes on in threads
    failed: str | None = None
    cancelled: bool = False
    unmitigated: bool = False  # its user has not asked for its results, to which mitigations are applied then


class Local:
    """The replaced methods of a provider, and who waits for what is still running."""

    def __init__(self, provider: Provider):
        self._provider = provider
        self._mutex = Lock()
        self._jobs: weakref.WeakKeyDictionary[Any, Follower] = weakref.WeakKeyDictionary()  # LocalJobs that run in threads
        self._over: weakref.WeakSet[Any] = weakref.WeakSet()  # those whose thread has ended
        self._half: weakref.WeakSet[Any] = weakref.WeakSet()  # LocalJobs whose results wait for their user to be converted
        self._runs: weakref.WeakKeyDictionary[Any, tuple[Run, Follower]] = weakref.WeakKeyDictionary()  # by each getter
        self._collect: Callable | None = None  # Perceval's own AComputer.get_results
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked child: what the parent runs is the parent's."""
        self._mutex = Lock()
        self._jobs, self._runs = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """What everything local passes, to be replaced."""
        legacy = sdk("perceval.runtime.legacy", "a processor", "perceval")
        runtime = sdk("perceval.runtime", "a computer", "perceval")
        threaded = sdk("perceval.runtime.local_computer", "a computer", "perceval")._ThreadedGetter
        yield legacy.LocalJob, "execute_sync", lambda original: self._job_method(original, waits=True)
        yield legacy.LocalJob, "execute_async", lambda original: self._job_method(original, waits=False)
        yield legacy.LocalJob, "_call_fn_safe", self._thread_of_job
        yield legacy.LocalJob, "_get_results", self._results_of_job
        yield legacy.Processor, "probs", lambda original: self._direct(original, "probs")
        yield legacy.Processor, "samples", lambda original: self._direct(original, "samples")
        for command in _COMMANDS:
            yield runtime.SimulatedComputer, command, lambda original, command=command: self._direct(original, command)
        computer = sdk("perceval.runtime.abstract_computer", "a computer", "perceval").AComputer
        yield computer, "execute", self._execute
        yield computer, "execute_async", self._execute_async
        yield computer, "get_results", self._get_results
        yield threaded, "_encapsulate", self._encapsulate

    def of_kind(self, native: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """The same for methods that the class of a processor or a computer has of its own, in place of Perceval's."""
        if not is_a(native, PROCESSORS | COMPUTERS) or is_a(native, REMOTE_COMPUTERS):
            return
        computing = {command: lambda original, command=command: self._direct(original, command)
                     for command in {*_COMMANDS, *getattr(native, "_methods", ())}}  # fmt: skip
        executing = {"execute": self._execute, "execute_async": self._execute_async, "get_results": self._get_results}
        methods = computing | (executing if is_a(native, COMPUTERS) else {})
        for base in type(native).__mro__:
            if not base.__module__.startswith("perceval."):
                yield from ((base, name, replacement) for name, replacement in methods.items() if callable(vars(base).get(name)))

    # Jobs of a Sampler

    def _job_method(self, original: Callable, waits: bool) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(job: Any, *args: Any, **kwargs: Any) -> Any:
            sampler = getattr(job._fn, "__self__", None)
            recorder = choosing.recorder_of(*marks(getattr(sampler, "_processor", None)))

            def send(kwargs: dict) -> Any:
                if not waits:
                    job._fn = _InThread(job._fn)
                answer.append(original(job, *args, **kwargs))
                return job

            def play(record: Any) -> Any:
                played.end_job(job, record, args, hooks.without_ours(recorder, kwargs))
                answer.append(job.get_results() if waits else job)
                return job

            answer: list[Any] = []
            asked = getattr(sampler, "_processor", None)
            if recorder is not None:  # it may only want to know what would be sent; else nothing comes of this
                prepared = Asked(lambda: call_to_prepare(job, args, kwargs), job.name, asked)
                recorder.run(provider, prepared, (), {"archive": False}, lambda _: None)
            if recorder is None or not recorder.wanted() or not is_a(sampler, SAMPLERS):
                send(hooks.without_ours(recorder, kwargs))
            else:
                target = Asked(lambda: call_of_asked(job, args, kwargs), job.name, asked, play)
                recorder.run(provider, target, (), dict(kwargs), send)
            return answer[0]

        return method

    def _thread_of_job(self, original: Callable) -> Callable:
        def method(job: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(job, *args, **kwargs)
            finally:
                with self._mutex:
                    self._over.add(job)
                self._maybe_ended(job)

        return method

    def _results_of_job(self, original: Callable) -> Callable:
        def method(job: Any) -> Any:
            results = original(job)
            self._maybe_ended(job)
            return results

        return method

    def _maybe_ended(self, job: Any) -> None:
        """Tell that the thread of a job has ended, or that its user has now had its results converted."""
        with self._mutex:
            follower = self._jobs.get(job)
            if follower is None or job not in self._over:
                return
            partly = conversion_of(job) is not None
            if not partly:
                del self._jobs[job]
            elif job in self._half:
                return
            else:
                self._half.add(job)
        if partly:
            follower.partly()
        else:
            follower.ended(job)

    # Processors and simulated computers that are asked directly

    def _direct(self, original: Callable, command: str) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(asked: Any, *args: Any, **kwargs: Any) -> Any:
            recorder = choosing.recorder_of(*marks(asked))
            if recorder is None or not recorder.wanted():
                return original(asked, *args, **hooks.without_ours(recorder, kwargs))
            name, play = type(asked).__name__, lambda record: Run(record.result())
            target = Asked(lambda: direct_call(asked, command, args, kwargs, original), name, asked, play)
            return recorder.run(provider, target, (), dict(kwargs), lambda kwargs: Run(original(asked, *args, **kwargs))).results

        return method

    # Computers that execute computations

    def _execute(self, original: Callable) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(computer: Any, computation: Any, out: dict | None = None, progress_callback: Any = None) -> dict:
            recorder = None if is_a(computer, REMOTE_COMPUTERS) else choosing.recorder_of(*marks(computer))
            if recorder is None or not recorder.wanted():
                return original(computer, computation, out, progress_callback)

            def play(record: Any) -> Run:
                found = played.results(computer, computation, record, out)
                if progress_callback is not None:
                    progress_callback(1.0, "Finished!")
                return Run(found)

            target = Asked(lambda: call_of_computation(computer, computation), type(computer).__name__, computer, play)
            return recorder.run(
                provider, target, (), {}, lambda _: Run(original(computer, computation, out, progress_callback))
            ).results

        return method

    def _execute_async(self, original: Callable) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(computer: Any, computation: Any) -> Any:
            recorder = None if is_a(computer, REMOTE_COMPUTERS) else choosing.recorder_of(*marks(computer))
            if recorder is None or not recorder.wanted():
                return original(computer, computation)
            answer: list[Any] = []

            def send(_: dict) -> Run:
                answer.append(original(computer, computation))
                return Run(computer=computer, waiting=(computation, *answer[0]))

            def play(record: Any) -> Run:
                answer.append(played.started(computer, computation, record))
                return Run(computer=computer)

            target = Asked(lambda: call_of_computation(computer, computation), type(computer).__name__, computer, play)
            recorder.run(provider, target, (), {}, send)
            return answer[0]

        return method

    def _get_results(self, original: Callable) -> Callable:
        self._collect = self._collect or original  # Perceval's own comes first

        def method(computer: Any, computation: Any, imperfections: Any, async_getters: Any, out: dict | None = None) -> dict:
            first = next((getter for getters in async_getters for getter in getters), None)
            whole = played.whole_of(first)
            if whole is not None:
                found = {} if out is None else out
                found.update(whole)
                return found
            found = original(computer, computation, imperfections, async_getters, out)
            with self._mutex:
                entry = self._runs.get(first) if first is not None else None
            if entry is not None:
                entry[0].results, entry[0].unmitigated = found, False
                self._run_ended(*entry)
            return found

        return method

    def _encapsulate(self, original: Callable) -> Callable:
        def method(getter: Any, function: Callable) -> Callable:
            custom = original(getter, hooks.carried(function))

            def in_thread(*args: Any, **kwargs: Any) -> None:
                try:
                    custom(*args, **kwargs)
                finally:
                    with self._mutex:
                        self._over.add(getter)
                        entry = self._runs.get(getter)
                    if entry is not None:
                        self._maybe_collect(*entry)

            return in_thread

        return method

    def _maybe_collect(self, run: Run, follower: Follower) -> None:
        """End a run whose threads have ended; partly, where mitigations are applied when its user asks."""
        computation, mitigations, imperfections, rows = run.waiting
        getters = [getter for row in rows for getter in row]
        with self._mutex:
            if not all(getter in self._over for getter in getters):
                return
        failed = next((getter for getter in getters if getter._status.failed or getter._status.canceled), None)
        if failed is not None:
            run.cancelled = failed._status.canceled
            run.failed = failed._status.stop_message or failed._status.status.name
        answers = [[getter._results for getter in row] for row in rows]  # a getter would wait for this very thread
        if failed is None and mitigations:
            run.results, run.unmitigated = {"results_list": [answer for row in answers for answer in row]}, True
            follower.partly()
            return
        if failed is None:
            computer = copy.copy(run.computer)  # its user may have set mitigations since, which are not this run's
            computer.mitigations = []
            run.results = self._collect(computer, computation, imperfections, answers)
        self._run_ended(run, follower)

    def _run_ended(self, run: Run, follower: Follower) -> None:
        with self._mutex:
            entries = [getter for getter, entry in self._runs.items() if entry[0] is run]
            for getter in entries:
                del self._runs[getter]
        if entries:
            follower.ended(run)

    # For the provider

    def ended(self, native: Any) -> bool:
        """Whether a local execution has ended, and its outcome is recorded or being recorded."""
        if isinstance(native, Run):
            return native.results is not None or native.failed is not None
        with self._mutex:
            return native not in self._jobs or native in self._half

    def follow(self, native: Any, follower: Follower) -> None:
        """Tell a follower when a LocalJob or a Run has ended."""
        if isinstance(native, Run):
            if native.waiting is None:
                follower.ended()
                return
            with self._mutex:
                for getters in native.waiting[3]:
                    for getter in getters:
                        self._runs[getter] = (native, follower)
            self._maybe_collect(native, follower)
            return
        if native._worker is None:
            follower.ended()
            return
        with self._mutex:
            self._jobs[native] = follower
            if not native._worker.is_alive():
                self._over.add(native)
        self._maybe_ended(native)


class _InThread:
    """The function of a LocalJob, which finds in its thread what `with` blocks of ours said where the job was started."""

    def __init__(self, function: Callable):
        self.function = function.function if isinstance(function, _InThread) else function
        self.__self__, self.__name__ = getattr(function, "__self__", None), getattr(function, "__name__", "")
        self._carried = hooks.carried(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._carried(*args, **kwargs)
