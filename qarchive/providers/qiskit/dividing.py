"""Calls of `run` that may be cut into several jobs: circuits for a backend, PUBs for a primitive of version 2.

What is given is not looked at before it is asked for, and stays as it was given: a generator is read as far as needed, and a
circuit that stands for a PUB remains a circuit.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from ..base import Divisible
from ..sdk import sdk
from ..wrapped import is_a, unwrapped

_BASE = "qiskit.primitives.base."
SAMPLERS = frozenset({(_BASE + "base_sampler", "BaseSamplerV2")})
ESTIMATORS = frozenset({(_BASE + "base_estimator", "BaseEstimatorV2")})
_CIRCUIT = frozenset({("qiskit.circuit.quantumcircuit", "QuantumCircuit")})
_CIRCUITS, _PUBS = ("circuits", "run_input"), ("pubs",)  # the names under which `run` takes them


def divide_circuits(backend: Any, args: tuple, kwargs: Mapping[str, Any]) -> Divisible | None:
    """A backend's `run` of several circuits; None of one circuit, and with `parameter_binds`, which belong to places in the list.

    The limit is the backend's own `max_circuits`.
    """
    backend = unwrapped(backend)
    binds = args[1] if len(args) > 1 else kwargs.get("parameter_binds")
    found = _listed(args, kwargs, _CIRCUITS)
    if found is None or binds:
        return None
    items, call = found
    shots = kwargs.get("shots", getattr(getattr(backend, "options", None), "_fields", {}).get("shots"))
    return Divisible(items, call, circuits=declared(backend), executions_of=lambda circuit: _whole(shots))


def divide_pubs(primitive: Any, args: tuple, kwargs: Mapping[str, Any], circuits: int | None = None,
                executions: int | None = None, shots: int = 1) -> Divisible | None:  # fmt: skip
    """`run` of a primitive of version 2 as a call that may be cut; None for all others. The limits are those that are given.

    A primitive of Qiskit's cuts what it sends by itself, by the limit of its backend, and so declares none. `shots` is how many
    it takes where neither call nor options say.
    """
    primitive = unwrapped(primitive)
    sampler = is_a(primitive, SAMPLERS)
    found = _listed(args, kwargs, _PUBS) if sampler or is_a(primitive, ESTIMATORS) else None
    if found is None:
        return None
    items, call = found
    if sampler:
        executions_of = _samples(primitive, kwargs.get("shots"), shots)
    else:
        executions_of = _estimates(primitive, kwargs.get("precision"), shots)
    return Divisible(items, call, circuits, executions, executions_of)


def declared(backend: Any) -> int | None:
    """How many circuits a backend takes at once, as far as it says."""
    found = getattr(backend, "max_circuits", None)
    return found if type(found) is int and found > 0 else None


def _listed(args, kwargs, names) -> tuple[Any, Callable] | None:
    """(what `run` is to run, its call for some of that), where that is several things."""
    if args:
        given, rest = args[0], args[1:]
        call = lambda items: ((items, *rest), dict(kwargs))  # noqa: E731
    else:
        name = next((name for name in names if name in kwargs), None)
        if name is None:
            return None
        given = kwargs[name]
        call = lambda items: (args, {**kwargs, name: items})  # noqa: E731
    several = hasattr(given, "__iter__") and not isinstance(given, str | bytes | Mapping) and not is_a(given, _CIRCUIT)
    return (given, call) if several else None


def _samples(sampler, shots, unsaid) -> Callable[[Any], int]:
    """Sets of parameter values times shots of a PUB."""
    default = _option(sampler, "default_shots") or unsaid

    def executions_of(item):
        if is_a(item, _CIRCUIT):
            return _whole(shots or default)
        try:
            pub = sdk("qiskit.primitives.containers.sampler_pub").SamplerPub.coerce(item, shots)
        except Exception:  # it is no PUB, which the sampler will say better
            return 1
        return pub.size * _whole(pub.shots or default)

    return executions_of


def _estimates(estimator, precision, unsaid) -> Callable[[Any], int]:
    """Pairs of observables and sets of parameter values times the shots that the precision takes, or the default ones.

    Observables of several terms may take more, and those that commute less.
    """
    shots, default = _option(estimator, "default_shots"), _option(estimator, "default_precision")

    def executions_of(item):
        try:
            pub = sdk("qiskit.primitives.containers.estimator_pub").EstimatorPub.coerce(item, precision)
        except Exception:  # it is no PUB, which the estimator will say better
            return 1
        wanted = pub.precision
        if wanted is None and not shots:
            wanted = default
        if wanted is None:
            return pub.size * (shots or unsaid)
        return pub.size * (ceil(1 / wanted**2) if wanted else 1)

    return executions_of


def _option(primitive, name) -> Any:
    """A number that a primitive was set up with, wherever its class keeps it; None for what is none (an option that is unset)."""
    held = getattr(primitive, "__dict__", {})
    options = getattr(primitive, "options", None)
    for found in (held.get(f"_{name}"), options.get(name) if isinstance(options, Mapping) else getattr(options, name, None)):
        if isinstance(found, int | float):
            return found
    return None


def _whole(shots) -> int:
    return shots if isinstance(shots, int) and shots > 0 else 1
