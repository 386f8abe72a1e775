"""What a comparison would find, against simulations with a fixed seed."""

import numpy as np
import pytest
from scipy import stats

from rrtf_ray.core.paired import compare_values
from rrtf_ray.core.power import detectable_flips, detectable_with, power_of_flips


def test_power_by_hand():
    """Six problems that all flip to the other's side: p is 2 / 2^6, so it is always found; five are 2 / 2^5, never."""
    assert power_of_flips(6, 1.0, 1.0) == pytest.approx(1)
    assert power_of_flips(5, 1.0, 1.0) == 0
    # Seven problems of which each flips to the other's side with 1/2: found with 6 or 7 flips.
    assert power_of_flips(7, 0.5, 0.5) == pytest.approx((7 + 1) / 2**7)


@pytest.mark.parametrize(("num_problems", "share"), [(164, 0.2), (60, 0.4), (974, 0.05), (164, 0.0)])
def test_detectable_flips_are_found_in_80_percent_of_simulations(num_problems, share):
    effect = detectable_flips(num_problems, share)
    flips = max(share, effect)
    won, lost = (flips + effect) / 2, (flips - effect) / 2
    drawn = np.random.default_rng(1).multinomial(num_problems, [won, lost, 1 - won - lost], size=4000)
    wins, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    p = np.array([stats.binomtest(a, a + b).pvalue if a + b else 1 for a, b in wins.tolist()])
    assert counts[p < 0.05].sum() / 4000 == pytest.approx(0.8, abs=0.025)


def test_what_cannot_be_found():
    assert detectable_flips(5, 0.2) is None
    assert detectable_flips(6, 0.2) is not None
    assert detectable_with(0.4) is None


def test_more_problems_find_less():
    found = [detectable_flips(number, 0.1) for number in (50, 164, 974)]
    assert found == sorted(found, reverse=True)


def test_detectable_values_are_found_in_80_percent_of_simulations():
    """Problems that a model solves in 3 of 10 or 6 of 10 samples; the other is better by what one experiment says."""
    rng = np.random.default_rng(2)
    chance = rng.choice([0.3, 0.6], (1, 100))
    first = compare_values(rng.binomial(10, chance) / 10, rng.binomial(10, chance) / 10)
    assert first.detectable == pytest.approx(2.8016 * np.sqrt(2 * (0.21 + 0.24) / 2 / 10 / 100), rel=0.2)
    found = 0
    for _ in range(200):
        a, b = rng.binomial(10, chance) / 10, rng.binomial(10, chance + first.detectable) / 10
        found += compare_values(a, b, resamples=1000).p < 0.05
    assert 0.7 <= found / 200 <= 0.9
