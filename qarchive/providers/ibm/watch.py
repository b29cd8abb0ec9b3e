"""What a user's own requests show of a job, seen on their way: nothing is asked of the cloud before he has asked.

One attribute of the user's job object, its `_api_client`, is replaced by one that does the same and looks at the answers. When
they say that the job has ended, the rest is asked for beside him, in a thread; of a private job only what he has read himself is
kept, since it can be read once.
"""

import contextlib
import copy
import functools
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ArchiveWarning
from ..base import Follower, State
from .wire import PATIENT_S, Unanswered, Wire

GRACE_S = 1.0  # who hears that his job is done asks for its result next, and need not share the line with us

RAN_TOO_LONG = 1305
_FINAL = {"COMPLETED": "DONE", "FAILED": "ERROR", "CANCELLED": "CANCELLED"}
_ON_THE_WAY = {"QUEUED": "QUEUED", "INITIALIZING": "QUEUED", "VALIDATING": "QUEUED", "RUNNING": "RUNNING", "PAUSED": "PAUSED"}


@dataclass
class Seen:
    """Answers of the service about one job: the last state, the text of its results, times and usage."""

    answer: dict | None = None  # without params
    text: str | None = None
    metrics: dict | None = None
    fetched: bool = False  # the job was sent without us, so nobody asked for a calibration then

    @property
    def state(self) -> State | None:
        """What the last answer says, where it is final."""
        found = state(self.answer) if self.answer else None
        return found if found is not None and found.status not in _ON_THE_WAY.values() else None


def state(answer: Mapping[str, Any]) -> State:
    """The status in the service's answer about a job."""
    inside = answer.get("state") or {}
    said = str(inside.get("status") or answer.get("status") or "")
    word = said.upper()
    status = _FINAL.get(word)
    if status is None:
        return State(_ON_THE_WAY.get(word, "QUEUED"), said, False)
    if word == "CANCELLED" and reason_code(answer) == RAN_TOO_LONG:
        status = "TIMED_OUT"
    return State(status, str(answer.get("status") or said), not (status == "DONE" and answer.get("private")))


def reason_code(answer: Mapping[str, Any]) -> int | None:
    """IBM's number for why a job ended as it did."""
    inside = answer.get("state") or {}
    return inside.get("reasonCode") or inside.get("reason_code")


def without_params(answer: Mapping[str, Any]) -> dict:
    """A copy of an answer about a job that stays as it is, whatever the SDK takes out of the original."""
    return copy.deepcopy({name: value for name, value in answer.items() if name != "params"})


def _unnoticed(method: Callable) -> Callable:
    """Nothing of ours reaches the user, but for a warning; and in a forked child, whose job is the parent's, nothing is done."""

    @functools.wraps(method)
    def guarded(self: "Watch", *args: Any) -> None:
        if os.getpid() != self.process:
            return
        try:
            method(self, *args)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # SDKs raise what is no Exception
            with contextlib.suppress(ArchiveWarning):
                said = f"job {self._job_id} is not followed: {type(error).__name__}: {error}"
                warnings.warn(said, ArchiveWarning, stacklevel=2)

    return guarded


class Watch:
    """One job, between the user's requests and its followers: one an archive."""

    def __init__(self, job: Any, wire: Callable[[], Wire], seen: Seen):
        self.seen = seen
        self._trying = self._ending = False  # a thread asks for what is missing; the outcome is being written, or has been
        self._job_id, self._private = job.job_id(), bool(job.private)
        self._followers: list[Follower] = []
        self._wire = wire
        self._status = "QUEUED"
        self._changed = threading.Condition()
        self._reading = 0  # requests of the user's for the results that are on their way
        self.process = os.getpid()

    def add(self, follower: Follower) -> None:
        """Tell one more, at once if it is too late for the others."""
        with self._changed:
            self._followers.append(follower)
            late = self._ending
        if late:
            follower.ended()

    # What the user's requests show

    @_unnoticed
    def answered(self, answer: Mapping[str, Any]) -> None:
        """The service said how the job stands."""
        found = state(answer)
        with self._changed:
            self.seen.answer = without_params(answer)
            told, self._status = self._status, found.status
        if found.status in _ON_THE_WAY.values():
            if found.status != told:
                for follower in tuple(self._followers):
                    follower.status(found.status, found.provider_status)
        elif found.status == "CANCELLED":
            self._end_aside(lambda: True)
        elif found.status != "DONE" or not self._private:
            self._end_aside(self._has_results)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Callable[[str], None]]:
        """The user reads the results: `with watch.reading() as read: read(text)`."""
        with self._changed:
            self._reading += 1
            self._changed.notify_all()
        try:
            yield self._read
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    @_unnoticed
    def _read(self, text: str) -> None:
        with self._changed:
            self.seen.text = text
        if self._private:
            self._end()  # here and now: nobody can read it again
        else:
            self._end_aside(self._has_results)

    @_unnoticed
    def measured(self, metrics: Mapping[str, Any]) -> None:
        """The service told times and usage."""
        if (metrics.get("usage") or {}).get("status", "pending") != "pending":
            self.seen.metrics = copy.deepcopy(dict(metrics))

    @_unnoticed
    def cancelled(self) -> None:
        """The user has cancelled the job; the SDK asks no more about it."""
        self._end_aside(self._is_final)

    def ending(self) -> bool:
        """Whether the outcome is being written, or has been; where it depends on what a thread asks for, when that is known."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or not self._trying, PATIENT_S)
            return self._ending

    # What follows from it

    def _end_aside(self, way: Callable[[], bool]) -> None:
        """Let a thread bring the job to its end in the archive: one at a time, until one has."""
        with self._changed:
            if self._ending or self._trying:
                return
            self._trying = True
        try:  # no daemon: the interpreter waits for it
            threading.Thread(target=self._aside, args=(way,), name=f"qarchive-{self._job_id}").start()
        except RuntimeError:  # the interpreter is shutting down
            self._aside(way)

    @_unnoticed
    def _aside(self, way: Callable[[], bool]) -> None:
        try:
            if way():
                self._end()
        finally:
            with self._changed:
                self._trying = False
                self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            if self._ending:
                return
            self._ending = True
            self._changed.notify_all()
            followers = tuple(self._followers)
        for follower in followers:
            follower.ended()
        self.seen.text = None  # it may be long, and the job may be kept

    def _has_results(self) -> bool:
        """After the user has read the results, or has not begun to for a while; False where nobody can get them now."""
        with self._changed:
            self._changed.wait_for(lambda: self._reading or self.seen.text is not None, GRACE_S)
            self._changed.wait_for(lambda: not self._reading or self.seen.text is not None)
            text, answer = self.seen.text, self.seen.answer
        if text is None and not self._private:
            try:
                text = self._wire().results(self._job_id)
            except Unanswered as error:
                if error.status is None and answer is not None and state(answer).status == "DONE":
                    return False
            else:
                self.seen.text = text
        return self.seen.state is not None or self._is_final()

    def _is_final(self) -> bool:
        try:
            answer = self._wire().job(self._job_id)
        except Unanswered:
            return False
        self.seen.answer = answer
        return self.seen.state is not None


class Witness:
    """The client of a job's, with a `Watch` beside it; in all else it is that client."""

    __slots__ = ("_qarchive_client", "_qarchive_watch")

    def __init__(self, client: Any, watch: Watch):
        object.__setattr__(self, "_qarchive_client", client)
        object.__setattr__(self, "_qarchive_watch", watch)

    @property
    def __class__(self):
        return type(self._qarchive_client)

    def job_get(self, *args: Any, **kwargs: Any) -> dict:
        answer = self._qarchive_client.job_get(*args, **kwargs)
        self._qarchive_watch.answered(answer)
        return answer

    def job_results(self, *args: Any, **kwargs: Any) -> str:
        with self._qarchive_watch.reading() as read:
            text = self._qarchive_client.job_results(*args, **kwargs)
            read(text)
        return text

    def job_metadata(self, *args: Any, **kwargs: Any) -> dict:
        metrics = self._qarchive_client.job_metadata(*args, **kwargs)
        self._qarchive_watch.measured(metrics)
        return metrics

    def job_cancel(self, *args: Any, **kwargs: Any) -> None:
        self._qarchive_client.job_cancel(*args, **kwargs)
        self._qarchive_watch.cancelled()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._qarchive_client, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._qarchive_client, name, value)

    def __copy__(self) -> Any:
        return self._qarchive_client

    def __deepcopy__(self, memo: dict) -> Any:
        return copy.deepcopy(self._qarchive_client, memo)

    def __reduce_ex__(self, protocol: int) -> Any:
        return self._qarchive_client.__reduce_ex__(protocol)


_watches: "weakref.WeakKeyDictionary[Any, Watch]" = weakref.WeakKeyDictionary()


def watch(job: Any, follower: Follower, wire: Callable[[], Wire], seen: Seen) -> None:
    """Follow a job of the user's from now on."""
    found = _watches.get(job)
    if found is None or found.process != os.getpid():
        found = _watches[job] = Watch(job, wire, seen)
        job._api_client = Witness(client_behind(job._api_client), found)
    found.add(follower)


def watched(job: Any) -> Watch | None:
    """Who watches a job."""
    return _watches.get(job)


def client_behind(client: Any) -> Any:
    """The SDK's own client, where a `Witness` stands before it."""
    while type(client) is Witness:
        client = client._qarchive_client
    return client
