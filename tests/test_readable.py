"""Settings are said in few words that a person reads: what differs from defaults, and noise models by what is in them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive import noise, readable
from qarchive.printable import clean
from qarchive.values import Array, Link, Typed


def none(link):
    raise AssertionError(link)


def of(numbers):
    import struct

    return Array("<f8", (len(numbers),), struct.pack(f"<{len(numbers)}d", *numbers))


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "none"), (True, "true"), (7, "7"), (0.1 + 0.2, "0.3"), (float("nan"), "nan"), (1 + 2j, "(1+2j)"),
        ("mps", "mps"), ("", '""'), ("\x1b[31m", "\\x1b[31m"), (b"abc", "3 bytes"), ([], "none"), ({}, "nothing"),
        (of([0.1 * i for i in range(4)]), "0, 0.1, 0.2, 0.3"), ([1, 2], "1, 2"), (["a", None], "a, none"),
        (of([0.1 * i for i in range(1, 11)]), "10 numbers from 0.1 to 1 in even steps"),
        ([1, 2, 4, 8, 16, 32, 64, 128, 256], "9 numbers: 1, 2, 4, …, 256"),
        (["x"] * 10, "x, x, x, x, x, x, x, x, 2 more"),
        (Array("<f8", (2, 3), bytes(48)), "2 × 3 numbers"),
        ({"shots": 5, "seed": None}, "shots = 5, seed = none"),
        (Typed("pulser.BitStrings", [None, [], 300]), "BitStrings(300)"), (Typed("pulser.Nothing", [None]), "Nothing"),
    ],
)  # fmt: skip
def test_a_value_is_short_and_readable(value, text):
    assert readable.said(value, none) == text


def test_a_value_is_never_long():
    assert len(readable.said("x" * 10_000, none)) == len(readable.said(["x" * 99] * 8, none)) == 300


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=12) | st.tuples(inner) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    | st.builds(Typed, st.text(max_size=5), inner),
    max_leaves=20,
)  # fmt: skip


@example(Typed("", None))
@given(plain | st.lists(st.integers() | st.floats(), min_size=9, max_size=12))
def test_any_value_is_said_on_one_line_that_a_terminal_does_not_obey(value):
    said = readable.said(value, none)
    assert 0 < len(said) <= 300 and clean(said) == said
    for name, text in readable.rows({"x": value}, none):
        assert clean(name) == name and clean(text) == text


def test_settings_of_maps_have_dotted_names():
    found = list(readable.rows({"options": {"shots": 3, "inner": {"seed": 1}}, "empty": {}}, none))
    assert found == [("options.shots", "3"), ("options.inner.seed", "1"), ("empty", "nothing")]


def test_a_text_that_is_a_map_in_json_is_looked_into():
    found = list(readable.rows({"sent": '{"noise": {"p": 0.5}}', "cut": '{"noise": ', "deep": '{"a":' * 5000}, none))
    assert found[:2] == [("sent.noise.p", "0.5"), ("cut", '{"noise": ')] and found[2][1].endswith("…")


def test_hostile_noise_is_no_code_for_a_terminal():
    model = {"errors": [0], "local": [["\x1b[31m", [[0]], [0]]], "default": [], "readout": [], "shapes": [[1, 0]]}
    assert noise.told(model) == "1 gate error (\\x1b[31m 1) on qubits 0"
    assert noise.apart(model, model | {"local": []}) == "gate errors (\\x1b[31m 1 of 1)"


def test_a_blob_is_said_by_its_kind():
    link = Link(bytes(32))
    assert readable.said(link, lambda found: {"type": "pulser.device"}) == "pulser.device (000000000000)"
    assert readable.said(link, lambda found: [1]) == "000000000000"


def test_what_is_no_snapshot_of_ours_says_nothing():
    for snapshot in (None, {}, {"options": {}, "set": None}, {"options": [], "set": []}):
        assert readable.changed(snapshot, none) is None
    assert readable.changed({"options": {"a": 1}, "set": ["a", "gone"]}, none) == [("a", "1")]


def small():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x"])
    model.add_quantum_error(depolarizing_error(0.1, 2), ["cx"], [0, 3])
    model.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [3])
    return model


def test_options_that_were_set_are_said_with_their_noise(tmp_path):
    import qiskit

    circuit = qiskit.QuantumCircuit(4, 1)
    circuit.cx(0, 3)
    circuit.measure(3, 0)
    with qarchive.open(tmp_path / "lab") as archive:
        for backend in (AerSimulator(), AerSimulator(method="density_matrix", noise_model=small()),
                        AerSimulator.from_backend(FakeManilaV2())):  # fmt: skip
            archive.wrap(backend).run(circuit, shots=10).result()
        manila, own, plain = archive.jobs()
        assert readable.changed(plain.backend_snapshot, plain.get) == []
        (_, method), (_, told) = readable.changed(own.backend_snapshot, own.get)
        digest = str(own.backend_snapshot["options"]["noise_model"])[:12]
        assert method == "density_matrix"
        said = "1 gate error (cx 1) on qubits 0, 3; errors of x on all qubits; readout errors of 1 qubit"
        assert told == f"{said} ({digest})"
        [(name, told)] = readable.changed(manila.backend_snapshot, manila.get)
        assert name == "noise_model" and told.startswith(
            "28 gate errors (cx 8, id 5, reset 5, sx 5, x 5) on qubits 0 to 4; readout errors of 5 qubits; relaxation while"
        )
        one, other = (job.get(job.backend_snapshot["options"]["noise_model"]) for job in (own, manila))
        assert noise.apart(one, other).startswith("gate errors (x 6 of 6, cx 9 of 9, id 5 of 5, ")
        assert noise.apart(one, other).endswith("; readout errors (5 of 5); relaxation")
        assert noise.apart(one, one) == noise.apart(one, {}) == noise.apart(one, one | {"errors": None}) == ""
        assert noise.told(one | {"local": None}) == "noise of another form"
        assert noise.apart(one, one | {"readout": []}) == "readout errors (1 of 1)"


def test_tagged_models_say_what_differs_from_no_noise():
    pulser = {"noise_types": ["SPAM"], "p_false_pos": 0.25, "temperature": 0.0, "runs": 1}
    assert noise.told(Typed("pulser.NoiseModel", pulser)) == "p_false_pos = 0.25"
    assert noise.told(Typed("pulser.NoiseModel", pulser | {"noise_types": []})) == "no noise"
    assert noise.told(Typed("perceval.NoiseModel", {"g2": 0.1 + 0.2})) == "g2 = 0.3"
    assert noise.told(Typed("perceval.NoiseModel", {})) == "no noise"
