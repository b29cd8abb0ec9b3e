"""The endpoints of the loopback IBM server, one function each; `hub` is the server."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import ibm_programs
from ibm_devices import Device, wire_time
from ibm_jobs import CANCELLED, COMPLETED, MAX_COST_S, QUEUED, Job, Session, now
from ibm_wire import Call, Refusal

MAX_PAGE = 200
ROUTES: list[tuple[str, re.Pattern, Callable]] = []


def _route(method: str, pattern: str) -> Callable:
    def register(function: Callable) -> Callable:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return register


def dispatch(hub, call: Call, method: str, path: str) -> tuple[int, dict | str | None]:
    """Status and body for an authorised request.

    Raises:
        Refusal: the answer is an error.
    """
    for candidate, pattern, function in ROUTES:
        if candidate == method and (match := pattern.fullmatch(path)):
            return function(hub, call, *match.groups())
    raise Refusal(404, 1000, f"No such endpoint: {method} {path}")


@_route("POST", "/v3/resources/search")
def _search(hub, call: Call):
    items = [
        {
            "crn": crn,
            "name": name,
            "tags": [],
            "service_plan_unique_id": f"plan-{name}",
            "doc": {"extensions": {"backends": hub.device_names(crn)}},
        }
        for name, crn in hub.instances.items()
    ]
    return 200, {"items": items, "limit": 100}


@_route("GET", "/plan-([^/]+)")
def _plan(hub, call: Call, name: str):
    return 200, {"overview_ui": {"en": {"display_name": "Premium"}}, "metadata": {"pricing": {"type": "paid"}}, "name": name}


@_route("GET", "/backends")
def _backends(hub, call: Call):
    mocks = (call.parameter("include_mocks") or "").lower() == "true"
    devices = [hub.devices[name] for name in hub.device_names(call.instance)]
    return 200, {"devices": [device.listed(len(hub.waiting(device.name))) for device in devices if mocks or not device.mock]}


def _device(hub, call: Call, name: str) -> Device:
    if name not in hub.device_names(call.instance):
        raise Refusal(404, 1007, "Backend not found.", "Verify that the correct backend name was specified.")
    return hub.devices[name]


def _calibration(device: Device, call: Call):
    wanted, before = call.parameter("calibration_id"), call.parameter("updated_before")
    if wanted is None:
        return device.at(now() if before is None else _moment(before))
    for calibration in device.calibrations:
        if calibration.id == wanted:
            return calibration
    raise Refusal(404, 1009, f"Calibration {wanted} not found.")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@_route("GET", "/backends/([^/]+)/configuration")
def _configuration(hub, call: Call, name: str):
    return 200, _calibration(_device(hub, call, name), call).configuration


@_route("GET", "/backends/([^/]+)/properties")
def _properties(hub, call: Call, name: str):
    calibration = _calibration(_device(hub, call, name), call)
    return 200, calibration.properties if calibration else {}


@_route("GET", "/backends/([^/]+)/status")
def _status(hub, call: Call, name: str):
    device = _device(hub, call, name)
    version = device.configuration["backend_version"]
    answer = {"state": device.operational, "status": device.status, "message": device.status, "backend_version": version}
    return 200, answer | {"length_queue": len(hub.waiting(name))}


@_route("GET", "/instances/usage")
def _usage(hub, call: Call):
    consumed = sum(job.quantum_s for job in hub.jobs_seen if job.instance == call.instance)
    month = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return 200, {
        "instance_id": call.instance,
        "usage_consumed_seconds": consumed,
        "usage_allocation_seconds": hub.allocation_s,
        "usage_limit_seconds": hub.allocation_s,
        "usage_limit_reached": consumed >= hub.allocation_s,
        "usage_period": {"start_time": wire_time(month), "end_time": wire_time(now())},
    }


@_route("POST", "/jobs")
def _submit(hub, call: Call):
    request = call.json()
    if request.get("program_id") not in ibm_programs.PROGRAMS or "schema_version" in request.get("params", {}):
        raise Refusal(404, 1290, f"Program {request.get('program_id')} not found or not simulated.")
    if request.get("backend") not in hub.device_names(call.instance):
        raise Refusal(400, 1007, "Backend not found.", "Verify that the correct backend name was specified.")
    if session_id := request.get("session_id"):
        session = _find(hub.sessions, session_id, call, "Session")
        if session.state == "closed" or not session.accepting:
            raise Refusal(400, 1217, "Session has been closed.", "Create a new session and try again.")
    hub.check_limit(call)
    device = hub.devices[request["backend"]]
    estimate = ibm_programs.quantum_seconds(ibm_programs.DEFAULT_SHOTS * len(request["params"].get("pubs", [None])))
    job = Job(request, call.instance, call.user_id, device.mock, float(estimate))
    hub.accept(job)
    optional = {"session_id": job.session_id, "private": job.private or None, "calibration_id": job.calibration_id}
    return 200, {"id": job.id, "backend": job.backend} | {key: value for key, value in optional.items() if value is not None}


@_route("GET", "/jobs")
def _jobs(hub, call: Call):
    found = [job for job in hub.jobs.values() if job.instance == call.instance and job.matches(call.query)]
    found.sort(key=lambda job: job.created, reverse=call.parameter("sort") != "ASC")
    limit, offset = min(int(call.parameter("limit") or 20), MAX_PAGE), int(call.parameter("offset") or 0)
    with_params = call.parameter("exclude_params") != "true"
    page = [job.wire(with_params) for job in found[offset : offset + limit]]
    return 200, {"jobs": page, "count": len(found), "limit": limit, "offset": offset}


def _find(table: dict, key: str, call: Call, kind: str):
    entry = table.get(key)
    if entry is None or entry.instance != call.instance:
        code = 1291 if kind == "Job" else 1216
        raise Refusal(404, code, f"{kind} not found. {kind} ID: {key}", f"Check that the {kind.lower()} ID is correct.")
    return entry


@_route("GET", "/jobs/([^/]+)")
def _job(hub, call: Call, key: str):
    return 200, _find(hub.jobs, key, call, "Job").wire(call.parameter("exclude_params") != "true")


@_route("DELETE", "/jobs/([^/]+)")
def _delete(hub, call: Call, key: str):
    if not _find(hub.jobs, key, call, "Job").ended:
        raise Refusal(409, 1294, "Job cannot be deleted before it has ended.")
    del hub.jobs[key]
    return 204, None


@_route("GET", "/jobs/([^/]+)/results")
def _results(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    if job.result is None:
        return 204, None
    text = job.result
    if job.private and job.status == COMPLETED:
        if job.id in hub.read_once:
            raise Refusal(404, 1292, f"Result of job {key} is no longer available: it was private and has been read.")
        hub.read_once.add(job.id)
    return 200, text


@_route("GET", "/jobs/([^/]+)/metrics")
def _metrics(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    waiting = [entry.id for entry in hub.waiting(job.backend) if entry.status == QUEUED]
    return 200, job.metrics(waiting.index(key) + 1 if key in waiting else None)


@_route("GET", "/jobs/([^/]+)/logs")
def _logs(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    if not job.ended:
        raise Refusal(404, 1293, f"Logs of job {key} are not available yet.")
    return 200, job.logs()


@_route("POST", "/jobs/([^/]+)/cancel")
def _cancel(hub, call: Call, key: str):
    job = _find(hub.jobs, key, call, "Job")
    if job.ended:
        raise Refusal(409, 1295, f"Job {key} is in a final state ({job.status}) and cannot be cancelled.")
    hub.end(job, CANCELLED)
    return 204, None


@_route("PUT", "/jobs/([^/]+)/tags")
def _tags(hub, call: Call, key: str):
    job, tags = _find(hub.jobs, key, call, "Job"), call.json().get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Refusal(400, 1208, "Request validation of body failed, because: tags is no list of strings.")
    job.tags = tags
    return 204, None


@_route("POST", "/sessions")
def _open_session(hub, call: Call):
    asked = call.json()
    if asked.get("backend") is not None:
        _device(hub, call, asked["backend"])
    session = Session(asked.get("backend"), call.instance, call.user_id, asked["mode"], asked.get("max_ttl", MAX_COST_S))
    hub.sessions[session.id] = session
    return 200, session.wire([])


@_route("GET", "/sessions/([^/]+)")
def _session(hub, call: Call, key: str):
    return 200, _find(hub.sessions, key, call, "Session").wire(hub.jobs_of(key))


@_route("PATCH", "/sessions/([^/]+)")
def _stop_accepting(hub, call: Call, key: str):
    session = _find(hub.sessions, key, call, "Session")
    session.accepting = call.json().get("accepting_jobs", session.accepting)
    session.settle(hub.jobs_of(key))
    return 204, None


@_route("DELETE", "/sessions/([^/]+)/close")
def _close_session(hub, call: Call, key: str):
    session = _find(hub.sessions, key, call, "Session")
    session.accepting = False
    for job in hub.jobs_of(key):
        if not job.ended:
            hub.end(job, CANCELLED)
    session.settle(hub.jobs_of(key))
    return 204, None
