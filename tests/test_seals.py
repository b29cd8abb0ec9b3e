"""Seals: what they cover, that they can be made again without qarchive, and that what comes later undoes none."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from building import blob, build

import qarchive
from qarchive import codec, pack, records, seals
from qarchive.errors import Damaged, NotFinished, NotFound
from qarchive.values import Link, Timestamp

ROOT = Path(__file__).parent.parent
ARCHIVES = ROOT / "tests" / "data" / "archives"


def reader(*arguments):
    """tools/reader.py in an empty environment, so that it cannot find qarchive."""
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "tools" / "reader.py", *arguments], capture_output=True, text=True, env={}
    )
    return done.stdout, done.stderr, done.returncode


def read_only(name, tmp_path):
    return qarchive.open(shutil.copytree(ARCHIVES / name, tmp_path / name), create=False)


@pytest.fixture
def archive(folder):
    with qarchive.open(folder / "lab") as found:
        yield found


def put(archive, *blobs):
    archive._store.commit(list(blobs), durable=False)


def job_of(archive, built):
    put(archive, *built.blobs)
    return archive.job(built.id.hex())


def attempt_of(built):
    return next(each for each in built.records if codec.decode(each.data)["type"] == "attempt")


def test_a_seal_is_over_the_job_its_attempt_its_outcome_and_all_that_they_reach(archive):
    built = build(1)
    job = job_of(archive, built)
    links = [Link(digest) for digest in sorted(each.digest for each in built.blobs)]
    assert job.seal == hashlib.sha256(codec.encode(["seal", 1, links])).hexdigest()


@pytest.mark.parametrize("name", ["1-aer", "2-qiskit", "3-photons-atoms", "4-groups"])
def test_the_reader_makes_every_seal_again_without_qarchive(name, tmp_path):
    archive = read_only(name, tmp_path)
    told, _, code = reader(archive.path, "seal")
    *lines, last = [line.split("  ") for line in told.splitlines()]
    ended = [job for job in archive.jobs() if job.outcome]
    assert code == 0 and dict(lines) == {job.id: job.seal for job in ended} and len(lines) > 3
    assert last == ["together", seals.together(bytes.fromhex(job.seal) for job in ended).hex()]


def test_the_reader_makes_the_seal_of_a_group_again(tmp_path):
    archive = read_only("4-groups", tmp_path)
    subject = archive.subject("sweep")
    told, _, code = reader(archive.path, "seal", subject.id[:8])
    assert (code, told.splitlines()[-1]) == (0, f"together  {subject.seal.hex()}")
    assert len(told.splitlines()) == len(subject.ended) + 1 == 5
    one = subject.ended[0]
    assert reader(archive.path, "seal", one.id) == (f"{one.id}  {one.seal}\n", "", 0)
    message = "no group and no single job that has ended begins with 0000\n"
    assert reader(archive.path, "seal", "0000") == ("", message, 3)


def test_the_reader_says_where_a_blob_is_missing(archive):
    built = build(1)
    put(archive, *(each for each in built.blobs if each.kind != "config"))
    archive.flush()
    config = next(each for each in built.blobs if each.kind == "config").digest.hex()
    message = f"damaged: blob {config}, which job {built.id.hex()} refers to, is missing\n"
    assert reader(archive.path, "seal") == ("", message, 5)
    with pytest.raises(NotFound):
        _ = archive.job(built.id.hex()).seal


def test_a_job_that_has_not_ended_has_none(archive):
    job = job_of(archive, build(1, status="SENDING"))
    assert list(job.seals()) == []
    with pytest.raises(NotFinished) as caught:
        _ = job.seal
    assert str(caught.value) == f"job {job.id[:12]} is SENDING and has no result yet; `qarchive sync` sees whether it has ended"


def test_notes_attachments_signatures_and_later_calibrations_are_outside(archive):
    built = build(1)
    job = job_of(archive, built)
    before = job.seal
    job.attach("figure", b"a picture")
    about = {"job": Link(built.id), "attempt": Link(attempt_of(built).digest)}
    calibration = blob("calibration", {"t1_s": [1e-4], "device": "other"})
    later = records.calibration_record(**about, calibration=Link(calibration.digest), phase="retrieval", captured=Timestamp(1))
    signature = records.signature_record(job=Link(built.id), seal=bytes(32), signature="none")
    put(archive, calibration, blob(pack.RECORD, later), blob(pack.RECORD, signature))
    again = archive.job(job.id)
    assert len(again.history) == 6
    assert again.seal == before and list(again.seals()) == [bytes.fromhex(before)]


def test_what_comes_later_makes_a_new_seal_and_undoes_no_old_one(archive):
    built = build(1, status="ERROR")
    job = job_of(archive, built)
    had = {job.seal}
    about = {"job": Link(built.id), "attempt": Link(attempt_of(built).digest)}
    calibration = blob("calibration", {"t1_s": [1e-4], "device": "other"})
    put(archive, calibration, blob(pack.RECORD, records.calibration_record(
        **about, calibration=Link(calibration.digest), phase="run", captured=Timestamp(1))))  # fmt: skip
    had.add(archive.job(job.id).seal)
    put(archive, blob(pack.RECORD, records.sent_record(**about, provider_job="x")))
    had.add(archive.job(job.id).seal)
    result = blob("result", {"00": 5})
    put(archive, result, blob(pack.RECORD, records.outcome_record(
        **about, status="DONE", provider_status="", provider_job=None, result=Link(result.digest), volatile={}, error=None,
        usage={}, gaps=[])))  # fmt: skip
    had.add(archive.job(job.id).seal)
    further = blob(pack.RECORD, records.attempt_record(
        job=Link(built.id), number=2, backend=Link(calibration.digest), environment=None, calibration=None, gaps=[],
        local=True))  # fmt: skip
    put(archive, further, blob(pack.RECORD, records.outcome_record(
        job=Link(built.id), attempt=Link(further.digest), status="DONE", provider_status="", provider_job=None,
        result=Link(result.digest), volatile={}, error=None, usage={}, gaps=[])))  # fmt: skip
    last = archive.job(job.id)
    had.add(last.seal)
    every = [seal.hex() for seal in last.seals()]
    assert len(had) == 5 and had <= set(every)
    assert every[0] == last.seal
    assert len(every) == len(set(every)) == 2 * 4 + 1  # two outcomes of the first, with and without two records; the second


def test_many_records_beside_an_attempt_are_tried_only_together(archive):
    built = build(1)
    put(archive, *built.blobs)
    about = {"job": Link(built.id), "attempt": Link(attempt_of(built).digest)}
    put(archive, *(blob(pack.RECORD, records.sent_record(**about, provider_job=f"x{place}")) for place in range(9)))
    assert len(list(archive.job(built.id.hex()).seals())) == 1


def test_the_seal_of_several_jobs_does_not_depend_on_their_order():
    one, other = bytes([1]) * 32, bytes([2]) * 32
    expected = hashlib.sha256(codec.encode(["seals", 1, [one, other]])).digest()
    assert seals.together([other, one]) == seals.together([one, other, one]) == expected
    assert seals.together([one]) != one


def test_one_altered_byte_is_damage_and_never_another_seal(folder):
    with qarchive.open(folder / "lab") as archive:
        built = build(1, size=4000)
        put(archive, *built.blobs)
        archive.flush()
        file = next((archive.path / "packs").glob("*.pack"))
        half = file.stat().st_size // 2
        put(archive, *build(2).blobs)
        archive.flush()
        data = bytearray(file.read_bytes())
        data[half] ^= 1
        file.write_bytes(data)
        with pytest.raises(Damaged):
            _ = archive.job(built.id.hex()).seal
