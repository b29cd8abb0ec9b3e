"""`archive=False` for a single run, where Perceval itself takes no such argument."""

from collections.abc import Callable, Iterator
from typing import Any

from .. import hooks
from ..base import Provider
from ..sdk import sdk
from .objects import handler_of, marks


def replacements(provider: Provider) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
    """The methods that start an execution or a job in a cloud, to be replaced; a LocalJob's are replaced elsewhere anyway."""
    kinds = (sdk("perceval.runtime", "a computer", "perceval").Execution,
             sdk("perceval.runtime.legacy", "a job", "perceval").RemoteJob)  # fmt: skip
    for kind in kinds:
        for name in ("execute_sync", "execute_async"):
            yield kind, name, lambda original: _choosing(provider, original)


def _choosing(provider: Provider, original: Callable) -> Callable:
    @hooks.passed_over
    def method(started: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = hooks.recorder_of(*_asked_of(started)) if "archive" in kwargs else None
        if recorder is None or kwargs.pop("archive"):
            return original(started, *args, **kwargs)
        return recorder.run(provider, started, (), {"archive": False}, lambda _: original(started, *args, **kwargs))

    return method


def _asked_of(started: Any) -> list[Any]:
    handler = handler_of(started)
    return marks(started.computer) if handler is None else [handler]
