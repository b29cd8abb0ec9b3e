"""What a Pulser emulation was configured with <-> plain values.

Observables carry a random UUID each, by which results know them. None is hashed: a loaded configuration has UUIDs that follow
from its content, and its results are found by tag; `results` keeps the UUIDs of what was run.
"""

import uuid
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from ...errors import BadInput, NotEncodable
from ...values import Link, Typed
from ..base import Get, Stage
from ..qiskit.values import from_plain, to_plain
from .sequences import pulser
from .values import with_attributes

EMULATION = "pulser.emulation"  # an EmulationConfig, of any class
LEGACY = "pulser.legacy"  # an EmulatorConfig, which QutipBackend takes
EMULATOR = "pulser.emulator"  # what a QutipEmulator was made with
_LISTS = ("observables", "callbacks")
# What nothing that comes out depends on: what is shown, written or saved meanwhile.
_SHOWN = frozenset({"progress_bar", "print_progress", "log_level", "log_file", "autosave_prefix", "autosave_dt"})
_BUILT_IN = (("pulser_simulation.qutip_config", "QutipConfig"), ("pulser.backend.config", "EmulationConfig"))

Gap = Callable[[str, str], None]


def class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def put_config(stage: Stage, config: Any, run: Mapping[str, Any], mimic_qpu: bool) -> Link:
    """The configuration of an emulator backend, as it holds after its defaults were filled in, and the arguments of `run`."""
    legacy = not hasattr(type(config), "is_evaluation_time")
    options = dict(vars(config)) if legacy else dict(config._backend_options)
    plain = {"type": LEGACY if legacy else EMULATION, "class": class_name(type(config)), "mimic_qpu": mimic_qpu}
    lists = {name: _listed(stage, name, options.pop(name)) for name in _LISTS if name in options}
    return stage.put("config", {**plain, "options": {**_options(stage, options), **lists}, "run": _options(stage, run, "run")})


def put_emulator(stage: Stage, emulator: Any, run: Mapping[str, Any]) -> Link:
    """What a QutipEmulator is set to at this moment, and the arguments of `run`."""
    options = {
        "sampling_rate": emulator._sampling_rate,
        "evaluation_times": emulator._eval_times_instruction,
        "noise_model": emulator.noise_model,
        "solver": emulator.solver,
        "n_trajectories": emulator._n_trajectories,
        "initial_state": emulator._initial_state,
    }
    return stage.put("config", {"type": EMULATOR, "options": _options(stage, options), "run": _options(stage, run, "run")})


def load_config(get: Get, link: Link) -> Any:
    """The EmulationConfig or EmulatorConfig again; of a QutipEmulator a map of what it was made with.

    What could not be kept, such as observables of the user's own, is not in it. Raises MissingExtra, BadInput.
    """
    pulser("pulser", "a configuration of Pulser's")
    plain = get(link)
    kind = plain.get("type")
    if kind not in (EMULATION, LEGACY, EMULATOR):
        raise BadInput("the configuration of this job", "it is not in the archive", "see the gaps of the job")
    options = {name: from_plain(_here(item) if name in _LISTS else item) for name, item in plain["options"].items()}
    if kind == EMULATOR:
        return options
    if kind == LEGACY:
        return with_attributes(pulser("pulser.backend.config").EmulatorConfig, options)
    numbered = [*options.get("callbacks", ()), *options.get("observables", ())]
    for number, observable in enumerate(numbered):
        observable._uuid = _identity(link, number)
    return with_attributes(_class(plain["class"]), {"_backend_options": options})


def load_run(get: Get, link: Link) -> dict[str, Any]:
    """The arguments of `run`, by name."""
    return {name: from_plain(item) for name, item in get(link).get("run", {}).items()}


def check_complete(get: Get, link: Link) -> None:
    """Raises BadInput where something of a configuration could not be kept, without which a run would be another one."""
    plain = get(link)
    for name in _LISTS:
        lost = [item for item in plain.get("options", {}).get(name, ()) if type(item) is dict]
        if lost:
            raise BadInput(
                "this job", f"its {name} are not all in the archive ({lost[0].get('class')})", "run it from its script"
            )


def shots_of(config: Any) -> int | None:
    """How many bit strings are drawn at each time, where all observables that draw some agree."""
    options = getattr(config, "_backend_options", {})
    drawing = [item for item in options.get("observables", ()) if type(item).__name__ == "BitStrings"]
    numbers = {options.get("default_num_shots") if item._num_shots is None else item._num_shots for item in drawing}
    found = next(iter(numbers)) if len(numbers) == 1 else None
    return found if type(found) is int else None


def alike(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What of an archived configuration decides what comes out."""
    parts = {name: {key: item for key, item in plain[name].items() if key not in _SHOWN}
             for name in ("options", "run") if name in plain}  # fmt: skip
    return {**plain, **parts}


def renamed(config: Any, result: Any) -> Any:
    """Results of a run whose observables were equal, as those of `config` know them: by the UUIDs that these have today."""
    observables = {item.tag: item.uuid for item in getattr(config, "_backend_options", {}).get("observables", ())}
    for found in result if isinstance(result, list | tuple) else (result,):
        if type(found).__name__ == "Results":
            today = {known: observables[tag] for tag, known in found._tagmap.items() if tag in observables}
            for name in ("_results", "_times", "_aggregation_methods"):
                setattr(found, name, {today.get(known, known): item for known, item in getattr(found, name).items()})
            found._tagmap.update({tag: today[known] for tag, known in found._tagmap.items() if known in today})
    return result


def loaded_class(base: type, name: str) -> type | None:
    """The class of this name among those that descend from `base` and were imported already: data never names code."""
    pending = [base]
    for kind in pending:
        if class_name(kind) == name:
            return kind
        pending += type.__subclasses__(kind)
    return None


def dotted(*parts: str) -> str:
    """A path of those of its parts that are not empty."""
    return ".".join(filter(None, parts))


def _options(stage, options, what="options") -> dict:
    plain = to_plain(dict(options), lambda path, reason: stage.gap(f"config.{what}.{path}", reason))
    return {name: item for name, item in plain.items() if type(name) is str}


def _listed(stage, name, items) -> tuple:
    """Observables or callbacks; of one that cannot be kept, so the others stay what and where they are, its class and its tag."""
    found: list = []
    for place, item in enumerate(items):
        try:
            found.append(to_plain(item))
        except NotEncodable as error:
            stage.gap(dotted(f"config.options.{name}.{place}", error.path), error.reason)
            lost = {"class": class_name(type(item))}
            tag = getattr(item, "tag", None)
            found.append({**lost, "tag": tag} if type(tag) is str else lost)
    return tuple(found)


def _here(items) -> tuple:
    """Those of the observables that were kept."""
    return tuple(item for item in items if type(item) is Typed)


def _class(name) -> type:
    for module, found in _BUILT_IN:
        if name == f"{module}.{found}":
            return getattr(pulser(module, "a configuration of Pulser's"), found)
    base = pulser("pulser.backend.config").EmulationConfig
    return loaded_class(base, name) or base


def _identity(link, number) -> uuid.UUID:
    return uuid.UUID(bytes=sha256(link.digest + number.to_bytes(4, "big")).digest()[:16], version=4)
