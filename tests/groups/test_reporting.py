"""How a group stands is said of circuits over the whole group, in the fewest stretches."""

from itertools import groupby

import pytest
from group_runs import aer, failing, flipped, lab, strict
from hypothesis import given
from hypothesis import strategies as st
from qiskit.providers.fake_provider import GenericBackendV2

from qarchive import model
from qarchive.groups.reporting import Bar, progress, stretches
from qarchive.index import Member

MEMBERS = st.lists(st.tuples(st.sampled_from(model.STATUSES), st.sampled_from("ab"), st.sampled_from(["", "no credit left"]),
                             st.integers(1, 100)), max_size=30)  # fmt: skip


def member(status, backend, error, size):
    return Member(b"g", "author", 1, 0, b"id", size, 0, 0, status, backend, error, None)


@given(MEMBERS)
def test_stretches_cover_every_circuit_once_and_neighbours_differ(made):
    found = list(stretches(member(*each) for each in made))
    assert [each.jobs for each in found] == [len(list(alike)) for _, alike in groupby(made, key=lambda each: each[:3])]
    place = 0
    for each in found:
        assert each.first == place and each.last >= each.first
        place = each.last + 1
    assert place == sum(size for *_, size in made)


@given(MEMBERS)
def test_numbers_of_jobs_add_up(made):
    tally = {status: (sum(each[0] == status for each in made), 0) for status in {each[0] for each in made}}
    found = progress(tally)
    assert list(found) == ["Total", "Finished", "Unfinished"] and found["Total"] == len(made)
    assert found["Finished"][0] + found["Unfinished"][0] == len(made)
    assert found["Finished"][0] == sum(found["Finished"][1].values()) and set(found["Finished"][1]) == {
        "successful",
        "unsuccessful",
    }
    assert found["Unfinished"][0] == sum(found["Unfinished"][1].values()) and set(found["Unfinished"][1]) == {"sent", "not sent"}


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def test_a_report_names_circuits_and_says_why(archive):
    group = archive.group("scan")
    assert str(group.report()) == "group scan: 0 jobs, 0 circuits"
    group.add(strict(), [flipped(number) for number in range(3)], shots=5)
    group.add(strict(), failing(), shots=5)
    group.run_sequential()
    group.add(strict(), [flipped(number) for number in range(2)], shots=5)
    report = group.report()
    assert (report.name, report.id, report.jobs, report.circuits) == ("scan", group.id, 3, 6)
    assert report.statuses == {"DONE": 1, "ERROR": 1, "PREPARED": 1}
    assert [(each.first, each.last, each.status) for each in report.stretches] == [
        (0, 2, "DONE"),
        (3, 3, "ERROR"),
        (4, 5, "PREPARED"),
    ]
    lines = str(report).splitlines()
    assert lines[0] == "group scan: 3 jobs, 6 circuits (1 done, 1 failed, 1 not sent)"
    assert (
        lines[1] == "  circuits 0-2: done"
        and lines[2].startswith("  circuit 3: failed, ")
        and lines[3] == "  circuits 4-5: not sent"
    )
    assert "Insufficient memory" in lines[2] and len(lines) == 4


def test_calibrations_and_their_drift_are_those_of_the_runs(archive):
    group = archive.group("scan")
    for seed in (1, 2):
        group.add(GenericBackendV2(2, seed=seed), flipped(0, 2), shots=5)
    group.add(aer(), flipped(0), shots=5)
    group.run_sequential()
    assert group.statuses() == ["DONE"] * 3
    found = group.calibrations()
    assert [each is not None for each in found] == [True, True, False]
    drift = group.drift()
    assert list(drift) == ["generic_backend_2q"] and len(drift["generic_backend_2q"]) > 0


def test_bars_move_until_no_job_is_active(archive, capsys):
    group = archive.group("scan")
    group.add(aer(), flipped(0), shots=5)
    group.run_sequential()
    group.track_progress()
    assert "Successful jobs100%" in capsys.readouterr().err.replace(" ", "").replace("Successfuljobs", "Successful jobs")
    bar = Bar(2)
    bar.told("DONE", "a")
    bar.told("ERROR", "b")
    assert bar._said == "Successful: 1, Failed: 1"
    bar.close()
