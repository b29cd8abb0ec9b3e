"""Which jobs of a group are to be sent: the unsent ones, or those that failed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .. import entries
from ..errors import BadInput, NotFound
from ..index import GroupRow, Member
from ..library import Library
from ..values import Timestamp
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
    """Members one by one; those of one call at once where its provider sends them so.

    What somebody else has put into a group of this archive's own is not sent: a bundle must not run jobs at our cost.
    """
    gathered: list[Member] = []
    strangers = 0
    call, at_once = None, False
    for member in every(library, group):
        if (member.author, member.sequence) != call:
            if gathered:
                yield Unit(tuple(gathered), allowed)
            call, gathered = (member.author, member.sequence), []
            at_once = together(library._store.value(member.id))
        if wanted(member):
            if group.archive == library.id and None not in library._store.index.origins(member.id):
                strangers += 1
            elif at_once:
                gathered.append(member)
            else:
                yield Unit((member,), allowed)
    if gathered:
        yield Unit(tuple(gathered), allowed)
    if strangers:
        what = "a job of another archive is" if strangers == 1 else f"{strangers:,} jobs of other archives are"
        entries.complain(f"{what} in the group {group.name} and not sent; add to the group what is to be sent from here")


def filtered(library: Library, group: GroupRow, id: str | Sequence[str] | None, status: str | None, least: int | None,
             most: int | None, since: Timestamp | None, until: Timestamp | None) -> Callable[[Member], bool]:  # fmt: skip
    """Whether a job is one of those that `Group.retry` names. Raises BadInput, NotFound."""
    if status is not None and status not in FAILED | {"REFUSED"}:
        known = ", ".join(sorted(FAILED | {"REFUSED"}))
        raise BadInput(f"the status {status!r}", "is none of a job that is retried", f"it is one of {known}")
    chosen = None
    if id is not None:
        asked = {each: bytes.fromhex(library.job(each).id) for each in ([id] if isinstance(id, str) else id)}
        chosen = set(asked.values())
        strangers = [each for each, job in asked.items()
                     if (found := library._store.index.member(job)) is None or found.group != group.id]  # fmt: skip
        if strangers:
            raise NotFound(f"job {strangers[0]}", f"group {group.name}", "`report()` says how its jobs stand")

    def fits(member: Member) -> bool:
        if (chosen is not None and member.id not in chosen) or status not in (None, member.status):
            return False
        if (since is not None and member.created < since) or (until is not None and member.created >= until):
            return False
        shots = library._store.value(member.id)["shots"] if (least, most) != (None, None) else None
        return (least is None or (shots is not None and shots >= least)) and (
            most is None or (shots is not None and shots <= most)
        )

    return fits
