"""Repack and gc: less room for the same jobs, what was removed gone for good, and nothing lost whatever happens meanwhile."""

import os
import random
import shutil
import signal
import subprocess

import building
import crashes
import pytest
from filelock import FileLock

from qarchive import bundles, check, codec, disk, lease, pack, records
from qarchive.archive import Archive
from qarchive.archive import open as open_archive
from qarchive.errors import BadInput, CannotWrite, Damaged
from qarchive.repacking import reach, repack, solids
from qarchive.store import Store
from qarchive.values import Link

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"


def remove(store, *jobs) -> None:
    for job in jobs:
        store.commit([building.blob(pack.RECORD, records.removal_record(job=Link(job.id)))], durable=False)
    store.flush()


def fill(store, count: int, **fields) -> list[building.Built]:
    jobs = [building.build(number % 10, backend=f"device_{number % 3}", **fields) for number in range(count)]
    for job in jobs:
        store.commit(job.blobs, durable=False)
    store.flush()
    return jobs


def packed(store) -> set[bytes]:
    """The digests of all that lies in packs, in use or condemned."""
    paths = [*store.packs.glob("*.pack"), *store.condemned.packs()]
    found = (part for path in paths for part in pack.scan(path) if type(part) is pack.Commit)
    return {entry.digest for commit in found for entry in commit.entries}


def size(store) -> int:
    return sum(path.stat().st_size for path in store.packs.iterdir())


def sound(store, jobs) -> None:
    assert building.lacking(store, jobs) == []
    assert building.dangling(store) == []
    assert check.verify(store, deep=True).findings == []


# What it is for


def test_the_same_jobs_take_less_room(store):
    jobs = fill(store, 120)
    before, rows = size(store), building.listed(store)
    done = repack(store)
    assert (done.packs, done.before, done.after, done.dropped) == (1, before, size(store), 0)
    assert size(store) < before / 2
    assert building.listed(store) == rows
    sound(store, jobs)
    assert repack(store).packs == 0  # once is enough


def test_statistics_say_what_a_repack_would_put_together(store):
    fill(store, 5)
    store.close()
    assert Archive(store).statistics()["loose"] == {"packs": 1, "bytes": size(store)}
    repack(store)
    assert Archive(store).statistics()["loose"] == {"packs": 0, "bytes": 0}


def test_blobs_of_one_kind_and_one_device_lie_together(store, monkeypatch):
    monkeypatch.setattr(solids, "FRAME_SIZE", 8_000)
    jobs = fill(store, 120, size=600)
    repack(store)
    (path,) = store.packs.glob("*.pack")
    device = {blob.digest: number % 3 for number, job in enumerate(jobs) for blob in job.blobs if blob.kind == "result"}
    frames: dict[int, set] = {}
    for commit in pack.scan(path):
        for entry in getattr(commit, "entries", ()):
            frames.setdefault(entry.frame, set()).add((entry.kind, device.get(entry.digest)))
    assert {len({kind for kind, _ in frame}) for frame in frames.values()} == {1}
    results = [frame for frame in frames.values() if ("result", 0) in frame or ("result", 1) in frame or ("result", 2) in frame]
    assert len(results) > 4 and sum(len(frame) > 1 for frame in results) <= 2  # the last ones of each are shared


def test_a_repacked_pack_is_still_plain_zstd(store):
    fill(store, 20)
    repack(store)
    (path,) = store.packs.glob("*.pack")
    values = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout if shutil.which("zstd") else None
    commits = [part for part in pack.scan(path) if type(part) is pack.Commit]
    with open(path, "rb") as file:
        blobs = [pack.read(file, path, entry) for commit in commits for entry in commit.entries]
    assert pack.read_seal(path).brief
    assert values in (None, b"".join(blobs))


def test_what_was_removed_leaves_for_good_and_only_that(store):
    jobs = fill(store, 60, size=600)
    remove(store, *jobs[:20])
    kept = {blob.digest for job in jobs[20:] for blob in job.blobs}
    done = repack(store, gc=True)
    assert (done.removed, done.waits) == (20, False)
    assert packed(store) == kept
    assert len(building.listed(store)) == 40
    sound(store, jobs[20:])
    assert not store.condemned.folder.exists()
    assert repack(store, gc=True).packs == 0


def test_gc_leaves_packs_alone_that_hold_nothing_to_take_out(store):
    fill(store, 30)
    before = {path.name: path.read_bytes() for path in store.packs.iterdir()}
    assert repack(store, gc=True).packs == 0
    assert {path.name: path.read_bytes() for path in store.packs.iterdir()} == before


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(store):
    jobs = fill(store, 40)
    remove(store, *jobs[:10])
    before = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file() and "index" not in path.parts}
    said = repack(store, dry_run=True)
    assert {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file() and "index" not in path.parts} == before
    done = repack(store)
    assert (said.packs, said.before, said.dropped, said.dropped_raw, said.removed) == (
        done.packs, done.before, done.dropped, done.dropped_raw, done.removed)  # fmt: skip


def test_a_removed_job_that_another_one_repeats_stays_removed(store):
    parent = building.build(1)
    child = building.build(2)
    record = codec.decode(next(blob.data for blob in child.blobs if blob.digest == child.id)) | {"parent": Link(parent.id)}
    job = building.blob(pack.RECORD, record)
    inputs = [blob for blob in child.blobs if blob.kind != pack.RECORD]
    store.commit(parent.blobs, durable=True)
    store.commit([*inputs, job], durable=True)
    remove(store, parent)
    repack(store)
    assert building.listed(store) == [job.digest]
    assert store.get(parent.id)  # the child refers to it
    result = next(blob for blob in parent.blobs if blob.kind == "result")
    assert result.digest not in packed(store)
    assert building.dangling(store) == []


def test_a_removed_group_leaves_when_no_job_is_in_it(store):
    group = building.blob(pack.RECORD, {"type": "group", "name": "vqe", "archive": store.id, "number": 1})
    store.commit([group], durable=True)
    store.commit([building.blob(pack.RECORD, records.removal_record(group=Link(group.digest)))], durable=True)
    jobs = fill(store, 3)
    assert repack(store).removed == 1
    assert group.digest not in packed(store)
    sound(store, jobs)


# Packs of several kinds


def test_what_came_from_elsewhere_stays_foreign(folder, store):
    own = fill(store, 10)
    other = open_archive(folder / "other")
    theirs = fill(other._store, 10, provider="ibm")
    for number in range(3):
        other.export(folder / f"{number}.qar", [job.id.hex() for job in theirs[number * 3 : number * 3 + 4]])
        Archive(store).import_(folder / f"{number}.qar")
    other.close()
    origins = {job.id: store.index.origins(job.id) for job in own + theirs}
    assert len(list(store.packs.glob("*.pack"))) == 4
    repack(store)
    assert len(list(store.packs.glob("*.pack"))) == 2
    assert {job.id: store.index.origins(job.id) for job in own + theirs} == origins
    sound(store, own + theirs)
    assert repack(store).packs == 0


def test_small_packs_are_put_together_when_there_are_several(store):
    jobs = []
    for _ in range(3):
        jobs += fill(store, 5)
        repack(store)
    assert len(list(store.packs.glob("*.pack"))) == 1
    sound(store, jobs)


def test_an_abandoned_pack_is_taken_in(store, monkeypatch):
    jobs = fill(store, 3)
    store.close()
    (path,) = store.packs.glob("*.pack")
    path.with_suffix(lease.ABANDONED).touch()
    repack(store)
    assert not path.exists() and not path.with_suffix(lease.ABANDONED).exists()
    sound(store, jobs)


def test_a_damaged_archive_is_not_repacked(store):
    fill(store, 5)
    repack(store)
    (path,) = store.packs.glob("*.pack")
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match="run `qarchive verify` to see what is affected"):
        repack(store)
    assert path.read_bytes() == content


# Beside writers and readers


def test_a_writer_that_relied_on_what_is_taken_out_writes_it_again(store):
    (removed,) = fill(store, 1)
    repack(store)
    writer = Store.open(store.path)
    writer.prepare()
    circuit = next(blob for blob in removed.blobs if blob.kind == "circuit")
    assert writer.may_omit(circuit.digest)  # and from here on it will not bring it along
    remove(store, removed)
    assert repack(store, gc=True).waits
    assert circuit.digest in {digest for path in store.condemned.packs() for digest in digests(path)}

    job = building.build(number_of(removed))
    writer.commit([blob for blob in job.blobs if blob.digest != circuit.digest], durable=True)
    assert circuit.digest in digests(writer._lease.path)
    writer.close()
    assert not repack(store).waits
    assert not store.condemned.folder.exists()
    sound(store, [job])


def test_what_a_killed_writer_relied_on_is_brought_back(store):
    (removed,) = fill(store, 1)
    repack(store)
    writer = Store.open(store.path)
    writer.prepare()
    remove(store, removed)
    assert repack(store, gc=True).waits
    circuit = next(blob for blob in removed.blobs if blob.kind == "circuit")
    job = building.build(number_of(removed))
    writer._lease.append([blob for blob in job.blobs if blob.digest != circuit.digest])  # killed before it could look
    writer._lease.release()
    writer._reset()
    assert store.get(circuit.digest) == circuit.data
    assert not repack(store).waits
    assert circuit.digest in packed(store) and not store.condemned.folder.exists()
    sound(store, [job])


def test_a_pack_that_nobody_writes_to_keeps_nothing_condemned(store):
    (removed,) = fill(store, 1)
    repack(store)
    remove(store, removed)
    other = Store.open(store.path)
    jobs = fill(other, 2)
    other.close()
    store.close()
    assert not repack(store, gc=True).waits
    assert not store.condemned.folder.exists()
    sound(store, jobs)


def test_a_removed_job_that_is_repeated_while_it_leaves_stays_removed(store, monkeypatch):
    (parent,) = fill(store, 1)
    remove(store, parent)
    writer = Store.open(store.path)
    writer.prepare()
    child = building.build(2)
    record = codec.decode(next(blob.data for blob in child.blobs if blob.digest == child.id)) | {"parent": Link(parent.id)}
    job = building.blob(pack.RECORD, record)
    real = reach.Reach.look_again

    def look_again(self):  # the writer is there just before the last look
        writer.commit([*(blob for blob in child.blobs if blob.kind != pack.RECORD), job], durable=True)
        real(self)

    monkeypatch.setattr(reach.Reach, "look_again", look_again)
    repack(store)
    assert building.listed(store) == [job.digest]
    assert store.get(parent.id)
    writer.close()


def digests(path) -> set[bytes]:
    return {entry.digest for part in pack.scan(path) if type(part) is pack.Commit for entry in part.entries}


def number_of(job: building.Built) -> int:
    return codec.decode(next(blob.data for blob in job.blobs if blob.kind == "circuit"))["number"]


def test_a_pack_that_somebody_writes_to_stays(store):
    writer = Store.open(store.path)
    jobs = [building.build(1), building.build(2)]
    writer.commit(jobs[0].blobs, durable=True)
    assert repack(store).packs == 0
    writer.commit(jobs[1].blobs, durable=True)
    writer.close()
    assert repack(store).packs == 1
    sound(store, jobs)


def test_readers_and_writers_see_every_job_while_packs_are_replaced(store):
    known = fill(store, 40)

    def write(tell):
        mine = Store.open(store.path)
        chance = random.Random(os.getpid())
        for _ in range(60):
            job = building.build(chance.randrange(10))
            mine.commit(job.blobs, durable=chance.random() < 0.3)
            tell(job.id.hex())
        mine.close()

    def read(tell):
        mine = Store.open(store.path)
        for _ in range(30):
            assert len(building.listed(mine)) >= len(known)
            assert building.lacking(mine, random.sample(known, 3)) == []
            mine.index.confirm(known[0].id)
        tell("read")

    children = [building.Child(write), building.Child(write), building.Child(read)]
    for _ in range(12):
        repack(store)
    told = [child.wait() for child in children]
    assert [code for _, code in told] == [0, 0, 0]
    repack(store)
    written = {line for lines, _ in told[:2] for line in lines}
    assert {job.hex() for job in building.listed(store)} == written | {job.id.hex() for job in known}
    sound(store, known)


def test_one_repack_at_a_time(store):
    fill(store, 3)
    with FileLock(store.locks / "repack.lock"):
        with pytest.raises(BadInput) as caught:
            repack(store)
    assert str(caught.value) == f"{store.path}: is being repacked or repaired by another process; wait for it to end"


# Kills, power cuts, full disks


def _session(root, seed: int) -> None:
    """A repack that is killed at one of its calls of the system."""
    chance = random.Random(seed)
    left = iter(range(chance.choice((1, 2, 3, 4, 6, 8, 12)), -1, -1))
    for name in ("append", "sync", "create", "rename", "remove", "sync_folder"):
        call = getattr(disk, name)

        def deadly(*args, call=call):
            if next(left, None) == 0:
                if call.__name__ == "remove":  # between two files
                    args = (list(args[0])[:1],)
                    call(*args)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args)

        setattr(disk, name, deadly)
    store = Store.open(root)
    repack(store, gc=chance.random() < 0.3)


def test_a_repack_that_is_killed_anywhere_is_gone_on_with(store):
    chance, kept, gone, killed = random.Random(3), [], [], 0
    for seed in range(400 if TORTURE else 25):
        kept += fill(store, 6)
        chance.shuffle(kept)
        gone.append(kept.pop())
        remove(store, gone[-1])
        store.close()
        child = building.Child(lambda tell, seed=seed: _session(store.path, seed))
        code = child.wait()[1]
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        listed = set(building.listed(store))
        assert {job.id for job in kept} <= listed and not listed & {job.id for job in gone}
        assert building.kinds(check.verify(store)) <= {"tail"}
    assert killed > 10
    repack(store)
    sound(store, kept)
    assert packed(store) == {blob.digest for job in kept for blob in job.blobs}
    assert not store.condemned.folder.exists() and not list(store.packs.glob("*.import"))


@pytest.mark.parametrize("seed", range(200 if TORTURE else 2))
def test_a_power_cut_during_a_repack_loses_nothing_and_brings_nothing_back(folder, monkeypatch, seed):
    monkeypatch.setattr(pack, "SEAL_SIZE", 12_000)
    assert crashes.torture(folder, monkeypatch, seed, points=100 if TORTURE else 15, habits=crashes.HABITS[3]) == []


def test_on_a_full_disk_everything_stays_as_it_was(store, monkeypatch):
    jobs = fill(store, 20)
    remove(store, jobs.pop())
    before = {path.name: path.read_bytes() for path in store.packs.iterdir()}
    real, left = disk.append, [0]
    for room in range(12):
        left[0] = room

        def append(fd, data):
            left[0] -= 1
            if left[0] < 0:
                os.write(fd, data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            real(fd, data)

        monkeypatch.setattr(disk, "append", append)
        try:
            repack(store)
        except CannotWrite as error:
            assert str(error) == (f"cannot write {store.packs}: the disk is full; free some space and run it again; what was "
                                  "acknowledged before is safe")  # fmt: skip
            assert before.keys() <= {path.name for path in store.packs.iterdir()}
        else:
            break
        finally:
            monkeypatch.setattr(disk, "append", real)
    else:
        pytest.fail("there was never room enough")
    assert room > 3
    sound(store, jobs)


# Imports


def test_a_removed_job_can_be_taken_in_again_after_it_has_left(folder, store):
    archive = Archive(store)
    jobs = fill(store, 4)
    archive.export(folder / "all.qar")
    remove(store, *jobs[:2])
    archive.gc()
    assert len(archive.jobs()) == 2
    taken = archive.import_(folder / "all.qar")
    assert sorted(taken.jobs) == sorted(job.id.hex() for job in jobs[:2])
    archive.gc()
    sound(store, jobs)


def test_a_bundle_is_not_repacked(folder, store):
    fill(store, 2)
    Archive(store).export(folder / "jobs.qar")
    with pytest.raises(BadInput, match="is a bundle"):
        repack(bundles.reading.Reading(folder / "jobs.qar"))
