"""The command line on photonic jobs, as processes of their own with the token and address that Perceval keeps for its user."""

import os
import subprocess
import sys

import perceval as pcvl
import pytest
from perceval.algorithm import Sampler
from perceval.runtime.legacy import JobGroup
from quandela_server import QuandelaServer

import qarchive


class Lab:
    """A server, an archive, and the command line in another process."""

    def __init__(self, folder, server):
        self.server, self.folder, self.settings = server, folder / "lab", folder / "settings"
        self.archive = qarchive.open(self.folder)
        self.save()

    def save(self):
        """Keep the server's newest token where Perceval keeps it."""
        self.environment = os.environ | self.server.save_config(self.settings)

    def sampler(self, platform):
        processor = self.server.remote_processor(platform)
        processor.add(0, pcvl.catalog["postprocessed cnot"].build_experiment())
        processor.min_detected_photons_filter(2)
        processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
        return processor, Sampler(processor, max_shots_per_call=1_000_000)

    def run(self, *words):
        self.archive.flush()
        command = [sys.executable, "-m", "qarchive", "--archive", str(self.folder), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        lines = [line for line in done.stderr.splitlines() if line.startswith("qarchive: ")]
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, lines


@pytest.fixture
def lab(tmp_path):
    with QuandelaServer(seed=3) as server:
        yield Lab(tmp_path, server)


def test_sync_finds_todays_token_by_itself(lab):
    processor, sampler = lab.sampler("sim:altair")
    lab.archive.wrap(processor)
    lab.server.hold()
    job = sampler.sample_count.execute_async(100)
    archived = lab.archive.job(job.id)
    lab.server.revoke()
    code, out, errors = lab.run("sync")
    hint = "save a new one with perceval.RemoteConfig, or give a processor that has one; the archive needs no change"
    refusal = f"qarchive: {archived.id[:12]}: {lab.server.url}: it refuses the token (401); {hint}"
    assert (code, out, errors[:1]) == (9, "", [refusal])
    lab.server.issue_token()
    lab.save()
    lab.server.release()
    lab.server.wait(job.id)
    assert lab.run("sync") == (0, f"{archived.id[:12]}  ended, and kept\n", [])
    assert sum(lab.archive.job(job.id).counts().values()) == 100


def test_the_calibration_of_then_beside_that_of_now(lab):
    processor, sampler = lab.sampler("qpu:belenos")
    lab.archive.wrap(processor)
    sampler.sample_count.execute_sync(10)
    lab.server.calibrate("qpu:belenos", {"HOM (%)": 47.15})
    code, out, _ = lab.run("calibration", "diff", "latest", "--now")
    assert code == 0
    assert out.splitlines()[3:] == [
        "FIGURE  BEFORE   AFTER  CHANGE  MOVED  MOST MOVED",
        "HOM      0.943  0.4715   -50 %      1  -50 %",
        "unchanged: Clock, Transmittance, g2, t_in, t_out",
    ]
    assert [c.phase for c in lab.archive.job("latest").calibrations] == ["submit", "retrieval", "retrieval"]
    assert lab.archive.job("latest").calibrations[-1].raw()["perfs"]["HOM (%)"] == 47.15


def test_places_of_a_chip_are_modes(lab):
    processor, sampler = lab.sampler("qpu:belenos")
    lab.archive.wrap(processor)
    sampler.sample_count.execute_sync(10)
    code, out, _ = lab.run("calibration", "show", "latest")
    assert code == 0
    assert [line.split() for line in out.splitlines()[-2:]] == [
        ["t_in", "0.7655", "0.8", "m0", "0.731", "m23"],
        ["t_out", "0.692", "0.7", "m0", "0.684", "m4"],
    ]


def test_now_and_another_job_exclude_each_other(lab):
    processor, sampler = lab.sampler("sim:altair")
    lab.archive.wrap(processor)
    sampler.probs.execute_sync()
    said = ["qarchive: --now and OTHER: both say what JOB is compared with; give one of them"]
    assert lab.run("calibration", "diff", "latest", "latest", "--now") == (2, "", said)
    local = lab.archive.wrap(pcvl.Processor("SLOS", pcvl.BS()))
    local.with_input(pcvl.BasicState([1, 0]))
    local.probs()
    code, out, errors = lab.run("calibration", "diff", "latest", "--now")
    assert (code, out) == (3, "")
    assert errors[0].startswith("qarchive: a calibration is not in job ")


def test_a_group_of_perceval_becomes_jobs(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(JobGroup, "_DIR_PATH", str(tmp_path))
    _, sampler = lab.sampler("sim:altair")
    group = JobGroup("cnots")
    group.add(sampler.sample_count, max_samples=100)
    file = str(tmp_path / "cnots.jgrp")
    code, out, errors = lab.run("fetch", file)
    assert (code, errors) == (0, [])
    assert out == f"{lab.archive.job('latest').id[:12]}  PREPARED  \n"
    assert lab.run("fetch", file)[1] == out
    assert lab.run("fetch", file, "some-id") == (
        2,
        "",
        [f"qarchive: {file}: is a file, and all jobs in it are kept; give nothing beside it"],
    )


def test_results_are_shown_by_state(lab):
    processor = lab.archive.wrap(pcvl.Processor("SLOS", pcvl.BS()))
    processor.with_input(pcvl.BasicState([1, 0]))
    processor.probs()
    assert lab.run("result", "latest") == (
        0,
        "0\n   |1,0>  0.5  50.0%\n   |0,1>  0.5  50.0%\n   global_perf  1.0\n",
        [],
    )
    code, out, _ = lab.run("input", "latest")
    assert code == 0
    assert "modes 0, 1: BS.Rx(theta=1.5707963267948966)" in out
