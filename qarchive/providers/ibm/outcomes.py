"""How a job of IBM's ended: what its user's requests have shown, and the rest asked for beside him; and back to results.

A result is kept twice: the text as the service sent it, and what the SDK's decoder makes of it as plain values. The first is
evidence; the second is what is read, since the SDK promises no later version of it to decode old texts.
"""

import re
from collections.abc import Mapping
from re import Match
from typing import Any

from ... import redact
from ...errors import BadInput, MissingExtra, NotEncodable
from ...values import Link, Typed
from ..base import Captured, Get, Outcome, Stage
from ..qiskit.values import from_plain, to_plain
from ..sdk import sdk
from .watch import Seen, reason_code, state
from .wire import Unanswered, Wire, gaps_of

RESULT, RAW = "ibm.result", "ibm.raw"

# Of a service's answer about a job: whose it is, and what is kept elsewhere.
_PERSONAL = frozenset({"user_id", "user", "hub", "group", "project", "instance", "crn", "account", "account_id", "params"})
_CLASSES = {"ERROR": "RuntimeJobFailureError", "TIMED_OUT": "RuntimeJobMaxTimeoutError"}
_TOLD = re.compile(r'"([^"\\]{1,100})"(\s*:\s*)"((?:[^"\\]|\\.){1,4096})"')  # a key and a text; credentials are no longer
_ERROR_MAX = 4000  # characters of an error's text; all of it is in the raw text


def put_outcome(stage: Stage, job_id: str, program: str, private: bool, seen: Seen, wire: Wire) -> Outcome:
    """The outcome of a job that has ended. Raises Unanswered where nobody can tell how."""
    answer = seen.answer if seen.state is not None else _answer(stage, job_id, seen, wire)
    said = state(answer)
    if said.status not in ("DONE", "ERROR", "TIMED_OUT", "CANCELLED"):
        raise Unanswered(f"the job is {said.provider_status} and has not ended")
    text = _text(stage, job_id, said.status, private, seen, wire)
    metrics = seen.metrics or gaps_of(stage, "volatile.metrics", lambda: wire.metrics(job_id)) or {}
    kept = {name: item for name, item in answer.items() if name not in _PERSONAL}
    volatile = {"job": to_plain(kept, lambda path, reason: stage.gap(f"volatile.job.{path}", reason))}
    if answer.get("backend"):
        volatile["backend"] = answer["backend"]
    if metrics:
        volatile["metrics"] = metrics
    raw = _put_raw(stage, text) if text else None
    if raw is not None:
        volatile["raw"] = raw
    result = error = None
    if said.status == "DONE" and text is not None:
        result = stage.put("result", {"type": RESULT, "program": program} | _decoded(stage, program, text))
    elif said.status != "DONE":
        error = _error(said.status, answer, text)
    return Outcome(
        said.status,
        said.provider_status,
        result,
        volatile,
        error,
        _usage(answer, metrics),
        _calibrations(stage, answer, metrics, seen, wire),
    )


def load_result(get: Get, outcome: Mapping[str, Any]) -> Any:
    """The SDK's own result: from what was decoded when it was archived, else from the text. Raises MissingExtra, BadInput."""
    link = outcome.get("result")
    if link is None:
        raise BadInput("this job", "it ended without a result", "look at its error")
    value = get(link)
    if "value" in value and not value.get("partial"):
        return from_plain(value["value"])
    try:
        return decode(value["program"], raw_text(get, outcome))
    except MissingExtra:
        raise
    except Exception:  # the SDK reads its own text no longer: what there is besides
        if "value" not in value:
            raise
        return from_plain(value["value"])


def plain_result(get: Get, outcome: Mapping[str, Any]) -> Typed:
    """The plain value of a result of a primitive. Raises BadInput for any other."""
    link = outcome.get("result")
    value = get(link).get("value") if link is not None else None
    if type(value) is not Typed or value.tag != "qiskit.PrimitiveResult":
        raise BadInput("this job", "its result is not that of a primitive", "take `job.result()`")
    return value


def raw_text(get: Get, outcome: Mapping[str, Any]) -> str:
    """What the service sent for the results. Raises BadInput where it is not archived."""
    link = outcome.get("volatile", {}).get("raw")
    if link is None:
        raise BadInput("the results of this job", "their text is not in the archive", "see the gaps of the job")
    return bytes(get(link)["text"]).decode("utf-8")


def decode(program: str, text: str) -> Any:
    """What `RuntimeJobV2.result` makes of a text, whichever version of the SDK is installed. Raises MissingExtra."""
    kind = sdk("qiskit_ibm_runtime", "the result", "ibm").RuntimeJobV2
    return kind(backend=None, api_client=_Ended(text), job_id="", program_id=program, service=None).result()


class _Ended:
    """A client that knows of one job that it has ended, and how."""

    def __init__(self, text: str):
        self._text = text

    def job_get(self, *_: Any, **__: Any) -> dict:
        return {"state": {"status": "Completed"}, "status": "Completed"}

    def job_results(self, *_: Any, **__: Any) -> str:
        return self._text


def _answer(stage, job_id, seen: Seen, wire: Wire) -> dict:
    try:
        return wire.job(job_id)
    except Unanswered as error:
        if seen.text is None:
            raise
        stage.gap("volatile.job", str(error))  # results that were read must not be lost for it
        return {"state": {"status": "Completed"}}


def _text(stage, job_id, status, private, seen: Seen, wire: Wire) -> str | None:
    """The text of the results, or of the error; None, and a gap where it should be there, if nobody has it."""
    if seen.text is not None or status == "CANCELLED":
        return seen.text
    if private:
        stage.gap("result", "the job is private: only its user may read its results, and he has not")
        return None
    if status == "DONE":
        try:
            return wire.results(job_id)
        except Unanswered as error:
            if error.status is None:
                raise  # later, perhaps; a result that is there must not be given up
            stage.gap("result", str(error))
            return None
    return gaps_of(stage, "volatile.raw", lambda: wire.results(job_id))


def _put_raw(stage, text) -> Link | None:
    clean = _TOLD.sub(_without_secret, redact.text(text))
    if clean != text:
        stage.gap("volatile.raw", "a credential was removed")
    return gaps_of(stage, "volatile.raw", lambda: stage.put("raw", {"type": RAW, "text": clean.encode("utf-8", "surrogatepass")}))


def _without_secret(found: Match) -> str:
    """A key of JSON and its text, without the text where the key says that it is a credential."""
    key, between, value = found.groups()
    return found[0] if redact.tree({key: value})[key] is value else f'"{key}"{between}"[redacted key]"'


def _decoded(stage, program, text) -> dict[str, Any]:
    """{"value": ...}, with `partial` where parts of it cannot be stored; nothing and a gap where it cannot be decoded at all."""
    gaps: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    try:
        found["value"] = to_plain(decode(program, text), lambda path, reason: gaps.append((f"result.value.{path}", reason)))
    except NotEncodable as error:
        gaps.append((f"result.value.{error.path}" if error.path else "result.value", error.reason))
    except Exception as error:  # whatever the SDK says about a text that it does not know
        gaps.append(("result.value", f"{type(error).__name__}: {error}"))
    for what, reason in gaps:
        stage.gap(what, f"{reason}; the text of the result is kept as it was sent")
    return found | ({"partial": True} if found and gaps else {})


def _error(status, answer, text) -> dict[str, str] | None:
    reason, code = (answer.get("state") or {}).get("reason"), reason_code(answer)
    if status == "CANCELLED" and not reason:
        return None
    message = reason or _last(text or "") or str(answer.get("status", ""))
    kind = _CLASSES.get(status, "RuntimeInvalidStateError")
    return {"type": kind, "message": f"Error code {code}; {message}" if code else message}


def _last(text: str) -> str:
    """The end of a traceback, which says what happened."""
    found = text.rfind("Traceback")
    return (text[found:] if found >= 0 else text)[-_ERROR_MAX:]


def _usage(answer, metrics) -> dict[str, Any]:
    """QPU seconds under the service's names, with what earlier versions of it call so."""
    usage = dict(metrics.get("usage") or answer.get("usage") or {})
    usage.pop("status", None)
    charged = usage.get("qpu_charge_time_seconds")
    if "quantum_seconds" not in usage and charged is not None:
        usage["quantum_seconds"] = charged
    bss = (metrics.get("bss") or answer.get("bss") or {}).get("seconds")
    return usage | ({} if bss is None else {"bss_seconds": bss})


def cost(usage: Mapping[str, Any]) -> float | None:
    """The QPU seconds in an outcome's usage; None where there are none."""
    found = usage.get("quantum_seconds")
    return float(found) if type(found) in (int, float) else None


def _calibrations(stage, answer, metrics, seen: Seen, wire: Wire) -> tuple[Captured, ...]:
    """The properties that the service says were those when the job began to run, and of a job that was fetched those when it was
    made, where they are others: these are asked for long after, so they are of the phase "retrieval"."""
    device, found = answer.get("backend"), []
    moments = [("run", (metrics.get("timestamps") or {}).get("running"))]
    if seen.fetched:
        moments.append(("retrieval", answer.get("created")))
    for phase, moment in moments:
        if device and moment:
            got = gaps_of(stage, f"calibration.{phase}", lambda moment=moment: wire.calibration_at(stage, device, moment))
            if got is not None and all(got[0] != captured.calibration for captured in found):
                found.append(Captured(phase, *got))
    return tuple(found)
