"""One commit of a small job (2 kB of blobs, 2 records), against the raw calls with the same number of bytes."""

import os
import tempfile
from pathlib import Path

from jobs import stage_job
from table import median, paired, row

from qarchive.store import Store

TURNS = 1000


def rows(options):
    yield f"Commit of a small job: 2 kB of blobs, 2 records; median of {TURNS} pairs"
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
                yield row("  raw append + fsync", median(bare) * 1000, "ms")
                yield row("  durable commit, encoding and hashing included", median(mine) * 1000, "ms")
                yield row("  durable commit / raw append + fsync", median(mine) / median(bare), "x", 2.0)
            else:
                yield row("  commit with the shared sync, over the raw write", (median(mine) - median(bare)) * 1000, "ms", 0.3)
        os.close(raw)
        store.close()
