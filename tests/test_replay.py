"""The core of replay, on Qiskit and Aer: which recording answers which call, what a miss says, and that nothing is recorded."""

import hashlib
import threading

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.providers.basic_provider import BasicSimulator
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from qiskit_aer.primitives import EstimatorV2, SamplerV2

import qarchive
from qarchive.errors import BadInput, JobFailed, NoRecording, SameName
from qarchive.replay.player import Player


def uniform(width=6, name=None):
    """A circuit whose counts are another set in each run."""
    circuit = QuantumCircuit(width, name=name)
    circuit.h(range(width))
    circuit.measure_all()
    return circuit


def noise(rate):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(rate, 1), ["h"])
    model.add_all_qubit_readout_error(ReadoutError([[1 - rate, rate], [rate, 1 - rate]]))
    return model


def ansatz():
    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("a"), 0)
    circuit.cx(0, 1)
    return circuit


def counts(job):
    result = job.result()
    return result.get_counts() if hasattr(result, "get_counts") else [pub.data.meas.get_counts() for pub in result]


def packs(archive):
    """Digests of what is on the disk, with the outcomes of jobs that have just ended."""
    archive.flush()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (archive.path / "packs").iterdir()}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(archive, results by name). Equal runs are of the group "thrice"."""
    with qarchive.open(tmp_path_factory.mktemp("replay") / "lab") as archive:
        aer, basic = archive.wrap(AerSimulator()), archive.wrap(BasicSimulator())
        with archive.context(group="thrice"):
            thrice = [aer.run(uniform(), shots=100) for _ in range(3)]
        jobs = {
            "basic": basic.run(uniform(4), shots=50),
            "several": aer.run([uniform(3), uniform(4)], shots=50),
            "seeded": aer.run(uniform(), shots=100, seed_simulator=5),
            "noisy run": aer.run(uniform(), shots=100, noise_model=noise(0.1)),
            "noisy": archive.wrap(AerSimulator(noise_model=noise(0.1))).run(uniform(), shots=100),
            "noisier": archive.wrap(AerSimulator(noise_model=noise(0.4))).run(uniform(), shots=100),
            "sampler": archive.wrap(SamplerV2(seed=3)).run([uniform(), (uniform(5), None, 30)], shots=40),
            "statevector": archive.wrap(StatevectorSampler()).run([uniform()], shots=40),
        }
        estimator = archive.wrap(EstimatorV2())
        with archive.context(group="vqe"):
            values = [float(estimator.run([(ansatz(), "ZZ", [x])]).result()[0].data.evs) for x in (0.1, 0.2)]
        results = {name: counts(job) for name, job in jobs.items()}
        yield archive, {**results, "thrice": [counts(job) for job in thrice], "vqe": values}


CALLS = {
    "basic": lambda wrap: wrap(BasicSimulator()).run(uniform(4), shots=50),
    "several": lambda wrap: wrap(AerSimulator()).run([uniform(3), uniform(4)], shots=50),
    "seeded": lambda wrap: wrap(AerSimulator()).run(uniform(), shots=100, seed_simulator=5),
    "noisy run": lambda wrap: wrap(AerSimulator()).run(uniform(), shots=100, noise_model=noise(0.1)),
    "noisy": lambda wrap: wrap(AerSimulator(noise_model=noise(0.1))).run(uniform(), shots=100),
    "noisier": lambda wrap: wrap(AerSimulator(noise_model=noise(0.4))).run(uniform(), shots=100),
    "sampler": lambda wrap: wrap(SamplerV2(seed=3)).run((pub for pub in [uniform(), (uniform(5), None, 30)]), shots=40),
    "statevector": lambda wrap: wrap(StatevectorSampler()).run([uniform(name="another")], shots=40),
}


@pytest.mark.parametrize("way", ["object", "context", "wrapped"])
def test_each_call_gets_its_recording(recorded, way):
    archive, results = recorded
    before = packs(archive)
    if way == "object":
        found = {name: counts(call(archive.replay)) for name, call in CALLS.items()}
    else:
        wrap = archive.wrap if way == "wrapped" else lambda native: native
        with archive.replay():
            found = {name: counts(call(wrap)) for name, call in CALLS.items()}
    assert found == {name: results[name] for name in CALLS}
    assert packs(archive) == before


def test_the_kth_equal_call_gets_the_kth_recording_and_each_replay_counts_anew(recorded):
    archive, results = recorded
    assert results["thrice"][0] != results["thrice"][1] != results["thrice"][2]
    for _ in range(2):
        backend = archive.replay(AerSimulator(), group="thrice")
        assert [counts(backend.run(uniform(name=f"run {k}"), shots=100)) for k in range(3)] == results["thrice"]
    nearest = archive.job("thrice/3").id[:12]
    with pytest.raises(NoRecording) as caught:
        backend.run(uniform(), shots=100)
    error = caught.value
    assert (error.what, error.nearest[:12]) == ("an execution on aer_simulator", nearest)
    assert str(error) == (
        f"an execution on aer_simulator is not recorded in group thrice of {archive.path}; the nearest is job {nearest}: "
        'all of its 3 recordings answered before; `mode="missing"` runs and records what is not there'
    )


def test_a_miss_says_what_differs(recorded):
    archive, _ = recorded
    backend = archive.replay(AerSimulator(), group="thrice")
    nearest = archive.job("thrice/3").id[:12]
    start = f"an execution on aer_simulator is not recorded in group thrice of {archive.path}; the nearest is job {nearest}: "
    end = '; `mode="missing"` runs and records what is not there'
    for run, differs in (
        (lambda: backend.run(uniform(), shots=101), "shots: 101, recorded 100"),
        (lambda: backend.run(uniform(5), shots=100), "the circuit differs"),
        (lambda: backend.run([uniform()] * 2, shots=100), "circuits: 2, recorded 1"),
        (lambda: backend.run(uniform(), shots=100, seed_simulator=1), "seed_simulator: 1, not in the recording"),
    ):
        with pytest.raises(NoRecording) as caught:
            run()
        assert str(caught.value) == start + differs + end
    with pytest.raises(NoRecording) as caught:
        archive.replay(StatevectorEstimator(), group="thrice").run([(ansatz(), "ZZ", [1.0])])
    assert str(caught.value) == f"an execution on StatevectorEstimator is not recorded in group thrice of {archive.path}{end}"


def test_backends_that_differ_only_in_their_noise_do_not_answer_for_each_other(recorded):
    archive, results = recorded
    assert results["noisy"] != results["noisier"]
    with pytest.raises(NoRecording):
        archive.replay(AerSimulator(noise_model=noise(0.2))).run(uniform(), shots=100)
    with pytest.raises(NoRecording):
        archive.replay(AerSimulator()).run(uniform(), shots=100, noise_model=noise(0.2))


def test_order_gives_the_nth_call_the_nth_recording(recorded):
    archive, results = recorded
    backend = archive.replay(AerSimulator(), group="thrice", match="order")
    assert [counts(backend.run(uniform(2), shots=1)) for _ in range(3)] == results["thrice"]
    with pytest.raises(NoRecording) as caught:
        backend.run(uniform(), shots=100)
    assert str(caught.value) == (
        f"a further execution of aer is not recorded in group thrice of {archive.path}; "
        '`mode="missing"` runs and records what is not there'
    )


def test_parameters_count(recorded):
    archive, results = recorded
    estimator = archive.replay(EstimatorV2(), group="vqe")
    assert [float(estimator.run([(ansatz(), "ZZ", [x])]).result()[0].data.evs) for x in (0.2, 0.1)] == results["vqe"][::-1]
    for pub in ((ansatz(), "ZZ", [0.3]), (ansatz(), "XX", [0.1])):
        with pytest.raises(NoRecording):
            estimator.run([pub])


def test_failures_answer_where_they_are_asked_for(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        circuit = QuantumCircuit(1)
        circuit.h(0)
        circuit.t(0)
        circuit.measure_all()
        stabilizer = AerSimulator(method="stabilizer")
        assert not archive.wrap(stabilizer).run(circuit).result().success
        assert archive.job("latest").status == "ERROR"
        with pytest.raises(NoRecording):
            archive.replay(stabilizer).run(circuit)
        try:
            assert not archive.replay(stabilizer, failures=True).run(circuit).result().success
        except JobFailed as error:
            assert str(error)


def test_missing_runs_once_and_remembers(tmp_path):
    path = tmp_path / "cache"
    with qarchive.open(path) as archive:
        cached = archive.replay(AerSimulator(), mode="missing", group="g", tag="t")
        first = counts(cached.run(uniform(), shots=100))
        second = counts(cached.run(uniform(), shots=100))  # the second equal call is another one
        assert first != second
        assert [job.labels for job in archive.jobs()] == [{"group": "g", "tags": ["t"]}] * 2
    with qarchive.open(path) as archive:
        before = packs(archive)
        with archive.replay(mode="missing", group="g", tag="t"):
            backend = AerSimulator()
            assert [counts(backend.run(uniform(), shots=100)) for _ in range(2)] == [first, second]
            assert len(archive.jobs()) == 2
            assert packs(archive) == before
            counts(backend.run(uniform(2), shots=10))
            assert len(archive.jobs()) == 3


def test_what_is_replayed_is_no_evidence(recorded):
    archive, _ = recorded
    before = len(archive.jobs())
    backend = archive.replay(AerSimulator(), group="thrice")
    for native in (backend, archive.replay(SamplerV2())):
        with pytest.raises(BadInput) as caught:
            archive.wrap(native)
        kind = type(native.unwrapped).__name__
        said = "it answers from recordings, and nothing new comes of it; wrap the original"
        assert str(caught.value) == f"a replayed {kind}: {said}"
    job = backend.run(uniform(), shots=100)
    assert archive.record(job).id == archive.job("thrice/1").id
    with archive.replay(group="thrice"):
        assert archive.record(AerSimulator().run(uniform(), shots=100)).id == archive.job("thrice/1").id
        with pytest.raises(BadInput) as caught:
            archive.group("thrice").add(AerSimulator(), uniform(), shots=100)
        assert str(caught.value) == "a replay: prepares no jobs; add them to the group outside of it"
    assert len(archive.jobs()) == before


def test_what_is_left_out_runs_and_is_not_recorded(recorded):
    archive, results = recorded
    before = packs(archive)
    with archive.replay(group="thrice"):
        backend = AerSimulator()
        with archive.paused():
            assert sum(counts(backend.run(uniform(2), shots=7)).values()) == 7
        assert sum(counts(backend.run(uniform(2), shots=7, archive=False)).values()) == 7
        assert counts(backend.run(uniform(), shots=100)) == results["thrice"][0]
    assert sum(counts(archive.replay(AerSimulator()).run(uniform(2), shots=7, archive=False)).values()) == 7
    assert packs(archive) == before


def test_threads_share_the_recordings(recorded):
    archive, results = recorded
    found, missed = [], []

    def run():
        try:
            found.append(counts(AerSimulator().run(uniform(), shots=100)))
        except NoRecording:
            missed.append(True)

    with archive.replay(group="thrice"):
        threads = [threading.Thread(target=run) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (
        sorted(map(sorted, map(dict.items, found))) == sorted(map(sorted, map(dict.items, results["thrice"])))
        and len(missed) == 2
    )


def test_a_primitive_of_a_replayed_backend_is_replayed_as_a_whole(recorded, tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        first = counts(archive.wrap(BackendSamplerV2(backend=AerSimulator())).run([uniform()], shots=40))
        with archive.replay():
            assert counts(BackendSamplerV2(backend=AerSimulator()).run([uniform()], shots=40)) == first


def test_autolog_changes_nothing_in_a_replay(recorded):
    archive, results = recorded
    with archive.replay(group="thrice"):
        assert qarchive.autolog(archive) is archive
        assert counts(AerSimulator().run(uniform(), shots=100)) == results["thrice"][0]
        assert qarchive.autolog(False) is None
        assert counts(AerSimulator().run(uniform(), shots=100)) == results["thrice"][1]


def test_it_ends_with_its_block(recorded, tmp_path):
    archive, _ = recorded
    before = vars(AerSimulator.__mro__[1])["run"]
    with archive.replay(group="thrice"):
        assert vars(AerSimulator.__mro__[1])["run"] is not before
    assert vars(AerSimulator.__mro__[1])["run"] is before
    assert sum(counts(AerSimulator().run(uniform(2), shots=9)).values()) == 9


def test_it_is_told_what_answers(recorded):
    archive, _ = recorded
    player = Player(archive, "only", "exact", False, {"group": "thrice"})
    told = []
    player.watch = told.append
    from qarchive.providers import registry

    registry.owner(AerSimulator()).replay(AerSimulator(), player).run(uniform(), shots=100)
    assert told == [[archive.job("thrice/1").id]]
    assert player.recordings() == [archive.job(f"thrice/{k}").id for k in (1, 2, 3)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "maybe"}, "mode='maybe': does not exist; it is only or missing"),
        ({"match": "name"}, "match='name': does not exist; it is exact or order"),
        ({"since": "yesterday"}, "since='yesterday': is no time; give an aware datetime, or text such as 2026-11-21T08:00 or 7d"),
    ],
)
def test_wrong_words_are_refused(recorded, options, said):
    archive, _ = recorded
    with pytest.raises(BadInput) as caught:
        archive.replay(AerSimulator(), **options)
    assert str(caught.value) == said


def test_a_name_without_a_client_is_refused(recorded):
    archive, _ = recorded
    with pytest.raises(BadInput) as caught:
        archive.replay("aer")
    assert str(caught.value) == "the provider aer: has no client to answer for; give a backend or a primitive"


def test_of_two_groups_of_one_name_the_archives_own_answers_and_the_other_by_its_id(tmp_path):
    answers = {}
    for name in ("ours", "theirs"):
        with qarchive.open(tmp_path / name) as archive, archive.context(group="scan"):
            job = archive.wrap(StatevectorSampler(seed=3 + len(name))).run([uniform()], shots=40)
            answers[name] = counts(job)
            archive.export(tmp_path / f"{name}.qar")
    with qarchive.open(tmp_path / "ours") as archive:
        theirs = archive.import_(tmp_path / "theirs.qar").groups[0]
        assert len(archive.jobs(group="scan")) == 2
        for group, whose in (("scan", "ours"), (theirs, "theirs"), (theirs[:12], "theirs")):
            sampler = archive.replay(StatevectorSampler(), group=group, match="order")
            assert counts(sampler.run([uniform()], shots=40)) == answers[whose]
            with pytest.raises(NoRecording):
                sampler.run([uniform()], shots=40)
    with qarchive.open(tmp_path / "third") as archive:
        archive.import_(tmp_path / "ours.qar")
        archive.import_(tmp_path / "theirs.qar")
        with pytest.raises(SameName) as caught:
            archive.replay(StatevectorSampler(), group="scan")
        assert str(caught.value).startswith("2 groups are called scan: ")


def test_a_miss_names_the_settings_of_the_backend(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator(noise_model=noise(0.1))).run(uniform(2), shots=10).result()
        with pytest.raises(NoRecording) as caught:
            archive.replay(AerSimulator(noise_model=noise(0.4))).run(uniform(2), shots=10)
        assert "the backend's settings differ: options.noise_model; " in str(caught.value)
