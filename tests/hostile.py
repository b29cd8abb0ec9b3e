"""Bundles as a stranger might write them: consistent where it serves him, and lying where it does not."""

import hashlib
import secrets
import struct
from collections.abc import Iterable
from pathlib import Path

import msgpack
import zstandard
from building import blob

from qarchive import codec, pack
from qarchive.pack import Blob
from qarchive.values import Link, Timestamp

STRANGER = "5" * 32  # the id of an archive
_compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)


def raw(kind: str, data: bytes) -> Blob:
    """A blob of any bytes, which need not be canonical."""
    return Blob(kind, codec.digest(data), data)


def first(archive: str = STRANGER, **said: object) -> Blob:
    """The blob that makes a pack a bundle."""
    return blob(pack.BUNDLE, {"type": "bundle", "archive": archive, **said})


def job(number: int = 0, **fields: object) -> list[Blob]:
    """A job that was only prepared, its record altered by `fields`; None takes one away."""
    circuit, config = blob("input", {"n": number}), blob("config", {})
    record = {"type": "job", "provider": "aer", "kind": "simulator", "backend": "b", "input": Link(circuit.digest),
              "config": Link(config.digest), "shots": 1, "size": 1, "created": Timestamp(number), "nonce": bytes([number] * 16),
              **fields}  # fmt: skip
    return [circuit, config, blob(pack.RECORD, {name: value for name, value in record.items() if value is not None})]


def about(what: str, of: Blob | bytes, **fields: object) -> Blob:
    """A record of a type about a job."""
    link = Link(of if isinstance(of, bytes) else of.digest)
    return blob(pack.RECORD, {"type": what, "job": link, "created": Timestamp(0), **fields})


def write(path: Path, *commits: Iterable[Blob], name: bytes | None = None) -> Path:
    """A sealed pack of these commits, as they are given: nothing is added or put in order."""
    name = name or secrets.token_bytes(16)
    data = b""
    for blobs in commits:
        data += pack.build(name, len(data), 0, list(blobs), _compressor)
    path.write_bytes(data)
    listed = [found for found in pack.scan(path, pack=name) if type(found) is pack.Commit]
    path.write_bytes(data + pack.build_trailer(name, len(data), hashlib.sha256(data).digest(), listed))
    return path


def bundle(path: Path, *blobs: Blob, **said: object) -> Path:
    """A bundle of one commit."""
    return write(path, [first(**said), *sorted(blobs, key=lambda each: each.kind == pack.RECORD)])


def lying(path: Path, frames: list[bytes], sizes: object, listed: object, trailer: object = None) -> Path:
    """A sealed pack of one commit of which the directories say what they are told to say. All hashes fit."""
    name = b"\7" * 16
    head = _framed(pack.HEADER, msgpack.packb([1, name, 0, 0, sizes, listed]))
    data = head + b"".join(frames)
    data += pack.FOOTER + struct.pack("<I", 32) + hashlib.sha256(data).digest()
    commits = [[0, len(data), 0, sizes, listed]] if trailer is None else trailer
    return _sealed(path, name, data, commits)


def _sealed(path: Path, name: bytes, data: bytes, commits: object) -> Path:
    body = pack.MARK + msgpack.packb([1, name, len(data), hashlib.sha256(data).digest(), commits])
    head = pack.TRAILER + struct.pack("<I", len(body) + 48) + body
    path.write_bytes(data + head + hashlib.sha256(head).digest() + struct.pack("<Q", len(head) + 48) + pack.END)
    return path


def _framed(magic: bytes, body: bytes) -> bytes:
    head = magic + struct.pack("<I", len(body) + 40) + pack.MARK + body
    return head + hashlib.sha256(head).digest()


def frame(data: bytes) -> bytes:
    return _compressor.compress(data)


def entry(of: Blob, length: int | None = None) -> list:
    """How a directory lists a blob."""
    return [of.kind, len(of.data) if length is None else length, of.digest]
