"""Archived circuits on another device than the one that they were compiled for: what is run there is compiled anew.

A circuit whose backend was a simulator without a coupling map was compiled for nothing, and may be compiled for any device. One
that was compiled for a device says nothing of what it was before: only its user can, by the attachment "logical".
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import BadInput
from ..base import Get
from ..sdk import sdk
from ..wrapped import unwrapped
from . import ibm_snapshots
from .inputs import CIRCUITS, PUBS
from .primitive_settings import backend_of

_HINT = '`job.attach("logical", circuit)` keeps the circuit to compile for another'
_BASIC = "qiskit.providers.basic_provider.basic_simulator.BasicSimulator"
_OF_DEVICE = re.compile(r"aer_simulator(?:_from)?\((.+)\)")

Call = tuple[Any, tuple, dict]


def compiled(get: Get, job: Mapping[str, Any], snapshot: Mapping[str, Any], call: Call, logical: Callable[[], Any]) -> Call:
    """A call that runs an archived job, with other circuits where its target's device cannot run the archived ones.

    They are run as they are on the device that they were compiled for (or a simulator or a fake backend of it), and on what has
    no coupling map. Otherwise Qiskit's `transpile` compiles `logical()`, or without that the archived circuits where they were
    compiled for nothing; as it does without options, so not each time alike. Observables of an estimator follow the layout.

    `snapshot` is the plain value of the job's backend. Raises BadInput where there is nothing to compile, MissingExtra.
    """
    target, args, kwargs = call
    device = _device(target)
    if device is None or getattr(device, "target", None) is None:
        return call
    what = get(job["input"])["type"]
    held = list(args[0]) if what in (CIRCUITS, PUBS) and args and isinstance(args[0], list | tuple) else args[:1]
    circuits = [getattr(item, "circuit", item) for item in held]
    kind = sdk("qiskit").QuantumCircuit
    if not circuits or not all(isinstance(circuit, kind) for circuit in circuits):
        return call if _device_name(str(device.name)) == _device_name(job["backend"]) else _refuse(job, device, snapshot, what)
    device_before = _compiled_for(job, snapshot)
    if device.target.build_coupling_map() is None and (device_before or _takes(device, circuits)):
        return call
    if _device_name(str(device.name)) == _device_name(job["backend"]) and _takes(device, circuits):
        return call
    if str(device.name) == job["backend"] and job["kind"] != "qpu":  # a fake backend ran them once, whatever gates they have
        return call
    given = logical()
    if given is None and device_before:
        raise BadInput(
            f"the circuit{'s' if len(circuits) > 1 else ''} of this job",
            f"compiled for {device_before}, and {device.name} is another device",
            _HINT,
        )
    if given is None and _takes(device, circuits):
        return call
    if given is not None:
        given = list(given) if isinstance(given, list | tuple) else [given]
        if len(given) != len(circuits) or not all(isinstance(circuit, kind) for circuit in given):
            reason = f"it holds {len(given)}, and the job ran {len(circuits)}"
            raise BadInput('the attachment "logical"', reason, "attach a circuit for each, in order, as a list")
    made = sdk("qiskit").transpile(circuits if given is None else given, device)
    new = [_pub(item, circuit, device_before) if item is not before else circuit
           for item, before, circuit in zip(held, circuits, made, strict=True)]  # fmt: skip
    return target, (new if isinstance(args[0], list | tuple) else new[0], *args[1:]), kwargs


def _device(target: Any) -> Any | None:
    """The backend that a target is, or has behind it; None for a primitive that needs none."""
    native = unwrapped(target)
    return native if hasattr(native, "target") else backend_of(native)


def _compiled_for(job, snapshot) -> str | None:
    """The name of the device for which the archived circuits were compiled; None where there was none."""
    if snapshot.get("class") == _BASIC:
        return None
    is_device = (
        snapshot.get("type") == ibm_snapshots.CONFIGURATION
        or any(snapshot.get(part) is not None for part in ("device", "target", "coupling_map"))
        or job["kind"] == "qpu"
    )
    return job["backend"] if is_device else None


def _device_name(name: str) -> str:
    """The device itself, of a name of it, of its fake backend or of its simulator."""
    inside = _OF_DEVICE.fullmatch(name)
    return re.sub(r"^(fake|ibm|ibmq)_", "", (inside[1] if inside else name).lower())


def _takes(device, circuits) -> bool:
    """Whether a device has all operations of some circuits, where they stand; Aer says itself what it cannot run."""
    target = device.target
    if target.build_coupling_map() is None and type(device).__module__.startswith("qiskit_aer."):
        return True
    if any(target.num_qubits is not None and circuit.num_qubits > target.num_qubits for circuit in circuits):
        return False
    return all(_has(target, circuit, instruction) for circuit in circuits for instruction in circuit.data)


def _has(target, circuit, instruction) -> bool:
    name = instruction.operation.name
    if name == "barrier":
        return True
    if getattr(instruction.operation, "blocks", ()):  # a loop or a condition: what it holds is not looked into
        return name in target.operation_names
    qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
    return target.instruction_supported(name, qubits)


def _pub(pub, circuit, device_before) -> Any:
    """A PUB with another circuit, with its parameter values, its observables, and the shots or the precision that it asks for."""
    given, wanted = {each.name for each in circuit.parameters}, {name for names in pub.parameter_values.data for name in names}
    if given != wanted:
        reason = f"has {_named(given)}, and the job was run with values of {_named(wanted)}"
        raise BadInput('the attachment "logical"', reason, "attach a circuit with the same parameters")
    try:
        if not hasattr(pub, "observables"):
            return type(pub)(circuit, pub.parameter_values, pub.shots)
        if device_before:
            reason = f"they are laid out as its circuit is on {device_before}"
            raise BadInput("the observables of this job", reason, "run an estimator of your own with them")
        return type(pub)(circuit, pub.observables.apply_layout(circuit.layout), pub.parameter_values, pub.precision)
    except ValueError as error:  # of other numbers of qubits
        raise BadInput('the attachment "logical"', f"does not fit what the job was run with ({error})") from None


def _named(names) -> str:
    return f"the parameters {', '.join(sorted(names))}" if names else "no parameters"


def _refuse(job, device, snapshot, what) -> Any:
    reason = f"made for {_compiled_for(job, snapshot) or job['backend']}, and {device.name} is another device"
    raise BadInput(f"the input of this job ({what})", reason, "run it there yourself")
