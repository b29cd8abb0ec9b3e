"""Targets: packs and bundles. Their inputs are descriptions, so that all hashes fit, or a byte string: a file as it is."""

import tempfile
from functools import cache
from pathlib import Path

from qarchive import codec, pack
from qarchive.bundles import checking
from qarchive.errors import BadInput, Damaged, DamagedBundle, NewerFormat
from qarchive.pack import Commit, Damage, Seal, Tail
from qarchive.remotes import places

from .assembling import NAME, NoDescription, assembled
from .reading import decoded


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="qarchive-fuzz-")


def _file(data: bytes) -> Path | None:
    """The pack that a corpus file describes, on the disk; None where it describes none."""
    found = decoded(data)
    try:
        content = found if type(found) is bytes else assembled(found)
    except NoDescription:
        return None
    path = Path(_folder().name) / f"{NAME.hex()}.pack"
    path.write_bytes(content)
    return path


def pack_target(data: bytes) -> None:
    """A scan goes over every byte once; a commit is the same wherever it is read from; blobs are right or Damaged."""
    path = _file(data)
    if path is None:
        return
    content = path.read_bytes()
    pack.id_inside(path)
    try:
        _pack(path, content)
    except NewerFormat:
        pass


def _pack(path: Path, content: bytes) -> None:
    found = list(pack.scan(path))
    sealed, seal = pack.sealed(path), pack.read_seal(path)
    at = 0
    for each in found:
        assert each.offset == at, f"{at} is followed by {each}"
        at += 0 if type(each) is Seal else each.length
    assert seal == (sealed and sealed[0])
    assert seal == (found[-1] if found and type(found[-1]) is Seal else None)
    assert at == (seal.offset if seal else len(content))
    pack.sealed_commits(path)
    with open(path, "rb") as file:
        for commit in found:
            if type(commit) is not Commit:
                assert type(commit) in (Damage, Tail, Seal)
                continue
            assert pack.commit_at(path, commit.offset, len(content)) == commit
            if commit.whole:
                piece = content[commit.offset : commit.offset + commit.length]
                assert pack.commit_in(piece, commit.offset, path) == commit
            for entry in commit.entries:
                try:
                    assert codec.digest(pack.read(file, path, entry)) == entry.digest
                except Damaged:
                    pass
    length = pack.trailer_length(content[-48:])
    if length is not None and length <= len(content):
        told = pack.trailer_in(content[-length:], len(content), path)
        assert (told and told[1]) == seal


def bundles_target(data: bytes) -> None:
    """A bundle is whole, or refused for a reason; of a whole one every blob decodes, and its look-up file finds its jobs."""
    path = _file(data)
    if path is None:
        return
    try:
        bundle = checking.check(path, "the bundle")
    except (BadInput, DamagedBundle, NewerFormat) as error:
        assert str(path) not in str(error)
        return
    encoded = places.encode(path, bundle.id, bundle.origin)
    held = places.Places(lambda start, size: encoded[start : start + size], len(encoded), bundle.path.stat().st_size, "hint")
    for about in bundle.records.values():
        assert about.subject in {subject.id for subject in held.subjects(about.subject.hex())}
    for digest in (*bundle.blobs, *bundle.records):
        assert held.commits(digest)
