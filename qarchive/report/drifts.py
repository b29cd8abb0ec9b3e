"""How devices drift over jobs: medians of T1, T2 and errors, or of HOM and transmittance, at each calibration."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..archive import Archive
from ..calibration import Calibration
from ..drawing.drift import drift
from ..drawing.elements import Child
from ..job import Job
from ..printable import clean, count
from .devices import ran_with
from .words import Reader, remark

CALIBRATIONS = 60  # of a device that are read
_KEPT = 1_000  # of which what is drawn is kept
_TIMES = ("T1", "T2")
_PHOTONS = ("HOM", "Transmittance")

Point = tuple[datetime, float | None]


def section(jobs: Iterable[Job], read: Reader) -> Iterable[Child]:
    """Figures of each device of which there are two calibrations or more."""
    by_device: dict[str, dict[str, Job]] = {}
    for job in jobs:
        if (digest := job.row.calibration) is not None:
            by_device.setdefault(job.backend, {}).setdefault(digest, job)
    for device, jobs_of in by_device.items():
        some = _spread(list(jobs_of.values()))
        found = [(job.created, calibration) for job in some if (calibration := read(lambda job=job: ran_with(job))) is not None]
        yield from _drawn(device, found, len(jobs_of) - len(some), read)


def of_device(archive: Archive, device: str, read: Reader) -> Iterable[Child]:
    """The same of one device, from its latest calibrations."""
    found = archive._store.index.calibrations_on(device, CALIBRATIONS + 1)
    points = [(created.datetime, Calibration("", digest.hex(), None, lambda link: archive._store.value(link.digest)))
              for digest, created in found[:CALIBRATIONS]]  # fmt: skip
    yield from _drawn(device, points, 0, read)
    if len(found) > CALIBRATIONS:
        yield remark(f"The latest {CALIBRATIONS} calibrations.")


def _drawn(device: str, found: Iterable[tuple[datetime, Calibration]], left_out: int, read: Reader) -> Iterable[Child]:
    """Drawings of calibrations, each with the moment that holds where its provider says none."""
    medians: dict[str, _Medians] = {}
    for at, calibration in found:
        if calibration.digest not in medians and (known := read(lambda at=at, of=calibration: _medians(at, of))) is not None:
            medians[calibration.digest] = known
    points = sorted(medians.values(), key=lambda point: point.at)
    if len(points) < 2:
        return
    for place, (title, unit, what, series) in enumerate(_series(points)):
        yield drift(series, f"{clean(device)}: {title}", unit, f"{clean(device)}{place}", what).element()
    if left_out:
        yield remark(
            f"{count(left_out, 'calibration')} of {clean(device)} between these {'is' if left_out == 1 else 'are'} left out."
        )


def _spread(jobs: list[Job]) -> list[Job]:
    """So many of them, evenly, the first and the last among them."""
    if len(jobs) <= CALIBRATIONS:
        return jobs
    return [jobs[round(i * (len(jobs) - 1) / (CALIBRATIONS - 1))] for i in range(CALIBRATIONS)]


@dataclass(frozen=True)
class _Medians:
    """What is drawn of a calibration: the median of each figure, and which of these are errors of gates on two qubits."""

    at: datetime
    figures: Mapping[str, float]
    pairs: frozenset[str]


_known: OrderedDict[str, _Medians] = OrderedDict()  # by digest: a calibration of many qubits takes 50 ms to read


def _medians(at: datetime, of: Calibration) -> _Medians:
    """Raises Damaged, NotFound, NotCanonical, BadInput."""
    if (found := _known.get(of.digest)) is None:
        pairs = {f"{gate} gate_error" for gate, numbers in of.gates.items() if any(len(qubits) == 2 for qubits in numbers)}
        found = _Medians(
            of.measured_at or of.captured_at or at, {figure.name: figure.median for figure in of.figures}, frozenset(pairs)
        )
        _known[of.digest] = found
        while len(_known) > _KEPT:
            _known.pop(next(iter(_known)), None)
    return found


def _series(points: list[_Medians]) -> Iterable[tuple[str, str, str, Mapping[str, list[Point]]]]:
    """(title, unit, what its axis is called, points by figure) of each drawing."""
    names = list(dict.fromkeys(name for point in points for name in point.figures))
    errors = [name for name in names if name == "readout_error" or any(name in point.pairs for point in points)]
    for title, unit, what, wanted in (
        ("medians of T1 and T2", "s", "median time", _TIMES),
        ("medians of errors", "", "median error (probability)", errors),
        ("medians of HOM and transmittance", "", "median (no unit)", _PHOTONS),
        ("median of g2", "", "median (no unit)", ("g2",)),
    ):
        series = {clean(name).replace("_", " "): [(point.at, point.figures.get(name)) for point in points]
                  for name in wanted if name in names}  # fmt: skip
        if series:
            yield title, unit, what, series
