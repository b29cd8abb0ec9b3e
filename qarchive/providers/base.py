"""What every provider module offers: the one interface between SDKs and the archive.

A provider turns an SDK's objects into plain values (those that `codec` encodes) and back. It never writes: values are
handed to a `Stage`, and what comes back is read through `get(link)`. A provider module may be imported, and its
functions that need no SDK's objects may be called, where the SDK is not installed.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

from ..errors import BadInput, QArchiveError
from ..outcomes import Points
from ..values import Link, Timestamp

Get = Callable[[Link], Any]
_VERSIONS = ("backend_version", "description", "packages", "version")


class Stage(Protocol):
    """Where a provider puts what is to be stored with the next commit."""

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        """Keep `value` as a blob of its own and return its link.

        `key`, 32 bytes, is another name for the blob's content, where equal contents may have unequal bytes (QPY): the
        first blob with a key stands for all later ones. Raises NotEncodable.
        """

    def find(self, key: bytes) -> Link | None:
        """The blob that was put with this key in an earlier run, or None. It may miss one, and never lies."""

    def again(self, link: Link) -> bool:
        """Whether the blob of a link from an earlier `put` can be referred to without putting it again.

        False where the writer has moved on to another pack since: a provider that remembers links must ask.
        """

    def gap(self, what: str, reason: str) -> None:
        """Say that `what` (a dotted path such as "input.metadata") is not in the archive, and why."""

    def conceal(self, *secrets: str | None) -> None:
        """Never store these texts (a token, an account's address), in this or any later stage of the process."""


@dataclass(frozen=True)
class Captured:
    """A calibration, and when it was asked for: at "submit", at the "run" or at "retrieval"."""

    phase: str
    calibration: Link
    at: Timestamp


@dataclass(frozen=True)
class Execution:
    """All that is known of an execution before it starts."""

    provider: str
    kind: str  # "simulator", "qpu", "local" or "mock"
    backend_name: str
    input: Link
    config: Link
    backend: Link
    calibration: Link | None = None
    captured: Timestamp | None = None  # when the calibration was asked for; None for one that comes with the backend object
    shots: int | None = None  # for listings; None where the SDK decides
    size: int = 1  # circuits, PUBs or sequences in this execution
    names: tuple[str, ...] = ()  # of the circuits, as the user gave them, in order
    tags: tuple[str, ...] = ()  # that the user gave the job in the provider's own way; they become labels
    group: str | None = None  # the same for a group's name; a context's group goes before it
    remote: bool = False  # sent to somebody else's computer: recorded durably before, and it may end when nobody looks
    parent: Link | None = None  # the archived job that this one repeats, where the provider says so


@dataclass(frozen=True)
class Sent:
    """The ids that a provider gave an accepted job, and the word that it has for its state."""

    provider_job: str
    session: str | None = None
    batch: str | None = None
    instance: str | None = None  # whose job it is, as a digest: an account's address is nobody else's business


@dataclass(frozen=True)
class State:
    """What a cloud says of a job. `readable`: it has ended, and its result may be read without spoiling it for its user."""

    status: str
    provider_status: str
    readable: bool


@dataclass(frozen=True)
class Fetched:
    """A job that was not captured when it was sent, as far as its provider can tell."""

    execution: Execution
    sent: Sent
    created: Timestamp
    ours: bool = False  # this process had it made all the same (a batch that was repeated): the environment is known


@dataclass(frozen=True)
class Imported:
    """A job from a file of the SDK's own; `sent` is None for one that was only prepared."""

    execution: Execution
    sent: Sent | None
    created: Timestamp
    gaps: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Origin:
    """What the archive knows of where a job was sent: the name of its backend, and the instance of its `Sent`."""

    backend: str
    instance: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How an execution ended. `status` is ours, `provider_status` the provider's own word."""

    status: str  # DONE, PARTIAL, ERROR, CANCELLED, TIMED_OUT
    provider_status: str
    result: Link | None = None  # equal for equal runs
    volatile: Mapping[str, Any] = field(default_factory=dict)  # what differs between equal runs: dates, ids, durations
    error: Mapping[str, Any] | None = None  # {"type": ..., "message": ...}
    usage: Mapping[str, Any] = field(default_factory=dict)
    calibrations: tuple[Captured, ...] = ()  # of the time of running, and later ones


@dataclass(frozen=True)
class Divisible:
    """A call of `run` with a list of circuits or PUBs, which may be sent as several jobs."""

    items: Iterable[Any]  # circuits or PUBs in order; read once, and only as far as needed
    call: Callable[[list], tuple[tuple, dict]]  # (args, kwargs) of `run` for some of them
    circuits: int | None = None  # the target takes at most so many in one job; None where it declares no limit
    executions: int | None = None  # the same of circuits times shots, summed over a job
    executions_of: Callable[[Any], int] = lambda item: 1  # circuits times shots of one item


class Follower(Protocol):
    """Who wants to know how a job goes on."""

    def status(self, status: str, provider_status: str) -> None:
        """The job has another status than before; not for the last one."""

    def ended(self, native: Any = None) -> None:
        """The job has ended and `Provider.outcome` can tell how. Called once; `native` is the SDK's job, after `partly`."""

    def partly(self) -> None:
        """The job has ended, and `Provider.outcome` can tell a part of how, which is kept and called PARTIAL. The SDK's job is
        held no longer, and `ended` may follow."""


class Recorder(Protocol):
    """The one path in, as a wrapped object sees it."""

    def run(self, provider: "Provider", target: Any, args: tuple, kwargs: dict, send: Callable[[dict], Any]) -> Any:
        """Record one execution of `target` around `send(kwargs)`, and return the SDK's job, unaltered."""

    def wanted(self) -> bool:
        """Whether what runs here is to be recorded: not in a pause, and not as part of what is recorded already."""

    def retry(self, provider: "Provider", provider_job: str, target: Any, send: Callable[[], Any]) -> Any:
        """Record a further attempt of one of the cloud's jobs around `send()`."""

    def event(self, provider: "Provider", provider_job: str, name: str, value: object = None) -> None:
        """Record that something happened to an archived job, such as that its batch was closed."""

    def record(self, provider: "Provider", job: Any) -> Any:
        """Record an SDK job that runs or has ended, if it is not archived yet. Raises BadInput, CannotWrite."""

    def resume(self, provider: "Provider", job: Any) -> None:
        """Follow an SDK job that was archived in another process and is looked at again, if it has not ended there."""

    def jobs(self, **filters: Any) -> Any:
        """Archived jobs, as `Archive.jobs` lists them."""

    def job(self, reference: str) -> Any:
        """One archived job, as `Archive.job` finds it."""


_READERS = {"load_input": "the input of this job", "load_result": "the result of this job", "counts": "the result of this job",
            "data": "the result of this job", "points": "the input of this job", "text": "the input of this job",
            "load_attachment": "an attachment of this job", "load_backend": "the backend of this job"}  # fmt: skip


def _refusing(read: Callable, what: str) -> Callable:
    """A reader that raises BadInput where it or its SDK stumbles over `what`: strangers write blobs, and may write anything."""

    @wraps(read)
    def refusing(self: "Provider", *args: Any, **kwargs: Any) -> Any:
        try:
            return read(self, *args, **kwargs)
        except (QArchiveError, MemoryError, OSError, ImportError):  # they say what it is, and it is not the value
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # an SDK's Rust panics with that
                raise
            reason = f"the provider {self.name} cannot read what is archived of it ({type(error).__name__}: {error})"
            hint = "look whether `job.environment` names another version of the SDK, or ask whoever made it"
            raise BadInput(what, " ".join(reason.split()), hint) from error

    refusing._refusing = True
    return refusing


class Provider(ABC):
    """One SDK. Subclasses stand in `qarchive.providers.<name>` or come through the entry points `qarchive.providers`.

    What reads an archive (`load_input`, `load_result`, `load_attachment`, `load_backend`, `counts`, `data`, `points`, `text`)
    need not look at every part of every value: what it raises of other classes than qarchive's own becomes BadInput.
    """

    name: str
    extra: str  # `pip install 'qarchive[<extra>]'` brings the SDK; empty for a provider in a package of its own
    order = ""  # how the text of a state is read: which bit or mode stands where
    rebuilds_alike = False  # whether `load_backend` makes the same of equal snapshots and configurations, whatever the input
    late_results = False  # whether a job that ended without a result may have one to read later

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for name, what in _READERS.items():
            read = getattr(cls, name)
            if not hasattr(read, "_refusing") and not getattr(read, "__isabstractmethod__", False):
                setattr(cls, name, _refusing(read, what))

    def saved_credentials(self) -> Iterable[str]:
        """The credentials that its SDK keeps in files of this user's: none is ever given away. The SDK is not imported."""
        return ()

    @abstractmethod
    def owns(self, native: Any) -> bool:
        """Whether `native` (a backend or a job) is this provider's; decided without importing the SDK."""

    @abstractmethod
    def wrap(self, native: Any, recorder: Recorder) -> Any:
        """An object with the interface of `native` whose executions go through `recorder`."""

    def backend_name(self, target: Any) -> str:
        """What job records call the backend of an object that `wrap` takes: how a wrapped object finds its jobs again."""
        return str(target.name)

    @contextmanager
    def recorded(self, native: Any, recorder: Recorder) -> Iterator[Any]:
        """`native`, or an object with its interface, whose executions go through `recorder` inside; also of what `wrap` refuses
        because it was made before (a job that was not started yet). What its user has wrapped is as before afterwards."""
        yield self.wrap(native, recorder)

    @abstractmethod
    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        """Everything about `target.run(*args, **kwargs)` before it starts. Alters none of its arguments."""

    def describe_all(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        """The same for a call that sends several jobs at once, in order; most send one."""
        return [self.describe(stage, target, args, kwargs)]

    def parts(self, native: Any) -> list:
        """The SDK's jobs in what such a call returned, in the same order."""
        return [native]

    @abstractmethod
    def call_of(self, job: Any) -> tuple[Any, tuple, dict]:
        """(target, args, kwargs) of an SDK job that was not started through a wrapped object."""

    @abstractmethod
    def job_id(self, job: Any) -> str | None:
        """The provider's own id of an SDK job, or None where it has none."""

    @abstractmethod
    def ended(self, job: Any) -> bool:
        """Whether an SDK job has ended, well or badly, without asking a network for more than its status."""

    @abstractmethod
    def follow(self, job: Any, follower: Follower) -> None:
        """Tell `follower` when `job` has ended: a local one also when nobody asks for its result, also at interpreter exit;
        a remote one when its user has asked, since nothing is asked of a cloud behind its user's back."""

    @abstractmethod
    def outcome(self, stage: Stage, job: Any) -> Outcome:
        """How a job ended. Called when it has; the status comes from the result, not only from the job."""

    @abstractmethod
    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """The SDK's own input objects of a job record. Raises MissingExtra."""

    @abstractmethod
    def load_result(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> Any:
        """The SDK's own result object, equal to the original. Raises MissingExtra."""

    @abstractmethod
    def load_job(self, record: Any) -> Any:
        """The SDK's own job interface over an archived job (`qarchive.job.Job`), offline. Raises MissingExtra."""

    @abstractmethod
    def counts(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any], index: int) -> dict[str, int]:
        """Counts of circuit `index` as {bit string: count}, without the SDK. Raises BadInput where there are none."""

    @abstractmethod
    def data(self, get: Get, job: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What came out of each circuit or PUB, as plain values by name, counts as {bit string: count}; without the SDK.

        Empty where the result is not a list of such.
        """

    def points(self, get: Get, job: Mapping[str, Any]) -> list[Points]:
        """For each entry of `data`, what its circuit was bound to and what was observed of it, without the SDK.

        Empty where no circuit has parameters or observables, or nobody can tell.
        """
        return []

    @abstractmethod
    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        """The input as text for people, one entry per circuit (OpenQASM 3), without the SDK where it can be."""

    def put_attachment(self, stage: Stage, value: Any) -> dict | None:
        """One of the SDK's own objects as what an attachment's blob holds; None for an object that it does not know."""
        return None

    def load_attachment(self, get: Get, value: Mapping[str, Any]) -> Any:
        """The SDK's object again. Raises MissingExtra, BadInput where this provider never kept such a thing."""
        raise BadInput(f"an attachment of the type {value.get('type')!r}", f"the provider {self.name} does not know it")

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
        """A backend that runs here, offline, from the plain value of a backend and the blob of a calibration: for a device a
        simulator with its Target and its noise. Raises MissingExtra, BadInput where they do not say enough."""
        raise BadInput(f"a backend of the provider {self.name}", "cannot be made from its snapshot")

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        """(target, args, kwargs) that run an archived job again on `backend`: the backend itself, or a primitive on it.

        Raises MissingExtra, BadInput where the input was not captured.
        """
        raise BadInput(f"a job of the provider {self.name}", "cannot be run again")

    def load_call_elsewhere(self, get: Get, job: Mapping[str, Any], snapshot: Mapping[str, Any], backend: Any,
                            logical: Callable[[], Any]) -> tuple[Any, tuple, dict]:  # fmt: skip
        """As `load_call`, on a backend of the user's own choice, which may be another device than the job's.

        What was compiled for one device is not run on another: `logical()`, what is attached to the job as "logical", or None, is
        compiled in its place. `snapshot` is the plain value of the job's own backend. Raises BadInput where nothing can be
        compiled, and as `load_call` does. Where inputs are compiled by the cloud, or for nothing, it is `load_call`.
        """
        return self.load_call(get, job, backend)

    # Groups

    def device_of(self, target: Any) -> Any:
        """What `load_call` takes to run a job that was prepared with `target`: itself, or the backend behind it, since a
        primitive may have other options by then. None where the archived snapshot says it all."""
        return target

    def divide(self, target: Any, args: tuple, kwargs: dict) -> Divisible | None:
        """`target.run(*args, **kwargs)` as a call that may be cut into jobs; None where it is one job, whatever it holds."""
        return None

    def identity(self, stage: Stage, item: Any) -> bytes:
        """32 bytes that are equal for equal circuits or PUBs: structure, parameters, observables, values; not names.

        Nothing is stored. Raises BadInput for what is none.
        """
        raise BadInput(f"a {type(item).__name__}", f"the provider {self.name} cannot find it again", "give an index or a name")

    def identities(self, get: Get, job: Mapping[str, Any]) -> list[bytes]:
        """The same of each circuit or PUB of an archived job, in order, without the SDK."""
        raise BadInput(f"the input of a job of {self.name}", "its circuits are not told apart", "give an index or a name")

    def join(self, results: list[Any]) -> Any:
        """The SDK's result objects of several jobs as one, in order. Raises BadInput where the SDK has no such thing."""
        raise BadInput(f"results of the provider {self.name}", "cannot be joined", "take them one by one: `get_results()`")

    def extract(self, result: Any, index: int, what: str) -> Any:
        """ "memory", "statevector" or "unitary" of circuit `index` of an SDK's result object, as the SDK gives it.

        Raises BadInput where there is none.
        """
        raise BadInput(f"a {type(result).__name__}", f"it has no {what}")

    # Replay

    def asked(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> list[Execution]:
        """What `describe_all` says, as far as it can be known without asking anybody anything: a replay is offline."""
        return self.describe_all(stage, target, args, kwargs)

    def alike(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> dict[str, Any]:
        """What must be equal where one execution stands for another, as plain values: "input", "config", "backend".

        `job` has the fields of a job record, `snapshot` is its backend's. Names of circuits, tags and versions are no part of it.
        """
        return {"input": self.alike_input(get, job), "config": get(job["config"]),
                "backend": [job["backend"], self.alike_backend(get, job, snapshot)]}  # fmt: skip

    def alike_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """The part of `alike` that says what runs: the identity of each circuit, or else the digest of the input."""
        try:
            return self.identities(get, job)
        except BadInput:
            return job["input"]

    def alike_backend(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> Any:
        """The part of `alike` that says on what, beside its name: nothing of a device, all but its version of what runs here."""
        value = get(snapshot)
        if job["kind"] == "qpu" or type(value) is not dict:
            return None
        return {name: item for name, item in value.items() if name not in _VERSIONS}

    def answer(self, target: Any, args: tuple, kwargs: dict, jobs: list[Any]) -> Any:
        """What a call returns whose executions are these archived jobs (`qarchive.job.Job`), one for each that `asked` lists:
        what `send` would have returned, offline. Raises MissingExtra, JobFailed."""
        return self.load_job(jobs[0])

    def replay(self, native: Any, player: Any) -> Any:
        """An object with the interface of `native` (a backend, a primitive, a service, a client) whose executions, jobs and
        devices are those of a `Player`: no network, no credentials, and nothing is sent. `native` may be this provider's name.

        Raises BadInput, MissingExtra.
        """
        if isinstance(native, str):
            raise BadInput(f"the provider {self.name}", "has no client to answer for", "give a backend or a primitive")
        return self.wrap(native, player)

    def stand_ins(self, player: Any) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """(class, name of a method, what makes the new method of the old one) by which the SDK's own clients, made as their
        users make them, answer from a `Player` while a whole process is replayed. Imports the SDK. Raises MissingExtra."""
        return iter(())

    def entry_points(self) -> Iterator[tuple[type, str]]:
        """(class, name of a method, its own or inherited) of every way to execute something, for `autolog`; imports the SDK.
        Raises MissingExtra.

        The arguments of such a method are those of `describe`, the object it is called on is the target.
        """
        return iter(())

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """(class, name of a method, what makes the new method of the old one), for executions that are more than one call of one
        method; the new method asks `hooks.recorder_of` who wants to know. Imports the SDK. Raises MissingExtra."""
        return iter(())


class Cloud(Provider):
    """A provider whose jobs run elsewhere: they may be refused, stay unanswered, and end when nobody looks.

    A *client* is the SDK's own object that talks to the cloud, with the user's credentials in it.
    """

    tells_costs = False  # whether `cost` is ever known
    together = False  # whether jobs that were prepared by one call are sent by one request (a batch)

    def elsewhere(self, native: Any) -> bool:
        """Whether an SDK's object (a job, a target) stands for something in the cloud; False for what runs here."""
        return True

    def again(self, stage: Stage, target: Any, job: Mapping[str, Any]) -> Execution:
        """What is known of a further attempt of an archived job before it is sent: its input and configuration are the job's."""
        raise BadInput(f"a job of the provider {self.name}", "is not sent again by its cloud")

    @abstractmethod
    def connect(self) -> Any:
        """A client from where the SDK keeps credentials. Raises BadInput where there are none, MissingExtra."""

    @abstractmethod
    def client_of(self, native: Any) -> Any | None:
        """The client in an SDK object (a job, a wrapped or bare client); None where it has none."""

    @abstractmethod
    def refused(self, error: BaseException) -> bool:
        """Whether an error of sending proves that nothing was accepted. False where that is not certain."""

    @abstractmethod
    def sent(self, job: Any) -> Sent:
        """The ids of a job that was accepted; no network."""

    def obstacle(self, error: BaseException) -> str:
        """Why nothing was accepted, of an error that proves it: "busy" (too many jobs or requests just now: the same may be sent
        again later), "size" (too much in one job), "denied" (no access: no other job would be accepted), "" (anything else)."""
        return ""

    def words(self, error: BaseException) -> str | None:
        """What the cloud answered, where it refused and the error's own text does not say it."""
        return None

    def device(self, client: Any, name: str) -> Any:
        """What `load_call` takes as backend for a job that is to run on the device of this name. Raises BadInput, NotFound."""
        raise BadInput(f"the device {name}", f"the provider {self.name} cannot find it", "give the backend itself")

    def room(self, client: Any, device: Any) -> int | None:
        """How many more jobs this user may send to a device now, 0 or more; None where its cloud does not say or does not answer.

        What its user sees through `client` is not changed.
        """
        return None

    def load_calls(self, get: Get, jobs: list[Mapping[str, Any]], device: Any) -> tuple[Any, tuple, dict]:
        """(target, args, kwargs) that send several archived jobs in one request, where they are sent `together`."""
        raise BadInput(f"jobs of the provider {self.name}", "are sent one by one")

    def cancel(self, client: Any, provider_job: str, origin: Origin | None = None) -> None:
        """Ask the cloud to cancel a job. Raises NotFound, BadInput where it refuses (the job has ended)."""
        raise BadInput(f"job {provider_job}", f"the cloud of the provider {self.name} cancels no jobs")

    def close(self, client: Any, held: str) -> None:
        """Close an open batch or a session, by its id. Raises NotFound, BadInput."""
        raise BadInput(held, f"the cloud of the provider {self.name} has neither batches nor sessions")

    def cost(self, usage: Mapping[str, Any]) -> float | None:
        """What an outcome's `usage` says that it cost, in the cloud's own unit (QPU seconds, credits); None where it does not."""
        return None

    @abstractmethod
    def retrieve(self, client: Any, provider_job: str, origin: Origin | None = None) -> Any:
        """The SDK's job; `origin` where it is archived. Raises NotFound where the cloud does not know it (any more), BadInput
        where access is refused, or where the client is of another cloud than it was sent to."""

    @abstractmethod
    def state(self, job: Any) -> State:
        """Ask how a job stands. `outcome` may be called where it is readable."""

    @abstractmethod
    def fetch(self, stage: Stage, job: Any) -> Fetched:
        """Everything that can still be known of an SDK job that was not captured; the rest as gaps."""

    def calibration(self, stage: Stage, client: Any, backend: str) -> Captured:
        """How well a device is doing now. Raises BadInput where its cloud does not say or does not answer."""
        raise BadInput(f"the device {backend}", f"the cloud of the provider {self.name} tells no calibration")

    def reads(self, path: str | os.PathLike) -> bool:
        """Whether a path names a file in which the SDK keeps jobs of this cloud, by its name."""
        return False

    def read(self, stage: Stage, path: Path) -> list[Imported]:
        """The jobs of such a file, in order, without credentials. Raises BadInput, MissingExtra."""
        raise BadInput(str(path), f"the provider {self.name} reads no files")

    @abstractmethod
    def listed(self, client: Any, since: datetime | None) -> Iterator[str]:
        """The provider's ids of all jobs that the client can see, the oldest first."""

    @abstractmethod
    def search(self, get: Get, client: Any, sendings: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
               known: Callable[[str], bool]) -> list[str | None]:  # fmt: skip
        """For each (job record, attempt record) that got no answer the provider's id of the job that was accepted after all,
        or None. Jobs that are `known` already are nobody's; equal sendings are told apart by their order."""
