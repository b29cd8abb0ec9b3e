"""Runs on Aer."""

from typing import Any
from uuid import UUID

import numpy

from qarchive import codec
from qarchive.providers.qiskit.results import pack_result
from qarchive.stage import Stage
from qarchive.values import Array, Link, Timestamp, Typed

from .job import CANCELLED, DONE, ERROR, QUEUED, RETRIED, Job, Ran, json_of

_MEMORY = ("ERROR: Failed to load qobj: Insufficient memory to run circuit using the statevector simulator. "
           "Required memory: {need}M, max memory: 24105M")  # fmt: skip


class LocalJob(Job):
    """A run on Aer: circuits of the library with angles of their own, counts, now and then memory or a state."""

    provider, kind, backend_name = "aer", "simulator", "aer_simulator"

    def _run(self) -> list[Ran]:
        draw, pool = self.draw, self.pool
        self.simulator = pool.simulators[int(draw.integers(len(pool.simulators)))]
        self.state = draw.random() < 0.002
        if self.state:
            circuit = pool.state_circuit
            return [Ran(circuit, circuit.blobs, numpy.array([]), numpy.array([]), None)]
        size = 1 if self.small else 1 + int(draw.integers(20))
        memory = draw.random() < 0.08
        varied = draw.random() < 0.6  # one circuit at other angles, as optimizers run it; else circuits as they come
        one = pool.circuits[int(draw.integers(len(pool.circuits)))]
        found = []
        for _ in range(size):
            circuit = one if varied else pool.circuits[int(draw.integers(len(pool.circuits)))]
            blobs = circuit.turned(draw) if varied and len(circuit.places) else circuit.blobs
            found.append(self._measured(circuit, blobs, memory))
        return found

    def _input(self, entries: list[dict]) -> dict:
        return {"type": "qiskit.circuits", "circuits": entries, **({"single": True} if len(entries) == 1 else {})}

    def _config(self) -> dict:
        options = {"shots": self.shots, "seed_simulator": self.number % 1000}
        return {"options": {**options, "memory": True} if self.ran[0].order is not None else options}

    def _snapshot(self, stage: Stage) -> dict[str, Any]:
        return {"backend": stage.put_again(self.simulator)}

    def _go(self, stage: Stage, job: Link, attempt: Link, end: str) -> None:
        if end == QUEUED:
            return  # it was killed
        if end == ERROR:
            error = {"type": "AerError", "message": _MEMORY.format(need=16 << self._luck(3).randrange(20, 40))}
            self._outcome(stage, job, attempt, "ERROR", "ERROR", error=error)
        elif end == CANCELLED:
            self._outcome(stage, job, attempt, "CANCELLED", "CANCELLED")
        else:
            answer = self._answer()
            value, volatile = pack_result(_Answer(answer))
            link = stage.put("result", value)
            self._outcome(stage, job, attempt, "DONE", "DONE", provider_job=answer["job_id"], result=link, volatile=volatile)

    def _answer(self) -> dict:
        """`Result.to_dict()` of a run like this."""
        luck = self._luck(4)
        took = [luck.random() / 50 for _ in self.ran]
        if self.state:
            whole = {name: item for name, item in self.pool.state.items() if name != "results"}
            whole["results"] = [{**self.pool.state["results"][0], "data": {"statevector": self._turned_state()}}]
        else:
            whole = dict(self.ran[0].circuit.answer["whole"])
            whole["results"] = [self._experiment(ran, spent) for ran, spent in zip(self.ran, took, strict=True)]
        moment = Timestamp(self.created + 10**9).datetime.isoformat()
        whole.update(date=moment[:26], job_id=str(UUID(bytes=luck.randbytes(16))), time_taken=sum(took) * 1.1)
        whole["metadata"] = {**whole["metadata"], "time_taken_execute": sum(took)}
        return whole

    def _experiment(self, ran: Ran, spent: float) -> dict:
        found = {name: item for name, item in ran.circuit.answer.items() if name != "whole"}
        data: dict[str, Any] = {"counts": ran.counts}
        if ran.order is not None:
            data["memory"] = ran.memory
        found.update(shots=self.shots, seed_simulator=self.number % 1000, time_taken=spent, data=data)
        found["metadata"] = {**found["metadata"], "time_taken": spent, "sample_measure_time": spent / 3}
        return found

    def _turned_state(self) -> Typed:
        kept = self.pool.state["results"][0]["data"]["statevector"]
        array, dimensions = kept.value
        angles = numpy.random.default_rng([self.seed, 3, self.number]).uniform(-3, 3, array.shape)
        states = numpy.frombuffer(array.data, array.dtype) * numpy.exp(1j * angles)
        return Typed(kept.tag, [Array(array.dtype, array.shape, states.tobytes()), dimensions])

    def _raw(self, about: dict) -> list[tuple[str, bytes]]:
        found = [("backend", json_of(codec.decode(self.simulator.data))), ("config", json_of(self._config()))]
        if self.end in (DONE, RETRIED):
            answer = self._answer()
            if self.state:
                data = answer["results"][0].pop("data")
                answer["results"][0] = {**answer["results"][0], "data": {}}
                found.append(("state", bytes(data["statevector"].value[0].data)))
            found.append(("result", json_of(answer)))
        return found


class _Answer:
    """What stands for a Result of Qiskit where only its dict is asked for."""

    def __init__(self, content: dict):
        self._content = content

    def to_dict(self) -> dict:
        return self._content
