"""Fixtures shared by the tests of the provider `ibm`. Jobs for it stand in `ibm_runs.py`, beside this file."""

import pytest


@pytest.fixture
def server():
    """A loopback server of IBM's, with Aer behind it."""
    from ibm_server import IBMServer  # the other providers' tests need not wait for IBM's SDK

    with IBMServer(seed=7) as running:
        yield running
