"""Whether an error of sending proves that a cloud accepted nothing. What is not certain may be running, and is never sent again.

A handler sends with one request, which it does not repeat. An error proves that nothing was accepted

- where the service answered with a 4xx status, other than those of `_UNCERTAIN`: it has looked at the request and says no;
- where no connection came about: refused, no such host, no answer to the first packet, a certificate that is not trusted;
- where it was raised before the request: for a body that is no JSON, by a handler that cannot do it at all, in a replay
  without a token.

It proves nothing where the connection broke or ran out of time after bytes had left, where the status is 5xx, or where the
answer was not the expected one.
"""

import re
from typing import Any

from ...errors import BadInput
from ..connections import never_connected
from ..sdk import sdk

_UNCERTAIN = frozenset({408, 409, 425, 499})
_ANSWERED = re.compile(r"answered with status code (\d{3}) \[")  # how RPCHandler.post_request words it
_BUSY = re.compile(
    r"too many (jobs|requests)|\bjobs at (a time|once)\b|\bconcurrent jobs\b|\bjobs? in (the )?queue\b|\bqueue is full\b",
    re.IGNORECASE,
)
DENIED = frozenset({401, 403})
_SIZE, _TOO_MANY = 413, 429


def obstacle(error: BaseException) -> str:
    """Why nothing was accepted: "busy", "size", "denied", or "" for anything else, of an error that proves it."""
    if not refused(error):
        return ""
    requests = sdk("requests", "a job in a cloud", "perceval")
    if not isinstance(error, requests.HTTPError):
        # No connection: that may pass, but for a wrong address and a certificate that is not trusted.
        return (
            "busy" if isinstance(error, requests.ConnectionError) and not isinstance(error, requests.exceptions.SSLError) else ""
        )
    status = status_of(error)
    if status == _TOO_MANY or _BUSY.search(str(error)):  # the plan's limit may come with any status
        return "busy"
    return "size" if status == _SIZE else "denied" if status in DENIED else ""


def refused(error: BaseException) -> bool:
    """Whether nothing was accepted, provably."""
    if not isinstance(error, Exception):
        return False
    requests = sdk("requests", "a job in a cloud", "perceval")
    if isinstance(error, requests.HTTPError):
        status = status_of(error)
        return status is not None and 400 <= status < 500 and status not in _UNCERTAIN
    if isinstance(error, BadInput | NotImplementedError) or _prepared_only(error):  # BadInput: ours, in place of a request
        return True
    return isinstance(error, requests.RequestException) and never_connected(error)


def _prepared_only(error: Exception) -> bool:
    """Whether an error comes from where a request is made up, before it is sent: a body that is no JSON, a wrong address."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_globals.get("__name__") == "requests.sessions" and frame.tb_frame.f_code.co_name == "prepare_request":
            return True
        frame = frame.tb_next
    return False


def status_of(error: Any) -> int | None:
    """The status of the answer that an HTTPError of Perceval's is about; it is in its text where the answer is not with it."""
    if error.response is not None:
        return error.response.status_code
    found = _ANSWERED.search(str(error))
    return int(found.group(1)) if found else None
