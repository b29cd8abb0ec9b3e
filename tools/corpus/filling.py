"""An archive full of jobs, written by several processes at once."""

from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from qarchive.identity import MARKER
from qarchive.store import Store

from .jobs import PERIOD, jobs
from .pool import Pool, make_pool


def fill(path: Path, number: int, seed: int = 1, processes: int = 1, small: bool = False, pool: Pool | None = None) -> None:
    """Add `number` jobs to the archive in `path`, which is made where there is none. All is on the disk when it returns."""
    pool = pool or make_pool(small)
    if not (path / MARKER).exists():
        Store.create(path).close()
    shares = [_share(number, place, processes) for place in range(processes)]
    if processes == 1:
        _fill(path, number, seed, small, pool, shares[0])
        return
    with get_context("spawn").Pool(processes) as workers:
        workers.starmap(_fill, [(path, number, seed, small, pool, share) for share in shares], chunksize=1)


def _share(number: int, place: int, processes: int) -> list[range]:
    """The jobs of one process: whole stretches between calibrations, so that two processes hardly ever write the same one."""
    starts = range(place * PERIOD, number, processes * PERIOD)
    return [range(start, min(start + PERIOD, number)) for start in starts]


def _fill(path: Path, number: int, seed: int, small: bool, pool: Pool, share: list[range]) -> None:
    store = Store.open(path)
    for job in jobs(number, seed, pool, small, chain.from_iterable(share)):
        job.commit(store)
    store.close()
