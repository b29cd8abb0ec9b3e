"""What programs of IBM's were given, again as objects: PUBs, circuits, quantum programs, and primitives set up as they were."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import BadInput, QArchiveError
from ...outcomes import Points
from ...values import Link, Typed
from ..base import Divisible, Get, Stage
from ..qiskit import attachments, extracting, identities, joining, points, recompiling, text
from ..qiskit.dividing import SAMPLERS, declared, divide_pubs
from ..qiskit.inputs import CIRCUITS, PUBS, load_circuits, load_pubs
from ..qiskit.rebuild import rebuild
from ..qiskit.values import from_plain, to_plain
from ..sdk import sdk
from ..wrapped import is_a, unwrapped
from .calls import INPUTS
from .objects import PRIMITIVES, runs_here

_PRIMITIVES = {"sampler": "SamplerV2", "estimator": "EstimatorV2", "noise-learner": "NoiseLearner", "executor": "Executor"}
# "At most, 10 million executions are allowed for Sampler jobs (Estimator jobs can be split into smaller sub-jobs, so this limit
# doesn't apply)": https://quantum.cloud.ibm.com/docs/guides/job-limits. The same page says that `max_experiments` of a device's
# configuration is no longer enforced, and `IBMBackend.max_circuits` is None since.
_SAMPLER_EXECUTIONS = 10_000_000
_PROTOCOL = frozenset({"version", "support_qiskit", "schema_version"})  # of `inputs`: how the SDK talks, not what it asks for
_SHOTS = 4096  # the default of `SamplerOptions.default_shots`, and of the precision of `EstimatorOptions`


def load_input(get: Get, job: Mapping[str, Any]) -> Any:
    """PUBs; circuits of a noise learner; a QuantumProgram; what any other program was given, by name.

    Raises MissingExtra, and BadInput where it was not captured.
    """
    value = get(job["input"])
    if value["type"] == PUBS:
        return load_pubs(get, job)
    if value["type"] == CIRCUITS:
        return load_circuits(get, job)
    if value["type"] == INPUTS:
        config, values = get(job["config"]), from_plain(value["values"])
        program = values.get("quantum_program")
        if type(program) is dict:  # as it was sent, and not yet decoded
            program = decoded(config["program"], {**from_plain(config["inputs"]), **values})["quantum_program"]
        return values if program is None else program
    raise BadInput("the input of this job", "it is not in the archive", "see the gaps of the job")


def params_of(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent to the program: what was to run, and how. Raises MissingExtra, BadInput."""
    value, how = get(job["input"]), from_plain(get(job["config"]).get("inputs", {}))
    if value["type"] == INPUTS:
        return {**how, **from_plain(value["values"])}
    return {("pubs" if value["type"] == PUBS else "circuits"): load_input(get, job), **how}


def decoded(program: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the SDK makes of params when it gets them from the service, as in `RuntimeJobV2.inputs`."""
    runtime = sdk("qiskit_ibm_runtime", "the inputs", "ibm")
    answer = json.dumps({"program": {"id": program}, "params": dict(params)}, cls=runtime.RuntimeEncoder)
    return json.loads(answer, cls=runtime.RuntimeDecoder)["params"]


def primitive_of(get: Get, job: Mapping[str, Any], backend: Any) -> Any:
    """The primitive of an archived job, with its options, on `backend`, which may be such a primitive already.

    Raises BadInput where none of IBM's can be made from what is archived, MissingExtra.
    """
    if is_a(backend, PRIMITIVES):
        return backend
    config = get(job["config"])
    program, how = config["program"], from_plain(config.get("inputs", {}))
    name = _PRIMITIVES.get(program)
    if name is None or (program != "executor" and "schema_version" in how):
        raise BadInput(f"a job of the program {program!r}", "its primitive cannot be made again", "give the primitive itself")
    kind = getattr(sdk("qiskit_ibm_runtime", "to run the job again", "ibm"), name)
    options = dict(how.get("options") or {})
    if "resilience_level" in how:
        options["resilience_level"] = how["resilience_level"]
    if program == "executor":
        return kind(mode=backend)
    try:
        return kind(mode=backend, options=options)
    except (TypeError, ValueError) as error:
        why = f"the SDK takes them no longer ({error})"
        raise BadInput("the options of this job", why, "give the primitive itself") from None


def _nameless(plain: Any) -> Any:
    """A plain value in which circuits are their identities: names and QPY bytes differ from one process to the next."""
    if type(plain) is Typed and plain.tag == "qiskit.QuantumCircuit":
        try:
            return identities.identity(from_plain(plain))
        except QArchiveError:
            return {name: item for name, item in plain.value.items() if name not in ("name", "metadata")}
    if type(plain) is Typed:
        return Typed(plain.tag, _nameless(plain.value))
    if type(plain) is dict:
        return {name: _nameless(item) for name, item in plain.items()}
    return list(map(_nameless, plain)) if type(plain) in (list, tuple) else plain  # JSON, too, makes one of the two


class Inputs:
    """What the providers of the cloud and of local mode read back in the same way. The methods are those of `Provider`."""

    order = points.ORDER

    def backend_name(self, target: Any) -> str:
        """What the job record calls the backend of a primitive."""
        return str(target._backend.name)

    def load_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """PUBs; circuits of a noise learner; a QuantumProgram; what any other program was given, by name."""
        return load_input(get, job)

    def load_backend(self, get: Get, job: Mapping[str, Any], backend: Mapping[str, Any], calibration: Link | None) -> Any:
        return rebuild(get, backend, None if calibration is None else get(calibration))

    def load_call(self, get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
        return primitive_of(get, job, backend), (load_input(get, job),), {}

    def load_call_elsewhere(self, get: Get, job: Mapping[str, Any], snapshot: Mapping[str, Any], backend: Any,
                            logical: Callable[[], Any]) -> tuple[Any, tuple, dict]:  # fmt: skip
        return recompiling.compiled(get, job, snapshot, self.load_call(get, job, backend), logical)

    def points(self, get: Get, job: Mapping[str, Any]) -> list[Points]:
        return points.points(get, job)

    def text(self, get: Get, job: Mapping[str, Any]) -> list[str]:
        value = get(job["input"])
        if "circuits" not in value:
            raise BadInput("the input of this job", "it has no circuits of its own", "take `job.input`")
        return [text.openqasm(entry, get) for entry in value["circuits"]]

    def put_attachment(self, stage: Stage, value: Any) -> dict | None:
        return attachments.put_circuits(stage, value)

    def load_attachment(self, get: Get, value: Mapping[str, Any]) -> Any:
        return attachments.load_attached(get, value)

    # Groups

    def divide(self, target: Any, args: tuple, kwargs: dict) -> Divisible | None:
        """PUBs of a sampler or an estimator; what other programs take is one job."""
        primitive = unwrapped(target)
        if not is_a(primitive, PRIMITIVES):
            return None
        limited = is_a(primitive, SAMPLERS) and not runs_here(primitive)
        executions = _SAMPLER_EXECUTIONS if limited else None
        return divide_pubs(primitive, args, kwargs, declared(primitive._backend), executions, _SHOTS)

    # The SDK writes the shots or the precision of a whole call into each of its PUBs: what a PUB asked for itself is not known.

    def identity(self, stage: Stage, item: Any) -> bytes:
        return identities.identity(item, asked=False)

    def identities(self, get: Get, job: Mapping[str, Any]) -> list[bytes]:
        return identities.identities(get, job, asked=False)

    def join(self, results: list[Any]) -> Any:
        return joining.join(results)

    def extract(self, result: Any, index: int, what: str) -> Any:
        return extracting.extract(result, index, what)

    # Replay

    def alike(self, get: Get, job: Mapping[str, Any], snapshot: Link) -> dict[str, Any]:
        """Input and backend, and of the configuration what decides what comes out: the program, its inputs, the image and the
        calibration that were chosen. Not tags, log levels, limits, sessions, nor how the SDK talks to the service."""
        config = get(job["config"])
        how: Any = identities.unknown(job)
        if "inputs" in config:
            how = identities.told(_nameless({name: item for name, item in config["inputs"].items() if name not in _PROTOCOL}))
        image = config.get("runtime", {}).get("image")
        return {
            "input": self.alike_input(get, job),
            "config": [config["program"], how, image, config.get("calibration_id")],
            "backend": [job["backend"], self.alike_backend(get, job, snapshot)],
        }

    def alike_input(self, get: Get, job: Mapping[str, Any]) -> Any:
        """PUBs with their shots or precision, circuits; of any other program its values, with circuits by their identities."""
        value = get(job["input"])
        if value["type"] != INPUTS:
            return identities.what_runs(get, job)
        loaded = value["values"]
        try:
            loaded = to_plain(load_input(get, job), lambda path, reason: None)
        except (QArchiveError, ValueError, TypeError, KeyError):
            pass  # the SDK reads it no longer, or never did
        return identities.told(_nameless(loaded))
