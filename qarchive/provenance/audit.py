"""The audit of a job: which of the sixteen things that make an execution reproducible its record carries, and why not the others.

They come from the ACM's badges for artifacts, Nature Portfolio's policy on data, Mauerer and Scherzinger's "1-2-3
Reproducibility", Moguel et al. (arXiv 2405.04192), and Dasgupta and Humble on the stability of devices.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import QArchiveError
from ..job import Job
from ..values import Typed
from . import moments
from .crate import Crate, Nowhere, package
from .subject import Attribution

PRESENT, PARTLY, MISSING = "present", "partly", "missing"
_LAYOUTS = ("qiskit", "aer", "ibm")  # providers whose circuits were transpiled before they were given to us
_VERSIONS = ("backend_version", "version", "specs", "template", "options", "packages", "device")  # of a snapshot that says which


@dataclass(frozen=True)
class Item:
    """One of the sixteen. `why` says what is there, or what is missing and for which reason."""

    number: int
    what: str
    state: str  # PRESENT, PARTLY or MISSING
    why: str


Found = tuple[str, str]  # state, why


def audit(job: Job, by: Attribution) -> list[Item]:
    """The sixteen items of a job, in order. `by` is who is named where it is handed on. What cannot be read is missing."""
    items = []
    for number, (what, look) in enumerate(_ITEMS.items(), 1):
        try:
            state, why = look(job, by)
        except QArchiveError as error:
            state, why = MISSING, str(error)
        items.append(Item(number, what, state, why))
    return items


def _circuits(job: Job, _: Attribution) -> Found:
    held = job.get(job.record["input"])
    lost = _gaps(job, "input")
    if type(held) is dict and held.get("type") == "missing":
        return MISSING, lost or "it could not be captured"
    if lost:
        return PARTLY, lost
    try:
        text = bool(job.text())
    except QArchiveError as error:
        return PARTLY, f"its text needs the SDK: {error}"
    if job.kind == "qpu" and job.provider in _LAYOUTS and "logical" not in job.attachments:
        return PARTLY, 'the executed circuit; the logical one is kept by `job.attach("logical", circuit)`'
    return (PRESENT, "in the SDK's own form and as text") if text else (PARTLY, "in the SDK's own form; it has no text")


def _software(job: Job, _: Attribution) -> Found:
    found = job.environment
    if not found:
        return MISSING, _gaps(job, "environment") or _unsent(job) or "the job was captured later, and nobody knows what sent it"
    known = {name: found.get(name) for name in ("python", "system", "machine", "packages")}
    if lacking := [name for name, value in known.items() if not value]:
        return PARTLY, f"it does not say: {', '.join(lacking)}"
    return PRESENT, f"Python {known['python']} on {known['system']} {known['machine']}, {len(known['packages'])} packages"


def _device(job: Job, _: Attribution) -> Found:
    name = f"{job.provider}:{job.backend} ({job.kind})"
    snapshot = job.backend_snapshot
    if snapshot is None:
        return PARTLY, f"{name}; {_gaps(job, 'backend') or _unsent(job) or 'no snapshot of it'}"
    version = next((snapshot[field] for field in ("backend_version", "version") if type(snapshot.get(field)) is str), None)
    if version:
        return PRESENT, f"{name}, version {version}"
    software, number = package(job)
    if number and job.folded.current.record["status"] == "RUNNING":  # it ran here: the software is the device
        return PRESENT, f"{name}, of {software} {number}"
    known = any(field in snapshot for field in _VERSIONS)
    return (PRESENT, f"{name}, with a snapshot") if known else (PARTLY, f"{name}; nobody told its version")


def _ids(job: Job, _: Attribution) -> Found:
    current = job.folded.current
    sent = [record for _, record in current.later if record["type"] == "sent"] if current else []
    names = {"batch": "batch", "session": "session"}
    beside = [f"{word} {record[name]}" for record in sent for name, word in names.items() if name in record]
    if job.provider_job:
        return PRESENT, ", ".join([f"job {job.provider_job}", *dict.fromkeys(beside)])
    if current and current.record and current.record["status"] == "RUNNING":
        return PRESENT, "it ran here, and this SDK gives no ids"
    if job.status == "REFUSED":
        return PRESENT, "it was refused, and so got none"
    return MISSING, _unsent(job) or "no answer to its sending was seen; `qarchive recover` looks for it"


def _times(job: Job, _: Attribution) -> Found:
    when = moments.of(job)
    known = ", ".join(name for name, moment in when if moment is not None)
    if not when.missing:
        return PRESENT, known
    return PARTLY, "; ".join([known, *(f"{name}: {reason}" for name, reason in when.missing.items())])


def _calibration(job: Job, _: Attribution) -> Found:
    found = job.calibrations
    if found:
        dated = [each for each in found if each.measured_at is not None]
        told = ", ".join(f"{each.phase} {each.digest[:12]}" for each in found)
        at = [each for each in found if each.phase in ("submit", "run")]
        if dated and at:
            return PRESENT, told
        return PARTLY, f"{told}; {'none says when it was measured' if not dated else 'none is of its sending or running'}"
    if job.kind in ("simulator", "local", "mock"):
        return PRESENT, "it was simulated; there was nothing to calibrate"
    return MISSING, _gaps(job, "calibration") or _unsent(job) or "its device told none"


def _options(job: Job, _: Attribution) -> Found:
    if lost := _gaps(job, "config"):
        return PARTLY, lost
    seeds = sorted({name for name, value in _named(job.config) if "seed" in name.lower() and value is not None})
    shots = "shots as the SDK's default, or by circuit" if job.shots is None else _counted(job.shots, "shot")
    if job.kind in ("simulator", "local") and not seeds:
        return PARTLY, f"{shots}, all options; no seed was given, so it cannot be repeated bit for bit"
    return PRESENT, ", ".join([shots, "all options", *seeds])


def _results(job: Job, _: Attribution) -> Found:
    outcome = job.outcome
    if outcome is None:
        return MISSING, _unsent(job) or f"it is {job.status}, and has none yet"
    if "result" not in outcome:
        return MISSING, _gaps(job, "result") or (job.error or {}).get("message") or f"it ended as {job.status} without one"
    job.get(outcome["result"])
    lost = _gaps(job, "result")
    return (PARTLY, lost) if lost else (PRESENT, "as the SDK gave it; what is derived from it is attached apart")


def _family(job: Job, _: Attribution) -> Found:
    folded, record = job.folded, job.record
    told = [f"attempt {folded.current.number} of {len(folded.attempts)}" if folded.current else "not sent yet"]
    if "parent" in record:
        told.append(f"repeats {str(record['parent'])[:12]}")
    group = job.labels.get("group")
    told.append(f"in the group {group}" if group else "in no group")
    if "member" in record:
        told.append(f"circuits from {record['member']['first']}")
    return PRESENT, ", ".join(told)


def _code(job: Job, _: Attribution) -> Found:
    found = job.code
    if not found:
        return MISSING, _unsent(job) or "no script and no git repository, or the setting `code` or $QARCHIVE_CODE is off"
    script = found.get("script", {}).get("name")
    told = [f"script {script}"] if script else []
    if commit := found.get("commit"):
        told.append(f"commit {commit[:12]}" + (", altered since" if found.get("dirty") else ""))
    lacking = [name for name, there in (("no git commit", commit), ("no script", script)) if not there]
    lacking += ["whether it was altered is not known"] if commit and "dirty" not in found else []
    lacking += ["what was altered is not kept"] if found.get("dirty") else []
    return PARTLY if lacking else PRESENT, "; ".join([", ".join(told), *lacking])


def _people(_: Job, by: Attribution) -> Found:
    known = {"author": "; ".join(by.authors), "orcid": by.orcid, "licence": by.licence}
    lacking = [name for name, value in known.items() if not value]  # the settings' names
    told = ", ".join(str(value) for value in known.values() if value)
    if not lacking:
        return PRESENT, told
    hint = f"`qarchive config set {lacking[0]} ...` names one"
    return PARTLY if told else MISSING, "; ".join(filter(None, [told, ", ".join(f"no {name}" for name in lacking), hint]))


def _errors(job: Job, _: Attribution) -> Found:
    records = _counted(len(job.history), "record")
    if job.error:
        return PRESENT, f"{job.error['type']}: {job.error['message']}" if job.error["message"] else job.error["type"]
    if job.status == "UNKNOWN":
        return PARTLY, f"{records}; nobody saw how it ended"
    return PRESENT, f"{records}, {job.status}"


def _listed_gaps(job: Job, _: Attribution) -> Found:
    return PRESENT, "; ".join(f"{gap['what']}: {gap['reason']}" for gap in job.gaps) or "none"


def _seal(job: Job, _: Attribution) -> Found:
    return PRESENT, f"{job.seal}, made again from every byte"


def _crate(job: Job, by: Attribution) -> Found:
    Crate("audit", (job,), by).write(Nowhere())
    return PRESENT, "`qarchive export --crate` makes it"


def _replay(job: Job, by: Attribution) -> Found:
    (inputs, why), (results, reason) = _circuits(job, by), _results(job, by)
    if MISSING in (inputs, results):
        return MISSING, why if inputs == MISSING else reason
    return PRESENT, "input and result are here; it needs no network and no credentials"


_ITEMS: Mapping[str, Callable[[Job, Attribution], Found]] = {
    "circuit, logical and executed": _circuits,
    "software versions": _software,
    "provider and device": _device,
    "the provider's ids": _ids,
    "times": _times,
    "calibration": _calibration,
    "shots, seeds, options": _options,
    "raw results": _results,
    "parent, group, attempt": _family,
    "code": _code,
    "author, ORCID, licence": _people,
    "errors and history": _errors,
    "gaps": _listed_gaps,
    "seal": _seal,
    "RO-Crate": _crate,
    "replay": _replay,
}


def _gaps(job: Job, what: str) -> str:
    """The gaps' own reasons for what is missing of one thing."""
    found = [gap for gap in job.gaps if gap["what"] == what or gap["what"].startswith((f"{what}.", f"{what}["))]
    return "; ".join(f"{gap['what']}: {gap['reason']}" for gap in found)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _unsent(job: Job) -> str:
    return "" if job.folded.current else "it was not sent yet"


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (name, value) in a tree of plain values."""
    pending = [value]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            for name, inner in item.items():
                if type(name) is str:
                    yield name, inner
                pending.append(inner)
        elif type(item) in (list, tuple):
            pending.extend(item)
        elif type(item) is Typed:
            pending.append(item.value)
