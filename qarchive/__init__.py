"""qarchive keeps every quantum execution whole: what went in, how it ran, on which device, and what came out.

import qarchive
archive = qarchive.open("lab")
backend = archive.wrap(AerSimulator())
backend.run(circuit, shots=1000)
archive.job("latest").counts()
"""

from .archive import Archive, open
from .errors import ArchiveWarning, QArchiveError
from .everything import autolog
from .job import Job
from .library import Jobs

__version__ = "0.1.0"
__all__ = ["Archive", "ArchiveWarning", "Job", "Jobs", "QArchiveError", "autolog", "open"]
