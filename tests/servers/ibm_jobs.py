"""Jobs and sessions of the loopback IBM server, and their form on the wire."""

import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

import qiskit
from ibm_devices import wire_time

QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = "Queued", "Running", "Completed", "Failed", "Cancelled"
RAN_TOO_LONG = 1305
MAX_COST_S = 10_800


def now() -> datetime:
    """The present moment, aware and in UTC."""
    return datetime.now(UTC)


def job_id() -> str:
    """Twenty characters of base 32, sorted by time, as IBM's job ids are."""
    number = (int(time.time()) << 68) | secrets.randbits(68)
    return "".join("0123456789abcdefghijklmnopqrstuv"[(number >> shift) & 31] for shift in range(95, -1, -5))


@dataclass
class Job:
    """One accepted job: what was asked (`request` is the JSON body of the submission) and what became of it."""

    request: dict
    instance: str
    user_id: str
    mock: bool
    estimate_s: float
    id: str = field(default_factory=job_id)
    created: datetime = field(default_factory=now)
    running: datetime | None = None
    finished: datetime | None = None
    status: str = QUEUED
    reason: str | None = None
    reason_code: int | None = None
    result: str | None = None
    calibration_id: str | None = None
    quantum_s: int = 0
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tags = list(self.request.get("tags", []))
        self.calibration_id = self.request.get("calibration_id")

    @property
    def backend(self) -> str:
        """The name of the device."""
        return self.request["backend"]

    @property
    def private(self) -> bool:
        """Whether params are withheld and the result can be read once only."""
        return self.request.get("private", False)

    @property
    def session_id(self) -> str | None:
        """The session or batch that the job belongs to."""
        return self.request.get("session_id")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self.status in (COMPLETED, FAILED, CANCELLED)

    def end(self, status: str, result: str | None = None, reason: str | None = None, code: int | None = None) -> None:
        """Makes the status final."""
        self.status, self.result, self.reason, self.reason_code, self.finished = status, result, reason, code, now()

    def usage(self) -> dict:
        """Usage in the names of the present API and of those before it."""
        charge = {"qpu_charge_time_seconds": self.quantum_s, "status": "complete" if self.ended else "pending"}
        return charge | {"quantum_seconds": self.quantum_s, "seconds": self.quantum_s}

    def wire(self, with_params: bool) -> dict:
        """The job as `GET /jobs/{id}` answers it."""
        too_long = self.status == CANCELLED and self.reason_code == RAN_TOO_LONG
        state = {"status": self.status, "reason": self.reason, "reason_code": self.reason_code}
        optional = {
            "runtime": self.request.get("runtime"),
            "session_id": self.session_id,
            "calibration_id": self.calibration_id,
            "private": self.private or None,
            "params": self.request["params"] if with_params and not self.private else None,
        }
        return {
            "id": self.id,
            "backend": self.backend,
            "state": {name: value for name, value in state.items() if value is not None},
            "status": "Cancelled - Ran too long" if too_long else self.status,
            "program": {"id": self.request["program_id"]},
            "created": wire_time(self.created),
            "cost": min(self.request.get("cost", MAX_COST_S), MAX_COST_S),
            "tags": self.tags,
            "user_id": self.user_id,
            "usage": self.usage(),
            "estimated_running_time_seconds": self.estimate_s,
        } | {name: value for name, value in optional.items() if value is not None}

    def metrics(self, position: int | None) -> dict:
        """The job as `GET /jobs/{id}/metrics` answers it; `position` is its place in the queue."""
        moments = {"created": self.created, "running": self.running, "finished": self.finished}
        return {
            "timestamps": {name: moment and wire_time(moment) for name, moment in moments.items()},
            "bss": {"seconds": self.quantum_s},
            "usage": self.usage(),
            "circuits_execution_time_ns": self.quantum_s * 1_000_000_000,
            "qiskit_version": qiskit.__version__,
        } | ({} if position is None else {"position_in_queue": position})

    def logs(self) -> str:
        """What a finished job wrote."""
        lines = [f"{wire_time(self.running or self.created)} INFO: Starting program {self.request['program_id']}"]
        return "\n".join([*lines, f"{wire_time(self.finished)} INFO: Job {self.status.lower()}", ""])

    def matches(self, query: dict[str, list[str]]) -> bool:
        """Whether `GET /jobs` with this query lists the job; instance and paging are the caller's."""

        def wanted(name: str) -> str | None:
            return query.get(name, [None])[0]

        mocks = (wanted("include_mocks") or "").lower() == "true"
        pending, after, before = wanted("pending"), wanted("created_after"), wanted("created_before")
        return all(
            (
                mocks or not self.mock,
                wanted("backend") in (None, self.backend),
                wanted("program") in (None, self.request["program_id"]),
                wanted("session_id") in (None, self.session_id),
                pending is None or (pending == "true") != self.ended,
                set(query.get("tags", [])) <= set(self.tags),
                after is None or self.created >= datetime.fromisoformat(after),
                before is None or self.created <= datetime.fromisoformat(before),
            )
        )


@dataclass
class Session:
    """A session (`mode` "dedicated") or a batch."""

    backend: str | None
    instance: str
    user_id: str
    mode: str
    max_s: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=now)
    accepting: bool = True
    moments: list[tuple[str, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.moments.append(("open", self.started))

    def enter(self, state: str) -> None:
        """Notes a change of state: open, active, inactive, closed."""
        if state != self.state:
            self.moments.append((state, now()))

    @property
    def state(self) -> str:
        """The present state."""
        return self.moments[-1][0]

    def settle(self, jobs: list[Job]) -> None:
        """Puts the session into the state that its jobs call for."""
        if self.state == "closed":
            return
        busy = [job for job in jobs if not job.ended]
        if any(job.running for job in busy):
            self.enter("active")
        elif not busy and not self.accepting:
            self.enter("closed")
        elif not busy and self.state == "active":
            self.enter("inactive")

    def wire(self, jobs: list[Job]) -> dict:
        """The session as `GET /sessions/{id}` answers it; `jobs` are those that belong to it."""
        first = dict(reversed(self.moments))
        started = [job.running for job in jobs if job.running]
        ended = [job.finished for job in jobs if job.finished]
        optional = {
            "activated_at": first.get("active"),
            "closed_at": first.get("closed"),
            "last_job_started": max(started, default=None),
            "last_job_completed": max(ended, default=None),
        }
        return {
            "id": self.id,
            "backend_name": self.backend,
            "started_at": wire_time(self.started),
            "interactive_ttl": 60,
            "max_ttl": self.max_s,
            "active_ttl": self.max_s,
            "state": self.state,
            "accepting_jobs": self.accepting,
            "mode": self.mode,
            "user_id": self.user_id,
            "timestamps": [{"status": state, "timestamp": wire_time(moment)} for state, moment in self.moments],
            "elapsed_time": sum(job.quantum_s for job in jobs),
        } | {name: wire_time(moment) for name, moment in optional.items() if moment}
