"""What every provider promises, as tests to inherit: give `Conformance` a backend and a few calls, and they run.

A subclass is named `Test...`, and offers the methods of the first part. All of it runs on the real SDK. This file needs pytest
and qarchive and nothing beside it, so that packages of others can use it: `spec/providers.md` says how.
"""

import copy
import os
import random
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest

import qarchive
from qarchive import codec, entries, model
from qarchive.errors import ArchiveWarning, BadInput, JobFailed
from qarchive.pack import RECORD


def _has_parameters(args):
    """Whether circuits among the arguments of a run, alone, in lists or in PUBs, have parameters."""
    if isinstance(args, list | tuple):
        return any(map(_has_parameters, args))
    circuit = getattr(args, "circuit", args)
    return len(getattr(circuit, "parameters", ())) > 0


class Conformance:
    """One provider. `calls` are (name, args, kwargs) of `target.run`; each is seeded, so that it gives the same twice."""

    provider: str
    blocked: tuple[str, ...]  # top-level modules of the SDK
    kind = "simulator"
    records_jobs = True  # whether the SDK's jobs know what they ran, so that `archive.record` can take them
    unknowing = "it does not know its circuits; wrap the backend before it runs"  # what is said where they do not
    package = "qiskit"  # whose version the environment of a record tells
    extra = "aer"  # of qarchive, that brings the SDK
    reading = "counts"  # the method of a job that reads its result without the SDK
    at_exit = ("DONE",)  # how a job may end that is still running when the interpreter ends
    setup: str  # Python source that defines `target` and `call(target)`, for other processes

    def target(self):
        """A new, unwrapped object that executes."""
        raise NotImplementedError

    def calls(self):
        """The documented ways to run something: a list of (name, args, kwargs), made anew at every call."""
        raise NotImplementedError

    def backend_name(self):
        """What the record calls the backend of a target."""
        return self.target().name

    def failing(self):
        """(args, kwargs) of a run that raises, and of one that ends without success; None where there is none such."""
        raise NotImplementedError

    def same_result(self, one, other):
        """Assert that two results are equal by the SDK's own comparison, and of the same types throughout.

        What differs between two equal runs (ids, times) does not count if `volatile` is in the names compared.
        """
        raise NotImplementedError

    def same_input(self, one, other):
        """Assert that two inputs are equal by the SDK's own comparison."""
        raise NotImplementedError

    def without_volatile(self, result):
        """A copy of a result without what differs between equal runs."""
        raise NotImplementedError

    def id_of(self, job):
        """The SDK's own id of one of its jobs."""
        return job.job_id()

    def state_of(self, job):
        """The SDK's own word for how one of its jobs stands."""
        return job.status()

    def installed_by(self):
        """What pip is to install where the SDK is missing."""
        return f"qarchive[{self.extra}]"

    # The promises

    @pytest.fixture
    def archive(self, tmp_path):
        with qarchive.open(tmp_path / "archive") as archive:
            yield archive

    @pytest.fixture(autouse=True)
    def no_warnings(self, recwarn):
        self.expected_warnings = []
        yield
        found = [str(w.message) for w in recwarn if issubclass(w.category, ArchiveWarning)]
        assert self.expected_warnings is None or found == self.expected_warnings

    def test_every_call_is_one_record_and_comes_back_equal(self, archive):
        wrapped = archive.wrap(self.target())
        for number, (name, args, kwargs) in enumerate(self.calls(), 1):
            result = wrapped.run(*args, **kwargs).result()
            assert len(archive.jobs()) == number, name
            job = archive.job("latest")
            assert (job.status, job.provider, job.gaps) == ("DONE", self.provider, []), name
            self.same_result(job.result(), result)
            self.same_input(job.input, args[0])

    def test_results_are_the_same_with_and_without_the_archive(self, archive):
        for (_, args, kwargs), (_, args_again, kwargs_again) in zip(self.calls(), self.calls(), strict=True):
            bare = self.target().run(*args, **kwargs).result()
            archived = archive.wrap(self.target()).run(*args_again, **kwargs_again).result()
            self.same_result(self.without_volatile(archived), self.without_volatile(bare))

    def test_what_comes_back_encodes_to_the_same_bytes(self, archive):
        provider = qarchive.providers.registry.named(self.provider)
        wrapped = archive.wrap(self.target())
        for name, args, kwargs in self.calls():
            wrapped.run(*args, **kwargs).result()
            job = archive.job("latest")
            stage = qarchive.stage.Stage(archive._store)
            again = provider.outcome(stage, job.native())
            assert again.result == job.outcome["result"], name
            assert codec.encode(dict(again.volatile)) == codec.encode(job.outcome.get("volatile", {})), name

    def test_two_equal_runs_share_every_blob_but_their_records(self, archive):
        wrapped = archive.wrap(self.target())
        for name, args, kwargs in self.calls():
            wrapped.run(*args, **kwargs).result()
            archive.flush()
            before = set(archive._store.index.blobs_with_prefix("", 1_000_000))
            again = next(call for call in self.calls() if call[0] == name)
            wrapped.run(*again[1], **again[2]).result()
            archive.flush()
            new = set(archive._store.index.blobs_with_prefix("", 1_000_000)) - before
            kinds = sorted(entry.kind for digest in new for _, entry in archive._store.index.places(digest))
            if _has_parameters(again[1]):  # made anew they are others to Qiskit: a new payload, and so what links to it
                kinds = [kind for kind in kinds if kind not in ("input", "qpy")]
            assert kinds == [RECORD] * 3, name

    def test_native_is_the_sdks_own_job_offline(self, archive):
        _, args, kwargs = self.calls()[0]
        job = archive.wrap(self.target()).run(*args, **kwargs)
        result = job.result()
        native = archive.job("latest").native()
        assert self.id_of(native) == self.id_of(job)
        assert self.state_of(native) == self.state_of(job)
        self.same_result(native.result(), result)

    def test_recording_a_job_twice_is_recording_it_once(self, archive):
        _, args, kwargs = self.calls()[0]
        if not self.records_jobs:
            with pytest.raises(BadInput, match=self.unknowing):
                archive.record(self.target().run(*args, **kwargs))
            assert len(archive.jobs()) == 0
            return
        bare = self.target().run(*args, **kwargs)
        first = archive.record(bare)
        assert archive.record(bare) == first
        wrapped = archive.wrap(self.target()).run(*args, **kwargs)
        assert archive.record(wrapped) == archive.job("latest")
        assert len(archive.jobs()) == 2
        self.same_result(first.result(wait=True), bare.result())
        assert first.config == archive.record(wrapped).config

    def test_the_providers_own_id_is_a_reference(self, archive):
        _, args, kwargs = self.calls()[0]
        job = archive.wrap(self.target()).run(*args, **kwargs)
        job.result()
        assert archive.job(self.id_of(job)) == archive.job("latest")
        assert archive.wrap(self.target()).retrieve_job(self.id_of(job)) == archive.job("latest")

    def test_a_paused_archive_records_nothing(self, archive):
        _, args, kwargs = self.calls()[0]
        wrapped = archive.wrap(self.target())
        with archive.paused():
            wrapped.run(*args, **kwargs).result()
        wrapped.run(*args, **kwargs, archive=False).result()
        assert len(archive.jobs()) == 0
        wrapped.run(*args, **kwargs).result()
        assert len(archive.jobs()) == 1

    def test_labels_of_contexts_add_up(self, archive):
        _, args, kwargs = self.calls()[0]
        wrapped = archive.wrap(self.target())
        outer = archive.context(group="outer", tags=["a"], params={"x": 1, "y": 1})
        with outer, archive.context(group="inner", tags=["b"], params={"y": 2}):
            wrapped.run(*args, **kwargs).result()
        assert archive.job("latest").labels == {"group": "inner", "tags": ["a", "b"], "params": {"x": 1, "y": 2}}
        assert [len(archive.jobs(tag=tag)) for tag in ("a", "b", "c")] == [1, 1, 0]
        assert archive.job("inner/1") == archive.job("latest")

    def test_exceptions_are_the_same_with_and_without_the_archive(self, archive):
        raising, _ = self.failing()
        if raising is None:
            return
        args, kwargs = raising
        caught = []
        for target in (self.target(), archive.wrap(self.target())):
            with pytest.raises(Exception) as info:
                target.run(*args, **kwargs).result()
            caught.append((type(info.value), str(info.value)))
        assert caught[0] == caught[1]
        job = archive.job("latest")
        assert job.status == "ERROR"
        assert job.error["message"] == caught[0][1]
        with pytest.raises(JobFailed):
            job.result()

    def test_a_run_without_success_is_an_error_though_the_job_says_done(self, archive):
        _, failing = self.failing()
        if failing is None:
            return
        args, kwargs = failing
        result = archive.wrap(self.target()).run(*args, **kwargs).result()
        assert result.success is False
        job = archive.job("latest")
        assert job.status == "ERROR"
        self.same_result(job.result(), result)

    def test_warnings_are_the_same_with_and_without_the_archive(self, archive):
        for (_, args, kwargs), (_, args_again, kwargs_again) in zip(self.calls(), self.calls(), strict=True):
            seen = []
            for target, a, k in ((self.target(), args, kwargs), (archive.wrap(self.target()), args_again, kwargs_again)):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    target.run(*a, **k).result()
                seen.append(sorted((w.category.__name__, str(w.message), w.filename, w.lineno) for w in caught))
            assert seen[0] == seen[1]

    def test_random_state_is_left_alone(self, archive):
        import numpy

        _, args, kwargs = self.calls()[0]
        states = []
        for target in (self.target(), archive.wrap(self.target())):
            random.seed(1)
            numpy.random.seed(1)
            target.run(*args, **kwargs).result()
            archive.flush()
            states.append((random.getstate(), str(numpy.random.get_state())))
        assert states[0] == states[1]

    def test_arguments_are_left_alone(self, archive):
        for _, args, kwargs in self.calls():
            untouched, options = copy.deepcopy(args[0]), list(kwargs)
            archive.wrap(self.target()).run(*args, **kwargs).result()
            self.same_input(args[0], untouched)
            assert list(kwargs) == options

    def test_an_input_that_cannot_be_captured_is_a_gap_and_a_warning_and_never_a_broken_run(self, archive, monkeypatch):
        self.expected_warnings = ["input is not archived: RuntimeError: no such luck"]
        _, args, kwargs = self.calls()[0]
        provider = qarchive.providers.registry.named(self.provider)

        def describe(*_):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(provider, "describe", describe)
        result = archive.wrap(self.target()).run(*args, **kwargs).result()
        job = archive.job("latest")
        assert job.gaps == [{"what": "input", "reason": "RuntimeError: no such luck"}]
        self.same_result(job.result(), result)

    def test_a_result_that_cannot_be_captured_is_a_gap_and_a_warning_and_never_a_broken_run(self, archive, monkeypatch):
        self.expected_warnings = ["result is not archived: RuntimeError: no such luck"]
        _, args, kwargs = self.calls()[0]
        provider = qarchive.providers.registry.named(self.provider)

        def outcome(*_):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(provider, "outcome", outcome)
        assert archive.wrap(self.target()).run(*args, **kwargs).result() is not None
        assert archive.job("latest").status == "UNKNOWN"
        assert archive.job("latest").gaps == [{"what": "result", "reason": "RuntimeError: no such luck"}]

    def test_with_on_error_raise_nothing_is_sent_that_could_not_be_recorded(self, tmp_path, monkeypatch):
        _, args, kwargs = self.calls()[0]
        provider = qarchive.providers.registry.named(self.provider)
        sent = []

        def describe(*_):
            raise RuntimeError("no such luck")

        target = self.target()
        monkeypatch.setattr(type(target), "run", lambda *a, **k: sent.append(a))
        monkeypatch.setattr(provider, "describe", describe)
        with qarchive.open(tmp_path / "strict", on_error="raise") as archive:
            with pytest.raises(RuntimeError, match="no such luck"):
                archive.wrap(target).run(*args, **kwargs)
            assert sent == []
            assert len(archive.jobs()) == 0

    def test_a_disk_that_takes_nothing_does_not_break_the_run_and_nothing_is_lost_once_it_does(self, archive, monkeypatch):
        from qarchive import disk

        _, args, kwargs = self.calls()[0]
        wrapped = archive.wrap(self.target())
        real = disk.append

        def full(fd, data):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.warns(ArchiveWarning, match="the disk is full"):
            patch.setattr(disk, "append", full)
            result = wrapped.run(*args, **kwargs).result()
            while archive._recorder._running:
                pass
        assert disk.append is real
        self.same_result(archive.job("latest").result(), result)
        assert len(archive.jobs()) == 1
        self.expected_warnings = None

    def test_threads_share_one_archive(self, archive):
        wrapped = archive.wrap(self.target())
        errors = []

        def work():
            try:
                for _, args, kwargs in self.calls()[:3]:
                    wrapped.run(*args, **kwargs).result()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        expected = 8 * len(self.calls()[:3])
        assert [job.status for job in archive.jobs()] == ["DONE"] * expected
        assert len({job.id for job in archive.jobs()}) == expected

    def test_a_forked_child_records_for_itself(self, archive):
        _, args, kwargs = self.calls()[0]
        wrapped = archive.wrap(self.target())
        wrapped.run(*args, **kwargs).result()
        archive.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                wrapped.run(*args, **kwargs).result()
                archive.flush()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        wrapped.run(*args, **kwargs).result()
        assert [job.status for job in archive.jobs()] == ["DONE"] * 3
        assert not archive.verify(deep=True).damaged

    def test_no_secret_reaches_a_pack(self, archive):
        secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
        _, args, kwargs = self.calls()[0]
        with archive.context(tags=[secret], params={"token": "hunter22", "note": f"Bearer {secret}"}):
            archive.wrap(self.target()).run(*self.with_secret(args, secret), **kwargs).result()
        archive.flush()
        for digest in archive._store.index.blobs_with_prefix("", 1_000_000):
            data = archive._store.get(digest)
            assert secret.encode() not in data and b"hunter22" not in data
        self.expected_warnings = None

    def with_secret(self, args, secret):
        """The same call with the secret planted wherever a user could put one."""
        raise NotImplementedError

    def test_a_wrapped_object_is_used_like_the_original(self, archive):
        target = self.target()
        wrapped = archive.wrap(target)
        assert isinstance(wrapped, type(target))
        assert set(dir(target)) <= set(dir(wrapped))
        assert wrapped.unwrapped is target
        with pytest.raises(AttributeError):
            wrapped.no_such_attribute

    def test_an_object_of_no_provider_is_refused(self, archive):
        with pytest.raises(BadInput) as caught:
            archive.wrap(object())
        known = ", ".join([*qarchive.providers.registry.built_in(), *qarchive.providers.registry.installed()])
        assert str(caught.value) == f"a builtins.object: belongs to no provider that qarchive knows; it knows {known}"

    def test_the_record_says_what_ran_where_and_with_what(self, archive):
        name, args, kwargs = self.calls()[0]
        archive.wrap(self.target()).run(*args, **kwargs).result()
        job = archive.job("latest")
        assert job.kind == self.kind
        assert job.backend == self.backend_name()
        assert job.backend_snapshot["name"] == job.backend
        assert job.environment["packages"][self.package]
        assert [record["type"] for record in job.history] == ["job", "attempt", "outcome"]
        assert len(job.seal) == 64 and job.seal == archive.job(job.id).seal
        assert job.status in model.TERMINAL
        assert entries.described(ValueError("x")) == {"type": "builtins.ValueError", "message": "x"}


class AcrossProcesses:
    """What holds from one process to another, for one class of objects of each provider: a process costs seconds."""

    def test_a_job_whose_result_nobody_asks_for_is_archived_when_the_interpreter_ends(self, tmp_path):
        code = self.setup + textwrap.dedent(f"""
            import qarchive
            call(qarchive.open({str(tmp_path / "archive")!r}).wrap(target))
        """)
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONWARNINGS": "error"})
        with qarchive.open(tmp_path / "archive") as archive:
            (job,) = archive.jobs()
            assert job.status in self.at_exit

    def test_reading_needs_no_sdk(self, archive, tmp_path):
        _, args, kwargs = self.calls()[0]
        archive.wrap(self.target()).run(*args, **kwargs).result()
        expected = repr(getattr(archive.job("latest"), self.reading)())
        archive.close()
        code = textwrap.dedent(f"""
            import sys
            for name in {self.blocked!r}:
                sys.modules[name] = None
            import qarchive
            archive = qarchive.open({str(tmp_path / "archive")!r})
            job = archive.job("latest")
            assert repr(job.{self.reading}()) == {expected!r}, job.{self.reading}()
            job.config, job.environment, job.backend_snapshot, job.calibrations, job.history, job.seal, job.gaps, job.text()
            assert not archive.verify(deep=True).damaged
            for ask in (lambda: job.input, job.result, job.native):
                try:
                    ask()
                except qarchive.errors.MissingExtra as error:
                    print(error)
        """)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert len(done.stdout.splitlines()) == 3
        assert done.stdout.count(f"is not installed; run `pip install '{self.installed_by()}'`") == 3


class QiskitConformance(Conformance):
    """What backends of Qiskit have in common: circuits go in, and a Result comes out."""

    provider = "qiskit"
    blocked = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "numpy", "scipy", "rustworkx")

    def same_input(self, one, other):
        assert one == other
        listed = [item if isinstance(item, list) else [item] for item in (one, other)]
        names, others = ([(circuit.name, circuit.metadata) for circuit in circuits] for circuits in listed)
        assert names == others

    def same_result(self, one, other):
        if isinstance(one, dict):
            same(one, other)
        else:
            assert type(one) is type(other)
            same(one.to_dict(), other.to_dict())

    def without_volatile(self, result):
        return strip(result.to_dict())

    def with_secret(self, args, secret):
        return (bell("bell", token="hunter22", note=f"uses {secret}"),)


def bell(name="bell", **metadata):
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2, name=name, metadata=metadata)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def settled(device):
    """A fake device of Qiskit's or IBM's as it is after its first run: with a simulator, and its noise among its options.

    That of all its gates takes a second to make, and more than a run to copy, which the primitives do at each run; here it is
    the noise of two gates.
    """
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

    noise = NoiseModel(basis_gates=device.operation_names)
    noise.add_quantum_error(depolarizing_error(0.01, 1), "sx", [0])
    noise.add_quantum_error(depolarizing_error(0.05, 2), "cx", [0, 1])
    noise.add_readout_error(ReadoutError([[0.98, 0.02], [0.04, 0.96]]), [0])
    held = "sim" if hasattr(device, "sim") else "_sim"
    assert getattr(device, held) is None
    setattr(device, held, AerSimulator(noise_model=noise))
    device.set_options(noise_model=noise)
    return device


class PrimitiveConformance(QiskitConformance):
    """What samplers and estimators of version 2 have in common: PUBs go in, and a PrimitiveResult comes out."""

    unknowing = "it does not know its circuits; wrap the primitive before it runs"

    def coerced(self, pubs):
        """PUB-likes as the SDK's own PUBs."""
        raise NotImplementedError

    def same_input(self, one, other):
        for a, b in zip(self.coerced(one), self.coerced(other), strict=True):
            assert (type(a), a.shape) == (type(b), b.shape)
            assert (a.circuit, a.circuit.name, a.circuit.metadata) == (b.circuit, b.circuit.name, b.circuit.metadata)
            same({**a.parameter_values.data}, {**b.parameter_values.data})
            for name in ("shots", "precision"):
                assert getattr(a, name, None) == getattr(b, name, None)
            if hasattr(a, "observables"):
                assert a.observables.tolist() == b.observables.tolist()

    def same_result(self, one, other):
        same(unfolded(one), unfolded(other))

    def without_volatile(self, result):
        return strip(unfolded(result))

    def with_secret(self, args, secret):
        circuit, *rest = args[0][0]
        circuit = circuit.copy()
        circuit.metadata = {"token": "hunter22", "note": f"uses {secret}"}
        return ([(circuit, *rest)],)


VOLATILE = {"date", "job_id", "time_taken", "time_taken_execute", "time_taken_parameter_binding", "sample_measure_time"}


def unfolded(value):
    """A result of a primitive as dicts and lists, for comparing; what is neither stays as it is."""
    kind = type(value).__name__
    if kind == "PrimitiveResult":
        return {"kind": type(value), "results": [unfolded(result) for result in value], "metadata": value.metadata}
    if kind in ("PubResult", "SamplerPubResult"):
        return {"kind": type(value), "data": unfolded(value.data), "metadata": value.metadata}
    if kind == "DataBin":
        fields = [[name, unfolded(item)] for name, item in value.items()]
        return {"kind": type(value), "shape": value.shape, "fields": fields}
    if kind == "BitArray":
        return {"kind": type(value), "bits": value.num_bits, "array": value.array}
    if kind in ("SamplerResult", "EstimatorResult"):
        return {"kind": type(value), **vars(value)}
    return value


def strip(value):
    """A copy of `Result.to_dict()` without what differs between equal runs."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in VOLATILE}
    return [strip(item) for item in value] if type(value) is list else value


def same(one, other, path="result"):
    """Equal, and of the same types throughout."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            same(one[key], other[key], f"{path}.{key}")
        assert vars(one) == vars(other) if hasattr(one, "__dict__") else True, path
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{path}[{i}]")
    elif type(one).__module__ == "numpy" and hasattr(one, "dtype"):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes(), path
    else:
        assert one == other, path
