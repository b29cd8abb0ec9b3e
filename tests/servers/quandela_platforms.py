"""Platforms of the loopback Quandela server: what each can do, and how well it does it today."""

import functools
import uuid
from copy import deepcopy
from dataclasses import dataclass, field

from perceval import BasicState, Circuit, Detector, Experiment, GenericInterferometer, catalog
from perceval.runtime import CommandFactory, PlatformSpecs
from perceval.runtime.error_mitigation import AMitigation
from perceval.runtime.platform_specs import serialize_specs_backward_compatibility
from perceval.serialization import serialize
from perceval.utils import PMetadata

AVAILABLE = "available"
DOCUMENTATION = "https://perceval.quandela.net/docs/"
PARAMETERS = {
    "compute_physical_logical_perf": "boolean splitting the global performance into a physical and a logical one",
    "min_detected_photons": "minimum number of detected photons to keep a state (default input_state.n)",
}


@dataclass
class Platform:
    """A platform; every attribute can be set.

    `modes` is None for a plain simulator without a chip. `commands` are what it runs itself: a client converts the rest.
    `updated` platforms know payloads of Perceval 1.3 (archives of a computation) and tell their architecture at the new
    endpoint; the others know the payloads of 0.13 to 1.2, and the client falls back to the old endpoint for them.
    """

    name: str
    modes: int | None
    commands: tuple[str, ...]
    updated: bool
    threshold: bool
    perfs: dict = field(default_factory=dict)
    status: str = AVAILABLE
    retired: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def physical(self) -> bool:
        """Whether it is a QPU."""
        return self.name.startswith("qpu:")

    @property
    def constraints(self) -> dict:
        """The constraints, as the client checks them."""
        if self.modes is None:
            return {"max_mode_count": 20, "max_photon_count": 8, "min_mode_count": 1, "min_photon_count": 1}
        counts = {"max_mode_count": self.modes, "max_photon_count": self.modes // 2, "min_mode_count": 1, "min_photon_count": 1}
        return counts | {"support_multi_photon": False}

    def detector(self) -> Detector:
        """A new detector of the kind it has."""
        return Detector.threshold() if self.threshold else Detector.pnr()

    def details(self, *, architecture: bool) -> dict:
        """What the platform endpoints tell: the new one with the `architecture`, the old one with the specific circuit."""
        specs = {
            "available_commands": list(self.commands),
            "constraints": self.constraints,
            "description": f"Loopback {self.name}",
            "documentation": DOCUMENTATION,
            "parameters": PARAMETERS,
            "software_versions": {"perceval-quandela": PMetadata.version() if self.updated else "1.2.4"},
        }
        if self.updated:
            commands = PlatformSpecs({"commands": [getattr(CommandFactory, name) for name in self.commands]})
            specs |= serialize_specs_backward_compatibility(commands)
            specs["known_mitigations"] = list(AMitigation.KNOWN_MITIGATIONS)
        if self.modes is not None:
            if not architecture:
                specs["specific_circuit"] = _circuit(self.modes)
                specs["connected_input_modes"] = list(range(0, self.modes, 2))
                specs["detector"] = "threshold" if self.threshold else "pnr"
            elif self.updated:
                specs["architecture"] = _architecture(self.modes, self.threshold)
        kind = "physical" if self.physical else "simulator"
        answer = {"id": self.id, "name": self.name, "status": self.status, "type": kind, "specs": specs}
        return answer | {"perfs": deepcopy(self.perfs)}


def platforms() -> dict[str, Platform]:
    """The platforms of a new server, by name."""
    altair = {"HOM (%)": 92.0, "Transmittance (%)": 5.5, "g2 (%)": 1.2, "Clock (MHz)": 80.0}
    belenos = {"HOM (%)": 94.3, "Transmittance (%)": 6.1, "g2 (%)": 0.9, "Clock (MHz)": 160.0}
    belenos["Transmission per mode (%)"] = {
        "t_in": [round(80 - 0.3 * mode, 2) for mode in range(24)],
        "t_out": [round(70 - 0.4 * (mode % 5), 2) for mode in range(24)],
    }
    everything, sampling = ("probs", "sample_count", "samples"), ("sample_count", "samples")
    made = (
        Platform("sim:slos", None, everything, False, False),
        Platform("sim:altair", 20, everything, False, True, altair),
        Platform("qpu:altair", 20, sampling, False, True, dict(altair)),
        Platform("sim:belenos", 24, everything, True, False, belenos),
        Platform("qpu:belenos", 24, sampling, True, False, deepcopy(belenos)),
    )
    return {platform.name: platform for platform in made}


def _interferometer(modes: int) -> Circuit:
    return GenericInterferometer(modes, catalog["mzi phase first"].generate)


@functools.cache
def _circuit(modes: int) -> str:
    return serialize(_interferometer(modes))


@functools.cache
def _architecture(modes: int, threshold: bool) -> str:
    chip = Experiment(modes)
    chip.add(0, _interferometer(modes))
    for mode in range(modes):
        chip.add(mode, Detector.threshold() if threshold else Detector.pnr())
    chip.with_input(BasicState([1, 0] * (modes // 2)))
    return serialize(chip)
