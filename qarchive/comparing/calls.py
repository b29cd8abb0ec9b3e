"""A call that is wanted, beside one that was recorded: what differs, in a few words each."""

from collections.abc import Mapping
from typing import Any

from . import inputs, settings
from .settings import ABSENT, Get


def what_differs(get_a: Get, record_a: Mapping[str, Any], get_b: Get, record_b: Mapping[str, Any]) -> list[str]:
    """What a wanted call (`record_a`) and a recorded one (`record_b`) do not have alike, one short line each; empty where both
    ask the same of the same backend.

    Records are job records, or maps with their `provider`, `backend`, `input`, `config`, `shots` and `size` (the last two may
    be left out); `get_a(link)` and `get_b(link)` answer the plain value of a blob. Needs no SDK where circuits have a structure
    or are equal. Lines are in this order: provider, backend, circuits, settings. Nothing is cut of control characters.
    """
    lines = [f"{name}: {record_a[name]}, recorded {record_b[name]}" for name in ("provider", "backend")
             if record_a[name] != record_b[name]]  # fmt: skip
    lines += _inputs(inputs.circuits(get_a, record_a, get_b, record_b))
    found = settings.changes(get_a, record_a["config"], get_b, record_b["config"])
    lines += [_setting(change) for change in found]
    shots = record_a.get("shots"), record_b.get("shots")
    if shots[0] != shots[1] and not any(change.name == "shots" for change in found):
        lines.append(_setting(settings.Change("shots", *shots)))
    return lines


def _inputs(found: inputs.Circuits) -> list[str]:
    wanted, recorded = found.sizes
    lines = [f"circuits: {wanted:,}, recorded {recorded:,}"] if wanted != recorded else []
    if found.same is None:
        return [*lines, found.reason]
    if found.differing:
        what = "the circuit differs" if wanted == 1 else (
            f"circuit{'s' if len(found.differing) > 1 else ''} {inputs.places(found.differing)} of {wanted:,} "
            f"differ{'' if len(found.differing) > 1 else 's'}"
        )  # fmt: skip
        return [*lines, what]
    return lines or ([] if found.same else ["the input differs"])


def _setting(change: settings.Change) -> str:
    name = change.path.removeprefix("options.") or "config"
    if change.one is ABSENT:
        return f"{name}: not given, recorded {settings.shown(change.other)}"
    if change.other is ABSENT:
        return f"{name}: {settings.shown(change.one)}, not in the recording"
    return f"{name}: {settings.shown(change.one)}, recorded {settings.shown(change.other)}"
