"""Perceval's own clients while a whole process is replayed: made as their users make them, they answer from an archive.

In the mode "only" no request leaves the process. In "missing" they are what they always are, but for jobs that are archived.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .. import choosing, hooks
from ..base import Provider
from ..sdk import sdk
from .answers import Answers
from .native_jobs import sends_nothing
from .platforms import secrets_of
from .remote import HANDLERS
from .replaying import through

_NOBODY = "no-token-in-a-replay"  # in place of a token that nobody has: the SDK's handlers refuse to be made without one
_ASKED = ("create_job", "rerun_job", "cancel_job", "get_job_status", "get_job_results", "get_job_availability",
          "fetch_platform_details")  # fmt: skip
_REQUESTS = ("get_request", "post_request")
_SESSIONS = ("create_session", "terminate_session", "delete_session")  # Scaleway's

Replacements = Iterator[tuple[type, str, Callable[[Callable], Callable]]]


def stand_ins(provider: Provider, player: Any) -> Replacements:
    """The methods that are replaced meanwhile. Raises MissingExtra."""
    return _StandIns(provider, player).all()


class _StandIns:
    def __init__(self, provider: Provider, player: Any):
        self._answers = Answers(provider, player)
        self._kinds: list[type] = []

    def all(self) -> Replacements:
        for path in HANDLERS:
            module, _, name = path.rpartition(".")
            kind = getattr(sdk(module, "a platform", "perceval"), name)
            self._kinds.append(kind)
            yield from self._of_handler(kind)
        legacy = sdk("perceval.runtime.legacy", "a processor", "perceval")
        layer = sdk("perceval.providers.rpc_based_communication_layer", "a platform", "perceval").RPCBasedCommunicationLayer
        for kind in (legacy.RemoteProcessor, legacy.RemoteJob, layer):
            yield kind, "__init__", self._given_handler
        computer = sdk("perceval.runtime", "a computer", "perceval").RemoteComputer
        yield legacy.RemoteProcessor, "_compute_sample_of_interest_probability", _computed
        yield computer, "_estimate_sample_probability", _computed

    def _of_handler(self, kind: type) -> Replacements:
        yield kind, "__init__", self._made
        for name in _ASKED:
            if hasattr(kind, name):
                yield kind, name, lambda original, name=name: self._asked(original, name)
        if hasattr(kind, "get_platform"):
            yield kind, "get_platform", self._platform
        if not self._answers.offline:
            return
        for name in _REQUESTS:
            if hasattr(kind, name):
                yield kind, name, _refused
        for name in _SESSIONS:
            if hasattr(kind, name):
                yield kind, name, lambda original, name=name: _session(original, name == "create_session")
        if hasattr(kind, "_build_client"):
            yield kind, "_build_client", lambda original: functools.wraps(original)(lambda handler: None)

    def _reaches(self, handler: Any) -> bool:
        """Whether the cloud of a handler may be asked, and with a token that somebody has."""
        return not self._answers.offline and _NOBODY not in secrets_of(handler)

    def _made(self, original: Callable) -> Callable:
        """A handler is made without a token where there is none."""
        signature = inspect.signature(original)
        credential = "token" if "token" in signature.parameters else "secret_key"

        @functools.wraps(original)
        @hooks.passed_over
        def method(*args: Any, **kwargs: Any) -> None:
            try:
                original(*args, **kwargs)
            except ConnectionError:  # Python's own, for a missing token; those of requests are others
                original(**{**signature.bind(*args, **kwargs).arguments, credential: _NOBODY})

        return method

    def _asked(self, original: Callable, name: str) -> Callable:
        @functools.wraps(original)
        @hooks.passed_over
        def method(handler: Any, *args: Any, **kwargs: Any) -> Any:
            live = partial(original, handler, *args, **kwargs) if self._reaches(handler) else None
            return getattr(self._answers, name)(handler, *args, live=live, **kwargs)

        return method

    def _platform(self, original: Callable) -> Callable:
        """What Scaleway's handler asks when it is made: the platform's details, and its id."""

        @functools.wraps(original)
        def method(handler: Any, *args: Any, **kwargs: Any) -> dict:
            live = partial(original, handler, *args, **kwargs) if self._reaches(handler) else None
            return {"id": "", **self._answers.fetch_platform_details(handler, live=live)}

        return method

    def _given_handler(self, original: Callable) -> Callable:
        """What is made with a handler of somebody's own class gets one that answers in its place."""
        signature = inspect.signature(original)

        @functools.wraps(original)
        @hooks.passed_over
        def method(*args: Any, **kwargs: Any) -> None:
            given = signature.bind(*args, **kwargs)
            handler = given.arguments.get("rpc_handler")
            if handler is not None and type(handler) not in self._kinds:
                given.arguments["rpc_handler"] = through(handler, self._answers)
            original(*given.args, **given.kwargs)

        return method


def _refused(original: Callable) -> Callable:
    @functools.wraps(original)
    def method(handler: Any, endpoint: str, *args: Any) -> Any:
        raise sends_nothing(f"a request to {endpoint}")

    return method


def _session(original: Callable, begins: bool) -> Callable:
    """A session that is none: jobs are sent in it as far as the SDK can tell."""

    @functools.wraps(original)
    def method(handler: Any, *args: Any, **kwargs: Any) -> Any:
        handler._session_id = "replayed" if begins else None
        return handler._session_id

    return method


class _Unrecorded:
    """Who wants nothing of what is computed here."""

    @staticmethod
    def wanted() -> bool:
        return False


def _computed(original: Callable) -> Callable:
    """Estimates that Perceval computes here before it sends anything are no executions of its user's, and are not recorded."""

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        with choosing.through(_Unrecorded()):
            return original(*args, **kwargs)

    return method
