"""All measurements of speed and size, side by side in one run: `.venv/bin/python tools/bench [ROW ...]`.

Machines are noisy, so what counts are ratios: whatever is compared runs in turns, and the median of the pairs is taken.
"""

import argparse
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import aer_runs
import bundles
import commits
import groups
import listing
import peers
import remotes
import results

ROWS = {"commit": commits.rows, "aer": aer_runs.rows, "results": results.rows, "peers": peers.rows, "list": listing.rows,
        "groups": groups.rows, "bundles": bundles.rows, "remote": remotes.rows}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "rows", nargs="*", choices=[*ROWS, []], help=f"which rows to measure, of {', '.join(ROWS)}; all by default"
    )
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs in the archive that is listed (default 100,000)")
    parser.add_argument("--circuits", type=int, default=100_000, help="circuits that are mapped into a group (default 100,000)")
    options = parser.parse_args()
    import msgpack
    import zstandard

    import qarchive

    print(
        f"qarchive {qarchive.__version__}, Python {platform.python_version()}, zstandard {zstandard.__version__}, "
        f"msgpack {'.'.join(map(str, msgpack.version))}, {platform.system()} {platform.machine()}"
    )
    for name in options.rows or ROWS:
        print()
        for line in ROWS[name](options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
