"""qarchive keeps every quantum execution whole: what went in, how it ran, on which device, and what came out.

import qarchive
archive = qarchive.open("lab")
backend = archive.wrap(AerSimulator())
backend.run(circuit, shots=1000)
archive.job("latest").counts()
"""

from .archive import Archive, diff_bundles, open
from .errors import ArchiveWarning, QArchiveError
from .everything import autolog
from .job import Job
from .library import Jobs
from .version import __version__

__all__ = ["Archive", "ArchiveWarning", "Job", "Jobs", "QArchiveError", "__version__", "autolog", "diff_bundles", "open"]
