"""Paired statistics against values worked by hand, against scipy, and against simulations with a fixed seed."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from rrtf_ray.core.paired import compare_flips, compare_values, holm, over_seeds, resampled_differences, score_interval
from rrtf_ray.errors import InputError

Z = 1.959964


def test_mcnemar_by_hand():
    """2 won, 9 lost: 2 (C(11,0) + C(11,1) + C(11,2)) / 2^11 = 134 / 2048."""
    found = compare_flips(2, 9, 164)
    assert found.p == pytest.approx(134 / 2048)
    assert found.p == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert found.difference.value == pytest.approx(-7 / 164)
    assert compare_flips(9, 2, 164).p == pytest.approx(found.p)
    assert compare_flips(9, 2, 164).difference.low == pytest.approx(-found.difference.high)


def test_no_flips_are_no_difference_but_not_certainty():
    """With nothing flipped the score interval is +- z^2 / (n + z^2)."""
    found = compare_flips(0, 0, 164)
    assert (found.difference.value, found.p) == (0, 1)
    limit = Z**2 / (164 + Z**2)
    assert (found.difference.low, found.difference.high) == pytest.approx((-limit, limit), abs=1e-6)


@pytest.mark.parametrize("flips", range(1, 16))
@pytest.mark.parametrize("num_problems", [15, 164, 1000])
def test_interval_holds_zero_exactly_if_the_exact_test_finds_nothing(flips, num_problems):
    for won in range(flips + 1):
        found = compare_flips(won, flips - won, num_problems)
        assert (found.difference.low <= 0 <= found.difference.high) == (found.p > 0.05), (won, flips, num_problems)


@pytest.mark.parametrize(("won", "lost", "n"), [(2, 9, 164), (12, 2, 50), (0, 7, 40), (33, 20, 974), (1, 0, 8)])
def test_score_interval_by_maximising_the_likelihood(won, lost, n):
    """Its limits are where the score statistic with the most likely nuisance share is z, found here by a search."""

    def statistic(d):
        def unlikely(q):  # q: share of lost, q + d: of won, the rest is the same on both sides
            shares = ((won, q + d), (lost, q), (n - won - lost, 1 - 2 * q - d))
            return -sum(count * math.log(max(share, 1e-300)) for count, share in shares if count)

        q = optimize.minimize_scalar(
            unlikely, bounds=(max(0, -d), (1 - d) / 2), method="bounded", options={"xatol": 1e-12}
        ).x
        return (won - lost - n * d) / math.sqrt(n * (2 * q + d - d * d))

    found = score_interval(won, lost, n)
    assert found.value == pytest.approx((won - lost) / n)
    assert statistic(found.low) == pytest.approx(Z, abs=1e-3)
    assert statistic(found.high) == pytest.approx(-Z, abs=1e-3)


def test_all_problems_flipped():
    assert score_interval(5, 0, 5).high == 1
    assert score_interval(0, 5, 5).low == -1
    assert score_interval(0, 5, 5).high < 0


def test_impossible_counts_are_refused():
    for counts in ((1, 0, 0), (3, 3, 5), (-1, 0, 5)):
        with pytest.raises(InputError, match="is not possible"):
            compare_flips(*counts)


def test_bootstrap_of_problems_is_that_of_scipy():
    rng = np.random.default_rng(0)
    difference = rng.normal(0.02, 0.1, 150)
    baseline = np.full((1, 150), 0.5)
    found = compare_values(baseline, baseline + difference)
    theirs = stats.bootstrap((difference,), np.mean, method="percentile", rng=1).confidence_interval
    width = theirs.high - theirs.low
    assert found.difference.value == pytest.approx(difference.mean())
    assert found.difference.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert found.difference.high == pytest.approx(theirs.high, abs=0.04 * width)
    # And its p is near that of the paired t test, which is right for so many normal differences.
    assert found.p == pytest.approx(stats.ttest_1samp(difference, 0).pvalue, abs=0.01)


def test_bootstrap_is_the_same_each_time():
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 40)), rng.random((3, 40))
    assert compare_values(a, b) == compare_values(a, b)


@pytest.mark.parametrize(("seeds", "other_seeds"), [(3, 3), (2, 4)])
def test_variance_over_seeds_is_right_for_few_seeds(seeds, other_seeds):
    """Values that differ by seed alone: the variance is s^2 / S of each arm, of the pairs where they are paired."""
    rng = np.random.default_rng(5)
    a, b = rng.random((seeds, 1)), rng.random((other_seeds, 1))
    found = resampled_differences(np.repeat(a, 30, axis=1), np.repeat(b, 30, axis=1))
    wanted = (
        np.var(b - a, ddof=1) / seeds
        if seeds == other_seeds
        else np.var(a, ddof=1) / seeds + np.var(b, ddof=1) / other_seeds
    )
    assert found.var() == pytest.approx(wanted, rel=0.05)


def test_values_without_a_difference():
    same = np.linspace(0, 1, 164)[None]
    found = compare_values(same, same)
    assert (found.difference.value, found.p) == (0, 1)
    assert found.difference.low == pytest.approx(-(Z**2) / (164 + Z**2), abs=1e-6)
    assert found.detectable == compare_flips(0, 0, 164).detectable


def test_few_problems_that_differ_prove_nothing():
    """Three problems with the same sign: as signs of three coins, 2 / 2^3, whatever a bootstrap says."""
    baseline, other = np.zeros((1, 100)), np.zeros((1, 100))
    other[0, :3] = 1
    found = compare_values(baseline, other)
    assert found.p == pytest.approx(0.25)
    assert found.difference.low == 0


def test_too_few_or_other_problems_are_refused():
    with pytest.raises(InputError, match="at least 2 problems"):
        compare_values(np.zeros((1, 1)), np.ones((1, 1)))
    with pytest.raises(InputError, match="not 3 and 4"):
        compare_values(np.zeros((1, 3)), np.ones((1, 4)))


def test_interval_of_values_covers_the_truth():
    """200 experiments of 60 problems and 10 samples, a third of them without any effect: 95% of intervals are right."""
    rng = np.random.default_rng(11)
    # Problems are a sample as well, so the truth is the mean over all such problems.
    every = rng.beta(0.5, 0.8, 500_000)
    truth = float(np.mean([np.minimum(1, every + gain).mean() - every.mean() for gain in (0.0, 0.1, 0.2)]))
    covered = found = 0
    for _ in range(200):
        chance = rng.beta(0.5, 0.8, 60)
        gain = rng.choice([0.0, 0.1, 0.2], 60)
        better = np.minimum(1, chance + gain)
        a, b = rng.binomial(10, chance)[None] / 10, rng.binomial(10, better)[None] / 10
        interval = compare_values(a, b, resamples=1000).difference
        covered += interval.low <= truth <= interval.high
        found += interval.low > 0
    assert 0.9 <= covered / 200 <= 0.99
    assert found > 190


def test_interval_of_seeds_covers_the_truth():
    """Three seeds of each arm, whose models differ by chance: no difference is found where there is none."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        chance = rng.beta(2, 2, 60)
        solved = [np.clip(chance + rng.normal(0, 0.05, (3, 1)), 0, 1) for _ in range(2)]
        a, b = (rng.binomial(1, share).astype(float) for share in solved)
        interval = compare_values(a, b, resamples=1000).difference
        covered += interval.low <= 0 <= interval.high
    assert covered / 200 >= 0.94


def test_p_of_no_effect_is_seldom_small():
    rng = np.random.default_rng(13)
    small = 0
    for _ in range(200):
        chance = rng.beta(0.5, 0.8, 60)
        a, b = (rng.binomial(5, chance)[None] / 5 for _ in range(2))
        small += compare_values(a, b, resamples=1000).p < 0.05
    assert small / 200 <= 0.09


def test_interval_over_seeds_is_students():
    a, b = np.array([0.30, 0.32, 0.31]), np.array([0.35, 0.33, 0.38])
    paired = stats.ttest_rel(b, a).confidence_interval()
    found = over_seeds(a, b)
    assert found.value == pytest.approx(0.13 / 3)
    assert (found.low, found.high) == pytest.approx((paired.low, paired.high))
    welch = stats.ttest_ind(b, a[:2], equal_var=False).confidence_interval()
    found = over_seeds(a[:2], b)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high))
    assert over_seeds(a[:1], b) is None


def test_seeds_that_agree_have_no_spread():
    found = over_seeds(np.array([0.5, 0.5]), np.array([0.5, 0.5, 0.5]))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_holm_by_hand():
    # In order: 4 * .005, 3 * .01, 2 * .03, then never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1, 1]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
