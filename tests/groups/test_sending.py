"""A job is claimed by one sender, recorded before it runs, and what could not be sent is said."""

import threading

import pytest
from group_runs import Script, aer, attempts_of, flipped, lab, warned
from qiskit_aer import AerSimulator

from qarchive.clouds import Clients
from qarchive.groups import selecting, sending
from qarchive.groups.locks import Lock
from qarchive.groups.targets import Targets
from qarchive.stage import Stage


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def units(group):
    return list(selecting.unsent(group._library, group._row, False))


def sender(group):
    return sending.Sender(group._library, group._row, Targets(group._library, Clients(None)))


def test_of_several_threads_one_sends_a_job(archive):
    group = archive.group("scan")
    group.add(aer(), flipped(1), shots=5)
    [unit] = units(group)
    words, start = [], threading.Barrier(6)

    def send():
        start.wait()
        words.append(sender(group).send(unit.members, unit.allowed).word)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive.flush()
    assert sorted(words) == ["sent", *["taken"] * 5] and attempts_of(group[0]) == ["DONE"]


def test_a_sender_that_was_stopped_sends_nothing_more(archive):
    group = archive.group("scan")
    group.add(aer(), flipped(1), shots=5)
    [unit], one = units(group), sender(group)
    one.stop()
    assert one.send(unit.members, unit.allowed) == sending.Sent("taken") and group.statuses() == ["PREPARED"]


def test_what_a_worker_has_is_nobody_elses_until_it_is_handed_back_or_the_process_is_gone(archive):
    group = archive.group("scan")
    group.add(aer(), flipped(1), shots=5)
    [unit] = units(group)
    given = sending.hand_out(archive, group._row, unit.members[0], unit.allowed)
    assert given is not None and sending.hand_out(archive, group._row, unit.members[0], unit.allowed) is None
    assert sender(group).send(unit.members, unit.allowed).word == "taken"
    stage = Stage(archive._store)
    sending.hand_back(stage, unit.members[0], given)
    stage.commit(durable=False)
    handing = """
    from qarchive.groups import selecting, sending
    group = qarchive.open(path).group("scan")
    [unit] = selecting.unsent(group._library, group._row, False)
    sending.hand_out(group._library, group._row, unit.members[0], unit.allowed)
    tell("handed out")
    time.sleep(60)
    """
    child = Script(handing, path=archive.path)
    assert child.line() == "handed out"
    group.run_sequential()
    assert group.statuses() == ["PREPARED"]
    child.kill()
    child.wait()
    group.run_sequential()
    assert group.statuses() == ["DONE"]


def test_a_lock_keeps_other_processes_out_and_is_gone_with_its_process(archive):
    row = archive.group("scan")._row
    holding = """
    from qarchive.groups.locks import Lock
    archive = qarchive.open(path)
    with Lock(archive, archive.group("scan")._row, "send"):
        tell("held")
        time.sleep(60)
    """
    child = Script(holding, path=archive.path)
    assert child.line() == "held"
    entered = threading.Event()

    def enter():
        with Lock(archive, row, "send") as lock:
            entered.set()
            lock.release()
            lock.release()

    thread = threading.Thread(target=enter)
    thread.start()
    with Lock(archive, row, "map"):
        assert not entered.wait(0.2)
    child.kill()
    child.wait()
    thread.join(30)
    assert entered.is_set()


def test_a_job_is_recorded_before_it_runs(archive):
    group, seen = archive.group("scan"), []

    class Looking(AerSimulator):
        def run(self, *args, **kwargs):
            seen.append((group.statuses(), len(group[0].folded.attempts)))
            return super().run(*args, **kwargs)

    group.add(aer(), flipped(1), shots=5)
    group.run_sequential(backends=[Looking()])
    assert seen == [(["RUNNING"], 1)] and group.statuses() == ["DONE"]


def test_a_device_on_which_a_job_cannot_run_is_said_and_the_job_stays_unsent(archive):
    from qiskit.primitives import StatevectorSampler

    group = archive.group("scan")
    group.add(aer(), flipped(1), shots=5)
    with warned() as told:
        group.run_sequential(backends=[StatevectorSampler()])
    assert group.statuses() == ["PREPARED"] and len(told) == 1 and told[0].startswith("group scan: 1 job could not be sent (")
    group.run_sequential()
    assert attempts_of(group[0]) == ["DONE"]
