"""`qarchive list`: patterns, lines of JSON, times, the pager, narrow terminals; and what the shell completes."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import click.testing
import pytest
from building import build

import qarchive
from qarchive.cli import main, output
from qarchive.values import Timestamp

DAY = 1_700_000_000 * 10**9  # 2023-11-14T22:13:20Z
BACKENDS = ("ibm_fez", "ibm_osaka", "aer", "a[b]c", "abc", "qpu:belenos")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """An archive with 60 jobs on six backends, the newest of them made an hour and a half ago."""
    path = tmp_path_factory.mktemp("listing") / "lab"
    newest = time.time_ns() - 5_400 * 10**9
    with qarchive.open(path) as archive:
        for number in range(60):
            made = build(number, created=newest if number == 59 else DAY + number * 10**9, backend=BACKENDS[number % 6],
                         tags=["even"] * (number % 2 == 0), size=2)  # fmt: skip
            archive._store.commit(made.blobs, durable=False)
    return path


def run(path, *arguments, code=0):
    """(stdout, stderr) of a command that ends with `code`."""
    found = click.testing.CliRunner().invoke(main, ["--archive", str(path), *map(str, arguments)])
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout, found.stderr


# Patterns


@pytest.mark.parametrize(("pattern", "fits"), [
    ("ibm_*", {"ibm_fez", "ibm_osaka"}), ("ibm_???", {"ibm_fez"}), ("*", set(BACKENDS)), ("*:*", {"qpu:belenos"}),
    ("a[b]*", {"a[b]c"}), ("a?c", {"abc"}), ("ae", set()), ("aer", {"aer"}), ("IBM*", set()), ("nope*", set()),
])  # fmt: skip
def test_a_pattern_finds_the_backends_that_fit(lab, pattern, fits):
    with qarchive.open(lab) as archive:
        for tag in (None, "even"):
            for order in ("newest", "oldest"):
                wanted = [job.id for job in archive.jobs(order=order, tag=tag) if job.backend in fits]
                jobs = archive.jobs(backend=pattern, order=order, tag=tag)
                assert [job.id for job in jobs] == wanted and len(jobs) == len(wanted)
                assert [job.id for page in jobs.pages(7) for job in page] == wanted
                assert len(archive.jobs(backend=pattern, tag=tag, limit=5)) == min(5, len(wanted))


# JSON


def test_jsonl_is_one_job_a_line(lab):
    out, err = run(lab, "list", "--jsonl", "--backend", "ibm_*", "--limit", 3)
    whole = json.loads(run(lab, "list", "--json", "--backend", "ibm_*", "--limit", 3)[0])["jobs"]
    assert err == "" and [json.loads(line) for line in out.splitlines()] == [{"schema": "qarchive/job/1", **job} for job in whole]
    assert run(lab, "list", "--jsonl", "--tag", "none") == ("", "")
    assert run(lab, "list", "--jsonl", "--limit", 0)[0].count("\n") == 60


def test_json_and_jsonl_exclude_each_other_and_errors_are_json_too(lab):
    out, err = run(lab, "list", "--jsonl", "--json", code=2)
    assert (out, json.loads(err)["message"]) == ("", "--json and --jsonl: both say what is printed; give one of them")
    assert json.loads(run("nowhere", "list", "--jsonl", code=3)[1])["error"] == "NoArchive"


# Times


@pytest.mark.parametrize(("seconds", "shown"), [
    (0, "0 s ago"), (119, "119 s ago"), (121, "2 min ago"), (7199, "119 min ago"), (7201, "2 h ago"), (172_801, "2 d ago"),
    (59.5 * 86_400, "59 d ago"),
])  # fmt: skip
def test_times_are_said_in_the_unit_of_which_there_are_two(monkeypatch, seconds, shown):
    monkeypatch.setattr(output.time, "time", lambda: 1_700_000_000.0)
    assert output.ago(Timestamp(int((1_700_000_000 - seconds) * 1e9))) == shown


def test_what_is_long_ago_or_to_come_is_a_date(monkeypatch):
    monkeypatch.setattr(output.time, "time", lambda: 1_700_000_000.0)
    assert output.ago(Timestamp(DAY - 60 * 86_400 * 10**9)) == "2023-09-15"
    assert output.ago(Timestamp(DAY + 3_600 * 10**9)) == "2023-11-14T23:13Z"


# Terminals


def on_terminal(*arguments, columns=80, lines=24, **environment):
    """What a terminal of this size is sent; keys are not typed, so a pager must end by itself."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "LESS", "PAGER")}
    surroundings |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(Path(qarchive.__file__).parent.parent)}
    running = subprocess.Popen([sys.executable, "-m", "qarchive", *map(str, arguments)], stdin=slave, stdout=slave,
                               stderr=subprocess.PIPE, env=surroundings | environment)  # fmt: skip
    os.close(slave)
    sent = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        sent += piece
    _, said = running.communicate()
    os.close(master)
    return sent.decode().replace("\r\n", "\n"), said.decode()


def test_a_terminal_gets_relative_times_unless_it_is_told_otherwise(lab):
    sent, _ = on_terminal("--archive", lab, "list", "--limit", 2, NO_COLOR="1")
    assert [line[14:24] for line in sent.splitlines()] == ["CREATED   ", "90 min ago", "2023-11-14"]
    sent, _ = on_terminal("--archive", lab, "list", "--limit", 2, "--utc", NO_COLOR="1")
    assert sent.splitlines()[2].split("  ")[1] == "2023-11-14T22:14Z"
    assert run(lab, "list", "--limit", 2)[0].splitlines()[2].split("  ")[1] == "2023-11-14T22:14Z"


@pytest.mark.parametrize("columns", [80, 50, 40])
def test_columns_yield_and_then_go_in_a_narrow_terminal(lab, columns):
    sent, _ = on_terminal("--archive", lab, "list", "--limit", 5, "--utc", columns=columns, NO_COLOR="1")
    lines = sent.splitlines()
    assert lines[0].split() == {
        80: ["ID", "CREATED", "STATUS", "BACKEND", "SHOTS", "CIRCUITS", "NAMES"], 50: ["ID", "CREATED", "STATUS", "NAMES"],
        40: ["ID", "CREATED", "STATUS", "NAMES"],
    }[columns]  # fmt: skip
    assert len(lines) == 6 and (columns < 50 or max(map(len, lines)) <= columns)


def test_the_pager_shows_what_is_longer_than_the_terminal_and_nothing_else(lab, tmp_path):
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\ncat\n")
    pager.chmod(0o755)
    sent, said = on_terminal("--archive", lab, "list", "--limit", 40, PAGER=str(pager), NO_COLOR="1")
    assert sent.startswith("PAGED\nID ") and len(sent.splitlines()) == 42
    assert said == "qarchive: 40 of 60 jobs; --limit 0 shows all\n"
    sent, _ = on_terminal("--archive", lab, "list", PAGER=str(pager), NO_COLOR="1")
    assert sent.startswith("ID ") and len(sent.splitlines()) == 21
    sent, _ = on_terminal("--archive", lab, "log", "--limit", 50, PAGER=str(pager), NO_COLOR="1")
    assert sent.startswith("PAGED\nTIME ")


def test_nothing_is_paged_in_a_pipe(lab, monkeypatch):
    monkeypatch.setenv("PAGER", "false")
    assert len(run(lab, "list", "--limit", 0)[0].splitlines()) == 61


# Completion


def completed(shell, *words):
    """What a shell is told, word by word."""
    environment = os.environ | {"_QARCHIVE_COMPLETE": f"{shell}_complete", "COMP_WORDS": " ".join(words),
                                "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
                                "PYTHONPATH": str(Path(qarchive.__file__).parent.parent)}  # fmt: skip
    found = subprocess.run([sys.executable, "-m", "qarchive"], env=environment, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    return found.stdout


def test_ids_are_completed_the_latest_first_and_those_of_long_ago_by_their_digits(lab, monkeypatch):
    monkeypatch.setattr(qarchive.cli.shell, "_COMPLETED", 3)
    with qarchive.open(lab) as archive:
        ids = [job.id for job in archive.jobs()]
    context = main.make_context("qarchive", ["--archive", str(lab), "show"])
    assert [item.value for item in qarchive.cli.shell.complete_job(context, None, "")] == [id[:12] for id in ids[:3]]
    assert [item.value for item in qarchive.cli.shell.complete_job(context, None, ids[50][:5])] == [ids[50][:12]]
    assert qarchive.cli.shell.complete_job(context, None, "xyz") == []


def test_every_shell_completes_jobs(lab):
    with qarchive.open(lab) as archive:
        job = archive.jobs()[0]
    words = ("qarchive", "--archive", str(lab), "rm", job.id[:6])
    assert completed("bash", *words) == f"plain,{job.id[:12]}\n"
    assert completed("zsh", *words) == f"plain\n{job.id[:12]}\nDONE {job.backend} 90 min ago\n"
    assert completed("fish", *words) == f"plain,{job.id[:12]}\tDONE {job.backend} 90 min ago\n"


def test_no_archive_completes_nothing_and_says_nothing(tmp_path):
    assert completed("bash", "qarchive", "--archive", str(tmp_path), "tag", "") == "\n"
