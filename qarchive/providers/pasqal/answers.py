"""Answers of Pasqal's API about batches and jobs: what of them is kept, and which answered job is which sent one."""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..base import State

STATUSES = {
    "PENDING": "QUEUED",
    "RUNNING": "RUNNING",
    "PAUSED": "PAUSED",
    "DONE": "DONE",
    "ERROR": "ERROR",
    "CANCELED": "CANCELLED",
    "TIMED_OUT": "TIMED_OUT",
}
ENDED = frozenset({"DONE", "ERROR", "CANCELED", "TIMED_OUT"})

# Of an answer: kept elsewhere (sequences, jobs), or nobody else's business (a webhook's address is as good as a password).
_LEFT_OUT = frozenset({"jobs", "ordered_jobs", "sequence", "sequence_builder", "webhook", "_client"})
_AS_IN_BATCH = ("batch_id", "project_id", "runs", "variables")  # of a job's answer, where it stands beside its batch's


def kept(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What of an answer about a batch or a job is stored, as a copy: no links to results, for they open without a password."""
    return {name: copy.deepcopy(value) for name, value in answer.items() if name not in _LEFT_OUT and "link" not in name}


def kept_beside(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a job in its batch's event: what its input and its batch do not tell."""
    return {name: value for name, value in kept(answer).items() if name not in _AS_IN_BATCH}


def word(answer: Mapping[str, Any]) -> str:
    """The service's word for how a batch or a job stands."""
    return str(answer.get("status") or "")


def state(answer: Mapping[str, Any]) -> State:
    """The same in ours; a word that is not known is one of waiting."""
    said = word(answer)
    return State(STATUSES.get(said, "QUEUED"), said, said in ENDED)


def as_sent(value: Any) -> Any:
    """A value as JSON brings it to the service. Raises TypeError, ValueError."""
    return json.loads(json.dumps(value))


def instance(core: str, project: str | None) -> str:
    """What stands for a project of a cloud in an archive: which it is cannot be read from it, only that it is the same."""
    return hashlib.sha256(f"{core} {project or ''}".encode()).hexdigest()[:16]


def in_order(jobs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Jobs of one batch as they were created: by the service's own number where it tells one, else as it lists them."""
    jobs = list(jobs)
    if all(type(job.get("creation_order")) is int for job in jobs):
        jobs.sort(key=lambda job: job["creation_order"])
    return jobs


def matched(asked: list[Mapping[str, Any]], answered: list[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """For each job that was sent the answered one, or None where that is not certain.

    `answered` are the new jobs of the batch in the order in which they were created, which is that of the request: Pulser relies
    on it for its results. So it holds wherever runs and variables fit; where they do not, they alone tell, if they can.
    """
    if len(answered) == len(asked) and all(map(_fits, asked, answered)):
        return answered
    left, found = list(answered), []
    for job in asked:
        place = next((place for place, each in enumerate(left) if _fits(job, each)), None)
        if place is None:
            return None
        found.append(left.pop(place))
    return found


def _fits(asked: Mapping[str, Any], answered: Mapping[str, Any]) -> bool:
    """Whether an answer may be that to a job: what it leaves out does not tell against it."""
    if "runs" in answered and asked.get("runs") != answered["runs"]:
        return False
    return "variables" not in answered or plain_variables(asked.get("variables")) == plain_variables(answered["variables"])


def plain_variables(variables: Any) -> Any:
    """Variables to compare: a number alone is a list of one, and none are nothing."""
    if not variables:
        return None
    return {name: value if type(value) in (list, dict) else [value] for name, value in variables.items()}
