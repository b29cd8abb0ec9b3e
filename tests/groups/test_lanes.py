"""A lane sends where there is room, waits longer each time there is none, and closes where every job is refused alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qarchive.groups import lanes
from qarchive.groups.lanes import Lane


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(lanes.time, "monotonic", lambda: self.now)


class Cloud:
    """What a lane asks of a provider: how much room there is."""

    def __init__(self, *rooms):
        self.rooms, self.asked = list(rooms), 0

    def room(self, client, device):
        self.asked += 1
        return self.rooms.pop(0)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_this_computer_takes_so_many_at_once():
    lane = Lane("here", None, None, None, most=2)
    for under_way, ready in ((0, True), (1, True), (2, False), (3, False)):
        lane.under_way = under_way
        assert lane.ready is ready
    assert lane.ready_in_s is None


def test_a_cloud_that_says_how_many_it_takes_is_asked_when_they_are_used_up(clock):
    cloud = Cloud(2, 1, 0, 3)
    lane = Lane("qpu", cloud, None, None)
    for asked in (1, 1, 2):
        assert lane.ready and lane.ready and cloud.asked == asked
        lane.sent()
    assert not lane.ready and cloud.asked == 3
    assert (lane.waits_for, lane.ready_in_s) == ("its limit of jobs at once is reached", 0.5)
    assert not lane.ready and cloud.asked == 3
    lane.ended()
    assert lane.ready and cloud.asked == 4


def test_a_cloud_that_does_not_say_is_asked_before_each(clock):
    cloud = Cloud(None, None)
    lane = Lane("qpu", cloud, None, None)
    for _ in range(2):
        assert lane.ready
        lane.sent()
    assert cloud.asked == 2


@given(st.integers(1, 20))
def test_a_busy_lane_waits_longer_each_time_up_to_a_minute(times):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        lane, waits = Lane("here", None, None, None), []
        for _ in range(times):
            lane.busy("too many")
            waits.append(lane.ready_in_s)
            assert not lane.ready
            clock.now += waits[-1]
            assert lane.ready and lane.ready_in_s is None
        assert waits == [pytest.approx(min(60.0, 0.5 * 2**number)) for number in range(times)]
        lane.sent()
        lane.busy("too many")
        assert lane.ready_in_s == pytest.approx(0.5)


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=60))
def test_a_lane_closes_after_ten_refusals_with_the_same_words_in_a_row(happened):
    lane, row, last = Lane("here", None, None, None), 0, None
    for word in happened:
        if word is None:
            lane.sent()
            row, last = 0, None
        else:
            lane.refused(word)
            row, last = (row + 1, word) if word == last else (1, word)
        if row >= 10:
            assert lane.closed == f"10 jobs in a row were refused ({word})" and not lane.ready
            return
        assert lane.closed == "" and lane.ready
