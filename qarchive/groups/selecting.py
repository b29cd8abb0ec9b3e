"""Which jobs of a group are to be sent: the unsent ones, or those that failed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..index import GroupRow, Member
from ..library import Library
from .sending import CUT_OFF, FAILED, UNSENT, was_cut_off
from .targets import together

_PAGE = 1000


@dataclass(frozen=True)
class Unit:
    """Jobs that are sent by one request, mostly one, and the statuses in which they may be."""

    members: tuple[Member, ...]
    allowed: frozenset[str]

    @property
    def size(self) -> int:
        """Circuits."""
        return sum(member.size for member in self.members)


def every(library: Library, group: GroupRow, limit: int = -1) -> Iterator[Member]:
    """The members of a group in order, read a page at a time."""
    after, left = None, limit
    while left and (page := library._store.index.members(group.id, _PAGE if left < 0 else min(_PAGE, left), after)):
        yield from page
        after, left = page[-1].place, left - len(page) if left > 0 else left


def unsent(library: Library, group: GroupRow, resend: bool) -> Iterator[Unit]:
    """What was never sent or provably not accepted; what ran here and was killed or interrupted; with `resend` also what got no
    answer, and may then run twice."""
    allowed = UNSENT | ({"SENDING"} if resend else set())

    def wanted(member: Member) -> bool:
        if member.status in ("UNKNOWN", "ERROR"):
            return was_cut_off(library._recorder.folded(member.id))
        return member.status in allowed

    return _units(library, group, wanted, allowed | {CUT_OFF})


def failed(library: Library, group: GroupRow, fits: Callable[[Member], bool], resend: bool = False) -> Iterator[Unit]:
    """What ended badly, or was refused, and fits; with `resend` also what got no answer, and may then run twice."""
    allowed = FAILED | {"REFUSED"} | ({"SENDING"} if resend else set())
    return _units(library, group, lambda member: member.status in allowed and fits(member), allowed)


def _units(library: Library, group: GroupRow, wanted: Callable[[Member], bool], allowed: frozenset[str]) -> Iterator[Unit]:
    """Members one by one; those of one call at once where its provider sends them so."""
    gathered: list[Member] = []
    call, at_once = None, False
    for member in every(library, group):
        if (member.author, member.sequence) != call:
            if gathered:
                yield Unit(tuple(gathered), allowed)
            call, gathered = (member.author, member.sequence), []
            at_once = together(library._store.value(member.id))
        if wanted(member):
            if at_once:
                gathered.append(member)
            else:
                yield Unit((member,), allowed)
    if gathered:
        yield Unit(tuple(gathered), allowed)
