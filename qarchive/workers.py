"""Workers: programs of their own that share the work of one process.

They are started as such, so that nothing of the caller's is copied or run again: a script needs no guard, a notebook and
threads are safe. They end with the process that started them.
"""

import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack

_HIDDEN = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_SIZE = struct.Struct("<I")
_MOST = 256 << 20  # bytes of one part
_WAITING = 2  # parts of answers a worker that wait to be taken: what they hold is in memory


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def can_start() -> bool:
    """Whether a program can be started that runs Python: a program with Python inside is no such one."""
    return (
        bool(sys.executable)
        and Path(sys.executable).stem.lower().startswith(("python", "pypy"))
        and not getattr(sys, "frozen", 0)
    )


def shared(module: str, jobs: list[tuple], many: int) -> Iterator[tuple[tuple, Any]]:
    """(job, a part of its answer) of all jobs, in any order. The last part of each is None, or False where no worker has
    answered to the end: then the caller does that job.

    `module` is one whose `work` calls `answer`. Jobs and answers are what msgpack holds; lists come back as tuples.
    """
    program = [sys.executable, "-c", f"import sys; sys.path[:] = sys.argv[1:]; from {module} import work; work()", *sys.path]
    pending: queue.SimpleQueue[tuple] = queue.SimpleQueue()
    parts: queue.Queue[tuple | None] = queue.Queue(_WAITING * many)
    for job in jobs:
        pending.put(job)
    workers: list[subprocess.Popen] = []
    leading, left = 0, len(jobs)
    try:
        for _ in range(many):
            try:
                worker = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                          creationflags=_HIDDEN)  # fmt: skip
            except OSError:
                break
            workers.append(worker)
            threading.Thread(target=_lead, args=(worker, pending, parts), daemon=True, name="qarchive worker").start()
            leading += 1
        while left and leading:
            found = parts.get()
            if found is None:
                leading -= 1
                continue
            yield found
            left -= found[1] is None or found[1] is False
        while left:  # all that were started have ended before their time, or none was
            yield pending.get_nowait(), False
            left -= 1
    finally:
        for worker in workers:
            worker.kill()
        while leading:  # who leads a worker may wait until a part is taken
            leading -= parts.get() is None
        for worker in workers:
            worker.wait()
            with suppress(OSError):  # a job that it did not read
                worker.stdin.close()
            worker.stdout.close()


def _lead(worker: subprocess.Popen, pending: queue.SimpleQueue, parts: queue.Queue) -> None:
    """Give jobs to one worker until there are none."""
    try:
        while True:
            job = pending.get_nowait()
            try:
                _put(worker.stdin, job)
                while (part := _get(worker.stdout)) is not None and part is not False:
                    parts.put((job, part))
                parts.put((job, part))
            except (OSError, ValueError, struct.error, msgpack.UnpackException):
                parts.put((job, False))
                return
    except queue.Empty:
        return
    finally:
        parts.put(None)


def answer(work: Callable[..., Iterable[Any]]) -> None:
    """What a worker does: call `work` with each job on its standard input, and write what that yields on its standard output.

    Where that ends with False, or in an error, which ends the worker too, whoever started it does the job.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := jobs.read(_SIZE.size):
        part = None
        for part in work(*_value(jobs.read(_SIZE.unpack(head)[0]))):
            _put(answers, part)
        if part is not False:
            _put(answers, None)


def _put(pipe, value: Any) -> None:
    data = msgpack.packb(value)
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _get(pipe) -> Any:
    [size] = _SIZE.unpack(pipe.read(_SIZE.size))
    if size > _MOST:
        raise ValueError("no answer of a worker's")
    return _value(pipe.read(size))


def _value(data: bytes) -> Any:
    return msgpack.unpackb(data, use_list=False, strict_map_key=False)
