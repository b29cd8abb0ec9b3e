"""The store: what a commit brings, what it may leave out, and what is given back."""

import json
import os

import building
import pytest

from qarchive import codec, disk, pack
from qarchive import store as stores
from qarchive.errors import BadInput, NotFound
from qarchive.store import Store
from qarchive.values import Link


def _held(path) -> list[bytes]:
    """Digests in a pack, in order."""
    return [entry.digest for part in pack.scan(path) if type(part) is pack.Commit for entry in part.entries]


def test_what_was_committed_is_given_back_by_this_and_any_other_store(store):
    job = building.build(1)
    store.commit(job.blobs, durable=True)
    other = Store.open(store.path)
    for asked in (store, other):
        assert building.lacking(asked, [job]) == []
        assert [asked.value(blob.digest) for blob in job.blobs] == [codec.decode(blob.data) for blob in job.blobs]
    other.close()


def test_a_digest_that_is_nowhere_is_not_found(store):
    with pytest.raises(NotFound) as caught:
        store.get(bytes(32))
    assert str(caught.value) == f"blob {'00' * 32} is not in {store.path}"


def test_a_writer_leaves_out_what_lies_in_its_own_pack(store):
    first, second = building.build(1), building.build(1)
    store.commit(first.blobs, durable=False)
    store.commit(second.blobs, durable=False)
    held = _held(store._lease.path)
    assert len(held) == len(set(held))
    assert set(held) == {blob.digest for job in (first, second) for blob in job.blobs}


def test_a_writer_brings_again_what_lies_only_in_anothers_open_pack(store):
    """It could vanish under it in a power cut."""
    first, second = building.build(1), building.build(1)
    store.commit(first.blobs, durable=True)
    other = Store.open(store.path)
    other.prepare()
    assert not any(other.may_omit(blob.digest) for blob in first.blobs)
    other.commit(second.blobs, durable=True)
    assert set(_held(other._lease.path)) == {blob.digest for blob in second.blobs}
    other.close()


def test_a_writer_leaves_out_what_lies_in_anybodys_sealed_pack(store, monkeypatch):
    first, second = building.build(1), building.build(1)
    store.commit(first.blobs, durable=True)
    with monkeypatch.context() as patch:
        patch.setattr(pack, "SEAL_SIZE", 1)
        store.commit(building.build(2).blobs, durable=True)
    other = Store.open(store.path)
    other.prepare()
    shared = {blob.digest for blob in first.blobs} & {blob.digest for blob in second.blobs}
    assert shared and all(other.may_omit(digest) for digest in shared)
    other.commit(second.blobs, durable=True)
    assert not shared & set(_held(other._lease.path))
    assert building.lacking(other, [first, second]) == []
    other.close()


def test_a_writer_leaves_out_what_lies_in_a_pack_that_it_resumed(store):
    first, second = building.build(1), building.build(1)
    store.commit(first.blobs, durable=True)
    path = store._lease.path
    store.close()
    other = Store.open(store.path)
    other.commit(second.blobs, durable=True)
    assert other._lease.path == path
    held = _held(path)
    assert len(held) == len(set(held))
    other.close()


def test_nothing_may_be_left_out_before_a_pack_is_leased_or_after_it_was_given_back(store):
    job = building.build(1)
    assert not store.may_omit(job.blobs[0].digest)
    store.commit(job.blobs, durable=True)
    assert store.may_omit(job.blobs[0].digest)
    store.close()
    assert not store.may_omit(job.blobs[0].digest)


def test_records_are_always_brought(store):
    job = building.build(1)
    store.commit(job.blobs, durable=True)
    store.commit(job.records, durable=True)
    assert _held(store._lease.path).count(job.id) == 2
    assert building.listed(store) == [job.id]


def test_a_blob_given_twice_is_written_once_and_records_stand_last(store):
    job = building.build(1)
    store.commit([*reversed(job.blobs), *job.blobs], durable=True)
    [commit] = pack.scan(store._lease.path)
    kinds = [entry.kind for entry in commit.entries]
    assert len(kinds) == len(job.blobs) and kinds == sorted(kinds, key=lambda kind: kind == pack.RECORD)
    frames = {entry.frame for entry in commit.entries if entry.kind == pack.RECORD}
    assert not frames & {entry.frame for entry in commit.entries if entry.kind != pack.RECORD}


def test_a_commit_of_nothing_writes_nothing(store):
    store.commit([], durable=True)
    assert store._lease.end == 0


def test_a_pack_of_many_small_blobs_is_sealed_before_its_directory_is_large(store, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_BLOBS", 20)
    for number in range(30):
        store.commit(building.build(number).blobs, durable=False)
    store.flush()
    sizes = [sum(len(commit.entries) for commit in pack.sealed_commits(path) or ()) for path in store.packs.iterdir()]
    assert len(sizes) > 1 and all(0 <= size < 20 + 10 for size in sizes) and sorted(sizes)[-1] >= 20


def test_a_pack_is_sealed_when_it_has_grown_to_its_size_and_another_is_begun(store, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 5000)
    jobs = [building.build(number, size=900) for number in range(12)]
    for job in jobs:
        store.commit(job.blobs, durable=False)
    store.close()
    seals = [pack.read_seal(path) for path in store.packs.iterdir()]
    assert seals.count(None) <= 1 < len(seals)
    assert all(5000 <= seal.offset < 5000 + 3000 for seal in seals if seal)
    assert building.lacking(store, jobs) == []
    store.close()


def test_a_key_finds_its_blob_in_this_commit_this_pack_and_sealed_ones_only(store, monkeypatch):
    key = b"k" * 32
    blob = building.blob("circuit", {"n": 1}, key)
    assert store.find_key(key) is None
    store.commit([blob], durable=True)
    assert store.find_key(key) == blob.digest
    other = Store.open(store.path)
    other.prepare()
    assert other.find_key(key) is None
    with monkeypatch.context() as patch:
        patch.setattr(pack, "SEAL_SIZE", 1)
        store.commit(building.build(1).blobs, durable=True)
    other.close()
    other.prepare()
    assert other.find_key(key) == blob.digest
    other.close()
    store.close()
    store.prepare()
    assert store.find_key(key) == blob.digest
    assert store.find_key(b"x" * 32) is None


def test_long_values_are_read_from_their_chunks(store, monkeypatch):
    monkeypatch.setattr(codec, "CHUNK", 400)
    pieces = []

    def spill(piece):
        pieces.append(pack.Blob("chunk", codec.digest(piece), piece))
        return Link(pieces[-1].digest)

    data = codec.encode({"b": bytes(range(256)) * 5}, spill)
    store.commit([*pieces, pack.Blob("x", codec.digest(data), data)], durable=True)
    assert store.value(codec.digest(data)) == {"b": bytes(range(256)) * 5}


def test_flush_syncs_what_was_committed_and_then_has_nothing_to_do(store, monkeypatch):
    monkeypatch.setattr(Store, "_sync_soon", lambda self: None)
    calls = []
    monkeypatch.setattr(disk, "sync", lambda fd, real=disk.sync: (calls.append(fd), real(fd)))
    store.flush()
    assert calls == []
    store.commit(building.build(1).blobs, durable=False)
    assert calls == [] and store._lease.synced < store._lease.end
    store.flush()
    assert store._lease.synced == store._lease.end and calls
    count = len(calls)
    store.flush()
    assert len(calls) == count


def test_unsynced_commits_beyond_a_limit_are_synced_at_once(store, monkeypatch):
    monkeypatch.setattr(Store, "_sync_soon", lambda self: None)
    monkeypatch.setattr(stores, "UNSYNCED_MAX", 3000)
    for number in range(10):
        store.commit(building.build(number, size=600).blobs, durable=False)
        assert store._unsynced_size <= 3000
    assert 0 < store._lease.synced


def test_a_closed_store_can_be_used_again(store):
    jobs = [building.build(number) for number in range(3)]
    for job in jobs:
        store.commit(job.blobs, durable=False)
        store.close()
    assert building.lacking(store, jobs) == []
    assert len(store.index.pack_names()) == 1


def test_an_archive_is_private_says_what_it_is_and_keeps_its_identity(folder):
    made = Store.create(folder / "new" / "lab")
    for path in (made.path, made.packs, made.locks, folder / "new"):
        assert path.stat().st_mode & 0o777 == 0o700
    identity = json.loads((made.path / "archive.json").read_text())
    assert (identity["format"], identity["id"], identity["created"]) == (1, made.id, made.created)
    assert (made.path / "README.txt").read_text().startswith("This folder is a qarchive archive")
    again = Store.open(made.path)
    assert (again.id, again.created) == (made.id, made.created)


def test_an_archive_is_not_made_among_other_files(folder):
    (folder / "notes").write_text("mine")
    with pytest.raises(BadInput) as caught:
        Store.create(folder)
    assert str(caught.value) == f"{folder}: is a folder that holds other files; name a new or an empty one"
    assert [path.name for path in folder.iterdir()] == ["notes"]


def test_every_folder_that_is_made_is_synced_into_the_one_above(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(disk, "sync_folder", synced.append)
    Store.create(folder / "a" / "b")
    assert synced == [folder, folder / "a", folder / "a" / "b"]


def test_lock_files_that_were_deleted_are_made_again(store):
    store.commit(building.build(1).blobs, durable=True)
    store.close()
    for path in store.locks.iterdir():
        path.unlink()
    os.rmdir(store.locks)
    job = building.build(2)
    store.commit(job.blobs, durable=True)
    assert building.lacking(store, [job]) == []
