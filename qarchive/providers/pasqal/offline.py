"""Pasqal's own clients over an archive: the same classes, with an HTTPClient that answers from it, sends nothing and needs no
network. What the archive does not have is answered as the service answers: 404."""

import json
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

from ...errors import BadInput, NotFinished
from .answers import ENDED
from .clients import CLIENT, CONNECTION, SDK, client_of, is_a, pasqal
from .jobs import Held
from .shelf import Shelf, page

_SENDS = ("send_batch", "add_jobs", "rebatch", "close_batch", "cancel_batch", "cancel_batches", "cancel_job", "cancel_jobs",
          "set_batch_tags", "send_workload", "get_workload", "cancel_workload", "get_all_active_projects",
          "_authenticated_request", "_request_with_status_check", "_download_results")  # fmt: skip
_ENOUGH = {"batch_id", "project_id", "created_at", "updated_at"}  # of an answer about a job, for the SDK to make one of it


def replay(native: Any, archive: Any) -> Any:
    """A client or a connection of the class of `native` over an archive. Raises BadInput, MissingExtra."""
    base = getattr(pasqal(SDK[0], "a client of Pasqal's"), SDK[1])
    if isinstance(native, str):
        return _client(base, None, archive)
    if is_a(native, SDK):
        return _client(type(native), client_of(native), archive)
    if is_a(native, CONNECTION):
        made = object.__new__(type(native))
        made.cloud_client = _client(type(native.cloud_client), client_of(native), archive)
        made.submit = _refuse  # before Pulser tries again and again
        return made
    raise BadInput(f"a {type(native).__name__}", "there is none that answers from an archive",
                   "give a PasqalCloudClient, a PasqalCloudConnection, or 'pasqal'")  # fmt: skip


def archived_job(record: Any) -> Any:
    """A Job of the SDK's over one archived job. Raises MissingExtra, BadInput where it was never accepted."""
    kind = pasqal("pasqal_cloud.job", "Pasqal's own job").Job
    if record.provider_job is None:
        raise BadInput(f"job {record.id[:12]}", f"it is {record.status}, and has no job of Pasqal's", "look at its history")
    client = _archived_class()()
    client.shelf = Shelf(SimpleNamespace(jobs=lambda **_: [record]))
    return kind(**client.get_job(record.provider_job), _client=client)


def held(job: Any) -> Held | None:
    """What the archive knows of a job that came out of it; None for any other."""
    client = getattr(job, "_client", None)
    if not hasattr(client, "shelf"):
        return None
    entry = client.shelf.jobs()[job.id]
    record, outcome = entry.job, entry.outcome
    known = outcome.get("volatile", {})
    found = Held(client, known.get("job") or client.get_job(job.id))
    found.final = found.final and "volatile.job" not in {gap["what"] for gap in outcome.get("gaps", ())}
    found.batch = known.get("batch")
    found.results = record.result() if entry.has_result else None
    return found


def _client(kind: type, native: Any, archive: Any) -> Any:
    def make(**_: Any) -> Any:
        client = _archived_class()(project_id=getattr(native, "_project_id", None), endpoints=getattr(native, "endpoints", None))
        client.shelf = Shelf(archive)
        return client

    made = object.__new__(kind)
    getattr(pasqal(SDK[0]), SDK[1]).__init__(made, client_class=make)
    made._wait_for_job_terminal = lambda job_id: _ended(made._client, job_id)
    return made


def _refuse(*_: Any, **__: Any) -> Any:
    raise BadInput("this client of Pasqal's", "it answers from the archive and sends nothing", "use a client of your own to send")


def _ended(client: Any, job_id: str) -> None:
    """Nothing here will end a job that has not: to wait for it would be for ever. Raises NotFinished."""
    status = client.get_job_status(job_id)["status"]
    if status not in ENDED:
        raise NotFinished(job_id, status)


@cache
def _archived_class() -> type:
    base = getattr(pasqal(CLIENT[0], "Pasqal's own client"), CLIENT[1])
    requests = pasqal("requests", "Pasqal's own client")

    class ArchivedClient(base):
        """An HTTPClient whose answers are those of an archive."""

        shelf: Shelf

        def get_batch(self, batch_id: str) -> dict[str, Any]:
            return self._batch(batch_id).answer()

        def get_batch_status(self, batch_id: str) -> dict[str, Any]:
            found = self._batch(batch_id).answer(with_sequence=False)
            return {name: found.get(name) for name in ("id", "status", "jobs_count", "jobs_count_per_status")}

        def get_batch_jobs(self, batch_id: str) -> list[dict[str, Any]]:
            return self._batch(batch_id).job_answers()

        def get_job(self, job_id: str) -> dict[str, Any]:
            return self._job(job_id, with_sequence=True)

        def get_job_status(self, job_id: str) -> dict[str, Any]:
            return {"id": str(job_id), "status": self._job(job_id)["status"]}

        def get_job_results(self, job_id: str) -> dict[str, Any] | None:
            entry = self._entry(job_id)
            if entry.has_result:
                return entry.job.result()
            if self._job(job_id)["status"] == "DONE":
                raise BadInput(f"the results of job {job_id}", "they are not in the archive", "`qarchive sync` gets them")
            return None

        def get_jobs(self, filters: Any, pagination_params: Any) -> dict[str, Any]:
            found = [job for batch in self.shelf.batches().values() for job in batch.job_answers()]
            return page(found, filters.model_dump(exclude_unset=True), pagination_params.offset, pagination_params.limit)

        def get_batches(self, filters: Any, pagination_params: Any) -> dict[str, Any]:
            found = [batch.answer(with_sequence=False) for batch in self.shelf.batches().values()]
            return page(found, filters.model_dump(exclude_unset=True), pagination_params.offset, pagination_params.limit)

        def get_device_specs_dict(self) -> dict[str, str]:
            return self.shelf.devices()

        def get_public_device_specs(self) -> dict[str, str]:
            return self.shelf.devices()

        def _entry(self, job_id: Any) -> Any:
            found = self.shelf.jobs().get(str(job_id))
            return found if found is not None else self._missing("Job", job_id)

        def _batch(self, batch_id: Any) -> Any:
            found = self.shelf.batches().get(str(batch_id))
            return found if found is not None else self._missing("Batch", batch_id)

        def _job(self, job_id: Any, with_sequence: bool = False) -> dict[str, Any]:
            entry = self._entry(job_id)
            if entry.told.keys() >= _ENOUGH:
                return entry.answer(entry.told["batch_id"], {}, with_sequence)
            for batch in self.shelf.batches().values():
                for answer in batch.job_answers(with_sequence):
                    if answer["id"] == entry.id:
                        return answer
            return entry.answer("", {}, with_sequence)

        @staticmethod
        def _missing(kind: str, entry_id: Any) -> Any:
            said = f"{kind} with id {entry_id} is not in the archive."
            answer = requests.Response()
            answer.status_code, answer.reason, answer.url = 404, "Not Found", ""
            body: Mapping[str, Any] = {"status": "fail", "code": "404", "message": said, "data": {"description": said}}
            answer._content, answer.encoding = json.dumps(body).encode(), "utf-8"
            raise requests.HTTPError(f"404 Client Error: {said}", response=answer)

    for name in _SENDS:
        if hasattr(base, name):
            setattr(ArchivedClient, name, _refuse)
    return ArchivedClient
