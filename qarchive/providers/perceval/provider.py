"""Perceval: everything that its processors, computers and jobs execute, here and in a cloud, through one path."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from ...errors import BadInput
from ...outcomes import Points
from ...values import Link
from .. import choosing, hooks, saved
from ..base import Captured, Cloud, Execution, Fetched, Follower, Get, Imported, Origin, Outcome, Recorder, Sent, Stage, State
from . import alike, fetching, groups, members, native_jobs, outcomes, payloads, queues, refusals, replaying, rerunning, starting
from . import stand_ins as standing
from .answers import Answers, Replayed
from .calls import Asked, call_of_job, describe_call
from .local import Local, Run
from .objects import EXECUTIONS, GROUPS, LOCAL_JOBS, REMOTE_JOBS, SESSIONS, behind, is_a, is_handler, is_perceval, marked_in
from .platforms import Platforms
from .remote import Remote, RemoteRun, Sending


class PercevalProvider(Cloud):
    """Local runs are recorded where they are computed, remote ones where they pass an RPC handler."""

    name = "perceval"
    extra = "perceval"
    order = "mode 0 is the leftmost"
    late_results = True  # those of a cancelled job, as far as it came

    def __init__(self):
        self._local, self._remote = Local(self), Remote(self)
        self._platforms = Platforms()

    def owns(self, native: Any) -> bool:
        ours = (Run, RemoteRun, Asked, Sending, starting.Unsent, rerunning.Again, rerunning.Resend)
        return isinstance(native, ours) or is_perceval(native)

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        """The same object: Perceval makes one object of another and leaves proxies behind, so what they share is marked."""
        if is_a(native, REMOTE_JOBS | LOCAL_JOBS):
            raise BadInput(
                f"a {type(native).__name__}", "it was made before", "give it to `archive.record`, or wrap its processor"
            )
        hooks.instrument(self, lasting=True)
        if is_a(native, SESSIONS):
            return members.recorded_session(native, lambda processor: self.wrap(processor, recorder))
        if isinstance(native, rerunning.Again | rerunning.Resend):
            self._watch(marked_in(native.inside))
            return rerunning.Recorded(native, recorder)
        if is_a(native, GROUPS):
            hooks.mark(native, recorder)
        inside = marked_in(native)
        if any(isinstance(marked, Replayed) and hooks.marked(marked) is marked.player for marked in inside):
            reason = "it answers from recordings, and nothing new comes of it"
            raise BadInput(f"a replayed {type(native).__name__}", reason, "wrap the original")
        self._watch(inside)
        for marked in inside:
            hooks.mark(marked, recorder)
        return native

    @contextmanager
    def recorded(self, native: Any, recorder: Recorder) -> Iterator[Any]:
        """The same object, jobs that were made before among them; of its marks none is changed, since other threads see them."""
        hooks.instrument(self, lasting=True)
        self._watch(marked_in(native.inside if isinstance(native, rerunning.Again | rerunning.Resend) else behind(native)))
        with choosing.through(recorder):
            yield native

    def _watch(self, inside: list[Any]) -> None:
        """Replace the methods that the classes of handlers, processors and computers have of their own."""
        for marked in inside:
            if isinstance(marked, Replayed):
                continue  # it sends nothing that is not recorded by its player
            methods = self._remote.of_handler(type(marked)) if is_handler(marked) else self._local.of_kind(marked)
            for kind, name, replacement in methods:
                hooks.replace(kind, name, replacement, lasting=True)

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        yield from self._local.replacements()
        yield from self._remote.replacements()
        yield from starting.replacements(self)
        yield from members.replacements(self)

    def elsewhere(self, native: Any) -> bool:
        if isinstance(native, starting.Unsent):
            return self.elsewhere(native.started)
        return isinstance(native, RemoteRun | Sending) or (
            is_perceval(native) and not is_a(native, LOCAL_JOBS) and fetching.client_of(native) is not None
        )

    # Sending

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        if isinstance(target, starting.Unsent):
            target = target.target()
        if isinstance(target, Sending):
            return fetching.describe(stage, target.handler, target.body, self._platforms)
        call = target.make()
        if call is None:
            raise BadInput("a LocalJob", "it computes a function that is no Sampler's")
        return describe_call(stage, self.name, call)

    def again(self, stage: Stage, target: Any, job: Mapping[str, Any]) -> Execution:
        return fetching.again(stage, target.handler, dict(job), self._platforms)

    def device_of(self, target: Any) -> Any:
        return starting.device_of(target)

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        if not is_a(job, LOCAL_JOBS) or call_of_job(job) is None:
            raise BadInput(f"a {type(job).__name__}", "it does not say what it computed; wrap the processor before it runs")
        if job.status.waiting:
            raise BadInput("a LocalJob", "it was not executed yet", "wrap its processor before it is, or record it afterwards")
        return Asked(lambda: call_of_job(job), job.name), (), {}

    def refused(self, error: BaseException) -> bool:
        return refusals.refused(error)

    def obstacle(self, error: BaseException) -> str:
        return refusals.obstacle(error)

    def sent(self, job: Any) -> Sent:
        run = self._remote.run_of(job)
        return Sent(run.id, instance=fetching.instance_of(run.handler))

    # Following

    def job_id(self, job: Any) -> str | None:
        if isinstance(job, Run) or is_a(job, LOCAL_JOBS):
            return None
        known = isinstance(job, RemoteRun) or is_a(job, REMOTE_JOBS) or (is_a(job, EXECUTIONS) and self.elsewhere(job))
        if not known:
            raise BadInput(f"a {type(job).__name__}", "it is no job", "wrap the processor or the computer before it runs")
        return self._remote.run_of(job).id

    def ended(self, job: Any) -> bool:
        if isinstance(job, Run) or is_a(job, LOCAL_JOBS):
            return self._local.ended(job)
        return self._remote.run_of(job).over

    def follow(self, job: Any, follower: Follower) -> None:
        if isinstance(job, Run) or is_a(job, LOCAL_JOBS):
            self._local.follow(job, follower)
        else:
            self._remote.follow(job, follower)

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        if isinstance(job, Run):
            return outcomes.of_run(stage, job)
        if is_a(job, LOCAL_JOBS):
            return outcomes.of_local_job(stage, job)
        return outcomes.of_remote(stage, self._remote, self._remote.run_of(job), self._platforms)

    # Reading back

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        return payloads.load_input(get, job)

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        return outcomes.load_result(get, outcome)

    def load_job(self, record: Any) -> Any:
        return native_jobs.archived_job(record)

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        """Counts of iteration `index` by the text of each Fock state, such as `|0,1,1,0>`."""
        return outcomes.counts(get, outcome, index)

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        return outcomes.data(get, outcome)

    def points(self, get: Get, job: Mapping[str, Any]) -> list[Points]:
        return payloads.points(get, job)

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        """The experiment: its components with modes and parameters, input state, heralds and post-selection."""
        return payloads.text(get, job)

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Any) -> Any:
        return rerunning.computer(get, job, backend, calibration)

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        return rerunning.call(get, job, backend)

    def identities(self, get: Get, job: Mapping[str, Any]) -> list[bytes]:
        """Of the experiment with each iteration."""
        return alike.identities(get, job)

    # Replay

    def asked(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        if isinstance(target, Sending):
            return [fetching.asked(stage, target.handler, target.body)]
        return self.describe_all(stage, target, args, kwargs)

    def alike(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> dict[str, Any]:
        return super().alike(get, job, snapshot) | {"config": alike.config(get, job)}

    def alike_backend(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> Any:
        return alike.backend(get(snapshot))

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        (job,) = jobs
        if isinstance(target, Sending):
            return RemoteRun(target.handler, job.provider_job or job.id)
        return target.play(job)

    def replay(self, native: Any, player: Any) -> Any:
        """What reaches a cloud is copied, with an RPC handler of the same platform's name that answers. What runs here is marked,
        as `wrap` marks it: the same object, which goes on answering until it is wrapped again."""
        if not replaying.is_remote(native):
            return self.wrap(native, player)
        hooks.instrument(self, lasting=True)
        found = replaying.replayed(native, Answers(self, player))
        for marked in () if is_a(native, SESSIONS) else marked_in(found):
            hooks.mark(marked, player)  # so that `archive=False` is taken
        return found

    def stand_ins(self, player: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        return standing.stand_ins(self, player)

    # The cloud

    def saved_credentials(self) -> list[str]:
        folder = os.environ.get("PCVL_PERSISTENT_PATH") or user_data_path("perceval-quandela", "quandela")
        return saved.credentials(Path(folder) / "config.json")

    def connect(self) -> Any:
        return fetching.connect()

    def client_of(self, native: Any) -> Any | None:
        return fetching.client_of(native)

    def retrieve(self, client: Any, provider_job: str, origin: Origin | None = None) -> Any:
        return fetching.retrieve(client, provider_job, origin)

    def device(self, client: Any, name: str) -> Any:
        """An RPC handler of the platform. Raises BadInput, NotFound, NotAnswered."""
        return queues.device(client, name)

    def room(self, client: Any, device: Any) -> int | None:
        return queues.room(client)

    def cancel(self, client: Any, provider_job: str, origin: Origin | None = None) -> None:
        queues.cancel(client, provider_job, origin)

    def state(self, job: Any) -> State:
        return fetching.state(self._remote.run_of(job))

    def fetch(self, stage: Stage, job: Any) -> Fetched:
        return fetching.fetch(stage, job, self._remote.run_of(job), self._platforms)

    def calibration(self, stage: Stage, client: Any, backend: str) -> Captured:
        return fetching.calibration(stage, client, backend, self._platforms)

    def reads(self, path: str | os.PathLike) -> bool:
        return groups.is_group(path)

    def read(self, stage: Stage, path: Path) -> list[Imported]:
        return groups.read(stage, path)

    def listed(self, client: Any, since: datetime | None) -> Iterator[str]:
        raise BadInput("the cloud that Perceval talks to", "lists no jobs", "give the id of one")

    def search(self, get: Get, client: Any, sendings: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
               known: Callable[[str], bool]) -> list[str | None]:  # fmt: skip
        """Nothing is found: the service lists no jobs. Its web site does, and `archive.fetch(client, id)` takes one in."""
        return [None] * len(sendings)
