"""Two archives side by side, such as two bundles: which jobs are in both, which are the same run, and what differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..job import Job
from . import jobs, two_sample
from .jobs import LEVEL, SECTIONS, Diff

ID, RUN, ALONE = "id", "run", "alone"


@dataclass(frozen=True)
class Pair:
    """Two jobs that belong together, and what they differ in.

    `by` says why: "id" (it is one job), "run" (input, configuration and backend's name are the same) or "alone" (each is the
    only job of its side). `diff` is None where all records are the same, and nothing had to be compared.
    """

    by: str
    one: Job
    other: Job
    diff: Diff | None

    @property
    def differs(self) -> bool:
        return self.diff is not None and self.diff.differs

    @property
    def undecided(self) -> bool:
        """Whether the results were to be compared, and one job has none."""
        return self.diff is not None and "result" in self.diff.sections and self.diff.result.verdict is None


@dataclass(frozen=True)
class BundlesDiff:
    """Pairs of jobs, those of one id first, then in the order of the first side; and the jobs that only one side has."""

    pairs: tuple[Pair, ...]
    only_one: tuple[Job, ...]
    only_other: tuple[Job, ...]

    @property
    def differs(self) -> bool:
        """Whether a pair differs, or one side has a job that the other has not."""
        return bool(self.only_one or self.only_other) or any(pair.differs for pair in self.pairs)


def diff(one: Any, other: Any, level: float = LEVEL, only: tuple[str, ...] = SECTIONS) -> BundlesDiff:
    """Pair all jobs of two archives (`qarchive.Archive`) and compare each pair, as `jobs.diff` does.

    Jobs of one id are pairs. Of the rest those whose input, configuration, provider and backend's name are the same are paired
    in their order; and two jobs that are alone on their sides are a pair, whatever they ran. The level holds for all pairs
    together: each is compared at its share of it. What is found reads from the archives, as long as they are open.

    Raises BadInput for a level that is none, Damaged.
    """
    ones, others = ([*side.jobs(order="oldest"), *side.jobs(kind="mock", order="oldest")] for side in (one, other))
    by_id = {job.id: job for job in others}
    found = [(ID, job, by_id[job.id]) for job in ones if job.id in by_id]
    paired = {job.id for _, job, _ in found}
    rest, left = ([job for job in side if job.id not in paired] for side in (ones, others))
    if len(ones) == len(others) == len(rest) == 1:
        found, rest, left = [(ALONE, rest[0], left[0])], [], []
    runs, rest, left = _same_runs(rest, left)
    found += runs
    two_sample.counts({}, {}, level)  # refuses what is no level, also where there is no pair
    same = [_is_the_same(*pair) for pair in found]
    share = level / max(same.count(False), 1)
    pairs = [Pair(*pair, None if known else jobs.diff(*pair[1:], share, only)) for pair, known in zip(found, same, strict=True)]
    return BundlesDiff(tuple(pairs), tuple(rest), tuple(left))


def _same_runs(ones: Sequence[Job], others: Sequence[Job]) -> tuple[list[tuple[str, Job, Job]], list[Job], list[Job]]:
    """(pairs, what is left of each side)."""
    waiting: dict[Any, list[Job]] = {}
    for job in reversed(others):
        waiting.setdefault(_run(job), []).append(job)
    found, rest = [], []
    for job in ones:
        if there := waiting.get(_run(job)):
            found.append((RUN, job, there.pop()))
        else:
            rest.append(job)
    taken = {job.id for _, _, job in found}
    return found, rest, [job for job in others if job.id not in taken]


def _run(job: Job) -> tuple:
    return job.record["input"], job.record["config"], job.provider, job.backend


def _is_the_same(by: str, one: Job, other: Job) -> bool:
    """Whether both have the same records, and so the same of everything."""
    return by == ID and {entry["digest"] for entry in one.history} == {entry["digest"] for entry in other.history}
