"""What the index answers with: one row a job, a group, a member of a group."""

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
