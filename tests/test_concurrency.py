"""Many processes and threads write and read one archive: nothing lost, nothing doubled, one pack for each writer at once."""

import os
import random
import subprocess
import sys
import threading
import time

import building
import pytest
from filelock import FileLock

from qarchive import check, pack
from qarchive.index import Query
from qarchive.store import Store


def _write(store: Store, seed: int, count: int, tell) -> None:
    chance = random.Random(seed)
    for number in range(count):
        job = building.build(chance.randrange(20), size=chance.choice((60, 600)))
        store.commit(job.blobs, durable=number % 3 == 0)
        tell(job.id.hex())


def _told(children: list[building.Child]) -> list[str]:
    lines = []
    for child in children:
        told, code = child.wait()
        assert code == 0
        lines += told
    return lines


def _sound(root, expected: list[str], writers: int) -> None:
    """All jobs are there, once; nothing is damaged; and no more packs are open than writers were at once."""
    store = Store.open(root)
    found = [job.hex() for job in building.listed(store)]
    assert sorted(found) == sorted(expected) and len(set(found)) == len(found)
    assert building.dangling(store) == []
    assert check.verify(store, deep=True).findings == []
    assert len(store.index.open_packs()) <= writers
    store.close()


def _look(root, stop, tell) -> None:
    """List again and again, by pages and with a fresh store now and then: no job twice, and none that was seen is lost."""
    seen: set[bytes] = set()
    store = Store.open(root)
    looks = 0
    while not stop() or looks < 2:
        looks += 1
        if looks % 5 == 0:
            store.close()
            store = Store.open(root)
        found, after = [], None
        while page := store.index.rows(Query(), 40, after):  # newest first: what is written meanwhile does not lengthen it
            found += [bytes.fromhex(row.id) for row in page]
            after = page[-1].created.ns, found[-1]
        assert len(set(found)) == len(found)
        assert seen <= set(found)
        seen = set(found)
        for job in random.sample(found, min(3, len(found))):
            assert [store.get(digest) for digest in store.index.records(job)]
    tell(str(looks))


def test_eight_processes_and_readers_lose_and_double_nothing(folder, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 30_000)
    root, done = folder / "lab", folder / "done"
    Store.create(root).close()

    def work(seed, tell):
        store = Store.open(root)
        _write(store, seed, 40, tell)
        store.close()

    readers = [building.Child(lambda tell: _look(root, done.exists, tell)) for _ in range(2)]
    writers = [building.Child(lambda tell, seed=seed: work(seed, tell)) for seed in range(8)]
    expected = _told(writers)
    done.touch()
    _told(readers)
    _sound(root, expected, writers=8)


def test_eight_threads_share_one_store_and_one_pack(folder, monkeypatch):
    root, told = folder / "lab", []
    store = Store.create(root)
    stop, errors = threading.Event(), []

    def guarded(task, *args):
        try:
            task(*args)
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=guarded, args=(_look, root, stop.is_set, told.append))
    threads = [threading.Thread(target=guarded, args=(_write, store, seed, 40, told.append)) for seed in range(8)]
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert errors == []
    store.close()
    _sound(root, [line for line in told if len(line) == 64], writers=1)


def test_sealing_under_many_threads_loses_nothing(folder, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 10_000)
    root, told = folder / "lab", []
    store = Store.create(root)
    threads = [threading.Thread(target=_write, args=(store, seed, 30, told.append)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    _sound(root, told, writers=1)


def test_a_store_may_be_closed_while_other_threads_write(folder):
    root, told = folder / "lab", []
    store = Store.create(root)
    threads = [threading.Thread(target=_write, args=(store, seed, 30, told.append)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store.close()
    store.close()
    _sound(root, told, writers=1)


def test_two_stores_in_one_process_take_a_pack_each(folder):
    root, told = folder / "lab", []
    stores = [Store.create(root), Store.open(root)]
    for seed, store in enumerate(stores):
        _write(store, seed, 10, told.append)
    assert stores[0]._lease.path != stores[1]._lease.path
    assert building.listed(stores[0]) == building.listed(stores[1])
    for store in stores:
        store.close()
    _sound(root, told, writers=2)


def test_forks_amid_threads_that_write_go_on_with_packs_of_their_own(folder, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 40_000)
    root, told = folder / "lab", []
    store = Store.create(root)
    stop = threading.Event()

    def work(seed):
        while not stop.is_set():
            _write(store, seed, 3, told.append)
            store.index.count(Query())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    waves = []
    for wave in range(6):
        children = [
            building.Child(lambda tell, seed=wave * 4 + i: (_write(store, seed, 5, tell), store.close())) for i in range(4)
        ]
        waves += _told(children)
    stop.set()
    for thread in threads:
        thread.join()
    store.close()
    assert len(waves) == 6 * 4 * 5
    _sound(root, told + waves, writers=5)


def _free(store: Store, name: str) -> bool:
    """Whether nobody holds the lease of a pack, asked from another process."""

    def ask(tell):
        lock = FileLock(store.locks / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except TimeoutError:
            tell("held")
        else:
            tell("free")

    [answer], _ = building.Child(ask).wait()
    return answer == "free"


def test_a_forked_child_neither_releases_nor_inherits_its_parents_lease(store):
    parent, mine = building.build(1), building.build(2)
    store.commit(parent.blobs, durable=False)
    name = store._lease.name

    def child(tell):
        assert store._lease is None and not store.may_omit(parent.blobs[0].digest)
        store.commit(mine.blobs, durable=True)
        tell(store._lease.name)
        store.close()

    [other], code = building.Child(child).wait()
    assert code == 0 and other != name
    assert store._lease.name == name and not _free(store, name)
    store.commit(building.build(3).blobs, durable=True)
    assert store._lease.name == name
    store.close()
    assert _free(store, name)
    assert building.lacking(store, [parent, mine]) == []


def test_a_child_that_outlives_its_parent_does_not_hold_the_parents_pack(folder):
    root = folder / "lab"
    Store.create(root).close()
    gate_reader, gate = os.pipe()

    def parent(tell):
        store = Store.open(root)
        store.commit(building.build(1).blobs, durable=True)
        tell(store._lease.name)
        if os.fork() == 0:
            os.close(gate)
            os.read(gate_reader, 1)  # until the test ends
        os._exit(0)

    middle = building.Child(parent)
    _, status = os.waitpid(middle.pid, 0)
    name = os.read(middle._reader, 100).decode().strip()
    try:
        assert status == 0
        assert _free(Store.open(root), name)
    finally:
        os.close(gate)
        os.close(gate_reader)
        os.close(middle._reader)


def test_a_child_of_a_fork_writes_again_what_only_its_parent_has(store):
    """What the parent has not synced could vanish with it, so the child leaves nothing out that lies in the parent's pack."""
    shared, mine = building.build(1), building.build(1)
    store.commit(shared.blobs, durable=False)

    def child(tell):
        store.commit(mine.blobs, durable=True)
        tell(store._lease.name)
        store.close()

    [name], code = building.Child(child).wait()
    assert code == 0
    held = {entry.digest for commit in pack.scan(store.packs / name) for entry in commit.entries}
    assert held == {blob.digest for blob in mine.blobs}


def test_callbacks_run_in_a_forked_child_when_its_store_is_ready(store):
    told = []
    store.on_fork(lambda: told.append((os.getpid(), store._lease)))
    store.commit(building.build(1).blobs, durable=True)
    [line], code = building.Child(lambda tell: tell(str(told == [(os.getpid(), None)]))).wait()
    assert (line, code, told) == ("True", 0, [])


def test_a_reader_sees_a_commit_that_was_written_while_it_read(store, monkeypatch):
    """The size that a pack had before it was read counts, not the one after: else the job would be passed over."""
    from qarchive import intake

    first, second = building.build(1), building.build(2)
    store.commit(first.blobs, durable=True)
    reader = Store.open(store.path)
    real = intake.Intake.read

    def read(self, path, known):
        real(self, path, known)
        if not building_done:
            building_done.append(True)
            store.commit(second.blobs, durable=True)

    building_done: list[bool] = []
    monkeypatch.setattr(intake.Intake, "read", read)
    assert building.listed(reader) == [first.id]
    assert building.listed(reader) == [second.id, first.id]
    reader.close()


@pytest.mark.parametrize("number", range(3))
def test_an_index_deleted_while_many_use_it_is_made_again(folder, number):
    root, done = folder / "lab", folder / "done"
    Store.create(root).close()

    def work(tell):
        store = Store.open(root)
        _write(store, number, 30, tell)
        store.close()

    def delete(tell):
        while not done.exists():
            for path in (root / "index").glob("index.sqlite*"):
                path.unlink(missing_ok=True)
            time.sleep(0.005)

    deleter = building.Child(delete)
    readers = [building.Child(lambda tell: _look(root, done.exists, tell)) for _ in range(2)]
    expected = _told([building.Child(work) for _ in range(3)])
    done.touch()
    _told([deleter, *readers])
    _sound(root, expected, writers=3)


def test_processes_that_make_one_archive_at_once_share_it(tmp_path):
    code = "import sys, qarchive; archive = qarchive.open(sys.argv[1]); print(archive.id)"
    for number in range(3):
        command = [sys.executable, "-c", code, str(tmp_path / f"lab-{number}")]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
        said = [process.communicate(timeout=60)[0] for process in started]
        assert [process.returncode for process in started] == [0] * 6
        assert len(set(said)) == 1 and len(said[0].strip()) == 32


def test_an_archive_whose_making_was_killed_is_made_by_the_next(tmp_path):
    (tmp_path / "lab" / "locks").mkdir(parents=True)
    Store.create(tmp_path / "lab").close()
    assert Store.open(tmp_path / "lab").id
