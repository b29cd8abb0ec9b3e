"""Jobs that are prepared for a group: written with all that goes into them, and not sent."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from .. import codec, membership, records, scope
from ..errors import BadInput
from ..index import GroupRow, Member
from ..library import Library
from ..membership import Places
from ..providers import registry
from ..providers.base import Divisible, Provider
from ..stage import Stage
from ..values import Link
from .locks import Lock
from .targets import snapshot

PER_JOB = 100  # circuits or PUBs of a job, where the target declares no limit
_CALLS = ("run", "execute_async", "create_batch")  # what starts an SDK's object, by its name
_PAGE = 1000


class Prepared(BaseException):
    """Ends an SDK's call where it would send. No Exception, so that no SDK takes it for an error of its own."""


def add(library: Library, group: GroupRow, target: Any, args: tuple, kwargs: dict) -> tuple[int, list[Link]]:
    """(sequence, jobs) of a call that is prepared; one with a list of circuits becomes as many jobs as its target's limits ask
    for, all or none of them. Raises BadInput, NotEncodable, CannotWrite."""
    places = membership.next_places(library._store, group)
    stage = Stage(library._store)
    parts = registry.owner(target).divide(target, args, kwargs)
    calls = iter([(args, kwargs)]) if parts is None else (parts.call(chunk) for chunk in _chunks(parts, None))
    jobs = [job for call in calls for job in prepare(library, stage, places, target, *call)]
    if not jobs:
        raise BadInput("the list of circuits", "is empty", "give one or more")
    stage.commit(durable=False)
    return places.sequence, jobs


def prepare(library: Library, stage: Stage, places: Places, target: Any, args: tuple, kwargs: dict) -> list[Link]:
    """Stage the jobs that one call of the SDK's would send."""
    name = next((name for name in _CALLS if callable(getattr(target, name, None))), None)
    if name is None:
        raise BadInput(f"a {type(target).__name__}", "there is nothing of it that runs", "give a backend, a primitive or a job")
    owner = registry.owner(target)
    if type(owner).load_call is Provider.load_call:  # what is prepared is run from the archive
        reason = f"the provider {owner.name} runs no archived job again"
        raise BadInput(f"a {type(target).__name__}", reason, "run it by itself; it is recorded all the same")
    jobs: list[Link] = []

    def catch(provider: Provider, asked: Any, args: tuple, kwargs: dict) -> None:
        jobs.extend(library._recorder.prepare(stage, provider, asked, args, kwargs))
        raise Prepared

    inside = scope.within(paused=False, nested=False, again=(), group=places.group.name, places=places, prepare=catch)
    with inside, owner.recorded(target, library._recorder.way) as recorded:
        try:
            getattr(recorded, name)(*args, **kwargs)
        except Prepared:
            return jobs
    raise BadInput(f"a {type(target).__name__}", "it ran without passing the archive, and was not prepared", "wrap it first")


def fill(library: Library, group: GroupRow, target: Any, items: Any, per_job: int | None, options: dict) -> tuple[int, int, int]:
    """(sequence, circuits that are in the group, those of them that were there before) of a map.

    The circuits are read as they are needed. What an earlier call has prepared of the same ones is compared and passed over;
    others are refused. One process at a time maps into a group. Raises BadInput, NotEncodable, CannotWrite.
    """
    provider = registry.owner(target)
    parts = provider.divide(target, (items,), options)
    if parts is None:
        raise BadInput(f"a {type(target).__name__}", "it takes no list of circuits that could be cut", "add them one by one")
    if per_job is not None and (type(per_job) is not int or per_job < 1):
        raise BadInput(f"per_job={per_job!r}", "is no number of circuits", "give 1 or more")
    with Lock(library, group, "map"):
        return _Map(library, group, provider, target, parts, per_job).fill()


def halve(library: Library, member: Member, group: GroupRow, device: Any) -> list[Link]:
    """Put two jobs with half of the circuits each in the place of one that was too large. Raises BadInput, CannotWrite."""
    record = library._store.value(member.id)
    provider = registry.named(record["provider"])
    target, args, kwargs = provider.load_call(lambda link: library._store.value(link.digest), record, device)
    parts = registry.owner(target).divide(target, args, kwargs)
    items = [] if parts is None else list(parts.items)
    if len(items) < 2:
        raise BadInput(f"job {member.id.hex()[:12]}", "it is one circuit, and cannot be cut")
    half = (len(items) + 1) // 2
    stage = Stage(library._store)
    places = Places(group, member.author, member.sequence, member.first, replaces=Link(member.id))
    halves = [prepare(library, stage, places, target, *parts.call(items[part])) for part in (slice(half), slice(half, None))]
    stage.commit(durable=True)
    return [job for jobs in halves for job in jobs]


def copy(library: Library, group: GroupRow, member: Member) -> Member:
    """A new job like a failed one, at the end of the group, with the link to it."""
    store = library._store
    old, stage = store.value(member.id), Stage(store)
    place = membership.next_places(store, group).take(member.size)
    fields = {name: old.get(name) for name in
              ("provider", "kind", "backend", "input", "config", "shots", "size", "labels")}  # fmt: skip
    fields["prepared"] = snapshot(library, member, old) or None
    job = stage.record(records.job_record(**fields, names=old.get("names", ()), parent=Link(member.id), member=place))
    stage.commit(durable=False)
    return store.index.member(job.digest)


class _Map:
    """One call of `map`, while it goes through its circuits."""

    def __init__(self, library: Library, group: GroupRow, provider: Provider, target: Any, parts: Divisible,
                 per_job: int | None):  # fmt: skip
        self.library, self.group, self.provider, self.target = library, group, provider, target
        self.parts, self.per_job = parts, per_job
        self.index = library._store.index
        self.items = iter(parts.items)

    def fill(self) -> tuple[int, int, int]:
        sequence, ended = self._earlier()
        before = 0
        if sequence is None:
            places = membership.next_places(self.library._store, self.group, mapped=True)
        else:
            before = self._pass_over(sequence)
            places = Places(self.group, self.library.id, sequence, before, mapped=True)
            if ended is not None and ended == before and next(self.items, None) is not None:
                raise BadInput("the circuits of this map", f"are more than the {before} that the group has of it", _HINT)
        if ended is None:
            for chunk in _chunks(self.parts, self.per_job, self.items):
                stage = Stage(self.library._store)
                prepare(self.library, stage, places, self.target, *self.parts.call(chunk))
                stage.commit(durable=False)
            if places.first == 0:
                raise BadInput("the circuits of this map", "are none", "give one or more")
            self._end(places)
        return places.sequence, places.first, before

    def _earlier(self) -> tuple[int | None, int | None]:
        """(sequence of the map that this one goes on with, its circuits if it has ended), or None twice for a new one."""
        ended = self.index.maps_ended(self.group.id, self.library.id)
        maps = self.index.maps(self.group.id, self.library.id)
        starts = {sequence: self.index.chain(self.group.id, self.library.id, sequence, 1)[0] for sequence in reversed(maps)}
        read = list(islice(self.items, max((start.size for start in starts.values()), default=1)))
        self.items = chain(read, self.items)
        if not read or not maps:
            return None, None
        described, identities = self._described(read[0]), [self._identity(item) for item in read]
        for sequence, start in starts.items():
            compared = start.size if sequence in ended else 1  # one that has ended may begin as a new one does
            if start.first == 0 and self._is_like(start, identities[:compared], described):
                return sequence, ended.get(sequence)
        unfinished = [sequence for sequence in maps if sequence not in ended]
        if unfinished:
            last = self.index.chain(self.group.id, self.library.id, unfinished[-1], -1)[-1]
            alike = self._archived(self.library._store.value(starts[unfinished[-1]].id))[0] == identities[0]
            what = "the backend or the options of this map" if alike else "the circuits of this map"
            reason = f"are not those of the map that was broken off after {last.first + last.size:,} circuits"
            raise BadInput(what, reason, _HINT)
        return None, None

    def _described(self, item: Any) -> tuple[str, Link]:
        """(name of the backend, configuration) of a job with this circuit; nothing is stored."""
        stage = Stage(self.library._store)
        prepare(self.library, stage, Places(self.group, self.library.id, 0), self.target, *self.parts.call([item]))
        record = next(
            value for value in map(_decoded, stage.blobs.values()) if type(value) is dict and value.get("type") == "job"
        )
        return record["backend"], record["config"]

    def _is_like(self, member: Member, identities: list[bytes], described: tuple[str, Link]) -> bool:
        """Whether a map began with these circuits, on the same backend and in the same way."""
        record = self.library._store.value(member.id)
        if (record["backend"], record["config"]) != described:
            return False
        return self._archived(record)[: len(identities)] == identities

    def _pass_over(self, sequence: int) -> int:
        """Compare the circuits with those that a map has prepared; their number. Raises BadInput where one differs."""
        after, passed = -1, 0
        while page := self.index.chain(self.group.id, self.library.id, sequence, _PAGE, after):
            for member in page:
                if member.first != passed:
                    raise BadInput(f"circuit {passed:,} of this map", "is missing in the group", "map into another group")
                expected = self._archived(self.library._store.value(member.id))
                found = [self._identity(item) for item in islice(self.items, member.size)]
                if found != expected:
                    differing = next(
                        (n for n, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other), len(found)
                    )
                    reason = "is missing" if differing == len(found) else "differs"
                    raise BadInput(f"circuit {passed + differing:,} of this map", f"{reason}: the group has it otherwise", _HINT)
                after, passed = member.first, passed + member.size
        return passed

    def _identity(self, item: Any) -> bytes:
        return self.provider.identity(Stage(self.library._store), item)

    def _archived(self, record: dict) -> list[bytes]:
        provider = registry.named(record["provider"])
        return provider.identities(lambda link: self.library._store.value(link.digest), record)

    def _end(self, places: Places) -> None:
        stage = Stage(self.library._store)
        stage.record(records.mapped_record(
            group=Link(self.group.id), author=self.library.id, sequence=places.sequence, circuits=places.first))  # fmt: skip
        stage.commit(durable=True)


_HINT = "give the same circuits in the same order and the same way, or map into another group"


def _decoded(blob: Any) -> Any:
    return codec.decode(blob.data)


def _chunks(parts: Divisible, per_job: int | None, items: Iterator[Any] | None = None) -> Iterator[list]:
    """Circuits as lists for one job each."""
    most = min(limit for limit in (per_job or parts.circuits or PER_JOB, parts.circuits) if limit is not None)
    chunk, executions = [], 0
    for item in parts.items if items is None else items:
        needed = parts.executions_of(item) if parts.executions is not None else 0
        if chunk and (len(chunk) == most or (parts.executions is not None and executions + needed > parts.executions)):
            yield chunk
            chunk, executions = [], 0
        chunk.append(item)
        executions += needed
    if chunk:
        yield chunk
