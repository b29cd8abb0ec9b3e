"""Who answers in the place of Pasqal's cloud while it is replayed: batches that are sent are those that were, job by job.

A batch of a replay has its own life, beside that of the archived one whose id it has: it holds the jobs that were sent so far, is
open until it is closed, and where what is not recorded is run, it has a batch of the cloud's behind it.
"""

import copy
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadInput, NoRecording
from . import answers
from .calls import Call
from .shelf import Entry, Shelf, passes
from .watching import Answer

_ENOUGH = {"batch_id", "project_id", "created_at", "updated_at"}  # of an answer about a job, for the SDK to make one of it

Live = Callable[..., Any]  # a method of a client that reaches the cloud, by its name and its arguments


@dataclass
class Sent:
    """A batch that was sent in this process. `behind` is the cloud's own, to which jobs without a recording go."""

    id: str
    asked: Mapping[str, Any]
    open: bool
    jobs: list[str] = field(default_factory=list)  # ids, in the order in which they were sent
    behind: str | None = None
    told: Mapping[str, Any] | None = None  # what the cloud answered about that one
    tags: list[str] | None = None


class Desk:
    """The answers of one player; for all threads. Of what it does not know it says None: that is for the cloud, or nowhere."""

    def __init__(self, provider: Any, watcher: Any, player: Any):
        self.player, self.shelf = player, Shelf(player)
        self._provider, self._watcher = provider, watcher
        self._sent: dict[str, Sent] = {}
        self._live_jobs: dict[str, dict] = {}  # what the cloud answered about jobs that it runs
        self._entries: dict[str, Entry] = {}  # recordings that were answered
        self._mutex = threading.RLock()

    # Sending

    def send_batch(self, client: Any, live: Live | None, data: Mapping[str, Any]) -> dict[str, Any]:
        asked = {name: item for name, item in data.items() if name != "jobs"}
        call = Call(client, asked, list(data.get("jobs") or ()))
        batch = Sent("", asked, bool(asked.get("open")))
        if call.jobs:
            self._run(batch, call, "created", lambda: self._ask(live, "send_batch", data))
        else:
            self._begin(batch, call)
        return self.batch(batch.id)

    def add_jobs(self, client: Any, live: Live | None, batch_id: str, jobs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        batch = self._known(batch_id, live)
        if batch is None:
            return self._ask(live, "add_jobs", batch_id, jobs)
        call = Call(client, batch.asked, list(jobs), batch.id)

        def send() -> Any:
            if batch.behind is not None:
                return self._ask(live, "add_jobs", batch.behind, call.jobs)
            call.batch_id = None  # the archived one takes no more
            return self._ask(live, "send_batch", {**batch.asked, "jobs": call.jobs, "open": True})

        self._run(batch, call, "jobs added", send)
        return self.batch(batch.id)

    def rebatch(self, client: Any, live: Live | None, batch_id: str, filters: Any) -> dict[str, Any]:
        old = self._known(batch_id, live)
        wanted = filters.model_dump(exclude_unset=True)
        chosen = [job for job in self.jobs(batch_id) or () if passes(job, wanted)]
        if old is None or not chosen:
            if live is None:
                raise NoRecording(f"jobs of batch {batch_id} that are to be repeated", self.player.where)
            return self._ask(live, "rebatch", batch_id, filters)
        asked = [{name: job[name] for name in ("runs", "variables", "sequence") if job.get(name) is not None} for job in chosen]
        batch = Sent("", {**old.asked, "open": False}, False)
        self._run(batch, Call(client, batch.asked, asked), "created", lambda: self._ask(live, "rebatch", batch_id, filters))
        return self.batch(batch.id)

    def _run(self, batch: Sent, call: Call, name: str, send: Callable[[], Any]) -> None:
        """Have the jobs of a request answered, and put them into a batch."""
        answer = self.player.run(self._provider, call.client, (call,), {}, lambda _: Answer(call, send()))
        with self._mutex:
            if answer.archived is not None:
                entries = [Entry(job) for job in answer.archived]
                if not batch.id:
                    ids = [batch_id for entry in entries for batch_id in sorted(entry.batches)]
                    batch.id = next((each for each in ids if each not in self._sent), None) or str(uuid.uuid4())
                batch.jobs += [entry.id for entry in entries]
                self._entries |= {entry.id: entry for entry in entries}
            else:
                if self.player.wanted():
                    self._watcher.accepted(self.player, answer, name)
                self._learn(batch, answer.raw)
            self._sent[batch.id] = batch

    def _begin(self, batch: Sent, call: Call) -> None:
        """A batch without jobs runs nothing: it has the id of an archived one of its sequence, or one that nobody has."""
        with self._mutex:
            batches = [archived for archived in self.shelf.batches().values() if archived.id not in self._sent]
            alike = [
                archived.id
                for archived in batches
                if (archived.entries[0].job.backend, archived.entries[0].text("builder")) == (call.device_type, call.builder)
            ]
            batch.id = alike[-1] if alike else str(uuid.uuid4())
            self._sent[batch.id] = batch

    def _learn(self, batch: Sent, raw: Mapping[str, Any]) -> None:
        """What the cloud answered about the batch behind one."""
        batch.behind, batch.told = raw["id"], raw
        batch.id = batch.id or raw["id"]
        for job in answers.in_order(raw.get("jobs") or ()):
            self._live_jobs[job["id"]] = copy.deepcopy(job)
            if job["id"] not in batch.jobs:
                batch.jobs.append(job["id"])

    def _known(self, batch_id: str, live: Live | None) -> Sent | None:
        """A batch to which jobs may be added: of this process, or an archived one, as far as nobody runs it elsewhere."""
        batch_id = str(batch_id)
        with self._mutex:
            found, archived = self._sent.get(batch_id), self.shelf.batches().get(batch_id)
            if found is None and archived is not None and live is None:
                return Sent(batch_id, archived.answer(), True, [job["id"] for job in archived.job_answers()])
            return found

    def _ask(self, live: Live | None, name: str, *args: Any) -> Any:
        if live is None:
            raise BadInput("this client of Pasqal's", "it answers from the archive and sends nothing",
                           "use a client of your own to send")  # fmt: skip
        return live(name, *args)

    # Looking

    def batch(self, batch_id: str, live: Live | None = None) -> dict[str, Any] | None:
        """What is answered about a batch; None where the cloud is to be asked, or nothing is known."""
        batch_id = str(batch_id)
        with self._mutex:
            batch, archived = self._sent.get(batch_id), self.shelf.batches().get(batch_id)
            if batch is None:
                return archived.answer() if archived is not None and (live is None or self._ended(archived)) else None
            if batch.behind is not None and live is not None:
                self._learn(batch, {**live("get_batch", batch.behind), "jobs": live("get_batch_jobs", batch.behind)})
            jobs = self.jobs(batch_id)
            counts: dict[str, int] = {}
            for job in jobs:
                counts[job["status"]] = counts.get(job["status"], 0) + 1
            ended = all(job["status"] in answers.ENDED for job in jobs)
            if batch.behind == batch.id:
                found, whole = dict(batch.told), [job["id"] for job in batch.told.get("jobs") or ()]
            elif archived is not None:
                found, whole = archived.answer(), [entry.id for entry in archived.entries]
            else:
                found, whole = _made_up(batch, jobs), []
            if set(batch.jobs) != set(whole):
                found["status"] = ("DONE" if ended else "RUNNING") if jobs else "PENDING"
            found |= {"open": batch.open, "complete": not batch.open, "jobs": jobs, "jobs_count": len(jobs),
                      "jobs_count_per_status": counts, "sequence_builder": batch.asked.get("sequence_builder")}  # fmt: skip
            return found if batch.tags is None else {**found, "tags": batch.tags}

    def jobs(self, batch_id: str) -> list[dict[str, Any]] | None:
        """What is answered about the jobs of a batch, in order."""
        with self._mutex:
            batch, archived = self._sent.get(str(batch_id)), self.shelf.batches().get(str(batch_id))
            if batch is None:
                return None if archived is None else archived.job_answers()
            return [{**self.job(job_id), "batch_id": batch.id} for job_id in batch.jobs]

    def job(self, job_id: str, with_sequence: bool = True) -> dict[str, Any] | None:
        """What is answered about a job; None where nothing is known."""
        job_id = str(job_id)
        if job_id in self._live_jobs:
            return copy.deepcopy(self._live_jobs[job_id])
        entry = self._entries.get(job_id) or self.shelf.jobs().get(job_id)
        if entry is None:
            return None
        if entry.told.keys() >= _ENOUGH:
            return entry.answer(entry.told["batch_id"], {}, with_sequence)
        for batch in self.shelf.batches().values():
            for answer in batch.job_answers(with_sequence):
                if answer["id"] == entry.id:
                    return answer
        return entry.answer("", {}, with_sequence)

    def is_live(self, job_id: str) -> bool:
        """Whether the cloud is to be asked about a job: it runs there, or has not ended as far as the archive knows."""
        entry = self.shelf.jobs().get(str(job_id))
        return str(job_id) in self._live_jobs or entry is None or entry.word not in answers.ENDED

    # Ending

    def close(self, batch_id: str, live: Live | None) -> dict[str, Any] | None:
        """Of a batch of this process."""
        with self._mutex:
            batch = self._sent.get(str(batch_id))
            if batch is None:
                return None
            if batch.behind is not None and batch.open:
                self._ask(live, "close_batch", batch.behind)
            batch.open = False
        return self.batch(batch_id, live)

    def cancel(self, batch_id: str, live: Live | None) -> dict[str, Any] | None:
        """The same: what is recorded has ended."""
        with self._mutex:
            batch = self._sent.get(str(batch_id))
            if batch is None:
                return None
            if batch.behind is not None:
                self._ask(live, "cancel_batch", batch.behind)
            batch.open = False
        return self.batch(batch_id, live)

    def tag(self, batch_id: str, tags: list[str]) -> dict[str, Any] | None:
        with self._mutex:
            batch = self._sent.get(str(batch_id))
            if batch is None:
                return None
            batch.tags = list(tags)
        return self.batch(batch_id)

    def holds(self, job_id: str) -> bool:
        """Whether a job is one of this process's that has a recording."""
        return any(str(job_id) in batch.jobs for batch in self._sent.values()) and str(job_id) not in self._live_jobs

    @staticmethod
    def _ended(archived: Any) -> bool:
        return all(entry.word in answers.ENDED for entry in archived.entries)


def answer(call: Call, jobs: list[Any]) -> Answer:
    """What a request is answered with archived jobs, before it is known which batch they are put into."""
    for job in jobs:
        if job.provider_job is None:
            job.result()  # it was refused, and says so
    return Answer(call, None, jobs)


_desks: "weakref.WeakKeyDictionary[Any, Desk]" = weakref.WeakKeyDictionary()


def desk(provider: Any, watcher: Any, player: Any) -> Desk:
    """The desk of a player; one for each."""
    found = _desks.get(player)
    if found is None:
        found = _desks[player] = Desk(provider, watcher, player)
    return found


def _made_up(batch: Sent, jobs: list[Mapping[str, Any]]) -> dict[str, Any]:
    """An answer about a batch that the archive has not."""
    moment = jobs[0]["created_at"] if jobs else "1970-01-01T00:00:00+00:00"
    asked = {name: batch.asked[name] for name in ("configuration", "backend_configuration") if batch.asked.get(name) is not None}
    return {"id": batch.id, "created_at": moment, "updated_at": moment, "user_id": "", "webhook": None,
            "device_type": Call(None, batch.asked, list(jobs)).device_type, "project_id": batch.asked.get("project_id") or "",
            "tags": list(batch.asked.get("tags") or ()), **asked}  # fmt: skip
