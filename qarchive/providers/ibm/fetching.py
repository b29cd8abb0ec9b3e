"""What IBM's cloud still knows of jobs: one that nobody captured, all that there are, and those whose sending got no answer."""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...codec import decode, digest, encode
from ...errors import BadInput, NotAnswered, NotFound
from ...values import Link, Timestamp
from ..base import Captured, Fetched, Get, Sent, Stage
from ..qiskit.inputs import CIRCUITS, PUBS, load_circuits, load_pubs
from ..qiskit.values import from_plain
from ..sdk import sdk
from .calls import INPUTS, Call, execution, put_device, put_how, put_what
from .secrets import conceal
from .watch import Seen, client_behind, without_params
from .wire import Unanswered, Wire, wire

PLACE = "IBM Quantum"
_EARLY, _LATE = timedelta(minutes=5), timedelta(hours=1)  # clocks differ; and the SDK tries to send for so long at most
DENIED = frozenset({401, 403})


def instance_digest(instance: str | None) -> str | None:
    """What stands for an instance in an archive: which it is cannot be read from it, only that it is the same."""
    return None if instance is None else hashlib.sha256(instance.encode()).hexdigest()[:16]


def retrieve(service: Any, job_id: str) -> Any:
    """The SDK's job. Raises NotFound, BadInput where access is refused, NotAnswered."""
    exceptions = sdk("qiskit_ibm_runtime.exceptions", "a job of IBM's", "ibm")
    active = service._active_api_client
    try:
        return service.job(job_id)
    except exceptions.RuntimeJobNotFound:
        raise NotFound(f"job {job_id}", PLACE, "it was deleted, or belongs to another account or instance") from None
    except exceptions.IBMError as error:
        status = getattr(error.__context__, "status_code", None)
        if isinstance(error, exceptions.IBMNotAuthorizedError) or status in DENIED:
            raise _denied() from None
        raise NotAnswered(1, str(error)) from None
    finally:
        service._active_api_client = active  # the SDK switches to the instance that has the job


def raised(error: Unanswered, job_id: str) -> Exception:
    """What the caller of the archive is told where the service does not answer, or says no."""
    if error.status == 404:
        return NotFound(f"job {job_id}", PLACE, "it was deleted, or belongs to another account or instance")
    return _denied() if error.status in DENIED else NotAnswered(1, str(error))


def fetch(stage: Stage, job: Any, wire: Wire) -> tuple[Fetched, Seen]:
    """All that the service says of a job that was sent without us, and how it stands. Raises NotFound, BadInput, NotAnswered."""
    conceal(stage, job._service)
    try:
        raw, answer = _asked(wire, job.job_id())
    except Unanswered as error:
        raise raised(error, job.job_id()) from None
    call = _call(answer, wire)
    if "params" in raw:
        stage.gap("config.inputs", "it is as the service has it: what JSON cannot tell apart (tuples, numbers of numpy) is lost")
        what = put_what(stage, call)
    else:
        stage.gap(
            "input", "the service does not tell: the job is private" if answer.get("private") else "the service has no params"
        )
        what = stage.put("input", {"type": "missing"}), 1, ()
    stage.gap("config.runtime", "the service tells tags and whether a job is private, not which image or limits were asked for")
    stage.gap("calibration", "nobody asked for it when the job was sent")
    fetched = Fetched(
        execution(call, what, put_how(stage, call), put_device(stage, call, lambda: wire)),
        _sent(call, job.job_id(), wire),
        _moment(answer.get("created")),
    )
    return fetched, Seen(without_params(answer), fetched=True)


def listed(service: Any, since: datetime | None) -> Iterator[str]:
    """The ids of all jobs that the service's account can see, of mock devices too, the oldest first. Raises NotAnswered."""
    parameters = {"include_mocks": "True"} | ({} if since is None else {"created_after": since.astimezone(UTC).isoformat()})
    try:
        for answer in _of_all_instances(service, parameters):
            yield answer["id"]
    except Unanswered as error:
        raise raised(error, "") from None


def search(
    get: Get,
    service: Any,
    sendings: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
    known: Callable[[str], bool],
) -> list[str | None]:
    """For each (job record, attempt record) the id of the job that was accepted after all, or None.

    It was made soon after the attempt, on that device and for that program, and its params are equal to what was to be sent:
    circuits by fingerprint, numbers to the last bit, options as they stand in the request. Raises NotAnswered, BadInput.
    """
    found: list[str | None] = [None] * len(sendings)
    taken: set[str] = set()
    looked_at: dict[str, Any] = {}
    for place in sorted(range(len(sendings)), key=lambda place: sendings[place][1]["created"]):
        job, attempt = sendings[place]
        wanted = _wanted(get, job)
        if wanted is None:
            continue
        try:
            for job_id, wire in _candidates(service, get(job["config"])["program"], job, attempt):
                if job_id in taken or known(job_id):
                    continue
                if job_id not in looked_at:
                    looked_at[job_id] = _offered(wire, job_id)
                if looked_at[job_id] == wanted:
                    found[place] = job_id
                    taken.add(job_id)
                    break
        except Unanswered as error:
            raise raised(error, "") from None
    return found


def _asked(wire: Wire, job_id: str) -> tuple[dict, dict]:
    """(the answer as JSON, the same with its params as objects)."""
    text = wire.job_with_params(job_id)
    raw = json.loads(text)
    try:
        return raw, json.loads(text, cls=sdk("qiskit_ibm_runtime", "a job of IBM's", "ibm").RuntimeDecoder)
    except Exception as error:  # params that this version of the SDK does not read
        raise Unanswered(f"its params cannot be decoded: {type(error).__name__}: {error}") from None


def _call(answer: Mapping[str, Any], wire: Wire) -> Call:
    """The call that was made, as far as the service says."""
    program, session = (answer.get("program") or {}).get("id", ""), answer.get("session_id")
    runtime = {name: value for name, value in (("job_tags", answer.get("tags")), ("private", answer.get("private"))) if value}
    return Call(
        program=program,
        inputs=_inputs(program, answer.get("params") or {}),
        backend=answer.get("backend") or "",
        runtime=runtime,
        session=session,
        mode=_mode(wire, session),
        calibration_id=None,  # which the service tells of every job, and so not whether it was asked for
    )


def _inputs(program: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Params as the SDK has them before it sends them: lists as PUBs."""
    inputs = dict(params)
    if "pubs" in inputs:
        containers = sdk("qiskit.primitives.containers")
        made = containers.estimator_pub.EstimatorPub if program == "estimator" else containers.sampler_pub.SamplerPub
        inputs["pubs"] = [made.coerce(tuple(pub) if isinstance(pub, list) else pub) for pub in inputs["pubs"]]
    return inputs


def _mode(wire: Wire, session: str | None) -> str | None:
    if session is None:
        return None
    try:
        return "batch" if wire.session(session).get("mode") == "batch" else "session"
    except Unanswered:
        return None


def _sent(call: Call, job_id: str, wire: Wire) -> Sent:
    in_batch = call.mode == "batch"
    return Sent(job_id, None if in_batch else call.session, call.session if in_batch else None, instance_digest(wire.instance))


def wires(service: Any) -> list[Wire]:
    """The wires to the instances of an account that a service knows of. Raises Unanswered."""
    clients = list(getattr(service, "_api_clients", {}).values()) or [service._active_api_client]
    return [wire(client_behind(client)) for client in clients]


def calibration(stage: Stage, service: Any, device: str) -> Captured:
    """A device's properties of now, from the first of the user's instances that has it. Raises BadInput."""
    conceal(stage, service)
    problem = "none of the account's instances has it"
    for wire_of_one in wires(service):
        try:
            link, at = wire_of_one.calibration_of_now(stage, device)
            return Captured("retrieval", link, at)
        except Unanswered as error:
            problem = str(error)
    raise BadInput(f"the device {device}", problem)


def _of_all_instances(service: Any, parameters: Mapping[str, str]) -> Iterator[dict]:
    answers = [each.jobs(**parameters) for each in wires(service)]
    return heapq.merge(*answers, key=lambda answer: answer.get("created") or "")


def _candidates(service: Any, program: str, job: Mapping[str, Any], attempt: Mapping[str, Any]) -> Iterator[tuple[str, Wire]]:
    sent = attempt["created"].datetime
    parameters = {
        "backend": job["backend"],
        "program": program,
        "created_after": (sent - _EARLY).isoformat(),
        "created_before": (sent + _LATE).isoformat(),
    } | ({"include_mocks": "True"} if job["kind"] == "mock" else {})
    for each in wires(service):
        for answer in each.jobs(**parameters):
            yield answer["id"], each


def _wanted(get: Get, job: Mapping[str, Any]) -> tuple | None:
    """What an archived job would look like at the service; None where too little of it is archived to tell."""
    value, config = get(job["input"]), get(job["config"])
    encoder = sdk("qiskit_ibm_runtime", "to compare jobs", "ibm").RuntimeEncoder
    how = json.loads(json.dumps(from_plain(config.get("inputs", {})), cls=encoder))
    runtime = config.get("runtime", {})
    if value["type"] == INPUTS:
        what = json.loads(json.dumps(from_plain(value["values"]), cls=encoder))
    elif value["type"] in (PUBS, CIRCUITS) and all("circuit" in entry for entry in value["circuits"]):
        what = [entry["circuit"] for entry in value["circuits"]]
        if value["type"] == PUBS:
            what = [what, [_bound(pub) for pub in load_pubs(get, job)]]
        else:
            load_circuits(get, job)
    else:
        return None
    return what, how, sorted(runtime.get("job_tags") or ()), config.get("session")


def _offered(wire: Wire, job_id: str) -> tuple | None:
    """The same of a job that the service has; None where it does not tell its params."""
    try:
        raw, answer = _asked(wire, job_id)
        call = _call(answer, wire)
    except Unanswered as error:
        if error.status is None and "decoded" not in str(error):
            raise
        return None
    if "params" not in raw:
        return None
    listed, _, how = call.parts()
    scratch = _Scratch()
    link, _, _ = put_what(scratch, call)
    value = scratch.get(link)
    if listed is None:
        what = {name: item for name, item in raw["params"].items() if name not in how}
    elif scratch.gaps or not all("circuit" in entry for entry in value.get("circuits", ())):
        return None
    else:
        what = [entry["circuit"] for entry in value["circuits"]]
        if listed == "pubs":
            what = [what, [_bound(pub) for pub in call.inputs["pubs"]]]
    how = {name: raw["params"][name] for name in how}
    return what, how, sorted(answer.get("tags") or ()), call.session


def _bound(pub: Any) -> tuple:
    """What a PUB binds to its circuit, as it is sent."""
    values = pub.parameter_values.as_array(pub.circuit.parameters)
    bound = [list(values.shape), values.tobytes(), getattr(pub, "shots", None), getattr(pub, "precision", None)]
    if hasattr(pub, "observables"):
        bound.append(json.loads(json.dumps(pub.observables.tolist())))
    return tuple(bound)


class _Scratch:
    """A stage whose blobs nobody keeps."""

    def __init__(self):
        self.blobs: dict[bytes, bytes] = {}
        self.gaps: list[tuple[str, str]] = []

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        data = encode(value)
        self.blobs[digest(data)] = data
        return Link(digest(data))

    def find(self, key: bytes) -> None:
        return None

    def again(self, link: Link) -> bool:
        return link.digest in self.blobs

    def gap(self, what: str, reason: str) -> None:
        self.gaps.append((what, reason))

    def conceal(self, *_: str | None) -> None:
        pass

    def get(self, link: Link) -> Any:
        return decode(self.blobs[link.digest])


def _moment(text: str | None) -> Timestamp:
    return Timestamp.now() if not text else Timestamp.of(datetime.fromisoformat(text))


def _denied() -> BadInput:
    return BadInput(PLACE, "it refuses access with these credentials", "log in again: `QiskitRuntimeService.save_account(...)`")
