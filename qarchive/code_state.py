"""The code that ran a job: the commit of its repository, whether that was altered, and the script's hash. No path, no address."""

import hashlib
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

TIMEOUT_S = 1.0
_LONGEST = 16 << 20  # bytes of a script that is hashed
_STATUS = ("-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--untracked-files=no")
_COMMIT = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")


@cache
def code_state() -> dict[str, Any]:
    """The code state of this process, found once: a map with `commit` (text), `dirty` (bool) and `script`, a map of its `name`
    (of the file alone) and `sha256` (bytes).

    What is not known is left out: without git or a repository, in a notebook, under `python -c`. The repository is that of the
    script, else of the working directory; files that git does not track do not make it dirty. It never raises.
    """
    script = _script()
    try:
        folder = script.parent if script else Path.cwd()
    except OSError:  # the working directory is gone
        return {}
    found = _repository(folder)
    try:
        if script and script.stat().st_size <= _LONGEST:
            content = script.read_bytes()
            name = script.name.encode("utf-8", "backslashreplace").decode()
            found["script"] = {"name": name, "sha256": hashlib.sha256(content).digest()}
    except OSError:
        pass  # a script in a zip file, or one that is gone
    return found


def _script() -> Path | None:
    """The file that was started, unless it is an installed program (pytest, the command line, a notebook's kernel)."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if type(file) is not str or getattr(main, "__package__", None) == "qarchive":
        return None
    try:
        path = Path(file).resolve()
    except (OSError, RuntimeError):
        return None
    installed = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    return None if installed & set(path.parents) or "site-packages" in path.parts else path


def _repository(folder: Path) -> dict[str, Any]:
    """The commit that is checked out, and whether what git tracks was altered since."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return {}
    told = _git(folder, *_STATUS)
    if told is None:  # it takes too long: the commit alone is quick
        commit = (_git(folder, "rev-parse", "--verify", "HEAD") or b"").strip()
        return {"commit": commit.decode()} if _COMMIT.fullmatch(commit) else {}
    lines = told.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith(b"# branch.oid ")), b"")
    if not _COMMIT.fullmatch(commit):
        return {}  # nothing is committed yet
    return {"commit": commit.decode(), "dirty": any(not line.startswith(b"#") for line in lines)}


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints; None where there is no git, it refuses, or does not answer in time. It writes nothing."""
    import subprocess  # 5 ms, which listings need not spend

    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, env=clean | {"GIT_OPTIONAL_LOCKS": "0"})  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
