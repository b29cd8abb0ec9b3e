"""What all local executions of Qiskit have in common: how their jobs are followed, and the choice of a face.

A provider has two *faces*: backends, which run circuits, and primitives, which run PUBs. Each describes its own executions and
reads them back. The provider chooses by the object that executes and, when reading, by the type of the input blob.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...errors import BadInput
from ...outcomes import Points
from ...values import Link, Typed
from .. import hooks
from ..base import Divisible, Execution, Follower, Get, Outcome, Provider, Recorder, Stage
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from . import attachments, extracting, identities, joining, points, recompiling, text
from .points import ORDER
from .primitive_settings import PRIMITIVE, make
from .rebuild import rebuild, set_up

_RESULT = frozenset({("qiskit.result.result", "Result")})
_POLL_S = (0.05, 1.0)  # how often a job without a future is asked, at first and at most


class Face(ABC):
    """One sort of objects that execute. The methods are those of `Provider`, for this sort."""

    inputs: frozenset[str]  # the types of the input blobs that it writes

    def __init__(self, provider: Any):
        self.provider = provider

    @abstractmethod
    def owns(self, native: Any) -> bool:
        """Whether `native` is such an object, wrapped or not, or a job of one."""

    @abstractmethod
    def wrap(self, native: Any, recorder: Recorder) -> Any: ...

    @abstractmethod
    def backend_name(self, target: Any) -> str:
        """What the job record calls the backend of such an object."""

    @abstractmethod
    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution: ...

    def device_of(self, target: Any) -> Any | None:
        return unwrapped(target)

    @abstractmethod
    def call_of(self, job: Any) -> tuple[Any, tuple, dict]: ...

    @abstractmethod
    def ended(self, stage: Stage, result: Any, word: str) -> Outcome:
        """The outcome of a job that returned `result`; `word` is its state as the SDK calls it."""

    @abstractmethod
    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]: ...

    @abstractmethod
    def load_result(self, result: Any, volatile: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    def load_job(self, record: Any) -> Any: ...

    @abstractmethod
    def counts(self, result: Any, volatile: Mapping[str, Any], index: int) -> dict[str, int]: ...

    @abstractmethod
    def data(self, result: Any, volatile: Mapping[str, Any]) -> list[dict[str, Any]]: ...

    @abstractmethod
    def entry_points(self) -> Iterator[tuple[type, str]]: ...

    @abstractmethod
    def divide(self, target: Any, args: tuple, kwargs: dict) -> Divisible | None: ...


class LocalProvider(Provider):
    """A provider of two faces, whose jobs run in this process."""

    backends: Face
    primitives: Face
    order = ORDER
    rebuilds_alike = True

    def owns(self, native: Any) -> bool:
        return any(face.owns(native) for face in self._faces())

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        carry_context()
        return self._face(native).wrap(native, recorder)

    def backend_name(self, target: Any) -> str:
        """What the job record calls the backend of an object that executes."""
        return self._face(target).backend_name(target)

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        return self._face(target).describe(stage, target, args, kwargs)

    def device_of(self, target: Any) -> Any | None:
        return self._face(target).device_of(target)

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        return self._face(job).call_of(job)

    def job_id(self, job: Any) -> str | None:
        return job.job_id() or None

    def ended(self, job: Any) -> bool:
        return job.in_final_state()

    def follow(self, job: Any, follower: Follower) -> None:
        future = getattr(job, "_future", None)
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(lambda _: follower.ended())
        elif job.in_final_state():
            follower.ended()
        else:  # not a daemon: the interpreter waits for it, and so for the job
            threading.Thread(target=_watch, args=(job, follower), name=f"qarchive-{job.job_id()}").start()

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        try:
            result = job.result()
        except Exception as error:  # whatever the run raised is how it ended
            word = _word(job)
            if word == "CANCELLED":
                return Outcome("CANCELLED", word)
            return Outcome("ERROR", word, error={"type": type(error).__name__, "message": str(error)})
        face = self.backends if is_a(result, _RESULT) else self.primitives
        return face.ended(stage, result, _word(job))

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        return self._of_input(get, job).load_input(get, job)

    def put_attachment(self, stage: Stage, value: Any) -> dict | None:
        return attachments.put_circuits(stage, value)

    def load_attachment(self, get: Get, value: Mapping[str, Any]) -> Any:
        return attachments.load_attached(get, value)

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
        """The backend again; the primitive itself where that runs on none."""
        if backend.get("type") == PRIMITIVE:
            return make(get, get(job["config"]), None)
        return rebuild(get, backend, None if calibration is None else get(calibration))

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        return self._of_input(get, job).load_call(get, job, backend)

    def load_call_elsewhere(self, get: Get, job: Mapping[str, Any], snapshot: Mapping[str, Any], backend: Any,
                            logical: Callable[[], Any]) -> tuple[Any, tuple, dict]:  # fmt: skip
        return recompiling.compiled(get, job, snapshot, self.load_call(get, job, backend), logical)

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        result = _result(get, outcome)
        return self._of_result(result).load_result(result, outcome.get("volatile", {}))

    def load_job(self, record: Any) -> Any:
        link = (record.outcome or {}).get("result")
        if link is not None:
            return self._of_result(record.get(link)).load_job(record)
        kind = record.get(record.record["input"])["type"]
        return (self.primitives if kind in self.primitives.inputs else self.backends).load_job(record)

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        result = _result(get, outcome)
        return self._of_result(result).counts(result, outcome.get("volatile", {}), index)

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What came out of each circuit or PUB, as plain values by name, without the SDK."""
        result = _result(get, outcome)
        return self._of_result(result).data(result, outcome.get("volatile", {}))

    def points(self, get: Get, job: Mapping[str, Any]) -> list[Points]:
        return points.points(get, job)

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        self._of_input(get, job)
        return [text.openqasm(entry, get) for entry in get(job["input"])["circuits"]]

    def entry_points(self) -> Iterator[tuple[type, str]]:
        carry_context()
        for face in self._faces():
            yield from face.entry_points()

    # Groups

    def divide(self, target: Any, args: tuple, kwargs: dict) -> Divisible | None:
        return self._face(target).divide(target, args, kwargs)

    def identity(self, stage: Stage, item: Any) -> bytes:
        return identities.identity(item)

    def identities(self, get: Get, job: Mapping[str, Any]) -> list[bytes]:
        return identities.identities(get, job)

    def join(self, results: list[Any]) -> Any:
        return joining.join(results)

    def extract(self, result: Any, index: int, what: str) -> Any:
        return extracting.extract(result, index, what)

    # Replay

    def alike_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        return identities.what_runs(get, job)

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        """The recorded job; a fake device is left as a run leaves it, since its later runs were recorded so."""
        set_up(unwrapped(target))
        return super().answer(target, args, kwargs, jobs)

    def _faces(self) -> tuple[Face, Face]:
        return self.backends, self.primitives

    def _face(self, native) -> Face:
        for face in self._faces():
            if face.owns(native):
                return face
        raise BadInput(f"a {type(native).__name__}", f"the provider {self.name} does not know it")

    def _of_input(self, get, job) -> Face:
        kind = get(job["input"])["type"]
        for face in self._faces():
            if kind in face.inputs:
                return face
        raise BadInput("the input of this job", "it is not in the archive", "see the gaps of the job")

    def _of_result(self, result) -> Face:
        return self.primitives if type(result) is Typed else self.backends


def carry_context() -> None:
    """Let what runs in a primitive's thread know in which context it was started. Raises MissingExtra."""
    hooks.carry_context(sdk("qiskit.primitives.primitive_job").PrimitiveJob, "_submit")


def _result(get, outcome) -> Any:
    link = outcome.get("result")
    if link is None:
        raise BadInput("this job", "it ended without a result", "look at its error")
    return get(link)


def _word(job) -> str:
    status = job.status()
    return getattr(status, "name", None) or str(status)


def _watch(job, follower) -> None:
    pause, longest = _POLL_S
    while not job.in_final_state():
        time.sleep(pause)
        pause = min(2 * pause, longest)
    follower.ended()
