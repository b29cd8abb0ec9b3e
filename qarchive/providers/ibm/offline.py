"""IBM's service as an archive knows it: a real QiskitRuntimeService, made without network and account, over the jobs of a replay.

The SDK asks the cloud through one class, its RuntimeClient. Ours answers in its place from archived jobs, so all that the SDK
does with the answers (filters, backends, targets, sessions) it does here too. What no job tells raises, and says so.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from datetime import datetime as Moment
from functools import cache
from typing import Any

from ...errors import Ambiguous, BadInput, JobFailed, NoRecording, NotFound
from .. import hooks
from ..base import Provider
from ..qiskit.ibm_snapshots import CONFIGURATION, raw_value
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from . import objects
from .calls import Call
from .fetching import PLACE, instance_digest
from .jobs import ArchivedClient, archived_job

_IBM = "qiskit_ibm_runtime"
_PHASES = ("submit", "run", "retrieval")  # the calibration that a script saw is the one of before it sent
_ON_THE_WAY = frozenset({"SENDING", "QUEUED", "RUNNING", "PAUSED"})
_MODES = {"session": "dedicated", "batch": "batch"}
_UNKNOWN = "the archive does not know it"
_ALONE = "there is no account of IBM's: only what is recorded is answered"


class OfflineClient:
    """What a RuntimeClient offers, answered from the jobs of a `replay.player.Player`.

    A device is as its last recording has it: configuration, and calibration as that job was sent. It takes jobs and has no queue.
    """

    def __init__(self, provider: Provider, player: Any, instance: str | None = None):
        self.provider, self.player = provider, player
        self._instance = instance
        self._only: str | None = None  # the digest of the instance whose jobs are listed; None for those of all
        self._devices: dict[str, Any] | None = None
        self._sessions: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    def __deepcopy__(self, memo: dict) -> "OfflineClient":
        return self

    def of_instance(self, instance: str) -> "OfflineClient":
        """The same, but for the jobs of one instance alone."""
        made = copy.copy(self)
        made._instance, made._only = instance, instance_digest(instance)
        return made

    # Devices

    def list_backends(self, include_mocks: bool = False) -> list[dict[str, Any]]:
        """The devices of the recordings, the one of the latest first."""
        found = []
        for name, job in self._known().items():
            kind = {"class": "mock"} if job.kind == "mock" else {}
            if include_mocks or not kind:
                qubits = self._configuration(job).get("n_qubits")
                found.append({"name": name, "qubits": qubits, "queue_length": 0, "status": {"name": "online"}, **kind})
        return found

    def backend_configuration(self, backend_name: str, refresh: bool = False, calibration_id: str | None = None) -> dict:
        return self._configuration(self._device(backend_name, calibration_id))

    def backend_status(self, backend_name: str) -> dict[str, Any]:
        version = self._configuration(self._device(backend_name)).get("backend_version", "")
        return {"backend_name": backend_name, "backend_version": version, "operational": True, "pending_jobs": 0,
                "status_msg": "active"}  # fmt: skip

    def backend_properties(self, backend_name: str, datetime: Moment | None = None, calibration_id: str | None = None) -> dict:
        """Those of the last recording that has them; with a time the latest ones that were measured by then. Raises NotFound."""
        if calibration_id is not None:
            return _of_sending(self._device(backend_name, calibration_id)) or {}
        jobs = (job for job in self._jobs() if job.backend == backend_name)
        if datetime is None:
            return next(filter(None, map(_of_sending, jobs)), {})
        moment = datetime.astimezone()
        known = [calibration for job in jobs for calibration in job.calibrations]
        dated = [(calibration.measured_at or calibration.captured_at, calibration) for calibration in known]
        dated = [pair for pair in dated if pair[0] is not None]
        past = [pair for pair in dated if pair[0] <= moment]
        if not past:
            first = min((when for when, _ in dated), default=None)
            hint = "no calibration of it is recorded" if first is None else f"the first one recorded is of {first.isoformat()}"
            raise NotFound(f"the calibration of {backend_name} at {moment.isoformat()}", self.player.where, hint)
        return _raw(max(past, key=lambda pair: pair[0])[1])

    def devices(self) -> list[tuple[str, bool]]:
        """(name, whether it is a mock) of each device, the one of the latest recording first."""
        return [(name, job.kind == "mock") for name, job in self._known().items()]

    def _known(self) -> dict[str, Any]:
        """The last recording of each device that has its configuration, by its name, the latest first."""
        if self._devices is None:
            found: dict[str, Any] = {}
            for job in self._jobs():
                if job.backend not in found and (job.backend_snapshot or {}).get("type") == CONFIGURATION:
                    found[job.backend] = job
            self._devices = found
        return self._devices

    def _device(self, name: str, calibration_id: str | None = None) -> Any:
        if calibration_id is not None:
            chosen = (job for job in self._jobs() if job.backend == name and job.config.get("calibration_id") == calibration_id)
            found = next((job for job in chosen if (job.backend_snapshot or {}).get("type") == CONFIGURATION), None)
            if found is None:
                raise self._absent(f"the calibration {calibration_id} of {name}")
            return found
        if name not in self._known():
            raise self._absent(f"the device {name}")
        return self._known()[name]

    def _configuration(self, job: Any) -> dict[str, Any]:
        return raw_value(job.get, job.backend_snapshot)

    # Jobs

    def job_get(self, job_id: str, exclude_params: bool = True) -> dict:
        return self._archived(job_id).job_get(job_id, exclude_params)

    def job_results(self, job_id: str) -> str:
        return self._archived(job_id).job_results(job_id)

    def job_metadata(self, job_id: str) -> dict:
        return self._archived(job_id).job_metadata(job_id)

    def job_logs(self, job_id: str) -> str:
        return self._archived(job_id).job_logs(job_id)

    def job_cancel(self, job_id: str) -> None:
        self._archived(job_id).job_cancel(job_id)

    def job_delete(self, job_id: str) -> None:
        raise self._error(f"job {self._archived(job_id).job_get(job_id)['id']} is archived and cannot be deleted", 409)

    def update_tags(self, job_id: str, tags: list) -> None:
        self._archived(job_id).update_tags(job_id, tags)

    def jobs_get(self, limit: int | None = None, skip: int | None = None, backend_name: str | None = None,
                 pending: bool | None = None, program_id: str | None = None, job_tags: list[str] | None = None,
                 session_id: str | None = None, created_after: Moment | None = None, created_before: Moment | None = None,
                 descending: bool = True, include_mocks: bool = False) -> dict:  # fmt: skip
        """The jobs that IBM's cloud has taken, by the time at which they were made."""
        found = []
        for job in self._jobs(include_mocks):
            if job.provider_job is None or (backend_name is not None and job.backend != backend_name):
                continue
            if pending is not None and pending != (job.status in _ON_THE_WAY):
                continue
            config, created = job.config, _created(job)
            if program_id is not None and config.get("program") != program_id:
                continue
            if job_tags and not set(job_tags) <= set(_tags(job, config)):
                continue
            sent = _sent(job)
            if session_id is not None and session_id not in (sent.get("session"), sent.get("batch"), config.get("session")):
                continue
            if self._only is not None and sent.get("instance") != self._only:
                continue
            if created_after is not None and created < created_after.astimezone():
                continue
            if created_before is not None and created > created_before.astimezone():
                continue
            found.append((created, job.provider_job))
        found.sort(reverse=descending)
        skip = skip or 0
        page = found[skip:] if limit is None else found[skip : skip + limit]
        # the SDK asks on and on where there are fewer jobs than it was told to skip
        return {"jobs": [{"id": job_id} for _, job_id in page], "count": max(len(found), skip)}

    def job_of(self, job_id: str) -> Any:
        """The archived job that the cloud knew by this id. Raises NotFound."""
        try:
            job = self.player.job(job_id)
        except Ambiguous:
            raise NotFound(f"job {job_id!r}", self.player.where) from None
        if job.provider != self.provider.name or job_id not in (job.provider_job, job.id):
            raise NotFound(f"job {job_id!r}", self.player.where)
        return job

    def _archived(self, job_id: str) -> ArchivedClient:
        try:
            return ArchivedClient(self.job_of(job_id))
        except NotFound as error:
            raise self._error(str(error)) from None

    def _jobs(self, include_mocks: bool = False) -> Iterator[Any]:
        """The recordings of IBM's cloud, the latest first."""
        found = self.player.jobs(order="newest")
        mocks = self.player.jobs(order="newest", kind="mock") if include_mocks else ()
        return (job for job in itertools.chain(found, mocks) if job.provider == self.provider.name)

    # Sessions

    def create_session(self, backend: str | None = None, instance: str | None = None, max_time: int | None = None,
                       mode: str | None = None, **_: Any) -> dict[str, Any]:  # fmt: skip
        """One that is open here alone, under the id of the next recorded one of its kind, so that the ids of its jobs fit."""
        word = next((word for word, known in _MODES.items() if known == mode), "session")
        recorded = [_sent(job).get(word) for job in self._jobs() if job.backend == backend]
        left = (each for each in reversed(recorded) if each is not None and each not in self._sessions)
        name = next(left, None) or f"replayed-{next(self._numbers)}"
        self._sessions[name] = {"id": name, "backend_name": backend, "mode": mode, "max_ttl": max_time, "state": "open",
                                "accepting_jobs": True}  # fmt: skip
        return dict(self._sessions[name])

    def session_details(self, session_id: str) -> dict[str, Any]:
        """Of one that was opened here, or of a recorded one, which is as open as it was then. Raises the SDK's own error."""
        if session_id in self._sessions:
            return dict(self._sessions[session_id])
        for job in self._jobs():
            sent = _sent(job)
            held = next((name for name in _MODES if sent.get(name) == session_id), None)
            if held is not None:
                return {"id": session_id, "backend_name": job.backend, "mode": _MODES[held], "state": "active",
                        "accepting_jobs": True}  # fmt: skip
        raise self._absent(f"session {session_id}")

    def close_session(self, session_id: str) -> None:
        if session_id in self._sessions:
            self._sessions[session_id] |= {"state": "closed", "accepting_jobs": False}

    cancel_session = close_session

    # What no job tells

    def cloud_usage(self) -> dict[str, Any]:
        raise BadInput("the usage of an instance", _UNKNOWN, "`job.usage()` tells that of a recorded job")

    def program_run(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise unsent()

    def _absent(self, what: str) -> Exception:
        return self._error(f"{what} is not recorded in {self.player.where}")

    @staticmethod
    def _error(message: str, status: int = 404) -> Exception:
        made = sdk(f"{_IBM}.api.exceptions", "IBM's service", "ibm").RequestsApiError
        return made(message, status_code=status)


def unsent() -> BadInput:
    """What a replay raises for what is to run in spite of it: in a pause, with `archive=False`."""
    return BadInput("a replayed service", "it sends nothing", "run this outside of the replay")


def _of_sending(job: Any) -> dict[str, Any] | None:
    """The properties that a script could see before it sent a job, or else those nearest to them."""
    phases = {calibration.phase: calibration for calibration in reversed(job.calibrations)}
    return next((_raw(phases[phase]) for phase in _PHASES if phase in phases), None)


def _raw(calibration: Any) -> dict[str, Any]:
    """A dict of its own: the SDK writes into what it is given."""
    return raw_value(calibration.get, calibration.value)


def _created(job: Any) -> Moment:
    """When the cloud says that it was made."""
    text = ((job.outcome or {}).get("volatile", {}).get("job") or {}).get("created")
    return Moment.fromisoformat(text) if text else job.created


def _tags(job: Any, config: dict[str, Any]) -> list[str]:
    """Of the cloud's own answer, where there is one: tags can be changed."""
    answer = (job.outcome or {}).get("volatile", {}).get("job") or {}
    return answer.get("tags") or config.get("runtime", {}).get("job_tags") or []


def _sent(job: Any) -> dict[str, Any]:
    return next((later for each in job.folded.attempts for _, later in each.later if later["type"] == "sent"), {})


# The service


def offline_service(provider: Provider, player: Any, base: type | None = None, **account: Any) -> Any:
    """A QiskitRuntimeService that answers from a player; `account` are arguments of its constructor. Raises MissingExtra."""
    base = base or sdk(_IBM, "IBM's service", "ibm").QiskitRuntimeService
    made = object.__new__(_service_class(base))
    _set_up(made, provider, player, **account)
    return made


def _set_up(service: Any, provider: Provider, player: Any, channel: str | None = None, token: str | None = None,
            url: str | None = None, filename: str | None = None, name: str | None = None, instance: str | None = None,
            *_: Any, **__: Any) -> None:  # fmt: skip
    """What the SDK's constructor sets, as far as its other methods read it; the arguments are those of the constructor."""
    account = sdk(f"{_IBM}.accounts", "IBM's service", "ibm").Account
    service._account = account(token=token, url=url, instance=None if instance == "auto" else instance)
    service._account.channel = service._channel = channel or "ibm_quantum_platform"
    service._instance_auto, service._default_instance = True, True
    service._all_instances, service._saved_instances, service._backend_instance_groups = [], [], []
    service._backend_configs, service._backends_info_per_instance = {}, {}
    service._api_clients = {}
    service._active_api_client = OfflineClient(provider, player, service._account.instance)
    service._region = service._plans_preference = service._tags = service._url_resolver = None


@cache
def _service_class(base: type) -> type:
    """The class of replayed services, under the name that theirs has."""
    not_found = sdk("qiskit.providers.exceptions", "IBM's service", "ibm").QiskitBackendNotFoundError
    no_job = sdk(f"{_IBM}.exceptions", "IBM's service", "ibm").RuntimeJobNotFound

    class Offline(base):
        """A QiskitRuntimeService whose devices, jobs and executions are those of an archive."""

        def __init__(self, *_: Any, **__: Any):
            """Nothing: it is made by `offline_service`, and Python calls this where a constructor stands in for it."""

        def backend(self, name: str, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().backend(name, *args, **kwargs)
            except not_found:
                raise self._no_device(f"the device {name}") from None

        def least_busy(self, *args: Any, **kwargs: Any) -> Any:
            """Of the devices that fit the one of the latest recording: none of them has a queue."""
            try:
                return super().least_busy(*args, **kwargs)
            except not_found:
                raise self._no_device("such a device") from None

        def _no_device(self, what: str) -> Exception:
            client = self._active_api_client
            known = ", ".join(name for name, _ in client.devices()) or "none of IBM's"
            return not_found(
                f"No backend matches the criteria: {what} is not recorded in {client.player.where}, which has {known}"
            )

        def job(self, job_id: str) -> Any:
            try:
                return self._decode_job({"id": self._active_api_client.job_of(job_id).id})
            except NotFound:
                where = self._active_api_client.player.where
                raise no_job(f"Job not found: {job_id} is not recorded in {where}") from None

        def instances(self) -> Any:
            raise BadInput("the instances of an account", _UNKNOWN)

        def active_instance(self) -> str:
            if self._account.instance is None:
                raise BadInput("the active instance", _UNKNOWN, "give one to the service")
            return self._account.instance

        def _decode_job(self, raw_data: dict) -> Any:
            return archived_job(self._active_api_client.job_of(raw_data["id"]), self)

        def _resolve_cloud_instances(self, instance: str | None) -> list:
            """Each instance has all devices: which it had was not recorded."""
            return [(instance or self._account.instance, self._active_api_client.devices())]

        def _get_or_create_cloud_client(self, instance: str) -> None:
            """The one client is that of every instance."""

        def _get_api_client(self, instance: str | None = None) -> OfflineClient:
            return self._active_api_client

        def _create_new_cloud_api_client(self, instance: str) -> OfflineClient:
            """For `jobs(instance=...)`: those of one instance."""
            if not sdk(f"{_IBM}.utils", "IBM's service", "ibm").is_crn(instance):
                raise BadInput(f"the instance {instance}", "the archive knows instances by their CRN alone", "give its CRN")
            return self._active_api_client.of_instance(instance)

        def _run(self, *args: Any, **kwargs: Any) -> Any:
            client = self._active_api_client
            player = client.player
            if player.mode == "missing":
                player = copy.copy(player)  # with the same recordings, of which the same have answered
                player.mode = "only"
            try:
                return player.run(client.provider, self, args, kwargs, _refuse)
            except NoRecording as error:
                if client.player.mode == "only":
                    raise
                why = f"there is no account to run {error.what}, which is not recorded in {error.where}"
                raise BadInput(PLACE, why, "save one: `QiskitRuntimeService.save_account(...)`") from None

        def __copy__(self) -> Any:
            made = object.__new__(type(self))
            made.__dict__.update(vars(self))
            return made

        def __deepcopy__(self, memo: dict) -> Any:
            made = object.__new__(type(self))
            made.__dict__.update(copy.deepcopy(vars(self), memo))
            return made

        def __reduce_ex__(self, protocol: int) -> Any:
            raise BadInput(f"a replayed {base.__name__}", "another process has no recordings", "make one there")

    Offline.__name__ = Offline.__qualname__ = base.__name__
    return Offline


def _refuse(_: dict) -> None:
    raise unsent()


# Objects of the user's


def replay(provider: Any, native: Any, player: Any) -> Any:
    """What `Provider.replay` says, of IBM's cloud. Raises BadInput, MissingExtra."""
    if player.mode == "missing":
        return _beside(provider, native, player)
    if isinstance(native, str):
        return _recorded(provider, offline_service(provider, player), player)
    native = unwrapped(native)
    if is_a(native, objects.SERVICES):
        account = objects.service_itself(native)._account
        known = {"channel": account.channel, "instance": account.instance}
        return _recorded(provider, offline_service(provider, player, **known), player)
    if is_a(native, objects.JOBS):
        return provider.wrap(native, player)
    backend = native if is_a(native, objects.BACKENDS) else native._backend
    gates = getattr(backend.options, "use_fractional_gates", False)
    service = _recorded(provider, offline_service(provider, player, instance=backend._instance), player)
    there = service.backend(backend.name, use_fractional_gates=gates, calibration_id=backend.calibration_id)
    if native is backend:
        return there
    moved = _moved(native, service, there)
    return provider.wrap(moved, player) if is_a(native, objects.PRIMITIVES) else moved


def _beside(provider: Any, native: Any, player: Any) -> Any:
    """The user's own objects, whose executions are answered where they are recorded."""
    if isinstance(native, str):
        try:
            native = provider.connect()
        except BadInput:
            hooks.warn(_ALONE)
            native = offline_service(provider, player)
    native = unwrapped(native)
    if not is_a(native, objects.BACKENDS | objects.SESSIONS):
        return provider.wrap(native, player)
    service = provider.wrap(native.service, player)
    if is_a(native, objects.SESSIONS):
        return _moved(native, service, _moved(native._backend, service))
    return _moved(native, service)


def _recorded(provider: Any, service: Any, player: Any) -> Any:
    """With the methods of recorded services and backends: `backend.jobs()` lists the jobs of the replay."""
    return objects.recorded_service(service, provider, player)


def _moved(native: Any, service: Any, backend: Any = None) -> Any:
    """A copy of a backend, a session or a primitive that sends through another service, and to its backend."""
    made = object.__new__(type(native))
    made.__dict__.update(vars(native), _service=service)
    if backend is not None:
        made._backend = backend
    if getattr(native, "_mode", None) is not None:
        made._mode = _moved(native._mode, service, backend)
    return made


def answer(service: Any, args: tuple, kwargs: dict, record: Any) -> Any:
    """The RuntimeJobV2 that `_run` would have returned. Raises JobFailed where it was refused, MissingExtra."""
    if record.status == "REFUSED":
        raise JobFailed(record.id[:12], record.status, (record.error or {}).get("message", ""))
    call = Call.of(args, kwargs)
    same = is_a(call.backend, objects.BACKENDS) and call.backend.name == record.backend
    return archived_job(record, service, call.backend if same else None, call.decoder)


# Constructors and clients of the SDK's own


def stand_ins(provider: Provider, player: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
    """What replaces methods of the SDK's while a whole process is replayed. Raises MissingExtra."""
    service = sdk(_IBM, "IBM's service", "ibm").QiskitRuntimeService
    if player.mode == "missing":
        yield service, "__init__", lambda original: _patient(original, provider, player)
        yield service, "job", lambda original: _known_first(original, OfflineClient(provider, player))
        return
    yield service, "__new__", lambda original: _made_offline(original, provider, player)
    client = sdk(f"{_IBM}.api.client", "IBM's service", "ibm").RuntimeClient
    offline = OfflineClient(provider, player)  # for services, backends and jobs that were made before
    for name in vars(OfflineClient):
        if not name.startswith("_") and hasattr(client, name):
            yield client, name, lambda original, name=name: _answered(name, offline)
    account = sdk(f"{_IBM}.accounts", "IBM's service", "ibm").Account
    yield account, "list_instances", lambda original: _no_instances


def _made_offline(original: Any, provider: Provider, player: Any) -> staticmethod:
    def new(kind: type, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("channel") == "local":
            return original.__func__(kind, *args, **kwargs)
        made = object.__new__(_service_class(kind))
        _set_up(made, provider, player, *args, **kwargs)
        return made

    return staticmethod(new)


def _patient(original: Callable, provider: Provider, player: Any) -> Callable:
    missing = sdk(f"{_IBM}.accounts", "IBM's service", "ibm").AccountNotFoundError

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, *args, **kwargs)
        except missing:
            hooks.warn(_ALONE)
            self.__class__ = _service_class(type(self))
            _set_up(self, provider, player, *args, **kwargs)

    return init


def _known_first(original: Callable, offline: OfflineClient) -> Callable:
    def job(self: Any, job_id: str) -> Any:
        try:
            return archived_job(offline.job_of(job_id), self)
        except NotFound:
            return original(self, job_id)

    return job


def _answered(name: str, offline: OfflineClient) -> Callable:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(offline, name)(*args, **kwargs)

    return method


def _no_instances(self: Any) -> None:
    raise BadInput("the instances of an account", _UNKNOWN)
