"""The index: what it answers, and that it is the same however the packs came to be read."""

import random
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import building
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import database, intake, pack, records
from qarchive.index import Index, Query, Row
from qarchive.store import Store
from qarchive.values import Link, Timestamp

BACKENDS, STATUSES, KINDS = ("ibm_fez", "ibm_kyiv"), ("DONE", "ERROR", "SENDING", None), ("run", "sampler", "mock")


@pytest.fixture
def many(store):
    """A store, and the properties of 60 jobs in it of which several were created at the same moment."""
    chance, made = random.Random(1), []
    for number in range(60):
        about = {"created": chance.randrange(8), "provider": chance.choice(("aer", "ibm")), "backend": chance.choice(BACKENDS),
                 "kind": chance.choice(KINDS), "status": chance.choice(STATUSES), "group": chance.choice((None, "g1", "g2")),
                 "tags": chance.sample(["a", "b", "c"], chance.randrange(3)),
                 "names": chance.sample(["Bell", "GHZ-3", "Straße"], chance.randrange(3))}  # fmt: skip
        job = building.build(number % 7, **about)
        store.commit(job.blobs, durable=False)
        by_kind = {blob.kind: blob.digest for blob in job.blobs}
        made.append(about | {"id": job.id, "input": by_kind["circuit"], "calibration": by_kind.get("calibration")})
    return store, made


def _expected(made, newest_first=True, **wanted) -> list[bytes]:
    def fits(job, name, value) -> bool:
        if name in ("since", "until"):
            return (job["created"] >= value.ns) == (name == "since")
        if name == "tag":
            return value in job["tags"]
        if name == "name":
            return any(value.casefold() in each.casefold() for each in job["names"])
        return (job[name] or "PREPARED" if name == "status" else job[name]) == value

    found = [job for job in made if "kind" in wanted or job["kind"] != "mock"]
    found = [job for job in found if all(fits(job, name, value) for name, value in wanted.items())]
    return [job["id"] for job in sorted(found, key=lambda job: (job["created"], job["id"]), reverse=newest_first)]


@pytest.mark.parametrize("wanted", [
    {}, {"provider": "ibm"}, {"backend": "ibm_fez"}, {"status": "DONE"}, {"status": "PREPARED"}, {"kind": "sampler"},
    {"kind": "mock"}, {"tag": "a"}, {"group": "g1"}, {"since": Timestamp(3)}, {"until": Timestamp(3)},
    {"since": Timestamp(2), "until": Timestamp(5)},
    {"provider": "ibm", "backend": "ibm_fez", "status": "DONE", "tag": "b", "since": Timestamp(1)}, {"provider": "nobody"},
    {"since": Timestamp(0)}, {"until": Timestamp(0)}, {"name": "bell"}, {"name": "E"}, {"name": "STRASSE", "tag": "a"},
    {"name": "l\nghz"}, {"name": "ghz", "backend": "ibm_fez", "since": Timestamp(2)}, {"name": "ghz", "kind": "mock"},
])  # fmt: skip
@pytest.mark.parametrize("newest_first", [True, False])
def test_every_filter_and_pages_of_every_size_equal_the_whole_listing(many, wanted, newest_first):
    store, made = many
    query, expected = Query(newest_first=newest_first, **wanted), _expected(made, newest_first, **wanted)
    assert building.listed(store, query) == expected
    assert store.index.count(query) == len(expected)
    for size in (1, 7, 60):
        found, after = [], None
        while page := store.index.rows(query, size, after):
            assert len(page) <= size
            found += [bytes.fromhex(row.id) for row in page]
            after = page[-1].created.ns, found[-1]
        assert found == expected


@pytest.mark.parametrize("name", ["input", "calibration"])
def test_jobs_are_found_by_what_they_ran_and_by_calibration(many, name):
    store, made = many
    for value in {job[name] for job in made} - {None}:
        expected = _expected(made, **{name: value})
        if name == "calibration":
            expected = [job for job in expected if next(m for m in made if m["id"] == job)["status"]]
        assert building.listed(store, Query(**{name: value})) == expected


def test_a_row_says_what_the_records_say(store):
    job = building.build(1, created=5, provider="ibm", backend="ibm_fez", group="g", tags=["b", "a"], provider_job="c123")
    store.commit(job.blobs, durable=True)
    digests = {blob.kind: blob.digest.hex() for blob in job.blobs}
    row = store.index.row(job.id)
    assert row == Row(id=job.id.hex(), created=Timestamp(5), provider="ibm", backend="ibm_fez", kind="run", status="DONE",
                              shots=100, size=1, group="g", tags=("a", "b"), input=digests["circuit"],
                              calibration=digests["calibration"], provider_job="c123", attempts=1, gaps=0, names=())  # fmt: skip
    assert store.index.rows(Query(), 5) == [row]
    assert store.index.row(bytes(32)) is None
    assert store.index.jobs_of_provider("c123") == [job.id] and store.index.jobs_of_provider("c12") == []
    assert set(store.index.records(job.id)) == {blob.digest for blob in job.records} == set(store.index.all_records())


def test_prefixes_find_all_that_begin_with_them_in_order(many):
    store, made = many
    jobs = sorted(job["id"] for job in made)
    blobs = sorted(store.index.content()["blobs"])
    for length in (0, 1, 2, 3, 64):
        prefix = jobs[17].hex()[:length]
        assert store.index.jobs_with_prefix(prefix, 100) == [job for job in jobs if job.hex().startswith(prefix)]
        found = [digest for digest in sorted({row[0] for row in blobs}) if digest.hex().startswith(prefix)]
        assert store.index.blobs_with_prefix(prefix, 1000) == found
    assert store.index.jobs_with_prefix("", 3) == jobs[:3]
    assert store.index.jobs_with_prefix("f" * 64, 3) == []


def test_statistics_count_each_blob_once(store):
    first, second = building.build(1), building.build(1)
    store.commit(first.blobs, durable=True)
    other = Store.open(store.path)
    other.commit(second.blobs, durable=True)
    distinct = {blob.digest: blob for job in (first, second) for blob in job.blobs}.values()
    sizes = {kind: [len(blob.data) for blob in distinct if blob.kind == kind] for kind in {blob.kind for blob in distinct}}
    assert store.index.statistics() == [(kind, len(sizes[kind]), sum(sizes[kind])) for kind in sorted(sizes)]
    other.close()


def test_an_index_sees_at_once_what_any_process_committed(store):
    reader = Store.open(store.path)
    jobs = []
    for number in range(4):
        job = building.build(number, created=number)
        store.commit(job.blobs, durable=False)
        jobs.insert(0, job.id)
        assert building.listed(reader) == building.listed(store) == jobs
    reader.close()


def test_a_rebuilt_index_says_the_same_and_tells_how_far_it_is(many, monkeypatch):
    store, _ = many
    before, steps = store.index.content(), []
    store.index.rebuild(lambda *step: steps.append(step))
    assert store.index.content() == before
    size = sum(path.stat().st_size for path in store.packs.iterdir())
    assert steps[-1] == (size, size)


def test_a_row_that_was_changed_is_never_shown(many):
    store, _ = many
    before = building.listed(store), [store.index.row(job) for job in building.listed(store)]
    for change in (
        "provider = 'x'",
        "created = 3",
        "status = 'DONE'",
        "body = '{}'",
        "body = NULL",
        "grp = x'00'",
        "seal = NULL",
    ):
        store.close()
        with closing(sqlite3.connect(store.index.file)) as db, db:
            db.execute(f"UPDATE jobs SET {change}")
        assert (building.listed(store), [store.index.row(job) for job in before[0]]) == before


def _busy(store) -> tuple[building.Child, Path]:
    """A process that holds the index's lock until a file turns up."""
    done, held = store.path.parent / "done", store.path.parent / "held"
    lock = store.index.file.with_suffix(".lock")

    def hold(tell):
        with FileLock(lock):
            held.touch()
            while not done.exists():
                threading.Event().wait(0.01)

    child = building.Child(hold)
    while not held.exists():
        threading.Event().wait(0.01)
    return child, done


@pytest.mark.parametrize("there", ["an index", "no index"])
def test_an_index_answers_while_another_process_holds_its_lock(store, monkeypatch, there):
    monkeypatch.setattr(database, "LOCK_PATIENCE_S", 0.05)
    jobs = [building.build(0, created=0)]
    store.commit(jobs[0].blobs, durable=True)
    if there == "an index":
        store.index.refresh()
    child, done = _busy(store)
    reader = Store.open(store.path)
    for number in range(1, 4):
        job = building.build(number, created=number)
        store.commit(job.blobs, durable=True)
        jobs.insert(0, job)
        for asked in (store, reader):
            assert building.listed(asked) == [job.id for job in jobs]
            assert building.lacking(asked, jobs) == []
    done.touch()
    assert child.wait() == ([], 0)
    job = building.build(9, created=9)
    store.commit(job.blobs, durable=True)
    for asked in (store, reader):
        assert building.listed(asked)[0] == job.id
    third = Index(store.index.file.parent, store.packs, store.id)
    assert third.count(Query()) == 5
    assert third.content() == store.index.content() == reader.index.content()
    third.close()
    reader.close()


def test_a_copy_in_memory_does_not_wait_for_the_lock_again(store, monkeypatch):
    store.commit(building.build(0).blobs, durable=True)
    monkeypatch.setattr(database, "LOCK_PATIENCE_S", 0.05)
    child, done = _busy(store)
    store.index.refresh()
    monkeypatch.setattr(database, "LOCK_PATIENCE_S", 3600)
    for number in range(1, 4):
        store.commit(building.build(number).blobs, durable=True)
        assert store.index.count(Query()) == number + 1
    done.touch()
    assert child.wait() == ([], 0)


def test_where_an_index_can_be_read_no_more_and_the_disk_is_full_it_is_in_memory(store, monkeypatch):
    """The file is there, of no use, and there is no space for another: what is archived can be read all the same."""
    store.commit(building.build(0).blobs, durable=True)
    file = store.index.file
    store.index.close()
    file.write_bytes(b"")
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    beginning = Index._begin

    def begin(index, allowed):
        if allowed:
            index._connect("rwc").close()
            raise full
        beginning(index, allowed)

    monkeypatch.setattr(Index, "_begin", begin)
    assert store.index.count(Query()) == 1


def test_an_index_without_a_folder_is_in_memory_and_says_the_same(many):
    store, _ = many
    memory = Index(None, store.packs, store.id)
    assert memory.content() == store.index.content()
    memory.close()


def test_a_pack_that_is_gone_takes_only_what_no_other_has(store):
    first, second = building.build(1), building.build(2)
    store.commit([*first.blobs, building.blob("circuit", 1, b"k" * 32)], durable=True)
    other = Store.open(store.path)
    other.commit([*first.blobs, *second.blobs, building.blob("circuit", 1, b"k" * 32)], durable=True)
    assert set(building.listed(store)) == {first.id, second.id}
    gone = other._lease.path
    other.close()
    gone.unlink()
    assert building.listed(store) == [first.id]
    assert store.index.digests_of_key(b"k" * 32) == [building.blob("circuit", 1).digest]
    fresh = Index(None, store.packs, store.id)
    assert store.index.content() == fresh.content()
    fresh.close()


def test_a_kill_while_packs_are_taken_out_loses_no_job(store, monkeypatch):
    """A job whose records lie in two packs: when one goes, its row is made anew in the same transaction."""
    job = building.build(1)
    store.commit([blob for blob in job.blobs if blob.kind != pack.RECORD] + job.records[:1], durable=True)
    other = Store.open(store.path)
    other.commit(job.records[1:], durable=True)
    assert store.index.row(job.id).status == "DONE"
    gone = other._lease.path
    other.close()
    store.index.close()
    gone.unlink()

    def die(tell):
        real, turns = intake.Intake.fold, iter(range(10))

        def fold(self):
            if next(turns) == 0:
                building.os._exit(9)
            real(self)

        intake.Intake.fold = fold
        store.index.refresh()

    assert building.Child(die).wait() == ([], 9)
    assert store.index.row(job.id).status == "PREPARED"


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_records_in_any_order_over_any_packs_give_the_same_rows(data):
    statuses = data.draw(st.lists(st.sampled_from(["DONE", "ERROR", "QUEUED", None]), min_size=1, max_size=3))
    jobs = [building.build(number, created=number, tags=["a"], provider_job=f"p{number}", status=status)
            for number, status in enumerate(statuses)]  # fmt: skip
    parts = data.draw(st.permutations([blob for job in jobs for blob in job.blobs]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(parts) - 1), max_size=5)))
    groups = [parts[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(parts)])]
    groups += data.draw(st.lists(st.sampled_from(groups), max_size=2))  # some arrive twice
    looks = data.draw(st.lists(st.booleans(), min_size=len(groups), max_size=len(groups)))
    with TemporaryDirectory() as folder:
        scattered = building.indexed(Path(folder) / "scattered", groups, looks)
        whole = building.indexed(Path(folder) / "whole", [parts], [True])
        assert scattered.rows(Query(), 100) == whole.rows(Query(), 100)
        assert {job.id: sorted(scattered.records(job.id)) for job in jobs} == {
            job.id: sorted(b.digest for b in job.records) for job in jobs
        }
        for table in ("jobs", "tags", "records", "withheld"):
            assert scattered.content()[table] == whole.content()[table]
        scattered.close()
        whole.close()


def test_an_archive_that_was_moved_is_the_same(many, folder):
    store, _ = many
    said = building.everything(store)
    store.close()
    shutil.move(store.path, folder / "elsewhere")
    again = Store.open(folder / "elsewhere")
    assert building.everything(again) == said
    again.close()
    shutil.move(folder / "elsewhere", store.path)


def test_what_was_read_before_the_system_was_started_again_is_hashed_again(store, monkeypatch):
    from qarchive import disk

    job = building.build(1)
    store.commit(job.blobs, durable=False)
    assert store.index.count(Query()) == 1
    store.close()
    path = store.packs / store.index.pack_names()[0]
    garbled = bytearray(path.read_bytes())
    garbled[len(garbled) // 2] ^= 1
    path.write_bytes(garbled)
    folder = store.index.file.parent
    assert Index(folder, store.packs, store.id).count(Query()) == 1  # a power cut cannot have been, so nothing is read twice
    monkeypatch.setattr(disk, "boot", lambda: "another")
    assert Index(folder, store.packs, store.id).count(Query()) == 0


def test_to_catch_up_with_a_write_no_table_that_grows_is_read_through(store):
    for number in range(5):
        store.commit(building.build(number).blobs, durable=False)
    store.index.refresh()
    asked: list[str] = []
    store.index.ask(lambda db: db.set_trace_callback(asked.append))
    job = building.build(5)
    store.commit(job.blobs, durable=False)
    store.index.refresh()
    store.commit(building.build(1).records[-1:], durable=False)
    store.index.refresh()
    store.index.ask(lambda db: db.set_trace_callback(None))
    statements = [each for each in asked if each.startswith(("SELECT", "DELETE", "UPDATE", "INSERT"))]
    assert any("blobs" in each for each in statements)

    def read_through(db):
        for statement in statements:
            for *_, step in db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
                if re.match(r"SCAN (blobs|jobs|tags|members|earlier)\b", step):
                    yield statement, step

    assert store.index.ask(lambda db: list(read_through(db))) == []


def test_of_a_job_with_many_circuits_the_first_hundred_names_find_it_and_each_by_its_first_letters(store):
    job = building.build(1, names=[*(f"step {number}" for number in range(102)), "last"])
    long = building.build(2, names=["x" * 300])
    for each in (job, long):
        store.commit(each.blobs, durable=False)
    found = {name: building.listed(store, Query(name=name)) for name in ("STEP 99", "step 100", "last", "x" * 200, "x" * 400)}
    assert found == {"STEP 99": [job.id], "step 100": [], "last": [], "x" * 200: [long.id], "x" * 400: [long.id]}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_jobs_touched_last_are_those_with_the_latest_records(data):
    with TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "archive")
        times = {}
        for number in range(5):
            made, noted = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
            job = building.build(number, created=made, status=None)
            note = records.annotation_record(job=Link(job.id), text="seen") | {"created": Timestamp(noted)}
            store.commit(job.blobs, durable=False)
            store.commit([building.blob(pack.RECORD, note)], durable=False)
            times[job.id] = max(made, noted)
        found = store.index.touched_last(3)
        assert [times[job] for job in found] == sorted(times.values(), reverse=True)[:3]
        store.close()
