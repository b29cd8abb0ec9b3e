"""Commands by which people mark jobs that are archived already: tag, note."""

import click

from ..errors import BadInput
from . import output
from .listing import tag_named
from .naming import complete_reference
from .shell import json_option, opened


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, required=True, shell_complete=complete_reference)
@click.option("--add", multiple=True, metavar="TAG", callback=tag_named, help="Give the jobs this tag. May be given again.")
@click.option("--remove", multiple=True, metavar="TAG", callback=tag_named,
              help="Take this tag away from the jobs. May be given again.")  # fmt: skip
@json_option("tag")
@click.pass_obj
def tag(where: str | None, references: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], as_json: bool) -> None:
    """Give tags to jobs, or take them away.

    REF... are jobs, or groups by name, of which all jobs are meant. `qarchive list --tag TAG` finds them. Where two copies of
    an archive are merged the tags of both are there, and what was tagged here loses a tag only by what is done here.

    \b
    Example: qarchive tag latest @2 --add paper --remove draft
    """
    if not add and not remove:
        raise BadInput("--add and --remove", "are both missing", "give at least one of them")
    with opened(where) as archive:
        changed = archive.tag(references, add, remove)
    if as_json:
        output.document("tag", jobs=changed, added=list(add), removed=list(remove))
    else:
        said = " ".join([*(f"+{each}" for each in add), *(f"-{each}" for each in remove)])
        output.note(f"{output.count(len(changed), 'job')} changed: {said}" if changed else f"it is so already: {said}")


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, shell_complete=complete_reference)
@click.argument("text")
@click.option("--author", metavar="NAME", help="Who says so. Default: the setting author, if there is one.")
@json_option("note")
@click.pass_obj
def note(where: str | None, references: tuple[str, ...], text: str, author: str | None, as_json: bool) -> None:
    """Write something down about jobs.

    TEXT stays with each job of REF... (jobs, or groups by name) for good; `qarchive show` and `qarchive log` show it, and an
    export takes it along.

    \b
    Example: qarchive note latest "the fridge was warm" --author "Curie, Marie"
    """
    if not references:
        raise BadInput("a note", "needs a job and a text", 'say `qarchive note REF "TEXT"`')
    with opened(where) as archive:
        jobs = archive.note(references, text, author)
    if as_json:
        output.document("note", jobs=jobs, text=text)
    else:
        output.note(f"noted with {output.count(len(jobs), 'job')}")
