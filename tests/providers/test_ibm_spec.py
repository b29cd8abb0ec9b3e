"""spec/ibm.md names every field that is stored, and says what is done with each status of the service."""

import re
import warnings
from pathlib import Path

import pytest
from ibm_runs import bell, sample
from ibm_server import IBMServer
from qiskit_ibm_runtime import Batch, Executor, NoiseLearner, QuantumProgram, SamplerV2

import qarchive
from qarchive.providers.ibm import refusals as ibm_refusals
from qarchive.providers.ibm import watch as ibm_watch
from qarchive.providers.ibm.calls import _RUNTIME

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SPEC = Path(__file__).parent.parent.parent / "spec"
PAGE = (SPEC / "ibm.md").read_text("utf-8")
NAMED = set(re.findall(r"`([A-Za-z_0-9.]+)`", PAGE + (SPEC / "qiskit.md").read_text("utf-8")))


def test_every_field_is_named(tmp_path):
    with IBMServer(seed=7) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        with qarchive.open(tmp_path / "lab") as archive:
            backend = archive.wrap(server.service()).backend("ibm_alpha")
            options = {"environment": {"job_tags": ["a"], "private": True}, "max_execution_time": 300}
            sample(Batch(backend), backend, options=options).result()
            NoiseLearner(backend).run([bell(backend)]).result()
            SamplerV2(backend).run([bell(backend)], dry_run=True).result()
            server.fail_next(404, path_contains="/configuration")
            program = QuantumProgram(shots=64)
            program.append_circuit_item(bell(backend))
            with pytest.raises(Exception, match="not found"):
                Executor(backend).run(program)
            fields, types = set(), set()
            for job in [*archive.jobs(), *archive.jobs(kind="mock")]:
                config, source, snapshot = job.config, job.get(job.record["input"]), job.backend_snapshot
                fields |= {*config, *config.get("runtime", {}), *source, *snapshot}
                types |= {source["type"], snapshot["type"]}
                outcome = job.outcome
                if "result" in outcome:
                    result, raw = job.get(outcome["result"]), job.get(outcome["volatile"]["raw"])
                    fields |= {*result, *raw, *outcome["volatile"], *outcome["usage"]}
                    types |= {result["type"], raw["type"]}
            assert fields - NAMED == set()
            assert types == {"qiskit.pubs", "qiskit.circuits", "ibm.inputs", "ibm.configuration", "ibm.result", "ibm.raw"}
            assert types <= NAMED


def test_options_of_the_service_are_those_of_the_code():
    listed = re.search(r"\| `runtime` \| .*?: (.*?); optional", PAGE)[1]
    assert set(re.findall(r"`(\w+)`", listed)) == set(_RUNTIME)


def test_statuses_are_those_of_the_code():
    rows = dict(re.findall(r"\| `([A-Z_]+)` \| (\w+)", PAGE))
    for status, word in rows.items():
        answer = {"status": word, "state": {"status": word} | ({"reason_code": 1305} if status == "TIMED_OUT" else {})}
        assert ibm_watch.state(answer).status == status
    assert set(rows) == {"DONE", "ERROR", "CANCELLED", "TIMED_OUT"}


def test_uncertain_statuses_are_those_of_the_code():
    listed = re.search(r"^\| ((?:\d+, )+\d+); 5xx", PAGE, re.M)[1]
    assert {int(number) for number in listed.split(", ")} == ibm_refusals._UNCERTAIN
