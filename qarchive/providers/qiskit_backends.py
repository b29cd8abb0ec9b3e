"""Any local Qiskit backend (BackendV2) and its jobs: what is recorded of a run, and the object that a user gets for a backend."""

import copy
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ArchiveWarning, BadInput, NotEncodable
from ..values import Link
from . import qiskit_results, qiskit_text
from .aer_noise import model_from_plain
from .base import Execution, Get, Outcome, Provider, Recorder, Stage
from .qiskit_inputs import load_binds, load_circuits, put_input
from .qiskit_jobs import archived_job
from .qiskit_snapshots import (
    SCALARS,
    Memo,
    Snapshot,
    calibration_value,
    fields_token,
    is_noise_model,
    noise_snapshot,
    snapshot,
    target_token,
    target_value,
)
from .qiskit_values import from_plain, to_plain

# AerSimulator.from_backend, and so Aer's primitives, make a new simulator of what they are given, which nothing has wrapped. They
# read this attribute once, and that is where a wrapped backend can say so.
_READ_BY_AER = "backend_version"
_NOT_RECORDED = (
    "Aer makes a simulator of its own from the wrapped backend {}, and runs on it are not recorded; "
    "give it `archive.wrap(AerSimulator.from_backend(backend.unwrapped))`"
)

_POLL_S = (0.05, 1.0)  # how often a job without a future is asked, at first and at most
_SIMULATORS = (
    "qiskit_aer.",
    "qiskit.providers.basic_provider.",
    "qiskit.providers.fake_provider.",
    "qiskit_ibm_runtime.fake_provider.",
)


class QiskitProvider(Provider):
    """Local backends of Qiskit: BasicSimulator, GenericBackendV2, fake backends, and whatever else is a BackendV2."""

    name = "qiskit"
    extra = "aer"

    def __init__(self):
        self._backends = Memo()
        self._last_config: tuple[Any, Snapshot] | None = None  # by a token of its options: most runs have those of the one before

    def owns(self, native: Any) -> bool:
        return _is_a(native, "qiskit.providers.backend", "BackendV2") or _is_a(native, "qiskit.providers.job", "JobV1")

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        kind = type(native)
        if kind is WrappedBackend:
            return WrappedBackend(native.unwrapped, self, recorder)
        if kind.__name__ == "IBMBackend" and kind.__module__.startswith("qiskit_ibm_runtime"):
            raise BadInput(
                "an IBMBackend",
                "it is run by primitives, never by itself",
                "wrap the QiskitRuntimeService, a SamplerV2 or an EstimatorV2",
            )
        return WrappedBackend(native, self, recorder)

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        backend = unwrapped(target)
        circuits, binds, options = _call(args, kwargs)
        config = self._config(stage, options)
        found, size, names = put_input(stage, circuits, binds)
        snapshot_link, calibration = self._snapshot(stage, backend)
        defaults = getattr(getattr(backend, "options", None), "_fields", {})
        shots = options.get("shots", defaults.get("shots"))
        return Execution(
            provider=self.name,
            kind=self._kind(backend),
            backend_name=str(backend.name),
            input=found,
            config=config,
            backend=snapshot_link,
            calibration=calibration,
            shots=shots if type(shots) is int else None,
            size=size,
            names=names,
        )

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        if not hasattr(job, "circuits"):
            raise BadInput(f"a {type(job).__name__}", "it does not know its circuits", "wrap the backend before it runs")
        options = {
            name: value for name, value in (getattr(job, "_run_options", None) or {}).items() if name != "parameterizations"
        }
        binds = getattr(job, "_parameter_binds", None)
        if binds:
            options["parameter_binds"] = binds
        return job.backend(), (job.circuits(),), options

    def job_id(self, job: Any) -> str | None:
        return job.job_id() or None

    def ended(self, job: Any) -> bool:
        return job.in_final_state()

    def when_done(self, job: Any, callback: Callable[[], None]) -> None:
        future = getattr(job, "_future", None)
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(lambda _: callback())
        elif job.in_final_state():
            callback()
        else:  # not a daemon: the interpreter waits for it, and so for the job
            threading.Thread(target=_watch, args=(job, callback), name=f"qarchive-{job.job_id()}").start()

    def outcome(self, stage: Stage, job: Any) -> Outcome:
        try:
            result = job.result()
        except Exception as error:  # whatever the run raised is how it ended
            word = job.status().name
            if word == "CANCELLED":
                return Outcome("CANCELLED", word)
            return Outcome("ERROR", word, error={"type": type(error).__name__, "message": str(error)})
        word = job.status().name
        value, volatile = qiskit_results.pack_result(result, lambda path, reason: stage.gap(f"result.{path}", reason))
        link = stage.put("result", value)
        if result.success:
            return Outcome("DONE", word, result=link, volatile=volatile)
        some = any(experiment.success for experiment in result.results or ())
        error = {"type": "Result", "message": str(result.status)}
        return Outcome("PARTIAL" if some else "ERROR", word, result=link, volatile=volatile, error=error)

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        return load_circuits(get, job)

    def load_call(self, get: Get, job: Mapping[str, Any]) -> tuple[tuple, dict]:
        """(args, kwargs) that run the archived job again."""
        circuits = load_circuits(get, job)
        options = get(job["config"])["options"]
        kwargs = {
            name: model_from_plain(get(value)) if type(value) is Link else from_plain(value) for name, value in options.items()
        }
        binds = load_binds(get(job["input"]), circuits)
        return (circuits,), kwargs if binds is None else {**kwargs, "parameter_binds": binds}

    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        return qiskit_results.unpack_result(_result(get, outcome), outcome.get("volatile", {}))

    def load_job(self, record: Any) -> Any:
        return archived_job(self, record)

    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        return qiskit_results.counts(_result(get, outcome), index, outcome.get("volatile", {}))

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        return [qiskit_text.openqasm(entry, get) for entry in get(job["input"])["circuits"]]

    def _kind(self, backend) -> str:
        return "simulator" if type(backend).__module__.startswith(_SIMULATORS) else "local"

    def _config(self, stage, options) -> Link:
        """Options of a run as they were passed, each noise model as the link to its blob."""
        if SCALARS.issuperset(map(type, options.values())):
            token, last = fields_token(options), self._last_config
            if last is None or last[0] != token:
                last = self._last_config = (token, snapshot("config", "config", lambda gap: {"options": options}))
            return last[1].put(stage)
        what = "config.options"
        models = self._models(stage, options, what)
        plain = to_plain(
            {name: value for name, value in options.items() if name not in models},
            lambda path, reason: stage.gap(f"{what}.{path}", reason),
        )
        links = {name: model.put(stage) for name, model in models.items() if model is not None}
        return stage.put("config", {"options": {**plain, **links}})

    def _models(self, stage, options, what) -> dict[str, Snapshot | None]:
        """The noise models among options; None for one that cannot be kept."""
        models: dict[str, Snapshot | None] = {}
        if SCALARS.issuperset(map(type, options.values())):
            return models
        for name, value in options.items():
            if is_noise_model(value):
                try:
                    models[name] = noise_snapshot(value)
                except NotEncodable as error:
                    stage.gap(f"{what}.{name}", str(error))
                    models[name] = None
        return models

    def _snapshot(self, stage, backend) -> tuple[Link, Link | None]:
        """The backend's blob, and its calibration's where it has figures."""
        options = backend.options._fields
        models = self._models(stage, options, "backend.options")
        links = {name: model.put(stage) for name, model in models.items() if model is not None}
        described, figures = self._backends.get(
            backend, self._token(backend, options, models), lambda: self._make(backend, options, models, links)
        )
        return described.put(stage), None if figures is None else figures.put(stage)

    def _make(self, backend, options, models, links) -> tuple[Snapshot, Snapshot | None]:
        def value(gap):
            plain = to_plain(
                {name: item for name, item in options.items() if name not in models},
                lambda path, reason: gap(f"options.{path}", reason),
            )
            defaults = type(backend)._default_options()._fields
            changed = sorted(name for name, item in options.items() if name not in defaults or not _equal(defaults[name], item))
            return {**self._value(backend, gap), "options": {**plain, **links}, "set": changed}

        target = self._target(backend)
        figures = None if target is None else calibration_value(target)
        return snapshot("backend", "backend", value), None if figures is None else snapshot(
            "calibration", "calibration", lambda gap: figures
        )

    def _token(self, backend, options, models) -> tuple:
        """Changes with everything that the backend's blobs hold."""
        target = self._target(backend)
        return (backend.name, fields_token(options, models), None if target is None else target_token(target))

    def _target(self, backend) -> Any:
        return backend.target

    def _value(self, backend, gap) -> dict:
        kind = type(backend)
        value = {"type": "qiskit.backend", "class": f"{kind.__module__}.{kind.__qualname__}", "name": str(backend.name)}
        for field in ("backend_version", "description"):
            content = getattr(backend, field, None)
            if type(content) is str:
                value[field] = content
        target = self._target(backend)
        if target is not None:
            value["target"] = target_value(target)
        return value


class WrappedBackend:
    """A backend whose runs are recorded; in all else it is the backend: `isinstance`, attributes, copies.

    `unwrapped` is the backend itself.
    """

    __slots__ = ("__weakref__", "_qarchive_backend", "_qarchive_provider", "_qarchive_recorder")

    def __init__(self, backend: Any, provider: Provider, recorder: Recorder):
        object.__setattr__(self, "_qarchive_backend", backend)
        object.__setattr__(self, "_qarchive_provider", provider)
        object.__setattr__(self, "_qarchive_recorder", recorder)

    @property
    def __class__(self):
        return type(self._qarchive_backend)

    @property
    def unwrapped(self) -> Any:
        """The backend itself, whose runs are not recorded."""
        return self._qarchive_backend

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The backend's own `run`, recorded; `archive=False` leaves this one out."""
        backend = self._qarchive_backend
        return self._qarchive_recorder.run(
            self._qarchive_provider, backend, args, kwargs, lambda sent: backend.run(*args, **sent)
        )

    def jobs(self, **filters: Any) -> Any:
        """Archived jobs of this backend."""
        return self._qarchive_recorder.jobs(
            provider=self._qarchive_provider.name, backend=str(self._qarchive_backend.name), **filters
        )

    def local_jobs(self, **filters: Any) -> Any:
        """The same as `jobs`: a local backend has no other ones."""
        return self.jobs(**filters)

    def retrieve_job(self, job_id: str) -> Any:
        """An archived job by its id, or by the backend's own id of it."""
        return self._qarchive_recorder.job(job_id)

    def __getattr__(self, name: str) -> Any:
        if name == _READ_BY_AER and (depth := _frames_of_aer()):
            warnings.warn(_NOT_RECORDED.format(self._qarchive_backend.name), ArchiveWarning, stacklevel=depth + 2)
        return getattr(self._qarchive_backend, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._qarchive_backend, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._qarchive_backend, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._qarchive_backend), "unwrapped", "jobs", "local_jobs", "retrieve_job"})

    def __repr__(self) -> str:
        return f"<archived {self._qarchive_backend!r}>"

    def __copy__(self) -> "WrappedBackend":
        return WrappedBackend(copy.copy(self._qarchive_backend), self._qarchive_provider, self._qarchive_recorder)

    def __deepcopy__(self, memo: dict) -> "WrappedBackend":
        return WrappedBackend(copy.deepcopy(self._qarchive_backend, memo), self._qarchive_provider, self._qarchive_recorder)

    def __reduce_ex__(self, protocol: int) -> Any:
        raise BadInput(
            "a recorded backend", "another process would not record its runs", "send `backend.unwrapped`, and wrap it there"
        )


def unwrapped(backend: Any) -> Any:
    return backend.unwrapped if type(backend) is WrappedBackend else backend


def _frames_of_aer() -> int:
    """How many frames above the caller are Aer's, where the nearest is `AerSimulator.from_backend`; else 0."""
    frame = sys._getframe(2)
    if frame.f_code.co_qualname != "AerSimulator.from_backend":
        return 0
    depth = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("qiskit_aer."):
        depth, frame = depth + 1, frame.f_back
    return depth


def _is_a(native, module, name) -> bool:
    """Whether an object's class descends from a class of the SDK, without importing it."""
    kind = type(unwrapped(native))
    return any(base.__name__ == name and base.__module__ == module for base in kind.__mro__)


def _call(args, kwargs) -> tuple[Any, Any, dict]:
    """(circuits, parameter binds, options) of `run(*args, **kwargs)`."""
    options = dict(kwargs)
    if args:
        circuits = args[0]
    else:
        circuits = options.pop("circuits", None) if "circuits" in options else options.pop("run_input", None)
    binds = args[1] if len(args) > 1 else options.pop("parameter_binds", None)
    return circuits, binds, options


def _result(get, outcome) -> dict:
    link = outcome.get("result")
    if link is None:
        raise BadInput("this job", "it ended without a result", "look at its error")
    return get(link)


def _equal(one, other) -> bool:
    if type(one) is not type(other):
        return False
    same = one == other
    return same if type(same) is bool else False


def _watch(job, callback) -> None:
    pause, longest = _POLL_S
    while not job.in_final_state():
        time.sleep(pause)
        pause = min(2 * pause, longest)
    callback()
