"""Write spec/commands.md, the reference of all commands, from the commands themselves: python tools/make_commands.py"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from qarchive.cli import main

PAGE = Path(__file__).parent.parent / "spec" / "commands.md"

_HEAD = """# Commands

Written by `python tools/make_commands.py` from what `--help` says, and a test holds the two together. Every command has `--help`,
and `qarchive --archive PATH` stands before its name. Data goes to stdout, everything else to stderr. With `--json` a command
prints one document, or one a line where it says so; its field `schema` is the name that stands here. The number at the end of the
name changes where a field goes or changes its meaning, not where one is added. Errors are JSON then, too: `qarchive/error/1`.
"""


def reference() -> str:
    """The whole page."""
    context = click.Context(main, info_name="qarchive")
    found = list(_commands(main, context))
    parts = [_HEAD, _exit_codes(main.help), "## All\n", _contents(found), _options_of("qarchive", main, context)]
    return "\n".join([*parts, *(_section(command, inner) for command, inner in found)])


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = click.Context(command, parent=context, info_name=name)
        yield command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _exit_codes(text: str) -> str:
    """The table at the end of the help of `qarchive`, which stands there in two columns."""
    pairs = re.findall(r"(\d+)  ([a-z].*?)(?=\s{2,}|\n|$)", text[text.index("Exit codes:") :])
    rows = [f"| {code} | {meaning} |" for code, meaning in sorted(pairs, key=lambda pair: int(pair[0]))]
    return "\n".join(["## Exit codes\n", "| code | what happened |", "|---|---|", *rows, ""])


def _contents(found: list[tuple[click.Command, click.Context]]) -> str:
    rows = [
        f"| [`{context.command_path}`](#{context.command_path.replace(' ', '-')}) | {_cell(command.get_short_help_str(200))} |"
        for command, context in found
    ]
    return "\n".join(["| command | what it does |", "|---|---|", *rows, ""])


def _section(command: click.Command, context: click.Context) -> str:
    lines = [f"## {context.command_path}\n", f"`{' '.join([context.command_path, *command.collect_usage_pieces(context)])}`\n"]
    lines += [_paragraph(part) for part in re.split(r"\n\s*\n", inspect.cleandoc(command.help))]
    helps = " ".join(option.help or "" for option in command.params if isinstance(option, click.Option))
    schemas = re.findall(r"qarchive/[a-z-]+/\d+", helps)
    lines += [f"JSON: {', '.join(f'`{name}`' for name in dict.fromkeys(schemas))}\n"] if schemas else []
    return "\n".join([*lines, _options(command, context)])


def _options_of(path: str, command: click.Command, context: click.Context) -> str:
    return f"Options of `{path}` itself:\n\n{_options(command, context)}"


def _options(command: click.Command, context: click.Context) -> str:
    options = [option for option in command.params if isinstance(option, click.Option)]
    records = [option.get_help_record(context) for option in options]
    rows = [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in filter(None, records)]
    return "\n".join(["| option | what it does |", "|---|---|", *rows, ""])


def _paragraph(text: str) -> str:
    """A paragraph of a help text; what stands behind a `\\b` keeps its lines."""
    kept = text.startswith("\b")
    text = text.removeprefix("\b").strip("\n")
    if text.startswith("Example: "):
        return f"```sh\n{text.removeprefix('Example: ')}\n```\n"
    return f"```text\n{text}\n```\n" if kept else f"{text}\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
