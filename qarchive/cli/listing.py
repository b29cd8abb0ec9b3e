"""The command that lists jobs, and the filters that other commands take as well."""

import json
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

import click

from .. import model
from ..archive import Archive
from ..errors import BadInput
from ..library import Jobs
from ..query import PATTERN
from . import output
from .naming import complete_group
from .reading import Moment, Status, row_json, row_text
from .shell import json_option, opened

_PAGE = 200
_COUNTED = 100_000  # jobs that are counted for people
_SINCE = "Only jobs made at this time or later: 2026-11-21, 2026-11-21T08:00 (UTC), or 7d (ago; m h d w)."
_NAMED = ("provider", "backend", "group", "tag")  # filters by a name that is known here or not


def tag_named(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """A tag, or several, without the # that listings show before each."""
    return tuple(each.removeprefix("#") for each in value) if isinstance(value, tuple) else value and value.removeprefix("#")


_FILTERS = (
    click.option("--provider", help="Only jobs of this provider, such as aer."),
    click.option("--backend", help="Only jobs on the backend of this name; * and ? stand for any text, any character."),
    click.option("--status", type=Status(model.STATUSES), metavar="STATUS",
                 help=f"Only jobs in this state: {', '.join(model.STATUSES)}."),
    click.option("--kind", type=click.Choice(("simulator", "qpu", "local", "mock")), help="Only jobs on backends of this kind."),
    click.option("--tag", help="Only jobs with this tag.", callback=tag_named),
    click.option("--group", help="Only jobs of this group.", shell_complete=complete_group),
    click.option("--name", metavar="TEXT", help="Only jobs with a circuit whose name has this text in it, in any case."),
    click.option("--since", type=Moment(), help=_SINCE),
    click.option("--until", type=Moment(), help="Only jobs made before this time."),
)  # fmt: skip
utc_option = click.option("--utc", is_flag=True, help="Times of day, UTC, also on a terminal, where it is `3 h ago` else.")


def filter_options(command: Callable) -> Callable:
    """The options that say which jobs, as `Archive.jobs` takes them."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def job_table() -> output.Table:
    """For rows of jobs as `row_text` makes them."""
    return output.Table(("ID", "CREATED", "STATUS", "BACKEND", "SHOTS", "CIRCUITS", "NAMES"), right=(4, 5), yielding=(6, 3),
                        dropping=(5, 4, 3), middle=(3,))  # fmt: skip


def clock(utc: bool) -> Callable:
    """How times of a listing are shown."""
    return output.minute if utc or not output.on_terminal() else output.ago


@click.command("list")
@filter_options
@click.option("--order", type=click.Choice(("newest", "oldest")), default="newest", show_default=True, help="What comes first.")
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", default=20, show_default=True, help="At most N jobs; 0 for all."
)
@utc_option
@click.option("--jsonl", is_flag=True, help="Print one JSON document a line for each job (schema qarchive/job/1).")
@json_option("list")
@click.pass_obj
def list_jobs(where: str | None, limit: int, utc: bool, jsonl: bool, as_json: bool, **filters: Any) -> None:
    """List jobs, the newest first.

    Times are UTC, and `3 h ago` on a terminal. The last column holds the circuits' names (three different ones at most), then the
    group in brackets, then the tags. On a terminal that is too narrow, columns are shortened, then left out. What is longer than
    the terminal is shown in $PAGER.

    \b
    Example: qarchive list --status error --since 7d
    """
    if jsonl and as_json:
        raise BadInput("--json and --jsonl", "both say what is printed", "give one of them")
    with opened(where) as archive:
        jobs = archive.jobs(**filters, limit=limit or None)
        if jsonl:
            for page in jobs.pages(_PAGE):
                output.write("\n".join(json.dumps({"schema": "qarchive/job/1", **row_json(job.row)}) for job in page))
        elif as_json:
            rows = [row_json(job.row) for job in jobs]
            output.document("list", jobs=rows, total=_total(archive, filters, limit, len(rows)))
        else:
            _show(archive, jobs, filters, limit, clock(utc))


def _show(archive: Archive, jobs: Jobs, filters: dict[str, Any], limit: int, when: Callable) -> None:
    shown = 0
    table = job_table()

    def texts() -> Iterator[str]:
        nonlocal shown
        for page in jobs.pages(_PAGE):
            shown += len(page)
            yield table.text([row_text(job.row, when) for job in page], status=2)

    output.pages(texts())
    total = _total(archive, filters, limit, shown, _COUNTED)
    if not total:
        filtered = {name: value for name, value in filters.items() if value is not None and name != "order"}
        hint = f" fits{_strange(archive, filtered)}" if filtered else (
            " yet; `qarchive run FILE` adds one, and so does a wrapped backend")  # fmt: skip
        hint = "; whoever exported it left out what a remote holds" if archive.path.is_file() and not filtered else hint
        output.note(f"no job in {archive.path}{hint}")
    elif shown < total:
        more = "more than " if total == _COUNTED else ""
        output.note(f"{shown:,} of {more}{total:,} jobs; --limit 0 shows all")


def _strange(archive: Archive, filters: dict[str, Any]) -> str:
    """What is said of filters whose value nothing here has."""
    for filter, value in filters.items():
        if filter in _NAMED and value not in (names := archive.names(filter)) and not PATTERN.intersection(value):
            near = get_close_matches(value, names, 1)
            return f"; no {filter} is called {value!r}" + (f", did you mean {near[0]!r}?" if near else "")
    return ""


def _total(archive: Archive, filters: dict[str, Any], limit: int, shown: int, most: int | None = None) -> int:
    """How many jobs fit; at most `most` are counted."""
    return shown if not limit or shown < limit else len(archive.jobs(**filters, limit=most))
