"""spec/format.md and the code say the same."""

import re
from pathlib import Path

import pytest

from qarchive import codec, identity, model, pack, records
from qarchive.values import CHUNK, ITEM_SIZES, TAGS, Link, Timestamp

SPEC = Path(__file__).parent.parent / "spec"
FORMAT = (SPEC / "format.md").read_text("utf-8")


def section(title):
    """The text of one section of format.md."""
    return next(part for part in re.split(r"^## ", FORMAT, flags=re.M) if part.startswith(f"{title}\n"))


def rows(text):
    """The cells of all tables in a text, head lines left out."""
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    rules = {place for place, row in enumerate(found) if set("".join(row)) == {"-"}}
    return [row for place, row in enumerate(found) if not {place, place + 1} & rules]


def test_the_table_of_tags_is_the_registry():
    tags = [row[0].strip("`") for row in rows((SPEC / "tags.md").read_text("utf-8"))]
    assert len(tags) == len(set(tags))
    assert set(tags) == TAGS


def test_ext_types_are_those_of_the_code():
    listed = {row[1].replace("big integer", "bigint").upper(): int(row[0]) for row in rows(section("Values"))}
    assert listed == {name: getattr(codec, name) for name in listed}
    assert sorted(listed.values()) == list(range(1, 11))


def test_dtypes_are_those_of_the_code():
    listed = re.search(r"dtype is one of (.*?) \(", section("Values"), re.S)[1]
    assert re.findall(r"`(.*?)`", listed) == sorted(ITEM_SIZES, key=list(ITEM_SIZES).index)


def test_the_pattern_of_tags_is_that_of_the_code():
    pattern = re.search(r"Tags match `(.*?)`", section("Values"))[1]
    for tag in ("a", "a" * 64, "a" * 65, "", "1a", "a-b", "a.b_1", "a\n", "é"):
        try:
            codec.decode(typed(tag))
            accepted = True
        except codec.NotCanonical:
            accepted = False
        assert accepted == bool(re.fullmatch(pattern, tag)), tag


def typed(tag):
    text = tag.encode()
    head = bytes([0xA0 + len(text)]) if len(text) < 32 else bytes([0xD9, len(text)])
    payload = b"\x92" + head + text + b"\x00"
    short = {4: b"\xd6", 8: b"\xd7", 16: b"\xd8"}.get(len(payload))
    return (short or bytes([0xC7, len(payload)])) + b"\x0a" + payload


def test_limits_are_those_of_the_code():
    limits = {row[0]: int(row[1]) for row in rows(section("Threats and limits"))}
    assert limits == {
        "bytes of a blob, and of a frame uncompressed": codec.MAX_BYTES,
        "a byte string longer than this is chunked": CHUNK,
        "bytes of a chunk": CHUNK,
        "depth": codec.MAX_DEPTH,
        "other sizes of an array without items, multiplied": codec.MAX_EMPTY,
        "bytes of a commit's header behind its first 8": pack.MAX_HEADER,
        "bytes of a trailer": codec.MAX_BYTES,
        "length of a tag, of a kind": 64,
    }
    assert "A pack that has reached 64 MiB is sealed, and one to which a writer has added 131072 blobs" in section("Writing")
    assert (pack.SEAL_SIZE, pack.SEAL_BLOBS) == (64 << 20, 131072)
    assert "Blobs should share a frame\n  up to 1 MiB" in section("Packs")
    assert pack.FRAME_SIZE == 1 << 20


def test_frames_begin_and_end_as_described():
    magics = [bytes.fromhex(magic) for magic in re.findall(r"`((?:[0-9a-f]{2} ){3}18)`: a skippable frame", section("Packs"))]
    assert magics == [pack.HEADER, pack.FOOTER, pack.TRAILER]
    words = {row[1].strip("`") for row in rows(section("Packs"))}
    assert {pack.MARK.decode(), pack.END.decode()} <= words


def test_versions_are_those_of_the_code():
    assert FORMAT.startswith(f"# The format of a qarchive archive, version {pack.VERSION}\n")
    assert pack.VERSION == identity.FORMAT


def test_statuses_are_those_of_the_code_and_in_order():
    line = next(line for line in section("Records").splitlines() if line.startswith("`PREPARED` `"))
    assert tuple(re.findall(r"`(\w+)`", line)) == model.STATUSES
    first = re.search(r"From `(\w+)` on they are final", section("Records"))[1]
    assert frozenset(model.STATUSES[model.RANK[first] :]) == model.TERMINAL


def fields_of(record_type):
    """{field: its description} of one type of record, from the table."""
    found, current = {}, None
    for kind, names, meaning in (row for row in rows(section("Records")) if len(row) == 3):
        current = kind.strip("`") or current
        if current == record_type:
            found |= dict.fromkeys(re.findall(r"`(\w+)`", names), meaning)
    return found


def test_record_types_are_those_of_the_code():
    listed = [row[0].strip("`") for row in rows(section("Records")) if row[0]]
    assert sorted(listed) == sorted(records.RECORD_TYPES)


LINK = Link(bytes(32))
GAPS = [{"what": "input", "reason": "a lock"}]
PLACE = {"group": LINK, "author": "a", "sequence": 1, "first": 0}
FULL = {
    "job": records.job_record(provider="aer", kind="local", backend="b", input=LINK, config=LINK, shots=1, size=1, names=["a"],
                              labels={"group": "g"}, parent=LINK, member=PLACE | {"mapped": True, "replaces": LINK},
                              prepared={"backend": LINK, "calibration": LINK, "remote": True}),
    "attempt": records.attempt_record(job=LINK, number=1, backend=LINK, environment=LINK, calibration=LINK,
                                      captured=Timestamp(1), input=LINK, config=LINK, on="x", code=LINK, gaps=GAPS,
                                      local=True),
    "outcome": records.outcome_record(job=LINK, attempt=LINK, status="DONE", provider_status="DONE", provider_job="x",
                                      result=LINK, volatile={"a": 1}, error={"type": "a", "message": "b"}, usage={"s": 1},
                                      gaps=GAPS),
    "sent": records.sent_record(job=LINK, attempt=LINK, provider_job="x", batch="b", session="s", instance="i"),
    "status": records.status_record(job=LINK, attempt=LINK, status="RUNNING", provider_status="r",
                                    error={"type": "a", "message": ""}),
    "calibration": records.calibration_record(job=LINK, attempt=LINK, calibration=LINK, phase="run", captured=Timestamp(1)),
    "attachment": records.attachment_record(job=LINK, name="logical", value=LINK),
    "event": records.event_record(job=LINK, name="closed", value=LINK),
    "signature": records.signature_record(job=LINK, seal=bytes(32), signature="x"),
    "annotation": records.annotation_record(job=LINK, tags=["a"], untagged={"b": [LINK]}, text="t", author="x"),
    "group": records.group_record(name="scan", archive="a", number=1),
    "mapped": records.mapped_record(group=LINK, author="a", sequence=1, circuits=1),
    "removal": records.removal_record(job=LINK) | records.removal_record(group=LINK),
    "restored": records.restored_record([LINK], job=LINK) | records.restored_record([LINK], group=LINK),
}  # fmt: skip
LEAST = {
    "job": records.job_record(provider="aer", kind="local", backend="b", input=LINK, config=LINK, shots=None, size=1),
    "attempt": records.attempt_record(job=LINK, number=1, backend=LINK, environment=None, calibration=None, gaps=[], local=False),
    "outcome": records.outcome_record(job=LINK, attempt=LINK, status="DONE", provider_status="", provider_job=None, result=None,
                                      volatile={}, error=None, usage={}, gaps=[]),
    "sent": records.sent_record(job=LINK, attempt=LINK, provider_job="x"),
    "status": records.status_record(job=LINK, attempt=LINK, status="RUNNING", provider_status=""),
    "calibration": FULL["calibration"],
    "attachment": FULL["attachment"],
    "event": records.event_record(job=LINK, name="closed", value=None),
    "signature": FULL["signature"],
    "annotation": {name: value for name, value in records.annotation_record(job=LINK).items() if name != "nonce"},
    "group": FULL["group"],
    "mapped": FULL["mapped"],
    "removal": {name: value for name, value in FULL["removal"].items() if name not in ("job", "group")},
    "restored": {name: value for name, value in FULL["restored"].items() if name not in ("job", "group")},
}  # fmt: skip


@pytest.mark.parametrize("kind", FULL)
def test_the_fields_of_a_record_are_those_that_the_code_writes(kind):
    described = fields_of(kind)
    always = {"type"} | ({"job"} if kind not in ("job", "group", "mapped", *records.LOCAL) else set())
    assert set(FULL[kind]) == set(described) | always
    absent = {name for name, meaning in described.items() if meaning.endswith("or absent") or meaning == "as above"}
    assert set(LEAST[kind]) == set(described) - absent | always
    assert kind == "group" or type(FULL[kind]["created"]) is Timestamp
    assert records.wrong(FULL[kind]) is None
    assert (records.wrong(LEAST[kind]) is None) == (kind not in records.LOCAL)  # which must be of something


@pytest.mark.parametrize("field", ["member", "prepared", "error", "labels"])
def test_what_a_map_inside_a_record_must_hold_is_told_by_the_table(field):
    kind, full = next((kind, record[field]) for kind, record in FULL.items() if field in record)
    assert set(full) <= set(re.findall(r"`(\w+)`", fields_of(kind)[field]))
    for name in full:
        record = {**FULL[kind], field: {key: value for key, value in full.items() if key != name}}
        absent = field == "labels" or name in ("mapped", "replaces", "calibration", "remote")
        assert (records.wrong(record) is None) == absent, name
        assert records.wrong({**FULL[kind], field: {**full, name: None}}) is not None, name


@pytest.mark.parametrize(("local", "status"), [(True, "RUNNING"), (False, "SENDING")])
def test_the_status_of_an_attempt_says_whether_it_is_local(local, status):
    record = records.attempt_record(job=LINK, number=1, backend=LINK, environment=LINK, calibration=None, gaps=[], local=local)
    assert record["status"] == status
    assert status in fields_of("attempt")["status"]
    assert fields_of("sent")["status"] == f"`{FULL['sent']['status']}`"


def test_decisions_are_numbered_and_say_what_was_rejected():
    pages = sorted(path.name for path in (SPEC / "decisions").glob("*.md"))
    assert [page[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = (SPEC / "decisions" / page).read_text("utf-8")
        assert re.findall(r"^## (.*)$", text, re.M) == ["Question", "Decision", "Rejected", "Consequences"], page
