"""Fixtures shared by the tests of the store. Helpers stand in `building.py` and `crashes.py`, beside this file."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from qarchive.store import Store

# A busy machine is no reason to fail: nothing here is timed.
settings.register_profile("qarchive", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("qarchive")


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
