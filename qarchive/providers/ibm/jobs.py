"""IBM's own job interface over an archived job, offline: a real RuntimeJobV2 whose client answers from the archive.

What it answers is what the service answered once. Its backend is a real IBMBackend over the archived configuration and
properties. Whatever would change something, or was never asked for, raises.
"""

import json
from functools import cache
from typing import Any

from ...errors import BadInput, NotFinished
from ..qiskit.ibm_snapshots import CONFIGURATION, raw_value
from ..sdk import sdk
from . import outcomes
from .inputs import decoded, params_of

# The provider's words for statuses of ours, for jobs whose last word is not archived.
_WORDS = {
    "RUNNING": "Running",
    **dict.fromkeys(("PREPARED", "SENDING", "QUEUED", "PAUSED"), "Queued"),
    **dict.fromkeys(("DONE", "PARTIAL"), "Completed"),
    **dict.fromkeys(("ERROR", "REFUSED", "UNKNOWN"), "Failed"),
    **dict.fromkeys(("CANCELLED", "TIMED_OUT"), "Cancelled"),
}
_FINAL = frozenset({"DONE", "PARTIAL", "ERROR", "REFUSED", "UNKNOWN", "CANCELLED", "TIMED_OUT"})
_ARCHIVED = "job {} is archived and {}"


class ArchivedClient:
    """What a RuntimeClient offers to jobs and backends, answered from one archived job."""

    _instance = None

    def __init__(self, record: Any):
        self._record = record
        self._volatile = (record.outcome or {}).get("volatile", {})

    def job_get(self, job_id: str, exclude_params: bool = True) -> dict:
        answer = json.loads(json.dumps(self._volatile.get("job") or self._short()))
        if exclude_params:
            return answer
        record = self._record
        return {**answer, "params": decoded(record.config["program"], params_of(record.get, record.record))}

    def job_results(self, job_id: str) -> str:
        record = self._record
        try:
            return outcomes.raw_text(record.get, record.outcome or {})
        except BadInput as error:
            if record.error is not None:
                return record.error.get("message", "")
            raise self._error(f"has no text of its results ({error.reason})") from None

    def job_metadata(self, job_id: str) -> dict:
        if "metrics" not in self._volatile:
            raise self._error("has no metrics; see its gaps")
        return json.loads(json.dumps(self._volatile["metrics"]))

    def job_logs(self, job_id: str) -> str:
        raise self._error("its logs are not")

    def job_cancel(self, job_id: str) -> None:
        raise self._error("cannot be cancelled")

    def update_tags(self, job_id: str, tags: list) -> None:
        raise self._error("keeps its tags")

    def backend_properties(self, backend_name: str, datetime: Any = None, calibration_id: str | None = None) -> dict:
        """Those at sending; with a time those of the run, where they are archived."""
        wanted = ("run", "submit", "retrieval") if datetime else ("submit", "run", "retrieval")
        attempt = self._record.folded.current
        found = {phase: link for phase, link, _ in (attempt.calibrations if attempt else ())}
        link = next((found[phase] for phase in wanted if phase in found), None)
        return {} if link is None else raw_value(self._record.get, self._record.get(link))

    def backend_status(self, backend_name: str) -> dict:
        return {"backend_name": backend_name, "backend_version": "", "operational": False, "pending_jobs": 0,
                "status_msg": "archived"}  # fmt: skip

    def backend(self, name: str, **_: Any) -> Any:
        """What a job asks its service for."""
        return archived_backend(self._record, self)

    def _run(self, *_: Any, **__: Any) -> None:
        hint = "use `job.rebuild()` or `job.rerun()`"
        raise BadInput(f"the backend of {self._called()}", "it is archived and runs nothing", hint)

    def _short(self) -> dict:
        """An answer for a job of which there is none."""
        record, status = self._record, self._record.status
        answer = {"id": record.provider_job or record.id, "backend": record.backend, "status": _WORDS[status]}
        error = record.error or {}
        answer["state"] = {"status": _WORDS[status]} | ({"reason": error["message"]} if error.get("message") else {})
        if status == "TIMED_OUT":
            answer["state"]["reason_code"] = 1305
        return {**answer, "program": {"id": record.config.get("program", "")}, "created": record.created.isoformat()}

    def _called(self) -> str:
        return f"job {self._record.provider_job or self._record.id[:12]}"

    def _error(self, why: str) -> Exception:
        made = sdk("qiskit_ibm_runtime.api.exceptions", "IBM's own job", "ibm").RequestsApiError
        return made(f"{self._called()} is archived and {why}")


def archived_job(record: Any, service: Any = None, backend: Any = None, decoder: Any = None) -> Any:
    """A RuntimeJobV2 over `record`, an archived job, of a service and on a backend, or of and on what is archived of it. Raises
    MissingExtra.

    `decoder` is what `QiskitRuntimeService._run` takes as `result_decoder`.
    """
    client = ArchivedClient(record)
    answer = client.job_get("")
    config = record.config
    runtime = config.get("runtime", {})
    sent = next((later for attempt in record.folded.attempts for _, later in attempt.later if later["type"] == "sent"), {})
    return _job_class()(
        record,
        decoder,
        backend=archived_backend(record, client, service) if backend is None else backend,
        api_client=client,
        service=client if service is None else service,
        job_id=answer["id"],
        program_id=config.get("program", ""),
        creation_date=answer.get("created"),
        image=answer.get("runtime") or runtime.get("image") or "",
        session_id=sent.get("session") or sent.get("batch") or config.get("session"),
        tags=answer.get("tags", runtime.get("job_tags")),
        version=config.get("inputs", {}).get("version"),
        private=bool(runtime.get("private")),
    )


def archived_backend(record: Any, client: ArchivedClient, service: Any = None) -> Any:
    """An IBMBackend from the snapshot of a job; where there is none one that knows its name alone, as of a retired device.

    What is run on it is sent by `service`; without one nothing is.
    """
    described = record.backend_snapshot or {}
    if described.get("type") != CONFIGURATION:
        retired = sdk("qiskit_ibm_runtime.ibm_backend", "IBM's own backend", "ibm").IBMRetiredBackend
        return retired.from_name(record.backend, client)
    gates = described.get("fractional_gates")
    decoder = sdk("qiskit_ibm_runtime.utils.backend_decoder", "IBM's own backend", "ibm")
    configuration = decoder.configuration_from_server_data(raw_value(record.get, described), "", gates)
    if configuration is None:
        raise BadInput(f"the device {record.backend}", "this version of IBM's SDK does not read its configuration")
    backend = sdk("qiskit_ibm_runtime", "IBM's own backend", "ibm").IBMBackend(
        configuration=configuration, service=client if service is None else service, api_client=client, instance=None,
        calibration_id=record.config.get("calibration_id"))  # fmt: skip
    backend.options.use_fractional_gates, backend._is_mock = gates, record.kind == "mock"
    return backend


@cache
def _job_class() -> type:
    runtime = sdk("qiskit_ibm_runtime", "IBM's own job", "ibm")

    class ArchivedJob(runtime.RuntimeJobV2):
        """A job as it was archived; `archived` is the archive's own view of it."""

        def __init__(self, record: Any, decoder: Any, **fields: Any):
            super().__init__(**fields, result_decoder=decoder)
            self.archived, self._decoder = record, decoder

        def wait_for_final_state(self, timeout: float | None = None, poll_interval: float | None = None) -> None:
            """Returns where the job has ended. Raises NotFinished where it has not: nothing here will end it."""
            if self.archived.status not in _FINAL:
                raise NotFinished(self.archived.id[:12], self.archived.status)
            self.status()

        def result(self, timeout: float | None = None, decoder: Any = None, poll_interval: float | None = None) -> Any:
            """The archived result; with a decoder what that makes of the text.

            Raises NotFinished, and for jobs that failed what the SDK raises.
            """
            decoder = decoder or self._decoder
            has_result = "result" in (self.archived.outcome or {})
            return self.archived.result() if decoder is None and has_result else super().result(timeout, decoder, poll_interval)

    return ArchivedJob
