"""`qarchive tag`, `note`, `rm` and `log`: whole outputs and whole messages, on jobs made up for them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click.testing
import pytest
from building import build

import qarchive
from qarchive import records
from qarchive.cli import main
from qarchive.stage import Stage
from qarchive.values import Link

DAY = 1_700_000_000 * 10**9  # 2023-11-14T22:13:20Z
HOUR = 3_600 * 10**9


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(Path(qarchive.__file__).parent.parent))
    return tmp_path


@pytest.fixture
def lab(home):
    """An archive with three jobs, an hour apart, the first two of them in a group; their ids."""
    path = home / "lab"
    with qarchive.open(path) as archive:
        archive.group("g")
        made = [build(0, created=DAY, group="g", tags=["old"], backend="simulator"),
                build(1, created=DAY + HOUR, group="g", backend="ibm_1"),
                build(2, created=DAY + 2 * HOUR, backend="ibm_2")]  # fmt: skip
        for each in made:
            archive._store.commit(each.blobs, durable=False)
    return path, [each.id.hex() for each in made]


def run(path, *arguments, code=0):
    """(stdout, stderr) of a command that ends with `code`."""
    found = click.testing.CliRunner().invoke(main, ["--archive", str(path), *map(str, arguments)])
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout, found.stderr


def document(path, *arguments, code=0):
    return json.loads(run(path, *arguments, "--json", code=code)[0])


def listed(path, *filters):
    return [job["id"] for job in document(path, "list", *filters)["jobs"]]


# tag, note


def test_tag_gives_and_takes(lab):
    path, jobs = lab
    assert run(path, "tag", "latest", "g", "--add", "paper", "--add", "b b", "--remove", "old") == (
        "", "qarchive: 3 jobs changed: +paper +b b -old\n"
    )  # fmt: skip
    assert listed(path, "--tag", "paper") == jobs[::-1] and listed(path, "--tag", "old") == []
    assert run(path, "tag", jobs[0][:8], "--add", "paper") == ("", "qarchive: it is so already: +paper\n")
    assert document(path, "tag", "g", "--remove", "paper") == {
        "schema": "qarchive/tag/1", "jobs": jobs[:2], "added": [], "removed": ["paper"]
    }  # fmt: skip
    assert run(path, "list", "--limit", 1)[0].splitlines()[1].endswith('100         1  #"b b" #paper')


def test_tag_says_what_is_missing(lab):
    path, _ = lab
    assert run(path, "tag", "latest", code=2) == (
        "",
        "qarchive: --add and --remove: are both missing; give at least one of them\n",
    )
    assert run(path, "tag", "--add", "a", code=2) == (
        "",
        "qarchive: missing argument 'REF...'; `qarchive tag --help` shows how\n",
    )
    assert run(path, "tag", "beef", "--add", "a", code=3) == (
        "", f"qarchive: job 'beef' is not in {path}; `qarchive list` shows what there is\n"
    )  # fmt: skip


def test_notes_are_shown_and_cannot_command_a_terminal(lab):
    path, jobs = lab
    assert run(path, "note", "latest", "the fridge was warm\x1b[31m\nand loud", "--author", "Curie, Marie") == (
        "", "qarchive: noted with 1 job\n"
    )  # fmt: skip
    assert document(path, "note", "g", "for both") == {"schema": "qarchive/note/1", "jobs": jobs[:2], "text": "for both"}
    shown = run(path, "show", "latest")[0]
    assert "\x1b" not in shown
    note = document(path, "show", "latest")["notes"][0]
    assert {name: note[name] for name in ("text", "author", "foreign")} == {
        "text": "the fridge was warm\x1b[31m\nand loud", "author": "Curie, Marie", "foreign": False
    }  # fmt: skip
    assert f"\nnotes\n  {note['created'][:16]}Z  Curie, Marie: the fridge was warm\\x1b[31m\\nand loud\n" in shown


# rm


def test_rm_says_what_it_would_remove_and_removes_nothing_unasked(lab):
    path, jobs = lab
    size = sum(bytes_ for *_, bytes_ in qarchive.open(path).job(jobs[0]).blobs)
    said = f"1 job, 1 of group g, with at most {size} B (uncompressed) that nothing else needs"
    table = "\n".join(run(path, "list", "--tag", "old")[0].splitlines())
    assert run(path, "rm", "--tag", "#old", "--dry-run") == (f"{table}\n{said}\n", "")
    assert run(path, "rm", "--tag", "old", code=2) == ("", (
        f"{table}\nqarchive: this removes {said}\n"
        "qarchive: removing 1 job: nobody can be asked here, and nothing is removed; give --yes\n"
    ))  # fmt: skip
    assert document(path, "rm", jobs[0], "--dry-run") == {
        "schema": "qarchive/rm/1", "dry_run": True, "removed": False, "jobs": [jobs[0]], "groups": {"g": 1}, "size": size
    }  # fmt: skip
    assert listed(path) == jobs[::-1]


def test_rm_removes_and_undo_lists_again(lab):
    path, jobs = lab
    assert run(path, "rm", "latest", "@2", "--yes") == ("", (
        "qarchive: removed 2 jobs; `qarchive gc` takes out for good what nothing needs, and `qarchive rm --undo ID` lists one "
        "again until then\n"
    ))  # fmt: skip
    assert listed(path) == jobs[:1]
    assert run(path, "rm", "--undo", jobs[2][:8]) == (f"{jobs[2][:12]}  is listed again\n", "")
    assert document(path, "rm", "--undo", jobs[1]) == {"schema": "qarchive/rm/1", "restored": [jobs[1]]}
    assert listed(path) == jobs[::-1]
    assert run(path, "verify", "--deep")[0].endswith(": no damage\n")


def test_what_gc_took_out_does_not_come_back(lab):
    path, jobs = lab
    run(path, "rm", "latest", "--yes")
    run(path, "gc")
    assert run(path, "rm", "--undo", jobs[2][:8], code=3) == ("", (
        f"qarchive: a removed job or group '{jobs[2][:8]}' is not in {path}; give 4 or more digits of its id; what "
        "`qarchive gc` has taken out is gone\n"
    ))  # fmt: skip
    assert listed(path) == jobs[1::-1]


def test_a_deleted_group_is_listed_again(lab):
    path, jobs = lab
    with qarchive.open(path) as archive:
        group = archive.group("h")
        group.delete()
        assert [each.name for each in archive.groups()] == ["g"]
        assert archive.restore(group.id[:6]) == group.id
        assert [each.name for each in archive.groups()] == ["g", "h"]
        archive.remove(jobs[0])
        with pytest.raises(qarchive.errors.NotFound):
            archive.restore(jobs[1])  # which was never removed


def test_rm_removes_nothing_that_is_under_way(lab):
    path, jobs = lab
    with qarchive.open(path) as archive:
        sent = build(7, status="SENDING", created=DAY)
        archive._store.commit(sent.blobs, durable=False)
    assert run(path, "rm", *jobs, sent.id.hex(), "--yes", code=2) == ("", (
        f"qarchive: job {sent.id.hex()[:12]}: is SENDING, and nothing is removed; wait for its end, or `qarchive sync` asks how "
        "it stands\n"
    ))  # fmt: skip
    assert len(listed(path)) == 4


@pytest.mark.parametrize(("arguments", "message"), [
    (["rm"], "what to remove: is not said; name jobs, or give a filter"),
    (["rm", "my group"], "my group: is a group; `qarchive group delete 'my group' --jobs` deletes it with its jobs"),
    (["rm", "--undo"], "--undo: takes ids and no other option; say `qarchive rm --undo ID`"),
    (["rm", "--undo", "beef", "--tag", "a"], "--undo: takes ids and no other option; say `qarchive rm --undo ID`"),
])  # fmt: skip
def test_rm_says_what_cannot_be(lab, arguments, message):
    path, _ = lab
    with qarchive.open(path) as archive:
        archive.group("my group")
    assert run(path, *arguments, "--yes" if arguments == ["rm"] else "--json", code=2)[1].count(message.split(";")[0])
    assert run(path, *arguments, code=2) == ("", f"qarchive: {message}\n")


def test_rm_asks_on_a_terminal(lab):
    path, jobs = lab
    for answer, left in (("n\n", 3), ("y\n", 2)):
        master, slave = pty.openpty()
        running = subprocess.Popen([sys.executable, "-m", "qarchive", "--archive", str(path), "rm", jobs[0]], stdin=slave,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        os.write(master, answer.encode())
        _, said = running.communicate()
        os.close(master)
        os.close(slave)
        assert running.returncode == 0 and "\nqarchive: this removes 1 job, 1 of group g, with at most " in said
        assert ("Remove 1 job? [y/N]: " in said) and ("nothing is removed" in said) == (left == 3)
        assert len(listed(path)) == left


# log


def test_log_tells_what_happened_the_newest_first(lab):
    path, jobs = lab
    run(path, "tag", jobs[0], "--add", "kept", "--remove", "old")
    run(path, "note", jobs[0], "warm\x1b[31m")
    run(path, "rm", jobs[1], "--yes")
    run(path, "rm", "--undo", jobs[1])
    found = document(path, "log", "--limit", 100)
    assert found["schema"] == "qarchive/log/1"
    events = [(event["job"], event["event"], event["detail"]) for event in found["events"]]
    assert events[:4] == [(jobs[1], "listed again", ""), (jobs[1], "removed", ""), (jobs[0], "noted", "warm\x1b[31m"),
                          (jobs[0], "tagged", "+kept -old")]  # fmt: skip
    assert sorted(events[4:10]) == sorted((job, status, "") for job in jobs for status in ("RUNNING", "DONE"))
    assert events[10:] == [(jobs[2], "created", "aer:ibm_2"), (jobs[1], "created", "aer:ibm_1 [g]"),
                           (jobs[0], "created", "aer:simulator [g] #old")]  # fmt: skip
    assert document(path, "log", "--limit", 3)["events"] == found["events"][:3]
    out, err = run(path, "log", "--limit", 3)
    minutes = [event["created"][:16] for event in found["events"]]
    assert (out, err) == ((
        f"TIME               JOB           EVENT         DETAIL\n"
        f"{minutes[0]}Z  {jobs[1][:12]}  listed again\n{minutes[1]}Z  {jobs[1][:12]}  removed\n"
        f"{minutes[2]}Z  {jobs[0][:12]}  noted         warm\\x1b[31m\n"
    ), "")  # fmt: skip


def test_log_of_jobs_of_groups_and_of_what_fits(lab):
    path, jobs = lab

    def told(*arguments):
        return {event.get("job", event.get("group")) for event in document(path, "log", *arguments)["events"]}

    assert told(jobs[0]) == {jobs[0]}
    assert told("--backend", "ibm_*") == set(jobs[1:])
    assert told("--tag", "old") == {jobs[0]}
    with qarchive.open(path) as archive:
        group = archive.group("mapped")
        stage = Stage(archive._store)
        stage.record(records.mapped_record(group=Link(bytes.fromhex(group.id)), author="a", sequence=1, circuits=3))
        stage.commit(durable=False)
    assert told("mapped") == {group.id}
    assert run(path, "log", "mapped")[0].splitlines()[1].endswith("  [mapped]  map ended  3 circuits")
    assert run(path, "log", "--tag", "none") == ("", f"qarchive: nothing is recorded in {path} that fits\n")
    assert run(path, "log", "latest", "--tag", "old", code=2) == (
        "", "qarchive: REF... and filters: both say of which jobs; give one of them\n"
    )  # fmt: skip


def test_log_sees_what_was_written_about_a_job_of_long_ago(lab):
    path, jobs = lab
    with qarchive.open(path) as archive:
        for number in range(30):
            archive._store.commit(build(100 + number, created=DAY + number * 10**15).blobs, durable=False)
    run(path, "tag", jobs[0], "--add", "late")
    run(path, "repack")
    for arguments in ((), ("--provider", "aer"), ("--tag", "late"), ("--backend", "simul*")):
        assert document(path, "log", "--limit", 1, *arguments)["events"][0]["detail"] == "+late"


def test_an_empty_archive_has_no_events(home):
    qarchive.open(home / "new").close()
    assert run(home / "new", "log") == ("", f"qarchive: nothing is recorded in {home / 'new'}\n")
