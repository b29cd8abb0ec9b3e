"""Files of Perceval's JobGroup and ExecutionGroup are taken over: jobs, inputs and ids, and no token."""

import socket
from pathlib import Path

import perceval as pcvl
import pytest
from perceval.algorithm import Sampler
from perceval.runtime import ExecutionFactory, ExecutionGroup
from perceval.runtime.legacy import JobGroup
from quandela_server import QuandelaServer

import qarchive
from qarchive.errors import ArchiveWarning, BadInput

NO_INPUT = {"what": "input", "reason": "Perceval drops the input of a job that succeeded from the file of its group"}
UNKNOWN = [{"what": what, "reason": "the file of the group does not hold one"} for what in ("environment", "calibration")]

pytestmark = pytest.mark.filterwarnings("ignore::qarchive.errors.ArchiveWarning")


@pytest.fixture
def server():
    with QuandelaServer(seed=7) as running:
        yield running


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "archive") as archive:
        yield archive


def prepared(processor):
    processor.add(0, pcvl.catalog["postprocessed cnot"].build_experiment())
    processor.min_detected_photons_filter(2)
    processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
    return processor


@pytest.fixture
def job_group(server, tmp_path, monkeypatch):
    """(file, its jobs): one that is done, one that was sent, two equal ones that were not."""
    monkeypatch.setattr(JobGroup, "_DIR_PATH", str(tmp_path))
    monkeypatch.setattr("perceval.runtime.legacy.remote_job.RemoteJob.STATUS_REFRESH_DELAY", 0)
    sampler = Sampler(prepared(server.remote_processor("sim:altair")), max_shots_per_call=1_000_000)
    group = JobGroup("cnots")
    for samples in (1000, 2000, 3000, 3000):
        group.add(sampler.sample_count, max_samples=samples)
    group[0].execute_async()
    server.wait(group[0].id)
    group.progress()
    server.hold()
    group[1].execute_async()
    group._write_to_file()
    return tmp_path / "cnots.jgrp", group


@pytest.fixture
def execution_group(server, tmp_path):
    """The file of an ExecutionGroup with one that was sent, one with iterations that was not, and one of a local computer."""
    processor = prepared(server.remote_processor("sim:altair"))
    factory = ExecutionFactory(server.computer("sim:altair"), processor.experiment, max_shots_per_call=1000)
    group = ExecutionGroup("both", folder_path=str(tmp_path / "groups"))
    group.add(factory.probs)
    group[0].execute_async()
    factory.add_iteration(input_state=pcvl.BasicState([0, 1, 1, 0]))
    group.add(factory.probs)
    group.add(ExecutionFactory(pcvl.SimulatedComputer("SLOS"), processor.experiment).probs)
    group._write_to_file()
    return tmp_path / "groups" / "both.egrp", group


def test_a_job_group_is_taken_over_in_order(archive, job_group):
    file, group = job_group
    jobs = archive.fetch(file)
    assert [job.status for job in jobs] == ["QUEUED", "QUEUED", "PREPARED", "PREPARED"]
    assert [job.provider_job for job in jobs] == [group[0].id, group[1].id, None, None]
    assert [job.gaps for job in jobs] == [[NO_INPUT, *UNKNOWN], UNKNOWN, [], []]
    assert [job.shots for job in jobs] == [None, 2000, 3000, 3000]
    assert {job.labels["group"] for job in jobs} == {"cnots"}
    assert {job.backend for job in jobs} == {"sim:altair"}
    assert str(jobs[2].input.input_state) == "|0,1,0,1,0,0>"  # with its heralds
    assert {job.created for job in jobs} == {group.created_date.replace(microsecond=0).astimezone()}


def test_taking_a_file_over_twice_is_once(archive, job_group):
    file, _ = job_group
    first = archive.fetch(file)
    assert sorted(job.id for job in archive.fetch(str(file))) == sorted(job.id for job in first)
    assert len(archive.jobs()) == 4


def test_results_come_with_todays_token(archive, job_group, server):
    file, group = job_group
    archive.fetch(file)
    server.revoke()
    server.issue_token()
    server.release()
    server.wait(group[1].id)
    report = archive.sync(server.rpc_handler("sim:belenos"))
    assert len(report.collected) == 2
    jobs = {job.provider_job: job for job in archive.jobs(status="DONE")}
    assert sum(jobs[group[0].id].counts().values()) == 1000
    assert sum(jobs[group[1].id].counts().values()) == 2000
    assert [c.device for c in jobs[group[1].id].calibrations] == ["sim:altair"]


def test_no_token_of_a_file_is_stored(archive, job_group, server):
    file, _ = job_group
    assert server.token in file.read_text()
    jobs = archive.fetch(file)
    archive.flush()
    blobs = [archive.blob(digest) for job in jobs for _, digest, _ in job.blobs]
    packs = [path.read_bytes() for path in (archive.path / "packs").iterdir() if path.is_file()]
    assert blobs
    assert not any(secret.encode() in data for data in (*blobs, *packs) for secret in (server.token, server.url, "Bearer"))


def test_an_execution_group_is_taken_over_without_asking_anybody(archive, execution_group, monkeypatch):
    file, group = execution_group
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
    sent, unsent = archive.fetch(file)
    assert (sent.status, unsent.status) == ("QUEUED", "PREPARED")
    assert sent.provider_job == group[0]._getters[0][0]._remote_id
    assert (sent.names, sent.shots, unsent.record["size"]) == (("probs",), 1000, 1)
    assert unsent.input["iterations"] == [{"input_state": pcvl.BasicState([0, 1, 1, 0])}]
    assert len(archive.fetch(file)) == 2
    assert len(archive.jobs()) == 2


BROKEN = [b"", b"{}", b"\xff\xfe", b'{"created_date": "x"}', b"pcvlar 0 1 7", b"pcvlar:zip:AAAA", b"[1, 2]"]


@pytest.mark.parametrize("content", BROKEN)
@pytest.mark.parametrize("suffix, kind", [(".jgrp", "JobGroup"), (".egrp", "ExecutionGroup")])
def test_a_file_that_is_none_is_an_error(archive, tmp_path, content, suffix, kind):
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(content)
    with pytest.raises(BadInput) as info:
        archive.fetch(file)
    said = str(info.value)
    assert said == f"{file}: cannot be read (it is no text)" or said.startswith(
        f"{file}: is no {kind} that this version of Perceval can read ("
    )
    assert len(archive.jobs()) == 0


def test_other_files_are_refused(archive, tmp_path):
    with pytest.raises(BadInput) as info:
        archive.fetch(tmp_path / "notes.txt")
    hint = "give a JobGroup (.jgrp) or an ExecutionGroup (.egrp)"
    assert str(info.value) == f"{tmp_path / 'notes.txt'}: is no file in which an SDK keeps jobs; {hint}"
    missing = Path(tmp_path / "missing.jgrp")
    with pytest.raises(BadInput) as info:
        archive.fetch(missing)
    assert str(info.value) == f"{missing}: cannot be read (No such file or directory)"


def test_gaps_of_a_file_are_warned_of(archive, job_group):
    file, _ = job_group
    with pytest.warns(ArchiveWarning) as caught:
        archive.fetch(file)
    assert {str(warning.message) for warning in caught} == {
        f"{gap['what']} is not archived: {gap['reason']}" for gap in (NO_INPUT, *UNKNOWN)
    }
