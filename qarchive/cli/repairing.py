"""The command that mends an archive: repair."""

import click

from ..archive import open as open_archive
from ..printable import clean
from . import output
from .shell import json_option


@click.command()
@click.option("--from", "sources", multiple=True, type=click.Path(), metavar="PATH",
              help="An archive or a bundle that may have what is damaged or missing here. May be given again.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@json_option("repair")
@click.pass_context
def repair(ctx: click.Context, sources: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Mend damaged packs with what others have.

    Looks for damage as `qarchive verify --deep` does. A damaged pack is written anew with what is good in it;
    what is damaged or missing comes from other packs of the archive and from
    the archives and bundles of --from, checked byte for byte. A damaged file is moved to quarantine/, never deleted. Jobs may run
    meanwhile, and it may be interrupted at any time: the next repair goes on. A damaged index is for `qarchive reindex`.

    Exit code 5 where something stays damaged or missing.

    \b
    Example: qarchive repair --from ~/backup/lab
    """
    with open_archive(ctx.obj, create=False) as archive, output.Progress("looking for damage") as bar:
        done = archive.repair(sources, dry_run, bar)
    if as_json:
        output.document("repair", path=str(archive.path), dry_run=dry_run, damaged=done.damaged, **vars(done))
    else:
        if not (done.packs or done.restored or done.damaged):
            output.note("nothing to repair: no blob is damaged or missing")
        if done.packs:
            would, moved = ("would write", "would be") if dry_run else ("wrote", "are" if len(done.packs) > 1 else "is")
            file = "the damaged files" if len(done.packs) > 1 else "the damaged file"
            what = f"{would} {output.count(len(done.packs), 'damaged pack')} anew, with {output.count(done.kept, 'good blob')}"
            output.write(f"{what}; {file} {moved} in quarantine/")
        if done.restored:
            output.write(f"{'would restore' if dry_run else 'restored'} {output.count(done.restored, 'blob')}")
        for name, reason in sorted(done.left.items()):
            output.write(f"{output.paint('left', fg='yellow')}: packs/{name}: {clean(reason)}")
        for digest in done.lost:
            output.write(f"{output.paint('lost', fg='red')}: {digest}")
        if done.lost:
            hint = "--from names archives or bundles that may have them" if not sources else "no archive or bundle given has them"
            concerned = f": of {output.count(len(done.jobs), 'job or group', 'jobs or groups')}" if done.jobs else ""
            output.write(f"{output.count(len(done.lost), 'blob')} could not be restored{concerned}; {hint}")
            for job in done.jobs:
                output.write(f"concerned: {job}")
    if done.damaged:
        ctx.exit(5)
