"""One group of jobs, as its user sees it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from .. import clouds, membership, model, records, scope
from ..calibration import Calibration, Drift, compare
from ..clouds import Clients
from ..errors import BadInput, GroupFailed, GroupNotFinished
from ..index import GroupRow, Member
from ..job import Job
from ..library import Library, moment_of
from ..providers import registry
from ..stage import Stage
from ..values import Link
from . import ending, preparing, selecting
from .budget import Budget
from .combined import GroupResult
from .reporting import Bar, Report, bars, progress, standing, stretches
from .running import Means, Run
from .sending import ACTIVE, FAILED, UNSENT
from .targets import Targets, clients_of
from .workers import made


class Group:
    """Jobs under one name: prepared, run, retried and joined, in this process or any other that has the archive.

    A sequence of `Job`, in the order in which they were added. What is called as in Perceval's JobGroup does what that does.
    """

    def __init__(self, library: Library, row: GroupRow):
        self._library, self._row = library, row
        self._prepared: dict[tuple[str, int], Any] = {}  # what was given to `add` and `map` here, by author and sequence

    @property
    def name(self) -> str:
        return self._row.name

    @property
    def id(self) -> str:
        """64 hexadecimal digits: another one for a group of the same name that was made in another archive."""
        return self._row.id.hex()

    @property
    def archive(self) -> str:
        """The id of the archive in which it was made."""
        return self._row.archive

    @property
    def created(self) -> datetime | None:
        """When its first job was recorded, in UTC; None while it has none."""
        return min((member.created.datetime for member in self.members(1)), default=None)

    # Preparing

    def add(self, target: Any, *args: Any, **kwargs: Any) -> list[Job]:
        """Prepare `target.run(*args, **kwargs)`, without sending it; the jobs that it becomes.

        `target` is what runs in its SDK: a backend with circuits, a primitive with PUBs, an emulator; a job of Perceval's not yet
        executed (`sampler.sample_count`), with the arguments of its execution; a client of Pasqal's, with the arguments of
        `create_batch`. A list of circuits or PUBs is cut into as many jobs as the target's declared limit asks for, or into
        jobs of 100 circuits. Raises BadInput, NotEncodable, CannotWrite.
        """
        self._library._recorder.settle()
        sequence, jobs = preparing.add(self._library, self._live(), target, args, kwargs)
        self._prepared[self._library.id, sequence] = target
        return [self._library._job(job.digest) for job in jobs]

    def map(self, target: Any, circuits: Iterable[Any], *, per_job: int | None = None, **options: Any) -> int:
        """Prepare jobs for circuits, or PUBs, that are read one by one, however many there are; their number.

        `options` are those of `target.run`. What is prepared stays prepared: after a kill the same circuits are given again,
        compared with those of the group, and gone on with; when all are there, nothing is added. What begins with another job's
        worth of circuits, or with other options, is a map of its own; but while a map is broken off, only its circuits are
        taken. Raises BadInput, NotEncodable, CannotWrite.
        """
        self._library._recorder.settle()
        sequence, number, _ = preparing.fill(self._library, self._live(), target, circuits, per_job, options)
        self._prepared[self._library.id, sequence] = target
        return number

    # Running

    def run_sequential(self, delay: float = 0, *, backends: Sequence[Any] = (), client: Any = None, max_cost: float | None = None,
                       resend: bool = False) -> None:  # fmt: skip
        """Send the unsent jobs one after another, each when the one before has ended, `delay` seconds later.

        Jobs run on what they were prepared for: the objects given to `add` in this process, else the device of that name that
        `client` (an SDK's own, or a function that makes one) reaches, else the one that the user's saved credentials reach, else
        the simulator as it was archived. `backends` are used instead, if given.

        Unsent are those that were never sent and those that were refused.

        A job that fails or is refused does not keep the next ones from being sent, and `report` names it. One that got no
        answer is looked for, and sent again only if `resend`: it may then run twice. With `max_cost`, in the unit in which
        the cloud charges, no job is started that may exceed it. Raises NotAnswered, BadInput, CannotWrite.
        """
        self._run(self._unsent(resend), Means(1, delay, tuple(backends), None, None, _budget(max_cost)), client)

    def run_parallel(self, max_parallel: int | None = None, *, executor: Executor | None = None, backends: Sequence[Any] = (),
                     client: Any = None, max_cost: float | None = None, resend: bool = False) -> None:  # fmt: skip
        """Send the unsent jobs, at most `max_parallel` at once, or as many as clouds take; those that run here in threads.

        A simulator that takes one job at a time in a process, as Aer's does, is faster in the processes of an `executor`. Where a
        cloud takes no more just now the rest waits for room. `executor` is any of `concurrent.futures` (threads, processes,
        Dask's `client.get_executor()`): its workers get ids and `client`, which is then a function that makes a client or a
        backend, never one with its token; they write into the archive, or hand back what they recorded where they
        do not reach it. All else is as in `run_sequential`.
        """
        if executor is not None and client is not None and not callable(client):
            raise BadInput(
                f"client={type(client).__name__}", "would be sent to workers with its token", "give a function that makes it"
            )
        if executor is not None and backends:
            raise BadInput("backends", "cannot be sent to workers", "give a function that makes one: `client=make_backend`")
        if max_parallel is not None and (type(max_parallel) is not int or max_parallel < 1):
            raise BadInput(f"max_parallel={max_parallel!r}", "is no number of jobs", "give 1 or more")
        self._run(
            self._unsent(resend),
            Means(max_parallel, 0.0, tuple(backends), executor, client if executor else None, _budget(max_cost)),
            client,
        )

    def launch_async_jobs(self, concurrent_job_count: int | None = None, *, client: Any = None) -> None:
        """Send the unsent jobs, and do not wait for those in clouds: `archive.sync()` or `track_progress` asks later."""
        self._run(self._unsent(False), Means(concurrent_job_count, waits=False), client)

    def rerun_failed_sequential(self, delay: float = 0, replace_failed_jobs: bool = True, *, backends: Sequence[Any] = (),
                                client: Any = None) -> None:  # fmt: skip
        """Send failed jobs again, one after another: a further attempt of each; with `replace_failed_jobs=False` a new job."""
        self._again(self._failed(lambda member: True), Means(1, delay, tuple(backends)), client, replace_failed_jobs)

    def rerun_failed_parallel(self, replace_failed_jobs: bool = True, *, backends: Sequence[Any] = (),
                              client: Any = None) -> None:  # fmt: skip
        """The same, as many at once as clouds take."""
        self._again(self._failed(lambda member: True), Means(backends=tuple(backends)), client, replace_failed_jobs)

    def retry(self, *, id: str | Sequence[str] | None = None, status: str | None = None, min_runs: int | None = None,
              max_runs: int | None = None, start_date: datetime | str | None = None, end_date: datetime | str | None = None,
              resend: bool = False, backends: Sequence[Any] = (), client: Any = None) -> None:  # fmt: skip
        """Send jobs again that failed or were refused, and that fit: a further attempt of each, which keeps the failed ones.

        `id` are ids of jobs, or the provider's own; `status` is one of the archive's; `min_runs` and `max_runs` bound the
        shots, `start_date` and `end_date` the creation, as in Pasqal's RebatchFilters. `resend` adds those of them that got no
        answer, and may then run twice. Jobs that were never sent are not for this: `run_parallel` sends them.
        """
        dates = moment_of("start_date", start_date), moment_of("end_date", end_date)
        fits = selecting.filtered(self._library, self._row, id, status, min_runs, max_runs, *dates)
        self._again(self._failed(fits, resend), Means(backends=tuple(backends)), client, replace=True)

    def cancel(self, client: Any = None) -> list[Job]:
        """Ask clouds to cancel the jobs that are under way; those that were asked for. Unsent ones stay unsent.

        Every job is tried. Raises BadInput where one is still under way and cannot be cancelled: it runs on this computer, say.
        """
        asked, problems = ending.cancel(self._library, self._of(ACTIVE), self._clients(client))
        self.update(client)
        left = [str(problems[member.id]) for member in self._of(ACTIVE) if member.id in problems]
        if left:
            jobs = "1 job is" if len(left) == 1 else f"{len(left)} jobs are"
            raise BadInput(f"the group {self.name}", f"{jobs} not cancelled ({left[0]})")
        return asked

    cancel_all = cancel

    def close(self, client: Any = None) -> list[str]:
        """Close the batches of Pasqal's and the sessions and batches of IBM's in which its jobs were sent; their ids.

        Every one is tried. Raises BadInput where one is not closed, with its cloud's reason.
        """
        closed, problems = ending.close(self._library, self.members(), self._clients(client))
        if problems:
            raise BadInput(f"the group {self.name}", "; ".join(problems))
        return closed

    @contextmanager
    def open_batch(self, client: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """An open batch of Pasqal's, `client.create_batch(*args, open=True, **kwargs)`: what is sent inside belongs to the group.

        It is closed at the end, on an exception, too, and what has ended by then is archived. One that cannot be closed, since
        the cloud has done so meanwhile (TIMED_OUT) or does not answer, is warned of: `close` tries again.
        """
        with self.joining(), registry.owner(client).recorded(client, self._library._recorder.way) as recorded:
            batch = recorded.create_batch(*args, **{"open": True, **kwargs})
            try:
                yield batch
            finally:
                ending.close_batch(batch)
        self.update(client)

    def rebatch(self, client: Any, batch: Any, filters: Any = None) -> Any:
        """Pasqal's own `client.rebatch`: jobs of a closed batch in a new one. They join the group, each with the link to the job
        that it repeats."""
        args = (getattr(batch, "id", batch), *(() if filters is None else (filters,)))
        with self.joining(), registry.owner(client).recorded(client, self._library._recorder.way) as recorded:
            return recorded.rebatch(*args)

    @contextmanager
    def joining(self) -> Iterator[None]:
        """What is executed inside, in whatever way it is recorded, belongs to the group, as in `archive.context(group=...)`."""
        row = self._live()
        with scope.within(group=row.name, places=membership.next_places(self._library._store, row)):
            yield

    # Looking

    def __len__(self) -> int:
        """The number of jobs."""
        return sum(jobs for jobs, _ in self._tally().values())

    def __iter__(self) -> Iterator[Job]:
        return (self._library._job(member.id) for member in self.members())

    def __getitem__(self, place: int | slice) -> "Job | list[Job]":
        if isinstance(place, slice):
            return list(self)[place]
        if place < 0:
            place += len(self)
        found = None
        if place >= 0:
            for number, found in enumerate(self.members(place + 1)):
                if number == place:
                    return self._library._job(found.id)
        raise IndexError(place)

    @property
    def remote_jobs(self) -> list[Job]:
        """Its jobs, in order: the name that Perceval has for them."""
        return list(self)

    @property
    def tags(self) -> list[str]:
        """All tags of its jobs."""
        return sorted({tag for job in self for tag in job.row.tags})

    def job(self, circuit: Any) -> tuple[Job, int]:
        """(the job that has a circuit, its index there): of an index over the whole group, a name, or a circuit."""
        return self._result().job(circuit)

    def statuses(self) -> list[str]:
        """The status of each job, in order."""
        return [member.status for member in self.members()]

    def error_messages(self) -> str | None:
        """What went wrong, a line for each job; None where nothing did."""
        found = [f"job {member.id.hex()[:12]}: {member.status}{f', {member.error}' if member.error else ''}"
                 for member in self._of(FAILED | {"REFUSED"})]  # fmt: skip
        return "\n".join(found) or None

    def list_successful_jobs(self) -> list[Job]:
        """Jobs that are DONE."""
        return self._jobs({"DONE"})

    def list_active_jobs(self) -> list[Job]:
        """Jobs that were sent and have not ended, as far as was seen."""
        return self._jobs(ACTIVE)

    def list_unsuccessful_jobs(self) -> list[Job]:
        """Jobs that ended badly: ERROR, CANCELLED, TIMED_OUT, PARTIAL, UNKNOWN."""
        return self._jobs(FAILED)

    def list_unsent_jobs(self) -> list[Job]:
        """Jobs that were never sent, or provably not accepted."""
        return self._jobs(UNSENT)

    def progress(self) -> dict[str, Any]:
        """Numbers of jobs: {"Total": n, "Finished": [n, {"successful": n, "unsuccessful": n}], "Unfinished": [n, {"sent": n, "not
        sent": n}]}, as Perceval has them."""
        return progress(self._tally())

    def track_progress(self, client: Any = None) -> None:
        """Show bars of tqdm, and ask clouds, until no job is active. Raises MissingExtra."""

        def look() -> dict[str, Any]:
            self.update(client)
            return self.progress()

        bars("track_progress", look)

    def update(self, client: Any = None) -> clouds.Report:
        """Ask clouds about the jobs that are under way, and archive what is new, as `archive.sync` does for all."""
        self._library._recorder.settle()
        jobs = [member.id for member in self._of(ACTIVE)]
        return clouds.sync(self._library._recorder, registry.named, self._clients(client), jobs)

    def report(self) -> Report:
        """How it stands, with the circuits that each part of it has ("circuits 200-299: refused, no credit left").

        Read from the index: no circuit and no result is loaded. Print it, or look at its fields.
        """
        return standing(self.name, self.id, self.members())

    # Results

    def get_results(self) -> list[Any]:
        """The SDK's result object of each job, in order; None where there is none. No network, whatever became of the account."""
        found = []
        for member in self.members():
            job = self._library._job(member.id)
            found.append(job.result() if member.status in ("DONE", "PARTIAL") and "result" in (job.outcome or {}) else None)
        return found

    def result(self, partial: bool = False) -> GroupResult:
        """The results of all circuits as one, however many jobs it took; with `partial` of those that there are.

        Raises NotFinished while some are not done, JobFailed where some failed; `failures` of a partial one lists them.
        """
        found = self._result()
        if found.failures and not partial:
            worst = found.failures[0]
            more = f", and {len(found.failures) - 1} more" if len(found.failures) > 1 else ""
            if any(stretch.status in ACTIVE | UNSENT for stretch in found.failures):
                raise GroupNotFinished(self.name, f"{worst}{more}")
            raise GroupFailed(self.name, f"{worst}{more}")
        return found

    def calibrations(self) -> list[Calibration | None]:
        """The calibration with which each job was run, or sent where that is not known; None where there is none."""
        return [found[-1] if (found := _of_run(job)) else None for job in self]

    def drift(self) -> dict[str, list[Drift]]:
        """How the figures of each device changed from the first calibration in the group to the last, by device."""
        ends: dict[str, tuple[Calibration, Calibration]] = {}
        for job in self:
            for calibration in _of_run(job)[-1:]:
                first, _ = ends.get(job.backend, (calibration, calibration))
                ends[job.backend] = first, calibration
        return {device: compare(first, last) for device, (first, last) in ends.items()}

    def __repr__(self) -> str:
        number = len(self)
        origin = "" if self.archive == self._library.id else f", from archive {self.archive[:8]}"
        return f"<group {self.name}: {number:,} {'job' if number == 1 else 'jobs'}{origin}>"

    def _repr_html_(self) -> str:
        from .. import notebook  # what is not shown needs no drawings

        tally = sorted(self._tally().items(), key=lambda item: -model.RANK[item[0]])
        return notebook.group(self.name, self.id, [(status, *numbers) for status, numbers in tally])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and other._row.id == self._row.id

    def __hash__(self) -> int:
        return hash(self._row.id)

    # Deleting

    def delete(self, jobs: bool = False) -> int:
        """Delete it with its unsent jobs, and with `jobs` all of them; how many. It is this archive's affair alone.

        Raises BadInput while jobs of it are under way.
        """
        self._live()
        self.check_idle()
        stage, deleted = Stage(self._library._store), 0
        for member in self.members():
            if jobs or member.status == "PREPARED":
                stage.record(records.removal_record(job=Link(member.id)))
                deleted += 1
        stage.record(records.removal_record(group=Link(self._row.id)))
        stage.commit(durable=True)
        self._library._store.index.refresh()  # what runs next under this name must not join it
        return deleted

    def check_idle(self) -> None:
        """Raises BadInput while jobs of it are under way."""
        if self._tally().keys() & ACTIVE:
            raise BadInput(f"the group {self.name}", "has jobs under way", "wait for them or cancel them: `group.cancel()`")

    # Inside

    def _live(self) -> GroupRow:
        """The group, for something that is added to it. Raises BadInput for one that was deleted."""
        if any(row.removed for row in self._library._store.index.groups(self.name) if row.id == self._row.id):
            raise BadInput(f"the group {self.name}", "was deleted", f"make it anew: `archive.group({self.name!r})`")
        return self._row

    def members(self, limit: int = -1) -> Iterator[Member]:
        """Its jobs as the index has them, in order: status, circuits, error; at most `limit` of them."""
        self._library._recorder.settle()
        return selecting.every(self._library, self._row, limit)

    def _of(self, statuses: Iterable[str]) -> list[Member]:
        return [member for member in self.members() if member.status in statuses]

    def _jobs(self, statuses: Iterable[str]) -> list[Job]:
        return [self._library._job(member.id) for member in self._of(statuses)]

    def _tally(self) -> dict[str, tuple[int, int]]:
        self._library._recorder.settle()
        return self._library._store.index.tally(self._row.id)

    def _result(self) -> GroupResult:
        failures = [stretch for stretch in stretches(self.members()) if stretch.status not in ("DONE", "PARTIAL")]
        return GroupResult(self._library, self._row, self.members(), failures)

    def _clients(self, client: Any) -> Clients:
        return clients_of(client, self._prepared.values())

    def _unsent(self, resend: bool) -> Callable[[], Iterator[selecting.Unit]]:
        return lambda: selecting.unsent(self._library, self._row, resend)

    def _failed(self, fits: Callable[[Member], bool], resend: bool = False) -> Callable[[], Iterator[selecting.Unit]]:
        return lambda: selecting.failed(self._library, self._row, fits, resend)

    def _again(self, units: Callable[[], Iterator[selecting.Unit]], means: Means, client: Any, replace: bool) -> None:
        if replace:
            self._run(units, means, client)
        else:
            failed = [member for unit in units() for member in unit.members]
            added = [preparing.copy(self._library, self._live(), member) for member in failed]
            for old, new in zip(failed, added, strict=True):
                if (old.author, old.sequence) in self._prepared:
                    self._prepared[new.author, new.sequence] = self._prepared[old.author, old.sequence]
            self._run(lambda: (selecting.Unit((member,), UNSENT) for member in added), means, client)

    def _run(self, units: Callable[[], Iterator[selecting.Unit]], means: Means, client: Any) -> None:
        row, recorder = self._live(), self._library._recorder
        recorder.settle()
        clients = self._clients(client) if means.make is None else made(means.make)[0]
        jobs = [member.id for member in self._of(ACTIVE)]
        if jobs:
            clouds.sync(recorder, registry.named, clients, jobs)
            clouds.recover(recorder, registry.named, clients, jobs)
        if means.budget is not None:
            means.budget.count(self._library, (member.id for member in self.members()))
        tally = progress(self._tally())
        bar = Bar(tally["Unfinished"][0])
        try:
            run = Run(self._library, row, Targets(self._library, clients, self._prepared), means, bar.told)
            run.go(units(), [member.id for member in self._of(ACTIVE)])
        finally:
            bar.close()


def _of_run(job: Job) -> list[Calibration]:
    """The calibrations of the time of sending and of running."""
    return [calibration for calibration in job.calibrations if calibration.phase in ("submit", "run")]


def _budget(most: float | None) -> Budget | None:
    return None if most is None else Budget(most)
