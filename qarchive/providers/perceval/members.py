"""Groups and sessions: what they are given later, or make themselves, is recorded with them."""

from collections.abc import Callable, Iterator
from typing import Any

from .. import hooks
from ..base import Provider
from ..sdk import sdk
from .objects import marked_in


def replacements(provider: Provider) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
    """The methods with which groups are given jobs, to be replaced."""
    kinds = (sdk("perceval.runtime.legacy", "a group", "perceval").JobGroup,
             sdk("perceval.runtime", "a group", "perceval").ExecutionGroup)  # fmt: skip
    for kind in kinds:
        yield kind, "add", lambda original: _adding(provider, original)


def _adding(provider: Provider, original: Callable) -> Callable:
    @hooks.passed_over
    def method(group: Any, added: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(group, added, *args, **kwargs)
        recorder = hooks.marked(group)
        if recorder is not None:
            for inside in marked_in(added):
                provider.wrap(inside, recorder)
        return answer

    return method


def recorded_session(session: Any, wrap: Callable[[Any], Any]) -> Any:
    """The same session, whose processors are recorded."""
    build = session.build_remote_processor
    session.build_remote_processor = lambda: wrap(build())
    return session
