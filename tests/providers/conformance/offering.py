"""What a subclass of the suite says: what runs, how it is run, and what of it the provider offers."""

import pytest

import qarchive
from qarchive.errors import ArchiveWarning


class Offering:
    """One provider, as its tests see it. `calls` are (name, args, kwargs) of `run`; each is seeded, so that it gives the same
    twice.

    What raises NotImplementedError must be there. All else has a default, for SDKs whose `run` returns a job that has an id.
    """

    provider: str
    blocked: tuple[str, ...]  # top-level modules of the SDK
    kind = "simulator"
    offers = frozenset({"autolog", "circuits", "rebuild", "rerun"})  # of what is optional; of the rest the refusal is tested
    records_jobs = True  # whether the SDK's jobs know what they ran, so that `archive.record` can take them
    unknowing = "it does not know its circuits; wrap the backend before it runs"  # what is said where they do not
    gives_ids = True  # whether runs have ids of the SDK's own
    rebuilds_alike = True  # whether what is made from a snapshot gives the same results, and is no simulator of a device
    serves_threads = True  # whether threads may share a target
    package = "qiskit"  # whose version the environment of a record tells
    extra = "aer"  # of qarchive, that brings the SDK
    reading = "counts"  # the method of a job that reads its result without the SDK
    at_exit = ("DONE",)  # how a job may end that is still running when the interpreter ends
    setup: str  # Python source that defines `target` and `call(target)`, for other processes

    # What runs

    def target(self):
        """A new, unwrapped object that executes."""
        raise NotImplementedError

    def calls(self):
        """The documented ways to run something: a list of (name, args, kwargs), made anew at every call."""
        raise NotImplementedError

    def other_input(self):
        """(args, kwargs) of a call that differs from the first of `calls` in its circuit, and in nothing else."""
        raise NotImplementedError

    def other_options(self):
        """{name: (args, kwargs)}: calls that differ from the first of `calls` in one option each: shots, parameters, a seed."""
        raise NotImplementedError

    def other_targets(self):
        """{name: target}: targets that differ from `target` in one setting each, such as their noise; empty where there are no
        settings."""
        raise NotImplementedError

    def failing(self):
        """(args, kwargs) of a run that raises, and of one that ends without success; None where there is none such."""
        raise NotImplementedError

    def with_secret(self, args, secret):
        """The arguments of the first call with the secret planted wherever a user could put one."""
        raise NotImplementedError

    # How it is run

    def run(self, target, *args, **kwargs):
        """Run a call on a target, wrapped or not: what the SDK returns."""
        return target.run(*args, **kwargs)

    def result_of(self, returned):
        """The result in what `run` returned; that itself, where the SDK has no jobs."""
        return returned.result()

    def through(self, how, target):
        """A target of which the SDK's object is `how(object)`: wrapped, replayed."""
        return how(target)

    def prepare(self, group, target, *args, **kwargs):
        """Add a call to a group: the jobs that it becomes."""
        return group.add(target, *args, **kwargs)

    def seed(self, kwargs):
        """Seed what a call draws from, where its arguments and its target do not: before it is run again, or in a group."""

    def wait_for(self, archive, job):
        """Wait until an archived job has ended that was run again; one in a cloud must be asked for."""
        job.wait()

    def rerun_on(self):
        """What `job.rerun` takes to run a job where it ran."""
        return self.target()

    def senders(self):
        """[(class, name of a method)] through which every call is executed: none is called where a run must not start."""
        return [(type(self.target()), "run")]

    def backend_name(self):
        """What the record calls the backend of a target."""
        return self.target().name

    def installed_by(self):
        """What pip is to install where the SDK is missing."""
        return f"qarchive[{self.extra}]"

    # How it is compared

    def same_result(self, one, other):
        """Assert that two results are equal by the SDK's own comparison, and of the same types throughout."""
        raise NotImplementedError

    def same_input(self, one, other):
        """Assert that two inputs are equal by the SDK's own comparison."""
        raise NotImplementedError

    def without_volatile(self, result):
        """A copy of a result without what differs between equal runs (ids, times), in a form that `same_result` takes."""
        raise NotImplementedError

    def same_native(self, native, returned):
        """Assert that `job.native()` is the SDK's own job, offline, as `run` returned it; where there are no jobs, the result."""
        if self.gives_ids:
            assert self.id_of(native) == self.id_of(returned)
            assert self.state_of(native) == self.state_of(returned)
        self.same_result(self.result_of(native), self.result_of(returned))

    def id_of(self, job):
        """The SDK's own id of one of its jobs."""
        return job.job_id()

    def state_of(self, job):
        """The SDK's own word for how one of its jobs stands."""
        return job.status()

    # What the SDK says of it

    def counts_of(self, result):
        """[{bit string: count}] of a result by the SDK's own methods, one for each circuit; None for one without counts."""
        raise NotImplementedError

    def data_of(self, result):
        """For each circuit values that `job.data()` must have by these names; no circuit where the result is no list of such."""
        return [{} if counts is None else {"counts": counts} for counts in self.counts_of(result)]

    def shots_of(self, args, kwargs):
        """What `job.shots` is to be for a call: the number asked for, None where the SDK decides."""
        return kwargs.get("shots")

    def words_of(self, asked):
        """For each text of `job.text()` what must stand in it (gates, parameters), of the first argument of a call."""
        raise NotImplementedError

    def circuits_of(self, asked):
        """The circuits in the first argument of a call, as `group.job(circuit)` takes them."""
        return asked if isinstance(asked, list) else [asked]

    # What all tests have

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

    def _wrapped(self, archive):
        return self.through(archive.wrap, self.target())

    def _ran(self, target, args, kwargs):
        return self.result_of(self.run(target, *args, **kwargs))
