"""Executions on their way into a store: the records of a start and of an outcome, staged together with what they refer to."""

from functools import cache
from typing import Any

from . import codec, config, membership, model, records, redact, scope
from .code_state import code_state
from .environment import environment
from .pack import Blob
from .providers import hooks
from .providers.base import Cloud, Execution, Outcome, Provider
from .stage import Stage
from .values import Link, Timestamp

complain = hooks.warn


def put_start(
    stage: Stage, execution: Execution, created: Timestamp | None = None, ours: bool = True, unsent: bool = False
) -> tuple[Link, Link | None]:
    """Stage a job, and its attempt unless it is `unsent`: (job, attempt). `created` is when its provider says that it was made,
    `ours` whether this process made it."""
    here = scope.here()
    labels = here.labels()
    if execution.group:
        labels.setdefault("group", execution.group)
    if execution.tags:
        labels["tags"] = sorted({*labels.get("tags", ()), *execution.tags})
    job = stage.record(records.job_record(
        provider=execution.provider, kind=execution.kind, backend=execution.backend_name, input=execution.input,
        config=execution.config, shots=execution.shots, size=execution.size, names=execution.names,
        labels=labels, parent=execution.parent or here.parent, member=_place(stage, here.places, labels, execution.size),
        prepared=_snapshot(execution) if unsent else None, created=created))  # fmt: skip
    return job, None if unsent else put_attempt(stage, job, 1, execution, ours)


def _place(stage: Stage, places: Any, labels: dict[str, Any], size: int) -> dict[str, Any] | None:
    """Where a job stands in its group; None where it has none."""
    if "group" not in labels:
        return None
    if places is None:
        places = membership.at_run(stage.store, labels["group"])
    membership.put(stage, places.group)
    return places.take(size)


def _snapshot(execution: Execution) -> dict[str, Any]:
    """The backend that a job is prepared for. How well a device in a cloud is doing is asked when the job is sent."""
    found: dict[str, Any] = {"backend": execution.backend}
    if execution.remote:
        return found | {"remote": True}
    return found if execution.calibration is None else found | {"calibration": execution.calibration}


def put_attempt(stage: Stage, job: Link, number: int, execution: Execution, ours: bool = True) -> Link:
    """Stage an attempt of a job."""
    return stage.record(_attempt(stage, job, number, execution, ours))


def put_further(stage: Stage, folded: model.Folded, execution: Execution) -> Link:
    """Stage a further attempt of an archived job, with what is sent otherwise than its record says."""
    job, number = folded.record, 1 + max((attempt.number for attempt in folded.attempts), default=0)
    other = {name: link for name in ("input", "config") if (link := getattr(execution, name)) != job[name]}
    if (name := records.plain_name(execution.backend_name)) != job["backend"]:
        other["on"] = name
    return stage.record(_attempt(stage, Link(folded.id), number, execution, True, **other))


def _attempt(stage: Stage, job: Link, number: int, execution: Execution, ours: bool, **other: Any) -> dict:
    surroundings = stage.put_again(_environment()) if ours else None
    code = _code() if ours else None
    return records.attempt_record(
        job=job, number=number, backend=execution.backend, environment=surroundings, calibration=execution.calibration,
        captured=execution.captured, gaps=stage.gaps, local=not execution.remote,
        code=code and stage.put_again(code), **other)  # fmt: skip


def put_undescribed(stage: Stage, provider: Provider, target: Any, error: BaseException) -> Execution:
    """An execution of which nothing but its backend's name could be captured."""
    stage.gap("input", f"{type(error).__name__}: {records.plain_text(error)}")
    name = getattr(target, "name", None)
    name = name if type(name) is str else type(target).__name__
    return Execution(provider=provider.name, kind="local", backend_name=name, input=stage.put("input", {"type": "missing"}),
                     config=stage.put("config", {}), backend=stage.put("backend", {"name": name}),
                     remote=isinstance(provider, Cloud) and provider.elsewhere(target))  # fmt: skip


def put_outcome(stage: Stage, job: Link, attempt: Link, found: Outcome, provider_job: str | None) -> None:
    """Stage how an attempt ended, and the calibrations that came to be known with it."""
    error = found.error and {name: records.plain_text(text) for name, text in found.error.items()}
    for captured in found.calibrations:
        stage.record(records.calibration_record(
            job=job, attempt=attempt, calibration=captured.calibration, phase=captured.phase, captured=captured.at))  # fmt: skip
    stage.record(records.outcome_record(
        job=job, attempt=attempt, status=found.status, provider_status=found.provider_status, provider_job=provider_job,
        result=found.result, volatile=found.volatile, error=error, usage=found.usage, gaps=stage.gaps))  # fmt: skip


def described(error: BaseException) -> dict[str, str]:
    """An exception as plain values."""
    return {"type": f"{type(error).__module__}.{type(error).__qualname__}", "message": records.plain_text(error)}


def complain_of(gaps: list[dict[str, str]]) -> None:
    """Warn of each gap."""
    for gap in gaps:
        complain(f"{gap['what']} is not archived: {gap['reason']}")


@cache
def _environment() -> Blob:
    data = codec.encode(environment())
    return Blob("environment", codec.digest(data), data)


@cache
def _code() -> Blob | None:
    """None where nothing is known of the code that runs, or its user wants none of it kept."""
    found = code_state() if config.keeps_code() else {}
    if not found:
        return None
    data = codec.encode(redact.tree(found))
    return Blob("code", codec.digest(data), data)
