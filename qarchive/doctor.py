"""The doctor: what is wrong with an archive and with what surrounds it, and how it is mended. It looks, and changes nothing.

Packs are not read: `verify` does that.
"""

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from . import archive, config, environment, filesystem, identity, locks, owner, pack
from .errors import BadInput, Damaged, NewerFormat, NoArchive, QArchiveError
from .index import Query, Row
from .printable import size
from .store import Store
from .tables import VERSION

# The least version of each SDK that is supported.
SUPPORTED = {"qiskit": "2.0", "qiskit-aer": "0.17", "qiskit-ibm-runtime": "0.43", "perceval-quandela": "1.3", "pulser": "1.9",
             "pulser-core": "1.9", "pasqal-cloud": "0.24"}  # fmt: skip
DAMAGE, TROUBLE, HINT = "damage", "trouble", "hint"
_FREE = 1 << 30  # bytes, which a repack may take
_BEHIND = 64 << 20  # bytes of packs that an index may have to read before it answers
_OPEN = 16  # packs
_LOOKED_AT = 200  # jobs that have not ended, of which it is asked whether their process has
_QUIET_S = 60  # after which a write is over
_LONG_S = 86_400
_PUT_BACK = f"put {identity.MARKER} back from a copy of the archive; the packs are whole without it"
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Finding:
    """One thing that should be otherwise: how bad it is (damage, trouble, hint), where, what, and what to do about it."""

    grade: str
    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Health:
    """What was found of the archive at `path`, which `named_by` names. `jobs` is None where they could not be counted quickly."""

    path: Path
    named_by: str
    findings: list[Finding]
    jobs: int | None


def examine(path: str | os.PathLike | None = None) -> Health:
    """Look at the archive that is meant, as `open` means it, and at what surrounds it. Raises nothing of what it finds."""
    findings: list[Finding] = []
    try:
        config.read()
    except (QArchiveError, OSError) as error:
        file = config.config_file()
        findings.append(Finding(TROUBLE, str(file), str(error), f"mend or delete {file}"))
    try:
        folder, named_by = config.locate(path)
    except (QArchiveError, OSError):
        return Health(config.config_file(), "the settings, which cannot be read", findings, None)
    findings += _sdks()
    try:
        jobs = _look(folder, findings)
    except OSError as error:
        where, reason = os.fsdecode(error.filename or folder), (error.strerror or str(error)).lower()
        remedy = f"chmod -R u+rwX {folder}, or ask its owner for access" if isinstance(error, PermissionError) else "try again"
        findings.append(Finding(TROUBLE, where, reason, remedy))
        jobs = None
    return Health(folder, named_by, findings, jobs)


def _look(folder: Path, findings: list[Finding]) -> int | None:
    """Find what is wrong with an archive; the number of its jobs, None where they could not be counted quickly."""
    try:
        name, _ = identity.read(folder)
    except NoArchive:
        if folder.is_dir() and (folder / "packs").is_dir():
            findings.append(Finding(DAMAGE, str(folder / identity.MARKER), "is missing", _PUT_BACK))
        else:
            findings.append(Finding(TROUBLE, str(folder), "there is no archive", f"qarchive init {folder}"))
        return None
    except Damaged as error:
        findings.append(Finding(DAMAGE, str(folder / identity.MARKER), error.reason, _PUT_BACK))
        return None
    except NewerFormat as error:
        findings.append(Finding(TROUBLE, str(folder), str(error), "pip install --upgrade qarchive"))
        return None
    except BadInput as error:
        findings.append(Finding(TROUBLE, str(folder), error.reason, error.hint))
        return None
    for look in (_folder, _locks, _left):
        findings += look(folder)
    try:
        behind, remedy = _index(folder, name)
        if remedy is not None:
            findings.append(Finding(HINT, str(folder / "index"), behind, remedy))
            return None
        with archive.open(folder, on_error="warn", create=False) as opened:
            findings += [*_packs(opened), *_jobs(opened)]
            return opened._store.index.count(Query())
    except QArchiveError as error:
        findings.append(Finding(DAMAGE if error.exit_code == 5 else TROUBLE, str(folder), str(error), "qarchive verify"))
        return None


def _sdks() -> Iterator[Finding]:
    """SDKs that are older than what is supported."""
    installed = environment.environment()["packages"]
    for package, least in SUPPORTED.items():
        version = installed.get(package)
        if version is not None and _numbers(version) < _numbers(least):
            yield Finding(TROUBLE, f"{package} {version}", f"is older than {least}, the least that is supported",
                          f"pip install '{package}>={least}'")  # fmt: skip


def _numbers(version: str) -> list[int]:
    parts = version.split(".")
    return [int(part) for part in parts[: next((i for i, part in enumerate(parts) if not part.isdecimal()), len(parts))]]


def _folder(folder: Path) -> Iterator[Finding]:
    """Permissions, and room on the disk."""
    if os.name == "posix":
        open_to = [path for path in (folder, folder / "packs") if path.is_dir() and path.stat().st_mode & 0o077]
        if open_to:
            yield Finding(HINT, str(open_to[0]), "others who use this machine can look into it", f"chmod -R go= {folder}")
    mine = [path for path in (folder, folder / "packs", folder / "locks") if path.is_dir()]
    if not all(os.access(path, os.R_OK | os.W_OK | os.X_OK) for path in mine):
        yield Finding(TROUBLE, str(folder), "cannot be written by you", "ask its owner for write access, or copy the archive")
    free = shutil.disk_usage(folder).free
    if free < _FREE:
        yield Finding(TROUBLE, str(folder), f"only {size(free)} are free on its disk", "free some room")


def _locks(folder: Path) -> Iterator[Finding]:
    """Locks that processes which have ended left behind, where flock does not guard the archive."""
    place = folder / "locks"
    if locks.shared(folder):
        return
    why = f"{locks.NO_FLOCK} is there" if locks.announced(place) else f"the file system is {filesystem.kind(folder) or 'unknown'}"
    yield Finding(HINT, str(folder), f"locks of this machine do not guard it ({why}): each process writes packs of its own",
                  "qarchive repack --alone, when nobody else uses it")  # fmt: skip
    for path in sorted(place.glob(f"*{locks.SOFT}")):
        try:
            process, host = path.read_text(encoding="ascii").split()[:2]
        except (OSError, ValueError):
            process, host = "?", "?"
        if host == socket.gethostname() and process.isdecimal() and not _runs(int(process)):
            yield Finding(TROUBLE, str(path), f"process {process}, which holds this lock, has ended", f"rm {path}")
        elif time.time() - path.stat().st_mtime > _LONG_S:
            yield Finding(TROUBLE, str(path), f"process {process} on {host} holds this lock for more than a day",
                          f"if it has ended there: rm {path}")  # fmt: skip
    for path in sorted(place.glob(f"*{owner.SUFFIX}")):
        writer = owner.read(place, path.name.removesuffix(owner.SUFFIX))
        if writer is not None and writer.runs() is False:
            yield Finding(HINT, str(path), f"process {writer.process}, which wrote this pack, ended without sealing it",
                          "qarchive repack --alone, when nobody else uses it")  # fmt: skip


def _runs(process: int) -> bool:
    if os.name == "nt":  # where the question would interrupt it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _left(folder: Path) -> Iterator[Finding]:
    """What lies beside the packs."""
    kept = sorted((folder / "quarantine").glob("*"))
    if kept:
        total = sum(path.stat().st_size for path in kept)
        yield Finding(HINT, str(folder / "quarantine"), f"{_files(len(kept))} of {total} bytes: ends of writes that were cut "
                      "off, or packs that were damaged", "qarchive verify --deep; if it finds nothing, delete them")  # fmt: skip
    if packs := [path for path in (folder / "condemned").glob("*") if pack.pack_id(path)]:
        said = f"{_files(len(packs))} with what was taken out of the packs"
        yield Finding(HINT, str(folder / "condemned"), said, "qarchive gc")
    for path in sorted((folder / "packs").iterdir()):
        if path.suffix == ".abandoned":
            yield Finding(HINT, str(path), "a sync of this pack failed once; nobody adds to it", "qarchive verify --deep")


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _index(folder: Path, name: str) -> tuple[str, str | None]:
    """(what is said of the index, what to do), the latter None where it can be asked at once."""
    kept = Store.index_folder(folder, name)
    file = None if kept is None else kept / "index.sqlite"
    if file is None:
        return "there is no room for an index, which is made anew by every command", "make the archive's folder writable"
    sizes = {path.name: path.stat().st_size for path in (folder / "packs").glob("*") if pack.pack_id(path)}
    known: dict[str, int] = {}
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
            version = dict(db.execute("SELECT name, value FROM meta")).get("version")
            if version == VERSION:
                known = dict(db.execute("SELECT name, size FROM packs"))
                said = "is behind the packs"
            else:
                said = f"is of version {version}, not {VERSION}"
    except sqlite3.Error:
        said = "cannot be read" if file.exists() else "is not there yet"
    behind = sum(max(size - known.get(name, 0), 0) for name, size in sizes.items())
    if behind <= _BEHIND:
        return "", None
    return f"the index {said}: {behind // 10**6} MB are read at the next look, and jobs were not looked at", "qarchive stats"


def _packs(opened: archive.Archive) -> Iterator[Finding]:
    """Packs as the index has read them, and their sizes now."""
    store = opened._store
    known = store.index.conditions()
    open_packs = [name for name, condition in known.items() if not condition.sealed]
    for name, condition in known.items():
        path = store.packs / name
        if condition.damaged:
            yield Finding(DAMAGE, str(path), "bytes of it are damaged", "qarchive repair --from A_COPY")
        elif not condition.sealed and _quiet(path) and (tail := path.stat().st_size - condition.size) > 0:
            yield Finding(HINT, str(path), f"a write was cut off, {tail} bytes: nothing that was acknowledged is lost",
                          "none: the next write puts them into quarantine/")  # fmt: skip
    if withheld := store.index.withheld():
        yield Finding(TROUBLE, str(store.packs), f"{len(withheld):,} records take no part: a crash left them without what they "
                      "refer to", "qarchive repair --from A_COPY")  # fmt: skip
    if len(open_packs) > _OPEN:
        yield Finding(HINT, str(store.packs), f"{len(open_packs)} packs are open", "qarchive repack")
    paths = [store.packs / name for name in known]
    loose = sum(path.stat().st_size for path in paths if not pack.looks_brief(path))
    if loose >= 4 * pack.SEAL_SIZE:
        yield Finding(HINT, str(store.packs), f"{loose // 10**6} MB could take less room", "qarchive repack")


def _quiet(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _QUIET_S


def _jobs(opened: archive.Archive) -> Iterator[Finding]:
    """Jobs that wait for somebody, and clocks."""
    index, where = opened._store.index, str(opened.path)
    now = time.time_ns()
    newest = index.rows(Query(), 1)
    if newest and newest[0].created.ns > now + _QUIET_S * 10**9:
        said = f"job {newest[0].id[:12]} is from the future ({str(newest[0].created)[:19]}Z): a clock is wrong"
        yield Finding(TROUBLE, where, said, "set the clock of this machine, or of the one that ran it")
    unfinished = [row for job in index.unfinished() if (row := index.row(job))]
    if killed := [row for row in unfinished[-_LOOKED_AT:] if _is_killed(opened, row)]:
        said = f"the process that ran it has ended, and nobody saw how: {_jobs_such_as(killed)}"
        yield Finding(TROUBLE, where, said, "qarchive sync, which writes that down; then qarchive rerun")
    old = [row for row in unfinished if row.created.ns < now - _DAY_NS and row not in killed]
    unanswered = [row for row in old if row.status == "SENDING"]
    if unanswered:
        yield Finding(TROUBLE, where, f"no answer when it was sent: {_jobs_such_as(unanswered)}", "qarchive recover")
    if waiting := [row for row in old if row.status != "SENDING"]:
        yield Finding(TROUBLE, where, f"no end was seen for more than a day: {_jobs_such_as(waiting)}", "qarchive sync")
    if prepared := index.rows(Query(status="PREPARED"), -1):
        yield Finding(
            HINT, where, f"prepared, and not sent yet: {_jobs_such_as(prepared)}", "qarchive group list; qarchive group run NAME"
        )


def _is_killed(opened: archive.Archive, row: Row) -> bool:
    """Whether a job ran here, in a process that is no more."""
    attempt = opened.job(row.id).folded.pending
    return (attempt is not None and attempt.record is not None and attempt.record["status"] != "SENDING"
            and opened._store.writer_is_gone(attempt.digest))  # fmt: skip


def _jobs_such_as(rows: list[Row]) -> str:
    return f"job {rows[0].id[:12]}" if len(rows) == 1 else f"{len(rows):,} jobs, such as {rows[0].id[:12]}"
