"""Signatures of seals with a user's SSH key, made and checked by OpenSSH's own `ssh-keygen -Y`.

A signature says that whoever has the key had this data before him, and that it has not changed since. It says neither when,
nor that a device produced it.
"""

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config
from ..errors import BadInput
from ..job import Job
from ..records import signature_record
from ..stage import Stage
from ..store import Store
from ..values import Link, Timestamp

if TYPE_CHECKING:
    from subprocess import CompletedProcess

NAMESPACE = "qarchive"
GOOD, UNKNOWN, BAD = "good", "unknown signer", "bad"
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")  # where `ssh-keygen` puts a key that is given no name
_LONGEST = 64 << 10  # characters of a signature that is looked at
_TOLD = re.compile(r"with (\S+) key (\S+)")


@dataclass(frozen=True)
class Signature:
    """A signature as it was found. `signer` is the name that the allowed signers give its key, `key` the key's fingerprint;
    each is None where it is not known. `made` is what its writer's clock said, which proves nothing.

    Where it is not `current`, it is of a seal that the job had before: what came later (another outcome, perhaps) is not signed.
    """

    state: str  # GOOD, UNKNOWN or BAD
    reason: str
    seal: str
    current: bool
    signer: str | None
    key: str | None
    made: Timestamp


def default_key() -> Path:
    """The user's own key, where `ssh-keygen` puts it. Raises BadInput where there is none."""
    folder = Path("~/.ssh").expanduser()
    found = next((folder / name for name in _KEYS if (folder / name).exists()), None)
    if found is None:
        raise BadInput(f"{folder}", "holds no key to sign with", "make one with `ssh-keygen -t ed25519`, or name one with --key")
    return found


def default_allowed() -> Path | None:
    """The file of allowed signers beside the settings; None where there is none."""
    path = config.config_file().with_name("allowed_signers")
    return path if path.exists() else None


def put(store: Store, job: Job, seal: bytes, key: Path) -> None:
    """Sign a seal of a job and keep the signature with it. Raises BadInput, CannotWrite."""
    stage = Stage(store)
    stage.record(signature_record(job=Link(bytes.fromhex(job.id)), seal=seal, signature=sign(seal, key)))
    stage.commit(durable=True)


def sign(seal: bytes, key: Path) -> str:
    """The armored signature of a seal. `key` is a private key, or a public one whose private one ssh-agent holds.

    A passphrase is asked for at the terminal, where there is one. Raises BadInput.
    """
    if not key.exists():
        raise BadInput(str(key), "there is no such key", "make one with `ssh-keygen -t ed25519`, or name another with --key")
    done = _ssh_keygen(seal, "sign", "-f", str(key), asking=sys.stdin is not None and sys.stdin.isatty())
    if done.returncode != 0 or not done.stdout.startswith("-----BEGIN SSH SIGNATURE-----"):
        reason = _last_line(done.stderr) or "ssh-keygen does not say why"
        raise BadInput(str(key), f"cannot sign: {reason}", "if it has a passphrase, `ssh-add` it and give its .pub file")
    return done.stdout


def found_at(job: Job, allowed: Path | None) -> list[Signature]:
    """All signatures of a job, the oldest first, each checked against all seals that the job has. Raises BadInput, Damaged.

    `allowed` is a file of allowed signers (`man ssh-keygen`, ALLOWED SIGNERS); without one no signer is known.
    """
    if allowed is not None and not os.access(allowed, os.R_OK):
        raise BadInput(str(allowed), "cannot be read", "give a file of allowed signers, a line each: `NAME ssh-ed25519 AAAA...`")
    made = sorted((record["created"], digest, record) for digest, record in job.folded.others if record["type"] == "signature")
    wanted = {record["seal"] for _, _, record in made}
    had: list[bytes] = []
    seals = job.seals()
    while wanted - set(had) and (seal := next(seals, None)) is not None:
        had.append(seal)
    return [_checked(record, had, allowed) for _, _, record in made]


def _checked(record: dict, had: list[bytes], allowed: Path | None) -> Signature:
    seal, text = record["seal"], record["signature"]
    if seal not in had:
        state, reason, signer, key = BAD, "it is of a seal that this job does not have", None, None
    elif len(text) > _LONGEST:
        state, reason, signer, key = BAD, "it is longer than any signature", None, None
    else:
        state, reason, signer, key = check(seal, text, allowed)
    return Signature(state, reason, seal.hex(), had[:1] == [seal], signer, key, record["created"])


def check(seal: bytes, signature: str, allowed: Path | None) -> tuple[str, str, str | None, str | None]:
    """(state, reason, signer, fingerprint of the key) of an armored signature of a seal. Raises BadInput without ssh-keygen."""
    with tempfile.TemporaryDirectory(prefix="qarchive-") as folder:  # this user's alone
        file = Path(folder) / "signature"
        file.write_text(signature, encoding="utf-8", errors="surrogatepass")
        refused = ""
        if allowed is not None:
            names = _ssh_keygen(seal, "find-principals", "-f", str(allowed), "-s", str(file))
            signer = names.stdout.strip().split("\n")[0] if names.returncode == 0 else ""
            if signer:
                one = signer.split(",")[0]
                done = _ssh_keygen(seal, "verify", "-f", str(allowed), "-I", one, "-s", str(file))
                if done.returncode == 0:
                    return GOOD, "", signer, _key(done.stdout)
                refused = _last_line(done.stderr + done.stdout)
        done = _ssh_keygen(seal, "check-novalidate", "-s", str(file))
    if done.returncode != 0:
        return BAD, "it does not fit the seal", None, _key(done.stdout)
    if refused:
        return UNKNOWN, f"ssh-keygen does not accept the key: {refused}", None, _key(done.stdout)
    reason = "no allowed signers are given" if allowed is None else "its key is not among the allowed signers"
    return UNKNOWN, reason, None, _key(done.stdout)


def _ssh_keygen(seal: bytes, what: str, *arguments: str, asking: bool = False) -> "CompletedProcess":
    """`ssh-keygen -Y what` over the hexadecimal digits of a seal. Nobody is asked for a passphrase unless `asking`."""
    import subprocess  # 5 ms, which listings need not spend

    quiet = {} if asking else {"SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(["ssh-keygen", "-Y", what, *_namespace(what), *arguments], input=seal.hex(), capture_output=True,
                              text=True, errors="backslashreplace", env={**os.environ, "LC_ALL": "C", **quiet},
                              start_new_session=not asking)  # fmt: skip
    except FileNotFoundError:
        raise BadInput("ssh-keygen", "is not installed", "it comes with OpenSSH: `apt-get install openssh-client`") from None


def _namespace(what: str) -> tuple[str, ...]:
    return () if what == "find-principals" else ("-n", NAMESPACE)


def _key(told: str) -> str | None:
    found = _TOLD.search(told)
    return f"{found[1]} {found[2]}" if found else None


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "").rstrip(".")
