"""IBM's fake backends: the raw dicts behind one, and one made from raw dicts, such as those of a real device.

A fake backend reads two JSON files and converts them for itself. What it is then is a device's configuration and calibration, so
those are what is kept of it.
"""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..sdk import sdk

_FAKES = "qiskit_ibm_runtime.fake_provider.fake_backend"


def is_fake(backend: Any) -> bool:
    """Whether a backend is one of IBM's fakes, without importing their SDK."""
    return any(base.__name__ == "FakeBackendV2" and base.__module__ == _FAKES for base in type(backend).__mro__)


def raw_of(backend: Any) -> tuple[dict, dict | None] | None:
    """(configuration, properties) behind a fake backend, as in its files, read anew and the caller's to keep.

    None where the backend is something else than what its files say, because it or its Target was altered.
    """
    try:
        configuration = backend._load_json(backend.conf_filename)
        properties = backend._load_json(backend.props_filename) if backend.props_filename else None
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    held = {**backend._conf_dict, "backend_name": configuration.get("backend_name")}
    if not (_is_raw(held, configuration) and (backend._props_dict is None or _is_raw(backend._props_dict, properties))):
        return None
    return configuration, properties


def new_fake(configuration: Mapping[str, Any], properties: Mapping[str, Any] | None, name: str) -> Any:
    """A fake backend over the raw dicts of another one, which stay as they are. Raises MissingExtra."""
    return _archived(configuration, properties, name)()


def new_device(
    configuration: Mapping[str, Any], properties: Mapping[str, Any] | None, name: str, fractional_gates: bool | None
) -> Any:
    """A fake backend over the raw dicts of a device in the cloud, with the Target that IBM's client gives that device.

    `fractional_gates` is the client's option `use_fractional_gates`; with None nothing that the device has is left out. Raises
    MissingExtra.
    """
    decoder = sdk("qiskit_ibm_runtime.utils.backend_decoder", "a device of IBM", "ibm")

    class ArchivedDevice(_archived(configuration, properties, name)):
        def _get_conf_dict_from_json(self):
            loaded = super()._get_conf_dict_from_json()
            decoder.filter_raw_configuration(loaded, use_fractional_gates=fractional_gates)
            return loaded

        def _set_props_dict_from_json(self):
            if self.props_filename:
                loaded = self._load_json(self.props_filename)
                decoder.properties_from_server_data(loaded, use_fractional_gates=fractional_gates)
                self._props_dict = loaded

    return ArchivedDevice()


def _archived(configuration, properties, name) -> type:
    base = sdk("qiskit_ibm_runtime.fake_provider.fake_backend", "a device of IBM", "ibm").FakeBackendV2
    files = {"configuration": configuration} if properties is None else {"configuration": configuration, "properties": properties}

    class ArchivedBackend(base):
        """A device of IBM as it was archived; circuits run on Aer with its noise."""

        dirname = ""
        conf_filename = "configuration"
        defs_filename = ""  # of pulses, in older versions
        props_filename = "properties" if "properties" in files else ""
        backend_name = name

        def _load_json(self, filename):
            return copy.deepcopy(dict(files[filename]))

        def properties(self, refresh=False):
            return super().properties(refresh) if self.props_filename else None

    return ArchivedBackend


def _is_raw(held, raw) -> bool:
    """Whether what a backend holds is the raw value, but for what IBM converts: times, and pairs that are complex numbers."""
    kind = type(held)
    if kind is dict:
        return type(raw) is dict and held.keys() == raw.keys() and all(_is_raw(item, raw[key]) for key, item in held.items())
    if kind is list:
        return type(raw) is list and len(held) == len(raw) and all(map(_is_raw, held, raw))
    if kind is datetime:
        return type(raw) is str and held == datetime.fromisoformat(raw)
    if kind is complex:
        return raw == [held.real, held.imag]
    return kind is type(raw) and (held == raw or held != held)
