"""The corpus: what it writes is what the providers write, and reads back as that; the same numbers give the same jobs."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

import qarchive
from qarchive import check, codec
from qarchive.cli import main
from qarchive.providers.qiskit import circuits, ibm_snapshots, qpy
from qarchive.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import corpus  # noqa: E402  stands among the tools
from corpus.pool import Keeper  # noqa: E402

JOBS = 600


@pytest.fixture(scope="module")
def pool():
    return corpus.make_pool(small=True)


@pytest.fixture(scope="module")
def made(pool):
    return list(corpus.jobs(JOBS, pool=pool, small=True))


@pytest.fixture(scope="module")
def path(pool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "archive"
    corpus.fill(folder, JOBS, processes=2, small=True, pool=pool)
    return folder


def test_an_archive_holds_every_job_once_and_is_whole(path):
    with qarchive.open(path) as archive:
        assert len(archive.jobs()) == JOBS
        assert check.verify(archive._store, deep=True).findings == []


def test_all_kinds_of_jobs_are_there(path):
    with qarchive.open(path) as archive:
        found = list(archive.jobs())
        assert {job.provider for job in found} == {"aer", "ibm"}
        assert len({job.backend for job in found}) == 11
        statuses = Counter(job.status for job in found)
        assert statuses.keys() == {"DONE", "ERROR", "CANCELLED", "PREPARED", "QUEUED", "RUNNING"}
        assert statuses["DONE"] > 0.85 * JOBS
        assert [len(group) for group in archive.groups()] == [300]
        assert any(len(job.folded.attempts) == 2 for job in found[:200])
        assert any(job.attachments for job in found[:200])
        assert len(archive.jobs(tag="paper")) > 30


def test_counts_and_calibrations_read_back(path):
    with qarchive.open(path) as archive:
        for provider, phase in (("aer", []), ("ibm", ["submit"])):
            job = next(iter(archive.jobs(provider=provider, status="DONE", limit=1)))
            assert sum(job.counts(0).values()) == archive._store.value(bytes.fromhex(job.id))["shots"]
            assert [found.phase for found in job.calibrations] == phase
            assert job.result() is not None
        [calibration] = job.calibrations
        assert all(1e-6 < seconds < 1e-3 for seconds in calibration.qubits["T1"])


def test_a_circuit_at_other_angles_is_the_circuit_of_its_payload(made):
    job = next(job for job in made if job.provider == "aer" and len(job.ran[0].circuit.places)
               and job.ran[0].blobs != job.ran[0].circuit.blobs)  # fmt: skip
    structure, payload = job.ran[0].blobs
    found = qpy.load_circuit({"qpy": qarchive.values.Link(payload.digest)}, lambda link: codec.decode(payload.data))
    assert codec.encode(circuits.structure(found).value) == structure.data
    assert structure.digest != job.ran[0].circuit.blobs[0].digest


def test_a_calibration_is_stored_as_the_provider_stores_it(made):
    snapshots = {id(job.snapshot): job.snapshot for job in made if job.provider == "ibm"}.values()
    assert len({snapshot.measured_at for snapshot in snapshots}) > 10  # ten devices, some of them on two days
    for snapshot in list(snapshots)[::7]:
        keeper = Keeper()
        ibm_snapshots.put_properties(keeper, json.loads(snapshot.raw()))
        assert [blob.digest for blob in keeper.blobs] == [snapshot.template.digest, snapshot.calibration.digest]


def test_the_same_numbers_give_the_same_jobs(pool, tmp_path):
    ids, raw = [], []
    for name in ("one", "other"):
        store = Store.create(tmp_path / name)
        made = list(corpus.jobs(JOBS, 7, pool, small=True, only=range(300, 340)))
        ids.append([job.commit(store).digest for job in made])
        raw.append([job.raw for job in made])
        store.close()
    alone = corpus.jobs(JOBS, 7, pool, small=True, only=range(300, 340))
    assert ids[0] == ids[1]
    assert raw[0] == raw[1] == [job.raw for job in alone]


def test_raw_values_repeat_where_devices_and_circuits_do(made):
    found = [value for job in made[:300] for value in job.raw]
    assert {kind for kind, _ in found} == {"circuit", "backend", "config", "environment", "result", "record", "calibration",
                                           "parameters", "bits"}  # fmt: skip
    calibrations = [data for kind, data in found if kind == "calibration"]
    assert len(calibrations) > 60
    assert 10 <= len(set(calibrations)) <= 20  # of ten devices, each on a day or two


def test_the_command_lists_what_the_tool_has_made(path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--archive", str(path), "list", "--limit", "3"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) >= 4
