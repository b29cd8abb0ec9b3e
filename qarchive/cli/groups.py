"""Commands that look at groups: list, show, status, report; and delete."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from itertools import islice
from typing import Any

import click

from .. import model
from ..errors import BadInput, NotAnswered
from ..groups.group import Group
from ..groups.reporting import Report
from ..groups.sending import ACTIVE, FAILED, UNSENT
from ..json_forms import to_json
from ..printable import clean, clean_lines
from ..values import Timestamp
from . import output
from .listing import clock, utc_option
from .naming import circuits, complete_group, find, group_argument, span
from .reading import Moment, Status, row_json, row_text
from .shell import Commands, Later, json_option, opened

NOT_DONE = 9  # the exit code where something is unfinished or has failed
_PAGE = 200
_limit = click.option("--limit", type=click.IntRange(min=0), metavar="N", default=20, show_default=True,
                      help="At most N of them; 0 for all.")  # fmt: skip


@click.group(cls=Commands, invoke_without_command=True)
@json_option("group")
@click.pass_context
def group(ctx: click.Context, as_json: bool) -> None:
    """Look at groups of jobs, run them, and delete them.

    A group holds jobs that one script prepares, another runs, and a third analyses. NAME is a group's name, or 4 or more digits
    of its id where two groups have one name.

    \b
    Example: qarchive group run cnot
    """
    if ctx.invoked_subcommand is None:
        if as_json:
            output.document("group", commands=group.short_helps())
        else:
            click.echo(ctx.get_help())


@click.command("list")
@_limit
@utc_option
@json_option("group-list")
@click.pass_obj
def list_groups(where: str | None, limit: int, utc: bool, as_json: bool) -> None:
    """List groups, the newest first.

    How many jobs and circuits each has, how far they are, when the first job was added, and on which backends they run.
    Where two groups have one name, ids are shown, and the archives in which they were made.

    \b
    Example: qarchive group list
    """
    with opened(where) as archive:
        created = [(group.created, group) for group in archive.groups()]
        created.sort(key=lambda each: (each[0] is not None, each[0]), reverse=True)  # those without a job come last
        shown = [(moment, group.report(), group.archive) for moment, group in created[: limit or None]]
        path, here = archive.path, archive.id
    if as_json:
        found = [{"name": report.name, "id": report.id, "archive": made_in, "created": moment and str(Timestamp.of(moment)),
                  "jobs": report.jobs, "circuits": report.circuits, "statuses": report.statuses, "backends": _backends(report)}
                 for moment, report, made_in in shown]  # fmt: skip
        output.document("group-list", groups=found, total=len(created))
        return
    if not created:
        output.note(f'no group in {path} yet; `archive.group("NAME")` makes one in Python')
        return
    double = len({group.name for _, group in created}) < len(created)
    before = ("ID", "MADE IN") if double else ()
    places = range(len(before), len(before) + 6)
    table = output.Table((*before, "NAME", "JOBS", "CIRCUITS", "STATE", "CREATED", "BACKENDS"),
                         right=(places[1], places[2]), yielding=(places[5], places[0]),
                         dropping=(places[5], places[4], places[2]))  # fmt: skip
    rows, when = [], clock(utc)
    for moment, report, made_in in shown:
        told = (report.id[:12], "here" if made_in == here else f"archive {made_in[:8]}") if double else ()
        rows.append((*told, clean(report.name), f"{report.jobs:,}", f"{report.circuits:,}", _state(report),
                     when(Timestamp.of(moment)) if moment else "-",
                     clean(", ".join(_backends(report))) or "-"))  # fmt: skip
    table.write(rows)
    if len(shown) < len(created):
        output.note(f"{len(shown):,} of {len(created):,} groups; --limit 0 shows all")


@click.command()
@group_argument
@_limit
@click.option("--status", type=Status(model.STATUSES), metavar="STATUS",
              help=f"Only jobs in this state: {', '.join(model.STATUSES)}.")  # fmt: skip
@json_option("group-show")
@click.pass_obj
def show(where: str | None, name: str, limit: int, status: str | None, as_json: bool) -> None:
    """Show the jobs of a group, in its order.

    As `qarchive list` shows jobs, with the circuits that each of them has: NAME's circuits are counted from 0 over all its jobs,
    as `group.result().get_counts(7)` counts them. `qarchive show NAME/3` shows all about its third job.

    \b
    Example: qarchive group show cnot --status ERROR
    """
    with opened(where) as archive:
        group = find(archive, name)
        report = group.report()
        found = _jobs(group, None if status is None else {status})
        rows = ((job.row, first, last) for job, _, first, last in islice(found, limit or None))
        total = report.jobs if status is None else report.statuses.get(status, 0)
        if as_json:
            jobs = [row_json(row) | {"circuits": [first, last]} for row, first, last in rows]
            output.document("group-show", name=group.name, id=group.id, jobs=jobs, total=total)
            return
        shown = 0
        table = output.Table(("ID", "CREATED", "STATUS", "BACKEND", "SHOTS", "CIRCUITS", "NAMES"), right=(4, 5), yielding=(6, 3))
        while page := [_cells(*each) for each in islice(rows, _PAGE)]:
            table.write(page, status=2)
            shown += len(page)
        if not total:
            output.note(f"no job in group {group.name}" + (" yet" if status is None else f" is {status}"))
        elif shown < total:
            output.note(f"{shown:,} of {total:,} jobs; --limit 0 shows all")


@click.command()
@group_argument
@click.option("--now", is_flag=True, help="Ask clouds first about the jobs that are under way.")
@json_option("group-status")
@click.pass_context
def status(ctx: click.Context, name: str, now: bool, as_json: bool) -> None:
    """Print how many jobs of a group are done.

    Numbers of jobs, in the words of Perceval's JobGroup: successful, unsuccessful, sent (and not ended), not sent. Exit code 0
    where all are done, 9 where something is unfinished or has failed. Nothing is asked of clouds without --now.

    \b
    Example: qarchive group status cnot --now
    """
    with opened(ctx.obj) as archive:
        group = find(archive, name)
        problems = group.update().problems if now else {}
        report, numbers = group.report(), group.progress()
    ended, open_ = numbers["Finished"][1], numbers["Unfinished"][1]
    counted = {"jobs": numbers["Total"], **ended, "sent": open_["sent"], "not_sent": open_["not sent"]}
    if as_json:
        output.document("group-status", name=report.name, id=report.id, **counted, statuses=report.statuses, problems=problems)
    else:
        refused = report.statuses.get("REFUSED", 0)
        shown = {name.replace("_", " "): f"{number:,}" for name, number in counted.items()}
        shown["not sent"] += f" ({refused:,} refused)" if refused else ""
        output.pairs([("group", clean(report.name)), *shown.items()])
    if problems:
        raise NotAnswered(len(problems), next(iter(problems.values())))
    judge(ctx, report)


@click.command()
@group_argument
@click.option("--detailed", is_flag=True, help="Also each job that failed or was refused, with its error in full.")
@json_option("group-report")
@click.pass_obj
def report(where: str | None, name: str, detailed: bool, as_json: bool) -> None:
    """Print how a group stands, by its circuits.

    One line for all circuits next to each other that stand alike, such as `circuits 200-299: refused, no credit left`.

    \b
    Example: qarchive group report cnot --detailed
    """
    with opened(where) as archive:
        group = find(archive, name)
        failed = [(job, number, first, last, job.error or {})
                  for job, number, first, last in _jobs(group, FAILED | {"REFUSED"})]  # fmt: skip
        found = group.report()
    if as_json:
        failures = [{"job": job.id, "circuits": [first, last], "status": job.status, "error": to_json(error)}
                    for job, _, first, last, error in failed] if detailed else None  # fmt: skip
        show_report("group-report", found, as_json=True, **({"failures": failures} if detailed else {}))
        return
    show_report("group-report", found, as_json=False)
    for job, number, first, last, error in failed if detailed else ():
        heading = output.heading(f"job {clean(found.name)}/{number}")
        output.write(f"\n{heading}, {job.id[:12]}, {circuits(first, last)}: {output.paint_status(job.status)}")
        text = ": ".join(filter(None, (str(error.get("type", "")), str(error.get("message", ""))))) or "no reason is known"
        output.write("\n".join(f"  {line}" for line in clean_lines(text).splitlines()))


@click.command()
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_group)
@click.option("--before", type=Moment(), metavar="T", help="All whose first job was added before: 2026-11-21, or 30d (ago).")
@click.option("--all", "everything", is_flag=True, help="All groups.")
@click.option("--jobs", is_flag=True, help="Delete their executed jobs, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option("group-delete")
@click.pass_obj
def delete(where: str | None, names: tuple[str, ...], before: datetime | None, everything: bool, jobs: bool, yes: bool,
           as_json: bool) -> None:  # fmt: skip
    """Delete groups, and their jobs that were not sent.

    The groups NAME..., or all, or those that are older than --before. Executed jobs stay in the archive unless --jobs is given.
    Says what it would delete and asks; where nobody can be asked, --yes is needed. A group with jobs under way is not deleted.

    \b
    Example: qarchive group delete cnot --yes
    """
    if sum((bool(names), before is not None, everything)) != 1:
        missing = not names and before is None and not everything
        raise BadInput("NAME, --before and --all", "are all missing" if missing else "exclude each other", "give one of them")
    with opened(where) as archive:
        chosen = list({group.id: group for group in _chosen(archive, names, before)}.values())
        deleted: list[dict[str, Any]] = []
        for group in chosen:  # before anything is deleted
            if group.report().statuses.keys() & ACTIVE:
                hint = f"wait for them, or `qarchive group cancel {shlex.quote(group.name)}`"
                raise BadInput(f"the group {group.name}", "has jobs under way, and nothing is deleted", hint)
        if not chosen:
            output.note("no group is so old" if before is not None else f"no group in {archive.path}")
        elif yes or _agreed(chosen, jobs):
            for group in chosen:
                deleted.append({"name": group.name, "id": group.id, "jobs": group.delete(jobs)})
                if not as_json:
                    output.write(f"{clean(group.name)}  deleted, with {output.count(deleted[-1]['jobs'], 'job')}")
            if not as_json:
                output.note("what was deleted stays on the disk until `qarchive gc`")
        else:
            output.note("nothing is deleted")
    if as_json:
        output.document("group-delete", groups=deleted)


def show_report(schema: str, found: Report, as_json: bool, **more: Any) -> None:
    """Print a report."""
    if as_json:
        output.document(schema, **asdict(found) | {"stretches": [asdict(each) for each in found.stretches]}, **more)
    else:
        output.write(clean_lines(str(found)))


def judge(ctx: click.Context, found: Report, accepted: Iterable[str] = ("DONE",)) -> None:
    """End with 9 unless all jobs have one of the accepted statuses."""
    if not found.statuses.keys() <= set(accepted):
        ctx.exit(NOT_DONE)


def _jobs(group: Group, statuses: Iterable[str] | None) -> Any:
    """(job, its number in the group, its first circuit, its last) of the jobs with these statuses, in order."""
    first = 0
    for number, (job, member) in enumerate(zip(group, group.members()), 1):
        if statuses is None or member.status in statuses:
            yield job, number, first, first + member.size - 1
        first += member.size


def _cells(row: Any, first: int, last: int) -> tuple[str, ...]:
    cells = row_text(replace(row, group=None))
    return (*cells[:5], span(first, last), *cells[6:])


def _backends(report: Report) -> list[str]:
    return list(dict.fromkeys(stretch.backend for stretch in report.stretches))


def _state(report: Report) -> str:
    """`3 done, 1 failed, 2 not sent`."""
    words = {"done": {"DONE"}, "under way": ACTIVE, "failed": FAILED, "refused": {"REFUSED"}, "not sent": UNSENT - {"REFUSED"}}
    numbers = {word: sum(report.statuses.get(status, 0) for status in statuses) for word, statuses in words.items()}
    if report.jobs and numbers["done"] == report.jobs:
        return "all done"
    return ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number) or "empty"


def _chosen(archive: Any, names: Iterable[str], before: datetime | None) -> list[Group]:
    if names:
        return [find(archive, name) for name in names]
    groups = archive.groups()
    return groups if before is None else [group for group in groups if (moment := group.created) and moment < before]


def _agreed(chosen: list[Group], jobs: bool) -> bool:
    """Say what would be deleted, and ask. Raises BadInput where nobody can be asked."""
    what = output.count(len(chosen), "group")
    for group in chosen:
        statuses = group.report().statuses
        unsent, all_jobs = statuses.get("PREPARED", 0), sum(statuses.values())
        with_it = output.count(all_jobs, "job") if jobs else f"{output.count(unsent, 'job')} not sent"
        stay = f"; {output.count(all_jobs - unsent, 'executed job')} stay (--jobs deletes all)"
        output.note(f"this deletes the group {group.name}, with {with_it}{stay if all_jobs > unsent and not jobs else ''}")
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput(f"deleting {what}", "nobody can be asked here, and nothing is deleted", "give --yes")
    return click.confirm(f"Delete {what}?", err=True)


group.later = {
    "list": Later("groups", "list_groups", "List groups, the newest first."),
    "show": Later("groups", "show", "Show the jobs of a group, in its order."),
    "status": Later("groups", "status", "Print how many jobs of a group are done."),
    "run": Later("sending", "run", "Send the jobs of a group that were not sent, and wait."),
    "retry": Later("sending", "retry", "Send jobs of a group again that failed."),
    "cancel": Later("sending", "cancel", "Cancel the jobs of a group that are under way."),
    "close": Later("sending", "close", "Close the batches and sessions of a group."),
    "report": Later("groups", "report", "Print how a group stands, by its circuits."),
    "delete": Later("groups", "delete", "Delete groups, and their jobs that were not sent."),
}
