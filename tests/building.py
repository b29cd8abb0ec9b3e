"""Jobs made up for tests, and questions that many tests ask of an archive."""

import os
import random
import secrets
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from qarchive import check, codec, model, pack, records
from qarchive.bundles import writing
from qarchive.index import Index, Query
from qarchive.pack import Blob
from qarchive.solid import Writer
from qarchive.values import Link, Timestamp


@dataclass(frozen=True)
class Built:
    """A job as it would be committed: its id, and all its blobs and records."""

    id: bytes
    blobs: list[Blob]

    @property
    def records(self) -> list[Blob]:
        return [blob for blob in self.blobs if blob.kind == pack.RECORD]


def blob(kind: str, value: object, key: bytes | None = None) -> Blob:
    data = codec.encode(value)
    return Blob(kind, codec.digest(data), data, key)


def build(number: int, *, created: int | None = None, provider: str = "aer", backend: str = "aer_simulator", kind: str = "run",
          status: str | None = "DONE", group: str | None = None, tags: Iterable[str] = (), provider_job: str | None = None,
          size: int = 60, names: Iterable[str] = ()) -> Built:  # fmt: skip
    """A job that shares its calibration and environment with all others, its configuration with some, its input with those
    of the same number and size, and its result with none.

    `created` is in ns; `size` bytes of its input and its result do not compress. With status None it was only prepared.
    """
    calibration = blob("calibration", {"t1_s": [1.5e-4, 1.25e-4], "device": backend})
    device = blob("backend", {"name": backend, "snapshot": Link(calibration.digest)})
    environment = blob("environment", {"python": "3.11", "packages": ["qiskit 2.0"]})
    config = blob("config", {"shots": 100 * (number % 3 + 1)})
    circuit = blob(
        "circuit",
        {"qasm": "OPENQASM 3; qubit[2] q; h q[0];", "number": number, "angles": random.Random(number).randbytes(size // 2)},
    )
    labels = {"tags": list(tags)} | ({"group": group} if group else {})
    record = records.job_record(provider=provider, kind=kind, backend=backend, input=Link(circuit.digest),
                                config=Link(config.digest), shots=100, size=1, labels=labels, names=names)  # fmt: skip
    if created is not None:
        record["created"] = Timestamp(created)
    job = blob(pack.RECORD, record)
    if status is None:
        return Built(job.digest, [circuit, config, job])
    attempt = blob(pack.RECORD, records.attempt_record(
        job=Link(job.digest), number=1, backend=Link(device.digest), environment=Link(environment.digest),
        calibration=Link(calibration.digest), gaps=[], local=status != "SENDING"))  # fmt: skip
    blobs = [calibration, device, environment, config, circuit, job, attempt]
    if provider_job is not None:
        blobs.append(
            blob(pack.RECORD, records.sent_record(job=Link(job.digest), attempt=Link(attempt.digest), provider_job=provider_job))
        )
    if status in model.TERMINAL:
        result = blob("result", {"00": number, "11": 3, "salt": secrets.token_bytes(size // 2)})
        blobs += [result, blob(pack.RECORD, records.outcome_record(
            job=Link(job.digest), attempt=Link(attempt.digest), status=status, provider_status=status, provider_job=None,
            result=Link(result.digest), volatile={}, error=None, usage={}, gaps=[]))]  # fmt: skip
    return Built(job.digest, blobs)


def listed(store, query: Query | None = None) -> list[bytes]:
    """The ids that a listing of the whole archive shows, in its order."""
    return [bytes.fromhex(row.id) for row in store.index.rows(query or Query(), 1_000_000)]


def lacking(store, jobs: Iterable[Built]) -> list[str]:
    """What of these jobs the archive does not give back as it was written, in words; empty if it has all of it."""
    found, missing = set(listed(store)), []
    for job in jobs:
        if job.id not in found:
            missing.append(f"job {job.id.hex()[:8]} is not listed")
        for part in job.blobs:
            try:
                if store.get(part.digest) != part.data:
                    missing.append(f"{part.kind} {part.digest.hex()[:8]} has other bytes")
            except Exception as error:
                missing.append(f"{part.kind} {part.digest.hex()[:8]} of job {job.id.hex()[:8]}: {error}")
    return missing


def dangling(store) -> list[str]:
    """What listed jobs refer to, over any number of links, and the archive cannot give; in words."""
    known: dict[bytes, list[bytes]] = {}
    missing = []
    for job in listed(store):
        pending = [job, *store.index.records(job)]
        while pending:
            digest = pending.pop()
            if digest in known:
                continue
            known[digest] = []
            try:
                known[digest] = [link.digest for link in codec.links(codec.decode(store.get(digest)))]
            except Exception as error:
                missing.append(f"{digest.hex()[:8]}, which job {job.hex()[:8]} refers to: {error}")
            pending += known[digest]
    return missing


def indexed(folder: Path, packs: Iterable[list[Blob]], looks: Iterable[bool]) -> Index:
    """An index in memory of packs with these blobs, one commit each, which is asked after those of which `looks` says so."""
    (folder / "packs").mkdir(parents=True)
    index = Index(None, folder / "packs", "00")
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
    for blobs, look in zip(packs, looks, strict=True):
        name = secrets.token_bytes(16)
        blobs = sorted(blobs, key=lambda blob: blob.kind == pack.RECORD)
        (folder / "packs" / f"{name.hex()}.pack").write_bytes(pack.build(name, 0, 0, blobs, compressor))
        if look:
            index.refresh()
    return index


def kinds(report: check.Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def bundled(folder: Path, job: Built) -> Path:
    """A bundle of another archive with one job."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{job.id.hex()}.qar"
    name, first = secrets.token_bytes(16), writing.manifest("ab" * 16)
    with open(path, "xb") as file:
        writer = Writer(file, path, name)
        writer.add([first, *sorted(job.blobs, key=lambda blob: blob.kind == pack.RECORD)])
        writer.seal()
    return path


def temporary_folder() -> Path:
    """A new folder, in memory where the system has one, for those who take it away themselves."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="qarchive-test-", dir=memory if os.access(memory, os.W_OK) else None))


def everything(store) -> tuple:
    """All that an archive can be asked: rows in order, the records of each job folded, and every blob's bytes."""
    rows = store.index.rows(Query(kind=None), 1_000_000)
    jobs = [bytes.fromhex(row.id) for row in rows]
    blobs = {digest: store.get(digest) for digest in store.index.blobs_with_prefix("", 1_000_000)}

    def value(digest: bytes) -> object:
        return codec.decode(blobs[digest]) if digest in blobs else store.value(digest)

    folds = [model.fold(job, {digest: value(digest) for digest in store.index.records(job)}) for job in jobs]
    return rows, folds, blobs


class Child:
    """A forked process that runs `task(tell)`; what it tells comes back line by line, also when it is killed."""

    def __init__(self, task: Callable[[Callable[[str], None]], None]):
        self._reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads is part of what is tested
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self._reader)
                task(lambda line: os.write(writer, line.encode() + b"\n"))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[list[str], int]:
        """(lines told, exit code or minus the signal) when it has ended."""
        with open(self._reader, "rb") as reader:
            told = reader.read().decode().splitlines()
        return told, os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
