"""Curves, dots and small multiples show all that they are given on one scale, and say what they leave out."""

import math

from drawings import drawn, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.curves import PANELS, curves
from qarchive.drawing.dots import MOST, dots
from qarchive.drawing.elements import element, to_html
from qarchive.drawing.multiples import multiples
from qarchive.printable import clean_lines

HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x'"
NUMBERS = st.floats() | st.none() | st.integers(-(10**30), 10**30)
POINTS = st.lists(st.tuples(st.floats(), NUMBERS, NUMBERS), max_size=5)
COUNTS = st.dictionaries(st.text(alphabet="01", min_size=1, max_size=4) | st.text(max_size=5),
                         st.integers(0, 10**6) | st.integers(-3, 10**30) | st.floats(), max_size=6)  # fmt: skip


def table():
    return element("table", element("tbody"))


def curve(series, **options):
    return curves(series, "title", "x", "y", table(), **options)


@given(st.dictionaries(st.text(max_size=4), POINTS, max_size=10), st.booleans(), st.booleans())
@settings(max_examples=30)
def test_what_curves_draw_is_sound(series, joined, zero):
    figure = curve(series, joined=joined, within=(0.0,) if zero else ())
    drawn(figure)
    assert to_html(figure.element()) == to_html(curve(series, joined=joined, within=(0.0,) if zero else ()).element())


def test_up_to_seven_curves_are_named_at_their_ends_with_hints_of_their_numbers():
    parsed = drawn(curve({name: [(0.0, 1.0, 0.1), (1.0, i, None)] for i, name in enumerate("abcdefg")}))
    assert set("abcdefg") <= set(parsed.texts("text")) and "a, 0: 1 ± 0.1" in parsed.texts("title")


def test_more_curves_have_frames_of_their_own_with_one_scale():
    figure = curve({f"line {i}": [(0.0, float(i), None), (1.0, 2.0 * i, None)] for i in range(9)})
    parsed = drawn(figure)
    assert {f"line {i}" for i in range(9)} <= set(parsed.texts("text"))
    assert "lines" not in figure.drawing[1].text and "9 small frames with one scale" in figure.drawing[1].text
    many = curve({str(i): [(0.0, 1.0, None)] for i in range(PANELS + 4)})
    assert many.note == f"The first {PANELS} of {PANELS + 4} are drawn."


def test_many_points_are_drawn_by_the_extremes_of_each_step():
    figure = curve({"": [(float(i), math.sin(i), 0.1) for i in range(20_000)]})
    assert figure.note == "Of many points the least and the largest of each step are drawn."
    assert len(to_html(figure.drawing)) < 30_000
    drawn(figure)


def test_nothing_known_is_said():
    for figure in (curve({}), curve({"a": [(0.0, None, None), (math.nan, 1.0, None)]}), dots([], "title", "x", table())):
        assert "No numbers are known." in drawn(figure).texts("text")


@given(st.lists(st.tuples(st.text(max_size=40), NUMBERS, NUMBERS), max_size=8))
@settings(max_examples=20)
def test_what_dots_draw_is_sound(found):
    drawn(dots(found, "title", "x", table()))


def test_dots_are_named_with_their_errors_and_the_first_ones_are_drawn():
    parsed = drawn(dots([("ZZ", 0.5, 0.02), ("XX", -0.5, None)], "title", "value", table()))
    assert {"ZZ", "XX", "value"} <= set(parsed.texts("text"))
    assert {"ZZ: 0.5 ± 0.02", "XX: -0.5"} <= set(parsed.texts("title"))
    figure = dots([(str(i), 1.0, None) for i in range(MOST + 5)] + [("?", math.nan, None)], "title", "value", table())
    assert figure.note == f"The first {MOST} of {MOST + 5} are drawn. Without a number: 1."


@given(st.lists(st.tuples(st.text(max_size=8), COUNTS), max_size=5), st.integers(1, 4))
@settings(max_examples=30)
def test_what_small_multiples_draw_is_sound(circuits, most):
    figure = multiples(circuits, "title", most)
    drawn(figure)
    assert to_html(figure.element()) == to_html(multiples(circuits, "title", most).element())


def test_circuits_stand_on_one_scale_with_the_same_states():
    figure = multiples([("a", {"00": 75, "11": 25}), ("b", {"01": 100})], "two", order="bit 0 is the rightmost")
    parsed = drawn(figure)
    assert [text for text in parsed.texts("text") if text in ("00", "01", "11")] == ["00", "01", "11"] * 2
    assert rows(figure) == [["a", "00", "75", "0.75", "0.043"], ["a", "11", "25", "0.25", "0.043"], ["b", "01", "100", "1", "0"]]
    assert figure.note == (
        "One scale for all. N = 100 shots each; bars of error are one standard deviation of shot noise. "
        "States in order of value. Bit 0 is the rightmost."
    )


def test_of_many_circuits_and_states_it_says_what_is_left_out():
    circuits = [(f"circuit {i}", {format(j, "08b"): 1 + (i * j) % 7 for j in range(200)}) for i in range(70)]
    figure = multiples(circuits, "many")
    drawn(figure)
    for said in ("Shares of the shots of each", "The first 60 of 70 circuits are drawn.",
                 "States the most frequent first; all 184", "The table has the 14 most frequent states of each."):  # fmt: skip
        assert said in figure.note
    assert len(rows(figure)) == 70 * 14 and len(to_html(figure.element())) < 300_000


def test_hostile_names_stay_text():
    for figure in (curve({HOSTILE: [(0.0, 1.0, 0.1)]}), dots([(HOSTILE, 1.0, 0.1)], HOSTILE, HOSTILE, table()),
                   multiples([(HOSTILE, {HOSTILE: 3})], HOSTILE)):  # fmt: skip
        assert "script" not in {tag for tag, _, _ in drawn(figure).elements}
    assert clean_lines(HOSTILE) in drawn(multiples([(HOSTILE, {HOSTILE: 3})], HOSTILE)).texts("td")
