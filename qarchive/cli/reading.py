"""Commands about jobs and blobs: show, result, input, cat. None needs an SDK, but for an SDK's own formats."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from .. import codec, readable
from ..calibration import Calibration
from ..chronicle import told
from ..errors import BadInput, MissingExtra, NotFinished, QArchiveError
from ..job import Job
from ..json_forms import JSON_FORMS, to_json
from ..labels import Note
from ..printable import clean, clean_lines
from ..text_forms import to_text
from ..values import Timestamp, moment
from . import output, results
from .naming import Place, place_of
from .shell import complete_job, json_option, opened

_BLOBS = 12  # shown of a job
# The packages that are shown of an environment, by provider; --json lists all.
_QISKIT = ("qiskit", "qiskit-aer", "qiskit-ibm-runtime")
_SDKS = {
    "perceval": ("perceval-quandela", "exqalibur"),
    "pulser": ("pulser-core", "pulser-simulation", "qutip"),
    "pasqal": ("pasqal-cloud", "pulser-core"),
}

job_argument = click.argument("reference", metavar="JOB", shell_complete=complete_job)


class Moment(click.ParamType):
    """A time: ISO text, UTC unless it says otherwise, or so long ago (90m, 24h, 7d, 2w)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return moment(value)
        except ValueError:
            return self.fail(f"{value!r} is no time; give one such as 2026-11-21, 2026-11-21T08:00 (UTC) or 7d", param, ctx)


class Status(click.Choice):
    """One of our statuses, in capitals or not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(value.upper(), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list:
        return super().shell_complete(ctx, param, incomplete.upper())


@click.command()
@job_argument
@json_option("show")
@click.pass_obj
def show(where: str | None, reference: str, as_json: bool) -> None:
    """Show everything about a job.

    The digests shown are those that `qarchive cat` takes. With --json they are whole, and nothing is left out.

    \b
    Example: qarchive show latest
    """
    with opened(where) as archive:
        job = archive.job(reference)
        problems: list[QArchiveError] = []
        read = _Reader(problems)
        (_show_json if as_json else _show_text)(job, read, read(lambda: place_of(archive, job)))
        if problems:
            raise problems[0]  # what can be read was shown; what cannot be decides the exit code


@click.command()
@job_argument
@click.option("--circuit", type=click.IntRange(min=0), metavar="N", help="Only circuit N, counted from 0.")
@click.option(
    "--all", "everything", is_flag=True, help="All states of all circuits, not only the 20 most frequent of 10 circuits."
)
@json_option("result")
@click.pass_obj
def result(where: str | None, reference: str, circuit: int | None, everything: bool, as_json: bool) -> None:
    """Print what came out of a job.

    Counts for each circuit, and what else there is by its kind and size; --json prints all of it. Exit code 9 where the job
    has not finished or has failed.

    \b
    Example: qarchive result latest
    """
    with opened(where) as archive:
        job = archive.job(reference)
        if as_json:
            output.document("result", job=job.id, status=job.status, error=job.error, circuits=results.as_json(job, circuit),
                            value=to_json(job.get(job.outcome["result"])))  # fmt: skip
        else:
            results.show(job, circuit, everything)
        results.judge(job)


@click.command("input")
@job_argument
@click.option("--circuit", type=click.IntRange(min=0), metavar="N", help="Only circuit N, counted from 0.")
@click.option(
    "--format", "form", type=click.Choice(("qasm", "qpy")), default="qasm", show_default=True, help="OpenQASM 3 or QPY."
)
@click.option(
    "-o", "--output", "target", type=click.Path(dir_okay=False), metavar="FILE", help="Write to FILE instead of stdout."
)
@json_option("input")
@click.pass_obj
def input_(where: str | None, reference: str, circuit: int | None, form: str, target: str | None, as_json: bool) -> None:
    """Print what went into a job, as OpenQASM 3.

    Several circuits are several programs, each after a comment with its number and name. --json also gives metadata and
    parameter binds. QPY is exact, but only Qiskit can read it.

    \b
    Example: qarchive input latest --format qpy -o circuits.qpy
    """
    with opened(where) as archive:
        job = archive.job(reference)
        places = results.chosen(circuit, job.row.size)
        if as_json:
            value = to_json(job.get(job.record["input"]))
            output.document("input", job=job.id, circuits=_programs_json(job, places), value=value)
        elif form == "qpy":
            from ..providers.qiskit import files

            if target is None and output.on_terminal():
                raise BadInput("--format qpy", "is binary", "name a file with -o, or send it to a pipe")
            content = files.qpy_bytes(job.input, places)
            _put(content, target)
        else:
            programs, names = job.text(), _names(job)
            titles = [f"// circuit {place}: {clean(names[place])}\n" if len(places) > 1 else "" for place in places]
            text = "\n".join(f"{title}{programs[place].rstrip()}\n" for title, place in zip(titles, places))
            if target is None:
                click.echo(clean_lines(text), nl=False)
            else:
                _put(text.encode(), target)


@click.command(epilog=f"JSON: {JSON_FORMS}")
@click.argument("digest")
@click.option("--raw", is_flag=True, help="The blob's canonical msgpack bytes, whose SHA-256 is the digest.")
@click.option("--full", is_flag=True, help="Long lists, arrays and texts in full.")
@json_option("cat")
@click.pass_obj
def cat(where: str | None, digest: str, raw: bool, full: bool, as_json: bool) -> None:
    """Print a blob in a form that people can read.

    DIGEST is the blob's digest, or a prefix of it of 4 digits or more. The form is like JSON, with long parts shortened.

    \b
    Example: qarchive cat 3f9a1c2d4e5f
    """
    with opened(where) as archive:
        data = archive.blob(digest)
        if raw:
            if output.on_terminal():
                raise BadInput("--raw", "is binary", "send it to a file or a pipe")
            _put(data, None)
        elif as_json:
            output.document("cat", digest=codec.digest(data).hex(), value=to_json(codec.decode(data)))
        else:
            output.write(to_text(codec.decode(data), full))


def _put(content: bytes, target: str | None) -> None:
    if target is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    else:
        with open(target, "wb") as file:
            file.write(content)


def row_text(row: Any, when: Callable[[Timestamp], str] = output.minute) -> tuple[str, ...]:
    """The cells of a job in the table of `list`."""
    names = ", ".join(row.names) + (", ..." if row.names and row.size > len(row.names) else "")
    shots = "-" if row.shots is None else str(row.shots)
    labels = [names, f"[{row.group}]" if row.group else "", *(f'#"{tag}"' if " " in tag else f"#{tag}" for tag in row.tags)]
    return (row.id[:12], when(row.created), clean(row.status), clean(f"{row.provider}:{row.backend}"),
            shots, str(row.size), clean(" ".join(filter(None, labels))))  # fmt: skip


def row_json(row: Any) -> dict[str, Any]:
    """The fields of a job as listings print them: qarchive/job/1."""
    return {name: getattr(row, name) for name in row.__slots__} | {"created": str(row.created), "error": row.error or None}


class _Reader:
    """Reads parts of a job; what cannot be read is None, and its error is kept."""

    def __init__(self, problems: list[QArchiveError]):
        self.problems = problems

    def __call__(self, part: Callable[[], Any]) -> Any:
        try:
            return part()
        except NotFinished:
            return None
        except QArchiveError as error:
            self.problems.append(error)
            return None


def _show_json(job: Job, read: _Reader, place: Place | None) -> None:
    record = job.folded.record or {}
    environment = read(lambda: job.environment)
    blobs = [{"kind": kind, "digest": digest, "bytes": size} for kind, digest, size in read(lambda: job.blobs) or ()]
    output.document("show", **row_json(job.row) | {
        "names": list(record.get("names", ())), "labels": to_json(record.get("labels", {})), "gaps": job.gaps,
        "place": place and asdict(place), "origin": job.origin,
        "config": to_json(read(lambda: job.config)), "environment": to_json(environment),
        "backend_snapshot": to_json(read(lambda: job.backend_snapshot)),
        "calibrations": [_calibration_json(found) for found in read(lambda: job.calibrations) or ()],
        "parent": str(record["parent"]) if "parent" in record else None, "code": to_json(read(lambda: job.code)),
        "notes": [asdict(note) | {"created": str(note.created)} for note in job.notes],
        "usage": to_json(job.usage), "error": to_json(job.error), "seal": read(lambda: job.seal), "blobs": blobs,
        "history": to_json(job.history)})  # fmt: skip


def _calibration_json(found: Calibration) -> dict[str, Any]:
    moments = {"measured_at": found.measured_at, "captured_at": found.captured_at}
    return {"phase": found.phase, "digest": found.digest} | {
        name: moment and moment.isoformat() for name, moment in moments.items()
    }


def _show_text(job: Job, read: _Reader, place: Place | None) -> None:
    row, folded = job.row, job.folded
    record = folded.record or {}
    labels, attempt = record.get("labels", {}), folded.current
    started = attempt.record["created"] if attempt and attempt.record else None
    ended = job.outcome["created"] if job.outcome else None
    took = f" ({_duration(started, ended)})" if started and ended else ""
    names = list(record.get("names", ()))
    origin = job.origin
    shown = ", ".join(names[:5]) + (f", ... {len(names) - 5:,} more" if len(names) > 5 else "")
    params = ", ".join(f"{name} = {to_text(value)}" for name, value in labels.get("params", {}).items())
    changed = read(lambda: readable.changed(job.backend_snapshot, job.get)) or ()
    output.pairs([
        ("job", job.id),
        ("status", output.paint_status(clean(job.status))),
        ("created", output.second(row.created)),
        ("ended", output.second(ended) + took if ended else ""),
        ("backend", clean(f"{row.provider}:{row.backend} ({row.kind})")),
        ("set to", ", ".join(f"{name} = {text}" for name, text in changed)),
        ("provider job", clean(job.provider_job or "")),
        ("origin", "" if origin is None else f"archive {origin}" if origin else "another archive"),
        ("circuits", f"{row.size}" + (f": {clean(shown)}" if shown else "")),
        ("shots", "" if row.shots is None else f"{row.shots:,}"),
        ("group", clean(labels.get("group", ""))),
        ("place", str(place or "")),
        ("tags", clean(", ".join(job.tags))),
        ("params", clean(params)),
        ("parent", f"job {parent}" if (parent := record.get("parent")) else ""),
        ("attempts", str(len(folded.attempts)) if len(folded.attempts) > 1 else ""),
        ("code", _code(read(lambda: job.code) or {})),
        ("usage", to_text(job.usage) if job.usage else ""),
        ("seal", read(lambda: job.seal) or ""),
    ])  # fmt: skip
    if job.error:
        _section("error")
        output.write(f"  {clean(job.error.get('type', ''))}: {clean(job.error.get('message', ''))}")
    config = read(lambda: job.config) or {}
    options = config.get("options", config)
    if options:
        _section("options")
        output.pairs([(clean(name), to_text(value, indent="  ")) for name, value in options.items()], indent="  ")
    if environment := read(lambda: job.environment):
        packages = environment.get("packages", {})
        _section("environment")
        system = f"{environment.get('python')} on {environment.get('system')} {environment.get('machine')}"
        found = [(name, clean(packages[name])) for name in (*_SDKS.get(job.provider, _QISKIT), "numpy", "scipy")
                 if name in packages]  # fmt: skip
        output.pairs([("python", clean(system)), *found], indent="  ")
    if calibrations := read(lambda: job.calibrations):
        _section("calibrations")
        rows = [(found.phase, found.digest[:12], _moment("measured", found.measured_at), _moment("captured", found.captured_at))
                for found in calibrations]  # fmt: skip
        output.Table(("", "", "", ""), indent="  ").write(rows)
    if job.gaps:
        _section("gaps")
        output.pairs([(clean(gap["what"]), clean(gap["reason"])) for gap in job.gaps], indent="  ")
    if notes := job.notes:
        _section("notes")
        output.pairs([(output.minute(note.created), _note(note)) for note in notes], indent="  ")
    _section("history")
    rows = [(entry["digest"][:12], output.second(entry["created"]) if "created" in entry else "-", entry["type"],
             told(entry)[1] if entry["type"] == "annotation" else
             entry.get("name" if entry["type"] in ("event", "attachment") else "status", ""))
            for entry in job.history]  # fmt: skip
    output.Table(("", "", "", ""), indent="  ").write([tuple(map(clean, row)) for row in rows])
    blobs = read(lambda: job.blobs) or []
    if blobs:
        _section("blobs")
        rows = [(digest[:12], clean(kind), output.size(size)) for kind, digest, size in blobs[:_BLOBS]]
        output.Table(("", "", ""), right=(2,), indent="  ").write(rows)
        if len(blobs) > _BLOBS:
            output.write(f"  {len(blobs) - _BLOBS:,} more; --json lists all")


def _note(note: Note) -> str:
    said = " ".join(filter(None, (clean(note.author), "(another archive)" if note.foreign else "")))
    return (f"{said}: " if said else "") + clean(note.text)


def _code(code: Mapping[str, Any]) -> str:
    """What sent a job: the commit, whether tracked files were altered, the script."""
    commit, script = code.get("commit"), code.get("script")
    said = [f"commit {str(commit)[:12]}" + (", with tracked files altered" if code.get("dirty") else "") if commit else "",
            f"script {script.get('name')} {script['sha256'].hex()[:12]}" if script else ""]  # fmt: skip
    return clean("; ".join(filter(None, said)))


def _moment(what: str, moment: datetime | None) -> str:
    return f"{what} {output.second(Timestamp.of(moment))}" if moment else ""


def _section(name: str) -> None:
    output.write(f"\n{output.heading(name)}")


def _duration(start: Timestamp, end: Timestamp) -> str:
    seconds = max(end.ns - start.ns, 0) / 1e9
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _programs_json(job: Job, places: range) -> list[dict[str, Any]]:
    """Programs as OpenQASM 3, null where only the SDK could write them."""
    try:
        programs = job.text()
    except MissingExtra as error:
        output.note(f"warning: {error}")
        programs = [None] * job.row.size
    names = _names(job)
    return [{"index": place, "name": names[place], "openqasm": programs[place]} for place in places]


def _names(job: Job) -> list[str]:
    """A name for every circuit, empty where none is known."""
    return list(job.names) + [""] * (job.row.size - len(job.names))
