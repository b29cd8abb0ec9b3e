"""The index's tables held against each other, and against jobs that are folded again. What it says of blobs is held against the
packs while these are read (`places`); here it is taken for true.

Nothing of it grows with the archive: rows are compared in passes, or by SQLite.
"""

import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from ..database import BROKEN
from ..intake import Intake
from ..rows import JOB, job_row
from ..tables import INDEXES, TABLES, Corrupt, checked

SAMPLE = 1_000  # jobs that are folded again; in an archive of no more these are all
_AT_ONCE = 500  # of what is no listed job, folded together
_SEALED = {"packs": "name, id, size, hash, synced, boot, sealed, damaged, origin, seal", "groups": "*", "mapped": "*",
           "members": "*"}  # fmt: skip
# What a job or a group has in each table, by a list of them.
_OF = {
    "jobs": (f"{JOB} FROM {{}}jobs AS jobs", "id"),
    "tags": ("tag, job, created FROM {}tags", "job"),
    "earlier": ("job, provider_job FROM {}earlier", "job"),
    "groups": ("* FROM {}groups", "id"),
    "mapped": ("* FROM {}mapped", "grp"),
    "members": ("* FROM {}members", "job"),
}


def wrong_with(index: Path, packs: Path) -> tuple[list[str], list[str]]:
    """(what SQLite finds wrong with the file of an index, else the names of tables that say other than its records do)."""
    try:
        with closing(sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            faults = [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
            return faults, [] if faults else _Tables(db, index, packs).wrong()
    except BROKEN as error:
        return [str(error)], []


class _Tables:
    def __init__(self, db: sqlite3.Connection, index: Path, packs: Path):
        self._db, self._index, self._packs = db, index, packs
        self._wrong: dict[str, None] = {}  # in the order in which they were found

    def wrong(self) -> list[str]:
        """Where the table of jobs is wrong, others are so, too, and are not looked at."""
        for look in (self._checks, self._jobs, self._others, self._sample):
            look()
            if "jobs" in self._wrong:
                return ["jobs"]
        return list(self._wrong)

    def _column(self, sql: str, *values: object) -> list:
        return [value for (value,) in self._db.execute(sql, values)]

    def _checks(self) -> None:
        """Each row against its own check, and the tags of each job against the table of tags."""
        number = total = 0
        try:
            for found in self._db.execute(f"SELECT {JOB} FROM jobs"):
                row = job_row(found)
                if row.tags:
                    created, job = row.place
                    number += len(row.tags)
                    total += sum(hash((tag, created, job)) for tag in row.tags)
        except (Corrupt, ValueError, TypeError):
            self._wrong["jobs"] = None
            return
        for row in self._db.execute("SELECT tag, created, job FROM tags"):
            number -= 1
            total -= hash(row)
        if number or total:
            self._wrong["tags"] = None
        for table, columns in _SEALED.items():
            try:
                for row in self._db.execute(f"SELECT {columns} FROM {table}"):
                    checked(row)
            except Corrupt:
                self._wrong[table] = None

    def _jobs(self) -> None:
        """That each job has a record, and what else records are about is a group, or removed."""
        if self._column(f"SELECT 1 FROM jobs WHERE {_without_records('jobs.id')} LIMIT 1"):
            self._wrong["jobs"] = None
        for subjects in _parts(self._unlisted(), _AT_ONCE):
            self._refold(subjects)

    def _others(self) -> None:
        """That other tables say nothing of what is not there."""
        for table, column in (("groups", "id"), ("mapped", "grp")):
            if self._column(f"SELECT 1 FROM {table} WHERE {_without_records(f'{table}.{column}')} LIMIT 1"):
                self._wrong[table] = None
        for table in ("members", "earlier"):
            if self._column(f"SELECT 1 FROM {table} WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = job) LIMIT 1"):
                self._wrong[table] = None

    def _sample(self) -> None:
        """Jobs from a place on that is another each time: ids are digests, so neighbours are any jobs."""
        start = random.randbytes(32)
        found = self._column("SELECT id FROM jobs WHERE id >= ? ORDER BY id LIMIT ?", start, SAMPLE)
        found += self._column("SELECT id FROM jobs WHERE id < ? ORDER BY id LIMIT ?", start, SAMPLE - len(found))
        for jobs in _parts(found, _AT_ONCE):
            self._refold(jobs)

    def _unlisted(self) -> Iterator[bytes]:
        """What records are about and is no listed job: groups, and what was removed."""
        sql = "SELECT DISTINCT job FROM blobs WHERE job IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = blobs.job)"
        return (job for (job,) in self._db.execute(sql))

    def _refold(self, subjects: list[bytes]) -> None:
        """Make the rows of some jobs and groups again from their records, and compare."""
        with closing(sqlite3.connect(":memory:", uri=True)) as db:
            db.executescript(TABLES + INDEXES)
            db.execute("ATTACH ? AS index_of", (f"{self._index.absolute().as_uri()}?mode=ro",))
            db.execute("CREATE TEMP TABLE asked(id BLOB PRIMARY KEY) WITHOUT ROWID")
            db.executemany("INSERT INTO asked VALUES (?)", zip(subjects))
            db.execute("INSERT INTO packs SELECT * FROM index_of.packs")
            db.execute("INSERT INTO blobs SELECT found.* FROM asked CROSS JOIN index_of.blobs AS found "
                       "ON substr(found.job, 1, 8) = substr(asked.id, 1, 8) AND found.job = asked.id")  # fmt: skip
            try:
                Intake(db, self._packs).refold(subjects)
            except Corrupt:  # its packs say so, or were replaced meanwhile
                return
            for table, (columns, key) in _OF.items():
                sql = f"SELECT {columns} WHERE {key} IN (SELECT id FROM asked)"
                mine, others = (set(db.execute(sql.format(where))) for where in ("index_of.", "main."))
                if mine != others:
                    self._wrong[table] = None
                    return  # the others follow from it


def _without_records(subject: str) -> str:
    """The test whether there is no record about a column's value."""
    return f"NOT EXISTS (SELECT 1 FROM blobs WHERE substr(job, 1, 8) = substr({subject}, 1, 8) AND job = {subject})"


def _parts(found: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    found = iter(found)
    while part := list(islice(found, size)):
        yield part
