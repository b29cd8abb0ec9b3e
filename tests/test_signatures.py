"""Signatures of seals, with real keys: who signed, what an alteration looks like, and what stands in the way of signing."""

import subprocess

import keys
import pytest
from building import blob, build

import qarchive
from qarchive import config, pack, records
from qarchive.errors import BadInput, NotFinished
from qarchive.provenance import signatures
from qarchive.provenance.signatures import BAD, GOOD, UNKNOWN
from qarchive.values import Link

SEAL = bytes(range(32))


@pytest.fixture(scope="module")
def alice(tmp_path_factory):
    return keys.make(tmp_path_factory.mktemp("alice") / "key")


@pytest.fixture(scope="module")
def mallory(tmp_path_factory):
    return keys.make(tmp_path_factory.mktemp("mallory") / "key")


@pytest.fixture(scope="module")
def lab(alice, tmp_path_factory):
    """Who is allowed to sign: alice."""
    return keys.allow(tmp_path_factory.mktemp("lab") / "allowed_signers", ("alice@lab", alice))


@pytest.fixture(scope="module")
def armored(alice):
    return signatures.sign(SEAL, alice)


@pytest.fixture
def archive(folder, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: folder / "config")
    with qarchive.open(folder / "archive") as found:
        yield found


def add(archive, built):
    archive._store.commit(built.blobs, durable=False)
    return archive.job(built.id.hex())


def test_a_good_signature_names_its_signer(armored, alice, lab):
    assert signatures.check(SEAL, armored, lab) == (GOOD, "", "alice@lab", keys.fingerprint(alice))


def test_it_is_over_the_digits_of_the_seal_so_that_anybody_can_check_it(armored, lab, tmp_path):
    file = tmp_path / "seal.sig"
    file.write_text(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(lab), "-I", "alice@lab", "-n", "qarchive", "-s", str(file)]
    assert subprocess.run(command, input=SEAL.hex(), text=True, capture_output=True).returncode == 0


def test_another_seal_or_another_byte_does_not_fit(armored, alice, lab):
    assert signatures.check(bytes(32), armored, lab)[:3] == (BAD, "it does not fit the seal", None)
    lines = armored.splitlines()
    lines[2] = lines[2][:10] + ("A" if lines[2][10] != "A" else "B") + lines[2][11:]
    assert signatures.check(SEAL, "\n".join(lines) + "\n", lab)[:2] == (BAD, "it does not fit the seal")
    assert signatures.check(SEAL, "no signature", lab) == (BAD, "it does not fit the seal", None, None)
    assert signatures.check(SEAL, "", None) == (BAD, "it does not fit the seal", None, None)


def test_a_signature_of_another_purpose_is_none(alice, lab):
    done = subprocess.run(["ssh-keygen", "-Y", "sign", "-f", str(alice), "-n", "git"], input=SEAL.hex(), text=True,
                          capture_output=True, check=True)  # fmt: skip
    assert signatures.check(SEAL, done.stdout, lab)[:2] == (BAD, "it does not fit the seal")


def test_an_unknown_signer_is_told_by_the_key(mallory, lab):
    signature = signatures.sign(SEAL, mallory)
    assert signatures.check(SEAL, signature, lab) == (
        UNKNOWN, "its key is not among the allowed signers", None, keys.fingerprint(mallory))  # fmt: skip
    assert signatures.check(SEAL, signature, None) == (UNKNOWN, "no allowed signers are given", None, keys.fingerprint(mallory))


def test_a_key_that_may_sign_other_things_only_is_not_accepted(armored, alice, tmp_path):
    allowed = keys.allow(tmp_path / "allowed", ('alice@lab namespaces="git"', alice))
    state, reason, signer, key = signatures.check(SEAL, armored, allowed)
    assert (state, signer, key) == (UNKNOWN, None, keys.fingerprint(alice))
    assert reason.startswith("ssh-keygen does not accept the key: ") or reason == "its key is not among the allowed signers"


def test_a_key_that_is_no_longer_valid_is_not_accepted(armored, alice, tmp_path):
    allowed = keys.allow(tmp_path / "allowed", ('alice@lab valid-before="20200101"', alice))
    assert signatures.check(SEAL, armored, allowed)[0] == UNKNOWN


def test_of_several_names_of_a_key_all_are_told(armored, alice, tmp_path):
    allowed = keys.allow(tmp_path / "allowed", ("alice@lab,a@home", alice))
    state, _, signer, _ = signatures.check(SEAL, armored, allowed)
    assert state == GOOD and "alice@lab" in signer


# In an archive


def test_what_is_signed_is_the_seal_and_the_signature_stays_with_the_job(archive, alice, lab):
    job = add(archive, build(1))
    seal = job.seal
    [signed] = archive.sign(job.id[:8], alice)
    assert signed == job and signed.seal == seal
    [found] = archive.signatures(job.id, lab)[job]
    assert (found.state, found.reason, found.seal, found.signer, found.key) == (
        GOOD, "", seal, "alice@lab", keys.fingerprint(alice))  # fmt: skip
    archive.flush()
    with qarchive.open(archive.path) as again:
        assert again.signatures(job.id, lab) == {job: [found]}
        assert again.verify(deep=True).findings == []


def test_several_people_sign_the_same(archive, alice, mallory, lab):
    job = add(archive, build(1))
    archive.sign(job.id, alice)
    archive.sign(job.id, mallory)
    assert [found.state for found in archive.signatures(job.id, lab)[job]] == [GOOD, UNKNOWN]


def test_a_signature_of_a_seal_that_held_before_is_still_good(archive, alice, lab):
    built = build(1)
    job = add(archive, built)
    archive.sign(job.id, alice)
    attempt = job.folded.current.link
    sent = records.sent_record(job=Link(built.id), attempt=attempt, provider_job="late")
    archive._store.commit([blob(pack.RECORD, sent)], durable=False)
    again = archive.job(job.id)
    [found] = archive.signatures(job.id, lab)[again]
    assert again.seal != job.seal == found.seal
    assert (found.state, found.signer, found.current) == (GOOD, "alice@lab", False)
    archive.sign(job.id, alice)
    assert [each.current for each in archive.signatures(job.id, lab)[again]] == [False, True]


def test_a_signature_that_was_moved_from_another_job_is_bad(archive, alice, lab):
    one, other = add(archive, build(1)), add(archive, build(2))
    seal = bytes.fromhex(one.seal)
    moved = records.signature_record(job=Link(bytes.fromhex(other.id)), seal=seal, signature=signatures.sign(seal, alice))
    archive._store.commit([blob(pack.RECORD, moved)], durable=False)
    [found] = archive.signatures(other.id, lab)[other]
    assert (found.state, found.reason, found.signer) == (BAD, "it is of a seal that this job does not have", None)


def test_a_signature_that_says_another_seal_than_it_is_of_is_bad(archive, alice, lab):
    job = add(archive, build(1))
    wrong = records.signature_record(
        job=Link(bytes.fromhex(job.id)), seal=bytes.fromhex(job.seal), signature=signatures.sign(SEAL, alice))  # fmt: skip
    long = records.signature_record(job=Link(bytes.fromhex(job.id)), seal=bytes.fromhex(job.seal), signature="x" * 70_000)
    archive._store.commit([blob(pack.RECORD, wrong), blob(pack.RECORD, long)], durable=False)
    found = archive.signatures(job.id, lab)[job]
    assert [(each.state, each.reason) for each in found] == [
        (BAD, "it does not fit the seal"), (BAD, "it is longer than any signature")]  # fmt: skip


def test_the_file_beside_the_settings_holds_where_none_is_named(archive, alice):
    job = add(archive, build(1))
    archive.sign(job.id, alice)
    assert archive.signatures(job.id)[job][0].reason == "no allowed signers are given"
    config.config_file().parent.mkdir(parents=True)
    keys.allow(config.config_file().with_name("allowed_signers"), ("alice@lab", alice))
    assert archive.signatures(job.id)[job][0].signer == "alice@lab"


def test_an_unsigned_job_has_none(archive, lab):
    job = add(archive, build(1))
    assert archive.signatures(job.id, lab) == {job: []}


def test_a_job_that_has_not_ended_cannot_be_signed(archive, alice):
    job = add(archive, build(1, status="SENDING"))
    with pytest.raises(NotFinished) as caught:
        archive.sign(job.id, alice)
    assert str(caught.value) == f"job {job.id[:12]} is SENDING and has no result yet; `qarchive sync` sees whether it has ended"


# What stands in the way


def refusal(call, *arguments):
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_key_that_is_not_there(tmp_path):
    assert refusal(signatures.sign, SEAL, tmp_path / "none") == (
        f"{tmp_path}/none: there is no such key; make one with `ssh-keygen -t ed25519`, or name another with --key")  # fmt: skip


def test_nobody_has_a_key(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    job = add(archive, build(1))
    assert refusal(archive.sign, job.id) == (
        f"{tmp_path}/.ssh: holds no key to sign with; make one with `ssh-keygen -t ed25519`, or name one with --key")  # fmt: skip
    (tmp_path / ".ssh").mkdir()
    keys.make(tmp_path / ".ssh" / "id_ed25519")
    assert archive.sign(job.id) == [job]


def test_a_file_that_is_no_key(tmp_path):
    (tmp_path / "notes").write_text("no key")
    (tmp_path / "notes").chmod(0o600)
    message = refusal(signatures.sign, SEAL, tmp_path / "notes")
    assert message.startswith(f"{tmp_path}/notes: cannot sign: ")
    assert message.endswith("; if it has a passphrase, `ssh-add` it and give its .pub file")


def test_a_passphrase_is_not_asked_for_where_there_is_no_terminal(tmp_path):
    key = keys.make(tmp_path / "locked", "a passphrase")
    message = refusal(signatures.sign, SEAL, key)
    assert message.startswith(f"{key}: cannot sign: ")
    assert message.endswith("; if it has a passphrase, `ssh-add` it and give its .pub file")


@pytest.fixture
def agent(tmp_path):
    """ssh-agent, for one test; its address."""
    place = str(tmp_path / "agent")
    running = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    running.stdout.readline()  # it listens
    yield place
    running.terminate()
    running.wait()


def test_a_key_that_the_agent_holds_signs_by_its_public_file(agent, tmp_path, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    key = keys.make(tmp_path / "held")
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    key.unlink()
    signature = signatures.sign(SEAL, key.with_suffix(".pub"))
    allowed = keys.allow(tmp_path / "allowed", ("held@lab", key))
    assert signatures.check(SEAL, signature, allowed)[:3] == (GOOD, "", "held@lab")


def test_without_ssh_keygen_it_says_where_to_get_it(alice, armored, lab, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = "ssh-keygen: is not installed; it comes with OpenSSH: `apt-get install openssh-client`"
    assert refusal(signatures.sign, SEAL, alice) == message
    assert refusal(signatures.check, SEAL, armored, lab) == message


def test_a_file_of_allowed_signers_that_is_not_there(archive, tmp_path):
    job = add(archive, build(1))
    assert refusal(archive.signatures, job.id, tmp_path / "none") == (
        f"{tmp_path}/none: cannot be read; give a file of allowed signers, a line each: `NAME ssh-ed25519 AAAA...`")  # fmt: skip
