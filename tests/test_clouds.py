"""Jobs of processes that are gone, and of clouds that were not looked at: `sync`, `fetch`, `recover`."""

import signal
import subprocess
import sys
import textwrap

import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

import qarchive
from qarchive.errors import BadInput

LONG = textwrap.dedent("""
    import sys, qarchive
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator
    circuit = QuantumCircuit(24, 24)
    for layer in range(400):
        circuit.h(range(24))
        circuit.cx(0, 1)
    circuit.measure(range(24), range(24))
    archive = qarchive.open(sys.argv[1])
    backend = archive.wrap(AerSimulator(method="statevector", fusion_enable=False))
    job = backend.run(circuit, shots=1)
    archive._store.flush()
    print("started", flush=True)
    job.result()
""")


def bell():
    circuit = QuantumCircuit(2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


@pytest.fixture
def long_run(tmp_path):
    """(archive's folder, a process in the middle of a long simulation)."""
    process = subprocess.Popen([sys.executable, "-c", LONG, str(tmp_path / "lab")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    yield tmp_path / "lab", process
    process.kill()
    process.wait()


def test_a_run_whose_process_was_killed_becomes_unknown_and_says_why(long_run):
    folder, process = long_run
    with qarchive.open(folder) as archive:
        job = archive.job("latest")
        assert archive.sync().waiting == [job.id]  # its process still lives
        assert job.status == "RUNNING"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert archive.sync().lost == [job.id]
        assert job.status == "UNKNOWN"
        assert archive.job(job.id).history[-1]["error"]["message"] == "its process ended before an outcome was recorded"
        again = archive.sync()
        assert not any(vars(again).values())


def test_a_run_of_this_process_is_waited_for_and_never_given_up(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        backend = archive.wrap(AerSimulator())
        native = backend.run(bell(), shots=10)
        report = archive.sync()
        assert report.lost == [] and report.problems == {}
        native.result()
        assert archive.job("latest").status == "DONE"


def test_only_clouds_keep_jobs(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        with pytest.raises(BadInput) as caught:
            archive.fetch("aer", "some-id")
        assert str(caught.value) == "the provider aer: runs here and keeps no jobs; wrap its backends before they run"
        with pytest.raises(BadInput) as caught:
            archive.sync(AerSimulator())
        assert str(caught.value) == "the provider aer: runs here and keeps no jobs; give a client of a cloud, or none"


def test_what_is_attached_comes_back_and_leaves_the_seal_as_it_was(tmp_path):
    script = tmp_path / "run.py"
    script.write_text("print('hello')\n")
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator()).run(bell(), shots=10).result()
        job = archive.job("latest")
        seal = job.seal
        job.attach("logical", bell())
        job.attach("script", script)
        job.attach("angles", {"x": [0.1, 0.2]})
        job.attach("angles", {"x": [0.3]})
        assert job.attachments == ["angles", "logical", "script"]
        assert job.attachment("logical") == bell() and job.attachment("logical").name == "bell"
        assert job.attachment("script") == b"print('hello')\n"
        assert job.attachment("angles") == {"x": [0.3]}
        assert job.seal == seal and job.status == "DONE"
        with pytest.raises(qarchive.errors.NotFound, match="it has angles, logical, script"):
            job.attachment("figure")
        with pytest.raises(BadInput, match="give a circuit, a Path or a plain value"):
            job.attach("thing", object())
        assert archive.verify(deep=True).findings == []


def test_what_runs_here_is_not_calibrated_and_has_no_client(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator()).run(bell(), shots=10).result()
        with pytest.raises(BadInput) as caught:
            archive.calibrate("latest")
        assert str(caught.value) == "the provider aer: runs here, and what it runs on is not calibrated"
        with pytest.raises(BadInput) as caught:
            archive.replay("aer")
        assert str(caught.value) == "the provider aer: has no client to answer for; give a backend or a primitive"


def test_events_stay_beside_the_seal_and_in_the_history(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator()).run(bell(), shots=10).result()
        job = archive.job("latest")
        seal = job.seal
        archive._recorder.event(qarchive.providers.registry.named("aer"), job.provider_job, "closed", {"open": False})
        archive._recorder.event(qarchive.providers.registry.named("aer"), "nobody's", "closed")
        [event] = [record for record in archive.job(job.id).history if record["type"] == "event"]
        assert (event["name"], job.get(event["value"])) == ("closed", {"open": False})
        assert archive.job(job.id).seal == seal
        assert archive.verify(deep=True).findings == []
