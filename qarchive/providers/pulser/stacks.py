"""Quantum states of one shape at many times as one array: a map for each of them would be more than the states."""

from typing import Any

from ...columns import floats, items
from ...values import Array
from ..qiskit.values import from_plain, to_plain
from .sequences import pulser
from .values import with_attributes

_STATE = "pulser_simulation.qutip_state.QutipState"
_ATTRIBUTES = {"_eigenstates", "_amplitudes", "_state"}
_SHARED = ("atom_order", "meas_basis", "total_duration", "matching_meas_basis")
_DICTS = ("_results", "_times", "_tagmap", "_aggregation_methods")
_OF_RESULT = {*_SHARED, *_DICTS, "state", "evaluation_time"}


def states_to_plain(values: list) -> dict[str, Any] | None:
    """QutipStates of one shape; None for anything else, and for fewer than two."""
    if len(values) < 2 or any(f"{type(value).__module__}.{type(value).__name__}" != _STATE for value in values):
        return None
    first = values[0]._eigenstates
    if any(value._amplitudes is not None or vars(value).keys() != _ATTRIBUTES for value in values):
        return None
    if any((type(value._eigenstates), value._eigenstates) != (type(first), first) for value in values):
        return None
    stacked = _stacked([value._state for value in values])
    return stacked and {"eigenstates": to_plain(first), **stacked}


def states_from_plain(plain: dict[str, Any]) -> list:
    """The QutipStates again."""
    kind = pulser("pulser_simulation.qutip_state", "a state of Pulser's").QutipState
    return [
        with_attributes(kind, {"_eigenstates": from_plain(plain["eigenstates"]), "_amplitudes": None, "_state": state})
        for state in _unstacked(plain)
    ]


def results_to_plain(parts: tuple) -> dict[str, Any] | None:
    """QutipResults that differ in their states and times alone; None for anything else."""
    if len(parts) < 2 or any(type(part).__name__ != "QutipResult" or vars(part).keys() - _OF_RESULT for part in parts):
        return None
    shared = {name: getattr(parts[0], name) for name in _SHARED}
    scalar = type(parts[0].evaluation_time)
    for part in parts:
        if any(vars(part)[name] for name in _DICTS) or type(part.evaluation_time) is not scalar:
            return None
        if any((type(item), item) != (type(getattr(part, name)), getattr(part, name)) for name, item in shared.items()):
            return None
    if scalar is not float and scalar.__name__ != "float64":
        return None
    stacked = _stacked([part.state for part in parts])
    if stacked is None:
        return None
    own = {"numpy": scalar is not float, "times": floats([float(part.evaluation_time) for part in parts])}
    held = {name for name in _SHARED if name in vars(parts[0])}
    return {"shared": to_plain({name: shared[name] for name in held}), **own, **stacked}


def results_from_plain(plain: dict[str, Any]) -> tuple:
    """The QutipResults again."""
    kind = pulser("pulser_simulation.qutip_result", "a result of Pulser's").QutipResult
    scalar = pulser("numpy").float64 if plain["numpy"] else float
    found = []
    for state, time in zip(_unstacked(plain), items(plain["times"]), strict=True):
        shared = {name: from_plain(item) for name, item in plain["shared"].items()}
        own = {"state": state, "evaluation_time": scalar(time), **{name: {} for name in _DICTS}}
        found.append(with_attributes(kind, {**shared, **own}))
    return tuple(found)


def readable(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Stacked states as a map each, without Pulser."""
    array = plain["data"]
    count, *shape = array.shape
    known = {name: list(plain[name]) for name in ("eigenstates", "dims") if name in plain}
    data, size = memoryview(array.data).cast("B"), len(array.data) // (count or 1)
    parts = (Array(array.dtype, tuple(shape), bytes(data[place * size : (place + 1) * size])) for place in range(count))
    return [{**known, "format": "dense", "data": part} for part in parts]


def _stacked(states) -> dict[str, Any] | None:
    """The matrices of quantum objects of one shape, dense and of one order in memory."""
    qutip, numpy = pulser("qutip"), pulser("numpy")
    first = states[0]
    dense = qutip.core.data.Dense
    if any(type(state) is not qutip.Qobj or type(state.data) is not dense for state in states):
        return None
    fortran = first.data.fortran
    if any(state._dims != first._dims or state.data.fortran != fortran for state in states):
        return None
    if first.superrep is not None or qutip.core.dimensions.Dimensions(first.dims) != first._dims:
        return None
    data = numpy.stack([state.data.as_ndarray() for state in states])
    return {"dims": first.dims, "fortran": bool(fortran), "data": Array.of(data)}


def _unstacked(plain) -> list:
    qutip, numpy = pulser("qutip"), pulser("numpy")
    dims = qutip.core.dimensions.Dimensions(plain["dims"])
    data = from_plain(plain["data"])
    if data.dtype != numpy.complex128 or data.ndim != 3 or data.shape[1:] != tuple(dims.shape):
        raise ValueError("quantum states whose data do not fit their dimensions")
    found = []
    for matrix in data:
        dense = qutip.core.data.Dense(numpy.asfortranarray(matrix) if plain["fortran"] else matrix, copy=True)
        if dense.fortran != plain["fortran"]:
            dense = dense.reorder(fortran=plain["fortran"])
        found.append(qutip.Qobj(dense, dims=dims, copy=False))
    return found
