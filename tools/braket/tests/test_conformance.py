"""qarchive's conformance suite on Braket's simulators, and what is this provider's own."""

import dataclasses
import functools
from pathlib import Path

import conformance
import numpy as np
import pytest
from braket.circuits import Circuit, FreeParameter, Observable
from braket.circuits.noise_model import GateCriteria, NoiseModel
from braket.circuits.noises import Depolarizing
from braket.devices import LocalSimulator
from braket.ir.openqasm import Program
from conformance import same

import qarchive
from qarchive.errors import BadInput, JobFailed

TEXT = """OPENQASM 3.0;
input float theta;
bit[2] b;
qubit[2] q;
rx(theta) q[0];
cnot q[0], q[1];
b = measure q;
"""


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    """Braket's simulators draw from a generator that they make for each run, and take no seed."""
    monkeypatch.setattr(np.random, "default_rng", functools.partial(np.random.default_rng, 7))


def bell():
    return Circuit().h(0).cnot(0, 1)


def noise(strength=0.1):
    return NoiseModel().add_noise(Depolarizing(strength), GateCriteria())


def unfolded(result, volatile=True):
    """A result as plain values: by `==` two are equal that have one id."""
    plain = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    task = plain.pop("task_metadata").dict()
    if not volatile:
        task = {name: item for name, item in task.items() if name not in ("id", "createdAt", "endedAt")}
    plain["additional_metadata"] = plain["additional_metadata"].dict()
    plain["result_types"] = [[type(each.type), each.type.dict(), each.value] for each in plain["result_types"]]
    return {"kind": type(result), "task": task, **plain}


class Simulators(conformance.Conformance):
    provider = "braket"
    package = "amazon-braket-sdk"
    blocked = ("braket", "numpy", "scipy", "pydantic")
    records_jobs = False
    unknowing = "it does not know its circuit; wrap the simulator before it runs"
    name: str
    setup = """
from braket.circuits import Circuit
from braket.devices import LocalSimulator
target = LocalSimulator()
def call(target):
    target.run(Circuit().h(0).cnot(0, 1), shots=100)
"""

    def target(self):
        return LocalSimulator(self.name)

    def calls(self):
        theta = FreeParameter("theta")
        turned = Circuit().rx(0, theta).rz(2, 2 * theta + 0.1)
        exact = bell().probability().expectation(Observable.X() @ Observable.Y(), [0, 1]).density_matrix()
        gates = Circuit().h(5).x(1, control=5, power=0.5).unitary(matrix=np.eye(2)[::-1], targets=[1]).gphase(0.3)
        drawn = bell().probability([0]).expectation(Observable.Z(), [0]).sample(Observable.Z(), [1]).variance(Observable.Z())
        return [
            ("counts", (bell(),), {"shots": 200}),
            ("by position", (bell(), 20), {}),
            ("a measured qubit", (bell().measure(1),), {"shots": 20}),
            ("parameters", (turned,), {"shots": 30, "inputs": {"theta": 0.3}}),
            ("exact", (exact,), {}),
            ("values from shots", (drawn,), {"shots": 50}),
            ("gates of all sorts", (gates,), {"shots": 9}),
            ("OpenQASM", (Program(source=TEXT, inputs={"theta": 0.1}),), {"shots": 10, "inputs": {"theta": 1.5}}),
            *self.more_calls(),
        ]

    def more_calls(self):
        """What only one of the simulators can do."""
        return []

    def other_input(self):
        return (bell().x(0),), {"shots": 200}

    def other_options(self):
        return {"number of shots": ((bell(),), {"shots": 100}), "parameter": ((bell(),), {"shots": 200, "inputs": {"theta": 1}})}

    def other_targets(self):
        return {"simulator": LocalSimulator("braket_dm" if self.name == "braket_sv" else "braket_sv")}

    def failing(self):
        return ((Circuit().rx(0, FreeParameter("theta")),), {"shots": 5}), None

    def same_input(self, one, other):
        assert type(one) is type(other)
        assert one == other

    def same_result(self, one, other):
        same(*(unfolded(item) if dataclasses.is_dataclass(item) else item for item in (one, other)))

    def without_volatile(self, result):
        return unfolded(result, volatile=False)

    def counts_of(self, result):
        return [dict(result.measurement_counts) if result.measurements is not None else None]

    def data_of(self, result):
        return [{"values": result.values, **super().data_of(result)[0]}]

    def shots_of(self, args, kwargs):
        return args[1] if len(args) > 1 else kwargs.get("shots", 0)

    def words_of(self, asked):
        source = asked.source if isinstance(asked, Program) else asked.to_ir("OPENQASM").source
        return [source.splitlines()]

    def id_of(self, job):
        return job.id

    def state_of(self, job):
        return job.state()

    def installed_by(self):
        return "amazon-braket-sdk"

    def with_secret(self, args, secret):
        return (Program(source=f"// Bearer {secret}\n" + TEXT.replace("input float theta", "float theta = 0.5")),)


class TestStateVector(conformance.AcrossProcesses, Simulators):
    name = "braket_sv"

    def more_calls(self):
        return [("the state", (bell().state_vector().amplitude(["00", "11"]),), {"shots": 0})]


class TestDensityMatrix(Simulators):
    name = "braket_dm"

    def more_calls(self):
        return [("noise of the circuit", (bell().bit_flip(0, 0.1).kraus([1], [np.eye(2)]),), {"shots": 40})]

    def target(self):
        return LocalSimulator("braket_dm", noise_model=noise())

    def other_targets(self):
        return {"simulator": LocalSimulator(), "noise": LocalSimulator("braket_dm", noise_model=noise(0.2))}


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        yield archive


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    exec(text[text.index("```python\n") + 10 : text.rindex("```")], names := {})  # noqa: S102 our own text
    try:
        assert sum(names["job"].counts().values()) == 1000
    finally:
        names["archive"].close()


def test_a_batch_is_a_job_for_each_of_its_tasks(archive):
    device = archive.wrap(LocalSimulator())
    theta = FreeParameter("theta")
    turned = Circuit().rx(0, theta)
    batch = device.run_batch((bell(), turned), shots=10, inputs={"theta": 0.2})
    found = archive.jobs(order="oldest")
    assert [job.input for job in found] == [bell(), turned]
    assert [job.config["inputs"] for job in found] == [{"theta": 0.2}] * 2
    for job, result in zip(found, batch.results(), strict=True):
        same(unfolded(job.result()), unfolded(result))
    device.run_batch(turned, shots=10, inputs=[{"theta": 0.1}, {"theta": 0.4}])
    assert sorted(job.config["inputs"]["theta"] for job in archive.jobs(limit=2)) == [0.1, 0.4]
    device.run_batch(bell(), 10, archive=False)
    with pytest.raises(ValueError, match="unbound"):
        device.run_batch([turned, turned], shots=1)
    assert [job.status for job in archive.jobs()] == ["ERROR"] * 2 + ["DONE"] * 4


def test_autolog_sees_runs_and_batches(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        qarchive.autolog(archive)
        try:
            LocalSimulator().run(bell(), shots=5)
            LocalSimulator().run_batch([bell()] * 2, shots=5)
        finally:
            qarchive.autolog(False)
        LocalSimulator().run(bell(), shots=5)
        assert [job.status for job in archive.jobs()] == ["DONE"] * 3


def test_a_replay_answers_runs_and_batches(archive):
    device = archive.wrap(LocalSimulator())
    result = device.run(bell(), shots=10).result()
    results = device.run_batch([bell().x(0), bell().x(1)], shots=10).results()
    player = archive.replay(LocalSimulator())
    same(unfolded(player.run(bell(), shots=10).result()), unfolded(result))
    answered = player.run_batch([bell().x(0), bell().x(1)], shots=10).results()
    same(list(map(unfolded, answered)), list(map(unfolded, results)))
    with pytest.raises(qarchive.errors.NoRecording):
        player.run(bell(), shots=11)
    assert len(archive.jobs()) == 3


def test_a_job_is_run_again_on_a_simulator_made_of_its_snapshot(archive):
    archive.wrap(LocalSimulator("braket_dm", noise_model=noise())).run(bell(), shots=100).result()
    job = archive.job("latest")
    child = job.rerun()
    assert child.backend == "DensityMatrixSimulator"
    assert child.backend_snapshot == job.backend_snapshot
    same(unfolded(child.result(), volatile=False), unfolded(job.result(), volatile=False))


def test_a_group_is_prepared_run_and_read(archive):
    group = archive.group("bells")
    group.add(LocalSimulator(), bell(), shots=10)
    group.add(LocalSimulator(), bell().x(0), shots=20)
    with pytest.warns(qarchive.errors.ArchiveWarning, match=r"input\.circuit\.structure"):  # and what runs is kept all the same
        group.add(LocalSimulator(), Circuit().h(0).expectation(Observable.Hermitian(np.array([[0, 1], [1, 0]])), [0]))
    assert [job.status for job in archive.jobs()] == ["PREPARED"] * 3
    group.run_sequential()
    first, second, exact = group.get_results()
    assert [result.measurements.shape for result in (first, second)] == [(10, 2), (20, 2)]
    assert exact.values == [pytest.approx(1)]


def test_what_is_kept_is_read_without_the_sdks_classes(archive):
    archive.wrap(LocalSimulator()).run(bell().probability(), shots=4)
    job = archive.job("latest")
    [data] = archive.job("latest").data()
    assert data["counts"] == job.counts() and sum(job.counts().values()) == 4
    assert job.text() == ["OPENQASM 3.0;\nqubit[2] q;\nh q[0];\ncnot q[0], q[1];\n#pragma braket result probability all"]
    assert job.backend_snapshot["simulator"] == "braket_sv"
    assert job.backend_snapshot["packages"]["amazon-braket-sdk"] == job.environment["packages"]["amazon-braket-sdk"]
    assert (job.calibrations, job.gaps, job.shots) == ([], [], 4)


def test_exact_results_have_no_counts(archive):
    archive.wrap(LocalSimulator()).run(bell().state_vector())
    with pytest.raises(BadInput, match="it was worked out exactly, without shots"):
        archive.job("latest").counts()


@pytest.mark.parametrize(
    "circuit",
    [
        Circuit().h(0).expectation(Observable.Hermitian(np.array([[1, 0], [0, -1]])), [0]),
        Circuit().rx(0, FreeParameter("t")).adjoint_gradient(Observable.Z(), [0], ["t"]),
    ],
    ids=["a matrix as observable", "a gradient"],
)
def test_a_circuit_that_braket_cannot_read_back_is_a_gap_and_its_text_is_kept(archive, circuit, capfd):
    inputs = {"t": 0.3} if circuit.parameters else None
    LocalSimulator().run(circuit, inputs=inputs)
    said = capfd.readouterr().err
    with pytest.warns(qarchive.errors.ArchiveWarning, match="input.circuit.structure is not archived"):
        result = archive.wrap(LocalSimulator()).run(circuit, inputs=inputs).result()
    assert capfd.readouterr().err == said  # of a gradient that Braket's simulator does not know, either
    job = archive.job("latest")
    assert job.gaps == [
        {"what": "input.circuit.structure", "reason": "Braket reads another circuit from its own OpenQASM, which is kept"}
    ]
    assert job.input == Program(source=job.text()[0], inputs={})
    same(unfolded(job.result()), unfolded(result))


def test_what_is_no_circuit_runs_and_is_a_gap(archive):
    from braket.program_sets import ProgramSet

    with pytest.warns(qarchive.errors.ArchiveWarning):
        archive.wrap(LocalSimulator()).run(ProgramSet([bell(), bell()], shots_per_executable=5)).result()
    job = archive.job("latest")
    assert [gap["what"] for gap in job.gaps] == ["input", "result"]
    assert job.provider_job is None  # ids of what is no circuit are not unique
    with pytest.raises(BadInput, match="it is not in the archive"):
        job.text()


def test_a_run_that_raised_has_no_task(archive):
    with pytest.raises(NameError):
        archive.wrap(LocalSimulator()).run(Circuit().rx(0, FreeParameter("theta")), shots=5)
    with pytest.raises(JobFailed):
        archive.job("latest").native()


def test_somebody_elses_simulator_is_not_made_from_its_snapshot(archive):
    from braket.default_simulator import StateVectorSimulator

    class Mine(StateVectorSimulator):
        pass

    archive.wrap(LocalSimulator(Mine())).run(bell(), shots=5)
    job = archive.job("latest")
    assert (job.backend, job.status, job.gaps) == ("Mine", "DONE", [])
    with pytest.raises(BadInput, match="is not one of Braket's own; give the device yourself"):
        job.rebuild()
    assert job.rerun(backend=LocalSimulator(Mine())).status == "DONE"
