"""All measurements of speed and size, side by side in one run: `.venv/bin/python tools/bench [ROW ...]`.

Machines are noisy, so what counts are ratios: whatever is compared runs in turns, and the median of the pairs is taken. Peers are
installed by this script, into `.bench/`. Everything is written under the folder in which it runs.
"""

import argparse
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import aer_runs
import beside
import bundles
import columns
import commits
import groups
import machine
import million
import remotes
import results
import sizes
import writers
from table import Row, as_markdown, as_text

ROWS = {"commit": commits.rows, "writers": writers.rows, "sizes": sizes.rows, "columns": columns.rows, "million": million.rows,
        "aer": aer_runs.rows, "groups": groups.rows, "results": results.rows, "bundles": bundles.rows,
        "remote": remotes.rows}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "rows", nargs="*", choices=[*ROWS, []], help=f"which rows to measure, of {', '.join(ROWS)}; all by default"
    )
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs in the large archive (default 100,000)")
    parser.add_argument("--archive", type=Path, help="that archive, if there is one already: of `tools/corpus --small`")
    parser.add_argument("--circuits", type=int, default=100_000, help="circuits that are mapped into a group (default 100,000)")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # what SDKs say about themselves
    beside.install()
    print(machine.described(), flush=True)
    found: list[Row | str] = []
    for name in options.rows or ROWS:
        for each in ROWS[name](options):
            found.append(each)
            print(as_text(each), file=sys.stderr if options.markdown else sys.stdout, flush=True)
    if options.markdown:
        print(f"\n{as_markdown(found)}")


if __name__ == "__main__":
    main()
