"""Whether two jobs were given the same: which of their circuits are other ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadInput, QArchiveError
from .settings import Get


@dataclass(frozen=True)
class Circuits:
    """How the inputs of two jobs compare, by circuits (PUBs, sequences, experiments) or as a whole.

    `differing` are the indices of circuits that are other ones, within those that both have; None where circuits cannot be told
    apart. `reason` says why that is so, or why nothing can be said at all: then `same` is None.
    """

    same: bool | None
    sizes: tuple[int, int]
    differing: tuple[int, ...] | None = None
    reason: str = ""


def circuits(get_one: Get, one: Mapping[str, Any], get_other: Get, other: Mapping[str, Any]) -> Circuits:
    """Compare what two job records were given: by the providers' identities of circuits, else by the blobs' digests.

    Names, metadata and UUIDs of circuits do not count where there are identities. A job record is at least `provider`, `input`
    and `size`; `get_one(link)` and `get_other(link)` answer the plain value of a blob.
    """
    from ..providers import registry  # the command line needs no entry points to start, and reading those takes long

    sizes = (one.get("size", 1), other.get("size", 1))
    sides = ((get_one, one), (get_other, other))
    unknown = [name for name, (get, job) in zip(("first", "second"), sides) if _is_missing(get, job)]
    if unknown:
        which = "both jobs" if len(unknown) == 2 else f"the {unknown[0]} job"
        return Circuits(None, sizes, reason=f"the input of {which} was not captured")
    if one["input"] == other["input"]:
        return Circuits(True, sizes, ())
    try:
        found = [registry.named(job["provider"]).identities(get, job) for get, job in sides]
    except BadInput as error:
        return Circuits(False, sizes, reason=f"compared as a whole: {error.reason}")
    except QArchiveError as error:
        return Circuits(False, sizes, reason=f"compared as a whole ({error})")
    different = tuple(place for place, pair in enumerate(zip(*found)) if pair[0] != pair[1])
    return Circuits(not different and len(found[0]) == len(found[1]), (len(found[0]), len(found[1])), different)


def places(found: tuple[int, ...], most: int = 5) -> str:
    """Indices for people: "0, 2 and 4", "0, 1, 2, 3, 4 and 12 more"."""
    if len(found) > most:
        return f"{', '.join(map(str, found[:most]))} and {len(found) - most:,} more"
    return ", ".join(map(str, found[:-1])) + (" and " if len(found) > 1 else "") + str(found[-1])


def _is_missing(get: Get, job: Mapping[str, Any]) -> bool:
    value = get(job["input"])
    return isinstance(value, Mapping) and value.get("type") == "missing"
