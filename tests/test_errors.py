"""Errors are part of the interface: each has its fields, an exit code, and crosses processes as it is."""

import pickle

import pytest

from qarchive import errors

EXAMPLES = [
    errors.BadInput("what", "reason", "hint"),
    errors.NotFound("what", "where"),
    errors.NoArchive("/path"),
    errors.Ambiguous("abcd", ["abcd1", "abcd2"]),
    errors.SameProviderJob("p1", 2, ["abcd1", "abcd2"], [None, "ab" * 16]),
    errors.SameName("vqe", 2, ["abcd1", "abcd2"], [None, "0123456789ab"], "give the id of one"),
    errors.Damaged("/path", "reason", 7),
    errors.DamagedBundle("/path", "reason", 7),
    errors.NotCanonical("reason"),
    errors.NotEncodable("reason", "path"),
    errors.CannotWrite("/path", "reason"),
    errors.MissingExtra("what", "extra"),
    errors.MissingExtra("what", "", "package"),
    errors.NewerFormat("/path", 2, 1),
    errors.NotFinished("abcd", "RUNNING"),
    errors.JobFailed("abcd", "ERROR", "reason"),
    errors.NotAnswered(2, "reason"),
    errors.Unreachable("s3://lab", "reason"),
    errors.SameProviderJob("cloud-17", 2, ["abcd", "ef01"], [None, "0" * 32]),
    errors.NoRecording("an execution on aer_simulator", "group vqe of lab", "abcd", ["shots: 1, recorded 2"]),
    errors.SameCircuit([1, 2]),
    errors.GroupNotFinished("vqe", "circuit 0: not sent"),
    errors.GroupFailed("vqe", "circuit 0: failed"),
]


def _all_of(kind):
    return {kind} | {each for below in kind.__subclasses__() for each in _all_of(below)}


def test_there_is_an_example_of_every_error():
    known = {kind for kind in _all_of(errors.QArchiveError) if kind.__module__.startswith("qarchive.")}
    assert {type(example) for example in EXAMPLES} == known - {errors.QArchiveError}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_crosses_processes_as_it_is(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 our own bytes
    assert (type(again), str(again), vars(again), again.exit_code) == (type(error), str(error), vars(error), error.exit_code)
