"""Circuits from files, simulators by name, and circuits made ready for them: what `qarchive run` needs of Qiskit."""

import contextlib
import io
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...errors import BadInput
from .values import sdk

BACKENDS = ("aer", "basic")
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VERSION = re.compile(r"\s*OPENQASM\s+(\d+)(?:\.\d+)?\s*;")
_FAKE = "qiskit_ibm_runtime.fake_provider"


def read_circuits(path: str) -> list[Any]:
    """The circuits in an OpenQASM 2, OpenQASM 3 or QPY file, at least one. Raises BadInput, MissingExtra."""
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "there is no such file") from None
    except OSError as error:
        raise BadInput(path, f"cannot be read ({(error.strerror or str(error)).lower()})") from None
    if file.suffix == ".qpy":
        circuits = _from_qpy(path, content)
    elif file.suffix == ".qasm":
        circuits = [_from_qasm(path, content)]
    else:
        raise BadInput(path, "is neither .qasm nor .qpy", "name it by what is in it")
    for circuit in circuits:
        if circuit.parameters:
            names = ", ".join(sorted(parameter.name for parameter in circuit.parameters)[:5])
            raise BadInput(
                path,
                f"the circuit {circuit.name} has parameters without values ({names})",
                "assign them before the file is written",
            )
    return circuits


def check_backend(name: str, noise_from: str | None) -> None:
    """Raises BadInput for a name that `simulator` does not know, before any SDK is loaded."""
    if name not in BACKENDS:
        raise BadInput(
            f"the backend {name!r}", "does not exist", _nearest(name, BACKENDS) + f"the backends are {', '.join(BACKENDS)}"
        )
    if noise_from is not None and name != "aer":
        raise BadInput("--noise-from", f"the backend {name} has no noise", "leave out --backend")


def simulator(name: str = "aer", noise_from: str | None = None) -> Any:
    """A simulator by its name, with the target and noise of a fake device where one is named. Raises BadInput, MissingExtra."""
    check_backend(name, noise_from)
    if name == "basic":
        return sdk("qiskit.providers.basic_provider", "running a circuit").BasicSimulator()
    aer = sdk("qiskit_aer", "running a circuit")
    return aer.AerSimulator() if noise_from is None else aer.AerSimulator.from_backend(fake_device(noise_from))


def fake_device(name: str) -> Any:
    """A device of qiskit_ibm_runtime.fake_provider, by its class or its name, `fake` or not. Raises BadInput, MissingExtra."""
    provider = sdk(_FAKE, "a fake backend", "ibm")
    found = {_plain(kind): kind for kind in map(provider.__dict__.get, provider.__dict__) if _is_device(kind)}
    device = found.get(_plain_name(name))
    if device is None:
        near = _nearest(_plain_name(name), found)
        raise BadInput(f"the fake backend {name!r}", "does not exist", near + f"the names are {', '.join(sorted(found))}")
    return device()


def prepare(circuits: Sequence[Any], backend: Any, seed: int | None) -> list[Any]:
    """The circuits as the backend takes them: transpiled where it has a device's target or lacks one of their gates.

    Raises BadInput for circuits that do not fit.
    """
    names = set(backend.operation_names)
    device = getattr(backend, "_from_backend", False)
    if not device and all(names.issuperset(circuit.count_ops()) for circuit in circuits):
        return list(circuits)
    transpile = sdk("qiskit").transpile
    try:
        return transpile(list(circuits), backend, seed_transpiler=seed, **({} if device else {"optimization_level": 0}))
    except sdk("qiskit.exceptions").QiskitError as error:
        raise BadInput(f"a circuit for {backend.name}", _line(error)) from None


def measures(circuit: Any) -> bool:
    """Whether a circuit has a measurement, in the blocks of its control flow too."""
    return any(i.name == "measure" or any(map(measures, getattr(i.operation, "blocks", ()))) for i in circuit.data)


def qpy_bytes(circuits: Any, places: Iterable[int]) -> bytes:
    """One circuit or a list of circuits, those at `places`, as a QPY file."""
    circuits = circuits if isinstance(circuits, list) else [circuits]
    stream = io.BytesIO()
    sdk("qiskit.qpy", "QPY").dump([circuits[place] for place in places], stream)
    return stream.getvalue()


def _from_qasm(path: str, content: bytes) -> Any:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadInput(path, "is no text", "an OpenQASM file is UTF-8 text") from None
    if not text.strip():
        raise BadInput(path, "is empty", "write a program in OpenQASM 2 or 3 into it")
    version = _VERSION.match(_COMMENTS.sub(" ", text))
    if version is None or version[1] not in ("2", "3"):
        raise BadInput(
            f"{path} line {_first_line(text)}", "is no OpenQASM 2 or 3", "the file begins with `OPENQASM 2.0;` or `OPENQASM 3.0;`"
        )
    circuit = _from_qasm2(path, text) if version[1] == "2" else _from_qasm3(path, text)
    circuit.name = Path(path).stem
    return circuit


def _from_qasm2(path: str, text: str) -> Any:
    qasm2 = sdk("qiskit.qasm2", "reading OpenQASM 2")
    try:
        return qasm2.loads(text, include_path=(str(Path(path).parent),), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
                           custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL)  # fmt: skip
    except qasm2.QASM2ParseError as error:
        found = re.match(r"<input>:(\d+),(\d+): (.*)", error.message, re.DOTALL)
        raise _mend(path, *(found.groups() if found else (None, None, error.message)), "2") from None


def _from_qasm3(path: str, text: str) -> Any:
    qasm3 = sdk("qiskit.qasm3", "reading OpenQASM 3")
    sdk("qiskit_qasm3_import", "reading OpenQASM 3")
    parsing = sdk("openqasm3.parser", "reading OpenQASM 3").QASM3ParsingError
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the parser also prints what it raises
            return qasm3.loads(text)
    except qasm3.QASM3ImporterError as error:
        found = re.match(r"(\d+),(\d+): (.*)", error.message, re.DOTALL)
        raise _mend(path, *(found.groups() if found else (None, None, error.message)), "3") from None
    except parsing as error:
        found = re.match(r"L(\d+):C(\d+): (.*)", str(error), re.DOTALL)
        if found:
            raise _mend(path, *found.groups(), "3") from None
        token = getattr((getattr(error.__cause__, "args", None) or [None])[0], "offendingToken", None)
        if token is None:
            raise _mend(path, None, None, "cannot be parsed", "3") from None
        unexpected = "the program ends too early" if token.text == "<EOF>" else f"unexpected {token.text!r}"
        raise _mend(path, token.line, token.column, unexpected, "3") from None


def _from_qpy(path: str, content: bytes) -> list[Any]:
    qpy = sdk("qiskit.qpy", "reading QPY")
    if not content.startswith(b"QISKIT"):
        raise BadInput(path, "is no QPY", "write it with qiskit.qpy.dump")
    try:
        circuits = qpy.load(io.BytesIO(content))
    except MemoryError:
        raise
    except BaseException as error:  # struct.error, QpyError, UnicodeDecodeError, and panics of its Rust
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise BadInput(path, f"Qiskit cannot read this QPY ({_line(error)})", "write it again, or with an older Qiskit") from None
    if not circuits or not all(hasattr(circuit, "data") for circuit in circuits):
        raise BadInput(path, "holds no circuit", "write it with qiskit.qpy.dump")
    return circuits


def _mend(path: str, line: Any, column: Any, reason: str, version: str) -> BadInput:
    at = f" line {line} column {int(column) + 1}" if line is not None else ""
    return BadInput(f"{path}{at}", f"is no OpenQASM {version} ({' '.join(reason.split()).rstrip('.')})", "mend the file")


def _first_line(text: str) -> int:
    """The line on which a program's first word stands."""
    blank = _COMMENTS.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return blank[: len(blank) - len(blank.lstrip())].count("\n") + 1


def _line(error: BaseException) -> str:
    """An error's first line without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", getattr(error, "message", None) or str(error) or type(error).__name__)
    return " ".join(text.strip().splitlines()[0].split()).rstrip(".:") if text.strip() else type(error).__name__


def _is_device(kind: Any) -> bool:
    return isinstance(kind, type) and isinstance(getattr(kind, "backend_name", None), str)


def _plain(kind: type) -> str:
    return _plain_name(kind.backend_name)


def _plain_name(name: str) -> str:
    """sherbrooke, of FakeSherbrooke, fake_sherbrooke, FakeLagosV2 or ibm_sherbrooke."""
    return re.sub(r"^(fake|ibm)|v2$", "", name.lower().replace("_", ""))


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), 1)
    return f"did you mean {near[0]}? " if near else ""
