"""A process that runs a group in a cloud is killed, or interrupted, or has company: each job is sent once, and ends."""

# ruff: noqa: F401, F811

import random
import signal
import time

import pytest
from group_clouds import archive, cloud, hurried, prepare_forks
from group_runs import Script, run_script, when

prepare_forks()
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::qarchive.errors.ArchiveWarning"),
]

RUN = """
    from group_clouds import connect
    client = connect(*place)
    tell("ready")
    group = qarchive.open(folder).group("sweep")
    group.run_parallel(client=client)
    tell(*group.statuses())
"""


@pytest.fixture
def group(archive, cloud):
    group = archive.group("sweep")
    cloud.add(group, 4)
    archive.flush()
    return group


@pytest.fixture
def start(archive, cloud):
    """Start a script that runs the group."""
    scripts = []

    def start(text=RUN):
        scripts.append(Script(text, place=cloud.place, folder=str(archive.path)))
        return scripts[-1]

    yield start
    for script in scripts:
        script.kill()


def run_again(archive, cloud):
    return run_script(RUN, place=cloud.place, folder=str(archive.path))[-1].split()


@pytest.mark.parametrize("accepted", [True, False])
def test_one_that_is_killed_while_it_sends_is_gone_on_with(archive, cloud, group, start, accepted):
    cloud.fail(None, 3, after_processing=accepted, hang_s=30)
    script = start()
    when(lambda: len(cloud.asked()) == 3)
    script.kill()
    script.wait()
    assert group.statuses()[2:] == ["SENDING", "PREPARED"]
    found = accepted and cloud.finds
    assert run_again(archive, cloud) == ["DONE", "DONE", "DONE" if found else "SENDING", "DONE"]
    assert cloud.asked() == [0, 1, 2, 3]
    if not found:
        assert run_again(archive, cloud)[2] == "SENDING" and cloud.asked() == [0, 1, 2, 3]


def test_one_that_is_killed_while_it_waits_is_gone_on_with(archive, cloud, group, start):
    cloud.server.hold()
    script = start()
    when(lambda: len(cloud.asked()) == 4 and group.statuses() == ["QUEUED"] * 4)
    script.kill()
    script.wait()
    cloud.server.release()
    assert run_again(archive, cloud) == ["DONE"] * 4
    assert cloud.asked() == [0, 1, 2, 3]
    assert [cloud.shots_of(result) for result in group.get_results()] == [10, 11, 12, 13]


def test_one_that_is_killed_while_it_collects_is_gone_on_with(archive, cloud, group, start):
    cloud.collecting_hangs(skip=1)
    script = start()
    when(lambda: not cloud.server._failures)
    script.kill()
    script.wait()
    assert group.statuses().count("DONE") == 1
    assert run_again(archive, cloud) == ["DONE"] * 4
    assert cloud.asked() == [0, 1, 2, 3]
    assert [len(job.folded.attempts) for job in group] == [1] * 4


def test_one_that_is_killed_again_and_again_sends_each_job_once(archive, cloud, start):
    chance = random.Random(5)
    group = archive.group("sweep")
    cloud.add(group, 8)
    archive.flush()
    for _ in range(5):
        script = start()
        script.line()
        time.sleep(chance.random() * 0.3)
        script.kill()
        script.wait()
    statuses = run_again(archive, cloud)
    assert set(statuses) <= {"DONE", "SENDING"}
    assert sorted(cloud.asked()) == sorted(set(cloud.accepted()))  # each at most once
    if cloud.finds:  # what was never accepted was killed before the request left, and nobody can know that it did not
        assert [number for number in range(8) if statuses[number] == "DONE"] == sorted(cloud.accepted())
        group.run_parallel(client=cloud.client(), resend=True)
        assert group.statuses() == ["DONE"] * 8
        assert sorted(cloud.accepted()) == list(range(8))


def test_two_processes_that_run_one_group_send_each_job_once(archive, cloud, start):
    group = archive.group("sweep")
    cloud.add(group, 8)
    archive.flush()
    cloud.server.latency_s = 0.01
    first, second = start(), start()
    for script in (first, second):
        lines, code = script.wait()
        assert (lines[-1].split(), code) == (["DONE"] * 8, 0)
    assert sorted(cloud.asked()) == list(range(8))
    assert [len(job.folded.attempts) for job in group] == [1] * 8


@pytest.mark.parametrize("moment", ["sending", "waiting"])
def test_one_that_is_interrupted_ends_at_once_and_is_gone_on_with(archive, cloud, group, start, moment):
    if moment == "sending":
        cloud.fail(None, 3, after_processing=True, hang_s=1)
        script = start()
        when(lambda: len(cloud.asked()) == 3)
    else:
        cloud.server.hold()
        script = start()
        when(lambda: group.statuses() == ["QUEUED"] * 4)
    began = time.monotonic()
    script.kill(signal.SIGINT)
    _, code = script.wait()
    assert code == 1 and time.monotonic() - began < 5
    cloud.server.release()
    found = moment == "waiting" or cloud.finds
    assert run_again(archive, cloud) == ["DONE", "DONE", "DONE" if found else "SENDING", "DONE"]
    assert cloud.asked() == [0, 1, 2, 3]


def test_a_run_waits_for_what_another_process_is_sending_just_now(archive, cloud, group, start):
    """A job that is on its way from one process is neither looked for nor sent by another one, which waits for its end."""
    cloud.server.latency_s = 0.15
    first = start()
    when(lambda: "SENDING" in group.statuses())
    group.run_parallel(client=cloud.client())
    assert group.statuses() == ["DONE"] * 4
    cloud.server.latency_s = 0
    assert first.wait()[0][-1].split() == ["DONE"] * 4
    assert sorted(cloud.asked()) == [0, 1, 2, 3]
    assert [len(job.folded.attempts) for job in group] == [1] * 4
