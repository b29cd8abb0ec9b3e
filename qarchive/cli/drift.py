"""The command that shows how a device's figures moved in time: calibration drift."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from ..archive import Archive
from ..bundles import choosing
from ..calibration import Calibration, Change
from ..errors import NotFound
from ..printable import clean
from . import output
from .calibrations import percent, shown
from .naming import complete_reference
from .shell import json_option, opened

_MOST = 100  # calibrations of a device that are read, the latest
_SPARK = 16  # columns


@dataclass(frozen=True)
class Reading:
    """A calibration, and when its figures were measured; when it was captured, or first used, where the provider does not say."""

    at: datetime
    measured: bool
    found: Calibration


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, required=True, shell_complete=complete_reference)
@click.option("--figure", "wanted", multiple=True, metavar="NAME", help='Only this figure, such as T1 or "cx gate_error".')
@click.option("--limit", type=click.IntRange(min=2), metavar="N", default=_MOST, show_default=True,
              help="At most N different calibrations, the latest.")  # fmt: skip
@json_option("calibration-drift")
@click.pass_obj
def drift(where: str | None, references: tuple[str, ...], wanted: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Show how the figures of a device moved in time.

    REF... is the name of a device, for all jobs that were sent to it, or jobs and groups. For each figure: its median in the
    latest calibration, the change since the first one, and its way between. A calibration that many jobs share counts once.
    --json has the median of every calibration.

    \b
    Example: qarchive calibration drift ibm_fez --figure T1
    """
    with opened(where) as archive:
        devices = _readings(archive, references, limit)
        series = {device: _series(readings, wanted) for device, readings in devices.items()}
    known = dict.fromkeys(name for figures in series.values() for name in figures)
    if missing := [name for name in wanted if name not in known]:
        names = dict.fromkeys(figure.name for readings in devices.values() for figure in readings[-1].found.figures)
        raise NotFound(f"the figure {missing[0]!r}", "these calibrations", f"they have {', '.join(names)}")
    if as_json:
        found = [_json(device, readings, series[device]) for device, readings in devices.items()]
        output.document("calibration-drift", devices=found)
        return
    for number, (device, readings) in enumerate(devices.items()):
        if number:
            output.write()
        _show(device, readings, series[device])


def _readings(archive: Archive, references: tuple[str, ...], limit: int) -> dict[str, list[Reading]]:
    """Different calibrations of each device, in order of time. Raises NotFound where there is none."""
    if len(references) == 1 and (of_device := archive.calibrations(references[0], limit)):
        calibrations = [(references[0], found, found.captured_at) for found in of_device]
    else:
        chosen, _ = choosing.chosen(archive, references, {})
        jobs = sorted((archive.job(job.hex()) for job in chosen), key=lambda job: job.created)
        calibrations = [(job.backend, found, found.captured_at or job.created) for job in jobs for found in job.calibrations]
    devices: dict[str, dict[str, Reading]] = {}
    for backend, found, used_at in calibrations:
        reading = Reading(found.measured_at or used_at, found.measured_at is not None, found)
        devices.setdefault(found.device or backend, {}).setdefault(found.digest, reading)
    if not devices:
        hint = "devices, fake backends of IBM and simulators made from a device have them"
        raise NotFound("a calibration", f"{', '.join(references)}", hint)
    return {device: sorted(of.values(), key=lambda each: (each.at, each.found.digest))[-limit:] for device, of in devices.items()}


def _dated(readings: list[Reading]) -> str:
    """What their times are times of."""
    measured = [reading.measured for reading in readings]
    return "measured" if all(measured) else "measured or used" if any(measured) else "used"


def _series(readings: list[Reading], wanted: tuple[str, ...]) -> dict[str, tuple[str, list[float | None]]]:
    """{figure: (its unit, its median in each calibration)}."""
    found: dict[str, tuple[str, list[float | None]]] = {}
    for place, reading in enumerate(readings):
        for figure in reading.found.figures:
            if not wanted or figure.name in wanted:
                _, medians = found.setdefault(figure.name, (figure.unit, []))
                medians += [None] * (place - len(medians)) + [figure.median]
    number = len(readings)
    return {name: (unit, medians + [None] * (number - len(medians))) for name, (unit, medians) in found.items()}


def _relative(medians: list[float | None]) -> float | None:
    """The change from the first to the last median, in units of the first; None where one of them is not known."""
    known = [median for median in medians if median is not None]
    return None if len(known) < 2 or medians[-1] is None else Change((), known[0], known[-1]).relative


def _json(device: str, readings: list[Reading], series: dict) -> dict[str, Any]:
    about = [{"at": reading.at.isoformat(), "measured": reading.measured, "digest": reading.found.digest} for reading in readings]
    figures = [{"name": name, "unit": unit, "medians": medians} for name, (unit, medians) in series.items()]
    return {"device": device, "calibrations": about, "figures": figures}


def _show(device: str, readings: list[Reading], series: dict) -> None:
    from ..drawing.sparkline import sparkline  # with what it needs it takes longer to load than a listing's own modules

    first, last = (f"{readings[place].at:%Y-%m-%dT%H:%MZ}" for place in (0, -1))
    output.pairs([("device", clean(device)), ("calibrations", f"{len(readings):,}"),
                  (_dated(readings), first if len(readings) == 1 else f"{first} to {last}")])  # fmt: skip
    rows = []
    for name, (unit, medians) in series.items():
        relative = _relative(medians)
        change = "" if relative is None else percent(relative) if relative else "0 %"
        rows.append((clean(name), shown(medians[-1], unit), change, sparkline(medians, _SPARK, output.encoding())))
    output.write()
    output.Table(("FIGURE", "NOW", "CHANGE", "MEDIANS"), right=(1, 2), dropping=(2,)).write(rows)
