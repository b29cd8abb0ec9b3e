"""What came out of a job: of each circuit, and of many circuits side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..drawing.elements import Child, element, to_html
from ..drawing.figure import folded
from ..drawing.multiples import PANELS, multiples
from ..job import Job
from ..outcomes import TABLES, Points, Table, is_table
from ..printable import clean, count
from ..sweeps import number, over_circuits, shares
from ..text_forms import to_text
from . import outcomes
from .words import Reader, remark, wide_table

CIRCUITS = 6  # shown of a job, one by one
_SHOWN = 300_000  # characters of what is shown of circuits, after which no further one is
_ALL = 200  # circuits of a job whose texts are made at all
_TEXT = 12_000  # characters shown of a circuit
_OPEN = 40  # lines of a circuit that is not folded
_ROWS = 200  # of a table of circuits


@dataclass(frozen=True)
class Circuit:
    """What came out of one circuit: of all sets of values that it was bound to, where they are results of their own."""

    name: str
    entry: Mapping[str, Any]
    points: Points | None

    @property
    def table(self) -> Table | None:
        """Its counts or probabilities, where it has one set of them."""
        return next((self.entry[name] for name in TABLES if is_table(self.entry.get(name))), None)


def section(job: Job, read: Reader, key: str = "") -> Iterable[Child]:
    """Raises NotFinished, JobFailed, Damaged."""
    if job.error:
        kind, message = (clean(job.error.get(name, "")) for name in ("type", "message"))
        yield element("p", element("strong", kind or "It failed."), " ", message, class_="problem")
    data = job.data()
    if not data:
        yield element("pre", element("code", to_text(job.get(job.outcome["result"]))), tabindex="0")
        return
    found = circuits(data, read(job.points) or [], job.names)
    order = read(lambda: job.order) or ""
    if len(found) == 1:
        yield from outcomes.circuit(found[0].entry, found[0].points, found[0].name, order, key)
        return
    tables = [each.table for each in found]
    if all(tables):
        yield _side_by_side(found, tables, order, key)
        found = [Circuit(each.name, {name: item for name, item in each.entry.items() if not is_table(item)}, each.points)
                 for each in found]  # fmt: skip
        if (numbers := _numbers(found)) is not None:
            yield numbers
        return
    yield from _one_by_one(job, read, found, order, key)


def circuits(data: Sequence[Mapping[str, Any]], points: Sequence[Points], names: Sequence[str]) -> list[Circuit]:
    """The circuits of a job with what came out of them; results that differ in values bound to one circuit are one."""
    if len(points) != len(data):
        names = names if len(names) == len(data) else [""] * len(data)
        return [Circuit(clean(name), entry, None) for name, entry in zip(names, data)]
    found = []
    for circuit, group in groupby(range(len(data)), lambda place: points[place].circuit):
        places = list(group)
        name = clean(names[circuit]) if circuit < len(names) else ""
        bound = [points[place] for place in places]
        together = len(places) > 1 and not any(each.shape for each in bound)
        tables = [next((data[place][each] for each in TABLES if is_table(data[place].get(each))), None) for place in places]
        if together and all(tables):
            alike = {each for each, item in data[places[0]].items() if type(item) in (int, float)}
            numbers = {each: [data[place].get(each) for place in places] for each in sorted(alike)}
            found.append(Circuit(name, {"counts": tables, **numbers}, Points.together(bound)))
        else:
            found += [Circuit(name, data[place], points[place]) for place in places]
    return found


def _side_by_side(found: Sequence[Circuit], tables: Sequence[Table], order: str, key: str) -> Child:
    """The counts of several circuits: small histograms, or of too many for that the share of each state."""
    names = _names(found)
    title = f"Results of {len(found):,} circuits"
    if len(found) <= PANELS:
        return multiples(list(zip(names, tables)), title, order=order, key=key).element()
    sweep = shares(tables, over_circuits([each.name for each in found]))
    return outcomes.swept(sweep, title, key, f"{order[:1].upper()}{order[1:]}." if order else None)


def _names(found: Sequence[Circuit]) -> list[str]:
    """The name of each circuit, with the values that it was bound to; with its place where names do not tell them apart."""
    unlike = len({each.name for each in found}) == len(found) and all(each.name for each in found)
    names = []
    for place, each in enumerate(found):
        bound = each.points.parameters if each.points else {}
        values = [f"{clean(name)} = {number(values[0], 4)}" for name, values in list(bound.items())[:3] if values]
        name = each.name if unlike else f"{place} {each.name}".rstrip()
        names.append(", ".join([name, *values]))
    return names


def _numbers(found: Sequence[Circuit]) -> Child:
    """The single numbers that came out beside the counts, circuit by circuit; None where there are none."""
    names = dict.fromkeys(name for each in found for name, item in each.entry.items() if type(item) in (int, float))
    if not names:
        return None
    rows = [(named, *(number(each.entry[name]) if name in each.entry else "-" for name in names))
            for named, each in zip(_names(found), found[:_ROWS])]  # fmt: skip
    more = f", the first {_ROWS} of {len(found):,}" if len(found) > _ROWS else ""
    return wide_table(
        ("circuit", *map(clean, names)), rows, f"Other numbers of each circuit{more}", right=range(1, len(names) + 1)
    )


def _one_by_one(job: Job, read: Reader, found: Sequence[Circuit], order: str, key: str) -> Iterable[Child]:
    size = 0
    for place, each in enumerate(found):
        if place == CIRCUITS or size > _SHOWN:
            yield remark(f"{place} of {len(found):,} circuits are shown. qarchive result {job.id[:12]} --circuit N shows any.")
            return
        title = f"Circuit {place}" + (f": {each.name}" if each.name else "")
        yield read.heading(title)
        for child in outcomes.circuit(each.entry, each.points, title, order, f"{key}{place}-"):
            size += 0 if child is None or isinstance(child, str) else len(to_html(child))
            yield child


def programs(job: Job, read: Reader) -> Iterable[Child]:
    """The circuits that went in, as text. Raises Damaged, MissingExtra."""
    number = job.record.get("size", 1)
    if number > _ALL:
        yield remark(f"{count(number, 'circuit')} are too many for a page. qarchive input {job.id[:12]} --circuit N prints any.")
        return
    texts = job.text()
    names = list(job.names) + [""] * (len(texts) - len(job.names))
    for place, text in enumerate(texts[:CIRCUITS]):
        lines, shown = text.count("\n") + 1, text[:_TEXT]
        name = f"Circuit {place}" + (f": {clean(names[place])}" if names[place] else "")
        pre = element("pre", element("code", shown), tabindex="0")
        cut = remark(f"The first {_TEXT:,} characters. qarchive input {job.id[:12]} prints all.") if len(text) > _TEXT else None
        summary = element("summary", f"{name} ", element("small", count(lines, "line")))
        yield folded(summary, pre, cut, lines=lines, unfold=len(texts) == 1 and lines <= _OPEN)
    if len(texts) > CIRCUITS:
        yield remark(f"{CIRCUITS} of {len(texts):,} circuits are shown. qarchive input {job.id[:12]} --circuit N prints any.")
