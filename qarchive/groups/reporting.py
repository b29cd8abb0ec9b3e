"""How a group stands: in numbers, as a report that names circuits, and as bars that move."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .. import model
from ..errors import MissingExtra
from ..index import Member
from .sending import ACTIVE, FAILED, UNSENT

_REFRESH_S = 1.0
_WORDS = {
    "PREPARED": "not sent",
    "SENDING": "sent, and no answer came",
    "QUEUED": "waiting",
    "RUNNING": "running",
    "PAUSED": "paused",
    "REFUSED": "refused",
    "DONE": "done",
    "PARTIAL": "done in part",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "TIMED_OUT": "timed out",
    "UNKNOWN": "ended, and nobody saw how",
}


@dataclass(frozen=True)
class Stretch:
    """Jobs of a group that stand next to each other and alike; circuits are counted over the whole group."""

    first: int
    last: int
    jobs: int
    status: str
    backend: str
    reason: str

    @property
    def circuits(self) -> str:
        """ "circuit 7" or "circuits 200-299"."""
        return f"circuit {self.first}" if self.first == self.last else f"circuits {self.first}-{self.last}"

    def said(self, backend: bool) -> str:
        """What people read of it, with the backend's name where a group has several."""
        where = f" on {self.backend}" if backend else ""
        reason = f", {self.reason}" if self.reason else ""
        return f"{self.circuits}: {_WORDS.get(self.status, self.status)}{where}{reason}"

    def __str__(self) -> str:
        return self.said(backend=False)


def stretches(members: Iterable[Member]) -> Iterator[Stretch]:
    """The members of a group as the fewest stretches."""
    start, position, jobs, last = 0, 0, 0, None
    for member in members:
        alike = member.status, member.backend, member.error
        if last is not None and alike != last:
            yield Stretch(start, position - 1, jobs, *last)
            start, jobs = position, 0
        last, position, jobs = alike, position + member.size, jobs + 1
    if last is not None:
        yield Stretch(start, position - 1, jobs, *last)


@dataclass(frozen=True)
class Report:
    """A group as its members say it stands. `str` is the text for people."""

    name: str
    id: str
    jobs: int
    circuits: int
    statuses: dict[str, int]  # jobs
    stretches: tuple[Stretch, ...]

    def __str__(self) -> str:
        head = f"group {self.name}: {_count(self.jobs, 'job')}, {_count(self.circuits, 'circuit')}"
        counted = ", ".join(f"{number} {_WORDS.get(status, status)}" for status, number in self.statuses.items())
        several = len({stretch.backend for stretch in self.stretches}) > 1
        lines = [head + (f" ({counted})" if counted else ""), *(f"  {stretch.said(several)}" for stretch in self.stretches)]
        return "\n".join(lines)


def standing(name: str, id: str, members: Iterable[Member]) -> Report:
    """The report of a group."""
    found = tuple(stretches(members))
    statuses: Counter[str] = Counter()
    for stretch in found:
        statuses[stretch.status] += stretch.jobs
    ordered = {status: statuses[status] for status in reversed(model.STATUSES) if status in statuses}
    return Report(name, id, statuses.total(), found[-1].last + 1 if found else 0, ordered, found)


def progress(tally: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Numbers of jobs, in the form of Perceval's `JobGroup.progress`."""

    def number(statuses: Iterable[str]) -> int:
        return sum(tally.get(status, (0, 0))[0] for status in statuses)

    successful, unsuccessful, active, unsent = (number(each) for each in (("DONE",), FAILED, ACTIVE, UNSENT))
    return {
        "Total": successful + unsuccessful + active + unsent,
        "Finished": [successful + unsuccessful, {"successful": successful, "unsuccessful": unsuccessful}],
        "Unfinished": [active + unsent, {"sent": active, "not sent": unsent}],
    }


def bars(library_name: str, look: Callable[[], dict[str, Any]]) -> None:
    """Three bars of tqdm, moved until no job is active. Raises MissingExtra."""
    tqdm = _tqdm(library_name)
    form = "{desc}{percentage:3.0f}%|{bar}|{n_fmt}/{total_fmt}"
    found = look()
    active = found["Unfinished"][1]["sent"]
    shown = [tqdm(total=total, bar_format=form, desc=what, position=place, leave=True)
             for place, (what, total) in enumerate((("Successful jobs", found["Total"]), ("Running/waiting jobs", active),
                                                    ("Inactive/unsuccessful jobs", found["Total"])))]  # fmt: skip
    try:
        while True:
            (_, ended), (_, open_) = found["Finished"], found["Unfinished"]
            for bar, number in zip(
                shown, (ended["successful"], open_["sent"], ended["unsuccessful"] + open_["not sent"]), strict=True
            ):
                bar.n = number
                bar.refresh()
            if open_["sent"] == 0:
                return
            time.sleep(_REFRESH_S)
            found = look()
    finally:
        for bar in shown:
            bar.close()


class Bar:
    """One bar over the jobs of a run, on a terminal where tqdm is installed; else nothing."""

    def __init__(self, total: int):
        self._good = self._bad = 0
        try:
            self._bar = _tqdm("a progress bar")(
                total=total, bar_format="{percentage:3.0f}%|{bar}|{n_fmt}/{total_fmt}|{desc}", desc=self._said, disable=None
            )
        except MissingExtra:
            self._bar = None

    @property
    def _said(self) -> str:
        return f"Successful: {self._good}, Failed: {self._bad}"

    def told(self, status: str, job: str) -> None:
        """A job has ended."""
        self._good, self._bad = self._good + (status == "DONE"), self._bad + (status != "DONE")
        if self._bar is not None:
            self._bar.update(1)
            self._bar.set_description_str(self._said)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _tqdm(what: str) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise MissingExtra(what, "progress") from None
    return tqdm


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
