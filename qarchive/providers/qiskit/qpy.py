"""A circuit's exact payload: QPY, and beside it what QPY loses. Writing checks that the circuit which comes back is the same one.

QPY bytes differ from run to run, so a payload is found by a key made of the circuit's fingerprint and of the automatic names
and the UUIDs that the fingerprint leaves out: the first payload with a key stands for all later ones.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any

from ...codec import digest, encode
from ...errors import BadInput, NotEncodable
from ...values import Link, Typed
from ..base import Get, Stage
from . import aer_instructions
from .circuits import structure
from .operations import operations
from .values import from_plain, sdk, to_plain

SAFE = 13  # QPY below can carry code that Qiskit up to 1.4.1 runs when it reads it
FALLBACK = 13  # the newest version is written in a quarter of the time of the others; this one where that loses something
_NAME_MAX = 10_000  # QPY counts a name's bytes in 16 bits, and writes what it cannot read where they are more
_DEFINITION = -1  # in a path: the definition of a gate, where a number counts the blocks of control flow
_WHOLE = frozenset({"UCGate", "StatePreparation"})  # library classes that QPY cannot make again, kept with all their fields


def put_circuit(stage: Stage, circuit: Any, what: str) -> dict[str, Link]:
    """Put a circuit's structure and its payload; {"circuit": link, "qpy": link}, each left out, with a gap, where it cannot be.

    `what` names the circuit in gaps. Raises NotEncodable where neither can be.
    """
    try:
        found = structure(circuit)
    except NotEncodable as error:
        stage.gap(f"{what}.structure", str(error))
        return _put_unknown(stage, circuit, what)
    link = stage.put("circuit", found.value)
    key = hashlib.sha256(b"qpy" + link.digest + encode(list(found.auto_names)) + found.identities).digest()
    known = stage.find(key)
    if known is not None:
        return {"circuit": link, "qpy": known}
    try:
        return {"circuit": link, "qpy": stage.put("qpy", payload(circuit, found), key=key)}
    except NotEncodable as error:
        stage.gap(f"{what}.qpy", str(error))
        return {"circuit": link}


def _put_unknown(stage, circuit, what) -> dict[str, Link]:
    """Put the payload of a circuit without a structure; a gap, and NotEncodable, where no way brings an equal circuit back.

    Classes that have no definition come back as plain gates, which are equal to no others: that too is a gap.
    """
    reason = ""
    for version in (sdk("qiskit.qpy").common.QPY_VERSION, FALLBACK):
        try:
            value = _write(circuit, version, False)
            again = _attempt("read back", version, _read, value)
            if not _attempt("compare", version, _equal, again, circuit):
                if not _attempt("compare", version, _alike, again, circuit):
                    reason = reason or f"QPY version {version} brings back another circuit"
                    continue
                stage.gap(f"{what}.classes", "QPY keeps no class of a gate without a definition, only its name and parameters")
            return {"qpy": stage.put("qpy", value, key=hashlib.sha256(value["qpy"]).digest())}
        except NotEncodable as error:
            reason = reason or error.reason
    stage.gap(f"{what}.qpy", reason)
    raise NotEncodable(reason)


def _equal(one, other) -> bool:
    """By Qiskit, and in what Qiskit passes over."""
    return one == other and one.cregs == other.cregs and repr(one.global_phase) == repr(other.global_phase)


def _alike(one, other) -> bool:
    """Equal but for the classes of gates without a definition."""
    return encode(structure(one, guess=True).value, spilled) == encode(structure(other, guess=True).value, spilled)


def payload(circuit: Any, found: Any) -> dict:
    """The circuit as {"qpy", "qpy_version", "instructions"}; `found` is its `Structure`. The circuit is not altered.

    Gates of classes that QPY cannot bring back are written as plain gates with their definitions. Raises NotEncodable where
    the circuit cannot be written, or would come back as another one.
    """
    newest = sdk("qiskit.qpy").common.QPY_VERSION
    if found.plain:
        return _attempt("write", newest, _dumped, circuit, circuit, newest, [])
    expected = encode(found.value, spilled)
    reason = ""
    for generic in (False, True):
        for version in (newest, FALLBACK):
            try:
                value = _write(circuit, version, generic)
                if _attempt("read back", version, _structure_of, value) == expected:
                    return value
                reason = reason or f"QPY version {version} brings back another circuit"
            except NotEncodable as error:
                reason = error.reason
    raise NotEncodable(reason)


def spilled(piece: bytes) -> Link:
    """The link to a piece of a long byte string, of a value that is only compared and not kept."""
    return Link(digest(piece))


def load_circuit(entry: Mapping[str, Link], get: Get, name: str | None = None, metadata: Any = None) -> Any:
    """The QuantumCircuit of an entry of an input blob.

    Raises MissingExtra, and BadInput where its payload is not archived or is none that this Qiskit may read.
    """
    if "qpy" not in entry:
        raise BadInput("this circuit", "only its structure is in the archive", "see the gaps of its job")
    circuit = _read(get(entry["qpy"]))
    if name is not None:
        circuit.name = name
    circuit.metadata = {} if metadata is None else metadata
    return circuit


def _attempt(verb: str, version: int, act: Callable, *args: Any) -> Any:
    """`act(*args)`; NotEncodable for whatever QPY raises: TypeError, struct.error, its own errors, and panics of its Rust."""
    try:
        return act(*args)
    except NotEncodable:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = f"QPY version {version} cannot {verb} it: {type(error).__name__}: {error}"
        raise NotEncodable(reason.partition("\n")[0].strip()) from error


def _write(circuit, version, generic) -> dict:
    return _attempt("write", version, _written, circuit, version, generic)


def _written(circuit, version, generic) -> dict:
    instructions: list = []
    return _dumped(circuit, _portable(circuit, instructions, (), generic), version, instructions)


def _dumped(circuit, portable, version, instructions) -> dict:
    """The payload of `circuit`, of which `portable` is what QPY is given: itself, or a copy with `instructions` replaced."""
    if portable.metadata:  # through JSON it would lose types, or fail
        portable = circuit.copy() if portable is circuit else portable
        portable.metadata = {}
    if type(circuit.name) is not str or len(circuit.name) > _NAME_MAX:
        portable = circuit.copy("circuit") if portable is circuit else portable
        portable.name = "circuit"  # QPY takes no other name, and it is kept beside the payload
    stream = io.BytesIO()
    sdk("qiskit.qpy", "a Qiskit circuit").dump(portable, stream, version=version)
    value = {"qpy": stream.getvalue(), "qpy_version": version, "instructions": instructions}
    names = [register.name for register in (*circuit.qregs, *circuit.cregs)]
    if len(names) > 1:  # QPY puts those that share bits with others last
        value["registers"] = names
    return value


def _structure_of(value) -> bytes:
    return encode(structure(_read(value)).value, spilled)


def _read(value):
    qpy = sdk("qiskit.qpy", "a Qiskit circuit")
    _check_version(value["qpy"], qpy.common.QPY_VERSION)
    circuit = qpy.load(io.BytesIO(value["qpy"]))[0]
    notes: dict = {}
    for path, typed in value["instructions"]:
        notes.setdefault(path[0], []).append((path[1:], typed))
    return _in_order(_mended(circuit, notes), value.get("registers"))


def _check_version(payload: bytes, newest: int) -> None:
    """By the version in the bytes themselves, since the field beside them may say anything. Raises BadInput."""
    if payload[:6] != b"QISKIT" or len(payload) < 7:
        raise BadInput("the QPY payload of this circuit", "it is no QPY", "read its structure as text")
    version = payload[6]
    what = f"the QPY payload of this circuit, version {version}"
    if version < SAFE:
        raise BadInput(
            what,
            f"versions below {SAFE} are not read, since they can hold code that Qiskit up to 1.4.1 runs (CVE-2025-2000)",
            "read its structure as text, or ask its author for a newer file",
        )
    if version > newest:
        installed = sdk("qiskit").__version__
        raise BadInput(
            what, f"Qiskit {installed} reads up to version {newest}", "install a newer Qiskit, or read its structure as text"
        )


def _in_order(circuit, names):
    """The circuit with its registers in the order of `names`: that of the classical ones is the order in counts."""
    registers = {register.name: register for register in (*circuit.qregs, *circuit.cregs)}
    if names is None or list(registers) == names:
        return circuit
    other = operations().QuantumCircuit(circuit.qubits, circuit.clbits, *map(registers.__getitem__, names))
    other.name, other.global_phase, other.metadata, other._layout = (
        circuit.name,
        circuit.global_phase,
        circuit.metadata,
        circuit._layout,
    )
    for add, variables in (
        (other.add_input, circuit.iter_input_vars()),
        (other.add_capture, (*circuit.iter_captured_vars(), *circuit.iter_captured_stretches())),
        (other.add_uninitialized_var, circuit.iter_declared_vars()),
        (other.add_stretch, circuit.iter_declared_stretches()),
    ):
        for variable in variables:
            add(variable)
    for instruction in circuit.data:
        other._append(instruction)
    return other


def _rebuilt(circuit, replaced):
    """The circuit with some instructions replaced; appended anew, since assigning to a place panics beside control flow."""
    if not replaced:
        return circuit
    other = circuit.copy_empty_like()
    for place, instruction in enumerate(circuit.data):
        other._append(replaced.get(place, instruction))
    return other


def _portable(circuit, instructions, path, generic):
    """The circuit with stand-ins for what QPY loses, which are noted in `instructions`; itself where there is nothing."""
    replaced = {}
    for place, instruction in enumerate(circuit.data):
        if instruction.is_standard_gate() or instruction.name in ("measure", "barrier", "reset"):
            continue
        operation = instruction.operation
        other = _stand_in(operation, instructions, (*path, place), generic)
        if other is not operation:
            replaced[place] = instruction.replace(operation=other)
    return _rebuilt(circuit, replaced)


def _stand_in(operation, instructions, path, generic):
    """What QPY is given for an operation: itself, where QPY can be trusted with it."""
    known = operations()
    kind = getattr(operation, "base_class", type(operation))
    if aer_instructions.knows(operation):
        instructions.append([list(path), aer_instructions.to_value(operation)])
        return _placeholder(operation)
    if kind in known.control_flow:
        blocks = getattr(operation, "blocks", ())
        others = [_portable(block, instructions, (*path, place), generic) for place, block in enumerate(blocks)]
        changed = any(other is not block for other, block in zip(others, blocks, strict=True))
        return operation.replace_blocks(others) if changed else operation
    if kind is known.Delay:
        # QPY reads every number back in units of dt, and every parameter in a unit that no Delay may have
        if operation.unit == "expr" or (operation.unit == "dt" and type(operation.duration) in (int, float)):
            return operation
        instructions.append([list(path), _note({"unit": operation.unit})])
        return operation
    if kind.__name__ in _WHOLE and known.is_library(kind) and (generic or kind.__name__ == "UCGate"):
        state = {name: to_plain(value) for name, value in vars(operation).items() if name not in ("_definition", "_stateprep")}
        instructions.append([list(path), _note({"class": kind.__name__, "state": state})])
        return _placeholder(operation)
    if isinstance(operation, known.ControlledGate) and operation.label is not None:
        instructions.append([list(path), _note({"label": operation.label})])
        operation = operation.to_mutable()
        operation.label = None
    definition = None if known.known(kind) is not None else getattr(operation, "definition", None)
    if definition is None:
        return operation
    inner = _portable(definition, instructions, (*path, _DEFINITION), generic)
    if generic and kind not in known.opaque and kind is not known.ControlledGate:
        return _plain(operation, inner)
    return operation if inner is definition else _redefined(operation, inner)


def _note(fields: dict) -> Typed:
    return Typed("qiskit.instruction", fields)


def _placeholder(operation, params=()):
    return sdk("qiskit.circuit").Instruction(operation.name, operation.num_qubits, operation.num_clbits, list(params))


def _plain(operation, definition):
    """The same gate as a Gate or Instruction and nothing more: what QPY makes of the classes of other packages."""
    circuit = sdk("qiskit.circuit")
    if isinstance(operation, circuit.Gate):
        other = circuit.Gate(operation.name, operation.num_qubits, [], label=operation.label)
    else:
        other = circuit.Instruction(operation.name, operation.num_qubits, operation.num_clbits, [], label=operation.label)
    other._params = list(operation.params)
    other.definition = definition
    return other


def _redefined(operation, definition):
    other = operation.to_mutable()
    other.definition = definition
    return other


def _restored(instruction, notes):
    """An instruction put right; each note is a path inside its operation, empty for itself, and what QPY lost there."""
    if not notes[0][0]:
        return instruction.replace(operation=_operation(instruction, notes[0][1]))
    operation = instruction.operation
    inner: dict = {}
    for path, typed in notes:
        inner.setdefault(path[0], {}).setdefault(path[1], []).append((path[2:], typed))
    if _DEFINITION in inner:
        return instruction.replace(operation=_redefined(operation, _mended(operation.definition, inner[_DEFINITION])))
    blocks = [_mended(block, inner.get(place, {})) for place, block in enumerate(operation.blocks)]
    return instruction.replace(operation=operation.replace_blocks(blocks))


def _mended(circuit, notes):
    return _rebuilt(circuit, {place: _restored(circuit.data[place], inside) for place, inside in notes.items()})


def _operation(instruction, typed):
    if typed.tag == "aer.instruction":
        return aer_instructions.from_value(typed)
    fields = typed.value
    if "unit" in fields:
        delay = operations().Delay(instruction.params[0], fields["unit"])
        delay.label = instruction.label
        return delay
    if "label" in fields:
        operation = instruction.operation.to_mutable()
        operation.label = fields["label"]
        return operation
    if fields["class"] not in _WHOLE:
        raise BadInput(f"the instruction {fields['class']!r}", "this version cannot make it again", "install a newer qarchive")
    kind = getattr(sdk("qiskit.circuit.library"), fields["class"])
    whole = kind.__new__(kind)
    vars(whole).update({name: from_plain(value) for name, value in fields["state"].items()}, _definition=None)
    return whole
