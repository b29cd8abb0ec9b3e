"""The index: where each blob lies and what each job is, in SQLite. Derived from the packs, and safe to delete at any time.

Every query first looks at the packs' sizes and reads what is new. Rows carry a check of their own, since SQLite has none:
a row that fails it makes the whole index be built again, and is never shown.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from . import pack
from .catalog import Catalog
from .intake import Known
from .query import PATTERN, Query
from .rows import JOB, GroupRow, Member, Row, job_row, job_rows
from .tables import AT_DIGEST, AT_DIGESTS, OF_PACK, checked, entry_of, foreign_of, numbers_of, of_many, places
from .values import Timestamp

__all__ = ["GroupRow", "Index", "Member", "Query", "Row"]


class Index(Catalog):
    """What the packs of one folder hold, as answers. One instance serves all threads of a process."""

    def rows(self, query: Query, limit: int, after: tuple[int, bytes] | None = None) -> list[Row]:
        """At most `limit` jobs, in order of creation; `after` is (created in ns, id) of the last one already seen."""
        query = self._resolved(query)
        if query.backends is None or query.name is not None:
            return self._rows(query, limit, after)
        # Each is read in the order of an index.
        each = [replace(query, backend=name, backends=None) for name in query.backends]
        found = [row for one in each for row in self._rows(one, limit, after)]
        found.sort(key=lambda row: row.place, reverse=query.newest_first)
        return found if limit < 0 else found[:limit]

    def _rows(self, query: Query, limit: int, after: tuple[int, bytes] | None) -> list[Row]:
        direction, compare = ("DESC", "<") if query.newest_first else ("ASC", ">")

        def read(db: sqlite3.Connection) -> list[Row]:
            tables, tests, values, (created, job) = query.plan(db)
            if after is not None:
                tests += f" AND ({created}, {job}) {compare} (?, ?)"
                values += after
            order = f"{created} {direction}, {job} {direction}"
            sql = f"SELECT {JOB} FROM {tables} WHERE {tests} ORDER BY {order} LIMIT ?"
            return job_rows(db.execute(sql, (*values, limit)))

        return self.ask(read)

    def count(self, query: Query, limit: int = -1) -> int:
        """How many jobs fit; with a limit, no more than that are counted."""
        query = self._resolved(query)

        def read(db: sqlite3.Connection) -> int:
            tables, tests, values, _ = query.plan(db)
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {tables} WHERE {tests} LIMIT ?)"
            return db.execute(sql, (*values, limit)).fetchone()[0]

        return self.ask(read)

    def _resolved(self, query: Query) -> Query:
        """The same with the names of backends in place of a pattern."""
        if query.backend is None or not PATTERN.intersection(query.backend):
            return query
        return replace(query, backend=None, backends=tuple(self.names("backend", query.backend)))

    def names(self, filter: str, pattern: str = "*") -> list[str]:
        """The providers, backends, groups' labels or tags that fit a pattern, in order; `*` stands for any text, `?` for one
        character."""
        return self.column(_NAMES.format(*_NAMED_IN[filter]), pattern.replace("[", "[[]"))

    def row(self, job: bytes) -> Row | None:
        sql = f"SELECT {JOB} FROM jobs WHERE id = ?"
        return self.ask(lambda db: next((job_row(found) for found in db.execute(sql, (job,))), None))

    def unfinished(self) -> list[bytes]:
        """Ids of the jobs that were sent and have not ended as far as this archive saw, mock jobs too, in order of creation."""
        return self.column("SELECT id FROM jobs WHERE open ORDER BY created, id")

    def all_jobs(self) -> list[bytes]:
        """Ids of all jobs, mock jobs too, in order of creation."""
        return self.column("SELECT id FROM jobs ORDER BY created, id")

    def calibrations_on(self, backend: str, number: int) -> list[tuple[bytes, Timestamp]]:
        """(digest, when the first job was made with it) of the calibrations with which jobs were sent to a backend, the latest
        first, at most so many."""
        sql = ("SELECT calibration, min(created) AS first FROM jobs WHERE backend = ? AND calibration IS NOT NULL "
               "GROUP BY calibration ORDER BY first DESC, calibration LIMIT ?")  # fmt: skip
        return self.ask(lambda db: [(digest, Timestamp(first)) for digest, first in db.execute(sql, (backend, number))])

    def touched_last(self, number: int, query: Query | None = None) -> list[bytes]:
        """Ids of the listed jobs, or of those that fit, that something was written about last, by the clocks of whoever wrote it;
        at most so many."""
        if query is None:
            return self.column("SELECT id FROM jobs ORDER BY touched DESC LIMIT ?", number)
        query = self._resolved(query)

        def read(db: sqlite3.Connection) -> list[bytes]:
            tables, tests, values, _ = query.plan(db, touched=True)
            sql = f"SELECT jobs.id FROM {tables} WHERE {tests} ORDER BY jobs.touched DESC LIMIT ?"
            return [job for (job,) in db.execute(sql, (*values, number))]

        return self.ask(read)

    def conditions(self) -> dict[str, Known]:
        """How far each pack was read, and whether it is sealed or damaged, by its name."""
        return self.ask(lambda db: self._known())

    def written_last(self, number: int) -> list[bytes]:
        """Digests of the records that each pack has last, at most so many of each, in no order."""
        sql = "SELECT digest FROM blobs WHERE id >= ? AND id < ? AND +job IS NOT NULL ORDER BY id DESC LIMIT ?"

        def read(db: sqlite3.Connection) -> list[bytes]:
            packs = [numbers_of(row) for (row,) in db.execute("SELECT id FROM packs")]
            return list({digest for span in packs for (digest,) in db.execute(sql, (*span, number))})

        return self.ask(read)

    # Groups

    def jobs_in(self, group: bytes) -> list[bytes]:
        """Ids of all jobs with a place in a group, in order, those that others have replaced too."""
        return self.column(f"SELECT job FROM members WHERE grp = ? {_IN_ORDER}", group)

    def groups(self, name: str | None = None, stale: bool = False) -> list[GroupRow]:
        """All groups, or those of one name, removed ones too, in order of name, archive and number."""
        where, values = ("", ()) if name is None else ("WHERE name = ?", (name,))
        sql = f"SELECT id, name, archive, number, removed, seal FROM groups {where} ORDER BY name, archive, number"
        found = self.ask(lambda db: [checked(row) for row in db.execute(sql, values)], stale=stale)
        return [GroupRow(*columns[:-1], removed=bool(columns[-1])) for columns in found]

    def members(self, group: bytes, limit: int = -1, after: tuple[str, int, int, bytes] | None = None) -> list[Member]:
        """Jobs of a group in order, without those that others have replaced; `after` is the place of the last one seen."""
        where, values = (" AND (author, sequence, first, job) > (?, ?, ?, ?)", after) if after else ("", ())
        sql = f"SELECT {_MEMBER} FROM members WHERE grp = ? {where} AND {_NOT_REPLACED} {_IN_ORDER} LIMIT ?"
        return self.ask(lambda db: [Member._make(checked(row)) for row in db.execute(sql, (group, *values, limit))])

    def chain(self, group: bytes, author: str, sequence: int, limit: int, after: int = -1) -> list[Member]:
        """The jobs that a map has added, in order, as it added them; `after` is the `first` of the last one seen."""
        sql = (f"SELECT {_MEMBER} FROM members WHERE grp = ? AND author = ? AND sequence = ? AND first > ? AND mapped "
               f"AND replaces IS NULL {_IN_ORDER} LIMIT ?")  # fmt: skip
        values = (group, author, sequence, after, limit)
        return self.ask(lambda db: [Member._make(checked(row)) for row in db.execute(sql, values)])

    def member(self, job: bytes) -> Member | None:
        """The place of a job in its group; None where it has none, or was replaced."""
        sql = f"SELECT {_MEMBER} FROM members WHERE job = ? AND {_NOT_REPLACED}"
        return self.ask(lambda db: next((Member._make(checked(row)) for row in db.execute(sql, (job,))), None))

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
        found = self.ask(lambda db: [checked(row) for row in db.execute(sql, (group, author))])
        return {sequence: circuits for *_, sequence, circuits in found}

    # Ids

    def jobs_with_prefix(self, prefix: str, limit: int) -> list[bytes]:
        """Ids that begin with `prefix`, hexadecimal digits, in order."""
        return self.column("SELECT id FROM jobs WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?", *_range(prefix), limit)

    def removed_with_prefix(self, prefix: str) -> list[bytes]:
        """Ids of what records are about and no listing has, that begin with `prefix`, at most 100 of them."""
        sql = ("SELECT DISTINCT job FROM blobs WHERE job IS NOT NULL AND substr(job, 1, 8) BETWEEN substr(?1, 1, 8) AND "
               "substr(?2, 1, 8) AND job BETWEEN ?1 AND ?2 AND job NOT IN (SELECT id FROM jobs) LIMIT 100")  # fmt: skip
        return self.column(sql, *_range(prefix))

    def jobs_of_provider(self, provider_job: str) -> list[bytes]:
        """Ids of the jobs that a provider knows under this id of its own: of their last attempt, or of an earlier one."""
        sql = "SELECT id FROM jobs WHERE provider_job = ?1 UNION SELECT job FROM earlier WHERE provider_job = ?1 ORDER BY 1"
        return self.column(sql, provider_job)

    def blobs_with_prefix(self, prefix: str, limit: int) -> list[bytes]:
        sql = ("SELECT DISTINCT digest FROM blobs WHERE substr(digest, 1, 8) BETWEEN substr(?1, 1, 8) AND substr(?2, 1, 8) "
               "AND digest BETWEEN ?1 AND ?2 ORDER BY substr(digest, 1, 8), digest LIMIT ?3")  # fmt: skip
        return self.column(sql, *_range(prefix), limit)

    def records(self, job: bytes) -> list[bytes]:
        """Digests of the records about a job."""
        return self.column(_RECORDS, job)

    def records_by_origin(self, job: bytes) -> tuple[list[bytes], frozenset[bytes]]:
        """(digests of the records about a job, those of them that came from other archives)."""

        def read(db):
            found = [digest for (digest,) in db.execute(_RECORDS, (job,))]
            shared = db.execute("SELECT 1 FROM packs WHERE origin IS NOT NULL LIMIT 1").fetchone()
            return found, foreign_of(db, found) if shared else frozenset()

        return self.ask(read)

    def origins(self, digest: bytes) -> list[str | None]:
        """Where copies of a blob came from: None for the archive's own packs, else what a bundle says to be its archive."""
        sql = f"SELECT DISTINCT origin FROM {OF_PACK} WHERE {AT_DIGEST} ORDER BY origin"
        return self.column(sql, digest)

    def all_records(self) -> list[bytes]:
        return self.column("SELECT DISTINCT digest FROM blobs WHERE job IS NOT NULL ORDER BY digest")

    def places(self, digest: bytes) -> list[tuple[Path, pack.Entry]]:
        """Everywhere a blob lies, one of them enough; empty where it is nowhere."""
        return self.ask(lambda db: places(db, self.packs, digest))

    def places_of(self, digests: Iterable[bytes]) -> dict[bytes, tuple[Path, pack.Entry]]:
        """Where each of many blobs lies, one place of each; those that lie nowhere are left out."""

        def read(db):
            found, paths = {}, {}
            for digest, (name, *place) in of_many(db, _PLACES, digests, 8):
                path = paths.get(name) or paths.setdefault(name, self.packs / name)
                found.setdefault(digest, (path, entry_of(digest, *place)))
            return found

        return self.ask(read)

    def held(self, digests: Iterable[bytes], kind: str | None = None) -> set[bytes]:
        """Those of many blobs that lie in a pack without damage; with a `kind` only under that."""
        found = f"SELECT digest, kind FROM {OF_PACK} WHERE {AT_DIGESTS} AND NOT damaged"
        rows = self.ask(lambda db: list(of_many(db, found, digests, 8)))
        return {digest for digest, (of,) in rows if kind is None or of == kind}

    def has(self, digest: bytes) -> bool:
        """Whether a blob is there, as far as was read."""
        sql = f"SELECT 1 FROM {OF_PACK} WHERE {AT_DIGEST} AND NOT damaged LIMIT 1"
        return self.ask(lambda db: db.execute(sql, (digest,)).fetchone() is not None, stale=True)

    def subjects(self, records: Iterable[bytes]) -> dict[bytes, bytes]:
        """{record: the job or group that it is about} of those of many records that take part."""
        sql = f"SELECT digest, job FROM blobs WHERE {AT_DIGESTS} AND job IS NOT NULL"
        return self.ask(lambda db: {digest: job for digest, (job,) in of_many(db, sql, records, 8)})

    def records_of(self, subjects: Iterable[bytes]) -> list[bytes]:
        """Digests of the records about many jobs or groups."""
        sql = "SELECT DISTINCT job, digest FROM blobs WHERE job IS NOT NULL AND substr(job, 1, 8) IN ({})"
        return self.ask(lambda db: [digest for _, (digest,) in of_many(db, sql, subjects, 8)])

    def listed(self, jobs: Iterable[bytes]) -> set[bytes]:
        """Those of many jobs that are listed."""
        return self.ask(lambda db: {job for job, _ in of_many(db, "SELECT id, 1 FROM jobs WHERE id IN ({})", jobs)})

    def holds(self, digest: bytes, own: str | None) -> bool:
        """Whether a blob lies in a sealed pack or in the pack named `own`: then a commit there may omit it.

        Answers from what was read so far: a writer may miss a blob, but must not wait.
        """
        sql = f"SELECT 1 FROM {OF_PACK} WHERE {AT_DIGEST} AND (sealed OR name = ?2) AND NOT damaged LIMIT 1"
        return self.ask(lambda db: db.execute(sql, (digest, own)).fetchone() is not None, stale=True)

    def digests_of_key(self, key: bytes) -> list[bytes]:
        """Blobs whose content has this other name, as far as read."""
        sql = "SELECT DISTINCT digest FROM blobs WHERE substr(key, 1, 8) = substr(?1, 1, 8) AND key = ?1"
        return self.column(sql, key, stale=True)

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

        def read(db: sqlite3.Connection) -> list[tuple[str, int, int]]:
            found = {kind: of for kind, *of in db.execute("SELECT kind, count(*), sum(length) FROM blobs GROUP BY kind")}
            for kind, length, times in db.execute(_SEVERAL):
                found[kind][0] -= times - 1
                found[kind][1] -= (times - 1) * length
            return [(kind, *found[kind]) for kind in sorted(found)]

        return self.ask(read)

    def differences(self, other: "Index") -> list[str]:
        """The names of the tables in which two indexes of the same packs differ, whatever numbers their rows have.

        Rows are not kept: of each table the sum of their hashes is compared, in a pass that needs no memory.
        """

        def sums(index: Index) -> dict[str, tuple[int, int]]:
            return index.ask(lambda db: {table: _sum(db.execute(f"SELECT {sql}")) for table, sql in _CONTENT.items()})

        mine, others = sums(self), sums(other)
        return [table for table in mine if mine[table] != others[table]]

    @property
    def kept(self) -> Path | None:
        """The file behind the answers; None while these come from memory."""
        return None if self._identity is None else self.file

    def contradicted(self, packs: Mapping[str, "Read"]) -> list[str]:
        """The names of the tables that do not fit to what packs without damage were found to hold, by their names.

        What was added to them since may be in the index already.
        """

        def compare(db: sqlite3.Connection) -> list[str]:
            known, wrong = self._known(), {}
            for name, found in packs.items():
                if found.placed is None:
                    wrong["blobs"] = None
                row = known.get(name)
                if row is None or row.size < found.last or row.sealed < found.sealed or (row.origin is not None) != found.foreign:
                    wrong["packs"] = None
                elif (found.sealed or row.size == found.last) and found.upto == found.last:
                    if row.synced != found.synced:
                        wrong["packs"] = None
                    [many] = db.execute("SELECT count(*) FROM blobs WHERE id >= ? AND id < ?", numbers_of(row.id)).fetchone()
                    if found.placed is not None and many != found.placed:
                        wrong["blobs"] = None
            if db.execute("SELECT 1 FROM blobs WHERE id >> 32 NOT IN (SELECT id FROM packs) LIMIT 1").fetchone():
                wrong["blobs"] = None
            if db.execute("SELECT 1 FROM withheld LIMIT 1").fetchone():  # only what is damaged leaves something withheld
                wrong["withheld"] = None
            return list(wrong)

        return self.ask(compare)

    def content(self) -> dict[str, list]:
        """All that the index says of jobs and blobs, without row numbers, so that two indexes of the same packs are equal."""
        tables = _CONTENT | {"records": "DISTINCT digest, job FROM blobs WHERE job IS NOT NULL"}
        return self.ask(lambda db: {table: sorted(db.execute(f"SELECT {sql}"), key=repr) for table, sql in tables.items()})


class Read(NamedTuple):
    """What a pack without damage was found to hold: commits up to byte `last`, which say that it was `synced` up to a byte;
    whether it has a trailer, and begins as a bundle. `placed` is how many blobs, of the commits up to byte `upto`, lie where the
    index says, None where any does not."""

    last: int
    synced: int
    sealed: bool
    foreign: bool
    placed: int | None
    upto: int


# Blobs that lie in several packs. Most do not: their digests are passed over in the order of the index, and never sorted.
_SEVERAL = """
SELECT kind, length, count(*) FROM blobs WHERE substr(digest, 1, 8) IN (
    SELECT (SELECT substr(digest, 1, 8) FROM blobs WHERE id = one)
    FROM (SELECT max(id) AS one FROM blobs GROUP BY substr(digest, 1, 8) HAVING count(*) > 1)
) GROUP BY digest, kind, length HAVING count(*) > 1
"""
# All names are found by as many steps in an index; those that fit are few.
_NAMES = """
WITH RECURSIVE names(name) AS (
    SELECT min({0}) FROM {1} WHERE {0} IS NOT NULL UNION ALL
    SELECT (SELECT min({0}) FROM {1} WHERE {0} > name) FROM names WHERE name IS NOT NULL
) SELECT name FROM names WHERE name IS NOT NULL AND name GLOB ? ORDER BY name
"""
_NAMED_IN = {"provider": ("provider", "jobs"), "backend": ("backend", "jobs"), "group": ("grp", "jobs"), "tag": ("tag", "tags")}
_CONTENT = {
    "packs": "name, size, hash, synced, sealed, origin FROM packs",
    "blobs": f"digest, name, frame, start, stored, raw, length, kind, key, job FROM {OF_PACK}",
    "jobs": f"{JOB}, touched, names FROM jobs",
    "tags": "tag, job, created FROM tags",
    "earlier": "job, provider_job FROM earlier",
    "groups": "* FROM groups",
    "mapped": "* FROM mapped",
    "members": "* FROM members",
    "withheld": "digest, name, job FROM withheld JOIN packs ON packs.id = pack",
}
_RECORDS = "SELECT DISTINCT digest FROM blobs WHERE substr(job, 1, 8) = substr(?1, 1, 8) AND job = ?1 ORDER BY digest"
_PLACES = (f"SELECT digest, name, kind, length, frame, stored, raw, start FROM {OF_PACK} WHERE {AT_DIGESTS} "
           "ORDER BY sealed DESC, name")  # fmt: skip
_MEMBER = "grp, author, sequence, first, job, size, mapped, created, status, backend, error, replaces, seal"
_NOT_REPLACED = "NOT EXISTS (SELECT 1 FROM members AS later WHERE later.replaces = members.job AND later.grp = members.grp)"
_IN_ORDER = "ORDER BY author, sequence, first, job"


def _sum(rows: Iterable[tuple]) -> tuple[int, int]:
    """(number, sum of the hashes) of rows in any order."""
    number = total = 0
    for row in rows:
        number += 1
        total += hash(row)
    return number, total


def _range(prefix: str) -> tuple[bytes, bytes]:
    """The lowest and the highest digest that begin with these hexadecimal digits."""
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
