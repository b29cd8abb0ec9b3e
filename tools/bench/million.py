"""A large archive of small jobs, 100,000 or a million: listing, reindexing, verifying, repacking, exporting, and their memory."""

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import corpus
import measured
from table import Row, median, paired, row, timed

import qarchive

LISTED = 50  # turns
MEMORY = 400  # MiB, the most that anything may take
_HERE = Path(__file__).parent


def rows(options):
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        path = options.archive or folder / "archive"
        if options.archive is None:
            corpus.fill(path, options.jobs, processes=2, small=True)
        with qarchive.open(path) as archive:
            archive.refresh()
            yield f"An archive of {len(archive.jobs()):,} small jobs, of the corpus"
            yield from _listing(archive)
            size = sum(kind["bytes"] for kind in archive.statistics()["kinds"].values())
        yield from _commands(path)
        yield from _reindex(path, folder)
        yield from _whole(path, folder, size)


def _listing(archive):
    """The newest jobs, in turns with the query alone on a connection of its own."""
    asked: list[str] = []
    archive._store.index.ask(lambda db: db.set_trace_callback(asked.append))
    found = archive.jobs(limit=50)[:]
    archive._store.index.ask(lambda db: db.set_trace_callback(None))
    sql = next(each for each in reversed(asked) if "FROM jobs" in each and "LIMIT" in each)
    with closing(sqlite3.connect(archive._store.index.file)) as db:
        assert len(db.execute(sql).fetchall()) == len(found) == 50
        ours, bare = paired([lambda: archive.jobs(limit=50)[:]] * LISTED, [lambda: db.execute(sql).fetchall()] * LISTED)
    name = "the newest 50, in the process"
    yield Row(name, median(ours) * 1000, "ms", "the bare SQL query", median(bare) * 1000, most=2, limit=1)
    filters = {"of one backend with a tag": {"backend": "ibm_lima", "tag": "paper"}, "of a status": {"status": "ERROR"},
               "of a group": {"group": "sweep 00001"}}  # fmt: skip
    for said, asked in filters.items():
        found = [timed(lambda asked=asked: archive.jobs(limit=50, **asked)[:]) for _ in range(LISTED)]
        yield row(f"the newest 50 {said}", median(found) * 1000, "ms")


def _commands(path):
    """Whole processes."""
    command = [sys.executable, "-m", "qarchive", "--archive", str(path), "list", "--limit", "50"]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, **quiet)
    whole, bare = paired([lambda: subprocess.run(command, **quiet)] * 15,
                         [lambda: subprocess.run([sys.executable, "-c", ""], **quiet)] * 15)  # fmt: skip
    yield Row("`qarchive list` as a whole process", median(whole) * 1000, "ms", "an empty Python process", median(bare) * 1000,
              limit=200)  # fmt: skip


def _reindex(path, folder):
    """Our index from the packs, and SQLite with the rows of that index in memory, both as processes of their own, in turns."""
    file = next((path / "index").glob("*.sqlite"))
    with closing(sqlite3.connect(file)) as db:
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        tables = [name for (name,) in db.execute(sql).fetchall()]
        number = sum(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables)
    ours, bare, most = [], [], 0.0
    for turn in range(2):
        with qarchive.open(path) as archive:
            archive.refresh()
        copy = folder / f"bare{turn}.sqlite"
        told = subprocess.run([sys.executable, _HERE / "bare_load.py", file, copy], check=True, capture_output=True, text=True)
        bare.append(float(told.stdout))
        copy.unlink()
        seconds, memory = measured.command("--archive", str(path), "reindex")
        ours.append(seconds)
        most = max(most, memory)
    rates = number / median(ours), number / median(bare)
    note = f"{number:,} rows, {median(ours):.1f} s against {median(bare):.1f} s"
    yield Row("reindex, rows", rates[0], "/s", "bare SQLite bulk load of the same rows", rates[1], least=0.4, note=note)
    yield row("memory of reindex", most, "MiB", MEMORY)


def _whole(path, folder, size):
    """Commands that read or write all of it."""
    for name, arguments in (("list", ("list", "--limit", "0")), ("verify", ("verify",)), ("verify --deep", ("verify", "--deep")),
                            ("export", ("export", "--all", "--output", str(folder / "all.qar"))),
                            ("repack", ("repack",)), ("gc", ("gc",))):  # fmt: skip
        seconds, memory = measured.command("--archive", str(path), *arguments)
        yield row(f"memory of {name}", memory, "MiB", MEMORY, note=f"{seconds:.1f} s")
        if name == "verify --deep":
            bare = measured.hashing(size)
            yield Row(name, size / seconds / 1e6, "MB/s", "SHA-256 of as many bytes, one core", size / bare / 1e6, least=0.6)
