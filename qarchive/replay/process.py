"""A whole process that is replayed: every execution, and every client of an SDK's, whoever makes it and wherever."""

import warnings
from contextlib import AbstractContextManager
from typing import Any

from .. import scope
from ..errors import BadInput, MissingExtra
from ..providers import hooks, registry
from ..providers.base import Provider
from .player import Player


class Replaying(AbstractContextManager):
    """Inside a `with` block all that any provider supports is answered by a player, wrapped or not; also of other threads.

    Methods of the SDKs' classes are replaced meanwhile, and put back at the end. SDKs that are not installed are passed over.
    """

    def __init__(self, player: Player):
        self.player = player

    def __enter__(self) -> Player:
        self.begin()
        for provider in (*registry.built_in().values(), *registry.installed().values()):
            try:
                self.cover(provider)
            except MissingExtra:
                pass
        return self.player

    def begin(self) -> None:
        """Let the player answer for whatever reaches a recorder; nothing is replaced yet."""
        self._recorder = hooks.everywhere(_Everywhere(self.player))
        self._before = scope.play_everywhere(self.player)
        self._standing: list = []

    def cover(self, provider: Provider) -> None:
        """Replace the methods of one provider's SDK, which is imported. Raises MissingExtra."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the SDKs' own imports
            hooks.instrument(provider)
            for kind, name, replacement in provider.stand_ins(self.player):
                self._standing.append(hooks.stand_in(kind, name, replacement))

    def __exit__(self, *_: object) -> None:
        for undo in reversed(self._standing):
            undo()
        scope.play_everywhere(self._before)
        hooks.everywhere(self._recorder)
        if self._recorder is None:
            hooks.restore()


class _Everywhere:
    """Answers each execution with the provider that owns what executes: that may be another one than declared the method."""

    def __init__(self, player: Player):
        self._player = player

    @hooks.passed_over
    def run(self, provider: Provider, target: Any, args: tuple, kwargs: dict, send: Any) -> Any:
        try:
            provider = registry.owner(target)
        except BadInput:
            pass
        return self._player.run(provider, target, args, kwargs, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._player, name)
