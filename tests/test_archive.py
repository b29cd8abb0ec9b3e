"""The facade: opening, labels, references, listings; on real runs of Aer where something has to run."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.jobs import utils

import qarchive
from qarchive import config
from qarchive.errors import Ambiguous, BadInput, NotFinished, NotFound


def bell(name="bell"):
    circuit = QuantumCircuit(2, 2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        yield archive


@pytest.fixture
def backend(archive):
    return archive.wrap(AerSimulator())


def run(backend, **options):
    backend.run(bell(), **{"shots": 10, "seed_simulator": 1, **options}).result()


def test_opening_makes_an_archive_once_and_then_opens_it(tmp_path):
    with qarchive.open(tmp_path / "lab") as first:
        identity = first.id
    with qarchive.open(tmp_path / "lab") as second:
        assert second.id == identity


def test_without_a_path_it_is_the_one_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv("QARCHIVE", str(tmp_path / "named"))
    with qarchive.open() as archive:
        assert archive.path == tmp_path / "named"


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(qarchive.QArchiveError) as caught:
        qarchive.open(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder that holds other files; name a new or an empty one"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_on_error_is_warn_or_raise(tmp_path, monkeypatch):
    with pytest.raises(BadInput) as caught:
        qarchive.open(tmp_path / "lab", on_error="ignore")
    assert str(caught.value) == "the setting on_error: cannot be 'ignore'; it is warn or raise"


def test_the_config_file_sets_on_error(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: tmp_path / "config")
    config.write("on_error", "raise")
    with qarchive.open(tmp_path / "lab") as archive:
        assert archive._recorder.on_error == "raise"


def test_every_kind_of_reference_finds_its_job(archive, backend):
    with archive.context(group="cnot"):
        run(backend, seed_simulator=1)
        run(backend, seed_simulator=2)
    run(backend, seed_simulator=3)
    newest, second, third = archive.jobs()
    assert archive.job("latest") == archive.job("@1") == newest
    assert archive.job("@2") == archive.job("cnot/2") == second
    assert archive.job("cnot/1") == archive.job(third.id) == archive.job(third.id[:8]) == archive.job(third.id.upper()) == third
    assert archive.job(third.provider_job) == third


@pytest.mark.parametrize(
    "reference, message",
    [
        ("abcd", "job 'abcd' is not in {path}; `qarchive list` shows what there is"),
        ("abc", "job 'abc' is not in {path}; `qarchive list` shows what there is; a prefix has 4 or more digits"),
        ("@9", "job @9 is not in {path}; it holds 1 jobs"),
        ("cnot/1", "job 'cnot/1' is not in {path}; `qarchive list` shows what there is"),
        ("", "job '' is not in {path}; `qarchive list` shows what there is"),
    ],
)
def test_a_reference_that_finds_nothing_says_what_to_do(archive, backend, reference, message):
    run(backend)
    if archive.job("latest").id.startswith("abcd"):
        run(backend)
    with pytest.raises(NotFound) as caught:
        archive.job(reference)
    assert str(caught.value) == message.format(path=archive.path)


def test_a_prefix_of_two_jobs_lists_them(archive, backend, monkeypatch):
    run(backend)
    first = archive.job("latest").id
    other = first[:6] + ("0" if first[6] != "0" else "1") + first[7:]
    monkeypatch.setattr(
        archive._store.index, "jobs_with_prefix", lambda prefix, limit: [bytes.fromhex(first), bytes.fromhex(other)]
    )
    with pytest.raises(Ambiguous) as caught:
        archive.job(first[:6])
    assert str(caught.value) == f"{first[:6]} fits 2 or more: {first[:16]}, {other[:16]}; give more digits"


def test_filters_choose(archive, backend):
    with archive.context(tags=["a", "b"], group="g"):
        run(backend)
    with archive.context(tags=["b"]):
        run(backend)
    run(backend)
    count = {
        filters: len(archive.jobs(**dict(filters)))
        for filters in (
            (("tag", "a"),),
            (("tag", "b"),),
            (("tag", "c"),),
            (("group", "g"),),
            (("status", "DONE"),),
            (("status", "ERROR"),),
            (("provider", "aer"),),
            (("provider", "ibm"),),
            (("backend", "aer_simulator"),),
            (("kind", "simulator"),),
            (("kind", "mock"),),
            (("tag", "b"), ("group", "g")),
            (("limit", 2),),
        )
    }
    assert list(count.values()) == [1, 2, 0, 1, 3, 0, 3, 0, 3, 3, 0, 1, 2]
    job = archive.job("latest")
    assert len(archive.jobs(input=str(job.record["input"]))) == 3


def test_times_bound_the_creation_and_know_their_zone(archive, backend):
    run(backend)
    created = archive.job("latest").created
    assert created.tzinfo == UTC and abs(created - datetime.now(UTC)) < timedelta(minutes=5)
    hour = timedelta(hours=1)
    assert len(archive.jobs(since=created - hour, until=created + hour)) == 1
    assert len(archive.jobs(since=created + hour)) == len(archive.jobs(until=created - hour)) == 0
    assert len(archive.jobs(since=(created - hour).astimezone(timezone(timedelta(hours=9))))) == 1
    assert len(archive.jobs(since=(created - hour).strftime("%Y-%m-%dT%H:%M"))) == 1  # text without a zone is UTC
    assert len(archive.jobs(since="2h")) == 1 and len(archive.jobs(until="2h")) == 0


@pytest.mark.parametrize(
    "filters, message",
    [
        (
            {"status": "done"},
            (
                "the status 'done': does not exist; it is one of PREPARED, SENDING, QUEUED, RUNNING, PAUSED, UNKNOWN, "
                "REFUSED, CANCELLED, TIMED_OUT, ERROR, PARTIAL, DONE"
            ),
        ),
        ({"order": "up"}, "the order 'up': does not exist; it is newest or oldest"),
        ({"since": "yesterday"}, "since='yesterday': is no time; give an aware datetime, or text such as 2026-11-21T08:00 or 7d"),
        (
            {"since": datetime(2026, 1, 1)},
            (
                "since=datetime.datetime(2026, 1, 1, 0, 0): is no time; give an aware datetime, or text such as "
                "2026-11-21T08:00 or 7d"
            ),
        ),
        (
            {"since": "2026-11-21", "until": "2026-11-20"},
            (
                "since 2026-11-21T00:00:00.000000000Z and until 2026-11-20T00:00:00.000000000Z: leave no time between them; "
                "until is the later one"
            ),
        ),
        ({"input": "abcd"}, "input='abcd': is no digest; give its 64 hexadecimal digits"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(archive, filters, message):
    with pytest.raises(BadInput) as caught:
        archive.jobs(**filters)
    assert str(caught.value) == message


def test_listings_are_lazy_sequences(archive, backend):
    for seed in range(5):
        run(backend, seed_simulator=seed)
    jobs = archive.jobs()
    assert len(jobs) == 5
    assert [len(page) for page in jobs.pages(2)] == [2, 2, 1]
    assert [job for page in jobs.pages(2) for job in page] == list(jobs) == list(reversed(list(archive.jobs(order="oldest"))))
    assert jobs[0] == archive.job("latest") and jobs[-1] == archive.job("@5") and jobs[1:3] == list(jobs)[1:3]
    for bounds in ((None, 2), (1, None), (1, 9, 2), (-2, None), (None, -1), (3, 1), (None, None, -1), (0, 0)):
        assert jobs[slice(*bounds)] == list(jobs)[slice(*bounds)]
        assert archive.jobs(limit=3)[slice(*bounds)] == list(jobs)[:3][slice(*bounds)]
    with pytest.raises(ValueError, match="slice step"):
        jobs[::0]
    with pytest.raises(IndexError):
        jobs[5]
    frame = jobs.to_pandas()
    assert list(frame["id"]) == [job.id for job in jobs] and set(frame["status"]) == {"DONE"} and len(frame.columns) == 17
    assert len(archive.jobs(limit=0)) == 0 and list(archive.jobs(limit=0)) == []


def test_a_job_that_runs_has_no_result_yet_and_then_one(archive, backend):
    ahead = threading.Event()  # Aer runs one job at a time, and this one waits for us
    utils.DEFAULT_EXECUTOR.submit(ahead.wait)
    native = backend.run(bell(), shots=1)
    job = archive.record(native)
    try:
        assert job.status == "RUNNING"
        with pytest.raises(NotFinished) as caught:
            job.result()
        told = f"job {job.id[:12]} is RUNNING and has no result yet; `qarchive sync` sees whether it has ended"
        assert str(caught.value) == told
    finally:
        ahead.set()
        result = job.result(wait=True)
    assert result.to_dict() == native.result().to_dict()
    assert job.status == "DONE"


def test_a_result_is_there_as_soon_as_the_user_has_it(archive, backend):
    for seed in range(50):
        counts = backend.run(bell(), shots=10, seed_simulator=seed).result().get_counts()
        assert archive.job("latest").counts() == counts


def test_tags_are_a_list_and_params_can_be_stored(archive):
    with pytest.raises(BadInput) as caught:
        archive.context(tags="paper")
    assert str(caught.value) == "tags: is one text; give a list of tags"
    with pytest.raises(qarchive.errors.NotEncodable) as caught:
        archive.context(params={"x": [1, object()]})
    assert str(caught.value) == "cannot be stored at x.1: a builtins.object"


def test_blobs_are_found_by_prefix_and_checked(archive, backend):
    run(backend)
    digest = str(archive.job("latest").record["input"])
    assert qarchive.codec.digest(archive.blob(digest[:12])).hex() == digest
    with pytest.raises(NotFound):
        archive.blob("zz")
    with pytest.raises(NotFound):
        archive.blob("00000000")


def test_the_seal_covers_all_that_the_job_reaches_and_nothing_that_comes_later(archive, backend):
    run(backend)
    job = archive.job("latest")
    seal = job.seal
    run(backend)
    assert archive.job("latest").seal != seal
    assert archive.job(job.id).seal == seal


def test_statistics_count_what_is_there(archive, backend):
    run(backend)
    run(backend, seed_simulator=2)
    found = archive.statistics()
    assert found["jobs"] == 2 and found["packs"] == 1
    assert found["kinds"]["record"]["blobs"] == 6 and found["kinds"]["qpy"]["blobs"] == 1
    assert found["bytes"] == sum(path.stat().st_size for path in (archive.path / "packs").iterdir())


def test_an_archive_is_read_in_another_process_without_aer_being_run(archive, backend, tmp_path):
    result = backend.run(bell(), shots=100, seed_simulator=5).result()
    archive.flush()
    code = f"""
import qiskit_aer.backends.aerbackend as aer
def run(*_, **__): raise AssertionError("Aer was run")
aer.AerBackend.run = run
import qarchive
job = qarchive.open({str(archive.path)!r}).job("latest")
print(job.result().get_counts(), job.counts(), job.input.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == f"{result.get_counts()} {dict(result.get_counts())} bell"


RUN = """
import errno, sys
import qarchive
from qarchive import disk
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
qarchive.open(sys.argv[1]).close()
def refuse(path, shared=False):
    raise OSError(errno.EACCES, "Permission denied", str(path))
disk.create, real = refuse, disk.create
circuit = QuantumCircuit(1, name="kept")
circuit.measure_all()
archive = qarchive.open(sys.argv[1])
assert archive.wrap(AerSimulator()).run(circuit, shots=5).result().get_counts() == {"0": 5}
"""


def test_what_ran_while_the_archive_took_nothing_is_recorded_as_soon_as_it_does(tmp_path):
    code = "disk.create = real\nprint([job.counts() for job in archive.jobs(name='KEPT')])"
    done = subprocess.run([sys.executable, "-c", RUN + code, tmp_path / "lab"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[{'0': 5}]\n"), done.stderr
    assert done.stderr.count("a job is not yet recorded: cannot write") == 1


def test_what_was_never_taken_is_said_at_the_end(tmp_path):
    done = subprocess.run([sys.executable, "-c", RUN, tmp_path / "lab"], capture_output=True, text=True)
    assert done.returncode == 0 and "outcomes of the last jobs are not recorded: cannot write" in done.stderr


def test_a_backend_is_found_as_listings_print_it(archive, backend):
    run(backend)
    for name in ("aer:aer_simulator", "aer:*", "*", "aer_simulator"):
        assert len(archive.jobs(backend=name)) == 1
    for name in ("ibm:aer_simulator", "aer:", ":aer_simulator", "a*:aer_simulator"):
        assert len(archive.jobs(backend=name)) == 0


def test_what_is_no_place_in_a_listing_says_how_far_it_goes(archive, backend):
    with archive.context(group="sweep"):
        run(backend)
        run(backend)
    with archive.context(group="one"):
        run(backend)
    gone = archive.job("one/1").id
    for reference, told in {
        "@0": f"job @0 is not in {archive.path}; they are counted from @1, the latest",
        "sweep/3": f"job 3 is not in the group sweep of {archive.path}; it holds 2 jobs, which are counted from 1",
        "one/0": f"job 0 is not in the group one of {archive.path}; it holds one job, which is counted from 1",
        "nope/1": f"job 'nope/1' is not in {archive.path}; `qarchive list` shows what there is",
    }.items():
        with pytest.raises(NotFound) as caught:
            archive.job(reference)
        assert str(caught.value) == told
    archive.remove(gone)
    with pytest.raises(NotFound) as caught:
        archive.job(gone[:8])
    told = f"job '{gone[:8]}' is not in {archive.path}; it was removed; `qarchive rm --undo {gone[:8]}` lists it again"
    assert str(caught.value) == told
