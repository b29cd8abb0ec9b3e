"""Running a group: jobs are sent as there is room for them, and waited for, until none is left."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .. import clouds, model
from ..errors import BadInput, CannotWrite, Damaged, MissingExtra, NotAnswered, QArchiveError
from ..index import GroupRow
from ..library import Library
from ..providers import hooks, registry
from ..providers.base import Cloud
from ..values import Link
from . import interrupts, preparing, workers
from .budget import Budget
from .lanes import Lane
from .selecting import Unit, every
from .sending import ACTIVE, Sender, Sent, hand_out
from .targets import Targets, is_remote

_POLL_S = (0.1, 30.0)  # how often a cloud is asked about a job, by its age: a tenth of it, within these
_SLICE_S = 0.2  # the longest sleep, so that an interrupt is heard
_HELD = 1000  # jobs taken from the group that wait for their lane
_IN_HAND = 64  # tasks that an executor is given at once, unless max_parallel says otherwise
_SENDING_S = 1000.0  # the longest that another process is given to send a job: IBM's SDK waits a quarter of an hour for an answer
_PATIENCE = 10  # questions in a row without an answer, each after a longer pause; then it is given up


@dataclass
class _UnderWay:
    """A job in a cloud."""

    job: bytes
    lane: Lane
    since: float
    ask_at: float
    failures: int = 0


@dataclass
class Means:
    """How a run is to be done."""

    parallel: int | None = None  # jobs at once; None: as many as clouds take, and processors are there
    delay: float = 0.0  # seconds between the end of one job and the start of the next
    backends: Sequence[Any] = ()  # run the jobs on these, whatever they were prepared for
    executor: Executor | None = None
    make: Callable[[], Any] | None = None  # makes a client or a backend, in whatever process
    budget: Budget | None = None
    waits: bool = True  # for the end of the jobs, once all are sent


class Run:
    """One run of a group by this process. Others may run it at the same time: each job is sent once."""

    def __init__(self, library: Library, group: GroupRow, targets: Targets, means: Means, told: Callable[[str, str], None]):
        """`told` hears of every job that ends: its status and its id."""
        self._library, self._group, self._targets, self._means, self._told = library, group, targets, means, told
        self._recorder = library._recorder
        self._sender = Sender(library, group, targets)
        self._under_way: list[_UnderWay] = []
        self._futures: dict[Future, tuple[Unit, Lane, Link | None]] = {}
        self._lanes: dict[Any, Lane] = {}
        self._shared: deque[Unit] = deque()  # for any of `backends`
        self._pool: ThreadPoolExecutor | None = None
        self._handing_over = False  # workers have no way to the archive
        self._unanswered: list[bytes] = []
        self._followed: set[bytes] = set()
        self._stopped = ""  # why nothing more is sent
        self._exhausted = False  # whether all units were taken
        self._not_before = 0.0
        self.words: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        for number, backend in enumerate(means.backends):
            self._lanes[number] = self._lane_of_backend(backend)

    def go(self, units: Iterator[Unit], active: Iterable[bytes] = ()) -> None:
        """Send the units, wait for them and for the jobs that are under way already. Raises NotAnswered, CannotWrite."""
        try:
            for job in active:
                self._follow(job)
            while True:
                self._fill(units)
                if self._all_sent and not self._futures and not (self._under_way and self._means.waits):
                    if not self._recover() and not self._join():
                        break
                    continue
                self._wait()
        finally:
            for future, (unit, _, given) in self._futures.items():
                future.cancel()
                if given is not None:  # nobody listens to the worker any more
                    with suppress(QArchiveError):
                        workers.take_back(self._library, unit.members[0], given, None)
            if self._pool is not None:
                if self._futures:
                    self._sender.stop()  # else a thread would go on to send while Python ends, and record that as a failure
                self._pool.shutdown(wait=not self._futures, cancel_futures=True)
        self._recorder.settle()
        self._complain()

    @property
    def _all_sent(self) -> bool:
        """Whether nothing is left to be sent, or nothing more is to be."""
        waiting = self._shared or any(lane.backlog for lane in self._lanes.values() if not lane.closed)
        return bool(self._stopped) or (self._exhausted and not waiting)

    # Starting

    def _fill(self, units: Iterator[Unit]) -> None:
        """Start what there is room for."""
        while not self._stopped and time.monotonic() >= self._not_before:
            if self._means.parallel is not None and self._busy >= self._means.parallel:
                return
            if self._means.executor is not None and len(self._futures) >= (self._means.parallel or _IN_HAND):
                return
            if self._means.budget is not None and not self._affordable():
                return
            found = self._next(units)
            if found is None:
                return
            interrupts.listen()  # an SDK may have been loaded
            self._start(*found)
            self._recorder.settle()

    @property
    def _busy(self) -> int:
        return len(self._under_way) + len(self._futures)

    def _affordable(self) -> bool:
        budget = self._means.budget
        if budget.allows(self._busy):
            return True
        if not self._busy:
            self._stop(str(budget))
        return False

    def _next(self, units: Iterator[Unit]) -> tuple[Unit, Lane] | None:
        """The next unit whose lane is ready; None where there is none now."""
        if self._means.backends:
            lane = min((lane for lane in self._lanes.values() if lane.ready), key=lambda lane: lane.under_way, default=None)
            if lane is None:
                if all(lane.closed for lane in self._lanes.values()):
                    self._stop("; ".join(sorted({lane.closed for lane in self._lanes.values()})))
                return None
            unit = self._shared.popleft() if self._shared else self._pull(units)
            return None if unit is None else (unit, lane)
        for lane in self._lanes.values():
            if lane.closed:
                self._drop(lane)
            elif lane.backlog and lane.ready:
                return lane.backlog.popleft(), lane
        while sum(len(lane.backlog) for lane in self._lanes.values()) < _HELD and (unit := self._pull(units)) is not None:
            lane = self._lane_of(unit)
            if lane is None:
                continue
            if lane.ready and not lane.backlog:
                return unit, lane
            if lane.closed:
                self._count(Sent("kept", lane.closed))
            else:
                lane.backlog.append(unit)
        return None

    def _pull(self, units: Iterator[Unit]) -> Unit | None:
        unit = next(units, None)
        self._exhausted = unit is None
        return unit

    def _queue(self, lane: Lane) -> deque[Unit]:
        """Where a unit of a lane waits: any of several backends takes it."""
        return self._shared if self._means.backends else lane.backlog

    def _drop(self, lane: Lane) -> None:
        while lane.backlog:
            lane.backlog.popleft()
            self._count(Sent("kept", lane.closed))

    def _lane_of(self, unit: Unit) -> Lane | None:
        """The lane that a unit was prepared for; None where its device cannot be had."""
        record = self._library._store.value(unit.members[0].id)
        provider = registry.named(record["provider"])
        if not is_remote(self._library, unit.members[0], record):
            return self._lanes.setdefault("here", Lane("this computer", None, None, None, self._at_once))
        key = (provider.name, record["backend"])
        if key not in self._lanes:
            if self._means.budget is not None:
                self._means.budget.check(provider)
            try:
                device = self._targets.of(unit.members[0], record)
                client = provider.client_of(device)
                client = self._targets.client(provider) if client is None else client
                self._lanes[key] = Lane(record["backend"], provider, client, device)
            except QArchiveError as error:
                self._lanes[key] = Lane(record["backend"], provider, None, None)
                self._lanes[key].closed = str(error)
                self._count(Sent("kept", str(error)))
                return None
        return self._lanes[key]

    def _lane_of_backend(self, backend: Any) -> Lane:
        provider = registry.owner(backend)
        if isinstance(provider, Cloud) and provider.elsewhere(backend):
            if self._means.budget is not None:
                self._means.budget.check(provider)
            return Lane(str(getattr(backend, "name", provider.name)), provider, provider.client_of(backend), backend)
        return Lane(str(getattr(backend, "name", type(backend).__name__)), None, None, backend, self._at_once)

    @property
    def _at_once(self) -> int | None:
        """How many jobs run on this computer at once."""
        return None if self._means.executor is not None else self._means.parallel or os.cpu_count() or 1

    def _start(self, unit: Unit, lane: Lane) -> None:
        """Send a unit, or have it sent."""
        device = lane.device if self._means.backends else None
        if self._means.executor is not None and not (self._handing_over and lane.provider is not None):
            self._submit(unit, lane)
        elif lane.provider is None and self._means.parallel != 1:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="qarchive-group")
            task = self._pool.submit(workers.send_here, self._library, self._sender, unit.members, unit.allowed, device)
            self._futures[task] = (unit, lane, None)
            lane.under_way += 1
        else:
            lane.under_way += 1
            self._was_sent(unit, lane, workers.send_here(self._library, self._sender, unit.members, unit.allowed, device))

    def _submit(self, unit: Unit, lane: Lane) -> None:
        """Give a unit to the executor."""
        given, make = None, self._means.make
        if self._handing_over:
            given = hand_out(self._library, self._group, unit.members[0], unit.allowed)
            if given is None:
                self._taken(unit)
                return
            task = (workers.run_handed_out, workers.closure(self._library, unit.members[0].id), tuple(sorted(unit.allowed)), make)
        else:
            task = (workers.carry_out, workers.order(self._library, self._group, unit, make))
        try:
            future = self._means.executor.submit(*task)
        except BaseException as error:
            if given is not None:
                workers.take_back(self._library, unit.members[0], given, None)
            if not isinstance(error, RuntimeError):  # what executors raise that are shut down or broken
                raise
            self._stop(f"the executor takes no more ({error})")
            return
        self._futures[future] = (unit, lane, given)
        lane.under_way += 1

    def _taken(self, unit: Unit) -> None:
        """Another process has it; its end is waited for here, too."""
        self._count(Sent("taken"))
        for member in unit.members:
            if self._recorder.folded(member.id).status in ACTIVE:
                self._follow(member.id)

    # What came of it

    def _was_sent(self, unit: Unit, lane: Lane, sent: Sent) -> None:
        """A unit is under way, has ended, or was not taken."""
        if sent.word == "busy":
            lane.under_way -= 1
            lane.busy(sent.reason)
            self._queue(lane).appendleft(unit)
            self.reasons["busy"] = sent.reason
            return
        if sent.word == "size" and self._halved(unit, lane):
            lane.under_way -= 1
            return
        if sent.word != "taken":
            self._count(sent)
        if sent.word == "sent":
            lane.sent()
            lane.under_way += len(unit.members) - 1  # each of them ends by itself
            for member in unit.members:
                self._follow(member.id, lane)
            return
        lane.under_way -= 1
        if sent.word == "taken":
            self._taken(unit)
        if sent.word == "unanswered":
            self._unanswered += [member.id for member in unit.members]
        elif sent.word == "denied":
            lane.closed = sent.reason
        elif sent.word in ("refused", "size"):
            lane.refused(sent.reason)
        if sent.word in ("refused", "size", "denied", "failed"):
            for member in unit.members:
                self._ended(member.id)

    def _halved(self, unit: Unit, lane: Lane) -> bool:
        """Two smaller jobs take the place of one that was too large."""
        member = unit.members[0]
        if len(unit.members) > 1 or member.size < 2:
            return False
        try:
            device = lane.device if self._means.backends else self._targets.of(member, self._library._store.value(member.id))
            halves = preparing.halve(self._library, member, self._group, device)
        except BadInput:
            return False
        found = [self._library._store.index.member(link.digest) for link in halves]
        self._queue(lane).extendleft(Unit((member,), unit.allowed) for member in reversed(found))
        return True

    def _follow(self, job: bytes, lane: Lane | None = None) -> None:
        """Wait for a job, unless it has ended already."""
        self._followed.add(job)
        folded = self._recorder.folded(job)
        if folded.status in model.TERMINAL or folded.status == "UNKNOWN" or folded.current is None:
            if lane is not None:
                lane.under_way -= 1
                lane.ended()
            self._ended(job, folded)
            return
        if lane is None:
            provider = registry.named(folded.record["provider"])
            key = (provider.name, folded.backend)
            lane = self._lanes.get(key) or Lane(folded.backend, provider, None, None)
            lane.under_way += 1
        if _has_no_answer(folded.current) and not self._is_being_sent(folded.current):
            lane.under_way -= 1
            self._unanswered.append(job)
            return
        now = time.monotonic()
        self._under_way.append(_UnderWay(job, lane, now, now + _POLL_S[0]))

    def _is_being_sent(self, attempt: model.Attempt) -> bool:
        """Whether another process is sending it just now: it lives, and has not noted that there was no answer."""
        noted = any(record["type"] == "status" for _, record in attempt.later)
        return not noted and self._library._store.writer_lives(attempt.digest)

    def _join(self) -> bool:
        """Wait for what other processes have sent of this group meanwhile, too; whether there was any."""
        if not self._means.waits or not self._library._store.index.tally(self._group.id).keys() & ACTIVE:
            return False
        found = [member.id for member in every(self._library, self._group)
                 if member.status in ACTIVE and member.id not in self._followed]  # fmt: skip
        for job in found:
            self._follow(job)
        return bool(found)

    def _ended(self, job: bytes, folded: model.Folded | None = None) -> None:
        folded = folded or self._recorder.folded(job)
        self._told(folded.status, job.hex())
        if self._means.delay:
            self._not_before = time.monotonic() + self._means.delay
        if self._means.budget is not None:
            try:
                self._means.budget.add(folded)
            except BadInput as error:
                self._stop(str(error))

    def _count(self, sent: Sent) -> None:
        self.words[sent.word] += 1
        if sent.reason:
            self.reasons[sent.word] = sent.reason

    def _stop(self, reason: str) -> None:
        self._stopped = self._stopped or reason

    # Waiting

    def _wait(self) -> None:
        """Hear of tasks that are done, ask about jobs in clouds, or sleep a little."""
        interrupts.listen()
        now = time.monotonic()
        moments = [under_way.ask_at - now for under_way in self._under_way]
        moments += [moment for lane in self._lanes.values() if (moment := lane.ready_in_s) is not None]
        pause = min(_SLICE_S, max(0.005, min(moments, default=_SLICE_S)))
        if self._futures:
            done, _ = wait_for(list(self._futures), timeout=pause, return_when=FIRST_COMPLETED)
            for future in done:
                self._done(future)
        else:
            time.sleep(pause)
        for under_way in [each for each in self._under_way if each.ask_at <= time.monotonic()]:
            self._ask(under_way)

    def _done(self, future: Future) -> None:
        """A task of an executor has ended."""
        unit, lane, given = self._futures.pop(future)
        try:
            found = future.result()
        except (KeyboardInterrupt, SystemExit, CannotWrite, MissingExtra):
            raise
        except BaseException as error:
            lane.under_way -= 1
            if isinstance(error, BrokenExecutor):
                self._stop(f"the executor is broken ({error})")
            if given is not None:
                workers.take_back(self._library, unit.members[0], given, None)
            self._count(Sent("kept", f"{type(error).__name__}: {error}"))
            return
        if given is not None:
            try:
                workers.take_back(self._library, unit.members[0], given, getattr(found, "blobs", None) or [()])
            except Damaged as error:
                lane.under_way -= 1
                self._count(Sent("kept", str(error)))
                return
            found = found.sent
        if found.word == "elsewhere":
            lane.under_way -= 1
            self._handing_over = True
            self._queue(lane).appendleft(unit)
            return
        self._was_sent(unit, lane, found)

    def _ask(self, under_way: _UnderWay) -> None:
        """Ask a cloud about a job."""
        folded = self._recorder.folded(under_way.job)
        attempt = folded.current
        over = folded.status in model.TERMINAL
        try:
            if not over and _has_no_answer(attempt):
                if time.monotonic() - under_way.since > _SENDING_S or not self._is_being_sent(attempt):
                    self._under_way.remove(under_way)
                    under_way.lane.under_way -= 1
                    self._unanswered.append(under_way.job)
                    return
            elif not over and attempt.record is not None and attempt.record["status"] == "SENDING":
                provider = registry.named(folded.record["provider"])
                client = under_way.lane.client if under_way.lane.client is not None else self._targets.client(provider)
                over = clouds.collect(self._recorder, provider, client, Link(under_way.job), attempt, clouds.Report())
            elif not over:
                over = self._recorder.wait(Link(under_way.job), 0) and self._gone(folded)
            under_way.failures = 0
        except QArchiveError as error:
            if type(error) not in (BadInput, NotAnswered):
                raise
            under_way.failures += 1
            if under_way.failures >= _PATIENCE:
                raise NotAnswered(len(self._under_way), str(error)) from None
        if over:
            self._under_way.remove(under_way)
            under_way.lane.under_way -= 1
            under_way.lane.ended()
            self._ended(under_way.job)
            return
        shortest, longest = _POLL_S
        now = time.monotonic()
        pause = max(shortest, (now - under_way.since) / 10, shortest * 2.0**under_way.failures if under_way.failures else 0)
        under_way.ask_at = now + min(longest, pause)

    def _gone(self, folded: model.Folded) -> bool:
        """Whether a job on this computer will have no outcome: its process has ended."""
        report = clouds.sync(self._recorder, registry.named, clouds.Clients(None), [folded.id])
        return bool(report.lost)

    def _recover(self) -> bool:
        """Look once for what got no answer; whether anything was found that is to be waited for."""
        jobs, self._unanswered = self._unanswered, []
        if not jobs:
            return False
        found = clouds.recover(self._recorder, registry.named, self._targets.clients, jobs)
        for job in map(bytes.fromhex, (*found.collected, *found.waiting, *found.lost)):
            self._follow(job)
        return bool(self._under_way)

    def _complain(self) -> None:
        """Warn of what was not sent, once for each reason."""
        if self._stopped:
            hooks.warn(f"group {self._group.name}: stopped; {self._stopped}")
        for word, what in (("kept", "could not be sent"), ("refused", "refused"), ("size", "too large"), ("denied", "refused"),
                           ("unanswered", "without an answer, and may run; `qarchive recover` looks for it")):  # fmt: skip
            number = self.words[word]
            if number:
                jobs = "1 job" if number == 1 else f"{number} jobs"
                reason = f" ({self.reasons[word]})" if word in self.reasons else ""
                hooks.warn(f"group {self._group.name}: {jobs} {what}{reason}")


def _has_no_answer(attempt: model.Attempt) -> bool:
    """Whether an attempt was about to be sent to a cloud, and nothing more is known."""
    return attempt.provider_job is None and attempt.status == "SENDING"
