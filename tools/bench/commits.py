"""Durable commits of small jobs (2 kB of blobs, 2 records), beside the raw calls and loose files, all on the disk each time."""

import os
import pickle
import tempfile
from pathlib import Path

from beside import Peer
from jobs import stage_job
from table import Row, median, paired, row, timed

from qarchive import codec
from qarchive.store import Store

TURNS = 1000
BESIDE = 60  # jobs that disk-objectstore takes, three in a turn


def rows(options):
    yield f"Commits of a small job: 2 kB of blobs, 2 records; medians of {TURNS} pairs"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = Store.create(Path(folder) / "archive")
        stage_job(store).commit(durable=True)
        raw = os.open(Path(folder) / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for durable in (True, False):
            before = store._lease.end
            for _ in range(20):
                stage_job(store).commit(durable)
            data = os.urandom((store._lease.end - before) // 20)

            def ours(durable=durable):
                stage_job(store).commit(durable)

            def plain(durable=durable, data=data):
                os.write(raw, data)
                if durable:
                    os.fsync(raw)

            mine, bare = paired([ours] * TURNS, [plain] * TURNS)
            if durable:
                name = "durable commit, encoding and hashing included"
                yield Row(name, median(mine) * 1000, "ms", "raw append + fsync", median(bare) * 1000, most=2)
            else:
                yield row("commit with the shared sync, over the raw write", (median(mine) - median(bare)) * 1000, "ms", 0.3)
        os.close(raw)
        yield from _loose(store, Path(folder))
        store.close()


def _loose(store, folder):
    """Blobs that are encoded already, of jobs of which three go in each turn."""
    staged = [list(stage_job(store).blobs.values()) for _ in range(BESIDE)]
    (folder / "jobs").write_bytes(pickle.dumps([[blob.data for blob in blobs] for blobs in staged]))

    def ours(blobs):
        for blob in blobs:
            codec.digest(blob.data)
        store.commit(blobs, durable=True)

    mine, theirs = [], []
    with Peer("stores.py") as peer:
        peer("load", path=str(folder / "jobs"))
        for first in range(0, BESIDE, 3):
            theirs.append(peer("loose", folder=str(folder / "loose"), first=first, number=3) / 3)
            mine += [timed(lambda blobs=blobs: ours(blobs)) for blobs in staged[first : first + 3]]
    name = "durable commits, of blobs that are encoded already"
    yield Row(name, 1 / median(mine), "/s", "disk-objectstore, loose", 1 / median(theirs), least=20)
