"""What the platforms of the loopback Quandela server do with a payload: a real Perceval simulation (SLOS).

The noise is the payload's on a simulator and, where it names none, that of the platform's performance; a QPU ignores the
payload's and detects with the detectors of its chip. Counts and samples are drawn from the simulated distribution with a
generator of their own, so that Perceval's random state stays as the client has it. As on the real platforms a shot is an
event with at least one photon, and the acquisition stops at `max_samples` or at `max_shots`, whichever comes first; the
share of shots among events is reckoned from the number of photons and the transmittance.
"""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
from perceval import BasicState, BSCount, BSDistribution, BSSamples, Experiment, NoiseModel, SimulatedComputer
from perceval.components import update_detectors_from_perfs
from perceval.runtime import PayloadGenerator, PayloadUpdater
from perceval.runtime.legacy.parameter_iterator import ParameterIterator
from perceval.serialization import deserialize
from perceval.utils import ProgressCallback, perf_dict_to_noise, sample_count_to_probs
from quandela_platforms import Platform

COMMANDS = ("probs", "sample_count", "samples")
PROBS_SAMPLES = 10_000  # of a platform that can only sample


class Chip(SimulatedComputer):
    """A simulated computer with the noise and, for a QPU, the detectors of a platform."""

    def __init__(self, platform: Platform, seed: int | None):
        super().__init__("SLOS")
        self._platform, self._random = platform, np.random.default_rng(seed)
        self.noise = perf_dict_to_noise(platform.perfs)

    def probs(
        self,
        experiment: Experiment,
        progress_callback: ProgressCallback = None,
        precision: float | None = None,
        max_samples: int | None = None,
        max_shots: int | None = None,
        compilation_seed: int | None = None,
        **_: object,
    ) -> dict:
        """Probabilities: exact, or on a QPU those of its samples."""
        if self._platform.physical:
            answer = self.sample_count(experiment, max_samples or PROBS_SAMPLES, max_shots, progress_callback, compilation_seed)
            return answer | {"results": sample_count_to_probs(answer["results"])}
        return self._exact(experiment, precision, max_samples, max_shots, compilation_seed)[0]

    def sample_count(
        self,
        experiment: Experiment,
        max_samples: int | None,
        max_shots: int | None = None,
        progress_callback: ProgressCallback = None,
        compilation_seed: int | None = None,
        **_: object,
    ) -> dict:
        """How often each state was seen."""
        answer, states, weights, number = self._acquire(experiment, max_samples, max_shots, compilation_seed)
        counts = BSCount()
        for state, count in zip(states, self._random.multinomial(number, weights) if states else ()):
            if count:
                counts.add(state, int(count))
        return answer | {"results": counts}

    def samples(
        self,
        experiment: Experiment,
        max_samples: int | None,
        max_shots: int | None = None,
        progress_callback: ProgressCallback = None,
        compilation_seed: int | None = None,
        **_: object,
    ) -> dict:
        """The states, as they came."""
        answer, states, weights, number = self._acquire(experiment, max_samples, max_shots, compilation_seed)
        drawn = self._random.choice(len(states), number, p=weights) if states else ()
        samples = BSSamples()
        for index in drawn:
            samples.append(states[index])
        return answer | {"results": samples}

    def _exact(
        self, experiment: Experiment, precision: float | None, max_samples: int | None, max_shots: int | None, seed: int | None
    ) -> tuple[dict, NoiseModel]:
        experiment = experiment.copy()
        if self._platform.physical:
            experiment.noise = None
            _detect(experiment, self._platform)
        with self.apply_configuration(noise=experiment.noise):  # an experiment's noise takes precedence
            seed = int(self._random.integers(2**31)) if seed is None else seed
            return super().probs(experiment, None, precision, max_samples, max_shots, seed), self.noise

    def _acquire(
        self, experiment: Experiment, max_samples: int | None, max_shots: int | None, seed: int | None
    ) -> tuple[dict, list[BasicState], np.ndarray, int]:
        """The rest of the answer, and for the draw the states, their weights and the number of samples."""
        if max_samples is None and max_shots is None:
            raise ValueError("Sampling needs max_samples or max_shots")
        answer, noise = self._exact(experiment, None, max_samples, max_shots, seed)
        distribution: BSDistribution = answer.pop("results")
        states = sorted(distribution.keys(), key=str)
        weights = np.array([distribution[state] for state in states], dtype=float)
        photons = experiment.input_state.n if isinstance(experiment.input_state, BasicState) else experiment.input_state.n_max
        seen = 1 - (1 - noise.transmittance * noise.brightness) ** photons  # a shot, among events
        share = min(1.0, float(answer["global_perf"]) / seen) if seen else 0.0
        number = max_samples if max_shots is None else int(self._random.binomial(max_shots, share))
        number = min(number, max_samples) if max_samples is not None else number
        if self._platform.physical and max_shots is not None:
            answer["nb_shots_used"] = min(max_shots, round(number / share)) if share else max_shots
        return answer, states, weights / weights.sum(), number


def _detect(experiment: Experiment, platform: Platform) -> None:
    """Puts the chip's detectors behind the modes, with their relative efficiencies."""
    detectors = [platform.detector() for _ in range(experiment.circuit_size)]
    update_detectors_from_perfs(detectors, platform.perfs)
    for mode, detector in enumerate(detectors):
        if experiment.detectors[mode] is None:
            experiment.add(mode, detector)


def run(payload: dict, platform: Platform, seed: int | None, progress: Callable[[float, str], bool]) -> tuple[dict, bool]:
    """The results of a payload as it came, and whether they are all; `progress(share, phase)` is true to stop.

    Raises:
        Exception: whatever Perceval raises; its text is what the user is told.
    """
    chip = Chip(platform, seed)
    if "computation" in payload:
        return _run_computation(deserialize(payload, strict=False), chip, platform, progress)
    payload = PayloadUpdater.update_payload(deserialize(payload, strict=False), None, target_payload_version=1)
    return _run_experiment(payload, chip, platform, progress)


def _run_computation(payload: dict, chip: Chip, platform: Platform, progress: Callable[[float, str], bool]) -> tuple[dict, bool]:
    """A payload of Perceval 1.3: a computation, with mitigations, noise and parameters."""
    if not platform.updated:
        raise ValueError(f"{platform.name} does not know payloads of this version")
    if platform.physical:
        payload.pop("noise", None)
    stopped = []

    def report(share: float, phase: str) -> bool:
        if progress(share, phase):
            stopped.append(share)
        return bool(stopped)

    results: dict = {}
    with PayloadGenerator.payload_applier(chip, payload):
        chip.execute(PayloadGenerator.get_computation(payload), results, report)
    return results, not stopped


def _run_experiment(payload: dict, chip: Chip, platform: Platform, progress: Callable[[float, str], bool]) -> tuple[dict, bool]:
    """A payload of Perceval 0.13 to 1.2: a command for an experiment, once or for each iteration."""
    command, context = payload["command"], payload.get("job_context") or {}
    if command not in platform.commands:
        raise ValueError(f"Command '{command}' is not available on {platform.name}")
    limits: dict = {}
    if platform.updated and context:  # converts itself, and says nothing of it
        command = context["result_mapping"][1].split("_to_")[1]
        limits = context.get("mapping_delta_parameters") or {}
    chip.parameters = payload.get("parameters") or {}
    if "min_detected_photons" in chip.parameters:
        payload["experiment"].min_detected_photons_filter(chip.parameters["min_detected_photons"])
    todo = ParameterIterator.from_payload(payload)
    answers: list[dict] = []
    for each in todo:
        if progress(len(answers) / max(1, len(todo)), "Simulating"):
            break
        shots, samples = each.max_shots or limits.get("max_shots"), each.max_samples or limits.get("max_samples")
        answer = getattr(chip, command)(each.experiment, max_samples=samples, max_shots=shots)
        if each.parameters is not None:
            answer["iteration"] = deepcopy(each.parameters)
        answers.append(answer)
    results = {"results_list": answers} if todo else answers[0] if answers else {}
    if context and not platform.updated:
        results["job_context"] = context  # the client converts
    return results, len(answers) == max(1, len(todo))
