"""Perceval's objects whose way to a cloud leads to an archive: copies, with another RPC handler in them."""

from typing import Any

from ...errors import BadInput
from ..sdk import sdk
from .answers import Answers, Replayed
from .objects import (
    EXECUTIONS,
    GROUPS,
    LAYERS,
    REMOTE_COMPUTERS,
    REMOTE_JOBS,
    REMOTE_PROCESSORS,
    SESSIONS,
    handler_of,
    is_a,
    is_handler,
)

_INSIDE = ("_processor", "_computer", "computer")  # where algorithms, executions and factories keep what they run on
_OF_COMPUTERS = ("_custom_noise", "_error_mitigations", "use_mitigations_remotely")


def is_remote(native: Any) -> bool:
    """Whether an object reaches a cloud. Raises BadInput for one that does not say which platform, or was made for one run."""
    if isinstance(native, str):
        hint = 'give an RPC handler: RPCHandler("qpu:belenos", token="none") will do'
        raise BadInput("the name of a provider", "does not say which platform", hint)
    if is_a(native, GROUPS):
        hint = "run it inside of `with archive.replay(...):`"
        raise BadInput(f"a {type(native).__name__}", "its jobs were made before, each with a way of its own", hint)
    return is_a(native, SESSIONS) or handler_of(native) is not None


def replayed(native: Any, answers: Answers) -> Any:
    """An object of the same kind, set up like it, that answers from a player's jobs. Raises BadInput, NotFound."""
    if is_a(native, SESSIONS):
        return _session(native, answers)
    handler = handler_of(native)
    if handler is native:
        return Replayed(handler.name, answers, handler)
    return _over(native, Replayed(handler.name, answers, handler))


def _over(native: Any, handler: Replayed) -> Any:
    if is_a(native, REMOTE_PROCESSORS):
        made = _processor(handler)
        made.experiment = native.experiment
        made.set_parameters(native.parameters)
        return made
    if is_a(native, LAYERS):
        if handler.live is not None:  # it may have to wait for room in a queue, in its provider's way
            made = _twin(native)
            made._rpc_handler = handler
            return made
        layers = sdk("perceval.providers.rpc_based_communication_layer", "a platform", "perceval")
        return layers.RPCBasedCommunicationLayer(handler)
    if is_a(native, REMOTE_COMPUTERS):
        layer = _over(native._communication_layer, handler)
        made = sdk("perceval.runtime", "a computer", "perceval").RemoteComputer(layer)
        for name in _OF_COMPUTERS:
            setattr(made, name, getattr(native, name))
        made.parameters = dict(native.parameters)
        return made
    if is_a(native, REMOTE_JOBS):
        raise BadInput(f"a {type(native).__name__}", "it was made before", "replay its processor, and make another one")
    made = native.clone() if is_a(native, EXECUTIONS) else _twin(native)
    for name in _INSIDE:
        if name in vars(made):
            setattr(made, name, _over(vars(made)[name], handler))
    return made


def _twin(native: Any) -> Any:
    """A shallow copy that runs none of the object's own code: a factory would make a command of any name it is asked for."""
    found = object.__new__(type(native))
    vars(found).update(vars(native))
    return found


def _session(native: Any, answers: Answers) -> Any:
    """The same session, whose processors answer; its cloud is asked for one only where it may be."""
    made = _twin(native)
    if answers.offline:
        name = getattr(native, "_platform_name", None) or handler_of(native._rpc_handler).name
        made.build_remote_processor = lambda: _processor(Replayed(name, answers))
        made.start = made.stop = made.delete = lambda: None
    else:
        made.build_remote_processor = lambda: replayed(native.build_remote_processor(), answers)
    return made


def _processor(handler: Replayed) -> Any:
    return sdk("perceval.runtime.legacy", "a processor", "perceval").RemoteProcessor(rpc_handler=handler)


def through(handler: Any, answers: Answers) -> Any:
    """A handler of somebody's own class, which nothing of ours stands in front of, as one that answers."""
    return handler if isinstance(handler, Replayed) or not is_handler(handler) else Replayed(handler.name, answers, handler)
