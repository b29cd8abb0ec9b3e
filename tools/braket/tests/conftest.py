"""What holds for all tests: Braket's simulators without numba's threads, and archives without the state of this repository."""

import os

# Numba's fallback for threads aborts a process in which two threads simulate at once; without it Braket runs plain Python.
os.environ["NUMBA_DISABLE_JIT"] = "1"
os.environ["QARCHIVE_CODE"] = "off"
