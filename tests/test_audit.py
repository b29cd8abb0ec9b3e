"""The audit: sixteen items of a job, what is there, what is missing, and why."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from building import blob

import qarchive
from qarchive import codec, config, pack, records
from qarchive.errors import NotFound
from qarchive.provenance.audit import MISSING, PARTLY, PRESENT
from qarchive.values import Link

ARCHIVES = Path(__file__).parent / "data" / "archives"
BELL = """
import qarchive
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
archive = qarchive.open("lab")
circuit = QuantumCircuit(1, name="one")
circuit.measure_all()
archive.wrap(AerSimulator()).run(circuit, shots=10, seed_simulator=1).result()
archive.wrap(AerSimulator()).run(circuit, shots=10).result()
archive.close()
"""


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: tmp_path / "config")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    found = {}
    for name in ("2-qiskit", "3-photons-atoms", "4-groups"):
        found[name] = qarchive.open(shutil.copytree(ARCHIVES / name, tmp_path_factory.mktemp("audit") / name), create=False)
    return found


def job_of(archive, provider, status):
    return next(job for job in archive.jobs() if (job.provider, job.status) == (provider, status))


def audited(archive, job):
    items = archive.audit(job.id)
    assert [item.number for item in items] == list(range(1, 17))
    return {item.what: (item.state, item.why) for item in items}


def test_a_job_on_a_qpu(lab):
    archive = lab["2-qiskit"]
    job = job_of(archive, "ibm", "DONE")
    submit, run = (calibration.digest[:12] for calibration in job.calibrations)
    packages = len(job.environment["packages"])
    assert audited(archive, job) == {
        "circuit, logical and executed": (
            PARTLY, 'the executed circuit; the logical one is kept by `job.attach("logical", circuit)`'),
        "software versions": (PRESENT, f"Python 3.11.7 on Linux x86_64, {packages} packages"),
        "provider and device": (PRESENT, "ibm:ibm_alpha (qpu), with a snapshot"),
        "the provider's ids": (PRESENT, f"job {job.provider_job}"),
        "times": (PRESENT, "created, submitted, started, ended"),
        "calibration": (PRESENT, f"submit {submit}, run {run}"),
        "shots, seeds, options": (PRESENT, f"{job.shots} shots, all options"),
        "raw results": (PRESENT, "as the SDK gave it; what is derived from it is attached apart"),
        "parent, group, attempt": (PRESENT, "attempt 1 of 1, in no group"),
        "code": (MISSING, "no script and no git repository, or the setting `code` or $QARCHIVE_CODE is off"),
        "author, ORCID, licence": (
            MISSING, "no author, no orcid, no licence; `qarchive config set author ...` names one"),
        "errors and history": (PRESENT, "5 records, DONE"),
        "gaps": (PRESENT, "none"),
        "seal": (PRESENT, f"{job.seal}, made again from every byte"),
        "RO-Crate": (PRESENT, "`qarchive export --crate` makes it"),
        "replay": (PRESENT, "input and result are here; it needs no network and no credentials"),
    }  # fmt: skip


def test_a_job_that_waits(lab):
    archive = lab["2-qiskit"]
    job = job_of(archive, "ibm", "QUEUED")
    found = audited(archive, job)
    waiting = f"job {job.id[:12]} is QUEUED and has no result yet; `qarchive sync` sees whether it has ended"
    assert found["times"] == (PARTLY, "created, submitted; started: it has not ended; ended: it has not ended")
    assert found["raw results"] == found["replay"] == (MISSING, "it is QUEUED, and has none yet")
    assert found["seal"] == found["RO-Crate"] == (MISSING, waiting)


def test_a_job_that_was_refused(lab):
    found = audited(lab["2-qiskit"], job_of(lab["2-qiskit"], "ibm", "REFUSED"))
    assert found["the provider's ids"] == (PRESENT, "it was refused, and so got none")
    assert found["times"] == (PARTLY, "created, submitted; started: it was refused; ended: it was refused")
    assert found["raw results"][0] == found["replay"][0] == MISSING
    assert found["errors and history"][1].startswith("qiskit_ibm_runtime.exceptions.IBMRuntimeError: ")


def test_a_job_that_was_only_prepared(lab):
    found = audited(lab["4-groups"], job_of(lab["4-groups"], "aer", "PREPARED"))
    for what in ("software versions", "the provider's ids", "raw results", "code", "replay"):
        assert found[what] == (MISSING, "it was not sent yet")
    assert found["times"] == (PARTLY, "created; submitted: it was not sent; started: it was not sent; ended: it was not sent")
    assert found["parent, group, attempt"][1].startswith("not sent yet, in the group ")


def test_photons_have_no_moment_of_measurement(lab):
    archive = lab["3-photons-atoms"]
    job = next(job for job in archive.jobs(provider="perceval", kind="qpu") if job.status == "DONE")
    found = audited(archive, job)
    submit, later = (calibration.digest[:12] for calibration in job.calibrations)
    assert found["calibration"] == (PARTLY, f"submit {submit}, retrieval {later}; none says when it was measured")
    assert found["times"] == (PARTLY, "created, submitted, started; ended: its provider did not tell it")


def test_a_simulation_without_a_seed_cannot_be_repeated_bit_for_bit(lab):
    archive = lab["3-photons-atoms"]
    found = audited(archive, job_of(archive, "pulser", "DONE"))
    assert found["shots, seeds, options"] == (
        PARTLY,
        "50 shots, all options; no seed was given, so it cannot be repeated bit for bit",
    )
    assert found["calibration"] == (PRESENT, "it was simulated; there was nothing to calibrate")


def test_where_the_sdk_is_the_device_its_version_counts(lab):
    archive = lab["2-qiskit"]
    job = job_of(archive, "qiskit", "DONE")
    version = job.environment["packages"]["qiskit"]
    assert audited(archive, job)["provider and device"] == (
        PRESENT, f"qiskit:StatevectorEstimator (simulator), of qiskit {version}")  # fmt: skip


def test_settings_say_who_hands_it_on(lab):
    archive = lab["2-qiskit"]
    job = job_of(archive, "ibm", "DONE")
    config.write("author", "Lovelace, Ada")
    assert audited(archive, job)["author, ORCID, licence"] == (
        PARTLY, "Lovelace, Ada; no orcid, no licence; `qarchive config set orcid ...` names one")  # fmt: skip
    config.write("orcid", "0000-0002-1825-0097")
    config.write("licence", "CC-BY-4.0")
    assert audited(archive, job)["author, ORCID, licence"] == (PRESENT, "Lovelace, Ada, 0000-0002-1825-0097, CC-BY-4.0")


def test_gaps_say_why(lab, tmp_path):
    archive = lab["4-groups"]
    old = job_of(archive, "aer", "DONE")
    record = {**old.record, "nonce": bytes(16)}
    job = blob(pack.RECORD, record)
    gaps = [{"what": "calibration", "reason": "the server did not answer"}, {"what": "config.options", "reason": "a lock"}]
    attempt = blob(pack.RECORD, records.attempt_record(
        job=Link(job.digest), number=1, backend=old.folded.current.record["backend"], environment=None, calibration=None,
        gaps=gaps, local=False))  # fmt: skip
    lost = [{"what": "result", "reason": "it was read already"}]
    outcome = blob(pack.RECORD, records.outcome_record(
        job=Link(job.digest), attempt=Link(attempt.digest), status="DONE", provider_status="", provider_job=None, result=None,
        volatile={}, error=None, usage={}, gaps=lost))  # fmt: skip
    archive._store.commit([job, attempt, outcome], durable=False)
    found = audited(archive, archive.job(job.digest.hex()))
    assert found["shots, seeds, options"] == (PARTLY, "config.options: a lock")
    assert found["raw results"] == found["replay"] == (MISSING, "result: it was read already")
    assert found["software versions"] == (MISSING, "the job was captured later, and nobody knows what sent it")
    assert found["times"][1].startswith(
        "created; submitted: it was fetched after it was sent, by somebody else's process; started: "
    )
    assert found["gaps"] == (
        PRESENT, "calibration: the server did not answer; config.options: a lock; result: it was read already")  # fmt: skip
    assert found["calibration"] == (PRESENT, "it was simulated; there was nothing to calibrate")


def test_the_logical_circuit_may_be_attached(lab):
    archive = lab["2-qiskit"]
    job = job_of(archive, "ibm", "DONE")
    before = audited(archive, job)
    job.attach("logical", b"the circuit before transpilation")
    after = audited(archive, archive.job(job.id))
    assert after.pop("circuit, logical and executed") == (PRESENT, "in the SDK's own form and as text")
    assert after["errors and history"] == (PRESENT, "6 records, DONE")
    assert {what for what in after if after[what] != before[what]} == {"errors and history"}


def test_a_blob_that_is_damaged_is_what_is_missing(tmp_path):
    archive = qarchive.open(shutil.copytree(ARCHIVES / "1-aer", tmp_path / "lab"), create=False)
    job = next(iter(archive.jobs()))
    digest = job.folded.current.record["environment"].digest
    place, entry = archive._store.index.places(digest)[0]
    data = bytearray(place.read_bytes())
    data[entry.frame + entry.stored // 2] ^= 1
    place.write_bytes(data)
    found = audited(archive, job)
    assert found["software versions"][0] == found["seal"][0] == found["RO-Crate"][0] == MISSING
    assert "run `qarchive verify` to see what is affected" in found["software versions"][1]
    assert found["gaps"] == (PRESENT, "none")


def test_a_job_that_is_not_there(lab):
    with pytest.raises(NotFound):
        lab["4-groups"].audit("none")


def test_a_script_in_a_repository_is_code_that_is_kept(tmp_path, monkeypatch):
    """From a run to its audit, in a process of its own; the second run finds what the first has found."""
    (tmp_path / "bell.py").write_text(BELL)
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    for command in (["init", "-q"], ["add", "bell.py"], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setenv("QARCHIVE_CODE", "on")
    monkeypatch.setenv("PYTHONPATH", str(Path(qarchive.__file__).parent.parent))
    subprocess.run([sys.executable, "bell.py"], cwd=tmp_path, check=True)
    with qarchive.open(tmp_path / "lab", create=False) as archive:
        seeded, other = archive.jobs(order="oldest")
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert seeded.code == {"commit": commit.strip(), "dirty": False,
                               "script": {"name": "bell.py", "sha256": codec.digest(BELL.encode())}}  # fmt: skip
        assert other.folded.current.record["code"] == seeded.folded.current.record["code"]
        assert str(tmp_path) not in str(seeded.code) and archive.statistics()["kinds"]["code"]["blobs"] == 1
        assert audited(archive, seeded)["code"] == (PRESENT, f"script bell.py, commit {commit[:12]}")
        assert audited(archive, seeded)["shots, seeds, options"] == (PRESENT, "10 shots, all options, seed_simulator")
        archive.crate(tmp_path / "crate", [seeded.id])
    told = (tmp_path / "crate" / "jobs" / seeded.id[:16] / "code.json").read_text()
    assert codec.digest(BELL.encode()).hex() in told


def test_an_environment_that_says_little_is_partly_there(tmp_path):
    shutil.copytree(Path(__file__).parent.parent / "spec" / "vectors" / "tiny", tmp_path / "tiny")
    with qarchive.open(tmp_path / "tiny") as archive:
        software = archive.audit("latest")[1]
    assert (software.state, software.why) == ("partly", "it does not say: system, machine")
