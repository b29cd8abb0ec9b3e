"""Sequences of Pulser's, made anew at every call, for the tests of the provider `pulser`: a few atoms, some hundred ns."""

import warnings

import numpy as np
from pulser import Pulse, Register, Register3D, Sequence
from pulser.channels import DMM, Microwave, Raman, Rydberg
from pulser.channels.eom import RydbergBeam, RydbergEOM
from pulser.devices import AnalogDevice, DigitalAnalogDevice, MockDevice, VirtualDevice
from pulser.register.register_layout import RegisterLayout
from pulser.register.special_layouts import TriangularLatticeLayout
from pulser.waveforms import (
    BlackmanWaveform,
    CompositeWaveform,
    ConstantWaveform,
    CustomWaveform,
    InterpolatedWaveform,
    KaiserWaveform,
    RampWaveform,
)


def pair(spacing=6.0, prefix="q"):
    return Register.rectangle(1, 2, spacing=spacing, prefix=prefix)


def blockade(omega=2 * np.pi, duration=100, spacing=5.0, measured=True, register=None, device=MockDevice):
    sequence = Sequence(register or pair(spacing), device)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(duration, omega, 0.0, 0.0), "rydberg")
    if measured:
        sequence.measure("ground-rydberg")
    return sequence


def adiabatic():
    """A maximum independent set, as the tutorial finds one: rise, sweep, fall."""
    register = Register({"left": (-5.0, 0.0), "middle": (0.0, 0.5), "right": (5.0, 0.0)})
    sequence = Sequence(register, DigitalAnalogDevice)
    sequence.declare_channel("ising", "rydberg_global")
    omega, start, stop = 2 * np.pi, -6.0, 9.0
    sequence.add(Pulse.ConstantDetuning(RampWaveform(60, 0.0, omega), start, 0.0), "ising")
    sequence.add(Pulse.ConstantAmplitude(omega, RampWaveform(120, start, stop), 0.0), "ising")
    sequence.add(Pulse.ConstantDetuning(RampWaveform(60, omega, 0.0), stop, 0.0), "ising")
    return sequence


def parametrized():
    sequence = Sequence(pair(), DigitalAnalogDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.declare_channel("raman", "raman_local", initial_target="q0")
    omega = sequence.declare_variable("omega", dtype=float)
    times = sequence.declare_variable("times", size=2, dtype=int)
    target = sequence.declare_variable("target", dtype=int)
    sequence.add(Pulse.ConstantPulse(times[0], omega, np.sin(omega) - 1, 0.0), "rydberg")
    sequence.add(Pulse.ConstantDetuning(BlackmanWaveform(times[1], omega / 10), 0.0, 0.25), "rydberg")
    sequence.target_index(target, "raman")
    sequence.add(Pulse.ConstantPulse(times[0], abs(-omega), 0.0, 0.0), "raman")
    sequence.phase_shift_index(omega * 2, 1, basis="digital")
    return sequence


def built():
    return parametrized().build(omega=5.5, times=[52, 100], target=1)


def mappable():
    layout = TriangularLatticeLayout(20, spacing=6)
    sequence = Sequence(layout.make_mappable_register(3), AnalogDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    area = sequence.declare_variable("area", dtype=float)
    sequence.add(Pulse.ConstantDetuning(BlackmanWaveform(100, area), -1.0, 0.0), "rydberg")
    return sequence


def of_layout():
    """A register of a layout with a name, atoms in another order than their traps."""
    layout = RegisterLayout([[0.0, 0.0], [0.0, 6.0], [6.0, 0.0], [6.0, 6.0]], slug="square of four")
    return blockade(register=layout.define_register(3, 0, qubit_ids=["b", "a"]), device=MockDevice)


def detuning_map():
    register = pair(7.0)
    sequence = Sequence(register, MockDevice)
    sequence.config_detuning_map(register.define_detuning_map({"q0": 0.25, "q1": 0.75}), "dmm_0")
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(60, 6.0, 0.0, 0.0), "rydberg")
    sequence.add_dmm_detuning(RampWaveform(50, -1.0, -5.0), "dmm_0")
    return sequence


def exchange():
    """XY: microwaves, a magnetic field, and a mask that is given as a set."""
    register = Register({name: (8.0 * place, 0.0) for place, name in enumerate(("zeta", "alpha", "beta"))})
    sequence = Sequence(register, MockDevice)
    sequence.set_magnetic_field(1.0, 0.5, 20.0)
    sequence.config_slm_mask({"zeta", "alpha"})
    sequence.declare_channel("mw", "mw_global")
    sequence.add(Pulse.ConstantPulse(52, 7.0, 0.0, 0.0), "mw")
    sequence.add(Pulse.ConstantPulse(40, 3.0, 1.0, 0.5), "mw")
    sequence.measure("XY")
    return sequence


def masked():
    """An SLM mask of a Rydberg channel, by way of a detuning map."""
    register = pair()
    sequence = Sequence(register, MockDevice)
    sequence.config_slm_mask(["q1"], "dmm_0")
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(52, 5.0, 0.0, 0.0), "rydberg")
    return sequence


def local():
    """Two bases, local channels, several targets given as a set, phases, delays, and alignment that is said twice."""
    register = Register({name: (6.0 * place, 0.0) for place, name in enumerate(("tango", "alpha"))})
    sequence = Sequence(register, MockDevice)
    sequence.declare_channel("b", "raman_local", initial_target={"tango", "alpha"})
    sequence.declare_channel("a", "rydberg_local", initial_target="alpha")
    sequence.add(Pulse.ConstantPulse(40, 8.0, 0.0, 0.125, post_phase_shift=0.5), "b")
    sequence.target("tango", "b")
    sequence.phase_shift(1.25, "tango", "alpha", basis="digital")
    sequence.align("b", "a", at_rest=True)
    sequence.add(Pulse.ConstantPulse(24, 9.0, 1.0, 0.0), "a", protocol="no-delay")
    sequence.target({"alpha", "tango"}, "b")
    sequence.delay(16, "b", at_rest=True)
    sequence.add(Pulse.ConstantPulse(20, 7.0, 0.0, 0.0), "b", protocol="wait-for-all")
    sequence.measure("digital")
    return sequence


def waveforms():
    """Every waveform that there is."""
    sequence = Sequence(pair(8.0), MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    constant = ConstantWaveform(40, 0.0)
    wave = CompositeWaveform(ConstantWaveform(10, 2.5), RampWaveform(30, 2.5, 1 / 3))
    for amplitude, detuning in (
        (BlackmanWaveform(40, 1.0), RampWaveform(40, -1.0, 0.1 + 0.2)),
        (BlackmanWaveform.from_max_val(10.0, 0.3), None),
        (KaiserWaveform(40, 0.5, 12.0), constant),
        (wave, CustomWaveform(np.sin(np.arange(40) / 7))),
        (InterpolatedWaveform(40, [0.0, 3.0, 1e-17], times=[0.0, 0.3, 1.0]), constant),
    ):
        detuning = ConstantWaveform(amplitude.duration, 0.0) if detuning is None else detuning
        sequence.add(Pulse(amplitude, detuning, 0.25), "rydberg")
    sequence.add(Pulse.ArbitraryPhase(ConstantWaveform(40, 2.0), RampWaveform(40, 0.0, 2.0)), "rydberg")
    return sequence


def spatial():
    register = Register3D({"a": (0.0, 0.0, 0.0), "b": (5.5, 0.1, -3.0)})
    return blockade(register=register, spacing=None)


def modulated():
    """The mode of an electro-optical modulator on a device of the user's, with bandwidths."""
    eom = RydbergEOM(
        mod_bandwidth=24,
        limiting_beam=RydbergBeam.RED,
        max_limiting_amp=40 * 2 * np.pi,
        intermediate_detuning=700 * 2 * np.pi,
        controlled_beams=tuple(RydbergBeam),
    )
    device = VirtualDevice(
        name="of the user's",
        dimensions=2,
        rydberg_level=60,
        channel_objects=(Rydberg.Global(30.0, 12.0, mod_bandwidth=4, eom_config=eom, clock_period=4, min_duration=16),),
    )
    sequence = Sequence(pair(), device)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(40, 5.0, 0.0, 0.0), "rydberg")
    sequence.enable_eom_mode("rydberg", amp_on=6.0, detuning_on=0.0, correct_phase_drift=True)
    sequence.add_eom_pulse("rydberg", 40, phase=0.5, post_phase_shift=0.1)
    sequence.modify_eom_setpoint("rydberg", amp_on=4.0, detuning_on=0.5)
    sequence.delay(20, "rydberg")
    sequence.add_eom_pulse("rydberg", 40, phase=0.0, correct_phase_drift=True)
    sequence.disable_eom_mode("rydberg")
    return sequence


def own_device():
    """A device with a channel of each kind, a noise model and layouts of its own."""
    device = VirtualDevice(
        name="mine",
        dimensions=3,
        rydberg_level=70,
        reusable_channels=True,
        channel_objects=(Rydberg.Global(None, None), Raman.Local(20.0, 10.0, max_targets=2), Microwave.Global(None, None)),
        channel_ids=("all", "one", "mw"),
        dmm_objects=(DMM(bottom_detuning=-100.0),),
        supports_slm_mask=True,
    )
    sequence = Sequence(pair(), device)
    sequence.declare_channel("first", "all")
    sequence.declare_channel("second", "all")
    sequence.add(Pulse.ConstantPulse(32, 4.0, -2.0, 0.0), "first")
    sequence.add(Pulse.ConstantPulse(32, 4.0, -2.0, 1.0), "second")
    return sequence


def numbered(**more):
    """Atoms named by integers, which Pulser's representation turns into text."""
    with warnings.catch_warnings(record=True):
        return blockade(register=Register({7: (0.0, 0.0), 10: (0.0, 6.0)}), **more)


RUNNABLE = {
    make.__name__: make
    for make in (blockade, adiabatic, built, of_layout, detuning_map, exchange, masked, local, waveforms, spatial, modulated,
                 own_device, numbered)
}  # fmt: skip
UNBUILT = {make.__name__: make for make in (parametrized, mappable)}
