"""Looking at an archive of 100,000 jobs: in the process, and as a whole command."""

import subprocess
import sys
import tempfile
from pathlib import Path

from jobs import stage_job
from table import median, row, timed

import qarchive
from qarchive.store import Store


def rows(options):
    yield f"An archive of {options.jobs:,} jobs"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "archive"
        store = Store.create(path)
        start = 1_700_000_000_000_000_000
        seconds = timed(lambda: _fill(store, options.jobs, start))
        yield row("  jobs/s put in, one commit each, 200 B of blobs", options.jobs / seconds, "/s")
        archive = qarchive.Archive(store)
        seconds = timed(store.index.refresh)
        yield row("  jobs/s indexed", options.jobs / seconds, "/s")
        newest = [timed(lambda: list(archive.jobs(limit=50))) for _ in range(50)]
        yield row("  newest 50 in the process", median(newest) * 1000, "ms", 2.0)
        filtered = [timed(lambda: list(archive.jobs(limit=50, backend="device_3", tag="paper"))) for _ in range(50)]
        yield row("  newest 50 of one backend with a tag", median(filtered) * 1000, "ms")
        archive.close()
        command = [sys.executable, "-m", "qarchive", "--archive", str(path), "list", "--limit", "50"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        whole = [
            timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for _ in range(15)
        ]
        yield row("  `qarchive list` as a whole process", median(whole) * 1000, "ms", 200)
        bare = [timed(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) for _ in range(15)]
        yield row("  an empty Python process", median(bare) * 1000, "ms")


def _fill(store: Store, jobs: int, start: int) -> None:
    for i in range(jobs):
        stage_job(store, size=200, created=start + i * 1_000_000_000, done=True, backend=f"device_{i % 10}").commit(durable=False)
    store.flush()
