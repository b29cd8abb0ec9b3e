"""What the index answers with: one row a job, a group, a member of a group. And what a listing can ask for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from .tables import Corrupt, checked, pack_values, seal
from .values import Timestamp

JOB = "jobs.id, jobs.created, provider, backend, status, jobs.kind, grp, input, calibration, provider_job, open, body, seal"


class _Columns:
    """The columns that a row was read from."""

    __slots__ = ("_columns",)


@dataclass(frozen=True, slots=True)
class Row(_Columns):
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

    def __getattr__(self, name: str) -> Any:
        """The fields are read when one of them is asked for first: most rows of a listing are passed on unread."""
        if name not in Row.__slots__:
            raise AttributeError(name)
        job, created, provider, backend, status, kind, group, ran, calibration, provider_job, _, body = self._columns
        shots, size, tags, attempts, gaps, names, error = msgpack.unpackb(body)
        Row.__init__(self, job.hex(), Timestamp(created), provider, backend, kind, status, shots, size, group, tuple(tags),
                     ran and ran.hex(), calibration and calibration.hex(), provider_job, attempts, gaps, tuple(names),
                     error)  # fmt: skip
        return getattr(self, name)

    @property
    def place(self) -> tuple[int, bytes]:
        """(time of creation in ns, id in bytes): where it stands in a listing."""
        return self._columns[1], self._columns[0]


_new, _set = object.__new__, _Columns._columns.__set__


def job_row(columns: tuple) -> Row:
    """The row of a job from its columns, as `JOB` names them. Raises Corrupt."""
    row = _new(Row)
    _set(row, checked(columns))
    return row


def job_rows(found: Iterable[tuple]) -> list[Row]:
    """The rows of many jobs, as `job_row`; a call for each part of each of them would take longer than to read them."""
    rows = []
    for columns in found:
        check, columns = columns[-1], columns[:-1]
        if check != crc32(pack_values(columns)):
            raise Corrupt
        row = _new(Row)
        _set(row, columns)
        rows.append(row)
    return rows


def job_columns(fields: Mapping[str, Any]) -> tuple:
    """The columns of a job's row, from what `model.summary` says of it."""
    body = [fields[name] for name in ("shots", "size", "tags", "attempts", "gaps", "names", "error")]
    ran, calibration = fields["input"], fields["calibration"]
    columns = (fields["id"], fields["created"].ns, fields["provider"], fields["backend"], fields["status"], fields["kind"],
               fields["group"], ran and ran.digest, calibration and calibration.digest, fields["provider_job"],
               int(fields["open"]), pack_values(body))  # fmt: skip
    return *columns, seal(columns)


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


def member_columns(place: Any, fields: Mapping[str, Any]) -> tuple:
    """The columns of a member's row, from what its job's record says of its place and `model.summary` of the job."""
    replaces = place.get("replaces")
    columns = (place["group"].digest, place["author"], place["sequence"], place["first"], fields["id"], fields["size"],
               int(place.get("mapped", False)), fields["created"].ns, fields["status"], fields["backend"], fields["error"],
               replaces and replaces.digest)  # fmt: skip
    return *columns, seal(columns)


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
    backends: tuple[str, ...] | None = None  # one of these, to be counted

    @property
    def filters(self) -> dict[str, str | bytes]:
        """{column: its value}, of those that have an index."""
        wanted = {"tags.tag": self.tag, "jobs.provider": self.provider, "jobs.backend": self.backend, "jobs.status": self.status,
                  "jobs.kind": self.kind, "jobs.grp": self.group, "jobs.input": self.input,
                  "jobs.calibration": self.calibration}  # fmt: skip
        return {column: value for column, value in wanted.items() if value is not None}

    def plan(self, rare: str | None) -> tuple[str, str, list, tuple[str, str]]:
        """(tables, tests, their values, the columns that give the order: time of creation, and the id among equal ones).

        `rare` is a filter that few jobs pass, which are then looked at one by one; without one the jobs are read in their order.
        """
        # The unary plus keeps SQLite from choosing another index, which would then have to be sorted.
        tests, values = [], []
        for column, value in self.filters.items():
            tests.append(f"{column} = ?" if rare in (None, column) or column == "tags.tag" else f"+{column} = ?")
            values.append(value)
        if self.backends is not None:
            tests.append("+jobs.backend IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(self.backends))
        if self.kind is None:
            tests.append("+jobs.kind != 'mock'")
        tables, created, job = "jobs", "jobs.created", "jobs.id"
        if self.tag is not None and rare in (None, "tags.tag"):
            tables, created, job = "tags CROSS JOIN jobs ON jobs.id = tags.job", "tags.created", "tags.job"
        elif self.tag is not None:
            tables = "jobs CROSS JOIN tags ON tags.created = jobs.created AND tags.job = jobs.id"
        for test, moment in ((f"{created} >= ?", self.since), (f"{created} < ?", self.until)):
            if moment is not None:
                tests.append(test)
                values.append(moment.ns)
        return tables, " AND ".join(tests), values, (created, job)
