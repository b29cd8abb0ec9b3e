"""An archived job of Pasqal's, run again: by its cloud as a batch of its own, or here by Pulser's emulator."""

import json
from collections.abc import Mapping
from typing import Any

from ...errors import BadInput
from ..base import Get
from ..pulser.provider import Repetition
from ..pulser.sequences import pulser, quietly
from .calls import CONFIG, DEVICE, INPUT
from .clients import CONNECTION, SDK, is_a
from .texts import sequence_text, specs_text

_GIVEN = ("device_type", "backend_configuration")


class Resend:
    """One job as a closed batch of its own, which `client` sends."""

    def __init__(self, client: Any, arguments: Mapping[str, Any]):
        self.client, self._arguments = client, arguments

    def run(self) -> Any:
        return self.client.create_batch(**self._arguments)


class _Configuration:
    """What `create_batch` asks for the configuration of an emulator."""

    def __init__(self, plain: Mapping[str, Any]):
        self._plain = plain

    def to_dict(self) -> dict[str, Any]:
        return dict(self._plain)


def load_input(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `create_batch`: `serialized_sequence`, and `jobs`, a list of the one job. Needs no SDK. Raises BadInput."""
    value = get(job["input"])
    if value["type"] != INPUT:
        raise BadInput("the input of this job", "it is not in the archive", "see the gaps of the job")
    asked = {name: item for name, item in value.items() if name not in ("type", "builder", "sequence")}
    if "sequence" in value:
        asked["serialized_sequence"] = sequence_text(get, value["sequence"])
    return {"serialized_sequence": sequence_text(get, value.get("builder")), "jobs": [asked]}


def emulator(get: Get, job: Mapping[str, Any], backend: Mapping[str, Any]) -> Any:
    """A QutipBackendV2 over the sequence of a job, of a QPU with the noise of its specifications when the job was sent.

    Raises BadInput where these, or the sequence, are not archived, MissingExtra.
    """
    asked = load_input(get, job)
    one = asked["jobs"][0]
    text = one.get("serialized_sequence") or asked["serialized_sequence"]
    if text is None:
        raise BadInput("the sequence of this job", "it is not in the archive", "see the gaps of the job")
    if json.loads(text).get("device") is None:
        raise BadInput("the sequence of this job", "it names no device")
    specs = specs_text(get, backend) if backend.get("type") == DEVICE else None
    if job["kind"] == "qpu" and specs is None:
        raise BadInput(f"the device {job['backend']}", "its specifications are not in the archive", "see the gaps of the job")
    what = "an emulator of Pulser's"
    with quietly():
        sequence = pulser("pulser", what).Sequence.from_abstract_repr(text)
        if sequence.is_parametrized() or sequence.is_register_mappable():
            sequence = sequence.build(**(one.get("variables") or {}))
        options: dict[str, Any] = {"observables": [pulser("pulser.backend", what).BitStrings()]}
        if specs is not None:
            device = pulser("pulser.json.abstract_repr.deserializer", what).deserialize_device(specs)
            options["noise_model"] = device.noise_model or pulser("pulser", what).NoiseModel()
        if one.get("runs") is not None:
            options["default_num_shots"] = one["runs"]
        simulation = pulser("pulser_simulation", what)
        return simulation.QutipBackendV2(sequence, config=simulation.QutipConfig(**options))


def load_call(get: Get, job: Mapping[str, Any], backend: Any) -> tuple[Any, tuple, dict]:
    """What runs a job again: on a client of Pasqal's, or on an emulator that `emulator` made. Raises BadInput."""
    if is_a(backend, CONNECTION):
        backend = backend.cloud_client
    if is_a(backend, SDK):
        config = get(job["config"])
        given = {name: config[name] for name in _GIVEN if name in config} if config.get("type") == CONFIG else {}
        if config.get("configuration"):
            given["configuration"] = _Configuration(config["configuration"])
        tags = job.get("labels", {}).get("tags")
        return Resend(backend, load_input(get, job) | given | ({"tags": tags} if tags else {})), (), {}
    if is_a(backend, ("pulser_simulation.qutip_backend", "QutipBackendV2")):
        return Repetition(backend), (), {}
    raise BadInput(f"a {type(backend).__name__}", "it does not run jobs of Pasqal's", "give a PasqalCloudClient, or nothing")
