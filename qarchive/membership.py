"""Which group a job belongs to, and where in it: decided when its record is written."""

import os
import threading
import weakref
from itertools import count
from typing import Any

from . import codec, records
from .index import GroupRow
from .stage import Stage
from .store import Store
from .values import Link

_mutex = threading.Lock()
_given: "weakref.WeakKeyDictionary[Store, dict[bytes, int]]" = weakref.WeakKeyDictionary()  # {group: the last sequence}


class Places:
    """Places in a group for the jobs of one call, one after another in order of their circuits."""

    def __init__(self, group: GroupRow, author: str, sequence: int, first: int = 0, mapped: bool = False,
                 replaces: Link | None = None):  # fmt: skip
        self.group, self.author, self.sequence, self.mapped, self.replaces = group, author, sequence, mapped, replaces
        self.first = first  # of the next job

    def take(self, size: int) -> dict[str, Any]:
        """What the record of a job with so many circuits says of its place."""
        place = {"group": Link(self.group.id), "author": self.author, "sequence": self.sequence, "first": self.first}
        self.first += size
        optional = {"mapped": self.mapped, "replaces": self.replaces}
        return place | {name: value for name, value in optional.items() if value}


def at_run(store: Store, name: str) -> Places:
    """The place of a job that is about to run: nothing that other processes have written meanwhile is waited for."""
    return next_places(store, of_name(store, name, stale=True), stale=True)


def known(store: Store, name: str) -> list[GroupRow]:
    """The groups of this name that were not removed, this archive's own first."""
    older = store.index.groups(records.plain_text(name))  # names were not escaped once
    return _in_order(store, older or store.index.groups(records.plain_name(name)))


def _in_order(store: Store, rows: list[GroupRow]) -> list[GroupRow]:
    alive = [row for row in rows if not row.removed]
    return sorted(alive, key=lambda row: (row.archive != store.id, -row.number, row.archive))


def of_name(store: Store, name: str, stale: bool = False) -> GroupRow:
    """The group that this name means in this archive: the first of `known`, else a new one. Nothing is written.

    With `stale` the index is taken as it was last asked.
    """
    name = records.plain_name(name)
    rows = store.index.groups(name, stale)
    if alive := _in_order(store, rows):
        return alive[0]
    used = {row.number for row in rows if row.archive == store.id}
    number = next(number for number in count(1) if number not in used)  # not the largest and one: somebody's may be 2^63 - 1
    record = records.group_record(name=name, archive=store.id, number=number)
    return GroupRow(codec.digest(codec.encode(record)), name, store.id, number, removed=False)


def put(stage: Stage, group: GroupRow) -> None:
    """Stage the record of a group; it costs nothing where the archive has it."""
    if not stage.again(Link(group.id)):
        stage.record(records.group_record(name=group.name, archive=group.archive, number=group.number))


def next_places(store: Store, group: GroupRow, mapped: bool = False, stale: bool = False) -> Places:
    """Places for a call that adds jobs to a group, behind all that this archive has added to it.

    What another process adds at the same time may have the same sequence: such jobs are ordered by their ids. With `stale` the
    index is taken as it was last asked.
    """
    read = store.index.last_sequence(group.id, store.id, stale)
    with _mutex:
        given = _given.setdefault(store, {})
        sequence = min(1 + max(given.get(group.id, 0), read), records.LAST)  # a record with a larger one would be wrong
        given[group.id] = sequence
    return Places(group, store.id, sequence, mapped=mapped)


def _start_anew() -> None:
    """In a forked child: another thread of its parent may have held the mutex."""
    global _mutex
    _mutex = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
