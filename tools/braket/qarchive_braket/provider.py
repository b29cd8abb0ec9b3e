"""Amazon Braket's LocalSimulator: what is recorded of a run or a batch, and how it is read back."""

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

from qarchive.errors import BadInput, NotEncodable
from qarchive.providers import hooks
from qarchive.providers.base import Execution, Follower, Get, Outcome, Provider, Recorder, Stage
from qarchive.providers.wrapped import Wrapped, is_a, unwrapped
from qarchive.values import Link

from . import braket, programs, results, simulators

_DEVICES = frozenset({("braket.devices.local_simulator", "LocalSimulator")})
_TASKS = frozenset({("braket.tasks.local_quantum_task", "LocalQuantumTask")})


class Batch:
    """What stands for a device while `run_batch` is recorded: `describe_all` is told which object runs, not which method."""

    def __init__(self, device: Any):
        self.device, self.name = device, device.name


class WrappedSimulator(Wrapped):
    """A LocalSimulator whose runs and batches are recorded. `Wrapped` has `run`; all else is the simulator's own."""

    __slots__ = ()

    @hooks.passed_over
    def run_batch(self, *args: Any, **kwargs: Any) -> Any:
        """The simulator's own `run_batch`: each of its tasks is a job."""
        device = self._qarchive_native
        return _record_batch(self._qarchive_recorder, self._qarchive_provider, device, device.run_batch, args, kwargs)


def _record_batch(recorder, provider, device, run_batch, args, kwargs):
    *seen, args, kwargs = hooks.read_twice(args, kwargs)
    return recorder.run(provider, Batch(device), *seen, lambda sent: run_batch(*args, **{name: kwargs[name] for name in sent}))


class BraketProvider(Provider):
    """Circuits and OpenQASM programs on LocalSimulator, whichever simulator is behind it."""

    name = "braket"
    extra = ""
    rebuilds_alike = True

    # What is recorded

    def owns(self, native: Any) -> bool:
        return type(native) is Batch or is_a(native, _DEVICES) or is_a(native, _TASKS)

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        return WrappedSimulator(unwrapped(native), self, recorder)

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        device = unwrapped(target)
        call = signature(device.run).bind(*args, **kwargs).arguments
        return self._execution(stage, device, simulators.put_simulator(stage, device), call, call.get("inputs"))

    def describe_all(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        if type(target) is not Batch:
            return [self.describe(stage, target, args, kwargs)]
        device = unwrapped(target.device)
        call = signature(device.run_batch).bind(*args, **kwargs).arguments
        tasks, inputs = call["task_specifications"], call.get("inputs") or {}
        several = isinstance(tasks, list | tuple)
        if isinstance(inputs, dict):
            tasks = tasks if several else [tasks]
            inputs = [inputs] * len(tasks)
        elif not several:
            tasks = [tasks] * len(inputs)
        backend = simulators.put_simulator(stage, device)
        return [
            self._execution(stage, device, backend, {**call, "task_specification": task}, values)
            for task, values in zip(tasks, inputs, strict=True)
        ]

    def _execution(self, stage, device, backend, call, inputs) -> Execution:
        config = {"type": "braket.run", "shots": call.get("shots"), "inputs": dict(inputs or {}),
                  "args": list(call.get("args", ())), "options": dict(call.get("kwargs", {}))}  # fmt: skip
        try:
            kept = stage.put("config", config)
        except NotEncodable as error:  # an argument for somebody else's simulator
            stage.gap("config.options", str(error))
            kept = stage.put("config", {**config, "args": [], "options": {}})
        return Execution(
            provider=self.name,
            kind="simulator",
            backend_name=self.backend_name(device),
            input=stage.put("input", programs.put_program(stage, call["task_specification"])),
            config=kept,
            backend=backend,
            shots=call.get("shots") or 0,
        )

    def parts(self, native: Any) -> list:
        if is_a(native, _TASKS):
            return [native]
        task = braket("tasks.local_quantum_task", "a task").LocalQuantumTask
        return [task(result) for result in native.results()]

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        raise BadInput(f"a {type(job).__name__}", "it does not know its circuit", "wrap the simulator before it runs")

    def job_id(self, job: Any) -> str | None:
        # Analog simulations are all called "rydberg", and jobs of one id would be taken for one.
        return job.id if results.is_result(job.result()) else None

    def ended(self, job: Any) -> bool:
        return True  # a LocalQuantumTask is made of its result

    def follow(self, job: Any, follower: Follower) -> None:
        follower.ended()

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        result = job.result()
        if not results.is_result(result):
            stage.gap("result", f"a {type(result).__name__}, and results of circuits are what is kept")
            return Outcome("DONE", job.state())
        try:
            plain, volatile = results.pack(result)
            return Outcome("DONE", job.state(), result=stage.put("result", plain), volatile=volatile)
        except NotEncodable as error:
            stage.gap("result", str(error))
            return Outcome("DONE", job.state())

    # What is read back, with the SDK

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        return programs.load_program(get(job["input"]))

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        return results.unpack(_result(get, outcome), outcome.get("volatile", {}))

    def load_job(self, record: Any) -> Any:
        """A LocalQuantumTask, which Braket makes of results. Raises JobFailed: a run that failed never had one."""
        return braket("tasks.local_quantum_task", "a task").LocalQuantumTask(record.result())

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
        return simulators.load_simulator(backend)

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        config = get(job["config"])
        program = self.load_input(get, job)
        return backend, (program, config["shots"], config["inputs"] or None, *config["args"]), config["options"]

    # What is read back without it

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        if index not in (0, -1):
            raise BadInput(f"circuit {index}", "the job has one", "count from 0")
        return results.counts(_result(get, outcome))

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [results.data(_result(get, outcome))]

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        return [programs.source_of(get(job["input"]))]

    # Groups and replay: equal circuits are told by their text

    def identity(self, stage: Stage, item: Any) -> bytes:
        return programs.identity(programs.plain_of(item))

    def identities(self, get: Get, job: Mapping[str, Any]) -> list[bytes]:
        return [programs.identity(get(job["input"]))]

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        if type(target) is not Batch:
            return self.load_job(jobs[0])
        batch = braket("tasks.local_quantum_task_batch", "a batch").LocalQuantumTaskBatch
        return batch([job.result() for job in jobs])

    # Executions that nobody wrapped

    def entry_points(self) -> Iterator[tuple[type, str]]:
        yield braket("devices", "a simulator").LocalSimulator, "run"

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        yield braket("devices", "a simulator").LocalSimulator, "run_batch", self._batched

    def _batched(self, original: Callable) -> Callable:
        @hooks.passed_over
        def run_batch(device: Any, *args: Any, **kwargs: Any) -> Any:
            recorder = hooks.recorder_of(device)
            run = original.__get__(device)
            return run(*args, **kwargs) if recorder is None else _record_batch(recorder, self, device, run, args, kwargs)

        return run_batch


def _result(get, outcome) -> Mapping[str, Any]:
    link = outcome.get("result")
    if link is None:
        raise BadInput("this job", "it ended without a result", "look at its error")
    return get(link)
