"""What every provider module offers: the one interface between SDKs and the archive.

A provider turns an SDK's objects into plain values (those that `codec` encodes) and back. It never writes: values are
handed to a `Stage`, and what comes back is read through `get(link)`. A provider module may be imported, and its
functions that need no SDK's objects may be called, where the SDK is not installed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..values import Link

Get = Callable[[Link], Any]


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
    shots: int | None = None  # for listings; None where the SDK decides
    size: int = 1  # circuits, PUBs or sequences in this execution
    names: tuple[str, ...] = ()  # of the circuits, as the user gave them, in order


@dataclass(frozen=True)
class Outcome:
    """How an execution ended. `status` is ours, `provider_status` the provider's own word."""

    status: str  # DONE, PARTIAL, ERROR, CANCELLED, TIMED_OUT
    provider_status: str
    result: Link | None = None  # equal for equal runs
    volatile: Mapping[str, Any] = field(default_factory=dict)  # what differs between equal runs: dates, ids, durations
    error: Mapping[str, Any] | None = None  # {"type": ..., "message": ...}
    usage: Mapping[str, Any] = field(default_factory=dict)


class Recorder(Protocol):
    """The one path in, as a wrapped object sees it."""

    def run(self, provider: "Provider", target: Any, args: tuple, kwargs: dict, send: Callable[[dict], Any]) -> Any:
        """Record one execution of `target` around `send(kwargs)`, and return the SDK's job, unaltered."""


class Provider(ABC):
    """One SDK. Subclasses stand in `qarchive.providers.<name>` or come through the entry points `qarchive.providers`."""

    name: str
    extra: str  # `pip install 'qarchive[<extra>]'` brings the SDK

    @abstractmethod
    def owns(self, native: Any) -> bool:
        """Whether `native` (a backend or a job) is this provider's; decided without importing the SDK."""

    @abstractmethod
    def wrap(self, native: Any, recorder: Recorder) -> Any:
        """An object with the interface of `native` whose executions go through `recorder`."""

    @abstractmethod
    def describe(self, stage: Stage, target: Any, args: tuple, kwargs: dict) -> Execution:
        """Everything about `target.run(*args, **kwargs)` before it starts. Alters none of its arguments."""

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
    def when_done(self, job: Any, callback: Callable[[], None]) -> None:
        """Call `callback` once when `job` has ended, also when nobody asks for its result, also at interpreter exit."""

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
    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        """The input as text for people, one entry per circuit (OpenQASM 3), without the SDK where it can be."""
