"""Commands that compare jobs: diff, rerun."""

import logging
import math
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from .. import model
from ..archive import Archive
from ..bundles.reading import begins_as_bundle
from ..comparing import bundles, settings
from ..comparing import jobs as comparing
from ..comparing.inputs import places
from ..comparing.two_sample import EQUAL, INCONCLUSIVE, WORDS, Test
from ..errors import BadInput, NotAnswered
from ..job import Job
from ..json_forms import to_json
from ..printable import clean
from ..providers.base import Cloud
from . import output, results
from .calibrations import drift_json, drift_row
from .reading import job_argument
from .shell import complete_job, json_option, opened

DIFFERS, NO_RESULT = 4, 9
BUNDLE = ".qar"
_ROWS = 20  # shown of a table
_LINES = 20  # shown of a circuit's text
_PAUSES_S = (1.0, 30.0)  # between questions to a cloud, at first and at most

_PAIRED = {
    bundles.ID: "of one id",
    bundles.RUN: "of the same input, configuration and backend",
    bundles.ALONE: "of what each holds alone",
}

_WEIGHTS = tuple(WORDS.values())  # of verdicts: what weighs more stands later

_level = click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="P", default=comparing.LEVEL, show_default=True,
    help="How often results of one distribution may be called different.",
)  # fmt: skip


@click.command()
@click.argument("one", metavar="A", shell_complete=complete_job)
@click.argument("other", metavar="B", shell_complete=complete_job)
@_level
@click.option("--only", type=click.Choice(comparing.SECTIONS), multiple=True, help="Only this section; may be given again.")
@json_option("diff")
@click.pass_context
def diff(ctx: click.Context, one: str, other: str, level: float, only: tuple[str, ...], as_json: bool) -> None:
    """Compare two jobs, or the jobs of two bundles.

    Results of A and B are compared by two-sample tests at a level, for all tests together: "equal", "no difference
    found" ("same" with --json), "differ", or "inconclusive" where the data are too sparse or have no standard errors. Ids, dates
    and durations do not count.

    Of two bundles (files that end in .qar) jobs are paired by their ids, and of the others those of the same input,
    configuration and backend, in their order. What differs in each pair is shown, and which jobs only one has (--json: schema
    qarchive/diff-bundles/1). No archive is needed.

    Exit code 4 where they differ in a section, or one bundle has a job that the other has not; else 9 where results were to be
    compared and one side has none.

    \b
    Example: qarchive diff @2 latest --only result
             qarchive diff alice.qar bob.qar
    """
    files = [_is_bundle(each) for each in (one, other)]
    if all(files):
        ctx.exit(_diff_bundles(one, other, level, only or comparing.SECTIONS, as_json))
    if any(files):
        raise BadInput(f"{one} and {other}", "are a bundle and a job", "give two jobs, or two bundles")
    with opened(ctx.obj) as archive:
        sides = archive.job(one), archive.job(other)
        found = comparing.diff(*sides, level, only or comparing.SECTIONS)
        if as_json:
            sections = {name: _section_json(section) for name, section in found.sections.items()}
            output.document("diff", one=_job_json(sides[0]), other=_job_json(sides[1]), differs=found.differs,
                            differing=list(found.differing), sections=sections)  # fmt: skip
        else:
            output.pairs([("A", _job_text(sides[0])), ("B", _job_text(sides[1]))])
            for section in found.sections.values():
                output.write()
                _show(section)
        unknown = "result" in found.sections and found.result.verdict is None
        ctx.exit(DIFFERS if found.differs else NO_RESULT if unknown else 0)


@click.command()
@job_argument
@click.option("--backend", metavar="NAME", help="A device of the job's cloud, by its name. Default: a simulator, made anew.")
@click.option("--wait", is_flag=True, help="Wait until the cloud has run it, and compare.")
@_level
@json_option("rerun")
@click.pass_context
def rerun(ctx: click.Context, reference: str, backend: str | None, wait: bool, level: float, as_json: bool) -> None:
    """Run the input of a job again, and compare what comes out.

    JOB runs on a simulator made anew from the archived backend and its calibration, or on a device of its cloud; the new job is
    its child. What was compiled for one device is not run on another: for that attach the circuit before compilation to the
    job, `job.attach("logical", circuit)`.

    Exit code 4 where the results differ at the level, 9 where the new job fails. A job that is sent to a cloud is not waited
    for, unless --wait.

    \b
    Example: qarchive rerun latest
    """
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)  # what it would print is in the job's error
    with opened(ctx.obj, on_error="raise") as archive:
        job = archive.job(reference)
        device, client = (None, None) if backend is None else _device(job, backend)
        child = job.rerun(device)
        if not as_json:
            output.write(child.id[:12])
        if device is None:
            child.wait()
        elif wait:
            _wait(archive, child, client)
        ended = child.status in model.TERMINAL
        found = comparing.diff(job, child, level, ("result",)).result if ended else None
        if as_json:
            output.document("rerun", job=job.id, child=_job_json(child), error=child.error,
                            result=None if found is None else _section_json(found))  # fmt: skip
        elif found is None:
            output.note(f"job {child.id[:12]} was sent; `qarchive sync` brings its result, and "
                        f"`qarchive diff {job.id[:12]} {child.id[:12]}` compares them")  # fmt: skip
        else:
            _show(found)
            if found.differs and job.kind == "qpu" and child.kind == "simulator":
                output.note("the simulator has the device's calibration, and no error mitigation, which the cloud's may have")
        if ended:
            results.judge(child)
            ctx.exit(DIFFERS if found.differs else 0)


def _device(job: Job, name: str) -> tuple[Any, Any]:
    """(device, client) of a cloud by its name. Raises BadInput, NotFound, MissingExtra."""
    from ..providers import registry

    provider = registry.named(job.provider)
    if not isinstance(provider, Cloud):
        reason = f"job {job.id[:12]} ran on {provider.name}, which has no devices by name"
        raise BadInput(f"--backend {name}", reason, "leave it out, or give the backend in Python: `job.rerun(backend)`")
    client = provider.connect()
    return provider.device(client, name), client


def _wait(archive: Archive, child: Job, client: Any) -> None:
    """Ask until the job has ended. Raises NotAnswered where nobody says how it stands."""
    pause, longest = _PAUSES_S
    while child.status not in model.TERMINAL:
        report = archive.sync(client)
        if child.id in report.problems or child.id in report.unanswered:
            raise NotAnswered(1, report.problems.get(child.id, "it is not known whether it was accepted"))
        if child.status not in model.TERMINAL:
            time.sleep(pause)
            pause = min(2 * pause, longest)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _job_text(job: Job) -> str:
    return f"job {job.id[:12]}, {output.minute(job.row.created)}, {clean(f'{job.provider}:{job.backend}, {job.status}')}"


def _job_json(job: Job) -> dict[str, Any]:
    return {"id": job.id, "status": job.status, "provider": job.provider, "backend": job.backend}


# Bundles


def _is_bundle(reference: str) -> bool:
    """Whether this names a bundle, and not a job. Raises BadInput for one that is not there."""
    path = Path(reference)
    if path.suffix == BUNDLE and not path.exists():
        raise BadInput(reference, "there is no such file", "name two bundles, or two jobs")
    return path.suffix == BUNDLE or begins_as_bundle(path)


def _diff_bundles(one: str, other: str, level: float, only: tuple[str, ...], as_json: bool) -> int:
    """Print what two bundles have not alike; the exit code."""
    with opened(one) as archive, opened(other) as second:
        found = bundles.diff(archive, second, level, only)
        undecided = any(pair.undecided for pair in found.pairs)
        if as_json:
            ends = {name: {"path": path, "archive": each.id} for name, path, each in
                    (("one", one, archive), ("other", other, second))}  # fmt: skip
            alike = sum(not pair.differs for pair in found.pairs)
            output.document("diff-bundles", **ends, level=level, differs=found.differs, alike=alike,
                            pairs=[_pair_json(pair) for pair in found.pairs],
                            only_one=[_job_json(job) for job in found.only_one],
                            only_other=[_job_json(job) for job in found.only_other])  # fmt: skip
        else:
            sizes = (len(found.pairs) + len(alone) for alone in (found.only_one, found.only_other))
            heads = [f"{clean(path)}, {output.count(size, 'job')}" for path, size in zip((one, other), sizes)]
            output.pairs(list(zip("AB", heads)))
            _show_pairs(found)
    return DIFFERS if found.differs else NO_RESULT if undecided else 0


def _show_pairs(found: bundles.BundlesDiff) -> None:
    output.write()
    for by, what in _PAIRED.items():
        if pairs := [pair for pair in found.pairs if pair.by == by]:
            differing = sum(pair.differs for pair in pairs)
            undecided = sum(pair.undecided and not pair.differs for pair in pairs)
            counts = {"alike": len(pairs) - differing - undecided, "differs" if differing == 1 else "differ": differing,
                      "without a result to compare": undecided}  # fmt: skip
            told = ", ".join(f"{number:,} {word}" for word, number in counts.items() if number)
            output.write(f"{output.count(len(pairs), 'pair')} {what}: {told}")
    for letter, jobs in (("A", found.only_one), ("B", found.only_other)):
        if jobs:
            output.write(f"{output.count(len(jobs), 'job')} only in {letter}")
            for job in jobs[:_ROWS]:
                output.write(f"  {_job_text(job)}")
            if len(jobs) > _ROWS:
                output.write(f"  {len(jobs) - _ROWS:,} more; --json has all")
    telling = [pair for pair in found.pairs if pair.differs or pair.undecided]
    for pair in telling[:_ROWS]:
        output.write()
        output.pairs([("A", _job_text(pair.one)), ("B", _job_text(pair.other))])
        for section in pair.diff.sections.values():
            if section.differs or (section.name == "result" and section.verdict is None):
                _show(section)
    if len(telling) > _ROWS:
        output.write(f"\n{output.count(len(telling) - _ROWS, 'more pair')} like these; --json has all")


# Text


def _show(section: comparing.Section) -> None:
    output.write(output.heading(f"{section.name}: {section.told}"))
    if section.reason:
        output.write(f"  {clean(section.reason)}")
    if isinstance(section, comparing.Input):
        _input(section)
    elif isinstance(section, comparing.Settings):
        rows = [(clean(change.path), *map(_side, (change.one, change.other))) for change in section.changes]
        _table(("SETTING", "A", "B"), rows, yielding=(1, 2))
        for change in section.changes[:_ROWS]:
            if change.note:
                output.write(f"  {clean(change.path)} differs in {clean(change.note)}")
    elif isinstance(section, comparing.Calibrated):
        _calibrated(section)
    elif isinstance(section, comparing.Result):
        _result(section)


def _side(value: Any) -> str:
    return "-" if value is settings.ABSENT else clean(settings.shown(value))


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]], right: tuple = (), yielding: tuple = ()) -> None:
    if rows:
        output.Table(header, right=right, yielding=yielding, indent="  ").write(rows[:_ROWS])
    if len(rows) > _ROWS:
        output.write(f"  {len(rows) - _ROWS:,} more; --json has all")


def _input(section: comparing.Input) -> None:
    one, other = section.sizes
    if one != other:
        output.write(f"  A has {output.count(one, 'circuit')}, B has {other:,}")
    told = {text.index for text in section.texts}
    if section.differing and told != set(section.differing):
        several = len(section.differing) > 1
        output.write(f"  circuit{'s' if several else ''} {places(section.differing)} differ{'' if several else 's'}")
    for text in section.texts:
        if not text.lines:
            output.write(f"  circuit {text.index} differs in parameters, observables or shots, and not in its text")
            continue
        output.write(f"  circuit {text.index} differs:")
        for line in text.lines[:_LINES]:
            output.write(f"    {clean(line)}".rstrip())
        if len(text.lines) > _LINES:
            output.write(f"    {len(text.lines) - _LINES:,} more lines")


def _calibrated(section: comparing.Calibrated) -> None:
    if section.one is None or section.other is None:
        return
    for name, side in (("A", section.one), ("B", section.other)):
        moment = f"measured {_moment(side.measured_at)}" if side.measured_at else "nobody says when it was measured"
        output.write(f"  {name}: {clean(side.device or 'its backend')}, {clean(side.phase)}: {moment}")
    rows = [drift_row(drift, section.one.letter) for drift in section.moved]
    _table(("FIGURE", "A", "B", "CHANGE", "MOVED", "MOST MOVED"), rows, right=(1, 2, 3, 4), yielding=(5,))


def _result(section: comparing.Result) -> None:
    rows, notes = [], []
    for circuit in section.circuits:
        for name, test in circuit.tests.items():
            pooled = f"{test.pooled:.1%}" if test.pooled else ""
            rows.append((str(circuit.index), clean(name), WORDS[test.verdict], _number(test.p), _number(test.distance), pooled))
            if test.verdict == INCONCLUSIVE or (test.reason and test.verdict != EQUAL):
                notes.append(f"circuit {circuit.index}, {clean(name)}: {clean(test.reason)}")
        if circuit.reason:
            notes.append(f"circuit {circuit.index}: {clean(circuit.reason)}")
    rows.sort(key=lambda row: -_WEIGHTS.index(row[2]))
    _table(("CIRCUIT", "WHAT", "VERDICT", "P", "DISTANCE", "POOLED"), rows, right=(3, 4, 5))
    for line in notes[:_ROWS]:
        output.write(f"  {line}")
    if len(notes) > _ROWS:
        output.write(f"  {len(notes) - _ROWS:,} more; --json has all")


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"


# JSON


def _section_json(section: comparing.Section) -> dict[str, Any]:
    found: dict[str, Any] = {"differs": section.differs, "reason": section.reason or None}
    if isinstance(section, comparing.Input):
        found |= {"sizes": list(section.sizes), "circuits": None if section.differing is None else list(section.differing),
                  "texts": [{"index": text.index, "diff": list(text.lines)} for text in section.texts]}  # fmt: skip
    elif isinstance(section, comparing.Settings):
        found["changes"] = [_change_json(change) for change in section.changes]
    elif isinstance(section, comparing.Calibrated):
        found |= {name: side and {"digest": side.digest, "phase": side.phase,
                                  "measured_at": _moment(side.measured_at)}
                  for name, side in (("one", section.one), ("other", section.other))}  # fmt: skip
        found["figures"] = [drift_json(drift) for drift in section.moved]
    elif isinstance(section, comparing.Result):
        found |= {"level": section.level, "verdict": section.verdict}
        found["circuits"] = [
            {"index": circuit.index, "verdict": circuit.verdict, "reason": circuit.reason or None,
             "tests": {name: _test_json(test) for name, test in circuit.tests.items()}}
            for circuit in section.circuits
        ]  # fmt: skip
    return found


def _pair_json(pair: bundles.Pair) -> dict[str, Any]:
    """The sections that differ; `compared` is false for a job whose records are the same on both sides."""
    sections = {} if pair.diff is None else {name: _section_json(pair.diff.sections[name]) for name in pair.diff.differing}
    return {"by": pair.by, "one": _job_json(pair.one), "other": _job_json(pair.other), "compared": pair.diff is not None,
            "differs": pair.differs, "undecided": pair.undecided, "differing": list(sections), "sections": sections}  # fmt: skip


def _change_json(change: settings.Change) -> dict[str, Any]:
    """A side that does not have the setting is left out."""
    sides = {"one": change.one, "other": change.other}
    note = {"note": change.note} if change.note else {}
    return {"path": change.path} | note | {name: to_json(value) for name, value in sides.items() if value is not settings.ABSENT}


def _test_json(test: Test) -> dict[str, Any]:
    numbers = {"p": test.p, "statistic": test.statistic, "distance": test.distance}
    finite = {name: number if number is not None and math.isfinite(number) else None for name, number in numbers.items()}
    return {"verdict": test.verdict, **finite, "degrees_of_freedom": test.freedom, "pooled": test.pooled,
            "reason": test.reason or None}  # fmt: skip
