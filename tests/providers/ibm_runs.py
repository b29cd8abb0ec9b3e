"""Jobs for the loopback server, as the tests of the provider `ibm` send them."""

import warnings
from contextlib import contextmanager

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import EstimatorV2, SamplerV2

import qarchive

OURS = "qarchive"  # the User-Agent of requests that are not the user's
VOLATILE_HEADERS = {"Authorization", "Host"}
X, Y = Parameter("x"), Parameter("y")  # each has an identity of its own, which is sent


def bell(backend, measured=True, **kwargs):
    circuit = QuantumCircuit(2, name="bell", **kwargs)
    circuit.h(0)
    circuit.cx(0, 1)
    if measured:
        circuit.measure_all()
    return transpile(circuit, backend, initial_layout=[0, 1], optimization_level=0)


def turned(backend):
    """A circuit with two parameters and a PUB of six sets of values for it."""
    circuit = QuantumCircuit(1, 1, name="turned")
    circuit.rx(X, 0)
    circuit.rz(Y, 0)
    circuit.measure(0, 0)
    return transpile(circuit, backend, initial_layout=[0], optimization_level=0), [[[0.1 * i, 0.2], [1.0, i]] for i in range(3)]


def observed(backend):
    circuit = bell(backend, measured=False)
    return circuit, [SparsePauliOp(label).apply_layout(circuit.layout) for label in ("ZZ", "XX")]


def sample(mode, backend, shots=50, options=None):
    return SamplerV2(mode, options=options or {}).run([bell(backend)], shots=shots)


def estimate(mode, backend, precision=0.1):
    return EstimatorV2(mode).run([observed(backend)], precision=precision)


def theirs(server):
    """The requests of the user's, without what differs from one connection to the next."""
    found = []
    for method, path, query, headers, body in server.requests:
        if headers.get("User-Agent") != OURS:
            kept = {name: value for name, value in headers.items() if name not in VOLATILE_HEADERS}
            found.append((method, path, query, kept, body))
    return found


def ours(server):
    return [(request.method, request.path) for request in server.requests if request.headers.get("User-Agent") == OURS]


@contextmanager
def strict(folder):
    """An archive in which nothing may be a gap or a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        with qarchive.open(folder) as archive:
            yield archive


@contextmanager
def lenient(folder):
    """An archive whose warnings are nobody's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        with qarchive.open(folder) as archive:
            yield archive
