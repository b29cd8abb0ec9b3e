"""Which jobs are sent: what never was, what was cut off here, and of what failed what fits."""

import pytest
from group_runs import aer, failing, flipped, lab, strict

from qarchive import records
from qarchive.groups import selecting
from qarchive.groups.sending import CUT_OFF, is_free, was_cut_off
from qarchive.stage import Stage
from qarchive.values import Link


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def chosen(group, resend=False):
    return [unit.members[0].id.hex() for unit in selecting.unsent(group._library, group._row, resend)]


def cut_off(archive, job, status, kind=None):
    """An attempt of a job that ended in some way, as another process records it."""
    stage = Stage(archive._store)
    link = Link(bytes.fromhex(job.id))
    attempt = stage.record(records.attempt_record(job=link, number=1, backend=link, environment=None, calibration=None,
                                                  gaps=[], local=True))  # fmt: skip
    error = None if kind is None else {"type": kind, "message": ""}
    stage.record(records.outcome_record(job=link, attempt=attempt, status=status, provider_status="", provider_job=None,
                                        result=None, volatile={}, error=error, usage={}, gaps=[]))  # fmt: skip
    stage.commit(durable=False)


@pytest.mark.parametrize("status, kind, again", [
    ("UNKNOWN", "killed", True), ("UNKNOWN", None, True), ("ERROR", "builtins.KeyboardInterrupt", True),
    ("ERROR", "builtins.SystemExit", True), ("ERROR", "builtins.ValueError", False), ("ERROR", None, False),
    ("DONE", None, False), ("CANCELLED", None, False),
])  # fmt: skip
def test_what_was_killed_or_interrupted_here_is_run_with_what_never_was(archive, status, kind, again):
    group = archive.group("scan")
    [job] = group.add(aer(), flipped(1))
    assert chosen(group) == [job.id]
    cut_off(archive, job, status, kind)
    folded = archive._recorder.folded(bytes.fromhex(job.id))
    assert (chosen(group) == [job.id], was_cut_off(folded)) == (again, again)
    assert is_free(archive, folded, frozenset({"PREPARED", CUT_OFF})) is again
    assert not is_free(archive, folded, frozenset({"PREPARED"}))


def test_the_members_of_a_group_are_read_a_page_at_a_time(archive, monkeypatch):
    monkeypatch.setattr(selecting, "_PAGE", 3)
    group = archive.group("scan")
    jobs = [job.id for number in range(8) for job in group.add(aer(), flipped(number), shots=5)]
    for limit in (-1, 0, 1, 3, 4, 8, 9):
        found = [member.id.hex() for member in selecting.every(archive, group._row, limit)]
        assert found == (jobs if limit < 0 else jobs[:limit])
    group.run_sequential()
    assert group.statuses() == ["DONE"] * 8 and chosen(group) == []


def test_jobs_that_are_added_while_a_group_runs_are_run_with_it(archive):
    group = archive.group("scan")
    group.add(aer(), flipped(0), shots=5)

    class Adding(type(aer())):
        def run(self, *args, **kwargs):
            if len(group) < 4:
                group.add(aer(), flipped(len(group)), shots=5)
            return super().run(*args, **kwargs)

    group.run_sequential(backends=[Adding()])
    assert len(group) >= 2
    group.run_sequential(backends=[Adding()])
    group.run_sequential()
    assert set(group.statuses()) == {"DONE"}


def test_what_failed_is_taken_where_it_fits(archive):
    group = archive.group("scan")
    for circuit in (flipped(0), failing(), failing()):
        group.add(strict(), circuit, shots=5)
    group.run_sequential()
    for fits, number in ((lambda member: True, 2), (lambda member: member.id.hex() == group[2].id, 1), (lambda member: False, 0)):
        assert len(list(selecting.failed(archive, group._row, fits))) == number
