"""The result of a group as one, however many jobs it took."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import BadInput, JobFailed, MissingExtra, NotFinished, NotFound, SameCircuit
from ..index import GroupRow, Member
from ..job import Job
from ..library import Library
from ..providers import registry
from ..records import plain_name
from ..stage import Stage
from .reporting import Stretch

_WITH_RESULT = frozenset({"DONE", "PARTIAL"})


@dataclass(frozen=True)
class _Part:
    first: int
    job: bytes
    status: str


class GroupResult:
    """What came out of the circuits of a group. A circuit is named by its index over the whole group (0 is the first that was
    added), by its name, or by an equal circuit. Jobs are read when they are asked for."""

    def __init__(self, library: Library, group: GroupRow, members: Iterator[Member], failures: list[Stretch]):
        self._library, self._group, self.failures = library, group, failures
        self._parts: list[_Part] = []
        self._size = 0
        for member in members:
            self._parts.append(_Part(self._size, member.id, member.status))
            self._size += member.size
        self._starts = [part.first for part in self._parts]
        self._loaded: tuple[bytes, Any] | None = None  # the last job whose result was read
        self._names: dict[str, list[int]] | None = None
        self._identities: dict[bytes, list[int]] | None = None

    @property
    def success(self) -> bool:
        """Whether every circuit has a result."""
        return not self.failures

    @property
    def jobs(self) -> list[Job]:
        """The jobs behind it, in order."""
        return [self._library._job(part.job) for part in self._parts]

    def __len__(self) -> int:
        """The number of circuits."""
        return self._size

    def get_counts(self, circuit: Any = None) -> Any:
        """{bit string: count} of a circuit; needs no SDK. Of all, as a list with None where there is none, without an argument.

        Raises NotFound, Ambiguous for names and circuits that stand there several times, JobFailed, NotFinished.
        """
        if circuit is None and self._size != 1:
            return [self._counts(place) if self._has_result(place) else None for place in range(self._size)]
        return self._counts(self.index(0 if circuit is None else circuit))

    def get_memory(self, circuit: Any = 0) -> list[str]:
        """The bit string of every shot of a circuit, as the SDK gives it. Raises BadInput where there is none."""
        return self._extract(circuit, "memory")

    def get_statevector(self, circuit: Any = 0) -> Any:
        """The SDK's Statevector of a circuit. Raises BadInput where there is none."""
        return self._extract(circuit, "statevector")

    def get_unitary(self, circuit: Any = 0) -> Any:
        """The SDK's Operator of a circuit. Raises BadInput where there is none."""
        return self._extract(circuit, "unitary")

    def data(self, circuit: Any = 0) -> dict[str, Any]:
        """What came out of a circuit or PUB, as plain values by name; needs no SDK."""
        job, place = self._ended_well(self.index(circuit))
        found = job.data()
        if place >= len(found):
            raise BadInput(f"job {job.id[:12]}", "its result is no list of circuits' results", "take `job.result()`")
        return found[place]

    def combine_results(self) -> Any:
        """One result object of the SDK's: a Result of Qiskit, a PrimitiveResult. Raises BadInput where the SDK has no such thing,
        or a circuit has no result."""
        for part in self._parts:
            if part.status not in _WITH_RESULT:
                raise JobFailed(part.job.hex()[:12], part.status, "a result of a part of the circuits cannot be joined")
        if not self._parts:
            raise BadInput(f"the group {self._group.name}", "it has no jobs")
        provider = registry.named(self._library._job(self._parts[0].job).provider)
        return provider.join([self._library._job(part.job).result() for part in self._parts])

    def to_pandas(self) -> Any:
        """One row a circuit, as a pandas DataFrame: index, name, job, status, and what came out of it. Raises MissingExtra."""
        try:
            import pandas
        except ImportError:
            raise MissingExtra("a DataFrame", "pandas") from None

        rows = []
        for part, after in zip(self._parts, [*self._starts, self._size][1:], strict=True):
            job = self._library._job(part.job)
            values = job.data() if part.status in _WITH_RESULT and "result" in (job.outcome or {}) else []
            for place in range(after - part.first):
                name = job.names[place] if place < len(job.names) else None
                about = {"circuit": part.first + place, "name": name, "job": job.id, "status": part.status}
                rows.append(about | (values[place] if place < len(values) else {}))
        return pandas.DataFrame(rows, columns=None if rows else ["circuit", "name", "job", "status"])

    def index(self, circuit: Any) -> int:
        """The index of a circuit that is named by index, name or itself. Raises NotFound, Ambiguous, BadInput."""
        if type(circuit) is int:
            if not -self._size <= circuit < self._size:
                raise NotFound(f"circuit {circuit}", f"group {self._group.name}", f"it has {self._size:,} circuits, from 0")
            return circuit % self._size
        places = self._named(circuit) if isinstance(circuit, str) else self._equal(circuit)
        if not places:
            what = f"a circuit {circuit!r}" if isinstance(circuit, str) else "this circuit"
            raise NotFound(what, f"group {self._group.name}", "give an index, or a name that one of its circuits has")
        if len(places) > 1:
            raise SameCircuit(places)
        return places[0]

    def job(self, circuit: Any) -> tuple[Job, int]:
        """(the job that has a circuit, its index there)."""
        return self._place(self.index(circuit))

    def __repr__(self) -> str:
        return f"<result of group {self._group.name}: {self._size:,} circuits, {len(self._parts):,} jobs>"

    def _place(self, circuit: int) -> tuple[Job, int]:
        part = self._parts[bisect_right(self._starts, circuit) - 1]
        if self._loaded is None or self._loaded[0] != part.job:
            self._loaded = part.job, self._library._job(part.job)
        return self._loaded[1], circuit - part.first

    def _has_result(self, circuit: int) -> bool:
        return self._parts[bisect_right(self._starts, circuit) - 1].status in _WITH_RESULT

    def _ended_well(self, circuit: int) -> tuple[Job, int]:
        """The job of a circuit, which has a result of it. Raises NotFinished, JobFailed: SDKs give failed jobs results, too."""
        job, place = self._place(circuit)
        if job.status not in _WITH_RESULT:
            if job.outcome is None:
                raise NotFinished(job.id[:12], job.status)
            raise JobFailed(job.id[:12], job.status, (job.error or {}).get("message", ""))
        return job, place

    def _counts(self, circuit: int) -> dict[str, int]:
        job, place = self._ended_well(circuit)
        return job.counts(place)

    def _extract(self, circuit: Any, what: str) -> Any:
        job, place = self._ended_well(self.index(circuit))
        return registry.named(job.provider).extract(job.result(), place, what)

    def _named(self, name: str) -> list[int]:
        if self._names is None:
            self._names = {}
            for part in self._parts:
                for place, each in enumerate(self._library._job(part.job).names):
                    self._names.setdefault(each, []).append(part.first + place)
        return self._names.get(name) or self._names.get(plain_name(name), [])

    def _equal(self, circuit: Any) -> list[int]:
        store = self._library._store
        provider = registry.named(self._library._job(self._parts[0].job).provider) if self._parts else None
        if provider is None:
            return []
        if self._identities is None:
            self._identities = {}
            for part in self._parts:
                record = store.value(part.job)
                found = registry.named(record["provider"]).identities(lambda link: store.value(link.digest), record)
                for place, each in enumerate(found):
                    self._identities.setdefault(each, []).append(part.first + place)
        return self._identities.get(provider.identity(Stage(store), circuit), [])
