"""Exporting and importing bundles, against `tar --zstd` of the same packs in the same run; and how large the file is."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from jobs import stage_job
from table import Row, median, row, timed

import qarchive

JOBS, TURNS, RUNS = 2_000, 3, 300


def rows(options):
    from qiskit import transpile
    from qiskit.circuit.random import random_circuit
    from qiskit_aer import AerSimulator

    yield f"Bundles of {JOBS:,} jobs, 2 kB of random blobs each; export looks for credentials, import checks every byte"
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        with qarchive.open(folder / "lab") as archive:
            for _ in range(JOBS):
                stage_job(archive._store, done=True).commit(durable=False)
            archive.flush()
            raw = sum(kind["bytes"] for kind in archive.statistics()["kinds"].values()) / 1e6
            times: dict[str, list[float]] = {"export": [], "import": [], "again": [], "tar": [], "untar": []}
            for turn in range(TURNS):
                tar, bundle, there = folder / "packs.tar.zst", folder / "jobs.qar", folder / f"other{turn}"
                times["tar"].append(timed(lambda tar=tar: _run("tar", "--zstd", "-cf", tar, "-C", archive.path, "packs")))
                times["export"].append(timed(lambda bundle=bundle: archive.export(bundle, force=True)))
                (folder / "out").mkdir()
                times["untar"].append(timed(lambda tar=tar: _run("tar", "--zstd", "-xf", tar, "-C", folder / "out")))
                with qarchive.open(there) as other:
                    times["import"].append(timed(lambda other=other, bundle=bundle: other.import_(bundle)))
                    times["again"].append(timed(lambda other=other, bundle=bundle: other.import_(bundle)))
                shutil.rmtree(folder / "out")
                shutil.rmtree(there)
            rates = {what: raw / median(found) for what, found in times.items()}
            yield Row("export", rates["export"], "MB/s", "tar --zstd -c", rates["tar"])
            yield Row("import, indexed", rates["import"], "MB/s", "tar --zstd -x", rates["untar"])
            yield row("import of what is there", rates["again"], "MB/s")
            sizes = [path.stat().st_size for path in (bundle, tar)]
            yield Row("size of the bundle", sizes[0] / 1e6, "MB", "the tar", sizes[1] / 1e6, most=1)
        with qarchive.open(folder / "aer") as archive:
            backend = archive.wrap(AerSimulator())
            for seed in range(RUNS):
                circuit = transpile(random_circuit(4, 10, measure=True, seed=seed), AerSimulator(), seed_transpiler=seed)
                backend.run(circuit, shots=500, seed_simulator=seed).result()
            archive.flush()
            bundle, tar = folder / "aer.qar", folder / "aer.tar.zst"
            archive.export(bundle)
            _run("tar", "--zstd", "-cf", tar, "-C", archive.path, "packs")
            sizes = [path.stat().st_size for path in (bundle, tar)]
            name = f"the same, of {RUNS} runs of random circuits on Aer"
            yield Row(name, sizes[0] / 1e6, "MB", "the tar", sizes[1] / 1e6, most=1)


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)
