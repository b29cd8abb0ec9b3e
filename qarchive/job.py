"""One archived job, as its reader sees it: what went in, how it ran, what came out."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from . import codec, model
from .errors import JobFailed, NotFinished
from .index import Row
from .store import Store
from .values import Link

POLL_S = 0.05


class Job:
    """An archived job. It is read when it is asked for something, and again while it has not ended."""

    def __init__(self, store: Store, digest: bytes, settle: Callable[[], None], row: Row | None = None):
        self._store, self._digest, self._settle, self._row = store, digest, settle, row
        self._read: model.Folded | None = None

    @property
    def row(self) -> Row:
        """The job as listings show it."""
        if self._row is None:
            self._settle()
            self._row = self._store.index.row(self._digest)
        return self._row

    @property
    def folded(self) -> model.Folded:
        """All records of the job and what they add up to."""
        if self._read is None or self._read.status not in model.TERMINAL:
            self._settle()
            records = {digest: self._store.value(digest) for digest in self._store.index.records(self._digest)}
            self._read = model.fold(self._digest, records)
        return self._read

    @property
    def record(self) -> dict[str, Any]:
        """The job record, as it was written."""
        if self._read is None:
            self._settle()
            return self._store.value(self._digest)
        return self._read.record

    @property
    def id(self) -> str:
        """64 hexadecimal digits; 12 of them are shown, 4 or more are accepted."""
        return self._digest.hex()

    @property
    def provider(self) -> str:
        return self._row.provider if self._row else self.record["provider"]

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self._row.backend if self._row else self.record["backend"]

    @property
    def kind(self) -> str:
        """simulator, qpu, local or mock."""
        return self._row.kind if self._row else self.record["kind"]

    @property
    def status(self) -> str:
        """One of `model.STATUSES`."""
        if self._row and self._row.status in model.TERMINAL:
            return self._row.status
        return self.folded.status

    @property
    def created(self) -> datetime:
        """When the job was recorded, in UTC, to the microsecond."""
        moment = self._row.created if self._row else self.record["created"]
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment.ns // 1000)

    @property
    def shots(self) -> int | None:
        """As asked for; None where the SDK's default held."""
        return self._row.shots if self._row else self.record["shots"]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the circuits, in order."""
        return tuple(self.record.get("names", ()))

    @property
    def labels(self) -> dict[str, Any]:
        """The group, tags and params of the context in which it ran."""
        return self.record.get("labels", {})

    @property
    def provider_job(self) -> str | None:
        """The provider's own id."""
        return self._row.provider_job if self._row and self._row.provider_job else self.folded.provider_job

    @property
    def config(self) -> dict[str, Any]:
        """How it was to run: all options, as plain values."""
        return self._value(self.record["config"])

    @property
    def backend_snapshot(self) -> dict[str, Any] | None:
        """The backend as it was when the job was sent, as plain values."""
        return self._of_attempt("backend")

    @property
    def calibrations(self) -> list[dict[str, Any]]:
        """Calibrations captured with the job, as plain values, in order of the phases; empty where there is none."""
        found = self._of_attempt("calibration")
        return [found] if found else []

    @property
    def environment(self) -> dict[str, Any] | None:
        """Python, the system and the installed packages."""
        return self._of_attempt("environment")

    @property
    def usage(self) -> dict[str, Any]:
        """What the provider charged: QPU seconds, credits."""
        outcome = self.folded.outcome
        return dict(outcome.get("usage", {})) if outcome else {}

    @property
    def error(self) -> dict[str, str] | None:
        """{"type": ..., "message": ...} of a job that failed."""
        outcome = self.folded.outcome
        return outcome.get("error") if outcome else None

    @property
    def gaps(self) -> list[dict[str, str]]:
        """What is not in the archive, each with its reason."""
        return [dict(gap) for gap in self.folded.gaps]

    @property
    def history(self) -> list[dict[str, Any]]:
        """All records about the job, attempts in order, with their digests; nothing that lost in the fold is missing."""
        folded = self.folded
        found = [(folded.id, folded.record)] if folded.record else []
        for attempt in folded.attempts:
            found += [(attempt.digest, attempt.record)] if attempt.record else []
            found += attempt.later
        return [{"digest": digest.hex(), **record} for digest, record in (*found, *folded.others)]

    @property
    def seal(self) -> str:
        """The digest of job, attempt, one outcome and all that they reach: what a paper cites. Raises NotFinished."""
        outcome = self._outcome()
        current = self.folded.current
        roots = [
            self._digest,
            current.digest,
            *(digest for digest, record in current.later if record is outcome or record["type"] == "sent"),
        ]
        reached, pending = set(), roots
        while pending:
            digest = pending.pop()
            if digest not in reached:
                reached.add(digest)
                pending += [link.digest for link in codec.links(codec.decode(self._store.get(digest)))]
        return codec.digest(codec.encode(["seal", 1, [Link(digest) for digest in sorted(reached)]])).hex()

    @property
    def blobs(self) -> list[tuple[str, str, int]]:
        """(kind, digest, bytes) of each blob that the job's records refer to, down to the last link, records left out.

        In the order met. Raises Damaged, and NotFound for a blob that is missing.
        """
        folded = self.folded
        records = {folded.id, *(attempt.digest for attempt in folded.attempts)}
        pending = [link for record in self.history for link in codec.links(record)]
        met: dict[bytes, tuple[str, str, int]] = {}
        for link in pending:  # grows on the way
            if link.digest not in met and link.digest not in records:
                data = self._store.get(link.digest)
                kind = self._store.index.places(link.digest)[0][1].kind
                met[link.digest] = (kind, str(link), len(data))
                pending += codec.links(codec.decode(data))
        return list(met.values())

    @property
    def input(self) -> Any:
        """The SDK's own input objects, as they were given. Raises MissingExtra."""
        return self._provider().load_input(self._value, self.record)

    def text(self) -> list[str]:
        """The input for people, one text a circuit (OpenQASM 3). Needs the SDK only for what is not standard."""
        return self._provider().text(self._value, self.record)

    def counts(self, index: int = 0) -> dict[str, int]:
        """Counts of circuit `index` as {bit string: count}; needs no SDK. Raises NotFinished, JobFailed, BadInput."""
        return self._provider().counts(self._value, self.record, self._with_result(), index)

    def data(self) -> list[dict[str, Any]]:
        """What came out of each circuit, as plain values by name; counts as {bit string: count}. Needs no SDK.

        Empty where the result is not a list of circuits' results. Raises NotFinished, JobFailed.
        """
        outcome = self._with_result()
        result = self._value(outcome["result"])
        experiments = result.get("results", ()) if type(result) is dict else ()
        found = [dict(experiment.get("data", {})) for experiment in experiments]
        for index, values in enumerate(found):
            if "counts" in values:
                values["counts"] = self._provider().counts(lambda link: result, self.record, outcome, index)
        return found

    def wait(self) -> None:
        """Return when the job has ended and its outcome is recorded."""
        while self.folded.outcome is None:
            time.sleep(POLL_S)

    def result(self, wait: bool = False) -> Any:
        """The SDK's own result object, equal to the original, without any network.

        Raises NotFinished unless `wait`, JobFailed where it ended without a result, MissingExtra.
        """
        if wait:
            self.wait()
        return self._provider().load_result(self._value, self.record, self._with_result())

    def native(self) -> Any:
        """The SDK's own job interface over this job, offline: reads work, submit and cancel raise. Raises MissingExtra."""
        return self._provider().load_job(self)

    @property
    def outcome(self) -> dict[str, Any] | None:
        """The outcome record that holds, or None."""
        return self.folded.outcome

    def get(self, link: Link) -> Any:
        """The plain value of a blob that the job refers to."""
        return self._value(link)

    def _provider(self):
        from .providers import registry  # listings need no entry points, and reading those costs more than a listing

        return registry.named(self.provider)

    def _value(self, link: Link) -> Any:
        return self._store.value(link.digest)

    def _of_attempt(self, field: str) -> Any:
        current = self.folded.current
        link = current.record.get(field) if current and current.record else None
        return self._value(link) if link else None

    def _outcome(self) -> dict[str, Any]:
        outcome = self.folded.outcome
        if outcome is None:
            raise NotFinished(self.id[:12], self.folded.status)
        return outcome

    def _with_result(self) -> dict[str, Any]:
        outcome = self._outcome()
        if "result" not in outcome:
            raise JobFailed(self.id[:12], self.folded.status, outcome.get("error", {}).get("message", ""))
        return outcome

    def __repr__(self) -> str:
        return f"<Job {self.id[:12]} {self.status} on {self.provider}:{self.backend}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)
