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


def ran(target, what, command, *limits, seed=11, **options):
    """What a processor or a computer returns of an experiment, or of a dict of that, iterations and a name: a job or an execution
    that has ended; the results, of a command that is its own (".probs")."""
    if seed is not None:
        pcvl.random_seed(seed)
    if command.startswith("."):
        asked = () if isinstance(target, pcvl.Processor) else (what,)
        if not asked:
            target.experiment = what
        return getattr(target, command[1:])(*asked, *limits, **options)
    job = asked_of(target, what, command)
    job.execute_sync(*limits, **options)
    return job


def asked_of(target, what, command):
    """The job or the execution that is to be started for it."""
    named = what if isinstance(what, dict) else {"experiment": what}
    if isinstance(target, pcvl.Processor):
        target.experiment = named["experiment"]
        sampler = Sampler(target)
        sampler.add_iteration_list(named.get("iterations", []))
        job = getattr(sampler, command)
        job.name = named.get("name") or job.name
        return job
    factory = ExecutionFactory(target, named["experiment"])
    factory.add_iteration_list(named.get("iterations", []))
    factory.default_job_name = named.get("name")
    return getattr(factory, command)
