"""Aer's own instructions (save_*, set_*, errors inside circuits), which QPY turns into nameless ones that Aer cannot run.

They are kept as plain values beside the QPY and put back when it is loaded. The table is closed: data names an entry of
it, never a class.
"""

from typing import Any

from ...values import Typed
from .aer_noise import error_from_plain, error_to_plain
from .values import from_plain, sdk, to_plain

_SAVES = frozenset(
    """
    SaveAmplitudes SaveAmplitudesSquared SaveClifford SaveDensityMatrix SaveExpectationValue SaveExpectationValueVariance
    SaveMatrixProductState SaveProbabilities SaveProbabilitiesDict SaveStabilizer SaveState SaveStatevector
    SaveStatevectorDict SaveSuperOp SaveUnitary
    """.split()
)
_SETS = frozenset("SetDensityMatrix SetStabilizer SetStatevector SetSuperOp SetUnitary SetMatrixProductState".split())
_CHANNEL = "QuantumChannelInstruction"


def knows(operation: Any) -> bool:
    """Whether an operation is one of Aer's that this module keeps."""
    kind = type(operation)
    if not (kind.__module__ or "").startswith("qiskit_aer."):  # singletons' classes have no module
        return False
    return kind.__name__ in _SAVES or kind.__name__ in _SETS or kind.__name__ == _CHANNEL


def to_value(operation: Any) -> Typed:
    """Everything that makes the instruction again. Raises NotEncodable."""
    name = type(operation).__name__
    if name == _CHANNEL:
        return Typed("aer.instruction", {"class": name, "error": error_to_plain(operation._quantum_error)})
    value = {
        "class": name, "name": operation.name, "qubits": operation.num_qubits, "label": operation._label,
        "params": to_plain(list(operation.params)),
    }  # fmt: skip
    if name in _SAVES:
        value["subtype"] = operation._subtype
    return Typed("aer.instruction", value)


def describe(operation: Any, walk: Any) -> dict:
    """The instruction as a part of a circuit's structure."""
    return {"aer": to_value(operation).value}


def from_value(typed: Typed) -> Any:
    """The instruction again; its constructor is not run, since it would check and convert once more. Raises MissingExtra."""
    value = typed.value
    name = value["class"]
    if name == _CHANNEL:
        return error_from_plain(value["error"]).to_instruction()
    if name not in _SAVES and name not in _SETS:
        raise ValueError(f"{name!r} is none of Aer's instructions")
    kind = getattr(sdk("qiskit_aer.library", "an instruction of Aer"), name)
    instruction = kind.__new__(kind)
    sdk("qiskit.circuit").Instruction.__init__(instruction, value["name"], value["qubits"], 0, [])
    instruction._params = [from_plain(item) for item in value["params"]]
    instruction._label = value["label"]
    if name in _SAVES:
        instruction._subtype = value["subtype"]
    return instruction
