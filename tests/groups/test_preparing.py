"""What is prepared is archived with all that goes into it, once and in order, and nothing is sent."""

import itertools
import random
import signal
import time
import uuid

import numpy as np
import pytest
from group_runs import Script, aer, attempts_of, circuits_of, flipped, lab, run_script, turned, warned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import UnitaryGate
from qiskit.primitives import StatevectorSampler
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2

import qarchive
from qarchive.errors import BadInput, NotEncodable
from qarchive.providers import hooks, registry

HINT = "give the same circuits in the same order and the same way, or map into another group"


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


# add


def test_what_is_added_is_prepared_and_nothing_runs(archive):
    group = archive.group("scan")
    [job] = group.add(aer(), flipped(5), shots=10)
    assert (job.status, attempts_of(job), job.shots, job.names, job.kind) == ("PREPARED", [], 10, ("flipped-5",), "simulator")
    assert job.input[0] == flipped(5) if isinstance(job.input, list) else job.input == flipped(5)
    assert group.statuses() == ["PREPARED"] and list(group) == [job] and len(archive.jobs()) == 1


def test_jobs_stand_in_the_order_in_which_they_were_added(archive):
    group = archive.group("scan")
    order = random.Random(1).sample(range(8), 8)
    added = [job for number in order for job in group.add(aer(), flipped(number))]
    assert list(group) == added and circuits_of(group) == [f"flipped-{number}" for number in order]
    assert group[0] == added[0] and group[-1] == added[-1] and group[2:4] == added[2:4]
    with pytest.raises(IndexError):
        group[8]
    with pytest.raises(IndexError):
        group[-9]


def test_what_another_object_or_process_adds_comes_behind(folder, archive):
    archive.group("scan").add(aer(), flipped(0))
    run_script("qarchive.open(path).group('scan').add(aer(), flipped(1))", path=str(archive.path))
    archive.group("scan").add(aer(), flipped(2))
    assert circuits_of(archive.group("scan")) == ["flipped-0", "flipped-1", "flipped-2"]


def test_250_circuits_become_three_jobs(archive):
    group = archive.group("scan")
    jobs = group.add(aer(), [turned(number) for number in range(250)], shots=1)
    assert [job.row.size for job in jobs] == [100, 100, 50]
    assert circuits_of(group) == [f"turned-{number}" for number in range(250)]
    assert str(group.report()) == "group scan: 3 jobs, 250 circuits (3 not sent)\n  circuits 0-249: not sent"


def test_circuits_may_come_from_a_generator_or_by_name(archive):
    group = archive.group("scan")
    group.add(aer(), (flipped(number) for number in range(3)), shots=1)
    group.add(aer(), circuits=iter([flipped(3)]), shots=1)
    group.add(SamplerV2(), ((flipped(number),) for number in range(4, 6)), shots=1)
    assert circuits_of(group) == [f"flipped-{number}" for number in range(6)]
    group.run_sequential()
    assert [next(iter(counts)) for counts in group.result().get_counts()] == [f"{number:03b}" for number in range(6)]


def test_labels_of_the_context_go_with_what_is_prepared_inside(archive):
    group = archive.group("scan")
    with archive.context(group="another", tags=["paper"], params={"x": 0.5}):
        [job] = group.add(aer(), flipped(1))
    assert job.labels == {"group": "scan", "tags": ["paper"], "params": {"x": 0.5}}
    assert group.tags == ["paper"] and [each.name for each in archive.groups()] == ["scan"]
    group.run_sequential()
    assert archive.job(job.id).labels == {"group": "scan", "tags": ["paper"], "params": {"x": 0.5}}


def test_a_pause_is_no_obstacle_to_preparing_and_running(archive):
    with archive.paused():
        [job] = archive.group("scan").add(aer(), flipped(1))
        assert job.status == "PREPARED"
        archive.group("scan").run_sequential()
        aer().run(flipped(2)).result()
    assert archive.job(job.id).status == "DONE" and len(archive.jobs()) == 1


def test_within_a_run_that_is_recorded_a_group_can_be_prepared_and_run(archive):
    class Asking(AerSimulator):
        def run(self, *args, **kwargs):
            inner.append(archive.group("inner").add(aer(), flipped(1))[0])
            archive.group("inner").run_sequential()
            return super().run(*args, **kwargs)

    inner = []
    archive.wrap(Asking()).run(flipped(2)).result()
    assert archive.job(inner[0].id).status == "DONE"
    assert sorted(job.names for job in archive.jobs()) == [("flipped-1",), ("flipped-2",)]


def test_under_autolog_what_is_added_is_prepared_once_and_what_runs_is_recorded_once(folder):
    lines = run_script(
        """
        archive = qarchive.autolog(path)
        backend = AerSimulator()
        group = archive.group("scan")
        group.add(backend, flipped(1), shots=5)
        backend.run(flipped(2), shots=5).result()
        group.run_sequential()
        group.run_sequential()
        for job in archive.jobs(order="oldest"):
            tell(job.names[0], job.status, job.labels.get("group"), len(job.folded.attempts))
        """,
        path=str(folder / "lab"),
    )
    assert lines == ["flipped-1 DONE scan 1", "flipped-2 DONE None 1"]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("make", [AerSimulator, StatevectorSampler, SamplerV2])
def test_the_users_objects_are_not_altered_and_run_as_before(archive, make, wrapped):
    target = make()
    target = archive.wrap(target) if wrapped else target
    before, kind = hooks.marked(target), type(target)
    attributes = set(vars(target))
    [job] = archive.group("scan").add(target, [flipped(3)], shots=7)
    assert job.status == "PREPARED" and type(target) is kind
    assert hooks.marked(target) is before and set(vars(target)) == attributes
    target.run([flipped(4)], shots=7).result()
    archive.group("scan").run_sequential()
    target.run([flipped(5)], shots=7).result()
    assert [job.names for job in archive.jobs(order="oldest")] == [("flipped-3",), *[("flipped-4",), ("flipped-5",)] * wrapped]
    assert archive.job(job.id).counts() == {"011": 7} and hooks.marked(target) is before and set(vars(target)) == attributes


def test_what_cannot_be_stored_is_refused_whole_and_nothing_is_there(archive):
    from qiskit.circuit import Gate

    class Odd(Gate):
        def __init__(self):
            super().__init__("odd", 1, [object()])

        def validate_parameter(self, parameter):
            return parameter

    odd = QuantumCircuit(1, name="odd")
    odd.append(Odd(), [0])
    group = archive.group("scan")
    with pytest.raises(NotEncodable):
        group.add(aer(), [*(turned(number) for number in range(150)), odd])
    assert len(group) == 0 and len(archive.jobs()) == 0
    with pytest.raises(NotEncodable):
        group.add(aer(), odd)
    assert len(group) == 0 and archive.verify(deep=True).findings == []


@pytest.mark.parametrize("target", [object(), 3])
def test_what_no_sdk_runs_is_refused(archive, target):
    with pytest.raises(BadInput) as caught:
        archive.group("scan").add(target, flipped(1))
    known = ", ".join(registry.built_in())
    said = f"a builtins.{type(target).__name__}: belongs to no provider that qarchive knows; it knows {known}"
    assert str(caught.value) == said
    assert len(archive.group("scan")) == 0


def test_no_circuits_are_refused(archive):
    for empty in ([], iter(())):
        with pytest.raises(BadInput) as caught:
            archive.group("scan").add(aer(), empty)
        assert str(caught.value) == "the list of circuits: is empty; give one or more"
        with pytest.raises(BadInput) as caught:
            archive.group("scan").map(aer(), empty)
        assert str(caught.value) == "the circuits of this map: are none; give one or more"
    assert len(archive.group("scan")) == 0 and len(archive.jobs()) == 0


def test_an_exception_of_what_yields_the_circuits_passes_and_nothing_is_there(archive):
    class Mine(Exception):
        pass

    def broken():
        yield flipped(1)
        raise Mine

    for target in (aer(), SamplerV2()):
        with pytest.raises(Mine):
            archive.group("scan").add(target, broken())
    assert len(archive.group("scan")) == 0


def test_an_exception_of_the_sdk_passes_and_nothing_is_there(archive):
    bare = [pytest.raises(Exception), pytest.raises(Exception)]
    sampler = StatevectorSampler()
    with bare[0] as direct:
        sampler.run([("no circuit",)])
    with bare[1] as prepared:
        archive.group("scan").add(sampler, [("no circuit",)])
    assert len(archive.group("scan")) == 0
    assert (type(prepared.value), str(prepared.value)) == (type(direct.value), str(direct.value))


# map


def test_a_map_is_cut_into_jobs_and_given_again_adds_nothing(archive):
    group = archive.group("sweep")
    for _ in range(2):
        assert group.map(aer(), (turned(number) for number in range(25)), per_job=10, shots=3) == 25
        assert [job.row.size for job in group] == [10, 10, 5]
    assert archive.group("sweep").map(aer(), [turned(number) for number in range(25)], shots=3) == 25
    assert circuits_of(group) == [f"turned-{number}" for number in range(25)] and len(group) == 3


def test_circuits_may_repeat(archive):
    group = archive.group("sweep")
    same = [turned(number % 2) for number in range(9)]
    for _ in range(2):
        assert group.map(aer(), iter(same), per_job=2) == 9
        assert circuits_of(group) == [f"turned-{number % 2}" for number in range(9)]
    all_alike = archive.group("alike")
    for _ in range(2):
        assert all_alike.map(aer(), itertools.repeat(turned(1), 5), per_job=2) == 5
    assert len(all_alike) == 3


def test_a_finished_map_refuses_other_circuits_more_of_them_and_fewer(archive):
    group = archive.group("sweep")
    group.map(aer(), map(turned, range(5)), per_job=2)
    for circuits, message in (
        ([*map(turned, range(5)), turned(9)], f"the circuits of this map: are more than the 5 that the group has of it; {HINT}"),
        (map(turned, range(4)), f"circuit 4 of this map: is missing: the group has it otherwise; {HINT}"),
        (map(turned, range(3)), f"circuit 3 of this map: is missing: the group has it otherwise; {HINT}"),
        (map(turned, (0, 1, 2, 7, 4)), f"circuit 3 of this map: differs: the group has it otherwise; {HINT}"),
    ):
        with pytest.raises(BadInput) as caught:
            group.map(aer(), circuits, per_job=2)
        assert str(caught.value) == message
    assert circuits_of(group) == [f"turned-{number}" for number in range(5)]


def _break_off(group, target, circuits, per_job=2, **options):
    """Map some circuits, and fail where there would be more."""

    def broken():
        yield from circuits
        raise InterruptedError

    with pytest.raises(InterruptedError):
        group.map(target, broken(), per_job=per_job, **options)


def test_a_map_that_was_broken_off_goes_on_with_the_same_circuits_alone(archive):
    group = archive.group("sweep")
    _break_off(group, aer(), map(turned, range(5)))
    assert circuits_of(group) == [f"turned-{number}" for number in range(4)]
    broken = "are not those of the map that was broken off after 4 circuits"
    for circuits, message in (
        (map(turned, range(9, 12)), f"the circuits of this map: {broken}; {HINT}"),
        (map(turned, (0, 9)), f"circuit 1 of this map: differs: the group has it otherwise; {HINT}"),
        (map(turned, range(3)), f"circuit 3 of this map: is missing: the group has it otherwise; {HINT}"),
    ):  # fmt: skip
        with pytest.raises(BadInput) as caught:
            group.map(aer(), circuits, per_job=2)
        assert str(caught.value) == message
    with pytest.raises(BadInput) as caught:
        group.map(aer(), map(turned, range(5)), per_job=2, shots=7)
    assert str(caught.value) == f"the backend or the options of this map: {broken}; {HINT}"
    assert group.map(aer(), map(turned, range(8)), per_job=3) == 8
    assert circuits_of(group) == [f"turned-{number}" for number in range(8)]
    assert [job.row.size for job in group] == [2, 2, 3, 1]


def test_other_options_or_another_backend_make_another_map(archive):
    group = archive.group("sweep")
    assert group.map(aer(), map(turned, range(3)), shots=5) == 3
    assert group.map(aer(), map(turned, range(3)), shots=6) == 3
    assert group.map(AerSimulator(method="statevector"), map(turned, range(3)), shots=5) == 3
    assert len(group) == 3 and group.statuses() == ["PREPARED"] * 3
    assert group.map(aer(), map(turned, range(3)), shots=5) == 3
    assert len(group) == 3


def test_a_wrapped_backend_and_a_bare_one_map_alike(archive):
    group = archive.group("sweep")
    for target in (archive.wrap(aer()), aer(), archive.wrap(aer())):
        assert group.map(target, map(turned, range(5)), per_job=2, shots=5) == 5
    assert len(group) == 3


def test_pubs_are_mapped_and_told_apart_by_their_values(archive):
    from qiskit.circuit import Parameter

    angle = Parameter("a")
    circuit = QuantumCircuit(1, name="by angle")
    circuit.rx(angle, 0)
    circuit.measure_all()
    group, sampler = archive.group("pubs"), StatevectorSampler(seed=1)
    pubs = [(circuit, [0.1 * number]) for number in range(5)]
    for _ in range(2):
        assert group.map(sampler, iter(pubs), per_job=2, shots=4) == 5
    with pytest.raises(BadInput) as caught:
        group.map(sampler, [*pubs[:4], (circuit, [9.0])], per_job=2, shots=4)
    assert str(caught.value) == f"circuit 4 of this map: differs: the group has it otherwise; {HINT}"
    assert len(group) == 3


@pytest.mark.parametrize("per_job", [0, -1, 2.0, True, "2"])
def test_a_job_has_one_circuit_or_more(archive, per_job):
    with pytest.raises(BadInput) as caught:
        archive.group("sweep").map(aer(), [turned(1)], per_job=per_job)
    assert str(caught.value) == f"per_job={per_job!r}: is no number of circuits; give 1 or more"


def test_one_circuit_is_no_list_that_could_be_mapped(archive):
    with pytest.raises(BadInput) as caught:
        archive.group("sweep").map(aer(), turned(1))
    assert str(caught.value) == "a AerSimulator: it takes no list of circuits that could be cut; add them one by one"


def test_circuits_are_read_one_jobs_worth_ahead_at_most(archive):
    group, read, ahead = archive.group("sweep"), 0, []

    def counted():
        nonlocal read
        for number in range(40):
            ahead.append(read - archive._store.index.tally(group._row.id).get("PREPARED", (0, 0))[1])
            read += 1
            yield turned(number)

    group.map(aer(), counted(), per_job=5)
    assert max(ahead) <= 5 and read == 40
    read, ahead = 0, []
    group.map(aer(), counted(), per_job=5)
    assert read == 40 and len(group) == 8


def _maps(path, number, per_job):
    return Script("qarchive.open(path).group('sweep').map(aer(), map(turned, range(n)), per_job=k); tell('mapped')",
                  path=path, n=number, k=per_job)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(1, 60), per_job=st.integers(1, 9), kills=st.lists(st.floats(0, 0.25), min_size=1, max_size=3))
def test_however_often_a_map_is_killed_each_circuit_is_there_once_and_in_order(folder, number, per_job, kills):
    path = folder / f"lab-{uuid.uuid4()}"
    with qarchive.open(path) as archive:
        for moment in kills:
            child = _maps(path, number, per_job)
            time.sleep(moment)
            child.kill()
            assert child.wait()[1] in (0, -signal.SIGKILL)
            prepared = circuits_of(archive.group("sweep"))
            assert prepared == [f"turned-{n}" for n in range(len(prepared))]
        with warned() as told:
            assert archive.group("sweep").map(aer(), map(turned, range(number)), per_job=per_job) == number
        assert told == []
        assert circuits_of(archive.group("sweep")) == [f"turned-{n}" for n in range(number)]
        assert len(archive.group("sweep")) == -(-number // per_job)
        assert {finding.kind for finding in archive.verify(deep=True).findings} <= {"tail"}


def test_a_kill_at_any_commit_of_a_map_is_gone_on_from(folder):
    for commits in range(1, 6):
        path = folder / f"lab-{commits}"
        child = Script(
            """
            import signal
            from qarchive import disk
            left, real = commits, disk.append
            archive = qarchive.open(path)
            group = archive.group("sweep")

            def append(*args):
                global left
                left -= 1
                if left == 0:
                    os.write(args[0], args[1][: len(args[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args)

            disk.append = append
            group.map(aer(), map(turned, range(10)), per_job=4)
            """,
            path=path, commits=commits,
        )  # fmt: skip
        child.wait()
        with qarchive.open(path) as archive:
            assert archive.group("sweep").map(aer(), map(turned, range(10)), per_job=4) == 10
            assert circuits_of(archive.group("sweep")) == [f"turned-{n}" for n in range(10)]


def test_two_processes_that_map_the_same_at_once_prepare_it_once(folder, archive):
    children = [_maps(archive.path, 40, 3) for _ in range(3)]
    assert [child.wait() for child in children] == [(["mapped"], 0)] * 3
    assert circuits_of(archive.group("sweep")) == [f"turned-{n}" for n in range(40)]


def test_the_memory_of_a_map_does_not_grow_with_its_circuits(folder):
    lines = run_script(
        """
        import tracemalloc
        archive = qarchive.open(path)
        def peak(name, number):
            archive.group(name).map(aer(), map(turned, range(20)), per_job=20)  # whatever is read once
            tracemalloc.start()
            archive.group(name + "s").map(aer(), map(turned, range(number)), per_job=20, shots=2)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found
        tell(peak("few", 200), peak("many", 2000))
        """,
        path=folder / "lab",
    )
    few, many = map(int, lines[0].split())
    assert many < 1.5 * few + 1_000_000


def test_a_circuit_with_a_matrix_of_four_megabytes_is_prepared_whole(archive):
    circuit = QuantumCircuit(9)
    circuit.append(UnitaryGate(np.eye(512)), range(9))
    circuit.measure_all()
    group = archive.group("wide")
    group.add(aer(), circuit, shots=3)
    group.run_sequential()
    assert group.result().get_counts(circuit) == {"0" * 9: 3}
