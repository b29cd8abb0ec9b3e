"""Values of the tags for containers: (name, the value as text in the notation of reader.py, the value), for make_vectors.py."""

import struct

from qarchive.values import Array, Typed

FIRST, LAST = (Typed("datetime", f"2024-{day}T00:00:00+00:00") for day in ("02-29", "03-01"))
TIMES = 'tag(datetime, "2024-02-29T00:00:00+00:00"), tag(datetime, "2024-03-01T00:00:00+00:00")'
IDENTITY = bytes(15) + b"\x10"
QPY = {"qpy": b"QISKIT\x10", "qpy_version": 16, "instructions": []}
QPY_TEXT = '"instructions": [], "qpy": h"5149534b495410", "qpy_version": 16'


def floats(*numbers: float) -> Array:
    return Array("<f8", (len(numbers),), struct.pack(f"<{len(numbers)}d", *numbers))


def square(dtype: str, *numbers: float) -> Array:
    """Two rows of two floats, or the one item of a complex matrix."""
    return Array(dtype, (2, 2) if dtype == "<f8" else (1, 1), struct.pack(f"<{len(numbers)}d", *numbers))


def small(dtype: str, *numbers: int) -> Array:
    return Array(dtype, (len(numbers),), struct.pack(f"<{len(numbers)}{'B' if dtype == '|u1' else 'I'}", *numbers))


def sliced(start: int, stop: int) -> Typed:
    return Typed("slice", [start, stop, None])


ONE = square("<c16", 1, 0)
ONE_TEXT = 'array(<c16, [1, 1], h"000000000000f03f0000000000000000")'
ZEROS = Array("<c16", (4, 4), bytes(256))
ZEROS_TEXT = f'array(<c16, [4, 4], h"{"00" * 256}")'
ERRORS = square("<f8", 0.75, 0.25, 0.5, 0.5)
ERRORS_TEXT = 'array(<f8, [2, 2], h"000000000000e83f000000000000d03f000000000000e03f000000000000e03f")'
BITS = Typed("qiskit.BitArray", [2, Array("|u1", (2, 1), b"\1\2")])
BITS_TEXT = 'tag(qiskit.BitArray, [2, array(|u1, [2, 1], h"0102")])'
DATA = Typed("qiskit.DataBin", [[], ["c", "a"], [BITS, 1]])
DATA_TEXT = f'tag(qiskit.DataBin, [[], ["c", "a"], [{BITS_TEXT}, 1]])'
CIRCUIT = Typed("qiskit.QuantumCircuit", {"name": "bell", **QPY, "metadata": {"a": 1}})
CIRCUIT_TEXT = f'tag(qiskit.QuantumCircuit, {{{QPY_TEXT[:18]}, "metadata": {{"a": 1}}, "name": "bell"{QPY_TEXT[18:]}}})'
PARAMETERS = {"shape": [1], "values": [["a", "b", Array("<f8", (1, 2), struct.pack("<2d", 0.5, 1))]]}
PARAMETERS_TEXT = '"shape": [1], "values": [["a", "b", array(<f8, [1, 2], h"000000000000e03f000000000000f03f")]]'
OBSERVABLES = {"shape": [3], "qubits": 2, "index": [0, 1, 0], "terms": [1, 2], "weights": [1, 0, 2],
               "coeffs": Array("<c16", (3,), struct.pack("<6d", 1, 0, 2, 0, 0.5, 0)),
               "bit_terms": small("|u1", 2, 1, 1), "indices": small("<u4", 0, 0, 1)}  # fmt: skip
OBSERVABLES_TEXT = (
    '"bit_terms": array(|u1, [3], h"020101"), "coeffs": array(<c16, [3], '
    'h"000000000000f03f000000000000000000000000000000400000000000000000000000000000e03f0000000000000000"), "index": '
    '[0, 1, 0], "indices": array(<u4, [3], h"000000000000000001000000"), "qubits": 2, "shape": [3], "terms": [1, 2], '
    '"weights": [1, 0, 2]'
)
PARAMETER = Typed("qiskit.Parameter", ("a", IDENTITY))
PARAMETER_TEXT = 'tag(qiskit.Parameter, ("a", h"00000000000000000000000000000010"))'
ELEMENT = Typed("qiskit.ParameterVectorElement", ("v", 2, 1, IDENTITY))
ELEMENT_TEXT = 'tag(qiskit.ParameterVectorElement, ("v", 2, 1, h"00000000000000000000000000000010"))'
RESULT = [{"results": [{"data": {}, "shots": 3, "success": True}], "success": True}, {"job_id": None}]
RESULT_TEXT = '[{"results": [{"data": {}, "shots": 3, "success": true}], "success": true}, {"job_id": nil}]'
SLICES = {0: ((2, 1), True, sliced(0, 1), sliced(0, 2))}
SLICES_TEXT = "map(0: ((2, 1), true, tag(slice, [0, 1, nil]), tag(slice, [0, 2, nil])))"
CHUNK = Typed("samplomatic.ChunkSpan", [FIRST, LAST, [Typed("samplomatic.ChunkPart", [0, 5])]])
CHUNK_TEXT = f"tag(samplomatic.ChunkSpan, [{TIMES}, [tag(samplomatic.ChunkPart, [0, 5])]])"
PAULIS = Typed("qiskit.PauliList", [Array("|b1", (1, 1), b"\0"), Array("|b1", (1, 1), b"\1"), Array("<i8", (1,), bytes(8))])
PAULIS_TEXT = (
    'tag(qiskit.PauliList, [array(|b1, [1, 1], h"00"), array(|b1, [1, 1], h"01"), array(<i8, [1], h"0000000000000000")])'
)
KET = [[[2], [1]], None, "dense", Array("<c16", (2, 1), struct.pack("<4d", 1, 0, 0, 0)), True]
KET_TEXT = f'[[[2], [1]], nil, "dense", array(<c16, [2, 1], h"000000000000f03f{"00" * 24}"), true]'
SKIPPED = Typed("pulser.AggregationMethod", 1)
SKIPPED_TEXT = "tag(pulser.AggregationMethod, 1)"

VALUES = [
    ("big-endian array", 'tag(numpy.array, (">f8", array(<f8, [1], h"000000000000f03f")))',
     Typed("numpy.array", (">f8", floats(1)))),
    ("array of text", 'tag(numpy.array, ("<U2", array(|u1, [2, 2], h"61006263")))',
     Typed("numpy.array", ("<U2", Array("|u1", (2, 2), b"a\0bc")))),
    ("array of days", 'tag(numpy.array, ("<M8[D]", array(<i8, [1], h"464d000000000000")))',
     Typed("numpy.array", ("<M8[D]", Array("<i8", (1,), (19782).to_bytes(8, "little"))))),
    ("array of objects", 'tag(numpy.objects, [[2], [nil, "a"]])', Typed("numpy.objects", [[2], [None, "a"]])),
    ("sparse matrix", ('tag(scipy.sparse, ["csr_matrix", [1, 2], array(<f8, [1], h"000000000000f03f"), '
                       'array(<u4, [1], h"01000000"), array(<u4, [2], h"0000000001000000")])'),
     Typed("scipy.sparse", ["csr_matrix", [1, 2], floats(1), small("<u4", 1), small("<u4", 0, 1)])),
    ("time", 'tag(datetime, "2024-02-29T00:00:00+00:00")', FIRST),
    ("time of a named zone", 'tag(datetime, ("2024-10-27T02:30:00+01:00", 1, "zoneinfo", "Europe/Berlin"))',
     Typed("datetime", ("2024-10-27T02:30:00+01:00", 1, "zoneinfo", "Europe/Berlin"))),
    ("date", 'tag(date, "2024-02-29")', Typed("date", "2024-02-29")),
    ("duration", "tag(timedelta, (-1, 2, 3))", Typed("timedelta", (-1, 2, 3))),
    ("range", "tag(range, [0, 4, 1])", Typed("range", [0, 4, 1])),
    ("frozen set", 'tag(frozenset, (1, "a"))', Typed("frozenset", (1, "a"))),
    ("quantum error", ('tag(aer.QuantumError, {"errors": [0], "operations": [], "probabilities": array(<f8, [1], '
                       'h"000000000000f03f"), "shapes": [[1, 0]], "terms": [[1]]})'),
     Typed("aer.QuantumError", {"operations": [], "terms": [[1]], "shapes": [[1, 0]], "errors": [0],
                                "probabilities": floats(1)})),
    ("readout error", f"tag(aer.ReadoutError, {ERRORS_TEXT})", Typed("aer.ReadoutError", ERRORS)),
    ("noise model", ('tag(aer.NoiseModel, {"basis_gates": [], "default": [], "default_readout": ' + ERRORS_TEXT +
                     ', "errors": [], "instructions": ["measure"], "local": [], "operations": [], '
                     '"probabilities": array(<f8, [0], h""), "qubits": [], "readout": [], "shapes": [], "terms": []})'),
     Typed("aer.NoiseModel", {"basis_gates": [], "instructions": ["measure"], "qubits": [], "default": [], "local": [],
                              "readout": [], "default_readout": ERRORS, "operations": [], "terms": [], "shapes": [], "errors": [],
                              "probabilities": floats()})),
    ("sparse Pauli", 'tag(qiskit.QubitSparsePauli, [2, array(|u1, [1], h"02"), array(<u4, [1], h"00000000")])',
     Typed("qiskit.QubitSparsePauli", [2, small("|u1", 2), small("<u4", 0)])),
    ("sparse Paulis", 'tag(qiskit.QubitSparsePauliList, [2, ["X", "YZ"], [0, 0, 1]])',
     Typed("qiskit.QubitSparsePauliList", [2, ["X", "YZ"], [0, 0, 1]])),
    ("sparse Pauli with a phase", ('tag(qiskit.PhasedQubitSparsePauli, [2, array(|u1, [1], h"02"), '
                                   'array(<u4, [1], h"00000000"), 1])'),
     Typed("qiskit.PhasedQubitSparsePauli", [2, small("|u1", 2), small("<u4", 0), 1])),
    ("sparse Paulis with phases", 'tag(qiskit.PhasedQubitSparsePauliList, [2, ["X"], [0], [1]])',
     Typed("qiskit.PhasedQubitSparsePauliList", [2, ["X"], [0], [1]])),
    ("Pauli Lindblad map", 'tag(qiskit.PauliLindbladMap, [2, ["X"], [0], array(<f8, [1], h"000000000000e03f")])',
     Typed("qiskit.PauliLindbladMap", [2, ["X"], [0], floats(0.5)])),
    ("scalar operator", "tag(qiskit.ScalarOp, [[2], 2])", Typed("qiskit.ScalarOp", [[2], 2])),
    ("Choi", f"tag(qiskit.Choi, [{ONE_TEXT}, [], []])", Typed("qiskit.Choi", [ONE, [], []])),
    ("Chi", f"tag(qiskit.Chi, [{ZEROS_TEXT}, [2], [2]])", Typed("qiskit.Chi", [ZEROS, [2], [2]])),
    ("PTM", f"tag(qiskit.PTM, [{ZEROS_TEXT}, [2], [2]])", Typed("qiskit.PTM", [ZEROS, [2], [2]])),
    ("Stinespring", f"tag(qiskit.Stinespring, [{ONE_TEXT}, nil, [], []])", Typed("qiskit.Stinespring", [ONE, None, [], []])),
    ("status", 'tag(qiskit.JobStatus, "DONE")', Typed("qiskit.JobStatus", "DONE")),
    ("result", f"tag(qiskit.Result, {RESULT_TEXT})", Typed("qiskit.Result", RESULT)),
    ("primitive result",
     f'tag(qiskit.PrimitiveResult, [[tag(qiskit.PubResult, [{DATA_TEXT}, {{"shots": 2}}])], {{"version": 2}}])',
     Typed("qiskit.PrimitiveResult", [[Typed("qiskit.PubResult", [DATA, {"shots": 2}])], {"version": 2}])),
    ("sampler's result with an attribute more", f'tag(qiskit.SamplerPubResult, [{DATA_TEXT}, {{}}, {{"note": "x"}}])',
     Typed("qiskit.SamplerPubResult", [DATA, {}, {"note": "x"}])),
    ("first sampler's result", ("tag(qiskit.SamplerResult, [[tag(qiskit.QuasiDistribution, [[map(0: 1.0), nil], 1, nil])], "
                                "[{}]])"),
     Typed("qiskit.SamplerResult", [[Typed("qiskit.QuasiDistribution", [[{0: 1.0}, None], 1, None])], [{}]])),
    ("first estimator's result", 'tag(qiskit.EstimatorResult, [array(<f8, [1], h"000000000000e03f"), [{}]])',
     Typed("qiskit.EstimatorResult", [floats(0.5), [{}]])),
    ("bindings", f"tag(qiskit.BindingsArray, {{{PARAMETERS_TEXT}}})", Typed("qiskit.BindingsArray", PARAMETERS)),
    ("observables", f"tag(qiskit.ObservablesArray, {{{OBSERVABLES_TEXT}}})", Typed("qiskit.ObservablesArray", OBSERVABLES)),
    ("sampler's PUB", f'tag(qiskit.SamplerPub, {{"circuit": {CIRCUIT_TEXT}, "parameters": {{{PARAMETERS_TEXT}}}, "shots": 7}})',
     Typed("qiskit.SamplerPub", {"parameters": PARAMETERS, "shots": 7, "circuit": CIRCUIT})),
    ("estimator's PUB", (f'tag(qiskit.EstimatorPub, {{"circuit": {CIRCUIT_TEXT}, "observables": {{{OBSERVABLES_TEXT}}}, '
                         f'"parameters": {{{PARAMETERS_TEXT}}}, "precision": 0.5}})'),
     Typed("qiskit.EstimatorPub", {"parameters": PARAMETERS, "observables": OBSERVABLES, "precision": 0.5, "circuit": CIRCUIT})),
    ("operation", f"tag(qiskit.Operation, {{{QPY_TEXT}}})", Typed("qiskit.Operation", QPY)),
    ("coupling map", "tag(qiskit.CouplingMap, [3, [0, 1, 1, 0], nil])", Typed("qiskit.CouplingMap", [3, [0, 1, 1, 0], None])),
    ("parameter vector", 'tag(qiskit.ParameterVector, ("v", 2, h"00000000000000000000000000000010"))',
     Typed("qiskit.ParameterVector", ("v", 2, IDENTITY))),
    ("expression", (f"tag(qiskit.ParameterExpression, [[{PARAMETER_TEXT}, {ELEMENT_TEXT}], "
                    '[["MUL", 2, {"parameter": 0}], ["ADD", {"parameter": 1}, nil]]])'),
     Typed("qiskit.ParameterExpression", [[PARAMETER, ELEMENT],
                                          [["MUL", 2, {"parameter": 0}], ["ADD", {"parameter": 1}, None]]])),
    ("runner's result", f"tag(ibm.RunnerResult, {RESULT_TEXT})", Typed("ibm.RunnerResult", RESULT)),
    ("estimator's result", f"tag(ibm.EstimatorPubResult, [{DATA_TEXT}, {{}}])", Typed("ibm.EstimatorPubResult", [DATA, {}])),
    ("calibrator's result", f"tag(ibm.CalibratorResult, [{TIMES}])", Typed("ibm.CalibratorResult", [FIRST, LAST])),
    ("no value", "tag(ibm.Unset, nil)", Typed("ibm.Unset", None)),
    ("spans", (f"tag(ibm.ExecutionSpans, [[tag(ibm.SliceSpan, [{TIMES}, map(0: ((2, 1), tag(slice, [0, 1, nil])))]), "
               f"tag(ibm.DoubleSliceSpan, [{TIMES}, map(0: ((2, 1), tag(slice, [0, 1, nil]), tag(slice, [0, 2, nil])))]), "
               f"tag(ibm.TwirledSliceSpan, [{TIMES}, {SLICES_TEXT}]), "
               f"tag(ibm.TwirledSliceSpanV2, [{TIMES}, {SLICES_TEXT}, map(0: 3)])]])"),
     Typed("ibm.ExecutionSpans", [[Typed("ibm.SliceSpan", [FIRST, LAST, {0: ((2, 1), sliced(0, 1))}]),
                                   Typed("ibm.DoubleSliceSpan", [FIRST, LAST, {0: ((2, 1), sliced(0, 1), sliced(0, 2))}]),
                                   Typed("ibm.TwirledSliceSpan", [FIRST, LAST, SLICES]),
                                   Typed("ibm.TwirledSliceSpanV2", [FIRST, LAST, SLICES, {0: 3}])]])),
    ("learned noise", (f"tag(ibm.NoiseLearnerResult, [[tag(ibm.LayerError, [{CIRCUIT_TEXT}, [3], "
                       f'tag(ibm.PauliLindbladError, [{PAULIS_TEXT}, array(<f8, [1], h"000000000000e03f")])])], {{}}])'),
     Typed("ibm.NoiseLearnerResult",
           [[Typed("ibm.LayerError", [CIRCUIT, [3], Typed("ibm.PauliLindbladError", [PAULIS, floats(0.5)])])], {}])),
    ("learned noise, third version", ('tag(ibm.NoiseLearnerV3Results, [[tag(ibm.NoiseLearnerV3Result, '
                                      '[[tag(qiskit.QubitSparsePauliList, [1, ["X"], [0]])], '
                                      'array(<f8, [1], h"000000000000e03f"), array(<f8, [1], h"0000000000000000"), {}])], nil])'),
     Typed("ibm.NoiseLearnerV3Results",
           [[Typed("ibm.NoiseLearnerV3Result", [[Typed("qiskit.QubitSparsePauliList", [1, ["X"], [0]])], floats(0.5), floats(0),
                                                {}])], None])),
    ("program", (f'tag(ibm.QuantumProgram, [1, [tag(samplomatic.CircuitItem, [{CIRCUIT_TEXT}, nil, array(<f8, [0], h"")]), '
                 f'tag(samplomatic.SamplexItem, [{CIRCUIT_TEXT}, tag(samplomatic.Samplex, ["{{}}", true]), {{}}, [4], 2])], '
                 '{}, "classified", nil, nil])'),
     Typed("ibm.QuantumProgram",
           [1, [Typed("samplomatic.CircuitItem", [CIRCUIT, None, floats()]),
                Typed("samplomatic.SamplexItem", [CIRCUIT, Typed("samplomatic.Samplex", ["{}", True]), {}, [4], 2])],
            {}, "classified", None, None])),
    ("samplomatic's program", 'tag(samplomatic.QuantumProgram, [1, [], {}, "classified", nil])',
     Typed("samplomatic.QuantumProgram", [1, [], {}, "classified", None])),
    ("program's result", ('tag(ibm.QuantumProgramResult, [[tag(ibm.QuantumProgramItemResult, [{"c": array(|b1, [1], h"01")}, '
                          'tag(ibm.ItemMetadata, [tag(ibm.SchedulerTiming, ["a", 3]), '
                          '[tag(ibm.StretchValues, ["s", 1, 0, [(1, 2)]])]])])], nil, '
                          f'tag(ibm.Metadata, [[{CHUNK_TEXT}]]), "sampler-v2"])'),
     Typed("ibm.QuantumProgramResult",
           [[Typed("ibm.QuantumProgramItemResult",
                   [{"c": Array("|b1", (1,), b"\1")},
                    Typed("ibm.ItemMetadata", [Typed("ibm.SchedulerTiming", ["a", 3]),
                                               [Typed("ibm.StretchValues", ["s", 1, 0, [(1, 2)]])]])])],
            None, Typed("ibm.Metadata", [[CHUNK]]), "sampler-v2"])),
    ("samplomatic's result", "tag(samplomatic.QuantumProgramResult, [[tag(samplomatic.QuantumProgramItemResult, [{}])], nil])",
     Typed("samplomatic.QuantumProgramResult", [[Typed("samplomatic.QuantumProgramItemResult", [{}])], None])),
    ("times of chunks", f"tag(samplomatic.ChunkTiming, [[{CHUNK_TEXT}]])", Typed("samplomatic.ChunkTiming", [[CHUNK]])),
    ("Fock state", 'tag(perceval.FockState, "|0,1>")', Typed("perceval.FockState", "|0,1>")),
    ("state of noisy photons", 'tag(perceval.NoisyFockState, "|{0}{1},0>")', Typed("perceval.NoisyFockState", "|{0}{1},0>")),
    ("state of polarized photons", 'tag(perceval.AnnotatedFockState, "|{P:H},1>")',
     Typed("perceval.AnnotatedFockState", "|{P:H},1>")),
    ("annotation", 'tag(perceval.Annotation, "P:H")', Typed("perceval.Annotation", "P:H")),
    ("logical state", 'tag(perceval.LogicalState, "|01>")', Typed("perceval.LogicalState", "|01>")),
    ("counts of photons", 'tag(perceval.BSCount, [array(|u1, [2, 2], h"00010100"), [3, 1]])',
     Typed("perceval.BSCount", [Array("|u1", (2, 2), b"\0\1\1\0"), [3, 1]])),
    ("samples of photons", 'tag(perceval.BSSamples, [["|1>", "|0,1>"], [1, 0, 1]])',
     Typed("perceval.BSSamples", [["|1>", "|0,1>"], [1, 0, 1]])),
    ("distribution of photons", 'tag(perceval.BSDistribution, [array(|u1, [2, 1], h"0001"), [0.25, 0.75], true])',
     Typed("perceval.BSDistribution", [Array("|u1", (2, 1), b"\0\1"), [0.25, 0.75], True])),
    ("vector of photons", ('tag(perceval.StateVector, [["|1>", tag(perceval.NoisyFockState, "|{0}>")], '
                           'array(<c16, [2], h"000000000000f03f000000000000000000000000000000000000000000000040")])'),
     Typed("perceval.StateVector", [["|1>", Typed("perceval.NoisyFockState", "|{0}>")],
                                    Array("<c16", (2,), struct.pack("<4d", 1, 0, 0, 2))])),
    ("mixture of photons", ('tag(perceval.SVDistribution, [array(|u1, [1, 1], h"01"), [1], [0], '
                            'array(<c16, [1], h"000000000000f03f0000000000000000"), [1.0]])'),
     Typed("perceval.SVDistribution", [Array("|u1", (1, 1), b"\1"), [1], [0], Array("<c16", (1,), struct.pack("<2d", 1, 0)),
                                       [1.0]])),
    ("density matrix of photons", ('tag(perceval.DensityMatrix, [1, 0, 0.5, array(<c16, [1], '
                                   'h"000000000000f03f0000000000000000"), array(<u4, [1], h"00000000"), '
                                   'array(<u4, [2], h"0000000001000000")])'),
     Typed("perceval.DensityMatrix", [1, 0, 0.5, Array("<c16", (1,), struct.pack("<2d", 1, 0)), small("<u4", 0),
                                      small("<u4", 0, 1)])),
    ("matrix", f"tag(perceval.Matrix, {ONE_TEXT})", Typed("perceval.Matrix", ONE)),
    ("symbolic matrix", 'tag(perceval.SymbolicMatrix, [[["Mul", ["I"], ["cos", "t"]], ["Rational", 1, 2]]])',
     Typed("perceval.SymbolicMatrix", [[["Mul", ["I"], ["cos", "t"]], ["Rational", 1, 2]]])),
    ("noise of a source", 'tag(perceval.NoiseModel, {"brightness": 0.5, "g2_distinguishable": false})',
     Typed("perceval.NoiseModel", {"g2_distinguishable": False, "brightness": 0.5})),
    ("source", ('tag(perceval.Source, {"emission_probability": 0.5, "indistinguishability": 1.0, "losses": 0.0, '
                '"multiphoton_component": 0.0, "multiphoton_model": "distinguishable", "simplify_distribution": false})'),
     Typed("perceval.Source", {"emission_probability": 0.5, "multiphoton_component": 0.0, "indistinguishability": 1.0,
                               "losses": 0.0, "multiphoton_model": "distinguishable", "simplify_distribution": False})),
    ("expression of parameters", ('tag(perceval.Expression, ["2*a", [tag(perceval.Parameter, {"fixed": false, "max": nil, '
                                  '"min": 0.0, "name": "a", "periodic": true, "value": nil})]])'),
     Typed("perceval.Expression", ["2*a", [Typed("perceval.Parameter", {"name": "a", "value": None, "min": 0.0, "max": None,
                                                                        "periodic": True, "fixed": False})]])),
    ("post-selection", 'tag(perceval.PostSelect, "[0] == 1")', Typed("perceval.PostSelect", "[0] == 1")),
    ("herald", 'tag(perceval.serialized, {"bytes": h"120168", "class": "Herald"})',
     Typed("perceval.serialized", {"class": "Herald", "bytes": b"\x12\x01h"})),
    ("command", 'tag(perceval.Command, ["samples", [["max_samples", "int", true], ["x", nil, false]], true])',
     Typed("perceval.Command", ["samples", [["max_samples", "int", True], ["x", None, False]], True])),
    ("computations", ('tag(perceval.ComputationIterator, [tag(perceval.Computation, {"command": tag(perceval.Command, '
                      '["c", [], false]), "experiment": nil, "job_group_name": nil, "job_name": "c", "parameters": {}}), '
                      '[{"max_shots": 10}]])'),
     Typed("perceval.ComputationIterator",
           [Typed("perceval.Computation", {"command": Typed("perceval.Command", ["c", [], False]), "experiment": None,
                                           "parameters": {}, "job_name": "c", "job_group_name": None}), [{"max_shots": 10}]])),
    ("specs", 'tag(perceval.PlatformSpecs, {"description": "d"})', Typed("perceval.PlatformSpecs", {"description": "d"})),
    ("mitigation", 'tag(perceval.mitigation, {"class": "CompilationAveraging", "repetitions": 3, "starting_seed": nil})',
     Typed("perceval.mitigation", {"class": "CompilationAveraging", "repetitions": 3, "starting_seed": None})),
    ("member of an enum", 'tag(perceval.enum, ("Encoding", "RAW"))', Typed("perceval.enum", ("Encoding", "RAW"))),
    ("counter", 'tag(counter, {"01": 3, "10": 1})', Typed("counter", {"01": 3, "10": 1})),
    ("quantum object", f'tag(qutip.Qobj, {KET_TEXT})', Typed("qutip.Qobj", KET)),
    ("sparse quantum object", ('tag(qutip.Qobj, [[[2], [2]], nil, "dia", array(<c16, [1, 2], '
                               'h"000000000000f03f0000000000000000000000000000f03f0000000000000000"), '
                               'array(<i4, [1], h"00000000")])'),
     Typed("qutip.Qobj", [[[2], [2]], None, "dia", Array("<c16", (1, 2), struct.pack("<4d", 1, 0, 1, 0)),
                          Array("<i4", (1,), bytes(4))])),
    ("state", f'tag(pulser.QutipState, [("r", "g"), {{"r": 1.0}}, tag(qutip.Qobj, {KET_TEXT})])',
     Typed("pulser.QutipState", [("r", "g"), {"r": 1.0}, Typed("qutip.Qobj", KET)])),
    ("operator", ('tag(pulser.QutipOperator, [("r", "g"), 1, [(0.5, [({"gr": 1.0}, [0])])], '
                  f'tag(qutip.Qobj, [[[1], [1]], nil, "dense", {ONE_TEXT}, false])])'),
     Typed("pulser.QutipOperator", [("r", "g"), 1, [(0.5, [({"gr": 1.0}, [0])])],
                                    Typed("qutip.Qobj", [[[1], [1]], None, "dense", ONE, False])])),
    ("state without an emulator", 'tag(pulser.StateRepr, [("r", "g"), {"rg": 1.0}])',
     Typed("pulser.StateRepr", [("r", "g"), {"rg": 1.0}])),
    ("operator without an emulator", 'tag(pulser.OperatorRepr, [("r", "g"), 1, [(2.0, [({"rr": 1.0}, set(0))])]])',
     Typed("pulser.OperatorRepr", [("r", "g"), 1, [(2.0, [({"rr": 1.0}, {0})])]])),
    ("array of Pulser's", 'tag(pulser.AbstractArray, array(<f8, [1], h"000000000000e03f"))',
     Typed("pulser.AbstractArray", floats(0.5))),
    ("noise of atoms", ('tag(pulser.NoiseModel, {"eff_noise_rates": (), "laser_waist": nil, "noise_types": ("doppler"), '
                        '"temperature": 50.0})'),
     Typed("pulser.NoiseModel", {"noise_types": ("doppler",), "temperature": 50.0, "laser_waist": None, "eff_noise_rates": ()})),
    ("solver", 'tag(pulser.Solver, "MonteCarlo")', Typed("pulser.Solver", "MonteCarlo")),
    ("observables of states", (f'[tag(pulser.StateResult, [nil, nil, {SKIPPED_TEXT}]), tag(pulser.BitStrings, '
                               f'[array(<f8, [1], h"000000000000e03f"), "x", {SKIPPED_TEXT}, 100, "g"]), '
                               f'tag(pulser.Occupation, [nil, nil, {SKIPPED_TEXT}, nil]), '
                               f'tag(pulser.CorrelationMatrix, [nil, nil, {SKIPPED_TEXT}, "r"])]'),
     [Typed("pulser.StateResult", [None, None, SKIPPED]), Typed("pulser.BitStrings", [floats(0.5), "x", SKIPPED, 100, "g"]),
      Typed("pulser.Occupation", [None, None, SKIPPED, None]), Typed("pulser.CorrelationMatrix", [None, None, SKIPPED, "r"])]),
    ("observables with an operand", (f'[tag(pulser.Fidelity, [nil, nil, {SKIPPED_TEXT}, tag(pulser.StateRepr, [["r"], nil])]), '
                                     f'tag(pulser.Expectation, [nil, nil, {SKIPPED_TEXT}, '
                                     'tag(pulser.OperatorRepr, [nil, nil, nil])])]'),
     [Typed("pulser.Fidelity", [None, None, SKIPPED, Typed("pulser.StateRepr", [["r"], None])]),
      Typed("pulser.Expectation", [None, None, SKIPPED, Typed("pulser.OperatorRepr", [None, None, None])])]),
    ("observables of energy", (f'[tag(pulser.Energy, [nil, nil, {SKIPPED_TEXT}]), '
                               f'tag(pulser.EnergyVariance, [nil, nil, {SKIPPED_TEXT}]), '
                               f'tag(pulser.EnergySecondMoment, [nil, nil, {SKIPPED_TEXT}])]'),
     [Typed(f"pulser.{name}", [None, None, SKIPPED]) for name in ("Energy", "EnergyVariance", "EnergySecondMoment")]),
]  # fmt: skip
