"""Values of Pulser and QuTiP <-> plain values: states, operators, observables, noise models.

`ENCODERS` and `DECODERS` extend the tables of `qiskit_values`, whose `to_plain` and `from_plain` are the way in. Pulser writes
neither its states nor its results losslessly, so this is not its own representation but the attributes of its objects.
"""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import NotEncodable
from ...values import Typed
from ..attributes import Form, tables
from ..qiskit.values import Part
from .sequences import pulser

_OBSERVABLES = "pulser.backend.default_observables"
_COMMON = ("evaluation_times", "_tag_suffix", "_default_aggregation_method")
_OPERATOR = ("_eigenstates", "_n_qudits", "_operations")
_SOLVER = ("pulser_simulation.simulation", "Solver")
_METHOD = ("pulser.backend.observable", "AggregationMethod")
_SPARSE = {"csr": ("data", "indices", "indptr"), "dia": ("data", "offsets")}


@dataclass(frozen=True, slots=True)
class Fields:
    """How the objects of one class are kept whose attributes change with the versions of their SDK: as a map of them by name."""

    tag: str
    names: tuple[str, str]  # module and name of the class

    def encode(self, value: Any, part: Part) -> Typed:
        return Typed(self.tag, {name: part(item, name) for name, item in vars(value).items()})

    def decode(self, parts: dict, whole: Callable) -> Any:
        return with_attributes(getattr(pulser(self.names[0]), self.names[1]), {name: whole(item) for name, item in parts.items()})


def with_attributes(kind: type, attributes: dict[str, Any]) -> Any:
    """An object of a class with these attributes, made without its constructor, which would warn or check what it cannot know."""
    made = object.__new__(kind)
    for name, item in attributes.items():
        if type(name) is not str or not name.isidentifier() or name.startswith("__"):
            raise ValueError(f"an attribute {name!r}")
        object.__setattr__(made, name, item)
    return made


# QuTiP


def _qobj(value, part) -> Typed:
    """Data, dimensions and representation. What QuTiP remembers of it (whether it is Hermitian) follows from these."""
    qutip = pulser("qutip")
    dims, representation = value.dims, value.superrep
    if qutip.core.dimensions.Dimensions(dims, rep=representation) != value._dims:
        raise NotEncodable("a quantum object of spaces that its dimensions do not tell")
    data, formats = value.data, qutip.core.data
    if type(data) is formats.Dense:
        return Typed("qutip.Qobj", [dims, representation, "dense", part(data.as_ndarray(), "data"), bool(data.fortran)])
    if type(data) not in (formats.CSR, formats.Dia):
        raise NotEncodable(f"a quantum object whose data are a {type(data).__name__}")
    form = "csr" if type(data) is formats.CSR else "dia"
    sparse = data.as_scipy()
    return Typed("qutip.Qobj", [dims, representation, form, *(part(getattr(sparse, name), name) for name in _SPARSE[form])])


def _new_qobj(parts, whole):
    qutip = pulser("qutip", "a quantum object of QuTiP's")
    dims, representation, form, *rest = parts
    dims = qutip.core.dimensions.Dimensions(whole(dims), rep=representation)
    return qutip.Qobj(_data(qutip.core.data, tuple(map(int, dims.shape)), form, list(map(whole, rest))), dims=dims, copy=False)


def _data(formats, shape, form, rest):
    """QuTiP's data layers read memory as they are told to: what they are told is checked first."""
    numpy, sparse = pulser("numpy"), pulser("scipy.sparse")
    if form == "dense":
        array, fortran = rest
        if array.dtype != numpy.complex128 or array.shape != shape:
            raise ValueError("a quantum object whose data do not fit its dimensions")
        dense = formats.Dense(numpy.asfortranarray(array) if fortran else array, copy=True)
        return dense if dense.fortran == fortran else dense.reorder(fortran=fortran)
    if form not in _SPARSE or len(rest) != len(_SPARSE[form]):
        raise ValueError(f"a quantum object in the format {form!r}")
    arrays = rest[0]
    if arrays.dtype != numpy.complex128 or any(array.dtype != numpy.int32 for array in rest[1:]):
        raise ValueError("a quantum object whose data are of another type")
    if form == "csr":
        sparse.csr_matrix((arrays, *rest[1:]), shape=shape).check_format(full_check=True)
        return formats.CSR((arrays, *rest[1:]), shape=shape, copy=True)
    if arrays.shape != (len(rest[1]), shape[1]):
        raise ValueError("a quantum object whose data do not fit its dimensions")
    if any(not -shape[0] < offset < shape[1] for offset in rest[1].tolist()):
        raise ValueError("a quantum object with a diagonal outside of it")
    return formats.Dia((arrays, rest[1]), shape=shape, copy=True)


# Pulser


def _counter(value, part) -> Typed:
    return Typed("counter", part(dict(value), "counts"))


def _array(value, part) -> Typed:
    if value.is_tensor:
        raise NotEncodable("a tensor of torch's")
    return Typed("pulser.AbstractArray", part(value.as_array(), "array"))


def _new_array(array, whole):
    return pulser("pulser.math").AbstractArray(whole(array))


def _new_observable(kind: type, *_: Any) -> Any:
    return with_attributes(kind, {"_uuid": uuid.uuid4()})


def _observable(name: str, *more: str) -> Form:
    return Form(f"pulser.{name}", ((_OBSERVABLES, name),), (*_COMMON, *more), make=_new_observable, derived=("_uuid",),
                extra="pulser")  # fmt: skip


def _bare(kind: type, *_: Any) -> Any:
    return object.__new__(kind)


def _new_state(kind: type, eigenstates: Any, amplitudes: Any) -> Any:
    """Pulser keeps the number of qudits with the class, where the next state overwrites it."""
    return with_attributes(kind, {"_n_qudits": len(next(iter(amplitudes), "")) if amplitudes else 0})


def _made(tag: str, module: str, name: str, *attributes: str, make: Callable = _bare, derived: tuple[str, ...] = ()) -> Form:
    return Form(tag, ((module, name),), attributes, make=make, derived=derived, extra="pulser")


NOISE_MODEL = Fields("pulser.NoiseModel", ("pulser.noise_model", "NoiseModel"))
OBSERVABLES = [
    _observable("StateResult"),
    _observable("BitStrings", "_num_shots", "one_state"),
    _observable("Fidelity", "state"),
    _observable("Expectation", "operator"),
    _observable("CorrelationMatrix", "one_state"),
    _observable("Occupation", "one_state"),
    _observable("Energy"),
    _observable("EnergyVariance"),
    _observable("EnergySecondMoment"),
]
_FORM_ENCODERS, _FORM_DECODERS = tables([
    *OBSERVABLES,
    _made("pulser.QutipState", "pulser_simulation.qutip_state", "QutipState", "_eigenstates", "_amplitudes", "_state"),
    _made("pulser.QutipOperator", "pulser_simulation.qutip_op", "QutipOperator", *_OPERATOR, "_operator"),
    _made("pulser.StateRepr", "pulser.backend.state", "StateRepr", "_eigenstates", "_amplitudes", make=_new_state,
          derived=("_n_qudits",)),
    _made("pulser.OperatorRepr", "pulser.backend.operator", "OperatorRepr", *_OPERATOR),
])  # fmt: skip

ENCODERS: dict[tuple[str, str], Callable] = {
    **_FORM_ENCODERS,
    ("collections", "Counter"): _counter,
    ("qutip.core.qobj", "Qobj"): _qobj,
    ("pulser.math.abstract_array", "AbstractArray"): _array,
    NOISE_MODEL.names: NOISE_MODEL.encode,
    _SOLVER: lambda value, part: Typed("pulser.Solver", value.value),
    _METHOD: lambda value, part: Typed("pulser.AggregationMethod", int(value)),
}

DECODERS: dict[str, Callable] = {
    **_FORM_DECODERS,
    "counter": lambda counts, whole: Counter(whole(counts)),
    "qutip.Qobj": _new_qobj,
    "pulser.AbstractArray": _new_array,
    NOISE_MODEL.tag: NOISE_MODEL.decode,
    "pulser.Solver": lambda name, whole: pulser(_SOLVER[0]).Solver(name),
    "pulser.AggregationMethod": lambda number, whole: pulser(_METHOD[0]).AggregationMethod(number),
}
