"""Who writes a pack that no lock guards: a note, by which others on this machine can tell whether that process is still there."""

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from . import disk

SUFFIX = ".owner"


@dataclass(frozen=True)
class Owner:
    """A process, and where its number means something. `view` tells apart containers, which number processes anew; `started` is
    in ticks of the system's clock. What the system does not say is empty, and then nothing can be told."""

    host: str
    machine: str
    boot: str
    view: str
    process: int
    started: str

    def runs(self) -> bool | None:
        """Whether the process is still there; None where that cannot be told from here."""
        here = current()
        if not self.boot or not here.boot:
            return None
        if self.boot != here.boot:  # another machine, unless it is this one before it was started again
            return False if self.machine and (self.machine, self.host) == (here.machine, here.host) else None
        if self.view != here.view:
            return None
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody else's
        started = _started(self.process)
        return started == self.started if started and self.started else None


def current() -> Owner:
    """This process."""
    process = os.getpid()
    view = " ".join(_inode(Path("/proc/self/ns") / name) for name in ("pid", "time"))
    return Owner(socket.gethostname(), _machine(), disk.boot(), view, process, _started(process))


def write(locks: Path, pack: str) -> None:
    """Note that this process writes a new pack. Raises OSError."""
    fd = disk.create(locks / f"{pack}{SUFFIX}")
    try:
        disk.append(fd, (json.dumps(asdict(current()), indent=1) + "\n").encode())
    finally:
        os.close(fd)


def read(locks: Path, pack: str) -> Owner | None:
    """Who wrote a pack; None where nobody noted it, or the note cannot be read: then it is as if it could not be told."""
    try:
        found = json.loads((locks / f"{pack}{SUFFIX}").read_bytes())
        owner = Owner(**{name: found[name] for name in Owner.__dataclass_fields__})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (owner.host, owner.machine, owner.boot, owner.view, owner.started)
    fits = all(type(text) is str for text in texts) and type(owner.process) is int and 0 < owner.process < 1 << 31
    return owner if fits else None


def remove(locks: Path, pack: str) -> None:
    (locks / f"{pack}{SUFFIX}").unlink(missing_ok=True)


def _started(process: int) -> str:
    """When a process began; other than any real time where it has ended and waits for its parent, empty where unknown."""
    try:
        about = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return ""
    fields = about[about.rfind(b")") + 1 :].split()  # the name before it may hold anything
    return "ended" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _inode(path: Path) -> str:
    try:
        return str(path.stat().st_ino)
    except OSError:
        return ""


def _machine() -> str:
    try:
        found = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if re.fullmatch("[0-9a-f]{32}", found) else ""  # an image may say "uninitialized"
