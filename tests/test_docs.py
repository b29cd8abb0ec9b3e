"""The docs cannot lie: every command and option says what it does, and every command that is shown parses."""

import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

from qarchive import errors
from qarchive.cli import main
from qarchive.cli.comparing import DIFFERS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(command=main, path=("qarchive",)):
    """(words of its name, the command) of every command."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


COMMANDS = {" ".join(path): command for path, command in commands()}


def help_of(path):
    context = None
    command = main
    for word in path.split():
        command = command if context is None else command.get_command(context, word)
        context = click.Context(command, parent=context, info_name=word)
    return command.get_help(context)


def shown(text):
    """Every `qarchive ...` in code, without its comment."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    lines = [line.strip() for line in blocks.splitlines()] + re.findall(r"`([^`]+)`", text)
    return sorted({line for line in lines if line.startswith("qarchive ")})


def parse(line):
    """Parse a command line to its end, and run nothing. Raises click.UsageError."""
    words = shlex.split(line, comments=True)[1:]
    command, context, name = main, None, "qarchive"
    while True:
        context = command.make_context(name, words, parent=context)
        if not isinstance(command, click.Group) or not (words := [*context._protected_args, *context.args]):
            return
        name, command, words = command.resolve_command(context, words)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_documented(path):
    command = COMMANDS[path]
    text = help_of(path)
    assert command.help.splitlines()[0].endswith(".")
    assert command is main or not command.get_short_help_str(60).endswith("...")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help and option.help.rstrip().endswith("."), option.name
            assert option.opts[0] in text
        else:
            assert option.make_metavar(click.Context(command)).strip("[]") in command.help or option.name in (
                "reference",
                "name",
                "value",
            )
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_said_of_commands_that_are_imported_later_is_what_they_say():
    for command in COMMANDS.values():
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name, later in command.later.items():
                found = command.get_command(context, name)
                assert (found.name, found.get_short_help_str(80)) == (name, later.help)


@pytest.mark.parametrize("path", [path for path in COMMANDS if path != "qarchive"])
def test_every_command_has_json_and_an_example_that_parses(path):
    command = COMMANDS[path]
    assert "as_json" in [option.name for option in command.params]
    [example] = re.findall(r"Example: (qarchive .*)", command.help)
    assert example.startswith(path)
    parse(example)


@pytest.mark.parametrize("line", shown(README))
def test_every_command_in_the_readme_parses(line):
    parse(line)


def test_the_readme_shows_commands():
    assert len(shown(README)) >= 7


def test_the_exit_codes_in_the_help_and_in_the_readme_are_those_of_the_errors():
    codes = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.QArchiveError)
    }
    table = main.help[main.help.index("Exit codes:") :]
    assert codes | {0, DIFFERS, 130} == {int(code) for code in re.findall(r"(?<!\d)(\d+)  ", table)}
    [sentence] = re.findall(r"Exit codes: (.*?\.)", README, re.DOTALL)
    assert codes | {0, DIFFERS} == {int(code) for code in re.findall(r"\d+", sentence)}


def test_the_command_reference_is_what_the_commands_say():
    written = (ROOT / "spec" / "commands.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(ROOT / "tools" / "make_commands.py"))["reference"](), (
        "spec/commands.md is not what the commands say; write it anew: python tools/make_commands.py"
    )
