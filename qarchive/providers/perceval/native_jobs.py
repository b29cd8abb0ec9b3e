"""Perceval's own interface over archived jobs, offline: its real classes, with an RPC handler that answers from the archive."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...errors import BadInput, NotFound
from ..sdk import sdk
from .calls import unconverted
from .outcomes import DRAWING, conversion_in, load_result
from .payloads import PAYLOAD, load_payload
from .platforms import DETAILS, load_details
from .played import put_status
from .remote import FINAL, ON_THE_WAY
from .values import from_plain

_WORDS = {status: word for word, status in (*ON_THE_WAY.items(), *FINAL.items())} | {
    "SENDING": "waiting", "REFUSED": "error", "PARTIAL": "canceled", "TIMED_OUT": "canceled", "UNKNOWN": "unknown"}  # fmt: skip
NO_ROOM = {"max_jobs_in_queue": 0, "num_jobs_in_queue": 0}


def archived_job(record: Any) -> Any:
    """The RemoteJob or LocalJob of an archived job. Raises MissingExtra."""
    legacy = sdk("perceval.runtime.legacy", "a job of Perceval's", "perceval")
    if not _is_remote(record):
        return _local_job(record, legacy)
    handler = Offline(record)
    body = load_payload(record.get, record.record) if "type" in record.config else None
    job = legacy.RemoteJob(body, handler, next(iter(record.names), "resumed"))
    job._id = record.provider_job
    outcome = record.outcome
    if job._id is not None:
        job.status  # noqa: B018  the handler is asked now, as RemoteJob.from_id does
    if outcome is not None and "result" in outcome and unconverted(record) is None:
        job._results = load_result(record.get, outcome)
    return job


def _is_remote(record: Any) -> bool:
    return record.config.get("type") == PAYLOAD or record.provider_job is not None or not record.config


def _local_job(record: Any, legacy: Any) -> Any:
    job = legacy.LocalJob(_archived)
    job.name = next(iter(record.names), record.config.get("command", "Job"))
    outcome = record.outcome
    if outcome is None:
        return job
    put_status(job._status, record)
    if "result" in outcome:
        job._results = load_result(record.get, outcome)
        converters = sdk("perceval.algorithm", "a job of Perceval's", "perceval").Sampler._METHOD_MAPPING.values()
        known = {converter.__name__: converter for row in converters for converter in row.values()}
        name = unconverted(record)
        if name in known:
            job._result_mapping_function = known[name]
            if name.startswith("probs_to_"):
                given = record.config["parameters"]
                job.delta_parameters["mapping"].update((limit, given.get(limit)) for limit in ("max_samples", "max_shots"))
    return job


def _archived(*args: Any, **kwargs: Any) -> Any:
    raise BadInput("a job from the archive", "it is over", "`archive.job(...).rerun()` runs its input again")


class Offline:
    """What Perceval asks of an RPC handler about one archived job, answered from it. Nothing is sent."""

    url, token, proxies = "archive:", "", None
    request_timeout = 10

    def __init__(self, record: Any):
        self.name, self._record = record.backend, record
        self.headers: dict[str, str] = {}

    def fetch_platform_details(self) -> dict:
        """The platform's last archived answer, at or after the submission of the job. Raises NotFound."""
        found = details_of(self._record)
        if not found:
            raise NotFound(f"the platform {self.name}", "this archive", "its details were not captured")
        return found[-1]()

    def get_job_status(self, job_id: str) -> dict:
        return status_answer(self._record)

    def get_job_results(self, job_id: str) -> dict:
        return results_answer(self._record, job_id)

    def get_job_availability(self) -> dict:
        return dict(NO_ROOM)

    def create_job(self, cloud_data: dict) -> str:
        raise sends_nothing("a job")

    def rerun_job(self, job_id: str) -> str:
        raise sends_nothing(f"job {job_id}")

    def cancel_job(self, job_id: str) -> None:
        raise sends_nothing(f"the cancellation of job {job_id}")


def details_of(record: Any) -> list[Callable[[], dict]]:
    """The whole answers of its platform that an archived job has, in order, each as a function that reads it."""
    found = [calibration.value for calibration in record.calibrations]
    return [partial(load_details, record.get, value) for value in found if value.get("type") == DETAILS]


def status_answer(record: Any, attempt: Any = None) -> dict:
    """What a cloud would answer about the status of an archived job; of an attempt, else of the last one."""
    outcome = (record if attempt is None else attempt).outcome or {}
    error = (record.error if attempt is None else outcome.get("error")) or {}
    said = outcome.get("volatile", {}).get("status", {})
    word = said.get("status") or _WORDS.get((record if attempt is None else attempt).status, "unknown")
    moment = record.created.timestamp()
    made = {"creation_datetime": moment, "start_time": moment, "duration": 0, "progress": 1.0, "progress_message": "",
            "status_message": error.get("message", "")}  # fmt: skip
    return {**made, **said, "status": word}


def results_answer(record: Any, job_id: str, attempt: Any = None) -> dict:
    """The same of its results."""
    outcome = (record if attempt is None else attempt).outcome or {}
    if "result" not in outcome:
        return {"results": None, "job_id": job_id}
    kept = record.get(outcome["result"])
    results = dict(load_result(record.get, outcome))
    context = results.get("job_context")
    if "received" in kept and conversion_in(results) not in DRAWING:
        results = dict(from_plain(kept["received"]))  # Perceval converts it again, to the same
    elif isinstance(context, Mapping) and "unconverted" not in kept:
        results["job_context"] = {name: item for name, item in context.items() if name != "result_mapping"}
    text = json.dumps(sdk("perceval.serialization", "a result", "perceval").serialize(results))
    return {**outcome.get("volatile", {}).get("answer", {}), "job_id": job_id, "results": text}


def sends_nothing(what: str) -> BadInput:
    """What is raised where something would have to be sent to a cloud."""
    return BadInput(what, "this handler answers from the archive and sends nothing", "use one with a token to send")
