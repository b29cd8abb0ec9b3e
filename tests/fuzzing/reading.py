"""Targets: values and their bytes, columns and trees, records, the hints of remotes."""

import sys
from collections.abc import Callable
from typing import Any

import numpy  # noqa: F401  columns use it where it is loaded

from qarchive import codec, columns, model, records, trees
from qarchive.errors import BadInput, Damaged, NewerFormat, NotCanonical, NotEncodable
from qarchive.remotes import places
from qarchive.values import Link, Typed

REFUSED = (NotCanonical, NewerFormat, BadInput)


def decoded(data: bytes) -> Any:
    """The value of a corpus file; None where altered bytes are of no value."""
    try:
        return codec.decode(data)
    except REFUSED:
        return None


def codec_target(data: bytes) -> None:
    """What is decoded is encoded to the same bytes, and its links are among those that are mentioned."""
    try:
        value, linked = codec.decode_linked(data)
    except REFUSED:
        return
    try:
        assert codec.encode(value) == data, "a second encoding of one value was decoded"
    except NotEncodable as error:
        assert "is not registered" in error.reason, error.reason  # a tag of a later version
    try:
        codec.decode(data, _no_chunk)
    except _Asked:
        assert b"\x08" in data, "a chunk of a value without chunks was asked for"
    except REFUSED:  # longer than memory
        pass
    found = {link.digest for link in codec.links(value)}
    assert found == set(linked), "links differ"
    assert found <= set(codec.mentioned(data)), "a link is not mentioned"


class _Asked(Exception):
    pass


def _no_chunk(link: Link) -> bytes:
    raise _Asked


def columns_target(data: bytes) -> None:
    """Counts, memories and trees of a stranger are read, or not canonical, with numpy as without; what is read is split
    again alike."""
    value = decoded(data)
    if type(value) is Typed:
        for read in (columns.unpack_counts, columns.unpack_memory, columns.tally):
            loaded = sys.modules.pop("numpy")
            try:
                found = _read(read, value)
            finally:
                sys.modules["numpy"] = loaded
            assert found == _read(read, value), f"{read.__name__} says something else with numpy"
    elif type(value) is list and len(value) == 2:
        try:
            tree = trees.join(*value)
        except NotCanonical:
            return
        try:
            template, found = trees.split(tree)
        except NotEncodable:
            return
        assert codec.encode([trees.join(template, found)], _spilled) == codec.encode([tree], _spilled)


def _read(read: Callable[[Typed], Any], value: Typed) -> Any:
    try:
        return read(value)
    except NotCanonical:
        return NotCanonical


def _spilled(piece: bytes) -> Link:
    return Link(codec.digest(piece))


def records_target(data: bytes) -> None:
    """Records that are not wrong fold into a job whose fields can be read, whatever else they say."""
    value = decoded(data)
    if type(value) is not list:
        return
    right = {codec.digest(codec.encode(record)): record for record in value if records.wrong(record) is None}
    for digest, record in right.items():
        records.subject_of(digest, record)
        records.obeyed_name(record)
    jobs = [digest for digest, record in right.items() if record["type"] == "job"] or [bytes(32)]
    for foreign in (frozenset(), frozenset(right), frozenset(list(right)[::2])):
        folded = model.fold(jobs[0], right, foreign)
        codec.encode(model.summary(folded))
        for attempt in folded.attempts:
            _ = attempt.calibrations, attempt.status, attempt.outcome, attempt.provider_job, attempt.instance, attempt.order
        assert folded.error is None or type(folded.error) is dict
        assert type(folded.gaps) is list


def places_target(data: bytes) -> None:
    """A look-up file answers or is Damaged, and what it answers lies in the pack."""
    size = int.from_bytes(data[-4:], "little") % 5000 if data[:1] == b"\0" else int.from_bytes(data[56:64], "little")
    held = places.Places(lambda start, length: data[start : start + length], len(data), size, "hint")
    for prefix in ("", "0", "0123", "ff" * 32, data[80:84].hex()):
        try:
            for subject in held.subjects(prefix):
                assert subject.offset + subject.length <= size and subject.id.hex().startswith(prefix)
        except Damaged:
            pass
    for digest in (bytes(32), b"\xff" * 32, data[-16:-8].ljust(32, b"\0")):
        try:
            assert all(offset + length <= size for offset, length in held.commits(digest))
        except Damaged:
            pass
    try:
        assert len(held.origin) == 32
    except Damaged:
        pass
