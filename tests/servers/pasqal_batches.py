"""Batches, jobs and workloads of the loopback Pasqal server, and their form on the wire."""

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

PENDING, RUNNING, DONE, ERROR, CANCELED = "PENDING", "RUNNING", "DONE", "ERROR", "CANCELED"
TIMED_OUT, PAUSED = "TIMED_OUT", "PAUSED"
_numbers = itertools.count(1)


def now() -> datetime:
    """The present moment, aware and in UTC."""
    return datetime.now(UTC)


def _time(moment: datetime | None) -> str | None:
    return moment and moment.isoformat()


@dataclass(kw_only=True)
class Entry:
    """What batches, jobs and workloads have in common."""

    project_id: str
    user_id: str
    parent_id: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = PENDING
    order: int = field(default_factory=lambda: next(_numbers))
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    started: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in (DONE, ERROR, CANCELED, TIMED_OUT)

    def enter(self, status: str) -> None:
        """Changes the status."""
        self.status, self.updated = status, now()
        if status == RUNNING:
            self.started = self.started or self.updated
        elif self.ended:
            self.ended_at = self.updated

    def common(self) -> dict:
        """Fields of the same name in every kind."""
        return {
            "id": self.id,
            "parent_id": self.parent_id,
            "status": self.status,
            "project_id": self.project_id,
            "user_id": self.user_id,
            "created_at": _time(self.created),
            "updated_at": _time(self.updated),
        }

    def matches(self, filters: dict) -> bool:
        """Whether the entry passes the filters that every kind has; dates are those of creation."""
        return (
            all(getattr(self, name) in filters.get(name, [getattr(self, name)]) for name in self.LISTED)
            and self.created >= filters.get("start_date", self.created)
            and self.created <= filters.get("end_date", self.created)
        )

    LISTED = ("id", "status", "project_id", "user_id")


@dataclass(kw_only=True)
class Job(Entry):
    """One job: what was asked and what became of it. `result` is the results file, JSON."""

    batch_id: str
    runs: int | None
    variables: dict | None
    sequence: str | None
    errors: list[str] | None = None
    result: str | None = None

    LISTED = (*Entry.LISTED, "batch_id")

    def wire(self, with_sequence: bool = False) -> dict:
        """The job as the API answers it; lists leave the sequence out."""
        answer = self.common() | {
            "batch_id": self.batch_id,
            "runs": self.runs,
            "variables": self.variables,
            "errors": self.errors,
            "start_timestamp": _time(self.started),
            "end_timestamp": _time(self.ended_at),
            "creation_order": self.order,
        }
        return answer | ({"sequence": self.sequence} if with_sequence else {})

    def matches(self, filters: dict) -> bool:
        """Whether a list, rebatch or bulk cancellation with these filters takes the job."""
        runs, failed = self.runs or 0, bool(self.errors)
        in_range = filters.get("min_runs", runs) <= runs <= filters.get("max_runs", runs)
        return super().matches(filters) and in_range and filters.get("errors", failed) == failed


@dataclass(kw_only=True)
class Batch(Entry):
    """A batch with its jobs in the order in which they came."""

    device_type: str
    sequence_builder: str | None
    open: bool
    webhook: str | None = None
    configuration: dict | None = None
    backend_configuration: str | None = None
    queue_priority: str = "MEDIUM"
    tags: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    LISTED = (*Entry.LISTED, "device_type", "queue_priority")

    def counts(self) -> dict[str, int]:
        """Number of jobs per status."""
        counts = dict.fromkeys((PENDING, RUNNING, DONE, ERROR, CANCELED), 0)
        for job in self.jobs:
            counts[job.status] = counts.get(job.status, 0) + 1
        return counts

    def wire(self, device_status: str | None, *, with_sequence: bool = True, with_jobs: bool = False) -> dict:
        """The batch as the API answers it; lists leave the sequence out, and only answers to changes hold the jobs."""
        answer = self.common() | {
            "open": self.open,
            "complete": not self.open,
            "device_type": self.device_type,
            "device_status": device_status,
            "webhook": self.webhook,
            "configuration": self.configuration,
            "backend_configuration": self.backend_configuration,
            "queue_priority": self.queue_priority,
            "tags": self.tags,
            "start_datetime": _time(self.started),
            "end_datetime": _time(self.ended_at),
            "jobs_count": len(self.jobs),
            "jobs_count_per_status": self.counts(),
        }
        answer |= {"sequence_builder": self.sequence_builder} if with_sequence else {}
        return answer | ({"jobs": [job.wire() for job in self.jobs]} if with_jobs else {})

    def matches(self, filters: dict) -> bool:
        """Whether a list with these filters holds the batch."""
        tagged = "tag" not in filters or filters["tag"] in self.tags
        return super().matches(filters) and tagged and filters.get("open", self.open) == self.open

    def end(self, status: str, others: str = CANCELED, errors: list[str] | None = None) -> None:
        """Makes the status final; jobs that have not started get the status `others`."""
        self.open = False
        for job in self.jobs:
            if job.status in (PENDING, PAUSED):
                job.enter(others)
                job.errors = errors
        self.enter(status)

    def settle(self) -> None:
        """Ends a closed batch whose jobs have all ended."""
        if not self.open and not self.ended and all(job.ended for job in self.jobs):
            canceled = self.jobs and all(job.status == CANCELED for job in self.jobs)
            self.enter(CANCELED if canceled else DONE)


@dataclass(kw_only=True)
class Workload(Entry):
    """A workload; nothing computes it, its result is an echo."""

    workload_type: str
    backend: str
    config: dict
    errors: list[str] | None = None
    result: str | None = None

    def wire(self, result_link: str | None) -> dict:
        """The workload as the API answers it."""
        times = {"start_timestamp": _time(self.started), "end_timestamp": _time(self.ended_at)}
        asked = {"workload_type": self.workload_type, "backend": self.backend, "config": self.config}
        return self.common() | asked | times | {"errors": self.errors, "result": None, "result_link": result_link}
