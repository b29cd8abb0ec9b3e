"""Whatever a stranger writes, decoders keep their promises: each target over its corpus, and over alterations of it.

With `QARCHIVE_TORTURE=1` atheris looks for new inputs, where it is installed; `tools/fuzz` does so at any time.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from fuzzing import mutating, targets
from fuzzing.sentry import watched

from qarchive import codec

TORTURE = os.environ.get("QARCHIVE_TORTURE") == "1"
ROUNDS = {"codec": 400, "columns": 400, "records": 300, "places": 300, "pack": 200, "bundles": 200, "qiskit": 60, "ibm": 10,
          "perceval": 60, "pulser": 6, "pasqal": 6}  # fmt: skip
FUZZ = Path(__file__).parent.parent / "tools" / "fuzz"


def test_every_target_has_a_corpus():
    assert {path.name for path in targets.CORPORA.iterdir()} == targets.TARGETS.keys()
    assert all(targets.corpus(target) for target in targets.TARGETS)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_no_input_breaks_a_promise(target, tmp_path):
    files = targets.corpus(target)
    for path in files:
        targets.TARGETS[target](path.read_bytes())
    for seed in range(ROUNDS[target] * (50 if TORTURE else 1)):
        data = targets.altered(target, files[seed % len(files)].read_bytes(), seed)
        try:
            targets.TARGETS[target](data)
        except Exception:
            (tmp_path / "input").write_bytes(data)
            print(f"again: tools/fuzz {target} --run {tmp_path / 'input'}")
            raise


if TORTURE and find_spec("atheris"):

    @pytest.mark.parametrize("target", targets.TARGETS)
    def test_atheris_finds_no_input_that_breaks_a_promise(target, tmp_path):
        command = [sys.executable, FUZZ, target, "--seconds", "60", "--work", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr[-4000:]


def test_an_alteration_is_another_value_and_the_same_for_the_same_seed():
    data = codec.encode({"counts": [1, 2, 3], "name": "bell"})
    found = [mutating.altered(data, seed) for seed in range(100)]
    assert found == [mutating.altered(data, seed) for seed in range(100)]
    assert len(set(found)) > 60
    values = [codec.decode(each) for each in found]
    assert any("counts" not in value for value in values if type(value) is dict)


def test_a_target_tells_a_broken_promise(monkeypatch):
    monkeypatch.setattr(codec, "encode", lambda value, spill=None: b"\xc0")
    with pytest.raises(AssertionError, match="a second encoding of one value was decoded"):
        targets.TARGETS["codec"](b"\x01")


def test_a_process_that_a_decoder_starts_is_seen():
    calls: list[str] = []
    with watched(calls):
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert calls[0].startswith("subprocess.Popen")
