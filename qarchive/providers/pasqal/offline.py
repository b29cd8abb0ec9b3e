"""Pasqal's own clients over an archive: the same classes, with an HTTPClient that answers from it and needs no network. What the
archive does not have is answered as the service answers: 404. In a replay that runs what is missing there is a client behind."""

import functools
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from types import SimpleNamespace
from typing import Any

from ...errors import BadInput, NotFinished, QArchiveError
from .. import choosing, hooks
from .answers import ENDED
from .clients import CLIENT, CONNECTION, SDK, classes, client_of, is_a, pasqal
from .desk import Desk, Live
from .jobs import Held
from .shelf import Shelf, page

_ONLY_LIVE = ("send_workload", "get_workload", "cancel_workload", "get_all_active_projects")
_WIRE = ("_authenticated_request", "_request_with_status_check", "_download_results")
_OVH = "pasqal_cloud.ovh"
_OVH_TOKEN = "PASQAL_PULSER_ACCESS_TOKEN"
_submitting: ContextVar[bool] = ContextVar("qarchive_pasqal_submitting", default=False)


class _Carried(BaseException):
    """An error of ours on its way through Pulser's `submit`, which tries again for half a minute after any Exception."""

    def __init__(self, error: QArchiveError):
        self.error = error


def replay(native: Any, desk: Desk) -> Any:
    """A client or a connection of the class of `native` over an archive. Raises BadInput, MissingExtra."""
    base = getattr(pasqal(SDK[0], "a client of Pasqal's"), SDK[1])
    if isinstance(native, str):
        return _client(base, None, desk)
    if is_a(native, SDK):
        return _client(type(native), client_of(native), desk)
    if is_a(native, CONNECTION):
        made = object.__new__(type(native))
        made.cloud_client = _client(type(native.cloud_client), client_of(native), desk)
        made.submit = functools.partial(_submit(type(native).submit), made)
        return made
    raise BadInput(f"a {type(native).__name__}", "there is none that answers from an archive",
                   "give a PasqalCloudClient, a PasqalCloudConnection, or 'pasqal'")  # fmt: skip


def stand_ins(desk: Desk) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
    """(class, method, what makes the new one of the old one), so that every client answers from a desk. Raises MissingExtra."""
    base = getattr(pasqal(CLIENT[0], "a client of Pasqal's"), CLIENT[1])
    only = desk.player.mode == "only"
    originals: dict[tuple[type, str], Callable] = {}
    for kind in classes():
        for name in (*_ANSWERS, *(_WIRE if only else ())):
            if name in vars(kind):
                yield kind, name, functools.partial(_in_front, desk, originals, kind, name)
    client = getattr(pasqal(SDK[0]), SDK[1])
    if only:
        yield base, "__init__", _without_log_in
        yield client, "_wait_for_job_terminal", lambda original: lambda self, job_id: _ended(self._client, job_id)
    yield getattr(pasqal(CONNECTION[0]), CONNECTION[1]), "submit", _submit
    yield pasqal(_OVH).OVHConnection, "__init__", functools.partial(_ovh, only)


def _in_front(desk: Desk, originals: dict, kind: type, name: str, original: Callable) -> Callable:
    originals[kind, name] = original
    signature = inspect.signature(original)

    @hooks.passed_over
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(self, "desk"):  # it has an archive of its own
            return original(self, *args, **kwargs)
        given = list(signature.bind(self, *args, **kwargs).arguments.values())[1:]

        def live(asked: str, *rest: Any) -> Any:
            found = next((each for each in type(self).__mro__ if (each, asked) in originals), None)
            return originals[found, asked](self, *rest) if found else getattr(self, asked)(*rest)

        if name in _WIRE:
            return _refuse()
        return _answered(name, desk, self, None if desk.player.mode == "only" else live, given)

    return functools.wraps(original)(method)


def _without_log_in(original: Callable) -> Callable:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(original).bind(self, *args, **kwargs).arguments
        given.pop("self")
        for name in ("username", "password", "token_provider"):
            given.pop(name, None)
        original(self, **given)

    return method


def _ovh(only: bool, original: Callable) -> Callable:
    """OVH's connection finds its token in the environment, and cannot be made where there is none."""

    @functools.wraps(original)
    def method(self: Any, **kwargs: Any) -> None:
        if only or _OVH_TOKEN not in os.environ:
            kind = getattr(pasqal(SDK[0]), SDK[1])
            self.cloud_client = kind(client_class=pasqal(_OVH).OvhClient, **kwargs)
        else:
            original(self, **kwargs)

    return method


def _submit(original: Callable) -> Callable:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _submitting.set(True)
        try:
            return original(self, *args, **kwargs)
        except _Carried as carried:
            raise carried.error from None
        finally:
            _submitting.reset(token)

    return method


def archived_job(record: Any) -> Any:
    """A Job of the SDK's over one archived job. Raises MissingExtra, BadInput where it was never accepted."""
    kind = pasqal("pasqal_cloud.job", "Pasqal's own job").Job
    if record.provider_job is None:
        raise BadInput(f"job {record.id[:12]}", f"it is {record.status}, and has no job of Pasqal's", "look at its history")
    client = _archived_class()()
    client.desk = Desk(None, None, SimpleNamespace(jobs=lambda **_: [record], mode="only"))
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


def _client(kind: type, native: Any, desk: Desk) -> Any:
    def make(**_: Any) -> Any:
        client = _archived_class()(project_id=getattr(native, "_project_id", None), endpoints=getattr(native, "endpoints", None))
        client.desk = desk
        if native is not None and desk.player.mode != "only":
            client.behind = native
            client.live = functools.partial(_watched, desk.player, native)
        return client

    made = object.__new__(kind)
    getattr(pasqal(SDK[0]), SDK[1]).__init__(made, client_class=make)
    if made._client.live is None:
        made._wait_for_job_terminal = lambda job_id: _ended(made._client, job_id)
    return made


def _watched(player: Any, native: Any, name: str, *args: Any) -> Any:
    """What the cloud answers, so that the outcomes of jobs that run there are recorded."""
    with choosing.through(player):
        return getattr(native, name)(*args)


def _refuse(*_: Any, **__: Any) -> Any:
    raise BadInput("this client of Pasqal's", "it answers from the archive and sends nothing", "use a client of your own to send")


def _ended(client: Any, job_id: str) -> None:
    """Nothing here will end a job that has not: to wait for it would be for ever. Raises NotFinished."""
    status = client.get_job_status(job_id)["status"]
    if status not in ENDED:
        raise NotFinished(job_id, status)


# The answers: each is given a desk, the client that is asked, what reaches the cloud (None where nothing does), and the arguments


def _answered(name: str, desk: Desk, client: Any, live: Live | None, given: list) -> Any:
    try:
        return _ANSWERS[name](desk, client, live, *given)
    except QArchiveError as error:
        if _submitting.get():
            raise _Carried(error) from error
        raise


def _elsewhere(live: Live | None, name: str, *args: Any) -> Any:
    return _refuse() if live is None else live(name, *args)


def _get_batch(desk, client, live, batch_id):
    found = desk.batch(batch_id, live)
    return found if found is not None else live("get_batch", batch_id) if live else _missing("Batch", batch_id)


def _get_batch_status(desk, client, live, batch_id):
    found = desk.batch(batch_id, live)
    if found is None:
        return live("get_batch_status", batch_id) if live else _missing("Batch", batch_id)
    return {name: found.get(name) for name in ("id", "status", "jobs_count", "jobs_count_per_status")}


def _get_batch_jobs(desk, client, live, batch_id):
    if desk.batch(batch_id, live) is not None:
        return desk.jobs(batch_id)
    return live("get_batch_jobs", batch_id) if live else _missing("Batch", batch_id)


def _get_job(desk, client, live, job_id):
    if live is not None and desk.is_live(job_id):
        return live("get_job", job_id)
    found = desk.job(job_id)
    return found if found is not None else _missing("Job", job_id)


def _get_job_status(desk, client, live, job_id):
    if live is not None and desk.is_live(job_id):
        return live("get_job_status", job_id)
    return {"id": str(job_id), "status": _get_job(desk, client, None, job_id)["status"]}


def _get_job_results(desk, client, live, job_id):
    entry = desk.shelf.jobs().get(str(job_id))
    if entry is not None and entry.has_result:
        return entry.job.result()
    if live is not None:
        return live("get_job_results", job_id)
    if _get_job(desk, client, None, job_id)["status"] == "DONE":
        raise BadInput(f"the results of job {job_id}", "they are not in the archive", "`qarchive sync` gets them")
    return None


def _get_jobs(desk, client, live, filters, pagination_params):
    if live is not None:
        return live("get_jobs", filters, pagination_params)
    found = [job for batch in desk.shelf.batches().values() for job in batch.job_answers()]
    return page(found, filters.model_dump(exclude_unset=True), pagination_params.offset, pagination_params.limit)


def _get_batches(desk, client, live, filters, pagination_params):
    if live is not None:
        return live("get_batches", filters, pagination_params)
    found = [batch.answer(with_sequence=False) for batch in desk.shelf.batches().values()]
    return page(found, filters.model_dump(exclude_unset=True), pagination_params.offset, pagination_params.limit)


def _devices(name: str) -> Callable:
    return lambda desk, client, live: desk.shelf.devices() if live is None else live(name)


def _close_batch(desk, client, live, batch_id):
    return desk.close(batch_id, live) or _elsewhere(live, "close_batch", batch_id)


def _cancel_batch(desk, client, live, batch_id):
    return desk.cancel(batch_id, live) or _elsewhere(live, "cancel_batch", batch_id)


def _cancel_batches(desk, client, live, batch_ids):
    return {"batches": [_cancel_batch(desk, client, live, batch_id) for batch_id in batch_ids], "errors": {}}


def _cancel_job(desk, client, live, job_id):
    return desk.job(job_id) if desk.holds(job_id) else _elsewhere(live, "cancel_job", job_id)


def _cancel_jobs(desk, client, live, batch_id, filters):
    jobs = desk.jobs(batch_id) or ()
    if jobs and all(desk.holds(job["id"]) for job in jobs):
        return {"jobs": [], "errors": {}}  # they have ended
    return _elsewhere(live, "cancel_jobs", batch_id, filters)


def _set_batch_tags(desk, client, live, batch_id, tags):
    return desk.tag(batch_id, tags) or _elsewhere(live, "set_batch_tags", batch_id, tags)


_ANSWERS: dict[str, Callable] = {
    "send_batch": lambda desk, *given: desk.send_batch(*given),
    "add_jobs": lambda desk, *given: desk.add_jobs(*given),
    "rebatch": lambda desk, *given: desk.rebatch(*given),
    "get_batch": _get_batch,
    "get_batch_status": _get_batch_status,
    "get_batch_jobs": _get_batch_jobs,
    "get_job": _get_job,
    "get_job_status": _get_job_status,
    "get_job_results": _get_job_results,
    "get_jobs": _get_jobs,
    "get_batches": _get_batches,
    "get_device_specs_dict": _devices("get_device_specs_dict"),
    "get_public_device_specs": _devices("get_public_device_specs"),
    "close_batch": _close_batch,
    "cancel_batch": _cancel_batch,
    "cancel_batches": _cancel_batches,
    "cancel_job": _cancel_job,
    "cancel_jobs": _cancel_jobs,
    "set_batch_tags": _set_batch_tags,
    **{name: functools.partial(lambda name, desk, client, live, *given: _elsewhere(live, name, *given), name)
       for name in _ONLY_LIVE},
}  # fmt: skip


def _missing(kind: str, entry_id: Any) -> Any:
    requests = pasqal("requests", "Pasqal's own client")
    said = f"{kind} with id {entry_id} is not in the archive."
    answer = requests.Response()
    answer.status_code, answer.reason, answer.url = 404, "Not Found", ""
    body: Mapping[str, Any] = {"status": "fail", "code": "404", "message": said, "data": {"description": said}}
    answer._content, answer.encoding = json.dumps(body).encode(), "utf-8"
    raise requests.HTTPError(f"404 Client Error: {said}", response=answer)


@cache
def _archived_class() -> type:
    base = getattr(pasqal(CLIENT[0], "Pasqal's own client"), CLIENT[1])

    class ArchivedClient(base):
        """An HTTPClient whose answers are those of an archive."""

        desk: Desk
        live: Live | None = None
        behind: Any = None  # the client that reaches the cloud, with its user's credentials

        @property
        def shelf(self) -> Shelf:
            return self.desk.shelf

    def answering(name: str) -> Callable:
        signature = inspect.signature(getattr(base, name))

        @functools.wraps(getattr(base, name))
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            given = list(signature.bind(self, *args, **kwargs).arguments.values())[1:]
            return _answered(name, self.desk, self.behind or self, self.live, given)

        return method

    for name in _ANSWERS:
        if hasattr(base, name):
            setattr(ArchivedClient, name, answering(name))
    for name in _WIRE:
        if hasattr(base, name):
            setattr(ArchivedClient, name, _refuse)
    return ArchivedClient
