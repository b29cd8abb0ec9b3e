"""Groups in the index: their jobs in order, whatever arrived first and whoever wrote it."""

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import building
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import check, pack, records
from qarchive.codec import decode
from qarchive.index import GroupRow, Index, Query
from qarchive.records import LAST
from qarchive.values import Link, Timestamp

INPUT = building.blob("input", {"circuits": 1})
SCAN, OTHER = (building.blob(pack.RECORD, records.group_record(name="scan", archive=archive, number=1)) for archive in "ab")


def link(blob):
    return Link(blob.digest)


def job(group=SCAN, author="a", sequence=1, first=0, size=1, **place):
    """The record of a prepared job."""
    member = {"group": link(group), "author": author, "sequence": sequence, "first": first, **place}
    record = records.job_record(provider="aer", kind="simulator", backend="b", input=link(INPUT), config=link(INPUT), shots=1,
                                size=size, member=member, prepared={"backend": link(INPUT)})  # fmt: skip
    return building.blob(pack.RECORD, record)


def attempt(of, **more):
    about = {"job": link(of), "number": 1, "backend": link(INPUT), "environment": None, "calibration": None, "gaps": []}
    return building.blob(pack.RECORD, records.attempt_record(**about, local=True, **more))


def mapped(circuits, group=SCAN, author="a", sequence=1):
    record = records.mapped_record(group=link(group), author=author, sequence=sequence, circuits=circuits)
    return building.blob(pack.RECORD, record | {"created": Timestamp(1)})


def removal(of):
    kind = decode(of.data)["type"]
    return building.blob(pack.RECORD, records.removal_record(**{kind: link(of)}))


def put(store, *blobs):
    store.commit([INPUT, *blobs], durable=False)


def ids(members):
    return [member.id for member in members]


def members(store, group=SCAN):
    return ids(store.index.members(group.digest))


# Order


@pytest.fixture
def many(store):
    """A store with a group of 60 jobs, several of one place, with numbers up to the largest; their ids in order."""
    numbers = [1, 2, 255, 256, LAST - 1, LAST]
    made = [job(author=author, sequence=sequence, first=first)
            for author in ("", "a", "ab", "b", "é") for sequence in numbers for first in (0, LAST)]  # fmt: skip
    made += [job(author="a", sequence=2) for _ in range(3)]
    put(store, SCAN, OTHER, job(OTHER), *reversed(made))

    def place(blob):
        member = decode(blob.data)["member"]
        return member["author"], member["sequence"], member["first"], blob.digest

    return store, [blob.digest for blob in sorted(made, key=place)]


@pytest.mark.parametrize("size", [1, 7, 60, 100])
def test_jobs_of_a_group_are_listed_in_order_in_pages_of_any_size(many, size):
    store, expected = many
    found, after = [], None
    while page := store.index.members(SCAN.digest, size, after):
        assert len(page) <= size
        found += page
        after = page[-1].place
    assert ids(found) == expected
    assert all(one.place < other.place for one, other in pairwise(found))


def test_a_member_says_what_its_job_says(store):
    made = job(sequence=2, first=3, size=4, mapped=True)
    sent = attempt(made, on="another")
    put(store, SCAN, made)
    [found] = store.index.members(SCAN.digest)
    assert (found.group, found.author, found.sequence, found.first, found.id) == (SCAN.digest, "a", 2, 3, made.digest)
    assert (found.size, found.mapped, found.replaces, found.error) == (4, True, None, "")
    assert (found.status, found.backend, found.created) == ("PREPARED", "b", decode(made.data)["created"])
    put(store, sent)
    assert (store.index.member(made.digest).status, store.index.member(made.digest).backend) == ("RUNNING", "another")
    lost = {"type": "x", "message": "no answer"}
    told = records.status_record(job=link(made), attempt=link(sent), status="UNKNOWN", provider_status="", error=lost)
    put(store, building.blob(pack.RECORD, told))
    assert (store.index.member(made.digest).status, store.index.member(made.digest).error) == ("UNKNOWN", "no answer")
    assert store.index.member(bytes(32)) is None


def test_groups_are_listed_by_name_archive_and_number(store):
    made = [records.group_record(name=name, archive=archive, number=number)
            for name in ("a", "b") for archive in ("x", "y") for number in (1, 2, LAST)]  # fmt: skip
    put(store, *(building.blob(pack.RECORD, record) for record in reversed(made)))
    expected = [GroupRow(building.blob(pack.RECORD, record).digest, record["name"], record["archive"], record["number"], False)
                for record in made]  # fmt: skip
    assert store.index.groups() == expected
    assert store.index.groups("b") == expected[6:]
    assert store.index.groups("c") == []


def test_the_last_sequence_is_that_of_the_author_in_the_group(many):
    store, _ = many
    assert store.index.last_sequence(SCAN.digest, "a") == LAST
    assert store.index.last_sequence(OTHER.digest, "a") == 1
    assert store.index.last_sequence(SCAN.digest, "nobody") == store.index.last_sequence(bytes(32), "a") == 0
    put(store, job(author="c"))
    assert store.index.last_sequence(SCAN.digest, "c", stale=True) == 0  # as far as was read
    assert store.index.last_sequence(SCAN.digest, "c") == 1


# Replaced jobs


def test_a_job_that_others_replace_is_left_out_and_is_still_a_job(store):
    large, last = job(size=4, mapped=True), job(first=4, mapped=True)
    halves = [job(first=first, size=2, replaces=link(large)) for first in (0, 2)]
    quarters = [job(first=first, replaces=link(halves[1])) for first in (2, 3)]
    put(store, SCAN, last, *halves, large)
    assert members(store) == [halves[0].digest, halves[1].digest, last.digest]
    put(store, *quarters)
    assert members(store) == [halves[0].digest, quarters[0].digest, quarters[1].digest, last.digest]
    assert store.index.member(large.digest) is store.index.member(halves[1].digest) is None
    assert store.index.member(quarters[0].digest).replaces == halves[1].digest
    assert store.index.tally(SCAN.digest) == {"PREPARED": (4, 5)}
    assert ids(store.index.chain(SCAN.digest, "a", 1, -1)) == [large.digest, last.digest]
    assert store.index.row(large.digest) is not None and store.index.count(Query()) == 6


def test_a_job_of_another_group_replaces_nothing(store):
    mine = job()
    put(store, SCAN, OTHER, mine, job(OTHER, replaces=link(mine)))
    assert members(store) == [mine.digest]
    assert store.index.member(mine.digest) is not None
    assert store.index.tally(SCAN.digest) == {"PREPARED": (1, 1)}


def test_a_removed_job_replaces_nothing(store):
    large = job(size=2)
    half = job(replaces=link(large))
    put(store, SCAN, large, half)
    assert members(store) == [half.digest]
    put(store, removal(half))
    assert members(store) == [large.digest]


# Maps


def test_a_chain_is_the_jobs_of_one_map_in_order(store):
    parts = [job(sequence=2, first=first, size=10, mapped=True) for first in (0, 10, 20)]
    put(store, SCAN, job(sequence=1), job(sequence=2, first=5), job(sequence=2, author="b", mapped=True), *parts)
    chain = store.index.chain
    assert ids(chain(SCAN.digest, "a", 2, -1)) == [part.digest for part in parts]
    assert ids(chain(SCAN.digest, "a", 2, 1, after=0)) == [parts[1].digest]
    assert chain(SCAN.digest, "a", 1, -1) == chain(SCAN.digest, "a", 2, -1, after=20) == []
    assert store.index.maps(SCAN.digest, "a") == [2]
    assert store.index.maps(SCAN.digest, "b") == [2]


def test_a_map_has_ended_when_its_end_is_there_even_before_its_group(store):
    put(store, mapped(30, sequence=2), mapped(5, sequence=LAST), mapped(7, author="b"), mapped(9, OTHER))
    assert store.index.groups() == []
    assert store.index.maps_ended(SCAN.digest, "a") == {2: 30, LAST: 5}
    put(store, SCAN)
    assert store.index.maps_ended(SCAN.digest, "a") == {2: 30, LAST: 5}
    assert [row.id for row in store.index.groups()] == [SCAN.digest]


@pytest.mark.parametrize("numbers", [(3, 5), (5, 3)])
def test_of_several_ends_of_one_map_the_largest_counts(store, numbers):
    for number in numbers:
        put(store, SCAN, mapped(number))
        store.index.refresh()
    assert store.index.maps_ended(SCAN.digest, "a") == {1: 5}


# Numbers


def test_a_tally_counts_jobs_and_circuits_by_status(store):
    running = job(first=3, size=4)
    put(store, SCAN, job(size=3), running, attempt(running), job(OTHER))
    assert store.index.tally(SCAN.digest) == {"PREPARED": (1, 3), "RUNNING": (1, 4)}
    assert store.index.tally(bytes(32)) == {}


def test_sizes_that_are_no_integer_of_64_bits_together_are_counted(store):
    put(store, SCAN, *(job(first=first, size=LAST) for first in range(5)))
    assert store.index.tally(SCAN.digest) == {"PREPARED": (5, 5 * LAST)}
    assert store.index.mended == 0


# Removal


@pytest.mark.parametrize("first", ["job", "removal"])
def test_a_removed_job_is_not_listed_whichever_came_first(store, first):
    made = job()
    gone = removal(made)
    for blob in (made, gone) if first == "job" else (gone, made):
        put(store, SCAN, blob)
        store.index.refresh()
    put(store, attempt(made))
    assert (members(store), store.index.row(made.digest), store.index.count(Query(kind=None))) == ([], None, 0)
    assert store.index.tally(SCAN.digest) == {}
    assert made.digest in store.index.records(made.digest)
    assert check.verify(store, deep=True).findings == []


@pytest.mark.parametrize("first", ["group", "removal"])
def test_a_removed_group_is_told_and_its_jobs_are_jobs(store, first):
    made, gone = job(), removal(SCAN)
    for blob in (SCAN, gone) if first == "group" else (gone, SCAN):
        put(store, made, blob)
        store.index.refresh()
    assert store.index.groups() == [GroupRow(SCAN.digest, "scan", "a", 1, removed=True)]
    assert store.index.row(made.digest) is not None
    assert check.verify(store, deep=True).findings == []


def test_a_pack_that_is_gone_takes_groups_ends_and_removals_with_it(store):
    kept, gone = job(first=1), job()
    put(store, kept)
    other = type(store).open(store.path)
    put(other, SCAN, gone, mapped(2), removal(kept))
    assert members(store) == [gone.digest]
    path = other._lease.path
    other.close()
    path.unlink()
    assert (members(store), store.index.groups(), store.index.maps_ended(SCAN.digest, "a")) == ([kept.digest], [], {})
    fresh = Index(None, store.packs, store.id)
    assert store.index.content() == fresh.content()
    fresh.close()


# Strangers


@pytest.mark.parametrize("record", [
    {"type": "mapped", "author": "a", "sequence": 1, "circuits": 1, "created": Timestamp(1)},
    {"type": "removal", "created": Timestamp(1), "nonce": bytes(8)},
    {"type": "later"},
], ids=lambda record: record["type"])  # fmt: skip
@pytest.mark.parametrize("together", [True, False])
def test_who_calls_a_job_a_group_does_not_hide_it(store, record, together):
    made = job()
    put(store, SCAN, made)
    if not together:
        assert members(store) == [made.digest]
    put(store, building.blob(pack.RECORD, record | {"group": link(made)}))
    assert members(store) == [made.digest]
    assert store.index.count(Query()) == 1 and len(store.index.groups()) == 1
    assert check.verify(store, deep=True).findings == []


def test_a_removal_of_nothing_is_reported_and_the_others_are_listed(store):
    made, wrong = job(), building.blob(pack.RECORD, {"type": "removal", "created": Timestamp(1), "nonce": bytes(8)})
    put(store, SCAN, made, wrong)
    assert members(store) == [made.digest]
    detail = f"record {wrong.digest.hex()}: a record of type 'removal' without job"
    assert [(found.kind, found.detail) for found in check.verify(store, deep=True).findings] == [("wrong", detail)]


@pytest.mark.parametrize("change", [
    "groups SET name = 'other'", "groups SET removed = 1", "groups SET seal = NULL", "members SET first = 7",
    "members SET size = 7", "members SET status = 'DONE'", "members SET mapped = 1", "members SET seal = x'00'",
    "mapped SET circuits = 7", "mapped SET seal = NULL",
])  # fmt: skip
def test_a_row_that_was_changed_is_never_shown(store, change):
    made = job(size=2)
    put(store, SCAN, made, mapped(2))

    def said():
        index = store.index
        return index.groups(), index.members(SCAN.digest), index.member(made.digest), index.maps_ended(SCAN.digest, "a")

    before = said()
    store.close()
    with closing(sqlite3.connect(store.index.file)) as db, db:
        db.execute(f"UPDATE {change}")
    assert said() == before
    assert store.index.mended == 1


@pytest.mark.parametrize("table", ["groups", "mapped", "members"])
def test_an_index_without_a_table_s_rows_is_reported_and_made_again(store, table):
    put(store, SCAN, job(), mapped(1))
    before = store.index.content()
    store.close()
    with closing(sqlite3.connect(store.index.file)) as db, db:
        db.execute(f"DELETE FROM {table}")
    detail = f"the table {table} differs from what the packs say"
    assert [found.detail for found in check.verify(store, deep=True).findings] == [detail]
    store.index.rebuild()
    assert store.index.content() == before


# The law


LARGE, PART, FOREIGN = job(size=2, mapped=True), job(first=2, mapped=True), job(author="b", sequence=LAST)
HALVES = [job(first=first, replaces=link(LARGE)) for first in (0, 1)]
STRANGE = [job(OTHER, replaces=link(PART)), mapped(9, LARGE), building.blob(pack.RECORD, {"type": "later", "group": link(PART)})]
ALL = [SCAN, OTHER, LARGE, PART, FOREIGN, *HALVES, *STRANGE, attempt(LARGE), attempt(PART, on="another"), mapped(3), mapped(4),
       removal(FOREIGN), removal(HALVES[0]), removal(OTHER)]  # fmt: skip
TABLES = ("jobs", "records", "groups", "mapped", "members", "withheld")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_records_in_any_order_over_any_packs_make_the_same_groups(data):
    """Whatever came first, in however many packs, twice or once, and also after one pack was taken out again."""
    parts = data.draw(st.permutations(ALL))[: data.draw(st.integers(1, len(ALL)))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(parts)), max_size=5)) - {len(parts)})
    packs = [parts[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(parts)], strict=True)]
    packs += data.draw(st.lists(st.sampled_from(packs), max_size=2))
    looks = data.draw(st.lists(st.booleans(), min_size=len(packs), max_size=len(packs)))
    with TemporaryDirectory() as folder:
        scattered = building.indexed(Path(folder) / "scattered", packs, looks)
        whole = building.indexed(Path(folder) / "whole", [parts], [True])
        found, expected = scattered.content(), whole.content()
        assert {table: found[table] for table in TABLES} == {table: expected[table] for table in TABLES}
        sorted(scattered.packs.iterdir())[0].unlink()
        fresh = Index(None, scattered.packs, "00")
        assert scattered.content() == fresh.content()
        for index in (scattered, whole, fresh):
            index.close()
