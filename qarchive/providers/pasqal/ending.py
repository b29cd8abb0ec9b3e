"""What a cloud is asked to do with jobs and batches that were sent: to cancel, to close. The SDK's own requests, so that what
comes of them is recorded as if their user had made them."""

from collections.abc import Callable
from typing import Any

from ...errors import BadInput, NotFound
from ..base import Origin
from .clients import client_of, pasqal
from .fetching import PLACE, elsewhere, instance, raised
from .wire import Unanswered


def cancel(client: Any, job_id: str, origin: Origin | None) -> None:
    """Cancel a job that has not started. Raises NotFound, NotAnswered, BadInput where the service says no."""
    client = client_of(client)
    try:
        _ask(f"job {job_id}", client.cancel_job, job_id)
    except NotFound:
        if origin is not None and origin.instance not in (None, instance(client, {})):
            raise elsewhere(job_id) from None
        raise


def close(client: Any, batch_id: str) -> None:
    """Close an open batch. Raises NotFound, NotAnswered, BadInput where the service says no."""
    _ask(f"batch {batch_id}", client_of(client).close_batch, batch_id)


def _ask(what: str, ask: Callable[[str], Any], reference: str) -> None:
    requests = pasqal("requests", "a job of Pasqal's")
    try:
        ask(reference)
    except requests.HTTPError as error:
        said, status = said_no(error), getattr(error.response, "status_code", None)
        if said is not None and status not in (401, 403, 404):
            raise BadInput(what, said) from None
        raise raised(Unanswered(f"it answers {status}", status), what) from None
    except requests.RequestException as error:
        raise raised(Unanswered(type(error).__name__), what) from None
    except ValueError as error:  # a client of another cloud (OVH's) has no such request
        raise BadInput(what, str(error)) from None


def said_no(error: Any) -> str | None:
    """What the service said where it refused a request; None where it did not, or not for good."""
    answer = getattr(error, "response", None)
    if answer is None or not 400 <= answer.status_code < 500 or answer.status_code in (408, 425, 429):
        return None
    try:
        said = str(answer.json()["data"]["description"])
    except (ValueError, KeyError, TypeError):
        said = str(answer.reason)
    return f"{PLACE} says no ({answer.status_code}): {said}"
