"""Places in groups: which group a name means, and where in it the next job stands."""

import threading

import building
import pytest

from qarchive import membership, pack, records
from qarchive.codec import decode
from qarchive.membership import Places, known, next_places, of_name, put
from qarchive.records import LAST
from qarchive.stage import Stage
from qarchive.store import Store
from qarchive.values import Link

LINK = Link(bytes(32))


def write(store, *made):
    store.commit([building.blob(pack.RECORD, record) for record in made], durable=False)


def group(store, name="scan", archive=None, number=1, removed=False):
    """The id of a group that is written, and removed again where that is asked for."""
    record = records.group_record(name=name, archive=archive or store.id, number=number)
    found = building.blob(pack.RECORD, record).digest
    write(store, record, *([records.removal_record(group=Link(found))] if removed else ()))
    return found


def add(store, places, size=1):
    """A job at the next of some places, with its group; its place."""
    stage = Stage(store)
    put(stage, places.group)
    place = places.take(size)
    link = stage.put("input", {"type": "missing"})
    stage.record(records.job_record(provider="aer", kind="simulator", backend="b", input=link, config=link, shots=1, size=size,
                                    member=place))  # fmt: skip
    stage.commit(durable=False)
    return place


# Which group


def test_a_new_name_means_a_group_that_is_not_written_yet(store):
    row = of_name(store, "scan")
    assert (row.name, row.archive, row.number, row.removed) == ("scan", store.id, 1, False)
    assert store.index.groups() == [] and known(store, "scan") == []
    stage = Stage(store)
    put(stage, row)
    stage.commit(durable=False)
    assert store.index.groups() == [row] == known(store, "scan")
    assert of_name(store, "scan") == row


def test_a_group_that_is_there_is_not_written_again(store):
    places = next_places(store, of_name(store, "scan"))
    add(store, places)
    stage = Stage(store)
    put(stage, places.group)
    assert stage.blobs == {}


def test_the_name_of_a_group_is_plain_text(store):
    class Name(str):
        pass

    row = of_name(store, Name("\ud800"))
    assert type(row.name) is str and row.name == "\\ud800"
    assert of_name(store, row.name).id == row.id
    add(store, next_places(store, row))
    assert known(store, "\ud800") == [row]


def test_processes_that_make_a_group_at_once_make_one(store):
    def make(tell):
        own = Store.open(store.path)
        row = of_name(own, "scan")
        tell("ready")
        add(own, next_places(own, row))
        own.close()

    children = [building.Child(make) for _ in range(3)]
    assert [child.wait() for child in children] == [(["ready"], 0)] * 3
    [row] = store.index.groups()
    assert (row, len(store.index.members(row.id))) == (of_name(store, "scan"), 3)


def test_threads_that_make_a_group_at_once_make_one_and_take_different_places(store):
    found, start = [], threading.Barrier(8)

    def make():
        start.wait()
        found.append(add(store, next_places(store, of_name(store, "scan"))))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(place["sequence"] for place in found) == list(range(1, 9))
    [row] = store.index.groups()
    assert len(store.index.members(row.id)) == 8


def test_after_a_removal_the_name_means_the_next_group(store):
    first = of_name(store, "scan")
    group(store, removed=True)
    second = of_name(store, "scan")
    assert second.id != first.id and (second.number, second.removed) == (2, False)
    assert known(store, "scan") == []
    group(store, number=2)
    assert of_name(store, "scan") == second and known(store, "scan") == [second]
    group(store, number=2, removed=True)
    assert of_name(store, "scan").number == 3


def test_a_number_that_somebody_took_from_the_end_is_no_obstacle(store):
    group(store, number=LAST, removed=True)
    row = of_name(store, "scan")
    assert row.number == 1
    assert group(store) == row.id and of_name(store, "scan") == row
    group(store, removed=True)
    assert of_name(store, "scan").number == 2


def test_a_group_of_this_archive_comes_before_others_of_its_name(store):
    foreign = group(store, archive="0" * 32, number=5)
    assert of_name(store, "scan").id == foreign
    own = group(store)
    assert of_name(store, "scan").id == own
    assert [row.id for row in known(store, "scan")] == [own, foreign]
    group(store, removed=True)
    assert of_name(store, "scan").id == foreign
    group(store, archive="0" * 32, number=5, removed=True)
    assert of_name(store, "scan") == membership.GroupRow(of_name(store, "scan").id, "scan", store.id, 2, False)


def test_of_several_groups_of_others_the_same_one_is_meant_everywhere(store):
    for archive in ("b", "a"):
        for number in (1, 2):
            group(store, archive=archive, number=number)
    rows = known(store, "scan")
    assert [(row.archive, row.number) for row in rows] == [("a", 2), ("b", 2), ("a", 1), ("b", 1)]
    assert of_name(store, "scan") == rows[0]


# Where in it


def test_the_jobs_of_a_call_stand_one_behind_another(store):
    places = next_places(store, of_name(store, "scan"))
    expected = {"group": Link(places.group.id), "author": store.id, "sequence": 1}
    assert [add(store, places, size) for size in (2, 1, 3)] == [expected | {"first": first} for first in (0, 2, 3)]
    assert [member.first for member in store.index.members(places.group.id)] == [0, 2, 3]
    assert places.first == 6


def test_a_place_says_what_else_is_known_of_it(store):
    row = of_name(store, "scan")
    assert Places(row, "a", 1, 4, mapped=True, replaces=LINK).take(1) == {
        "group": Link(row.id), "author": "a", "sequence": 1, "first": 4, "mapped": True, "replaces": LINK}  # fmt: skip
    assert next_places(store, row, mapped=True).take(1)["mapped"] is True


def test_sequences_grow_also_where_nothing_was_written_and_in_each_group_by_themselves(store):
    row, other = of_name(store, "scan"), of_name(store, "other")
    assert [next_places(store, row).sequence for _ in range(3)] == [1, 2, 3]
    assert next_places(store, other).sequence == 1
    add(store, next_places(store, row))
    assert next_places(store, row).sequence == 5


def test_sequences_go_on_behind_those_of_other_processes(store):
    row = of_name(store, "scan")
    add(store, next_places(store, row))
    other = Store.open(store.path)
    assert add(other, next_places(other, row))["sequence"] == 2
    assert next_places(store, row, stale=True).sequence == 2  # of what was read
    assert add(other, next_places(other, row))["sequence"] == 3
    assert next_places(store, row).sequence == 4
    other.close()


def test_sequences_of_other_authors_do_not_count(store):
    row = of_name(store, "scan")
    add(store, Places(row, "another", 7))
    assert next_places(store, row).sequence == 1


def test_a_sequence_that_somebody_took_from_the_end_does_not_make_ours_wrong(store):
    row = of_name(store, "scan")
    add(store, Places(row, store.id, LAST))
    for _ in range(2):
        assert add(store, next_places(store, row))["sequence"] == LAST
    members = store.index.members(row.id)
    assert len(members) == 3
    assert all(records.wrong(decode(store.get(member.id))) is None for member in members)


@pytest.mark.parametrize("held", [True, False])
def test_a_forked_process_takes_places_whatever_its_parent_was_about(store, held):
    row = of_name(store, "scan")

    def take(tell):
        tell(str(next_places(store, row).sequence))

    if held:
        with membership._mutex:
            child = building.Child(take)
    else:
        child = building.Child(take)
    assert child.wait() == (["1"], 0)
