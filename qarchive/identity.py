"""What makes a folder an archive: its identity, in a file that is written last."""

import json
import secrets
from itertools import islice
from pathlib import Path

from . import codec, config, disk
from .errors import BadInput, Damaged, NewerFormat, NoArchive, NotEncodable
from .locks import Lock
from .values import Timestamp

FORMAT = 1
MARKER = "archive.json"
MARKER_MAX = 4 << 10  # bytes
_LOOKED_AT = 1_000  # files beside which an archive is looked for

_README = """This folder is a qarchive archive: records of jobs that ran on quantum computers and simulators.

packs/       the data; every file in it is a zstd stream of msgpack values (`zstd -dc packs/*.pack`)
archive.json what this archive is called, and the version of its format
index/       made from the packs, and safe to delete
locks/       keep writers apart; may be deleted when nothing is running, on any machine
quarantine/  ends of writes that a crash cut off, and packs that were damaged
condemned/   what was taken out of the packs, while somebody may still need it

Do not edit or rename anything in packs/. To read it: `pip install qarchive`, then `qarchive --archive . list`.
"""


def make(path: Path) -> None:
    """Make an archive of `path`, missing or an empty folder; several processes make one. Raises BadInput, CannotWrite."""
    try:
        if path.is_file():
            raise BadInput(str(path), "is a file", "an archive is a folder")
        disk.make_folders(path)
        if not _is_free(path):
            raise BadInput(str(path), "is a folder that holds other files", "name a new or an empty one")
        for name in ("locks", "packs"):
            (path / name).mkdir(mode=0o700, exist_ok=True)
        making = path / "locks" / "create.lock"
        with Lock(path, "create"):  # whoever comes second finds the archive of the first
            if not (path / MARKER).exists():
                (path / "README.txt").write_text(_README, encoding="utf-8")
                identity = {"format": FORMAT, "id": secrets.token_hex(16), "created": str(Timestamp.now())}
                identity["check"] = _check(identity)
                disk.replace(path / MARKER, (json.dumps(identity, indent=1) + "\n").encode())
            making.unlink(missing_ok=True)  # those who wait for it see the marker, whatever file they lock
    except OSError as error:
        raise disk.cannot_write(path, error) from error


def _near(path: Path) -> str | None:
    """The archive that was perhaps meant: the one inside a folder, or the only one in a folder beside which somebody works."""
    try:
        inside = path / config.FOLDER
        if (inside / MARKER).is_file():
            return str(inside)
        here = [each for each in islice(Path.cwd().iterdir(), _LOOKED_AT) if (each / MARKER).is_file()]
    except OSError:
        return None
    return here[0].name if len(here) == 1 else None


def read(path: Path) -> tuple[str, str]:
    """(id, when it was made) of the archive in `path`. Raises NoArchive, BadInput, Damaged, NewerFormat."""
    try:
        if path.is_file():
            raise BadInput(str(path), "is a file", "an archive is a folder")
        with open(path / MARKER, "rb") as file:
            text = file.read(MARKER_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NoArchive(str(path), _near(path)) from None
    except OSError as error:
        raise BadInput(str(path), f"cannot be read ({error.strerror})", "ask its owner for read access") from error
    try:
        identity = json.loads(text)
        version, archive, created = identity["format"], identity["id"], identity["created"]
        if len(text) > MARKER_MAX or len(bytes.fromhex(archive)) != 16 or archive != archive.lower():
            raise ValueError
        check = _check(identity)
    except (ValueError, KeyError, TypeError, RecursionError, NotEncodable):
        raise Damaged(str(path / MARKER), "is not the identity of an archive") from None
    if type(version) is int and version > FORMAT:
        raise NewerFormat(str(path), version, FORMAT)
    if identity.get("check") != check or version != FORMAT:
        raise Damaged(str(path / MARKER), "its check does not fit its content")
    return archive, created


def _is_free(path: Path) -> bool:
    """Whether a folder is empty, or holds only what another process's `create` has made so far, or one that was killed."""
    names = {entry.name for entry in path.iterdir() if not entry.name.startswith(f".{MARKER}.")}
    if not names:
        return True
    begun = "locks" in names and names <= {"locks", "packs", "README.txt"}
    return begun and not any((path / "packs").glob("*"))


def _check(identity: dict) -> str:
    named = [identity.get(name) for name in ("format", "id", "created")]
    return codec.digest(codec.encode(named)).hex()[:16]
