"""Containers of qiskit-ibm-runtime and samplomatic <-> plain values: execution spans, learned noise, quantum programs.

`ENCODERS` and `DECODERS` extend the tables of `qiskit_values`, whose `to_plain` and `from_plain` are the way in.
"""

import base64
import io
import json
from collections.abc import Callable

from ...values import Typed
from ..attributes import Form, tables
from ..qiskit.containers import result_decoder, result_encoder
from ..sdk import sdk

_IBM = "qiskit_ibm_runtime."
_SPANS = _IBM + "execution_span."
_RESULTS = _IBM + "results."
_OLD = _IBM + "utils."
_PROGRAM = "samplomatic.quantum_program.quantum_program"
_PROGRAM_RESULT = _PROGRAM + "_result"
_SPAN = ("_start", "_stop", "_data_slices")
PROGRAM = ("shots", "items", "noise_maps", "meas_level", "passthrough_data", "_semantic_role")


def _new_twirled_span(kind, start, stop, data_slices, pub_shots):
    return kind(start, stop, {pub: (*found, pub_shots[pub]) for pub, found in data_slices.items()})


def _new_learned(kind, *values):
    return kind()  # what it holds is set afterwards


def _new_program_result(kind, data, passthrough, metadata=None, role=None):
    return kind(data, passthrough_data=passthrough)


def _new_program(kind, shots, *values):
    return kind(shots)


def _new_circuit_item(kind, circuit, chunk_size, arguments):
    return kind(circuit, circuit_arguments=arguments, chunk_size=chunk_size)


def _samplex(value, part):
    """Its own JSON, which samplomatic reads back, and whether it was ready to be sampled from."""
    text = sdk("samplomatic.serialization", "a samplex", "ibm").samplex_to_json(value)
    return Typed("samplomatic.Samplex", [_without_automatic_name(text), value._finalized])


def _without_automatic_name(text: str) -> str:
    """The JSON of a samplex, in which the circuit that carries its parameters has a name that differs each time: without it."""
    document = json.loads(text)
    table = json.loads(document["attrs"]["param_table"])
    if "circuit_base64" in table:
        qpy = sdk("qiskit.qpy")
        circuit = qpy.load(io.BytesIO(base64.b64decode(table["circuit_base64"])))[0]
        circuit.name = "parameters"
        stream = io.BytesIO()
        qpy.dump(circuit, stream, version=int(table["qpy"]))
        table["circuit_base64"] = base64.b64encode(stream.getvalue()).decode("ascii")
    document["attrs"]["param_table"] = json.dumps(table, separators=(",", ":"))
    return json.dumps(document, separators=(",", ":"))


def _new_samplex(parts, whole):
    text, finalized = parts
    samplex = sdk("samplomatic.serialization", "a samplex", "ibm").samplex_from_json(text)
    return samplex.finalize() if finalized else samplex


def _samplex_item(value, part):
    arguments = part(dict(value.samplex_arguments), "samplex_arguments")
    held = [part(value.circuit, "circuit"), part(value.samplex, "samplex"), arguments]
    return Typed("samplomatic.SamplexItem", [*held, list(value._shape), part(value.chunk_size, "chunk_size")])


def _new_samplex_item(parts, whole):
    circuit, samplex, arguments, shape, chunk_size = map(whole, parts)
    kind = sdk(_PROGRAM, "a quantum program", "ibm").SamplexItem
    return kind(circuit, samplex, samplex_arguments=arguments, shape=tuple(shape), chunk_size=chunk_size)


_FORMS = [
    Form("ibm.EstimatorPubResult", ((_RESULTS + "estimator_pub", "EstimatorPubResult"),
                                    (_OLD + "estimator_pub_result", "EstimatorPubResult")), ("_data", "_metadata"), extra="ibm"),
    Form("ibm.ExecutionSpans", ((_SPANS + "execution_spans", "ExecutionSpans"),), ("_spans",), extra="ibm"),
    *(Form(f"ibm.{name}", ((_SPANS + module, name),), _SPAN, extra="ibm")
      for module, name in (("slice_span", "SliceSpan"), ("double_slice_span", "DoubleSliceSpan"),
                           ("twirled_slice_span", "TwirledSliceSpan"))),
    Form("ibm.TwirledSliceSpanV2", ((_SPANS + "twirled_slice_span", "TwirledSliceSpanV2"),), (*_SPAN, "_pub_shots"),
         make=_new_twirled_span, extra="ibm"),
    *(Form(f"ibm.{name}", ((_RESULTS + "noise_learner", name), (_OLD + "noise_learner_result", name)), attributes, extra="ibm")
      for name, attributes in (("NoiseLearnerResult", ("_data", "_metadata")), ("LayerError", ("_circuit", "_qubits", "_error")),
                               ("PauliLindbladError", ("_generators", "_rates")))),
    Form("ibm.NoiseLearnerV3Result", ((_RESULTS + "noise_learner_v3", "NoiseLearnerV3Result"),),
         ("_generators", "_rates", "_rates_std", "metadata"), make=_new_learned, extra="ibm"),
    Form("ibm.NoiseLearnerV3Results", ((_RESULTS + "noise_learner_v3", "NoiseLearnerV3Results"),), ("data", "metadata"),
         extra="ibm"),
    Form("ibm.CalibratorResult", ((_RESULTS + "calibrator", "CalibratorResult"),), ("start", "stop"), extra="ibm"),
    *(Form(f"ibm.{name}", ((_RESULTS + "quantum_program", name),), attributes, extra="ibm")
      for name, attributes in (("SchedulerTiming", ("timing", "circuit_duration")),
                               ("StretchValues", ("name", "value", "remainder", "expanded_values")),
                               ("ItemMetadata", ("scheduler_timing", "stretch_values")), ("Metadata", ("chunk_timing",)),
                               ("QuantumProgramItemResult", ("_result", "metadata")))),
    Form("ibm.QuantumProgramResult", ((_RESULTS + "quantum_program", "QuantumProgramResult"),),
         ("_data", "passthrough_data", "metadata", "_semantic_role"), make=_new_program_result, extra="ibm"),
    Form("ibm.QuantumProgram", ((_IBM + "quantum_program.quantum_program", "QuantumProgram"),),
         PROGRAM, make=_new_program, extra="ibm"),
    *(Form(f"samplomatic.{name}", ((_PROGRAM_RESULT, name),), attributes, extra="ibm")
      for name, attributes in (("ChunkPart", ("idx_item", "size")), ("ChunkSpan", ("start", "stop", "parts")),
                               ("ChunkTiming", ("_spans",)), ("QuantumProgramItemResult", ("_result",)),
                               ("QuantumProgramResult", ("_data", "passthrough_data")))),
    Form("samplomatic.QuantumProgram", ((_PROGRAM, "QuantumProgram"),),
         PROGRAM[:-1], make=_new_program, extra="ibm"),
    Form("samplomatic.CircuitItem", ((_PROGRAM, "CircuitItem"),), ("circuit", "chunk_size", "circuit_arguments"),
         make=_new_circuit_item, extra="ibm"),
]  # fmt: skip

_FORM_ENCODERS, _FORM_DECODERS = tables(_FORMS)

ENCODERS: dict[tuple[str, str], Callable] = {
    **_FORM_ENCODERS,
    (_RESULTS + "runner", "RunnerResult"): result_encoder("ibm.RunnerResult"),
    ("samplomatic.samplex.samplex", "Samplex"): _samplex,
    (_PROGRAM, "SamplexItem"): _samplex_item,
    (_IBM + "options.utils", "UnsetType"): lambda value, part: Typed("ibm.Unset", None),
}

DECODERS: dict[str, Callable] = {
    **_FORM_DECODERS,
    "ibm.RunnerResult": result_decoder(_RESULTS + "runner", "RunnerResult", "ibm"),
    "samplomatic.Samplex": _new_samplex,
    "samplomatic.SamplexItem": _new_samplex_item,
    "ibm.Unset": lambda value, whole: sdk(_IBM + "options.utils", "an option of IBM's", "ibm").Unset,
}
