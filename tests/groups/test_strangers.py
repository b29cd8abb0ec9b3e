"""Jobs that came from elsewhere: what somebody else puts into a group of one's own is never sent from here."""

import pytest
from group_runs import turned
from qiskit_aer import AerSimulator

import qarchive
from qarchive.errors import ArchiveWarning


@pytest.fixture
def two(tmp_path):
    with qarchive.open(tmp_path / "one") as one, qarchive.open(tmp_path / "other") as other:
        yield one, other


def test_a_job_that_somebody_else_put_into_my_group_is_not_sent(two, tmp_path):
    mine, theirs = two
    group = mine.group("scan")
    group.add(AerSimulator(), turned(1), shots=10)
    mine.export(tmp_path / "mine.qar")
    theirs.import_(tmp_path / "mine.qar")
    theirs.group(group.id).add(AerSimulator(), turned(1), shots=1_000_000)
    theirs.export(tmp_path / "theirs.qar")
    mine.import_(tmp_path / "theirs.qar")
    assert len(group) == 2
    with pytest.warns(ArchiveWarning) as warned:
        group.run_sequential()
    assert [str(each.message) for each in warned] == [
        "a job of another archive is in the group scan and not sent; add to the group what is to be sent from here"
    ]
    assert sorted((job.shots, job.status) for job in group) == [(10, "DONE"), (1_000_000, "PREPARED")]


def test_a_group_that_was_prepared_elsewhere_is_run_here_and_its_results_go_back(two, tmp_path):
    laptop, cluster = two
    laptop.group("scan").add(AerSimulator(), turned(1), shots=10)
    laptop.export(tmp_path / "prepared.qar", ["scan"])
    cluster.import_(tmp_path / "prepared.qar")
    cluster.group(laptop.group("scan").id).run_sequential()
    cluster.export(tmp_path / "run.qar", ["scan"])
    assert laptop.import_(tmp_path / "run.qar").known == [laptop.jobs()[0].id]
    [result] = laptop.group("scan").get_results()
    assert sum(result.get_counts().values()) == 10
    assert [job.status for job in laptop.group("scan")] == ["DONE"]
