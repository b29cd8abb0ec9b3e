"""What a user gets for a backend or a primitive of Qiskit."""

import sys
import warnings
from typing import Any

from ...errors import ArchiveWarning
from .. import hooks
from ..wrapped import Wrapped

# AerSimulator.from_backend, and so Aer's primitives, make a new simulator of what they are given, which nothing has wrapped. They
# read this attribute once, and that is where a wrapped backend can say so.
_READ_BY_AER = "backend_version"
_NOT_RECORDED = (
    "Aer makes a simulator of its own from the wrapped backend {}, and runs on it are not recorded; wrap what Aer makes, such as "
    "`archive.wrap(SamplerV2.from_backend(backend.unwrapped))` or an AerSimulator, or use `qarchive.autolog()`"
)


class WrappedBackend(Wrapped):
    """A backend whose runs are recorded."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name == _READ_BY_AER and not hooks.is_everywhere() and (depth := _frames_of_aer()):
            warnings.warn(_NOT_RECORDED.format(self._qarchive_native.name), ArchiveWarning, stacklevel=depth + 2)
        return getattr(self._qarchive_native, name)


class WrappedPrimitive(Wrapped):
    """A primitive whose runs are recorded; what its backend does meanwhile is part of them."""

    __slots__ = ()


def _frames_of_aer() -> int:
    """How many frames above the caller are Aer's, where the nearest is `AerSimulator.from_backend`; else 0."""
    frame = sys._getframe(2)
    if frame.f_code.co_qualname != "AerSimulator.from_backend":
        return 0
    depth = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("qiskit_aer."):
        depth, frame = depth + 1, frame.f_back
    return depth
