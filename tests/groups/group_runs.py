"""Circuits, and scripts that run in processes of their own, for tests of groups."""

import base64
import contextlib
import multiprocessing
import multiprocessing.util
import os
import pickle
import signal
import subprocess
import textwrap
import time
import warnings
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

import qarchive
from qarchive.errors import ArchiveWarning

multiprocessing.util.get_temp_dir()  # of the server of processes: one that no test takes away
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["group_runs", "qarchive.providers.qiskit.aer", "qiskit.primitives", "numpy"])

_HEAD = "import os, sys, time, warnings\nimport qarchive\nfrom qiskit_aer import AerSimulator\nfrom group_runs import *\n"


def turned(number, qubits=1):
    """A circuit that is equal to no other one of another number."""
    circuit = QuantumCircuit(qubits, name=f"turned-{number}")
    circuit.rx(0.001 * number, 0)
    circuit.measure_all()
    return circuit


def flipped(number, qubits=3):
    """A circuit that counts nothing but its number, in binary digits."""
    circuit = QuantumCircuit(qubits, name=f"flipped-{number}")
    for qubit in range(qubits):
        if number >> qubit & 1:
            circuit.x(qubit)
    circuit.measure_all()
    return circuit


def slow(seed=1, qubits=17, depth=10):
    """A circuit that keeps a simulator busy for some tenths of a second."""
    circuit = QuantumCircuit(qubits, name="slow")
    for layer in range(depth):
        for qubit in range(qubits):
            circuit.rx(0.1 * seed + layer, qubit)
        for qubit in range(qubits - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def failing():
    """A circuit that Aer, as `strict()` makes it, refuses when it runs."""
    circuit = QuantumCircuit(30, name="failing")
    circuit.h(range(30))
    circuit.t(range(30))
    circuit.measure_all()
    return circuit


def strict():
    """A simulator that has no room for 30 qubits."""
    return AerSimulator(method="statevector", max_memory_mb=64, max_parallel_threads=1)


def aer(**options):
    return AerSimulator(max_parallel_threads=1, **options)


def circuits_of(group):
    """All circuits of a group by their names, in order."""
    return [name for job in group for name in job.names]


def attempts_of(job):
    """The status of each attempt of a job, in order."""
    return [attempt.status for attempt in sorted(job.folded.attempts, key=lambda attempt: attempt.number)]


def numbers_of(job):
    """The number of each attempt of a job, in order."""
    return sorted(attempt.number for attempt in job.folded.attempts)


@contextlib.contextmanager
def warned():
    """What the archive warns of inside, as a list of texts."""
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [str(warning.message) for warning in caught if issubclass(warning.category, ArchiveWarning)]


class Script:
    """A script in a process of its own, which has imported what scripts import and run nothing yet.

    What it tells comes back line by line, also when it is killed. It ends as scripts do: what is registered for the end runs.
    """

    def __init__(self, text, **values):
        self._reader, writer = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_execute, args=(textwrap.dedent(text), values, writer), daemon=True)
        self._process.start()
        self.pid = self._process.pid
        writer.close()

    def line(self):
        """The next line that it tells; None if it has ended."""
        try:
            return self._reader.recv()
        except (EOFError, OSError):
            return None

    def kill(self, sent=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, sent)

    def wait(self):
        """(lines that were not read yet, exit code or minus the signal) when it has ended."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        self._reader.close()
        self._process.join()
        return lines, self._process.exitcode


def run_script(text, **values):
    """The lines that a script tells, which must end well."""
    lines, code = Script(text, **values).wait()
    assert code == 0, lines
    return lines


def _execute(text, values, writer):
    import atexit

    multiprocessing.current_process()._config["daemon"] = False  # it may have children
    names = {"__name__": "__main__", "tell": lambda *what: writer.send(" ".join(map(str, what))), **values}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        exec(compile(_HEAD, "head", "exec"), names)  # noqa: S102
        exec(compile(text, "script", "exec"), names)  # noqa: S102
    finally:
        atexit._run_exitfuncs()


def when(condition, patience=60.0):
    """Wait until a condition holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@contextlib.contextmanager
def small_disk(place, size):
    """A disk of its own, of so many bytes, at a place."""
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk):
    """Leave no room on a disk; the file that takes it."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


class Apart(Executor):
    """Runs each task in a process that does not find a folder, as on another host. `meanwhile` may change what comes back."""

    def __init__(self, folder, meanwhile=lambda found: found):
        self._folder, self._meanwhile, self.names = str(folder), meanwhile, []

    def submit(self, task, /, *args, **kwargs):
        self.names.append(task.__name__)
        future = Future()
        future.set_running_or_notify_cancel()
        line, *_ = run_script(
            """
            import base64, ctypes, pickle, subprocess
            if ctypes.CDLL(None).unshare(0x20000):
                tell("no")
            else:
                subprocess.run(["mount", "--make-rprivate", "/"], check=True)
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
                task, args, kwargs = pickle.loads(data)
                try:
                    back = (task(*args, **kwargs), None)
                except BaseException as error:
                    back = (None, error)
                tell(base64.b64encode(pickle.dumps(back)).decode())
            """,
            folder=self._folder, data=pickle.dumps((task, args, kwargs)),
        )  # fmt: skip
        if line == "no":
            pytest.skip("only root can hide a folder from one process")
        found, error = pickle.loads(base64.b64decode(line))  # noqa: S301
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(self._meanwhile(found))
        return future


class Watched(Executor):
    """Runs each task at once, from its pickled bytes, which it keeps."""

    def __init__(self, before=None):
        self.tasks, self._before = [], before

    def submit(self, task, /, *args, **kwargs):
        import cloudpickle

        self.tasks.append(cloudpickle.dumps((task, args, kwargs)))
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            task, args, kwargs = cloudpickle.loads(self.tasks[-1])
            future.set_result(task(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def lab(folder, **options):
    return qarchive.open(Path(folder) / "lab", **options)
