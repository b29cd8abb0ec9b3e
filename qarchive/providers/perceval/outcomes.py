"""How jobs of Perceval's end: what its user was given, and what the cloud said of it, <-> blobs and plain values."""

from collections.abc import Mapping
from typing import Any

from ...errors import BadInput
from ...values import Typed
from ..base import Captured, Get, Outcome, Stage
from . import platforms
from .calls import conversion_of
from .local import Run
from .remote import FINAL, Remote, RemoteRun
from .values import counts_of, from_plain, readable, to_plain

RESULTS = "perceval.results"
_NAMES = {"perceval.BSCount": "counts", "perceval.BSDistribution": "probabilities", "perceval.BSSamples": "samples"}
DRAWING = frozenset({"probs_to_samples", "probs_to_sample_count", "sample_count_to_samples"})  # conversions that draw at random
_NOT_VOLATILE = frozenset({"results", "intermediate_results", "msg"})


def put_results(stage: Stage, results: Mapping[str, Any], received: Any = None, unconverted: str | None = None) -> Any:
    """The blob of a dict of results. `received`: what the platform sent, where it was converted for the user since;
    `unconverted`: the conversion that it would have gone through, had its user asked for it."""
    value = {"type": RESULTS, "results": to_plain(results, "result", stage.gap)}
    if received is not None:
        value["received"] = to_plain(received, "result.received", stage.gap)
    if unconverted is not None:
        value["unconverted"] = unconverted
    return stage.put("result", value)


def of_run(stage: Stage, run: Run) -> Outcome:
    """How an execution of a processor or a computer ended."""
    if run.failed is not None:
        word = "CANCELED" if run.cancelled else "ERROR"
        return Outcome("CANCELLED" if run.cancelled else "ERROR", word, error=_error("perceval.error", run.failed))
    if run.unmitigated:
        return _unasked(put_results(stage, run.results, unconverted="mitigations"), "mitigations")
    return Outcome("DONE", "SUCCESS", put_results(stage, run.results))


def of_local_job(stage: Stage, job: Any) -> Outcome:
    """How a LocalJob ended."""
    status = job.status
    word = status.status.name
    results = job._results
    conversion = conversion_of(job)
    link = put_results(stage, results, unconverted=conversion) if isinstance(results, dict) else None
    cancelled = status.canceled or (link is None and job._cancel_requested)  # Perceval calls one that left nothing a success
    if status.failed or cancelled:
        error = _error("perceval.error", status.stop_message or "its user has cancelled it")
        return Outcome("CANCELLED" if cancelled else "ERROR", word, link, error=error)
    return Outcome("DONE", word, link) if conversion is None else _unasked(link, conversion)


def _unasked(link: Any, conversion: str) -> Outcome:
    """What is known of results that Perceval makes when their user asks for them."""
    message = f"nobody has asked for its results yet, to which {conversion} will be applied; they are kept as they were computed"
    return Outcome("PARTIAL", "SUCCESS", link, error=_error("perceval.unconverted", message))


def of_remote(stage: Stage, remote: Remote, run: RemoteRun, asks: platforms.Platforms) -> Outcome:
    """How a job in a cloud ended, with the platform's details of now."""
    stage.conceal(*platforms.secrets_of(run.handler))
    word = run.word or "completed"
    status = FINAL.get(word, "DONE" if run.results is not None or run.final is not None else "UNKNOWN")
    received = remote.received(run)
    given = run.final or received
    link = None
    if given is not None:
        conversion = conversion_in(received) if received is not None else None
        converted = conversion is not None and run.final is not None
        link = put_results(stage, given, received if converted else None, None if converted else conversion)
        status = "PARTIAL" if status in ("CANCELLED", "ERROR") else status
    calibrations = _details(stage, run, asks)
    said = {name: item for name, item in (run.status or {}).items() if name not in _NOT_VOLATILE and item is not None}
    told = {name: item for name, item in (run.results or {}).items() if name not in _NOT_VOLATILE and item is not None}
    message = (run.status or {}).get("status_message")
    error = None if status == "DONE" else _error("perceval.job", str(message or word))
    duration = said.get("duration")
    usage = {"duration_s": duration} if isinstance(duration, int | float) and not isinstance(duration, bool) else {}
    volatile = {"status": to_plain(said, "volatile", stage.gap)} | (
        {"answer": to_plain(told, "volatile", stage.gap)} if told else {}
    )
    return Outcome(status, word, link, volatile, error, usage, calibrations)


def _details(stage: Stage, run: RemoteRun, asks: platforms.Platforms) -> tuple[Captured, ...]:
    found = platforms.capture(stage, asks, run.handler, "calibration.retrieval")
    if found is None:
        return ()
    details, at = found
    return (Captured("retrieval", platforms.put_details(stage, run.handler.name, details), at),)


def conversion_in(results: Mapping[str, Any]) -> str | None:
    """The conversion that Perceval makes of a platform's results when their user asks for them: it draws samples, so nobody else
    makes it for him."""
    context = results.get("job_context")
    mapping = context.get("result_mapping") if isinstance(context, dict) else None
    return str(mapping[1]) if isinstance(mapping, list | tuple) and len(mapping) == 2 else None


def _error(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": message}


def load_result(get: Get, outcome: Mapping[str, Any]) -> dict:
    """The dict of results, as `get_results()` gave it. Raises MissingExtra."""
    return from_plain(get(outcome["result"])["results"])


def data(get: Get, outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What came out of each iteration, as plain values by name; without the SDK."""
    found = get(outcome["result"])["results"]
    several = found.get("results_list")
    return [_named(entry) for entry in (several if isinstance(several, list) else [found])]


def _named(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What came out of one iteration, with its results under the name of what they are."""
    results = entry.get("results")
    name = _NAMES.get(results.tag, "results") if type(results) is Typed else "results"
    return {name if key == "results" else key: readable(item) for key, item in entry.items()}


def counts(get: Get, outcome: Mapping[str, Any], index: int) -> dict[str, int]:
    """Counts of iteration `index` by the text of each state. Raises BadInput."""
    found = get(outcome["result"])["results"]
    several = found.get("results_list") if isinstance(found, dict) else None
    entries = several if isinstance(several, list) else [found]
    if not 0 <= index < len(entries):
        raise BadInput(f"circuit {index}", "does not exist", f"the job has {len(entries)}, counted from 0")
    try:
        return counts_of(entries[index]["results"])
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"circuit {index}", "its result has no counts", "look at the data that it has") from None
