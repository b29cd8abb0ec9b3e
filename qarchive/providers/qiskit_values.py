"""Values of Qiskit and of Python itself <-> plain values: states, operators, distributions, arrays, times.

Classes are looked up by their exact module and name in closed tables, so importing this module imports no SDK, data never
names code, and a subclass that nobody registered is refused rather than stored as its parent.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any

from ..errors import MissingExtra, NewerFormat, NotEncodable
from ..values import Array, Chunked, Link, Timestamp, Typed

Gap = Callable[[str, str], None]

_PLAIN = frozenset({str, int, float, bool, type(None)})
_TEXT = frozenset({str})
_LEAVES = _PLAIN | {bytes, complex, Link, Timestamp, Array, Chunked, Typed}
_DROPPED = object()


def to_plain(value: Any, gap: Gap | None = None, path: str | tuple = "") -> Any:
    """What `codec.encode` takes for `value`, with classes as `Typed` values; containers are copied only where they must be.

    A part that cannot be stored raises NotEncodable with its path; with `gap` it is left out instead and `gap(path, reason)`
    is called. Raises NotEncodable in any case where `value` itself cannot be stored. `path` is where `value` stands.
    """
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        return _dict(value, gap, path)
    if kind is list:
        return value if _LEAVES.issuperset(map(type, value)) else _items(value, gap, path)
    if kind is tuple:
        return tuple(_items(value, gap, path))
    if kind is set:
        return {to_plain(item, None, (path, "{}")) for item in value}
    encode = _ENCODERS.get((kind.__module__, kind.__qualname__))
    if encode is not None:
        return _located(encode, value, path)
    if kind.__module__ == "numpy" and hasattr(value, "dtype"):
        return _located(_numpy, value, path)
    raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__}", _dotted(path))


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given, from what `codec.decode` returns, with which it may share containers.

    Arrays come back as numpy's. Raises MissingExtra, and NewerFormat for a type tag of a later qarchive.
    """
    kind = type(value)
    if kind is dict:
        if _PLAIN.issuperset(map(type, value.values())) and _PLAIN.issuperset(map(type, value)):
            return value
        return {from_plain(key): from_plain(item) for key, item in value.items()}
    if kind is list:
        return value if _PLAIN.issuperset(map(type, value)) else [from_plain(item) for item in value]
    if kind is tuple:
        return tuple(map(from_plain, value))
    if kind is set:
        return set(map(from_plain, value))
    if kind is Array:
        return value.numpy()
    if kind is Typed:
        decode = _DECODERS.get(value.tag)
        if decode is None:
            raise NewerFormat("a value", f"type tag {value.tag}", "the tags of this version")
        return decode(value.value)
    return value


def _dict(value, gap, path):
    if _LEAVES.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value)):
        return value
    plain = {}
    for key, item in value.items():
        if type(item) not in _LEAVES:
            item = _kept(item, gap, (path, key))
            if item is _DROPPED:
                continue
        if type(key) not in _PLAIN:
            key = to_plain(key, None, (path, key))
        plain[key] = item
    return plain


def _items(values, gap, path):
    # An item that is left out of a sequence would move its neighbours: the sequence goes as a whole.
    return [
        item if type(item) in _LEAVES else to_plain(item, gap if type(item) is dict else None, (path, i))
        for i, item in enumerate(values)
    ]


def _kept(item, gap, path):
    if gap is None:
        return to_plain(item, None, path)
    try:
        return to_plain(item, gap, path)
    except NotEncodable as error:
        gap(error.path or _dotted(path), error.reason)
        return _DROPPED


def _dotted(path) -> str:
    """A path as text; while the walk goes on it is pairs of the path outside and a key, since nearly none is ever shown."""
    if type(path) is str:
        return path
    outside, key = path
    return f"{_dotted(outside)}.{key}" if outside else str(key)


def _located(encode, value, path):
    try:
        return encode(value)
    except NotEncodable as error:
        raise NotEncodable(error.reason, _dotted(path)) from None


def _numpy(value):
    """Arrays and scalars; `codec` would do it, but only here can an unfit dtype still become a gap."""
    array = Array.of(value)
    return array if type(value).__name__ == "ndarray" else Typed("numpy.scalar", array)


def _numpy_scalar(array: Array):
    return array.numpy()[()]


@cache
def sdk(module: str, what: str = "this value", extra: str = "aer"):
    """An SDK's module, named by code and never by data. Raises MissingExtra."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(what, extra) from None


def _information():
    return sdk("qiskit.quantum_info")


def _aer_classes():
    return sdk("qiskit_aer.backends.compatibility")


def _state(tag):
    return lambda value: Typed(tag, [Array.of(value.data), list(value.dims())])


def _channel(tag):
    return lambda value: Typed(tag, [Array.of(value.data), list(value.input_dims()), list(value.output_dims())])


def _new_state(module, name):
    def decode(parts):
        data, dims = parts
        return getattr(module(), name)(data.numpy(), dims=tuple(dims))

    return decode


def _new_channel(module, name):
    def decode(parts):
        data, input_dims, output_dims = parts
        return getattr(module(), name)(data.numpy(), input_dims=tuple(input_dims), output_dims=tuple(output_dims))

    return decode


def _kraus(value):
    left, right = value._data
    sides = [[Array.of(matrix) for matrix in side] if side is not None else None for side in (left, right)]
    return Typed("qiskit.Kraus", [*sides, list(value.input_dims()), list(value.output_dims())])


def _new_kraus(parts):
    left, right, input_dims, output_dims = parts
    left = [matrix.numpy() for matrix in left]
    data = left if right is None else (left, [matrix.numpy() for matrix in right])
    return _information().Kraus(data, input_dims=tuple(input_dims), output_dims=tuple(output_dims))


def _new_clifford(tableau):
    return _information().Clifford(tableau.numpy(), validate=False)


def _new_stabilizer(module):
    def decode(tableau):
        return module().StabilizerState(_new_clifford(tableau), validate=False)

    return decode


def _stabilizer(tag):
    return lambda value: Typed(tag, Array.of(value.clifford.tableau))


def _pauli_parts(value):
    return [Array.of(value.z), Array.of(value.x), Array.of(value.phase)]


def _new_pauli(parts):
    z, x, phase = parts
    return _information().Pauli((z.numpy(), x.numpy(), phase.tolist()))


def _new_pauli_list(parts):
    z, x, phase = parts
    return _information().PauliList.from_symplectic(z.numpy(), x.numpy(), phase.numpy())


def _sparse_pauli_op(value):
    return Typed("qiskit.SparsePauliOp", [*_pauli_parts(value.paulis), Array.of(value.coeffs)])


def _new_sparse_pauli_op(parts):
    *paulis, coeffs = parts
    return _information().SparsePauliOp(_new_pauli_list(paulis), coeffs.numpy(), ignore_pauli_phase=True, copy=False)


def _sparse_observable(value):
    raw = (value.coeffs, value.bit_terms, value.indices, value.boundaries)
    return Typed("qiskit.SparseObservable", [value.num_qubits, *(_numbers(column) for column in raw)])


def _numbers(column):
    import numpy

    array = numpy.array(column)  # copies what SparseObservable only lends; uintp becomes a fixed width
    return Array.of(array.astype("<u8") if array.dtype.kind == "u" and array.dtype.itemsize == 8 else array)


def _new_sparse_observable(parts):
    qubits, coeffs, terms, indices, boundaries = parts
    return _information().SparseObservable.from_raw_parts(
        qubits, coeffs.numpy(), terms.numpy(), indices.numpy(), boundaries.numpy()
    )


def _probabilities(value):
    return Typed("qiskit.ProbDistribution", [_distribution(value), value._num_bits])


def _quasi(value):
    return Typed("qiskit.QuasiDistribution", [_distribution(value), value._num_bits, to_plain(value._stddev_upper_bound)])


def _distribution(value):
    return [to_plain(dict(value)), to_plain(value.shots)]


def _new_distribution(name):
    def decode(parts):
        (data, shots), bits, *bound = parts
        value = getattr(sdk("qiskit.result"), name)(from_plain(data), shots=from_plain(shots))
        value._num_bits = bits  # a constructor given integers counts only the bits of the largest
        if bound:
            value._stddev_upper_bound = from_plain(bound[0])
        return value

    return decode


def _counts(value):
    data = dict(value) if value.hex_raw is None else value.hex_raw
    return Typed(
        "qiskit.Counts", [to_plain(data), to_plain(value.time_taken), to_plain(value.creg_sizes), to_plain(value.memory_slots)]
    )


def _new_counts(parts):
    data, time_taken, creg_sizes, memory_slots = map(from_plain, parts)
    return sdk("qiskit.result").Counts(data, time_taken=time_taken, creg_sizes=creg_sizes, memory_slots=memory_slots)


def _aer_state(tag):
    return lambda value: Typed(tag, [Array.of(value.data), list(value.dims()), to_plain(value._configs)])


def _new_aer_state(name):
    def decode(parts):
        data, dims, configs = parts
        return getattr(sdk("qiskit_aer.quantum_info"), name)(data.numpy(), dims=tuple(dims), **from_plain(configs))

    return decode


_QUANTUM_INFO = "qiskit.quantum_info."
_AER_COMPATIBILITY = "qiskit_aer.backends.compatibility"
_DATETIME = ("datetime", "datetime")

_ENCODERS: dict[tuple[str, str], Callable] = {
    _DATETIME: lambda value: Typed("datetime", value.isoformat()),
    ("builtins", "slice"): lambda value: Typed("slice", [value.start, value.stop, value.step]),
    ("builtins", "range"): lambda value: Typed("range", [value.start, value.stop, value.step]),
    (_QUANTUM_INFO + "states.statevector", "Statevector"): _state("qiskit.Statevector"),
    (_QUANTUM_INFO + "states.densitymatrix", "DensityMatrix"): _state("qiskit.DensityMatrix"),
    (_QUANTUM_INFO + "states.stabilizerstate", "StabilizerState"): _stabilizer("qiskit.StabilizerState"),
    (_QUANTUM_INFO + "operators.operator", "Operator"): _channel("qiskit.Operator"),
    (_QUANTUM_INFO + "operators.channel.superop", "SuperOp"): _channel("qiskit.SuperOp"),
    (_QUANTUM_INFO + "operators.channel.kraus", "Kraus"): _kraus,
    (_QUANTUM_INFO + "operators.symplectic.clifford", "Clifford"): lambda value: Typed(
        "qiskit.Clifford", Array.of(value.tableau)
    ),
    (_QUANTUM_INFO + "operators.symplectic.pauli", "Pauli"): lambda value: Typed("qiskit.Pauli", _pauli_parts(value)),
    (_QUANTUM_INFO + "operators.symplectic.pauli_list", "PauliList"): lambda value: Typed(
        "qiskit.PauliList", _pauli_parts(value)
    ),
    (_QUANTUM_INFO + "operators.symplectic.sparse_pauli_op", "SparsePauliOp"): _sparse_pauli_op,
    ("qiskit.quantum_info", "SparseObservable"): _sparse_observable,
    (_AER_COMPATIBILITY, "Statevector"): _state("aer.Statevector"),
    (_AER_COMPATIBILITY, "DensityMatrix"): _state("aer.DensityMatrix"),
    (_AER_COMPATIBILITY, "Operator"): _channel("aer.Operator"),
    (_AER_COMPATIBILITY, "SuperOp"): _channel("aer.SuperOp"),
    (_AER_COMPATIBILITY, "StabilizerState"): _stabilizer("aer.StabilizerState"),
    ("qiskit_aer.quantum_info.states.aer_statevector", "AerStatevector"): _aer_state("aer.AerStatevector"),
    ("qiskit_aer.quantum_info.states.aer_densitymatrix", "AerDensityMatrix"): _aer_state("aer.AerDensityMatrix"),
    ("qiskit.result.distributions.probability", "ProbDistribution"): _probabilities,
    ("qiskit.result.distributions.quasi", "QuasiDistribution"): _quasi,
    ("qiskit.result.counts", "Counts"): _counts,
    ("qiskit.result.models", "MeasLevel"): lambda value: Typed("qiskit.MeasLevel", int(value)),
    ("qiskit.result.models", "MeasReturnType"): lambda value: Typed("qiskit.MeasReturnType", value.value),
}

_DECODERS: dict[str, Callable] = {
    "numpy.scalar": _numpy_scalar,
    "datetime": datetime.fromisoformat,
    "slice": lambda parts: slice(*parts),
    "range": lambda parts: range(*parts),
    "qiskit.Statevector": _new_state(_information, "Statevector"),
    "qiskit.DensityMatrix": _new_state(_information, "DensityMatrix"),
    "qiskit.StabilizerState": _new_stabilizer(_information),
    "qiskit.Operator": _new_channel(_information, "Operator"),
    "qiskit.SuperOp": _new_channel(_information, "SuperOp"),
    "qiskit.Kraus": _new_kraus,
    "qiskit.Clifford": _new_clifford,
    "qiskit.Pauli": _new_pauli,
    "qiskit.PauliList": _new_pauli_list,
    "qiskit.SparsePauliOp": _new_sparse_pauli_op,
    "qiskit.SparseObservable": _new_sparse_observable,
    "aer.Statevector": _new_state(_aer_classes, "Statevector"),
    "aer.DensityMatrix": _new_state(_aer_classes, "DensityMatrix"),
    "aer.Operator": _new_channel(_aer_classes, "Operator"),
    "aer.SuperOp": _new_channel(_aer_classes, "SuperOp"),
    "aer.StabilizerState": _new_stabilizer(_aer_classes),
    "aer.AerStatevector": _new_aer_state("AerStatevector"),
    "aer.AerDensityMatrix": _new_aer_state("AerDensityMatrix"),
    "qiskit.ProbDistribution": _new_distribution("ProbDistribution"),
    "qiskit.QuasiDistribution": _new_distribution("QuasiDistribution"),
    "qiskit.Counts": _new_counts,
    "qiskit.MeasLevel": lambda number: sdk("qiskit.result.models").MeasLevel(number),
    "qiskit.MeasReturnType": lambda name: sdk("qiskit.result.models").MeasReturnType(name),
}
