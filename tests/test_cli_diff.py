"""`qarchive diff`: whole outputs, exit codes, JSON."""

import json

import click.testing
import pytest
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive import records
from qarchive.cli import main, output
from qarchive.printable import clean
from qarchive.stage import Stage

NAMES = ("one", "again", "flipped", "few", "manila", "generic")


def circuit(*flipped):
    made = QuantumCircuit(2, 2, name="evil\x1b[31m")
    for qubit in flipped:
        made.x(qubit)
    made.measure([0, 1], [0, 1])
    return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(path, {name: job}): runs without chance; only read."""
    path = tmp_path_factory.mktemp("lab") / "lab"
    with qarchive.open(path) as archive:
        aer = archive.wrap(AerSimulator())
        manila = AerSimulator.from_backend(FakeManilaV2())
        manila.set_options(noise_model=None)
        generic = AerSimulator.from_backend(GenericBackendV2(2, basis_gates=["x", "sx", "rz", "cx"], seed=1))
        runs = [aer.run(circuit(0), shots=100), aer.run(circuit(0), shots=100), aer.run(circuit(1), shots=100, seed_simulator=7),
                aer.run(circuit(1), shots=2), archive.wrap(manila).run(circuit(0), shots=100),
                archive.wrap(generic).run(circuit(0), shots=100)]  # fmt: skip
        jobs = dict(zip(NAMES, map(archive.record, runs)))
        for job in jobs.values():
            job.wait()
        stage = Stage(archive._store)
        blank = stage.put("input", {"type": "missing"})
        config = stage.put("config", {"options": {"a\x1b": 1}})
        link = stage.record(records.job_record(provider="ibm", kind="qpu", backend="ibm\x1b", input=blank, config=config,
                                               shots=None, size=1))  # fmt: skip
        gaps = [{"what": "calibration", "reason": "it took too long"}]
        stage.record(records.attempt_record(job=link, number=1, backend=blank, environment=blank, calibration=None,
                                            captured=None, gaps=gaps, local=False))  # fmt: skip
        stage.commit(durable=True)
        jobs["running"] = archive.job(str(link))
    return path, jobs


def run(lab, *arguments, code=0):
    path, jobs = lab
    words = [jobs[word].id if word in jobs else word for word in arguments]
    found = click.testing.CliRunner().invoke(main, ["--archive", str(path), *words])
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout, found.stderr


def heads(lab, one, other):
    lines = []
    for letter, name in (("A", one), ("B", other)):
        job = lab[1][name]
        what = clean(f"{job.provider}:{job.backend}, {job.status}")
        lines.append(f"{letter}  job {job.id[:12]}, {output.minute(job.row.created)}, {what}\n")
    return "".join(lines)


def test_two_equal_runs(lab):
    out, err = run(lab, "diff", "one", "again")
    assert err == ""
    assert out == heads(lab, "one", "again") + (
        "\ninput: same\n"
        "\nconfig: same\n"
        "\nbackend: same\n"
        "\nenvironment: same\n"
        "\ncalibration: cannot be compared\n"
        "  neither job has a calibration\n"
        "\nresult: equal\n"
        "  CIRCUIT  WHAT    VERDICT  P  DISTANCE  POOLED\n"
        "  0        counts  equal    1         0\n"
    )


def test_what_differs_is_shown_and_decides_the_exit_code(lab):
    out, err = run(lab, "diff", "one", "flipped", "--level", "0.05", code=4)
    assert err == ""
    assert out == heads(lab, "one", "flipped") + (
        "\ninput: differs\n"
        "  circuit 0 differs:\n"
        "    @@ -4,3 +4,3 @@\n"
        "     qubit[2] q;\n"
        "    -x q[0];\n"
        "    +x q[1];\n"
        "     c[0] = measure q[0];\n"
        "\nconfig: differs\n"
        "  SETTING                 A  B\n"
        "  options.seed_simulator  -  7\n"
        "\nbackend: same\n"
        "\nenvironment: same\n"
        "\ncalibration: cannot be compared\n"
        "  neither job has a calibration\n"
        "\nresult: differs at level 0.05 (p = 2.09e-45)\n"
        "  CIRCUIT  WHAT    VERDICT         P  DISTANCE  POOLED\n"
        "  0        counts  differ   2.09e-45         1\n"
    )


def test_only_some_sections(lab):
    assert run(lab, "diff", "one", "flipped", "--only", "environment", "--only", "backend") == (
        heads(lab, "one", "flipped") + "\nbackend: same\n\nenvironment: same\n", "",
    )  # fmt: skip
    run(lab, "diff", "one", "flipped", "--only", "config", code=4)
    out, err = run(lab, "diff", "one", "flipped", "--only", "results", code=2)
    assert (out, err) == (
        "",
        (
            "qarchive: invalid value for '--only': 'results' is not one of 'input', 'config', 'backend', 'environment', "
            "'calibration', 'result'; `qarchive diff --help` shows how\n"
        ),
    )


def test_too_few_shots_are_inconclusive_and_no_difference(lab):
    out, _ = run(lab, "diff", "few", "one", "--only", "result")
    assert out.partition("\n\n")[2] == (
        "result: inconclusive at level 0.01\n"
        "  CIRCUIT  WHAT    VERDICT       P  DISTANCE  POOLED\n"
        "  0        counts  inconclusive  -         1  100.0%\n"
        "  circuit 0, counts: too sparse: 100 % of the shots lie in states too rare to test\n"
    )


def test_figures_of_two_calibrations(lab):
    out, _ = run(lab, "diff", "generic", "manila", "--only", "calibration", code=4)
    lines = out.partition("\n\n")[2].splitlines()
    assert lines[:3] == [
        "calibration: differs",
        "  A: its backend, submit: nobody says when it was measured",
        "  B: its backend, submit: nobody says when it was measured",
    ]
    assert lines[3].split() == ["FIGURE", "A", "B", "CHANGE", "MOVED", "MOST", "MOVED"]
    assert {line.split()[0] for line in lines[4:]} >= {"T1", "T2", "frequency", "cx"}
    job = lab[1]["one"].id
    [lone] = json.loads(run(lab, "diff", job, "manila", "--only", "calibration", "--json", code=4)[0])["sections"].values()
    assert (lone["one"], lone["reason"], lone["differs"]) == (None, "the first job has no calibration", True)


def test_a_job_that_runs_has_nothing_to_compare_and_its_names_are_harmless(lab):
    out, _ = run(lab, "diff", "running", "one", "--only", "result", code=9)
    identity = lab[1]["running"].id[:12]
    assert out == heads(lab, "running", "one") + (
        f"\nresult: cannot be compared\n  job {identity} is SENDING and has no result yet; "
        "`qarchive sync` sees whether it has ended\n"
    )
    out, _ = run(lab, "diff", "running", "one", code=4)
    assert "\x1b" not in out
    assert "  options.a\\x1b" in out
    assert "\ninput: cannot be compared\n  the input of the first job was not captured\n" in out
    assert "\ncalibration: cannot be compared\n  neither job has a calibration (it took too long)\n" in out


def test_json(lab):
    _, jobs = lab
    found = json.loads(run(lab, "diff", "one", "flipped", "--json", code=4)[0])
    sides = {name: {"id": jobs[job].id, "status": "DONE", "provider": "aer", "backend": "aer_simulator"}
             for name, job in (("one", "one"), ("other", "flipped"))}  # fmt: skip
    same = {"differs": False, "reason": None, "changes": []}
    text = ["@@ -4,3 +4,3 @@", " qubit[2] q;", "-x q[0];", "+x q[1];", " c[0] = measure q[0];"]
    p = found["sections"]["result"]["circuits"][0]["tests"]["counts"].pop("p")
    assert p == pytest.approx(2.0884875837625685e-45, rel=1e-9)
    assert found == {
        "schema": "qarchive/diff/1", **sides, "differs": True, "differing": ["input", "config", "result"],
        "sections": {
            "input": {"differs": True, "reason": None, "sizes": [1, 1], "circuits": [0], "texts": [{"index": 0, "diff": text}]},
            "config": {"differs": True, "reason": None, "changes": [{"path": "options.seed_simulator", "other": 7}]},
            "backend": same, "environment": same,
            "calibration": {"differs": False, "reason": "neither job has a calibration", "one": None, "other": None,
                            "figures": []},
            "result": {"differs": True, "reason": None, "level": 0.01, "verdict": "differ", "circuits": [
                {"index": 0, "verdict": "differ", "reason": None, "tests": {"counts": {
                    "verdict": "differ", "statistic": 200.0, "distance": 1.0, "degrees_of_freedom": 1, "pooled": 0.0,
                    "reason": None}}}]},
        },
    }  # fmt: skip


def test_bad_input(lab):
    found = run(lab, "diff", "one", "one", "--level", "1", code=2)
    assert found == (
        "",
        "qarchive: invalid value for '--level': 1.0 is not in the range 0<x<1; `qarchive diff --help` shows how\n",
    )
    path = lab[0]
    found = run(lab, "diff", "one", "ffffffff", code=3)
    assert found[0] == "" and found[1].startswith("qarchive: ") and str(path) in found[1]
