"""What is recorded of a call of `QiskitRuntimeService._run`, through which everything is sent, before it is sent.

By then the SDK has checked and completed what the user gave: PUBs are PUBs, and options are what the program will get.
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...values import Link
from ..base import Execution, Stage
from ..qiskit.inputs import put_input, put_pubs
from ..qiskit.values import to_plain
from .secrets import conceal
from .watch import client_behind
from .wire import Unanswered, Wire, gaps_of, wire

PROVIDER = "ibm"
INPUTS = "ibm.inputs"  # the type of input blobs of programs that take neither PUBs nor circuits
DEVICE = "ibm.device"  # the type of backend blobs of which there is nothing but the name

_PARAMETERS = ("program_id", "inputs", "options", "result_decoder", "session_id", "start_session", "calibration_id", "dry_run")
_RUNTIME = ("image", "log_level", "job_tags", "max_execution_time", "session_time", "private")
_OPTIONS = frozenset({"options", "version", "support_qiskit", "schema_version"})


@dataclass(frozen=True)
class Call:
    """The arguments of `_run`, whichever way they were given, or what the service says that they were."""

    program: str
    inputs: Mapping[str, Any]
    backend: Any  # an IBMBackend, or its name
    runtime: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    mode: str | None = None  # "session" or "batch"
    calibration_id: str | None = None
    dry_run: bool = False
    decoder: Any = None  # a class, or several, by which the user wants results to be read

    @classmethod
    def of(cls, args: tuple, kwargs: Mapping[str, Any]) -> "Call":
        given = {**dict(zip(_PARAMETERS, args, strict=False)), **kwargs}
        options = given.get("options") or {}
        options = options if isinstance(options, Mapping) else vars(options)
        return cls(
            program=given["program_id"],
            inputs=given.get("inputs") or {},
            backend=options.get("backend"),
            runtime={name: options[name] for name in _RUNTIME if options.get(name) not in (None, [], False)},
            session=given.get("session_id"),
            mode=mode_of_caller(given.get("session_id")),
            calibration_id=given.get("calibration_id"),
            dry_run=bool(given.get("dry_run")),
            decoder=given.get("result_decoder"),
        )

    @property
    def device(self) -> str:
        """The name of the device that will run it: of a dry run its mock, as the SDK chooses it."""
        name = str(getattr(self.backend, "name", self.backend))
        return re.sub(r"^[^_]+", "mock", name) if self.dry_run and not name.startswith("mock_") else name

    @property
    def simulator(self) -> bool:
        """Whether the user's backend says that it is a simulator; nothing is asked for it."""
        return bool(getattr(getattr(self.backend, "_configuration", None), "simulator", False))

    @property
    def kind(self) -> str:
        """As the job record has it."""
        if self.dry_run or self.device.startswith("mock_") or getattr(self.backend, "_is_mock", False):
            return "mock"
        return "simulator" if self.simulator else "qpu"

    @property
    def fractional_gates(self) -> bool | None:
        """Whether the user's backend has fractional gates; None where it has all that the device has, or is but a name."""
        found = getattr(getattr(self.backend, "options", None), "use_fractional_gates", None)
        return found if type(found) is bool else None

    @property
    def shots(self) -> int | None:
        """Of the PUBs where all say the same, else of the options or the program; None where the service decides."""
        said = {getattr(pub, "shots", None) for pub in self.inputs.get("pubs") or ()}
        shots = said.pop() if len(said) == 1 else None
        for holder, name in (("options", "default_shots"), ("quantum_program", "shots")):
            held = self.inputs.get(holder)
            if shots is None and held is not None:
                shots = held.get(name) if isinstance(held, Mapping) else getattr(held, name, None)
        return shots if type(shots) is int and shots >= 0 else None

    def parts(self) -> tuple[str | None, dict[str, Any], dict[str, Any]]:
        """(name of the list of PUBs or circuits or None, what is to run, how it is to run)."""
        listed = "pubs" if "pubs" in self.inputs else "circuits" if self.program == "noise-learner" else None
        if listed in self.inputs:
            return listed, {listed: self.inputs[listed]}, {name: item for name, item in self.inputs.items() if name != listed}
        how = {name: item for name, item in self.inputs.items() if name in _OPTIONS}
        return None, {name: item for name, item in self.inputs.items() if name not in _OPTIONS}, how


def describe(stage: Stage, service: Any, call: Call) -> Execution:
    """Everything about a call before it is sent; whatever cannot be captured is a gap, and the rest is kept."""
    conceal(stage, service)
    found, size, names = put_what(stage, call)
    config = put_how(stage, call)
    device = put_device(stage, call, lambda: _wire(service, call))
    calibration = (None, None)
    if not call.simulator:
        ask = lambda: _wire(service, call).calibration(stage, call.device, call.calibration_id)  # noqa: E731
        calibration = gaps_of(stage, "calibration", ask) or calibration
    return execution(call, (found, size, names), config, device, *calibration)


def execution(
    call: Call, what: tuple[Link, int, tuple], config: Link, device: Link, calibration=None, captured=None
) -> Execution:
    """An execution of the parts that were put."""
    found, size, names = what
    tags = tuple(str(tag) for tag in call.runtime.get("job_tags") or ())
    return Execution(provider=PROVIDER, kind=call.kind, backend_name=call.device, input=found, config=config, backend=device,
                     calibration=calibration, captured=captured, shots=call.shots, size=size, names=names, tags=tags,
                     remote=True)  # fmt: skip


def put_what(stage: Stage, call: Call) -> tuple[Link, int, tuple[str, ...]]:
    """(link, size, names of circuits) of what is to run: PUBs, circuits, or whatever the program takes beside its options."""
    listed, what, _ = call.parts()
    try:
        if listed == "pubs":
            return put_pubs(stage, what["pubs"])
        if listed == "circuits":
            return put_input(stage, list(what["circuits"]), None)
        values = to_plain(what, lambda path, reason: stage.gap(f"input.values.{path}", reason))
        return stage.put("input", {"type": INPUTS, "values": values}), 1, ()
    except Exception as error:  # whatever the SDK's objects raise when they are read
        stage.gap("input", f"{type(error).__name__}: {error}")
        return stage.put("input", {"type": "missing"}), 1, ()


def put_how(stage: Stage, call: Call) -> Link:
    """The link of how it is to run: the program's options, those of the service, and what it was sent as a part of."""
    value: dict[str, Any] = {"program": call.program, "inputs": call.parts()[2]}
    for name in ("runtime", "session", "mode", "calibration_id", "dry_run"):
        if getattr(call, name):
            value[name] = dict(call.runtime) if name == "runtime" else getattr(call, name)
    try:
        return stage.put("config", to_plain(value, lambda path, reason: stage.gap(f"config.{path}", reason)))
    except Exception as error:
        stage.gap("config", f"{type(error).__name__}: {error}")
        return stage.put("config", {"program": call.program})


def put_device(stage: Stage, call: Call, ask: Callable[[], Wire]) -> Link:
    """The link of the device: its raw configuration; its name alone, and a gap, where that cannot be had."""
    found = gaps_of(stage, "backend.configuration",
                    lambda: ask().configuration(stage, call.device, call.calibration_id, call.fractional_gates))  # fmt: skip
    return stage.put("backend", {"type": DEVICE, "name": call.device}) if found is None else found


def mode_of_caller(session: str | None) -> str | None:
    """ "batch" or "session" where one of the two is sending a job now; None elsewhere.

    The service is told an id that looks the same for both, so we look who has called.
    """
    frame = sys._getframe(1) if session else None
    while frame is not None:
        if frame.f_code.co_qualname == "Session._run":
            return "batch" if "Batch" in {kind.__name__ for kind in type(frame.f_locals.get("self")).__mro__} else "session"
        frame = frame.f_back
    return None


def _wire(service: Any, call: Call) -> Wire:
    """The wire to the instance that the job is sent to. Raises Unanswered."""
    instance = getattr(call.backend, "_instance", None)
    client = getattr(service, "_api_clients", {}).get(instance) or getattr(service, "_active_api_client", None)
    if client is None:
        raise Unanswered("the service has no client")
    return wire(client_behind(client))
