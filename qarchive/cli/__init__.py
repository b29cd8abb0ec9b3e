"""The command line: parse, call, print. `main` is the console script."""

import click

from .. import __version__
from . import (
    asking,
    calibrations,
    comparing,
    doctor,
    drift,
    groups,
    keeping,
    labelling,
    listing,
    log,
    pages,
    provenance,
    reading,
    remotes,
    removing,
    repacking,
    repairing,
    replaying,
    running,
    sending,
    sharing,
    shell,
    table,
)

_ARCHIVE = """The folder of the archive. Default: $QARCHIVE, the nearest .qarchive/ in this folder or one above, the one that
`qarchive config` names, a folder for your user's data."""
_COMPLETION = """Shell completion: put `eval "$(_QARCHIVE_COMPLETE=bash_source qarchive)"` into ~/.bashrc; there are also
zsh_source and fish_source."""


@click.group(
    cls=shell.Shell, invoke_without_command=True, epilog=_COMPLETION, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--archive", metavar="PATH", type=click.Path(), help=_ARCHIVE)
@click.version_option(__version__, "-V", "--version", prog_name="qarchive", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context, archive: str | None) -> None:
    """Keep every quantum execution: input, configuration, device and result.

    \b
    qarchive init                           an archive here
    qarchive run bell.qasm --shots 1000     run a circuit and keep it
    qarchive list                           what there is
    qarchive result latest                  what came out

    A job is named by its id, a prefix of it (4 digits or more), the provider's own job id, `latest`, `@2` (the second latest)
    or `GROUP/3` (the third of a group).

    Data goes to stdout, everything else to stderr. Every command has --json; errors are then JSON too, on stderr, with the
    schema qarchive/error/1.

    \b
    Exit codes:  0  done                     6  cannot write
                 1  unexpected               7  an SDK is missing
                 2  bad input                8  written by a newer qarchive
                 3  not found or ambiguous   9  not finished, or failed
                 4  differs                130  interrupted
                 5  damage
    """
    ctx.obj = archive
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (groups.list_groups, groups.show, groups.status, sending.run, sending.retry, sending.cancel, sending.close,
                 groups.report, groups.delete):  # fmt: skip
    groups.group.add_command(_command)
calibrations.calibration.add_command(drift.drift)
for _command in (keeping.init, running.run, listing.list_jobs, table.table, log.log, reading.show, reading.result,
                 reading.input_, reading.cat, labelling.tag, labelling.note, removing.remove, groups.group, replaying.replay,
                 comparing.diff, comparing.rerun, pages.report, pages.serve, calibrations.calibration,
                 asking.sync, asking.fetch, asking.recover,
                 provenance.cite, provenance.audit, provenance.sign,
                 sharing.export, sharing.import_, sharing.merge,
                 remotes.remote, remotes.push, remotes.pull,
                 doctor.doctor, keeping.verify, repairing.repair, repacking.repack, repacking.gc, keeping.reindex, keeping.stats,
                 keeping.config):  # fmt: skip
    main.add_command(_command)
