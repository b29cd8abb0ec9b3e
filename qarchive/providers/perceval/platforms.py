"""What a cloud says of a platform: its specifications and how well it was doing when it was asked."""

import time
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any
from urllib.parse import unquote

from ... import redact
from ...values import Link, Timestamp
from ..base import Get, Stage

PLATFORM, DETAILS = "perceval.platform", "perceval.details"
TIMEOUT_S = 4.0  # of one question while a user waits
FAILURES, PAUSE_S = 2, 60.0  # after so many failures in a row nobody waits for another one for so long

ours: ContextVar[bool] = ContextVar("qarchive_perceval_ours", default=False)  # what is asked now is asked by us


@contextmanager
def asking():
    """What a handler is asked inside is not its user's question, and nobody follows the answer."""
    token = ours.set(True)
    try:
        yield
    finally:
        ours.reset(token)


class Platforms:
    """Asks for platforms beside their users: with a copy of the user's handler, soon given up."""

    def __init__(self):
        self._mutex = Lock()
        self._failures: dict[tuple, tuple[int, float]] = {}  # by platform: how many in a row, and until when nobody asks

    def details(self, handler: Any) -> tuple[dict, Timestamp]:
        """The platform's whole answer, and when it was asked. Raises what the handler raises, or TimeoutError in a pause."""
        where = address(handler), handler.name
        with self._mutex:
            failures, until = self._failures.get(where, (0, 0.0))
        if failures >= FAILURES and time.monotonic() < until:
            raise TimeoutError("it did not answer the last times, and is not asked again for a minute")
        at = Timestamp.now()
        try:
            with asking():
                answer = patient_copy(handler).fetch_platform_details()
        except BaseException:
            with self._mutex:
                self._failures[where] = (failures + 1, time.monotonic() + PAUSE_S)
            raise
        with self._mutex:
            self._failures.pop(where, None)
        return answer, at


def patient_copy(handler: Any) -> Any:
    """The same handler for us, that waits less; its user's is not touched."""
    ours_of = _twin(handler)
    if ours_of is not handler and hasattr(handler, "request_timeout"):
        ours_of.request_timeout = min(TIMEOUT_S, handler.request_timeout)
    return ours_of


def named(handler: Any, platform: str) -> Any:
    """A handler of the same cloud for a platform; the same one where it cannot be told one: Kipu's, Scaleway's, a user's own."""
    if handler.name == platform or hasattr(type(handler), "name") or not type(handler).__module__.startswith("perceval."):
        return handler
    found = _twin(handler)
    found.name = platform
    return found


def _twin(handler: Any) -> Any:
    """A shallow copy that runs none of a handler's own code: it may look for attributes in what is not there yet."""
    try:
        found = object.__new__(type(handler))
        vars(found).update(vars(handler))
    except TypeError:
        return handler  # it keeps its attributes in slots
    return found


def address(handler: Any) -> str:
    """Where a handler sends to; its own class where it does not say."""
    url = getattr(handler, "url", None)
    return url.rstrip("/") if isinstance(url, str) and url else type(handler).__qualname__


def put_platform(stage: Stage, name: str, details: dict | None) -> Link:
    """The blob of a platform: what its specifications say, without what changes from day to day."""
    value = {"type": PLATFORM, "name": name}
    if details is not None:
        value.update((key, details[key]) for key in ("id", "type") if isinstance(details.get(key), str))
        if isinstance(details.get("specs"), dict):
            value["specs"] = details["specs"]
    return stage.put("backend", redact.tree(value))


def put_details(stage: Stage, name: str, details: dict) -> Link:
    """The blob of a whole answer: performances, status, and a link to the specifications.

    There is no `measured_at` in it, since the answer does not say when the figures were measured.
    """
    rest = {key: item for key, item in details.items() if key != "specs"}
    return stage.put("calibration", redact.tree(
        {"type": DETAILS, "name": name, "details": rest, "platform": put_platform(stage, name, details)}))  # fmt: skip


def load_details(get: Get, calibration: dict) -> dict:
    """The platform's whole answer again."""
    specs = get(calibration["platform"]).get("specs")
    return calibration["details"] | ({} if specs is None else {"specs": specs})


def capture(stage: Stage, platforms: Platforms, handler: Any, what: str) -> tuple[dict, Timestamp] | None:
    """A platform's answer now; a gap where there is none."""
    try:
        return platforms.details(handler)
    except Exception as error:
        stage.gap(what, f"{handler.name} was asked for its details and did not answer: {type(error).__name__}: {error}")
        return None


def secrets_of(handler: Any) -> list[str]:
    """What of a handler must never be stored: its token, and proxies, which may hold passwords."""
    found = [getattr(handler, "token", None), getattr(handler, "_token", None)]
    headers = getattr(handler, "headers", None)
    found += [str(item).removeprefix("Bearer ") for item in headers.values()] if isinstance(headers, dict) else []
    proxies = getattr(handler, "proxies", None)
    for proxy in proxies.values() if isinstance(proxies, dict) else ():
        userinfo = str(proxy).rpartition("@")[0].rpartition("/")[2]
        found += [proxy, userinfo, *userinfo.split(":", 1), unquote(userinfo.partition(":")[2])]
    return [item for item in found if isinstance(item, str)]


def kind_of(name: str, details: dict | None) -> str:
    """`simulator` or `qpu`, as the platform says, else as its name begins."""
    said = (details or {}).get("type")
    if isinstance(said, str):
        return "simulator" if said.lower() == "simulator" else "qpu"
    return "simulator" if name.startswith("sim") else "qpu"
