"""What is asked of Pasqal's cloud beside its user: in a session of our own, soon given up, and with no retries.

The SDK's client tries again for 31 s. Where a client is of a class that answers for itself, it is asked itself.
"""

import json
import os
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...values import Timestamp
from .answers import ENDED, word
from .clients import is_own, pasqal

CONNECT_S, READ_S = 3.0, 5.0  # to the first byte, and between any two
SOON_S, PATIENT_S = 6.0, 45.0  # for a whole answer: while a user waits for his jobs to be sent, and otherwise
SPECS_AGE_S = 300.0  # for so long the specifications of the devices stand for the next batch, too
FAILURES, PAUSE_S = 2, 60.0  # after so many failures in a row no user waits for another one for so long
BATCH_AGE_S, ENDED_BATCH_AGE_S = 2.0, 60.0  # for so long an answer about a batch stands for the next of its jobs, too
_PAGE, _BATCHES = 100, 64


class Unanswered(Exception):
    """The service did not answer, or not what it was asked. `status` is that of an answer which was an error."""

    def __init__(self, reason: str, status: int | None = None):
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Specs:
    """The serialised specifications of devices by device type, and when they were asked for."""

    devices: Mapping[str, str]
    at: Timestamp
    clock: float


class Wire:
    """One client's way to the service, beside that client."""

    def __init__(self, client: Any):
        self._client = weakref.ref(client)
        self._mutex = threading.Lock()
        self._failures, self._closed_until = 0, 0.0
        self._specs: Specs | None = None
        self._batches: dict[str, tuple[float, dict]] = {}
        self._session = None
        self.process = os.getpid()

    # Devices

    def specs(self) -> Specs:
        """The specifications of all devices that have some, at most SPECS_AGE_S old. Raises Unanswered."""
        found = self._specs
        if found is None or time.monotonic() - found.clock > SPECS_AGE_S:
            found = Specs(self._ask_specs(), Timestamp.now(), time.monotonic())
            self._specs = found
        return found

    def saw_specs(self, devices: Any) -> None:
        """The user has asked for them himself."""
        if isinstance(devices, Mapping):
            self._specs = Specs(dict(devices), Timestamp.now(), time.monotonic())

    def _ask_specs(self) -> Mapping[str, str]:
        client = self._there()
        if not is_own(client, "get_device_specs_dict"):
            return self._itself(client.get_device_specs_dict)
        if getattr(client, "authenticator", None) is not None and "get_devices_specs" in client._get_api_urls():
            return self._data("get_devices_specs", within_s=SOON_S)
        return {entry["device_type"]: entry["specs"] for entry in self._data("get_public_devices_specs", within_s=SOON_S)}

    # Jobs and batches

    def job(self, job_id: str) -> dict:
        """What the service says of a job, with its sequence. Raises Unanswered."""
        client = self._there()
        if not is_own(client, "get_job"):
            return self._itself(client.get_job, job_id)
        if "get_job" in client._get_api_urls():
            return self._data("get_job", job_id=job_id)
        found = [job for job in self._data("get_jobs", {"id": job_id}) if job["id"] == job_id]
        if not found:
            raise Unanswered("no such job", 404)
        return found[0]

    def batch(self, batch_id: str) -> dict:
        """What the service says of a batch, or said some seconds ago, with its sequence. Raises Unanswered."""
        client = self._there()
        until, found = self._batches.get(batch_id, (0.0, {}))
        if time.monotonic() >= until:
            own = is_own(client, "get_batch")
            found = self._data("get_batch", batch_id=batch_id) if own else self._itself(client.get_batch, batch_id)
            while len(self._batches) >= _BATCHES:
                self._batches.pop(next(iter(self._batches)), None)
            age = ENDED_BATCH_AGE_S if word(found) in ENDED and not found.get("open") else BATCH_AGE_S
            self._batches[batch_id] = time.monotonic() + age, found
        return found

    def batch_jobs(self, batch_id: str) -> list[dict]:
        """The jobs of a batch in the order in which they were created. Raises Unanswered."""
        client = self._there()
        if not is_own(client, "get_batch_jobs"):
            return self._itself(client.get_batch_jobs, batch_id)
        return list(self.jobs({"batch_id": batch_id, "order_by": "creation_order", "order_by_direction": "ASC"}))

    def jobs(self, parameters: Mapping[str, str] | None = None) -> Iterator[dict]:
        """Jobs without their sequences, the latest first unless asked otherwise, a page at a time. Raises Unanswered."""
        client, offset, met = self._there(), 0, set()
        own = is_own(client, "get_jobs")
        while True:
            wanted = {**(parameters or {}), "offset": offset, "limit": _PAGE}
            answer = self._asked("get_jobs", wanted) if own else self._itself(_page, client, wanted)
            page = answer.get("data") or []
            for job in page:
                if job["id"] not in met:  # what came meanwhile moves the pages on
                    met.add(job["id"])
                    yield job
            offset += len(page)
            if not page or offset >= (answer.get("pagination") or {}).get("total", 0):
                return

    def results(self, job_id: str) -> dict | None:
        """The results of a job; None where the service has none. Raises Unanswered."""
        client = self._there()
        if not is_own(client, "get_job_results"):
            return self._itself(client.get_job_results, job_id)
        link = self._data("get_job_results_link", job_id=job_id)["results_link"]
        if not link:
            return None
        try:
            data = dict(_json(self._text(link, {}, PATIENT_S, authenticated=False)))
        except Unanswered as error:
            raise Unanswered(f"the link to the results of job {job_id} does not open: {error}") from None
        return {name: data.pop(name, None) for name in ("raw", "counter", "serialised_results")} | data

    # Asking

    def _there(self) -> Any:
        client = self._client()
        if client is None:
            raise Unanswered("the client is gone")
        return client

    @staticmethod
    def _itself(method: Any, *args: Any) -> Any:
        """What a client that answers for itself says."""
        try:
            return method(*args)
        except pasqal("requests", "a request").HTTPError as error:
            raise Unanswered(_without_address(error), getattr(error.response, "status_code", None)) from None
        except Exception as error:
            raise Unanswered(_without_address(error)) from None

    def _data(self, endpoint: str, parameters: Mapping[str, Any] | None = None, within_s: float = PATIENT_S, **path: str) -> Any:
        return self._asked(endpoint, parameters, within_s, **path)["data"]

    def _asked(
        self, endpoint: str, parameters: Mapping[str, Any] | None = None, within_s: float = PATIENT_S, **path: str
    ) -> dict:
        client = self._there()
        try:
            url, authenticated = client._get_url(endpoint, **path), client.authenticator is not None
        except Exception as error:  # clients are anybody's
            raise Unanswered(str(error)) from None
        answer = _json(self._text(url, dict(parameters or {}), within_s, authenticated))
        if type(answer) is not dict or "data" not in answer:
            raise Unanswered("the answer is not of Pasqal's form")
        return answer

    def _text(self, url: str, parameters: dict, within_s: float, authenticated: bool) -> str:
        requests = pasqal("requests", "a request")
        with self._mutex:
            if within_s <= SOON_S and time.monotonic() < self._closed_until:
                raise Unanswered(f"not asked: the service did not answer {FAILURES} times in a row")
        try:
            answer = self._answer(requests, url, parameters, time.monotonic() + within_s, authenticated)
        except requests.HTTPError as error:
            status = error.response.status_code
            self._count(failed=status >= 500)
            raise Unanswered(f"it answers {status}", status) from None
        except Exception as error:  # whatever a log-in or a session of requests raises
            self._count(failed=True)
            raise Unanswered(_without_address(error)) from None
        self._count(failed=False)
        return answer

    def _answer(self, requests: Any, url: str, parameters: dict, deadline: float, authenticated: bool) -> str:
        client = self._there()
        if self._session is None:
            self._session = requests.Session()
            self._session.verify, self._session.proxies = client.session.verify, dict(client.session.proxies)
            self._session.headers["User-Agent"] = "qarchive"
        with self._session.get(
            url, params=parameters, timeout=(CONNECT_S, READ_S), stream=True, auth=client.authenticator if authenticated else None
        ) as response:
            parts = []
            for part in response.iter_content(1 << 16):  # an answer that trickles in keeps every time limit of one read
                parts.append(part)
                if time.monotonic() > deadline:
                    raise TimeoutError("the answer took too long")
            response.raise_for_status()
            return b"".join(parts).decode("utf-8")

    def _count(self, failed: bool) -> None:
        with self._mutex:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= FAILURES:
                self._failures, self._closed_until = 0, time.monotonic() + PAUSE_S


def _page(client: Any, parameters: Mapping[str, Any]) -> dict:
    """A page of the jobs of a client that answers for itself."""
    filters = pasqal("pasqal_cloud.utils.filters")
    chosen = {name: parameters[name] for name in ("id", "batch_id") if name in parameters}
    pages = filters.PaginationParams(offset=parameters["offset"], limit=parameters["limit"])
    return client.get_jobs(filters=filters.JobFilters(**chosen), pagination_params=pages)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Unanswered("the answer is no JSON") from None


def _without_address(error: BaseException) -> str:
    """An error without the addresses in it: one of a presigned link opens a result."""
    return f"{type(error).__name__}: " + " ".join(
        each for each in str(error).split() if "://" not in each and "X-Amz" not in each
    )


_wires: "weakref.WeakKeyDictionary[Any, Wire]" = weakref.WeakKeyDictionary()


def wire(client: Any) -> Wire:
    """The wire beside a client of the SDK's; one for each."""
    found = _wires.get(client)
    if found is None or found.process != os.getpid():  # a forked child must not answer its parent's calls
        found = _wires[client] = Wire(client)
    return found
