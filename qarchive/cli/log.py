"""The command that says what happened: log."""

from typing import Any

import click

from .. import chronicle
from ..archive import Archive
from ..bundles import choosing
from ..chronicle import Event
from ..errors import BadInput
from ..printable import clean
from . import output
from .listing import clock, filter_options, utc_option
from .naming import complete_reference
from .shell import json_option, opened


@click.command()
@click.argument("references", metavar="[REF...]", nargs=-1, shell_complete=complete_reference)
@filter_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="At most N events.")
@utc_option
@json_option("log")
@click.pass_obj
def log(where: str | None, references: tuple[str, ...], limit: int, utc: bool, as_json: bool, **filters: Any) -> None:
    """Show what happened, the newest first.

    One line for each record: that a job was created, sent, ended, tagged, removed and so on, by the clock of whoever wrote it.
    With REF... (jobs, or groups by name) only what happened to these; with filters, to the jobs that fit. Without either, events
    of groups and of removed jobs may be passed over when an import or `qarchive repack` has moved them.

    \b
    Example: qarchive log --group vqe --limit 50
    """
    with opened(where) as archive:
        events = _events(archive, references, {name: value for name, value in filters.items() if value is not None}, limit)
        groups = archive._store.index.groups() if any(event.is_group for event in events) else []  # removed ones, too
        names = {group.id.hex(): group.name for group in groups}
    if as_json:
        found = [{"created": str(event.created), "group" if event.is_group else "job": event.subject, "event": event.what,
                  "detail": event.detail, "record": event.record} for event in events]  # fmt: skip
        output.document("log", events=found)
        return
    when = clock(utc)
    table = output.Table(("TIME", "JOB", "EVENT", "DETAIL"), yielding=(3,))
    rows = [(when(event.created), _subject(event, names), clean(event.what), clean(event.detail)) for event in events]
    if rows:
        output.pages([table.text(rows, status=2)])
    else:
        output.note(f"nothing is recorded in {archive.path}" + (" that fits" if references or any(filters.values()) else ""))


def _events(archive: Archive, references: tuple[str, ...], query: dict[str, Any], limit: int) -> list[Event]:
    if not references and not query:
        return chronicle.latest(archive, limit)
    if references and query:
        raise BadInput("REF... and filters", "both say of which jobs", "give one of them")
    if query:
        return chronicle.among(archive, archive.jobs(**query), limit)
    jobs, groups = choosing.chosen(archive, references, {})
    return chronicle.of(archive, jobs + groups, limit)


def _subject(event: Event, names: dict[str, str]) -> str:
    return clean(f"[{names.get(event.subject, event.subject[:12])}]") if event.is_group else event.subject[:12]
