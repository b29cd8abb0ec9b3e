"""A process that is replayed from its first line: what it is told by its environment, and what it tells about itself.

Processes that it starts are told the same, and each is replayed: it counts the calls that are equal for itself.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import config
from ..errors import MissingExtra, QArchiveError
from ..library import Library
from ..providers import registry
from ..providers.base import Provider
from ..store import Store
from . import network
from .player import Player
from .process import Replaying

ENVIRONMENT = "QARCHIVE_REPLAY"
_FOLDER = Path(__file__).parent / "site"  # of the `sitecustomize` that Python runs

# The package with which each provider's SDK begins: nothing of it runs before this is imported.
_SDKS = {"aer": "qiskit_aer", "ibm": "qiskit_ibm_runtime", "ibm_local": "qiskit_ibm_runtime", "pasqal": "pasqal_cloud",
         "perceval": "perceval", "pulser": "pulser", "qiskit": "qiskit"}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a replayed process is told. `query` are filters of `Library.jobs`, as text; it writes to the file `journal`."""

    archive: str
    journal: str
    mode: str = "only"
    match: str = "exact"
    failures: bool = False
    query: Mapping[str, str] = field(default_factory=dict)

    def player(self, library: Library) -> Player:
        """Who answers. Raises BadInput for what cannot be meant."""
        return Player(library, self.mode, self.match, self.failures, dict(self.query))


@dataclass
class Told:
    """What replayed processes have said: which recordings answered (once each time), and how many calls were run."""

    started: int = 0
    failed: int = 0  # processes that were ended, since their replay did not start
    answered: list[str] = field(default_factory=list)
    ran: int = 0


def environment(settings: Settings) -> dict[str, str]:
    """The environment of this process, for one that is replayed."""
    paths = [str(_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), config.ENVIRONMENT: settings.archive,
            ENVIRONMENT: json.dumps(asdict(settings))}  # fmt: skip


def start() -> None:
    """Replay this process, as its environment says, until it ends. Raises whatever keeps that from beginning."""
    settings = Settings(**json.loads(os.environ[ENVIRONMENT]))
    library = Library(Store.open(Path(settings.archive)), config.read().get("on_error", "warn"))
    player = settings.player(library)
    player.watch = lambda jobs: _say(settings.journal, *(["answered", *jobs] if jobs else ["ran"]))
    replaying = Replaying(player)
    replaying.begin()
    sys.meta_path.insert(0, _Awaited(replaying))
    if settings.mode == "only":
        network.block()
    _say(settings.journal, "started", str(os.getpid()))


def told(journal: str) -> Told:
    """What a journal holds so far; nothing where nobody has written to it."""
    found = Told()
    for line in Path(journal).read_text(encoding="utf-8").splitlines() if os.path.exists(journal) else ():
        word, *rest = line.split()
        found.started += word == "started"
        found.failed += word == "failed"
        found.ran += word == "ran"
        found.answered += rest if word == "answered" else ()
    return found


def _say(journal: str, *words: str) -> None:
    """Add a line, in one write: processes that are killed have said what they did, and none comes between another's words."""
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, f"{' '.join(words)}\n".encode())
    finally:
        os.close(file)


class _Awaited(MetaPathFinder):
    """Replays each SDK when it is imported, before its importer gets it: to import all of them takes seconds."""

    def __init__(self, replaying: Replaying):
        self._replaying = replaying
        self._awaited: dict[str, list[Provider]] = {}
        self._here = _Nested()
        for provider in registry.built_in().values():
            self._awaited.setdefault(_SDKS[provider.name], []).append(provider)
        for provider in registry.installed().values():  # what its SDK is only it knows
            with suppress(MissingExtra):
                replaying.cover(provider)
        for name in list(self._awaited):
            if name in sys.modules:  # by a .pth file, before anybody could say a word
                for provider in self._awaited.pop(name):
                    self._cover(provider)

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name not in self._awaited or path is not None:
            return None
        finders = [finder.find_spec for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next((found for find in finders if (found := find(name, None, target)) is not None), None)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._execute(run, module)
        return spec

    def _execute(self, run: Any, module: Any) -> None:
        here = self._here
        here.depth += 1
        try:
            run(module)
        finally:
            here.depth -= 1
        here.ready += self._awaited.pop(module.__name__, ())
        if not here.depth:  # of two that import one another both are whole now
            ready, here.ready = here.ready, []
            for provider in ready:
                self._cover(provider)

    def _cover(self, provider: Provider) -> None:
        try:
            try:
                self._replaying.cover(provider)
            except MissingExtra as error:
                if not _is_absent(error):
                    raise
        except Exception as error:  # the script would run for real
            message = str(error) if isinstance(error, QArchiveError) else f"{type(error).__name__}: {error}"
            sys.stderr.write(f"qarchive: {message}; {provider.name} cannot be replayed, and nothing more is run\n")
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(1)  # a script may catch what is raised here


class _Nested(threading.local):
    """SDKs that a thread imports, one by another, and providers of those that it has imported."""

    def __init__(self):
        self.depth = 0
        self.ready: list[Provider] = []


def _is_absent(error: MissingExtra) -> bool:
    """Whether a part of an SDK is not installed, and not only broken: then nobody can run it."""
    cause = error.__context__
    if not isinstance(cause, ModuleNotFoundError) or cause.name is None:
        return False
    package = cause.name.partition(".")[0]
    return package not in sys.modules and find_spec(package) is None
