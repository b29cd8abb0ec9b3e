"""Jobs of 100 kB raw of the corpus, kept side by side: how fast they go in, and how few bytes they are.

We are given the values that providers capture, which have yet to be encoded; the others are given bytes: circuits as QPY,
the rest as JSON. A value that comes again is the same bytes again; those that do not find it out by themselves are told.
"""

import gzip
import hashlib
import json
import pickle
import random
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import corpus
import kept
import zstandard
from beside import Peer
from table import Row, median, paired, row, timed

import qarchive
from qarchive import pack
from qarchive.store import Store

JOBS = 1000
TURNS = 3
READS = 400  # blobs that are read at random


def rows(options):
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        made = list(corpus.jobs(JOBS))
        scratch = Store.create(folder / "scratch")
        given, raw = kept.prepared(made, scratch), [[value for _, value in job.raw] for job in made]
        seen = distinct(raw)
        whole = sum(map(len, seen))
        yield f"{JOBS:,} jobs of {whole / JOBS / 1000:.0f} kB raw each, of the corpus"
        yield from _speed(folder, given, raw)
        archive = qarchive.open(folder / f"ours{TURNS - 1}")
        before = _packs(archive.path)
        seconds = timed(archive.repack)
        after = _packs(archive.path)
        note = f"{(before - after) / before:.0%} smaller than it was written, in {seconds:.1f} s"
        yield row("bytes a job after repack", after / JOBS, "B", note=note)
        for against, size, most in _sizes(folder, raw, seen):
            yield Row("bytes a job after repack", after / JOBS, "B", against, size / JOBS, most=most)
        yield from _reads(folder, archive)
        hashed = _hashing(archive)
        seconds = median(timed(lambda: archive.verify(deep=True)) for _ in range(TURNS))
        yield Row("verify --deep", hashed[0] / seconds / 1e6, "MB/s", "SHA-256 of the same bytes, one core",
                  hashed[0] / hashed[1] / 1e6, least=0.6)  # fmt: skip
        archive.close()


def distinct(raw):
    """Each value once, in the order in which jobs bring them."""
    return list(dict.fromkeys(value for job in raw for value in job))


def _speed(folder, given, raw):
    (folder / "jobs").write_bytes(pickle.dumps(raw))
    times: dict[str, list[float]] = {}
    with Peer("stores.py") as peer:
        peer("load", path=str(folder / "jobs"))
        for turn in range(TURNS):
            store = Store.create(folder / f"ours{turn}")
            times.setdefault("ours", []).append(timed(lambda store=store: kept.keep(store, given)))
            store.close()
            for compress in (True, False):
                target = folder / f"packed{turn}{compress}"
                times.setdefault(f"packed{compress}", []).append(peer("packed", folder=str(target), compress=compress))
            times.setdefault("git", []).append(timed(lambda turn=turn: _fast_import(folder / f"git{turn}", raw)))
    rates = {what: JOBS / median(found) for what, found in times.items()}
    yield Row("jobs/s in bulk", rates["ours"], "/s", "disk-objectstore, packed, compressed", rates["packedTrue"], least=2)
    yield Row("jobs/s in bulk", rates["ours"], "/s", "disk-objectstore, packed, not compressed", rates["packedFalse"])
    yield Row("jobs/s in bulk", rates["ours"], "/s", "git fast-import", rates["git"], least=5)


def _sizes(folder, raw, seen):
    """(what, bytes, goal) of each other way to keep the same values."""
    yield "disk-objectstore, packed, compressed", _files(folder / "packed0True" / "packs"), 0.58
    subprocess.run(["git", "-C", str(folder / "git0"), "gc", "--quiet", "--prune=now"], check=True)
    yield "git gc", sum(path.stat().st_size for path in (folder / "git0" / ".git/objects/pack").glob("*.pack")), 0.66
    yield "zstd -19 --long=30 over all raw values", _one_file(seen), 1.05
    yield "SQLite with zstd blobs", _sqlite(folder / "sqlite", raw), None
    yield "JSON.gz a job, shared values a file each", _json_gz(folder / "json", raw), None


def _fast_import(folder, raw):
    """One commit a job, each of its values a file."""
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    process = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    out = process.stdin
    for number, job in enumerate(raw):
        out.write(b"commit refs/heads/main\ncommitter a <a@example.org> %d +0000\ndata 0\n" % (1_700_000_000 + number))
        for place, value in enumerate(job):
            out.write(b"M 100644 inline %d/%d/%d\ndata %d\n" % (number // 1000, number, place, len(value)))
            out.write(value)
            out.write(b"\n")
    out.close()
    if process.wait():
        raise RuntimeError("git fast-import failed")


def _one_file(seen):
    settings = zstandard.ZstdCompressionParameters.from_level(19, window_log=30, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return sum(len(compressor.compress(value)) for value in seen) + len(compressor.flush())


def _sqlite(path, raw):
    compressor = zstandard.ZstdCompressor(level=3)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE blobs(digest BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID")
    with db:
        for job in raw:
            for value in job:
                db.execute(
                    "INSERT OR IGNORE INTO blobs VALUES (?, ?)", (hashlib.sha256(value).digest(), compressor.compress(value))
                )
    db.execute("VACUUM")
    db.close()
    return path.stat().st_size


def _json_gz(folder, raw):
    """A file a job, with text as it is and bytes in hexadecimal; what several jobs have is a file of its own."""
    folder.mkdir()
    shared = {value for value in distinct(raw) if sum(value in job for job in raw[:50]) > 1 or len(value) > 50_000}
    written = set()
    for number, job in enumerate(raw):
        inside = []
        for value in job:
            name = hashlib.sha256(value).hexdigest()
            if value in shared and name not in written:
                written.add(name)
                (folder / f"{name}.gz").write_bytes(gzip.compress(value))
            inside.append(name if value in shared else _text(value))
        with gzip.open(folder / f"{number}.json.gz", "wt") as file:
            json.dump(inside, file)
    return _files(folder)


def _text(value):
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _reads(folder, archive):
    """Blobs out of the repacked archive, checked, and out of loose files of zstd, in turns."""
    store = archive._store
    parts = [part for path in sorted((archive.path / "packs").glob("*.pack")) for part in pack.scan(path)]
    known = sorted({entry.digest for part in parts if type(part) is pack.Commit for entry in part.entries})
    chosen = random.Random(3).sample(known, READS)
    loose = folder / "loose"
    loose.mkdir()
    compressor = zstandard.ZstdCompressor(level=3)
    for digest in chosen:
        (loose / digest.hex()).write_bytes(compressor.compress(store.get(digest)))

    def read(digest):
        with open(loose / digest.hex(), "rb") as file:
            return zstandard.ZstdDecompressor().decompress(file.read())

    ours, plain = paired([lambda digest=digest: store.get(digest) for digest in chosen],
                         [lambda digest=digest: read(digest) for digest in chosen])  # fmt: skip
    note = f"slowest twentieth {sorted(ours)[-READS // 20] * 1000:.1f} ms"
    yield Row("one blob at random, repacked", median(ours) * 1000, "ms", "a loose file of zstd", median(plain) * 1000,
              most=8, limit=2, note=note)  # fmt: skip


def _hashing(archive):
    """(bytes of all blobs, seconds that their SHA-256 takes on one core)."""
    size, seconds, running = 0, 0.0, hashlib.sha256()
    for path in (archive.path / "packs").glob("*.pack"):
        with open(path, "rb") as file:
            values = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while piece := values.read(1 << 20):
                size += len(piece)
                seconds += timed(lambda piece=piece: running.update(piece))
    return size, seconds


def _packs(path):
    return _files(path / "packs")


def _files(folder):
    return sum(path.stat().st_size for path in folder.iterdir())
