"""Which calls of `run` may be cut into jobs, by which limits, and that nothing is read or changed before it is asked for."""

from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import Estimator as AerEstimatorV1
from qiskit_aer.primitives import EstimatorV2 as AerEstimator
from qiskit_aer.primitives import Sampler as AerSamplerV1
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime import EstimatorV2, Executor, NoiseLearner, SamplerV2
from qiskit_ibm_runtime.executor_sampler import Sampler as ClientSampler
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive.providers import registry

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
AER, QISKIT, LOCAL, CLOUD = map(registry.named, ("aer", "qiskit", "ibm_local", "ibm"))
A, B = Parameter("a"), Parameter("b")


def turned(angle=0.1, measured=True):
    circuit = QuantumCircuit(1, 1)
    circuit.rx(angle, 0)
    if measured:
        circuit.measure(0, 0)
    return circuit


def limits(divisible):
    return divisible.circuits, divisible.executions


class Small(GenericBackendV2):
    """A backend that says how many circuits it takes."""

    def __init__(self, most):
        super().__init__(2)
        self.most = most

    @property
    def max_circuits(self):
        return self.most


# Circuits


@pytest.mark.parametrize(
    ("provider", "backend", "most"),
    [
        (AER, AerSimulator(), None),
        (QISKIT, BasicSimulator(), None),
        (QISKIT, FakeManilaV2(), None),
        (QISKIT, Small(3), 3),
        (QISKIT, Small(0), None),
    ],
    ids=["aer", "basic", "fake", "3", "0"],
)
def test_a_list_of_circuits_is_divided_by_what_its_backend_declares(provider, backend, most):
    made = [turned(), turned(0.2), turned(0.3)]
    divisible = provider.divide(backend, (made,), {"shots": 20})
    assert divisible.items is made
    assert limits(divisible) == (most, None)
    assert [divisible.executions_of(circuit) for circuit in made] == [20, 20, 20]
    args, kwargs = divisible.call(made[1:])
    assert (args, kwargs) == ((made[1:],), {"shots": 20})
    assert args[0][0] is made[1]
    assert len(backend.run(*args, **kwargs).result().results) == 2


def test_a_wrapped_backend_is_divided_as_it_would_be_bare(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        divisible = QISKIT.divide(archive.wrap(Small(3)), ([turned()],), {})
        assert limits(divisible) == (3, None)
        assert AER.divide(archive.wrap(AerSimulator(shots=7)), ([turned()],), {}).executions_of(turned()) == 7


@pytest.mark.parametrize("name", ["circuits", "run_input"])
def test_circuits_may_be_given_by_name(name):
    made = (turned(), turned())
    divisible = AER.divide(AerSimulator(), (), {name: made, "seed_simulator": 1})
    assert divisible.items is made
    assert divisible.call([made[0]]) == ((), {name: [made[0]], "seed_simulator": 1})


def test_other_arguments_stay_where_they_are():
    args, kwargs = AER.divide(AerSimulator(), ([turned()], None), {"shots": 3}).call([])
    assert (args, kwargs) == (([], None), {"shots": 3})


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((turned(),), {}),
        ((), {"circuits": turned()}),
        ((), {}),
        (("bell",), {}),
        ((3,), {}),
        (([turned(A)],), {"parameter_binds": [{A: [0.1, 0.2]}]}),
        (([turned(A)], [{A: [0.1, 0.2]}]), {}),
    ],
    ids=["circuit", "named", "nothing", "text", "number", "binds", "binds by place"],
)
def test_one_circuit_and_circuits_with_binds_are_one_job(args, kwargs):
    assert AER.divide(AerSimulator(), args, kwargs) is None


def test_the_default_of_the_backend_says_how_many_shots():
    assert AER.divide(AerSimulator(), ([],), {}).executions_of(turned()) == 1024
    assert AER.divide(AerSimulator(shots=9), ([],), {}).executions_of(turned()) == 9


@given(st.integers(0, 20))
def test_a_generator_is_read_as_far_as_it_is_asked_for(wanted):
    read = []

    def endless():
        for number in count():
            read.append(number)
            yield turned(0.1 * number)

    for provider, target in ((AER, AerSimulator()), (QISKIT, StatevectorSampler()), (LOCAL, SamplerV2(FakeManilaV2()))):
        read.clear()
        divisible = provider.divide(target, (endless(),), {})
        assert read == []
        some = list(islice(divisible.items, wanted))
        divisible.call(some)
        [divisible.executions_of(item) for item in some]
        assert read == list(range(wanted))


# PUBs

SAMPLED = [turned(), (turned(A), [[0.1], [0.2]]), (turned(), None, 5), SamplerPub.coerce((turned(A), np.zeros((2, 3, 1)), 4))]


@pytest.mark.parametrize(
    ("provider", "make", "default"),
    [
        (QISKIT, lambda: StatevectorSampler(default_shots=10), 10),
        (QISKIT, lambda: BackendSamplerV2(backend=GenericBackendV2(2), options={"default_shots": 10}), 10),
        (QISKIT, lambda: BackendSamplerV2(backend=Small(1)), 1024),
        (AER, lambda: AerSampler(default_shots=10), 10),
        (LOCAL, lambda: SamplerV2(FakeManilaV2(), options={"default_shots": 10}), 10),
        (LOCAL, lambda: SamplerV2(FakeManilaV2()), 4096),
        (LOCAL, lambda: ClientSampler(FakeManilaV2()), 4096),
    ],
    ids=["statevector", "backend", "small", "aer", "ibm", "ibm default", "ibm client"],
)
def test_pubs_of_samplers_are_divided_and_stay_as_they_were_given(provider, make, default):
    sampler = make()
    divisible = provider.divide(sampler, (SAMPLED,), {})
    assert divisible.items is SAMPLED
    assert limits(divisible) == (None, None)
    assert list(map(divisible.executions_of, SAMPLED)) == [default, 2 * default, 5, 24]
    divisible = provider.divide(sampler, (), {"pubs": SAMPLED, "shots": 3})
    assert list(map(divisible.executions_of, SAMPLED)) == [3, 6, 5, 24]
    args, kwargs = divisible.call(SAMPLED[:1])
    assert (args, kwargs) == ((), {"pubs": [SAMPLED[0]], "shots": 3})
    assert kwargs["pubs"][0] is SAMPLED[0]


@pytest.mark.parametrize(
    ("provider", "make", "default"),
    [
        (QISKIT, lambda: StatevectorEstimator(), 1),
        (QISKIT, lambda: BackendEstimatorV2(backend=GenericBackendV2(2), options={"default_precision": 0.1}), 100),
        (AER, lambda: AerEstimator(options={"default_precision": 0.1}), 100),
        (LOCAL, lambda: EstimatorV2(FakeManilaV2()), 4096),
        (LOCAL, lambda: EstimatorV2(FakeManilaV2(), options={"default_shots": 100}), 100),
    ],
    ids=["statevector", "backend", "aer", "ibm", "ibm shots"],
)
def test_pubs_of_estimators_are_divided(provider, make, default):
    estimator = make()
    bare = turned(A, measured=False)
    pubs = [
        (turned(measured=False), "Z"),
        (bare, ["Z", "X"], [[0.1], [0.2]]),
        EstimatorPub.coerce((bare, [["Z"], ["X"]], [[0.1], [0.2], [0.3]], 0.5)),
    ]
    divisible = provider.divide(estimator, (pubs,), {})
    assert limits(divisible) == (None, None)
    assert list(map(divisible.executions_of, pubs)) == [default, 2 * default, 24]
    assert list(map(provider.divide(estimator, (pubs,), {"precision": 0.25}).executions_of, pubs)) == [16, 32, 24]


@pytest.mark.parametrize("target", [StatevectorSampler(), StatevectorEstimator()], ids=["sampler", "estimator"])
def test_what_is_no_pub_is_left_to_the_primitive_to_refuse(target):
    assert QISKIT.divide(target, ([3],), {}).executions_of(3) == 1
    assert QISKIT.divide(target, (turned(),), {}) is None
    assert QISKIT.divide(target, (SAMPLED[3],), {}) is None


def test_primitives_of_version_1_run_one_job():
    for kind in (AerSamplerV1, AerEstimatorV1):
        assert AER.divide(kind(), ([turned()],), {}) is None


def test_a_sampler_pub_written_by_hand_runs_as_it_was_given():
    sampler = StatevectorSampler(seed=3)
    args, kwargs = QISKIT.divide(sampler, (iter(SAMPLED),), {"shots": 6}).call(SAMPLED[:3])
    result = sampler.run(*args, **kwargs).result()
    assert [pub.data.c.num_shots for pub in result] == [6, 6, 5]


def test_ibm_s_cloud_takes_ten_million_executions_of_a_sampler(server):
    backend = server.service().backend("ibm_alpha")
    for kind, executions in ((SamplerV2, 10_000_000), (ClientSampler, 10_000_000), (EstimatorV2, None)):
        assert limits(CLOUD.divide(kind(backend), ([turned()],), {})) == (None, executions)


def test_what_other_programs_of_ibm_s_take_is_one_job(server):
    backend = server.service().backend("ibm_alpha")
    for target in (NoiseLearner(backend), Executor(backend), server.service()):
        assert CLOUD.divide(target, ([turned()],), {}) is None
    assert LOCAL.divide(Executor(FakeManilaV2()), ([turned()],), {}) is None
