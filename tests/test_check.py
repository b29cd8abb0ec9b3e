"""Verify: it says what is wrong, where, and repairs nothing."""

import sqlite3
from contextlib import closing

import building
import pytest

from qarchive import check, codec, pack
from qarchive.check import Finding
from qarchive.database import Database
from qarchive.store import Store
from qarchive.values import Link


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_archive_has_no_findings_and_its_numbers_add_up(store, monkeypatch, deep):
    monkeypatch.setattr(pack, "SEAL_SIZE", 5000)
    jobs = [building.build(number) for number in range(8)]
    for job in jobs:
        store.commit(job.blobs, durable=False)
    store.flush()
    steps = []
    report = check.verify(store, deep, lambda *step: steps.append(step))
    assert (report.findings, report.damaged) == ([], False)
    assert report.packs == len(list(store.packs.iterdir()))
    assert report.size == sum(path.stat().st_size for path in store.packs.iterdir())
    assert report.commits == len(jobs)
    assert report.blobs == len({blob.digest for job in jobs for blob in job.blobs})
    assert report.records == len({blob.digest for job in jobs for blob in job.records})
    assert steps[-1] == (report.size, report.size) and sorted(steps) == steps and len(steps) == report.packs


def test_an_empty_archive_is_sound(store):
    report = check.verify(store, deep=True)
    assert (report.findings, report.packs, report.size) == ([], 0, 0)


def test_verify_changes_nothing_in_the_packs(store):
    store.commit(building.build(1).blobs, durable=True)
    [path] = store.packs.iterdir()
    path.write_bytes(path.read_bytes() + b"torn")
    before = path.read_bytes()
    check.verify(store, deep=True)
    assert path.read_bytes() == before and not store.quarantine.exists()


def test_a_cut_off_write_is_reported_and_is_no_damage(store):
    store.commit(building.build(1).blobs, durable=True)
    store.close()
    [path] = store.packs.iterdir()
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"torn")
    report = check.verify(store)
    assert report.findings == [Finding("tail", f"{path} at byte {size}", "4 bytes of a write that was cut off; "
                                       "the next writer moves them to quarantine/")]  # fmt: skip
    assert not report.damaged


def test_what_a_record_refers_to_and_is_nowhere_is_missing(store):
    job = building.build(1)
    gone = next(blob for blob in job.blobs if blob.kind == "circuit")
    store.commit([blob for blob in job.blobs if blob is not gone], durable=True)
    for deep in (False, True):
        report = check.verify(store, deep)
        assert report.findings == [Finding("missing", gone.digest.hex(), f"referred to by {job.id.hex()}")]
        assert report.damaged


def test_only_a_deep_verify_follows_links_in_other_blobs(store):
    inner = building.blob("device", {"calibration": Link(bytes(32))})
    store.commit([inner], durable=True)
    assert check.verify(store).findings == []
    assert check.verify(store, deep=True).findings == [Finding("missing", "00" * 32, f"referred to by {inner.digest.hex()}")]


def test_only_a_deep_verify_decodes_every_blob(store):
    wrong = pack.Blob("circuit", codec.digest(b"\xd9\x01a"), b"\xd9\x01a")  # text in a longer form than it needs
    store.commit([wrong], durable=True)
    assert check.verify(store).findings == []
    [finding] = check.verify(store, deep=True).findings
    assert finding.kind == "damage"
    assert finding.detail == f"circuit {wrong.digest.hex()}: not canonical msgpack: another encoding of the value exists"


def test_a_record_that_no_job_can_use_is_named_and_the_others_are_listed(store):
    job, wrong = building.build(1), building.blob(pack.RECORD, {"type": "job"})
    store.commit([*job.blobs, wrong], durable=True)
    assert building.listed(store) == [job.id]
    [finding] = check.verify(store, deep=True).findings
    assert (finding.kind, finding.detail) == ("wrong", f"record {wrong.digest.hex()}: a record of type 'job' without provider")


def test_withheld_records_are_reported_and_what_they_lack_is_not_missing(store):
    """A power cut took a commit and left the one behind it, which refers to what the first one brought."""
    first, second = building.build(1), building.build(1)
    store.commit(first.blobs, durable=False)
    store.commit(second.blobs, durable=False)
    path = store._lease.path
    early, late = pack.scan(path)
    store._lease.release()
    store._reset()
    content = path.read_bytes()
    path.write_bytes(bytes(early.length) + content[early.length :])
    again = Store.open(store.path)
    assert building.listed(again) == []
    report = check.verify(again, deep=True)
    detail = f"a record of job {second.id.hex()} that a power cut left without what it refers to"
    expected = {Finding("withheld", blob.digest.hex(), detail) for blob in second.records}
    expected.add(Finding("damage", f"{path} at byte 0", f"{early.length} bytes that are no commit"))
    assert set(report.findings) == expected and len(report.findings) == len(expected)
    again.commit(first.blobs, durable=True)  # what they lacked turns up
    assert building.lacking(again, [first, second]) == []
    assert again.index.withheld() == []
    again.close()


@pytest.mark.parametrize("change, table", [
    ("DELETE FROM jobs", "jobs"), ("DELETE FROM tags", "tags"), ("UPDATE blobs SET job = NULL", "blobs"),
    ("DELETE FROM blobs WHERE kind = 'circuit'", "blobs"), ("UPDATE blobs SET key = x'00' WHERE key NOT NULL", "blobs"),
])  # fmt: skip
def test_an_index_that_says_other_than_the_packs_is_reported(store, change, table):
    store.commit([*building.build(1, tags=["a"]).blobs, building.blob("circuit", 1, b"k" * 32)], durable=True)
    store.index.refresh()
    store.close()
    with closing(sqlite3.connect(store.index.file)) as db, db:
        db.execute(change)
    detail = f"the table {table} differs from what the packs say"
    assert check.verify(store, deep=True).findings == [Finding("index", str(store.index.file), detail)]
    assert check.verify(store).findings == []
    store.index.rebuild()
    assert check.verify(store, deep=True).findings == []


def test_what_sqlite_finds_wrong_with_the_index_is_reported(store):
    for number in range(40):
        store.commit(building.build(number).blobs, durable=False)
    store.index.refresh()
    store.close()
    content = bytearray(store.index.file.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    store.index.file.write_bytes(content)
    report = check.verify(store)
    assert report.findings and building.kinds(report) == {"index"}
    assert all(finding.where == str(store.index.file) for finding in report.findings)


def test_an_index_that_cannot_be_looked_at_is_no_damage(store, monkeypatch):
    store.commit(building.build(1).blobs, durable=True)
    store.index.refresh()

    def full(self, mode, file=None, real=Database._connect):
        if mode != "ro":
            return real(self, mode, file)
        error = sqlite3.OperationalError("disk I/O error")  # what SQLite says where there is no room for its -shm file
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(Database, "_connect", full)
    report = check.verify(store)
    said = "the index was not looked at (disk I/O error); free some room and look again"
    assert report.findings == [Finding("unchecked", str(store.index.file), said)]
    assert not report.damaged and report.commits == 1
