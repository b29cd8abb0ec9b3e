"""Commands about the archive as a whole: init, verify, reindex, stats, config."""

from pathlib import Path

import click

from .. import config as settings
from ..archive import open as open_archive
from ..check import HARMLESS
from ..errors import BadInput
from ..identity import MARKER
from ..pack import SEAL_SIZE
from ..printable import clean
from . import output
from .naming import complete_reference
from .provenance import verify_jobs
from .shell import Commands, json_option, opened


@click.command()
@click.argument("path", required=False, type=click.Path())
@json_option("init")
@click.pass_obj
def init(where: str | None, path: str | None, as_json: bool) -> None:
    """Make an archive in PATH, or in .qarchive/ here.

    An archive that is already there is left as it is, and that is no error.

    \b
    Example: qarchive init ~/lab
    """
    if path is not None and where is not None:
        raise BadInput("PATH and --archive", "both name an archive", "give one of them")
    folder = Path(path or where or settings.FOLDER).expanduser()
    if folder.is_file():
        raise BadInput(str(folder), "is a file", "an archive is a folder")
    there = (folder / MARKER).exists()
    with open_archive(folder) as archive:
        if as_json:
            output.document("init", path=str(folder.absolute()), id=archive.id, created=not there)
        elif there:
            output.note(f"{folder} is already an archive; nothing was changed")
        else:
            output.note(f"made an archive in {folder}")


@click.command()
@click.argument("references", metavar="[REF...]", nargs=-1, shell_complete=complete_reference)
@click.option("--deep", is_flag=True, help="Also check every blob, every link between blobs, and the index against the packs.")
@click.option("--allowed-signers", type=click.Path(dir_okay=False), metavar="FILE",
              help="Whose signatures are good, as ssh-keygen reads it. Default: that beside the settings.")  # fmt: skip
@json_option("verify")
@click.pass_context
def verify(ctx: click.Context, references: tuple[str, ...], deep: bool, allowed_signers: str | None, as_json: bool) -> None:
    """Check that what is in the archive is what was written.

    Prints one finding a line, then a summary, and changes nothing. Exit code 5 where anything is damaged or missing; 0 where
    there are only ends of writes that a crash cut off, which lose nothing that was acknowledged as durable.

    With --deep every place that the index knows is compared with the packs. What it lists of jobs is made again from their
    records for 1,000 jobs, others each time: in a smaller archive for all.

    With REF... (jobs, or groups by name) only these are checked: every byte of a job is read, its seal made again, and its
    signatures checked; one line a job says so (--json: schema qarchive/verify-jobs/1). Exit code 5, too, for a signature that
    does not fit. That a job is unsigned, signed by a key that is not among the allowed signers, or signed before a later record
    gave it another seal, is said and is no error.

    \b
    Example: qarchive verify --deep
    """
    if references:
        if deep:
            raise BadInput("--deep", "checks the whole archive", "leave out the jobs, or --deep: all of a job is read anyway")
        with opened(ctx.obj) as archive:
            if verify_jobs(archive, references, allowed_signers, as_json):
                ctx.exit(5)
        return
    if allowed_signers is not None:
        raise BadInput("--allowed-signers", "is about the signatures of jobs", "name jobs or groups: `qarchive verify REF`")
    with open_archive(ctx.obj, create=False) as archive, output.Progress("verifying") as bar:
        report = archive.verify(deep, bar)
    if as_json:
        found = [{"kind": finding.kind, "where": finding.where, "detail": finding.detail} for finding in report.findings]
        numbers = {"packs": report.packs, "bytes": report.size, "commits": report.commits, "blobs": report.blobs}
        output.document("verify", path=str(archive.path), deep=deep, damaged=report.damaged, **numbers, records=report.records,
                        findings=found)  # fmt: skip
    else:
        for finding in report.findings:
            label = output.paint(finding.kind, fg="yellow" if finding.kind in HARMLESS else "red")
            output.write(f"{label}: {clean(finding.where)}: {clean(finding.detail)}")
        verdict = "damaged" if report.damaged else "no damage" if deep else "no damage found; --deep also checks every blob"
        contents = [
            output.count(report.commits, "commit"),
            output.count(report.blobs, "blob"),
            output.count(report.records, "record"),
        ]
        output.write(f"{output.count(report.packs, 'pack')} of {output.size(report.size)}, {', '.join(contents)}: {verdict}")
    if report.damaged:
        ctx.exit(5)


@click.command()
@json_option("reindex")
@click.pass_obj
def reindex(where: str | None, as_json: bool) -> None:
    """Make the index anew from the packs.

    The index is never needed for what it holds, so this is safe at any time. It is made anew by itself where it is missing or
    corrupt.

    \b
    Example: qarchive reindex
    """
    with open_archive(where, create=False) as archive:
        with output.Progress("reading the packs") as bar:
            jobs = archive.reindex(bar)
        if as_json:
            output.document("reindex", path=str(archive.path), jobs=jobs)
        else:
            output.note(f"the index of {archive.path} is made anew: {output.count(jobs, 'job')}")


@click.command()
@json_option("stats")
@click.pass_obj
def stats(where: str | None, as_json: bool) -> None:
    """Print how much the archive holds.

    Jobs, packs, bytes, and blobs by kind. The bytes of blobs are those before compression, each blob counted once.

    \b
    Example: qarchive stats
    """
    with opened(where) as archive:
        numbers = archive.statistics()
    if as_json:
        output.document("stats", path=str(archive.path), id=archive.id, **numbers)
        return
    kinds = sorted(numbers["kinds"].items(), key=lambda item: (-item[1]["bytes"], item[0]))
    raw = sum(entry["bytes"] for _, entry in kinds)
    output.pairs([("archive", clean(archive.path)), ("jobs", f"{numbers['jobs']:,}"), ("packs", f"{numbers['packs']:,}"),
                  ("on disk", output.size(numbers["bytes"])), ("content", output.size(raw))])  # fmt: skip
    if kinds:
        output.write()
        table = output.Table(("KIND", "BLOBS", "BYTES"), right=(1, 2))
        table.write([(clean(kind), f"{entry['blobs']:,}", output.size(entry["bytes"])) for kind, entry in kinds])
    if numbers["loose"]["bytes"] >= SEAL_SIZE:
        loose = f"{output.count(numbers['loose']['packs'], 'pack')} of {output.size(numbers['loose']['bytes'])}"
        output.note(f"`qarchive repack` would put {loose} together in less room")


@click.group(cls=Commands, invoke_without_command=True)
@json_option("config")
@click.pass_context
def config(ctx: click.Context, as_json: bool) -> None:
    """Show, set and unset settings; show where the archive is.

    \b
    Example: qarchive config set archive ~/lab
    """
    if ctx.invoked_subcommand is not None:
        return
    folder, named = settings.locate(ctx.obj)
    folder = folder.absolute()
    exists = (folder / MARKER).exists()
    values = settings.read()
    file = settings.config_file()
    if as_json:
        output.document("config", archive={"path": str(folder), "named_by": named, "exists": exists}, file=str(file),
                        settings={name: values.get(name) for name in settings.SETTINGS})  # fmt: skip
        return
    output.pairs([("archive", f"{clean(folder)} ({named}{'' if exists else '; not made yet'})"),
                  ("settings", clean(file) + ("" if file.exists() else " (not made yet)"))])  # fmt: skip
    output.write()
    table = output.Table(("SETTING", "VALUE", "MEANING"))
    table.write([(name, clean(values.get(name, "-")), meaning) for name, meaning in settings.SETTINGS.items()])


@config.command("set")
@click.argument("name")
@click.argument("value")
@json_option("config-set")
def set_(name: str, value: str, as_json: bool) -> None:
    """Set one setting.

    A folder is kept as an absolute path.

    \b
    Example: qarchive config set on_error raise
    """
    settings.write(name, str(Path(value).expanduser().absolute()) if name == "archive" else value)
    _show_setting(name, as_json)


@config.command()
@click.argument("name")
@json_option("config-set")
def unset(name: str, as_json: bool) -> None:
    """Remove one setting, so that its default holds.

    \b
    Example: qarchive config unset archive
    """
    settings.write(name, None)
    _show_setting(name, as_json)


def _show_setting(name: str, as_json: bool) -> None:
    value = settings.read().get(name)
    if as_json:
        output.document("config-set", name=name, value=value)
    else:
        output.note(f"{name} = {value}" if value is not None else f"{name} is no longer set")
