"""A timeline shows when a job waited and ran, and leaves it its room whatever lies days away."""

from datetime import UTC, datetime, timedelta, timezone

from drawings import drawn, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive.drawing.elements import to_html
from qarchive.drawing.timeline import timeline
from qarchive.printable import clean_lines

START = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x'"
moments = st.datetimes(timezones=st.just(UTC))


def after(seconds):
    return START + timedelta(seconds=seconds)


def widths(figure):
    return [float(bar.get("width")) for bar in figure.drawing.iter("rect")]


@given(
    st.lists(st.tuples(st.text(max_size=40), st.none() | moments, st.none() | moments), max_size=6),
    st.lists(st.tuples(st.text(max_size=40), moments), max_size=6),
)
@settings(max_examples=50)
def test_every_timeline_is_drawn_and_its_table_has_all(spans, ticks):
    figure = timeline(spans, ticks, "times")
    drawn(figure)
    assert len(rows(figure)) == len(spans) + len(ticks)
    assert to_html(figure.element()) == to_html(timeline(iter(spans), iter(ticks), "times").element())


def test_bars_are_as_long_as_they_took_and_say_so():
    figure = timeline([("queued", after(0), after(60)), ("running", after(60), after(90))], [("captured", after(5))], "a job")
    parsed = drawn(figure)
    queued, running = widths(figure)
    assert abs(queued - 2 * running) < 0.5
    assert {"queued", "running", "captured", "1 min", "30 s", "12:00:05"} <= set(parsed.texts("text"))
    assert rows(figure) == [
        ["queued", "2026-03-05 12:00:00", "2026-03-05 12:01:00", "1 min"],
        ["running", "2026-03-05 12:01:00", "2026-03-05 12:01:30", "30 s"],
        ["captured", "2026-03-05 12:00:05", "", ""],
    ]


def test_a_calibration_of_days_ago_does_not_squash_the_run():
    spans = [("queued", after(0), after(60)), ("running", after(60), after(90))]
    figure = timeline(spans, [("measured", after(-86400 * 3 - 4 * 3600))], "a job")
    parsed = drawn(figure)
    assert sum(widths(figure)) > 400
    assert "2026-03-02 08:00, 3 d 4 h earlier" in parsed.texts("text")


def test_what_came_days_later_does_not_either():
    figure = timeline([("running", after(0), after(30))], [("retrieved", after(86400))], "a job")
    assert "2026-03-06 12:00, 23 h 59 min later" in drawn(figure).texts("text") and sum(widths(figure)) > 400


def test_a_run_of_seconds_after_a_queue_of_days_is_still_seen():
    figure = timeline([("queued", after(0), after(200_000)), ("running", after(200_000), after(200_003))], [], "a job")
    assert min(widths(figure)) >= 2.5 and "3 s" in drawn(figure).texts("text")


def test_what_still_goes_on_is_open():
    figure = timeline([("queued", after(0), after(60)), ("running", after(60), None)], [], "a job")
    parsed = drawn(figure)
    assert "still going on" in parsed.texts("text") and len(widths(figure)) == 1
    assert rows(figure)[1] == ["running", "2026-03-05 12:01:00", "-", "still going on"]


def test_times_of_other_zones_are_shown_in_utc():
    there = datetime(2026, 3, 5, 14, tzinfo=timezone(timedelta(hours=2)))
    assert rows(timeline([], [("seen", there)], "a job")) == [["seen", "2026-03-05 12:00:00", "", ""]]


def test_of_many_moments_the_drawing_has_some_and_the_note_says_so():
    figure = timeline([], [(f"status {i}", after(i)) for i in range(100)], "many")
    assert len(drawn(figure).attributes("path")) < 60
    assert len(rows(figure)) == 100 and figure.note == "Times are in UTC. 60 more are in the table."


def test_nothing_known_is_said():
    assert "No times are known." in drawn(timeline([("queued", None, None)], [], "nothing")).texts("text")


def test_hostile_names_stay_text():
    parsed = drawn(timeline([(HOSTILE, after(0), after(1))], [(HOSTILE, after(0))], HOSTILE))
    assert parsed.texts("td").count(clean_lines(HOSTILE)) == 2
