"""The README's examples of groups do what they say: each is run as it stands there, against loopback clouds and on Aer."""

import re
import runpy
from functools import partial
from pathlib import Path

import pytest

import qarchive

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README[README.index("## Groups\n") : README.index("## Resumed\n")]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def example(words, **names):
    """Run the one example that holds these words; the names that it leaves."""
    [code] = [code for code in EXAMPLES if words in code]
    Path("example.py").write_text(code, encoding="utf-8")
    return runpy.run_path("example.py", init_globals=names)


def sweep(archive, number=251):
    """What the example of `map` needs, with circuits small enough for a test."""
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

    def circuits():
        for place in range(number):
            circuit = QuantumCircuit(1, 1, name=f"circuit {place}")
            circuit.rx(place / number, 0)
            circuit.measure(0, 0)
            yield circuit

    return {"archive": archive, "AerSimulator": AerSimulator, "circuits": circuits()}


def test_every_example_is_run_here():
    words = ("prepare.py", "run.py", "analyse.py", "group.map(", "executor=", "open_batch")
    assert [sum(each in code for code in EXAMPLES) for each in words] == [1] * len(EXAMPLES)


def test_three_scripts_prepare_run_and_analyse_perceval_s_own_example(monkeypatch, capsys):
    import perceval
    from quandela_server import QuandelaServer

    monkeypatch.setattr(perceval.RemoteJob, "STATUS_REFRESH_DELAY", 0)
    with QuandelaServer(seed=7) as server:
        for platform in server.platforms.values():
            platform.modes = platform.modes and 10  # a client reads the whole chip at every question
        server.configure()
        example("prepare.py")["archive"].close()
        assert not server.jobs
        example("run.py")
    assert capsys.readouterr().out == "group compare_knill_and_ralph_cnot: 2 jobs, 2 circuits (2 done)\n  circuits 0-1: done\n"
    assert example("analyse.py")["ratio"] > 1  # the cloud is gone, and the token with it


def test_circuits_are_mapped_run_and_joined():
    with qarchive.open("lab") as archive:
        found = example("group.map(", **sweep(archive))
        group, result = found["group"], found["result"]
        assert (len(group), len(result), group.statuses()) == (3, 251, ["DONE"] * 3)
        last = result.get_counts(250)
        assert last == result.get_counts("circuit 250") and sum(last.values()) == 1000 and last["0"] > 600
        assert result.get_counts(0) == {"0": 1000}
        assert example("group.map(", **sweep(archive))["result"].get_counts(250) == last  # called again, nothing is run again


def test_an_executor_of_dask_runs_a_group():
    from dask import distributed

    client = partial(distributed.Client, processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None)
    with qarchive.open("lab") as archive:
        group, given = archive.group("sweep"), sweep(archive, 4)
        group.map(given["AerSimulator"](), given["circuits"], per_job=2, shots=10)
        example("executor=", Client=client, group=group)
        assert group.statuses() == ["DONE", "DONE"]


@pytest.mark.filterwarnings("ignore::qarchive.errors.ArchiveWarning")
def test_an_open_batch_of_pasqal_s_belongs_to_a_group():
    from pasqal_server import PasqalServer
    from pulser import Pulse, Register, Sequence
    from pulser.devices import MockDevice

    made = Sequence(Register.from_coordinates([(0, 0), (6, 0)], prefix="q"), MockDevice)
    made.declare_channel("rydberg", "rydberg_global")
    made.add(Pulse.ConstantPulse(200, made.declare_variable("omega_max"), 0, 0), "rydberg")
    made.measure()
    with PasqalServer(seed=7) as server, qarchive.open("lab") as archive:
        found = example("open_batch", archive=archive, sdk=server.client(), serialized_sequence=made.to_abstract_repr())
        assert found["batch"].open is False
        archive.group("vqe").update(found["sdk"])
        assert archive.group("vqe").statuses() == ["DONE", "DONE"]
