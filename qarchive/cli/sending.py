"""Commands that send jobs of groups, and that end what is under way: run, retry, cancel, close."""

import logging
import shlex
from collections.abc import Callable
from datetime import datetime

import click

from ..errors import BadInput
from ..groups.group import Group
from ..groups.sending import ACTIVE, FAILED
from ..printable import clean
from . import output
from .groups import NOT_DONE, judge, show_report
from .naming import find, group_argument
from .reading import Moment, Status
from .shell import INTERRUPTED, json_option, opened

_resend = click.option("--resend", is_flag=True, help="Also send what got no answer; it may then run twice.")


@click.command()
@group_argument
@click.option("--sequential", is_flag=True, help="One job after another, each when the one before has ended.")
@click.option("--delay", type=click.FloatRange(min=0), metavar="S", help="With --sequential: wait S seconds between jobs.")
@click.option("--max-parallel", type=click.IntRange(min=1), metavar="N", help="At most N jobs at once.")
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Start no job that may cost more than X in all, in the cloud's unit.",
)
@_resend
@click.option("--no-wait", is_flag=True, help="Send, and do not wait for the ends; `qarchive sync` brings them.")
@json_option("group-run")
@click.pass_context
def run(ctx: click.Context, name: str, sequential: bool, delay: float | None, max_parallel: int | None, max_cost: float | None,
        resend: bool, no_wait: bool, as_json: bool) -> None:  # fmt: skip
    """Send the jobs of a group that were not sent, and wait.

    On what they were prepared for: simulators are made as they were archived, clouds are reached with the credentials that each
    SDK finds by itself. As many at once as clouds take and processors are there. Then the report is printed; exit code 9 where
    not all jobs are done (with --no-wait: are neither done nor under way). Ctrl-C sends nothing more: the same command goes on.

    \b
    Example: qarchive group run cnot --sequential --delay 5
    """
    if delay is not None and not sequential:
        raise BadInput("--delay", "is for jobs one after another", "give it with --sequential")
    if sequential and max_parallel is not None:
        raise BadInput("--sequential and --max-parallel", "both say how many at once", "give one of them")
    unfit = [option for option, given in (("--sequential", sequential), ("--max-cost", max_cost is not None),
                                          ("--resend", resend)) if given]  # fmt: skip
    if no_wait and unfit:
        raise BadInput(f"--no-wait and {unfit[0]}", "do not go together", "leave out one of them")

    def send(group: Group) -> None:
        if no_wait:
            group.launch_async_jobs(max_parallel)
        elif sequential:
            group.run_sequential(delay or 0, max_cost=max_cost, resend=resend)
        else:
            group.run_parallel(max_parallel, max_cost=max_cost, resend=resend)

    _send(ctx, "group-run", name, send, as_json, no_wait)


@click.command()
@group_argument
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this job: its id, or the provider's own. Several times.")
@click.option("--status", type=Status(sorted(FAILED | {"REFUSED"})), metavar="STATUS",
              help=f"Only jobs in this state: {', '.join(sorted(FAILED | {'REFUSED'}))}.")  # fmt: skip
@click.option("--min-shots", type=click.IntRange(min=0), metavar="N", help="Only jobs with N shots or more.")
@click.option("--max-shots", type=click.IntRange(min=0), metavar="N", help="Only jobs with N shots or fewer.")
@click.option("--since", type=Moment(), metavar="T", help="Only jobs made at this time or later: 2026-11-21, or 7d (ago).")
@click.option("--until", type=Moment(), metavar="T", help="Only jobs made before this time.")
@_resend
@click.option("--keep-failed", is_flag=True, help="Send all that failed as new jobs, after the failed ones.")
@json_option("group-retry")
@click.pass_context
def retry(ctx: click.Context, name: str, ids: tuple[str, ...], status: str | None, min_shots: int | None, max_shots: int | None,
          since: datetime | None, until: datetime | None, resend: bool, keep_failed: bool, as_json: bool) -> None:  # fmt: skip
    """Send jobs of a group again that failed.

    All that failed or were refused, or those of them that fit the options. Each gets a further attempt, in its old place, and its
    failed ones are kept in its history. Then the report is printed; exit code 9 where not all jobs are done.

    \b
    Example: qarchive group retry cnot --status ERROR --since 7d
    """
    filters = {"id": list(ids) or None, "status": status, "min_runs": min_shots, "max_runs": max_shots, "start_date": since,
               "end_date": until, "resend": resend or None}  # fmt: skip
    given = {name: value for name, value in filters.items() if value is not None}
    if keep_failed and given:
        raise BadInput("--keep-failed", "is for all jobs that failed", "leave out the options that choose some")
    _send(ctx, "group-retry", name,
          lambda group: group.rerun_failed_parallel(replace_failed_jobs=False) if keep_failed else group.retry(**given),
          as_json)  # fmt: skip


@click.command()
@group_argument
@json_option("group-cancel")
@click.pass_context
def cancel(ctx: click.Context, name: str, as_json: bool) -> None:
    """Cancel the jobs of a group that are under way.

    Prints each job that its cloud was asked to cancel, and its state since. Jobs that were not sent stay so; `qarchive group
    delete` deletes them. Exit code 9 where one could not be cancelled: it has ended meanwhile, or runs on this computer.

    \b
    Example: qarchive group cancel cnot
    """
    with opened(ctx.obj) as archive:
        group = find(archive, name)
        active = len(group.list_active_jobs())
        jobs = [(job.id, job.provider_job, job.status) for job in group.cancel()]
    if as_json:
        shown = [{"id": job, "provider_job": provider_job, "status": status} for job, provider_job, status in jobs]
        output.document("group-cancel", name=group.name, id=group.id, jobs=shown)
    else:
        for job, provider_job, status in jobs:
            output.write(f"{job[:12]}  {output.paint_status(status)}  {clean(provider_job or '')}".rstrip())
        if not active:
            output.note(f"no job of group {group.name} is under way")
    if len(jobs) < active:
        ctx.exit(NOT_DONE)


@click.command()
@group_argument
@json_option("group-close")
@click.pass_obj
def close(where: str | None, name: str, as_json: bool) -> None:
    """Close the batches and sessions of a group.

    Those of Pasqal's and IBM's in which its jobs were sent: no more jobs are taken by them, and what is under way runs to its
    end. Prints their ids. One that is closed already stays so.

    \b
    Example: qarchive group close vqe
    """
    with opened(where) as archive:
        group = find(archive, name)
        closed = group.close()
    if as_json:
        output.document("group-close", name=group.name, id=group.id, closed=closed)
        return
    for batch in closed:
        output.write(f"{clean(batch)}  closed")
    if not closed:
        output.note(f"no batch or session of group {group.name} was closed")


def _send(
    ctx: click.Context, schema: str, name: str, send: Callable[[Group], None], as_json: bool, no_wait: bool = False
) -> None:
    """Send jobs, and print the report. Interrupted, it says what is under way and how to go on."""
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)  # what it would print is in the jobs' errors
    with opened(ctx.obj, on_error="raise") as archive:
        group = find(archive, name)
        try:
            send(group)
        except KeyboardInterrupt:
            numbers = group.progress()
            done, open_ = numbers["Finished"][1]["successful"], numbers["Unfinished"][1]
            how = f"{done:,} done, {output.count(open_['sent'], 'job')} under way, {open_['not sent']:,} not sent"
            output.note(f"interrupted: {how}; `qarchive group run {shlex.quote(group.name)}` goes on")
            ctx.exit(INTERRUPTED)
        found = group.report()
    show_report(schema, found, as_json)
    judge(ctx, found, {"DONE"} | (ACTIVE if no_wait else set()))
