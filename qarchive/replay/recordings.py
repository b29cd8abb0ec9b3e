"""The recordings of a replay: archived jobs that have ended, found by what they ran, on what, and how."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .. import codec, model
from ..job import Job
from ..providers.base import Get, Provider
from ..values import Link

_ANSWERS = frozenset({"DONE", "PARTIAL"})
_NEAREST = 200  # recordings that are looked at for the one that is most like a call, beside those that were looked at before

Key = tuple[bytes, bytes, bytes]  # of the input, the configuration, the backend


class Recordings:
    """The jobs of a query in the order in which they were made; read when they are first asked for. Not for several threads."""

    def __init__(self, jobs: Callable[[], Iterable[Job]], failures: bool):
        self._jobs, self._failures = jobs, failures
        self._all: list[Job] | None = None
        self._ids: set[str] = set()
        self._keys: dict[str, Key] = {}  # by the job's id
        self._by_key: dict[tuple[str, int], dict[Key, list[Job]]] = {}  # by provider and size
        self._used: dict[Any, int] = {}

    def holds(self, job: str) -> bool:
        """Whether the query has this job, whether or not it has ended."""
        self._read()
        return job in self._ids

    def ids(self) -> list[str]:
        """Of all jobs that can answer, in order."""
        return [job.id for job in self._read()]

    def exact(self, provider: Provider, keys: list[tuple[int, Key]]) -> list[Job] | None:
        """The next recording for each (size, key), all of them or none."""
        places: dict[Any, int] = {}
        found = []
        for size, key in keys:
            name = (provider.name, size, key)
            place = places.get(name, self._used.get(name, 0))
            there = self._of(provider, size).get(key, [])
            if place >= len(there):
                return None
            places[name] = place + 1
            found.append(there[place])
        self._used.update(places)
        return found

    def has(self, provider: Provider, size: int, key: Key) -> bool:
        """Whether there is a recording left for a key."""
        return self.used(provider, size, key) < len(self._of(provider, size).get(key, ()))

    def in_order(self, provider: Provider, number: int) -> list[Job] | None:
        """The next recordings of this provider's, whatever they ran; None where there are not as many."""
        there = [job for job in self._read() if job.provider == provider.name]
        place = self._used.get(provider.name, 0)
        if place + number > len(there):
            return None
        self._used[provider.name] = place + number
        return there[place : place + number]

    def used(self, provider: Provider, size: int, key: Key) -> int:
        """How many calls a key has answered."""
        return self._used.get((provider.name, size, key), 0)

    def nearest(self, provider: Provider, key: Key) -> Job | None:
        """The recording that agrees with a key in most parts, the input counting most; the latest of several."""
        rated = []
        there = [job for job in self._read() if job.provider == provider.name]
        looked_at = [job for job in there[:-_NEAREST] if job.id in self._keys] + there[-_NEAREST:]
        for place, job in enumerate(looked_at):
            same = [one == other for one, other in zip(self._key(provider, job), key, strict=True)]
            rated.append(((4 * same[0] + 2 * same[2] + same[1], place), job))
        return max(rated, key=lambda item: item[0])[1] if rated else None

    def _read(self) -> list[Job]:
        if self._all is None:
            self._all = []
            for job in self._jobs():
                self._ids.add(job.id)
                if job.status in (model.TERMINAL if self._failures else _ANSWERS):
                    self._all.append(job)
        return self._all

    def _of(self, provider: Provider, size: int) -> dict[Key, list[Job]]:
        name = (provider.name, size)
        if name not in self._by_key:
            found = self._by_key[name] = {}
            for job in self._read():
                if job.provider == provider.name and job.row.size == size:
                    found.setdefault(self._key(provider, job), []).append(job)
        return self._by_key[name]

    def _key(self, provider: Provider, job: Job) -> Key:
        if job.id not in self._keys:
            self._keys[job.id] = key_of(provider, job.get, *as_sent(job))
        return self._keys[job.id]


def as_sent(job: Job) -> tuple[dict[str, Any], Link]:
    """(job record as its last attempt was sent, the snapshot of its backend)."""
    current = job.folded.current
    attempt = (current.record if current else None) or {}
    record = {**job.record, **{name: attempt[name] for name in ("input", "config") if name in attempt}}
    record["backend"] = job.backend
    return record, attempt.get("backend") or record.get("prepared", {}).get("backend") or record["config"]


def key_of(provider: Provider, get: Get, record: Mapping[str, Any], snapshot: Link) -> Key:
    """What must be equal for a recording to answer."""
    alike = provider.alike(get, record, snapshot)
    return tuple(codec.digest(codec.encode(alike[part], _named)) for part in ("input", "config", "backend"))


def _named(piece: bytes) -> Link:
    """A long byte string counts by the digests of its pieces, and is kept nowhere."""
    return Link(codec.digest(piece))
