"""Remotes in a folder: what is pushed, pulled and fetched, by several at once, and by those who are killed or lied to."""

import json
import os
import signal
from pathlib import Path

import pytest
from building import Child, build, lacking

import qarchive
from qarchive import codec, disk, pack, records
from qarchive.errors import Ambiguous, BadInput, CannotWrite, Damaged, NotFound, Unreachable
from qarchive.remotes import pulling, pushing
from qarchive.remotes.folder import Folder
from qarchive.store import Store
from qarchive.values import Link

START = 10**18


def filled(path, jobs, remote=None):
    """An archive with these jobs, which knows a remote."""
    store = Store.create(path)
    for job in jobs:
        store.commit(job.blobs, durable=False)
    store.close()
    archive = qarchive.open(path)
    if remote is not None:
        archive.add_remote("disk", str(remote))
    return archive


def built(number, **options):
    return [build(i, created=START + i * 10**9, **options) for i in range(number)]


def empty(path, remote):
    return filled(path, (), remote)


def names(remote, ending=".pack"):
    return sorted(path.name for path in (remote / "packs").iterdir() if path.name.endswith(ending))


@pytest.fixture
def small_packs(monkeypatch):
    monkeypatch.setattr(pushing, "PACK_SIZE", 4000)


@pytest.fixture
def reads(monkeypatch):
    """Every read at the backend: (name, bytes)."""
    found, read = [], Folder.read

    def counted(self, name, start, length):
        data = read(self, name, start, length)
        found.append((name, len(data)))
        return data

    monkeypatch.setattr(Folder, "read", counted)
    return found


def test_what_is_pushed_is_pulled_as_it_was(folder):
    jobs = built(12)
    one, other = filled(folder / "one", jobs, folder / "disk"), empty(folder / "other", folder / "disk")
    pushed = one.push("disk")
    assert (pushed.jobs, pushed.sent, pushed.packs, pushed.problems) == (12, 12, 1, {})
    assert pushed.size == (folder / "disk/packs" / names(folder / "disk")[0]).stat().st_size
    pulled = other.pull("disk")
    assert (pulled.jobs, pulled.packs, pulled.size) == (sorted(job.id.hex() for job in jobs), 1, pushed.size)
    assert lacking(other._store, jobs) == []
    assert other.verify(deep=True).findings == []


def test_nothing_is_sent_or_taken_twice(folder, reads):
    jobs = built(6)
    one = filled(folder / "one", jobs, folder / "disk")
    one.push()
    before = {path: path.stat().st_mtime_ns for path in (folder / "disk/packs").iterdir()}
    reads.clear()
    assert (one.push().packs, one.pull().packs) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in (folder / "disk/packs").iterdir()} == before
    assert reads == []  # directories are kept beside the index


def test_the_directories_that_are_kept_may_be_deleted(folder):
    one = filled(folder / "one", built(3), folder / "disk")
    one.push()
    for kept in (folder / "one/index/remotes").iterdir():
        kept.unlink()
    assert one.push().packs == 0


def test_each_pack_holds_or_finds_there_all_that_it_refers_to(folder, small_packs):
    """Blobs go before what refers to them, so that a push that is killed leaves nothing that refers to what never came."""
    jobs = built(10, size=1000)
    one = filled(folder / "one", jobs, folder / "disk")
    assert one.push().packs > 3
    there = set()
    for path in sorted((folder / "disk/packs").glob("*.pack"), key=lambda path: path.stat().st_mtime_ns):
        commits = pack.sealed_commits(path, pack.id_inside(path))
        there |= {entry.digest for commit in commits for entry in commit.entries}
        for commit in commits:
            for entry in commit.entries:
                if entry.kind != pack.BUNDLE:
                    links = codec.links(codec.decode(one._store.get(entry.digest)))
                    assert {link.digest for link in links} <= there


def test_a_job_added_later_is_sent_without_what_is_there(folder):
    jobs = built(2, size=4000)
    one = filled(folder / "one", jobs[:1], folder / "disk")
    first = one.push()
    one._store.commit(jobs[1].blobs, durable=True)
    second = one.push()
    assert (second.sent, second.packs) == (1, 1)
    assert second.blobs == len({blob.digest for blob in jobs[1].blobs} - {blob.digest for blob in jobs[0].blobs}) < first.blobs
    other = empty(folder / "other", folder / "disk")
    other.pull()
    assert lacking(other._store, jobs) == []


def test_thin_packs_are_taken_in_an_order_that_works(folder, small_packs):
    """Whatever the times of the files say: copying a remote may have changed them."""
    jobs = built(8, size=1500)
    filled(folder / "one", jobs, folder / "disk").push()
    paths = sorted((folder / "disk/packs").glob("*.pack"), key=lambda path: path.stat().st_mtime_ns)
    assert len(paths) > 3
    for age, path in enumerate(paths):
        os.utime(path, ns=(START - age * 10**9,) * 2)
    other = empty(folder / "other", folder / "disk")
    assert len(other.pull().jobs) == 8
    assert lacking(other._store, jobs) == []
    assert list((folder / "other/packs").glob("*.import")) == []


def test_of_chosen_jobs_only_these_are_sent(folder):
    jobs = built(4)
    one = filled(folder / "one", jobs, folder / "disk")
    assert one.push("disk", [jobs[2].id.hex()]).sent == 1
    other = empty(folder / "other", folder / "disk")
    assert other.pull().jobs == [jobs[2].id.hex()]


def test_two_archives_share_one_remote(folder, small_packs):
    jobs = built(9, size=1000)
    one, two = filled(folder / "one", jobs[:6], folder / "disk"), filled(folder / "two", jobs[3:], folder / "disk")
    assert (one.push().sent, two.push().sent) == (6, 3)
    for archive in (one, two):
        archive.pull()
        assert lacking(archive._store, jobs) == []
        assert archive.push().packs == 0


def test_groups_go_along(folder):
    one = filled(folder / "one", built(1), folder / "disk")
    one.group("vqe")
    one.flush()
    assert one.push().groups == 1
    other = empty(folder / "other", folder / "disk")
    assert len(other.pull().groups) == 1
    assert [group.name for group in other.groups()] == ["vqe"]


def test_removals_stay_where_they_were_made(folder):
    jobs = built(3)
    one, other = filled(folder / "one", jobs, folder / "disk"), empty(folder / "other", folder / "disk")
    one.push()
    gone = pack.Blob(pack.RECORD, *_encoded(records.removal_record(job=Link(jobs[0].id))))
    one._store.commit([gone], durable=True)
    assert len(one.jobs()) == 2
    assert (one.push().packs, one.pull().packs, len(one.jobs())) == (0, 0, 2)
    assert len(other.pull().jobs) == 3
    assert one.fetch_from("disk", jobs[0].id.hex()).id == jobs[0].id.hex()  # who asks for it gets it back
    assert len(one.jobs()) == 3


def _encoded(value):
    data = codec.encode(value)
    return codec.digest(data), data


def test_fetching_one_job_moves_only_its_bytes(folder, reads):
    jobs = built(200, size=3000)
    one = filled(folder / "one", jobs, folder / "disk")
    one.push()
    other = empty(folder / "other", folder / "disk")
    reads.clear()
    job = other.fetch_from("disk", jobs[77].id.hex()[:16])
    moved = sum(size for _, size in reads)
    assert (job.id, len(other.jobs())) == (jobs[77].id.hex(), 1)
    assert lacking(other._store, [jobs[77]]) == []
    assert moved < sum(len(blob.data) for blob in jobs[77].blobs) + 4000
    reads.clear()
    other.fetch_from("disk", jobs[77].id.hex())
    assert sum(size for _, size in reads) < moved
    assert len(list((folder / "other/packs").glob("*.pack"))) == 1


def test_a_fetched_job_brings_its_parent_and_what_came_later(folder, small_packs):
    first = build(1, created=START, size=2000)
    child = build(2, created=START + 1, size=2000)
    record = codec.decode(child.blobs[5].data) | {"parent": Link(first.id)}
    digest, data = _encoded(record)
    one = filled(folder / "one", [first], folder / "disk")
    one._store.commit([*child.blobs[:5], pack.Blob(pack.RECORD, digest, data)], durable=True)
    one.push()
    digest_later, later = _encoded(records.attachment_record(job=Link(digest), name="note", value=Link(first.blobs[0].digest)))
    one._store.commit([pack.Blob(pack.RECORD, digest_later, later)], durable=True)
    assert one.push().packs == 1
    other = empty(folder / "other", folder / "disk")
    other.fetch_from("disk", digest.hex())
    assert sorted(job.id for job in other.jobs()) == sorted([digest.hex(), first.id.hex()])
    assert other._store.get(digest_later) == later


@pytest.mark.parametrize("wrong", ["missing", "cut", "garbled", "of another"])
def test_without_a_look_up_file_a_job_is_found_all_the_same(folder, wrong):
    jobs = built(5)
    filled(folder / "one", jobs, folder / "disk").push()
    [name] = names(folder / "disk", ".places")
    path = folder / "disk/packs" / name
    data = path.read_bytes()
    path.unlink()
    if wrong != "missing":
        path.write_bytes({"cut": data[:100], "garbled": data[:64] + bytes(len(data) - 64), "of another": bytes(len(data))}[wrong])
    other = empty(folder / "other", folder / "disk")
    if wrong == "garbled":  # it says that there is no job: nobody can tell, but a pull finds it
        with pytest.raises(NotFound):
            other.fetch_from("disk", jobs[3].id.hex())
        assert len(other.pull().jobs) == 5
    else:
        assert other.fetch_from("disk", jobs[3].id.hex()).id == jobs[3].id.hex()


def test_the_next_pusher_makes_a_look_up_file_that_is_missing(folder):
    one = filled(folder / "one", built(5), folder / "disk")
    one.push()
    [name] = names(folder / "disk", ".places")
    path = folder / "disk/packs" / name
    data = path.read_bytes()
    path.unlink()
    assert one.push().packs == 0
    assert path.read_bytes() == data


def test_ids_that_fit_none_or_several_jobs(folder):
    jobs = built(3)
    filled(folder / "one", jobs, folder / "disk").push()
    other = empty(folder / "other", folder / "disk")
    with pytest.raises(NotFound) as missing:
        other.fetch_from("disk", "0" * 12)
    assert str(missing.value) == f"job {'0' * 12} is not in {folder / 'disk'}; `qarchive pull` takes all that it holds"
    with pytest.raises(BadInput) as odd:
        other.fetch_from("disk", "latest")
    assert str(odd.value) == ("'latest': is no id of a job, nor the beginning of one; give 4 or more of its digits; "
                              "a remote knows jobs by nothing else")  # fmt: skip
    several = built(700)
    many = filled(folder / "many", several, folder / "disk2")
    many.push()
    found = sorted(job.id.hex()[:4] for job in several)
    twice = next((a for a, b in zip(found, found[1:]) if a == b), None)
    if twice is not None:
        other.add_remote("disk2", str(folder / "disk2"))
        with pytest.raises(Ambiguous):
            other.fetch_from("disk2", twice)


def test_several_pushers_at_once_send_everything_once(folder, small_packs):
    jobs = built(30, size=1200)
    filled(folder / "one", jobs, folder / "disk").close()

    def task(tell):
        with qarchive.open(folder / "one") as archive:
            tell(str(archive.push("disk").packs))

    children = [Child(task) for _ in range(3)]
    sent = [int(child.wait()[0][0]) for child in children]
    assert sum(sent) == len(names(folder / "disk"))
    held = [entry.digest for path in (folder / "disk/packs").glob("*.pack")
            for commit in pack.sealed_commits(path, pack.id_inside(path)) for entry in commit.entries
            if entry.kind != pack.BUNDLE]  # fmt: skip
    assert len(held) == len(set(held))
    other = empty(folder / "other", folder / "disk")
    other.pull()
    assert lacking(other._store, jobs) == []


def test_a_killed_pusher_loses_nothing_and_the_next_one_goes_on(folder, small_packs):
    jobs = built(30, size=1200)
    one = filled(folder / "one", jobs, folder / "disk")

    def task(tell):
        put, number = Folder.put, 0

        def counted(self, name, data):
            nonlocal number
            number += 1
            if number == 7:
                (self.packs / ".coming-left").write_bytes(data[:100])
                os.kill(os.getpid(), signal.SIGKILL)
            return put(self, name, data)

        Folder.put = counted
        with qarchive.open(folder / "one") as archive:
            archive.push("disk")

    Child(task).wait()
    left = names(folder / "disk")
    assert len(left) == 3
    os.utime(folder / "disk/packs/.coming-left", (1, 1))
    one.push("disk")
    assert set(left) < set(names(folder / "disk"))
    assert not (folder / "disk/packs/.coming-left").exists()
    other = empty(folder / "other", folder / "disk")
    other.pull()
    assert lacking(other._store, jobs) == []


def test_a_pull_that_breaks_off_is_gone_on_with(folder, small_packs, monkeypatch):
    jobs = built(12, size=1200)
    filled(folder / "one", jobs, folder / "disk").push()
    other = empty(folder / "other", folder / "disk")
    read = Folder.read
    downloaded = []

    def broken(self, name, start, length):
        if start == 0 and name.endswith(".pack") and length > 1000:
            downloaded.append(name)
            if len(downloaded) == 3:
                raise Unreachable(self.url, "the line is dead")
        return read(self, name, start, length)

    sizes = {path.name: path.stat().st_size for path in (folder / "disk/packs").glob("*.pack")}
    monkeypatch.setattr("qarchive.remotes.directory._GUESS", (800, 800))  # so that trailers are told from whole packs
    monkeypatch.setattr(Folder, "read", broken)
    with pytest.raises(Unreachable) as error:
        other.pull()
    assert str(error.value) == (
        f"{folder / 'disk'} cannot be reached: the line is dead; run it again; it goes on where it stopped"
    )
    assert len(downloaded) == 3
    assert len(other.pull().jobs) > 0
    assert sorted(downloaded) == sorted([*sizes, downloaded[2]])
    assert lacking(other._store, jobs) == []


def test_a_killed_pull_keeps_what_it_took(folder, small_packs):
    jobs = built(12, size=1200)
    filled(folder / "one", jobs, folder / "disk").push()
    other = empty(folder / "other", folder / "disk")

    def task(tell):
        take, number = pulling.take, 0

        def counted(*arguments):
            nonlocal number
            number += 1
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(*arguments)

        pulling.take = counted
        with qarchive.open(folder / "other") as archive:
            archive.pull()

    assert Child(task).wait()[1] == -signal.SIGKILL
    came = len(other.jobs())
    assert len(list((folder / "other/packs").glob("*.pack"))) == 2
    assert other.verify(deep=True).findings == []
    assert len(other.pull().jobs) == 12 - came
    assert lacking(other._store, jobs) == []
    assert list((folder / "other/packs").glob("*.import")) == []


def test_a_secret_stays_at_home(folder):
    job = build(1, created=START)
    secret = pack.Blob("note", *_encoded({"header": "Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345"}))
    about = pack.Blob(pack.RECORD, *_encoded(records.attachment_record(job=Link(job.id), name="x", value=Link(secret.digest))))
    one = filled(folder / "one", [job], folder / "disk")
    one._store.commit([secret, about], durable=True)
    with pytest.raises(BadInput) as error:
        one.push()
    assert "holds what looks like a credential, and is not given away" in str(error.value)
    assert list((folder / "disk/packs").iterdir()) == []


def untouched(path):
    return sorted((each.name, each.stat().st_size) for each in (path / "packs").iterdir())


def rewritten(data):
    """Other bytes under the same name: a bit of the first frame flipped."""
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


@pytest.mark.parametrize(("change", "reason"), [
    (rewritten, "bytes that are not what was written; nothing of it is taken; get it again from where it came"),
    (lambda data: data[:-10], "is no whole pack; nothing of it is taken; get it again from where it came"),
    (lambda data: b"", "is no whole pack; nothing of it is taken; get it again from where it came"),
])  # fmt: skip
def test_a_pack_that_is_not_right_changes_nothing(folder, change, reason):
    filled(folder / "one", built(3), folder / "disk").push()
    [name] = names(folder / "disk")
    path = folder / "disk/packs" / name
    path.write_bytes(change(path.read_bytes()))
    other = empty(folder / "other", folder / "disk")
    before = untouched(folder / "other")
    with pytest.raises(Damaged) as error:
        other.pull()
    assert str(error.value).startswith(f"{folder / 'disk'}/packs/{name}")
    assert str(error.value).endswith(reason)
    assert untouched(folder / "other") == before


def test_a_pack_under_the_name_of_another_is_not_taken(folder):
    filled(folder / "one", built(3), folder / "disk").push()
    [name] = names(folder / "disk")
    os.rename(folder / "disk/packs" / name, folder / "disk/packs" / f"{'ab' * 32}.pack")
    other = empty(folder / "other", folder / "disk")
    with pytest.raises(Damaged) as error:
        other.pull()
    assert str(error.value) == (f"{folder / 'disk'}/packs/{'ab' * 32}.pack: has other content than its name says; "
                                "nothing of it is taken; get it again from where it came")  # fmt: skip
    assert untouched(folder / "other") == []


def test_a_pack_that_does_not_say_where_it_comes_from_is_not_taken(folder):
    """A pack of somebody's own archive, put there by hand."""
    jobs = built(2)
    store = Store.create(folder / "one")
    for job in jobs:
        store.commit(job.blobs, durable=True)
    store._seal()
    store.close()
    [own] = (folder / "one/packs").glob("*.pack")
    (folder / "disk/packs").mkdir(parents=True)
    seal = pack.read_seal(own)
    (folder / f"disk/packs/{seal.content.hex()}.pack").write_bytes(own.read_bytes())
    other = empty(folder / "other", folder / "disk")
    with pytest.raises(BadInput) as error:
        other.pull()
    assert "is a pack, and does not say where it comes from" in str(error.value)
    assert untouched(folder / "other") == []


def test_a_job_whose_bytes_are_not_right_is_not_fetched(folder):
    jobs = built(3)
    filled(folder / "one", jobs, folder / "disk").push()
    [name] = names(folder / "disk")
    path = folder / "disk/packs" / name
    [commit] = [commit for commit in pack.sealed_commits(path, pack.id_inside(path))
                if jobs[1].id in [entry.digest for entry in commit.entries]]  # fmt: skip
    data = bytearray(path.read_bytes())
    data[commit.offset + commit.length - 60] ^= 1
    path.write_bytes(data)
    other = empty(folder / "other", folder / "disk")
    with pytest.raises(Damaged):
        other.fetch_from("disk", jobs[1].id.hex())
    assert untouched(folder / "other") == []
    assert other.fetch_from("disk", jobs[2].id.hex()).status == "DONE"


def test_the_others_are_taken_where_one_is_not_right_and_a_push_mends_it(folder):
    jobs = built(3, size=1000)
    one = filled(folder / "one", jobs[:1], folder / "disk")
    for job in jobs[1:]:
        one.push()
        before = set(names(folder / "disk"))
        one._store.commit(job.blobs, durable=True)
    one.push()
    [last] = set(names(folder / "disk")) - before
    path = folder / "disk/packs" / last
    path.write_bytes(rewritten(path.read_bytes()))
    other = empty(folder / "other", folder / "disk")
    with pytest.raises(Damaged):
        other.pull()
    assert len(other.jobs()) == 2
    path.unlink()
    assert one.push().packs == 1
    assert len(other.pull().jobs) == 1
    assert lacking(other._store, jobs) == []


def test_a_pack_that_cannot_be_read_is_not_counted_as_sent(folder):
    jobs = built(3)
    one = filled(folder / "one", jobs, folder / "disk")
    one.push()
    [name] = names(folder / "disk")
    path = folder / "disk/packs" / name
    path.write_bytes(path.read_bytes()[:-10])
    two = filled(folder / "two", jobs, folder / "disk")
    report = two.push()
    assert (report.packs, report.problems) == (1, {f"{folder / 'disk'}/packs/{name}": "is no whole pack"})


def test_a_frame_that_would_unpack_to_too_much_is_not_fetched(folder, monkeypatch):
    jobs = built(2)
    filled(folder / "one", jobs, folder / "disk").push()
    other = empty(folder / "other", folder / "disk")
    monkeypatch.setattr("qarchive.remotes.fetching.MAX_FRAME", 100)
    with pytest.raises(BadInput) as error:
        other.fetch_from("disk", jobs[0].id.hex())
    assert "holds a frame that unpacks to more than 100 bytes" in str(error.value)
    assert untouched(folder / "other") == []


def test_odd_names_on_a_remote_are_passed_over(folder):
    jobs = built(2)
    one = filled(folder / "one", jobs, folder / "disk")
    one.push()
    for name in ("x.pack", "../x.pack".replace("/", "_"), "A" * 64 + ".pack", "ab" * 32 + ".pack.bak", ".hidden", "new\nline"):
        (folder / "disk/packs" / name).write_bytes(b"x")
    (folder / "disk/packs" / ("cd" * 32 + ".pack")).mkdir()
    assert one.push().problems == {}
    assert len(empty(folder / "other", folder / "disk").pull().jobs) == 2


def test_a_listing_without_an_end_is_given_up(folder, monkeypatch):
    monkeypatch.setattr("qarchive.remotes.directory.MAX_OBJECTS", 3)
    one = filled(folder / "one", built(1), folder / "disk")
    for number in range(4):
        (folder / f"disk/packs/{number}").touch()
    with pytest.raises(BadInput) as error:
        one.push()
    assert str(error.value) == f"{folder / 'disk'}: lists more than 3 files in packs/; is it a remote of ours?"


def test_a_pack_beyond_the_limit_is_not_taken(folder, monkeypatch):
    filled(folder / "one", built(2), folder / "disk").push()
    other = empty(folder / "other", folder / "disk")
    monkeypatch.setattr("qarchive.remotes.directory.MAX_PACK", 100)
    with pytest.raises(Damaged):
        other.pull()
    assert untouched(folder / "other") == []


def test_a_share_that_is_not_mounted(folder):
    one = filled(folder / "one", built(2), folder / "mnt/disk")
    os.rename(folder / "mnt/disk/packs", folder / "mnt/elsewhere")
    for call in (one.push, one.pull, lambda: one.fetch_from("disk", "abcdef")):
        with pytest.raises(BadInput) as error:
            call()
        assert str(error.value) == (f"{folder / 'mnt/disk'}: is not there, or holds no remote; is it mounted? "
                                    "`qarchive remote add` makes a new one")  # fmt: skip
    assert list((folder / "mnt/disk").iterdir()) == []


def test_a_share_that_is_full_says_so(folder, monkeypatch):
    one = filled(folder / "one", built(2), folder / "disk")
    append = disk.append

    def full(fd, data):
        if str(folder / "disk") in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(28, "No space left on device")
        append(fd, data)

    monkeypatch.setattr(disk, "append", full)
    with pytest.raises(CannotWrite) as error:
        one.push()
    assert f"cannot write {folder / 'disk'}" in str(error.value)
    assert "the disk is full; free some space and run it again" in str(error.value)
    assert list((folder / "disk/packs").iterdir()) == []


def test_a_full_disk_where_packs_are_put_together_says_so(folder, monkeypatch):
    one = filled(folder / "one", built(2), folder / "disk")

    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "append", full)
    with pytest.raises(CannotWrite) as error:
        one.push()
    assert "the disk is full; free some space and run it again" in str(error.value)
    assert list((folder / "disk/packs").iterdir()) == []


def test_a_share_that_is_read_only_says_so(folder, monkeypatch):
    one = filled(folder / "one", built(2), folder / "disk")

    def read_only(path, *_, **__):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("qarchive.remotes.folder.disk.create", read_only)
    with pytest.raises(CannotWrite) as error:
        one.push()
    assert str(error.value).endswith("the file system is read-only; choose a place that can be written")


def test_a_disk_without_links_is_written_all_the_same(folder, monkeypatch):
    def link(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    one = filled(folder / "one", built(2), folder / "disk")
    assert (one.push().packs, one.push().packs) == (1, 0)
    assert len(list((folder / "disk/packs").iterdir())) == 2


def test_a_thin_export_leaves_out_what_a_remote_holds(folder):
    jobs = built(3)
    one = filled(folder / "one", jobs[:2], folder / "disk")
    one.push()
    one._store.commit(jobs[2].blobs, durable=True)
    thin, whole = one.export(folder / "thin.qar", thin="disk"), one.export(folder / "whole.qar")
    assert (thin.omitted > 0, thin.blobs < whole.blobs) == (True, True)
    other = empty(folder / "other", folder / "disk")
    other.pull()
    other.import_(folder / "thin.qar")
    assert lacking(other._store, jobs) == []


def test_remotes_are_kept_by_name_and_for_their_owner_only(folder):
    archive = filled(folder / "one", ())
    assert archive.remotes() == {}
    assert archive.add_remote("disk", f"file://{folder}/disk") == str(folder / "disk")
    assert archive.add_remote("lab", "s3://bucket/a/b/?region=eu-west-1&endpoint=https://s3.example.org") == (
        "s3://bucket/a/b?endpoint=https://s3.example.org&region=eu-west-1"
    )
    file = folder / "one/remotes.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"format": 1, "remotes": archive.remotes()}
    assert archive.remove_remote("disk") == str(folder / "disk")
    assert list(archive.remotes()) == ["lab"]
    assert (folder / "disk/packs").is_dir()


_SECRET = "keep credentials in the environment (AWS_ACCESS_KEY_ID, ...) or in AWS's own files, and give the URL without"
_FORMS = "give a folder, file:///folder or s3://bucket/prefix"


@pytest.mark.parametrize(("name", "url", "message"), [
    ("a/b", "/x", "the name 'a/b': cannot be a remote's; use up to 64 letters, digits, `_`, `.` and `-`"),
    ("lab", "s3://key:secret@bucket/x", f"s3://bucket/x: holds credentials; {_SECRET}"),
    ("lab", "s3://bucket/x?aws_secret_access_key=s", f"s3://bucket/x: holds credentials (aws_secret_access_key); {_SECRET}"),
    ("lab", "s3://bucket/x?endpoint=http://k:s@h", f"s3://bucket/x: has an endpoint that holds credentials; {_SECRET}"),
    ("lab", "s3://bucket?colour=red",
     "s3://bucket: has an option colour that is not known; the options are endpoint, region, anonymous"),
    ("lab", "s3:///x", "s3:///x: names no bucket; give s3://bucket/prefix"),
    ("lab", "s3://bucket/../x", "s3://bucket/../x: has a prefix with an empty part, `.` or `..`; give s3://bucket/prefix"),
    ("lab", "ftp://me:pw@host/x", f"ftp://host/x: is of a kind ftp that is not known; {_FORMS}"),
    ("lab", "", f"the URL: is empty; {_FORMS}"),
])  # fmt: skip
def test_what_cannot_be_a_remote_is_refused(folder, name, url, message):
    archive = filled(folder / "one", ())
    with pytest.raises(BadInput) as error:
        archive.add_remote(name, url)
    assert str(error.value) == message
    assert not (folder / "one/remotes.json").exists()


def test_an_archive_is_no_remote(folder):
    archive = filled(folder / "one", ())
    with pytest.raises(BadInput) as error:
        archive.add_remote("me", str(folder / "one"))
    assert str(error.value) == (
        f"{folder / 'one'}: is an archive; `qarchive merge` takes in what it holds; a remote is a folder of its own"
    )


def test_a_remote_that_is_not_known_or_not_named(folder):
    archive = filled(folder / "one", ())
    with pytest.raises(BadInput) as none:
        archive.push()
    assert str(none.value) == "the remote: is not named, and there is none; `qarchive remote add NAME URL` adds one"
    for name in ("a", "b"):
        archive.add_remote(name, str(folder / name))
    with pytest.raises(BadInput) as several:
        archive.push()
    assert str(several.value) == "the remote: is not named, and there are 2 (a, b); name one"
    with pytest.raises(NotFound) as unknown:
        archive.pull("c")
    assert str(unknown.value) == f"a remote 'c' is not in {folder / 'one'}; there is a, b"
    with pytest.raises(BadInput) as taken:
        archive.add_remote("a", str(folder / "z"))
    assert str(taken.value) == f"the remote a: is there already ({folder / 'a'}); remove it first, or take another name"


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 1, "remotes": {"a/b": "x"}}', "[" * 9999])
def test_a_damaged_list_of_remotes_is_said_to_be_damaged(folder, text):
    archive = filled(folder / "one", ())
    (folder / "one/remotes.json").write_text(text)
    with pytest.raises(Damaged):
        archive.remotes()
    with pytest.raises(Damaged):
        archive.add_remote("disk", str(folder / "disk"))
    assert (folder / "one/remotes.json").read_text() == text


def test_the_places_of_a_pack_are_what_the_spec_says():
    text = (Path(__file__).parent.parent / "spec/remotes.md").read_text()
    for number in ("qarplace", "256 MiB", "16 MiB", "16 KiB", "41 bytes", "16 bytes"):
        assert number in text
