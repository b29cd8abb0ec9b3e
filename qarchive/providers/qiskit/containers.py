"""Containers of Qiskit's primitives <-> plain values: results, data bins, bit arrays, bindings, observables, PUBs.

`ENCODERS` and `DECODERS` extend the tables of `qiskit_values`, whose `to_plain` and `from_plain` are the way in.
"""

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

from ...columns import integers, items
from ...errors import NotEncodable
from ...values import Array, Typed
from ..attributes import Form, tables
from ..limits import number_of
from ..sdk import sdk
from .results import pack_result, unpack_dict
from .values import Part, from_plain

_PRIMITIVES = "qiskit.primitives."
_SAMPLER_PUB = (_PRIMITIVES + "containers.sampler_pub", "SamplerPub")
_ESTIMATOR_PUB = (_PRIMITIVES + "containers.estimator_pub", "EstimatorPub")
_BINDINGS = (_PRIMITIVES + "containers.bindings_array", "BindingsArray")
_DATA_BIN = (_PRIMITIVES + "containers.data_bin", "DataBin")
_OBSERVABLES = (_PRIMITIVES + "containers.observables_array", "ObservablesArray")


def pub_to_plain(pub: Any) -> dict:
    """A SamplerPub or EstimatorPub without its circuit, which stands apart.

    "parameters": {"shape", "values"}, the latter a list of [name, ..., array of shape (*shape, number of names)] in the order
    of the bindings; "observables" (`spec/tags.md`) for an EstimatorPub and no other; "shots" or "precision" where it has one.
    Raises NotEncodable, also for a subclass of the two.
    """
    kind = _name(pub)
    if kind not in (_SAMPLER_PUB, _ESTIMATOR_PUB):
        raise NotEncodable(f"a {'.'.join(kind)} instead of a PUB")
    return _pub(pub, Part(None, ""))


def pub_from_plain(value: dict, circuit: Any) -> Any:
    """The PUB of `pub_to_plain`, with its circuit: an EstimatorPub where there are observables, else a SamplerPub.

    Raises MissingExtra.
    """
    bindings = _new_bindings(value["parameters"])
    if "observables" not in value:
        return _class(_SAMPLER_PUB)(circuit, bindings, from_plain(value.get("shots")), validate=False)
    observables = _new_observables(value["observables"])
    return _class(_ESTIMATOR_PUB)(circuit, observables, bindings, from_plain(value.get("precision")), validate=False)


def _pub(pub, part: Part) -> dict:
    sampler = _name(pub) == _SAMPLER_PUB
    plain = {"parameters": _exactly(_BINDINGS, pub.parameter_values, part, "parameters").value}
    if not sampler:
        plain["observables"] = _exactly(_OBSERVABLES, pub.observables, part, "observables").value
    name = "shots" if sampler else "precision"
    number = getattr(pub, name)
    if number is not None:
        plain[name] = part(number, name)
    return plain


def _exactly(kind, value, part, name) -> Typed:
    if _name(value) != kind:
        raise NotEncodable(f"{name} of class {'.'.join(_name(value))}")
    return part(value, name)


def _whole_pub(tag: str) -> Callable:
    return lambda value, part: Typed(tag, {**_pub(value, part), "circuit": part(value.circuit, "circuit")})


def _new_pub(value, whole):
    return pub_from_plain(value, whole(value["circuit"]))


def _name(value) -> tuple[str, str]:
    return type(value).__module__, type(value).__qualname__


def _class(names: tuple[str, str]) -> Any:
    module, name = names
    return getattr(sdk(module, "results and PUBs of Qiskit's primitives"), name)


def _bindings(bindings, part: Part) -> dict:
    values = [[*names, part(array, str(place))] for place, (names, array) in enumerate(bindings.data.items())]
    return {"shape": list(bindings.shape), "values": values}


def _new_bindings(value):
    data = {tuple(names): array.numpy() for *names, array in value["values"]}
    return _class(_BINDINGS)(data, shape=tuple(value["shape"]))


def _observables(observables, part: Part) -> dict:
    """The fields of an ObservablesArray; distinct observables once, one after another in columns."""
    array = observables._array
    entries = array.reshape(-1).tolist()
    qubits = getattr(observables, "num_qubits", None)
    plain: dict[str, Any] = {"shape": list(array.shape), "qubits": qubits}
    sparse = sdk("qiskit.quantum_info").SparseObservable
    if not all(type(entry) is sparse and entry.num_qubits == qubits for entry in entries):
        return plain | {"entries": part(entries, "entries")}
    numpy = sdk("numpy")
    places: dict[tuple, int] = {}
    index, columns = [], []
    for entry in entries:
        raw = [numpy.asarray(column) for column in (entry.coeffs, entry.bit_terms, entry.indices, entry.boundaries)]
        place = places.setdefault(tuple(column.tobytes() for column in raw), len(places))
        if place == len(columns):
            columns.append(raw)
        index.append(place)
    if len(columns) < len(index):
        plain["index"] = integers(index)
    plain["terms"] = integers([len(coeffs) for coeffs, *_ in columns])
    plain["weights"] = integers([end - start for *_, ends in columns for start, end in pairwise(ends.tolist())])
    for place, (name, dtype) in enumerate((("coeffs", "c16"), ("bit_terms", "u1"), ("indices", "u4"))):
        plain[name] = Array.of(numpy.concatenate([numpy.empty(0, dtype), *(raw[place] for raw in columns)]))
    return plain


def _new_observables(value):
    numpy = sdk("numpy")
    entries = from_plain(value["entries"]) if "entries" in value else _entries(value)
    array = numpy.empty(len(entries), dtype=object)
    for place, entry in enumerate(entries):  # one by one: numpy would take an observable for a sequence of its terms
        array[place] = entry
    kind = _class(_OBSERVABLES)
    qubits = {"num_qubits": value["qubits"]} if hasattr(kind, "num_qubits") else {}  # newer than the class
    return kind(array.reshape(value["shape"]), copy=False, validate=False, **qubits)


def _entries(value) -> list:
    make = sdk("qiskit.quantum_info").SparseObservable.from_raw_parts
    qubits = value["qubits"]
    coeffs, bit_terms, indices = (value[name].numpy() for name in ("coeffs", "bit_terms", "indices"))
    ends = list(accumulate(items(value["weights"]), initial=0))  # of the letters of every term
    numpy = sdk("numpy")
    bounds = numpy.array(ends, dtype=numpy.uintp)
    found, term = [], 0
    for count in items(value["terms"]):
        letters = slice(ends[term], ends[term + count])
        inside = bounds[term : term + count + 1] - bounds[term]
        found.append((coeffs[term : term + count], bit_terms[letters], indices[letters], inside))
        term += count
    # SparseObservable can be altered in place, so each place of the array has one of its own
    index = items(value["index"]) if "index" in value else range(len(found))
    return [make(qubits, *found[place]) for place in index]


def _data_bin(value, part: Part) -> Typed:
    fields = part(value._data, "data")
    names = [name for name in value._data if name in fields]
    return Typed("qiskit.DataBin", [list(value._shape), names, [fields[name] for name in names]])


def _new_data_bin(parts, whole):
    shape, names, values = parts
    return _class(_DATA_BIN)(shape=tuple(shape), **dict(zip(names, map(whole, values), strict=True)))


def _new_bit_array(kind, bits, array):
    return kind(array, bits)


def _distribution(name: str, *attributes: str) -> tuple[Callable, Callable]:
    """(encoder, decoder) of a distribution: [data, shots] and attributes that a constructor given integers cannot know."""
    tag = f"qiskit.{name}"

    def encode(value, part):
        content = [part(dict(value), "data"), part(value.shots, "shots")]
        return Typed(tag, [content, *(part(getattr(value, attribute), attribute) for attribute in attributes)])

    def decode(parts, whole):
        (data, shots), *hidden = parts
        value = getattr(sdk("qiskit.result"), name)(whole(data), shots=whole(shots))
        vars(value).update(zip(attributes, map(whole, hidden), strict=True))
        return value

    return encode, decode


def _counts(value, part):
    data = dict(value) if value.hex_raw is None else value.hex_raw
    hidden = [getattr(value, name) for name in ("time_taken", "creg_sizes", "memory_slots")]
    plain = [part(data, "data"), *(part(item, "hidden") for item in hidden)]
    if dict(_make_counts(data, *hidden)) != dict(value):
        plain.append(part(dict(value), "changed"))
    return Typed("qiskit.Counts", plain)


def _make_counts(data, time_taken, creg_sizes, memory_slots):
    return sdk("qiskit.result").Counts(data, time_taken=time_taken, creg_sizes=creg_sizes, memory_slots=memory_slots)


def _new_counts(parts, whole):
    given, changed = list(map(whole, parts[:4])), parts[4:]
    counts = _make_counts(*given)
    if changed:
        counts.clear()
        counts.update(whole(changed[0]))
    return counts


def result_encoder(tag: str) -> Callable:
    """An encoder of a Result that stands in a value, or of a subclass: the same two values as of one that stands alone."""
    return lambda value, part: Typed(tag, list(pack_result(value, part.gaps())))


def result_decoder(module: str, name: str, extra: str) -> Callable:
    return lambda parts, whole: getattr(sdk(module, "a result", extra), name).from_dict(unpack_dict(*parts))


def _coupling_map(value, part):
    edges = [number for edge in value.graph.edge_list() for number in edge]
    nodes = value.graph.nodes()  # what stands at each: its number where it was added by itself, else nothing
    known = part(list(nodes), "qubits") if any(node is not None for node in nodes) else len(nodes)
    return Typed("qiskit.CouplingMap", [known, integers(edges), part(value.description, "description")])


def _new_coupling_map(parts, whole):
    nodes, edges, description = parts
    numbers = items(edges)
    coupling_map = sdk("qiskit.transpiler").CouplingMap(description=whole(description))
    coupling_map.graph.add_nodes_from([None] * number_of(nodes, "qubits") if type(nodes) is int else nodes)
    coupling_map.graph.extend_from_edge_list(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return coupling_map


_RESULTS = "qiskit.result."
_FORMS = [
    Form(f"qiskit.{name}", tuple((_PRIMITIVES + place, name) for place in (module, module.removesuffix("_v1"))), attributes)
    for module, name, attributes in (
        ("containers.primitive_result", "PrimitiveResult", ("_pub_results", "_metadata")),
        ("containers.pub_result", "PubResult", ("_data", "_metadata")),
        ("containers.sampler_pub_result", "SamplerPubResult", ("_data", "_metadata")),
        ("base.sampler_result_v1", "SamplerResult", ("quasi_dists", "metadata")),
        ("base.estimator_result_v1", "EstimatorResult", ("values", "metadata")),
    )
] + [
    Form("qiskit.BitArray", ((_PRIMITIVES + "containers.bit_array", "BitArray"),), ("_num_bits", "_array"),
         make=_new_bit_array, derived=("_shape",)),
]  # fmt: skip

_FORM_ENCODERS, _FORM_DECODERS = tables(_FORMS)
_ENCODE_PROBABILITIES, _NEW_PROBABILITIES = _distribution("ProbDistribution", "_num_bits")
_ENCODE_QUASI, _NEW_QUASI = _distribution("QuasiDistribution", "_num_bits", "_stddev_upper_bound")

ENCODERS: dict[tuple[str, str], Callable] = {
    **_FORM_ENCODERS,
    _DATA_BIN: _data_bin,
    _SAMPLER_PUB: _whole_pub("qiskit.SamplerPub"),
    _ESTIMATOR_PUB: _whole_pub("qiskit.EstimatorPub"),
    _BINDINGS: lambda value, part: Typed("qiskit.BindingsArray", _bindings(value, part)),
    _OBSERVABLES: lambda value, part: Typed("qiskit.ObservablesArray", _observables(value, part)),
    (_RESULTS + "distributions.probability", "ProbDistribution"): _ENCODE_PROBABILITIES,
    (_RESULTS + "distributions.quasi", "QuasiDistribution"): _ENCODE_QUASI,
    (_RESULTS + "counts", "Counts"): _counts,
    (_RESULTS + "result", "Result"): result_encoder("qiskit.Result"),
    (_RESULTS + "models", "MeasLevel"): lambda value, part: Typed("qiskit.MeasLevel", int(value)),
    (_RESULTS + "models", "MeasReturnType"): lambda value, part: Typed("qiskit.MeasReturnType", value.value),
    ("qiskit.providers.jobstatus", "JobStatus"): lambda value, part: Typed("qiskit.JobStatus", value.name),
    ("qiskit.transpiler.coupling", "CouplingMap"): _coupling_map,
}

DECODERS: dict[str, Callable] = {
    **_FORM_DECODERS,
    "qiskit.DataBin": _new_data_bin,
    "qiskit.SamplerPub": _new_pub,
    "qiskit.EstimatorPub": _new_pub,
    "qiskit.BindingsArray": lambda value, whole: _new_bindings(value),
    "qiskit.ObservablesArray": lambda value, whole: _new_observables(value),
    "qiskit.ProbDistribution": _NEW_PROBABILITIES,
    "qiskit.QuasiDistribution": _NEW_QUASI,
    "qiskit.Counts": _new_counts,
    "qiskit.Result": result_decoder("qiskit.result", "Result", "aer"),
    "qiskit.MeasLevel": lambda number, whole: sdk("qiskit.result.models").MeasLevel(number),
    "qiskit.MeasReturnType": lambda name, whole: sdk("qiskit.result.models").MeasReturnType(name),
    "qiskit.JobStatus": lambda name, whole: sdk("qiskit.providers").JobStatus[name],
    "qiskit.CouplingMap": _new_coupling_map,
}
