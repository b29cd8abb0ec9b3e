"""IBM Quantum (Qiskit Runtime): every job that a QiskitRuntimeService sends, and what the cloud still knows of others."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import BadInput
from ...values import Link
from .. import hooks, saved
from ..base import Captured, Cloud, Execution, Fetched, Follower, Get, Origin, Outcome, Recorder, Sent, Stage, State
from ..qiskit import primitive_results
from ..sdk import sdk
from ..wrapped import is_a
from . import again, devices, fetching, jobs, objects, obstacles, offline, orders, outcomes, refusals, secrets
from .calls import DEVICE, PROVIDER, Call, describe, execution, mode_of_caller, put_how, put_what
from .inputs import Inputs
from .watch import Seen, client_behind, state, watch, watched
from .wire import Unanswered, Wire, wire

_INSTEAD = "wrap the QiskitRuntimeService that it comes from, or a primitive"


class IBMProvider(Inputs, Cloud):
    """The cloud of IBM. What runs in local mode belongs to `ibm_local`."""

    name = PROVIDER
    extra = "ibm"
    tells_costs = True

    def __init__(self, local: Any):
        self._local = local
        self._seen: WeakKeyDictionary[Any, Seen] = WeakKeyDictionary()  # of jobs that were fetched

    def owns(self, native: Any) -> bool:
        kinds = objects.SERVICES | objects.BACKENDS | objects.JOBS
        return is_a(native, kinds) or (is_a(native, objects.PRIMITIVES | objects.SESSIONS) and not objects.runs_here(native))

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        for what, kinds, why in (
            ("an IBMBackend", objects.BACKENDS, "it is run by primitives, never by itself"),
            ("a session or batch", objects.SESSIONS, "its jobs are sent by primitives"),
            ("a RuntimeJobV2", objects.JOBS, "it was sent before"),
        ):
            if is_a(native, kinds):
                raise BadInput(what, why, "give it to `archive.record`" if kinds is objects.JOBS else _INSTEAD)
        self._local.install()
        for kind, name in self.entry_points():
            if name not in vars(kind):
                raise BadInput("qiskit-ibm-runtime", f"this version has no {kind.__name__}.{name}", "install another one")
            hooks.install(self, kind, name, lasting=True)
        if is_a(native, objects.SERVICES):
            return objects.recorded_service(native, self, recorder)
        return objects.RecordedPrimitive(getattr(native, "unwrapped", native), self, recorder)

    def entry_points(self) -> Iterator[tuple[type, str]]:
        yield sdk("qiskit_ibm_runtime", "a job of IBM's", "ibm").QiskitRuntimeService, "_run"

    # Sending

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        return describe(stage, target, Call.of(args, kwargs))

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        raise BadInput("a RuntimeJobV2", "its call is not known", "`archive.record(job)` asks its service")

    def refused(self, error: BaseException) -> bool:
        return refusals.refused(error)

    def obstacle(self, error: BaseException) -> str:
        return obstacles.obstacle(error)

    def sent(self, job: Any) -> Sent:
        session = job._session_id
        in_batch = mode_of_caller(session) == "batch"
        instance = client_behind(job._api_client)._instance
        return Sent(
            job.job_id(), None if in_batch else session, session if in_batch else None, fetching.instance_digest(instance)
        )

    # Following

    def job_id(self, job: Any) -> str | None:
        return job.job_id() or None

    def ended(self, job: Any) -> bool:
        found = watched(job)
        return found is not None and found.ending()

    def follow(self, job: Any, follower: Follower) -> None:
        seen = self._seen.get(job)
        if seen is not None and seen.state is not None and seen.state.readable and self._complete(job, seen):
            follower.ended()
            seen.text = None  # it may be long, and the job may be kept
        else:
            watch(job, follower, lambda: self._wire(job), seen or Seen())

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        secrets.conceal(stage, job._service)
        found = watched(job)
        seen = (found.seen if found is not None else None) or self._seen.get(job) or Seen()
        try:
            return outcomes.put_outcome(stage, job.job_id(), job.primitive_id, bool(job.private), seen, self._wire(job))
        except Unanswered as error:
            raise fetching.raised(error, job.job_id()) from None

    def _complete(self, job: Any, seen: Seen) -> bool:
        """Get the results of a job that has ended, while there is still time to try again later."""
        if seen.text is None and seen.state.status != "CANCELLED" and not job.private:
            try:
                seen.text = self._wire(job).results(job.job_id())
            except Unanswered as error:
                return error.status is not None or seen.state.status != "DONE"
        return True

    def _wire(self, job: Any) -> Wire:
        return wire(client_behind(job._api_client))

    # Reading back

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        return outcomes.load_result(get, outcome)

    def load_job(self, record: Any) -> Any:
        return jobs.archived_job(record)

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        return primitive_results.counts(outcomes.plain_result(get, outcome), index)

    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What came out of each PUB, as plain values by name, without the SDK."""
        return primitive_results.data(outcomes.plain_result(get, outcome), {})

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        load = again.load_call if again.in_the_cloud(backend) else super().load_call
        return load(get, job, backend)

    def device_of(self, target: Any) -> Any:
        return again.device_of(target)

    # Replay

    def asked(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        call = Call.of(args, kwargs)
        device = stage.put("backend", {"type": DEVICE, "name": call.device})
        return [execution(call, put_what(stage, call), put_how(stage, call), device)]

    def alike_backend(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> Any:
        """Nothing: of what is in the cloud its name says it all."""

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        return offline.answer(target, args, kwargs, jobs[0])

    def replay(self, native: Any, player: Any) -> Any:
        return offline.replay(self, native, player)

    def stand_ins(self, player: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        return offline.stand_ins(self, player)

    # The cloud

    def saved_credentials(self) -> list[str]:
        return saved.credentials(Path.home() / ".qiskit" / "qiskit-ibm.json")

    def connect(self) -> Any:
        runtime = sdk("qiskit_ibm_runtime", "a job of IBM's", "ibm")
        try:
            return runtime.QiskitRuntimeService()
        except Exception as error:  # the SDK has a dozen classes for it
            raise BadInput(
                "IBM Quantum", f"there is no account to use ({error})", "save one, or give a QiskitRuntimeService"
            ) from None

    def client_of(self, native: Any) -> Any | None:
        if is_a(native, objects.SERVICES):
            return objects.service_itself(native)
        service = getattr(native, "_service", None)
        return objects.service_itself(service) if is_a(service, objects.SERVICES) else None

    def device(self, client: Any, name: str) -> Any:
        return devices.device(client, name)

    def room(self, client: Any, device: Any) -> int | None:
        """Always None. IBM's service tells of seconds alone, in `/instances/usage` as in `/instances/configuration`; how many
        jobs a plan lets wait stands in none of its answers but the refusal, and the queue of a device is everybody's."""
        return None

    def cancel(self, client: Any, provider_job: str, origin: Origin | None = None) -> None:
        orders.cancel(client, provider_job, origin)

    def close(self, client: Any, held: str) -> None:
        orders.close(client, held)

    def cost(self, usage: Mapping[str, Any]) -> float | None:
        return outcomes.cost(usage)

    def retrieve(self, client: Any, provider_job: str, origin: Origin | None = None) -> Any:
        return fetching.retrieve(client, provider_job)

    def state(self, job: Any) -> State:
        try:
            answer = self._wire(job).job(job.job_id())
        except Unanswered as error:
            raise fetching.raised(error, job.job_id()) from None
        seen = self._seen.setdefault(job, Seen())
        seen.answer = answer
        return state(answer)

    def fetch(self, stage: Stage, job: Any) -> Fetched:
        fetched, self._seen[job] = fetching.fetch(stage, job, self._wire(job))
        return fetched

    def calibration(self, stage: Stage, client: Any, backend: str) -> Captured:
        return fetching.calibration(stage, client, backend)

    def listed(self, client: Any, since: datetime | None) -> Iterator[str]:
        return fetching.listed(client, since)

    def search(self, get: Get, client: Any, sendings: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
               known: Callable[[str], bool]) -> list[str | None]:  # fmt: skip
        return fetching.search(get, client, sendings, known)
