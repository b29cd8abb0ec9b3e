"""`qarchive.autolog`: everything that a process executes is archived, and nothing else changes. In processes of their own."""

import os
import subprocess
import sys
import textwrap

import pytest

import qarchive
from qarchive.errors import BadInput

PREAMBLE = """
import warnings
warnings.simplefilter("ignore")  # of the SDKs' own imports
import sys
import qarchive
from qiskit import QuantumCircuit
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import Estimator, EstimatorV2, Sampler, SamplerV2
warnings.simplefilter("default")
bare = QuantumCircuit(2, name="bare")
bare.sx(0)
bare.cx(0, 1)
circuit = bare.copy("circuit")
circuit.measure_all()
folder = sys.argv[1]
"""


def without(*sdks):
    """What a script begins with that runs as if some SDKs were not installed.

    Autolog imports each one that is, which takes 5 s for all: tests of Qiskit and Aer need not wait for the others.
    """
    return f"import sys\nsys.modules.update(dict.fromkeys({sdks!r}))\n"


OTHER_SDKS = ("perceval", "pulser", "pulser_simulation", "pasqal_cloud")
QISKIT_ALONE = without("qiskit_ibm_runtime", *OTHER_SDKS) + PREAMBLE


def run(code, *args, preamble=PREAMBLE, **environment):
    """What a script prints that runs in a process of its own."""
    command = [sys.executable, "-c", preamble + textwrap.dedent(code), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def jobs(folder, **filters):
    """(provider, backend, type of the input) of all archived jobs, the oldest first."""
    with qarchive.open(folder, create=False) as archive:
        found = list(archive.jobs(order="oldest", **filters))
        assert {job.status for job in found} <= {"DONE"}
        return [(job.provider, job.backend, job.get(job.record["input"])["type"].removeprefix("qiskit.")) for job in found]


def test_every_way_to_execute_is_one_record(tmp_path):
    run(
        """
        from qiskit_ibm_runtime.fake_provider import FakeManilaV2
        qarchive.autolog(folder)
        for backend in (AerSimulator(), BasicSimulator(), GenericBackendV2(2, seed=1), FakeManilaV2()):
            backend.run(circuit).result()
            BackendSamplerV2(backend=backend).run([circuit]).result()
            BackendEstimatorV2(backend=backend).run([(bare, "ZZ")], precision=0.3).result()
        for device in (AerSimulator(), GenericBackendV2(2, seed=1)):
            SamplerV2.from_backend(device).run([circuit]).result()
            EstimatorV2.from_backend(device).run([(bare, "ZZ")]).result()
        StatevectorSampler().run([circuit]).result()
        StatevectorEstimator().run([(bare, "ZZ")]).result()
        warnings.simplefilter("ignore", DeprecationWarning)
        Sampler().run(circuit).result()
        Estimator(approximation=True).run(bare, "ZZ").result()
        Estimator().run(bare, "ZZ").result()
        """,
        tmp_path / "all",
        preamble=without(*OTHER_SDKS) + PREAMBLE,
    )
    on_each = ("circuits", "pubs", "pubs")
    backends = [
        ("aer", "aer_simulator"),
        ("qiskit", "basic_simulator"),
        ("qiskit", "generic_backend_2q"),
        ("qiskit", "fake_manila"),
    ]
    assert jobs(tmp_path / "all") == [
        *((*backend, kind) for backend in backends for kind in on_each),
        *[("aer", "aer_simulator", "pubs")] * 2,
        *[("aer", "aer_simulator_from(generic_backend_2q)", "pubs")] * 2,
        ("qiskit", "StatevectorSampler", "pubs"),
        ("qiskit", "StatevectorEstimator", "pubs"),
        *[("aer", "aer_simulator", "v1")] * 3,
    ]


def test_ibms_primitives_on_a_local_backend_are_one_record(tmp_path):
    run(
        """
        warnings.simplefilter("ignore")
        from qiskit_ibm_runtime import Batch, EstimatorV2, SamplerV2
        from qiskit_ibm_runtime.fake_provider import FakeManilaV2
        archive = qarchive.autolog(folder)
        for n, (primitive, pubs) in enumerate([(SamplerV2, [circuit]), (EstimatorV2, [(bare, "ZZ")])], 1):
            primitive(mode=AerSimulator()).run(pubs).result()
            assert len(archive.jobs()) == n
        with Batch(backend=AerSimulator()) as batch:
            SamplerV2(mode=batch).run([circuit]).result()
        assert len(archive.jobs()) == 3
        """,
        tmp_path / "lab",
        preamble=without(*OTHER_SDKS) + PREAMBLE,
    )


def test_results_exceptions_warnings_and_random_numbers_are_the_same_with_and_without(tmp_path):
    code = """
    import random
    import numpy
    autologged = len(sys.argv) > 1 and sys.argv[2] == "on"
    random.seed(1)
    numpy.random.seed(1)
    if autologged:
        qarchive.autolog(folder)
    warnings.resetwarnings()
    warnings.simplefilter("always")
    def told(message, category, *_):
        print(category.__name__, message)
    warnings.showwarning = told
    calls = {
        "aer": lambda: AerSimulator().run(circuit, shots=30, seed_simulator=1),
        "basic": lambda: BasicSimulator().run(circuit, shots=30, seed_simulator=1),
        "generic": lambda: GenericBackendV2(2, seed=1).run(circuit, shots=30, seed_simulator=1),
        "sampler": lambda: SamplerV2(seed=1).run([circuit], shots=30),
        "estimator": lambda: EstimatorV2(options={"run_options": {"seed_simulator": 1}}).run([(bare, "ZZ")], precision=0.1),
        "backend sampler": lambda: BackendSamplerV2(backend=AerSimulator(), options={"seed_simulator": 1}).run([circuit]),
        "statevector": lambda: StatevectorSampler(seed=1).run([circuit]),
        "no registers": lambda: StatevectorSampler(seed=1).run([bare]),
        "version 1": lambda: Sampler(run_options={"seed": 1}).run(circuit, shots=5),
        "nothing": lambda: StatevectorSampler().run(),
        "unknown": lambda: AerSimulator().run(circuit, shots=1, seed_simulator=1, no_such_option=1),
        "refused": lambda: BackendEstimatorV2(backend=AerSimulator()).run([(bare, "ZZ")], precision=0),
        "failing": lambda: StatevectorEstimator().run([(circuit, "ZZ")]),
    }
    from qarchive import ArchiveWarning
    warnings.simplefilter("ignore", ArchiveWarning)  # of what could not be captured, since it was refused
    for name, call in calls.items():
        print(name)
        try:
            job = call()
            result = job.result()
            print(type(job).__name__, type(result).__name__)
        except Exception as error:
            print(type(error).__name__, error)
            continue
        if hasattr(result, "get_counts"):
            print(result.get_counts())
        elif name == "version 1":
            print(result.quasi_dists)
        else:
            for pub in result:
                print({key: getattr(item, "array", item).tolist() for key, item in pub.data.items()})
    print(random.random(), numpy.random.random())
    """
    bare = run(code, tmp_path / "off", "off", preamble=QISKIT_ALONE)
    assert run(code, tmp_path / "on", "on", preamble=QISKIT_ALONE) == bare
    assert "One of your circuits has no output classical registers" in bare and "deprecated" in bare
    with qarchive.open(tmp_path / "on") as archive:
        assert len(archive.jobs()) == 13
        assert len(archive.jobs(status="DONE")) == 10
    assert not (tmp_path / "off").exists()


def test_a_wrapped_object_is_recorded_once_and_in_its_own_archive(tmp_path):
    run(
        """
        qarchive.autolog(folder)
        own = qarchive.open(sys.argv[2])
        own.wrap(AerSimulator()).run(circuit).result()
        own.wrap(SamplerV2()).run([circuit]).result()
        BackendSamplerV2(backend=own.wrap(AerSimulator())).run([circuit]).result()
        """,
        tmp_path / "everything",
        tmp_path / "own",
        preamble=QISKIT_ALONE,
    )
    assert jobs(tmp_path / "own") == [("aer", "aer_simulator", kind) for kind in ("circuits", "pubs")]
    assert jobs(tmp_path / "everything") == [("aer", "aer_simulator", "pubs")]  # of a primitive that nobody wrapped


def test_contexts_and_pauses_hold(tmp_path):
    run(
        """
        archive = qarchive.autolog(folder)
        with archive.context(group="vqe", tags=["paper"]):
            BackendSamplerV2(backend=AerSimulator()).run([circuit]).result()
        assert archive.job("latest").labels == {"group": "vqe", "tags": ["paper"]}
        with archive.paused():
            BackendSamplerV2(backend=AerSimulator()).run([circuit]).result()
            AerSimulator().run(circuit).result()
        AerSimulator().run(circuit, archive=False).result()
        assert len(archive.jobs()) == 1
        """,
        tmp_path / "lab",
        preamble=QISKIT_ALONE,
    )


def test_a_wrapped_run_that_is_left_out_is_left_out(tmp_path):
    run(
        """
        archive = qarchive.autolog(folder)
        archive.wrap(AerSimulator()).run(circuit, archive=False).result()
        SamplerV2().run([circuit], archive=False).result()
        assert len(archive.jobs()) == 0
        """,
        tmp_path / "lab",
        preamble=QISKIT_ALONE,
    )


def test_pubs_that_come_from_a_generator_are_read_once_and_handed_on(tmp_path):
    run(
        """
        archive = qarchive.autolog(folder)
        result = SamplerV2().run((circuit, None, shots) for shots in (3, 4)).result()
        assert [pub.data.meas.num_shots for pub in result] == [3, 4]
        assert [pub.shots for pub in archive.job("latest").input] == [3, 4]
        """,
        tmp_path / "lab",
        preamble=QISKIT_ALONE,
    )


def test_what_aer_makes_of_a_wrapped_device_is_recorded_and_nothing_is_said_of_it(tmp_path):
    run(
        """
        archive = qarchive.autolog(folder)
        device = archive.wrap(GenericBackendV2(2, seed=1))
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        SamplerV2.from_backend(device).run([circuit]).result()
        assert len(archive.jobs()) == 1
        """,
        tmp_path / "lab",
        preamble=QISKIT_ALONE,
    )


def test_it_ends_and_leaves_the_classes_as_they_were(tmp_path):
    run(
        """
        from qiskit.primitives import BaseEstimatorV1, BaseSamplerV1
        from qiskit_aer.backends.aerbackend import AerBackend
        classes = (AerBackend, BasicSimulator, GenericBackendV2, BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator,
                   StatevectorSampler, EstimatorV2, SamplerV2, BaseEstimatorV1, BaseSamplerV1)
        before = [kind.__dict__["run"] for kind in classes]
        archive = qarchive.autolog(folder)
        assert not any(kind.__dict__["run"] is method for kind, method in zip(classes, before))
        assert SamplerV2.run.__doc__ == before[8].__doc__ and SamplerV2.run.__name__ == "run"
        last = SamplerV2().run([circuit])
        assert qarchive.autolog(False) is None
        assert all(kind.__dict__["run"] is method for kind, method in zip(classes, before))
        SamplerV2().run([circuit]).result()
        last.result()
        assert [job.provider_job for job in archive.jobs()] == [last.job_id()]
        assert qarchive.autolog(False) is None
        """,
        tmp_path / "lab",
        preamble=QISKIT_ALONE,
    )


def test_it_goes_on_in_another_archive(tmp_path):
    run(
        """
        first = qarchive.autolog(folder)
        AerSimulator().run(circuit).result()
        assert qarchive.autolog(folder) is first
        own = qarchive.open(sys.argv[2])
        assert qarchive.autolog(own) is own
        SamplerV2().run([circuit]).result()
        qarchive.autolog(False)
        assert qarchive.autolog() is not own
        StatevectorSampler().run([circuit]).result()
        """,
        tmp_path / "first",
        tmp_path / "second",
        preamble=QISKIT_ALONE,
        QARCHIVE=str(tmp_path / "third"),
    )
    assert jobs(tmp_path / "first") == [("aer", "aer_simulator", "circuits")]
    assert jobs(tmp_path / "second") == [("aer", "aer_simulator", "pubs")]
    assert jobs(tmp_path / "third") == [("qiskit", "StatevectorSampler", "pubs")]


def test_a_job_that_nobody_asks_for_is_archived_when_the_interpreter_ends(tmp_path):
    code = "qarchive.autolog(folder)\nStatevectorSampler().run([circuit])\nAerSimulator().run(circuit)"
    run(code, tmp_path / "lab", preamble=QISKIT_ALONE)
    assert jobs(tmp_path / "lab") == [("qiskit", "StatevectorSampler", "pubs"), ("aer", "aer_simulator", "circuits")]


@pytest.mark.parametrize("missing", ["qiskit", "qiskit_aer", "qiskit_ibm_runtime"])
def test_sdks_that_are_not_installed_are_passed_over(tmp_path, missing):
    printed = run(
        """
        import qarchive
        archive = qarchive.autolog(sys.argv[1])
        if sys.argv[2] != "qiskit":
            from qiskit import QuantumCircuit
            from qiskit.providers.basic_provider import BasicSimulator
            circuit = QuantumCircuit(1, 1)
            circuit.measure(0, 0)
            BasicSimulator().run(circuit).result()
        print(len(archive.jobs()))
        """,
        tmp_path / "lab",
        missing,
        preamble=without(missing, *([] if missing == "qiskit" else OTHER_SDKS)),
        PYTHONWARNINGS="ignore",
    )
    assert printed == ("0\n" if missing == "qiskit" else "1\n")


def test_what_cannot_be_an_archive_is_refused_and_nothing_is_recorded(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((BadInput, OSError, qarchive.QArchiveError)):
        qarchive.autolog(tmp_path / "file")
