"""The command line: parse, call, print. `main` is the console script."""

import click

from ..version import __version__
from .shell import Later, Shell

_ARCHIVE = """The folder of the archive. Default: $QARCHIVE, the nearest .qarchive/ in this folder or one above, the one that
`qarchive config` names, a folder for your user's data."""
_COMPLETION = """Shell completion: put `eval "$(_QARCHIVE_COMPLETE=bash_source qarchive)"` into ~/.bashrc; there are also
zsh_source (after `autoload -U compinit; compinit`) and fish_source."""


@click.group(cls=Shell, invoke_without_command=True, epilog=_COMPLETION, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--archive", metavar="PATH", type=click.Path(readable=False), help=_ARCHIVE)
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


# In the order of a user's day. What stands here of each is the first line of its help.
main.later = {
    "init": Later("keeping", "init", "Make an archive in PATH, or in .qarchive/ here."),
    "run": Later("running", "run", "Run circuits on a simulator and keep all about it."),
    "list": Later("listing", "list_jobs", "List jobs, the newest first."),
    "table": Later("table", "table", "Write jobs as a table: Parquet, CSV or JSON lines."),
    "log": Later("log", "log", "Show what happened, the newest first."),
    "show": Later("reading", "show", "Show everything about a job."),
    "result": Later("reading", "result", "Print what came out of a job."),
    "input": Later("reading", "input_", "Print what went into a job, as OpenQASM 3."),
    "cat": Later("reading", "cat", "Print a blob in a form that people can read."),
    "tag": Later("labelling", "tag", "Give tags to jobs, or take them away."),
    "note": Later("labelling", "note", "Write something down about jobs."),
    "rm": Later("removing", "remove", "Remove jobs."),
    "group": Later("groups", "group", "Look at groups of jobs, run them, and delete them."),
    "replay": Later("replaying", "replay", "Run a script against recordings."),
    "diff": Later("comparing", "diff", "Compare two jobs, or the jobs of two bundles."),
    "rerun": Later("comparing", "rerun", "Run the input of a job again, and compare what comes out."),
    "report": Later("pages", "report", "Write a page about jobs that any browser shows."),
    "serve": Later("pages", "serve", "Show the archive in a browser, until Ctrl-C."),
    "calibration": Later("calibrations", "calibration", "Show and compare calibrations of devices."),
    "sync": Later("asking", "sync", "Ask clouds about unfinished jobs and keep what is new."),
    "fetch": Later("asking", "fetch", "Keep jobs that ran without the archive."),
    "recover": Later("asking", "recover", "Look for jobs whose sending got no answer."),
    "cite": Later("provenance", "cite", "Print how to cite a job or a group."),
    "audit": Later("provenance", "audit", "Say what a job carries for others to reproduce it."),
    "sign": Later("provenance", "sign", "Sign jobs with your SSH key."),
    "export": Later("sharing", "export", "Write jobs into one file that anybody can read."),
    "import": Later("sharing", "import_", "Take in bundles that others have exported."),
    "merge": Later("sharing", "merge", "Take in all that other archives hold."),
    "remote": Later("remotes", "remote", "Know folders and S3 buckets by names."),
    "push": Later("remotes", "push", "Send to a remote what it lacks."),
    "pull": Later("remotes", "pull", "Take in what a remote holds and the archive does not."),
    "doctor": Later("doctor", "doctor", "Find what is wrong, and say how to mend it."),
    "verify": Later("keeping", "verify", "Check that what is in the archive is what was written."),
    "repair": Later("repairing", "repair", "Mend damaged packs with what others have."),
    "repack": Later("repacking", "repack", "Put the packs together so that they take less room."),
    "gc": Later("repacking", "gc", "Take out for good what nothing refers to any more."),
    "reindex": Later("keeping", "reindex", "Make the index anew from the packs."),
    "stats": Later("keeping", "stats", "Print how much the archive holds."),
    "config": Later("keeping", "config", "Show, set and unset settings; show where the archive is."),
}
