"""Containers of qiskit-ibm-runtime through the canonical encoding and back, and all that its decoders can return."""

import datetime as dt
import json

import dateutil.tz as tz
import numpy as np
import pytest
import scipy.sparse as sparse
from exactness import attributes, back, same
from hypothesis import given, settings
from hypothesis import strategies as st
from ibm_quantum_schemas.calibrator.version_0_1.models import CalibratorResultModel
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import models as executor_models
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import RXGate, XGate
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import Operator, Pauli, PauliLindbladMap, PauliList, QubitSparsePauliList, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.decoders.calibrator.decoder import CalibratorResultDecoder
from qiskit_ibm_runtime.decoders.executor.decoder import ExecutorResultDecoder
from qiskit_ibm_runtime.decoders.executor_sampler.post_processor_v0_1 import sampler_v2_post_processor_v0_1
from qiskit_ibm_runtime.decoders.noise_learner_v3.decoder import NoiseLearnerV3ResultDecoder
from qiskit_ibm_runtime.decoders.runner import RunnerResultDecoder
from qiskit_ibm_runtime.execution_span import (
    DoubleSliceSpan,
    ExecutionSpans,
    SliceSpan,
    TwirledSliceSpan,
    TwirledSliceSpanV2,
)
from qiskit_ibm_runtime.json import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.noise_learner_v3.converters.version_0_3 import noise_learner_v3_result_to_0_3
from qiskit_ibm_runtime.options import EstimatorOptions, SamplerOptions
from qiskit_ibm_runtime.options.utils import Unset
from qiskit_ibm_runtime.quantum_program import QuantumProgram
from qiskit_ibm_runtime.results import (
    CalibratorResult,
    ChunkPart,
    ChunkSpan,
    EstimatorPubResult,
    ItemMetadata,
    LayerError,
    Metadata,
    NoiseLearnerResult,
    NoiseLearnerV3Result,
    NoiseLearnerV3Results,
    PauliLindbladError,
    QuantumProgramItemResult,
    QuantumProgramResult,
    SchedulerTiming,
    StretchValues,
)
from qiskit_ibm_runtime.results.runner import RunnerResult
from samplomatic import InjectNoise, Twirl, build
from samplomatic import quantum_program as samplomatic

from qarchive.codec import encode
from qarchive.errors import NotEncodable
from qarchive.providers.qiskit.values import from_plain, to_plain

START = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=tz.tzutc())
STOP = dt.datetime(2024, 5, 6, 9, 8, 10, tzinfo=tz.tzoffset(None, 7200))


def layer():
    circuit = QuantumCircuit(2, name="layer")
    circuit.cz(0, 1)
    return circuit


def boxed():
    circuit = QuantumCircuit(2)
    with circuit.box([Twirl()]):
        circuit.rx(Parameter("a"), 0)
        circuit.cz(0, 1)
    with circuit.box([Twirl(), InjectNoise("n0", "m0")]):
        circuit.cx(0, 1)
    with circuit.box([Twirl(dressing="left")]):
        circuit.measure_all()
    return circuit


def v3_result(generators=2):
    paulis = [QubitSparsePauliList.from_sparse_list([("X", [0]), ("ZZ", [0, 1])], 2),
              QubitSparsePauliList.from_sparse_list([("Y", [1])], 2)]  # fmt: skip
    rates = [0.1, -0.0]
    return NoiseLearnerV3Result.from_generators(
        paulis[:generators], rates[:generators], [0.01, 5e-324][:generators], {"learning_protocol": "lindblad", "depth": [1, 2]}
    )


def program(samplex=True):
    noise = {"n0": PauliLindbladMap.from_sparse_list([("XX", (0, 1), 0.1)], num_qubits=2)}
    made = QuantumProgram(100, noise_maps=noise, meas_level="kerneled", passthrough_data={"post": {"x": np.arange(3.0)}})
    parametric = QuantumCircuit(2, name="parametric")
    parametric.rx(Parameter("t"), 0)
    made.append_circuit_item(parametric, np.ones((3, 1)), chunk_size=2)
    made.append_circuit_item(layer())
    if samplex:
        template, complex_ = build(boxed())
        made.append_samplex_item(template, complex_, {"parameter_values": np.ones(1), "noise_scales": {"m0": 0.5}}, shape=(4, 1))
    made._semantic_role = "sampler-v2"
    return made


def program_result():
    timing = [ChunkSpan(START, STOP, [ChunkPart(0, 2), ChunkPart(1, 5)])]
    stretch = StretchValues("s", 1, 0, [(1, 2), [3, 4]])
    made = QuantumProgramResult(
        [
            {"meas": np.zeros((3, 4), bool)},
            QuantumProgramItemResult({"c": np.ones(2)}, ItemMetadata(SchedulerTiming("a,b", 3), [stretch])),
        ],
        Metadata(timing),
        {"a": [1, None, np.arange(2.0)]},
    )
    made._semantic_role = "estimator-v2"
    return made


SPANS = {
    "SliceSpan": SliceSpan(START, STOP, {2: ((3, 4), slice(0, 3)), 0: ((), slice(1, 2))}),
    "DoubleSliceSpan": DoubleSliceSpan(START, STOP, {1: ((3, 4), slice(0, 1), slice(None, 2, 1))}),
    "TwirledSliceSpan": TwirledSliceSpan(START, STOP, {0: ((2, 3), True, slice(0, 1), slice(0, 2))}),
    "TwirledSliceSpanV2": TwirledSliceSpanV2(START, STOP, {0: ((2, 3), False, slice(0, 1), slice(0, 2), 5)}),
    "no slices": SliceSpan(START, STOP, {}),
}
DATA = DataBin(evs=np.ones(2), stds=np.zeros(2), ensemble_standard_error=np.ones(2), shape=(2,))
EXTRAPOLATORS = {"zne": {"extrapolators": np.array(["exponential", "multiple"])}}

VALUES = {
    **SPANS,
    "ExecutionSpans": ExecutionSpans(SPANS.values()),
    "no spans": ExecutionSpans([]),
    "EstimatorPubResult": EstimatorPubResult(DATA, {"resilience": EXTRAPOLATORS}),
    "sampled with spans": PrimitiveResult(
        [SamplerPubResult(DataBin(meas=BitArray(np.zeros((4, 1), "u1"), 3)), {"circuit_metadata": {}})],
        {"execution": {"execution_spans": ExecutionSpans(SPANS.values())}, "version": 2},
    ),
    "PauliLindbladError": PauliLindbladError(PauliList(["XX", "ZI"]), [0.1, -0.0]),
    "LayerError": LayerError(layer(), [7, 3], PauliLindbladError(PauliList(["XX"]), [0.1])),
    "LayerError without an error": LayerError(layer(), (0, 1)),
    "NoiseLearnerResult": NoiseLearnerResult([LayerError(layer(), [0, 1])], {"backend": "x", "input_options": {"a": (1,)}}),
    "NoiseLearnerV3Result": v3_result(),
    "empty NoiseLearnerV3Result": NoiseLearnerV3Result(),
    "NoiseLearnerV3Results": NoiseLearnerV3Results([v3_result(), v3_result(1)], {"a": {"b": 1.5}}),
    "NoiseLearnerV3Results without metadata": NoiseLearnerV3Results([]),
    "QuantumProgramResult": program_result(),
    "ChunkTiming": program_result().timing,
    "QuantumProgramResult of a simulator": QuantumProgramResult([QuantumProgramItemResult({"c": np.ones(1)}, {"simulator": 1})]),
    "samplomatic's QuantumProgramResult": samplomatic.QuantumProgramResult([{"c": np.ones(1)}], passthrough_data=[1]),
    "CalibratorResult": CalibratorResult(START, STOP),
    "QuantumProgram": program(samplex=False),
    "samplomatic's QuantumProgram": samplomatic.QuantumProgram(3, [samplomatic.CircuitItem(layer())]),
    "Unset": {"noise_model": Unset},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_exactly(value):
    same(back(value), value)


def test_unset_comes_back_as_the_one_that_there_is():
    assert back([Unset])[0] is Unset


def test_hidden_attributes_that_are_empty_are_kept_as_they_are():
    results = NoiseLearnerV3Results([])
    results.metadata = {}
    item = QuantumProgramItemResult({})
    item.metadata = {}
    assert back(results).metadata == {}
    assert back(item).metadata == {}


def test_a_result_that_got_a_note_keeps_it():
    result = program_result()
    result.note = "mine"
    assert back(result).note == "mine"


def test_a_samplex_comes_back_and_draws_the_same():
    value = program()
    found = back(value)
    one, other = value.items[2], found.items[2]
    assert type(other) is samplomatic.SamplexItem
    assert (other.samplex, other.shape, other.chunk_size) == (one.samplex, one.shape, one.chunk_size)
    assert (dict(other.samplex_arguments), other.circuit) == (dict(one.samplex_arguments), one.circuit)
    same(other.samplex_arguments.specs, one.samplex_arguments.specs)
    draws = [
        item.samplex.sample(item.samplex_arguments, num_randomizations=4, rng=np.random.default_rng(3)) for item in (one, other)
    ]
    same(dict(draws[1]), dict(draws[0]))
    value.items.pop(), found.items.pop()
    same(found, value)


def test_a_samplex_that_is_not_ready_stays_so():
    samplex = build(boxed())[1]
    samplex._finalized = False
    found = back(samplex)
    assert (found, found._finalized) == (samplex, False)


def test_annotations_of_boxes_come_back():
    circuit = boxed()
    circuit.metadata = {"a": (1,)}
    with circuit.if_test((circuit.clbits[0], 1)), circuit.box([InjectNoise("n1")]):
        circuit.x(0)
    found = from_plain(to_plain(circuit))
    assert (found, found.name, found.metadata) == (circuit, circuit.name, {"a": (1,)})
    found_box, box = ([item.operation for item in made.data] for made in (found, circuit))
    assert [item.annotations for item in found_box[:3]] == [item.annotations for item in box[:3]]
    assert found_box[3].blocks[0].data[0].operation.annotations == [InjectNoise("n1")]
    assert encode(to_plain(circuit)) == encode(to_plain(circuit))


def test_annotations_of_others_are_refused():
    from qiskit.circuit import Annotation

    class Mine(Annotation):
        namespace = "mine"

    circuit = QuantumCircuit(1)
    with circuit.box([Mine()]):
        circuit.x(0)
    with pytest.raises(NotEncodable) as error:
        to_plain({"c": circuit})
    assert str(error.value) == "cannot be stored at c: annotations of a box, whose meaning only their own package knows"


def test_a_circuit_that_cannot_be_kept_is_refused_with_its_place():
    class Mine(QuantumCircuit):
        pass

    with pytest.raises(NotEncodable) as error:
        to_plain(NoiseLearnerResult([LayerError(Mine(1), [0])]))
    name = f"{__name__}.{Mine.__qualname__}"
    assert str(error.value) == f"cannot be stored at data.0.circuit: a {name}"


def test_values_of_options_come_back():
    from dataclasses import asdict

    for options in (EstimatorOptions(), SamplerOptions(), EstimatorOptions(resilience={"zne": {"noise_factors": (1, 3)}})):
        value = asdict(options)
        same(back(value), value)
    noise = EstimatorOptions()
    noise.resilience.layer_noise_model = VALUES["NoiseLearnerResult"]
    value = {"layer_noise_model": noise.resilience.layer_noise_model}
    same(back(value), value)


# What the runtime's decoders return


def run():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.measure_all()
    return AerSimulator().run(circuit, shots=3, seed_simulator=1).result()


SENT = {
    "datetime": START,
    "naive datetime": dt.datetime(2024, 1, 1),
    "complex": 1 + 2j,
    "ndarray": np.arange(6, dtype=">i2").reshape(2, 3),
    "ndarray in Fortran order": np.asfortranarray(np.eye(3)),
    "ndarray of text": np.array(["a", "bc"]),
    "ndarray of objects": np.array([{"a": 1}, None], dtype=object),
    "ndarray of lists": np.array([["a", "b"], ["c", "d"]], dtype=object),
    "set": {1, 2},
    "Result": run(),
    "QuantumCircuit": layer(),
    "Parameter": Parameter("a"),
    "ParameterVectorElement": ParameterVector("v", 3)[1],
    "Instruction": RXGate(0.5),
    "singleton": XGate(),
    "BindingsArray": BindingsArray({("a", "b"): np.ones((3, 2))}),
    "ObservablesArray": ObservablesArray([["XX"], ["ZZ"]]),
    "BitArray": BitArray.from_samples(["01"]),
    "DataBin": DATA,
    "SamplerPub": SamplerPub.coerce(layer()),
    "EstimatorPub": EstimatorPub.coerce((layer(), "XX")),
    "PubResult": PubResult(DATA),
    "SamplerPubResult": VALUES["sampled with spans"],
    "EstimatorPubResult": PrimitiveResult([VALUES["EstimatorPubResult"]], {"version": 2}),
    "spans": VALUES["ExecutionSpans"],
    "NoiseLearnerResult": VALUES["NoiseLearnerResult"],
    "PauliLindbladMap": PauliLindbladMap.from_sparse_list([("XZ", (0, 2), 0.1)], num_qubits=3),
    "settings": [Pauli("XY"), PauliList(["X", "Y"]), SparsePauliOp(["XX"], [1j]), Operator(np.eye(2))],
    "int keys": Operator(np.eye(2)),
    "spmatrix": sparse.csr_matrix(np.eye(2)),
}


@pytest.mark.parametrize("value", SENT.values(), ids=SENT)
def test_what_the_runtime_decodes_comes_back_exactly(value):
    decoded = json.loads(json.dumps({"value": value}, cls=RuntimeEncoder), cls=RuntimeDecoder)
    if type(value) is type(run()):
        assert back(decoded)["value"].to_dict() == decoded["value"].to_dict()
    else:
        same(back(decoded), decoded)


def test_results_of_the_circuit_runner_come_back():
    content = run().to_dict()
    content["results"][0]["data"]["quasiprobabilities"] = {"0x0": 0.25, "0x3": 0.75}
    result = RunnerResultDecoder.decode(json.dumps(content, cls=RuntimeEncoder))
    found = back({"result": result})["result"]
    assert type(found) is RunnerResult
    assert found.to_dict() == result.to_dict()
    assert found.get_counts() == result.get_counts()


def tensor(array):
    return CompressedTensorModel.from_numpy(array)


def test_results_of_the_executor_come_back():
    models = executor_models
    span = models.ChunkSpan(
        start=START, stop=STOP, parts=[{"idx_item": 0, "size": 3, "permutation": [0], "element_range": (0, 3, 1)}]
    )
    stretch = {"name": "s", "value": 1, "remainder": 0, "expanded_values": [(1, 2)]}
    metadata = {"scheduler_timing": {"timing": "a", "circuit_duration": 3}, "stretch_values": [stretch]}
    item = {"results": {"c": tensor(np.array([[True, False]])), "iq": tensor(np.array([1j]))}, "metadata": metadata}
    model = models.QuantumProgramResultModel(
        data=[item],
        metadata={"chunk_timing": [span]},
        passthrough_data={"x": [tensor(np.arange(3.0))]},
        semantic_role="sampler-v2",
    )
    decoded = ExecutorResultDecoder.decode(model.model_dump_json())
    assert type(decoded) is QuantumProgramResult
    same(back(decoded), decoded)


def test_results_of_the_calibrator_come_back_with_their_zones():
    model = CalibratorResultModel(start=START, stop=STOP)
    decoded = CalibratorResultDecoder.decode(model.model_dump_json())
    assert type(decoded.stop.tzinfo).__name__ == "TzInfo"
    same(back(decoded), decoded)


def test_results_of_the_third_noise_learner_come_back():
    results = NoiseLearnerV3Results([v3_result()])
    results.data[0].metadata = {
        "learning_protocol": "lindblad",
        "post_selection": {"fraction_kept": {0: 1.0, 4: 0.5}, "success_rates": {0: {1: 0.5}, 4: {1: 0.25}}},
    }
    decoded = NoiseLearnerV3ResultDecoder.decode(noise_learner_v3_result_to_0_3(results).model_dump_json())
    assert type(decoded) is NoiseLearnerV3Results
    assert 4 in decoded[0].metadata["post_selection"]["fraction_kept"]
    same(back(decoded), decoded)


def test_what_the_sampler_makes_of_an_executed_program_comes_back():
    result = QuantumProgramResult(
        [QuantumProgramItemResult({"c": np.array([[True, False]] * 5)}, ItemMetadata(SchedulerTiming("a", 3)))],
        Metadata([ChunkSpan(START, STOP, [ChunkPart(0, 1)])]),
        {"post_processor": {"version": "v0.1", "twirling": False, "meas_type": "classified", "options": {"a": None}, "shots": 5}},
    )
    made = sampler_v2_post_processor_v0_1(result)
    assert type(made.metadata["executor"]) is Metadata
    same(back(made), made)


SLICES = st.builds(slice, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9), st.sampled_from([None, 1]))
SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
MOMENTS = st.datetimes(timezones=st.sampled_from([dt.UTC, tz.tzutc(), tz.tzoffset(None, 3600), tz.tzlocal()]))


@settings(deadline=None)
@given(st.data(), MOMENTS, MOMENTS)
def test_spans_come_back(data, start, stop):
    pubs = st.integers(0, 300)
    spans = [
        data.draw(st.builds(kind, st.just(start), st.just(stop), st.dictionaries(pubs, st.tuples(*parts), max_size=4)))
        for kind, parts in (
            (SliceSpan, (SHAPES, SLICES)),
            (DoubleSliceSpan, (SHAPES, SLICES, SLICES)),
            (TwirledSliceSpan, (SHAPES, st.booleans(), SLICES, SLICES)),
            (TwirledSliceSpanV2, (SHAPES, st.booleans(), SLICES, SLICES, pubs)),
        )
    ]
    value = ExecutionSpans(spans)
    found = back(value)
    same(found, value)
    assert found == value


def test_every_class_of_results_is_known():
    """A class that a later version adds to the results has to be looked at."""
    from qiskit_ibm_runtime import execution_span, results

    from qarchive.providers.ibm import containers as ibm_containers

    known = {name for _, name in ibm_containers.ENCODERS}
    public = {name for module in (results, execution_span) for name, found in vars(module).items() if isinstance(found, type)}
    assert public - known == {"ExecutionSpan"}  # abstract
    assert attributes(VALUES["QuantumProgram"]).keys() == set(ibm_containers.PROGRAM)
