"""The samples of a sequence <-> plain values: all that a QutipEmulator knows of what it runs.

It is made of samples, a register and a device, and forgets the sequence that they came from. Samples also stand for a sequence
that has no abstract representation, and for one that was changed after its emulator was made.
"""

from collections.abc import Mapping
from typing import Any

from ...errors import BadInput, NotEncodable
from ..base import Get, Stage
from ..qiskit.values import from_plain, to_plain
from .sequences import load_device, load_register, pulser, put_device, put_register, quietly, specifications
from .values import with_attributes

SAMPLES = "pulser.samples"
_ARRAYS = ("amp", "det", "phase")
_BUFFERS = ("eom_start_buffers", "eom_end_buffers")
_EOM = ("rabi_freq", "detuning_on", "detuning_off", "ti", "tf")


def put_samples(stage: Stage, samples: Any, register: Any, device: Any) -> dict[str, Any]:
    """What the blob of samples holds, with its register and its device in blobs of their own. Raises NotEncodable."""
    known = {**device.channels, **device.dmm_channels}
    channels = []
    for name, found in zip(samples.channels, samples.samples_list, strict=True):
        channel = samples._ch_objs[name]
        place = next((key for key, item in known.items() if item is channel or item == channel), None)
        if place is None:
            raise NotEncodable(f"the channel {name!r}, which is none of its device's")
        channels.append({"name": name, "channel": place, **_channel(found)})
    plain = {"channels": channels, "measurement": samples._measurement, "mask": _mask(samples._slm_mask),
             "magnetic_field": to_plain(samples._magnetic_field), "references": _references(samples._basis_ref)}  # fmt: skip
    return {"type": SAMPLES, "device": put_device(stage, specifications(device)), "register": put_register(stage, register),
            "samples": plain}  # fmt: skip


def load_samples(get: Get, plain: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """(SequenceSamples, register, device). Raises MissingExtra, BadInput."""
    parts = pulser("pulser.sampler.samples", "samples of Pulser's")
    if plain.get("type") != SAMPLES:
        raise BadInput("the samples of this job", "they are not in the archive", "see the gaps of the job")
    device, register = load_device(get(plain["device"])), load_register(get(plain["register"]))
    known = {**device.channels, **device.dmm_channels}
    found = plain["samples"]
    names = [channel["name"] for channel in found["channels"]]
    with quietly():
        samples = parts.SequenceSamples(
            names,
            [_new_channel(parts, channel) for channel in found["channels"]],
            {channel["name"]: known[channel["channel"]] for channel in found["channels"]},
            _basis_ref=_new_references(found["references"]),
            _slm_mask=parts._SlmMask(set(found["mask"]["targets"]), found["mask"]["end"]),
            _magnetic_field=from_plain(found["magnetic_field"]),
            _measurement=found["measurement"],
        )
    return samples, register, device


def same_samples(one: Any, other: Any) -> bool:
    """Whether two SequenceSamples drive the same channels in the same way; either may go on longer, without effect."""
    if one.channels != other.channels or one._measurement != other._measurement:
        return False
    for left, right in zip(one.samples_list, other.samples_list, strict=True):
        for name in _ARRAYS:
            first, second = getattr(left, name).as_array(detach=True), getattr(right, name).as_array(detach=True)
            shared = min(len(first), len(second))
            if not (first[:shared] == second[:shared]).all():
                return False
        if _slots(left.slots) != _slots(right.slots):
            return False
    return _mask(one._slm_mask) == _mask(other._slm_mask)


def shortened(samples: Any, duration: int) -> Any:
    """Samples as an emulator was given them, of those that it keeps, which it made one sample longer."""
    parts = pulser("pulser.math")
    made = []
    for found in samples.samples_list:
        arrays = {name: parts.AbstractArray(getattr(found, name).as_array(detach=True)[:duration]) for name in _ARRAYS}
        centered = found._centered_phase
        if centered is not None:
            centered = parts.AbstractArray(centered.as_array(detach=True)[:duration])
        made.append(with_attributes(type(found), {**vars(found), **arrays, "_centered_phase": centered, "duration": duration}))
    return with_attributes(type(samples), {**vars(samples), "samples_list": made})


def _channel(found) -> dict:
    plain = {name: to_plain(getattr(found, name).as_array(detach=True)) for name in _ARRAYS}
    plain["slots"] = _slots(found.slots)
    plain["targets"] = [[str(slot.type), int(slot.ti), int(slot.tf), _sorted(slot.targets)] for slot in found.target_time_slots]
    for name in _BUFFERS:
        plain[name] = [[int(number) for number in pair] for pair in getattr(found, name)]
    plain["eom"] = [[*(to_plain(getattr(block, name)) for name in _EOM), [beam.name for beam in block.switching_beams]]
                    for block in found.eom_blocks]  # fmt: skip
    if found._centered_phase is not None:
        plain["centered_phase"] = to_plain(found._centered_phase.as_array(detach=True))
    if type(found).__name__ == "DMMSamples":
        weights = found.detuning_map
        plain["dmm"] = {
            "traps": to_plain(weights.trap_coordinates),
            "weights": to_plain(weights.weights),
            "slug": weights.slug,
            "spot_waist": to_plain(found.spot_waist),
            "qubits": to_plain([[name, position] for name, position in found.qubits.items()]),
        }
    return plain


def _new_channel(parts, plain):
    arrays = [pulser("pulser.math").AbstractArray(from_plain(plain[name])) for name in _ARRAYS]
    schedule = pulser("pulser.sequence._schedule")
    beams = pulser("pulser.channels.eom").RydbergBeam
    more: dict[str, Any] = {
        "slots": [parts._PulseTargetSlot(start, stop, set(targets)) for start, stop, targets in plain["slots"]],
        "eom_blocks": [
            schedule._EOMSettings(*map(from_plain, numbers), switching_beams=tuple(beams[name] for name in names))
            for *numbers, names in plain["eom"]
        ],
        "target_time_slots": [
            schedule._TimeSlot(kind, start, stop, set(targets)) for kind, start, stop, targets in plain["targets"]
        ],
        **{name: [tuple(pair) for pair in plain[name]] for name in _BUFFERS},
    }
    if "centered_phase" in plain:
        more["_centered_phase"] = pulser("pulser.math").AbstractArray(from_plain(plain["centered_phase"]))
    if "dmm" not in plain:
        return parts.ChannelSamples(*arrays, **more)
    dmm = plain["dmm"]
    weights = pulser("pulser.register.weight_maps").DetuningMap(
        trap_coordinates=from_plain(dmm["traps"]), weights=from_plain(dmm["weights"]), slug=dmm["slug"]
    )
    qubits = dict(from_plain(dmm["qubits"]))
    return parts.DMMSamples(*arrays, **more, detuning_map=weights, spot_waist=from_plain(dmm["spot_waist"]), qubits=qubits)


def _slots(slots) -> list:
    return [[int(slot.ti), int(slot.tf), _sorted(slot.targets)] for slot in slots]


def _sorted(ids) -> list:
    return sorted(ids, key=str)


def _mask(mask) -> dict:
    return {"targets": _sorted(mask.targets), "end": int(mask.end)}


def _references(found) -> dict:
    """Phase references: basis, then a list of [qubit, times, phases, times of use]."""
    return {
        basis: [
            [name, list(one.phase._times), to_plain(list(map(float, one.phase._phases))), list(map(int, one._last_used_history))]
            for name, one in ((name, qubits[name]) for name in _sorted(qubits))
        ]
        for basis, qubits in found.items()
    }


def _new_references(plain) -> dict:
    kind = pulser("pulser.sequence._basis_ref")
    found: dict[str, dict] = {}
    for basis, qubits in plain.items():
        found[basis] = {}
        for name, times, phases, used in qubits:
            one = kind._QubitRef()
            one.phase._times, one.phase._phases, one._last_used_history = list(times), list(phases), list(used)
            found[basis][name] = one
    return found
