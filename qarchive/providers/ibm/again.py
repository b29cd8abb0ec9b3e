"""Archived jobs as calls that send them to IBM's cloud, for the first time or once more: nothing may be other than it was asked.

Options come back through the SDK's own classes, and what these would send now is compared with what the archive has: where this
version of the SDK makes anything else of them, no job is sent at all.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ...errors import BadInput
from ..base import Get
from ..qiskit.values import from_plain
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from .inputs import load_input
from .objects import BACKENDS, PRIMITIVES, SESSIONS, runs_here

_IBM = "qiskit_ibm_runtime"
_KINDS = {"sampler": "SamplerV2", "estimator": "EstimatorV2", "noise-learner": "NoiseLearner", "executor": "Executor"}
_COMPARED = ("options", "resilience_level")  # the rest of what goes to a program is the SDK's protocol
_ENVIRONMENT = ("log_level", "job_tags", "private")
_HINT = "give the primitive itself"


def in_the_cloud(device: Any) -> bool:
    """Whether it is a device of IBM's cloud, or a session or a batch there."""
    return is_a(device, BACKENDS | SESSIONS) and not runs_here(unwrapped(device))


def device_of(target: Any) -> Any:
    """The session, batch or backend that a primitive sends to; a device itself."""
    native = unwrapped(target)
    if not is_a(native, PRIMITIVES):
        return native
    return getattr(native, "_mode", None) or native._backend


def load_call(get: Get, job: Mapping[str, Any], device: Any) -> tuple[Any, tuple, dict]:
    """(primitive, args, kwargs) that send an archived job to a device, or in a session or a batch, with all its options.

    One that is open around this (`with Batch(...)`) is taken where it is on the same device; the one that the job was once made
    for is not looked for. Raises BadInput where its options cannot be had, MissingExtra.
    """
    config = get(job["config"])
    primitive = _primitive(config, _mode(unwrapped(device)))
    wanted = config.get("calibration_id")
    if getattr(primitive._backend, "calibration_id", None) != wanted:
        primitive._backend = _calibrated(primitive._backend, wanted)
    return primitive, (load_input(get, job),), {"dry_run": True} if config.get("dry_run") else {}


def _mode(device: Any) -> Any:
    """What a primitive is made on. The SDK refuses a device of its own in an open session, be it the same one by name."""
    open_now = sdk(f"{_IBM}.utils.default_session", "to send the job", "ibm").get_cm_session()
    if open_now is None or is_a(device, SESSIONS):
        return device
    if open_now.backend() != device.name:
        where = f"the session or batch {open_now.session_id} is open"
        raise BadInput(f"a job for the device {device.name}", f"{where}, on {open_now.backend()}", "close it first")
    return open_now


def _calibrated(backend: Any, calibration_id: str | None) -> Any:
    """The same backend with another calibration; the user's own stays as it is."""
    other = object.__new__(type(backend))
    other.__dict__.update(vars(backend), _calibration_id=calibration_id)
    return other


def _primitive(config: Mapping[str, Any], device: Any) -> Any:
    program, runtime = config["program"], from_plain(config.get("runtime", {}))
    if "inputs" not in config:
        raise BadInput("the options of this job", "they are not in the archive", "see the gaps of the job")
    inputs = from_plain(config["inputs"])
    if program not in _KINDS or (program != "executor" and "schema_version" in inputs):
        raise BadInput(f"a job of the program {program!r}", "its primitive cannot be made again", _HINT)
    kind = getattr(sdk(_IBM, "to send the job", "ibm"), _KINDS[program])
    reason = "this version of the SDK would send others"
    for options in _ways(program, inputs, runtime):
        try:
            primitive = kind(mode=device, options=options)
        except (TypeError, ValueError) as error:
            reason = f"the SDK takes them no longer ({error})"
            continue
        if _is_sent(primitive, program, inputs, runtime):
            return primitive
    raise BadInput("the options of this job", reason, _HINT)


def _ways(program: str, inputs: Mapping[str, Any], runtime: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Options for a primitive that may become these inputs: where the SDK has places for them, else as experimental ones."""
    settings = dict(inputs.get("options") or {})
    settings.pop("support_qiskit", None)
    experimental = settings.pop("experimental", {})
    around = {"environment": {name: runtime[name] for name in _ENVIRONMENT if name in runtime}}
    if "max_execution_time" in runtime:
        around["max_execution_time"] = runtime["max_execution_time"]
    image = {"image": runtime["image"]} if "image" in runtime else {}
    if program == "executor":
        around["environment"] |= image
        yield {"execution": settings, "experimental": experimental} | around
        return
    if "resilience_level" in inputs:
        around["resilience_level"] = inputs["resilience_level"]
    unknown = {**experimental, **image}
    yield settings | around | ({"experimental": unknown} if unknown else {})
    yield around | {"experimental": {**settings, **unknown}}


def _is_sent(primitive: Any, program: str, inputs: Mapping[str, Any], runtime: Mapping[str, Any]) -> bool:
    """Whether a primitive would send these inputs and runtime options."""
    options = primitive.options
    if program == "executor":
        converters = sdk(f"{_IBM}.quantum_program.params_converters", "to send the job", "ibm").QUANTUM_PROGRAM_PARAMS_CONVERTERS
        nothing = sdk(f"{_IBM}.quantum_program", "to send the job", "ibm").QuantumProgram(shots=1)
        nothing.append_circuit_item(sdk("qiskit").QuantumCircuit(1))  # the SDK writes no empty program
        sent = converters[primitive._SCHEMA_VERSION].encoder(nothing, options).model_dump(mode="json")
        around = {**options.environment.model_dump(), "max_execution_time": options.max_execution_time}
    elif program == "noise-learner":
        sent = {"options": primitive._get_inputs_options(asdict(options))}
        around = type(options)._get_runtime_options(asdict(options))
    else:
        sent = type(options)._get_program_inputs(asdict(options))
        around = type(options)._get_runtime_options(asdict(options))
    asked = {name: value for name, value in around.items() if value not in (None, [], False)}
    if "log_level" not in runtime:  # the service tells of a job that was fetched neither this nor its default
        asked.pop("log_level", None)
    return _written({name: sent.get(name) for name in _COMPARED} | asked) == _written(
        {name: inputs.get(name) for name in _COMPARED} | dict(runtime)
    )


def _written(value: Any) -> Any:
    """A value as it stands in a request."""
    return json.loads(json.dumps(value, cls=sdk(_IBM, "to send the job", "ibm").RuntimeEncoder))
