"""`qarchive doctor`: each thing that it finds, in an archive that has it; and that it finds nothing where nothing is wrong."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import click.testing
import pytest
from building import Child, build

import qarchive
from qarchive import config, doctor, locks, pack
from qarchive.cli import main
from qarchive.doctor import DAMAGE, HINT, TROUBLE


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """An archive with one job, whose folder nobody else may read."""
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.delenv("QARCHIVE", raising=False)
    path = tmp_path / "lab"
    with qarchive.open(path) as archive:
        archive._store.commit(build(1, created=time.time_ns() - 10**9).blobs, durable=True)
    return path


def add(path, **about):
    with qarchive.open(path) as archive:
        built = build(7, **about)
        archive._store.commit(built.blobs, durable=True)
    return built.id.hex()[:12]


def found(path):
    """(grade, where from the archive on, what, remedy) of all findings."""
    return [(each.grade, each.where.removeprefix(f"{path}/"), each.what, each.remedy) for each in doctor.examine(path).findings]


def files(path):
    return {each: each.stat().st_mtime_ns for each in path.rglob("*") if each.is_file() and each.parent.name != "index"}


def test_it_finds_nothing_wrong_where_nothing_is_and_changes_nothing(lab):
    before = files(lab)
    assert found(lab) == [] and files(lab) == before
    result = click.testing.CliRunner().invoke(main, ["--archive", str(lab), "doctor"])
    assert (result.exit_code, result.stdout) == (
        0, f"archive  {lab} (as given)\njobs     1\n\nnothing is wrong; `qarchive verify --deep` reads every byte\n"
    )  # fmt: skip


def test_it_says_what_and_where_and_what_to_do(lab):
    job = add(lab, status="SENDING", created=time.time_ns() - 2 * 86_400 * 10**9)
    result = click.testing.CliRunner().invoke(main, ["--archive", str(lab), "doctor"])
    said = f"no answer when it was sent: job {job}"
    assert (result.exit_code, result.stdout) == (
        9, f"archive  {lab} (as given)\njobs     2\n\ntrouble: {lab}\n  {said}\n  do  qarchive recover\n"
    )  # fmt: skip
    result = click.testing.CliRunner().invoke(main, ["--archive", str(lab), "doctor", "--json"])
    finding = {"grade": "trouble", "where": str(lab), "what": said, "remedy": "qarchive recover"}
    assert (result.exit_code, json.loads(result.stdout)) == (9, {
        "schema": "qarchive/doctor/1", "path": str(lab), "named_by": "as given", "jobs": 2, "findings": [finding]
    })  # fmt: skip


def test_jobs_that_wait_for_somebody(lab):
    now = time.time_ns()
    running = add(lab, status="SENDING", provider_job="theirs", created=now - 2 * 86_400 * 10**9)
    add(lab, status="SENDING", created=now)  # which may get its answer yet
    add(lab, status=None, created=now - 1)
    prepared = add(lab, status=None, created=now)
    assert found(lab) == [
        (TROUBLE, str(lab), f"no end was seen for more than a day: job {running}", "qarchive sync"),
        (HINT, str(lab), f"prepared, and not sent yet: 2 jobs, such as {prepared}",
         "qarchive group list; qarchive group run NAME"),
    ]  # fmt: skip


def test_a_job_whose_process_was_killed(lab):
    with qarchive.open(lab) as archive:
        built = build(3, status="RUNNING", created=time.time_ns())
        archive._store.commit(built.blobs, durable=True)
        assert found(lab) == []  # this process may end it yet
    said = f"the process that ran it has ended, and nobody saw how: job {built.id.hex()[:12]}"
    remedy = "qarchive sync, which writes that down; then qarchive rerun"
    assert found(lab) == [(TROUBLE, str(lab), said, remedy)]
    with qarchive.open(lab) as archive:
        archive.sync()
    assert found(lab) == []


@pytest.mark.parametrize(("closed", "said"), [
    (".", "trouble: cannot be read (Permission denied): ask its owner for read access"),
    ("packs", "trouble: permission denied: chmod -R u+rwX {lab}, or ask its owner for access"),
])  # fmt: skip
def test_a_folder_that_cannot_be_looked_into_is_trouble_and_no_error(lab, closed, said):
    def look(tell):
        (lab / closed).chmod(0)
        if os.getuid() == 0:  # who may look into everything
            for path in (lab, *lab.rglob("*")):
                os.chown(path, 65534, 65534)
            for folder in list(lab.parents)[:-1]:
                folder.chmod(folder.stat().st_mode | 0o011)
            os.setuid(65534)
        for finding in doctor.examine(lab).findings:
            tell(f"{finding.grade}: {finding.what}: {finding.remedy}")

    told, _ = Child(look).wait()
    (lab / closed).chmod(0o700)
    assert said.format(lab=lab) in told


def test_a_job_from_the_future_tells_of_a_wrong_clock(lab):
    job = add(lab, created=4_102_444_800 * 10**9)
    assert found(lab) == [(TROUBLE, str(lab), f"job {job} is from the future (2100-01-01T00:00:00Z): a clock is wrong",
                           "set the clock of this machine, or of the one that ran it")]  # fmt: skip


def test_settings_that_cannot_be_read(lab):
    config.config_file().parent.mkdir(parents=True)
    config.config_file().write_text("colour = 'red'\n")
    [finding] = doctor.examine(lab).findings
    said = f"the setting 'colour': does not exist; the settings are {', '.join(config.SETTINGS)}"
    assert (finding.grade, finding.where, finding.what) == (TROUBLE, str(config.config_file()), said)
    assert doctor.examine(None).findings == [finding]


def test_where_there_is_no_archive(lab, tmp_path):
    nowhere = tmp_path / "nowhere"
    assert found(nowhere) == [(TROUBLE, str(nowhere), "there is no archive", f"qarchive init {nowhere}")]
    (lab / "archive.json").unlink()
    remedy = "put archive.json back from a copy of the archive; the packs are whole without it"
    assert found(lab) == [(DAMAGE, "archive.json", "is missing", remedy)]
    (lab / "archive.json").write_text("{}")
    assert found(lab) == [(DAMAGE, "archive.json", "is not the identity of an archive", remedy)]
    (lab / "archive.json").write_text('{"format": 9, "id": "' + "0" * 32 + '", "created": ""}')
    [(grade, _, what, remedy)] = found(lab)
    assert (grade, remedy) == (TROUBLE, "pip install --upgrade qarchive") and "newer" in what
    assert found(lab / "archive.json")[0][2:] == ("is a file", "an archive is a folder")


def test_a_folder_that_others_can_look_into(lab):
    lab.chmod(0o755)
    assert found(lab) == [(HINT, str(lab), "others who use this machine can look into it", f"chmod -R go= {lab}")]


def test_a_disk_that_is_nearly_full(lab, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 5 * 10**6))
    assert found(lab) == [(TROUBLE, str(lab), "only 5.0 MB are free on its disk", "free some room")]


def test_what_lies_beside_the_packs(lab):
    (lab / "quarantine").mkdir()
    (lab / "quarantine" / "tail").write_bytes(b"12345")
    [name] = [path.name for path in (lab / "packs").iterdir()]
    (lab / "packs" / name.replace(".pack", ".abandoned")).touch()
    (lab / "condemned").mkdir()
    (lab / "condemned" / f"{'a' * 32}.pack").touch()
    assert [(grade, where, what) for grade, where, what, _ in found(lab)] == [
        (HINT, "quarantine", "1 file of 5 bytes: ends of writes that were cut off, or packs that were damaged"),
        (HINT, "condemned", "1 file with what was taken out of the packs"),
        (HINT, f"packs/{name.replace('.pack', '.abandoned')}", "a sync of this pack failed once; nobody adds to it"),
    ]


def test_a_write_that_was_cut_off_and_damage(lab):
    add(lab)
    [path] = (lab / "packs").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + pack.HEADER + b"torn")
    assert found(lab) == []  # it may be on its way
    os.utime(path, (time.time() - 120,) * 2)
    assert found(lab) == [(HINT, f"packs/{path.name}", "a write was cut off, 8 bytes: nothing that was acknowledged is lost",
                           "none: the next write puts them into quarantine/")]  # fmt: skip
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    with qarchive.open(lab) as archive:
        archive.reindex()
    damage = found(lab)
    assert (DAMAGE, f"packs/{path.name}", "bytes of it are damaged", "qarchive repair --from A_COPY") in damage
    assert click.testing.CliRunner().invoke(main, ["--archive", str(lab), "doctor"]).exit_code == 5


def test_locks_that_were_left_behind(lab):
    locks.announce(lab / "locks")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout.strip()
    stale, foreign, held = (lab / "locks" / f"{name}.soft" for name in ("import", "other", "repack"))
    stale.write_text(f"{ended}\n{socket.gethostname()}\n1\n")
    foreign.write_text("12\nelsewhere\n1\n")
    held.write_text(f"{os.getpid()}\n{socket.gethostname()}\n1\n")
    os.utime(foreign, (time.time() - 2 * 86_400,) * 2)
    first, *others = found(lab)
    said = "locks of this machine do not guard it (no-flock is there): each process writes packs of its own"
    assert first == (HINT, str(lab), said, "qarchive repack --alone, when nobody else uses it")
    assert others == [
        (TROUBLE, "locks/import.soft", f"process {ended}, which holds this lock, has ended", f"rm {stale}"),
        (TROUBLE, "locks/other.soft", "process 12 on elsewhere holds this lock for more than a day",
         f"if it has ended there: rm {foreign}"),
    ]  # fmt: skip


def test_an_index_that_would_take_long_is_not_waited_for(lab, monkeypatch):
    with qarchive.open(lab) as archive:
        assert len(archive.jobs()) == 1
    monkeypatch.setattr(doctor, "_BEHIND", 0)
    assert found(lab) == []
    (lab / "index" / "index.sqlite").write_bytes(b"no database")
    [(grade, where, what, remedy)] = found(lab)
    assert (grade, where, remedy) == (HINT, "index", "qarchive stats")
    assert what == "the index cannot be read: 0 MB are read at the next look, and jobs were not looked at"
    assert doctor.examine(lab).jobs is None
    (lab / "index" / "index.sqlite").unlink()
    assert found(lab)[0][2] == "the index is not there yet: 0 MB are read at the next look, and jobs were not looked at"
    monkeypatch.setattr(doctor, "_BEHIND", 1 << 20)
    assert found(lab) == []


def test_many_open_packs_and_much_that_could_take_less_room(lab, monkeypatch):
    with qarchive.open(lab) as other:  # who holds one pack, so that the next makes another
        other._store.commit(build(2).blobs, durable=True)
        add(lab)
        monkeypatch.setattr(doctor, "_OPEN", 1)
        assert found(lab) == [(HINT, "packs", "2 packs are open", "qarchive repack")]
    monkeypatch.setattr(doctor, "_OPEN", 16)
    monkeypatch.setattr(pack, "SEAL_SIZE", 0)
    assert found(lab) == [(HINT, "packs", "0 MB could take less room", "qarchive repack")]


def test_sdks_that_are_too_old(lab, monkeypatch):
    installed = {"packages": {"qiskit": "1.4.2", "pulser": "1.10.0", "qiskit-aer": "0.17.0rc1"}}
    monkeypatch.setattr(doctor.environment, "environment", lambda: installed)
    assert found(lab) == [
        (TROUBLE, "qiskit 1.4.2", "is older than 2.0, the least that is supported", "pip install 'qiskit>=2.0'")
    ]


def test_the_supported_versions_are_those_of_the_project():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [text for name, extra in project["optional-dependencies"].items() if name != "test" for text in extra]
    least = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", text).groups() for text in wanted)
    assert {package: least[package] for package in doctor.SUPPORTED} == doctor.SUPPORTED
