"""Pulser's sequences, registers and devices <-> plain values, by way of Pulser's own abstract representation.

That representation is JSON with a published schema, which other tools read as well. The specifications of the device and the
register stand in blobs of their own: a sweep over pulses shares them. `spec/pulser.md` says what is added to it and why.
"""

import copy
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from ...errors import BadInput
from ...values import Link
from ..base import Get, Stage
from ..sdk import sdk

SEQUENCE = "pulser.sequence"
REGISTER = "pulser.register"
DEVICE = "pulser.device"
_OF_REGISTER = ("register", "layout")
_UNORDERED = (set, frozenset)
_TEXT = frozenset({str})
_PHASES = ("phase", "post_phase_shift")
_BELOW_ZERO = -1e-300
_SPOILED = frozenset({"align", "target_index"})  # calls that Pulser does not write as they are


class NotRepresentable(Exception):
    """Pulser has no abstract representation of something in a sequence; the message is Pulser's."""


def pulser(module: str = "pulser", what: str = "a value of Pulser's") -> Any:
    """A module of Pulser's. Raises MissingExtra."""
    return sdk(module, what, "pulser")


@contextmanager
def quietly() -> Iterator[None]:
    """Make objects of Pulser's without the warnings that whoever made the originals has seen."""
    with warnings.catch_warnings(record=True):  # "ignore" would not do: some of Pulser's constructors set filters of their own
        yield


def put_sequence(stage: Stage, sequence: Any) -> dict[str, Any]:
    """What the blob of a sequence, or an attachment, holds. Alters nothing of the sequence.

    Raises NotRepresentable (interpolators other than Pchip, detuning maps in three dimensions).
    """
    plain = _represented(sequence)
    device = put_device(stage, plain.pop("device"))
    register = _put_register(stage, {name: plain.pop(name) for name in _OF_REGISTER if name in plain},
                             sequence.get_register(include_mappable=True))  # fmt: skip
    found = {"type": SEQUENCE, "device": device, "register": register, "sequence": plain}
    channels = list(sequence.declared_channels)
    if channels != _in_default_order(channels, plain["channels"]):
        found["channels"] = channels
    variables = list(plain["variables"])
    if variables != sorted(variables):
        found["variables"] = variables
    words = text(sequence)
    return found if words is None else {**found, "text": words}


def load_sequence(get: Get, plain: Mapping[str, Any]) -> Any:
    """The Sequence again, with an equal abstract representation and equal samples. Raises MissingExtra, BadInput."""
    sequences = pulser("pulser", "a sequence of Pulser's")
    if plain.get("type") != SEQUENCE:
        raise BadInput("the sequence of this job", "it is not in the archive", "see the gaps of the job")
    register = dict(get(plain["register"]))
    ordered = {}
    for part in ("channels", "variables"):
        held = plain["sequence"][part]
        ordered[part] = {name: held[name] for name in plain.get(part, held) if name in held}
    operations = list(map(_with_phases, plain["sequence"]["operations"]))
    place = {name: register[name] for name in _OF_REGISTER if name in register}
    device = _specifications(get(plain["device"]))
    whole = {**plain["sequence"], **ordered, **place, "operations": operations, "device": device}
    with quietly():
        sequence = sequences.Sequence.from_abstract_repr(json.dumps(whole))
        if "ids" in register:
            sequence = _with_ids(sequence, register["ids"])
    return _in_order(sequence, plain["channels"]) if "channels" in plain else sequence


def text(sequence: Any) -> str | None:
    """A sequence for people, as Pulser prints it; None where that fails."""
    try:
        with quietly() if sequence.is_register_mappable() else nullcontext():  # of which Pulser says that it has no places
            return str(sequence)
    except Exception:  # it is a rendering, and no reason to lose the sequence
        return None


# Devices


def specifications(device: Any) -> dict[str, Any]:
    """The specifications of a device as Pulser writes them: channels, noise model, calibrated layouts."""
    return _plain(device)


def put_device(stage: Stage, found: Mapping[str, Any]) -> Link:
    """Specifications as a blob of their own: equal ones are one."""
    return stage.put("device", {"type": DEVICE, "specs": dict(found)})


def load_device(plain: Mapping[str, Any]) -> Any:
    """The Device or VirtualDevice of a blob of specifications. Raises MissingExtra."""
    module = pulser("pulser.json.abstract_repr.deserializer", "a device of Pulser's")
    with quietly():
        return module.deserialize_device(json.dumps(_specifications(plain)))


def _specifications(plain) -> dict[str, Any]:
    """A name instead of specifications would be looked up in a module of Pulser's: data never names code."""
    found = plain.get("specs") if plain.get("type") == DEVICE else None
    if type(found) is not dict:
        raise BadInput("the device of this job", "its blob holds no specifications")
    return found


# Registers


def put_register(stage: Stage, register: Any) -> Link:
    """A register (of two or three dimensions, or mappable) as a blob of its own."""
    plain: dict[str, Any] = {"register": _plain(register)}
    if register.layout is not None:
        plain["layout"] = _plain(register.layout)
    return _put_register(stage, plain, register)


def load_register(plain: Mapping[str, Any]) -> Any:
    """The Register or Register3D again. Raises MissingExtra."""
    module = pulser("pulser.json.abstract_repr.deserializer", "a register of Pulser's")
    whole = {name: plain[name] for name in _OF_REGISTER if name in plain}
    with quietly():
        register = module.deserialize_abstract_register(json.dumps(whole))
        return _renamed(register, plain["ids"]) if "ids" in plain else register


def _put_register(stage, plain, register) -> Link:
    ids = list(register.qubit_ids)
    if not _TEXT.issuperset(map(type, ids)):  # integers, which the representation turns into text
        plain = {**plain, "ids": ids}
    return stage.put("register", {"type": REGISTER, **plain})


def _renamed(register, ids):
    """A register with the ids that it had."""
    parts = pulser("pulser.register.mappable_reg")
    layout = register.layout
    if isinstance(register, parts.MappableRegister):
        return parts.MappableRegister(layout, *ids)
    if layout is not None:
        return layout.define_register(*register._layout_info.trap_ids, qubit_ids=ids)
    return type(register)(dict(zip(ids, register.qubits.values(), strict=True)))


def _with_ids(sequence, ids):
    """A sequence on a register with the ids that it had: the same calls, made again."""
    known = dict(zip(map(str, ids), ids, strict=True))
    made = type(sequence)(_renamed(sequence.get_register(include_mappable=True), ids), sequence.device)
    made._variables = sequence.declared_variables
    for call in [*sequence._calls[1:], *sequence._to_build_calls]:
        args, kwargs = call.args, dict(call.kwargs)
        if call.name == "config_slm_mask":
            if args:
                args = ([known[name] for name in args[0]], *args[1:])
            if "qubits" in kwargs:
                kwargs["qubits"] = [known[name] for name in kwargs["qubits"]]
        getattr(made, call.name)(*args, **kwargs)
    return made


# The abstract representation


def _in_default_order(channels, declared) -> list[str]:
    """How Pulser puts the channels of a representation whose map of them is sorted: those of detuning maps come last."""
    return [*sorted(declared), *(name for name in channels if name not in declared)]


def _in_order(sequence, channels):
    """A sequence with its channels in the order in which they were declared, which is that of its samples."""
    schedule = sequence._schedule
    if sorted(schedule) == sorted(channels):
        held = dict(schedule)
        schedule.clear()
        schedule.update({name: held[name] for name in channels})
    return sequence


def _represented(sequence) -> dict[str, Any]:
    """The abstract representation, in an order that does not depend on that of sets."""
    calls = [*sequence._calls, *sequence._to_build_calls]
    ids = sequence.get_register(include_mappable=True).qubit_ids
    if any(call.name in _SPOILED for call in calls):
        sequence = _with_own_calls(sequence)
    plain = _plain_text(lambda: sequence.to_abstract_repr(skip_validation=True), ids)
    targets = [any(type(item) in _UNORDERED for item in (*call.args, *call.kwargs.values())) for call in calls if _targets(call)]
    for operation in plain["operations"]:
        if operation["op"] == "target" and targets.pop(0) and type(operation["target"]) is list:
            operation["target"].sort()
        if operation["op"] == "config_slm_mask" and _mask_is_a_set(calls):
            operation["qubits"].sort()
    if "slm_mask_targets" in plain and _mask_is_a_set(calls):
        plain["slm_mask_targets"].sort()
    return plain


def _with_own_calls(sequence):
    """A sequence with calls of its own: Pulser takes arguments of `align` out of them while it writes them, and fails on a
    target that is an array without axes, which is what a variable becomes when a sequence is built."""
    own = copy.copy(sequence)
    for name in ("_calls", "_to_build_calls"):
        calls = [
            call._replace(
                args=tuple(map(_unwrapped, call.args)), kwargs={key: _unwrapped(item) for key, item in call.kwargs.items()}
            )
            if call.name in _SPOILED
            else call
            for call in getattr(sequence, name)
        ]
        setattr(own, name, calls)
    return own


def _unwrapped(argument) -> Any:
    return argument.tolist() if getattr(argument, "ndim", None) == 0 and hasattr(argument, "tolist") else argument


def _with_phases(operation) -> dict[str, Any]:
    """An operation for Pulser to read, which takes phases modulo a turn: of a small negative one it has made a whole turn, and of
    that it would make none."""
    if operation.get("op") not in ("pulse", "pulse_arbitrary_phase") or _has_variables(operation):
        return operation
    return {name: _BELOW_ZERO if name in _PHASES and item == math.tau else item for name, item in operation.items()}


def _has_variables(value) -> bool:
    if type(value) is list:
        return any(map(_has_variables, value))
    return type(value) is dict and ("variable" in value or "expression" in value or _has_variables(list(value.values())))


def _targets(call) -> bool:
    """Whether a call is a target operation of the representation."""
    if call.name == "declare_channel":
        return (call.args[2] if len(call.args) > 2 else call.kwargs.get("initial_target")) is not None
    return call.name in ("target", "target_index")


def _mask_is_a_set(calls) -> bool:
    masks = [call for call in calls if call.name == "config_slm_mask"]
    return any(type(item) in _UNORDERED for call in masks for item in (*call.args, *call.kwargs.values()))


def _plain(value) -> Any:
    encoder = pulser("pulser.json.abstract_repr.serializer").AbstractReprEncoder
    return _plain_text(lambda: json.dumps(value, cls=encoder), getattr(value, "qubit_ids", ()))


def _plain_text(write, ids) -> Any:
    """What JSON of Pulser's says of something with these ids. Raises NotRepresentable."""
    refusal = pulser("pulser.exceptions.serialization").AbstractReprError
    # Pulser warns that ids which are no text become text: ours to heed, not the user's. Filters are touched only then, since
    # touching them makes Python show warnings again that were shown already.
    with nullcontext() if _TEXT.issuperset(map(type, ids)) else quietly():
        try:
            return json.loads(write())
        except (refusal, TypeError, ValueError) as error:
            raise NotRepresentable(str(error)) from None
