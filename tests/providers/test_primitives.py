"""Primitives of Qiskit and Aer: the conformance suite, and what is theirs alone."""

import copy
import pickle
import re
import threading
import warnings
from concurrent.futures import Future
from pathlib import Path

import conformance
import numpy
import pytest
import third_party
from conformance import bell, settled
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    BaseEstimatorV2,
    BasePrimitiveJob,
    BaseSamplerV2,
    DataBin,
    PrimitiveJob,
    PrimitiveResult,
    PubResult,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import JobError, JobStatus
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Pauli, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_aer.primitives import Estimator, EstimatorV2, Sampler, SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive.errors import BadInput

SPEC = Path(__file__).parent.parent.parent / "spec"
THETA, PHI = Parameter("θ"), Parameter("φ")  # in all circuits: equal circuits with other parameters are stored once


def turned():
    """Two parameters and two registers, of which one takes two bytes."""
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "alpha"), ClassicalRegister(9, "beta"), name="turned")
    circuit.ry(THETA, 0)
    circuit.cx(0, 1)
    circuit.rx(PHI, 2)
    circuit.measure([0, 1, 2], [0, 1, 8])
    return circuit


def sweep(*shape):
    """Values for both parameters of `turned`."""
    return numpy.arange(2 * numpy.prod(shape, dtype=int)).reshape(*shape, 2) / 7


def unmeasured(name="bare", **metadata):
    circuit = QuantumCircuit(2, name=name, metadata=metadata)
    circuit.h(0)
    circuit.cx(0, 1)
    return circuit


def rotated():
    """Two parameters, nothing measured."""
    circuit = QuantumCircuit(2, name="rotated")
    circuit.ry(THETA, 0)
    circuit.cx(0, 1)
    circuit.rx(PHI, 1)
    return circuit


def too_large():
    """For any simulator."""
    circuit = QuantumCircuit(60, name="large")
    circuit.h(range(60))
    circuit.append(QuantumCircuit(1, name="unheard").to_gate(), [0])
    return circuit


class Sampling(conformance.PrimitiveConformance):
    make: str  # Python source of a primitive
    default_shots = 1024

    @property
    def setup(self):
        return f"""
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own imports
    from qiskit import QuantumCircuit
    {self.imports}
    target = {self.make}
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
def call(target):
    target.run([(circuit,)], shots=100)
"""

    def coerced(self, pubs):
        return [SamplerPub.coerce(pub) for pub in pubs]

    def calls(self):
        return [
            ("a circuit", ([(bell(),)],), {"shots": 20}),
            ("the primitive's shots", ([bell("a", who="me", when=(1, 2))],), {}),
            ("shots of a PUB", ([(bell(), None, 30), bell("b")],), {"shots": 10}),
            ("one set of values", ([(turned(), [0.1, 0.2])],), {"shots": 15}),
            ("a sweep", ([(turned(), sweep(3)), (turned(), sweep(2, 3)), (bell(), None, 7)],), {"shots": 15}),
            ("values by name", ([(turned(), {"θ": [0.1, 0.2], "φ": [[1.0], [2.0]]})],), {"shots": 5}),
            ("a PUB of the SDK's", ([SamplerPub(bell(), shots=9)],), {}),
        ]

    def other_input(self):
        return ([(bell(flipped=True),)],), {"shots": 20}

    def target(self):
        return self.seeded(1)

    def seeded(self, seed):
        """A target whose draws come from this seed."""
        raise NotImplementedError

    def other_targets(self):
        return {"seed": self.seeded(3)}


class Estimating(Sampling):
    reading = "data"
    default_shots = None

    @property
    def setup(self):
        return super().setup.replace("circuit.measure_all()\n", "").replace("[(circuit,)], shots=100", "[(circuit, 'ZZ')]")

    def coerced(self, pubs):
        return [EstimatorPub.coerce(pub) for pub in pubs]

    def calls(self):
        weighted = SparsePauliOp(["ZZ", "XX", "II"], [0.5, -1.5, 2.0])
        return [
            ("an observable", ([(unmeasured(), "ZZ")],), {"precision": 0.1}),
            ("the primitive's precision", ([(unmeasured("a", who="me", when=(1, 2)), weighted)],), {}),
            ("precision of a PUB", ([(unmeasured(), Pauli("XX"), None, 0.2), (unmeasured("b"), ["ZZ"])],), {"precision": 0.1}),
            ("observables", ([(unmeasured(), [["ZZ", weighted], [{"XX": 2.0}, "YY"]])],), {"precision": 0.1}),
            ("a sweep", ([(rotated(), [["ZZ"], ["XX"]], sweep(3)), (rotated(), ["ZI", "IZ"], sweep(1, 2))],), {"precision": 0.1}),
            ("a PUB of the SDK's", ([EstimatorPub.coerce((unmeasured(), weighted, None, 0.3))],), {}),
        ]

    def other_input(self):
        return ([(unmeasured(), "ZX")],), {"precision": 0.1}


class OnAer:
    """Its thread hands the work to another one, which the interpreter no longer allows once it ends."""

    provider = "aer"
    at_exit = ("DONE", "ERROR")

    def backend_name(self):
        return "aer_simulator"


class TestStatevectorSampler(conformance.AcrossProcesses, Sampling):
    imports, make = "from qiskit.primitives import StatevectorSampler", "StatevectorSampler(seed=1)"

    def seeded(self, seed):
        return StatevectorSampler(seed=seed)

    def backend_name(self):
        return "StatevectorSampler"

    def failing(self):
        circuit = bell()
        circuit.x(0)  # after a measurement, which it cannot do
        circuit.measure(0, 0)
        return (([(circuit,)],), {"shots": 1}), None


class TestStatevectorEstimator(Estimating):
    imports, make = "from qiskit.primitives import StatevectorEstimator", "StatevectorEstimator(seed=1)"

    def seeded(self, seed):
        return StatevectorEstimator(seed=seed)

    def backend_name(self):
        return "StatevectorEstimator"

    def failing(self):
        return (([(bell(), "ZZ")],), {}), None


class TestBackendSamplerOnAer(OnAer, Sampling):
    imports = "from qiskit.primitives import BackendSamplerV2; from qiskit_aer import AerSimulator"
    make = "BackendSamplerV2(backend=AerSimulator(), options={'seed_simulator': 1})"

    def seeded(self, seed):
        return BackendSamplerV2(backend=AerSimulator(), options={"seed_simulator": seed})

    def failing(self):
        return None, None


class TestBackendEstimatorOnAer(conformance.AcrossProcesses, OnAer, Estimating):
    imports = "from qiskit.primitives import BackendEstimatorV2; from qiskit_aer import AerSimulator"
    make = "BackendEstimatorV2(backend=AerSimulator(), options={'seed_simulator': 1})"

    def seeded(self, seed):
        return BackendEstimatorV2(backend=AerSimulator(), options={"seed_simulator": seed})

    def failing(self):
        return (([(unmeasured(), "ZZ")],), {"precision": 0}), None


class OnFake:
    rebuilds_alike = False
    at_exit = OnAer.at_exit

    def backend_name(self):
        return "generic_backend_3q"

    def device(self):
        return settled(GenericBackendV2(3, seed=1))

    def calls(self):
        (_, _, kwargs), *others = super().calls()
        return [("in the device's gates", ([self.pub()],), kwargs), *others]

    def other_input(self):
        return ([self.pub(flipped=True)],), super().calls()[0][2]

    def failing(self):
        return None, None


class TestBackendSamplerOnAFake(OnFake, Sampling):
    default_shots = 12
    imports = "from qiskit.primitives import BackendSamplerV2; from qiskit.providers.fake_provider import GenericBackendV2"
    make = "BackendSamplerV2(backend=GenericBackendV2(3, seed=1), options={'seed_simulator': 1})"

    def pub(self, **options):
        return (measured(**options),)

    def seeded(self, seed):
        return BackendSamplerV2(backend=self.device(), options={"seed_simulator": seed, "default_shots": 12})


class TestBackendEstimatorOnAFake(OnFake, Estimating):
    imports = "from qiskit.primitives import BackendEstimatorV2; from qiskit.providers.fake_provider import GenericBackendV2"
    make = "BackendEstimatorV2(backend=GenericBackendV2(3, seed=1), options={'seed_simulator': 1})"

    def pub(self, **options):
        return measured(**options).remove_final_measurements(inplace=False), "ZZ"

    def seeded(self, seed):
        return BackendEstimatorV2(backend=self.device(), options={"seed_simulator": seed, "default_precision": 0.2})


class TestAersSampler(OnAer, Sampling):
    imports, make = "from qiskit_aer.primitives import SamplerV2", "SamplerV2(seed=1)"

    def seeded(self, seed):
        return SamplerV2(seed=seed)

    def calls(self):
        dynamic = QuantumCircuit(2, 2, name="dynamic")
        dynamic.h(0)
        dynamic.measure(0, 0)
        with dynamic.if_test((dynamic.clbits[0], 1)):
            dynamic.x(1)
        dynamic.measure(1, 1)
        return [*super().calls(), ("measured midway", ([(dynamic,)],), {"shots": 40})]

    def failing(self):
        circuit = too_large()
        circuit.measure_all()
        return (([(circuit,)],), {"shots": 1}), None


class TestAersEstimator(OnAer, Estimating):
    imports, make = "from qiskit_aer.primitives import EstimatorV2", "EstimatorV2()"

    def seeded(self, seed):
        return EstimatorV2(options={"run_options": {"seed_simulator": seed}})

    def failing(self):
        return (([(too_large(), "Z" * 60)],), {"precision": 0.1}), None


class VersionOne(OnAer):
    """Primitives of version 1, which Aer still has."""

    reading = "data"
    offers = Sampling.offers - {"rebuild"}
    serves_threads = False  # they keep lists of circuits without a lock

    def backend_name(self):
        return "aer_simulator"

    def coerced(self, pubs):
        raise NotImplementedError

    def same_input(self, one, other):
        one, other = (item["circuits"] if isinstance(item, dict) else item for item in (one, other))
        conformance.QiskitConformance.same_input(self, one, other)

    def with_secret(self, args, secret):
        circuit = args[0].copy()
        circuit.metadata = {"token": "hunter22", "note": f"uses {secret}"}
        return (circuit, *args[1:])

    def failing(self):
        return None, None

    def counts_of(self, result):
        return [None] * len(result.metadata)

    def words_of(self, asked):
        return conformance.QiskitConformance.words_of(self, asked)

    def shots_of(self, args, kwargs):
        return kwargs["shots"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestAersSamplerOfVersionOne(conformance.AcrossProcesses, VersionOne, Sampling):
    imports, make = "from qiskit_aer.primitives import Sampler", "Sampler()"

    @property
    def setup(self):
        return super().setup.replace("[(circuit,)]", "circuit")

    def seeded(self, seed):
        return Sampler(run_options={"seed": seed})

    def calls(self):
        return [
            ("a circuit", (bell(),), {"shots": 20}),
            ("several", ([bell("a", who="me"), bell("b")],), {"shots": 20, "seed": 2}),
            ("exact", ([bell(), bell("b")],), {"shots": None}),
            ("values", ([turned(), turned()], [[0.1, 0.2], [0.3, 0.4]]), {"shots": 30}),
        ]

    def other_input(self):
        return (bell(flipped=True),), {"shots": 20}

    def data_of(self, result):
        return [{"metadata": each} for each in result.metadata]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestAersEstimatorOfVersionOne(VersionOne, Estimating):
    offers = VersionOne.offers - {"circuits"}
    imports, make = "from qiskit_aer.primitives import Estimator", "Estimator(approximation=True)"

    @property
    def setup(self):
        return super().setup.replace("[(circuit, 'ZZ')]", "circuit, 'ZZ'")

    def seeded(self, seed):
        return Estimator(run_options={"seed": seed}, approximation=True)

    def calls(self):
        return [
            ("an observable", (unmeasured(), "ZZ"), {"shots": 100}),
            ("several", ([unmeasured("a", who="me"), unmeasured("b")], ["ZZ", SparsePauliOp(["XX", "II"])]), {"shots": 20}),
            ("exact", ([rotated(), rotated()], ["ZZ", "XX"], [[0.1, 0.2], [0.3, 0.4]]), {"shots": None}),
        ]

    def other_input(self):
        return (unmeasured(), "ZX"), {"shots": 100}

    def data_of(self, result):
        return [{"values": value, "metadata": each} for value, each in zip(result.values, result.metadata, strict=True)]


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "archive") as archive:
        yield archive


def measured(flipped=False):
    """In the gates of every backend here."""
    circuit = QuantumCircuit(2, name="measured")
    if flipped:
        circuit.x(0)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


DEVICES = {
    "aer": AerSimulator,
    "basic": BasicSimulator,
    "generic": lambda: GenericBackendV2(2, seed=1),
    "fake": FakeManilaV2,
    "polled": third_party.polled,
}


# One record each


@pytest.mark.parametrize("make", DEVICES.values(), ids=DEVICES)
@pytest.mark.parametrize("wrap_backend", [False, True], ids=["bare", "wrapped"])
def test_what_runs_inside_a_recorded_primitive_is_part_of_it(archive, make, wrap_backend):
    device = archive.wrap(make()) if wrap_backend else make()
    archive.wrap(BackendSamplerV2(backend=device)).run([measured()], shots=8).result()
    archive.wrap(BackendEstimatorV2(backend=device)).run([(unmeasured(), "ZZ")], precision=0.3).result()
    kinds = [job.get(job.record["input"])["type"] for job in archive.jobs()]
    assert kinds == ["qiskit.pubs"] * 2
    assert {job.backend for job in archive.jobs()} == {make().name}


def test_what_runs_inside_aers_own_primitives_is_part_of_them(archive):
    device = archive.wrap(AerSimulator())
    archive.wrap(SamplerV2.from_backend(device)).run([measured()]).result()
    archive.wrap(EstimatorV2.from_backend(device)).run([(unmeasured(), "ZZ")]).result()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for primitive in (Sampler(), Estimator(approximation=True), Estimator()):
            primitive._backend = device
            args = (measured(),) if isinstance(primitive, Sampler) else (unmeasured(), "ZZ")
            archive.wrap(primitive).run(*args, shots=10).result()
    assert [job.get(job.record["input"])["type"] for job in archive.jobs()] == ["qiskit.v1"] * 3 + ["qiskit.pubs"] * 2


def test_ibms_primitives_on_a_local_backend_are_one_record(archive):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations, and options without effect
        from qiskit_ibm_runtime import SamplerV2 as RuntimeSampler

        counts = RuntimeSampler(mode=archive.wrap(FakeManilaV2())).run([measured()], shots=9).result()[0].data.meas.get_counts()
    assert [job.get(job.record["input"])["type"] for job in archive.jobs()] == ["qiskit.circuits"]
    assert archive.job("latest").counts() == counts


def test_labels_and_pauses_reach_what_a_primitive_runs_in_its_thread(archive):
    sampler = BackendSamplerV2(backend=archive.wrap(AerSimulator()))
    with archive.context(group="inside", tags=["a"]):
        sampler.run([measured()]).result()
    assert archive.job("latest").labels == {"group": "inside", "tags": ["a"]}
    with archive.paused():
        sampler.run([measured()]).result()
        archive.wrap(sampler).run([measured()]).result()
    assert len(archive.jobs()) == 1
    sampler.run([measured()]).result()
    assert archive.job("latest").labels == {}


def test_a_run_that_is_left_out_leaves_out_what_runs_inside(archive):
    archive.wrap(BackendSamplerV2(backend=archive.wrap(AerSimulator()))).run([measured()], archive=False).result()
    assert len(archive.jobs()) == 0


def test_nothing_else_of_the_callers_context_reaches_the_thread(archive):
    class Telling(StatevectorSampler):
        def _run(self, pubs):
            self.seen = numpy.geterr()["over"]
            return super()._run(pubs)

    sampler = Telling()
    with numpy.errstate(over="raise"):  # a context variable since numpy 2
        archive.wrap(sampler).run([measured()]).result()
    assert sampler.seen == "warn"


def test_a_batch_of_circuits_is_stored_once_however_often_it_is_run(archive):
    sampler = archive.wrap(SamplerV2())
    for shots in (10, 20, 30):
        sampler.run([measured(), (turned(), sweep(4))], shots=shots).result()
    assert len({job.record["input"] for job in archive.jobs()}) == 1
    assert [job.shots for job in archive.jobs()] == [30, 20, 10]


# Input


@pytest.mark.parametrize("by_name", [False, True], ids=["position", "name"])
def test_pubs_that_come_from_a_generator_are_read_once_and_handed_on(archive, by_name):
    drawn = []

    def pubs():
        for shots in (3, 4):
            drawn.append(shots)
            yield (measured(), None, shots)

    sampler = archive.wrap(StatevectorSampler())
    job = sampler.run(pubs=pubs()) if by_name else sampler.run(pubs())
    assert [result.data.meas.num_shots for result in job.result()] == [3, 4]
    assert drawn == [3, 4]
    assert [pub.shots for pub in archive.job("latest").input] == [3, 4]
    assert archive.job("latest").shots is None


def test_no_pubs_are_no_pubs(archive):
    result = archive.wrap(StatevectorSampler()).run([]).result()
    job = archive.job("latest")
    assert (job.input, job.status, len(result), len(job.result()), job.data()) == ([], "DONE", 0, 0, [])


def test_the_pubs_of_a_recorded_job_are_those_that_ran(archive):
    pubs = [(measured(), None, 5), (measured(), None, 6)]
    job = archive.record(SamplerV2(seed=1).run(pubs))
    assert [pub.shots for pub in job.input] == [5, 6]
    assert job.config["options"] == {}
    same = archive.record(SamplerV2(seed=1).run([measured(), measured()], shots=7))
    assert [pub.shots for pub in same.input] == [None, None]
    assert same.config["options"] == {"shots": 7}  # what all share is how the job was run


def test_a_job_that_runs_is_recorded_and_followed(archive):
    go = threading.Event()

    class Waiting(StatevectorSampler):
        def _run(self, pubs):
            go.wait()
            return super()._run(pubs)

    running = Waiting(seed=1).run([bell()])
    job = archive.record(running)
    assert job.status == "RUNNING"
    go.set()
    conformance.same(conformance.unfolded(job.result(wait=True)), conformance.unfolded(running.result()))


def test_a_job_cancelled_before_it_starts_is_cancelled(archive, monkeypatch):
    class Full:
        """An executor that never comes to it."""

        def __init__(self, max_workers):
            pass

        def submit(self, *_):
            return Future()

        def shutdown(self, wait):
            pass

    monkeypatch.setattr("qiskit.primitives.primitive_job.ThreadPoolExecutor", Full)
    job = archive.wrap(StatevectorSampler()).run([bell()])
    assert job.cancel()
    assert archive.job("latest").status == "CANCELLED"
    assert archive.job("latest").native().status() == JobStatus.CANCELLED


def test_observables_that_are_no_observables_raise_as_they_do_without_the_archive(archive):
    with pytest.raises(ValueError) as bare:
        StatevectorEstimator().run([(unmeasured(), "Q")])
    with pytest.raises(ValueError) as caught, pytest.warns(qarchive.ArchiveWarning, match="input is not archived: ValueError"):
        archive.wrap(StatevectorEstimator()).run([(unmeasured(), "Q")])
    assert str(caught.value) == str(bare.value)
    assert (archive.job("latest").status, archive.job("latest").error["message"]) == ("ERROR", str(bare.value))


# How it was to run


def test_options_are_plain_values_and_noise_models_links(archive):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["h"])
    options = {"backend_options": {"method": "density_matrix", "noise_model": noise}, "run_options": {"memory": True}}
    archive.wrap(SamplerV2(default_shots=11, seed=3, options=options)).run([measured()]).result()
    job = archive.job("latest")
    primitive = job.config["primitive"]
    assert primitive["class"] == "qiskit_aer.primitives.sampler_v2.SamplerV2"
    link = primitive["settings"]["options"]["backend_options"].pop("noise_model")
    assert primitive["settings"] == {
        "default_shots": 11,
        "seed": 3,
        "options": {"backend_options": {"method": "density_matrix"}, "run_options": {"memory": True}},
    }
    assert (job.config["options"], job.shots) == ({}, 11)
    assert job.backend_snapshot["options"]["noise_model"] == link
    assert job.get(link)["operations"]


def test_the_state_of_a_generator_is_kept_and_brings_the_same_again(archive):
    generator = numpy.random.default_rng(5)
    generator.random(3)
    result = archive.wrap(StatevectorSampler(seed=generator)).run([bell()], shots=50).result()
    again = archive.job("latest").rerun()
    conformance.same(conformance.unfolded(again.result(wait=True)), conformance.unfolded(result))


RERUN = {
    "statevector sampler": lambda: StatevectorSampler(seed=3, default_shots=20),
    "statevector estimator": lambda: StatevectorEstimator(seed=3),
    "sampler": lambda: BackendSamplerV2(backend=AerSimulator(method="statevector"), options={"seed_simulator": 3}),
    "estimator": lambda: BackendEstimatorV2(backend=AerSimulator(), options={"seed_simulator": 3}),
    "aer's sampler": lambda: SamplerV2(seed=3, default_shots=20, options={"backend_options": {"method": "statevector"}}),
    "aer's estimator": lambda: EstimatorV2(options={"run_options": {"seed_simulator": 3}}),
    "aer's sampler on a device": lambda: SamplerV2.from_backend(GenericBackendV2(2, seed=1), seed=3),
}


@pytest.mark.parametrize("make", RERUN.values(), ids=RERUN)
def test_what_an_archived_primitive_ran_can_be_run_again(archive, make):
    sampling = isinstance(make(), BaseSamplerV2)
    pubs = [measured()] if sampling else [(unmeasured(), ["ZZ", "XX"])]
    result = archive.wrap(make()).run(pubs, **({"shots": 30} if sampling else {"precision": 0.2})).result()
    job = archive.job("latest")
    again = job.rerun()
    one, other = (conformance.strip(conformance.unfolded(found)) for found in (again.result(wait=True), result))
    conformance.same(one, other)
    assert (again.record["input"], again.record["config"]) == (job.record["input"], job.record["config"])


def test_a_primitive_that_nobody_knows_is_run_again_on_one_of_the_users(archive):
    class Own(StatevectorSampler):
        pass

    archive.wrap(Own(seed=1)).run([bell()], shots=5).result()
    job = archive.job("latest")
    with pytest.raises(BadInput) as caught:
        job.rerun()
    assert str(caught.value) == (
        f"a {Own.__module__}.{Own.__qualname__}: qarchive does not know how to make one; "
        "give the primitive itself: `job.rerun(primitive)`"
    )
    again = job.rerun(Own(seed=1)).result(wait=True)
    conformance.same(conformance.unfolded(again), conformance.unfolded(job.result()))


# Results


def test_counts_join_the_registers_as_qiskit_does(archive):
    pubs = [(turned(), [0.7, 1.9]), bell(), (turned(), sweep(2, 3))]
    result = archive.wrap(SamplerV2(seed=1)).run(pubs, shots=100).result()
    job = archive.job("latest")
    for place in (0, 1, -2):
        assert job.counts(place) == result[place].join_data().get_counts()
    assert len(next(iter(job.counts(0)))) == 11
    with pytest.raises(BadInput) as caught:
        job.counts(2)
    assert str(caught.value) == (
        "PUB 2: it has values of the shape (2, 3), and counts are those of one; "
        "take `job.data()[2]['counts']`, which has those of each"
    )
    found = job.data()[2]["counts"]
    assert found == [[result[2].join_data().get_counts((i, j)) for j in range(3)] for i in range(2)]
    with pytest.raises(BadInput, match="PUB 3: the result holds 3; count from 0"):
        job.counts(3)


def test_data_are_read_by_name_without_the_sdk(archive):
    archive.wrap(SamplerV2(seed=1)).run([(turned(), [0.7, 1.9]), (turned(), sweep(2, 3))], shots=4).result()
    job = archive.job("latest")
    one, several = job.data()
    result = job.result()
    assert one == {
        "alpha": result[0].data.alpha.get_counts(),
        "beta": result[0].data.beta.get_counts(),
        "counts": result[0].join_data().get_counts(),
    }
    assert list(several) == ["alpha", "beta", "counts"]
    assert several["counts"][1][2] == result[1].join_data().get_counts((1, 2))
    assert (several["beta"].numpy() == result[1].data.beta.array).all()
    archive.wrap(StatevectorEstimator(seed=1)).run([(rotated(), [["ZZ"], ["XX"]], sweep(3))], precision=0.1).result()
    (found,) = archive.job("latest").data()
    assert (found["evs"].numpy() == archive.job("latest").result()[0].data.evs).all()
    with pytest.raises(BadInput, match="PUB 0: its result has no counts; look at the data that it has"):
        archive.job("latest").counts()


def test_a_circuit_that_measures_nothing_has_no_counts(archive):
    with pytest.warns(UserWarning, match="no output classical registers"):
        archive.wrap(StatevectorSampler()).run([unmeasured()]).result()
    job = archive.job("latest")
    assert job.data() == [{}]
    with pytest.raises(BadInput, match="PUB 0: its result has no counts"):
        job.counts()


def test_metadata_of_circuits_that_look_like_times_come_back(archive):
    circuit = bell("timed", time_taken=1.5, parallel_shots=[1, 2], max_memory_mb=None)
    sampler = archive.wrap(SamplerV2(seed=1))
    result = sampler.run([circuit, circuit], shots=5).result()
    back = archive.job("latest").result()
    conformance.same(conformance.unfolded(back), conformance.unfolded(result))
    assert back[0].metadata["circuit_metadata"] == circuit.metadata


# The objects


def test_a_primitive_is_recorded_under_the_provider_of_its_backend(archive):
    owners = {
        "aer": [SamplerV2(), EstimatorV2(), BackendSamplerV2(backend=AerSimulator()), BackendEstimatorV2(backend=AerSimulator())],
        "qiskit": [StatevectorSampler(), StatevectorEstimator(), BackendSamplerV2(backend=BasicSimulator())],
    }
    for name, primitives in owners.items():
        for primitive in primitives:
            assert qarchive.providers.registry.owner(primitive).name == name
            assert qarchive.providers.registry.owner(archive.wrap(primitive)).name == name


def test_a_wrapped_primitive_is_a_primitive(archive):
    sampler = archive.wrap(SamplerV2(default_shots=5, seed=2))
    assert isinstance(sampler, BaseSamplerV2) and isinstance(sampler, SamplerV2)
    assert (sampler.default_shots, sampler.seed, sampler.options) == (5, 2, sampler.unwrapped.options)
    sampler.options.run_options["memory"] = True
    assert sampler.unwrapped.options.run_options == {"memory": True}
    assert repr(sampler) == f"<archived {sampler.unwrapped!r}>"
    assert {"jobs", "local_jobs", "remote_jobs", "retrieve_job", "unwrapped", "run", "default_shots"} <= set(dir(sampler))
    job = copy.deepcopy(sampler).run([measured()])
    job.result()
    assert [found.provider_job for found in sampler.jobs(status="DONE")] == [job.job_id()]
    assert list(sampler.local_jobs()) == list(sampler.jobs())
    assert sampler.retrieve_job(job.job_id()) == archive.job("latest")
    with pytest.raises(BadInput, match="a recorded SamplerV2: another process would not record its runs"):
        pickle.dumps(sampler)


def test_what_runs_here_has_no_jobs_elsewhere(archive):
    for native in (AerSimulator(), BasicSimulator(), StatevectorSampler()):
        wrapped = archive.wrap(native)
        assert wrapped.remote_jobs() == wrapped.remote_jobs(limit=3) == []


def test_wrapping_twice_is_wrapping_once(archive):
    sampler = archive.wrap(archive.wrap(StatevectorSampler()))
    assert type(sampler.unwrapped) is StatevectorSampler
    sampler.run([bell()]).result()
    assert len(archive.jobs()) == 1


def test_an_archived_job_reads_and_does_not_run(archive):
    archive.wrap(StatevectorSampler(seed=1)).run([bell()], shots=3).result()
    native = archive.job("latest").native()
    assert isinstance(native, PrimitiveJob)
    assert (native.done(), native.running(), native.cancelled(), native.in_final_state()) == (True, False, False, True)
    assert native.result()[0].data.c.num_shots == 3
    for refused, why in ((native.cancel, "cannot be cancelled"), (native._submit, "was sent when it was recorded")):
        with pytest.raises(JobError) as caught:
            refused()
        assert caught.value.message == (
            f"job {native.job_id()} of StatevectorSampler is archived and {why}; use `archived.rerun()` to run it again"
        )
    assert archive.record(native) == archive.job("latest")


def test_a_primitive_of_somebody_elses_is_recorded(archive):
    class Constant(BaseEstimatorV2):
        """It returns a job that is done, of a class of its own."""

        def __init__(self, value, scale=2):
            self.value, self._scale = value, scale

        def run(self, pubs, *, precision=None, note=None):
            result = PrimitiveResult([PubResult(DataBin(evs=numpy.float64(self.value))) for _ in pubs])
            return Done(result)

    class Done(BasePrimitiveJob):
        def __init__(self, result):
            super().__init__("done-1")
            self._result = result

        def result(self):
            return self._result

        def status(self):
            return "finished"

        done = in_final_state = lambda self: True
        running = cancelled = cancel = lambda self: False

    estimator = archive.wrap(Constant(0.5))
    assert estimator.run([(unmeasured(), "ZZ")], note="mine").result()[0].data.evs == 0.5
    job = archive.job("done-1")
    assert (job.provider, job.kind, job.backend, job.status) == ("qiskit", "local", "Constant", "DONE")
    assert job.outcome["provider_status"] == "finished"
    assert (job.config["options"], job.config["primitive"]["settings"]) == ({"note": "mine"}, {"value": 0.5, "scale": 2})
    assert job.result()[0].data.evs == 0.5
    assert job.native().result()[0].data.evs == 0.5


def test_a_result_of_a_class_that_nobody_knows_is_a_gap_of_a_job_that_is_done(archive):
    class OwnResult(PrimitiveResult):
        pass

    class Own(StatevectorSampler):
        def _run(self, pubs):
            return OwnResult(list(super()._run(pubs)))

    with pytest.warns(qarchive.ArchiveWarning, match="result is not archived: "):
        archive.wrap(Own()).run([bell()]).result()
        job = archive.job("latest")
        assert (job.status, [gap["what"] for gap in job.gaps]) == ("DONE", ["result"])


def test_the_text_of_pubs_is_openqasm(archive):
    archive.wrap(StatevectorEstimator()).run([(unmeasured(), "ZZ"), (rotated(), "ZZ", [0.1, 0.2])]).result()
    plain, parametric = archive.job("latest").text()
    assert "cx q[0], q[1];" in plain
    assert "input float" in parametric


def test_every_field_that_is_stored_is_named_in_the_spec(archive):
    named = set(re.findall(r"`([A-Za-z_0-9]+)`", (SPEC / "qiskit.md").read_text("utf-8") + (SPEC / "tags.md").read_text("utf-8")))
    archive.wrap(SamplerV2(seed=1)).run([(turned(), [0.1, 0.2], 5), bell("a", who="me")]).result()
    archive.wrap(StatevectorEstimator()).run([(unmeasured(), "ZZ", None, 0.2)]).result()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        archive.wrap(Estimator(approximation=True)).run(rotated(), "ZZ", [0.1, 0.2], shots=5).result()
    fields = set()
    for job in archive.jobs():
        value, config = job.get(job.record["input"]), job.config
        fields |= value.keys() | config.keys() | config["primitive"].keys() | job.outcome.get("volatile", {}).keys()
        fields |= job.outcome.get("volatile", {}).get("columns", {}).keys()
        for pub in value.get("pubs", ()):
            fields |= pub.keys() | pub["parameters"].keys() | pub.get("observables", {}).keys()
    assert fields - named == set()


def test_circuits_are_attached_to_the_job_of_a_primitive(archive):
    archive.wrap(StatevectorSampler()).run([bell()]).result()
    job = archive.job("latest")
    job.attach("logical", bell("logical", a=1))
    assert archive.job("latest").attachment("logical") == bell("logical", a=1)
