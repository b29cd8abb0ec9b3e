"""Executions on this computer: jobs of a Sampler, processors and simulated computers, each recorded once where it is started."""

import atexit
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from .. import hooks
from ..base import Execution, Follower, Provider, Stage
from ..qiskit_wrapped import is_a
from ..sdk import sdk
from .describe import describe
from .objects import REMOTE_COMPUTERS, SAMPLERS
from .values import to_plain

EXPERIMENT, COMPUTER = "perceval.experiment", "perceval.computer"
_WRAPPERS = {"_probs_wrapper": "probs", "_probs_iterate_locally": "probs", "_samples_wrapper": "samples",
             "_samples_iterate_locally": "samples"}  # fmt: skip
_COMMANDS = ("probs", "samples", "sample_count")


@dataclass
class Call:
    """One thing that is to be computed here, whichever of Perceval's ways was taken to it."""

    command: str
    experiment: Any
    backend: Any  # the simulation backend, or the computer where it has none
    owner: str  # the class that was asked
    iterations: list[dict] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)  # of the command
    settings: dict[str, Any] = field(default_factory=dict)  # of the processor or computer
    name: str | None = None

    @property
    def backend_name(self) -> str:
        name = getattr(self.backend, "name", None)
        return name if isinstance(name, str) else type(self.backend).__name__


@dataclass(frozen=True)
class Asked:
    """A call that is about to be made, read only once it is recorded: `name` is what is known without."""

    make: Callable[[], Call | None]
    name: str


@dataclass(eq=False)
class Run:
    """An execution of a processor or a computer, which Perceval has no job for: what it answered."""

    results: dict | None = None
    computer: Any = None
    waiting: tuple | None = None  # (computation, mitigations, imperfections, getters) of one that goes on in threads
    failed: str | None = None


def experiment_link(stage: Stage, experiment: Any) -> Any:
    """The blob of an experiment, equal for equal ones, however they got here."""
    plain = to_plain(experiment, "experiment", lambda path, reason: stage.gap(f"input.{path}", reason))
    return stage.put("circuit", {"experiment": plain, "text": describe(experiment)})


def describe_call(stage: Stage, provider: str, call: Call) -> Execution:
    """Everything about a call before it starts."""

    def plain(value: Any, what: str) -> Any:
        return to_plain(value, what, stage.gap)

    value = {"type": EXPERIMENT, "experiment": experiment_link(stage, call.experiment)}
    if call.iterations:
        value["iterations"] = plain(call.iterations, "input.iterations")
    parameters = {name: item for name, item in call.parameters.items() if item is not None}
    config = {"command": call.command, "parameters": plain(parameters, "config.parameters")}
    empty = (type(None), dict, list)
    settings = {name: item for name, item in call.settings.items() if item or not isinstance(item, empty)}
    if settings:
        config["settings"] = plain(settings, "config.settings")
    backend = {"type": COMPUTER, "name": call.backend_name, "class": type(call.backend).__qualname__,
               "module": type(call.backend).__module__, "owner": call.owner}  # fmt: skip
    shots = parameters.get("max_samples") or parameters.get("max_shots")
    return Execution(
        provider=provider,
        kind="simulator",
        backend_name=call.backend_name,
        input=stage.put("input", value),
        config=stage.put("config", config),
        backend=stage.put("backend", backend),
        shots=shots if type(shots) is int else None,
        size=max(1, len(call.iterations)),
        names=(call.name,) if call.name else (),
    )


def call_of_job(job: Any) -> Call | None:
    """What a LocalJob of a Sampler computes; None for one that was made of somebody's own function."""
    sampler = getattr(job._fn, "__self__", None)
    if not is_a(sampler, SAMPLERS):
        return None
    processor = sampler._processor
    primitive = _WRAPPERS.get(job._fn.__name__, job._fn.__name__)
    conversion = getattr(job._result_mapping_function, "__name__", None)
    parameters = {"max_shots": sampler._max_shots}
    for part in ("mapping", "command"):
        parameters.update((name, item) for name, item in job.delta_parameters[part].items() if name != "progress_callback")
    return Call(
        command=conversion.rpartition("_to_")[2] if conversion else primitive,
        experiment=processor.experiment,
        backend=processor.backend,
        owner=type(processor).__qualname__,
        iterations=list(sampler._iterator.iterations) if sampler._iterator else [],
        parameters=parameters,
        settings=_settings(processor) | ({"conversion": conversion} if conversion else {}),
        name=job.name if job.name != "Job" else None,
    )


def _settings(processor: Any) -> dict[str, Any]:
    computer = processor._computer
    own = {"noise": processor.noise, "parameters": dict(computer.parameters), "processor_parameters": dict(processor.parameters)}
    return own | ({"mitigations": computer.mitigations} if computer.mitigations else {})


class Local:
    """The replaced methods of a provider, and who waits for what is still running."""

    def __init__(self, provider: Provider):
        self._provider = provider
        self._mutex = Lock()
        self._jobs: weakref.WeakKeyDictionary[Any, Follower] = weakref.WeakKeyDictionary()  # LocalJobs that run in threads
        self._over: weakref.WeakSet[Any] = weakref.WeakSet()  # those whose thread has ended
        self._runs: weakref.WeakKeyDictionary[Any, tuple[Run, Follower]] = weakref.WeakKeyDictionary()  # by each getter
        self._collect: Callable | None = None  # Perceval's own AComputer.get_results
        atexit.register(self._last)

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

    # Jobs of a Sampler

    def _job_method(self, original: Callable, waits: bool) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(job: Any, *args: Any, **kwargs: Any) -> Any:
            sampler = getattr(job._fn, "__self__", None)
            recorder = hooks.recorder_of(*_marks(getattr(sampler, "_processor", None)))
            if recorder is None or not recorder.wanted() or not is_a(sampler, SAMPLERS):
                return original(job, *args, **kwargs)
            answer: list[Any] = []

            def send(kwargs: dict) -> Any:
                if not waits:
                    job._fn = _InThread(job._fn)
                answer.append(original(job, *args, **kwargs))
                return job

            recorder.run(provider, Asked(lambda: _call_of_asked(job, args, kwargs), job.name), (), dict(kwargs), send)
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

    def _maybe_ended(self, job: Any, anyway: bool = False) -> None:
        with self._mutex:
            follower = self._jobs.get(job)
            if follower is None or job not in self._over or (conversion_of(job) and not anyway):
                return
            del self._jobs[job]
        follower.ended()

    # Processors and simulated computers that are asked directly

    def _direct(self, original: Callable, command: str) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(asked: Any, *args: Any, **kwargs: Any) -> Any:
            recorder = hooks.recorder_of(*_marks(asked))
            if recorder is None or not recorder.wanted():
                return original(asked, *args, **kwargs)
            target = Asked(lambda: _direct_call(asked, command, args, kwargs, original), type(asked).__name__)
            return recorder.run(provider, target, (), dict(kwargs), lambda kwargs: Run(original(asked, *args, **kwargs))).results

        return method

    # Computers that execute computations

    def _execute(self, original: Callable) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(computer: Any, computation: Any, out: dict | None = None, progress_callback: Any = None) -> dict:
            recorder = None if is_a(computer, REMOTE_COMPUTERS) else hooks.recorder_of(*_marks(computer))
            if recorder is None or not recorder.wanted():
                return original(computer, computation, out, progress_callback)
            target = Asked(lambda: _call_of_computation(computer, computation), type(computer).__name__)
            return recorder.run(
                provider, target, (), {}, lambda _: Run(original(computer, computation, out, progress_callback))
            ).results

        return method

    def _execute_async(self, original: Callable) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(computer: Any, computation: Any) -> Any:
            recorder = None if is_a(computer, REMOTE_COMPUTERS) else hooks.recorder_of(*_marks(computer))
            if recorder is None or not recorder.wanted():
                return original(computer, computation)
            answer: list[Any] = []

            def send(_: dict) -> Run:
                answer.append(original(computer, computation))
                return Run(computer=computer, waiting=(computation, *answer[0]))

            recorder.run(
                provider, Asked(lambda: _call_of_computation(computer, computation), type(computer).__name__), (), {}, send
            )
            return answer[0]

        return method

    def _get_results(self, original: Callable) -> Callable:
        self._collect = original

        def method(computer: Any, computation: Any, imperfections: Any, async_getters: Any, out: dict | None = None) -> dict:
            found = original(computer, computation, imperfections, async_getters, out)
            first = next((getter for getters in async_getters for getter in getters), None)
            with self._mutex:
                entry = self._runs.get(first) if first is not None else None
            if entry is not None:
                entry[0].results = found
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

    def _maybe_collect(self, run: Run, follower: Follower, anyway: bool = False) -> None:
        """End a run whose threads have ended, where what its user will be given is known without him."""
        computation, mitigations, imperfections, rows = run.waiting
        getters = [getter for row in rows for getter in row]
        with self._mutex:
            if not all(getter in self._over for getter in getters):
                return
        failed = next((getter for getter in getters if getter._status.failed), None)
        if failed is not None:
            run.failed = failed._status.stop_message or failed._status.status.name
        elif anyway:
            with run.computer.apply_configuration(mitigations, imperfections.noise):
                run.results = self._collect(run.computer, computation, imperfections, rows)
        elif mitigations or run.computer.mitigations:
            return  # they are applied when the user asks
        else:
            answers = [[getter._results for getter in row] for row in rows]  # a getter would wait for this very thread
            run.results = self._collect(run.computer, computation, imperfections, answers)
        self._run_ended(run, follower)

    def _run_ended(self, run: Run, follower: Follower) -> None:
        with self._mutex:
            entries = [getter for getter, entry in self._runs.items() if entry[0] is run]
            for getter in entries:
                del self._runs[getter]
        if entries:
            follower.ended()

    # For the provider

    def ended(self, native: Any) -> bool:
        """Whether a local execution has ended, and its outcome is recorded or being recorded."""
        if isinstance(native, Run):
            return native.results is not None or native.failed is not None
        with self._mutex:
            return native not in self._jobs

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

    def _last(self) -> None:
        """At the end of the process: what nobody has asked for is recorded as it came."""
        with self._mutex:
            jobs, runs = list(self._jobs), list({id(entry[0]): entry for entry in self._runs.values()}.values())
        for job in jobs:
            self._maybe_ended(job, anyway=True)
        for run, follower in runs:
            self._maybe_collect(run, follower, anyway=True)


class _InThread:
    """The function of a LocalJob, which finds in its thread what `with` blocks of ours said where the job was started."""

    def __init__(self, function: Callable):
        self.__self__, self.__name__ = function.__self__, function.__name__
        self._carried = hooks.carried(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._carried(*args, **kwargs)


def _call_of_asked(job: Any, args: tuple, kwargs: dict) -> Call | None:
    """What a LocalJob computes when it is executed with these arguments."""
    call = call_of_job(job)
    if call is not None:
        names = list(job._param_names)
        if len(args) > len(names):
            names.append("max_samples")
        call.parameters.update(zip(names, args, strict=False))
        call.parameters.update((name, item) for name, item in kwargs.items() if name not in ("progress_callback", "archive"))
    return call


def conversion_of(job: Any) -> str | None:
    """The conversion that the results of a LocalJob are still to go through when its user asks for them."""
    if job._results is None or job._result_mapping_function is None:
        return None
    return job._result_mapping_function.__name__


def _marks(asked: Any) -> list[Any]:
    """The objects that may have been wrapped in place of the one that is asked."""
    inside = [getattr(asked, "backend", None), getattr(asked, "_backend", None)]
    return [item for item in (asked, *inside) if item is not None and not isinstance(item, str)]


def _direct_call(asked: Any, command: str, args: tuple, kwargs: dict, original: Callable) -> Call:
    names = original.__code__.co_varnames[1 : original.__code__.co_argcount]
    given = {**dict(zip(names, args, strict=False)), **{name: item for name, item in kwargs.items() if name != "archive"}}
    given.pop("progress_callback", None)
    experiment = given.pop("experiment", None) or getattr(asked, "experiment", None)
    if hasattr(asked, "_computer"):
        return Call(command, experiment, asked.backend, type(asked).__qualname__, parameters=given, settings=_settings(asked))
    return Call(command, experiment, asked._backend, type(asked).__qualname__, parameters=given, settings=_of_computer(asked))


def _of_computer(computer: Any) -> dict[str, Any]:
    noise = computer.noise
    return {"noise": noise, "parameters": dict(computer.parameters), "mitigations": computer.mitigations}


def _call_of_computation(computer: Any, computation: Any) -> Call:
    iterations = getattr(computation, "iterations", [])
    return Call(
        command=computation.command.name,
        experiment=computation.experiment,
        backend=getattr(computer, "_backend", computer),
        owner=type(computer).__qualname__,
        iterations=list(iterations),
        parameters=dict(computation.parameters),
        settings=_of_computer(computer),
        name=computation.job_name if computation.job_name != computation.command.name else None,
    )
