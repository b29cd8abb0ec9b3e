"""What IBM's service is told to do about jobs that were sent: to cancel one, to close a session or a batch.

It is told on our own wire, so a service that its user works with has the same active instance before and after. An account has
several instances, and only the one in which something was made knows it: each is asked, the likeliest first.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ...errors import BadInput, NotFound
from ..base import Origin
from .fetching import DENIED, PLACE, instance_digest, raised, wires
from .wire import Unanswered, Wire

_LATER = (408, 429)  # nothing is said about what was to be done
_ELSEWHERE = "it was deleted, or belongs to another account or instance"


def cancel(service: Any, job_id: str, origin: Origin | None) -> None:
    """Cancel a job, queued or running. Raises NotFound, BadInput where it has ended or access is refused, NotAnswered."""
    path = f"/jobs/{quote(job_id, safe='')}/cancel"
    try:
        _tell(service, f"job {job_id}", lambda wire: wire.order("POST", path), origin)
    except Unanswered as error:
        raise _refused(error, f"job {job_id}", "it cannot be cancelled any more") from None


def close(service: Any, held: str) -> None:
    """Let a session or a batch end when its jobs have: it takes no more. Raises NotFound, BadInput, NotAnswered."""
    path = f"/sessions/{quote(held, safe='')}"
    try:
        _tell(service, f"the session or batch {held}", lambda wire: wire.order("PATCH", path, {"accepting_jobs": False}))
    except Unanswered as error:
        raise _refused(error, f"the session or batch {held}", "it cannot be closed") from None


def _tell(service: Any, what: str, tell: Callable[[Wire], None], origin: Origin | None = None) -> None:
    """Tell the instance that knows it. Raises NotFound where none does, and Unanswered."""
    sent_to = None if origin is None else origin.instance
    problem = None
    for wire in sorted(wires(service), key=lambda wire: instance_digest(wire.instance) != sent_to):
        try:
            return tell(wire)
        except Unanswered as error:
            if error.status not in (404, *DENIED):  # one that may not be asked need not be the one that knows
                raise
            problem = problem if error.status == 404 else error
    if problem is not None:
        raise problem
    raise NotFound(what, PLACE, _ELSEWHERE)


def _refused(error: Unanswered, what: str, reason: str) -> Exception:
    if error.status is None or error.status >= 500 or error.status in (*DENIED, *_LATER):
        return raised(error, "")
    return BadInput(what, reason, f"IBM says: {error}")
