"""The targets by name, and where their corpora lie."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from . import mutating, packs, providers, reading

CORPORA = Path(__file__).parent.parent / "data" / "fuzz"

TARGETS: dict[str, Callable[[bytes], None]] = {
    "codec": reading.codec_target,
    "columns": reading.columns_target,
    "records": reading.records_target,
    "places": reading.places_target,
    "pack": packs.pack_target,
    "bundles": packs.bundles_target,
    **{family: providers.target_of(family) for family in ("qiskit", "ibm", "perceval", "pulser", "pasqal")},
}
_HEADER = 64  # bytes of a look-up file, which must all fit before anything else of it is read


def corpus(target: str) -> list[Path]:
    """The files of a target's corpus, in order."""
    return sorted((CORPORA / target).iterdir())


def altered(target: str, data: bytes, seed: int) -> bytes:
    """An input like this one, the same for the same seed."""
    if target == "places" and seed % 4:
        body = mutating.shaken(data[_HEADER:], Random(seed))
        return data[:_HEADER] + body[: len(data) - _HEADER].ljust(len(data) - _HEADER, b"\0")
    if target == "places" or (target == "codec" and seed % 3 == 0):
        return mutating.shaken(data, Random(seed))
    return mutating.altered(data, seed, 1 + seed % 3)
