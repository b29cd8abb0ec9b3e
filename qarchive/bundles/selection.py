"""What a bundle holds: jobs and groups with every record about them, and all that these refer to, down to the last link."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .. import codec, pack, records, redact
from ..catalog import Progress
from ..errors import BadInput, Damaged, NotFound
from ..intake import read_all
from ..store import Store
from ..values import Array, Typed
from . import limits

LINK = b"\xc7\x20\x09"  # how every link begins in canonical bytes
_PRINTED = re.compile(rb"[\x20-\x7e]{12,}")  # text inside bytes
_GLUED = re.compile(r"(?i)(?<=\w)(?:eyJ|crn:v|bearer\s)")  # a letter before it may be the length of the text
_NAMED = 3  # jobs that a refusal names


@dataclass(frozen=True)
class Selection:
    """Digests by kind; `size` are their raw bytes. `jobs` and `groups` are ids."""

    kinds: dict[str, list[bytes]] = field(default_factory=dict)
    jobs: list[bytes] = field(default_factory=list)
    groups: list[bytes] = field(default_factory=list)
    size: int = 0
    omitted: int = 0  # blobs that the other side has

    @property
    def blobs(self) -> int:
        return sum(map(len, self.kinds.values()))


def select(
    store: Store,
    jobs: Iterable[bytes],
    groups: Iterable[bytes] = (),
    without: Callable[[bytes], bool] = lambda digest: False,
    progress: Progress | None = None,
    given_away: bool = True,
) -> Selection:
    """These jobs and groups, whole, but for blobs that the other side has (`without`). Removals stay behind.

    A job that another one repeats or replaces comes along. Credentials are looked for in what is `given_away`. Raises BadInput
    where one is found, or a blob or a name that nobody would take in; NotFound and Damaged where something is missing or cannot
    be read.
    """
    found = _Closure(store, without, _Secrets() if given_away else None)
    found.add_groups(groups)
    found.add_jobs(jobs)
    found.run(progress)
    if found.telling:
        raise BadInput(*_refusal(found))
    return Selection(found.kinds, list(found.jobs), list(found.groups), found.size, found.omitted)


def read_in_order(store: Store, digests: Iterable[bytes]) -> Iterator[tuple[pack.Entry, bytes]]:
    """(where it lies, canonical bytes) of blobs, in the order of their places, so that each frame is read once.

    Raises NotFound, Damaged.
    """
    digests = list(digests)
    places = store.index.places_of(digests)
    by_pack: dict[object, list[pack.Entry]] = {}
    for digest in digests:
        if digest not in places:
            raise NotFound(f"blob {digest.hex()}", str(store.path), "`qarchive verify --deep` says what is missing")
        path, entry = places[digest]
        by_pack.setdefault(path, []).append(entry)
    for path, entries in sorted(by_pack.items()):
        entries.sort(key=lambda entry: (entry.frame, entry.start))
        try:
            with open(path, "rb") as file:
                for entry, data in read_all(file, path, entries):
                    yield entry, store.get(entry.digest) if isinstance(data, Damaged) else data
        except FileNotFoundError:  # replaced by another pack since
            for entry in entries:
                yield entry, store.get(entry.digest)


class _Closure:
    """Goes through records and what they refer to, one level of links after another."""

    def __init__(self, store: Store, without: Callable[[bytes], bool], secrets: "_Secrets | None"):
        self.store, self.without, self.secrets = store, without, secrets
        self.kinds: dict[str, list[bytes]] = {}
        self.jobs: dict[bytes, None] = {}
        self.groups: dict[bytes, None] = {}
        self.size = self.omitted = 0
        self.telling: list[tuple[str, bytes]] = []  # (kind, digest) of blobs with a credential
        self._seen: set[bytes] = set()
        self._pending: list[bytes] = []
        self._linked: list[bytes] = []  # job records that were met before their jobs

    def add_groups(self, groups: Iterable[bytes]) -> None:
        new = [group for group in groups if group not in self.groups]
        self.groups.update(dict.fromkeys(new))
        self._ask_for(self.store.index.records_of(new))

    def add_jobs(self, jobs: Iterable[bytes]) -> None:
        new = [job for job in jobs if job not in self.jobs]
        self.jobs.update(dict.fromkeys(new))
        self._ask_for(self.store.index.records_of(new))

    def run(self, progress: Progress | None) -> None:
        while self._pending:
            level, self._pending = self._pending, []
            for entry, data in read_in_order(self.store, level):
                self._take(entry, data)
                if progress:
                    progress(self.size, max(self.size, 1))
            linked, self._linked = self._linked, []
            self.add_jobs(sorted(self.store.index.listed(linked)))  # one that was removed is but what its child refers to

    def _ask_for(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            if digest not in self._seen:
                self._seen.add(digest)
                if self.without(digest):
                    self.omitted += 1
                else:
                    self._pending.append(digest)

    def _take(self, entry: pack.Entry, data: bytes) -> None:
        if reason := limits.excess(entry.kind, len(data), data):
            raise BadInput(f"the {entry.kind} {entry.digest.hex()[:12]}", reason, self._leave_out([entry.digest]))
        suspected = self.secrets is not None and self.secrets.suspects(data)
        value = codec.decode(data) if LINK in data or suspected or entry.kind == pack.RECORD else None
        if entry.kind == pack.RECORD and records.wrong(value) is None:
            if value["type"] in records.LOCAL:
                return
            if found := records.obeyed_name(value):
                self._refuse_name(entry.digest, value, found)
            if value["type"] == "job" and entry.digest not in self.jobs:
                self._linked.append(entry.digest)
        self.kinds.setdefault(entry.kind, []).append(entry.digest)
        self.size += len(data)
        if suspected and self.secrets.stand_in(data, value):
            self.telling.append((entry.kind, entry.digest))
        if value is not None:
            self._ask_for(link.digest for link in codec.links(value))

    def _refuse_name(self, digest: bytes, record: dict, found: str) -> None:
        what = "group" if records.is_of_group(record) else "job"
        subject = records.subject_of(digest, record).hex()[:12]
        raise BadInput(f"the {what} {subject}", f"has the {found}, which nobody would take in", "leave it out")

    def _leave_out(self, digests: list[bytes]) -> str:
        jobs = [job.hex()[:12] for job in self.jobs_behind(digests)]
        more = f" and {len(jobs) - _NAMED:,} more" if len(jobs) > _NAMED else ""
        return f"leave out {'job' if len(jobs) == 1 else 'the jobs'} {', '.join(jobs[:_NAMED])}{more}"

    def jobs_behind(self, digests: Iterable[bytes]) -> list[bytes]:
        """The jobs and groups, of those met so far, from which links lead to one of these blobs. All blobs are read again."""
        above: dict[bytes, list[bytes]] = {}
        for entry, data in read_in_order(self.store, self._seen - set(filter(self.without, self._seen))):
            value = codec.decode(data) if LINK in data or entry.kind == pack.RECORD else None
            over = [entry.digest]
            if entry.kind == pack.RECORD and records.wrong(value) is None:
                over = [records.subject_of(entry.digest, value)]
                above.setdefault(entry.digest, []).extend(over)
            for link in codec.links(value):
                above.setdefault(link.digest, []).extend(over)
        met, pending = set(), list(digests)
        while pending:
            digest = pending.pop()
            if digest not in met:
                met.add(digest)
                if digest not in self.jobs:  # what a parent holds is not its child's
                    pending += above.get(digest, ())
        return [subject for subject in (*self.jobs, *self.groups) if subject in met]


class _Secrets:
    """What is looked for in all that is given away: what has the look of a credential, and those in the environment and in the
    files of SDKs."""

    def __init__(self):
        from ..providers import registry  # it reads entry points, which costs more than a listing

        known = [value for name, value in os.environ.items() if redact.tells(name)]
        for provider in (*registry.built_in().values(), *registry.installed().values()):
            known += provider.saved_credentials()
        self._known = {text.encode("utf-8", "surrogateescape") for text in known if len(text) >= redact.SECRET_MIN}

    def suspects(self, data: bytes) -> bool:
        """Whether a credential may stand in canonical bytes; never wrongly False."""
        return redact.suspects(data) or any(secret in data for secret in self._known)

    def stand_in(self, data: bytes, value: object) -> bool:
        """Whether one does: as it is known, as text that would have been removed when it was recorded, as text inside bytes."""
        if any(secret in data for secret in self._known) or redact.tree(value) is not value:
            return True
        return any(redact.text(text) != text for text in _texts_in_bytes(value))


def _texts_in_bytes(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is dict:
            pending += [*item.keys(), *item.values()]
        elif kind in (list, tuple, set):
            pending += item
        elif kind is Typed:
            pending.append(item.value)
        elif kind is Array:
            pending.append(item.data)
        elif kind is bytes:
            for run in _PRINTED.findall(item):
                text = run.decode("ascii")
                yield text
                yield from (text[found.start() :] for found in _GLUED.finditer(text))


def _refusal(found: _Closure) -> tuple[str, str, str]:
    kind, digest = found.telling[0]
    more = f" (and {len(found.telling) - 1} more)" if len(found.telling) > 1 else ""
    reason = "holds what looks like a credential, and is not given away"
    hint = f"`qarchive cat {digest.hex()[:12]}` shows it; {found._leave_out([each for _, each in found.telling])}"
    return f"the {kind} {digest.hex()[:12]}{more}", reason, hint
