"""Keep a small archive of today's state for ever: `python tools/make_archive.py NAME` writes tests/data/archives/NAME/.

Every later version must read it (`tests/test_old_archives.py`). Needs the extra `aer`; what ran is described in `expected.json`.
"""

import json
import sys
from pathlib import Path

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import qarchive


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
    large.measure(0, 0)
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
        jobs = [described(job) for job in archive.jobs(order="oldest")]
        kept = {"qarchive": qarchive.__version__, "id": archive.id, "jobs": jobs}
    for leftover in ("index", "locks", "quarantine"):
        for path in sorted((folder / leftover).glob("*")):
            path.unlink()
        if (folder / leftover).exists():
            (folder / leftover).rmdir()
    (folder / "expected.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def described(job: qarchive.Job) -> dict:
    counts = [job.counts(i) for i in range(len(job.names))] if job.status == "DONE" and "state" not in job.names else None
    return {"id": job.id, "status": job.status, "created": job.created.isoformat(), "names": job.names, "labels": job.labels,
            "options": {name: value for name, value in job.config["options"].items() if type(value) in (int, bool, str)},
            "counts": counts, "text": job.text(), "error": job.error, "seal": job.seal}  # fmt: skip


if __name__ == "__main__":
    main(Path(__file__).parent.parent / "tests" / "data" / "archives" / sys.argv[1])
