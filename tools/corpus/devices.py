"""Devices of IBM whose calibrations change from day to day, from the files that ship inside qiskit-ibm-runtime.

A day changes what a day changes on a real device: nearly all T1 and T2 by a tenth, readout errors, some of the gates' errors; the
rest stays. A figure has the time when it was last measured. Days follow one another, so a device is asked for them in order.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy

from qarchive import codec, trees
from qarchive.columns import unsigned
from qarchive.pack import Blob
from qarchive.providers.qiskit.ibm_snapshots import CONFIGURATION, PROPERTIES
from qarchive.values import Array, Link, Timestamp

LARGE = ("sherbrooke", "torino", "brisbane", "kyiv", "kawasaki", "quebec", "osaka", "fez", "cusco", "washington")
SMALL = ("manila", "lagos", "jakarta", "nairobi", "perth", "casablanca", "quito", "lima", "belem", "bogota")

# How often a new day brings a new figure, and by how much it then differs from the last one.
_CHANGES = {"T1": (0.95, 0.12), "T2": (0.95, 0.12), "readout_error": (0.9, 0.25), "prob_meas0_prep1": (0.9, 0.25),
            "prob_meas1_prep0": (0.9, 0.25), "gate_error": (0.4, 0.3), "frequency": (0.2, 1e-6)}  # fmt: skip


def blob_of(kind: str, value: Any, key: bytes | None = None) -> Blob:
    """A value as the blob that a stage takes again and again."""
    data = codec.encode(value)
    return Blob(kind, codec.digest(data), data, key)


def link_to(blob: Blob) -> Link:
    return Link(blob.digest)


@dataclass
class Snapshot:
    """A calibration: its blobs, and the raw JSON of the server's answer."""

    calibration: Blob
    template: Blob
    columns: dict[str, Any]
    measured_at: Timestamp

    def raw(self) -> bytes:
        return _json(trees.join(codec.decode(self.template.data), self.columns))


class Device:
    """One device. `configuration` and its template are blobs; `raw` is the JSON of the configuration."""

    def __init__(self, name: str):
        folder = Path(find_spec("qiskit_ibm_runtime").submodule_search_locations[0]) / "fake_provider" / "backends" / name
        configuration = json.loads((folder / f"conf_{name}.json").read_text(encoding="utf-8"))
        properties = json.loads((folder / f"props_{name}.json").read_text(encoding="utf-8"))
        self.name = f"ibm_{name}"
        configuration["backend_name"] = properties["backend_name"] = self.name
        self.raw = _json(configuration)
        template, columns = trees.split(configuration, fixed=True)
        self.configuration_template = blob_of("template", template)
        link = link_to(self.configuration_template)
        self.configuration = blob_of("backend", {"type": CONFIGURATION, "template": link, "columns": columns, "name": self.name})
        template, self.columns = trees.split(properties, fixed=True)
        self.template = blob_of("template", template)
        self.rates, self.widths, self.dates, self.last = _figures(template)
        self.numbers = numpy.array(self.columns["numbers"].flat())
        if "kinds" in self.columns:
            self.rates[numpy.array(self.columns["kinds"].flat()) != trees.FLOAT] = 0  # nothing, and what never had a fraction
        self.rates[self.numbers == 0] = 0

    def begin(self, seed: list[int], start: int, step: int) -> "History":
        """Its days from `start` (ns since 1970) on, each `step` ns long."""
        return History(self, seed, start, step)


class History:
    """The days of a device, one after another."""

    def __init__(self, device: Device, seed: list[int], start: int, step: int):
        self.device, self.seed, self.start, self.step = device, seed, start, step
        self.numbers = device.numbers.copy()
        times = device.columns["times"]
        self.times = numpy.full(times["seconds"].shape[0], start // 10**9, "i8")  # s
        self.day = -1
        self.snapshot: Snapshot | None = None

    def at(self, day: int) -> Snapshot:
        """The calibration of a day, from 0; days only go forward."""
        if day != self.day:
            while self.day < day:
                self.day += 1
                self._go_on()
            self.snapshot = self._taken()
        return self.snapshot

    def _go_on(self) -> None:
        """Measure again what is measured this day."""
        device = self.device
        draw = numpy.random.default_rng([*self.seed, self.day])
        changed = draw.random(len(self.numbers)) < device.rates
        places = changed.nonzero()[0]
        moved = device.numbers[places] * numpy.exp(device.widths[places] * draw.standard_normal(len(places)))
        self.numbers[places] = moved  # around its usual figure, and not away from it for ever
        now = (self.start + self.day * self.step) // 10**9
        dated = device.dates[places]
        self.times[dated[dated >= 0]] = now - draw.integers(0, 7200, len(places))[dated >= 0]
        self.times[device.last] = now

    def _taken(self) -> Snapshot:
        times = self.device.columns["times"]
        first = int(self.times.min())
        columns = {
            **self.device.columns,
            "numbers": Array("<f8", (len(self.numbers),), self.numbers.tobytes()),
            "times": {name: item for name, item in times.items() if name != "ns"}
            | {"first": first, "seconds": unsigned((self.times - first).tolist())},
        }
        measured = Timestamp(int(self.times[self.device.last]) * 10**9)
        value = {"type": PROPERTIES, "template": link_to(self.device.template), "columns": columns,
                 "name": self.device.name, "measured_at": measured}  # fmt: skip
        return Snapshot(blob_of("calibration", value), self.device.template, columns, measured)


def _figures(template: Any) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, int]:
    """(rate, width, place of the date among the times or -1) of each number of a template, and the place of the last update."""
    rates: list[float] = []
    widths: list[float] = []
    dates: list[int] = []
    last, times = -1, 0

    def walk(item: Any, name: str, date: int) -> None:
        nonlocal last, times
        if type(item) is dict:
            named = item.get("name")
            inside = date
            for key in sorted(item):  # "date" comes before "value"
                if key == "date" and item[key] == trees.TIME:
                    inside = times
                walk(item[key], named if key == "value" and type(named) is str else key, inside)
        elif type(item) is list:
            for part in item:
                walk(part, name, date)
        elif item == trees.NUMBER:
            rate, width = _CHANGES.get(name, (0.0, 0.0))
            rates.append(rate)
            widths.append(width)
            dates.append(date)
        elif item == trees.TIME:
            if name == "last_update_date":
                last = times
            times += 1

    walk(template, "", -1)
    return numpy.array(rates), numpy.array(widths), numpy.array(dates), last


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
