"""A histogram shows the most frequent states, the rest as one, and how much is chance; its table loses none."""

import math

import pytest
from drawings import drawn, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.elements import to_html
from qarchive.drawing.histogram import histogram
from qarchive.printable import clean_lines

HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x'"
states = st.text(alphabet="01", min_size=1, max_size=6) | st.text(max_size=8)


def hints(figure):
    return [shape[0].text for shape in figure.drawing.iter("rect")]


@given(st.dictionaries(states, st.integers(0, 10**6) | st.integers(-3, 10**30) | st.floats(), max_size=12), st.integers(1, 6))
@settings(max_examples=50)
def test_every_state_is_in_the_table_and_what_is_drawn_is_sound(counts, most):
    figure = histogram(counts, "some counts", most)
    drawn(figure)
    assert sorted(row[0] for row in rows(figure)) == sorted(map(clean_lines, counts))
    assert to_html(figure.element()) == to_html(histogram(counts, "some counts", most).element())


def test_bars_are_shares_with_shot_noise():
    figure = histogram({"11": 75, "00": 25}, "Bell")
    drawn(figure)
    assert hints(figure) == ["00: 0.25 ± 0.043", "11: 0.75 ± 0.043"]
    assert rows(figure) == [["00", "25", "0.25", "0.043"], ["11", "75", "0.75", "0.043"]]
    assert figure.note == "N = 100 shots; bars of error are one standard deviation of shot noise, sqrt(p(1-p)/N)."


@pytest.mark.parametrize(
    "given, ordered",
    [
        (["10", "01", "00"], ["00", "01", "10"]),
        (["|10,0>", "|2,0>", "|0,1>"], ["|0,1>", "|2,0>", "|10,0>"]),
        (["0x10", "0xa", "0x2"], ["0x2", "0xa", "0x10"]),
        (["11 0", "01 1"], ["01 1", "11 0"]),
        (["1" * 5000, "0" * 5000], ["0" * 5000, "1" * 5000]),
    ],
)
def test_states_that_all_fit_stand_in_order_of_value(given, ordered):
    assert [row[0] for row in rows(histogram(dict.fromkeys(given, 5), "order"))] == ordered


def test_of_many_states_the_most_frequent_are_bars_and_the_others_one():
    counts = {format(i, "010b"): 1 + i for i in range(1000)}
    figure = histogram(counts, "many", most=3)
    parsed = drawn(figure)
    total = sum(counts.values())
    other = (total - 1000 - 999 - 998) / total
    assert hints(figure)[-1] == f"other (997 states): {other:.4g}"
    assert [hint.partition(":")[0] for hint in hints(figure)[:3]] == [format(i, "010b") for i in (999, 998, 997)]
    assert f"{other:.3g}" in parsed.texts("text")  # its bar is cut, so its number is written
    assert figure.note.endswith("3 of 1,000 states are bars, the other 997 are one bar.")


def test_the_table_of_a_hundred_thousand_states_has_the_first_thousand_and_says_so():
    figure = histogram({format(i, "060b"): 1 + i for i in range(100_000)}, "large")
    assert len(rows(figure)) == 1000 and rows(figure)[0][0] == format(99_999, "060b")
    assert figure.note.endswith("The table has the first 1,000 of 100,000 states.")
    assert len(to_html(figure.drawing)) < 16_000
    assert hints(figure)[0].startswith(format(99_999, "060b"))  # whole, where the label is not


@pytest.mark.parametrize(
    "counts, note", [({}, "No counts: nothing was measured."), ({"0": 0, "1": 0}, "All counts are zero.")], ids=["none", "zeros"]
)
def test_nothing_measured_is_said(counts, note):
    figure = histogram(counts, "nothing")
    assert note in drawn(figure).texts("text") and figure.note == note
    assert len(rows(figure)) == len(counts)


def test_weights_are_drawn_as_they_are_without_shot_noise():
    figure = histogram({"0": 1.25, "1": -0.25, "2": math.nan}, "quasi")
    drawn(figure)
    assert hints(figure) == ["0: 1.25", "1: -0.25"]
    assert rows(figure) == [["0", "1.25"], ["1", "-0.25"], ["2", "-"]]
    assert figure.note == "Weights as they were given; they are no counts, so no shot noise is drawn. States without a number: 1."


def test_hostile_states_stay_text():
    parsed = drawn(histogram({HOSTILE: 3, "0": 4}, HOSTILE))
    assert clean_lines(HOSTILE) in parsed.texts("td")
