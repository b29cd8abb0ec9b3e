"""Whether an error of sending proves that Pasqal's cloud accepted nothing. What is not certain may be running.

The client sends a POST again, up to five times, where the answer was 408, 425, 429, 500, 502 or 504, and raises the last error
alone. So every attempt is noted as it ends, and nothing was accepted if each of them proves it:

- it never left: the project is missing, the payload is no JSON, no token was to be had;
- no connection came about: refused, no such host, no answer to the first packet, a certificate that is not trusted;
- the answer was 4xx, other than those of `_UNCERTAIN`: the service has looked at the request and says no. 429 is such a no.

It proves nothing where the connection broke or ran out of time after bytes had left, where an answer was 5xx, or where the error
came after the answer. A client of somebody else's class, which sends in a way of its own, proves nothing either.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from traceback import walk_tb
from typing import Any

from .. import hooks
from .clients import is_own, pasqal

# 408 and 499: the request did not arrive whole, or so it seemed to somebody on the way. 409: something of the kind is there
# already. 425: somebody on the way did not dare to pass it on.
_UNCERTAIN = frozenset({408, 409, 425, 499})
_METHODS = ("send_batch", "add_jobs", "_authenticated_request", "_request_with_status_check")


class Attempts:
    """The requests of one sending, in order: whether each ended with a proof that nothing was accepted."""

    def __init__(self, knows: bool):
        self.knows = knows  # whether all requests pass the method that notes them
        self.denied: list[bool] = []


_attempts: ContextVar[Attempts | None] = ContextVar("qarchive_pasqal_attempts", default=None)


@contextmanager
def watching(client: Any) -> Iterator[None]:
    """Note the requests inside, which are those of one sending."""
    token = _attempts.set(Attempts(all(is_own(client, name) for name in _METHODS)))
    try:
        yield
    finally:
        _attempts.reset(token)


def noting(original: Callable) -> Callable:
    """`HTTPClient._request_with_status_check`, noting how each request ends."""

    @hooks.passed_over
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        attempts = _attempts.get()
        if attempts is None or "GET" in (*args[:1], kwargs.get("method")):
            return original(self, *args, **kwargs)
        attempts.denied.append(False)
        try:
            return original(self, *args, **kwargs)
        except Exception as error:
            attempts.denied[-1] = _denied(error)
            raise

    return method


def refused(error: BaseException) -> bool:
    """Whether nothing was accepted, provably."""
    attempts = _attempts.get()
    if attempts is None or not attempts.knows or not isinstance(error, Exception):
        return False  # an interrupt may come between any two steps
    return all(attempts.denied)


def obstacle(error: BaseException) -> str:
    """Why nothing was accepted, of an error that proves it, the SDK's own or that of the request: "busy", "size", "denied", or ""
    for anything else."""
    requests = pasqal("requests", "a request")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, requests.RequestException):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, requests.ConnectionError) and not isinstance(cause, requests.exceptions.SSLError):
        return "busy"
    status = getattr(getattr(cause, "response", None), "status_code", None)
    return {429: "busy", 413: "size", 401: "denied", 403: "denied"}.get(status, "")


def _denied(error: Exception) -> bool:
    """Whether a request that ended with this error was not accepted, provably."""
    if not _has_left(error):
        return True
    requests = pasqal("requests", "a request")
    if not isinstance(error, requests.RequestException):
        return False
    if error.response is not None:
        status = error.response.status_code
        return 400 <= status < 500 and status not in _UNCERTAIN
    cause = error.args[0] if error.args else None
    return _is_unconnected(getattr(cause, "reason", cause))


def _has_left(error: Exception) -> bool:
    """Whether the error may have come after a first byte was sent: not while the request was put together, log-in and all."""
    if getattr(error, "response", None) is not None:
        return True
    names = [frame.f_code.co_qualname for frame, _ in walk_tb(error.__traceback__)]
    if "Session.request" not in names:
        return True  # a session of somebody else's
    return "Session.send" in names[names.index("Session.request") + 1 :][:1]


def _is_unconnected(error: Any) -> bool:
    urllib3 = pasqal("urllib3.exceptions", "a request")
    if isinstance(error, urllib3.ProxyError):
        return _is_unconnected(error.original_error)
    if isinstance(error, urllib3.SSLError):
        return any(isinstance(item, ssl.SSLCertVerificationError) for item in error.args)
    return isinstance(error, (urllib3.NewConnectionError, urllib3.ConnectTimeoutError))
