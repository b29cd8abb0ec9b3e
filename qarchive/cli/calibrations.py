"""Commands about calibrations: how good a device was when a job ran on it, and how that compares to another day."""

import math
from datetime import datetime
from typing import Any

import click

from ..calibration import Calibration, Change, Drift, Figure, compare
from ..errors import BadInput, NotFound
from ..job import Job
from ..printable import clean
from . import output
from .reading import job_argument
from .shell import Commands, Later, complete_job, json_option, opened

PHASES = ("submit", "run", "retrieval")
_ROWS = 20  # of a table, where not all are asked for
_MOVED = 3  # qubits or gates shown of a figure
_OF_QUBITS = ("T1", "T2", "frequency", "readout_error")  # what the table of qubits shows; --qubit and --json show all
_PREFIXES = {
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "Hz": ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1, "Hz")),
}


@click.group(cls=Commands, invoke_without_command=True)
@json_option("calibration")
@click.pass_context
def calibration(ctx: click.Context, as_json: bool) -> None:
    """Show and compare calibrations of devices.

    \b
    Example: qarchive calibration show latest
    """
    if ctx.invoked_subcommand is None:
        if as_json:
            output.document("calibration", commands=calibration.short_helps())
        else:
            click.echo(ctx.get_help())


@calibration.command()
@job_argument
@click.option("--phase", type=click.Choice(PHASES), help="When it was captured. Default: when the job was sent, else the first.")
@click.option("--qubit", type=click.IntRange(min=0), metavar="N", help="Only qubit N and the gates on it, with all figures.")
@click.option("--all", "everything", is_flag=True, help=f"All qubits and gates, not only the first {_ROWS} of each.")
@json_option("calibration-show")
@click.pass_obj
def show(where: str | None, reference: str, phase: str | None, qubit: int | None, everything: bool, as_json: bool) -> None:
    """Show the calibration that a job ran with.

    When it was measured and captured, the median of each figure and where it is best and worst, and the figures of qubits and
    gates, those on several qubits first. --json prints all of them, in seconds, hertz and probabilities.

    \b
    Example: qarchive calibration show latest --qubit 5
    """
    with opened(where) as archive:
        job = archive.job(reference)
        found = _chosen(job, phase)
        _check_qubit(found, qubit)
        if as_json:
            _show_json(job, found, qubit)
        else:
            _show_text(job, found, qubit, everything)


@calibration.command()
@job_argument
@click.argument("other", required=False, shell_complete=complete_job)
@click.option("--now", is_flag=True, help="Ask the device's cloud for its calibration of now, and keep it with JOB.")
@json_option("calibration-diff")
@click.pass_obj
def diff(where: str | None, reference: str, other: str | None, now: bool, as_json: bool) -> None:
    """Show which figures of a device moved, and where.

    From the calibration of JOB to that of the job OTHER: those of their runs, or of their sending where those are not known.
    With one job: from its sending to its run, or to what was captured later; with --now from its sending to this moment. Exit
    code 0 whether or not they differ.

    \b
    Example: qarchive calibration diff @2 latest
    """
    with opened(where) as archive:
        jobs = [archive.job(name) for name in (reference, other or reference)]
        if now:
            if other is not None:
                raise BadInput("--now and OTHER", "both say what JOB is compared with", "give one of them")
            one, last = _chosen(jobs[0], None), archive.calibrate(reference)
        elif other is None:
            one, last = _pair(jobs[0])
        else:
            one, last = (_chosen(job, _latest_phase(job)) for job in jobs)
        drifts = compare(one, last)
        if as_json:
            sides = [{"job": job.id, **_about(job, side)} for job, side in zip(jobs, (one, last))]
            output.document("calibration-diff", one=sides[0], other=sides[1], figures=[drift_json(drift) for drift in drifts])
        else:
            _show_diff(jobs, (one, last), drifts)


def _chosen(job: Job, phase: str | None) -> Calibration:
    """The calibration of a phase; without one that of sending, else the first. Raises NotFound."""
    known = job.calibrations
    for found in known:
        if phase in (None, found.phase):
            return found
    if known:
        raise NotFound(f"a calibration of the phase {phase}", f"job {job.id[:12]}", f"it has {_phases(known)}")
    reasons = [f"{gap['what']}: {gap['reason']}" for gap in job.gaps if gap["what"].partition(".")[0] == "calibration"]
    hint = f"it could not be captured ({'; '.join(reasons)})" if reasons else (
        f"{job.backend} has no figures; devices, fake backends of IBM and simulators made from a device have them"
    )  # fmt: skip
    raise NotFound("a calibration", f"job {job.id[:12]}", f"{hint}; `qarchive list` shows other jobs")


def _pair(job: Job) -> tuple[Calibration, Calibration]:
    """The calibrations of sending and running, else of what there is the first and the last."""
    one, known = _chosen(job, None), job.calibrations
    if len(known) == 1:
        hint = f"it has {_phases(known)}; give another job to compare it with"
        raise NotFound("a second calibration", f"job {job.id[:12]}", hint)
    return one, next((found for found in known[1:] if found.phase == "run"), known[-1])


def _latest_phase(job: Job) -> str | None:
    return "run" if any(found.phase == "run" for found in job.calibrations) else None


def _phases(known: list[Calibration]) -> str:
    return ", ".join(dict.fromkeys(found.phase for found in known))


def _check_qubit(found: Calibration, qubit: int | None) -> None:
    """Raises BadInput for a qubit that is not there, and for figures that cannot be read, before anything is printed."""
    count = max(map(len, found.qubits.values()), default=0)
    if qubit is not None and qubit >= count:
        raise BadInput(f"--qubit {qubit}", f"the calibration has {output.count(count, 'qubit')}", f"give one below {count}")


def _about(job: Job, found: Calibration) -> dict[str, Any]:
    times = {name: _iso(moment) for name, moment in (("measured_at", found.measured_at), ("captured_at", found.captured_at))}
    age = _age_s(job, found)
    return {"device": found.device or job.backend, "phase": found.phase, **times, "age_s": age, "digest": found.digest}


def _age_s(job: Job, found: Calibration) -> float | None:
    """How old the figures were when the job was sent."""
    attempt = job.folded.current
    sent = attempt.record["created"].datetime if attempt and attempt.record else job.created
    return None if found.measured_at is None else (sent - found.measured_at).total_seconds()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _show_json(job: Job, found: Calibration, qubit: int | None) -> None:
    output.document(
        "calibration-show",
        job=job.id,
        **_about(job, found),
        phases=[each.phase for each in job.calibrations],
        units=found.units,
        figures=[_figure_json(figure) for figure in found.figures],
        qubits={name: column if qubit is None else column[qubit] for name, column in found.qubits.items()},
        gates=[{"gate": gate, "qubits": list(qubits), **numbers} for gate, qubits, numbers in _gates(found, qubit)],
    )


def _figure_json(figure: Figure) -> dict[str, Any]:
    best, worst = (end and {"qubits": list(end[0]), "value": end[1]} for end in (figure.best, figure.worst))
    numbers = {"count": len(figure.values), "median": figure.median, "best": best, "worst": worst}
    return {"name": figure.name, "unit": figure.unit, **numbers}


def drift_json(drift: Drift) -> dict[str, Any]:
    """What became of one figure, as JSON."""
    changes = [{"qubits": list(change.qubits), "before": change.before, "after": change.after,
                "relative": change.relative if math.isfinite(change.relative) else None} for change in drift.changes]  # fmt: skip
    return {"name": drift.name, "unit": drift.unit, "before": drift.before, "after": drift.after, "changes": changes,
            "appeared": list(map(list, drift.appeared)), "vanished": list(map(list, drift.vanished))}  # fmt: skip


def _gates(found: Calibration, qubit: int | None) -> list[tuple[str, tuple[int, ...], dict[str, float]]]:
    return [(gate, qubits, numbers) for gate, places in found.gates.items() for qubits, numbers in places.items()
            if qubit is None or qubit in qubits]  # fmt: skip


def _show_text(job: Job, found: Calibration, qubit: int | None, everything: bool) -> None:
    age = _age_s(job, found)
    phases = _phases(job.calibrations)
    output.pairs([
        ("job", job.id),
        ("device", clean(found.device or job.backend)),
        ("phase", clean(found.phase) + (f" (of {clean(phases)})" if phases != found.phase else "")),
        ("measured", _iso(found.measured_at) or "not said by the provider"),
        ("captured", _iso(found.captured_at) or "with the backend"),
        ("age at submit", "" if age is None else _duration(age)),
        ("digest", found.digest[:12]),
    ])  # fmt: skip
    if qubit is not None:
        output.write(f"\n{output.heading(f'qubit {qubit}')}")
        numbers = [(name, column[qubit]) for name, column in found.qubits.items()]
        output.pairs([(clean(name), shown(n, found.units[name])) for name, n in numbers if n is not None], indent="  ")
    else:
        _figures(found)
        _qubits(found, everything)
    rows = sorted(_gates(found, qubit), key=lambda row: (-len(row[1]), -row[2].get("gate_error", 0)))
    names = list(dict.fromkeys(name for _, _, numbers in rows for name in numbers))
    cells = [(clean(gate), _places(qubits), *(shown(numbers.get(name), found.units[name]) for name in names))
             for gate, qubits, numbers in rows]  # fmt: skip
    _table("gates, the worst first", ("GATE", "QUBITS", *map(_title, names)), cells, everything or qubit is not None, 2)


def _figures(found: Calibration) -> None:
    rows = []
    for figure in found.figures:
        ends = [cell for end in _ends(figure) for cell in _end(end, figure.unit, found.letter)]
        rows.append((clean(figure.name), shown(figure.median, figure.unit), *ends))
    output.write()
    output.Table(("FIGURE", "MEDIAN", "BEST", "AT", "WORST", "AT"), right=(1, 2, 4)).write(rows)


def _ends(figure: Figure) -> tuple:
    """Best and worst; nothing for a figure that is the same everywhere."""
    best, worst = figure.best, figure.worst
    return (None, None) if best is None or best[1] == worst[1] else (best, worst)


def _end(end, unit, letter) -> tuple[str, str]:
    return ("-", "") if end is None else (shown(end[1], unit), _places(end[0], letter))


def _qubits(found: Calibration, everything: bool) -> None:
    names = [name for name in _OF_QUBITS if name in found.qubits]
    columns = [[shown(number, found.units[name]) for number in found.qubits[name]] for name in names]
    rows = [(str(place), *cells) for place, cells in enumerate(zip(*columns))]
    _table("qubits", ("QUBIT", *map(_title, names)), rows, everything, 0)


def _table(name: str, header: tuple, rows: list, everything: bool, text: int) -> None:
    """A table of which the first columns, `text` of them, are text and the others numbers."""
    if not rows:
        return
    output.write(f"\n{output.heading(name)}")
    shown = rows if everything else rows[:_ROWS]
    output.Table(header, right=range(text, len(header)), indent="  ").write(shown)
    if len(shown) < len(rows):
        output.write(f"  {len(rows) - len(shown):,} more; --all shows them")


def _show_diff(jobs: list[Job], sides: tuple[Calibration, Calibration], drifts: list[Drift]) -> None:
    abouts = [_about(job, side) for job, side in zip(jobs, sides)]
    lines = []
    for job, about in zip(jobs, abouts):
        measured = f"measured {about['measured_at']}" if about["measured_at"] else "nobody says when it was measured"
        lines.append(f"job {job.id[:12]}, {clean(about['device'])}, {clean(about['phase'])}: {measured}")
    output.pairs([("from", lines[0]), ("to", lines[1])])
    if sides[0].digest == sides[1].digest:
        output.write("\nboth are the same calibration")
        return
    if abouts[0]["device"] != abouts[1]["device"]:
        output.note(f"warning: these are two devices, {abouts[0]['device']} and {abouts[1]['device']}")
    moved = [drift for drift in drifts if drift.changes or drift.appeared or drift.vanished]
    if moved:
        output.write()
        table = output.Table(("FIGURE", "BEFORE", "AFTER", "CHANGE", "MOVED", "MOST MOVED"), right=(1, 2, 3, 4), yielding=(5,))
        table.write([drift_row(drift, sides[0].letter) for drift in moved])
    for drift in moved:
        for word, places in (("appeared", drift.appeared), ("vanished", drift.vanished)):
            if places:
                more = f", {len(places) - _MOVED:,} more" if len(places) > _MOVED else ""
                where = ", ".join(_places(place, sides[0].letter) for place in places[:_MOVED])
                output.write(f"{clean(drift.name)} {word} at {where}{more}")
    same = [clean(drift.name) for drift in drifts if drift not in moved]
    if same:
        output.write(f"{'unchanged' if moved else 'no figure moved'}: {', '.join(same)}")


def drift_row(drift: Drift, letter: str) -> tuple[str, ...]:
    """The cells of a figure that moved: name, medians, their change, how many places moved, and which moved most."""
    medians = (drift.before, drift.after)
    change = "" if None in medians else percent(Change((), *medians).relative)
    most = ", ".join(f"{_places(each.qubits, letter)} {percent(each.relative)}".strip() for each in drift.changes[:_MOVED])
    numbers = [shown(number, drift.unit) for number in medians]
    return (clean(drift.name), *numbers, change, f"{len(drift.changes):,}", most)


def percent(relative: float) -> str:
    if not math.isfinite(relative):
        return "from 0"
    return f"{100 * relative:+.3g} %" if abs(relative) < 10 else f"x {relative + 1:.3g}"


def _places(qubits: tuple[int, ...], letter: str = "q") -> str:
    return "-".join(map(str, qubits)) if len(qubits) > 1 else f"{letter}{qubits[0]}" if qubits else ""


def _title(name: str) -> str:
    return clean(name).replace("_", " ").upper()


def shown(number: float | None, unit: str) -> str:
    """A number of four digits with the prefix that suits it."""
    if number is None:
        return "-"
    prefixes = _PREFIXES.get(unit)
    if not prefixes:
        return f"{number:.4g}" + (f" {clean(unit)}" if unit else "")
    size, name = next(((size, name) for size, name in prefixes if abs(number) >= size), prefixes[-1] if number else prefixes[0])
    return f"{number / size:.4g} {name}"


def _duration(seconds: float) -> str:
    """A time span for people."""
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


calibration.later = {"drift": Later("drift", "drift", "Show how the figures of a device moved in time.")}
