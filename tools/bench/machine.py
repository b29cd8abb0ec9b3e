"""On what the figures were measured."""

import os
import platform
import sqlite3
import subprocess
from pathlib import Path

import beside


def described() -> str:
    """One paragraph: machine, file system, versions."""
    import msgpack
    import zstandard

    import qarchive

    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.split()
    ours = {"qarchive": qarchive.__version__, "Python": platform.python_version(), "zstandard": zstandard.__version__,
            "msgpack": ".".join(map(str, msgpack.version)), "SQLite": sqlite3.sqlite_version}  # fmt: skip
    named = {**ours, **dict(sorted(beside.versions().items())), "git": git[2] if len(git) > 2 else "none"}
    listed = ", ".join(f"{name} {number}" for name, number in named.items())
    return f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.machine()}, {_file_system()}. {listed}."


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown model"


def _file_system() -> str:
    """Of the folder in which everything is measured."""
    here, best = str(Path.cwd()) + "/", ("", "unknown file system")
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return best[1]
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        if here.startswith(place.rstrip("/") + "/") and len(place) >= len(best[0]):
            best = place, kind
    return best[1]
