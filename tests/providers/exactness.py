"""Assertions that a value comes back exactly: its content, its classes, hidden attributes, and its bytes."""

from datetime import datetime
from enum import Enum

import numpy as np
from qiskit.circuit import Instruction, Parameter, ParameterExpression, ParameterVector, QuantumCircuit

from qarchive.codec import decode, encode
from qarchive.providers.qiskit.circuits import structure
from qarchive.providers.qiskit.values import from_plain, to_plain

CACHES = {"_aer_state", "_op_shape", "_num_parameters", "_rng_generator", "_dist_matrix", "_is_symmetric", "_qubit_list", "_size"}


def back(value):
    """`value` after a trip through its canonical bytes, having checked that it has the same bytes again."""
    data = encode(to_plain(value))
    found = from_plain(decode(data))
    assert encode(to_plain(found)) == data
    return found


def attributes(value):
    """All attributes of an object, of its dict and of its slots."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name) and name not in ("__dict__", "__weakref__"):
                found[name] = getattr(value, name)
    return {name: item for name, item in found.items() if name not in CACHES}


def same(one, other, path="value"):
    """Assert equal content and equal types, through containers, hidden attributes and arrays."""
    assert type(one) is type(other), path
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), path
        if one.dtype.hasobject:
            same(one.reshape(-1).tolist(), other.reshape(-1).tolist(), path)
        else:
            assert one.tobytes() == other.tobytes(), path
    elif isinstance(one, np.generic):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes()), path
    elif isinstance(one, dict):
        assert {(type(key), key) for key in one} == {(type(key), key) for key in other}, path
        for key in one:
            same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{path}[{place}]")
    elif isinstance(one, set | frozenset):
        assert {(type(item), item) for item in one} == {(type(item), item) for item in other}, path
    elif isinstance(one, float):
        assert one.hex() == other.hex(), path
    elif isinstance(one, complex):
        same((one.real, one.imag), (other.real, other.imag), path)
    elif isinstance(one, datetime):
        assert (one, one.fold, one.utcoffset(), one.tzname()) == (other, other.fold, other.utcoffset(), other.tzname()), path
        assert type(one.tzinfo) is type(other.tzinfo), path
    elif isinstance(one, QuantumCircuit):
        assert (one, one.name) == (other, other.name), path
        assert structure(one) == structure(other), path
        same(one.metadata, other.metadata, f"{path}.metadata")
    elif isinstance(one, ParameterVector):
        assert (one.name, list(one)) == (other.name, list(other)), path
    elif isinstance(one, Parameter):
        assert (one, one.name, one.uuid) == (other, other.name, other.uuid), path
    elif isinstance(one, Enum | Instruction | ParameterExpression):
        assert one == other, path
    elif not attributes(one):
        assert repr(one) == repr(other), path
    else:
        left, right = attributes(one), attributes(other)
        assert left.keys() == right.keys(), path
        for name in left:
            same(left[name], right[name], f"{path}.{name}")
    if hasattr(one, "_op_shape"):
        assert one._op_shape == other._op_shape, path
