"""Fixtures shared by the tests of clouds: loopback servers. Jobs for them stand in `ibm_runs.py` and its like."""

import pytest


@pytest.fixture
def server(monkeypatch):
    """A loopback server of IBM's, with Aer behind it. For tests that make their own the SDK does all that it does."""
    from ibm_server import IBMServer, hurry  # the other providers' tests need not wait for IBM's SDK

    hurry(monkeypatch)
    with IBMServer(seed=7) as running:
        yield running


@pytest.fixture
def pasqal(monkeypatch):
    """A loopback server of Pasqal's, with Pulser's emulator behind it; its client waits for moments only."""
    import time
    from types import SimpleNamespace

    from pasqal_server import PasqalServer

    shortened = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
    for waiting in ("pasqal_cloud.utils.retry.time", "tenacity.nap.time"):
        monkeypatch.setattr(waiting, shortened)
    with PasqalServer(seed=7) as running:
        yield running


@pytest.fixture
def quandela(monkeypatch, tmp_path):
    """A loopback server of Quandela's, with Perceval's simulator behind it; its clients do not wait between two questions."""
    import perceval
    from perceval.runtime import ExecutionGroup
    from perceval.runtime.legacy import job_group
    from quandela_server import QuandelaServer

    from qarchive.providers import registry
    from qarchive.providers.perceval.platforms import Platforms

    monkeypatch.setattr(perceval.RemoteJob, "STATUS_REFRESH_DELAY", 0)
    monkeypatch.setattr(job_group, "STATUS_REFRESH_DELAY", 0.02)
    monkeypatch.setattr(perceval.JobGroup, "_DIR_PATH", str(tmp_path))
    monkeypatch.setattr(ExecutionGroup, "STATUS_REFRESH_DELAY", 0.02)
    monkeypatch.setattr(registry.named("perceval"), "_platforms", Platforms())  # no test pays for the failures of another
    with QuandelaServer(seed=7) as running:
        for platform in running.platforms.values():
            platform.modes = platform.modes and 10  # a client reads the whole chip at every question: a small one saves minutes
        yield running
