"""The endpoints of the loopback Pasqal server, one function each; `hub` is the server."""

import re
from collections.abc import Callable

import pasqal_programs
from pasqal_batches import CANCELED, DONE, PAUSED, PENDING, Batch, Entry, Job, Workload
from pasqal_wire import Call, Refusal, success

MAX_PAGE = 100
ORDERS = {"created_at": "order", "creation_order": "order", "updated_at": "updated", "status": "status"}
ROUTES: list[tuple[str, re.Pattern, Callable]] = []


def _route(method: str, pattern: str) -> Callable:
    def register(function: Callable) -> Callable:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return register


def dispatch(hub, call: Call, method: str, path: str) -> tuple:
    """Status, body and perhaps headers for an authorised request.

    Raises:
        Refusal: the answer is an error.
    """
    for candidate, pattern, function in ROUTES:
        if candidate == method and (match := pattern.fullmatch(path)):
            return function(hub, call, *match.groups())
    raise Refusal(404, f"No such endpoint: {method} {path}")


def _find(table: dict, key: str, call: Call, kind: str):
    entry = table.get(key)
    if entry is None or entry.project_id not in call.user.projects:
        raise Refusal(404, f"{kind} with id {key} does not exist.")
    return entry


def _visible(table: dict, call: Call) -> list:
    filters = call.filters()
    return [entry for entry in table.values() if entry.project_id in call.user.projects and entry.matches(filters)]


def _page(found: list[Entry], call: Call, wire: Callable[[Entry], dict]) -> tuple:
    order, direction = call.parameter("order_by") or "created_at", call.parameter("order_by_direction") or "DESC"
    if order not in ORDERS or direction not in ("ASC", "DESC"):
        raise Refusal(422, f"query.order_by: {order} {direction} is not one of {', '.join(ORDERS)} and ASC or DESC.")
    limit, start = call.number("limit", MAX_PAGE, 1, MAX_PAGE), call.number("offset", 0, 0)
    found.sort(key=lambda entry: getattr(entry, ORDERS[order]), reverse=direction == "DESC")
    page = found[start : start + limit]
    end = start + len(page)
    body = success([wire(entry) for entry in page], {"total": len(found), "start": start, "end": end})
    return 200, body, {"Content-Range": f"{start}-{end}/{len(found)}"}


def _project(call: Call, asked: dict) -> str:
    project = call.user.projects[0] if call.third_party else asked.get("project_id")
    if project not in call.user.projects:
        raise Refusal(403, f"User is not a member of project {project}.")
    return project


# Batches


@_route("POST", "/api/v1/batches")
def _create(hub, call: Call):
    asked = call.body(dict)
    sequence, open_, jobs = asked.get("sequence_builder"), asked.get("open", not asked.get("complete", True)), asked.get("jobs")
    if not jobs and not open_:
        raise Refusal(400, "A closed batch must have at least one job.")
    device_type = asked.get("device_type") or asked.get("emulator")
    if device_type is None:
        try:
            device_type = pasqal_programs.device_name(sequence or jobs[0]["sequence"])
        except (ValueError, LookupError, TypeError) as error:
            raise Refusal(400, f"The device type cannot be read from the sequence: {error}") from error
    if device_type not in hub.devices or hub.devices[device_type].retired:
        raise Refusal(400, f"Device type {device_type} is not available.")
    batch = Batch(
        project_id=_project(call, asked),
        user_id=call.user.id,
        device_type=device_type,
        sequence_builder=sequence,
        open=bool(open_),
        webhook=asked.get("webhook"),
        configuration=asked.get("configuration"),
        backend_configuration=asked.get("backend_configuration"),
        tags=list(asked.get("tags") or []),
    )
    _append(hub, batch, jobs or [])
    hub.accept(batch)
    return 200, success(hub.wire(batch, with_jobs=True))


def _append(hub, batch: Batch, asked: list) -> None:
    for job in asked:
        runs = job.get("runs") if isinstance(job, dict) else 0
        if not (isinstance(runs, int) and runs > 0) and not (runs is None and not hub.devices[batch.device_type].qpu):
            raise Refusal(422, f"body.jobs.runs: {runs!r} is not a positive integer.")
        if job.get("sequence") is None and batch.sequence_builder is None:
            raise Refusal(400, "Either the batch or each of its jobs must have a sequence.")
    hub.check_limit(batch.user_id, batch.project_id, len(asked))
    for job in asked:
        made = {"runs": job.get("runs"), "variables": job.get("variables"), "sequence": job.get("sequence")}
        hub.append(batch, Job(project_id=batch.project_id, user_id=batch.user_id, batch_id=batch.id, **made))


@_route("GET", "/api/v1/batches")
def _batches(hub, call: Call):
    return _page(_visible(hub.batches, call), call, lambda batch: hub.wire(batch, with_sequence=False))


@_route("GET", "/api/v[12]/batches/([^/]+)")
def _batch(hub, call: Call, key: str):
    return 200, success(hub.wire(_find(hub.batches, key, call, "Batch")))


@_route("GET", "/api/v1/batches/([^/]+)/status")
def _batch_status(hub, call: Call, key: str):
    batch = _find(hub.batches, key, call, "Batch")
    counts = {"jobs_count": len(batch.jobs), "jobs_count_per_status": batch.counts()}
    return 200, success({"id": batch.id, "status": batch.status} | counts)


@_route("POST", "/api/v2/batches/([^/]+)/jobs")
def _add(hub, call: Call, key: str):
    batch = _open(hub, call, key)
    jobs = call.body(list)
    if not jobs:
        raise Refusal(422, "body: no jobs.")
    _append(hub, batch, jobs)
    hub.changed(batch)
    return 200, success(hub.wire(batch, with_jobs=True))


def _open(hub, call: Call, key: str) -> Batch:
    batch = _find(hub.batches, key, call, "Batch")
    if not batch.open:
        raise Refusal(400, f"Batch {key} is closed ({batch.status}).")
    return batch


@_route("PATCH", "/api/v2/batches/([^/]+)/complete")
def _close(hub, call: Call, key: str):
    batch = _open(hub, call, key)
    batch.open = False
    hub.changed(batch)
    return 200, success(hub.wire(batch, with_jobs=True))


def _refuse_ended(entry: Entry, kind: str) -> None:
    if entry.ended:
        raise Refusal(400, f"{kind} {entry.id} cannot be canceled: its status is {entry.status}.")


@_route("PATCH", "/api/v2/batches/([^/]+)/cancel")
def _cancel_batch(hub, call: Call, key: str):
    batch = _find(hub.batches, key, call, "Batch")
    _refuse_ended(batch, "Batch")
    batch.end(CANCELED)
    hub.changed(batch)
    return 200, success(hub.wire(batch, with_jobs=True))


@_route("PATCH", "/api/v1/batches/cancel")
def _cancel_batches(hub, call: Call):
    canceled, errors = [], {}
    for key in call.body(dict).get("batch_ids", []):
        try:
            _cancel_batch(hub, call, key)
            canceled.append(hub.wire(hub.batches[key]))
        except Refusal as refusal:
            errors[key] = refusal.description
    return 200, success({"batches": canceled, "errors": errors})


@_route("POST", "/api/v1/batches/([^/]+)/rebatch")
def _rebatch(hub, call: Call, key: str):
    old = _find(hub.batches, key, call, "Batch")
    if old.open:
        raise Refusal(400, f"Batch {key} is open: close it first, or add the jobs to it again.")
    filters = call.filters()
    jobs = [job for job in old.jobs if job.matches(filters)]
    if not jobs:
        raise Refusal(400, f"No job of batch {key} passes the filters.")
    kept = ("device_type", "sequence_builder", "webhook", "configuration", "backend_configuration", "tags", "project_id")
    batch = Batch(user_id=call.user.id, open=False, parent_id=old.id, **{name: getattr(old, name) for name in kept})
    for job in jobs:
        made = {"runs": job.runs, "variables": job.variables, "sequence": job.sequence, "parent_id": job.id}
        hub.append(batch, Job(project_id=batch.project_id, user_id=batch.user_id, batch_id=batch.id, **made))
    hub.accept(batch)
    return 200, success(hub.wire(batch, with_jobs=True))


@_route("PATCH", "/api/v1/batches/([^/]+)/tags")
def _tags(hub, call: Call, key: str):
    batch, tags = _find(hub.batches, key, call, "Batch"), call.body(list)
    if not all(isinstance(tag, str) for tag in tags):
        raise Refusal(422, "body: a tag is no string.")
    batch.tags = list(dict.fromkeys(tags))
    return 200, success(hub.wire(batch, with_jobs=True))


@_route("PATCH", "/api/v2/batches/([^/]+)/cancel/jobs")
def _cancel_jobs(hub, call: Call, key: str):
    batch = _find(hub.batches, key, call, "Batch")
    canceled, errors, filters = [], {}, call.filters()
    for job in [job for job in batch.jobs if job.matches(filters)]:
        try:
            _cancel(hub, job)
            canceled.append(job.wire())
        except Refusal as refusal:
            errors[job.id] = refusal.description
    return 200, success({"jobs": canceled, "errors": errors})


# Jobs


def _cancel(hub, job: Job) -> None:
    if job.status not in (PENDING, PAUSED):
        raise Refusal(400, f"Job {job.id} cannot be canceled: its status is {job.status}.")
    job.enter(CANCELED)
    hub.changed(hub.batches[job.batch_id])


@_route("GET", "/api/v[12]/jobs")
def _jobs(hub, call: Call):
    return _page(_visible(hub.jobs, call), call, Job.wire)


@_route("GET", "/api/v2/jobs/([^/]+)")
def _job(hub, call: Call, key: str):
    return 200, success(_find(hub.jobs, key, call, "Job").wire(with_sequence=True))


@_route("GET", "/api/v1/jobs/([^/]+)/status")
def _job_status(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    return 200, success({"id": job.id, "status": job.status})


@_route("PATCH", "/api/v2/jobs/([^/]+)/cancel")
def _cancel_job(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    _cancel(hub, job)
    return 200, success(job.wire())


@_route("GET", "/api/v1/jobs/([^/]+)/results_link")
def _results_link(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    return 200, success({"results_link": hub.link(f"/jobs/{key}/results.json", job.result)})


# Workloads


@_route("POST", "/api/v1/workloads")
def _create_workload(hub, call: Call):
    asked = call.body(dict)
    named = {name: asked.get(name) for name in ("workload_type", "backend", "config")}
    workload = Workload(project_id=_project(call, asked), user_id=call.user.id, **named)
    hub.accept(workload)
    return 200, success(workload.wire(None))


@_route("GET", "/api/v2/workloads/([^/]+)")
def _workload(hub, call: Call, key: str):
    workload = _find(hub.workloads, key, call, "Workload")
    link = hub.link(f"/workloads/{key}/results.json", workload.result) if workload.status == DONE else None
    return 200, success(workload.wire(link))


@_route("PUT", "/api/v1/workloads/([^/]+)/cancel")
def _cancel_workload(hub, call: Call, key: str):
    workload = _find(hub.workloads, key, call, "Workload")
    _refuse_ended(workload, "Workload")
    workload.enter(CANCELED)
    return 200, success(workload.wire(None))


# Devices and projects


@_route("GET", "/api/v1/devices/specs")
def _specs(hub, call: Call):
    return 200, success(hub.specs())


@_route("GET", "/api/v1/projects")
def _projects(hub, call: Call):
    members = [
        {"id": key, "project_id": key, "name": hub.projects[key], "project_status": "ACTIVE", "queue_priority": "MEDIUM"}
        for key in call.user.projects
    ]
    return 200, success(members)
