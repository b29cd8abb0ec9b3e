"""What a user gets for a service, a backend or a primitive of IBM's: the same interface, everything that is sent recorded.

The SDK asks for its own classes everywhere, so a recorded service is one, with the very attributes of the user's: what one of
the two learns or switches, the other has. Its `_run` is where everything is sent, and where the recording begins.
"""

import copy
import warnings
from contextvars import ContextVar
from functools import cache
from typing import Any

from ...errors import ArchiveWarning, BadInput, NotFound, QArchiveError
from .. import hooks
from ..base import Provider, Recorder
from ..qiskit.wrapped import WrappedPrimitive
from ..sdk import sdk

_RUNTIME = "qiskit_ibm_runtime."
SERVICES = frozenset({(_RUNTIME + "qiskit_runtime_service", "QiskitRuntimeService")})
LOCAL_SERVICES = frozenset({(_RUNTIME + "fake_provider.local_service", "QiskitRuntimeLocalService")})
BACKENDS = frozenset({(_RUNTIME + "ibm_backend", "IBMBackend")})
JOBS = frozenset({(_RUNTIME + "runtime_job_v2", "RuntimeJobV2")})
LOCAL_JOBS = frozenset({(_RUNTIME + "fake_provider.local_runtime_job", "LocalRuntimeJob")})
SESSIONS = frozenset({(_RUNTIME + "session", "Session")})
PRIMITIVES = frozenset(
    {
        (_RUNTIME + "base_primitive", "BasePrimitiveV2"),
        (_RUNTIME + "executor.executor", "Executor"),
        (_RUNTIME + "executor_sampler.sampler", "Sampler"),
        (_RUNTIME + "executor_estimator.estimator", "Estimator"),
        (_RUNTIME + "executor_noise_learner.noise_learner_v3", "NoiseLearnerV3"),
        (_RUNTIME + "noise_learner.noise_learner", "NoiseLearner"),
        (_RUNTIME + "noise_learner_v3.noise_learner_v3", "NoiseLearnerV3"),
        (_RUNTIME + "calibrator.calibrator", "Calibrator"),
    }
)

_left_out: ContextVar[bool] = ContextVar("qarchive_ibm_left_out", default=False)


class _Nobody:
    """A recorder that records nothing, whoever else would."""

    @hooks.passed_over
    def run(self, provider: Provider, target: Any, args: tuple, kwargs: dict, send: Any) -> Any:
        return send(kwargs)


def runs_here(primitive: Any) -> bool:
    """Whether a primitive of IBM's is in local mode."""
    return bool(getattr(getattr(primitive, "_service", None), "is_local", False))


class RecordedPrimitive(WrappedPrimitive):
    """A primitive of IBM's whose jobs are recorded where the SDK sends them, with options and PUBs as they are by then."""

    __slots__ = ()

    @hooks.passed_over
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The primitive's own `run`, recorded; `archive=False` leaves this one out."""
        if kwargs.pop("archive", True):
            with hooks.recording(self._qarchive_recorder):
                return self._qarchive_native.run(*args, **kwargs)
        token = _left_out.set(True)
        try:
            with hooks.recording(_Nobody()):
                return self._qarchive_native.run(*args, **kwargs)
        finally:
            _left_out.reset(token)

    def remote_jobs(self, **filters: Any) -> list:
        """The jobs that IBM has of this primitive's device, as `service.jobs(...)` finds them; none in local mode."""
        native = self._qarchive_native
        if runs_here(native):
            return []
        return native._service.jobs(backend_name=str(native._backend.name), **filters)


def recorded_service(service: Any, provider: Provider, recorder: Recorder) -> Any:
    """The service, with everything that is sent through it recorded. Raises MissingExtra."""
    service = service_itself(service)
    recorded = object.__new__(_service_class(type(service)))
    recorded.__dict__ = service.__dict__
    recorded._qarchive_service, recorded._qarchive_provider, recorded._qarchive_recorder = service, provider, recorder
    return recorded


def service_itself(service: Any) -> Any:
    """The user's own service, where it is a recorded one."""
    return getattr(service, "_qarchive_service", service)


@cache
def _service_class(base: type) -> type:
    """The class of recorded services, under the name that theirs has."""

    class Recorded(base):
        """A QiskitRuntimeService whose jobs are archived. `unwrapped` is the user's own, whose are not."""

        __slots__ = ("_qarchive_provider", "_qarchive_recorder", "_qarchive_service")

        @property
        def unwrapped(self) -> Any:
            return self._qarchive_service

        def _run(self, *args: Any, **kwargs: Any) -> Any:
            if _left_out.get():
                return super()._run(*args, **kwargs)
            with hooks.recording(self._qarchive_recorder):
                return super()._run(*args, **kwargs)

        def job(self, job_id: str) -> Any:
            return self._resumed(super().job(job_id))

        def jobs(self, *args: Any, **kwargs: Any) -> list:
            return [self._resumed(job) for job in super().jobs(*args, **kwargs)]

        def _resumed(self, job: Any) -> Any:
            try:
                self._qarchive_recorder.resume(self._qarchive_provider, job)
            except QArchiveError as error:
                _warn(f"job {job.job_id()} is not followed: {error}", 4)
            return job

        def _create_backend_obj(self, *args: Any, **kwargs: Any) -> Any:
            backend = super()._create_backend_obj(*args, **kwargs)
            plain, recorded = _backend_classes()
            if type(backend) is plain:
                backend.__class__ = recorded
            return backend

        def __copy__(self) -> Any:
            return recorded_service(copy.copy(self._qarchive_service), self._qarchive_provider, self._qarchive_recorder)

        def __deepcopy__(self, memo: dict) -> Any:
            return recorded_service(copy.deepcopy(self._qarchive_service, memo), self._qarchive_provider, self._qarchive_recorder)

        def __reduce_ex__(self, protocol: int) -> Any:
            raise _not_for_others(base.__name__)

    Recorded.__name__ = Recorded.__qualname__ = base.__name__
    return Recorded


@cache
def _backend_classes() -> tuple[type, type]:
    """(IBM's class of backends, that of recorded services, under the same name)."""
    base = sdk("qiskit_ibm_runtime", "a backend of IBM's", "ibm").IBMBackend

    class Recorded(base):
        """An IBMBackend of a recorded service, which knows the archived jobs of its device."""

        def jobs(self, **filters: Any) -> Any:
            """The archived jobs of this device, as `Archive.jobs` lists them."""
            service = self._service
            return service._qarchive_recorder.jobs(provider=service._qarchive_provider.name, backend=self.name, **filters)

        def local_jobs(self, **filters: Any) -> Any:
            """The same as `jobs`."""
            return self.jobs(**filters)

        def remote_jobs(self, **filters: Any) -> list:
            """The jobs that IBM has of this device, as `service.jobs(...)` finds them."""
            return self._service.jobs(backend_name=self.name, **filters)

        def retrieve_job(self, job_id: str) -> Any:
            """The archived job with this id, ours or IBM's; the SDK's own where it is not archived.

            Warns where another device ran it.
            """
            try:
                job = self._service._qarchive_recorder.job(job_id)
                ran_on = (job.outcome or {}).get("volatile", {}).get("backend") or job.backend
            except NotFound:
                job = self._service.job(job_id)
                ran_on = getattr(job._backend, "name", None)
            if ran_on not in (None, self.name):
                _warn(f"job {job_id} ran on {ran_on}, not on {self.name}", 3)
            return job

        def __reduce_ex__(self, protocol: int) -> Any:
            raise _not_for_others(base.__name__)

    Recorded.__name__ = Recorded.__qualname__ = base.__name__
    return base, Recorded


def _not_for_others(what: str) -> BadInput:
    return BadInput(f"a recorded {what}", "another process would not record its jobs", "make one there, and wrap it")


def _warn(message: str, stacklevel: int) -> None:
    warnings.warn(message, ArchiveWarning, stacklevel=stacklevel)
