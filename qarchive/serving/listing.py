"""Jobs a page at a time, whatever there are: by filters that the index knows, from a place in the order on; and a search."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..archive import Archive
from ..errors import BadInput
from ..index import Query, Row
from ..library import PREFIX_MIN, moment_of

PAGE = 50
COUNTED = 1_000  # jobs that are counted at most: with several filters ten times as many take a second
LATEST = 100  # jobs of a backend among which one with a calibration is looked for
FILTERS = ("provider", "backend", "status", "kind", "tag", "group", "name", "since", "until")

Place = tuple[int, bytes]


@dataclass(frozen=True)
class Page:
    """Some jobs in order, the newest first; `after` and `before` are the places from which the next and the last page go on, each
    None where there is none."""

    rows: list[Row]
    after: str | None
    before: str | None


@dataclass(frozen=True)
class Found:
    """What a search has found: at most a page of jobs, the newest first; whether there are more; and the filters, by their
    names, of which the text is a value."""

    rows: list[Row]
    more: bool
    exact: bool  # by its id alone
    filters: list[str]


@dataclass(frozen=True)
class On:
    """What the index knows of a backend at a glance. `latest` is its latest job, `calibrated` the latest one with a calibration
    among its latest 100, None where there is none; `more` says whether it has more jobs than these."""

    name: str
    counted: str
    latest: Row | None
    calibrated: Row | None
    more: bool

    @property
    def provider(self) -> str:
        return self.latest.provider if self.latest else ""

    @property
    def kind(self) -> str:
        return self.latest.kind if self.latest else ""


def on(archive: Archive, backend: str) -> On:
    """Looks at no more than some of its jobs, however many there are."""
    index, query = archive._store.index, Query(backend=backend)
    rows = index.rows(query, LATEST + 1)
    more, rows = len(rows) > LATEST, rows[:LATEST]
    number = index.count(query, COUNTED + 1) if more else len(rows)
    counted = f"more than {COUNTED:,}" if number > COUNTED else f"{number:,}"
    return On(backend, counted, rows[0] if rows else None, next((row for row in rows if row.calibration), None), more)


def query_of(archive: Archive, filters: Mapping[str, str]) -> Query:
    """Raises BadInput for a status or a date that is none."""
    for name in ("since", "until"):
        try:
            moment_of(name, filters.get(name))
        except BadInput:
            raise BadInput(f"the date {filters[name]!r}", "is none", "give one such as 2026-11-21") from None
    return archive.jobs(**filters)._query


def page(archive: Archive, query: Query, after: str | None, before: str | None) -> Page:
    """The jobs that come after a place, or those that come before one. Raises BadInput for what is no place."""
    index = archive._store.index
    if before is not None:
        rows = index.rows(replace(query, newest_first=False), PAGE + 1, _place(before))
        more, rows = len(rows) > PAGE, rows[:PAGE][::-1]
        return Page(rows, _text(rows[-1]) if rows else None, _text(rows[0]) if more else None)
    rows = index.rows(query, PAGE + 1, None if after is None else _place(after))
    more, rows = len(rows) > PAGE, rows[:PAGE]
    return Page(rows, _text(rows[-1]) if more else None, _text(rows[0]) if after is not None and rows else None)


def counted(archive: Archive, query: Query, page: Page) -> str:
    """How many jobs fit, or that they are more than 1,000."""
    whole = page.after is None and page.before is None
    number = len(page.rows) if whole else archive._store.index.count(query, COUNTED + 1)
    return f"more than {COUNTED:,} jobs" if number > COUNTED else f"{number:,} job{'' if number == 1 else 's'}"


def search(archive: Archive, text: str, filters: Mapping[str, str]) -> Found:
    """Jobs that a text means: by their id or the beginning of it, their provider's own id, a tag, a group, a backend, or a part
    of a circuit's name; all but the first two among the jobs that fit the filters."""
    index = archive._store.index
    ids = index.jobs_of_provider(text)
    if re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", text):
        ids = [*index.jobs_with_prefix(text.lower(), PAGE), *ids]
    rows = {job: row for job in dict.fromkeys(ids) if (row := index.row(job)) is not None}
    by_id, exact = len(rows), []
    for name in ("tag", "group", "backend", "name"):
        if name not in filters:
            found = index.rows(query_of(archive, {**filters, name: text}), PAGE + 1)
            rows |= {row.place[1]: row for row in found}
            exact += [name] if found else []
    shown = sorted(rows.values(), key=lambda row: row.place, reverse=True)
    return Found(shown[:PAGE], len(shown) > PAGE, len(shown) == by_id == 1, exact)


def _text(row: Row) -> str:
    created, job = row.place
    return f"{created}-{job.hex()}"


def _place(text: str) -> Place:
    match = re.fullmatch(r"(-?\d{1,19})-([0-9a-f]{64})", text)
    if match is None or abs(int(match[1])) >= 1 << 63:
        raise BadInput(f"the place {text!r}", "is none", "begin at the first page")
    return int(match[1]), bytes.fromhex(match[2])
