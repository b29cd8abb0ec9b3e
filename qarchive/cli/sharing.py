"""Commands that give jobs to others and take theirs in: export, import, merge."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from .. import disk
from ..archive import Archive
from ..bundles import choosing
from ..bundles.adopting import Taken
from ..bundles.writing import SUFFIX
from ..errors import BadInput
from ..values import Timestamp
from . import output
from .listing import filter_options
from .naming import complete_reference
from .shell import json_option, opened

_ORIGIN = 8  # digits shown of an archive's id


@click.command()
@click.argument("references", nargs=-1, metavar="[REF...]", shell_complete=complete_reference)
@click.option("-o", "--output", "target", required=True, type=click.Path(), metavar="FILE", help="The bundle to write.")
@filter_options
@click.option("--all", "everything", is_flag=True, help="The whole archive.")
@click.option("--author", metavar="NAME", help='"Family, Given", said in the bundle. Default: the setting.')
@click.option("--orcid", metavar="ORCID", help="The first author's. Default: the setting.")
@click.option("--licence", metavar="SPDX", help="Such as CC-BY-4.0. Default: the setting.")
@click.option("--thin", metavar="REMOTE", help="Leave out what this remote holds: whoever takes it in needs that, too.")
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@click.option("--crate", type=click.Path(), metavar="PATH", help="Also an RO-Crate, a folder or a .zip, with the bundle in it.")
@json_option("export")
@click.pass_obj
def export(where: str | None, references: tuple[str, ...], target: str, everything: bool, author: str | None, orcid: str | None,
           licence: str | None, thin: str | None, force: bool, crate: str | None, as_json: bool,
           **filters: Any) -> None:  # fmt: skip
    """Write jobs into one file that anybody can read.

    REF... are jobs, or groups by name; the options choose more jobs, those for which all of them hold. All that the jobs
    refer to goes along; removed jobs do not. Nothing is written where a credential is found. Whoever gets the file reads it with
    `qarchive --archive FILE list`, or takes it in with `qarchive import FILE`.

    \b
    Example: qarchive export cnot -o cnot.qar
    """
    chosen = {name: value for name, value in filters.items() if value is not None}
    if everything == bool(references or chosen):
        reason = "says all, and what stands beside it says less" if everything else "is not said"
        hint = "give either" if everything else "name jobs or groups, give an option such as --since 7d, or --all"
        raise BadInput("--all" if everything else "what to export", reason, hint)
    attribution = {"author": author, "orcid": orcid, "licence": licence}
    disk.may_write(Path(target), force, f"jobs{SUFFIX}")
    if crate is not None and Path(crate).exists():
        raise BadInput(crate, "is there already", "name a new folder or .zip file")
    with opened(where) as archive:
        with output.Progress("exporting") as bar:
            written = archive.export(target, references, **chosen, **attribution, thin=thin, force=force, progress=bar)
        crated = [] if crate is None else archive.crate(crate, _crated(archive, references, chosen), bundle=target, **attribution)
    if as_json:
        output.document("export", **vars(written), crate=crate and {"path": crate, "jobs": [job.id for job in crated]})
        return
    groups = f" and {output.count(written.groups, 'group')}" if written.groups else ""
    without = f"; {output.count(written.omitted, 'blob')} left out that {thin} holds" if thin is not None else ""
    output.note(f"wrote {output.count(written.jobs, 'job')}{groups} to {target}: {output.size(written.size)}, "
                f"{output.count(written.blobs, 'blob')} of {output.size(written.raw)}{without}")  # fmt: skip
    if crate is not None:
        output.note(f"wrote a crate with {output.count(len(crated), 'job')} to {crate}")


def _crated(archive: Archive, references: tuple[str, ...], chosen: dict[str, str | datetime]) -> list[str]:
    """What goes into a crate: groups by name, which give it its title, and jobs."""
    if references and not chosen:
        return list(references)
    jobs, _ = choosing.chosen(archive, references, chosen)
    return [job.hex() for job in jobs]


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE", type=click.Path())
@json_option("import")
@click.pass_obj
def import_(where: str | None, files: tuple[str, ...], as_json: bool) -> None:
    """Take in bundles that others have exported.

    Every byte of a FILE is checked before one is taken; a bundle that is not right changes nothing. Again, or in another order,
    gives the same archive. Jobs keep the archive that they came from; results of your own are never changed by somebody else's.
    Jobs that you had removed come back. An archive is made where there is none yet.

    \b
    Example: qarchive import cnot.qar
    """
    _take_in("import", where, files, lambda archive, path, bar: archive.import_(path, bar), as_json)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH", type=click.Path())
@json_option("merge")
@click.pass_obj
def merge(where: str | None, paths: tuple[str, ...], as_json: bool) -> None:
    """Take in all that other archives hold.

    PATH is the folder of an archive, which is left as it is, or a bundle. What was removed there is still kept here. Again, or
    in another order, gives the same archive.

    \b
    Example: qarchive merge ~/old-laptop/lab
    """
    _take_in("merge", where, paths, lambda archive, path, bar: archive.merge(path, bar), as_json)


def _take_in(name: str, where: str | None, paths: tuple[str, ...], take: Any, as_json: bool) -> None:
    found = []
    with opened(where, create=True) as archive:
        for path in paths:
            with output.Progress(f"reading {Path(path).name}") as bar:
                taken = take(archive, path, bar)
            found.append({"path": path, **vars(taken), "said": _said(taken)})
            if not as_json:
                _show(path, taken)
    if as_json:
        output.document(name, taken=found)


def _said(taken: Taken) -> dict[str, str]:
    return {name: str(value) for name, value in taken.said.items()}


def _show(path: str, taken: Taken) -> None:
    """What one bundle or archive brought."""
    brought = {"new": taken.jobs, "completed": taken.known, "back that had been removed": taken.restored}
    counts = [f"{output.count(len(ids), 'job')} {what}" for what, ids in brought.items() if ids]
    if taken.groups:
        counts.append(output.count(len(taken.groups), "group"))
    created = taken.said.get("created")
    details = [f"archive {taken.origin[:_ORIGIN]}", f"made {output.minute(created)}" if type(created) is Timestamp else "",
               taken.said.get("author", ""), taken.said.get("licence", "")]  # fmt: skip
    said = ", ".join(filter(None, details))
    output.note(f"{path} ({said}): {', '.join(counts) or 'nothing that was not here'}")
