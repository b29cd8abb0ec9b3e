"""Lines over moments show what changed, and nothing where nothing was measured; so do sparklines, in a line of text."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from drawings import Parsed, drawn, inside, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.drift import drift
from qarchive.drawing.elements import to_html
from qarchive.drawing.sparkline import sparkline, sparkline_svg
from qarchive.printable import clean_lines

START = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x'"
numbers = st.none() | st.floats() | st.floats(1e-6, 1)
moments = st.datetimes(timezones=st.just(UTC))


def after(days):
    return START + timedelta(days=days)


def paths(figure):
    """What of the drawing are lines of numbers."""
    return [path.get("d") for path in figure.drawing.iter("path") if path.get("stroke-linejoin")]


@given(
    st.dictionaries(st.text(max_size=20), st.lists(st.tuples(moments, numbers), max_size=6), max_size=9),
    st.sampled_from(["", "s"]),
)
@settings(max_examples=40)
def test_every_drift_is_drawn_and_its_table_has_every_moment(series, unit):
    figure = drift(series, "drift", unit)
    drawn(figure)
    assert len(rows(figure)) == len({moment for points in series.values() for moment, _ in points})
    assert to_html(figure.element()) == to_html(drift(series, "drift", unit).element())


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_no_line_goes_over_a_gap(missing):
    points = [(after(i), missing if i == 2 else 1.0 + i) for i in range(6)]
    figure = drift({"T1": points}, "gap", "s")
    drawn(figure)
    assert paths(figure)[0].count("M") == 2 and figure.note == "Times are in UTC. Without a number: 1."
    assert [row[1] for row in rows(figure)] == ["1 s", "2 s", "-", "4 s", "5 s", "6 s"]


def test_points_have_their_order_in_time_and_their_numbers():
    figure = drift({"T1": [(after(1), 150e-6), (after(0), 120e-6)]}, "order", "s")
    parsed = drawn(figure)
    assert rows(figure) == [["2026-03-05 12:00:00", "120 µs"], ["2026-03-06 12:00:00", "150 µs"]]
    assert "T1, 2026-03-06 12:00:00: 150 µs" in parsed.texts("title")


def test_each_line_bears_its_name_and_none_covers_another():
    series = {f"HOM {i}": [(after(0), 0.9), (after(1), 0.9 + i / 1e6)] for i in range(7)}
    figure = drift(series, "names")
    drawn(figure)
    heights = sorted(
        float(text.get("y")) for text in figure.drawing.iter("text") if (text[0].text if len(text) else "") in series
    )
    assert len(heights) == 7 and all(b - a >= 15 for a, b in zip(heights, heights[1:]))


def test_a_range_of_many_tens_is_logarithmic_and_the_note_says_so():
    series = {"readout": [(after(0), 0.01)], "sx": [(after(0), 2e-4)]}
    figure = drift(series, "errors")
    assert figure.note == "Times are in UTC. The scale is logarithmic."
    assert {"0.001", "0.01"} <= set(drawn(figure).texts("text"))


def test_the_axis_says_what_it_shows_and_in_which_unit():
    def texts(series, *words):
        return drawn(drift(series, "axis", *words)).texts("text")

    times = texts({"T1": [(after(0), 120e-6), (after(1), 150e-6)]}, "s", "", "median time")
    assert "median time (µs)" in times and "120" in times and "UTC" in times
    assert "median error" in texts({"cx": [(after(0), 0.1), (after(1), 0.2)]}, "", "", "median error")
    assert "median error, log scale" in texts({"cx": [(after(0), 0.001), (after(1), 0.2)]}, "", "", "median error")
    mixed = texts({"T1": [(after(0), 1e-6), (after(1), 1.0)]}, "s", "", "median time")
    assert "median time, log scale" in mixed and {"1 µs", "1 s"} <= set(mixed)


def test_of_more_lines_than_can_be_told_apart_the_first_are_drawn():
    figure = drift({f"line {i}": [(after(0), i), (after(1), i)] for i in range(9)}, "many")
    assert len(paths(figure)) == 7 and figure.note == "Times are in UTC. The first 7 of 9 lines are drawn."
    assert len(rows(figure)[0]) == 10


def test_many_points_keep_their_extremes_and_stay_short():
    points = [(after(i / 100), 5.0 if i == 7777 else math.sin(i / 900)) for i in range(10_000)]
    figure = drift({"T1": points}, "dense")
    drawn(figure)
    heights = [float(point.split()[1]) for point in paths(figure)[0][1:].replace("M", "L").split("L")]
    assert len(heights) <= 300 and min(heights) < 80 and len(to_html(figure.drawing)) < 8000
    assert len(rows(figure)) == 1000 and figure.note.endswith("The table has the last 1,000 of 10,000 moments.")


def test_nothing_known_is_said():
    assert "No numbers are known." in drawn(drift({"T1": [(after(0), None)]}, "nothing")).texts("text")


def test_hostile_names_stay_text():
    parsed = drawn(drift({HOSTILE: [(after(0), 1.0), (after(1), 2.0)]}, HOSTILE, HOSTILE))
    assert clean_lines(HOSTILE) in parsed.texts("th")


@pytest.mark.parametrize(
    "values, text, ascii_text",
    [
        ([1, 2, 3, None, 8], "▁▂▃·█", "_.- @"), ([], "", ""), ([5, 5], "▅▅", "++"), ([None, math.nan], "··", "  "),
        ([-1e308, 1e308], "▁█", "_@"), ([0, math.inf, 1], "▁·█", "_ @"),
    ],
)  # fmt: skip
def test_a_sparkline_is_one_character_a_number(values, text, ascii_text):
    assert sparkline(values) == text
    for encoding in ("ascii", "latin-1", None, "no such encoding"):
        assert sparkline(values, encoding=encoding) == ascii_text


def test_a_long_sparkline_is_thinned_to_the_width_of_a_terminal():
    assert sparkline(range(800), width=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([None] * 50 + [1] * 50, width=2) == "·▅"


@given(st.lists(numbers, max_size=200), st.integers(1, 80))
def test_sparklines_hold_for_all_numbers(values, width):
    assert len(sparkline(values, width)) == min(width, len(values))
    root = sparkline_svg(values, HOSTILE)
    inside(Parsed(to_html(root)), root)
    assert root[0].tag == "title" and len(to_html(sparkline_svg(values, "T1"))) < 1000
