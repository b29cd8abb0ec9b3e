"""Pulser's emulators that run here: which objects they are, what one is about to run, and how it is made again."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from typing import Any

from ...errors import BadInput, NotEncodable
from ..base import Execution, Get, Stage
from ..wrapped import is_a, unwrapped
from . import configs
from .samples import SAMPLES, load_samples, put_samples, same_samples, shortened
from .sequences import (
    NotRepresentable,
    load_sequence,
    pulser,
    put_device,
    put_sequence,
    quietly,
    specifications,
    text,
)

BACKEND = "pulser.backend"
_BACKENDS = frozenset({("pulser.backend.abc", "EmulatorBackend"), ("pulser_simulation.qutip_backend", "QutipBackend")})
_EMULATOR = frozenset({("pulser_simulation.simulation", "QutipEmulator")})
_REMOTE = frozenset({("pulser.backend.remote", "RemoteBackend")})
_OURS = ("pulser_simulation.", "emu_base.", "emu_mps.", "emu_sv.")
_PACKAGES = ("pulser-core", "pulser-simulation", "qutip")
_RUN = {"progress_bar": 0, "print_progress": 1}  # the arguments of `run` that may come by position


class SampledRun:
    """A run of samples without a sequence, which `run_from_sequence_samples` of an emulator's class is."""

    def __init__(self, kind: type, sequence_samples: Any, register: Any, device: Any, config: Any = None):
        self.kind, self.source, self.config = kind, (sequence_samples, register, device), config

    @classmethod
    def of(cls, kind: type, args: tuple, kwargs: dict) -> "SampledRun | None":
        """The run that a call with these arguments is; None for arguments that the call will refuse."""
        try:
            return cls(kind, **signature(_sampled_run).bind(*args, **kwargs).arguments)
        except TypeError:
            return None

    def run(self) -> Any:
        return self.kind.run_from_sequence_samples(*self.source, config=self.config)


def _sampled_run(sequence_samples, register, device, *, config=None): ...


def is_emulator(native: Any) -> bool:
    """Whether an object, wrapped or not, is an emulator of Pulser's that runs here, whoever wrote it; imports nothing."""
    return type(native) is SampledRun or ((is_a(native, _BACKENDS) or is_a(native, _EMULATOR)) and not is_a(native, _REMOTE))


def kind_of(native: Any) -> type:
    """The class of an emulator, wrapped or not."""
    emulator = unwrapped(native)
    return emulator.kind if type(emulator) is SampledRun else type(emulator)


def name_of(native: Any) -> str:
    """What the job record calls the backend: the name of its class."""
    return kind_of(native).__name__


def describe(stage: Stage, provider: str, native: Any, args: tuple, kwargs: dict) -> Execution:
    """Everything about `native.run(*args, **kwargs)` before it starts."""
    emulator = unwrapped(native)
    run = {**{name: args[place] for name, place in _RUN.items() if place < len(args)}, **kwargs}
    if type(emulator) is SampledRun:
        config = emulator.kind.default_config if emulator.config is None else emulator.config
        device, shots = emulator.source[2], configs.shots_of(config)
        found = _put_samples(stage, *emulator.source, None)
        config = configs.put_config(stage, config, run, False)
    elif is_a(emulator, _EMULATOR):
        device, shots = emulator.device, None
        found = _input_of_samples(stage, emulator, None)
        config = configs.put_emulator(stage, emulator, run)
    else:
        device, shots = emulator._sequence.device, configs.shots_of(emulator._config)
        found = _input(stage, emulator)
        config = configs.put_config(stage, emulator._config, run, bool(emulator._mimic_qpu))
    kind = configs.class_name(kind_of(emulator))
    backend = {"type": BACKEND, "class": kind, "name": name_of(emulator), "packages": _packages(kind.split(".")[0]),
               "device": put_device(stage, specifications(device))}  # fmt: skip
    return Execution(
        provider=provider,
        kind="simulator" if kind.startswith(_OURS) else "local",
        backend_name=name_of(emulator),
        input=stage.put("input", found),
        config=config,
        backend=stage.put("backend", backend),
        shots=shots,
    )


def load_input(get: Get, job: Mapping[str, Any]) -> tuple[Any, Any]:
    """(Sequence, configuration); of a QutipEmulator ((SequenceSamples, register, device), map of its settings)."""
    plain = get(job["input"])
    config = configs.load_config(get, job["config"])
    return (load_samples if plain.get("type") == SAMPLES else load_sequence)(get, plain), config


def rebuild(get: Get, job: Mapping[str, Any], kind: type) -> Any:
    """An emulator of a class over the input of an archived job.

    Raises MissingExtra, BadInput where what is archived does not say all of it.
    """
    if not any(issubclass(kind, base) for base in _bases()) or _is_remote(kind):
        raise BadInput(f"a {kind.__name__}", "is no emulator of Pulser's that runs here", "give an emulator, or its class")
    configs.check_complete(get, job["config"])
    source, config = load_input(get, job)
    with quietly():
        if _is_emulator_class(kind):
            return _remade_emulator(kind, source, config)
        if isinstance(source, tuple) and hasattr(kind, "run_from_sequence_samples") and hasattr(config, "observables"):
            return SampledRun(kind, *source, config)
        if isinstance(source, tuple) or isinstance(config, dict):
            raise BadInput(
                f"a {kind.__name__}", "it runs sequences, and this job has samples", "run it on a class that takes them"
            )
        return kind(source, config=config, mimic_qpu=get(job["config"])["mimic_qpu"])


def load_run(get: Get, job: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an archived `run`, by name."""
    return configs.load_run(get, job["config"])


def class_of(backend: Mapping[str, Any]) -> type:
    """The class of an archived emulator, if it is Pulser's own or was imported. Raises MissingExtra, BadInput."""
    pulser("pulser_simulation", "an emulator of Pulser's")
    name = backend.get("class", "")
    for base in _bases():
        found = configs.loaded_class(base, name)
        if found is not None and not _is_remote(found):
            return found
    raise BadInput(f"the emulator {name}", "is not Pulser's own, and was not imported", "import its package and try again")


def classes() -> Iterator[type]:
    """Every class that has a `run` of its own: Pulser's, and those of other packages that were imported. Raises MissingExtra."""
    pulser("pulser_simulation", "an emulator of Pulser's")
    seen, pending = set(), _bases()
    for kind in pending:
        if kind not in seen and not _is_remote(kind):
            seen.add(kind)
            pending += type.__subclasses__(kind)
            if "run" in vars(kind) and not getattr(vars(kind)["run"], "__isabstractmethod__", False):
                yield kind


def _bases() -> list[type]:
    simulation = pulser("pulser_simulation.qutip_backend")
    return [pulser("pulser.backend.abc").EmulatorBackend, simulation.QutipBackend, simulation.QutipEmulator]


def _is_remote(kind) -> bool:
    return any((base.__module__, base.__name__) in _REMOTE for base in kind.__mro__)


def _is_emulator_class(kind) -> bool:
    return any((base.__module__, base.__name__) in _EMULATOR for base in kind.__mro__)


def _input(stage, emulator) -> dict:
    """The sequence; its samples where it has no representation, or is another one than when the emulator was made."""
    sequence, inner = emulator._sequence, getattr(emulator, "_sim_obj", None)
    modulated = bool(emulator._config.with_modulation)
    if inner is not None and not _is_what_it_was(sequence, modulated, inner.samples_obj):
        stage.gap("input.sequence", "it was changed after its emulator was made, which ran the samples that are kept")
        return _input_of_samples(stage, inner, None)
    try:
        return put_sequence(stage, sequence)
    except NotRepresentable as error:
        stage.gap("input.sequence", f"{error} Its samples are kept.")
    if inner is not None:
        return _input_of_samples(stage, inner, sequence)
    return _put_samples(stage, _sampled(sequence, modulated), sequence.register, sequence.device, sequence)


def _is_what_it_was(sequence, modulated, ran) -> bool:
    try:
        return same_samples(_sampled(sequence, modulated), ran)
    except Exception:  # it has become one that cannot be sampled at all
        return False


def _sampled(sequence, modulated):
    sampler = pulser("pulser.sampler")
    duration = sequence.get_duration(include_fall_time=modulated)
    return sampler.sample(sequence, modulation=modulated, extended_duration=duration)


def _input_of_samples(stage, emulator, sequence) -> dict:
    samples = shortened(emulator.samples_obj, emulator.total_duration_ns)
    return _put_samples(stage, samples, emulator._register, emulator.device, sequence)


def _put_samples(stage, samples, register, device, sequence) -> dict:
    try:
        found = put_samples(stage, samples, register, device)
    except NotEncodable as error:
        stage.gap("input", str(error))
        found = {"type": "missing"}
    words = _text_of_samples(samples) if sequence is None else text(sequence)
    return found if words is None else {**found, "text": words}


def _text_of_samples(samples) -> str:
    """Samples for people: what each channel does, slot by slot."""
    lines = []
    for name, found in zip(samples.channels, samples.samples_list, strict=True):
        lines.append(f"Channel: {name}, {found.duration} ns of samples")
        for slot in found.slots:
            numbers = {part: getattr(found, part).as_array(detach=True)[slot.ti : slot.tf] for part in ("amp", "det", "phase")}
            shown = ", ".join(f"{part} {least:.6g} to {most:.6g}" for part, (least, most) in
                              ((part, (array.min(), array.max())) for part, array in numbers.items()))  # fmt: skip
            lines.append(f"t: {slot.ti}->{slot.tf} | {shown} | Targets: {', '.join(sorted(map(str, slot.targets)))}")
    if samples._measurement is not None:
        lines.append(f"Measured in basis: {samples._measurement}")
    return "\n".join(lines)


def _remade_emulator(kind, source, config):
    if not isinstance(config, dict) or not isinstance(source, tuple):
        raise BadInput(f"a {kind.__name__}", "it runs samples, and this job has a sequence", "run it on its own class")
    samples, register, device = source
    given = {name: config[name] for name in ("sampling_rate", "evaluation_times", "noise_model", "solver", "n_trajectories")}
    emulator = kind(samples, register, device, **given)
    emulator._initial_state = config["initial_state"]
    return emulator


@cache
def _packages(own: str) -> dict[str, str]:
    """Versions of what an emulator is made of; `own` is the package of its class."""
    found = {}
    for name in (*_PACKAGES, own.replace("_", "-")):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
