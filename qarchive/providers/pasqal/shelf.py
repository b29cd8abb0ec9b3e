"""Archived jobs as the service would answer about them and their batches, filtered, sorted and in pages as it has them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .answers import ENDED, STATUSES, word
from .batches import batches_of, events_of
from .calls import DEVICE, INPUT
from .texts import sequence_text, specs_text

PROVIDER = "pasqal"
_OURS = {"CANCELLED": "CANCELED", "PARTIAL": "DONE", "RUNNING": "RUNNING", "PAUSED": "PAUSED"} | {
    ours: theirs for theirs, ours in STATUSES.items() if ours == theirs
}
_COUNTED = ("PENDING", "RUNNING", "DONE", "ERROR", "CANCELED")
_LISTED = {"id": "id", "project_id": "project_id", "user_id": "user_id", "batch_id": "batch_id", "status": "status",
           "device_type": "device_type", "queue_priority": "queue_priority"}  # fmt: skip


class Shelf:
    """The jobs of one archive, read when they are first asked for; those that have not ended are read again each time.

    `archive` offers `jobs(provider=...)`.
    """

    def __init__(self, archive: Any):
        self._archive = archive
        self._ended: dict[str, Any] = {}  # by the archive's id: jobs that change no more

    def jobs(self) -> dict[str, Any]:
        """The archived jobs by the service's id; of several records of one job that with a result."""
        found: dict[str, Any] = {}
        for job in self._archive.jobs(provider=PROVIDER):
            job = self._ended.get(job.id, job)
            if job.provider_job is None:
                continue
            if job.status in ("DONE", "ERROR", "CANCELLED", "TIMED_OUT"):
                self._ended[job.id] = job
            there = found.get(job.provider_job)
            if there is None or (job.outcome or {}).get("result") is not None:
                found[job.provider_job] = job
        return found

    def batches(self) -> dict[str, "Batch"]:
        """The batches that these jobs are of, by the service's id."""
        found: dict[str, Batch] = {}
        for job in self.jobs().values():
            for batch_id in batches_of(job):
                found.setdefault(batch_id, Batch(batch_id)).jobs.append(job)
        return found

    def devices(self) -> dict[str, str]:
        """The last archived specifications of each device type."""
        found: dict[str, str] = {}
        for job in self.jobs().values():  # the newest first
            snapshot = job.backend_snapshot or {}
            if snapshot.get("type") == DEVICE and snapshot.get("name") not in found:
                text = specs_text(job.get, snapshot)
                if text is not None:
                    found[snapshot["name"]] = text
        return found


class Batch:
    """A batch with its archived jobs."""

    def __init__(self, batch_id: str):
        self.id = batch_id
        self.jobs: list[Any] = []

    def answer(self, with_sequence: bool = True) -> dict[str, Any]:
        """What the service answered about it last; what no answer said is put together from its jobs."""
        jobs = self.job_answers()
        found = {**self._from_jobs(jobs), **self._told()}
        if with_sequence:
            found["sequence_builder"] = self._builder()
        return found

    def job_answers(self, with_sequence: bool = False) -> list[dict[str, Any]]:
        """What it answers about its jobs, in the order in which they were created."""
        made = self._made()
        return sorted((job_answer(job, self.id, made, with_sequence) for job in self.jobs), key=created)

    def _events(self) -> list[tuple[Any, str, dict]]:
        found = [event for job in self.jobs for event in events_of(job) if event[2].get("batch_id") == self.id]
        for job in self.jobs:
            outcome = job.outcome or {}
            if "batch" in outcome.get("volatile", {}):
                found.append((outcome["created"], "collected", {"batch": outcome["volatile"]["batch"]}))
        return sorted(found, key=lambda event: event[:2])

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"webhook": None}
        for _, _, value in self._events():
            told |= value.get("batch") or {}
        return told

    def _made(self) -> dict[str, dict]:
        """What was answered about each job when it was made."""
        found: dict[str, dict] = {}
        for _, _, value in self._events():
            about = value.get("batch") or {}
            for job in value.get("jobs") or ():
                found[job["id"]] = {"project_id": about.get("project_id"), **job}
        return found

    def _builder(self) -> str | None:
        for job in self.jobs:
            value = job.get(job.record["input"])
            if "builder" in value:
                return sequence_text(job.get, value["builder"])
        return None

    def _from_jobs(self, jobs: list[dict[str, Any]]) -> dict[str, Any]:
        first, config = self.jobs[0], self.jobs[0].config
        counts = dict.fromkeys(_COUNTED, 0)
        for job in jobs:
            counts[job["status"]] = counts.get(job["status"], 0) + 1
        ended = all(job["status"] in ENDED for job in jobs)
        return {
            "id": self.id,
            "open": False,
            "complete": True,
            "created_at": jobs[0]["created_at"],
            "updated_at": max(job["updated_at"] for job in jobs),
            "device_type": first.backend,
            "project_id": jobs[0]["project_id"],
            "user_id": jobs[0].get("user_id") or "",
            "status": "DONE" if ended else "RUNNING" if counts["RUNNING"] else "PENDING",
            "configuration": config.get("configuration"),
            "backend_configuration": config.get("backend_configuration"),
            "tags": list(first.labels.get("tags", ())),
            "jobs_count": len(jobs),
            "jobs_count_per_status": counts,
        }


def job_answer(job: Any, batch_id: str, made: Mapping[str, dict], with_sequence: bool) -> dict[str, Any]:
    """What the service answered about an archived job last: when it was asked after the job had ended, or as it was made."""
    value = job.get(job.record["input"])
    asked = {"runs": job.shots, "variables": value.get("variables")} if value["type"] == INPUT else {"runs": job.shots}
    moment = job.created.isoformat()
    found = {
        "id": job.provider_job,
        "batch_id": batch_id,
        "project_id": "",
        "created_at": moment,
        "updated_at": moment,
        **asked,
        **made.get(job.provider_job, {}),
        **(job.outcome or {}).get("volatile", {}).get("job", {}),
    }
    found["project_id"] = found["project_id"] or ""
    found["status"] = _last_word(job) or word(found) or "PENDING"
    if with_sequence:
        found["sequence"] = sequence_text(job.get, value.get("sequence"))
    return found


def created(answer: Mapping[str, Any]) -> tuple[datetime, int]:
    """The order in which batches and jobs were made."""
    return moment(answer["created_at"]), answer.get("creation_order") or 0


def moment(text: str) -> datetime:
    """A time in the service's form; one without a zone is in UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def page(found: Iterable[Mapping[str, Any]], filters: Mapping[str, Any], offset: int, limit: int) -> dict[str, Any]:
    """The answer to a list: those that pass the filters, the latest first, from `offset` on; `total` counts all of them."""
    fitting = sorted((answer for answer in found if passes(answer, filters)), key=created, reverse=True)
    shown = fitting[offset : offset + limit]
    pagination = {"total": len(fitting), "start": offset, "end": offset + len(shown)}
    return {"status": "success", "code": "200", "message": "OK.", "data": shown, "pagination": pagination}


def passes(answer: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    """Whether a batch or a job passes all filters, which are named as the SDK sends them."""
    for name, wanted in filters.items():
        if wanted is None:
            continue
        if name in _LISTED:
            if str(answer.get(_LISTED[name])) not in map(str, wanted if isinstance(wanted, list) else [wanted]):
                return False
        elif not _PASSES[name](answer, wanted):
            return False
    return True


_PASSES = {
    "start_date": lambda answer, wanted: moment(answer["created_at"]) >= moment(wanted),
    "end_date": lambda answer, wanted: moment(answer["created_at"]) <= moment(wanted),
    "min_runs": lambda answer, wanted: (answer.get("runs") or 0) >= wanted,
    "max_runs": lambda answer, wanted: (answer.get("runs") or 0) <= wanted,
    "errors": lambda answer, wanted: bool(answer.get("errors")) is wanted,
    "open": lambda answer, wanted: answer["open"] is wanted,
    "tag": lambda answer, wanted: wanted in (answer.get("tags") or ()),
}


def _last_word(job: Any) -> str | None:
    """The service's last word for a job, else ours in its language."""
    outcome = job.outcome
    if outcome is not None and outcome["provider_status"] in STATUSES:
        return outcome["provider_status"]
    current = job.folded.current
    said = [record for _, record in (current.later if current else ()) if record["type"] == "status"]
    if said:
        last = max(said, key=lambda record: record["created"])["provider_status"]
        if last in STATUSES:
            return last
    return _OURS.get(job.status)
