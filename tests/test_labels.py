"""Tags and notes that are given after the fact, in Python: what a job has, what two copies of an archive agree on."""

import pytest
from building import blob, build

import qarchive
from qarchive import errors, model, records
from qarchive.values import Link, Timestamp


@pytest.fixture
def lab(folder):
    with qarchive.open(folder / "one") as archive:
        yield archive


def add(archive, number=1, **about):
    """A job; its id."""
    built = build(number, **about)
    archive._store.commit(built.blobs, durable=False)
    return built.id.hex()


def tags(archive, job):
    """The tags of a job, as its records, the listing and the filter say alike."""
    found = archive.job(job).tags
    assert list(archive.job(job).row.tags) == found
    for tag in ("a", "b", "c", "paper"):
        assert [each.id for each in archive.jobs(tag=tag)] == ([job] if tag in found else [])
    archive.reindex()
    assert archive.job(job).tags == list(archive.job(job).row.tags) == found
    return found


def test_tags_come_and_go(lab):
    job = add(lab, tags=["paper"])
    lab.job(job).tag("b", "a", "b")
    assert tags(lab, job) == ["a", "b", "paper"]
    lab.job(job).untag("paper", "a")
    assert tags(lab, job) == ["b"]
    lab.job(job).tag("a", "paper")
    assert tags(lab, job) == ["a", "b", "paper"]


def test_what_is_so_already_writes_nothing(lab):
    job = lab.job(add(lab, tags=["paper"]))
    before = len(job.history)
    job.tag("paper")
    job.untag("a")
    assert len(job.history) == before
    assert job.labels == {"tags": ["paper"]}  # as it was recorded


def test_a_job_object_that_was_read_sees_its_own_changes_and_the_seal_stays(lab):
    job = lab.job(add(lab))
    seal, blobs = job.seal, job.blobs
    assert job.tags == [] and job.row.tags == ()
    job.tag("a")
    job.tag("a")
    job.note("odd", author="Curie, Marie")
    job.untag("a")
    assert (job.tags, job.row.tags, job.seal) == ([], (), seal)
    assert job.blobs == blobs
    assert [(note.text, note.author, note.foreign) for note in job.notes] == [("odd", "Curie, Marie", False)]


def test_notes_are_in_order_and_signed_by_the_setting(lab, folder, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    job = lab.job(add(lab))
    job.note("  first\nline  ")
    qarchive.config.write("author", "Noether, Emmy")
    job.note("second")
    assert [(note.text, note.author) for note in job.notes] == [("first\nline", ""), ("second", "Noether, Emmy")]


@pytest.mark.parametrize(("tag", "message"), [
    ("", "a tag: is empty; give a word"),
    (" ", "a tag: is empty; give a word"),
    (3, "a tag: cannot be 3; give a word"),
    ("a\x1b[31m", "a tag: is 'a\\x1b[31m' with the control character U+001B; leave it out"),
])  # fmt: skip
def test_what_is_no_tag_is_refused(lab, tag, message):
    job = lab.job(add(lab))
    for change in (job.tag, job.untag):
        with pytest.raises(errors.BadInput) as error:
            change("good", tag)
        assert str(error.value) == message
    assert job.tags == []


def test_what_is_no_note_is_refused(lab):
    for text, message in ((" ", "a note: is empty; give a sentence"), (None, "a note: cannot be None; give a sentence")):
        with pytest.raises(errors.BadInput) as error:
            lab.job(add(lab)).note(text)
        assert str(error.value) == message


def test_many_jobs_are_tagged_at_once_or_not_at_all(lab):
    jobs = [add(lab, number, group="g") for number in range(3)]
    with pytest.raises(errors.NotFound):
        lab.tag([jobs[0], "beefbeef"], add=["a"])
    with pytest.raises(errors.BadInput) as error:
        lab.tag(jobs, add=["a"], remove=["a"])
    assert str(error.value) == "the tag 'a': is to be added and removed; say one of them"
    assert len(lab.jobs(tag="a")) == 0
    lab.job(jobs[1]).tag("a")
    assert sorted(lab.tag(jobs[:2], add=["a", "b"])) == sorted(jobs[:2])
    assert lab.tag(jobs[0], add=["a"]) == []
    assert lab.tag([], add=["a"]) == []
    assert sorted(lab.note(jobs, "of all")) == sorted(jobs)
    assert [job.notes[0].text for job in lab.jobs()] == ["of all"] * 3


# Two copies


@pytest.fixture
def copies(lab, folder):
    """An archive with a job, another one that has taken it in, and the job."""
    job = add(lab, tags=["paper"])
    lab.flush()
    with qarchive.open(folder / "two") as other:
        other.merge(folder / "one")
        yield lab, other, job


def exchanged(one, other):
    """Both take in what the other has."""
    for archive in (one, other):
        archive.flush()
    for here, there in ((one, other), (other, one), (one, other)):
        here.merge(there.path)
        here.flush()


def test_two_people_who_tag_at_once_both_find_both_tags(copies):
    one, other, job = copies
    one.job(job).tag("a", "c")
    other.job(job).tag("b", "c")
    exchanged(one, other)
    assert tags(one, job) == tags(other, job) == ["a", "b", "c", "paper"]


def test_a_tag_that_one_gives_while_the_other_takes_it_away_stays(copies):
    one, other, job = copies
    other.job(job).tag("a")
    exchanged(one, other)
    other.job(job).untag("a")
    one.job(job).untag("a")
    one.job(job).tag("a")
    exchanged(one, other)
    assert tags(one, job) == tags(other, job) == ["a", "paper"]


def test_a_tag_of_ones_own_is_not_taken_away_by_others(copies):
    one, other, job = copies
    other.job(job).untag("paper")
    other.job(job).note("not for the paper", author="Noether, Emmy")
    exchanged(one, other)
    assert (tags(other, job), tags(one, job)) == ([], ["paper"])
    assert [(note.text, note.author, note.foreign) for note in one.job(job).notes] == [
        ("not for the paper", "Noether, Emmy", True)
    ]
    one.job(job).untag("paper")
    assert tags(one, job) == []


def test_an_annotation_of_an_attempt_or_with_fields_of_a_later_version_tags_all_the_same(lab):
    job = add(lab)
    attempt = lab.job(job).folded.current.link
    for more in ({"attempt": attempt, "tags": ["a"]}, {"tags": ["b"], "colour": "red", "note": 3.5}):
        lab._store.commit(
            [blob("record", {"type": "annotation", "job": Link(bytes.fromhex(job)), "created": Timestamp(1), **more})],
            durable=False,
        )
    assert tags(lab, job) == ["a", "b"]
    lab.job(job).untag("a", "b")
    assert tags(lab, job) == []
    assert lab.verify(deep=True).findings == []


def test_givers_are_those_whom_nobody_gainsays():
    job, of = b"j" * 32, Link(b"j" * 32)
    given = {"type": "annotation", "job": of, "tags": ["a"]}
    taken = {"type": "annotation", "job": of, "untagged": {"a": [Link(b"1" * 32)], "b": [of]}}
    about = {job: {"type": "job", "labels": {"tags": ["a", "b"]}}, b"1" * 32: given, b"2" * 32: taken}
    assert model.givers(job, about, frozenset()) == {("a", job)}
    assert model.givers(job, about, frozenset({b"2" * 32})) == {("a", job), ("b", job), ("a", b"1" * 32)}
    assert model.givers(job, about, frozenset(about)) == {("a", job)}
    assert records.wrong(taken | {"created": Timestamp(1)}) is None


def test_a_tag_that_a_terminal_would_obey_is_no_name_to_take_in():
    about = {"type": "annotation", "job": Link(b"j" * 32), "created": Timestamp(1), "tags": ["good", "a\x1b[31m"]}
    assert records.obeyed_name(about) == "tag 'a\\x1b[31m' with the control character U+001B"
    assert records.obeyed_name(about | {"tags": ["good"], "text": "two\nlines"}) is None
