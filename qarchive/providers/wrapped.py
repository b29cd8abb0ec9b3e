"""What a user gets for an object that executes: the same interface, recorded. And how objects are told by their classes."""

import copy
from functools import cache
from typing import Any

from ..errors import BadInput
from . import hooks
from .base import Provider, Recorder


class Wrapped:
    """An object whose executions are recorded; in all else it is the object: `isinstance`, attributes, copies.

    `unwrapped` is the object itself.
    """

    __slots__ = ("__weakref__", "_qarchive_native", "_qarchive_provider", "_qarchive_recorder")

    def __init__(self, native: Any, provider: Provider, recorder: Recorder):
        object.__setattr__(self, "_qarchive_native", native)
        object.__setattr__(self, "_qarchive_provider", provider)
        object.__setattr__(self, "_qarchive_recorder", recorder)

    @property
    def __class__(self):
        return type(self._qarchive_native)

    @property
    def unwrapped(self) -> Any:
        """The object itself, whose executions are not recorded."""
        return self._qarchive_native

    @hooks.passed_over
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The object's own `run`, recorded; `archive=False` leaves this one out."""
        native = self._qarchive_native
        *seen, args, kwargs = hooks.read_twice(args, kwargs)
        return self._qarchive_recorder.run(
            self._qarchive_provider, native, *seen, lambda sent: native.run(*args, **{name: kwargs[name] for name in sent})
        )

    def jobs(self, **filters: Any) -> Any:
        """Archived jobs of this backend, or of the backend of this primitive."""
        provider = self._qarchive_provider
        name = provider.backend_name(self._qarchive_native)
        return self._qarchive_recorder.jobs(provider=provider.name, backend=name, **filters)

    def local_jobs(self, **filters: Any) -> Any:
        """The same as `jobs`."""
        return self.jobs(**filters)

    def remote_jobs(self, **_: Any) -> list:
        """An empty list, so that one script serves devices and simulators: what runs here keeps no jobs of its own."""
        return []

    def retrieve_job(self, job_id: str) -> Any:
        """An archived job by its id, or by the SDK's own id of it."""
        return self._qarchive_recorder.job(job_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._qarchive_native, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._qarchive_native, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._qarchive_native, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._qarchive_native), *(name for name in dir(Wrapped) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"<archived {self._qarchive_native!r}>"

    def __copy__(self) -> "Wrapped":
        return type(self)(copy.copy(self._qarchive_native), self._qarchive_provider, self._qarchive_recorder)

    def __deepcopy__(self, memo: dict) -> "Wrapped":
        return type(self)(copy.deepcopy(self._qarchive_native, memo), self._qarchive_provider, self._qarchive_recorder)

    def __reduce_ex__(self, protocol: int) -> Any:
        what = f"a recorded {type(self._qarchive_native).__name__}"
        raise BadInput(what, "another process would not record its runs", "send its `unwrapped`, and wrap it there")


def unwrapped(native: Any) -> Any:
    """The object itself, where it is a wrapped one."""
    return native.unwrapped if isinstance(native, Wrapped) else native


def is_a(native: Any, classes: frozenset[tuple[str, str]]) -> bool:
    """Whether an object, wrapped or not, descends from one of these (module, name); imports nothing."""
    return _descends(type(unwrapped(native)), classes)


@cache
def _descends(kind, classes) -> bool:
    return any((base.__module__, base.__name__) in classes for base in kind.__mro__)
