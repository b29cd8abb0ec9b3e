"""Jobs that are cancelled, and batches and sessions that are closed."""

from collections.abc import Callable, Iterable
from typing import Any

from .. import clouds
from ..clouds import Clients
from ..errors import BadInput, QArchiveError
from ..index import Member
from ..job import Job
from ..library import Library
from ..providers import hooks, registry
from ..providers.base import Cloud
from ..values import Link
from .sending import UNSENT

_BATCHES = ("batch", "session")


def cancel(library: Library, members: Iterable[Member], clients: Clients) -> tuple[list[Job], dict[bytes, QArchiveError]]:
    """(the jobs whose clouds were asked to cancel them, why others were not by their ids)."""
    asked: list[Job] = []
    problems: dict[bytes, QArchiveError] = {}
    for member in members:
        job = library._job(member.id)
        try:
            _cancel(library, job, clients)
            asked.append(job)
        except QArchiveError as error:
            problems[member.id] = error
    return asked, problems


def _cancel(library: Library, job: Job, clients: Clients) -> None:
    provider = registry.named(job.provider)
    attempt = job.folded.current
    if not isinstance(provider, Cloud) or attempt.record is None or attempt.record["status"] == "RUNNING":
        raise BadInput(f"job {job.id[:12]}", "it runs on this computer", "interrupt what runs it")
    if attempt.provider_job is None:
        raise BadInput(f"job {job.id[:12]}", "its sending got no answer", "`qarchive recover` looks for it")
    origin = clouds.origin(library._recorder, Link(bytes.fromhex(job.id)), attempt)
    provider.cancel(clients.of(provider), attempt.provider_job, origin)


def close(library: Library, members: Iterable[Member], clients: Clients) -> tuple[list[str], list[str]]:
    """(ids of the batches and sessions of jobs that were closed, what is wrong with others)."""
    held: dict[tuple[str, str], None] = {}
    for member in members:
        if member.status in UNSENT:
            continue
        folded = library._recorder.folded(member.id)
        for attempt in folded.attempts:
            for _, record in attempt.later:
                held |= {(folded.record["provider"], record[name]): None for name in _BATCHES if name in record}
    closed, problems = [], []
    for name, batch in held:
        provider = registry.named(name)
        try:
            provider.close(clients.of(provider), batch)
            closed.append(batch)
        except QArchiveError as error:
            problems.append(f"{batch} is not closed: {error}")
    return closed, problems


def close_batch(batch: Any) -> None:
    """Close an open batch. What its SDK raises is warned of, since it must not hide what was raised or came out before."""
    said = _raised(batch.close)
    if said is not None:
        hooks.warn(f"batch {batch.id} is not closed: {said}")
        _raised(batch.refresh)  # what became of it (TIMED_OUT) is recorded with its jobs, and its user's object knows


def _raised(call: Callable[[], Any]) -> str | None:
    """The first line of what a call raised, but for interrupts; Pasqal's own errors are no Exceptions."""
    try:
        call()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None
