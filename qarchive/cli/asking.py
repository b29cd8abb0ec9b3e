"""Commands that ask clouds about jobs: sync, fetch, recover. Nothing is ever sent to run by them."""

from datetime import datetime
from pathlib import Path

import click

from ..clouds import Report
from ..errors import BadInput, NotAnswered
from ..index import Row
from ..printable import clean
from . import output
from .reading import Moment
from .shell import json_option, opened

_SHOWN = 10  # jobs of a kind that are named


@click.command()
@json_option("sync")
@click.pass_obj
def sync(where: str | None, as_json: bool) -> None:
    """Ask clouds about unfinished jobs and keep what is new.

    Results and errors of jobs that ended while nobody looked, with the calibration of their run. Credentials are those that
    each SDK finds by itself. Local jobs whose process was killed become UNKNOWN. Nothing is sent to run; safe in cron. Exit
    code 9 where a job could not be asked about.

    \b
    Example: qarchive sync
    """
    with opened(where) as archive:
        report = archive.sync()
    _show("sync", report, as_json)


@click.command()
@json_option("recover")
@click.pass_obj
def recover(where: str | None, as_json: bool) -> None:
    """Look for jobs whose sending got no answer.

    A job that is SENDING was sent when the connection or the process broke: it may run, and be paid for, or not. Its cloud is
    asked for a job that it made since with the same input; nothing is sent again.

    \b
    Example: qarchive recover
    """
    with opened(where) as archive:
        report = archive.recover()
    _show("recover", report, as_json)


@click.command()
@click.argument("source", required=False)
@click.argument("job_id", required=False)
@click.option("--from", "remote", metavar="REMOTE", help="Take one job, JOB, from a remote, and not the rest.")
@click.option("--all", "everything", is_flag=True, help="All jobs that the cloud still knows.")
@click.option(
    "--since", type=Moment(), help="With --all: only jobs made at this time or later: 2026-11-21, or 7d (ago; m h d w)."
)
@json_option("fetch")
@click.pass_obj
def fetch(where: str | None, source: str | None, job_id: str | None, remote: str | None, everything: bool,
          since: datetime | None, as_json: bool) -> None:  # fmt: skip
    """Keep jobs that ran without the archive.

    SOURCE is the name of a cloud, such as ibm, and JOB_ID its own id of the job; or a file in which an SDK keeps jobs, such as
    a JobGroup of Perceval's (.jgrp, .egrp), of which all are kept, without the tokens. What is not known is a gap of the job.
    An archive is made where there is none yet.

    With --from it is one job of a remote, `qarchive fetch JOB --from REMOTE`: its id, or a beginning of it.

    \b
    Example: qarchive fetch ibm --all --since 7d
    """
    if source is None:
        raise BadInput("what to fetch", "is not said", "give a cloud and a job's id there, a file, or JOB --from REMOTE")
    if remote is not None:
        if job_id is not None or everything or since is not None:
            raise BadInput("--from", "takes one job", "say `qarchive fetch JOB --from REMOTE`, or `qarchive pull` for all")
        with opened(where, create=True) as archive:
            rows = [archive.fetch_from(remote, source).row]
        _show_fetched(rows, as_json, "")
        return
    if Path(source).exists():
        _fetch_file(where, Path(source), job_id, everything, since, as_json)
        return
    if everything == (job_id is not None):
        reason = "both say which jobs" if everything else "are both missing"
        raise BadInput("JOB_ID and --all", reason, "give one of them")
    if since is not None and not everything:
        raise BadInput("--since", "is for many jobs", "give it with --all")
    with opened(where, create=True) as archive:
        found = archive.fetch(source, since=since) if everything else [archive.fetch(source, job_id)]
        rows = [job.row for job in found]
    _show_fetched(rows, as_json, "no job was made since then" if since else f"{source} knows no job")


def _fetch_file(
    where: str | None, path: Path, job_id: str | None, everything: bool, since: datetime | None, as_json: bool
) -> None:
    if job_id is not None or everything or since is not None:
        raise BadInput(str(path), "is a file, and all jobs in it are kept", "give nothing beside it")
    with opened(where, create=True) as archive:
        rows = [job.row for job in archive.fetch(path)]
    _show_fetched(rows, as_json, f"{path} holds no job")


def _show_fetched(rows: list[Row], as_json: bool, none: str) -> None:
    if as_json:
        shown = ("id", "provider_job", "status", "gaps")
        output.document("fetch", jobs=[{name: getattr(row, name) for name in shown} for row in rows])
        return
    for row in rows:
        gaps = f"  {output.count(row.gaps, 'gap')}" if row.gaps else ""
        output.write(f"{row.id[:12]}  {output.paint_status(row.status)}  {clean(row.provider_job or '')}{gaps}")
    if not rows:
        output.note(none)


def _show(name: str, report: Report, as_json: bool) -> None:
    """Print a report. Raises NotAnswered where something could not be asked."""
    if as_json:
        output.document(name, **vars(report))
    else:
        for verb, jobs in (("ended, and kept", report.collected), ("waiting", report.waiting), ("UNKNOWN", report.lost),
                           ("got no answer when it was sent; `qarchive recover` looks for it" if name == "sync" else
                            "not found", report.unanswered)):  # fmt: skip
            for job in jobs[:_SHOWN]:
                output.write(f"{job[:12]}  {verb}")
            if len(jobs) > _SHOWN:
                output.write(f"{len(jobs) - _SHOWN:,} more: {verb}")
        for job, problem in list(report.problems.items())[:_SHOWN]:
            output.note(f"{job[:12]}: {problem}")
        if not any(vars(report).values()):
            output.note("no job is unfinished" if name == "sync" else "no sending is without an answer")
    if report.problems:
        raise NotAnswered(len(report.problems), next(iter(report.problems.values())))
