"""Jobs in a table, and a page about several of them."""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from ..archive import Archive
from ..drawing.elements import Child, element
from ..drawing.figure import scrolled, table
from ..index import Row
from ..job import Job
from ..printable import clean, count
from . import drifts, jobs
from .page import Links, document
from .words import Reader, code, link, linked, moment, remark, status

JOBS = 20  # of a page that have a section of their own
_HEADER = ("Names, group, tags", "Job", "Status", "Created (UTC)", "Backend", "Shots", "Circuits")
_RIGHT = (5, 6)


def rows_table(rows: Iterable[Row], links: Links, label: str, first: tuple[str, list[Child]] | None = None) -> Element:
    """Jobs as a table, with `first` (its header, a cell a row) before the other columns."""
    cells: list[Sequence[Child]] = [_cells(row, links) for row in rows]
    if first is None:
        made = table(_HEADER, cells, right=_RIGHT)
    else:
        header, column = first
        joined = [(cell, *row) for cell, row in zip(column, cells, strict=True)]
        made = table((header, *_HEADER), joined, right=[place + 1 for place in _RIGHT])
    made.set("class", "jobs")
    return scrolled(made, label)


def _cells(row: Row, links: Links) -> Sequence[Child]:
    names = list(dict.fromkeys(filter(None, row.names)))
    more = ", …" if names and row.size > len(row.names) else ""
    labels = [link(f"[{clean(row.group)}]", links.jobs(group=row.group))] if row.group else []
    labels += [link(f"#{clean(tag)}", links.jobs(tag=tag)) for tag in row.tags]
    spaced = [part for label in labels for part in (" ", label)]
    address = links.job(row.id)
    name = link(clean(", ".join(names)) + more, address) if names else None
    backend = link(clean(f"{row.provider}:{row.backend}"), links.jobs(provider=row.provider, backend=row.backend))
    return (element("span", name, element("small", *spaced) if labels else None, class_="names"),
            linked(code(row.id[:12]), address), status(row.status), moment(row.created, seconds=False),
            element("span", backend, class_="backend"), "–" if row.shots is None else f"{row.shots:,}",
            f"{row.size:,}")  # fmt: skip


def report(archive: Archive, chosen: Sequence[Job], title: str | None = None) -> tuple[str, Reader]:
    """A page about jobs as HTML, and what could not be read on the way: about one job, or an overview and a section each.

    `title` is a group's name, or what else they have in common. Of many jobs the first 20 have a section.
    """
    read = Reader()
    if len(chosen) == 1:
        [job] = chosen
        links = Links()
        sections = jobs.sections(archive, job, read, links)
        return document(jobs.title(job), [jobs.head(job, links), jobs.contents(sections), *sections]), read
    shown = chosen[:JOBS]
    links = Links(frozenset(job.id for job in shown))
    heading = clean(title) if title else f"{len(chosen):,} jobs"
    first, last = min(job.row.created for job in chosen), max(job.row.created for job in chosen)
    lead = [f"{count(len(chosen), 'job')}, ", moment(first, seconds=False), " to ", moment(last, seconds=False), " UTC"]
    body: list[Child] = [element("header", element("h1", heading), element("p", *lead, class_="subtitle")),
                         read.section("Jobs", "jobs", lambda: [rows_table((job.row for job in chosen), links, "Jobs")]),
                         read.section("Drift", "drift", lambda: drifts.section(chosen, read))]  # fmt: skip
    if len(shown) < len(chosen):
        body.append(remark(f"The first {len(shown)} of {len(chosen):,} jobs follow."))
    inner = Reader(read.level + 1)
    inner.problems = read.problems
    for job in shown:
        body.append(element("article", jobs.head(job, links, read.level), *jobs.sections(archive, job, inner, links),
                            aria_labelledby=f"job-{job.id[:12]}"))  # fmt: skip
    return document(heading, body), read
