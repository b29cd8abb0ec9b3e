"""The methods of HTTPClient, through which everything passes: what they send and what comes back, recorded around the original.

A replaced method sends what it sent before, returns the object that it returned, and raises what it raised.
"""

import functools
import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from ...errors import QArchiveError
from ...values import Link
from .. import choosing, hooks
from ..base import Recorder
from . import batches, jobs, refusals
from .answers import in_order, matched
from .batches import Known, known
from .calls import Call
from .clients import BATCH, CLIENT, SDK, classes, pasqal
from .jobs import Held, unnoticed
from .wire import Unanswered, wire

_ENDED = frozenset({"REFUSED", "CANCELLED", "TIMED_OUT", "ERROR"})  # no results will come
_SEEN = 20_000  # ids of jobs that are none of the archive's
_within: ContextVar[frozenset[str]] = ContextVar("qarchive_pasqal_within", default=frozenset())
_retried: ContextVar[str | None] = ContextVar("qarchive_pasqal_retried", default=None)


class Answer:
    """What the service answered to a request that makes jobs. `jobs` are the new ones in the order in which they were sent;
    `archived` are recordings that stand for them in a replay, where nothing was sent."""

    def __init__(self, call: Call, raw: Any, archived: list[Any] | None = None):
        self.call, self.raw, self.archived = call, raw, archived
        self.jobs: list[Held] | None = None  # until somebody asks


class Watcher:
    """Looks at the requests of all clients that somebody records."""

    def __init__(self, provider: Any):
        self._provider = provider
        self._strangers: weakref.WeakKeyDictionary[Any, dict[str, None]] = weakref.WeakKeyDictionary()  # not archived there
        self._looks: dict[str, Callable] = {
            "send_batch": self._send_batch,
            "add_jobs": self._add_jobs,
            "rebatch": self._rebatch,
            "get_job_results": self._results,
            "get_device_specs_dict": self._specs,
            "close_batch": self._changing("closed"),
            "cancel_batch": self._changing("cancelled"),
            "set_batch_tags": self._changing("tags set"),
            "get_batch": self._reading(self._batch),
            "get_batch_status": self._reading(self._batch),
            "get_batches": self._reading(
                lambda recorder, client, found: self._each(self._listed, recorder, client, found["data"])
            ),
            "cancel_batches": self._reading(self._cancelled_batches),
            "get_job": self._reading(self._job),
            "get_job_status": self._reading(self._job),
            "cancel_job": self._reading(self._job),
            "cancel_jobs": self._reading(lambda recorder, client, found: self._each(self._job, recorder, client, found["jobs"])),
            "get_jobs": self._reading(lambda recorder, client, found: self._each(self._job, recorder, client, found["data"])),
            "get_batch_jobs": self._reading(lambda recorder, client, found: self._each(self._job, recorder, client, found)),
        }

    def replacements(self) -> Iterator[tuple[type, str, Callable]]:
        """(class, method, what makes the new one of the old one), of every class of clients that there is."""
        for kind in classes():
            for name, look in self._looks.items():
                if name in vars(kind):
                    yield kind, name, functools.partial(_replacement, name, look)
        base = getattr(pasqal(CLIENT[0]), CLIENT[1])
        if "_request_with_status_check" in vars(base):  # else no refusal can be proven
            yield base, "_request_with_status_check", refusals.noting
        yield getattr(pasqal(SDK[0]), SDK[1]), "__init__", self._constructor
        yield getattr(pasqal(BATCH[0]), BATCH[1]), "retry", _retrying

    def _constructor(self, original: Callable) -> Callable:
        """A client may be of a class that was not there when recording began."""

        @hooks.passed_over
        def method(client: Any, *args: Any, **kwargs: Any) -> None:
            original(client, *args, **kwargs)
            if choosing.recorder_of() is not None:
                unnoticed("what a client of this class sends", hooks.instrument, self._provider)

        return method

    # Sending

    def _send_batch(
        self, recorder: Recorder, client: Any, send: Callable[[], Any], batch_data: Mapping[str, Any], *_: Any
    ) -> Any:
        asked = dict(batch_data) if isinstance(batch_data, Mapping) else {}
        return self._sent(recorder, Call(client, asked, list(asked.get("jobs") or ())), send, "created")

    def _add_jobs(self, recorder: Recorder, client: Any, send: Callable[[], Any], batch_id: Any, jobs_data: Any, *_: Any) -> Any:
        asked = list(jobs_data) if isinstance(jobs_data, (list, tuple)) else []
        call = unnoticed("what is known of the batch", self._adding, recorder, client, str(batch_id), asked)
        return self._sent(recorder, call or Call(client, None, asked, str(batch_id)), send, "jobs added")

    def _adding(self, recorder: Recorder, client: Any, batch_id: str, asked: list) -> Call:
        batch = known(batch_id)
        batches.find(recorder, batch)
        about = batch.as_asked()
        if about is None:
            about = batches.from_archive(recorder, batch)
        parent = self._archived(recorder, _retried.get())
        return Call(client, about, asked, batch_id, (parent,) if parent is not None and len(asked) == 1 else ())

    def _sent(self, recorder: Recorder, call: Call, send: Callable[[], Any], name: str) -> Any:
        if call.batch_id is not None or not call.jobs:
            self._refuse_to_prepare(recorder, call)
        with refusals.watching(call.client):
            if call.jobs:
                answer = recorder.run(self._provider, call.client, (call,), {}, lambda _: Answer(call, send()))
            else:
                answer = Answer(call, send())
        self.accepted(recorder, answer, name)
        return answer.raw

    def accepted(self, recorder: Recorder, answer: Answer, name: str) -> None:
        """Record that a batch was made, or jobs added to it."""
        unnoticed("that a batch was made, or jobs added to it,", self._accepted, recorder, answer, name)

    def _refuse_to_prepare(self, recorder: Recorder, call: Call) -> None:
        """Let a recorder that sends nothing say so, where a request cannot wait: describing a call without jobs raises."""
        empty = Call(call.client, None, [], call.batch_id)
        recorder.run(self._provider, call.client, (empty,), {"archive": False}, lambda _: None)

    def _accepted(self, recorder: Recorder, answer: Answer, name: str) -> None:
        batch = known(answer.raw["id"])
        batch.learn(answer.raw)
        new = parts(answer)
        if batch.builder is None and not batch.whole and answer.call.batch is not None:
            batch.builder, batch.whole = answer.call.builder, True  # an answer may leave out what was sent
        batch.met(job.id for job in new)
        batches.happened(recorder, self._provider, batch, name, answer.raw, [job.raw for job in new])
        self._each(self._job, recorder, answer.call.client, answer.raw.get("jobs") or ())

    def _rebatch(
        self, recorder: Recorder, client: Any, send: Callable[[], Any], batch_id: Any, filters: Any = None, *_: Any
    ) -> Any:
        old = known(str(batch_id))
        self._refuse_to_prepare(recorder, Call(client, None, [], old.id))
        unnoticed("that jobs are to be repeated", self._rebatching, recorder, old, filters)
        raw = send()
        unnoticed("that jobs were repeated", self._rebatched, recorder, client, old, raw)
        return raw

    def _rebatching(self, recorder: Recorder, old: Known, filters: Any) -> None:
        batches.find(recorder, old)
        chosen = filters.model_dump(mode="json", exclude_unset=True) if filters is not None else {}
        batches.happened(recorder, self._provider, old, "rebatch asked for", filters=chosen)

    def _rebatched(self, recorder: Recorder, client: Any, old: Known, raw: Mapping[str, Any]) -> None:
        batch = known(raw["id"])
        batch.learn(raw)
        answered = in_order(raw.get("jobs") or wire(client).batch_jobs(batch.id))
        batch.met(job["id"] for job in answered)
        for each in answered:
            job = Held(client, each)
            job.ours, job.batch = True, {**batch.answer, **({"sequence_builder": batch.builder} if batch.whole else {})}
            job.parent = self._archived(recorder, each.get("parent_id"))
            unnoticed(f"job {job.id}", recorder.record, self._provider, job)
        batches.happened(recorder, self._provider, batch, "created", raw, answered, parent_id=old.id)
        batches.happened(recorder, self._provider, old, "rebatched", into=batch.id)

    # Looking

    def _changing(self, name: str) -> Callable:
        """A request about one batch that changes it."""

        def look(recorder: Recorder, client: Any, send: Callable[[], Any], batch_id: Any, *_: Any) -> Any:
            raw = send()
            unnoticed(f"that batch {batch_id} was {name}", self._changed, recorder, client, str(batch_id), name, raw)
            return raw

        return look

    def _changed(self, recorder: Recorder, client: Any, batch_id: str, name: str, raw: Mapping[str, Any]) -> None:
        batch = known(batch_id)
        batch.learn(raw)
        batches.find(recorder, batch)
        batches.happened(recorder, self._provider, batch, name, raw)
        self._each(self._job, recorder, client, raw.get("jobs") or ())

    @staticmethod
    def _reading(see: Callable[[Recorder, Any, Any], None]) -> Callable:
        """A request whose answer is looked at."""

        def look(recorder: Recorder, client: Any, send: Callable[[], Any], *_: Any) -> Any:
            found = send()
            unnoticed("what the service says of a batch or a job", see, recorder, client, found)
            return found

        return look

    def _results(self, recorder: Recorder, client: Any, send: Callable[[], Any], job_id: Any, *_: Any) -> Any:
        found = send()
        if found is not None:
            unnoticed(f"the result of job {job_id}", self._downloaded, recorder, client, str(job_id), found)
        return found

    def _downloaded(self, recorder: Recorder, client: Any, job_id: str, results: Mapping[str, Any]) -> None:
        there = jobs.held(job_id) or self._taken_up(recorder, Held(client, {"id": job_id}))
        if there is not None:
            there.downloaded(results)

    @staticmethod
    def _specs(recorder: Recorder, client: Any, send: Callable[[], Any], *_: Any) -> Any:
        found = send()
        unnoticed("the specifications of devices", wire(client).saw_specs, found)
        return found

    def _batch(self, recorder: Recorder, client: Any, raw: Mapping[str, Any]) -> None:
        batch = known(raw["id"])
        batch.learn(raw)
        self._each(self._job, recorder, client, raw.get("jobs") or ())
        batches.seen(recorder, self._provider, batch)

    def _listed(self, recorder: Recorder, client: Any, raw: Mapping[str, Any]) -> None:
        batch = known(raw["id"])
        batch.learn(raw)
        batches.seen(recorder, self._provider, batch)

    def _cancelled_batches(self, recorder: Recorder, client: Any, found: Mapping[str, Any]) -> None:
        for raw in found["batches"]:
            self._changed(recorder, client, raw["id"], "cancelled", raw)

    def _job(self, recorder: Recorder, client: Any, raw: Mapping[str, Any]) -> None:
        there = jobs.held(raw["id"])
        if there is None and not jobs.is_over(raw["id"]):
            there = self._taken_up(recorder, Held(client, raw))
        if there is None:
            return
        if "batch_id" in raw:
            batch = known(raw["batch_id"])
            batch.met([raw["id"]])
            batches.seen(recorder, self._provider, batch)
        there.answered(raw)

    def _taken_up(self, recorder: Recorder, job: Held) -> Held | None:
        """A job that was archived in another process, or by another object, and is looked at again; None where it was not."""
        strangers = self._strangers.setdefault(recorder, {})
        if job.id in strangers:
            return None
        try:
            archived = recorder.job(job.id)
        except QArchiveError:
            while len(strangers) >= _SEEN:
                strangers.pop(next(iter(strangers)))
            strangers[job.id] = None
            return None
        if archived.status in _ENDED or "result" in (archived.outcome or {}):
            jobs.release(job)
            return None
        recorder.resume(self._provider, job)
        return jobs.held(job.id)

    @staticmethod
    def _each(look: Callable, recorder: Recorder, client: Any, raws: Any) -> None:
        for raw in raws:
            look(recorder, client, raw)

    def _archived(self, recorder: Recorder, job_id: str | None) -> Link | None:
        if job_id is None or not batches.is_archived(recorder, job_id):
            return None
        return Link(bytes.fromhex(recorder.job(job_id).id))


def parts(answer: Answer) -> list[Held]:
    """The jobs in an answer that were sent with the request, in the order of the request; none where that is not certain."""
    if answer.jobs is None:
        call, raw = answer.call, answer.raw
        listed = raw.get("jobs")
        if listed is None and call.jobs:
            try:
                listed = wire(call.client).batch_jobs(raw["id"])  # paid for, and nobody would know its name
            except Unanswered:
                listed = []
        before = set(known(raw["id"]).jobs)
        new = [job for job in in_order(listed or ()) if job["id"] not in before]
        found = matched(call.jobs, new[-len(call.jobs) :]) if call.jobs else []
        if found is None and before:  # somebody else has added jobs at the same moment
            found = matched(call.jobs, new)
        found = found or []
        answer.jobs = [Held(call.client, {"batch_id": raw["id"], "project_id": raw.get("project_id"), **job}) for job in found]
    return answer.jobs


def _replacement(name: str, look: Callable, original: Callable) -> Callable:
    signature = inspect.signature(original)

    @hooks.passed_over
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = choosing.recorder_of(self)
        if recorder is None or name in _within.get() or not recorder.wanted():
            return original(self, *args, **kwargs)
        try:
            given = list(signature.bind(self, *args, **kwargs).arguments.values())[1:]
        except TypeError:
            return original(self, *args, **kwargs)  # which says what is wrong
        token = _within.set(_within.get() | {name})
        try:
            return look(recorder, self, lambda: original(self, *args, **kwargs), *given)
        finally:
            _within.reset(token)

    return method


def _retrying(original: Callable) -> Callable:
    """`Batch.retry`: the job that it adds is another attempt at the one that it is given."""

    @hooks.passed_over
    def method(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        token = _retried.set(getattr(job, "id", None))
        try:
            return original(self, job, *args, **kwargs)
        finally:
            _retried.reset(token)

    return method
