"""What a cloud can still say of a job: its status and results. It gives neither input nor platform back."""

import hashlib
from typing import Any

from ...errors import BadInput, NotFound
from ...values import Timestamp
from ..base import Captured, Execution, Fetched, Origin, Sent, Stage, State
from ..sdk import sdk
from . import platforms
from .objects import EXECUTIONS, REMOTE_JOBS, handler_of, is_a
from .payloads import body_of, put_payload
from .platforms import address, asking, kind_of, named, patient_copy, put_details, put_platform, secrets_of
from .refusals import DENIED
from .remote import FINAL, ON_THE_WAY, RemoteRun


def instance_of(handler: Any) -> str:
    """Which cloud a handler reaches, as a digest of its address."""
    return hashlib.sha256(address(handler).encode()).hexdigest()[:16]


def connect() -> Any:
    """A handler with the token and the address that Perceval keeps for its user. Raises BadInput, MissingExtra."""
    handlers = sdk("perceval.providers.quandela.rpc_handler", "a job of Quandela's cloud", "perceval")
    try:
        return handlers.RPCHandler("")
    except ConnectionError:
        raise BadInput(
            "Quandela Cloud", "there is no token to use", "save one with perceval.RemoteConfig, or give a RemoteProcessor"
        ) from None


def retrieve(client: Any, provider_job: str, origin: Origin | None) -> RemoteRun:
    """The job, with its status. Raises NotFound, BadInput."""
    handler = handler_of_job(client, provider_job, origin)
    run = RemoteRun(handler, provider_job)
    run.status = ask(run, "get_job_status")
    return run


def handler_of_job(client: Any, provider_job: str, origin: Origin | None) -> Any:
    """The same handler for the platform of a job. Raises BadInput where it is of another cloud."""
    if origin is None:
        return client
    if origin.instance is not None and origin.instance != instance_of(client):
        hint = f"give a processor of the cloud that it was sent to: {address(client)} is another one"
        raise BadInput(f"job {provider_job}", "it was sent to another cloud", hint)
    return named(client, origin.backend)


def ask(run: RemoteRun, question: str) -> dict:
    """An answer about a job. Raises NotFound where the cloud does not know it, BadInput where it refuses or does not answer."""
    requests = sdk("requests", "a job of Quandela's cloud", "perceval")
    try:
        with asking():
            return getattr(patient_copy(run.handler), question)(run.id)
    except requests.HTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status == 404:
            raise NotFound(f"job {run.id}", address(run.handler)) from None
        if status in DENIED:
            raise refuses(run.handler, status) from None
        raise BadInput(f"job {run.id}", f"{address(run.handler)} answered {status or error}", "try again later") from None
    except requests.RequestException as error:
        raise BadInput(
            f"job {run.id}", f"{address(run.handler)} did not answer ({type(error).__name__})", "try again later"
        ) from None


def refuses(handler: Any, status: int) -> BadInput:
    """What is said where a token is not accepted."""
    hint = "save a new one with perceval.RemoteConfig, or give a processor that has one; the archive needs no change"
    return BadInput(address(handler), f"it refuses the token ({status})", hint)


def state(run: RemoteRun) -> State:
    """How a job stands, as its last answer says; of one that is done the results are asked for."""
    word = run.word
    status = FINAL.get(word)
    if status is None:
        return State(ON_THE_WAY.get(word, "QUEUED"), word, False)
    if run.results is None and run.final is None:
        try:
            run.results = ask(run, "get_job_results")
        except (BadInput, NotFound):
            if status == "DONE":
                raise
    return State(status, word, True)


def calibration(stage: Stage, client: Any, backend: str, asks: platforms.Platforms) -> Captured:
    """A platform's details of now. Raises BadInput."""
    handler = handler_for(client, backend)
    stage.conceal(*secrets_of(handler))
    try:
        details, at = asks.details(handler)
    except Exception as error:
        said = f"{address(handler)} was asked for its details and did not answer: {type(error).__name__}: {error}"
        raise BadInput(f"the platform {backend}", said) from None
    return Captured("retrieval", put_details(stage, backend, details), at)


def handler_for(client: Any, backend: str) -> Any:
    """The same handler for a platform; those of Kipu and Scaleway are of one platform only."""
    handler = named(client, backend)
    if handler.name != backend:
        raise BadInput(f"the platform {backend}", f"the handler that was given is of {client.name}", "give one of it")
    return handler


def fetch(stage: Stage, native: Any, run: RemoteRun, asks: platforms.Platforms) -> Fetched:
    """Everything that can still be known of a job that was not captured."""
    if run.id is None:
        hint = "wrap its processor before it is, or record it afterwards"
        raise BadInput(f"a {type(native).__name__}", "it was not sent yet", hint)
    stage.conceal(*secrets_of(run.handler))
    if run.status is None:
        run.status = ask(run, "get_job_status")
    name = run.handler.name
    request = getattr(native, "_request_data", None) if is_a(native, REMOTE_JOBS) else None
    if is_a(native, EXECUTIONS):
        request = body_of(native.computation, name, native.name, native.job_group_name)
    if isinstance(request, dict) and isinstance(request.get("payload"), dict):
        input_link, config, known = put_payload(stage, request)
    else:
        stage.gap("input", "the service does not give the input of a job back")
        input_link, config, known = stage.put("input", {"type": "missing"}), stage.put("config", {}), {}
        if name:
            stage.gap("backend", f"the service does not say which platform ran it; it was asked for through {name}")
    found = platforms.capture(stage, asks, run.handler, "backend") if name else None
    details = found[0] if found is not None else None
    stage.gap("calibration", "the job was sent without the archive, and the service does not tell earlier calibrations")
    backend = put_platform(stage, name, details)
    execution = Execution(
        "perceval", kind_of(name, details), name or "unknown", input_link, config, backend, remote=True, **known
    )
    return Fetched(execution, Sent(run.id, instance=instance_of(run.handler)), _created(run))


def _created(run: RemoteRun) -> Timestamp:
    moment = (run.status or {}).get("creation_datetime")
    if isinstance(moment, int | float) and not isinstance(moment, bool) and 0 < moment < 1e11:
        return Timestamp(round(moment * 1_000_000) * 1000)
    return Timestamp.now()


def describe(stage: Stage, handler: Any, body: dict, asks: platforms.Platforms) -> Execution:
    """Everything about a job that is about to be sent, with the platform's details of now."""
    stage.conceal(*secrets_of(handler))
    input_link, config, known = put_payload(stage, body)
    return Execution("perceval", input=input_link, config=config, **_platform(stage, handler, asks), **known)


def asked(stage: Stage, handler: Any, body: dict) -> Execution:
    """The same, without asking anybody."""
    input_link, config, known = put_payload(stage, body)
    name = str(handler.name)
    return Execution("perceval", kind_of(name, None), name, input_link, config, put_platform(stage, name, None), **known)


def again(stage: Stage, handler: Any, job: dict, asks: platforms.Platforms) -> Execution:
    """The same for a job that its cloud runs again."""
    stage.conceal(*secrets_of(handler))
    return Execution("perceval", input=job["input"], config=job["config"], **_platform(stage, handler, asks))


def _platform(stage: Stage, handler: Any, asks: platforms.Platforms) -> dict[str, Any]:
    name = str(handler.name)
    found = platforms.capture(stage, asks, handler, "calibration")
    details, at = found if found is not None else (None, None)
    calibration = None if details is None else put_details(stage, name, details)
    return {"kind": kind_of(name, details), "backend_name": name, "backend": put_platform(stage, name, details),
            "calibration": calibration, "captured": at, "remote": True}  # fmt: skip


def client_of(native: Any) -> Any | None:
    """The handler in one of Perceval's objects; None where it runs here."""
    return handler_of(native)
