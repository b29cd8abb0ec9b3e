"""What is recorded of a run, and that the run is the same as without the archive."""

import copy
import warnings

import pytest

from qarchive import entries, model
from qarchive.errors import JobFailed

from .offering import Offering


class Recording(Offering):
    """What a run leaves in the archive, and what its user sees of that."""

    def test_every_call_is_one_record_and_comes_back_equal(self, archive):
        wrapped = self._wrapped(archive)
        for number, (name, args, kwargs) in enumerate(self.calls(), 1):
            result = self._ran(wrapped, args, kwargs)
            assert len(archive.jobs()) == number, name
            job = archive.job("latest")
            assert (job.status, job.provider, job.gaps) == ("DONE", self.provider, []), name
            self.same_result(job.result(), result)
            self.same_input(job.input, args[0])

    def test_results_are_the_same_with_and_without_the_archive(self, archive):
        for (_, args, kwargs), (_, args_again, kwargs_again) in zip(self.calls(), self.calls(), strict=True):
            bare = self._ran(self.target(), args, kwargs)
            archived = self._ran(self._wrapped(archive), args_again, kwargs_again)
            self.same_result(self.without_volatile(archived), self.without_volatile(bare))

    def test_a_paused_archive_records_nothing(self, archive):
        _, args, kwargs = self.calls()[0]
        wrapped = self._wrapped(archive)
        with archive.paused():
            self._ran(wrapped, args, kwargs)
        self.result_of(self.run(wrapped, *args, **kwargs, archive=False))
        assert len(archive.jobs()) == 0
        self._ran(wrapped, args, kwargs)
        assert len(archive.jobs()) == 1

    def test_labels_of_contexts_add_up(self, archive):
        _, args, kwargs = self.calls()[0]
        wrapped = self._wrapped(archive)
        outer = archive.context(group="outer", tags=["a"], params={"x": 1, "y": 1})
        with outer, archive.context(group="inner", tags=["b"], params={"y": 2}):
            self._ran(wrapped, args, kwargs)
        assert archive.job("latest").labels == {"group": "inner", "tags": ["a", "b"], "params": {"x": 1, "y": 2}}
        assert [len(archive.jobs(tag=tag)) for tag in ("a", "b", "c")] == [1, 1, 0]
        assert archive.job("inner/1") == archive.job("latest")

    def test_exceptions_are_the_same_with_and_without_the_archive(self, archive):
        raising, _ = self.failing()
        if raising is None:
            return
        args, kwargs = raising
        caught = []
        for target in (self.target(), self._wrapped(archive)):
            with pytest.raises(Exception) as info:
                self._ran(target, args, kwargs)
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
        result = self._ran(self._wrapped(archive), args, kwargs)
        assert result.success is False
        job = archive.job("latest")
        assert job.status == "ERROR"
        self.same_result(job.result(), result)

    def test_warnings_are_the_same_with_and_without_the_archive(self, archive):
        for (_, args, kwargs), (_, args_again, kwargs_again) in zip(self.calls(), self.calls(), strict=True):
            seen = []
            for target, a, k in ((self.target(), args, kwargs), (self._wrapped(archive), args_again, kwargs_again)):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    self._ran(target, a, k)
                seen.append(sorted((w.category.__name__, str(w.message), w.filename, w.lineno) for w in caught))
            assert seen[0] == seen[1]

    def test_arguments_are_left_alone(self, archive):
        for _, args, kwargs in self.calls():
            untouched, options = copy.deepcopy(args[0]), list(kwargs)
            self._ran(self._wrapped(archive), args, kwargs)
            self.same_input(args[0], untouched)
            assert list(kwargs) == options

    def test_the_record_says_what_ran_where_and_with_what(self, archive):
        name, args, kwargs = self.calls()[0]
        self._ran(self._wrapped(archive), args, kwargs)
        job = archive.job("latest")
        assert job.kind == self.kind
        assert job.backend == self.backend_name()
        assert job.backend_snapshot["name"] == job.backend
        assert job.environment["packages"][self.package]
        assert [record["type"] for record in job.history] == ["job", "attempt", "outcome"]
        assert len(job.seal) == 64 and job.seal == archive.job(job.id).seal
        assert job.status in model.TERMINAL
        assert entries.described(ValueError("x")) == {"type": "builtins.ValueError", "message": "x"}
