"""The fold: a job is a function of the set of its records, whatever their order, whoever's clock."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import model
from qarchive.codec import digest, encode
from qarchive.model import STATUSES, TERMINAL, fold, job_of, summary, wrong
from qarchive.values import Link, Timestamp

LINK = Link(bytes(32))


def named(*records):
    """{digest: record} as an archive holds them."""
    return {digest(encode(record)): record for record in records}


def link(record):
    return Link(digest(encode(record)))


LABELS = {"group": "g", "tags": ["y", "x"]}
JOB = {"type": "job", "provider": "aer", "kind": "local", "backend": "b", "input": LINK, "config": LINK, "shots": 7, "size": 2,
       "created": Timestamp(5), "nonce": bytes(16), "names": ["a", "b", "c", "d"], "labels": LABELS}  # fmt: skip
ID = link(JOB)


def attempt(number, status="SENDING", nonce=0, **more):
    return {"type": "attempt", "job": ID, "number": number, "status": status, "backend": LINK, "environment": LINK,
            "created": Timestamp(number), "nonce": bytes([nonce]) * 8, **more}  # fmt: skip


def outcome(of, status, result=None, **more):
    record = {"type": "outcome", "job": ID, "attempt": link(of), "status": status, "provider_status": "", "created": Timestamp(9)}
    return record | more | ({"result": Link(bytes([result]) * 32)} if result is not None else {})


def sent(of, provider_job, status="QUEUED"):
    return later(of, status) | {"type": "sent", "provider_job": provider_job, "created": Timestamp(9)}


def later(of, status):
    """A record of a type that this version does not know."""
    return {"type": "later", "job": ID, "attempt": link(of), "status": status}


ATTEMPTS = [attempt(number, nonce=nonce) for number in (1, 2) for nonce in (0, 1)]
words = st.sampled_from([*STATUSES, "a word of a later version"])
records = st.one_of(
    st.just(JOB),
    st.sampled_from(ATTEMPTS),
    st.builds(outcome, st.sampled_from(ATTEMPTS), words, st.none() | st.integers(0, 2), created=st.integers(0, 9).map(Timestamp)),
    st.builds(sent, st.sampled_from(ATTEMPTS), st.sampled_from(["x", "y"]), words),
    st.builds(later, st.sampled_from(ATTEMPTS), words),
    st.builds(lambda note: {"type": "annotation", "job": ID, "note": note}, st.integers(0, 2)),
)
sets = st.lists(records, max_size=12).map(lambda found: named(*found))


def said(folded):
    return summary(folded), folded.outcome, folded.attempts, folded.others, folded.gaps, folded.provider_job


@settings(deadline=None)
@given(sets, st.randoms())
def test_the_order_of_arrival_changes_nothing(found, random):
    items = list(found.items())
    random.shuffle(items)
    assert said(fold(ID.digest, dict(items))) == said(fold(ID.digest, found))


@settings(deadline=None)
@given(sets, sets, sets)
def test_merging_is_commutative_associative_and_idempotent(one, two, three):
    merged = said(fold(ID.digest, (one | two) | three))
    assert said(fold(ID.digest, one | (two | three))) == merged
    assert said(fold(ID.digest, three | two | one)) == merged
    assert said(fold(ID.digest, one | two | three | two | one)) == merged


@settings(deadline=None)
@given(sets, records)
def test_another_record_never_takes_a_status_back(found, record):
    before = {found.digest: found.status for found in fold(ID.digest, found).attempts if found.record}
    after = {found.digest: found.status for found in fold(ID.digest, {**found, **named(record)}).attempts}
    assert all(STATUSES.index(after[name]) >= STATUSES.index(status) for name, status in before.items())


@settings(deadline=None)
@given(sets)
def test_no_clock_decides(found):
    """The same records with all their times turned round: the same statuses, and the same choices."""
    turned = {name: record | {"created": Timestamp(-record.get("created", Timestamp(0)).ns)} for name, record in found.items()}
    one, other = fold(ID.digest, found), fold(ID.digest, turned)
    statuses, others = ([(a.digest, a.status, a.provider_job) for a in folded.attempts] for folded in (one, other))
    assert statuses == others
    assert (one.status, one.current and one.current.digest) == (other.status, other.current and other.current.digest)
    assert (one.outcome or {}).get("result") == (other.outcome or {}).get("result")


@pytest.mark.parametrize("first", range(len(STATUSES)))
@pytest.mark.parametrize("second", range(len(STATUSES)))
def test_of_two_statuses_the_later_in_the_order_holds(first, second):
    one = attempt(1, "PREPARED")
    found = fold(ID.digest, named(JOB, one, outcome(one, STATUSES[first]), sent(one, "x", STATUSES[second])))
    assert found.status == STATUSES[max(first, second)]


def test_final_statuses_stand_above_the_others():
    assert frozenset({"REFUSED", "CANCELLED", "TIMED_OUT", "ERROR", "PARTIAL", "DONE"}) == TERMINAL
    assert min(map(STATUSES.index, TERMINAL)) > max(STATUSES.index(status) for status in STATUSES if status not in TERMINAL)


def test_a_job_without_attempts_is_prepared():
    assert fold(ID.digest, named(JOB)).status == "PREPARED"
    assert fold(ID.digest, {}).status == "PREPARED"


def test_a_job_that_was_done_once_is_done_whatever_is_tried_later():
    one, two = attempt(1), attempt(2)
    found = fold(ID.digest, named(JOB, one, outcome(one, "DONE", result=1), two, outcome(two, "ERROR")))
    assert (found.status, found.current.number, found.outcome["result"]) == ("DONE", 1, Link(b"\1" * 32))


def test_else_the_latest_attempt_speaks_and_failed_ones_stay():
    one, two = attempt(1), attempt(2)
    found = fold(ID.digest, named(JOB, one, outcome(one, "ERROR"), two))
    assert (found.status, found.current.number) == ("SENDING", 2)
    assert [(of.number, of.status) for of in found.attempts] == [(1, "ERROR"), (2, "SENDING")]


def test_of_two_attempts_with_one_number_the_further_one_speaks():
    one, other = attempt(1, nonce=0), attempt(1, nonce=1)
    assert fold(ID.digest, named(JOB, one, other, sent(one, "x"))).current.digest == link(one).digest
    assert fold(ID.digest, named(JOB, one, other, sent(other, "x"))).current.digest == link(other).digest


def test_an_outcome_with_a_result_holds_before_one_without():
    one = attempt(1)
    found = fold(ID.digest, named(JOB, one, outcome(one, "PARTIAL", result=1), outcome(one, "DONE")))
    assert (found.status, found.outcome["status"]) == ("DONE", "PARTIAL")


def test_records_of_an_attempt_that_has_not_arrived_count():
    one = attempt(1)
    found = fold(ID.digest, named(JOB, outcome(one, "DONE", result=1)))
    assert (found.status, found.current.number, found.current.record) == ("DONE", 0, None)


def test_an_attempt_of_which_only_unknown_words_are_known_is_unknown():
    one = attempt(1)
    assert fold(ID.digest, named(JOB, sent(one, "x", "PONDERING"))).status == "UNKNOWN"


def test_gaps_are_those_of_the_attempt_that_speaks():
    gap, other = {"what": "input", "reason": "a lock"}, {"what": "result", "reason": "no room"}
    one, two = attempt(1, gaps=[gap]), attempt(2, gaps=[other])
    found = fold(ID.digest, named(JOB, one, two, outcome(two, "DONE", gaps=[gap])))
    assert found.gaps == [other, gap]


def test_a_listing_shows_the_fields_of_the_job_and_of_the_attempt_that_speaks():
    one = attempt(1, calibration=Link(b"\5" * 32))
    assert summary(fold(ID.digest, named(JOB, one, sent(one, "cloud-1")))) == {
        "id": ID.digest, "created": Timestamp(5), "provider": "aer", "backend": "b", "kind": "local", "status": "QUEUED",
        "shots": 7, "size": 2,
        "group": "g", "tags": ["x", "y"], "input": LINK, "calibration": Link(b"\5" * 32), "provider_job": "cloud-1",
        "attempts": 1, "gaps": 0, "names": ["a", "b", "c"]}  # fmt: skip


def test_records_without_their_job_are_listed_with_what_is_known():
    one = attempt(1)
    assert summary(fold(ID.digest, named(one))) == {
        "id": ID.digest, "created": Timestamp(0), "provider": "", "backend": "", "kind": "", "status": "SENDING", "shots": None,
        "size": 0, "group": None, "tags": [], "input": None, "calibration": None, "provider_job": None, "attempts": 1, "gaps": 0,
        "names": []}  # fmt: skip


def test_equal_executions_are_different_jobs():
    fields = {"provider": "aer", "kind": "local", "backend": "b", "input": LINK, "config": LINK, "shots": 1, "size": 1}
    one, other = model.job_record(**fields), model.job_record(**fields)
    assert one["nonce"] != other["nonce"] and link(one) != link(other)


def test_a_record_is_about_the_job_that_it_names():
    assert job_of(b"x" * 32, JOB) == b"x" * 32
    assert job_of(b"x" * 32, attempt(1)) == ID.digest


@pytest.mark.parametrize(("record", "reason"), [
    ([], "it is no map with a type"),
    ({1: 2}, "it is no map with a type"),
    ({"type": 1}, "it is no map with a type"),
    ({"type": "later", "job": "no link"}, "a record of type 'later' whose job is of another type"),
    ({"type": "later"}, "a record of type 'later' without job"),
    ({**JOB, "shots": 10**5000}, "a record of type 'job' whose shots is of another type"),
    ({**JOB, "created": 1}, "a record of type 'job' whose created is of another type"),
    ({**JOB, "labels": {"tags": ["a", 1]}}, "a record of type 'job' whose labels is of another type"),
    ({**JOB, "names": "bell"}, "a record of type 'job' whose names is of another type"),
    ({key: value for key, value in JOB.items() if key != "backend"}, "a record of type 'job' without backend"),
    ({**attempt(1), "number": -1}, "a record of type 'attempt' whose number is of another type"),
    ({**attempt(1), "status": ["DONE"]}, "a record of type 'attempt' whose status is of another type"),
    ({**attempt(1), "gaps": [{"what": "x"}]}, "a record of type 'attempt' whose gaps is of another type"),
])  # fmt: skip
def test_a_wrong_record_is_told(record, reason):
    assert wrong(record) == reason


def test_a_record_of_a_later_type_or_with_later_fields_is_not_wrong():
    assert wrong({"type": "later", "job": ID, "anything": [1]}) is None
    assert wrong({**JOB, "later": {1: 2}}) is None
    assert wrong(attempt(1)) is None
