"""Qiskit's primitives, samplers and estimators of versions 1 and 2: what is recorded of a run, and how it is read back.

A primitive on a backend belongs to the provider of that backend, which alone can say everything about it; one without a backend
(`StatevectorSampler`) and one that nobody knows belong to `qiskit`. The backend's own runs are part of the primitive's.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Any

from ...errors import BadInput, NotEncodable
from ..base import Divisible, Execution, Get, Outcome, Recorder, Stage
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from . import primitive_results as results
from .dividing import divide_pubs
from .inputs import PUBS, V1, V1_ARGUMENTS, load_pubs, load_v1, put_pubs, put_v1
from .jobs import archived_primitive_job
from .local import Face
from .primitive_settings import PRIMITIVE, backend_of, class_name, is_known, load_options, make, put_options, settings_of
from .wrapped import WrappedPrimitive

_BASE = "qiskit.primitives.base."
_SAMPLER_V2, _ESTIMATOR_V2 = (_BASE + "base_sampler", "BaseSamplerV2"), (_BASE + "base_estimator", "BaseEstimatorV2")
_SAMPLER_V1, _ESTIMATOR_V1 = (_BASE + "base_sampler", "BaseSamplerV1"), (_BASE + "base_estimator", "BaseEstimatorV1")
_V2 = frozenset({_SAMPLER_V2, _ESTIMATOR_V2})
_PRIMITIVES = _V2 | {_SAMPLER_V1, _ESTIMATOR_V1}
_SAMPLERS = frozenset({_SAMPLER_V2, _SAMPLER_V1})
_JOBS = frozenset({(_BASE + "base_primitive_job", "BasePrimitiveJob")})
_OWN = _PRIMITIVES | _JOBS
_SIMULATORS = ("qiskit.primitives.", "qiskit_aer.")


class Primitives(Face):
    """Primitives, which run PUBs, or circuits with observables and parameter values."""

    inputs = frozenset({PUBS, V1})

    def owns(self, native: Any) -> bool:
        return is_a(native, _OWN)

    def wrap(self, native: Any, recorder: Recorder) -> Any:
        return WrappedPrimitive(unwrapped(native), self.provider, recorder)

    def backend_name(self, target: Any) -> str:
        backend = backend_of(target)
        return type(target).__name__ if backend is None else str(backend.name)

    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        primitive = unwrapped(target)
        call = _named(type(primitive), args, kwargs)
        settings = settings_of(primitive)
        if is_a(primitive, _V2):
            pubs = _coerced(primitive, call.pop("pubs"))
            found, size, names = put_pubs(stage, pubs)
            shots = {getattr(pub, "shots", None) or call.get("shots") or _default_shots(settings) for pub in pubs}
        else:
            found, size, names = put_v1(stage, call)
            call = {name: value for name, value in call.items() if name not in V1_ARGUMENTS}
            shots = {call["shots"] if "shots" in call else settings.get("run_options", {}).get("shots")}
        kept = {"class": class_name(primitive), "settings": put_options(stage, settings, "config.primitive.settings")}
        config = stage.put("config", {"options": put_options(stage, call, "config.options"), "primitive": kept})
        only = next(iter(shots)) if len(shots) == 1 else None
        return Execution(**self._seen(stage, primitive), input=found, config=config, shots=_whole(only), size=size, names=names)

    def device_of(self, target: Any) -> Any | None:
        primitive = unwrapped(target)
        return backend_of(primitive) if is_known(primitive) else primitive

    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        primitive = _primitive_of(job)
        args = getattr(job, "_args", ())
        if args and is_a(primitive, _V2):
            return primitive, *_apart(args[0], "shots" if is_a(primitive, _SAMPLERS) else "precision")
        if args and is_a(primitive, _PRIMITIVES) and hasattr(primitive, "_circuits"):
            return primitive, (), _call_v1(primitive, job)
        raise BadInput(f"a {type(job).__name__}", "it does not know its circuits", "wrap the primitive before it runs")

    def ended(self, stage: Stage, result: Any, word: str) -> Outcome:
        try:
            link, volatile = results.put_result(stage, result)
        except NotEncodable as error:  # a class of somebody else's
            stage.gap("result", str(error))
            return Outcome("DONE", word)
        return Outcome("DONE", word, result=link, volatile=volatile)

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """A list of PUBs; of a primitive of version 1 what it was given, by name."""
        return load_pubs(get, job) if get(job["input"])["type"] == PUBS else load_v1(get, job)

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        config = get(job["config"])
        options = load_options(get, config["options"])
        primitive = backend if is_a(backend, _PRIMITIVES) else make(get, config, backend)
        if get(job["input"])["type"] == PUBS:
            return primitive, (load_pubs(get, job),), options
        return primitive, (), {**load_v1(get, job), **options}

    def load_result(self, result: Any, volatile: Mapping[str, Any]) -> Any:
        return results.load_result(result, volatile)

    def load_job(self, record: Any) -> Any:
        return archived_primitive_job(record)

    def counts(self, result: Any, volatile: Mapping[str, Any], index: int) -> dict[str, int]:
        return results.counts(result, index)

    def data(self, result: Any, volatile: Mapping[str, Any]) -> list[dict[str, Any]]:
        return results.data(result, volatile)

    def divide(self, target: Any, args: tuple, kwargs: dict) -> Divisible | None:
        return divide_pubs(target, args, kwargs)

    def entry_points(self) -> Iterator[tuple[type, str]]:
        primitives = sdk("qiskit.primitives", "a primitive")
        for name in ("StatevectorSampler", "StatevectorEstimator", "BackendSamplerV2", "BackendEstimatorV2",
                     "BaseSamplerV1", "BaseEstimatorV1"):  # fmt: skip
            yield getattr(primitives, name), "run"

    def _seen(self, stage, primitive) -> dict[str, Any]:
        backend = backend_of(primitive)
        if backend is not None:
            return self.provider.seen(stage, backend)
        name = type(primitive).__name__
        kind = class_name(primitive)
        return {
            "provider": self.provider.name,
            "kind": "simulator" if kind.startswith(_SIMULATORS) else "local",
            "backend_name": name,
            "backend": stage.put("backend", {"type": PRIMITIVE, "class": kind, "name": name}),
        }


def primitive_backend(native: Any) -> Any | None:
    """The backend behind a primitive, or behind the one of a job."""
    return backend_of(_primitive_of(native))


def _primitive_of(native) -> Any:
    """The primitive itself, or the one of a job; None where a job does not know it."""
    if is_a(native, _JOBS):
        return getattr(getattr(native, "_function", None), "__self__", None)
    return unwrapped(native)


@cache
def _parameters(kind: type) -> tuple[str, ...]:
    """The names of the arguments that a class's `run` takes by position."""
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, one in signature(kind.run).parameters.items() if one.kind in positional)[1:]


def _named(kind, args, kwargs) -> dict[str, Any]:
    """The arguments of `run` by name, without those that were not given."""
    return {**dict(zip(_parameters(kind), args, strict=False)), **kwargs}


def _coerced(primitive, pubs) -> list:
    """What `run` was given as PUBs, each with the shots or the precision that it names itself."""
    containers = sdk("qiskit.primitives.containers")
    if is_a(primitive, _SAMPLERS):
        return [containers.sampler_pub.SamplerPub.coerce(pub) for pub in pubs]
    return [containers.estimator_pub.EstimatorPub.coerce(pub) for pub in pubs]


def _apart(pubs, name) -> tuple[tuple, dict[str, Any]]:
    """Arguments of `run` for the PUBs of a job, in which each has its shots or precision: what all share is an argument."""
    numbers = [getattr(pub, name) for pub in pubs]
    if not numbers or numbers[0] is None or numbers.count(numbers[0]) < len(numbers):
        return (list(pubs),), {}
    bare = []
    for pub in pubs:
        parts = [pub.circuit, pub.parameter_values] if name == "shots" else [pub.circuit, pub.observables, pub.parameter_values]
        bare.append(type(pub)(*parts, validate=False))
    return (bare,), {name: numbers[0]}


def _call_v1(primitive, job) -> dict[str, Any]:
    """Arguments of `run` for a job of a primitive of version 1, which knows places in the lists that the primitive keeps."""
    places, *more = job._args
    found: dict[str, Any] = {"circuits": [primitive._circuits[place] for place in places]}
    if not is_a(primitive, _SAMPLERS):
        found["observables"] = [primitive._observables[place] for place in more[0]]
    defaults = primitive.options.__dict__
    options = {name: value for name, value in job._kwargs.items() if name not in defaults or value != defaults[name]}
    return {**found, "parameter_values": more[-1], **options}


def _default_shots(settings) -> Any:
    """Of a sampler of version 2; None where it does not say."""
    return settings.get("default_shots", getattr(settings.get("options"), "default_shots", None))


def _whole(shots) -> int | None:
    return int(shots) if isinstance(shots, int) and not isinstance(shots, bool) else None
