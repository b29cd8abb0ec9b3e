"""What notebooks show of jobs, lists, groups, calibrations and archives: HTML that fits light pages and dark ones.

No script, no style sheet, nothing that is fetched; names stay text. What cannot be read is said where it would stand.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from .drawing import calibrated, scales
from .drawing.curves import curves
from .drawing.dots import dots
from .drawing.elements import Child, element, to_html
from .drawing.histogram import histogram
from .errors import QArchiveError
from .rows import Row
from .sweeps import Column, Sweep
from .text_forms import to_text

SHOWN = 20  # jobs of a list
_GAPS = 5
_BARS = 16

# Colours of drawings follow those of the page around them.
_LOOK = (
    "--ink: currentColor; --muted: currentColor; --paper: transparent; --grid: rgba(128, 128, 128, 0.4); --accent: #3a8fc4; "
    "max-width: 60rem; overflow-x: auto"
)
_CELL = "vertical-align: top; padding: 0.15em 1em 0.15em 0; text-align: "
_LEFT, _RIGHT = f"{_CELL}left", f"{_CELL}right; white-space: nowrap"
_TABLE = "color: inherit; font-size: inherit"  # where a page says no doctype, tables have a colour and a size of their own

# Parts of jobs, groups and calibrations that are read one by one, since each may fail.
Part = Callable[[], Child]


def job(found: Any, outcome: tuple[str, Any] | None) -> str:
    """A job as a card; `outcome` is what came out of its first circuit (`sweeps.drawn`), if it is to be shown."""
    parts: list[tuple[str, Part]] = [
        ("backend", lambda: f"{found.provider}:{found.backend} ({found.kind})"),
        ("status", lambda: found.status),
        ("error", lambda: ": ".join(filter(None, (found.error or {}).values()))),
        ("created", lambda: _moment(found.created)),
        ("shots", lambda: "" if found.shots is None else f"{found.shots:,}"),
        ("circuits", lambda: ": ".join(filter(None, (f"{found.row.size:,}", _names(found.row))))),
        ("group", lambda: found.row.group),
        ("tags", lambda: ", ".join(found.row.tags)),
        ("params", lambda: ", ".join(f"{name} = {to_text(value)}" for name, value in found.labels.get("params", {}).items())),
        ("provider job", lambda: found.provider_job),
        ("gaps", lambda: _gaps(found.gaps)),
    ]
    drawn = None
    if outcome is not None:
        name, what = outcome
        usual = "Counts" if type(what) is dict else "Results"
        title = name.capitalize() or usual if found.row.size == 1 else f"Circuit 0 of {found.row.size:,}"
        drawn = element("figure", element("figcaption", title), _drawing(what, title, found.id),
                        style="max-width: 36rem; margin: 0.5rem 0")  # fmt: skip
    return _whole("job", element("code", found.id[:12]), _facts(parts), drawn)


def _drawing(what: Any, title: str, key: str) -> Element:
    """Counts, or numbers over what was varied, or by name."""
    if isinstance(what, Sweep):
        return curves(what.series, title, what.over.name, what.y, element("table"), joined=what.over.joined, within=what.within,
                      key=key).drawing  # fmt: skip
    if isinstance(what, Column):
        return dots(what.values, title, "expectation value", element("table"), key=key).drawing
    return histogram(what, title, _BARS, key).drawing


def jobs(found: Sequence[Row], where: object) -> str:
    """A list of jobs, of which one more than are shown may be given."""
    what = f"jobs of {where}" if found else f"no jobs of {where}"
    more = element("p", f"The first {SHOWN} are shown; there are more.") if len(found) > SHOWN else None
    return _whole(what, None, _jobs(found[:SHOWN]) if found else None, more)


def archive(path: object, id: str, number: int, found: Sequence[Row]) -> str:
    """An archive: where it is, how many jobs it has, and the newest of them."""
    parts: list[tuple[str, Part]] = [("path", lambda: str(path)), ("id", lambda: element("code", id)),
                                     ("jobs", lambda: f"{number:,}")]  # fmt: skip
    newest = _jobs(found[:SHOWN], f"The newest {SHOWN}" if len(found) > SHOWN else None) if found else None
    return _whole("archive", None, _facts(parts), newest)


def group(name: str, id: str, tally: Iterable[tuple[str, int, int]]) -> str:
    """A group: how many of its jobs, and of their circuits, have which status."""
    rows = list(tally)
    total = sum(jobs for _, jobs, _ in rows)
    lines = [
        (status, f"{jobs:,}", f"{circuits:,}", element("progress", value=jobs, max=total, aria_label=f"{jobs} of {total} jobs"))
        for status, jobs, circuits in rows
    ]
    lines.append(("all", f"{total:,}", f"{sum(circuits for _, _, circuits in rows):,}", None))
    return _whole(f"group {name}", element("code", id[:12]), _table(("status", "jobs", "circuits", ""), lines, right=(1, 2)))


def calibration(found: Any) -> str:
    """A calibration: each figure with its median, where it is best, and where it is worst."""
    parts: list[tuple[str, Part]] = [
        ("device", lambda: found.device),
        ("phase", lambda: found.phase),
        ("measured", lambda: found.measured_at and _moment(found.measured_at)),
        ("asked for", lambda: found.captured_at and _moment(found.captured_at)),
    ]
    return _whole("calibration", element("code", found.digest[:12]), _facts(parts), _said(lambda: _figures(found)))


def _figures(found: Any) -> Element:
    rows = calibrated.rows(found.figures, found.letter)
    return _table([name.lower() for name in calibrated.HEADER], rows, right=calibrated.RIGHT)


def _jobs(rows: Iterable[Row], caption: str | None = None) -> Element:
    lines = [
        (element("code", row.id[:12]), _moment(row.created.datetime), row.status, f"{row.provider}:{row.backend}",
         "" if row.shots is None else f"{row.shots:,}", f"{row.size:,}", _labels(row))
        for row in rows
    ]  # fmt: skip
    return _table(("id", "created", "status", "backend", "shots", "circuits", "names, [group], #tags"), lines, (4, 5), caption)


def _names(row: Row) -> str:
    """The names of the first circuits."""
    return ", ".join(row.names) + (", ..." if row.names and row.size > len(row.names) else "")


def _labels(row: Row) -> str:
    return " ".join(filter(None, (_names(row), row.group and f"[{row.group}]", *(f"#{tag}" for tag in row.tags))))


def _gaps(found: Sequence[Mapping[str, str]]) -> Child:
    if not found:
        return None
    lines = [element("li", f"{gap['what']}: {gap['reason']}") for gap in found[:_GAPS]]
    lines += [element("li", f"and {len(found) - _GAPS:,} more")] if len(found) > _GAPS else []
    return element("ul", *lines, style="margin: 0; padding-left: 1.2em")


def _moment(when: Any) -> Element:
    return element("span", f"{scales.stamp(when)[:19]} UTC", style="white-space: nowrap")


def _said(part: Part) -> Child:
    """What a part is, or why it cannot be read."""
    try:
        return part()
    except (QArchiveError, OSError) as error:
        return element("em", f"This cannot be read. {error}")


def _facts(parts: Iterable[tuple[str, Part]]) -> Element:
    """Names and what is so called, without those of which there is nothing."""
    found = [(name, value) for name, part in parts if (value := _said(part)) is not None and value != ""]
    rows = [
        element("tr", element("th", name, scope="row", style=_LEFT), element("td", value, style=_LEFT)) for name, value in found
    ]
    return element("table", element("tbody", *rows), style=_TABLE)


def _table(header: Sequence[str], rows: Iterable[Sequence[Child]], right: Iterable[int], caption: str | None = None) -> Element:
    """A table in which each cell says where its text stands: notebooks put all of it to the right."""
    numbers = set(right)

    def line(tag: str, cells: Sequence[Child], **attributes: str) -> Element:
        made = (element(tag, cell, style=_RIGHT if i in numbers else _LEFT, **attributes) for i, cell in enumerate(cells))
        return element("tr", *made)

    parts = [element("thead", line("th", header, scope="col")), element("tbody", *(line("td", row) for row in rows))]
    return element("table", element("caption", caption) if caption else None, *parts, style=_TABLE)


def _whole(what: str, id: Child, *children: Child) -> str:
    return to_html(
        element("div", element("p", element("strong", what), " " if id is not None else None, id), *children, style=_LOOK)
    )
