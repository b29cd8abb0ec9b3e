"""Packs: what was committed is read back, a cut is a tail, everything else is damage, and hostile bytes raise nothing."""

import hashlib
import io
import os
import struct
import tracemalloc

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import codec, pack
from qarchive.errors import Damaged, NewerFormat, NotEncodable
from qarchive.pack import Blob, Commit, Damage, Entry, Seal, Tail

NAME = bytes(range(16))
COMPRESSOR = zstandard.ZstdCompressor(level=3, write_checksum=True, write_content_size=True)


def blob(value, kind="input", key=None):
    data = codec.encode(value)
    return Blob(kind, codec.digest(data), data, key)


def written(*commits, synced=0):
    data = b""
    for blobs in commits:
        data += pack.build(NAME, len(data), synced, list(blobs), COMPRESSOR)
    return data


@pytest.fixture
def path(tmp_path):
    return tmp_path / f"{NAME.hex()}.pack"


def sealed(path, data):
    path.write_bytes(data)
    return data + pack.build_trailer(NAME, len(data), hashlib.sha256(data).digest(), list(pack.scan(path)))


THREE = [[blob([n, "x" * 50], key=bytes([n]) * 32), blob({"type": "job", "n": n}, "record")] for n in range(3)]


def parts(path, data, start=0):
    path.write_bytes(data)
    return [(type(part).__name__, part.offset, getattr(part, "whole", True)) for part in pack.scan(path, start)]


# What was written


def test_every_blob_is_read_back_with_its_kind_and_key(path):
    path.write_bytes(written(*THREE, synced=0))
    commits = list(pack.scan(path))
    with open(path, "rb") as file:
        found = [[Blob(e.kind, e.digest, pack.read(file, path, e), e.key) for e in commit.entries] for commit in commits]
    assert found == THREE
    assert [commit.synced for commit in commits] == [0, 0, 0]


def test_records_are_in_frames_of_their_own_behind_the_data(path):
    path.write_bytes(written([blob(1), blob(2), blob(3, "record"), blob(4, "record")]))
    entries = next(pack.scan(path)).entries
    assert [entry.frame == entries[0].frame for entry in entries] == [True, True, False, False]
    assert entries[2].frame == entries[3].frame == entries[0].frame + entries[0].stored


def test_blobs_share_a_frame_up_to_1_mib(path):
    blobs = [blob("x" * (600 << 10)), blob("y" * (300 << 10)), blob("z" * (200 << 10)), blob([os.urandom(1 << 20)] * 2)]
    path.write_bytes(written(blobs))
    entries = next(pack.scan(path)).entries
    assert [entry.start for entry in entries] == [0, entries[0].length, 0, 0]
    assert all(entry.raw <= pack.FRAME_SIZE for entry in entries[:3])


@pytest.mark.parametrize("end", ["open", "sealed"])
def test_zstd_alone_reads_the_values_of_all_blobs(path, end):
    data = written(*THREE) if end == "open" else sealed(path, written(*THREE))
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        assert reader.read() == b"".join(blob.data for commit in THREE for blob in commit)


def test_a_scan_begins_where_a_commit_ended(path):
    data = written(*THREE)
    first = len(written(THREE[0]))
    assert parts(path, data, first)[0][1] == first
    assert len(parts(path, data, first)) == 2
    assert pack.read_hash(path, first) == list(pack.scan(path))[0].hash


def test_a_trailer_says_what_the_headers_say(path):
    path.write_bytes(sealed(path, written(*THREE)))
    *commits, seal = pack.scan(path)
    listed = [(c.offset, c.length, c.synced, c.entries) for c in pack.sealed_commits(path)]
    assert listed == [(c.offset, c.length, c.synced, c.entries) for c in commits]
    assert seal == pack.read_seal(path) == Seal(len(written(*THREE)), hashlib.sha256(written(*THREE)).digest())


def test_an_open_pack_has_no_seal(path):
    path.write_bytes(written(*THREE))
    assert (pack.read_seal(path), pack.sealed_commits(path)) == (None, None)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (NAME.hex() + ".pack", NAME),
        (NAME.hex().upper() + ".pack", None),
        (NAME.hex(), None),
        (NAME.hex() + ".abandoned", None),
        ("00.pack", None),
        ("x" * 32 + ".pack", None),
        ("00 " * 16 + ".pack", None),
    ],
)
def test_a_pack_is_named_by_its_id(tmp_path, name, found):
    assert pack.pack_id(tmp_path / name) == found


@pytest.mark.parametrize("kind", ["", "two words", "x" * 65, "k\n", "é"])
def test_a_kind_that_readers_refuse_is_not_written(kind):
    with pytest.raises(NotEncodable) as caught:
        written([blob(1, kind)])
    assert str(caught.value) == f"cannot be stored: a blob of the kind {kind!r}"


def test_a_header_that_readers_refuse_is_not_written(monkeypatch):
    monkeypatch.setattr(pack, "MAX_HEADER", 200)
    with pytest.raises(NotEncodable) as caught:
        written([blob(n) for n in range(9)])
    assert str(caught.value) == "cannot be stored: 9 blobs in one commit"


# Tails and damage


def test_a_pack_cut_anywhere_is_whole_commits_and_a_tail(path):
    data = written(*THREE)
    ends = [len(written(*THREE[:n])) for n in range(4)]
    for size in range(len(data) + 1):
        whole = sum(end <= size for end in ends[1:])
        tail = [] if size in ends else [("Tail", ends[whole], True)]
        assert parts(path, data[:size]) == [("Commit", at, True) for at in ends[:whole]] + tail


@pytest.mark.parametrize("garbage", [b"\0" * 5000, b"\xff" * 17, pack.MARK, pack.HEADER, pack.HEADER + b"\xff" * 4 + pack.MARK])
def test_other_bytes_at_the_end_are_a_tail(path, garbage):
    data = written(*THREE)
    assert parts(path, data + garbage)[3:] == [("Tail", len(data), True)]


def test_a_flipped_byte_in_a_commit_with_others_behind_it_is_damage(path):
    data = written(*THREE)
    for at in range(len(written(THREE[0]))):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        found = parts(path, flipped)
        assert found[0] in (("Damage", 0, True), ("Commit", 0, False)), at
        assert found[1:] == parts(path, data)[1:], at


def test_every_flipped_byte_of_a_sealed_pack_is_damage(path):
    data = sealed(path, written(*THREE))
    for at in range(len(data)):
        found = parts(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert any(kind == "Damage" or not whole for kind, _, whole in found), at
        assert not any(kind == "Tail" for kind, _, _ in found), at


def test_a_flipped_byte_in_the_last_commit_of_an_open_pack_is_a_tail(path):
    data = written(*THREE)
    last = len(written(*THREE[:2]))
    for at in range(last, len(data)):
        assert parts(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])[2:] == [("Tail", last, True)], at


def test_a_commit_that_says_it_goes_beyond_the_end_hides_none_behind_it(path):
    first = written(THREE[0])
    cut = first[:-20]  # its header is whole
    second = pack.build(NAME, len(cut), 0, THREE[1], COMPRESSOR)
    huge = len(second) - 20
    following = pack.build(NAME, len(cut) + huge, 0, THREE[2], COMPRESSOR)
    data = cut + second[:huge] + following
    assert parts(path, data)[-1] == ("Commit", len(cut) + huge, True)
    body = codec.encode([1, NAME, 0, 0, [[1 << 20, 1 << 20]], [["input", 1 << 20, bytes(32)]]])
    longer = header(body)
    behind = pack.build(NAME, len(longer), 0, THREE[0], COMPRESSOR)
    assert parts(path, longer + behind) == [("Damage", 0, True), ("Commit", len(longer), True)]


def test_a_commit_of_another_pack_or_place_is_none(path):
    data = written(*THREE)
    other = pack.build(bytes(16), len(data), 0, THREE[0], COMPRESSOR)
    moved = pack.build(NAME, len(data) + 1, 0, THREE[0], COMPRESSOR)
    assert parts(path, data + other)[3:] == [("Tail", len(data), True)]
    assert parts(path, data + moved)[3:] == [("Tail", len(data), True)]


def test_a_pack_that_is_cut_off_while_it_is_read_ends_there(path):
    data = written(THREE[0], [blob([os.urandom(1 << 20), os.urandom(1 << 20), os.urandom(1 << 20)])])
    path.write_bytes(data)
    found = pack.scan(path)
    assert type(next(found)) is Commit
    os.truncate(path, len(data) - (2 << 20))
    assert [type(part) for part in found] == [Tail]


def test_a_damaged_blob_is_refused_and_its_neighbours_are_not(path):
    data = bytearray(written([blob("a" * 30), blob(1, "record")], [blob(2)]))
    path.write_bytes(data)
    entries = next(pack.scan(path)).entries
    data[entries[0].frame + 12] ^= 1
    path.write_bytes(data)
    with open(path, "rb") as file:
        with pytest.raises(Damaged) as caught:
            pack.read(file, path, entries[0])
        assert pack.read(file, path, entries[1]) == codec.encode(1)
    assert (caught.value.path, caught.value.offset, caught.value.exit_code) == (str(path), entries[0].frame, 5)


@pytest.mark.parametrize(("change", "reason"), [
    ({"stored": 100}, "a frame with other sizes than its directory says"),
    ({"raw": 30}, "a frame with other sizes than its directory says"),
    ({"digest": bytes(32)}, f"blob {'00' * 32} has other bytes than its digest says"),
    ({"stored": 1 << 60}, f"a frame said to be {1 << 60} bytes for 32"),
    ({"stored": -1}, "a frame said to be -1 bytes for 32"),
    ({"raw": (1 << 30) + 1}, f"a frame said to be STORED bytes for {(1 << 30) + 1}"),
    ({"frame": 0}, "a frame with other sizes than its directory says"),
])  # fmt: skip
def test_a_directory_that_does_not_fit_its_frame_is_refused_with_the_place(path, change, reason):
    path.write_bytes(written([blob("a" * 31)]))
    entry = next(pack.scan(path)).entries[0]
    assert entry.raw == 32
    reason = reason.replace("STORED", str(entry.stored))
    fields = {name: getattr(entry, name) for name in Entry._fields} | change
    with open(path, "rb") as file, pytest.raises(Damaged) as caught:
        pack.read(file, path, Entry(**fields))
    assert str(caught.value) == f"{path} at byte {fields['frame']}: {reason}; run `qarchive verify` to see what is affected"


def test_a_frame_that_is_none_is_damage(path):
    path.write_bytes(written([blob("a" * 31)]))
    entry = next(pack.scan(path)).entries[0]
    fields = {name: getattr(entry, name) for name in Entry._fields}
    for change in ({"stored": 12}, {"stored": 3}, {"frame": entry.frame + 1}):
        with open(path, "rb") as file, pytest.raises(Damaged) as caught:
            pack.read(file, path, Entry(**fields | change))
        assert caught.value.reason.startswith("a frame that does not decompress (")  # and then zstd's own words


# Hostile bytes


def header(body):
    start = pack.HEADER + struct.pack("<I", 8 + len(body) + 32) + pack.MARK + body
    return start + hashlib.sha256(start).digest()


def trailer(body):
    start = pack.TRAILER + struct.pack("<I", 8 + len(body) + 48) + pack.MARK + body
    return start + hashlib.sha256(start).digest() + struct.pack("<Q", len(start) + 48) + pack.END


simple = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary(max_size=40) | st.just("input")
known = st.sampled_from([NAME, bytes(32), 0, 1, 20])
odd = st.recursive(simple | known, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
sizes = odd | st.lists(st.lists(st.integers(-5, 300) | odd, min_size=2, max_size=2), max_size=3)
blobs = st.tuples(st.just("input") | odd, st.integers(-5, 300) | odd, st.just(bytes(32)) | odd).map(list)
listed = odd | st.lists(blobs, max_size=3)
commits = st.lists(st.tuples(st.just(0), st.integers(-5, 300), st.just(0), sizes, listed).map(list), max_size=1)


def bodies(*more):
    return st.lists(odd, max_size=7) | st.tuples(st.just(1), st.just(NAME), st.just(0), *more).map(list) | odd


@settings(deadline=None, max_examples=300)
@given(bodies(st.just(0) | odd, sizes, listed))
def test_no_content_of_a_header_raises(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("pack") / f"{NAME.hex()}.pack"
    data = header(codec.encode(body)) + bytes(400)
    path.write_bytes(data)
    try:
        for found in pack.scan(path):
            assert type(found) in (Commit, Tail)
    except NewerFormat:
        assert type(body[0]) is int and body[0] > 1 and body[1:3] == [NAME, 0]


@settings(deadline=None, max_examples=300)
@given(bodies(st.just(bytes(32)) | odd, commits | odd))
def test_no_content_of_a_trailer_raises(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("pack") / f"{NAME.hex()}.pack"
    path.write_bytes(trailer(codec.encode(body)))
    try:
        found = [type(part) for part in pack.scan(path)]
        assert found in ([Damage], [Seal])
        assert (pack.sealed_commits(path) is None) == (found == [Damage])
    except NewerFormat:
        assert type(body[0]) is int and body[0] > 1 and body[1:3] == [NAME, 0]


GOOD = ["input", 10, bytes(32)]


@pytest.mark.parametrize("body", [
    [1, NAME, 0, 0, [], []],
    [1, NAME, 0, 1, [[20, 10]], [GOOD]],
    [1, NAME, 0, -1, [[20, 10]], [GOOD]],
    [1, NAME, 0, 0, [[0, 10]], [GOOD]],
    [1, NAME, 0, 0, [[-20, 10]], [GOOD]],
    [1, NAME, 0, 0, [[139, 10]], [GOOD]],
    [1, NAME, 0, 0, [[20, (1 << 30) + 1]], [["input", (1 << 30) + 1, bytes(32)]]],
    [1, NAME, 0, 0, [[20, 11]], [GOOD]],
    [1, NAME, 0, 0, [[20, 9]], [GOOD]],
    [1, NAME, 0, 0, [[20, 10]], [GOOD, None]],
    [1, NAME, 0, 0, [[20, 10]], [["input", 0, bytes(32)], GOOD]],
    [1, NAME, 0, 0, [[20, 10]], [["input", 10, bytes(31)]]],
    [1, NAME, 0, 0, [[20, 10]], [["input", 10, bytes(32), b"short"]]],
    [1, NAME, 0, 0, [[20, 10]], [["input", 10, bytes(32), bytes(32), 0]]],
    [1, NAME, 0, 0, [[20, 10]], [["\x1b[2J", 10, bytes(32)]]],
    [1, NAME, 0.0, 0, [[20, 10]], [GOOD]],
    [0, NAME, 0, 0, [[20, 10]], [GOOD]],
    [1, NAME, 0, 0, [[20, 10]], [GOOD], 7],
], ids=repr)  # fmt: skip
def test_a_header_that_breaks_one_rule_is_none(path, body):
    assert parts(path, with_frames_of(body)) == [("Tail", 0, True)]


def with_frames_of(body):
    """A commit around a header's body: frames of the sizes that it declares, and a footer that fits."""
    sizes = [frame[0] for frame in body[4] if type(frame[0]) is int and 0 < frame[0] < 1000]
    data = header(codec.encode(body)) + bytes(sum(sizes))
    return data + pack.FOOTER + struct.pack("<I", 32) + hashlib.sha256(data).digest()


@pytest.mark.parametrize("frame", [[1, 10], [20, 10], [138, 10]])
def test_the_rules_above_are_broken_one_at_a_time(path, frame):
    assert parts(path, with_frames_of([1, NAME, 0, 0, [frame], [GOOD]])) == [("Commit", 0, True)]


def test_a_header_beyond_the_limit_is_none(path, monkeypatch):
    data = written(*THREE)
    monkeypatch.setattr(pack, "MAX_HEADER", struct.unpack("<I", data[4:8])[0])
    assert parts(path, data)[0] == ("Commit", 0, True)
    monkeypatch.setattr(pack, "MAX_HEADER", struct.unpack("<I", data[4:8])[0] - 1)
    assert parts(path, data)[0] == ("Tail", 0, True)


def test_an_unknown_ext_type_in_a_header_or_trailer_is_damage_and_no_later_version(path):
    body = b"\x93\x02\xd4\x0b\x00\x00"
    assert parts(path, header(body)) == [("Tail", 0, True)]
    assert parts(path, trailer(body)) == [("Damage", 0, True)]


def test_a_trailer_must_list_every_commit_and_nothing_else(path):
    data = written(*THREE)
    path.write_bytes(data)
    commits, content = list(pack.scan(path)), hashlib.sha256(data).digest()
    for listed in ([], commits[:2], commits[1:], [commits[0], commits[2]], [*commits, commits[2]], commits[::-1]):
        found = parts(path, data + pack.build_trailer(NAME, len(data), content, listed))
        assert [kind for kind, _, _ in found] == ["Commit"] * 3 + ["Damage"]


@pytest.mark.parametrize("make", [header, trailer])
def test_a_later_version_is_told_from_damage(path, make):
    path.write_bytes(make(codec.encode([2, NAME, 0, {"anything": 1}])))
    with pytest.raises(NewerFormat) as caught:
        list(pack.scan(path))
    assert str(caught.value) == f"{path} has format 2 and this qarchive reads up to 1; install a newer qarchive"


def test_a_header_of_a_later_version_inside_other_bytes_is_data(path):
    data = written([blob("a")]) + b"torn" + header(codec.encode([2, bytes(16), 0, None]))
    assert parts(path, data) == [("Commit", 0, True), ("Tail", len(written([blob("a")])), True)]


def test_sizes_that_are_only_said_take_no_memory(path):
    bomb = COMPRESSOR.compress(bytes(1 << 28))  # declares 256 MiB, in a few kilobytes
    entry = Entry("input", bytes(32), 10, None, 0, len(bomb), 10, 0)
    path.write_bytes(bomb)
    tracemalloc.start()
    try:
        with open(path, "rb") as file, pytest.raises(Damaged):
            pack.read(file, path, entry)
        path.write_bytes(header(codec.encode([1, NAME, 0, 0, [[1 << 30, 1 << 30]], [["input", 1 << 30, bytes(32)]]])))
        assert [type(part) for part in pack.scan(path)] == [Tail]
        path.write_bytes(pack.HEADER + b"\xff\xff\xff\xff" + pack.MARK + bytes(100) + struct.pack("<Q", 1 << 62) + pack.END)
        assert [type(part) for part in pack.scan(path)] == [Damage]
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()
