"""Recorders of jobs that are prepared in one place and sent in another one, without an archive."""

import threading
from contextlib import contextmanager

import pytest
from staging import MemoryStage

from qarchive.errors import NotFound
from qarchive.providers import hooks, registry


class NotSent(BaseException):
    """What a recorder raises in place of sending. No SDK must swallow it."""


class Stage(MemoryStage):
    def conceal(self, *secrets):
        pass


class Recorder:
    """Describes what would be sent; keeps it as job records, in order."""

    def __init__(self):
        self.stage, self.jobs, self.executions, self.targets = Stage(), [], [], []

    def wanted(self):
        return True

    def event(self, provider, provider_job, name, value=None):
        pass

    def job(self, reference):
        raise NotFound(f"job {reference}", "a test")

    def describe(self, provider, target, args, kwargs):
        executions = provider.describe_all(self.stage, target, args, kwargs)
        self.executions += executions
        self.targets += [target] * len(executions)
        return [{"provider": each.provider, "kind": each.kind, "backend": each.backend_name, "input": each.input,
                 "config": each.config, "names": each.names, "labels": {"tags": sorted(each.tags)}}
                for each in executions]  # fmt: skip


class Preparing(Recorder):
    """Sends nothing."""

    def run(self, provider, target, args, kwargs, send):
        kwargs.pop("archive", True)
        self.jobs += self.describe(provider, target, args, kwargs)
        raise NotSent


class Sending(Recorder):
    """Sends, and keeps what it was told before; what runs inside is part of it."""

    inside = False

    def wanted(self):
        return not self.inside

    def run(self, provider, target, args, kwargs, send):
        if not kwargs.pop("archive", True) or self.inside:
            return send(kwargs)
        self.jobs += self.describe(provider, target, args, kwargs)
        self.inside = True
        try:
            return send(kwargs)
        finally:
            self.inside = False


def prepare(provider, start):
    """The recorder of a call that was to send something, and did not."""
    provider = registry.named(provider)
    recorder = Preparing()
    hooks.instrument(provider, lasting=True)
    with hooks.recording(recorder), pytest.raises(NotSent):
        start()
    return recorder


def threads():
    """How many threads there are, but for those of a server that answers."""
    return sum("process_request_thread" not in thread.name for thread in threading.enumerate())


@contextmanager
def unmarked(*natives):
    """Nothing marks these objects, before and afterwards."""
    assert [hooks.marked(native) for native in natives] == [None] * len(natives)
    yield
    assert [hooks.marked(native) for native in natives] == [None] * len(natives)
