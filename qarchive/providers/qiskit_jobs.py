"""Qiskit's own job interface over an archived job: reads work offline, submit and cancel raise."""

from functools import cache
from typing import Any

from .base import Provider
from .qiskit_values import sdk

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
    """A JobV1 over `record`, an archived job. Raises MissingExtra."""
    return _class()(provider, record)


@cache
def _class() -> type:
    providers = sdk("qiskit.providers", "Qiskit's own job")

    class ArchivedJob(providers.JobV1):
        """A job as it was archived; `archived` is the archive's own view of it."""

        _async = False

        def __init__(self, provider: Provider, record: Any):
            outcome = record.outcome or {}
            job_id = outcome.get("provider_job") or outcome.get("volatile", {}).get("job_id") or getattr(record, "id", "")
            super().__init__(None, job_id)
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
            return providers.JobError(
                f"job {self.job_id()} of {self.backend_name} is archived and {why}; use `archived.rerun()` to run it again"
            )

    return ArchivedJob
