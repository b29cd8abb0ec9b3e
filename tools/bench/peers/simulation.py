"""How long Aer itself takes: a run with the noise of 127 qubits is seconds, and what is added to it milliseconds."""

import time
from typing import Any


class Simulation:
    """Counts the seconds that Aer spends on jobs, in whatever thread."""

    def __init__(self):
        self.seconds = 0.0

    def __enter__(self) -> "Simulation":
        from qiskit_aer.backends.aerbackend import AerBackend

        self._kind, self._execute = AerBackend, AerBackend._execute_circuits_job
        execute = self._execute

        def counted(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return execute(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        AerBackend._execute_circuits_job = counted
        return self

    def __exit__(self, *_: Any) -> None:
        self._kind._execute_circuits_job = self._execute


def beside_simulation(run: Any) -> float:
    """Seconds that `run()` takes beyond Aer's own."""
    start = time.perf_counter()
    with Simulation() as simulation:
        run()
    return time.perf_counter() - start - simulation.seconds


def device_and_bell() -> tuple[Any, Any]:
    """A simulator of a device of 127 qubits, with its noise, and a Bell circuit in its gates."""
    from qiskit import QuantumCircuit, transpile
    from qiskit_aer import AerSimulator
    from qiskit_ibm_runtime.fake_provider import FakeSherbrooke

    device = FakeSherbrooke()
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    simulator = AerSimulator.from_backend(device, max_parallel_threads=1)
    return simulator, transpile(circuit, device, optimization_level=1, seed_transpiler=1)
