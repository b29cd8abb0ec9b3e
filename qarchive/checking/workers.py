"""Workers: packs divided over processes. They are programs of their own, started as such, so that nothing of the caller's is
copied or run again: a script needs no guard, a notebook and threads are safe.
"""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import BinaryIO

import msgpack

from ..index import Index
from .packs import Checker, Part

LEAST = 64 << 20  # bytes of packs, below which starting workers takes longer than they save
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from qarchive.checking import workers; workers.work()"
_MAX = 1 << 31  # bytes of one answer
_HIDDEN = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check(packs: dict[Path, int], deep: bool, index: Path | None, archive: str
          ) -> Iterator[tuple[Path, Part | None] | tuple[None, list[str] | None]]:  # fmt: skip
    """(path, what was found in it; None where it is gone) of each pack, in any order, and for the folder of an `index`
    (None, what is wrong with it; None where that is for the caller to find).

    `packs` are paths with their sizes, `archive` is the archive's id. Raises NewerFormat.
    """
    jobs: list[tuple] = [("pack", str(path), deep) for path in sorted(packs, key=packs.get, reverse=True)]
    many = min(cores(), len(jobs) + (index is not None)) if sum(packs.values()) >= LEAST and _can_start() else 1
    if index is not None and many > 1:
        jobs.insert(0, ("index", str(index), str(next(iter(packs)).parent), archive))
    elif index is not None:
        yield None, None
    if many == 1:
        own = Checker()
        for job in jobs:
            yield _answer(own, job, None)
        return
    yield from _divided(jobs, many)


def _divided(jobs: list[tuple], many: int) -> Iterator[tuple]:
    pending: queue.SimpleQueue[tuple] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple] = queue.SimpleQueue()
    for job in jobs:
        pending.put(job)
    workers: list[subprocess.Popen] = []
    try:
        for _ in range(many):
            try:
                program = [sys.executable, "-c", _PROGRAM, *sys.path]
                worker = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                          bufsize=0, creationflags=_HIDDEN)  # fmt: skip
            except OSError:
                break
            workers.append(worker)
            threading.Thread(target=_lead, args=(worker, pending, answers), daemon=True, name="qarchive verify").start()
        own = Checker()
        left, idle = len(jobs), many - len(workers)
        while left:
            if idle == many:  # all that were started have ended before their time, or none was: what is left is done here
                yield _answer(own, pending.get_nowait(), None)
                left -= 1
                continue
            job, answer = answers.get()
            if job is None:
                idle += 1
                continue
            yield _answer(own, job, answer)
            left -= 1
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()
            worker.stdin.close()
            worker.stdout.close()


def _lead(worker: subprocess.Popen, pending: queue.SimpleQueue, answers: queue.SimpleQueue) -> None:
    """Give jobs to one worker until there are none. What it does not answer, the caller does."""
    reading = msgpack.Unpacker(worker.stdout, max_buffer_size=_MAX, read_size=1 << 16)
    while True:
        try:
            job = pending.get_nowait()
        except queue.Empty:
            return
        try:
            worker.stdin.write(msgpack.packb(job))
            answer = next(reading)
            if answer is not None and type(answer) is not list:
                raise ValueError("no answer of a worker's")
        except (OSError, ValueError, StopIteration, msgpack.UnpackException):
            answers.put((job, None))
            answers.put((None, None))
            return
        answers.put((job, answer))


def _answer(own: Checker, job: tuple, answer: list | None) -> tuple:
    """A job with what a worker answered, or what is found here where none did."""
    kind, path, *rest = job
    if kind == "index":
        return None, answer
    if answer is None:
        try:
            return Path(path), own.check(Path(path), rest[0])
        except FileNotFoundError:
            return Path(path), None
    *fields, findings = answer
    return Path(path), Part(*fields, [tuple(finding) for finding in findings])


def work() -> None:
    """What a worker does: answer jobs on its standard input until there are no more. An error ends it, and the caller looks."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends it
    checker = Checker()
    answers: BinaryIO = sys.stdout.buffer
    for kind, *job in msgpack.Unpacker(sys.stdin.buffer.raw, read_size=1 << 12):
        if kind == "index":
            folder, packs, archive = job
            index = Index(Path(folder), Path(packs), archive)
            answer = wrong_with(index)
            index.close()
        else:
            path, deep = job
            try:
                answer = list(astuple(checker.check(Path(path), deep)))
            except FileNotFoundError:
                answer = None
        answers.write(msgpack.packb(answer))
        answers.flush()


def wrong_with(index: Index) -> list[str]:
    """What SQLite finds wrong with the file of an index, else in what it differs from one that is made anew from the packs."""
    if faults := index.faults():
        return faults
    mended, fresh = index.mended, Index(None, index.packs, index.archive)
    try:
        different = index.differences(fresh)
    finally:
        fresh.close()
    corrupt = ["was corrupt, and has been made again"] if index.mended > mended else []
    return corrupt + [f"the table {table} differs from what the packs say" for table in different]


def _can_start() -> bool:
    """Whether a program can be started that runs Python: a program with Python inside is no such one."""
    return (
        bool(sys.executable)
        and Path(sys.executable).stem.lower().startswith(("python", "pypy"))
        and not getattr(sys, "frozen", 0)
    )
