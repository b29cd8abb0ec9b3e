"""Commands that make pages for people who would rather look: report, serve."""

import sys
from pathlib import Path
from typing import Any

import click

from .. import disk
from ..archive import Archive
from ..bundles import choosing
from ..errors import BadInput, NotFound
from ..job import Job
from . import output
from .listing import filter_options
from .naming import complete_reference
from .shell import json_option, opened

_MOST = 2_000  # jobs of a page
_STDOUT = "-"
_PORT = 8642


@click.command()
@click.argument("references", nargs=-1, metavar="[REF...]", shell_complete=complete_reference)
@click.option("-o", "--output", "target", type=click.Path(allow_dash=True), metavar="FILE",
              help="The page to write; - for stdout. Default: stdout, where it is no terminal.")  # fmt: skip
@filter_options
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@json_option("report")
@click.pass_obj
def report(
    where: str | None, references: tuple[str, ...], target: str | None, force: bool, as_json: bool, **filters: Any
) -> None:
    """Write a page about jobs that any browser shows.

    REF... are jobs, or groups by their names; the options choose more jobs, or jobs without any REF: those for which all of them
    hold. One HTML file with all figures in it, and their data beside them, that needs neither a network nor JavaScript. Of one
    job it says all that the archive holds; of several jobs also how their devices drifted. Exit code 5 where something is
    damaged: the page says what.

    \b
    Example: qarchive report latest -o page.html
    """
    query = {name: value for name, value in filters.items() if value is not None}
    if not references and not query:
        raise BadInput("what to report", "is not said", "name jobs or groups, or give an option such as --since 7d")
    if target is None and (output.on_terminal() or as_json):
        raise BadInput("the page", "has nowhere to go", "name a file: -o page.html")
    if target == _STDOUT and as_json:
        raise BadInput("-o - and --json", "both go to stdout", "give one of them")
    path = None if target in (None, _STDOUT) else Path(target)
    if path is not None:
        disk.may_write(path, force, "page.html")
    from ..report.overview import JOBS
    from ..report.overview import report as report_of

    with opened(where) as archive:
        jobs, title = _chosen(archive, references, query)
        if len(jobs) > _MOST:
            output.note(f"warning: the page has the first {_MOST:,} jobs; there are more")
            jobs = jobs[:_MOST]
        page, read = report_of(archive, jobs, title)
    content = page.encode()
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    else:
        try:
            disk.replace(path, content, shared=True)
        except OSError as error:
            raise disk.cannot_write(path, error) from error
    whole = min(len(jobs), JOBS)
    if as_json:
        output.document("report", path=str(path), bytes=len(content), jobs=[job.id for job in jobs], whole=whole,
                        problems=[str(problem) for problem in read.problems])  # fmt: skip
    elif path is not None:
        some = f", the first {whole} of them in full" if whole < len(jobs) else ""
        output.note(f"wrote {output.count(len(jobs), 'job')} to {path}: {output.size(len(content))}{some}")
    if read.problems:
        raise read.problems[0]  # what can be read is in the page; what cannot be decides the exit code


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", default=_PORT, show_default=True, help="0 for a free one.")
@json_option("serve")
@click.pass_obj
def serve(where: str | None, port: int, as_json: bool) -> None:
    """Show the archive in a browser, until Ctrl-C.

    The pages of `qarchive report`, live over all jobs: search, filters, groups, comparisons, calibrations. Prints the address.
    It is open to this computer alone, on Linux to your account alone, elsewhere to all accounts; nothing can be changed there.
    New jobs show up when a page is loaded again.

    \b
    Example: qarchive serve --port 8642
    """
    from ..serving.server import Server

    with opened(where) as archive:
        server = Server(archive, port)
        if as_json:
            output.document("serve", url=server.url, path=str(archive.path))
        else:
            output.write(server.url)
        sys.stdout.flush()
        server.run()


def _chosen(archive: Archive, references: tuple[str, ...], query: dict[str, Any]) -> tuple[list[Job], str | None]:
    """Jobs, one more than a page can have where there are more, and what they have in common. Raises NotFound, Ambiguous."""
    found, groups = choosing.chosen(archive, references, {}) if references else ([], [])
    jobs = {job: archive.job(job.hex()) for job in found[: _MOST + 1]}
    if query:
        fitting = {bytes.fromhex(job.id): job for job in archive.jobs(**query, limit=_MOST + 1)}
        if not fitting:
            said = ", ".join(f"{name} {value}" for name, value in query.items())
            raise NotFound(f"a job with {said}", str(archive.path), "`qarchive list` shows what there is")
        jobs |= fitting
    listed = [job for job in jobs.values() if job.row is not None]
    if not listed:
        raise NotFound(f"a job of {references[0]}", str(archive.path), "`qarchive list` shows what there is")
    title = next((group.name for group in archive.groups() if len(references) == 1 and not query and groups
                  and group.id == groups[0].hex()), query.get("group"))  # fmt: skip
    return listed, title
