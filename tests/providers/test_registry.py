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
"""


def listed(folder, entries):
    """(the names of providers that are found, what is warned of) with a package of these entry points."""
    made = folder / "strange-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text("[qarchive.providers]\n" + "\n".join(entries))
    (folder / "strange.py").write_text(PROVIDERS)
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from qarchive.providers import registry; print(*registry.installed())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
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
