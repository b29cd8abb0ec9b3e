"""The pages of the server: jobs, a job, two jobs compared, calibrations, groups, devices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element

from .. import model
from ..archive import Archive
from ..comparing import jobs as comparing
from ..drawing.elements import Child, element
from ..errors import Ambiguous, BadInput, NotFound, QArchiveError
from ..groups.reporting import standing
from ..index import Query, Row
from ..printable import clean, count
from ..report import comparison, devices, drifts, overview
from ..report import jobs as reports
from ..report.page import Links, document
from ..report.words import Reader, code, commas, facts, link, linked, moment, problem, remark, status, wide_table
from . import listing
from .listing import FILTERS, Page

_KINDS = ("simulator", "qpu", "local", "mock")
_GROUPS = 100  # of a page
_STRETCHES = 2_000  # jobs of a group of which it is said circuit by circuit how they stand
_NAMES = 200  # of backends that a form suggests
_DEVICES = 50  # of a page


@dataclass(frozen=True)
class Address:
    """Where else an answer is."""

    path: str


class _Live(Links):
    """Where the pages of the server lead."""

    def job(self, job: str) -> str:
        return f"/job/{quote(job, safe='')}"

    def group(self, group: str) -> str:
        return f"/group/{group}"

    def calibration(self, job: str, phase: str) -> str:
        return f"/job/{quote(job, safe='')}/calibration" + (f"?{urlencode({'phase': phase})}" if phase else "")

    def jobs(self, **filters: str) -> str:
        return f"/?{urlencode(filters)}" if filters else "/"


class Site:
    """Pages as HTML, over an archive that is read again for each of them."""

    def __init__(self, archive: Archive):
        self._archive, self._links = archive, _Live()

    # Jobs

    def jobs(self, given: Mapping[str, str]) -> str | Address:
        """The list of jobs; or where to go, if a text means one job. Raises BadInput."""
        filters = {name: value for name in FILTERS if (value := given.get(name, "").strip())}
        text = given.get("q", "").strip()
        if text:
            found = listing.search(self._archive, text, filters)
            if found.exact:
                return Address(self._links.job(found.rows[0].id))
            body = self._found(text, filters, found)
        else:
            query = listing.query_of(self._archive, filters)
            page = listing.page(self._archive, query, given.get("after"), given.get("before"))
            body = self._listed(filters, query, page)
        head = element("header", element("h1", "Jobs"))
        return self._document("Jobs", [head, self._form(filters, text), *body], "/")

    def _listed(self, filters: Mapping[str, str], query: Query, page: Page) -> list[Child]:
        total = listing.counted(self._archive, query, page)
        if not page.rows:
            return [element("p", "No job fits." if filters or page.before else "There is no job in this archive yet.")]
        return [self._paging(filters, page, total), *self._choosing(page.rows), self._paging(filters, page, None)]

    def _found(self, text: str, filters: Mapping[str, str], found: listing.Found) -> list[Child]:
        said = f"{count(len(found.rows), 'job')} found" + (", and there are more." if found.more else ".")
        texts = {"name": f"text {clean(text)} in a circuit's name"}
        alike = [link(texts.get(name, f"{name} {clean(text)}"), self._links.jobs(**filters, **{name: text}))
                 for name in found.filters]  # fmt: skip
        all_of = [element("p", "All jobs with the ", each, ".") for each in alike]
        where = remark("Looked for as an id, a provider's id, a tag, a group, a backend, and a part of a circuit's name.")
        return [element("p", said), *all_of, *(self._choosing(found.rows) if found.rows else ()), where]

    def _choosing(self, rows: Sequence[Row]) -> list[Child]:
        """A table of jobs of which two can be chosen."""
        boxes: list[Child] = [element("input", type="checkbox", name="job", value=row.id, aria_label=f"Choose job {row.id[:12]}")
                              for row in rows]  # fmt: skip
        table = overview.rows_table(rows, self._links, "Jobs", ("Choose", boxes))
        button = element("p", element("button", "Compare two chosen jobs", type="submit"))
        return [element("form", table, button, action="/diff", method="get")]

    def _paging(self, filters: Mapping[str, str], page: Page, total: str | None) -> Element:
        leads = [("Newest", None, None)] if page.before else []
        leads += [("Newer", "before", page.before)] if page.before else []
        leads += [("Older", "after", page.after)] if page.after else []
        made = [link(text, self._links.jobs(**filters, **({} if name is None else {name: place}))) for text, name, place in leads]
        told = element("p", total[0].upper() + total[1:]) if total else None
        name = "Pages" if total else "Pages, again"
        return element("nav", told, *made, aria_label=name, class_="paging")

    def _form(self, filters: Mapping[str, str], text: str) -> Element:
        names = self._backends()[:_NAMES]
        suggestions = element("datalist", *(element("option", value=clean(name)) for name in names), id="backends")
        search = element("label", "Search: an id, a provider's id, a tag, a group, a backend, a circuit's name",
                         element("input", type="search", name="q", value=clean(text)))  # fmt: skip
        fields = [_field("Provider", "provider", filters), _field("Backend, * for any", "backend", filters, list="backends"),
                  _choice("Status", "status", model.STATUSES[::-1], filters), _choice("Kind", "kind", _KINDS, filters),
                  _field("Tag", "tag", filters), _field("Group", "group", filters),
                  _field("In a circuit's name", "name", filters),
                  _field("From (UTC)", "since", filters, type="date"),
                  _field("Before (UTC)", "until", filters, type="date")]  # fmt: skip
        button = element("div", element("button", "Show", type="submit"), " ",
                         element("a", "Clear", href="/") if filters or text else None)  # fmt: skip
        folded = element("details", element("summary", "Filters"), element("div", *fields), class_="filters",
                         open="" if filters else None)  # fmt: skip
        return element("form", element("div", search, button, class_="search"), folded, suggestions, action="/", method="get",
                       role="search", aria_label="Jobs")  # fmt: skip

    # A job, two jobs

    def job(self, reference: str) -> str:
        """Raises NotFound, Ambiguous."""
        job = self._archive.job(reference)
        sections = reports.sections(self._archive, job, Reader(), self._links)
        return self._document(reports.title(job), [reports.head(job, self._links), reports.contents(sections), *sections])

    def calibration(self, reference: str, phase: str | None) -> str:
        """All figures of a calibration of a job. Raises NotFound, Ambiguous, Damaged."""
        job = self._archive.job(reference)
        known = job.calibrations
        found = devices.ran_with(job) if not phase else next((each for each in known if each.phase == phase), None)
        if found is None:
            raise NotFound(f"a calibration{f' of the phase {phase}' if phase else ''}", f"job {job.id[:12]}")
        others = [element("li", link(f"as captured at {clean(each.phase)}", self._links.calibration(job.id, each.phase)))
                  for each in known if each.phase != found.phase]  # fmt: skip
        of_job = element("p", "of job ", linked(code(job.id[:12]), self._links.job(job.id)), class_="subtitle")
        head = element("header", element("h1", f"Calibration of {clean(found.device or job.backend)}"), of_job)
        read = Reader()
        parts = [("Map", lambda: [devices.map_of(job, found, job.id[:12])]), ("Figures", lambda: [devices.summary(found)])]
        tables = read(lambda: list(devices.tables(found))) or []
        parts += [(title, lambda table=table: [table]) for title, table in tables]
        made = [read.section(title, f"part-{place}", part) for place, (title, part) in enumerate(parts)]
        sections = [section for section in made if section is not None]
        body = [devices.about(job, found), element("ul", *others) if others else None, reports.contents(sections), *sections,
                *map(problem, read.problems)]  # fmt: skip
        return self._document(f"Calibration of {clean(found.device or job.backend)}", [head, *body])

    def diff(self, references: Sequence[str]) -> str:
        """Raises BadInput for other than two jobs, NotFound, Ambiguous, Damaged."""
        if len(references) != 2:
            raise BadInput(
                "the comparison", f"is of two jobs, and {len(references)} are chosen", "choose two in the list of jobs"
            )
        one, other = (self._archive.job(reference) for reference in references)
        found = comparing.diff(one, other)
        return self._document("Two jobs compared", comparison.body(found, Reader(), self._links))

    # Groups

    def groups(self, after: str | None) -> str:
        """The groups by name, a page at a time."""
        known = self._archive.groups()
        start = int(after) if after and after.isdecimal() and len(after) < 10 else 0
        rows = []
        for group in known[start : start + _GROUPS]:
            tally = self._archive._store.index.tally(bytes.fromhex(group.id))
            here = "" if group.archive == self._archive.id else f" (from archive {group.archive[:8]})"
            name = element("span", link(clean(group.name), self._links.group(group.id)), here, class_="names")
            rows.append((name, *_tallied(tally), moment(group.created, seconds=False)))
        more = [element("p", link("More", f"/groups?after={start + _GROUPS}"))] if len(known) > start + _GROUPS else []
        table = wide_table(
            ("Group", "Jobs", "Circuits", "State", "Created (UTC)"), rows, f"{count(len(known), 'group')}", right=(1, 2)
        )
        body = [table, *more] if rows else [element("p", "There is no group in this archive.")]
        return self._document("Groups", [element("header", element("h1", "Groups")), *body], "/groups")

    def group(self, id: str, after: str | None) -> str:
        """A group: how it stands, and its jobs in order, a page at a time. Raises NotFound."""
        group = next((group for group in self._archive.groups() if group.id == id), None)
        if group is None:
            raise NotFound(f"the group {id[:12]}", str(self._archive.path))
        index = self._archive._store.index
        key = bytes.fromhex(group.id)
        tally = index.tally(key)
        jobs, circuits, state = _tallied(tally)
        made = None if group.archive == self._archive.id else code(group.archive)
        body: list[Child] = [element("header", element("h1", f"Group {clean(group.name)}")),
                             facts([("id", code(group.id)), ("from archive", made), ("created", moment(group.created)),
                                    ("jobs", jobs), ("circuits", circuits), ("state", state)])]  # fmt: skip
        if sum(number for number, _ in tally.values()) <= _STRETCHES:
            found = standing(group.name, group.id, index.members(key))
            several = len({stretch.backend for stretch in found.stretches}) > 1
            lines = [element("li", clean(stretch.said(several))) for stretch in found.stretches[:_GROUPS]]
            body += [element("h2", "How it stands"), element("ul", *lines)] if lines else []
        start = _member_place(after)
        members = index.members(key, listing.PAGE + 1, start)
        rows = [row for member in members[: listing.PAGE] if (row := index.row(member.id)) is not None]
        if rows:
            body += [element("h2", "Jobs"), *self._choosing(rows)]
        if len(members) > listing.PAGE:
            place = "~".join(map(str, members[listing.PAGE - 1].place[:3])) + "~" + members[listing.PAGE - 1].id.hex()
            body.append(element("p", link("Next jobs", f"{self._links.group(group.id)}?{urlencode({'after': place})}")))
        return self._document(f"Group {clean(group.name)}", body)

    # Devices

    def devices(self, after: str | None) -> str:
        """The backends that jobs ran on, a page at a time, each with what the index knows of its latest jobs."""
        names = self._backends()
        known = [listing.on(self._archive, name) for name in [name for name in names if name > (after or "")][:_DEVICES]]
        rows = [(element("span", link(clean(on.name), f"/device/{quote(on.name, safe='')}"), class_="names"),
                 link(on.counted, self._links.jobs(backend=on.name)), self._when(on.latest),
                 self._when(on.calibrated, calibration=True), clean(on.provider), clean(on.kind)) for on in known]  # fmt: skip
        if not rows:
            body: list[Child] = [element("p", "There is no job in this archive yet.")]
        else:
            header = ("Device", "Jobs", "Last used (UTC)", "Latest calibration (UTC)", "Provider", "Kind")
            last = known[-1].name
            more = [element("p", link("More", f"/devices?{urlencode({'after': last})}"))] if last != names[-1] else []
            body = [wide_table(header, rows, count(len(names), "device"), right=(1,)), *more]
        told = "Every backend that jobs ran on. A calibration is of the time of the job that was sent with it."
        lead = element("p", told, class_="subtitle")
        return self._document("Devices", [element("header", element("h1", "Devices"), lead), *body], "/devices")

    def _when(self, row: Row | None, calibration: bool = False) -> Child:
        """When a job was made, which leads to it, or to its calibration."""
        if row is None:
            return "–"
        address = self._links.calibration(row.id, "") if calibration else self._links.job(row.id)
        return linked(moment(row.created, seconds=False), address)

    def device(self, backend: str) -> str:
        """A device: its jobs, its latest calibration, and how it drifted. Raises NotFound."""
        if backend not in self._backends():
            raise NotFound(f"the device {backend!r}", str(self._archive.path))
        read = Reader()
        on = listing.on(self._archive, backend)
        shown = on.calibrated or on.latest
        lead = element("p", ", ".join(filter(None, (clean(on.provider), clean(on.kind)))), class_="subtitle")
        of_job = ["of the job of ", self._when(on.calibrated)] if on.calibrated else None
        body: list[Child] = [
            element("header", element("h1", clean(backend)), lead),
            facts([("jobs", link(on.counted, self._links.jobs(backend=backend))), ("last used", self._when(on.latest)),
                   ("latest calibration", of_job)]),
        ]  # fmt: skip
        if shown is not None:
            title = "As of its latest calibration" if on.calibrated else "As of its latest job"
            body.append(read.section(title, "latest", lambda: devices.section(self._archive.job(shown.id), read, self._links)))
        if on.calibrated is None:  # all calibrations are not asked for: that takes seconds where there are a million jobs
            whose = f"None of its latest {listing.LATEST} jobs" if on.more else "No job on it"
            body.append(remark(f"{whose} has a calibration."))
        else:
            drift = read.section("Drift", "drift", lambda: drifts.of_device(self._archive, backend, read))
            body.append(remark("Its drift is shown once there are two calibrations.") if drift is None else drift)
        body += map(problem, read.problems)
        return self._document(clean(backend), body)

    # Errors

    def error(self, title: str, told: str) -> str:
        """A page that says what went wrong, and leads back."""
        return self._document(title, [element("header", element("h1", clean(title))), element("p", clean(told)), _back()])

    def refused(self, error: QArchiveError) -> str:
        """The same, with the jobs that a reference may mean."""
        listed: list[Child] = []
        if isinstance(error, Ambiguous):
            items = [element("li", linked(code(id), self._links.job(id))) for id in error.candidates]
            listed = [element("ul", *items)]
        titles = ((NotFound, "Not found"), (Ambiguous, "Which one?"))
        title = next((title for kind, title in titles if isinstance(error, kind)), "It cannot be shown")
        told = str(error).replace("; `qarchive list` shows what there is", "")  # here a link does
        told = clean(f"{told[:1].upper()}{told[1:]}.")
        return self._document(title, [element("header", element("h1", title)), element("p", told), *listed, _back()])

    def _backends(self) -> list[str]:
        return self._archive._store.index.names("backend")

    def _document(self, title: str, body: Iterable[Child], here: str = "") -> str:
        places = (("Jobs", "/"), ("Groups", "/groups"), ("Devices", "/devices"))
        items = [element("li", element("a", name, href=path, aria_current="page" if path == here else None))
                 for name, path in places]  # fmt: skip
        banner = element("header", element("a", "qarchive", href="/", class_="name"),
                         element("nav", element("ul", *items), aria_label="Archive"),
                         element("p", clean(str(self._archive.path)), class_="where"), class_="banner")  # fmt: skip
        return document(title, body, policy=None, banner=banner)


def _back() -> Element:
    items = (("All jobs", "/"), ("Groups", "/groups"), ("Devices", "/devices"))
    return element("p", *commas(element("a", name, href=path) for name, path in items))


def _field(label: str, name: str, filters: Mapping[str, str], **attributes: str) -> Element:
    box = element("input", name=name, value=clean(filters.get(name, "")), **{"type": "text", **attributes})
    return element("label", label, box)


def _choice(label: str, name: str, values: Sequence[str], filters: Mapping[str, str]) -> Element:
    options = [element("option", "any", value="")]
    options += [element("option", value, value=value, selected="" if filters.get(name) == value else None) for value in values]
    return element("label", label, element("select", *options, name=name))


def _tallied(tally: Mapping[str, tuple[int, int]]) -> tuple[str, str, Child]:
    """(jobs, circuits, how many jobs stand how)."""
    ordered = [(word, tally[word][0]) for word in reversed(model.STATUSES) if word in tally]
    parts = commas(element("span", f"{number:,} ", status(word), class_="tally") for word, number in ordered)
    return (f"{sum(number for number, _ in tally.values()):,}", f"{sum(size for _, size in tally.values()):,}",
            element("span", *parts))  # fmt: skip


def _member_place(text: str | None) -> tuple[str, int, int, bytes] | None:
    """Raises BadInput."""
    if text is None:
        return None
    try:
        author, sequence, first, job = text.rsplit("~", 3)
        place = author, int(sequence), int(first), bytes.fromhex(job)
        if max(abs(place[1]), abs(place[2])) < 1 << 63:
            return place
    except ValueError:
        pass
    raise BadInput(f"the place {text!r}", "is none", "begin at the first page")
