"""What came out of a job: a histogram of each circuit's counts, values with standard errors, other data by kind and size."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..drawing import scales
from ..drawing.elements import Child, element
from ..drawing.figure import folded
from ..drawing.histogram import histogram
from ..job import Job
from ..outcomes import TABLES, is_table, numbers_of
from ..printable import clean, count
from ..text_forms import describe, to_text
from .words import Reader, facts, remark, wide_table

CIRCUITS = 6  # shown of a job
_STATES = 400  # after which no further circuit is shown
_ROWS = 64  # shown of a table of values
_ALL = 200  # circuits of a job whose texts are made at all
_TEXT = 12_000  # characters shown of a circuit
_OPEN = 40  # lines of a circuit that is not folded


def section(job: Job, read: Reader, key: str = "") -> Iterable[Child]:
    """Raises NotFinished, JobFailed, Damaged."""
    if job.error:
        kind, message = (clean(job.error.get(name, "")) for name in ("type", "message"))
        yield element("p", element("strong", kind or "It failed."), " ", message, class_="problem")
    data = job.data()
    if not data:
        yield element("pre", element("code", to_text(job.get(job.outcome["result"]))), tabindex="0")
        return
    names = job.names if len(job.names) == len(data) else ("",) * len(data)
    states = 0
    for place, (name, entry) in enumerate(zip(names, data)):
        if place == CIRCUITS or states > _STATES:
            yield remark(f"{place} of {len(data):,} circuits are shown. qarchive result {job.id[:12]} --circuit N shows any.")
            return
        states += max((len(value) for value in entry.values() if is_table(value)), default=0)
        title = f"Circuit {place}" + (f": {clean(name)}" if name else "") if len(data) > 1 else clean(name) or "Result"
        if len(data) > 1:
            yield read.heading(title)
        yield from _circuit(entry, title, f"{key}{place}")


def _circuit(entry: Mapping[str, Any], title: str, key: str) -> Iterable[Child]:
    if not entry:
        yield remark("There are no data of this circuit.")
    shown: list[Any] = []
    rest: list[tuple[str, Child]] = []
    for name, value in sorted(entry.items(), key=lambda item: item[0] not in TABLES):
        if is_table(value) and not any(value == other for other in shown):
            shown.append(value)
            yield histogram(value, title if name in TABLES else f"{title}, {clean(name)}", key=f"{key}{len(shown)}").element()
        elif not is_table(value):
            rest.append((name, value))
    values = dict(rest)
    if (table := _values(values, title)) is not None:
        yield table
        rest = [item for item in rest if item[0] not in ("evs", "stds")]
    yield facts([(clean(name), describe(value)) for name, value in rest]) if rest else None


def _values(entry: Mapping[str, Any], title: str) -> Child:
    """Expectation values beside their standard errors; None for what is none."""
    means, errors = (numbers_of(entry.get(name)) for name in ("evs", "stds"))
    if means is None:
        return None
    known = errors if errors is not None and len(errors) == len(means) else [None] * len(means)
    rows = [(str(i), scales.si(mean, digits=6), "" if error is None else scales.si(error, digits=3))
            for i, (mean, error) in enumerate(zip(means[:_ROWS], known))]  # fmt: skip
    more = f", the first {_ROWS} of {len(means):,}" if len(means) > _ROWS else ""
    return wide_table(("Place", "Value", "Standard error"), rows, f"{title}: expectation values{more}", right=(0, 1, 2))


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
