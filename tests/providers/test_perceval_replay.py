"""Perceval's executions replayed from an archive: the same functions, unmodified, with no network, no token and no simulation."""

import shutil
import socket
import warnings
from contextlib import contextmanager

import perceval as pcvl
import pytest
from perceval.algorithm import Analyzer, Sampler
from perceval.providers.quandela import QuandelaCommunicationLayer, RemoteConfig, Session
from perceval.providers.quandela.rpc_handler import RPCHandler
from perceval.providers.rpc_based_communication_layer import RPCBasedCommunicationLayer
from perceval.providers.scaleway import RPCHandler as ScalewayHandler
from perceval.runtime import CompilationAveraging, ExecutionFactory, ExecutionGroup, RemoteComputer, SimulatedComputer
from perceval.runtime.legacy import job_group
from perceval_runs import NOISY, done, experiment, prepared, same, set_up
from quandela_server import QuandelaServer

import qarchive
from qarchive.errors import BadInput, JobFailed, NoRecording, NotFinished, NotFound
from qarchive.providers import registry

CREATE, RERUN = "/api/job", "/api/job/rerun/"
STATES = [pcvl.BasicState([1, 1]), pcvl.BasicState([2, 0])]
MISSING = '; `mode="missing"` runs and records what is not there'
NOT_SENT = "this handler answers from the archive and sends nothing; use one with a token to send"


def waited(job):
    while not job.is_complete:
        pass
    return job.get_results()


def here(wrap):
    """All of Perceval's ways to compute something on this computer; what came of each."""
    sampler = Sampler(set_up(wrap(pcvl.Processor("SLOS", noise=NOISY))))
    found = [sampler.probs(), sampler.sample_count.execute_sync(50), waited(sampler.samples.execute_async(10)),
             sampler.sample_count.execute_sync(50), sampler._processor.probs(),
             sampler._processor.samples(5)]  # fmt: skip
    iterated = Sampler(set_up(wrap(pcvl.Processor("SLOS")), pcvl.BS(theta=pcvl.P("theta"))))
    iterated.add_iteration_list([{"circuit_params": {"theta": 0.2}}, {"circuit_params": {"theta": 1.5}}])
    found += [iterated.probs(), waited(iterated.sample_count.execute_async(20))]
    computer = wrap(SimulatedComputer("SLOS"))
    computer.noise = NOISY
    factory = ExecutionFactory(computer, experiment())
    found += [computer.probs(experiment()), factory.sample_count(max_samples=30)]
    factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    found += [waited(factory.samples.execute_async(max_samples=7)), factory.samples.execute_sync(max_samples=7)]
    computer.mitigations = [CompilationAveraging(2)]
    found.append(waited(ExecutionFactory(computer, experiment()).sample_count.execute_async(max_samples=9)))
    analyzer = Analyzer(wrap(set_up(pcvl.Processor("Naive"))), STATES, "*")
    table = analyzer.compute()
    return [*found, {name: table[name] for name in ("input_states", "output_states", "performance")}, table["results"].tolist()]


def there(wrap):
    """The same for Quandela's cloud: ids and results."""
    processor = set_up(wrap(pcvl.RemoteProcessor("sim:altair", noise=NOISY)))
    shots = processor.estimate_required_shots(20)
    natives = [prepared(processor, shots=shots).execute_async(20) for _ in range(2)]
    natives += [prepared(set_up(wrap(pcvl.RemoteProcessor("qpu:altair"))), "probs").execute_async()]
    found = [(native.id, waited(native)) for native in natives]
    computer = wrap(RemoteComputer(QuandelaCommunicationLayer("sim:belenos")))
    factory = ExecutionFactory(computer, experiment(), max_shots_per_call=1000)
    factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    for _ in range(2):  # the second one carries the noise that the first one's results have left
        execution = factory.sample_count.execute_async(max_samples=7)
        found.append((execution._getters[0][0]._remote_id, waited(execution)))
    with Session("sim:altair", RemoteConfig().get_token(), RemoteConfig().get_url()) as session:
        native = prepared(set_up(wrap(session).build_remote_processor()), "samples").execute_async(5)
        found.append((native.id, waited(native)))
    return found


def drifting(wrap, drift):
    """Jobs of which later ones carry the noise that the platform had when the results of the first were read."""
    computer = wrap(RemoteComputer(QuandelaCommunicationLayer("sim:belenos")))
    factory = ExecutionFactory(computer, experiment(), max_shots_per_call=9)
    found = []
    for _ in range(3):
        execution = factory.sample_count.execute_async(max_samples=4)
        while not execution.is_complete:
            pass
        drift()
        found.append(execution.get_results())
    return found


def analysed(wrap):
    """An Analyzer of a remote processor, which makes itself a handler of its own."""
    processor = wrap(pcvl.RemoteProcessor("sim:slos"))
    set_up(processor)
    return Analyzer(processor, STATES, "*", max_shots_per_call=1000).compute()["results"].tolist()


def failed(wrap):
    """A LocalJob that fails, which raises nothing: how it ended and why."""
    job = Sampler(set_up(wrap(pcvl.Processor("CliffordClifford2017")))).samples
    job.execute_sync()
    return job.status.status.name, job.status.stop_message


def hurry(patched, folder):
    patched.setattr(pcvl.RemoteJob, "STATUS_REFRESH_DELAY", 0)
    patched.setattr(job_group, "STATUS_REFRESH_DELAY", 0)
    patched.setattr(ExecutionGroup, "STATUS_REFRESH_DELAY", 0)
    patched.setattr(pcvl.JobGroup, "_DIR_PATH", str(folder))
    patched.setattr("perceval.runtime.remote_computer.time.sleep", lambda seconds: None)
    patched.setattr(RPCBasedCommunicationLayer, "MINIMUM_FETCH_INTERVAL", -1)


@contextmanager
def served(**options):
    with QuandelaServer(**options) as server:
        for platform in server.platforms.values():
            platform.modes = platform.modes and 10
        server.configure()
        yield server


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(folder of an archive, what each function gave, details of the platforms); the server is gone."""
    folder = tmp_path_factory.mktemp("replayed")
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        hurry(patched, folder)
        with served() as server, qarchive.open(folder / "lab") as archive:
            with archive.context(group="cloud"):
                given = {"there": there(archive.wrap), "analysed": analysed(archive.wrap)}
            details = server.rpc_handler("sim:altair").fetch_platform_details()
            with archive.context(group="drifting"):
                figures = iter((91.0, 90.0, 89.0))
                given["drifting"] = drifting(archive.wrap, lambda: server.calibrate("sim:belenos", {"HOM (%)": next(figures)}))
            with archive.context(group="here"):
                given["here"] = here(archive.wrap)
            with archive.context(group="broken"):
                server.break_next("no photons")
                native = done(server, prepared(set_up(archive.wrap(pcvl.RemoteProcessor("sim:slos")))).execute_async(5))
                again = native.rerun()
                given["again"] = (native.id, again.id, done(server, again).get_results())
                given["failed"] = failed(archive.wrap)
            with archive.context(group="waiting"):
                server.hold()
                given["waiting"] = prepared(set_up(archive.wrap(pcvl.RemoteProcessor("sim:slos")))).execute_async(6).id
    return folder / "lab", given, details


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network at all, and no token."""
    hurry(monkeypatch, tmp_path)

    def used(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", used)
    monkeypatch.setattr(socket, "getaddrinfo", used)
    monkeypatch.setattr(RemoteConfig, "_token", None)
    monkeypatch.delenv("PCVL_CLOUD_TOKEN", raising=False)


@pytest.fixture
def archive(recorded):
    with warnings.catch_warnings():
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        with qarchive.open(recorded[0], create=False) as archive:
            number = len(archive.jobs())
            yield archive
            assert len(archive.jobs()) == number  # nothing that is replayed is recorded


@contextmanager
def replaying(archive, **query):
    """`with archive.replay(...)` for Perceval alone: the other SDKs take seconds to import."""
    found = archive.replay(**query)
    found.begin()
    try:
        found.cover(registry.named("perceval"))
        yield found.player
    finally:
        found.__exit__(None, None, None)


def same_sent(found, expected):
    assert [job_id for job_id, _ in found] == [job_id for job_id, _ in expected]
    for (_, results), (_, twin) in zip(found, expected, strict=True):
        same(results, twin)


# Whole processes


def test_everything_that_was_computed_here_is_answered_and_nothing_computed(recorded, archive, offline, monkeypatch):
    def computed(*_, **__):
        raise AssertionError("something was computed")

    monkeypatch.setattr("perceval.runtime.simulated_computer.SimulatorFactory.build", computed)
    monkeypatch.setattr(SimulatedComputer, "_setup_sampling_simulator", computed)
    with replaying(archive, group="here"):
        same(here(lambda native: native), recorded[1]["here"])
    with replaying(archive, group="here"):
        same(here(archive.wrap), recorded[1]["here"])  # the same line in the script as when it was recorded


@pytest.mark.parametrize("token", [None, "a token of last year"])
def test_a_script_for_the_cloud_runs_without_it(recorded, archive, offline, token):
    RemoteConfig.set_token(token)
    with replaying(archive, group="cloud"):
        same_sent(there(archive.wrap), recorded[1]["there"])
        assert analysed(lambda native: native) == recorded[1]["analysed"]
        handler = RPCHandler("sim:altair")
        assert handler.fetch_platform_details() == recorded[2]
        assert handler.get_job_availability() == {"max_jobs_in_queue": 1000, "num_jobs_in_queue": 0}
        with pytest.raises(BadInput) as caught:
            handler.get_request("https://api.cloud.quandela.com/api/jobs")
        assert str(caught.value) == f"a request to https://api.cloud.quandela.com/api/jobs: {NOT_SENT}"
    if token is None:
        with pytest.raises(ConnectionError):
            RPCHandler("sim:altair")  # as ever


def test_a_platform_drifts_again_as_it_did(recorded, archive, offline):
    with replaying(archive, group="drifting"):
        same(drifting(lambda native: native, lambda: None), recorded[1]["drifting"])


def test_groups_run_without_the_cloud(recorded, archive, offline, tmp_path, capsys):
    expected = [results for _, results in recorded[1]["there"]]
    with replaying(archive, group="cloud"):
        group = pcvl.JobGroup("again")
        processor = set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY))
        shots = processor.estimate_required_shots(20)
        for _ in range(2):
            group.add(prepared(processor, shots=shots), max_samples=20)
        group.run_sequential(0)
        same(group.get_results(), expected[:2])
        same(pcvl.JobGroup("again").get_results(), expected[:2])  # from its file
        several = ExecutionGroup("several", str(tmp_path))
        computer = RemoteComputer(QuandelaCommunicationLayer("sim:belenos"))
        factory = ExecutionFactory(computer, experiment(), max_shots_per_call=1000)
        factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
        several.add(factory.sample_count)
        several.executions[0].computation.add_params(max_samples=7)
        several.run_parallel()
        same(several.get_results(), [expected[3]])
    capsys.readouterr()  # progress bars


def test_what_perceval_only_estimates_is_neither_answered_nor_refused(archive, offline):
    with replaying(archive, group="cloud"):
        processor = set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY))
        assert processor.estimate_expected_samples(1000) > 0
        computer = RemoteComputer(QuandelaCommunicationLayer("sim:belenos"))
        execution = ExecutionFactory(computer, experiment(photons=2), max_shots_per_call=1000).sample_count
        execution.computation.add_params(max_samples=20)
        assert computer.estimate_required_shots(execution.computation, 20) > 20
        with pytest.raises(NoRecording):
            pcvl.Processor("SLOS", experiment()).probs()


class Composed:
    """A handler of somebody's own, as Perceval takes it: by its methods."""

    url, token, headers, proxies = "https://somewhere.else", "", {}, None

    def __init__(self, name):
        self.name = name

    def fetch_platform_details(self):
        raise AssertionError("the network was used")

    create_job = get_job_status = get_job_results = cancel_job = rerun_job = get_job_availability = fetch_platform_details


def test_other_handlers_answer_too(recorded, archive, offline):
    job_id, results = recorded[1]["there"][0]
    with replaying(archive, group="cloud"):
        for handler in (Composed("sim:altair"), ScalewayHandler("project", None, None, None, "sim:altair", "quandela")):
            processor = pcvl.RemoteProcessor(rpc_handler=handler)
            same(processor.resume_job(job_id).get_results(), results)
            same(pcvl.RemoteJob.from_id(job_id, handler).get_results(), results)
        assert handler.create_session(max_duration_s=1, max_idle_duration_s=1, deduplication_id="") == "replayed"
        handler.terminate_session()


# Single objects


def test_objects_that_run_here_are_marked_and_answer(archive, offline):
    (job,) = [job for job in archive.jobs(group="here") if job.config["parameters"] == {"max_samples": 9}]
    computer = SimulatedComputer("SLOS")
    computer.noise, computer.mitigations = NOISY, [CompilationAveraging(2)]
    circuit = pcvl.Circuit(2, "renamed") // pcvl.BS() // pcvl.PS(0.3) // pcvl.BS()
    factory = ExecutionFactory(computer, experiment(circuit, name="renamed, too"))
    for native in (computer, factory, factory.sample_count):
        assert archive.replay(native, group="here") is native
    waiting = factory.sample_count.execute_async(max_samples=9)
    assert waiting.is_success
    assert waiting.get_details().endswith(f"getters: [Archived: {{id: {job.id[:12]}, status: SUCCESS}}]}}")
    same(waiting.get_results(), job.result())
    with pytest.raises(NoRecording):
        factory.sample_count.execute_sync(max_samples=9)
    for native in (Sampler(set_up(pcvl.Processor("SLOS", noise=NOISY))), set_up(pcvl.Processor("SLOS", noise=NOISY))):
        archive.replay(native, group="here")
        processor = getattr(native, "_processor", native)
        expected = [job for job in archive.jobs(order="oldest", group="here") if job.config["parameters"] == {"max_samples": 50}]
        for job in expected:
            processor.experiment.name = "renamed"
            local = Sampler(processor).sample_count
            local.name = "another name"
            same(local.execute_async(50).get_results(), job.result())
        with pytest.raises(BadInput) as caught:
            archive.wrap(processor)
        assert str(caught.value).startswith("a replayed Processor: it answers from recordings")


def test_objects_that_reach_the_cloud_have_copies_that_answer(recorded, archive, quandela, offline_later):
    job_id, results = recorded[1]["there"][0]
    processor = set_up(quandela.remote_processor("sim:altair", noise=NOISY))
    shots = processor.estimate_required_shots(20)
    computer, session = quandela.computer("sim:belenos"), quandela.session("sim:altair")
    factory = ExecutionFactory(computer, experiment(), max_shots_per_call=1000)
    factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    native = prepared(processor, shots=shots)
    analyzer = Analyzer(set_up(quandela.remote_processor("sim:slos")), STATES, "*", max_shots_per_call=1000)
    sampler = Sampler(processor, max_shots_per_call=shots)
    natives = [processor, sampler, computer, factory, factory.sample_count, analyzer, session]
    offline_later()

    def replay(native):
        return archive.replay(native, group="cloud")

    found = [replay(native) for native in natives]
    assert [type(each) for each in found] == [type(each) for each in natives]
    assert all(each is not native for each, native in zip(found, natives, strict=True))
    assert waited(prepared(found[0], shots=shots).execute_async(20)) == results
    with pytest.raises(BadInput) as caught:
        archive.wrap(found[0])
    reason = "it answers from recordings, and nothing new comes of it; wrap the original"
    assert str(caught.value) == f"a replayed RemoteProcessor: {reason}"
    same(waited(found[1].sample_count.execute_async(20)), results)
    expected = recorded[1]["there"][3][1]
    replayed = ExecutionFactory(found[2], experiment(), max_shots_per_call=1000)
    replayed.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    for execution in (replayed.sample_count, found[3].sample_count, found[4]):
        same(waited(execution.execute_async(max_samples=7)), expected)
    assert found[5].compute()["results"].tolist() == recorded[1]["analysed"]
    with found[6] as within:
        same(within.build_remote_processor().resume_job(job_id).get_results(), results)
    said = {}
    for name, native in (("job", native), ("group", pcvl.JobGroup("some")), ("name", "perceval")):
        with pytest.raises(BadInput) as caught:
            archive.replay(native)
        said[name] = str(caught.value)
    assert said == {
        "job": "a RemoteJob: it was made before; replay its processor, and make another one",
        "group": "a JobGroup: its jobs were made before, each with a way of its own; "
                 "run it inside of `with archive.replay(...):`",
        "name": "the name of a provider: does not say which platform; give an RPC handler: "
                'RPCHandler("qpu:belenos", token="none") will do',
    }  # fmt: skip


@pytest.fixture
def offline_later(request, quandela):
    """A function that stops the server and takes the network away."""

    def stop():
        quandela.stop()
        request.getfixturevalue("offline")

    return stop


def test_a_job_that_was_run_again_and_one_that_nobody_followed(recorded, archive, offline):
    first, second, results = recorded[1]["again"]
    handler = archive.replay(RPCHandler("sim:slos", token="none"))
    native = pcvl.RemoteJob.from_id(first, handler)
    assert (native.status.status.name, native.status.stop_message) == ("ERROR", "no photons")
    assert handler.rerun_job(first) == second
    same(waited(pcvl.RemoteJob.from_id(second, handler)), results)
    assert handler.cancel_job(second) is None
    said = []
    for ask, job_id in ((handler.get_job_status, recorded[1]["waiting"]), (handler.get_job_results, "no-such-job"),
                        (handler.cancel_job, recorded[1]["waiting"]), (handler.rerun_job, second)):  # fmt: skip
        with pytest.raises((NotFinished, NotFound, NoRecording)) as caught:
            ask(job_id)
        said.append(str(caught.value))
    unfinished = f"job {recorded[1]['waiting']} is QUEUED and has no result yet; `qarchive sync` sees whether it has ended"
    assert said == [
        unfinished,
        f"job 'no-such-job' is not in {archive.path}; `qarchive list` shows what there is",
        unfinished,
        f"a further attempt of job {second} is not recorded in {archive.path}{MISSING}",
    ]
    elsewhere = archive.replay(handler, group="here")
    with pytest.raises(NotFound) as caught:
        elsewhere.get_job_status(second)
    assert str(caught.value).startswith(f"job '{second}' is not in group here of {archive.path}")
    with pytest.raises(NotFound) as caught:
        elsewhere.fetch_platform_details()
    said = f"the platform sim:slos is not in group here of {archive.path}; it holds no job that was sent there with its details"
    assert str(caught.value) == said


def test_failures_answer_where_they_are_asked_for(recorded, archive, offline):
    with replaying(archive, group="broken"), pytest.raises(NoRecording):
        failed(lambda native: native)
    with replaying(archive, group="broken", failures=True):
        assert failed(lambda native: native) == recorded[1]["failed"]
        with pytest.raises(JobFailed) as caught:
            pass_order(archive)
    assert "ended as ERROR without a result" in str(caught.value)


def pass_order(archive):
    """In the order of the recordings the failed one comes second, whatever is asked."""
    processor = archive.replay(pcvl.Processor("SLOS", experiment()), group="broken", match="order", failures=True)
    processor.probs()
    processor.probs()


# What is alike


def test_the_order_of_the_calls_decides_where_they_are_alike(recorded, archive, offline):
    expected = [results for _, results in recorded[1]["there"]]
    handler = archive.replay(RPCHandler("sim:altair", token="none"), group="cloud", match="order")
    processor = set_up(pcvl.RemoteProcessor(rpc_handler=handler))
    for place in range(2):
        same(waited(prepared(processor, "samples", 77).execute_async(3)), expected[place])


def test_what_has_no_recording_is_refused_with_what_differs(recorded, archive, offline, monkeypatch):
    where = f"is not recorded in group cloud of {archive.path}; the nearest is job "
    ids = {job.provider_job: job.id[:12] for job in archive.jobs(group="cloud")}
    first, second = (ids[job_id] for job_id, _ in recorded[1]["there"][:2])
    with replaying(archive, group="cloud"):
        processor = set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY))
        shots = processor.estimate_required_shots(20)

        def said(processor, samples=20):
            with pytest.raises(NoRecording) as caught:
                prepared(processor, shots=shots).execute_async(samples)
            return str(caught.value).removeprefix("an execution on ").removesuffix(MISSING)

        assert said(processor, 19) == f"sim:altair {where}{second}: max_samples: 19, recorded 20; shots: 19, recorded 20"
        for changed in (
            set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY), pcvl.BS(0.3)),
            set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY), photons=2),
            set_up(pcvl.RemoteProcessor("sim:altair", noise=pcvl.NoiseModel(0.9))),
        ):
            assert said(changed) == f"sim:altair {where}{second}: the circuit differs"
        monkeypatch.setattr("perceval.utils.PMetadata.short_version", lambda: "1.3.99")  # another day, another version
        for _ in range(2):
            processor.experiment.name = "renamed"
            job = prepared(processor, shots=shots)
            job.name = "another name"
            job.execute_async(20)
        assert said(processor) == f"sim:altair {where}{second}: all of its 2 recordings answered before"
        assert first != second


# Missing


@pytest.fixture
def own(recorded, tmp_path):
    """A copy of the archive, to be written to."""
    shutil.copytree(recorded[0], tmp_path / "lab")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        with qarchive.open(tmp_path / "lab", create=False) as archive:
            yield archive


def posts(server):
    return [path for method, path, *_ in server.requests if method == "POST"]


@pytest.mark.parametrize("whole", [True, False])
def test_only_what_is_missing_is_paid_for(recorded, own, quandela, whole):
    quandela.configure()
    (job_id, results), before = recorded[1]["there"][0], len(own.jobs(backend="sim:altair"))

    def run(processor, samples=20):
        shots = processor.estimate_required_shots(20)
        native = prepared(processor, shots=shots).execute_async(samples)
        if native.id in quandela.jobs:
            quandela.wait(native.id)
        return native.id, waited(native)

    def script(replay):
        processor = set_up(replay(pcvl.RemoteProcessor("sim:altair", noise=NOISY)))
        same(run(processor)[1], results)
        same(processor.resume_job(job_id).get_results(), results)
        assert posts(quandela) == [] and not any(job_id in request.path for request in quandela.requests)
        return run(processor, 15)

    if whole:
        with replaying(own, group="cloud", mode="missing"):
            new = script(lambda native: native)
    else:
        new = script(lambda native: own.replay(native, group="cloud", mode="missing"))
    assert posts(quandela) == [CREATE]
    (job,) = [job for job in own.jobs() if job.provider_job == new[0]]
    # By platform: the server simulates in this process, where all that is computed is recorded, too.
    assert (len(own.jobs(backend="sim:altair")), job.labels["group"], job.status) == (before + 1, "cloud", "DONE")
    same(job.result(), new[1])
    quandela.stop()
    with replaying(own, group="cloud"):  # now it is all there
        same(run(set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY)), 15), new)


def test_a_computer_sends_only_what_is_missing(recorded, own, quandela):
    computer = own.replay(quandela.computer("sim:belenos"), group="cloud", mode="missing")
    assert type(computer._communication_layer) is QuandelaCommunicationLayer
    factory = ExecutionFactory(computer, experiment(), max_shots_per_call=1000)
    factory.add_iteration_list([{"max_samples": 5}, {"max_samples": 6}])
    same(waited(factory.sample_count.execute_async(max_samples=7)), recorded[1]["there"][3][1])
    assert posts(quandela) == []
    new = waited(factory.probs.execute_async())
    (job,) = own.jobs(limit=1)
    assert (posts(quandela), list(quandela.jobs), job.status) == ([CREATE], [job.provider_job], "DONE")
    same(job.result(), new)


def test_what_is_missing_is_computed_here(own):
    before = len(own.jobs())
    processor = own.replay(set_up(pcvl.Processor("SLOS", noise=NOISY)), group="here", mode="missing")
    recorded = own.jobs(group="here", order="oldest")[0].result()
    same(Sampler(processor).probs(), recorded)
    assert len(own.jobs()) == before
    results = waited(Sampler(processor).sample_count.execute_async(51))
    (job,) = own.jobs(limit=1)
    assert (len(own.jobs()), job.labels["group"], job.status) == (before + 1, "here", "DONE")
    same(job.result(), results)


def test_without_a_token_what_is_missing_is_an_error(recorded, own, offline):
    before = len(own.jobs())
    with replaying(own, group="cloud", mode="missing"):
        processor = set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY))
        shots = processor.estimate_required_shots(20)
        same(waited(prepared(processor, shots=shots).execute_async(20)), recorded[1]["there"][0][1])
        with pytest.raises(BadInput) as caught:
            prepared(processor, shots=shots).execute_async(16)
        assert str(caught.value) == f"a job: {NOT_SENT}"
        with pytest.raises(BadInput) as caught:
            processor.get_rpc_handler().rerun_job(recorded[1]["there"][0][0])
        assert str(caught.value) == f"job {recorded[1]['there'][0][0]}: {NOT_SENT}"
    (job,) = own.jobs(limit=1)
    assert (len(own.jobs()), job.status, job.calibrations) == (before + 1, "REFUSED", [])


def test_a_run_that_is_left_out_is_sent_nowhere(archive, offline):
    with replaying(archive, group="cloud"):
        processor = set_up(pcvl.RemoteProcessor("sim:altair", noise=NOISY))
        with pytest.raises(BadInput) as caught:
            prepared(processor).execute_async(20, archive=False)
        assert str(caught.value) == f"a job: {NOT_SENT}"
        with archive.paused():
            assert pcvl.Processor("SLOS", experiment()).probs()["global_perf"] == 1  # here there is nothing to pay
