"""Sending one job of a group: claimed by one process, recorded before, and what became of it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import model, records, scope
from ..errors import CannotWrite, MissingExtra, QArchiveError
from ..index import GroupRow, Member
from ..library import Library
from ..providers import registry
from ..stage import Stage
from ..values import Link
from .locks import Lock
from .targets import Targets, together

HANDED_OUT, HANDED_BACK = "handed out", "handed back"
UNSENT = frozenset({"PREPARED", "REFUSED"})
FAILED = frozenset({"ERROR", "CANCELLED", "TIMED_OUT", "UNKNOWN", "PARTIAL"})
ACTIVE = frozenset({"SENDING", "QUEUED", "RUNNING", "PAUSED"})
CUT_OFF = "cut off"  # beside the statuses: it ran here, and was killed or interrupted

_INTERRUPTS = frozenset({"builtins.KeyboardInterrupt", "builtins.SystemExit"})


@dataclass(frozen=True)
class Sent:
    """What became of an attempt to send.

    "sent"; "taken" (another process has it); "refused", "busy", "size" or "denied" (see `Cloud.obstacle`); "unanswered"; "failed"
    (it ended with an error); "kept" (it could not be sent, and nothing was recorded).
    """

    word: str
    reason: str = ""


class Sender:
    """Sends jobs of one group from this process."""

    def __init__(self, library: Library, group: GroupRow, targets: Targets):
        self._library, self._group, self._targets = library, group, targets
        self._changed = threading.Condition()
        self._sending, self._stopped = 0, False

    def stop(self) -> None:
        """Send nothing more; what another thread is sending just now is sent when this returns."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._sending)

    def send(self, members: Sequence[Member], allowed: frozenset[str], device: Any = None) -> Sent:
        """Send one job, or several that go with one request, if they have one of the `allowed` statuses and nobody else has them.

        A local one may have ended when this returns. Raises CannotWrite, MissingExtra, and what interrupts.
        """
        links = tuple(Link(member.id) for member in members)
        try:
            target, args, kwargs = self._call(members, device)
        except (CannotWrite, MissingExtra):
            raise
        except QArchiveError as error:
            return Sent("kept", str(error))
        with Lock(self._library, self._group, "send") as lock:
            before = [self._library._recorder.folded(link.digest) for link in links]
            if not all(is_free(self._library, folded, allowed) for folded in before):
                return Sent("taken")
            with self._changed:
                if self._stopped:
                    return Sent("taken")
                self._sending += 1
            try:
                return self._sent(before, links, lock, target, args, kwargs)
            finally:
                with self._changed:
                    self._sending -= 1
                    self._changed.notify_all()

    def _call(self, members: Sequence[Member], device: Any) -> tuple[Any, tuple, dict]:
        store = self._library._store
        found = [store.value(member.id) for member in members]
        provider = registry.named(found[0]["provider"])
        if device is None:
            device = self._targets.of(members[0], found[0])
        if together(found[0]):
            return provider.load_calls(self._get, found, device)
        return provider.load_call(self._get, found[0], device)

    def _get(self, link: Link) -> Any:
        return self._library._store.value(link.digest)

    def _sent(
        self, before: list[model.Folded], links: tuple[Link, ...], lock: Lock, target: Any, args: tuple, kwargs: dict
    ) -> Sent:
        recorder = self._library._recorder
        provider = registry.owner(target)
        written: list[bool] = []

        def started() -> None:
            written.append(True)
            lock.release()

        inside = scope.within(paused=False, nested=False, prepare=None, again=links, started=started)
        try:
            with inside, provider.recorded(target, recorder.way) as recorded:
                recorded.run(*args, **kwargs)
            return Sent("sent") if written else Sent("kept", f"a {type(target).__name__} ran, and nothing of it was recorded")
        except (CannotWrite, MissingExtra):
            raise
        except Exception as error:
            after = recorder.folded(links[0].digest)
            if len(after.attempts) == len(before[0].attempts):  # it came to no attempt
                return Sent("kept", f"{type(error).__name__}: {error}" if not isinstance(error, QArchiveError) else str(error))
            reason = str((after.error or {}).get("message", "")) or str(error)
            if after.status == "REFUSED":
                return Sent(self._obstacle(after, error) or "refused", reason)
            return Sent("unanswered" if after.status in ACTIVE else "failed", reason)

    @staticmethod
    def _obstacle(folded: model.Folded, error: Exception) -> str:
        return registry.named(folded.record["provider"]).obstacle(error)


def is_free(library: Library, folded: model.Folded, allowed: frozenset[str]) -> bool:
    """Whether a job may be sent: it stands as is allowed, and no worker has it."""
    if folded.removed or not (folded.status in allowed or (CUT_OFF in allowed and was_cut_off(folded))):
        return False
    events = [(digest, record) for digest, record in folded.others if record["type"] == "event"]
    back = {record["value"].digest for _, record in events if record["name"] == HANDED_BACK and "value" in record}
    out = [digest for digest, record in events if record["name"] == HANDED_OUT and digest not in back]
    return all(library._store.writer_is_gone(digest) for digest in out)


def hand_out(library: Library, group: GroupRow, member: Member, allowed: frozenset[str]) -> Link | None:
    """Note that a worker that has no way to the archive gets this job; None where somebody else has it. Raises CannotWrite."""
    with Lock(library, group, "send"):
        if not is_free(library, library._recorder.folded(member.id), allowed):
            return None
        stage = Stage(library._store)
        given = stage.record(records.event_record(job=Link(member.id), name=HANDED_OUT, value=None))
        stage.commit(durable=True)
        return given


def hand_back(stage: Stage, member: Member, given: Link) -> None:
    """Note that the worker has it no more."""
    stage.record(records.event_record(job=Link(member.id), name=HANDED_BACK, value=given))


def was_cut_off(folded: model.Folded) -> bool:
    """Whether a job ran on this computer, and ended because its process did, or was told to."""
    attempt = folded.current
    if attempt is None or (attempt.record or {}).get("status") != "RUNNING":
        return False
    return folded.status == "UNKNOWN" or (folded.status == "ERROR" and (folded.error or {}).get("type") in _INTERRUPTS)
