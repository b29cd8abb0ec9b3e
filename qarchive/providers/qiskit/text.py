"""OpenQASM 3 of an archived circuit, for people: from the structure alone where its gates are those of stdgates.inc."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...columns import items
from ...errors import BadInput
from ...values import Link
from ..base import Get
from ..limits import number_of
from . import aer_instructions
from .qpy import load_circuit
from .values import sdk

_GATES = frozenset("x y z h s sdg t tdg sx rx ry rz p id cx cy cz cp crx cry crz ch swap ccx cswap cu u1 u2 u3 u".split())
_NAMES = {"u": "U"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = _GATES | frozenset(
    """
    OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return for while in switch case
    default pragma input output const readonly mutable qreg qubit creg bool bit int uint float angle complex array void duration
    stretch gphase inv pow ctrl negctrl dim durationof delay reset measure barrier true false nop U CX phase cphase pi tau euler
    sin cos tan arcsin arccos arctan exp log sqrt floor ceiling mod popcount rotl rotr real imag sizeof
    """.split()
)


def openqasm(entry: Mapping[str, Link], get: Get) -> str:
    """The text of a circuit of an input blob. Raises MissingExtra where it takes the SDK, BadInput where there is no text."""
    if "circuit" in entry:
        text = from_structure(get(entry["circuit"]))
        if text is not None:
            return text
    qasm3 = sdk("qiskit.qasm3", "the OpenQASM text of this circuit")
    circuit, left_out = _without_aers(load_circuit(entry, get))
    try:
        return "".join(f"// left out: {told}\n" for told in left_out) + qasm3.dumps(circuit)
    except qasm3.QASM3ExporterError as error:
        raise BadInput("the OpenQASM text of this circuit", str(error), "take the circuit itself") from error


def _without_aers(circuit) -> tuple[Any, list[str]]:
    """(the circuit without Aer's own instructions, which OpenQASM has no words for; what they were)."""
    told = [
        _told(aer_instructions.to_value(item.operation).value, [])
        for item in circuit.data
        if aer_instructions.knows(item.operation)
    ]
    if not told:
        return circuit, told
    other = circuit.copy_empty_like()
    for item in circuit.data:
        if not aer_instructions.knows(item.operation):
            other._append(item)
    return other, told


def _told(aer: Mapping[str, Any], operands: list[str]) -> str:
    """One of Aer's instructions in a comment."""
    label = aer.get("label")
    words = [aer.get("name", "quantum_channel"), *([json.dumps(label)] if type(label) is str else []), ", ".join(operands)]
    return " ".join(filter(None, words))


def from_structure(value: Mapping[str, Any]) -> str | None:
    """OpenQASM 3 of a structure without the SDK; None where it holds more than standard gates with numbers, or odd registers.

    Aer's own instructions, which OpenQASM has no words for, stand in comments.
    """
    if any(field in value for field in ("values", "variables", "bodies")) or type(value["phase"]) not in (float, int):
        return None
    if not all("aer" in entry if type(entry) is dict else _plain(entry) for entry in value["ops"]):
        return None
    taken: set[str] = set()
    clbits = _registers(value.get("cregs", ()), number_of(value["clbits"], "bits"), "_bit", taken)
    qregs = [[row[0], *row[2:]] for row in value.get("qregs", ())]
    qubits = _registers(qregs, number_of(value["qubits"], "qubits"), "_qubit", taken)
    if clbits is None or qubits is None:
        return None
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    lines += [f"bit[{size}] {name};" if size else f"bit {name};" for name, size in clbits[0]]
    lines += [f"qubit[{size}] {name};" if size else f"qubit {name};" for name, size in qubits[0]]
    if value["phase"]:
        lines.append(f"gphase({float(value['phase'])!r});")
    lines += _statements(value, qubits[1], clbits[1])
    return "\n".join(lines) + "\n"


def _plain(entry) -> bool:
    """Whether an operation can be written: a known name, with finite numbers alone as parameters."""
    return (entry[0] in _GATES or entry[0] in ("measure", "reset", "barrier")) and "p" not in entry[3]


def _statements(value, qubits, clbits) -> Iterator[str]:
    floats, qargs, cargs = (iter(items(value.get(name, []))) for name in ("floats", "qargs", "cargs"))
    for slot in items(value["index"]):
        entry = value["ops"][slot]
        if type(entry) is dict:
            yield f"// {_told(entry['aer'], [qubits[next(qargs)] for _ in range(entry['qubits'])])}"
            continue
        name, width, classical, kinds, *_ = entry
        operands = ", ".join([qubits[next(qargs)] for _ in range(width)])
        if name == "measure":
            yield f"{clbits[next(cargs)]} = measure {operands};"
            continue
        for _ in range(classical):
            next(cargs)
        numbers = ", ".join([repr(next(floats)) for _ in kinds])
        yield f"{_NAMES.get(name, name)}({numbers}) {operands};" if numbers else f"{name} {operands};"


def _registers(rows, bits, loose, taken) -> tuple[list, list[str]] | None:
    """([(name, size)], how each bit is written); size 0 for single bits. None where registers overlap or cannot be named."""
    names: list = [None] * bits
    declared = []
    for name, first, size in rows:
        places = first if type(first) is list else range(first, first + size)
        name = _free(taken) if name is None else name
        if (
            not _IDENTIFIER.match(name)
            or name in _RESERVED
            or name in taken
            or not places
            or any(names[place] for place in places)
        ):
            return None
        taken.add(name)
        declared.append((name, len(places)))
        for number, place in enumerate(places):
            names[place] = f"{name}[{number}]"
    for place, name in enumerate(names):
        if name is None:
            names[place] = f"{loose}{place}"
            if names[place] in taken:
                return None
            taken.add(names[place])
            declared.append((names[place], 0))
    return declared, names


def _free(taken) -> str:
    """A name for a register whose own was automatic."""
    return next(name for number in range(len(taken) + 2) if (name := f"q{number or ''}") not in taken)
