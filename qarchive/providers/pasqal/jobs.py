"""Jobs of Pasqal's as their user's own requests show them: nothing is asked of the cloud behind his back."""

import os
import threading
from collections.abc import Mapping
from typing import Any

from ...values import Link
from .. import hooks
from ..base import Follower
from .answers import ENDED, kept, state, word

_INTERRUPTS = (KeyboardInterrupt, SystemExit, GeneratorExit)
_FULL = "created_at"  # in every whole answer about a job, and in no answer about its status alone


class Held:
    """One job of the cloud's: what answers have shown of it so far, and who follows it.

    `raw` is the last whole answer without its sequence, `results` what the client downloaded, `batch` the answer about its batch
    where that was asked for with it. `parent` is the archived job that it repeats; `ours` says that this process had it made.
    """

    def __init__(self, client: Any, raw: Mapping[str, Any]):
        self.client = client
        self.id: str = raw["id"]
        self.raw = kept(raw)
        self.final = _FULL in raw and word(raw) in ENDED  # whether a whole answer says how it ended
        self.sequence: str | None = raw.get("sequence")
        self.batch: dict | None = None
        self.results: Mapping[str, Any] | None = None
        self.parent: Link | None = None
        self.ours = False
        self.behind: Held | None = None  # who is told of answers in its place: another object for the same job
        self.ending = False  # the outcome is being written, or has been
        self.process = os.getpid()
        self._mutex = threading.RLock()
        self._followers: list[Follower] = []
        self._told: tuple[str, str] = ("QUEUED", "PENDING")

    @property
    def ended(self) -> bool:
        """Whether all is known that its outcome needs."""
        return self.results is not None or (self.final and word(self.raw) != "DONE")

    def follow(self, follower: Follower) -> None:
        """Tell one more, at once if it has ended."""
        with self._mutex:
            late = self.ended
            if not late:
                self._followers.append(follower)
                self.ending = False
        if late:
            self.ending = True
            follower.ended()
            release(self)

    def answered(self, raw: Mapping[str, Any]) -> None:
        """The service said how the job stands: a whole answer, or its status alone."""
        with self._mutex:
            if self.ending or self.process != os.getpid():
                return
            if _FULL in raw:
                self.final, self.raw = word(raw) in ENDED, {**self.raw, **kept(raw)}
            elif word(raw) not in ENDED:
                self.raw["status"] = word(raw)
            if not self.ended:
                self._tell(raw)
        self._end()

    def downloaded(self, results: Mapping[str, Any]) -> None:
        """The user has read the results, which only a job that is DONE has."""
        with self._mutex:
            if self.ending or self.process != os.getpid():
                return
            self.results = dict(results)
            self.raw["status"] = "DONE"
        self._end()

    def _tell(self, raw: Mapping[str, Any]) -> None:
        """Note another status. A job that has ended still runs, to us, until what is missing for its outcome was seen."""
        found = state(raw)
        told = "RUNNING" if found.readable else found.status, found.provider_status
        if told != self._told:
            self._told = told
            for follower in tuple(self._followers):
                follower.status(*told)

    def _end(self) -> None:
        with self._mutex:
            if self.ending or not self.ended:
                return
            self.ending = True
            followers, self._followers = self._followers, []
        for follower in followers:
            follower.ended()
        release(self)


_OVER = 100_000  # ids
_held: dict[str, Held] = {}
_over: dict[str, None] = {}  # jobs whose outcomes were written in this process
_mutex = threading.Lock()


def hold(job: Held) -> Held:
    """Let answers about a job reach it from now on; who was there before stays. What holds it is the job's own."""
    with _mutex:
        there = _held.get(job.id)
        if there is None or there.process != os.getpid():
            _held[job.id] = there = job
        elif there is not job:
            job.behind = there
        return there


def held(job_id: str) -> Held | None:
    """The job with this id, where somebody follows it."""
    there = _held.get(job_id)
    return there if there is not None and there.process == os.getpid() else None


def release(job: Held) -> None:
    """It is over: nobody follows it any more."""
    with _mutex:
        while len(_over) >= _OVER:
            del _over[next(iter(_over))]
        _over[job.id] = None
        if _held.get(job.id) is job:
            del _held[job.id]


def is_over(job_id: str) -> bool:
    """Whether there is nothing to be learnt of a job any more, to this process."""
    return job_id in _over


def unnoticed(what: str, look: Any, *args: Any) -> Any:
    """What `look(*args)` returns. Nothing that goes wrong reaches the user, but for a warning."""
    try:
        return look(*args)
    except _INTERRUPTS:
        raise
    except BaseException as error:  # SDKs raise what is no Exception
        hooks.warn(f"{what} is not recorded: {type(error).__name__}: {error}")
        return None
