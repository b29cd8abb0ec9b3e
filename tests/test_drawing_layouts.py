"""Every device has a layout: lattices as they are built, others so that no two places cover each other."""

import json
from importlib.util import find_spec
from math import dist
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.layouts import NEAREST, layout, nearest

BACKENDS = Path(find_spec("qiskit_ibm_runtime").origin).parent / "fake_provider" / "backends"


def of_ibm(name):
    device = json.loads((BACKENDS / name / f"conf_{name}.json").read_text())
    return device["n_qubits"], device["coupling_map"]


def extent(at):
    return tuple(max(values) - min(values) for values in zip(*at.values()))


@pytest.mark.parametrize(
    "name, size",
    [
        ("manila", (4, 0)), ("lima", (3, 1)), ("jakarta", (2, 2)), ("johannesburg", (4, 3)), ("montreal", (8, 4)),
        ("rochester", (9, 8)), ("brooklyn", (10, 8)), ("sherbrooke", (14, 12)), ("washington", (14, 12)), ("torino", (14, 13)),
        ("fez", (15, 14)), ("nighthawk", (9, 11)),
    ],
)  # fmt: skip
def test_ibms_devices_lie_on_their_lattice(name, size):
    count, couplings = of_ibm(name)
    at = layout(range(count), couplings)
    assert {dist(at[one], at[other]) for one, other in couplings} == {1.0}
    assert len(set(at.values())) == count and extent(at) == size


@pytest.mark.parametrize(
    "name, first", [("sherbrooke", range(14)), ("washington", range(14)), ("torino", range(15)), ("fez", range(16))]
)
def test_the_first_line_of_a_heavy_hexagon_reads_from_left_to_right(name, first):
    count, couplings = of_ibm(name)
    at = layout(range(count), couplings)
    assert len({at[place][1] for place in first}) == 1 and min(y for _, y in at.values()) == at[0][1]
    assert [at[place][0] for place in first] == sorted(at[place][0] for place in first)


def test_a_device_that_is_numbered_otherwise_has_the_same_shape():
    count, couplings = of_ibm("sherbrooke")
    other = [(place * 50) % 127 for place in range(count)]
    at = layout(range(count), [(other[a], other[b]) for a, b in couplings])
    assert {dist(at[other[a]], at[other[b]]) for a, b in couplings} == {1.0} and extent(at) == (14, 12)


def test_octagons_stay_octagons():
    couplings = [(8 * part + i, 8 * part + (i + 1) % 8) for part in range(3) for i in range(8)]
    couplings += [(1, 14), (2, 13), (9, 22), (10, 21)]
    at = layout(range(24), couplings)
    for part in range(3):
        assert extent({place: at[place] for place in range(8 * part, 8 * part + 8)}) == (2, 2)
    assert {dist(at[a], at[b]) for a, b in couplings} == {1.0}


def test_lines_are_lines_and_rings_are_rings():
    assert layout(range(4), [(0, 1), (1, 2), (2, 3)]) == {0: (0, 0), 1: (1, 0), 2: (2, 0), 3: (3, 0)}
    ring = layout(range(12), [(i, (i + 1) % 12) for i in range(12)])
    middle = [sum(values) / 12 for values in zip(*ring.values())]
    assert len({round(dist(point, middle), 6) for point in ring.values()}) == 1
    long = layout(range(100), [(i, i + 1) for i in range(99)])
    assert all(dist(long[i], long[i + 1]) == 1 for i in range(99)) and max(extent(long)) < 20


def test_a_grid_with_broken_couplings_is_still_that_grid():
    couplings = [(i, i + 1) for i in range(20) if i % 5 != 4] + [(i, i + 5) for i in range(15) if i not in (6, 8)]
    at = layout(range(20), couplings)
    assert at == {i: (i % 5, i // 5) for i in range(20)}


@given(st.integers(1, 40), st.data())
@settings(max_examples=50)
def test_every_graph_has_a_layout_in_which_no_two_places_cover_each_other(count, data):
    place = st.integers(0, count - 1)
    couplings = data.draw(st.lists(st.tuples(place, place), max_size=70))
    at = layout(range(count), couplings)
    assert sorted(at) == list(range(count)) and nearest(at) >= NEAREST
    assert layout(reversed(range(count)), [(b, a) for a, b in reversed(couplings)]) == at


@pytest.mark.parametrize(
    "couplings",
    [
        [(0, i) for i in range(1, 40)],
        [(i, j) for i in range(40) for j in range(i)],
        [(i, (i * 7 + 3) % 40) for i in range(40)] + [(i, i + 1) for i in range(39)],
        [((i - 1) // 2, i) for i in range(1, 40)],
    ],
    ids=["star", "all to all", "expander", "tree"],
)
def test_graphs_that_are_no_lattice_keep_their_places_apart(couplings):
    at = layout(range(40), couplings)
    assert nearest(at) >= NEAREST and max(extent(at)) < 40


def test_parts_that_are_not_coupled_lie_beside_each_other():
    at = layout(range(9), [(0, 1), (1, 2), (3, 4), (4, 5)])
    assert nearest(at) >= 1 and len(at) == 9


def test_couplings_of_places_that_are_not_there_are_passed_over():
    assert layout([3, 4], [(3, 4), (4, 9), (3, 3)]) == {3: (0, 0), 4: (1, 0)}
    assert layout([], []) == {}


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=12))
def test_the_nearest_two_are_found(points):
    least = min(dist(a, b) for i, a in enumerate(points) for b in points[i + 1 :])
    assert nearest(dict(enumerate(points))) == pytest.approx(least)
