"""What two jobs have not alike, as a page."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..calibration import Change, Drift
from ..comparing import jobs as comparing
from ..comparing import results, settings
from ..comparing.two_sample import EQUAL, INCONCLUSIVE, VERDICTS, WORDS
from ..drawing import scales
from ..drawing.calibrated import place
from ..drawing.elements import Child, element
from ..drawing.pairs import Pair, pairs
from ..job import Job
from ..printable import clean
from ..text_forms import TEXT, to_text
from . import jobs
from .page import Links
from .words import Reader, code, facts, linked, moment, remark, status, wide_table

_ROWS = 200  # shown of a table
_DRAWN, _QUANTITIES = 6, 2  # circuits, and things of each, that are drawn
_LINES = 400  # shown of a circuit's text
_PLAIN = re.compile(r"[^\W\d].*\S|[^\W\d]")  # begins with a letter, and ends with no space
_TIMES = 10  # a change of more is a factor
_MOVED = 3  # qubits or gates shown of a figure
_TITLES = {"input": "Input", "config": "Configuration", "backend": "Backend", "environment": "Environment",
           "calibration": "Calibration", "result": "Result"}  # fmt: skip


def body(found: comparing.Diff, read: Reader, links: Links) -> list[Child]:
    """The whole of a comparison, under a heading."""
    differing = ", ".join(_TITLES[name].lower() for name in found.differing)
    told = f"They differ in: {differing}." if differing else "They differ in nothing that was compared."
    sides = facts([("A", _side(found.one, links)), ("B", _side(found.other, links))])
    sections = [read.section(f"{_TITLES[name]}: {section.told}", f"diff-{name}", lambda each=section: _section(each, found, read))
                for name, section in found.sections.items()]  # fmt: skip
    empty = [
        f"{_TITLES[name].lower()}: {section.told}"
        for (name, section), made in zip(found.sections.items(), sections)
        if made is None
    ]
    return [element("header", element("h1", "Two jobs compared"), element("p", told, class_="subtitle")), sides,
            *sections, element("p", f"Nothing more to say of {'; '.join(empty)}.") if empty else None]  # fmt: skip


def _side(job: Job, links: Links) -> list[Child]:
    row = job.row
    return [linked(code(job.id[:12]), links.job(job.id)), f" {jobs.title(job)}, ", status(row.status),
            clean(f" {row.provider}:{row.backend}, "), moment(row.created)]  # fmt: skip


def _section(section: comparing.Section, found: comparing.Diff, read: Reader) -> Iterable[Child]:
    if section.reason:
        yield remark(clean(section.reason))
    if isinstance(section, comparing.Input):
        yield from _input(section)
    elif isinstance(section, comparing.Settings):
        rows = [(_path(change), _value(change.one), _value(change.other)) for change in section.changes]
        yield from _table(("Setting", "A", "B"), rows, "Settings that differ")
    elif isinstance(section, comparing.Calibrated):
        yield from _calibrated(section)
    elif isinstance(section, comparing.Result):
        yield from _result(section)
        yield from _figures(section, found, read)


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


def _path(change: settings.Change) -> Child:
    path = element("code", clean(change.path))
    return element("div", path, element("small", f"differs in {clean(change.note)}")) if change.note else path


def _value(value: Any) -> Child:
    """A value as it is, text without quotes where it looks like no other value."""
    if value is settings.ABSENT:
        return "–"
    plain = type(value) is str and len(value) <= TEXT and _PLAIN.fullmatch(value) and value not in ("null", "true", "false")
    return element("code", clean(value) if plain else " ".join(to_text(value).split()))


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
    change = "" if None in medians else _percent(Change((), *medians).relative)
    most = ", ".join(f"{place(each.qubits, letter)} {_percent(each.relative)}".strip() for each in drift.changes[:_MOVED])
    apart = [f"{len(places):,} {word}" for word, places in (("appeared", drift.appeared), ("vanished", drift.vanished)) if places]
    shown = ["–" if number is None else scales.si(number, clean(drift.unit)) for number in medians]
    return clean(drift.name), *shown, change, f"{len(drift.changes):,}", "; ".join(filter(None, (most, *apart)))


def _percent(relative: float) -> str:
    if not math.isfinite(relative):
        return "from 0"
    return f"{100 * relative:+.3g} %" if abs(relative) < _TIMES else f"× {relative + 1:.3g}"


def _result(section: comparing.Result) -> Iterable[Child]:
    rows, notes = [], []
    for circuit in section.circuits:
        for name, test in circuit.tests.items():
            rows.append((str(circuit.index), clean(name), WORDS[test.verdict], _number(test.p), _number(test.distance)))
            if test.verdict == INCONCLUSIVE or (test.reason and test.verdict != EQUAL):
                notes.append(f"Circuit {circuit.index}, {clean(name)}: {clean(test.reason)}")
        if circuit.reason:
            notes.append(f"Circuit {circuit.index}: {clean(circuit.reason)}")
    yield from _table(("Circuit", "What", "Verdict", "p", "Distance"), rows, "Results of each circuit", right=(0, 3, 4))
    yield from (remark(note) for note in notes[:_ROWS])


def _figures(section: comparing.Result, found: comparing.Diff, read: Reader) -> Iterable[Child]:
    """Both results of the circuits that differ most, side by side. Raises Damaged."""
    if section.verdict is None or not section.circuits:
        return
    names = tuple(f"{letter} {job.id[:12]}" for letter, job in (("A", found.one), ("B", found.other)))
    sides = [job.data() for job in (found.one, found.other)]
    both = [circuit for circuit in section.circuits if circuit.index < min(map(len, sides)) and circuit.tests]
    both.sort(key=_weight)
    for circuit in both[:_DRAWN]:
        quantities = [{each.name: each for each in results.quantities(side[circuit.index])} for side in sides]
        for name in list(circuit.tests)[:_QUANTITIES]:
            title = f"Circuit {circuit.index}: {clean(name)}" if len(section.circuits) > 1 else f"A and B: {clean(name)}"
            if None not in (one := quantities[0].get(name), other := quantities[1].get(name)):
                yield read.said(lambda one=one, other=other, title=title: _figure(one, other, title, names))
    if len(both) > _DRAWN:
        yield remark(f"{_DRAWN} of {len(both):,} circuits are drawn, those that differ most first.")


def _weight(circuit: results.Circuit) -> tuple[int, float]:
    """Circuits in an order: the worst verdict first, then the least p."""
    least = min((test.p for test in circuit.tests.values() if test.p is not None), default=1.0)
    return -VERDICTS.index(circuit.verdict), least


def _figure(one: results.Quantity, other: results.Quantity, title: str, names: tuple[str, str]) -> Child:
    if one.kind == other.kind == results.COUNTS:
        totals = [sum(side.value.values()) or 1 for side in (one, other)]
        states = sorted({*one.value, *other.value}, key=lambda state: (len(state), state))
        shares = [[side.value.get(state, 0) / total for state in states] for side, total in zip((one, other), totals)]
        errors = [[math.sqrt(share * (1 - share) / total) for share in side] for side, total in zip(shares, totals)]
        rows = [Pair(clean(state), a, of_a, b, of_b) for state, a, of_a, b, of_b in
                zip(states, shares[0], errors[0], shares[1], errors[1])]  # fmt: skip
        return pairs(rows, title, names, "share of shots").element()
    values = [side.value if isinstance(side.value, Mapping) else dict(enumerate(side.value)) for side in (one, other)]
    if any(type(number) is complex for side in values for number in side.values()):
        return None
    errors = [dict(enumerate(side.errors or ())) for side in (one, other)]
    places = dict.fromkeys((*values[0], *values[1]))
    none = 0.0 if isinstance(one.value, Mapping) else None  # a state that a map does not have
    rows = [Pair(clean(place), values[0].get(place, none), errors[0].get(place), values[1].get(place, none), errors[1].get(place))
            for place in places]  # fmt: skip
    return pairs(rows, title, names, "value", zero=False).element()


def _number(number: float | None) -> str:
    return "–" if number is None else f"{number:.3g}"


def _table(header: tuple[str, ...], rows: list[tuple[Child, ...]], caption: str, right: Iterable[int] = ()) -> Iterable[Child]:
    if rows:
        yield wide_table(header, rows[:_ROWS], caption, right)
    if len(rows) > _ROWS:
        yield remark(f"{len(rows) - _ROWS:,} more")
