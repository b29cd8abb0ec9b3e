"""What Pasqal's cloud still knows of jobs: one that nobody captured, all that there are, those whose sending got no answer."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...errors import BadInput, NotAnswered, NotFound
from ...values import Timestamp
from ..base import Fetched, Get, Origin, Sent, Stage
from . import answers
from .calls import Call, describe
from .clients import project_of
from .jobs import Held
from .texts import sequence_text, without_uuids
from .wire import Unanswered, Wire, wire

PLACE = "Pasqal Cloud"
_EARLY, _LATE = timedelta(minutes=5), timedelta(hours=1)  # clocks differ; and the SDK tries to send for a minute at most
_DENIED = frozenset({401, 403})


def sent(job: Held) -> Sent:
    """The ids of a job that was accepted."""
    return Sent(job.id, batch=job.raw.get("batch_id"), instance=instance(job.client, job.raw))


def retrieve(client: Any, job_id: str, origin: Origin | None) -> Held:
    """The job, its batch with it, and its results where it has some. Raises NotFound, BadInput, NotAnswered."""
    there = wire(client)
    try:
        raw = there.job(job_id)
        job = Held(client, raw)
        if origin is not None and origin.instance not in (None, instance(client, raw)):
            raise elsewhere(job_id)
        if raw.get("batch_id"):
            job.batch = there.batch(raw["batch_id"])
        if answers.word(raw) == "DONE":
            job.results = there.results(job_id)
    except Unanswered as error:
        if error.status == 404 and origin is not None and origin.instance not in (None, instance(client, {})):
            raise elsewhere(job_id) from None
        raise raised(error, f"job {job_id}") from None
    return job


def instance(client: Any, raw: Mapping[str, Any]) -> str:
    """What stands for the project of a job, and the cloud that it is in."""
    core = getattr(getattr(client, "endpoints", None), "core", "")
    return answers.instance(core, raw.get("project_id") or project_of(client))


def elsewhere(job_id: str) -> BadInput:
    """What is said where a client reaches another project than that of a job."""
    return BadInput(f"job {job_id}", "it was sent to another project or another cloud", "give a client of that one")


def raised(error: Unanswered, what: str) -> Exception:
    """What the caller of the archive is told where the service does not answer, or says no."""
    if error.status == 404:
        return NotFound(what, PLACE, "it was deleted, or belongs to another project or account")
    if error.status in _DENIED:
        hint = "log in again: give a new PasqalCloudClient, with user name and password or a token provider"
        return BadInput(PLACE, "it refuses access with these credentials", hint)
    return NotAnswered(1, str(error))


def fetch(stage: Stage, job: Held) -> Fetched:
    """All that the service says of a job that no request of ours was recorded for. Raises NotFound, BadInput, NotAnswered."""
    raw = {"runs": job.raw.get("runs"), "variables": job.raw.get("variables"), "sequence": job.sequence}
    asked = {name: item for name, item in raw.items() if item is not None}
    parents = (job.parent,) if job.parent is not None else ()
    call = Call(job.client, job.batch, [asked], None, parents, asks=job.ours, answered=True)
    return Fetched(describe(stage, call, 0), sent(job), _moment(job.raw.get("created_at")), job.ours)


def listed(client: Any, since: datetime | None) -> Iterator[str]:
    """The ids of all jobs that the client can see, the oldest first. Raises NotFound, BadInput, NotAnswered."""
    try:
        found = list(_since(wire(client), since))
    except Unanswered as error:
        raise raised(error, "the list of jobs") from None
    yield from (job["id"] for job in reversed(found))


def search(
    get: Get, client: Any, sendings: list[tuple[Mapping[str, Any], Mapping[str, Any]]], known: Callable[[str], bool]
) -> list[str | None]:
    """For each (job record, attempt record) the id of the job that was accepted after all, or None.

    It was made soon after the attempt, no record has it, and runs, variables, sequences, device type, configuration and tags are
    those that were to be sent; of a job that was added to a batch, the batch too. Raises BadInput, NotAnswered.
    """
    there = wire(client)
    found: list[str | None] = [None] * len(sendings)
    if not sendings:
        return found
    try:
        first = min(attempt["created"].datetime for _, attempt in sendings) - _EARLY
        candidates = [job for job in reversed(list(_since(there, first))) if not known(job["id"])]
        candidates = answers.in_order(candidates)
        taken: set[str] = set()
        for place in sorted(range(len(sendings)), key=lambda place: sendings[place][1]["created"]):
            job, attempt = sendings[place]
            wanted = _Wanted(get, job, attempt)
            for raw in candidates:
                if raw["id"] not in taken and wanted.may_be(raw) and wanted.is_of(there, raw, there.batch(raw["batch_id"])):
                    found[place] = raw["id"]
                    taken.add(raw["id"])
                    break
    except Unanswered as error:
        raise raised(error, "the list of jobs") from None
    return found


class _Wanted:
    """A job that got no answer, to be compared with those that the service has."""

    def __init__(self, get: Get, job: Mapping[str, Any], attempt: Mapping[str, Any]):
        self._get, self._job = get, job
        self._input, self._config = get(job["input"]), get(job["config"])
        self._sent = attempt["created"].datetime
        self._tags = job.get("labels", {}).get("tags", [])

    def may_be(self, raw: Mapping[str, Any]) -> bool:
        """Whether time, batch, runs and variables fit."""
        moment = _moment(raw.get("created_at")).datetime
        return (
            self._input["type"] != "missing"
            and self._sent - _EARLY <= moment <= self._sent + _LATE
            and self._config.get("batch") in (None, raw["batch_id"])
            and self._input.get("runs") == raw.get("runs")
            and answers.plain_variables(self._input.get("variables")) == answers.plain_variables(raw.get("variables"))
        )

    def is_of(self, there: Wire, raw: Mapping[str, Any], batch: Mapping[str, Any]) -> bool:
        """Whether the batch and the sequences are those that were to be sent."""
        added = "batch" in self._config
        configuration = batch.get("backend_configuration")
        configuration = without_uuids(configuration)[0] if type(configuration) is str else configuration
        return (
            batch.get("device_type") == self._job["backend"]
            and (added or set(batch.get("tags") or ()) <= set(self._tags))
            and ("backend_configuration" not in self._config or self._config["backend_configuration"] == configuration)
            and ((added and "builder" not in self._input) or self._text("builder") == batch.get("sequence_builder"))
            and self._text("sequence") == there.job(raw["id"]).get("sequence")
        )

    def _text(self, name: str) -> str | None:
        return sequence_text(self._get, self._input.get(name))


def _since(there: Wire, since: datetime | None) -> Iterator[dict]:
    """Jobs, the latest first, back to that time."""
    for job in there.jobs():
        if since is not None and _moment(job.get("created_at")).datetime < since:
            return
        yield job


def _moment(text: Any) -> Timestamp:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return Timestamp.now()
    return Timestamp.of(found if found.tzinfo else found.replace(tzinfo=UTC))
