"""What two jobs have not alike, as a page."""

import math
from collections.abc import Iterable
from typing import Any

from ..calibration import Drift
from ..comparing import jobs as comparing
from ..comparing import settings
from ..comparing.two_sample import EQUAL, INCONCLUSIVE
from ..drawing import scales
from ..drawing.calibrated import place
from ..drawing.elements import Child, element
from ..job import Job
from ..printable import clean
from ..text_forms import to_text
from . import jobs
from .page import Links
from .words import Reader, code, facts, linked, moment, remark, status, wide_table

_ROWS = 200  # shown of a table
_LINES = 400  # shown of a circuit's text
_MOVED = 3  # qubits or gates shown of a figure
_TITLES = {"input": "Input", "config": "Configuration", "backend": "Backend", "environment": "Environment",
           "calibration": "Calibration", "result": "Result"}  # fmt: skip


def body(found: comparing.Diff, read: Reader, links: Links) -> list[Child]:
    """The whole of a comparison, under a heading."""
    differing = ", ".join(_TITLES[name].lower() for name in found.differing)
    told = f"They differ in: {differing}." if differing else "They differ in nothing that was compared."
    sides = facts([("A", _side(found.one, links)), ("B", _side(found.other, links))])
    sections = [read.section(f"{_TITLES[name]}: {_word(section)}", f"diff-{name}", lambda section=section: _section(section))
                for name, section in found.sections.items()]  # fmt: skip
    empty = [
        f"{_TITLES[name].lower()}: {_word(section)}"
        for (name, section), made in zip(found.sections.items(), sections)
        if made is None
    ]
    return [element("header", element("h1", "Two jobs compared"), element("p", told, class_="subtitle")), sides,
            *sections, element("p", f"Nothing more to say of {'; '.join(empty)}.") if empty else None]  # fmt: skip


def _side(job: Job, links: Links) -> list[Child]:
    row = job.row
    return [linked(code(job.id[:12]), links.job(job.id)), f" {jobs.title(job)}, ", status(row.status),
            clean(f" {row.provider}:{row.backend}, "), moment(row.created)]  # fmt: skip


def _word(section: comparing.Section) -> str:
    if isinstance(section, comparing.Result) and section.verdict is not None:
        return f"{section.verdict} at level {section.level:g}"
    return "differs" if section.differs else "cannot be compared" if section.reason else "same"


def _section(section: comparing.Section) -> Iterable[Child]:
    if section.reason:
        yield remark(clean(section.reason))
    if isinstance(section, comparing.Input):
        yield from _input(section)
    elif isinstance(section, comparing.Settings):
        rows = [(element("code", clean(change.path)), _value(change.one), _value(change.other)) for change in section.changes]
        yield from _table(("Setting", "A", "B"), rows, "Settings that differ")
    elif isinstance(section, comparing.Calibrated):
        yield from _calibrated(section)
    elif isinstance(section, comparing.Result):
        yield from _result(section)


def _input(section: comparing.Input) -> Iterable[Child]:
    if section.sizes[0] != section.sizes[1]:
        yield element("p", f"A has {section.sizes[0]:,} circuits, B {section.sizes[1]:,}.")
    if section.differing:
        yield element("p", f"Circuits that differ: {', '.join(map(str, section.differing[:_ROWS]))}.")
    for text in section.texts:
        if not text.lines:
            yield element("p", f"Circuit {text.index} differs in parameters, observables or shots, and not in its text.")
            continue
        lines = [element("span", f"{clean(line)}\n", class_={"+": "added", "-": "taken"}.get(line[:1]))
                 for line in text.lines[:_LINES]]  # fmt: skip
        yield element("p", f"Circuit {text.index}, from A (-) to B (+):")
        yield element("pre", element("code", *lines), class_="diff", tabindex="0")
        if len(text.lines) > _LINES:
            yield remark(f"{len(text.lines) - _LINES:,} more lines")


def _value(value: Any) -> Child:
    return "–" if value is settings.ABSENT else element("code", " ".join(to_text(value).split()))


def _calibrated(section: comparing.Calibrated) -> Iterable[Child]:
    if section.one is None or section.other is None:
        return
    yield facts([(name, [clean(f"{side.device or 'its backend'}, {side.phase}"), ", measured " if side.measured_at else "",
                         moment(side.measured_at)]) for name, side in (("A", section.one), ("B", section.other))])  # fmt: skip
    rows = [_drift_row(drift, section.one.letter) for drift in section.moved]
    yield from _table(("Figure", "A", "B", "Change", "Moved", "Most moved"), rows, "Figures that moved", right=(1, 2, 3, 4))


def _drift_row(drift: Drift, letter: str) -> tuple[Child, ...]:
    """Its name, the medians, their change, how many places moved, and which moved most."""
    medians = (drift.before, drift.after)
    change = "" if None in medians or not medians[0] else f"{(medians[1] - medians[0]) / abs(medians[0]):+.3%}"
    most = ", ".join(f"{place(each.qubits, letter)} {_percent(each.relative)}".strip() for each in drift.changes[:_MOVED])
    apart = [f"{len(places):,} {word}" for word, places in (("appeared", drift.appeared), ("vanished", drift.vanished)) if places]
    shown = ["–" if number is None else scales.si(number, clean(drift.unit)) for number in medians]
    return clean(drift.name), *shown, change, f"{len(drift.changes):,}", "; ".join(filter(None, (most, *apart)))


def _percent(relative: float) -> str:
    return f"{100 * relative:+.3g} %" if math.isfinite(relative) else "from 0"


def _result(section: comparing.Result) -> Iterable[Child]:
    rows, notes = [], []
    for circuit in section.circuits:
        for name, test in circuit.tests.items():
            rows.append((str(circuit.index), clean(name), test.verdict, _number(test.p), _number(test.distance)))
            if test.verdict == INCONCLUSIVE or (test.reason and test.verdict != EQUAL):
                notes.append(f"Circuit {circuit.index}, {clean(name)}: {clean(test.reason)}")
        if circuit.reason:
            notes.append(f"Circuit {circuit.index}: {clean(circuit.reason)}")
    yield from _table(("Circuit", "What", "Verdict", "p", "Distance"), rows, "Results of each circuit", right=(0, 3, 4))
    yield from (remark(note) for note in notes[:_ROWS])


def _number(number: float | None) -> str:
    return "–" if number is None else f"{number:.3g}"


def _table(header: tuple[str, ...], rows: list[tuple[Child, ...]], caption: str, right: Iterable[int] = ()) -> Iterable[Child]:
    if rows:
        yield wide_table(header, rows[:_ROWS], caption, right)
    if len(rows) > _ROWS:
        yield remark(f"{len(rows) - _ROWS:,} more")
