"""Pulser's emulators that run in this process: what is recorded of a run, and how it is read back."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from ...errors import BadInput, NotEncodable
from ...values import Link
from .. import hooks
from ..base import Execution, Follower, Get, Outcome, Provider, Recorder, Stage
from ..wrapped import Wrapped, unwrapped
from . import configs, emulators, results
from .sequences import SEQUENCE, NotRepresentable, load_sequence, pulser, put_sequence

_SAMPLED = "run_from_sequence_samples"


class WrappedEmulator(Wrapped):
    """An emulator whose runs are recorded; what it runs inside is part of them."""

    __slots__ = ()

    @hooks.passed_over
    def run_from_sequence_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The class's own function, recorded."""
        native = self._qarchive_native
        function = native.run_from_sequence_samples
        target = emulators.SampledRun.of(type(native), args, kwargs)
        if target is None:
            return function(*args, **kwargs)
        return self._qarchive_recorder.run(self._qarchive_provider, target, (), {}, lambda sent: function(*args, **kwargs))


class Finished:
    """A run that has ended: results of Pulser's are no keys, and know nothing of the job that they came of."""

    def __init__(self, result: Any):
        self.result = result


class Repetition:
    """An emulator that is run again for the archive, which must know the run it gets by more than its results."""

    def __init__(self, emulator: Any):
        self.emulator = emulator


class WrappedRepetition:
    """What runs a repetition and records it."""

    def __init__(self, repetition: Repetition, provider: Provider, recorder: Recorder):
        self._repetition, self._provider, self._recorder = repetition, provider, recorder

    def run(self, *args: Any, **kwargs: Any) -> Finished:
        emulator = self._repetition.emulator
        return self._recorder.run(
            self._provider,
            emulator,
            args,
            kwargs,
            lambda sent: Finished(emulator.run(*args, **{name: kwargs[name] for name in sent})),
        )


class PulserProvider(Provider):
    """QutipBackendV2, its deprecated elders QutipBackend and QutipEmulator, and any other EmulatorBackend that runs here."""

    name = "pulser"
    extra = "pulser"
    order = "the first qubit is the leftmost"

    def __init__(self):
        self._rebuilt: weakref.WeakKeyDictionary[Any, tuple] = weakref.WeakKeyDictionary()  # input and config of each

    def owns(self, native: Any) -> bool:
        return type(native) is Repetition or emulators.is_emulator(native)

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        if type(native) is Repetition:
            return WrappedRepetition(native, self, recorder)
        return WrappedEmulator(unwrapped(native), self, recorder)

    def backend_name(self, target: Any) -> str:
        """What the job record calls an emulator."""
        return emulators.name_of(target)

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        return emulators.describe(stage, self.name, target, args, kwargs)

    def parts(self, native: Any) -> list:
        return [native if type(native) is Finished else Finished(native)]

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        raise BadInput(f"a {type(job).__name__}", "it does not know its sequence", "wrap the emulator before it runs")

    def job_id(self, job: Any) -> str | None:
        return None

    def ended(self, job: Any) -> bool:
        return True

    def follow(self, job: Any, follower: Follower) -> None:
        follower.ended()

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        result = job.result if type(job) is Finished else job
        try:
            plain, volatile = results.pack(result, lambda path, reason: stage.gap(f"result.{path}", reason))
            link = stage.put("result", plain)
        except NotEncodable as error:  # a class of somebody else's
            stage.gap("result", str(error))
            return Outcome("DONE", "DONE")
        return Outcome("DONE", "DONE", result=link, volatile=volatile)

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """(Sequence, configuration); of a QutipEmulator ((SequenceSamples, register, device), map of its settings)."""
        return emulators.load_input(get, job)

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        return results.unpack(_result(get, outcome), outcome.get("volatile", {}))

    def load_job(self, record: Any) -> Any:
        """The finished results: Pulser has no jobs for what runs here."""
        pulser("pulser", "a result of Pulser's")
        return record.result()

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        """The bit strings at the end of the sequence."""
        return results.counts(_result(get, outcome), index)

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What was stored for each observable, by its tag, at every time; `times`, the same of the times; `counts`."""
        return results.data(_result(get, outcome))

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        """The sequence, as Pulser printed it when it ran."""
        found = get(job["input"]).get("text")
        if type(found) is not str:
            reason = "it is not in the archive" if found is None else "its text is none"
            raise BadInput("the input of this job", reason, "see the gaps of the job")
        return [found]

    def put_attachment(self, stage: Stage, value: Any) -> dict | None:
        """A Sequence, parametrized ones too."""
        kind = type(value)
        if (kind.__module__, kind.__name__) != ("pulser.sequence.sequence", "Sequence"):
            return None
        try:
            return put_sequence(stage, value)
        except NotRepresentable as error:
            raise BadInput("this sequence", str(error)) from None

    def load_attachment(self, get: Get, value: Mapping[str, Any]) -> Any:
        if value.get("type") != SEQUENCE:
            return super().load_attachment(get, value)
        return load_sequence(get, value)

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
        """The emulator with its input: of Pulser's emulators each runs one sequence."""
        emulator = emulators.rebuild(get, job, emulators.class_of(backend))
        with suppress(TypeError):  # somebody else's may be no key, and is made a second time to be run
            self._rebuilt[emulator] = (job["input"], job["config"])
        return emulator

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        """The archived input on an emulator of the class of `backend`, which may be a class, or an emulator of anything."""
        emulator = unwrapped(backend)
        if not self._is_of(emulator, job):
            kind = backend if isinstance(backend, type) else emulators.kind_of(backend)
            emulator = emulators.rebuild(get, job, kind)
        return Repetition(emulator), (), emulators.load_run(get, job)

    def _is_of(self, emulator: Any, job: Mapping[str, Any]) -> bool:
        """Whether an emulator was rebuilt for this job: another one would draw other noise from the same seed."""
        try:
            return self._rebuilt.get(emulator) == (job["input"], job["config"])
        except TypeError:
            return False

    # Replay

    def alike(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> dict[str, Any]:
        return {**super().alike(get, job, snapshot), "config": configs.alike(get(job["config"]))}

    def alike_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """The sequence or the samples with register and device, without Pulser's words for people, which change with it."""
        return {name: item for name, item in get(job["input"]).items() if name != "text"}

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        """What `run` returned, with the observables of the emulator that runs now."""
        emulator = unwrapped(target)
        config = emulator.config if type(emulator) is emulators.SampledRun else getattr(emulator, "_config", None)
        return configs.renamed(config, self.load_job(jobs[0]))

    def stand_ins(self, player: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """Emulators of packages that are imported later: their classes are replayed when their first object is made."""
        yield pulser("pulser.backend.abc", "an emulator of Pulser's").EmulatorBackend, "__init__", self._made

    def _made(self, original: Callable) -> Callable:
        @hooks.passed_over
        def method(emulator: Any, *args: Any, **kwargs: Any) -> None:
            if emulators.is_emulator(emulator):
                hooks.instrument(self)
            original(emulator, *args, **kwargs)

        return method

    # Executions that nobody wrapped

    def entry_points(self) -> Iterator[tuple[type, str]]:
        for kind in emulators.classes():
            yield kind, "run"

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        for kind in emulators.classes():
            if isinstance(vars(kind).get(_SAMPLED), staticmethod):
                yield kind, _SAMPLED, partial(self._sampled, kind)

    def _sampled(self, kind: type, original: staticmethod) -> staticmethod:
        function = original.__func__

        @hooks.passed_over
        def run(*args: Any, **kwargs: Any) -> Any:
            recorder = hooks.recorder_of()
            target = None if recorder is None else emulators.SampledRun.of(kind, args, kwargs)
            if target is None:
                return function(*args, **kwargs)
            return recorder.run(self, target, (), {}, lambda sent: function(*args, **kwargs))

        return staticmethod(run)


def _result(get, outcome) -> Mapping[str, Any]:
    link = outcome.get("result")
    if link is None:
        raise BadInput("this job", "it ended without a result", "look at its error")
    return get(link)
