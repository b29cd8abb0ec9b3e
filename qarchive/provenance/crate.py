"""Jobs as an RO-Crate of the profile Process Run Crate 0.5: a folder or a zip file that says what ran, in files that people and
other programs read without qarchive. All names in it are made here, and none of the machine's paths is among them.
"""

import json
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from .. import disk, redact, trees
from ..errors import BadInput, QArchiveError
from ..job import Job
from ..json_forms import to_json
from ..values import Link
from ..version import __version__
from . import moments
from .subject import Attribution

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_NO_LICENCE = "No licence is stated."
_PACKAGES = {"aer": "qiskit-aer", "qiskit": "qiskit", "ibm": "qiskit-ibm-runtime", "perceval": "perceval-quandela",
             "pulser": "pulser-simulation", "pasqal": "pasqal-cloud"}  # fmt: skip
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of files in a zip, so that equal crates are equal files


class Sink(Protocol):
    """Where a crate is written to, file by file."""

    def put(self, name: str, content: bytes) -> None: ...

    def copy(self, name: str, source: Path) -> None: ...


def write(path: Path, crate: "Crate") -> None:
    """Write a crate as a zip file where the path ends with `.zip`, else as a folder; it is there whole or not at all.

    Raises BadInput where the path is taken, CannotWrite, and what reading the jobs does.
    """
    zipped = path.suffix == ".zip"
    if path.exists() and (zipped or not path.is_dir() or any(path.iterdir())):
        raise BadInput(str(path), "is there already", "name a new folder or .zip file")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _Zip(part) if zipped else _Folder(part) as sink:
            crate.write(sink)
        os.replace(part, path)
    except OSError as error:
        raise disk.cannot_write(path, error) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


class Crate:
    """What is to be written of jobs that have ended. `bundle` is a file with the jobs as qarchive keeps them, or None."""

    def __init__(self, title: str, jobs: tuple[Job, ...], by: Attribution, bundle: Path | None = None):
        self.title, self.jobs, self.by, self.bundle = title, jobs, by, bundle

    def write(self, sink: Sink) -> None:
        """Write all files and, last, what says what they are. Raises NotFinished, Damaged."""
        files: list[dict[str, Any]] = []
        entities: dict[str, dict[str, Any]] = {}
        actions: list[dict[str, Any]] = []
        people = self._people()
        for job in self.jobs:
            folder = f"jobs/{job.id[:16]}"
            made = {}
            for name, what, content in _files(job):
                sink.put(f"{folder}/{name}", content)
                form = "application/json" if name.endswith(".json") else "text/plain"
                made[name] = _file(f"{folder}/{name}", f"{what} of job {job.id[:12]}", form, len(content))
            device = _device(job)
            software = _software(job)
            entities |= {device["@id"]: device, software["@id"]: software}
            for name in ("device.json", *(name for name in made if name.startswith("calibration-"))):
                if name in made:
                    made[name]["about"] = _ref(device)
            files += made.values()
            actions.append(_action(job, made, software, people))
        if self.bundle is not None:
            name = f"jobs{self.bundle.suffix or '.pack'}"
            sink.copy(name, self.bundle)
            files.append(_file(name, "All of it, as qarchive keeps it", "application/octet-stream", self.bundle.stat().st_size))
        sink.put(METADATA, _json(self._metadata(files, [*entities.values()], actions, people), safe=True))

    def _people(self) -> list[dict[str, Any]]:
        found = []
        for place, name in enumerate(self.by.authors):
            known = place == 0 and self.by.orcid
            found.append({"@id": f"https://orcid.org/{self.by.orcid}" if known else f"#author-{place + 1}", "@type": "Person",
                          "name": name})  # fmt: skip
        return found

    def _metadata(self, files: list[dict], entities: list[dict], actions: list[dict], people: list[dict]) -> dict[str, Any]:
        licence = {"@id": f"https://spdx.org/licenses/{self.by.licence}", "@type": "CreativeWork", "name": self.by.licence}
        number = "1 quantum job" if len(self.jobs) == 1 else f"{len(self.jobs)} quantum jobs"
        root: dict[str, Any] = {
            "@id": "./", "@type": "Dataset", "name": self.title,
            "description": f"{number}: input, configuration, device, environment and result, from qarchive {__version__}.",
            "datePublished": f"{datetime.now(UTC):%Y-%m-%d}", "conformsTo": {"@id": PROFILE},
            "license": _ref(licence) if self.by.licence else _NO_LICENCE,
            "hasPart": [_ref(file) for file in files], "mentions": [_ref(action) for action in actions]}  # fmt: skip
        if people:
            root["author"] = [_ref(person) for person in people]
        descriptor = {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"},
                      "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}}  # fmt: skip
        profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
        graph = [descriptor, root, profile, *([licence] if self.by.licence else []), *people, *entities, *actions, *files]
        return {"@context": CONTEXT, "@graph": graph}


def package(job: Job) -> tuple[str, str | None]:
    """The package of the SDK that sent a job, and its version, or None where nobody recorded it."""
    name = _PACKAGES.get(job.provider, job.provider)
    return name, (job.environment or {}).get("packages", {}).get(name)


def _files(job: Job) -> Iterator[tuple[str, str, bytes]]:
    """(name, what it is, content) of each file of a job."""
    yield _input(job)
    yield "config.json", "The configuration", _json(_plain(job.config))
    if snapshot := job.backend_snapshot:
        yield "device.json", "The device as it was found", _json(_plain(_whole(job, snapshot)))
    for place, found in enumerate(job.calibrations):
        told = {"phase": found.phase, "digest": found.digest, "measured_at": found.measured_at, "captured_at": found.captured_at}
        told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}
        name = f"calibration-{place + 1}-{re.sub('[^a-z]', '', found.phase)}.json"
        yield name, f"A calibration (phase {found.phase})", _json({**told, "value": _plain(_whole(job, found.value))})
    if environment := job.environment:
        yield "environment.json", "The software", _json(_plain(environment))
    if code := job.code:
        yield "code.json", "The state of the code", _json(_plain(code | _script(code)))
    outcome = job.outcome
    result: dict[str, Any] = {"job": job.id, "status": job.status, "error": _plain(job.error), "usage": _plain(job.usage)}
    if outcome and "result" in outcome:
        circuits = job.data()
        result |= {"circuits": _plain(circuits)} if circuits else {"value": _plain(job.get(outcome["result"]))}
    yield "result.json", "The result", _json(result)


def _input(job: Job) -> tuple[str, str, bytes]:
    """The input as text for people; as JSON where its provider cannot tell it so without an SDK."""
    try:
        programs = job.text()
    except QArchiveError:
        programs = []
    if not programs:
        return "input.json", "The input", _json(_plain(job.get(job.record["input"])))
    name = "input.qasm" if all(program.lstrip().startswith("OPENQASM") for program in programs) else "input.txt"
    titles = [f"// circuit {place}\n" if len(programs) > 1 else "" for place in range(len(programs))]
    text = "\n".join(f"{title}{program.rstrip()}\n" for title, program in zip(titles, programs, strict=True))
    return name, "The input", redact.text(text).encode("utf-8", "backslashreplace")


def _whole(job: Job, value: dict[str, Any]) -> dict[str, Any]:
    """A snapshot with its template and columns put together."""
    if type(value.get("template")) is not Link or type(value.get("columns")) is not dict:
        return value
    rest = {name: item for name, item in value.items() if name not in ("template", "columns")}
    return {**rest, "value": trees.join(job.get(value["template"]), value["columns"])}


def _script(code: dict[str, Any]) -> dict[str, Any]:
    """The script with its hash as people write it."""
    script = code.get("script", {})
    return {"script": {**script, "sha256": script["sha256"].hex()}} if type(script.get("sha256")) is bytes else {}


def _device(job: Job) -> dict[str, Any]:
    name = f"{job.provider}:{job.backend}"
    simulated = job.kind in ("simulator", "local")
    return {"@id": f"#device-{_quoted(name)}", "@type": "SoftwareApplication" if simulated else "IndividualProduct", "name": name,
            "description": f"What the jobs ran on, of the kind {job.kind}"}  # fmt: skip


def _software(job: Job) -> dict[str, Any]:
    """The SDK that ran a job, with its version where that was recorded."""
    name, version = package(job)
    found = {"@id": f"#software-{_quoted(name)}" + (f"-{_quoted(version)}" if version else ""), "@type": "SoftwareApplication",
             "name": name}  # fmt: skip
    if job.provider in _PACKAGES:
        found["url"] = f"https://pypi.org/project/{name}/"
    return found | ({"softwareVersion": version} if version else {})


def _action(job: Job, files: dict[str, dict], software: dict[str, Any], people: list[dict]) -> dict[str, Any]:
    when = moments.of(job)
    done = job.status in ("DONE", "PARTIAL")
    results = [file for name, file in files.items() if name == "result.json"]
    action: dict[str, Any] = {
        "@id": f"#job-{job.id}", "@type": "CreateAction", "name": f"Job {job.id[:12]} on {job.provider}:{job.backend}",
        "identifier": [f"qarchive:job:{job.id}", f"qarchive:seal:sha256:{job.seal}"],
        "instrument": _ref(software), "location": f"{job.provider}:{job.backend} ({job.kind})",
        "object": [_ref(file) for file in files.values() if file not in results], "result": [_ref(file) for file in results],
        "actionStatus": f"http://schema.org/{'Completed' if done else 'Failed'}ActionStatus"}  # fmt: skip
    for name, moment in (("startTime", when.started), ("endTime", when.ended)):
        if moment is not None:
            action[name] = moment.isoformat()
    if people:
        action["agent"] = _ref(people[0])
    if job.error and not done:
        action["error"] = redact.text(str(job.error.get("message", "")))
    return action


def _file(name: str, what: str, form: str, size: int) -> dict[str, Any]:
    return {"@id": name, "@type": "File", "name": what, "encodingFormat": form, "contentSize": str(size)}


def _ref(entity: dict[str, Any]) -> dict[str, str]:
    return {"@id": entity["@id"]}


def _quoted(name: str) -> str:
    """A name as a part of an `@id`."""
    return quote(name, safe="")


def _plain(value: Any) -> Any:
    """A plain value as JSON can hold it, without credentials: what was taken in from elsewhere may hold some."""
    return to_json(redact.tree(value))


def _json(value: Any, safe: bool = False) -> bytes:
    """JSON in ASCII; with `safe` without `<` and `>`, so that it may stand in a page."""
    text = json.dumps(value, indent=1 if safe else None, allow_nan=False)
    if safe:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return text.encode() + b"\n"


class _Folder:
    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "_Folder":
        self.path.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def put(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def copy(self, name: str, source: Path) -> None:
        shutil.copyfile(source, self.path / name)


class _Zip:
    def __init__(self, path: Path):
        self.file = zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED)

    def __enter__(self) -> "_Zip":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def put(self, name: str, content: bytes) -> None:
        self.file.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)

    def copy(self, name: str, source: Path) -> None:
        with open(source, "rb") as file, self.file.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as target:
            shutil.copyfileobj(file, target)


class Nowhere:
    """A sink that keeps nothing: whether a crate can be made."""

    def put(self, name: str, content: bytes) -> None: ...

    def copy(self, name: str, source: Path) -> None: ...
