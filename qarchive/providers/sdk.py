"""Modules of SDKs, imported when they are first needed and named by code, never by data."""

from functools import cache
from importlib import import_module
from typing import Any

from ..errors import MissingExtra


@cache
def sdk(module: str, what: str = "this value", extra: str = "aer", package: str = "qarchive") -> Any:
    """An SDK's module. Raises MissingExtra, which says that `what` needs it and which `extra` of `package` brings it ("": the
    package alone)."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(what, extra, package) from None
