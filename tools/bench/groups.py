"""Groups: whether adding to a large one costs what adding to an empty one does, many circuits, the report."""

import resource
import sys
import tempfile
from pathlib import Path

from beside import Peer
from table import Row, median, paired, row, timed

import qarchive

ADDED = 10_000
ENDS = 200  # jobs at both ends that are compared
BESIDE = 300  # jobs that are added to Perceval's JobGroup as well
_MAXRSS = 1 << 20 if sys.platform == "darwin" else 1 << 10  # units of ru_maxrss in a MiB


def rows(options):
    from qiskit_aer import AerSimulator

    backend = AerSimulator()
    yield from _added(backend)
    yield from _added_to_job_group()
    yield from _mapped(backend, options.circuits)


def _added(backend):
    """One job after another, each of one circuit; the last ones in turns with the first ones of another archive."""
    circuit = next(_circuits(1, 0))
    yield f"{ADDED:,} jobs added to a group, one by one"
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        qarchive.open(Path(folder) / "many") as archive,
        qarchive.open(Path(folder) / "few") as other,
    ):
        group, new = archive.group("many"), other.group("few")
        for _ in range(ADDED - ENDS):
            group.add(backend, circuit, shots=100)
        sizes = [_bytes(each.path) for each in (archive, other)]
        last, first = paired(
            [lambda: group.add(backend, circuit, shots=100)] * ENDS, [lambda: new.add(backend, circuit, shots=100)] * ENDS
        )
        each = [(_bytes(kept.path) - size) / ENDS for kept, size in zip((archive, other), sizes, strict=True)]
        note = f"{each[0]:.0f} bytes each, {each[1]:.0f} of the first"
        yield Row(f"the last {ENDS}, each", median(last) * 1000, "ms", "the first of a group", median(first) * 1000,
                  most=1.2, note=note)  # fmt: skip
        yield row("report of the group", median(timed(lambda: str(group.report())) for _ in range(9)) * 1000, "ms", 100)


def _added_to_job_group():
    """Computations of one processor, in turns with Perceval's JobGroup, which writes its whole file for each."""
    import perceval
    from perceval.algorithm import Sampler

    yield f"{BESIDE} computations of a processor added to a group, one by one"
    processor = perceval.Processor("SLOS", perceval.catalog["postprocessed cnot"].build_experiment())
    processor.with_input(perceval.BasicState([0, 1, 0, 1]))
    processor.min_detected_photons_filter(2)
    sampler = Sampler(processor)
    with tempfile.TemporaryDirectory(dir=".") as folder, qarchive.open(Path(folder) / "archive") as archive:
        group = archive.group("many")
        ours, theirs, written = [], [], []
        with Peer("job_group.py") as peer:
            peer("prepare", folder=str(Path(folder).absolute()))
            for number in range(BESIDE):
                ours.append(timed(lambda number=number: group.add(sampler.sample_count, max_samples=1000 + number)))
                theirs.append(peer("add", number=number))
                written.append(peer("size"))
        name = "Perceval's JobGroup"
        yield Row("the last fifty, each", median(ours[-50:]) * 1000, "ms", name, median(theirs[-50:]) * 1000)
        yield Row("bytes kept of each", _bytes(archive.path) / BESIDE, "B", name, written[-1] / BESIDE)
        yield Row("bytes written for each", _bytes(archive.path) / BESIDE, "B", name, sum(written) / BESIDE)


def _mapped(backend, number):
    """Circuits that are read one by one."""
    yield f"{number:,} different one-qubit circuits mapped into a group"
    with tempfile.TemporaryDirectory(dir=".") as folder, qarchive.open(Path(folder) / "archive") as archive:
        archive.group("warm").map(backend, _circuits(1000, 0), shots=10)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        group = archive.group("mapped")
        seconds = timed(lambda: group.map(backend, _circuits(number, 1000), shots=10))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / _MAXRSS
        yield row("each", seconds / number * 1e6, "us", note=f"memory grew by {grown:.0f} MiB")
        newest = [timed(lambda: archive.jobs(group="mapped", limit=50)[:]) for _ in range(20)]
        yield row("the newest 50 of its jobs", median(newest) * 1000, "ms")
        yield row(
            "report", median(timed(lambda: str(group.report())) for _ in range(5)) * 1000, "ms", note=f"{len(group):,} jobs"
        )


def _circuits(number, start):
    from qiskit import QuantumCircuit

    for place in range(start, start + number):
        circuit = QuantumCircuit(1, 1)
        circuit.rx(place * 1e-7, 0)
        circuit.measure(0, 0)
        yield circuit


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in (path / "packs").iterdir())
