"""Providers of other packages are found by their entry points, and what is wrong with one is said and harms no other."""

import subprocess
import sys

import pytest

PROVIDERS = """
from qarchive.providers.qiskit.backends import QiskitProvider

class Named(QiskitProvider):
    name = "mine"

class Misnamed(QiskitProvider):
    name = "theirs"

class Aer(QiskitProvider):
    name = "aer"

class Renamed(QiskitProvider):
    name = "mine"
    def entry_points(self):
        yield QiskitProvider, "execute"
"""
INHERITED = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules.update(dict.fromkeys(("perceval", "pulser", "pulser_simulation", "pasqal_cloud")))
import qarchive
from qarchive.providers import hooks
from qarchive.providers.qiskit.backends import QiskitProvider
from qiskit import QuantumCircuit
from qiskit.providers.basic_provider import BasicSimulator

class Heir(BasicSimulator):
    pass

class Heirs(QiskitProvider):
    def entry_points(self):
        yield Heir, "run"

archive = qarchive.open(sys.argv[1] + "/lab")
hooks.instrument(Heirs())
circuit = QuantumCircuit(1)
circuit.measure_all()
with hooks.recording(archive._recorder.way):
    Heir().run(circuit).result()
    BasicSimulator().run(circuit).result()
hooks.restore()
print(len(archive.jobs()), Heir.run is BasicSimulator.run)
"""


def ran(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)


def listed(folder, entries, then="from qarchive.providers import registry; print(*registry.installed())"):
    """(the names of providers that are found, what is warned of) with a package of these entry points."""
    made = folder / "strange-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text("[qarchive.providers]\n" + "\n".join(entries))
    (folder / "strange.py").write_text(PROVIDERS)
    done = ran(f"import sys; sys.path.insert(0, {str(folder)!r}); {then}")
    return done.stdout.split(), [
        line.partition("ArchiveWarning: ")[2] for line in done.stderr.splitlines() if "Warning: " in line
    ]


def test_a_provider_is_found_by_its_entry_point(tmp_path):
    assert listed(tmp_path, ["mine = strange:Named"]) == (["mine"], [])


@pytest.mark.parametrize(("entry", "reason"), [
    ("gone = nowhere:Provider", "the provider 'gone' of strange is left out: ModuleNotFoundError: No module named 'nowhere'"),
    ("other = strange:Misnamed", "the provider 'other' of strange is left out: it calls itself 'theirs'"),
    ("dict = builtins:dict", "the provider 'dict' of strange is left out: a dict is no Provider"),
    ("aer = strange:Aer", "the provider 'aer' of strange is left out: qarchive has a provider 'aer' of its own"),
])  # fmt: skip
def test_what_cannot_be_used_is_left_out_and_named(tmp_path, entry, reason):
    assert listed(tmp_path, [entry, "mine = strange:Named"]) == (["mine"], [reason])


def test_a_method_may_be_inherited_and_what_it_runs_is_recorded_once(tmp_path):
    assert ran(INHERITED, str(tmp_path)).stdout == "1 True\n"


def test_autolog_goes_on_without_a_provider_that_it_cannot_see_and_says_so(tmp_path):
    without_others = "sys.modules.update(dict.fromkeys(('perceval', 'pulser', 'pulser_simulation', 'pasqal_cloud')))"
    then = f"{without_others}; import qarchive; a = qarchive.autolog({str(tmp_path / 'lab')!r}); print(len(a.jobs()))"
    said = ("autolog does not see all that runs by the provider mine: the provider mine: runs things by "
            "qarchive.providers.qiskit.backends.QiskitProvider.execute, which there is not; update its package")  # fmt: skip
    assert listed(tmp_path, ["mine = strange:Renamed"], then) == (["0"], [said])
