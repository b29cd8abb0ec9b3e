"""The README's first page is true: each of its examples is run as it stands there. Those of groups are in test_readme_groups."""

import ast
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import qarchive

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
QISKIT = "from qiskit import QuantumCircuit\nfrom qiskit_aer import AerSimulator\n"
BELL = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'
# sweep.py, and analyse.py, which is the same: what they run was recorded as the group `sweep`.
SWEEP = (
    QISKIT
    + """
import qarchive
archive = qarchive.open("lab")
with archive.context(group="sweep", tags=["paper"]):
    backend = archive.wrap(AerSimulator())
    for number in range(3):
        circuit = QuantumCircuit(1, 1, name=f"circuit {number}")
        circuit.rx(number / 3, 0)
        circuit.measure(0, 0)
        counts = backend.run(circuit, shots=1000, seed_simulator=7).result().get_counts()
"""
)


def examples(section, language):
    """The examples of a section in one language."""
    start = README.index(f"## {section}\n")
    end = README.find("\n## ", start + 3)
    return re.findall(rf"^```{language}\n(.*?)^```", README[start:end], re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, in which `qarchive` and `python` are those of these tests, and the user is nobody else."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, words in (("qarchive", "-m qarchive"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    work = tmp_path / "work"
    (work / "home").mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(work / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(work / "home" / ".config"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    return work


def python(code, before=""):
    """Run an example in a process of its own."""
    Path("example.py").write_text(before + code, encoding="utf-8")
    done = subprocess.run([sys.executable, "example.py"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(section, without=(), **codes):
    """Run each line of a section's examples that begins with `qarchive`; its output by the line. `codes` are exit codes by the
    command's name, where they are not 0."""
    said = {}
    for line in "".join(examples(section, "sh")).splitlines():
        if line.startswith(("qarchive ", "python ")) and not line.startswith(tuple(without)):
            done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=300)
            expected = codes.get(line.split()[1], 0)
            assert done.returncode == expected, f"{line}\n{done.stdout}{done.stderr}"
            said[line.partition("#")[0].strip()] = done.stdout
    assert said
    return said


@pytest.fixture
def lab(here, monkeypatch):
    """An archive with the group `sweep`, and the scripts that made it."""
    for name in ("sweep.py", "analyse.py"):
        Path(name).write_text(SWEEP)
    python(SWEEP)
    monkeypatch.setenv("QARCHIVE", str(here / "lab"))
    return here


def test_one_line_more_and_what_is_read_tomorrow(here, monkeypatch):
    write, read = examples("One line more", "python")
    python(write)
    [counts] = re.findall(r"job\.counts\(\)  # (\{.*?\});", read)
    said = python(read + "print(job.counts())\nprint(type(job.result()), job.input.name, job.gaps)\n")
    assert ast.literal_eval(said.splitlines()[0]) == ast.literal_eval(counts)
    assert said.splitlines()[1] == "<class 'qiskit.result.result.Result'> bell []"
    monkeypatch.setenv("QARCHIVE", "lab")
    told = shell("One line more")
    assert " bell\n" in told["qarchive list"] and told["qarchive result latest"].splitlines()[-1].split()[-1] != "0"


@pytest.mark.filterwarnings("ignore:The SamplerV2 class is deprecated")
def test_what_was_sent_is_resumed_by_another_process(here, monkeypatch):
    from ibm_server import CRN, IBMServer
    from qiskit_ibm_runtime import RuntimeJobV2

    with IBMServer(seed=1) as server:
        server.add_device("ibm_kingston", "manila", (CRN,))
        for name, value in server.save_account(here / "home").items():
            monkeypatch.setenv(name, value)
        [send] = examples("Resumed", "python")
        lines = send.splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith("job ="))
        given = "isa_circuit = QuantumCircuit(1, 1)\nisa_circuit.measure(0, 0)\n"
        python("".join([*lines[:place], given, *lines[place:]]), before=QISKIT)
        monkeypatch.setenv("QARCHIVE", str(here / "lab"))
        with qarchive.open("lab") as archive:
            assert archive.job("latest").status == "QUEUED"
            server.wait(archive.job("latest").provider_job)
        said = shell("Resumed")
    assert said["qarchive sync"].endswith("ended, and kept\n")
    with qarchive.open("lab") as archive:  # the cloud is gone
        job = archive.job("latest")
        assert sum(job.counts().values()) == 4096 and [each.phase for each in job.calibrations] == ["submit", "run"]
        assert isinstance(job.native(), RuntimeJobV2)


def test_scripts_are_replayed_and_run_again(lab):
    said = shell("Replayed")
    assert len(said) == 4
    assert len(qarchive.open("lab").jobs()) == 4  # the rerun is recorded, what was replayed is not
    [inside] = examples("Replayed", "python")
    before = f"{QISKIT}import qarchive\narchive = qarchive.open('lab')\n"
    before += "circuit = archive.jobs(group='sweep', order='oldest')[0].input\n"
    assert python(inside + "print(counts)", before).startswith("{'0': 1000}")


def test_jobs_are_looked_at(lab):
    shell("Looked at", without=["qarchive serve"])
    page = Path("bell.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "<script" not in page and "circuit 2" in page
    assert "circuit 0" in Path("sweep.html").read_text(encoding="utf-8") and Path("jobs.parquet").stat().st_size > 0
    serving = subprocess.Popen(["qarchive", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        address = serving.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert "circuit 2" in answer.read().decode()
    finally:
        serving.terminate()
        serving.wait()


def test_jobs_are_shared(lab):
    Path("shared").mkdir()
    subprocess.run(["qarchive", "init", "other"], check=True, capture_output=True)
    shell("Shared")
    with qarchive.open("other") as other, qarchive.open("lab") as own:
        assert {job.id for job in other.jobs()} == {job.id for job in own.jobs()}
    assert list(Path("shared/qpu").rglob("*.pack"))


def test_jobs_are_cited(lab):
    import keys

    (lab / "home" / ".ssh").mkdir()
    key = keys.make(lab / "home" / ".ssh" / "id_ed25519")
    keys.allow(Path("FILE"), ("ada@example.org", key))
    Path("sweep.qar").write_bytes(b"of yesterday")
    said = shell("Cited")
    assert "Lovelace" in said["qarchive cite sweep --style bibtex"] and Path("sweep.zip").exists()


def test_the_command_line_is_as_it_is_shown(here):
    Path("bell.qasm").write_text(BELL)
    said = shell("On the command line")
    assert (here / ".qarchive").is_dir()
    assert "qubit" in said["qarchive input latest"]


def test_an_archive_is_kept_small_and_whole(lab):
    subprocess.run(["cp", "-r", "lab", "backup"], check=True)
    shell("Kept small, kept whole")
