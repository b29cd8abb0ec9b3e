"""Damage is never passed over: whatever is flipped, cut off, deleted or put there, no wrong value comes back."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import building
import platformdirs
import pytest
import zstandard

from qarchive import check, codec, disk, pack
from qarchive import identity as marker
from qarchive.errors import BadInput, CannotWrite, Damaged, NewerFormat, NoArchive, NotFound, QArchiveError
from qarchive.store import Store

COMPRESSOR = zstandard.ZstdCompressor(level=pack.LEVEL, write_checksum=True, write_content_size=True)
TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"


@pytest.fixture
def tiny(folder, monkeypatch):
    """A closed archive with a sealed pack of two commits and an open pack of three, with its index, and all that it says."""
    root = folder / "lab"
    store = Store.create(root)
    for number in range(4):
        store.commit(building.build(number, created=number, status=None, size=2, tags=["a"], group="g").blobs, durable=True)
        if number == 1:
            with monkeypatch.context() as patch:
                patch.setattr(pack, "SEAL_SIZE", 1)
                store._seal()
    store.commit(building.build(9, created=9, size=2, provider_job="ibm-1").blobs, durable=True)
    said = building.everything(store)
    store.close()
    file = root / "index" / "index.sqlite"
    with closing(sqlite3.connect(file)) as db:  # small pages, so that few of its bytes are empty
        db.executescript("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;")
    return root, said


def _packs(root) -> tuple[Path, Path]:
    """(the sealed pack, the open one)."""
    found = sorted((root / "packs").glob("*.pack"), key=lambda path: pack.read_seal(path) is None)
    assert len(found) == 2 and pack.read_seal(found[0]) and not pack.read_seal(found[1])
    return found[0], found[1]


def _flips(root, file: Path, said, step: int = 1):
    """(offset, verify's report or the error that said it, what else was said) for each byte of a file flipped."""
    content, kept = file.read_bytes(), {path: path.read_bytes() for path in (root / "index").iterdir() if path.suffix != ".lock"}
    chance = random.Random(1)
    for offset in range(chance.randrange(step), len(content), step):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << chance.randrange(8)
        file.write_bytes(flipped)
        report, again = None, None
        try:
            store = Store.open(root)
        except QArchiveError as error:
            yield offset, error, None
        else:
            for _ in range(2):  # what is said to be wrong with an index is mended when it is asked again
                try:
                    again = building.everything(store)
                    break
                except QArchiveError:
                    continue
            try:
                report = check.verify(store, deep=True)
            except QArchiveError as error:
                report = error
            if type(report) is check.Report and again != said and not report.findings:
                again = building.everything(store)  # mended meanwhile
            store.close()
            if again is not None:
                assert all(said[2][digest] == data for digest, data in again[2].items()), (
                    f"a wrong value after a flip at {offset}"
                )
            yield offset, report, again
        file.write_bytes(content)
        for path in (root / "index").iterdir():
            if path.suffix != ".lock" and path not in kept:
                path.unlink()
        for path, data in kept.items():
            path.write_bytes(data)


@pytest.mark.parametrize("which", ["sealed", "open"])
def test_every_flipped_byte_of_a_pack_is_reported(tiny, which):
    root, said = tiny
    sealed, opened = _packs(root)
    path = sealed if which == "sealed" else opened
    commits = [part for part in pack.scan(path) if type(part) is pack.Commit]
    last = commits[-1].offset if which == "open" else path.stat().st_size
    for offset, report, _ in _flips(root, path, said, step=1 if TORTURE else 23):
        assert type(report) is check.Report, offset
        kinds = building.kinds(report)
        if offset < last:  # in the middle: no torn tail, since a commit follows
            assert "damage" in kinds and "tail" not in kinds and report.damaged, (offset, report)
        else:
            assert kinds & {"tail", "damage"}, (offset, report)


def test_every_flipped_byte_of_the_identity_is_refused_or_harmless(tiny):
    root, said = tiny
    for offset, report, again in _flips(root, root / "archive.json", said):
        assert isinstance(report, (Damaged, NewerFormat)) or (again == said and report.findings == []), offset


@pytest.mark.parametrize("part", range(2))
def test_every_flipped_byte_of_the_index_is_reported_or_harmless(tiny, part):
    root, said = tiny
    noticed = 0
    for offset, report, again in _flips(root, root / "index" / "index.sqlite", said, step=1 if TORTURE else 149 + part):
        assert type(report) is check.Report, (offset, report)
        assert again == said or "index" in building.kinds(report), (offset, report)
        assert building.kinds(report) <= {"index"}, (offset, report)
        noticed += bool(report.findings)
    assert noticed


@pytest.mark.parametrize("known", ["the index is made anew", "verify found it"])
def test_a_flip_in_the_middle_of_an_open_pack_is_never_cut_off_nor_resumed(tiny, known):
    root, _ = tiny
    sealed, path = _packs(root)
    content, kept = path.read_bytes(), (root / "index" / "index.sqlite").read_bytes()
    commits = [part for part in pack.scan(path) if type(part) is pack.Commit]
    for offset in range(0, commits[-1].offset, 29):
        damaged = content[:offset] + bytes([content[offset] ^ 4]) + content[offset + 1 :]
        path.write_bytes(damaged)
        store = Store.open(root)
        if known == "verify found it":
            assert check.verify(store, deep=True).damaged
        else:
            store.index.rebuild()
        job = building.build(7)
        store.commit(job.blobs, durable=True)
        store.close()
        assert path.read_bytes() == damaged, offset
        assert not store.quarantine.exists()
        assert building.lacking(store, [job]) == []
        store.close()
        for other in set((root / "packs").glob("*.pack")) - {path, sealed}:
            other.unlink()
        path.write_bytes(content)
        (root / "index" / "index.sqlite").write_bytes(kept)


def test_a_torn_tail_of_every_length_is_moved_aside_and_the_pack_goes_on(tiny):
    root, _ = tiny
    _, path = _packs(root)
    content = path.read_bytes()
    last = [part for part in pack.scan(path) if type(part) is pack.Commit][-1]
    for length in range(1, last.length):
        path.write_bytes(content[: last.offset + length])
        store = Store.open(root)
        assert len(building.listed(store)) == 4
        if length % 16 == 1 or length == last.length - 1:
            [finding] = check.verify(store, deep=True).findings
            assert (finding.kind, finding.where, finding.detail) == (
                "tail",
                f"{path} at byte {last.offset}",
                f"{length} bytes of a write that was cut off; the next writer moves them to quarantine/",
            )
            job = building.build(7)
            store.commit(job.blobs, durable=True)
            assert store._lease.path == path
            [aside] = store.quarantine.iterdir()
            assert aside.read_bytes() == content[last.offset : last.offset + length]
            assert building.lacking(store, [job]) == [] and len(building.listed(store)) == 5
            aside.unlink()
        store.close()


def test_tails_that_a_crash_cut_off_at_one_place_are_all_kept(tiny):
    root, _ = tiny
    _, path = _packs(root)
    for tail in (b"first", b"second"):
        path.write_bytes(path.read_bytes() + tail)
        store = Store.open(root)
        store.prepare()
        store.close()
    assert sorted(aside.read_bytes() for aside in store.quarantine.iterdir()) == [b"first", b"second"]


# Indexes


def _assert_says(root, said) -> None:
    store = Store.open(root)
    assert building.everything(store) == said
    assert check.verify(store, deep=True).findings == []
    store.close()


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + bytes(600)])
def test_an_index_that_is_deleted_empty_or_no_database_is_made_again(tiny, content):
    root, said = tiny
    file = root / "index" / "index.sqlite"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    _assert_says(root, said)


def test_an_index_cut_off_at_any_page_is_made_again(tiny):
    root, said = tiny
    file = root / "index" / "index.sqlite"
    content = file.read_bytes()
    for end in range(0, len(content), 512 * 3):
        file.write_bytes(content[: end + 100])
        store = Store.open(root)
        assert building.everything(store) == said, end
        store.close()


def test_an_index_of_another_archive_or_version_is_replaced(tiny, folder):
    root, said = tiny
    other = Store.create(folder / "other")
    other.commit(building.build(1).blobs, durable=True)
    building.listed(other)
    other.close()
    shutil.copy(folder / "other" / "index" / "index.sqlite", root / "index" / "index.sqlite")
    _assert_says(root, said)
    with closing(sqlite3.connect(root / "index" / "index.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    _assert_says(root, said)


def test_an_index_folder_that_is_a_file_is_done_without(tiny, monkeypatch, folder):
    root, said = tiny
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: folder / "cache")
    shutil.rmtree(root / "index")
    (root / "index").write_bytes(b"")
    _assert_says(root, said)
    assert (folder / "cache").is_dir()


@pytest.mark.parametrize("lost", ["a commit", "the seal", "everything"])
def test_an_index_that_is_ahead_of_a_pack_follows_the_pack(tiny, lost):
    root, said = tiny
    sealed, opened = _packs(root)
    path = sealed if lost == "the seal" else opened
    parts = list(pack.scan(path))
    os.truncate(path, parts[-1].offset if lost != "everything" else 0)
    store = Store.open(root)
    expected = [row for row in said[0] if lost == "the seal" or int(row.created.ns) < (9 if lost == "a commit" else 2)]
    assert building.everything(store)[0] == expected
    assert check.verify(store, deep=True).findings == []
    job = building.build(7)
    store.commit(job.blobs, durable=True)
    assert building.lacking(store, [job]) == []
    store.close()


def test_a_pack_that_another_took_the_place_of_is_read_anew(tiny):
    """Same name, same size, other content: the hash of the last commit tells."""
    root, said = tiny
    _, path = _packs(root)
    store = Store.open(root)
    blobs = building.build(8, created=8, status=None, size=2).blobs
    data = pack.build(pack.pack_id(path), 0, 0, blobs, COMPRESSOR)
    path.write_bytes(data)
    assert building.listed(store)[0] == blobs[-1].digest
    assert check.verify(store, deep=True).findings == []
    store.close()


# What may stand where


def test_a_pack_of_another_archive_put_there_is_adopted(tiny, folder):
    root, said = tiny
    other, job = Store.create(folder / "other"), building.build(7)
    other.commit(job.blobs, durable=True)
    other.close()
    [path] = (folder / "other" / "packs").iterdir()
    shutil.copy(path, root / "packs")
    store = Store.open(root)
    assert building.lacking(store, [job]) == []
    assert len(building.listed(store)) == len(said[0]) + 1
    assert check.verify(store, deep=True).findings == []
    store.close()


def test_a_sealed_pack_under_another_name_is_damage_and_is_left_as_it_is(tiny):
    root, _ = tiny
    path, _ = _packs(root)
    renamed = path.with_name("00" * 16 + ".pack")
    path.rename(renamed)
    content = renamed.read_bytes()
    store = Store.open(root)
    assert (
        check.Finding("damage", f"{renamed} at byte 0", f"{len(content)} bytes that are no commit")
        in check.verify(store, deep=True).findings
    )
    store.commit(building.build(7).blobs, durable=True)
    store.close()
    assert renamed.read_bytes() == content


def test_an_open_pack_under_another_name_is_reported_and_every_byte_of_it_kept(tiny):
    root, _ = tiny
    _, path = _packs(root)
    renamed = path.with_name("00" * 16 + ".pack")
    path.rename(renamed)
    content = renamed.read_bytes()
    store = Store.open(root)
    assert {"tail", "missing"} <= building.kinds(check.verify(store, deep=True))
    store.commit(building.build(7).blobs, durable=True)
    store.close()
    assert [aside.read_bytes() for aside in store.quarantine.iterdir()] == [content]


def test_a_file_that_is_no_pack_is_named_and_left_alone(tiny):
    root, said = tiny
    stray = root / "packs" / "notes.txt"
    stray.write_text("mine")
    store = Store.open(root)
    assert [(f.kind, f.where, f.detail) for f in check.verify(store, deep=True).findings] == [
        ("foreign", str(stray), "is no pack")
    ]
    assert building.everything(store) == said
    store.close()


@pytest.mark.parametrize("which", ["sealed", "open"])
def test_a_missing_pack_is_reported_and_its_jobs_are_not_found(tiny, which):
    root, said = tiny
    path = _packs(root)[which == "open"]
    held = {entry.digest for part in pack.scan(path) if type(part) is pack.Commit for entry in part.entries}
    elsewhere = {entry.digest for other in _packs(root) if other != path
                 for part in pack.scan(other) if type(part) is pack.Commit for entry in part.entries}  # fmt: skip
    path.unlink()
    store = Store.open(root)
    report = check.verify(store, deep=True)
    assert report.damaged
    assert check.Finding("missing", str(path), f"the pack is gone, and with it {len(held - elsewhere)} blobs") in report.findings
    gone = next(iter(held - elsewhere))
    with pytest.raises(NotFound) as caught:
        store.get(gone)
    assert str(caught.value) == f"blob {gone.hex()} is not in {root}"
    store.close()


def test_a_missing_folder_of_packs_is_damage(tiny):
    root, _ = tiny
    shutil.rmtree(root / "packs")
    store = Store.open(root)
    for ask in (lambda: building.listed(store), lambda: check.verify(store), lambda: store.commit(building.build(1).blobs, True)):
        with pytest.raises(Damaged) as caught:
            ask()
        assert str(caught.value) == (f"{root / 'packs'}: the folder of the packs is missing; "
                                     "run `qarchive verify` to see what is affected")  # fmt: skip


def test_a_damaged_blob_is_an_error_and_an_undamaged_copy_is_used_instead(tiny):
    root, said = tiny
    path, _ = _packs(root)
    store = Store.open(root)
    entry = next(e for part in pack.scan(path) if type(part) is pack.Commit for e in part.entries if e.kind == "circuit")
    content = bytearray(path.read_bytes())
    content[entry.frame + entry.stored // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        store.get(entry.digest)
    assert (caught.value.path, caught.value.offset) == (str(path), entry.frame)
    copy = pack.Blob("circuit", entry.digest, said[2][entry.digest])
    other = "ab" * 16
    (root / "packs" / f"{other}.pack").write_bytes(pack.build(bytes.fromhex(other), 0, 0, [copy], COMPRESSOR))
    assert store.get(entry.digest) == said[2][entry.digest]
    store.close()


def test_an_index_that_names_a_wrong_place_costs_nothing(tiny):
    root, said = tiny
    with closing(sqlite3.connect(root / "index" / "index.sqlite")) as db, db:
        db.execute("UPDATE OR IGNORE blobs SET start = start + 1")
        db.execute("UPDATE OR IGNORE blobs SET frame = frame + 1")
    store = Store.open(root)
    assert all(store.get(digest) == data for digest, data in said[2].items())
    store.close()


# Identities


@pytest.mark.parametrize("content, problem", [
    (b"", "is not the identity of an archive"), (b"[]", "is not the identity of an archive"),
    (b"\xff", "is not the identity of an archive"),
    (b'{"format": 1, "id": 7, "created": ""}', "is not the identity of an archive"),
    (b'{"format": 1, "id": "00", "created": "\\ud800"}', "is not the identity of an archive"),
    (b'{"format": 1, "id": "00", "created": ""}', "is not the identity of an archive"),
    (b" " * 5000, "is not the identity of an archive"),
    (b'{"format": 1, "id": "' + b"00" * 16 + b'", "created": ""}', "its check does not fit its content"),
    (b'{"format": true, "id": "' + b"00" * 16 + b'", "created": "", "check": ""}', "its check does not fit its content"),
])  # fmt: skip
def test_an_identity_that_does_not_fit_is_damage(tiny, content, problem):
    root, _ = tiny
    (root / "archive.json").write_bytes(content)
    with pytest.raises(Damaged) as caught:
        Store.open(root)
    assert str(caught.value) == f"{root / 'archive.json'}: {problem}; run `qarchive verify` to see what is affected"


def test_an_archive_of_a_newer_format_asks_for_a_newer_qarchive(tiny):
    root, _ = tiny
    identity = json.loads((root / "archive.json").read_text())
    (root / "archive.json").write_text(json.dumps(identity | {"format": 2}))
    with pytest.raises(NewerFormat) as caught:
        Store.open(root)
    assert str(caught.value) == f"{root} has format 2 and this qarchive reads up to 1; install a newer qarchive"


def test_a_pack_of_a_newer_format_asks_for_a_newer_qarchive(tiny, monkeypatch):
    root, _ = tiny
    name = "cd" * 16
    with monkeypatch.context() as patch:
        patch.setattr(pack, "VERSION", 2)
        data = pack.build(bytes.fromhex(name), 0, 0, building.build(7).blobs, COMPRESSOR)
    path = root / "packs" / f"{name}.pack"
    path.write_bytes(data)
    store = Store.open(root)
    for ask in (lambda: building.listed(store), lambda: check.verify(store)):
        with pytest.raises(NewerFormat) as caught:
            ask()
        assert str(caught.value) == f"{path} has format 2 and this qarchive reads up to 1; install a newer qarchive"
    store.close()


@pytest.mark.parametrize("make", [Store.open, Store.create])
def test_a_path_that_is_a_file_is_no_archive(folder, make):
    (folder / "file").write_bytes(b"")
    with pytest.raises(BadInput) as caught:
        make(folder / "file")
    assert str(caught.value) == f"{folder / 'file'}: is a file; an archive is a folder"


@pytest.mark.parametrize("path", ["nothing", ".", "file/below"])
def test_a_path_without_an_archive_says_how_to_make_one(folder, path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where no other archive is
    (folder / "file").write_bytes(b"")
    with pytest.raises(NoArchive) as caught:
        Store.open(folder / path)
    where = folder / path
    told = f"no archive at {where}; make one with `qarchive init {where}` or name another with --archive"
    assert str(caught.value) == told


def test_a_path_without_an_archive_says_where_there_is_one(folder, monkeypatch):
    Store.create(folder / "lab").close()
    Store.create(folder / "thesis" / ".qarchive").close()
    inside = f"`qarchive --archive {folder / 'thesis' / '.qarchive'}`, or `export QARCHIVE={folder / 'thesis' / '.qarchive'}`"
    for here, path, near in (
        (folder, "nothing", "there is one at lab: `qarchive --archive lab`, or `export QARCHIVE=lab`"),
        (folder / "lab", "thesis", f"there is one at {folder / 'thesis' / '.qarchive'}: {inside}"),
    ):
        monkeypatch.chdir(here)
        with pytest.raises(NoArchive) as caught:
            Store.open(folder / path)
        assert str(caught.value) == f"no archive at {folder / path}; {near}; `qarchive init` makes one"


# Folders that cannot be written


def _refuses(root, reason: str, hint: str, where: str = "packs") -> None:
    store = Store.open(root)
    with pytest.raises(CannotWrite) as caught:
        store.commit(building.build(7).blobs, durable=True)
    assert str(caught.value) == f"cannot write {root / where}: {reason}; {hint}"
    store.close()


def _contents(root) -> dict:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount; the tests around it need no root")
def test_an_archive_on_a_read_only_file_system_is_read_and_not_written(tiny, folder, monkeypatch):
    root, said = tiny
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: folder / "cache")
    before, place = _contents(root), folder / "mounted"
    place.mkdir()
    if subprocess.run(["mount", "--bind", str(root), str(place)], capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount; the tests around it need no mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        _assert_says(place, said)
        _refuses(place, "the file system is read-only", "choose a place that can be written")
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert _contents(root) == before


def test_an_archive_that_may_not_be_written_is_read_from_an_index_in_the_cache(tiny, folder, monkeypatch):
    root, said = tiny
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: folder / "cache")
    real = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode, **rest: not (mode & os.W_OK and Path(path) == root / "index") and real(path, mode, **rest),
    )
    before = _contents(root)
    _assert_says(root, said)
    assert _contents(root) == before
    assert [path.name for path in (folder / "cache").rglob("index.sqlite")] == ["index.sqlite"]


def test_an_archive_of_another_user_is_read_even_without_a_cache_of_ones_own(tiny, folder, monkeypatch):
    root, said = tiny
    for path in (folder, root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: Path("/nonexistent") / "cache")
    real = os.access
    if os.geteuid() != 0:
        monkeypatch.setattr(os, "access", lambda path, mode, **rest: not mode & os.W_OK and real(path, mode, **rest))
        monkeypatch.setattr(disk, "create", _denied)

    def read(tell):
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        _assert_says(root, said)
        _refuses(root, "permission denied", "ask its owner for write access, or choose another place")
        tell("read")

    before = _contents(root)
    told, code = building.Child(read).wait()
    assert (told, code) == (["read"], 0)
    assert _contents(root) == before


def _denied(path, shared=False) -> int:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user who may not read")
def test_an_archive_that_may_not_be_read_says_so(tiny, folder):
    root, _ = tiny
    folder.chmod(0o755)
    root.chmod(0o700)

    def read(tell):
        os.setuid(65534)
        try:
            Store.open(root)
        except BadInput as error:
            tell(str(error))

    [told], code = building.Child(read).wait()
    assert (told, code) == (f"{root}: cannot be read (Permission denied); ask its owner for read access", 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, whose index may not be written")
def test_an_index_that_may_not_be_written_is_copied_into_memory(tiny, folder):
    root, said = tiny
    for path in (folder, root, *root.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o644)

    def read(tell):
        os.setgid(65534)
        os.setuid(65534)
        _assert_says(root, said)
        tell("read")

    before = (root / "index" / "index.sqlite").read_bytes()
    assert building.Child(read).wait() == (["read"], 0)
    assert (root / "index" / "index.sqlite").read_bytes() == before


def test_creating_an_archive_where_nothing_may_be_written_says_so(folder, monkeypatch):
    monkeypatch.setattr(disk, "create", _denied)
    with pytest.raises(CannotWrite) as caught:
        Store.create(folder / "lab")
    assert (
        str(caught.value)
        == f"cannot write {folder / 'lab'}: permission denied; ask its owner for write access, or choose another place"
    )


def test_the_check_of_an_identity_covers_all_of_it(tiny):
    root, _ = tiny
    identity = json.loads((root / "archive.json").read_text())
    assert identity["check"] == codec.digest(codec.encode([identity[name] for name in ("format", "id", "created")])).hex()[:16]
    assert marker.FORMAT == identity["format"]
