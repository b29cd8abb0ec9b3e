"""Real runs on Aer, bare and through the archive, in turns.

Aer gets one thread: with more, its threads wait for each other, and on a machine that does anything else that is all one sees.
An outcome is recorded after the user has the result, so runs are timed in blocks, each until its last outcome is on the disk.
"""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from beside import Peer
from peers.simulation import beside_simulation, device_and_bell
from table import Row, median, paired, row

import qarchive

SMALL, LONG, BLOCK = 1000, 60, 25
NOISY, WARM = 20, 2  # runs with the noise of a device, and those before them


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
        yield row("a bare small run, median", plain, "ms")
        yield row("added to a small run, median", archived - plain, "ms", 0.5)
        yield row("added to a small run, mean", mean, "ms")
        yield row("on the disk a run", (archive.statistics()["bytes"] - before) / SMALL / 1000, "kB")
        plain, archived, _ = measure([_small(0)] * SMALL)
        yield row("added to a run of one circuit again and again, median", archived - plain, "ms")
        plain, archived, _ = measure([_long(i) for i in range(LONG)])
        yield Row("an archived long run", archived, "ms", "the same bare", plain, most=1.15)
        archive.close()
    yield from _noisy()


def _noisy():
    """Each run is tracked by itself, as that is how devqubit captures all of one. What Aer takes is not counted."""
    yield f"{NOISY} Bell runs on Aer as a device of 127 qubits with its noise, bare and captured in turns"
    bare, circuit = device_and_bell()
    with tempfile.TemporaryDirectory(dir=".") as name, qarchive.open(Path(name) / "archive") as archive:
        folder = Path(name) / "devqubit"
        folder.mkdir()
        wrapped = archive.wrap(bare)

        def run(backend, seed):
            backend.run(circuit, shots=1024, seed_simulator=seed).result()
            archive.flush()  # the outcome is recorded after its user has it; costs nothing after a bare run

        added: list[float] = []
        beside: list[float] = []
        with Peer("tracked.py") as peer:
            peer("prepare", folder=str(folder.absolute()))
            for seed in range(NOISY + WARM):
                plain = beside_simulation(lambda seed=seed: run(bare, seed))
                added.append(beside_simulation(lambda seed=seed: run(wrapped, seed)) - plain)
                plain = peer("bare", seed=seed)
                beside.append(peer("tracked", seed=seed) - plain)
                if seed == WARM - 1:
                    before, started = archive.statistics()["bytes"], peer("size")
            own = (archive.statistics()["bytes"] - before) / NOISY / 1000
            theirs = (peer("size") - started) / NOISY / 1000
        yield Row("bytes a run", own, "kB", "devqubit", theirs, most=1 / 50)
        name = "added to a run, outcome on the disk"
        yield Row(name, median(added[WARM:]) * 1000, "ms", "devqubit", median(beside[WARM:]) * 1000, most=1 / 20)


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
