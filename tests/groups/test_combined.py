"""The result of a group is that of its circuits, however many jobs it took."""

import numpy
import pytest
from group_runs import aer, circuits_of, failing, flipped, lab, strict, turned
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from qarchive.errors import Ambiguous, BadInput, JobFailed, NotFinished, NotFound


@pytest.fixture
def archive(folder):
    with lab(folder) as found:
        yield found


def mapped(archive, circuits, target=None, per_job=2, **options):
    group = archive.group("sweep")
    group.map(target or aer(), circuits, per_job=per_job, **{"shots": 5} | options)
    group.run_sequential()
    return group


def test_a_circuit_is_named_by_index_name_or_itself(archive):
    result = mapped(archive, map(flipped, range(7))).result()
    assert len(result) == 7 and len(result.jobs) == 4 and result.success and result.failures == []
    for number in range(7):
        expected = {f"{number:03b}": 5}
        for named in (number, number - 7, f"flipped-{number}", flipped(number)):
            assert result.get_counts(named) == expected
            assert result.index(named) == number
            assert result.data(named)["counts"] == {hex(number): 5} or result.data(named)
        job, place = result.job(number)
        assert (job.id, place) == (result.jobs[number // 2].id, number % 2)
    assert result.get_counts() == [{f"{number:03b}": 5} for number in range(7)]
    assert repr(result) == "<result of group sweep: 7 circuits, 4 jobs>"


def test_what_is_not_there_is_not_found(archive):
    result = mapped(archive, map(flipped, range(3))).result()
    hint = "give an index, or a name that one of its circuits has"
    for named, message in (
        (3, "circuit 3 is not in group sweep; it has 3 circuits, from 0"),
        (-4, "circuit -4 is not in group sweep; it has 3 circuits, from 0"),
        ("flopped", f"a circuit 'flopped' is not in group sweep; {hint}"),
        (turned(1), f"this circuit is not in group sweep; {hint}"),
    ):
        with pytest.raises(NotFound) as caught:
            result.get_counts(named)
        assert str(caught.value) == message


def test_equal_circuits_are_an_error_that_lists_their_indices(archive):
    result = mapped(archive, [flipped(number % 3) for number in range(8)]).result()
    for named in (flipped(1), "flipped-1"):
        with pytest.raises(Ambiguous) as caught:
            result.get_counts(named)
        assert str(caught.value) == "3 circuits of the group are equal to this one: 1, 4, 7; give an index"
        assert caught.value.places == [1, 4, 7]
    many = archive.group("many")
    many.map(aer(), [flipped(0)] * 12, per_job=5)
    many.run_sequential()
    with pytest.raises(Ambiguous) as caught:
        many.result().get_counts(flipped(0))
    assert str(caught.value) == "12 circuits of the group are equal to this one: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...; give an index"


def test_memory_states_and_unitaries_are_those_of_the_sdk(archive):
    state, unitary = QuantumCircuit(1, name="state"), QuantumCircuit(1, name="unitary")
    for circuit in (state, unitary):
        circuit.h(0)
    state.save_statevector()
    unitary.save_unitary()
    group = archive.group("saved")
    group.map(aer(), [flipped(5), flipped(6)], per_job=1, shots=3, memory=True)
    group.add(aer(), state)
    group.add(aer(method="unitary"), unitary)
    group.run_sequential()
    result = group.result()
    assert result.get_memory(1) == ["110"] * 3 and result.get_memory("flipped-5") == ["101"] * 3
    assert isinstance(result.get_statevector(2), Statevector) and result.get_statevector(2).equiv(Statevector([2**-0.5] * 2))
    assert isinstance(result.get_unitary(unitary), Operator) and result.get_unitary(unitary).equiv(Operator(_hadamard()))
    with pytest.raises(BadInput) as caught:
        result.get_statevector(0)
    assert "has no statevector" in str(caught.value)


def _hadamard():
    return numpy.array([[1, 1], [1, -1]]) / 2**0.5


def test_a_group_that_is_not_done_has_a_partial_result_and_says_what_is_missing(archive):
    group = archive.group("sweep")
    group.add(strict(), [flipped(0), flipped(1)], shots=5)
    group.add(strict(), failing(), shots=5)
    with pytest.raises(NotFinished) as caught:
        group.result()
    assert str(caught.value) == "group sweep is not finished (circuits 0-2: not sent); `result(partial=True)` takes what is there"
    group.run_sequential()
    group.add(strict(), flipped(3), shots=5)
    with pytest.raises(NotFinished):
        group.result()
    partial = group.result(partial=True)
    assert not partial.success and [(each.first, each.last, each.status) for each in partial.failures] == [
        (2, 2, "ERROR"), (3, 3, "PREPARED")]  # fmt: skip
    assert partial.get_counts() == [{"000": 5}, {"001": 5}, None, None]
    for look in (partial.get_counts, partial.get_memory, partial.data):
        with pytest.raises(JobFailed) as caught:
            look(2)
        assert str(caught.value) == f"job {group[1].id[:12]} ended as ERROR without a result: {group[1].error['message']}"
        with pytest.raises(NotFinished) as unfinished:
            look(3)
        assert str(unfinished.value) == f"job {group[2].id[:12]} was prepared and not sent; `qarchive group run` sends it"
    with pytest.raises(JobFailed) as caught:
        partial.combine_results()
    job = group[1]
    assert str(caught.value) == (f"job {job.id[:12]} ended as ERROR without a result: "
                                 "a result of a part of the circuits cannot be joined")  # fmt: skip
    group.run_sequential()
    with pytest.raises(JobFailed) as caught:
        group.result()
    assert str(caught.value).startswith("group sweep has no whole result (circuit 2: failed")
    assert str(caught.value).endswith("`retry()` sends them again, `result(partial=True)` takes what is there")
    assert [each is None for each in group.get_results()] == [False, True, False]


def test_what_is_joined_equals_the_unsplit_run(archive):
    circuits = [turned(300 * number, 2) for number in range(7)]
    joined = mapped(archive, circuits, shots=50, seed_simulator=3).result().combine_results()
    whole = aer().run(circuits, shots=50, seed_simulator=3).result()
    assert joined.success and [each.header["name"] for each in joined.results] == [f"turned-{300 * n}" for n in range(7)]
    assert [sum(counts.values()) for counts in joined.get_counts()] == [50] * 7
    # each job seeds its own first circuit as the whole run seeds its first
    assert joined.get_counts(0) == whole.get_counts(0)
    exact = [flipped(number) for number in range(7)]
    group = archive.group("exact")
    group.map(aer(), exact, per_job=3, shots=5)
    group.run_parallel()
    assert group.result().combine_results().get_counts() == aer().run(exact, shots=5).result().get_counts()


def test_pubs_that_were_split_are_joined_into_one_primitive_result(archive):
    angle = Parameter("a")
    circuit = QuantumCircuit(1, name="by angle")
    circuit.rx(angle, 0)
    observable = SparsePauliOp("Z")
    pubs = [(circuit, observable, [[0.1 * number], [0.2]]) for number in range(5)]
    group = archive.group("pubs")
    group.map(StatevectorEstimator(seed=1), pubs, per_job=2)
    group.run_sequential()
    joined, whole = group.result().combine_results(), StatevectorEstimator(seed=1).run(pubs).result()
    assert type(joined) is type(whole) and len(joined) == 5 and joined.metadata == whole.metadata
    for one, other in zip(joined, whole):
        assert numpy.array_equal(one.data.evs, other.data.evs) and one.metadata == other.metadata
    measured = [(flipped(number),) for number in range(5)]
    samples = archive.group("samples")
    samples.map(StatevectorSampler(seed=1), measured, per_job=2, shots=4)
    samples.run_sequential()
    joined, whole = samples.result().combine_results(), StatevectorSampler(seed=1).run(measured, shots=4).result()
    assert [pub.data.meas.get_counts() for pub in joined] == [pub.data.meas.get_counts() for pub in whole]
    assert samples.result().get_memory(3) == ["011"] * 4


def test_a_group_is_a_table_with_a_row_for_each_circuit(archive):
    group = archive.group("sweep")
    group.map(strict(), map(flipped, range(3)), per_job=2, shots=5)
    group.run_sequential()
    group.add(strict(), failing(), shots=5)
    table = group.result(partial=True).to_pandas()
    assert list(table["circuit"]) == [0, 1, 2, 3] and list(table["name"]) == [*circuits_of(group)]
    assert list(table["status"]) == ["DONE"] * 3 + ["PREPARED"] and table["job"].nunique() == 3
    empty = archive.group("empty").result().to_pandas()
    assert list(empty.columns) == ["circuit", "name", "job", "status"] and len(empty) == 0


def test_an_empty_group_has_an_empty_result(archive):
    result = archive.group("empty").result()
    assert len(result) == 0 and result.get_counts() == [] and result.jobs == [] and archive.group("empty").get_results() == []
    with pytest.raises(BadInput) as caught:
        result.combine_results()
    assert str(caught.value) == "the group empty: it has no jobs"
    for named in (0, "a", flipped(1)):
        with pytest.raises(NotFound):
            result.get_counts(named)
