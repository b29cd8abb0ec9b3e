"""Calibrations as their readers see them: figures of both kinds of blobs, medians and extremes, and what moved between two."""

import math
from datetime import UTC, datetime

import devices
import pytest
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2, FakeSherbrooke
from staging import MemoryStage

from qarchive.calibration import Calibration, Change, Drift, Figure, compare
from qarchive.codec import digest, encode
from qarchive.errors import BadInput, NotCanonical
from qarchive.providers.qiskit.ibm_snapshots import put_properties
from qarchive.providers.qiskit.targets import calibration_value
from qarchive.values import Array, Link


@pytest.fixture
def stage():
    return MemoryStage()


def of(stage, link, phase="submit"):
    return Calibration(phase, str(link), datetime(2024, 3, 1, tzinfo=UTC), stage.get)


def of_properties(stage, raw):
    return of(stage, put_properties(stage, raw))


def of_target(stage, target):
    return of(stage, stage.put("calibration", calibration_value(target)))


def nduv(name, value, unit=""):
    return {"name": name, "value": value, "unit": unit, "date": "2024-03-01T00:00:00Z"}


def small(**changes):
    """Properties of two qubits and three gates."""
    numbers = {"T1": 100.0, "error": 0.01, "length": 500} | changes
    return {
        "backend_name": "ibm_small",
        "last_update_date": "2024-02-29T19:00:00-05:00",
        "qubits": [
            [nduv("T1", numbers["T1"], "us"), nduv("T2", 50.0, "us"), nduv("frequency", 5.0, "GHz"), nduv("readout_error", 0.02)],
            [nduv("T1", 80.0, "us"), nduv("frequency", 4.9, "GHz"), nduv("readout_error", 0), nduv("anharmonicity", -0.3, "GHz")],
        ],
        "gates": [
            {"gate": "cx", "qubits": [0, 1], "name": "cx0_1", "parameters": [
                nduv("gate_error", numbers["error"]), nduv("gate_length", numbers["length"], "ns")]},
            {"gate": "cx", "qubits": [1, 0], "name": "cx1_0", "parameters": [nduv("gate_error", 1)]},
            {"gate": "x", "qubits": [0], "name": "x0", "parameters": [nduv("gate_error", 0.001)]},
        ],
        "general": [],
    }  # fmt: skip


# Reading


def test_figures_are_in_si_units_whatever_the_provider_uses(stage):
    found = of_properties(stage, small())
    assert found.qubits == {
        "T1": [1e-4, 8e-5], "T2": [5e-5, None], "frequency": [5e9, 4.9e9], "readout_error": [0.02, 0.0],
        "anharmonicity": [None, -3e8],
    }  # fmt: skip
    assert list(found.qubits) == ["T1", "T2", "frequency", "readout_error", "anharmonicity"]
    assert found.gates == {
        "cx": {(0, 1): {"gate_error": 0.01, "gate_length": 5e-7}, (1, 0): {"gate_error": 1.0}},
        "x": {(0,): {"gate_error": 0.001}},
    }
    assert found.units == {"T1": "s", "T2": "s", "frequency": "Hz", "readout_error": "", "anharmonicity": "Hz", "gate_error": "",
                           "gate_length": "s"}  # fmt: skip


def test_a_calibration_says_what_it_is_of_and_when(stage):
    found = of_properties(stage, small())
    assert (found.phase, found.device) == ("submit", "ibm_small")
    assert found.measured_at == datetime(2024, 3, 1, tzinfo=UTC)
    assert found.captured_at == datetime(2024, 3, 1, tzinfo=UTC)
    assert found.raw() == small()
    assert Link(bytes.fromhex(found.digest)) == put_properties(stage, small())
    assert found == Calibration("submit", found.digest, found.captured_at, None)


def test_a_blob_is_read_when_it_is_asked_for_and_once(stage):
    asked = []

    def get(link):
        asked.append(link)
        return stage.get(link)

    link = put_properties(stage, small())
    found = Calibration("run", str(link), None, get)
    assert asked == [] and repr(found) == f"Calibration(phase='run', digest='{link}', captured_at=None)"
    assert found.qubits and found.gates and found.value and found.measured_at
    assert len(asked) == 2  # the calibration and its template
    assert found.raw() is not found.raw()


@pytest.mark.parametrize("make", [FakeManilaV2, FakeSherbrooke])
def test_figures_of_a_device_are_those_of_its_target_to_the_last_digit(stage, make):
    backend = make()
    found, target = of_properties(stage, backend._load_json(backend.props_filename)), backend.target
    properties = target.qubit_properties
    assert found.qubits["T1"] == [qubit.t1 for qubit in properties]
    assert found.qubits["T2"] == [qubit.t2 for qubit in properties]
    assert found.qubits["frequency"] == [qubit.frequency for qubit in properties]
    assert found.qubits["readout_error"] == [target["measure"][(i,)].error for i in range(target.num_qubits)]
    for name in set(found.gates) & set(target.operation_names):
        for qubits, item in target[name].items():
            if item is not None:
                assert found.gates[name][qubits].get("gate_error") == item.error
                assert found.gates[name][qubits].get("gate_length") == item.duration


def test_figures_of_a_target_are_the_same_as_of_the_device(stage):
    backend = FakeManilaV2()
    one = of_properties(stage, backend._load_json(backend.props_filename))
    other = of_target(stage, backend.target)
    for name in ("T1", "T2", "frequency", "readout_error", "readout_length"):
        assert other.qubits[name] == one.qubits[name]
    for gate in ("cx", "sx", "x", "id", "rz"):
        assert other.gates[gate] == one.gates[gate]
    assert "measure" not in other.gates
    assert (other.device, other.measured_at) == (None, None)
    drifts = [drift for drift in compare(one, other) if drift.changes or drift.appeared]
    assert drifts == []


def test_a_place_without_a_figure_has_none(stage):
    target = GenericBackendV2(2, seed=1).target
    target.update_instruction_properties("x", (0,), None)
    found = of_target(stage, target)
    assert set(found.gates["x"]) == {(1,)}


def test_a_target_has_no_dict_of_a_provider(stage):
    found = of_target(stage, GenericBackendV2(2, seed=1).target)
    with pytest.raises(BadInput) as caught:
        found.raw()
    assert str(caught.value) == (
        f"the calibration {found.digest[:12]}: it was taken from a Target, and no provider's dict is behind it; "
        "read its `value`, `qubits` and `gates`"
    )


def test_figures_of_a_kind_that_nobody_knows_are_refused(stage):
    found = of(stage, stage.put("calibration", {"type": "perceval.specs"}))
    with pytest.raises(BadInput) as caught:
        assert found.qubits
    assert str(caught.value) == (
        f"the calibration {found.digest[:12]}: its type 'perceval.specs' has no figures that are known here; read its `value`"
    )
    assert found.value == {"type": "perceval.specs"}


def test_a_calibration_of_before_the_release_has_the_qubits_of_its_figures(stage):
    value = calibration_value(GenericBackendV2(2, seed=1).target)
    for figures in value["gates"].values():
        del figures["places"]  # which then stood in the snapshot of the backend alone
    found = of(stage, stage.put("calibration", value))
    assert len(found.qubits["T1"]) == 2
    assert found.gates == {}


COLUMN = Array("<f8", (1,), bytes(8))


@pytest.mark.parametrize("value", [
    {"type": "qiskit.target"},
    {"type": "qiskit.target", "gates": [], "qubits": {}},
    {"type": "qiskit.target", "gates": {}, "qubits": {"t1": [1.0]}},
    {"type": "qiskit.target", "gates": {"x": {"places": [1, COLUMN], "error": COLUMN}, "y": 1}, "qubits": {}},
    {"type": "qiskit.target", "gates": {"x": {"places": [0, COLUMN], "error": COLUMN}}, "qubits": {}},
    {"type": "qiskit.target", "gates": {"x": {"places": [[0], [1]], "error": COLUMN}}, "qubits": {}},
    {"type": "qiskit.target", "gates": {"measure": {"places": [[1 << 60]], "error": COLUMN}}, "qubits": {}},
    {"type": "qiskit.target", "gates": {"measure": {"places": [[]], "error": COLUMN}}, "qubits": {}},
], ids=range(8))  # fmt: skip
def test_what_is_not_made_like_a_calibration_is_refused(stage, value):
    found = of(stage, stage.put("calibration", value))
    with pytest.raises(NotCanonical) as caught:
        assert found.figures
    assert str(caught.value) == "not canonical msgpack: a calibration that is not made like one"


@pytest.mark.parametrize("raw", [{}, {"qubits": 1, "gates": []}, {"qubits": [[{}]], "gates": []}, {"qubits": [], "gates": [1]},
                                 {"qubits": [[nduv("T1", 1 << 2000, "us")]], "gates": []}])  # fmt: skip
def test_properties_that_are_none_are_kept_and_have_no_figures(stage, raw):
    found = of_properties(stage, raw)
    assert found.raw() == raw
    with pytest.raises(NotCanonical):
        assert found.figures


def test_a_blob_that_is_no_map_is_refused(stage):
    found = of(stage, stage.put("calibration", [1]))
    with pytest.raises(NotCanonical) as caught:
        assert found.value
    assert str(caught.value) == "not canonical msgpack: a calibration that is no map"


# Figures


def test_a_figure_has_a_median_and_knows_what_is_good(stage):
    figures = {figure.name: figure for figure in of_properties(stage, small()).figures}
    assert list(figures) == ["T1", "T2", "frequency", "readout_error", "anharmonicity", "cx gate_error", "cx gate_length",
                             "x gate_error"]  # fmt: skip
    assert figures["T1"] == Figure("T1", "s", {(0,): 1e-4, (1,): 8e-5})
    assert (figures["T1"].median, figures["T1"].best, figures["T1"].worst) == (9e-5, ((0,), 1e-4), ((1,), 8e-5))
    error = figures["cx gate_error"]
    assert (error.median, error.best, error.worst) == (0.505, ((0, 1), 0.01), ((1, 0), 1.0))
    assert (figures["frequency"].best, figures["frequency"].worst) == (None, None)


def test_of_equal_figures_the_first_qubit_is_shown():
    figure = Figure("T1", "s", {(2,): 1.0, (1,): 1.0, (3,): 1.0})
    assert figure.best == figure.worst == ((1,), 1.0)


# Two of them


def test_what_moved_most_stands_first(stage):
    one = of_properties(stage, small())
    other = of_properties(stage, small(T1=150.0, error=0.02))
    moved = [drift for drift in compare(one, other) if drift.changes]
    assert moved == [
        Drift("T1", "s", 9e-5, pytest.approx(1.15e-4), (Change((0,), 1e-4, 1.5e-4),)),
        Drift("cx gate_error", "", 0.505, 0.51, (Change((0, 1), 0.01, 0.02),)),
    ]
    assert moved[0].changes[0].relative == pytest.approx(0.5)
    assert [drift.name for drift in compare(one, other)] == [figure.name for figure in one.figures]


def test_a_calibration_does_not_differ_from_itself(stage):
    one = of_properties(stage, small())
    assert not any(drift.changes or drift.appeared or drift.vanished for drift in compare(one, one))


def test_what_appeared_and_what_vanished_is_told(stage):
    before, after = small(), small()
    del before["gates"][1]
    del after["gates"][2]
    after["qubits"][0].append(nduv("readout_length", 1000, "ns"))
    del after["qubits"][0][1]
    drifts = {drift.name: drift for drift in compare(of_properties(stage, before), of_properties(stage, after))}
    assert drifts["cx gate_error"].appeared == ((1, 0),)
    assert drifts["x gate_error"] == Drift("x gate_error", "", 0.001, None, (), (), ((0,),))
    assert drifts["readout_length"] == Drift("readout_length", "s", None, 1e-6, (), ((0,),), ())
    assert drifts["T2"] == Drift("T2", "s", 5e-5, None, (), (), ((0,),))


def test_changes_are_in_units_of_what_was():
    assert Change((0,), -2.0, -1.0).relative == 0.5
    assert Change((0,), 0.0, 0.1).relative == math.inf
    assert Change((0,), 0.0, -0.1).relative == -math.inf


def test_another_day_of_a_device_moved_everything_by_some_percent(stage):
    raw = devices.raw("props", "sherbrooke")
    drifts = compare(of_properties(stage, raw), of_properties(stage, devices.another_day(raw)))
    t1 = next(drift for drift in drifts if drift.name == "T1")
    assert len(t1.changes) == 127
    assert [abs(change.relative) for change in t1.changes] == sorted(
        (abs(change.relative) for change in t1.changes), reverse=True
    )
    assert 0.05 < abs(t1.changes[0].relative) < 0.3
    assert digest(encode(raw)) != digest(encode(devices.another_day(raw)))


def photonic(perfs):
    """A calibration of a photonic platform."""
    value = {"type": "perceval.details", "name": "qpu:x", "details": {"perfs": perfs}, "platform": Link(bytes(32))}
    return Calibration("submit", "00" * 32, None, lambda link: {"specs": {"a": 1}} if value is None else value)


def test_figures_of_a_photonic_platform_are_without_percent_and_prefix():
    found = photonic(
        {
            "HOM (%)": 92.0,
            "g2 (%)": 1,
            "Clock (MHz)": 80.0,
            "Jitter (ps)": 20,
            "Transmission per mode (%)": {"t_in": [80.0, None, 50.0]},
            "note": "text is no figure",
            "Broken (%)": math.nan,
        }
    )
    assert found.device_figures == pytest.approx({"HOM": 0.92, "g2": 0.01, "Clock": 80e6, "Jitter": 20e-12})
    assert found.qubits == {"t_in": pytest.approx([0.8, None, 0.5])}
    assert found.units == {"HOM": "", "g2": "", "Clock": "Hz", "Jitter": "s", "t_in": ""}
    assert found.gates == {}
    assert [figure.name for figure in found.figures] == ["HOM", "g2", "Clock", "Jitter", "t_in"]
    assert found.measured_at is None
    assert found.device == "qpu:x"


def test_drift_of_a_photonic_platform():
    before, after = photonic({"HOM (%)": 90.0, "g2 (%)": 1.0}), photonic({"HOM (%)": 45.0, "g2 (%)": 1.0})
    hom, g2 = compare(before, after)
    assert (hom.changes[0].qubits, hom.changes[0].relative) == ((), -0.5)
    assert g2.changes == ()
