"""What holds for the executions inside a `with` block, in whatever thread they run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import Any

from .providers import hooks
from .values import Link


@dataclass(frozen=True)
class Scope:
    """What holds for the executions inside a `with` block: labels, and whether anything is recorded."""

    group: str | None = None
    tags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    parent: Link | None = None  # the job that the executions inside repeat
    nested: bool = False  # what runs inside is part of an execution that is recorded already
    children: list[Link] | None = None  # where each job that is started inside is noted
    places: Any = None  # the places in a group (`membership.Places`) of the jobs that are started inside
    prepare: Callable[..., None] | None = None  # called in place of sending, with what would be recorded; it raises
    again: tuple[Link, ...] = ()  # the archived jobs of which what is sent inside is a further attempt
    started: Callable[[], None] | None = None  # called when that attempt is written, before it is sent
    live: bool = False  # what runs inside does run, though the process is replayed

    def labels(self) -> dict[str, Any]:
        fields = {"group": self.group, "tags": sorted(set(self.tags)), "params": dict(self.params)}
        return {name: value for name, value in fields.items() if value}


_OUTSIDE = Scope()
_everywhere: Any = None  # the player (`replay.player.Player`) of the whole process
_scope: ContextVar[Scope] = ContextVar("qarchive_scope", default=_OUTSIDE)
hooks.carry(_scope)


def here() -> Scope:
    """The scope that holds where this is called."""
    return _scope.get()


def player() -> Any:
    """Who answers, from recordings, for what would run where this is called; None where it does run."""
    found = _scope.get()
    return None if found.nested or found.live else _everywhere


def is_played() -> bool:
    """Whether a player answers for this process, wherever in it this is called."""
    return _everywhere is not None


def play_everywhere(player: Any) -> Any:
    """Let `player` answer for all that would run in this process; None ends it. Who did before."""
    global _everywhere
    before, _everywhere = _everywhere, player
    return before


def nest() -> Token:
    """From here on, until `leave`, what runs is part of an execution that is recorded already."""
    return _scope.set(replace(_scope.get(), nested=True))


def leave(token: Token) -> None:
    _scope.reset(token)


@contextmanager
def within(**changes: Any) -> Iterator[None]:
    """Labels, or a pause, for the executions inside; scopes inside one another add up."""
    outer = _scope.get()
    changes["tags"] = (*outer.tags, *changes.get("tags", ()))
    changes["params"] = {**outer.params, **changes.get("params", {})}
    token = _scope.set(replace(outer, **changes))
    try:
        yield
    finally:
        _scope.reset(token)
