"""What must be equal where one job of Pasqal's stands for another: what runs, and how; not when, for whom, or beside what."""

import json
from collections.abc import Mapping
from typing import Any

from ..base import Get
from .answers import plain_variables
from .calls import INPUT

_HOW = ("configuration", "backend_configuration")  # of a batch: what decides what comes out of its jobs


def alike(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """The parts "input", "config" and "backend" of a job record. A batch's jobs are compared one by one: it does not matter in
    which batch they are, what else is in it, and whether it is open."""
    config = get(job["config"])
    how = {name: _plain(config[name]) for name in _HOW if config.get(name) is not None}
    return {"input": _input(get, job), "config": how, "backend": job["backend"]}


def _input(get: Get, job: Mapping[str, Any]) -> Any:
    value = get(job["input"])
    if value.get("type") != INPUT:
        return job["input"]
    sequence = value.get("sequence") or value.get("builder")
    rest = {name: item for name, item in value.items() if name not in ("builder", "sequence", "variables")}
    return {**rest, "variables": plain_variables(value.get("variables")), "sequence": _sequence(get, sequence, job["kind"])}


def _sequence(get: Get, held: Mapping[str, Any] | None, kind: str) -> Any:
    """A sequence without the order of its keys; a QPU's specifications change with its calibration, and only its name counts."""
    if held is None or "text" in held:
        return held
    value = get(held["sequence"])
    device = get(value["device"])["specs"]
    return {"sequence": value["sequence"], "register": value["register"], "device": device["name"] if kind == "qpu" else device}


def _plain(value: Any) -> Any:
    """A serialised configuration as what it says."""
    if type(value) is not str:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
