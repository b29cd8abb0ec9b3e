"""What is asked of IBM's service beside its user: in a session of our own, soon given up, and with nothing of the user's touched.

The user's objects cache what they ask for, put headers together from the stack of their caller, and try again for minutes. So
they are only read: for an address, proxies, and a token that is still good. Where it is not, we log in ourselves, with the same
key: then the user's own login comes when it would have come without us.
"""

import copy
import hashlib
import json
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from ...errors import NotEncodable
from ...values import Link, Timestamp
from ..base import Stage
from ..qiskit.ibm_snapshots import calibration_value, configuration_value
from ..sdk import sdk

CONNECT_S, READ_S = 3.0, 5.0  # to the first byte, and between any two
SOON_S, PATIENT_S = 6.0, 45.0  # for a whole answer: while a user waits for his job to be sent, and otherwise
CALIBRATION_AGE_S, CONFIGURATION_AGE_S = 60.0, 600.0  # for so long an answer stands for the next job, too
FAILURES, PAUSE_S = 2, 60.0  # after so many failures in a row no user waits for another one for so long
_TOKEN_LEFT_S = 10.0
_PAGE = 100
_REMEMBERED = 32  # answers whose blobs need not be made again


class Unanswered(Exception):
    """The service did not answer, or not what it was asked. `status` is that of an answer which was an error."""

    def __init__(self, reason: str, status: int | None = None):
        super().__init__(reason)
        self.status = status


@dataclass
class Asked:
    """An answer, when it was asked for, and its blobs once they were made."""

    raw: dict
    at: Timestamp
    clock: float
    kept: dict[tuple, tuple[Link, Link, tuple]] = field(default_factory=dict)

    def put(self, stage: Stage, kind: str, make: Callable[[Stage, Mapping], dict], **extra: Any) -> Link:
        """Its blob: a value of `make` with `extra` fields; made once, and its gaps told for every job. Raises NotEncodable."""
        key = tuple(sorted(extra.items()))
        if key in self.kept:
            link, template, gaps = self.kept[key]
            if stage.again(link) and stage.again(template):
                for what, reason in gaps:
                    stage.gap(what, reason)
                return link
        listening = _Listening(stage)
        value = {**make(listening, self.raw), **extra}
        link = stage.put(kind, value)
        self.kept[key] = (link, value["template"], tuple(listening.gaps))
        return link


class _Listening:
    """A stage that remembers what gaps it was told of."""

    def __init__(self, stage: Stage):
        self._stage, self.gaps = stage, []
        self.put, self.find, self.again, self.conceal = stage.put, stage.find, stage.again, stage.conceal

    def gap(self, what: str, reason: str) -> None:
        self.gaps.append((what, reason))
        self._stage.gap(what, reason)


class Wire:
    """One instance of the service, as the user of a `RuntimeClient` may ask it."""

    def __init__(self, client: Any):
        theirs = client._session
        requests = sdk("requests")
        self.instance: str | None = client._instance
        self.base_url: str = theirs.base_url
        self._session = requests.Session()
        self._session.auth = _login(theirs.auth)
        self._session.proxies, self._session.verify = dict(theirs.proxies), theirs.verify
        version = getattr(sdk("qiskit_ibm_runtime.api.rest.base").RestAdapterBase, "_HEADER_API_VERSION", {})
        self._session.headers.update({"User-Agent": "qarchive", "Accept": "application/json", **version})
        self._broken = requests.RequestException
        self._refused = requests.HTTPError
        self._mutex = Lock()
        self._failures, self._closed_until = 0, 0.0
        self._asked: dict[tuple, Asked] = {}
        self._kept: dict[bytes, dict] = {}  # by the digest of an answer's text: jobs of one day have one calibration
        self.process = os.getpid()

    # Devices

    def configuration(self, stage: Stage, device: str, calibration_id: str | None = None, gates: bool | None = None) -> Link:
        """The blob of a device's configuration; `gates`: whether its user takes it with fractional gates.

        Raises Unanswered, NotEncodable.
        """
        found = self._recent("configuration", device, calibration_id, CONFIGURATION_AGE_S)
        extra = {"name": device} | ({} if gates is None else {"fractional_gates": gates})
        return found.put(stage, "backend", configuration_value, **extra)

    def calibration(self, stage: Stage, device: str, calibration_id: str | None = None) -> tuple[Link, Timestamp]:
        """The blob of a device's present properties, and when they were asked for. Raises Unanswered, NotEncodable."""
        found = self._recent("properties", device, calibration_id, CALIBRATION_AGE_S)
        return found.put(stage, "calibration", calibration_value), found.at

    def calibration_at(self, stage: Stage, device: str, moment: str, calibration_id: str | None = None) -> tuple[Link, Timestamp]:
        """The same for the properties that the service says were those of a moment in ISO form."""
        parameters = {"updated_before": _iso(moment)} | ({} if calibration_id is None else {"calibration_id": calibration_id})
        found = self._now(f"/backends/{device}/properties", parameters, PATIENT_S)
        return found.put(stage, "calibration", calibration_value), found.at

    def calibration_of_now(self, stage: Stage, device: str) -> tuple[Link, Timestamp]:
        """The same for those of this moment: no earlier answer stands for them."""
        found = self._now(f"/backends/{device}/properties", {}, PATIENT_S)
        return found.put(stage, "calibration", calibration_value), found.at

    def _recent(self, what, device, calibration_id, age_s) -> Asked:
        key = (what, device, calibration_id)
        found = self._asked.get(key)
        if found is None or time.monotonic() - found.clock > age_s:
            parameters = {} if calibration_id is None else {"calibration_id": calibration_id}
            found = self._asked[key] = self._now(f"/backends/{device}/{what}", parameters, SOON_S)
        return found

    def _now(self, path, parameters, within_s) -> Asked:
        at, clock = Timestamp.now(), time.monotonic()
        text = self.text(path, parameters, within_s)
        raw = _object(text)
        if not raw:
            raise Unanswered("the service has none")
        digest = hashlib.sha256(text.encode()).digest()
        while len(self._kept) >= _REMEMBERED:
            self._kept.pop(next(iter(self._kept)), None)
        return Asked(raw, at, clock, self._kept.setdefault(digest, {}))

    # Jobs

    def job(self, job_id: str, within_s: float = PATIENT_S) -> dict:
        """What the service says of a job, without its params. Raises Unanswered."""
        return self._json(f"/jobs/{job_id}", {"exclude_params": "true"}, within_s)

    def job_with_params(self, job_id: str) -> str:
        """The same with its params, as text: they are decoded by the SDK. Raises Unanswered."""
        return self.text(f"/jobs/{job_id}")

    def results(self, job_id: str) -> str:
        """The text of a job's results. Raises Unanswered."""
        return self.text(f"/jobs/{job_id}/results")

    def metrics(self, job_id: str, within_s: float = PATIENT_S) -> dict:
        """Times and usage of a job. Raises Unanswered."""
        return self._json(f"/jobs/{job_id}/metrics", {}, within_s)

    def session(self, session_id: str) -> dict:
        """What the service says of a session or a batch. Raises Unanswered."""
        return self._json(f"/sessions/{session_id}", {}, SOON_S)

    def jobs(self, **parameters: str) -> Iterator[dict]:
        """Jobs without their params, the oldest first, a page at a time. Raises Unanswered."""
        offset = 0
        while True:
            wanted = {"exclude_params": "true", "limit": str(_PAGE), "offset": str(offset), "sort": "ASC", **parameters}
            answer = self._json("/jobs", wanted, PATIENT_S)
            page = answer.get("jobs") or []
            yield from page
            offset += len(page)
            if not page or offset >= answer.get("count", 0):
                return

    # Asking

    def text(self, path: str, parameters: Mapping[str, str] | None = None, within_s: float = PATIENT_S) -> str:
        """The text of an answer; "" for one without a body. Raises Unanswered."""
        with self._mutex:
            if within_s <= SOON_S and time.monotonic() < self._closed_until:
                raise Unanswered(f"not asked: the service did not answer {FAILURES} times in a row")
        try:
            answer = self._answer(path, dict(parameters or {}), time.monotonic() + within_s)
        except self._refused as error:
            self._count(failed=False)
            raise Unanswered(str(error), error.response.status_code) from None
        except Exception as error:  # whatever a login or a session of requests raises
            self._count(failed=True)
            raise Unanswered(f"{type(error).__name__}: {error}") from None
        self._count(failed=False)
        return answer

    def order(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Tell the service to do something, once. Raises Unanswered with what it says where it refuses."""
        within = (CONNECT_S, PATIENT_S)
        try:
            with self._session.request(method, self.base_url + path, json=body, timeout=within) as response:
                response.raise_for_status()
        except self._refused as error:
            said = " ".join(words for _, words in complaints(error.response))
            raise Unanswered(said or str(error), error.response.status_code) from None
        except Exception as error:
            raise Unanswered(f"{type(error).__name__}: {error}") from None

    def _answer(self, path, parameters, deadline) -> str:
        with self._session.get(
            self.base_url + path, params=parameters, timeout=(CONNECT_S, READ_S), stream=True
        ) as response:  # fmt: skip
            parts = []
            for part in response.iter_content(1 << 16):  # an answer that trickles in keeps every time limit of one read
                parts.append(part)
                if time.monotonic() > deadline:
                    raise TimeoutError("the answer took too long")
            response.raise_for_status()
            response._content = b"".join(parts)
            return response.text  # in whatever encoding the SDK would read it

    def _json(self, path, parameters, within_s) -> dict:
        return _object(self.text(path, parameters, within_s))

    def _count(self, failed: bool) -> None:
        with self._mutex:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= FAILURES:
                self._failures, self._closed_until = 0, time.monotonic() + PAUSE_S


def complaints(response: Any) -> list[tuple[str, str]]:
    """(number in IBM's registry, words) of each error that an answer names; empty where it is not of IBM's form."""
    try:
        answer = response.json()
        named = answer.get("errors") or [answer["error"]]
        return [(str(entry.get("code", "")), str(entry.get("message", ""))) for entry in named]
    except Exception:  # HTML of somebody on the way, a body that broke off, another kind of JSON
        return []


def _object(text: str) -> dict:
    try:
        answer = json.loads(text or "{}")
    except ValueError:
        raise Unanswered("the answer is no JSON") from None
    if type(answer) is not dict:
        raise Unanswered("the answer is no JSON object")
    return answer


def _login(theirs: Any) -> Any:
    """Authorises requests as the handler of the user's client does, with its token as long as that is good."""
    if not hasattr(theirs, "tm"):
        return theirs

    class Login(sdk("requests.auth").AuthBase):
        def __init__(self):
            self._ours = None

        def __call__(self, request: Any) -> Any:
            manager = theirs.tm
            if manager.access_token and manager.expire_time > time.time() + _TOKEN_LEFT_S:
                token = manager.access_token
            else:
                token = self._own_token()
            request.headers.update({"Service-CRN": theirs.crn or "", "Authorization": f"Bearer {token}"})
            return request

        def _own_token(self) -> str:
            ours = self._ours or copy.deepcopy(theirs)
            ours.tm.http_config = {**ours.tm.http_config, "timeout": (CONNECT_S, READ_S)}
            self._ours = None  # a manager that failed once would make us wait a minute
            token = ours.tm.get_token()
            self._ours = ours
            return token

    return Login()


def _iso(moment: str) -> str:
    """A moment in UTC with its offset, as the SDK writes it in queries."""
    return datetime.fromisoformat(moment).astimezone(UTC).isoformat()


_wires: "weakref.WeakKeyDictionary[Any, Wire]" = weakref.WeakKeyDictionary()


def wire(client: Any) -> Wire:
    """The wire beside a client of the SDK's; one for each. Raises Unanswered for what is no such client."""
    found = _wires.get(client)
    if found is None or found.process != os.getpid():  # a forked child must not answer its parent's calls
        try:
            found = Wire(client)
        except AttributeError as error:
            raise Unanswered(f"a {type(client).__name__} shows no address and no credentials ({error})") from None
        _wires[client] = found
    return found


def gaps_of(stage: Stage, what: str, ask: Callable[[], Any]) -> Any:
    """What `ask()` returns; None, and a gap, where the service does not answer or the answer cannot be stored."""
    try:
        return ask()
    except (Unanswered, NotEncodable) as error:
        stage.gap(what, str(error))
        return None
