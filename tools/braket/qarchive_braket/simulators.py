"""Braket's local simulators <-> plain values: which one it is, its noise model, and what it says that it can do."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from qarchive.errors import BadInput
from qarchive.providers.base import Stage
from qarchive.providers.qiskit.values import from_plain, to_plain
from qarchive.values import Link

from . import braket

_PACKAGES = ("amazon-braket-sdk", "amazon-braket-default-simulator", "amazon-braket-schemas")


def put_simulator(stage: Stage, device: Any) -> Link:
    """The blob of a LocalSimulator."""
    kind = type(device._delegate)
    plain = {
        "type": "braket.simulator",
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "name": device.name,
        "simulator": getattr(kind, "DEVICE_ID", None),
        "packages": _packages(),
        "properties": json.loads(device.properties.json(exclude_none=True)),
    }
    if device._noise_model is not None:
        plain["noise_model"] = to_plain(
            device._noise_model.to_dict(), lambda path, reason: stage.gap(f"backend.noise_model.{path}", reason)
        )
    return stage.put("backend", plain)


def load_simulator(plain: Mapping[str, Any]) -> Any:
    """A LocalSimulator of the same kind with the same noise. Raises MissingExtra, BadInput where it is not Braket's own."""
    devices = braket("devices", "a simulator")
    if not plain.get("class", "").startswith("braket.") or plain["simulator"] not in devices.LocalSimulator.registered_backends():
        raise BadInput(f"the simulator {plain.get('class', '')}", "is not one of Braket's own", "give the device yourself")
    noise = plain.get("noise_model")
    models = braket("circuits.noise_model", "a noise model")
    return devices.LocalSimulator(
        plain["simulator"], noise_model=None if noise is None else models.NoiseModel.from_dict(from_plain(noise))
    )


@cache
def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
