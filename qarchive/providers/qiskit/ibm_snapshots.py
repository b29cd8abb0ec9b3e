"""Configurations and calibrations of IBM's devices: raw dicts, as the server sends them, <-> blobs.

Raw means JSON as it was parsed, never IBM's objects: those convert times to the zone of the computer and drop gates, so a hash of
them would depend on both. Nothing here alters what it is given, and all works without IBM's SDK. The fake backends of
`qiskit_ibm_runtime.fake_provider` hold such dicts too, and take the same path.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ... import redact, trees
from ...codec import encode
from ...errors import NotEncodable
from ...values import Link, Timestamp
from ..base import Get, Stage

CONFIGURATION, PROPERTIES = "ibm.configuration", "ibm.properties"

# Not of the device but of who asked for it. None of them has been seen in a configuration of today's service.
_PERSONAL = frozenset({"hub", "group", "project", "instance", "crn", "account", "account_id", "user", "user_id", "quota"})


def configuration_value(stage: Stage, raw: Mapping[str, Any], fractional_gates: bool | None = None) -> dict:
    """A device's configuration as a plain value; its template becomes a blob of its own on the stage.

    `fractional_gates` is the backend's option `use_fractional_gates`, by which IBM's client picks from the configuration; None
    where nothing was picked. Without credentials and what is personal, each told as a gap. Raises NotEncodable.
    """
    raw = _mapping(raw)
    personal = sorted(_PERSONAL & raw.keys())
    for name in personal:
        stage.gap(f"backend.configuration.{name}", "it is of the account, not of the device")
    value = _parts(stage, CONFIGURATION, "backend.configuration", {k: v for k, v in raw.items() if k not in _PERSONAL})
    return value if fractional_gates is None else {**value, "fractional_gates": fractional_gates}


def calibration_value(stage: Stage, raw: Mapping[str, Any]) -> dict:
    """A device's properties as a plain value, with `measured_at` where the provider says so; its template becomes a blob.

    Two calibrations of one device share their template unless a figure appeared or vanished. Raises NotEncodable.
    """
    raw = _mapping(raw)
    value = _parts(stage, PROPERTIES, "calibration", raw)
    measured = measured_at(raw)
    return value if measured is None else {**value, "measured_at": measured}


def raw_value(get: Get, value: Mapping[str, Any]) -> dict:
    """The raw dict of either kind of value, equal to the provider's. Raises NotCanonical where the parts do not fit."""
    return trees.join(get(value["template"]), value["columns"])


def put_configuration(stage: Stage, raw: Mapping[str, Any], fractional_gates: bool | None = None) -> Link:
    """Keep a raw configuration; the link is that of an `ibm.configuration` value. Raises NotEncodable."""
    return stage.put("backend", configuration_value(stage, raw, fractional_gates))


def put_properties(stage: Stage, raw: Mapping[str, Any]) -> Link:
    """Keep raw properties; the link is that of an `ibm.properties` value. Raises NotEncodable."""
    return stage.put("calibration", calibration_value(stage, raw))


def load_configuration(get: Get, link: Link) -> dict:
    """The raw configuration behind a link of `put_configuration`, a new dict each time."""
    return raw_value(get, get(link))


def load_properties(get: Get, link: Link) -> dict:
    """The raw properties behind a link of `put_properties`, a new dict each time."""
    return raw_value(get, get(link))


def measured_at(raw: Mapping[str, Any]) -> Timestamp | None:
    """When the provider last changed a figure, in UTC; None where it does not say, or says it without a zone."""
    text = raw.get("last_update_date")
    try:
        return Timestamp.of(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return None


def _mapping(raw) -> dict:
    if not isinstance(raw, Mapping):
        raise NotEncodable(f"a {type(raw).__name__} where a server sends a map")
    return dict(raw)


def _parts(stage, kind, what, raw) -> dict:
    # Before the split: a column would not know under which key a text stood.
    clean = redact.tree(raw) if redact.suspects(encode(raw)) else raw
    if clean is not raw:
        stage.gap(what, "a credential was removed")
    template, columns = trees.split(clean, fixed=True)
    name = clean.get("backend_name")
    value = {"type": kind, "template": stage.put("template", template), "columns": columns}
    return {**value, "name": name} if type(name) is str else value
