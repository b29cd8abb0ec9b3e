"""How verify reads packs: sets of digests, and processes that share the work."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import building
import pytest

from qarchive import check, codec, pack, records
from qarchive.checking import packs, tables, workers
from qarchive.checking.digests import Digests, beginning
from qarchive.errors import NotCanonical, QArchiveError
from qarchive.store import Store
from qarchive.values import Link

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"


@pytest.fixture
def many(store, monkeypatch):
    """An archive of several packs, of which two are damaged, and workers for the smallest of archives."""
    monkeypatch.setattr(pack, "SEAL_SIZE", 3000)
    for number in range(9):
        store.commit(building.build(number).blobs, durable=False)
    store.close()
    for path in sorted(store.packs.glob("*.pack"))[:2]:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    check.verify(store, deep=True)  # what it finds is noted in the index, which differs from the packs from then on
    store.close()
    monkeypatch.setattr(workers, "LEAST", 0)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    return store


@pytest.fixture
def started(monkeypatch):
    """The processes that were started."""
    found, start = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **options: found.append(start(*given, **options)) or found[-1])
    return found


def alone(store):
    """What one process finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "cores", lambda: 1)
        return check.verify(store, deep=True)


def test_several_processes_find_what_one_does(many, started):
    expected, steps = alone(many), []
    assert expected.damaged and not started
    assert check.verify(many, deep=True, progress=lambda *step: steps.append(step)) == expected
    assert len(started) == 2 and all(worker.poll() is not None for worker in started)
    assert steps == sorted(steps) and steps[-1] == (expected.size, expected.size)


@pytest.mark.parametrize("program", ["raise SystemExit", "import sys; sys.stdin.buffer.read(9)", "print('hello'); input()"])
def test_what_a_worker_does_not_answer_is_done_without_it(many, monkeypatch, folder, program):
    expected = alone(many)
    fake = folder / "python"
    fake.write_text(f"#!{sys.executable}\n{program}\n")
    fake.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(fake))
    assert check.verify(many, deep=True) == expected


@pytest.mark.parametrize("executable", ["", "/nowhere/python3", "/usr/bin/an-app-with-python-inside"])
def test_where_no_process_can_be_started_one_does_all(many, monkeypatch, executable, started):
    expected = alone(many)
    monkeypatch.setattr(sys, "executable", executable)
    assert check.verify(many, deep=True) == expected and started == []


def test_a_check_that_is_left_ends_its_workers(many, started):
    sizes = {path: path.stat().st_size for path in many.packs.glob("*.pack")}
    found = workers.check(sizes, True)
    next(found)
    found.close()
    assert len(started) == 2 and [worker.wait() for worker in started] and threading.active_count() < 20


def test_a_script_needs_no_guard_and_an_interrupt_ends_all(many, folder):
    script = folder / "script.py"
    script.write_text(
        "import sys, threading, qarchive\nfrom qarchive.checking import workers\nworkers.LEAST = 0\nprint('once', flush=True)\n"
        f"archive = qarchive.open({str(many.path)!r})\nlast = []\n"
        "def step(*_):\n    print('step', flush=True); len(sys.argv) > 1 and threading.Event().wait(60)\n"
        "print(len(archive.verify(True, step).findings) > 0)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=True)
    lines = done.stdout.splitlines()
    assert (lines.count("once"), lines[-1], done.stderr) == (1, "True", "")
    running = subprocess.Popen([sys.executable, script, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert running.stdout.readline() == b"once\n" and running.stdout.readline() == b"step\n"
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode != 0 and said.rstrip().endswith(b"KeyboardInterrupt")


# Packs


def sealed_and_open(store, monkeypatch):
    """Packs of both kinds, and their index."""
    monkeypatch.setattr(pack, "SEAL_SIZE", 20_000)
    for number in range(12):
        job = building.build(number, size=2000)
        store.commit([*job.blobs, building.blob("circuit", number, bytes([number]) * 32)], durable=False)
    store.index.refresh()
    store.close()
    found = sorted(store.packs.glob("*.pack"))
    assert {pack.read_seal(path) is None for path in found} == {True, False}
    return found


def test_the_quick_way_finds_what_the_thorough_one_does_in_pieces_of_any_size(store, monkeypatch):
    for path in sealed_and_open(store, monkeypatch):
        for deep in (True, False):
            checker = packs.Checker(store.index.file)
            expected, size = checker.thoroughly(path, deep), path.stat().st_size
            assert (expected.placed is not None) == deep and not expected.findings
            for step in (size + 1, size // 2, 3000, 100):
                starts = range(0, size, step)
                pieces = [checker.piece(path, deep, at, at + step if at != starts[-1] else None) for at in starts]
                found = packs.joined(pieces)
                for name in ("commits", "read", "findings"):
                    assert getattr(found, name) == getattr(expected, name)
                for name in ("blobs", "records"):
                    assert split(getattr(found, name)) == split(getattr(expected, name))
                assert split(found.links) - split(found.blobs) == split(expected.links)


def split(digests):
    return {digests[at : at + 32] for at in range(0, len(digests), 32)}


def test_pieces_that_do_not_fit_to_each_other_are_no_pack(store, monkeypatch):
    for path in sealed_and_open(store, monkeypatch):
        size, checker = path.stat().st_size, packs.Checker()
        first, second = checker.piece(path, True, 0, size // 2), checker.piece(path, True, size // 2, None)
        assert packs.joined([first, second]) is not None
        for pieces in ([first, first, second], [first, second, second], [second]):
            assert packs.joined(pieces) is None
        if first.part.sealed:
            assert packs.joined([first]) is None


def test_the_quick_way_leaves_every_flip_to_the_thorough_one(store, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 1)
    store.commit(building.build(1, size=2).blobs, durable=True)
    store._seal()
    [path] = store.packs.glob("*.pack")
    whole, checker = path.read_bytes(), packs.Checker()
    chance = random.Random(1)
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        assert checker.piece(path, True, 0, None) is None, at
        if TORTURE or at % 12 == 0:
            assert checker.check(path, True).findings, at
    path.write_bytes(whole)
    assert checker.check(path, True).findings == []


# Sets of digests


def test_a_set_of_digests_counts_each_once_and_knows_what_is_lacking():
    chance = random.Random(1)
    digests = [chance.randbytes(32) for _ in range(3000)]
    some, others = Digests(), Digests()
    for _ in range(3):
        some.add(b"".join(digests))
    others.add(b"".join(digests[100:]))
    assert (len(some), len(others), len(Digests())) == (3000, 2900, 0)
    assert some.without(others) == {beginning(digest) for digest in digests[:100]} and others.without(some) == set()
    assert all(digest in some for digest in digests) and digests[0] not in others and chance.randbytes(32) not in some


def test_a_set_of_digests_that_come_again_and_again_stays_small():
    found, digests = Digests(), b"".join(bytes([7]) + number.to_bytes(31, "big") for number in range(2, 2000))
    for _ in range(200):
        found.add(digests)
    assert len(found._parts[7]) < 1 << 18


def test_bytes_that_are_not_canonical_are_no_shape_of_anything(store):
    wrong = pack.Blob("circuit", codec.digest(b"\xd9\x01a"), b"\xd9\x01a")
    store.commit([building.blob("circuit", "aa"), wrong], durable=True)
    store.close()
    [finding] = check.verify(Store.open(store.path), deep=True).findings
    assert finding.kind == "damage" and str(NotCanonical("another encoding of the value exists")) in finding.detail
    assert issubclass(NotCanonical, QArchiveError)


# The index


@pytest.fixture
def listed(store, monkeypatch):
    """A store with jobs, tags, groups and earlier attempts, more of them than are folded again."""
    monkeypatch.setattr(tables, "SAMPLE", 3)
    group = building.blob(pack.RECORD, records.group_record(name="g", archive=store.id, number=1))
    jobs = [building.build(number, tags=["a"]) for number in range(8)]
    store.commit([group, *(blob for job in jobs for blob in job.blobs)], durable=True)
    gone = records.removal_record(job=Link(jobs[0].id))
    store.commit([building.blob(pack.RECORD, gone)], durable=True)
    store.index.refresh()
    store.close()
    return store


@pytest.mark.parametrize("change, table", [
    ("DELETE FROM jobs WHERE number = (SELECT max(number) FROM jobs)", "jobs"),
    ("UPDATE jobs SET status = 'ERROR' WHERE number = (SELECT max(number) FROM jobs)", "jobs"),
    ("DELETE FROM tags WHERE job = (SELECT max(job) FROM tags)", "tags"),
    ("DELETE FROM groups", "groups"), ("UPDATE groups SET name = 'h'", "groups"),
    ("INSERT INTO earlier SELECT x'00', 'ibm-1'", "earlier"),
    ("UPDATE blobs SET start = start + 1 WHERE id = (SELECT max(id) FROM blobs)", "blobs"),
    ("DELETE FROM blobs WHERE id = (SELECT max(id) FROM blobs)", "blobs"),
    ("INSERT INTO blobs(id, digest) SELECT max(id) + 1, x'00' FROM blobs", "blobs"),
    ("INSERT INTO blobs(id, digest) SELECT max(id) + (1 << 32), x'00' FROM blobs", "blobs"),
])  # fmt: skip
def test_each_row_of_the_index_of_a_large_archive_is_checked(listed, change, table):
    assert check.verify(listed, deep=True).findings == []
    listed.close()
    with closing(sqlite3.connect(listed.index.file)) as db, db:
        db.execute(change)
    [finding] = check.verify(listed, deep=True).findings
    assert (finding.kind, finding.detail) == ("index", f"the table {table} differs from what the packs say")


def test_what_an_index_has_not_read_yet_is_no_difference(listed):
    file = listed.index.file
    listed.commit(building.build(99).blobs, durable=True)
    listed.close()
    [path] = listed.packs.glob("*.pack")
    part = packs.Checker(file).check(path, True)
    assert part.upto < part.last and part.placed > 0 and len(split(part.blobs)) > part.placed
