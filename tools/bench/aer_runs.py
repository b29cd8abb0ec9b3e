"""Real runs on Aer, bare and through the archive, in turns."""

import random
import tempfile
from pathlib import Path

from table import median, paired, row

import qarchive

SMALL = 1000
LONG = 60


def rows(options):
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

    def small(seed):
        """A small circuit that no other run has: two qubits, a few gates, angles of its own."""
        rng = random.Random(seed)
        circuit = QuantumCircuit(2)
        circuit.h(0)
        circuit.rx(rng.random(), 0)
        circuit.ry(rng.random(), 1)
        circuit.cx(0, 1)
        circuit.rz(rng.random(), 1)
        circuit.measure_all()
        return circuit

    def long(seed):
        """Some tens of milliseconds of simulation."""
        rng = random.Random(seed)
        circuit = QuantumCircuit(16)
        for _ in range(12):
            for qubit in range(16):
                circuit.rx(rng.random(), qubit)
            for qubit in range(15):
                circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
        return circuit

    def run(backend, circuit):
        return lambda: backend.run(circuit, shots=1024, seed_simulator=1).result()

    with tempfile.TemporaryDirectory(dir=".") as folder:
        archive = qarchive.open(Path(folder) / "archive")
        bare = AerSimulator()
        wrapped = archive.wrap(AerSimulator())
        for backend in (bare, wrapped):
            for seed in range(-20, 0):
                run(backend, small(seed))()
        yield f"Runs on Aer, bare and archived in turns; {SMALL} distinct small circuits, {LONG} long ones"
        circuits = [small(seed) for seed in range(SMALL)]
        before = archive.statistics()
        archived, plain = paired([run(wrapped, c) for c in circuits], [run(bare, c) for c in circuits])
        added = [a - b for a, b in zip(archived, plain, strict=True)]
        yield row("  a bare small run, median", median(plain) * 1000, "ms")
        yield row("  added to a small run, median", (median(archived) - median(plain)) * 1000, "ms", 0.5)
        yield row("  added to a small run, mean", sum(added) / len(added) * 1000, "ms", 0.5)
        after = archive.statistics()
        yield row("  kB a run on the disk", (after["bytes"] - before["bytes"]) / SMALL / 1000, "kB")
        again, plain = paired([run(wrapped, circuits[0])] * 300, [run(bare, circuits[0])] * 300)
        yield row("  added to a run of one circuit again and again, median", (median(again) - median(plain)) * 1000, "ms")
        archived, plain = paired([run(wrapped, long(s)) for s in range(LONG)], [run(bare, long(s)) for s in range(LONG)])
        yield row("  a bare long run, median", median(plain) * 1000, "ms")
        yield row("  archived / bare, long runs", median(archived) / median(plain), "x", 1.15)
        archive.close()
