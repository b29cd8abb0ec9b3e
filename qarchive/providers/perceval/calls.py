"""What is computed here, whichever of Perceval's ways was taken to it, as plain values."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...codec import digest, encode
from ...errors import BadInput, NotEncodable
from ..base import Execution, Stage
from ..wrapped import is_a
from .describe import describe
from .objects import SAMPLERS
from .values import to_plain

EXPERIMENT, COMPUTER = "perceval.experiment", "perceval.computer"
_WRAPPERS = {"_probs_wrapper": "probs", "_probs_iterate_locally": "probs", "_samples_wrapper": "samples",
             "_samples_iterate_locally": "samples"}  # fmt: skip
_COMMANDS_OF = {"BSDistribution": "probs", "BSCount": "sample_count", "BSSamples": "samples"}


@dataclass
class Call:
    """One thing that is to be computed here, whichever of Perceval's ways was taken to it."""

    command: str
    experiment: Any
    backend: Any  # the simulation backend, or the computer where it has none
    owner: str  # the class that was asked
    iterations: list[dict] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)  # of the command
    settings: dict[str, Any] = field(default_factory=dict)  # of the processor or computer
    name: str | None = None

    @property
    def backend_name(self) -> str:
        name = getattr(self.backend, "name", None)
        return name if isinstance(name, str) else type(self.backend).__name__


@dataclass(frozen=True)
class Asked:
    """A call that is about to be made, read only once it is recorded: `name` is what is known without, `asked` the processor or
    the computer, `play` puts an archived job in its place and returns what Perceval's own method would have been followed by."""

    make: Callable[[], Call | None]
    name: str
    asked: Any = None
    play: Callable[[Any], Any] | None = None


def experiment_link(stage: Stage, experiment: Any) -> Any:
    """The blob of an experiment, equal for equal ones, however they got here. It is described once."""
    plain = to_plain(experiment, "experiment", lambda path, reason: stage.gap(f"input.{path}", reason))
    try:
        key = digest(encode(plain))
    except NotEncodable:  # it holds what is too long for one blob
        return stage.put("circuit", {"experiment": plain, "text": describe(experiment)})
    known = stage.find(key)
    if known is not None and stage.again(known):
        return known
    return stage.put("circuit", {"experiment": plain, "text": describe(experiment)}, key=key)


def describe_call(stage: Stage, provider: str, call: Call) -> Execution:
    """Everything about a call before it starts."""

    def plain(value: Any, what: str) -> Any:
        return to_plain(value, what, stage.gap)

    value = {"type": EXPERIMENT, "experiment": experiment_link(stage, call.experiment)}
    if call.iterations:
        value["iterations"] = plain(call.iterations, "input.iterations")
    parameters = {name: item for name, item in call.parameters.items() if item is not None}
    config = {"command": call.command, "parameters": plain(parameters, "config.parameters")}
    empty = (type(None), dict, list)
    settings = {name: item for name, item in call.settings.items() if item or not isinstance(item, empty)}
    if settings:
        config["settings"] = plain(settings, "config.settings")
    backend = {"type": COMPUTER, "name": call.backend_name, "class": type(call.backend).__qualname__,
               "module": type(call.backend).__module__, "owner": call.owner}  # fmt: skip
    exact = call.command == "probs"  # computed, not sampled, unless it was made of samples
    shots = parameters.get("max_samples") or (None if exact else parameters.get("max_shots"))
    return Execution(
        provider=provider,
        kind="simulator",
        backend_name=call.backend_name,
        input=stage.put("input", value),
        config=stage.put("config", config),
        backend=stage.put("backend", backend),
        shots=shots if type(shots) is int else None,
        size=max(1, len(call.iterations)),
        names=(call.name,) if call.name else (),
    )


def call_of_job(job: Any) -> Call | None:
    """What a LocalJob of a Sampler computes; None for one that was made of somebody's own function."""
    sampler = getattr(job._fn, "__self__", None)
    if not is_a(sampler, SAMPLERS):
        return None
    processor = sampler._processor
    primitive = _WRAPPERS.get(job._fn.__name__, job._fn.__name__)
    conversion = getattr(job._result_mapping_function, "__name__", None) or _conversion_done(primitive, job._results)
    parameters = {"max_shots": sampler._max_shots}
    for part in ("mapping", "command"):
        parameters.update((name, item) for name, item in job.delta_parameters[part].items() if name != "progress_callback")
    return Call(
        command=conversion.rpartition("_to_")[2] if conversion else primitive,
        experiment=processor.experiment,
        backend=processor.backend,
        owner=type(processor).__qualname__,
        iterations=list(sampler._iterator.iterations) if sampler._iterator else [],
        parameters=parameters,
        settings=_settings(processor) | ({"conversion": conversion} if conversion else {}),
        name=job.name if job.name != "Job" else None,
    )


def _settings(processor: Any) -> dict[str, Any]:
    computer = processor._computer
    own = {"noise": processor.noise, "parameters": dict(computer.parameters), "processor_parameters": dict(processor.parameters)}
    return own | ({"mitigations": computer.mitigations} if computer.mitigations else {})


def call_of_asked(job: Any, args: tuple, kwargs: dict) -> Call | None:
    """What a LocalJob computes when it is executed with these arguments."""
    call = call_of_job(job)
    if call is not None:
        names = list(job._param_names)
        if len(args) > len(names):
            names.append("max_samples")
        call.parameters.update(zip(names, args, strict=False))
        call.parameters.update((name, item) for name, item in kwargs.items() if name not in ("progress_callback", "archive"))
    return call


def call_to_prepare(job: Any, args: tuple, kwargs: dict) -> Call | None:
    """The same of one that is only prepared. Raises BadInput, and what Perceval raises of arguments that it does not take."""
    if not job.status.waiting:
        raise BadInput("a LocalJob", "it was executed before", "make another one of its Sampler")
    again = copy.copy(job)
    again._delta_parameters = {part: dict(given) for part, given in job.delta_parameters.items()}
    again._delta_parameters["command"]["progress_callback"] = job._progress_cb
    again._handle_params(*args, **{name: item for name, item in kwargs.items() if name != "archive"})
    return call_of_asked(job, args, kwargs)


def conversion_of(job: Any) -> str | None:
    """The conversion that the results of a LocalJob are still to go through when its user asks for them."""
    if job._results is None or job._result_mapping_function is None:
        return None
    return job._result_mapping_function.__name__


def unconverted(record: Any) -> str | None:
    """Of an archived job with results the conversion that they would still go through, had their user asked for them, or
    `mitigations`; None where they are as their user got them."""
    return record.get(record.outcome["result"]).get("unconverted")


def _conversion_done(primitive: str, results: Any) -> str | None:
    """The conversion that results have been through: a LocalJob forgets it when their user has asked for them."""
    if not isinstance(results, dict):
        return None
    entries = results.get("results_list") or [results]
    command = _COMMANDS_OF.get(type(entries[0].get("results")).__name__, primitive)
    return f"{primitive}_to_{command}" if command != primitive else None


def direct_call(asked: Any, command: str, args: tuple, kwargs: dict, original: Callable) -> Call:
    names = original.__code__.co_varnames[1 : original.__code__.co_argcount]
    given = {**dict(zip(names, args, strict=False)), **{name: item for name, item in kwargs.items() if name != "archive"}}
    given.pop("progress_callback", None)
    experiment = given.pop("experiment", None) or getattr(asked, "experiment", None)
    if hasattr(asked, "_computer"):
        return Call(command, experiment, asked.backend, type(asked).__qualname__, parameters=given, settings=_settings(asked))
    backend, settings = getattr(asked, "_backend", asked), _of_computer(asked)
    return Call(command, experiment, backend, type(asked).__qualname__, parameters=given, settings=settings)


def _of_computer(computer: Any) -> dict[str, Any]:
    return {"noise": computer.noise, "parameters": dict(computer.parameters)}


def call_of_computation(computer: Any, computation: Any) -> Call:
    iterations = getattr(computation, "iterations", [])
    return Call(
        command=computation.command.name,
        experiment=computation.experiment,
        backend=getattr(computer, "_backend", computer),
        owner=type(computer).__qualname__,
        iterations=list(iterations),
        parameters=dict(computation.parameters),
        settings=_of_computer(computer) | {"mitigations": computer.mitigations},
        name=computation.job_name if computation.job_name != computation.command.name else None,
    )
