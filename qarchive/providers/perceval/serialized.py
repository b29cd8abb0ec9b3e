"""Circuits, experiments, components, detectors and ports of Perceval <-> its own serialization, and what that leaves out.

Perceval writes them as protobuf messages. They are kept as bytes, in the order that protobuf calls deterministic: text in base64
of them is longer and compresses worse. Beside them stands what Perceval does not write or does not read back.
"""

import copy
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any
from zlib import decompress

from ...errors import BadInput, NotEncodable, QArchiveError
from ...values import Typed
from ..sdk import sdk
from .expressions import check_formula, check_name
from .states import unpack_state

_COMPONENTS = ("FFCircuitProvider", "FFConfigurator", "LC", "TD", "BS", "Barrier", "HWP", "PBS", "PERM", "PR", "PS", "QWP",
               "Unitary", "WP")  # fmt: skip
# Class: (Perceval's tag, protobuf's message).
_FORMS = {
    "Circuit": ("ACircuit", "Circuit"),
    "GenericInterferometer": ("ACircuit", "Circuit"),
    "Experiment": ("Experiment", "Experiment"),
    "CompiledCircuit": ("CompiledCircuit", "CompiledCircuit"),
    "CompiledCircuitVersion": ("CompiledCircuitVersion", "CompiledCircuitVersion"),
    "Herald": ("Herald", "Herald"),
    "Port": ("Port", "Port"),
    "Detector": ("Detector", "Detector"),
    "BSLayeredPPNR": ("BSLayeredDetector", "BSLayeredPPNR"),
    **dict.fromkeys(_COMPONENTS, ("Component", "Component")),
}
_MESSAGES = {"Matrix": "Matrix", **dict(_FORMS.values())}  # by Perceval's tag
_INPUTS = (":PCVL:BasicState:", ":PCVL:StateVector:", ":PCVL:SVDistribution:")
_ATTRIBUTES = {
    "Circuit": frozenset({"_m", "_name", "_params", "_vars", "_components"}),
    "Experiment": frozenset(
        "_input_state name _min_detected_photons_filter _noise_changed_observers _phase_noise _noise _in_ports _out_ports"
        " _postselect _is_unitary _has_td _has_feedforward _anon_herald_num _components _detectors detectors_injected"
        " _in_mode_type _out_mode_type _m".split()
    ),
}
_MOST_MODES, _MOST_NESTED = 4096, 64
# Perceval keeps the names of these; those that it gives to heralds it counts up again.
_NAMED = frozenset(_FORMS) - frozenset(_COMPONENTS) | {"FFConfigurator", "FFCircuitProvider"}


def _pack(value, part) -> Typed:
    kind = type(value).__name__
    plain: dict[str, Any] = {"class": kind}
    for name in sorted(vars(value).keys() - _ATTRIBUTES[kind]) if kind in _ATTRIBUTES else ():
        part.note(f"attributes.{name}", "an attribute that Perceval does not serialize")
    source = value
    if kind == "Experiment":
        if value.min_photons_filter == 0 and value.min_photons_filter is not None:
            plain["min_photons_filter"] = 0  # Perceval writes it as if there were none
        if type(value.input_state).__name__ == "SVDistribution":
            plain["input_state"] = part(value.input_state, "input_state")
            source = copy.copy(value)  # to serialize a state vector normalises it in place, and rounds
            source._input_state = None
    source = _with_names(source)
    plain |= _inside(value, part)
    if any(parameter._is_expression and parameter.defined for _, parameter in _parameters(source)):
        source = copy.deepcopy(source)  # what has values is written as numbers: without the formula
        for _, parameter in _parameters(source):
            for variable in _variables(parameter):
                variable.reset()
        for _, parameter in _parameters(source):
            if parameter._is_expression and parameter.defined:
                part.note(
                    f"parameters.{parameter.name}", "a formula of parameters that are fixed, which Perceval writes as a number"
                )
    try:
        message = _message(kind, _binary(kind, source))
        _check(message)
    except BadInput as error:
        part.note("formulas", f"kept, and not read back: {error}")
    except (NotEncodable, NotImplementedError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        raise NotEncodable(f"a {kind} that Perceval cannot serialize: {str(error)[:200]}") from None
    return Typed("perceval.serialized", {**plain, "bytes": message.SerializeToString(deterministic=True)})


def _with_names(value) -> Any:
    """The object itself, or a copy whose detectors without a name have an empty one: Perceval does not serialize them."""
    if _is_detector(value) and value._name is None:
        value = copy.copy(value)
        value._name = ""
    elif any(detector is not None and detector._name is None for detector in getattr(value, "_detectors", ())):
        value = copy.copy(value)
        value._detectors = [detector and _with_names(detector) for detector in value._detectors]
    return value


def _binary(kind: str, value) -> bytes:
    if _FORMS[kind][0] == "Component":  # the function for all would make a circuit of it
        return sdk("perceval.serialization._circuit_serialization").serialize_component(value).SerializeToString()
    return b64decode(sdk("perceval.serialization").serialize(value, compress=False).split(":", 3)[3])


def _message(kind: str, raw: bytes) -> Any:
    message = getattr(sdk("exqalibur.serialization.circuit_pb2", "a circuit", "perceval"), _FORMS[kind][1])()
    message.ParseFromString(raw)
    return message


def _inside(value, part) -> dict[str, Any]:
    """Names of components and what is known of parameters, by their places and names; both where there are any."""
    parameters: dict[str, dict] = {}
    names: dict[str, str] = {}
    configurations: dict[str, list] = {}
    for place, component in enumerate(_inside_of(value)):
        kind, name = type(component).__name__, getattr(component, "_name", None)
        if kind not in _FORMS or not _is_perceval(component):
            own = f"{type(component).__module__}.{type(component).__qualname__}"
            part.note(f"components.{place}", f"a {own}, which Perceval takes for one of its own")
        if name is not None and kind not in _NAMED and type(name) is str:
            names[str(place)] = name
        if kind == "FFConfigurator":  # Perceval writes their numbers with 32 bits
            states = {str(state): _numbers(config) for state, config in component._configs.items()}
            configurations[str(place)] = [_numbers(component._default_config), states]
        if getattr(component, "_supports_polarization", False) and kind == "Unitary":
            part.note(f"components.{place}", "a Unitary with polarization, which Perceval does not read back")
        if kind == "CompiledCircuit" and component.template is not None:
            part.note(f"components.{place}.template", "the template of a CompiledCircuit, which Perceval does not serialize")
    for key, parameter in _parameters(value):
        for variable in _variables(parameter):
            if variable.fixed:
                if variable.name != key and parameter is variable:
                    part.note(f"parameters.{variable.name}", "the name of a parameter that is fixed")
                continue
            bounds = [_number(number) for number in (variable._value, variable.min, variable.max)]
            parameters[variable.name] = {
                **dict(zip(("value", "min", "max"), bounds, strict=True)),
                "periodic": variable._periodic,
            }
    known = {"parameters": parameters, "names": names, "configurations": configurations}
    return {name: found for name, found in known.items() if found}


def _is_perceval(value) -> bool:
    return type(value).__module__.split(".")[0] == "perceval"


def _number(value) -> Any:
    return value if value is None or type(value) in (int, float) else float(value)


def _numbers(config: dict) -> dict:
    return {name: _number(number) for name, number in config.items()}


def _inside_of(value) -> Iterator[Any]:
    """Every component inside, in order: those that stand in circuits, and those that measurements choose from.

    A component that is none of others is what is inside itself.
    """
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item).__name__
        if item is not value or not hasattr(item, "_components"):
            yield item
        if hasattr(item, "_components"):
            pending.extend(component for _, component in reversed(item._components) if not _is_detector(component))
        elif kind == "FFConfigurator":
            pending.append(_as_circuit(item._controlled))
        elif kind == "FFCircuitProvider":
            choices = sorted(item._map.items(), key=lambda pair: str(pair[0]), reverse=True)
            pending.extend(_as_circuit(choice) for _, choice in choices)
            pending.append(_as_circuit(item.default_circuit))


def _as_circuit(choice) -> Any:
    """A component in a circuit of its own, as Perceval writes those that measurements choose from."""
    if hasattr(choice, "_components"):
        return choice
    return sdk("perceval", "a circuit", "perceval").Circuit(choice.m).add(0, choice, merge=False)


def _is_detector(component) -> bool:
    return component is None or type(component).__name__ in ("Detector", "BSLayeredPPNR")


def _parameters(value) -> Iterator[tuple[str, Any]]:
    for component in _inside_of(value):
        if type(component).__name__ not in ("FFConfigurator", "FFCircuitProvider") and not hasattr(component, "_components"):
            yield from getattr(component, "_params", {}).items()


def _variables(parameter) -> list:
    return parameter.parameters if parameter._is_expression else [parameter]


# Reading


def _unpack(plain: dict, whole: Callable) -> Any:
    kind = plain["class"]
    if kind not in _FORMS:
        raise BadInput(f"a stored object of class {kind!r}", "it is not one of Perceval's that are serialized")
    try:
        message = _message(kind, plain["bytes"])
        _check(message)
        text = f":PCVL:{_FORMS[kind][0]}:{b64encode(message.SerializeToString(deterministic=True)).decode()}"
        value = sdk("perceval.serialization").deserialize(text)
    except QArchiveError:
        raise
    except Exception as error:
        raise BadInput(f"a stored {kind}", f"Perceval does not read it: {str(error)[:200]}") from None
    if "input_state" in plain:
        value.with_input(whole(plain["input_state"]))
    if "min_photons_filter" in plain:
        value.min_detected_photons_filter(plain["min_photons_filter"])
    _complete(value, plain)
    return value


def _complete(value, plain: dict) -> None:
    """Gives a value what Perceval did not write or read."""
    for detector in [value] if _is_detector(value) else getattr(value, "_detectors", ()):
        if detector is not None and detector._name == "":
            detector._name = None
    if hasattr(value, "detectors_injected"):
        value.detectors_injected = [modes[0] for modes, component in value._components if _is_detector(component)]
    names = plain.get("names", {})
    for place, component in enumerate(_inside_of(value) if names else ()):
        if str(place) in names:
            component._name = names[str(place)]  # not every component lets its name be set
    known = plain.get("parameters", {})
    for _, parameter in _parameters(value) if known else ():
        for variable in _variables(parameter):
            found = known.get(variable.name)
            if found is not None and not variable.fixed:
                variable._value, variable._min, variable._max = found["value"], found["min"], found["max"]
                variable._periodic = found["periodic"]
    configurations = plain.get("configurations", {})
    for place, component in enumerate(_inside_of(value) if configurations else ()):
        if str(place) in configurations:
            component._default_config, states = configurations[str(place)]
            component.default_circuit = component._controlled.copy()
            component.default_circuit.assign(component._default_config)
            for text, config in states.items():
                component.add_configuration(unpack_state(text), config)


def _check(message) -> None:
    """Raises BadInput for a message in which there is a text that Perceval must not be given: it evaluates formulas."""
    kind = message.DESCRIPTOR.name
    if kind == "Parameter":
        if message.WhichOneof("type") == "expression":
            check_formula(message.name if message.expr_parameters else message.expression)
        else:
            check_name(message.name)
            check_name(message.symbol)
    if kind == "Experiment":
        for text, allowed in ((message.input_state, _INPUTS), (message.noise_model, (":PCVL:NoiseModel:",)),
                              (message.post_select, (":PCVL:PostSelect:",))):  # fmt: skip
            if text and not text.startswith(allowed):
                raise BadInput("a stored Experiment", f"{text[:40]!r} where {' or '.join(allowed)} belongs")
        check_postselect(message.post_select)
    if getattr(message, "n_mode", 0) > _MOST_MODES:
        raise BadInput(f"a stored {kind}", f"{message.n_mode} modes, more than {_MOST_MODES}")
    for part in _parts_of(message):
        _check(part)


def _parts_of(message) -> Iterator[Any]:
    """The messages that stand directly in another one."""
    for _, content in message.ListFields():
        parts = [content] if hasattr(content, "DESCRIPTOR") else content.values() if hasattr(content, "values") else content
        for part in parts if type(parts) not in (str, bytes, int, float, bool) else ():
            if hasattr(part, "DESCRIPTOR"):
                yield part


def check_postselect(text: str) -> None:
    """Raises BadInput where Perceval's parser would run out of its stack."""
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth > _MOST_NESTED:
            raise BadInput("a stored post-selection", f"nested more than {_MOST_NESTED} deep")


def check_texts(value: Any) -> None:
    """Raises BadInput where there is a text in lists and maps that Perceval's `deserialize` must not be given.

    Its archives ("pcvlar") are refused too: they hold messages in a form that only it reads.
    """
    if type(value) is dict:
        if value.get("header") == "pcvlar":
            raise BadInput("a text of Perceval's", "an archive, whose formulas cannot be looked at")
        check_texts([*value, *value.values()])
    elif type(value) in (list, tuple):
        for item in value:
            check_texts(item)
    elif type(value) is str and value.startswith(("pcvlar", ":PCVL:")):
        _check_text(value)


def _check_text(text: str) -> None:
    if text.startswith("pcvlar"):
        raise BadInput("a text of Perceval's", "an archive, whose formulas cannot be looked at")
    try:
        if text.startswith(":PCVL:zip:"):
            text = decompress(b64decode(text.removeprefix(":PCVL:zip:"))).decode()
        _, _, tag, content = text.split(":", 3)
        if tag == "PostSelect":
            check_postselect(content)
        elif tag in _MESSAGES:
            message = getattr(sdk("exqalibur.serialization.circuit_pb2", "a circuit", "perceval"), _MESSAGES[tag])()
            message.ParseFromString(b64decode(content))
            _check(message)
    except QArchiveError:
        raise
    except Exception as error:
        raise BadInput("a text of Perceval's", f"it is damaged: {type(error).__name__}") from None


def text_of(plain: dict) -> str:
    """Perceval's own text of a stored object, which its `deserialize` reads; without what it leaves out."""
    return f":PCVL:{_FORMS[plain['class']][0]}:{b64encode(plain['bytes']).decode()}"


def unnamed(plain: dict) -> dict:
    """A stored object without the names of circuits and of the experiment, which decide nothing: to be compared, not read."""
    if plain["class"] not in ("Circuit", "GenericInterferometer", "Experiment"):
        return plain
    message = getattr(sdk("exqalibur.serialization.circuit_pb2", "a circuit", "perceval"), _FORMS[plain["class"]][1])()
    try:
        message.ParseFromString(plain["bytes"])
    except sdk("google.protobuf.message", "a circuit", "perceval").DecodeError:
        return plain
    pending = [message]
    while pending:
        part = pending.pop()
        if part.DESCRIPTOR.name in ("Circuit", "Experiment"):
            part.ClearField("name")
        pending.extend(_parts_of(part))
    return {**plain, "class": "Circuit" if plain["class"] != "Experiment" else "Experiment",
            "bytes": message.SerializeToString(deterministic=True)}  # fmt: skip


def _read(plain: dict, read: Callable) -> dict:
    found = {name: read(item) for name, item in plain.items() if name != "bytes"}
    return {**found, "serialized": text_of(plain)}


ENCODERS: dict[str, Callable] = dict.fromkeys(_FORMS, _pack)
DECODERS: dict[str, Callable] = {"perceval.serialized": _unpack}
READERS: dict[str, Callable] = {"perceval.serialized": _read}
