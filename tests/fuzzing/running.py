"""One target under atheris. Only where `tools/fuzz` starts it: coverage is built into modules as they are imported."""

import random
import sys
from pathlib import Path

import atheris

_LONGEST = 1 << 16  # bytes of an input
_TIMEOUT_S, _MEMORY_MB = 20, 3000


def run(target: str, seconds: int, folder: str) -> None:
    """Ends the process. New inputs go to `folder`/kept, those that break a promise to `folder`."""
    with atheris.instrument_imports(include=["qarchive"]):
        from qarchive.providers import registry

        registry.built_in()
        from fuzzing import targets
    (Path(folder) / "kept").mkdir(exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_TIMEOUT_S}", f"-rss_limit_mb={_MEMORY_MB}"]
    folders = [f"-artifact_prefix={folder}/", f"{folder}/kept", str(targets.CORPORA / target)]
    arguments = [sys.argv[0], "-print_final_stats=1", *limits, *folders]

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        found = targets.altered(target, data, seed)
        return found if len(found) <= longest else data

    def cross(one: bytes, other: bytes, longest: int, seed: int) -> bytes:
        return mutate(random.Random(seed).choice((one, other)), longest, seed)

    atheris.Setup(arguments, targets.TARGETS[target], custom_mutator=mutate, custom_crossover=cross)
    atheris.Fuzz()
