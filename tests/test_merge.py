"""Union, idempotent, in any order the same: exports, imports and merges of archives whose clocks disagree."""

import os
import random
import shutil
import signal
import subprocess
import time

import building
import hostile
import pytest
from building import blob
from hypothesis import given, settings
from hypothesis import strategies as st

import qarchive
from qarchive import codec, model, pack, records
from qarchive.bundles import adopting, merging
from qarchive.errors import BadInput, CannotWrite
from qarchive.pack import Blob
from qarchive.store import Store
from qarchive.values import Link, Timestamp

STATUSES = ("CANCELLED", "ERROR", "PARTIAL", "DONE")


class World:
    """Jobs of which several archives know something, each by a clock of its own; some were removed in some."""

    def __init__(self, folder, seed: int, archives: int = 3):
        self.folder, self.chance = folder, random.Random(seed)
        self.archives = [qarchive.open(folder / f"lab{number}") for number in range(archives)]
        group = records.group_record(name="g", archive="7" * 32, number=1)
        self.group = blob(pack.RECORD, group)
        self.jobs = [self._job(number) for number in range(self.chance.randint(2, 5))]
        for job in self.jobs:
            for archive in self.chance.sample(self.archives, self.chance.randint(1, archives)):
                self._tell(archive, job)
        for archive in self.archives:
            for job in archive.jobs():
                if self.chance.random() < 0.2:
                    self._commit(archive, [self._about("removal", bytes.fromhex(job.id), nonce=self.chance.randbytes(8))])
        self.made = 0

    def close(self) -> None:
        for archive in self.archives:
            archive.close()
        shutil.rmtree(self.folder)

    def new(self):
        """An archive that knows nothing."""
        self.made += 1
        archive = qarchive.open(self.folder / f"new{self.made}")
        self.archives.append(archive)
        return archive

    def _moment(self) -> Timestamp:
        return Timestamp(self.chance.randrange(1 << 62))

    def _about(self, what: str, job: bytes, **fields) -> Blob:
        return blob(pack.RECORD, {"type": what, "job": Link(job), "created": self._moment(), **fields})

    def _job(self, number: int) -> tuple[bytes, list[Blob], list[list[Blob]]]:
        """(id, what everybody has who knows it, what some know beside that)."""
        chance = self.chance
        labels = {"tags": chance.sample(["a", "b", "c"], chance.randint(0, 3))}
        place = {"group": Link(self.group.digest), "author": chance.choice("xyz"), "sequence": 1, "first": number}
        fields = {"created": self._moment(), "labels": labels, "member": place if chance.random() < 0.5 else None}
        base = hostile.job(number, **fields)
        job = base[2].digest
        base += [self.group] if fields["member"] else []
        beside: list[list[Blob]] = []
        for attempt in range(chance.randint(0, 2)):
            device = blob("backend", {"name": "b", "n": attempt})
            sent = self._about("attempt", job, number=attempt + 1, status="SENDING", backend=Link(device.digest), nonce=b"")
            base += [device, sent]
            of = {"attempt": Link(sent.digest)}
            for _ in range(chance.randint(0, 3)):
                status, result = chance.choice(STATUSES), blob("result", {"n": chance.random()})
                holds = {"result": Link(result.digest)} if status in ("PARTIAL", "DONE") else {}
                outcome = self._about("outcome", job, **of, status=status, provider_status="", **holds)
                beside.append([result, outcome] if holds else [outcome])
            beside.append([self._about("sent", job, **of, status="QUEUED", provider_job=f"p{chance.randint(0, 3)}")])
            calibration = blob("calibration", {"t": chance.random()})
            beside.append([calibration, self._about("calibration", job, **of, calibration=Link(calibration.digest), phase="run",
                                                    captured=self._moment())])  # fmt: skip
        beside.append([self._about("annotation", job, note=chance.random())])
        return job, base, beside

    def _tell(self, archive, job) -> None:
        _, base, beside = job
        self._commit(archive, base)
        for blobs in beside:
            if self.chance.random() < 0.5:
                self._commit(archive, blobs)

    @staticmethod
    def _commit(archive, blobs: list[Blob]) -> None:
        archive._store.commit(blobs, durable=False)


def known(archive) -> dict:
    """All records that an archive would give away, by job; of those that are listed."""
    store = archive._store
    found = {}
    for job in store.index.all_jobs():
        about = {digest: store.value(digest) for digest in store.index.records(job)}
        found[job] = {digest for digest, record in about.items() if record["type"] not in records.LOCAL}
    return found


def view(archive) -> list:
    """What a reader of listings and jobs sees, in order."""
    seen = []
    for job in archive.jobs(kind=None):
        sealed = job.seal if job.outcome is not None else None
        seen.append((job.row, job.history, sealed, job.outcome, job.calibrations, [each.digest for each in job.folded.attempts]))
    return seen + [[(group.id, [member.id for member in group.members()]) for group in archive.groups()]]


def share(world: World, source, target) -> adopting.Taken:
    """By a merge or by a bundle of everything."""
    if world.chance.random() < 0.5:
        return target.merge(source.path)
    path = world.folder / "x.qar"
    if not source._store.index.all_jobs():
        return target.merge(source.path)
    source.export(path, force=True)
    return target.import_(path)


@pytest.fixture
def worlds(folder):
    def made(seed: int) -> World:
        return World(folder / f"world{seed}-{time.monotonic_ns()}", seed)

    return made


def of_seeds(examples: int):
    def decorate(test):
        return settings(max_examples=examples, deadline=None, database=None)(given(st.integers(0, 2**32))(test))

    return decorate


def test_the_union_is_the_same_in_any_order_and_again(worlds):
    @of_seeds(9)
    def law(seed):
        world = worlds(seed)
        try:
            sources, views = world.archives[:], []
            wanted: dict[bytes, set] = {}
            for source in sources:
                for job, about in known(source).items():
                    wanted.setdefault(job, set()).update(about)
            for _ in range(2):
                target, order = world.new(), sources[:]
                world.chance.shuffle(order)
                for source in order:
                    share(world, source, target)
                views.append(view(target))
                assert {job: about for job, about in known(target).items() if job in wanted} == wanted
                packs = sorted(path.name for path in (target.path / "packs").iterdir())
                for source in order:
                    again = share(world, source, target)
                    assert (again.jobs, again.known, again.restored, again.size) == ([], [], [], 0)
                assert sorted(path.name for path in (target.path / "packs").iterdir()) == packs
            assert views[0] == views[1]
        finally:
            world.close()

    law()


def test_merging_is_associative(worlds):
    @of_seeds(6)
    def law(seed):
        world = worlds(seed)
        try:
            a, b, c = world.archives[:3]
            left, right, middle, end = world.new(), world.new(), world.new(), world.new()
            for source, target in ((a, left), (b, left), (left, right), (c, right)):
                share(world, source, target)
            for source, target in ((b, middle), (c, middle), (middle, end), (a, end)):
                share(world, source, target)
            assert view(right) == view(end)
        finally:
            world.close()

    law()


def test_an_archives_own_results_win_and_removals_stay_where_they_were_made(worlds):
    @of_seeds(6)
    def law(seed):
        world = worlds(seed)
        try:
            sources = world.archives[:]
            listed = [set(source._store.index.all_jobs()) for source in sources]
            before = [{job.id: (job.status, job.outcome, job.provider_job) for job in source.jobs()
                       if job.outcome is not None and "result" in job.outcome and len(job.folded.attempts) == 1}
                      for source in sources]  # fmt: skip
            removed = [{job for job in (each[0] for each in world.jobs) if source._store.index.records(job)} - here
                       for source, here in zip(sources, listed)]  # fmt: skip
            for number, source in enumerate(sources):
                target = world.new()
                share(world, source, target)
                assert set(target._store.index.all_jobs()) == listed[number]  # what was removed is not given away
            for number, source in enumerate(sources):
                restored = set()
                for other in sources:
                    if other is not source:
                        restored.update(share(world, other, source).restored)
                came = set().union(*(here for other, here in zip(sources, listed) if other is not source))
                assert {bytes.fromhex(job) for job in restored} == removed[number] & came
                listed[number] |= came
                assert set(source._store.index.all_jobs()) == listed[number]
                for job, (status, outcome, provider_job) in before[number].items():
                    mine = source.job(job)
                    assert (mine.status, mine.outcome) == (status, outcome)
                    assert provider_job is None or mine.provider_job == provider_job
                assert source.verify(deep=True).findings == []
            for source in sources[1:]:
                share(world, source, sources[0])
            for source in sources[1:]:
                share(world, sources[0], source)
                assert known(source) == known(sources[0])
        finally:
            world.close()

    law()


# Single cases


def two(folder, jobs: int = 5):
    """(an archive with some jobs, an empty one)."""
    one, other = qarchive.open(folder / "one"), qarchive.open(folder / "other")
    for number in range(jobs):
        one._store.commit(building.build(number, created=number, provider_job=f"p{number}", tags=["t"]).blobs, durable=False)
    return one, other


def test_copied_archives_merge_and_one_into_itself_is_refused(folder):
    one, other = two(folder)
    one.close(), other.close()
    shutil.copytree(one.path, folder / "copy")
    with qarchive.open(folder / "copy") as copy, qarchive.open(one.path) as one:
        assert copy.id == one.id
        mine = building.build(9)
        copy._store.commit(mine.blobs, durable=True)
        taken = one.merge(copy.path)
        assert (taken.origin, taken.jobs, taken.known) == (one.id, [mine.id.hex()], [])
        assert len(one.jobs()) == 6 and copy.merge(one.path).size == 0
        for path in (one.path, one.path / ".", one.path.parent / "one"):
            with pytest.raises(BadInput) as caught:
                one.merge(path)
            assert str(caught.value) == f"{path}: is this archive itself; name the other one"


def test_an_imported_job_that_was_removed_comes_back_and_can_be_removed_again(folder):
    one, other = two(folder, 2)
    other.merge(one.path)
    job = other.job("latest").id
    for _ in range(2):
        other._store.commit([blob(pack.RECORD, records.removal_record(job=Link(bytes.fromhex(job))))], durable=True)
        assert len(other.jobs()) == 1
        taken = other.merge(one.path)
        assert (taken.jobs, taken.known, taken.restored, taken.size) == ([], [], [job], 0)  # its blobs never went
        assert other.merge(one.path) == adopting.Taken(one.id)
    assert [each.id for each in other.jobs()] == [each.id for each in one.jobs()]
    one.close(), other.close()


def test_a_merge_of_many_jobs_is_taken_in_parts(folder, monkeypatch):
    monkeypatch.setattr(merging, "_AT_ONCE", 2)
    one, other = two(folder, 5)
    taken = other.merge(one.path)
    assert len(taken.jobs) == 5 and len(list((other.path / "packs").glob("*.pack"))) == 3
    assert view(other) == view(one)
    assert other.merge(one.path).size == 0
    one.close(), other.close()


def test_jobs_with_one_provider_id_stay_apart_and_are_shown(folder):
    one, other = two(folder, 1)
    mine = building.build(7, provider_job="p0")
    other._store.commit(mine.blobs, durable=True)
    other.merge(one.path)
    with pytest.raises(qarchive.errors.Ambiguous) as caught:
        other.job("p0")
    ids = sorted([mine.id.hex(), one.job("p0").id])
    shown = [f"{job[:16]} ({'from here' if job == mine.id.hex() else f'from archive {one.id[:8]}'})" for job in ids]
    assert str(caught.value) == f"2 jobs are p0 at their provider: {', '.join(shown)}; give the id of one"
    assert [other.job(job).origin for job in ids] == [None if job == mine.id.hex() else one.id for job in ids]
    one.close(), other.close()


def test_somebody_elses_attachment_does_not_go_before_ones_own(folder):
    one, other = two(folder, 1)
    other.merge(one.path)
    job = one.job("latest")
    job.attach("logical", "mine")
    other.job("latest").attach("logical", "theirs, and later")
    other.job("latest").attach("notes", "theirs")
    one.merge(other.path)
    assert (one.job("latest").attachment("logical"), one.job("latest").attachment("notes")) == ("mine", "theirs")
    one.close(), other.close()


def test_what_a_sealed_foreign_pack_holds_is_relied_on(folder):
    one, other = two(folder, 1)
    other.merge(one.path)
    other._store.close()
    other._store.prepare()
    shared = building.build(0)
    other._store.commit(shared.blobs, durable=True)
    assert building.lacking(other._store, [shared]) == [] and other.verify(deep=True).findings == []
    one.close(), other.close()


# Crashes, full disks, and others at the same time


def test_an_import_that_is_killed_leaves_the_old_or_the_new(folder):
    one, other = two(folder, 60)
    one.flush()
    path = folder / "x.qar"
    one.export(path)
    packs = sorted((other.path / "packs").iterdir())
    other.close()
    start = time.perf_counter()
    with qarchive.open(folder / "timed") as timed:
        timed.import_(path)
    takes, chance, outcomes = time.perf_counter() - start, random.Random(1), set()
    for number in range(9):
        root = folder / f"killed{number}"
        shutil.copytree(other.path, root)

        def task(tell, root=root):
            with qarchive.open(root) as archive:
                tell("ready")
                archive.import_(path)

        child = building.Child(task)
        time.sleep(chance.random() * takes * 1.5)
        child.kill()
        child.wait()
        with qarchive.open(root) as archive:
            outcomes.add(len(archive.jobs()))
            assert archive.verify(deep=True).findings == []
            archive.import_(path)
            assert len(archive.jobs()) == 60
            assert not list((root / "packs").glob(f"*{pack.COMING}"))
        shutil.rmtree(root)
    assert outcomes <= {0, 60} and packs == []
    one.close()


@pytest.mark.parametrize("step", ["sync", "sync_folder"])
def test_an_import_that_is_killed_between_two_steps(folder, step):
    one, other = two(folder, 3)
    path = folder / "x.qar"
    one.export(path)
    other.close()

    def task(tell):
        archive = qarchive.open(folder / "other")
        call = getattr(adopting.disk, step)

        def deadly(target):
            call(target)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(adopting.disk, step, deadly)
        archive.import_(path)

    child = building.Child(task)
    assert child.wait()[1] == -signal.SIGKILL
    with qarchive.open(folder / "other") as archive:
        assert len(archive.jobs()) == (0 if step == "sync" else 3)
        assert archive.verify(deep=True).findings == []
        archive.import_(path)
        assert view(archive) == view(one)
    one.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_the_archive_as_it_was(folder):
    one, _ = two(folder, 1)
    for number in range(5, 8):
        one._store.commit(building.build(number, size=1_000_000).blobs, durable=True)
    path = folder / "x.qar"
    one.export(path)
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted")
    try:
        with qarchive.open(disk / "lab") as lab:
            mine = building.build(3)
            lab._store.commit(mine.blobs, durable=True)
            said = "the disk is full; free some space and run it again; what was acknowledged before is safe"
            attempts = {lab.path / "packs" / "next.import": lambda: lab.import_(path),
                        disk / "y.qar": lambda: one.export(disk / "y.qar")}  # fmt: skip
            for target, attempt in attempts.items():
                with pytest.raises(CannotWrite) as caught:
                    attempt()
                assert str(caught.value) == f"cannot write {target}: {said}"
            assert building.lacking(lab._store, [mine]) == [] and lab.verify(deep=True).findings == []
            assert sorted(each.name for each in disk.iterdir()) == ["lab"]
            assert len(list((lab.path / "packs").iterdir())) == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    one.close()


def test_two_imports_at_once_beside_a_writer(folder):
    one, other = two(folder, 30)
    first, second = folder / "first.qar", folder / "second.qar"
    one.export(first, [job.id for job in one.jobs(limit=20)])
    one.export(second, [job.id for job in one.jobs(order="oldest", limit=20)])
    other.close()

    def take(tell, path):
        with qarchive.open(folder / "other") as archive:
            archive.import_(path)

    def commit(tell):
        store = Store.open(folder / "other")
        for number in range(40):
            job = building.build(100 + number)
            store.commit(job.blobs, durable=True)
            tell(job.id.hex())
        store.close()

    children = [building.Child(lambda tell, path=path: take(tell, path)) for path in (first, second)]
    writer = building.Child(commit)
    assert [child.wait() for child in children] == [([], 0), ([], 0)]
    written, code = writer.wait()
    with qarchive.open(folder / "other") as archive:
        assert code == 0 and len(archive.jobs()) == 70
        assert {job.id for job in archive.jobs()} == {*written, *(job.id for job in one.jobs())}
        assert archive.verify(deep=True).findings == []
    one.close()


def test_a_fold_of_foreign_records_alone_is_that_of_ones_own():
    """Whoever reads a bundle, or has imported all of it, sees what everybody else sees."""
    found = hostile.job()
    attempt = hostile.about("attempt", found[2], number=1, status="RUNNING", nonce=b"", backend=Link(found[1].digest))
    of = {"attempt": Link(attempt.digest), "provider_status": ""}
    outcomes = [hostile.about("outcome", found[2], status=status, **of) for status in STATUSES]
    about = {each.digest: codec.decode(each.data) for each in (found[2], attempt, *outcomes)}
    own, foreign = model.fold(found[2].digest, about), model.fold(found[2].digest, about, frozenset(about))
    assert model.summary(own) == model.summary(foreign)
