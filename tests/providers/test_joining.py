"""Results of several jobs as one, and what single circuits left in them."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.primitives import PrimitiveResult, StatevectorEstimator, StatevectorSampler
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.quantum_info import Operator, Statevector
from qiskit.result import Result
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.execution_span import DoubleSliceSpan, ExecutionSpans, SliceSpan, TwirledSliceSpan, TwirledSliceSpanV2

from qarchive.errors import BadInput
from qarchive.providers import registry

AER, QISKIT, IBM = map(registry.named, ("aer", "qiskit", "ibm"))
A = Parameter("a")
START, STOP = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def one(name="one", value=1, bits=2):
    circuit = QuantumCircuit(bits, bits, name=name)
    for bit in range(bits):
        if value >> bit & 1:
            circuit.x(bit)
    circuit.measure(range(bits), range(bits))
    return circuit


def ran(*values, backend=None, **options):
    return (backend or AerSimulator()).run([one(f"n{value}", value) for value in values], shots=5, **options).result()


SIMULATED = ran(1, 2, memory=True)
BASIC = ran(3, backend=BasicSimulator())
SAMPLED = StatevectorSampler(default_shots=4).run([one(value=value) for value in (1, 2)]).result()
ESTIMATED = StatevectorEstimator().run([(QuantumCircuit(1), "Z")]).result()


def refused(act, *args):
    with pytest.raises(BadInput) as caught:
        act(*args)
    return str(caught.value)


# Results of backends


@given(st.lists(st.sampled_from([SIMULATED, BASIC, ran(0)]), min_size=1, max_size=4))
def test_a_joined_result_has_all_experiments_in_order(results):
    joined = AER.join(iter(results))
    experiments = [experiment for result in results for experiment in result.results]
    assert len(joined.results) == len(experiments)
    assert all(one is other for one, other in zip(joined.results, experiments, strict=True))
    assert joined.success
    counts = [result.get_counts(place) for result in results for place in range(len(result.results))]
    assert [joined.get_counts(place) for place in range(len(counts))] == counts
    assert Result.from_dict(joined.to_dict()).to_dict() == joined.to_dict()


def test_one_result_joined_is_equal_to_it():
    assert AER.join([SIMULATED]).to_dict() == SIMULATED.to_dict()
    assert AER.join([BASIC]).to_dict() == BASIC.to_dict()


def test_a_joined_result_says_what_all_say():
    other = ran(3)
    joined = AER.join([SIMULATED, other])
    assert (joined.backend_name, joined.backend_version) == (SIMULATED.backend_name, SIMULATED.backend_version)
    assert (joined.job_id, joined.success, joined.status, joined.header) == ("", True, "COMPLETED", None)
    assert joined.date == other.date
    assert joined.time_taken == pytest.approx(SIMULATED.time_taken + other.time_taken)
    assert joined.metadata["omp_enabled"] == SIMULATED.metadata["omp_enabled"]
    assert joined.metadata["joined"] == [SIMULATED.metadata, other.metadata]
    assert joined.get_counts("n3") == {"11": 5}


def test_names_of_several_backends_stand_side_by_side():
    joined = QISKIT.join([SIMULATED, BASIC, SIMULATED])
    assert joined.backend_name == f"{SIMULATED.backend_name}, {BASIC.backend_name}"
    assert (joined.success, joined.status) == (True, "COMPLETED")


def changed(result, **fields):
    return Result.from_dict({**result.to_dict(), **fields})


def test_a_joined_result_succeeds_where_all_do():
    failed = ran(0, 1)
    for experiment in failed.results:
        experiment.success = False
    failed.success, failed.status = False, "ERROR: no memory left"
    joined = AER.join([SIMULATED, failed])
    assert (joined.success, joined.status) == (False, "PARTIAL COMPLETED")
    assert joined.get_counts(0) == SIMULATED.get_counts(0)
    other = changed(failed, status="ERROR: broken")
    joined = AER.join([failed, other])
    assert (joined.success, joined.status) == (False, "ERROR")


def test_dates_and_headers_of_any_kind_are_joined():
    first = changed(SIMULATED, date=datetime(2026, 1, 2), header={"lab": "a", "run": 1}, extra=[1])
    second = changed(SIMULATED, date=datetime(2026, 1, 1), header={"lab": "a", "run": 2}, extra=[2])
    joined = AER.join([first, second])
    assert joined.date == datetime(2026, 1, 2)
    assert joined.header == {"lab": "a", "joined": [first.header, second.header]}
    assert "extra" not in joined.to_dict()
    assert AER.join([first, changed(second, date="2026-01-01")]).date == "2026-01-01"


def test_results_of_other_kinds_and_none_are_refused():
    reason = "only several Result are joined, or several PrimitiveResult; take them one by one: `get_results()`"
    assert refused(AER.join, [SIMULATED, SAMPLED]) == f"results of the classes Result, PrimitiveResult: {reason}"
    assert refused(IBM.join, [SAMPLED, None, {}]) == f"results of the classes PrimitiveResult, NoneType, dict: {reason}"
    assert refused(QISKIT.join, []) == "no results: there is nothing to join"


# Results of primitives


@given(st.lists(st.sampled_from([SAMPLED, ESTIMATED]), min_size=1, max_size=4))
def test_a_joined_primitive_result_has_all_pubs_in_order(results):
    joined = QISKIT.join(results)
    assert type(joined) is PrimitiveResult
    assert all(one is other for one, other in zip(joined, [pub for result in results for pub in result], strict=True))
    assert joined.metadata == {"version": 2}


def test_metadata_that_differ_are_all_there():
    first = PrimitiveResult(SAMPLED, {"version": 2, "noise": np.arange(3), "seed": 1})
    second = PrimitiveResult(SAMPLED, {"version": 2, "noise": np.arange(3), "seed": 2})
    joined = QISKIT.join([first, second])
    assert joined.metadata.keys() == {"version", "noise", "joined"}
    assert joined.metadata["joined"] == [first.metadata, second.metadata]
    assert QISKIT.join([first, PrimitiveResult(SAMPLED)]).metadata == {"joined": [first.metadata, {}]}
    assert QISKIT.join([first]).metadata == first.metadata


SPANS = [
    SliceSpan(START, STOP, {1: ((3, 4), slice(0, 3)), 0: ((), slice(1, 2))}),
    DoubleSliceSpan(START, STOP, {1: ((3, 4), slice(0, 1), slice(None, 2, 1))}),
    TwirledSliceSpan(START, STOP, {0: ((2, 3), True, slice(0, 1), slice(0, 2))}),
    TwirledSliceSpanV2(START, STOP, {0: ((2, 3), False, slice(0, 1), slice(0, 2), 5)}),
]


def spanned(spans, **fields):
    return PrimitiveResult(SAMPLED, {"version": 2, "execution": {"execution_spans": ExecutionSpans(spans), **fields}})


@given(st.lists(st.lists(st.sampled_from(SPANS), max_size=3), min_size=1, max_size=3))
def test_execution_spans_follow_their_pubs(parts):
    before = [[span.pub_idxs for span in spans] for spans in parts]
    joined = IBM.join([spanned(spans) for spans in parts])
    spans = joined.metadata["execution"]["execution_spans"]
    assert joined.metadata == {"version": 2, "execution": {"execution_spans": spans}}
    assert type(spans) is ExecutionSpans
    places = iter(spans)
    for number, originals in enumerate(parts):
        for original in originals:
            span = next(places)
            assert type(span) is type(original)
            assert (span.start, span.stop, span.size) == (START, STOP, original.size)
            assert span.pub_idxs == [place + 2 * number for place in original.pub_idxs]
            for place in original.pub_idxs:
                assert np.array_equal(span.mask(place + 2 * number), original.mask(place))
    assert list(places) == []
    assert before == [[span.pub_idxs for span in spans] for spans in parts]


def test_what_else_executions_say_is_kept_beside_their_spans():
    joined = IBM.join([spanned(SPANS, batches=1), spanned(SPANS, batches=2)])
    assert joined.metadata["execution"].keys() == {"execution_spans"}
    assert joined.metadata["joined"] == [{"version": 2, "execution": {"batches": number}} for number in (1, 2)]
    alike = IBM.join([spanned(SPANS, batches=1), spanned(SPANS, batches=1)])
    assert alike.metadata["execution"]["batches"] == 1
    assert "joined" not in alike.metadata
    without = IBM.join([spanned(SPANS), SAMPLED])
    assert without.metadata == {"version": 2, "joined": [spanned(SPANS).metadata, SAMPLED.metadata]}


# What single circuits left


def test_memory_states_and_unitaries_are_those_that_the_sdk_gives():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    state, unitary = circuit.copy(), circuit.copy()
    state.save_statevector()
    unitary.save_unitary()
    result = AerSimulator().run([state, one()], memory=True, shots=3).result()
    assert AER.extract(result, 0, "statevector") == Statevector(circuit)
    assert AER.extract(result, 1, "memory") == AER.extract(result, -1, "memory") == ["01"] * 3
    result = AerSimulator(method="unitary").run(unitary).result()
    assert AER.extract(result, 0, "unitary").equiv(Operator(circuit))
    joined = AER.join([SIMULATED, BASIC, SIMULATED])
    assert AER.extract(joined, 4, "memory") == ["10"] * 5


def test_memory_of_several_registers_is_written_as_the_sdk_does():
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(1, "a"), ClassicalRegister(2, "b"))
    circuit.x(0)
    circuit.measure(range(3), range(3))
    result = AerSimulator().run(circuit, shots=2, memory=True).result()
    assert AER.extract(result, 0, "memory") == ["00 1", "00 1"]
    sampled = StatevectorSampler().run([circuit], shots=2).result()
    assert QISKIT.extract(sampled, 0, "memory") == ["001", "001"] == sampled[0].join_data().get_bitstrings()


def test_what_is_not_there_is_refused_with_what_is():
    assert refused(AER.extract, ran(0), 0, "memory") == (
        "circuit 0: its result has no memory, but counts; run it with memory=True"
    )
    assert refused(AER.extract, SIMULATED, 1, "statevector") == (
        "circuit 1: its result has no statevector, but counts, memory; run it with an instruction that saves its statevector"
    )
    assert refused(AER.extract, SIMULATED, 2, "memory") == "circuit 2: the result holds 2; count from 0"
    assert refused(AER.extract, SIMULATED, 0, "counts") == "'counts': it is none of memory, statevector, unitary"
    assert refused(AER.extract, None, 0, "memory") == (
        "a NoneType: it has no memory of single circuits; look at the result itself"
    )


def test_a_circuit_that_failed_has_nothing():
    failed = ran(1)
    failed.results[0].success, failed.results[0].status = False, "ERROR: too large"
    assert refused(AER.extract, failed, 0, "memory") == (
        "circuit 0: it did not succeed (ERROR: too large); look at the status of the result"
    )
    empty = AerSimulator().run(QuantumCircuit(1)).result()
    assert refused(AER.extract, empty, 0, "unitary") == (
        "circuit 0: its result has no unitary, and no data at all; run it with an instruction that saves its unitary"
    )
    assert refused(AER.extract, empty, 0, "memory") == (
        "circuit 0: its result has no memory, and no data at all; run it with measurements and memory=True"
    )


def test_memory_of_pubs_is_that_of_one_set_of_values():
    circuit = QuantumCircuit(1, 1)
    circuit.rx(A, 0)
    circuit.measure(0, 0)
    values = [np.zeros((3, 1)), np.zeros((2, 1, 1)), [0.0]]
    result = StatevectorSampler().run([(circuit, value) for value in values], shots=2).result()
    assert QISKIT.extract(result, 2, "memory") == ["0", "0"]
    assert refused(QISKIT.extract, result, 0, "memory") == (
        "PUB 0: it has values of the shape (3,), and memory is that of one; take `result[0].join_data().get_bitstrings(0)`"
    )
    assert refused(QISKIT.extract, result, 1, "memory") == (
        "PUB 1: it has values of the shape (2, 1), and memory is that of one; take `result[1].join_data().get_bitstrings((0, 0))`"
    )
    assert result[1].join_data().get_bitstrings((0, 0)) == ["0", "0"]
    assert refused(QISKIT.extract, result, 3, "memory") == "PUB 3: the result holds 3; count from 0"
    assert refused(QISKIT.extract, result, 2, "unitary") == "PUB 2: its result has no unitary, but c; look at `result[2].data`"
    assert refused(QISKIT.extract, ESTIMATED, 0, "memory") == (
        "PUB 0: its result has no memory, but evs, stds; look at `result[0].data`"
    )
