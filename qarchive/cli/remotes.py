"""Commands for remotes: remote add|list|remove, push, pull."""

from typing import TYPE_CHECKING

import click

from ..archive import open as open_archive
from ..printable import clean
from . import output
from .shell import Commands, complete_job, json_option, opened

if TYPE_CHECKING:
    from ..remotes.pulling import Pulled
    from ..remotes.pushing import Pushed


def complete_remote(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names for the shell's completion."""
    with opened(ctx.find_root().params.get("archive")) as archive:
        return [name for name in archive.remotes() if name.startswith(incomplete)]


@click.group(cls=Commands, invoke_without_command=True)
@json_option("remote-commands")
@click.pass_context
def remote(ctx: click.Context, as_json: bool) -> None:
    """Know folders and S3 buckets by names.

    A remote keeps what several archives share, or a backup of one. What is pushed there is never changed or removed.

    \b
    Example: qarchive remote add lab s3://our-bucket/qpu
    """
    if ctx.invoked_subcommand is None:
        if as_json:
            commands = remote.short_helps()
            output.document("remote-commands", commands=commands)
        else:
            click.echo(ctx.get_help())


@remote.command()
@click.argument("name")
@click.argument("url")
@json_option("remote")
@click.pass_obj
def add(where: str | None, name: str, url: str, as_json: bool) -> None:
    """Know a remote by a name.

    URL is a folder (a mounted share, a USB disk), file:///folder, or s3://bucket/prefix. Of S3 options may follow:
    ?endpoint=https://..., &region=..., &anonymous=1. Credentials are never kept: they are those of AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY, of AWS_PROFILE, or of the machine. An archive is made where there is none yet.

    \b
    Example: qarchive remote add lab s3://our-bucket/qpu
    """
    with open_archive(where) as archive:
        found = archive.add_remote(name, url)
        _show_remote(archive.path, name, found, "is now", as_json)


@remote.command("list")
@json_option("remotes")
@click.pass_obj
def list_remotes(where: str | None, as_json: bool) -> None:
    """List the remotes, without asking them.

    \b
    Example: qarchive remote list
    """
    with open_archive(where, create=False) as archive:
        found = archive.remotes()
    if as_json:
        output.document("remotes", remotes=[{"name": name, "url": url} for name, url in found.items()])
        return
    if not found:
        output.note("no remote; `qarchive remote add NAME URL` adds one")
        return
    output.Table(("NAME", "URL")).write([(clean(name), clean(url)) for name, url in found.items()])


@remote.command()
@click.argument("name", shell_complete=complete_remote)
@json_option("remote")
@click.pass_obj
def remove(where: str | None, name: str, as_json: bool) -> None:
    """Forget a remote; what it holds stays there.

    \b
    Example: qarchive remote remove lab
    """
    with open_archive(where, create=False) as archive:
        url = archive.remove_remote(name)
        _show_remote(archive.path, name, url, "is forgotten; it was", as_json)


@click.command()
@click.argument("references", metavar="[REF...]", nargs=-1, shell_complete=complete_job)
@click.option("--to", "name", metavar="REMOTE", shell_complete=complete_remote, help="The remote; the only one by default.")
@json_option("push")
@click.pass_obj
def push(where: str | None, references: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Send to a remote what it lacks.

    [REF...] are jobs and groups; without any it is the whole archive. What was removed here stays there, and that it was removed
    is not sent. Safe to break off and to run several times at once: the next push goes on. Nothing is sent that holds what looks
    like a credential.

    \b
    Example: qarchive push vqe --to lab
    """
    with opened(where) as archive, output.Progress("pushing") as bar:
        report = archive.push(name, references, bar)
    if as_json:
        output.document("push", **vars(report))
        return
    _show_pushed(report)


@click.command()
@click.option("--from", "name", metavar="REMOTE", shell_complete=complete_remote, help="The remote; the only one by default.")
@json_option("pull")
@click.pass_obj
def pull(where: str | None, name: str | None, as_json: bool) -> None:
    """Take in what a remote holds and the archive does not.

    Every byte is checked before it counts. Safe to break off: what came stays, and the next pull goes on. Of one job alone:
    `qarchive fetch JOB --from REMOTE`.

    \b
    Example: qarchive pull --from lab
    """
    with opened(where) as archive, output.Progress("pulling") as bar:
        report = archive.pull(name, bar)
    if as_json:
        output.document("pull", **vars(report))
        return
    _show_pulled(report)


def _show_remote(path: object, name: str, url: str, verb: str, as_json: bool) -> None:
    if as_json:
        output.document("remote", archive=str(path), name=name, url=url)
    else:
        output.note(f"the remote {name} {verb} {url}")


def _show_pushed(report: "Pushed") -> None:
    for where, problem in report.problems.items():
        output.note(f"warning: {where}: {problem}; it is not counted as sent")
    if not report.packs:
        output.note("the remote holds all of it")
        return
    output.note(f"sent {output.count(report.sent, 'job or group', 'jobs and groups')} in {output.count(report.packs, 'pack')}, "
                f"{output.size(report.size)}")  # fmt: skip


def _show_pulled(report: "Pulled") -> None:
    if not report.packs:
        output.note("all that the remote holds is here")
        return
    counts = [(report.jobs, "new job", "new jobs"), (report.known, "job with more records", "jobs with more records"),
              (report.restored, "job that was removed here", "jobs that were removed here"),
              (report.groups, "group", "groups")]  # fmt: skip
    shown = ", ".join(output.count(len(found), noun, plural) for found, noun, plural in counts if found)
    output.note(f"{shown or 'nothing new'} in {output.count(report.packs, 'pack')}, {output.size(report.size)}")
