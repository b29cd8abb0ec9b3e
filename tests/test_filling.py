"""Filling an index from all packs at once: whoever reads them, it says the same."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing

import building
import pytest

from qarchive import filling, pack
from qarchive.index import Index
from qarchive.store import Store


@pytest.fixture
def archive(folder):
    """(a closed store with an index in its file, into which three packs were read bit by bit, the paths of the packs)."""
    store = Store.create(folder / "lab")
    other, third = Store.open(store.path), Store.open(store.path)
    jobs = [building.build(number, created=number, tags=["a"], provider_job=f"p{number}", group="g") for number in range(30)]
    for job in jobs[:10]:
        store.commit(job.blobs, durable=False)
    for job in jobs[10:20]:
        other.commit(job.blobs, durable=False)
    for job in jobs[20:]:
        third.commit([blob for blob in job.blobs if blob not in job.records[1:]], durable=False)
        store.commit(job.records[1:], durable=False)
        store.index.refresh()
    shutil.copy(building.bundled(folder, jobs[3]), store.packs / f"{os.urandom(16).hex()}.import")
    other.close()
    third.close()
    store.index.refresh()
    store.close()
    return store, sorted(store.packs.glob("*.pack"))


@pytest.fixture
def eager(monkeypatch):
    """Workers are started however small an archive is."""
    monkeypatch.setattr(filling, "_LEAST", 0)
    monkeypatch.setattr(filling.workers, "cores", lambda: 2)


def _filled(store) -> dict:
    with closing(Index(None, store.packs, store.id)) as fresh:
        return fresh.content()


def _damage(path) -> None:
    """Flip a byte of the second commit's last frame."""
    commit = [found for found in pack.scan(path) if type(found) is pack.Commit][1]
    data = bytearray(path.read_bytes())
    data[commit.entries[-1].frame + 12] ^= 1
    path.write_bytes(data)


def test_workers_fill_what_is_filled_here(archive, eager):
    store, packs = archive
    assert len(packs) == 3 and _filled(store) == store.index.content()


def test_a_pack_that_is_damaged_is_read_with_all_care(archive, folder, eager):
    store, packs = archive
    for path in packs[1:]:
        _damage(path)
    (folder / "packs").mkdir()
    with closing(Index(folder / "index", folder / "packs", store.id)) as bit_by_bit:
        bit_by_bit.refresh()
        for path in packs:
            shutil.copy(path, folder / "packs")
        assert _filled(store) == bit_by_bit.content()
        assert len(set(bit_by_bit.column("SELECT pack FROM damage"))) == 2


@pytest.mark.parametrize("program", [
    "raise SystemExit", "sys.stdin.buffer.read(9); sys.stdout.buffer.write(b'\\x10\\0\\0\\0cut')", "print('hello'); input()",
    "put = workers._put; workers._put = lambda *part: (put(*part), sys.stdout.flush(), os._exit(1)); filling.work()",
])  # fmt: skip
def test_what_workers_do_not_answer_is_read_here(archive, folder, eager, monkeypatch, program):
    """They end at once, in the middle of an answer or after its first part, or cannot be started."""
    store, _ = archive
    said = store.index.content()
    fake = folder / "python"
    head = "import os, sys; sys.path[:] = sys.argv[3:]; from qarchive import filling, workers"
    fake.write_text(f"#!{sys.executable}\n{head}\n{program}\n")
    fake.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(fake))
    assert _filled(store) == said
    fake.unlink()
    assert _filled(store) == said


def _runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has waited for has."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return said != "" and not said.startswith("Z")


def test_workers_end_with_whoever_started_them(archive, eager):
    store, _ = archive

    def die(tell):
        class Told(subprocess.Popen):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                tell(str(self.pid))

        subprocess.Popen = Told
        store.index.rebuild(lambda done, total: os._exit(9))

    told, code = building.Child(die).wait()
    assert code == 9 and len(told) == 2
    while any(map(_runs, map(int, told))):
        time.sleep(0.01)
    assert len(store.index.content()["jobs"]) == 30


def test_an_interrupt_ends_the_workers_and_leaves_the_index_there_was(archive, eager):
    store, _ = archive
    before = store.index.file.read_bytes()
    store.index.close()

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.index.rebuild(interrupt)
    assert store.index.file.read_bytes() == before and list(store.index.file.parent.glob("coming-*")) == []
    assert len(store.index.content()["jobs"]) == 30
