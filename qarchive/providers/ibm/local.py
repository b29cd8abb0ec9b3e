"""IBM's primitives in local mode: the same interface as in the cloud, over a backend that runs here.

They are caught in the SDK's local service, where PUBs are PUBs and options are final, as in the cloud; what the backend does
meanwhile is part of it. What is said about the backend comes from the provider that knows it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ...errors import BadInput, NotEncodable
from .. import hooks
from ..base import Execution, Follower, Get, Outcome, Provider, Recorder, Stage
from ..qiskit import local as qiskit_local
from ..qiskit import primitive_results
from ..qiskit.jobs import archived_primitive_job
from ..sdk import sdk
from ..wrapped import is_a
from . import objects
from .calls import Call, put_how, put_what
from .inputs import Inputs

_PARAMETERS = {
    "_run": ("program_id", "inputs", "options", "calibration_id", "dry_run"),
    "_run_executor": ("backend", "options", "inputs", "dry_run"),
}


class IBMLocalProvider(Inputs, Provider):
    """Local mode of qiskit-ibm-runtime."""

    name = "ibm_local"
    extra = "ibm"

    def __init__(self, backends: Sequence[Any]):
        self._backends = backends  # the providers of what runs here, the first that owns one takes it

    def owns(self, native: Any) -> bool:
        kinds = objects.PRIMITIVES | objects.SESSIONS
        return is_a(native, objects.LOCAL_SERVICES | objects.LOCAL_JOBS) or (is_a(native, kinds) and objects.runs_here(native))

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        if not is_a(native, objects.PRIMITIVES):
            raise BadInput(f"a {type(native).__name__} in local mode", "it runs nothing by itself", "wrap a primitive")
        self.install()
        return objects.RecordedPrimitive(getattr(native, "unwrapped", native), self, recorder)

    def install(self) -> None:
        """Have executions caught that happen while somebody records. Raises MissingExtra."""
        qiskit_local.carry_context()
        for kind, name in self.entry_points():
            hooks.install(self, kind, name, lasting=True)

    def entry_points(self) -> Iterator[tuple[type, str]]:
        service = sdk("qiskit_ibm_runtime.fake_provider.local_service", "local mode", "ibm").QiskitRuntimeLocalService
        for name in _PARAMETERS:
            if name in vars(service):
                yield service, name

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        backend, call = _call(args, kwargs)
        if "options" not in call.inputs:
            stage.gap("config.inputs.options", "the job does not keep them")
        seen = next(provider for provider in self._backends if provider.owns(backend)).seen(stage, backend)
        found, size, names = put_what(stage, call)
        return Execution(
            **{**seen, "provider": self.name}, input=found, config=put_how(stage, call), shots=call.shots, size=size, names=names
        )

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        service = sdk("qiskit_ibm_runtime.fake_provider.local_service", "local mode", "ibm").QiskitRuntimeLocalService()
        if job.primitive_id == "executor":
            return service, (), {"backend": job.backend(), "options": job._kwargs.get("options"), "inputs": job.inputs}
        call = {"program_id": job.primitive_id, "inputs": dict(job.inputs), "options": {"backend": job.backend()}}
        return service, (), {**call, "calibration_id": None}

    def job_id(self, job: Any) -> str | None:
        return job.job_id() or None

    def ended(self, job: Any) -> bool:
        return job.in_final_state()

    def follow(self, job: Any, follower: Follower) -> None:
        job._future.add_done_callback(lambda _: follower.ended())

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        try:
            result = job.result()
        except Exception as error:  # whatever the run raised is how it ended
            word = job.status().name
            if word == "CANCELLED":
                return Outcome("CANCELLED", word)
            return Outcome("ERROR", word, error={"type": type(error).__name__, "message": str(error)})
        try:
            link, volatile = primitive_results.put_result(stage, result)
        except NotEncodable as error:
            stage.gap("result", str(error))
            link, volatile = None, {}
        return Outcome("DONE", job.status().name, link, volatile)

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        return primitive_results.load_result(get(outcome["result"]), outcome.get("volatile", {}))

    def load_job(self, record: Any) -> Any:
        offline = archived_primitive_job(record)
        return _job_class(type(offline))(record, self, offline.job_id())

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        return primitive_results.counts(get(outcome["result"]), index)

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What came out of each PUB, as plain values by name, without the SDK."""
        return primitive_results.data(get(outcome["result"]), outcome.get("volatile", {}))


def _call(args: tuple, kwargs: Mapping[str, Any]) -> tuple[Any, Call]:
    """(backend, call) of the arguments of either method of the local service."""
    names = _PARAMETERS["_run" if "program_id" in kwargs or (args and isinstance(args[0], str)) else "_run_executor"]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if "program_id" in names:
        options = given.get("options") or {}
        options = options if isinstance(options, Mapping) else vars(options)
        call = Call(given["program_id"], given["inputs"], options.get("backend"), calibration_id=given.get("calibration_id"))
        return options.get("backend"), call
    simulator = given.get("options")
    options = simulator.model_dump() if hasattr(simulator, "model_dump") else vars(simulator) if simulator is not None else {}
    sent = {"quantum_program": given["inputs"], "options": {"simulator": options}}
    return given["backend"], Call("executor", sent, given["backend"])


@cache
def _job_class(base: type) -> type:
    """The class of archived jobs; `base` is that of archived jobs of Qiskit's own primitives."""
    local = sdk("qiskit_ibm_runtime.fake_provider.local_runtime_job", "a job of local mode", "ibm").LocalRuntimeJob

    class ArchivedLocalJob(base, local):
        """A job of local mode as it was archived; `archived` is the archive's own view of it."""

        def __init__(self, record: Any, provider: IBMLocalProvider, job_id: str):
            local.__init__(self, None, None, record.config["program"], None)
            self._job_id, self.archived, self._provider = job_id, record, provider
            self._created = self._running = self._finished = record.created.astimezone().replace(tzinfo=None)

        @property
        def inputs(self) -> Any:
            """The PUBs under "pubs", or the QuantumProgram."""
            found = self._provider.load_input(self.archived.get, self.archived.record)
            return {"pubs": found} if isinstance(found, list) else found

        def backend(self) -> Any:
            """The backend, made again from its snapshot."""
            if self._backend is None:
                self._backend = self.archived.rebuild()
            return self._backend

        def properties(self) -> Any:
            return self.backend().properties()

    return ArchivedLocalJob
