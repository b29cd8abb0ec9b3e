"""Commands that make an archive smaller: repack, gc."""

import click

from ..archive import open as open_archive
from ..repacking import Repacked
from . import output
from .shell import json_option

_DRY = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
_ALONE = click.option("--alone", is_flag=True,
                      help="Nobody else uses the archive: needed where that cannot be seen, as in network folders.")  # fmt: skip


@click.command()
@_DRY
@_ALONE
@json_option("repack")
@click.pass_obj
def repack(where: str | None, dry_run: bool, alone: bool, as_json: bool) -> None:
    """Put the packs together so that they take less room.

    Blobs of one kind and one device are compressed together. Blobs that nothing refers to leave, as by `qarchive gc`. Jobs may
    run meanwhile, and it may be interrupted at any time: what is there stays whole, and the next repack goes on. While it works
    it takes up to a gigabyte of free room.

    \b
    Example: qarchive repack --dry-run
    """
    with open_archive(where, create=False) as archive, output.Progress("repacking") as bar:
        done = archive.repack(dry_run=dry_run, alone=alone, progress=bar)
    _show("repack", str(archive.path), done, dry_run, as_json)


@click.command()
@_DRY
@_ALONE
@json_option("gc")
@click.pass_obj
def gc(where: str | None, dry_run: bool, alone: bool, as_json: bool) -> None:
    """Take out for good what nothing refers to any more.

    That is above all what was removed. Only packs that hold some of it are written anew. Where other processes write to the
    archive, what is taken out stays beside the packs until a later gc finds that none does.

    \b
    Example: qarchive gc
    """
    with open_archive(where, create=False) as archive, output.Progress("taking out") as bar:
        done = archive.gc(dry_run=dry_run, alone=alone, progress=bar)
    _show("gc", str(archive.path), done, dry_run, as_json)


def _show(name: str, path: str, done: Repacked, dry_run: bool, as_json: bool) -> None:
    if as_json:
        output.document(name, path=path, dry_run=dry_run, packs=done.packs, before=done.before, after=done.after,
                        dropped=done.dropped, dropped_bytes=done.dropped_raw, doubled=done.doubled, removed=done.removed,
                        waits=done.waits)  # fmt: skip
        return
    if not done.packs:
        output.note("nothing to do: nothing can be taken out" + ("" if name == "gc" else ", and the packs are together already"))
        return
    would = "would write" if dry_run else "wrote"
    packs = output.count(done.packs, "pack")
    sizes = f"of {output.size(done.before)}" if dry_run else f"{output.size(done.before)} before, {output.size(done.after)} after"
    output.write(f"{would} {packs} anew{' ' if dry_run else ': '}{sizes}")
    if done.dropped:
        taken = "would take out" if dry_run else "took out"
        removed = output.count(done.removed, "removed job or group", "removed jobs and groups")
        of = f", those of {removed} among them" if done.removed else ""
        output.write(f"{taken} {output.count(done.dropped, 'blob')} of {output.size(done.dropped_raw)} uncompressed{of}")
    if done.doubled:
        output.write(f"{output.count(done.doubled, 'blob')} stood in several packs")
    if done.waits:
        output.note("other processes write to the archive: what was taken out stays in condemned/ until a later gc finds none")
