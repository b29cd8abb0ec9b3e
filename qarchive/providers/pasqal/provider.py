"""Pasqal's cloud: every batch and job that a PasqalCloudClient sends, and what the cloud still knows of others."""

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...errors import BadInput
from ...values import Link
from .. import choosing, hooks
from ..base import Cloud, Execution, Fetched, Follower, Get, Origin, Outcome, Recorder, Sent, Stage, State
from ..pulser.provider import PulserProvider
from . import again, alike, answers, calls, clients, desk, ending, fetching, jobs, offline, outcomes, refusals, texts
from .jobs import Held
from .watching import Answer, Watcher, parts

_OVH_TOKEN = "PASQAL_PULSER_ACCESS_TOKEN"  # where the SDK's OVHConnection finds one
_RETRIEVED = 16  # jobs of the SDK's own, which are no keys


class PasqalProvider(Cloud):
    """The cloud of Pasqal: PasqalCloudClient, Pulser's PasqalCloudConnection and the remote backends on it."""

    name = calls.PROVIDER
    extra = "pasqal"
    order = "the first qubit is the leftmost"
    late_results = True
    together = True

    def __init__(self):
        self._watcher = Watcher(self)
        self._pulser = PulserProvider()
        self._retrieved: dict[int, tuple[weakref.ref, Held]] = {}

    def owns(self, native: Any) -> bool:
        if isinstance(native, (Held, again.Resend)):
            return True
        if clients.is_a(native, clients.BACKEND, clients.RESULTS):
            return clients.client_of(native) is not None
        return clients.is_a(native, clients.CLIENT, clients.SDK, clients.CONNECTION, clients.JOB, clients.BATCH)

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        """`native` itself: all that passes its HTTPClient is recorded from now on."""
        for what, kind in (("a Job", clients.JOB), ("a Batch", clients.BATCH), ("RemoteResults", clients.RESULTS)):
            if clients.is_a(native, kind):
                hint = "give it to `archive.record`" if kind is clients.JOB else "fetch its jobs with `archive.fetch(client, id)`"
                raise BadInput(what, "it was sent before; wrap the client that sends", hint)
        hooks.instrument(self, lasting=True)
        if isinstance(native, again.Resend):
            return again.Recorded(native, recorder)
        hooks.mark(clients.client_of(native), recorder)
        return native

    @contextmanager
    def recorded(self, native: Any, recorder: Recorder) -> Iterator[Any]:
        """The same object; of its marks none is changed, since other threads see them."""
        hooks.instrument(self, lasting=True)
        with choosing.through(recorder):
            yield native

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        yield from self._watcher.replacements()

    # Sending

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        return calls.describe(stage, *args)

    def describe_all(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        (call,) = args
        if not call.jobs and call.batch_id is not None:
            reason = "an open batch waits for jobs only for some minutes"
            raise BadInput(
                f"jobs of the batch {call.batch_id}", reason, "add them when they are to run, or prepare a batch of them"
            )
        if not call.jobs:
            raise BadInput("a batch without jobs", "there is nothing in it to prepare", "make it when its first job is to run")
        return [self.describe(stage, target, (call, number), {}) for number in range(len(call.jobs))]

    def parts(self, native: Answer) -> list:
        return parts(native)

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        raise BadInput("a Job", "its request is not known", "`archive.record(job)` asks its client")

    def refused(self, error: BaseException) -> bool:
        return refusals.refused(error)

    def words(self, error: BaseException) -> str | None:
        return ending.said_no(error)

    def obstacle(self, error: BaseException) -> str:
        return refusals.obstacle(error)

    def sent(self, job: Any) -> Sent:
        return fetching.sent(self._held(job))

    # Following

    def job_id(self, job: Any) -> str | None:
        return job.id

    def ended(self, job: Any) -> bool:
        return isinstance(job, Held) and job.ending

    def follow(self, job: Any, follower: Follower) -> None:
        jobs.hold(self._held(job)).follow(follower)

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        job = self._held(job)
        clients.conceal(stage, job.client)
        if not job.ended and answers.word(job.raw) != "DONE":
            raise BadInput(f"job {job.id}", f"it is {answers.word(job.raw)} and has not ended")
        return outcomes.put_outcome(stage, job.raw, job.results, None if job.ours else job.batch, job.final)

    def _held(self, job: Any) -> Held:
        """What is known of a job, the SDK's own or ours."""
        if isinstance(job, Held):
            return job.behind or job
        found = offline.held(job)
        if found is not None:
            return found
        there, held = self._retrieved.get(id(job), (None, None))
        if there is None or there() is not job:
            held = self.retrieve(job._client, job.id)
            while len(self._retrieved) >= _RETRIEVED:
                self._retrieved.pop(next(iter(self._retrieved)))
            self._retrieved[id(job)] = weakref.ref(job), held
        return held

    # Reading back

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """Arguments of `create_batch`: `serialized_sequence`, and `jobs`, a list of the one job. Needs no SDK."""
        return again.load_input(get, job)

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        """What `Job.full_result` was. Needs no SDK."""
        return outcomes.load_result(get, outcome)

    def load_job(self, record: Any) -> Any:
        return offline.archived_job(record)

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        return outcomes.counts(get, outcome, index)

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        return outcomes.data(get, outcome)

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        """The serialised sequence that the job runs."""
        value = get(job["input"])
        held = value.get("sequence") or value.get("builder")
        if held is None:
            raise BadInput("the sequence of this job", "it is not in the archive", "see the gaps of the job")
        return [texts.sequence_text(get, held)]

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
        """Pulser's emulator over the job's sequence, of a QPU with the noise that its specifications told."""
        return again.emulator(get, job, backend)

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        return again.load_call(get, job, backend)

    def load_calls(self, get: Get, jobs: list[Mapping[str, Any]], device: Any) -> tuple[Any, tuple, dict]:
        return again.load_calls(get, jobs, device)

    def put_attachment(self, stage: Stage, value: Any) -> dict | None:
        """A Sequence of Pulser's."""
        return self._pulser.put_attachment(stage, value)

    def load_attachment(self, get: Get, value: Mapping[str, Any]) -> Any:
        return self._pulser.load_attachment(get, value)

    # Replay

    def asked(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        (call,) = args
        return self.describe_all(stage, target, (replace(call, asks=False, _shared={}),), kwargs)

    def alike(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> dict[str, Any]:
        return alike.alike(get, job)

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        """The recordings; what is answered about the batch that they are put into says who called."""
        return desk.answer(args[0], jobs)

    def replay(self, native: Any, player: Any) -> Any:
        if player.mode != "only":
            hooks.instrument(self, lasting=True)
        return offline.replay(native, desk.desk(self, self._watcher, player))

    def stand_ins(self, player: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        return offline.stand_ins(desk.desk(self, self._watcher, player))

    # The cloud

    def connect(self) -> Any:
        if not os.environ.get(_OVH_TOKEN):
            hint = "give a client: PasqalCloudClient(username=..., password=..., project_id=...)"
            raise BadInput(fetching.PLACE, f"its SDK keeps no credentials, and ${_OVH_TOKEN} is not set", hint)
        return clients.client_of(clients.pasqal("pasqal_cloud.ovh", "a job of Pasqal's").OVHConnection())

    def client_of(self, native: Any) -> Any | None:
        return native.client if isinstance(native, Held) else clients.client_of(native)

    def retrieve(self, client: Any, provider_job: str, origin: Origin | None = None) -> Any:
        return fetching.retrieve(client, provider_job, origin)

    def device(self, client: Any, name: str) -> Any:
        """The client itself: a batch names its device type."""
        return client

    def cancel(self, client: Any, provider_job: str, origin: Origin | None = None) -> None:
        ending.cancel(client, provider_job, origin)

    def close(self, client: Any, held: str) -> None:
        ending.close(client, held)

    def state(self, job: Any) -> State:
        return answers.state(self._held(job).raw)

    def fetch(self, stage: Stage, job: Any) -> Fetched:
        return fetching.fetch(stage, self._held(job))

    def listed(self, client: Any, since: datetime | None) -> Iterator[str]:
        return fetching.listed(client, since)

    def search(self, get: Get, client: Any, sendings: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
               known: Callable[[str], bool]) -> list[str | None]:  # fmt: skip
        return fetching.search(get, client, sendings, known)
