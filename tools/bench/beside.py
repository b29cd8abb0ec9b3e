"""The peers: installed into an environment of their own, `.bench/`, and run there as processes that do what they are told.

Their dependencies must not mix with ours, and a process that waits between its turns costs ours nothing.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[2] / ".bench"
PACKAGES = ("disk-objectstore", "devqubit[qiskit]", "qiskit-aer", "qiskit-ibm-runtime", "perceval-quandela")
_SCRIPTS = Path(__file__).parent / "peers"
_PYTHON = HOME / ("Scripts" if sys.platform == "win32" else "bin") / "python"


class Missing(Exception):
    """A peer cannot be installed here."""


def install() -> None:
    """Install what is not there yet. Raises Missing for what cannot be had."""
    if not _PYTHON.exists():
        venv.create(HOME, with_pip=True)
    have = {line.partition("==")[0].lower().replace("_", "-") for line in _pip("freeze").stdout.splitlines()}
    for package in PACKAGES:
        if package.partition("[")[0] not in have:
            print(f"installing {package} into {HOME.name}/", file=sys.stderr, flush=True)
            found = _pip("install", "--quiet", package)
            if found.returncode:
                raise Missing(f"{package}: {found.stderr}")


def versions() -> dict[str, str]:
    """What is installed of the packages that are compared."""
    names = {package.partition("[")[0] for package in PACKAGES}
    found = dict(line.split("==", 1) for line in _pip("freeze").stdout.splitlines() if "==" in line)
    return {name.lower().replace("_", "-"): number for name, number in found.items() if name.lower().replace("_", "-") in names}


def _pip(*arguments: str) -> subprocess.CompletedProcess:
    command = [str(_PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Peer:
    """One of the scripts in `peers/`, as a process that takes one order at a time."""

    def __init__(self, script: str):
        self._process = subprocess.Popen(
            [str(_PYTHON), "-W", "ignore", str(_SCRIPTS / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._process.stdout.readline().strip() != "ready":
            raise Missing(script)

    def __call__(self, what: str, **arguments: Any) -> Any:
        """What the script's function of this name returns."""
        self._process.stdin.write(json.dumps([what, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Missing(what)
        return json.loads(line)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
