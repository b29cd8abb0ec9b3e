"""The environment says what is installed, and nothing about whom it belongs to."""

import importlib.metadata
import platform
import socket

from qarchive import codec
from qarchive.environment import environment


def test_it_names_the_versions_that_are_installed():
    found = environment()
    assert found["python"] == platform.python_version()
    for package in ("msgpack", "zstandard", "click", "filelock", "platformdirs", "qiskit", "qiskit-aer"):
        assert found["packages"][package] == importlib.metadata.version(package)


def test_equal_installations_give_equal_bytes():
    first = codec.encode(environment())
    environment.cache_clear()
    assert codec.encode(environment()) == first


def test_it_holds_no_name_of_a_host_or_user_and_no_path():
    found = environment()
    assert found.keys() == {"python", "implementation", "system", "release", "machine", "packages"}
    text = codec.encode({**found, "packages": {}})
    assert socket.gethostname().encode() not in text
    assert b"/" not in text
