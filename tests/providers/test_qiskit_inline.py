"""Circuits, operations and parameters that stand inside values, through the canonical encoding and back."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from exactness import back, same
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy, transpile
from qiskit.circuit import (
    Barrier,
    Delay,
    Gate,
    IfElseOp,
    Instruction,
    Measure,
    Parameter,
    ParameterExpression,
    ParameterVector,
    Reset,
)
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import CXGate, HGate, Initialize, QFTGate, RXGate, UnitaryGate, XGate, efficient_su2
from qiskit.providers.fake_provider import GenericBackendV2

from qarchive.codec import encode
from qarchive.errors import BadInput, NotEncodable
from qarchive.providers.qiskit.values import from_plain, to_plain
from qarchive.values import Typed

A, B, V = Parameter("a"), Parameter("b"), ParameterVector("v", 3)


def custom():
    inner = QuantumCircuit(2)
    inner.h(0)
    inner.rzx(A, 0, 1)
    outer = QuantumCircuit(QuantumRegister(2, "q"), QuantumRegister(1, "anc"), ClassicalRegister(2, "c"))
    outer.append(inner.to_gate(), [0, 1])
    outer.append(inner.to_gate().control(), [2, 1, 0])
    outer.measure([0, 1], [1, 0])
    return outer


def flow():
    made = QuantumCircuit(2, 2, metadata={"tuple": (1, 2), 3: np.arange(2)}, global_phase=A + 1)
    with made.if_test((made.clbits[0], True)):
        made.x(1)
    made.add_var("n", expr.lift(3, types.Uint(8)))
    made.delay(10, 0, "ns")
    return made


CIRCUITS = {
    "plain": lambda: custom().copy_empty_like("plain"),
    "custom gates": custom,
    "control flow": flow,
    "parameters": lambda: efficient_su2(2, reps=1),
    "transpiled": lambda: transpile(custom().assign_parameters([0.5]), GenericBackendV2(3, seed=1), seed_transpiler=1),
    "nothing": QuantumCircuit,
}


@pytest.mark.parametrize("make", CIRCUITS.values(), ids=CIRCUITS)
def test_a_circuit_comes_back_exactly(make):
    circuit = make()
    same(back(circuit), circuit)
    same(back([{"layer": circuit}]), [{"layer": circuit}])


def test_a_circuit_is_not_altered():
    circuit = flow()
    before = pickle.dumps(circuit.metadata), circuit.copy()
    to_plain(circuit)
    assert (pickle.dumps(circuit.metadata), circuit) == before


def test_equal_circuits_are_equal_bytes():
    for make in CIRCUITS.values():
        circuit = make()
        assert encode(to_plain(circuit)) == encode(to_plain(circuit.copy(name=circuit.name)))
    built = [QuantumCircuit(3, 2, name="same") for _ in range(2)]
    for circuit in built:
        circuit.rx(A + B, 0)
        circuit.append(UnitaryGate(np.eye(4)), [1, 2])
        circuit.measure([0, 2], [1, 0])
    assert encode(to_plain(built[0])) == encode(to_plain(built[1]))


def test_circuits_whose_parameters_only_share_a_name_are_not_confused():
    one, other = QuantumCircuit(1), QuantumCircuit(1)
    one.rx(Parameter("x"), 0)
    other.rx(Parameter("x"), 0)
    other.name = one.name
    first, second = back([one, other])
    assert (first, second) == (one, other)
    assert first != second


def test_circuits_of_two_names_are_not_confused():
    one, other = custom(), custom()
    one.name, other.name = "one", "other"
    assert [circuit.name for circuit in back([one, other])] == ["one", "other"]


OPERATIONS = [
    XGate(), XGate(label="mine"), RXGate(0.1), RXGate(A * 2), CXGate(ctrl_state=0), HGate().control(3), Measure(), Reset(),
    Barrier(3), Delay(3, "us"), UnitaryGate(np.eye(4) * 1j), QFTGate(3), Initialize([0.6, 0.8j]), Gate("opaque", 2, [0.5]),
    Instruction("other", 1, 1, []), custom().to_instruction(),
    IfElseOp((QuantumCircuit(0, 3).clbits[2], 1), QuantumCircuit(1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS[:-1], ids=lambda operation: operation.name)
def test_an_operation_comes_back_exactly(operation):
    found = back(operation)
    assert type(found) is type(operation)
    assert found == operation
    assert found.label == operation.label
    same(list(found.params), list(operation.params))


class MyGate(Gate):
    def __init__(self):
        super().__init__("mine", 1, [])


class MyCircuit(QuantumCircuit):
    pass


def test_operations_and_circuits_of_other_classes_are_refused():
    open_box = QuantumCircuit(1)
    with open_box.box([]):
        open_box.append(MyGate(), [0])
    for value, message in (
        (MyGate(), f"cannot be stored: a {__name__}.MyGate"),
        (MyCircuit(1), f"cannot be stored: a {__name__}.MyCircuit"),
        ([OPERATIONS[-1]], "cannot be stored at 0: a condition on a bit that its circuit does not have"),
        ({"c": open_box}, f"cannot be stored at c: a {__name__}.MyGate without a definition"),
        (custom().data[0], "cannot be stored: a qiskit._accelerate.circuit.CircuitInstruction"),
    ):
        with pytest.raises(NotEncodable) as error:
            to_plain(value)
        assert str(error.value) == message


EXPRESSIONS = {
    "parameter": A,
    "name in unicode": Parameter("θ[0]"),
    "element": V[1],
    "vector": V,
    "empty vector": ParameterVector("w"),
    "sum": A + B + 2.5,
    "functions": (A.sin() * A.cos() + A.tan() - A.arcsin() / A.arccos()) * A.arctan() ** A.exp() + A.log() - abs(A) + A.sign(),
    "conjugate": (A * 1j).conjugate(),
    "from the right": (2 - A) * (3 / B) + 2 ** V[0],
    "negative": -A,
    "only a parameter": A * 1,
    "substituted": (A + B).subs({A: V[2] * B}),
    "cancelled": A + V[0] - V[0],
    "zero": A * 0,
    "bound": (A + 2).bind({A: 1.5}),
    "bound to a complex number": (A + 2).bind({A: 1.5j}),
    "partly bound": (A * B).bind({A: 1 / 3}),
    "gradient": (A.sin() * B).gradient(A),
    "large": sum((Parameter(f"p{i}") * i for i in range(60)), start=A * 1),
}


@pytest.mark.parametrize("value", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_parameters_and_expressions_come_back_exactly(value):
    found = back(value)
    same(found, value)
    if type(value) is ParameterExpression:
        assert found.parameters == value.parameters
        assert str(found) == str(value)
        names = sorted(value.parameters, key=lambda parameter: parameter.name)
        bound = dict.fromkeys(names, 0.25)
        assert found.bind(bound) == value.bind(bound)


def test_a_parameter_can_be_a_key_and_an_item():
    value = {"binds": {A: 1.0, V[0]: 2.0}, "free": {B}}
    assert back(value) == value


def test_elements_of_a_vector_know_their_vector():
    found = back([V[0], V[2]])
    assert [element.vector.name for element in found] == ["v", "v"]
    assert [element.index for element in found] == [0, 2]
    assert list(found[0].vector) == list(V)


def test_an_expression_as_a_key_is_refused():
    with pytest.raises(NotEncodable) as error:
        to_plain({A + 1: 2})
    reason = "a qiskit._accelerate.circuit.ParameterExpression as a key or an item of a set"
    assert str(error.value) == f"cannot be stored at 1 + a: {reason}"


def test_an_expression_that_qiskit_makes_otherwise_from_its_own_steps_is_refused():
    with pytest.raises(NotEncodable) as error:
        to_plain([(A**2 * B).gradient(A)])
    assert str(error.value) == (
        "cannot be stored at 0: a parameter expression that Qiskit does not make again from its own steps"
    )


def test_operations_that_an_expression_cannot_have_are_refused():
    with pytest.raises(NotEncodable) as error:
        from_plain(Typed("qiskit.ParameterExpression", [[], [["EVAL", 1, None]]]))
    assert str(error.value) == "cannot be stored: a parameter expression with the operation EVAL"


def test_old_qpy_is_not_read():
    old = to_plain(custom()).value | {"qpy": b"QISKIT\x0c" + bytes(20)}
    with pytest.raises(BadInput) as error:
        from_plain(Typed("qiskit.QuantumCircuit", old))
    assert error.value.what == "the QPY payload of this circuit, version 12"
    with pytest.raises(BadInput) as error:
        from_plain(Typed("qiskit.QuantumCircuit", old | {"annotations": "samplomatic"}))
    assert error.value.reason == "its payload is of a QPY version that has no annotations"


def test_a_circuit_is_written_the_same_in_another_process():
    """As far as it goes: gates that QPY knows; custom ones get other names in every process."""
    code = (
        "from qiskit import QuantumCircuit\nfrom qarchive.codec import encode\n"
        "from qarchive.providers.qiskit.values import to_plain\n"
        "c = QuantumCircuit(3, 2, name='n'); c.h(0); c.rx(0.5, 1); c.cx(0, 2); c.measure([0, 1], [1, 0])\n"
        "print(encode(to_plain(c)).hex())"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1
    assert qpy.common.QPY_VERSION >= 13
