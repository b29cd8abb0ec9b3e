"""What two jobs differ in: on real runs of several SDKs, on plain values, and for calls beside recordings."""

import numpy
import perceval as pcvl
import pytest
from perceval.algorithm import Sampler
from pulser import Pulse, Register, Sequence
from pulser.backend import BitStrings, EmulationConfig, Energy
from pulser.devices import MockDevice
from pulser_simulation import QutipBackendV2
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_aer.primitives import SamplerV2

import qarchive
from qarchive.comparing import calls, jobs, results
from qarchive.comparing.settings import ABSENT, Change, changes, shown
from qarchive.comparing.two_sample import Test
from qarchive.errors import BadInput
from qarchive.stage import Stage
from qarchive.values import Array, Link, Typed

LEVEL = 0.01


def circuit(*gates, name="c", qubits=2):
    made = QuantumCircuit(qubits, name=name)
    for gate, *where in gates:
        getattr(made, gate)(*where)
    made.measure_all()
    return made


BELL = (("h", 0), ("cx", 0, 1))


def noise(error):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(error, 1), ["h"])
    return model


def atoms(amplitude):
    sequence = Sequence(Register.rectangle(1, 2, spacing=8, prefix="q"), MockDevice)
    sequence.declare_channel("ch", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(100, amplitude, 0, 0), "ch")
    return sequence


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(archive, {what ran: job}); only read."""
    with qarchive.open(tmp_path_factory.mktemp("lab") / "lab") as archive:
        found = {}

        def keep(name, native):
            found[name] = archive.record(native)
            found[name].wait()

        def latest(name):
            found[name] = archive.job("latest")

        aer = archive.wrap(AerSimulator())
        keep("bell", aer.run(circuit(*BELL, name="bell"), shots=1000, seed_simulator=1))
        keep("again", aer.run(circuit(*BELL, name="renamed"), shots=1000, seed_simulator=1))
        keep("more shots", aer.run(circuit(*BELL), shots=3000, seed_simulator=2))
        keep("flipped", aer.run(circuit(*BELL, ("x", 1)), shots=1000, seed_simulator=1))
        keep("noisy", aer.run(circuit(*BELL), shots=1000, seed_simulator=1, noise_model=noise(0.01)))
        keep("noisier", aer.run(circuit(*BELL), shots=1000, seed_simulator=1, noise_model=noise(0.02)))
        keep("three", aer.run([circuit(*BELL), circuit(("x", 0)), circuit(("h", 0))], shots=500, seed_simulator=3))
        keep("two", aer.run([circuit(*BELL), circuit(("x", 1))], shots=500, seed_simulator=4))
        uniform = circuit(*(("h", n) for n in range(60)), qubits=60)
        for seed in (1, 2):
            keep(f"uniform {seed}", aer.run(uniform, shots=300, seed_simulator=seed, method="stabilizer"))
        for angle in (0.5, 0.6):
            state = QuantumCircuit(1)
            state.ry(angle, 0)
            state.save_statevector()
            keep(f"state {angle}", aer.run(state))
        keep("failed", aer.run(uniform, method="statevector"))
        for seed in (1, 2):
            device = AerSimulator.from_backend(GenericBackendV2(2, basis_gates=["x", "sx", "rz", "cx"], seed=seed))
            keep(f"device {seed}", archive.wrap(device).run(circuit(("x", 0)), shots=100, seed_simulator=1))
        theta = Parameter("theta")
        turned = circuit(("ry", theta, 0), qubits=1)
        for value in (0, 1):
            keep(f"bound {value}", aer.run([turned], parameter_binds=[{theta: [value]}], shots=100, seed_simulator=1))
        for shift in (0, 1):
            pub = (turned, numpy.array([[0.0], [0.5], [1.0 + shift]]))
            keep(f"sweep {shift}", archive.wrap(SamplerV2(seed=3)).run([pub], shots=500))
        bare = QuantumCircuit(2)
        bare.h(0)
        bare.cx(0, 1)
        for precision, seed in ((0.05, 1), (0.05, 2), (0.0, 1)):
            estimator = archive.wrap(StatevectorEstimator(seed=seed))
            keep(f"estimator {precision} {seed}", estimator.run([(bare, ["ZZ", "XI"])], precision=precision))
        keep("other observable", archive.wrap(StatevectorEstimator(seed=1)).run([(bare, ["ZZ", "XX"])], precision=0.05))
        for angle in (0.0, 0.5):
            processor = archive.wrap(pcvl.Processor("SLOS", pcvl.BS(theta=1.2 + angle)))
            processor.with_input(pcvl.BasicState([1, 0]))
            processor.min_detected_photons_filter(1)
            Sampler(processor, max_shots_per_call=10_000).probs()
            latest(f"probabilities {angle}")
            Sampler(processor, max_shots_per_call=10_000).sample_count(2000)
            latest(f"samples {angle}")
        for amplitude in (3, 12):
            config = EmulationConfig(observables=[BitStrings(num_shots=200), Energy()])
            archive.wrap(QutipBackendV2(atoms(amplitude), config=config)).run()
            latest(f"atoms {amplitude}")
        yield archive, found


def compared(lab, one, other, level=LEVEL):
    archive, found = lab
    return archive.diff(found[one], found[other].id, level)


# Jobs


def test_a_job_does_not_differ_from_itself(lab):
    for name in lab[1]:
        found = compared(lab, name, name)
        assert (found.differs, found.differing) == (False, ())
        assert found.result.verdict == (None if name == "failed" else "equal")


def test_the_same_run_twice_is_equal_whatever_its_circuits_are_called(lab):
    found = compared(lab, "bell", "again")
    assert (found.differs, found.result.verdict, found.input.reason) == (False, "equal", "")
    assert list(found.sections) == list(jobs.SECTIONS)


def test_other_shots_are_another_configuration_with_the_same_result(lab):
    found = compared(lab, "bell", "more shots")
    assert found.differing == ("config",)
    assert found.config.changes == (Change("options.seed_simulator", 1, 2), Change("options.shots", 1000, 3000))
    assert found.result.verdict == "same" and found.result.circuits[0].tests["counts"].p > LEVEL


def test_another_circuit_is_another_input_and_another_result(lab):
    found = compared(lab, "bell", "flipped")
    assert found.differing == ("input", "result")
    assert (found.input.sizes, found.input.differing) == ((1, 1), (0,))
    assert found.input.texts == (jobs.Text(0, ("@@ -6,2 +6,3 @@", " cx q[0], q[1];", "+x q[1];", " barrier q[0], q[1];")),)
    test = found.result.circuits[0].tests["counts"]
    assert (test.verdict, test.freedom, test.distance) == ("differ", 3, 1)


def test_noise_models_are_told_apart_by_their_digests(lab):
    found = compared(lab, "noisy", "noisier")
    one, other = (str(lab[1][name].config["options"]["noise_model"])[:12] for name in ("noisy", "noisier"))
    assert (
        Change("options.noise_model", f"noise model {one}", f"noise model {other}", "gate errors (h 1 of 1)")
        in found.config.changes
    )
    assert not compared(lab, "noisy", "noisy").config.changes
    assert compared(lab, "bell", "noisy").config.changes[-1].one is ABSENT


def test_circuits_are_compared_one_by_one(lab):
    found = compared(lab, "three", "two")
    assert (found.input.differs, found.input.sizes, found.input.differing) == (True, (3, 2), (1,))
    assert [each.verdict for each in found.result.circuits] == ["same", "differ", "inconclusive"]
    assert found.result.circuits[2].reason == "only the first job has it"
    assert (found.result.verdict, found.result.differs) == ("differ", True)


def test_samples_too_sparse_to_say_anything_are_inconclusive_and_no_difference(lab):
    found = compared(lab, "uniform 1", "uniform 2")
    assert (found.result.verdict, found.differing) == ("inconclusive", ("config",))
    (test,) = found.result.circuits[0].tests.values()
    assert (test.distance, test.reason) == (1, "too sparse: 100 % of the shots lie in states too rare to test")


def test_two_calibrations_of_one_device(lab):
    found = compared(lab, "device 1", "device 2")
    assert found.calibration.differs and not found.input.differs and not found.config.differs
    t1 = next(drift for drift in found.calibration.moved if drift.name == "T1")
    assert (len(t1.changes), t1.before != t1.after) == (2, True)
    assert abs(t1.changes[0].relative) >= abs(t1.changes[1].relative)
    assert compared(lab, "device 1", "device 1").calibration.one.digest == found.calibration.one.digest


def test_a_calibration_that_one_job_has_alone_is_a_difference(lab):
    found = compared(lab, "bell", "device 1")
    assert (found.calibration.differs, found.calibration.reason) == (True, "the first job has no calibration")
    neither = compared(lab, "bell", "again").calibration
    assert (neither.differs, neither.reason) == (False, "neither job has a calibration")


def test_statevectors_are_compared_as_numbers(lab):
    found = compared(lab, "state 0.5", "state 0.6")
    assert found.result.circuits[0].tests["statevector"].reason == "more than a relative 1e-9"
    assert found.result.verdict == "differ"


def test_a_job_without_a_result_cannot_be_compared(lab):
    found = compared(lab, "uniform 1", "failed")
    job = lab[1]["failed"]
    assert found.result.verdict is None and not found.result.differs
    assert found.result.reason == f"job {job.id[:12]} ended as ERROR without a result: {job.error['message']}"


def test_bits_of_several_parameter_values_are_compared_for_each(lab):
    found = compared(lab, "sweep 0", "sweep 1")
    assert {name: test.verdict for name, test in found.result.circuits[0].tests.items()} == {
        "meas[0]": "equal", "meas[1]": "equal", "meas[2]": "differ",
    }  # fmt: skip
    assert found.input.texts == (jobs.Text(0, ()),)


def test_expectation_values_are_compared_by_their_standard_errors(lab):
    same = compared(lab, "estimator 0.05 1", "estimator 0.05 2").result
    assert (same.verdict, same.circuits[0].tests["evs"].freedom) == ("same", 2)
    assert compared(lab, "estimator 0.05 1", "estimator 0.0 1").result.verdict == "same"
    other = compared(lab, "estimator 0.05 1", "other observable")
    assert other.differing == ("input", "result") and other.result.verdict == "differ"


def test_photons(lab):
    one, other = (compared(lab, f"{what} 0.0", f"{what} 0.5") for what in ("probabilities", "samples"))
    assert (one.differing, other.differing) == (("input", "result"), ("input", "result"))
    assert [line for line in one.input.texts[0].lines if line[0] in "-+"] == [
        "-  modes 0, 1: BS.Rx(theta=1.2)", "+  modes 0, 1: BS.Rx(theta=1.7)",
    ]  # fmt: skip
    assert one.result.circuits[0].tests["probabilities"].verdict == "differ"
    assert other.result.circuits[0].tests["counts"].p < LEVEL
    kinds = compared(lab, "probabilities 0.0", "samples 0.0")
    assert kinds.result.verdict == "inconclusive"
    assert kinds.result.circuits[0].reason == "only the first job has probabilities; only the second job has counts"


def test_atoms(lab):
    found = compared(lab, "atoms 3", "atoms 12")
    assert found.differing == ("input", "result")
    tests = found.result.circuits[0].tests
    assert tests["counts"].verdict == "differ"
    assert tests["energy"].reason == "they are not equal, and nothing says how far they scatter"


def test_circuits_that_cannot_be_told_apart_are_compared_as_a_whole(lab):
    found = compared(lab, "bound 0", "bound 1").input
    assert (found.differs, found.differing) == (True, None)
    assert found.reason == ("compared as a whole: its circuits alone do not say what ran")


def test_a_level_is_refused_before_anything_is_read(lab):
    with pytest.raises(BadInput) as caught:
        compared(lab, "bell", "again", 2)
    assert str(caught.value) == "the level 2: is no probability between 0 and 1; 0.01 calls 1 in 100 equal pairs different"


def test_other_packages_are_another_environment(lab, tmp_path):
    archive, found = lab
    record = found["bell"].folded.current.record
    environment = archive._store.value(record["environment"].digest)
    newer = environment | {"packages": {**environment["packages"], "numpy": "0.1", "mine": "1"}}
    assert changes(None, environment, None, newer) == [
        Change("packages.numpy", numpy.__version__, "0.1"), Change("packages.mine", ABSENT, "1"),
    ]  # fmt: skip


# Plain values


def quantities(**entry):
    return [(found.name, found.kind, found.value, found.errors) for found in results.quantities(entry)]


def test_what_came_out_of_a_circuit_is_read_from_plain_values():
    assert quantities(counts={"0": 1}, meas={"0": 1}, memory=["0"]) == [("counts", "counts", {"0": 1}, None)]
    assert quantities(counts={"0": 1}, bitstrings=[{"0": 2}, {"0": 1}], energy=[0.5], times={"energy": [1.0]}) == [
        ("counts", "counts", {"0": 1}, None), ("bitstrings[0]", "counts", {"0": 2}, None), ("energy", "numbers", [0.5], None),
    ]  # fmt: skip
    assert quantities(samples=["|1,0>", "|1,0>", "|0,1>"]) == [("samples", "counts", {"|1,0>": 2, "|0,1>": 1}, None)]
    evs, stds = (Array("<f8", (2,), numpy.array(each).tobytes()) for each in ([1.0, 0.5], [0.0, 0.1]))
    assert quantities(evs=evs, stds=stds) == [("evs", "estimates", [1.0, 0.5], [0.0, 0.1])]
    assert quantities(evs=evs, stds=stds, target_precision=0.2) == [("evs", "estimates", [1.0, 0.5], [0.2, 0.1])]
    assert quantities(evs=evs) == [("evs", "estimates", [1.0, 0.5], None)]
    assert quantities(values=0.5, metadata={"variance": 0.75, "shots": 300}) == [("values", "estimates", [0.5], [0.05])]
    assert quantities(values=0.5, metadata={}) == [("values", "estimates", [0.5], [None])]
    assert quantities(quasi_dists={0: 0.25, 3: 0.75}, metadata={"shots": 4}) == [
        ("quasi_dists", "counts", {"0": 1, "3": 3}, None)
    ]
    assert quantities(quasi_dists={0: 1.5, 3: -0.5}, metadata={"shots": 4}) == [
        ("quasi_dists", "numbers", {"0": 1.5, "3": -0.5}, None)
    ]
    assert quantities(raw_text="x", job_context=None) == []


def test_registers_of_several_parameter_values_are_read_together():
    one = Array("|u1", (2, 3, 1), bytes([0, 1, 1, 1, 1, 1]))
    assert quantities(a=one) == [("a[0]", "counts", {"00": 1, "01": 2}, None), ("a[1]", "counts", {"01": 3}, None)]
    assert [name for name, *_ in quantities(a=one, b=one)] == ["counts[0]", "counts[1]"]
    assert len(quantities(a=one, counts=[{"0": 1, "1": 2}, {"1": 3}])) == 2  # each once


def test_probabilities_are_aligned_by_state():
    (found,) = results.compare([{"probabilities": {"0": 1.0}}], [{"probabilities": {"1": 1.0}}], LEVEL, True)
    assert found.tests == {"probabilities": Test("differ", distance=1.0, reason="more than a relative 1e-9")}


def test_what_is_not_comparable_is_said():
    def told(one, other):
        (found,) = results.compare([one], [other], LEVEL, True)
        return found.verdict, found.reason

    assert told({}, {}) == ("inconclusive", "nothing came out that can be compared")
    assert told({"x": {"0": 1}}, {"x": [0.5]}) == ("inconclusive", "x are counts of the first job and numbers of the second")
    evs = [{"evs": Array("<f8", (n,), numpy.zeros(n).tobytes())} for n in (1, 2)]
    assert told(*evs) == ("inconclusive", "evs are 1 values of the first job and 2 of the second")
    performances = [{"counts": {"|1>": 10}, "global_perf": share} for share in (0.51234, 0.5)]
    assert told(*performances) == ("equal", "global_perf (0.5123 and 0.5) is not tested")


def test_noise_is_found_wherever_it_is_said():
    none = {"options": {"noise_model": None, "noise": Typed("perceval.NoiseModel", {})}}
    assert not results.has_noise(none)
    assert not results.has_noise({"noise_model": Typed("pulser.NoiseModel", {"noise_types": (), "runs": 5})})
    assert results.has_noise({"noise_model": Typed("pulser.NoiseModel", {"noise_types": ("SPAM",)})})
    assert results.has_noise({"options": {"noise_model": Link(bytes(32))}})


def test_settings_are_compared_by_path():
    one = {"a": {"b": 1, "c": [1, 2]}, "l": [{"x": 1}], "n": float("nan"), "only": None}
    other = {"a": {"b": 2, "c": [1, 3]}, "l": [{"x": 2}], "n": float("nan"), "new": True}
    assert changes(None, one, None, other) == [
        Change("a.b", 1, 2), Change("a.c", [1, 2], [1, 3]), Change("l[0].x", 1, 2), Change("only", None, ABSENT),
        Change("new", ABSENT, True),
    ]  # fmt: skip
    blobs = {Link(bytes([n]) * 32): value for n, value in enumerate(({"type": "t", "v": 1}, {"type": "t", "v": 2}, {"v": 2}))}
    first, second, third = blobs
    assert changes(blobs.get, {"x": first}, blobs.get, {"x": second}) == [Change("x.v", 1, 2)]
    assert changes(blobs.get, {"x": first}, blobs.get, {"x": third}) == [Change("x", "t 000000000000", "blob 020202020202")]
    assert changes(blobs.get, {"x": first}, blobs.get, {"x": first}) == []


def test_long_arrays_are_compared_whole():
    arrays = [Array("|u1", (size,), bytes(size - 1) + last) for size, last in ((1 << 21, b"a"), (1 << 21, b"b"), (1 << 21, b"a"))]
    one, other, same = ({"x": array} for array in arrays)
    assert [change.path for change in changes(None, one, None, other)] == ["x"]
    assert changes(None, one, None, same) == []


def test_values_are_shown_on_one_line():
    assert shown({"a": [1, "x"], "b": ""}) == '{a: [1, x], b: ""}'
    assert shown(list(range(20))) == "[0, 1, 2, 3, 4, 5, 6, 7, ...]"
    assert shown(Typed("pulser.Solver", "default")) == "pulser.Solver default"
    assert shown("x" * 100) == "x" * 57 + "..."
    assert shown(Array("<f8", (100,), bytes(800))) == "array of <f8, 100"


# A wanted call beside a recording


def lines(lab, one, other, **changed):
    archive, found = lab
    a, b = found[one], found[other]
    return calls.what_differs(a.get, a.record | changed, b.get, b.record)


def test_a_wanted_call_that_was_recorded_differs_in_nothing(lab):
    assert lines(lab, "bell", "again") == []


def test_a_wanted_call_says_in_short_what_differs(lab):
    assert lines(lab, "bell", "more shots") == ["seed_simulator: 1, recorded 2", "shots: 1000, recorded 3000"]
    assert lines(lab, "bell", "flipped") == ["the circuit differs"]
    assert lines(lab, "three", "two")[:2] == ["circuits: 3, recorded 2", "circuit 1 of 3 differs"]
    assert lines(lab, "bell", "bell", provider="ibm", backend="ibm_x") == [
        "provider: ibm, recorded aer", "backend: ibm_x, recorded aer_simulator",
    ]  # fmt: skip
    [line] = lines(lab, "bell", "noisy")
    assert line.startswith("noise_model: not given, recorded noise model ")
    assert lines(lab, "noisy", "bell")[0].endswith(", not in the recording")
    assert lines(lab, "bound 0", "bound 1") == ["the input differs"]
    assert lines(lab, "bell", "bell", shots=5) == ["shots: 5, recorded 1000"]


def test_an_input_that_was_not_captured_is_said(lab):
    archive, _ = lab
    stage = Stage(archive._store)
    blank = stage.put("input", {"type": "missing"})
    stage.commit(durable=False)
    assert lines(lab, "bell", "bell", input=blank) == ["the input of the first job was not captured"]
