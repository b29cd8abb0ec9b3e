"""Archived jobs run again, or for the first time: here, on a simulation with the noise of the archived platform, or on what their
user gives. What was to be sent to a platform is sent to it as it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BadInput
from ...values import Link
from .. import choosing
from ..base import Get, Recorder
from ..sdk import sdk
from .calls import COMPUTER, EXPERIMENT
from .objects import COMPUTERS, PROCESSORS, REMOTE_PROCESSORS, handler_of, is_a, is_handler
from .payloads import is_whole, load_input, load_payload, process
from .platforms import DETAILS
from .values import from_plain

_HERE = "SLOS"  # Perceval's simulation backend for what ran elsewhere
_SHOTS = 10_000  # of a job that was prepared without a limit, where a platform must have one


@dataclass(frozen=True)
class Again:
    """An archived call, ready to run on a processor, a computer, or the platform of an RPC handler."""

    inside: Any
    command: str
    experiment: Any
    iterations: list[dict]
    parameters: dict[str, Any]
    name: str | None = None
    group: str | None = None

    def run(self) -> Any:
        if is_a(self.inside, COMPUTERS):
            return self._on_computer()
        legacy = sdk("perceval.runtime.legacy", "a processor", "perceval")
        if is_a(self.inside, PROCESSORS):
            processor = _like(self.inside, self.experiment)
        else:
            processor = legacy.RemoteProcessor(rpc_handler=handler_of(self.inside))
            processor.experiment = self.experiment
        if "precision" in self.parameters and not processor.is_remote:
            return processor.probs(self.parameters["precision"])  # a Sampler has a precision of its own
        sampler = sdk("perceval.algorithm", "a processor", "perceval").Sampler(
            processor, max_shots_per_call=self.parameters.get("max_shots") or (_SHOTS if processor.is_remote else None)
        )
        sampler.add_iteration_list(self.iterations)
        job = getattr(sampler, self.command)
        if self.name:
            job.name = self.name
        if processor.is_remote and self.group:
            job.set_job_group_name(self.group)
        given = (self.parameters["max_samples"],) if self.parameters.get("max_samples") and self.command != "probs" else ()
        return job.execute_async(*given) if processor.is_remote else job.execute_sync(*given)

    def _on_computer(self) -> Any:
        remote = self.inside.is_remote
        factory = sdk("perceval.runtime", "a computer", "perceval").ExecutionFactory(
            self.inside, self.experiment, self.parameters.get("max_shots") or (_SHOTS if remote else None)
        )
        factory.add_iteration_list(self.iterations)
        taken = {row[0] for row in self.inside.get_command(self.command).signature} - {"max_shots"}
        given = {name: item for name, item in self.parameters.items() if name in taken}
        execution = factory.build_execution(factory.build_computation(self.command))
        if self.name:
            execution.name = self.name
        if self.group:
            execution.job_group_name = self.group
        return execution.execute_async(**given) if remote else execution.execute_sync(**given)


@dataclass(frozen=True)
class Resend:
    """The body of a request, ready to be sent to the platform that it was made for."""

    inside: Any  # the RPC handler
    body: dict[str, Any]

    def run(self) -> Any:
        """The RemoteJob, once it is sent."""
        name = self.body.get("job_name")
        job = sdk("perceval.runtime.legacy", "a job", "perceval").RemoteJob(
            self.body, self.inside, name if isinstance(name, str) else "resumed"
        )
        job._id = self.inside.create_job(self.body)
        return job


@dataclass(frozen=True)
class Recorded:
    """A call that is recorded while it is made, whoever records what else goes through its objects."""

    again: Again | Resend
    recorder: Recorder

    def run(self) -> Any:
        with choosing.through(self.recorder):
            return self.again.run()


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
        processor._computer.mitigations = settings.get("mitigations")
        processor.set_parameters(settings.get("processor_parameters", {}))
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


def _like(processor: Any, experiment: Any) -> Any:
    """A processor with the settings of another one, for another experiment."""
    made = sdk("perceval.runtime.legacy", "a processor", "perceval").Processor(processor.backend, experiment)
    theirs = processor._computer
    made._computer.noise, made._computer.mitigations = theirs.noise, theirs.mitigations
    made._computer.parameters = dict(theirs.parameters)
    made.set_parameters(processor.parameters)
    return made


def call(get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
    """(target, args, kwargs) that run an archived job on a processor, a computer, or the platform of an RPC handler. Raises
    BadInput, MissingExtra."""
    if not is_a(backend, PROCESSORS | REMOTE_PROCESSORS | COMPUTERS) and not is_handler(backend):
        raise BadInput(f"a {type(backend).__name__}", "is no processor or computer of Perceval's")
    value, config = get(job["input"]), get(job["config"])
    handler = handler_of(backend)
    if handler is not None and handler.name == job["backend"] and is_whole(value, config):
        return Resend(handler, {**load_payload(get, job), **process()}), (), {}
    experiment = _experiment(get, job)
    if value["type"] == EXPERIMENT:
        iterations = from_plain(value["iterations"]) if "iterations" in value else []
        name = next(iter(job.get("names", ())), None)
        return Again(backend, config["command"], experiment, iterations, from_plain(config["parameters"]), name), (), {}
    sent = load_payload(get, job)
    payload, found = sent["payload"], load_input(get, job)
    iterations = found["iterations"] if isinstance(found, dict) else []
    parameters = {name: payload[name] for name in ("max_samples", "max_shots") if payload.get(name)}
    again = Again(
        backend, payload["command"], experiment, iterations, parameters, sent.get("job_name"), sent.get("job_group_name")
    )
    return again, (), {}


def _experiment(get: Get, job: Mapping[str, Any]) -> Any:
    found = load_input(get, job)
    return found["experiment"] if isinstance(found, dict) else found
