"""Stored values of Qiskit's classes for those who have no Qiskit: quantum states as arrays, distributions as maps."""

from typing import Any

from ...columns import unpack_memory
from ...errors import NotCanonical
from ...values import Array, Typed
from ..limits import MOST_TEXT, number_of

_STATES = ("Statevector", "DensityMatrix", "Operator", "SuperOp", "AerStatevector", "AerDensityMatrix", "Choi", "Chi", "PTM")
_FIRST = frozenset(f"{package}.{name}" for package in ("aer", "qiskit") for name in _STATES)  # an array, and what is about it
_WHOLE = frozenset({"aer.StabilizerState", "qiskit.StabilizerState", "qiskit.Clifford"})
_DISTRIBUTIONS = frozenset({"qiskit.ProbDistribution", "qiskit.QuasiDistribution"})


def readable(value: Any) -> Any:
    """A stored value without the tags that can be spared: of a quantum state or an operator its array, of a number of numpy's a
    number, of a distribution {bit string: share}. Other tags stay."""
    kind = type(value)
    if kind is dict:
        return {key: readable(item) for key, item in value.items()}
    if kind in (list, tuple):
        return kind(map(readable, value))
    if kind is not Typed:
        return value
    content = value.value
    if value.tag in _FIRST and type(content) is list and content and type(content[0]) is Array:
        return content[0]
    if value.tag in _WHOLE and type(content) is Array:
        return content
    if value.tag == "numpy.scalar" and type(content) is Array:
        return content.tolist()
    if value.tag in _DISTRIBUTIONS:
        return _shares(*content[0][:1], content[1])
    if value.tag == "memory":
        try:
            return unpack_memory(value)
        except NotCanonical:
            return value
    return dict(content) if value.tag == "counter" else value


def _shares(data: dict, bits: Any) -> dict[str, Any]:
    """Shares by bit string, of as many bits as are known; keys that are text are bit strings already."""
    width = number_of(bits, "bits") if bits is not None else 0
    if width * len(data) > MOST_TEXT:
        width = 0
    return {state if type(state) is str else f"{state:b}".zfill(width): readable(share) for state, share in data.items()}
