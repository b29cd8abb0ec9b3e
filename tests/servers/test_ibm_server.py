"""The loopback IBM server, used by the unmodified SDK."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibm_server
import numpy as np
import pytest
from ibm_jobs import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING
from ibm_server import CRN, OTHER_CRN, IBMServer, hurry
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import (
    Batch,
    EstimatorV2,
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    NoiseLearner,
    RuntimeDecoder,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobNotFound,
    SamplerV2,
    Session,
)
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.execution_span import ExecutionSpans
from qiskit_ibm_runtime.ibm_backend import IBMRetiredBackend

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def server(monkeypatch):
    hurry(monkeypatch)
    with IBMServer(seed=7) as running:
        yield running


def bell(backend, **kwargs) -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="bell", **kwargs)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return transpile(circuit, backend, initial_layout=[0, 1], optimization_level=0)


def sample(backend, shots: int = 100, **environment):
    sampler = SamplerV2(backend, options={"environment": environment})
    return sampler.run([bell(backend)], shots=shots)


def done(server: IBMServer, job):
    server.wait(job.job_id())
    return job


def ids(jobs) -> list[str]:
    return [job.job_id() for job in jobs]


# Programs


def test_a_sampler_job_returns_noisy_counts_with_spans_and_is_seedable(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    first, second = (done(server, sample(backend, 1000)) for _ in range(2))
    result = first.result()
    counts = result[0].data.meas.get_counts()
    assert sum(counts.values()) == 1000
    assert 0 < counts.get("01", 0) + counts.get("10", 0) < 200
    assert counts == second.result()[0].data.meas.get_counts()
    spans = result.metadata["execution"]["execution_spans"]
    assert isinstance(spans, ExecutionSpans)
    assert (len(spans), spans[0].size, result.metadata["version"]) == (1, 1000, 2)


def test_a_sampler_job_takes_parameter_sweeps_and_several_pubs(server):
    backend = server.service().backend("ibm_alpha")
    angle, circuit = Parameter("a"), QuantumCircuit(1, 1)
    circuit.rx(angle, 0)
    circuit.measure(0, 0)
    circuit = transpile(circuit, backend, initial_layout=[2], optimization_level=0)
    job = done(server, SamplerV2(backend).run([(circuit, [[0.0], [np.pi]]), bell(backend)], shots=500))
    swept, pair = job.result()
    assert swept.data.shape == (2,)
    zeros = [swept.data.c.get_counts(index).get("0", 0) for index in range(2)]
    assert zeros[0] > 400 > 100 > zeros[1]
    assert pair.data.meas.num_shots == 500


def test_an_estimator_job_returns_values_of_the_noisy_device(server):
    backend = server.service().backend("ibm_beta")
    circuit = bell(backend).remove_final_measurements(inplace=False)
    observables = [SparsePauliOp(label).apply_layout(circuit.layout) for label in ("ZZ", "XX", "ZI")]
    job = done(server, EstimatorV2(backend).run([(circuit, observables)], precision=0.01))
    result = job.result()
    assert result[0].data.evs.shape == (3,)
    assert np.allclose(result[0].data.evs, [1, 1, 0], atol=0.15)
    assert np.array_equal(result[0].data.stds, np.full(3, 0.01))
    assert result[0].metadata["target_precision"] == 0.01
    assert result.metadata["resilience"]["measure_mitigation"] is True


def test_a_noise_learner_job_returns_layer_errors(server):
    backend = server.service().backend("ibm_alpha")
    result = done(server, NoiseLearner(backend).run([bell(backend)])).result()
    assert [layer.qubits for layer in result.data] == [[0, 1]]
    assert (result.data[0].error.rates > 0).all()


def test_a_dry_run_goes_to_the_mock_device_and_is_listed_only_on_request(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    job = done(server, SamplerV2(backend).run([bell(backend)], shots=400, dry_run=True))
    assert (job.backend().name, job.backend().is_mock, job.usage()) == ("mock_alpha", True, 0)
    assert len(job.result()[0].data.meas.get_counts()) == 4  # random, not a Bell state
    assert service.jobs() == []
    assert ids(service.jobs(include_mocks=True)) == [job.job_id()]
    assert [each.name for each in service.backends()] == ["ibm_alpha", "ibm_beta"]


# Jobs


def test_a_job_is_queued_then_running_then_done_with_the_times_of_each(server):
    service = server.service()
    server.hold()
    job = sample(service.backend("ibm_alpha"))
    assert (job.status(), job.metrics()["timestamps"]["running"], job.metrics()["position_in_queue"]) == ("QUEUED", None, 1)
    assert (job.logs(), job.usage()) == ("", 0)
    server.hold(RUNNING)
    server.wait(job.job_id(), RUNNING)
    assert (job.status(), job.metrics()["timestamps"]["finished"]) == ("RUNNING", None)
    server.release()
    assert done(server, job).status() == "DONE"
    times = job.metrics()["timestamps"]
    assert times["created"] <= times["running"] <= times["finished"]
    assert (job.usage(), job.usage_estimation) == (2, {"quantum_seconds": 3.0})
    assert "Starting program sampler" in job.logs()


def test_the_state_on_the_wire_has_its_own_capitals(server):
    service = server.service()
    job = done(server, sample(service.backend("ibm_alpha")))
    form = service._active_api_client.job_get(job.job_id())
    assert (form["status"], form["state"], form["program"]) == (COMPLETED, {"status": COMPLETED}, {"id": "sampler"})
    assert "params" not in form
    assert {"calibration_id", "cost", "created", "estimated_running_time_seconds", "tags", "usage", "user_id"} <= form.keys()


def test_jobs_are_filtered_paged_and_sorted(server):
    service = server.service()
    alpha, beta = service.backend("ibm_alpha"), service.backend("ibm_beta")
    first = done(server, sample(alpha, job_tags=["a", "b"]))
    middle = datetime.now(UTC)
    second = done(server, sample(beta, job_tags=["a"]))
    circuit = bell(alpha).remove_final_measurements(inplace=False)
    server.hold()
    third = EstimatorV2(alpha).run([(circuit, SparsePauliOp("ZZ").apply_layout(circuit.layout))])
    one, two, three = ids((first, second, third))
    assert ids(service.jobs()) == [three, two, one]
    assert ids(service.jobs(descending=False, limit=None)) == [one, two, three]
    assert ids(service.jobs(limit=1, skip=1)) == [two]
    assert ids(service.jobs(backend_name="ibm_beta")) == [two]
    assert (ids(service.jobs(pending=True)), ids(service.jobs(pending=False))) == ([three], [two, one])
    assert ids(service.jobs(program_id="estimator")) == [three]
    assert ids(service.jobs(job_tags=["a", "b"])) == [one]
    assert ids(service.jobs(created_after=middle)) == [three, two]
    assert ids(service.jobs(created_before=middle)) == [one]
    assert service.jobs(session_id="none") == []
    assert service.jobs()[0].primitive_id == "estimator"


def test_more_jobs_than_a_page_are_fetched_in_pages(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    server.hold()
    circuit = bell(backend)
    sent = [SamplerV2(backend).run([circuit], shots=1).job_id() for _ in range(21)]
    assert ids(service.jobs(limit=None)) == sent[::-1]


def test_inputs_come_back_as_they_were_sent(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    circuit = bell(backend, metadata={"k": 1})
    job = done(server, SamplerV2(backend).run([circuit], shots=10))
    returned, _, shots = service.job(job.job_id()).inputs["pubs"][0]
    assert (returned, returned.metadata, shots) == (circuit, {"k": 1}, 10)
    (sent,) = [request for request in server.requests if (request.method, request.path) == ("POST", "/jobs")]
    assert json.loads(sent.body, cls=RuntimeDecoder)["params"]["pubs"][0][0] == circuit
    assert sent.headers["Service-CRN"] == CRN


def test_tags_are_replaced(server):
    service = server.service()
    job = sample(service.backend("ibm_alpha"), job_tags=["old"])
    assert job.update_tags(["new"]) == ["new"]
    assert service.job(job.job_id()).tags == ["new"]


def test_a_job_is_cancelled_once(server):
    server.hold()
    job = sample(server.service().backend("ibm_alpha"))
    job.cancel()
    assert job.status() == "CANCELLED"
    with pytest.raises(RuntimeInvalidStateError, match="Job was cancelled"):
        job.result()
    with pytest.raises(RuntimeInvalidStateError, match="cannot be cancelled"):
        job.cancel()


def test_a_running_job_can_be_cancelled_and_the_next_one_runs(server):
    service = server.service()
    server.hold(RUNNING)
    job = sample(service.backend("ibm_alpha"))
    server.wait(job.job_id(), RUNNING)
    job.cancel()
    server.release()
    assert done(server, sample(service.backend("ibm_alpha"))).status() == "DONE"
    assert service.job(job.job_id()).status() == "CANCELLED"


def test_a_deleted_job_is_gone(server):
    service = server.service()
    job = done(server, sample(service.backend("ibm_alpha")))
    service.delete_job(job.job_id())
    with pytest.raises(RuntimeJobNotFound):
        service.job(job.job_id())
    assert [each.id for each in server.jobs_seen] == [job.job_id()]


def test_a_broken_job_fails_with_its_reason(server):
    server.break_next("Error: the cat got out.", code=9701)
    job = done(server, sample(server.service().backend("ibm_alpha")))
    assert server.jobs_seen[0].status == FAILED
    assert job.status() == "ERROR"
    assert "Error code 9701; Error: the cat got out." in job.error_message()
    with pytest.raises(RuntimeJobFailureError, match="the cat got out"):
        job.result()


def test_what_aer_cannot_run_fails_with_its_traceback(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    inputs = {"pubs": [(bell(backend), [[1.0, 2.0]], 10)], "version": 2}
    job = service._run("sampler", inputs, options={"backend": backend})
    assert done(server, job).status() == "ERROR"
    assert service._active_api_client.job_results(job.job_id()).startswith("Traceback")


def test_a_job_that_ran_too_long_is_an_error_of_its_own(server):
    server.break_next("Job ran longer than maximum execution time.", code=1305)
    job = done(server, sample(server.service().backend("ibm_alpha")))
    assert server.jobs_seen[0].status == CANCELLED
    with pytest.raises(RuntimeJobMaxTimeoutError):
        job.result()


def test_a_private_job_withholds_its_input_and_is_read_once(server):
    service = server.service()
    job = done(server, sample(service.backend("ibm_alpha"), private=True))
    again = service.job(job.job_id())
    assert (again.private, again.inputs) == (True, {})
    assert again.result()[0].data.meas.num_shots == 100
    with pytest.raises(RequestsApiError, match="has been read"):
        again.result()


# Sessions


def test_a_session_runs_its_jobs_and_closes(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    with Session(backend, max_time=600) as session:
        assert (session.status(), session.details()["max_time"]) == ("Pending", 600)
        job = done(server, sample(backend))
        assert job.session_id == session.session_id
        assert session.details()["state"] == "inactive"
    details = session.details()
    assert (details["state"], details["accepting_jobs"], details["mode"]) == ("closed", False, "dedicated")
    assert [each["status"] for each in details["timestamps"]] == ["open", "active", "inactive", "closed"]
    assert (session.usage(), session.status()) == (2, "Closed")
    assert ids(service.jobs(session_id=session.session_id)) == [job.job_id()]


def test_a_batch_is_found_by_its_id_and_cancelled_with_its_jobs(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    server.hold()
    with Batch(backend) as batch:
        jobs = [SamplerV2(batch).run([bell(backend)], shots=10) for _ in range(2)]
    assert batch.status() == "Pending"
    Batch.from_id(batch.session_id, service).cancel()
    assert [job.status() for job in jobs] == ["CANCELLED"] * 2
    assert batch.status() == "Closed"
    with pytest.raises(IBMInputValueError, match="execution mode batch"):
        Session.from_id(batch.session_id, service)


def test_a_closed_session_takes_no_more_jobs(server):
    backend = server.service().backend("ibm_alpha")
    session = Session(backend)
    server.sessions[session.session_id].accepting = False
    with pytest.raises(IBMRuntimeError, match=r'"code": 1217, "message": "Session has been closed\."'):
        SamplerV2(session).run([bell(backend)])
    assert server.jobs_seen == []


# Devices


def test_properties_are_those_of_a_moment(server):
    backend = server.service().backend("ibm_alpha")
    hour = timedelta(hours=1)
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    server.calibrate("ibm_alpha", moment, lambda properties: properties["qubits"][0][0].update(value=11.0))
    newest = server.calibrate("ibm_alpha", moment + 2 * hour, lambda properties: properties["qubits"][0][0].update(value=22.0))

    def measured(when=None):
        properties = backend.properties(refresh=True, datetime=when)
        return properties.last_update_date, properties.qubits[0][0].value

    assert measured() == (moment + 2 * hour, 22.0)
    assert measured(moment + hour) == (moment, 11.0)
    assert measured(moment - hour)[0] == datetime(2024, 5, 27, 18, 27, 23, tzinfo=UTC)
    assert backend.properties(datetime=datetime(2001, 1, 1, tzinfo=UTC)) is None
    assert backend.properties(datetime=moment + hour).qubits[0][0].date == moment
    named = server.service().backend("ibm_alpha", calibration_id=server.devices["ibm_alpha"].calibrations[1].id)
    assert named.properties().qubits[0][0].value == 11.0
    assert newest.id != server.devices["ibm_alpha"].calibrations[1].id


def test_a_job_runs_with_the_calibration_of_its_run_not_of_its_submission(server):
    service = server.service()
    backend = service.backend("ibm_alpha")

    def ruin(properties):
        for qubit in properties["qubits"]:
            for value in qubit:
                if value["name"].startswith(("prob_meas", "readout_error")):
                    value["value"] = 0.5

    server.hold()
    job = sample(backend, 2000)
    ruined = server.calibrate("ibm_alpha", change=ruin)
    server.release()
    counts = done(server, job).result()[0].data.meas.get_counts()
    assert min(counts.get(key, 0) for key in ("00", "01", "10", "11")) > 350
    assert job.properties().last_update_date == ruined.when
    assert server.jobs_seen[0].calibration_id == ruined.id
    server.calibrate("ibm_alpha")
    assert job.properties().last_update_date == ruined.when


def test_a_job_of_a_retired_device_keeps_its_result(server):
    job = done(server, sample(server.service().backend("ibm_alpha")))
    server.retire("ibm_alpha")
    service = server.service()
    assert [backend.name for backend in service.backends()] == ["ibm_beta"]
    again = service.job(job.job_id())
    assert isinstance(again.backend(), IBMRetiredBackend)
    assert again.properties() is None
    assert again.result()[0].data.meas.num_shots == 100


def test_status_and_usage_follow_the_jobs(server):
    service = server.service()
    backend = service.backend("ibm_alpha")
    done(server, sample(backend))
    server.hold()
    sample(backend)
    assert (backend.status().operational, backend.status().status_msg, backend.status().pending_jobs) == (True, "active", 1)
    assert server.service().least_busy().name == "ibm_beta"  # a service keeps the queues that it saw first
    assert service.usage()["usage_remaining_seconds"] == 36_000 - 2
    server.allocation_s = 1
    with pytest.warns(UserWarning, match="has met its usage limit"):
        sample(backend)


# Accounts


def test_instances_have_their_own_devices_and_jobs(server):
    first, other = server.service(), server.service(instance=OTHER_CRN)
    assert [backend.name for backend in other.backends()] == ["ibm_beta"]
    job = sample(other.backend("ibm_beta"))
    assert (ids(first.jobs()), ids(other.jobs())) == ([], [job.job_id()])
    with pytest.raises(RuntimeJobNotFound):
        first.job(job.job_id())


def test_instances_are_found_by_the_service_itself(server):
    service = server.service(instance=None)
    assert [each["crn"] for each in service.instances()] == [CRN, OTHER_CRN]
    alpha, beta = service.backend("ibm_alpha"), service.backend("ibm_beta", instance=OTHER_CRN)
    jobs = [sample(backend) for backend in (alpha, beta)]
    assert [job.instance for job in jobs] == [CRN, OTHER_CRN]
    assert [service.job(job.job_id()).backend().name for job in jobs] == ["ibm_alpha", "ibm_beta"]


def test_an_old_token_is_refused_until_the_client_fetches_another(server):
    service = server.service()
    service.usage()
    server.expire_tokens()
    with pytest.raises(IBMNotAuthorizedError, match='"code": 1201, "message": "Invalid credentials'):
        service.usage()
    assert server.service().usage()


def test_a_token_that_ages_is_replaced_by_the_client(server):
    server.token_lifetime_s = 5
    service = server.service()
    server.expire_tokens()
    assert service.usage()
    assert [request.path for request in server.requests].count("/identity/token") > 1


def test_a_revoked_key_gets_no_token(server):
    service = server.service()
    server.token_lifetime_s = 5
    service = server.service()
    server.revoke()
    with pytest.warns(UserWarning, match="Unable to retrieve IBM Cloud access token"), pytest.raises(IBMNotAuthorizedError):
        service.usage()
    assert server.service(token="another").usage()


def test_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv("IAM_URL", "kept")
    monkeypatch.delenv("QISKIT_FUNCTIONS_EXPERIMENTAL", raising=False)
    with IBMServer() as server:
        server.service()
        assert os.environ["IAM_URL"] == server.address
    assert os.environ["IAM_URL"] == "kept"
    assert "QISKIT_FUNCTIONS_EXPERIMENTAL" not in os.environ


# Failures


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failing_read_is_tried_again_by_the_client(server, status):
    service = server.service()
    server.fail_next(status, path_contains="/usage")
    assert service.usage()
    assert [request.path for request in server.requests].count("/instances/usage") == 2


def test_a_submission_is_tried_again_after_5xx_and_not_after_429(server):
    backend = server.service().backend("ibm_alpha")
    server.fail_next(503, path_contains="/jobs", method="POST")
    sample(backend)
    assert len(server.jobs_seen) == 1
    server.fail_next(429, path_contains="/jobs", method="POST", message="Too many requests.")
    with pytest.raises(IBMRuntimeError, match="Too many requests"):
        sample(backend)
    assert len(server.jobs_seen) == 1


def test_a_submission_that_was_accepted_behind_a_504_is_sent_twice_by_the_client(server):
    backend = server.service().backend("ibm_alpha")
    server.fail_next(504, path_contains="/jobs", method="POST", after_processing=True)
    job = sample(backend)
    assert [each.id for each in server.jobs_seen][1:] == [job.job_id()]


def test_a_refused_submission_leaves_no_job(server):
    backend = server.service().backend("ibm_alpha")
    server.fail_next(403, path_contains="/jobs", code=1200, message="You are not authorized to perform this action.")
    with pytest.raises(IBMRuntimeError, match='403 Client Error.*"code": 1200'):
        sample(backend)
    assert server.jobs_seen == []


@pytest.mark.parametrize("accepted", [False, True])
def test_an_unanswered_submission_looks_the_same_whether_accepted_or_not(server, accepted):
    service = server.service()
    backend = service.backend("ibm_alpha")
    server.fail_next(path_contains="/jobs", method="POST", after_processing=accepted)
    with pytest.raises(IBMRuntimeError, match="Failed to run program: .*Connection aborted"):
        sample(backend, job_tags=["look for me"])
    assert len(server.jobs_seen) == len(service.jobs(job_tags=["look for me"])) == int(accepted)


def test_a_slow_server_is_waited_for(server):
    service = server.service()
    server.latency_s = 0.2
    started = datetime.now(UTC)
    service.usage()
    assert datetime.now(UTC) - started >= timedelta(seconds=0.2)


def test_a_stopped_server_answers_nothing_and_leaves_no_thread():
    with IBMServer() as server:
        service = server.service()
        server.hold()
        sample(service.backend("ibm_alpha"))
    with pytest.raises(RequestsApiError):
        service._active_api_client._session.request("GET", "/instances/usage", timeout=1, allow_redirects=False)
    assert not any(thread.name in ("ibm-http", "ibm-worker") for thread in threading.enumerate())


# Other processes


def test_the_server_runs_in_a_process_of_its_own_for_clients_in_others(tmp_path):
    with subprocess.Popen(
        [sys.executable, ibm_server.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()
        variables = ibm_server.save_account(address, tmp_path)
        assert Path(tmp_path, ".qiskit", "qiskit-ibm.json").exists()
        code = "from qiskit_ibm_runtime import QiskitRuntimeService as S; print([b.name for b in S().backends()])"
        client = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=True
        )
        assert client.stdout == "['ibm_alpha', 'ibm_beta']\n"
        process.stdin.write('["hold"]\n')
        process.stdin.flush()
        assert process.stdout.readline() == "null\n"
        process.stdin.close()
        assert process.wait(10) == 0


def test_only_known_states_can_be_held(server):
    with pytest.raises(ValueError, match="jobs can be held while Queued or Running, not Done"):
        server.hold("Done")
    server.hold(QUEUED)
