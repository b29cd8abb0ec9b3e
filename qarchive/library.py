"""What an archive can be asked for: its jobs, one by one and by query, and their blobs."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from . import capture, membership, model, tabular
from .calibration import Calibration
from .errors import Ambiguous, BadInput, NotFound, SameProviderJob
from .index import Query, Row
from .job import Job
from .store import Store
from .values import Timestamp, moment

PAGE = 200
PREFIX_MIN = 4
_ORDERS = ("newest", "oldest")


class Library:
    """A store, and the way into it. One instance serves many threads and survives a fork."""

    def __init__(self, store: Store, on_error: str):
        self._store = store
        self._recorder = capture.Recorder(store, on_error)
        self._recorder.way = Way(self)
        store.on_fork(self._recorder.after_fork)

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def id(self) -> str:
        """32 hexadecimal digits, drawn when the archive was made."""
        return self._store.id

    def jobs(self, *, provider: str | None = None, backend: str | None = None, status: str | None = None, kind: str | None = None,
             tag: str | None = None, group: str | None = None, since: datetime | str | None = None,
             until: datetime | str | None = None, input: str | None = None, calibration: str | None = None,
             name: str | None = None, order: str = "newest", limit: int | None = None) -> "Jobs":  # fmt: skip
        """The jobs that fit, read as they are asked for.

        In the name of the backend, which may have the provider's before it as in listings ("aer:aer_simulator"), `*` stands for
        any text and `?` for one character. `since` and `until` bound the time of creation (an aware datetime, or ISO text, UTC
        unless it says otherwise, or "7d" for so long ago; m, h, d, w); `input` and `calibration` are full digests; `name` is a
        part of a circuit's name, in any case (of one of the first 100 circuits of a job); mock jobs stay out unless
        `kind="mock"`. Raises BadInput.
        """
        if status is not None and status not in model.STATUSES:
            raise BadInput(f"the status {status!r}", "does not exist", f"it is one of {', '.join(model.STATUSES)}")
        if order not in _ORDERS:
            raise BadInput(f"the order {order!r}", "does not exist", f"it is {' or '.join(_ORDERS)}")
        first, beyond = moment_of("since", since), moment_of("until", until)
        if first is not None and beyond is not None and first >= beyond:
            raise BadInput(f"since {first} and until {beyond}", "leave no time between them", "until is the later one")
        if provider is None and backend is not None and ":" in backend:  # which a backend's own name may have
            before, _, after = backend.partition(":")
            provider, backend = (before, after) if before in self._store.index.names("provider") else (None, backend)
        query = Query(provider, backend, status, kind, tag, group, first, beyond, _digest("input", input),
                      _digest("calibration", calibration), name, order == "newest")  # fmt: skip
        return Jobs(self, query, limit)

    def names(self, filter: str) -> list[str]:
        """All values that a filter of `jobs` can have here, in order: of "provider", "backend", "group" or "tag"."""
        self._recorder.settle()
        return self._store.index.names(filter)

    def jobs_like(self, prefix: str, limit: int) -> list[Job]:
        """Jobs whose ids begin with these hexadecimal digits, at most so many, in order of their ids."""
        found = self._store.index.jobs_with_prefix(prefix.lower(), limit) if re.fullmatch(r"[0-9a-fA-F]{1,64}", prefix) else []
        return [self._job(digest) for digest in found]

    def calibrations(self, device: str, limit: int = 100) -> list[Calibration]:
        """The different calibrations with which jobs were sent to a device, the latest first, at most so many.

        `captured_at` is when the first job was made with each.
        """
        self._recorder.settle()
        found = self._store.index.calibrations_on(device, limit)
        return [Calibration("submit", digest.hex(), first.datetime, lambda link: self._store.value(link.digest))
                for digest, first in found]  # fmt: skip

    def job(self, reference: str) -> Job:
        """The job that `reference` names: an id, a unique prefix of 4 or more digits, the provider's own id, "latest", "@2"
        (the second latest), or "group/3" (the third of a group, in order of creation). Raises NotFound, Ambiguous."""
        self._recorder.settle()
        return self._job(self._resolve(reference))

    def blob(self, prefix: str) -> bytes:
        """The canonical bytes of the blob whose digest begins with `prefix`. Raises NotFound, Ambiguous, Damaged."""
        self._recorder.settle()
        found = self._store.index.blobs_with_prefix(prefix.lower(), 10) if re.fullmatch(r"[0-9a-fA-F]{4,64}", prefix) else []
        if not found:
            raise NotFound(f"a blob {prefix}", str(self.path), f"give {PREFIX_MIN} or more hexadecimal digits of a digest")
        if len(found) > 1:
            raise Ambiguous(prefix, [digest.hex() for digest in found])
        return self._store.get(found[0])

    def _repr_html_(self) -> str:
        from . import notebook  # what is not shown needs no drawings

        found = self.jobs()
        return notebook.archive(self.path, self.id, len(found), [job.row for job in found[: notebook.SHOWN + 1]])

    def _job(self, digest: bytes) -> Job:
        return Job(self._store, digest, self._recorder)

    def _resolve(self, reference: str) -> bytes:
        index = self._store.index
        place = 1 if reference == "latest" else int(reference[1:]) if re.fullmatch(r"@[1-9][0-9]{0,8}", reference) else None
        if place is not None:
            rows = index.rows(Query(), place)
            if len(rows) < place:
                raise NotFound(
                    f"job {reference}", str(self.path), f"it holds {len(rows)} jobs" if rows else "it holds no job yet"
                )
            return bytes.fromhex(rows[place - 1].id)
        if re.fullmatch("@0+", reference):
            raise NotFound(f"job {reference}", str(self.path), "they are counted from @1, the latest")
        is_id = re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", reference)
        if is_id:
            found = index.jobs_with_prefix(reference.lower(), 11)
            if len(found) == 1:
                return found[0]
            if found:
                raise Ambiguous(reference, [digest.hex()[:16] for digest in found[:10]])
        found = index.jobs_of_provider(reference)
        if len(found) == 1:
            return found[0]
        if found:
            shown = found[:10]
            origins = [self._job(digest).origin for digest in shown]
            raise SameProviderJob(reference, len(found), [digest.hex()[:16] for digest in shown], origins)
        group, _, number = reference.rpartition("/")
        if group and re.fullmatch(r"[0-9]{1,9}", number):
            members = self._members(group, int(number))
            if 0 < int(number) <= len(members):
                return members[-1]
            if members:
                held = f"{len(members)} jobs, which are" if len(members) > 1 else "one job, which is"
                raise NotFound(f"job {number}", f"the group {group} of {self.path}", f"it holds {held} counted from 1")
        if is_id and index.removed_with_prefix(reference.lower()):
            hint = f"it was removed; `qarchive rm --undo {reference}` lists it again"
            raise NotFound(f"job {reference!r}", str(self.path), hint)
        short = f"; a prefix has {PREFIX_MIN} or more digits" if re.fullmatch(r"[0-9a-fA-F]{1,3}", reference) else ""
        raise NotFound(f"job {reference!r}", str(self.path), f"`qarchive list` shows what there is{short}")

    def _members(self, group: str, number: int) -> list[bytes]:
        """The first jobs of the group of this name, of the archive's own before another's, or else with this label: all of them
        where there are fewer than `number`, or where that is none."""
        index, number = self._store.index, number or -1
        rows = membership.known(self._store, group)
        members = [member.id for member in (index.members(rows[0].id, number) if rows else [])]
        if len(members) < number or not members:
            labelled = index.rows(Query(group=group, newest_first=False), number)
            members = max(members, [row.place[1] for row in labelled], key=len)
        return members


class Jobs:
    """Jobs that fit a query, in order, read a page at a time: iterate, index, `len`, `.pages(n)`, `.to_pandas()`."""

    def __init__(self, library: Library, query: Query, limit: int | None):
        self._library, self._query, self._limit = library, query, limit

    def pages(self, size: int = PAGE) -> Iterator[list[Job]]:
        """Lists of at most `size` jobs. A job that is added meanwhile shows up in none of them or in one."""
        store, recorder = self._library._store, self._library._recorder
        for rows in self.rows(size):
            yield [Job(store, row.place[1], recorder, row) for row in rows]

    def rows(self, size: int = PAGE) -> Iterator[list[Row]]:
        """The same as rows of the index."""
        index = self._library._store.index
        self._library._recorder.settle()
        left = self._limit
        after = None
        while left is None or left > 0:
            rows = index.rows(self._query, size if left is None else min(size, left), after)
            if not rows:
                return
            yield rows
            after = rows[-1].place
            left = None if left is None else left - len(rows)

    def _labels(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """The labels with which jobs were made. Raises NotFound, Damaged."""
        return [self._library._store.value(row.place[1]).get("labels", {}) for row in rows]

    def __iter__(self) -> Iterator[Job]:
        for page in self.pages():
            yield from page

    def __len__(self) -> int:
        self._library._recorder.settle()
        return self._library._store.index.count(self._query, -1 if self._limit is None else self._limit)

    def __getitem__(self, place: int | slice) -> "Job | list[Job]":
        if isinstance(place, slice):
            bounds = place.start, place.stop, place.step
            if place.step == 0 or any(bound is not None and bound < 0 for bound in bounds):
                return list(iter(self))[place]
            most = [limit for limit in (self._limit, place.stop) if limit is not None]
            found = Jobs(self._library, self._query, min(most, default=None))
            return list(islice(found, *bounds))  # of a list's own accord `list(found)` would count them first
        if place < 0:
            place += len(self)
        if place >= 0:
            for i, job in enumerate(self):
                if i == place:
                    return job
        raise IndexError(place)

    def to_pandas(self, params: bool = False) -> Any:
        """One row a job, as a pandas DataFrame, with the columns of `qarchive table`; one more for what was given to
        `archive.context(params=...)`, as dicts, for which a record of each job is read. Raises MissingExtra."""
        return tabular.frame(tabular.pages(self.rows, self._labels if params else None), params)

    def __repr__(self) -> str:
        return f"<{len(self)} jobs of {self._library.path}>"

    def _repr_html_(self) -> str:
        from . import notebook

        return notebook.jobs([job.row for job in self[: notebook.SHOWN + 1]], self._library.path)


class Way:
    """What a wrapped object, or everything under autolog, knows of its archive: how to record, and how to look."""

    def __init__(self, library: Library):
        self._library = library
        recorder = library._recorder
        self.run, self.retry, self.record, self.resume = recorder.run, recorder.retry, recorder.record, recorder.resume
        self.event, self.wanted = recorder.event, recorder.wanted

    def jobs(self, **filters: Any) -> Jobs:
        return self._library.jobs(**filters)

    def job(self, reference: str) -> Job:
        return self._library.job(reference)


def moment_of(name: str, value: datetime | str | None) -> Timestamp | None:
    """The time that a user gives as an aware datetime or as text. Raises BadInput, with the name of the argument."""
    if value is None:
        return None
    try:
        return Timestamp.of(moment(value) if isinstance(value, str) else value)
    except (ValueError, AttributeError, TypeError):
        hint = "give an aware datetime, or text such as 2026-11-21T08:00 or 7d"
        raise BadInput(f"{name}={value!r}", "is no time", hint) from None


def _digest(name: str, value: str | None) -> bytes | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise BadInput(f"{name}={value!r}", "is no digest", "give its 64 hexadecimal digits")
    return bytes.fromhex(value)
