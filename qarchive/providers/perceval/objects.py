"""Which of Perceval's objects are which, told by the names of their classes, and what behind them is recorded."""

from typing import Any

from ...errors import BadInput
from ..wrapped import is_a

_LEGACY = "perceval.runtime.legacy"

PROCESSORS = frozenset({(f"{_LEGACY}.processor", "Processor")})
REMOTE_PROCESSORS = frozenset({(f"{_LEGACY}.remote_processor", "RemoteProcessor")})
COMPUTERS = frozenset({("perceval.runtime.abstract_computer", "AComputer")})
REMOTE_COMPUTERS = frozenset({("perceval.runtime.remote_computer", "RemoteComputer")})
LAYERS = frozenset({("perceval.providers.rpc_based_communication_layer", "RPCBasedCommunicationLayer")})
LOCAL_JOBS = frozenset({(f"{_LEGACY}.local_job", "LocalJob")})
REMOTE_JOBS = frozenset({(f"{_LEGACY}.remote_job", "RemoteJob")})
EXECUTIONS = frozenset({("perceval.runtime.execution", "Execution")})
FACTORIES = frozenset({("perceval.runtime.execution_factory", "ExecutionFactory")})
SAMPLERS = frozenset({("perceval.algorithm.sampler", "Sampler")})
ALGORITHMS = frozenset({("perceval.algorithm.abstract_algorithm", "AAlgorithm")})
SESSIONS = frozenset({(f"{_LEGACY}.session", "ISession")})
GROUPS = frozenset({(f"{_LEGACY}.job_group", "JobGroup"), ("perceval.runtime.execution_group", "ExecutionGroup")})

_ALL = frozenset().union(PROCESSORS, REMOTE_PROCESSORS, COMPUTERS, LAYERS, LOCAL_JOBS, REMOTE_JOBS, EXECUTIONS, FACTORIES,
                         ALGORITHMS, SESSIONS, GROUPS)  # fmt: skip
# What Perceval itself asks of a handler: it knows them by their methods.
_OF_HANDLERS = ("create_job", "get_job_status", "get_job_results", "cancel_job", "fetch_platform_details")


def is_perceval(native: Any) -> bool:
    """Whether an object is one of Perceval's; imports nothing."""
    return is_a(native, _ALL) or is_handler(native)


def is_handler(native: Any) -> bool:
    """Whether an object is an RPC handler, one of Perceval's three or one that offers the same methods."""
    return all(callable(getattr(type(native), name, None)) for name in _OF_HANDLERS)


def handler_of(native: Any) -> Any | None:
    """The RPC handler through which an object reaches a cloud; None where it runs here, or reaches none."""
    if is_handler(native):
        return native
    for attribute in ("_rpc_handler", "_communication_layer", "_processor", "_computer", "computer"):
        inside = vars(native).get(attribute) if is_a(native, _ALL) else None  # a factory makes a command of any other name
        if inside is not None:
            return handler_of(inside)
    return None


def marks(asked: Any) -> list[Any]:
    """The objects that may have been wrapped in place of a processor or a computer that runs here."""
    inside = [getattr(asked, "backend", None), getattr(asked, "_backend", None)]
    return [item for item in (asked, *inside) if item is not None and not isinstance(item, str)]


def marked_in(native: Any) -> list[Any]:
    """The objects through which everything runs that `native` starts. Raises BadInput where that cannot be told.

    They are those that Perceval hands on when it makes one object of another: an Analyzer makes itself a computer of a
    processor's simulation backend, and an RPC handler of a handler.
    """
    if is_handler(native):
        return [native]
    if is_a(native, GROUPS):
        inside = native.remote_jobs if is_a(native, frozenset({(f"{_LEGACY}.job_group", "JobGroup")})) else native.executions
        return [marked for item in inside for marked in marked_in(item)]
    if is_a(native, REMOTE_PROCESSORS | REMOTE_JOBS | REMOTE_COMPUTERS | LAYERS):
        handler = handler_of(native)
        if handler is None:
            raise BadInput(f"a {type(native).__name__}", "its way to the cloud is not one that is known", "use an RPC handler")
        return [handler]
    if is_a(native, PROCESSORS):
        return [native, native.backend]
    if is_a(native, COMPUTERS):
        backend = getattr(native, "_backend", None)
        return [native] if backend is None else [native, backend]
    if is_a(native, EXECUTIONS):
        return marked_in(native.computer)
    if is_a(native, FACTORIES):
        return marked_in(native.computer)
    if is_a(native, ALGORITHMS):
        inside = [getattr(native, name, None) for name in ("_processor", "_computer")]
        return [marked for item in inside if item is not None for marked in marked_in(item)]
    raise BadInput(f"a {type(native).__name__}", "it executes nothing", "wrap a processor, a computer or an RPC handler")


def behind(native: Any) -> Any:
    """What is to be wrapped so that `native` is recorded when it starts: of a job that was made before what it runs on.

    Raises BadInput for a LocalJob that computes somebody's own function.
    """
    if is_a(native, REMOTE_JOBS):
        return handler_of(native)
    if is_a(native, LOCAL_JOBS):
        sampler = getattr(native._fn, "__self__", None)
        if not is_a(sampler, SAMPLERS):
            raise BadInput("a LocalJob", "it computes a function that is no Sampler's")
        return sampler
    return native
