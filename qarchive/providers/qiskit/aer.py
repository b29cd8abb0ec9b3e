"""Qiskit Aer's backends and primitives: as any local ones, with noise models, and without figures that depend on the host."""

from collections.abc import Iterator
from typing import Any

from ...columns import unsigned
from ...values import Array
from ..sdk import sdk
from ..wrapped import is_a
from .backends import Backends, QiskitProvider
from .primitives import Primitives, primitive_backend
from .snapshots import fields_token
from .values import to_plain

_OWN = frozenset({("qiskit_aer.backends.aerbackend", "AerBackend"), ("qiskit_aer.jobs.aerjob", "AerJob")})


class AerBackends(Backends):
    def owns(self, native: Any) -> bool:
        return is_a(native, _OWN)

    def entry_points(self) -> Iterator[tuple[type, str]]:
        yield sdk("qiskit_aer.backends.aerbackend", "Qiskit Aer").AerBackend, "run"


class AerPrimitives(Primitives):
    """Primitives on a backend of Aer's, whoever wrote them."""

    def owns(self, native: Any) -> bool:
        return super().owns(native) and is_a(primitive_backend(native), _OWN)

    def entry_points(self) -> Iterator[tuple[type, str]]:
        primitives = sdk("qiskit_aer.primitives", "a primitive of Aer's")
        yield primitives.SamplerV2, "run"
        yield primitives.EstimatorV2, "run"


class AerProvider(QiskitProvider):
    """AerSimulator and its older siblings. `AerSimulator.from_backend(device)` has the device's target and calibration."""

    name = "aer"
    extra = "aer"

    def __init__(self):
        super().__init__()
        self.backends, self.primitives = AerBackends(self), AerPrimitives(self)

    def _kind(self, backend) -> str:
        return "simulator"

    def _target(self, backend) -> Any:
        # Aer makes the target of a plain simulator anew each time, with as many qubits as the host has memory for.
        return backend._target if backend._from_backend else None

    def _token(self, backend, options, models) -> tuple:
        return (
            *super()._token(backend, options, models),
            fields_token(backend._options_configuration),
            fields_token(backend._options_properties),
        )

    def _value(self, backend, gap) -> dict:
        value = super()._value(backend, gap)
        configuration = backend.configuration()
        value["basis_gates"] = sorted(configuration.basis_gates)
        coupling = configuration.coupling_map
        if coupling is not None:
            value["qubits"] = configuration.n_qubits
            value["coupling_map"] = _coupling(list(coupling))
        # Choosing a method sets the number of qubits too, to what the host has memory for.
        changed = {name: item for name, item in backend._options_configuration.items() if name not in ("n_qubits", "description")}
        configured = to_plain(changed, lambda path, reason: gap(f"configuration.{path}", reason))
        if configured:
            value["configuration"] = configured
        return value


def _coupling(pairs) -> Array:
    """Pairs of qubits as the rows of an array."""
    flat = unsigned([qubit for pair in pairs for qubit in pair])
    return Array(flat.dtype, (len(pairs), 2), flat.data)
