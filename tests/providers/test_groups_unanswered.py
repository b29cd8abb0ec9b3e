"""Jobs of a group that a cloud refused, did not answer, or lost afterwards: the rest go on, and nothing is sent twice."""

# ruff: noqa: F401, F811

import pytest
from group_clouds import archive, cloud, hurried, warned

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


def attempts_of(job):
    return [attempt.status for attempt in sorted(job.folded.attempts, key=lambda attempt: attempt.number)]


# Refused


@pytest.mark.parametrize("message", ["invalid: this cannot run", "no credit left"])
def test_the_third_job_is_refused_and_the_rest_go_on_and_the_report_names_it(cloud, group, message):
    cloud.fail(400, 3, message=message)
    with warned() as found:
        group.run_parallel()
    assert group.statuses() == ["DONE", "DONE", "REFUSED", "DONE"]
    assert cloud.accepted() == [0, 1, 3]
    lines = str(group.report()).splitlines()
    assert lines[0] == "group sweep: 4 jobs, 4 circuits (3 done, 1 refused)"
    assert (lines[1], lines[3]) == ("  circuits 0-1: done", "  circuit 3: done")
    assert lines[2].startswith("  circuit 2: refused, ") and message in lines[2]
    assert any("1 job refused" in text and message in text for text in found)
    assert [cloud.shots_of(result) if result else None for result in group.get_results()] == [10, 11, None, 13]


def test_a_refused_job_is_sent_again_by_the_next_run_and_no_other(cloud, group):
    cloud.fail(400, 3)
    group.run_parallel()
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 4
    assert cloud.accepted() == [0, 1, 3, 2]
    assert cloud.asked() == [0, 1, 2, 3, 2]
    assert attempts_of(group[2]) == ["REFUSED", "DONE"]
    assert str(group.report()).endswith("circuits 0-3: done")


# Not answered


SILENCES = {
    "the connection broke": {"status": None},
    "the server failed": {"status": 507},  # which no SDK sends again by itself
    "the answer was nonsense": {"status": 200, "page": "<html>Welcome</html>"},
    "no answer came in time": {"status": None, "hang_s": 1.5},
}


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("accepted", [True, False])
def test_a_job_without_an_answer_is_looked_for_and_never_sent_twice(archive, cloud, silence, accepted):
    client, how = cloud.client(), SILENCES[silence]
    if "hang_s" in how:
        cloud.impatient(client, 0.3)
    group = archive.group("sweep")
    cloud.add(group, 3, client)
    cloud.fail(nth=2, after_processing=accepted, **how)
    with warned() as said:
        group.run_parallel()
    found = accepted and cloud.finds
    assert group.statuses() == ["DONE", "DONE" if found else "SENDING", "DONE"]
    assert cloud.asked() == [0, 1, 2]
    assert cloud.accepted() == ([0, 1, 2] if accepted else [0, 2])
    assert any("`qarchive recover` looks for it" in text for text in said)
    if found:
        assert cloud.shots_of(group.get_results()[1]) == 11
        return
    assert "circuit 1: sent, and no answer came" in str(group.report())
    group.run_sequential()
    group.run_parallel()
    group.retry()
    group.rerun_failed_parallel()
    assert cloud.asked() == [0, 1, 2]  # whatever is called, it is not sent again
    group.run_parallel(resend=True)
    assert cloud.asked() == [0, 1, 2, 1]
    assert group.statuses() == ["DONE"] * 3
    assert attempts_of(group[1]) == ["SENDING", "DONE"]
    group.run_parallel(resend=True)
    assert cloud.asked() == [0, 1, 2, 1]


def test_retry_sends_what_got_no_answer_when_it_is_told_to(cloud, group):
    cloud.fail(507, 2)
    group.run_parallel()
    group.retry(resend=True)
    assert cloud.asked() == [0, 1, 2, 3, 1]
    assert group.statuses() == ["DONE"] * 4


@pytest.mark.parametrize("cloud", ["ibm", "pasqal"], indirect=True)  # the clouds that list jobs
def test_what_the_cloud_was_slow_to_list_is_found_by_the_next_run(cloud, group):
    """The request was accepted, and the questions after it got no answer: the job is found later, and not sent again."""
    cloud.fail(507, 2, after_processing=True)
    cloud.listing_fails(503, 30)
    group.run_parallel()
    assert group.statuses() == ["DONE", "SENDING", "DONE", "DONE"]
    cloud.server._failures.clear()
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 4
    assert cloud.asked() == [0, 1, 2, 3]


# Lost


def test_jobs_that_the_cloud_lost_are_unknown_and_sent_again_by_retry(cloud, group):
    cloud.server.hold()
    group.launch_async_jobs()
    lost = group[1].provider_job
    cloud.lose(lost)
    cloud.server.release()
    group.run_parallel()
    assert group.statuses() == ["DONE", "UNKNOWN", "DONE", "DONE"]
    assert [job.id for job in group.list_unsuccessful_jobs()] == [group[1].id]
    ended, unfinished = [4, {"successful": 3, "unsuccessful": 1}], [0, {"sent": 0, "not sent": 0}]
    assert group.progress() == {"Total": 4, "Finished": ended, "Unfinished": unfinished}
    assert "circuit 1: ended, and nobody saw how" in str(group.report())
    before = cloud.asked()
    group.run_parallel()  # it may have run: only `retry` sends it again
    assert cloud.asked() == before == [0, 1, 2, 3]
    group.retry(status="UNKNOWN")
    assert cloud.asked() == [0, 1, 2, 3, 1]
    assert group.statuses() == ["DONE"] * 4
    assert attempts_of(group[1]) == ["UNKNOWN", "DONE"]
    assert [attempt.provider_job for attempt in sorted(group[1].folded.attempts, key=lambda each: each.number)][0] == lost
    assert cloud.shots_of(group.get_results()[1]) == 11


def test_a_job_that_failed_is_run_again_with_its_failed_attempt_kept(cloud, group):
    cloud.server.break_next("the laser is off")
    group.run_parallel()
    assert group.statuses() == ["ERROR", "DONE", "DONE", "DONE"]
    assert "circuit 0: failed, " in str(group.report()) and "the laser is off" in str(group.report())
    assert "the laser is off" in group.error_messages()
    group.rerun_failed_sequential(0)
    assert group.statuses() == ["DONE"] * 4
    assert attempts_of(group[0]) == ["ERROR", "DONE"]
    assert cloud.asked() == [0, 1, 2, 3, 0]


def test_a_job_that_failed_is_run_again_as_another_job_where_it_is_not_to_be_replaced(cloud, group):
    cloud.server.break_next("the laser is off")
    group.run_parallel()
    group.rerun_failed_parallel(replace_failed_jobs=False)
    assert group.statuses() == ["ERROR", "DONE", "DONE", "DONE", "DONE"]
    assert group[4].record["parent"].digest.hex() == group[0].id
    assert cloud.asked() == [0, 1, 2, 3, 0]
