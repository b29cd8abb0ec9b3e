"""A QuantumCircuit's structure: the canonical value whose digest is the circuit's fingerprint.

Circuits that behave differently have different structures, and one circuit built twice (other automatic names, other UUIDs,
another process, a trip through QPY) has one. What this walk does not know raises NotEncodable: a guess could make two circuits
one. Left out on purpose: the circuit's name and metadata, automatic names of quantum registers and of instructions made from
unnamed circuits, UUIDs, and the classes of gates that have a definition. `spec/qiskit.md` describes the fields.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from ...codec import encode
from ...columns import floats, integers
from ...errors import NotEncodable
from ...values import Array
from . import aer_instructions
from .operations import Operations, operations
from .values import to_plain

_AUTO_REGISTER = re.compile(r"[qa]\d+\Z")
_AUTO_NAME = re.compile(r"(?<![A-Za-z0-9])(c*)circuit-\d+(?:-\d+)?")  # each control puts a c before the name
_FLOAT = frozenset({float})
_SHORT = 16_383  # characters of which no encoding as UTF-8 overflows the 16 bits in which QPY counts bytes
_SAME = frozenset({int, bool, str, complex, type(None)})


@dataclass(frozen=True, slots=True)
class Structure:
    """`value` is the blob; `auto_names` and `identities` are names and UUIDs (of parameters, then of variables) it leaves out.

    `plain` says that any QPY keeps the circuit.
    """

    value: dict
    auto_names: tuple[str, ...]
    identities: bytes
    plain: bool


def structure(circuit: Any, guess: bool = False) -> Structure:
    """The structure of a QuantumCircuit, which is not altered. Raises NotEncodable where it cannot be told exactly.

    With `guess` gates of unknown classes that have no definition are told by name and parameters: a value that is never stored.
    """
    sdk = operations()
    if type(circuit) is not sdk.QuantumCircuit:
        if not isinstance(circuit, sdk.QuantumCircuit):
            raise NotEncodable(f"a {type(circuit).__module__}.{type(circuit).__qualname__} instead of a circuit")
        circuit.data  # noqa: B018  circuits of the library build themselves when asked for their data
    walk = _Walk(sdk, guess)
    value, scope = walk.body(circuit)
    qregs = [_register(register, scope.qubits, walk.auto_names) for register in circuit.qregs]
    cregs = [[register.name, *_span(register, scope.clbits)] for register in circuit.cregs]
    walk.plain = walk.plain and _simple(qregs, len(scope.qubits)) and _simple(cregs, len(scope.clbits))
    names = [register.name for register in (*circuit.qregs, *circuit.cregs)]
    walk.plain = walk.plain and len(set(names)) == len(names) and all(map(_short, names))
    if qregs:
        # QPY may change the order of quantum registers, and nothing depends on it; that of classical ones orders counts.
        value["qregs"] = sorted(qregs, key=encode) if len(qregs) > 1 else qregs
    if cregs:
        value["cregs"] = cregs
    if circuit._layout is not None:
        value["layout"] = _layout(circuit._layout, scope.qubits)
        walk.plain = False
    if walk.bodies:
        value["bodies"] = walk.bodies
    if walk.parameters:
        value["parameters"] = [_parameter_name(parameter) for parameter in walk.parameters]
    identities = b"".join([_uuid(item).bytes for item in (*walk.parameters, *walk.variables)])
    return Structure(value, tuple(walk.auto_names), identities, walk.plain)


class _Scope:
    """Where the bits of one circuit stand in it."""

    __slots__ = ("clbits", "qubits")

    def __init__(self, circuit):
        self.qubits = _positions(circuit.qubits)
        self.clbits = _positions(circuit.clbits)


class _Walk:
    """One pass over a circuit and all that it holds. Parameters and variables are numbered once, by first appearance."""

    __slots__ = ("auto_names", "bodies", "definitions", "guess", "parameters", "places", "plain", "sdk", "variables")

    def __init__(self, sdk: Operations, guess: bool):
        self.sdk = sdk
        self.guess = guess
        self.parameters: dict = {}
        self.variables: dict = {}
        self.bodies: list[dict] = []  # blocks and definitions, each once, inner ones before those that use them
        self.places: dict[bytes, int] = {}
        self.definitions: dict[int, tuple] = {}  # id of an operation: it (so that the id stays its own) and its body
        self.auto_names: list[str] = []
        self.plain = True

    def body(self, circuit) -> tuple[dict, _Scope]:
        """One circuit without its registers: a table of distinct operations and columns of what they act on."""
        scope = _Scope(circuit)
        value: dict = {"qubits": len(scope.qubits), "clbits": len(scope.clbits)}
        if circuit.num_identifiers:
            value["variables"] = self.declarations(circuit)
        table = _Table()
        slots, entries, index = table.slots, table.entries, table.index
        position, place, qargs = scope.qubits.__getitem__, scope.clbits.__getitem__, table.qargs
        for instruction in circuit._data:
            name, qubits = instruction.name, instruction.qubits
            if instruction.is_standard_gate():
                values, label = instruction.params, instruction.label
                kinds = ""
                if values:
                    if _FLOAT.issuperset(map(type, values)):
                        table.floats += values
                        kinds = "f" * len(values)
                    else:
                        kinds = self.values(values, table, scope)
                        self.plain = False
                key = name if label is None and "p" not in kinds else (name, label, kinds)
                slot = slots.get(key)
                if slot is None:
                    slot = slots[key] = len(entries)
                    self.plain = self.plain and _short(label)
                    entries.append([name, len(qubits), 0, kinds] if label is None else [name, len(qubits), 0, kinds, label])
            else:
                slot = self.operation(instruction, table, scope)
                if instruction.clbits:
                    table.cargs.extend(map(place, instruction.clbits))
            index.append(slot)
            qargs.extend(map(position, qubits))
        phase = circuit.global_phase
        value["phase"] = phase if type(phase) is float else self.value(phase, scope)
        self.plain = self.plain and type(phase) in (float, int)
        table.into(value)
        return value, scope

    def operation(self, instruction, table, scope) -> int:
        """The place in the table of an operation that is no standard gate; its parameters go to the columns."""
        operation = instruction.operation
        known = table.known.get(id(operation))
        if known is not None:
            table.floats += known[2]
            table.others += known[3]
            return known[1]
        kind = type(operation)
        width = (len(instruction.qubits), len(instruction.clbits))
        simple = self.sdk.simple.get(kind)
        if simple is not None:  # measure, reset, barrier, delay
            label, values = instruction.label, instruction.params
            kinds = self.values(values, table, scope) if values else ""
            unit = operation.unit if simple == "delay" else None
            if not _short(label) or (unit is not None and (unit != "dt" or kinds == "p")):
                self.plain = False
            return table.place((simple, *width, kinds, label, unit), [simple, *width, kinds, label, unit])
        kind = getattr(operation, "base_class", kind)  # the class of a singleton is one that has no module
        self.plain = False
        start = len(table.floats), len(table.others)
        entry: dict = {"qubits": width[0], "clbits": width[1]}
        label = getattr(operation, "label", None)
        if label is not None:
            entry["label"] = label
        describe = self.sdk.control_flow.get(kind)
        if describe is not None:
            entry["class"] = kind.__name__
            entry.update(describe(self, operation, scope))
            return table.place(encode(entry), entry)
        self.describe(operation, kind, entry, table, scope)
        slot = table.place(encode(entry), entry)
        if kind is not self.sdk.Store:  # what a Store writes to depends on where it stands
            table.known[id(operation)] = (operation, slot, table.floats[start[0] :], table.others[start[1] :])
        return slot

    def describe(self, operation, kind, entry, table, scope) -> None:
        """Fill in what an operation is: by its class where that and its parameters say all, else by its definition."""
        if aer_instructions.knows(operation):
            entry.update(aer_instructions.describe(operation, self))
            return
        known = self.sdk.known(kind)
        if known is not None:
            entry["class"] = kind.__name__
            values = known(self, operation, entry)
        else:
            values = operation.params
            self.generic(operation, kind, entry)
        entry["kinds"] = self.values(values, table, scope)

    def generic(self, operation, kind, entry) -> None:
        """A gate or instruction known by its name, its parameters and its definition."""
        entry["name"] = operation.name
        entry["unitary"] = isinstance(operation, self.sdk.Gate)
        if getattr(operation, "_condition", None) is not None:
            raise NotEncodable(f"a condition on {operation.name}, which is no control flow")
        definition = operation.definition
        if definition is not None:
            entry["name"] = self.named(operation.name)
            entry["definition"] = self.definition(operation, definition)
        elif kind not in self.sdk.opaque and not self.guess:
            raise NotEncodable(f"a {kind.__module__}.{kind.__qualname__} without a definition")

    def definition(self, operation, definition) -> int:
        known = self.definitions.get(id(operation))
        if known is None:
            known = self.definitions[id(operation)] = (operation, self.block(definition))
        return known[1]

    def nested(self, operation) -> int:
        """An operation inside another one, as the body of a circuit that holds nothing else."""
        circuit = self.sdk.QuantumCircuit(operation.num_qubits, operation.num_clbits)
        circuit._append(self.sdk.CircuitInstruction(operation, circuit.qubits, circuit.clbits))
        return self.block(circuit)

    def block(self, circuit) -> int:
        """The number of a circuit inside the circuit."""
        value, _ = self.body(circuit)
        place = self.places.setdefault(encode(value), len(self.bodies))
        if place == len(self.bodies):
            self.bodies.append(value)
        return place

    def named(self, name: str) -> str:
        if "circuit-" not in name:
            return name
        general = _AUTO_NAME.sub(r"\1circuit-*", name)
        if general != name:
            self.auto_names.append(name)
        return general

    def values(self, values, table, scope) -> str:
        """Parameters into the columns; one letter each: f for the floats, p for the others."""
        kinds = ""
        for value in values:
            kind = type(value)
            if kind is float:
                table.floats.append(value)
                kinds += "f"
            elif kind.__module__ == "numpy" and kind.__name__ == "float64":
                table.floats.append(float(value))
                kinds += "f"
            else:
                table.others.append(self.value(value, scope))
                kinds += "p"
        return kinds

    def value(self, value, scope) -> Any:
        """Any parameter. Lists always begin with a word that says what they are."""
        kind = type(value)
        if kind in _SAME or kind is float:
            return value
        encoder = self.sdk.values.get(kind)
        if encoder is not None:
            return encoder(self, value, scope)
        if kind is list or kind is tuple:
            return ["list", *(self.value(item, scope) for item in value)]
        if kind.__module__ == "numpy":
            return Array.of(value) if kind.__name__ == "ndarray" else self.value(value.item(), scope)
        return ["value", to_plain(value)]

    def parameter(self, parameter) -> dict:
        return {"parameter": self.parameters.setdefault(parameter, len(self.parameters))}

    def variable(self, uuid) -> int:
        return self.variables.setdefault(uuid, len(self.variables))

    def declarations(self, circuit) -> list:
        """Variables and stretches of one circuit: how they come in, number, name and type. Captures are by number."""
        captured = [
            [self.variable(variable.var), variable.name]
            for variable in (*circuit.iter_captured_vars(), *circuit.iter_captured_stretches())
        ]
        declared = []
        for role, found in (
            ("input", circuit.iter_input_vars()),
            ("local", circuit.iter_declared_vars()),
            ("stretch", circuit.iter_declared_stretches()),
        ):
            declared += [[role, self.variable(item.var), item.name, self.sdk.type_of(item.type)] for item in found]
        self.plain = False
        return declared + [["captured", *item] for item in sorted(captured)]


class _Table:
    """The operations of one circuit, being collected."""

    __slots__ = ("cargs", "entries", "floats", "index", "known", "others", "qargs", "slots")

    def __init__(self):
        self.slots: dict = {}
        self.known: dict[int, tuple] = {}
        self.entries: list = []
        self.index: list[int] = []
        self.qargs: list[int] = []
        self.cargs: list[int] = []
        self.floats: list[float] = []
        self.others: list = []

    def place(self, key, entry) -> int:
        slot = self.slots.setdefault(key, len(self.entries))
        if slot == len(self.entries):
            self.entries.append(entry)
        return slot

    def into(self, value: dict) -> None:
        value["ops"], value["index"], value["qargs"] = self.entries, integers(self.index), integers(self.qargs)
        if self.cargs:
            value["cargs"] = integers(self.cargs)
        if self.floats:
            value["floats"] = floats(self.floats)
        if self.others:
            value["values"] = self.others


def _positions(bits) -> dict:
    return dict(zip(bits, range(len(bits)), strict=True))


def _simple(rows, bits) -> bool:
    """Whether registers lie side by side and hold every bit once, in order: those whose order QPY keeps."""
    end = 0
    for *_, first, size in rows:
        if first != end:
            return False
        end += size
    return end == bits


def _short(text) -> bool:
    return text is None or len(text) <= _SHORT


def _uuid(item) -> Any:
    """Of a parameter; variables are kept by theirs."""
    return item if isinstance(item, UUID) else getattr(item, "uuid", None) or item._uuid


def _span(register, positions) -> list:
    """A register's first bit where its bits are neighbours, as nearly always, else all its bits; and its size."""
    bits = [positions[bit] for bit in register]
    first = bits[0] if bits else 0
    return [first, len(bits)] if bits == list(range(first, first + len(bits))) else [bits, len(bits)]


def _register(register, positions, auto_names) -> list:
    name = register.name
    if _AUTO_REGISTER.match(name):
        auto_names.append(name)
        name = None
    return [name, _kind_of_register(type(register)), *_span(register, positions)]


@cache
def _kind_of_register(kind) -> str:
    return "ancilla" if kind.__name__ == "AncillaRegister" else "qubits"


def _parameter_name(parameter) -> Any:
    vector = getattr(parameter, "vector", None)
    return parameter.name if vector is None else [vector.name, parameter.index, len(vector)]


def _layout(layout, positions) -> dict:
    """A TranspileLayout by numbers: for each physical qubit the input qubit that it holds, and where it ends up."""
    numbers = layout.input_qubit_mapping
    initial = layout.initial_layout.get_physical_bits()
    value: dict = {"initial": [[physical, numbers.get(bit)] for physical, bit in sorted(initial.items())]}
    if layout.final_layout is not None:
        value["final"] = sorted([positions.get(bit, -1), place] for bit, place in layout.final_layout.get_virtual_bits().items())
    if layout._input_qubit_count is not None:
        value["input_qubits"] = layout._input_qubit_count
    return value
