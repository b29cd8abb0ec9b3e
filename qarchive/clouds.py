"""Jobs that ended when nobody looked, that ran without the archive, or whose sending got no answer.

Clouds are asked through the SDK's own clients, with the user's credentials; nothing is ever sent again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import entries, model, records
from .capture import Recorder
from .errors import BadInput, NotFound, QArchiveError
from .index import Query
from .providers.base import Captured, Cloud, Origin, Provider
from .stage import Stage
from .values import Link

Named = Callable[[str], Provider]
_KILLED = {"type": "killed", "message": "its process ended before an outcome was recorded"}
_GONE = {"type": "gone", "message": "its provider does not know it any more"}


@dataclass
class Report:
    """What became of jobs, by their ids: each one of the archive's that was asked about is in one of the lists."""

    collected: list[str] = field(default_factory=list)  # ended, and now archived with outcome
    waiting: list[str] = field(default_factory=list)  # still queued or running, or private and not yet read by their user
    unanswered: list[str] = field(default_factory=list)  # sent, and nobody knows whether they were accepted
    lost: list[str] = field(default_factory=list)  # UNKNOWN: killed on this machine, or gone from the cloud
    problems: dict[str, str] = field(default_factory=dict)  # could not be asked about, and why


class Clients:
    """One client a provider: those that were given, or what the SDK makes of the user's saved credentials."""

    def __init__(self, given: tuple[Cloud, Any] | None):
        self._given = given
        self._made: dict[str, Any] = {}

    def of(self, provider: Cloud) -> Any:
        """Raises BadInput, MissingExtra; the same again for every job that asks."""
        if self._given is not None and self._given[0] is provider:
            return self._given[1]
        if provider.name not in self._made:
            try:
                self._made[provider.name] = provider.connect()
            except QArchiveError as error:
                self._made[provider.name] = error
        found = self._made[provider.name]
        if isinstance(found, QArchiveError):
            raise found
        return found


def sync(recorder: Recorder, named: Named, clients: Clients, jobs: Iterable[bytes] | None = None) -> Report:
    """Ask about every job that has not ended, or every one of `jobs`, and archive what is new. Safe beside other processes."""
    report = Report()
    for digest in recorder.store.index.unfinished() if jobs is None else jobs:
        folded = recorder.folded(digest)
        attempt = folded.pending
        if attempt is None or attempt.record is None or folded.record is None:
            continue
        job = digest.hex()
        try:
            provider = named(folded.record["provider"])
            if attempt.record["status"] != "SENDING":
                _local(recorder, digest, attempt, report)
            elif attempt.provider_job is None:
                (report.waiting if attempt.is_foreign else report.unanswered).append(job)
            else:
                client = clients.of(provider)
                collect(recorder, provider, client, Link(digest), attempt, report)
        except QArchiveError as error:
            if attempt.is_foreign:  # sent by somebody else, whose account it may be: there it is asked about
                report.waiting.append(job)
            else:
                report.problems[job] = str(error)
    return report


def fetch(recorder: Recorder, provider: Cloud, client: Any, provider_jobs: Iterator[str], report: Report) -> Iterator[Link]:
    """Archive jobs of a cloud that were never captured, and the outcomes of those that were; one after another."""
    for provider_job in provider_jobs:
        try:
            yield fetch_one(recorder, provider, client, provider_job, report)
        except QArchiveError as error:
            report.problems[provider_job] = str(error)


def fetch_one(recorder: Recorder, provider: Cloud, client: Any, provider_job: str, report: Report | None = None) -> Link:
    """Archive one job of a cloud, and its outcome if it has ended. Raises NotFound, BadInput, CannotWrite."""
    found = recorder.find(provider, provider_job)
    if found is None:
        found = recorder.record(provider, provider.retrieve(client, provider_job))
    folded = recorder.folded(found.digest)
    if folded.pending is not None:
        collect(recorder, provider, client, found, folded.pending, report or Report())
    return found


def recover(recorder: Recorder, named: Named, clients: Clients, jobs: Iterable[bytes] | None = None) -> Report:
    """Look for jobs, or those of `jobs`, whose sending got no answer; those that were accepted after all get their ids, and are
    collected."""
    report = Report()
    open_ones: dict[str, list[tuple[bytes, model.Folded]]] = {}
    for digest in recorder.store.index.unfinished() if jobs is None else jobs:
        folded = recorder.folded(digest)
        attempt = folded.pending
        if not folded.record or attempt is None or attempt.is_foreign:
            continue  # who sent it will find it; here an equal job of our own could be taken for it
        if attempt.status == "SENDING" and not recorder.follows(attempt.link):
            open_ones.setdefault(folded.record["provider"], []).append((digest, folded))
    for name, waiting in open_ones.items():
        try:
            provider = named(name)
            client = clients.of(provider)
            sendings = [(folded.record, folded.pending.record) for _, folded in waiting]
            answers = provider.search(
                lambda link: recorder.store.value(link.digest),
                client,
                sendings,
                lambda known, provider=provider: recorder.find(provider, known) is not None,
            )
        except QArchiveError as error:
            report.problems.update((digest.hex(), str(error)) for digest, _ in waiting)
            continue
        for (digest, folded), provider_job in zip(waiting, answers, strict=True):
            if provider_job is None:
                report.unanswered.append(digest.hex())
                continue
            try:
                _recovered(recorder, provider, client, Link(digest), folded.pending, provider_job, report)
            except QArchiveError as error:
                report.problems[digest.hex()] = str(error)
    return report


def origin(recorder, job, attempt) -> Origin:
    name = (attempt.record or {}).get("on") or recorder.store.value(job.digest)["backend"]
    return Origin(name, attempt.instance)


def take(recorder: Recorder, provider: Cloud, path: Path) -> list[Link]:
    """Take over the jobs of a file of the SDK's, in order; those that are here already are not written again.

    Raises BadInput, CannotWrite, MissingExtra.
    """
    recorder.store.prepare()
    stage = Stage(recorder.store)
    found, waiting = [], {}
    for imported in provider.read(stage, path):
        known = _taken(recorder, provider, imported, waiting)
        if known is None:
            stage.gaps = list(imported.gaps)
            known, attempt = entries.put_start(
                stage, imported.execution, imported.created, ours=False, unsent=imported.sent is None
            )
            if imported.sent is not None:
                stage.record(records.sent_record(job=known, attempt=attempt, **vars(imported.sent)))
            entries.complain_of(stage.gaps)
        found.append(known)
    stage.commit(durable=True)
    return found


def _taken(recorder, provider, imported, waiting) -> Link | None:
    """The job that is the same as one of a file: by its id, or the first one prepared with this input that none is yet."""
    if imported.sent is not None:
        return recorder.find(provider, imported.sent.provider_job)
    execution = imported.execution
    same = (execution.input, execution.config, execution.group)
    if same not in waiting:
        query = Query(provider=provider.name, status="PREPARED", group=execution.group, input=execution.input.digest)
        rows = recorder.store.index.rows(query, -1)
        records = ((bytes.fromhex(row.id), recorder.store.value(bytes.fromhex(row.id))) for row in rows)
        waiting[same] = [digest for digest, record in records if record["config"] == execution.config]
    return Link(waiting[same].pop()) if waiting[same] else None


def calibrate(recorder: Recorder, provider: Cloud, client: Any, job: Link) -> Captured:
    """Ask how well the device of a job is doing now, and keep it with the job. Raises BadInput, CannotWrite."""
    attempt = recorder.folded(job.digest).current
    if attempt is None:
        raise BadInput(f"job {str(job)[:12]}", "it was never sent, so no device is known to have run it")
    stage = Stage(recorder.store)
    found = provider.calibration(stage, client, origin(recorder, job, attempt).backend)
    stage.record(records.calibration_record(
        job=job, attempt=attempt.link, calibration=found.calibration, phase=found.phase, captured=found.at))  # fmt: skip
    stage.commit(durable=True)
    return found


def _recovered(recorder, provider, client, job, attempt, provider_job, report) -> None:
    native = provider.retrieve(client, provider_job, origin(recorder, job, attempt))
    stage = Stage(recorder.store)
    stage.record(records.sent_record(job=job, attempt=attempt.link, **vars(provider.sent(native))))
    stage.commit(durable=True)
    collect(recorder, provider, client, job, recorder.folded(job.digest).pending, report)


def collect(recorder: Recorder, provider: Cloud, client: Any, job: Link, attempt: model.Attempt, report: Report) -> bool:
    """Ask a cloud about one attempt, and write what is new. Whether it has ended, as far as can be read without spoiling it.

    Raises BadInput, NotAnswered, CannotWrite.
    """
    stage = Stage(recorder.store)
    try:
        native = provider.retrieve(client, attempt.provider_job, origin(recorder, job, attempt))
    except NotFound:
        if attempt.is_foreign:
            report.waiting.append(str(job))
            return False
        stage.record(records.status_record(job=job, attempt=attempt.link, status="UNKNOWN", provider_status="", error=_GONE))
        stage.commit(durable=True)
        report.lost.append(str(job))
        return True
    state = provider.state(native)
    if state.readable:
        entries.put_outcome(stage, job, attempt.link, provider.outcome(stage, native), attempt.provider_job)
        stage.commit(durable=True)
        recorder.forget(attempt.link)
        report.collected.append(str(job))
        return True
    if state.status != attempt.status and state.status not in model.TERMINAL:
        stage.record(
            records.status_record(job=job, attempt=attempt.link, status=state.status, provider_status=state.provider_status)
        )
        stage.commit(durable=False)
    report.waiting.append(str(job))
    return state.status in model.TERMINAL


def _local(recorder, digest, attempt, report) -> None:
    """A local run whose writer has ended without an outcome will never have one."""
    if recorder.follows(attempt.link) or not recorder.store.writer_is_gone(attempt.digest):
        report.waiting.append(digest.hex())
        return
    stage = Stage(recorder.store)
    stage.record(records.status_record(
        job=Link(digest), attempt=attempt.link, status="UNKNOWN", provider_status="", error=_KILLED))  # fmt: skip
    stage.commit(durable=False)
    report.lost.append(digest.hex())
