"""Repair: what is damaged comes back byte for byte where anybody has it, and is named where nobody has."""

import errno
import json
import os
import shutil

import building
import pytest
from click.testing import CliRunner

from qarchive import archive as facade
from qarchive import check, copies, disk, pack, repair
from qarchive.cli import main
from qarchive.errors import BadInput, CannotWrite
from qarchive.index import Query
from qarchive.locks import replacing
from qarchive.repair import Repaired
from qarchive.store import Store

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"
REGIONS = ("header", "data", "records", "footer", "trailer")


@pytest.fixture
def lab(store, monkeypatch):
    """A closed archive with a sealed pack of three jobs and an open one of two, which hold no blob twice; its jobs."""
    jobs = []
    for number in range(5):
        jobs.append(building.build(number, created=number))
        store.commit(jobs[-1].blobs, durable=True)
        if number == 2:
            with monkeypatch.context() as patch:
                patch.setattr(pack, "SEAL_SIZE", 1)
                store._seal()
    store.index.refresh()
    store.close()
    return store, jobs


@pytest.fixture
def backup(lab, folder):
    """A copy of the whole archive."""
    shutil.copytree(lab[0].path, folder / "backup")
    return folder / "backup"


def packs(store):
    """(the sealed pack, the open one)."""
    return sorted(store.packs.glob("*.pack"), key=lambda path: pack.read_seal(path) is None)


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 16
    path.write_bytes(content)


def place(path, region, number=1):
    """A byte in a region of a commit, or in the trailer."""
    commits = [part for part in pack.scan(path) if type(part) is pack.Commit]
    commit = commits[number]
    frames = sorted({entry.frame for entry in commit.entries})
    end = commit.offset + commit.length
    last = commits[-1].offset + commits[-1].length
    return {"header": commit.offset + 30, "data": frames[0] + 20, "records": frames[-1] + 20, "footer": end - 5,
            "trailer": last + 40}[region]  # fmt: skip


def whole(store, jobs):
    """That an archive is sound, and gives back all that was written."""
    again = Store.open(store.path)
    report = check.verify(again, deep=True)
    assert (report.findings, building.lacking(again, jobs), building.dangling(again)) == ([], [], [])
    again.close()


def test_a_sound_archive_is_left_as_it_is(lab):
    store, jobs = lab
    before = {path: path.read_bytes() for path in store.packs.iterdir()}
    assert repair.repair(store) == Repaired()
    assert {path: path.read_bytes() for path in store.packs.iterdir()} == before and not store.quarantine.exists()


@pytest.mark.parametrize("index", ["kept", "deleted"])
@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("which", ["sealed", "open"])
def test_a_flip_in_any_region_is_undone_from_another_archive(lab, backup, which, region, index):
    store, jobs = lab
    path = packs(store)[which == "open"]
    if (which, region) == ("open", "trailer"):
        region = "footer"
    number = 1 if which == "sealed" else 0
    held = path.read_bytes()
    flip(path, place(path, region, number))
    damaged = path.read_bytes()
    if index == "deleted":
        shutil.rmtree(store.path / "index")
    done = repair.repair(store, [backup])
    if which == "open" and region == "header" and index == "deleted":
        # Nothing says any more which records stood there: what others refer to is restored, and a merge brings the rest.
        assert not done.damaged and (store.quarantine / path.name).read_bytes() == damaged
        with facade.open(store.path) as archive:
            archive.merge(backup)
        whole(store, jobs)
        return
    assert (done.packs, done.lost, done.left) == ([path.name], [], {})
    assert (store.quarantine / path.name).read_bytes() == damaged != held and not path.exists()
    whole(store, jobs)
    assert repair.repair(store) == Repaired()


def test_what_was_good_beside_the_damage_is_kept_without_any_source(lab):
    store, jobs = lab
    path, _ = packs(store)
    for region in ("header", "footer", "trailer"):
        flip(path, place(path, region, 0))
        done = repair.repair(store)
        assert (done.packs, done.restored, done.damaged) == ([path.name], 0, False)
        whole(store, jobs)
        path = next(found for found in store.packs.glob("*.pack") if found != packs(store)[1])


def test_what_nobody_has_is_named_with_its_jobs_and_stays_missing(lab):
    store, jobs = lab
    path, _ = packs(store)
    flip(path, place(path, "data"))
    lost = sorted(entry.digest.hex() for entry in repair._listed(path)[0].values() if copies._blob(store, entry.digest) is None)
    assert lost
    done = repair.repair(store)
    concerned = sorted(job.id.hex() for job in (jobs[1], jobs[4]))  # they share their configuration
    assert (done.packs, done.restored, done.lost, done.jobs) == ([path.name], 0, lost, concerned)
    assert done.damaged
    report = check.verify(store, deep=True)
    assert building.kinds(report) == {"missing"} and sorted(finding.where for finding in report.findings) == lost
    again = repair.repair(store)
    assert (again.packs, again.lost) == ([], lost)


def test_what_is_missing_comes_later_from_a_source(lab, backup):
    store, jobs = lab
    path, _ = packs(store)
    flip(path, place(path, "data"))
    missing = len(repair.repair(store).lost)
    done = repair.repair(store, [backup])
    assert (done.packs, done.restored, done.damaged) == ([], missing, False)
    whole(store, jobs)


@pytest.mark.parametrize("known", [True, False])
def test_a_pack_that_is_gone_comes_back_as_far_as_it_is_known(lab, backup, known):
    store, jobs = lab
    packs(store)[1].unlink()
    if not known:
        shutil.rmtree(store.path / "index")
    done = repair.repair(store, [backup])
    assert not done.damaged
    whole(store, jobs if known else jobs[:3])


def test_a_truncated_pack_comes_back(lab, backup):
    store, jobs = lab
    path, _ = packs(store)
    os.truncate(path, place(path, "data"))
    assert not repair.repair(store, [backup]).damaged
    with facade.open(store.path) as archive:
        archive.merge(backup)
        assert archive.verify(deep=True).damaged is False
    assert building.lacking(Store.open(store.path), jobs) == []


def test_a_bundle_is_a_source(lab, folder):
    store, jobs = lab
    with facade.open(store.path) as archive:
        archive.export(folder / "all.qar", [job.id.hex() for job in jobs])
    path, _ = packs(store)
    flip(path, place(path, "data"))
    flip(path, place(path, "records", 2))
    done = repair.repair(store, [folder / "all.qar"])
    assert (done.packs, done.damaged) == ([path.name], False)
    whole(store, jobs)


def test_another_pack_of_the_archive_is_a_source(lab):
    store, jobs = lab
    path, _ = packs(store)
    copy = store.packs / f"{'ab' * 16}.pack"
    blobs = [blob for job in jobs[:3] for blob in job.blobs]
    with repair._Written(store.packs, None, pack.pack_id(copy)) as written:
        for blob in {blob.digest: blob for blob in blobs}.values():
            written.add(blob)
        written.finish()
    flip(path, place(path, "data"))
    done = repair.repair(store)
    assert (done.packs, done.damaged) == ([path.name], False) and done.restored
    whole(store, jobs)


def test_a_dry_run_says_the_same_and_changes_nothing(lab, backup):
    store, jobs = lab
    path, _ = packs(store)
    flip(path, place(path, "data"))
    before = {found: found.read_bytes() for found in store.path.rglob("*") if found.is_file() and "index" not in found.parts}
    said = repair.repair(store, [backup], dry_run=True)
    assert {
        found: found.read_bytes() for found in store.path.rglob("*") if found.is_file() and "index" not in found.parts
    } == before
    assert repair.repair(store, [backup]) == said and said.restored


@pytest.mark.parametrize("region", ["header", "data", "records", "footer", "trailer"])
@pytest.mark.parametrize("number", [0, 1])
def test_what_came_from_elsewhere_stays_foreign(folder, lab, number, region):
    source, jobs = lab
    with facade.open(source.path) as archive:
        archive.export(folder / "all.qar", [job.id.hex() for job in jobs])
        origin = archive.id
    with facade.open(folder / "mine") as mine:
        mine.import_(folder / "all.qar")
    [path] = (folder / "mine" / "packs").glob("*.pack")
    commits = [part for part in pack.scan(path) if type(part) is pack.Commit]
    flip(path, place(path, region, min(number, len(commits) - 1)))
    store = Store.open(folder / "mine")
    done = repair.repair(store, [folder / "all.qar"])
    assert done.packs == [path.name] and not done.damaged
    whole(store, jobs)
    assert {each for job in jobs for each in store.index.origins(job.id)} <= {origin, ""}
    store.close()


def test_a_first_blob_that_is_damaged_gives_way_to_one_that_names_nobody(folder, lab):
    source, jobs = lab
    with facade.open(source.path) as archive:
        archive.export(folder / "all.qar", [job.id.hex() for job in jobs])
    with facade.open(folder / "mine") as mine:
        mine.import_(folder / "all.qar")
    [path] = (folder / "mine" / "packs").glob("*.pack")
    first = next(pack.scan(path)).entries[0]
    flip(path, first.frame + first.stored // 2)
    shutil.rmtree(folder / "mine" / "index")
    store = Store.open(folder / "mine")
    repair.repair(store, [folder / "all.qar"])
    assert store.index.origins(jobs[0].id) == [""]
    store.close()


def test_a_pack_that_somebody_writes_to_is_left_and_named(lab, backup):
    store, jobs = lab
    _, path = packs(store)
    writer = Store.open(store.path)
    writer.prepare()
    assert writer._lease.path == path
    flip(path, place(path, "data", 0))
    done = repair.repair(store, [backup])
    assert done.left == {path.name: "a process writes to it; repair it when that has ended"} and done.damaged and path.exists()
    writer.close()
    assert not repair.repair(store, [backup]).damaged
    whole(store, jobs)


def test_only_one_process_repairs(lab):
    store, _ = lab
    with replacing(store.path), pytest.raises(BadInput) as caught:
        repair.repair(Store.open(store.path))
    assert str(caught.value) == f"{store.path}: is being repacked or repaired by another process; wait for it to end"


def test_an_archive_is_no_source_of_itself(lab):
    store, _ = lab
    with pytest.raises(BadInput) as caught:
        repair.repair(store, [store.path])
    reason = "is this archive itself; name another one, or a bundle; what is here is looked at anyway"
    assert str(caught.value) == f"{store.path}: {reason}"


def test_the_command_says_what_was_done_and_ends_with_5_where_something_stays_lost(lab, backup):
    store, _ = lab
    path, _ = packs(store)

    def run(*words):
        found = CliRunner().invoke(main, ["--archive", str(store.path), "repair", *words])
        return found.exit_code, found.output

    assert run() == (0, "qarchive: nothing to repair: no blob is damaged or missing\n")
    flip(path, place(path, "data"))
    listed = repair._listed(path)[0]
    bad = sorted(entry.digest.hex() for entry in listed.values() if copies._blob(store, entry.digest) is None)
    good = len(listed) - len(bad)
    store.close()
    anew = f"1 damaged pack anew, with {good} good blobs; the damaged file"
    restored = f"would restore {len(bad)} blobs\n"
    assert run("--dry-run", "--from", str(backup)) == (0, f"would write {anew} would be in quarantine/\n{restored}")
    code, said = run()
    lost = "".join(f"lost: {digest}\n" for digest in bad)
    assert code == 5 and said.startswith(f"wrote {anew} is in quarantine/\n{lost}")
    hint = "--from names archives or bundles that may have them"
    assert f"{len(bad)} blobs could not be restored: of 2 jobs or groups; {hint}\n" in said
    assert run("--from", str(backup)) == (0, f"restored {len(bad)} blobs\n")
    code, said = run("--json")
    assert code == 0 and json.loads(said)["schema"] == "qarchive/repair/1" and json.loads(said)["damaged"] is False


@pytest.mark.parametrize("step", range(6))
def test_a_full_disk_leaves_all_as_it_was(lab, backup, monkeypatch, step):
    store, jobs = lab
    path, _ = packs(store)
    flip(path, place(path, "data"))
    left = [step]
    written, synced = disk.append, disk.sync

    def full(call):
        def instead(*arguments):
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= 1
            return call(*arguments)

        return instead

    with monkeypatch.context() as patch:
        patch.setattr(disk, "append", full(written))
        patch.setattr(disk, "sync", full(synced))
        try:
            repair.repair(store, [backup])
        except CannotWrite as error:
            assert error.reason == "the disk is full"
    assert not list(store.packs.glob("*.import"))
    assert not repair.repair(store, [backup]).damaged
    whole(store, jobs)


@pytest.mark.parametrize("step", range(0, 24 if TORTURE else 12, 1 if TORTURE else 2))
def test_a_repair_that_is_killed_is_gone_on_with(lab, backup, step):
    store, jobs = lab
    path, opened = packs(store)
    flip(path, place(path, "data"))
    flip(opened, place(opened, "footer", 0))

    def task(tell):
        left = [step]

        def dying(call):
            def instead(*arguments, **options):
                if left[0] == 0:
                    os.kill(os.getpid(), 9)
                left[0] -= 1
                return call(*arguments, **options)

            return instead

        for name in ("append", "sync", "sync_folder", "create", "remove"):
            setattr(disk, name, dying(getattr(disk, name)))
        os.rename = dying(os.rename)
        repair.repair(Store.open(store.path), [backup])

    building.Child(task).wait()
    found = Store.open(store.path)
    assert {bytes.fromhex(row.id) for row in found.index.rows(Query(), 100)} >= {job.id for job in jobs}
    assert not repair.repair(found, [backup]).damaged
    found.close()
    whole(store, jobs)
    assert not list(store.packs.glob("*.import")) and len(list(store.packs.glob("*.pack"))) == 2
