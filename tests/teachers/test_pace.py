"""The pace of requests, by a clock that the test moves."""

import math

import pytest

from rrtf_ray.teachers.pace import BELOW, FIRST, SLOWEST, Pace
from rrtf_ray.teachers.troubles import retry_after


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def sent_in(pace, clock, seconds, answer=lambda at: True, tokens=1):
    """How many requests leave in so many seconds, each as soon as it may, and how many of them are refused."""
    sent = refused = 0
    end = clock.now + seconds
    while (at := clock.now + pace.wait(tokens)) < end:
        clock.now = at
        pace.take(tokens)
        sent += 1
        if answer(at):
            pace.answered(0)
        else:
            refused += 1
            pace.refused(at, None)
        clock.now += 1e-3
    clock.now = end
    return sent, refused


def capacity(rate, burst):
    """A server's own bucket."""
    level, last = [burst], [1000.0]

    def takes(at):
        level[0] = min(burst, level[0] + (at - last[0]) * rate)
        last[0] = at
        if level[0] < 1:
            return False
        level[0] -= 1
        return True

    return takes


def test_requests_leave_evenly_and_a_moment_of_rest_is_no_burst(clock):
    pace = Pace(3000, None, clock)
    sent, _ = sent_in(pace, clock, 10)
    assert 495 <= sent <= 510
    clock.now += 60
    sent, _ = sent_in(pace, clock, 1)
    assert sent <= 56


def test_tokens_are_a_limit_of_their_own(clock):
    pace = Pace(None, 60_000, clock)  # 1000 a second, 10 seconds of them at once
    sent, _ = sent_in(pace, clock, 100, tokens=500)
    assert 218 <= sent <= 222
    pace.answered(5000)  # the last request took less than it was thought to
    assert pace.wait(4000) == 0


def test_a_request_with_more_tokens_than_a_minute_has_goes_out_when_all_is_free(clock):
    pace = Pace(None, 600, clock)
    assert pace.wait(10_000) == 0
    pace.take(10_000)
    assert pace.wait(1) == pytest.approx((10_000 - 100 + 1) / 10)


def test_an_unknown_capacity_is_found_and_kept(clock):
    pace = Pace(None, None, clock)
    takes = capacity(50, 5)
    sent_in(pace, clock, 10, takes)
    sent, refused = sent_in(pace, clock, 60, takes)
    assert sent - refused >= 0.95 * 50 * 60
    assert refused <= 0.02 * sent


def test_a_capacity_that_goes_up_is_found_again(clock):
    pace = Pace(None, None, clock)
    sent_in(pace, clock, 20, capacity(5, 5))
    sent_in(pace, clock, 60, capacity(500, 50))
    sent, _ = sent_in(pace, clock, 10)
    assert sent >= 2500


def test_refusals_of_requests_in_flight_count_once(clock):
    pace = Pace(None, None, clock)
    pace.take(1)
    clock.now += 1  # twice the first rate by now
    for _ in range(30):
        pace.answered(0)
    clock.now += 1e-6
    for _ in range(20):
        pace.refused(clock.now, None)
    assert pace.rate(clock.now) == pytest.approx(BELOW * 30)


def test_without_any_answer_it_halves_down_to_the_slowest(clock):
    pace = Pace(None, None, clock)
    rates = []
    for _ in range(20):
        pace.refused(clock.now, None)
        rates.append(pace.rate(clock.now))
        clock.now += 0.01
    assert rates[:3] == pytest.approx([FIRST / 2, FIRST / 4, FIRST / 8], rel=1e-3)
    assert rates[-1] == pytest.approx(SLOWEST)


def test_a_known_limit_is_soon_reached_again_after_a_refusal(clock):
    pace = Pace(3000, None, clock)
    refusals = iter([False])
    sent, refused = sent_in(pace, clock, 20, lambda at: next(refusals, True))
    assert refused == 1
    assert sent >= 0.95 * 50 * 20


def test_a_pause_that_is_asked_for_is_kept(clock):
    pace = Pace(None, None, clock)
    pace.refused(clock.now, 7.0)
    assert pace.wait(1) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, seconds):
    assert retry_after(headers, now=60.0) == seconds
    assert math.isfinite(seconds or 0)
