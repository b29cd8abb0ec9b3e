"""Archives of earlier states are read for ever: by the package, by the SDK where it is, and by the independent reader."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qarchive

ARCHIVES = sorted(path.parent for path in (Path(__file__).parent / "data" / "archives").glob("*/expected.json"))
READER = Path(__file__).parent.parent / "tools" / "reader.py"


# The counts in a result of an SDK that is not Qiskit.
STATES = {
    "perceval": lambda result: [entry["results"] for entry in result.get("results_list", [result])],
    "pulser": lambda result: [result.final_bitstrings],
    "pasqal": lambda result: [result["counter"]],
}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name)
def kept(request, tmp_path):
    """(a copy of the archive, what was in it when it was made)."""
    shutil.copytree(request.param, tmp_path / "kept", ignore=shutil.ignore_patterns("expected.json"))
    return tmp_path / "kept", json.loads((request.param / "expected.json").read_text())


def test_there_are_archives_of_earlier_states():
    assert ARCHIVES


def test_every_job_is_there_and_says_what_it_said(kept):
    path, expected = kept
    with qarchive.open(path) as archive:
        assert archive.id == expected["id"]
        for job, then in zip(archive.jobs(order="oldest"), expected["jobs"], strict=True):
            assert (job.id, job.status, job.created.isoformat()) == (then["id"], then["status"], then["created"])
            seal = job.seal if job.outcome else None
            assert (list(job.names), job.labels, job.error, seal) == (then["names"], then["labels"], then["error"], then["seal"])
            assert job.text() == then["text"]
            assert then["options"].items() <= job.config.get("options", {}).items()
            if then["counts"] is not None:
                assert then["counts"] == [values["counts"] for values in job.data()][: len(then["counts"])]
            found = [[each.phase, each.digest, each.qubits.get("T1")] for each in job.calibrations]
            assert found == then.get("calibrations", found)
            assert job.attachments == then.get("attachments", [])
            assert job.tags == then.get("tags", job.labels.get("tags", []))
            assert [[note.author, note.text] for note in job.notes] == then.get("notes", [])
            signatures = sum(record["type"] == "signature" for record in job.history)
            told = {"origin": job.origin, "code": sorted(job.code or ()), "signatures": signatures}
            assert told == {name: then.get(name, told[name]) for name in told}
        assert archive.verify(deep=True).findings == []


def test_every_group_has_its_jobs_in_their_order(kept):
    path, expected = kept
    with qarchive.open(path) as archive:
        for then in expected.get("groups", []):
            group = archive.group(then["id"])
            assert (group.name, [job.id for job in group], str(group.report())) == (then["name"], then["jobs"], then["report"])
        assert len(archive.groups()) == len(expected.get("groups", []))


def test_the_sdk_reads_its_own_objects(kept):
    path, expected = kept
    with qarchive.open(path) as archive:
        for job, then in zip(archive.jobs(order="oldest"), expected["jobs"], strict=True):
            if job.provider in STATES:
                assert job.input is not None and job.native() is not None
                if then["counts"]:
                    found = STATES[job.provider](job.result())
                    assert [{str(state): count for state, count in counts.items()} for counts in found] == then["counts"]
                continue
            items = job.input if isinstance(job.input, list) else [job.input]
            circuits = [getattr(item, "circuit", item) for item in items]  # of a PUB, or the circuit itself
            assert [circuit.name for circuit in circuits] == then["names"]
            assert all(job.attachment(name) is not None for name in job.attachments)
            if then["seal"] is None or then["status"] == "REFUSED":
                continue
            result = job.result()
            if not hasattr(result, "success"):
                assert len(result) == len(circuits) and job.native().result() is not None
                continue
            assert result.success is (then["status"] == "DONE")
            if then["counts"] and len(result.results) == len(circuits):
                assert [dict(result.get_counts(i)) for i in range(len(circuits))] == then["counts"]


def test_the_independent_reader_agrees(kept):
    path, expected = kept
    listed = subprocess.run([sys.executable, READER, path, "list"], capture_output=True, text=True, check=True).stdout
    found = {line.split()[0]: line.split()[4] for line in listed.splitlines()}
    assert found == {job["id"]: job["status"] for job in expected["jobs"]}
    assert subprocess.run([sys.executable, READER, path, "verify"], capture_output=True, check=False).returncode == 0


def test_writing_goes_on_in_them(kept):
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

    path, expected = kept
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with qarchive.open(path) as archive:
        archive.wrap(AerSimulator()).run(circuit, shots=1).result()
        assert len(archive.jobs()) == len(expected["jobs"]) + 1
