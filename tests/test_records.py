"""Records: what may stand in one, which are wrong, and what each is about."""

import pytest

from qarchive.codec import digest, encode
from qarchive.records import LAST, group_record, is_of_group, job_record, plain_text, removal_record, subject_of, wrong
from qarchive.values import Link, Timestamp

LINK = Link(bytes(32))
JOB = {"type": "job", "provider": "aer", "kind": "local", "backend": "b", "input": LINK, "config": LINK, "shots": 7, "size": 2,
       "created": Timestamp(5), "nonce": bytes(16), "names": ["a", "b"], "labels": {"group": "g", "tags": ["x"]}}  # fmt: skip
GROUP = {"type": "group", "name": "scan", "archive": "a", "number": 1}


def link(record):
    return Link(digest(encode(record)))


ID, GROUP_LINK = link(JOB), link(GROUP)
PLACE = {"group": GROUP_LINK, "author": "a", "sequence": 1, "first": 0}
MAPPED = {"type": "mapped", "group": GROUP_LINK, "author": "a", "sequence": 1, "circuits": 2, "created": Timestamp(5)}


def attempt(number):
    return {"type": "attempt", "job": ID, "number": number, "status": "SENDING", "backend": LINK, "created": Timestamp(number),
            "nonce": bytes(8)}  # fmt: skip


def test_equal_executions_are_different_jobs():
    fields = {"provider": "aer", "kind": "local", "backend": "b", "input": LINK, "config": LINK, "shots": 1, "size": 1}
    one, other = job_record(**fields), job_record(**fields)
    assert one["nonce"] != other["nonce"] and link(one) != link(other)


def test_a_record_is_about_the_job_that_it_names():
    assert subject_of(b"x" * 32, JOB) == b"x" * 32
    assert subject_of(b"x" * 32, attempt(1)) == ID.digest
    assert subject_of(b"x" * 32, removal_record(job=ID)) == ID.digest
    assert not any(map(is_of_group, (JOB, attempt(1), removal_record(job=ID), {**JOB, "group": LINK})))


def test_a_record_is_about_the_group_that_it_names_where_it_names_no_job():
    assert subject_of(b"x" * 32, GROUP) == b"x" * 32
    about = MAPPED, removal_record(group=GROUP_LINK), {"type": "later", "group": GROUP_LINK}
    assert {subject_of(b"x" * 32, record) for record in about} == {GROUP_LINK.digest}
    assert all(map(is_of_group, (GROUP, *about)))
    both = {**removal_record(group=GROUP_LINK), "job": ID}
    assert (subject_of(b"x" * 32, both), is_of_group(both)) == (ID.digest, False)


def test_whoever_makes_a_group_in_one_archive_makes_the_same():
    assert group_record(name="scan", archive="a", number=1) == GROUP
    others = [group_record(name="scan", archive="b", number=1), group_record(name="scan", archive="a", number=2)]
    assert len({link(record) for record in (GROUP, *others)}) == 3


def test_two_removals_are_two_records():
    assert link(removal_record(job=ID)) != link(removal_record(job=ID))


@pytest.mark.parametrize(("given", "kept"), [("a", "a"), ("\ud800", "\\ud800"), (type("Text", (str,), {})("é"), "é"), (5, "5")])
def test_a_text_is_kept_as_plain_text(given, kept):
    found = plain_text(given)
    assert (type(found), found) == (str, kept)
    assert group_record(name=given, archive="a", number=1)["name"] == kept


def test_a_text_that_cannot_be_told_is_named_by_its_class():
    class Silent:
        def __str__(self):
            raise ValueError

    assert plain_text(Silent()).startswith("a ") and plain_text(Silent()).endswith(".Silent")


@pytest.mark.parametrize(("record", "reason"), [
    ([], "it is no map with a type"),
    ({1: 2}, "it is no map with a type"),
    ({"type": 1}, "it is no map with a type"),
    ({"type": "later", "job": "no link"}, "a record of type 'later' whose job is of another type"),
    ({"type": "later"}, "a record of type 'later' without job"),
    ({"type": "later", "group": 1}, "a record of type 'later' whose group is of another type"),
    ({**JOB, "shots": 10**5000}, "a record of type 'job' whose shots is of another type"),
    ({**JOB, "created": 1}, "a record of type 'job' whose created is of another type"),
    ({**JOB, "labels": {"tags": ["a", 1]}}, "a record of type 'job' whose labels is of another type"),
    ({**JOB, "names": "bell"}, "a record of type 'job' whose names is of another type"),
    ({key: value for key, value in JOB.items() if key != "backend"}, "a record of type 'job' without backend"),
    ({**attempt(1), "number": -1}, "a record of type 'attempt' whose number is of another type"),
    ({**attempt(1), "status": ["DONE"]}, "a record of type 'attempt' whose status is of another type"),
    ({**attempt(1), "gaps": [{"what": "x"}]}, "a record of type 'attempt' whose gaps is of another type"),
    ({**attempt(1), "on": None}, "a record of type 'attempt' whose on is of another type"),
    ({**attempt(1), "input": bytes(32)}, "a record of type 'attempt' whose input is of another type"),
    ({**JOB, "member": {}}, "a record of type 'job' whose member is of another type"),
    ({**JOB, "member": PLACE | {"sequence": LAST + 1}}, "a record of type 'job' whose member is of another type"),
    ({**JOB, "member": PLACE | {"first": True}}, "a record of type 'job' whose member is of another type"),
    ({**JOB, "member": PLACE | {"mapped": 1}}, "a record of type 'job' whose member is of another type"),
    ({**JOB, "member": PLACE | {"replaces": bytes(32)}}, "a record of type 'job' whose member is of another type"),
    ({**JOB, "prepared": {"calibration": LINK}}, "a record of type 'job' whose prepared is of another type"),
    ({**JOB, "prepared": {"backend": LINK, "remote": 1}}, "a record of type 'job' whose prepared is of another type"),
    ({**GROUP, "name": b"scan"}, "a record of type 'group' whose name is of another type"),
    ({key: value for key, value in GROUP.items() if key != "archive"}, "a record of type 'group' without archive"),
    ({**MAPPED, "group": "scan"}, "a record of type 'mapped' whose group is of another type"),
    ({**MAPPED, "circuits": -1}, "a record of type 'mapped' whose circuits is of another type"),
    ({"type": "removal", "created": Timestamp(1), "nonce": bytes(8)}, "a record of type 'removal' without job"),
    ({**removal_record(job=ID), "group": 1}, "a record of type 'removal' whose group is of another type"),
    ({"type": "status", "job": ID, "attempt": LINK, "status": "UNKNOWN", "provider_status": "", "created": Timestamp(1),
      "error": {"type": "x"}}, "a record of type 'status' whose error is of another type"),
])  # fmt: skip
def test_a_wrong_record_is_told(record, reason):
    assert wrong(record) == reason


def test_a_record_of_a_later_type_or_with_later_fields_is_not_wrong():
    assert wrong({"type": "later", "job": ID, "anything": [1]}) is None
    assert wrong({"type": "later", "group": ID, "anything": [1]}) is None
    assert wrong({**JOB, "later": {1: 2}, "member": PLACE | {"later": 1}}) is None
    assert wrong(attempt(1)) is None
    assert wrong({**JOB, "member": PLACE | {"sequence": LAST, "first": LAST}}) is None
