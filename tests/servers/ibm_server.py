"""A loopback IBM Quantum server: the unmodified SDK talks to it, and Qiskit Aer runs behind it.

    with IBMServer(seed=7) as server:
        service = server.service()  # a real QiskitRuntimeService
        backend = service.backend("ibm_alpha")

Real here: the wire protocol as `qiskit_ibm_runtime` 0.51 uses it (IAM tokens, instances, backends, calibrations over time,
jobs, sessions, batches, usage, tags, errors), device data of real devices, noisy results of sampler and estimator.

Not simulated: error mitigation and suppression (options are echoed, see `ibm_programs`), queues of other users, time limits
(`break_next` with code 1305 ends a job as too long), session time-outs, plans and permissions, the programs `executor`,
`calibrate` and noise learner V3 (refused with 404), `/workloads`, TLS, image and log level. One worker runs all jobs in turn.
Charged seconds are reckoned from shots, not from Aer's time. Error codes 1007, 1200, 1201 and 1208 with their messages are as
IBM's registry and users' reports have them, and 1305 as the SDK reads it; the others are of the right form only.
Nothing limits how many jobs may be pending, but `limit`: the message of its refusal is one that users report of 2025, its status
and code are those of the platform before.

From another process: `python ibm_server.py` prints its address and serves until stdin closes. A line of JSON on stdin,
`["hold"]` or `["fail_next", 503, 2]`, calls that method, and its answer is printed as a line of JSON. For any process,
`environment(address)` are the variables that the SDK needs, and `save_account` writes the account file for
`QiskitRuntimeService()` without arguments.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import ibm_programs
from ibm_devices import Calibration, Device
from ibm_endpoints import dispatch
from ibm_jobs import CANCELLED, COMPLETED, FAILED, QUEUED, RAN_TOO_LONG, RUNNING, Job, Session, now
from ibm_wire import API_PREFIX, Accounts, Call, Failures, Listener, Refusal, Request, refusal_of
from qiskit_ibm_runtime import QiskitRuntimeService

CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0f3c5b7d9e1a42c4b6d8f0a2c4e6081a:1b2e6c1e-7a34-4f0c-9a53-2f6f1c5e7d10::"
OTHER_CRN = CRN.replace("us-east", "eu-de").replace("1b2e6c1e", "9d4f8a2b")
TOKEN = "loopback-api-key"
SITE = "http://ibm.invalid"  # stands for https://cloud.ibm.com where the server is the client's proxy


def environment(address: str) -> dict[str, str]:
    """The environment variables with which the SDK, in any process, finds the server at `address`."""
    return {"IAM_URL": address, "QISKIT_FUNCTIONS_EXPERIMENTAL": "1", "NO_PROXY": "127.0.0.1"}


def save_account(address: str, folder: Path, *, instance: str = CRN, token: str = TOKEN) -> dict[str, str]:
    """Writes an account file below `folder`, used as home, and returns the environment variables for a subprocess.

    In it `QiskitRuntimeService()` works as it stands. The SDK leaves an address with "experimental" in it unchanged, which
    is how the account's `url` reaches a loopback server. Without a file, the variables QISKIT_IBM_TOKEN, QISKIT_IBM_URL
    (`address` + `ibm_wire.API_PREFIX`) and QISKIT_IBM_INSTANCE do the same.
    """
    file = folder / ".qiskit" / "qiskit-ibm.json"
    url = address + API_PREFIX
    QiskitRuntimeService.save_account(
        token=token, url=url, instance=instance, filename=str(file), set_as_default=True, overwrite=True
    )
    return environment(address) | {"HOME": str(folder), "USERPROFILE": str(folder)}


def impatient(service: QiskitRuntimeService, seconds: float) -> None:
    """Makes a service give up each answer after `seconds`; by itself it waits a quarter of an hour for that to a submission."""
    for client in service._api_clients.values():
        session = client._session
        asking = type(session).request
        session.request = lambda *args, asking=asking, session=session, **kwargs: asking(
            session, *args, **kwargs | {"timeout": seconds}
        )


def hurry(monkeypatch) -> None:
    """Spares tests what the SDK takes its time for: half a second between two looks at a job, and `inspect.stack()`.

    It asks for the stack at each request, of which it needs the names of files only. That reads the source of every frame, and
    for each frame of a hook looks at all modules that there are: two thirds of what the tests of IBM took.
    """

    def stack() -> list[SimpleNamespace]:
        frame, found = sys._getframe(1), []
        while frame is not None:
            found.append(SimpleNamespace(filename=frame.f_code.co_filename))
            frame = frame.f_back
        return found

    shortened = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(min(seconds, 0.02)))
    monkeypatch.setattr("qiskit_ibm_runtime.api.session.inspect", SimpleNamespace(stack=stack))
    monkeypatch.setattr("qiskit_ibm_runtime.runtime_job_v2.time", shortened)


class IBMServer:
    """The server; a context manager that starts and stops it.

    Attributes to set: `seed` (of every job; None is random), `latency_s` (before each answer), `token_lifetime_s`,
    `allocation_s` (of each instance, for usage). Attributes to read: `address`, `instances` (name to CRN), `devices`,
    `jobs` (by id), `jobs_seen` (all accepted, in order, deleted ones too), `sessions`, `requests`.
    """

    def __init__(self, *, seed: int | None = None, port: int = 0):
        self.seed, self.latency_s, self.allocation_s = seed, 0.0, 36_000
        self.instances = {"first": CRN, "other": OTHER_CRN}
        self.devices: dict[str, Device] = {}
        self.jobs: dict[str, Job] = {}
        self.jobs_seen: list[Job] = []
        self.sessions: dict[str, Session] = {}
        self.requests: list[Request] = []
        self.read_once: set[str] = set()
        self._accounts = Accounts()
        self._failures = Failures()
        self._limit: int | None = None
        self._breaks: deque[tuple[str, int | None]] = deque()
        self._queue: deque[Job] = deque()
        self._held: str | None = None
        self._changed = threading.Condition(threading.RLock())
        self._stopped = threading.Event()
        self._environment: dict[str, str | None] = {}
        self.add_device("ibm_alpha", "manila", (CRN,))
        self.add_device("ibm_beta", "lagos", (CRN, OTHER_CRN))
        self._listener = Listener(port, self)
        self.address = f"http://127.0.0.1:{self._listener.server_port}"
        self._threads = (
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="ibm-http", daemon=True),
            threading.Thread(target=self._work, name="ibm-worker", daemon=True),
        )

    def __enter__(self) -> "IBMServer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops answering, closes all connections and restores the environment."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
        self._listener.shutdown()
        self._listener.server_close()
        self._threads[1].join(5)
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment = {}

    # The client's side

    def service(self, *, instance: str | None = CRN, token: str = TOKEN, **options: object) -> QiskitRuntimeService:
        """A real service for this server; `options` are passed to its constructor.

        Sets IAM_URL and QISKIT_FUNCTIONS_EXPERIMENTAL in this process until `stop`. With `instance=None` the service looks
        up its instances itself, as it does in the cloud: then the server is its HTTP proxy, for made-up host names.
        """
        for name, value in environment(self.address).items():
            self._environment.setdefault(name, os.environ.get(name))
            os.environ[name] = value
        if instance is None:
            del os.environ["QISKIT_FUNCTIONS_EXPERIMENTAL"]
            place = {"url": SITE, "proxies": {"urls": {"http": self.address}}}
        else:
            place = {"url": self.address + API_PREFIX, "instance": instance}
        return QiskitRuntimeService(**{"channel": "ibm_quantum_platform", "token": token} | place | options)

    def save_account(self, folder: Path, *, instance: str = CRN, token: str = TOKEN) -> dict[str, str]:
        """Writes an account file below `folder`; returns the variables with which a subprocess uses it."""
        return save_account(self.address, folder, instance=instance, token=token)

    # Modes

    @property
    def token_lifetime_s(self) -> int:
        """How long bearer tokens are valid; the SDK fetches a new one for each request if this is under 10."""
        return self._accounts.lifetime_s

    @token_lifetime_s.setter
    def token_lifetime_s(self, value: int) -> None:
        self._accounts.lifetime_s = value

    def add_device(self, name: str, source: str, instances: tuple[str, ...]) -> Device:
        """Adds a device with the data of `source`, and its mock counterpart ("ibm_x" has "mock_x")."""
        for each in (name, f"mock_{name.partition('_')[2]}"):
            self.devices[each] = Device(each, source, instances)
        return self.devices[name]

    def calibrate(self, name: str, when: datetime | None = None, change: Callable[[dict], None] | None = None) -> Calibration:
        """Adds a calibration of a device at `when` (default: now); `change(properties)` edits a copy of the one before."""
        with self._changed:
            return self.devices[name].calibrate(when or now(), change)

    def retire(self, name: str) -> None:
        """Takes a device away: it is no longer listed, and its configuration answers 404. Its jobs stay."""
        self.devices[name].retired = True

    def hold(self, status: str = QUEUED) -> None:
        """Keeps jobs from going on: they stay "Queued" or, with that as `status`, "Running"."""
        if status not in (QUEUED, RUNNING):
            raise ValueError(f"jobs can be held while Queued or Running, not {status}")
        self._set_hold(status)

    def release(self) -> None:
        """Lets held jobs go on."""
        self._set_hold(None)

    def _set_hold(self, status: str | None) -> None:
        with self._changed:
            self._held = status
            self._changed.notify_all()

    def renew(self) -> None:
        """Forgets all jobs, once they have ended, and requests, for the next test on the same server: to start one takes long."""
        self.limit(None)
        self.release()
        for job in tuple(self.jobs.values()):
            self.wait(job.id)
        self.jobs.clear()
        self.jobs_seen.clear()
        self.requests.clear()

    def fail_next(
        self,
        status: int | None = None,
        times: int = 1,
        path_contains: str = "",
        *,
        method: str = "",
        after_processing: bool = False,
        code: int = 1000,
        message: str = "API internal error.",
        retry_after_s: int | None = None,
        skip: int = 0,
        body: dict | str | None = None,
        hang_s: float = 0.0,
    ) -> None:
        """Answers the next `times` matching requests, after the first `skip` of them, with an error.

        `path_contains` and `method` select requests; every path without the API's prefix counts, "/identity/token" too.
        `status` None drops the connection without an answer. With `after_processing` the request takes effect before it
        fails: a job is accepted and the client is not told. 429 carries Retry-After, 0 s unless given. `body` stands in for
        IBM's form of an error: a page of HTML with status 200 is nonsense. For `hang_s` nothing is said at all.
        """
        how = {"code": code, "message": message, "retry_after_s": retry_after_s, "body": body}
        which = {"path_contains": path_contains, "method": method, "after_processing": after_processing}
        with self._changed:
            self._failures.add(refusal_of(status, **how), times, **which, skip=skip, hang_s=hang_s)

    def fail_submission(self, status: int | None = None, nth: int = 1, times: int = 1, *, after_processing: bool = False,
                        hang_s: float = 0.0, **how: object) -> None:  # fmt: skip
        """The same for `times` jobs that are sent, from the `nth` on as counted from now; `how`: code, message, body, ..."""
        which = {"path": "/jobs", "method": "POST", "after_processing": after_processing}
        with self._changed:
            self._failures.add(refusal_of(status, **how), times, **which, skip=nth - 1, hang_s=hang_s)

    def limit(self, count: int | None) -> None:
        """Lets each user have so many jobs queued or running in an instance, and refuses further ones; None is no limit."""
        with self._changed:
            self._limit = count

    def lose(self, job_id: str) -> None:
        """Forgets a job: it does not run any more, and every question about it answers 404. `jobs_seen` still has it."""
        with self._changed:
            job = self.jobs.pop(job_id)
            if job in self._queue:
                self._queue.remove(job)

    def break_next(self, reason: str = "Error: broken on purpose.", code: int | None = None, times: int = 1) -> None:
        """Makes the next jobs that start running end as Failed or, with code 1305, as cancelled for running too long."""
        with self._changed:
            self._breaks.extend([(reason, code)] * times)

    def expire_tokens(self) -> None:
        """Makes all bearer tokens given so far worthless: 401 until the client has fetched another."""
        self._accounts.forget()

    def revoke(self, token: str = TOKEN) -> None:
        """Withdraws an API key: IAM refuses it and tokens given for it are worthless."""
        self._accounts.revoked.add(token)

    def wait(self, job_id: str, *statuses: str, timeout_s: float = 30) -> Job:
        """Waits until a job has one of these statuses, by default a final one.

        Raises:
            TimeoutError: it has not.
        """
        wanted = statuses or (COMPLETED, FAILED, CANCELLED)
        job = next(job for job in self.jobs_seen if job.id == job_id)
        with self._changed:
            if not self._changed.wait_for(lambda: job.status in wanted, timeout_s):
                raise TimeoutError(f"job {job_id} is {job.status} after {timeout_s} s, not {' or '.join(wanted)}")
        return job

    # What the endpoints use

    def device_names(self, instance: str) -> list[str]:
        """The devices that an instance may use."""
        return [device.name for device in self.devices.values() if instance in device.instances and not device.retired]

    def waiting(self, name: str) -> list[Job]:
        """The jobs of a device that have not ended."""
        return [job for job in self.jobs.values() if job.backend == name and not job.ended]

    def jobs_of(self, session_id: str) -> list[Job]:
        """The jobs of a session."""
        return [job for job in self.jobs_seen if job.session_id == session_id]

    def check_limit(self, call: Call) -> None:
        """Raises Refusal where the caller has as many jobs as he may have."""
        theirs = [job for job in self.jobs.values() if (job.instance, job.user_id) == (call.instance, call.user_id)]
        if self._limit is not None and sum(not job.ended for job in theirs) >= self._limit:
            message = f"You have reached the limit of {self._limit} pending jobs. "
            message += "Please wait for a job to complete or cancel one before submitting anything new."
            raise Refusal(400, 3458, message, "Wait until some previous jobs were finished.")

    def accept(self, job: Job) -> None:
        """Takes a job in."""
        self.jobs[job.id] = job
        self.jobs_seen.append(job)
        self._queue.append(job)
        self._changed.notify_all()

    def end(self, job: Job, status: str, result: str | None = None, reason: str | None = None, code: int | None = None) -> None:
        """Makes a job's status final."""
        job.end(status, result, reason, code)
        self._settle(job)
        self._changed.notify_all()

    def answer(self, request: Request) -> tuple[int, dict | str | None]:
        """Status and body for any request.

        Raises:
            Refusal: the answer is an error, or none at all.
        """
        self.requests.append(request)
        self._stopped.wait(self.latency_s)
        with self._changed:
            failure = self._failures.meet(request)
            answer = None if failure and not failure.after_processing else self._process(request)
        if failure:
            self._stopped.wait(failure.hang_s)
            raise failure.refusal
        return answer

    def _process(self, request: Request) -> tuple[int, dict | str | None]:
        if request.path == "/identity/token":
            return 200, self._accounts.issue(request.body)
        headers = {name.lower(): value for name, value in request.headers.items()}
        user = self._accounts.user(headers.get("authorization", ""))
        instance = headers.get("service-crn", "")
        if instance not in (*self.instances.values(), ""):
            raise Refusal(403, 1200, "You are not authorized to perform this action.", "Try again or contact support.")
        call = Call(instance, user, parse_qs(request.query), request.body)
        return dispatch(self, call, request.method, request.path)

    # The worker

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped.is_set() or (self._queue and self._held != QUEUED))
                if self._stopped.is_set():
                    return
                job = self._queue.popleft()
                if job.ended:
                    continue
                calibration = self._start(job)
                broken = self._breaks.popleft() if self._breaks else None
                self._changed.wait_for(lambda: self._stopped.is_set() or self._held != RUNNING or job.ended)
            if not job.ended and not self._stopped.is_set():
                self._run(job, calibration, broken)

    def _start(self, job: Job) -> Calibration:
        job.running = now()
        device = self.devices[job.backend]
        named = [each for each in device.calibrations if each.id == job.calibration_id]
        calibration = named[0] if named else device.at(job.running)
        job.calibration_id = calibration.id
        job.status = RUNNING
        self._settle(job)
        self._changed.notify_all()
        return calibration

    def _run(self, job: Job, calibration: Calibration, broken: tuple[str, int | None] | None) -> None:
        quantum_s, reason, code = 1, None, None
        if broken:
            reason, code = broken
            result = f"Traceback (most recent call last):\n  ...\nRuntimeError: {reason}"
        else:
            try:
                result, quantum_s = ibm_programs.run(
                    job.request["program_id"], job.request["params"], calibration, self.seed, job.mock
                )
            except Exception as error:
                reason, result = f"Error: {error}", traceback.format_exc()
        with self._changed:
            if not job.ended:
                job.quantum_s = quantum_s
                status = COMPLETED if reason is None else CANCELLED if code == RAN_TOO_LONG else FAILED
                self.end(job, status, result, reason, code)

    def _settle(self, job: Job) -> None:
        if job.session_id in self.sessions:
            self.sessions[job.session_id].settle(self.jobs_of(job.session_id))


def main() -> None:
    """Serves until stdin closes; see the module's docstring."""
    with IBMServer() as server:
        print(server.address, flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(server, name)(*arguments), default=str), flush=True)


if __name__ == "__main__":
    main()
