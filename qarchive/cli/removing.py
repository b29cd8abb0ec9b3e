"""The command that takes jobs out of the listings: rm."""

import sys
from typing import Any

import click

from ..archive import Archive
from ..curating import Removal
from ..errors import BadInput
from ..printable import clean
from . import output
from .listing import filter_options, job_table
from .reading import row_text
from .shell import complete_job, json_option, opened

_SHOWN = 10  # jobs, and groups, that are named


@click.command("rm")
@click.argument("references", metavar="[REF...]", nargs=-1, shell_complete=complete_job)
@filter_options
@click.option("--undo", is_flag=True, help="List the removed jobs or groups REF... again, by their ids.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option("rm")
@click.pass_obj
def remove(where: str | None, references: tuple[str, ...], undo: bool, dry_run: bool, yes: bool, as_json: bool,
           **filters: Any) -> None:  # fmt: skip
    """Remove jobs.

    The jobs REF..., and those that the filters find. Says what goes and asks; where nobody can be asked, --yes is needed. They
    stay on the disk, and --undo lists them again, until `qarchive gc` takes them out for good. Copies of the archive keep
    them. A job under way is not removed; a group is deleted by `qarchive group delete`.

    \b
    Example: qarchive rm --tag scratch --until 30d --dry-run
    """
    if undo:
        _undo(where, references, any((dry_run, yes, *filters.values())), as_json)
        return
    with opened(where) as archive:
        found = archive.remove(references, **filters, dry_run=True)
        told = _told(archive, found)
        removed = not dry_run and (yes or _agreed(found, told))
        if removed:
            archive.remove(found.jobs)
    if as_json:
        output.document("rm", dry_run=dry_run, removed=removed, **vars(found))
    elif removed:
        example = f" ({found.jobs[0][:12]})" if len(found.jobs) == 1 else ""
        output.note(f"removed {output.count(len(found.jobs), 'job')}{example}; `qarchive gc` takes out for good what nothing "
                    "needs, and `qarchive rm --undo ID` lists one again until then")  # fmt: skip
    elif dry_run:
        output.write(f"{told}\n{_said(found)}")
    else:
        output.note("nothing is removed")


def _undo(where: str | None, references: tuple[str, ...], more: bool, as_json: bool) -> None:
    if more or not references:
        raise BadInput("--undo", "takes ids and no other option", "say `qarchive rm --undo ID`")
    with opened(where) as archive:
        back = [archive.restore(reference) for reference in references]
    if as_json:
        output.document("rm", restored=back)
    for each in () if as_json else back:
        output.write(f"{each[:12]}  is listed again")


def _told(archive: Archive, found: Removal) -> str:
    """The jobs that would go, as `list` shows them."""
    rows = [row_text(archive.job(job).row) for job in found.jobs[:_SHOWN]]
    more = f"\n{len(found.jobs) - _SHOWN:,} more" if len(found.jobs) > _SHOWN else ""
    return job_table().text(rows, status=2) + more


def _said(found: Removal) -> str:
    groups = [f"{number:,} of group {clean(name)}" for name, number in list(found.groups.items())[:_SHOWN]]
    more = [f"{len(found.groups) - _SHOWN:,} more groups"] if len(found.groups) > _SHOWN else []
    of = f", {', '.join(groups + more)}" if groups else ""
    size = "" if found.size is None else f", with at most {output.size(found.size)} (uncompressed) that nothing else needs"
    return f"{output.count(len(found.jobs), 'job')}{of}{size}"


def _agreed(found: Removal, told: str) -> bool:
    """Say what would be removed, and ask. Raises BadInput where nobody can be asked."""
    click.echo(told, err=True)
    output.note(f"this removes {_said(found)}")
    what = output.count(len(found.jobs), "job")
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput(f"removing {what}", "nobody can be asked here, and nothing is removed", "give --yes")
    return click.confirm(f"Remove {what}?", err=True)
