"""What is read back: it equals what was recorded, and what the SDK says of it."""

import pytest

from qarchive import codec
from qarchive.errors import BadInput
from qarchive.pack import RECORD
from qarchive.providers import registry
from qarchive.stage import Stage

from .comparing import same_data
from .offering import Offering


def _has_parameters(args):
    """Whether circuits among the arguments of a run, alone, in lists or in PUBs, have parameters."""
    if isinstance(args, list | tuple):
        return any(map(_has_parameters, args))
    circuit = getattr(args, "circuit", args)
    return len(getattr(circuit, "parameters", ())) > 0


class Reading(Offering):
    """What a reader gets, with the SDK and without."""

    def test_what_is_read_without_the_sdk_is_what_the_sdk_says(self, archive):
        wrapped = self._wrapped(archive)
        for name, args, kwargs in self.calls():
            result = self._ran(wrapped, args, kwargs)
            job = archive.job("latest")
            for index, counts in enumerate(self.counts_of(result)):
                if counts is None:
                    with pytest.raises(BadInput):
                        job.counts(index)
                else:
                    assert job.counts(index) == counts, name
            same_data(job.data(), self.data_of(result), name)
            assert job.shots == self.shots_of(args, kwargs), name
            texts, words = job.text(), self.words_of(args[0])
            assert len(texts) == len(words), name
            for text, each in zip(texts, words, strict=True):
                assert each and [word for word in each if word not in text] == [], name

    def test_what_comes_back_encodes_to_the_same_bytes(self, archive):
        provider = registry.named(self.provider)
        wrapped = self._wrapped(archive)
        for name, args, kwargs in self.calls():
            self._ran(wrapped, args, kwargs)
            job = archive.job("latest")
            stage = Stage(archive._store)
            again = provider.outcome(stage, job.native())
            assert again.result == job.outcome["result"], name
            assert codec.encode(dict(again.volatile)) == codec.encode(job.outcome.get("volatile", {})), name

    def test_two_equal_runs_share_every_blob_but_their_records(self, archive):
        wrapped = self._wrapped(archive)
        for name, args, kwargs in self.calls():
            self._ran(wrapped, args, kwargs)
            archive.flush()
            before = set(archive._store.index.blobs_with_prefix("", 1_000_000))
            again = next(call for call in self.calls() if call[0] == name)
            self._ran(wrapped, again[1], again[2])
            archive.flush()
            new = set(archive._store.index.blobs_with_prefix("", 1_000_000)) - before
            kinds = sorted(entry.kind for digest in new for _, entry in archive._store.index.places(digest))
            if _has_parameters(again[1]):  # made anew they are others to Qiskit: a new payload, and so what links to it
                kinds = [kind for kind in kinds if kind not in ("input", "qpy")]
            assert kinds == [RECORD] * 3, name

    def test_native_is_the_sdks_own_job_offline(self, archive):
        _, args, kwargs = self.calls()[0]
        returned = self.run(self._wrapped(archive), *args, **kwargs)
        self.result_of(returned)
        self.same_native(archive.job("latest").native(), returned)

    def test_recording_a_job_twice_is_recording_it_once(self, archive):
        _, args, kwargs = self.calls()[0]
        if not self.records_jobs:
            with pytest.raises(BadInput, match=self.unknowing):
                archive.record(self.run(self.target(), *args, **kwargs))
            assert len(archive.jobs()) == 0
            return
        bare = self.run(self.target(), *args, **kwargs)
        first = archive.record(bare)
        assert archive.record(bare) == first
        wrapped = self.run(self._wrapped(archive), *args, **kwargs)
        assert archive.record(wrapped) == archive.job("latest")
        assert len(archive.jobs()) == 2
        self.same_result(first.result(wait=True), self.result_of(bare))
        assert first.config == archive.record(wrapped).config

    def test_the_providers_own_id_is_a_reference(self, archive):
        _, args, kwargs = self.calls()[0]
        wrapped = self._wrapped(archive)
        job = self.run(wrapped, *args, **kwargs)
        self.result_of(job)
        if not self.gives_ids:
            assert archive.job("latest").provider_job is None
            return
        assert archive.job(self.id_of(job)) == archive.job("latest")
        assert wrapped.retrieve_job(self.id_of(job)) == archive.job("latest")
