"""A request that makes jobs (a new batch, jobs added to an open one) as executions: one for each of its jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import NotEncodable
from ...values import Link
from ..base import Execution, Stage
from .answers import as_sent
from .clients import conceal
from .texts import device_name, put_sequence, put_specs, without_uuids
from .wire import Unanswered, wire

PROVIDER = "pasqal"
INPUT, CONFIG, DEVICE = "pasqal.job", "pasqal.batch", "pasqal.device"
EMULATOR = "EMU_"  # what the names of emulators begin with

# Of a batch: kept elsewhere (input, the event of its creation), or never.
_NOT_CONFIG = frozenset({"sequence_builder", "jobs", "webhook", "project_id"})
_OF_ANSWER = ("device_type", "configuration", "backend_configuration", "tags")  # what an answer tells of the request
_NO_CALIBRATION = "Pasqal's API tells none; the specifications of the device when the job was sent are in its snapshot"


@dataclass
class Call:
    """A request that is about to be sent. `batch` is what is known of the batch, as the API names it; None where nothing is."""

    client: Any
    batch: Mapping[str, Any] | None
    jobs: list[Mapping[str, Any]]
    batch_id: str | None = None  # of an open batch to which jobs are added
    parents: tuple[Link | None, ...] = ()
    asks: bool = True  # whether the device's specifications of now are those of the time of sending
    answered: bool = False  # whether `batch` is an answer, and not the request
    _shared: dict[str, Any] = field(default_factory=dict)  # what all jobs have in common, once it was put

    @property
    def builder(self) -> str | None:
        """The sequence that jobs without one of their own run."""
        return (self.batch or {}).get("sequence_builder")

    @property
    def device_type(self) -> str:
        """The name of the device type: as asked for, else that of the device in the sequence, as the service reads it."""
        asked = (self.batch or {}).get("device_type") or (self.batch or {}).get("emulator")
        if asked:
            return str(asked)
        sequences = (self.builder, *(job.get("sequence") for job in self.jobs))
        return next(filter(None, map(device_name, sequences)), "unknown")

    @property
    def kind(self) -> str:
        """What the device type is."""
        return "simulator" if self.device_type.startswith(EMULATOR) else "qpu"

    def shared(self, name: str, make: Any) -> Any:
        """What `make()` returned the first time."""
        if name not in self._shared:
            self._shared[name] = make()
        return self._shared[name]


def describe(stage: Stage, call: Call, number: int) -> Execution:
    """Everything about one job before it is sent; whatever cannot be captured is a gap, and the rest is kept."""
    call.shared("secrets", lambda: conceal(stage, call.client, (call.batch or {}).get("webhook")))
    job = call.jobs[number]
    config = call.shared("config", lambda: _put_config(stage, call))
    backend = call.shared("backend", lambda: _put_backend(stage, call))
    if call.kind == "qpu":
        call.shared("calibration", lambda: stage.gap("calibration", _NO_CALIBRATION))
    runs, tags = job.get("runs"), (call.batch or {}).get("tags") or ()
    return Execution(provider=PROVIDER, kind=call.kind, backend_name=call.device_type, input=_put_input(stage, call, job),
                     config=config, backend=backend, shots=runs if type(runs) is int else None,
                     tags=tuple(str(tag) for tag in tags), remote=True,
                     parent=call.parents[number] if number < len(call.parents) else None)  # fmt: skip


def _put_input(stage: Stage, call: Call, job: Mapping[str, Any]) -> Link:
    """What a job is to run: the batch's sequence, its own, runs and variables."""
    if call.batch is None:
        call.shared("builder", lambda: stage.gap("input.builder", "the batch was made elsewhere, and not looked at here"))
    try:
        value: dict[str, Any] = {"type": INPUT, **as_sent({name: job[name] for name in job if name != "sequence"})}
        if call.builder is not None:
            value["builder"] = call.shared("sequence", lambda: put_sequence(stage, call.builder))
        if job.get("sequence") is not None:
            value["sequence"] = put_sequence(stage, job["sequence"])
        return stage.put("input", value)
    except (NotEncodable, TypeError, ValueError) as error:  # the SDK will say so, too
        stage.gap("input", f"{type(error).__name__}: {error}")
        return stage.put("input", {"type": "missing"})


def _put_config(stage: Stage, call: Call) -> Link:
    """How it is to run. UUIDs in the configuration of an emulator are fresh every time: they are numbered here."""
    batch = call.batch or {}
    value: dict[str, Any] = {"type": CONFIG}
    if call.batch_id is not None or call.answered:
        batch = {name: batch[name] for name in _OF_ANSWER if name in batch}
    if call.batch_id is not None:
        value |= {"batch": call.batch_id, "open": True}
    try:
        value |= as_sent({name: item for name, item in batch.items() if name not in _NOT_CONFIG and item is not None})
        if not value.get("tags"):
            value.pop("tags", None)
        if type(value.get("backend_configuration")) is str:
            value["backend_configuration"] = without_uuids(value["backend_configuration"])[0]
        if (call.batch or {}).get("webhook"):
            value["webhook"] = True
        return stage.put("config", value)
    except (NotEncodable, TypeError, ValueError) as error:
        stage.gap("config", f"{type(error).__name__}: {error}")
        return stage.put("config", {"type": CONFIG})


def _put_backend(stage: Stage, call: Call) -> Link:
    """The device type with its specifications of now, which emulators have none of."""
    value: dict[str, Any] = {"type": DEVICE, "name": call.device_type}
    if not call.asks:
        if call.kind == "qpu":
            stage.gap("backend.device", "nobody asked for its specifications when the job was sent")
        return stage.put("backend", value)
    try:
        text = wire(call.client).specs().devices.get(call.device_type)
        if text is not None:
            value |= put_specs(stage, text)
        elif call.kind == "qpu":
            stage.gap("backend.device", "the service has no specifications of it")
    except (Unanswered, NotEncodable, TypeError) as error:
        stage.gap("backend.device", str(error))
    return stage.put("backend", value)
