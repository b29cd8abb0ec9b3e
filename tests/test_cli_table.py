"""`qarchive table`: a file that is there whole or not at all, of the jobs that were asked for."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click.testing
import duckdb
import pytest
from building import blob, build

import qarchive
from qarchive import pack, records
from qarchive.cli import main
from qarchive.store import Store
from qarchive.values import Link

ROOT = Path(qarchive.__file__).parent.parent
WITHOUT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pyarrow", "pandas", "numpy"}:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
from qarchive.cli import main
main()
"""


@pytest.fixture
def lab(folder, monkeypatch):
    """An archive of three jobs and a folder to write to."""
    store = Store.create(folder / "lab")
    for number, status in enumerate(("DONE", "ERROR", "DONE")):
        store.commit(build(number, status=status, tags=["odd"] if number % 2 else [], backend=f"dev{number}").blobs, False)
    store.close()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("QARCHIVE", str(folder / "lab"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder / "lab"


def run(*arguments, code=0):
    """(stdout, stderr) of a command in this process, which ends with `code`."""
    found = click.testing.CliRunner().invoke(main, list(map(str, arguments)))
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout, found.stderr


def test_each_ending_is_a_format_and_duckdb_reads_them_all(lab):
    for name, reader in (("jobs.parquet", "read_parquet"), ("jobs.csv", "read_csv"), ("jobs.JSONL", "read_json")):
        out, err = run("table", "-o", name)
        size = os.path.getsize(name)
        assert (out, err) == ("", f"qarchive: wrote 3 jobs to {name}: {_size(size)}\n")
        kind = ", format='newline_delimited'" if reader == "read_json" else ""
        rows = f"{reader}('{name}'{kind})"
        found = duckdb.sql(f"SELECT status, count(*), sum(shots) FROM {rows} GROUP BY ALL ORDER BY ALL").fetchall()
        assert found == [("DONE", 2, 200), ("ERROR", 1, 100)]
    assert sorted(os.listdir()) == ["jobs.JSONL", "jobs.csv", "jobs.parquet", "lab"]


def _size(size):
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB"


def test_filters_choose_as_they_do_for_list_and_json_lines_are_those_of_list(lab):
    for filters in ((), ("--status", "error"), ("--tag", "odd"), ("--backend", "*2"), ("--tag", "none")):
        assert run("table", "-o", "-", "--format", "jsonl", *filters)[0] == run("list", "--jsonl", "--limit", 0, *filters)[0]


def test_json_says_what_was_written(lab):
    out, err = run("table", "-o", "jobs.csv", "--json", "--params", "--tag", "odd")
    said = json.loads(out)
    assert said.pop("columns") == [*(slot for slot in qarchive.open(lab).jobs()[0].row.__slots__), "params"]
    assert said == {"schema": "qarchive/table-file/1", "path": "jobs.csv", "format": "csv", "jobs": 1,
                    "bytes": os.path.getsize("jobs.csv"), "table": "qarchive/table/1"}  # fmt: skip
    assert err == ""


def test_params_are_those_of_the_context_each_with_its_job(lab):
    store = Store.open(lab)
    for number in range(40):
        circuit, config = blob("circuit", {"n": number}), blob("config", {})
        record = records.job_record(provider="aer", kind="simulator", backend="b", input=Link(circuit.digest), size=1,
                                    config=Link(config.digest), shots=1000 + number,
                                    labels={"params": {"theta": number / 8}})  # fmt: skip
        store.commit([circuit, config, blob(pack.RECORD, record)], False)
    store.close()
    run("table", "-o", "jobs.parquet", "--params")
    sql = "SELECT count(*) FROM 'jobs.parquet' WHERE shots - 1000 = 8 * CAST(params->>'theta' AS DOUBLE)"
    assert duckdb.sql(sql).fetchall() == [(40,)]
    assert duckdb.sql("SELECT count(*) FROM 'jobs.parquet' WHERE params = '{}'").fetchall() == [(3,)]


@pytest.mark.parametrize(("arguments", "message"), [
    (["-o", "-"], "-o -: does not say the format; say --format csv or --format jsonl"),
    (["-o", "jobs.xlsx"], "jobs.xlsx: does not say the format; name it .parquet, .csv or .jsonl, or say --format"),
    (["-o", "-", "--format", "parquet"], "-o - --format parquet: is binary, and begins at its end; name a file with -o"),
    (["-o", "-", "--format", "csv", "--json"], "-o - and --json: both go to stdout; give one of them"),
    (["-o", "lab", "--format", "csv"], "lab: is a folder; name a file in it, such as jobs.parquet"),
    (["-o", "there.csv"], "there.csv: is there already; name another file, or say --force"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_writes_nothing(lab, arguments, message):
    Path("there.csv").write_text("mine")
    error = run("table", *arguments, code=2)[1]
    assert (json.loads(error)["message"] if "--json" in arguments else error) in (message, f"qarchive: {message}\n")
    assert sorted(os.listdir()) == ["lab", "there.csv"] and Path("there.csv").read_text() == "mine"


def test_force_writes_over_a_file_and_a_failure_leaves_it_as_it_was(lab):
    Path("jobs.csv").write_text("mine")
    run("table", "-o", "jobs.csv", "--force")
    whole = Path("jobs.csv").read_text()
    assert whole.startswith("id,created,provider,") and whole.count("\n") == 4
    for found in (lab / "packs").iterdir():  # the records are gone, and the index still knows of them
        data = bytearray(found.read_bytes())
        data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
        found.write_bytes(data)
    assert "qarchive: " in run("table", "-o", "jobs.csv", "--force", "--params", code=5)[1]
    assert Path("jobs.csv").read_text() == whole and sorted(os.listdir()) == ["jobs.csv", "lab"]


def test_a_folder_that_cannot_be_written_to_is_named(lab):
    out, err = run("table", "-o", "nowhere/jobs.csv", code=2)
    said = "nowhere/jobs.csv: is in a folder that is not there; make it: mkdir -p nowhere"
    assert (out, err) == ("", f"qarchive: {said}\n")


def test_csv_and_json_lines_need_nothing_but_python_and_parquet_says_what_it_needs(lab):
    def process(*arguments):
        return subprocess.run([sys.executable, "-c", WITHOUT, "table", *arguments], capture_output=True, text=True, timeout=120)

    assert process("-o", "jobs.csv").returncode == process("-o", "jobs.jsonl").returncode == 0
    found = process("-o", "jobs.parquet")
    assert (found.returncode, found.stderr) == (
        7, "qarchive: a Parquet file needs more than is installed; run `pip install 'qarchive[parquet]'`\n",
    )  # fmt: skip
    assert not os.path.exists("jobs.parquet")


def test_a_terminal_obeys_nothing_that_a_provider_said_and_a_pipe_has_it_as_it_is(lab):
    store, built = Store.open(lab), build(9, status="RUNNING")
    failed = records.outcome_record(
        job=Link(built.id), attempt=Link(built.records[-1].digest), status="ERROR", provider_status="ERROR", provider_job=None,
        result=None, volatile={}, error={"type": "Failed", "message": "=\x1b[31mred"}, usage={}, gaps=[])  # fmt: skip
    store.commit([*built.blobs, blob(pack.RECORD, failed)], False)
    store.close()
    assert "'=\x1b[31mred" in run("table", "-o", "-", "--format", "csv")[0]
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "qarchive", "table", "-o", "-", "--format", "csv"]
    found = subprocess.run(command, stdout=slave, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert found.returncode == 0 and "'=\\x1b[31mred" in shown and "\x1b" not in shown
