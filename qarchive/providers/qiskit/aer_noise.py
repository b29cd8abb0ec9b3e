"""Noise models of Aer <-> plain values, without loss: quantum errors, readout errors, relaxation on delays.

`NoiseModel.to_dict` loses basis gates and passes, so the model's own fields are kept. The circuits of an error become terms of
operations from a closed list; what repeats (terms, matrices, whole errors that stand at several gates) is stored once.
Ids of errors are left out: Aer draws new ones for every model, and nothing but the model itself refers to them.
"""

import struct
from collections.abc import Mapping
from typing import Any

from ...codec import encode
from ...errors import NotEncodable
from ...values import Array, Typed
from ..limits import number_of
from .values import Gap, from_plain, sdk, to_plain

_WITH_MATRICES = frozenset({"kraus", "unitary", "superop"})
_MOST_QUBITS = 1 << 10  # of one error: each has an object for every term


def model_to_plain(model: Any, gap: Gap | None = None) -> dict:
    """A NoiseModel as a plain value, equal for equal models: in the order of names and qubits, since Aer's own order is that of
    a set's, another one in each process.

    A pass that holds the user's own function cannot be kept: it raises NotEncodable, or with `gap` is left out and told.
    """
    errors = _Errors()
    value = {
        "basis_gates": sorted(model._basis_gates),
        "instructions": sorted(model._noise_instructions),
        "qubits": sorted(model._noise_qubits),
        "default": [[label, errors.place(error)] for label, error in sorted(model._default_quantum_errors.items(), key=_name)],
        "local": [_local(label, sorted(local.items(), key=_name), errors)
                  for label, local in sorted(model._local_quantum_errors.items(), key=_name)],
        "readout": [_readout(error, qubits) for qubits, error in sorted(model._local_readout_errors.items(), key=_name)],
    }  # fmt: skip
    if model._default_readout_error is not None:
        value["default_readout"] = Array.of(model._default_readout_error.probabilities)
    passes = [_pass(item, f"passes.{i}", gap) for i, item in enumerate(model._custom_noise_passes)]
    if passes:
        value["passes"] = [item for item in passes if item is not None]
    return {**value, **errors.tables()}


def model_from_plain(value: Mapping[str, Any]) -> Any:
    """The NoiseModel again, equal to the original. Raises MissingExtra."""
    noise = sdk("qiskit_aer.noise", "a noise model of Aer")
    model = noise.NoiseModel()
    errors = _errors(value)
    model._basis_gates = set(value["basis_gates"])
    model._noise_instructions = set(value["instructions"])
    model._noise_qubits = set(value["qubits"])
    model._default_quantum_errors = {label: errors[place] for label, place in value["default"]}
    model._local_quantum_errors = {
        label: {tuple(qubits): errors[place] for qubits, place in zip(where, places.flat(), strict=True)}
        for label, where, places in value["local"]
    }
    model._local_readout_errors = {tuple(qubits): _new_readout(table) for qubits, table in value["readout"]}
    if "default_readout" in value:
        model._default_readout_error = _new_readout(value["default_readout"])
    model._custom_noise_passes = [_new_pass(item) for item in value.get("passes", ())]
    return model


def error_to_plain(error: Any) -> dict:
    """One quantum error by itself, as it stands in a circuit."""
    errors = _Errors()
    errors.place(error)
    return errors.tables()


def error_from_plain(value: Mapping[str, Any]) -> Any:
    return _errors(value)[0]


class _Errors:
    """Quantum errors being collected: a table of distinct terms, and for each error its terms and their probabilities."""

    def __init__(self):
        self.places: dict[int, int] = {}
        self.kept: list = []  # so that no id is given twice
        self.operations: list = []
        self.operation_places: dict = {}
        self.terms: list = []
        self.term_places: dict = {}
        self.shapes: list = []
        self.shape_places: dict = {}
        self.errors: list = []
        self.probabilities: list[float] = []

    def place(self, error) -> int:
        known = self.places.get(id(error))
        if known is None:
            known = self.places[id(error)] = len(self.errors)
            self.kept.append(error)
            self.errors.append(self.error(error))
        return known

    def error(self, error) -> Any:
        kind = type(error).__name__
        if not type(error).__module__.startswith("qiskit_aer.noise.errors."):
            raise NotEncodable(f"an error of class {type(error).__module__}.{kind}")
        if kind == "PauliLindbladError":
            return Typed("aer.PauliLindbladError", [to_plain(error.generators), Array.of(error.rates)])
        if kind == "PauliError":
            return {"paulis": to_plain(error.paulis), "probabilities": Array.of(error.probabilities)}
        if kind != "QuantumError":
            raise NotEncodable(f"an error of class {kind}")
        shape = (error.num_qubits, *(self.term(circuit) for circuit in error._circs))
        self.probabilities.extend(map(float, error._probs))
        return self.numbered(shape, list(shape), self.shape_places, self.shapes)

    def term(self, circuit) -> int:
        if circuit.global_phase or circuit.num_clbits:
            raise NotEncodable("an error with a circuit that has a phase or classical bits")
        position = {bit: place for place, bit in enumerate(circuit.qubits)}
        flat: list = []
        for instruction in circuit._data:
            flat.append((self.operation(instruction), *(position[bit] for bit in instruction.qubits)))
        key = (circuit.num_qubits, *flat)
        return self.numbered(key, [circuit.num_qubits, *map(list, flat)], self.term_places, self.terms)

    def operation(self, instruction) -> int:
        name, params, label = instruction.name, instruction.params, instruction.label
        if instruction.is_standard_gate():
            key: Any = (name, label, tuple(params))
            if not all(type(param) is float for param in params):
                raise NotEncodable(f"an error with the parametrised gate {name}")
            return self.numbered(
                key,
                [name, *params] if label is None else {"gate": name, "params": params, "label": label},
                self.operation_places,
                self.operations,
            )
        operation = instruction.operation
        kind = operation.base_class
        module, params = kind.__module__, list(operation.params)
        if name == "reset" and module == "qiskit.circuit.reset":
            return self.numbered("reset", ["reset"], self.operation_places, self.operations)
        if name == "pauli" and kind.__name__ == "PauliGate":
            return self.numbered(("pauli", params[0]), ["pauli", params[0]], self.operation_places, self.operations)
        if name in _WITH_MATRICES and kind.__name__ in ("Instruction", "UnitaryGate") and module.startswith("qiskit.circuit."):
            value = {
                "gate": name,
                "params": [Array.of(matrix) for matrix in params],
                "qubits": operation.num_qubits,
                "label": operation.label,
            }
            return self.numbered(encode(value), value, self.operation_places, self.operations)
        raise NotEncodable(f"an error with a {module}.{kind.__qualname__} named {name}")

    @staticmethod
    def numbered(key, value, places, items) -> int:
        place = places.setdefault(key, len(items))
        if place == len(items):
            items.append(value)
        return place

    def tables(self) -> dict:
        probabilities = Array("<f8", (len(self.probabilities),), struct.pack(f"<{len(self.probabilities)}d", *self.probabilities))
        return {
            "operations": self.operations,
            "terms": self.terms,
            "shapes": self.shapes,
            "errors": self.errors,
            "probabilities": probabilities,
        }


def _errors(value) -> list:
    """All quantum errors of a value; what was one object is one object again."""
    circuit = sdk("qiskit.circuit", "a noise model of Aer")
    noise = sdk("qiskit_aer.noise", "a noise model of Aer")
    operations = [_new_operation(item) for item in value["operations"]]
    terms = []
    for qubits, *steps in value["terms"]:
        term = circuit.QuantumCircuit(number_of(qubits, "qubits of an error", _MOST_QUBITS))
        for step in steps:
            term._append(circuit.CircuitInstruction(operations[step[0]], [term.qubits[place] for place in step[1:]], ()))
        terms.append(term)
    probabilities = iter(value["probabilities"].flat())
    errors: list = []
    for item in value["errors"]:
        if type(item) is Typed:
            generators, rates = item.value
            errors.append(noise.PauliLindbladError(from_plain(generators), rates.numpy()))
            continue
        if type(item) is dict:
            errors.append(sdk("qiskit_aer.noise.errors").PauliError(from_plain(item["paulis"]), item["probabilities"].numpy()))
            continue
        qubits, *places = value["shapes"][item]
        error = noise.QuantumError([(terms[place], 1 / len(places)) for place in places])
        error._probs = [next(probabilities) for _ in places]  # the constructor rescales, and a last digit would be lost
        errors.append(error)
    return errors


def _new_operation(item) -> Any:
    circuit, library = sdk("qiskit.circuit"), sdk("qiskit.circuit.library")
    if type(item) is dict:
        name, params, label = item["gate"], item["params"], item.get("label")
        if name in _WITH_MATRICES:
            matrices = [matrix.numpy() for matrix in params]
            if name == "unitary":
                return library.UnitaryGate(matrices[0], label=label)
            return circuit.Instruction(name, item["qubits"], 0, matrices, label=label)
    else:
        (name, *params), label = item, None
        if name == "reset":
            return circuit.Reset()
        if name == "pauli":
            return library.PauliGate(params[0])
    gate = type(library.get_standard_gate_name_mapping()[name])
    return gate(*params, label=label) if label is not None else gate(*params)


def _name(item: tuple) -> Any:
    """What a pair is sorted by: the name of an instruction, or its qubits."""
    return item[0]


def _local(label, where, errors) -> list:
    return [label, [list(qubits) for qubits, _ in where], _places([errors.place(error) for _, error in where])]


def _places(places) -> Array:
    return Array("<u4", (len(places),), struct.pack(f"<{len(places)}I", *places))


def _readout(error, qubits) -> list:
    return [list(qubits), Array.of(error.probabilities)]


def _new_readout(table) -> Any:
    numbers = table.numpy()
    error = sdk("qiskit_aer.noise").ReadoutError(sdk("numpy").eye(len(numbers)))
    error._probabilities = numbers  # the constructor refuses what was within a tolerance that the user had given
    return error


def _pass(item, path, gap):
    kind = type(item)
    if (kind.__module__, kind.__name__) != ("qiskit_aer.noise.passes.relaxation_noise_pass", "RelaxationNoisePass"):
        return _refused(f"a noise pass of class {kind.__module__}.{kind.__name__}", path, gap)
    operations = [operation.__name__ for operation in item._ops]
    if operations != ["Delay"] and item._target is not None:
        # Then the pass asks the target how long gates take; for delays it never does.
        return _refused("a relaxation pass with a target, on other operations than delays", path, gap)
    names = _operation_classes()
    if not all(names.get(operation.__name__) is operation for operation in item._ops):
        return _refused("a relaxation pass on operations of unknown classes", path, gap)
    return {
        "t1": Array.of(item._t1s),
        "t2": Array.of(item._t2s),
        "excited": Array.of(item._p1s),
        "dt": to_plain(item._dt),
        "operations": operations,
    }


def _refused(reason, path, gap):
    if gap is None:
        raise NotEncodable(reason, path)
    gap(path, reason)


def _new_pass(item) -> Any:
    noise = sdk("qiskit_aer.noise.passes")
    names = _operation_classes()
    operations = tuple(names[name] for name in item["operations"]) or None
    t1, t2, excited = (item[name].tolist() for name in ("t1", "t2", "excited"))  # a pass hashes its arguments: no arrays
    return noise.RelaxationNoisePass(t1, t2, from_plain(item["dt"]), operations, excited)


def _operation_classes() -> dict:
    """The classes that a pass may name: delay, measure, reset and the standard gates."""
    circuit, library = sdk("qiskit.circuit"), sdk("qiskit.circuit.library")
    classes = {kind.__name__: kind for kind in (circuit.Delay, circuit.Measure, circuit.Reset, circuit.Gate, circuit.Instruction)}
    for gate in library.get_standard_gate_name_mapping().values():
        classes[gate.base_class.__name__] = gate.base_class
    return classes
