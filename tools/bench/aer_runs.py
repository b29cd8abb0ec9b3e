"""Real runs on Aer, bare and through the archive, in turns.

Aer gets one thread: with more, its threads wait for each other, and on a machine that does anything else that is all one sees.
An outcome is recorded after the user has the result, so runs are timed in blocks, each until its last outcome is on the disk.
"""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from table import median, paired, row

import qarchive

SMALL, LONG, BLOCK = 1000, 60, 25


def rows(options):
    from qiskit_aer import AerSimulator

    with tempfile.TemporaryDirectory(dir=".") as folder:
        archive = qarchive.open(Path(folder) / "archive")
        bare = AerSimulator(max_parallel_threads=1)
        wrapped = archive.wrap(AerSimulator(max_parallel_threads=1))

        def block(backend, circuits) -> Callable[[], None]:
            def run():
                for circuit in circuits:
                    backend.run(circuit, shots=1024, seed_simulator=1).result()
                if backend is wrapped:
                    archive.flush()

            return run

        def measure(circuits) -> tuple[float, float, float]:
            """Milliseconds a run, bare and archived, as medians of blocks; and the mean of what is added."""
            parts = [circuits[i : i + BLOCK] for i in range(0, len(circuits), BLOCK)]
            archived, plain = paired([block(wrapped, part) for part in parts], [block(bare, part) for part in parts])
            scale = 1000 / len(parts[0])
            return median(plain) * scale, median(archived) * scale, (sum(archived) - sum(plain)) / len(circuits) * 1000

        measure([_small(-1 - i) for i in range(2 * BLOCK)])
        yield f"Runs on Aer, bare and archived in turns: {SMALL} distinct small circuits, {LONG} long ones; Aer with one thread"
        before = archive.statistics()["bytes"]
        plain, archived, mean = measure([_small(i) for i in range(SMALL)])
        yield row("  a bare small run, median", plain, "ms")
        yield row("  added to a small run, median", archived - plain, "ms", 0.5)
        yield row("  added to a small run, mean", mean, "ms")
        yield row("  on the disk a run", (archive.statistics()["bytes"] - before) / SMALL / 1000, "kB")
        plain, archived, _ = measure([_small(0)] * SMALL)
        yield row("  added to a run of one circuit again and again, median", archived - plain, "ms")
        plain, archived, _ = measure([_long(i) for i in range(LONG)])
        yield row("  a bare long run, median", plain, "ms")
        yield row("  archived / bare, long runs", archived / plain, "x", 1.15)
        archive.close()


def _small(seed):
    """A small circuit that no other run has: two qubits, a few gates, angles of its own."""
    from qiskit import QuantumCircuit

    rng = random.Random(seed)
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.rx(rng.random(), 0)
    circuit.ry(rng.random(), 1)
    circuit.cx(0, 1)
    circuit.rz(rng.random(), 1)
    circuit.measure_all()
    return circuit


def _long(seed):
    """Some tens of milliseconds of simulation."""
    from qiskit import QuantumCircuit

    rng = random.Random(seed)
    circuit = QuantumCircuit(14)
    for _ in range(10):
        for qubit in range(14):
            circuit.rx(rng.random(), qubit)
        for qubit in range(13):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit
