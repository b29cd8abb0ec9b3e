"""disk-objectstore: values of jobs loose, loose and then packed, or straight into packs. Seconds that it took."""

import pickle
import time
from io import BytesIO
from pathlib import Path

from disk_objectstore import CompressMode, Container
from orders import serve

_containers: dict[str, Container] = {}
_jobs: list[list[bytes]] = []
CALL = 100  # jobs that are given to a pack at once


def load(path: str) -> int:
    """Take in the values of jobs: a list of bytes for each."""
    _jobs[:] = pickle.loads(Path(path).read_bytes())  # noqa: S301  written by this bench
    return len(_jobs)


def container(folder: str) -> Container:
    if folder not in _containers:
        _containers[folder] = Container(folder)
        _containers[folder].init_container()
    return _containers[folder]


def loose(folder: str, first: int, number: int) -> float:
    """Add the values of some jobs one by one; each is on the disk when its call returns."""
    into = container(folder)
    start = time.perf_counter()
    for job in _jobs[first : first + number]:
        for value in job:
            into.add_object(value)
    return time.perf_counter() - start


def packed(folder: str, compress: bool) -> float:
    """Straight into packs, as its documentation has it for many objects."""
    into = container(folder)
    start = time.perf_counter()
    for first in range(0, len(_jobs), CALL):
        values = [BytesIO(value) for job in _jobs[first : first + CALL] for value in job]
        into.add_streamed_objects_to_pack(values, compress=compress, no_holes=True, no_holes_read_twice=False)
    return time.perf_counter() - start


def bytes_of_packs(folder: str) -> int:
    return sum(path.stat().st_size for path in (Path(folder) / "packs").iterdir())


def pack(folder: str) -> float:
    """Loose objects into packs, compressed, and the loose ones away."""
    into = container(folder)
    start = time.perf_counter()
    into.pack_all_loose(compress=CompressMode.YES)
    into.clean_storage()
    return time.perf_counter() - start


if __name__ == "__main__":
    serve(load=load, loose=loose, packed=packed, pack=pack, bytes_of_packs=bytes_of_packs)
