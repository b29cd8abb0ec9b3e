"""`qarchive replay`: a script as it is, in processes of its own, against recordings, without a network and without writing."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import StatevectorSampler

import qarchive

ROOT = Path(qarchive.__file__).parent.parent
SITE = ROOT / "qarchive" / "replay" / "site"

# An analysis as anybody writes it: nothing of ours in it.
CIRCUIT = """
from qiskit import QuantumCircuit
from qiskit.primitives import StatevectorSampler

circuit = QuantumCircuit(6, name="whatever it is called today")
circuit.h(range(6))
circuit.measure_all()

def sample(shots=1000):
    return StatevectorSampler().run([circuit], shots=shots).result()[0].data.meas.get_counts()
"""


def uniform():
    circuit = QuantumCircuit(6)
    circuit.h(range(6))
    circuit.measure_all()
    return circuit


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder of one's own to work in, with no archive and no settings anywhere near."""
    for name in ("QARCHIVE", "QARCHIVE_DEBUG", "QARCHIVE_REPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f".{name.lower()}"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(path, counts of three equal runs) of an archive with a group "sweep" that holds them, and one run outside of it."""
    path = tmp_path_factory.mktemp("replayed") / "lab"
    with qarchive.open(path) as archive:
        sampler = archive.wrap(StatevectorSampler())
        with archive.context(group="sweep", tags=["paper"]):
            jobs = [sampler.run([uniform()], shots=1000) for _ in range(3)]
            counts = [job.result()[0].data.meas.get_counts() for job in jobs]
        sampler.run([uniform()], shots=7).result()
    assert counts[0] != counts[1] != counts[2]
    return path, counts


def packs(path):
    return {pack.name: hashlib.sha256(pack.read_bytes()).hexdigest() for pack in sorted((path / "packs").iterdir())}


def command(path, *words):
    return [sys.executable, "-m", "qarchive", "--archive", str(path), "replay", *map(str, words)]


def replay(path, *words, code=None, **options):
    """(exit code, stdout, stderr) of `qarchive replay` with these words; `code` is a script that Python is to run."""
    if code is not None:
        words = (*words, "--", sys.executable, "-c", textwrap.dedent(code))
    done = subprocess.run(command(path, *words), capture_output=True, text=True, **options)
    return done.returncode, done.stdout, done.stderr


# What is answered


def test_a_script_is_replayed_as_it_is_and_nothing_is_written(lab, tmp_path):
    path, counts = lab
    before = packs(path)
    script = tmp_path / "analyse.py"
    script.write_text(CIRCUIT + "import json, sys\nprint(json.dumps([sample(), sample()]))\nprint(sys.argv, input())\nsample(7)")
    words = ("sweep", "--", sys.executable, script, "--json", "--mode", "--")
    code, out, err = replay(path, *words, input="from stdin\n")
    first, second = out.splitlines()
    assert json.loads(first) == counts[:2]
    assert second == f"{[str(script), '--json', '--mode', '--']} from stdin"
    *_, error, summary = err.splitlines()
    with qarchive.open(path) as archive:
        nearest = archive.jobs(group="sweep")[0].id[:12]
    said = f"an execution on StatevectorSampler is not recorded in group sweep of {path}; the nearest is job {nearest}: "
    assert error == (
        f'qarchive.errors.NoRecording: {said}shots: 7, recorded 1000; `mode="missing"` runs and records what is not there'
    )
    assert (code, summary) == (1, "qarchive: 2 executions answered, 1 recording not used")
    assert packs(path) == before


def test_processes_that_it_starts_are_replayed_and_each_counts_for_itself(lab, tmp_path):
    path, counts = lab
    before = packs(path)
    script = tmp_path / "many.py"
    script.write_text(
        CIRCUIT
        + textwrap.dedent("""
        import json, multiprocessing, os
        def show(counts):
            print(json.dumps(counts), flush=True)
        if __name__ == "__main__":
            show(sample())
            if os.fork() == 0:
                show(sample())
                os._exit(0)
            os.wait()
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                show(pool.apply(sample))
        """)
    )
    code, out, err = replay(path, "sweep", "--json", "--", sys.executable, script)
    assert code == 0, err
    assert [json.loads(line) for line in out.splitlines()] == [counts[0], counts[1], counts[0]]
    summary = json.loads(err)
    assert summary.pop("processes") >= 2  # the script, the pool's, and its resource tracker; a fork goes on in its parent's name
    assert summary == {"schema": "qarchive/replay/1", "answered": 3, "ran": 0, "unused": 1}
    assert packs(path) == before


def test_what_a_script_says_to_its_archive_works_and_writes_nothing(lab):
    path, counts = lab
    before = packs(path)
    code, out, err = replay(
        path,
        "sweep",
        code=CIRCUIT
        + """
import qarchive
archive = qarchive.open()
assert qarchive.autolog() is not None
assert sample() == archive.jobs(group="sweep", order="oldest")[0].counts()
assert qarchive.autolog(False) is None
with archive.context(group="sweep", tags=["again"], params={"x": 1}):
    second = archive.wrap(StatevectorSampler()).run([circuit], shots=1000).result()[0].data.meas.get_counts()
print(second, len(archive.jobs()), len(archive.jobs(tag="again")))
with archive.paused():
    assert sum(sample(3).values()) == 3
archive.flush()
""",
    )
    assert (code, err) == (0, "qarchive: 2 executions answered, 1 recording not used\n")
    assert out == f"{counts[1]} 4 0\n"
    assert packs(path) == before


def test_missing_is_a_cache(tmp_path):
    path = tmp_path / "cache"
    with qarchive.open(path):
        pass
    code, first, err = replay(path, "new", "--mode", "missing", "--tag", "t", code=CIRCUIT + "print(sample())")
    assert (code, err) == (0, "qarchive: 0 executions answered, 1 run and recorded\n")
    before = packs(path)
    code, again, err = replay(path, "new", "--mode", "missing", "--tag", "t", code=CIRCUIT + "print(sample())")
    assert (code, err, again) == (0, "qarchive: 1 execution answered\n", first)
    assert packs(path) == before
    with qarchive.open(path) as archive:
        assert [job.labels for job in archive.jobs()] == [{"group": "new", "tags": ["t"]}]


# The network


def test_only_has_no_network(lab):
    path, _ = lab
    code, out, err = replay(
        path,
        code="""
        import os, socket
        def refused(call, *args):
            try:
                call(*args)
            except Exception as error:
                print(type(error).__mro__[1].__name__, error)
        there = socket.socket()
        there.bind(("127.0.0.1", 0))
        there.listen()
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        refused(socket.create_connection, ("example.org", 443))
        refused(socket.socket().connect, ("127.0.0.1", 443))
        refused(socket.socket().connect_ex, ("127.0.0.1", 443))
        refused(socket.socket(socket.AF_INET6).connect, ("::1", 443))
        refused(datagram.sendto, b"x", ("127.0.0.1", 53))
        refused(datagram.sendmsg, [b"x"], [], 0, ("127.0.0.1", 53))
        refused(socket.getaddrinfo, "example.org", 443)
        refused(socket.gethostbyname, "example.org")
        refused(socket.gethostbyaddr, "example.org")
        import urllib.request
        refused(urllib.request.urlopen, "http://example.org")
        one, other = socket.socketpair()
        one.sendall(b"here")
        assert other.recv(9) == b"here"
        unix = socket.socket(socket.AF_UNIX)
        unix.bind("there.sock")
        unix.listen()
        socket.socket(socket.AF_UNIX).connect("there.sock")
        assert socket.getaddrinfo("127.0.0.1", 1) and socket.getaddrinfo(None, 1) and socket.gethostbyname("localhost")
        """,
    )
    said = "QArchiveError a replay has no network, and {} was to be reached; what is asked for is not in the archive"
    places = ["example.org", "127.0.0.1:443", "127.0.0.1:443", "::1:443", *["127.0.0.1:53"] * 2, *["example.org"] * 4]
    assert (code, err) == (0, "qarchive: 0 executions answered, 4 recordings not used\n")
    assert out.splitlines() == [f"{said.format(place)}, or is never kept" for place in places]


def test_missing_has_one(lab):
    code = """
    import socket
    there = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(there.getsockname())
    """
    assert replay(lab[0], "--mode", "missing", code=code)[0] == 0


# What keeps a replay from starting


@pytest.mark.parametrize(
    ("words", "letter"),
    [(["-I"], "I"), (["-E", "x.py"], "E"), (["-BS"], "S"), (["-W", "error", "-X", "dev", "-I"], "I"), (["-Werror", "-sE"], "E")],
)
def test_a_python_that_would_not_replay_is_refused(lab, words, letter):
    said = f"qarchive: {sys.executable} -{letter}: starts without qarchive, and would run for real; leave -{letter} out\n"
    assert replay(lab[0], "--", sys.executable, *words) == (2, "", said)


def test_a_command_of_which_nothing_is_replayed_is_told(lab):
    said = (
        "qarchive: {} started no Python that replays, so whatever it ran, it ran for real; only Python is replayed, with its "
        "environment as it is, and without the options -E, -I and -S\n"
    )
    assert replay(lab[0], "--", "true") == (1, "", said.format("true"))
    assert replay(lab[0], "--", "sh", "-c", f"{sys.executable} -IS -c 'print(1)'; exit 3") == (3, "1\n", said.format("sh"))
    assert replay(lab[0], "--", "env", "-i", sys.executable, "-c", "") == (1, "", said.format("env"))


def test_a_python_without_qarchive_runs_nothing(lab, tmp_path):
    (tmp_path / "without" / "qarchive").mkdir(parents=True)
    (tmp_path / "without" / "qarchive" / "__init__.py").write_text("raise ImportError('No module named msgpack')")
    shell = f"PYTHONPATH={SITE}:{tmp_path / 'without'} {sys.executable} -c 'print(1)'; exit 0"
    said = (
        f"qarchive: {sys.executable} cannot import qarchive (No module named msgpack); install it there, too; the replay "
        "does not start, and nothing is run\n"
    )
    assert replay(lab[0], "--", "sh", "-c", shell) == (1, "", said)


def test_an_archive_that_is_gone_runs_nothing(lab, tmp_path):
    with qarchive.open(tmp_path / "other"):
        pass
    shell = f"rm -r {tmp_path / 'other'}; {sys.executable} -c 'print(1)'"
    code, out, err = replay(tmp_path / "other", "--mode", "missing", "--", "sh", "-c", shell)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"qarchive: .*; the replay does not start, and nothing is run\n", err), err


def test_an_sdk_that_cannot_be_replayed_ends_the_process(lab, tmp_path):
    (tmp_path / "perceval").mkdir()
    (tmp_path / "perceval" / "__init__.py").write_text("")  # and nothing of what there is to be replaced
    script = "print('first')\ntry: import perceval\nexcept BaseException: pass\nprint('never')"
    code, out, err = replay(lab[0], code=script, cwd=tmp_path)
    assert (code, out) == (1, "first\n")
    assert err.splitlines()[0].endswith("; perceval cannot be replayed, and nothing more is run")


def test_wrong_words_are_refused(lab, tmp_path):
    path, _ = lab
    for words, code, said in (
        (["sweep"], 2, "COMMAND: is missing; it follows `--`: qarchive replay GROUP -- python analyse.py"),
        (["--", "no-such-command"], 3, "the command 'no-such-command' is not in $PATH; give one that can be run"),
        (["swep", "--tag", "x", "--", sys.executable], 3,
         f"a recording with group swep and tag x is not in {path}; `qarchive list` shows what there is; --mode missing runs it"),
        (["sweep", "python", "x.py"], 2, "got unexpected extra arguments (python x.py); `qarchive replay --help` shows how"),
    ):  # fmt: skip
        assert replay(path, *words) == (code, "", f"qarchive: {said}\n")


# How it ends


def test_the_exit_code_is_the_commands(lab):
    assert replay(lab[0], code="raise SystemExit(42)")[0] == 42
    assert replay(lab[0], code="import os\nos.kill(os.getpid(), 9)")[0] == 128 + 9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_it_reaches_the_command(lab, number):
    code = """
    import signal, sys, time
    def ended(number, frame):
        print("told", number, flush=True)
        sys.exit(5)
    signal.signal(signal.SIGINT, ended)
    signal.signal(signal.SIGTERM, ended)
    print("ready", flush=True)
    time.sleep(60)
    """
    words = command(lab[0], "--", sys.executable, "-c", textwrap.dedent(code))
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert running.stdout.readline() == "ready\n"
    if number == signal.SIGINT:
        os.killpg(running.pid, number)  # as a terminal does
    else:
        running.send_signal(number)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (5, f"told {int(number)}\n")
    assert err == "qarchive: 0 executions answered, 4 recordings not used\n"


# What a process begins with


def test_the_sitecustomize_that_is_hidden_runs_as_well(lab, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import sys\nsys.told = (__name__, __file__)\nHERE = 1\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'own'}{os.pathsep}{ROOT}"}
    code, out, _ = replay(lab[0], code="import sys, sitecustomize\nprint(*sys.told, sitecustomize.HERE)", env=environment)
    assert (code, out) == (0, f"sitecustomize {tmp_path / 'own' / 'sitecustomize.py'} 1\n")


def test_no_sdk_is_imported_before_the_script_does_and_each_is_replayed_when_it_is(lab):
    code, out, err = replay(
        lab[0],
        code="""
        import sys
        sdks = ("qiskit", "qiskit_aer", "perceval", "pasqal_cloud", "pulser", "numpy")
        assert not set(sdks) & set(sys.modules)
        from qarchive.providers import hooks, registry
        import threading
        thread = threading.Thread(target=__import__, args=("pasqal_cloud",))
        thread.start()
        import pulser_simulation  # which imports Pulser's core before it is whole itself
        from qiskit.primitives import StatevectorSampler
        thread.join()
        replaced = set(hooks._replaced)
        for name in ("qiskit", "pasqal", "pulser"):
            provider = registry.named(name)
            wanted = {*provider.entry_points(), *(each[:2] for each in provider.replacements())}
            assert wanted and wanted <= replaced, wanted - replaced
        """,
    )
    assert code == 0, err


def test_the_package_that_is_built_has_the_sitecustomize():
    """The wheel takes the whole package: nothing in its settings leaves a folder out."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert settings == {"packages": ["qarchive"]}
    assert (SITE / "sitecustomize.py").is_file()
