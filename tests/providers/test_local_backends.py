"""Local backends of the provider "qiskit": the conformance suite, primitives over them, and what would slip past a wrapper."""

import importlib.util
import sys
import warnings
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive

HERE = Path(__file__).parent


def _module(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


conformance = sys.modules.get("conformance") or _module("conformance")
third_party = _module("third_party")


def bell(name="bell", **metadata):
    circuit = QuantumCircuit(2, 2, name=name, metadata=metadata)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


class Local(conformance.Conformance):
    """What all local backends have in common here: two calls, and no run that fails quietly."""

    provider = "qiskit"
    blocked = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "numpy", "scipy", "rustworkx")
    records_jobs = False
    backend: str  # Python source that makes one

    @property
    def setup(self):
        return f"""
import sys
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own imports
    sys.path.insert(0, {str(HERE)!r})
    from qiskit import QuantumCircuit
    {self.backend.partition("; ")[0]}
target = {self.backend.partition("; ")[2]}
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
def call(target):
    target.run(circuit, shots=100, seed_simulator=1)
"""

    def calls(self):
        return [
            ("counts", (bell(),), {"shots": 50, "seed_simulator": 1}),
            ("a list", ([bell("a", who="me", when=(1, 2)), bell("b")],), {"shots": 20, "seed_simulator": 2, "memory": True}),
        ]

    def failing(self):
        return ((self.refused(),), {"shots": 1, "seed_simulator": 1}), None

    def refused(self):
        """A circuit that the backend's `run` raises for."""
        circuit = QuantumCircuit(1, 1)
        circuit.initialize([0.6, 0.8], 0)
        circuit.append(QuantumCircuit(1, name="unheard").to_gate(), [0])
        circuit.measure(0, 0)
        return circuit

    def same_input(self, one, other):
        assert one == other
        listed = [item if isinstance(item, list) else [item] for item in (one, other)]
        names, others = ([(circuit.name, circuit.metadata) for circuit in circuits] for circuits in listed)
        assert names == others

    def same_result(self, one, other):
        if isinstance(one, dict):
            conformance.same(one, other)
        else:
            assert type(one) is type(other)
            conformance.same(one.to_dict(), other.to_dict())

    def without_volatile(self, result):
        return conformance.strip(result.to_dict())

    def with_secret(self, args, secret):
        return (bell("bell", token="hunter22", note=f"uses {secret}"),)


class TestBasicSimulator(Local):
    backend = "from qiskit.providers.basic_provider import BasicSimulator; BasicSimulator()"

    def target(self):
        return BasicSimulator()


class TestGenericBackend(Local):
    backend = "from qiskit.providers.fake_provider import GenericBackendV2; GenericBackendV2(3, seed=1)"

    def target(self):
        return GenericBackendV2(3, seed=1)


class TestFakeManila(Local):
    backend = "from qiskit_ibm_runtime.fake_provider import FakeManilaV2; FakeManilaV2()"

    def target(self):
        return FakeManilaV2()


class TestPolledJob(Local):
    """A job that can only be asked: a thread of the archive's does so."""

    backend = "import third_party; third_party.polled()"
    kind = "local"

    def target(self):
        return third_party.polled()


class TestFinishedJob(Local):
    """A job that has ended when `run` returns it."""

    backend = "import third_party; third_party.finished()"
    kind = "local"

    def target(self):
        return third_party.finished()
