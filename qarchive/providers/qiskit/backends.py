"""Any local Qiskit backend (BackendV2) and its jobs: what is recorded of a run, and how it is read back."""

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import BadInput, MissingExtra, NotEncodable
from ...values import Link
from ..base import Divisible, Execution, Get, Outcome, Recorder, Stage
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from . import results
from .aer_noise import model_from_plain
from .dividing import divide_circuits
from .inputs import CIRCUITS, load_binds, load_circuits, put_input
from .jobs import archived_job
from .local import Face, LocalProvider
from .primitives import Primitives
from .snapshots import (
    SCALARS,
    Memo,
    Snapshot,
    captured,
    fields_token,
    is_noise_model,
    noise_snapshot,
    snapshot,
    target_token,
)
from .values import from_plain, to_plain
from .wrapped import WrappedBackend

_OWN = frozenset({("qiskit.providers.backend", "BackendV2"), ("qiskit.providers.job", "JobV1")})
_SIMULATORS = (
    "qiskit_aer.",
    "qiskit.providers.basic_provider.",
    "qiskit.providers.fake_provider.",
    "qiskit_ibm_runtime.fake_provider.",
    "qarchive.providers.",
)


class Backends(Face):
    """Backends, which run circuits."""

    inputs = frozenset({CIRCUITS})

    def owns(self, native: Any) -> bool:
        return is_a(native, _OWN)

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        kind = type(native)
        if kind.__name__ == "IBMBackend" and kind.__module__.startswith("qiskit_ibm_runtime"):
            raise BadInput(
                "an IBMBackend",
                "it is run by primitives, never by itself",
                "wrap the QiskitRuntimeService, a SamplerV2 or an EstimatorV2",
            )
        return WrappedBackend(unwrapped(native), self.provider, recorder)

    def backend_name(self, target: Any) -> str:
        return str(target.name)

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        backend = unwrapped(target)
        circuits, binds, options = _call(args, kwargs)
        config = self.provider.config(stage, options)
        found, size, names = put_input(stage, circuits, binds)
        defaults = getattr(getattr(backend, "options", None), "_fields", {})
        shots = options.get("shots", defaults.get("shots"))
        return Execution(
            **self.provider.seen(stage, backend),
            input=found,
            config=config,
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

    def ended(self, stage: Stage, result: Any, word: str) -> Outcome:
        gaps: list[tuple[str, str]] = []
        try:
            value, volatile = results.pack_result(result, lambda *found: gaps.append(found))
            link = stage.put("result", value)
        except NotEncodable:  # somewhere in it is text or depth that cannot be written: slower, and without that part
            gaps.clear()
            value, volatile = results.pack_result(result, lambda *found: gaps.append(found), parts=True)
            link = stage.put("result", value)
        for path, reason in gaps:
            stage.gap(f"result.{path}", reason)
        if result.success:
            return Outcome("DONE", word, result=link, volatile=volatile)
        some = any(experiment.success for experiment in result.results or ())
        error = {"type": "Result", "message": str(result.status)}
        return Outcome("PARTIAL" if some else "ERROR", word, result=link, volatile=volatile, error=error)

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        return load_circuits(get, job)

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        circuits = load_circuits(get, job)
        options = get(job["config"])["options"]
        kwargs = {
            name: model_from_plain(get(value)) if type(value) is Link else from_plain(value) for name, value in options.items()
        }
        binds = load_binds(get(job["input"]), circuits)
        return backend, (circuits,), kwargs if binds is None else {**kwargs, "parameter_binds": binds}

    def load_result(self, result: Any, volatile: Mapping[str, Any]) -> Any:
        return results.unpack_result(result, volatile)

    def load_job(self, record: Any) -> Any:
        return archived_job(self.provider, record)

    def counts(self, result: Any, volatile: Mapping[str, Any], index: int) -> dict[str, int]:
        return results.counts(result, index, volatile)

    def data(self, result: Any, volatile: Mapping[str, Any]) -> list[dict[str, Any]]:
        return results.data(result, volatile)

    def divide(self, target: Any, args: tuple, kwargs: dict) -> Divisible | None:
        return divide_circuits(target, args, kwargs)

    def entry_points(self) -> Iterator[tuple[type, str]]:
        yield sdk("qiskit.providers.basic_provider").BasicSimulator, "run"
        yield sdk("qiskit.providers.fake_provider").GenericBackendV2, "run"
        try:
            yield sdk("qiskit_ibm_runtime.fake_provider.fake_backend", "a fake backend", "ibm").FakeBackendV2, "run"
        except MissingExtra:
            pass


class QiskitProvider(LocalProvider):
    """Local backends of Qiskit: BasicSimulator, GenericBackendV2, fake backends, and whatever else is a BackendV2; primitives
    on them, and primitives that need no backend."""

    name = "qiskit"
    extra = "aer"

    def __init__(self):
        self.backends, self.primitives = Backends(self), Primitives(self)
        self._backends = Memo()
        self._last_config: tuple[Any, Snapshot] | None = None  # by a token of its options: most runs have those of the one before

    def seen(self, stage: Stage, backend: Any) -> dict[str, Any]:
        """What an Execution says of the backend: its snapshot, its name, and whose it is."""
        snapshot, calibration = self._snapshot(stage, backend)
        return {
            "provider": self.name,
            "kind": self._kind(backend),
            "backend_name": str(backend.name),
            "backend": snapshot,
            "calibration": calibration,
        }

    def _kind(self, backend) -> str:
        return "simulator" if type(backend).__module__.startswith(_SIMULATORS) else "local"

    def config(self, stage: Stage, options: dict) -> Link:
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
            return {**self._value(backend, gap), **about(gap), "options": {**plain, **links}, "set": changed}

        about, figures, parts = captured(backend, self._target(backend))
        return snapshot("backend", "backend", value, parts), figures

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
        return value


def _call(args, kwargs) -> tuple[Any, Any, dict]:
    """(circuits, parameter binds, options) of `run(*args, **kwargs)`."""
    options = dict(kwargs)
    if args:
        circuits = args[0]
    else:
        circuits = options.pop("circuits", None) if "circuits" in options else options.pop("run_input", None)
    binds = args[1] if len(args) > 1 else options.pop("parameter_binds", None)
    return circuits, binds, options


def _equal(one, other) -> bool:
    if type(one) is not type(other):
        return False
    same = one == other
    return same if type(same) is bool else False
