"""qarchive keeps every quantum execution whole: what went in, how it ran, on which device, and what came out.

import qarchive
archive = qarchive.open("lab")
backend = archive.wrap(AerSimulator())
backend.run(circuit, shots=1000)
archive.job("latest").counts()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .archive import Archive, diff_bundles, open
    from .errors import ArchiveWarning, QArchiveError
    from .everything import autolog
    from .job import Job
    from .library import Jobs

__all__ = ["Archive", "ArchiveWarning", "Job", "Jobs", "QArchiveError", "__version__", "autolog", "diff_bundles", "open"]


_MODULES = {"Archive": "archive", "ArchiveWarning": "errors", "Job": "job", "Jobs": "library", "QArchiveError": "errors",
            "autolog": "everything", "diff_bundles": "archive", "open": "archive"}  # fmt: skip


def __getattr__(name: str) -> Any:
    """What is asked for is imported then: whoever wants a help text or a version need not wait for the rest."""
    if name in _MODULES:
        found = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return found
    if not name.startswith("_"):
        try:
            return import_module(f".{name}", __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
