"""What is cited, signed or handed on: a job, or the jobs of a group."""

from collections.abc import Iterable
from dataclasses import dataclass

from .. import config, seals
from ..errors import BadInput, NotFinished
from ..job import Job

UNDER_WAY = frozenset({"SENDING", "QUEUED", "RUNNING", "PAUSED"})


@dataclass(frozen=True)
class Subject:
    """A job, or a group by its name, and its jobs in order. `id` is the job's or the group's, `archive` the archive's."""

    id: str
    jobs: tuple[Job, ...]
    archive: str
    group: str | None = None

    @property
    def ended(self) -> tuple[Job, ...]:
        """The jobs with an outcome. Raises NotFinished while one is under way, and where none has ended."""
        for job in self.jobs:
            if job.outcome is None and job.status in UNDER_WAY:
                raise NotFinished(job.id[:12], job.status)
        ended = tuple(job for job in self.jobs if job.outcome is not None)
        if not ended and self.jobs:
            raise NotFinished(self.jobs[0].id[:12], self.jobs[0].status)
        if not ended:
            raise BadInput(f"the group {self.group}", "has no jobs")
        return ended

    @property
    def seal(self) -> bytes:
        """The job's seal, or that of all jobs of the group that have ended. Raises NotFinished, Damaged."""
        own = [next(job.seals()) for job in self.ended]
        return own[0] if self.group is None else seals.together(own)


@dataclass(frozen=True)
class Attribution:
    """Who is named, under what licence. `authors` as they are given, "Family, Given" or as one name; none is made up."""

    authors: tuple[str, ...] = ()
    orcid: str | None = None  # the first author's
    licence: str | None = None  # an SPDX id

    @classmethod
    def of(cls, author: str | None = None, orcid: str | None = None, licence: str | None = None) -> "Attribution":
        """What is given, else what the settings say. Raises BadInput for what cannot be so."""
        found = config.authorship(author=author, orcid=orcid, licence=licence)
        authors = tuple(filter(None, (each.strip() for each in found.get("author", "").split(" and "))))
        if "orcid" in found and not authors:
            raise BadInput("the ORCID", "has no author", 'name one too: `qarchive config set author "Family, Given"`')
        return cls(authors, found.get("orcid"), found.get("licence"))


def devices(jobs: Iterable[Job]) -> list[str]:
    """`provider:backend` of each device that jobs ran on, each once, in order of the jobs."""
    return list(dict.fromkeys(f"{job.provider}:{job.backend}" for job in jobs))
