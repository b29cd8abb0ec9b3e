"""Batches, as answers have shown them to this process, and what is recorded of them: the events of a batch.

An event stands with the first job of its batch that is archived. Readers put the events of all jobs of a batch together.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import QArchiveError
from ..base import Recorder
from .answers import ENDED, in_order, kept, kept_beside, word
from .texts import sequence_text

PROVIDER = "pasqal"
_REMEMBERED = 512  # batches
_LOOKED_THROUGH = 1000  # jobs of the archive, where nothing else tells which one is of a batch
_WHOLE = "created_at"  # in every whole answer about a batch, and in none about its status alone
# An answer that differs in none of these from the last one is nothing new.
_TELLING = ("status", "open", "tags", "device_status", "jobs_count", "end_datetime")
_NAMES = {"TIMED_OUT": "timed out", "CANCELED": "cancelled", "RUNNING": "started"}


class Known:
    """One batch: all its answers together, its sequence, and the ids of its jobs in the order in which they were created."""

    def __init__(self, batch_id: str):
        self.id = batch_id
        self.answer: dict[str, Any] = {}
        self.builder: str | None = None
        self.whole = False  # whether the sequence was told, if there is one
        self.jobs: list[str] = []
        self.anchors: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()  # recorder -> job with the events
        self.told: weakref.WeakKeyDictionary[Any, dict] = weakref.WeakKeyDictionary()  # recorder -> what its last event said
        self.waiting: list[tuple[str, dict]] = []  # events of a batch that has no jobs yet

    def learn(self, answer: Mapping[str, Any]) -> None:
        """Another answer about it; one about its status alone says less than the next whole one."""
        if _WHOLE in answer:
            self.answer |= kept(answer)
        if "sequence_builder" in answer:
            self.builder, self.whole = answer["sequence_builder"], True
        self.met(job["id"] for job in in_order(answer.get("jobs") or ()))

    def met(self, job_ids: Iterable[str]) -> None:
        """Some of its jobs, in order."""
        self.jobs += [job_id for job_id in job_ids if job_id not in self.jobs]

    def as_asked(self) -> dict[str, Any] | None:
        """What is known of it, as the API names it; None where that is not enough to say what its jobs run."""
        return {**self.answer, "sequence_builder": self.builder} if self.whole else None


_looked_through: weakref.WeakKeyDictionary[Any, dict[str, list[str]]] = weakref.WeakKeyDictionary()
_known: OrderedDict[str, Known] = OrderedDict()
_mutex = threading.Lock()


def known(batch_id: str) -> Known:
    """The batch with this id; one of which nothing is known yet, where nothing is."""
    with _mutex:
        found = _known.pop(str(batch_id), None) or Known(str(batch_id))
        _known[found.id] = found
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
        return found


def happened(recorder: Recorder, provider: Any, batch: Known, name: str, answer: Mapping[str, Any] | None = None,
             jobs: Iterable[Mapping[str, Any]] = (), **more: Any) -> None:  # fmt: skip
    """Record an event: what the service answered about the batch, and about jobs that are new in it."""
    value: dict[str, Any] = {"batch_id": batch.id, **more}
    if answer is not None:
        value["batch"] = kept(answer)
    new = [kept_beside(job) for job in jobs]
    if new:
        value["jobs"] = new
    anchor = _anchor(recorder, batch)
    if anchor is None:
        batch.waiting.append((name, value))
        return
    waiting, batch.waiting = batch.waiting, []
    for earlier in waiting:
        recorder.event(provider, anchor, *earlier)
    recorder.event(provider, anchor, name, value)
    batch.told[recorder] = _telling(batch.answer)


def seen(recorder: Recorder, provider: Any, batch: Known) -> None:
    """Record that a batch stands otherwise than its last event says, where jobs of it are archived."""
    if not batch.jobs or _WHOLE not in batch.answer or batch.told.get(recorder) == _telling(batch.answer):
        return
    anchor = _anchor(recorder, batch)
    if anchor is None:
        return
    if recorder not in batch.told:
        batch.told[recorder] = _told_before(recorder, anchor)
    if batch.told[recorder] != _telling(batch.answer):
        said = word(batch.answer)
        happened(recorder, provider, batch, _NAMES.get(said, "ended" if said in ENDED else "seen"), batch.answer)


def find(recorder: Recorder, batch: Known) -> None:
    """Look in the archive for the jobs of a batch of which no answer has told any. The archive is looked through once."""
    if batch.jobs:
        return
    if recorder not in _looked_through:
        found: dict[str, list[str]] = {}
        for job in recorder.jobs(provider=PROVIDER, limit=_LOOKED_THROUGH):
            for batch_id in batches_of(job):
                found.setdefault(batch_id, []).insert(0, job.provider_job)
        _looked_through[recorder] = found
    batch.met(_looked_through[recorder].get(batch.id, ()))


def from_archive(recorder: Recorder, batch: Known) -> dict[str, Any] | None:
    """What is archived of a batch with its jobs, as the API names it; None where nothing is."""
    anchor = _anchor(recorder, batch)
    if anchor is None:
        return None
    job = recorder.job(anchor)
    about = {name: item for name, item in job.config.items() if name not in ("type", "batch", "webhook")}
    for _, _, value in events_of(job):
        about |= value.get("batch") or {}
    return about | {"sequence_builder": sequence_text(job.get, job.get(job.record["input"]).get("builder"))}


def batches_of(job: Any) -> set[str]:
    """The ids of the batches in which an archived job was sent: one, or none where it was not."""
    return {later["batch"] for attempt in job.folded.attempts for _, later in attempt.later
            if later["type"] == "sent" and "batch" in later}  # fmt: skip


def events_of(job: Any) -> list[tuple[Any, str, dict]]:
    """(time, name, value) of the events of a batch that stand with an archived job, in order."""
    found = [(record["created"], record["name"], job.get(record["value"])) for _, record in job.folded.others
             if record["type"] == "event" and "value" in record]  # fmt: skip
    return sorted((event for event in found if type(event[2]) is dict), key=lambda event: event[:2])


def _anchor(recorder: Recorder, batch: Known) -> str | None:
    if recorder not in batch.anchors:
        found = next((job_id for job_id in batch.jobs if is_archived(recorder, job_id)), None)
        if found is None:
            return None
        batch.anchors[recorder] = found
    return batch.anchors[recorder]


def is_archived(recorder: Recorder, job_id: str) -> bool:
    try:
        return recorder.job(job_id).provider == PROVIDER
    except QArchiveError:
        return False


def _told_before(recorder: Recorder, anchor: str) -> dict:
    told: dict[str, Any] = {}
    for _, _, value in events_of(recorder.job(anchor)):
        told |= value.get("batch") or {}
    return _telling(told)


def _telling(answer: Mapping[str, Any]) -> dict:
    return {name: answer.get(name) for name in _TELLING}
