"""Workers: packs, in pieces, divided over processes. They are programs of their own, started as such, so that nothing of the
caller's is copied or run again: a script needs no guard, a notebook and threads are safe.
"""

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import BinaryIO

import msgpack

from ..workers import can_start, cores
from . import tables
from .packs import Checker, Part, Piece, joined

PIECE = 8 << 20  # bytes of a pack that are checked by themselves
LEAST = 16 << 20  # bytes of packs, below which starting workers takes longer than they save
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from qarchive.checking import workers; workers.work()"
_MAX = 1 << 31  # bytes of one answer
_HIDDEN = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def check(packs: dict[Path, int], deep: bool, index: Path | None = None
          ) -> Iterator[tuple[Path, Part | None] | tuple[None, tuple[list[str], list[str]]]]:  # fmt: skip
    """(path, what was found in it; None where it is gone) of each pack, in any order, and for the file of an `index` that has
    read them (None, what `tables.wrong_with` says); what it says of a pack's blobs is in the part of that pack.

    `packs` are paths with their sizes. Raises NewerFormat.
    """
    many = cores() if sum(packs.values()) >= LEAST and can_start() else 1
    asked = None if index is None else str(index)
    jobs: list[tuple] = [("index", asked, str(next(iter(packs)).parent))] if asked and packs else []
    numbers: dict[Path, int] = {}  # of pieces
    for path in sorted(packs, key=packs.get, reverse=True):
        starts = range(0, max(packs[path], 1), PIECE) if many > 1 else (0,)
        numbers[path] = len(starts)
        jobs += [("pack", str(path), start, start + PIECE if start != starts[-1] else None, deep, asked) for start in starts]
    own = Checker(index)
    answers = _divided(jobs, min(many, len(jobs))) if many > 1 else ((job, None) for job in jobs)
    pieces: dict[Path, list[tuple[int, Piece | None]]] = {}
    for (kind, name, *rest), answer in answers:
        path = Path(name)
        if kind == "index":
            yield None, tables.wrong_with(path, Path(rest[0])) if answer is None else answer
            continue
        try:
            found = own.piece(path, deep, rest[0], rest[1]) if answer is None else _piece(answer)
        except FileNotFoundError:
            found = None
        whole = pieces.setdefault(path, [])
        whole.append((rest[0], found))
        if len(whole) == numbers[path]:
            yield path, _whole(own, path, deep, [piece for _, piece in sorted(pieces.pop(path), key=lambda each: each[0])])


def _whole(own: Checker, path: Path, deep: bool, pieces: list[Piece | None]) -> Part | None:
    part = None if None in pieces else joined(pieces)
    try:
        return part or own.thoroughly(path, deep)
    except FileNotFoundError:
        return None


def _piece(answer: list) -> Piece | None:
    if not answer:
        return None
    part, first, listed, listing = answer
    return Piece(Part(*part), first, listed and tuple(listed), listing and tuple(listing))


def _divided(jobs: list[tuple], many: int) -> Iterator[tuple[tuple, list | None]]:
    """Each job with what a worker answered, None where none did."""
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
        left, idle = len(jobs), many - len(workers)
        while left:
            if idle == many:  # all that were started have ended before their time, or none was: what is left is done here
                yield pending.get_nowait(), None
                left -= 1
                continue
            job, answer = answers.get()
            if job is None:
                idle += 1
                continue
            yield job, answer
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
            if type(answer) is not list:
                raise ValueError("no answer of a worker's")
        except (OSError, ValueError, StopIteration, msgpack.UnpackException):
            answers.put((job, None))
            answers.put((None, None))
            return
        answers.put((job, answer))


def work() -> None:
    """What a worker does: answer jobs on its standard input until there are no more. An error ends it, and the caller looks."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends it
    checker: Checker | None = None
    answers: BinaryIO = sys.stdout.buffer
    for kind, name, *job in msgpack.Unpacker(sys.stdin.buffer.raw, read_size=1 << 12):
        if kind == "index":
            answer = tables.wrong_with(Path(name), Path(job[0]))
        else:
            start, stop, deep, index = job
            checker = checker or Checker(index and Path(index))
            try:
                piece = checker.piece(Path(name), deep, start, stop)
            except FileNotFoundError:
                piece = None
            answer = list(astuple(piece)) if piece else []
        answers.write(msgpack.packb(answer))
        answers.flush()
