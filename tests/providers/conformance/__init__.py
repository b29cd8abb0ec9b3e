"""What every provider promises, as tests to inherit: give `Conformance` a target and a few calls, and they run.

A subclass is named `Test...`, and says what `Offering` asks. All of it runs on the real SDK. This folder needs pytest and
qarchive and nothing beside, so that packages of others can use it: `spec/providers.md` says how.
"""

from .comparing import same
from .offering import Offering
from .processes import AcrossProcesses
from .qiskit_objects import PrimitiveConformance, QiskitConformance, bell, settled, strip, unfolded
from .suite import Conformance

__all__ = ["AcrossProcesses", "Conformance", "Offering", "PrimitiveConformance", "QiskitConformance", "bell", "same", "settled",
           "strip", "unfolded"]  # fmt: skip
