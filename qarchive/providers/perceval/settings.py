"""What Perceval computes with <-> plain values: noise, parameters, selection, matrices, commands, mitigations, enums."""

from collections.abc import Callable
from typing import Any

from ...errors import BadInput, NotEncodable
from ...values import Array, Typed
from ..sdk import sdk
from .expressions import check_formula, check_name, pack_symbols, read_symbols, unpack_symbols
from .serialized import check_postselect

_NOISE = ("brightness", "g2", "g2_distinguishable", "indistinguishability", "phase_error", "phase_imprecision", "transmittance")
_SOURCE = ("emission_probability", "multiphoton_component", "indistinguishability", "losses", "multiphoton_model")
_TYPES = {"int": int, "str": str, "float": float, "bool": bool, "dict": dict, "list": list}
_ENUMS = {
    "Encoding": "perceval.utils",
    "InterferometerShape": "perceval.utils",
    "FileFormat": "perceval.utils",
    "ModeType": "perceval.utils",
    "ProcessorType": "perceval.utils",
    "PortLocation": "perceval.components",
    "DetectionType": "perceval.components",
    "BSConvention": "perceval.components.unitary_components",
    "PauliType": "perceval.components._pauli",
    "PauliEigenStateType": "perceval.components._pauli",
    "RunningStatus": "perceval.runtime",
    "MitigationLevel": "perceval.runtime",
    "Format": "perceval.rendering.format",
}
# Attributes of the classes of mitigations; all of them, so that nothing else can be there unseen.
_MITIGATIONS: dict[str, tuple[str, ...]] = {
    "CompilationAveraging": ("repetitions", "starting_seed"),
    "DistinguishablePhotonMitigation": ("_order",),
    "DetectorBalancing": (),
    "PhotonRecycling": (),
    "MitigationFactory": ("_mitigations",),
    "Imperfections": ("noise", "detectors"),
}
_COMPUTATION = ("command", "experiment", "parameters", "job_name", "job_group_name")


def _module(name: str = "perceval") -> Any:
    return sdk(name, "a setting of Perceval's", "perceval")


def _own(value, known: tuple, part) -> None:
    """Tells attributes beside the known ones."""
    for name in sorted(set(vars(value)) - set(known)):
        part.note(f"attributes.{name}", f"an attribute that a {type(value).__name__} does not have by itself")


# Noise and sources


def _noise(value, part) -> Typed:
    """What differs from no noise: a default that was given compares equal to one that was not."""
    plain = {}
    defaults = type(value)()
    for name in _NOISE:
        found, default = getattr(value, name), getattr(defaults, name)
        if found == default:
            continue
        number = found if type(found) is bool else float(found)
        if number != found:
            part.note(name, f"a {type(found).__name__} that no float is equal to")
        plain[name] = number
    return Typed("perceval.NoiseModel", plain)


def _new_noise(plain, whole):
    unknown = sorted(plain.keys() - set(_NOISE))
    if unknown:
        raise BadInput("a stored NoiseModel", f"it has {', '.join(unknown)}")
    return _module().NoiseModel(**plain)


def _source(value, part) -> Typed:
    _own(value, ("_source", "simplify_distribution", "_sampler"), part)
    plain = {name: getattr(value, name) for name in (*_SOURCE, "simplify_distribution")}
    return Typed("perceval.Source", {name: part(item, name) for name, item in plain.items()})


def _new_source(plain, whole):
    made = _module().Source(**{name: whole(plain[name]) for name in _SOURCE})
    made.simplify_distribution = whole(plain["simplify_distribution"])
    return made


# Parameters


def _parameter(value, part) -> Typed:
    found = {"name": value.name, "value": value._value, "min": value.min, "max": value.max, "periodic": value._periodic}
    found["fixed"] = value.fixed
    if hasattr(found["value"], "free_symbols"):
        found["value"] = float(found["value"])
    return Typed("perceval.Parameter", {name: part(item, name) for name, item in found.items()})


def _new_parameter(plain, whole):
    found = {name: whole(item) for name, item in plain.items()}
    check_name(found["name"])
    made = _module().Parameter(found["name"])
    if found["fixed"]:
        made._symbol = None
    made._value, made._min, made._max, made._periodic = (found[name] for name in ("value", "min", "max", "periodic"))
    return made


def _expression(value, part) -> Typed:
    text = value.name[1:-1]
    check_or_refuse(text)
    parameters = [part(parameter, f"parameters.{parameter.name}") for parameter in value.parameters]
    return Typed("perceval.Expression", [text, parameters])


def check_or_refuse(text: str) -> None:
    """Raises NotEncodable for a formula that would not be read back."""
    try:
        check_formula(text)
    except BadInput as error:
        raise NotEncodable(str(error)) from None


def _new_expression(parts, whole):
    text, parameters = parts
    check_formula(text)
    return _module().Expression(text, set(map(whole, parameters)))


def _new_postselect(text, whole):
    check_postselect(text)
    try:
        return _module().PostSelect(text)
    except RuntimeError as error:
        raise BadInput("a stored post-selection", str(error)) from None


# Matrices


def _matrix(value, part) -> Typed:
    return Typed("perceval.Matrix", Array.of(sdk("numpy").asarray(value)))


def _new_matrix(array, whole):
    return array.numpy().view(_module("perceval.utils.matrix").MatrixN)


# What is computed


def _command(value, part) -> Typed:
    _own(value, ("name", "signature", "apply_emt"), part)
    signature = []
    for name, kind, mandatory in value.signature:
        text = None if kind is None else getattr(kind, "__name__", "")
        if text is not None and _TYPES.get(text) is not kind:
            raise NotEncodable(f"a command whose argument {name!r} is a {text or kind!r}")
        signature.append([name, text, mandatory])
    return Typed("perceval.Command", [value.name, part(signature, "signature"), value.apply_emt])


def _new_command(parts, whole):
    name, signature, mitigated = parts
    found = [(argument, None if kind is None else _TYPES[kind], mandatory) for argument, kind, mandatory in whole(signature)]
    return _module("perceval.runtime").Command(name, found, mitigated)


def _computation(value, part) -> Typed:
    _own(value, _COMPUTATION, part)
    return Typed("perceval.Computation", {name: part(getattr(value, name), name) for name in _COMPUTATION})


def _new_computation(plain, whole):
    found = {name: whole(item) for name, item in plain.items()}
    made = _module("perceval.runtime").Computation(found["command"], found["experiment"])
    for name in _COMPUTATION[2:]:
        setattr(made, name, found[name])
    return made


def _iterator(value, part) -> Typed:
    _own(value, ("base_computation", "_iterations"), part)
    parts = [part(value.base_computation, "base_computation"), part(value.iterations, "iterations")]
    return Typed("perceval.ComputationIterator", parts)


def _new_iterator(parts, whole):
    made = _module("perceval.runtime").ComputationIterator(whole(parts[0]))
    made._iterations = whole(parts[1])  # add_iteration would refuse those of experiments that were changed afterwards
    return made


def _specs(value, part) -> Typed:
    return Typed("perceval.PlatformSpecs", part(dict(value.items()), "specs"))


def _mitigation(value, part) -> Typed:
    name = type(value).__name__
    known = _MITIGATIONS[name]
    _own(value, known, part)
    return Typed("perceval.mitigation", {"class": name, **{key.lstrip("_"): part(getattr(value, key), key) for key in known}})


def _new_mitigation(plain, whole):
    name = plain["class"]
    if name not in _MITIGATIONS:
        raise BadInput(f"a stored mitigation of class {name!r}", "it is not one of Perceval's")
    kind = getattr(_module("perceval.runtime"), name)
    made = kind.__new__(kind)
    for key in _MITIGATIONS[name]:
        setattr(made, key, whole(plain[key.lstrip("_")]))
    return made


# Small ones


def _enum(value, part) -> Typed:
    return Typed("perceval.enum", (type(value).__name__, value.name))  # a tuple, since it can be a key


def _new_enum(parts, whole):
    kind, name = parts
    if kind not in _ENUMS:
        raise BadInput(f"a stored {kind!r}", "it is not one of Perceval's enums")
    members = getattr(_module(_ENUMS[kind]), kind).__members__
    if name not in members:
        raise BadInput(f"a stored {kind}", f"{name!r} is not among {', '.join(members)}")
    return members[name]


def _logical(value, part) -> Typed:
    if not {0, 1}.issuperset(value) or {type(bit) for bit in value} - {int}:
        raise NotEncodable("a logical state of other things than 0 and 1")
    return Typed("perceval.LogicalState", str(value))


def _new_logical(text, whole):
    return _module().LogicalState(text[1:-1])


ENCODERS: dict[str, Callable] = {
    "NoiseModel": _noise,
    "Source": _source,
    "Parameter": _parameter,
    "Expression": _expression,
    "PostSelect": lambda value, part: Typed("perceval.PostSelect", str(value)),
    "MatrixN": _matrix,
    "MatrixS": lambda value, part: pack_symbols(value),
    "Command": _command,
    "Computation": _computation,
    "ComputationIterator": _iterator,
    "PlatformSpecs": _specs,
    "LogicalState": _logical,
    **dict.fromkeys(_MITIGATIONS, _mitigation),
    **dict.fromkeys(_ENUMS, _enum),
}
DECODERS: dict[str, Callable] = {
    "perceval.NoiseModel": _new_noise,
    "perceval.Source": _new_source,
    "perceval.Parameter": _new_parameter,
    "perceval.Expression": _new_expression,
    "perceval.PostSelect": _new_postselect,
    "perceval.Matrix": _new_matrix,
    "perceval.SymbolicMatrix": unpack_symbols,
    "perceval.Command": _new_command,
    "perceval.Computation": _new_computation,
    "perceval.ComputationIterator": _new_iterator,
    "perceval.PlatformSpecs": lambda plain, whole: _module("perceval.runtime").PlatformSpecs(whole(plain)),
    "perceval.LogicalState": _new_logical,
    "perceval.mitigation": _new_mitigation,
    "perceval.enum": _new_enum,
}
READERS: dict[str, Callable] = {
    "perceval.SymbolicMatrix": read_symbols,
    "perceval.enum": lambda parts, read: parts[1],
    "perceval.PostSelect": lambda text, read: text,
    "perceval.LogicalState": lambda text, read: text,
}
