"""The same jobs kept in other ways: what a physicist would write in an afternoon."""

import gzip
import hashlib
import json
import os
import sqlite3
import tempfile
import uuid
from pathlib import Path

import zstandard
from table import timed

from qarchive import codec, records
from qarchive.stage import Stage
from qarchive.store import Store

JOBS = 1000
DISTINCT_INPUTS = 100


def rows(options):
    jobs = list(_jobs())
    raw = sum(len(codec.encode(part)) for job in jobs for part in job.values())
    size = raw / JOBS / 1000
    yield f"{JOBS} jobs kept side by side, {size:.1f} kB raw each: circuits repeat, one backend snapshot in ten is new"
    yield f"  {'':<44} {'jobs/s':>8} {'bytes/job':>10} {'files':>7}   durable when it returns"
    for name, durable, keep in (
        ("qarchive, one fsync a job", "yes", _qarchive(True)),
        ("qarchive, shared sync", "within a second", _qarchive(False)),
        ("loose zstd file a blob, fsync with folders", "yes", _loose(True)),
        ("loose zstd file a blob", "no", _loose(False)),
        ("SQLite with zstd blobs, WAL, synchronous=FULL", "yes", _sqlite),
        ("JSON a job, everything inside", "no", _json(lambda path: open(path, "w"), "json")),
        ("JSON.gz a job, everything inside", "no", _json(lambda path: gzip.open(path, "wt"), "json.gz")),
    ):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            target = Path(folder) / "kept"
            seconds = timed(lambda keep=keep, target=target: keep(target, jobs))
            files = [
                path for path in target.rglob("*") if path.is_file() and "index" not in path.parts and "locks" not in path.parts
            ]
            size = sum(path.stat().st_size for path in files)
            yield f"  {name:<44} {JOBS / seconds:>8.0f} {size / JOBS:>10.0f} {len(files):>7}   {durable}"


def _jobs():
    """Inputs, backend snapshots and results of real shape: text of gates, numbers with many digits, counts."""
    import random

    rng = random.Random(1)
    inputs = ["".join(_gate(rng) for _ in range(60)) for _ in range(DISTINCT_INPUTS)]
    for i in range(JOBS):
        if i % 10 == 0:
            backend = {
                "name": "device",
                "qubits": [{"T1": rng.random(), "T2": rng.random(), "error": rng.random()} for _ in range(27)],
            }
        counts = {hex(rng.getrandbits(12)): rng.randrange(1, 50) for _ in range(200)}
        yield {
            "input": {"text": rng.choice(inputs)},
            "backend": backend,
            "result": {"counts": counts},
            "record": {"id": uuid.UUID(int=rng.getrandbits(128)).hex, "shots": 4096, "seed": i},
        }


def _gate(rng) -> str:
    return f"rz({rng.random()!r}) q[{rng.randrange(12)}];cx q[{rng.randrange(6)}],q[{rng.randrange(6, 12)}];"


def _qarchive(durable):
    def keep(folder, jobs):
        from qarchive.columns import pack_counts

        store = Store.create(folder)
        for job in jobs:
            stage = Stage(store)
            links = {kind: stage.put(kind, job[kind]) for kind in ("input", "backend")}
            links["result"] = stage.put("result", {"counts": pack_counts(job["result"]["counts"])})
            stage.record(
                records.job_record(
                    provider="bench",
                    kind="local",
                    backend="device",
                    input=links["input"],
                    config=links["backend"],
                    shots=4096,
                    size=1,
                    labels={"params": {**job["record"], "result": links["result"]}},
                )
            )
            stage.commit(durable)
        store.close()

    return keep


def _loose(durable):
    def keep(folder, jobs):
        compressor = zstandard.ZstdCompressor(level=3)
        folder.mkdir()
        for job in jobs:
            names = {}
            for kind, value in job.items():
                data = codec.encode(value if kind != "record" else {**value, **names})
                names[kind] = hashlib.sha256(data).hexdigest()
                path = folder / names[kind][:2] / names[kind]
                if path.exists():
                    continue
                path.parent.mkdir(exist_ok=True)
                temporary = path.with_suffix(".part")
                with open(temporary, "wb") as file:
                    file.write(compressor.compress(data))
                    if durable:
                        file.flush()
                        os.fsync(file.fileno())
                os.replace(temporary, path)
                if durable:
                    parent = os.open(path.parent, os.O_RDONLY)
                    os.fsync(parent)
                    os.close(parent)

    return keep


def _json(opened, ending):
    def keep(folder, jobs):
        folder.mkdir()
        for job in jobs:
            with opened(folder / f"{job['record']['id']}.{ending}") as file:
                json.dump(job, file)

    return keep


def _sqlite(folder, jobs):
    folder.mkdir()
    compressor = zstandard.ZstdCompressor(level=3)
    db = sqlite3.connect(folder / "jobs.sqlite")
    db.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE blobs(digest BLOB PRIMARY KEY, data BLOB);"
    )
    for job in jobs:
        with db:
            names = {}
            for kind, value in job.items():
                data = codec.encode(value if kind != "record" else {**value, **names})
                names[kind] = hashlib.sha256(data).digest()
                db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (names[kind], compressor.compress(data)))
    db.close()
