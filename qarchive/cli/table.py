"""The command that writes jobs as a table, for programs that analyse tables."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from .. import codec, disk, tabular
from ..archive import Archive
from ..bundles.selection import read_in_order
from ..errors import BadInput
from ..library import Jobs
from ..printable import clean_lines
from ..rows import Row
from . import output
from .listing import filter_options
from .shell import json_option, opened

_STDOUT = "-"
_COLUMNS = f"""Columns: {", ".join(column.name for column in tabular.COLUMNS)}. They are those of `qarchive list --json`, and
more may follow; no name and no type changes within {tabular.SCHEMA}. Parquet has times as nanoseconds in UTC, tags and names as
lists. CSV has both as JSON, times as ISO 8601, and an apostrophe before any text that a spreadsheet might take for a formula,
or that begins with an apostrophe."""


@click.command(epilog=_COLUMNS)
@click.option("-o", "--output", "target", required=True, type=click.Path(allow_dash=True), metavar="FILE",
              help="The file to write: FILE.parquet, FILE.csv or FILE.jsonl; - for stdout.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(tuple(tabular.WRITERS)), help="Default: what FILE ends with.")
@filter_options
@click.option("--params", is_flag=True, help="One column more: what archive.context(params=...) was given, as JSON. Slower.")
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@json_option("table-file")
@click.pass_obj
def table(where: str | None, target: str, form: str | None, params: bool, force: bool, as_json: bool, **filters: Any) -> None:
    """Write jobs as a table: Parquet, CSV or JSON lines.

    One row a job, the newest first: those that fit, or all. DuckDB, pandas and R read it; nothing reads it back into an
    archive. The file is there whole or not at all. Parquet needs pyarrow: pip install 'qarchive[parquet]'.

    \b
    Example: qarchive table -o jobs.parquet --since 30d
    """
    if target == _STDOUT and as_json:
        raise BadInput("-o - and --json", "both go to stdout", "give one of them")
    form = form or _format_of(target)
    if target == _STDOUT and form == "parquet":
        raise BadInput("-o - --format parquet", "is binary, and begins at its end", "name a file with -o")
    path = None if target == _STDOUT else Path(target)
    if path is not None:
        disk.may_write(path, force, "jobs.parquet")
    tabular.check(form)
    with opened(where) as archive, output.Progress("writing", "{:,} jobs".format) as bar:
        jobs = _Counted(archive.jobs(**filters), bar)
        found = tabular.pages(jobs.pages, partial(_labels, archive) if params else None)
        if path is None:
            tabular.WRITERS[form](found, _Stdout(), params)
        else:
            try:
                with disk.replacing(path, shared=True) as fd, open(fd, "wb", closefd=False) as file:
                    tabular.WRITERS[form](found, file, params)
                size = path.stat().st_size
            except OSError as error:
                raise disk.cannot_write(path, error) from error
    if as_json:
        columns = [column.name for column in tabular.columns(params)]
        output.document(
            "table-file", path=str(path), format=form, jobs=jobs.done, bytes=size, columns=columns, table=tabular.SCHEMA
        )
    elif path is not None:
        output.note(f"wrote {output.count(jobs.done, 'job')} to {path}: {output.size(size)}")


def _format_of(target: str) -> str:
    found = Path(target).suffix.lower().removeprefix(".")
    if target == _STDOUT:
        raise BadInput("-o -", "does not say the format", "say --format csv or --format jsonl")
    if found not in tabular.WRITERS:
        raise BadInput(target, "does not say the format", "name it .parquet, .csv or .jsonl, or say --format")
    return found


class _Counted:
    """Jobs a page at a time, of which a bar is told how many were taken."""

    def __init__(self, jobs: Jobs, bar: output.Progress):
        self._jobs, self._bar = jobs, bar
        self.done = 0

    def pages(self, size: int) -> Iterator[list[Row]]:
        total = len(self._jobs) if self._bar.active else 0
        for rows in self._jobs.rows(size):
            yield rows
            self.done += len(rows)
            self._bar(self.done, total)


def _labels(archive: Archive, rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """The labels of jobs, read in the order in which their records lie."""
    found = {
        entry.digest: codec.decode(data).get("labels", {})
        for entry, data in read_in_order(archive._store, [row.place[1] for row in rows])
    }
    return [found[row.place[1]] for row in rows]


class _Stdout:
    """Stdout for bytes; on a terminal nothing in a name is obeyed."""

    def write(self, data: bytes) -> None:
        if output.on_terminal():
            click.echo(clean_lines(data.decode()), nl=False)
        else:
            sys.stdout.buffer.write(data)
