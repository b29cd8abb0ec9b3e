"""Three clouds with one interface, for tests of groups: what is prepared for each, and what its server got.

Job `n` of a group asks for `FIRST + n` shots, by which the server's requests are told apart.
"""

import json
import multiprocessing
import os
import sys
import time
import warnings
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import pytest
import urllib3.util.retry

import qarchive
from qarchive.errors import ArchiveWarning
from qarchive.groups import lanes, running

FIRST = 10
CLOUDS = ("ibm", "perceval", "pasqal")
FIXTURES = {"ibm": "server", "perceval": "quandela", "pasqal": "pasqal"}


class _Cloud:
    """What is the same for all three."""

    at_once = {}  # how a refusal says that the next try may come at once

    def __init__(self, server):
        self.server = server

    def watch(self):
        """How many jobs are open when each job is asked for, that one included where it is accepted."""
        found, real = [], self.server.answer

        def answer(request):
            try:
                return real(request)
            finally:
                if request.method == "POST":
                    found.append(sum(not job.ended for job in list(self.server.jobs.values())))

        self.server.answer = answer
        return found

    def lose(self, provider_job):
        self.server.lose(provider_job)


class IBM(_Cloud):
    """Jobs of one PUB for a SamplerV2."""

    at_once = {"retry_after_s": 0}

    name, device, finds = "ibm", "ibm_alpha", True

    @property
    def place(self):
        """What `connect` takes."""
        return self.name, self.server.address, "loopback-api-key"

    def client(self):
        return self.server.service()

    def add(self, group, jobs, client=None, device=None):
        from qiskit_ibm_runtime import SamplerV2

        backend = (client or self.client()).backend(self.device)
        for number in range(jobs):
            group.add(SamplerV2(backend), [turned(backend, number)], shots=FIRST + number)

    def accepted(self):
        return [job.request["params"]["pubs"][0][2] - FIRST for job in self.server.jobs_seen]

    def asked(self):
        posts = [each for each in self.server.requests if (each.method, each.path) == ("POST", "/experimental/api/v1/jobs")]
        posts = posts or [each for each in self.server.requests if (each.method, each.path) == ("POST", "/jobs")]
        return [json.loads(each.body)["params"]["pubs"][0][2] - FIRST for each in posts]

    def fail(self, status=None, nth=1, *, page=None, message="no credit left", **how):
        if page is not None:
            how["body"] = page
        elif status is not None:
            how |= {"message": message, "code": 9999}
        self.server.fail_submission(status, nth, **how)

    def impatient(self, client, seconds):
        import ibm_server

        ibm_server.impatient(client, seconds)

    def questions_fail(self, status, times):
        self.server.fail_next(status, times, "/jobs/", method="GET")

    def collecting_hangs(self, skip):
        self.server.fail_next(None, 1, "/results", method="GET", skip=skip, hang_s=30)

    def listing_fails(self, status, times):
        from ibm_wire import Refusal
        from wire import Failure

        self.server._failures.append(Failure(Refusal(status, 1000, "busy"), times, "", "GET", False, path="/jobs"))

    def shots_of(self, result):
        return result[0].data.c.num_shots

    def calibrate(self):
        def change(properties):
            properties["qubits"][0][0]["value"] = 123.25

        self.server.calibrate(self.device, None, change)
        return 123.25

    def figure(self, job, calibration):
        return round(calibration.qubits["T1"][0] * 1e6, 6)

    def renew(self):
        self.server.expire_tokens()

    def withdraw(self):
        self.server.revoke()
        self.server.retire(self.device)


class Perceval(_Cloud):
    """Jobs of one photonic circuit."""

    name, device, finds = "perceval", "sim:altair", False

    @property
    def place(self):
        return self.name, self.server.url, self.server.token

    def client(self):
        self.server.configure()
        return self.server.remote_processor(self.device)

    def add(self, group, jobs, client=None, device=None):
        from perceval_runs import prepared, set_up

        processor = set_up(client or self.client())
        for number in range(jobs):
            group.add(prepared(processor), max_samples=FIRST + number)

    def accepted(self):
        return [job.payload["max_samples"] - FIRST for job in self.server.jobs.values()]

    def asked(self):
        posts = [each for each in self.server.requests if (each.method, each.path) == ("POST", "/api/job")]
        return [json.loads(each.body)["payload"]["max_samples"] - FIRST for each in posts]

    def fail(self, status=None, nth=1, *, page=None, message="no credit left", **how):
        if page is not None:
            how["body"] = page
        elif status is not None:
            how["message"] = message
        self.server.fail_submission(status, nth, **how)

    def impatient(self, client, seconds):
        import quandela_server

        quandela_server.impatient(client, seconds)

    def questions_fail(self, status, times):
        self.server.fail_next(status, times, "/api/job/status", "GET")

    def collecting_hangs(self, skip):
        self.server.fail_next(None, 1, "/api/job/result", "GET", skip=skip, hang_s=30)

    def shots_of(self, result):
        return sum(result["results"].values())

    def calibrate(self):
        self.server.calibrate(self.device, {"HOM (%)": 87.5})
        return 0.875

    def figure(self, job, calibration):
        return calibration.device_figures["HOM"]

    def renew(self):
        self.server.expire_tokens()
        self.server.issue_token()

    def withdraw(self):
        self.server.revoke()
        self.server.retire(self.device)


class Pasqal(_Cloud):
    """Batches of one job."""

    name, device, finds = "pasqal", "EMU_FREE", True

    @property
    def place(self):
        return self.name, self.server.address, "loopback-password"

    def client(self):
        return self.server.client()

    def add(self, group, jobs, client=None, device=None):
        from pasqal_runs import omegas, plain, turned
        from pulser.devices import AnalogDevice

        client = client or self.client()
        for number in range(jobs):
            runs = FIRST + number
            sequence, asked = (
                (turned(), omegas(6.0, runs=runs)) if device is None else (plain(6.0, AnalogDevice), [{"runs": runs}])
            )
            group.add(client, sequence, asked, device_type=device or self.device)

    def accepted(self):
        return [job.runs - FIRST for job in self.server.jobs_seen]

    def asked(self):
        return [body["jobs"][0]["runs"] - FIRST for body in self.server.sent("POST", "/api/v1/batches")]

    def fail(self, status=None, nth=1, *, page=None, message="no credit left", **how):
        if page is not None:
            how["text"] = page
        elif status is not None:
            how["description"] = message
        self.server.fail_submission(status, nth, **how)

    def impatient(self, client, seconds):
        pass

    def questions_fail(self, status, times):
        self.server.fail_next(status, times, "/api/v2/jobs", method="GET")

    def collecting_hangs(self, skip):
        self.server.fail_next(None, 1, "/results_link", method="GET", skip=skip, hang_s=30)

    def listing_fails(self, status, times):
        self.server.fail_next(status, times, "", method="GET")
        self.server._failures[-1].path = "/core-fast/api/v2/jobs"

    def shots_of(self, result):
        return sum(result["counter"].values())

    def calibrate(self):
        self.server.calibrate("FRESNEL", {"default_noise_model": {"p_false_pos": 0.25}})
        return 0.25

    def figure(self, job, calibration):
        return _device(job)["default_noise_model"]["p_false_pos"]

    def renew(self):
        self.server.expire_tokens()
        self.server.issue_token()

    def withdraw(self):
        self.server.expire_tokens()
        self.server.retire("FRESNEL")


KINDS = {"ibm": IBM, "perceval": Perceval, "pasqal": Pasqal}


@cache
def _turned(number):
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1, name=f"turned-{number}")
    circuit.rz(0.001 * number, 0)
    circuit.sx(0)
    circuit.measure(0, 0)
    return circuit


def turned(backend, number):
    """A circuit for a device of IBM's that is equal to no other one of another number."""
    from qiskit import transpile

    return transpile(_turned(number), backend, initial_layout=[0], optimization_level=0)


@pytest.fixture(params=CLOUDS)
def cloud(request, hurried):
    """Each of the three clouds."""
    return KINDS[request.param](request.getfixturevalue(FIXTURES[request.param]))


@pytest.fixture
def hurried(monkeypatch):
    """Groups ask and wait for moments only."""
    hurry(monkeypatch.setattr)


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        yield archive


def _device(job):
    """The specs of a device of Pasqal's that a job was sent to."""
    return job.get(job.backend_snapshot["device"])["specs"]


def prepare_forks():
    """Let scripts that are started from here on find the SDKs in place."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([
        "qarchive.providers.qiskit.aer", "qiskit.primitives", "qiskit_aer", "numpy", "qiskit_ibm_runtime", "perceval.algorithm",
        "perceval.providers.quandela", "pasqal_cloud.pasqal_cloud_client", "pulser_simulation"])  # fmt: skip


def hurry(change=setattr):
    """Ask and wait for moments only, in this process. IBM's SDK does not look for who called it: that takes most of its time."""
    change(running, "_POLL_S", (0.02, 0.1))
    change(lanes, "_PAUSE_S", (0.02, 0.1))
    change(urllib3.util.retry, "time", SimpleNamespace(sleep=lambda _: None, time=time.time))  # nor between two tries of an SDK
    if session := sys.modules.get("qiskit_ibm_runtime.api.session"):
        change(session, "inspect", SimpleNamespace(stack=list))


def connect(name, address, token):
    """A client in a process that knows no more than where the server is; for Perceval, as its user would keep the token."""
    hurry()
    warnings.simplefilter("ignore")
    if name == "ibm":
        import ibm_server
        from qiskit_ibm_runtime import QiskitRuntimeService

        os.environ.update(ibm_server.environment(address))
        url = address + ibm_server.API_PREFIX
        names = ("QISKIT_IBM_TOKEN", "QISKIT_IBM_URL", "QISKIT_IBM_INSTANCE")  # where the SDK looks for an account, among others
        os.environ.update(zip(names, (token, url, ibm_server.CRN), strict=True))
        made = QiskitRuntimeService(channel="ibm_quantum_platform", token=token, url=url, instance=ibm_server.CRN)
        hurry()
        return made
    if name == "perceval":
        import perceval
        from perceval.providers.quandela import RemoteConfig

        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
        RemoteConfig.set_url(address)
        RemoteConfig.set_token(token)
        perceval.RemoteJob.STATUS_REFRESH_DELAY = 0
        return perceval.RemoteProcessor(Perceval.device)
    import pasqal_server
    from pasqal_cloud.endpoints import Endpoints
    from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient

    os.environ["NO_PROXY"] = "127.0.0.1"
    return PasqalCloudClient(
        username=pasqal_server.USER, password=token, project_id=pasqal_server.PROJECT,
        endpoints=Endpoints(core=address + "/core-fast", account=address + "/account"),
        auth_config=pasqal_server.auth_config(address))  # fmt: skip


@contextmanager
def warned():
    """What the archive warns of inside, as a list of texts; nothing else may warn of the archive."""
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [str(warning.message) for warning in caught if issubclass(warning.category, ArchiveWarning)]
