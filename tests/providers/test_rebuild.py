"""Backends made again from their blobs alone: equal Target, seeded transpilation, noise model and seeded noisy counts."""

import math
import os
import warnings

import devices
import pytest
from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.circuit import ControlFlowOp, Delay, Gate, IfElseOp, Measure, Parameter, Reset
from qiskit.circuit.library import CXGate, RXGate, RZGate, RZZGate, UGate, XGate
from qiskit.circuit.random import random_circuit
from qiskit.providers import BackendV2, Options, QubitProperties
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer import AerSimulator, QasmSimulator, StatevectorSimulator
from qiskit_aer.noise import (
    NoiseModel,
    PauliLindbladError,
    QuantumError,
    ReadoutError,
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
    phase_amplitude_damping_error,
    reset_error,
    thermal_relaxation_error,
)
from qiskit_aer.noise.errors import PauliError
from qiskit_ibm_runtime.fake_provider import FakeBoston, FakeManilaV2, FakeMumbaiV2, FakeNairobiV2, FakeSherbrooke, FakeTorino
from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
from qiskit_ibm_runtime.utils.backend_decoder import configuration_from_server_data, properties_from_server_data
from staging import MemoryStage

from qarchive.codec import decode, encode
from qarchive.errors import BadInput
from qarchive.providers.qiskit.aer import AerProvider
from qarchive.providers.qiskit.aer_noise import error_to_plain, model_from_plain, model_to_plain
from qarchive.providers.qiskit.backends import QiskitProvider
from qarchive.providers.qiskit.ibm_snapshots import put_configuration, put_properties
from qarchive.providers.qiskit.rebuild import rebuild
from qarchive.providers.qiskit.targets import calibration_value, new_target, target_value

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"

FIELDS = ("num_qubits", "dt", "description", "granularity", "min_length", "pulse_alignment", "acquire_alignment",
          "concurrent_measurements")  # fmt: skip


@pytest.fixture
def stage():
    return MemoryStage()


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="qiskit_aer")
        yield


def described(target):
    """All that a Target answers, by name."""
    operations, figures = {}, {}
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if not isinstance(operation, type):
            params = [getattr(param, "name", param) for param in operation.params]
            more = (operation.num_qubits, operation.num_clbits, operation.label, getattr(operation, "unit", None), params)
            operation = (operation.name, operation.base_class, *more)
        operations[name] = (operation, target.gate_has_angle_bounds(name))
        places = target[name]
        figures[name] = places and {qubits: item and (item.error, item.duration) for qubits, item in places.items()}
    qubits = [item and (item.t1, item.t2, item.frequency) for item in target.qubit_properties or ()]
    return {"operations": operations, "figures": figures, "qubits": qubits} | {name: getattr(target, name) for name in FIELDS}


def again(stage, backend):
    """The backend from its blobs, which are decoded for it."""
    provider = AerProvider() if AerProvider().owns(backend) else QiskitProvider()
    execution = provider.describe(stage, backend, (QuantumCircuit(1),), {})
    calibration = execution.calibration and stage.get(execution.calibration)
    return rebuild(stage.get, stage.get(execution.backend), calibration)


CIRCUIT = random_circuit(5, 4, seed=5, measure=True)


def transpiled(backend):
    return transpile(CIRCUIT, backend, optimization_level=2, seed_transpiler=3)


def counts(backend, circuit):
    return backend.run(circuit, shots=200, seed_simulator=4).result().get_counts()


def same_but_noise(one, other):
    assert described(other.target) == described(one.target)
    assert (other.name, other.description, other.backend_version) == (one.name, one.description, one.backend_version)
    assert (other.num_qubits, other.dt) == (one.num_qubits, one.dt)
    assert qasm3.dumps(transpiled(other)) == qasm3.dumps(transpiled(one))


def noise_of(model):
    """All that a noise model holds, whatever its order. Aer's own comparison takes a hundred times as long."""
    errors = {(label, None): error for label, error in model._default_quantum_errors.items()}
    for label, local in model._local_quantum_errors.items():
        errors |= {(label, qubits): error for qubits, error in local.items()}
    plain = model_to_plain(model)
    return (
        {place: encode(error_to_plain(error)) for place, error in errors.items()},
        {qubits: error.probabilities.tolist() for qubits, error in model._local_readout_errors.items()},
        [encode(plain.get(name)) for name in ("basis_gates", "instructions", "qubits", "default_readout", "passes")],
    )


def same(one, other, noise=True):
    same_but_noise(one, other)
    if noise:
        assert noise_of(NoiseModel.from_backend(other)) == noise_of(NoiseModel.from_backend(one))
    circuit = transpiled(one)
    expected = counts(one, circuit)
    assert counts(other, circuit) == expected
    assert len(expected) > 1


@pytest.mark.parametrize("make", [
    FakeManilaV2,
    lambda: GenericBackendV2(5, seed=1, noise_info=True, control_flow=True),
    lambda: GenericBackendV2(5, seed=2, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], basis_gates=["cz", "rx", "rz"]),
    lambda: AerSimulator.from_backend(FakeManilaV2()),
    lambda: AerSimulator.from_backend(GenericBackendV2(5, seed=3), method="density_matrix", shots=77),
    lambda: AerSimulator.from_backend(FakeManilaV2(), noise_model=noise()),
], ids=["FakeManila", "Generic", "Generic on a line", "Aer from Manila", "Aer from Generic", "Aer with my noise"])  # fmt: skip
def test_a_noisy_backend_is_made_again_before_and_after_its_first_run(stage, make):
    backend = make()
    before = again(stage, backend)
    same(backend, before)  # runs it, and a fake backend keeps its noise model from now on
    after = again(stage, backend)
    assert noise_of(after.options.noise_model) == noise_of(backend.options.noise_model)
    same(backend, after, noise=False)
    assert stage.gaps == []


def noise():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["sx", "x"])
    model.add_quantum_error(depolarizing_error(0.05, 2), "cx", [0, 1])
    model.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]))
    return model


def test_the_noise_model_of_a_device_is_made_again(stage):
    backend = FakeMumbaiV2() if TORTURE else FakeNairobiV2()  # the model of 27 qubits takes a minute
    other = again(stage, backend)
    same_but_noise(backend, other)
    assert noise_of(NoiseModel.from_backend(other)) == noise_of(NoiseModel.from_backend(backend))


@pytest.mark.parametrize("make", [FakeSherbrooke, FakeTorino, FakeBoston])
def test_a_device_is_made_again_from_what_its_noise_follows_from(stage, make):
    """Its noise model would take minutes to compare: it is computed from these two dicts and the Target."""
    backend = make()
    other = again(stage, backend)
    same_but_noise(backend, other)
    assert (other._conf_dict, other._props_dict) == (backend._conf_dict, backend._props_dict)
    assert other.properties().to_dict() == backend.properties().to_dict()


def test_an_ideal_backend_stays_ideal(stage):
    for backend in (GenericBackendV2(5, noise_info=False), BasicSimulator()):
        other = again(stage, backend)
        same_but_noise(backend, other)
        assert counts(other, transpiled(backend)) == counts(backend, transpiled(backend))


@pytest.mark.parametrize("make", [
    lambda: AerSimulator(noise_model=noise()),
    lambda: AerSimulator(noise_model=noise(), coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], basis_gates=["cx", "sx", "rz", "x"]),
    lambda: AerSimulator(method="density_matrix", shots=77, fusion_enable=False),
    lambda: AerSimulator(method="matrix_product_state", matrix_product_state_max_bond_dimension=2),
    lambda: QasmSimulator(),
    lambda: StatevectorSimulator(),
], ids=["noise", "coupling", "density matrix", "product state", "QasmSimulator", "StatevectorSimulator"])  # fmt: skip
def test_a_simulator_of_aer_is_made_again(stage, make):
    backend = make()
    other = again(stage, backend)
    assert type(other) is type(backend)
    assert described(other.target) == described(backend.target)
    options, others = (dict(each.options.__dict__) for each in (backend, other))
    models = [each.pop("noise_model", None) for each in (options, others)]
    assert others == options
    assert models[0] == models[1]
    one, two = backend.configuration(), other.configuration()
    assert (other.name, two.basis_gates, two.coupling_map, two.n_qubits) == (
        backend.name, one.basis_gates, one.coupling_map, one.n_qubits)  # fmt: skip
    circuit = transpile(CIRCUIT, basis_gates=["cx", "sx", "rz", "x"], seed_transpiler=1)
    assert counts(other, circuit) == counts(backend, circuit)


def test_a_users_options_of_a_fake_backend_are_set_again(stage):
    backend = FakeManilaV2()
    backend.set_options(shots=77, seed_simulator=5)
    other = again(stage, backend)
    circuit = transpiled(backend)
    assert other.run(circuit).result().get_counts() == backend.run(circuit).result().get_counts()
    backend.set_options(noise_model=noise())  # after its first run, which had set its own
    other = again(stage, backend)
    assert counts(other, circuit) == counts(backend, circuit)


def test_blobs_are_left_as_they_are(stage):
    backend = FakeManilaV2()
    execution = QiskitProvider().describe(stage, backend, (QuantumCircuit(1),), {})
    before = dict(stage.blobs)
    values = [stage.get(link) for link in (execution.backend, execution.calibration)]
    other = rebuild(stage.get, *values)
    assert other.target is not None and other.properties() is not None
    assert [encode(value) for value in values] == [before[link.digest] for link in (execution.backend, execution.calibration)]


# Devices of IBM's cloud: configuration and properties as its server sends them


@pytest.mark.parametrize("fractional_gates", [None, False, True])
@pytest.mark.parametrize("name", ["manila", "boston"])
def test_a_device_of_the_cloud_has_the_target_that_ibms_client_makes(stage, name, fractional_gates):
    configuration = configuration_from_server_data(devices.raw("conf", name), use_fractional_gates=fractional_gates)
    properties = properties_from_server_data(devices.raw("props", name), use_fractional_gates=fractional_gates)
    expected = convert_to_target(configuration, properties)
    links = (
        put_configuration(stage, devices.raw("conf", name), fractional_gates),
        put_properties(stage, devices.raw("props", name)),
    )
    other = rebuild(stage.get, *map(stage.get, links))
    assert described(other.target) == described(expected)
    assert other.name == configuration.backend_name


def test_a_device_on_another_day_has_that_days_figures(stage):
    raw = devices.another_day(devices.raw("props", "manila"))
    backend = stage.get(put_configuration(stage, devices.raw("conf", "manila")))
    today, another = (stage.get(put_properties(stage, each)) for each in (devices.raw("props", "manila"), raw))
    one, two = (rebuild(stage.get, backend, calibration) for calibration in (today, another))
    assert described(one.target)["operations"] == described(two.target)["operations"]
    assert two.target["cx"][(0, 1)].error == next(
        gate["parameters"][0]["value"] for gate in raw["gates"] if gate["name"] == "cx0_1"
    ) != one.target["cx"][(0, 1)].error  # fmt: skip
    assert noise_of(NoiseModel.from_backend(one)) != noise_of(NoiseModel.from_backend(two))


def test_a_device_without_a_calibration_has_no_figures(stage):
    other = rebuild(stage.get, stage.get(put_configuration(stage, devices.raw("conf", "manila"))))
    assert other.properties() is None
    assert other.target["cx"][(0, 1)] is None
    assert len(counts(other, transpiled(FakeManilaV2()))) > 0


# Targets


class Own(BackendV2):
    """Somebody's backend."""

    def __init__(self, target):
        super().__init__(name="own")
        self._target = target

    @property
    def target(self):
        return self._target

    @property
    def max_circuits(self):
        return None

    @classmethod
    def _default_options(cls):
        return Options(shots=10)

    def run(self, run_input, **options):
        return AerSimulator().run(run_input, **options)


def full_target():
    qubits = [QubitProperties(1e-4, 2e-4, 5e9), QubitProperties(), QubitProperties(t1=1.0)]
    target = Target("all that a Target holds", 3, 1e-9, 2, 3, 4, 5, qubits, [[0, 1], [2]])
    angle = Parameter("angle")
    target.add_instruction(RZGate(angle), {(0,): InstructionProperties(1e-8, 0.0), (1,): None, (2,): InstructionProperties()})
    target.add_instruction(RXGate(math.pi / 2), {(0,): InstructionProperties(error=0.25)}, name="half")
    target.add_instruction(RZZGate(Parameter("t")), {(0, 1): InstructionProperties(1e-7, 1e-3)}, angle_bounds=[(0, math.pi / 2)])
    target.add_instruction(UGate(*map(Parameter, "abc")), {(2,): None}, angle_bounds=[(-0.3, 0.1), None, (math.pi, math.inf)])
    target.add_instruction(XGate(label="mine"), None)
    target.add_instruction(CXGate(), {})
    target.add_instruction(Gate("zap", 3, [Parameter("how"), 0.5]), {(2, 0, 1): InstructionProperties(1.0, 1.0)})
    target.add_instruction(Measure(), {(q,): InstructionProperties(1e-6, 0.01) for q in range(3)})
    target.add_instruction(Reset(), {(0,): None})
    target.add_instruction(Delay(Parameter("d"), "s"), {(0,): None})
    target.add_instruction(IfElseOp, name="if_else")
    target.add_instruction(IfElseOp, name="sometimes")
    return target


def through(target):
    gaps = []
    value, figures = target_value(target, lambda *gap: gaps.append(gap)), calibration_value(target)
    return new_target(decode(encode(value)), figures and decode(encode(figures))), gaps


def test_everything_that_a_target_holds_comes_back():
    target = full_target()
    other, gaps = through(target)
    assert described(other) == described(target)
    assert gaps == []
    for angle in (-1.0, -5e-324, 0.0, 1.0, math.pi / 2, math.nextafter(math.pi / 2, 2), math.inf):
        assert other.supported_angle_bound("rzz", [angle]) == target.supported_angle_bound("rzz", [angle]), angle
    for angles in (
        [-0.3, 99.0, 4.0],
        [0.2, 0.0, 4.0],
        [0.0, 0.0, 3.0],
        [0.0, -math.inf, math.inf],
        [math.nextafter(-0.3, -1), 0, 4],
    ):
        assert other.supported_angle_bound("u", angles) == target.supported_angle_bound("u", angles), angles
    for small in (Target(), Target(num_qubits=None), Target(num_qubits=1, qubit_properties=[QubitProperties()])):
        assert described(through(small)[0]) == described(small)


class Peculiar(Gate):
    def __init__(self):
        super().__init__("peculiar", 1, [])


class Wide(ControlFlowOp):
    pass


def test_what_a_target_has_of_its_own_is_told():
    target = Target(num_qubits=1)
    target.add_instruction(Peculiar(), {(0,): None})
    target.add_instruction(Wide, name="wide")
    target.add_instruction(RXGate(Parameter("a")), {(0,): None}, angle_bounds=[(100.0, 100.001)])
    other, gaps = through(target)
    module = Peculiar.__module__
    assert gaps == [
        ("target.operations.peculiar", f"the class {module}.Peculiar; its name and parameters are kept"),
        ("target.operations.rx", "the bounds of parameter 0, which Qiskit does not tell"),
        ("target.operations.wide", f"an operation of no fixed width, of the class {module}.Wide"),
    ]
    assert set(other.operation_names) == {"peculiar", "rx", "wide"}


def test_somebodys_backend_runs_with_the_noise_of_its_target(stage):
    target = GenericBackendV2(5, seed=1).target
    backend = Own(target)
    other = again(stage, backend)
    same_but_noise(backend, other)
    circuit = transpiled(backend)
    assert counts(other, circuit) == counts(GenericBackendV2(5, seed=1), circuit) != counts(backend, circuit)


# What cannot be made again


@pytest.mark.parametrize(("backend", "message"), [
    ({"name": "lost"}, "the backend 'lost': its snapshot says too little to make it again; give a backend to run on"),
    ({}, "the backend '': its snapshot says too little to make it again; give a backend to run on"),
    ({"type": "perceval.platform", "name": "p"},
     "the backend 'p': its snapshot says too little to make it again; give a backend to run on"),
    ({"type": "qiskit.backend", "class": "os.system", "name": "x", "options": {}, "set": []},
     "the backend 'x': its snapshot says too little to make it again; give a backend to run on"),
])  # fmt: skip
def test_a_snapshot_that_says_too_little_is_refused(stage, backend, message):
    with pytest.raises(BadInput) as caught:
        rebuild(stage.get, backend)
    assert str(caught.value) == message


def test_a_calibration_of_another_kind_is_refused(stage):
    configuration = stage.get(put_configuration(stage, devices.raw("conf", "manila")))
    with pytest.raises(BadInput) as caught:
        rebuild(stage.get, configuration, {"type": "qiskit.target"})
    assert str(caught.value) == "a calibration of the type 'qiskit.target': this backend needs one of the type 'ibm.properties'"
    with pytest.raises(BadInput) as caught:
        rebuild(stage.get, {"name": "x", "target": {}}, {"type": "ibm.properties"})
    assert str(caught.value) == "a calibration of the type 'ibm.properties': this backend needs one of the type 'qiskit.target'"


# Noise models of the user's own


def own_errors():
    rotation = QuantumCircuit(2)
    rotation.rx(0.3, 0)
    rotation.cx(0, 1)
    return [
        depolarizing_error(0.1, 1),
        pauli_error([("XY", 1 / 3), ("II", 2 / 3)]),
        thermal_relaxation_error(5e-5, 2e-5, 1e-6, 0.1),
        phase_amplitude_damping_error(0.1, 0.2, 0.3),
        depolarizing_error(0.1, 1).compose(amplitude_damping_error(0.1)),
        depolarizing_error(0.1, 1).expand(reset_error(0.1, 0.2)),
        QuantumError([(rotation, 0.5), (QuantumCircuit(2), 0.5)]),
        PauliLindbladError(["XX", "ZI"], [0.1, -0.2]),
        PauliError(["X", "I"], [0.1, 0.9]),
        PauliError(["X", "I"], [-0.1, 1.1]),
    ]


@pytest.mark.parametrize("place", range(len(own_errors())))
def test_an_error_comes_back_term_by_term_and_digit_by_digit(place):
    error = own_errors()[place]
    model = NoiseModel()
    model.add_all_qubit_quantum_error(error, {1: "x", 2: "cx"}[error.num_qubits])
    model.add_quantum_error(error, "unitary", list(range(error.num_qubits)))
    again = model_from_plain(decode(encode(model_to_plain(model))))
    assert again == model
    [other] = again._default_quantum_errors.values()
    assert type(other) is type(error) and other is again._local_quantum_errors["unitary"][tuple(range(error.num_qubits))]
    if isinstance(error, QuantumError):
        assert (other.circuits, list(other.probabilities)) == (error.circuits, list(map(float, error.probabilities)))
    else:
        numbers = "rates" if isinstance(error, PauliLindbladError) else "probabilities"
        assert getattr(other, numbers).tolist() == getattr(error, numbers).tolist()


def test_a_readout_error_within_a_tolerance_of_the_users_comes_back():
    model = NoiseModel()
    model.add_readout_error(ReadoutError([[0.9, 0.1001], [0.2, 0.8]], atol=1e-2), [0])
    again = model_from_plain(decode(encode(model_to_plain(model))))
    assert again == model
    assert again._local_readout_errors[0,].probabilities.tolist() == [[0.9, 0.1001], [0.2, 0.8]]
