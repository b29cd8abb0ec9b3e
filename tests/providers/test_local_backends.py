"""Local backends of the provider "qiskit": the conformance suite, primitives over them, and what would slip past a wrapper."""

import warnings
from pathlib import Path

import conformance
import pytest
import third_party
from conformance import bell, settled
from qiskit import QuantumCircuit
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive

HERE = Path(__file__).parent


class Local(conformance.QiskitConformance):
    """What all local backends have in common here: two calls, and no run that fails quietly."""

    records_jobs = False
    backend: str  # Python source that makes one

    @property
    def setup(self):
        return f"""
import sys
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own imports
    sys.path.insert(0, {str(HERE)!r})
    from qiskit import QuantumCircuit
    {self.backend.partition("; ")[0]}
target = {self.backend.partition("; ")[2]}
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
def call(target):
    target.run(circuit, shots=100, seed_simulator=1)
"""

    def calls(self):
        return [
            ("counts", (self.circuit(),), {"shots": 50, "seed_simulator": 1}),
            ("a list", ([self.circuit("a", who="me", when=(1, 2)), self.circuit("b")],),
             {"shots": 20, "seed_simulator": 2, "memory": True}),
        ]  # fmt: skip

    def circuit(self, *args, **options):
        return bell(*args, **options)

    def other_input(self):
        return (self.circuit(flipped=True),), {"shots": 50, "seed_simulator": 1}

    def other_targets(self):
        target = self.target()
        target.set_options(seed_simulator=3)
        return {"option": target}

    def failing(self):
        return ((self.refused(),), {"shots": 1, "seed_simulator": 1}), None

    def refused(self):
        """A circuit that the backend's `run` raises for."""
        circuit = QuantumCircuit(1, 1)
        circuit.initialize([0.6, 0.8], 0)
        circuit.append(QuantumCircuit(1, name="unheard").to_gate(), [0])
        circuit.measure(0, 0)
        return circuit


class TestBasicSimulator(Local):
    backend = "from qiskit.providers.basic_provider import BasicSimulator; BasicSimulator()"

    def target(self):
        return BasicSimulator()


class OnAer(Local):
    """Backends that run on an Aer of their own; circuits in their gates, since others are run nowhere again."""

    records_jobs = True
    rebuilds_alike = False

    def circuit(self, *args, **options):
        return entangled(*args, **options)


class TestGenericBackend(conformance.AcrossProcesses, OnAer):
    backend = "from qiskit.providers.fake_provider import GenericBackendV2; GenericBackendV2(3, seed=1)"

    def target(self):
        return settled(GenericBackendV2(3, seed=1))


class TestFakeManila(OnAer):
    backend = "from qiskit_ibm_runtime.fake_provider import FakeManilaV2; FakeManilaV2()"

    def target(self):
        return settled(FakeManilaV2())


class SomebodyElses(Local):
    """Backends of other packages, which are wrapped; what is made from their snapshots is Aer's simulator of them."""

    kind = "local"
    rebuilds_alike = False

    def test_autolog_records_what_nobody_wrapped(self, archive):
        """Of these it is the simulator that they run inside."""
        qarchive.autolog(archive)
        try:
            result = self.target().run(bell(), shots=50, seed_simulator=1).result()
        finally:
            qarchive.autolog(False)
        (job,) = archive.jobs()
        assert (job.backend, job.counts()) == ("basic_simulator", result.get_counts())


class TestPolledJob(conformance.AcrossProcesses, SomebodyElses):
    """A job that can only be asked: a thread of the archive's does so."""

    backend = "import third_party; third_party.polled()"

    def target(self):
        return third_party.polled()


class TestFinishedJob(SomebodyElses):
    """A job that has ended when `run` returns it."""

    backend = "import third_party; third_party.finished()"

    def target(self):
        return third_party.finished()


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "archive") as archive:
        yield archive


def unmeasured(name="entangled", flipped=False, **metadata):
    """In the gates of every backend here."""
    circuit = QuantumCircuit(2, name=name, metadata=metadata)
    if flipped:
        circuit.x(0)
    circuit.sx(0)
    circuit.cx(0, 1)
    return circuit


def entangled(*args, **options):
    circuit = unmeasured(*args, **options)
    circuit.measure_all()
    return circuit


def test_the_runs_of_a_fake_device_are_replayed_on_a_new_one(archive):
    """Its first run leaves its noise among its options."""
    wrapped, player = (how(GenericBackendV2(2, seed=1)) for how in (archive.wrap, archive.replay))
    results = [wrapped.run(entangled(), shots=9).result().to_dict() for _ in range(2)]
    assert [player.run(entangled(), shots=9).result().to_dict() for _ in range(2)] == results


def sampled(sampler):
    return sampler.run([entangled()], shots=64).result()[0].data.meas.get_counts()


def estimated(estimator):
    return float(estimator.run([(unmeasured(), SparsePauliOp("ZZ"))], precision=0.1).result()[0].data.evs)


BACKENDS = {
    "basic": BasicSimulator,
    "generic": lambda: GenericBackendV2(2, seed=1),
    "aer": AerSimulator,
    "polled": third_party.polled,
}


@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
def test_qiskits_primitives_are_recorded_through_their_backend(archive, make):
    wrapped = archive.wrap(make())
    counts = sampled(BackendSamplerV2(backend=wrapped))
    assert archive.job("latest").counts() == counts
    estimated(BackendEstimatorV2(backend=wrapped))
    assert [job.status for job in archive.jobs()] == ["DONE", "DONE"]


def test_aers_primitives_are_recorded_through_a_wrapped_aer_simulator(archive):
    for device in (AerSimulator(), AerSimulator.from_backend(GenericBackendV2(2, seed=1))):
        wrapped = archive.wrap(device)
        before = len(archive.jobs())
        with warnings.catch_warnings():
            warnings.simplefilter("error", qarchive.ArchiveWarning)
            counts = sampled(SamplerV2.from_backend(wrapped))
            assert archive.job("latest").counts() == counts
            assert abs(estimated(EstimatorV2.from_backend(wrapped)) - 1) < 0.9
        assert len(archive.jobs()) == before + 2
        assert archive.job("latest").status == "DONE"


@pytest.mark.parametrize("make", [AerSimulator, SamplerV2, EstimatorV2])
def test_aer_that_makes_a_simulator_of_a_wrapped_device_says_that_it_is_not_recorded(archive, make):
    wrapped = archive.wrap(GenericBackendV2(2, seed=1))
    with pytest.warns(qarchive.ArchiveWarning) as caught:
        made = make.from_backend(wrapped)
    (warning,) = [item for item in caught if item.category is qarchive.ArchiveWarning]
    assert str(warning.message) == (
        "Aer makes a simulator of its own from the wrapped backend generic_backend_2q, and runs on it are not recorded; "
        "wrap what Aer makes, such as `archive.wrap(SamplerV2.from_backend(backend.unwrapped))` or an AerSimulator, "
        "or use `qarchive.autolog()`"
    )
    assert warning.filename == __file__
    if make is SamplerV2:
        sampled(made)
        assert len(archive.jobs()) == 0  # what the warning says
        counts = sampled(archive.wrap(SamplerV2.from_backend(wrapped.unwrapped)))
        assert archive.job("latest").counts() == counts  # what it advises
        counts = sampled(SamplerV2.from_backend(archive.wrap(AerSimulator.from_backend(wrapped.unwrapped))))
        assert archive.job("latest").counts() == counts
        assert len(archive.jobs()) == 2


def test_only_what_runs_elsewhere_is_warned_of(archive):
    wrapped = archive.wrap(GenericBackendV2(2, seed=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        NoiseModel.from_backend(wrapped)
        assert wrapped.backend_version == wrapped.unwrapped.backend_version


def test_options_equal_in_pythons_eyes_are_kept_apart(archive):
    wrapped = archive.wrap(AerSimulator())
    configs = []
    for value in (0.0, -0.0, 0, False, 0.0):
        wrapped.run(unmeasured(), shots=1, zero_threshold=value).result()
        configs.append(archive.job("latest").record["config"])
    assert len(set(configs)) == 4
    assert configs[0] == configs[4]
    wrapped.set_options(zero_threshold=0.0)
    wrapped.run(unmeasured(), shots=1).result()
    first = archive.job("latest").backend_snapshot
    wrapped.set_options(zero_threshold=-0.0)
    wrapped.run(unmeasured(), shots=1).result()
    last = archive.job("latest").backend_snapshot
    assert [repr(snapshot["options"]["zero_threshold"]) for snapshot in (first, last)] == ["0.0", "-0.0"]


def test_a_credential_among_the_options_is_a_gap_of_every_job(archive):
    class Keyed(BasicSimulator):
        def run(self, run_input, api_token=None, **options):
            return super().run(run_input, **options)

    wrapped = archive.wrap(Keyed())
    for _ in range(2):
        with pytest.warns(qarchive.ArchiveWarning, match="a credential was removed"):
            wrapped.run(bell(), shots=1, api_token="hunter22").result()
        assert archive.job("latest").gaps == [{"what": "config", "reason": "a credential was removed"}]
        assert "hunter22" not in repr(archive.job("latest").config)


def test_a_warning_of_the_sdk_is_on_the_users_line(archive):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    wrapped = archive.wrap(BasicSimulator())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrapped.run(circuit, foo=1).result()
    assert [(w.filename, str(w.message)) for w in caught] == [(__file__, "Option foo is not used by this backend")]
