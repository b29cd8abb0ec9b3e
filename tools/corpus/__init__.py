"""Realistic jobs in any number: what physicists run, on devices that change from day to day, as the providers store it.

`jobs(n)` makes them one by one, `fill(path, n)` writes an archive of them; `python tools/corpus` is the command. Real are the
devices (IBM's own files, which ship inside qiskit-ibm-runtime), the circuits (Qiskit's library, as QPY) and the distributions
(Aer's). Each job then has angles, shots, counts and times of its own, drawn from its number and the seed.
"""

from .filling import fill
from .job import Job
from .jobs import jobs
from .pool import Pool, make_pool

__all__ = ["Job", "Pool", "fill", "jobs", "make_pool"]
