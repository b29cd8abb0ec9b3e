"""Leases: one writer a pack, and no waiting."""

import errno
import fcntl
import os
import re

import building
import pytest

from qarchive import disk, lease, pack
from qarchive.store import Store


def _acquire(store, shared=True) -> lease.Lease:
    store.index.refresh()
    return lease.acquire(store.packs, store.locks, store.quarantine, store.index.open_packs(), shared)


def test_a_writer_resumes_the_first_free_pack_without_waiting(store):
    first, second = _acquire(store), _acquire(store)
    first.append(building.build(1).blobs)
    second.append(building.build(2).blobs)
    assert first.path != second.path
    first.release()
    third = _acquire(store)
    assert (third.path, third.end) == (first.path, first.path.stat().st_size)
    second.release()
    third.release()


def test_an_empty_pack_leaves_no_file_behind(store):
    _acquire(store).release()
    assert list(store.packs.iterdir()) == list(store.locks.iterdir()) == []


def test_a_lease_that_is_let_go_of_is_released(store):
    path = _acquire(store).path
    assert not path.exists()


def test_where_locks_cannot_be_trusted_nobodys_pack_is_resumed(store):
    first = _acquire(store, shared=False)
    first.append(building.build(1).blobs)
    second = _acquire(store, shared=False)
    assert second.path != first.path
    second.release()
    assert {path.name for path in store.locks.iterdir()} == {"no-flock", f"{first.name}.owner"}
    first.release()


def test_where_locks_cannot_be_trusted_a_pack_is_sealed_when_its_writer_leaves_it(store):
    found = _acquire(store, shared=False)
    found.append(building.build(1).blobs)
    found.release()
    assert pack.read_seal(found.path) is not None
    found.release()


def test_where_locks_cannot_be_trusted_one_commit_at_most_is_not_synced(store):
    found = _acquire(store, shared=False)
    ends = [0]
    for number in range(3):
        found.append(building.build(number).blobs)
        assert found.synced == ends[-1]
        ends.append(found.end)
    found.release()
    assert [commit.synced for commit in pack.scan(found.path) if type(commit) is pack.Commit] == ends[:3]


def test_a_pack_without_a_lock_is_seen_only_after_what_keeps_others_away_from_it(store, monkeypatch):
    seen = []

    def create(path, real=disk.create):
        seen.append(path.parent.name + "/" + re.sub("[0-9a-f]{32}", "<id>", path.name))
        return real(path)

    monkeypatch.setattr(disk, "create", create)
    monkeypatch.setattr(disk, "sync_folder", lambda path: seen.append(f"synced {path.name}/"))
    _acquire(store, shared=False).release()
    assert seen == ["locks/no-flock", "synced locks/", "locks/<id>.pack.owner", "packs/<id>.pack"]
    seen.clear()
    _acquire(store, shared=False).release()
    assert seen == ["locks/<id>.pack.owner", "packs/<id>.pack"]


def test_where_locks_cannot_be_trusted_a_full_disk_loses_the_seal_and_nothing_else(store, monkeypatch):
    found = _acquire(store, shared=False)
    job = building.build(1)
    found.append(job.blobs)
    found.sync()
    with monkeypatch.context() as patch:
        patch.setattr(disk, "append", _fails)
        found.release()
    assert pack.read_seal(found.path) is None and building.lacking(store, [job]) == []


def test_a_new_packs_folder_is_synced_once_and_before_anything_counts_as_synced(store, monkeypatch):
    calls = []
    monkeypatch.setattr(disk, "sync", lambda fd: calls.append("sync"))
    monkeypatch.setattr(disk, "sync_folder", lambda path: calls.append("sync_folder"))
    found = _acquire(store)
    for number in range(2):
        found.append(building.build(number).blobs)
        assert found.synced < found.end
        found.sync()
        assert found.synced == found.end
        found.sync()
    assert calls == ["sync", "sync_folder", "sync"]
    found.release()


def test_each_commit_says_up_to_where_the_pack_was_known_to_be_on_the_disk(store):
    found = _acquire(store)
    ends = [0]
    for number in range(3):
        found.append(building.build(number).blobs)
        ends.append(found.end)
        if number == 1:
            found.sync()
    found.release()
    assert [commit.synced for commit in pack.scan(found.path)] == [0, 0, ends[2]]


def test_a_sync_up_to_an_earlier_commit_is_done_when_a_later_one_was(store):
    found = _acquire(store)
    found.append(building.build(1).blobs)
    end = found.end
    found.append(building.build(2).blobs)
    found.sync()
    found.release()
    found.sync(end)  # the pack is closed, and nothing is left to do


def test_a_pack_that_was_given_up_after_a_failed_sync_is_not_resumed(store, monkeypatch):
    found = _acquire(store)
    found.append(building.build(1).blobs)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", _fails)
        assert found.give_up() is False
    with pytest.raises(OSError) as caught:
        found.sync()
    assert caught.value.errno == errno.EIO
    assert found.path.with_suffix(lease.ABANDONED).exists()
    other = _acquire(store)
    assert other.path != found.path
    other.release()


def test_a_pack_that_cannot_even_be_marked_stays_locked(store, monkeypatch):
    found = _acquire(store)
    found.append(building.build(1).blobs)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", _fails)
        patch.setattr(disk, "create", _fails)
        assert found.give_up() is False
    assert not found.path.with_suffix(lease.ABANDONED).exists()
    other = _acquire(store)
    assert other.path != found.path
    other.release()


def test_what_remains_of_a_failed_write_is_cut_off(store, monkeypatch):
    found = _acquire(store)
    found.append(building.build(1).blobs)
    whole = found.path.read_bytes()
    os.write(found._fd, b"a part")
    assert found.give_up() is True
    assert found.path.read_bytes() == whole
    again = _acquire(store)
    assert again.path == found.path
    again.release()


def test_a_pack_that_is_not_the_one_the_caller_knows_is_not_resumed(store):
    """Scanned from a wrong place, a whole commit looks like a torn tail, and would be cut off."""
    found = _acquire(store)
    found.append(building.build(1).blobs)
    found.release()
    content = found.path.read_bytes()
    other = lease.acquire(store.packs, store.locks, store.quarantine, [(found.name, found.end - 40, b"\0" * 32)], shared=True)
    assert other.path != found.path and found.path.read_bytes() == content
    other.release()


def test_a_pack_is_resumed_without_a_lock_on_the_users_word(store, monkeypatch):
    found = _acquire(store, shared=False)
    job = building.build(1)
    found.append(job.blobs)
    found.sync()
    os.write(found._fd, b"a part")
    found._leave()
    store.index.refresh()
    [candidate] = store.index.open_packs()
    monkeypatch.setattr(fcntl, "flock", _fails)
    again = lease.resume(store.packs, store.locks, store.quarantine, candidate, shared=False)
    assert (again.path, again.end, again.path.stat().st_size) == (found.path, found.end, found.end)
    again.seal()
    monkeypatch.undo()
    assert [path.name for path in store.locks.iterdir()] == ["no-flock"]
    assert building.lacking(store, [job]) == [] and pack.read_seal(found.path) is not None


def test_a_pack_that_vanished_is_passed_over(store):
    found = lease.acquire(store.packs, store.locks, store.quarantine, [("00" * 16 + ".pack", 0, b"")], shared=True)
    assert found.end == 0 and found.name != "00" * 16 + ".pack"
    found.release()


def test_a_seal_becomes_visible_only_when_all_before_it_is_on_the_disk(store, monkeypatch):
    found = _acquire(store)
    found.append(building.build(1).blobs)
    seen = []

    def sync(fd, real=disk.sync):
        real(fd)
        seen.append((found.path.stat().st_size, pack.read_seal(found.path) is not None))

    monkeypatch.setattr(disk, "sync", sync)
    monkeypatch.setattr(disk, "sync_folder", lambda path: None)
    end = found.end
    found.seal()
    size = found.path.stat().st_size
    assert seen == [(end, False), (size - len(pack.END), False), (size, True)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_seal_that_fails_loses_nothing_and_nobody_appends_behind_it(store, monkeypatch, count):
    monkeypatch.setattr(pack, "SEAL_SIZE", 1)
    early, late = building.build(1), building.build(2)
    store.commit(early.blobs, durable=True)
    path = store._lease.path
    with monkeypatch.context() as patch:
        turns = iter(range(1, 100))
        patch.setattr(disk, "sync", lambda fd, real=disk.sync: _fails() if next(turns) == count else real(fd))
        store.commit(late.blobs, durable=True)
    store.close()
    assert store._lease is None
    again = Store.open(store.path)
    assert building.lacking(again, [early, late]) == []
    parts = list(pack.scan(path))
    assert [type(part) for part in parts if type(part) is not pack.Tail][0] is pack.Commit and len(parts) <= 2
    again.close()


def test_a_pack_damaged_before_it_is_sealed_is_not_sealed_and_not_resumed(store, monkeypatch):
    early, late = building.build(1, size=2000), building.build(2)
    store.commit(early.blobs, durable=True)
    store.commit(building.build(3).blobs, durable=True)
    path = store._lease.path
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(pack, "SEAL_SIZE", 1)
    store.commit(late.blobs, durable=True)
    assert store._lease.path != path and path.read_bytes() == content
    assert path.with_suffix(lease.ABANDONED).exists()


def _fails(*_):
    raise OSError(errno.EIO, "Input/output error")
