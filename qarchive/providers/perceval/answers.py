"""A cloud that is replayed: what is asked of an RPC handler is answered by the archived jobs of a player."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import NotFinished, NotFound
from ..base import Provider
from .native_jobs import Offline, details_of, results_answer, sends_nothing, status_answer
from .platforms import ours
from .remote import RemoteRun, Sending

_ROOM = {"max_jobs_in_queue": 1000, "num_jobs_in_queue": 0}  # what waits for room in a queue need not wait here
_FIRST, _LAST = 0, -1

Live = Callable[[], Any] | None  # the same question to the cloud itself, where it may be asked


class Answers:
    """The answers to whatever handler asks. Each question comes with the same one to the cloud, None where nobody may ask it: in
    the mode "only", and where there is no token. What is archived is never asked of the cloud."""

    def __init__(self, provider: Provider, player: Any):
        self._provider, self.player = provider, player
        self._mutex = threading.Lock()
        self._moments: dict[str, tuple[Any, int]] = {}  # by platform: the job that was answered last, and which details hold

    @property
    def offline(self) -> bool:
        """Whether nothing at all may be asked of a cloud."""
        return self.player.mode == "only"

    # What a handler is asked

    def create_job(self, handler: Any, cloud_data: dict, live: Live) -> str:
        """The id of the recording of this job. Raises NoRecording."""
        run = RemoteRun(handler)

        def send(_: dict) -> RemoteRun:
            run.id = self._ask(live, "a job")
            return run

        job_id = self.player.run(self._provider, Sending(handler, cloud_data), (), {}, send).id
        found = None if run.id is not None else self._archived(job_id)
        if found is not None:
            self._now(found[0], _FIRST)
        return job_id

    def get_job_status(self, handler: Any, job_id: str, live: Live) -> dict:
        """Raises NotFound, NotFinished where nobody knows how the job went on: a script would ask for ever."""
        found = self._ended(job_id, live)
        if found is None:
            return live()
        self._now(found[0], _LAST)
        return status_answer(*found)

    def get_job_results(self, handler: Any, job_id: str, live: Live) -> dict:
        """Raises NotFound, NotFinished."""
        found = self._ended(job_id, live)
        if found is None:
            return live()
        self._now(found[0], _LAST)
        return results_answer(found[0], job_id, found[1])

    def rerun_job(self, handler: Any, job_id: str, live: Live) -> str:
        """The id of the recorded attempt that came next. Raises NoRecording."""
        found = self._archived(job_id)
        if found is not None:
            attempts = [attempt for attempt in found[0].folded.attempts if attempt.provider_job]
            later = [attempt.provider_job for attempt in attempts[attempts.index(found[1]) + 1 :]] if found[1] in attempts else []
            if later:
                return later[0]
        run = RemoteRun(handler)

        def send() -> RemoteRun:
            run.id = self._ask(live, f"job {job_id}")
            return run

        return self.player.retry(self._provider, job_id, Sending(handler, {}), send).id

    def cancel_job(self, handler: Any, job_id: str, live: Live) -> None:
        """Nothing of a job that has ended. Raises NotFound, NotFinished."""
        if self._ended(job_id, live) is None:
            live()

    def get_job_availability(self, handler: Any, live: Live) -> dict:
        return dict(_ROOM) if live is None else live()

    def fetch_platform_details(self, handler: Any, live: Live) -> dict:
        """The platform's answer as it was when the job that was answered last was sent, or when it had ended, so that a script
        makes the same of it as it did then; that of the platform's first recording where none was answered yet.

        Raises NotFound."""
        if live is not None:
            return live()
        if ours.get():  # what was archived is not to be archived again as the platform's answer of today
            raise sends_nothing(f"a question about {handler.name}")
        with self._mutex:
            moment = self._moments.get(handler.name)
        if moment is not None and (found := details_of(moment[0])):
            return found[moment[1]]()
        for job in self.player.jobs(provider=self._provider.name, backend=handler.name, order="oldest"):
            if found := details_of(job):
                return found[_FIRST]()
        raise NotFound(f"the platform {handler.name}", self.player.where, "it holds no job that was sent there with its details")

    # The archive

    def _archived(self, job_id: str) -> tuple[Any, Any] | None:
        """(job, its attempt that has this id, or None); None for a job that is not in the selection."""
        try:
            job = self.player.job(job_id)
        except NotFound:
            return None
        return job, next((attempt for attempt in job.folded.attempts if attempt.provider_job == job_id), None)

    def _ended(self, job_id: str, live: Live) -> tuple[Any, Any] | None:
        """The same of a job that has ended; None for one that the cloud is to be asked about. Raises NotFound, NotFinished."""
        found = self._archived(job_id)
        if found is not None and (found[0] if found[1] is None else found[1]).outcome is not None:
            return found
        if live is not None:
            return None
        if found is None:
            self.player.job(job_id)  # says where it was looked for
        raise NotFinished(job_id, found[0].status)

    def _now(self, job: Any, place: int) -> None:
        with self._mutex:
            self._moments[job.backend] = (job, place)

    @staticmethod
    def _ask(live: Live, what: str) -> Any:
        if live is None:
            raise sends_nothing(what)
        return live()


def _asking(name: str) -> Callable:
    def method(self: "Replayed", *args: Any) -> Any:
        live = None if self.live is None else partial(getattr(self.live, name), *args)
        return getattr(self._answers, name)(self, *args, live=live)

    method.__name__ = method.__qualname__ = name
    return method


class Replayed(Offline):
    """An RPC handler of a platform that answers from a player's jobs; what is not there is asked of another handler, if any."""

    def __init__(self, name: str, answers: Answers, live: Any = None):
        self.name, self._answers = name, answers
        self.live = None if answers.offline else live
        self.headers = dict(getattr(self.live, "headers", None) or {})
        for attribute in ("url", "token", "proxies", "request_timeout"):
            setattr(self, attribute, getattr(self.live, attribute, getattr(Offline, attribute)))

    @property
    def player(self) -> Any:
        return self._answers.player

    create_job, rerun_job, cancel_job = _asking("create_job"), _asking("rerun_job"), _asking("cancel_job")
    get_job_status, get_job_results = _asking("get_job_status"), _asking("get_job_results")
    get_job_availability, fetch_platform_details = _asking("get_job_availability"), _asking("fetch_platform_details")
