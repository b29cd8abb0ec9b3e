"""devqubit: Bell runs on Aer with the noise of a device, bare and captured whole, one tracked run each."""

import os
from pathlib import Path

from orders import serve
from simulation import beside_simulation, device_and_bell

_made: dict = {}


def prepare(folder: str) -> None:
    os.environ["DEVQUBIT_HOME"] = folder
    _made["home"] = Path(folder)
    _made["backend"], _made["circuit"] = device_and_bell()


def bare(seed: int) -> float:
    """Seconds beyond Aer's own."""
    return beside_simulation(lambda: _made["backend"].run(_made["circuit"], shots=1024, seed_simulator=seed).result())


def tracked(seed: int) -> float:
    """Seconds beyond Aer's own."""
    from devqubit import track

    def run() -> None:
        with track(project="noise") as tracking:
            tracking.wrap(_made["backend"]).run(_made["circuit"], shots=1024, seed_simulator=seed).result()

    return beside_simulation(run)


def size() -> int:
    return sum(path.stat().st_size for path in _made["home"].rglob("*") if path.is_file())


if __name__ == "__main__":
    serve(prepare=prepare, bare=bare, tracked=tracked, size=size)
