"""The software that a job ran with: Python, the system, and every installed package."""

import os
import sys
from functools import cache


@cache
def environment() -> dict:
    """Plain values that are equal for equal installations: no host name, no user, no path, no time.

    Packages are read from the names of their metadata folders, which costs a hundredth of opening each of them.
    """
    import platform  # 2 ms, which listings need not spend

    packages = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue  # zip files and folders that are gone hold no installed packages
        for name in names:
            stem, ending = os.path.splitext(name)
            if ending == ".dist-info":
                package, _, version = stem.partition("-")
                packages.setdefault(package.replace("_", "-").lower(), version)
    return {"python": platform.python_version(), "implementation": platform.python_implementation(), "system": platform.system(),
            "release": platform.release(), "machine": platform.machine(), "packages": packages}  # fmt: skip
