"""An archive in a folder that several machines reach, or may reach: no leases, no lost jobs, no locks that keep nobody out.

Another machine is a process that finds other file systems mounted, and has another name, another boot and another cache.
"""

import errno
import fcntl
import os
import random
import socket
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import building
import platformdirs
import pytest

import qarchive
from qarchive import check, disk, filesystem, locks, owner, pack
from qarchive.bundles import adopting
from qarchive.errors import ArchiveWarning
from qarchive.locks import Lock
from qarchive.store import Store

LONG = os.environ.get("QARCHIVE_TORTURE") == "1"
ROOT = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard"


class Machine:
    """A machine on which some folders are mounts of a file system."""

    def __init__(self, folder: Path, name: str, kind: str, *mounted: Path):
        self.name, self.cache, self.boot = name, folder / f"cache of {name}", f"boot of {name}"
        self.mounts = folder / f"mounts of {name}"
        lines = [ROOT, "23 22 0:5 / /dev/shm rw - tmpfs tmpfs rw", f"24 22 0:6 / {_octal(self.cache)} rw - tmpfs tmpfs rw"]
        lines += [f"40 22 0:44 / {_octal(place)} rw,relatime shared:7 - {kind} server:/export rw" for place in mounted]
        self.mounts.write_text("\n".join(lines) + "\n")

    def enter(self, monkeypatch) -> None:
        """Be on this machine from now on."""
        monkeypatch.setattr(filesystem, "MOUNTS", self.mounts)
        monkeypatch.setattr(socket, "gethostname", lambda: self.name)
        monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: self.cache)
        monkeypatch.setattr(disk, "boot", lambda: self.boot)

    def run(self, task) -> building.Child:
        """A process on this machine."""

        def child(tell):
            with pytest.MonkeyPatch.context() as patch:
                self.enter(patch)
                task(tell)

        return building.Child(child)


@pytest.fixture
def server(folder):
    """Sees the archive on a disk of its own."""
    return Machine(folder, "server", "ext4")


@pytest.fixture
def client(folder):
    """Reaches the archive over the network."""
    return Machine(folder, "client", "nfs4", folder / "lab")


def _octal(path: Path) -> str:
    return str(path).replace(" ", "\\040")


@contextmanager
def _on(machine: Machine):
    with pytest.MonkeyPatch.context() as patch:
        machine.enter(patch)
        yield


# Which file systems are trusted


@pytest.mark.parametrize(("kind", "local"), [
    ("ext4", True), ("xfs", True), ("btrfs", True), ("zfs", True), ("tmpfs", True), ("overlay", True), ("fuseblk", True),
    ("nfs", False), ("nfs4", False), ("cifs", False), ("smb3", False), ("fuse.sshfs", False), ("9p", False), ("lustre", False),
    ("ceph", False), ("gpfs", False), ("beegfs", False), ("afs", False), ("virtiofs", False), ("fuse.rclone", False),
    ("fuse", False), ("", False), ("ext5", False),
])  # fmt: skip
def test_only_file_systems_that_are_one_machines_alone_are_trusted(folder, monkeypatch, kind, local):
    (folder / "lab").mkdir()
    Machine(folder, "here", kind, folder / "lab").enter(monkeypatch)
    assert filesystem.has_flock(folder / "lab") is local


def test_the_innermost_mount_counts_and_of_two_at_one_place_the_later(folder, monkeypatch):
    for name in ("lab/inner", "lab two", "labor"):
        (folder / name).mkdir(parents=True)
    (folder / "link").symlink_to(folder / "lab" / "inner")
    mounts = folder / "mounts"
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    places = {"lab": "nfs", "lab/inner": "xfs", "lab two": "cifs"}
    lines = [ROOT, f"30 22 0:9 / {folder}/labor rw master:3 propagate_from:2 - autofs auto rw"]
    lines += [f"31 22 0:4 / {_octal(folder / place)} rw - {kind} some:/where rw,addr=10.0.0.1" for place, kind in places.items()]
    lines += [f"39 30 0:9 / {folder}/labor rw - nfs4 a:/b rw"]
    mounts.write_text("\n".join(lines) + "\n")
    found = {name: filesystem.kind(folder / name) for name in ("lab", "lab/inner", "lab two", "labor", "link", "lab/none", ".")}
    assert found == {"lab": "nfs", "lab/inner": "xfs", "lab two": "cifs", "labor": "nfs4", "link": "xfs", "lab/none": "nfs",
                     ".": "ext4"}  # fmt: skip


def test_what_is_mounted_here_can_be_read(folder):
    assert filesystem.kind(Path("/proc/self")) == "proc"
    assert filesystem.kind(folder) in filesystem.LOCAL


def test_without_a_list_of_what_is_mounted_nothing_is_trusted(folder, monkeypatch):
    monkeypatch.setattr(filesystem, "MOUNTS", folder / "none")
    assert not filesystem.has_flock(folder)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL])
def test_a_flock_that_fails_is_none(folder, monkeypatch, number):
    def fails(fd, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    assert not filesystem.has_flock(folder)


def test_a_flock_that_is_always_granted_is_none(folder, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)
    assert not filesystem.has_flock(folder)


def test_a_folder_that_somebody_is_just_asking_about_has_flock(folder):
    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert filesystem.has_flock(folder)
    os.close(fd)


# Packs and the index


def test_on_a_network_each_session_leaves_a_sealed_pack_and_an_index_in_the_cache(folder, client, monkeypatch):
    client.enter(monkeypatch)
    jobs = [building.build(number) for number in range(3)]
    Store.create(folder / "lab").close()
    for number, job in enumerate(jobs):
        store = Store.open(folder / "lab")
        assert not store.shared and not store.index.open_packs()
        assert all(store.may_omit(part.digest) for part in jobs[number - 1].blobs) is False  # nothing is leased yet
        store.prepare()
        if number:
            assert all(store.may_omit(part.digest) for part in jobs[number - 1].blobs)
        store.commit(job.blobs, durable=True)
        store.close()
    assert len(list(store.packs.glob("*.pack"))) == 3
    assert not (folder / "lab" / "index").exists()
    assert store.index.file.is_relative_to(client.cache)
    assert {path.suffix for path in store.locks.iterdir()} == {"", ".owner"}
    again = Store.open(folder / "lab")
    assert building.lacking(again, jobs) == [] and check.verify(again, deep=True).findings == []
    again.close()


def test_a_cache_folder_that_several_machines_have_holds_an_index_for_each(folder, monkeypatch):
    """A home folder on the network: SQLite's own locks and memory do not reach beyond a machine."""
    machines = [Machine(folder, name, "nfs4", folder) for name in ("one", "two")]
    files = []
    for machine in machines:
        machine.cache = folder / "home" / "cache"
        machine.mounts.write_text(f"{ROOT}\n40 22 0:44 / {folder} rw - nfs4 server:/home rw\n")
        with _on(machine):
            store = Store.create(folder / "lab") if not files else Store.open(folder / "lab")
            store.commit(building.build(1).blobs, durable=True)
            store.close()
            files.append(store.index.file)
            assert Store.open(folder / "lab").index.file == files[-1]
    assert files[0] != files[1] and all(file.is_relative_to(folder / "home" / "cache") for file in files)


def test_whoever_sees_a_disk_of_its_own_does_not_resume_what_another_machine_may_be_writing(folder, server, client):
    """The server's flock is free, for it never hears of the client's process, which lives."""
    with _on(server):
        first = Store.create(folder / "lab")
        assert first.shared
        first.commit(building.build(1).blobs, durable=True)
        leased = first._lease.path
    jobs = [building.build(2), building.build(3)]
    with _on(client):
        elsewhere = Store.open(folder / "lab")
        elsewhere.commit(jobs[0].blobs, durable=True)
        path = elsewhere._lease.path
    with _on(server):
        second = Store.open(folder / "lab")
        assert not second.shared
        second.commit(building.build(4).blobs, durable=True)
        assert second._lease.path not in (path, leased)
        first.close()
        first.commit(building.build(5).blobs, durable=True)  # its lease was of the time before
        assert first._lease.path not in (path, leased)
    with _on(client):
        elsewhere.commit(jobs[1].blobs, durable=True)
        elsewhere.close()
    with _on(server):
        first.close()
        second.close()
        again = Store.open(folder / "lab")
        assert building.lacking(again, jobs) == [] and check.verify(again, deep=True).findings == []
        again.close()


def test_when_nothing_runs_the_locks_may_be_deleted_and_packs_are_resumed_again(folder, server, client):
    with _on(client):
        store = Store.create(folder / "lab")
        store.commit(building.build(1).blobs, durable=True)
        path = store._lease.path
        store._lease._leave()  # as by a process that was killed
    with _on(server):
        (folder / "lab" / "locks" / locks.NO_FLOCK).unlink()
        store = Store.open(folder / "lab")
        store.commit(building.build(2).blobs, durable=True)
        assert store.shared and store._lease.path == path
        assert owner.read(store.locks, path.name) is None
        store.close()


def test_whoever_knows_better_says_so_with_an_empty_file(folder):
    Store.create(folder / "lab").close()
    (folder / "lab" / "locks" / "no-flock").touch()
    store = Store.open(folder / "lab")
    assert not store.shared
    store.close()


def test_a_script_that_closes_nothing_leaves_a_sealed_pack(folder):
    """In a process of which every flock fails, as on a file system that has none."""
    code = """
import errno, fcntl, os, sys
def flock(fd, operation):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
fcntl.flock = flock
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import building
from qarchive.store import Store
store = Store.create(Path(sys.argv[1]))
store.commit(building.build(1).blobs, durable=False)
"""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
    command = [sys.executable, "-W", "error", "-c", code, str(folder / "lab"), str(Path(__file__).parent)]
    subprocess.run(command, check=True, env=environment)
    [path] = (folder / "lab" / "packs").glob("*.pack")
    assert pack.read_seal(path) is not None
    assert not (folder / "lab" / "index").exists() and list((folder / "cache" / "qarchive").iterdir())


def test_a_forked_child_has_a_pack_and_a_note_of_its_own(folder, client, monkeypatch):
    client.enter(monkeypatch)
    store = Store.create(folder / "lab")
    store.commit(building.build(1).blobs, durable=False)

    def work(tell):
        store.commit(building.build(2).blobs, durable=True)
        tell(f"{store._lease.name} {owner.read(store.locks, store._lease.name).process}")
        store.close()

    child = building.Child(work)
    [told], code = child.wait()
    name, process = told.split()
    assert (code, int(process)) == (0, child.pid) and name != store._lease.name
    assert owner.read(store.locks, store._lease.name).process == os.getpid()
    store.close()
    assert store.index.open_packs() == [] and len(building.listed(store)) == 2
    store.close()


def test_an_archive_is_made_once_by_many_processes_of_a_network(folder, client):
    def make(tell):
        with qarchive.open(folder / "lab") as archive:
            tell(archive.id)

    children = [client.run(make) for _ in range(6)]
    told = [child.wait() for child in children]
    assert len({line for lines, _ in told for line in lines}) == 1 and [code for _, code in told] == [0] * 6
    assert [path.name for path in (folder / "lab" / "locks").iterdir()] == [locks.NO_FLOCK]


def test_what_another_machine_has_written_is_seen_though_attributes_are_remembered(folder, server, client):
    """Of a file that was looked at a network file system tells what it was then, until it is opened: what another machine has
    just sent would be sent again."""
    remembered: dict[str, os.stat_result] = {}

    def stat(path, *, real=os.stat, **options):
        if options or not str(path).endswith((".pack", "packs")):
            return real(path, **options)
        return remembered.setdefault(str(path), real(path))

    def opened(path, *arguments, real=os.open, **options):
        remembered.pop(str(path), None)
        return real(path, *arguments, **options)

    jobs = [building.build(number) for number in range(3)]
    with _on(server):
        local = Store.create(folder / "lab")
        local.commit(jobs[0].blobs, durable=True)
    with _on(client), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", stat)
        patch.setattr(os, "open", opened)
        store = Store.open(folder / "lab")
        assert building.listed(store) == [jobs[0].id]
        for number in (1, 2):
            local.commit(jobs[number].blobs, durable=True)
            assert set(building.listed(store)) == {job.id for job in jobs[: number + 1]}
        store.close()
    local.close()


# Whether a writer is gone


def _attempt(job: building.Built) -> bytes:
    return job.records[-1].digest


@pytest.mark.parametrize("sealed", [False, True])
def test_a_writer_on_this_machine_is_known_to_live_or_to_be_gone(folder, client, sealed, monkeypatch):
    client.enter(monkeypatch)
    store = Store.create(folder / "lab")
    job = building.build(1, status="RUNNING")
    reader, writer = os.pipe()

    def work(tell):
        mine = Store.open(folder / "lab")
        mine.commit(job.blobs, durable=True)
        if sealed:
            mine.close()
        os.write(writer, b"written")
        time.sleep(600)

    child = building.Child(work)
    os.read(reader, 7)
    assert (store.writer_lives(_attempt(job)), store.writer_is_gone(_attempt(job))) == (True, False)
    child.kill()
    while store.writer_lives(_attempt(job)):
        time.sleep(0.001)
    assert store.writer_is_gone(_attempt(job))  # though nobody has waited for it
    child.wait()
    assert (store.writer_lives(_attempt(job)), store.writer_is_gone(_attempt(job))) == (False, True)
    store.close()


def test_of_a_writer_on_another_machine_nothing_can_be_told(folder, server, client):
    job = building.build(1, status="RUNNING")
    with _on(server):
        local = Store.create(folder / "lab")
        local.commit(building.build(2, status="RUNNING").blobs, durable=True)
    with _on(client):
        store = Store.open(folder / "lab")
        store.commit(job.blobs, durable=True)
        [other] = [digest for digest in building.listed(store) if digest != job.id]
        assert not store.writer_lives(other) and not store.writer_is_gone(other)
        assert not store.writer_lives(job.id) and not store.writer_is_gone(job.id)
    with _on(server):
        third = Store.open(folder / "lab")
        assert not third.writer_lives(job.id) and not third.writer_is_gone(job.id)
        assert third.writer_lives(other) and not third.writer_is_gone(other)
        local.close()
        assert third.writer_is_gone(other) and not third.writer_lives(other)
        third.close()
        store.close()


def test_another_process_with_the_number_of_one_that_ended_is_not_taken_for_it(monkeypatch):
    here = owner.current()
    assert here.runs() is True
    assert owner.Owner(**vars(here) | {"started": "1"}).runs() is False
    assert owner.Owner(**vars(here) | {"started": ""}).runs() is None
    assert owner.Owner(**vars(here) | {"view": "another container's"}).runs() is None
    assert owner.Owner(**vars(here) | {"boot": ""}).runs() is None


@pytest.mark.parametrize(("machine", "host", "told"), [("0" * 32, "here", False), ("0" * 32, "there", None), ("", "here", None)])
def test_a_process_from_before_the_machine_was_started_again_is_gone(monkeypatch, machine, host, told):
    before = owner.Owner("here", machine, "an earlier boot", "", 1, "1")
    monkeypatch.setattr(owner, "_machine", lambda: machine)
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert before.runs() is told


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"{}", b"\xff", b'{"host": 1}', b"[" * 100_000])
def test_a_note_that_cannot_be_read_tells_nothing(folder, client, monkeypatch, content):
    client.enter(monkeypatch)
    store = Store.create(folder / "lab")
    job = building.build(1, status="RUNNING")
    store.commit(job.blobs, durable=True)
    (store.locks / f"{store._lease.name}.owner").write_bytes(content)
    other = Store.open(folder / "lab")
    assert not other.writer_lives(job.id) and not other.writer_is_gone(job.id)
    other.close()
    store.close()


# Locks


def test_locks_of_two_machines_keep_each_other_out(folder, server, client):
    """A server that comes to a lock only after the client has written to the folder uses the client's kind of lock."""
    root, counter = folder / "lab", folder / "counter"
    with _on(client):
        Store.create(root).close()
        with Lock(root, "import"):
            pass
    counter.write_text("0")

    def count(tell):
        for _ in range(25):
            with Lock(root, "import"):
                number = int(counter.read_text())
                time.sleep(0.0005)
                counter.write_text(str(number + 1))

    children = [machine.run(count) for machine in (server, client, server, client)]
    assert [child.wait()[1] for child in children] == [0, 0, 0, 0]
    assert counter.read_text() == "100"


def test_a_lock_that_was_got_while_another_machine_came_is_left_for_one_that_it_sees(folder, server, monkeypatch):
    server.enter(monkeypatch)
    Store.create(folder / "lab").close()
    place = folder / "lab" / "locks"

    def flock(fd, operation, real=fcntl.flock):
        if os.readlink(f"/proc/self/fd/{fd}").endswith("import.lock"):
            locks.announce(place)
        return real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(folder / "lab", "import")
    lock.acquire()
    assert (place / "import.soft").exists()
    lock.release()
    lock.release()
    assert not (place / "import.soft").exists()


def test_a_lock_of_a_process_that_was_killed_here_is_taken_over(folder, client):
    with _on(client):
        Store.create(folder / "lab").close()

    def hold(tell):
        lock = Lock(folder / "lab", "import")
        lock.acquire()
        os._exit(9)

    assert client.run(hold).wait() == ([], 9)
    assert (folder / "lab" / "locks" / "import.soft").exists()
    with _on(client), warnings.catch_warnings():
        warnings.simplefilter("error")
        with Lock(folder / "lab", "import"):
            pass


def test_a_lock_that_another_machine_left_is_waited_for_until_the_user_deletes_it(folder, client, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE_S", 0.02)
    with _on(client):
        Store.create(folder / "lab").close()
        left = folder / "lab" / "locks" / "import.soft"
        left.write_text("4711\nelsewhere\n123\n")
        told = []

        def show(message, *_, **__):
            told.append(str(message))
            left.unlink()

        with warnings.catch_warnings():
            warnings.simplefilter("always", ArchiveWarning)
            monkeypatch.setattr(warnings, "showwarning", show)
            with Lock(folder / "lab", "import"):
                pass
    assert told == [f"waiting for {left}, which process 4711 on elsewhere holds; if that process has ended, delete the file"]


@pytest.mark.parametrize("machine", ["server", "client"])
def test_a_lock_is_not_waited_for_where_that_is_not_wanted(folder, machine, request, monkeypatch):
    request.getfixturevalue(machine).enter(monkeypatch)
    Store.create(folder / "lab").close()
    one, other = Lock(folder / "lab", "repack"), Lock(folder / "lab", "repack")
    assert one.acquire(wait=False) and not other.acquire(wait=False)
    one.release()
    assert other.acquire(wait=False)
    other.release()


def test_two_machines_take_bundles_in_at_the_same_time(folder, server, client):
    jobs = [building.build(number) for number in range(8)]
    with qarchive.open(folder / "from") as archive:
        for number, job in enumerate(jobs):
            archive._store.commit(job.blobs, durable=True)
            archive.export(folder / f"{number}.qar", [job.id.hex()])
    with _on(client):
        store = Store.create(folder / "lab")
        locks.announce(store.locks)
        store.close()

    def take(numbers, tell):
        mine = Store.open(folder / "lab")
        for number in numbers:
            adopting.adopt(mine, folder / f"{number}.qar")
        mine.close()

    children = [server.run(lambda tell: take(range(0, 8, 2), tell)), client.run(lambda tell: take(range(1, 8, 2), tell))]
    assert [child.wait()[1] for child in children] == [0, 0]
    with _on(server):
        again = Store.open(folder / "lab")
        assert building.lacking(again, jobs) == [] and check.verify(again, deep=True).findings == []
        again.close()


# Two machines at once


def _work(root: Path, seed: float, most: int, count: int, tell) -> None:
    """Write, at `most` so many jobs a session, until somebody puts an end to it; `count` is a file that grows by a byte a job."""
    chance = random.Random(seed)
    for _ in range(1_000_000):
        store = Store.open(root)
        for _ in range(chance.randrange(most)):
            job = building.build(chance.randrange(20), size=chance.choice((60, 600)))
            durable = chance.random() < 0.5
            store.commit(job.blobs, durable)
            tell(job.id.hex())
            os.write(count, b".")
        if chance.random() < 0.9:
            store.close()


def test_two_machines_write_at_once_and_are_killed_and_nothing_is_lost(folder, server, client, monkeypatch):
    monkeypatch.setattr(pack, "SEAL_SIZE", 8_000)
    chance = random.Random(4)
    root, told = folder / "lab", []
    with _on(server):
        Store.create(root).close()
    count = os.open(folder / "count", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for _ in range(20 if LONG else 3):
        children = [machine.run(lambda tell, seed=chance.random(), most=most: _work(root, seed, most, count, tell))
                    for machine, most in ((server, 5), (client, 40), (server, 5), (client, 40))]  # fmt: skip
        enough = os.fstat(count).st_size + chance.randrange(20, 100)
        while os.fstat(count).st_size < enough:
            time.sleep(0.001)
        for child in children:
            child.kill()
        told += [line for child in children for line in child.wait()[0]]
    os.close(count)
    expected = [bytes.fromhex(line) for line in told]
    views = []
    for machine in (server, client):
        with _on(machine):
            store = Store.open(root)
            found = building.listed(store)
            assert set(expected) <= set(found) and len(set(found)) == len(found)
            assert building.dangling(store) == []
            assert building.kinds(check.verify(store, deep=True)) <= {"tail"}
            views.append((found, building.everything(store)))
            store.close()
    assert views[0] == views[1]
    with _on(server):  # and it goes on
        store = Store.open(root)
        job = building.build(1)
        store.commit(job.blobs, durable=True)
        store.close()
        assert building.lacking(Store.open(root), [job]) == []
