"""Executions on their way into a store: the records of a start and of an outcome, staged together with what they refer to."""

from functools import cache
from typing import Any

from . import codec, model, scope
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
    job = stage.record(model.job_record(
        provider=execution.provider, kind=execution.kind, backend=execution.backend_name, input=execution.input,
        config=execution.config, shots=execution.shots, size=execution.size, names=execution.names,
        labels=labels, parent=execution.parent or here.parent, created=created))  # fmt: skip
    return job, None if unsent else put_attempt(stage, job, 1, execution, ours)


def put_attempt(stage: Stage, job: Link, number: int, execution: Execution, ours: bool = True) -> Link:
    """Stage an attempt of a job."""
    surroundings = stage.put_again(_environment()) if ours else None
    return stage.record(model.attempt_record(
        job=job, number=number, backend=execution.backend, environment=surroundings, calibration=execution.calibration,
        captured=execution.captured, gaps=stage.gaps, local=not execution.remote))  # fmt: skip


def put_undescribed(stage: Stage, provider: Provider, target: Any, error: BaseException) -> Execution:
    """An execution of which nothing but its backend's name could be captured."""
    stage.gap("input", f"{type(error).__name__}: {model.plain_text(error)}")
    name = getattr(target, "name", None)
    name = name if type(name) is str else type(target).__name__
    return Execution(provider=provider.name, kind="local", backend_name=name, input=stage.put("input", {"type": "missing"}),
                     config=stage.put("config", {}), backend=stage.put("backend", {"name": name}),
                     remote=isinstance(provider, Cloud) and provider.elsewhere(target))  # fmt: skip


def put_outcome(stage: Stage, job: Link, attempt: Link, found: Outcome, provider_job: str | None) -> None:
    """Stage how an attempt ended, and the calibrations that came to be known with it."""
    error = found.error and {name: model.plain_text(text) for name, text in found.error.items()}
    for captured in found.calibrations:
        stage.record(model.calibration_record(
            job=job, attempt=attempt, calibration=captured.calibration, phase=captured.phase, captured=captured.at))  # fmt: skip
    stage.record(model.outcome_record(
        job=job, attempt=attempt, status=found.status, provider_status=found.provider_status, provider_job=provider_job,
        result=found.result, volatile=found.volatile, error=error, usage=found.usage, gaps=stage.gaps))  # fmt: skip


def described(error: BaseException) -> dict[str, str]:
    """An exception as plain values."""
    return {"type": f"{type(error).__module__}.{type(error).__qualname__}", "message": model.plain_text(error)}


def complain_of(gaps: list[dict[str, str]]) -> None:
    """Warn of each gap."""
    for gap in gaps:
        complain(f"{gap['what']} is not archived: {gap['reason']}")


@cache
def _environment() -> Blob:
    data = codec.encode(environment())
    return Blob("environment", codec.digest(data), data)
