"""Workers of executors: each job archived once, with tasks that hold ids and no token, whether or not they reach the archive."""

import multiprocessing
import os
import pickletools
import signal
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import pytest
from group_runs import Apart, Watched, aer, attempts_of, failing, flipped, lab, numbers_of, run_script, strict, warned

from qarchive import codec, pack, records
from qarchive.errors import BadInput
from qarchive.groups import preparing, workers
from qarchive.groups.running import Means
from qarchive.values import Link

TOKEN = "tok-3f9a1c77e0b2d4566f"


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def prepared(archive, number=5):
    group = archive.group("scan")
    for each in range(number):
        group.add(aer(), flipped(each), shots=5)
    return group


def whole(group, number=5):
    assert [attempts_of(job) for job in group] == [["DONE"]] * number
    assert [group.result().get_counts(each) for each in range(number)] == [{f"{each:03b}": 5} for each in range(number)]
    assert group._library.verify(deep=True).findings == []


class WithToken:
    """Makes a simulator where it is called, as a client is made; it keeps a token."""

    def __init__(self, token):
        self.token = token

    def __call__(self):
        return aer()


def test_threads_record_every_job_once(archive):
    group = prepared(archive)
    with ThreadPoolExecutor(3) as executor:
        group.run_parallel(executor=executor)
        whole(group)
        group.run_parallel(2, executor=executor)
    whole(group)


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_record_every_job_once(archive, start):
    group = prepared(archive)
    with ProcessPoolExecutor(2, multiprocessing.get_context(start)) as executor:
        group.run_parallel(executor=executor)
    whole(group)


def test_forked_processes_record_every_job_once(folder):
    lines = run_script(
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        archive = qarchive.open(path)
        group = archive.group("scan")
        for number in range(5):
            group.add(aer(), flipped(number), shots=5)
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as executor:
            group.run_parallel(executor=executor)
        tell([len(job.folded.attempts) for job in group], group.result().get_counts() == [{f"{n:03b}": 5} for n in range(5)])
        """,
        path=folder / "lab",
    )
    assert lines == ["[1, 1, 1, 1, 1] True"]


def test_dask_records_every_job_once(folder):
    lines = run_script(
        """
        from distributed import Client, LocalCluster
        archive = qarchive.open(path)
        group = archive.group("scan")
        for number in range(5):
            group.add(aer(), flipped(number), shots=5)
        options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
        with LocalCluster(protocol="tcp://", host="127.0.0.1", **options) as cluster, Client(cluster) as dask:
            group.run_parallel(executor=dask.get_executor())
        tell([len(job.folded.attempts) for job in group], group.result().get_counts() == [{f"{n:03b}": 5} for n in range(5)])
        """,
        path=folder / "lab",
    )
    assert lines == ["[1, 1, 1, 1, 1] True"]


# What a task is


def test_a_task_holds_ids_and_the_path_and_neither_circuit_nor_backend(archive):
    group, executor = prepared(archive), Watched()
    group.run_parallel(executor=executor)
    assert len(executor.tasks) == 5
    for task, job in zip(executor.tasks, group):
        texts = [value for _, value, _ in pickletools.genops(task) if isinstance(value, str)]
        assert job.id in texts and str(archive.path) in texts and archive.id in texts
        assert not any(word in task for word in (b"flipped", b"qiskit", b"QPY", b"QISKIT", b"AerSimulator"))
        assert len(task) < 1500
    whole(group)


def test_what_was_given_to_add_is_not_sent_to_workers(archive):
    group, backend = archive.group("scan"), aer()
    backend.token = TOKEN
    group.add(backend, flipped(1), shots=5)
    executor = Watched()
    group.run_parallel(executor=executor)
    assert group.statuses() == ["DONE"] and not any(TOKEN.encode() in task for task in executor.tasks)


def test_clients_and_backends_are_not_sent_to_workers(archive):
    group = prepared(archive, 1)
    with pytest.raises(BadInput) as caught:
        group.run_parallel(executor=Watched(), backends=[aer()])
    assert str(caught.value) == "backends: cannot be sent to workers; give a function that makes one: `client=make_backend`"
    with pytest.raises(BadInput) as caught:
        group.run_parallel(executor=Watched(), client=aer())
    assert str(caught.value) == ("client=AerSimulator: would be sent to workers with its token; give a function that makes it")
    assert group.statuses() == ["PREPARED"]


def test_a_function_that_makes_a_backend_is_called_in_the_worker(archive):
    group = prepared(archive, 2)
    group.run_parallel(executor=Watched(), client=WithToken("none"))
    whole(group, 2)


def test_a_function_that_raises_is_heard_of_and_nothing_is_sent(archive):
    group = prepared(archive, 2)

    def broken():
        if os.getpid():
            raise ZeroDivisionError("no login")

    with pytest.raises(ZeroDivisionError, match="no login"):
        group.run_parallel(executor=Watched(), client=broken)
    assert group.statuses() == ["PREPARED"] * 2


class OnlyHere:
    """Makes a simulator in one process alone."""

    def __init__(self):
        self.process = os.getpid()

    def __call__(self):
        if os.getpid() != self.process:
            raise ZeroDivisionError("no login here")
        return aer()


def test_a_function_that_raises_in_the_worker_is_a_warning_and_nothing_is_sent(archive):
    group = prepared(archive, 2)
    with warned() as told:
        group.run_parallel(executor=Apart(archive.path), client=OnlyHere())
    assert told == ["group scan: 2 jobs could not be sent (ZeroDivisionError: no login here)"]
    assert group.statuses() == ["PREPARED"] * 2
    group.run_sequential()
    whole(group, 2)


# Without the archive


def test_a_worker_that_does_not_reach_the_archive_hands_back_what_it_recorded(archive):
    group, executor = prepared(archive, 3), Apart(archive.path)
    group.run_parallel(executor=executor)
    assert executor.names.count("run_handed_out") == 3 and "carry_out" in executor.names
    whole(group, 3)
    assert all(job.environment for job in group)
    group.run_parallel(executor=executor)
    whole(group, 3)


def test_attempts_of_such_a_worker_are_numbered_on(archive):
    group = archive.group("scan")
    group.add(strict(), failing(), shots=5)
    group.run_sequential()
    executor = Apart(archive.path)
    for number in (2, 3):
        group._again(group._failed(lambda member: True), Means(executor=executor), None, replace=True)
        [job] = group
        assert attempts_of(job) == ["ERROR"] * number and numbers_of(job) == list(range(1, number + 1))
    assert archive.verify(deep=True).findings == []


def test_a_copy_of_a_failed_job_runs_in_such_a_worker_too(archive):
    group = archive.group("scan")
    group.add(strict(), failing(), shots=5)
    group.run_sequential()
    [failed] = group.members()
    copy = preparing.copy(archive, archive._store.index.groups("scan")[0], failed)
    group.run_parallel(executor=Apart(archive.path))
    assert [attempts_of(job) for job in group] == [["ERROR"], ["ERROR"]] and group[1].id == copy.id.hex()


def _hostile(change):
    """A worker that hands back something else than it recorded."""

    def meanwhile(found):
        return replace(found, blobs=change(found.blobs)) if isinstance(found, workers.HandedBack) else found

    return meanwhile


def test_what_is_handed_back_about_another_job_is_refused(archive):
    group = prepared(archive, 3)
    other = archive.group("other").add(aer(), flipped(7), shots=5)[0]
    removal = codec.encode(records.removal_record(job=Link(bytes.fromhex(other.id))))
    with warned() as told:
        group.run_parallel(executor=Apart(archive.path, _hostile(lambda blobs: (*blobs, (pack.RECORD, removal)))))
    hint = "run `qarchive verify` to see what is affected"
    damages = [f"what a worker handed back: it is about another job than {job.id[:12]}; {hint}" for job in group]
    assert told in [[f"group scan: 3 jobs could not be sent ({damage})"] for damage in damages]
    assert group.statuses() == ["PREPARED"] * 3
    assert archive.job(other.id).status == "PREPARED" and archive.verify(deep=True).findings == []
    group.run_sequential()
    whole(group, 3)


def _removal(job):
    return [(pack.RECORD, codec.encode(records.removal_record(job=job)))]


@pytest.mark.parametrize("made, said", [
    (_removal, "a record of type 'removal' is not of a run"),
    (lambda job: [(pack.RECORD, codec.encode({"type": "outcome"}))], "a record of type 'outcome' without job"),
    (lambda job: [(pack.RECORD, b"\xc1")], "it is no record"),
    (lambda job: None, "it is no record"),
    (lambda job: [("result",)], "it is no record"),
])  # fmt: skip
def test_what_is_handed_back_and_is_no_run_of_the_job_is_refused(archive, made, said):
    group = prepared(archive, 1)
    bad = made(Link(bytes.fromhex(group[0].id)))
    with warned() as told:
        group.run_parallel(executor=Apart(archive.path, _hostile(lambda blobs: None if bad is None else (*blobs, *bad))))
    damage = f"{said}; run `qarchive verify` to see what is affected"
    assert told == [f"group scan: 1 job could not be sent (what a worker handed back: {damage})"]
    assert group.statuses() == ["PREPARED"] and archive.verify(deep=True).findings == []
    group.run_sequential()
    whole(group, 1)


def test_what_a_run_that_is_broken_off_had_handed_out_can_run_at_once(archive):
    class Impatient(Apart):
        def submit(self, task, /, *args, **kwargs):
            if task.__name__ == "run_handed_out":
                raise KeyboardInterrupt
            return super().submit(task, *args, **kwargs)

    group = prepared(archive, 2)
    with pytest.raises(KeyboardInterrupt):
        group.run_parallel(executor=Impatient(archive.path))
    assert group.statuses() == ["PREPARED"] * 2
    group.run_sequential()
    whole(group, 2)


# Workers that die


class Deadly:
    """A simulator that takes its process with it."""

    def __init__(self):
        self.process = os.getpid()

    def __call__(self):
        if os.getpid() != self.process:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        return aer()


def test_a_worker_that_is_killed_is_heard_of_and_the_group_goes_on_later(archive):
    group = prepared(archive, 4)
    with warned() as told, ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as executor:
        group.run_parallel(2, executor=executor, client=Deadly())
    broken = "A process in the process pool was terminated abruptly while the future was running or pending."
    assert told[0] == f"group scan: stopped; the executor is broken ({broken})"
    group.run_sequential()
    assert group.statuses() == ["DONE"] * 4 and group.result().get_counts(3) == {"011": 5}


def test_an_executor_that_was_broken_or_shut_down_before_is_heard_of(archive):
    group = prepared(archive, 2)
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with warned() as told:
        group.run_parallel(executor=executor)
    assert told == ["group scan: stopped; the executor takes no more (cannot schedule new futures after shutdown)"]
    assert group.statuses() == ["PREPARED"] * 2
    group.run_sequential()
    whole(group, 2)
