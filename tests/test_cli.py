"""The command line: what goes to stdout, what to stderr, exit codes, whole messages; in real processes where that matters."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import click.testing
import pytest
from building import build
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator

import qarchive
from qarchive import archive as facade
from qarchive import codec, config, disk
from qarchive.cli import main, output
from qarchive.json_forms import to_json
from qarchive.printable import clean
from qarchive.store import Store
from qarchive.text_forms import to_text
from qarchive.values import Array, Link, Timestamp, Typed

ROOT = Path(qarchive.__file__).parent.parent
BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""
# A program that runs the command line where none of these can be imported.
WITHOUT_SDK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith("qiskit") or name.split(".")[0] in {"openqasm3", "numpy", "scipy", "pandas"}:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
from qarchive.cli import main
main()
"""


def bell(name="bell"):
    circuit = QuantumCircuit(2, 2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


NEAR = "there is one at lab: `qarchive --archive lab`, or `export QARCHIVE=lab`; `qarchive init` makes one"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder of one's own to work in, with no archive and no settings anywhere near."""
    for name in ("QARCHIVE", "QARCHIVE_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f".{name.lower()}"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    level = logging.getLogger("qiskit_aer").level
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    logging.getLogger("qiskit_aer").setLevel(level)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """An archive with jobs of four sorts: two circuits in a group, a state, one that failed, and a bound parameter."""
    path = tmp_path_factory.mktemp("lab") / "lab"
    state = QuantumCircuit(2, name="state")
    state.h(0)
    state.save_statevector()
    huge = QuantumCircuit(60, name="huge")
    huge.h(range(60))
    huge.t(range(60))
    huge.save_statevector()
    theta = Parameter("theta")
    rotated = QuantumCircuit(1, 1, name="rotated", metadata={"k": (1, 2)})
    rotated.ry(theta, 0)
    rotated.measure(0, 0)
    with qarchive.open(path) as archive:
        backend = archive.wrap(AerSimulator())
        with archive.context(group="vqe", tags=["paper"], params={"x": 0.5}):
            backend.run([bell(), bell("evil\x1b[31m\n")], shots=100, seed_simulator=1, memory=True).result()
        backend.run(state).result()
        backend.run(huge, method="statevector").result()
        backend.run([rotated], parameter_binds=[{theta: [0.0]}], shots=10).result()
    return path


def run(*arguments, archive=None, code=0, **environment):
    """(stdout, stderr) of a command in this process, which ends with `code`."""
    arguments = [*(["--archive", archive] if archive else []), *arguments]
    found = click.testing.CliRunner(env=environment).invoke(main, list(map(str, arguments)))
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    assert "Traceback" not in found.stderr
    return found.stdout, found.stderr


def process(*arguments, program=("-m", "qarchive"), **options):
    """The command as a process of its own."""
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.run(command, **{"capture_output": True, "text": True, "timeout": 120, **options})


def document(*arguments, **options):
    out, _ = run(*arguments, "--json", **options)
    return json.loads(out)


def jobs(path):
    with qarchive.open(path, create=False) as archive:
        return list(archive.jobs())


# Errors: what, where, what to do, on one line


def bad(tmp_path):
    """Files that are not what `run` takes, and other things that are not what they should be."""
    for name, content in {
        "words.qasm": "hello\nworld\n", "empty.qasm": "", "two.qasm": BELL.replace("h q[0]", "foo q[0]"),
        "three.qasm": "OPENQASM 3.0;\nqubit[2] q\nh q[0];\n", "gate.qasm": "// a comment\n\nOPENQASM 3;\nqubit q;\nfoo q;\n",
        "symbol.qasm": "OPENQASM 3.0;\nqubit q;\n\n?!\n", "short.qasm": 'OPENQASM 3.0;\nqubit q', "words.qpy": "hello",
        "cut.qpy": "QISKIT", "a.txt": "x",
        "free.qasm": 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nry(theta) q;\n',
    }.items():  # fmt: skip
        (tmp_path / name).write_text(content)
    (tmp_path / "bytes.qasm").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.qasm").mkdir()
    (tmp_path / "bell.qasm").write_text(BELL)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with qarchive.open(tmp_path / "lab"):
        pass


ASSIGN = "assign them before the file is written"
STATUSES = ("'PREPARED', 'SENDING', 'QUEUED', 'RUNNING', 'PAUSED', 'UNKNOWN', 'REFUSED', 'CANCELLED', 'TIMED_OUT', 'ERROR', "
            "'PARTIAL', 'DONE'")  # fmt: skip
TIMES = "give one such as 2026-11-21, 2026-11-21T08:00 (UTC) or 7d"
HELP = "`qarchive list --help` shows how"
BAD = [
    ("run missing.qasm", 2, "missing.qasm: there is no such file"),
    ("run words.qasm", 2, "words.qasm line 1: is no OpenQASM 2 or 3; the file begins with `OPENQASM 2.0;` or `OPENQASM 3.0;`"),
    ("run empty.qasm", 2, "empty.qasm: is empty; write a program in OpenQASM 2 or 3 into it"),
    ("run bytes.qasm", 2, "bytes.qasm: is no text; an OpenQASM file is UTF-8 text"),
    ("run folder.qasm", 2, "folder.qasm: cannot be read (is a directory)"),
    ("run two.qasm", 2, "two.qasm line 5 column 1: is no OpenQASM 2 ('foo' is not defined in this scope); mend the file"),
    ("run three.qasm", 2, "three.qasm line 3 column 1: is no OpenQASM 3 (unexpected 'h'); mend the file"),
    ("run gate.qasm", 2, "gate.qasm line 5 column 1: is no OpenQASM 3 (gate 'foo' is not defined); mend the file"),
    ("run symbol.qasm", 2, "symbol.qasm line 4 column 1: is no OpenQASM 3 (token recognition error at: '?'); mend the file"),
    ("run short.qasm", 2, "short.qasm line 2 column 8: is no OpenQASM 3 (the program ends too early); mend the file"),
    ("run free.qasm", 2, f"free.qasm: the circuit free has parameters without values (theta); {ASSIGN}"),
    ("run words.qpy", 2, "words.qpy: is no QPY; write it with qiskit.qpy.dump"),
    ("run a.txt", 2, "a.txt: is neither .qasm nor .qpy; name it by what is in it"),
    ("run bell.qasm --backend ear", 2, "the backend 'ear': does not exist; did you mean aer? the backends are aer, basic"),
    ("run bell.qasm --backend ibm_fez", 2, "the backend 'ibm_fez': does not exist; the backends are aer, basic"),
    ("run bell.qasm --backend basic --noise-from x", 2, "--noise-from: the backend basic has no noise; leave out --backend"),
    ("run bell.qasm --shots 0", 2, "invalid value for '--shots': 0 is not in the range x>=1; `qarchive run --help` shows how"),
    ("run", 2, "missing argument 'FILE'; `qarchive run --help` shows how"),
    ("lst", 2, "no such command 'lst'; did you mean list? `qarchive --help` shows how"),
    ("config sett a b", 2, "no such command 'sett'; did you mean set? `qarchive config --help` shows how"),
    ("list --statis DONE", 2, "no such option --statis; did you mean --status? `qarchive list --help` shows how"),
    ("list --archive x", 2, "--archive stands before the command: qarchive --archive PATH COMMAND"),
    ("list --status FINISHED", 2, f"invalid value for '--status': 'FINISHED' is not one of {STATUSES}; {HELP}"),
    ("list --since yesterday", 2, f"invalid value for '--since': 'yesterday' is no time; {TIMES}; {HELP}"),
    ("list --limit -1", 2, "invalid value for '--limit': -1 is not in the range x>=0; `qarchive list --help` shows how"),
    ("show beef", 3, "job 'beef' is not in lab; `qarchive list` shows what there is"),
    ("show be", 3, "job 'be' is not in lab; `qarchive list` shows what there is; a prefix has 4 or more digits"),
    ("show latest", 3, "job latest is not in lab; it holds no job yet"),
    ("cat beef", 3, "a blob beef is not in lab; give 4 or more hexadecimal digits of a digest"),
    ("--archive nowhere list", 3, f"no archive at nowhere; {NEAR}"),
    ("--archive full verify", 3, f"no archive at full; {NEAR}"),
    ("--archive full init", 2, "full: is a folder that holds other files; name a new or an empty one"),
    ("--archive a.txt list", 2, "a.txt: is a file; an archive is a folder"),
    ("--archive a.txt init", 2, "a.txt: is a file; an archive is a folder"),
    ("--archive x init y", 2, "PATH and --archive: both name an archive; give one of them"),
    ("config set colour blue", 2, f"the setting 'colour': does not exist; the settings are {', '.join(config.SETTINGS)}"),
    ("config set on_error maybe", 2, "the setting on_error: cannot be 'maybe'; it is warn or raise"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "code", "message"), BAD, ids=[command for command, _, _ in BAD])
def test_bad_input_is_one_line_that_says_what_and_where(tmp_path, command, code, message):
    bad(tmp_path)
    out, err = run(*command.split(), code=code, QARCHIVE="lab")
    assert (out, err) == ("", f"qarchive: {message}\n")
    assert jobs("lab") == []


def test_an_unknown_fake_backend_is_answered_with_the_nearest_and_all_names(tmp_path):
    bad(tmp_path)
    _, err = run("run", "bell.qasm", "--noise-from", "FakeSherbroke", code=2)
    start, _, names = err.partition("the names are ")
    assert start == "qarchive: the fake backend 'FakeSherbroke': does not exist; did you mean sherbrooke? "
    assert {"fez", "lagos", "sherbrooke", "torino"} < set(names.strip().split(", "))


def test_a_qpy_file_that_is_cut_off_names_what_qiskit_says(tmp_path):
    bad(tmp_path)
    _, err = run("run", "cut.qpy", code=2)
    assert err.startswith("qarchive: cut.qpy: Qiskit cannot read this QPY (") and err.count("\n") == 1


def test_a_prefix_of_two_jobs_lists_both(tmp_path):
    store = Store.create(tmp_path / "lab")
    seen = {}
    for number in range(5_000):
        job = build(number)
        other = seen.setdefault(job.id.hex()[:4], job)
        if other is not job:
            break
    store.commit([*job.blobs, *other.blobs], durable=True)
    store.close()
    ids = sorted(found.id.hex()[:16] for found in (job, other))
    _, err = run("show", ids[0][:4], archive="lab", code=3)
    assert err == f"qarchive: {ids[0][:4]} fits 2 or more: {', '.join(ids)}; give more digits\n"


def test_an_archive_that_cannot_be_written_is_exit_code_6_and_nothing_runs(tmp_path, monkeypatch):
    bad(tmp_path)

    def refuse(fd, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk, "append", refuse)
    _, err = run("run", "bell.qasm", archive="lab", code=6)
    path = Path("lab") / "packs"
    reason = "the disk is full; free some space and run it again; what was acknowledged before is safe"
    assert err == f"qarchive: cannot write {path}: {reason}\n"
    monkeypatch.undo()
    os.chdir(tmp_path)
    assert jobs("lab") == []


def test_full_stdout_is_exit_code_6():
    with open("/dev/full", "w") as full:
        found = process("config", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert (found.returncode, found.stderr) == (6, "qarchive: no space left on device\n")


def test_with_json_errors_are_json_on_stderr(lab):
    out, err = run("show", "beef", "--json", archive=lab, code=3)
    hint = "`qarchive list` shows what there is"
    assert out == "" and json.loads(err) == {
        "schema": "qarchive/error/1", "error": "NotFound", "message": f"job 'beef' is not in {lab}; {hint}",
        "fields": {"what": "job 'beef'", "where": str(lab), "hint": hint}, "exit_code": 3}  # fmt: skip
    _, err = run("lst", "--json", code=2)
    assert json.loads(err)["error"] == "UsageError"


def test_a_bug_is_one_line_and_its_traceback_comes_when_asked_for(lab, monkeypatch):
    monkeypatch.setattr(facade, "open", lambda *_, **__: {}["lost"])
    _, err = run("list", archive=lab, code=1)
    assert err == "qarchive: this is a bug in qarchive: KeyError: 'lost'; please report it with what QARCHIVE_DEBUG=1 shows\n"
    found = click.testing.CliRunner(env={"QARCHIVE_DEBUG": "1"}).invoke(main, ["list"])
    assert "Traceback" in found.stderr and found.stderr.endswith(err)


def test_ctrl_c_is_exit_code_130(monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(facade, "open", interrupt)
    _, err = run("list", code=130)
    assert err.strip() == "qarchive: interrupted"


def test_ctrl_c_in_a_long_run_is_exit_code_130_without_a_traceback(tmp_path):
    (tmp_path / "bell.qasm").write_text(BELL)
    with subprocess.Popen([sys.executable, "-m", "qarchive", "--archive", "lab", "run", "bell.qasm", "--shots", "2000000"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:  # fmt: skip
        assert len(running.stdout.readline()) == 13  # the id comes before the wait
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=120)
    assert (running.returncode, err.split("\n")[-2]) == (130, "qarchive: interrupted") and "Traceback" not in err


def test_warnings_are_lines_of_our_own():
    code = "import qarchive.cli, warnings, sys; from qarchive.cli import shell; warnings.showwarning = shell._show_warning;"
    code += "warnings.warn('input is not archived', qarchive.ArchiveWarning)"
    assert process(program=("-c", code)).stderr == "qarchive: warning: input is not archived\n"


def test_other_readers_of_a_pipe_may_leave(lab):
    reader, writer = os.pipe()
    os.close(reader)
    found = process("--archive", lab, "list", stdout=writer, stderr=subprocess.PIPE, capture_output=False)
    os.close(writer)
    assert (found.returncode, found.stderr) == (141, "")


def test_without_stdout_or_stderr_it_still_ends_well(lab):
    command = [sys.executable, "-m", "qarchive", "--archive", str(lab), "list"]
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        assert (
            subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, timeout=120).returncode == 0
        )


# Reading


def test_list_is_a_table_of_the_newest_first(lab):
    out, err = run("list", archive=lab)
    newest = jobs(lab)
    assert err == ""
    header, *lines = out.splitlines()
    assert header.split() == ["ID", "CREATED", "STATUS", "BACKEND", "SHOTS", "CIRCUITS", "NAMES"]
    assert [line.split()[0] for line in lines] == [job.id[:12] for job in newest]
    made = newest[-1].created.strftime("%Y-%m-%dT%H:%MZ")
    last = f"{newest[-1].id[:12]}  {made}  DONE    aer:aer_simulator    100         2  bell, evil\\x1b[31m\\n [vqe] #paper"
    assert lines[-1] == last
    assert [line.split()[2] for line in lines] == ["DONE", "ERROR", "DONE", "DONE"]


@pytest.mark.parametrize(("filters", "count"), [
    ("", 4), ("--status error", 1), ("--status DONE", 3), ("--provider aer", 4), ("--provider qiskit", 0),
    ("--backend aer_simulator", 4), ("--backend x", 0),
    ("--kind simulator", 4), ("--kind qpu", 0), ("--tag paper", 1), ("--group vqe", 1), ("--since 1h", 4), ("--until 1h", 0),
    ("--since 2020-01-01", 4), ("--until 2020-01-01T08:00", 0), ("--since 2020-01-01T08:00+02:00", 4),
    ("--limit 2", 2), ("--limit 0", 4),
])  # fmt: skip
def test_list_filters(lab, filters, count):
    found = document("list", *filters.split(), archive=lab)
    assert len(found["jobs"]) == count
    assert found["total"] == (4 if "limit" in filters else count)


def test_list_says_when_there_is_more_and_when_there_is_nothing(lab, tmp_path):
    out, err = run("list", "--limit", 3, archive=lab)
    assert len(out.splitlines()) == 4 and err == "qarchive: 3 of 4 jobs; --limit 0 shows all\n"
    out, err = run("list", "--tag", "none", archive=lab)
    assert (out, err) == ("", f"qarchive: no job in {lab} fits; no tag is called 'none'\n")
    run("init", "new")
    out, err = run("list", archive="new")
    assert (out, err) == ("", "qarchive: no job in new yet; `qarchive run FILE` adds one, and so does a wrapped backend\n")


def test_list_goes_from_the_oldest(lab):
    newest = [job["id"] for job in document("list", archive=lab)["jobs"]]
    assert [job["id"] for job in document("list", "--order", "oldest", archive=lab)["jobs"]] == newest[::-1]


def test_jobs_are_named_in_every_way(lab):
    job = jobs(lab)[-1]
    for reference in (job.id, job.id[:12], job.id[:6].upper(), "@4", "vqe/1", job.provider_job):
        assert document("show", reference, archive=lab)["id"] == job.id
    assert document("show", "latest", archive=lab)["id"] == jobs(lab)[0].id


def test_show_prints_everything_that_a_person_wants(lab):
    job = jobs(lab)[-1]
    out, _ = run("show", "vqe/1", archive=lab)
    fields = dict(line.split("  ", 1) for line in out.split("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    assert fields["job"] == job.id and fields["status"] == "DONE" and fields["seal"] == job.seal
    assert fields["backend"] == "aer:aer_simulator (simulator)" and fields["provider job"] == job.provider_job
    assert fields["circuits"] == "2: bell, evil\\x1b[31m\\n" and fields["shots"] == "100"
    assert (fields["group"], fields["tags"], fields["params"]) == ("vqe", "paper", "x = 0.5")
    assert "  seed_simulator  1\n" in out and "  qiskit-aer " in out
    for kind, digest, _ in job.blobs:
        assert f"  {digest[:12]}  {kind} " in out
    _, err = run("show", "@2", archive=lab)
    assert err == ""


def test_show_says_how_the_backend_was_set(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator(method="statevector", max_parallel_threads=1)).run(bell(), shots=10).result()
    out, _ = run("show", "latest", archive=tmp_path / "lab")
    assert "set to        max_parallel_threads = 1, method = statevector\n" in out


def test_show_as_json_holds_everything(lab):
    job = jobs(lab)[-1]
    found = document("show", "vqe/1", archive=lab)
    assert found["names"] == list(job.names) and found["labels"] == job.labels and found["seal"] == job.seal
    assert [entry["type"] for entry in found["history"]] == ["job", "attempt", "outcome"]
    assert found["config"]["options"]["shots"] == 100 and found["environment"]["python"] == job.environment["python"]
    assert [(blob["kind"], blob["digest"], blob["bytes"]) for blob in found["blobs"]] == job.blobs


def test_result_is_a_table_of_counts_for_each_circuit(lab):
    counts = jobs(lab)[-1].counts(0)
    out, err = run("result", "vqe/1", "--circuit", 0, archive=lab)
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    assert (out, err) == ("0  bell\n" + "".join(f"   {s}  {n}  {n:.1f}%\n" for s, n in rows) + "   memory  list of 100\n", "")
    out, _ = run("result", "vqe/1", archive=lab)
    assert "\n1  evil\\x1b[31m\\n\n" in out
    _, err = run("result", "vqe/1", "--circuit", 2, archive=lab, code=2)
    assert err == "qarchive: --circuit 2: the job has 2 circuits; count from 0\n"


def test_result_sums_up_rare_states_and_many_circuits(tmp_path):
    wide = QuantumCircuit(6, 6)
    wide.h(range(6))
    wide.measure(range(6), range(6))
    with qarchive.open("lab") as archive:
        archive.wrap(AerSimulator()).run([wide] * 11, shots=5000, seed_simulator=1).result()
        counts = archive.job("latest").counts(0)
    out, err = run("result", "latest", archive="lab")
    rest = sum(sorted(counts.values())[:44])
    assert out.count("44 others") == 10 and f"   44 others  {rest:,}  {rest / 5000:.1%}\n" in out
    assert err == "qarchive: 10 of 11 circuits; --all shows all, --circuit N one\n"
    out, err = run("result", "latest", "--all", archive="lab")
    assert out.count("\n   ") == 11 * 64 and err == ""


def test_result_names_other_data_by_kind_and_size(lab):
    assert run("result", "@3", archive=lab) == ("0  state\n   statevector  array of 4 complex numbers\n", "")


def test_result_as_json_holds_all_of_it(lab):
    found = document("result", "vqe/1", archive=lab)
    assert [circuit["counts"] for circuit in found["circuits"]] == [jobs(lab)[-1].counts(i) for i in range(2)]
    assert len(found["circuits"][0]["data"]["memory"]) == 100 and found["value"]["success"] is True
    one = document("result", "vqe/1", "--circuit", 1, archive=lab)["circuits"]
    assert one == found["circuits"][1:]


def test_result_of_a_failed_job_is_its_error_and_exit_code_9(lab):
    job = jobs(lab)[1]
    message = job.error["message"]
    assert "Insufficient memory" in message
    _, err = run("result", "@2", archive=lab, code=9)
    assert err == f"qarchive: job {job.id[:12]} ended as ERROR without a result: {clean(message)}\n"
    out, _ = run("show", "@2", archive=lab)
    assert f"\nerror\n  Result: {clean(message)}\n" in out


def test_result_of_an_unfinished_job_is_exit_code_9(tmp_path):
    job = build(1, status=None)
    store = Store.create(tmp_path / "lab")
    store.commit(job.blobs, durable=True)
    store.close()
    _, err = run("result", "latest", archive="lab", code=9)
    assert err == f"qarchive: job {job.id.hex()[:12]} was prepared and not sent; `qarchive group run` sends it\n"
    assert "PREPARED" in run("show", "latest", archive="lab")[0]


def test_input_is_openqasm_3_that_runs_again(lab, tmp_path):
    program, _ = run("input", "vqe/1", "--circuit", 0, archive=lab)
    assert program.startswith("OPENQASM 3.0;\n") and "measure" in program
    (tmp_path / "again.qasm").write_text(program)
    counts = document("run", "again.qasm", "--shots", 100, "--seed", 1, archive="other")["circuits"][0]["counts"]
    assert counts == jobs(lab)[-1].counts(0)


def test_input_tells_several_circuits_apart(lab):
    out, _ = run("input", "vqe/1", archive=lab)
    assert [line for line in out.splitlines() if line.startswith("//")] == [
        "// circuit 0: bell",
        "// circuit 1: evil\\x1b[31m\\n",
    ]
    found = document("input", "vqe/1", archive=lab)
    assert [circuit["name"] for circuit in found["circuits"]] == ["bell", "evil\\x1b[31m\\n"]
    assert found["circuits"][0]["openqasm"] in out


def test_input_as_json_holds_metadata_and_binds(lab):
    value = document("input", "latest", archive=lab)["value"]
    assert value["metadata"] == [{"k": {"$tuple": [1, 2]}}]
    assert value["parameter_binds"] == [{"theta": {"$array": "<f8", "shape": [1], "data": [0.0]}}]


def test_input_as_json_has_no_program_where_only_the_sdk_could_write_it(lab):
    found = process("--archive", lab, "input", "latest", "--json", program=("-c", WITHOUT_SDK))
    assert json.loads(found.stdout)["circuits"] == [{"index": 0, "name": "rotated", "openqasm": None}]
    extra = "needs more than is installed; run `pip install 'qarchive[aer]'`"
    assert found.stderr == f"qarchive: warning: the OpenQASM text of this circuit {extra}\n"


def test_input_goes_to_a_file_as_openqasm_or_qpy(lab, tmp_path):
    assert run("input", "vqe/1", "--circuit", 0, "-o", "bell.qasm", archive=lab) == ("", "")
    assert (tmp_path / "bell.qasm").read_text() == run("input", "vqe/1", "--circuit", 0, archive=lab)[0]
    run("input", "vqe/1", "--format", "qpy", "-o", "both.qpy", archive=lab)
    with open("both.qpy", "rb") as file:
        assert qpy.load(file) == [bell(), bell("evil\x1b[31m\n")]
    piped = process("--archive", lab, "input", "vqe/1", "--format", "qpy", "--circuit", 0, text=False)
    assert piped.stdout.startswith(b"QISKIT") and piped.stderr == b""


def test_cat_gives_the_bytes_whose_hash_is_the_digest(lab):
    digest = jobs(lab)[-1].blobs[0][1]
    raw = process("--archive", lab, "cat", digest[:12], "--raw", text=False)
    assert hashlib.sha256(raw.stdout).hexdigest() == digest
    out, _ = run("cat", digest, archive=lab)
    assert out == '{"options": {"memory": true, "seed_simulator": 1, "shots": 100}}\n'
    value = {"options": {"memory": True, "seed_simulator": 1, "shots": 100}}
    assert document("cat", digest[:8], archive=lab) == {"schema": "qarchive/cat/1", "digest": digest, "value": value}


def test_stats_and_reindex_count_jobs(lab):
    with qarchive.open(lab) as archive:
        numbers = archive.statistics()
    found = document("stats", archive=lab)
    assert found["jobs"] == 4 and found["kinds"] == numbers["kinds"] and found["bytes"] == numbers["bytes"]
    out, _ = run("stats", archive=lab)
    assert "jobs     4\n" in out and "\nKIND" in out
    assert run("reindex", archive=lab) == ("", f"qarchive: the index of {lab} is made anew: 4 jobs\n")


COUNTS = Typed("counts", [["0x0"], Array("|u1", (1,), b"\x05")])
MATRIX = Array("<f8", (2, 2), struct.pack("<4d", 1, 2, 3, float("inf")))
COLUMN = Array("<u2", (500,), struct.pack("<500H", *range(500)))
FORMS = [  # a plain value, as text, and as JSON
    ('a "b"\n\x1b[0m', '"a \\"b\\"\\n\\x1b[0m"', 'a "b"\n\x1b[0m'),
    ("x" * 300, f'"{"x" * 200}"... 300 characters', "x" * 300),
    (None, "null", None),
    (True, "true", True),
    (1 << 70, "1180591620717411303424", 1 << 70),
    (0.5, "0.5", 0.5),
    (float("nan"), "nan", {"$float": "nan"}),
    (1 + 2j, "(1+2j)", {"$complex": [1.0, 2.0]}),
    (b"\x00\xff", "bytes(2) 00ff", {"$bytes": "AP8="}),
    ((1, 2), "tuple [1, 2]", {"$tuple": [1, 2]}),
    ({"x"}, 'set ["x"]', {"$set": ["x"]}),
    (Link(bytes(32)), f"link {'0' * 64}", {"$link": "0" * 64}),
    (Timestamp(0), "time 1970-01-01T00:00:00.000000000Z", {"$time": "1970-01-01T00:00:00.000000000Z"}),
    ({"a": {"b": []}}, '{"a": {"b": []}}', {"a": {"b": []}}),
    ({1: "one", "x": 2}, '{1: "one", "x": 2}', {"$map": [[1, "one"], ["x", 2]]}),
    ({"$link": "0"}, '{"$link": "0"}', {"$map": [["$link", "0"]]}),
    (COUNTS, 'counts {"0x0": 5}', {"$type": "counts", "value": {"0x0": 5}}),
    (Typed("counts", [1]), "counts [1]", {"$type": "counts", "value": [1]}),
    (MATRIX, "array(<f8 2x2) [[1.0, 2.0], [3.0, inf]]",
     {"$array": "<f8", "shape": [2, 2], "data": [[1.0, 2.0], [3.0, {"$float": "inf"}]]}),
    (COLUMN, "array(<u2 500) [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 490 more]",
     {"$array": "<u2", "shape": [500], "data": list(range(500))}),
    (list(range(1000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 990 more]", list(range(1000))),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text", "plain"), FORMS, ids=[type(value).__name__ for value, _, _ in FORMS])
def test_every_plain_value_has_a_form_for_people_and_one_for_programs(value, text, plain):
    value = codec.decode(codec.encode(value))
    assert to_text(value) == text
    assert json.loads(json.dumps(to_json(value), allow_nan=False)) == plain
    assert "... " not in to_text(value, full=True)


# Keeping


def test_init_makes_an_archive_and_leaves_one_that_is_there(tmp_path):
    assert run("init") == ("", "qarchive: made an archive in .qarchive\n")
    assert run("init") == ("", "qarchive: .qarchive is already an archive; nothing was changed\n")
    first = document("init", "lab")
    assert first["created"] is True and document("init", "lab") == first | {"created": False}
    assert document("config")["archive"] == {
        "path": str(tmp_path / ".qarchive"),
        "named_by": "the nearest .qarchive/",
        "exists": True,
    }


def test_reading_never_makes_an_archive(tmp_path):
    for command in ("list", "show latest", "result latest", "input latest", "cat 0000", "verify", "reindex", "stats"):
        run(*command.split(), archive="lab", code=3)
    assert list(tmp_path.iterdir()) == []


def test_verify_is_exit_code_5_only_for_damage(tmp_path, lab):
    out, _ = run("verify", "--deep", archive=lab)
    assert out.startswith("1 pack of ") and out.endswith(" records: no damage\n")
    store = Store.create(tmp_path / "lab")
    store.commit(build(1).blobs, durable=True)
    first = store._lease.end
    store.commit(build(2).blobs, durable=True)
    store.close()
    [pack] = (tmp_path / "lab" / "packs").glob("*.pack")
    whole = pack.read_bytes()
    pack.write_bytes(whole + b"cut off")
    out, _ = run("verify", archive="lab")
    assert out.startswith("tail: ") and "damaged" not in out
    pack.write_bytes(whole[: first - 40] + bytes([whole[first - 40] ^ 1]) + whole[first - 39 :])
    out, err = run("verify", archive="lab", code=5)
    assert out.startswith("damage: ") and out.endswith(": damaged\n") and err == ""
    found = json.loads(run("verify", "--json", archive="lab", code=5)[0])
    assert found["damaged"] is True and found["findings"][0]["kind"] == "damage"


def test_config_sets_and_unsets(tmp_path):
    assert run("config", "set", "archive", "lab") == ("", f"qarchive: archive = {tmp_path / 'lab'}\n")
    found = document("config")
    assert found["archive"] == {"path": str(tmp_path / "lab"), "named_by": found["file"], "exists": False}
    assert found["settings"] == dict.fromkeys(config.SETTINGS) | {"archive": str(tmp_path / "lab")}
    out, _ = run("config")
    assert f"archive   {tmp_path / 'lab'} ({found['file']}; not made yet)\n" in out
    assert run("config", "unset", "archive") == ("", "qarchive: archive is no longer set\n")
    assert document("config")["archive"]["named_by"] == "the default"


# Running


def test_run_prints_the_id_and_the_counts(tmp_path):
    (tmp_path / "bell.qasm").write_text(BELL)
    found = process("--archive", "lab", "run", "bell.qasm", "--shots", "1000", "--seed", "7")
    job = jobs("lab")[0]
    rows = sorted(job.counts().items(), key=lambda item: (-item[1], item[0]))
    assert found.stdout == f"{job.id[:12]}\n0  bell\n" + "".join(f"   {state}  {n}  {n / 1000:.1%}\n" for state, n in rows)
    assert (found.returncode, found.stderr) == (0, "qarchive: made an archive in lab\n")
    assert job.names == ("bell",) and job.config["options"] == {"shots": 1000, "seed_simulator": 7}
    again = document("run", "bell.qasm", "--shots", 1000, "--seed", 7, archive="lab")
    assert again["circuits"] == [{"index": 0, "name": "bell", "counts": job.counts(), "data": {}}] and again["status"] == "DONE"


@pytest.mark.parametrize("program", [
    BELL, 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n',
    BELL.replace("h q[0];\ncx q[0],q[1];", "both q[0],q[1];").replace("qreg", "gate both a,b { h a; cx a,b; }\nqreg"),
    "// OPENQASM 3.0;\n\n" + BELL,
])  # fmt: skip
def test_run_reads_openqasm_2_and_3(tmp_path, program):
    (tmp_path / "bell.qasm").write_text(program)
    [circuit] = document("run", "bell.qasm", "--seed", 1, archive="lab")["circuits"]
    assert set(circuit["counts"]) == {"00", "11"} and sum(circuit["counts"].values()) == 1024


def test_run_reads_qpy_with_several_circuits(tmp_path):
    with open("two.qpy", "wb") as file:
        qpy.dump([bell("one"), bell("two")], file)
    found = document("run", "two.qpy", "--seed", 1, "--shots", 10, archive="lab")
    assert [circuit["name"] for circuit in found["circuits"]] == ["one", "two"]


def test_run_takes_the_noise_of_a_device(tmp_path):
    (tmp_path / "bell.qasm").write_text(BELL)
    for name in ("FakeLagosV2", "fake_lagos", "lagos"):
        found = document("run", "bell.qasm", "--noise-from", name, "--seed", 1, archive="lab")
        assert set(found["circuits"][0]["counts"]) > {"00", "11"}
    job = jobs("lab")[0]
    assert "lagos" in job.backend and len(job.calibrations) == 1


def test_run_on_the_basic_simulator(tmp_path):
    (tmp_path / "bell.qasm").write_text(BELL)
    found = document("run", "bell.qasm", "--backend", "basic", "--seed", 1, archive="lab")
    assert set(found["circuits"][0]["counts"]) == {"00", "11"} and jobs("lab")[0].provider == "qiskit"


def test_run_says_that_nothing_is_measured(tmp_path):
    (tmp_path / "state.qasm").write_text(BELL.replace("measure q -> c;", ""))
    run("init", "lab")
    out, err = run("run", "state.qasm", archive="lab")
    assert out.endswith("\n0  state\n   no data\n")
    assert err == "qarchive: warning: the circuit state measures nothing, so it has no counts\n"


def test_run_of_circuits_that_fail_is_kept_and_exit_code_9(tmp_path):
    (tmp_path / "wide.qasm").write_text(BELL.replace("[2]", "[60]").replace("h q[0]", "h q;\nrz(0.3) q;\nh q"))
    run("init", "lab")
    found = process("--archive", "lab", "run", "wide.qasm")
    job = jobs("lab")[0]
    assert (found.returncode, found.stdout) == (9, f"{job.id[:12]}\n0  wide\n   no data\n")
    assert (
        found.stderr.startswith(f"qarchive: job {job.id[:12]} ended as ERROR without a result: ")
        and found.stderr.count("\n") == 1
    )
    (tmp_path / "wide.qasm").write_text(BELL.replace("[2]", "[60]"))
    _, err = run("run", "wide.qasm", "--noise-from", "lagos", archive="lab", code=2)
    assert err.startswith("qarchive: a circuit for ") and "greater than maximum" in err


# Terminals, processes


def on_terminal(*arguments, columns=80, **environment):
    """What a terminal of so many columns is sent."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    running = subprocess.Popen([sys.executable, "-m", "qarchive", *map(str, arguments)], stdout=slave, stderr=subprocess.PIPE,
                               env=surroundings | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | environment)  # fmt: skip
    os.close(slave)
    sent = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        sent += piece
    running.communicate()
    os.close(master)
    return sent.decode().replace("\r\n", "\n")


def test_a_table_fits_the_terminal_and_is_whole_in_a_pipe(lab):
    sent = on_terminal("--archive", lab, "list", NO_COLOR="1")
    assert max(map(len, sent.splitlines())) <= 80 and "…" in sent and "\x1b" not in sent
    assert "evil" in run("list", archive=lab)[0] and "…" not in run("list", archive=lab)[0]
    assert "evil" in on_terminal("--archive", lab, "list", columns=200)


def test_colour_is_for_terminals_that_want_it(lab):
    assert "\x1b[31mERROR" in on_terminal("--archive", lab, "list")
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal("--archive", lab, "list", **environment)


def test_nothing_from_the_archive_reaches_a_terminal_as_a_command(lab):
    for command in ("list", "show vqe/1", "result vqe/1", "input vqe/1", f"cat {jobs(lab)[-1].id}", "show vqe/1 --json"):
        sent = on_terminal("--archive", lab, *command.split(), NO_COLOR="1")
        assert "evil" in sent and "\x1b" not in sent, command


def test_binary_is_not_sent_to_a_terminal(lab):
    assert on_terminal("--archive", lab, "cat", jobs(lab)[0].id, "--raw") == ""
    assert on_terminal("--archive", lab, "input", "latest", "--format", "qpy") == ""


def test_a_terminal_without_the_letters_gets_escapes(lab):
    found = process("--archive", lab, "list", env=os.environ | {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"})
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("command", ["list", "show vqe/1", "result vqe/1", "input vqe/1", "verify", "stats", "config", "--help"])
def test_reading_loads_no_sdk(lab, command):
    code = f"import sys; sys.argv[1:] = ['--archive', {str(lab)!r}, *{command.split()!r}]\nimport qarchive.cli\n"
    code += "try: qarchive.cli.main()\nfinally: print(*sys.modules, file=sys.stderr)"
    loaded = {name.partition(".")[0] for name in process(program=("-c", code)).stderr.split()}
    assert "qarchive" in loaded and loaded.isdisjoint({"qiskit", "qiskit_aer", "numpy", "pandas", "qiskit_ibm_runtime"})


@pytest.mark.parametrize("command", [
    "list", "show vqe/1", "result vqe/1", "result @3 --json", "input vqe/1", "input vqe/1 --json", "verify --deep", "reindex",
    "stats", "config", "cat ID", "cat ID --json",
])  # fmt: skip
def test_reading_needs_no_sdk(lab, command):
    arguments = ["--archive", str(lab), *command.replace("ID", jobs(lab)[-1].id).split()]
    without, usual = process(*arguments, program=("-c", WITHOUT_SDK)), process(*arguments)
    assert (without.returncode, without.stderr) == (0, usual.stderr)
    assert without.stdout == usual.stdout


def test_what_needs_an_sdk_says_which_extra_to_install(lab, tmp_path):
    (tmp_path / "bell.qasm").write_text(BELL)
    missing = [
        (("run", "bell.qasm"), "reading OpenQASM 2"),
        (("input", "vqe/1", "--format", "qpy", "-o", "x.qpy"), "a Qiskit circuit"),
    ]
    for arguments, what in missing:
        found = process("--archive", lab, *arguments, program=("-c", WITHOUT_SDK))
        assert found.returncode == 7 and found.stdout == ""
        assert found.stderr == f"qarchive: {what} needs more than is installed; run `pip install 'qarchive[aer]'`\n"
    assert not (tmp_path / "x.qpy").exists()


def test_the_shell_completes_commands_choices_and_jobs(lab):
    def complete(*words):
        environment = os.environ | {
            "_QARCHIVE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        return [line.partition(",")[2] for line in process(env=environment).stdout.splitlines() if line]

    assert complete("qarchive", "rep") == ["replay", "report", "repair", "repack"]
    assert complete("qarchive", "list", "--status", "D") == ["DONE"]
    assert complete("qarchive", "--archive", str(lab), "show", "") == [job.id[:12] for job in jobs(lab)]
    assert complete("qarchive", "--archive", "nowhere", "show", "") == []


def test_progress_is_for_terminals_and_for_work_that_takes_long(capsys, monkeypatch):
    with output.Progress("verifying") as bar:
        bar(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    with output.Progress("verifying") as bar:
        bar(500, 1000)
    shown = "verifying [##########          ]  50% of 1.0 kB"
    assert capsys.readouterr().err == f"\r{shown}\r{' ' * len(shown)}\r"
