"""Qiskit's classes of operations, and how each is described: looked up once, in tables keyed by the class itself."""

from collections.abc import Callable
from functools import cache
from typing import Any

from ...errors import NotEncodable
from ...values import Array
from .values import sdk, to_plain

_STANDARD_GATES = "qiskit.circuit.library.standard_gates"
_COMMUTATIVE = frozenset({"ADD", "MUL"})
_REFLECTED = {"RSUB": "SUB", "RDIV": "DIV", "RPOW": "POW"}


class Operations:
    """The classes and, for each, how it is described. One instance a process: `operations()`."""

    def __init__(self):
        circuit = sdk("qiskit.circuit", "a Qiskit circuit")
        library = sdk("qiskit.circuit.library")
        information = sdk("qiskit.quantum_info")
        expressions = sdk("qiskit.circuit.classical.expr")
        types = sdk("qiskit.circuit.classical.types")
        self.QuantumCircuit = circuit.QuantumCircuit
        self.CircuitInstruction = circuit.CircuitInstruction
        self.Gate, self.ControlledGate, self.Store, self.Delay = (
            circuit.Gate,
            circuit.ControlledGate,
            circuit.Store,
            circuit.Delay,
        )
        self.Clbit, self.CASE_DEFAULT, self.Expr = circuit.Clbit, circuit.CASE_DEFAULT, expressions.Expr
        self.opaque = frozenset({circuit.Gate, circuit.Instruction})
        self.simple = {
            type(circuit.Measure()): "measure",
            circuit.Measure: "measure",
            type(circuit.Reset()): "reset",
            circuit.Reset: "reset",
            circuit.Barrier: "barrier",
            circuit.Delay: "delay",
        }
        self.types = {
            types.Bool: lambda kind: "bool",
            types.Float: lambda kind: "float",
            types.Duration: lambda kind: "duration",
            types.Uint: lambda kind: ["uint", kind.width],
        }
        self.control_flow: dict[type, Callable] = {
            circuit.IfElseOp: _if_else,
            circuit.WhileLoopOp: _while_loop,
            circuit.ForLoopOp: _for_loop,
            circuit.SwitchCaseOp: _switch_case,
            circuit.BoxOp: _box,
            circuit.BreakLoopOp: lambda walk, operation, scope: {},
            circuit.ContinueLoopOp: lambda walk, operation, scope: {},
        }
        self.values: dict[type, Callable] = {
            circuit.Parameter: lambda walk, value, scope: walk.parameter(value),
            type(circuit.ParameterVector("v", 1)[0]): lambda walk, value, scope: walk.parameter(value),
            circuit.ParameterExpression: _parameter_expression,
            circuit.QuantumCircuit: lambda walk, value, scope: ["circuit", walk.block(value)],
            circuit.Clbit: _bit,
            circuit.ClassicalRegister: _bits,
            **{
                getattr(circuit.Duration, unit): _duration
                for unit in ("dt", "ps", "ns", "us", "ms", "s")
                if hasattr(circuit.Duration, unit)
            },
            range: lambda walk, value, scope: ["range", value.start, value.stop, value.step],
            expressions.Var: _var,
            expressions.Stretch: lambda walk, node, scope: ["stretch", walk.variable(node.var)],
            expressions.Value: lambda walk, node, scope: ["constant", walk.value(node.value, scope), walk.sdk.type_of(node.type)],
            expressions.Cast: lambda walk, node, scope: ["cast", walk.value(node.operand, scope), walk.sdk.type_of(node.type)],
            expressions.Unary: lambda walk, node, scope: [
                "unary",
                node.op.name,
                walk.value(node.operand, scope),
                walk.sdk.type_of(node.type),
            ],
            expressions.Binary: _binary,
            expressions.Index: lambda walk, node, scope: ["index", walk.value(node.target, scope), walk.value(node.index, scope)],
        }
        self.selfmade: dict[type, Callable] = {
            library.UnitaryGate: _parameters,
            library.PauliGate: _parameters,
            library.PermutationGate: _parameters,
            library.QFTGate: _parameters,
            library.DiagonalGate: _parameters,
            library.HamiltonianGate: _parameters,
            library.Initialize: _parameters,
            library.StatePreparation: _state_preparation,
            library.LinearFunction: _linear_function,
            library.PauliEvolutionGate: _pauli_evolution,
            information.Clifford: _clifford,
            circuit.AnnotatedOperation: _annotated,
            circuit.Store: _parameters,
        }
        for name, describe in (("PauliProductMeasurement", _pauli_product), ("PauliProductRotationGate", _pauli_rotation)):
            if hasattr(library, name):  # newer than the rest
                self.selfmade[getattr(library, name)] = describe

    def known(self, kind: type) -> Callable | None:
        """How an operation is described of which class and parameters say everything, or None."""
        describe = self.selfmade.get(kind)
        if describe is None and kind.__module__.startswith(_STANDARD_GATES):
            describe = self.selfmade[kind] = _standard
        return describe

    def is_library(self, kind: type) -> bool:
        return kind.__module__.startswith("qiskit.circuit.library.")

    def type_of(self, kind) -> Any:
        """A type of classical expressions."""
        describe = self.types.get(type(kind))
        if describe is None:
            raise NotEncodable(f"the classical type {kind}")
        return describe(kind)


@cache
def operations() -> Operations:
    return Operations()


def _parameters(walk, operation, entry):
    return operation.params


def _standard(walk, operation, entry):
    """A gate of the standard library in a form that is none of Qiskit's built-in gates: open controls, many controls."""
    if isinstance(operation, walk.sdk.ControlledGate):
        entry["control"] = [operation.num_ctrl_qubits, operation.ctrl_state]
    return operation.params


def _state_preparation(walk, operation, entry):
    entry["inverse"] = operation._inverse
    return operation.params


def _linear_function(walk, operation, entry):
    return [operation.linear]  # the circuit that it was made from changes nothing


def _pauli_evolution(walk, operation, entry):
    synthesis = operation.synthesis
    entry["operator"] = to_plain(operation.operator)
    entry["synthesis"] = None if synthesis is None else [type(synthesis).__name__, to_plain(synthesis.settings)]
    return operation.params


def _clifford(walk, operation, entry):
    entry["tableau"] = Array.of(operation.tableau)
    return []


def _annotated(walk, operation, entry):
    entry["modifiers"] = [[type(modifier).__name__, to_plain(vars(modifier))] for modifier in operation.modifiers]
    entry["base"] = walk.nested(operation.base_op)
    return []


def _pauli_product(walk, operation, entry):
    entry["pauli"] = [Array.of(operation._pauli_z), Array.of(operation._pauli_x), to_plain(operation._pauli_phase)]
    return []


def _pauli_rotation(walk, operation, entry):
    entry["pauli"] = [Array.of(operation._pauli_z), Array.of(operation._pauli_x)]
    return operation.params


def _blocks(walk, operation):
    return [None if block is None else walk.block(block) for block in operation.params]


def _if_else(walk, operation, scope):
    return {"condition": _condition(walk, operation.condition, scope), "blocks": _blocks(walk, operation)}


def _while_loop(walk, operation, scope):
    return {"condition": _condition(walk, operation.condition, scope), "blocks": _blocks(walk, operation)}


def _for_loop(walk, operation, scope):
    indices, parameter, body = operation.params
    return {"over": walk.value(indices, scope), "variable": walk.value(parameter, scope), "blocks": [walk.block(body)]}


def _switch_case(walk, operation, scope):
    default = walk.sdk.CASE_DEFAULT

    def case(value):  # QPY makes an integer of a bool
        return ["default"] if value is default else walk.value(int(value) if type(value) is bool else value, scope)

    cases = [[*map(case, values), walk.block(block)] for values, block in operation.cases_specifier()]
    return {"target": walk.value(operation.target, scope), "cases": cases}


def _box(walk, operation, scope):
    if operation.annotations:
        raise NotEncodable("annotations of a box, whose meaning only their own package knows")
    return {"duration": walk.value(operation.duration, scope), "unit": operation.unit, "blocks": [walk.block(operation.body)]}


def _condition(walk, condition, scope):
    if isinstance(condition, walk.sdk.Expr):
        return walk.value(condition, scope)
    target, value = condition
    return ["equals", walk.value(target, scope), int(value)]


def _bit(walk, bit, scope):
    if bit not in scope.clbits:
        raise NotEncodable("a condition on a bit that its circuit does not have")
    return ["bit", scope.clbits[bit]]


def _bits(walk, register, scope):
    return ["bits", *(_bit(walk, bit, scope)[1] for bit in register)]


def _var(walk, node, scope):
    return ["variable", walk.variable(node.var)] if node.standalone else walk.value(node.var, scope)


def _binary(walk, node, scope):
    return ["binary", node.op.name, walk.value(node.left, scope), walk.value(node.right, scope), walk.sdk.type_of(node.type)]


def _duration(walk, duration, scope):
    return ["duration", duration.value(), duration.unit()]


def _parameter_expression(walk, expression, scope):
    """The steps that rebuild it, for a stack: an operand of None is the top. QPY reads the same steps back, pickle swaps some."""
    steps = []
    for step in expression._qpy_replay:
        if hasattr(step, "binds"):
            binds = sorted(step.binds.items(), key=lambda pair: pair[0].name)
            steps.append(["substitute", *([walk.value(key, scope), walk.value(value, scope)] for key, value in binds)])
        else:
            name = getattr(step.op, "name", None) or str(step.op).rpartition(".")[2]  # Qiskit 2.0 has an IntEnum, later ones not
            name, left, right = _one_form(name, step.lhs, step.rhs)
            steps.append([name, walk.value(left, scope), walk.value(right, scope)])
    return {"expression": steps}


def _one_form(name, left, right):
    """A step in one of its ways to be written, all of which compute the same: each takes at most one operand off the stack."""
    if left is None and right is None:
        return name, left, right
    if name in _REFLECTED:
        return _REFLECTED[name], right, left
    if name in _COMMUTATIVE:
        left, right = sorted((left, right), key=_rank)
    return name, left, right


def _rank(operand):
    """What is on the stack, numbers, parameters by name."""
    if operand is None:
        return 0, ""
    return (1, "") if isinstance(operand, int | float | complex) else (2, str(operand))
