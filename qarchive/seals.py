"""Seals: the digest of a job that has ended and of all that it refers to. `spec/format.md`, "Seal"."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from . import codec
from .model import Attempt, Folded
from .values import Link

Get = Callable[[bytes], bytes]  # the canonical bytes of a blob, checked. Raises Damaged, NotFound

_FREE = 8  # records that a seal of the past may lack; of more of them only all together are tried


def every(job: Folded, get: Get) -> Iterator[bytes]:
    """All seals that a job has, each once, the one that holds first: later records make a new seal, and do not undo an old one.

    Of each attempt with each outcome, and with any of its `sent` and `calibration` records, as if the others had not arrived.
    """
    told: set[bytes] = set()
    for seal in _made(job, get):
        if seal not in told:
            told.add(seal)
            yield seal


def _made(job: Folded, get: Get) -> Iterator[bytes]:
    reached: dict[bytes, frozenset[bytes]] = {}

    def seal(*roots: bytes) -> bytes:
        for root in roots:
            if root not in reached:
                reached[root] = _reach(root, get)
        links = sorted(frozenset().union(*(reached[root] for root in roots)))
        return codec.digest(codec.encode(["seal", 1, [Link(digest) for digest in links]]))

    current = job.current
    for attempt in sorted(job.attempts, key=lambda attempt: attempt is not current):
        outcomes = [digest for digest, record in attempt.later if record["type"] == "outcome"]
        outcomes.sort(key=lambda digest: digest != _holding_outcome(attempt))
        beside = [digest for digest, record in attempt.later if _is_sealed(record)]
        if outcomes:  # the one that holds is made of those records that count
            yield seal(
                job.id, attempt.digest, outcomes[0], *(digest for digest, record in attempt.counting if _is_sealed(record))
            )
        sizes = range(len(beside), -1, -1) if len(beside) <= _FREE else (len(beside),)
        for outcome in outcomes:
            for size in sizes:
                for some in combinations(beside, size):
                    yield seal(job.id, attempt.digest, outcome, *some)


def together(seals: Iterable[bytes]) -> bytes:
    """The seal of several jobs, of 32 bytes, from theirs; their order does not matter."""
    return codec.digest(codec.encode(["seals", 1, sorted(set(seals))]))


def _holding_outcome(attempt: Attempt) -> bytes:
    return next(digest for digest, record in attempt.later if record is attempt.outcome)


def _is_sealed(record: Mapping[str, Any]) -> bool:
    """Whether a record beside attempt and outcome is sealed: that it was sent, the calibrations of sending and running."""
    return record["type"] == "sent" or (record["type"] == "calibration" and record["phase"] in ("submit", "run"))


def _reach(root: bytes, get: Get) -> frozenset[bytes]:
    """A blob and everything that it refers to, down to the last link."""
    found, pending = set(), [root]
    while pending:
        digest = pending.pop()
        if digest not in found:
            found.add(digest)
            pending += [link.digest for link in codec.links(codec.decode(get(digest)))]
    return frozenset(found)
