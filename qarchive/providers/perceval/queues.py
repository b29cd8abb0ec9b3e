"""What a cloud is asked for jobs that wait to be sent, or are to run no more: whether the platform is there, how much room its
user has in the queue, and to cancel a job."""

from typing import Any

from ...errors import BadInput, NotAnswered, NotFound
from ..base import Origin
from ..sdk import sdk
from .fetching import handler_for, handler_of_job, refuses
from .platforms import address, asking, patient_copy
from .refusals import DENIED, status_of


def device(client: Any, name: str) -> Any:
    """An RPC handler of a platform, with the credentials and the address of `client`. Raises NotFound where the platform does not
    exist (any more), BadInput where access is refused, NotAnswered."""
    handler = handler_for(client, name)
    requests = sdk("requests", "a platform", "perceval")
    try:
        with asking():
            patient_copy(handler).fetch_platform_details()
    except requests.HTTPError as error:
        status = status_of(error)
        if status == 404:
            raise NotFound(f"the platform {name}", address(handler), "it may have been retired: give another one") from None
        if status in DENIED:
            raise refuses(handler, status) from None
        raise NotAnswered(1, f"{address(handler)} answered {status or error}") from None
    except requests.RequestException as error:
        raise NotAnswered(1, f"{address(handler)} did not answer ({type(error).__name__})") from None
    return handler


def room(client: Any) -> int | None:
    """How many more jobs the account may have in the queue; None where the cloud does not say."""
    try:
        with asking():
            answer = patient_copy(client).get_job_availability()
        return max(0, int(answer["max_jobs_in_queue"]) - int(answer["num_jobs_in_queue"]))
    except Exception:  # handlers are anybody's, and not all clouds know the question
        return None


def cancel(client: Any, job_id: str, origin: Origin | None) -> None:
    """Ask for the cancellation of a job. Raises NotFound, BadInput, NotAnswered."""
    handler = handler_of_job(client, job_id, origin)
    requests = sdk("requests", "a job in a cloud", "perceval")
    try:
        patient_copy(handler).cancel_job(job_id)
    except requests.HTTPError as error:
        status = status_of(error)
        if status == 404:
            raise NotFound(f"job {job_id}", address(handler)) from None
        if status in DENIED:
            raise refuses(handler, status) from None
        if status is not None and 400 <= status < 500:
            raise BadInput(f"job {job_id}", f"{address(handler)} does not cancel it: {error}") from None
        raise NotAnswered(1, f"{address(handler)} answered {status or error}") from None
    except requests.RequestException as error:
        raise NotAnswered(1, f"{address(handler)} did not answer ({type(error).__name__})") from None
    except NotImplementedError:
        raise BadInput(f"job {job_id}", f"{address(handler)} cancels no jobs") from None
