"""What all jobs of the corpus have in common: how they are drawn, and how they are staged."""

import json
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy

from qarchive import codec, records
from qarchive.environment import environment
from qarchive.pack import RECORD, Blob
from qarchive.stage import Stage
from qarchive.store import Store
from qarchive.values import Link, Timestamp, Typed

from .devices import blob_of, link_to
from .pool import Circuit, Pool

GROUP = 300  # jobs in a group; of three such stretches one is a group
DONE, ERROR, CANCELLED, RETRIED, PREPARED, QUEUED = "DONE", "ERROR", "CANCELLED", "RETRIED", "PREPARED", "QUEUED"
_ENDS = ((0.90, DONE), (0.93, ERROR), (0.95, CANCELLED), (0.97, RETRIED), (0.99, PREPARED), (1.0, QUEUED))
_SHOTS = (1000, 1024, 2048, 4096, 8192, 10_000)
_TAGS = ("paper", "test", "vqe", "qaoa", "benchmark", "thesis")


@dataclass
class Ran:
    """A circuit of a job and what was measured of it."""

    circuit: Circuit
    blobs: tuple[Blob, Blob]
    states: numpy.ndarray
    numbers: numpy.ndarray  # how often each
    order: numpy.ndarray | None  # places among `states`, one a shot; None where only counts are kept

    @property
    def counts(self) -> dict[str, int]:
        return dict(zip(map(hex, self.states.tolist()), self.numbers.tolist(), strict=True))

    @property
    def memory(self) -> list[str]:
        return numpy.array(list(map(hex, self.states.tolist())), dtype=object).take(self.order).tolist()


class Job:
    """One job. `raw` is what somebody without qarchive would keep of it; `stage` and `commit` put it into an archive."""

    provider: str

    def __init__(self, pool: Pool, seed: int, draw: numpy.random.Generator, number: int, created: int, small: bool):
        self.pool, self.seed, self.draw, self.number, self.created, self.small = pool, seed, draw, number, created, small
        luck = draw.random()
        self.end = next(end for most, end in _ENDS if luck < most)
        self.shots = _SHOTS[int(draw.integers(2 if small else len(_SHOTS)))]
        self.tags = sorted({_TAGS[place] for place in draw.integers(2 * len(_TAGS), size=2) if place < len(_TAGS)})
        self.group = f"sweep {number // GROUP // 3:05d}" if number // GROUP % 3 == 0 else None
        self.ran = self._run()

    # What runs

    def _run(self) -> list[Ran]:
        raise NotImplementedError

    def _measured(self, circuit: Circuit, blobs: tuple[Blob, Blob], memory: bool) -> Ran:
        numbers = self.draw.multinomial(self.shots, circuit.chances)
        kept = numbers.nonzero()[0]
        numbers = numbers[kept]
        order = self.draw.permutation(numpy.repeat(numpy.arange(len(kept)), numbers)) if memory else None
        return Ran(circuit, blobs, circuit.states[kept], numbers, order)

    def _luck(self, what: int) -> Random:
        """Random numbers for what is made later, the same however often and in whatever order it is asked for."""
        return Random(self.seed << 80 | what << 64 | self.number)

    # Into an archive

    def commit(self, store: Store) -> Link:
        """Write it, as local runs are written. Its id."""
        stage = Stage(store)
        job = self.stage(stage)
        stage.commit(durable=False)
        return job

    def stage(self, stage: Stage) -> Link:
        """Stage its blobs and records. Its id."""
        self._at, self._nonces = self.created, self._luck(1)  # of the record that is made next
        entries = []
        for ran in self.ran:
            for blob in ran.blobs:
                stage.put_again(blob)
            entries.append({"circuit": link_to(ran.blobs[0]), "qpy": link_to(ran.blobs[1])})
        job = self._record(stage, records.job_record(
            provider=self.provider, kind=self.kind, backend=self.backend_name, input=stage.put("input", self._input(entries)),
            config=stage.put("config", self._config()), shots=self.shots, size=len(self.ran),
            names=[ran.circuit.name for ran in self.ran], labels=self._labels(), member=self._member(stage),
            prepared=self._snapshot(stage) if self.end == PREPARED else None))  # fmt: skip
        if self.end == PREPARED:
            return job
        if self.end == RETRIED:
            self._attempt(stage, job, 1, ERROR)
        self._attempt(stage, job, 2 if self.end == RETRIED else 1, DONE if self.end == RETRIED else self.end)
        if self.number % 20 == 0 and self.ran[0].circuit.text:
            held = {"type": "file", "name": "circuit.qasm", "content": self.ran[0].circuit.text.encode()}
            self._record(stage, records.attachment_record(job=job, name="source", value=stage.put("attachment", held)))
        return job

    def _attempt(self, stage: Stage, job: Link, number: int, end: str) -> None:
        found = self._snapshot(stage)
        attempt = self._record(stage, records.attempt_record(
            job=job, number=number, backend=found["backend"], environment=stage.put_again(_environment()),
            calibration=found.get("calibration"), captured=found.get("captured"), gaps=[],
            local=not found.get("remote")))  # fmt: skip
        self._go(stage, job, attempt, end)

    def _outcome(self, stage: Stage, job: Link, attempt: Link, status: str, word: str, **fields: Any) -> None:
        empty = {"provider_job": None, "result": None, "volatile": {}, "error": None, "usage": {}, "gaps": []}
        self._record(stage, records.outcome_record(
            job=job, attempt=attempt, status=status, provider_status=word, **{**empty, **fields}))  # fmt: skip

    def _record(self, stage: Stage, record: dict) -> Link:
        """Stage a record with a time and a nonce of its own, which are drawn and not taken from the clock."""
        self._at += self._nonces.randrange(1, 5_000_000_000)
        record["created"] = Timestamp(self._at)
        if "nonce" in record:
            record["nonce"] = self._nonces.randbytes(len(record["nonce"]))
        return stage.record(record)

    def _labels(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tags": self.tags} if self.tags else {}
        return found | ({"group": self.group, "params": {"step": self.number % GROUP}} if self.group else {})

    def _member(self, stage: Stage) -> dict[str, Any] | None:
        if self.group is None:
            return None
        group = stage.put_again(blob_of(RECORD, records.group_record(name=self.group, archive=stage.store.id, number=1)))
        return {"group": group, "author": stage.store.id, "sequence": 1 + self.number % GROUP, "first": 0}

    # Without an archive

    @property
    def raw(self) -> list[tuple[str, bytes]]:
        """(kind, bytes) of each value: circuits as QPY, the rest as JSON. Equal values are equal bytes in all jobs."""
        found = [("circuit", self.ran[0].circuit.text.encode())] if self.number % 20 == 0 and self.ran[0].circuit.text else []
        found += [("circuit", bytes(codec.decode(ran.blobs[1].data)["qpy"])) for ran in self.ran]
        about = {"id": self._luck(2).randbytes(32).hex(), "provider": self.provider, "backend": self.backend_name,
                 "status": self.end, "created": str(Timestamp(self.created)), **self._labels(),
                 "names": [ran.circuit.name for ran in self.ran]}  # fmt: skip
        found += self._raw(about)
        found.append(("environment", json_of(environment())))
        found.append(("record", json_of(about)))
        return found


@cache
def _environment() -> Blob:
    return blob_of("environment", environment())


def json_of(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=lambda item: item.value if type(item) is Typed else None).encode()
