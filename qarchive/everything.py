"""Everything that a process executes, archived without wrapping anything: `qarchive.autolog`."""

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

from . import config, scope
from .archive import Archive
from .archive import open as open_archive
from .errors import BadInput, MissingExtra
from .library import Way
from .providers import hooks, registry
from .providers.base import Provider

_mutex = threading.Lock()
_archive: Archive | None = None  # where everything goes, or went last


def autolog(archive: Archive | str | os.PathLike | bool | None = None) -> Archive | None:
    """Archive every execution of this process that any provider supports, wrapped or not, until `autolog(False)`.

    `archive` is an Archive, or what `qarchive.open` takes: a path, or None for the one that it finds. Called again with another
    one, it goes on there. What a wrapped object runs stays one record, in that object's own archive; labels of
    `archive.context`, `archive.paused()` and `run(..., archive=False)` hold as ever.

    Methods of the SDKs' classes are replaced meanwhile, and put back at the end: `run` of the backends of Qiskit Aer, Qiskit and
    qiskit-ibm-runtime's fakes, `run` of the primitives of Qiskit and Aer, and what other providers declare. SDKs that are not
    installed are passed over, and with an ArchiveWarning a provider of which a method cannot be replaced. A class that overrides
    such a method is not seen: wrap its objects.

    In a process that is replayed all of it is answered by recordings already, and this changes nothing.

    Returns the Archive, and None at the end. Raises what `qarchive.open` raises.
    """
    global _archive
    with _mutex:
        if scope.is_played():
            return None if archive is False else _opened(None if archive is True else archive)
        if archive is False:
            hooks.everywhere(None)
            hooks.restore()
            return None
        _archive = _opened(None if archive is True else archive)
        problems = [problem for provider in (*registry.built_in().values(), *registry.installed().values())
                    if (problem := _install(provider)) is not None]  # fmt: skip
        for problem in problems:
            hooks.warn(problem)
        hooks.everywhere(_Everything(_archive))
        return _archive


class _Everything(Way):
    """Records each execution with the provider that owns what executes: that may be another one than declared the method."""

    def __init__(self, archive: Archive):
        super().__init__(archive)
        self._run, self.run = self.run, self._by_owner

    @hooks.passed_over
    def _by_owner(self, provider: Provider, target: Any, args: tuple, kwargs: dict, send: Callable[[dict], Any]) -> Any:
        try:
            provider = registry.owner(target)
        except BadInput:
            pass
        return self._run(provider, target, args, kwargs, send)


def _opened(archive: Archive | str | os.PathLike | None) -> Archive:
    if isinstance(archive, Archive):
        return archive
    folder, _ = config.locate(archive)
    return _archive if _archive is not None and _archive.path == folder else open_archive(folder)


def _install(provider: Provider) -> str | None:
    """What a warning says where not all that a provider runs is seen: no reason to break the script, nor to miss others."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the SDK's own import
            hooks.instrument(provider)
    except MissingExtra:
        pass
    except Exception as error:
        said = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
        return f"autolog does not see all that runs by the provider {provider.name}: {said}"
    return None
