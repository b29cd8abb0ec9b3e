"""What surrounds every command: options that all have, the archive, errors on one line, exit codes, warnings, pipes."""

import errno
import json
import os
import sqlite3
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import QArchiveError
from ..printable import clean
from . import output

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..archive import Archive

UNEXPECTED, CANNOT_WRITE, INTERRUPTED, CLOSED_PIPE = 1, 6, 130, 141
_COMPLETED = 100  # jobs
_NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


class Later(NamedTuple):
    """A command that is not imported yet: its module beside this one, its name in it, and the first line of its help."""

    module: str
    name: str
    help: str


class Commands(click.Group):
    """A group of commands that names the nearest one for a word that is none.

    Those of `later` are imported when they are run: to import them all takes longer than most of them run.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.later: dict[str, Later] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *self.later]  # in the order of a user's day, not of the alphabet

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.later:
            return super().get_command(ctx, cmd_name)
        later = self.later[cmd_name]
        return getattr(import_module(f".{later.module}", __package__), later.name)

    def short_helps(self) -> dict[str, str]:
        """The first line of each command's help, by its name."""
        return {name: command.get_short_help_str(80) for name, command in self.commands.items()} | {
            name: later.help for name, later in self.later.items()
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.short_helps().items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and args[0][:1] != "-" and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {args[0]!r}" + _suggestion(args[0], known), ctx)
        return super().resolve_command(ctx, args)


class Shell(Commands):
    """The group of all commands: errors go to stderr on one line, and their classes say the exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads on: not an error, and nothing is left to say
            ctx.exit(CLOSED_PIPE)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
             standalone_mode: bool = True, **extra: Any) -> Any:  # fmt: skip
        arguments = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra)
        _prepare_streams()
        warnings.showwarning = _show_warning
        try:
            code = super().main(arguments, "qarchive", complete_var, standalone_mode=False, **extra)
        except (click.Abort, KeyboardInterrupt):
            output.note("interrupted")
            code = INTERRUPTED
        except Exception as error:
            code, message = _explained(error)
            if not {"--json", "--jsonl"}.isdisjoint(arguments):
                _show_json(error, message, code)
            else:
                output.note(message)
        sys.exit(code if type(code) is int else 0)


def json_option(name: str) -> Callable:
    """The `--json` that every command has."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print one JSON document (schema qarchive/{name}/1).")


@contextmanager
def opened(path: str | None, **options: Any) -> "Iterator[Archive]":
    """The archive that the user means, its index up to date. Where there is none it is made, and that is said, with `create`;
    else NoArchive is raised."""
    from .. import config, identity
    from ..archive import open as open_archive  # which is most of what there is to import

    options = {"create": False, **options}
    folder, _ = config.locate(path)
    fresh = options["create"] and not folder.is_file() and not (folder / identity.MARKER).exists()
    with open_archive(path, **options) as archive:
        if fresh:
            output.note(f"made an archive in {archive.path}")
        with output.Progress("reading the archive") as bar:
            archive.refresh(bar)
        yield archive


def complete_job(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Ids for the shell's completion, with what the jobs are where the shell shows it: the latest ones, then any that fit."""
    from click.shell_completion import CompletionItem

    try:
        with opened(ctx.find_root().params.get("archive")) as archive:
            found = [job for job in archive.jobs(limit=_COMPLETED) if job.id.startswith(incomplete)]
            found += archive.jobs_like(incomplete, _COMPLETED) if incomplete and not found else []
            return [CompletionItem(job.id[:12], help=f"{job.row.status} {clean(job.backend)} {output.ago(job.row.created)}")
                    for job in found]  # fmt: skip
    except QArchiveError:
        return []  # nobody reads an error in the middle of a line


def _prepare_streams() -> None:
    """Text that a terminal's encoding lacks is escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    output.note(f"warning: {message}")


def _explained(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error of any kind."""
    if isinstance(error, QArchiveError):
        return error.exit_code, str(error)
    if isinstance(error, click.ClickException):
        return error.exit_code, _usage(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename is not None and type(error.filename) is not int else ""
        return CANNOT_WRITE if error.errno in _NOT_WRITTEN else UNEXPECTED, f"{where}{error.strerror.lower()}"
    if isinstance(error, sqlite3.OperationalError):
        return UNEXPECTED, f"the index cannot be used: {error}; it is made from the packs and may be deleted"
    if os.environ.get("QARCHIVE_DEBUG") == "1":
        traceback.print_exc()
    what = f"{type(error).__name__}: {error}"
    return UNEXPECTED, f"this is a bug in qarchive: {what}; please report it with what QARCHIVE_DEBUG=1 shows"


def _usage(error: click.ClickException) -> str:
    """Click's message in our form: what, what is near, where to look."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        if error.option_name == "--archive":
            return "--archive stands before the command: qarchive --archive PATH COMMAND"
        message = f"no such option {error.option_name}" + _suggestion(error.option_name, error.possibilities or ())
    hint = f"`{context.command_path if context else 'qarchive'} --help` shows how"
    return message[:1].lower() + message[1:] + (" " if message.endswith("?") else "; ") + hint


def _suggestion(word: str, words: Sequence[str]) -> str:
    near = get_close_matches(word, words, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _show_json(error: Exception, message: str, code: int) -> None:
    """The error as one JSON document on stderr."""
    fields = vars(error) if isinstance(error, QArchiveError) else {}
    simple = {name: value if type(value) in (str, int, list, type(None)) else str(value) for name, value in fields.items()}
    name = type(error).__name__
    document = {"schema": "qarchive/error/1", "error": name, "message": message, "fields": simple, "exit_code": code}
    click.echo(json.dumps(document), err=True)
