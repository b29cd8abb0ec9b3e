"""A loopback Quandela Cloud: the unmodified Perceval client talks to it, and Perceval's simulator runs behind it.

    with QuandelaServer(seed=7) as server:
        processor = server.remote_processor("sim:altair")  # a real RemoteProcessor
        computer = server.computer("qpu:belenos")  # a real RemoteComputer

Real here: the wire protocol as Perceval 1.3 uses it (platform details at both endpoints, jobs, status, results, cancel, rerun,
availability, bearer tokens), both kinds of payload (see `quandela_runs`), conversions between commands, iterations, error
mitigation on the updated platforms, noisy results. `*:altair` and `sim:slos` are as platforms before Perceval 1.3, `*:belenos`
as updated ones. Constraints of Belenos and what a plain `sim:altair` makes of the documented CNOTs are as the public
documentation shows them.

Not simulated: compilation on the chip (a QPU runs the circuit as it is), queues of other users, credits and plans, more than
one account, the website, partial results other than of iterations, the platforms' own parameters but those in their specs,
TLS. One worker runs all jobs in turn. Performances are of the right form and size, not measured ones. Texts of errors,
`{"error": ...}`, the status of a refusal (401, 404, 400 and, over the limit, 429), `results_type` and the additional keys of a
result are of the right form only: no live cloud was asked.

From another process: `python quandela_server.py` prints its address and a token and serves until stdin closes. A line of JSON
on stdin, `["hold"]` or `["fail_next", 503, 2]`, calls that method, and its answer is printed as a line of JSON. For any process,
`save_config` writes the configuration with which a plain `pcvl.RemoteProcessor("sim:altair")` reaches the server.
"""

import json
import os
import re
import secrets
import sys
import threading
import time
from collections import deque
from copy import copy, deepcopy
from pathlib import Path
from urllib.parse import unquote_plus

from perceval import RemoteComputer, RemoteProcessor
from perceval.providers.quandela import QuandelaCommunicationLayer, RemoteConfig, Session
from perceval.providers.quandela.rpc_handler import RPCHandler
from perceval.serialization import serialize
from quandela_jobs import CANCEL_REQUESTED, CANCELED, COMPLETED, ENDED, ERROR, RUNNING, WAITING, Job
from quandela_platforms import AVAILABLE, Platform, platforms
from quandela_runs import run
from wire import Failure, Failures, Listener, Refusal, Request


def save_config(url: str, folder: Path, *, token: str) -> dict[str, str]:
    """Writes Perceval's configuration into `folder` and returns the environment variables for a subprocess.

    The variables alone are not enough: Perceval takes the token from PCVL_CLOUD_TOKEN too, but the address of the cloud only
    from its configuration file, below PCVL_PERSISTENT_PATH. Groups of jobs and logs go to that folder too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remote = {"proxies": None, "url": url, "token": token}
    (folder / "config.json").write_text(json.dumps({"remote": remote}), "utf-8")
    return {"PCVL_PERSISTENT_PATH": str(folder), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


CREATE = "/api/job"


def impatient(native: object, seconds: float) -> None:
    """Makes a processor, a computer, a job or a handler give up each answer after `seconds`; by itself it waits for 10."""
    inside = getattr(native, "_communication_layer", native)
    getattr(inside, "_rpc_handler", inside).request_timeout = seconds


class QuandelaServer:
    """The server; a context manager that starts and stops it.

    Attributes to set: `seed` (of every job; None is random), `latency_s` (before each answer). Attributes to read: `url`,
    `token` (the one issued last), `platforms` (by name), `jobs` (by id, in order), `requests`.
    """

    def __init__(self, *, seed: int | None = None, port: int = 0):
        self.seed, self.latency_s, self.max_jobs = seed, 0.0, 100
        self.platforms: dict[str, Platform] = platforms()
        self.jobs: dict[str, Job] = {}
        self.requests: list[Request] = []
        self._tokens: set[str] = set()
        self.token = self.issue_token()
        self._failures = Failures()
        self._breaks: deque[str] = deque()
        self._queue: list[Job] = []
        self._held: str | None = None
        self._slow_s = 0.0
        self._changed = threading.Condition(threading.RLock())
        self._stopped = threading.Event()
        self._environment: dict[str, str | None] = {}
        self._config: tuple[str | None, str | None] | None = None
        self._listener = Listener(port, self)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        self._threads = (
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="quandela-http", daemon=True),
            threading.Thread(target=self._work, name="quandela-worker", daemon=True),
        )

    def __enter__(self) -> "QuandelaServer":
        for name in ("NO_PROXY", "no_proxy"):
            self._environment[name] = os.environ.get(name)
            os.environ[name] = ",".join(filter(None, (self._environment[name], "127.0.0.1")))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops answering, closes all connections and restores the environment and the client's configuration."""
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
        if self._config:
            RemoteConfig.set_url(self._config[0])
            RemoteConfig.set_token(self._config[1])
            self._config = None

    # The client's side

    def rpc_handler(self, platform: str = "sim:altair", *, token: str | None = None) -> RPCHandler:
        """A real RPC handler."""
        return RPCHandler(platform, self.url, token or self.token)

    def remote_processor(self, platform: str = "sim:altair", *, token: str | None = None, **options: object) -> RemoteProcessor:
        """A real remote processor; `options` are passed to its constructor."""
        return RemoteProcessor(platform, token or self.token, self.url, **options)

    def session(self, platform: str = "sim:altair") -> Session:
        """A real session."""
        return Session(platform, self.token, self.url)

    def computer(self, platform: str = "sim:belenos", *, token: str | None = None) -> RemoteComputer:
        """A real remote computer, the newer kind."""
        return RemoteComputer(QuandelaCommunicationLayer(platform, token or self.token, self.url))

    def configure(self) -> None:
        """Lets a plain `RemoteProcessor("sim:altair")` in this process reach the server with its `token`, until `stop`."""
        if self._config is None:
            self._config = RemoteConfig._url, RemoteConfig._token
        RemoteConfig.set_url(self.url)
        RemoteConfig.set_token(self.token)

    def save_config(self, folder: Path, *, token: str | None = None) -> dict[str, str]:
        """Writes Perceval's configuration into `folder`; returns the variables with which a subprocess uses it."""
        return save_config(self.url, Path(folder), token=token or self.token)

    # Modes

    def issue_token(self) -> str:
        """A new token of the account; the older ones stay valid."""
        self.token = f"_T_{secrets.token_hex(16)}"
        self._tokens.add(self.token)
        return self.token

    def revoke(self, token: str | None = None) -> None:
        """Withdraws a token, by default the one issued last: 401 from now on."""
        self._tokens.discard(token or self.token)

    def expire_tokens(self) -> None:
        """Makes every token issued so far worthless: 401 from now on."""
        self._tokens.clear()

    def calibrate(self, name: str, perfs: dict) -> dict:
        """Changes some of a platform's performances from now on, a value of None takes one away; returns them all."""
        with self._changed:
            changed = self.platforms[name].perfs | perfs
            self.platforms[name].perfs = {key: value for key, value in changed.items() if value is not None}
            return self.platforms[name].perfs

    def retire(self, name: str) -> None:
        """Takes a platform away: its details answer 404, and so do new jobs for it. Its jobs stay and still run."""
        self.platforms[name].retired = True

    def maintain(self, name: str, status: str = "maintenance") -> None:
        """Gives a platform this status; its jobs, new ones too, wait until it is "available" again."""
        with self._changed:
            self.platforms[name].status = status
            self._changed.notify_all()

    def limit(self, jobs: int) -> None:
        """How many unfinished jobs the account may have."""
        self.max_jobs = jobs

    def hold(self, status: str = WAITING) -> None:
        """Keeps jobs from going on: they stay "waiting" or, with that as `status`, "running"."""
        if status not in (WAITING, RUNNING):
            raise ValueError(f"jobs can be held while waiting or running, not {status}")
        self._set(held=status)

    def release(self) -> None:
        """Lets held jobs go on."""
        self._set(held=None)

    def slow(self, seconds: float) -> None:
        """How long every job runs at least; 0 ends it, for the running one too."""
        with self._changed:
            self._slow_s = seconds
            self._changed.notify_all()

    def _set(self, held: str | None) -> None:
        with self._changed:
            self._held = held
            self._changed.notify_all()

    def fail_next(
        self,
        status: int | None = None,
        times: int = 1,
        path_contains: str = "",
        method: str = "",
        after_processing: bool = False,
        message: str = "Internal server error",
        *,
        skip: int = 0,
        body: dict | str | None = None,
        hang_s: float = 0.0,
    ) -> None:
        """Answers the next `times` matching requests, after the first `skip` of them, with an error.

        `path_contains` and `method` select requests. `status` None drops the connection without an answer. With
        `after_processing` the request takes effect before it fails: a job is accepted and the client is not told. `body`
        stands in for the form of an error: a page of HTML with status 200 is nonsense. For `hang_s` nothing is said at all.
        """
        refusal = Refusal(status, {"error": message} if body is None else body)
        failure = Failure(refusal, times, path_contains, method, after_processing, skip=skip, hang_s=hang_s)
        with self._changed:
            self._failures.append(failure)

    def fail_submission(self, status: int | None = None, nth: int = 1, times: int = 1, **how: object) -> None:
        """The same for `times` jobs that are sent, from the `nth` on as counted from now; `how`: message, body, ..."""
        with self._changed:
            self.fail_next(status, times, CREATE, "POST", skip=nth - 1, **how)
            self._failures[-1].path = CREATE

    def drop_next(self, times: int = 1, path_contains: str = "", method: str = "", after_processing: bool = False) -> None:
        """Drops the connection of the next `times` matching requests without an answer, see `fail_next`."""
        self.fail_next(None, times, path_contains, method, after_processing)

    def break_next(self, message: str = "Error: broken on purpose", times: int = 1) -> None:
        """Makes the next jobs that start running end in error, with this as status message."""
        with self._changed:
            self._breaks.extend([message] * times)

    def lose(self, job_id: str) -> None:
        """Forgets a job: 404 from now on."""
        with self._changed:
            job = self.jobs.pop(job_id)
            if job in self._queue:
                self._queue.remove(job)

    def wait(self, job_id: str | None = None, *statuses: str, timeout_s: float = 30) -> Job | None:
        """Waits until a job, or every job, has one of these statuses, by default a final one; returns the job if one is named.

        Raises:
            TimeoutError: it has not.
        """
        wanted = statuses or ENDED
        with self._changed:
            jobs = list(self.jobs.values()) if job_id is None else [self.jobs[job_id]]
            if not self._changed.wait_for(lambda: all(job.status in wanted for job in jobs), timeout_s):
                late = ", ".join(f"{job.id} is {job.status}" for job in jobs if job.status not in wanted)
                raise TimeoutError(f"after {timeout_s} s {late}, not {' or '.join(wanted)}")
        return jobs[0] if job_id is not None else None

    # The endpoints

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
        headers = {name.lower(): value for name, value in request.headers.items()}
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or token not in self._tokens:
            raise Refusal(401, {"error": "Invalid or expired token"})
        for method, pattern, endpoint in _ENDPOINTS:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return endpoint(self, request, *map(unquote_plus, found.groups()))
        raise Refusal(404, {"error": f"No such endpoint: {request.method} {request.path}"})

    def _platform(self, name: str) -> Platform:
        platform = self.platforms.get(name)
        if platform is None or platform.retired:
            raise Refusal(404, {"error": f"Platform '{name}' not found"})
        return platform

    def _job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise Refusal(404, {"error": f"Job '{job_id}' not found"})
        return self.jobs[job_id]

    def _details(self, _: Request, name: str) -> tuple[int, dict]:
        return 200, self._platform(name).details(architecture=True)

    def _old_details(self, _: Request, name: str) -> tuple[int, dict]:
        return 200, self._platform(name).details(architecture=False)

    def _create(self, request: Request) -> tuple[int, dict]:
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("payload"), dict) or "command" not in body["payload"]:
            raise Refusal(400, {"error": "The body is not a job: it has no payload with a command"})
        self._platform(body.get("platform_name"))
        return self._accept(Job(body))

    def _accept(self, job: Job) -> tuple[int, dict]:
        if self._unfinished() >= self.max_jobs:
            raise Refusal(429, {"error": f"Your plan allows {self.max_jobs} unfinished jobs at a time"})
        self.jobs[job.id] = job
        self._queue.append(job)
        self._changed.notify_all()
        return 200, {"job_id": job.id}

    def _status(self, _: Request, job_id: str) -> tuple[int, dict]:
        return 200, self._job(job_id).state()

    def _result(self, _: Request, job_id: str) -> tuple[int, dict]:
        return 200, self._job(job_id).results()

    def _cancel(self, _: Request, job_id: str) -> tuple[int, dict]:
        job = self._job(job_id)
        if job.status not in (WAITING, RUNNING):
            raise Refusal(400, {"error": f"Job is {job.status}, it cannot be canceled"})
        if job.status == WAITING:
            job.end(CANCELED, "Cancel requested by user")
        else:
            job.status = CANCEL_REQUESTED
        self._changed.notify_all()
        return 200, {}

    def _rerun(self, _: Request, job_id: str) -> tuple[int, dict]:
        job = self._job(job_id)
        if job.status not in (CANCELED, ERROR):
            raise Refusal(400, {"error": f"Job is {job.status}, it cannot be run again"})
        self._platform(job.platform)
        return self._accept(Job(deepcopy(job.request), rerun_of=job.id))

    def _availability(self, _: Request) -> tuple[int, dict]:
        return 200, {"max_jobs_in_queue": self.max_jobs, "num_jobs_in_queue": self._unfinished()}

    def _unfinished(self) -> int:
        return sum(not job.ended for job in self.jobs.values())

    # The worker

    def _next(self) -> Job | None:
        self._queue = [job for job in self._queue if not job.ended]
        if self._held == WAITING:
            return None
        return next((job for job in self._queue if self.platforms[job.platform].status == AVAILABLE), None)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped.is_set() or self._next())
                if self._stopped.is_set():
                    return
                job = self._next()
                self._queue.remove(job)
                job.status, job.phase = RUNNING, "Starting"
                platform, broken = self._start(job)
                self._changed.wait_for(lambda: self._interrupted(job) or self._held != RUNNING)
                if self._slow_s:
                    self._changed.wait_for(lambda: self._interrupted(job) or not self._slow_s, self._slow_s)
            if not self._stopped.is_set():
                self._run(job, platform, broken)

    def _start(self, job: Job) -> tuple[Platform, str | None]:
        """Marks a job as running; the platform as it is now, and the reason for which the job is to break."""
        platform = copy(self.platforms[job.platform])
        job.perfs = platform.perfs = deepcopy(platform.perfs)
        job.started = time.time()
        self._changed.notify_all()
        return platform, self._breaks.popleft() if self._breaks else None

    def _interrupted(self, job: Job) -> bool:
        return self._stopped.is_set() or job.status != RUNNING

    def _run(self, job: Job, platform: Platform, broken: str | None) -> None:
        def progress(share: float, phase: str) -> bool:
            job.progress, job.phase = float(share), phase or ""
            return self._interrupted(job)

        result, complete, message = None, False, broken
        if broken is None:
            try:
                results, complete = run(job.payload, platform, self.seed, progress)
                result = json.dumps(serialize(results)) if results else None
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
        with self._changed:
            job.result = result
            if job.status == CANCEL_REQUESTED:
                job.end(CANCELED, "Cancel requested by user")
            elif message is not None:
                job.end(ERROR, message)
            elif complete:
                job.end(COMPLETED)
            self._changed.notify_all()


_ENDPOINTS = (
    ("GET", r"/api/platforms/([^/]+)/processor", QuandelaServer._details),
    ("GET", r"/api/platform/([^/]+)", QuandelaServer._old_details),
    ("POST", r"/api/job", QuandelaServer._create),
    ("GET", r"/api/job/status/([^/]+)", QuandelaServer._status),
    ("GET", r"/api/job/result/([^/]+)", QuandelaServer._result),
    ("POST", r"/api/job/cancel/([^/]+)", QuandelaServer._cancel),
    ("POST", r"/api/job/rerun/([^/]+)", QuandelaServer._rerun),
    ("GET", r"/api/jobs/availability", QuandelaServer._availability),
)


def main() -> None:
    """Serves until stdin closes; see the module's docstring."""
    with QuandelaServer() as server:
        print(server.url, server.token, flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(server, name)(*arguments), default=str), flush=True)


if __name__ == "__main__":
    main()
