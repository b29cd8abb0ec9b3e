"""Perceval's jobs that are prepared here and sent from elsewhere: the same requests, and nothing is left behind."""

import json
import threading

import perceval as pcvl
import pytest
from perceval.algorithm import Sampler
from perceval.runtime import ExecutionFactory, ExecutionGroup
from perceval.runtime.error_mitigation import DistinguishablePhotonMitigation, PhotonRecycling
from perceval_runs import NOISY, done, experiment, lenient, prepared, same, sent, set_up
from preparing import Preparing, Sending, prepare, threads, unmarked

from qarchive.errors import BadInput
from qarchive.providers import hooks, registry

PERCEVAL = registry.named("perceval")


def bodies(server):
    return [json.loads(request.body) for request in server.requests if (request.method, request.path) == ("POST", "/api/job")]


def turned():
    """An experiment with a parameter and heralds, and what it is iterated over."""
    made = pcvl.Experiment(4, name="turned")
    made.add(0, pcvl.BS(pcvl.P("theta"))).add(1, pcvl.BS())
    made.add_herald(3, 0)
    made.set_postselection(pcvl.PostSelect("[0,1]>0"))
    made.min_detected_photons_filter(1)
    made.with_input(pcvl.BasicState([1, 1, 0]))
    turns = [
        {"circuit_params": {"theta": 0.5}, "max_samples": 7},
        {"circuit_params": {"theta": 0.7}, "input_state": pcvl.BasicState([1, 0, 1])},
        {"circuit_params": {"theta": 0.9}, "min_detected_photons": 2, "postselect": pcvl.PostSelect("[0]==1"), "max_shots": 9},
    ]
    return made, turns


def iterated(server, command="sample_count"):
    processor = server.remote_processor("sim:altair")
    processor.experiment, turns = turned()
    sampler = Sampler(processor, max_shots_per_call=3000)
    sampler.add_iteration_list(turns)
    return getattr(sampler, command)


def noisy(server):
    processor = set_up(server.remote_processor("sim:altair", noise=NOISY), pcvl.BS() // pcvl.PS(0.1))
    processor.set_parameter("compute_physical_logical_perf", True)
    return prepared(processor)


def named(server):
    sampler = Sampler(set_up(server.remote_processor("sim:altair")), max_shots_per_call=500)
    sampler.default_job_name = "a name"
    job = sampler.samples
    job.set_job_group_name("a group")
    return job


def only_probabilities(server):
    server.platforms["sim:slos"].commands = ("probs",)
    return prepared(set_up(server.remote_processor("sim:slos")), "samples", 400)


def cnot(server):
    processor = server.remote_processor("sim:altair")
    processor.add(0, pcvl.catalog["heralded cnot"].build_experiment())
    processor.min_detected_photons_filter(2)
    processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
    return prepared(processor, "sample_count", 1_000_000)


def executing(server, platform="sim:belenos", command="sample_count", name=None, **settings):
    computer = server.computer(platform)
    for setting, value in settings.items():
        setattr(computer, setting, value)
    execution = getattr(ExecutionFactory(computer, experiment(noise=None), max_shots_per_call=3000), command)
    if name:
        execution.name, execution.job_group_name = name, "a group"
    return execution


def iterating(server, platform):
    what, turns = turned()
    factory = ExecutionFactory(server.computer(platform), what, max_shots_per_call=3000)
    factory.add_iteration_list(turns if platform == "sim:belenos" else turns[:1])
    return factory.samples


TEN = {"max_samples": 10}
REMOTE = {
    "counts": (lambda server: prepared(set_up(server.remote_processor())), TEN),
    "samples of an old QPU": (lambda server: prepared(set_up(server.remote_processor("qpu:altair")), "samples"), TEN),
    "probabilities": (lambda server: prepared(set_up(server.remote_processor()), "probs"), {}),
    "probabilities, converted": (lambda server: prepared(set_up(server.remote_processor("qpu:belenos")), "probs"), {}),
    "samples, converted": (only_probabilities, TEN),
    "more samples than shots": (lambda server: prepared(set_up(server.remote_processor()), shots=5), TEN),
    "iterations": (iterated, TEN),
    "iterations of probabilities": (lambda server: iterated(server, "probs"), {}),
    "noise and parameters": (noisy, TEN),
    "a name and a group": (named, TEN),
    "heralds and selection": (cnot, TEN),
    "an execution": (executing, TEN),
    "an execution with a name and a group": (lambda server: executing(server, name="mine"), TEN),
    "an execution of probabilities on a QPU": (lambda server: executing(server, "qpu:belenos", "probs"), {}),
    "an execution with noise, parameters, mitigations": (
        lambda server: executing(server, noise=NOISY, parameters={"compute_physical_logical_perf": True},
                                 mitigations=[DistinguishablePhotonMitigation(1), PhotonRecycling()]), TEN),
    "an execution without mitigations": (lambda server: executing(server, mitigations=[]), TEN),
    "an execution on an old platform": (lambda server: executing(server, "qpu:altair", "probs"), {}),
    "an execution with noise on an old platform": (lambda server: executing(server, "sim:altair", noise=NOISY), TEN),
    "an execution of iterations": (lambda server: iterating(server, "sim:belenos"), TEN),
    "an execution of iterations on an old platform": (lambda server: iterating(server, "sim:altair"), TEN),
}  # fmt: skip


def state_of(started):
    """What Perceval says of a job or an execution, as text."""
    computation = getattr(started, "computation", None)
    inside = {
        name: str(item) for name, item in vars(started).items() if name in ("_delta_parameters", "_job_context", "_request_data")
    }
    return [
        str(started),
        started.was_sent,
        started.status.status,
        inside,
        computation and (computation.parameters, computation.job_name),
    ]


@pytest.mark.parametrize("make, given", REMOTE.values(), ids=REMOTE)
def test_a_prepared_job_is_sent_as_it_would_have_been(quandela, make, given):
    make(quandela).execute_async(**given)
    (direct,) = bodies(quandela)
    started = make(quandela)
    before, running = state_of(started), threads()
    quandela.limit(0)  # nobody waits for room while he prepares
    recorder = prepare("perceval", lambda: started.execute_async(**given))
    quandela.limit(100)
    (job,) = recorder.jobs
    assert (bodies(quandela), state_of(started), threads()) == ([direct], before, running)
    assert recorder.stage.gaps == []
    started.execute_async(**given)
    assert bodies(quandela) == [direct] * 2
    handler = quandela.rpc_handler("sim:slos")
    device = PERCEVAL.device(handler, job["backend"])
    target, args, kwargs = PERCEVAL.load_call(recorder.stage.get, job, device)
    sending = Sending()
    with unmarked(handler, device):
        remote = PERCEVAL.wrap(target, sending).run(*args, **kwargs)
    assert bodies(quandela) == [direct] * 3
    assert [sending.jobs, list(quandela.jobs)[-1]] == [recorder.jobs, remote.id]
    assert remote.name == (direct["job_name"] or "resumed")


@pytest.mark.parametrize("start", ["execute_sync", "execute_async", "__call__"])
@pytest.mark.parametrize("kind", ["counts", "an execution"])
def test_whatever_would_start_a_job_prepares_it(quandela, kind, start):
    make, given = REMOTE[kind]
    started = make(quandela)
    before = state_of(started)
    assert len(prepare("perceval", lambda: getattr(started, start)(**given)).jobs) == 1
    assert (state_of(started), bodies(quandela)) == (before, [])


def test_what_perceval_would_not_send_is_not_prepared(quandela):
    job = prepared(set_up(quandela.remote_processor()))
    recorder = prepare("perceval", lambda: job.execute_async(5))
    execution = executing(quandela)
    with hooks.recording(recorder):
        with pytest.raises(RuntimeError, match=r"Unused parameters in user call \(\['nonsense'\]\)"):
            job.execute_async(5, nonsense=1)
        with pytest.raises(TypeError, match="Received unknown arguments nonsense"):
            execution.execute_async(nonsense=1)
        with pytest.raises(ValueError, match="Didn't receive value for non-optional argument max_samples"):
            execution.execute_async()
    job.execute_async(5)
    execution.execute_async(max_samples=5)
    with hooks.recording(recorder):
        with pytest.raises(BadInput, match="^a RemoteJob: it was executed before; make another one of its Sampler$"):
            job.execute_async(5)
        with pytest.raises(RuntimeError, match="Execution has already been launched"):
            execution.execute_async(max_samples=5)
    assert (len(recorder.jobs), len(bodies(quandela))) == (1, 2)


def test_an_execution_whose_mitigations_are_applied_here_cannot_be_prepared(quandela):
    execution = executing(quandela, mitigations=[DistinguishablePhotonMitigation(1)], use_mitigations_remotely=False)
    recorder = Sending()
    recorder.run = lambda provider, target, args, kwargs, send: recorder.describe(provider, target, args, kwargs)
    hooks.instrument(PERCEVAL, lasting=True)
    with hooks.recording(recorder), pytest.raises(BadInput) as caught:
        execution.execute_async(max_samples=5)
    assert str(caught.value) == (
        "an Execution: its mitigations are applied here, by the process that sends it and reads its results; "
        "have the platform apply them, or run it at once"
    )
    assert bodies(quandela) == []


def test_a_job_is_recorded_by_who_sends_it_in_each_of_many_threads(quandela):
    recorder = prepare("perceval", lambda: prepared(set_up(quandela.remote_processor())).execute_async(5))
    handler = quandela.rpc_handler()
    senders = [Sending() for _ in range(8)]

    def send(sender):
        target, args, kwargs = PERCEVAL.load_call(recorder.stage.get, recorder.jobs[0], handler)
        PERCEVAL.wrap(target, sender).run(*args, **kwargs)

    running = [threading.Thread(target=send, args=(sender,)) for sender in senders]
    with unmarked(handler):
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    assert [len(sender.jobs) for sender in senders] == [1] * 8
    assert len(bodies(quandela)) == 8


def test_what_its_user_has_wrapped_stays_his_while_others_prepare(quandela, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        processor = set_up(archive.wrap(quandela.remote_processor()))
        recorder, job = Sending(), prepared(processor)
        with PERCEVAL.recorded(job, recorder) as same_job:
            thread = threading.Thread(target=sent, args=(processor,))
            thread.start()
            thread.join()
            same_job.execute_async(5)
        assert (same_job, len(recorder.jobs), len(archive.jobs())) == (job, 1, 1)
        sent(processor)
        assert len(archive.jobs()) == 2


def test_a_job_for_another_platform_is_made_anew(quandela):
    recorder = prepare("perceval", lambda: named(quandela).execute_async(max_samples=10))
    for device in (quandela.rpc_handler("sim:slos"), quandela.remote_processor("qpu:belenos"), quandela.computer("sim:belenos")):
        target, args, kwargs = PERCEVAL.load_call(recorder.stage.get, recorder.jobs[0], device)
        target.run(*args, **kwargs)
        body = bodies(quandela)[-1]
        assert [body[name] for name in ("platform_name", "job_name", "job_group_name")] == [
            PERCEVAL.client_of(device).name, "a name", "a group"]  # fmt: skip
        assert (body["payload"]["max_samples"], body["payload"]["max_shots"]) == (10, 500)


def test_what_a_credential_was_removed_from_is_not_sent(quandela):
    recorder = prepare("perceval", lambda: named(quandela).execute_async(max_samples=10))
    job = recorder.jobs[0]
    config = recorder.stage.get(job["config"])
    config["request"]["job_name"] = "with [redacted secret] in it"
    with pytest.raises(BadInput) as caught:
        PERCEVAL.load_call(recorder.stage.get, job | {"config": recorder.stage.put("config", config)}, quandela.rpc_handler())
    assert str(caught.value) == "this job: a credential in what it is to send was removed; run it from where it was made"


@pytest.mark.parametrize(
    "kind", ["counts", "samples, converted", "more samples than shots", "probabilities, converted", "iterations"]
)
def test_jobs_of_a_file_are_sent_as_its_group_would_send_them(quandela, tmp_path, kind):
    make, given = REMOTE[kind]
    group = pcvl.JobGroup("of a file")
    group.add(make(quandela), **given)
    with lenient(tmp_path / "lab") as archive:
        (job,) = archive.fetch(tmp_path / "of a file.jgrp")
        assert job.status == "PREPARED"
        pcvl.JobGroup("of a file").run_sequential(0)
        target, args, kwargs = PERCEVAL.load_call(job.get, job.record, PERCEVAL.device(quandela.rpc_handler(), job.backend))
        target.run(*args, **kwargs)
    by_its_group, by_us = bodies(quandela)
    assert by_us == by_its_group


def test_jobs_of_a_file_of_executions_are_made_anew(quandela, tmp_path):
    group = ExecutionGroup("of a file", folder_path=str(tmp_path))
    group.add(executing(quandela, "qpu:belenos", "probs"))
    group._write_to_file()
    with lenient(tmp_path / "lab") as archive:
        (job,) = archive.fetch(tmp_path / "of a file.egrp")
        target, args, kwargs = PERCEVAL.load_call(job.get, job.record, PERCEVAL.device(quandela.rpc_handler(), job.backend))
        native = target.run(*args, **kwargs)
        assert type(done(quandela, native).get_results()["results"]) is pcvl.BSDistribution
    (body,) = bodies(quandela)
    assert (body["payload"]["max_shots"], body["job_name"], body["platform_name"]) == (3000, "probs", "qpu:belenos")


def test_a_prepared_job_that_was_sent_is_followed_by_its_user(quandela, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        recorder = prepare("perceval", lambda: prepared(set_up(quandela.remote_processor())).execute_async(25))
        target, args, kwargs = PERCEVAL.load_call(recorder.stage.get, recorder.jobs[0], quandela.rpc_handler())
        native = PERCEVAL.wrap(target, archive._recorder).run(*args, **kwargs)
        results = done(quandela, native).get_results()
        job = archive.job(native.id)
        assert (job.status, job.result()["results"].total()) == ("DONE", 25)
        same(job.result(), results)


# Here


def local(noise=None, backend="SLOS", **settings):
    made = pcvl.Processor(backend, experiment(), noise=noise)
    for name, value in settings.items():
        made.set_parameter(name, value)
    return made


def local_iterations(command="samples"):
    made, turns = turned()
    sampler = Sampler(pcvl.Processor("SLOS", made), max_shots_per_call=200)
    sampler.add_iteration_list(turns)
    return getattr(sampler, command)


def local_name():
    job = Sampler(local()).sample_count
    job.name = "here"
    return job


def mitigated():
    computer = pcvl.SimulatedComputer("SLOS")
    computer.noise, computer.mitigations = NOISY, [DistinguishablePhotonMitigation(1)]
    return ExecutionFactory(computer, experiment()).probs


def simulated(command="sample_count", name=None):
    factory = ExecutionFactory(pcvl.SimulatedComputer("SLOS"), experiment(), max_shots_per_call=300)
    factory.default_job_name = name
    return getattr(factory, command)


def simulated_iterations():
    made, turns = turned()
    factory = ExecutionFactory(pcvl.SimulatedComputer("SLOS"), made)
    factory.add_iteration_list(turns)
    return factory.probs  # samples would be drawn by threads, in any order


LOCAL = {
    "counts": (lambda: Sampler(local()).sample_count, TEN),
    "counts with noise and shots": (lambda: Sampler(local(NOISY), max_shots_per_call=500).sample_count, TEN),
    "samples": (lambda: Sampler(local()).samples, TEN),
    "probabilities": (lambda: Sampler(local(NOISY)).probs, {}),
    "probabilities of a sampling backend": (lambda: Sampler(local(backend="CliffordClifford2017")).probs, {}),
    "split performance": (lambda: Sampler(local(NOISY, compute_physical_logical_perf=True)).probs, {}),
    "iterations": (local_iterations, TEN),
    "iterations of probabilities": (lambda: local_iterations("probs"), {}),
    "a name": (local_name, TEN),
    "an execution": (simulated, TEN),
    "an execution with a name": (lambda: simulated(name="mine"), TEN),
    "an execution with mitigations": (mitigated, {}),
    "an execution of iterations": (simulated_iterations, {}),
}


@pytest.mark.parametrize("start", ["execute_sync", "execute_async"])
@pytest.mark.parametrize("make, given", LOCAL.values(), ids=LOCAL)
def test_a_prepared_job_runs_here_as_it_would_have(make, given, start):
    def results(job, seed=11):
        pcvl.random_seed(seed)
        getattr(job, start)(**given)
        while not job.is_complete:
            pass
        return job.get_results()

    direct, started = results(make()), make()
    before, running = [str(started.status.status), str(vars(started).get("_delta_parameters"))], threads()
    recorder = prepare("perceval", lambda: getattr(started, start)(**given))
    (job,) = recorder.jobs
    assert [str(started.status.status), str(vars(started).get("_delta_parameters"))] == before
    assert threads() == running
    random = "CliffordClifford2017" in job["backend"]  # Perceval's seed does not reach it
    if not random:
        same(results(started), direct)
    snapshot = recorder.stage.get(recorder.executions[0].backend)
    assert PERCEVAL.device_of(started) is None
    device = PERCEVAL.load_backend(recorder.stage.get, job, snapshot, None)
    target, args, kwargs = PERCEVAL.load_call(recorder.stage.get, job, device)
    sending = Sending()
    pcvl.random_seed(11)
    found = PERCEVAL.wrap(target, sending).run(*args, **kwargs)
    if random:
        assert type(found["results"]) is type(direct["results"])
    else:
        same(found, direct)
    (again,) = sending.jobs
    assert [again[name] for name in ("input", "config", "names", "backend")] == [
        job[name] for name in ("input", "config", "names", "backend")]  # fmt: skip


def test_what_perceval_would_not_run_here_is_not_prepared():
    job, recorder = Sampler(local()).sample_count, Preparing()
    hooks.instrument(PERCEVAL, lasting=True)
    with hooks.recording(recorder), pytest.raises(RuntimeError, match=r"Unused parameters in user call \(\['nonsense'\]\)"):
        job.execute_sync(5, nonsense=1)
    job(5)
    with hooks.recording(recorder), pytest.raises(BadInput) as caught:
        job(5)
    assert str(caught.value) == "a LocalJob: it was executed before; make another one of its Sampler"
    own = pcvl.LocalJob(lambda progress_callback=None: pytest.fail("it ran"))
    with hooks.recording(recorder), pytest.raises(BadInput) as caught:
        own.execute_async()
    assert str(caught.value) == "a LocalJob: it computes a function that is no Sampler's"
    assert recorder.jobs == []


def test_what_a_snapshot_does_not_tell_is_run_on_what_its_user_gave():
    backend = pcvl.Processor("SLOS", 2).backend
    masked = type(backend)(mask=["1 "])
    assert PERCEVAL.device_of(Sampler(pcvl.Processor(backend, experiment())).probs) is None
    for native in (pcvl.Processor(masked, experiment()), pcvl.Processor(pcvl.MPSBackend(cutoff=3), experiment())):
        assert PERCEVAL.device_of(Sampler(native).probs) is native
        recorder = prepare("perceval", lambda native=native: Sampler(native).probs.execute_async())
        assert PERCEVAL.device_of(recorder.targets[0]) is native
