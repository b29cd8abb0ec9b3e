"""Writing a bundle: a pack whose first blob says where it comes from, sealed when it is complete."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import codec, disk, pack
from ..catalog import Progress
from ..solid import COMMIT_BLOBS, COMMIT_SIZE, Writer
from ..store import Store
from ..values import Timestamp
from . import limits
from .selection import Selection, read_in_order

SUFFIX = ".qar"


@dataclass(frozen=True)
class Written:
    """A bundle that was written: how much is in it; `raw` and `size` are bytes, unpacked and of the file."""

    path: str
    jobs: int
    groups: int
    blobs: int
    raw: int
    size: int
    omitted: int  # blobs that the other side has


def manifest(archive: str, created: Timestamp | None = None, **said: str | None) -> pack.Blob:
    """The first blob of a bundle: the id of the archive that it comes from, when it was made, and who says so."""
    value: dict[str, Any] = {"type": "bundle", "archive": archive}
    value |= {name: item for name, item in {"created": created, **said}.items() if item}
    data = codec.encode(value)
    return pack.Blob(pack.BUNDLE, codec.digest(data), data)


def pack_name(selection: Selection, first: pack.Blob) -> bytes:
    """The id of the pack that holds these blobs: the same for the same ones, whoever makes it."""
    running = hashlib.sha256(first.digest)
    for kind in sorted(selection.kinds):
        for digest in sorted(selection.kinds[kind]):
            running.update(digest)
    return running.digest()[:16]


def fill(writer: Writer, store: Store, selection: Selection, first: pack.Blob, progress: Progress | None = None) -> None:
    """Write all blobs of a selection, those of a kind together, records last."""
    commit, size, done = [first], 0, 0
    kinds = sorted(selection.kinds, key=lambda kind: (kind == pack.RECORD, kind))
    for kind in kinds:
        for entry, data in read_in_order(store, selection.kinds[kind]):
            commit.append(pack.Blob(kind, entry.digest, data))
            size += len(data)
            done += len(data)
            if size >= COMMIT_SIZE or len(commit) >= COMMIT_BLOBS:
                writer.add(commit)
                commit, size = [], 0
                if progress:
                    progress(done, selection.size)
    if commit:
        writer.add(commit)
    if progress:
        progress(selection.size, selection.size)


def write(path: Path, store: Store, selection: Selection, first: pack.Blob, replace: bool = False,
          progress: Progress | None = None) -> int:  # fmt: skip
    """Write a bundle to a file that is there whole or not at all; its size in bytes. Raises BadInput, CannotWrite."""
    disk.may_write(path, replace, f"jobs{SUFFIX}")
    limits.check_count(selection.blobs)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(disk.create(temporary, shared=True), "wb") as file:
            writer = Writer(file, temporary, pack_name(selection, first))
            fill(writer, store, selection, first, progress)
            writer.seal()
        size = temporary.stat().st_size
        os.replace(temporary, path)
        disk.sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk.cannot_write(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size
