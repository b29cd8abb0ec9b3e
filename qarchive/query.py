"""What a listing can ask for, and how the index is asked for it."""

import json
import sqlite3
from dataclasses import dataclass

from .records import plain_name
from .values import Timestamp

NAMED = 100  # circuits of a job by whose names it is found
PATTERN = frozenset("*?")  # what makes a backend's name a pattern
_LETTERS = 200  # of a name, by which it is found
_FEW = 2_000  # jobs that are looked at one by one in a few milliseconds
_FEW_NAMED = 200_000  # found by name, in a few tenths of a second: beyond, jobs in their order fit often enough


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for. `since` and `until` bound `created`; mock jobs stay out unless `kind` asks for them.

    `name` is a part of the name of a circuit, in any case.
    """

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
    name: str | None = None
    newest_first: bool = True
    backends: tuple[str, ...] | None = None  # one of these

    def plan(self, db: sqlite3.Connection, touched: bool = False) -> tuple[str, str, list, tuple[str, str]]:
        """(tables, tests, their values, the columns that give the order: time of creation, and the id among equal ones), by what
        is least to look at. With `touched` the order is to be that in which something was written about the jobs."""
        # The unary plus keeps SQLite from choosing another index, which would then have to be sorted.
        tables, created, job, tests, values = "jobs", "jobs.created", "jobs.id", [], []
        rare = self._rare(db, touched)
        if self.name is not None and rare is None and (found := self._named(db)) is not None:
            rare, tables = "jobs.number", "json_each(?) AS found CROSS JOIN jobs ON jobs.number = found.value"
            values.append(json.dumps(found))
        elif self.name is not None:
            tests.append("instr(jobs.names, ?)")
            values.append(searched(self.name))
        if touched and rare is None:
            rare, created = "jobs.touched", "+jobs.created"
        for column, value in self._filters.items():
            tests.append(f"{column} = ?" if rare in (None, column) or column == "tags.tag" else f"+{column} = ?")
            values.append(value)
        if self.backends is not None:
            tests.append("+jobs.backend IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(self.backends))
        if self.kind is None:
            tests.append("+jobs.kind != 'mock'")
        if self.tag is not None and rare in (None, "tags.tag"):
            tables, created, job = "tags CROSS JOIN jobs ON jobs.id = tags.job", "tags.created", "tags.job"
        elif self.tag is not None:
            tables += " CROSS JOIN tags ON tags.created = jobs.created AND tags.job = jobs.id"
        for test, moment in ((f"{created} >= ?", self.since), (f"{created} < ?", self.until)):
            if moment is not None:
                tests.append(test)
                values.append(moment.ns)
        return tables, " AND ".join(tests), values, (created, job)

    @property
    def _filters(self) -> dict[str, str | bytes]:
        """{column: its value}, of those that have an index in which equal ones are in order of creation."""
        wanted = {"tags.tag": self.tag, "jobs.provider": self.provider, "jobs.backend": self.backend, "jobs.status": self.status,
                  "jobs.kind": self.kind, "jobs.grp": self.group, "jobs.input": self.input,
                  "jobs.calibration": self.calibration}  # fmt: skip
        return {column: value for column, value in wanted.items() if value is not None}

    def _rare(self, db: sqlite3.Connection, touched: bool) -> str | None:
        """Of several filters the one that the fewest jobs pass, where these are few: the others may all be common. None else:
        the jobs are then read in their order."""
        filters, fewest, found = self._filters, _FEW, None
        for column, value in filters.items() if touched or len(filters) + (self.name is not None) > 1 else ():
            table = column.partition(".")[0]
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {column} = ? LIMIT {fewest})"
            number = db.execute(sql, (value,)).fetchone()[0]
            if number < fewest:
                fewest, found = number, column
                if not number:
                    break
        return found

    def _named(self, db: sqlite3.Connection) -> list[int] | None:
        """The numbers of the jobs that the name finds; None where these are many."""
        sql = "SELECT number FROM jobs INDEXED BY jobs_names WHERE names IS NOT NULL AND instr(names, ?) LIMIT ?"
        found = [number for (number,) in db.execute(sql, (searched(self.name or ""), _FEW_NAMED + 1))]
        return found if len(found) <= _FEW_NAMED else None


def searched(name: str) -> str:
    """A circuit's name, or a part of one, as names are searched: on one line, in any case."""
    return plain_name(name).casefold()[:_LETTERS]
