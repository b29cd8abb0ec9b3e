"""Results over what was varied: parameters and observables stand with the results that are theirs, as numpy would broadcast."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.outcomes import Points, amplitudes_of, is_table, table_of, tables_of
from qarchive.sweeps import Column, along, estimates, number, over_of, over_places, over_sets, shares
from qarchive.values import Array

SIZES = st.lists(st.sampled_from([1, 2, 3]), max_size=3)


def array(values):
    return Array.of(numpy.asarray(values, dtype="<f8"))


@given(SIZES, st.data())
@settings(max_examples=30)
def test_places_are_broadcast_as_numpy_does_it(shape, data):
    def own(label):
        kept = data.draw(st.integers(0, len(shape)), label)
        return tuple(data.draw(st.sampled_from([1, size]), label) for size in shape[len(shape) - kept :])

    sets, observed = own("sets"), own("observed")
    whole = numpy.broadcast_shapes(tuple(shape), sets, observed)
    points = Points(0, whole, {"x": list(range(math.prod(sets)))}, sets, list(map(str, range(math.prod(observed)))), observed)
    places = range(math.prod(whole))
    wanted = [
        numpy.broadcast_to(numpy.arange(math.prod(each)).reshape(each), whole).ravel().tolist() for each in (sets, observed)
    ]
    assert [points.set_at(place) for place in places] == wanted[0]
    assert [points.observed_at(place) for place in places] == wanted[1]
    assert [points.at(place) for place in places] == [{"x": which} for which in wanted[0]]


def test_one_parameter_that_varies_is_what_results_stand_over():
    points = Points(0, (3,), {"θ": [0.0, 0.5, 1.0], "φ": [2.0, 2.0, 2.0]}, (3,))
    over = over_sets(points)
    assert (over.name, list(over.at), over.joined) == ("θ", [0.0, 0.5, 1.0], True)
    assert over.columns == [("θ", ["0", "0.5", "1"])]


def test_where_several_vary_results_stand_over_their_sets_and_the_table_has_the_values():
    points = Points(0, (2,), {f"x{i}": [0.0, float(i)] for i in range(1, 9)}, (2,))
    over = over_sets(points)
    assert over.name == "set of parameter values, in the order given (the table has 6 of 8 parameters)" and not over.joined
    assert [name for name, _ in over.columns] == ["set", "x1", "x2", "x3", "x4", "x5", "x6"]


def test_shares_have_the_noise_of_their_shots_and_the_rest_is_one_line():
    tables = [{format(i, "04b"): 10 + i for i in range(16)}, {"0000": 400}]
    found = shares(tables, over_places(2))
    assert list(found.series) == ["0000", "1011", "1100", "1101", "1110", "1111", "other (10 states)"]
    total = sum(tables[0].values())
    assert [point[1] for point in found.series["1111"]] == [25 / total, 0.0]
    assert sum(points[0][1] for points in found.series.values()) == pytest.approx(1)
    assert found.series["1111"][0][2] == pytest.approx(math.sqrt(25 / total * (1 - 25 / total) / total))
    assert found.rows[1] == ["1", "400", "0", "0", "0", "0", "0", "0", "400"]


def test_expectation_values_are_lines_by_observable_with_all_that_they_are_of():
    points = Points(0, (2, 3), {"θ": [0.1, 0.2, 0.3]}, (3,), ["ZZ", "XX"], (2, 1))
    found = estimates({"evs": array([[1, 2, 3], [4, 5, 6]]), "stds": array([[0.1] * 3, [0.2] * 3])}, points)
    assert found.series == {
        "ZZ": [(0.1, 1, 0.1), (0.2, 2, 0.1), (0.3, 3, 0.1)],
        "XX": [(0.1, 4, 0.2), (0.2, 5, 0.2), (0.3, 6, 0.2)],
    }
    assert found.header == ["observable", "θ", "value", "standard error"]
    assert found.rows[3] == ("XX", "0.1", "4", "0.2") and len(found.rows) == 6


@pytest.mark.parametrize("points", [None, Points(0, (7,), {}, (), ["ZZ"], ())], ids=["nothing is known", "another shape"])
def test_values_of_which_nobody_knows_what_they_are_of_stand_by_their_places(points):
    found = estimates({"evs": array([1.5, 2.5])}, points)
    assert found == Column([("0", 1.5, None), ("1", 2.5, None)], ("place", "value", "standard error"),
                           [("0", "1.5", ""), ("1", "2.5", "")])  # fmt: skip
    assert estimates({"counts": {"0": 1}}, points) is None


def test_observables_of_one_text_are_told_apart():
    points = Points(0, (2, 2), {"θ": [0.1, 0.2]}, (2,), ["ZZ", "ZZ"], (2, 1))
    assert list(estimates({"evs": array([[1, 2], [3, 4]])}, points).series) == ["ZZ [0]", "ZZ [1]"]


def test_a_table_of_very_many_places_is_cut_and_says_so():
    size = 20_000
    points = Points(0, (size,), {f"x{i}": [float(i + j) for j in range(size)] for i in range(8)}, (size,), ["Z"], ())
    found = estimates({"evs": array(range(size))}, points)
    assert len(found.rows) * len(found.header) <= 6_000 and found.total == size
    assert found.note == f"The table has the first {len(found.rows)} of 20,000 rows."


def test_what_was_evaluated_at_times_stands_over_them():
    entry = {"energy": [1.0, 2.0], "occupation": [array([0.1, 0.2]), array([0.3, 0.4])], "times": {"energy": [0.5, 1.0]}}
    found = along("energy", entry["energy"], over_of("energy", entry, None, 2))
    assert found.series == {"": [(0.5, 1.0, None), (1.0, 2.0, None)]} and found.header == ["time", "energy"]
    assert over_of("occupation", entry, None, 2) is None  # nothing says when
    found = along("occupation", entry["occupation"], over_of("energy", entry, None, 2))
    assert found.series["occupation[1]"] == [(0.5, 0.2, None), (1.0, 0.4, None)]
    for other in ([1.0], [1.0, "x"], [[1.0], [1.0, 2.0]], {"a": 1}, ["0", "1"]):
        assert along("other", other, over_places(2)) is None


@pytest.mark.parametrize(
    "wrong, why",
    [
        ({"shape": (-1,)}, "an array of the shape [-1]"),
        ({"sets": (2,), "parameters": {"x": [1]}}, "values of parameters that are not of the shape (2,)"),
        ({"observables": ["Z", "X"]}, "2 observables that are not of the shape ()"),
    ],
)
def test_points_have_as_many_values_as_their_shapes_say(wrong, why):
    with pytest.raises(ValueError) as caught:
        Points(0, **wrong)
    assert str(caught.value) == why


def test_tables_are_found_however_they_are_nested():
    assert tables_of([[{"0": 1}, {"1": 2}], [{"0": 3}, {"1": 4}]]) == [{"0": 1}, {"1": 2}, {"0": 3}, {"1": 4}]
    assert tables_of([]) is tables_of([{"0": 1}, 2]) is tables_of({"0": 1}) is None
    assert not is_table({}) and not is_table({"0": "1"})


def test_shots_one_by_one_are_counted_where_there_are_no_counts():
    assert table_of({"samples": ["01", "10", "01"]}) == {"01": 2, "10": 1}
    assert table_of({"memory": ["01"], "counts": {"01": 5}}) == {"01": 5}
    assert table_of({"evs": 1.0}) is None


def test_amplitudes_are_those_of_qubits():
    found = amplitudes_of(Array.of(numpy.array([1, 0, 0, 1j])))
    assert found == {"00": 1, "01": 0, "10": 0, "11": 1j}
    for other in (numpy.array([1j, 0, 0]), numpy.array([1.0, 0.0]), numpy.eye(2) * 1j, numpy.zeros(1 << 17, complex)):
        assert amplitudes_of(Array.of(other)) is None


def test_numbers_are_written_for_readers():
    assert [number(value) for value in (0.30000000000000004, 1, 0.5 + 0j, 1 - 2j, True, "a\x1b")] == [
        "0.3", "1", "0.5", "1-2i", "True", "a\\x1b"]  # fmt: skip


def test_numpy_takes_an_array_for_its_items():
    stored = array([[1, 2], [3, 4]])
    assert numpy.asarray(stored).tolist() == [[1, 2], [3, 4]] and numpy.asarray(stored, dtype=int).dtype == int
    assert numpy.mean(stored) == 2.5
    with pytest.raises(ValueError, match="are copied"):
        stored.__array__(copy=False)
