"""The fold: a job is a function of the set of its records, whatever their order, whoever's clock."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.codec import digest, encode
from qarchive.model import STATUSES, TERMINAL, fold, summary
from qarchive.records import removal_record, wrong
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


ATTEMPTS = [attempt(number, nonce=nonce, **({"on": "c"} if nonce else {})) for number in (1, 2) for nonce in (0, 1)]
REMOVAL = {**removal_record(job=ID), "created": Timestamp(7), "nonce": bytes(8), "attempt": link(ATTEMPTS[0])}
words = st.sampled_from([*STATUSES, "a word of a later version"])
records = st.one_of(
    st.just(JOB),
    st.just(REMOVAL),
    st.just({"type": "mapped", "group": ID, "author": "a", "sequence": 1, "circuits": 1, "created": Timestamp(1)}),
    st.sampled_from(ATTEMPTS),
    st.builds(outcome, st.sampled_from(ATTEMPTS), words, st.none() | st.integers(0, 2), created=st.integers(0, 9).map(Timestamp)),
    st.builds(sent, st.sampled_from(ATTEMPTS), st.sampled_from(["x", "y"]), words),
    st.builds(later, st.sampled_from(ATTEMPTS), words),
    st.builds(lambda note: {"type": "annotation", "job": ID, "note": note}, st.integers(0, 2)),
)
sets = st.lists(records, max_size=12).map(lambda found: named(*found))


def said(folded):
    return summary(folded), folded.outcome, folded.attempts, folded.others, folded.gaps, folded.provider_job, folded.removed


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
        "attempts": 1, "gaps": 0, "names": ["a", "b", "c"], "open": True, "error": ""}  # fmt: skip


def test_records_without_their_job_are_listed_with_what_is_known():
    one = attempt(1)
    assert summary(fold(ID.digest, named(one))) == {
        "id": ID.digest, "created": Timestamp(0), "provider": "", "backend": "", "kind": "", "status": "SENDING", "shots": None,
        "size": 0, "group": None, "tags": [], "input": None, "calibration": None, "provider_job": None, "attempts": 1, "gaps": 0,
        "names": [], "open": True, "error": ""}  # fmt: skip


def test_the_backend_is_the_one_that_the_attempt_was_sent_to():
    one, two = attempt(1, on="c"), attempt(2)
    assert fold(ID.digest, named(JOB)).backend == "b"
    assert summary(fold(ID.digest, named(JOB, one)))["backend"] == "c"
    assert summary(fold(ID.digest, named(JOB, one, two)))["backend"] == "b"
    assert fold(ID.digest, named(one)).backend == "c"
    assert fold(ID.digest, named(outcome(one, "DONE"))).backend == ""


def test_an_error_is_that_of_the_outcome_or_of_what_was_last_said_of_the_status():
    lost = {"type": "x", "message": "no answer"}
    one = attempt(1)
    asked = {"type": "status", "job": ID, "attempt": link(one), "status": "SENDING", "provider_status": "",
             "created": Timestamp(1), "error": lost}  # fmt: skip
    assert fold(ID.digest, named(JOB, one)).error is None
    assert summary(fold(ID.digest, named(JOB, one, asked)))["error"] == "no answer"
    assert fold(ID.digest, named(JOB, one, asked, sent(one, "x"))).error is None  # of a status that no longer holds
    failed = outcome(one, "ERROR", error={"type": "y", "message": "m" * 300})
    assert summary(fold(ID.digest, named(JOB, one, asked, failed)))["error"] == "m" * 200


def test_a_job_with_a_removal_is_removed_and_otherwise_as_it_was():
    one = attempt(1)
    before = fold(ID.digest, named(JOB, one, outcome(one, "DONE")))
    after = fold(ID.digest, named(JOB, one, outcome(one, "DONE"), REMOVAL))
    assert (before.removed, after.removed) == (False, True)
    assert (after.status, after.attempts, summary(after)) == (before.status, before.attempts, summary(before))


def test_a_removal_makes_no_attempt_of_the_one_that_it_names():
    found = fold(ID.digest, named(JOB, REMOVAL))
    assert (found.removed, found.attempts, found.status) == (True, (), "PREPARED")


@pytest.mark.parametrize("record", [
    {"type": "removal", "group": ID, "created": Timestamp(1), "nonce": bytes(8)},
    {"type": "mapped", "group": ID, "author": "a", "sequence": 1, "circuits": 1, "created": Timestamp(1), "job": ID},
    {"type": "later", "group": ID, "attempt": link(ATTEMPTS[0]), "status": "DONE"},
], ids=lambda record: record["type"])  # fmt: skip
def test_a_record_about_a_group_says_nothing_of_a_job_with_the_same_id(record):
    assert wrong(record) is None
    one = attempt(1)
    assert said(fold(ID.digest, named(JOB, one, record))) == said(fold(ID.digest, named(JOB, one)))


def test_a_job_record_is_no_word_about_an_attempt():
    job = JOB | {"attempt": LINK, "status": "DONE"}
    assert fold(link(job).digest, named(job)).status == "PREPARED"


def folded_with(own, foreign):
    return fold(ID.digest, named(JOB, *own, *foreign), frozenset(named(*foreign)))


def test_what_others_say_of_an_own_attempt_counts_until_its_result_is_here():
    one = attempt(1)
    claimed = outcome(one, "DONE", result=1, provider_job="zzz")
    waiting = folded_with([one, sent(one, "cloud-1")], [claimed, sent(one, "zzz")])
    assert (waiting.status, waiting.outcome, waiting.provider_job) == ("DONE", claimed, "cloud-1")
    ended = outcome(one, "PARTIAL", result=2, provider_job="cloud-1")
    folded = folded_with([one, sent(one, "cloud-1"), ended], [claimed, sent(one, "zzz")])
    assert (folded.status, folded.outcome, folded.provider_job) == ("PARTIAL", ended, "cloud-1")
    assert folded.pending is None


def test_an_own_attempt_is_asked_about_until_its_end_was_seen_here_whatever_others_say():
    one = attempt(1)
    claims = [outcome(one, "DONE", result=1), sent(one, "zzz"), attempt(9, "DONE", nonce=1)]
    folded = folded_with([one, sent(one, "cloud-1")], claims)
    assert (folded.pending.link, folded.pending.status, folded.pending.provider_job) == (link(one), "QUEUED", "cloud-1")
    assert summary(folded)["open"]
    unanswered = folded_with([one], claims)
    assert (unanswered.pending.status, unanswered.pending.provider_job) == ("SENDING", None)
    assert folded_with([one, outcome(one, "CANCELLED")], claims).pending is None


def test_an_own_attempt_that_is_done_speaks_before_a_later_one_of_somebody_elses():
    one, other = attempt(1), attempt(9, "DONE", nonce=1)
    own = [one, outcome(one, "DONE", result=1)]
    assert folded_with(own, [other, outcome(other, "DONE", result=2)]).current.link == link(one)
    assert folded_with([one], [other, outcome(other, "DONE", result=2)]).current.link == link(other)


def test_somebody_elses_attempt_is_asked_about_where_there_is_no_own_one():
    one = attempt(1)
    assert folded_with([], [one, sent(one, "cloud-1")]).pending.link == link(one)
    assert folded_with([], [one, outcome(one, "DONE", result=1)]).pending is None
