"""Who records what an archive itself starts: said for a `with` block, whatever the objects inside are marked with.

A mark would be seen by all threads that use an object at the same moment; this is seen by the thread that says it, and by those
that are started inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from . import hooks
from .base import Recorder

_chosen: ContextVar[Recorder | None] = ContextVar("qarchive_chosen", default=None)
hooks.carry(_chosen)


@contextmanager
def through(recorder: Recorder) -> Iterator[None]:
    """What runs inside goes through this recorder."""
    token = _chosen.set(recorder)
    try:
        yield
    finally:
        _chosen.reset(token)


def recorder_of(*natives: Any) -> Recorder | None:
    """Who records what goes through one of these objects: who is chosen here, else as `hooks.recorder_of` says."""
    return _chosen.get() or hooks.recorder_of(*natives)
