"""Remotes: what fetching one job of 10,000 moves, how fast a push to a folder is, and what the packs there weigh."""

import tempfile
from functools import partial
from pathlib import Path

from jobs import stage_job
from table import Row, median, row, timed

import qarchive
from qarchive import pack
from qarchive.remotes.folder import Folder
from qarchive.store import Store

JOBS = 10_000
FETCHED = 10
_START = 1_700_000_000_000_000_000


def rows(options):
    for size in (2_000, 20_000):
        yield f"A remote of {JOBS:,} jobs in a folder, {size:,} B of blobs each"
        with tempfile.TemporaryDirectory(dir=".") as folder:
            yield from _rows(Path(folder), size)


def _rows(folder, size):
    archive = filled(folder / "archive", JOBS, size)
    archive.add_remote("disk", str(folder / "disk"))
    seconds = timed(lambda: archive.push("disk"))
    raw = sum(kind["bytes"] for kind in archive.statistics()["kinds"].values())
    there = sum(path.stat().st_size for path in (folder / "disk/packs").glob("*.pack"))
    hints = sum(path.stat().st_size for path in (folder / "disk/packs").glob("*.places"))
    yield row("push, raw bytes", raw / seconds / 1e6, "MB/s", note=f"{JOBS / seconds:,.0f} jobs/s")
    yield row("push again: nothing to send", timed(lambda: archive.push("disk")), "s")
    bundle = archive.export(folder / "all.qar")
    yield Row("packs there", there / 1e6, "MB", "one bundle in order of kinds", bundle.size / 1e6)
    yield row("places against packs", 100 * hints / there, "%")
    ids = [job.id for job in archive.jobs(limit=JOBS)][:: JOBS // FETCHED]
    moved, own, times = [], [], []
    for number, job in enumerate(ids):
        with qarchive.open(folder / f"other{number}") as other:
            other.add_remote("disk", str(folder / "disk"))
            counted = Counting()
            with counted:
                times.append(timed(partial(other.fetch_from, "disk", job)))
            moved.append(counted.moved)
            [taken] = (other.path / "packs").glob("*.pack")
            own.append(
                sum({entry.frame: entry.stored for commit in pack.sealed_commits(taken) for entry in commit.entries}.values())
            )
    yield row("fetch of one job: bytes moved", median(moved), "B", note=f"its own bytes, stored: {median(own):,.0f}")
    yield row("fetch of one job: bytes moved beside its own", median(a - b for a, b in zip(moved, own)), "B", 8192)
    yield row("fetch of one job: time", median(times) * 1000, "ms")
    archive.close()


def filled(path, jobs, size):
    """An archive of jobs that have ended; also the set-up of others."""
    store = Store.create(path)
    for i in range(jobs):
        stage_job(store, size=size, created=_START + i * 1_000_000_000, done=True).commit(durable=False)
    store.flush()
    archive = qarchive.Archive(store)
    archive.refresh()
    return archive


class Counting:
    """Counts the bytes that folders give."""

    def __enter__(self):
        self.moved, self._read = 0, Folder.read

        def read(folder, name, start, length):
            data = self._read(folder, name, start, length)
            self.moved += len(data)
            return data

        Folder.read = read
        return self

    def __exit__(self, *_):
        Folder.read = self._read
