"""Strengths of programs from votes: Bradley-Terry with ties."""

import math
import random

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kendalltau

from rrtf_ray.core.preference import posterior, preferences
from rrtf_ray.records import Arm, Choice, Vote


def vote(left, right, choice=Choice.LEFT, annotator="ann", **fields):
    name = f"{left}{right}{choice}{annotator}{fields}"
    return Vote(fields.pop("id", name), "p", left, right, choice, annotator, **fields)


def by(count, left, right, choice=Choice.LEFT):
    """The same vote of `count` annotators."""
    return [vote(left, right, choice, f"a{i}") for i in range(count)]


def test_the_mode_is_that_of_the_model():
    """Against a general minimiser of Davidson's likelihood, written out."""
    votes = [*by(3, "a", "b"), *by(2, "b", "c", Choice.BOTH_GOOD), vote("c", "a", Choice.LEFT), vote("c", "d")]
    found = posterior(votes, prior=1.5)

    def minus_log_posterior(strengths):
        s = dict(zip("abcd", strengths, strict=True))
        total = sum(value**2 for value in strengths) / (2 * 1.5**2)
        for v in votes:
            d = s[v.left] - s[v.right]
            won = {Choice.LEFT: d / 2, Choice.RIGHT: -d / 2}.get(v.choice, 0.0)
            total -= won - math.log(math.exp(d / 2) + 1 + math.exp(-d / 2))
        return total

    wanted = minimize(minus_log_posterior, np.zeros(4), tol=1e-10).x
    assert found.digests == ("a", "b", "c", "d")
    assert found.mean_N == pytest.approx(wanted, abs=1e-4)


def test_the_covariance_is_the_curvature_at_the_mode():
    votes = [*by(4, "a", "b"), *by(2, "b", "c")]
    found = posterior(votes)
    step = 1e-4

    def gradient(point):
        s = dict(zip("abc", point, strict=True))
        slope = dict.fromkeys("abc", 0.0)
        for v in votes:
            d = s[v.left] - s[v.right]
            total = math.exp(d / 2) + 1 + math.exp(-d / 2)
            expected = (math.exp(d / 2) - math.exp(-d / 2)) / total
            slope[v.left] += (1 - expected) / 2
            slope[v.right] -= (1 - expected) / 2
        return np.array([slope[name] - s[name] for name in "abc"])

    curvature = np.array(
        [(gradient(found.mean_N - step * row) - gradient(found.mean_N + step * row)) / (2 * step) for row in np.eye(3)]
    )
    assert found.covariance_NN == pytest.approx(np.linalg.inv(curvature), rel=1e-4)


def test_one_vote_moves_little_and_many_agree():
    one, many = preferences(by(1, "a", "b")), preferences(by(20, "a", "b"))
    assert 0.2 < one["a"].value < 0.3
    assert one["a"].low < 0 < one["a"].high
    assert one["b"].value == pytest.approx(-one["a"].value)
    assert many["a"].value > 0.75
    assert many["a"].low > 0
    assert (one["a"].votes, many["b"].votes) == (1, 20)


def test_ties_are_equal_and_skipped_votes_are_nothing():
    tied = preferences(by(5, "a", "b", Choice.BOTH_BAD))
    assert tied["a"].value == tied["b"].value == pytest.approx(0)
    assert tied["a"].high - tied["a"].low < 2 * preferences(by(1, "a", "b"))["a"].high
    assert preferences(by(5, "a", "b", Choice.SKIPPED)) == {}
    assert preferences([]) == {}


def test_what_was_never_compared_directly_is_ordered_through_others():
    found = preferences([*by(6, "a", "b"), *by(6, "b", "c")])
    assert found["a"].value > found["b"].value > found["c"].value
    assert found["b"].value == pytest.approx(0, abs=1e-9)


def test_votes_that_contradict_each_other_cancel():
    found = preferences([*by(3, "a", "b"), *by(3, "b", "a")])
    assert found["a"].value == pytest.approx(0)


def test_an_annotator_who_repeats_counts_once():
    once = preferences([vote("a", "b")])
    repeated = [vote("a", "b", id="1"), vote("b", "a", Choice.RIGHT, id="2", arm=Arm.REPEAT)]
    assert preferences(repeated)["a"].value == pytest.approx(once["a"].value)


def test_a_lead_settles_a_pair():
    votes = [*by(5, "a", "b"), vote("a", "b", Choice.RIGHT, "lead", arm=Arm.SETTLE)]
    assert preferences(votes)["b"].value == pytest.approx(preferences(by(1, "b", "a"))["b"].value)


def test_a_strong_case_does_not_overflow():
    found = preferences(by(3000, "a", "b"), prior=50.0)
    assert 0.9 < found["a"].value <= 1
    assert found["a"].low <= found["a"].value <= found["a"].high


def test_the_order_is_recovered_from_votes_that_are_right_four_times_of_five():
    rng = random.Random(0)
    programs = "abcdefgh"
    votes = []
    for number in range(400):
        left, right = rng.sample(programs, 2)
        right_choice = Choice.LEFT if left < right else Choice.RIGHT
        wrong_choice = Choice.RIGHT if left < right else Choice.LEFT
        votes.append(vote(left, right, right_choice if rng.random() < 0.8 else wrong_choice, f"a{number}"))
    found = preferences(votes)
    tau = kendalltau([found[p].value for p in programs], range(len(programs), 0, -1)).statistic
    assert tau > 0.9


def test_a_vote_tells_most_about_programs_that_are_close_and_little_known():
    found = posterior([*by(8, "a", "b"), *by(8, "c", "d", Choice.BOTH_GOOD)])
    assert found.information("c", "d") < found.information("a", "c")
    assert found.information("a", "b") < found.information("new", "newer")
    assert found.difference("new", "newer") == (0.0, 2.0)
