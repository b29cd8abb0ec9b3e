"""Packs of which every hash fits, whatever they say: what a stranger who knows the format would write.

A description is a map: `commits`, each a map with `frames` (a list of lists of blobs [kind, value] or [kind, value, key], where
a value of bytes stands for itself), and where the header is to say something else `header` (what it lists, as a list) or `sizes`,
`listed`, `synced`, `offset`; `trailer`, None for none, or True, or what it is to list; `brief`; `tail`, the bytes behind the end.
A link whose digest is 31 zeros and n leads to the n-th blob.
"""

import hashlib
import struct
from typing import Any

import zstandard

from qarchive import codec, pack
from qarchive.errors import NotEncodable
from qarchive.values import Link, Typed

NAME = bytes(range(16))
_compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)


class NoDescription(Exception):
    """A value that describes no pack."""


def assembled(description: Any) -> bytes:
    """The bytes of a pack. Raises NoDescription."""
    try:
        return _assembled(description)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, NotEncodable, struct.error, OverflowError):
        raise NoDescription from None


def _assembled(description):
    data, commits, digests = b"", [], []
    for commit in description["commits"]:
        frames, sizes, listed = [], [], []
        for blobs in commit["frames"]:
            content = b""
            for kind, value, *key in blobs:
                encoded = value if type(value) is bytes else codec.encode(_linked(value, digests))
                digests.append(codec.digest(encoded))
                listed.append([kind, len(encoded), digests[-1], *key])
                content += encoded
            frames.append(_compressor.compress(content))
            sizes.append([len(frames[-1]), len(content)])
        sizes, listed = commit.get("sizes", sizes), commit.get("listed", listed)
        offset, synced = commit.get("offset", len(data)), commit.get("synced", 0)
        head = _framed(pack.HEADER, codec.encode(commit.get("header", [pack.VERSION, NAME, offset, synced, sizes, listed])))
        whole = head + b"".join(frames)
        whole += pack.FOOTER + struct.pack("<I", 32) + hashlib.sha256(whole).digest()
        brief = [] if description.get("brief") else [sizes, listed]
        commits.append([len(data), len(whole), synced, *brief])
        data += whole
    trailer = description.get("trailer")
    if trailer is not None:
        told = commits if trailer is True else trailer
        body = pack.MARK + codec.encode([pack.VERSION, NAME, len(data), hashlib.sha256(data).digest(), told])
        head = pack.TRAILER + struct.pack("<I", len(body) + 48) + body
        data += head + hashlib.sha256(head).digest() + struct.pack("<Q", len(head) + 48) + pack.END
    return data + description.get("tail", b"")


def _framed(magic, body):
    head = magic + struct.pack("<I", len(pack.MARK) + len(body) + 32) + pack.MARK + body
    return head + hashlib.sha256(head).digest()


def _linked(value, digests):
    """The value with its links to blobs of the same pack as they are."""
    kind = type(value)
    if kind is dict:
        return {key: _linked(item, digests) for key, item in value.items()}
    if kind in (list, tuple):
        return kind(_linked(item, digests) for item in value)
    if kind is Typed:
        return Typed(value.tag, _linked(value.value, digests))
    if kind is Link and not any(value.digest[:31]) and value.digest[31] < len(digests):
        return Link(digests[value.digest[31]])
    return value
