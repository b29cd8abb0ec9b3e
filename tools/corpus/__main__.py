"""Make an archive of realistic jobs: `python tools/corpus ARCHIVE --jobs N`. Needs the extras `aer` and `ibm`."""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from corpus import fill


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="the folder: a new archive, or one to which the jobs are added")
    parser.add_argument("--jobs", type=int, required=True, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="what all random numbers are drawn from (default 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many write at once (default one a core)")
    parser.add_argument("--small", action="store_true", help="jobs of 1 to 3 kB instead of 120 kB: for a million of them")
    options = parser.parse_args()
    start = time.perf_counter()
    fill(options.archive, options.jobs, seed=options.seed, processes=options.processes, small=options.small)
    seconds = time.perf_counter() - start
    packs = sum(path.stat().st_size for path in (options.archive / "packs").iterdir())
    print(f"{options.jobs:,} jobs in {seconds:.1f} s, {options.jobs / seconds:,.0f} a second; {packs / 1e6:,.1f} MB of packs")


if __name__ == "__main__":
    main()
