"""Perceval's own interface over archived jobs, offline: its real classes, with an RPC handler that answers from the archive."""

import json
from collections.abc import Mapping
from typing import Any

from ...errors import BadInput, NotFound
from ..sdk import sdk
from .objects import REMOTE_COMPUTERS, REMOTE_PROCESSORS, handler_of, is_a
from .outcomes import DRAWING, conversion_in, load_result
from .payloads import PAYLOAD, load_payload
from .platforms import DETAILS, load_details
from .remote import FINAL, ON_THE_WAY
from .values import from_plain

_WORDS = {status: word for word, status in (*ON_THE_WAY.items(), *FINAL.items())} | {
    "SENDING": "waiting", "REFUSED": "error", "PARTIAL": "canceled", "TIMED_OUT": "canceled", "UNKNOWN": "unknown"}  # fmt: skip


def archived_job(record: Any) -> Any:
    """The RemoteJob or LocalJob of an archived job. Raises MissingExtra."""
    legacy = sdk("perceval.runtime.legacy", "a job of Perceval's", "perceval")
    if not _is_remote(record):
        return _local_job(record, legacy)
    handler = Offline(record.backend, lambda reference: record)
    body = load_payload(record.get, record.record) if "type" in record.config else None
    job = legacy.RemoteJob(body, handler, next(iter(record.names), "resumed"))
    job._id = record.provider_job
    outcome = record.outcome
    if job._id is not None:
        job.status  # noqa: B018  the handler is asked now, as RemoteJob.from_id does
    if outcome is not None and "result" in outcome and _unconverted(record) is None:
        job._results = load_result(record.get, outcome)
    return job


def _unconverted(record: Any) -> str | None:
    """The conversion of Perceval's that its results would still go through, had their user asked for them."""
    return record.get(record.outcome["result"]).get("unconverted")


def _is_remote(record: Any) -> bool:
    return record.config.get("type") == PAYLOAD or record.provider_job is not None or not record.config


def _local_job(record: Any, legacy: Any) -> Any:
    status = sdk("perceval.runtime", "a job of Perceval's", "perceval").RunningStatus
    job = legacy.LocalJob(_archived)
    job.name = next(iter(record.names), record.config.get("command", "Job"))
    outcome = record.outcome
    if outcome is None:
        return job
    job._status.start_run()
    job._status.stop_run(status[outcome["provider_status"]], outcome.get("error", {}).get("message"))
    if "result" in outcome:
        job._results = load_result(record.get, outcome)
        converters = sdk("perceval.algorithm", "a job of Perceval's", "perceval").Sampler._METHOD_MAPPING.values()
        known = {converter.__name__: converter for row in converters for converter in row.values()}
        name = _unconverted(record)
        if name in known:
            job._result_mapping_function = known[name]
            if name.startswith("probs_to_"):
                given = record.config["parameters"]
                job.delta_parameters["mapping"].update((limit, given.get(limit)) for limit in ("max_samples", "max_shots"))
    return job


def _archived(*args: Any, **kwargs: Any) -> Any:
    raise BadInput("a job from the archive", "it is over", "`archive.job(...).rerun()` runs its input again")


class Offline:
    """What Perceval asks of an RPC handler, answered from an archive. Nothing is sent."""

    url, token, proxies = "archive:", "", None
    request_timeout = 10

    def __init__(self, name: str, find: Any, latest: Any = None):
        self.name, self._find, self._latest = name, find, latest
        self.headers: dict[str, str] = {}

    def fetch_platform_details(self) -> dict:
        """The platform's last archived answer, at or after the submission of a job. Raises NotFound."""
        for job in self._latest(self.name) if self._latest else [self._find(None)]:
            for calibration in reversed(job.calibrations):
                if calibration.value.get("type") == DETAILS:
                    return load_details(job.get, calibration.value)
        raise NotFound(f"the platform {self.name}", "this archive", "it holds no job that was sent there with its details")

    def get_job_status(self, job_id: str) -> dict:
        job = self._find(job_id)
        outcome = job.outcome or {}
        said = outcome.get("volatile", {}).get("status", {})
        word = said.get("status") or _WORDS.get(job.status, "unknown")
        made = {"creation_datetime": job.created.timestamp(), "start_time": job.created.timestamp(), "duration": 0,
                "progress": 1.0, "progress_message": "", "status_message": (job.error or {}).get("message", "")}  # fmt: skip
        return {**made, **said, "status": word}

    def get_job_results(self, job_id: str) -> dict:
        job = self._find(job_id)
        outcome = job.outcome or {}
        if "result" not in outcome:
            return {"results": None, "job_id": job_id}
        kept = job.get(outcome["result"])
        results = dict(load_result(job.get, outcome))
        context = results.get("job_context")
        if "received" in kept and conversion_in(results) not in DRAWING:
            results = dict(from_plain(kept["received"]))  # Perceval converts it again, to the same
        elif isinstance(context, Mapping) and "unconverted" not in kept:
            results["job_context"] = {name: item for name, item in context.items() if name != "result_mapping"}
        text = json.dumps(sdk("perceval.serialization", "a result", "perceval").serialize(results))
        return {**outcome.get("volatile", {}).get("answer", {}), "job_id": job_id, "results": text}

    def get_job_availability(self) -> dict:
        return {"max_jobs_in_queue": 0, "num_jobs_in_queue": 0}

    def create_job(self, cloud_data: dict) -> str:
        raise _sends_nothing("a job")

    def rerun_job(self, job_id: str) -> str:
        raise _sends_nothing(f"job {job_id}")

    def cancel_job(self, job_id: str) -> None:
        raise _sends_nothing(f"the cancellation of job {job_id}")


def _sends_nothing(what: str) -> BadInput:
    return BadInput(what, "this handler answers from the archive and sends nothing", "use one with a token to send")


def offline(native: Any, archive: Any) -> Any:
    """An object of the same kind as `native`, a handler or what has one, that answers from the archive. Raises BadInput."""
    handler = None if isinstance(native, str) else handler_of(native)
    if handler is None:
        what = "the name of a provider" if isinstance(native, str) else f"a {type(native).__name__}"
        raise BadInput(
            what, "does not say which platform", 'give an RPC handler: RPCHandler("qpu:belenos", token="none") will do'
        )
    name = handler.name
    here = Offline(name, archive.job, lambda platform: archive.jobs(provider="perceval", backend=platform, limit=20))
    if is_a(native, REMOTE_PROCESSORS):
        return sdk("perceval.runtime.legacy", "a processor", "perceval").RemoteProcessor(rpc_handler=here)
    if is_a(native, REMOTE_COMPUTERS):
        layers = sdk("perceval.providers.rpc_based_communication_layer", "a computer", "perceval")
        return sdk("perceval.runtime", "a computer", "perceval").RemoteComputer(layers.RPCBasedCommunicationLayer(here))
    return here
