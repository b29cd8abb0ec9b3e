"""Nothing acknowledged is lost: by a kill at any step, by a power cut, by a disk that fails or is full."""

import contextlib
import errno
import os
import random
import resource
import signal
import subprocess
import threading
import warnings

import building
import crashes
import pytest

from qarchive import catalog, check, disk, intake, lease, pack
from qarchive import store as stores
from qarchive.errors import ArchiveWarning, CannotWrite
from qarchive.store import Store

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"
CALLS = ("append", "sync", "sync_folder", "create", "truncate", "replace")
FULL = "the disk is full; free some space and run it again; what was acknowledged before is safe"


# Kills


def _arm(name: str, count: int, when: str) -> None:
    """Let the `count`-th call of `disk.<name>` kill this process: before it, after it, or with a part of it done."""
    call, left = getattr(disk, name), iter(range(count - 1, -1, -1))

    def deadly(*args):
        now = next(left, None) == 0
        if now and when == "within" and name == "append":
            os.write(args[0], args[1][: len(args[1]) // 2])
        if now and when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(disk, name, deadly)


def _session(root, seed: int, tell) -> None:
    """Commit a few jobs, and tell of each one that was acknowledged."""
    chance = random.Random(seed)
    if seed % 4:
        _arm(
            chance.choices(CALLS, (6, 4, 1, 2, 1, 1))[0],
            chance.choice((1, 1, 2, 3, 4)),
            chance.choice(("before", "within", "after")),
        )
    store = Store.open(root)
    for _ in range(chance.randint(1, 4)):
        job = building.build(chance.randrange(50), size=chance.choice((60, 600, 3000)))
        store.commit(job.blobs, durable=chance.random() < 0.5)
        tell(" ".join([job.id.hex(), *(blob.digest.hex() for blob in job.blobs)]))
    if chance.random() < 0.5:
        store.close()


def test_a_kill_at_any_step_loses_nothing_acknowledged(folder, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 20_000)
    root, at_once = folder / "lab", 3
    Store.create(root).close()
    acknowledged, killed = {}, 0
    for number in range(0, 6000 if TORTURE else 120, at_once):
        children = [building.Child(lambda tell, seed=number + i: _session(root, seed, tell)) for i in range(at_once)]
        if number % 4 == 0:
            signal.sigtimedwait([], random.Random(number).random() * 0.03)
            children[0].kill()
        for child in children:
            told, code = child.wait()
            assert code in (0, -signal.SIGKILL)
            killed += code != 0
            acknowledged |= {line.split()[0]: line.split()[1:] for line in told}
    assert killed > 20 and len(acknowledged) > 50

    store = Store.open(root)
    assert len([name for name, _, _ in store.index.open_packs()]) <= at_once
    assert acknowledged.keys() <= {job.hex() for job in building.listed(store)}
    for digests in acknowledged.values():
        for digest in digests:
            store.get(bytes.fromhex(digest))
    assert building.dangling(store) == []
    assert building.kinds(check.verify(store, deep=True)) <= {"tail"}
    job = building.build(1)
    store.commit(job.blobs, durable=True)
    store.close()
    assert building.lacking(Store.open(root), [job]) == []


# Power cuts


@pytest.mark.parametrize("seed", range(200 if TORTURE else 4))
def test_a_power_cut_loses_nothing_durable_and_leaves_nothing_dangling(folder, monkeypatch, seed):
    monkeypatch.setattr(pack, "SEAL_SIZE", 12_000)
    assert crashes.torture(folder, monkeypatch, seed, points=200 if TORTURE else 25, steps=60 if TORTURE else 40) == []


def _acknowledge_without_sync(patch):
    patch.setattr(lease.Lease, "sync", lambda self, end=None: setattr(self, "synced", self.end))


def _sync_without_the_folder(patch):
    patch.setattr(lease.Lease, "_sync_file", lambda self: disk.sync(self._fd))


def _omit_what_lies_in_anybodys_pack(patch):
    patch.setattr(Store, "may_omit", lambda self, digest: digest in self._own or bool(self.index.places(digest)))


def _seal_before_the_sync(patch):
    def seal(self, real=lease.Lease.seal):
        with patch.context() as inner:
            inner.setattr(lease.Lease, "_sync_file", lambda self: None)
            inner.setattr(disk, "sync", lambda fd: None)
            real(self)

    patch.setattr(lease.Lease, "seal", seal)


def _trust_an_index_that_outlived_its_packs(patch):
    patch.setattr(catalog, "as_read", lambda path, known, compared=False: intake.as_read(path, known, True))


def _take_records_that_stand_behind_damage(patch):
    real = intake.Intake.add

    def add(self, path, file, row, commit, suspect, foreign):
        real(self, path, file, row, commit, False, foreign)

    patch.setattr(intake.Intake, "add", add)


_SOFT = (0, 10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)  # commits that share a sync, and looks


# `first` is a session of work that has shown it: a search from 0 on takes ten times as long.
@pytest.mark.parametrize("broken, kind, habits, first", [
    (_acknowledge_without_sync, "lost", None, 0), (_sync_without_the_folder, "lost", None, 0),
    (_omit_what_lies_in_anybodys_pack, "dangling", None, 1), (_seal_before_the_sync, "lost", None, 4),
    (_trust_an_index_that_outlived_its_packs, "verify", _SOFT, 10),
    (_take_records_that_stand_behind_damage, "dangling", _SOFT, 12),
])  # fmt: skip
def test_the_model_of_power_cuts_catches_a_broken_order(folder, monkeypatch, broken, kind, habits, first):
    monkeypatch.setattr(pack, "SEAL_SIZE", 12_000)
    broken(monkeypatch)
    for seed in range(first, first + 200):
        found = crashes.torture(folder, monkeypatch, seed, points=15, generations=1, habits=habits)
        if any(f": {kind}: " in fault for fault in found):
            return
    pytest.fail("no crash showed what was broken")


def test_the_model_of_power_cuts_catches_a_sync_that_is_tried_again(folder, monkeypatch):
    """A second fsync after a failed one reports success for what the system has forgotten."""
    monkeypatch.setattr(pack, "SEAL_SIZE", 12_000)

    def sync_file(self):
        try:
            disk.sync(self._fd)
        except OSError:
            disk.sync(self._fd)
        disk.sync_folder(self.path.parent)

    monkeypatch.setattr(lease.Lease, "_sync_file", sync_file)
    for seed in range(2, 200):  # the first one that has shown it
        if any(": lost: " in fault for fault in crashes.torture(folder, monkeypatch, seed, points=15, generations=1)):
            return
    pytest.fail("no crash showed what was broken")


def test_a_whole_file_is_synced_before_it_gets_its_name_and_its_folder_after(folder, monkeypatch):
    calls = []

    def recording(name):
        real = getattr(os, name)

        def call(first, *rest, **named):
            is_folder = type(first) is int and os.path.isdir(f"/proc/self/fd/{first}")
            calls.append(name + " folder" * is_folder)
            return real(first, *rest, **named)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, recording(name))
    disk.replace(folder / "file", b"content")
    assert calls == ["write", "fsync", "replace", "fsync folder"]
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_whole_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(folder, monkeypatch):
    disk.replace(folder / "file", b"old")
    _failing(monkeypatch, "sync", errno.EIO)
    with pytest.raises(OSError):
        disk.replace(folder / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("file", b"old")]


# Disks that fail


def _failing(monkeypatch, name: str, code: int, first: int = 1, last: float = float("inf"), partly: bool = False) -> list:
    """Let the calls of `disk.<name>` from the `first` to the `last` fail. The calls, as they come."""
    real, calls = getattr(disk, name), []

    def call(fd, *rest):
        calls.append(os.readlink(f"/proc/self/fd/{fd}"))
        if first <= len(calls) <= last:
            if partly:
                os.write(fd, rest[0][: len(rest[0]) // 2])
            raise OSError(code, os.strerror(code))
        return real(fd, *rest)

    monkeypatch.setattr(disk, name, call)
    return calls


@pytest.fixture
def quiet(monkeypatch):
    """No syncs but those that are asked for."""
    monkeypatch.setattr(Store, "_sync_soon", lambda self: None)


@pytest.mark.parametrize("name, partly", [("append", False), ("append", True), ("sync", False)])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("first", range(1, 8))
def test_one_call_that_fails_costs_a_pack_and_no_job(store, quiet, monkeypatch, name, partly, code, first):
    monkeypatch.setattr(pack, "SEAL_SIZE", 9_000)
    jobs = [building.build(number, size=600) for number in range(8)]
    with monkeypatch.context() as patch:
        calls = _failing(patch, name, code, first, first, partly)
        for number, job in enumerate(jobs):
            store.commit(job.blobs, durable=number % 3 == 2)
        store.close()
        assert len(calls) > first
    again = Store.open(store.path)
    assert building.lacking(again, jobs) == []
    assert building.listed(again) == [job.id for job in reversed(jobs)]
    assert building.kinds(check.verify(again, deep=True)) <= {"tail"}
    again.close()


def test_a_sync_that_failed_is_never_tried_again_and_its_pack_never_resumed(store, quiet, monkeypatch):
    early, late = building.build(1), building.build(2)
    store.commit(early.blobs, durable=False)
    given_up = store._lease.path
    with monkeypatch.context() as patch:
        calls = _failing(patch, "sync", errno.EIO, 1, 1)
        store.commit(late.blobs, durable=True)
    assert calls.count(str(given_up)) == 1
    assert given_up.with_suffix(lease.ABANDONED).exists()
    store.close()
    given_up.unlink()  # as if nothing of it had reached the disk
    again = Store.open(store.path)
    assert building.lacking(again, [early, late]) == []
    again.close()


def test_what_was_synced_before_a_failed_sync_may_still_be_referred_to(store, quiet, monkeypatch):
    early, late = building.build(1), building.build(1)
    store.commit(early.blobs, durable=True)
    store.commit(late.blobs, durable=False)
    _failing(monkeypatch, "sync", errno.EIO, 1, 1)
    store.flush()
    assert building.lacking(store, [early, late]) == []


def test_a_resumed_pack_is_on_the_disk_before_anything_in_it_is_left_out(store, quiet, monkeypatch):
    job = building.build(1)
    store.commit(job.blobs, durable=False)
    store._lease.release()  # as by a process that died before its sync
    store._leave()
    calls = _failing(monkeypatch, "sync", errno.EIO, 1, 1)
    store.prepare()
    assert calls == [str(next(path for path in store.packs.glob("*.abandoned")).with_suffix(".pack"))]
    assert not any(store.may_omit(blob.digest) for blob in job.blobs)


def test_the_error_of_a_full_disk_says_what_to_do_and_later_commits_work(store, quiet, monkeypatch):
    early, refused, late = (building.build(number) for number in range(3))
    store.commit(early.blobs, durable=False)
    for partly in (False, True):
        with monkeypatch.context() as patch:
            _failing(patch, "append", errno.ENOSPC, partly=partly)
            with pytest.raises(CannotWrite) as caught:
                store.commit(refused.blobs, durable=False)
            assert str(caught.value) == f"cannot write {store.packs}: {FULL}"
    assert building.lacking(store, [early]) == [] and building.listed(store) == [early.id]
    store.commit(late.blobs, durable=True)
    store.close()
    assert building.lacking(store, [early, late]) == []
    assert building.kinds(check.verify(store, deep=True)) == set()
    assert len(list(store.packs.iterdir())) == len(list(store.locks.iterdir())) == 1


def test_the_error_of_a_disk_that_never_syncs_is_told_once_and_what_was_acknowledged_is_kept(store, quiet, monkeypatch):
    early, late = building.build(1), building.build(2)
    store.commit(early.blobs, durable=False)
    with monkeypatch.context() as patch:
        calls = _failing(patch, "sync", errno.EIO)
        with pytest.raises(CannotWrite) as caught:
            store.flush()
        assert len(calls) == len(set(calls)) == 2
        assert str(caught.value) == f"cannot write {calls[1]}: Input/output error; what was acknowledged before is safe"
    store.commit(late.blobs, durable=True)
    store.close()
    for path in store.packs.glob("*.abandoned"):
        path.with_suffix(".pack").unlink()
        path.unlink()
    again = Store.open(store.path)
    assert building.lacking(again, [early, late]) == []
    again.close()


def test_commits_are_written_again_in_their_order(store, quiet, monkeypatch):
    """A later one leaves out what an earlier one brought: were it first in the new pack, a kill would leave it dangling."""
    jobs = [building.build(number) for number in range(4)]
    for job in jobs:
        store.commit(job.blobs, durable=False)
    with monkeypatch.context() as patch:
        _failing(patch, "sync", errno.EIO)
        _failing(patch, "append", errno.ENOSPC, first=3)
        with pytest.raises(CannotWrite):
            store.flush()
    store.flush()
    [records] = [[e.digest for c in pack.scan(path) for e in c.entries if e.kind == pack.RECORD]
                 for path in store.packs.glob("*.pack") if not path.with_suffix(lease.ABANDONED).exists()]  # fmt: skip
    assert [digest for digest in records if digest in {job.id for job in jobs}] == [job.id for job in jobs]


def test_a_shared_sync_that_fails_in_the_background_loses_nothing(store, monkeypatch):
    monkeypatch.setattr(stores, "SHARED_SYNC_S", 0.01)
    job, synced, real = building.build(1), threading.Event(), disk.sync
    failed = []

    def sync(fd):
        if not failed:
            failed.append(os.readlink(f"/proc/self/fd/{fd}"))
            raise OSError(errno.EIO, "Input/output error")
        real(fd)
        synced.set()

    monkeypatch.setattr(disk, "sync", sync)
    store.commit(job.blobs, durable=False)
    assert synced.wait(60)
    store.close()
    os.unlink(failed[0])
    again = Store.open(store.path)
    assert building.lacking(again, [job]) == []
    again.close()


def test_a_shared_sync_that_cannot_succeed_warns_and_the_next_one_is_tried(store, monkeypatch):
    monkeypatch.setattr(stores, "SHARED_SYNC_S", 0.01)
    job, warned = building.build(1), threading.Event()
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("always")
        told = []
        patch.setattr(warnings, "showwarning", lambda message, *rest: (told.append(message), warned.set()))
        calls = _failing(patch, "sync", errno.EIO)
        store.commit(job.blobs, durable=False)
        assert warned.wait(60)
        assert type(told[0]) is ArchiveWarning
        assert str(told[0]) == ("jobs of the last second are not yet on the disk: "
                                f"cannot write {calls[1]}: Input/output error; what was acknowledged before is safe")  # fmt: skip
    store.close()
    again = Store.open(store.path)
    assert building.lacking(again, [job]) == []
    again.close()


def test_a_key_pressed_within_a_write_damages_no_later_commit(store, quiet, monkeypatch):
    """The bytes are there and the writer does not know it: what follows must not stand at a place that it does not expect."""
    early, interrupted, late = (building.build(number) for number in range(3))
    store.commit(early.blobs, durable=False)
    with monkeypatch.context() as patch:

        def append(fd, data, real=disk.append):
            real(fd, data)
            raise KeyboardInterrupt

        patch.setattr(disk, "append", append)
        with pytest.raises(KeyboardInterrupt):
            store.commit(interrupted.blobs, durable=False)
    store.commit(late.blobs, durable=True)
    store.close()
    assert building.lacking(store, [early, late]) == []
    assert building.kinds(check.verify(store, deep=True)) == set()


def test_threads_that_wait_for_a_sync_that_fails_all_get_their_jobs_written(store, quiet, monkeypatch):
    jobs = [building.build(number) for number in range(40)]
    turns, real = iter(range(1, 1000)), disk.sync

    def sync(fd):
        if next(turns) % 5 == 0:
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    errors = []

    def write(mine):
        for job in mine:
            try:
                store.commit(job.blobs, durable=True)
            except CannotWrite as error:
                errors.append((job, error))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", sync)
        threads = [threading.Thread(target=write, args=(jobs[i::4],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    store.close()
    for path in store.packs.glob("*.abandoned"):
        content = path.with_suffix(".pack").read_bytes()
        assert content  # a pack whose sync failed is kept as it is
    refused = {job.id for job, _ in errors}
    assert building.lacking(store, [job for job in jobs if job.id not in refused]) == []
    assert building.kinds(check.verify(store, deep=True)) <= {"tail"}


def test_a_file_size_limit_is_an_error_with_its_remedy_and_nothing_is_lost(folder):
    root = folder / "lab"
    Store.create(root).close()

    def write(tell):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
        store = Store.open(root)
        for number in range(60):
            job = building.build(number, size=900)
            store.commit(job.blobs, durable=True)
            tell(job.id.hex())
        try:
            store.commit(building.build(1, size=80_000).blobs, durable=True)
        except CannotWrite as error:
            tell(str(error))
        store.close()

    told, code = building.Child(write).wait()
    assert code == 0
    assert told.pop() == (f"cannot write {root / 'packs'}: the file would be larger than the system allows; "
                          "raise the limit (`ulimit -f`) and run it again")  # fmt: skip
    store = Store.open(root)
    assert {bytes.fromhex(line) for line in told} == set(building.listed(store)) and len(told) == 60
    assert building.dangling(store) == []
    assert building.kinds(check.verify(store, deep=True)) <= {"tail"}
    store.close()


@contextlib.contextmanager
def _small_disk(place, size: str):
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("only root can mount a small disk; the file size limit is tested without")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk; the file size limit is tested without")
def test_a_full_disk_loses_nothing_and_listing_goes_on(folder):
    with _small_disk(folder / "disk", "3m") as place:
        (place / "ballast").write_bytes(bytes(500_000))
        store = Store.create(place / "lab")
        jobs = []
        with pytest.raises(CannotWrite) as caught:
            for number in range(1000):
                job = building.build(number, size=20_000)
                store.commit(job.blobs, durable=number % 2 == 0)
                jobs.append(job)
                building.listed(store)
        assert str(caught.value) == f"cannot write {store.packs}: {FULL}"
        assert len(jobs) > 20 and building.lacking(store, jobs) == []
        reader = Store.open(place / "lab")
        assert building.lacking(reader, jobs) == []
        reader.close()
        (place / "ballast").unlink()
        job = building.build(1)
        store.commit(job.blobs, durable=True)
        store.close()
        again = Store.open(place / "lab")
        assert building.lacking(again, [*jobs, job]) == []
        assert building.kinds(check.verify(again, deep=True)) <= {"tail"}
        again.close()
