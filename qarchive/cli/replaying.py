"""The command that runs a script against recordings: replay."""

import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..archive import Archive
from ..errors import BadInput, NotFound
from . import output
from .naming import complete_group
from .reading import Moment
from .shell import UNEXPECTED, opened

_PYTHON = re.compile(r"(python|pypy)[0-9.]*(\.exe)?", re.ASCII)
_HIDING = "EIS"  # options of Python's with which it does not look at PYTHONPATH, or at what it should run first
_WITH_VALUES = "WX"
_KILLED = 128  # and the number of the signal: as shells say it


class _Before(click.Command):
    """A command that stands before another one: what follows `--` is that one's own, options and all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        place = args.index("--") if "--" in args else len(args)
        rest = super().parse_args(ctx, args[:place])
        ctx.params["command"] = args[place + 1 :]
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "--", "COMMAND", "[ARGS]..."]


@click.command(cls=_Before)
@click.argument("group", required=False, shell_complete=complete_group)
@click.option("--tag", help="Only recordings with this tag.")
@click.option("--provider", help="Only recordings of this provider, such as aer.")
@click.option("--backend", help="Only recordings on the backend of this name.")
@click.option("--since", type=Moment(), help="Only recordings made at this time or later: 2026-11-21, or 7d (ago; m h d w).")
@click.option("--until", type=Moment(), help="Only recordings made before this time.")
@click.option("--mode", type=click.Choice(("only", "missing")), default="only", show_default=True,
              help="What is not recorded is an error (only), or is run and recorded (missing).")  # fmt: skip
@click.option("--match", type=click.Choice(("exact", "order")), default="exact", show_default=True,
              help="Recordings are found by what runs (exact), or taken one after another (order).")  # fmt: skip
@click.option("--failures", is_flag=True, help="Recordings that failed answer, too, with their errors.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON document on stderr (schema qarchive/replay/1).")
@click.pass_context
def replay(ctx: click.Context, group: str | None, mode: str, match: str, failures: bool, as_json: bool, command: list[str],
           **filters: Any) -> None:  # fmt: skip
    """Run a script against recordings.

    COMMAND is run as it is, and so are its own processes; in all that are Python every execution is answered by a recording
    of GROUP (of the whole archive without it), and every cloud's client by the archive: no credentials are needed. With
    --mode only there is no network. The k-th equal call of a process gets the k-th recording. Nothing that is replayed is
    recorded.

    Stdin, stdout, stderr and the exit code are COMMAND's; a summary comes to stderr. Exit code 1 where nothing was replayed.

    \b
    Example: qarchive replay cnot -- python analyse.py --plot
    """
    if not command:
        raise BadInput("COMMAND", "is missing", "it follows `--`: qarchive replay GROUP -- python analyse.py")
    _check(command)
    from ..replay import starting

    query = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in filters.items()}
    query = {name: value for name, value in {"group": group, **query}.items() if value is not None}
    with opened(ctx.obj) as archive, tempfile.TemporaryDirectory(prefix="qarchive-replay-") as folder:
        settings = starting.Settings(str(archive.path.resolve()), str(Path(folder) / "journal"), mode, match, failures, query)
        recorded = settings.player(archive).recordings()
        if mode == "only":
            _check_recorded(recorded, archive, query)
        code = _run(command, starting.environment(settings))
        told = starting.told(settings.journal)
    if told.started:
        _show(told, len(set(recorded).difference(told.answered)), as_json)
    elif not told.failed:
        output.note(
            f"{command[0]} started no Python that replays, so whatever it ran, it ran for real; only Python is replayed, with "
            "its environment as it is, and without the options -E, -I and -S"
        )
    ctx.exit(code or (0 if told.started and not told.failed else UNEXPECTED))


def _check(command: list[str]) -> None:
    """Raises NotFound for a command that there is not, BadInput for a Python that would not replay."""
    if shutil.which(command[0]) is None:
        raise NotFound(f"the command {command[0]!r}", "$PATH", "give one that can be run")
    if not _PYTHON.fullmatch(Path(command[0]).name):
        return
    words = iter(command[1:])
    for word in words:
        if not re.match(r"-[A-Za-z?]", word):
            return
        for place, letter in enumerate(word[1:], 2):
            if letter in _HIDING:
                reason = "starts without qarchive, and would run for real"
                raise BadInput(f"{command[0]} -{letter}", reason, f"leave -{letter} out")
            if letter in "cm":
                return
            if letter in _WITH_VALUES:
                if place == len(word):
                    next(words, None)
                break


def _check_recorded(recorded: list[str], archive: Archive, query: dict[str, str]) -> None:
    """Raises NotFound where nothing could ever be answered."""
    if not recorded:
        said = " and ".join(f"{name} {value}" for name, value in query.items())
        what = f"a recording with {said}" if said else "a recording"
        raise NotFound(what, str(archive.path), "`qarchive list` shows what there is; --mode missing runs it")


def _run(command: list[str], environment: dict[str, str]) -> int:
    """The exit code of a command; what is sent to this process to end it reaches the command."""
    process = subprocess.Popen(command, env=environment)
    with _passing_on(process):
        while True:
            try:
                code = process.wait()
                return code if code >= 0 else _KILLED - code
            except KeyboardInterrupt:  # a terminal has sent it to both
                continue


@contextmanager
def _passing_on(process: subprocess.Popen):
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda number, _: process.send_signal(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(told: Any, left: int, as_json: bool) -> None:
    if as_json:
        click.echo(output.dump({"schema": "qarchive/replay/1", "answered": len(told.answered), "ran": told.ran, "unused": left,
                                "processes": told.started}), err=True)  # fmt: skip
        return
    said = [f"{output.count(len(told.answered), 'execution')} answered"]
    if told.ran:
        said.append(f"{told.ran:,} run and recorded")
    if left:
        said.append(f"{output.count(left, 'recording')} not used")
    output.note(", ".join(said))
