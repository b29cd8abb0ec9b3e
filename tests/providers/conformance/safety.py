"""That an archive does no harm: to runs, to threads and children, to random numbers, and to secrets."""

import os
import random
import threading

import pytest

import qarchive
from qarchive.errors import ArchiveWarning, BadInput
from qarchive.providers import registry

from .offering import Offering


class Safety(Offering):
    """What must not happen, whatever goes wrong."""

    def test_random_state_is_left_alone(self, archive):
        import numpy

        _, args, kwargs = self.calls()[0]
        states = []
        for target in (self.target(), self._wrapped(archive)):
            random.seed(1)
            numpy.random.seed(1)
            self._ran(target, args, kwargs)
            archive.flush()
            states.append((random.getstate(), str(numpy.random.get_state())))
        assert states[0] == states[1]

    def test_an_input_that_cannot_be_captured_is_a_gap_and_a_warning_and_never_a_broken_run(self, archive, monkeypatch):
        self.expected_warnings = ["input is not archived: RuntimeError: no such luck"]
        _, args, kwargs = self.calls()[0]
        provider = registry.named(self.provider)

        def describe(*_):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(provider, "describe", describe)
        result = self._ran(self._wrapped(archive), args, kwargs)
        job = archive.job("latest")
        assert job.gaps == [{"what": "input", "reason": "RuntimeError: no such luck"}]
        self.same_result(job.result(), result)

    def test_a_result_that_cannot_be_captured_is_a_gap_and_a_warning_and_never_a_broken_run(self, archive, monkeypatch):
        self.expected_warnings = ["result is not archived: RuntimeError: no such luck"]
        _, args, kwargs = self.calls()[0]
        provider = registry.named(self.provider)

        def outcome(*_):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(provider, "outcome", outcome)
        assert self._ran(self._wrapped(archive), args, kwargs) is not None
        assert archive.job("latest").status == "UNKNOWN"
        assert archive.job("latest").gaps == [{"what": "result", "reason": "RuntimeError: no such luck"}]

    def test_with_on_error_raise_nothing_is_sent_that_could_not_be_recorded(self, tmp_path, monkeypatch):
        _, args, kwargs = self.calls()[0]
        provider = registry.named(self.provider)
        sent = []

        def describe(*_):
            raise RuntimeError("no such luck")

        target = self.target()
        for kind, method in self.senders():
            monkeypatch.setattr(kind, method, lambda *a, **k: sent.append(a))
        monkeypatch.setattr(provider, "describe", describe)
        with qarchive.open(tmp_path / "strict", on_error="raise") as archive:
            with pytest.raises(RuntimeError, match="no such luck"):
                self.run(self.through(archive.wrap, target), *args, **kwargs)
            assert sent == []
            assert len(archive.jobs()) == 0

    def test_a_disk_that_takes_nothing_does_not_break_the_run_and_nothing_is_lost_once_it_does(self, archive, monkeypatch):
        from qarchive import disk

        _, args, kwargs = self.calls()[0]
        wrapped = self._wrapped(archive)
        real = disk.append

        def full(fd, data):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.warns(ArchiveWarning, match="the disk is full"):
            patch.setattr(disk, "append", full)
            result = self._ran(wrapped, args, kwargs)
            while archive._recorder._running:
                pass
        assert disk.append is real
        self.same_result(archive.job("latest").result(), result)
        assert len(archive.jobs()) == 1
        self.expected_warnings = None

    def test_threads_share_one_archive(self, archive):
        shared = self._wrapped(archive) if self.serves_threads else None
        errors = []

        def work():
            try:
                wrapped = shared or self._wrapped(archive)
                for _, args, kwargs in self.calls()[:3]:
                    self._ran(wrapped, args, kwargs)
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
        wrapped = self._wrapped(archive)
        self._ran(wrapped, args, kwargs)
        archive.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self._ran(wrapped, args, kwargs)
                archive.flush()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        self._ran(wrapped, args, kwargs)
        assert [job.status for job in archive.jobs()] == ["DONE"] * 3
        assert not archive.verify(deep=True).damaged

    def test_no_secret_reaches_a_pack(self, archive):
        secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
        _, args, kwargs = self.calls()[0]
        with archive.context(tags=[secret], params={"token": "hunter22", "note": f"Bearer {secret}"}):
            self._ran(self._wrapped(archive), self.with_secret(args, secret), kwargs)
        archive.flush()
        for digest in archive._store.index.blobs_with_prefix("", 1_000_000):
            data = archive._store.get(digest)
            assert secret.encode() not in data and b"hunter22" not in data
        self.expected_warnings = None

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
        known = ", ".join([*registry.built_in(), *registry.installed()])
        assert str(caught.value) == f"a builtins.object: belongs to no provider that qarchive knows; it knows {known}"
