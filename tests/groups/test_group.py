"""A group: which one a name means, what is in it, and what becomes of it when it is deleted or met in another archive."""

import shutil
from datetime import UTC, datetime, timedelta

import perceval as pcvl
import pytest
from group_runs import aer, circuits_of, failing, flipped, lab, strict
from perceval.algorithm import Sampler
from pulser.backend import BitStrings
from pulser_programs import blockade
from pulser_simulation import QutipBackendV2, QutipConfig

import qarchive
from qarchive.errors import Ambiguous, BadInput, NotFound


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def test_a_name_means_the_same_group_everywhere(archive):
    group = archive.group("scan")
    assert group == archive.group("scan") == archive.group(group.id) and hash(group) == hash(archive.group("scan"))
    assert group != archive.group("other") and group.archive == archive.id
    assert (len(group), group.created, group.tags, list(group)) == (0, None, [], [])
    assert repr(group) == "<group scan: 0 jobs>" and [each.name for each in archive.groups()] == ["other", "scan"]
    with qarchive.open(archive.path) as other:
        assert other.group("scan") == group


@pytest.mark.parametrize("name", ["", None, 3, b"scan"])
def test_a_name_is_text(archive, name):
    with pytest.raises(BadInput) as caught:
        archive.group(name)
    assert str(caught.value) == f"the group {name!r}: has no name; give text"


def test_an_id_that_is_not_there_is_no_new_name(archive):
    with pytest.raises(NotFound) as caught:
        archive.group("a" * 64)
    assert str(caught.value) == f"the group {'a' * 12} is not in {archive.path}; `archive.groups()` lists what there is"


def test_what_runs_in_a_context_and_what_is_added_is_one_group(archive):
    with archive.context(group="scan"):
        archive.wrap(aer()).run(flipped(0), shots=5).result()
    group = archive.group("scan")
    group.add(aer(), flipped(1), shots=5)
    with group.joining():
        archive.wrap(aer()).run(flipped(2), shots=5).result()
    group.run_sequential()
    assert circuits_of(group) == ["flipped-0", "flipped-1", "flipped-2"] and group.statuses() == ["DONE"] * 3
    assert [len(job.folded.attempts) for job in group] == [1, 1, 1]
    assert [each.name for each in archive.groups()] == ["scan"]
    assert len(archive.jobs(group="scan")) == 3 and archive.job("scan/2") == group[1]


def test_photons_run_in_a_group_beside_circuits(archive):
    group = archive.group("mixed")
    group.add(aer(), flipped(1), shots=5)
    for number in (0, 1):
        processor = pcvl.Processor("SLOS", pcvl.BS())
        processor.with_input(pcvl.BasicState([1, number]))
        processor.min_detected_photons_filter(1)
        group.add(Sampler(processor).sample_count, max_samples=20)
    assert group.statuses() == ["PREPARED"] * 3
    with qarchive.open(archive.path) as later:
        later.group("mixed").run_sequential()
    assert group.statuses() == ["DONE"] * 3
    assert sum(group.result().get_counts(2).values()) == 20
    with pytest.raises(BadInput):
        group.result().combine_results()


def test_atoms_run_in_a_group(archive):
    group = archive.group("blockade")
    group.add(QutipBackendV2(blockade(), config=QutipConfig(observables=[BitStrings(num_shots=30)])))
    assert group.statuses() == ["PREPARED"]
    with qarchive.open(archive.path) as later:
        later.group("blockade").run_sequential()
    assert group.statuses() == ["DONE"] and sum(group.result().get_counts().values()) == 30
    assert len(group[0].folded.attempts) == 1 and group.get_results()[0].final_bitstrings == group.result().get_counts()


def test_lists_and_progress_are_those_of_percevals_groups(archive):
    group = archive.group("scan")
    for circuit in (flipped(0), failing(), flipped(2)):
        group.add(strict(), circuit, shots=5)
    group.run_sequential()
    group.add(strict(), flipped(3))
    assert group.progress() == {"Total": 4, "Finished": [3, {"successful": 2, "unsuccessful": 1}],
                                "Unfinished": [1, {"sent": 0, "not sent": 1}]}  # fmt: skip
    assert [len(each) for each in (group.list_successful_jobs(), group.list_unsuccessful_jobs(), group.list_active_jobs(),
                                   group.list_unsent_jobs(), group.remote_jobs)] == [2, 1, 0, 1, 4]  # fmt: skip
    assert group.error_messages().startswith(f"job {group[1].id[:12]}: ERROR, ") and "\n" not in group.error_messages()


def test_nothing_that_ran_here_can_be_cancelled(archive):
    group = archive.group("scan")
    group.add(aer(), flipped(0), shots=5)
    assert group.cancel() == [] and group.statuses() == ["PREPARED"]
    group.run_sequential()
    assert group.cancel() == [] and group.cancel_all() == [] and group.close() == []


# Deleting


def ran_and_prepared(archive, name="scan"):
    group = archive.group(name)
    group.add(aer(), flipped(0), shots=5)
    group.run_sequential()
    group.add(aer(), flipped(1), shots=5)
    return group


def test_what_was_executed_stays_when_a_group_is_deleted(archive):
    group = ran_and_prepared(archive)
    done = group[0].id
    assert archive.delete_group("scan") == 1
    assert [job.id for job in archive.jobs()] == [done] and archive.job(done).counts() == {"000": 5}
    assert archive.groups() == []
    for call in (
        lambda: group.add(aer(), flipped(1)),
        group.run_sequential,
        group.delete,
        lambda: group.map(aer(), [flipped(1)]),
    ):
        with pytest.raises(BadInput) as caught:
            call()
        assert str(caught.value) == "the group scan: was deleted; make it anew: `archive.group('scan')`"
    again = archive.group("scan")
    assert len(again) == 0 and again != group and again.statuses() == []
    again.add(aer(), flipped(2), shots=5)
    assert circuits_of(again) == ["flipped-2"]
    assert archive.verify(deep=True).findings == []


def test_a_group_is_deleted_with_all_its_jobs_if_that_is_asked_for(archive):
    ran_and_prepared(archive)
    assert archive.delete_group("scan", jobs=True) == 2
    assert len(archive.jobs()) == 0 and archive.groups() == []
    assert len(archive.group("scan")) == 0


def test_groups_are_deleted_by_id_by_date_and_all(archive):
    for name in ("a", "b", "c"):
        ran_and_prepared(archive, name)
    archive.delete_group(archive.group("b").id)
    assert [group.name for group in archive.groups()] == ["a", "c"]
    archive.group("empty")
    assert archive.delete_groups(before=archive.group("c").created) == ["a"]
    assert archive.delete_groups(before=datetime.now(UTC) - timedelta(days=1)) == []
    assert archive.delete_groups() == ["c", "empty"] and archive.groups() == [] and len(archive.jobs()) == 3
    with pytest.raises(NotFound) as caught:
        archive.delete_group("a")
    assert str(caught.value) == f"the group 'a' is not in {archive.path}; `archive.groups()` lists what there is"


def test_a_map_into_a_group_that_was_deleted_begins_anew(archive):
    for _ in range(2):
        assert archive.group("scan").map(aer(), map(flipped, range(5)), per_job=2) == 5
        assert len(archive.group("scan")) == 3
        archive.delete_group("scan")


# Groups of several archives


def merged(folder, *names):
    """An archive that has the packs of others, too."""
    target = qarchive.open(folder / "all")
    for name in names:
        with qarchive.open(folder / name) as archive:
            group = archive.group("scan")
            group.add(aer(), [flipped(0), flipped(1)], shots=5)
            group.run_sequential()
        for path in (folder / name / "packs").iterdir():
            shutil.copy(path, folder / "all" / "packs")
    return target


def test_groups_of_one_name_from_two_archives_are_both_there(folder):
    with merged(folder, "one", "two") as archive:
        first, second = archive.groups()
        assert (
            first.name == second.name == "scan" and first != second and {first.archive, second.archive}.isdisjoint({archive.id})
        )
        with pytest.raises(Ambiguous) as caught:
            archive.group("scan")
        assert sorted(caught.value.candidates) == sorted((first.id, second.id))
        made_in = {group.id: group.archive[:8] for group in (first, second)}
        ids = ", ".join(f"{each} (from archive {made_in[each]})" for each in caught.value.candidates)
        assert str(caught.value) == f"2 groups are called scan: {ids}; give the id of one"
        with pytest.raises(Ambiguous):
            archive.delete_group("scan")
        for group in (first, second):
            assert archive.group(group.id) == group and group.result().get_counts() == [{"000": 5}, {"001": 5}]
        archive.group(first.id).add(aer(), flipped(2), shots=5)
        archive.group(first.id).run_sequential()
        assert [len(archive.group(group.id)) for group in (first, second)] == [2, 1]
        archive.delete_group(second.id)
        assert archive.group("scan") == first
        assert archive.verify(deep=True).findings == []


def test_the_group_of_this_archive_is_meant_before_others_of_its_name(folder):
    with qarchive.open(folder / "all") as archive:
        own = archive.group("scan")
    with merged(folder, "one", "two") as archive:
        assert archive.group("scan") == own and len(archive.groups()) == 3


def test_jobs_that_two_archives_add_to_one_group_stand_by_archive_and_no_map_is_taken_for_anothers(folder):
    with qarchive.open(folder / "one") as one:
        one.group("scan").map(aer(), map(flipped, range(4)), per_job=2)
    shutil.copytree(folder / "one" / "packs", folder / "kept")
    with qarchive.open(folder / "two") as two:
        for path in (folder / "kept").iterdir():
            shutil.copy(path, folder / "two" / "packs")
        group = two.group("scan")
        assert group.archive != two.id and len(group) == 2
        assert group.map(aer(), map(flipped, range(4)), per_job=2) == 4
        names = [f"flipped-{number}" for number in range(4)]
        assert circuits_of(group) == names * 2
        group.run_sequential()
        assert group.result().get_counts() == [{f"{number:03b}": aer_shots(group)} for number in range(4)] * 2


def aer_shots(group):
    return group[0].shots
