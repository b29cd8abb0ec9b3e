"""Sequences for the loopback server of Pasqal's, as the tests of the provider `pasqal` send them."""

import socket
import warnings
from contextlib import contextmanager
from functools import cache

from pulser import Pulse, Register, Sequence
from pulser.devices import AnalogDevice, MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout

import qarchive

OURS = "qarchive"  # the User-Agent of requests that are not the user's
VOLATILE_HEADERS = {"Authorization", "Host", "Content-Length"}
EMULATOR = {"device_type": "EMU_FREE"}


@cache
def plain(amplitude=6.0, device=MockDevice):
    """The text of a sequence without variables."""
    return _sequence(device, amplitude).to_abstract_repr()


@cache
def turned():
    """The text of a sequence with the variable `omega`."""
    return _sequence(MockDevice, None).to_abstract_repr()


@cache
def mappable():
    """The text of a sequence whose jobs choose their register, with `qubits`."""
    register = TriangularLatticeLayout(n_traps=30, spacing=6).make_mappable_register(n_qubits=3)
    made = Sequence(register, MockDevice)
    made.declare_channel("rydberg", "rydberg_global")
    made.add(Pulse.ConstantPulse(200, 6.0, 0, 0), "rydberg")
    made.measure()
    return made.to_abstract_repr()


def _sequence(device, amplitude):
    register = Register.from_coordinates([(0, 0), (6, 0)], prefix="q")
    made = Sequence(register.with_automatic_layout(device) if device is AnalogDevice else register, device)
    made.declare_channel("rydberg", "rydberg_global")
    made.add(Pulse.ConstantPulse(200, made.declare_variable("omega") if amplitude is None else amplitude, 0, 0), "rydberg")
    made.measure()
    return made


def omegas(*values, runs=20):
    """Jobs of `turned`."""
    return [{"runs": runs, "variables": {"omega": value}} for value in values]


def theirs(server):
    """The requests of the user's, without what differs from one connection to the next."""
    found = []
    for method, path, query, headers, body in server.requests:
        if headers.get("User-Agent") != OURS:
            kept = {name: value for name, value in headers.items() if name not in VOLATILE_HEADERS}
            found.append((method, path, query, kept, body))
    return found


def ours(server):
    return [(request.method, request.path) for request in server.requests if request.headers.get("User-Agent") == OURS]


def fields(model):
    """What a Batch or a Job of the SDK's holds, but for its client."""
    return {name: value for name, value in model.model_dump().items() if name != "_client"}


def events(job):
    """The names of a batch's events, in order."""
    return [record["name"] for record in job.history if record["type"] == "event"]


@contextmanager
def strict(folder, **options):
    """An archive in which nothing may be a gap or a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", qarchive.ArchiveWarning)
        with qarchive.open(folder, **options) as archive:
            yield archive


@contextmanager
def lenient(folder, **options):
    """An archive whose warnings are nobody's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qarchive.ArchiveWarning)
        with qarchive.open(folder, **options) as archive:
            yield archive


@contextmanager
def no_network(monkeypatch):
    """No socket connects."""

    def refuse(*_):
        raise AssertionError("a socket was to be connected")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield
