"""Fixtures shared by the tests of the store. Helpers stand in `building.py` and `crashes.py`, beside this file."""

import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from qarchive import redact
from qarchive.store import Store

# Whether these files lie in a git repository must not show in what the tests archive.
os.environ["QARCHIVE_CODE"] = "off"

# A busy machine is no reason to fail: nothing here is timed.
settings.register_profile("qarchive", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("qarchive")

# A shell that starts us in the background has interrupts ignored, and processes that we interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """What was imported for all tests is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What one test has taught is secret is none in the next: a loopback server may get the address of an earlier one."""
    monkeypatch.setattr(redact, "_known", ())


@pytest.fixture
def folder(monkeypatch):
    """A folder in memory where the system has one, so that thousands of archives cost little. Temporary files go there too."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qarchive-test-", dir=place, ignore_cleanup_errors=True) as found:
        monkeypatch.setattr(tempfile, "tempdir", found)
        yield Path(found)


@pytest.fixture
def store(folder):
    """A new archive, closed at the end."""
    made = Store.create(folder / "lab")
    yield made
    made.close()
