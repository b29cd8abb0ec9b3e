"""The index: where each blob lies and what each job is, in SQLite. Derived from the packs, and safe to delete at any time.

Every query first looks at the packs' sizes and reads what is new. Rows carry a check of their own, since SQLite has none:
a row that fails it makes the whole index be built again, and is never shown.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from . import pack
from .catalog import Catalog
from .intake import Corrupt, foreign_of, places, seal
from .values import Timestamp


@dataclass(frozen=True, slots=True)
class Row:
    """One job as listings show it. Times are UTC; `shots` and `group` may be None."""

    id: str
    created: Timestamp
    provider: str
    backend: str
    kind: str
    status: str
    shots: int | None
    size: int
    group: str | None
    tags: tuple[str, ...]
    input: str | None
    calibration: str | None
    provider_job: str | None
    attempts: int
    gaps: int
    names: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group. `archive` is the id of the one in which it was made."""

    id: bytes
    name: str
    archive: str
    number: int
    removed: bool


class Member(NamedTuple):
    """One job of a group. Members are ordered by (author, sequence, first, id)."""

    group: bytes
    author: str
    sequence: int  # of the call that added it
    first: int  # the place of its first circuit among those of that call
    id: bytes
    size: int  # circuits
    mapped: int  # whether a `map` added it
    created_ns: int  # UTC
    status: str
    backend: str
    error: str
    replaces: bytes | None

    @property
    def created(self) -> Timestamp:
        return Timestamp(self.created_ns)

    @property
    def place(self) -> tuple[str, int, int, bytes]:
        return self.author, self.sequence, self.first, self.id


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for. `since` and `until` bound `created`; mock jobs stay out unless `kind` asks for them."""

    provider: str | None = None
    backend: str | None = None
    status: str | None = None
    kind: str | None = None
    tag: str | None = None
    group: str | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    input: bytes | None = None
    calibration: bytes | None = None
    newest_first: bool = True

    @property
    def source(self) -> str:
        """The tables to read: jobs with a tag are found from the tag, in the same order."""
        return "jobs" if self.tag is None else "tags CROSS JOIN jobs ON jobs.id = tags.job"

    @property
    def order(self) -> tuple[str, str]:
        """The columns that give the order: time of creation, and the id among equal ones."""
        return ("jobs.created", "jobs.id") if self.tag is None else ("tags.created", "tags.job")

    def where(self) -> tuple[str, list]:
        # The unary plus keeps SQLite from choosing an index that would then have to be sorted.
        tests, values = [], []
        created, _ = self.order
        for column in ("provider", "backend", "status", "kind"):
            if (value := getattr(self, column)) is not None:
                tests.append(f"jobs.{column} = ?")
                values.append(value)
        if self.kind is None:
            tests.append("+jobs.kind != 'mock'")
        for test, value in (
            ("jobs.grp = ?", self.group),
            ("jobs.input = ?", self.input),
            ("jobs.calibration = ?", self.calibration),
            (f"{created} >= ?", self.since and self.since.ns),
            (f"{created} < ?", self.until and self.until.ns),
            ("tags.tag = ?", self.tag),
        ):
            if value is not None:
                tests.append(test)
                values.append(value)
        return " AND ".join(tests), values


class Index(Catalog):
    """What the packs of one folder hold, as answers. One instance serves all threads of a process."""

    def rows(self, query: Query, limit: int, after: tuple[int, bytes] | None = None) -> list[Row]:
        """At most `limit` jobs, in order of creation; `after` is (created in ns, id) of the last one already seen."""
        where, values = query.where()
        created, job = query.order
        direction, compare = ("DESC", "<") if query.newest_first else ("ASC", ">")
        if after is not None:
            where += f" AND ({created}, {job}) {compare} (?, ?)"
            values += after
        order = f"{created} {direction}, {job} {direction}"
        sql = f"SELECT {_ROW} FROM {query.source} WHERE {where} ORDER BY {order} LIMIT ?"
        return self.ask(lambda db: [_row(*found) for found in db.execute(sql, (*values, limit))])

    def count(self, query: Query, limit: int = -1) -> int:
        """How many jobs fit; with a limit, no more than that are counted."""
        where, values = query.where()
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {query.source} WHERE {where} LIMIT ?)"
        return self.ask(lambda db: db.execute(sql, (*values, limit)).fetchone()[0])

    def row(self, job: bytes) -> Row | None:
        sql = f"SELECT {_ROW} FROM jobs WHERE id = ?"
        return self.ask(lambda db: next((_row(*found) for found in db.execute(sql, (job,))), None))

    def unfinished(self) -> list[bytes]:
        """Ids of the jobs that were sent and have not ended as far as this archive saw, mock jobs too, in order of creation."""
        return self.column("SELECT id FROM jobs WHERE open ORDER BY created, id")

    def all_jobs(self) -> list[bytes]:
        """Ids of all jobs, mock jobs too, in order of creation."""
        return self.column("SELECT id FROM jobs ORDER BY created, id")

    # Groups

    def jobs_in(self, group: bytes) -> list[bytes]:
        """Ids of all jobs with a place in a group, in order, those that others have replaced too."""
        return self.column(f"SELECT job FROM members WHERE grp = ? {_IN_ORDER}", group)

    def groups(self, name: str | None = None, stale: bool = False) -> list[GroupRow]:
        """All groups, or those of one name, removed ones too, in order of name, archive and number."""
        where, values = ("", ()) if name is None else ("WHERE name = ?", (name,))
        sql = f"SELECT id, name, archive, number, removed, seal FROM groups {where} ORDER BY name, archive, number"
        found = self.ask(lambda db: [_checked(row) for row in db.execute(sql, values)], stale=stale)
        return [GroupRow(*columns[:-1], removed=bool(columns[-1])) for columns in found]

    def members(self, group: bytes, limit: int = -1, after: tuple[str, int, int, bytes] | None = None) -> list[Member]:
        """Jobs of a group in order, without those that others have replaced; `after` is the place of the last one seen."""
        where, values = (" AND (author, sequence, first, job) > (?, ?, ?, ?)", after) if after else ("", ())
        sql = f"SELECT {_MEMBER} FROM members WHERE grp = ? {where} AND {_NOT_REPLACED} {_IN_ORDER} LIMIT ?"
        return self.ask(lambda db: [Member._make(_checked(row)) for row in db.execute(sql, (group, *values, limit))])

    def chain(self, group: bytes, author: str, sequence: int, limit: int, after: int = -1) -> list[Member]:
        """The jobs that a map has added, in order, as it added them; `after` is the `first` of the last one seen."""
        sql = (f"SELECT {_MEMBER} FROM members WHERE grp = ? AND author = ? AND sequence = ? AND first > ? AND mapped "
               f"AND replaces IS NULL {_IN_ORDER} LIMIT ?")  # fmt: skip
        values = (group, author, sequence, after, limit)
        return self.ask(lambda db: [Member._make(_checked(row)) for row in db.execute(sql, values)])

    def member(self, job: bytes) -> Member | None:
        """The place of a job in its group; None where it has none, or was replaced."""
        sql = f"SELECT {_MEMBER} FROM members WHERE job = ? AND {_NOT_REPLACED}"
        return self.ask(lambda db: next((Member._make(_checked(row)) for row in db.execute(sql, (job,))), None))

    def tally(self, group: bytes) -> dict[str, tuple[int, int]]:
        """{status: (jobs, circuits)} of a group, in no order."""
        # In two halves: a sum of 64 bits would overflow where somebody says that his jobs are that large.
        sums = "sum(size >> 32), sum(size & 0xffffffff)"
        sql = f"SELECT status, count(*), {sums} FROM members WHERE grp = ? AND {_NOT_REPLACED} GROUP BY status"
        return self.ask(lambda db: {status: (jobs, (high << 32) + low) for status, jobs, high, low in db.execute(sql, (group,))})

    def last_sequence(self, group: bytes, author: str, stale: bool = False) -> int:
        """The largest sequence of an author's in a group; 0 where there is none. With `stale` as far as was read."""
        sql = "SELECT sequence FROM members WHERE grp = ? AND author = ? ORDER BY sequence DESC LIMIT 1"
        return next(iter(self.column(sql, group, author, stale=stale)), 0)

    def maps(self, group: bytes, author: str) -> list[int]:
        """The sequences of an author's maps in a group, in order."""
        sql = "SELECT DISTINCT sequence FROM members WHERE grp = ? AND author = ? AND mapped ORDER BY sequence"
        return self.column(sql, group, author)

    def maps_ended(self, group: bytes, author: str) -> dict[int, int]:
        """{sequence: circuits} of those maps of an author's that were taken to their end."""
        sql = "SELECT grp, author, sequence, circuits, seal FROM mapped WHERE grp = ? AND author = ?"
        found = self.ask(lambda db: [_checked(row) for row in db.execute(sql, (group, author))])
        return {sequence: circuits for *_, sequence, circuits in found}

    # Ids

    def jobs_with_prefix(self, prefix: str, limit: int) -> list[bytes]:
        """Ids that begin with `prefix`, hexadecimal digits, in order."""
        return self.column("SELECT id FROM jobs WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?", *_range(prefix), limit)

    def jobs_of_provider(self, provider_job: str) -> list[bytes]:
        """Ids of the jobs that a provider knows under this id of its own: of their last attempt, or of an earlier one."""
        sql = "SELECT id FROM jobs WHERE provider_job = ?1 UNION SELECT job FROM earlier WHERE provider_job = ?1 ORDER BY 1"
        return self.column(sql, provider_job)

    def blobs_with_prefix(self, prefix: str, limit: int) -> list[bytes]:
        sql = "SELECT DISTINCT digest FROM blobs WHERE digest >= ? AND digest <= ? ORDER BY digest LIMIT ?"
        return self.column(sql, *_range(prefix), limit)

    def records(self, job: bytes) -> list[bytes]:
        """Digests of the records about a job."""
        return self.column("SELECT digest FROM records WHERE job = ? ORDER BY digest", job)

    def records_by_origin(self, job: bytes) -> tuple[list[bytes], frozenset[bytes]]:
        """(digests of the records about a job, those of them that came from other archives)."""

        def read(db):
            found = [digest for (digest,) in db.execute("SELECT digest FROM records WHERE job = ? ORDER BY digest", (job,))]
            shared = db.execute("SELECT 1 FROM packs WHERE origin IS NOT NULL LIMIT 1").fetchone()
            return found, foreign_of(db, found) if shared else frozenset()

        return self.ask(read)

    def origins(self, digest: bytes) -> list[str | None]:
        """Where copies of a blob came from: None for the archive's own packs, else what a bundle says to be its archive."""
        sql = "SELECT DISTINCT origin FROM blobs JOIN packs ON packs.id = pack WHERE digest = ? ORDER BY origin"
        return self.column(sql, digest)

    def all_records(self) -> list[bytes]:
        return self.column("SELECT digest FROM records ORDER BY digest")

    def places(self, digest: bytes) -> list[tuple[Path, pack.Entry]]:
        """Everywhere a blob lies, one of them enough; empty where it is nowhere."""
        return self.ask(lambda db: places(db, self.packs, digest))

    def places_of(self, digests: Iterable[bytes]) -> dict[bytes, tuple[Path, pack.Entry]]:
        """Where each of many blobs lies, one place of each; those that lie nowhere are left out."""

        def read(db):
            found, paths = {}, {}
            for digest, row in _of_many(db, _PLACES, digests):
                name, kind, length, frame, stored, raw, start = row
                if not all(type(number) is int and number >= 0 for number in row[2:]):
                    raise Corrupt
                path = paths.get(name) or paths.setdefault(name, self.packs / name)
                found.setdefault(digest, (path, pack.Entry(kind, digest, length, None, frame, stored, raw, start)))
            return found

        return self.ask(read)

    def held(self, digests: Iterable[bytes], kind: str | None = None) -> set[bytes]:
        """Those of many blobs that lie in a pack without damage; with a `kind` only under that."""
        found = "SELECT digest, kind FROM blobs JOIN packs ON packs.id = pack WHERE NOT damaged AND digest IN ({})"
        rows = self.ask(lambda db: list(_of_many(db, found, digests)))
        return {digest for digest, (of,) in rows if kind is None or of == kind}

    def has(self, digest: bytes) -> bool:
        """Whether a blob is there, as far as was read."""
        sql = "SELECT 1 FROM blobs JOIN packs ON packs.id = pack WHERE digest = ? AND NOT damaged LIMIT 1"
        return self.ask(lambda db: db.execute(sql, (digest,)).fetchone() is not None, stale=True)

    def subjects(self, records: Iterable[bytes]) -> dict[bytes, bytes]:
        """{record: the job or group that it is about} of those of many records that take part."""
        sql = "SELECT digest, job FROM records WHERE digest IN ({})"
        return self.ask(lambda db: {digest: job for digest, (job,) in _of_many(db, sql, records)})

    def records_of(self, subjects: Iterable[bytes]) -> list[bytes]:
        """Digests of the records about many jobs or groups."""
        sql = "SELECT job, digest FROM records WHERE job IN ({})"
        return self.ask(lambda db: [digest for _, (digest,) in _of_many(db, sql, subjects)])

    def listed(self, jobs: Iterable[bytes]) -> set[bytes]:
        """Those of many jobs that are listed."""
        return self.ask(lambda db: {job for job, _ in _of_many(db, "SELECT id, 1 FROM jobs WHERE id IN ({})", jobs)})

    def holds(self, digest: bytes, own: str | None) -> bool:
        """Whether a blob lies in a sealed pack or in the pack named `own`: then a commit there may omit it.

        Answers from what was read so far: a writer may miss a blob, but must not wait.
        """
        sql = (
            "SELECT 1 FROM blobs JOIN packs ON packs.id = pack WHERE digest = ? AND (sealed OR name = ?) AND NOT damaged LIMIT 1"
        )
        return self.ask(lambda db: db.execute(sql, (digest, own)).fetchone() is not None, stale=True)

    def digests_of_key(self, key: bytes) -> list[bytes]:
        """Blobs whose content has this other name, as far as read."""
        return self.column("SELECT DISTINCT digest FROM keys WHERE key = ?", key, stale=True)

    def open_packs(self) -> list[tuple[str, int, bytes]]:
        """(name, end of its last commit, that commit's hash) of every pack that is neither sealed nor damaged."""
        sql = "SELECT name, size, hash FROM packs WHERE NOT sealed AND NOT damaged ORDER BY name"
        return self.ask(lambda db: db.execute(sql).fetchall())

    def pack_names(self) -> list[str]:
        return self.column("SELECT name FROM packs ORDER BY name")

    def withheld(self) -> list[tuple[bytes, bytes]]:
        """(record, job) that a crash left without something they refer to; such records take no part in any job."""
        return self.ask(lambda db: db.execute("SELECT DISTINCT digest, job FROM withheld ORDER BY digest").fetchall())

    def statistics(self) -> list[tuple[str, int, int]]:
        """(kind, distinct blobs, their raw bytes) over the archive."""
        distinct = "SELECT DISTINCT digest, kind, length FROM blobs"
        sql = f"SELECT kind, count(*), sum(length) FROM ({distinct}) GROUP BY kind ORDER BY kind"
        return self.ask(lambda db: db.execute(sql).fetchall())

    def content(self) -> dict[str, list]:
        """All that the index says of jobs and blobs, without row numbers, so that two indexes of the same packs are equal."""
        name = "(SELECT name FROM packs WHERE packs.id = pack)"
        queries = {"packs": "name, size, hash, synced, sealed, damaged, origin FROM packs", "records": "digest, job FROM records",
                   "blobs": f"digest, {name}, frame, start, stored, raw, length, kind FROM blobs",
                   "keys": f"key, digest, {name} FROM keys", "jobs": "* FROM jobs", "tags": "tag, job, created FROM tags",
                   "earlier": "job, provider_job FROM earlier", "groups": "* FROM groups", "mapped": "* FROM mapped",
                   "members": "* FROM members",
                   "withheld": f"digest, {name}, job FROM withheld"}  # fmt: skip
        return self.ask(
            lambda db: {table: sorted(db.execute(f"SELECT {sql}").fetchall(), key=repr) for table, sql in queries.items()}
        )


_MANY = 500  # values in one question
_PLACES = ("SELECT digest, name, kind, length, frame, stored, raw, start FROM blobs JOIN packs ON packs.id = pack "
           "WHERE digest IN ({}) ORDER BY sealed DESC, name")  # fmt: skip
_ROW = ", ".join(
    f"jobs.{name}" for name in "id created provider backend status kind grp input calibration provider_job open body seal".split()
)


_MEMBER = "grp, author, sequence, first, job, size, mapped, created, status, backend, error, replaces, seal"
_NOT_REPLACED = "NOT EXISTS (SELECT 1 FROM members AS later WHERE later.replaces = members.job AND later.grp = members.grp)"
_IN_ORDER = "ORDER BY author, sequence, first, job"


def _of_many(db: sqlite3.Connection, sql: str, values: Iterable[bytes]) -> Iterator[tuple[bytes, tuple]]:
    """(first column, the others) of all rows that a question about a list of values, of any length, finds."""
    values = iter(values)
    while part := list(islice(values, _MANY)):
        for first, *others in db.execute(sql.format(", ".join("?" * len(part))), part):
            yield first, tuple(others)


def _checked(columns: tuple) -> tuple:
    check, columns = columns[-1], columns[:-1]
    if check != seal(*columns):
        raise Corrupt
    return columns


def _row(*columns) -> Row:
    columns = _checked(columns)
    fields = json.loads(columns[-1])
    fields["created"], fields["tags"], fields["names"] = Timestamp(columns[1]), tuple(fields["tags"]), tuple(fields["names"])
    return Row(**fields)


def _range(prefix: str) -> tuple[bytes, bytes]:
    """The lowest and the highest digest that begin with these hexadecimal digits."""
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
