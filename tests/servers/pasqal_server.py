"""A loopback Pasqal Cloud: the unmodified client and Pulser talk to it, and Pulser's QuTiP emulator runs behind it.

    with PasqalServer(seed=7) as server:
        sdk = server.client()  # a real PasqalCloudClient
        batch = sdk.create_batch(sequence, [{"runs": 100, "variables": {"omega": 6}}], device_type="EMU_FREE", wait=True)

Real here: the wire protocol as `pasqal_cloud` 0.24 uses it (tokens, password log-in, projects, batches open and closed, jobs
with variables, registers and sequences of their own, rebatch, cancellation, tags, filters, pages, device specs that change,
presigned links to results, OVH's addresses, errors), and the results: each job's sequence is built and emulated, on a QPU's
device type with the noise of that device at the time. FRESNEL and FRESNEL_CAN1 are QPUs; the EMU_* types are emulators.

Not simulated: EMU_MPS, EMU_SV and EMU_TN are QuTiP under another name, and options that only they know are ignored. QPUs have
the specs of Pulser's AnalogDevice, do not check that a sequence fits them (what does not build ends in ERROR), and run one
noise trajectory where noise is stochastic. Workloads are echoed. No credits, quotas, webhooks, priorities (a label), queues of
other users, TLS, status CANCELING or time-out of idle open batches (`time_out` does it). One worker runs all jobs in turn; an
open batch reserves a QPU, but no emulator. Bodies of errors are of the right form, their codes and texts are not Pasqal's.
Statuses: a closed batch whose jobs have ended is DONE even if some failed, CANCELED if all were canceled. `start_date` and
`end_date` filter by creation, as the client's documentation has it, not by execution, as the API's does.
No limit of jobs is documented: that of `limit` is made up.

From another process: `python pasqal_server.py` prints its address and serves until stdin closes. A line of JSON on stdin,
`["hold"]` or `["fail_next", 503, 2]`, calls that method or reads that attribute, and its answer is printed as a line of JSON.
A script reaches the server at `address` with `Endpoints(core=address + "/core-fast", account=address + "/account")` and, to log
in as USER with PASSWORD, `auth_config(address)`. A script that knows nothing of the server, which logs in at Pasqal's own
addresses, reaches it in a process with the variables of `environment(address, folder)`.
"""

import json
import os
import sys
import threading
from collections import deque
from pathlib import Path
from urllib.parse import parse_qs

import pasqal_programs
from pasqal_batches import CANCELED, DONE, ERROR, PENDING, RUNNING, TIMED_OUT, Batch, Job, Workload
from pasqal_cloud import PasqalCloudConnection
from pasqal_cloud.authentication import TokenProvider
from pasqal_cloud.endpoints import (
    AUDIENCE,
    AUTH0_TOKEN_PROVIDER_GRANT_TYPE,
    PUBLIC_CLIENT_ID,
    REALM,
    Endpoints,
    TokenProviderConf,
)
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from pasqal_endpoints import dispatch
from pasqal_wire import BUCKET, Accounts, Call, Links, Refusal, User, json_body, success
from wire import Failure, Failures, Listener, Request

PROJECT, OTHER_PROJECT = "5c1b2a9e-3d47-4f0e-9b6a-0e8f7d2c4a11", "e2d94b70-7a1c-4c58-8f3d-6b5a9c0d1e22"
USER, OTHER_USER = "ada@lab.test", "bob@lab.test"
PASSWORD = "loopback-password"
CREATE = "/core-fast/api/v1/batches"
LOG_IN = ("/oauth/token", "/realms/pasqal-cloud/protocol/openid-connect/token")
SITE = '''"""Sends what is meant for Pasqal Cloud to the loopback server at PASQAL_LOOPBACK."""

import os
import re

import requests

_send = requests.Session.send


def _redirected(session, request, **options):
    request.url = re.sub(
        r"^https://(apis(\\.\\w+)*|authenticate(\\.\\w+)*|auth(\\.\\w+)*|pasqal[-\\w]*\\.eu)\\.(pasqal\\.cloud|auth0\\.com)(?=/)",
        os.environ["PASQAL_LOOPBACK"],
        request.url,
    )
    return _send(session, request, **options)


requests.Session.send = _redirected
'''


def environment(address: str, folder: Path) -> dict[str, str]:
    """The environment variables with which a script that knows nothing of the server at `address` uses it.

    Writes a `sitecustomize.py` into `folder`, first in this process's PYTHONPATH; it rewrites hosts where `requests` sends,
    below the unmodified client.
    """
    (folder / "sitecustomize.py").write_text(SITE)
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": paths, "PASQAL_LOOPBACK": address, "NO_PROXY": "*"}


def auth_config(address: str) -> TokenProviderConf:
    """Where the client logs in with user name and password."""
    return TokenProviderConf(address + LOG_IN[0], PUBLIC_CLIENT_ID, AUDIENCE, REALM, AUTH0_TOKEN_PROVIDER_GRANT_TYPE)


class Tokens(TokenProvider):
    """Hands out the newest token of a user, so that `issue_token` ends what `expire_tokens` began."""

    def __init__(self, accounts: Accounts, name: str):
        self._accounts, self._name = accounts, name

    def get_token(self) -> str:
        """The token."""
        return self._accounts.latest[self._name]


class PasqalServer:
    """The server; a context manager that starts and stops it.

    Attributes to set: `seed` (of every job; None is random), `token_lifetime_s`, `link_lifetime_s`. Attributes to read:
    `address`, `projects` (id to name), `devices`, `batches`, `jobs` and `workloads` (by id), `batches_seen` and `jobs_seen`
    (all accepted, in order, lost ones too), `requests`.
    """

    def __init__(self, *, seed: int | None = None, port: int = 0):
        self.seed, self.latency_s, self.max_jobs = seed, 0.0, None
        self.projects = {PROJECT: "First", OTHER_PROJECT: "Other"}
        self.devices = pasqal_programs.devices()
        self.batches: dict[str, Batch] = {}
        self.jobs: dict[str, Job] = {}
        self.workloads: dict[str, Workload] = {}
        self.batches_seen: list[Batch] = []
        self.jobs_seen: list[Job] = []
        self.requests: list[Request] = []
        ada = User("EQZj1ZQE", USER, PASSWORD, (PROJECT, OTHER_PROJECT))
        bob = User("7hK2mX0p", OTHER_USER, PASSWORD, (OTHER_PROJECT,))
        self._accounts, self._links = Accounts((ada, bob)), Links()
        self._failures = Failures()
        self._breaks: deque[str] = deque()
        self._held: str | None = None
        self._changed = threading.Condition(threading.RLock())
        self._stopped = threading.Event()
        for name in (USER, OTHER_USER):
            self._accounts.issue(name)
        self._listener = Listener(port, self)
        self.address = f"http://127.0.0.1:{self._listener.server_port}"
        self._threads = (
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="pasqal-http", daemon=True),
            threading.Thread(target=self._work, name="pasqal-worker", daemon=True),
        )

    def __enter__(self) -> "PasqalServer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops answering and closes all connections."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
        self._listener.shutdown()
        self._listener.server_close()
        self._threads[1].join(5)

    # The client's side

    def endpoints(self) -> Endpoints:
        """Where the client finds the two APIs."""
        return Endpoints(core=f"{self.address}/core-fast", account=f"{self.address}/account")

    def token_provider(self, user: str = USER) -> TokenProvider:
        """Hands out the newest token of a user."""
        return Tokens(self._accounts, user)

    def _options(self, options: dict, user: str) -> dict:
        login = {"token_provider": self.token_provider(user)}
        if options.get("username"):
            login = {"password": PASSWORD, "auth_config": auth_config(self.address)}
        return {"endpoints": self.endpoints(), "project_id": PROJECT} | login | options

    def client(self, *, user: str = USER, **options: object) -> PasqalCloudClient:
        """A real client for this server; `options` are passed to its constructor.

        With `username` it logs in for itself, with `token_provider=None` it does without.
        """
        return PasqalCloudClient(**self._options(options, user))

    def connection(self, *, user: str = USER, **options: object) -> PasqalCloudConnection:
        """Pulser's connection to this server; `options` as for `client`."""
        return PasqalCloudConnection(**self._options(options, user))

    def environment(self, folder: Path) -> dict[str, str]:
        """The variables with which the script of a subprocess uses this server; `folder` gets a file."""
        return environment(self.address, folder)

    def sent(self, method: str, path_contains: str = "") -> list:
        """The JSON bodies of the requests that came in, unzipped."""
        return [json_body(each) for each in self.requests if each.method == method and path_contains in each.path]

    # Modes

    @property
    def token(self) -> str:
        """The newest token of USER, valid or not."""
        return self._accounts.latest[USER]

    @property
    def token_lifetime_s(self) -> int:
        """How long tokens given from now on are valid; a client that logged in renews within the last minute."""
        return self._accounts.lifetime_s

    @token_lifetime_s.setter
    def token_lifetime_s(self, value: int) -> None:
        self._accounts.lifetime_s = value

    @property
    def link_lifetime_s(self) -> int:
        """How long links to results given from now on are valid; 0 is not at all."""
        return self._links.lifetime_s

    @link_lifetime_s.setter
    def link_lifetime_s(self, value: int) -> None:
        self._links.lifetime_s = value

    def issue_token(self, user: str = USER) -> str:
        """Gives a user a new token, which `client` and `connection` use from now on."""
        return self._accounts.issue(user)

    def expire_tokens(self) -> None:
        """Makes all tokens given so far worthless: 401 until `issue_token` or a new log-in."""
        self._accounts.expire()

    def expire_links(self) -> None:
        """Makes all links to results given so far worthless."""
        self._links.expire()

    def set_specs(self, device_type: str, specs: str) -> None:
        """Replaces the specs of a QPU by another serialised Pulser device."""
        with self._changed:
            self.devices[device_type].set_specs(specs)

    def calibrate(self, device_type: str, changes: dict) -> None:
        """Merges changes into the specs of a QPU, such as `{"default_noise_model": {"p_false_pos": 0.2}}`."""
        with self._changed:
            self.devices[device_type].calibrate(changes)

    def retire(self, device_type: str) -> None:
        """Takes a device away: no specs, and new batches for it are refused. Its batches stay."""
        self.devices[device_type].retired = True

    def set_status(self, device_type: str, status: str) -> None:
        """Sets the device status that batches show; no new batch starts on a QPU unless it is "UP"."""
        with self._changed:
            self.devices[device_type].status = status
            self._changed.notify_all()

    def slow(self, seconds: float) -> None:
        """Lets each answer take so long."""
        self.latency_s = seconds

    def hold(self, status: str = PENDING) -> None:
        """Keeps jobs from going on: they stay PENDING or, with that as `status`, RUNNING."""
        if status not in (PENDING, RUNNING):
            raise ValueError(f"jobs can be held while PENDING or RUNNING, not {status}")
        self._set_hold(status)

    def release(self) -> None:
        """Lets held jobs go on."""
        self._set_hold(None)

    def _set_hold(self, status: str | None) -> None:
        with self._changed:
            self._held = status
            self._changed.notify_all()

    def fail_next(
        self,
        status: int | None = None,
        times: int = 1,
        path_contains: str = "",
        *,
        method: str = "",
        after_processing: bool = False,
        description: str = "Failed on purpose.",
        text: str | None = None,
        retry_after_s: int | None = None,
        skip: int = 0,
        hang_s: float = 0.0,
    ) -> None:
        """Answers the next `times` matching requests, after the first `skip` of them, with an error.

        `path_contains` and `method` select requests; log-in ("/oauth/token") and downloads ("/results-bucket") count too.
        `status` None drops the connection without an answer. With `after_processing` the request takes effect before it
        fails: a batch is accepted and the client is not told. `text` replaces the JSON body, as a gateway's page does; with
        status 200 it is nonsense. For `hang_s` nothing is said at all.
        """
        refusal = Refusal(status, description, text=text, retry_after_s=retry_after_s)
        with self._changed:
            self._failures.append(Failure(refusal, times, path_contains, method, after_processing, skip=skip, hang_s=hang_s))

    def fail_submission(self, status: int | None = None, nth: int = 1, times: int = 1, **how: object) -> None:
        """The same for `times` requests that make a batch, from the `nth` on as counted from now; `how`: description, text, ...

        The client sends some of them again by itself (408, 425, 429, 500, 502, 504): up to five times, and each one counts.
        """
        with self._changed:
            self.fail_next(status, times, CREATE, method="POST", skip=nth - 1, **how)
            self._failures[-1].path = CREATE

    def limit(self, jobs: int | None) -> None:
        """How many unfinished jobs each user may have in a project; None is no limit."""
        self.max_jobs = jobs

    def break_next(self, message: str = "Broken on purpose.", times: int = 1) -> None:
        """Makes the next jobs or workloads that start running end in ERROR."""
        with self._changed:
            self._breaks.extend([message] * times)

    def time_out(self, batch_id: str) -> None:
        """Interrupts an open batch, as the cloud does when no jobs come: TIMED_OUT, its waiting jobs CANCELED."""
        with self._changed:
            batch = self.batches[batch_id]
            if not batch.open:
                raise ValueError(f"batch {batch_id} is closed ({batch.status}): only open batches time out")
            batch.end(TIMED_OUT)
            self.changed(batch)

    def force(self, entry_id: str, status: str) -> None:
        """Gives a batch, job or workload any status, such as PAUSED; a batch in ERROR takes its waiting jobs with it."""
        with self._changed:
            entry = self.batches.get(entry_id) or self.jobs.get(entry_id) or self.workloads[entry_id]
            if isinstance(entry, Batch) and status in (ERROR, CANCELED, TIMED_OUT):
                entry.end(status, *((ERROR, ["The batch failed."]) if status == ERROR else ()))
            else:
                entry.enter(status)
            self._changed.notify_all()

    def lose(self, entry_id: str) -> None:
        """Forgets a batch with its jobs, a job or a workload: 404 from now on, and no list has it."""
        with self._changed:
            batch = self.batches.pop(entry_id, None)
            for key in [job.id for job in batch.jobs] if batch else [entry_id]:
                if job := self.jobs.pop(key, None):
                    owner = batch or self.batches[job.batch_id]
                    owner.jobs = [each for each in owner.jobs if each is not job]
                    self._links.files.pop(f"/jobs/{key}/results.json", None)
            self.workloads.pop(entry_id, None)

    def wait(self, entry_id: str, *statuses: str, timeout_s: float = 30) -> Batch | Job | Workload:
        """Waits until a batch, job or workload has one of these statuses, by default a final one.

        Raises:
            TimeoutError: it has not.
        """
        entry = self.batches.get(entry_id) or self.jobs.get(entry_id) or self.workloads[entry_id]
        with self._changed:
            if not self._changed.wait_for(lambda: entry.status in statuses if statuses else entry.ended, timeout_s):
                raise TimeoutError(f"{entry_id} is {entry.status} after {timeout_s} s, not {' or '.join(statuses) or 'ended'}")
        return entry

    # What the endpoints use

    def specs(self) -> dict[str, str]:
        """The specs of each QPU."""
        return {device.name: device.specs for device in self.devices.values() if device.qpu and not device.retired}

    def wire(self, batch: Batch, **options: bool) -> dict:
        """A batch as the API answers it."""
        device = self.devices[batch.device_type]
        return batch.wire(device.status if device.qpu else None, **options)

    def link(self, path: str, content: str | None) -> str | None:
        """A presigned address for a file, None while there is no content."""
        if content is None:
            return None
        self._links.files[path] = content
        return self._links.sign(self.address, path)

    def check_limit(self, user_id: str, project_id: str, more: int) -> None:
        """Raises Refusal where a user would have more unfinished jobs in a project than `limit` allows."""
        theirs = [job for job in self.jobs.values() if (job.user_id, job.project_id) == (user_id, project_id)]
        if self.max_jobs is not None and sum(not job.ended for job in theirs) + more > self.max_jobs:
            raise Refusal(429, f"At most {self.max_jobs} unfinished jobs are allowed at a time.")

    def accept(self, entry: Batch | Workload) -> None:
        """Takes a batch or workload in."""
        if isinstance(entry, Batch):
            self.batches[entry.id] = entry
            self.batches_seen.append(entry)
        else:
            self.workloads[entry.id] = entry
        self._changed.notify_all()

    def append(self, batch: Batch, job: Job) -> None:
        """Takes a job in."""
        batch.jobs.append(job)
        self.jobs[job.id] = job
        self.jobs_seen.append(job)

    def changed(self, batch: Batch) -> None:
        """Puts a batch into the state that its jobs call for."""
        batch.updated = max(batch.updated, *(job.updated for job in batch.jobs), batch.created)
        batch.settle()
        self._changed.notify_all()

    def answer(self, request: Request) -> tuple:
        """Status, body and perhaps headers for any request.

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

    def _process(self, request: Request) -> tuple:
        if request.path in LOG_IN:
            return 200, self._accounts.log_in(request)
        if request.path.startswith(BUCKET):
            return 200, self._links.fetch(request)
        api, _, path = request.path.removeprefix("/").partition("/")
        if path == "api/v1/devices/public-specs":
            return 200, success([{"device_type": name, "specs": specs} for name, specs in self.specs().items()])
        user = self._accounts.user(request)
        if (api == "account") != path.endswith("/projects"):
            raise Refusal(404, f"No such endpoint: {request.method} {request.path}")
        own = path.replace("/third-party-access/ovh", "")
        call = Call(user, parse_qs(request.query), request, own != path)
        return dispatch(self, call, request.method, f"/{own}")

    # The worker

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped.is_set() or (self._held != PENDING and self._next()))
                if self._stopped.is_set():
                    return
                entry = self._next()
                noise = self._start(entry)
                broken = self._breaks.popleft() if self._breaks else None
                self._changed.wait_for(lambda: self._stopped.is_set() or self._held != RUNNING or entry.ended)
            if not entry.ended and not self._stopped.is_set():
                self._run(entry, noise, broken)

    def _next(self) -> Job | Workload | None:
        busy = {batch.device_type for batch in self.batches.values() if batch.status == RUNNING}
        for batch in self.batches.values():
            device = self.devices[batch.device_type]
            taken = device.qpu and (device.name in busy or device.status != "UP")
            if batch.status == RUNNING or (batch.status == PENDING and not taken):
                for job in batch.jobs:
                    if job.status == PENDING:
                        return job
        return next((workload for workload in self.workloads.values() if workload.status == PENDING), None)

    def _start(self, entry: Job | Workload):
        entry.enter(RUNNING)
        noise = None
        if isinstance(entry, Job):
            batch = self.batches[entry.batch_id]
            device = self.devices[batch.device_type]
            source = self.devices[device.twin] if device.twin else device
            noise = source.noise if source.qpu else None
            if batch.status == PENDING:
                batch.enter(RUNNING)
            self.changed(batch)
        self._changed.notify_all()
        return noise

    def _run(self, entry: Job | Workload, noise, broken: str | None) -> None:
        result, errors = None, None
        try:
            if broken is not None:
                raise RuntimeError(broken)
            result = self._compute(entry, noise)
        except Exception as error:
            errors = [str(error) if broken else f"{type(error).__name__}: {error}"]
        with self._changed:
            if not entry.ended:
                entry.result, entry.errors = result, errors
                entry.enter(ERROR if errors else DONE)
            if batch := self.batches.get(getattr(entry, "batch_id", "")):
                self.changed(batch)
            self._changed.notify_all()

    def _compute(self, entry: Job | Workload, noise) -> str:
        if isinstance(entry, Workload):
            return json.dumps({"workload_type": entry.workload_type, "config": entry.config})
        batch = next(batch for batch in self.batches_seen if batch.id == entry.batch_id)
        sequence = entry.sequence or batch.sequence_builder
        return pasqal_programs.run(sequence, entry.variables, entry.runs, noise, batch.backend_configuration, self.seed)


def main() -> None:
    """Serves until stdin closes; see the module's docstring."""
    with PasqalServer() as server:
        print(server.address, flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            value = getattr(server, name)
            print(json.dumps(value(*arguments) if callable(value) else value, default=str), flush=True)


if __name__ == "__main__":
    main()
