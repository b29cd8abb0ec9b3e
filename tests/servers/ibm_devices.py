"""Devices of the loopback IBM server: real configurations, calibrations over time, and Aer with their noise."""

import json
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path

import qiskit_ibm_runtime
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2
from qiskit_ibm_runtime.utils.backend_decoder import decode_backend_configuration, properties_from_server_data

SOURCES = Path(qiskit_ibm_runtime.__file__).parent / "fake_provider" / "backends"
"""Folder of the `conf_*.json` and `props_*.json` of real devices that the SDK ships."""


def wire_time(moment: datetime) -> str:
    """A moment as the API writes it: ISO 8601 in UTC, ending in Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class NoisyDevice(FakeBackendV2):
    """The SDK's own fake backend, made from a configuration and properties in memory."""

    dirname = conf_filename = props_filename = ""

    def __init__(self, configuration: dict, properties: dict):
        self._configuration_data, self._properties_data = configuration, properties
        super().__init__()

    def _get_conf_dict_from_json(self) -> dict:
        configuration = deepcopy(self._configuration_data)
        decode_backend_configuration(configuration)
        return configuration

    def _set_props_dict_from_json(self) -> None:
        properties = deepcopy(self._properties_data)
        properties_from_server_data(properties, use_fractional_gates=None)
        self._props_dict = properties


@dataclass
class Calibration:
    """One measured state of a device; `properties` are wire data and are not changed once made."""

    when: datetime
    configuration: dict
    properties: dict
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @cached_property
    def simulator(self) -> AerSimulator:
        """Aer with the noise of this calibration."""
        return _simulator(json.dumps([self.configuration, self.properties]))


@lru_cache(8)  # noise takes Aer a while, and servers come and go with the same devices
def _simulator(figures: str) -> AerSimulator:
    return AerSimulator.from_backend(NoisyDevice(*json.loads(figures)))


class Device:
    """A device under a name of ours, with the data of a real one.

    `source` is a folder name of the SDK's fake provider ("manila"), `instances` are the CRNs that may use the device.
    `status` ("active", "internal", "paused") and `operational` are what `/status` answers; set them as you like.
    """

    def __init__(self, name: str, source: str, instances: tuple[str, ...]):
        self.name, self.instances, self.mock = name, instances, name.startswith("mock_")
        self.status, self.operational, self.retired = "active", True, False
        self.configuration = json.loads((SOURCES / source / f"conf_{source}.json").read_text())
        self.configuration["backend_name"] = name
        properties = json.loads((SOURCES / source / f"props_{source}.json").read_text())
        properties["backend_name"] = name
        for holder, key in _dates(properties):
            holder[key] = wire_time(datetime.fromisoformat(holder[key]))
        when = datetime.fromisoformat(properties["last_update_date"])
        self.calibrations = [Calibration(when, self.configuration, properties)]

    def calibrate(self, when: datetime, change: Callable[[dict], None] | None = None) -> Calibration:
        """Adds a calibration at `when`, made from the one before it by `change(properties)`, which edits in place.

        Every changed value gets `when` as its date; unchanged ones keep theirs, as in the real API.
        """
        base = self.at(when) or self.calibrations[0]
        properties = deepcopy(base.properties)
        if change is not None:
            change(properties)
        for old, new in zip(_values(base.properties), _values(properties)):
            if old != new:
                new["date"] = wire_time(when)
        properties["last_update_date"] = wire_time(when)
        calibration = Calibration(when, self.configuration, properties)
        self.calibrations.append(calibration)
        self.calibrations.sort(key=lambda entry: entry.when)
        return calibration

    def at(self, when: datetime) -> Calibration | None:
        """The newest calibration made at `when` or before it; None if there was none yet."""
        position = bisect_right(self.calibrations, when, key=lambda entry: entry.when)
        return self.calibrations[position - 1] if position else None

    def listed(self, pending: int) -> dict:
        """The device as an entry of `GET /backends`."""
        entry = {
            "name": self.name,
            "status": {"name": "online" if self.operational else "offline"},
            "is_simulator": False,
            "qubits": self.configuration["n_qubits"],
            "physical_qubits": self.configuration["n_qubits"],
            "processor_type": self.configuration["processor_type"],
            "queue_length": pending,
        }
        return entry | ({"class": "mock"} if self.mock else {})


def _values(properties: dict) -> Iterator[dict]:
    """Every measured value: dicts of name, unit, value and date."""
    for qubit in properties["qubits"]:
        yield from qubit
    for gate in properties["gates"]:
        yield from gate["parameters"]
    yield from properties["general"]


def _dates(properties: dict) -> Iterator[tuple[dict, str]]:
    yield properties, "last_update_date"
    for value in _values(properties):
        yield value, "date"
