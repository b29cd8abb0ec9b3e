"""Jobs in IBM's cloud."""

from typing import Any
from uuid import UUID

from qarchive import records
from qarchive.stage import Stage
from qarchive.values import Array, Link, Timestamp, Typed

from .devices import History, Snapshot
from .job import DONE, ERROR, PREPARED, QUEUED, RETRIED, Job, Ran, json_of

_LOST = "Error code 1517; the job lost its connection to the control system at shot {need}"


class CloudJob(Job):
    """A sampler's job on a device in IBM's cloud, with the calibration of the day; some with several sets of parameters."""

    provider, kind = "ibm", "qpu"

    def __init__(self, history: History, snapshot: Snapshot, *args: Any):
        self.device, self.snapshot = history.device, snapshot
        self.backend_name = history.device.name
        super().__init__(*args)

    def _run(self) -> list[Ran]:
        draw, pool = self.draw, self.pool
        size = 1 if self.small else 1 + int(draw.integers(12))
        one = pool.native[int(draw.integers(len(pool.native)))]
        found, self.values = [], []
        for _ in range(size):
            circuit = one if self.number % 3 else pool.native[int(draw.integers(len(pool.native)))]
            found.append(self._measured(circuit, circuit.blobs, memory=True))
            self.values.append(draw.uniform(-3, 3, len(circuit.parameters)))
        luck = self._luck(5)
        session = str(UUID(bytes=luck.randbytes(16))) if self.group else None
        self.ids = {"provider_job": "d" + luck.randbytes(10).hex()[:19], "session": session}
        return found

    def _input(self, entries: list[dict]) -> dict:
        pubs = []
        for ran, values in zip(self.ran, self.values, strict=True):
            row = [[*ran.circuit.parameters, Array("<f8", (len(values),), values.tobytes())]] if len(values) else []
            pubs.append({"parameters": {"shape": [], "values": row}, "shots": self.shots})
        return {"type": "qiskit.pubs", "primitive": "sampler", "circuits": entries, "pubs": pubs}

    def _config(self) -> dict:
        options = {"dynamical_decoupling": {"enable": self.number % 4 == 0, "sequence_type": "XY4"}}
        runtime = {"log_level": "WARNING", **({"job_tags": self.tags} if self.tags else {})}
        found = {"program": "sampler", "inputs": {"options": options, "support_qiskit": True, "version": 2}, "runtime": runtime}
        return found | ({"session": self.ids["session"], "mode": "session"} if self.ids["session"] else {})

    def _snapshot(self, stage: Stage) -> dict[str, Any]:
        stage.put_again(self.device.configuration_template)
        backend = stage.put_again(self.device.configuration)
        if self.end == PREPARED:
            return {"backend": backend, "remote": True}
        stage.put_again(self.snapshot.template)
        return {"backend": backend, "calibration": stage.put_again(self.snapshot.calibration),
                "captured": Timestamp(self.created - 30 * 10**9), "remote": True}  # fmt: skip

    def _go(self, stage: Stage, job: Link, attempt: Link, end: str) -> None:
        told = {name: item for name, item in self.ids.items() if item}
        self._record(stage, records.sent_record(job=job, attempt=attempt, instance="face0b3d34616fc4", **told))
        if end == QUEUED:
            return
        answer = self._told(end)
        fields: dict[str, Any] = {"provider_job": self.ids["provider_job"]}
        if end == DONE:
            fields["result"] = stage.put("result", {"type": "ibm.result", "program": "sampler", "value": self._value()})
            fields["usage"] = {**answer["metrics"]["usage"], "bss_seconds": answer["metrics"]["bss"]["seconds"]}
        elif end == ERROR:
            lost = _LOST.format(need=self._luck(6).randrange(self.shots))
            fields["error"] = {"type": "RuntimeJobFailureError", "message": lost}
        self._outcome(stage, job, attempt, end, answer["job"]["status"], volatile=answer, **fields)

    def _told(self, end: str) -> dict[str, Any]:
        """What the service says of a job beside its result."""
        seconds = self._luck(7).randrange(1, 60)
        word = {"DONE": "Completed", "ERROR": "Failed", "CANCELLED": "Cancelled"}.get(end, "Queued")
        times = [str(Timestamp(self.created + after * 10**9)) for after in (1, 60, 60 + seconds)]
        usage = {"quantum_seconds": seconds, "qpu_charge_time_seconds": seconds, "seconds": seconds}
        job = {"id": self.ids["provider_job"], "backend": self.backend_name, "program": {"id": "sampler"}, "status": word,
               "created": times[0], "state": {"status": word}, "tags": self.tags, "cost": 10_800}  # fmt: skip
        metrics = {"timestamps": dict(zip(("created", "running", "finished"), times, strict=True)), "usage": usage,
                   "bss": {"seconds": seconds}, "qiskit_version": "2.2.0"}  # fmt: skip
        return {"backend": self.backend_name, "job": job, "metrics": metrics}

    def _bits(self, ran: Ran) -> Array:
        width = -(-ran.circuit.clbits // 8)
        shots = ran.states.take(ran.order).astype(">u8").view("u1").reshape(-1, 8)[:, 8 - width :]
        return Array("|u1", shots.shape, shots.tobytes())

    def _value(self) -> Typed:
        """The plain form of a PrimitiveResult."""
        results = []
        for ran in self.ran:
            bits = Typed("qiskit.BitArray", [ran.circuit.clbits, self._bits(ran)])
            results.append(
                Typed("qiskit.SamplerPubResult", [Typed("qiskit.DataBin", [[], ["meas"], [bits]]), {"circuit_metadata": {}}])
            )
        return Typed("qiskit.PrimitiveResult", [results, {"version": 2}])

    def _raw(self, about: dict) -> list[tuple[str, bytes]]:
        found = [("backend", self.device.raw), ("calibration", _raw_snapshot(self.snapshot)), ("config", json_of(self._config()))]
        found += [("parameters", json_of(dict(zip(ran.circuit.parameters, values.tolist(), strict=True))))
                  for ran, values in zip(self.ran, self.values, strict=True) if len(values)]  # fmt: skip
        if self.end in (DONE, RETRIED):
            found += [("bits", self._bits(ran).data) for ran in self.ran]
        about["answer"] = self._told(self.end)
        return found


_last: list[tuple[Snapshot, bytes]] = []  # the JSON of the calibrations of late, which most jobs share


def _raw_snapshot(snapshot: Snapshot) -> bytes:
    for known, data in _last:
        if known is snapshot:
            return data
    _last.append((snapshot, snapshot.raw()))
    del _last[:-20]
    return _last[-1][1]
