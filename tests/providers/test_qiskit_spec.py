"""spec/qiskit.md names every field that is stored, and its way of reading gates and results is right."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import qarchive
from qarchive.codec import decode, encode
from qarchive.providers.perceval import values as perceval_values
from qarchive.providers.qiskit import values as qiskit_values
from qarchive.providers.qiskit.containers import pub_to_plain
from qarchive.providers.qiskit.results import unpack_dict
from qarchive.providers.qiskit.values import to_plain
from qarchive.values import TAGS, Array, Link, Typed

HERE = Path(__file__).parent
TAGS_PAGE = (HERE.parent.parent / "spec" / "tags.md").read_text("utf-8")
VECTORS = HERE.parent.parent / "spec" / "vectors"
NAMED = set(re.findall(r"`([A-Za-z_0-9]+)`", (HERE.parent.parent / "spec" / "qiskit.md").read_text("utf-8")))

_spec = importlib.util.spec_from_file_location("circuits_of_tests", HERE / "test_qiskit_circuits.py")
circuits = sys.modules.setdefault("circuits_of_tests", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(circuits)


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "archive") as archive:
        yield archive


def value(archive, link):
    return decode(archive._store.get(link.digest))


def items(column):
    return column if type(column) is list else column.flat()


def test_every_field_of_a_structure_is_named():
    made = [*(make() for make in circuits.WHOLE.values()), *(circuits.on(make()) for make in circuits.OPERATIONS.values())]
    fields = set()
    for circuit in made:
        whole = decode(circuits.fingerprint(circuit))
        for body in (whole, *whole.get("bodies", ())):
            fields |= body.keys()
            fields |= set().union(*(entry.keys() for entry in body["ops"] if type(entry) is dict))
        fields |= whole.get("layout", {}).keys()
    assert fields - NAMED == set()


def test_every_field_of_the_other_blobs_is_named(archive):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), "x")
    model.add_quantum_error(depolarizing_error(0.1, 1), "sx", [0])
    model.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [1])
    theta = Parameter("theta")
    circuit = QuantumCircuit(1, metadata={"a": 1})
    circuit.rx(theta, 0)
    circuit.measure_all()
    binds = [{theta: [0.5]}]
    for device, options in (
        (AerSimulator.from_backend(GenericBackendV2(2, seed=1)), {"noise_model": model}),
        (GenericBackendV2(2, seed=1), {}),
    ):
        bound = circuit if options else circuit.assign_parameters([0.5])
        archive.wrap(device).run(bound, shots=2, **({"parameter_binds": binds, **options} if options else {}))
        archive.flush()
        job = archive.job("latest")
        attempt = next(record for record in job.history if record["type"] == "attempt")
        found = value(archive, job.record["input"])
        fields = set(found) | set(found["circuits"][0]) | set(value(archive, found["circuits"][0]["qpy"]))
        config = value(archive, job.record["config"])
        backend, calibration = value(archive, attempt["backend"]), value(archive, attempt["calibration"])
        fields |= set(config) | set(backend) | set(backend.get("target", ())) | set(calibration) | set(calibration["qubits"])
        fields |= set().union(*calibration["gates"].values())
        for noise in [*config["options"].values(), *backend["options"].values()]:
            fields |= set(value(archive, noise)) if type(noise) is Link else set()
        assert fields - NAMED == set()


def test_gates_are_read_as_the_page_says():
    circuit = QuantumCircuit(2, 1)
    circuit.h(1)
    circuit.rx(0.5, 0)
    circuit.cx(1, 0)
    circuit.rx(0.25, 1)
    circuit.measure(0, 0)
    found = decode(circuits.fingerprint(circuit))
    qargs, cargs, floats = (iter(items(found[name])) for name in ("qargs", "cargs", "floats"))
    read = []
    for place in items(found["index"]):
        name, qubits, clbits, kinds = found["ops"][place][:4]
        bits = [next(qargs) for _ in range(qubits)], [next(cargs) for _ in range(clbits)]
        read.append((name, *bits, [next(floats) for _ in kinds]))
    assert read == [
        ("h", [1], [], []), ("rx", [0], [], [0.5]), ("cx", [1, 0], [], []), ("rx", [1], [], [0.25]), ("measure", [0], [0], []),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3])
def test_a_result_is_put_together_as_the_page_says(archive, size):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.measure_all()
    expected = archive.wrap(AerSimulator()).run([circuit] * size, shots=5, seed_simulator=1).result().to_dict()
    archive.flush()
    outcome = archive.job("latest").outcome
    result, volatile = value(archive, outcome["result"]), outcome["volatile"]
    assert unpack_dict(result, volatile) == expected
    for path, column in volatile["columns"].items():
        holders = [expected] if path.startswith(".") else expected["results"]
        values = column.flat() if type(column) is Array else column
        values = [values["all"]] * values["n"] if type(values) is dict else values
        for holder, content in zip(holders, values, strict=True):
            for name in path.strip(".").split("."):
                holder = holder[name]
            assert holder == content


def test_every_field_of_a_pub_is_named_on_the_page_of_tags():
    named = set(re.findall(r"`([A-Za-z_0-9]+)`", TAGS_PAGE))
    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("a"), 0)
    for pub in (SamplerPub.coerce((circuit, [0.5], 3)), EstimatorPub.coerce((circuit, ["XX", "XX"], [0.5], 0.1))):
        plain = pub_to_plain(pub)
        fields = set(plain) | set(plain["parameters"]) | set(plain.get("observables", ()))
        assert fields - named == set()
    assert set(to_plain(circuit).value) - named == set()


def tags_in(value):
    if type(value) is Typed:
        return {value.tag} | tags_in(value.value)
    if type(value) is dict:
        return set().union(*map(tags_in, value.values()), *map(tags_in, value))
    return set().union(*map(tags_in, value)) if type(value) in (list, tuple, set) else set()


def test_tags_that_came_with_containers_have_a_vector():
    vectors = [decode(bytes.fromhex(vector["bytes"])) for vector in json.loads((VECTORS / "values.json").read_text("utf-8"))]
    before = """
        redacted numpy.scalar aer.Statevector aer.DensityMatrix aer.Operator aer.SuperOp aer.StabilizerState aer.AerStatevector
        aer.AerDensityMatrix aer.PauliLindbladError aer.instruction qiskit.Clifford qiskit.Pauli qiskit.SparsePauliOp
        qiskit.SparseObservable qiskit.Statevector qiskit.DensityMatrix qiskit.Operator qiskit.SuperOp qiskit.Kraus
        qiskit.StabilizerState qiskit.Counts qiskit.ProbDistribution qiskit.MeasLevel qiskit.MeasReturnType qiskit.instruction
    """.split()
    assert TAGS - set().union(*map(tags_in, vectors)) == set(before)


def test_vectors_are_what_is_written_for_the_objects_that_they_describe():
    """All but those that hold bytes of Qiskit or all fields of its results, which differ from version to version."""
    opaque = {"qiskit.QuantumCircuit", "qiskit.Operation", "samplomatic.Samplex", "qiskit.Result", "ibm.RunnerResult"}
    seen = set()
    for vector in json.loads((VECTORS / "values.json").read_text("utf-8")):
        data = bytes.fromhex(vector["bytes"])
        value = decode(data)
        tags = tags_in(value)
        if type(value) is Typed and value.tag not in ("counts", "memory") and not tags & opaque:
            module = perceval_values if value.tag.startswith("perceval.") else qiskit_values
            assert encode(module.to_plain(module.from_plain(value))) == data, vector["name"]
            seen |= tags
    assert len(seen) > 50
