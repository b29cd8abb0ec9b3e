"""Circuits, operations, parameters and noise that stand inside other values <-> plain values, without blobs of their own.

`ENCODERS` and `DECODERS` extend the tables of `qiskit_values`, whose `to_plain` and `from_plain` are the way in.
"""

import hashlib
import io
import sys
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

from ...codec import encode
from ...errors import BadInput, NotEncodable
from ...values import Typed
from ..limits import number_of
from ..sdk import sdk
from .aer_noise import error_from_plain, error_to_plain, model_from_plain, model_to_plain
from .circuits import structure
from .qpy import load_circuit, payload

_REMEMBERED = 32 << 20  # bytes of payloads
_ANNOTATED = 15  # the first version of QPY that keeps annotations
_UNARY = {"SIN": "sin", "COS": "cos", "TAN": "tan", "ASIN": "arcsin", "ACOS": "arccos", "ATAN": "arctan", "EXP": "exp",
          "LOG": "log", "SIGN": "sign", "CONJ": "conjugate", "ABS": "__abs__"}  # fmt: skip
_BINARY = {"ADD": "__add__", "SUB": "__sub__", "MUL": "__mul__", "DIV": "__truediv__", "POW": "__pow__", "RSUB": "__rsub__",
           "RDIV": "__rtruediv__", "RPOW": "__rpow__"}  # fmt: skip


class _Payloads:
    """The last payloads that were made, by what they are of: QPY bytes of one circuit differ from one dump to the next."""

    def __init__(self):
        self.lock = threading.Lock()
        self.found: dict[bytes, dict] = {}
        self.size = 0

    def of(self, circuit: Any) -> dict:
        """The payload of a circuit, one for all that are equal to it, names and identities of parameters included."""
        found = structure(circuit)
        names = [circuit.name, *found.auto_names]
        identities = [str(_uuid(parameter)) for parameter in circuit.parameters]
        identities += [str(item.var) for item in (*circuit.iter_vars(), *circuit.iter_stretches())]
        key = hashlib.sha256(encode([found.value, names, identities])).digest()
        with self.lock:
            value = self.take(key)
        if value is None:
            value = payload(circuit, found)
        with self.lock:
            self.take(key)
            self.found[key] = value  # the last one used stands last
            self.size += len(value["qpy"])
            while self.size > _REMEMBERED:
                self.take(next(iter(self.found)))
        return value

    def take(self, key: bytes) -> dict | None:
        value = self.found.pop(key, None)
        self.size -= len(value["qpy"]) if value is not None else 0
        return value


_payloads = _Payloads()


def _circuit(value, part) -> Typed:
    try:
        fields = {"name": value.name, **_payloads.of(value)}
    except NotEncodable as error:
        fields = {"name": value.name, **_annotated(value, error)}
    if value.metadata:
        fields["metadata"] = part(value.metadata, "metadata")
    return Typed("qiskit.QuantumCircuit", fields)


def _new_circuit(value, whole):
    metadata = whole(value.get("metadata"))
    if "annotations" not in value:
        return load_circuit({"qpy": value}, lambda link: link, value["name"], metadata)
    if value["qpy"][:6] != b"QISKIT" or value["qpy"][6:7] < bytes([_ANNOTATED]):
        raise BadInput("this circuit", "its payload is of a QPY version that has no annotations", "ask its author for another")
    circuit = _load_annotated(value["qpy"])
    circuit.metadata = {} if metadata is None else metadata
    return circuit


def _annotated(circuit, error: NotEncodable) -> dict:
    """The payload of a circuit whose boxes have annotations of samplomatic's; `error` where it is refused for something else."""
    bare = _bare(circuit)
    if bare is circuit or _payloads.of(bare)["instructions"]:  # the second raises where it cannot be kept even so
        raise error
    stripped = circuit.copy()
    stripped.metadata = {}
    stream = io.BytesIO()
    try:
        sdk("qiskit.qpy").dump(stripped, stream, version=_ANNOTATED, annotation_factories=_annotations())
        whole = _load_annotated(stream.getvalue()) == stripped
    except Exception:  # of QPY, of the annotations' own package, or because that is not installed
        whole = False
    if not whole:
        raise error
    return {"qpy": stream.getvalue(), "qpy_version": _ANNOTATED, "instructions": [], "annotations": "samplomatic"}


def _bare(circuit):
    """The circuit without the annotations of its boxes; itself where there are none."""
    other = circuit.copy_empty_like()
    changed = False
    for instruction in circuit.data:
        operation = instruction.operation
        blocks = [_bare(block) for block in getattr(operation, "blocks", ())]
        annotated = bool(getattr(operation, "annotations", ()))
        if annotated:
            bare = type(operation)(blocks[0], duration=operation.duration, unit=operation.unit, label=operation.label)
            instruction = instruction.replace(operation=bare)
        elif any(block is not old for block, old in zip(blocks, getattr(operation, "blocks", ()), strict=True)):
            instruction = instruction.replace(operation=operation.replace_blocks(blocks))
        changed = changed or instruction.operation is not operation
        other._append(instruction)
    return other if changed else circuit


def _load_annotated(payload: bytes):
    return sdk("qiskit.qpy").load(io.BytesIO(payload), annotation_factories=_annotations())[0]


def _annotations() -> dict[str, Callable]:
    serializers = sdk("ibm_quantum_schemas.common.annotation_serializer", "a circuit with annotated boxes", "ibm")
    return {"samplomatic": serializers.AnnotationSerializer}


def operation_encoder(kind: type) -> Callable | None:
    """How an operation of Qiskit's circuits is encoded, or None for other classes."""
    if "qiskit.circuit" not in sys.modules or not issubclass(kind, sdk("qiskit.circuit").Instruction):
        return None
    # the class of a singleton, such as an XGate without a label, is one that has no module
    return _operation if kind.__module__ is None or kind.__module__.startswith("qiskit.circuit.") else None


def _operation(value, part) -> Typed:
    """The payload of a circuit that holds it and nothing else."""
    circuit = sdk("qiskit.circuit")
    holder = circuit.QuantumCircuit(value.num_qubits, value.num_clbits, name="operation")
    holder._append(circuit.CircuitInstruction(value, holder.qubits, holder.clbits))
    plain = Typed("qiskit.Operation", _payloads.of(holder))
    if type(_new_operation(plain.value, None)) is not type(value):
        raise NotEncodable(f"an operation of class {type(value).__module__}.{type(value).__qualname__}, which QPY cannot keep")
    return plain


def _new_operation(value, whole):
    return load_circuit({"qpy": value}, lambda link: link).data[0].operation


def _uuid(parameter) -> UUID:
    return getattr(parameter, "uuid", None) or parameter._uuid


def _parameter(value, part) -> Typed:
    return Typed("qiskit.Parameter", (value.name, _uuid(value).bytes))


def _new_parameter(parts, whole):
    name, identity = parts
    return sdk("qiskit.circuit").Parameter(name, uuid=UUID(bytes=identity))


def _element(value, part) -> Typed:
    root = UUID(int=_uuid(value).int - value.index)
    return Typed("qiskit.ParameterVectorElement", (value.vector.name, len(value.vector), value.index, root.bytes))


def _new_element(parts, whole):
    name, length, index, root = parts
    return _new_vector((name, length, root), whole)[index]


def _vector(value, part) -> Typed:
    root = UUID(int=_uuid(value[0]).int) if len(value) else None
    return Typed("qiskit.ParameterVector", (value.name, len(value), root and root.bytes))


def _new_vector(parts, whole):
    name, length, root = parts
    number_of(length, "parameters in a vector")
    circuit = sdk("qiskit.circuit")
    if root is None:
        return circuit.ParameterVector(name, length)
    root = UUID(bytes=root)
    try:
        return circuit.ParameterVector(name, length, uuid=root)
    except TypeError:  # Qiskit before 2.1
        vector = circuit.ParameterVector(name, length)
        kind = sdk("qiskit.circuit.parametervector").ParameterVectorElement
        vector._root_uuid = root
        vector._params = [kind(vector, place, UUID(int=root.int + place)) for place in range(length)]
        return vector


def _expression(value, part) -> Typed:
    """Its parameters, and the steps that make it again; that they do is tried here."""
    places: dict = {}
    steps = [_step(step, places, part) for step in value._qpy_replay]
    plain = Typed("qiskit.ParameterExpression", [[part(operand, str(operand)) for operand in places], steps])
    made = _run(steps, list(places))
    again: dict = {}
    if type(made) is not type(value) or [_step(step, again, part) for step in made._qpy_replay] != steps or again != places:
        raise NotEncodable("a parameter expression that Qiskit does not make again from its own steps")
    return plain


def _step(step, places, part) -> list:
    if hasattr(step, "binds"):
        raise NotEncodable("a parameter expression with substitutions, as Qiskit before 2.2 kept them")
    name = getattr(step.op, "name", None) or str(step.op).rpartition(".")[2]
    return [name, _operand(step.lhs, places), _operand(step.rhs, places)]


def _operand(operand, places):
    if operand is None or type(operand) in (int, float, complex):
        return operand
    return {"parameter": places.setdefault(operand, len(places))}


def _run(steps, parameters):
    """The stack that the steps are for: an operand that is missing is what stands on top, the right one first."""
    expression = sdk("qiskit.circuit").ParameterExpression
    stack: list = []

    def take(operand):
        if operand is None:
            return stack.pop()
        return parameters[operand["parameter"]] if type(operand) is dict else operand

    for name, left, right in steps:
        if name in _BINARY:
            right = take(right)
        elif name not in _UNARY:
            raise NotEncodable(f"a parameter expression with the operation {name}")
        left = take(left)
        if not isinstance(left, expression) and hasattr(expression, "_Value"):
            left = expression._Value(left)
        stack.append(getattr(left, _BINARY[name])(right) if name in _BINARY else getattr(left, _UNARY[name])())
    return stack.pop()


def _new_expression(parts, whole):
    parameters, steps = parts
    return _run(steps, list(map(whole, parameters)))


def _readout(value, part) -> Typed:
    return Typed("aer.ReadoutError", part(value.probabilities, "probabilities"))


def _pauli_lindblad(value, part) -> Typed:
    return Typed("aer.PauliLindbladError", [part(value.generators, "generators"), part(value.rates, "rates")])


def _new_pauli_lindblad(parts, whole):
    return sdk("qiskit_aer.noise", "an error of Aer").PauliLindbladError(*map(whole, parts))


_CIRCUIT = "qiskit.circuit."
_ACCELERATE = "qiskit._accelerate.circuit"
_NOISE = "qiskit_aer.noise."

ENCODERS: dict[tuple[str, str], Callable] = {
    (_CIRCUIT + "quantumcircuit", "QuantumCircuit"): _circuit,
    (_ACCELERATE, "Parameter"): _parameter,
    (_CIRCUIT + "parameter", "Parameter"): _parameter,
    (_ACCELERATE, "ParameterVectorElement"): _element,
    (_CIRCUIT + "parametervector", "ParameterVectorElement"): _element,
    (_ACCELERATE, "ParameterVector"): _vector,
    (_CIRCUIT + "parametervector", "ParameterVector"): _vector,
    (_ACCELERATE, "ParameterExpression"): _expression,
    (_CIRCUIT + "parameterexpression", "ParameterExpression"): _expression,
    (_NOISE + "noise_model", "NoiseModel"): lambda value, part: Typed("aer.NoiseModel", model_to_plain(value, part.gaps())),
    (_NOISE + "errors.quantum_error", "QuantumError"): lambda value, part: Typed("aer.QuantumError", error_to_plain(value)),
    (_NOISE + "errors.readout_error", "ReadoutError"): _readout,
    (_NOISE + "errors.pauli_lindblad_error", "PauliLindbladError"): _pauli_lindblad,
}

DECODERS: dict[str, Callable] = {
    "qiskit.QuantumCircuit": _new_circuit,
    "qiskit.Operation": _new_operation,
    "qiskit.Parameter": _new_parameter,
    "qiskit.ParameterVectorElement": _new_element,
    "qiskit.ParameterVector": _new_vector,
    "qiskit.ParameterExpression": _new_expression,
    "aer.NoiseModel": lambda value, whole: model_from_plain(value),
    "aer.QuantumError": lambda value, whole: error_from_plain(value),
    "aer.ReadoutError": lambda value, whole: sdk("qiskit_aer.noise", "an error of Aer").ReadoutError(whole(value)),
    "aer.PauliLindbladError": _new_pauli_lindblad,
}
