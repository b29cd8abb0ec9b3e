"""Verify: read what is there and say what is wrong with it. Nothing is repaired here, and nothing is passed over."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from . import codec, lease, pack, records
from .catalog import Progress
from .checking import workers
from .checking.digests import Digests, beginning
from .checking.packs import Part
from .errors import CannotWrite, Damaged, NewerFormat, NotCanonical, NotFound
from .index import Index, Read
from .intake import read_all
from .store import Store

HARMLESS = frozenset({"tail", "withheld", "unchecked"})  # kinds of findings


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    `kind` is one of tail (the end of a write that was cut off: reported, no damage), withheld (a record that a power cut
    left without what it refers to), wrong (a record that says nothing of any job or group), damage, missing (a blob that
    something refers to), foreign (a file that is no pack of this archive), index (the index says other than the packs;
    `qarchive reindex` mends it), unchecked (the index, for which the disk has no room: no damage).
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
        return any(finding.kind not in HARMLESS for finding in self.findings)


def verify(store: Store, deep: bool = False, progress: Progress | None = None) -> Report:
    """Check every commit's hash and every record; with `deep` also every blob, every link, and the index against the packs.

    Of the index every place of a blob is compared, and every row of it with its own check; of jobs that it lists, that they are
    those of which there are records. Of archives with more than some jobs (`tables.SAMPLE`) the rows of so many jobs, others each
    time, are made again from their records; in smaller ones, and where packs are damaged, those of all.

    Large archives are divided over the cores. Raises Damaged where there is no folder of packs, NewerFormat.
    """
    report, found = Report(), _Found()
    mended = store.index.mended
    lost = store.index.lost_packs()  # asked first: any other question makes the index forget them
    sizes = {}
    for path in _files(store.packs):
        if pack.pack_id(path):
            sizes[path] = path.stat().st_size
        elif path.suffix not in (lease.ABANDONED, pack.COMING):
            report.findings.append(Finding("foreign", str(path), "is no pack"))
    against = _against(store) if deep and sizes else None
    for path, part in workers.check(sizes, deep, against):
        if path is None:
            found.faults, found.tables = part
        elif part is not None:  # else it was replaced by another since, which the blobs that are missing would tell
            report.packs += 1
            report.size += sizes[path]
            report.commits += part.commits
            found.add(path, part)
            if progress:
                progress(report.size, sum(sizes.values()))
    for path in sorted(found.findings):
        report.findings += [Finding(kind, f"{path} at byte {at}", detail) for kind, at, detail in found.findings[path]]
    report.blobs, report.records = len(found.blobs), len(found.records)
    for name, blobs in lost.items():
        if missing := found.lacking(blobs):
            report.findings.append(Finding("missing", str(store.packs / name), f"the pack is gone, and with it {missing} blobs"))
    try:
        wrong = _wrong_with(store, found, deep, against, mended)
    except CannotWrite as error:
        report.findings.append(Finding("unchecked", error.path, f"the index was not looked at ({error.reason}); {error.hint}"))
        wrong = []
    report.findings += [Finding("index", str(store.index.file), fault) for fault in wrong]
    if damaged := {path.name for path, each in found.findings.items() if any(kind == "damage" for kind, _, _ in each)}:
        store.index.distrust(damaged)
    withheld = dict(store.index.withheld())
    for digest, job in withheld.items():
        detail = f"a record of job {job.hex()} that a power cut left without what it refers to"
        report.findings.append(Finding("withheld", digest.hex(), detail))
    for digest, where in sorted(referrers(store, sorted(sizes), found.missing(), deep, withheld.keys()).items()):
        report.findings.append(Finding("missing", digest.hex(), f"referred to by {where.hex()}"))
    return report


def _against(store: Store) -> Path | None:
    """The file of the index, caught up with the packs; None where the index is in memory and so has just been made from them."""
    store.index.refresh()
    return store.index.kept


def _wrong_with(store: Store, found: "_Found", deep: bool, against: Path | None, mended: int) -> list[str]:
    """What is wrong with the index."""
    index = store.index
    if not deep:
        return index.faults()
    if index.mended > mended:
        return ["was corrupt, and has been made again"]
    if found.faults or not found.read:
        return found.faults
    if against is None or not found.sound:  # what is left out of damaged packs only the index knows: one is made anew
        fresh = Index(None, index.packs, index.archive)
        try:
            different = index.differences(fresh)
        finally:
            fresh.close()
    else:
        different = index.contradicted(found.read) or found.tables  # these are held against the places of records
    return [f"the table {table} differs from what the packs say" for table in different]


def referrers(store: Store, packs: Iterable[Path], missing: Collection[bytes], deep: bool,
              withheld: Collection[bytes]) -> dict[bytes, bytes]:  # fmt: skip
    """{digest: a blob that links to it} of those of which the `beginning` is among the `missing`. Withheld records do not count,
    nor those about what was removed.

    With `deep` all blobs are looked at, else records. Whoever links to what is missing is looked for only when something is.
    """
    of_records: dict[bytes, bytes] = {}
    of_blobs: dict[bytes, bytes] = {}
    removed = cache(lambda subject: _is_removed(store, subject))
    for path in packs if missing else ():
        try:
            with open(path, "rb") as file:
                for found in pack.scan(path):
                    if type(found) is not pack.Commit:
                        continue
                    entries = [entry for entry in found.entries if deep or entry.kind == pack.RECORD]
                    for entry, data in read_all(file, path, entries):
                        if isinstance(data, Damaged) or not any(beginning(each) in missing for each in codec.mentioned(data)):
                            continue
                        links = () if entry.digest in withheld else _links(entry, data, removed)
                        target = of_records if entry.kind == pack.RECORD else of_blobs
                        for link in links:
                            if beginning(link) in missing and store.condemned.find(link) is None:
                                target.setdefault(link, entry.digest)
        except FileNotFoundError:
            continue
    return of_records | of_blobs


def _links(entry: pack.Entry, data: bytes, removed: Callable[[bytes], bool]) -> Iterable[bytes]:
    """What a blob links to that must be there, unless it is wrong, which is said elsewhere."""
    try:
        value, links = codec.decode_linked(data)
    except (NotCanonical, NewerFormat):
        return ()
    if entry.kind != pack.RECORD:
        return links
    if records.wrong(value) is not None or value["type"] in records.LOCAL:
        return ()
    return () if removed(records.subject_of(entry.digest, value)) else links


def _is_removed(store: Store, subject: bytes) -> bool:
    about = {}
    for digest in store.index.records(subject):
        try:
            about[digest] = store.value(digest)
        except (Damaged, NotCanonical, NotFound):
            continue
    return records.is_removed(about)


def _files(packs: Path) -> list[Path]:
    try:
        return sorted(packs.iterdir())
    except FileNotFoundError:
        raise Damaged(str(packs), "the folder of the packs is missing") from None


class _Found:
    """What was found in all packs so far."""

    def __init__(self):
        self.blobs, self.records, self._links = Digests(), Digests(), Digests()
        self.findings: dict[Path, list[tuple[str, int, str]]] = {}
        self.faults, self.tables = [], []  # of the index
        self.read: dict[str, Read] = {}  # by the names of packs
        self.sound = True

    def add(self, path: Path, part: Part) -> None:
        self.blobs.add(part.blobs)
        self.records.add(part.records)
        self._links.add(part.links)
        self.read[path.name] = part.read
        if part.findings:
            self.findings[path] = part.findings
            self.sound = self.sound and all(kind == "tail" for kind, _, _ in part.findings)

    def missing(self) -> set[bytes]:
        """The beginnings of digests that something links to and no pack holds."""
        return self._links.without(self.blobs)

    def lacking(self, digests: Iterable[bytes]) -> int:
        """How many of these no pack holds."""
        asked = Digests()
        asked.add(b"".join(digests))
        return len(asked.without(self.blobs))
