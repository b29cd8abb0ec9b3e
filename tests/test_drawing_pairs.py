"""Two results side by side have both numbers, their errors and the difference of each; the largest differences are drawn."""

import math

import pytest
from drawings import drawn, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.elements import to_html
from qarchive.drawing.pairs import Pair, pairs

NAMES = ("A", "B")
HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x'"
numbers = st.none() | st.floats() | st.floats(0, 1)


def marks(figure, side):
    """How many marks a side has, that of the legend left out."""
    parsed = drawn(figure)
    return len(parsed.attributes("circle" if side == 0 else "rect")) - 1


@given(st.lists(st.builds(Pair, st.text(max_size=40), numbers, numbers, numbers, numbers), max_size=8), st.booleans())
@settings(max_examples=60)
def test_all_pairs_are_drawn_whatever_is_known_of_them(found, zero):
    figure = pairs(found, "two", NAMES, "share", zero)
    drawn(figure)
    assert len(rows(figure)) == len(found)
    assert to_html(figure.element()) == to_html(pairs(found, "two", NAMES, "share", zero).element())


def test_each_has_its_numbers_the_difference_and_how_many_standard_errors_that_is():
    figure = pairs([Pair("00", 0.5, 0.03, 0.4, 0.04), Pair("11", 0.5, None, None, None)], "two", NAMES, "share of shots")
    assert rows(figure) == [["00", "0.5", "0.03", "0.4", "0.04", "-0.1", "-2"], ["11", "0.5", "-", "-", "-", "-", "-"]]
    parsed = drawn(figure)
    titles = parsed.texts("title")
    assert {"A, 00: 0.5 ± 0.03", "B, 00: 0.4 ± 0.04", "A, 11: 0.5", "00: -0.1, -2 standard errors"} <= set(titles)
    assert (marks(figure, 0), marks(figure, 1)) == (2, 1)
    assert {"share of shots", "B less A"} <= set(parsed.texts("text"))
    assert figure.note == "A filled, B hollow; bars of error are one standard error."


def test_of_many_those_that_differ_most_are_drawn_and_it_says_so():
    found = [Pair(f"{i:03}", 0.5, 0.1, 0.5 + i / 1000, 0.1) for i in range(100)]
    figure = pairs(found, "many", NAMES, "share", most=10)
    assert (marks(figure, 0), marks(figure, 1)) == (10, 10)
    assert [row[0] for row in rows(figure)][:3] == ["099", "098", "097"] and len(rows(figure)) == 100
    assert figure.note.endswith("The 10 of 100 that differ most.")
    assert [row[0] for row in rows(pairs(found, "all", NAMES, "share", most=100))][:2] == ["000", "001"]


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_nothing_known_is_said(missing):
    figure = pairs([Pair("00", missing, None, missing, None)], "none", NAMES, "share")
    assert "No numbers are known." in drawn(figure).texts("text") and figure.note == "A filled, B hollow."


def test_hostile_names_stay_text():
    drawn(pairs([Pair(HOSTILE, 1.0, 0.1, 2.0, 0.1)], HOSTILE, (HOSTILE, HOSTILE), HOSTILE))
