"""Archived jobs that are sent through another service: what reaches IBM is what it was asked to do, option by option."""

import json
import warnings

import pytest
from ibm_runs import bell, lenient, observed, turned
from ibm_server import IBMServer
from qiskit.transpiler import CouplingMap
from qiskit_ibm_runtime import (
    Batch,
    EstimatorV2,
    Executor,
    NoiseLearner,
    QuantumProgram,
    RuntimeDecoder,
    RuntimeProgramNotFound,
    SamplerV2,
    Session,
)
from qiskit_ibm_runtime.executor_sampler import Sampler as ClientSampler
from qiskit_ibm_runtime.utils.default_session import get_cm_session

from qarchive.errors import BadInput
from qarchive.providers import registry

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EVERYWHERE = {"job_tags": ["a", "b"], "log_level": "DEBUG", "private": True}
OF_SAMPLERS = {
    "none": {},
    "shots": {"default_shots": 77},
    "time": {"max_execution_time": 300},
    "environment": {"environment": EVERYWHERE},
    "decoupling": {"dynamical_decoupling": {"enable": True, "sequence_type": "XY4"}},
    "twirling": {"twirling": {"enable_gates": True, "num_randomizations": 4, "shots_per_randomization": "auto"}},
    "execution": {"execution": {"init_qubits": False, "rep_delay": 0.0001, "meas_type": "kerneled"}},
    "unknown": {"experimental": {"thing": {"list": [1, 2.5, None]}, "execution": {"fast": True}}},
    "image": {"experimental": {"image": "a:b"}},
    "simulator": {"simulator": {"seed_simulator": 3, "coupling_map": CouplingMap([[0, 1], [1, 0]])}},
    "all": {"experimental": {"image": "a:b", "x": 1}, "max_execution_time": 5, "environment": EVERYWHERE, "default_shots": 9},
}
OF_ESTIMATORS = {
    "none": {},
    "precision": {"default_precision": 0.3},
    "shots": {"default_shots": 50},
    "no mitigation": {"resilience_level": 0},
    "mitigation": {"resilience_level": 2, "seed_estimator": 9},
    "zne": {"resilience": {"zne_mitigation": True, "zne": {"noise_factors": [1, 3, 5], "extrapolator": ["linear"]}}},
    "pec": {"resilience": {"pec_mitigation": True, "pec": {"max_overhead": None}}},
    "layers": {"resilience": {"measure_mitigation": False, "layer_noise_learning": {"layer_pair_depths": [0, 1]}}},
    "around": {"max_execution_time": 9, "environment": EVERYWHERE},
    "unknown": {"resilience_level": 1, "experimental": {"resilience": {"new": 1}}},
}
OF_LEARNERS = {
    "none": {},
    "numbers": {"max_layers_to_learn": 2, "shots_per_randomization": 16, "layer_pair_depths": [0, 2]},
    "around": {"max_execution_time": 9, "environment": EVERYWHERE},
    "unknown": {"twirling_strategy": "all", "experimental": {"image": "a:b", "k": 2}},
}
OF_EXECUTORS = {
    "none": {},
    "all": {
        "execution": {"init_qubits": False, "rep_delay": 0.0003, "scheduler_timing": True},
        "experimental": {"q": 1},
        "environment": EVERYWHERE | {"image": "a:b"},
        "max_execution_time": 7,
    },
}


def decoded(value):
    """Circuits as circuits: one of several with equal content stands in an archive for all, and its QPY may be another."""
    return RuntimeDecoder().object_hook(value) if value.get("__type__") == "QuantumCircuit" else value


class Lab:
    """A server that keeps its jobs, an archive, and a service of another process's, so to say."""

    def __init__(self, server, archive):
        self.server, self.archive, self.provider = server, archive, registry.named("ibm")
        self.backend = archive.wrap(server.service()).backend("ibm_alpha")
        self.other = server.service()

    def last(self):
        """The newest job, of whatever kind."""
        return max([*self.archive.jobs(limit=1), *self.archive.jobs(kind="mock")], key=lambda job: job.created)

    def call(self, device=None):
        """The newest job's call on its device, as the other service has it."""
        job = self.last()
        return self.provider.load_call(job.get, job.record, device or self.provider.device(self.other, job.backend))

    def both(self, run, device=None):
        """The requests for jobs of `run()` and of the archived job that it made, with circuits as circuits."""
        self.server.requests.clear()
        for send in (run, lambda: self.again(device)):
            try:
                send()
            except RuntimeProgramNotFound:
                pass  # the server does not know the executor, and has its request all the same
        return [
            json.loads(request.body, object_hook=decoded)
            for request in self.server.requests
            if (request.method, request.path) == ("POST", "/jobs")
        ]

    def again(self, device=None):
        target, args, kwargs = self.call(device)
        return target.run(*args, **kwargs)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with IBMServer(seed=7) as server, lenient(tmp_path_factory.mktemp("again") / "lab") as archive:
        server.hold()
        yield Lab(server, archive)


def named(request):
    """A request with the names of its circuits, which equality does not see."""
    params = request["params"]
    circuits = [pub[0] for pub in params["pubs"]] if "pubs" in params else params.get("circuits", ())
    return request, [(circuit.name, circuit.metadata) for circuit in circuits]


def assert_same(sent):
    first, second = sent
    assert named(first) == named(second)


@pytest.mark.parametrize("options", OF_SAMPLERS.values(), ids=OF_SAMPLERS)
def test_a_sampler_is_sent_with_the_same_options(lab, options):
    circuit = bell(lab.backend, metadata={"k": 1})
    assert_same(lab.both(lambda: SamplerV2(lab.backend, options=options).run([circuit, turned(lab.backend)])))


@pytest.mark.parametrize("options", OF_ESTIMATORS.values(), ids=OF_ESTIMATORS)
def test_an_estimator_is_sent_with_the_same_options(lab, options):
    assert_same(lab.both(lambda: EstimatorV2(lab.backend, options=options).run([observed(lab.backend)])))


@pytest.mark.parametrize("options", OF_LEARNERS.values(), ids=OF_LEARNERS)
def test_a_noise_learner_is_sent_with_the_same_options(lab, options):
    assert_same(lab.both(lambda: NoiseLearner(lab.backend, options=options).run([bell(lab.backend)])))


@pytest.mark.parametrize("options", OF_EXECUTORS.values(), ids=OF_EXECUTORS)
@pytest.mark.parametrize("client", [False, True])
def test_an_executor_is_sent_with_the_same_options(lab, options, client):
    program = QuantumProgram(shots=64)
    program.append_circuit_item(bell(lab.backend))
    kind, given = (ClientSampler, [bell(lab.backend)]) if client else (Executor, program)
    first, second = lab.both(lambda: kind(lab.backend, options=options).run(given))
    programs = [request["params"].pop("quantum_program") for request in (first, second)]
    assert first == second
    for program in programs:
        program.pop("circuits")
    assert programs[0] == programs[1]


def test_shots_and_precisions_of_pubs_and_of_calls_are_sent(lab):
    circuit, pair = bell(lab.backend), observed(lab.backend)
    sent = lab.both(lambda: SamplerV2(lab.backend).run([circuit, (*turned(lab.backend), 33)], shots=21))
    assert_same(sent)
    assert [pub[2] for pub in sent[1]["params"]["pubs"]] == [21, 33]
    sent = lab.both(lambda: EstimatorV2(lab.backend).run([pair, (*pair, None, 0.5)], precision=0.2))
    assert_same(sent)
    assert [pub[3] for pub in sent[1]["params"]["pubs"]] == [0.2, 0.5]


def test_a_dry_run_stays_one_on_any_device(lab):
    sent = lab.both(lambda: SamplerV2(lab.backend).run([bell(lab.backend)], dry_run=True))
    assert_same(sent)
    assert sent[1]["backend"] == "mock_alpha"
    _, _, kwargs = lab.call(lab.other.backend("ibm_alpha"))
    assert kwargs == {"dry_run": True}


def test_a_calibration_that_was_asked_for_is_asked_for_again(lab):
    wanted = lab.server.devices["ibm_alpha"].calibrations[0].id
    old = lab.backend.service.backend("ibm_alpha", calibration_id=wanted)
    sent = lab.both(lambda: SamplerV2(old).run([bell(old)]))
    assert_same(sent)
    assert sent[1]["calibration_id"] == wanted
    lab.both(lambda: SamplerV2(lab.backend).run([bell(lab.backend)]))
    target, _, _ = lab.call(old)
    assert (target.backend().calibration_id, old.calibration_id) == (None, wanted)


@pytest.mark.parametrize("kind", [Batch, Session])
def test_a_job_goes_into_the_session_or_batch_that_it_is_given(lab, kind):
    held = kind(lab.backend)
    sent = lab.both(lambda: SamplerV2(held).run([bell(lab.backend)]), held)
    assert_same(sent)
    assert sent[1]["session_id"] == held.session_id
    assert "session_id" not in lab.both(lambda: SamplerV2(held).run([bell(lab.backend)]))[1]


def test_a_job_goes_into_the_batch_that_is_open_on_its_device_and_into_no_other(lab):
    lab.both(lambda: SamplerV2(lab.backend).run([bell(lab.backend)]))
    with Batch(lab.other.backend("ibm_alpha")) as batch:
        assert lab.again().session_id == batch.session_id
    with Batch(lab.other.backend("ibm_beta")) as batch, pytest.raises(BadInput) as caught:
        lab.again()
    assert str(caught.value) == (
        f"a job for the device ibm_alpha: the session or batch {batch.session_id} is open, on ibm_beta; close it first"
    )
    assert get_cm_session() is None


def test_what_runs_a_job_again_is_the_backend_or_the_session_behind_a_primitive(lab):
    held = Session(lab.backend)
    wrapped = lab.archive.wrap(SamplerV2(lab.backend))
    found = [lab.provider.device_of(target) for target in (SamplerV2(lab.backend), wrapped, SamplerV2(held), lab.backend, held)]
    assert [each is wanted for each, wanted in zip(found, [lab.backend, lab.backend, held, lab.backend, held])] == [True] * 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert lab.provider.device_of(NoiseLearner(lab.backend)) is lab.backend
    assert lab.provider.device_of(Executor(held)) is held


def test_a_primitive_that_is_given_has_its_own_options(lab):
    lab.both(lambda: SamplerV2(lab.backend, options={"default_shots": 5}).run([bell(lab.backend)]))
    mine = SamplerV2(lab.other.backend("ibm_alpha"), options={"default_shots": 6})
    target, _, kwargs = lab.call(mine)
    assert (target is mine, kwargs) == (True, {})


def config_of(lab, **changes):
    """How the archive answers for the newest job, with another config."""
    job = lab.last()
    config = {name: value for name, value in {**job.config, **changes}.items() if value is not None}
    return lambda link: config if link == job.record["config"] else job.get(link), job.record


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"inputs": None}, "the options of this job: they are not in the archive; see the gaps of the job"),
        ({"program": "vqe"}, "a job of the program 'vqe': its primitive cannot be made again; give the primitive itself"),
        (
            {"runtime": {"log_level": "WARNING", "session_time": 3}},
            "the options of this job: this version of the SDK would send others; give the primitive itself",
        ),
        (
            {"inputs": {"options": {}, "resilience_level": 1, "version": 2, "support_qiskit": True}},
            "the options of this job: the SDK takes them no longer (",
        ),
    ],
)
def test_options_that_cannot_be_had_are_not_sent_as_others(lab, changes, said):
    lab.both(lambda: SamplerV2(lab.backend).run([bell(lab.backend)]))
    get, record = config_of(lab, **changes)
    lab.server.requests.clear()
    with pytest.raises(BadInput) as caught:
        lab.provider.load_call(get, record, lab.backend)
    assert str(caught.value) == said or (said.endswith("(") and str(caught.value).startswith(said))
    assert lab.server.requests == []


def test_a_job_that_was_fetched_is_sent_as_far_as_the_service_tells(lab):
    options = {"environment": {"job_tags": ["t"], "log_level": "INFO"}, "default_shots": 12}
    sent = SamplerV2(lab.other.backend("ibm_alpha"), options=options).run([bell(lab.backend)])
    lab.archive.fetch(lab.other, sent.job_id())
    target, _, _ = lab.call()
    assert (target.options.default_shots, target.options.environment.job_tags) == (12, ["t"])
