"""Keep a small archive of today's state for ever: `python tools/make_archive.py NAME` writes tests/data/archives/NAME/.

Every later version must read it (`tests/test_old_archives.py`). Needs the extras `aer`, `ibm`, `perceval`, `pulser` and `pasqal`;
the clients of clouds talk to the servers in `tests/servers/`. What ran is described in `expected.json`.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import perceval as pcvl
import pulser
from perceval.algorithm import Sampler
from pulser.backend import BitStrings, Energy, StateResult
from pulser_simulation import QutipBackendV2, QutipConfig
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from qiskit_aer.primitives import SamplerV2
from qiskit_ibm_runtime import IBMRuntimeError
from qiskit_ibm_runtime import SamplerV2 as RuntimeSampler
from requests import HTTPError

import qarchive

TESTS = Path(__file__).parent.parent / "tests"
sys.path.insert(0, str(TESTS / "servers"))
from ibm_server import IBMServer  # noqa: E402  the servers stand beside the tests
from pasqal_server import PasqalServer  # noqa: E402
from quandela_server import QuandelaServer  # noqa: E402


def main(folder: Path) -> None:
    bell = QuantumCircuit(2, 2, name="bell", metadata={"who": "a test", "at": (1, 2)})
    bell.h(0)
    bell.cx(0, 1)
    bell.measure([0, 1], [0, 1])
    theta = Parameter("theta")
    turned = QuantumCircuit(1, name="turned")
    turned.rx(theta, 0)
    turned.measure_all()
    dynamic = QuantumCircuit(2, 2, name="dynamic")
    dynamic.h(0)
    dynamic.measure(0, 0)
    with dynamic.if_test((dynamic.clbits[0], 1)):
        dynamic.x(1)
    dynamic.measure(1, 1)
    state = QuantumCircuit(2, name="state")
    state.h(0)
    state.cx(0, 1)
    state.save_statevector(label="sv")
    state.save_probabilities_dict(label="p")
    large = QuantumCircuit(60, 1, name="too large")
    large.h(range(60))
    for qubit in range(59):
        large.cx(qubit, qubit + 1)
    large.measure(59, 0)
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 1), ["h"])
    noise.add_all_qubit_readout_error(ReadoutError([[0.97, 0.03], [0.08, 0.92]]))

    with qarchive.open(folder) as archive:
        backend = archive.wrap(AerSimulator())
        with archive.context(group="first", tags=["kept", "small"], params={"x": 0.5}):
            backend.run(bell, shots=100, seed_simulator=1).result()
            backend.run([bell, dynamic], shots=50, seed_simulator=2, memory=True).result()
        backend.run(turned, parameter_binds=[{theta: [0.1, 0.2]}], shots=30, seed_simulator=3).result()
        backend.run(bell, shots=40, seed_simulator=4, noise_model=noise).result()
        backend.run(state, shots=1, seed_simulator=5).result()
        backend.run(large, shots=1, seed_simulator=6, method="statevector").result()
        backend.run(bell, shots=20, seed_simulator=7).result()
        archive.job("latest").attach("logical", bell)
        labelled(archive)
        sampler = archive.wrap(SamplerV2(seed=8))
        sampler.run([bell, (turned, [[0.1], [0.2]], 16)], shots=32).result()
        archive.wrap(StatevectorEstimator(seed=9)).run([(bell.remove_final_measurements(inplace=False), ["ZZ", "XX"])]).result()
        with IBMServer(seed=10) as server:
            on_ibm(archive, server, bell)
        photons(archive)
        with QuandelaServer(seed=11) as server:
            on_quandela(archive, server)
        atoms(archive)
        with PasqalServer(seed=12) as server:
            on_pasqal(archive, server)
        grouped(archive, bell, large)
        with IBMServer(seed=13) as server:
            halved(archive, server, bell)
        shared(archive, bell)
        repacked(archive, bell)
        jobs = [described(job) for job in archive.jobs(order="oldest")]
        groups = [{"name": group.name, "id": group.id, "jobs": [job.id for job in group], "report": str(group.report())}
                  for group in archive.groups()]  # fmt: skip
        kept = {"qarchive": qarchive.__version__, "id": archive.id, "jobs": jobs, "groups": groups}
    for leftover in ("index", "locks", "quarantine"):
        for path in sorted((folder / leftover).glob("*")):
            path.unlink()
        if (folder / leftover).exists():
            (folder / leftover).rmdir()
    (folder / "expected.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def on_ibm(archive: qarchive.Archive, server: IBMServer, circuit: QuantumCircuit) -> None:
    """A job that ended and was fetched, one that waits, and one that was refused."""
    service = archive.wrap(server.service())
    backend = service.backend("ibm_alpha")
    sampler = RuntimeSampler(mode=backend)
    native = generate_preset_pass_manager(1, backend=backend, seed_transpiler=1).run(circuit)
    job = sampler.run([native], shots=64)
    server.wait(job.job_id())
    job.result()
    server.hold()
    sampler.run([native], shots=65)
    server.fail_next(400, path_contains="/jobs", method="POST", message="the circuit is too deep")
    try:
        sampler.run([native], shots=66)
    except IBMRuntimeError:
        pass


def grouped(archive: qarchive.Archive, circuit: QuantumCircuit, large: QuantumCircuit) -> None:
    """A map, a job that fails and is retried, one that is not sent; a group that is deleted, and one of its name."""
    group = archive.group("sweep")
    group.map(AerSimulator(), [circuit.copy(f"bell {number}") for number in range(5)], per_job=2, shots=20, seed_simulator=1)
    group.add(AerSimulator(), large, shots=1, method="statevector")
    group.run_sequential()
    group.retry()
    group.add(AerSimulator(), circuit, shots=10)
    archive.group("again").add(AerSimulator(), circuit, shots=11)
    archive.delete_group("again")
    archive.group("again").add(AerSimulator(), circuit, shots=12)


def halved(archive: qarchive.Archive, server: IBMServer, circuit: QuantumCircuit) -> None:
    """A job that was too large for its cloud, and the two in its place."""
    service = server.service()
    backend = service.backend("ibm_alpha")
    native = generate_preset_pass_manager(1, backend=backend, seed_transpiler=1).run(circuit)
    group = archive.group("too large")
    group.add(RuntimeSampler(mode=backend), [native, native, native], shots=16)
    server.fail_submission(413, message="the payload is too large")
    group.run_parallel(client=service)


def shared(archive: qarchive.Archive, circuit: QuantumCircuit) -> None:
    """What a colleague did: a group of a name that is here too, a job that was removed and taken in again; and a signed job."""
    with TemporaryDirectory() as place, qarchive.open(Path(place) / "other") as other:
        with other.context(group="first", tags=["theirs"]):
            for seed in (1, 2):
                other.wrap(AerSimulator()).run(circuit, shots=10, seed_simulator=seed).result()
        bundle, key = Path(place) / "theirs.qar", Path(place) / "key"
        other.export(bundle, ["first"], author="Noether, Emmy", licence="CC-BY-4.0")
        archive.import_(bundle)
        archive.delete_group(other.group("first").id, jobs=True)
        archive.import_(bundle)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
        archive.sign(archive.jobs(group="sweep", order="oldest")[0].id, key=str(key))


def labelled(archive: qarchive.Archive) -> None:
    """Tags that were given and taken away after the fact, and a note."""
    job = archive.job("latest")
    job.tag("paper", "draft")
    job.untag("draft")
    job.note("the pump laser was off", author="Lovelace, Ada")


def repacked(archive: qarchive.Archive, circuit: QuantumCircuit) -> None:
    """Packs put together, those of one's own and the foreign ones; and a job that was taken out while somebody else wrote."""
    archive.repack()
    archive.group("gone").add(AerSimulator(), circuit, shots=13)
    with qarchive.open(archive.path) as other:
        other.wrap(AerSimulator()).run(circuit, shots=14, seed_simulator=1).result()
        other.flush()
        archive.delete_group("gone")
        assert archive.gc().waits


def cnot() -> pcvl.Processor:
    processor = pcvl.Processor("SLOS", pcvl.catalog["postprocessed cnot"].build_experiment())
    processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
    processor.min_detected_photons_filter(2)
    return processor


def photons(archive: qarchive.Archive) -> None:
    """Counts, probabilities, samples, and a run with iterations."""
    pcvl.random_seed(1)
    processor = archive.wrap(cnot())
    processor.noise = pcvl.NoiseModel(transmittance=0.5, indistinguishability=0.9)
    sampler = Sampler(processor)
    sampler.sample_count(100)
    sampler.probs()
    sampler.samples(5)
    sampler.add_iteration(input_state=pcvl.BasicState([1, 0, 1, 0]))
    sampler.add_iteration(noise=pcvl.NoiseModel(g2=0.1))
    sampler.sample_count(50)


def on_quandela(archive: qarchive.Archive, server: QuandelaServer) -> None:
    """A job that is done, one that waits, and one that was refused."""
    processor = archive.wrap(server.remote_processor("qpu:belenos"))
    processor.add(0, pcvl.catalog["postprocessed cnot"].build_experiment())
    processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
    processor.min_detected_photons_filter(2)
    sampler = Sampler(processor, max_shots_per_call=100_000)
    job = sampler.sample_count.execute_async(20)
    server.wait(job.id)
    job.get_results()
    server.hold()
    sampler.sample_count.execute_async(30)
    server.fail_next(400, path_contains="/job", method="POST")
    try:
        sampler.sample_count.execute_async(40)
    except HTTPError:
        pass


def ramp() -> pulser.Sequence:
    sequence = pulser.Sequence(pulser.Register.square(2, 6, prefix="q"), pulser.MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    peak = sequence.declare_variable("peak")
    sequence.add(pulser.Pulse.ConstantPulse(200, peak, 0, 0), "rydberg")
    sequence.measure("ground-rydberg")
    return sequence


def atoms(archive: qarchive.Archive) -> None:
    """States and observables that Pulser itself cannot serialize, and bit strings."""
    numpy.random.seed(3)
    observables = [StateResult(), BitStrings(num_shots=50), Energy()]
    archive.wrap(QutipBackendV2(ramp().build(peak=7), config=QutipConfig(observables=observables))).run()


def on_pasqal(archive: qarchive.Archive, server: PasqalServer) -> None:
    """An open batch with two jobs that are done and one that was added and waits."""
    client = archive.wrap(server.client())
    variables = ({"runs": 20, "variables": {"peak": peak}} for peak in (5, 6))
    batch = client.create_batch(ramp().to_abstract_repr(), list(variables), open=True, device_type="EMU_FREE", tags=["kept"])
    server.wait(batch.ordered_jobs[-1].id)
    batch.refresh()
    for job in batch.ordered_jobs:
        assert job.result
    server.hold()
    batch.add_jobs([{"runs": 30, "variables": {"peak": 7}}])


def described(job: qarchive.Job) -> dict:
    data = job.data() if job.status == "DONE" else []
    counts = [values.get("counts") for values in data] if all("counts" in values for values in data) and data else None
    return {"id": job.id, "provider": job.provider, "status": job.status, "created": job.created.isoformat(),
            "names": job.names, "labels": job.labels,
            "options": {name: value for name, value in job.config.get("options", {}).items() if type(value) in (int, bool, str)},
            "calibrations": [(found.phase, found.digest, found.qubits.get("T1")) for found in job.calibrations],
            "attachments": job.attachments, "tags": job.tags,
            "notes": [(note.author, note.text) for note in job.notes], "origin": job.origin, "code": sorted(job.code or ()),
            "signatures": sum(record["type"] == "signature" for record in job.history),
            "counts": counts, "text": job.text(), "error": job.error,
            "seal": job.seal if job.outcome else None}  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    main(TESTS / "data" / "archives" / sys.argv[1])
