"""What one circuit or PUB left in a result, beside counts: its memory, its state, its unitary."""

from collections.abc import Callable
from typing import Any

from ...errors import BadInput
from ..sdk import sdk
from ..wrapped import is_a

_RESULT = frozenset({("qiskit.result.result", "Result")})
_PRIMITIVE_RESULT = frozenset({("qiskit.primitives.containers.primitive_result", "PrimitiveResult")})
_GETTERS = {"memory": "get_memory", "statevector": "get_statevector", "unitary": "get_unitary"}


def extract(result: Any, index: int, what: str) -> Any:
    """ "memory", "statevector" or "unitary" of circuit `index` of a Result, as its own `get_memory()` and the like return them.

    Of a PrimitiveResult the "memory" of a PUB: the bit strings of its shots, all registers joined, the first one rightmost.
    Raises BadInput where there is none, which says what there is.
    """
    if what not in _GETTERS:
        raise BadInput(f"{what!r}", f"it is none of {', '.join(_GETTERS)}")
    if is_a(result, _RESULT):
        return _of_circuit(result, index, what)
    if is_a(result, _PRIMITIVE_RESULT):
        return _of_pub(result, index, what)
    raise BadInput(f"a {type(result).__name__}", f"it has no {what} of single circuits", "look at the result itself")


def _of_circuit(result, index, what):
    name = f"circuit {index}"
    experiment = _at(result.results or [], index, name)
    if not getattr(experiment, "success", False):
        raise BadInput(name, f"it did not succeed ({getattr(experiment, 'status', '')})", "look at the status of the result")
    if what not in (fields := experiment.data.to_dict()):
        raise BadInput(name, _nothing(what, fields), _again(what, fields))
    getter: Callable = getattr(result, _GETTERS[what])
    return getter(index)


def _again(what, fields) -> str:
    if what == "memory":
        return "run it with memory=True" if "counts" in fields else "run it with measurements and memory=True"
    return f"run it with an instruction that saves its {what}"


def _of_pub(result, index, what):
    name = f"PUB {index}"
    data = _at(list(result), index, name).data
    fields = dict(data.items())
    bits = sdk("qiskit.primitives.containers", "a result of a primitive").BitArray
    if what != "memory" or not fields or not all(isinstance(item, bits) for item in fields.values()):
        raise BadInput(name, _nothing(what, fields), f"look at `result[{index}].data`")
    if data.shape:
        place = 0 if len(data.shape) == 1 else (0,) * len(data.shape)
        raise BadInput(
            name,
            f"it has values of the shape {data.shape}, and memory is that of one",
            f"take `result[{index}].join_data().get_bitstrings({place})`",
        )
    # the registers from left to right, so that the first one holds the lowest bits, as in counts
    return bits.concatenate_bits(list(fields.values())).get_bitstrings()


def _at(parts, index, name) -> Any:
    if not -len(parts) <= index < len(parts):
        raise BadInput(name, f"the result holds {len(parts)}", "count from 0")
    return parts[index]


def _nothing(what, fields) -> str:
    return f"its result has no {what}" + (f", but {', '.join(fields)}" if fields else ", and no data at all")
