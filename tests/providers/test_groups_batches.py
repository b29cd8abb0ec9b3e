"""Batches and sessions of groups, costs, several devices, and PUBs that are cut into jobs and joined again."""

# ruff: noqa: F401, F811

import errno
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from group_clouds import IBM, Pasqal, Perceval, archive, connect, hurried, turned, warned
from group_runs import Watched
from qiskit_ibm_runtime import Batch, EstimatorV2, SamplerV2, Session

import qarchive
from qarchive import disk
from qarchive.errors import BadInput, CannotWrite

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::qarchive.errors.ArchiveWarning"),
]


@pytest.fixture
def ibm(server, hurried):
    return IBM(server)


@pytest.fixture
def photons(quandela, hurried):
    return Perceval(quandela)


@pytest.fixture
def atoms(pasqal, hurried):
    return Pasqal(pasqal)


# Costs


def test_max_cost_stops_in_time_says_so_and_goes_on_with_more(ibm, archive):
    group = archive.group("sweep")
    ibm.add(group, 5)
    with warned() as said:
        group.run_parallel(max_cost=5)  # each is charged 2 s
    assert group.statuses() == ["DONE", "DONE", "PREPARED", "PREPARED", "PREPARED"]
    assert said == ["group sweep: stopped; 4 of max_cost=5 is used, and one more job may cost 2"]
    group.run_parallel(max_cost=8)
    assert group.statuses() == ["DONE"] * 4 + ["PREPARED"]
    group.run_parallel(max_cost=10)
    assert group.statuses() == ["DONE"] * 5
    assert ibm.asked() == [0, 1, 2, 3, 4]


# Several devices


def test_jobs_on_several_devices_have_each_the_calibration_of_its_own(ibm, archive):
    service, group = ibm.client(), archive.group("sweep")
    alpha, beta = service.backend("ibm_alpha"), service.backend("ibm_beta")
    ibm.add(group, 4, service)
    group.run_parallel(backends=[alpha, beta])
    assert group.statuses() == ["DONE"] * 4
    assert sorted(job.folded.backend for job in group) == ["ibm_alpha", "ibm_alpha", "ibm_beta", "ibm_beta"]
    for job, calibration in zip(group, group.calibrations(), strict=True):
        assert calibration.device == job.folded.backend
    assert set(group.drift()) == {"ibm_alpha", "ibm_beta"}
    assert ibm.asked() and sorted(ibm.accepted()) == [0, 1, 2, 3]


# Cutting and joining


@pytest.mark.parametrize("primitive", [SamplerV2, EstimatorV2])
def test_pubs_that_are_too_many_are_halved_until_they_fit_and_joined_in_order(ibm, archive, primitive):
    from qiskit.quantum_info import SparsePauliOp

    backend = ibm.client().backend("ibm_alpha")
    if primitive is SamplerV2:
        pubs = [(turned(backend, number), None, 10 + number) for number in range(5)]
    else:
        circuits = [turned(backend, number).remove_final_measurements(inplace=False) for number in range(5)]
        zeros = [SparsePauliOp("I" * (backend.num_qubits - 1) + label) for label in "ZXY"]
        pubs = [(circuit, zeros[: 1 + number % 3]) for number, circuit in enumerate(circuits)]
    whole = primitive(backend).run(pubs).result()
    del ibm.server.requests[:], ibm.server.jobs_seen[:]
    group = archive.group("sweep")
    group.add(primitive(backend), pubs)
    ibm.fail(413, 1)
    ibm.fail(413, 2)
    group.run_parallel()
    assert set(group.statuses()) == {"DONE"}
    sizes = [len(job.request["params"]["pubs"]) for job in ibm.server.jobs_seen]
    assert sum(sizes) == 5 and len(sizes) == len(group) == 3
    joined = group.result().combine_results()
    assert type(joined) is type(whole) and len(joined) == len(whole) == 5
    if primitive is SamplerV2:
        assert [pub.data.c.num_shots for pub in joined] == [10, 11, 12, 13, 14]
    else:
        assert [pub.data.evs.shape for pub in joined] == [pub.data.evs.shape for pub in whole]
        for one, other in zip(joined, whole, strict=True):
            assert np.allclose(one.data.evs, other.data.evs, atol=0.1)


def test_one_circuit_that_is_too_large_is_refused_and_the_rest_go_on(ibm, archive):
    group = archive.group("sweep")
    ibm.add(group, 3)
    ibm.fail(413, 2)
    group.run_parallel()
    assert group.statuses() == ["DONE", "REFUSED", "DONE"]


# Batches and sessions


@pytest.mark.parametrize("kind", [Batch, Session])
def test_jobs_in_a_batch_or_session_are_closed_with_the_group(ibm, archive, kind):
    service = ibm.client()
    backend, group = service.backend("ibm_alpha"), archive.group("sweep")
    for number in range(2):
        group.add(SamplerV2(backend), [turned(backend, number)], shots=10 + number)
    with archive.group("sweep").joining():
        mode = kind(backend)
        job = archive.wrap(SamplerV2(mode)).run([turned(backend, 2)], shots=12)
    job.result()
    group.run_parallel()
    assert group.statuses() == ["DONE"] * 3
    assert group.close(service) == [mode.session_id]
    assert ibm.server.sessions[mode.session_id].accepting is False


def test_cancel_asks_the_cloud_for_what_is_under_way_and_leaves_the_unsent(ibm, archive):
    group = archive.group("sweep")
    service = ibm.client()
    ibm.add(group, 2, service)
    ibm.server.hold()
    group.launch_async_jobs()
    ibm.add(group, 1, service)
    assert [job.id for job in group.cancel()] == [group[0].id, group[1].id]
    assert group.statuses() == ["CANCELLED", "CANCELLED", "PREPARED"]
    ibm.server.release()
    group.retry(status="CANCELLED", min_runs=11)
    assert group.statuses() == ["CANCELLED", "DONE", "PREPARED"]


def test_a_prepared_batch_of_pasqal_s_goes_out_as_one_request_and_is_retried_by_filters(atoms, archive):
    from pasqal_runs import omegas
    from pasqal_runs import turned as sequence

    group, sdk = archive.group("vqe"), atoms.client()
    group.add(sdk, sequence(), [*omegas(6.0, runs=5), *omegas(5.0, runs=6), *omegas(4.0, runs=7)], device_type="EMU_FREE")
    atoms.server.break_next(times=2)
    group.run_parallel()
    assert len(atoms.server.batches_seen) == 1 and atoms.accepted() == [-5, -4, -3]
    assert group.statuses() == ["ERROR", "ERROR", "DONE"]
    group.retry(status="ERROR", min_runs=6)
    assert group.statuses() == ["ERROR", "DONE", "DONE"]
    group.retry(id=group[0].id)
    assert group.statuses() == ["DONE"] * 3
    assert atoms.accepted() == [-5, -4, -3, -4, -5]


def test_an_open_batch_is_closed_on_an_exception_and_belongs_to_the_group(atoms, archive):
    from pasqal_cloud.utils.constants import JobStatus
    from pasqal_cloud.utils.filters import RebatchFilters
    from pasqal_runs import omegas
    from pasqal_runs import turned as sequence

    group, sdk = archive.group("vqe"), atoms.client()
    atoms.server.break_next()
    with (
        pytest.raises(ZeroDivisionError),
        group.open_batch(sdk, sequence(), omegas(6.0), device_type="EMU_FREE", wait=True) as batch,
    ):
        batch.add_jobs(omegas(5.0), wait=True)
        raise ZeroDivisionError
    assert not atoms.server.batches[batch.id].open
    group.update(sdk)
    assert group.statuses() == ["ERROR", "DONE"]
    group.rebatch(sdk, batch, RebatchFilters(status=JobStatus.ERROR))
    group.run_parallel(client=sdk)
    assert group.statuses() == ["ERROR", "DONE", "DONE"]
    assert group[2].record["parent"].digest.hex() == group[0].id


def test_an_open_batch_that_timed_out_is_left_as_it_is_and_its_jobs_can_be_sent_again(atoms, archive):
    from pasqal_runs import omegas
    from pasqal_runs import turned as sequence

    group, sdk = archive.group("vqe"), atoms.client()
    atoms.server.hold()
    with warned() as said, group.open_batch(sdk, sequence(), omegas(6.0), device_type="EMU_FREE") as batch:
        atoms.server.time_out(batch.id)
    assert said == [f"batch {batch.id} is not closed: Unable to close batch.: 400: Batch {batch.id} is closed (TIMED_OUT)."]
    with pytest.raises(ZeroDivisionError), group.open_batch(sdk, sequence(), omegas(5.0), device_type="EMU_FREE") as second:
        atoms.server.time_out(second.id)
        raise ZeroDivisionError
    atoms.server.release()
    group.update(sdk)
    assert group.statuses() == ["CANCELLED", "CANCELLED"]  # the cloud's word for jobs that a batch takes with it
    assert all("timed out" in [record.get("name") for record in job.history] for job in group)
    group.retry(status="CANCELLED", client=sdk)
    assert group.statuses() == ["DONE", "DONE"]


# A full disk


@pytest.mark.parametrize("on_error", ["warn", "raise"])
@pytest.mark.parametrize("name", ["ibm", "photons", "atoms"])
def test_a_disk_that_is_full_when_the_id_comes_stops_the_run_and_nothing_is_sent_twice(
    request, tmp_path, monkeypatch, name, on_error
):
    cloud = request.getfixturevalue(name)
    full, append = [], disk.append

    def appending(fd, data):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(fd, data)

    real = cloud.server.answer

    def answer(request):
        try:
            return real(request)
        finally:
            if len(cloud.asked()) == 2:
                full.append(True)

    with qarchive.open(tmp_path / "lab", on_error=on_error) as archive:
        group = archive.group("sweep")
        cloud.add(group, 4)
        monkeypatch.setattr(disk, "append", appending)
        cloud.server.answer = answer
        with pytest.raises(CannotWrite, match="the disk is full"):
            group.run_parallel()
        assert cloud.asked() == [0, 1]
        with pytest.raises(CannotWrite, match="the disk is full"):
            group.run_parallel()
        assert cloud.asked() == [0, 1]
        full.clear()
        cloud.server.answer = real
        group.run_parallel()
        assert group.statuses() == ["DONE"] * 4
        assert cloud.asked() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["photons", "atoms"])
def test_a_cloud_that_tells_no_costs_is_refused_with_a_budget(request, archive, name):
    cloud, group = request.getfixturevalue(name), archive.group("sweep")
    cloud.add(group, 2)
    with pytest.raises(BadInput) as caught:
        group.run_parallel(max_cost=5)
    assert str(caught.value) == f"max_cost=5: the cloud of {cloud.name} does not say what a job costs; run without it"
    assert group.statuses() == ["PREPARED", "PREPARED"] and cloud.asked() == []
