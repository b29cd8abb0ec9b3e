"""Whether an error of sending proves that IBM accepted nothing. What is not certain may be running, and is never sent again.

Sending is a way through the SDK with one request in it that counts, `POST /jobs`. An error proves that nothing was accepted

- where it was raised before that request: by the SDK's own checks, a device that does not exist, a question of its own that got
  no answer;
- where the service answered the request with a 4xx status, other than those of `_UNCERTAIN`: it has looked at the request and
  says no. 429 is such a no, and so is 409 where IBM's own words with it are that no time is left, as its API documents it;
- where no connection came about: refused, no such host, no answer to the first packet, a certificate that is not trusted;

and where the SDK had sent the request before and tried again, only if each earlier attempt failed to connect, too. It proves
nothing where the connection broke or ran out of time after bytes had left, where the status is 5xx, or where the error came
after the answer (the SDK looks the device up again, which may fail though the job runs).

How far an error has come is read from its traceback, and where the SDK looks other than known there, nothing is proven.
"""

import inspect
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ...errors import MissingExtra
from ..connections import is_unconnected, never_connected
from ..sdk import sdk
from .obstacles import is_spent
from .wire import complaints

# 408 and 499: the request did not arrive whole, or so it seemed to somebody on the way. 409: something of the kind is there
# already, if nothing else is said. 425: somebody on the way did not dare to pass it on.
_UNCERTAIN = frozenset({408, 409, 425, 499})

_RUN, _ACCEPTED = "QiskitRuntimeService._run", "response"  # the method, and what it calls an answer
_SEND, _READY = "Runtime.program_run", "data"  # the method that sends, and what it calls a request that is ready


def refused(error: BaseException) -> bool:
    """Whether nothing was accepted, provably."""
    if not isinstance(error, Exception) or not _layout_is_known():  # an interrupt may come between any two steps
        return False
    passed = {id(link): list(_frames(link, _RUN)) for link in _chain(error)}
    run = next((frames[0] for frames in passed.values() if frames), None)
    if run is None:
        return True  # it was called in a wrong way
    if _ACCEPTED in run.f_locals:
        return False
    for link in _chain(error):
        ours = run in passed[id(link)]  # not an older error that the user was dealing with
        if ours and any(_READY in frame.f_locals for frame in _frames(link, _SEND)):
            return _answered_no(link)
    return True


def _answered_no(error: BaseException) -> bool:
    """Whether an error that came out of the request itself is a no, or says that there was no connection."""
    requests = sdk("requests.exceptions")
    links = (error, error.__cause__, error.__context__)
    cause = next((link for link in links if isinstance(link, requests.RequestException)), None)
    if cause is None:
        return False
    if cause.response is not None:
        status = cause.response.status_code
        said_no = status not in _UNCERTAIN or (status == 409 and is_spent(complaints(cause.response)))
        return 400 <= status < 500 and said_no and _unconnected(getattr(cause.response.raw, "retries", None))
    if isinstance(cause, (requests.InvalidURL, requests.InvalidSchema, requests.MissingSchema)):
        return True
    return never_connected(cause) and _unconnected(_retries(cause.args[0]))


def _unconnected(retries: Any) -> bool:
    """Whether all attempts so far failed to connect."""
    return retries is not None and all(entry.status is None and is_unconnected(entry.error) for entry in retries.history)


def _retries(error: Any) -> Any:
    """What urllib3 had tried before its last attempt, whose error this is."""
    frames = list(_frames(error, None)) if isinstance(error, BaseException) else []
    found = [frame.f_locals["retries"] for frame in frames if frame.f_code.co_name == "urlopen" and "retries" in frame.f_locals]
    return found[-1] if found else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    met: set[int] = set()
    while error is not None and id(error) not in met:
        met.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _frames(error: BaseException, name: str | None) -> Iterator[FrameType]:
    """The frames that an error passed, the outermost first: of the method `name`, or all."""
    step = error.__traceback__
    while step is not None:
        if name is None or step.tb_frame.f_code.co_qualname == name:
            yield step.tb_frame
        step = step.tb_next


def _layout_is_known() -> bool:
    try:
        run = sdk("qiskit_ibm_runtime.qiskit_runtime_service").QiskitRuntimeService._run
        send = sdk("qiskit_ibm_runtime.api.rest.runtime").Runtime.program_run
    except (MissingExtra, AttributeError):
        return False
    known = ((inspect.unwrap(run), _RUN, _ACCEPTED), (send, _SEND, _READY))
    return all(
        method.__code__.co_qualname == name and variable in method.__code__.co_varnames for method, name, variable in known
    )
