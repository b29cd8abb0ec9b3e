"""The tables of the index: how they are laid out, and the check that each of their rows carries."""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgpack

from . import pack

VERSION = 6

# A blob's number tells its pack from its place there, so that a pack's rows stand together. `key` is another name for its
# content, `job` what a record that takes part is about. `touched` is when the last record about a job was written, `names` what
# its circuits are called.
TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value);
CREATE TABLE packs(id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER, hash BLOB, synced INTEGER, boot TEXT, sealed INTEGER,
    damaged INTEGER, origin TEXT, seal INTEGER);
CREATE TABLE damage(pack INTEGER, at INTEGER, length INTEGER, reason TEXT);
CREATE TABLE blobs(id INTEGER PRIMARY KEY, digest BLOB, frame INTEGER, start INTEGER, stored INTEGER, raw INTEGER,
    length INTEGER, kind TEXT, key BLOB, job BLOB);
CREATE TABLE withheld(digest BLOB, pack INTEGER, job BLOB, PRIMARY KEY(digest, pack)) WITHOUT ROWID;
CREATE TABLE jobs(number INTEGER PRIMARY KEY, id BLOB, created INTEGER, provider TEXT, backend TEXT, status TEXT, kind TEXT,
    grp TEXT, input BLOB, calibration BLOB, provider_job TEXT, open INTEGER, body BLOB, seal INTEGER, touched INTEGER,
    names TEXT);
CREATE TABLE tags(tag TEXT, created INTEGER, job BLOB, PRIMARY KEY(tag, created, job)) WITHOUT ROWID;
CREATE TABLE earlier(job BLOB, provider_job TEXT, PRIMARY KEY(job, provider_job)) WITHOUT ROWID;
CREATE TABLE groups(id BLOB PRIMARY KEY, name TEXT, archive TEXT, number INTEGER, removed INTEGER, seal INTEGER) WITHOUT ROWID;
CREATE TABLE mapped(grp BLOB, author TEXT, sequence INTEGER, circuits INTEGER, seal INTEGER,
    PRIMARY KEY(grp, author, sequence)) WITHOUT ROWID;
CREATE TABLE members(grp BLOB, author TEXT, sequence INTEGER, first INTEGER, job BLOB, size INTEGER, mapped INTEGER,
    created INTEGER, status TEXT, backend TEXT, error TEXT, replaces BLOB, seal INTEGER,
    PRIMARY KEY(grp, author, sequence, first, job)) WITHOUT ROWID;
"""

# Made when the tables are filled: sorting all entries is several times faster than to put each in its place. Eight bytes of a
# digest find it as well as all of them, and take a quarter of the space.
INDEXES = """
CREATE INDEX blobs_digest ON blobs(substr(digest, 1, 8));
CREATE INDEX blobs_job ON blobs(substr(job, 1, 8)) WHERE job IS NOT NULL;
CREATE INDEX blobs_key ON blobs(substr(key, 1, 8)) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX jobs_id ON jobs(id);
CREATE INDEX jobs_created ON jobs(created, id);
CREATE INDEX jobs_provider ON jobs(provider, created, id);
CREATE INDEX jobs_backend ON jobs(backend, created, id);
CREATE INDEX jobs_status ON jobs(status, created, id);
CREATE INDEX jobs_kind ON jobs(kind, created, id);
CREATE INDEX jobs_touched ON jobs(touched);
CREATE INDEX jobs_names ON jobs(names) WHERE names IS NOT NULL;
CREATE INDEX jobs_open ON jobs(created, id) WHERE open;
CREATE INDEX jobs_group ON jobs(grp, created, id) WHERE grp IS NOT NULL;
CREATE INDEX jobs_input ON jobs(input);
CREATE INDEX jobs_calibration ON jobs(calibration, created, id) WHERE calibration IS NOT NULL;
CREATE INDEX jobs_provider_job ON jobs(provider_job) WHERE provider_job IS NOT NULL;
CREATE INDEX earlier_provider_job ON earlier(provider_job);
CREATE INDEX groups_name ON groups(name);
CREATE INDEX members_job ON members(job);
CREATE INDEX members_replaces ON members(replaces) WHERE replaces IS NOT NULL;
"""

# One row into each table that holds many. A row of `earlier` and `tags` may be there already, and one of a group be a newer one.
INSERTS = {
    "blobs": f"INSERT INTO blobs VALUES (?{', ?' * 9})",
    "jobs": f"INSERT INTO jobs VALUES (NULL{', ?' * 15})",
    "tags": "INSERT OR IGNORE INTO tags VALUES (?, ?, ?)",
    "earlier": "INSERT OR IGNORE INTO earlier VALUES (?, ?)",
    "groups": "REPLACE INTO groups VALUES (?, ?, ?, ?, ?, ?)",
    "mapped": "REPLACE INTO mapped VALUES (?, ?, ?, ?, ?)",
    "members": f"REPLACE INTO members VALUES (?{', ?' * 12})",
}

PACK_BITS = 32  # of a blob's number: those below are its place in the pack
AT_DIGEST = "substr(digest, 1, 8) = substr(?1, 1, 8) AND digest = ?1"  # finds the rows of one blob by its digest
AT_DIGESTS = "substr(digest, 1, 8) IN ({})"  # and of many: other rows may be among them
OF_PACK = "blobs JOIN packs ON packs.id = blobs.id >> 32"

MANY = 500  # values in one question

pack_values = msgpack.Packer().pack


class Corrupt(Exception):
    """The index contradicts itself; it is built again, and nobody outside sees this."""


def seal(columns: tuple[Any, ...]) -> int:
    """The check of a row, over all its columns."""
    return zlib.crc32(pack_values(columns))


def checked(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """The columns of a row without its seal, which is the last of them. Raises Corrupt where that does not fit."""
    check, columns = columns[-1], columns[:-1]
    if check != zlib.crc32(pack_values(columns)):
        raise Corrupt
    return columns


def numbers_of(pack: int) -> tuple[int, int]:
    """The first number that a blob of a pack can have, and the first one beyond."""
    return pack << PACK_BITS, (pack + 1) << PACK_BITS


def foreign_of(db: sqlite3.Connection, digests: Iterable[bytes]) -> frozenset[bytes]:
    """Those records that stand in bundles alone, and in no pack of the archive's own."""
    own = f"SELECT 1 FROM {OF_PACK} WHERE {AT_DIGEST} AND origin IS NULL LIMIT 1"
    return frozenset(digest for digest in digests if db.execute(own, (digest,)).fetchone() is None)


def places(db: sqlite3.Connection, packs: Path, digest: bytes) -> list[tuple[Path, pack.Entry]]:
    """Everywhere a blob lies, sealed packs first."""
    sql = f"SELECT name, kind, length, frame, stored, raw, start FROM {OF_PACK} WHERE {AT_DIGEST} ORDER BY sealed DESC, name"
    return [(packs / name, entry_of(digest, *place)) for name, *place in db.execute(sql, (digest,))]


def of_many(db: sqlite3.Connection, sql: str, values: Iterable[bytes], prefix: int = 32) -> Iterator[tuple[bytes, tuple]]:
    """(first column, the others) of all rows that a question about a list of values, of any length, finds.

    Where the question is about the first bytes of the values, `prefix` says how many; rows of other values are left out, but
    for those of which the first column is no more than these bytes.
    """
    values = iter(values)
    while part := list(islice(values, MANY)):
        wanted = {value[:prefix] for value in part} | set(part)
        for first, *others in db.execute(sql.format(", ".join("?" * len(part))), [value[:prefix] for value in part]):
            if first in wanted:
                yield first, tuple(others)


def entry_of(digest: bytes, kind: str, *place: int) -> pack.Entry:
    """The entry of a blob from its row. Raises Corrupt."""
    if not all(type(number) is int and number >= 0 for number in place):
        raise Corrupt
    length, frame, stored, raw, start = place
    return pack.Entry(kind, digest, length, None, frame, stored, raw, start)
