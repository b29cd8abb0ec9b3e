"""One process that writes small jobs durably, and eight at once: how much, how fairly, and whether all is there."""

import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

from jobs import stage_job
from table import Row, median, row

import qarchive
from qarchive.store import Store

JOBS = 400  # of each writer
WRITERS = 8
TURNS = 3


def rows(options):
    yield f"Writers: {JOBS} durable small jobs each, a process each"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        runs: dict[int, list[tuple[float, float]]] = {1: [], WRITERS: []}
        lost = 0
        for turn in range(2 * TURNS):
            writers = WRITERS if turn % 2 else 1
            path = Path(folder) / str(turn)
            Store.create(path).close()
            context = get_context("spawn")
            with context.Pool(writers, initializer=_begin, initargs=(context.Barrier(writers),)) as pool:
                spans = pool.map(_write, [path] * writers, chunksize=1)
            seconds = [end - begin for begin, end in spans]
            whole = max(end for _, end in spans) - min(begin for begin, _ in spans)
            runs[writers].append((writers * JOBS / whole, max(seconds) / min(seconds)))
            with qarchive.open(path) as archive:
                lost += writers * JOBS - len(archive.jobs())
        one, many = (median(rate for rate, _ in runs[writers]) for writers in (1, WRITERS))
        yield Row(f"{WRITERS} writers, jobs/s", many, "/s", "one writer", one)
        yield row("the slowest of the eight against the fastest", median(fairness for _, fairness in runs[WRITERS]), "x", 2)
        yield row("jobs lost", lost, "", 0)


def _begin(barrier) -> None:
    global _barrier
    _barrier = barrier


def _write(path: Path) -> tuple[float, float]:
    store = Store.open(path)
    store.prepare()
    _barrier.wait()
    start = time.time()
    for _ in range(JOBS):
        stage_job(store).commit(durable=True)
    end = time.time()
    store.close()
    return start, end
