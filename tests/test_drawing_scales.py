"""Numbers and moments are written as people read them, and axes have room for what stands on them, for all floats."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qarchive.drawing import palette
from qarchive.drawing.scales import axis, duration, finite, si, stamp, time_ticks, utc

finite_floats = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (1.2e-4, "s", "120 µs"), (4.971e9, "Hz", "4.97 GHz"), (0.0075, "", "0.0075"), (999.9e-6, "s", "1 ms"), (0, "s", "0 s"),
        (-3e-6, "s", "-3 µs"), (1.5e-5, "", "1.5e-5"), (12, "%", "12 %"), (math.nan, "s", "-"), (10**400, "", "-"),
        (1e30, "Hz", "1e+12 EHz"),
    ],
)  # fmt: skip
def test_numbers_have_prefixes_where_they_have_a_unit(value, unit, text):
    assert si(value, unit) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.12, "120 ms"), (4.2, "4.2 s"), (59.97, "1 min"), (65, "1 min 5 s"), (3600, "1 h"), (7500, "2 h 5 min"),
        (86400 * 3 + 4 * 3600, "3 d 4 h"), (-90, "-1 min 30 s"), (math.inf, "-"),
    ],
)  # fmt: skip
def test_durations_have_their_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_moments_are_in_utc_with_as_much_of_a_second_as_there_is():
    moment = datetime(2026, 3, 5, 14, 0, 1, 500000, tzinfo=timezone(timedelta(hours=2)))
    assert stamp(moment) == "2026-03-05 12:00:01.5"
    assert utc(datetime(2026, 3, 5)) == datetime(2026, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "1", math.nan, math.inf, -math.inf, 10**400, [1], 1j])
def test_what_is_no_finite_number_has_no_value(value):
    assert finite(value) is None


@given(st.lists(finite_floats, max_size=6), st.booleans(), st.sampled_from([None, True, False]))
def test_an_axis_has_room_for_all_numbers_and_its_ticks_rise(values, zero, log):
    found = axis(values, "s", zero=zero, log=log)
    assert found.low < found.high and found.ticks[0] == found.low and found.ticks[-1] == found.high
    assert list(found.ticks) == sorted(set(found.ticks)) and len(found.ticks) == len(found.labels) <= 30
    for value in (*values, *found.ticks):
        assert 0 <= found.at(value) <= 1
    dust = (found.high - found.low) / 1e6
    assert all(found.low - dust <= max(-1e300, min(1e300, value)) <= found.high + dust for value in values)
    assert found.low > 0 or not found.log


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, unique=True))
def test_larger_numbers_stand_further_on(values):
    found = axis(values)
    places = [found.at(value) for value in sorted(values)]
    assert places == sorted(places)


def test_an_axis_ends_at_round_numbers():
    found = axis([0.7, 9.2])
    assert found.ticks == (0.0, 2.0, 4.0, 6.0, 8.0, 10.0) and found.labels == ("0", "2", "4", "6", "8", "10")
    wide = axis([2e-4, 0.03])
    assert wide.log and wide.low <= 2e-4 and wide.high >= 0.03


def test_ticks_that_differ_late_have_as_many_digits_as_it_takes():
    found = axis([4.971234e9, 4.971238e9], "Hz")
    assert len(set(found.labels)) == len(found.ticks) and found.labels[0] == "4.971234 GHz"


@given(moments, moments)
def test_ticks_of_time_are_few_and_within(one, other):
    start, end = sorted((one, other))
    found = time_ticks(start, end)
    assert len(found) <= 8 and all(start <= moment <= end for moment, _ in found)


def test_the_colours_get_lighter_all_the_way_and_numbers_on_them_can_be_read():
    shades = [palette.shade(i / 48) for i in range(49)]
    light = [palette.luminance(shade) for shade in shades]
    assert light == sorted(light) and len(set(shades)) == 49
    for shade, value in zip(shades, light):
        contrast = (value + 0.05) / 0.05 if palette.ink_on(shade) == "#000" else 1.05 / (value + 0.05)
        assert contrast > 4.5


def test_no_two_lines_look_alike_without_their_colours():
    styles = [palette.line_style(i) for i in range(7)]
    assert len({dashes for _, dashes, _ in styles}) == len({mark for *_, mark in styles}) == 7
