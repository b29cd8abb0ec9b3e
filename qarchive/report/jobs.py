"""The page of a job: what went in, how it ran, where, and what came out; and how anybody can check that it is so."""

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from ..archive import Archive
from ..drawing.elements import Child, element
from ..drawing.timeline import timeline
from ..job import Job
from ..printable import clean, clean_lines, count, size
from ..provenance import moments
from ..text_forms import to_text
from . import devices, results
from .page import Links, anchor
from .words import Reader, code, commands, commas, facts, link, linked, moment, remark, status, told, wide_table

_NAMES = 5  # shown of a job's circuits
_BLOBS = 200
_PACKAGES = ("qiskit", "qiskit-aer", "qiskit-ibm-runtime", "perceval-quandela", "exqalibur", "pulser", "pulser-core",
             "pulser-simulation", "pasqal-cloud", "qutip", "numpy", "scipy")  # fmt: skip


def title(job: Job) -> str:
    """What a job is called: its circuits' names, else its id."""
    names = dict.fromkeys(filter(None, job.row.names))
    return clean(", ".join(list(names)[:3]) + (", …" if len(names) > 3 else "")) or f"Job {job.id[:12]}"


def head(job: Job, links: Links, level: int = 1) -> Element:
    """Its name, and in one line what matters most."""
    row = job.row
    what = element(f"h{level}", title(job), id=anchor(job.id) if level > 1 else None)
    where = link(clean(f"{row.provider}:{row.backend}"), links.jobs(provider=row.provider, backend=row.backend))
    parts = (status(row.status), " ", where, f" ({clean(row.kind)}), ", moment(row.created), " UTC")
    line = element("p", *parts, class_="subtitle")
    return element("header", what, line)


def sections(archive: Archive, job: Job, read: Reader, links: Links) -> list[Element]:
    """All that the archive says of a job, under headings; parts of which it says nothing are left out."""
    key = job.id[:12]
    parts = (
        ("Identity", "identity", lambda: _identity(archive, job, read, links)),
        ("Result", "result", lambda: results.section(job, read, key)),
        ("Timeline", "timeline", lambda: _timeline(job, key)),
        ("Input", "input", lambda: results.programs(job, read)),
        ("Device", "device", lambda: devices.section(job, read, links, key)),
        ("Configuration", "configuration", lambda: _configuration(job)),
        ("Environment and code", "environment", lambda: _environment(job)),
        ("Gaps", "gaps", lambda: _gaps(job)),
        ("Notes", "notes", lambda: _notes(job)),
        ("History", "history", lambda: _history(job)),
        ("Blobs", "blobs", lambda: _blobs(job)),
    )
    found = (read.section(name, f"{name_id}-{key}", part) for name, name_id, part in parts)
    return [section for section in found if section is not None]


def contents(of: Iterable[Element]) -> Element:
    """Links to sections."""
    items = [element("li", element("a", section[0].text, href=f"#{section[0].get('id')}")) for section in of]
    return element("nav", element("ul", *items), aria_label="On this page", class_="contents")


# Sections


def _identity(archive: Archive, job: Job, read: Reader, links: Links) -> list[Child]:
    record, row = job.folded.record or {}, job.row
    labels, parent, origin = record.get("labels", {}), record.get("parent"), job.origin
    names = list(record.get("names", ()))
    shown = ", ".join(filter(None, names[:_NAMES])) + (f", and {len(names) - _NAMES:,} more" if len(names) > _NAMES else "")
    params = [f"{clean(name)} = {to_text(value)}" for name, value in labels.get("params", {}).items()]
    facts_of = facts([
        ("id", code(job.id)),
        ("seal", read.said(lambda: code(job.seal))),
        ("status", status(job.status)),
        ("provider job", clean(job.provider_job or "")),
        ("origin", "" if origin is None else clean(f"archive {origin}") if origin else "another archive"),
        ("circuits", f"{row.size:,}" + (f": {clean(shown)}" if shown else "")),
        ("shots", "" if row.shots is None else f"{row.shots:,}"),
        ("group", read.said(lambda: _group(archive, job, links))),
        ("tags", commas(link(clean(tag), links.jobs(tag=tag)) for tag in row.tags)),
        ("parameters", ", ".join(params)),
        ("parent", linked(code(str(parent)[:12]), links.job(str(parent))) if parent else None),
        ("attempts", str(len(job.folded.attempts)) if len(job.folded.attempts) > 1 else ""),
        ("usage", told(job.usage) if job.usage else ""),
    ])  # fmt: skip
    return [facts_of, *_verification(job)]


def _group(archive: Archive, job: Job, links: Links) -> Child:
    """The group that it stands in, and where that leads; without one, its label."""
    member = job.record.get("member")
    group = next((group for group in archive.groups() if member is not None and group.id == str(member["group"])), None)
    label = clean(job.labels.get("group", ""))
    if group is None:
        return link(label, links.jobs(group=label) if label else None)
    return link(clean(group.name), links.group(group.id))


def _verification(job: Job) -> list[Child]:
    """How to check it with nothing but the archive, or a bundle of it."""
    short = job.id[:12]
    told = ("The seal is the SHA-256 digest over the job's input, configuration, device, calibration, environment and result. "
            "Whoever has the archive, or a bundle of the job, makes it again from the data, offline:")  # fmt: skip
    lines = (f"qarchive verify {short}", f"qarchive export {short} -o job.qar", f"qarchive --archive job.qar verify {short}")
    return [element("details", element("summary", "How to verify it"), element("p", told), commands(*lines), open="")]


def _timeline(job: Job, key: str) -> Iterable[Child]:
    when = moments.of(job)
    spans = []
    if when.submitted and when.started and when.submitted != when.started:
        spans.append(("queued", when.submitted, when.started))
    if when.started:
        spans.append(("run", when.started, when.ended))
    ticks = [("created", when.created)] if when.created else []
    if when.submitted and not spans:
        ticks.append(("submitted", when.submitted))
    if when.ended and not when.started:
        ticks.append(("ended", when.ended))
    for found in job.calibrations:
        of = "" if len(job.calibrations) == 1 else f", {clean(found.phase)}"
        moments_of = (("device measured", found.measured_at), ("calibration read", found.captured_at))
        ticks += [(what + of, at) for what, at in moments_of if at]
    ticks += [(clean(str(entry["name"])), entry["created"].datetime) for entry in job.history
              if entry["type"] == "event" and "name" in entry and "created" in entry]  # fmt: skip
    if spans or len(ticks) > 1:
        yield timeline(spans, ticks, "What happened when", key).element()
    missing = [(clean(name), clean(why)) for name, why in when.missing.items()]
    if missing:
        yield facts([(name, f"not known: {why}") for name, why in missing])


def _configuration(job: Job) -> Iterable[Child]:
    config = job.config
    options = config.get("options", config)
    if type(options) is dict and options:
        yield facts([(clean(str(name)), element("code", told(value))) for name, value in options.items()])
    rest = {name: value for name, value in config.items() if name != "options"} if options is not config else {}
    if rest:
        yield facts([(clean(str(name)), element("code", told(value))) for name, value in rest.items()])


def _environment(job: Job) -> Iterable[Child]:
    environment, known = job.environment or {}, job.code or {}
    packages = environment.get("packages", {})
    system = " ".join(filter(None, (str(environment.get(name, "")) for name in ("system", "machine"))))
    commit, script = known.get("commit"), known.get("script")
    said = [
        ("Python", clean(environment.get("python", ""))),
        ("system", clean(system)),
        *((name, clean(packages[name])) for name in _PACKAGES if name in packages),
        ("commit", [code(str(commit)), " with tracked files altered" if known.get("dirty") else ""] if commit else None),
        ("script", [clean(script.get("name", "")), " ", code(script["sha256"].hex())] if script else None),
    ]
    if any(value for _, value in said):
        yield facts(said)
    others = {name: version for name, version in packages.items() if name not in _PACKAGES}
    if others:
        listed = ", ".join(f"{clean(name)} {clean(version)}" for name, version in others.items())
        yield element(
            "details", element("summary", f"{count(len(others), 'other package')}"), element("p", listed, class_="packages")
        )


def _gaps(job: Job) -> Iterable[Child]:
    if job.gaps:
        yield element("p", "What is not in the archive, and why.")
        yield facts([(clean(gap["what"]), clean(gap["reason"])) for gap in job.gaps])


def _notes(job: Job) -> Iterable[Child]:
    for note in job.notes:
        by = f"{clean(note.author)}, " if note.author else ""
        foreign = ", from another archive" if note.foreign else ""
        said = element("p", clean_lines(note.text), class_="note")
        yield element("blockquote", said, element("p", by, moment(note.created), foreign, class_="remark"))


def _history(job: Job) -> Iterable[Child]:
    rows = [(moment(entry.get("created")), clean(entry["type"]), _told(entry), code(entry["digest"][:12]))
            for entry in job.history]  # fmt: skip
    yield wide_table(("When", "Record", "What", "Digest"), rows, "Records about the job")


def _told(entry: Mapping[str, Any]) -> str:
    return clean(entry.get("name" if entry["type"] in ("event", "attachment") else "status", ""))


def _blobs(job: Job) -> Iterable[Child]:
    blobs = job.blobs
    rows = [(clean(kind), size(length), code(digest)) for kind, digest, length in blobs[:_BLOBS]]
    told = f"{count(len(blobs), 'blob')}, {size(sum(length for *_, length in blobs))}"
    table = wide_table(("Kind", "Size", "SHA-256"), rows, "What the job refers to", right=(1,))
    yield element("details", element("summary", told), table)
    if len(blobs) > _BLOBS:
        yield remark(f"{len(blobs) - _BLOBS:,} more: qarchive show {job.id[:12]} --json")
