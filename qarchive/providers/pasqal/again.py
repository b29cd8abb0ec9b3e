"""Archived jobs of Pasqal's, sent for the first time or run again: by its cloud as a batch, or here by Pulser's emulator."""

import json
from collections.abc import Mapping
from typing import Any

from ...errors import BadInput
from .. import choosing, hooks
from ..base import Get, Recorder
from ..pulser.provider import Repetition
from ..pulser.sequences import pulser, quietly
from .calls import CONFIG, DEVICE, INPUT
from .clients import BACKEND, CLIENT, CONNECTION, SDK, is_a, pasqal
from .ending import said_no
from .texts import sequence_text, specs_text, with_fresh_uuids


class Resend:
    """Jobs as a batch of their own, which `client` sends."""

    def __init__(self, client: Any, arguments: Mapping[str, Any]):
        self.client, self._arguments = client, arguments

    def run(self) -> Any:
        """The Batch, once it is sent. The SDK's own errors are no Exceptions: here they are what they come of. Raises BadInput
        where the service says no."""
        try:
            return self.client.create_batch(**self._arguments)
        except pasqal("pasqal_cloud.errors").ExceptionWithResponseContext as error:
            cause = error.__cause__
            said = said_no(cause)
            if said is None and isinstance(cause, Exception):
                raise cause from None
            raise BadInput("a batch of Pasqal's", said or str(error)) from cause


class Recorded:
    """A batch that is recorded while it is sent, whoever records what else its client sends."""

    def __init__(self, resend: Resend, recorder: Recorder):
        self._resend, self._recorder = resend, recorder

    def run(self) -> Any:
        with choosing.through(self._recorder):
            return self._resend.run()


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
    """What runs a job again: on a client of Pasqal's, as a batch that is closed since nobody would close it, or on an emulator
    that `emulator` made. Raises BadInput."""
    if is_a(backend, ("pulser_simulation.qutip_backend", "QutipBackendV2")):
        return Repetition(backend), (), {}
    return Resend(_client(backend), {**_batch(get, [job]), "open": False}), (), {}


def load_calls(get: Get, prepared: list[Mapping[str, Any]], device: Any) -> tuple[Any, tuple, dict]:
    """What sends jobs that were prepared by one call, as the batch that it would have made. Raises BadInput."""
    client, arguments = _client(device), _batch(get, prepared)
    if get(prepared[0]["config"]).get("webhook") and not client.webhook:
        hooks.warn("a batch is sent without its webhook, whose address is not archived; give a PasqalCloudClient that has one")
    return Resend(client, arguments), (), {}


def _batch(get: Get, jobs: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Arguments of `create_batch`."""
    found = [load_input(get, job) for job in jobs]
    sequence, config = found[0]["serialized_sequence"], get(jobs[0]["config"])
    if any(each["serialized_sequence"] != sequence for each in found) or any(get(job["config"]) != config for job in jobs):
        raise BadInput(f"{len(jobs)} jobs", "they are not of one batch", "send them one by one")
    arguments = {"serialized_sequence": sequence, "jobs": [job for each in found for job in each["jobs"]]}
    if config.get("type") != CONFIG:
        return arguments
    arguments |= {name: config[name] for name in ("device_type", "open", "tags") if name in config}
    if "configuration" in config:
        arguments["configuration"] = _Configuration(config["configuration"])
    if "backend_configuration" in config:
        arguments["backend_configuration"] = with_fresh_uuids(config["backend_configuration"])
    return arguments


def _client(backend: Any) -> Any:
    """The PasqalCloudClient in an object of the SDK's or of Pulser's, or one around an HTTPClient. Raises BadInput."""
    if is_a(backend, BACKEND):
        backend = backend._connection
    if is_a(backend, CONNECTION):
        backend = backend.cloud_client
    if is_a(backend, CLIENT):
        kind = getattr(pasqal(SDK[0], "a batch of Pasqal's"), SDK[1])
        made = kind.__new__(kind)  # its constructor would make an HTTPClient of its own
        made._client, made.batches, made.workloads, made.webhook = backend, {}, {}, None
        return made
    if not is_a(backend, SDK):
        raise BadInput(f"a {type(backend).__name__}", "it does not run jobs of Pasqal's", "give a PasqalCloudClient, or nothing")
    return backend
