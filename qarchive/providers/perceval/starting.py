"""What starts an execution or a job in a cloud: `archive=False`, which Perceval does not take, and jobs that are only prepared.

A job may be described where it would be sent, and not be sent: its recorder raises instead. Perceval has changed it by then (its
parameters are filled in, an Execution calls itself running), and has waited for room in the queue. So a recorder is told of it
first, while nothing has changed.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import BadInput
from .. import choosing, hooks
from ..base import Provider
from ..sdk import sdk
from .calls import Asked, call_of_computation
from .objects import EXECUTIONS, LOCAL_JOBS, REMOTE_COMPUTERS, behind, handler_of, is_a, marks
from .remote import Sending

# Classes whose objects are known by their names and the settings that are archived.
_WHOLE = frozenset(("perceval", name) for name in (
    "Processor", "SimulatedComputer", "SLOSExqaliburBackend", "SLAPBackend", "NaiveBackend", "Clifford2017Backend"))  # fmt: skip


def replacements(provider: Provider) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
    """The methods that start an execution or a job in a cloud, to be replaced; a LocalJob's are replaced elsewhere anyway."""
    kinds = (sdk("perceval.runtime", "a computer", "perceval").Execution,
             sdk("perceval.runtime.legacy", "a job", "perceval").RemoteJob)  # fmt: skip
    for kind in kinds:
        for name in ("execute_sync", "execute_async"):
            yield kind, name, lambda original: _starting(provider, original)


def _starting(provider: Provider, original: Callable) -> Callable:
    @hooks.passed_over
    def method(started: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = choosing.recorder_of(*_asked_of(started))
        if recorder is None:
            return original(started, *args, **kwargs)
        archived = kwargs.pop("archive", True)
        unarchived = {"archive": False}
        recorder.run(provider, Unsent(started, args, dict(kwargs)), (), dict(unarchived), _nothing)  # recorded further inside
        if archived:
            return original(started, *args, **kwargs)
        return recorder.run(provider, started, (), unarchived, lambda _: original(started, *args, **kwargs))

    return method


def _asked_of(started: Any) -> list[Any]:
    handler = handler_of(started)
    return marks(started.computer) if handler is None else [handler]


def _nothing(_: dict) -> None:
    """What is sent by somebody who is only asked whether anything is to be sent at all."""


@dataclass(frozen=True)
class Unsent:
    """A RemoteJob or an Execution that would be started with these arguments; it is left as it is."""

    started: Any
    args: tuple
    kwargs: dict[str, Any]

    @property
    def name(self) -> Any:
        return self.started.name

    def target(self) -> Sending | Asked:
        """What is to be described of it. Raises BadInput, and whatever Perceval raises where it cannot be started."""
        if not is_a(self.started, EXECUTIONS):
            return Sending(handler_of(self.started), _body_of_job(self.started, self.args, self.kwargs))
        computer, computation = self.started.computer, _computation(self.started, self.args, self.kwargs)
        if is_a(computer, REMOTE_COMPUTERS):
            return Sending(handler_of(computer), _body_of_computation(computer, computation))
        return Asked(lambda: call_of_computation(computer, computation), type(computer).__name__, computer)


def device_of(target: Any) -> Any:
    """What runs a job again that was prepared with `target`: an RPC handler, a processor or a computer; None where the archived
    snapshot makes an equal one, which no other thread uses."""
    if isinstance(target, Unsent):
        target = target.started
    if is_a(target, EXECUTIONS):
        target = target.computer
    elif is_a(target, LOCAL_JOBS):
        target = behind(target)._processor
    elif isinstance(target, Sending | Asked):
        target = target.handler if isinstance(target, Sending) else target.asked
    handler = handler_of(target)
    if handler is not None:
        return handler
    backend = getattr(target, "_backend", None) or getattr(target, "backend", None)
    whole = _name(target) in _WHOLE and _name(backend) in _WHOLE and getattr(backend, "_masks_str", None) is None
    return None if whole else target


def _name(native: Any) -> tuple[str, str]:
    kind = type(native)
    return kind.__module__.partition(".")[0], kind.__name__


def _body_of_job(job: Any, args: tuple, kwargs: dict[str, Any]) -> dict:
    """The body of the request that a RemoteJob would send."""
    if job.was_sent or not job._job_status.waiting:
        raise BadInput("a RemoteJob", "it was executed before", "make another one of its Sampler")
    again = copy.copy(job)
    for name in ("_delta_parameters", "_job_context", "_request_data"):
        setattr(again, name, copy.deepcopy(getattr(job, name)))
    return again._create_payload_data(*args, **kwargs)


def _computation(execution: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What an Execution would compute."""
    if execution.was_sent:
        raise RuntimeError("Execution has already been launched")
    again = copy.copy(execution)
    again._computation = copy.deepcopy(execution.computation)
    again._transmit_args(*args, **{name: item for name, item in kwargs.items() if name != "allow_partial_results"})
    return again.computation


def _body_of_computation(computer: Any, computation: Any) -> dict:
    """The body of the request that a RemoteComputer would send; neither the queue nor the platform is asked for it."""
    if computation.command.apply_emt and computer._get_local_mitigations():
        reason = "its mitigations are applied here, by the process that sends it and reads its results"
        raise BadInput("an Execution", reason, "have the platform apply them, or run it at once")
    computation.validate()
    computer.validate_single(computation)
    kept = _Kept(computer.name)
    layer = copy.copy(computer._communication_layer)
    layer._rpc_handler = kept
    layer.send(computer.prepare_payload(computation))
    return kept.body


class _Kept:
    """In place of an RPC handler: it keeps what it is to send."""

    def __init__(self, name: str):
        self.name = name
        self.body: dict = {}

    def create_job(self, body: dict) -> str:
        self.body = body
        return ""
