"""How a primitive of Qiskit is set up, as plain values, and primitives made again from them.

A primitive keeps what its constructor was given: so that is read, whatever the class, from the instance's own attributes.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from inspect import signature
from typing import Any

from ...errors import BadInput, NotEncodable
from ...values import Link
from ..base import Get, Stage
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from .aer_noise import model_from_plain
from .snapshots import is_noise_model, noise_snapshot
from .values import from_plain, to_plain

PRIMITIVE = "qiskit.primitive"  # the type of the backend blob of a primitive without a backend

_BACKEND = frozenset({("qiskit.providers.backend", "BackendV2")})
_NOT_SETTINGS = frozenset({"self", "args", "kwargs", "backend"})
_GENERATORS = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"})
_STATEVECTOR, _ON_BACKEND, _AERS = range(3)  # how a class takes its settings, and its backend
_CLASSES = {
    "qiskit.primitives.statevector_sampler.StatevectorSampler": _STATEVECTOR,
    "qiskit.primitives.statevector_estimator.StatevectorEstimator": _STATEVECTOR,
    "qiskit.primitives.backend_sampler_v2.BackendSamplerV2": _ON_BACKEND,
    "qiskit.primitives.backend_estimator_v2.BackendEstimatorV2": _ON_BACKEND,
    "qiskit_aer.primitives.sampler_v2.SamplerV2": _AERS,
    "qiskit_aer.primitives.estimator_v2.EstimatorV2": _AERS,
}


def class_name(primitive: Any) -> str:
    kind = type(primitive)
    return f"{kind.__module__}.{kind.__qualname__}"


def backend_of(primitive: Any) -> Any | None:
    """The backend on which a primitive runs, unwrapped; None where it has none of its own."""
    held = getattr(primitive, "__dict__", {})
    backend = unwrapped(held.get("_backend", held.get("backend")))
    return backend if is_a(backend, _BACKEND) else None


def settings_of(primitive: Any) -> dict[str, Any]:
    """What a primitive was made with, as far as it keeps that, by the names of its constructor."""
    held = getattr(primitive, "__dict__", {})
    found = {}
    for name in _constructor(type(primitive)):
        for attribute in (f"_{name}", name):
            if attribute in held:
                found[name] = held[attribute]
                break
    if "_run_options" in held:  # a primitive of version 1 may call them otherwise
        found["run_options"] = held["_run_options"]
    return found


def put_options(stage: Stage, options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Options as plain values, a noise model among them, however deep, as the link to its blob; the rest as gaps."""
    return to_plain(_simple(stage, options, what), lambda path, reason: stage.gap(f"{what}.{path}", reason))


def load_options(get: Get, value: Any) -> Any:
    """The options again."""
    if type(value) is Link:
        return model_from_plain(get(value))
    if type(value) is dict:
        return _generator(value) if "bit_generator" in value else {name: load_options(get, item) for name, item in value.items()}
    return from_plain(value)


def is_known(primitive: Any) -> bool:
    """Whether `make` can make one like it."""
    return class_name(primitive) in _CLASSES


def make(get: Get, config: Mapping[str, Any], backend: Any) -> Any:
    """The primitive of a config blob on `backend`, which one without a backend does not need. Raises BadInput, MissingExtra."""
    name = config["primitive"]["class"]
    how = _CLASSES.get(name)
    if how is None:
        raise BadInput(f"a {name}", "qarchive does not know how to make one", "give the primitive itself: `job.rerun(primitive)`")
    module, _, kind = name.rpartition(".")
    kind = getattr(sdk(module, f"a {kind}"), kind)
    settings = load_options(get, config["primitive"].get("settings", {}))
    if how == _STATEVECTOR:
        return kind(**settings)
    if how == _ON_BACKEND:
        return kind(backend=backend, **settings)
    return kind.from_backend(backend, **settings)


@cache
def _constructor(kind: type) -> tuple[str, ...]:
    try:
        names = signature(kind.__init__).parameters
    except ValueError:  # written in another language
        return ()
    return tuple(name for name in names if name not in _NOT_SETTINGS)


def _simple(stage, value, what) -> Any:
    """Options of all kinds as dicts, with noise models as links and generators as their states."""
    if is_noise_model(value):
        try:
            return noise_snapshot(value).put(stage)
        except NotEncodable as error:
            stage.gap(what, str(error))
            return None
    if type(value).__name__ == "Generator" and hasattr(value, "bit_generator"):
        return value.bit_generator.state
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif type(value).__name__ == "Options" and hasattr(value, "_fields"):
        value = value._fields
    if type(value) is dict:
        return {name: _simple(stage, item, f"{what}.{name}") for name, item in value.items()}
    return value


def _generator(state: Mapping[str, Any]) -> Any:
    random = sdk("numpy.random", "a random generator")
    if state["bit_generator"] not in _GENERATORS:
        raise BadInput(f"a generator {state['bit_generator']!r}", "numpy's own have other names")
    bits = getattr(random, state["bit_generator"])()
    bits.state = from_plain(dict(state))
    return random.Generator(bits)
