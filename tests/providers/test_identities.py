"""What tells circuits and PUBs apart is the same for the user's objects, for what the archive has of them, and in any process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_qiskit_circuits as circuits
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.circuit.library import UnitaryGate
from qiskit.circuit.random import random_circuit
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.primitives.containers import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import Pauli, SparseObservable, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import EstimatorV2, SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from staging import MemoryStage

import qarchive
from qarchive import codec
from qarchive.errors import BadInput
from qarchive.providers import registry
from qarchive.providers.qiskit import inputs
from qarchive.stage import Stage

AER, QISKIT, LOCAL = registry.named("aer"), registry.named("qiskit"), registry.named("ibm_local")
A, B, VECTOR = Parameter("a"), Parameter("b"), ParameterVector("v", 12)


def identity(item, provider=QISKIT):
    stage = MemoryStage()
    found = provider.identity(stage, item)
    assert (type(found), len(found), stage.blobs, stage.gaps) == (bytes, 32, {}, [])
    return found


def archived(provider, target, items, **kwargs):
    """(identities of the archived job, its input again)."""
    stage = MemoryStage()
    execution = provider.describe(stage, target, (items,), kwargs)
    job = {"input": execution.input, "config": execution.config, "names": list(execution.names)}
    return provider.identities(stage.get, job), provider.load_input(stage.get, job)


def agree(provider, target, items, **kwargs):
    found, again = archived(provider, target, items, **kwargs)
    assert found == [identity(item, provider) for item in again] == [identity(item, provider) for item in items]
    return found


def turned(*parameters):
    circuit = QuantumCircuit(2, 2)
    for parameter in parameters:
        circuit.rx(parameter, 0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def unmeasured(*parameters):
    return turned(*parameters).remove_final_measurements(inplace=False)


# Circuits


def test_identities_of_circuits_agree_with_the_archive_s():
    made = [make() for make in circuits.WHOLE.values()]
    made += [circuits.on(make()) for make in circuits.OPERATIONS.values()]
    found = agree(AER, AerSimulator(), made)
    assert len(set(found)) == len(made)
    assert found == [identity(make()) for make in circuits.WHOLE.values()] + found[len(circuits.WHOLE) :]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(0, 2**31), st.booleans()), max_size=4))
def test_identities_of_random_circuits_agree(drawn):
    made = [random_circuit(size, depth, measure=flow, conditional=flow, seed=seed) for size, depth, seed, flow in drawn]
    agree(AER, AerSimulator(), made)


@settings(max_examples=40)
@given(circuits.STEPS, circuits.STEPS)
def test_circuits_have_one_identity_where_they_are_equal_and_nowhere_else(one, other):
    first, second = circuits.built(one), circuits.built(other)
    assert (identity(first) == identity(second)) == (circuits.fingerprint(first) == circuits.fingerprint(second))
    assert identity(first) == identity(circuits.built(one))


def test_a_circuit_s_identity_is_the_name_of_its_blob():
    stage = MemoryStage()
    circuit = circuits.parameters()
    entry = stage.get(inputs.put_input(stage, circuit, None)[0])["circuits"][0]
    assert identity(circuit) == entry["circuit"].digest


def test_names_and_metadata_are_no_part_of_it():
    plain, other = circuits.bell(), circuits.bell("other")
    other.metadata = {"run": 3}
    assert identity(plain) == identity(other)
    assert archived(AER, AerSimulator(), plain)[0] == archived(AER, AerSimulator(), [other])[0] == [identity(plain)]


def test_another_process_finds_the_same():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from qiskit import QuantumCircuit; from qiskit.circuit import Parameter\n"
        "[QuantumCircuit(3) for _ in range(5)]; Parameter('a')\n"
        "import test_identities as t\n"
        "print(t.everything())"
    )
    here, root = Path(__file__).parent, Path(qarchive.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code, str(here), str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == everything()


def everything():
    made = [identity(make()) for make in circuits.WHOLE.values()]
    made += [identity(circuits.on(make())) for make in circuits.OPERATIONS.values()]
    return b"".join(made + [identity(pub) for pub in (*SAMPLED, *ESTIMATED)]).hex()


def test_the_archive_s_are_known_without_the_sdk(tmp_path):
    stage = MemoryStage()
    jobs = [
        AER.describe(stage, AerSimulator(), ([make() for make in circuits.WHOLE.values()],), {}),
        QISKIT.describe(stage, StatevectorSampler(), (SAMPLED,), {}),
        QISKIT.describe(stage, StatevectorEstimator(), (ESTIMATED,), {}),
    ]
    places = [execution.input.digest for execution in jobs]
    (tmp_path / "blobs").write_bytes(codec.encode([places, [*map(codec.encode, stage.blobs.values())]]))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "sys.modules.update(dict.fromkeys(('qiskit', 'qiskit_aer', 'numpy')))\n"
        "from qarchive import codec; from qarchive.providers import registry; from qarchive.values import Link\n"
        "places, blobs = codec.decode(open(sys.argv[2], 'rb').read())\n"
        "blobs = {codec.digest(codec.decode(blob)): codec.decode(codec.decode(blob)) for blob in blobs}\n"
        "jobs = [{'input': Link(place)} for place in places]\n"
        "found = [registry.named('aer').identities(lambda link: blobs[link.digest], job) for job in jobs]\n"
        "print(b''.join(map(b''.join, found)).hex())"
    )
    root = Path(qarchive.__file__).parent.parent
    run = [sys.executable, "-c", code, str(root), str(tmp_path / "blobs")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    items = [*(make() for make in circuits.WHOLE.values()), *SAMPLED, *ESTIMATED]
    assert done.stdout.strip() == b"".join(map(identity, items)).hex()


# Gates that only their authors know


class Mine(Gate):
    def __init__(self, angle):
        super().__init__("mine", 1, [angle])


def test_gates_of_classes_without_a_definition_are_told_apart_by_name_and_parameters():
    made = [circuits.on(Mine(0.1)), circuits.on(Mine(0.2)), circuits.on(Gate("mine", 1, [0.1]))]
    one, two, plain = agree(QISKIT, StatevectorSampler(), made)
    assert one == plain != two  # a plain gate is what comes back of it


class Strange(SamplerPub):
    pass


def test_what_cannot_be_told_from_others_is_refused_and_equals_nothing_in_the_archive():
    circuit = turned()
    strange = Strange(circuit)
    with pytest.raises(BadInput) as caught:
        identity(strange)
    reason = f"it cannot be told from others (a {__name__}.Strange instead of a PUB)"
    assert str(caught.value) == f"this Strange: {reason}; give an index or a name"
    stage = MemoryStage()
    link, *_ = inputs.put_pubs(stage, [strange, SamplerPub(circuit), strange])
    one, two, three = QISKIT.identities(stage.get, {"input": link})
    assert (two, len({one, two, three})) == (identity(circuit), 3)


# PUBs


SAMPLED = [
    turned(),
    (turned(), None, 20),
    (turned(A), [0.5]),
    (turned(A), {"a": 0.25}),
    (turned(A), [[0.5], [0.25], [1.0]], 7),
    (turned(A, B), {"b": [1.0, 2.0], "a": [3.0, 4.0]}),
    (turned(A, B), {("b", "a"): np.arange(12).reshape(2, 3, 2)}),
    (turned(*VECTOR), np.linspace(0, 1, 12)),
    SamplerPub(turned(), BindingsArray({}, shape=(3,))),
    SamplerPub(turned(B), BindingsArray({B: [[1], [2]]}), 5),
]
ESTIMATED = [
    (unmeasured(), "ZZ"),
    (unmeasured(), ["ZZ", "XX"]),
    (unmeasured(), Pauli("XY")),
    (unmeasured(), SparsePauliOp(["XX", "ZI"], [0.5, -1.0])),
    (unmeasured(), {"XX": 0.5, "ZI": -2.0}),
    (unmeasured(), [[{"XX": 0.5, "ZI": -1.5}], ["Z0"]]),
    (unmeasured(), np.array(["ZZ", "ZI"], dtype=object)),
    (unmeasured(), SparseObservable.from_list([("+-", 1.0), ("II", 2.0)]), None, 0.1),
    (unmeasured(A), ObservablesArray(["ZZ", "ZI", "ZZ"]), [[0.1], [0.2], [0.3]]),
    (unmeasured(A, B), {"ZZ": 1.0}, {"b": 0.1, "a": 0.2}, 0.2),
    (unmeasured(Parameter("ZZ")), {"ZZ": 1.0}, [0.3]),
    EstimatorPub.coerce((unmeasured(A), "XX", {"a": 0.2})),
]


def test_identities_of_pubs_agree_with_the_archive_s():
    assert len(set(agree(QISKIT, StatevectorSampler(), SAMPLED))) == len(SAMPLED)
    assert len(set(agree(QISKIT, StatevectorEstimator(), ESTIMATED))) == len(ESTIMATED)


NUMBERS = st.floats(-10, 10)


@settings(max_examples=30)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=4), st.none() | st.integers(1, 9))
def test_values_of_parameters_are_one_identity_whichever_way_they_are_given(rows, shots):
    third = Parameter("c")
    circuit, values = turned(third, A, B), np.array(rows)
    ways = [
        values,
        {(A, B, third): values},
        {("c", "a", "b"): values[:, [2, 0, 1]]},
        {third: values[:, 2], "a": values[:, 0], B: values[:, 1]},
        {("b", "a"): values[:, [1, 0]], "c": values[:, 2:]},
    ]
    found = agree(QISKIT, StatevectorSampler(), [(circuit, way, shots) for way in ways])
    assert len(set(found)) == 1
    changed = values.copy()
    changed[-1, 1] += 1
    assert identity((circuit, changed, shots)) != found[0]
    assert identity((circuit, values, 10)) != found[0] != identity((circuit, values[0], shots))


TERMS = st.dictionaries(st.text("IXYZ01+-", min_size=2, max_size=2), st.floats(0.5, 4), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.lists(TERMS, min_size=1, max_size=3))
def test_observables_are_one_identity_in_whichever_order_their_terms_come(entries):
    backwards = [dict(reversed(terms.items())) for terms in entries]
    made = [(unmeasured(), entries), (unmeasured(), backwards), (unmeasured(), ObservablesArray(entries))]
    found = agree(QISKIT, StatevectorEstimator(), made)
    assert len(set(found)) == 1
    assert identity((unmeasured(), [entries])) != found[0] != identity((unmeasured(), [*entries, entries[0]]))


def test_values_that_are_kept_in_pieces_are_one_identity_too(store):
    angles = np.linspace(0, 1, 300_000)  # 2.4 MB, where a blob holds up to 1 MiB of one byte string
    items = [(turned(A, B), {"b": angles, "a": angles + 1}), (turned(A), angles[:, None])]
    wide = circuits.on(UnitaryGate(np.diag(np.exp(1j * angles[:512]))))  # 4 MiB
    stage = Stage(store)
    sampled = QISKIT.describe(stage, StatevectorSampler(), (items,), {})
    link, *_ = inputs.put_input(stage, wide, None)
    stage.commit(durable=False)
    get = lambda link: store.value(link.digest)  # noqa: E731
    job = {"input": sampled.input}
    assert QISKIT.identities(get, job) == [*map(identity, items)] == [*map(identity, QISKIT.load_input(get, job))]
    assert AER.identities(get, {"input": link}) == [identity(wide)]


def test_a_circuit_is_the_pub_that_holds_nothing_else():
    circuit = turned()
    alone = [circuit, (circuit,), (circuit, None), [circuit, []], SamplerPub(circuit), (circuit, {}, None)]
    assert {identity(item) for item in alone} == {identity(circuit)}
    assert {identity(item, LOCAL) for item in (*alone, (circuit, None, 5))} == {identity(circuit)}
    assert identity((circuit, None, 5)) == identity((circuit, None, np.int64(5))) != identity(circuit)


def test_what_is_no_circuit_is_refused():
    with pytest.raises(BadInput) as caught:
        identity("bell")
    assert str(caught.value) == "a str: it is neither a circuit nor a PUB; give an index or a name"
    with pytest.raises(BadInput) as caught:
        identity((turned(), None, -1))
    assert str(caught.value) == "this tuple: it is no PUB (shots must be positive); give an index or a name"


# Jobs whose circuits do not say what ran


@pytest.mark.parametrize("provider", [AER, LOCAL], ids=["aer", "ibm_local"])
def test_identities_of_inputs_that_are_no_circuits_are_refused(provider):
    stage = MemoryStage()
    for value, reason in (
        ({"type": "missing"}, "it is not in the archive; take the job itself"),
        ({"type": "ibm.inputs", "values": {}}, "it is neither circuits nor PUBs; take the job itself"),
    ):
        with pytest.raises(BadInput) as caught:
            provider.identities(stage.get, {"input": stage.put("input", value)})
        assert str(caught.value) == f"the input of this job: {reason}"


def test_circuits_with_binds_do_not_say_what_ran():
    stage = MemoryStage()
    execution = AER.describe(stage, AerSimulator(), ([turned(A)], [{A: [0.1, 0.2]}]), {})
    with pytest.raises(BadInput) as caught:
        AER.identities(stage.get, {"input": execution.input})
    assert str(caught.value) == "the input of this job: its circuits alone do not say what ran; give an index"


@pytest.mark.parametrize("values", [None, [[], []], [[0.1], [0.2]]])
def test_circuits_of_version_1_are_told_apart_where_they_have_no_values(values):
    stage = MemoryStage()
    made = [turned(), circuits.bell()]
    link, *_ = inputs.put_v1(stage, {"circuits": made, "parameter_values": values})
    if values is None or values == [[], []]:
        assert QISKIT.identities(stage.get, {"input": link}) == [identity(circuit) for circuit in made]
        return
    with pytest.raises(BadInput) as caught:
        QISKIT.identities(stage.get, {"input": link})
    assert str(caught.value) == "the input of this job: its circuits alone do not say what ran; give an index"


# IBM's primitives write the shots or the precision of the call into each PUB


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [SamplerV2, EstimatorV2])
def test_jobs_of_ibm_s_primitives_are_found_by_what_their_user_gave(kind, tmp_path):
    circuit = QuantumCircuit(5, 5)
    circuit.rz(A, 0)
    sampler = kind is SamplerV2
    items, call = [(circuit, "ZZIII", [0.5]), (circuit, ["IIIIZ", "ZIIII"], [0.25])], {"precision": 0.2}
    if sampler:
        circuit.measure(range(5), range(5))
        items, call = [(circuit, [0.5]), circuit.assign_parameters([1.0])], {"shots": 11}
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(kind(FakeManilaV2())).run(items, **call).result()
        job = archive.job("latest")
        stage = MemoryStage()
        link = inputs.put_pubs(stage, job.input)[0]
        found = LOCAL.identities(stage.get, {"input": link})
        assert found == [identity(item, LOCAL) for item in items] == [identity(pub, LOCAL) for pub in job.input]
        assert len(set(found)) == 2
