"""Devices of the loopback Pasqal server, and their jobs, simulated by Pulser with QuTiP."""

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
from pulser import NoiseModel, Sequence
from pulser.backend import BitStrings
from pulser.devices import AnalogDevice
from pulser.json.abstract_repr.deserializer import deserialize_device
from pulser_simulation import QutipBackendV2, QutipConfig

NOISE = NoiseModel(p_false_pos=0.01, p_false_neg=0.05, dephasing_rate=0.1)
CONFIGURATION = {
    "default_evaluation_times", "default_num_shots", "initial_state", "interaction_matrix", "n_trajectories", "noise_model",
    "observables", "prefer_device_noise_model", "sampling_rate", "solver", "with_modulation",
}  # fmt: skip


@dataclasses.dataclass
class Device:
    """A device type. `specs` is a serialised Pulser device, None for an emulator; `history` holds all that it ever was."""

    name: str
    specs: str | None = None
    twin: str | None = None
    status: str = "UP"
    retired: bool = False
    history: list[tuple[datetime, str]] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.specs is not None:
            self.set_specs(self.specs)

    @property
    def qpu(self) -> bool:
        """Whether one batch at a time has the device for itself."""
        return self.specs is not None

    def set_specs(self, specs: str) -> None:
        """Replaces the specs, now."""
        deserialize_device(specs)
        self.specs = specs
        self.history.append((datetime.now(UTC), specs))

    def calibrate(self, changes: dict) -> None:
        """Merges changes into the specs: objects are merged, all else is replaced."""
        self.set_specs(json.dumps(_merged(json.loads(self.specs), changes)))

    @property
    def noise(self) -> NoiseModel:
        """The noise of a QPU at this moment."""
        return deserialize_device(self.specs).noise_model or NoiseModel()


def _merged(old: object, new: object) -> object:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {name: _merged(old.get(name), value) for name, value in new.items()}


def devices() -> dict[str, Device]:
    """The device types that the client knows: two QPUs of different noise, and the emulators."""
    noisier = NoiseModel(p_false_pos=0.03, p_false_neg=0.08, dephasing_rate=0.2)
    specs = {
        name: dataclasses.replace(AnalogDevice, name=name, noise_model=noise).to_abstract_repr()
        for name, noise in (("FRESNEL", NOISE), ("FRESNEL_CAN1", noisier))
    }
    emulators = [Device(name) for name in ("EMU_FREE", "EMU_TN", "EMU_MPS", "EMU_SV")]
    every = [Device(name, text) for name, text in specs.items()] + emulators + [Device("EMU_FRESNEL", twin="FRESNEL")]
    return {device.name: device for device in every}


def device_name(sequence: str) -> str:
    """The name of the device in a serialised sequence.

    Raises:
        ValueError: it is no serialised sequence.
    """
    try:
        device = json.loads(sequence)["device"]
        return device["name"] if isinstance(device, dict) else str(device)
    except (TypeError, KeyError) as error:
        raise ValueError(f"no serialised Pulser sequence: {error}") from error


def run(
    sequence: str, variables: dict | None, runs: int | None, noise: NoiseModel | None, config: str | None, seed: int | None
) -> str:
    """The results file of a job: JSON of `{counter, raw, serialised_results}`.

    `noise` is that of a QPU, whose file has no serialised results; with `noise` None an emulator runs, under `config`, a
    serialised EmulationConfig. Bits stand in the order of the register's qubits. Draws from NumPy's global generator, which is
    all that Pulser knows, and restores it.

    Raises:
        Exception: whatever Pulser says of an invalid sequence, variable or configuration.
    """
    built = Sequence.from_abstract_repr(sequence)
    if built.is_parametrized() or built.is_register_mappable():
        built = built.build(**(variables or {}))
    settings = _qpu_settings(noise) if noise else _settings(config)
    if runs is not None:
        settings = settings.with_changes(default_num_shots=runs)
    state = np.random.get_state()
    try:
        if seed is not None:
            np.random.seed(seed)
        results = QutipBackendV2(built, config=settings).run()
        counter = dict(results.final_bitstrings) if "bitstrings" in results.get_result_tags() else {}
        raw = [bits for bits, times in counter.items() for _ in range(times)]
        np.random.shuffle(raw)
    finally:
        np.random.set_state(state)
    serialised = None if noise else results.to_abstract_repr()
    return json.dumps({"counter": counter, "raw": raw, "serialised_results": serialised})


def _qpu_settings(noise: NoiseModel) -> QutipConfig:
    return QutipConfig(observables=[BitStrings()], noise_model=noise)


def _settings(config: str | None) -> QutipConfig:
    if config is None:
        return QutipConfig(observables=[BitStrings()])
    given = {name: value for name, value in json.loads(config).items() if name in CONFIGURATION}
    return QutipConfig.from_abstract_repr(json.dumps(given | {"callbacks": []}))
