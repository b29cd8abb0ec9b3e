"""Circuits and OpenQASM programs of Braket's <-> plain values. What is kept is the OpenQASM 3 text that the simulator runs."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from qarchive.codec import digest, encode
from qarchive.errors import BadInput
from qarchive.providers.base import Stage
from qarchive.providers.wrapped import is_a

from . import braket

CIRCUIT, OPENQASM, MISSING = "braket.circuit", "braket.openqasm", "missing"  # the types of an input blob

_CIRCUITS = frozenset({("braket.circuits.circuit", "Circuit")})
_PROGRAMS = frozenset({("braket.ir.openqasm.program_v1", "Program")})
_UNREAD = "Braket reads another circuit from its own OpenQASM, which is kept"


def plain_of(program: Any) -> dict[str, Any]:
    """A circuit or program as plain values. Raises BadInput for what is neither."""
    if is_a(program, _PROGRAMS):
        return {"type": OPENQASM, "source": program.source, "inputs": program.inputs or {}}
    if is_a(program, _CIRCUITS):
        return _text(program)
    raise BadInput(f"a {type(program).__name__}", "it is no circuit of Braket's and no OpenQASM program")


def put_program(stage: Stage, program: Any) -> dict[str, Any]:
    """What the input blob holds; a gap where that is nothing, or would not come back as the same circuit."""
    try:
        plain = plain_of(program)
    except BadInput as error:
        stage.gap("input", str(error))
        return {"type": MISSING}
    if plain["type"] == CIRCUIT and not _comes_back(program, plain):
        stage.gap("input.circuit.structure", _UNREAD)
        return {"type": OPENQASM, "source": plain["source"], "inputs": {}}
    return plain


def load_program(plain: Mapping[str, Any]) -> Any:
    """The circuit or program again. Raises BadInput where it was not captured, MissingExtra."""
    if plain["type"] == CIRCUIT:
        return _circuit(plain["source"], plain["measured"]).copy()
    source = source_of(plain)
    return braket("ir.openqasm", "an OpenQASM program").Program(source=source, inputs=dict(plain["inputs"]))


def source_of(plain: Mapping[str, Any]) -> str:
    """The OpenQASM 3 text of an input blob, without the SDK. Raises BadInput where it was not captured."""
    if plain["type"] == MISSING:
        raise BadInput("the input of this job", "it is not in the archive", "see the gaps of the job")
    return plain["source"]


def identity(plain: Mapping[str, Any]) -> bytes:
    """32 bytes that are equal for equal programs: the text that runs, and the values that it comes with."""
    return digest(encode([source_of(plain), plain.get("inputs", {})]))


def _text(circuit) -> dict[str, Any]:
    form = braket("circuits.serialization", "a circuit").IRType.OPENQASM
    # Where a circuit measures nothing, its text measures all: that is left out again when it is read.
    measured = any(type(step.operator).__name__ == "Measure" for step in circuit.instructions)
    return {"type": CIRCUIT, "source": circuit.to_ir(ir_type=form).source, "measured": measured}


def _comes_back(circuit, plain) -> bool:
    if any(type(wanted).__name__ == "AdjointGradient" for wanted in circuit.result_types):
        return False  # Braket's parser does not know it, and would say so on the user's stderr
    try:
        return _circuit(plain["source"], plain["measured"]) == circuit
    except Exception:  # some texts of its own it refuses (an observable given by a matrix)
        return False


@lru_cache(maxsize=256)
def _circuit(source: str, measured: bool) -> Any:
    """A circuit read from its text. It costs milliseconds, and most runs of a script have texts of a few."""
    kind = braket("circuits", "a circuit").Circuit
    found = kind.from_ir(source)
    if measured or found.result_types:
        return found
    return kind(step for step in found.instructions if type(step.operator).__name__ != "Measure")
