"""What the loopback IBM server runs: sampler, estimator and noise learner on Aer, in and out of the wire format.

Options for error suppression and mitigation (twirling, dynamical decoupling, ZNE, PEC, measure mitigation) are echoed in
the metadata as IBM does, but change no number. An estimator's values are Aer's noisy expectation values, spread by the target
precision, and need a device of about ten qubits at most (samplers leave idle qubits out). Noise learner rates follow the gate
errors of the calibration; nothing is learnt.
"""

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from ibm_devices import Calibration
from qiskit import QuantumCircuit
from qiskit.converters import circuit_to_dag
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import PauliList
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.execution_span import DoubleSliceSpan, ExecutionSpans
from qiskit_ibm_runtime.results.noise_learner import LayerError, PauliLindbladError

PROGRAMS = ("sampler", "estimator", "noise-learner")
DEFAULT_SHOTS = 4096
SHOT_S = 250e-6  # IBM's default delay between shots


class Outcome(NamedTuple):
    """The text of `GET /jobs/{id}/results` and the time that a real device would have taken."""

    text: str
    quantum_s: int


def run(program: str, params: dict, calibration: Calibration, seed: int | None, mock: bool) -> Outcome:
    """Runs one job on Aer, or makes random data of the right form for a mock device.

    Raises:
        Exception: whatever Qiskit or Aer say about params that cannot be run.
    """
    started = datetime.now(UTC)
    inputs = json.loads(json.dumps(params), cls=RuntimeDecoder)
    result, shots = _RUNNERS[program](inputs, calibration, seed, started, mock)
    return Outcome(json.dumps(result, cls=RuntimeEncoder), 0 if mock else quantum_seconds(shots))


def quantum_seconds(shots: int) -> int:
    """What a real device would charge: whole seconds, with one for getting ready."""
    return 1 + math.ceil(shots * SHOT_S)


def _sample(inputs: dict, calibration: Calibration, seed: int | None, started: datetime, mock: bool):
    options = inputs.get("options", {})
    default = options.get("default_shots", DEFAULT_SHOTS)
    pubs = [SamplerPub.coerce(pub, default) for pub in inputs["pubs"]]
    if mock:
        data = [_random_bits(pub, np.random.default_rng(seed)) for pub in pubs]
    else:
        data = [result.data for result in SamplerV2.from_backend(calibration.simulator, seed=seed).run(pubs).result()]
    results = [SamplerPubResult(part, metadata={"circuit_metadata": pub.circuit.metadata or {}}) for pub, part in zip(pubs, data)]
    slices = {
        index: ((*pub.shape, pub.shots), slice(0, math.prod(pub.shape)), slice(0, pub.shots)) for index, pub in enumerate(pubs)
    }
    spans = ExecutionSpans([DoubleSliceSpan(started, datetime.now(UTC), slices)])
    metadata = {"execution": {"execution_spans": spans}, "version": 2}
    return PrimitiveResult(results, metadata=metadata), sum(pub.shots * math.prod(pub.shape) for pub in pubs)


def _random_bits(pub: SamplerPub, rng: np.random.Generator) -> DataBin:
    fields = {
        register.name: BitArray.from_bool_array(rng.random((*pub.shape, pub.shots, register.size)) < 0.5)
        for register in pub.circuit.cregs
    }
    return DataBin(**fields, shape=pub.shape)


def _estimate(inputs: dict, calibration: Calibration, seed: int | None, started: datetime, mock: bool):
    options = inputs.get("options", {})
    shots = options.get("default_shots", DEFAULT_SHOTS)
    default = options.get("default_precision", 1 / math.sqrt(shots))
    pubs = [EstimatorPub.coerce(pub, default) for pub in inputs["pubs"]]
    if mock:
        rng = np.random.default_rng(seed)
        values = [rng.uniform(-1, 1, pub.shape) for pub in pubs]
    else:
        estimator = EstimatorV2.from_backend(calibration.simulator, options={"run_options": {"seed_simulator": seed}})
        values = [np.asarray(result.data.evs) for result in estimator.run(pubs).result()]
    results = [_estimated(pub, evs) for pub, evs in zip(pubs, values)]
    twirling = {"enable_gates": False, "enable_measure": True, "strategy": "active-accum"} | options.get("twirling", {})
    resilience = {"measure_mitigation": True, "zne_mitigation": False, "pec_mitigation": False} | {
        name: value for name, value in options.get("resilience", {}).items() if isinstance(value, bool)
    }
    decoupling = {"enable": False} | options.get("dynamical_decoupling", {})
    metadata = {"dynamical_decoupling": decoupling, "twirling": twirling, "resilience": resilience, "version": 2}
    total = sum(_shots(pub) * max(1, pub.parameter_values.size) for pub in pubs)
    return PrimitiveResult(results, metadata=metadata), total


def _shots(pub: EstimatorPub) -> int:
    return math.ceil(1 / pub.precision**2) if pub.precision else DEFAULT_SHOTS


def _estimated(pub: EstimatorPub, evs: np.ndarray) -> PubResult:
    stds = np.full(pub.shape, pub.precision)
    metadata = {
        "shots": _shots(pub),
        "target_precision": pub.precision,
        "circuit_metadata": pub.circuit.metadata or {},
        "resilience": {},
        "num_randomizations": 32,
    }
    return PubResult(DataBin(evs=evs, stds=stds, ensemble_standard_error=stds.copy(), shape=pub.shape), metadata=metadata)


def _learn_noise(inputs: dict, calibration: Calibration, seed: int | None, started: datetime, mock: bool):
    options = inputs.get("options", {})
    limit = options.get("max_layers_to_learn", 4)
    layers = list(dict.fromkeys(layer for circuit in inputs["circuits"] for layer in _layers(circuit)))[:limit]
    rng = np.random.default_rng(seed)
    errors = {
        tuple(gate["qubits"]): value["value"]
        for gate in calibration.properties["gates"]
        for value in gate["parameters"]
        if value["name"] == "gate_error"
    }
    data = [_layer_error(layer, errors, rng) for layer in layers]
    metadata = {"backend": calibration.configuration["backend_name"], "input_options": options}
    return {"data": data, "metadata": metadata}, 128 * 32 * 6 * len(layers)


def _layers(circuit: QuantumCircuit) -> Iterable[tuple]:
    """The layers of two-qubit gates in a circuit, each as a sorted tuple of (qubits, operation name)."""
    for layer in circuit_to_dag(circuit).layers():
        gates = [node for node in layer["graph"].op_nodes() if len(node.qargs) == 2 and node.name != "barrier"]
        if gates:
            yield tuple(sorted((tuple(circuit.find_bit(qubit).index for qubit in node.qargs), node.name) for node in gates))


def _layer_error(layer: tuple, errors: dict, rng: np.random.Generator) -> LayerError:
    qubits = sorted({qubit for pair, _ in layer for qubit in pair})
    circuit, generators, rates = QuantumCircuit(len(qubits)), [], []
    for pair, name in layer:
        places = [qubits.index(qubit) for qubit in pair]
        getattr(circuit, name)(*places)
        for label in ("IX", "IY", "IZ", "XI", "YI", "ZI", *(a + b for a in "XYZ" for b in "XYZ")):
            letters = ["I"] * len(qubits)
            letters[-1 - places[0]], letters[-1 - places[1]] = label[1], label[0]
            generators.append("".join(letters))
            rates.append(errors.get(pair, 0.01) / 15 * rng.uniform(0.5, 1.5))
    return LayerError(circuit, qubits, PauliLindbladError(PauliList(generators), rates))


_RUNNERS = {"sampler": _sample, "estimator": _estimate, "noise-learner": _learn_noise}
