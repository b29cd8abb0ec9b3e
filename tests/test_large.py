"""A state vector is archived without a second copy of it in memory, and read back with one.

128 MiB by default. The 2 GiB of 27 qubits, which take some 4 GB of disk and of memory and about a minute:

    QARCHIVE_TEST_LARGE=1 .venv/bin/python -m pytest tests/test_large.py -s

Each step runs in a process of its own, which tells the largest amount of memory that it had.
"""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("resource")  # not on Windows

MiB = 1 << 20
SIZES = [128 * MiB] + [2048 * MiB] * bool(os.environ.get("QARCHIVE_TEST_LARGE"))

COMMON = """if True:
    import json, resource, sys, time, warnings
    import numpy
    import qarchive
    from qiskit import QuantumCircuit
    from qiskit.providers import BackendV2, JobStatus, JobV1, Options
    from qiskit.providers.basic_provider import BasicSimulator
    from qiskit.quantum_info import Statevector
    from qiskit.result import Result

    warnings.simplefilter("error", qarchive.errors.ArchiveWarning)
    folder, size = sys.argv[1], int(sys.argv[2])
    unit = 1 if sys.platform == "darwin" else 1024

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def tell(before, start):
        print(json.dumps({"before": before, "peak": peak(), "seconds": time.perf_counter() - start}))

    rng = numpy.random.default_rng(1)
"""

WRITE = (
    COMMON
    + """
    class Job(JobV1):
        def submit(self):
            pass

        def result(self):
            return held

        def status(self):
            return JobStatus.DONE

    class Backend(BackendV2):
        target = BasicSimulator().target
        max_circuits = None

        @classmethod
        def _default_options(cls):
            return Options(shots=1)

        def run(self, circuits, **options):
            return Job(self, "job-1")

    vector = Statevector(rng.standard_normal(size // 8).view(complex))
    experiment = {"shots": 1, "success": True, "data": {"statevector": vector}}
    held = Result.from_dict({"backend_name": "large", "job_id": "job-1", "success": True, "results": [experiment]})
    with qarchive.open(folder) as archive:
        before, start = peak(), time.perf_counter()
        archive.wrap(Backend(name="large")).run(QuantumCircuit(1))
        archive.flush()
        tell(before, start)
        assert archive.job("latest").gaps == []
"""
)

READ = (
    COMMON
    + """
    with qarchive.open(folder) as archive:
        job = archive.job("latest")
        before, start = peak(), time.perf_counter()
        result = job.result()
        tell(before, start)
    numbers = numpy.asarray(result.data(0)["statevector"]).view(float)
    assert numbers.nbytes == size
    for piece in range(0, len(numbers), 1 << 20):
        assert (numbers[piece : piece + (1 << 20)] == rng.standard_normal(1 << 20)).all()
"""
)


def run(code, *args):
    """What the code tells about itself; its errors are shown."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size // MiB} MiB")
def test_a_state_vector_is_archived_and_read_without_a_second_copy(size, tmp_path):
    wrote = run(WRITE, tmp_path / "lab", size)
    read = run(READ, tmp_path / "lab", size)
    speeds = [size / MiB / told["seconds"] for told in (wrote, read)]
    print(f"\narchived with {(wrote['peak'] - wrote['before']) / size:.2f} x of its size more in memory, {speeds[0]:.0f} MiB/s; "
          f"read with {read['peak'] / size:.2f} x, {speeds[1]:.0f} MiB/s")  # fmt: skip
    assert wrote["peak"] - wrote["before"] < 0.6 * size  # of which up to 32 MiB are what is not yet on the disk
    assert read["peak"] - read["before"] < 1.2 * size
    if size > 1024 * MiB:
        assert read["peak"] < 1.3 * size
