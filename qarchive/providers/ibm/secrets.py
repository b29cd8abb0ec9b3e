"""Credentials and addresses in an IBM account: what must never be stored, whatever text it stands in."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from ..base import Stage

_PUBLIC = "cloud.ibm.com"  # the address that all have
_LONG = 20  # characters of a part of a CRN that tells whose it is: the account, the instance


def conceal(stage: Stage, service: Any) -> None:
    """Have all of them removed from what is stored, from now on."""
    stage.conceal(*secrets(service))


def secrets(service: Any) -> Iterator[str | None]:
    """API key, CRNs, addresses that are not everybody's, proxies with their users and passwords; some more than once."""
    account = getattr(service, "_account", None)
    clients = [*getattr(service, "_api_clients", {}).values(), getattr(service, "_active_api_client", None)]
    clients = [client for client in clients if client is not None]
    yield from _with_quoted([getattr(account, "token", None)])
    crns = {getattr(account, "instance", None), *(client._instance for client in clients)}
    yield from _with_quoted(crns)
    for crn in filter(None, crns):
        yield from (part.removeprefix("a/") for part in crn.split(":") if len(part) > _LONG)
    yield from _addresses([getattr(account, "url", None), *(client._session.base_url for client in clients)])
    proxies = getattr(account, "proxies", None)
    yield from (getattr(proxies, name, None) for name in ("username_ntlm", "password_ntlm"))
    for url in (getattr(proxies, "urls", None) or {}).values():
        parts = urlsplit(url)
        yield from (url, parts.netloc, parts.username, parts.password)


def _with_quoted(texts: Iterable[str | None]) -> Iterator[str]:
    for text in filter(None, texts):
        yield from (text, quote(text, safe=""))


def _addresses(urls: Iterable[str | None]) -> Iterator[str]:
    for url in filter(None, urls):
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host != _PUBLIC and not host.endswith("." + _PUBLIC):
            yield from (url, parts.netloc)
