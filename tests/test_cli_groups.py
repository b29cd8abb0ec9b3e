"""`qarchive group ...`: whole outputs, whole messages and exit codes, with groups that ran on Aer and in loopback clouds."""

import fcntl
import json
import logging
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import click.testing
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

import qarchive
from qarchive.cli import main
from qarchive.stage import Stage

ROOT = Path(qarchive.__file__).parent.parent
WITHOUT_SDK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith("qiskit") or name.split(".")[0] in {"numpy", "scipy", "pandas", "tqdm"}:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
from qarchive.cli import main
for words in sys.argv[2:]:
    try:
        main(["--archive", sys.argv[1], *words.split()])
    except SystemExit as ended:
        print(ended.code)
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder of one's own to work in, with no archive and no settings anywhere near."""
    for name in ("QARCHIVE", "QARCHIVE_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f".{name.lower()}"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger("qiskit_aer").level
    yield tmp_path
    logging.getLogger("qiskit_aer").setLevel(level)


def circuit(name, qubits=1):
    made = QuantumCircuit(qubits, qubits, name=name)
    made.h(0)
    made.measure(range(qubits), range(qubits))
    return made


def huge(name="huge"):
    """A circuit that no computer's memory holds."""
    made = QuantumCircuit(60, name=name)
    made.h(range(60))
    made.t(range(60))
    made.save_statevector()
    return made


def slow(name, qubits):
    made = QuantumCircuit(qubits, qubits, name=name)
    for _ in range(5):
        made.h(range(qubits))
        made.t(range(qubits))
        for qubit in range(qubits - 1):
            made.cx(qubit, qubit + 1)
    made.measure(range(qubits), range(qubits))
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive with a group that is done, one that failed in part, one that is prepared, one that is empty, and a name that a
    terminal would obey. No test changes it."""
    path = tmp_path_factory.mktemp("groups") / "lab"
    level = logging.getLogger("qiskit_aer").level
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)
    with qarchive.open(path) as archive:
        simulator = AerSimulator()
        fails = archive.group("fails")
        fails.add(simulator, huge(), seed_simulator=1)
        fails.add(simulator, circuit("ok"), shots=5)
        fails.run_sequential()
        vqe = archive.group("vqe")
        vqe.add(simulator, circuit("first"), shots=7)
        vqe.map(simulator, (circuit(f"c{place}") for place in range(5)), per_job=2, shots=10)
        vqe.run_parallel()
        later = archive.group("later")
        for shots in (1, 2, 3):
            later.add(simulator, circuit("one"), shots=shots)
        stage = Stage(archive._store)  # as an archive of an older version has it
        evil = stage.record({"type": "group", "name": "evil\x1b[31m\n", "archive": archive.id, "number": 1})
        stage.commit(durable=True)
        archive.group(str(evil)).add(simulator, circuit("evil\x1b[31m\n"), shots=1)
        archive.group("empty")
    logging.getLogger("qiskit_aer").setLevel(level)
    return path


@pytest.fixture
def lab(made, tmp_path):
    """A copy of it, to change."""
    shutil.copytree(made, tmp_path / "lab")
    return tmp_path / "lab"


def run(*arguments, archive=None, code=0, **environment):
    """(stdout, stderr) of a command in this process, which ends with `code`."""
    arguments = [*(["--archive", archive] if archive else []), *arguments]
    found = click.testing.CliRunner(env=environment).invoke(main, list(map(str, arguments)))
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    assert "Traceback" not in found.stderr
    return found.stdout, found.stderr


def document(*arguments, **options):
    out, _ = run(*arguments, "--json", **options)
    return json.loads(out)


def jobs(path, name):
    with qarchive.open(path, create=False) as archive:
        return [(job.id, job.created) for job in archive.group(name)]


def minute(moment):
    return f"{moment:%Y-%m-%dT%H:%M}Z"


# Looking


def test_list_is_a_table_of_the_newest_first(made):
    moments = [minute(jobs(made, name)[0][1]) for name in ("evil\x1b[31m\n", "later", "vqe", "fails")]
    table = (
        "NAME            JOBS  CIRCUITS  STATE             CREATED            BACKENDS\n"
        f"evil\\x1b[31m\\n     1         1  1 not sent        {moments[0]}  aer_simulator\n"
        f"later              3         3  3 not sent        {moments[1]}  aer_simulator\n"
        f"vqe                4         6  all done          {moments[2]}  aer_simulator\n"
        f"fails              2         2  1 done, 1 failed  {moments[3]}  aer_simulator\n"
        "empty              0         0  empty             -                  -\n"
    )
    assert run("group", "list", archive=made) == (table, "")
    out, err = run("group", "list", "--limit", "2", archive=made)
    assert (out.count("\n"), err) == (3, "qarchive: 2 of 5 groups; --limit 0 shows all\n")
    assert run("group", "list", "--limit", "0", archive=made)[0].count("\n") == 6


def test_list_as_json_holds_the_numbers(made):
    found = document("group", "list", archive=made)
    assert (found["schema"], found["total"], len(found["groups"])) == ("qarchive/group-list/1", 5, 5)
    fails, empty = found["groups"][3:]
    with qarchive.open(made) as archive:
        assert fails == {
            "name": "fails", "id": archive.group("fails").id, "archive": archive.id, "jobs": 2, "circuits": 2,
            "created": f"{jobs(made, 'fails')[0][1]:%Y-%m-%dT%H:%M:%S.%f}000Z", "statuses": {"DONE": 1, "ERROR": 1},
            "backends": ["aer_simulator"]}  # fmt: skip
    assert (empty["created"], empty["statuses"], empty["backends"]) == (None, {}, [])


def test_list_of_none_says_how_to_make_one(tmp_path):
    with qarchive.open("new"):
        pass
    hint = 'no group in new yet; `archive.group("NAME")` makes one in Python'
    assert run("group", "list", archive="new") == ("", f"qarchive: {hint}\n")


def test_show_is_the_list_of_jobs_in_their_order_with_their_circuits(made):
    found = jobs(made, "vqe")
    cells = [("7", "0", "first"), ("10", "1-2", "c0, c1"), ("10", "3-4", "c2, c3"), ("10", "5", "c4")]
    lines = [f"{job[:12]}  {minute(created)}  DONE    aer:aer_simulator  {shots:>5}  {places:>8}  {names}\n"
             for (job, created), (shots, places, names) in zip(found, cells, strict=True)]  # fmt: skip
    header = "ID            CREATED            STATUS  BACKEND            SHOTS  CIRCUITS  NAMES\n"
    assert run("group", "show", "vqe", archive=made) == (header + "".join(lines), "")
    out, err = run("group", "show", "vqe", "--limit", "2", archive=made)
    assert (out.splitlines()[1:], err) == ([line.rstrip() for line in lines[:2]], "qarchive: 2 of 4 jobs; --limit 0 shows all\n")
    assert [job["circuits"] for job in document("group", "show", "vqe", archive=made)["jobs"]] == [[0, 0], [1, 2], [3, 4], [5, 5]]


def test_show_takes_a_status(made):
    [job] = document("group", "show", "fails", "--status", "done", archive=made)["jobs"]
    assert (job["id"], job["circuits"], job["names"]) == (jobs(made, "fails")[1][0], [1, 1], ["ok"])
    assert run("group", "show", "vqe", "--status", "ERROR", archive=made) == ("", "qarchive: no job in group vqe is ERROR\n")
    assert run("group", "show", "empty", archive=made) == ("", "qarchive: no job in group empty yet\n")


@pytest.mark.parametrize(("name", "code", "numbers"), [
    ("vqe", 0, (4, 4, 0, 0, 0)), ("fails", 9, (2, 1, 1, 0, 0)), ("later", 9, (3, 0, 0, 0, 3)), ("empty", 0, (0, 0, 0, 0, 0)),
])  # fmt: skip
def test_status_is_numbers_and_exit_code_9_until_all_is_done(made, name, code, numbers):
    words = ("jobs", "successful", "unsuccessful", "sent", "not sent")
    text = f"group         {name}\n" + "".join(f"{word:<14}{number}\n" for word, number in zip(words, numbers))
    assert run("group", "status", name, archive=made, code=code) == (text, "")
    found = document("group", "status", name, archive=made, code=code)
    assert tuple(found[word.replace(" ", "_")] for word in words) == numbers


def test_report_names_circuits_and_with_detailed_whole_errors(made):
    [failed, _] = jobs(made, "fails")
    with qarchive.open(made) as archive:
        error = archive.job(failed[0]).error
    head = "group fails: 2 jobs, 2 circuits (1 done, 1 failed)\n"
    short = f"{head}  circuit 0: failed, {error['message']}\n  circuit 1: done\n"
    assert run("group", "report", "fails", archive=made) == (short, "")
    whole = f"\njob fails/1, {failed[0][:12]}, circuit 0: ERROR\n  {error['type']}: {error['message']}\n"
    assert "Insufficient memory" in whole
    assert run("group", "report", "fails", "--detailed", archive=made) == (short + whole, "")
    assert run("group", "report", "vqe", "--detailed", archive=made)[0] == (
        "group vqe: 4 jobs, 6 circuits (4 done)\n  circuits 0-5: done\n"
    )
    found = document("group", "report", "fails", "--detailed", archive=made)
    assert (found["jobs"], found["statuses"], found["stretches"][1]["status"]) == (2, {"DONE": 1, "ERROR": 1}, "DONE")
    assert found["failures"] == [{"job": failed[0], "circuits": [0, 0], "status": "ERROR", "error": error}]
    assert "failures" not in document("group", "report", "fails", archive=made)


def test_a_job_says_its_place_in_its_group(made):
    out, _ = run("show", "vqe/3", archive=made)
    assert "group         vqe\nplace         job 3 of 4, circuits 3-4\n" in out
    with qarchive.open(made) as archive:
        place = {"group": archive.group("vqe").id, "number": 3, "jobs": 4, "first": 3, "last": 4}
    assert document("show", "vqe/3", archive=made)["place"] == place


def test_nothing_in_a_name_reaches_a_terminal_as_a_command(made):
    for command in ("list", "show", "status", "report"):
        words = [] if command == "list" else [next(job for job in [group_id(made, "evil\x1b[31m\n")])]
        out, _ = run("group", command, *words, archive=made, code=9 if command == "status" else 0)
        assert "\x1b" not in out and "evil\\x1b[31m" in out


def group_id(path, name):
    with qarchive.open(path) as archive:
        return archive.group(name).id


# Names


def test_a_group_is_named_by_its_name_or_by_digits_of_its_id(made):
    whole = run("group", "report", "vqe", archive=made)
    for digits in (4, 12, 64):
        assert run("group", "report", group_id(made, "vqe")[:digits].upper(), archive=made) == whole


@pytest.mark.parametrize("command", ["show", "status", "report", "run", "retry", "cancel", "close", "delete"])
def test_no_command_makes_a_group_and_a_name_that_is_none_is_answered_with_the_nearest(made, command):
    hint = "`qarchive group list` shows what there is"
    message = f"qarchive: the group 'vqee' is not in {made}; did you mean vqe? {hint}\n"
    assert run("group", command, "vqee", archive=made, code=3) == ("", message)
    assert run("group", command, "beef", archive=made, code=3) == ("", f"qarchive: the group 'beef' is not in {made}; {hint}\n")
    assert document("group", "list", archive=made)["total"] == 5


def test_of_two_groups_of_one_name_the_ids_are_listed(lab, tmp_path):
    with qarchive.open("other") as other:
        other.group("vqe").add(AerSimulator(), circuit("theirs"), shots=1)
    for pack in Path("other/packs").iterdir():
        shutil.copy(pack, lab / "packs")
    with qarchive.open(lab) as archive:
        both = [group for group in archive.groups() if group.name == "vqe"]
        ids = [group.id for group in both]
        origins = ["from here" if group.archive == archive.id else f"from archive {group.archive[:8]}" for group in both]
        assert sorted(map(repr, both)) == [
            "<group vqe: 1 job, from archive " + other.id[:8] + ">",
            f"<group vqe: {len(archive.group('vqe'))} jobs>",
        ]
    assert len(ids) == 2 and len(set(origins)) == 2
    shown = ", ".join(f"{each[:16]} ({origin})" for each, origin in zip(ids, origins))
    reason = f"2 groups are called vqe: {shown}; give 4 or more digits of one's id"
    assert run("group", "status", "vqe", archive=lab, code=3) == ("", f"qarchive: {reason}\n")
    lines = run("group", "list", archive=lab)[0].splitlines()
    assert lines[0].split()[:4] == ["ID", "MADE", "IN", "NAME"]
    assert {f"{each[:12]}  {origin.removeprefix('from ')}".ljust(32) for each, origin in zip(ids, origins)} <= {
        line[:32] for line in lines
    }
    [theirs] = [found for found in ids if lines[1].startswith(f"{found[:12]}  archive {other.id[:8]}  vqe ")]
    assert (
        run("group", "report", theirs[:12], archive=lab)[0] == "group vqe: 1 job, 1 circuit (1 not sent)\n  circuit 0: not sent\n"
    )


def test_the_shell_completes_names_of_groups(made):
    def complete(*words):
        environment = os.environ | {
            "_QARCHIVE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        found = subprocess.run([sys.executable, "-m", "qarchive"], env=environment, capture_output=True, text=True, timeout=120)
        return [line.partition(",")[2] for line in found.stdout.splitlines()]

    names = ["empty", group_id(made, "evil\x1b[31m\n")[:12], "fails", "later", "vqe"]
    assert complete("qarchive", "--archive", str(made), "group", "status", "") == names
    assert complete("qarchive", "--archive", str(made), "group", "delete", "vqe", "fai") == ["fails"]


def test_looking_needs_no_sdk(made):
    words = ["group list", "group show vqe", "group status vqe", "group report fails --detailed", "show vqe/2"]
    command = [sys.executable, "-c", WITHOUT_SDK, str(made), *words]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    expected = "".join(run(*each.split(), archive=made)[0] + "0\n" for each in words)
    assert (found.stderr, found.stdout) == ("", expected)


# Running


def test_run_sends_what_was_not_sent_and_prints_the_report(lab):
    report = "group later: 3 jobs, 3 circuits (3 done)\n  circuits 0-2: done\n"
    assert run("group", "run", "later", archive=lab) == (report, "")
    assert run("group", "run", "later", archive=lab) == (report, "")  # again: nothing is left to be sent
    with qarchive.open(lab) as archive:
        assert [len(job.folded.attempts) for job in archive.group("later")] == [1, 1, 1]
    run("group", "status", "later", archive=lab)


@pytest.mark.parametrize("words", [
    ["--sequential"], ["--sequential", "--delay", "0.01", "--max-cost", "5"], ["--max-parallel", "1", "--resend"], ["--no-wait"],
])  # fmt: skip
def test_run_in_every_way(lab, words):
    found = document("group", "run", "later", *words, archive=lab)
    assert (found["schema"], found["statuses"]) == ("qarchive/group-run/1", {"DONE": 3})


RUN, RETRY = "`qarchive group run --help` shows how", "`qarchive group retry --help` shows how"
STATUSES = "'CANCELLED', 'ERROR', 'PARTIAL', 'REFUSED', 'TIMED_OUT', 'UNKNOWN'"
BAD = [
    ("run later --delay 1", "--delay: is for jobs one after another; give it with --sequential"),
    ("run later --sequential --max-parallel 2", "--sequential and --max-parallel: both say how many at once; give one of them"),
    ("run later --no-wait --max-cost 2", "--no-wait and --max-cost: do not go together; leave out one of them"),
    ("run later --no-wait --sequential", "--no-wait and --sequential: do not go together; leave out one of them"),
    ("run later --max-parallel 0", f"invalid value for '--max-parallel': 0 is not in the range x>=1; {RUN}"),
    ("run later --max-cost 0", f"invalid value for '--max-cost': 0.0 is not in the range x>0; {RUN}"),
    ("retry later --status DONE", f"invalid value for '--status': 'DONE' is not one of {STATUSES}; {RETRY}"),
    ("retry later --keep-failed --resend",
     "--keep-failed: is for all jobs that failed; leave out the options that choose some"),
    ("delete", "NAME, --before and --all: are all missing; give one of them"),
    ("delete later --all", "NAME, --before and --all: exclude each other; give one of them"),
    ("delete later", "deleting 1 group: nobody can be asked here, and nothing is deleted; give --yes"),
    ("lst", "no such command 'lst'; did you mean list? `qarchive group --help` shows how"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD, ids=[words for words, _ in BAD])
def test_bad_input_is_one_line_and_nothing_is_done(made, words, message):
    out, err = run("group", *words.split(), archive=made, code=2)
    assert (out, err.splitlines()[-1]) == ("", f"qarchive: {message}")
    assert [group["jobs"] for group in document("group", "list", archive=made)["groups"]] == [1, 3, 4, 2, 0]


def test_a_run_that_fails_is_exit_code_9_and_a_retry_is_a_further_attempt(lab):
    failed, done = (job for job, _ in jobs(lab, "fails"))

    def attempts():
        with qarchive.open(lab) as archive:
            return [len(archive.job(job).folded.attempts) for job in (failed, done)]

    whole, _ = run("group", "run", "fails", archive=lab, code=9)  # what failed is for `retry`, not for `run`
    assert "circuit 0: failed" in whole and attempts() == [1, 1]
    assert run("group", "retry", "fails", archive=lab, code=9) == (whole, "") and attempts() == [2, 1]
    run("group", "retry", "fails", "--status", "ERROR", "--id", failed[:8], "--since", "1h", archive=lab, code=9)
    assert attempts() == [3, 1]
    for words in (["--status", "CANCELLED"], ["--id", done[:8]], ["--until", "1h"], ["--min-shots", "2000"]):
        assert run("group", "retry", "fails", *words, archive=lab, code=9) == (whole, "")
    assert attempts() == [3, 1]
    found = document("group", "retry", "fails", "--keep-failed", archive=lab, code=9)
    assert (found["schema"], found["jobs"], found["statuses"]) == ("qarchive/group-retry/1", 3, {"DONE": 1, "ERROR": 2})


def test_a_retry_sends_nothing_that_was_never_sent(lab):
    report = "group later: 3 jobs, 3 circuits (3 not sent)\n  circuits 0-2: not sent\n"
    for words in ([], ["--resend"]):
        assert run("group", "retry", "later", *words, archive=lab, code=9) == (report, "")


def test_what_has_ended_is_neither_cancelled_nor_closed(made):
    assert run("group", "cancel", "vqe", archive=made) == ("", "qarchive: no job of group vqe is under way\n")
    assert run("group", "close", "vqe", archive=made) == ("", "qarchive: no batch or session of group vqe was closed\n")
    assert document("group", "cancel", "vqe", archive=made)["jobs"] == []
    assert document("group", "close", "vqe", archive=made)["closed"] == []


def test_ctrl_c_says_what_is_under_way_and_the_same_command_goes_on(tmp_path):
    with qarchive.open("lab") as archive:
        group, simulator = archive.group("long one"), AerSimulator(method="statevector", max_parallel_threads=1)
        for place in range(6):
            group.add(simulator, slow(f"slow {place}", 18), shots=1)
        command = [sys.executable, "-m", "qarchive", "--archive", "lab", "group", "run", "long one"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while group.progress()["Finished"][0] < 1 and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
        assert (running.returncode, out) == (130, "")
        words = err.removeprefix("qarchive: interrupted: ").split()
        assert err == (f"qarchive: interrupted: {words[0]} done, {words[2]} job{'s' * (words[2] != '1')} under way, "
                       f"{words[6]} not sent; `qarchive group run 'long one'` goes on\n")  # fmt: skip
        assert int(words[0]) + int(words[2]) + int(words[6]) == 6 and int(words[0]) >= 1 and int(words[6]) >= 1
        assert set(group.statuses()) <= {"DONE", "PREPARED", "RUNNING", "UNKNOWN"}  # and none that failed
        report = "group long one: 6 jobs, 6 circuits (6 done)\n  circuits 0-5: done\n"
        assert run("group", "run", "long one", archive="lab") == (report, "")


def test_on_a_terminal_there_is_a_bar_and_deleting_asks(lab):
    def terminal(*words, answer=b""):
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [sys.executable, "-m", "qarchive", "--archive", str(lab), "group", *words]
        surroundings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        running = subprocess.Popen(command, stdin=follower, stderr=follower, stdout=subprocess.PIPE, text=True,
                                   env=surroundings | {"TERM": "xterm"})  # fmt: skip
        os.close(follower)
        os.write(leader, answer)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        out, _ = running.communicate(timeout=120)
        os.close(leader)
        return running.returncode, out, shown.decode().replace("\r\n", "\n")

    code, out, shown = terminal("run", "later")
    assert (code, out) == (0, "group later: 3 jobs, 3 circuits (3 done)\n  circuits 0-2: done\n")
    assert "100%" in shown and "3/3" in shown and "Successful: 3, Failed: 0" in shown
    code, out, shown = terminal("delete", "later", answer=b"n\n")
    plan = "qarchive: this deletes the group later, with 0 jobs not sent; 3 executed jobs stay (--jobs deletes all)\n"
    assert (
        (code, out) == (0, "") and f"{plan}Delete 1 group? [y/N]: " in shown and shown.endswith("qarchive: nothing is deleted\n")
    )
    code, out, _ = terminal("delete", "later", answer=b"y\n")
    assert (code, out) == (0, "later  deleted, with 0 jobs\n")


# Deleting


def test_delete_says_what_it_would_delete_and_leaves_what_was_executed(lab):
    plan, refusal = run("group", "delete", "vqe", "later", archive=lab, code=2)[1].splitlines()[:2], "qarchive: deleting 2 groups"
    assert plan == [
        "qarchive: this deletes the group vqe, with 0 jobs not sent; 4 executed jobs stay (--jobs deletes all)",
        "qarchive: this deletes the group later, with 3 jobs not sent",
    ]
    assert refusal in run("group", "delete", "vqe", "later", "--jobs", archive=lab, code=2)[1]
    executed = [job for job, _ in jobs(lab, "vqe")]
    assert run("group", "delete", "vqe", "later", "vqe", "--yes", archive=lab) == (
        "vqe  deleted, with 0 jobs\nlater  deleted, with 3 jobs\n",
        "qarchive: what was deleted stays on the disk until `qarchive gc`\n")  # fmt: skip
    with qarchive.open(lab) as archive:
        assert [archive.job(job).status for job in executed] == ["DONE"] * 4
        assert "later" not in [group.name for group in archive.groups()] and len(archive.jobs(status="PREPARED")) == 1
    [deleted] = document("group", "delete", "fails", "--jobs", "--yes", archive=lab)["groups"]
    assert (deleted["name"], deleted["jobs"]) == ("fails", 2)


def test_delete_takes_a_time_or_all(lab):
    assert run("group", "delete", "--before", "1d", "--yes", archive=lab) == ("", "qarchive: no group is so old\n")
    found = document("group", "delete", "--before", "2999-01-01", "--yes", archive=lab)["groups"]
    assert sorted(group["name"] for group in found) == ["evil\x1b[31m\n", "fails", "later", "vqe"]  # the empty one has no time
    assert run("group", "delete", "--all", "--yes", archive=lab)[0] == "empty  deleted, with 0 jobs\n"
    assert run("group", "delete", "--all", "--yes", archive=lab) == ("", f"qarchive: no group in {lab}\n")


# Clouds


@pytest.fixture
def cloud(monkeypatch):
    """Quandela's loopback cloud, with saved credentials, and a group of two jobs for it."""
    import perceval
    from quandela_server import QuandelaServer

    monkeypatch.setattr(perceval.RemoteJob, "STATUS_REFRESH_DELAY", 0)
    with QuandelaServer(seed=7) as server:
        for platform in server.platforms.values():
            platform.modes = platform.modes and 10  # a client reads the whole chip at every question
        server.configure()
        with qarchive.open("lab") as archive:
            group = archive.group("cnots")
            for samples in (10, 20):
                processor = perceval.RemoteProcessor("sim:altair")
                processor.add(0, perceval.BS())
                processor.min_detected_photons_filter(1)
                processor.with_input(perceval.BasicState([1, 0]))
                group.add(perceval.algorithm.Sampler(processor, max_shots_per_call=1000).sample_count, max_samples=samples)
        yield server


@pytest.mark.filterwarnings("ignore")
def test_jobs_in_a_cloud_are_sent_asked_about_and_cancelled(cloud):
    cloud.hold()
    report = "group cnots: 2 jobs, 2 circuits (2 waiting)\n  circuits 0-1: waiting\n"
    assert run("group", "run", "cnots", "--no-wait", archive="lab") == (report, "")
    assert document("group", "status", "cnots", archive="lab", code=9)["sent"] == 2
    assert document("group", "status", "cnots", "--now", archive="lab", code=9)["sent"] == 2
    reason = "has jobs under way, and nothing is deleted; wait for them, or `qarchive group cancel cnots`"
    assert run("group", "delete", "--all", "--yes", archive="lab", code=2) == ("", f"qarchive: the group cnots: {reason}\n")
    found = document("group", "cancel", "cnots", archive="lab")["jobs"]
    assert [(job["id"], job["status"]) for job in found] == [(job, "CANCELLED") for job, _ in jobs("lab", "cnots")]
    cloud.release()
    report = "group cnots: 2 jobs, 2 circuits (2 done)\n  circuits 0-1: done\n"
    assert run("group", "retry", "cnots", "--status", "CANCELLED", archive="lab") == (report, "")
    assert document("group", "status", "cnots", archive="lab")["successful"] == 2


@pytest.mark.filterwarnings("ignore")
def test_a_cloud_that_cannot_be_asked_is_exit_code_9_with_the_numbers(cloud):
    cloud.hold()
    run("group", "run", "cnots", "--no-wait", archive="lab")
    cloud.revoke()
    out, err = run("group", "status", "cnots", "--now", archive="lab", code=9)
    assert "sent          2\n" in out and err.startswith("qarchive: 2 jobs could not be asked about: ")


@pytest.mark.filterwarnings("ignore")
def test_ctrl_c_leaves_jobs_in_a_cloud_under_way(cloud, tmp_path):
    cloud.hold()
    cloud.limit(1)
    environment = os.environ | cloud.save_config(tmp_path / "account") | {"PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "qarchive", "--archive", "lab", "group", "run", "cnots"]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with qarchive.open("lab") as archive:
        group = archive.group("cnots")
        while group.statuses() != ["QUEUED", "PREPARED"] and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
        message = "interrupted: 0 done, 1 job under way, 1 not sent; `qarchive group run cnots` goes on"
        assert (running.returncode, out, err.splitlines()[-1]) == (130, "", f"qarchive: {message}")
        cloud.release()
        assert run("group", "run", "cnots", archive="lab")[0].endswith("  circuits 0-1: done\n")
        assert len(cloud.jobs) == 2


@pytest.mark.filterwarnings("ignore:The SamplerV2 class is deprecated")
def test_a_session_in_which_jobs_were_sent_is_closed_once(tmp_path):
    import qiskit_ibm_runtime as runtime
    from ibm_server import IBMServer
    from qiskit import generate_preset_pass_manager

    with IBMServer(seed=1) as server:
        environment = os.environ | server.save_account(tmp_path) | {"PYTHONWARNINGS": "ignore"}
        with qarchive.open("lab") as archive:
            backend = archive.wrap(server.service()).backend("ibm_alpha")
            session = runtime.Session(backend=backend)
            with archive.context(group="sweep"):
                isa = generate_preset_pass_manager(1, backend=backend).run(circuit("one"))
                server.wait(runtime.SamplerV2(mode=session).run([isa], shots=8).job_id())
        assert server.sessions[session.session_id].state != "closed"
        command = [sys.executable, "-m", "qarchive", "--archive", "lab", "group", "close", "sweep"]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert (found.returncode, found.stdout) == (0, f"{session.session_id}  closed\n")
        assert server.sessions[session.session_id].state == "closed"
