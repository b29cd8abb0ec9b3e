"""Objects of qiskit.quantum_info and Aer's variants of them <-> plain values: states, operators, channels, Paulis.

`ENCODERS` are by class, exactly, and `DECODERS` by tag; `qiskit_values` says what they are given.
"""

from collections.abc import Callable

from ...columns import integers, items
from ...values import Array, Typed
from ..sdk import sdk


def _information():
    return sdk("qiskit.quantum_info")


def _aer_classes():
    return sdk("qiskit_aer.backends.compatibility")


def _state(tag):
    return lambda value, part: Typed(tag, [Array.of(value.data), list(value.dims())])


def _channel(tag):
    return lambda value, part: Typed(tag, [Array.of(value._data), list(value.input_dims()), list(value.output_dims())])


def _dims(dims: list) -> tuple | None:
    """Dimensions for a constructor; some fail when told that there are none, and find it out by themselves."""
    return tuple(dims) or None


def _new_state(module, name):
    def decode(parts, whole):
        data, dims = parts
        return getattr(module(), name)(data.numpy(), dims=_dims(dims))

    return decode


def _new_channel(module, name):
    def decode(parts, whole):
        data, input_dims, output_dims = parts
        return getattr(module(), name)(data.numpy(), input_dims=_dims(input_dims), output_dims=_dims(output_dims))

    return decode


def _kraus(value, part):
    left, right = value._data
    sides = [[Array.of(matrix) for matrix in side] if side is not None else None for side in (left, right)]
    return Typed("qiskit.Kraus", [*sides, list(value.input_dims()), list(value.output_dims())])


def _new_kraus(parts, whole):
    left, right, input_dims, output_dims = parts
    left = [matrix.numpy() for matrix in left]
    data = left if right is None else (left, [matrix.numpy() for matrix in right])
    return _information().Kraus(data, input_dims=_dims(input_dims), output_dims=_dims(output_dims))


def _stinespring(value, part):
    sides = [None if side is None else Array.of(side) for side in value._data]
    return Typed("qiskit.Stinespring", [*sides, list(value.input_dims()), list(value.output_dims())])


def _new_stinespring(parts, whole):
    left, right, input_dims, output_dims = parts
    data = left.numpy() if right is None else (left.numpy(), right.numpy())
    return _information().Stinespring(data, input_dims=_dims(input_dims), output_dims=_dims(output_dims))


def _scalar_op(value, part):
    return Typed("qiskit.ScalarOp", [list(value.input_dims()), part(value.coeff, "coeff")])


def _new_scalar_op(parts, whole):
    dims, coeff = parts
    return _information().ScalarOp(tuple(dims), coeff=whole(coeff))


def _new_clifford(tableau, whole):
    return _information().Clifford(tableau.numpy(), validate=False)


def _new_stabilizer(module):
    return lambda tableau, whole: module().StabilizerState(_new_clifford(tableau, whole), validate=False)


def _stabilizer(tag):
    return lambda value, part: Typed(tag, Array.of(value.clifford.tableau))


def _paulis(tag):
    return lambda value, part: Typed(tag, _pauli_parts(value))


def _pauli_parts(value):
    return [Array.of(value.z), Array.of(value.x), Array.of(value.phase)]


def _new_pauli(parts, whole):
    z, x, phase = parts
    return _information().Pauli((z.numpy(), x.numpy(), phase.tolist()))


def _new_pauli_list(parts, whole):
    z, x, phase = parts
    return _information().PauliList.from_symplectic(z.numpy(), x.numpy(), phase.numpy())


def _sparse_pauli_op(value, part):
    return Typed("qiskit.SparsePauliOp", [*_pauli_parts(value.paulis), part(value.coeffs, "coeffs")])


def _new_sparse_pauli_op(parts, whole):
    *paulis, coeffs = parts
    paulis = _new_pauli_list(paulis, whole)
    return _information().SparsePauliOp(paulis, whole(coeffs), ignore_pauli_phase=True, copy=False)


def _sparse_observable(value, part):
    raw = (value.coeffs, value.bit_terms, value.indices, value.boundaries)
    return Typed("qiskit.SparseObservable", [value.num_qubits, *(_numbers(column) for column in raw)])


def _numbers(column):
    array = sdk("numpy").array(column)  # copies what SparseObservable only lends; uintp becomes a fixed width
    return Array.of(array.astype("<u8") if array.dtype.kind == "u" and array.dtype.itemsize == 8 else array)


def _new_sparse_observable(parts, whole):
    qubits, *columns = parts
    return _information().SparseObservable.from_raw_parts(qubits, *(column.numpy() for column in columns))


def _sparse_paulis(tag: str) -> Callable:
    """A list of terms without zeros: the letters of each as text, their qubits, and where it has them phases or rates."""

    def encode(value, part):
        terms = value.to_sparse_list()
        phases = [term[0] for term in terms] if tag == "qiskit.PhasedQubitSparsePauliList" else None
        if phases is not None:
            terms = [term[1:] for term in terms]
        columns = [[letters for letters, *_ in terms], integers([place for _, places, *_ in terms for place in places])]
        if phases is not None:
            columns.append(phases)
        elif tag == "qiskit.PauliLindbladMap":
            columns.append(Array.of(value.rates))
        return Typed(tag, [value.num_qubits, *columns])

    return encode


def _new_sparse_paulis(name: str) -> Callable:
    def decode(parts, whole):
        qubits, letters, indices, *more = parts
        places, terms = iter(items(indices)), []
        for word in letters:
            terms.append((word, [next(places) for _ in word]))
        if name == "PauliLindbladMap":
            terms = [(*term, rate) for term, rate in zip(terms, more[0].flat(), strict=True)]
        elif more:
            terms = [(phase, *term) for term, phase in zip(terms, more[0], strict=True)]
        return getattr(_information(), name).from_sparse_list(terms, num_qubits=qubits)

    return decode


def _sparse_pauli(tag: str) -> Callable:
    def encode(value, part):
        phase = [value.phase] if tag == "qiskit.PhasedQubitSparsePauli" else []
        return Typed(tag, [value.num_qubits, _numbers(value.paulis), _numbers(value.indices), *phase])

    return encode


def _new_sparse_pauli(name: str) -> Callable:
    def decode(parts, whole):
        qubits, paulis, indices, *phase = parts
        return getattr(_information(), name).from_raw_parts(qubits, paulis.numpy(), indices.numpy(), *phase)

    return decode


def _aer_state(tag):
    return lambda value, part: Typed(tag, [Array.of(value.data), list(value.dims()), part(value._configs, "configs")])


def _new_aer_state(name):
    def decode(parts, whole):
        data, dims, configs = parts
        return getattr(sdk("qiskit_aer.quantum_info"), name)(data.numpy(), dims=_dims(dims), **whole(configs))

    return decode


_QUANTUM_INFO = "qiskit.quantum_info."
_SYMPLECTIC = _QUANTUM_INFO + "operators.symplectic."
_CHANNEL = _QUANTUM_INFO + "operators.channel."
_AER_COMPATIBILITY = "qiskit_aer.backends.compatibility"
_SPARSE_LISTS = ("QubitSparsePauliList", "PhasedQubitSparsePauliList", "PauliLindbladMap")
_SPARSE_SINGLES = ("QubitSparsePauli", "PhasedQubitSparsePauli")
_MATRICES = {"superop": "SuperOp", "choi": "Choi", "chi": "Chi", "ptm": "PTM"}

ENCODERS: dict[tuple[str, str], Callable] = {
    (_QUANTUM_INFO + "states.statevector", "Statevector"): _state("qiskit.Statevector"),
    (_QUANTUM_INFO + "states.densitymatrix", "DensityMatrix"): _state("qiskit.DensityMatrix"),
    (_QUANTUM_INFO + "states.stabilizerstate", "StabilizerState"): _stabilizer("qiskit.StabilizerState"),
    (_QUANTUM_INFO + "operators.operator", "Operator"): _channel("qiskit.Operator"),
    (_QUANTUM_INFO + "operators.scalar_op", "ScalarOp"): _scalar_op,
    **{(_CHANNEL + module, name): _channel(f"qiskit.{name}") for module, name in _MATRICES.items()},
    (_CHANNEL + "kraus", "Kraus"): _kraus,
    (_CHANNEL + "stinespring", "Stinespring"): _stinespring,
    (_SYMPLECTIC + "clifford", "Clifford"): lambda value, part: Typed("qiskit.Clifford", Array.of(value.tableau)),
    (_SYMPLECTIC + "pauli", "Pauli"): _paulis("qiskit.Pauli"),
    (_SYMPLECTIC + "pauli_list", "PauliList"): _paulis("qiskit.PauliList"),
    (_SYMPLECTIC + "sparse_pauli_op", "SparsePauliOp"): _sparse_pauli_op,
    ("qiskit.quantum_info", "SparseObservable"): _sparse_observable,
    **{("qiskit.quantum_info", name): _sparse_paulis(f"qiskit.{name}") for name in _SPARSE_LISTS},
    **{("qiskit.quantum_info", name): _sparse_pauli(f"qiskit.{name}") for name in _SPARSE_SINGLES},
    (_AER_COMPATIBILITY, "Statevector"): _state("aer.Statevector"),
    (_AER_COMPATIBILITY, "DensityMatrix"): _state("aer.DensityMatrix"),
    (_AER_COMPATIBILITY, "Operator"): _channel("aer.Operator"),
    (_AER_COMPATIBILITY, "SuperOp"): _channel("aer.SuperOp"),
    (_AER_COMPATIBILITY, "StabilizerState"): _stabilizer("aer.StabilizerState"),
    ("qiskit_aer.quantum_info.states.aer_statevector", "AerStatevector"): _aer_state("aer.AerStatevector"),
    ("qiskit_aer.quantum_info.states.aer_densitymatrix", "AerDensityMatrix"): _aer_state("aer.AerDensityMatrix"),
}

DECODERS: dict[str, Callable] = {
    "qiskit.Statevector": _new_state(_information, "Statevector"),
    "qiskit.DensityMatrix": _new_state(_information, "DensityMatrix"),
    "qiskit.StabilizerState": _new_stabilizer(_information),
    "qiskit.Operator": _new_channel(_information, "Operator"),
    **{f"qiskit.{name}": _new_channel(_information, name) for name in _MATRICES.values()},
    "qiskit.ScalarOp": _new_scalar_op,
    "qiskit.Kraus": _new_kraus,
    "qiskit.Stinespring": _new_stinespring,
    "qiskit.Clifford": _new_clifford,
    "qiskit.Pauli": _new_pauli,
    "qiskit.PauliList": _new_pauli_list,
    "qiskit.SparsePauliOp": _new_sparse_pauli_op,
    "qiskit.SparseObservable": _new_sparse_observable,
    **{f"qiskit.{name}": _new_sparse_paulis(name) for name in _SPARSE_LISTS},
    **{f"qiskit.{name}": _new_sparse_pauli(name) for name in _SPARSE_SINGLES},
    "aer.Statevector": _new_state(_aer_classes, "Statevector"),
    "aer.DensityMatrix": _new_state(_aer_classes, "DensityMatrix"),
    "aer.Operator": _new_channel(_aer_classes, "Operator"),
    "aer.SuperOp": _new_channel(_aer_classes, "SuperOp"),
    "aer.StabilizerState": _new_stabilizer(_aer_classes),
    "aer.AerStatevector": _new_aer_state("AerStatevector"),
    "aer.AerDensityMatrix": _new_aer_state("AerDensityMatrix"),
}
