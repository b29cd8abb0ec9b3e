"""A hostile bundle gives a clear error and leaves the archive as it was: its packs byte for byte, its jobs as they read."""

# ruff: noqa: E501  whole messages stand on one line

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import building
import hostile
import msgpack
import pytest
from building import blob
from hostile import about, bundle, entry, first, frame, job, lying, raw, write

import qarchive
from qarchive import codec, pack
from qarchive.bundles import checking, limits
from qarchive.errors import BadInput, Damaged, NewerFormat
from qarchive.stage import Stage
from qarchive.values import Array, Link, Timestamp

_AGAIN = "; nothing of it is taken; get it again from where it came"
MINE = building.build(1, provider_job="mine", tags=["paper"])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def lab(place):
    with qarchive.open(place / "lab") as archive:
        archive._store.commit(MINE.blobs, durable=True)
        archive._store.commit(building.build(2, status="SENDING", provider_job="waiting").blobs, durable=True)
        yield archive


def state(archive) -> tuple:
    """The packs, byte for byte, and all that listings show."""
    packs = {path.name: path.read_bytes() for path in (archive.path / "packs").iterdir()}
    return packs, [job.row for job in archive.jobs(kind=None)], [group.id for group in archive.groups()]


def refusal(lab, path) -> str:
    """What is said of a bundle that changes nothing; its path as FILE."""
    before, size = state(lab), path.stat().st_size
    with pytest.raises((BadInput, Damaged, NewerFormat)) as caught:
        lab.import_(path)
    assert state(lab) == before
    said = str(caught.value).replace(str(path), "FILE").replace(str(lab.path), "LAB").removesuffix(_AGAIN)
    said = said.replace(f"has {size:,} bytes", "has SIZE bytes").replace(f"at byte {size}:", "at its end:")
    return re.sub(r"at byte \d+:", "at byte N:", said)  # the places of frames depend on zstd's version


_RECORD = job()[2]
_ID = _RECORD.digest.hex()


def _non_canonical(data: bytes):
    return lambda path: bundle(path, *job(), raw("input", data))


def _two(n: int) -> list:
    return list({each.digest: each for number in range(n) for each in job(number)}.values())


def _named(**fields):
    return lambda path: bundle(path, *job(**fields))


def _of_kind(kind: str):
    return lambda path: bundle(path, raw(kind, job()[2].data))


def _attempt(of: bytes, **fields) -> pack.Blob:
    device = blob("backend", {"name": "b"})
    return about("attempt", of, number=1, status="RUNNING", backend=Link(device.digest), nonce=b"", **fields)


_BOMB = raw("input", bytes((16 << 20) + 1))
_EMPTY = raw("input", b"\xdd\x00\x40\x00\x00" + b"\x90" * (1 << 22))

CASES = {
    "no bundle": lambda path: path.write_bytes(b"PK\3\4" + bytes(100)),
    "empty": lambda path: path.write_bytes(b""),
    "a pack": lambda path: write(path, job()),
    "says twice where it comes from": lambda path: write(path, [first(), first("6" * 32), *job()]),
    "says so late": lambda path: write(path, [*job()], [first()]),
    "open": lambda path: path.write_bytes(pack.build(bytes(16), 0, 0, [first(), *job()], hostile._compressor)),
    "no archive": lambda path: bundle(path, *job(), archive="../../etc"),
    "a long author": lambda path: bundle(path, *job(), author="x" * 2000),
    "an author in red": lambda path: bundle(path, *job(), author="\x1b[31mme"),
    "a time that is text": lambda path: bundle(path, *job(), created="now"),
    "twice the same": lambda path: write(path, [first(), *job()], [job()[0]]),
    "a forged digest": lambda path: bundle(path, *job(), pack.Blob("input", b"\1" * 32, codec.encode([1]))),
    "a large blob": lambda path: bundle(path, *job(), _BOMB),
    "many parts": lambda path: bundle(path, *job(), _EMPTY),
    "a bomb": lambda path: bundle(path, *job(), *(raw("input", bytes([n]) * (15 << 20)) for n in range(6))),
    "a long record": lambda path: bundle(path, *job(names=["x" * (1 << 20)])),
    "many records": lambda path: bundle(path, *job(), *(about("event", _RECORD, name=f"{n}" + "x" * 900_000) for n in range(10))),
    "a frame that lies": lambda path: lying(
        path, [frame(first().data)], [[len(frame(first().data)), len(first().data) + 1]], [entry(first(), len(first().data) + 1)]
    ),
    "a large frame": lambda path: lying(
        path,
        [frame(bytes(32 << 20))],
        [[len(frame(bytes(32 << 20))), 32 << 20]],
        [entry(first(), 16 << 20), entry(raw("a", b"1"), 16 << 20)],
    ),
    "a frame said to be huge": lambda path: lying(path, [b"x"], [[1, 1 << 60]], [entry(first(), 1 << 60)]),
    "huge counts": lambda path: lying(
        path, [frame(first().data)], [[len(frame(first().data)), len(first().data)]], [entry(first())], [[0, 1 << 62, 0, [], []]]
    ),
    "a trailer of nothing": lambda path: lying(
        path, [frame(first().data)], [[len(frame(first().data)), len(first().data)]], [entry(first())], [[]] * 100_000
    ),
    "a trailer of another": lambda path: lying(
        path, [frame(first().data)], [[len(frame(first().data)), len(first().data)]], [entry(first())], _other_trailer(path)
    ),
    "an odd kind": lambda path: lying(
        path,
        [frame(first().data)],
        [[len(frame(first().data)), len(first().data)]],
        [["../x", len(first().data), first().digest]],
    ),
    "another's tail": lambda path: path.write_bytes(bundle(path, *job()).read_bytes() + b"more"),
    # Values
    "keys twice": _non_canonical(b"\x82\xa1a\x01\xa1a\x02"),
    "keys in another order": _non_canonical(b"\x82\xa1b\x01\xa1a\x02"),
    "a fat integer": _non_canonical(b"\xcd\x00\x01"),
    "a surrogate": _non_canonical(b"\xa3\xed\xa0\x80"),
    "a NaN of its own": _non_canonical(b"\xcb\x7f\xf8\0\0\0\0\0\1"),
    "a short float": _non_canonical(b"\xca\0\0\0\0"),
    "depth 65": _non_canonical(b"\x91" * 64 + b"\x90"),
    "depth 100000": _non_canonical(b"\x91" * 100_000 + b"\xc0"),
    "bytes behind": _non_canonical(b"\xc0\xc0"),
    "an unknown ext": _non_canonical(b"\xd4\x0b\0"),
    "an array without its bytes": _non_canonical(codec.encode(Array("<f8", (1,), bytes(8))).replace(b"\x91\x01", b"\x91\x7f")),
    "an array of 2^62": _non_canonical(b"\xc7\x0f\x07\x93\xa3|u1\x91\xcf\x40\0\0\0\0\0\0\0"),
    "an empty array of 2^62": _non_canonical(msgpack.packb(msgpack.ExtType(7, msgpack.packb(["|u1", [0, 1 << 62], b""])))),
    "chunked, 2^60 bytes in one": _non_canonical(
        msgpack.packb(msgpack.ExtType(8, msgpack.packb([1 << 60, [msgpack.ExtType(9, bytes(32))]])))
    ),
    # Records
    "a record that is none": lambda path: bundle(path, blob(pack.RECORD, [1])),
    "a job without input": _named(input=None),
    "a removal": lambda path: bundle(path, *job(), about("removal", _RECORD, nonce=b"")),
    "a restored": lambda path: bundle(path, *job(), about("restored", _RECORD, nonce=b"", removals=[])),
    "a record called input": _of_kind("input"),
    "a job of nothing": lambda path: bundle(path, *job()[1:]),
    "an event of nothing": lambda path: bundle(path, about("event", b"\3" * 32, name="x")),
    "an event of an input": lambda path: bundle(path, *job(), about("event", job()[0], name="x")),
    "an outcome of another's attempt": lambda path: bundle(
        path,
        *_two(2),
        blob("backend", {"name": "b"}),
        _attempt(_RECORD.digest),
        about("outcome", job(1)[2], attempt=Link(_attempt(_RECORD.digest).digest), status="DONE", provider_status=""),
    ),  # fmt: skip
    "an outcome of an input": lambda path: bundle(
        path, *job(), about("outcome", _RECORD, attempt=Link(job()[0].digest), status="DONE", provider_status="")
    ),  # fmt: skip
    "an outcome of my input": lambda path: bundle(
        path, *job(), about("outcome", _RECORD, attempt=Link(MINE.blobs[4].digest), status="DONE", provider_status="")
    ),  # fmt: skip
    "a group that is a job": lambda path: bundle(
        path, *job(), job(0, nonce=b"", member={"group": Link(_RECORD.digest), "author": "a", "sequence": 1, "first": 0})[2]
    ),
    # Names
    "a circuit in red": _named(names=["\x1b[31mbell"]),
    "a backend over two lines": _named(backend="a\nb"),
    "a tag that turns round": _named(labels={"tags": ["\u202egnp.exe"]}),
    "a group with a bell": _named(labels={"group": "\x07"}),
    "an attachment with C1": lambda path: bundle(
        path, *job(), about("attachment", _RECORD, name="\x9b31m", value=Link(job()[0].digest))
    ),
    "a group's name": lambda path: bundle(
        path, blob(pack.RECORD, {"type": "group", "name": "a\rb", "archive": "5" * 32, "number": 1})
    ),
}


def _other_trailer(path):
    data = frame(first().data)
    size = 56 + len(msgpack.packb([1, b"\7" * 16, 0, 0, [[len(data), len(first().data)]], [entry(first())]])) + len(data) + 32
    return [[0, size, 0, [[len(data), len(first().data)]], [["bundle", len(first().data), b"\2" * 32]]]]


SAID = {
    "no bundle": ": is no bundle; `qarchive export` makes one",
    "empty": ": is no bundle; `qarchive export` makes one",
    "a pack": ": is a pack, and does not say where it comes from; `qarchive export` makes bundles",
    "says twice where it comes from": ": says twice where it comes from; `qarchive export` makes bundles",
    "says so late": ": is a pack, and does not say where it comes from; `qarchive export` makes bundles",
    "open": " at its end: a bundle without its end: it was cut off, or is no bundle",
    "no archive": " at byte N: its first blob does not say which archive it comes from",
    "a long author": " at byte N: its first blob has no text that can be its author",
    "an author in red": ": has the author '\\x1b[31mme' with the control character U+001B; names that a terminal would obey are not taken in",
    "a time that is text": " at byte N: its first blob has no time in created",
    "twice the same": " at byte N: blob ece3f780651affa5df477590bea42c456253268d043fad5ad6fe2dc787da689f stands in it twice",
    "a forged digest": " at byte N: blob 0101010101010101010101010101010101010101010101010101010101010101 has other bytes than its digest says",
    "a large blob": ": the input 1003b1b5dc07: has 16,777,217 bytes, and more than 16,777,216 of one blob are not taken in",
    "many parts": ": the input 1b3ab0b5a855: seems to have 4,194,305 parts, and more than 2,621,440 of one blob are not taken in",
    "a bomb": ": has SIZE bytes and would unpack to 94,372,086; nobody honest writes such a bundle",
    "a long record": ": the record 65c8d7c49587: has 1,048,774 bytes, and more than 1,048,576 of one record are not taken in",
    "many records": ": the job e212654ffc43: has records of more than 8,388,608 bytes, which are not taken in",
    "a frame that lies": " at byte N: a frame with other sizes than its directory says",
    "a large frame": ": has a frame of 33,554,432 bytes, and more than 16,777,216 are not taken in",
    "a frame said to be huge": " at its end: a bundle without its end: it was cut off, or is no bundle",
    "huge counts": " at its end: a bundle without its end: it was cut off, or is no bundle",
    "a trailer of nothing": ": lists more than any bundle does; export it in parts",
    "a trailer of another": " at byte N: the trailer lists other commits than there are",
    "an odd kind": " at its end: a bundle without its end: it was cut off, or is no bundle",
    "another's tail": " at its end: a bundle without its end: it was cut off, or is no bundle",
    "keys twice": " at byte N: blob b62b068e9ba53735b6fb85533b75a4ebc1792bd2afb783931873cbf9c43c7c1b: not canonical msgpack: another encoding of the value exists",
    "keys in another order": " at byte N: blob fadc990007e8e1cb989f39650cbe889d61c377ff38333198b9236d523a8836f9: not canonical msgpack: another encoding of the value exists",
    "a fat integer": " at byte N: blob e3015bf47ec2e9ac0ea15da4c3d044882b1853c3f013cd1652a84bb35f4738b2: not canonical msgpack: another encoding of the value exists",
    "a surrogate": " at byte N: blob 9866debf2d7593331e65862269666e6d89fed051b7d3f8a3840f964f0aa3df20: not canonical msgpack: 'utf-8' codec can't decode byte 0xed in position 0: invalid continuation byte",
    "a NaN of its own": " at byte N: blob 7a778c04cc944c2d63e94a275adf7f48d841837c08be3131cc591472fcd84ef0: not canonical msgpack: another encoding of the value exists",
    "a short float": " at byte N: blob 4d26344c6f1a18b03570243a1b2a0f817fd22697f48e665c5612c6f4a6a9dac3: not canonical msgpack: another encoding of the value exists",
    "depth 65": " at byte N: blob aec607d11345f9f984b542441dd0f172699171674590efb857a7d410c1dfcb4c: not canonical msgpack: nested more than 64 deep",
    "depth 100000": " at byte N: blob acf333e6dc56c1dcac63dc77f0b873fa8eef12ab7bc4a2ec63daf479af1efe4e: not canonical msgpack: StackError",
    "bytes behind": " at byte N: blob 924d46482608156796c55cf9f59843a261c720c001d9859321523ca9c794151e: not canonical msgpack: unpack(b) received extra data.",
    "an unknown ext": " has format ext type 11 and this qarchive reads up to ext type 10; install a newer qarchive",
    "an array without its bytes": " at byte N: blob fee91c7d24c1f6d8dec1703c92b885fab261e8ebea41e7ff71f7c2dd4614b242: not canonical msgpack: an array of shape (127,) and dtype <f8 with 8 bytes",
    "an array of 2^62": " at byte N: blob 0450fbfd2b10cba3a624e85b24910351e541db88785c0f63d5dd29c47d852776: not canonical msgpack: Unpack failed: incomplete input",
    "an empty array of 2^62": " at byte N: blob 7e588be8383bae7d7511d22afff95ed19584f297a4617fcc7610cd4179e730c3: not canonical msgpack: an array without items whose other sizes are too large",
    "chunked, 2^60 bytes in one": " at byte N: blob 407cc22ca107686327082c4e69a8dab324fd6864e95f93a7fadb295db8e46607: not canonical msgpack: a chunked byte string with the wrong number of chunks",
    "a record that is none": " at byte N: record cdca8b98b1dc607bbdc15ba076869dc8b8d9f26d207114ce1983bf74717f6401: it is no map with a type",
    "a job without input": " at byte N: record a3d0a04755672697f1e6e1979d69c9c2fccab3faeb7d3f3b7171292c93d5ef32: a record of type 'job' without input",
    "a removal": ": holds a record of type 'removal', which is the affair of the archive where it was made; export it again",
    "a restored": ": holds a record of type 'restored', which is the affair of the archive where it was made; export it again",
    "a record called input": " at byte N: record e212654ffc430b785bacb4b5388267b7fb4a155845fd0d4961ab7513190333fc is called a blob of the kind input",
    "a job of nothing": ": refers to 1 blob neither in it nor in LAB, such as ece3f780651a; it was made for somebody who has them; ask for one that is whole",
    "an event of nothing": ": refers to 1 blob neither in it nor in LAB, such as 030303030303; it was made for somebody who has them; ask for one that is whole",
    "an event of an input": ": ece3f780651affa5df477590bea42c456253268d043fad5ad6fe2dc787da689f is said to be a job, and is none",
    "an outcome of another's attempt": ": 0244da57376492c63768d31448cdbc5a5f7893a3c3f8e1cefe0ba1441a5ec4a6 is said to be an attempt of job e7a1791f8957, and is none",
    "an outcome of an input": ": ece3f780651affa5df477590bea42c456253268d043fad5ad6fe2dc787da689f is said to be an attempt of job e212654ffc43, and is none",
    "an outcome of my input": ": cdda6faf18be3e85fcd076ebdaa16c4bf69d61173c9b774a95825d8ca938f049 is said to be an attempt of job e212654ffc43, and is none",
    "a group that is a job": ": e212654ffc430b785bacb4b5388267b7fb4a155845fd0d4961ab7513190333fc is said to be a group, and is none",
    "a circuit in red": ": the job 20632ece836f: has the circuit name '\\x1b[31mbell' with the control character U+001B; names that a terminal would obey are not taken in",
    "a backend over two lines": ": the job 3e5feaf8c0aa: has the backend 'a\\nb' with the control character U+000A; names that a terminal would obey are not taken in",
    "a tag that turns round": ": the job 4186285e6cbc: has the tag '\\u202egnp.exe' with the control character U+202E; names that a terminal would obey are not taken in",
    "a group with a bell": ": the job 5f5ea43f0aae: has the group '\\x07' with the control character U+0007; names that a terminal would obey are not taken in",
    "an attachment with C1": ": the job e212654ffc43: has the name '\\x9b31m' with the control character U+009B; names that a terminal would obey are not taken in",
    "a group's name": ": the group 3fab717319e4: has the name 'a\\rb' with the control character U+000D; names that a terminal would obey are not taken in",
}  # after the file's name


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_bundle_is_refused_and_changes_nothing(lab, place, case):
    path = place / "x.qar"
    CASES[case](path)
    assert refusal(lab, path) == "FILE" + SAID[case]


# What reaches further than the bundle


@pytest.fixture
def victim(folder):
    """An archive of its own, with one job that ended, one that waits and a group; and what it can share of them."""
    with qarchive.open(folder / "victim") as archive:
        done, waiting = building.build(1, provider_job="mine"), building.build(2, status="SENDING", provider_job="waits")
        archive._store.commit(done.blobs + waiting.blobs, durable=True)
        archive.done, archive.waiting = done, waiting
        yield archive


def _last(built: building.Built, kind: str) -> pack.Blob:
    return next(each for each in reversed(built.records) if codec.decode(each.data)["type"] == kind)


def test_a_forged_outcome_attempt_id_or_calibration_changes_nothing_of_a_job_that_ended_here(victim, folder):
    done, mine = victim.done, victim.job(victim.done.id.hex())
    before = mine.row, mine.outcome, mine.provider_job, mine.calibrations
    attempt, result = _last(done, "attempt"), blob("result", {"11": 1000})
    forged = [result, blob("calibration", {"t1_s": 9.9})]
    for number in range(20):  # of which some have larger digests than what they claim to replace
        forged.append(about("outcome", done.id, attempt=Link(attempt.digest), status="DONE", provider_status=str(number),
                            result=Link(result.digest), provider_job="zzz"))  # fmt: skip
    forged.append(about("sent", done.id, attempt=Link(attempt.digest), status="QUEUED", provider_job="zzz"))
    forged.append(about("calibration", done.id, attempt=Link(attempt.digest), phase="run", captured=Timestamp(0),
                        calibration=Link(forged[1].digest)))  # fmt: skip
    later = about("attempt", done.id, number=99, status="RUNNING", nonce=b"", backend=codec.decode(attempt.data)["backend"])
    forged += [
        later,
        about("outcome", done.id, attempt=Link(later.digest), status="DONE", provider_status="", result=Link(result.digest)),
    ]
    taken = victim.import_(bundle(folder / "x.qar", *forged, archive=victim.id))  # even where it says to be from here
    assert (taken.jobs, taken.known, taken.restored) == ([], [done.id.hex()], [])
    mine = victim.job(done.id.hex())
    assert (mine.outcome, mine.provider_job, mine.calibrations) == before[1:]
    assert (mine.row.status, mine.row.provider_job, mine.origin) == (before[0].status, "mine", None)
    assert len(mine.history) == len(done.records) + len(forged) - 2  # and all of it is there to be looked at
    assert victim.verify(deep=True).findings == []
    with pytest.raises(qarchive.errors.NotFound):
        victim.job("zzz/1")


def test_a_strangers_key_is_never_used(victim, folder):
    key = b"\5" * 32
    evil = blob("circuit", {"qasm": "the stranger's"}, key)
    victim.import_(write(folder / "x.qar", [first(), evil, *job()]))
    store = victim._store
    store.close()
    store.prepare()
    assert store.find_key(key) is None and Stage(store).find(key) is None
    victim.reindex()
    assert store.find_key(key) is None
    mine = blob("circuit", {"qasm": "mine"}, key)
    store.commit([mine], durable=True)
    assert store.find_key(key) == mine.digest


def test_a_record_cannot_be_kept_out_under_another_kind(victim, folder):
    """What nobody but this archive could have written, and can be foretold: its next group."""
    own = blob(pack.RECORD, qarchive.records.group_record(name="vqe", archive=victim.id, number=1))
    with pytest.raises(Damaged):
        victim.import_(bundle(folder / "x.qar", raw("input", own.data), *job()))
    victim.group("vqe")
    assert [group.name for group in victim.groups()] == ["vqe"]


def test_the_id_of_a_pack_that_is_there_is_refused(victim, folder):
    name = next((victim.path / "packs").glob("*.pack")).stem
    path = write(folder / "x.qar", [first(), *job()], name=bytes.fromhex(name))
    assert refusal(victim, path) == f"FILE: has the id of a pack that is there with other content ({name}.pack); export it again"


def test_a_chain_of_links_is_followed_however_long_it_is(victim, folder):
    chain = [blob("input", {"end": True})]
    for _ in range(600):
        chain.append(blob("input", {"next": Link(chain[-1].digest)}))
    found = job(input=Link(chain[-1].digest))
    victim.import_(bundle(folder / "x.qar", *chain, *found[1:]))
    held = victim.job(found[2].digest.hex())
    assert len(held.blobs) == 602 and victim.verify(deep=True).findings == []
    assert victim.export(folder / "y.qar", [held.id]).blobs == 603


def test_a_result_that_claims_a_terabyte_is_refused_before_memory_is_taken(victim, folder):
    chunk = blob("chunk", bytes(1 << 20))
    number = 1 << 17
    link = msgpack.ExtType(9, chunk.digest)
    result = raw("result", msgpack.packb(msgpack.ExtType(8, msgpack.packb([number << 20, [link] * number]))))
    found = job()
    attempt = about("attempt", found[2], number=1, status="RUNNING", nonce=b"", backend=Link(found[1].digest))
    outcome = about(
        "outcome", found[2], attempt=Link(attempt.digest), status="DONE", provider_status="", result=Link(result.digest)
    )
    victim.import_(bundle(folder / "x.qar", chunk, result, *found, attempt, outcome))
    most = codec.most_joined()
    with pytest.raises(BadInput) as caught:
        victim.job(found[2].digest.hex()).result()
    assert str(caught.value) == (f"a value of {number << 20:,} bytes or more: does not fit into memory; {most:,} are read at most; "
                                 "read it on a computer with more memory")  # fmt: skip


# Files that are none, and files that change


def test_what_is_no_file_is_not_waited_for(lab, place):
    pipe, link, away = place / "pipe", place / "link", place / "away"
    os.mkfifo(pipe)
    link.symlink_to(place / "nowhere")
    said = {pipe: "is no file; give the path of a bundle", place: "is a folder; `qarchive merge` takes the folder of an archive",
            link: "cannot be read (no such file or directory); give the path of a bundle",
            away: "cannot be read (no such file or directory); give the path of a bundle",
            "/dev/zero": "is no file; give the path of a bundle", link / "x": "cannot be read (no such file or directory); give the path of a bundle"}  # fmt: skip
    before = state(lab)
    for path, reason in said.items():
        with pytest.raises(BadInput) as caught:
            lab.import_(path)
        assert str(caught.value) == f"{path}: {reason}"
    assert state(lab) == before


def test_a_file_that_may_not_be_read():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = bundle(Path(folder) / "secret.qar", *job())
        path.chmod(0)
        child = os.fork()
        if child == 0:
            found = 1
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)  # root may read everything, so somebody else asks
                with pytest.raises(BadInput) as caught:
                    checking.check(path)
                found = int(str(caught.value) != f"{path}: cannot be read (permission denied)")
            finally:
                os._exit(found)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_symbolic_link_to_a_bundle_is_one(victim, folder):
    (folder / "link.qar").symlink_to(bundle(folder / "x.qar", *job()))
    assert victim.import_(folder / "link.qar").jobs == [_RECORD.digest.hex()]
    packs = list((victim.path / "packs").iterdir())
    assert len(packs) == 2 and not any(path.is_symlink() for path in packs)


def test_a_bundle_cut_off_anywhere_is_refused(lab, place):
    whole = bundle(place / "whole.qar", *_two(3)).read_bytes()
    path, before = place / "cut.qar", state(lab)
    chance = random.Random(1)
    for end in sorted({*chance.sample(range(len(whole)), 60), *range(30), *range(len(whole) - 60, len(whole))}):
        path.write_bytes(whole[:end])
        with pytest.raises((BadInput, Damaged)):
            lab.import_(path)
    assert state(lab) == before


def test_a_flipped_bit_anywhere_is_refused(lab, place):
    whole = bundle(place / "whole.qar", *_two(3)).read_bytes()
    path, before = place / "flipped.qar", state(lab)
    chance = random.Random(2)
    for _ in range(250):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        with pytest.raises((BadInput, Damaged, NewerFormat)):
            lab.import_(path)
    assert state(lab) == before


def test_a_bundle_that_changes_while_it_is_read_is_taken_as_it_was_copied_or_not_at_all(victim, folder):
    path = bundle(folder / "x.qar", *_two(40))
    whole, going = path.read_bytes(), threading.Event()

    def meddle():
        while not going.is_set():
            with open(path, "ab") as file:
                file.write(b"more")
            path.write_bytes(whole)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        for _ in range(10):
            try:
                victim.import_(path)
            except (BadInput, Damaged):
                pass
    finally:
        going.set()
        meddler.join()
    assert victim.verify(deep=True).findings == []
    path.write_bytes(whole)
    victim.import_(path)
    assert len(victim.jobs()) == 42


_BOUNDED = """
import resource, sys
import qarchive
archive = qarchive.open(sys.argv[1])
len(archive.jobs())
from qarchive.bundles import checking, limits
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]) << 20,) * 2)
try:
    archive.import_(sys.argv[2])
except qarchive.errors.QArchiveError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not keep to RLIMIT_AS")
@pytest.mark.parametrize(
    "case", ["a bomb", "many parts", "a trailer of nothing", "a large frame", "depth 100000", "many records"]
)
def test_a_bomb_is_refused_within_little_memory(lab, place, case):
    path = place / "bomb.qar"
    CASES[case](path)
    ran = subprocess.run([sys.executable, "-c", _BOUNDED, lab.path, path, "600"], capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("DamagedBundle\n" if case == "depth 100000" else "BadInput\n", "")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not keep to RLIMIT_AS")
def test_the_largest_blob_that_is_taken_in_fits_into_a_gigabyte(place):
    """One just below the limits, which is as bad as one can be: a list of empty lists."""
    data = raw("input", b"\xdd" + (limits.MAX_PARTS - 2).to_bytes(4, "big") + b"\x90" * (limits.MAX_PARTS - 2))
    path = bundle(place / "heavy.qar", *job(), data)
    ran = subprocess.run(
        [sys.executable, "-c", _BOUNDED, place / "heavy", path, "1024"], capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout, ran.stderr) == ("", "")
    shutil.rmtree(place / "heavy")
