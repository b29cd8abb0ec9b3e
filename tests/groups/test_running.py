"""Running a group: each job once, whoever runs it, however often, and whatever breaks in between."""

import os
import signal
import subprocess
import sys
import time
from ast import literal_eval
from pathlib import Path

import pytest
from group_runs import (
    Script,
    aer,
    attempts_of,
    failing,
    fill,
    flipped,
    lab,
    numbers_of,
    run_script,
    slow,
    small_disk,
    strict,
    turned,  # fmt: skip
    warned,
    when,
)
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

import qarchive
from qarchive.errors import BadInput, CannotWrite

RUN = """
group = qarchive.open(path).group("scan")
tell("ready")
group.run_parallel(parallel) if parallel else group.run_sequential()
tell("done")
"""


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def every_job(archive):
    return [(job.status, attempts_of(job)) for job in archive.group("scan")]


# What runs


@pytest.mark.parametrize("parallel", [0, 1, 3, None])
def test_every_job_runs_once_and_nothing_runs_again(archive, parallel):
    group = archive.group("scan")
    for number in range(6):
        group.add(aer(), flipped(number), shots=5)
    for _ in range(2):
        with warned() as told:
            group.run_sequential() if parallel == 0 else group.run_parallel(parallel)
        assert told == [] and every_job(archive) == [("DONE", ["DONE"])] * 6
    assert group.result().get_counts() == [{f"{number:03b}": 5} for number in range(6)]


def test_one_script_prepares_a_second_runs_and_a_third_analyses(folder):
    """Whole processes, as users have them; the third on a copy of the folder elsewhere."""
    scripts = {
        "prepare": """
from qiskit.providers.fake_provider import GenericBackendV2
noisy = AerSimulator.from_backend(GenericBackendV2(3, seed=5), max_parallel_threads=1)
circuits = [transpile(flipped(number), noisy, seed_transpiler=1) for number in range(4)]
archive = qarchive.open(sys.argv[1])
archive.group("scan").add(noisy, circuits, shots=200, seed_simulator=7)
print([counts for counts in noisy.run(circuits, shots=200, seed_simulator=7).result().get_counts()])
""",
        "run": "qarchive.open(sys.argv[1]).group('scan').run_sequential()",
        "analyse": "print(qarchive.open(sys.argv[1]).group('scan').result().get_counts())",
    }
    head = "import sys, qarchive\nfrom qiskit import transpile\nfrom group_runs import *\n"
    path, said = folder / "lab", {}
    for name, text in scripts.items():
        if name == "analyse":
            path = path.rename(folder / "elsewhere")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-W", "error", "-c", head + text, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout
    bare, archived = literal_eval(said["prepare"]), literal_eval(said["analyse"])
    assert len(bare) == 4 and any(len(counts) > 1 for counts in bare)  # noise
    assert archived == bare and said["run"] == ""


def test_a_job_that_fails_does_not_keep_the_next_ones_from_running(archive):
    group = archive.group("scan")
    for circuit in (flipped(0), failing(), flipped(2)):
        group.add(strict(), circuit, shots=5)
    group.run_sequential()
    assert [attempts for _, attempts in every_job(archive)] == [["DONE"], ["ERROR"], ["DONE"]]
    assert group.list_unsuccessful_jobs() == [group[1]] and len(group.list_successful_jobs()) == 2
    group.run_parallel()
    assert every_job(archive)[1] == ("ERROR", ["ERROR"])
    for number in (2, 3):
        group.retry() if number == 2 else group.rerun_failed_parallel()
        assert every_job(archive) == [("DONE", ["DONE"]), ("ERROR", ["ERROR"] * number), ("DONE", ["DONE"])]
        assert numbers_of(group[1]) == [*range(1, number + 1)]


def test_a_failed_job_may_be_added_anew_with_the_first_one_as_its_parent(archive):
    group = archive.group("scan")
    group.add(strict(), failing(), shots=5)
    group.add(strict(), flipped(1), shots=5)
    group.run_sequential()
    group.rerun_failed_sequential(replace_failed_jobs=False)
    first, _, copy = group
    assert every_job(archive) == [("ERROR", ["ERROR"]), ("DONE", ["DONE"]), ("ERROR", ["ERROR"])]
    assert copy.record["parent"].digest.hex() == first.id and copy.names == ("failing",) and copy.shots == 5
    with qarchive.open(archive.path) as other:
        other.group("scan").rerun_failed_parallel(replace_failed_jobs=False)
    assert len(group) == 5 and [job.record.get("parent") is not None for job in group] == [False, False, True, True, True]


def test_retry_takes_the_jobs_that_fit(archive):
    group = archive.group("scan")
    for shots in (10, 20, 30):
        group.add(strict(), failing(), shots=shots)
    group.run_sequential()
    ids, created = [job.id for job in group], [job.created for job in group]

    def again(**filters):
        before = [len(job.folded.attempts) for job in group]
        group.retry(**filters)
        return [len(job.folded.attempts) - number for job, number in zip(group, before)]

    assert again(id=ids[1]) == [0, 1, 0]
    assert again(id=[ids[0], ids[2][:12]]) == [1, 0, 1]
    assert again(min_runs=20) == [0, 1, 1] and again(max_runs=20) == [1, 1, 0] and again(min_runs=11, max_runs=29) == [0, 1, 0]
    assert again(start_date=created[1]) == [0, 1, 1] and again(end_date=created[1]) == [1, 0, 0]
    assert again(status="ERROR") == [1, 1, 1] and again(status="CANCELLED") == [0, 0, 0] and again(id=[]) == [0, 0, 0]
    with pytest.raises(BadInput) as caught:
        group.retry(status="DONE")
    assert str(caught.value) == ("the status 'DONE': is none of a job that is retried; "
                                 "it is one of CANCELLED, ERROR, PARTIAL, REFUSED, TIMED_OUT, UNKNOWN")  # fmt: skip


def test_the_next_job_is_sent_after_the_delay(archive):
    group = archive.group("scan")
    for number in range(3):
        group.add(aer(), flipped(number), shots=5)
    group.run_sequential(0.3)
    starts = [attempt.record["created"].ns for job in group for attempt in job.folded.attempts]
    assert all(later - earlier >= 0.3e9 for earlier, later in zip(starts, starts[1:]))


# On what it runs


class Bench(AerSimulator):
    """Of a user's: named, and told of each run."""

    def __init__(self, name, ran):
        super().__init__(max_parallel_threads=1)
        self.name, self._ran = name, ran

    def run(self, *args, **kwargs):
        self._ran.append(self.name)
        time.sleep(0.02)
        return super().run(*args, **kwargs)


def test_several_backends_share_the_work_and_each_attempt_names_its_own(archive):
    group, ran = archive.group("scan"), []
    for number in range(8):
        group.add(aer(), flipped(number), shots=5)
    group.run_parallel(2, backends=[Bench("left", ran), Bench("right", ran)])
    assert sorted({*ran}) == ["left", "right"] and len(ran) == 8
    assert sorted(job.backend for job in group) == sorted(ran)
    assert all(job.backend_snapshot["name"] == job.backend for job in group)
    assert group.result().get_counts() == [{f"{number:03b}": 5} for number in range(8)]
    assert {stretch.backend for stretch in group.report().stretches} == {"left", "right"}


CUSTOM = """
from qiskit.providers import BackendV2, Options
class Mine(BackendV2):
    def __init__(self):
        super().__init__(name="mine")
        self._inner = aer()
    target = property(lambda self: self._inner.target)
    max_circuits = 2
    _default_options = classmethod(lambda cls: Options(shots=100))
    def run(self, run_input, **options):
        return self._inner.run(run_input, **options)
"""


def test_a_backend_that_is_no_simulator_is_given_again_where_it_is_not_at_hand(folder):
    adding = (
        "group = qarchive.open(path).group('scan')\ngroup.add(Mine(), [flipped(n) for n in range(3)], shots=5)\ntell(len(group))"
    )
    assert run_script(CUSTOM + adding, path=folder / "lab") == ["2"]
    with lab(folder) as archive:
        group = archive.group("scan")
        with warned() as told:
            group.run_sequential()
        assert group.statuses() == ["PREPARED"] * 2
        reason = "the backend mine: is no simulator, and cannot be made from the archive"
        assert told == [f"group scan: 2 jobs could not be sent ({reason}; give it: `backends=[backend]`)"]
    running = (
        "group = qarchive.open(path).group('scan')\ngroup.run_sequential(backends=[Mine()])\ntell(group.result().get_counts())"
    )
    assert run_script(CUSTOM + running, path=folder / "lab") == ["[{'000': 5}, {'001': 5}, {'010': 5}]"]


class Broken(Bench):
    def run(self, *args, **kwargs):
        raise RuntimeError("the laser is off")


def test_a_failed_job_is_retried_on_the_backend_that_is_given(archive):
    group, ran = archive.group("scan"), []
    group.add(Broken("first", ran), flipped(1), shots=5)
    group.run_sequential()
    assert group.statuses() == ["ERROR"]
    group.retry(backends=[Bench("second", ran)])
    assert [(job.status, job.backend, len(job.folded.attempts)) for job in group] == [("DONE", "second", 2)]
    assert group.result().get_counts() == {"001": 5}


def test_a_job_that_ran_in_the_context_of_a_group_can_be_retried(archive):
    with archive.context(group="scan"):
        try:
            archive.wrap(strict()).run(failing(), shots=5).result()
        except Exception:
            pass
    group = archive.group("scan")
    assert group.statuses() == ["ERROR"]
    with warned() as told:
        group.retry()
    assert told == [] and every_job(archive) == [("ERROR", ["ERROR", "ERROR"])]
    with warned() as told:
        group.rerun_failed_sequential(replace_failed_jobs=False)
    assert told == [] and every_job(archive) == [("ERROR", ["ERROR", "ERROR"]), ("ERROR", ["ERROR"])]


@pytest.mark.parametrize("wanted", [0, -1, 1.5, True])
def test_at_least_one_job_runs_at_once(archive, wanted):
    with pytest.raises(BadInput) as caught:
        archive.group("scan").run_parallel(wanted)
    assert str(caught.value) == f"max_parallel={wanted!r}: is no number of jobs; give 1 or more"


def test_what_was_prepared_runs_alike_in_another_process(archive):
    """The simulator as it was set up, its noise, and all options of the run; with equal seeds."""
    basic, noisy, device = BasicSimulator(), aer(), GenericBackendV2(3, seed=4)
    noisy.set_options(shots=70, seed_simulator=5, noise_model=NoiseModel.from_backend(device))
    angle = Parameter("a")
    bound = QuantumCircuit(1, name="bound")
    bound.rx(angle, 0)
    bound.measure_all()
    circuits = transpile([turned(700, 3), turned(1900, 3)], device, seed_transpiler=1)
    calls = [
        (basic, ([turned(900, 2)],), {"shots": 60, "seed_simulator": 2}),
        (noisy, (circuits,), {}),
        (noisy, (circuits,), {"shots": 90, "seed_simulator": 6, "memory": True}),
        (AerSimulator.from_backend(device), (circuits,), {"seed_simulator": 7}),
        (device, (circuits,), {"seed_simulator": 8, "shots": 80}),
        (aer(), ([bound],), {"parameter_binds": [{angle: [0.4, 1.9]}], "seed_simulator": 9}),
    ]
    bare = [target.run(*args, **options).result() for target, args, options in calls]
    group = archive.group("scan")
    for target, args, options in calls:
        group.add(target, *args, **options)
    assert len(group) == len(calls)
    assert Script(RUN, path=archive.path, parallel=0).wait() == (["ready", "done"], 0)
    for result, archived in zip(bare, group.get_results()):
        assert archived.get_counts() == result.get_counts()
        assert [each.shots for each in archived.results] == [each.shots for each in result.results]
    assert group.get_results()[2].get_memory(1) == bare[2].get_memory(1)


def test_after_an_interrupt_the_same_process_goes_on_with_what_still_runs(archive):
    group, ran = archive.group("scan"), []
    for number in range(5):
        group.add(aer(), slow(number, qubits=14, depth=4), shots=5)

    class Telling(Bench):
        def run(self, *args, **kwargs):
            if len(self._ran) == 1:
                signal.raise_signal(signal.SIGINT)  # heard by the main thread, while this one goes on
            return super().run(*args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        group.run_parallel(2, backends=[Telling("mine", ran)])
    group.run_parallel(2)
    assert [(status, len(attempts)) for status, attempts in every_job(archive)] == [("DONE", 1)] * 5


# Several processes


@pytest.mark.parametrize("processes, parallel", [(2, 0), (4, 2)])
def test_processes_that_run_a_group_at_once_run_each_job_once(archive, processes, parallel):
    group = archive.group("scan")
    for number in range(24):
        group.add(aer(), flipped(number % 8), shots=5)
    children = [Script(RUN, path=archive.path, parallel=parallel) for _ in range(processes)]
    assert [child.wait() for child in children] == [(["ready", "done"], 0)] * processes
    assert every_job(archive) == [("DONE", ["DONE"])] * 24
    assert group.result().get_counts() == [{f"{number % 8:03b}": 5} for number in range(24)]
    assert archive.verify(deep=True).findings == []


@pytest.mark.parametrize("parallel", [0, 2])
def test_after_a_kill_another_process_goes_on_and_loses_nothing(archive, parallel):
    group = archive.group("scan")
    for number in range(6):
        group.add(aer(), slow(number, qubits=15, depth=6), shots=5)
    child, killed = Script(RUN, path=archive.path, parallel=parallel), 0
    when(lambda: "DONE" in group.statuses() and "RUNNING" in group.statuses())
    child.kill()
    assert child.wait()[1] == -signal.SIGKILL
    before = group.statuses()
    assert 1 <= before.count("RUNNING") <= (parallel or 1)
    assert Script(RUN, path=archive.path, parallel=parallel).wait() == (["ready", "done"], 0)
    for was, (status, attempts) in zip(before, every_job(archive)):
        killed += was == "RUNNING"
        assert (status, attempts) == ("DONE", ["UNKNOWN", "DONE"] if was == "RUNNING" else ["DONE"])
    assert killed and len(group.result()) == 6


def test_a_run_beside_one_that_is_killed_takes_over_what_it_had(archive):
    group = archive.group("scan")
    for number in range(6):
        group.add(aer(), slow(number, qubits=15, depth=6), shots=5)
    one = Script(RUN, path=archive.path, parallel=0)
    when(lambda: "RUNNING" in group.statuses())
    other = Script(RUN, path=archive.path, parallel=0)
    other.line()
    time.sleep(0.1)
    one.kill()
    one.wait()
    assert other.wait() == (["done"], 0)
    group.run_sequential()
    assert [status for status, _ in every_job(archive)] == ["DONE"] * 6
    assert sum(len(attempts) for _, attempts in every_job(archive)) <= 7


@pytest.mark.parametrize("parallel", [0, 2])
def test_an_interrupt_leaves_a_group_that_goes_on(archive, parallel):
    group = archive.group("scan")
    for number in range(6):
        group.add(aer(), slow(number, qubits=15, depth=6), shots=5)
    text = "try:\n    " + RUN.strip().replace("\n", "\n    ") + "\nexcept KeyboardInterrupt:\n    tell('interrupted')"
    child = Script(text, path=archive.path, parallel=parallel)
    when(lambda: "RUNNING" in group.statuses())
    time.sleep(0.1)  # Python itself does not bear an interrupt while it starts a thread
    child.kill(signal.SIGINT)
    lines, code = child.wait()
    assert (lines, code) == (["ready", "interrupted"], 0)
    after = group.statuses()
    cut_off = [job for job in group if job.status == "ERROR"]  # one that the interrupt met while it was being sent
    assert "PREPARED" in after and [job.error["type"] for job in cut_off] == ["builtins.KeyboardInterrupt"] * len(cut_off)
    group.run_parallel()
    assert [status for status, _ in every_job(archive)] == ["DONE"] * 6
    assert [attempts[-1] for _, attempts in every_job(archive)] == ["DONE"] * 6
    assert sum(len(attempts) for _, attempts in every_job(archive)) <= 6 + (parallel or 1)


def test_what_an_interrupt_cuts_off_in_the_sdk_runs_again_with_the_rest(archive):
    group, ran = archive.group("scan"), []
    for number in range(4):
        group.add(aer(), flipped(number), shots=5)

    class Impatient(Bench):
        def run(self, *args, **kwargs):
            if len(self._ran) == 1:
                self._ran.append("interrupted")
                raise KeyboardInterrupt
            return super().run(*args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        group.run_sequential(backends=[Impatient("mine", ran)])
    assert group.statuses() == ["DONE", "ERROR", "PREPARED", "PREPARED"]
    group.run_sequential()
    assert [attempts for _, attempts in every_job(archive)] == [["DONE"], ["ERROR", "DONE"], ["DONE"], ["DONE"]]


# Disks


@pytest.mark.parametrize("parallel", [0, 2])
def test_on_a_full_disk_nothing_runs_unrecorded_and_the_group_goes_on_later(folder, parallel):
    with small_disk(folder / "disk", "8m") as disk, qarchive.open(disk / "lab") as archive:
        group = archive.group("scan")
        for number in range(3):
            group.add(aer(), flipped(number), shots=5)
        archive.flush()
        ballast, ran = fill(disk), []
        with pytest.raises(CannotWrite) as caught:
            group.add(aer(), [turned(number) for number in range(2000)], shots=5)
        ballast = fill(disk)  # an index that cannot be written gives up the room of its log
        reason = "the disk is full; free some space and run it again; what was acknowledged before is safe"
        full = f"cannot write {archive.path / 'packs'}: {reason}"
        assert str(caught.value) == full
        with warned(), pytest.raises(CannotWrite) as caught:  # what is left of a page of the disk may still hold a record
            group.run_parallel(2, backends=[Bench("a", ran)]) if parallel else group.run_sequential(backends=[Bench("a", ran)])
        assert str(caught.value) == full and len(ran) < 3
        ballast.unlink()
        assert sum(len(attempts) for _, attempts in every_job(archive)) == len(ran)
        group.run_sequential()
        assert every_job(archive) == [("DONE", ["DONE"])] * 3
        assert archive.verify(deep=True).findings == []


@pytest.mark.parametrize("parallel", [0, 2])
def test_a_disk_that_fills_up_while_a_group_runs_costs_no_result_that_was_recorded(folder, parallel):
    with small_disk(folder / "disk", "8m") as disk, qarchive.open(disk / "lab") as archive:
        group, ran = archive.group("scan"), []
        for number in range(12):
            group.add(aer(), flipped(number % 8), shots=5)
        archive.flush()

        class Filling(Bench):
            def run(self, *args, **kwargs):
                if len(self._ran) == 4:
                    fill(disk)
                return super().run(*args, **kwargs)

        with warned(), pytest.raises(CannotWrite):
            means = {"backends": [Filling("a", ran)]}
            group.run_parallel(parallel, **means) if parallel else group.run_sequential(**means)
        assert 5 <= len(ran) < 12
        (disk / "ballast").unlink()
        assert sum(len(attempts) for _, attempts in every_job(archive)) == len(ran)
        group.run_sequential()
        assert [status for status, _ in every_job(archive)] == ["DONE"] * 12
        assert group.result().get_counts() == [{f"{number % 8:03b}": 5} for number in range(12)]
        assert [len(attempts) for _, attempts in every_job(archive)] == [1] * 12


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a folder for reading alone")
def test_an_archive_that_cannot_be_written_is_read_and_nothing_is_prepared_or_run(folder, archive):
    group = archive.group("scan")
    group.add(aer(), flipped(1), shots=5)
    group.run_sequential()
    group.add(aer(), flipped(2), shots=5)
    archive.close()
    place = Path(folder / "mounted")
    place.mkdir()
    subprocess.run(["mount", "--bind", str(archive.path), str(place)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        read = qarchive.open(place)
        group, ran = read.group("scan"), []
        assert group.statuses() == ["DONE", "PREPARED"] and group.result(partial=True).get_counts(0) == {"001": 5}
        for call in (lambda: group.add(aer(), flipped(3)), lambda: group.map(aer(), [flipped(3)]), group.delete,
                     lambda: group.run_sequential(backends=[Bench("a", ran)]), lambda: read.group("new"),
                     lambda: group.run_parallel(2, backends=[Bench("a", ran)])):  # fmt: skip
            with pytest.raises(CannotWrite) as caught:
                call()
            assert str(caught.value).endswith(": the file system is read-only; choose a place that can be written")
        assert ran == [] and len(group) == 2
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
