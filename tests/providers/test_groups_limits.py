"""What clouds allow: jobs at once, size, access, patience and cost. A group keeps to it, says so, and loses nothing."""

# ruff: noqa: F401, F811

import pytest
from group_clouds import KINDS, archive, cloud, hurried, turned, warned

from qarchive.errors import NotAnswered
from qarchive.groups import lanes, running

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::qarchive.errors.ArchiveWarning"),
]


@pytest.fixture
def group(archive, cloud):
    group = archive.group("sweep")
    cloud.add(group, 4)
    return group


# At once


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_jobs_are_open_at_once_than_the_plan_allows(cloud, group, most):
    cloud.server.limit(most)
    open_at_once = cloud.watch()
    with warned() as said:
        group.run_parallel()
    assert group.statuses() == ["DONE"] * 4
    assert sorted(cloud.accepted()) == [0, 1, 2, 3]
    assert max(open_at_once) <= most
    assert said == []


def test_jobs_of_others_in_the_same_account_are_waited_for(cloud, group, archive):
    theirs = archive.group("theirs")
    cloud.add(theirs, 1)
    cloud.server.hold()
    theirs.launch_async_jobs()
    cloud.server.limit(1)
    releasing(cloud, 0.5)
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 4


def releasing(cloud, seconds):
    import threading

    threading.Timer(seconds, cloud.server.release).start()


def test_too_many_requests_are_waited_out(cloud, group):
    cloud.fail(429, 2, times=12 if cloud.name == "pasqal" else 3, message="Too many requests.", **cloud.at_once)
    with warned() as said:
        group.run_parallel()
    assert group.statuses() == ["DONE"] * 4
    assert cloud.accepted() == [0, 1, 2, 3]
    assert said == []
    assert [len(job.folded.attempts) for job in group] in ([1, 3, 1, 1], [1, 4, 1, 1])  # each no is a record


def test_run_sequential_has_one_job_open_at_a_time(cloud, group):
    open_at_once = cloud.watch()
    group.run_sequential(0)
    assert cloud.accepted() == [0, 1, 2, 3]
    assert max(open_at_once) == 1


def test_launch_async_jobs_sends_as_many_as_the_plan_allows_and_does_not_wait_for_their_ends(cloud, group):
    cloud.server.hold()
    group.launch_async_jobs()
    assert group.statuses() == ["QUEUED"] * 4
    cloud.server.release()
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 4 and cloud.asked() == [0, 1, 2, 3]


# Patience


def test_questions_that_get_no_answer_are_asked_again(cloud, group):
    cloud.questions_fail(503, 4)
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 4
    assert cloud.asked() == [0, 1, 2, 3]


def test_a_cloud_that_answers_nothing_any_more_is_given_up_and_the_next_run_goes_on(cloud, group, monkeypatch):
    monkeypatch.setattr(running, "_PATIENCE", 2)
    cloud.questions_fail(503, 10_000)
    with pytest.raises(NotAnswered, match="4 jobs could not be asked about: "):
        group.run_parallel()
    assert set(group.statuses()) <= {"QUEUED", "RUNNING"}
    cloud.server._failures.clear()
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 4
    assert cloud.asked() == [0, 1, 2, 3]


# Access


@pytest.mark.parametrize("status", [401, 403])
def test_a_no_to_the_user_stops_the_sending_says_so_and_loses_nothing(cloud, group, status):
    cloud.fail(status, 2, message="You may not.", times=100)
    with warned() as said:
        group.run_parallel()
    assert group.statuses() == ["DONE", "REFUSED", "PREPARED", "PREPARED"]
    assert cloud.accepted() == [0] and set(cloud.asked()) == {0, 1}
    assert any("1 job refused" in text for text in said)
    assert any("2 jobs could not be sent" in text for text in said)
    cloud.server._failures.clear()
    group.run_parallel(client=cloud.client())
    assert group.statuses() == ["DONE"] * 4
    assert cloud.accepted() == [0, 1, 2, 3]


def test_the_same_refusal_many_times_stops_the_run_and_says_so(cloud, archive, monkeypatch):
    monkeypatch.setattr(lanes, "_SAME_REFUSALS", 3)
    group = archive.group("sweep")
    cloud.add(group, 6)
    cloud.fail(400, 2, message="no credit left", times=100)
    with warned() as said:
        group.run_parallel()
    assert group.statuses() == ["DONE", "REFUSED", "REFUSED", "REFUSED", "PREPARED", "PREPARED"]
    assert cloud.asked() == [0, 1, 2, 3]
    assert any("3 jobs refused" in text and "no credit left" in text for text in said)
    assert any("2 jobs could not be sent" in text and "3 jobs in a row were refused" in text for text in said)
    report = str(group.report())
    assert "circuits 1-3: refused, " in report and "circuits 4-5: not sent" in report
