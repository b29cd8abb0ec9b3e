"""Whether an error of `requests` says that no connection came about, so that nothing can have been accepted."""

import ssl
from typing import Any

from .sdk import sdk


def never_connected(error: Any) -> bool:
    """Of an error of a request that was tried once: whether not one byte of it reached anybody."""
    requests = sdk("requests.exceptions")
    if isinstance(error, (requests.InvalidURL, requests.InvalidSchema, requests.MissingSchema)):
        return True
    last = error.args[0] if error.args else None
    return is_unconnected(getattr(last, "reason", None))


def is_unconnected(error: Any) -> bool:
    """Of an error of urllib3's: refused, no such host, no answer to the first packet, a certificate that is not trusted."""
    urllib3 = sdk("urllib3.exceptions")
    if isinstance(error, urllib3.ProxyError):
        return is_unconnected(error.original_error)
    if isinstance(error, urllib3.SSLError):
        return any(isinstance(item, ssl.SSLCertVerificationError) for item in error.args)
    return isinstance(error, (urllib3.NewConnectionError, urllib3.ConnectTimeoutError))
