"""Groups: whether adding to a large one costs what adding to an empty one does, many circuits, the report."""

import os
import resource
import sys
import tempfile
import warnings
from pathlib import Path

from table import median, paired, row, timed

import qarchive

ADDED = 10_000
ENDS = 200  # jobs at both ends that are compared
_PEER = 300  # jobs added to Perceval's JobGroup
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
        yield row(f"  the first {ENDS}", median(first) * 1000, "ms", note=f"{each[1]:.0f} bytes each")
        yield row(f"  the last {ENDS}", median(last) * 1000, "ms", note=f"{each[0]:.0f} bytes each")
        yield row("  the last against the first", median(last) / median(first), "x", 1.2)
        yield row("  report of the group", median(timed(lambda: str(group.report())) for _ in range(9)) * 1000, "ms", 100)


def _added_to_job_group():
    """The same in Perceval's JobGroup, which writes its whole file for each job, here with hardly anything in it."""
    warnings.simplefilter("ignore")
    import perceval
    from perceval.providers.quandela.rpc_handler import RPCHandler
    from perceval.runtime.legacy import JobGroup, RemoteJob

    with tempfile.TemporaryDirectory(dir=".") as folder:
        JobGroup._DIR_PATH = str(Path(folder).absolute())
        group = JobGroup("many")
        handler = RPCHandler("sim:none", "https://localhost", "token")
        body = {"platform_name": "sim:none", "pcvl_version": perceval.__version__, "payload": {"command": "sample_count"}}
        times, written = [], 0
        for _ in range(_PEER):
            times.append(timed(lambda: group.add(RemoteJob(body, handler, "a job"))))
            written += os.path.getsize(group._file_path)
        note = f"{written / _PEER:.0f} bytes each, on average"
        yield row(f"  Perceval's JobGroup: the last 20 of {_PEER}", median(times[-20:]) * 1000, "ms", note=note)
        yield row("  Perceval's JobGroup: the last against the first", median(times[-20:]) / median(times[:20]), "x")


def _mapped(backend, number):
    """Circuits that are read one by one."""
    yield f"{number:,} different one-qubit circuits mapped into a group"
    with tempfile.TemporaryDirectory(dir=".") as folder, qarchive.open(Path(folder) / "archive") as archive:
        archive.group("warm").map(backend, _circuits(1000, 0), shots=10)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        group = archive.group("mapped")
        seconds = timed(lambda: group.map(backend, _circuits(number, 1000), shots=10))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / _MAXRSS
        yield row("  each", seconds / number * 1e6, "us", note=f"memory grew by {grown:.0f} MiB")
        newest = [timed(lambda: archive.jobs(group="mapped", limit=50)[:]) for _ in range(20)]
        yield row("  the newest 50 of its jobs", median(newest) * 1000, "ms")
        yield row(
            "  report", median(timed(lambda: str(group.report())) for _ in range(5)) * 1000, "ms", note=f"{len(group):,} jobs"
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
