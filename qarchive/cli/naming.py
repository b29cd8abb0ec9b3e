"""How groups are named on the command line, and where in its group a job stands."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from ..archive import Archive
from ..errors import NotFound, QArchiveError, SameName
from ..groups.group import Group
from ..job import Job
from ..library import PREFIX_MIN
from ..records import plain_name
from .shell import complete_job, opened

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_DIGITS = 16  # shown of an id that tells two groups of one name apart
_COMPLETED = 100


def find(archive: Archive, name: str) -> Group:
    """The group of this name, or with an id that begins so; none is made. Raises NotFound, Ambiguous."""
    groups = archive.groups()
    found = [group for group in groups if group.name in (name, plain_name(name))]
    if not found and re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", name):
        found = [group for group in groups if group.id.startswith(name.lower())]
    if len(found) > 1:
        ids = [group.id[:_DIGITS] for group in found[:10]]
        origins = [None if group.archive == archive.id else group.archive for group in found[:10]]
        raise SameName(name, len(found), ids, origins, f"give {PREFIX_MIN} or more digits of one's id")
    if not found:
        near = get_close_matches(name, [group.name for group in groups], 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise NotFound(f"the group {name!r}", str(archive.path), f"{hint}`qarchive group list` shows what there is")
    return found[0]


def complete_group(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names for the shell's completion; the id for one that is no word of a shell's, or that two groups have."""
    try:
        with opened(ctx.find_root().params.get("archive")) as archive:
            groups = archive.groups()
    except QArchiveError:
        return []
    known = Counter(group.name for group in groups)
    words = [(group.name, group.name if known[group.name] == 1 and re.fullmatch(r"[\w.:/@+-]+", group.name) else group.id[:12])
             for group in groups]  # fmt: skip
    return [word for name, word in words if word.startswith(incomplete) or name.startswith(incomplete)][:_COMPLETED]


def complete_reference(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Groups' names, and ids of jobs, for commands that take both."""
    from click.shell_completion import CompletionItem

    names = map(CompletionItem, complete_group(ctx, param, incomplete))
    return [*names, *complete_job(ctx, param, incomplete)]


group_argument = click.argument("name", metavar="NAME", shell_complete=complete_group)


@dataclass(frozen=True)
class Place:
    """Where a job stands in its group: its number from 1, and its circuits, counted from 0 over the whole group."""

    group: str
    number: int
    jobs: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"job {self.number:,} of {self.jobs:,}, {circuits(self.first, self.last)}"


def place_of(archive: Archive, job: Job) -> Place | None:
    """None for a job that is in no group, or whose group was deleted."""
    member = job.record.get("member")
    group = None if member is None else next((group for group in archive.groups() if group.id == str(member["group"])), None)
    first = 0
    for number, each in enumerate(() if group is None else group.members(), 1):
        if each.id.hex() == job.id:
            return Place(group.id, number, len(group), first, first + each.size - 1)
        first += each.size
    return None


def circuits(first: int, last: int) -> str:
    return f"circuit {first}" if first == last else f"circuits {span(first, last)}"


def span(first: int, last: int) -> str:
    """`7` or `200-299`; a dash for a job without circuits."""
    return "-" if last < first else f"{first}" if first == last else f"{first}-{last}"
