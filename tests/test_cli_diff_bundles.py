"""`qarchive diff` of two bundles: whole outputs, exit codes, JSON; and `qarchive.diff_bundles`."""

import json
from types import SimpleNamespace

import click.testing
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

import qarchive
from qarchive.cli import main, output
from qarchive.comparing.bundles import ALONE, ID, RUN


def circuit(qubit, name="c"):
    made = QuantumCircuit(2, 2, name=name)
    made.x(qubit)
    made.measure([0, 1], [0, 1])
    return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Bundles of two collaborators, by name, and their jobs; only read.

    Both hold Alice's first job; both ran one circuit twice, Bob the second time with another result; each ran one of their own.
    """
    folder = tmp_path_factory.mktemp("lab")
    with qarchive.open(folder / "alice") as alice, qarchive.open(folder / "bob") as bob:

        def run(archive, qubit, shots=100):
            job = archive.record(archive.wrap(AerSimulator()).run(circuit(qubit), shots=shots))
            job.wait()
            return job.id

        ids = {"first": run(alice, 0), "run": run(alice, 0, 50), "own": run(alice, 1, 100)}
        alice.export(folder / "alice.qar")
        alice.export(folder / "one.qar", [ids["first"]])
        alice.export(folder / "other.qar", [ids["own"]])
        bob.import_(folder / "one.qar")
        ids |= {"again": run(bob, 0, 50), "theirs": run(bob, 1, 9)}
        bob.export(folder / "bob.qar")
        heads = {}
        for name, identity in ids.items():
            job = (alice if name in ("first", "run", "own") else bob).job(identity)
            heads[name] = f"job {identity[:12]}, {output.minute(job.row.created)}, aer:aer_simulator, DONE"
    yield SimpleNamespace(folder=folder, ids=ids, heads=heads)


def run(lab, *arguments, code=0):
    """In a folder without an archive: none is needed."""
    words = [str(lab.folder / word) if word.endswith(".qar") else word for word in arguments]
    found = click.testing.CliRunner().invoke(main, ["--archive", str(lab.folder / "none"), "diff", *words])
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout.replace(f"{lab.folder}/", ""), found.stderr.replace(f"{lab.folder}/", "")


def test_the_same_bundle_twice(lab):
    assert run(lab, "alice.qar", "alice.qar") == (
        "A  alice.qar, 3 jobs\nB  alice.qar, 3 jobs\n\n3 pairs of one id: 3 alike\n",
        "",
    )


def test_jobs_of_one_id_the_same_runs_and_those_that_only_one_has(lab):
    assert run(lab, "alice.qar", "bob.qar", code=4) == ((
        "A  alice.qar, 3 jobs\n"
        "B  bob.qar, 3 jobs\n"
        "\n"
        "1 pair of one id: 1 alike\n"
        "1 pair of the same input, configuration and backend: 1 alike\n"
        "1 job only in A\n"
        f"  {lab.heads['own']}\n"
        "1 job only in B\n"
        f"  {lab.heads['theirs']}\n"
    ), "")  # fmt: skip


def test_the_only_job_of_each_is_compared_whatever_it_ran(lab):
    out, err = run(lab, "one.qar", "other.qar", code=4)
    assert err == ""
    assert out == (
        "A  one.qar, 1 job\n"
        "B  other.qar, 1 job\n"
        "\n"
        "1 pair of what each holds alone: 1 differs\n"
        "\n"
        f"A  {lab.heads['first']}\n"
        f"B  {lab.heads['own']}\n"
        "input: differs\n"
        "  circuit 0 differs:\n"
        "    @@ -4,3 +4,3 @@\n"
        "     qubit[2] q;\n"
        "    -x q[0];\n"
        "    +x q[1];\n"
        "     c[0] = measure q[0];\n"
        "result: differs at level 0.01 (p = 2.09e-45)\n"
        "  CIRCUIT  WHAT    VERDICT         P  DISTANCE  POOLED\n"
        "  0        counts  differ   2.09e-45         1\n"
    )
    assert run(lab, "one.qar", "other.qar", "--only", "environment")[0].endswith("1 pair of what each holds alone: 1 alike\n")


def test_json(lab):
    found = json.loads(run(lab, "alice.qar", "bob.qar", "--only", "result", "--json", code=4)[0])
    jobs = {name: {"id": identity, "status": "DONE", "provider": "aer", "backend": "aer_simulator"}
            for name, identity in lab.ids.items()}  # fmt: skip
    ends = found.pop("one"), found.pop("other")
    assert [end["path"] for end in ends] == ["alice.qar", "bob.qar"] and ends[0]["archive"] != ends[1]["archive"]
    same = {"differs": False, "undecided": False, "differing": [], "sections": {}}
    assert found == {
        "schema": "qarchive/diff-bundles/1", "level": 0.01, "differs": True, "alike": 2,
        "pairs": [{"by": ID, "one": jobs["first"], "other": jobs["first"], "compared": False, **same},
                  {"by": RUN, "one": jobs["run"], "other": jobs["again"], "compared": True, **same}],
        "only_one": [jobs["own"]], "only_other": [jobs["theirs"]],
    }  # fmt: skip


def test_in_python(lab, tmp_path):
    found = qarchive.diff_bundles(lab.folder / "one.qar", lab.folder / "other.qar")
    [pair] = found.pairs
    assert (found.differs, pair.by, pair.diff.differing) == (True, ALONE, ("input", "result"))
    assert pair.one.counts() == {"01": 100}  # what was found can be read


def test_a_job_that_has_no_result_on_one_side_decides_nothing(lab, tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        group = archive.group("waiting")
        group.map(AerSimulator(), [circuit(0)], shots=100)
        archive.export(tmp_path / "before.qar")
        group.run_parallel()
        archive.export(tmp_path / "after.qar")
        identity = archive.job("latest").id[:12]
    found = click.testing.CliRunner().invoke(main, ["diff", *(str(tmp_path / name) for name in ("before.qar", "after.qar"))])
    assert found.exit_code in (4, 9), (found.stdout, found.stderr)
    assert "1 pair of one id:" in found.stdout
    assert f"result: cannot be compared\n  job {identity} was prepared and not sent; " in found.stdout


def test_each_pair_is_compared_at_its_share_of_the_level(lab, tmp_path):
    with qarchive.open(tmp_path / "a") as a, qarchive.open(tmp_path / "b") as b:
        for archive in (a, b):
            for shots in (10, 20):
                archive.record(archive.wrap(AerSimulator()).run(circuit(0), shots=shots)).wait()
        a.export(tmp_path / "a.qar")
        b.export(tmp_path / "b.qar")
    found = qarchive.diff_bundles(tmp_path / "a.qar", tmp_path / "b.qar", level=0.04)
    assert [pair.diff.result.level for pair in found.pairs] == [0.02, 0.02]
    assert not found.differs


def test_what_is_no_pair_of_bundles(lab, tmp_path, monkeypatch):
    assert run(lab, "one.qar", "nosuch.qar", code=2)[1] == (
        "qarchive: nosuch.qar: there is no such file; name two bundles, or two jobs\n"
    )
    assert run(lab, "one.qar", "latest", code=2)[1] == (
        "qarchive: one.qar and latest: are a bundle and a job; give two jobs, or two bundles\n"
    )
    (lab.folder / "text.qar").write_text("no bundle")
    assert run(lab, "one.qar", "text.qar", code=2)[1] == "qarchive: text.qar: is a file; an archive is a folder\n"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latest").write_text("a file that is called as jobs are")
    assert run(lab, "latest", "@2", code=3)[1].startswith("qarchive: no archive at none; ")
