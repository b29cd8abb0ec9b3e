"""Backends that run here, offline, made again from what an archive has of one: its snapshot and a calibration.

What comes back is a simulator. Of a device of IBM it is one of IBM's own fake backends over the archived dicts; of anything else
with a Target a backend with an equal one, whose circuits run on Aer with the noise that the Target implies, as Qiskit's
GenericBackendV2 runs them; of a simulator of Aer that simulator with its options, noise model and Target.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ...errors import BadInput
from ...values import Link
from ..base import Get
from ..sdk import sdk
from . import ibm_fakes, ibm_snapshots
from .aer_noise import model_from_plain
from .targets import new_target
from .values import from_plain

_BASIC = "qiskit.providers.basic_provider.basic_simulator.BasicSimulator"
_AER = {
    f"qiskit_aer.backends.{module}.{name}": name
    for module, name in (
        ("aer_simulator", "AerSimulator"),
        ("qasm_simulator", "QasmSimulator"),
        ("statevector_simulator", "StatevectorSimulator"),
        ("unitary_simulator", "UnitarySimulator"),
    )
}
_MAX_SHOTS = 1_000_000  # what Aer itself writes for a simulator of a device


def rebuild(get: Get, backend: Mapping[str, Any], calibration: Mapping[str, Any] | None = None) -> Any:
    """A backend of Qiskit from the plain values of a snapshot and of a calibration, whichever day's it is.

    Equal to the archived one are the Target (but for the order of its operations), seeded transpilations, seeded counts and
    `NoiseModel.from_backend`. Without a calibration there are no error rates, and no noise that follows from them. A noise model
    among the archived options is used as it is. Raises BadInput where the snapshot does not say enough, MissingExtra.
    """
    if backend.get("type") == ibm_snapshots.CONFIGURATION:
        configuration, properties = _raw(get, backend, calibration)
        name = backend.get("name") or configuration["backend_name"]
        return ibm_fakes.new_device(configuration, properties, name, backend.get("fractional_gates"))
    if type(backend.get("device")) is Link:
        fake = ibm_fakes.new_fake(*_raw(get, get(backend["device"]), calibration), backend["name"])
        return _with_options(fake, _options(get, backend))
    _fits(calibration, "qiskit.target")
    if backend.get("class") in _AER:
        return _aer(get, backend, calibration)
    if backend.get("class") == _BASIC:
        return _with_options(sdk("qiskit.providers.basic_provider", "the backend").BasicSimulator(), _options(get, backend))
    if "target" not in backend:
        raise BadInput(
            f"the backend {backend.get('name', '')!r}",
            "its snapshot says too little to make it again",
            "give a backend to run on",
        )
    again = _simulated()(backend, new_target(backend["target"], calibration), calibration is not None)
    return _with_options(again, _options(get, backend))


def set_up(device: Any) -> None:
    """Leave a fake device as its first run does: with a simulator, and its noise among its options; nothing for all others."""
    if hasattr(device, "_setup_sim") and getattr(device, "sim", getattr(device, "_sim", device)) is None:
        device._setup_sim()


def _fits(calibration, kind) -> None:
    if calibration is not None and calibration.get("type") != kind:
        raise BadInput(f"a calibration of the type {calibration.get('type')!r}", f"this backend needs one of the type {kind!r}")


def _raw(get, described, calibration) -> tuple[dict, dict | None]:
    """(configuration, properties) of a device as IBM's server sent them."""
    _fits(calibration, ibm_snapshots.PROPERTIES)
    properties = None if calibration is None else ibm_snapshots.raw_value(get, calibration)
    return ibm_snapshots.raw_value(get, described), properties


def _options(get, backend) -> dict[str, Any]:
    """The options that differ from the defaults, as they were set; a method first, since others are checked against it."""
    kept = {name: backend["options"][name] for name in backend.get("set", ()) if name in backend.get("options", {})}
    options = {name: model_from_plain(get(item)) if type(item) is Link else from_plain(item) for name, item in kept.items()}
    return dict(sorted(options.items(), key=lambda item: item[0] != "method"))


def _with_options(backend, options) -> Any:
    known = {name: value for name, value in options.items() if hasattr(backend.options, name)}
    if known:
        backend.set_options(**known)
    if known.get("noise_model") is not None and hasattr(backend, "sim"):
        backend.sim = sdk("qiskit_aer", "the backend's noise model").AerSimulator()  # else it makes its own noise model anew
    return backend


def _aer(get, value, calibration) -> Any:
    aer = sdk("qiskit_aer", "a simulator of Aer")
    made = getattr(aer, _AER[value["class"]])
    changed = {name: from_plain(item) for name, item in value.get("configuration", {}).items()}
    if "target" in value:
        again = made(**_of_device(value, new_target(value["target"], calibration)), **changed)
    else:
        again = made(**changed)
    for name, option in _options(get, value).items():
        again.set_options(**{name: option})
    again.name = value["name"]
    return again


def _of_device(value, target) -> dict[str, Any]:
    """What AerSimulator.from_backend gives the simulator of a device."""
    backends = sdk("qiskit_aer.backends.backendconfiguration", "a simulator of Aer")
    configuration = backends.AerBackendConfiguration(
        backend_name=value["name"],
        backend_version=value.get("backend_version"),
        n_qubits=target.num_qubits,
        basis_gates=list(target.operation_names),
        gates=[],
        max_shots=_MAX_SHOTS,
        coupling_map=value["coupling_map"].tolist() if "coupling_map" in value else None,
        max_experiments=None,
        description=value.get("description"),
    )
    properties = sdk("qiskit_aer.backends.backendproperties").target_to_backend_properties(target)
    return {"configuration": configuration, "properties": properties, "target": target}


@cache
def _simulated() -> type:
    """The class of rebuilt backends that were neither IBM's nor Aer's."""
    providers = sdk("qiskit.providers", "the backend")

    class ArchivedBackend(providers.BackendV2):
        """A backend as it was archived; circuits run on Aer with the noise that its Target implies."""

        def __init__(self, value, target, noisy):
            super().__init__(
                name=value["name"], description=value.get("description"), backend_version=value.get("backend_version")
            )
            self._target, self._noisy, self._simulator = target, noisy, None

        @property
        def target(self):
            return self._target

        @property
        def max_circuits(self):
            return None

        @classmethod
        def _default_options(cls):
            return sdk("qiskit_aer", "to run circuits on the backend").AerSimulator._default_options()

        def run(self, run_input, **options):
            if self._simulator is None:
                aer = sdk("qiskit_aer", "to run circuits on the backend")
                if self._noisy and self.options.noise_model is None:
                    self.set_options(noise_model=sdk("qiskit_aer.noise").NoiseModel.from_backend(self))
                self._simulator = aer.AerSimulator()
            self._simulator._options = self.options
            return self._simulator.run(run_input, **options)

    return ArchivedBackend
