"""Why IBM accepted nothing: what passes with time, what asks for smaller jobs, and what would meet every other job, too.

The service says so by a status, by a number of its registry (quantum.cloud.ibm.com/docs/errors), and by words. Words and numbers
go before the status, since 400 and 403 stand for nearly everything: that too many jobs are pending came as a 400, that a job is
too long as a 403. It documents no number for the limit of pending jobs, which users know by its words ("You have reached the
limit of 3 pending jobs. ..."); 3458 and 1012 are those of the platform before. Nor does it for jobs that are too large: most of
these are accepted, and fail. That no time is left is no obstacle to sending: such jobs are accepted, and wait.
"""

import re
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

from ..connections import is_unconnected
from ..sdk import sdk
from .wire import complaints

BUSY, SIZE, DENIED, NONE = "busy", "size", "denied", ""

_NUMBERS = {
    **dict.fromkeys(("1012", "1202", "2402", "3458"), BUSY),  # jobs at a time, requests in a minute
    **dict.fromkeys(("1001", "1102", "3242", "3243", "3248", "6002"), SIZE),  # bytes, circuits, experiments, length
    **dict.fromkeys(("1200", "1201"), DENIED),
    "4317": NONE,  # the quota of the month
}
_WORDS = (
    (BUSY, r"\b(limit|maximum)\b[^.]{0,40}\b(pending|concurrent|queued|running)\b[^.]{0,20}\b(jobs|workloads)\b"),
    (BUSY, r"\b(limit|maximum)\b[^.]{0,40}\b(jobs|workloads)\b[^.]{0,20}\b(concurrently|pending|queued)\b"),
    (BUSY, r"\btoo many\b[^.]{0,40}\b(jobs|workloads|requests)\b"),
    (SIZE, r"\b(payload|entity|body|request|inputs?|job|qobject|circuits?)\b[^.]{0,40}\b(too (large|big|long)|larger than)\b"),
    (SIZE, r"\b(payload|size|circuits|circuit count|experiments|executions|pubs)\b[^.]{0,60}\b(exceed\w*|higher than|over)\b"),
    (SIZE, r"\b(exceed\w*|too many)\b[^.]{0,60}\b(payload|size|circuits|experiments|executions|pubs)\b"),
)
_STATUSES = {401: DENIED, 403: DENIED, 413: SIZE, 429: BUSY}
_SPENT = re.compile(r"\b(usage|quota|time)\b[^.]{0,60}\b(exceed\w*|limit)", re.IGNORECASE)
_OF_THE_SDK = frozenset({"qiskit_ibm_runtime", "requests", "urllib3"})


def obstacle(error: BaseException) -> str:
    """ "busy", "size", "denied" or "", of an error that proves that nothing was accepted.

    A service that was not reached, or could not answer a question before the job, is "busy": it may be there again later.
    """
    requests = sdk("requests.exceptions")
    links = list(_dealt_with(error))
    broken = next((link for link in links if isinstance(link, requests.RequestException)), None)
    if broken is None:
        denied = sdk("qiskit_ibm_runtime.exceptions", "a job of IBM's", "ibm").IBMNotAuthorizedError
        return DENIED if any(isinstance(link, denied) for link in links) else NONE
    if broken.response is not None:
        return of_answer(broken.response.status_code, complaints(broken.response))
    if isinstance(broken, (requests.InvalidURL, requests.InvalidSchema, requests.MissingSchema)):
        return NONE
    return DENIED if _is_untrusted(broken) else BUSY


def of_answer(status: int, said: Iterable[tuple[str, str]]) -> str:
    """The same of an answer: its status, and the (number, words) of each error in it."""
    for number, words in said:
        if number in _NUMBERS:
            return _NUMBERS[number]
        for kind, pattern in _WORDS:
            if re.search(pattern, words, re.IGNORECASE):
                return kind
    return BUSY if status >= 500 else _STATUSES.get(status, NONE)


def is_spent(said: Iterable[tuple[str, str]]) -> bool:
    """Whether an answer says that an instance has no time left."""
    return any(_SPENT.search(words) for _, words in said)


def _dealt_with(error: BaseException) -> Iterator[BaseException]:
    """An error and what the SDK made it of; not an older one that the user was dealing with."""
    met: set[int] = set()
    while error is not None and id(error) not in met:
        met.add(id(error))
        yield error
        before = error.__cause__ or error.__context__
        step = None if before is None else before.__traceback__
        if step is None or step.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _OF_THE_SDK:
            return
        error = before


def _is_untrusted(error: Any) -> bool:
    """Whether the service showed a certificate that is not trusted."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return is_unconnected(reason) and any(isinstance(item, ssl.SSLError) for item in getattr(reason, "args", ()))
