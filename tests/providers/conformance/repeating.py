"""What stands on a recording: replay, runs that are made again, groups, and runs that nobody wrapped."""

import pytest

import qarchive
from qarchive.errors import BadInput, NoRecording

from .offering import Offering


class Repeating(Offering):
    """What is optional in a provider (`offers`), and refused where it is not there."""

    # Replay

    def test_every_call_is_replayed_by_its_own_recording(self, archive):
        wrapped = self._wrapped(archive)
        recorded = [self._ran(wrapped, args, kwargs) for _, args, kwargs in self.calls()]
        player = self.through(archive.replay, self.target())
        for result, (_, args, kwargs) in reversed(list(zip(recorded, self.calls(), strict=True))):
            self._same_run(self._ran(player, args, kwargs), result)
        assert len(archive.jobs()) == len(recorded)

    def test_another_call_is_not_answered_by_a_recording(self, archive):
        _, args, kwargs = self.calls()[0]
        result = self._ran(self._wrapped(archive), args, kwargs)
        player = self.through(archive.replay, self.target())
        others = {"input": self.other_input(), **self.other_options()}
        assert len(others) > 1
        for name, (other_args, other_kwargs) in others.items():
            with pytest.raises(NoRecording):
                pytest.fail(f"another {name} is answered: {self.run(player, *other_args, **other_kwargs)}")
        self._same_run(self._ran(player, args, kwargs), result)

    def test_another_target_is_not_answered_by_a_recording(self, archive):
        _, args, kwargs = self.calls()[0]
        self._ran(self._wrapped(archive), args, kwargs)
        for name, target in self.other_targets().items():
            with pytest.raises(NoRecording):
                pytest.fail(f"another {name} is answered: {self.run(self.through(archive.replay, target), *args, **kwargs)}")

    # Again

    def test_a_job_is_run_again_where_it_ran(self, archive):
        _, args, kwargs = self.calls()[0]
        result = self._ran(self._wrapped(archive), args, kwargs)
        job = archive.job("latest")
        self.seed(kwargs)
        if "rerun" not in self.offers:
            with pytest.raises(BadInput, match="cannot be run again"):
                job.rerun(self.rerun_on())
            return
        self._is_again(archive, job, job.rerun(self.rerun_on()), result)

    def test_a_job_is_run_again_on_what_is_made_from_its_snapshot(self, archive):
        _, args, kwargs = self.calls()[0]
        for target in (self.target(), *self.other_targets().values()):
            result = self._ran(self.through(archive.wrap, target), args, kwargs)
            job = archive.job("latest")
            self.seed(kwargs)
            if not {"rebuild", "rerun"} <= self.offers:
                with pytest.raises(BadInput):
                    job.rerun()
            else:
                self._is_again(archive, job, job.rerun(), result if self.rebuilds_alike else None)

    def _is_again(self, archive, job, child, result):
        self.wait_for(archive, child)
        assert (child.status, child.gaps) == ("DONE", [])
        assert child.folded.record["parent"].digest.hex() == job.id
        if result is not None:
            assert [child.record[part] for part in ("input", "config")] == [job.record[part] for part in ("input", "config")]
            self._same_run(child.result(), result)

    def _same_run(self, one, other):
        self.same_result(self.without_volatile(one), self.without_volatile(other))

    # Groups

    def test_calls_are_prepared_in_a_group_and_run_later(self, archive):
        _, *first = self.calls()[0]
        group, jobs, results = archive.group("later"), [], []
        if "rerun" not in self.offers:
            self._is_not_prepared(group, *first)
            return
        for args, kwargs in (first, self.other_input(), *self.other_options().values()):
            results.append(self._ran(self.target(), args, kwargs))
            jobs += self.prepare(group, self.target(), *args, **kwargs)
            assert group.statuses()[-1] == "PREPARED"
            self.seed(kwargs)
            group.run_sequential()
        for _, result, found in zip(jobs, results, group.get_results(), strict=True):
            self._same_run(found, result)

    def test_a_circuit_is_found_again_in_a_group(self, archive):
        _, *first = self.calls()[0]
        group = archive.group("circuits")
        if "rerun" not in self.offers:
            self._is_not_prepared(group, *first)
            return
        jobs = [self.prepare(group, self.target(), *args, **kwargs) for args, kwargs in (first, self.other_input())]
        for (job,), (args, _) in zip(jobs, (first, self.other_input()), strict=True):
            for index, circuit in enumerate(self.circuits_of(args[0])):
                if "circuits" in self.offers:
                    assert group.job(circuit) == (job, index)
                else:
                    with pytest.raises(BadInput, match="give an index"):
                        group.job(circuit)

    def _is_not_prepared(self, group, args, kwargs):
        with pytest.raises(BadInput, match="runs no archived job again; run it by itself"):
            self.prepare(group, self.target(), *args, **kwargs)
        assert len(group) == 0

    # Without a wrapper

    def test_autolog_records_what_nobody_wrapped(self, archive):
        _, args, kwargs = self.calls()[0]
        qarchive.autolog(archive)
        try:
            result = self._ran(self.target(), args, kwargs)
            found = list(archive.jobs(provider=self.provider))
        finally:
            qarchive.autolog(False)
        self._ran(self.target(), args, kwargs)
        assert list(archive.jobs(provider=self.provider)) == found
        if "autolog" not in self.offers:
            assert found == []
            return
        (job,) = found
        assert (job.status, job.gaps) == ("DONE", [])
        self.same_result(job.result(), result)
