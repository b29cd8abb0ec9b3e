"""One archived job, as its reader sees it: what went in, how it ran, what came out."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from . import codec, model, records, seals
from .calibration import Calibration
from .errors import BadInput, JobFailed, NotEncodable, NotFinished, NotFound
from .index import Row
from .labels import Labelled
from .outcomes import Points
from .showing import Shown
from .stage import Stage
from .store import Store
from .values import Link, Timestamp

POLL_S = 0.05
_KEPT_AS = {"value": "value", "file": "content"}  # the field of an attachment's blob, by its type


class Recorder(Protocol):
    """What jobs need of the way in."""

    def settle(self) -> None:
        """Wait until jobs that have ended have their outcomes recorded."""

    def rerun(self, provider: Any, parent: Link, target: Any, args: tuple, kwargs: dict) -> Link:
        """Run an archived job again, as a child of the first; the new job."""


class Job(Labelled, Shown):
    """An archived job. It is read when it is asked for something, and again while it has not ended."""

    def __init__(self, store: Store, digest: bytes, recorder: Recorder, row: Row | None = None):
        self._store, self._digest, self._recorder, self._row = store, digest, recorder, row
        self._read: model.Folded | None = None

    @property
    def row(self) -> Row:
        """The job as listings show it."""
        if self._row is None:
            self._recorder.settle()
            self._row = self._store.index.row(self._digest)
        return self._row

    @property
    def folded(self) -> model.Folded:
        """All records of the job and what they add up to."""
        if self._read is None or self._read.status not in model.TERMINAL:
            self._recorder.settle()
            digests, foreign = self._store.index.records_by_origin(self._digest)
            self._read = model.fold(self._digest, {digest: self._store.value(digest) for digest in digests}, foreign)
        return self._read

    @property
    def record(self) -> dict[str, Any]:
        """The job record, as it was written. Raises NotFound, Damaged."""
        if self._read is None or self._read.record is None:
            self._recorder.settle()
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
        return self._row.backend if self._row else self.folded.backend

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
    def origin(self) -> str | None:
        """The id of the archive that it came from, in a bundle or by a merge; None for a job of this archive's own.

        It is what the bundle says, which anybody can write; a signature says more.
        """
        found = self._store.index.origins(self._digest)
        return None if not found or None in found else next(filter(None, found), "")

    @property
    def created(self) -> datetime:
        """When the job was recorded, in UTC, to the microsecond."""
        moment = self._row.created if self._row else self.record["created"]
        return moment.datetime

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
    def calibrations(self) -> list[Calibration]:
        """Calibrations of the device: as the job was sent ("submit"), as it ran ("run"), as they were fetched later.

        Empty where there is none; `gaps` says why.
        """
        current = self.folded.current
        return [Calibration(phase, str(link), captured and captured.datetime, self._value)
                for phase, link, captured in (current.calibrations if current else ())]  # fmt: skip

    @property
    def environment(self) -> dict[str, Any] | None:
        """Python, the system and the installed packages."""
        return self._of_attempt("environment")

    @property
    def code(self) -> dict[str, Any] | None:
        """The code that sent it: `commit`, `dirty` (whether it was altered since), `script` with `name` and `sha256`; each where
        it is known, None where nothing is."""
        return self._of_attempt("code")

    @property
    def usage(self) -> dict[str, Any]:
        """What the provider charged: QPU seconds, credits."""
        outcome = self.folded.outcome
        return dict(outcome.get("usage", {})) if outcome else {}

    @property
    def error(self) -> dict[str, str] | None:
        """{"type": ..., "message": ...} of a job that failed, or of one of which nobody knows more, and why."""
        error = self.folded.error
        return None if error is None else dict(error)

    @property
    def gaps(self) -> list[dict[str, str]]:
        """What is not in the archive, each with its reason."""
        return [dict(gap) for gap in self.folded.gaps]

    @property
    def history(self) -> list[dict[str, Any]]:
        """All records about the job with their digests, attempts in order, the records of each by time; none is left out."""
        folded = self.folded
        found = [(folded.id, folded.record)] if folded.record else []
        for attempt in folded.attempts:
            found += [(attempt.digest, attempt.record)] if attempt.record else []
            found += sorted(attempt.later, key=_time)
        return [{"digest": digest.hex(), **record} for digest, record in (*found, *sorted(folded.others, key=_time))]

    def attach(self, name: str, value: Any) -> None:
        """Keep something with the job under a name: the circuit before transpilation ("logical"), a figure, a script.

        `value` is an object of the job's SDK (a circuit, a list of them), a `pathlib.Path` (the file's name and bytes), or a
        plain value. A second one of the same name is kept beside the first, and shown instead. Raises BadInput, CannotWrite.
        """
        if found := records.obeyed(records.plain_text(name)):
            raise BadInput("the name of an attachment", f"is {found}", "leave it out")
        self._store.must_be_writable()
        stage = Stage(self._store)
        if isinstance(value, Path):
            try:
                held = {"type": "file", "name": value.name, "content": value.read_bytes()}
            except OSError as error:
                raise BadInput(str(value), f"cannot be read ({error.strerror})") from error
        else:
            try:
                codec.encode(value)
                held = {"type": "value", "value": value}
            except NotEncodable as error:
                held = self._provider().put_attachment(stage, value)
                if held is None:
                    raise BadInput(f"the attachment {name!r}", str(error), "give a circuit, a Path or a plain value") from None
        stage.record(records.attachment_record(job=Link(self._digest), name=name, value=stage.put("attachment", held)))
        stage.commit(durable=True)
        self._forget()

    def _forget(self) -> None:
        self._read = self._row = None

    @property
    def attachments(self) -> list[str]:
        """The names under which something is attached, in order."""
        return sorted({record["name"] for _, record in self.folded.others if record["type"] == "attachment"})

    def attachment(self, name: str) -> Any:
        """What was attached under a name, the last of several, this archive's own before another's; of a file its bytes.

        Raises NotFound, MissingExtra.
        """
        _, foreign = self._store.index.records_by_origin(self._digest)
        found = [(digest not in foreign, record["created"], digest, record["value"]) for digest, record in self.folded.others
                 if record["type"] == "attachment" and record["name"] == name]  # fmt: skip
        if not found:
            raise NotFound(f"the attachment {name!r}", f"job {self.id[:12]}", f"it has {', '.join(self.attachments) or 'none'}")
        held = self._value(max(found)[-1])
        what = held.get("type") if type(held) is dict else None
        if type(what) is not str or (what in _KEPT_AS and _KEPT_AS[what] not in held):
            raise BadInput(f"the attachment {name!r}", "it is not made like one", "ask whoever made it")
        if what in _KEPT_AS:
            return held[_KEPT_AS[what]]
        return self._provider().load_attachment(self._value, held)

    @property
    def seal(self) -> str:
        """The digest of job, attempt, one outcome and all that they reach: what a paper cites. Raises NotFinished."""
        self._outcome()
        return next(self.seals()).hex()

    def seals(self) -> Iterator[bytes]:
        """Every seal that the job has, of 32 bytes each, the one that holds first; none before it has ended. They are made from
        its blobs, of which every byte is read. Raises Damaged, and NotFound for a blob that is missing."""
        yield from seals.every(self.folded, self._store.get)

    @property
    def blobs(self) -> list[tuple[str, str, int]]:
        """(kind, digest, bytes) of each blob that the job's records refer to, down to the last link, records left out.

        In the order met. Raises Damaged, and NotFound for a blob that is missing.
        """
        folded = self.folded
        own = {folded.id, *(attempt.digest for attempt in folded.attempts), *(digest for digest, _ in folded.others)}
        pending = [link for record in self.history for link in codec.links(record)]
        met: dict[bytes, tuple[str, str, int]] = {}
        for link in pending:  # grows on the way
            if link.digest not in met and link.digest not in own:
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
        """What came out of each circuit, as plain values by name; counts as {bit string: count}, of several sets of parameter
        values a list of such. Needs no SDK; numpy takes its arrays. `points()` says which parameters and observables they are of.

        Empty where the result is not a list of circuits' results. Raises NotFinished, JobFailed.
        """
        return self._provider().data(self._value, self.record, self._with_result())

    def points(self) -> list[Points]:
        """The parameter values and observables (`outcomes.Points`) of each entry of `data()`, if any. Needs no SDK."""
        return self._provider().points(self._value, self.record)

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

    def rebuild(self, phase: str | None = None) -> Any:
        """A backend that runs here, offline, made from what was archived of the job's: a simulator with the device's Target
        and the noise of its calibration at `phase` ("submit", "run", "retrieval"; None: the last one known).

        Raises BadInput where there is no such calibration or the snapshot does not say enough, MissingExtra.
        """
        found = [calibration for calibration in self.calibrations if phase in (None, calibration.phase)]
        if phase is not None and not found:
            known = ", ".join(calibration.phase for calibration in self.calibrations) or "none"
            raise BadInput(f"the phase {phase!r}", f"job {self.id[:12]} has no calibration of it", f"it has {known}")
        calibration = Link(bytes.fromhex(found[-1].digest)) if found else None
        return self._provider().load_backend(self._value, self.record, self.backend_snapshot or {}, calibration)

    def rerun(self, backend: Any = None) -> "Job":
        """Run the archived input again and archive it as a child of this job: on `backend`, or on `rebuild()`.

        What was compiled for one device is run on that device, on a simulator of it, or on one without a coupling map. For
        another device the circuit before compilation is needed, `attach("logical", circuit)`, a list of them for several; where
        the job's own backend was a simulator without a coupling map its circuits are taken for that. Qiskit's `transpile` then
        compiles them for `backend`. The child may still be running, and one that was sent to a cloud is not waited for.

        Raises BadInput, MissingExtra.
        """
        provider = self._provider()
        if backend is None:
            target, args, kwargs = provider.load_call(self._value, self.record, self.rebuild())
        else:
            snapshot = self.backend_snapshot or {}
            target, args, kwargs = provider.load_call_elsewhere(self._value, self.record, snapshot, backend, self._logical)
        from .providers import registry

        child = self._recorder.rerun(registry.owner(target), Link(self._digest), target, args, kwargs)
        return Job(self._store, child.digest, self._recorder)

    def _logical(self) -> Any:
        return self.attachment("logical") if "logical" in self.attachments else None

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
            unkept = "its result could not be kept; see the job's gaps" if self.folded.gaps else ""
            raise JobFailed(self.id[:12], self.folded.status, outcome.get("error", {}).get("message", unkept))
        return outcome

    def __repr__(self) -> str:
        return f"<Job {self.id[:12]} {self.status} on {self.provider}:{self.backend}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)


def _time(entry: tuple[bytes, Mapping[str, Any]]) -> tuple[bool, Timestamp | None, bytes]:
    """The order of records for people; those of types unknown here may not say when they were made, and stand last."""
    digest, record = entry
    created = record.get("created")
    known = type(created) is Timestamp
    return not known, created if known else Timestamp(0), digest
