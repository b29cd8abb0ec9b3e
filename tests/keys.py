"""SSH keys to throw away, and files of allowed signers."""

import shutil
import subprocess

# A test that cannot sign must not look as if it had passed.
assert shutil.which("ssh-keygen"), "these tests need ssh-keygen: `apt-get install openssh-client`"


def make(path, passphrase=""):
    """A new key; its private file."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)], check=True)
    return path


def public(key):
    return key.with_suffix(".pub").read_text().strip()


def fingerprint(key):
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(key.with_suffix(".pub"))], check=True, capture_output=True, text=True)
    return f"ED25519 {told.stdout.split()[1]}"


def allow(path, *lines):
    """A file of allowed signers; a line is a name (with options) and a key."""
    path.write_text("".join(f"{name} {public(key)}\n" for name, key in lines))
    return path
