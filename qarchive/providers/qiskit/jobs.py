"""Qiskit's own job interface over an archived job: reads work offline, submit and cancel raise."""

from functools import cache
from typing import Any

from ..base import Provider
from ..sdk import sdk

_STATUSES = {
    "PREPARED": "INITIALIZING",
    "SENDING": "INITIALIZING",
    "QUEUED": "QUEUED",
    "RUNNING": "RUNNING",
    "PAUSED": "QUEUED",
    "DONE": "DONE",
    "PARTIAL": "DONE",
    "ERROR": "ERROR",
    "REFUSED": "ERROR",
    "TIMED_OUT": "ERROR",
    "CANCELLED": "CANCELLED",
    "UNKNOWN": "INITIALIZING",
}


def archived_job(provider: Provider, record: Any) -> Any:
    """A JobV1 over `record`, an archived job of a backend. Raises MissingExtra."""
    return _class()(provider, record)


def archived_primitive_job(record: Any) -> Any:
    """A PrimitiveJob over `record`, an archived job of a primitive. Raises MissingExtra."""
    return _primitive_class()(record)


@cache
def _class() -> type:
    providers = sdk("qiskit.providers", "Qiskit's own job")

    class ArchivedJob(providers.JobV1):
        """A job as it was archived; `archived` is the archive's own view of it."""

        _async = False

        def __init__(self, provider: Provider, record: Any):
            super().__init__(None, _job_id(record))
            self.archived = record
            self._provider = provider

        @property
        def backend_name(self) -> str:
            return self.archived.record["backend"]

        def backend(self) -> Any:
            raise self._error("has no backend to run on")

        def circuits(self) -> Any:
            """The circuits as `run` was given them, always as a list."""
            circuits = self._provider.load_input(self.archived.get, self.archived.record)
            return circuits if isinstance(circuits, list) else [circuits]

        def status(self) -> Any:
            return providers.JobStatus[_STATUSES[self.archived.status]]

        def result(self, timeout: float | None = None) -> Any:
            """The archived result. Raises NotFinished, JobFailed."""
            return self.archived.result()

        def submit(self) -> None:
            raise self._error("was sent when it was recorded")

        def cancel(self) -> None:
            raise self._error("cannot be cancelled")

        def _error(self, why):
            return _refusal(self.archived, why)

    return ArchivedJob


@cache
def _primitive_class() -> type:
    job = sdk("qiskit.primitives.primitive_job", "Qiskit's own job").PrimitiveJob

    class ArchivedPrimitiveJob(job):
        """A job of a primitive as it was archived; `archived` is the archive's own view of it."""

        def __init__(self, record: Any):
            super().__init__(None)
            self._job_id = _job_id(record)
            self.archived = record

        def status(self) -> Any:
            return sdk("qiskit.providers").JobStatus[_STATUSES[self.archived.status]]

        def result(self) -> Any:
            """The archived result. Raises NotFinished, JobFailed."""
            return self.archived.result()

        def cancel(self) -> None:
            raise _refusal(self.archived, "cannot be cancelled")

        def _submit(self) -> None:
            raise _refusal(self.archived, "was sent when it was recorded")

    return ArchivedPrimitiveJob


def _job_id(record) -> str:
    outcome = record.outcome or {}
    return outcome.get("provider_job") or outcome.get("volatile", {}).get("job_id") or getattr(record, "id", "")


def _refusal(record, why):
    return sdk("qiskit.providers").JobError(
        f"job {_job_id(record)} of {record.record['backend']} is archived and {why}; use `archived.rerun()` to run it again"
    )
