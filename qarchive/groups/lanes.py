"""Lanes: where jobs are sent, each a device with what its cloud allows at once."""

import time
from collections import deque
from typing import Any

from ..providers.base import Cloud
from .selecting import Unit

_PAUSE_S = (0.5, 60.0)  # after "too many just now", at first and at most
_SAME_REFUSALS = 10  # so many in a row with the same words: the next ones would be refused, too


class Lane:
    """One device, or this computer. Times are those of `time.monotonic`."""

    def __init__(self, name: str, provider: Cloud | None, client: Any, device: Any, most: int | None = None):
        self.name, self.provider, self.client, self.device = name, provider, client, device
        self.most = most  # jobs at once
        self.backlog: deque[Unit] = deque()  # taken from the group, and not sent yet
        self.under_way = 0
        self.closed = ""  # why nothing more is sent here
        self.waits_for = ""  # why nothing is sent just now
        self._pause = 0.0
        self._not_before = 0.0
        self._room: int | None = None
        self._last_refusal, self._refusals = "", 0

    @property
    def ready(self) -> bool:
        """Whether a job may be sent now; a cloud that tells how many it takes is asked."""
        if self.closed or time.monotonic() < self._not_before or (self.most is not None and self.under_way >= self.most):
            return False
        if self.provider is None:
            return True
        if not self._room:
            self._room = self.provider.room(self.client, self.device)
            if self._room == 0:
                self.busy("its limit of jobs at once is reached")
                return False
        return True

    @property
    def ready_in_s(self) -> float | None:
        """How long to wait before it is worth asking again; None where that does not depend on time."""
        pause = self._not_before - time.monotonic()
        return pause if pause > 0 else None

    def sent(self) -> None:
        """One job was accepted."""
        self._room = self._room - 1 if self._room else None
        self._pause, self.waits_for = 0.0, ""
        self._last_refusal, self._refusals = "", 0

    def ended(self) -> None:
        """One job has ended, and there may be room for another."""
        self._not_before, self._pause, self._room = 0.0, 0.0, None

    def busy(self, reason: str) -> None:
        """It takes no more just now: wait, and each time longer."""
        shortest, longest = _PAUSE_S
        self._pause = min(longest, max(shortest, 2 * self._pause))
        self._not_before = time.monotonic() + self._pause
        self._room, self.waits_for = None, reason

    def refused(self, reason: str) -> None:
        """A job was refused for good; after many with the same words nothing more is sent."""
        self._refusals = self._refusals + 1 if reason == self._last_refusal else 1
        self._last_refusal = reason
        if self._refusals >= _SAME_REFUSALS:
            self.closed = f"{self._refusals} jobs in a row were refused ({reason})"
