"""Structures, payloads and OpenQASM of Qiskit circuits."""

import copy
import hashlib
import io
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import qiskit
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3, qpy, transpile
from qiskit.circuit import (
    AncillaRegister,
    AnnotatedOperation,
    ClassicalRegister,
    Clbit,
    ControlModifier,
    Delay,
    Duration,
    Gate,
    Instruction,
    InverseModifier,
    Measure,
    Parameter,
    ParameterVector,
    PowerModifier,
    QuantumRegister,
    Qubit,
)
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import (
    AndGate,
    CXGate,
    DiagonalGate,
    HGate,
    Initialize,
    MCMTGate,
    MCPhaseGate,
    MCXGate,
    ModularAdderGate,
    PauliEvolutionGate,
    PauliGate,
    PermutationGate,
    QFTGate,
    RXGate,
    StatePreparation,
    UCGate,
    UnitaryGate,
    XGate,
    ZGate,
    efficient_su2,
    quantum_volume,
)
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Clifford, Operator, SparseObservable, SparsePauliOp, Statevector, random_unitary
from qiskit_aer import AerSimulator
from qiskit_aer import library as aer_library  # noqa: F401  gives circuits their save_* methods
from qiskit_aer.noise import amplitude_damping_error, depolarizing_error
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from staging import MemoryStage

from qarchive import codec
from qarchive.codec import decode, encode
from qarchive.columns import SHORT
from qarchive.errors import BadInput, NotEncodable
from qarchive.providers.qiskit import inputs as qiskit_inputs
from qarchive.providers.qiskit import qpy as qiskit_qpy
from qarchive.providers.qiskit import text as qiskit_text
from qarchive.providers.qiskit.circuits import structure
from qarchive.values import Array


@pytest.fixture
def stage():
    return MemoryStage()


def fingerprint(circuit):
    return encode(structure(circuit).value)


def through_archive(circuit):
    stage = MemoryStage()
    entry = qiskit_qpy.put_circuit(stage, circuit, "input.circuits[0]")
    assert stage.gaps == []
    return qiskit_qpy.load_circuit(entry, stage.get, circuit.name, circuit.metadata)


def bell(name=None):
    circuit = QuantumCircuit(2, 2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def on(operation, qubits=None, clbits=None):
    circuit = QuantumCircuit(qubits or operation.num_qubits, operation.num_clbits if clbits is None else clbits)
    circuit.append(operation, range(operation.num_qubits), range(operation.num_clbits))
    return circuit


def registers():
    loose, shared = [Qubit(), Qubit()], [Qubit(), Qubit()]
    circuit = QuantumCircuit(loose, QuantumRegister(bits=shared, name="one"), [Clbit()])
    circuit.add_register(
        QuantumRegister(bits=[shared[1], loose[0]], name="other"), AncillaRegister(2, "help"), ClassicalRegister(2, "out")
    )
    circuit.add_register(QuantumRegister(3))
    circuit.x(range(circuit.num_qubits))
    circuit.measure(0, 0)
    return circuit


def parameters():
    theta, phi, vector = Parameter("θ"), Parameter("phi"), ParameterVector("v", 3)
    circuit = QuantumCircuit(2, global_phase=theta / 3)
    circuit.rx(theta, 0)
    circuit.ry(2 * theta + phi.sin() * 0.1, 1)
    circuit.rz(vector[2] - vector[0] ** 2, 0)
    circuit.p((theta * phi).assign(phi, vector[1]), 1)
    inner = QuantumCircuit(1)
    inner.rx(phi * 2, 0)
    circuit.append(inner.to_gate(), [0])
    return circuit


def control_flow():
    circuit = QuantumCircuit(3, 3)
    register, loop = circuit.cregs[0], Parameter("i")
    with circuit.if_test((0, True)) as otherwise:
        circuit.x(0)
    with otherwise:
        circuit.y(0)
    with circuit.while_loop((register, 5)):
        circuit.h(1)
        circuit.measure(1, 1)
        with circuit.if_test((1, 0)):
            circuit.break_loop()
    with circuit.for_loop(range(0, 6, 2), loop):
        circuit.rx(loop * 0.1, 2)
        with circuit.if_test((2, 1)):
            circuit.continue_loop()
    with circuit.for_loop((1, 5, 2)):
        circuit.z(0)
    with circuit.switch(register) as case:
        with case(0, 3):
            circuit.s(0)
        with case(case.DEFAULT):
            circuit.t(0)
    with circuit.box(label="boxed", duration=20.5, unit="us"):
        circuit.cx(0, 2)
    return circuit


def expressions():
    circuit = QuantumCircuit(2, 3)
    register = circuit.cregs[0]
    flag = circuit.add_input("flag", types.Bool())
    count = circuit.add_var("count", expr.lift(3, types.Uint(8)))
    circuit.store(count, expr.add(count, 1))
    with circuit.if_test(expr.logic_and(flag, expr.less(register, expr.bit_and(count, 5)))):
        circuit.x(0)
        circuit.store(count, expr.shift_left(count, 1))
    with circuit.while_loop(expr.not_equal(expr.index(count, 2), circuit.clbits[1])):
        circuit.measure(0, 1)
    with circuit.switch(expr.bit_not(register)) as case, case(1):
        circuit.y(1)
    return circuit


def stretches():
    circuit = QuantumCircuit(2)
    stretch = circuit.add_stretch("a")
    circuit.delay(stretch, 0)
    circuit.delay(expr.add(expr.mul(2.0, stretch), expr.lift(Duration.ns(3.5))), 1)
    return circuit


def delays():
    circuit = QuantumCircuit(2)
    circuit.delay(3, 0)
    circuit.delay(100, 0, unit="ns")
    circuit.delay(0.5, 1, unit="us")
    circuit.delay(Parameter("t"), 1, unit="ms")
    circuit.delay(Parameter("u"), 1)
    return circuit


def definitions():
    inner = QuantumCircuit(1, global_phase=0.25)
    inner.rx(0.1, 0)
    middle = QuantumCircuit(2)
    middle.append(inner.to_gate(), [1])
    middle.cx(0, 1)
    outer = QuantumCircuit(4, 1)
    outer.append(middle.to_gate(label="mine"), [2, 0])
    outer.append(middle.to_gate().control(2, ctrl_state=1, annotated=False), [0, 1, 2, 3])
    outer.append(middle.to_gate().inverse(), [0, 3])
    outer.append(Gate("opaque", 1, [0.5]), [0])
    outer.append(Instruction("thing", 1, 1, [1, 2.5]), [0], [0])
    return outer


def aer():
    circuit = QuantumCircuit(2, 2)
    circuit.set_statevector(Statevector([0, 1, 0, 0]))
    circuit.h(0)
    circuit.append(depolarizing_error(0.1, 1).to_instruction(), [0])
    circuit.append(amplitude_damping_error(0.2).to_instruction(), [1])
    circuit.save_statevector(label="sv", pershot=True)
    circuit.save_expectation_value(SparsePauliOp(["XX", "ZI"], [0.5, 1]), [0, 1], label="e")
    circuit.save_amplitudes([0, 3])
    circuit.save_probabilities_dict([0], conditional=True)
    with circuit.if_test((0, 0)):
        circuit.save_state(label="inside")
    circuit.measure([0, 1], [0, 1])
    return circuit


def laid_out():
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(0, 2)
    circuit.measure_all()
    return transpile(circuit, FakeManilaV2(), seed_transpiler=3, optimization_level=1)


WHOLE = {
    "bell": bell,
    "registers": registers,
    "parameters": parameters,
    "control flow": control_flow,
    "expressions": expressions,
    "stretches": stretches,
    "delays": delays,
    "definitions": definitions,
    "aer": aer,
    "layout": laid_out,
    "empty": lambda: QuantumCircuit(),
    "su2": lambda: efficient_su2(3, reps=2),
    "volume": lambda: quantum_volume(4, seed=3),
    "random": lambda: random_circuit(5, 12, max_operands=4, measure=True, conditional=True, reset=True, seed=8),
    "bound": lambda: efficient_su2(3).assign_parameters(np.linspace(-1, 1, 24)),
}

OPERATIONS = {
    "unitary": lambda: UnitaryGate(random_unitary(4, seed=1), label="u"),
    "initialize": lambda: Initialize([0.6, 0.8j, 0, 0]),
    "initialize label": lambda: Initialize("0+r1"),
    "initialize int": lambda: Initialize(2, 2),
    "preparation": lambda: StatePreparation([0.6, 0.8]),
    "preparation inverse": lambda: StatePreparation([0.6, 0.8], inverse=True),
    "evolution": lambda: PauliEvolutionGate(SparsePauliOp(["XX", "ZI"], [0.5, 1.0]), 0.3),
    "evolutions": lambda: PauliEvolutionGate([SparsePauliOp("XX"), SparsePauliOp("ZZ")], Parameter("t")),
    "evolution sparse": lambda: PauliEvolutionGate(SparseObservable("X+"), 0.1),
    "pauli": lambda: PauliGate("XYZ"),
    "permutation": lambda: PermutationGate([2, 0, 1]),
    "qft": lambda: QFTGate(3),
    "mcx": lambda: MCXGate(4),
    "mcx open": lambda: MCXGate(3, ctrl_state=2),
    "cx open": lambda: CXGate(ctrl_state=0, label="open"),
    "mcp": lambda: MCPhaseGate(0.3, 3),
    "controlled": lambda: RXGate(0.3).control(2, ctrl_state=1, label="cc", annotated=False),
    "annotated": lambda: AnnotatedOperation(XGate(), [ControlModifier(2, 1), InverseModifier(), PowerModifier(2.5)]),
    "clifford": lambda: Clifford(bell().remove_final_measurements(inplace=False)),
    "diagonal": lambda: DiagonalGate([1, -1, 1j, -1j]),
    "multiplexer": lambda: UCGate([np.eye(2), np.array([[0, 1], [1, 0]])]),
    "and": lambda: AndGate(3, [1, -1, 0]),
    "adder": lambda: ModularAdderGate(2),
    "mcmt": lambda: MCMTGate(ZGate(), 2, 1),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_a_circuit_built_again_has_the_same_structure(make):
    one, other = make(), make()
    assert one is not other
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    "make", [*WHOLE.values(), *(lambda make=make: on(make()) for make in OPERATIONS.values())], ids=[*WHOLE, *OPERATIONS]
)
def test_what_is_archived_comes_back_as_the_same_circuit(make):
    circuit = make()
    before = copy.deepcopy(circuit)
    again = through_archive(circuit)
    assert fingerprint(again) == fingerprint(circuit) == fingerprint(before)
    assert again.name == circuit.name
    assert [register.name for register in (*again.qregs, *again.cregs)] == [
        register.name for register in (*circuit.qregs, *circuit.cregs)
    ]


@pytest.mark.parametrize(
    "name", [*(name for name in WHOLE if name not in ("aer", "volume")), "unitary", "pauli", "evolution", "clifford", "annotated"]
)
def test_what_comes_back_is_equal_where_qiskit_can_tell(name):
    circuit = WHOLE[name]() if name in WHOLE else on(OPERATIONS[name]())
    assert through_archive(circuit) == circuit


@pytest.mark.parametrize("version", [13, 18])
@pytest.mark.parametrize("name", ["bell", "registers", "parameters", "control flow", "layout", "random", "volume"])
def test_the_structure_survives_any_qpy_version(name, version):
    circuit = WHOLE[name]()
    stream = io.BytesIO()
    qpy.dump(circuit, stream, version=version)
    stream.seek(0)
    assert fingerprint(qpy.load(stream)[0]) == fingerprint(circuit)


def test_another_process_finds_the_same_fingerprints():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from qiskit.circuit import QuantumRegister, Parameter; from qiskit import QuantumCircuit\n"
        "[QuantumCircuit(QuantumRegister(1)) for _ in range(7)]\n"
        "import test_qiskit_circuits as t, hashlib\n"
        "print(hashlib.sha256(b''.join(t.fingerprint(t.WHOLE[name]()) for name in t.WHOLE)).hexdigest())"
    )
    here = __file__.rpartition("/")[0]
    root = codec.__file__.rpartition("/qarchive/")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, here, root], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "1"}
    )
    expected = hashlib.sha256(b"".join(fingerprint(WHOLE[name]()) for name in WHOLE)).hexdigest()
    assert done.stdout.strip() == expected


def rz(angle, **fields):
    circuit = QuantumCircuit(2, **fields)
    circuit.rz(angle, 0)
    return circuit


def named(quantum, classical):
    return QuantumCircuit(QuantumRegister(2, quantum), ClassicalRegister(1, classical))


def test_near_misses_never_have_one_structure():
    def one_parameter(name):
        return rz(Parameter(name))

    def delay(duration, unit):
        circuit = QuantumCircuit(2)
        circuit.delay(duration, 0, unit=unit)
        return circuit

    def cx(*qubits):
        circuit = QuantumCircuit(2)
        circuit.cx(*qubits)
        return circuit

    def defined(angle, name="mine", phase=0.0):
        return on(rz(angle, global_phase=phase).to_gate(label=name))

    def condition(value, clbit=0):
        circuit = QuantumCircuit(2, 2)
        with circuit.if_test((clbit, value)):
            circuit.x(0)
        return circuit

    def saved(**fields):
        circuit = QuantumCircuit(2)
        circuit.save_statevector(**fields)
        return circuit

    def error(probability):
        return on(depolarizing_error(probability, 1).to_instruction(), 2)

    a, b = Parameter("a"), Parameter("b")
    circuits = [
        rz(0.1),
        rz(math.nextafter(0.1, 1)),
        rz(-0.1),
        rz(0.0),
        rz(-0.0),
        rz(0.1, global_phase=1e-300),
        one_parameter("a"),
        one_parameter("b"),
        rz(a + b),
        rz(a - b),
        rz(a * b),
        rz(a / b),
        rz(a * 2),
        rz(a * 2.0000000000000004),
        rz(a.sin()),
        rz(a.cos()),
        rz(ParameterVector("v", 2)[0]),
        rz(ParameterVector("v", 2)[1]),
        rz(ParameterVector("v", 3)[0]),
        cx(0, 1),
        cx(1, 0),
        on(CXGate(label="a")),
        on(CXGate(label="b")),
        on(CXGate(ctrl_state=0)),
        QuantumCircuit(2),
        QuantumCircuit(3),
        QuantumCircuit(2, 1),
        named("a", "c"),
        named("b", "c"),
        named("a", "d"),
        named("q7", "d"),
        delay(3, "dt"),
        delay(3, "ns"),
        delay(4, "ns"),
        defined(0.1),
        defined(0.2),
        defined(0.1, "other"),
        defined(0.1, phase=0.5),
        condition(0),
        condition(1),
        condition(1, 1),
        saved(),
        saved(label="x"),
        saved(pershot=True),
        saved(conditional=True),
        error(0.1),
        error(0.1 + 1e-15),
        on(MCXGate(3)),
        on(MCXGate(3, ctrl_state=5)),
        on(PauliGate("XY")),
        on(PauliGate("YX")),
        on(UnitaryGate(np.eye(4))),
        on(UnitaryGate(np.diag([1, 1, 1, -1]))),
        on(StatePreparation([0.6, 0.8]), 2),
        on(StatePreparation([0.6, 0.8], inverse=True), 2),
        on(Initialize([0.6, 0.8]), 2),
        on(Gate("x", 2, [])),
        on(Gate("y", 2, [])),
        on(Instruction("x", 2, 0, [])),
        on(Gate("x", 2, [0.5])),
        on(PauliEvolutionGate(SparsePauliOp("XX"), 0.1)),
        on(PauliEvolutionGate(SparsePauliOp("XX"), 0.2)),
        on(PauliEvolutionGate(SparsePauliOp("XZ"), 0.1)),
        on(AnnotatedOperation(XGate(), [PowerModifier(2)]), 2),
        on(AnnotatedOperation(XGate(), [PowerModifier(3)]), 2),
        on(AnnotatedOperation(HGate(), [PowerModifier(2)]), 2),
        *(make() for make in WHOLE.values()),
    ]
    prints = [fingerprint(circuit) for circuit in circuits]
    assert len({*prints}) == len(prints)


ANGLES = st.floats(allow_nan=False, allow_infinity=False)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["rx", "rz", "p"]), ANGLES, st.integers(0, 2)),
        st.tuples(st.sampled_from(["h", "x", "sx"]), st.integers(0, 2)),
        st.tuples(st.sampled_from(["cx", "cz", "swap"]), st.permutations(range(3)).map(lambda order: order[:2])),
        st.tuples(st.just("measure"), st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=8,
)


def built(steps):
    circuit = QuantumCircuit(3, 3)
    for name, *operands in steps:
        getattr(circuit, name)(*(operands[0] if type(operands[0]) is list else operands))
    return circuit


@settings(max_examples=60, deadline=None)
@given(STEPS, STEPS)
def test_structures_are_equal_for_equal_circuits_and_for_no_others(one, other):
    assert (fingerprint(built(one)) == fingerprint(built(other))) == (repr(one) == repr(other))
    assert through_archive(built(one)) == built(one)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(0, 8), st.integers(0, 2**31))
def test_random_circuits_come_back(qubits, depth, seed):
    circuit = random_circuit(qubits, depth, max_operands=min(qubits, 4), measure=True, conditional=True, seed=seed)
    assert through_archive(circuit) == circuit


def test_automatic_names_are_no_part_of_the_structure_but_come_back(stage):
    def circuit():
        whole = QuantumCircuit(QuantumRegister(3))
        whole.append(rz(0.5).to_gate(), [0, 1])
        whole.append(rz(0.5).to_gate().control(1, annotated=False), [0, 1, 2])
        return whole

    one, other = circuit(), circuit()
    assert fingerprint(one) == fingerprint(other)
    entries = [qiskit_qpy.put_circuit(stage, item, "c") for item in (one, other)]
    assert entries[0]["circuit"] == entries[1]["circuit"]
    assert entries[0]["qpy"] != entries[1]["qpy"]
    for entry, item in zip(entries, (one, other), strict=True):
        again = qiskit_qpy.load_circuit(entry, stage.get)
        assert [register.name for register in again.qregs] == [register.name for register in item.qregs]
        assert [instruction.name for instruction in again.data] == [instruction.name for instruction in item.data]


def test_a_known_circuit_is_not_written_again(stage):
    first, second = (qiskit_qpy.put_circuit(stage, bell("x" * n), "c") for n in (1, 2))
    assert first == second
    assert stage.puts == ["circuit", "qpy", "circuit"]


def test_the_order_of_classical_registers_comes_back_since_counts_are_written_in_it():
    def circuit():
        bits = [Clbit() for _ in range(4)]
        parts = ClassicalRegister(bits=bits[:2], name="a"), ClassicalRegister(2, "z"), ClassicalRegister(bits=bits[2:], name="b")
        whole = QuantumCircuit([Qubit()], bits, *parts)
        whole.x(0)
        whole.measure(0, 4)
        return whole

    again = through_archive(circuit())
    assert [register.name for register in again.cregs] == ["a", "z", "b"]
    options = {"shots": 5, "seed_simulator": 1}
    assert (
        AerSimulator().run(again, **options).result().get_counts()
        == AerSimulator().run(circuit(), **options).result().get_counts()
    )
    with_variables = circuit()
    with_variables.store(with_variables.add_var("count", expr.lift(1, types.Uint(2))), 2)
    with_variables.add_stretch("s")
    assert through_archive(with_variables) == with_variables


def test_units_of_delays_come_back():
    again = through_archive(delays())
    assert [(i.operation.duration, i.operation.unit) for i in again.data[:3]] == [(3, "dt"), (100, "ns"), (0.5, "us")]
    assert [i.operation.unit for i in again.data[3:]] == ["ms", "dt"]
    assert again.assign_parameters({"t": 0.5, "u": 7}).data[3].operation == Delay(0.5, "ms")


def test_labels_of_controlled_gates_come_back():
    assert [on(make()).data[0].operation.label for make in (OPERATIONS["controlled"], OPERATIONS["cx open"])] == ["cc", "open"]
    assert through_archive(on(OPERATIONS["controlled"]())).data[0].operation.label == "cc"
    assert through_archive(on(OPERATIONS["cx open"]())).data[0].operation.label == "open"


def test_aers_instructions_run_again_with_the_same_result():
    circuit = aer()
    options = {"shots": 20, "seed_simulator": 4}
    one, other = (AerSimulator().run(item, **options).result() for item in (circuit, through_archive(circuit)))
    assert one.success
    assert one.get_counts() == other.get_counts()
    assert set(one.data(0)) == set(other.data(0)) >= {"sv", "e", "inside", "amplitudes", "probabilities"}
    assert np.array_equal(one.data(0)["sv"], other.data(0)["sv"])
    assert one.data(0)["e"] == other.data(0)["e"]


def test_aers_instructions_inside_definitions_come_back():
    inner = QuantumCircuit(2)
    inner.h(0)
    inner.save_probabilities([0, 1], label="deep")
    circuit = QuantumCircuit(2)
    circuit.append(inner.to_instruction(), [0, 1])
    again = through_archive(circuit)
    assert type(again.data[0].operation.definition.data[1].operation).__name__ == "SaveProbabilities"
    assert AerSimulator().run(again.decompose()).result().data(0)["deep"].shape == (4,)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if not name.startswith("initialize") and name != "evolutions"])
def test_unitaries_of_library_gates_are_the_same(name):
    circuit = on(OPERATIONS[name]())
    assert np.allclose(Operator(through_archive(circuit)).data, Operator(circuit).data)


def test_metadata_and_the_circuit_are_left_alone(stage):
    circuit = bell()
    circuit.metadata = {"tuple": (1, 2), 3: np.arange(2), "class": int, "c": 1j}
    metadata = dict(circuit.metadata)
    data, name = list(circuit.data), circuit.name
    link, size, names = qiskit_inputs.put_input(stage, [circuit, bell("b")], None)
    assert (size, names) == (2, (name, "b"))
    assert [what for what, _ in stage.gaps] == ["input.metadata[0].class"]
    assert circuit.metadata is not metadata and circuit.metadata == metadata
    assert list(circuit.data) == data
    one, two = qiskit_inputs.load_circuits(stage.get, {"input": link, "names": names})
    assert (one.name, two.name, two.metadata) == (name, "b", {})
    assert set(one.metadata) == {"tuple", 3, "c"}
    assert one.metadata["tuple"] == (1, 2)
    assert one.metadata["c"] == 1j
    assert one.metadata[3].tolist() == [0, 1]


def test_one_circuit_and_a_list_of_one_are_told_apart(stage):
    for given_, kind in ((bell(), QuantumCircuit), ([bell()], list)):
        link, _, names = qiskit_inputs.put_input(stage, given_, None)
        assert type(qiskit_inputs.load_circuits(stage.get, {"input": link, "names": names})) is kind


def test_parameter_binds_come_back_with_the_circuits_parameters(stage):
    theta = Parameter("theta")
    link, _, names = qiskit_inputs.put_input(stage, [rz(theta), rz(theta)], [{theta: [0.1, 0.2]}, {theta: [1, 2]}])
    circuits = qiskit_inputs.load_circuits(stage.get, {"input": link, "names": names})
    binds = qiskit_inputs.load_binds(stage.get(link), circuits)
    assert [list(bind.values()) for bind in binds] == [[[0.1, 0.2]], [[1, 2]]]
    assert [list(bind) for bind in binds] == [list(circuit.parameters) for circuit in circuits]


REFUSED = {
    12: "versions below 13 are not read, since they can hold code that Qiskit up to 1.4.1 runs (CVE-2025-2000); "
    "read its structure as text, or ask its author for a newer file",
    255: f"Qiskit {qiskit.__version__} reads up to version {qpy.common.QPY_VERSION}; "
    "install a newer Qiskit, or read its structure as text",
}


@pytest.mark.parametrize(("version", "message"), REFUSED.items(), ids=REFUSED)
def test_qpy_of_a_version_that_must_not_or_cannot_be_read_is_refused(stage, version, message):
    entry = qiskit_qpy.put_circuit(stage, bell(), "input.circuits[0]")
    value = stage.get(entry["qpy"])
    value["qpy"] = value["qpy"][:6] + bytes([version]) + value["qpy"][7:]  # whatever the field beside it says
    with pytest.raises(BadInput) as error:
        qiskit_qpy.load_circuit({**entry, "qpy": stage.put("qpy", value)}, stage.get)
    assert str(error.value) == f"the QPY payload of this circuit, version {version}: {message}"
    assert qiskit_text.openqasm(entry, stage.get).startswith("OPENQASM 3.0;")


def test_what_is_no_qpy_is_refused(stage):
    entry = {"qpy": stage.put("qpy", {"qpy": b"QISKI", "qpy_version": 18, "instructions": []})}
    with pytest.raises(BadInput) as error:
        qiskit_qpy.load_circuit(entry, stage.get)
    assert str(error.value) == "the QPY payload of this circuit: it is no QPY; read its structure as text"


@pytest.mark.parametrize("size", [SHORT, SHORT + 1])
def test_columns_of_any_length_are_read(stage, size):
    circuit = QuantumCircuit(1, 1)
    for number in range(size):
        circuit.rx(number / 7, 0)
    value = structure(circuit).value
    assert [type(value[name]) for name in ("index", "qargs", "floats")] == [list if size <= SHORT else Array] * 3
    assert fingerprint(through_archive(circuit)) == encode(value)
    again = qasm3.loads(qiskit_text.from_structure(decode(encode(value))))
    assert [list(item.params) for item in again.data] == [list(item.params) for item in circuit.data]


def test_what_has_no_structure_is_kept_as_qpy_with_a_gap(stage):
    class Secret(Gate):
        def __init__(self, angle):
            super().__init__("secret", 1, [])
            self.angle = angle

    circuit = on(Secret(0.5))
    with pytest.raises(NotEncodable, match="without a definition"):
        structure(circuit)
    entry = qiskit_qpy.put_circuit(stage, circuit, "input.circuits[3]")
    assert set(entry) == {"qpy"}
    assert [what for what, _ in stage.gaps] == ["input.circuits[3].structure", "input.circuits[3].classes"]
    assert qiskit_qpy.load_circuit(entry, stage.get).data[0].name == "secret"


def test_what_has_no_structure_and_does_not_come_back_equal_is_refused_with_a_gap(stage):
    class Secret(Gate):
        def __init__(self):
            super().__init__("secret", 1, [])

    circuit = on(Secret())
    circuit.append(XGate(label="l" * 65_536), [0])
    with pytest.raises(NotEncodable, match="QPY version"):
        qiskit_qpy.put_circuit(stage, circuit, "c")
    assert [what for what, _ in stage.gaps] == ["c.structure", "c.qpy"]
    assert stage.puts == []


def long_label():
    return on(XGate(label="l" * 65_536))


def long_label_of_a_measurement():
    circuit = QuantumCircuit(1, 1)
    circuit.append(Measure(label="ü" * 40_000), [0], [0])
    return circuit


def long_register():
    return QuantumCircuit(QuantumRegister(1, "r" * 65_536))


def one_name_for_two_registers():
    return QuantumCircuit(QuantumRegister(1, "same"), ClassicalRegister(1, "same"))


@pytest.mark.parametrize("make", [long_label, long_label_of_a_measurement, long_register, one_name_for_two_registers])
def test_what_qpy_writes_but_cannot_read_is_a_gap(stage, make):
    assert set(qiskit_qpy.put_circuit(stage, make(), "c")) == {"circuit"}
    assert [what for what, _ in stage.gaps] == ["c.qpy"]


def test_the_longest_labels_and_names_of_registers_come_back():
    circuit = QuantumCircuit(QuantumRegister(1, "\U0001f600" * 16_383), name="n" * 65_536)
    circuit.append(XGate(label="l" * 65_535), [0])
    assert through_archive(circuit) == circuit


def rebuilt_parameter():
    return rz(Parameter("x"))


def rebuilt_vector():
    return rz(ParameterVector("v", 3)[1])


def rebuilt_loop():
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(2), Parameter("i")) as index:
        circuit.rx(index, 0)
    return circuit


def rebuilt_variable():
    circuit = QuantumCircuit(1)
    with circuit.if_test(circuit.add_input("v", types.Bool())):
        circuit.x(0)
    return circuit


def rebuilt_stretch():
    circuit = QuantumCircuit(1)
    circuit.delay(circuit.add_stretch("s"), 0)
    return circuit


REBUILT = [rebuilt_parameter, rebuilt_vector, rebuilt_loop, rebuilt_variable, rebuilt_stretch]


@pytest.mark.parametrize("make", REBUILT)
def test_a_circuit_with_new_parameters_or_variables_shares_the_structure_and_comes_back_as_itself(stage, make):
    circuits = [make(), make()]
    entries = [qiskit_qpy.put_circuit(stage, circuit, "c") for circuit in (*circuits, copy.deepcopy(circuits[0]))]
    assert entries[0]["circuit"] == entries[1]["circuit"]
    assert entries[0]["qpy"] != entries[1]["qpy"]
    assert entries[0] == entries[2]
    for entry, circuit in zip(entries, circuits, strict=False):
        again = qiskit_qpy.load_circuit(entry, stage.get)
        assert again == circuit
        assert set(again.parameters) == set(circuit.parameters)


def test_cases_of_a_switch_are_integers_where_they_are_given_as_booleans():
    def switched(*values):
        circuit = QuantumCircuit(1, 1)
        with circuit.switch(circuit.clbits[0]) as case:
            for value, gate in zip(values, (circuit.x, circuit.y), strict=True):
                with case(value):
                    gate(0)
        return circuit

    assert through_archive(switched(True, False)) == switched(True, False)
    assert fingerprint(switched(True, False)) == fingerprint(switched(1, 0)) != fingerprint(switched(0, 1))


@pytest.mark.parametrize("prefix", ["", "my_", "c"])
def test_names_that_look_automatic_count_where_there_is_no_definition(prefix):
    one, other = (on(Gate(f"{prefix}circuit-{n}", 1, [])) for n in (1, 2))
    assert fingerprint(one) != fingerprint(other)


def test_expressions_that_pickle_writes_another_way_keep_their_fingerprints():
    x, y = Parameter("x"), Parameter("y")
    for angle in (
        2 * (3.14 - x),
        2 * (x + y),
        x * (x + y),
        2 * (3.14 - x) * (3.14 - y),
        (x + y) * (x - y),
        2 * (x + y) - 3 * (y - x),
    ):
        circuit = rz(angle)
        assert fingerprint(pickle.loads(pickle.dumps(circuit))) == fingerprint(circuit), angle  # noqa: S301
        assert through_archive(circuit) == circuit


def test_operands_that_do_not_commute_stay_apart():
    x, y = Parameter("x"), Parameter("y")
    z = x + y
    angles = [x - y, y - x, x / y, y / x, x**y, y**x, 2 - x, x - 2, 2 / x, x / 2, 2**x, x**2,
              2 - z, z - 2, 2 / z, z / 2, 2**z, z**2, x - z, z - x, x / z, z / x, z - z.sin(), z.sin() - z,
              z / z.sin(), z.sin() / z, z + 2, z * 2, x + 2, x * 2]  # fmt: skip
    assert len({fingerprint(rz(angle)) for angle in angles}) == len(angles)


def test_what_qpy_would_change_is_kept_as_structure_with_a_gap(stage):
    circuit = rz(Parameter("a") * 1j)  # QPY drops the factor
    entry = qiskit_qpy.put_circuit(stage, circuit, "input.circuits[0]")
    assert set(entry) == {"circuit"}
    assert [what for what, _ in stage.gaps] == ["input.circuits[0].qpy"]
    with pytest.raises(BadInput) as error:
        qiskit_qpy.load_circuit(entry, stage.get)
    assert str(error.value) == "this circuit: only its structure is in the archive; see the gaps of its job"


def text_of(circuit):
    stage = MemoryStage()
    return qiskit_text.openqasm(qiskit_qpy.put_circuit(stage, circuit, "c"), stage.get)


def standard():
    circuit = QuantumCircuit(
        QuantumRegister(2, "a"), QuantumRegister(2), ClassicalRegister(2, "out"), [Clbit(), Qubit()], global_phase=0.5
    )
    circuit.u(0.1, -0.2, 1e-7, 0)
    circuit.cu(0.1, 0.2, 0.3, 0.4, 0, 2)
    circuit.cp(math.pi, 1, 2)
    circuit.ccx(0, 1, 4)
    circuit.barrier(0, 3)
    circuit.reset(2)
    circuit.measure([0, 4], [1, 2])
    return circuit


@pytest.mark.parametrize("make", [bell, standard, lambda: efficient_su2(3).assign_parameters(np.linspace(0, 1, 24))])
def test_the_text_from_the_structure_reads_back_as_the_same_circuit(make):
    circuit = make()
    text = qiskit_text.from_structure(decode(fingerprint(circuit)))
    again = qasm3.loads(text)
    assert (again.num_qubits, again.num_clbits) == (circuit.num_qubits, circuit.num_clbits)
    assert [i.name for i in again.data] == [i.name for i in circuit.data]
    assert [list(i.params) for i in again.data] == [list(i.params) for i in circuit.data]
    assert {register.name: register.size for register in circuit.cregs} == {
        register.name: register.size for register in again.cregs if register.size > 1
    }
    assert Operator(without_classical(again)).equiv(Operator(without_classical(circuit)))


def without_classical(circuit):
    """Only the gates, on bare qubits in the order of the circuit's registers, loose ones last."""
    ordered = [bit for register in circuit.qregs for bit in register]
    ordered += [bit for bit in circuit.qubits if bit not in set(ordered)]
    bare = QuantumCircuit(len(ordered), global_phase=circuit.global_phase)
    for instruction in circuit.data:
        if instruction.name not in ("measure", "reset", "barrier"):
            bare.append(instruction.operation, [ordered.index(bit) for bit in instruction.qubits])
    return bare


@pytest.mark.parametrize("name", ["parameters", "control flow", "definitions", "random"])
def test_other_text_comes_from_the_sdk(name):
    circuit = WHOLE[name]() if name != "definitions" else on(rz(0.25).to_gate())
    assert qiskit_text.from_structure(decode(fingerprint(circuit))) is None
    assert text_of(circuit).startswith("OPENQASM 3.0;\n")


def test_the_text_of_a_bell_circuit():
    assert text_of(bell()) == (
        'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[2] c;\nqubit[2] q;\n'
        "h q[0];\ncx q[0], q[1];\nc[0] = measure q[0];\nc[1] = measure q[1];\n"
    )


@pytest.mark.parametrize("name", ["gate", "ccx", "größe", "a b"])
def test_names_that_openqasm_reserves_are_left_to_the_sdk(name):
    assert qiskit_text.from_structure(structure(QuantumCircuit(QuantumRegister(1, name))).value) is None
