"""A group is prepared in one script, run in a second and analysed in a third, whatever became of its cloud meanwhile."""

# ruff: noqa: F401, F811

import shutil

import pytest
from group_clouds import archive, cloud, hurried, prepare_forks
from group_runs import run_script

prepare_forks()
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::qarchive.errors.ArchiveWarning"),
]

PREPARE = """
    from group_clouds import KINDS, connect
    with qarchive.open(folder) as archive:
        KINDS[place[0]](None).add(archive.group("sweep"), 2, connect(*place), device)
"""
RUN = """
    from group_clouds import KINDS, connect
    client = connect(*place)
    given = {"client": client} if given else {}
    if not given:
        warnings.simplefilter("ignore")
    with qarchive.open(folder) as archive:
        group = archive.group("sweep")
        group.run_sequential(0, **given)
        tell(*group.statuses())
"""
ANALYSE = """
    import socket
    def refuse(*_):
        raise AssertionError("a socket was to be connected")
    socket.socket.connect = socket.getaddrinfo = refuse
    warnings.simplefilter("ignore")
    from group_clouds import KINDS
    cloud = KINDS[name](None)
    with qarchive.open(folder) as archive:
        group = archive.group("sweep")
        tell(*group.statuses())
        tell(*(cloud.shots_of(result) for result in group.get_results()))
        tell(*(job.shots for job in group))
        tell(*(cloud.figure(*each) for each in zip(group, group.calibrations())))
        tell(*(type(job.input).__name__ for job in group))
        tell(str(group.report()).splitlines()[-1].strip())
"""


@pytest.mark.parametrize(
    ("cloud", "given"),
    [("ibm", True), ("ibm", False), ("perceval", True), ("perceval", False), ("pasqal", True)],  # whose SDK keeps no credentials
    indirect=["cloud"],
)
def test_three_scripts_prepare_run_and_analyse(cloud, tmp_path, given):
    """The calibration is that of the day of sending; the account, the device and the network are gone in the end."""
    folder, device = str(tmp_path / "lab"), {"pasqal": "FRESNEL"}.get(cloud.name)
    run_script(PREPARE, place=cloud.place, folder=folder, device=device)
    assert cloud.accepted() == []
    assert [each.path for each in cloud.server.requests if each.method == "POST" and "token" not in each.path] == []
    figure = cloud.calibrate()
    cloud.renew()
    moved = shutil.copytree(folder, tmp_path / "copy")
    assert run_script(RUN, place=cloud.place, folder=str(moved), given=given) == ["DONE DONE"]
    assert cloud.accepted() == [0, 1]
    cloud.withdraw()
    lines = run_script(ANALYSE, name=cloud.name, folder=str(moved))
    assert lines[:4] == ["DONE DONE", "10 11", "10 11", f"{figure} {figure}"]
    assert lines[5] == "circuits 0-1: done"
    token = cloud.place[2].encode()
    assert not any(token in path.read_bytes() for path in moved.rglob("*") if path.is_file())


# Perceval's own example


def test_the_documented_example_gives_what_perceval_s_own_group_gives(quandela, hurried, archive, monkeypatch, capsys):
    """The same two CNOTs in a JobGroup and in a group: results of the same form, and progress in the same words."""
    import perceval as pcvl
    from perceval.algorithm import Sampler
    from perceval.runtime.legacy import JobGroup

    monkeypatch.setattr("perceval.runtime.legacy.remote_job.RemoteJob.STATUS_REFRESH_DELAY", 0)
    quandela.configure()
    own, group = JobGroup("compare"), archive.group("compare")
    for name in ("postprocessed cnot", "heralded cnot"):
        for added in (own, group):
            processor = pcvl.RemoteProcessor("sim:altair")
            processor.add(0, pcvl.catalog[name].build_experiment())
            processor.min_detected_photons_filter(2)
            processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
            added.add(Sampler(processor, max_shots_per_call=1_000_000).sample_count, max_samples=200)
    assert quandela.jobs == {}
    assert group.progress() == own.progress()
    assert len(group.list_unsent_jobs()) == len(own.list_unsent_jobs()) == 2
    own.run_sequential(0)
    group.run_sequential(0)
    assert group.progress() == own.progress()
    group.track_progress()
    for found, expected in zip(group.get_results(), own.get_results(), strict=True):
        assert found.keys() == expected.keys() - {"job_context"}
        assert type(found["results"]) is type(expected["results"])
        assert found["results"] == expected["results"]
    for listed in ("list_successful_jobs", "list_active_jobs", "list_unsuccessful_jobs", "list_unsent_jobs"):
        assert len(getattr(group, listed)()) == len(getattr(own, listed)())
    assert [len(group.remote_jobs), len(group)] == [2, 2]
    requests = [each.body for each in quandela.requests if (each.method, each.path) == ("POST", "/api/job")]
    assert len(requests) == 4
