"""Everything at once: processes that write, read, repack, take in and are killed; clocks that lie; copies of one archive; rot."""

import os
import random
import shutil
import signal
import time

import building
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from qarchive import check, pack, records, values
from qarchive.archive import Archive
from qarchive.archive import open as open_archive
from qarchive.errors import BadInput, Damaged
from qarchive.repacking import repack
from qarchive.store import Store
from qarchive.values import Link

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"


def sound(store, jobs, allowed=frozenset()) -> None:
    assert building.lacking(store, jobs) == []
    assert building.dangling(store) == []
    assert building.kinds(check.verify(store, deep=True)) <= allowed


# Sixteen processes


def _write(root, seed: int, rounds: int, tell) -> None:
    store, chance = Store.open(root), random.Random(seed)
    for _ in range(10 * rounds):
        job = building.build(chance.randrange(20), size=chance.choice((60, 600)))
        store.commit(job.blobs, durable=True)
        tell(f"{job.id.hex()} {' '.join(blob.digest.hex() for blob in job.blobs)}")
    store.close()


def _repack(root, seed: int, rounds: int, tell) -> None:
    store, chance = Store.open(root), random.Random(seed)
    for _ in range(2 * rounds):
        try:
            repack(store, gc=chance.random() < 0.5)
        except BadInput:
            pass  # another process is at it
        time.sleep(chance.random() * 0.05)
    store.close()


def _take_in(root, seed: int, rounds: int, tell) -> None:
    with open_archive(root) as archive:
        for number in range(2 * rounds):
            archive.import_(root.parent / f"{(seed + number) % 3}.qar")


def _read(root, seed: int, rounds: int, tell) -> None:
    store = Store.open(root)
    seen: set[bytes] = set()
    for _ in range(5 * rounds):
        found = set(building.listed(store))
        assert seen <= found
        seen = found
    store.close()


def test_sixteen_processes_that_are_killed_at_random_lose_nothing(folder):
    root = folder / "lab"
    Store.create(root).close()
    theirs = []
    with open_archive(folder / "other") as other:
        for number in range(3):
            theirs.append(building.build(number))
            other._store.commit(theirs[-1].blobs, durable=True)
            other.export(folder / f"{number}.qar", [theirs[-1].id.hex()])
    acknowledged: dict[str, list[str]] = {}
    chance = random.Random(11)
    tasks = [_write] * 9 + [_repack] * 2 + [_take_in] * 2 + [_read] * 3
    until = time.monotonic() + 180
    rounds = 0
    while rounds < 2 or (TORTURE and time.monotonic() < until):
        rounds += 1
        victims = set(chance.sample(range(13), 6))  # a reader that fails must be seen, so none is killed
        children = []
        for i, task in enumerate(tasks):
            many = 1_000 if i in victims else 1  # until it is killed
            children.append(building.Child(lambda tell, task=task, i=i, many=many: task(root, rounds * 100 + i, many, tell)))
        for victim in victims:
            time.sleep(chance.random() * 0.2)
            children[victim].kill()
        for number, child in enumerate(children):
            told, code = child.wait()
            assert code == (-signal.SIGKILL if number in victims else 0)
            acknowledged |= {line.split()[0]: line.split()[1:] for line in told}
    assert len(acknowledged) > 100
    with open_archive(root) as archive:
        for number in range(3):
            archive.import_(folder / f"{number}.qar")
    store = Store.open(root)
    repack(store)
    assert {*acknowledged, *(job.id.hex() for job in theirs)} <= {job.hex() for job in building.listed(store)}
    for digests in acknowledged.values():
        for digest in digests:
            store.get(bytes.fromhex(digest))
    sound(store, theirs)
    assert not store.condemned.folder.exists()


# Clocks


def test_a_clock_that_goes_backwards_loses_nothing_and_doubles_nothing(store, monkeypatch):
    chance = random.Random(4)
    moments = iter([chance.randrange(1, 1 << 62) for _ in range(10_000)])
    monkeypatch.setattr(values, "time_ns", lambda: next(moments))
    monkeypatch.setattr(time, "time", lambda: next(moments) / 1e9)
    jobs = []
    for number in range(60):
        jobs.append(building.build(number))
        store.commit(jobs[-1].blobs, durable=number % 3 == 0)
        if number % 20 == 10:
            repack(store)
    archive = Archive(store)
    pages = [[job.id for job in page] for page in archive.jobs().pages(7)]
    assert sorted(id for page in pages for id in page) == sorted(job.id.hex() for job in jobs)
    created = [job.created for job in archive.jobs()]
    assert created == sorted(created, reverse=True)
    sound(store, jobs)


# Two archives with one id


def test_two_copies_of_an_archive_that_went_on_by_themselves_can_be_merged(folder):
    with open_archive(folder / "one") as one:
        group = one.group("scan")
        store = one._store
        common = [building.build(number) for number in range(4)]
        for job in common:
            store.commit(job.blobs, durable=True)
        archive_id, group_id = one.id, group.id
    shutil.copytree(folder / "one", folder / "two")
    shutil.rmtree(folder / "two" / "index")
    apart = {}
    for name in ("one", "two"):
        with open_archive(folder / name) as archive:
            assert archive.id == archive_id
            apart[name] = [building.build(10 + number) for number in range(3)]
            for job in apart[name]:
                archive._store.commit(job.blobs, durable=True)
            if name == "one":
                archive.repack()
    with open_archive(folder / "one") as one, open_archive(folder / "two") as two:
        for archive, path in ((one, two.path), (two, one.path), (one, two.path)):
            archive.merge(path)
        listed = [sorted(job.id for job in archive.jobs()) for archive in (one, two)]
        assert listed[0] == listed[1] == sorted(job.id.hex() for job in [*common, *apart["one"], *apart["two"]])
        for archive in (one, two):
            archive.repack()
            sound(archive._store, [*common, *apart["one"], *apart["two"]])
            assert archive.group("scan").id == group_id


# Rot


def test_no_flipped_bit_in_a_repacked_archive_goes_unnoticed_or_gives_other_bytes(folder):
    store = Store.create(folder / "lab")
    jobs = [building.build(number, size=600) for number in range(20)]
    for job in jobs:
        store.commit(job.blobs, durable=False)
    repack(store)
    store.close()
    (path,) = store.packs.glob("*.pack")
    good, chance = path.read_bytes(), random.Random(5)
    regions = [0, 5, 9, 40, len(good) - 1, len(good) - 12, len(good) - 60, len(good) - 150]  # header and trailer
    for at in regions + [chance.randrange(len(good)) for _ in range(2000 if TORTURE else 30)]:
        content = bytearray(good)
        content[at] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        found = Store.open(store.path)
        assert check.verify(found, deep=True).damaged, at
        for job in jobs[:: 1 if TORTURE else 7]:
            for blob in job.blobs:
                try:
                    assert found.get(blob.digest) == blob.data
                except Damaged:
                    pass
                except Exception as error:  # the directory itself is gone
                    assert type(error).__name__ == "NotFound", at
        found.close()


# A model


class Model(RuleBasedStateMachine):
    """An archive beside a dict: whatever is done to it, and in whatever order, both hold the same jobs."""

    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.folder = building.temporary_folder()
        self.stores = [Store.create(self.folder / "lab"), Store.open(self.folder / "lab")]
        self.kept: dict[bytes, building.Built] = {}
        self.bundles: dict[int, list[building.Built]] = {}

    def teardown(self):
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    @rule(target=jobs, who=st.integers(0, 1), number=st.integers(0, 5), size=st.sampled_from((60, 700)), durable=st.booleans())
    def commit(self, who, number, size, durable):
        job = building.build(number, size=size)
        self.stores[who].commit(job.blobs, durable)
        self.kept[job.id] = job
        return job

    @rule(who=st.integers(0, 1), job=consumes(jobs))
    def remove(self, who, job):
        removal = building.blob(pack.RECORD, records.removal_record(job=Link(job.id)))
        self.stores[who].commit([removal], durable=False)
        self.kept.pop(job.id, None)

    @rule(who=st.integers(0, 1), gc=st.booleans())
    def repack(self, who, gc):
        repack(self.stores[who], gc=gc)

    @rule(who=st.integers(0, 1))
    def seal(self, who):
        if self.stores[who]._lease is not None:
            self.stores[who].flush()
            self.stores[who]._seal()

    @rule(who=st.integers(0, 1))
    def open_again(self, who):
        self.stores[who].close()
        self.stores[who] = Store.open(self.folder / "lab")

    @rule(who=st.integers(0, 1))
    def reindex(self, who):
        self.stores[who].index.rebuild()

    @precondition(lambda self: self.kept)
    @rule(who=st.integers(0, 1), number=st.integers(0, 2))
    def export(self, who, number):
        Archive(self.stores[who]).export(self.folder / f"{number}.qar", force=True)
        self.bundles[number] = list(self.kept.values())

    @rule(who=st.integers(0, 1), number=st.integers(0, 2))
    def take_in(self, who, number):
        if number in self.bundles:
            Archive(self.stores[who]).import_(self.folder / f"{number}.qar")
            self.kept |= {job.id: job for job in self.bundles[number]}

    @invariant()
    def same(self):
        for store in self.stores:
            assert set(building.listed(store)) == self.kept.keys()
            assert building.lacking(store, self.kept.values()) == []
            assert building.dangling(store) == []


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=300 if TORTURE else 8, stateful_step_count=40 if TORTURE else 14, deadline=None,
                              suppress_health_check=list(HealthCheck))  # fmt: skip
