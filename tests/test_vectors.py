"""The vectors in spec/, read by the package and by tools/reader.py, which share no code: they must agree."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from test_index_groups import ALL, INPUT

from qarchive import check, codec, model, pack, records
from qarchive.errors import Damaged, NewerFormat, NotCanonical
from qarchive.index import Query
from qarchive.store import Store
from qarchive.values import CHUNK, Array, Chunked, Link, Timestamp, Typed

ROOT = Path(__file__).parent.parent
VECTORS = ROOT / "spec" / "vectors"
READER = ROOT / "tools" / "reader.py"

_found = importlib.util.spec_from_file_location("reader", READER)
reader = importlib.util.module_from_spec(_found)
_found.loader.exec_module(reader)


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


def names(vectors):
    return [vector["name"] for vector in vectors]


def run(*arguments):
    """The reader as its own process: in an empty environment, so that it cannot find qarchive."""
    return subprocess.run([sys.executable, "-I", READER, *arguments], capture_output=True, text=True, encoding="utf-8", env={})


def translated(value):
    """A value of the package as the reader has it, so that the reader's notation can show it."""
    kind = type(value)
    if kind is list:
        return [translated(item) for item in value]
    if kind is tuple:
        return tuple(translated(item) for item in value)
    if kind is set:
        return reader.Set(tuple(translated(item) for item in sorted(value, key=codec.encode)))
    if kind is dict:
        if all(type(key) is str for key in value):
            return {key: translated(item) for key, item in value.items()}
        return reader.Map(tuple((translated(key), translated(value[key])) for key in sorted(value, key=codec.encode)))
    if kind is Link:
        return reader.Link(value.digest)
    if kind is Timestamp:
        return reader.Time(value.ns)
    if kind is Typed:
        return reader.Typed(value.tag, translated(value.value))
    if kind is Chunked:
        return reader.Chunked(value.length, tuple(map(translated, value.links)))
    if kind is Array:
        return reader.Array(value.dtype, value.shape, translated(value.data))
    return value


@pytest.fixture
def tiny(tmp_path):
    """A copy of the tiny archive."""
    return Path(shutil.copytree(VECTORS / "tiny", tmp_path / "tiny"))


def verdict(decode, refusals, data):
    try:
        decode(data)
    except refusals as error:
        return type(error).__name__
    return "decoded"


# Values


@pytest.mark.parametrize("vector", load("values"), ids=names(load("values")))
def test_a_value_has_these_bytes_and_means_this(vector):
    data = bytes.fromhex(vector["bytes"])
    value = codec.decode(data)
    assert reader.show(translated(value)) == reader.show(reader.decode(data)) == vector["value"]
    assert codec.encode(value) == data
    assert codec.digest(data).hex() == vector["digest"]


@pytest.mark.parametrize("vector", load("refused"), ids=names(load("refused")))
def test_these_bytes_are_refused_by_both_and_for_the_same_reason(vector):
    data = bytes.fromhex(vector["bytes"])
    assert verdict(codec.decode, (NotCanonical, NewerFormat), data) == vector["error"]
    assert verdict(reader.decode, (reader.NotCanonical, reader.NewerFormat), data) == vector["error"]


def agree(data):
    ours = verdict(codec.decode, (NotCanonical, NewerFormat), data)
    other = verdict(reader.decode, (reader.NotCanonical, reader.NewerFormat), data)
    assert (ours == "decoded") == (other == "decoded"), data.hex()  # bytes with two faults may be refused for either
    if ours == "decoded":
        assert reader.show(translated(codec.decode(data))) == reader.show(reader.decode(data))


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_both_refuse_the_same_bytes(data):
    agree(data)


@settings(deadline=None)
@given(st.sampled_from(load("values")), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=2))
def test_both_refuse_the_same_changed_values(vector, changes):
    data = bytearray.fromhex(vector["bytes"])
    for at, byte in changes:
        data[at % len(data)] = byte
    agree(bytes(data))


@settings(deadline=None)
@given(st.sampled_from(load("values")), st.integers(0, 1 << 16), st.binary(max_size=3), st.integers(0, 3))
def test_both_refuse_the_same_shifted_values(vector, at, inserted, removed):
    data = bytes.fromhex(vector["bytes"])
    at %= len(data)
    agree(data[:at] + inserted + data[at + removed :])


# The tiny archive


def test_vectors_are_made_again_with_the_same_bytes(tmp_path):
    command = [sys.executable, ROOT / "tools" / "make_vectors.py", tmp_path]
    made = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert made.returncode == 0, made.stderr
    files = sorted(path.relative_to(VECTORS) for path in VECTORS.rglob("*") if path.is_file())
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()) == files
    assert [path for path in files if (tmp_path / path).read_bytes() != (VECTORS / path).read_bytes()] == []


def test_the_package_reads_the_tiny_archive_as_described():
    expected = load("tiny")
    for described in expected["packs"]:
        path = VECTORS / "tiny" / "packs" / described["file"]
        seal = pack.read_seal(path)
        assert (seal and seal.content.hex()) == described["sealed"]
        found = []
        with open(path, "rb") as file:
            for commit in pack.scan(path):
                if type(commit) is pack.Commit and commit.whole:
                    blobs = [blob(path, file, entry) for entry in commit.entries]
                    found.append({"offset": commit.offset, "length": commit.length, "synced": commit.synced, "blobs": blobs})
        assert found == described["commits"]


def blob(path, file, entry):
    value = codec.decode(pack.read(file, path, entry))
    found = {"kind": entry.kind, "digest": entry.digest.hex(), "length": entry.length, "value": reader.show(translated(value))}
    return found | ({"key": entry.key.hex()} if entry.key else {})


def test_the_package_folds_the_tiny_archive_as_described(tiny):
    store = Store.open(tiny)
    try:
        for job, expected in load("tiny")["jobs"].items():
            row = store.index.row(bytes.fromhex(job))
            digests, foreign = store.index.records_by_origin(bytes.fromhex(job))
            outcome = model.fold(bytes.fromhex(job), {digest: store.value(digest) for digest in digests}, foreign).outcome
            shown = {name: getattr(row, name) for name in expected if name not in ("created", "outcome")}
            shown["created"], shown["tags"] = row.created.ns, list(row.tags)
            shown["outcome"] = outcome and codec.digest(codec.encode(outcome)).hex()
            assert shown == expected
        assert store.index.count(Query(kind=None)) == len(load("tiny")["jobs"])
        assert check.verify(store, deep=True).findings == []
    finally:
        store.close()


def listed_groups(index):
    """The groups of an index as `tiny.json` describes them."""
    return {row.id.hex(): {"name": row.name, "archive": row.archive, "number": row.number,
                           "jobs": [member.id.hex() for member in index.members(row.id)]}
            for row in index.groups() if not row.removed}  # fmt: skip


def test_the_package_lists_the_groups_of_the_tiny_archive_as_described(tiny):
    store = Store.open(tiny)
    try:
        assert listed_groups(store.index) == load("tiny")["groups"]
        [group] = store.index.groups("scan")[1:]
        assert store.index.maps_ended(group.id, store.id) == {1: 2}
        assert [(row.number, row.removed) for row in store.index.groups()] == [(2, True), (1, False)]
    finally:
        store.close()


def test_the_reader_reads_the_tiny_archive_as_described():
    assert reader.describe(reader.Archive(VECTORS / "tiny")) == load("tiny")
    assert reader.check_vectors(VECTORS / "tiny", VECTORS) == []


@pytest.mark.parametrize("flip", load("flips"), ids=lambda flip: f"{flip['file'][:8]} {flip['offset']} {flip['what']}")
def test_a_flipped_byte_is_noticed_by_both(tiny, flip):
    path = next(tiny.rglob(flip["file"]))
    data = bytearray(path.read_bytes())
    data[flip["offset"]] ^= 1
    path.write_bytes(data)
    if "error" in flip:
        with pytest.raises(Damaged):
            Store.open(tiny)
        with pytest.raises(reader.Damaged):
            reader.Archive(tiny)
        return
    store = Store.open(tiny)
    try:
        ours = {finding.kind for finding in check.verify(store).findings}
    finally:
        store.close()
    archive = reader.Archive(tiny)
    other = {finding.kind for finding in archive.verify()}
    assert flip["finding"] in ours & other
    assert ("damage" in ours, "damage" in other) == (flip["finding"] == "damage",) * 2


PACKS = {path.name: path.read_bytes() for path in (VECTORS / "tiny" / "packs").iterdir()}


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKS)), st.lists(st.tuples(st.integers(0, 7000), st.integers(0, 255)), max_size=3),
       st.none() | st.integers(0, 7000), st.binary(max_size=3), st.integers(0, 7000))  # fmt: skip
def test_both_find_the_same_commits_in_a_changed_pack(tmp_path_factory, name, changes, cut, inserted, place):
    data = bytearray(PACKS[name])
    for at, byte in changes:
        data[at % len(data)] = byte
    data = (data[:place] + inserted + data[place:])[:cut]
    path = tmp_path_factory.mktemp("packs") / name
    path.write_bytes(data)
    ours = [(type(part).__name__.lower(), part.offset, part.length, getattr(part, "whole", None))
            for part in pack.scan(path) if type(part) is not pack.Seal]  # fmt: skip
    other = [(*part, None) if type(part) is tuple else ("commit", part.offset, part.length, part.whole)
             for part in reader.Pack(path).parts()]  # fmt: skip
    assert ours == other


JOB = Link(b"j" * 32)
REFERRED = st.sampled_from([Link(bytes([n]) * 32) for n in range(3)])
STATUS = st.sampled_from([*model.STATUSES, "a later word"])
ABOUT = st.fixed_dictionaries(
    {"type": st.sampled_from(["outcome", "sent", "status", "event", "removal", "later"]), "job": st.just(JOB),
     "attempt": REFERRED, "status": STATUS, "created": st.just(Timestamp(1))},
    optional={"result": REFERRED, "provider_job": st.sampled_from(["a", "b"])},
)  # fmt: skip
SENDING = st.fixed_dictionaries(
    {"type": st.just("attempt"), "job": st.just(JOB), "number": st.integers(1, 2), "status": STATUS},
    optional={"on": st.sampled_from(["a", "b"])},
)


TAGS = st.lists(st.sampled_from("ab"), max_size=2)
UNKNOWN = [Link(bytes([n]) * 32) for n in range(2)]


@st.composite
def annotations(draw):
    """Records that give and take tags; those that take name some that came before, or some that nobody has."""
    found = []
    for number in range(draw(st.integers(0, 5))):
        givers = st.lists(
            st.sampled_from([JOB, *UNKNOWN, *(Link(codec.digest(codec.encode(each))) for each in found)]), max_size=3
        )
        found.append({"type": "annotation", "job": JOB, "created": Timestamp(number), "tags": draw(TAGS),
                      "untagged": draw(st.dictionaries(st.sampled_from("ab"), givers))})  # fmt: skip
    return found


@settings(deadline=None)
@given(annotations(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_both_see_the_same_tags(about, mine):
    job = PREPARED | {"labels": {"tags": ["a"]}}
    records = {codec.digest(codec.encode(record)): record for record in about} | {JOB.digest: job}
    own = {digest for digest, is_own in zip(records, mine, strict=False) if is_own}
    ours = model.fold(JOB.digest, records, frozenset(records) - own)
    other = reader.fold(JOB.digest, {digest: translated(record) for digest, record in records.items()}, own)
    assert list(ours.tags) == other["tags"]


@settings(deadline=None)
@given(st.dictionaries(REFERRED, SENDING), st.lists(ABOUT, max_size=8), st.lists(st.booleans(), min_size=11, max_size=11))
def test_both_fold_alike(attempts, others, mine):
    records = {link.digest: record for link, record in attempts.items()}
    records |= {codec.digest(codec.encode(record)): record for record in others}
    own = {digest for digest, is_own in zip(records, mine, strict=False) if is_own}
    ours = model.fold(JOB.digest, records, frozenset(records) - own)
    other = reader.fold(JOB.digest, {digest: translated(record) for digest, record in records.items()}, own)
    assert (ours.status, len(ours.attempts), ours.provider_job) == (other["status"], other["attempts"], other["provider_job"])
    assert ours.outcome == (records[other["outcome"]] if other["outcome"] else None)
    assert ours.backend == other["backend"]


PLACE = {"group": JOB, "author": "a", "sequence": 1, "first": 0}
PREPARED = {"type": "job", "provider": "aer", "kind": "local", "backend": "b", "input": JOB, "config": JOB, "shots": None,
            "size": 1, "created": Timestamp(1), "nonce": b""}  # fmt: skip
WRONG = [None, [], {}, {"type": 1}, {"type": "later"}, {"type": "attempt", "job": JOB},
         {"type": "annotation", "job": JOB, "created": 5}, {"type": "later", "job": JOB, "group": 1},
         {"type": "removal", "created": Timestamp(1), "nonce": b""}, {"type": "group", "name": "a", "archive": "b"},
         {"type": "mapped", "group": JOB, "author": "a", "sequence": -1, "circuits": 1, "created": Timestamp(1)},
         PREPARED | {"member": PLACE | {"sequence": 1 << 63}}, PREPARED | {"prepared": {}}]  # fmt: skip


@pytest.mark.parametrize("record", WRONG, ids=repr)
def test_the_reader_reports_a_wrong_record_and_reads_the_others(tiny, record):
    data = codec.encode(record)
    path = tiny / "packs" / f"{'a' * 32}.pack"
    compressor = zstandard.ZstdCompressor()
    path.write_bytes(pack.build(pack.pack_id(path), 0, 0, [pack.Blob("record", codec.digest(data), data)], compressor))
    archive = reader.Archive(tiny)
    assert [(finding.kind, finding.where) for finding in archive.verify()] == [("wrong", codec.digest(data).hex())]
    assert len(archive.jobs()) == len(load("tiny")["jobs"])


FIELDS = {"job": JOB, "group": JOB, "name": "a", "archive": "b", "number": 1, "author": "a", "sequence": 1, "circuits": 0,
          "on": "b", "created": Timestamp(1), "nonce": b"", "attempt": JOB, "status": "DONE", "provider_status": "",
          "backend": JOB, "input": JOB, "config": JOB, "value": JOB, "provider_job": "p", "gaps": [], "shots": None, "size": 1,
          "error": {"type": "a", "message": "b"}, "member": PLACE, "prepared": {"backend": JOB}, "provider": "aer",
          "kind": "local", "calibration": JOB, "phase": "run", "captured": Timestamp(1), "tags": ["a"], "untagged": {"a": [JOB]},
          "text": "a"}  # fmt: skip
ODD = st.sampled_from([None, True, -1, 1 << 63, "a", b"", JOB, [], {}, {1: 2}, Timestamp(1), {"type": "a"}, {"message": "b"},
                       *({name: value for name, value in PLACE.items() if name != left} for left in PLACE),
                       PLACE | {"mapped": 1}, PLACE | {"replaces": 1}, PLACE | {"mapped": False, "replaces": JOB},
                       {"backend": JOB, "remote": True}, {"backend": JOB, "remote": 0},
                       {"backend": JOB, "calibration": 1}, {"a": [JOB, 1]}, {"a": JOB}, ["a", 1]])  # fmt: skip
ANY = st.builds(
    lambda kind, left_out, odd: {**{name: FIELDS[name] for name in FIELDS if name not in left_out}, **odd, "type": kind},
    st.sampled_from([*records.RECORD_TYPES, "later"]), st.sets(st.sampled_from(sorted(FIELDS)), max_size=2),
    st.dictionaries(st.sampled_from(sorted(FIELDS)), ODD, max_size=2))  # fmt: skip


@settings(deadline=None, max_examples=500)
@given(ANY)
def test_both_find_the_same_records_wrong_and_about_the_same(record):
    ours, other = records.wrong(record), reader.wrong(translated(record))
    assert (ours is None) == (other == ""), (ours, other)
    if ours is None:
        assert records.is_of_group(record) == reader.is_of_group(translated(record))


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_both_list_the_same_groups_and_miss_the_same_blobs(tmp_path_factory, data):
    parts = data.draw(st.permutations([INPUT, *ALL]))[: data.draw(st.integers(1, len(ALL) + 1))]
    cut = data.draw(st.integers(1, len(parts)))
    store = Store.create(tmp_path_factory.mktemp("groups") / "lab")
    try:
        for blobs in (parts[:cut], parts[cut:]):
            if blobs:
                store.commit(blobs, durable=False)
        archive = reader.Archive(store.path)
        groups = {group.hex(): {"name": record["name"], "archive": record["archive"], "number": record["number"],
                                "jobs": [job.hex() for job in members]}
                  for group, (record, members) in archive.groups().items()}  # fmt: skip
        assert groups == listed_groups(store.index)
        rows = store.index.rows(Query(kind=None), 100)
        assert {job.hex(): found["backend"] for job, found in archive.jobs().items()} == {row.id: row.backend for row in rows}
        ours, other = check.verify(store, deep=True).findings, archive.verify()
        assert {(each.kind, each.where) for each in ours} == {(each.kind, each.where) for each in other}
    finally:
        store.close()


# The reader's command line


def test_the_reader_lists_jobs():
    found = run(VECTORS / "tiny", "list")
    assert found.stdout.splitlines() == [line(job) for job in load("tiny")["jobs"]]
    assert (found.returncode, found.stderr) == (0, "")


def line(job):
    """A job of the tiny archive as the reader prints it."""
    fields = load("tiny")["jobs"][job]
    day = f"2024-03-01T00:00:00.{fields['created'] % 10**9:09d}Z"
    return f"{job}  {day}  aer  {fields['backend']}  {fields['status']}  1000"


def test_the_reader_lists_groups_with_their_jobs_in_order():
    found = run(VECTORS / "tiny", "groups")
    [(group, fields)] = load("tiny")["groups"].items()
    head = f"{group}  scan  fedcba9876543210fedcba9876543210  1"
    assert found.stdout.splitlines() == [head, *(f"  {line(job)}" for job in fields["jobs"])]
    assert (len(fields["jobs"]), found.returncode, found.stderr) == (5, 0, "")


def test_the_reader_verifies():
    found = run(VECTORS / "tiny", "verify")
    assert (found.stdout, found.stderr, found.returncode) == ("3 packs, 7 commits, 47 blobs, 38 records\n", "", 0)


def test_the_reader_ends_with_5_where_something_is_damaged(tiny):
    path = tiny / "packs" / load("tiny")["packs"][0]["file"]
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    found = run(tiny, "verify")
    assert found.stdout.startswith("damage: ")
    assert (found.stderr, found.returncode) == ("", 5)


def test_the_reader_shows_a_blob_by_a_unique_prefix():
    described = load("tiny")["packs"][0]["commits"][0]["blobs"][0]
    found = run(VECTORS / "tiny", "cat", described["digest"][:12])
    assert (found.stdout, found.returncode) == (described["value"] + "\n", 0)
    found = run(VECTORS / "tiny", "cat", "")
    assert (found.stdout, found.stderr, found.returncode) == ("", "47 blobs begin with \n", 3)


def test_the_reader_checks_the_vectors():
    found = run(VECTORS / "tiny", "vectors", VECTORS)
    assert (found.stdout, found.stderr, found.returncode) == ("all vectors agree\n", "", 0)


@pytest.mark.parametrize("arguments", [[], ["list"], ["tiny", "mend"], ["tiny", "cat"], ["tiny", "list", "more"]])
def test_the_reader_tells_how_it_is_called(arguments):
    found = run(*arguments)
    assert (found.stdout, found.stderr, found.returncode) == ("", reader.__doc__ + "\n", 2)


def test_the_reader_says_what_it_cannot_read(tmp_path, tiny):
    found = run(tmp_path / "nothing", "list")
    assert (found.stdout, found.returncode) == ("", 3)
    (tiny / "archive.json").write_text('{"format": 2}')
    assert run(tiny, "list").returncode == 8
    (tiny / "archive.json").write_text("[" * 2000)
    found = run(tiny, "list")
    assert (found.stderr, found.returncode) == ("damaged: archive.json is no identity of an archive\n", 5)


def test_the_reader_imports_nothing_of_the_package():
    names = subprocess.run([sys.executable, "-c", f"import sys, runpy; runpy.run_path({str(READER)!r}); print(*sys.modules)"],
                           capture_output=True, text=True, cwd=ROOT).stdout.split()  # fmt: skip
    assert "zstandard" in names
    assert not any(name.split(".")[0] in ("qarchive", "msgpack") for name in names)


# The package's own archives


def test_the_reader_reads_what_the_package_writes(tmp_path):
    store = Store.create(tmp_path / "lab")
    try:
        long = codec.encode(bytes(CHUNK))
        last = codec.encode(b"\0")
        chunks = [pack.Blob("chunk", codec.digest(piece), piece) for piece in (long, last)]
        links = tuple(Link(codec.digest(piece)) for piece in [long] * 4 + [last])
        data = codec.encode(Chunked(4 * CHUNK + 1, links))
        result = pack.Blob("result", codec.digest(data), data)
        store.commit([*chunks, result], durable=True)
        link = Link(result.digest)
        job = records.job_record(provider="aer", kind="local", backend="b", input=link, config=link, shots=None, size=1)
        record = codec.encode(job)
        store.commit([pack.Blob(pack.RECORD, codec.digest(record), record)], durable=True)
        archive = reader.Archive(tmp_path / "lab")
        assert archive.verify() == []
        assert {job: found["status"] for job, found in archive.jobs().items()} == {codec.digest(record): "PREPARED"}
        assert store.value(result.digest) == bytes(4 * CHUNK + 1)
    finally:
        store.close()
