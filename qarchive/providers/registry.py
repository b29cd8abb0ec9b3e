"""Which provider an SDK object or an archived job belongs to. A closed table, and entry points; never a name from data."""

import os
import warnings
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from ..errors import ArchiveWarning, BadInput, NotFound
from .base import Cloud, Provider

ENTRY_POINTS = "qarchive.providers"


@cache
def built_in() -> dict[str, Provider]:
    """The providers that come with qarchive, by name; the first that owns an object takes it."""
    from .ibm.local import IBMLocalProvider
    from .ibm.provider import IBMProvider
    from .pasqal.provider import PasqalProvider
    from .perceval.provider import PercevalProvider
    from .pulser.provider import PulserProvider
    from .qiskit.aer import AerProvider
    from .qiskit.backends import QiskitProvider

    here = (AerProvider(), QiskitProvider())
    local_mode = IBMLocalProvider(here)
    others = (PercevalProvider(), PasqalProvider(), PulserProvider())
    return {provider.name: provider for provider in (IBMProvider(local_mode), local_mode, *here, *others)}


@cache
def installed() -> dict[str, Provider]:
    """Providers that other packages offer under the entry-point group `qarchive.providers`. One that cannot be used is left out
    with an ArchiveWarning: it is no reason for what others ran to be neither recorded nor read."""
    found: dict[str, Provider] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            provider = point.load()()
            reason = _unusable(point.name, provider) or (f"{point.name!r} is there already" if point.name in found else None)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            found[point.name] = provider
        else:
            package = point.dist.name if point.dist else point.value
            warnings.warn(f"the provider {point.name!r} of {package} is left out: {reason}", ArchiveWarning, stacklevel=2)
    return found


def _unusable(name: str, provider: Any) -> str | None:
    """Why the object behind an entry point of this name is no provider of jobs that could be read again by that name."""
    if not isinstance(provider, Provider):
        return f"a {type(provider).__qualname__} is no Provider"
    if provider.name != name:
        return f"it calls itself {provider.name!r}"
    return f"qarchive has a provider {name!r} of its own" if name in built_in() else None


def named(name: str) -> Provider:
    """The provider of an archived job. Raises NotFound where the package that offers it is not installed."""
    provider = built_in().get(name) or installed().get(name)
    if provider is None:
        raise NotFound(f"the provider {name!r}", "this installation", "install the package that offers it")
    return provider


def reader(path: str | os.PathLike) -> Cloud | None:
    """The provider whose SDK keeps jobs in a file of this name; None where none does."""
    known = (*built_in().values(), *installed().values())
    return next((provider for provider in known if isinstance(provider, Cloud) and provider.reads(path)), None)


def owner(native: Any) -> Provider:
    """The provider of an SDK's object. Raises BadInput where no provider knows it."""
    for known in (built_in, installed):  # what others offer is not even imported where it is not needed
        for provider in known().values():
            if provider.owns(native):
                return provider
    kind = type(native)
    names = ", ".join([*built_in(), *installed()])
    raise BadInput(f"a {kind.__module__}.{kind.__qualname__}", "belongs to no provider that qarchive knows", f"it knows {names}")
