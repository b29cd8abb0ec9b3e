"""`qarchive sync`, `fetch` and `recover`, as processes of their own with a saved account, against the loopback server."""

import json
import os
import subprocess
import sys

import pytest
from ibm_server import IBMServer
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit_ibm_runtime import IBMRuntimeError, SamplerV2

import qarchive

pytestmark = pytest.mark.filterwarnings("ignore:The SamplerV2 class is deprecated")


class Lab:
    """A server, an archive with a wrapped service, and the command line in another process."""

    def __init__(self, folder, server):
        self.server, self.folder = server, folder / "lab"
        self.environment = os.environ | server.save_account(folder) | {"PYTHONWARNINGS": "ignore"}
        self.archive = qarchive.open(self.folder)
        self.service = server.service()

    def submit(self, service, shots=8):
        backend = service.backend("ibm_alpha")
        circuit = QuantumCircuit(1, 1, name="one")
        circuit.measure(0, 0)
        return SamplerV2(mode=backend).run([generate_preset_pass_manager(1, backend=backend).run(circuit)], shots=shots)

    def run(self, *words):
        self.archive.flush()
        command = [sys.executable, "-m", "qarchive", "--archive", str(self.folder), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        lines = [line for line in done.stderr.splitlines() if line.startswith("qarchive: ")]
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, lines


@pytest.fixture
def lab(tmp_path):
    with IBMServer(seed=1) as server:
        yield Lab(tmp_path, server)


def test_sync_brings_what_ended_while_nobody_looked(lab):
    job = lab.submit(lab.archive.wrap(lab.service))
    lab.server.wait(job.job_id())
    archived = lab.archive.job(job.job_id())
    assert archived.status == "QUEUED"
    assert lab.run("sync") == (0, f"{archived.id[:12]}  ended, and kept\n", [])
    assert lab.archive.job(archived.id).counts(0) == {"0": 8}
    assert [each.phase for each in lab.archive.job(archived.id).calibrations] == ["submit", "run"]
    assert lab.run("sync") == (0, "", ["qarchive: no job is unfinished"])


def test_sync_says_what_waits_and_what_cannot_be_asked(lab):
    lab.server.hold()
    job = lab.submit(lab.archive.wrap(lab.service))
    archived = lab.archive.job(job.job_id())
    code, out, _ = lab.run("sync", "--json")
    assert (code, json.loads(out)["waiting"]) == (0, [archived.id])
    lab.server.fail_next(403, times=50, path_contains="/jobs/", method="GET")  # of a revoked key the SDK asks for a minute
    code, out, errors = lab.run("sync")
    assert (code, out) == (9, "")
    assert errors[0].startswith(f"qarchive: {archived.id[:12]}: ")
    assert errors[1].startswith("qarchive: 1 job could not be asked about: ")


def test_fetch_keeps_jobs_that_ran_without_the_archive(lab):
    jobs = [lab.submit(lab.service, shots) for shots in (8, 9)]
    for job in jobs:
        lab.server.wait(job.job_id())
    code, out, errors = lab.run("fetch", "ibm", jobs[0].job_id())
    [archived] = lab.archive.jobs()
    gaps = len(archived.gaps)
    assert (code, errors) == (0, [])
    assert out == f"{archived.id[:12]}  DONE  {jobs[0].job_id()}  {gaps} gap{'s' * (gaps != 1)}\n"
    assert "environment" in [gap["what"] for gap in archived.gaps]
    code, out, _ = lab.run("fetch", "ibm", "--all", "--since", "1d", "--json")
    assert code == 0
    assert {job["provider_job"] for job in json.loads(out)["jobs"]} == {job.job_id() for job in jobs}
    assert len(lab.archive.jobs()) == 2  # the first is here already, and stays one


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ibm"], "JOB_ID and --all: are both missing; give one of them"),
        (["ibm", "x", "--all"], "JOB_ID and --all: both say which jobs; give one of them"),
        (["ibm", "x", "--since", "1d"], "--since: is for many jobs; give it with --all"),
        (["aer", "x"], "the provider aer: runs here and keeps no jobs; wrap its backends before they run"),
    ],
)
def test_fetch_says_what_is_wrong_with_its_words(lab, words, message):
    assert lab.run("fetch", *words) == (2, "", [f"qarchive: {message}"])


def test_fetch_of_a_job_that_the_cloud_does_not_know_is_exit_code_3(lab):
    code, out, [error] = lab.run("fetch", "ibm", "nosuchjob")
    assert (code, out) == (3, "")
    assert "nosuchjob" in error


def test_recover_finds_a_job_whose_sending_got_no_answer(lab):
    lab.server.fail_next(path_contains="/jobs", method="POST", after_processing=True)
    with pytest.raises(IBMRuntimeError), pytest.warns(qarchive.ArchiveWarning, match="`qarchive recover` looks for it"):
        lab.submit(lab.archive.wrap(lab.service))
    archived = lab.archive.job("latest")
    [accepted] = lab.server.jobs_seen
    lab.server.wait(accepted.id if hasattr(accepted, "id") else accepted)
    assert archived.status == "SENDING"
    assert lab.run("sync")[1] == f"{archived.id[:12]}  got no answer when it was sent; `qarchive recover` looks for it\n"
    assert lab.run("recover") == (0, f"{archived.id[:12]}  ended, and kept\n", [])
    assert lab.archive.job(archived.id).status == "DONE"
    assert lab.run("recover") == (0, "", ["qarchive: no sending is without an answer"])
