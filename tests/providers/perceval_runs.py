"""Processors, computers and jobs of Perceval, as the tests of its provider run them here and in the loopback cloud."""

import warnings
from contextlib import contextmanager

import perceval as pcvl
from perceval.algorithm import Sampler
from perceval.runtime import ExecutionFactory
from perceval.serialization import serialize

import qarchive

TWO = pcvl.BasicState([1, 1])
NOISY = pcvl.NoiseModel(brightness=0.9, indistinguishability=0.8, g2=0.02, transmittance=0.7)


def experiment(circuit=None, state=TWO, *, photons=1, noise=None, name="splitter"):
    """Two modes behind a beam splitter, with a photon in each."""
    made = pcvl.Experiment(circuit or pcvl.BS() // pcvl.PS(0.3) // pcvl.BS(), noise=noise, name=name)
    made.min_detected_photons_filter(photons)
    made.with_input(state)
    return made


def set_up(processor, circuit=None, photons=1):
    """The same on a processor."""
    processor.add(0, circuit or pcvl.BS())
    processor.min_detected_photons_filter(photons)
    processor.with_input(TWO)
    return processor


def prepared(processor, command="sample_count", shots=100_000):
    return getattr(Sampler(processor, max_shots_per_call=shots), command)


def sent(processor, command="sample_count", samples=20, shots=100_000):
    return prepared(processor, command, shots).execute_async(*(() if command == "probs" else (samples,)))


def done(server, job):
    """A job that has ended, and whose user knows."""
    server.wait(job.id)
    while not job.is_complete:
        pass
    return job


def executed(server, computer, command="sample_count", samples=20, **options):
    """An execution that has ended."""
    factory = ExecutionFactory(computer, experiment(**options), max_shots_per_call=100_000)
    execution = getattr(factory, command)
    execution.execute_async(**({} if command == "probs" else {"max_samples": samples}))
    server.wait()
    return execution


def same(one, other):
    """Results are equal by Perceval's own comparison, and of the same types throughout."""
    assert type(one) is type(other)
    if type(one) is dict:
        assert one.keys() == other.keys()
        for name in one:
            same(one[name], other[name])
    elif type(one) is list:
        assert len(one) == len(other)
        for item, twin in zip(one, other, strict=True):
            same(item, twin)
    else:
        assert one == other


def mixed(state):
    """The vectors of a mixture: Perceval's own equality depends on the order in which each was added up."""
    vectors = [(dict(vector.unnormalized_iterator()), share) for vector, share in state.items()]
    return sorted((sorted((str(key), number.real, number.imag) for key, number in one.items()), share) for one, share in vectors)


def same_input(one, other):
    """Experiments serialize alike: Perceval has no comparison for them."""
    if isinstance(one, dict):
        assert one.keys() == {"experiment", "iterations"} <= other.keys()
        same(one["iterations"], other["iterations"])
        one, other = one["experiment"], other["experiment"]
    if isinstance(one.input_state, pcvl.SVDistribution):
        assert mixed(one.input_state) == mixed(other.input_state)
        one, other = one.copy(), other.copy()
        for made in (one, other):
            made.with_input(TWO)
    assert serialize(one, compress=False) == serialize(other, compress=False)


@contextmanager
def strict(path, **options):
    """An archive that fails on any warning of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        with qarchive.open(path, **options) as archive:
            yield archive


@contextmanager
def lenient(path):
    """An archive whose warnings do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        with qarchive.open(path) as archive:
            yield archive


def everything(archive):
    """Every blob, decompressed, and the packs as they stand on the disk."""
    archive.flush()
    found = [archive._store.get(digest) for digest in archive._store.index.blobs_with_prefix("", 1_000_000)]
    return found + [path.read_bytes() for path in (archive.path / "packs").iterdir()]


class Ran:
    """A job or an execution that was started, with the interface that the conformance suite knows."""

    def __init__(self, job, results=None):
        self.job, self._results = job, results

    def result(self):
        return self.job.get_results() if self._results is None else self._results


class Bench:
    """A processor or a computer that runs experiments, with the interface that the conformance suite knows."""

    def __init__(self, inside):
        self.inside = inside

    @property
    def name(self):
        return "SLOS"

    def run(self, what, command, *limits, seed=11, **options):
        """`what` is an experiment, or a dict of that, iterations and a name; `command` may be the processor's own: ".probs"."""
        name = what.get("name") if isinstance(what, dict) else None
        asked, iterations = (what["experiment"], what["iterations"]) if isinstance(what, dict) else (what, [])
        if seed is not None:
            pcvl.random_seed(seed)
        if isinstance(self.inside, pcvl.Processor):
            self.inside.experiment = asked
            if command.startswith("."):
                return Ran(None, getattr(self.inside, command[1:])(*limits, **options))
            sampler = Sampler(self.inside)
            sampler.add_iteration_list(iterations)
            job = getattr(sampler, command)
            job.name = name or job.name
            job.execute_sync(*limits, **options)
            return Ran(job)
        if command.startswith("."):
            return Ran(None, getattr(self.inside, command[1:])(asked, *limits, **options))
        factory = ExecutionFactory(self.inside, asked)
        factory.add_iteration_list(iterations)
        factory.default_job_name = name
        execution = getattr(factory, command)
        return Ran(execution, execution.execute_sync(*limits, **options))
