"""Pasqal's own objects: which are theirs, and the one through which all their requests pass, an HTTPClient."""

from collections.abc import Iterator
from typing import Any

from ..base import Stage
from ..sdk import sdk

CLIENT = ("pasqal_cloud.http_client", "HTTPClient")
SDK = ("pasqal_cloud.pasqal_cloud_client", "PasqalCloudClient")
CONNECTION = ("pasqal_cloud.pasqal_cloud_connection", "PasqalCloudConnection")
JOB, BATCH = ("pasqal_cloud.job", "Job"), ("pasqal_cloud.batch", "Batch")
BACKEND, RESULTS = ("pulser.backend.remote", "RemoteBackend"), ("pulser.backend.remote", "RemoteResults")


def pasqal(module: str = "pasqal_cloud", what: str = "Pasqal's own object") -> Any:
    """A module of pasqal-cloud's. Raises MissingExtra."""
    return sdk(module, what, "pasqal")


def is_a(native: Any, *names: tuple[str, str]) -> bool:
    """Whether an object is of one of these classes, decided by their names."""
    return any((kind.__module__, kind.__name__) in names for kind in type(native).__mro__)


def client_of(native: Any) -> Any | None:
    """The HTTPClient in an object of the SDK's or of Pulser's; None where it has none."""
    if is_a(native, CLIENT):
        return native
    if is_a(native, SDK, JOB, BATCH):
        return getattr(native, "_client", None)
    if is_a(native, CONNECTION):
        return client_of(native.cloud_client)
    if is_a(native, BACKEND, RESULTS):
        return client_of(native._connection)
    return None


def is_own(client: Any, method: str) -> bool:
    """Whether a method of a client is the SDK's, and not one that a class of somebody else's brings instead."""
    found = next((kind for kind in type(client).__mro__ if method in vars(kind)), None)
    return found is not None and found.__module__.partition(".")[0] == "pasqal_cloud"


def classes() -> list[type]:
    """HTTPClient and all classes that are made of it, as far as they are imported; those over archives say nothing new."""
    found = [getattr(pasqal(CLIENT[0]), CLIENT[1])]
    for kind in found:
        found += [each for each in kind.__subclasses__() if each not in found and each.__module__.partition(".")[0] != "qarchive"]
    return found


def project_of(client: Any) -> str | None:
    """The project in which a client sends; None for one without."""
    try:
        return client.project_id or None
    except Exception:  # a ValueError where there is none, and clients are anybody's
        return None


def conceal(stage: Stage, client: Any, *more: str | None) -> None:
    """Have a client's credentials removed from what is stored, from now on; `more` are other secrets."""
    stage.conceal(*secrets(client), *(text for text in more if type(text) is str))


def secrets(client: Any) -> Iterator[str]:
    """User name, password and present token; a token that would first have to be asked for is not."""
    provider = getattr(getattr(client, "authenticator", None), "token_provider", None)
    cached = getattr(provider, "_ExpiringTokenProvider__token_cache", None)
    found = [getattr(provider, "username", None), getattr(provider, "password", None)]
    found += list(cached[1:]) if type(cached) is tuple else []
    yield from (text for text in found if type(text) is str)
