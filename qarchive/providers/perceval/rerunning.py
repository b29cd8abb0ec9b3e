"""Archived jobs run again: here, on a simulation with the noise of the archived platform, or on what their user gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BadInput
from ...values import Link
from .. import hooks
from ..base import Get, Recorder
from ..sdk import sdk
from .calls import COMPUTER, EXPERIMENT
from .objects import COMPUTERS, PROCESSORS, REMOTE_PROCESSORS, handler_of, is_a, marked_in
from .payloads import load_input, load_payload
from .platforms import DETAILS
from .values import from_plain

_HERE = "SLOS"  # Perceval's simulation backend for what ran elsewhere


@dataclass(frozen=True)
class Again:
    """An archived call, ready to run on a processor or a computer."""

    inside: Any
    command: str
    experiment: Any
    iterations: list[dict]
    parameters: dict[str, Any]

    def run(self) -> Any:
        if is_a(self.inside, PROCESSORS | REMOTE_PROCESSORS):
            return self._on_processor()
        factory = sdk("perceval.runtime", "a computer", "perceval").ExecutionFactory(
            self.inside, self.experiment, self.parameters.get("max_shots") or (10_000 if self.inside.is_remote else None)
        )
        factory.add_iteration_list(self.iterations)
        taken = {row[0] for row in self.inside.get_command(self.command).signature} - {"max_shots"}
        given = {name: item for name, item in self.parameters.items() if name in taken}
        execution = factory.build_execution(factory.build_computation(self.command))
        return execution.execute_async(**given) if self.inside.is_remote else execution.execute_sync(**given)

    def _on_processor(self) -> Any:
        legacy = sdk("perceval.runtime.legacy", "a processor", "perceval")
        if is_a(self.inside, REMOTE_PROCESSORS):
            processor = legacy.RemoteProcessor(rpc_handler=handler_of(self.inside))
            processor.experiment = self.experiment
        else:
            processor = legacy.Processor(self.inside.backend, self.experiment)
            processor._computer.noise = self.inside._computer.noise
            processor._computer.parameters = self.inside._computer.parameters
        if "precision" in self.parameters and not processor.is_remote:
            return processor.probs(self.parameters["precision"])  # a Sampler has a precision of its own
        sampler = sdk("perceval.algorithm", "a processor", "perceval").Sampler(
            processor, max_shots_per_call=self.parameters.get("max_shots") or (10_000 if processor.is_remote else None)
        )
        sampler.add_iteration_list(self.iterations)
        given = (self.parameters["max_samples"],) if self.parameters.get("max_samples") and self.command != "probs" else ()
        job = getattr(sampler, self.command)
        return job.execute_async(*given) if processor.is_remote else job.execute_sync(*given)


def computer(get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
    """What runs here: of a local job a processor or a computer like its own, of a platform a simulation with the noise of a
    calibration."""
    legacy = sdk("perceval.runtime.legacy", "a processor", "perceval")
    experiment = _experiment(get, job)
    if backend.get("type") == COMPUTER:
        settings = from_plain(get(job["config"]).get("settings", {}))
        try:
            if backend["owner"] != "Processor":
                return _simulated(backend["name"], settings)
            processor = legacy.Processor(backend["name"], experiment)
        except AssertionError:
            raise BadInput(
                f"the simulation backend {backend['name']!r}", "is none of Perceval's own", "give one to `rerun`"
            ) from None
        if settings.get("noise") is not None and experiment.noise is None:
            processor._computer.noise = settings["noise"]
        processor._computer.parameters = dict(settings.get("parameters", {}))
        return processor
    details = get(calibration) if calibration is not None else {}
    if details.get("type") != DETAILS:
        raise BadInput(f"the platform {backend.get('name')}", "its details were not captured", "give a processor to `rerun`")
    processor = legacy.Processor(_HERE, experiment)
    noise = sdk("perceval.utils.noise_model", "a processor", "perceval")
    perfs = details["details"].get("perfs")
    if perfs:
        processor._computer.noise = noise.perf_dict_to_noise(perfs)
    return processor


def _simulated(name: str, settings: Mapping[str, Any]) -> Any:
    found = sdk("perceval.runtime", "a computer", "perceval").SimulatedComputer(name)
    found.noise, found.mitigations = settings.get("noise"), settings.get("mitigations")
    found.parameters = dict(settings.get("parameters", {}))
    return found


def call(get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
    """(target, args, kwargs) that run an archived job on a processor or a computer. Raises BadInput, MissingExtra."""
    if not is_a(backend, PROCESSORS | REMOTE_PROCESSORS | COMPUTERS):
        raise BadInput(f"a {type(backend).__name__}", "is no processor or computer of Perceval's")
    value, config = get(job["input"]), get(job["config"])
    experiment = _experiment(get, job)
    if value["type"] == EXPERIMENT:
        iterations = from_plain(value["iterations"]) if "iterations" in value else []
        return Again(backend, config["command"], experiment, iterations, from_plain(config["parameters"])), (), {}
    payload = load_payload(get, job)["payload"]
    found = load_input(get, job)
    iterations = found["iterations"] if isinstance(found, dict) else []
    parameters = {name: payload[name] for name in ("max_samples", "max_shots") if payload.get(name)}
    return Again(backend, payload["command"], experiment, iterations, parameters), (), {}


def _experiment(get: Get, job: Mapping[str, Any]) -> Any:
    found = load_input(get, job)
    return found["experiment"] if isinstance(found, dict) else found


@dataclass(frozen=True)
class Recorded:
    """A call that is recorded while it is made; what its user had wrapped before is as it was afterwards."""

    again: Again
    recorder: Recorder

    def run(self) -> Any:
        inside = marked_in(self.again.inside)
        before = [hooks.marked(item) for item in inside]
        for item in inside:
            hooks.mark(item, self.recorder)
        try:
            return self.again.run()
        finally:
            for item, recorder in zip(inside, before, strict=True):
                hooks.mark(item, recorder)
