"""A map of a device, of atoms and of modes shows each value, says which are missing, and keeps given positions up to scale."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import pytest
from drawings import drawn, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.atoms import register
from qarchive.drawing.device import device
from qarchive.drawing.elements import to_html
from qarchive.drawing.modes import modes

values = st.none() | st.floats() | st.floats(1e-5, 1)
HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x'"


def eagle():
    folder = Path(find_spec("qiskit_ibm_runtime").origin).parent / "fake_provider" / "backends" / "sherbrooke"
    return json.loads((folder / "conf_sherbrooke.json").read_text())["coupling_map"]


def circles(figure):
    return [(float(shape.get("cx")), float(shape.get("cy"))) for shape in figure.drawing.iter("circle")]


@given(st.integers(0, 12), st.data())
@settings(max_examples=40)
def test_every_device_is_drawn_with_all_its_values(count, data):
    place = st.integers(0, max(0, count - 1))
    nodes = data.draw(st.dictionaries(place, values))
    edges = data.draw(st.dictionaries(st.tuples(place, place), values, max_size=20))
    used = data.draw(st.none() | st.lists(place | st.tuples(place, place), max_size=6))
    figure = device(range(count), [(0, 1)], nodes, edges, "a device", dead=1.0, used=used)
    parsed = drawn(figure)
    legend = [one for one in parsed.attributes("circle") if one.get("fill", "").startswith("var(--muted")]
    shapes = [
        *(one for one in parsed.attributes("circle") if one not in legend),
        *(one for one in parsed.attributes("rect") if one.get("fill") != "none"),
    ]
    assert len(shapes) == count
    assert [row[0] for row in rows(figure)][:count] == [f"q{i}" for i in range(count)]
    again = device(reversed(range(count)), [(0, 1)], nodes, dict(reversed(edges.items())), "a device", dead=1.0, used=used)
    assert to_html(again.element()) == to_html(figure.element())


def test_an_eagle_is_short_enough_for_a_page():
    couplings = eagle()
    figure = device(
        range(127), couplings, {i: 0.01 + i / 1e4 for i in range(127)}, {(a, b): 0.005 + a / 1e5 for a, b in couplings}, "eagle"
    )
    drawn(figure)
    assert len(to_html(figure.drawing)) < 32_000


def test_of_two_directions_the_drawing_has_the_larger_value_and_the_table_both():
    figure = device(range(2), [(0, 1), (1, 0)], {0: 0.01, 1: 0.02}, {(0, 1): 0.003, (1, 0): 0.004}, "pair")
    parsed = drawn(figure)
    assert "q0, q1: 0.004" in parsed.texts("title") and "q0, q1: 0.003" not in parsed.texts("title")
    assert rows(figure) == [
        ["q0", "readout error", "0.01"],
        ["q1", "readout error", "0.02"],
        ["q0, q1", "two-qubit gate error", "0.003"],
        ["q1, q0", "two-qubit gate error", "0.004"],
    ]


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, 10**400])
def test_what_has_no_value_is_said_to_have_none(missing):
    figure = device(range(2), [], {0: 0.01, 1: missing}, {(0, 1): missing}, "pair")
    parsed = drawn(figure)
    assert "q1: no value" in parsed.texts("title")
    assert "hollow: 1 without a value" in parsed.texts("text") and "no values" in parsed.texts("text")
    assert rows(figure)[1:] == [["q1", "readout error", "no value"], ["q0, q1", "two-qubit gate error", "no value"]]


def test_a_value_far_beyond_the_others_has_a_mark_of_its_own_and_leaves_them_their_colours():
    figure = device(range(12), [], {i: 0.01 + i / 1000 for i in range(11)} | {11: 1.0}, {}, "one is broken")
    parsed = drawn(figure)
    assert len(parsed.attributes("circle")) == 11 and figure.note == "readout error: 1 above 0.02, each marked by a square."
    colours = {shape.get("fill") for shape in figure.drawing.iter("g")} - {None}
    assert len(colours) > 10


def test_what_a_job_used_has_an_outline_and_a_column_and_the_worst_of_it_is_said():
    couplings = [(0, 1), (1, 0), (1, 2), (2, 3)]
    errors = {(0, 1): 0.003, (1, 0): 0.004, (1, 2): 0.002}
    figure = device(range(4), couplings, {0: 0.01, 1: 0.02, 2: 0.03}, errors, "line", used=[0, 1, (1, 0), 3, (0, 3)])
    parsed = drawn(figure)
    assert figure.note == (
        "Outlined: 3 qubits and 1 coupling that were used, at worst readout error 0.02 (q1) and two-qubit gate error 0.004 "
        "(q0, q1). Pairs that were used and are not coupled: 1."
    )
    assert [row[0] for row in rows(figure) if row[-1] == "used"] == ["q0", "q1", "q3", "q0, q1", "q1, q0"]
    assert "used by the job" in parsed.texts("text")
    plain = device(range(4), couplings, {}, errors, "line")
    assert {len(row) for row in rows(plain)} == {3} and "used by the job" not in drawn(plain).texts("text")
    none = device(range(4), couplings, {}, errors, "line", used=[])
    assert none.note == "Outlined: 0 qubits and 0 couplings that were used." and {row[-1] for row in rows(none)} == {""}


def test_what_does_not_work_is_crossed_out_and_no_part_of_the_scale():
    values = {i: 0.01 + i / 1000 for i in range(8)}
    figure = device(range(9), [(0, 1), (1, 2)], values | {8: 1.0}, {(0, 1): 1.0, (1, 2): 0.01}, "dead", dead=1.0)
    parsed = drawn(figure)
    assert figure.note == "readout error of 1: q8, crossed out. two-qubit gate error of 1: q0, q1, crossed out."
    assert "readout error or two-qubit gate error of 1: does not work" in parsed.texts("text") and "0.017" in parsed.texts("text")
    assert ["q8", "readout error", "1"] in rows(figure)


def test_a_scale_that_is_logarithmic_says_so():
    texts = drawn(device(range(3), [(0, 1)], {0: 0.01, 1: 0.2, 2: 0.05}, {(0, 1): 0.01}, "log")).texts("text")
    assert "readout error (circles, log scale)" in texts and "two-qubit gate error (lines)" in texts


@given(
    st.lists(st.tuples(st.integers(-30, 30), st.integers(-30, 30)), min_size=2, max_size=15, unique=True), st.floats(1e-6, 1e6)
)
@settings(max_examples=40)
def test_given_positions_are_kept_up_to_scale(points, size):
    positions = {i: (x * size, y * size) for i, (x, y) in enumerate(points)}
    for figure, sign in ((device(positions, [], dict.fromkeys(positions, 0.1), {}, "given", positions=positions), 1),
                         (register(positions, "atoms"), -1)):  # fmt: skip
        drawn(figure)
        found = circles(figure)
        scales = [math.dist(found[i], found[j]) / math.dist(points[i], points[j]) for i in range(len(points)) for j in range(i)]
        assert max(scales) - min(scales) < 0.3
        right, down = (max(range(len(points)), key=lambda i, k=k: points[i][k]) for k in (0, 1))
        assert found[right][0] >= max(x for x, _ in found) - 0.2
        assert sign * found[down][1] >= max(sign * y for _, y in found) - 0.2


@pytest.mark.parametrize(
    "positions",
    [
        {0: (0, 0)},
        {0: (1, 1), 1: (1, 1)},
        {0: (0, 0), 1: (math.nan, 0)},
        {0: (-1e308, 0), 1: (1e308, 0)},
        {0: (0, 0), 1: (5e-324, 0)},
    ],
)
def test_positions_that_are_of_no_use_are_replaced_and_the_note_says_so(positions):
    figure = device(range(2), [(0, 1)], {}, {}, "pair", positions=positions)
    assert figure.note == "The layout is ours: the positions given do not have each place at a point of its own."
    assert len(set(circles(figure))) == 2


def test_atoms_have_their_coordinates_and_a_scale():
    figure = register({"a": (0, 0), "b": (6, 0), "c": (3, 5.196)}, "triangle")
    parsed = drawn(figure)
    assert rows(figure) == [["a", "0", "0"], ["b", "6", "0"], ["c", "3", "5.196"]]
    assert figure.note == "The closest two are 6 µm apart." and "10 µm" in parsed.texts("text")


def test_of_a_register_in_space_the_third_coordinate_is_in_the_table():
    figure = register({"a": (0, 0, 1), "b": (6, 0, 2.5)}, "space")
    drawn(figure)
    assert rows(figure) == [["a", "0", "0", "1"], ["b", "6", "0", "2.5"]]
    assert figure.note == "The closest two are 6 µm apart as drawn. Seen along z, which is in the table."


def test_atoms_in_space_that_would_hide_each_other_are_seen_from_elsewhere():
    column = register({"a": (0, 0, 0), "b": (0, 0, 6), "c": (0, 0, 12)}, "column")
    assert column.note == "The closest two are 6 µm apart as drawn. Seen along y, which is in the table."
    assert len(set(circles(column))) == 3
    cube = register({f"{x}{y}{z}": (6 * x, 6 * y, 6 * z) for x in (0, 1) for y in (0, 1) for z in (0, 1)}, "cube")
    assert cube.note == "Seen at a slant: lengths along z are not to scale; the table has them."
    assert len(set(circles(cube))) == 8 and "111: 6, 6, 6 µm" in drawn(cube).texts("title")
    one_point = register({"a": (1, 1, 1), "b": (1, 1, 1)}, "one point")
    assert one_point.note == "Seen along z, which is in the table."
    drawn(one_point)


@given(st.dictionaries(st.text(max_size=8), st.tuples(st.floats(), st.floats(), st.floats()), max_size=8))
def test_every_register_in_space_is_drawn(positions):
    figure = register(positions, "atoms")
    drawn(figure)
    assert len(rows(figure)) == len(positions)


@given(st.dictionaries(st.text(max_size=8), st.tuples(st.floats(), st.floats()), max_size=8))
def test_every_register_is_drawn(positions):
    figure = register(positions, "atoms")
    drawn(figure)
    assert len(rows(figure)) == len(positions)


@pytest.mark.parametrize("far", [1e308, 1e99, 5e-324, 0.0])
def test_registers_of_all_sizes_are_drawn(far):
    drawn(register({"a": (-far, 0), "b": (far, far), "c": (0, 1)}, "atoms"))


def test_modes_have_a_line_each_and_their_numbers():
    figure = modes({"t_in": [0.31, None], "t_out": [0.8]}, "chip", {"t_in": "", "t_out": ""})
    parsed = drawn(figure)
    assert rows(figure) == [["m0", "0.31", "0.8"], ["m1", "no value", "no value"]]
    assert "m1 t_in: no value" in parsed.texts("title") and parsed.texts("text").count("no value") == 2


@given(st.dictionaries(st.text(max_size=6), st.lists(values, max_size=6), max_size=7))
@settings(max_examples=40)
def test_all_modes_are_drawn(columns):
    figure = modes(columns, "chip")
    drawn(figure)
    assert len(rows(figure)) == max(map(len, columns.values()), default=0)


@pytest.mark.parametrize(
    "figure",
    [
        device([0, 1], [], {}, {}, HOSTILE, node_name=HOSTILE, edge_name=HOSTILE, node_unit=HOSTILE, letter=HOSTILE),
        register({HOSTILE: (0, 0), "b": (1, 1)}, HOSTILE, unit=HOSTILE),
        modes({HOSTILE: [1.0]}, HOSTILE, {HOSTILE: HOSTILE}),
    ],
    ids=["device", "register", "modes"],
)
def test_hostile_names_stay_text(figure):
    drawn(figure)


def test_the_same_figure_twice_in_a_page_needs_another_key():
    one, same, other = (device([0], [], {}, {}, "same", key=key) for key in ("", "", "2"))
    assert to_html(one.drawing) == to_html(same.drawing)
    assert one.drawing[0].get("id") != other.drawing[0].get("id")
