"""Packs that come, grow and go while the index is asked: it notices all of it, and no job is missing for a moment."""

import dataclasses
import hashlib
import os
import secrets
import sqlite3
from contextlib import closing

import building
import pytest
import zstandard

from qarchive import catalog, filling, intake, pack, query, records
from qarchive.index import Index, Query, Row
from qarchive.store import Store
from qarchive.tables import INDEXES
from qarchive.values import Link, Timestamp

COMPRESSOR = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)


def _blobs(path) -> list[pack.Blob]:
    """All blobs of a pack, each once, records last."""
    found = {}
    with open(path, "rb") as file:
        for commit in pack.scan(path):
            if type(commit) is pack.Commit:
                for entry in commit.entries:
                    found[entry.digest] = pack.Blob(entry.kind, entry.digest, pack.read(file, path, entry), entry.key)
    return sorted(found.values(), key=lambda blob: blob.kind == pack.RECORD)


def _write(folder, blobs) -> None:
    """A new sealed pack, there all at once."""
    name = secrets.token_bytes(16)
    path, coming = folder / f"{name.hex()}.pack", folder / f"{name.hex()}.import"
    data = pack.build(name, 0, 0, blobs, COMPRESSOR)
    coming.write_bytes(data)
    commits = [part for part in pack.scan(coming, pack=name) if type(part) is pack.Commit]
    coming.write_bytes(data + pack.build_trailer(name, len(data), hashlib.sha256(data).digest(), commits))
    coming.rename(path)


def _replace_all(folder) -> None:
    """Put what all packs hold into a new one, then delete them."""
    old = sorted(folder.glob("*.pack"))
    together = {blob.digest: blob for path in old for blob in _blobs(path)}
    _write(folder, sorted(together.values(), key=lambda blob: blob.kind == pack.RECORD))
    for path in old:
        path.unlink()


@pytest.fixture
def replaceable(store):
    """A closed store whose 40 jobs lie in two packs, half of them in both, and some with a record in each."""
    other = Store.open(store.path)
    jobs = [building.build(number, created=number, tags=["a"], provider_job=f"p{number}") for number in range(40)]
    for job in jobs[:20]:
        store.commit(job.blobs, durable=False)
    for job in jobs[10:30]:
        other.commit(job.blobs, durable=False)
    for job in jobs[30:]:
        store.commit([blob for blob in job.blobs if blob not in job.records[1:]], durable=False)
        other.commit(job.records[1:], durable=False)
    other.close()
    store.index.refresh()
    store.close()
    return store


def test_a_pack_that_replaces_others_changes_nothing(replaceable):
    said = building.everything(replaceable)
    replaceable.close()
    _replace_all(replaceable.packs)
    assert building.everything(replaceable) == said
    assert replaceable.index.mended == 0
    fresh = Index(None, replaceable.packs, replaceable.id)
    assert replaceable.index.differences(fresh) == []
    assert replaceable.index.content() == fresh.content()
    fresh.close()


def test_a_reader_finds_each_blob_of_packs_that_were_replaced_since_it_looked(replaceable):
    blobs = {digest: replaceable.get(digest) for digest in replaceable.index.blobs_with_prefix("", -1)}
    places = replaceable.index.places_of(blobs)
    _replace_all(replaceable.packs)
    assert not any(path.exists() for path, _ in places.values())
    assert {digest: replaceable.get(digest) for digest in blobs} == blobs


@pytest.mark.parametrize("many", [catalog._MANY_GONE, 10])
def test_no_job_is_missing_for_a_moment_while_packs_are_replaced(replaceable, monkeypatch, many):
    """Neither in what another process reads of the tables, nor in what it is told."""
    monkeypatch.setattr(catalog, "_MANY_GONE", many)
    done = replaceable.path.parent / "done"

    def replace(tell):
        for _ in range(12):
            _replace_all(replaceable.packs)
            replaceable.index.refresh()
        done.touch()

    child = building.Child(replace)
    reader = Store.open(replaceable.path)
    seen = []
    with closing(sqlite3.connect(replaceable.index.file)) as db:
        while not done.exists():
            seen.append(db.execute("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM tags)").fetchone())
            seen.append((reader.index.count(Query()), reader.index.count(Query(tag="a"))))
    assert child.wait() == ([], 0)
    assert set(seen) == {(40, 40)}
    reader.close()


def test_an_index_of_which_most_packs_are_gone_is_made_anew_beside_the_one_there_is(replaceable, monkeypatch):
    monkeypatch.setattr(catalog, "_MANY_GONE", 10)
    replaceable.index.refresh()
    before = replaceable.index._identity
    _replace_all(replaceable.packs)
    with closing(sqlite3.connect(replaceable.index.file)) as db:
        old = db.execute("SELECT count(*) FROM jobs")
        replaceable.index.refresh()
        assert replaceable.index._identity != before and old.fetchone() == (40,)
    assert list(replaceable.index.file.parent.glob("coming-*")) == []
    with closing(Index(None, replaceable.packs, replaceable.id)) as fresh:
        assert replaceable.index.content() == fresh.content()


def test_what_is_known_of_damage_outlives_the_packs_that_go(replaceable, monkeypatch):
    monkeypatch.setattr(catalog, "_MANY_GONE", 0)
    kept, gone = sorted(replaceable.packs.glob("*.pack"), key=lambda path: path.stat().st_size)
    replaceable.index.distrust([kept.name])
    gone.unlink()
    assert replaceable.index.pack_names() == [kept.name] and replaceable.index.open_packs() == []


def test_the_blobs_of_lost_packs_are_those_there_were_whatever_is_asked_meanwhile(replaceable):
    held = {path.name: sorted(blob.digest for blob in _blobs(path)) for path in replaceable.packs.glob("*.pack")}
    _replace_all(replaceable.packs)
    lost = replaceable.index.lost_packs()
    replaceable.index.refresh()
    assert {name: sorted(digests) for name, digests in lost.items()} == held
    assert replaceable.index.lost_packs() == {}


def test_a_pack_that_goes_and_another_that_comes_with_less_leave_what_there_is(replaceable):
    [kept, *gone] = sorted(replaceable.packs.glob("*.pack"))
    _write(replaceable.packs, [blob for path in gone for blob in _blobs(path)][::2])
    for path in gone:
        path.unlink()
    fresh = Index(None, replaceable.packs, replaceable.id)
    assert replaceable.index.content() == fresh.content()
    fresh.close()


@pytest.mark.parametrize("batch", [1, 7])
def test_jobs_that_come_up_in_several_batches_are_the_same(replaceable, monkeypatch, batch):
    said = replaceable.index.content()
    monkeypatch.setattr(filling, "BATCH", batch)
    monkeypatch.setattr(intake, "_REFOLDED", 3)
    replaceable.index.rebuild()
    assert replaceable.index.content() == said


# What is new is seen at once


@pytest.mark.parametrize("age_s", [0, 3600])
def test_a_new_pack_is_seen_however_soon_it_comes_after_a_look(store, age_s):
    """Within one step of the file system's clock the folder's time does not change."""
    store.index.refresh()
    for number in range(1, 21):
        if age_s:
            moment = os.stat(store.packs).st_mtime - age_s
            os.utime(store.packs, (moment, moment))
        assert store.index.count(Query()) == number - 1
        _write(store.packs, [*building.build(number).blobs])
        assert store.index.count(Query()) == number


def test_what_another_process_appends_is_seen_while_the_folder_stays_as_it_is(store):
    reader = Store.open(store.path)
    store.commit(building.build(0).blobs, durable=False)
    os.utime(store.packs, (1_000_000_000, 1_000_000_000))
    for number in range(1, 21):
        for _ in range(2):
            assert reader.index.count(Query()) == number
        assert reader.index._look is not None
        store.commit(building.build(number).blobs, durable=False)
    reader.close()


def test_a_folder_is_looked_at_again_after_a_while_whatever_its_time_says(store, monkeypatch):
    store.commit(building.build(0).blobs, durable=False)
    os.utime(store.packs, (1_000_000_000, 1_000_000_000))
    assert store.index.count(Query()) == 1
    _write(store.packs, building.build(1).blobs)
    os.utime(store.packs, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(catalog, "_LOOK_S", 0)
    assert store.index.count(Query()) == 2


# Making it


def test_a_process_killed_while_it_makes_the_index_again_leaves_the_one_there_was(replaceable):
    file = replaceable.index.file
    before, said = file.read_bytes(), replaceable.index.content()
    replaceable.close()

    def die(tell):
        filling.Filling.finish = lambda self: building.os._exit(9)
        replaceable.index.rebuild()

    assert building.Child(die).wait() == ([], 9)
    assert file.read_bytes() == before and len(list(file.parent.glob("coming-*"))) == 1
    assert replaceable.index.content() == said
    replaceable.index.rebuild()
    assert replaceable.index.content() == said and list(file.parent.glob("coming-*")) == []


def test_an_index_that_was_filled_has_all_its_indexes(replaceable):
    replaceable.index.rebuild()
    with closing(sqlite3.connect(replaceable.index.file)) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")}
    assert names == {line.split(" ON ")[0].split()[-1] for line in INDEXES.split(";") if line.strip()}


@pytest.mark.parametrize("change, table", [
    ("DELETE FROM jobs WHERE created = 3", "jobs"), ("UPDATE tags SET tag = 'b' WHERE created = 3", "tags"),
    ("UPDATE blobs SET job = NULL WHERE id % 7 = 0", "blobs"), ("UPDATE blobs SET start = start + 1 WHERE start", "blobs"),
    ("INSERT INTO withheld SELECT digest, id >> 32, job FROM blobs WHERE job NOT NULL LIMIT 1", "withheld"),
])  # fmt: skip
def test_two_indexes_of_the_same_packs_differ_in_the_table_that_was_changed(replaceable, change, table):
    fresh = Index(None, replaceable.packs, replaceable.id)
    assert replaceable.index.differences(fresh) == []
    replaceable.close()
    with closing(sqlite3.connect(replaceable.index.file)) as db, db:
        db.execute(change)
    assert replaceable.index.differences(fresh) == fresh.differences(replaceable.index) == [table]
    fresh.close()


# Rows and filters


def test_a_row_that_was_read_is_as_one_that_was_made(replaceable):
    row, same = replaceable.index.rows(Query(), 1) + replaceable.index.rows(Query(), 1)
    assert row == same and hash(row) == hash(same) and row is not same
    made = Row(**{name: getattr(row, name) for name in Row.__slots__})
    assert made == row and repr(made) == repr(row)
    assert dataclasses.replace(row, group="g") == dataclasses.replace(made, group="g") != row
    with pytest.raises(AttributeError, match="^colour$"):
        row.colour


@pytest.mark.parametrize("few", [0, 5, 2000])
@pytest.mark.parametrize("wanted", [
    {"backend": "x", "status": "DONE"}, {"backend": "y", "tag": "a"}, {"tag": "b", "status": "ERROR", "backend": "x"},
    {"name": "ell", "tag": "a"}, {"name": "ell"}, {"name": "ell", "backend": "?"}, {"name": "ghz", "status": "DONE", "tag": "b"},
    {"tag": "none", "backend": "x"}, {"kind": "mock", "tag": "a"}, {"provider": "aer", "group": "g", "backend": "y"},
])  # fmt: skip
def test_filters_give_the_same_whichever_of_them_is_read_first(store, monkeypatch, few, wanted):
    monkeypatch.setattr(query, "_FEW", few)
    monkeypatch.setattr(query, "_FEW_NAMED", few)
    for number in range(24):
        about = {"backend": "xxxy"[number % 4], "status": ("DONE", "ERROR")[number % 3 == 0],
                 "group": "g" if number % 5 else None,
                 "names": ["Bell", "GHZ"][number % 3 :],
                 "tags": ["a"] * (number % 2) + ["b"] * (number % 6 == 0), "kind": "mock" if number == 7 else "run"}  # fmt: skip
        store.commit(building.build(number, created=number // 2, **about).blobs, durable=False)

    def fits(row):
        return all(value in row.tags if name == "tag" else value in "".join(row.names).lower() if name == "name"
                   else value in ("?", getattr(row, name)) for name, value in wanted.items())  # fmt: skip

    rows = store.index.rows(Query(), -1) + store.index.rows(Query(kind="mock"), -1)
    expected = sorted((row.created.ns, row.id) for row in rows if fits(row) and (row.kind == "run" or "kind" in wanted))
    for newest_first in (False, True):
        asked = Query(**wanted, newest_first=newest_first)
        found, after = [], None
        while page := store.index.rows(asked, 2, after):
            found += [(row.created.ns, row.id) for row in page]
            after = page[-1].place
        assert found == (expected[::-1] if newest_first else expected)
        assert store.index.count(asked) == len(expected)


@pytest.mark.parametrize("few", [0, 2000])
@pytest.mark.parametrize("wanted", [
    {"backend": "x"}, {"tag": "a", "since": Timestamp(3)}, {"backend": "?", "name": "ell"}, {"kind": "mock"}, {"name": "none"},
])  # fmt: skip
def test_what_was_touched_last_is_the_same_whatever_is_read_first(store, monkeypatch, few, wanted):
    monkeypatch.setattr(query, "_FEW", few)
    monkeypatch.setattr(query, "_FEW_NAMED", few)
    for number in range(12):
        job = building.build(number, created=number, status=None, backend="xxy"[number % 3], tags=["a"] * (number % 2),
                             names=["Bell", "GHZ"][number % 3 :], kind="mock" if number == 7 else "run")  # fmt: skip
        note = records.annotation_record(job=Link(job.id), text="seen") | {"created": Timestamp(99 - number)}
        store.commit([*job.blobs, building.blob(pack.RECORD, note)], durable=False)
    oldest_first = store.index.rows(Query(**wanted, newest_first=False), -1)
    assert store.index.touched_last(50, Query(**wanted)) == [row.place[1] for row in oldest_first]
    assert store.index.touched_last(2, Query(**wanted)) == [row.place[1] for row in oldest_first[:2]]
