"""cite, audit, sign, and verify of jobs, on the command line: whole messages and exit codes."""

import json
import shutil
from pathlib import Path

import click.testing
import keys
import pytest
import yaml
from building import blob

import qarchive
from qarchive import config, pack, records, seals
from qarchive.cli import main
from qarchive.provenance import signatures
from qarchive.values import Link

ARCHIVES = Path(__file__).parent / "data" / "archives"
VERSION = qarchive.__version__


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: tmp_path / "config")
    monkeypatch.delenv("QARCHIVE", raising=False)


@pytest.fixture(scope="module")
def alice(tmp_path_factory):
    return keys.make(tmp_path_factory.mktemp("alice") / "key")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """An archive that no test alters."""
    return shutil.copytree(ARCHIVES / "4-groups", tmp_path_factory.mktemp("cli") / "lab")


@pytest.fixture
def own(lab, tmp_path):
    """An archive of the test's own."""
    return shutil.copytree(lab, tmp_path / "lab")


def run(lab, *arguments):
    """(stdout, stderr, exit code)"""
    done = click.testing.CliRunner().invoke(main, ["--archive", str(lab), *map(str, arguments)])
    return done.stdout, done.stderr, done.exit_code


def done_job(lab):
    with qarchive.open(lab, create=False) as archive:
        return archive.job("sweep/1")


def test_cite_prints_the_citation_and_says_what_it_lacks(lab):
    job = done_job(lab)
    assert run(lab, "cite", "sweep/1", "--style", "text", "--title", "A sweep") == (
        (f"A sweep. 1 job on aer:aer_simulator, {job.created:%Y-%m-%d} UTC. Seal (SHA-256) {job.seal}, "
        f"archive {qarchive.open(lab).id}; check with `qarchive verify {job.id[:12]}` (qarchive {VERSION}).\n"),
        'qarchive: no author is named; `qarchive config set author "Family, Given"` names one\n', 0)  # fmt: skip


def test_cite_as_json(lab):
    out, err, code = run(lab, "cite", "sweep", "--style", "cff", "--author", "Lovelace, Ada", "--json")
    found = json.loads(out)
    assert (found["schema"], err, code) == ("qarchive/cite/1", "", 0)
    assert yaml.safe_load(found["text"])["authors"] == [{"family-names": "Lovelace", "given-names": "Ada"}]
    assert (found["jobs"], found["left_out"], found["statuses"], found["title"]) == (4, 1, {"DONE": 3, "ERROR": 1}, "sweep")
    out, _, _ = run(lab, "verify", "sweep", "--json")
    assert json.loads(out)["groups"][0]["seal"] == found["seal"]


def test_a_group_is_named_by_the_beginning_of_its_id_as_it_is_shown(lab):
    whole, err, code = run(lab, "verify", "sweep")
    shown = whole.splitlines()[-1].split()[0]
    assert (len(shown), err, code) == (12, "", 0)
    assert run(lab, "verify", shown) == run(lab, "verify", shown[:4].upper()) == (whole, "", 0)


def test_who_signed_twice_is_named_once(own, alice):
    job = done_job(own)
    for _ in range(2):
        assert run(own, "sign", job.id, "--key", alice)[2] == 0
    signed = f"signed by an unknown key ({keys.fingerprint(alice)}: no allowed signers are given)"
    assert run(own, "verify", job.id) == (f"{job.id[:12]}  whole  {job.seal}  {signed}\n", "", 0)
    assert len(json.loads(run(own, "verify", job.id, "--json")[0])["jobs"][0]["signatures"]) == 2


def test_cite_refuses_what_cannot_be(lab):
    assert run(lab, "cite", "sweep", "--style", "cff") == (
        "",
        'qarchive: a CITATION.cff: must name an author; set one: `qarchive config set author "Family, Given"`\n',
        2,
    )
    assert run(lab, "cite", "none") == (
        "", f"qarchive: job 'none' is not in {lab}; `qarchive list` shows what there is\n", 3)  # fmt: skip


def test_settings_of_a_citation_are_checked_when_they_are_set(lab):
    assert run(lab, "config", "set", "orcid", "0000-0002-1825-0098") == (
        "", ("qarchive: the setting orcid: cannot be '0000-0002-1825-0098'; it is one such as 0000-0002-1825-0097, of which the "
        "last digit checks the others\n"), 2)  # fmt: skip
    assert run(lab, "config", "set", "author", "Lovelace, Ada") == ("", "qarchive: author = Lovelace, Ada\n", 0)
    assert run(lab, "cite", "sweep/1")[1:] == ("", 0)


def test_audit_has_sixteen_lines_and_their_sum(lab):
    out, err, code = run(lab, "audit", "sweep/1")
    header, *lines = out.splitlines()
    assert header == "    WHAT                           STATE    WHY"
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, 17)]
    assert lines[13] == f"14  seal                           present  {done_job(lab).seal}, made again from every byte"
    assert (err, code) == ("qarchive: 14 present, 0 partly, 2 missing\n", 0)


def test_audit_as_json(lab):
    found = json.loads(run(lab, "audit", "sweep/1", "--json")[0])
    assert (found["schema"], found["job"], len(found["items"])) == ("qarchive/audit/1", done_job(lab).id, 16)
    assert found["items"][12] == {"number": 13, "what": "gaps", "state": "present", "why": "none"}


def test_the_help_of_sign_says_what_a_signature_does_not_say(lab):
    text = " ".join(run(lab, "sign", "--help")[0].split())
    assert ("A signature says who bundled the data, and that it has not changed since. It does not say that a QPU produced it, "
            "nor when") in text  # fmt: skip


def test_a_job_is_signed_and_verified(own, alice, tmp_path):
    job = done_job(own)
    number, key = job.id[:12], keys.fingerprint(alice)
    assert run(own, "verify", number) == (f"{number}  whole  {job.seal}  unsigned\n", "", 0)
    assert run(own, "sign", number, "--key", alice) == (f"{number}  signed  {job.seal}\n", "", 0)
    assert run(own, "verify", number) == (
        f"{number}  whole  {job.seal}  signed by an unknown key ({key}: no allowed signers are given)\n", "", 0)  # fmt: skip
    allowed = keys.allow(tmp_path / "allowed", ("alice@lab", alice))
    assert run(own, "verify", number, "--allowed-signers", allowed) == (
        f"{number}  whole  {job.seal}  signed by alice@lab ({key})\n", "", 0)  # fmt: skip
    (tmp_path / "config").mkdir()
    allowed.rename(tmp_path / "config" / "allowed_signers")
    [found] = json.loads(run(own, "verify", number, "--json")[0])["jobs"]
    [signature] = found.pop("signatures")
    assert found == {"id": job.id, "damaged": False, "problem": None, "seal": job.seal}
    assert signature.pop("made")
    assert signature == {"state": "good", "reason": "", "seal": job.seal, "current": True, "signer": "alice@lab", "key": key}


def test_a_group_is_signed_job_by_job_and_has_a_seal_of_its_own(own, alice):
    with qarchive.open(own, create=False) as archive:
        subject = archive.subject("sweep")
        ended = [(job.id[:12], job.seal) for job in subject.ended]
        [left] = [job.id[:12] for job in subject.jobs if job.outcome is None]
    assert run(own, "sign", "sweep", "--key", alice) == ("".join(f"{job}  signed  {seal}\n" for job, seal in ended), "", 0)
    out, _, code = run(own, "verify", "sweep")
    *lines, last = out.splitlines()
    together = seals.together(bytes.fromhex(seal) for _, seal in ended).hex()
    assert code == 0 and last == f"{subject.id[:12]}  group sweep, 4 jobs that ended  {together}"
    assert f"{left}  not sealed, since it is PREPARED  unsigned" in lines and len(lines) == 5


def test_what_came_after_a_signature_is_not_signed(own, alice, tmp_path):
    allowed = keys.allow(tmp_path / "allowed", ("alice@lab", alice))
    with qarchive.open(own, create=False) as archive:
        [job] = archive.sign("sweep/1", alice)
        record = {**job.outcome, "status": "DONE", "volatile": {"forged": True}}
        further = blob(pack.RECORD, {**job.folded.current.record, "number": 9})
        outcome = blob(pack.RECORD, record | {"attempt": Link(further.digest)})
        archive._store.commit([further, outcome], durable=False)
        now = archive.job(job.id).seal
    assert now != job.seal
    signed = f"signed by alice@lab ({keys.fingerprint(alice)}), not as it is now: its seal was {job.seal}"
    assert run(own, "verify", job.id, "--allowed-signers", allowed) == (f"{job.id[:12]}  whole  {now}  {signed}\n", "", 0)


def test_a_signature_that_does_not_fit_is_exit_code_5(own, alice, tmp_path):
    with qarchive.open(own, create=False) as archive:
        job = archive.job("sweep/1")
        other = signatures.sign(bytes(32), alice)
        forged = records.signature_record(job=Link(bytes.fromhex(job.id)), seal=bytes.fromhex(job.seal), signature=other)
        archive._store.commit([blob(pack.RECORD, forged)], durable=False)
    line = f"{job.id[:12]}  whole  {job.seal}  bad signature: it does not fit the seal\n"
    assert run(own, "verify", job.id) == (line, "", 5)


def test_damage_is_said_and_every_job_is_checked(own):
    with qarchive.open(own, create=False) as archive:
        jobs = [job for job in archive.subject("too large").jobs if job.outcome]
        whole = {f"{job.id[:12]}  whole  {job.seal}  unsigned" for job in jobs}
        places = archive._store.index.places(jobs[0].record["input"].digest)
    for place, entry in places:
        data = bytearray(place.read_bytes())
        data[entry.frame + entry.stored // 2] ^= 1
        place.write_bytes(data)
    out, err, code = run(own, "verify", jobs[0].id, jobs[-1].id, "sweep/1")
    lines = out.splitlines()
    damaged = [line for line in lines if "  damaged: " in line]
    assert (err, code, len(lines)) == ("", 5, 3)
    assert damaged[0] == lines[0] and lines[0].startswith(f"{jobs[0].id[:12]}  damaged: ")
    assert all(line.endswith("; run `qarchive verify` to see what is affected") for line in damaged)
    assert set(lines) - set(damaged) <= whole | {f"{done_job(own).id[:12]}  whole  {done_job(own).seal}  unsigned"}
    [document, *_] = json.loads(run(own, "verify", jobs[0].id, "--json")[0])["jobs"]
    assert (document["damaged"], document["seal"]) == (True, None) and document["problem"] in lines[0]


@pytest.mark.parametrize(("arguments", "message"), [
    (("verify", "latest", "--deep"),
     "--deep: checks the whole archive; leave out the jobs, or --deep: all of a job is read anyway"),
    (("verify", "--allowed-signers", "x"), ("--allowed-signers: is about the signatures of jobs; name jobs or groups: "
     "`qarchive verify REF`")),
    (("sign", "sweep", "--key", "/none/key"),
     "/none/key: there is no such key; make one with `ssh-keygen -t ed25519`, or name another with --key"),
    (("verify", "sweep", "--allowed-signers", "/none/x"),
     "/none/x: cannot be read; give a file of allowed signers, a line each: `NAME ssh-ed25519 AAAA...`"),
])  # fmt: skip
def test_what_cannot_be_done(lab, arguments, message):
    assert run(lab, *arguments) == ("", f"qarchive: {message}\n", 2)


def test_verify_without_jobs_checks_the_whole_archive_as_before(lab):
    out, err, code = run(lab, "verify")
    assert out.endswith(": no damage found; --deep also checks every blob\n") and (err, code) == ("", 0)
