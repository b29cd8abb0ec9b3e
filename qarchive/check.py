"""Verify: read what is there and say what is wrong with it. Nothing is repaired here, and nothing is passed over."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import codec, lease, pack, records
from .catalog import Progress
from .errors import Damaged, NewerFormat, NotCanonical
from .index import Index
from .intake import read_all
from .store import Store


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    `kind` is one of tail (the end of a write that was cut off: reported, no damage), withheld (a record that a power cut
    left without what it refers to), wrong (a record that says nothing of any job or group), damage, missing (a blob that
    something refers to), foreign (a file that is no pack of this archive), index (the index says other than the packs;
    `qarchive reindex` mends it).
    """

    kind: str
    where: str
    detail: str


@dataclass
class Report:
    """What was read, in numbers, and what was found. Sizes are bytes."""

    packs: int = 0
    size: int = 0
    commits: int = 0
    blobs: int = 0
    records: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether anything but cut-off ends of writes was found."""
        return any(finding.kind not in ("tail", "withheld") for finding in self.findings)


def verify(store: Store, deep: bool = False, progress: Progress | None = None) -> Report:
    """Check every commit's hash and every record; with `deep` also every blob, every link, and the index against the packs.

    Raises Damaged where there is no folder of packs, NewerFormat.
    """
    report, found = Report(), _Found()
    lost = store.index.lost_packs()  # asked first: any other question makes the index forget them
    sizes = {}
    for path in _files(store.packs):
        if pack.pack_id(path):
            sizes[path] = path.stat().st_size
        elif path.suffix not in (lease.ABANDONED, pack.COMING):
            report.findings.append(Finding("foreign", str(path), "is no pack"))
    for path, size in sizes.items():
        try:
            _verify_pack(path, deep, report, found)
        except FileNotFoundError:
            continue  # replaced by another since, which the blobs that are missing would tell
        report.packs += 1
        report.size += size
        if progress:
            progress(report.size, sum(sizes.values()))
    report.blobs, report.records = len(found.blobs), len(found.records)
    for name, blobs in lost.items():
        if missing := sum(digest not in found.blobs for digest in blobs):
            report.findings.append(Finding("missing", str(store.packs / name), f"the pack is gone, and with it {missing} blobs"))
    _verify_index(store, deep, report)
    if found.damaged:
        store.index.distrust(found.damaged)
    withheld = {digest for digest, _ in store.index.withheld()}
    for digest, record in found.records.items():
        if digest not in withheld:
            found.refer(digest, record)
    for digest, where in sorted(found.wanted.items()):
        if digest not in found.blobs:
            report.findings.append(Finding("missing", digest.hex(), f"referred to by {where}"))
    return report


def _files(packs: Path) -> list[Path]:
    try:
        return sorted(packs.iterdir())
    except FileNotFoundError:
        raise Damaged(str(packs), "the folder of the packs is missing") from None


class _Found:
    """Blobs seen, records by digest, blobs that something refers to, and names of packs that are damaged."""

    def __init__(self):
        self.blobs: set[bytes] = set()
        self.records: dict[bytes, dict] = {}
        self.wanted: dict[bytes, str] = {}
        self.damaged: set[str] = set()

    def refer(self, digest: bytes, value: object) -> None:
        for link in codec.links(value):
            self.wanted.setdefault(link.digest, digest.hex())


def _verify_pack(path: Path, deep: bool, report: Report, found: _Found) -> None:
    def add(kind, offset, detail):
        report.findings.append(Finding(kind, f"{path} at byte {offset}", detail))
        if kind == "damage":
            found.damaged.add(path.name)

    sealed = pack.sealed_commits(path)
    seen = []
    with open(path, "rb") as file:
        for part in pack.scan(path):
            if type(part) is pack.Tail:
                add(
                    "tail",
                    part.offset,
                    f"{part.length} bytes of a write that was cut off; the next writer moves them to quarantine/",
                )
            elif type(part) is pack.Damage:
                add("damage", part.offset, f"{part.length} bytes that are no commit")
            elif type(part) is pack.Seal:
                if part.content != _content_hash(path, part.offset):
                    add("damage", part.offset, "the trailer's hash of the content does not fit")
                if sealed is None or [_directory(c) for c in sealed] != [_directory(c) for c in seen]:
                    add("damage", part.offset, "the trailer lists other commits than there are")
            else:
                seen.append(part)
                report.commits += 1
                if not part.whole:
                    add("damage", part.offset, f"a commit of {part.length} bytes whose hash does not fit")
                for kind, offset, detail in _verify_commit(path, file, part, deep, found):
                    add(kind, offset, detail)


def _verify_commit(path: Path, file, commit: pack.Commit, deep: bool, found: _Found) -> Iterator[tuple[str, int, str]]:
    """(kind, offset, detail) of what is wrong with a commit's records or, with `deep`, with all its blobs."""
    if not deep:
        found.blobs.update(entry.digest for entry in commit.entries if entry.kind != pack.RECORD)
    for entry, data in read_all(file, path, [entry for entry in commit.entries if deep or entry.kind == pack.RECORD]):
        try:
            if isinstance(data, Damaged):
                raise data
            value = codec.decode(data)
        except (Damaged, NotCanonical, NewerFormat) as error:
            yield "damage", entry.frame, f"{entry.kind} {entry.digest.hex()}: {error}"
            continue
        found.blobs.add(entry.digest)
        if entry.kind != pack.RECORD:
            found.refer(entry.digest, value)
        elif (reason := records.wrong(value)) is not None:
            yield "wrong", entry.frame, f"record {entry.digest.hex()}: {reason}"
        else:
            found.records[entry.digest] = value


def _content_hash(path: Path, end: int) -> bytes:
    running = hashlib.sha256()
    with open(path, "rb") as file:
        while end:
            piece = file.read(min(end, 1 << 20))
            running.update(piece)
            end -= len(piece)
    return running.digest()


def _directory(commit: pack.Commit):
    return commit.offset, commit.length, commit.entries


def _verify_index(store: Store, deep: bool, report: Report) -> None:
    """The index's file as it is, then (deep) its content against one made anew from the packs."""
    where = str(store.index.file)
    faults = store.index.faults()
    report.findings += [Finding("index", where, fault) for fault in faults]
    if faults:
        return
    if deep:
        fresh, mended = Index(None, store.packs, store.id), store.index.mended
        try:
            expected, content = fresh.content(), store.index.content()
        finally:
            fresh.close()
        if store.index.mended > mended:
            report.findings.append(Finding("index", where, "was corrupt, and has been made again"))
        for table in expected:
            if expected[table] != content[table]:
                report.findings.append(Finding("index", where, f"the table {table} differs from what the packs say"))
    for digest, job in store.index.withheld():
        report.findings.append(
            Finding("withheld", digest.hex(), f"a record of job {job.hex()} that a power cut left without what it refers to")
        )
