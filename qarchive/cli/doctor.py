"""The command that finds what is wrong around an archive: doctor."""

from dataclasses import asdict

import click

from ..printable import clean
from . import output
from .shell import json_option

_COLOURS = {"damage": "red", "trouble": "yellow", "hint": "cyan"}
_DAMAGE, _TROUBLE = 5, 9


@click.command()
@json_option("doctor")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Find what is wrong, and say how to mend it.

    Looks at the settings, the folder and its permissions, the disk, locks, the index, packs as the index knows them, clocks,
    SDKs, and jobs that wait for somebody. Quick: the packs are not read; `qarchive verify --deep` reads every byte. Changes
    nothing but the index, which catches up as for any command.

    Exit code 5 where something is damaged, 9 where something else is wrong, 0 where all is well or there are only hints.

    \b
    Example: qarchive doctor
    """
    from .. import doctor as doctors  # it knows of everything, and other commands need none of it

    found = doctors.examine(ctx.obj)
    grades = {finding.grade for finding in found.findings}
    if as_json:
        output.document("doctor", path=str(found.path), named_by=found.named_by, jobs=found.jobs,
                        findings=[asdict(finding) for finding in found.findings])  # fmt: skip
    else:
        jobs = "" if found.jobs is None else f"{found.jobs:,}"
        output.pairs([("archive", clean(f"{found.path} ({found.named_by})")), ("jobs", jobs)])
        for finding in found.findings:
            output.write(f"\n{output.paint(finding.grade, fg=_COLOURS[finding.grade])}: {clean(finding.where)}")
            output.write(f"  {clean(finding.what)}")
            output.write(f"  {output.paint('do', dim=True)}  {clean(finding.remedy)}")
        if not found.findings:
            output.write("\nnothing is wrong; `qarchive verify --deep` reads every byte")
    if code := _DAMAGE if "damage" in grades else _TROUBLE if "trouble" in grades else 0:
        ctx.exit(code)
