"""Commands as processes of their own: how long they take, and the most memory that any of their processes had."""

import hashlib
import subprocess
import sys

from table import timed

# A process counts what its parent held when it was made, so a small one stands between.
_SMALL = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""
_MAXRSS = 1 << 20 if sys.platform == "darwin" else 1 << 10  # units of ru_maxrss in a MiB


def command(*arguments: str) -> tuple[float, float]:
    """(seconds, MiB) of `qarchive ARGUMENTS`."""
    line = [sys.executable, "-S", "-c", _SMALL, sys.executable, "-m", "qarchive", *arguments]
    found = subprocess.run(line, check=True, capture_output=True, text=True)
    seconds, memory, code = found.stdout.split()
    if code != "0":
        raise RuntimeError(f"qarchive {' '.join(arguments)}: {found.stderr}")
    return float(seconds), int(memory) / _MAXRSS


def hashing(size: int) -> float:
    """Seconds that SHA-256 of so many bytes takes, a MiB at a time."""
    piece = bytes(1 << 20)
    running = hashlib.sha256()
    return timed(lambda: [running.update(piece) for _ in range(size >> 20)])
