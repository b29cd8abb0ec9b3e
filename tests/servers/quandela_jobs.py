"""Jobs of the loopback Quandela server."""

import math
import time
import uuid
from dataclasses import dataclass, field

WAITING, RUNNING, CANCEL_REQUESTED = "waiting", "running", "cancel_requested"
COMPLETED, CANCELED, ERROR = "completed", "canceled", "error"
ENDED = (COMPLETED, CANCELED, ERROR)


@dataclass
class Job:
    """A job; `request` is the body that created it, `perfs` the platform's performance when it started to run.

    `result` is the text in the result's answer, or None. `rerun_of` is the id of the job that it repeats.
    """

    request: dict
    rerun_of: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = WAITING
    created: float = field(default_factory=time.time)
    started: float | None = None
    stopped: float | None = None
    progress: float = 0.0
    phase: str = ""
    message: str | None = None
    perfs: dict | None = None
    result: str | None = None

    @property
    def platform(self) -> str:
        """The platform's name."""
        return self.request["platform_name"]

    @property
    def payload(self) -> dict:
        """The payload as it came."""
        return self.request["payload"]

    @property
    def name(self) -> str | None:
        """The name that its user gave."""
        return self.request.get("job_name")

    @property
    def group(self) -> str | None:
        """The name of its group."""
        return self.request.get("job_group_name")

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in ENDED

    @property
    def duration_s(self) -> int | None:
        """How long it ran, in whole seconds, begun ones too."""
        if self.started is None:
            return None
        return math.ceil((self.stopped or time.time()) - self.started)

    def end(self, status: str, message: str | None = None) -> None:
        """Makes the status final."""
        self.status, self.message, self.stopped = status, message, time.time()
        if status == COMPLETED:
            self.progress = 1.0

    def state(self) -> dict:
        """What the status endpoint tells."""
        answer = {"status": self.status, "progress": self.progress, "progress_message": self.phase}
        answer |= {"status_message": self.message, "creation_datetime": self.created, "start_time": self.started}
        return answer | {"duration": self.duration_s}

    def results(self) -> dict:
        """What the result endpoint tells."""
        answer = {"job_id": self.id, "results": self.result, "results_type": self.payload.get("command")}
        return answer | {"duration": self.duration_s, "intermediate_results": None}
