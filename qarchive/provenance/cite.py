"""How jobs are cited: as text, as BibTeX, as CITATION.cff. Nothing in a citation is made up; what is not known is left out."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..errors import BadInput
from ..version import __version__
from . import moments
from .subject import Attribution, Subject, devices

_DEVICES = 3  # named in a citation
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {c: f"\\{c}" for c in "{}$&#%_"}


@dataclass(frozen=True)
class Citation:
    """What every style of citation says. `first` and `last` are the days of the first and the last job, in UTC."""

    title: str
    by: Attribution
    devices: list[str]
    first: datetime
    last: datetime
    jobs: int
    statuses: dict[str, int]  # how many of them ended so
    left_out: int  # jobs of the group that were not sent, or of which nobody saw the end
    seal: str  # 64 hexadecimal digits
    archive: str
    reference: str  # what `qarchive verify` takes

    @property
    def days(self) -> str:
        first, last = f"{self.first:%Y-%m-%d}", f"{self.last:%Y-%m-%d}"
        return f"{first} UTC" if first == last else f"{first} to {last} UTC"

    @property
    def what(self) -> str:
        """`2 jobs on aer:aer_simulator, 2026-11-21 UTC`."""
        shown = ", ".join(self.devices[:_DEVICES])
        more = len(self.devices) - _DEVICES
        apart = [f"{number} {status}" for status, number in sorted(self.statuses.items()) if set(self.statuses) != {"DONE"}]
        apart += [f"{self.left_out} more without an outcome"] if self.left_out else []
        told = f" ({', '.join(apart)})" if apart else ""
        number = "1 job" if self.jobs == 1 else f"{self.jobs} jobs"
        return f"{number}{told} on {shown}{f' and {more} more devices' if more > 0 else ''}, {self.days}"

    @property
    def check(self) -> str:
        return f"qarchive verify {self.reference}"


def of(subject: Subject, by: Attribution, title: str | None = None) -> Citation:
    """What is cited of a job or a group. Raises NotFinished, Damaged."""
    jobs, seal = subject.ended, subject.seal.hex()
    times = [each for job in jobs for when in (moments.of(job),) for each in (when.created, when.ended) if each]
    if title is None:
        names = ", ".join(dict.fromkeys(jobs[0].names[:_DEVICES]))
        title = subject.group or f"{names or f'Quantum job {subject.id[:12]}'} on {jobs[0].backend}"
    return Citation(_line(title), by, [_line(device) for device in devices(jobs)], min(times), max(times), len(jobs),
                    dict(Counter(job.status for job in jobs)), len(subject.jobs) - len(jobs), seal, subject.archive,
                    subject.id if subject.group else subject.id[:12])  # fmt: skip


def text(found: Citation) -> str:
    """One paragraph."""
    authors = f"{'; '.join(found.by.authors)}. " if found.by.authors else ""
    licence = f" Licence: {found.by.licence}." if found.by.licence else ""
    return (f"{authors}{found.title.rstrip('.')}. {found.what}.{licence} Seal (SHA-256) {found.seal}, archive {found.archive}; "
            f"check with `{found.check}` (qarchive {__version__}).\n")  # fmt: skip


def bibtex(found: Citation) -> str:
    """A `@misc` entry. Its key is made of the seal."""
    authors = " and ".join(map(_author, found.by.authors))
    check = rf"\texttt{{{_tex(found.check)}}} (qarchive {__version__})"
    note = f"{_tex(found.what)}. Seal (SHA-256) {found.seal}, archive {found.archive}; check with {check}"
    if found.by.orcid:
        note += f". ORCID of the first author: {found.by.orcid}"
    if found.by.licence:
        note += f". Licence: {_tex(found.by.licence)}"
    fields = {"author": authors, "title": f"{{{_tex(found.title)}}}", "year": f"{found.last:%Y}", "month": str(found.last.month),
              "howpublished": f"qarchive archive {found.archive}", "note": note}  # fmt: skip
    lines = [f"  {name:<12} = {{{value}}},\n" for name, value in fields.items() if value]
    return f"@misc{{qarchive-{found.seal[:16]},\n{''.join(lines)}}}\n"


def cff(found: Citation) -> str:
    """A CITATION.cff, version 1.2.0. Its scalars are JSON strings, which are YAML. Raises BadInput without an author."""
    if not found.by.authors:
        raise BadInput("a CITATION.cff", "must name an author", 'set one: `qarchive config set author "Family, Given"`')
    lines = ["cff-version: 1.2.0", "message: " + _quoted("If you use these data, please cite them as below."), "type: dataset",
             "title: " + _quoted(found.title), "abstract: " + _quoted(f"{found.what}. Check with `{found.check}`, qarchive "
             f"{__version__}."), "authors:"]  # fmt: skip
    for place, author in enumerate(found.by.authors):
        family, comma, given = (part.strip() for part in author.partition(","))
        if comma and family and given:
            lines += [f"  - family-names: {_quoted(family)}", f"    given-names: {_quoted(given)}"]
        else:
            lines.append(f"  - name: {_quoted(author)}")
        if place == 0 and found.by.orcid:
            lines.append(f"    orcid: {_quoted('https://orcid.org/' + found.by.orcid)}")
    lines.append("identifiers:")
    for value, what in ((f"qarchive:seal:sha256:{found.seal}", "The seal: SHA-256 over the jobs and all that they refer to"),
                        (f"qarchive:archive:{found.archive}", "The archive in which they are")):  # fmt: skip
        lines += ["  - type: other", f"    value: {_quoted(value)}", f"    description: {_quoted(what)}"]
    if found.by.licence:
        lines.append(f"license: {_quoted(found.by.licence)}")
    lines += ["keywords:", *(f"  - {_quoted(word)}" for word in ("quantum computing", *found.devices[:_DEVICES]))]
    return "\n".join(lines) + "\n"


STYLES: dict[str, Callable[[Citation], str]] = {"bibtex": bibtex, "cff": cff, "text": text}


def styled(found: Citation, style: str) -> str:
    """Raises BadInput for a style that there is not."""
    if style not in STYLES:
        raise BadInput(f"the style {style!r}", "does not exist", f"it is one of {', '.join(STYLES)}")
    return STYLES[style](found)


def _line(text: str) -> str:
    """Text on one line: what a terminal or TeX would obey is a space, or nothing."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text)


def _author(name: str) -> str:
    """A name as BibTeX reads it: one without a comma is kept whole, since nobody said which part is the family's."""
    name = _tex(_line(name))
    return name if "," in name else f"{{{name}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
