"""Archived jobs as the service would answer about them and their batches, filtered, sorted and in pages as it has them."""

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from .answers import ENDED, STATUSES, word
from .batches import batches_of, events_of
from .calls import DEVICE
from .texts import sequence_text, specs_text

PROVIDER = "pasqal"
_OURS = {"CANCELLED": "CANCELED", "PARTIAL": "DONE", "RUNNING": "RUNNING", "PAUSED": "PAUSED"} | {
    ours: theirs for theirs, ours in STATUSES.items() if ours == theirs
}
_ENDED = frozenset({"DONE", "PARTIAL", "ERROR", "CANCELLED", "TIMED_OUT"})
_COUNTED = ("PENDING", "RUNNING", "DONE", "ERROR", "CANCELED")
_LISTED = {"id": "id", "project_id": "project_id", "user_id": "user_id", "batch_id": "batch_id", "status": "status",
           "device_type": "device_type", "queue_priority": "queue_priority"}  # fmt: skip


class Shelf:
    """The jobs of one archive, as they are when they are first asked for; those that have not ended are read again each time.

    `archive` offers `jobs(provider=...)`.
    """

    def __init__(self, archive: Any):
        self._archive = archive
        self._ended: dict[str, Entry] = {}  # by the archive's id

    def jobs(self) -> dict[str, "Entry"]:
        """The archived jobs by the service's id, the newest first; of several records of one job that with a result."""
        found: dict[str, Entry] = {}
        for job in self._archive.jobs(provider=PROVIDER):
            entry = self._ended.get(job.id)
            if entry is None:
                entry = Entry(job)
                if job.status in _ENDED:
                    self._ended[job.id] = entry
            there = found.get(entry.id)
            if entry.id is not None and (there is None or entry.has_result):
                found[entry.id] = entry
        return found

    def batches(self) -> dict[str, "Batch"]:
        """The batches that these jobs are of, by the service's id."""
        found: dict[str, Batch] = {}
        for entry in self.jobs().values():
            for batch_id in entry.batches:
                found.setdefault(batch_id, Batch(batch_id)).entries.append(entry)
        return found

    def devices(self) -> dict[str, str]:
        """The last archived specifications of each device type."""
        found: dict[str, str] = {}
        for entry in self.jobs().values():
            snapshot = entry.job.backend_snapshot or {}
            if snapshot.get("type") == DEVICE and snapshot.get("name") not in found:
                text = specs_text(entry.job.get, snapshot)
                if text is not None:
                    found[snapshot["name"]] = text
        return found


class Entry:
    """An archived job, read once."""

    def __init__(self, job: Any):
        self.job = job
        self.id: str | None = job.provider_job

    @cached_property
    def outcome(self) -> Mapping[str, Any]:
        """The outcome record that holds; empty where there is none."""
        return self.job.outcome or {}

    @property
    def has_result(self) -> bool:
        return "result" in self.outcome

    @property
    def told(self) -> Mapping[str, Any]:
        """What the service answered about it when it had ended; empty where it was not asked."""
        return self.outcome.get("volatile", {}).get("job", {})

    @cached_property
    def batches(self) -> set[str]:
        return batches_of(self.job)

    @cached_property
    def events(self) -> list[tuple[Any, str, dict]]:
        """What happened to its batch, as far as it stands with this job; the answer about the batch with its outcome, too."""
        found = events_of(self.job)
        batch = self.outcome.get("volatile", {}).get("batch")
        if batch is not None:
            found.append((self.outcome["created"], "collected", {"batch_id": batch.get("id"), "batch": batch}))
        return found

    @cached_property
    def input(self) -> Mapping[str, Any]:
        return self.job.get(self.job.record["input"])

    def text(self, name: str) -> str | None:
        """The sequence of its batch ("builder"), or its own ("sequence")."""
        return sequence_text(self.job.get, self.input.get(name))

    @cached_property
    def word(self) -> str | None:
        """The service's last word for it, else ours in its language."""
        said = self.outcome.get("provider_status")
        if said not in STATUSES:
            current = self.job.folded.current
            notes = [record for _, record in (current.later if current else ()) if record["type"] == "status"]
            said = max(notes, key=lambda record: record["created"])["provider_status"] if notes else None
        return said if said in STATUSES else _OURS.get(self.job.status)

    def answer(self, batch_id: str, made: Mapping[str, dict], with_sequence: bool = False) -> dict[str, Any]:
        """What the service answered about it last: when it was asked after it had ended, or as the job was made."""
        moment = self.job.created.isoformat()
        found = {"id": self.id, "batch_id": batch_id, "project_id": "", "created_at": moment, "updated_at": moment,
                 "runs": self.job.shots, "variables": self.input.get("variables"),
                 **made.get(self.id, {}), **self.told}  # fmt: skip
        found["project_id"] = found["project_id"] or ""
        found["status"] = self.word or word(found) or "PENDING"
        if with_sequence:
            found["sequence"] = self.text("sequence")
        return copy.deepcopy(found)


class Batch:
    """A batch with its archived jobs."""

    def __init__(self, batch_id: str):
        self.id = batch_id
        self.entries: list[Entry] = []

    def answer(self, with_sequence: bool = True) -> dict[str, Any]:
        """What the service answered about it last; what no answer said is put together from its jobs."""
        found: dict[str, Any] = {**self._from_jobs(), "webhook": None}
        for _, _, value in self._events:
            found |= value.get("batch") or {}
        if with_sequence:
            found["sequence_builder"] = next((entry.text("builder") for entry in self.entries if "builder" in entry.input), None)
        return copy.deepcopy(found)

    def job_answers(self, with_sequence: bool = False) -> list[dict[str, Any]]:
        """What it answers about its jobs, in the order in which they were created."""
        return sorted((entry.answer(self.id, self._made, with_sequence) for entry in self.entries), key=created)

    @cached_property
    def _events(self) -> list[tuple[Any, str, dict]]:
        found = [event for entry in self.entries for event in entry.events if event[2].get("batch_id") == self.id]
        return sorted(found, key=lambda event: event[:2])

    @cached_property
    def _made(self) -> dict[str, dict]:
        """What was answered about each job when it was made."""
        found: dict[str, dict] = {}
        for _, _, value in self._events:
            project = (value.get("batch") or {}).get("project_id")
            for job in value.get("jobs") or ():
                found[job["id"]] = {"project_id": project, **job}
        return found

    def _from_jobs(self) -> dict[str, Any]:
        jobs, first = self.job_answers(), self.entries[0].job
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
            "configuration": first.config.get("configuration"),
            "backend_configuration": first.config.get("backend_configuration"),
            "tags": list(first.labels.get("tags", ())),
            "jobs_count": len(jobs),
            "jobs_count_per_status": counts,
        }


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
